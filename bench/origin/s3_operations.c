#include "bench/origin/s3_operations.h"
#include "base/clock.h"
#include "base/codec.h"
#include "bench/origin/s3_answer.h"
#include "bench/origin/xml.h"
#include <stdlib.h>

enum { COPY_SOURCE_BYTES_MAX = 8192 };

/* ---- shared ---- */

static pb_origin_bucket *need_bucket(pb_origin *origin, pb_origin_exchange *exchange,
                                     const pb_origin_call *call)
{
    pb_origin_bucket *bucket = pb_origin_find_bucket(origin, call->s3.bucket);
    if (!bucket) {
        pb_origin_refuse(exchange, "NoSuchBucket", NULL, NULL);
    }
    return bucket;
}

const pb_origin_object *pb_origin_find_copy_source(pb_origin *origin, pb_origin_exchange *exchange)
{
    char memory[COPY_SOURCE_BYTES_MAX];
    pb_slice text = pb_origin_request_header(&exchange->request, "x-amz-copy-source");
    pb_slice name;
    pb_slice key;
    if (text.size > sizeof(memory) || !pb_origin_copy_source(text, memory, &name, &key)) {
        pb_origin_refuse(exchange, "InvalidArgument",
                         "Copy Source must mention the source bucket "
                         "and key: sourcebucket/sourcekey",
                         NULL);
        return NULL;
    }
    char place[PB_ORIGIN_PLACE_BYTES_MAX];
    const char *code = pb_origin_stored_key(origin, &name, &key, place);
    if (code) {
        pb_origin_refuse(exchange, code, NULL, NULL);
        return NULL;
    }
    if (pb_origin_is_denied(origin, name, key)) {
        pb_origin_refuse(exchange, "AccessDenied", NULL, NULL);
        return NULL;
    }
    pb_origin_bucket *bucket = pb_origin_find_bucket(origin, name);
    pb_origin_object *object = bucket ? pb_origin_bucket_find(bucket, key) : NULL;
    if (!object) {
        pb_origin_refuse(exchange, bucket ? "NoSuchKey" : "NoSuchBucket", NULL, NULL);
        return NULL;
    }
    pb_slice match = pb_origin_request_header(&exchange->request, "x-amz-copy-source-if-match");
    pb_slice none = pb_origin_request_header(&exchange->request, "x-amz-copy-source-if-none-match");
    if ((match.data && !pb_origin_etag_matches(match, object->md5, object->etag_parts)) ||
        (none.data && pb_origin_etag_matches(none, object->md5, object->etag_parts))) {
        pb_origin_refuse(exchange, "PreconditionFailed", NULL, NULL);
        return NULL;
    }
    return object;
}

pb_origin_attributes *pb_origin_read_attributes(const pb_origin_request *request)
{
    static const char *const kept[] = {"content-type", "cache-control", "content-disposition",
                                       "content-language", "expires"};
    pb_buffer headers = {0};
    for (size_t i = 0; i < request->header_count; i++) {
        pb_slice name = request->headers[i].name;
        pb_slice value = request->headers[i].value;
        bool keeps = pb_slice_starts_with(name, PB_SLICE_LITERAL("x-amz-meta-"));
        for (size_t j = 0; j < sizeof(kept) / sizeof(kept[0]) && !keeps; j++) {
            keeps = pb_slice_equal(name, pb_slice_of(kept[j]));
        }
        if (pb_slice_equal(name, PB_SLICE_LITERAL("content-encoding"))) {
            /* "aws-chunked" is of the request, what follows it is of the object. */
            if (pb_slice_starts_with(value, PB_SLICE_LITERAL("aws-chunked"))) {
                value.data += 11;
                value.size -= 11;
                while (value.size > 0 && (value.data[0] == ',' || value.data[0] == ' ')) {
                    value.data++;
                    value.size--;
                }
            }
            keeps = value.size > 0;
        }
        if (keeps) {
            pb_buffer_append_slice(&headers, name);
            pb_buffer_append(&headers, ": ", 2);
            pb_buffer_append_slice(&headers, value);
            pb_buffer_append(&headers, "\r\n", 2);
        }
    }
    pb_origin_attributes *attributes = NULL;
    if (headers.size > 0) {
        attributes = pb_origin_attributes_new(pb_buffer_slice(&headers), NULL, 0);
    }
    pb_buffer_free(&headers);
    return attributes;
}

