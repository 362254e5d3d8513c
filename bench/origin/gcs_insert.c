/* objects.insert with uploadType media and multipart, and what all uploads share.
 *
 * https://cloud.google.com/storage/docs/json_api/v1/objects/insert */
#include "base/base64.h"
#include "bench/origin/gcs_operations.h"
#include "bench/origin/mime_parts.h"
#include "bench/origin/s3_operations.h"
#include <stdlib.h>

/* ---- reading ---- */

static bool wrong_body(pb_origin_exchange *exchange, const char *message)
{
    pb_origin_gcs_refuse(exchange, 400, "badContent", message, NULL);
    return false;
}

/* Two parts: the resource, then the media. */
static bool read_multipart(pb_origin_exchange *exchange, pb_slice *ret_resource,
                           pb_slice *ret_media_headers, pb_slice *ret_media)
{
    pb_slice type = pb_origin_request_header(&exchange->request, "content-type");
    pb_slice boundary;
    pb_slice rest = pb_origin_gcs_body(exchange);
    pb_slice headers;
    pb_slice nothing;
    if (!pb_origin_mime_boundary(type, "multipart/related", &boundary)) {
        return wrong_body(exchange, "A multipart upload is multipart/related with a boundary.");
    }
    if (pb_origin_mime_next(&rest, boundary, &headers, ret_resource) != 1 ||
        pb_origin_mime_next(&rest, boundary, ret_media_headers, ret_media) != 1 ||
        pb_origin_mime_next(&rest, boundary, &nothing, &nothing) != 0) {
        return wrong_body(exchange, "Multipart must have two parts: metadata and media.");
    }
    if (!pb_slice_starts_with(pb_origin_mime_header(headers, "content-type"),
                              PB_SLICE_LITERAL("application/json"))) {
        return wrong_body(exchange, "The first part must be application/json.");
    }
    return true;
}

static void set_text(json_t *document, const char *name, pb_slice value)
{
    if (value.size > 0) {
        json_object_set_new(document, name, json_stringn(value.data, value.size));
    }
}

bool pb_origin_gcs_read_upload(pb_origin_exchange *exchange, pb_origin_call *call)
{
    const pb_origin_request *request = &exchange->request;
    pb_slice type = pb_origin_gcs_value(&call->s3, "uploadType");
    pb_slice resource = {NULL, 0};
    pb_slice content_type = pb_origin_request_header(request, "content-type");
    call->media = (pb_slice){NULL, 0};
    if (pb_slice_equal(type, PB_SLICE_LITERAL("multipart"))) {
        pb_slice headers;
        if (!read_multipart(exchange, &resource, &headers, &call->media)) {
            return false;
        }
        content_type = pb_origin_mime_header(headers, "content-type");
    } else if (pb_slice_equal(type, PB_SLICE_LITERAL("media"))) {
        call->media = pb_origin_gcs_body(exchange);
    } else {
        resource = pb_origin_gcs_body(exchange);
        content_type = pb_origin_request_header(request, "x-upload-content-type");
    }
    pb_origin_gcs_refusal refusal = {0};
    if (!pb_origin_gcs_metadata_read(resource, false, &call->metadata, &refusal)) {
        pb_origin_gcs_refuse(exchange, refusal.status, refusal.reason, refusal.message, NULL);
        return false;
    }
    /* What headers and parameters say goes into the resource: one place says it all. */
    if (!call->metadata.document) {
        call->metadata.document = json_object();
    }
    if (!pb_origin_gcs_metadata_text(&call->metadata, "contentType").data) {
        set_text(call->metadata.document, "contentType", content_type);
    }
    set_text(call->metadata.document, "contentEncoding",
             pb_origin_gcs_value(&call->s3, "contentEncoding"));
    call->s3.key = pb_origin_gcs_value(&call->s3, "name");
    if (!call->s3.key.data) {
        call->s3.key = pb_origin_gcs_metadata_text(&call->metadata, "name");
    }
    const char *fault = pb_origin_gcs_name_fault(call->s3.key);
    if (fault) {
        pb_origin_gcs_refuse(exchange, 400, call->s3.key.size > 0 ? "invalid" : "required", fault,
                             "name");
        return false;
    }
    return true;
}

