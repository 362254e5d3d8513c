/* Multipart uploads. */
#include "base/clock.h"
#include "base/codec.h"
#include "bench/origin/s3_answer.h"
#include "bench/origin/s3_operations.h"
#include "bench/origin/xml.h"
#include <stdlib.h>

/* ---- the table of uploads: an id starts with its slot, so that finding one is a look-up ---- */

static void upload_free(pb_origin *origin, size_t slot)
{
    pb_origin_upload *upload = origin->uploads[slot];
    for (size_t i = 0; i < upload->part_room; i++) {
        if (upload->parts[i].content) {
            origin->upload_bytes -= upload->parts[i].content->size;
            pb_origin_content_release(upload->parts[i].content);
        }
    }
    pb_origin_attributes_release(upload->attributes);
    free(upload->parts);
    free(upload->key);
    free(upload);
    origin->uploads[slot] = NULL;
    if (slot < origin->upload_free) {
        origin->upload_free = slot;
    }
}

static pb_origin_upload *upload_add(pb_origin *origin)
{
    size_t slot = origin->upload_free;
    while (slot < origin->upload_room && origin->uploads[slot]) {
        slot++;
    }
    if (slot == origin->upload_room) {
        size_t room = slot ? slot * 2 : 64;
        origin->uploads = pb_reallocate(origin->uploads, room * sizeof(origin->uploads[0]));
        memset(origin->uploads + slot, 0, (room - slot) * sizeof(origin->uploads[0]));
        origin->upload_room = room;
    }
    pb_origin_upload *upload = pb_allocate_zeroed(1, sizeof(*upload));
    snprintf(upload->id, sizeof(upload->id), "%08x%016llx%08x", (unsigned)slot,
             (unsigned long long)pb_random_next(&origin->random),
             (unsigned)(pb_random_next(&origin->random) >> 32));
    origin->uploads[slot] = upload;
    origin->upload_free = slot + 1;
    return upload;
}

/* The upload a request names, which must be of its bucket and key. NULL: refused already. */
static pb_origin_upload *need_upload(pb_origin *origin, pb_origin_exchange *exchange,
                                     const pb_origin_call *call, size_t *ret_slot)
{
    const pb_origin_parameter *id = pb_origin_s3_parameter(&call->s3, "uploadId");
    uint8_t digits[4];
    pb_origin_bucket *bucket = pb_origin_find_bucket(origin, call->s3.bucket);
    if (!bucket) {
        pb_origin_refuse(exchange, "NoSuchBucket", NULL, NULL);
        return NULL;
    }
    if (id && id->value.size == 32 &&
        pb_hex_decode((pb_slice){id->value.data, 8}, digits, sizeof(digits))) {
        size_t slot =
            (size_t)digits[0] << 24 | (size_t)digits[1] << 16 | (size_t)digits[2] << 8 | digits[3];
        pb_origin_upload *upload = slot < origin->upload_room ? origin->uploads[slot] : NULL;
        if (upload && memcmp(upload->id, id->value.data, 32) == 0 && upload->bucket == bucket &&
            pb_slice_equal((pb_slice){upload->key, upload->key_size}, call->s3.key)) {
            if (ret_slot) {
                *ret_slot = slot;
            }
            return upload;
        }
    }
    pb_origin_refuse(exchange, "NoSuchUpload", NULL, NULL);
    return NULL;
}

void pb_origin_drop_uploads(pb_origin *origin, const pb_origin_bucket *bucket)
{
    for (size_t slot = 0; slot < origin->upload_room; slot++) {
        if (origin->uploads[slot] && (!bucket || origin->uploads[slot]->bucket == bucket)) {
            upload_free(origin, slot);
        }
    }
}

/* ---- parts ---- */

static bool need_part_number(pb_origin_exchange *exchange, const pb_origin_call *call,
                             uint64_t *ret_number)
{
    const pb_origin_parameter *text = pb_origin_s3_parameter(&call->s3, "partNumber");
    if (!text || !pb_parse_unsigned(text->value, ret_number) || *ret_number < 1 ||
        *ret_number > PB_ORIGIN_PARTS_MAX) {
        pb_origin_refuse(exchange, "InvalidArgument",
                         "Part number must be an integer between 1 and 10000, inclusive", NULL);
        return false;
    }
    return true;
}