int pb_origin_read_range(pb_slice text, uint64_t size, uint64_t *ret_offset, uint64_t *ret_size)
{
    *ret_offset = 0;
    *ret_size = size;
    if (!pb_slice_starts_with(text, PB_SLICE_LITERAL("bytes="))) {
        return 0;
    }
    text.data += 6;
    text.size -= 6;
    const char *dash = text.size > 0 ? memchr(text.data, '-', text.size) : NULL;
    if (!dash || memchr(text.data, ',', text.size)) {
        return 0;
    }
    pb_slice first_text = {text.data, (size_t)(dash - text.data)};
    pb_slice last_text = {dash + 1, text.size - first_text.size - 1};
    uint64_t first = 0;
    uint64_t last = 0;
    if ((first_text.size > 0 && !pb_parse_unsigned(first_text, &first)) ||
        (last_text.size > 0 && !pb_parse_unsigned(last_text, &last)) ||
        first_text.size + last_text.size == 0) {
        return 0;
    }
    if (first_text.size == 0) {
        if (last == 0 || size == 0) {
            return -1;
        }
        *ret_size = last < size ? last : size;
        *ret_offset = size - *ret_size;
        return 1;
    }
    if (last_text.size > 0 && last < first) {
        return 0;
    }
    if (first >= size) {
        return -1;
    }
    *ret_offset = first;
    *ret_size = last_text.size > 0 && last < size - 1 ? last - first + 1 : size - first;
    return 1;
}

bool pb_origin_check_write_conditions(pb_origin *origin, pb_origin_exchange *exchange,
                                      const pb_origin_object *existing)
{
    if (origin->options.no_create_only) {
        return true;
    }
    pb_slice none = pb_origin_request_header(&exchange->request, "if-none-match");
    pb_slice match = pb_origin_request_header(&exchange->request, "if-match");
    if (none.data && !pb_slice_equal(none, PB_SLICE_LITERAL("*"))) {
        pb_origin_refuse(exchange, "NotImplemented", NULL, NULL);
        return false;
    }
    if (match.data && !existing) {
        pb_origin_refuse(exchange, "NoSuchKey", NULL, NULL);
        return false;
    }
    if ((none.data && existing) ||
        (match.data && !pb_origin_etag_matches(match, existing->md5, existing->etag_parts))) {
        pb_origin_refuse(exchange, "PreconditionFailed", NULL, NULL);
        return false;
    }
    return true;
}

pb_origin_content *pb_origin_take_body(pb_origin_exchange *exchange)
{
    pb_origin_content *body = exchange->body;
    exchange->body = NULL;
    return body ? body : pb_origin_content_new_bytes(0);
}

void pb_origin_flip_stored(pb_origin *origin, pb_origin_content *content)
{
    if (content->size > 0) {
        content->data[pb_random_below(&origin->faults.random, content->size)] ^= 0x20;
    }
}

static void etag_header(pb_origin_exchange *exchange, const uint8_t *md5, unsigned parts)
{
    char text[PB_ORIGIN_ETAG_TEXT_MAX];
    size_t size = pb_origin_etag_text(md5, parts, text);
    pb_buffer *headers = &exchange->response.headers;
    pb_buffer_append_text(headers, "ETag: \"");
    pb_buffer_append(headers, text, size);
    pb_buffer_append_text(headers, "\"\r\n");
}

void pb_origin_echo_crc32c(pb_origin_exchange *exchange)
{
    pb_slice text = pb_origin_request_header(&exchange->request, "x-amz-checksum-crc32c");
    if (text.data) {
        pb_origin_add_header(exchange, "x-amz-checksum-crc32c", text);
    }
}

