/* Requests of the JSON API on their way: who may, which fault, which function. */
#include "base/clock.h"
#include "base/codec.h"
#include "base/random.h"
#include "bench/origin/gcs_operations.h"
#include <stdlib.h>

static pb_origin_gcs_function *const functions[PB_ORIGIN_OPERATION_COUNT] = {
    [PB_ORIGIN_GCS_BUCKETS_GET] = pb_origin_gcs_get_bucket,
    [PB_ORIGIN_GCS_BUCKETS_INSERT] = pb_origin_gcs_insert_bucket,
    [PB_ORIGIN_GCS_OBJECTS_LIST] = pb_origin_gcs_list_objects,
    [PB_ORIGIN_GCS_OBJECTS_GET] = pb_origin_gcs_get_object,
    [PB_ORIGIN_GCS_OBJECTS_DOWNLOAD] = pb_origin_gcs_download,
    [PB_ORIGIN_GCS_OBJECTS_INSERT] = pb_origin_gcs_insert_object,
    [PB_ORIGIN_GCS_UPLOAD_START] = pb_origin_gcs_start_upload,
    [PB_ORIGIN_GCS_UPLOAD_CHUNK] = pb_origin_gcs_take_chunk,
    [PB_ORIGIN_GCS_UPLOAD_STATUS] = pb_origin_gcs_upload_status,
    [PB_ORIGIN_GCS_UPLOAD_CANCEL] = pb_origin_gcs_cancel_upload,
    [PB_ORIGIN_GCS_OBJECTS_REWRITE] = pb_origin_gcs_rewrite_object,
    [PB_ORIGIN_GCS_OBJECTS_COMPOSE] = pb_origin_gcs_compose_object,
    [PB_ORIGIN_GCS_OBJECTS_PATCH] = pb_origin_gcs_patch_object,
    [PB_ORIGIN_GCS_OBJECTS_DELETE] = pb_origin_gcs_delete_object,
    [PB_ORIGIN_GCS_BATCH] = pb_origin_gcs_batch,
};

/* The right of IAM that an operation needs. */
static const char *const rights[PB_ORIGIN_OPERATION_COUNT] = {
    [PB_ORIGIN_GCS_BUCKETS_GET] = "storage.buckets.get",
    [PB_ORIGIN_GCS_BUCKETS_INSERT] = "storage.buckets.create",
    [PB_ORIGIN_GCS_OBJECTS_LIST] = "storage.objects.list",
    [PB_ORIGIN_GCS_OBJECTS_GET] = "storage.objects.get",
    [PB_ORIGIN_GCS_OBJECTS_DOWNLOAD] = "storage.objects.get",
    [PB_ORIGIN_GCS_OBJECTS_PATCH] = "storage.objects.update",
    [PB_ORIGIN_GCS_OBJECTS_DELETE] = "storage.objects.delete",
};

pb_origin_gcs *pb_origin_gcs_new(const pb_origin *origin)
{
    pb_origin_gcs *gcs = pb_allocate_zeroed(1, sizeof(*gcs));
    const pb_origin_options *options = &origin->options;
    gcs->tokens.checks = options->gcs_token_count > 0;
    for (size_t i = 0; i < options->gcs_token_count; i++) {
        gcs->tokens.tokens[gcs->tokens.count++] =
            (pb_origin_gcs_token){pb_duplicate(pb_slice_of(options->gcs_tokens[i])), INT64_MAX};
    }
    return gcs;
}

void pb_origin_gcs_free(pb_origin_gcs *gcs)
{
    for (size_t i = 0; i < gcs->session_count; i++) {
        pb_origin_gcs_session_free(gcs->sessions[i]);
    }
    for (size_t i = 0; i < gcs->rewrite_count; i++) {
        pb_origin_gcs_rewrite_free(gcs->rewrites[i]);
    }
    free(gcs->sessions);
    free(gcs->rewrites);
    pb_origin_gcs_tokens_free(&gcs->tokens);
    free(gcs);
}

void pb_origin_gcs_replace_tokens(pb_origin *origin, pb_origin_exchange *exchange)
{
    pb_error error = {0};
    if (pb_origin_gcs_tokens_parse(pb_origin_gcs_body(exchange), pb_origin_now_ms(origin),
                                   &origin->gcs->tokens, &error) != 0) {
        pb_origin_gcs_invalid(exchange, error.message);
        return;
    }
    exchange->response.status = 200;
}