/* Takes the content. */
static pb_origin_part *store_part(pb_origin *origin, pb_origin_upload *upload, uint64_t number,
                                  pb_origin_content *content, const uint8_t md5[PB_MD5_BYTES])
{
    if (number > upload->part_room) {
        size_t room = upload->part_room ? upload->part_room : 8;
        while (room < number) {
            room *= 2;
        }
        upload->parts = pb_reallocate(upload->parts, room * sizeof(upload->parts[0]));
        memset(upload->parts + upload->part_room, 0,
               (room - upload->part_room) * sizeof(upload->parts[0]));
        upload->part_room = room;
    }
    pb_origin_part *part = &upload->parts[number - 1];
    if (part->content) {
        origin->upload_bytes -= part->content->size;
        pb_origin_content_release(part->content);
    }
    origin->upload_bytes += content->size;
    part->content = content;
    part->modified_ms = pb_origin_now_ms(origin);
    memcpy(part->md5, md5, PB_MD5_BYTES);
    part->has_crc32c = false;
    return part;
}

void pb_origin_create_multipart_upload(pb_origin *origin, pb_origin_exchange *exchange,
                                       pb_origin_call *call)
{
    pb_origin_bucket *bucket = pb_origin_find_bucket(origin, call->s3.bucket);
    if (!bucket) {
        pb_origin_refuse(exchange, "NoSuchBucket", NULL, NULL);
        return;
    }
    pb_origin_upload *upload = upload_add(origin);
    upload->bucket = bucket;
    upload->key = pb_duplicate(call->s3.key);
    upload->key_size = call->s3.key.size;
    upload->attributes = pb_origin_read_attributes(&exchange->request);
    upload->initiated_ms = pb_origin_now_ms(origin);
    upload->takes_crc32c =
        pb_slice_equal(pb_origin_request_header(&exchange->request, "x-amz-checksum-algorithm"),
                       PB_SLICE_LITERAL("CRC32C"));
    pb_buffer *text = pb_origin_answer_xml(exchange);
    pb_buffer_append_text(text, "<InitiateMultipartUploadResult" PB_ORIGIN_XML_NAMESPACE ">");
    pb_origin_xml_element(text, "Bucket", call->s3.bucket);
    pb_origin_xml_element(text, "Key", call->s3.key);
    pb_origin_xml_element(text, "UploadId", pb_slice_of(upload->id));
    pb_buffer_append_text(text, "</InitiateMultipartUploadResult>");
}

void pb_origin_upload_part(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_upload *upload = need_upload(origin, exchange, call, NULL);
    uint64_t number;
    if (!upload || !need_part_number(exchange, call, &number)) {
        return;
    }
    if (!pb_origin_has_room(origin, exchange->body ? exchange->body->size : 0)) {
        pb_origin_refuse(exchange, "QuotaExceeded", NULL, NULL);
        return;
    }
    if (exchange->plan.crc32c && !upload->takes_crc32c) {
        pb_origin_refuse(exchange, "InvalidRequest",
                         "Checksum Type mismatch occurred, expected checksum Type: null, actual "
                         "checksum Type: crc32c",
                         NULL);
        return;
    }
    char etag[PB_ORIGIN_ETAG_TEXT_MAX];
    pb_origin_etag_text(exchange->body_md5, 0, etag);
    pb_origin_echo_crc32c(exchange);
    exchange->response.status = 200;
    pb_buffer_append_format(&exchange->response.headers, "ETag: \"%s\"\r\n", etag);
    if (call->fault == PB_ORIGIN_FAULT_LOST) {
        return;
    }
    pb_origin_content *content = pb_origin_take_body(exchange);
    if (call->fault == PB_ORIGIN_FAULT_FLIPPED) {
        pb_origin_flip_stored(origin, content);
    }
    pb_origin_part *part = store_part(origin, upload, number, content, exchange->body_md5);
    part->has_crc32c = exchange->plan.crc32c;
    memcpy(part->crc32c, exchange->body_crc32c, sizeof(part->crc32c));
}