/* ---- buckets ---- */

void pb_origin_list_buckets(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    (void)call;
    pb_buffer *text = pb_origin_answer_xml(exchange);
    pb_buffer_append_text(text, "<ListAllMyBucketsResult" PB_ORIGIN_XML_NAMESPACE
                                "><Owner><ID>origin</ID><DisplayName>origin</DisplayName></Owner>"
                                "<Buckets>");
    for (size_t i = 0; i < origin->bucket_count; i++) {
        char created[PB_TIME_TEXT_MAX];
        pb_time_format_rfc3339(origin->buckets[i]->created_ms, created);
        pb_buffer_append_text(text, "<Bucket>");
        pb_origin_xml_element(text, "Name", pb_slice_of(origin->buckets[i]->name));
        pb_origin_xml_element(text, "CreationDate", pb_slice_of(created));
        pb_buffer_append_text(text, "</Bucket>");
    }
    pb_buffer_append_text(text, "</Buckets></ListAllMyBucketsResult>");
}

static bool is_bucket_name(pb_slice name)
{
    if (name.size < 3 || name.size > 63) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_letter && ((c != '-' && c != '.') || i == 0 || i == name.size - 1)) {
            return false;
        }
    }
    return true;
}

void pb_origin_create_bucket(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    if (pb_origin_find_bucket(origin, call->s3.bucket)) {
        pb_origin_refuse(exchange, "BucketAlreadyOwnedByYou", NULL, NULL);
        return;
    }
    if (!is_bucket_name(call->s3.bucket)) {
        pb_origin_refuse(exchange, "InvalidBucketName", NULL, NULL);
        return;
    }
    pb_origin_add_bucket(origin, call->s3.bucket);
    exchange->response.status = 200;
    pb_buffer_append_text(&exchange->response.headers, "Location: /");
    pb_buffer_append_slice(&exchange->response.headers, call->s3.bucket);
    pb_buffer_append_text(&exchange->response.headers, "\r\n");
}

void pb_origin_delete_bucket(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_bucket *bucket = need_bucket(origin, exchange, call);
    if (!bucket) {
        return;
    }
    if (bucket->object_count > 0) {
        pb_origin_refuse(exchange, "BucketNotEmpty", NULL, NULL);
        return;
    }
    pb_origin_drop_uploads(origin, bucket);
    pb_origin_drop_bucket(origin, bucket);
    exchange->response.status = 204;
}

void pb_origin_head_bucket(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    if (need_bucket(origin, exchange, call)) {
        exchange->response.status = 200;
        pb_origin_add_header(exchange, "x-amz-bucket-region",
                             pb_origin_region_of(origin, call->s3.bucket));
    }
}

void pb_origin_get_bucket_location(pb_origin *origin, pb_origin_exchange *exchange,
                                   pb_origin_call *call)
{
    if (!need_bucket(origin, exchange, call)) {
        return;
    }
    pb_slice region = pb_origin_region_of(origin, call->s3.bucket);
    pb_buffer *text = pb_origin_answer_xml(exchange);
    pb_buffer_append_text(text, "<LocationConstraint" PB_ORIGIN_XML_NAMESPACE ">");
    if (!pb_slice_equal(region, PB_SLICE_LITERAL("us-east-1"))) {
        pb_origin_xml_escape(text, region);
    }
    pb_buffer_append_text(text, "</LocationConstraint>");
}

void pb_origin_get_bucket_versioning(pb_origin *origin, pb_origin_exchange *exchange,
                                     pb_origin_call *call)
{
    if (need_bucket(origin, exchange, call)) {
        pb_buffer_append_text(pb_origin_answer_xml(exchange),
                              "<VersioningConfiguration" PB_ORIGIN_XML_NAMESPACE "/>");
    }
}

/* ---- objects ---- */

