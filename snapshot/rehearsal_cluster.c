/* What is asked of Kubernetes. */
#include "cluster/kubernetes/access.h"
#include "cluster/kubernetes/capture.h"
#include "cluster/kubernetes/velero.h"
#include "snapshot/job.h"
#include "snapshot/rehearsal.h"
#include <stdlib.h>

/* An aggregated API that is down is rarely back a minute later. */
enum { CAPTURE_PATIENCE_MS = 10 * 1000, RIGHTS_MAX = 24 };

/* ---- rights ---- */

typedef struct right_list {
    const char *name_space;
    pb_access items[RIGHTS_MAX];
    size_t count;
} right_list;

static void add(right_list *list, const char *verb, const char *group, const char *resource,
                const char *subresource, const char *name)
{
    if (list->count == RIGHTS_MAX)
        abort(); /* a bug */
    list->items[list->count++] = (pb_access){
        .name_space = list->name_space,
        .verb = verb,
        .group = group,
        .resource = resource,
        .subresource = subresource,
        .name = name,
    };
}

/* Every call of kubectl that a backup, suspend or resume makes; deploy/rbac.yaml grants the same,
 * and tests/integration/cluster_deploy.py compares both with what the API server is asked. */
static void list_rights(const pb_rehearsal *self, right_list *list)
{
    static const char record[] = PB_SUSPENSION_CONFIG_MAP;
    const pb_cluster_options *cluster = self->cluster;
    const char *scale = self->session->kubectl_is_old ? "" : "scale";
    const char *password = self->has_pachyderm ? self->pachyderm.password_secret : "";
    const char *set = getenv("PGPASSWORD");
    list->name_space = cluster->name_space;
    add(list, "list", "apps", "deployments", "", "");
    add(list, "list", "", "replicationcontrollers", "", "");
    add(list, "list", "", "pods", "", "");
    add(list, "list", "", "services", "", "");
    add(list, "list", "", "configmaps", "", "");
    add(list, "create", "", "configmaps", "", "");
    add(list, "get", "", "configmaps", "", record);
    add(list, "update", "", "configmaps", "", record);
    add(list, "delete", "", "configmaps", "", record);
    add(list, "get", "apps", "deployments", scale, "");
    add(list, "patch", "apps", "deployments", scale, "");
    add(list, "get", "", "replicationcontrollers", scale, "");
    add(list, "patch", "", "replicationcontrollers", scale, "");
    if (self->advises) { /* a run does without: it lists again and again */
        add(list, "watch", "apps", "deployments", "", "");
        add(list, "watch", "", "replicationcontrollers", "", "");
        add(list, "watch", "", "pods", "", "");
    }
    if (self->advises) /* whether a run needs it, Pachyderm has told by now */
        add(list, "get", "", "secrets", "", PB_STORAGE_SECRET);
    if (cluster->grace_s)
        add(list, "delete", "", "pods", "", "");
    if (cluster->dump != PB_DUMP_NONE && password[0] && !(set && set[0]))
        add(list, "get", "", "secrets", "", password);
    if (cluster->kubernetes == PB_KUBERNETES_VELERO) {
        list->name_space = cluster->velero_namespace;
        add(list, "create", "velero.io", "backups", "", "");
        add(list, "get", "velero.io", "backups", "", "");
        if (self->advises)
            add(list, "watch", "velero.io", "backups", "", "");
    }
}

static void tell_right(pb_rehearsal *self, const pb_access *access)
{
    pb_buffer right = {0}, name = {0};
    pb_error error = {0};
    pb_access_describe(access, &right);
    pb_buffer_append_format(&name, "right to %s", right.data);
    if (access->allowed) {
        pb_rehearsal_pass(self, name.data, "yes");
    } else {
        pb_error_set(&error, PB_ERROR_REFUSED, "forbidden: this account may not %s in namespace %s",
                     right.data, access->name_space);
        pb_error_hint(&error, "`pbcopy doctor` lists the rights that are needed; deploy/rbac.yaml "
                              "grants them");
        pb_rehearsal_fail(self, name.data, &error);
    }
    pb_buffer_free(&right);
    pb_buffer_free(&name);
}

static void check_rights(pb_rehearsal *self)
{
    right_list list = {0};
    pb_error error = {0};
    list_rights(self, &list);
    if (pb_access_ask(&self->kubectl, list.items, list.count, &error)) {
        pb_rehearsal_fail(self, "rights", &error);
        return;
    }
    for (size_t i = 0; i < list.count; i++)
        tell_right(self, &list.items[i]);
}

/* ---- the capture ---- */

