#include "manifest/cluster_record.h"

#include <stdio.h>
#include <stdlib.h>

enum { KIND_BYTES_MAX = 63, NAME_BYTES_MAX = 253 };

/* ---- workloads ---- */

void pb_workloads_add(pb_workloads *workloads, const char *kind, const char *name,
                      uint64_t replicas)
{
    size_t count = workloads->count + 1;
    workloads->items = pb_reallocate(workloads->items, count * sizeof(*workloads->items));
    workloads->items[workloads->count] = (pb_workload){
        .kind = pb_duplicate(pb_slice_of(kind)),
        .name = pb_duplicate(pb_slice_of(name)),
        .replicas = replicas,
    };
    workloads->count = count;
}

void pb_workloads_append(pb_workloads *workloads, const pb_workloads *more)
{
    for (size_t i = 0; i < more->count; i++)
        pb_workloads_add(workloads, more->items[i].kind, more->items[i].name,
                         more->items[i].replicas);
}

void pb_workloads_free(pb_workloads *workloads)
{
    for (size_t i = 0; i < workloads->count; i++) {
        free(workloads->items[i].kind);
        free(workloads->items[i].name);
    }
    free(workloads->items);
    *workloads = (pb_workloads){0};
}

const pb_workload *pb_workloads_find(const pb_workloads *workloads, const char *kind,
                                     const char *name)
{
    for (size_t i = 0; i < workloads->count; i++) {
        const pb_workload *workload = &workloads->items[i];
        if (strcmp(workload->kind, kind) == 0 && strcmp(workload->name, name) == 0)
            return workload;
    }
    return NULL;
}

json_t *pb_workloads_json(const pb_workloads *workloads)
{
    json_t *array = json_array();
    for (size_t i = 0; i < workloads->count; i++) {
        const pb_workload *workload = &workloads->items[i];
        json_t *object = json_pack("{s:s, s:s, s:I}", "kind", workload->kind, "name",
                                   workload->name, "replicas", (json_int_t)workload->replicas);
        if (object == NULL || json_array_append_new(array, object) != 0)
            abort();
    }
    return array;
}

/* Kinds and names become arguments of kubectl: nothing that it could take for an option. */
static bool is_kind(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && size <= KIND_BYTES_MAX &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == size;
}

static bool is_name(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && size <= NAME_BYTES_MAX && text[0] != '-' && text[0] != '.' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") == size;
}

static int read_workload(const json_t *object, const char *what, pb_workloads *workloads,
                         pb_error *error)
{
    const char *kind, *name;
    uint64_t replicas;
    if (!json_is_object(object))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: not a JSON object", what);
    if (pb_json_string(object, "kind", what, &kind, error) != 0 ||
        pb_json_string(object, "name", what, &name, error) != 0 ||
        pb_json_unsigned(object, "replicas", what, &replicas, error) != 0)
        return -1;
    if (!is_kind(kind) || !is_name(name))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"%s\" is no name of Kubernetes", what,
                            is_kind(kind) ? "name" : "kind");
    if (replicas > INT32_MAX)
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: more replicas than Kubernetes can count",
                            what);
    if (pb_workloads_find(workloads, kind, name))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: %s %s is there twice", what, kind, name);
    pb_workloads_add(workloads, kind, name, replicas);
    return 0;
}

int pb_workloads_parse(const json_t *array, const char *what, pb_workloads *ret_workloads,
                       pb_error *error)
{
    pb_workloads workloads = {0};
    if (!json_is_array(array))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: workloads are not an array", what);
    for (size_t i = 0; i < json_array_size(array); i++) {
        char workload_what[160];
        snprintf(workload_what, sizeof(workload_what), "%.100s: workload %zu", what, i + 1);
        if (read_workload(json_array_get(array, i), workload_what, &workloads, error) != 0) {
            pb_workloads_free(&workloads);
            return -1;
        }
    }
    *ret_workloads = workloads;
    return 0;
}

/* ---- the record ---- */

void pb_cluster_record_free(pb_cluster_record *record)
{
    for (size_t i = 0; i < record->artifact_count; i++) {
        free(record->artifacts[i].path);
        free(record->artifacts[i].database);
    }
    free(record->artifacts);
    free(record->name_space);
    free(record->pachyderm_version);
    free(record->database_name);
    free(record->identity_database);
    free(record->database_version);
    free(record->kubernetes);
    free(record->velero_backup);
    pb_workloads_free(&record->workloads);
    *record = (pb_cluster_record){0};
}

pb_artifact *pb_cluster_record_add(pb_cluster_record *record)
{
    size_t count = record->artifact_count + 1;
    record->artifacts = pb_reallocate(record->artifacts, count * sizeof(*record->artifacts));
    pb_artifact *artifact = &record->artifacts[record->artifact_count];
    *artifact = (pb_artifact){0};
    record->artifact_count = count;
    return artifact;
}

bool pb_artifact_is_dump(const pb_artifact *artifact)
{
    return artifact->kind == PB_ARTIFACT_DUMP || artifact->kind == PB_ARTIFACT_DUMP_ALL;
}

const pb_artifact *pb_cluster_record_find(const pb_cluster_record *record, pb_artifact_kind kind,
                                          const char *database)
{
    for (size_t i = 0; i < record->artifact_count; i++) {
        const pb_artifact *artifact = &record->artifacts[i];
        const char *name = artifact->database ? artifact->database : "";
        if (artifact->kind == kind && (database == NULL || strcmp(name, database) == 0))
            return artifact;
    }
    return NULL;
}
