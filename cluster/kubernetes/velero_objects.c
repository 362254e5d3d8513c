/* Velero's Backup and Restore: pure. */
#include "cluster/kubernetes/object.h"
#include "cluster/kubernetes/velero.h"
#include "cluster/pachyderm/layout.h"

#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static json_t *object_of(const char *kind, const char *velero_namespace, const char *name,
                         json_t *spec)
{
    json_t *object =
        json_pack("{s:s,s:s,s:{s:s,s:s},s:o}", "apiVersion", "velero.io/v1", "kind", kind,
                  "metadata", "name", name, "namespace", velero_namespace, "spec", spec);
    if (object == NULL)
        abort(); /* names that are not UTF-8: they were checked before */
    return object;
}

json_t *pb_velero_backup_object(const char *velero_namespace, const char *name,
                                const char *included)
{
    /* snapshotVolumes is left to Velero's own configuration. */
    return object_of("Backup", velero_namespace, name,
                     json_pack("{s:[s],s:s}", "includedNamespaces", included, "ttl", "87600h0m0s"));
}

json_t *pb_velero_restore_object(const char *velero_namespace, const char *name, const char *backup,
                                 const char *included, const char *target)
{
    json_t *spec =
        json_pack("{s:s,s:[s],s:{s:[{s:s,s:s,s:[s]}]}}", "backupName", backup, "includedNamespaces",
                  included, "labelSelector", "matchExpressions", "key", PB_WORKER_LABEL, "operator",
                  "NotIn", "values", PB_WORKER_LABEL_VALUE);
    if (target && strcmp(target, included) != 0)
        json_object_set_new(spec, "namespaceMapping", json_pack("{s:s}", included, target));
    return object_of("Restore", velero_namespace, name, spec);
}

static json_int_t count_of(const json_t *object, const char *path)
{
    return json_integer_value(pb_object_at(object, path));
}

/* "status.validationErrors" has most of what is wrong before a start, failureReason what is after.
 */
static void append_words(const json_t *object, pb_buffer *words)
{
    const char *reason = pb_object_text(object, "status.failureReason");
    json_int_t errors = count_of(object, "status.errors");
    json_int_t warnings = count_of(object, "status.warnings");
    const json_t *flaws = pb_object_at(object, "status.validationErrors"), *flaw;
    size_t i;
    if (errors > 0 || warnings > 0)
        pb_buffer_append_format(
            words, ", %" JSON_INTEGER_FORMAT " errors, %" JSON_INTEGER_FORMAT " warnings", errors,
            warnings);
    if (*reason)
        pb_buffer_append_format(words, ": %s", reason);
    json_array_foreach(flaws, i, flaw)
    {
        if (json_is_string(flaw))
            pb_buffer_append_format(words, ": %s", json_string_value(flaw));
    }
}

int pb_velero_judge(const json_t *object, pb_error *error)
{
    static const char *const ends[] = {"FailedValidation", "PartiallyFailed", "Failed", "Deleting"};
    const char *phase = pb_object_text(object, "status.phase");
    bool completed = strcmp(phase, "Completed") == 0, failed = false;
    if (completed && count_of(object, "status.errors") == 0)
        return 1;
    for (size_t i = 0; i < COUNT(ends); i++)
        failed = failed || strcmp(phase, ends[i]) == 0;
    if (!failed && !completed)
        return 0;
    pb_buffer words = {0};
    append_words(object, &words);
    pb_error_set(error, PB_ERROR_FAILED, "Velero's %s %s/%s is %s%s", pb_object_kind(object),
                 pb_object_text(object, "metadata.namespace"), pb_object_name(object), phase,
                 words.data ? words.data : "");
    pb_buffer_free(&words);
    return pb_error_hint(error, "velero %s describe %s --details",
                         strcmp(pb_object_kind(object), "Restore") == 0 ? "restore" : "backup",
                         pb_object_name(object));
}

