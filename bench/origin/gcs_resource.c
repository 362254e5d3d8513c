#include "bench/origin/gcs_resource.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/codec.h"
#include "bench/origin/gcs_answer.h"
#include <stdlib.h>

uint64_t pb_origin_gcs_metageneration(const pb_origin_object *object)
{
    const pb_origin_attributes *attributes = object->attributes;
    return attributes && attributes->metageneration ? attributes->metageneration : 1;
}

static size_t put_varint(uint64_t value, char *out)
{
    size_t size = 0;
    for (; value >= 128; value >>= 7) {
        out[size++] = (char)(value | 128);
    }
    out[size++] = (char)value;
    return size;
}

void pb_origin_gcs_etag(uint64_t generation, uint64_t metageneration,
                        char ret_text[PB_ORIGIN_GCS_ETAG_TEXT_MAX])
{
    char message[22];
    size_t size = 0;
    message[size++] = 1 << 3;
    size += put_varint(generation, message + size);
    message[size++] = 2 << 3;
    size += put_varint(metageneration, message + size);
    pb_buffer text = {0};
    pb_base64_encode(&text, (pb_slice){message, size});
    memcpy(ret_text, text.data, text.size + 1);
    pb_buffer_free(&text);
}

uint32_t pb_origin_gcs_crc32c(const pb_origin_object *object)
{
    if (!object->is_crc32c_known) {
        enum { SCRATCH_BYTES = 65536 };
        char *scratch = pb_allocate(SCRATCH_BYTES);
        pb_hash *hash = pb_hash_new(PB_HASH_CRC32C);
        pb_origin_content *content = pb_origin_object_content(object);
        bool used_scratch;
        for (uint64_t offset = 0; offset < content->size;) {
            pb_slice window = pb_origin_content_window(content, offset, content->size - offset,
                                                       scratch, SCRATCH_BYTES, &used_scratch);
            pb_hash_update(hash, window.data, window.size);
            offset += window.size;
        }
        uint8_t digest[PB_CRC32C_BYTES];
        pb_hash_finish(hash, digest);
        pb_hash_free(hash);
        pb_origin_content_release(content);
        free(scratch);
        pb_origin_object *kept = (pb_origin_object *)(uintptr_t)object;
        kept->crc32c = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 |
                       (uint32_t)digest[2] << 8 | digest[3];
        kept->is_crc32c_known = true;
    }
    return object->crc32c;
}

void pb_origin_gcs_append_crc32c(pb_buffer *buffer, uint32_t crc32c)
{
    char bytes[PB_CRC32C_BYTES];
    for (int i = 0; i < PB_CRC32C_BYTES; i++) {
        bytes[i] = (char)(crc32c >> (24 - 8 * i));
    }
    pb_base64_encode(buffer, (pb_slice){bytes, sizeof(bytes)});
}

/* ---- kept headers ---- */

static bool next_header(pb_slice *rest, pb_slice *ret_name, pb_slice *ret_value)
{
    const char *end = rest->size > 0 ? memchr(rest->data, '\r', rest->size) : NULL;
    if (!end) {
        return false;
    }
    pb_slice line = {rest->data, (size_t)(end - rest->data)};
    *rest = (pb_slice){end + 2, rest->size - line.size - 2};
    const char *colon = memchr(line.data, ':', line.size);
    *ret_name = (pb_slice){line.data, (size_t)(colon - line.data)};
    *ret_value = (pb_slice){colon + 2, line.size - ret_name->size - 2};
    return true;
}

pb_slice pb_origin_gcs_attribute(const pb_origin_attributes *attributes, const char *name)
{
    pb_slice rest = attributes ? attributes->headers : (pb_slice){NULL, 0};
    pb_slice found;
    pb_slice value;
    while (next_header(&rest, &found, &value)) {
        if (pb_slice_equal(found, pb_slice_of(name))) {
            return value;
        }
    }
    return (pb_slice){NULL, 0};
}

bool pb_origin_gcs_next_metadata(pb_slice *rest, pb_slice *ret_name, pb_slice *ret_value)
{
    static const pb_slice start = PB_SLICE_STATIC("x-amz-meta-");
    while (next_header(rest, ret_name, ret_value)) {
        if (pb_slice_starts_with(*ret_name, start)) {
            *ret_name = (pb_slice){ret_name->data + start.size, ret_name->size - start.size};
            return true;
        }
    }
    return false;
}

pb_slice pb_origin_gcs_content_type(const pb_origin_object *object)
{
    pb_slice type = pb_origin_gcs_attribute(object->attributes, "content-type");
    return type.data ? type : PB_SLICE_LITERAL("application/octet-stream");
}

pb_slice pb_origin_gcs_storage_class(const pb_origin_object *object)
{
    pb_slice class = pb_origin_gcs_attribute(object->attributes, "x-goog-storage-class");
    return class.data ? class : PB_SLICE_LITERAL("STANDARD");
}

/* ---- resources ---- */

/* A member is written with the comma behind it; the last one goes when the brace closes. */