/* ?partNumber=N: the range of that part. False: refused already. */
static bool part_range(pb_origin_exchange *exchange, const pb_origin_object *object, pb_slice text,
                       uint64_t *ret_offset, uint64_t *ret_size)
{
    uint64_t number;
    if (!pb_parse_unsigned(text, &number) || number < 1 || number > PB_ORIGIN_PARTS_MAX) {
        pb_origin_refuse(exchange, "InvalidArgument", NULL, NULL);
        return false;
    }
    const pb_origin_attributes *attributes = object->attributes;
    uint32_t count = attributes && attributes->part_count ? attributes->part_count : 1;
    if (number > count) {
        pb_origin_refuse(exchange, "InvalidRange", "The requested partnumber is not satisfiable",
                         NULL);
        return false;
    }
    *ret_offset = 0;
    *ret_size = object->size;
    if (attributes && attributes->part_count) {
        for (uint64_t i = 0; i + 1 < number; i++) {
            *ret_offset += attributes->part_sizes[i];
        }
        *ret_size = attributes->part_sizes[number - 1];
        pb_buffer_append_format(&exchange->response.headers, "x-amz-mp-parts-count: %u\r\n", count);
    }
    return true;
}

static void object_headers(pb_origin_exchange *exchange, const pb_origin_object *object)
{
    char modified[PB_TIME_TEXT_MAX];
    pb_time_format_http(object->modified_ms, modified);
    etag_header(exchange, object->md5, object->etag_parts);
    pb_origin_add_header(exchange, "Last-Modified", pb_slice_of(modified));
    pb_buffer *headers = &exchange->response.headers;
    pb_buffer_append_text(headers, "Accept-Ranges: bytes\r\n");
    pb_slice kept = object->attributes ? object->attributes->headers : (pb_slice){NULL, 0};
    pb_buffer_append(headers, kept.data, kept.size);
    if (!pb_slice_starts_with(kept, PB_SLICE_LITERAL("content-type: ")) &&
        (kept.size == 0 || !memmem(kept.data, kept.size, "\ncontent-type: ", 15))) {
        pb_buffer_append_text(headers, "Content-Type: binary/octet-stream\r\n");
    }
}

void pb_origin_get_object(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_bucket *bucket = need_bucket(origin, exchange, call);
    pb_origin_object *object = bucket ? pb_origin_bucket_find(bucket, call->s3.key) : NULL;
    if (!object) {
        if (bucket) {
            pb_origin_refuse(exchange, "NoSuchKey", NULL, NULL);
        }
        return;
    }
    const pb_origin_request *request = &exchange->request;
    pb_origin_response *response = &exchange->response;
    pb_slice match = pb_origin_request_header(request, "if-match");
    pb_slice none = pb_origin_request_header(request, "if-none-match");
    if (match.data && !pb_origin_etag_matches(match, object->md5, object->etag_parts)) {
        pb_origin_refuse(exchange, "PreconditionFailed", NULL, NULL);
        return;
    }
    if (none.data && pb_origin_etag_matches(none, object->md5, object->etag_parts)) {
        response->status = 304;
        etag_header(exchange, object->md5, object->etag_parts);
        return;
    }
    uint64_t offset = 0;
    uint64_t size = object->size;
    bool is_range = false;
    const pb_origin_parameter *part = pb_origin_s3_parameter(&call->s3, "partNumber");
    if (part) {
        if (!part_range(exchange, object, part->value, &offset, &size)) {
            return;
        }
        is_range = object->size > 0;
    } else {
        pb_slice text = pb_origin_request_header(request, "range");
        int found = text.data ? pb_origin_read_range(text, object->size, &offset, &size) : 0;
        if (found < 0) {
            char more[64];
            snprintf(more, sizeof(more), "<ActualObjectSize>%llu</ActualObjectSize>",
                     (unsigned long long)object->size);
            pb_origin_refuse(exchange, "InvalidRange", NULL, more);
            pb_buffer_append_format(&response->headers, "Content-Range: bytes */%llu\r\n",
                                    (unsigned long long)object->size);
            return;
        }
        is_range = found > 0;
    }
    response->status = is_range ? 206 : 200;
    object_headers(exchange, object);
    if (is_range) {
        pb_buffer_append_format(&response->headers, "Content-Range: bytes %llu-%llu/%llu\r\n",
                                (unsigned long long)offset, (unsigned long long)(offset + size - 1),
                                (unsigned long long)object->size);
    }
    response->announced_bytes = size;
    if (!response->is_head && size > 0) {
        response->content = pb_origin_object_content(object);
        response->content_offset = offset;
        response->content_size = size;
        if (call->fault == PB_ORIGIN_FAULT_FLIPPED) {
            response->flips = true;
            response->flip_offset = pb_random_below(&origin->faults.random, size);
        }
    }
}