/* x-amz-copy-source-range: unlike Range it must be "bytes=first-last" and lie in the source. */
static bool copy_range(pb_origin_exchange *exchange, uint64_t size, uint64_t *ret_offset,
                       uint64_t *ret_size)
{
    pb_slice text = pb_origin_request_header(&exchange->request, "x-amz-copy-source-range");
    *ret_offset = 0;
    *ret_size = size;
    if (!text.data) {
        return true;
    }
    uint64_t first;
    uint64_t last;
    const char *dash = text.size > 6 ? memchr(text.data + 6, '-', text.size - 6) : NULL;
    if (!pb_slice_starts_with(text, PB_SLICE_LITERAL("bytes=")) || !dash ||
        !pb_parse_unsigned((pb_slice){text.data + 6, (size_t)(dash - text.data) - 6}, &first) ||
        !pb_parse_unsigned((pb_slice){dash + 1, (size_t)(text.data + text.size - dash) - 1},
                           &last) ||
        last < first) {
        pb_origin_refuse(exchange, "InvalidArgument",
                         "The x-amz-copy-source-range value must be of the form bytes=first-last "
                         "where first and last are the zero-based offsets of the first and last "
                         "bytes to copy",
                         NULL);
        return false;
    }
    if (last >= size) {
        pb_origin_refuse(exchange, "InvalidArgument",
                         "Range specified is not valid for source object", NULL);
        return false;
    }
    *ret_offset = first;
    *ret_size = last - first + 1;
    return true;
}

void pb_origin_upload_part_copy(pb_origin *origin, pb_origin_exchange *exchange,
                                pb_origin_call *call)
{
    pb_origin_upload *upload = need_upload(origin, exchange, call, NULL);
    uint64_t number;
    uint64_t offset;
    uint64_t size;
    if (!upload || !need_part_number(exchange, call, &number)) {
        return;
    }
    const pb_origin_object *source = pb_origin_find_copy_source(origin, exchange);
    if (!source || !copy_range(exchange, source->size, &offset, &size)) {
        return;
    }
    if (size > PB_ORIGIN_OBJECT_BYTES_MAX) {
        pb_origin_refuse(exchange, "EntityTooLarge", NULL, NULL);
        return;
    }
    if (!pb_origin_has_room(origin, size)) {
        pb_origin_refuse(exchange, "QuotaExceeded", NULL, NULL);
        return;
    }
    pb_origin_content *whole = pb_origin_object_content(source);
    pb_origin_content *content = pb_origin_content_new_pieces();
    pb_origin_content_append_piece(content, whole, offset, size);
    pb_origin_content_release(whole);
    uint8_t md5[PB_MD5_BYTES];
    if (size == source->size && source->etag_parts == 0) {
        memcpy(md5, source->md5, sizeof(md5));
        memcpy(content->md5, md5, sizeof(md5));
        content->md5_known = true;
    } else {
        pb_origin_content_md5(content, md5);
    }
    char modified[PB_TIME_TEXT_MAX];
    pb_time_format_rfc3339(pb_origin_now_ms(origin), modified);
    pb_buffer *text = pb_origin_answer_xml(exchange);
    pb_buffer_append_text(text, "<CopyPartResult" PB_ORIGIN_XML_NAMESPACE ">");
    pb_origin_xml_element(text, "LastModified", pb_slice_of(modified));
    pb_origin_etag_element(text, md5, 0);
    pb_buffer_append_text(text, "</CopyPartResult>");
    if (call->fault == PB_ORIGIN_FAULT_LOST) {
        pb_origin_content_release(content);
    } else {
        store_part(origin, upload, number, content, md5);
    }
}

/* ---- completion ---- */

typedef struct named_part {
    uint64_t number;
    char etag[PB_ORIGIN_ETAG_TEXT_MAX];
    bool has_crc32c;
    uint8_t crc32c[PB_CRC32C_BYTES];
} named_part;

typedef struct completion {
    named_part *parts;
    size_t count;
} completion;