static void append_text(pb_buffer *text, const char *name, pb_slice value)
{
    pb_buffer_append_char(text, '"');
    pb_buffer_append_text(text, name);
    pb_buffer_append(text, "\":", 2);
    pb_origin_gcs_append_string(text, value);
    pb_buffer_append_char(text, ',');
}

static void append_number(pb_buffer *text, const char *name, uint64_t value)
{
    pb_buffer_append_char(text, '"');
    pb_buffer_append_text(text, name);
    pb_buffer_append(text, "\":\"", 3);
    pb_buffer_append_unsigned(text, value);
    pb_buffer_append(text, "\",", 2);
}

static void append_time(pb_buffer *text, const char *name, int64_t utc_ms)
{
    char time[PB_TIME_TEXT_MAX];
    pb_time_format_rfc3339(utc_ms, time);
    append_text(text, name, pb_slice_of(time));
}

static void close_brace(pb_buffer *text)
{
    if (text->data[text->size - 1] == ',') {
        text->size--;
    }
    pb_buffer_append_char(text, '}');
}

static void append_piece(pb_buffer *text, pb_slice kept, bool is_escaped)
{
    if (!is_escaped) {
        pb_origin_gcs_append_string(text, kept);
        return;
    }
    pb_buffer decoded = {0};
    pb_percent_decode(&decoded, kept, false);
    pb_origin_gcs_append_string(text, pb_buffer_slice(&decoded));
    pb_buffer_free(&decoded);
}

static void append_metadata(pb_buffer *text, const pb_origin_attributes *attributes)
{
    pb_slice rest = attributes ? attributes->headers : (pb_slice){NULL, 0};
    pb_slice name;
    pb_slice value;
    bool any = false;
    while (pb_origin_gcs_next_metadata(&rest, &name, &value)) {
        pb_buffer_append_text(text, any ? "" : "\"metadata\":{");
        any = true;
        append_piece(text, name, attributes->escapes_metadata);
        pb_buffer_append_char(text, ':');
        append_piece(text, value, attributes->escapes_metadata);
        pb_buffer_append_char(text, ',');
    }
    if (any) {
        close_brace(text);
        pb_buffer_append_char(text, ',');
    }
}

/* ENDPOINT/STORAGE/v1/b/BUCKET[/o/OBJECT] */
static void append_link(pb_buffer *text, const char *name, pb_slice endpoint, const char *path,
                        pb_slice bucket, const pb_origin_object *object)
{
    pb_buffer_append_format(text, "\"%s\":\"%.*s%s/b/%.*s", name, PB_SLICE_FORMAT(endpoint), path,
                            PB_SLICE_FORMAT(bucket));
    if (object) {
        pb_buffer_append_text(text, "/o/");
        pb_percent_encode(text, pb_origin_object_key(object), false);
        if (strcmp(name, "mediaLink") == 0) {
            pb_buffer_append_format(text, "?generation=%llu&alt=media",
                                    (unsigned long long)pb_origin_object_generation(object));
        }
    }
    pb_buffer_append(text, "\",", 2);
}

static void append_id(pb_buffer *text, pb_slice bucket, const pb_origin_object *object)
{
    pb_buffer id = {0};
    pb_buffer_append_slice(&id, bucket);
    pb_buffer_append_char(&id, '/');
    pb_buffer_append_slice(&id, pb_origin_object_key(object));
    pb_buffer_append_char(&id, '/');
    pb_buffer_append_unsigned(&id, pb_origin_object_generation(object));
    append_text(text, "id", pb_buffer_slice(&id));
    pb_buffer_free(&id);
}

