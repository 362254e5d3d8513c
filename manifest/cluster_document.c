#include "manifest/cluster_document.h"

#include "base/codec.h"
#include "manifest/document.h"
#include <stdio.h>
#include <stdlib.h>

static const char what[] = "snapshot.json: cluster";
static const char *const kinds[] = {
    [PB_ARTIFACT_DUMP] = "pg_dump",
    [PB_ARTIFACT_DUMP_ALL] = "pg_dumpall",
    [PB_ARTIFACT_OBJECTS] = "kubernetes",
    [PB_ARTIFACT_RIGHTS] = "kubernetes_rights",
};

/* ---- writing ---- */

static void append_artifact(pb_buffer *buffer, const pb_artifact *artifact)
{
    pb_buffer_append_text(buffer, "\n{\"kind\":\"");
    pb_buffer_append_text(buffer, kinds[artifact->kind]);
    pb_buffer_append_char(buffer, '"');
    pb_document_add_text(buffer, "path", artifact->path);
    pb_document_add_text(buffer, "database", artifact->database);
    pb_buffer_append_text(buffer,
                          artifact->encrypted ? ",\"encrypted\":true" : ",\"encrypted\":false");
    pb_document_add_number(buffer, "bytes", artifact->bytes);
    pb_document_add_digest(buffer, "sha256", artifact->sha256);
    pb_document_add_number(buffer, "stored_bytes", artifact->stored_bytes);
    pb_document_add_digest(buffer, "stored_sha256", artifact->stored_sha256);
    pb_buffer_append_char(buffer, '}');
}

void pb_cluster_document_append(pb_buffer *buffer, const pb_cluster_record *record)
{
    pb_buffer_append_text(buffer, "{\"namespace\":");
    pb_json_append_string(buffer, pb_slice_of(record->name_space));
    pb_document_add_text(buffer, "pachyderm", record->pachyderm_version);
    pb_document_add_text(buffer, "database", record->database_name);
    if (record->identity_database)
        pb_document_add_text(buffer, "identity_database", record->identity_database);
    pb_document_add_text(buffer, "postgresql", record->database_version);
    pb_document_add_text(buffer, "kubernetes", record->kubernetes);
    pb_document_add_text(buffer, "velero_backup", record->velero_backup);
    pb_buffer_append_text(buffer, record->paused ? ",\"paused\":true" : ",\"paused\":false");
    pb_document_add_time(buffer, "suspended", record->suspended_ms);
    pb_document_add_time(buffer, "resumed", record->resumed_ms);
    pb_document_add_number(buffer, "chunks_needed", record->chunks_needed);
    json_t *workloads = pb_workloads_json(&record->workloads);
    pb_buffer_append_text(buffer, ",\"workloads\":");
    pb_json_append(buffer, workloads);
    json_decref(workloads);
    pb_buffer_append_text(buffer, ",\"artifacts\":[");
    for (size_t i = 0; i < record->artifact_count; i++) {
        if (i)
            pb_buffer_append_char(buffer, ',');
        append_artifact(buffer, &record->artifacts[i]);
    }
    pb_buffer_append_text(buffer, "]}");
}

/* ---- reading ---- */

/* Paths become part of a key: folders and names of letters, digits, dot, dash and underscore. */
static bool path_is_good(const char *path)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789.-_/";
    size_t size = strlen(path);
    return size && size < 512 && strspn(path, allowed) == size && path[0] != '/' &&
           path[0] != '.' && !strstr(path, "/.") && !strstr(path, "//") && path[size - 1] != '/';
}

static int read_flag(const json_t *object, const char *name, const char *where, bool *ret_flag,
                     pb_error *error)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_boolean(value))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"%s\" is not true or false", where,
                            name);
    *ret_flag = json_is_true(value);
    return 0;
}

static int read_artifact(const json_t *object, const char *where, pb_artifact *artifact,
                         pb_error *error)
{
    const char *kind;
    if (!json_is_object(object))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: not a JSON object", where);
    if (pb_json_string(object, "kind", where, &kind, error))
        return -1;
    size_t number = 0, count = sizeof kinds / sizeof *kinds;
    while (number < count && strcmp(kinds[number], kind) != 0)
        number++;
    if (number == count)
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"kind\" is none that is known", where);
    artifact->kind = (pb_artifact_kind)number;
    if (pb_document_text(object, "path", where, &artifact->path, error) ||
        pb_document_text(object, "database", where, &artifact->database, error) ||
        read_flag(object, "encrypted", where, &artifact->encrypted, error) ||
        pb_json_unsigned(object, "bytes", where, &artifact->bytes, error) ||
        pb_document_digest(object, "sha256", where, artifact->sha256, error) ||
        pb_json_unsigned(object, "stored_bytes", where, &artifact->stored_bytes, error) ||
        pb_document_digest(object, "stored_sha256", where, artifact->stored_sha256, error))
        return -1;
    if (!path_is_good(artifact->path))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"path\" is not a path", where);
    return 0;
}

/* Early snapshots leave it out: a database "dex" was dumped where there was one. */
static int read_identity(const json_t *object, pb_cluster_record *record, pb_error *error)
{
    return json_object_get(object, "identity_database")
               ? pb_document_text(object, "identity_database", what, &record->identity_database,
                                  error)
               : 0;
}

/* Is the dump of each database that is named there? */
static int check_dumps(const pb_cluster_record *record, pb_error *error)
{
    const char *const names[] = {record->database_name, record->identity_database};
    if (pb_cluster_record_find(record, PB_ARTIFACT_DUMP_ALL, NULL))
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i] && names[i][0] && !pb_cluster_record_find(record, PB_ARTIFACT_DUMP, names[i]))
            return pb_error_set(error, PB_ERROR_DAMAGED, "%s: no dump of database %s", what,
                                names[i]);
    return 0;
}

int pb_cluster_document_parse(const json_t *object, pb_cluster_record *record, pb_error *error)
{
    json_t *workloads, *artifacts;
    if (!json_is_object(object))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: not a JSON object", what);
    if (pb_document_text(object, "namespace", what, &record->name_space, error) ||
        pb_document_text(object, "pachyderm", what, &record->pachyderm_version, error) ||
        pb_document_text(object, "database", what, &record->database_name, error) ||
        read_identity(object, record, error) ||
        pb_document_text(object, "postgresql", what, &record->database_version, error) ||
        pb_document_text(object, "kubernetes", what, &record->kubernetes, error) ||
        pb_document_text(object, "velero_backup", what, &record->velero_backup, error) ||
        read_flag(object, "paused", what, &record->paused, error) ||
        pb_document_time(object, "suspended", what, &record->suspended_ms, error) ||
        pb_document_time(object, "resumed", what, &record->resumed_ms, error) ||
        pb_json_unsigned(object, "chunks_needed", what, &record->chunks_needed, error) ||
        pb_json_array(object, "workloads", what, &workloads, error) ||
        pb_workloads_parse(workloads, what, &record->workloads, error) ||
        pb_json_array(object, "artifacts", what, &artifacts, error))
        return -1;
    for (size_t i = 0; i < json_array_size(artifacts); i++) {
        char where[64];
        snprintf(where, sizeof where, "%s: artifact %zu", what, i + 1);
        if (read_artifact(json_array_get(artifacts, i), where, pb_cluster_record_add(record),
                          error))
            return -1;
    }
    return check_dumps(record, error);
}