/* <CompleteMultipartUpload><Part><PartNumber/><ETag/><ChecksumCRC32C/>?</Part>*... */
static bool read_completion(pb_slice document, completion *ret_completion)
{
    pb_origin_xml_scanner scanner = {.rest = document};
    pb_buffer value = {0};
    named_part part = {0};
    bool is_sound = true;
    while (is_sound) {
        pb_origin_xml_event event = pb_origin_xml_next(&scanner);
        if (event == PB_ORIGIN_XML_END) {
            break;
        }
        if (event == PB_ORIGIN_XML_MALFORMED) {
            is_sound = false;
        } else if (event == PB_ORIGIN_XML_OPEN) {
            pb_buffer_clear(&value);
            if (scanner.depth == 1) {
                is_sound =
                    pb_slice_equal(scanner.name, PB_SLICE_LITERAL("CompleteMultipartUpload"));
            } else if (scanner.depth == 2) {
                part = (named_part){0};
            }
        } else if (event == PB_ORIGIN_XML_TEXT) {
            pb_buffer_append_slice(&value, pb_buffer_slice(&scanner.text));
        } else if (scanner.depth == 2) {
            pb_slice text = pb_buffer_slice(&value);
            if (pb_slice_equal(scanner.name, PB_SLICE_LITERAL("PartNumber"))) {
                is_sound = pb_parse_unsigned(text, &part.number);
            } else if (pb_slice_equal(scanner.name, PB_SLICE_LITERAL("ETag"))) {
                is_sound = text.size < sizeof(part.etag);
                if (is_sound) {
                    memcpy(part.etag, text.data, text.size);
                    part.etag[text.size] = 0;
                }
            } else if (pb_slice_equal(scanner.name, PB_SLICE_LITERAL("ChecksumCRC32C"))) {
                is_sound = part.has_crc32c = pb_origin_read_crc32c(text, part.crc32c);
            }
        } else if (scanner.depth == 1 && pb_slice_equal(scanner.name, PB_SLICE_LITERAL("Part"))) {
            is_sound = part.number >= 1 && part.number <= PB_ORIGIN_PARTS_MAX && part.etag[0] &&
                       ret_completion->count < PB_ORIGIN_PARTS_MAX;
            if (is_sound) {
                ret_completion->parts[ret_completion->count++] = part;
            }
        }
    }
    pb_buffer_free(&value);
    pb_buffer_free(&scanner.text);
    return is_sound && ret_completion->count > 0;
}

/* The error code of a completion that can't be, NULL for a good one. */
static const char *check_completion(const pb_origin *origin, const pb_origin_upload *upload,
                                    const completion *wanted)
{
    for (size_t i = 1; i < wanted->count; i++) {
        if (wanted->parts[i].number <= wanted->parts[i - 1].number) {
            return "InvalidPartOrder";
        }
    }
    for (size_t i = 0; i < wanted->count; i++) {
        const named_part *named = &wanted->parts[i];
        const pb_origin_part *part =
            named->number <= upload->part_room ? &upload->parts[named->number - 1] : NULL;
        if (!part || !part->content ||
            !pb_origin_etag_matches(pb_slice_of(named->etag), part->md5, 0)) {
            return "InvalidPart";
        }
        if (named->has_crc32c &&
            (!part->has_crc32c || memcmp(named->crc32c, part->crc32c, PB_CRC32C_BYTES) != 0)) {
            return "InvalidPart";
        }
        if (i + 1 < wanted->count && part->content->size < origin->options.part_bytes_min) {
            return "EntityTooSmall";
        }
    }
    return NULL;
}

static pb_origin_object *assemble(pb_origin *origin, pb_origin_upload *upload,
                                  const completion *wanted)
{
    pb_origin_object *object = pb_origin_object_new((pb_slice){upload->key, upload->key_size});
    uint8_t(*md5s)[PB_MD5_BYTES] = pb_allocate(wanted->count * sizeof(*md5s));
    uint64_t *sizes = pb_allocate(wanted->count * sizeof(*sizes));
    object->content = pb_origin_content_new_pieces();
    for (size_t i = 0; i < wanted->count; i++) {
        const pb_origin_part *part = &upload->parts[wanted->parts[i].number - 1];
        memcpy(md5s[i], part->md5, PB_MD5_BYTES);
        sizes[i] = part->content->size;
        pb_origin_content_append_piece(object->content, part->content, 0, part->content->size);
    }
    pb_origin_multipart_md5((const uint8_t(*)[PB_MD5_BYTES])md5s, wanted->count, object->md5);
    free(md5s);
    object->etag_parts = (uint16_t)wanted->count;
    object->size = object->content->size;
    object->modified_ms = pb_origin_now_ms(origin);
    pb_slice headers = {"", 0};
    if (upload->attributes) {
        headers = upload->attributes->headers;
    }
    object->attributes = pb_origin_attributes_new(headers, sizes, (uint32_t)wanted->count);
    return object;
}

