/* What of a namespace a restore needs, and in which form: pure. */
#include "cluster/kubernetes/capture.h"
#include "cluster/kubernetes/object.h"
#include "cluster/pachyderm/layout.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Kinds of which the cluster makes every object by itself, or that are of the moment. */
static bool is_made_by_cluster(const json_t *object)
{
    static const char *const kinds[] = {
        "Pod",           "Event",
        "Lease",         "Endpoints",
        "EndpointSlice", "ControllerRevision",
        "PodMetrics",    "CSIStorageCapacity",
    };
    static const char *const velero_runs[] = {
        "Backup",          "Restore",          "DeleteBackupRequest", "DownloadRequest",
        "PodVolumeBackup", "PodVolumeRestore", "BackupRepository",    "ServerStatusRequest",
        "DataUpload",      "DataDownload",
    };
    const char *kind = pb_object_kind(object);
    const char *version = pb_object_text(object, "apiVersion");
    if (starts_with(version, "metrics.k8s.io/"))
        return true;
    /* Such an object, made again, would be carried out again. */
    if (starts_with(version, "velero.io/"))
        return is_one_of(kind, velero_runs, COUNT(velero_runs));
    return is_one_of(kind, kinds, COUNT(kinds));
}

/* Secrets and maps that controllers put into every namespace. */
static bool is_given_by_cluster(const json_t *object)
{
    const char *kind = pb_object_kind(object), *name = pb_object_name(object);
    const char *type = pb_object_text(object, "type");
    if (strcmp(kind, "Secret") == 0)
        return strcmp(type, "kubernetes.io/service-account-token") == 0 ||
               (strcmp(type, "kubernetes.io/dockercfg") == 0 &&
                *pb_object_annotation(object, "kubernetes.io/service-account.uid"));
    if (strcmp(kind, "ConfigMap") == 0)
        return strcmp(name, "kube-root-ca.crt") == 0 ||
               strcmp(name, "openshift-service-ca.crt") == 0;
    return strcmp(kind, "Service") == 0 && strcmp(name, "kubernetes") == 0 &&
           strcmp(pb_object_label(object, "component"), "apiserver") == 0;
}

/* Each bakes in the old bucket and database; pachd makes new ones. */
static bool is_worker(const json_t *object)
{
    return pb_layout_is(object, "ReplicationController", PB_COMPONENT_WORKER) ||
           pb_layout_is(object, "Service", PB_COMPONENT_WORKER);
}

/* Velero restores it without its owner. */
static bool is_of_deployment(const json_t *object)
{
    return strcmp(pb_object_kind(object), "ReplicaSet") == 0 &&
           *pb_object_label(object, "pod-template-hash");
}

/* A Job that ran to its end would run again. */
static bool is_finished_job(const json_t *object)
{
    if (strcmp(pb_object_kind(object), "Job") != 0)
        return false;
    const json_t *conditions = pb_object_at(object, "status.conditions"), *condition;
    size_t i;
    json_array_foreach(conditions, i, condition)
    {
        const char *type = pb_object_text(condition, "type");
        if ((strcmp(type, "Complete") == 0 || strcmp(type, "Failed") == 0) &&
            strcmp(pb_object_text(condition, "status"), "True") == 0)
            return true;
    }
    return false;
}

bool pb_capture_wants(const json_t *object)
{
    if (!*pb_object_kind(object) || !*pb_object_name(object))
        return false;
    if (json_array_size(pb_object_at(object, "metadata.ownerReferences")) > 0 ||
        *pb_object_text(object, "metadata.deletionTimestamp"))
        return false;
    if (pb_object_is(object, "ConfigMap", "pbcopy-suspension"))
        return false;
    return !is_made_by_cluster(object) && !is_given_by_cluster(object) && !is_worker(object) &&
           !is_of_deployment(object) && !is_finished_job(object);
}

/* ---- kinds ---- */

/* `group` with the dot before it. */
static bool is_metrics(const char *group)
{
    return strstr(group, ".metrics.k8s.io") != NULL;
}