static void append_member(pb_buffer *text, pb_slice endpoint, pb_slice bucket,
                          const pb_origin_object *object, pb_origin_gcs_member member)
{
    static const char *const kept[PB_ORIGIN_GCS_MEMBER_COUNT] = {
        [PB_ORIGIN_GCS_CACHE_CONTROL] = "cache-control",
        [PB_ORIGIN_GCS_CONTENT_DISPOSITION] = "content-disposition",
        [PB_ORIGIN_GCS_CONTENT_ENCODING] = "content-encoding",
        [PB_ORIGIN_GCS_CONTENT_LANGUAGE] = "content-language",
    };
    const char *name = pb_origin_gcs_member_name(member);
    const pb_origin_attributes *attributes = object->attributes;
    switch (member) {
    case PB_ORIGIN_GCS_KIND:
        append_text(text, name, PB_SLICE_LITERAL("storage#object"));
        break;
    case PB_ORIGIN_GCS_ID:
        append_id(text, bucket, object);
        break;
    case PB_ORIGIN_GCS_SELF_LINK:
        append_link(text, name, endpoint, "/storage/v1", bucket, object);
        break;
    case PB_ORIGIN_GCS_MEDIA_LINK:
        append_link(text, name, endpoint, "/download/storage/v1", bucket, object);
        break;
    case PB_ORIGIN_GCS_NAME:
        append_text(text, name, pb_origin_object_key(object));
        break;
    case PB_ORIGIN_GCS_BUCKET:
        append_text(text, name, bucket);
        break;
    case PB_ORIGIN_GCS_GENERATION:
        append_number(text, name, pb_origin_object_generation(object));
        break;
    case PB_ORIGIN_GCS_METAGENERATION:
        append_number(text, name, pb_origin_gcs_metageneration(object));
        break;
    case PB_ORIGIN_GCS_CONTENT_TYPE:
        append_text(text, name, pb_origin_gcs_content_type(object));
        break;
    case PB_ORIGIN_GCS_STORAGE_CLASS:
        append_text(text, name, pb_origin_gcs_storage_class(object));
        break;
    case PB_ORIGIN_GCS_SIZE:
        append_number(text, name, object->size);
        break;
    case PB_ORIGIN_GCS_MD5_HASH:
        /* Composed objects and multipart uploads have none. */
        if (object->etag_parts == 0) {
            pb_buffer_append_text(text, "\"md5Hash\":\"");
            pb_base64_encode(text, (pb_slice){(const char *)object->md5, PB_MD5_BYTES});
            pb_buffer_append(text, "\",", 2);
        }
        break;
    case PB_ORIGIN_GCS_CRC32C:
        pb_buffer_append_text(text, "\"crc32c\":\"");
        pb_origin_gcs_append_crc32c(text, pb_origin_gcs_crc32c(object));
        pb_buffer_append(text, "\",", 2);
        break;
    case PB_ORIGIN_GCS_COMPONENT_COUNT:
        if (attributes && attributes->component_count > 0) {
            pb_buffer_append_format(text, "\"componentCount\":%u,", attributes->component_count);
        }
        break;
    case PB_ORIGIN_GCS_ETAG: {
        char etag[PB_ORIGIN_GCS_ETAG_TEXT_MAX];
        pb_origin_gcs_etag(pb_origin_object_generation(object),
                           pb_origin_gcs_metageneration(object), etag);
        append_text(text, name, pb_slice_of(etag));
        break;
    }
    case PB_ORIGIN_GCS_UPDATED:
        append_time(text, name,
                    attributes && attributes->metageneration ? attributes->updated_ms
                                                             : object->modified_ms);
        break;
    case PB_ORIGIN_GCS_TIME_CREATED:
    case PB_ORIGIN_GCS_TIME_STORAGE_CLASS_UPDATED:
    case PB_ORIGIN_GCS_TIME_FINALIZED:
        append_time(text, name, object->modified_ms);
        break;
    case PB_ORIGIN_GCS_METADATA:
        append_metadata(text, attributes);
        break;
    default: {
        pb_slice value =
            kept[member] ? pb_origin_gcs_attribute(attributes, kept[member]) : (pb_slice){NULL, 0};
        if (value.data) {
            append_text(text, name, value);
        }
        break;
    }
    }
}

void pb_origin_gcs_append_object(pb_buffer *text, pb_slice endpoint, pb_slice bucket,
                                 const pb_origin_object *object, uint64_t set)
{
    pb_buffer_append_char(text, '{');
    for (int member = 0; member < PB_ORIGIN_GCS_MEMBER_COUNT; member++) {
        if (pb_origin_gcs_wants(set, member)) {
            append_member(text, endpoint, bucket, object, (pb_origin_gcs_member)member);
        }
    }
    close_brace(text);
}

void pb_origin_gcs_append_bucket(pb_buffer *text, pb_slice endpoint, const pb_origin_bucket *bucket,
                                 const pb_origin_gcs_bucket_view *view, uint64_t set)
{
    static const char *const names[] = {
        "kind",     "id",           "selfLink",     "name", "projectNumber", "metageneration",
        "location", "locationType", "storageClass", "etag", "timeCreated",   "updated"};
    pb_slice name = pb_slice_of(bucket->name);
    char etag[PB_ORIGIN_GCS_ETAG_TEXT_MAX];
    pb_origin_gcs_etag((uint64_t)bucket->created_ms * 1000, 1, etag);
    const pb_slice values[] = {
        PB_SLICE_LITERAL("storage#bucket"),
        name,
        {NULL, 0},
        name,
        PB_SLICE_LITERAL("123456789012"),
        PB_SLICE_LITERAL("1"),
        pb_slice_of(view->location),
        memchr(view->location, '-', strlen(view->location)) ? PB_SLICE_LITERAL("region")
                                                            : PB_SLICE_LITERAL("multi-region"),
        PB_SLICE_LITERAL("STANDARD"),
        pb_slice_of(etag),
    };
    pb_buffer_append_char(text, '{');
    for (int member = 0; member <= PB_ORIGIN_GCS_BUCKET_UPDATED; member++) {
        if (!pb_origin_gcs_wants(set, member)) {
            continue;
        }
        if (member == PB_ORIGIN_GCS_BUCKET_SELF_LINK) {
            append_link(text, names[member], endpoint, "/storage/v1", name, NULL);
        } else if (member >= PB_ORIGIN_GCS_BUCKET_TIME_CREATED) {
            append_time(text, names[member], bucket->created_ms);
        } else {
            append_text(text, names[member], values[member]);
        }
    }
    if (view->requester_pays && pb_origin_gcs_wants(set, PB_ORIGIN_GCS_BUCKET_BILLING)) {
        pb_buffer_append_text(text, "\"billing\":{\"requesterPays\":true},");
    }
    close_brace(text);
}