void pb_origin_get_object_tagging(pb_origin *origin, pb_origin_exchange *exchange,
                                  pb_origin_call *call)
{
    pb_origin_bucket *bucket = need_bucket(origin, exchange, call);
    if (bucket && !pb_origin_bucket_find(bucket, call->s3.key)) {
        pb_origin_refuse(exchange, "NoSuchKey", NULL, NULL);
    } else if (bucket) {
        pb_buffer_append_text(pb_origin_answer_xml(exchange),
                              "<Tagging" PB_ORIGIN_XML_NAMESPACE "><TagSet/></Tagging>");
    }
}

void pb_origin_put_object(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_bucket *bucket = need_bucket(origin, exchange, call);
    if (!bucket) {
        return;
    }
    pb_origin_object *existing = pb_origin_bucket_find(bucket, call->s3.key);
    if (!pb_origin_check_write_conditions(origin, exchange, existing)) {
        return;
    }
    uint64_t size = exchange->body ? exchange->body->size : 0;
    uint64_t replaced = existing ? existing->size : 0;
    if (size > replaced && !pb_origin_has_room(origin, size - replaced)) {
        pb_origin_refuse(exchange, "QuotaExceeded", NULL, NULL);
        return;
    }
    exchange->response.status = 200;
    etag_header(exchange, exchange->body_md5, 0);
    pb_origin_echo_crc32c(exchange);
    if (call->fault == PB_ORIGIN_FAULT_LOST) {
        return;
    }
    pb_origin_object *object = pb_origin_object_new(call->s3.key);
    object->content = pb_origin_take_body(exchange);
    object->size = size;
    object->modified_ms = pb_origin_now_ms(origin);
    object->attributes = pb_origin_read_attributes(&exchange->request);
    memcpy(object->md5, exchange->body_md5, PB_MD5_BYTES);
    memcpy(object->content->md5, exchange->body_md5, PB_MD5_BYTES);
    object->content->md5_known = true;
    if (call->fault == PB_ORIGIN_FAULT_FLIPPED) {
        pb_origin_flip_stored(origin, object->content);
    }
    pb_origin_bucket_put(bucket, object);
}

/* A copy made by CopyObject is one object, whatever its source was made of: AWS gives it the MD5 of
 * its bytes, Ceph leaves it the ETag and the parts it had. */
static pb_origin_object *copy_of(const pb_origin *origin, const pb_origin_object *source,
                                 pb_slice key)
{
    pb_origin_object *object = pb_origin_object_new(key);
    object->size = source->size;
    object->modified_ms = pb_origin_now_ms(origin);
    object->is_synthetic = source->is_synthetic;
    object->is_crc32c_known = source->is_crc32c_known;
    object->crc32c = source->crc32c;
    if (source->is_synthetic) {
        object->synthetic_index = source->synthetic_index;
    } else {
        object->content = pb_origin_content_hold(source->content);
    }
    memcpy(object->md5, source->md5, PB_MD5_BYTES);
    object->etag_parts = source->etag_parts;
    if (source->etag_parts > 0 && !origin->options.ceph_copy_etag) {
        pb_origin_content_md5(object->content, object->md5);
        object->etag_parts = 0;
    }
    return object;
}

