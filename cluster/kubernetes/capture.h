/* cluster/kubernetes/capture.h - the Kubernetes objects that a restore needs. */
#ifndef PB_CLUSTER_KUBERNETES_CAPTURE_H
#define PB_CLUSTER_KUBERNETES_CAPTURE_H

#include "cluster/kubernetes/kubectl.h"
#include "manifest/cluster_record.h"

/* Reads every listable kind of the namespace and appends what a restore needs, one JSON object a
 * line, in the order in which they are to be applied: workloads with the counts that `workloads`
 * records. A kind that may not be read is REFUSED. Runs the loop. */
int pb_capture(const pb_kubectl *kubectl, const pb_workloads *workloads, pb_buffer *ret_ndjson,
               size_t *ret_objects, pb_error *error);

/* The same of what the namespace's service accounts may do in the whole cluster: the
 * ClusterRoleBindings that name them, each with these accounts alone as subjects, and the
 * ClusterRoles that these and the namespace's RoleBindings name, but for those that every cluster
 * has. REFUSED where they may not be listed. Runs the loop. */
int pb_capture_rights(const pb_kubectl *kubectl, pb_buffer *ret_ndjson, size_t *ret_objects,
                      pb_error *error);
/* What it does with ClusterRoles, ClusterRoleBindings, and RoleBindings of the namespace. Appends.
 * Pure. */
void pb_capture_append_rights(const json_t *items, const char *name_space, pb_buffer *ret_ndjson,
                              size_t *ret_objects);
/* Does a ClusterRole add to others, by a label rbac.authorization.k8s.io/aggregate-to-...? A
 * capture leaves these labels out. Pure. */
bool pb_capture_is_aggregated(const json_t *role);
/* Is a subject of a binding an account of the namespace, or all of them? Pure. */
bool pb_capture_is_account_of(const json_t *subject, const char *name_space);

/* Does every API group answer? UNREACHABLE, naming it, where one does not: an aggregated API that
 * is down. A kubectl that asks for all groups at once says nothing of such a one, and its kinds
 * would be missing from a capture. For the time before a window: it starts kubectl twice, and once
 * more for each group without kinds. Runs the loop. */
int pb_capture_check_groups(const pb_kubectl *kubectl, pb_error *error);

/* The versions ("example.com/v1", an array that the caller owns) of those groups of an APIGroupList
 * of which api-resources names no kind; metrics are left out. FAILED where it is no such list.
 * Pure.
 */
int pb_capture_silent_groups(const json_t *groups, pb_slice names, json_t **ret_versions,
                             pb_error *error);

/* Of `kubectl api-resources --output name` (a line each) those that are read, with commas between
 * them: not kinds of which nothing is wanted, and of a kind that "extensions" has beside its new
 * group only the new one. FAILED where a line is no name, or none is left. Appends. Pure. */
int pb_capture_kinds(pb_slice names, pb_buffer *ret_kinds, pb_error *error);

/* What pb_capture does with the objects that it read: those that are wanted, each once (by uid, as
 * an object may be listed under two API groups), stripped, in the order in which they are to be
 * applied: ServiceAccount, Secret, ConfigMap, Role, RoleBinding, PersistentVolumeClaim, Service,
 * others, workloads last; within a kind by name. Appends. Pure. */
void pb_capture_append(const json_t *items, const pb_workloads *workloads, pb_buffer *ret_ndjson,
                       size_t *ret_objects);

/* True where a restore needs the object: not what the cluster makes by itself (owned objects, pods,
 * events, endpoints, tokens, the root certificate), what is being deleted, Jobs that are over,
 * Velero's runs, not Pachyderm's workers and their services, nothing of pbcopy's. Pure. */
bool pb_capture_wants(const json_t *object);
/* Takes off what the server sets: status, all metadata but name, namespace, labels and annotations,
 * cluster IPs (not "None"), node ports of other Services than NodePort, bound volumes; and puts the
 * recorded count in (workloads may be NULL). Pure; changes *object. */
void pb_capture_strip(json_t *object, const pb_workloads *workloads);
/* Reads the lines again: an array of objects, which the caller owns, each with apiVersion, kind and
 * metadata.name. DAMAGED, naming the line but quoting nothing of it. Pure. */
int pb_capture_parse(pb_slice ndjson, json_t **ret_objects, pb_error *error);

#endif