/* ---- shared ---- */

void pb_origin_gcs_make_id(char ret_id[33])
{
    uint8_t bytes[16];
    pb_random_bytes(bytes, sizeof(bytes));
    pb_hex_encode(bytes, sizeof(bytes), ret_id);
}

void pb_origin_gcs_append_endpoint(pb_buffer *buffer, const pb_origin *origin,
                                   const pb_origin_exchange *exchange)
{
    pb_buffer_append_text(buffer, origin->options.is_https ? "https://" : "http://");
    pb_buffer_append_slice(buffer, pb_origin_request_header(&exchange->request, "host"));
}

void pb_origin_gcs_forbid(pb_origin_exchange *exchange, pb_origin_operation operation)
{
    const char *right = rights[operation] ? rights[operation] : "storage.objects.create";
    pb_buffer message = {0};
    pb_buffer_append_format(&message,
                            "The caller does not have %s access to the Google Cloud Storage "
                            "object. Permission '%s' denied on resource (or it may not exist).",
                            right, right);
    pb_origin_gcs_refuse(exchange, 403, "forbidden", message.data, NULL);
    pb_buffer_free(&message);
}

pb_origin_bucket *pb_origin_gcs_need_bucket(pb_origin *origin, pb_origin_exchange *exchange,
                                            pb_slice name)
{
    pb_origin_bucket *bucket = pb_origin_find_bucket(origin, name);
    if (!bucket) {
        pb_origin_gcs_not_found(exchange, name, (pb_slice){NULL, 0});
    }
    return bucket;
}

pb_origin_object *pb_origin_gcs_need_object(pb_origin *origin, pb_origin_exchange *exchange,
                                            pb_slice bucket, pb_slice key,
                                            const pb_origin_gcs_conditions *conditions)
{
    pb_origin_bucket *holder = pb_origin_gcs_need_bucket(origin, exchange, bucket);
    pb_origin_object *object = holder ? pb_origin_bucket_find(holder, key) : NULL;
    if (object && conditions->generation.asked &&
        conditions->generation.value != pb_origin_object_generation(object)) {
        object = NULL;
    }
    if (holder && !object) {
        pb_origin_gcs_not_found(exchange, bucket, key);
    }
    return object;
}

bool pb_origin_gcs_check_conditions(pb_origin_exchange *exchange,
                                    const pb_origin_gcs_conditions *conditions,
                                    const pb_origin_object *object, bool reads)
{
    /* Where nothing is stored its generation is 0. */
    uint64_t generation = object ? pb_origin_object_generation(object) : 0;
    uint64_t metageneration = object ? pb_origin_gcs_metageneration(object) : 0;
    if ((conditions->generation_match.asked && conditions->generation_match.value != generation) ||
        (conditions->metageneration_match.asked &&
         conditions->metageneration_match.value != metageneration)) {
        pb_origin_gcs_condition_failed(exchange, "If-Match");
        return false;
    }
    if ((conditions->generation_not_match.asked &&
         conditions->generation_not_match.value == generation) ||
        (conditions->metageneration_not_match.asked &&
         conditions->metageneration_not_match.value == metageneration)) {
        if (reads) {
            exchange->response.status = 304;
        } else {
            pb_origin_gcs_condition_failed(exchange, "If-None-Match");
        }
        return false;
    }
    return true;
}

void pb_origin_gcs_answer_object(const pb_origin *origin, pb_origin_exchange *exchange,
                                 pb_slice bucket, const pb_origin_object *object, uint64_t fields)
{
    pb_buffer endpoint = {0};
    pb_origin_gcs_append_endpoint(&endpoint, origin, exchange);
    pb_origin_gcs_append_object(pb_origin_gcs_answer_json(exchange), pb_buffer_slice(&endpoint),
                                bucket, object, fields);
    pb_buffer_free(&endpoint);
}

/* ---- who may ---- */

static bool is_of_session(pb_origin_operation operation)
{
    return operation == PB_ORIGIN_GCS_UPLOAD_CHUNK || operation == PB_ORIGIN_GCS_UPLOAD_STATUS ||
           operation == PB_ORIGIN_GCS_UPLOAD_CANCEL;
}