void pb_origin_copy_object(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_bucket *bucket = need_bucket(origin, exchange, call);
    const pb_origin_object *source = bucket ? pb_origin_find_copy_source(origin, exchange) : NULL;
    if (!source) {
        return;
    }
    const pb_origin_request *request = &exchange->request;
    pb_slice directive = pb_origin_request_header(request, "x-amz-metadata-directive");
    bool replaces = pb_slice_equal(directive, PB_SLICE_LITERAL("REPLACE"));
    pb_origin_object *existing = pb_origin_bucket_find(bucket, call->s3.key);
    if (source == existing && !replaces) {
        pb_origin_refuse(exchange, "InvalidRequest",
                         "This copy request is illegal because it is trying to copy an object to "
                         "itself without changing the object's metadata, storage class, website "
                         "redirect location or encryption attributes.",
                         NULL);
        return;
    }
    if (source->size > PB_ORIGIN_OBJECT_BYTES_MAX) {
        pb_origin_refuse(
            exchange, "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a "
            "copy source: 5368709120",
            NULL);
        return;
    }
    if (!pb_origin_check_write_conditions(origin, exchange, existing)) {
        return;
    }
    uint64_t replaced = existing ? existing->size : 0;
    if (source->size > replaced && !pb_origin_has_room(origin, source->size - replaced)) {
        pb_origin_refuse(exchange, "QuotaExceeded", NULL, NULL);
        return;
    }
    pb_origin_object *object = copy_of(origin, source, call->s3.key);
    if (replaces) {
        object->attributes = pb_origin_read_attributes(request);
    } else if (source->attributes && source->attributes->part_count > 0 &&
               object->etag_parts == 0) {
        object->attributes = pb_origin_attributes_new(source->attributes->headers, NULL, 0);
        object->attributes->escapes_metadata = source->attributes->escapes_metadata;
    } else {
        object->attributes = pb_origin_attributes_of_copy(source->attributes);
    }
    char modified[PB_TIME_TEXT_MAX];
    pb_time_format_rfc3339(object->modified_ms, modified);
    pb_buffer *text = pb_origin_answer_xml(exchange);
    pb_buffer_append_text(text, "<CopyObjectResult" PB_ORIGIN_XML_NAMESPACE "><LastModified>");
    pb_buffer_append_text(text, modified);
    pb_buffer_append_text(text, "</LastModified>");
    pb_origin_etag_element(text, object->md5, object->etag_parts);
    pb_buffer_append_text(text, "</CopyObjectResult>");
    if (call->fault == PB_ORIGIN_FAULT_LOST) {
        pb_origin_object_free(object);
    } else {
        pb_origin_bucket_put(bucket, object);
    }
}

void pb_origin_delete_object(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_bucket *bucket = need_bucket(origin, exchange, call);
    if (bucket) {
        pb_origin_bucket_remove(bucket, call->s3.key);
        exchange->response.status = 204;
    }
}

/* ---- DeleteObjects ---- */

typedef struct deletion {
    pb_buffer keys; /* one after the other */
    size_t ends[PB_ORIGIN_PAGE_MAX];
    size_t count;
    bool quiet;
} deletion;