static void complete(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call,
                     size_t slot, const completion *wanted)
{
    pb_origin_upload *upload = origin->uploads[slot];
    const char *fault = check_completion(origin, upload, wanted);
    if (fault) {
        pb_origin_refuse(exchange, fault, NULL, NULL);
        return;
    }
    pb_origin_object *existing = pb_origin_bucket_find(upload->bucket, call->s3.key);
    if (!pb_origin_check_write_conditions(origin, exchange, existing)) {
        return;
    }
    pb_origin_object *object = assemble(origin, upload, wanted);
    pb_buffer *text = pb_origin_answer_xml(exchange);
    pb_buffer_append_text(text, "<CompleteMultipartUploadResult" PB_ORIGIN_XML_NAMESPACE ">");
    pb_buffer_append_text(text, "<Location>http://127.0.0.1/");
    pb_origin_xml_escape(text, call->s3.bucket);
    pb_buffer_append_char(text, '/');
    pb_percent_encode(text, call->s3.key, true);
    pb_buffer_append_text(text, "</Location>");
    pb_origin_xml_element(text, "Bucket", call->s3.bucket);
    pb_origin_xml_element(text, "Key", call->s3.key);
    pb_origin_etag_element(text, object->md5, object->etag_parts);
    pb_buffer_append_text(text, "</CompleteMultipartUploadResult>");
    if (call->fault == PB_ORIGIN_FAULT_LOST) {
        pb_origin_object_free(object);
    } else {
        pb_origin_bucket_put(upload->bucket, object);
    }
    upload_free(origin, slot);
}

void pb_origin_complete_multipart_upload(pb_origin *origin, pb_origin_exchange *exchange,
                                         pb_origin_call *call)
{
    size_t slot;
    if (!need_upload(origin, exchange, call, &slot)) {
        return;
    }
    pb_slice document = {NULL, 0};
    if (exchange->body) {
        document = (pb_slice){exchange->body->data, exchange->body->size};
    }
    completion wanted = {.parts = pb_allocate(PB_ORIGIN_PARTS_MAX * sizeof(named_part))};
    if (read_completion(document, &wanted)) {
        complete(origin, exchange, call, slot, &wanted);
    } else {
        pb_origin_refuse(exchange, "MalformedXML", NULL, NULL);
    }
    free(wanted.parts);
}

void pb_origin_abort_multipart_upload(pb_origin *origin, pb_origin_exchange *exchange,
                                      pb_origin_call *call)
{
    size_t slot;
    if (need_upload(origin, exchange, call, &slot)) {
        upload_free(origin, slot);
        exchange->response.status = 204;
    }
}

/* ---- listings ---- */

static uint64_t number_of(const pb_origin_call *call, const char *name, uint64_t otherwise)
{
    const pb_origin_parameter *parameter = pb_origin_s3_parameter(&call->s3, name);
    uint64_t value;
    return parameter && pb_parse_unsigned(parameter->value, &value) ? value : otherwise;
}

void pb_origin_list_parts(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_upload *upload = need_upload(origin, exchange, call, NULL);
    if (!upload) {
        return;
    }
    uint64_t marker = number_of(call, "part-number-marker", 0);
    uint64_t most = number_of(call, "max-parts", PB_ORIGIN_PAGE_MAX);
    uint64_t count = 0;
    uint64_t last = marker;
    bool is_truncated = false;
    if (most > PB_ORIGIN_PAGE_MAX) {
        most = PB_ORIGIN_PAGE_MAX;
    }
    pb_buffer *text = pb_origin_answer_xml(exchange);
    pb_buffer_append_text(text, "<ListPartsResult" PB_ORIGIN_XML_NAMESPACE ">");
    pb_origin_xml_element(text, "Bucket", call->s3.bucket);
    pb_origin_xml_element(text, "Key", call->s3.key);
    pb_origin_xml_element(text, "UploadId", pb_slice_of(upload->id));
    for (uint64_t number = marker + 1; number >= 1 && number <= upload->part_room; number++) {
        const pb_origin_part *part = &upload->parts[number - 1];
        if (!part->content) {
            continue;
        }
        if (count == most) {
            is_truncated = most > 0;
            break;
        }
        char modified[PB_TIME_TEXT_MAX];
        pb_time_format_rfc3339(part->modified_ms, modified);
        pb_buffer_append_format(text,
                                "<Part><PartNumber>%llu</PartNumber><LastModified>%s"
                                "</LastModified>",
                                (unsigned long long)number, modified);
        pb_origin_etag_element(text, part->md5, 0);
        pb_buffer_append_format(text, "<Size>%llu</Size></Part>",
                                (unsigned long long)part->content->size);
        last = number;
        count++;
    }
    pb_buffer_append_format(text,
                            "<PartNumberMarker>%llu</PartNumberMarker><NextPartNumberMarker>"
                            "%llu</NextPartNumberMarker><MaxParts>%llu</MaxParts>"
                            "<IsTruncated>%s</IsTruncated></ListPartsResult>",
                            (unsigned long long)marker, (unsigned long long)last,
                            (unsigned long long)most, is_truncated ? "true" : "false");
}

