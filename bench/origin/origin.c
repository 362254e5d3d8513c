#include "bench/origin/origin.h"
#include "base/clock.h"
#include "base/codec.h"
#include "bench/origin/gcs.h"
#include "bench/origin/s3_answer.h"
#include "bench/origin/s3_operations.h"
#include "bench/origin/xml.h"
#include <openssl/evp.h>
#include <stdlib.h>

enum { FAULT_PLAN_BYTES_MAX = 1 << 20 };

static pb_origin_operation_function *const functions[PB_ORIGIN_OPERATION_COUNT] = {
    [PB_ORIGIN_LIST_BUCKETS] = pb_origin_list_buckets,
    [PB_ORIGIN_CREATE_BUCKET] = pb_origin_create_bucket,
    [PB_ORIGIN_DELETE_BUCKET] = pb_origin_delete_bucket,
    [PB_ORIGIN_HEAD_BUCKET] = pb_origin_head_bucket,
    [PB_ORIGIN_GET_BUCKET_LOCATION] = pb_origin_get_bucket_location,
    [PB_ORIGIN_GET_BUCKET_VERSIONING] = pb_origin_get_bucket_versioning,
    [PB_ORIGIN_LIST_OBJECTS] = pb_origin_list_objects,
    [PB_ORIGIN_LIST_OBJECTS_V2] = pb_origin_list_objects,
    [PB_ORIGIN_LIST_MULTIPART_UPLOADS] = pb_origin_list_multipart_uploads,
    [PB_ORIGIN_DELETE_OBJECTS] = pb_origin_delete_objects,
    [PB_ORIGIN_GET_OBJECT] = pb_origin_get_object,
    [PB_ORIGIN_HEAD_OBJECT] = pb_origin_get_object,
    [PB_ORIGIN_GET_OBJECT_TAGGING] = pb_origin_get_object_tagging,
    [PB_ORIGIN_PUT_OBJECT] = pb_origin_put_object,
    [PB_ORIGIN_COPY_OBJECT] = pb_origin_copy_object,
    [PB_ORIGIN_DELETE_OBJECT] = pb_origin_delete_object,
    [PB_ORIGIN_CREATE_MULTIPART_UPLOAD] = pb_origin_create_multipart_upload,
    [PB_ORIGIN_UPLOAD_PART] = pb_origin_upload_part,
    [PB_ORIGIN_UPLOAD_PART_COPY] = pb_origin_upload_part_copy,
    [PB_ORIGIN_COMPLETE_MULTIPART_UPLOAD] = pb_origin_complete_multipart_upload,
    [PB_ORIGIN_ABORT_MULTIPART_UPLOAD] = pb_origin_abort_multipart_upload,
    [PB_ORIGIN_LIST_PARTS] = pb_origin_list_parts,
};

/* ---- state ---- */

pb_origin *pb_origin_new(const pb_origin_options *options)
{
    pb_origin *origin = pb_allocate_zeroed(1, sizeof(*origin));
    origin->options = *options;
    pb_random_bytes(&origin->random.state, sizeof(origin->random.state));
    if (options->access_key) {
        origin->signer = pb_origin_signer_new(options->access_key, options->secret_key);
    }
    if (options->rate_per_s) {
        origin->rate_limit = pb_origin_rate_limit_new(options->rate_per_s);
    }
    origin->gcs = pb_origin_gcs_new(origin);
    return origin;
}

void pb_origin_free(pb_origin *origin)
{
    if (!origin) {
        return;
    }
    pb_origin_drop_uploads(origin, NULL);
    free(origin->uploads);
    pb_origin_gcs_free(origin->gcs);
    for (size_t i = 0; i < origin->bucket_count; i++) {
        pb_origin_bucket_free(origin->buckets[i]);
    }
    free(origin->buckets);
    pb_origin_fault_plan_free(&origin->faults);
    pb_origin_signer_free(origin->signer);
    pb_origin_rate_limit_free(origin->rate_limit);
    free(origin);
}

int64_t pb_origin_now_ms(const pb_origin *origin)
{
    return pb_clock_utc_ms() + origin->options.clock_offset_ms;
}

