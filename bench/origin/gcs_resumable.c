/* Resumable uploads: https://cloud.google.com/storage/docs/performing-resumable-uploads */
#include "base/codec.h"
#include "bench/origin/gcs_operations.h"
#include "bench/origin/s3_answer.h"
#include "bench/origin/s3_operations.h"
#include <stdlib.h>

enum { CHUNK_UNIT_BYTES = 262144 };

void pb_origin_gcs_session_free(pb_origin_gcs_session *session)
{
    free(session->bucket);
    free(session->key);
    free(session->resource);
    pb_origin_attributes_release(session->attributes);
    pb_origin_content_release(session->content);
    pb_hash_free(session->md5_hash);
    pb_hash_free(session->crc32c_hash);
    free(session);
}

pb_origin_gcs_session *pb_origin_gcs_find_session(const pb_origin *origin, pb_slice id)
{
    /* Those that are under way are among the newest. */
    for (size_t i = origin->gcs->session_count; id.size > 0 && i-- > 0;) {
        if (pb_slice_equal(id, pb_slice_of(origin->gcs->sessions[i]->id))) {
            return origin->gcs->sessions[i];
        }
    }
    return NULL;
}

/* The session of a request; NULL: answered already. */
static pb_origin_gcs_session *need_session(const pb_origin *origin, pb_origin_exchange *exchange,
                                           const pb_origin_call *call)
{
    pb_origin_gcs_session *session = pb_origin_gcs_find_session(origin, call->gcs.upload_id);
    if (!session || !pb_slice_equal(call->s3.bucket, pb_slice_of(session->bucket))) {
        pb_origin_gcs_refuse(exchange, 404, "notFound", "There is no such upload session.", NULL);
        return NULL;
    }
    if (session->is_cancelled) {
        pb_origin_gcs_refuse(exchange, 499, "cancelled", "The upload was cancelled.", NULL);
        return NULL;
    }
    return session;
}

void pb_origin_gcs_start_upload(pb_origin *origin, pb_origin_exchange *exchange,
                                pb_origin_call *call)
{
    pb_origin_bucket *bucket = pb_origin_gcs_need_bucket(origin, exchange, call->s3.bucket);
    pb_origin_gcs_digests digests = {0};
    if (!bucket ||
        !pb_origin_gcs_check_conditions(exchange, &call->gcs.conditions,
                                        pb_origin_bucket_find(bucket, call->s3.key), false) ||
        !pb_origin_gcs_read_digests(exchange, call, &digests)) {
        return;
    }
    uint64_t total = 0;
    pb_slice length = pb_origin_request_header(&exchange->request, "x-upload-content-length");
    if (length.data && !pb_parse_unsigned(length, &total)) {
        pb_origin_gcs_invalid(exchange, "Invalid X-Upload-Content-Length.");
        return;
    }
    pb_origin_gcs_session *session = pb_allocate_zeroed(1, sizeof(*session));
    pb_origin_gcs_make_id(session->id);
    session->bucket = pb_duplicate(call->s3.bucket);
    session->key = pb_duplicate(call->s3.key);
    session->attributes = pb_origin_gcs_metadata_attributes(&call->metadata, (pb_slice){NULL, 0});
    session->conditions = call->gcs.conditions;
    session->fields = call->gcs.fields.object;
    session->digests = digests;
    session->has_total = length.data != NULL;
    session->total = total;
    session->content = pb_origin_content_new_pieces();
    session->md5_hash = pb_hash_new(PB_HASH_MD5);
    session->crc32c_hash = pb_hash_new(PB_HASH_CRC32C);
    pb_origin_gcs *gcs = origin->gcs;
    gcs->sessions =
        pb_reallocate(gcs->sessions, (gcs->session_count + 1) * sizeof(gcs->sessions[0]));
    gcs->sessions[gcs->session_count++] = session;

    pb_buffer *headers = &exchange->response.headers;
    exchange->response.status = 200;
    pb_buffer_append_text(headers, "Location: ");
    pb_origin_gcs_append_endpoint(headers, origin, exchange);
    pb_buffer_append_format(headers,
                            "/upload/storage/v1/b/%s/o?uploadType=resumable&upload_id=%s\r\n"
                            "X-GUploader-UploadID: %s\r\n",
                            session->bucket, session->id, session->id);
}

