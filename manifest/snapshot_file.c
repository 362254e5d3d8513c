#include "manifest/snapshot_file.h"

#include "base/clock.h"
#include "manifest/cluster_document.h"
#include "manifest/document.h"
#include <stdio.h>
#include <stdlib.h>

static const char what[] = "snapshot.json";
static const char sorted_listing[] = "sorted";

/* ---- writing ---- */

static void append_part(pb_buffer *buffer, const pb_part *part)
{
    pb_buffer_append_text(buffer, "\n{\"name\":\"");
    pb_buffer_append_text(buffer, part->name);
    pb_buffer_append_char(buffer, '"');
    pb_document_add_range(buffer, &part->range);
    pb_document_add_number(buffer, "records", part->records);
    pb_document_add_number(buffer, "bytes", part->bytes);
    pb_document_add_number(buffer, "stored_bytes", part->stored_bytes);
    pb_document_add_digest(buffer, "sha256", part->sha256);
    pb_document_add_digest(buffer, "stored_sha256", part->stored_sha256);
    pb_buffer_append_char(buffer, '}');
}

void pb_snapshot_file_append(pb_buffer *buffer, const pb_snapshot_file *file)
{
    pb_document_begin(buffer, "snapshot", PB_SNAPSHOT_FILE_VERSION);
    pb_document_add_text(buffer, "id", file->id);
    pb_document_add_text(buffer, "source", file->source);
    pb_document_add_text(buffer, "prefix", file->prefix);
    pb_document_add_text_or_null(buffer, "base", file->base);
    pb_document_add_text_or_null(buffer, "base_sha256", file->base_sha256);
    pb_document_add_time(buffer, "started", file->started_ms);
    pb_document_add_time(buffer, "committed", file->committed_ms);
    pb_document_add_text(buffer, "program", file->program);
    pb_document_add_number(buffer, "objects", file->objects);
    pb_document_add_number(buffer, "bytes", file->bytes);
    pb_document_add_number(buffer, "copied_objects", file->copied_objects);
    pb_document_add_number(buffer, "copied_bytes", file->copied_bytes);
    pb_buffer_append_text(buffer, ",\"assurance\":{\"size\":");
    pb_buffer_append_unsigned(buffer, file->proofs_size);
    pb_document_add_number(buffer, "etag", file->proofs_etag);
    pb_document_add_number(buffer, "checksum", file->proofs_checksum);
    pb_document_add_number(buffer, "sha256", file->proofs_sha256);
    pb_document_add_number(buffer, "key", file->proofs_key);
    pb_buffer_append_char(buffer, '}');
    if (file->sorted_listing)
        pb_document_add_text(buffer, "listing", sorted_listing);
    if (file->live_until_ms) {
        char until[PB_TIME_TEXT_MAX];
        pb_time_format_rfc3339(file->live_until_ms, until);
        pb_buffer_append_format(buffer, ",\"live\":{\"until\":\"%s\"", until);
        pb_document_add_number(buffer, "changed_objects", file->changed_objects);
        pb_document_add_number(buffer, "vanished_objects", file->vanished_objects);
        pb_buffer_append_char(buffer, '}');
    }
    if (file->cluster) {
        pb_buffer_append_text(buffer, ",\n\"cluster\":");
        pb_cluster_document_append(buffer, file->cluster);
    }
    pb_buffer_append_text(buffer, ",\"parts\":[");
    for (size_t i = 0; i < file->part_count; i++) {
        if (i)
            pb_buffer_append_char(buffer, ',');
        append_part(buffer, &file->parts[i]);
    }
    pb_buffer_append_text(buffer, "\n]}\n");
}

/* ---- reading ---- */

