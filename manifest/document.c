#include "manifest/document.h"

#include "base/clock.h"
#include "base/codec.h"
#include <inttypes.h>
#include <stdlib.h>

int pb_document_parse(pb_slice text, const char *kind, uint64_t version, const char *what,
                      json_t **ret_object, pb_error *error)
{
    json_t *object;
    const char *found_kind;
    uint64_t found_version;
    if (pb_json_parse(text, what, &object, error) != 0)
        return -1;
    if (pb_json_string(object, "pbcopy", what, &found_kind, error) != 0 ||
        pb_json_unsigned(object, "version", what, &found_version, error) != 0) {
        json_decref(object);
        return -1;
    }
    if (strcmp(found_kind, kind) != 0) {
        pb_error_set(error, PB_ERROR_DAMAGED, "%s: is a \"%.64s\", not a \"%s\"", what, found_kind,
                     kind);
    } else if (found_version > version) {
        pb_error_set(error, PB_ERROR_USAGE,
                     "%s: has version %" PRIu64 ", this program knows %" PRIu64, what,
                     found_version, version);
        pb_error_hint(error, "use a newer pbcopy, at least the one that wrote it");
    } else if (found_version == 0) {
        pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"version\" is 0", what);
    } else {
        *ret_object = object;
        return 0;
    }
    json_decref(object);
    return -1;
}

int pb_document_text(const json_t *object, const char *name, const char *what, char **ret_text,
                     pb_error *error)
{
    const char *text;
    if (pb_json_string(object, name, what, &text, error) != 0)
        return -1;
    *ret_text = pb_duplicate(pb_slice_of(text));
    return 0;
}

int pb_document_time(const json_t *object, const char *name, const char *what, int64_t *ret_utc_ms,
                     pb_error *error)
{
    const char *text;
    if (pb_json_string(object, name, what, &text, error) != 0)
        return -1;
    if (!pb_time_parse_rfc3339(pb_slice_of(text), ret_utc_ms))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"%s\" is not an RFC 3339 time in UTC",
                            what, name);
    return 0;
}

int pb_document_digest(const json_t *object, const char *name, const char *what,
                       uint8_t ret_digest[PB_SHA256_BYTES], pb_error *error)
{
    const char *text;
    if (pb_json_string(object, name, what, &text, error) != 0)
        return -1;
    if (!pb_hex_decode(pb_slice_of(text), ret_digest, PB_SHA256_BYTES))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"%s\" is not 64 hex digits", what, name);
    return 0;
}

int pb_document_snapshot_id(const json_t *object, const char *name, const char *what,
                            char ret_id[PB_SNAPSHOT_ID_SIZE], pb_error *error)
{
    const char *text;
    if (pb_json_string(object, name, what, &text, error) != 0)
        return -1;
    if (!pb_snapshot_id_valid(pb_slice_of(text)))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"%s\" is not a snapshot id", what, name);
    memcpy(ret_id, text, PB_SNAPSHOT_ID_SIZE);
    return 0;
}

int pb_document_base(const json_t *object, const char *what, char ret_id[PB_SNAPSHOT_ID_SIZE],
                     char ret_sha256[2 * PB_SHA256_BYTES + 1], pb_error *error)
{
    const char *id = NULL;
    const char *sha256 = NULL;
    uint8_t digest[PB_SHA256_BYTES];
    if (pb_json_string_if(object, "base", what, &id, error) != 0 ||
        pb_json_string_if(object, "base_sha256", what, &sha256, error) != 0)
        return -1;
    if (id == NULL && sha256 == NULL) {
        ret_id[0] = ret_sha256[0] = '\0';
        return 0;
    }
    if (pb_document_snapshot_id(object, "base", what, ret_id, error) != 0 ||
        pb_document_digest(object, "base_sha256", what, digest, error) != 0)
        return -1;
    pb_hex_encode(digest, sizeof(digest), ret_sha256);
    return 0;
}

static int check_range_key(pb_slice key, const char *name, const char *what, pb_error *error)
{
    const char *flaw = pb_key_flaw(key);
    if (flaw)
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"%s\": %s", what, name, flaw);
    return 0;
}

int pb_document_range(const json_t *object, const char *what, pb_range *ret_range, pb_error *error)
{
    const char *after_text;
    const char *through_text = NULL;
    if (pb_json_string(object, "after", what, &after_text, error) != 0)
        return -1;
    bool open_above = json_is_null(json_object_get(object, "through"));
    if (!open_above && pb_json_string(object, "through", what, &through_text, error) != 0)
        return -1;
    pb_slice after = pb_slice_of(after_text);
    pb_slice through = pb_slice_of(through_text);
    if ((after.size && check_range_key(after, "after", what, error) != 0) ||
        (!open_above && check_range_key(through, "through", what, error) != 0))
        return -1;
    if (!open_above && pb_slice_compare(after, through) >= 0)
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: the range ends before it begins", what);
    *ret_range = pb_range_copy(after, through, open_above);
    return 0;
}

static void append_string(pb_buffer *buffer, const char *text)
{
    pb_slice slice = pb_slice_of(text);
    if (!pb_utf8_valid(slice))
        abort(); /* the caller's to check: nothing is written that can't be read again */
    pb_json_append_string(buffer, slice);
}

static void append_name(pb_buffer *buffer, const char *name)
{
    pb_buffer_append_text(buffer, ",\"");
    pb_buffer_append_text(buffer, name);
    pb_buffer_append_text(buffer, "\":");
}

void pb_document_begin(pb_buffer *buffer, const char *kind, uint64_t version)
{
    pb_buffer_append_text(buffer, "{\"pbcopy\":");
    append_string(buffer, kind);
    pb_document_add_number(buffer, "version", version);
}

void pb_document_add_text(pb_buffer *buffer, const char *name, const char *text)
{
    append_name(buffer, name);
    append_string(buffer, text);
}

void pb_document_add_text_or_null(pb_buffer *buffer, const char *name, const char *text)
{
    append_name(buffer, name);
    if (text == NULL || text[0] == '\0')
        pb_buffer_append_text(buffer, "null");
    else
        append_string(buffer, text);
}

void pb_document_add_number(pb_buffer *buffer, const char *name, uint64_t value)
{
    append_name(buffer, name);
    pb_buffer_append_unsigned(buffer, value);
}

void pb_document_add_time(pb_buffer *buffer, const char *name, int64_t utc_ms)
{
    char text[PB_TIME_TEXT_MAX];
    pb_time_format_rfc3339(utc_ms, text);
    pb_document_add_text(buffer, name, text);
}

void pb_document_add_digest(pb_buffer *buffer, const char *name,
                            const uint8_t digest[PB_SHA256_BYTES])
{
    char hex[2 * PB_SHA256_BYTES + 1];
    pb_hex_encode(digest, PB_SHA256_BYTES, hex);
    pb_document_add_text(buffer, name, hex);
}

void pb_document_add_range(pb_buffer *buffer, const pb_range *range)
{
    pb_document_add_text(buffer, "after", range->after);
    pb_document_add_text_or_null(buffer, "through", range->through);
}