/* ---- chunks ---- */

static void answer_state(pb_origin_exchange *exchange, const pb_origin_gcs_session *session)
{
    exchange->response.status = 308;
    if (session->content->size > 0) {
        pb_buffer_append_format(&exchange->response.headers, "Range: bytes=0-%llu\r\n",
                                (unsigned long long)(session->content->size - 1));
    }
}

static void answer_end(pb_origin_exchange *exchange, const pb_origin_gcs_session *session)
{
    pb_buffer_append_text(pb_origin_gcs_answer_json(exchange), session->resource);
}

/* What is kept of a session that is over is its id, and how it ended. */
static void drop_bytes(pb_origin_gcs_session *session)
{
    pb_origin_content_release(session->content);
    pb_hash_free(session->md5_hash);
    pb_hash_free(session->crc32c_hash);
    session->content = NULL;
    session->md5_hash = session->crc32c_hash = NULL;
}

static void cancel(pb_origin_gcs_session *session)
{
    session->is_cancelled = true;
    drop_bytes(session);
}

/* Makes the object. Where that is refused the session goes on: its bytes are there. */
static void finalize(pb_origin *origin, pb_origin_exchange *exchange, const pb_origin_call *call,
                     pb_origin_gcs_session *session)
{
    pb_origin_bucket *bucket =
        pb_origin_gcs_need_bucket(origin, exchange, pb_slice_of(session->bucket));
    pb_slice key = pb_slice_of(session->key);
    if (!bucket ||
        !pb_origin_gcs_check_conditions(exchange, &session->conditions,
                                        pb_origin_bucket_find(bucket, key), false) ||
        !pb_origin_gcs_read_digests(exchange, call, &session->digests)) {
        return;
    }
    uint8_t md5[PB_MD5_BYTES];
    uint8_t crc32c[PB_CRC32C_BYTES];
    pb_hash_finish(session->md5_hash, md5);
    pb_hash_finish(session->crc32c_hash, crc32c);
    if (!pb_origin_gcs_check_digests(exchange, &session->digests, md5, crc32c)) {
        cancel(session); /* no byte of it can be put right */
        return;
    }
    pb_origin_object *object = pb_origin_object_new(key);
    object->content = pb_origin_content_hold(session->content);
    object->size = session->content->size;
    object->modified_ms = pb_origin_now_ms(origin);
    object->attributes = session->attributes;
    memcpy(object->md5, md5, PB_MD5_BYTES);
    object->crc32c = (uint32_t)crc32c[0] << 24 | (uint32_t)crc32c[1] << 16 |
                     (uint32_t)crc32c[2] << 8 | crc32c[3];
    object->is_crc32c_known = true;
    session->attributes = NULL;
    if (!pb_origin_gcs_store_in(origin, exchange, call, bucket, object, session->fields)) {
        cancel(session);
        return;
    }
    drop_bytes(session);
    session->resource = pb_duplicate(pb_buffer_slice(&exchange->response.text));
}

/* Keeps bytes of a chunk; the first `skip` are there already. */
static void keep_bytes(pb_origin *origin, const pb_origin_call *call,
                       pb_origin_gcs_session *session, pb_origin_content *chunk, uint64_t skip,
                       uint64_t size)
{
    if (size > 0 && call->fault == PB_ORIGIN_FAULT_GARBLED) {
        chunk->data[skip + pb_random_below(&origin->faults.random, size)] ^= 0x20;
    }
    pb_hash_update(session->md5_hash, chunk->data + skip, size);
    pb_hash_update(session->crc32c_hash, chunk->data + skip, size);
    if (size > 0 && call->fault == PB_ORIGIN_FAULT_FLIPPED) {
        chunk->data[skip + pb_random_below(&origin->faults.random, size)] ^= 0x20;
    }
    pb_origin_content_append_piece(session->content, chunk, skip, size);
}