static size_t bucket_place(const pb_origin *origin, pb_slice name, bool *ret_equal)
{
    size_t place = 0;
    *ret_equal = false;
    while (place < origin->bucket_count) {
        int order = pb_slice_compare(pb_slice_of(origin->buckets[place]->name), name);
        if (order >= 0) {
            *ret_equal = order == 0;
            break;
        }
        place++;
    }
    return place;
}

pb_origin_bucket *pb_origin_find_bucket(const pb_origin *origin, pb_slice name)
{
    bool equal;
    size_t place = bucket_place(origin, name, &equal);
    return equal ? origin->buckets[place] : NULL;
}

pb_origin_bucket *pb_origin_add_bucket(pb_origin *origin, pb_slice name)
{
    bool equal;
    size_t place = bucket_place(origin, name, &equal);
    origin->buckets =
        pb_reallocate(origin->buckets, (origin->bucket_count + 1) * sizeof(origin->buckets[0]));
    memmove(origin->buckets + place + 1, origin->buckets + place,
            (origin->bucket_count - place) * sizeof(origin->buckets[0]));
    origin->buckets[place] = pb_origin_bucket_new(name, pb_origin_now_ms(origin));
    origin->buckets[place]->order = origin->options.order;
    origin->bucket_count++;
    return origin->buckets[place];
}

void pb_origin_drop_bucket(pb_origin *origin, pb_origin_bucket *bucket)
{
    bool equal;
    size_t place = bucket_place(origin, pb_slice_of(bucket->name), &equal);
    origin->bucket_count--;
    memmove(origin->buckets + place, origin->buckets + place + 1,
            (origin->bucket_count - place) * sizeof(origin->buckets[0]));
    pb_origin_bucket_free(bucket);
}

bool pb_origin_has_room(const pb_origin *origin, uint64_t more)
{
    if (origin->options.capacity_bytes == 0) {
        return true;
    }
    uint64_t used = origin->upload_bytes;
    for (size_t i = 0; i < origin->bucket_count; i++) {
        used += origin->buckets[i]->object_bytes;
    }
    return used <= origin->options.capacity_bytes && more <= origin->options.capacity_bytes - used;
}

bool pb_origin_is_denied(const pb_origin *origin, pb_slice bucket, pb_slice key)
{
    for (size_t i = 0; i < origin->options.deny_count; i++) {
        pb_slice rule = pb_slice_of(origin->options.deny[i]);
        const char *slash = memchr(rule.data, '/', rule.size);
        pb_slice name = {rule.data, slash ? (size_t)(slash - rule.data) : rule.size};
        pb_slice prefix = {NULL, 0};
        if (slash) {
            prefix = (pb_slice){slash + 1, rule.size - name.size - 1};
        }
        if (pb_slice_equal(name, bucket) && pb_slice_starts_with(key, prefix)) {
            return true;
        }
    }
    return false;
}

const char *pb_origin_stored_key(const pb_origin *origin, pb_slice *bucket, pb_slice *key,
                                 char memory[PB_ORIGIN_PLACE_BYTES_MAX])
{
    if (key->size == 0) {
        return NULL;
    }
    if (origin->options.path_keys) {
        const char *code = pb_origin_resolve_key(bucket, key, memory);
        if (code) {
            return code;
        }
    }
    const pb_origin_bucket *holder = pb_origin_find_bucket(origin, *bucket);
    if (origin->options.fold_case && holder) {
        size_t at = origin->options.path_keys ? bucket->size + 1 : 0;
        memmove(memory + at, key->data, key->size);
        pb_origin_fold_key(holder, memory + at, key->size);
        key->data = memory + at;
    }
    return NULL;
}

/* The REGION of --redirect-bucket NAME=REGION; {NULL, 0} where the bucket is here. */
static pb_slice redirect_region(const pb_origin *origin, pb_slice bucket)
{
    for (size_t i = 0; i < origin->options.redirect_count; i++) {
        pb_slice rule = pb_slice_of(origin->options.redirect[i]);
        if (bucket.size > 0 && rule.size > bucket.size && rule.data[bucket.size] == '=' &&
            memcmp(rule.data, bucket.data, bucket.size) == 0) {
            return (pb_slice){rule.data + bucket.size + 1, rule.size - bucket.size - 1};
        }
    }
    return (pb_slice){NULL, 0};
}