/* A session's URL is itself the right to go on with it; a token that comes along is looked at. */
static bool check_token(pb_origin *origin, pb_origin_exchange *exchange, const pb_origin_call *call)
{
    const pb_origin_gcs_tokens *tokens = &origin->gcs->tokens;
    pb_slice authorization = pb_origin_request_header(&exchange->request, "authorization");
    if (!tokens->checks || (!authorization.data && is_of_session(call->s3.operation)) ||
        pb_origin_gcs_tokens_accept(tokens, authorization, pb_origin_now_ms(origin))) {
        return true;
    }
    pb_origin_gcs_refuse(exchange, 401, authorization.data ? "authError" : "required",
                         authorization.data ? "Invalid Credentials" : "Login Required",
                         "Authorization");
    return false;
}

static bool check_rate(pb_origin *origin, pb_origin_exchange *exchange, const pb_origin_call *call)
{
    if (!origin->rate_limit || pb_origin_rate_limit_allows(origin->rate_limit, call->s3.bucket,
                                                           call->s3.key, pb_clock_monotonic_ms())) {
        return true;
    }
    origin->statistics.throttled++;
    pb_origin_gcs_refuse(exchange, 429, "rateLimitExceeded",
                         "The rate of requests to this bucket exceeds the limit.", NULL);
    if (origin->options.retry_after_s) {
        pb_buffer_append_format(&exchange->response.headers, "Retry-After: %llu\r\n",
                                (unsigned long long)origin->options.retry_after_s);
    }
    return false;
}

static bool pays_requester(const pb_origin *origin, pb_slice bucket)
{
    for (size_t i = 0; i < origin->options.gcs_requester_pays_count; i++) {
        if (pb_slice_equal(bucket, pb_slice_of(origin->options.gcs_requester_pays[i]))) {
            return true;
        }
    }
    return false;
}

static bool check_payer(const pb_origin *origin, pb_origin_exchange *exchange,
                        const pb_origin_call *call)
{
    bool has_payer = pb_origin_gcs_value(&call->s3, "userProject").size > 0 ||
                     pb_origin_request_header(&exchange->request, "x-goog-user-project").size > 0;
    if (has_payer || is_of_session(call->s3.operation) ||
        (!pays_requester(origin, call->s3.bucket) &&
         !pays_requester(origin, call->gcs.target_bucket))) {
        return true;
    }
    pb_origin_gcs_refuse(exchange, 400, "required",
                         "Bucket is a requester pays bucket but no user project provided.", NULL);
    return false;
}

static bool is_denied(const pb_origin *origin, const pb_origin_call *call)
{
    const pb_origin_s3_request *s3 = &call->s3;
    if (origin->options.deny_write && pb_origin_operation_writes(s3->operation)) {
        return true;
    }
    if (s3->operation == PB_ORIGIN_GCS_OBJECTS_LIST) {
        return pb_origin_is_denied(origin, s3->bucket, pb_origin_gcs_value(s3, "prefix"));
    }
    if (s3->operation == PB_ORIGIN_GCS_OBJECTS_REWRITE &&
        pb_origin_is_denied(origin, call->gcs.target_bucket, call->gcs.target_key)) {
        return true;
    }
    return pb_origin_is_denied(origin, s3->bucket, s3->key);
}

bool pb_origin_gcs_admit(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_operation operation = call->s3.operation;
    const pb_origin_gcs_refusal *refusal = &call->gcs.refusal;
    if (origin->statistics.operations[operation]++ == 0) {
        origin->statistics.first_utc_ms[operation] = pb_origin_now_ms(origin);
    }
    if (!check_token(origin, exchange, call)) {
        return false;
    }
    if (operation == PB_ORIGIN_GCS_REFUSED) {
        pb_origin_gcs_refuse(exchange, refusal->status, refusal->reason, refusal->message,
                             refusal->location);
        return false;
    }
    if (is_of_session(operation)) {
        /* Copied: somebody else may end the session while the body comes. */
        const pb_origin_gcs_session *session =
            pb_origin_gcs_find_session(origin, call->gcs.upload_id);
        size_t size = session ? strlen(session->key) : 0;
        memcpy(call->place, session ? session->key : "", size);
        call->s3.key = (pb_slice){call->place, size};
    } else if (operation == PB_ORIGIN_GCS_OBJECTS_INSERT ||
               operation == PB_ORIGIN_GCS_UPLOAD_START) {
        call->s3.key = pb_origin_gcs_value(&call->s3, "name");
    }
    if (!check_rate(origin, exchange, call) || !check_payer(origin, exchange, call)) {
        return false;
    }
    if (is_denied(origin, call)) {
        pb_origin_gcs_forbid(exchange, operation);
        return false;
    }
    return true;
}

