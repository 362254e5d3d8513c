#include "cli/result_cluster.h"

#include "base/clock.h"
#include "base/codec.h"
#include "cli/quantity.h"
#include "cli/result_json.h"
#include <stdlib.h>

static const char *name_of(const pb_artifact *artifact)
{
    switch (artifact->kind) {
    case PB_ARTIFACT_DUMP:
        return "pg_dump";
    case PB_ARTIFACT_DUMP_ALL:
        return "pg_dumpall";
    case PB_ARTIFACT_RIGHTS:
        return "kubernetes_rights";
    case PB_ARTIFACT_OBJECTS:
        break;
    }
    return "kubernetes";
}

static void append_harmless(pb_buffer *buffer, const char *text)
{
    char *line = pb_duplicate(pb_slice_of(text));
    pb_text_make_line(line);
    pb_buffer_append_text(buffer, line);
    free(line);
}

void pb_text_cluster(pb_buffer *buffer, const pb_cluster_record *record)
{
    pb_buffer_append_format(buffer, "%-12s", "cluster");
    append_harmless(buffer, record->name_space);
    if (record->pachyderm_version[0]) {
        pb_buffer_append_text(buffer, ", Pachyderm ");
        append_harmless(buffer, record->pachyderm_version);
    }
    pb_buffer_append_char(buffer, '\n');
    for (size_t i = 0; i < record->artifact_count; i++) {
        const pb_artifact *artifact = &record->artifacts[i];
        pb_buffer_append_format(buffer, "  %-12s", name_of(artifact));
        append_harmless(buffer, artifact->path);
        if (artifact->database[0]) {
            pb_buffer_append_text(buffer, ", of ");
            append_harmless(buffer, artifact->database);
        }
        pb_buffer_append_text(buffer, ", ");
        pb_quantity_bytes(buffer, artifact->stored_bytes);
        pb_buffer_append_text(buffer, artifact->encrypted ? ", encrypted\n" : ", not encrypted\n");
    }
    if (record->velero_backup[0]) {
        pb_buffer_append_format(buffer, "  %-10s", "velero");
        append_harmless(buffer, record->velero_backup);
        pb_buffer_append_char(buffer, '\n');
    }
    if (record->chunks_needed) {
        pb_buffer_append_format(buffer, "  %-10s", "agreement");
        pb_quantity_count(buffer, record->chunks_needed);
        pb_buffer_append_text(buffer, " chunks that the database needs, all there\n");
    }
    if (record->resumed_ms) {
        pb_buffer_append_format(buffer, "  %-10s", "downtime");
        pb_quantity_duration(buffer, record->resumed_ms - record->suspended_ms);
        pb_buffer_append_char(buffer, '\n');
    }
}

void pb_text_helm(pb_buffer *buffer, uint64_t objects, const char *name_space)
{
    pb_buffer_append_text(buffer, "release left out (");
    pb_quantity_count(buffer, objects);
    pb_buffer_append_text(buffer, objects == 1 ? " object" : " objects");
    pb_buffer_append_text(buffer,
                          "): it describes the source, and helm would act on that. To let helm "
                          "manage what was restored, run `helm install NAME CHART "
                          "--take-ownership --namespace ");
    append_harmless(buffer, name_space);
    pb_buffer_append_text(buffer, " --values FILE` (helm 3.17 or later), with values that name "
                                  "the new bucket and database");
}

static json_t *artifact_value(const pb_artifact *artifact)
{
    return json_pack("{s:s, s:o, s:o, s:b, s:I, s:I}", "kind", name_of(artifact), "path",
                     pb_json_of_text(artifact->path), "database",
                     pb_json_of_text(artifact->database), "encrypted", artifact->encrypted, "bytes",
                     (json_int_t)artifact->bytes, "stored_bytes",
                     (json_int_t)artifact->stored_bytes);
}

json_t *pb_json_of_cluster(const pb_cluster_record *record)
{
    if (!record)
        return json_null();
    json_t *artifacts = json_array();
    for (size_t i = 0; i < record->artifact_count; i++)
        json_array_append_new(artifacts, artifact_value(&record->artifacts[i]));
    bool suspended = record->resumed_ms && record->suspended_ms;
    json_t *downtime =
        suspended ? json_integer(record->resumed_ms - record->suspended_ms) : json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:I, s:o, s:o}",
                     "namespace", pb_json_of_text(record->name_space), "pachyderm",
                     pb_json_of_text(record->pachyderm_version), "database",
                     pb_json_of_text(record->database_name), "identity_database",
                     pb_json_of_text(record->identity_database), "postgresql",
                     pb_json_of_text(record->database_version), "kubernetes",
                     pb_json_of_text(record->kubernetes), "velero_backup",
                     pb_json_of_text(record->velero_backup[0] ? record->velero_backup : NULL),
                     "paused", record->paused, "suspended", pb_json_of_time(record->suspended_ms),
                     "resumed", pb_json_of_time(record->resumed_ms), "downtime_ms", downtime,
                     "chunks_needed", (json_int_t)record->chunks_needed, "workloads",
                     pb_workloads_json(&record->workloads), "artifacts", artifacts);
}