/* Names become part of a key or path: letters, digits, dot, dash and underscore, no dot first. */
static int read_part_name(const json_t *object, const char *part_what, pb_part *part,
                          pb_error *error)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789.-_";
    const char *name;
    if (pb_json_string(object, "name", part_what, &name, error) != 0)
        return -1;
    size_t size = strlen(name);
    if (size == 0 || size >= sizeof(part->name) || name[0] == '.' || strspn(name, allowed) != size)
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"name\" is not a part's name",
                            part_what);
    memcpy(part->name, name, size + 1);
    return 0;
}

static int read_part(const json_t *object, const char *part_what, pb_part *part, pb_error *error)
{
    if (!json_is_object(object))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: not a JSON object", part_what);
    bool whole =
        read_part_name(object, part_what, part, error) == 0 &&
        pb_document_range(object, part_what, &part->range, error) == 0 &&
        pb_json_unsigned(object, "records", part_what, &part->records, error) == 0 &&
        pb_json_unsigned(object, "bytes", part_what, &part->bytes, error) == 0 &&
        pb_json_unsigned(object, "stored_bytes", part_what, &part->stored_bytes, error) == 0 &&
        pb_document_digest(object, "sha256", part_what, part->sha256, error) == 0 &&
        pb_document_digest(object, "stored_sha256", part_what, part->stored_sha256, error) == 0;
    return whole ? 0 : -1;
}

/* Reads all parts; each begins where the one before ended, the last is open above. */
static int read_parts(const json_t *object, pb_snapshot_file *file, pb_error *error)
{
    json_t *parts;
    if (pb_json_array(object, "parts", what, &parts, error) != 0)
        return -1;
    size_t count = json_array_size(parts);
    file->parts = pb_allocate_zeroed(count, sizeof(*file->parts));
    const char *covered = ""; /* up to here, inclusive; NULL for all keys */
    for (size_t i = 0; i < count; i++) {
        char part_what[64];
        snprintf(part_what, sizeof(part_what), "%s: part %zu", what, i + 1);
        pb_part *part = &file->parts[file->part_count++];
        if (read_part(json_array_get(parts, i), part_what, part, error) != 0)
            return -1;
        if (covered == NULL ||
            !pb_slice_equal(pb_slice_of(part->range.after), pb_slice_of(covered)))
            return pb_error_set(error, PB_ERROR_DAMAGED,
                                "%s: does not begin where the part before ends", part_what);
        covered = part->range.through;
    }
    if (covered)
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: the parts do not cover all keys", what);
    return 0;
}

static int check_sums(const pb_snapshot_file *file, pb_error *error)
{
    uint64_t records = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < file->part_count; i++) {
        records = pb_record_sum(records, file->parts[i].records);
        bytes = pb_record_sum(bytes, file->parts[i].bytes);
    }
    if (records != file->objects || bytes != file->bytes)
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "%s: the parts' sums are not \"objects\" and \"bytes\"", what);
    if (file->copied_objects > file->objects || file->copied_bytes > file->bytes)
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: more was copied than is there", what);
    uint64_t proofs = pb_record_sum(file->proofs_size, file->proofs_etag);
    proofs = pb_record_sum(proofs, file->proofs_checksum);
    proofs = pb_record_sum(proofs, file->proofs_sha256);
    proofs = pb_record_sum(proofs, file->proofs_key);
    /* Fewer are fine: a newer minor format may know more kinds of proof. */
    if (proofs > file->objects)
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "%s: \"assurance\" speaks of more objects than there are", what);
    return 0;
}

static int read_assurance(const json_t *object, pb_snapshot_file *file, pb_error *error)
{
    static const char assurance_what[] = "snapshot.json: assurance";
    const json_t *proofs = json_object_get(object, "assurance");
    bool whole =
        pb_json_unsigned(proofs, "size", assurance_what, &file->proofs_size, error) == 0 &&
        pb_json_unsigned(proofs, "etag", assurance_what, &file->proofs_etag, error) == 0 &&
        pb_json_unsigned(proofs, "checksum", assurance_what, &file->proofs_checksum, error) == 0 &&
        pb_json_unsigned(proofs, "sha256", assurance_what, &file->proofs_sha256, error) == 0 &&
        pb_json_unsigned(proofs, "key", assurance_what, &file->proofs_key, error) == 0;
    return whole ? 0 : -1;
}