pb_slice pb_origin_region_of(const pb_origin *origin, pb_slice bucket)
{
    pb_slice region = redirect_region(origin, bucket);
    return region.data ? region : pb_slice_of(origin->options.region);
}

/* ---- the origin's own calls ---- */

static void append_count(pb_buffer *text, const char *name, uint64_t count)
{
    pb_json_append_string(text, pb_slice_of(name));
    pb_buffer_append_char(text, ':');
    pb_buffer_append_unsigned(text, count);
    pb_buffer_append_char(text, ',');
}

static void answer_statistics(const pb_origin *origin, pb_origin_exchange *exchange)
{
    const pb_origin_statistics *statistics = &origin->statistics;
    pb_buffer *text = &exchange->response.text;
    exchange->response.status = 200;
    pb_buffer_append_text(&exchange->response.headers, "Content-Type: application/json\r\n");
    pb_buffer_append_char(text, '{');
    uint64_t requests = 0;
    for (int i = 0; i < PB_ORIGIN_STATISTICS; i++) {
        append_count(text, pb_origin_operation_name((pb_origin_operation)i),
                     statistics->operations[i]);
        requests += statistics->operations[i];
    }
    append_count(text, "requests", requests);
    append_count(text, "refused", statistics->refused);
    append_count(text, "throttled", statistics->throttled);
    append_count(text, "bytes_in", statistics->bytes_in);
    append_count(text, "bytes_out", statistics->bytes_out);
    append_count(text, "connections", pb_origin_server_connections(origin->server));
    append_count(text, "most_in_flight", pb_origin_server_most_in_flight(origin->server));
    size_t uploads = 0;
    for (size_t i = 0; i < origin->upload_room; i++) {
        uploads += origin->uploads[i] != NULL;
    }
    append_count(text, "uploads", uploads);
    pb_buffer_append_text(text, "\"faults\":{");
    for (int i = 1; i < PB_ORIGIN_FAULT_COUNT; i++) {
        append_count(text, pb_origin_fault_name((pb_origin_fault)i), statistics->faults[i]);
    }
    text->size--; /* the last comma */
    pb_buffer_append_text(text, "},\"objects\":{");
    for (size_t i = 0; i < origin->bucket_count; i++) {
        append_count(text, origin->buckets[i]->name, origin->buckets[i]->object_count);
    }
    text->size -= origin->bucket_count > 0;
    pb_buffer_append_text(text, "},\"object_bytes\":{");
    for (size_t i = 0; i < origin->bucket_count; i++) {
        append_count(text, origin->buckets[i]->name, origin->buckets[i]->object_bytes);
    }
    text->size -= origin->bucket_count > 0;
    pb_buffer_append_text(text, "},\"first_utc_ms\":{");
    size_t before_first = text->size;
    for (int i = 0; i < PB_ORIGIN_STATISTICS; i++) {
        if (statistics->operations[i] > 0) {
            append_count(text, pb_origin_operation_name((pb_origin_operation)i),
                         (uint64_t)statistics->first_utc_ms[i]);
        }
    }
    text->size -= text->size > before_first;
    pb_buffer_append_text(text, "}}\n");
}

static void replace_faults(pb_origin *origin, pb_origin_exchange *exchange)
{
    pb_error error = {0};
    pb_slice plan = {NULL, 0};
    if (exchange->body) {
        plan = (pb_slice){exchange->body->data, exchange->body->size};
    }
    if (pb_origin_fault_plan_parse(plan, &origin->faults, &error) != 0) {
        pb_origin_refuse(exchange, "InvalidArgument", error.message, NULL);
        return;
    }
    exchange->response.status = 200;
}

static void replace_keys(pb_origin *origin, pb_origin_exchange *exchange)
{
    pb_error error = {0};
    pb_slice keys = {NULL, 0};
    if (exchange->body) {
        keys = (pb_slice){exchange->body->data, exchange->body->size};
    }
    if (!origin->signer) {
        origin->signer = pb_origin_signer_new(NULL, NULL);
    }
    if (pb_origin_signer_replace(origin->signer, keys, &error) != 0) {
        pb_origin_refuse(exchange, "InvalidArgument", error.message, NULL);
        return;
    }
    exchange->response.status = 200;
}

/* ---- the head of a request ---- */

