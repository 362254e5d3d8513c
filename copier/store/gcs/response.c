#include "copier/store/gcs/response.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/json.h"
#include "copier/store/etag.h"
#include "copier/store/gcs/answer.h"
#include "copier/store/gcs/object_headers.h"

static int refuse(const char *why, pb_error *error)
{
    return pb_error_set(error, PB_ERROR_FAILED, "%s", why);
}

static int parse(pb_slice body, json_t **ret_object, pb_error *error)
{
    if (!pb_json_parse(body, "the answer", ret_object, error))
        return 0;
    if (error)
        error->kind = PB_ERROR_SERVER; /* cut off, or not from the store: worth another try */
    return -1;
}

const char *pb_gcs_read_members(const pb_gcs_members *members, pb_gcs_object *ret_object)
{
    uint8_t md5[PB_MD5_BYTES];
    bool has_md5 = pb_base64_decode_to(members->md5, md5, sizeof md5);
    ret_object->has_crc32c =
        pb_base64_decode_to(members->crc32c, ret_object->crc32c, sizeof ret_object->crc32c);
    pb_gcs_content_etag(has_md5 ? md5 : NULL, ret_object->has_crc32c ? ret_object->crc32c : NULL,
                        ret_object->etag);
    if (!pb_parse_unsigned(members->size, &ret_object->size))
        return "an object without its size";
    if (!pb_time_parse_rfc3339(members->updated, &ret_object->mtime_ms))
        return "an object without the time of its last change";
    if (!pb_parse_unsigned(members->generation, &ret_object->generation))
        ret_object->generation = 0;
    return NULL;
}

static pb_slice text_of(const json_t *value)
{
    return json_is_string(value) ? (pb_slice){json_string_value(value), json_string_length(value)}
                                 : (pb_slice){NULL, 0};
}

static int read_object(const json_t *object, pb_gcs_object *ret_object, pb_error *error)
{
    const pb_gcs_members members = {
        .size = text_of(json_object_get(object, "size")),
        .updated = text_of(json_object_get(object, "updated")),
        .generation = text_of(json_object_get(object, "generation")),
        .md5 = text_of(json_object_get(object, "md5Hash")),
        .crc32c = text_of(json_object_get(object, "crc32c")),
    };
    const char *flaw = pb_gcs_read_members(&members, ret_object);
    return flaw ? refuse(flaw, error) : 0;
}

bool pb_gcs_object_may_be(const pb_gcs_object *object, pb_slice etag)
{
    uint8_t crc32c[PB_CRC32C_BYTES];
    pb_slice own = pb_slice_of(object->etag);
    if (pb_etag_is_crc32c(etag, crc32c))
        return !object->has_crc32c || memcmp(crc32c, object->crc32c, sizeof crc32c) == 0;
    return pb_etag_parts(etag) != 0 || pb_etag_parts(own) != 0 || pb_slice_equal(etag, own);
}

int pb_gcs_parse_object(pb_slice body, pb_gcs_object *ret_object, pb_buffer *headers,
                        pb_error *error)
{
    json_t *object;
    if (parse(body, &object, error))
        return -1;
    int failed = read_object(object, ret_object, error);
    if (!failed && headers)
        failed = pb_gcs_headers_of_resource(object, headers, error);
    json_decref(object);
    return failed;
}

int pb_gcs_parse_rewrite(pb_slice body, bool *ret_done, pb_gcs_object *ret_object,
                         uint64_t *ret_bytes, pb_buffer *rewrite_token, pb_error *error)
{
    json_t *rewrite;
    if (parse(body, &rewrite, error))
        return -1;
    pb_slice token = text_of(json_object_get(rewrite, "rewriteToken"));
    int failed = 0;
    *ret_bytes = 0;
    pb_parse_unsigned(text_of(json_object_get(rewrite, "totalBytesRewritten")), ret_bytes);
    *ret_done = json_is_true(json_object_get(rewrite, "done"));
    if (*ret_done)
        failed = read_object(json_object_get(rewrite, "resource"), ret_object, error);
    else if (!token.size)
        failed = refuse("a copy that is neither done nor to be continued", error);
    else
        pb_buffer_append_slice(rewrite_token, token);
    json_decref(rewrite);
    return failed;
}

void pb_gcs_parse_error(pb_slice body, pb_buffer *reason, pb_buffer *message)
{
    json_t *document;
    if (!body.size || pb_json_parse(body, "the answer", &document, NULL))
        return;
    const json_t *error = json_object_get(document, "error");
    const json_t *first = json_array_get(json_object_get(error, "errors"), 0);
    pb_buffer_append_slice(reason, text_of(json_object_get(first, "reason")));
    pb_buffer_append_slice(message, text_of(json_object_get(error, "message")));
    json_decref(document);
}
