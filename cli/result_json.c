#include "cli/result_json.h"

#include "base/clock.h"
#include "base/codec.h"
#include "cli/result_cluster.h"
#include "cli/result_text.h"
#include <stdlib.h>

/* ---- values ---- */

json_t *pb_json_of_time(int64_t utc_ms)
{
    char text[PB_TIME_TEXT_MAX];
    if (!utc_ms)
        return json_null();
    pb_time_format_rfc3339(utc_ms, text);
    return json_string(text);
}

json_t *pb_json_of_text(const char *text)
{
    if (!text)
        return json_null();
    if (pb_utf8_valid(pb_slice_of(text)))
        return json_string(text);
    char *line = pb_duplicate(pb_slice_of(text));
    pb_text_make_line(line);
    json_t *value = json_string(line);
    free(line);
    return value;
}

static void add(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value))
        abort(); /* out of memory */
}

static void add_number(json_t *object, const char *name, uint64_t number)
{
    add(object, name, json_integer((json_int_t)number));
}

static void add_text(json_t *object, const char *name, const char *text)
{
    add(object, name, pb_json_of_text(text));
}

/* null where it is empty. */
static void add_text_if(json_t *object, const char *name, const char *text)
{
    add_text(object, name, text && text[0] ? text : NULL);
}

static void add_time(json_t *object, const char *name, int64_t utc_ms)
{
    json_object_set_new(object, name, pb_json_of_time(utc_ms));
}

/* ---- snapshots ---- */

static json_t *part_value(const pb_part *part)
{
    json_t *object = json_object();
    add_text(object, "name", part->name);
    add_text(object, "after", part->range.after ? part->range.after : "");
    add_text(object, "through", part->range.through);
    add_number(object, "records", part->records);
    add_number(object, "bytes", part->bytes);
    add_number(object, "stored_bytes", part->stored_bytes);
    return object;
}

static json_t *assurance_value(const pb_snapshot_file *file)
{
    json_t *object = json_object();
    add_number(object, "size", file->proofs_size);
    add_number(object, "etag", file->proofs_etag);
    add_number(object, "checksum", file->proofs_checksum);
    add_number(object, "sha256", file->proofs_sha256);
    add_number(object, "key", file->proofs_key);
    return object;
}

static void add_figures(json_t *object, const pb_snapshot_file *file)
{
    add_text_if(object, "base", file->base);
    add_time(object, "committed", file->committed_ms);
    add_text_if(object, "program", file->program);
    add_number(object, "objects", file->objects);
    add_number(object, "bytes", file->bytes);
    add_number(object, "copied_objects", file->copied_objects);
    add_number(object, "copied_bytes", file->copied_bytes);
    add(object, "assurance", assurance_value(file));
    add(object, "cluster", pb_json_of_cluster(file->cluster));
}

static void add_names(json_t *object, const pb_snapshot_file *file)
{
    add_text_if(object, "id", file->id);
    add_text(object, "source", file->source);
    add_text(object, "prefix", file->prefix);
    add_time(object, "started", file->started_ms);
}

json_t *pb_json_of_snapshot(const pb_snapshot_file *file, bool parts)
{
    if (!file->source)
        return json_null();
    json_t *object = json_object();
    add_names(object, file);
    add_figures(object, file);
    if (parts) {
        json_t *array = json_array();
        for (size_t i = 0; i < file->part_count; i++)
            json_array_append_new(array, part_value(&file->parts[i]));
        add(object, "parts", array);
    }
    return object;
}

void pb_json_add_choice(json_t *object, const pb_choice *choice)
{
    json_t *attempts = json_array(), *sources = json_array();
    for (size_t i = 0; i < choice->newer_attempt_count; i++)
        json_array_append_new(attempts, pb_json_of_text(choice->newer_attempts[i]));
    add(object, "newer_attempts", attempts);
    for (size_t i = 0; i < choice->source_count; i++) {
        json_t *source = json_object();
        add_text(source, "source", choice->sources[i].name);
        add_text(source, "prefix", choice->sources[i].prefix);
        add_text_if(source, "namespace", choice->sources[i].name_space);
        add_text(source, "newest", choice->sources[i].newest);
        json_array_append_new(sources, source);
    }
    if (choice->source_count)
        json_object_set(object, "sources", sources);
    json_decref(sources);
}

json_t *pb_json_of_entry(const pb_catalogue_entry *entry)
{
    json_t *object = json_object();
    add_names(object, entry->file);
    add_text(object, "namespace", entry->name_space);
    add_text(object, "state", pb_text_state(entry));
    if (entry->committed && !entry->flaw)
        add_figures(object, entry->file);
    add_text(object, "flaw", entry->flaw);
    return object;
}