static bool is_read(const char *name, const char *all)
{
    static const char *const unread[] = {
        "pods",
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "endpoints",
        "endpointslices.discovery.k8s.io",
        "controllerrevisions.apps",
        "csistoragecapacities.storage.k8s.io",
    };
    const char *group = strchr(name, '.');
    if (is_one_of(name, unread, COUNT(unread)) || (group && is_metrics(group)))
        return false;
    if (group == NULL || strcmp(group, ".extensions") != 0)
        return true;
    /* deployments.extensions is left out for deployments.apps. */
    size_t size = (size_t)(group - name) + 1;
    for (const char *line = all; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line, name, size) == 0 && strncmp(line + size, "extensions\n", 11) != 0)
            return false;
    return true;
}

int pb_capture_kinds(pb_slice names, pb_buffer *ret_kinds, pb_error *error)
{
    pb_buffer all = {0};
    size_t start = ret_kinds->size;
    int done = 0;
    pb_buffer_append_slice(&all, names);
    pb_buffer_append_char(&all, '\n');
    for (size_t at = 0; done == 0 && at < all.size;) {
        size_t size = (size_t)((char *)memchr(all.data + at, '\n', all.size - at) - all.data) - at;
        char *name = pb_duplicate((pb_slice){all.data + at, size});
        if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != size || *name == '-' ||
            *name == '.')
            done = pb_error_set(error, PB_ERROR_FAILED,
                                "kubectl api-resources: \"%s\" is no name of a kind", name);
        else if (size > 0 && is_read(name, all.data))
            pb_buffer_append_format(ret_kinds, "%s%s", ret_kinds->size > start ? "," : "", name);
        free(name);
        at += size + 1;
    }
    pb_buffer_free(&all);
    if (done == 0 && ret_kinds->size == start)
        done = pb_error_set(error, PB_ERROR_FAILED, "kubectl api-resources: names no kind");
    return done;
}

/* A kind has no dot: what follows the first one is the group. */
static bool has_kinds(const char *names, const char *group)
{
    for (const char *line = names; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t size = strcspn(line, "\n"), kind = strcspn(line, ".\n");
        if (size - kind == strlen(group) && strncmp(line + kind, group, size - kind) == 0)
            return true;
    }
    return false;
}

int pb_capture_silent_groups(const json_t *groups, pb_slice names, json_t **ret_versions,
                             pb_error *error)
{
    json_t *list, *item, *versions = json_array();
    char *lines = pb_duplicate(names);
    size_t i;
    int failed = pb_json_array(groups, "groups", "the list of APIs", &list, error);
    if (!failed)
        json_array_foreach(list, i, item)
        {
            pb_buffer group = {0};
            const char *version = pb_object_text(item, "preferredVersion.groupVersion");
            pb_buffer_append_format(&group, ".%s", pb_object_text(item, "name"));
            if (version[0] && !is_metrics(group.data) && !has_kinds(lines, group.data))
                json_array_append_new(versions, json_string(version));
            pb_buffer_free(&group);
        }
    free(lines);
    if (failed)
        json_decref(versions);
    else
        *ret_versions = versions;
    return failed;
}

/* ---- stripping ---- */

/* Takes away what is not named, of an object that may be none. */
static void keep_only(json_t *object, const char *const *names, size_t count)
{
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, name, value)
    {
        if (!is_one_of(name, names, count))
            json_object_del(object, name);
    }
}

static void drop(json_t *object, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_object_del(object, names[i]);
}

static void drop_where_empty(json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if ((json_is_object(value) && json_object_size(value) == 0) ||
        (json_is_array(value) && json_array_size(value) == 0))
        json_object_del(object, name);
}