static void refuse_signature(const pb_origin *origin, pb_origin_exchange *exchange,
                             const pb_origin_call *call, pb_origin_signature_fault *fault)
{
    pb_buffer more = {0};
    if (strcmp(fault->code, "AuthorizationHeaderMalformed") == 0) {
        pb_origin_xml_element(&more, "Region", pb_origin_region_of(origin, call->s3.bucket));
    } else if (strcmp(fault->code, "RequestTimeTooSkewed") == 0) {
        char now[PB_TIME_TEXT_MAX];
        pb_time_format_rfc3339(pb_origin_now_ms(origin), now);
        pb_origin_xml_element(&more, "ServerTime", pb_slice_of(now));
        pb_origin_xml_element(&more, "MaxAllowedSkewMilliseconds", PB_SLICE_LITERAL("900000"));
    } else if (strcmp(fault->code, "SignatureDoesNotMatch") == 0) {
        pb_origin_xml_element(&more, "StringToSign", pb_buffer_slice(&fault->string_to_sign));
        pb_origin_xml_element(&more, "CanonicalRequest",
                              pb_buffer_slice(&fault->canonical_request));
    }
    pb_origin_refuse(exchange, fault->code, fault->message, more.data);
    if (more.data && strcmp(fault->code, "AuthorizationHeaderMalformed") == 0) {
        pb_origin_add_header(exchange, "x-amz-bucket-region",
                             pb_origin_region_of(origin, call->s3.bucket));
    }
    pb_buffer_free(&more);
    pb_buffer_free(&fault->canonical_request);
    pb_buffer_free(&fault->string_to_sign);
}

/* True where the bucket lives elsewhere and the request was not signed for there. */
static bool redirects(const pb_origin *origin, pb_origin_exchange *exchange,
                      const pb_origin_call *call)
{
    pb_slice region = redirect_region(origin, call->s3.bucket);
    if (!region.data) {
        return false;
    }
    pb_origin_signature signature;
    if (pb_origin_signature_parse(pb_origin_request_header(&exchange->request, "authorization"),
                                  &signature) &&
        pb_slice_equal(signature.region, region)) {
        return false;
    }
    pb_buffer more = {0};
    pb_buffer endpoint = {0};
    pb_buffer_append_slice(&endpoint, call->s3.bucket);
    pb_buffer_append_text(&endpoint, ".s3.");
    pb_buffer_append_slice(&endpoint, region);
    pb_buffer_append_text(&endpoint, ".amazonaws.com");
    pb_origin_xml_element(&more, "Endpoint", pb_buffer_slice(&endpoint));
    pb_origin_xml_element(&more, "Bucket", call->s3.bucket);
    pb_origin_refuse(exchange, "PermanentRedirect", NULL, more.data);
    pb_origin_add_header(exchange, "x-amz-bucket-region", region);
    pb_buffer_free(&more);
    pb_buffer_free(&endpoint);
    return true;
}

static bool is_denied(const pb_origin *origin, const pb_origin_call *call)
{
    if (origin->options.deny_write && pb_origin_operation_writes(call->s3.operation)) {
        return true;
    }
    pb_slice key = call->s3.key;
    if (call->s3.operation == PB_ORIGIN_LIST_OBJECTS ||
        call->s3.operation == PB_ORIGIN_LIST_OBJECTS_V2) {
        const pb_origin_parameter *prefix = pb_origin_s3_parameter(&call->s3, "prefix");
        key = prefix ? prefix->value : key;
    }
    return pb_origin_is_denied(origin, call->s3.bucket, key);
}