static int compare_uploads(const void *a, const void *b)
{
    const pb_origin_upload *left = *(pb_origin_upload *const *)a;
    const pb_origin_upload *right = *(pb_origin_upload *const *)b;
    int order = pb_slice_compare((pb_slice){left->key, left->key_size},
                                 (pb_slice){right->key, right->key_size});
    return order ? order : strcmp(left->id, right->id);
}

static pb_slice value_of(const pb_origin_call *call, const char *name)
{
    const pb_origin_parameter *parameter = pb_origin_s3_parameter(&call->s3, name);
    return parameter ? parameter->value : (pb_slice){"", 0};
}

void pb_origin_list_multipart_uploads(pb_origin *origin, pb_origin_exchange *exchange,
                                      pb_origin_call *call)
{
    pb_origin_bucket *bucket = pb_origin_find_bucket(origin, call->s3.bucket);
    if (!bucket) {
        pb_origin_refuse(exchange, "NoSuchBucket", NULL, NULL);
        return;
    }
    pb_slice prefix = value_of(call, "prefix");
    pb_slice key_marker = value_of(call, "key-marker");
    pb_slice id_marker = value_of(call, "upload-id-marker");
    bool encodes = pb_slice_equal(value_of(call, "encoding-type"), PB_SLICE_LITERAL("url"));
    pb_origin_upload **found = pb_allocate((origin->upload_room + 1) * sizeof(*found));
    size_t count = 0;
    for (size_t slot = 0; slot < origin->upload_room; slot++) {
        pb_origin_upload *upload = origin->uploads[slot];
        if (!upload || upload->bucket != bucket) {
            continue;
        }
        pb_slice key = {upload->key, upload->key_size};
        int order = pb_slice_compare(key, key_marker);
        bool is_past = key_marker.size == 0 || order > 0 ||
                       (order == 0 && id_marker.size > 0 &&
                        pb_slice_compare(pb_slice_of(upload->id), id_marker) > 0);
        if (is_past && pb_slice_starts_with(key, prefix)) {
            found[count++] = upload;
        }
    }
    qsort(found, count, sizeof(*found), compare_uploads);
    uint64_t most = number_of(call, "max-uploads", PB_ORIGIN_PAGE_MAX);
    if (most == 0 || most > PB_ORIGIN_PAGE_MAX) {
        most = PB_ORIGIN_PAGE_MAX;
    }
    bool is_truncated = count > most;
    if (is_truncated) {
        count = (size_t)most;
    }
    pb_buffer *text = pb_origin_answer_xml(exchange);
    pb_buffer_append_text(text, "<ListMultipartUploadsResult" PB_ORIGIN_XML_NAMESPACE ">");
    pb_origin_xml_element(text, "Bucket", call->s3.bucket);
    if (encodes) {
        pb_buffer_append_text(text, "<EncodingType>url</EncodingType>");
    }
    for (size_t i = 0; i <= count; i++) {
        bool is_next = i == count; /* the markers of the next page repeat the last upload */
        if (is_next && !is_truncated) {
            break;
        }
        pb_origin_upload *upload = found[is_next ? i - 1 : i];
        pb_slice key = {upload->key, upload->key_size};
        pb_buffer_append_text(text, is_next ? "<NextKeyMarker>" : "<Upload><Key>");
        if (encodes) {
            pb_percent_encode(text, key, true);
        } else {
            pb_origin_xml_escape(text, key);
        }
        pb_buffer_append_text(text, is_next ? "</NextKeyMarker>" : "</Key>");
        pb_origin_xml_element(text, is_next ? "NextUploadIdMarker" : "UploadId",
                              pb_slice_of(upload->id));
        if (!is_next) {
            char initiated[PB_TIME_TEXT_MAX];
            pb_time_format_rfc3339(upload->initiated_ms, initiated);
            pb_origin_xml_element(text, "Initiated", pb_slice_of(initiated));
            pb_buffer_append_text(text, "<StorageClass>STANDARD</StorageClass></Upload>");
        }
    }
    pb_buffer_append_format(text,
                            "<MaxUploads>%llu</MaxUploads><IsTruncated>%s</IsTruncated>"
                            "</ListMultipartUploadsResult>",
                            (unsigned long long)most, is_truncated ? "true" : "false");
    free(found);
}