bool pb_origin_gcs_begin(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_gcs_request_read(&call->s3, &call->gcs, &exchange->request);
    exchange->response.is_head = call->s3.is_head;
    exchange->response.delay_ms = origin->options.latency_ms;
    if (!pb_origin_gcs_admit(origin, exchange, call)) {
        return false;
    }
    pb_origin_operation operation = call->s3.operation;
    bool is_media =
        operation == PB_ORIGIN_GCS_OBJECTS_INSERT || operation == PB_ORIGIN_GCS_UPLOAD_CHUNK;
    pb_origin_body_plan *plan = &exchange->plan;
    plan->limit_bytes = is_media ? PB_ORIGIN_OBJECT_BYTES_MAX : PB_ORIGIN_XML_BODY_BYTES_MAX;
    plan->expected_bytes = exchange->request.content_length;
    if (plan->expected_bytes > plan->limit_bytes) {
        pb_origin_gcs_refuse(exchange, 413, "uploadTooLarge", "The request is too large.", NULL);
        return false;
    }
    return true;
}

/* ---- the whole request ---- */

static bool fault_instead(pb_origin *origin, pb_origin_exchange *exchange,
                          const pb_origin_call *call)
{
    pb_origin_gcs_session *session = NULL;
    switch (call->fault) {
    case PB_ORIGIN_FAULT_ERROR401:
        pb_origin_gcs_refuse(exchange, 401, "authError", "Invalid Credentials", "Authorization");
        return true;
    case PB_ORIGIN_FAULT_ERROR403:
        pb_origin_gcs_forbid(exchange, call->s3.operation);
        return true;
    case PB_ORIGIN_FAULT_ERROR429:
        pb_origin_gcs_refuse(exchange, 429, "rateLimitExceeded",
                             "The rate of requests to this bucket exceeds the limit.", NULL);
        return true;
    case PB_ORIGIN_FAULT_ERROR500:
        pb_origin_gcs_refuse(exchange, 500, "backendError", "Backend Error", NULL);
        return true;
    case PB_ORIGIN_FAULT_ERROR503:
        pb_origin_gcs_refuse(exchange, 503, "backendError", "Backend Error", NULL);
        return true;
    case PB_ORIGIN_FAULT_RESET:
        exchange->response.damage = PB_ORIGIN_DAMAGE_RESET;
        return true;
    case PB_ORIGIN_FAULT_GONE:
        session = pb_origin_gcs_find_session(origin, call->gcs.upload_id);
        if (session) {
            session->id[0] = 0; /* found no more */
        }
        pb_origin_gcs_refuse(exchange, 410, "uploadBroken", "The upload session is gone.", NULL);
        return true;
    default:
        return false;
    }
}

void pb_origin_gcs_perform(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    uint64_t delay_ms = 0;
    call->fault =
        pb_origin_fault_plan_next(&origin->faults, call->s3.operation, call->s3.key, &delay_ms);
    origin->statistics.faults[call->fault]++;
    if (!fault_instead(origin, exchange, call)) {
        functions[call->s3.operation](origin, exchange, call);
        pb_origin_fault_after(exchange, call, delay_ms);
    }
}

void pb_origin_gcs_finish(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    if (exchange->body_failure != PB_ORIGIN_BODY_WHOLE) {
        bool is_large = exchange->body_failure == PB_ORIGIN_BODY_TOO_LARGE;
        pb_origin_gcs_refuse(exchange, is_large ? 413 : 400,
                             is_large ? "uploadTooLarge" : "invalid",
                             "The body is too large, or not framed as its headers say.", NULL);
        return;
    }
    pb_origin_operation operation = call->s3.operation;
    bool is_sound = true;
    if (operation == PB_ORIGIN_GCS_OBJECTS_INSERT || operation == PB_ORIGIN_GCS_UPLOAD_START) {
        is_sound = pb_origin_gcs_read_upload(exchange, call);
        if (is_sound && pb_origin_is_denied(origin, call->s3.bucket, call->s3.key)) {
            pb_origin_gcs_forbid(exchange, operation);
            is_sound = false;
        }
    }
    if (is_sound) {
        pb_origin_gcs_perform(origin, exchange, call);
    }
    pb_origin_gcs_metadata_free(&call->metadata);
    call->media = (pb_slice){NULL, 0};
}