/* ---- results ---- */

void pb_json_add_backup(json_t *object, const pb_backup_result *result)
{
    add(object, "snapshot", pb_json_of_snapshot(&result->snapshot, false));
    add(object, "resumed", json_boolean(result->resumed));
    add_number(object, "resumed_objects", result->resumed_objects);
    add(object, "server_side", json_boolean(result->server_side));
    add_number(object, "gone_objects", result->gone_objects);
    add_number(object, "failed_objects", result->failed_objects);
    add_number(object, "vanished_objects", result->vanished_objects);
    if (result->downtime_expected_ms)
        add_number(object, "downtime_expected_ms", (uint64_t)result->downtime_expected_ms);
    add_number(object, "elapsed_ms", (uint64_t)result->elapsed_ms);
}

void pb_json_add_restore(json_t *object, const pb_restore_result *result)
{
    pb_json_add_choice(object, &result->choice);
    add(object, "snapshot", pb_json_of_snapshot(&result->snapshot, false));
    add_number(object, "objects", result->objects);
    add_number(object, "written_objects", result->written_objects);
    add_number(object, "written_bytes", result->written_bytes);
    add_number(object, "present_objects", result->present_objects);
    add_number(object, "extra_objects", result->extra_objects);
    add_number(object, "differing_objects", result->differing_objects);
    add_number(object, "failed_objects", result->failed_objects);
    add(object, "server_side", json_boolean(result->server_side));
    add_number(object, "databases", result->databases);
    add_number(object, "kubernetes_objects", result->kubernetes_objects);
    add_number(object, "helm_objects_left_out", result->helm_objects);
    add_number(object, "elapsed_ms", (uint64_t)result->elapsed_ms);
}

void pb_json_add_verify(json_t *object, const pb_verify_result *result)
{
    pb_json_add_choice(object, &result->choice);
    add(object, "snapshot", pb_json_of_snapshot(&result->snapshot, false));
    add_number(object, "objects", result->objects);
    add_number(object, "bytes_read", result->bytes_read);
    add_number(object, "proven_sha256", result->proven_sha256);
    add_number(object, "proven_checksum", result->proven_checksum);
    add_number(object, "proven_etag", result->proven_etag);
    add_number(object, "proven_key", result->proven_key);
    add_number(object, "unproven", result->unproven);
    add_number(object, "artifacts", result->artifacts);
    add_number(object, "chunks_needed", result->chunks_needed);
    add_number(object, "orphans", result->orphans);
    add_number(object, "findings_total", result->findings);
    add_number(object, "elapsed_ms", (uint64_t)result->elapsed_ms);
}

void pb_json_add_copy(json_t *object, const pb_copy_result *result)
{
    add_number(object, "objects", result->objects);
    add_number(object, "copied_objects", result->copied_objects);
    add_number(object, "copied_bytes", result->copied_bytes);
    add_number(object, "unchanged_objects", result->unchanged_objects);
    add_number(object, "extra_objects", result->extra_objects);
    add_number(object, "failed_objects", result->failed_objects);
    add(object, "server_side", json_boolean(result->server_side));
    add_number(object, "elapsed_ms", (uint64_t)result->elapsed_ms);
}

/* ---- errors ---- */

static const char *name_of(pb_error_kind kind)
{
    switch (kind) {
    case PB_ERROR_USAGE:
        return "usage";
    case PB_ERROR_DAMAGED:
        return "damaged";
    case PB_ERROR_REFUSED:
        return "refused";
    case PB_ERROR_UNREACHABLE:
        return "unreachable";
    case PB_ERROR_BUSY:
        return "busy";
    case PB_ERROR_NOT_FOUND:
        return "not_found";
    case PB_ERROR_CANCELLED:
        return "cancelled";
    case PB_ERROR_EXISTS:
        return "exists";
    case PB_ERROR_THROTTLED:
        return "throttled";
    case PB_ERROR_SERVER:
        return "server";
    case PB_ERROR_NO_SPACE:
        return "no_space";
    case PB_ERROR_NONE:
    case PB_ERROR_FAILED:
        break;
    }
    return "failed";
}

json_t *pb_json_of_error(const pb_error *error)
{
    if (error->kind == PB_ERROR_NONE)
        return json_null();
    json_t *object = json_object();
    add_text(object, "kind", name_of(error->kind));
    add_text(object, "message", error->message);
    add_text_if(object, "hint", error->hint);
    add_text_if(object, "code", error->code);
    add(object, "status", error->status ? json_integer(error->status) : json_null());
    add_text_if(object, "request_id", error->request_id);
    return object;
}