/* By doing it: which kinds there are, and which of them may be listed, only a listing tells. */
static void check_capture(pb_rehearsal *self)
{
    pb_kubectl kubectl = self->kubectl;
    pb_buffer objects = {0};
    pb_error error = {0};
    size_t count = 0;
    if (kubectl.patience_ms > CAPTURE_PATIENCE_MS)
        kubectl.patience_ms = CAPTURE_PATIENCE_MS;
    if (pb_capture_check_groups(&kubectl, &error) ||
        pb_capture(&kubectl, NULL, &objects, &count, &error))
        pb_rehearsal_fail(self, "capture", &error);
    else
        pb_rehearsal_pass(self, "capture", "every kind may be listed; objects to capture: %zu",
                          count);
    pb_buffer_wipe(&objects);
}

static void check_velero(pb_rehearsal *self)
{
    pb_error error = {0};
    if (pb_velero_check(&self->kubectl, &error))
        pb_rehearsal_fail(self, "Velero", &error);
    else
        pb_rehearsal_pass(self, "Velero", "the cluster has its API group");
}

/* ---- Pachyderm ---- */

/* pachd does not start with such a one: the namespace is not what a backup should be of. */
static void check_backend(pb_rehearsal *self)
{
    const pb_pachyderm *pachyderm = &self->pachyderm;
    pb_error error = {0};
    if (pachyderm->storage_path[0])
        pb_rehearsal_pass(self, "storage backend", "%s: data lies in directory %s of pachd's node",
                          pachyderm->storage_backend, pachyderm->storage_path);
    if (!self->advises || pb_pachyderm_takes_backend(pachyderm))
        return;
    pb_error_set(&error, PB_ERROR_USAGE, "Pachyderm %s refuses STORAGE_BACKEND=%s",
                 pachyderm->version, pachyderm->storage_backend);
    pb_error_hint(&error, "from 2.11 on it takes AMAZON, GOOGLE, MICROSOFT and LOCAL; MinIO is "
                          "AMAZON with STORAGE_URL s3://BUCKET?endpoint=HOST:PORT");
    pb_rehearsal_fail(self, "storage backend", &error);
}

void pb_rehearsal_fail_cluster(pb_rehearsal *self, const char *name, const pb_error *error)
{
    self->lacks_cluster |= error->kind == PB_ERROR_UNREACHABLE || error->kind == PB_ERROR_USAGE;
    pb_rehearsal_fail(self, name, error);
}

static void check_pachyderm(pb_rehearsal *self)
{
    const pb_pachyderm *pachyderm = &self->pachyderm;
    pb_error error = {0};
    if (pb_pachyderm_read(&self->kubectl, &self->pachyderm, &error)) {
        pb_rehearsal_fail_cluster(self, "Pachyderm", &error);
        return;
    }
    self->has_pachyderm = true;
    pb_rehearsal_pass(self, "Pachyderm", "version %s in namespace %s, %zu workloads that write%s",
                      pachyderm->version, self->cluster->name_space, pachyderm->writers.count,
                      pachyderm->paused ? ", paused" : "");
    check_backend(self);
}

void pb_rehearse_cluster(pb_rehearsal *self)
{
    if (self->lacks_cluster || self->session->cancelled)
        return;
    check_pachyderm(self);
    if (self->lacks_cluster || self->session->cancelled)
        return;
    check_rights(self);
    if (self->session->cancelled)
        return;
    if (self->cluster->kubernetes == PB_KUBERNETES_NATIVE)
        check_capture(self);
    else if (self->cluster->kubernetes == PB_KUBERNETES_VELERO)
        check_velero(self);
}

void pb_rehearse_suspension(pb_rehearsal *self)
{
    static const char name[] = "suspension";
    pb_suspension suspension = {0};
    pb_error error = {0};
    if (self->lacks_cluster || self->session->cancelled)
        return;
    if (!pb_suspension_find(&self->kubectl, &suspension, &error)) {
        bool stands = pb_suspension_stands(&suspension);
        bool alive = true; /* where that cannot be found out */
        pb_error ignored = {0};
        if (!stands)
            pb_suspension_is_alive(&self->kubectl, &suspension, &alive, &ignored);
        bool waits = alive && !stands, undone = !alive && !pb_suspension_restores(&suspension);
        pb_error_set(&error, PB_ERROR_BUSY, "the namespace is suspended, by %s on %s (%s)",
                     suspension.holder, suspension.process.host,
                     stands  ? "`pbcopy suspend`"
                     : alive ? "which is alive"
                             : "which is over");
        pb_error_hint(&error, waits ? "wait for it" : "`pbcopy resume` scales it up again");
        if (!undone || self->advises)
            pb_rehearsal_fail(self, name, &error);
        else
            pb_rehearsal_pass(self, name, "%s: a backup scales it up again first", error.message);
        pb_suspension_free(&suspension);
    } else if (error.kind == PB_ERROR_NOT_FOUND) {
        pb_rehearsal_pass(self, name, "none");
    } else {
        pb_rehearsal_fail_cluster(self, name, &error);
    }
}
