/* cluster/kubernetes/object.h - reading Kubernetes objects: members that may be missing or of
 * another type than they should be. Pure, any thread. What is returned is borrowed from the object.
 */
#ifndef PB_CLUSTER_KUBERNETES_OBJECT_H
#define PB_CLUSTER_KUBERNETES_OBJECT_H

#include <jansson.h>
#include <stdbool.h>

/* The member at "metadata.labels"; NULL where one on the way is missing or no object. Names with
 * dots in them are read by json_object_get. */
json_t *pb_object_at(const json_t *object, const char *path);
/* The same where it is text, else "". */
const char *pb_object_text(const json_t *object, const char *path);
const char *pb_object_kind(const json_t *object);
const char *pb_object_name(const json_t *object);
bool pb_object_is(const json_t *object, const char *kind, const char *name);
/* The objects of an array by what tells them apart: API version, kind and name. The caller's. */
json_t *pb_objects_by_name(const json_t *objects);
/* Which of them has the API version, kind and name of `object`; NULL where none has. */
json_t *pb_object_of_same_name(const json_t *objects_by_name, const json_t *object);
/* The value of a label or annotation ("" where there is none). */
const char *pb_object_label(const json_t *object, const char *label);
const char *pb_object_annotation(const json_t *object, const char *annotation);
/* Removes a member of metadata's "labels" or "annotations", and that where it is empty then: an
 * empty one would differ from none. */
void pb_object_drop(json_t *object, const char *list, const char *name);
/* The pod template (metadata, spec) of a workload, NULL for all else: Deployment, StatefulSet,
 * DaemonSet, ReplicaSet, ReplicationController, Job, CronJob. */
json_t *pb_object_pod_template(const json_t *object);
/* The containers of a workload, those of its start included: an array that the caller owns, of
 * objects that are the workload's own. Empty where there are none. */
json_t *pb_object_containers(const json_t *object);
/* The value of a variable of a container; NULL where there is none, or where it is taken from
 * elsewhere (valueFrom). */
const char *pb_container_variable(const json_t *container, const char *name);
/* Gives a container's variable another value. False, and nothing is changed, where
 * pb_container_variable finds none. */
bool pb_container_set_variable(json_t *container, const char *name, const char *value);

#endif
