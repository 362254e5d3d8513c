#include "base/clock.h"
#include "base/codec.h"
#include "cluster/kubernetes/capture.h"
#include "cluster/kubernetes/velero.h"
#include "snapshot/restore_steps.h"
#include <stdlib.h>

static int delete_selected(pb_restoring *self, const char *kinds, const char *selector,
                           pb_error *error)
{
    const char *const arguments[] = {"delete", kinds, "--selector", selector, "--ignore-not-found",
                                     NULL};
    return pb_kubectl_run(&self->kubectl, arguments, (pb_slice){NULL, 0}, NULL, error);
}

/* What Velero brings along and a restored cluster must not have: workers that point at the old
 * bucket, and the record of the suspension in which they were captured. */
static int delete_strays(pb_restoring *self, pb_error *error)
{
    const char *const record[] = {"delete",
                                  "configmap",
                                  "--selector",
                                  PB_VELERO_LABEL ",app.kubernetes.io/managed-by=pbcopy",
                                  "--ignore-not-found",
                                  NULL};
    return pb_restoring_delete_workers(self, error) ||
                   pb_kubectl_run(&self->kubectl, record, (pb_slice){NULL, 0}, NULL, error)
               ? -1
               : 0;
}

static int delete_all(pb_restoring *self, json_t *objects, const char *cascade, pb_error *error)
{
    json_t *list = pb_restoring_list_of(objects);
    int failed =
        json_array_size(objects) ? pb_kubectl_delete(&self->kubectl, list, cascade, error) : 0;
    json_decref(list);
    return failed;
}

static int replace_all(pb_restoring *self, json_t *objects, pb_error *error)
{
    json_t *list = pb_restoring_list_of(objects);
    int failed = json_array_size(objects) ? pb_kubectl_replace(&self->kubectl, list, error) : 0;
    json_decref(list);
    return failed;
}

static int patch_claims(pb_restoring *self, const json_t *patches, pb_error *error)
{
    for (size_t i = 0; i < json_array_size(patches); i++) {
        const json_t *item = json_array_get(patches, i);
        if (pb_kubectl_patch(&self->kubectl, "persistentvolumeclaim",
                             json_string_value(json_object_get(item, "name")),
                             json_object_get(item, "patch"), error))
            return -1;
    }
    return 0;
}

/* Pods run already that Velero brought, with what names the old cluster in them: they go first, and
 * with them the revisions of their workloads. Only writers come with no replicas: their counts are
 * recorded, those of others would be lost with a run that dies here. */
static int carry_out(pb_restoring *self, const pb_velero_plan *plan, pb_error *error)
{
    const pb_workloads *writers = &self->record->workloads;
    pb_workloads workloads = {0};
    pb_restoring_take_counts(plan->made, writers, &workloads);
    for (size_t i = 0; i < writers->count; i++) {
        const pb_workload *writer = &writers->items[i];
        if (strcmp(writer->kind, "ReplicationController") != 0 &&
            !pb_workloads_find(&workloads, writer->kind, writer->name))
            pb_workloads_add(&workloads, writer->kind, writer->name, writer->replicas);
    }
    int failed =
        delete_all(self, plan->removed, "foreground", error) ||
        delete_all(self, plan->orphaned, "orphan", error) ||
        delete_selected(self, "replicasets.apps", PB_VELERO_LABEL ",pod-template-hash", error) ||
        delete_selected(self, "pods,controllerrevisions.apps", PB_VELERO_LABEL, error) ||
        replace_all(self, plan->replaced, error) || patch_claims(self, plan->patches, error) ||
        pb_restoring_apply(self, plan->made, error) ||
        pb_restoring_scale_up(self, &workloads, error);
    pb_workloads_free(&workloads);
    return failed ? -1 : 0;
}

/* What Velero has restored becomes what a capture would have become. */
static int edit_restored(pb_restoring *self, pb_error *error)
{
    pb_buffer ndjson = {0};
    json_t *objects = NULL, *before = NULL;
    size_t count;
    int failed = delete_strays(self, error) ||
                 pb_capture(&self->kubectl, &self->record->workloads, &ndjson, &count, error) ||
                 pb_capture_parse(pb_buffer_slice(&ndjson), &objects, error);
    if (!failed) {
        before = json_deep_copy(objects);
        failed = pb_restoring_edit(self, objects, error);
    }
    if (!failed) {
        pb_velero_plan plan;
        pb_session_phase(self->session, "editing what Velero restored");
        pb_velero_plan_edit(before, objects, &plan);
        self->result->kubernetes_objects = json_array_size(objects);
        failed = carry_out(self, &plan, error);
        pb_velero_plan_free(&plan);
    }
    json_decref(before);
    json_decref(objects);
    pb_buffer_free(&ndjson);
    return failed ? -1 : 0;
}

int pb_restoring_restore_by_velero(pb_restoring *self, pb_error *error)
{
    pb_kubectl velero = self->kubectl;
    const char *slash = strchr(self->record->velero_backup, '/');
    if (!slash)
        return pb_error_set(error, PB_ERROR_DAMAGED, "snapshot %s names no backup of Velero",
                            self->file.id);
    char *name_space = pb_duplicate(
        (pb_slice){self->record->velero_backup, (size_t)(slash - self->record->velero_backup)});
    velero.name_space = name_space;
    pb_buffer name = {0};
    char now[PB_TIME_TEXT_MAX];
    pb_time_format_basic(pb_clock_utc_ms(), now);
    for (char *c = now; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
    pb_buffer_append_format(&name, "%s-%s", slash + 1, now);
    pb_session_phase(self->session, "restoring through Velero");
    if (pb_restoring_confirm(self, error)) {
        pb_buffer_free(&name);
        free(name_space);
        return -1;
    }
    self->has_changed = true;
    int failed = pb_velero_restore(&velero, name.data, slash + 1, self->record->name_space,
                                   self->cluster->name_space, self->cluster->wait_ms,
                                   pb_restoring_tell_waiting, self->session, error);
    if (!failed)
        failed = edit_restored(self, error);
    pb_buffer_free(&name);
    free(name_space);
    return failed ? -1 : 0;
}
