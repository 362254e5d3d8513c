/* objects.get with alt=media.
 *
 * Headers are those that Google's server answers to such requests: X-Goog-Hash, -Generation,
 * -Metageneration, -Stored-Content-Length, -Stored-Content-Encoding, -Storage-Class, an ETag
 * without quotes, Last-Modified, and where the object says nothing "Content-Disposition:
 * attachment" and a Cache-Control that forbids caching
 * (https://github.com/googleapis/google-cloud-go/issues/2740). Custom metadata comes with the XML
 * API's downloads and, by the same source, not with these: a client that wants it must ask for the
 * resource, so there is no X-Goog-Meta-* here. */
#include "base/base64.h"
#include "base/clock.h"
#include "bench/origin/gcs_operations.h"
#include "bench/origin/gunzip.h"
#include "bench/origin/s3_answer.h"
#include "bench/origin/s3_operations.h"

/* https://cloud.google.com/storage/docs/transcoding: an object that is stored with gzip is sent
 * decoded to those who do not take it. */
static bool is_decoded(const pb_origin_exchange *exchange, const pb_origin_object *object)
{
    pb_slice accepted = pb_origin_request_header(&exchange->request, "accept-encoding");
    pb_slice control = pb_origin_gcs_attribute(object->attributes, "cache-control");
    return pb_slice_equal(pb_origin_gcs_attribute(object->attributes, "content-encoding"),
                          PB_SLICE_LITERAL("gzip")) &&
           !(accepted.size > 0 && memmem(accepted.data, accepted.size, "gzip", 4)) &&
           !(control.size > 0 && memmem(control.data, control.size, "no-transform", 12));
}

static void kept_header(pb_origin_exchange *exchange, const pb_origin_object *object,
                        const char *header, const char *name, const char *usual)
{
    pb_slice value = pb_origin_gcs_attribute(object->attributes, header);
    if (value.data || usual) {
        pb_origin_add_header(exchange, name, value.data ? value : pb_slice_of(usual));
    }
}

static void object_headers(pb_origin_exchange *exchange, const pb_origin_object *object)
{
    pb_buffer *headers = &exchange->response.headers;
    char modified[PB_TIME_TEXT_MAX];
    char etag[PB_ORIGIN_GCS_ETAG_TEXT_MAX];
    uint64_t generation = pb_origin_object_generation(object);
    uint64_t metageneration = pb_origin_gcs_metageneration(object);
    pb_time_format_http(object->modified_ms, modified);
    pb_origin_gcs_etag(generation, metageneration, etag);
    pb_origin_add_header(exchange, "Content-Type", pb_origin_gcs_content_type(object));
    pb_origin_add_header(exchange, "ETag", pb_slice_of(etag));
    pb_origin_add_header(exchange, "Last-Modified", pb_slice_of(modified));
    pb_buffer_append_text(headers, "X-Goog-Hash: crc32c=");
    pb_origin_gcs_append_crc32c(headers, pb_origin_gcs_crc32c(object));
    if (object->etag_parts == 0) {
        pb_buffer_append_text(headers, ",md5=");
        pb_base64_encode(headers, (pb_slice){(const char *)object->md5, PB_MD5_BYTES});
    }
    pb_buffer_append_format(headers,
                            "\r\nX-Goog-Generation: %llu\r\nX-Goog-Metageneration: %llu\r\n"
                            "X-Goog-Stored-Content-Length: %llu\r\n",
                            (unsigned long long)generation, (unsigned long long)metageneration,
                            (unsigned long long)object->size);
    kept_header(exchange, object, "content-encoding", "X-Goog-Stored-Content-Encoding", "identity");
    pb_origin_add_header(exchange, "X-Goog-Storage-Class", pb_origin_gcs_storage_class(object));
    kept_header(exchange, object, "cache-control", "Cache-Control",
                "no-cache, no-store, max-age=0, must-revalidate");
    kept_header(exchange, object, "content-disposition", "Content-Disposition", "attachment");
    kept_header(exchange, object, "content-language", "Content-Language", NULL);
}

/* The whole of it, decoded: ranges are passed over, as the documentation says. False where the
 * bytes are not what their encoding says: then they are sent as they are. */
static bool send_decoded(pb_origin_exchange *exchange, const pb_origin_object *object)
{
    pb_origin_content *stored = pb_origin_object_content(object);
    pb_origin_content *decoded = pb_origin_gunzip(stored);
    pb_origin_content_release(stored);
    if (!decoded) {
        return false;
    }
    pb_origin_response *response = &exchange->response;
    response->status = 200;
    object_headers(exchange, object);
    pb_buffer_append_text(&response->headers,
                          "Vary: Accept-Encoding\r\nWarning: 214 UploadServer gunzipped\r\n");
    response->content = decoded;
    response->content_size = decoded->size;
    return true;
}

void pb_origin_gcs_download(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    const pb_origin_object *object = pb_origin_gcs_need_object(origin, exchange, call->s3.bucket,
                                                               call->s3.key, &call->gcs.conditions);
    if (!object || !pb_origin_gcs_check_conditions(exchange, &call->gcs.conditions, object, true)) {
        return;
    }
    pb_origin_response *response = &exchange->response;
    if (is_decoded(exchange, object) && send_decoded(exchange, object)) {
        return;
    }
    uint64_t offset;
    uint64_t size;
    int found = pb_origin_read_range(pb_origin_request_header(&exchange->request, "range"),
                                     object->size, &offset, &size);
    if (found < 0) {
        pb_origin_gcs_refuse(exchange, 416, "requestedRangeNotSatisfiable",
                             "Request range not satisfiable", NULL);
        pb_buffer_append_format(&response->headers, "Content-Range: bytes */%llu\r\n",
                                (unsigned long long)object->size);
        return;
    }
    response->status = found > 0 ? 206 : 200;
    object_headers(exchange, object);
    kept_header(exchange, object, "content-encoding", "Content-Encoding", NULL);
    if (found > 0) {
        pb_buffer_append_format(&response->headers, "Content-Range: bytes %llu-%llu/%llu\r\n",
                                (unsigned long long)offset, (unsigned long long)(offset + size - 1),
                                (unsigned long long)object->size);
    }
    if (size > 0) {
        response->content = pb_origin_object_content(object);
        response->content_offset = offset;
        response->content_size = size;
        if (call->fault == PB_ORIGIN_FAULT_FLIPPED) {
            response->flips = true;
            response->flip_offset = pb_random_below(&origin->faults.random, size);
        }
    }
}