/* Fills the plan for the body. False: refused already. */
static bool plan_body(pb_origin_exchange *exchange, const pb_origin_call *call)
{
    const pb_origin_request *request = &exchange->request;
    pb_origin_body_plan *plan = &exchange->plan;
    bool is_data =
        call->s3.operation == PB_ORIGIN_PUT_OBJECT || call->s3.operation == PB_ORIGIN_UPLOAD_PART;
    if (is_data && !request->has_length && !request->is_chunked) {
        pb_origin_refuse(exchange, "MissingContentLength", NULL, NULL);
        return false;
    }
    plan->limit_bytes = is_data ? PB_ORIGIN_OBJECT_BYTES_MAX : PB_ORIGIN_XML_BODY_BYTES_MAX;
    plan->expected_bytes = request->content_length;
    pb_slice sha256 = pb_origin_request_header(request, "x-amz-content-sha256");
    plan->aws_chunked = pb_slice_starts_with(sha256, PB_SLICE_LITERAL("STREAMING-"));
    if (plan->aws_chunked) {
        pb_slice decoded = pb_origin_request_header(request, "x-amz-decoded-content-length");
        if (!pb_parse_unsigned(decoded, &plan->expected_bytes)) {
            pb_origin_refuse(exchange, "MissingContentLength", NULL, NULL);
            return false;
        }
    }
    if (plan->expected_bytes > plan->limit_bytes) {
        pb_origin_refuse(exchange, "EntityTooLarge", NULL, NULL);
        return false;
    }
    plan->md5 = is_data || pb_origin_request_header(request, "content-md5").data;
    plan->sha256 = sha256.size == 2 * PB_SHA256_BYTES;
    plan->crc32c = is_data && pb_origin_request_header(request, "x-amz-checksum-crc32c").data;
    return true;
}

static bool begin(void *context, pb_origin_exchange *exchange)
{
    pb_origin *origin = context;
    pb_origin_call *call = exchange->state;
    call->fault = PB_ORIGIN_FAULT_NONE;
    if (pb_origin_gcs_takes(exchange->request.path)) {
        return pb_origin_gcs_begin(origin, exchange, call);
    }
    pb_origin_s3_request_read(&call->s3, &exchange->request, origin->options.virtual_host);
    exchange->response.is_head = call->s3.is_head;
    pb_origin_operation operation = call->s3.operation;
    if (operation >= PB_ORIGIN_STATISTICS) {
        exchange->plan.limit_bytes = FAULT_PLAN_BYTES_MAX;
        return true;
    }
    if (origin->statistics.operations[operation]++ == 0) {
        origin->statistics.first_utc_ms[operation] = pb_origin_now_ms(origin);
    }
    exchange->response.delay_ms = origin->options.latency_ms;
    if (redirects(origin, exchange, call)) {
        return false;
    }
    if (origin->signer && operation != PB_ORIGIN_BAD_REQUEST) {
        pb_origin_signature_fault fault = {0};
        if (!pb_origin_signature_check(origin->signer, &exchange->request, &call->s3,
                                       pb_origin_region_of(origin, call->s3.bucket),
                                       pb_origin_now_ms(origin), &fault)) {
            refuse_signature(origin, exchange, call, &fault);
            return false;
        }
    }
    if (operation == PB_ORIGIN_BAD_REQUEST) {
        pb_origin_refuse(exchange, call->s3.code, NULL, NULL);
        return false;
    }
    if (operation == PB_ORIGIN_NOT_IMPLEMENTED || operation == PB_ORIGIN_METHOD_NOT_ALLOWED) {
        pb_origin_refuse(exchange, pb_origin_operation_name(operation), NULL, NULL);
        return false;
    }
    const char *code = pb_origin_stored_key(origin, &call->s3.bucket, &call->s3.key, call->place);
    if (code) {
        pb_origin_refuse(exchange, code, NULL, NULL);
        return false;
    }
    if (origin->rate_limit && !pb_origin_rate_limit_allows(origin->rate_limit, call->s3.bucket,
                                                           call->s3.key, pb_clock_monotonic_ms())) {
        origin->statistics.throttled++;
        pb_origin_refuse(exchange, "SlowDown", NULL, NULL);
        if (origin->options.retry_after_s) {
            pb_buffer_append_format(&exchange->response.headers, "Retry-After: %llu\r\n",
                                    (unsigned long long)origin->options.retry_after_s);
        }
        return false;
    }
    if (is_denied(origin, call)) {
        pb_origin_refuse(exchange, "AccessDenied", NULL, NULL);
        return false;
    }
    if (origin->options.no_checksums &&
        (pb_origin_request_header(&exchange->request, "x-amz-checksum-crc32c").data ||
         pb_origin_request_header(&exchange->request, "x-amz-checksum-algorithm").data)) {
        pb_origin_refuse(exchange, "NotImplemented", NULL, NULL);
        return false;
    }
    return plan_body(exchange, call);
}

/* ---- the whole request ---- */