/* May be left out; a word that is not known says nothing of this version's. */
static int read_listing(const json_t *object, pb_snapshot_file *file, pb_error *error)
{
    const char *listing = sorted_listing;
    if (!json_object_get(object, "listing"))
        return 0;
    if (pb_json_string(object, "listing", what, &listing, error) != 0)
        return -1;
    file->sorted_listing = strcmp(listing, sorted_listing) == 0;
    return 0;
}

/* May be left out: of one moment, or of a version that did not say. */
static int read_live(const json_t *object, pb_snapshot_file *file, pb_error *error)
{
    static const char live_what[] = "snapshot.json: live";
    const json_t *live = json_object_get(object, "live");
    if (!live)
        return 0;
    bool whole =
        pb_document_time(live, "until", live_what, &file->live_until_ms, error) == 0 &&
        pb_json_unsigned(live, "changed_objects", live_what, &file->changed_objects, error) == 0 &&
        pb_json_unsigned(live, "vanished_objects", live_what, &file->vanished_objects, error) == 0;
    return whole ? 0 : -1;
}

static int read_cluster(const json_t *object, pb_snapshot_file *file, pb_error *error)
{
    const json_t *cluster = json_object_get(object, "cluster");
    if (!cluster || json_is_null(cluster))
        return 0;
    file->cluster = pb_allocate_zeroed(1, sizeof *file->cluster);
    return pb_cluster_document_parse(cluster, file->cluster, error);
}

static int read_members(const json_t *object, pb_snapshot_file *file, pb_error *error)
{
    bool whole =
        pb_document_snapshot_id(object, "id", what, file->id, error) == 0 &&
        pb_document_text(object, "source", what, &file->source, error) == 0 &&
        pb_document_text(object, "prefix", what, &file->prefix, error) == 0 &&
        pb_document_base(object, what, file->base, file->base_sha256, error) == 0 &&
        pb_document_time(object, "started", what, &file->started_ms, error) == 0 &&
        pb_document_time(object, "committed", what, &file->committed_ms, error) == 0 &&
        pb_document_text(object, "program", what, &file->program, error) == 0 &&
        pb_json_unsigned(object, "objects", what, &file->objects, error) == 0 &&
        pb_json_unsigned(object, "bytes", what, &file->bytes, error) == 0 &&
        pb_json_unsigned(object, "copied_objects", what, &file->copied_objects, error) == 0 &&
        pb_json_unsigned(object, "copied_bytes", what, &file->copied_bytes, error) == 0 &&
        read_assurance(object, file, error) == 0 && read_listing(object, file, error) == 0 &&
        read_live(object, file, error) == 0 && read_parts(object, file, error) == 0 &&
        read_cluster(object, file, error) == 0;
    return whole ? check_sums(file, error) : -1;
}

int pb_snapshot_file_parse(pb_slice text, pb_snapshot_file *ret_file, pb_error *error)
{
    json_t *object;
    pb_snapshot_file file = {0};
    if (pb_document_parse(text, "snapshot", PB_SNAPSHOT_FILE_VERSION, what, &object, error) != 0)
        return -1;
    int result = read_members(object, &file, error);
    json_decref(object);
    if (result == 0)
        *ret_file = file;
    else
        pb_snapshot_file_free(&file);
    return result;
}

void pb_snapshot_file_free(pb_snapshot_file *file)
{
    for (size_t i = 0; i < file->part_count; i++)
        pb_part_free(&file->parts[i]);
    free(file->parts);
    free(file->source);
    free(file->prefix);
    free(file->program);
    if (file->cluster)
        pb_cluster_record_free(file->cluster);
    free(file->cluster);
    *file = (pb_snapshot_file){0};
}