static void strip_metadata(json_t *object)
{
    /* Finalizers, too, go: their controllers put them on again, and where there is none of them the
     * object could never be deleted. */
    static const char *const kept[] = {"name", "namespace", "labels", "annotations"};
    static const char *const annotations[] = {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deployment.kubernetes.io/revision",
        "pv.kubernetes.io/bind-completed",
        "pv.kubernetes.io/bound-by-controller",
        "volume.kubernetes.io/selected-node",
        "volume.kubernetes.io/storage-provisioner",
        "volume.beta.kubernetes.io/storage-provisioner",
        "control-plane.alpha.kubernetes.io/leader",
        "autoscaling.alpha.kubernetes.io/conditions",
        "autoscaling.alpha.kubernetes.io/current-metrics",
        "cloud.google.com/neg-status",
        "batch.kubernetes.io/job-tracking",
    };
    json_t *metadata = pb_object_at(object, "metadata");
    keep_only(metadata, kept, COUNT(kept));
    drop(json_object_get(metadata, "annotations"), annotations, COUNT(annotations));
    drop_where_empty(metadata, "annotations");
    json_t *inner = json_object_get(pb_object_pod_template(object), "metadata");
    json_object_del(inner, "creationTimestamp");
}

static void strip_service(json_t *spec)
{
    if (strcmp(pb_object_text(spec, "clusterIP"), "None") != 0) {
        static const char *const addresses[] = {"clusterIP", "clusterIPs"};
        drop(spec, addresses, COUNT(addresses));
    }
    /* Defaults of the old cluster's network: another may have another family. */
    const char *policy = pb_object_text(spec, "ipFamilyPolicy");
    if (!*policy || strcmp(policy, "SingleStack") == 0) {
        static const char *const families[] = {"ipFamilies", "ipFamilyPolicy"};
        drop(spec, families, COUNT(families));
    }
    json_object_del(spec, "healthCheckNodePort");
    /* Those of a load balancer are given out by chance, and may be taken elsewhere. */
    json_t *port;
    size_t i;
    if (strcmp(pb_object_text(spec, "type"), "NodePort") != 0)
        json_array_foreach(json_object_get(spec, "ports"), i, port)
        {
            json_object_del(port, "nodePort");
        }
}

/* Names of tokens that the cluster makes for each account: NAME-token-x7k2p. */
static void strip_service_account(json_t *object)
{
    static const char *const lists[] = {"secrets", "imagePullSecrets"};
    static const char *const endings[] = {"-token-", "-dockercfg-"};
    const char *account = pb_object_name(object);
    size_t size = strlen(account);
    for (size_t list = 0; list < COUNT(lists); list++) {
        json_t *names = json_object_get(object, lists[list]);
        for (size_t i = json_array_size(names); i-- > 0;) {
            const char *name = pb_object_text(json_array_get(names, i), "name");
            for (size_t ending = 0; ending < COUNT(endings); ending++)
                if (strncmp(name, account, size) == 0 &&
                    starts_with(name + size, endings[ending])) {
                    json_array_remove(names, i);
                    break;
                }
        }
        drop_where_empty(object, lists[list]);
    }
}

/* The server makes selector and these labels of the Job's uid, and refuses others. */
static void strip_job(json_t *object)
{
    static const char *const labels[] = {
        "controller-uid",
        "job-name",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-name",
    };
    json_t *spec = json_object_get(object, "spec");
    if (json_is_true(json_object_get(spec, "manualSelector")))
        return;
    json_object_del(spec, "selector");
    drop(pb_object_at(spec, "template.metadata.labels"), labels, COUNT(labels));
    drop(pb_object_at(object, "metadata.labels"), labels, COUNT(labels));
}

void pb_capture_strip(json_t *object, const pb_workloads *workloads)
{
    const char *kind = pb_object_kind(object);
    json_t *spec = json_object_get(object, "spec");
    json_object_del(object, "status");
    strip_metadata(object);
    if (strcmp(kind, "Service") == 0)
        strip_service(spec);
    else if (strcmp(kind, "PersistentVolumeClaim") == 0)
        json_object_del(spec, "volumeName");
    else if (strcmp(kind, "ServiceAccount") == 0)
        strip_service_account(object);
    else if (strcmp(kind, "Job") == 0)
        strip_job(object);
    else if (strcmp(kind, "StatefulSet") == 0) {
        json_t *claim;
        size_t i;
        json_array_foreach(json_object_get(spec, "volumeClaimTemplates"), i, claim)
        {
            json_object_del(claim, "status");
            json_object_del(json_object_get(claim, "metadata"), "creationTimestamp");
        }
    }
    const pb_workload *recorded =
        workloads ? pb_workloads_find(workloads, kind, pb_object_name(object)) : NULL;
    if (recorded && json_is_object(spec))
        json_object_set_new(spec, "replicas", json_integer((json_int_t)recorded->replicas));
}