/* <Delete><Quiet/>?<Object><Key/>...</Object>*</Delete>; other elements are passed over. */
static bool read_deletion(pb_slice document, deletion *ret_deletion)
{
    pb_origin_xml_scanner scanner = {.rest = document};
    pb_buffer value = {0};
    bool is_sound = true;
    bool in_key = false;
    bool had_key = false;
    while (is_sound) {
        pb_origin_xml_event event = pb_origin_xml_next(&scanner);
        pb_slice name = scanner.name;
        if (event == PB_ORIGIN_XML_END) {
            break;
        }
        if (event == PB_ORIGIN_XML_MALFORMED) {
            is_sound = false;
        } else if (event == PB_ORIGIN_XML_OPEN) {
            pb_buffer_clear(&value);
            is_sound = scanner.depth > 1 || pb_slice_equal(name, PB_SLICE_LITERAL("Delete"));
            if (scanner.depth == 2) {
                in_key = false;
                had_key = false;
            }
            in_key = scanner.depth == 3 && pb_slice_equal(name, PB_SLICE_LITERAL("Key"));
        } else if (event == PB_ORIGIN_XML_TEXT) {
            pb_buffer_append_slice(&value, pb_buffer_slice(&scanner.text));
        } else if (in_key && scanner.depth == 2) {
            in_key = false;
            is_sound = !had_key && value.size > 0 && value.size <= PB_ORIGIN_KEY_BYTES_MAX &&
                       ret_deletion->count < PB_ORIGIN_PAGE_MAX;
            had_key = true;
            if (is_sound) {
                pb_buffer_append_slice(&ret_deletion->keys, pb_buffer_slice(&value));
                ret_deletion->ends[ret_deletion->count++] = ret_deletion->keys.size;
            }
        } else if (scanner.depth == 1 && pb_slice_equal(name, PB_SLICE_LITERAL("Quiet"))) {
            ret_deletion->quiet = pb_slice_equal(pb_buffer_slice(&value), PB_SLICE_LITERAL("true"));
        } else if (scanner.depth == 1 && pb_slice_equal(name, PB_SLICE_LITERAL("Object"))) {
            is_sound = had_key;
        }
    }
    pb_buffer_free(&value);
    pb_buffer_free(&scanner.text);
    return is_sound && ret_deletion->count > 0;
}

void pb_origin_delete_objects(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_bucket *bucket = need_bucket(origin, exchange, call);
    if (!bucket) {
        return;
    }
    bool has_digest = false;
    for (size_t i = 0; i < exchange->request.header_count; i++) {
        pb_slice name = exchange->request.headers[i].name;
        has_digest = has_digest || pb_slice_equal(name, PB_SLICE_LITERAL("content-md5")) ||
                     pb_slice_starts_with(name, PB_SLICE_LITERAL("x-amz-checksum-"));
    }
    if (!has_digest) {
        pb_origin_refuse(exchange, "InvalidRequest",
                         "Missing required header for this request: Content-MD5", NULL);
        return;
    }
    pb_slice document = {NULL, 0};
    if (exchange->body) {
        document = (pb_slice){exchange->body->data, exchange->body->size};
    }
    deletion *wanted = pb_allocate_zeroed(1, sizeof(*wanted));
    if (!read_deletion(document, wanted)) {
        pb_origin_refuse(exchange, "MalformedXML", NULL, NULL);
    } else {
        pb_buffer *text = pb_origin_answer_xml(exchange);
        pb_buffer_append_text(text, "<DeleteResult" PB_ORIGIN_XML_NAMESPACE ">");
        size_t start = 0;
        for (size_t i = 0; i < wanted->count; i++) {
            pb_slice key = {wanted->keys.data + start, wanted->ends[i] - start};
            start = wanted->ends[i];
            pb_slice name = call->s3.bucket, stored = key;
            char place[PB_ORIGIN_PLACE_BYTES_MAX];
            if (pb_origin_stored_key(origin, &name, &stored, place) ||
                pb_origin_is_denied(origin, name, stored)) {
                pb_buffer_append_text(text, "<Error>");
                pb_origin_xml_element(text, "Key", key);
                pb_buffer_append_text(text, "<Code>AccessDenied</Code><Message>Access Denied"
                                            "</Message></Error>");
                continue;
            }
            pb_origin_bucket *holder = pb_origin_find_bucket(origin, name);
            if (holder) {
                pb_origin_bucket_remove(holder, stored);
            }
            if (!wanted->quiet) {
                pb_buffer_append_text(text, "<Deleted>");
                pb_origin_xml_element(text, "Key", key);
                pb_buffer_append_text(text, "</Deleted>");
            }
        }
        pb_buffer_append_text(text, "</DeleteResult>");
    }
    pb_buffer_free(&wanted->keys);
    free(wanted);
}