/* What Content-Range says of a body; without one the body is the whole upload. False: refused. */
static bool read_range(pb_origin_exchange *exchange, pb_origin_gcs_session *session,
                       pb_origin_gcs_range *ret_range)
{
    pb_slice text = pb_origin_request_header(&exchange->request, "content-range");
    uint64_t size = pb_origin_gcs_body(exchange).size;
    if (!text.data) {
        *ret_range = (pb_origin_gcs_range){
            .has_bytes = size > 0, .last = size ? size - 1 : 0, .has_total = true, .total = size};
    } else if (!pb_origin_gcs_range_parse(text, ret_range)) {
        pb_origin_gcs_invalid(exchange, "Failed to parse Content-Range header.");
        return false;
    }
    uint64_t announced = ret_range->has_bytes ? ret_range->last - ret_range->first + 1 : 0;
    if (announced != size) {
        pb_origin_gcs_invalid(exchange, "The body has another size than its Content-Range.");
        return false;
    }
    if (session->has_total && ((ret_range->has_total && ret_range->total != session->total) ||
                               (ret_range->has_bytes && ret_range->last >= session->total))) {
        pb_origin_gcs_invalid(exchange,
                              "The upload has another size than was announced for it before.");
        return false;
    }
    if (ret_range->has_total) {
        session->has_total = true;
        session->total = ret_range->total;
    }
    return true;
}

void pb_origin_gcs_take_chunk(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_gcs_session *session = need_session(origin, exchange, call);
    pb_origin_gcs_range range;
    if (!session) {
        return;
    }
    if (session->resource) {
        answer_end(exchange, session);
        return;
    }
    if (!read_range(exchange, session, &range)) {
        return;
    }
    uint64_t size = range.has_bytes ? range.last - range.first + 1 : 0;
    bool is_last = range.has_total && (!range.has_bytes || range.last + 1 == range.total);
    if (!is_last && (size == 0 || size % CHUNK_UNIT_BYTES != 0)) {
        pb_buffer message = {0};
        pb_buffer_append_format(
            &message,
            "Invalid request.  The number of bytes uploaded is required to be equal or greater "
            "than 262144, except for the final request (it's recommended to be the exact multiple "
            "of 262144).  The received request contained %llu bytes, which does not meet this "
            "requirement.",
            (unsigned long long)size);
        pb_origin_gcs_invalid(exchange, message.data);
        pb_buffer_free(&message);
        return;
    }
    uint64_t have = session->content->size;
    if (range.has_bytes && range.first > have) {
        pb_origin_gcs_refuse(exchange, 503, "backendError",
                             "Bytes before those of this chunk have not come.", NULL);
        return;
    }
    if (have + size > PB_ORIGIN_OBJECT_BYTES_MAX || !pb_origin_has_room(origin, have + size)) {
        pb_origin_gcs_refuse(exchange, 403, "quotaExceeded",
                             "The capacity of the store is used up.", NULL);
        return;
    }
    /* Bytes that are there already are passed over, as Google does. */
    uint64_t skip = range.has_bytes ? have - range.first : 0;
    skip = skip < size ? skip : size;
    uint64_t kept = size - skip;
    if (call->fault == PB_ORIGIN_FAULT_PARTIAL) {
        kept = kept / 2 / CHUNK_UNIT_BYTES * CHUNK_UNIT_BYTES;
    }
    pb_origin_content *chunk = pb_origin_take_body(exchange);
    keep_bytes(origin, call, session, chunk, skip, kept);
    pb_origin_content_release(chunk);
    if (session->has_total && session->content->size == session->total) {
        finalize(origin, exchange, call, session);
    } else {
        answer_state(exchange, session);
    }
}

/* "bytes *" of TOTAL or of nothing known; an upload whose bytes are all there ends by it. */
void pb_origin_gcs_upload_status(pb_origin *origin, pb_origin_exchange *exchange,
                                 pb_origin_call *call)
{
    pb_origin_gcs_session *session = need_session(origin, exchange, call);
    pb_origin_gcs_range range;
    if (!session) {
        return;
    }
    if (session->resource) {
        answer_end(exchange, session);
    } else if (read_range(exchange, session, &range)) {
        if (range.has_total && session->content->size == range.total) {
            finalize(origin, exchange, call, session);
        } else {
            answer_state(exchange, session);
        }
    }
}

void pb_origin_gcs_cancel_upload(pb_origin *origin, pb_origin_exchange *exchange,
                                 pb_origin_call *call)
{
    pb_origin_gcs_session *session = need_session(origin, exchange, call);
    if (!session) {
        return;
    }
    if (session->resource) {
        answer_end(exchange, session);
        return;
    }
    cancel(session);
    exchange->response.status = 499;
}