bool pb_origin_read_crc32c(pb_slice text, uint8_t ret_crc32c[PB_CRC32C_BYTES])
{
    unsigned char bytes[6];
    if (text.size != 8 || text.data[6] != '=' || text.data[7] != '=' ||
        EVP_DecodeBlock(bytes, (const unsigned char *)text.data, 8) != 6) {
        return false;
    }
    memcpy(ret_crc32c, bytes, PB_CRC32C_BYTES);
    return true;
}

/* Content-MD5, x-amz-content-sha256 and x-amz-checksum-crc32c against the body. False: refused
 * already. */
static bool check_digests(pb_origin_exchange *exchange)
{
    const pb_origin_request *request = &exchange->request;
    pb_slice text = pb_origin_request_header(request, "content-md5");
    if (text.data && exchange->plan.md5) {
        unsigned char md5[18];
        if (text.size != 24 || text.data[22] != '=' || text.data[23] != '=' ||
            EVP_DecodeBlock(md5, (const unsigned char *)text.data, 24) != 18) {
            pb_origin_refuse(exchange, "InvalidDigest", NULL, NULL);
            return false;
        }
        if (memcmp(md5, exchange->body_md5, PB_MD5_BYTES) != 0) {
            pb_origin_refuse(exchange, "BadDigest", NULL, NULL);
            return false;
        }
    }
    if (exchange->plan.sha256) {
        uint8_t sha256[PB_SHA256_BYTES];
        text = pb_origin_request_header(request, "x-amz-content-sha256");
        if (!pb_hex_decode(text, sha256, sizeof(sha256)) ||
            memcmp(sha256, exchange->body_sha256, sizeof(sha256)) != 0) {
            pb_origin_refuse(exchange, "XAmzContentSHA256Mismatch", NULL, NULL);
            return false;
        }
    }
    if (exchange->plan.crc32c) {
        uint8_t crc32c[PB_CRC32C_BYTES];
        text = pb_origin_request_header(request, "x-amz-checksum-crc32c");
        if (!pb_origin_read_crc32c(text, crc32c)) {
            pb_origin_refuse(exchange, "InvalidRequest",
                             "Value for x-amz-checksum-crc32c header is invalid.", NULL);
            return false;
        }
        if (memcmp(crc32c, exchange->body_crc32c, sizeof(crc32c)) != 0) {
            pb_origin_refuse(exchange, "BadDigest", NULL, NULL);
            return false;
        }
    }
    uint64_t size = exchange->body ? exchange->body->size : 0;
    if (exchange->plan.aws_chunked && size != exchange->plan.expected_bytes) {
        pb_origin_refuse(exchange, "IncompleteBody", NULL, NULL);
        return false;
    }
    return true;
}

static void hash_again(pb_hash_kind kind, const pb_origin_content *body, uint8_t *ret_digest)
{
    pb_hash *hash = pb_hash_new(kind);
    pb_hash_update(hash, body->data, body->size);
    pb_hash_finish(hash, ret_digest);
    pb_hash_free(hash);
}

/* As if another bit had come: what the digests say of that. False: refused already. */
static bool garble(pb_origin *origin, pb_origin_exchange *exchange)
{
    if (!exchange->body) {
        return true;
    }
    pb_origin_flip_stored(origin, exchange->body);
    hash_again(PB_HASH_MD5, exchange->body, exchange->body_md5);
    hash_again(PB_HASH_SHA256, exchange->body, exchange->body_sha256);
    hash_again(PB_HASH_CRC32C, exchange->body, exchange->body_crc32c);
    return check_digests(exchange);
}

/* Faults that stand in for the operation. True: the answer is made. */
static bool fault_instead(pb_origin_exchange *exchange, pb_origin_fault fault)
{
    switch (fault) {
    case PB_ORIGIN_FAULT_ERROR403:
        pb_origin_refuse(exchange, "AccessDenied", NULL, NULL);
        return true;
    case PB_ORIGIN_FAULT_ERROR500:
        pb_origin_refuse(exchange, "InternalError", NULL, NULL);
        return true;
    case PB_ORIGIN_FAULT_ERROR503:
        pb_origin_refuse(exchange, "SlowDown", NULL, NULL);
        return true;
    case PB_ORIGIN_FAULT_RESET:
        exchange->response.damage = PB_ORIGIN_DAMAGE_RESET;
        return true;
    case PB_ORIGIN_FAULT_ERROR200:
        pb_origin_error_xml(pb_origin_answer_xml(exchange), exchange, "InternalError");
        return true;
    default:
        return false;
    }
}