/* ---- digests ---- */

static bool read_digest(pb_origin_exchange *exchange, pb_slice text, const char *what, size_t size,
                        uint8_t *ret_digest, bool *ret_has)
{
    if (!text.data) {
        return true;
    }
    *ret_has = true;
    if (pb_origin_gcs_read_digest(text, size, ret_digest)) {
        return true;
    }
    pb_buffer message = {0};
    pb_buffer_append_format(&message, "Invalid %s hash: no Base64 of %zu bytes.", what, size);
    pb_origin_gcs_invalid(exchange, message.data);
    pb_buffer_free(&message);
    return false;
}

/* One X-Goog-Hash: "crc32c=...,md5=...". */
static bool read_hash_header(pb_origin_exchange *exchange, pb_slice value,
                             pb_origin_gcs_digests *wanted)
{
    while (value.size > 0) {
        const char *comma = memchr(value.data, ',', value.size);
        pb_slice one = {value.data, comma ? (size_t)(comma - value.data) : value.size};
        size_t used = one.size + (comma ? 1 : 0);
        value = pb_slice_from(value, used);
        while (one.size > 0 && one.data[0] == ' ') {
            one = pb_slice_from(one, 1);
        }
        if (pb_slice_starts_with(one, PB_SLICE_LITERAL("crc32c="))) {
            if (!read_digest(exchange, pb_slice_from(one, 7), "crc32c", PB_CRC32C_BYTES,
                             wanted->crc32c, &wanted->has_crc32c)) {
                return false;
            }
        } else if (pb_slice_starts_with(one, PB_SLICE_LITERAL("md5="))) {
            if (!read_digest(exchange, pb_slice_from(one, 4), "MD5", PB_MD5_BYTES, wanted->md5,
                             &wanted->has_md5)) {
                return false;
            }
        } else {
            pb_origin_gcs_invalid(exchange, "Invalid X-Goog-Hash.");
            return false;
        }
    }
    return true;
}

bool pb_origin_gcs_read_digests(pb_origin_exchange *exchange, const pb_origin_call *call,
                                pb_origin_gcs_digests *wanted)
{
    const pb_origin_request *request = &exchange->request;
    for (size_t i = 0; i < request->header_count; i++) {
        if (pb_slice_equal(request->headers[i].name, PB_SLICE_LITERAL("x-goog-hash")) &&
            !read_hash_header(exchange, request->headers[i].value, wanted)) {
            return false;
        }
    }
    return read_digest(exchange, pb_origin_gcs_metadata_text(&call->metadata, "md5Hash"), "MD5",
                       PB_MD5_BYTES, wanted->md5, &wanted->has_md5) &&
           read_digest(exchange, pb_origin_gcs_metadata_text(&call->metadata, "crc32c"), "crc32c",
                       PB_CRC32C_BYTES, wanted->crc32c, &wanted->has_crc32c);
}

static bool mismatch(pb_origin_exchange *exchange, const char *what, const uint8_t *provided,
                     const uint8_t *calculated, size_t size)
{
    pb_buffer message = {0};
    pb_buffer_append_format(&message, "Provided %s hash \"", what);
    pb_base64_encode(&message, (pb_slice){(const char *)provided, size});
    pb_buffer_append_format(&message, "\" doesn't match calculated %s hash \"", what);
    pb_base64_encode(&message, (pb_slice){(const char *)calculated, size});
    pb_buffer_append_text(&message, "\".");
    pb_origin_gcs_invalid(exchange, message.data);
    pb_buffer_free(&message);
    return false;
}

bool pb_origin_gcs_check_digests(pb_origin_exchange *exchange, const pb_origin_gcs_digests *wanted,
                                 const uint8_t md5[PB_MD5_BYTES],
                                 const uint8_t crc32c[PB_CRC32C_BYTES])
{
    if (wanted->has_md5 && memcmp(wanted->md5, md5, PB_MD5_BYTES) != 0) {
        return mismatch(exchange, "MD5", wanted->md5, md5, PB_MD5_BYTES);
    }
    if (wanted->has_crc32c && memcmp(wanted->crc32c, crc32c, PB_CRC32C_BYTES) != 0) {
        return mismatch(exchange, "CRC32C", wanted->crc32c, crc32c, PB_CRC32C_BYTES);
    }
    return true;
}