void pb_velero_progress(const json_t *object, pb_buffer *buffer)
{
    const char *phase = pb_object_text(object, "status.phase");
    json_int_t done = count_of(object, "status.progress.itemsBackedUp") +
                      count_of(object, "status.progress.itemsRestored");
    json_int_t total = count_of(object, "status.progress.totalItems");
    pb_buffer_append_text(buffer, *phase ? phase : "not begun");
    if (total > 0)
        pb_buffer_append_format(
            buffer, ", %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " items", done, total);
}

/* ---- after a restore ---- */

/* Enough to delete it by. */
static json_t *name_of(const json_t *object)
{
    return json_pack("{s:s,s:s,s:{s:s}}", "apiVersion", pb_object_text(object, "apiVersion"),
                     "kind", pb_object_kind(object), "metadata", "name", pb_object_name(object));
}

/* A merge patch from one object of text members to another. */
static json_t *patch_of(const json_t *before, const json_t *after)
{
    json_t *patch = json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)before, name, value)
    {
        if (json_object_get(after, name) == NULL)
            json_object_set_new(patch, name, json_null());
    }
    json_object_foreach((json_t *)(uintptr_t)after, name, value)
    {
        if (!json_equal(json_object_get(before, name), value))
            json_object_set(patch, name, value);
    }
    return patch;
}

static json_t *claim_patch(const json_t *before, const json_t *after)
{
    static const char labels_at[] = "metadata.labels", annotations_at[] = "metadata.annotations";
    json_t *labels = patch_of(pb_object_at(before, labels_at), pb_object_at(after, labels_at));
    json_t *annotations =
        patch_of(pb_object_at(before, annotations_at), pb_object_at(after, annotations_at));
    /* A capture has left it out of both; it holds the whole object as it was in the source. */
    json_object_set_new(annotations, "kubectl.kubernetes.io/last-applied-configuration",
                        json_null());
    return json_pack("{s:s,s:{s:{s:o,s:o}}}", "name", pb_object_name(after), "patch", "metadata",
                     "labels", labels, "annotations", annotations);
}

static bool is_made_anew(const json_t *object)
{
    return pb_object_pod_template(object) || strcmp(pb_object_kind(object), "Service") == 0;
}

/* Its claims are deleted with a StatefulSet that says so. */
static bool takes_claims_along(const json_t *object)
{
    return strcmp(pb_object_text(object, "spec.persistentVolumeClaimRetentionPolicy.whenDeleted"),
                  "Delete") == 0;
}

static void plan_object(const json_t *before, json_t *after, pb_velero_plan *plan)
{
    if (after == NULL) {
        json_array_append_new(plan->removed, name_of(before));
    } else if (json_equal(before, after)) {
        return;
    } else if (strcmp(pb_object_kind(after), "PersistentVolumeClaim") == 0) {
        json_array_append_new(plan->patches, claim_patch(before, after));
    } else if (is_made_anew(after)) {
        json_array_append_new(takes_claims_along(before) ? plan->orphaned : plan->removed,
                              name_of(before));
        json_array_append(plan->made, after);
    } else {
        json_array_append(plan->replaced, after);
    }
}

void pb_velero_plan_edit(const json_t *before, const json_t *after, pb_velero_plan *ret_plan)
{
    pb_velero_plan plan = {json_array(), json_array(), json_array(), json_array(), json_array()};
    json_t *edited = pb_objects_by_name(after), *object;
    size_t i;
    json_array_foreach(before, i, object)
    {
        plan_object(object, pb_object_of_same_name(edited, object), &plan);
    }
    json_decref(edited);
    *ret_plan = plan;
}

void pb_velero_plan_free(pb_velero_plan *plan)
{
    json_decref(plan->removed);
    json_decref(plan->orphaned);
    json_decref(plan->replaced);
    json_decref(plan->patches);
    json_decref(plan->made);
    *plan = (pb_velero_plan){0};
}