/* ---- order and lines ---- */

static int rank(const char *kind)
{
    static const char *const first[] = {
        "ServiceAccount",        "Secret",  "ConfigMap", "Role", "RoleBinding",
        "PersistentVolumeClaim", "Service",
    };
    static const char *const last[] = {
        "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController",
        "Job",        "CronJob",
    };
    for (size_t i = 0; i < COUNT(first); i++)
        if (strcmp(kind, first[i]) == 0)
            return (int)i;
    return is_one_of(kind, last, COUNT(last)) ? COUNT(first) + 1 : COUNT(first);
}

static int compare(const void *a, const void *b)
{
    const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;
    const char *kind = pb_object_kind(one), *other_kind = pb_object_kind(other);
    int order = rank(kind) - rank(other_kind);
    order = order ? order : strcmp(kind, other_kind);
    order = order ? order
                  : strcmp(pb_object_text(one, "apiVersion"), pb_object_text(other, "apiVersion"));
    return order ? order : strcmp(pb_object_name(one), pb_object_name(other));
}

void pb_capture_append(const json_t *items, const pb_workloads *workloads, pb_buffer *ret_ndjson,
                       size_t *ret_objects)
{
    size_t count = 0;
    json_t **wanted = pb_allocate((json_array_size(items) + 1) * sizeof(*wanted));
    json_t *seen = json_object(), *item;
    size_t i;
    json_array_foreach(items, i, item)
    {
        if (!pb_capture_wants(item))
            continue;
        /* The same object may be listed under two API groups. */
        const char *uid = pb_object_text(item, "metadata.uid");
        if (*uid && json_object_get(seen, uid))
            continue;
        if (*uid)
            json_object_set_new(seen, uid, json_true());
        wanted[count] = json_deep_copy(item);
        pb_capture_strip(wanted[count++], workloads);
    }
    qsort(wanted, count, sizeof(*wanted), compare);
    for (i = 0; i < count; i++) {
        pb_json_append(ret_ndjson, wanted[i]);
        json_decref(wanted[i]);
    }
    json_decref(seen);
    free(wanted);
    *ret_objects = count;
}

static int parse_line(pb_slice line, size_t number, json_t **ret_object, pb_error *error)
{
    /* Not pb_json_parse: it quotes what it stumbles over, and that may be a secret. */
    json_error_t cause;
    json_t *object = json_loadb(line.data, line.size, JSON_REJECT_DUPLICATES, &cause);
    if (object == NULL)
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "captured objects: line %zu: not valid JSON at column %d", number,
                            cause.column);
    const char *missing = !*pb_object_text(object, "apiVersion") ? "apiVersion"
                          : !*pb_object_kind(object)             ? "kind"
                          : !*pb_object_name(object)             ? "metadata.name"
                                                                 : NULL;
    if (missing) {
        json_decref(object);
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "captured objects: line %zu: \"%s\" is missing or no text", number,
                            missing);
    }
    *ret_object = object;
    return 0;
}

int pb_capture_parse(pb_slice ndjson, json_t **ret_objects, pb_error *error)
{
    json_t *objects = json_array();
    size_t number = 0;
    for (size_t at = 0; at < ndjson.size;) {
        const char *line = ndjson.data + at, *end = memchr(line, '\n', ndjson.size - at);
        json_t *object = NULL;
        number++;
        int done = -1;
        if (end == NULL)
            pb_error_set(error, PB_ERROR_DAMAGED, "captured objects: line %zu is cut", number);
        else
            done = parse_line((pb_slice){line, (size_t)(end - line)}, number, &object, error);
        if (done != 0) {
            json_decref(objects);
            return -1;
        }
        json_array_append_new(objects, object);
        at += (size_t)(end - line) + 1;
    }
    *ret_objects = objects;
    return 0;
}