/* ---- storing ---- */

bool pb_origin_gcs_store_in(pb_origin *origin, pb_origin_exchange *exchange,
                            const pb_origin_call *call, pb_origin_bucket *bucket,
                            pb_origin_object *object, uint64_t fields)
{
    const pb_origin_object *existing = pb_origin_bucket_find(bucket, pb_origin_object_key(object));
    uint64_t replaced = existing ? existing->size : 0;
    if (object->size > replaced && !pb_origin_has_room(origin, object->size - replaced)) {
        pb_origin_gcs_refuse(exchange, 403, "quotaExceeded",
                             "The capacity of the store is used up.", NULL);
        pb_origin_object_free(object);
        return false;
    }
    bool is_lost = call->fault == PB_ORIGIN_FAULT_LOST;
    if (!is_lost) {
        pb_origin_bucket_put(bucket, object);
    }
    pb_origin_gcs_answer_object(origin, exchange, pb_slice_of(bucket->name), object, fields);
    if (is_lost) {
        pb_origin_object_free(object);
    }
    return true;
}

bool pb_origin_gcs_store(pb_origin *origin, pb_origin_exchange *exchange,
                         const pb_origin_call *call, pb_origin_object *object, uint64_t fields)
{
    pb_origin_bucket *bucket = pb_origin_find_bucket(origin, call->s3.bucket);
    return pb_origin_gcs_store_in(origin, exchange, call, bucket, object, fields);
}

static void hash_whole(pb_hash_kind kind, const pb_origin_content *content, uint8_t *ret_digest)
{
    pb_hash *hash = pb_hash_new(kind);
    pb_hash_update(hash, content->data, content->size);
    pb_hash_finish(hash, ret_digest);
    pb_hash_free(hash);
}

/* The media as content of its own: the body, with what stands round the media taken away. */
static pb_origin_content *take_media(pb_origin_exchange *exchange, pb_slice media)
{
    pb_origin_content *content = pb_origin_take_body(exchange);
    if (media.size > 0) {
        memmove(content->data, media.data, media.size);
    }
    content->size = media.size;
    return content;
}

void pb_origin_gcs_insert_object(pb_origin *origin, pb_origin_exchange *exchange,
                                 pb_origin_call *call)
{
    pb_origin_bucket *bucket = pb_origin_gcs_need_bucket(origin, exchange, call->s3.bucket);
    pb_origin_gcs_digests wanted = {0};
    if (!bucket ||
        !pb_origin_gcs_check_conditions(exchange, &call->gcs.conditions,
                                        pb_origin_bucket_find(bucket, call->s3.key), false) ||
        !pb_origin_gcs_read_digests(exchange, call, &wanted)) {
        return;
    }
    pb_origin_content *content = take_media(exchange, call->media);
    uint8_t md5[PB_MD5_BYTES];
    uint8_t crc32c[PB_CRC32C_BYTES];
    if (call->fault == PB_ORIGIN_FAULT_GARBLED) {
        pb_origin_flip_stored(origin, content);
    }
    hash_whole(PB_HASH_MD5, content, md5);
    hash_whole(PB_HASH_CRC32C, content, crc32c);
    if (!pb_origin_gcs_check_digests(exchange, &wanted, md5, crc32c)) {
        pb_origin_content_release(content);
        return;
    }
    if (call->fault == PB_ORIGIN_FAULT_FLIPPED) {
        pb_origin_flip_stored(origin, content);
    }
    pb_origin_object *object = pb_origin_object_new(call->s3.key);
    object->content = content;
    object->size = content->size;
    object->modified_ms = pb_origin_now_ms(origin);
    object->attributes = pb_origin_gcs_metadata_attributes(&call->metadata, (pb_slice){NULL, 0});
    memcpy(object->md5, md5, PB_MD5_BYTES);
    object->crc32c = (uint32_t)crc32c[0] << 24 | (uint32_t)crc32c[1] << 16 |
                     (uint32_t)crc32c[2] << 8 | crc32c[3];
    object->is_crc32c_known = true;
    pb_origin_gcs_store(origin, exchange, call, object, call->gcs.fields.object);
}