void pb_origin_fault_after(pb_origin_exchange *exchange, const pb_origin_call *call,
                           uint64_t delay_ms)
{
    pb_origin_response *response = &exchange->response;
    switch (call->fault) {
    case PB_ORIGIN_FAULT_RESET_AFTER:
        response->damage = PB_ORIGIN_DAMAGE_RESET;
        break;
    case PB_ORIGIN_FAULT_TRUNCATED:
        response->damage = PB_ORIGIN_DAMAGE_TRUNCATED;
        break;
    case PB_ORIGIN_FAULT_STALL:
        response->damage =
            response->content_size > 1 ? PB_ORIGIN_DAMAGE_STALL_MIDWAY : PB_ORIGIN_DAMAGE_STALL;
        break;
    case PB_ORIGIN_FAULT_SLOW:
        response->delay_ms += delay_ms;
        break;
    default:
        break;
    }
}

static void finish(void *context, pb_origin_exchange *exchange)
{
    pb_origin *origin = context;
    pb_origin_call *call = exchange->state;
    if (pb_origin_operation_is_gcs(call->s3.operation)) {
        pb_origin_gcs_finish(origin, exchange, call);
        return;
    }
    if (exchange->body_failure != PB_ORIGIN_BODY_WHOLE) {
        pb_origin_refuse(exchange,
                         exchange->body_failure == PB_ORIGIN_BODY_TOO_LARGE ? "EntityTooLarge"
                                                                            : "IncompleteBody",
                         NULL, NULL);
        return;
    }
    switch (call->s3.operation) {
    case PB_ORIGIN_STATISTICS:
        answer_statistics(origin, exchange);
        return;
    case PB_ORIGIN_STATISTICS_RESET:
        origin->statistics = (pb_origin_statistics){0};
        pb_origin_server_reset_most_in_flight(origin->server);
        exchange->response.status = 200;
        return;
    case PB_ORIGIN_FAULTS:
        replace_faults(origin, exchange);
        return;
    case PB_ORIGIN_KEYS:
        replace_keys(origin, exchange);
        return;
    case PB_ORIGIN_GCS_TOKENS:
        pb_origin_gcs_replace_tokens(origin, exchange);
        return;
    default:
        break;
    }
    if (!check_digests(exchange)) {
        return;
    }
    uint64_t fault_delay_ms = 0;
    call->fault = pb_origin_fault_plan_next(&origin->faults, call->s3.operation, call->s3.key,
                                            &fault_delay_ms);
    origin->statistics.faults[call->fault]++;
    if (call->fault == PB_ORIGIN_FAULT_GARBLED && !garble(origin, exchange)) {
        return;
    }
    if (!fault_instead(exchange, call->fault)) {
        functions[call->s3.operation](origin, exchange, call);
        pb_origin_fault_after(exchange, call, fault_delay_ms);
    }
}

static void answered(void *context, const pb_origin_exchange *exchange, uint64_t bytes_in,
                     uint64_t bytes_out)
{
    pb_origin *origin = context;
    const pb_origin_call *call = exchange->state;
    if (call->s3.operation >= PB_ORIGIN_STATISTICS) {
        return;
    }
    origin->statistics.bytes_in += bytes_in;
    origin->statistics.bytes_out += bytes_out;
    origin->statistics.refused += exchange->response.status >= 400;
    if (origin->log) {
        fprintf(origin->log, "%.*s %.*s %d %llu\n", PB_SLICE_FORMAT(exchange->request.method),
                PB_SLICE_FORMAT(exchange->request.target), exchange->response.status,
                (unsigned long long)bytes_out);
    }
}

static void forget(void *context, void *state)
{
    pb_origin_call *call = state;
    (void)context;
    pb_origin_s3_request_free(&call->s3);
}

pb_origin_service pb_origin_service_of(pb_origin *origin)
{
    return (pb_origin_service){
        .context = origin,
        .state_bytes = sizeof(pb_origin_call),
        .begin = begin,
        .finish = finish,
        .answered = answered,
        .forget = forget,
    };
}
