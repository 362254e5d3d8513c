#include "copier/store/s3/s3_call.h"

#include "base/clock.h"
#include "copier/store/s3/errors.h"
#include <stdlib.h>

enum {
    BULK_BYTES = 256 * 1024,                 /* from here on large socket buffers pay */
    HEDGE_BYTES_MAX = 1024 * 1024,           /* less than that is cheap to move twice... */
    HEDGE_COPY_BYTES_MAX = 16 * 1024 * 1024, /* ...and to copy inside the store */
    OVERRUN_BYTES_MAX = 64 * 1024,           /* of a body that is too long: no more is waited for */
    ERROR_BODY_BYTES_MAX = 64 * 1024,
    KEY_SHOWN_MAX = 400,
};

static s3_call *call_of(pb_http_request *http)
{
    return (s3_call *)http;
}

void s3_call_describe(const s3_call *call, pb_buffer *buffer)
{
    static const char *const verbs[] = {
        [PB_STORE_CHECK] = "HEAD",
        [PB_STORE_LIST] = "LIST",
        [PB_STORE_HEAD] = "HEAD",
        [PB_STORE_GET] = "GET",
        [PB_STORE_PUT] = "PUT",
        [PB_STORE_COPY] = "COPY to",
        [PB_STORE_DELETE] = "DELETE",
        [PB_STORE_MULTIPART_CREATE] = "CREATE UPLOAD",
        [PB_STORE_MULTIPART_PUT] = "PUT PART",
        [PB_STORE_MULTIPART_COPY] = "COPY PART to",
        [PB_STORE_MULTIPART_COMPLETE] = "COMPLETE UPLOAD",
        [PB_STORE_MULTIPART_ABORT] = "ABORT UPLOAD",
    };
    const pb_store_request *asked = call->asked;
    const pb_location *location = &call->s3->store->config->location;
    pb_slice key = asked->key;
    if (asked->operation == PB_STORE_LIST)
        key = asked->list.prefix;
    else if (asked->operation == PB_STORE_DELETE && asked->key_count == 1)
        key = asked->keys[0];
    bool long_key = key.size > KEY_SHOWN_MAX;
    if (long_key)
        key.size = KEY_SHOWN_MAX;
    pb_buffer_append_format(buffer, "%s s3://%s/%s%.*s%s", verbs[asked->operation],
                            location->bucket, location->prefix, PB_SLICE_FORMAT(key),
                            long_key ? "..." : "");
    if (asked->operation == PB_STORE_DELETE && asked->key_count > 1)
        pb_buffer_append_format(buffer, " (%zu keys)", asked->key_count);
    const pb_s3_endpoint *endpoint = call->endpoint ? call->endpoint : s3_endpoint_of(call->s3);
    pb_buffer_append_format(buffer, " at %s", endpoint->base_url);
}

/* ---- an attempt goes out ---- */

static int prepare(pb_http_request *http, pb_http_attempt *attempt, pb_error *error)
{
    s3_call *call = call_of(http);
    s3_store *s3 = call->s3;
    const pb_store_request *asked = call->asked;
    pb_s3_answer_restart(&call->answer);
    if (asked->object_headers_read)
        pb_buffer_clear(asked->object_headers_read);
    if (call->given && asked->restarted)
        asked->restarted(call->results);
    call->given = call->told = call->body_begun = false;
    call->bytes_received = 0;
    call->endpoint = call->redirected ? &call->redirects[call->moves - 1] : s3_endpoint_of(s3);

    pb_s3_login_renew(&s3->login);
    call->login_number = s3->login.number;
    pb_s3_request_frame frame = {
        .endpoint = call->endpoint,
        .signer = s3->login.signer,
        .session_token = pb_slice_of(s3->login.value.session_token),
        .unsigned_payload = s3->store->config->options.unsigned_payload,
        .now_ms = pb_clock_utc_ms(),
    };
    if (asked->source) {
        const s3_store *source = asked->source->state;
        frame.source_path = pb_slice_of(s3_endpoint_of(source)->full_path);
    }
    attempt->ca_bundle = s3->settings->ca_bundle;
    return pb_s3_request_build(&call->built, asked, &frame, attempt, error);
}

/* ---- the answer comes in ---- */

static void received_header(pb_http_request *http, pb_slice name, pb_slice value)
{
    s3_call *call = call_of(http);
    if (http->status >= 200) /* a 100 Continue is not the answer */
        pb_s3_answer_header(&call->answer, name, value, call->asked->object_headers_read);
}

static bool is_success(int status)
{
    return status >= 200 && status <= 299;
}

static int begin_object_body(s3_call *call)
{
    const pb_store_request *asked = call->asked;
    call->body_begun = true;
    return pb_s3_answer_expect(&call->answer, call->http.status, asked->offset, asked->length,
                               &call->bytes_expected, &call->results->size, &call->http.error);
}

/* The object's own bytes: they go to the caller, never more than were asked for. */
static int received_object(s3_call *call, const void *data, size_t size)
{
    if (!call->body_begun && begin_object_body(call))
        return -1;
    uint64_t left = call->bytes_expected > call->bytes_received
                        ? call->bytes_expected - call->bytes_received
                        : 0;
    call->bytes_received += size;
    if (size > left) {
        if (size - left > OVERRUN_BYTES_MAX ||
            call->bytes_received > call->bytes_expected + OVERRUN_BYTES_MAX)
            return pb_error_set(&call->http.error, PB_ERROR_SERVER,
                                "the body is longer than the %llu bytes announced",
                                (unsigned long long)call->bytes_expected);
        size = (size_t)left;
    }
    if (!size || !call->asked->received)
        return 0;
    call->given = true;
    return call->asked->received(call->results, data, size, &call->http.error);
}

static int received_body(pb_http_request *http, const void *data, size_t size)
{
    s3_call *call = call_of(http);
    if (call->asked->operation == PB_STORE_GET && is_success(http->status))
        return received_object(call, data, size);
    pb_buffer *body = &call->answer.body;
    size_t most = is_success(http->status) ? PB_S3_BODY_BYTES_MAX : ERROR_BODY_BYTES_MAX;
    if (size > most - body->size) {
        if (is_success(http->status))
            return pb_error_set(&http->error, PB_ERROR_FAILED, "an answer of more than %zu bytes",
                                most);
        size = most - body->size; /* what an error's first part does not tell is not told */
    }
    pb_buffer_append(body, data, size);
    return 0;
}

/* ---- what it means ---- */

static pb_s3_class fill_error(s3_call *call, const pb_s3_document *document)
{
    pb_buffer what = {0};
    s3_call_describe(call, &what);
    pb_s3_failure failure = {
        .what = what.data,
        .status = call->http.status,
        .code = document->code,
        .message = document->message,
        .request_id = document->request_id,
        .store_now_ms = call->answer.date_ms,
        .our_now_ms = pb_clock_utc_ms(),
    };
    if (!failure.request_id.size)
        failure.request_id = pb_slice_of(call->answer.request_id);
    if (pb_s3_login_is_in(&call->s3->login, failure.message))
        failure.message = PB_SLICE_LITERAL("(not shown: it holds a secret)");
    pb_s3_class class = pb_s3_classify(call->http.status, document->code);
    bool has_crc32c =
        call->asked->body_crc32c || call->asked->parts_have_crc32c || call->asked->part_crc32cs;
    if (has_crc32c && class.kind == PB_ERROR_FAILED && !class.hint[0])
        class.hint = "the store may not take CRC32C checksums: use --checksum sha256";
    pb_s3_error_fill(&call->http.error, &failure, class);
    pb_buffer_free(&what);
    call->told = true;
    return class;
}

/* Fails the attempt for what the answer lacks or holds. */
static pb_http_verdict breaks_protocol(s3_call *call, pb_error_kind kind, const char *why)
{
    pb_error_set(&call->http.error, kind, "%s", why);
    call->http.error.status = call->http.status;
    return kind == PB_ERROR_SERVER ? PB_HTTP_RETRY : PB_HTTP_DONE;
}

void s3_endpoint_changed(s3_store *s3)
{
    s3->paced = pb_http_endpoint_at(s3->store->http, s3_endpoint_of(s3)->base_url);
}

bool s3_adopt_region(s3_store *s3, const char *region)
{
    if (s3->endpoint_count > S3_ADOPTIONS_MAX)
        return false;
    pb_s3_endpoint_make(&s3->store->config->location, region, &s3->endpoints[s3->endpoint_count]);
    s3->endpoint_count++;
    s3_endpoint_changed(s3);
    return true;
}

static pb_slice region_named(const s3_call *call, const pb_s3_document *document)
{
    pb_slice region = pb_slice_of(call->answer.region);
    if (!region.size)
        region = document->region;
    if (!region.size)
        region = pb_s3_region_of_host(document->endpoint);
    return pb_s3_region_valid(region) ? region : (pb_slice){NULL, 0};
}

/* The bucket is in `region`, which is not the one this attempt was signed for. */
static pb_http_verdict move_to_region(s3_call *call, pb_slice region)
{
    s3_store *s3 = call->s3;
    const pb_location *location = &s3->store->config->location;
    char name[65];
    memcpy(name, region.data, region.size);
    name[region.size] = '\0';
    if (location->region) {
        pb_error_set(&call->http.error, PB_ERROR_USAGE, "bucket %s is in %s, not %s",
                     location->bucket, name, call->endpoint->region);
        pb_error_hint(&call->http.error, "region=%s", name);
        return PB_HTTP_DONE;
    }
    if (call->moves == S3_MOVES_MAX)
        return PB_HTTP_DONE;
    /* Of many requests in flight the first to learn it changes the store; the others follow. */
    if (strcmp(s3_endpoint_of(s3)->region, name) != 0 && !s3_adopt_region(s3, name))
        return PB_HTTP_DONE;
    call->moves++;
    call->redirected = false;
    return PB_HTTP_AGAIN;
}

static pb_http_verdict move_to_endpoint(s3_call *call, const pb_s3_document *document)
{
    const pb_location *location = &call->s3->store->config->location;
    pb_slice to = pb_slice_of(call->answer.location);
    if (!to.size)
        to = document->endpoint;
    if (call->http.status != 307 || call->moves == S3_MOVES_MAX ||
        !pb_s3_endpoint_redirect(call->endpoint, location, to, &call->redirects[call->moves]))
        return PB_HTTP_DONE;
    call->moves++;
    call->redirected = true;
    return PB_HTTP_AGAIN;
}

static pb_http_verdict judge_failure(s3_call *call, const pb_s3_document *document)
{
    int status = call->http.status;
    pb_s3_class class = fill_error(call, document);
    if (pb_s3_login_has_ended(&call->s3->login, call->login_number, status, document->code,
                              pb_clock_utc_ms()))
        return PB_HTTP_RETRY;
    if (pb_s3_says_elsewhere(status, document->code)) {
        pb_slice region = region_named(call, document);
        if (region.size && !pb_slice_equal(region, pb_slice_of(call->endpoint->region)))
            return move_to_region(call, region);
        return move_to_endpoint(call, document);
    }
    return class.retry ? PB_HTTP_RETRY : PB_HTTP_DONE;
}

static pb_http_verdict judge_check(s3_call *call)
{
    s3_store *s3 = call->s3;
    pb_store_config *config = s3->store->config;
    const char *region = call->answer.region;
    call->results->store_now_ms = call->answer.date_ms;
    if (!config->location.region && pb_s3_region_valid(pb_slice_of(region)) &&
        strcmp(region, s3_endpoint_of(s3)->region) != 0)
        s3_adopt_region(s3, region);
    /* Stores opened from now on begin with what was learned. */
    free(s3->settings->region);
    s3->settings->region = pb_duplicate(pb_slice_of(s3_endpoint_of(s3)->region));
    return PB_HTTP_DONE;
}

/* Fills the ETag and what else the headers say of the object. */
static pb_http_verdict judge_object(s3_call *call)
{
    const pb_s3_answer *answer = &call->answer;
    pb_store_request *results = call->results;
    if (answer->etag_refused)
        return breaks_protocol(call, PB_ERROR_FAILED, "an ETag that is too long or not text");
    if (answer->object_headers_refused)
        return breaks_protocol(call, PB_ERROR_FAILED, "object headers of more than 16 KiB");
    memcpy(results->etag, answer->etag, sizeof results->etag);
    results->etag_opaque = answer->etag_opaque;
    results->mtime_ms = answer->mtime_ms;
    results->store_now_ms = answer->date_ms;
    return PB_HTTP_DONE;
}

static pb_http_verdict judge_head(s3_call *call)
{
    if (!call->answer.has_length)
        return breaks_protocol(call, PB_ERROR_FAILED, "no Content-Length");
    call->results->size = call->answer.length;
    /* https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html: a part's answer is 206
     * with its range. Others take no notice of the question. */
    if (call->asked->part_number && call->http.status == 206) {
        if (!call->answer.has_range)
            return breaks_protocol(call, PB_ERROR_FAILED, "a part without its range");
        call->results->size = call->answer.range_total;
        call->results->part_bytes = call->answer.range_last - call->answer.range_first + 1;
    }
    return judge_object(call);
}

static pb_http_verdict judge_get(s3_call *call)
{
    if (!call->body_begun && begin_object_body(call))
        return PB_HTTP_DONE;
    if (call->bytes_expected == UINT64_MAX) {
        /* Sent in chunks: the end of the body is what ends it. */
        call->results->size = call->bytes_received;
    } else if (call->bytes_received != call->bytes_expected) {
        pb_error_set(&call->http.error, PB_ERROR_SERVER, "%llu bytes came of %llu",
                     (unsigned long long)call->bytes_received,
                     (unsigned long long)call->bytes_expected);
        return PB_HTTP_RETRY;
    }
    return judge_object(call);
}

static pb_http_verdict judge_part(s3_call *call)
{
    pb_http_verdict verdict = judge_object(call);
    if (call->http.error.kind == PB_ERROR_NONE && !call->results->etag[0])
        return breaks_protocol(call, PB_ERROR_FAILED, "a part without an ETag");
    return verdict;
}

static pb_http_verdict judge_list(s3_call *call)
{
    const pb_store_request *asked = call->asked;
    pb_s3_list_asked list = {
        .store_prefix = call->endpoint->prefix,
        .prefix = asked->list.prefix,
    };
    pb_slice body = pb_buffer_slice(&call->answer.body);
    pb_s3_document document;
    if (!pb_s3_parse_list(call->s3->parser, body, &list, &call->results->page, &call->http.error))
        return PB_HTTP_DONE;
    if (call->http.error.kind == PB_ERROR_SERVER)
        return PB_HTTP_RETRY;
    if (!pb_s3_parse_document(call->s3->parser, body, &document, NULL) &&
        pb_slice_equal(document.root, PB_SLICE_LITERAL("Error")))
        return judge_failure(call, &document);
    return PB_HTTP_DONE;
}

/* Some keys of many were not deleted. */
static pb_http_verdict judge_failed_keys(s3_call *call, const pb_s3_document *document)
{
    pb_s3_class class = fill_error(call, document);
    pb_error_context(&call->http.error, "%zu of %zu keys not deleted, the first of them %.*s",
                     document->failed_keys, call->asked->key_count, PB_SLICE_FORMAT(document->key));
    return class.retry ? PB_HTTP_RETRY : PB_HTTP_DONE;
}

/* Answers whose body says how it went, whatever the status. */
static pb_http_verdict judge_document(s3_call *call, const char *root)
{
    pb_s3_document document;
    pb_slice etag;
    if (pb_s3_parse_document(call->s3->parser, pb_buffer_slice(&call->answer.body), &document,
                             &call->http.error))
        return call->http.error.kind == PB_ERROR_SERVER ? PB_HTTP_RETRY : PB_HTTP_DONE;
    if (pb_slice_equal(document.root, PB_SLICE_LITERAL("Error")))
        return judge_failure(call, &document);
    if (!pb_slice_equal(document.root, pb_slice_of(root)))
        return breaks_protocol(call, PB_ERROR_FAILED, "an answer to something else");
    if (document.failed_keys)
        return judge_failed_keys(call, &document);
    if (!pb_s3_etag_read(document.etag, &etag))
        return breaks_protocol(call, PB_ERROR_FAILED, "an ETag that is too long or not text");
    char *results_etag = call->results->etag;
    if (etag.size)
        memcpy(results_etag, etag.data, etag.size);
    results_etag[etag.size] = '\0';
    call->results->etag_opaque = call->answer.etag_opaque;
    if (call->asked->operation == PB_STORE_MULTIPART_COPY && !etag.size)
        return breaks_protocol(call, PB_ERROR_FAILED, "a part without an ETag");
    if (call->asked->operation == PB_STORE_MULTIPART_CREATE) {
        if (!document.upload_id.size)
            return breaks_protocol(call, PB_ERROR_FAILED, "no UploadId");
        pb_buffer_clear(&call->upload_id);
        pb_buffer_append_slice(&call->upload_id, document.upload_id);
        call->results->upload_id_new = pb_buffer_slice(&call->upload_id);
    }
    return PB_HTTP_DONE;
}

static pb_http_verdict judge_success(s3_call *call)
{
    switch (call->asked->operation) {
    case PB_STORE_CHECK:
        return judge_check(call);
    case PB_STORE_LIST:
        return judge_list(call);
    case PB_STORE_HEAD:
        return judge_head(call);
    case PB_STORE_GET:
        return judge_get(call);
    case PB_STORE_PUT:
        return judge_object(call);
    case PB_STORE_COPY:
        return judge_document(call, "CopyObjectResult");
    case PB_STORE_DELETE:
        return call->asked->key_count == 1 ? PB_HTTP_DONE : judge_document(call, "DeleteResult");
    case PB_STORE_MULTIPART_CREATE:
        return judge_document(call, "InitiateMultipartUploadResult");
    case PB_STORE_MULTIPART_PUT:
        return judge_part(call);
    case PB_STORE_MULTIPART_COPY:
        return judge_document(call, "CopyPartResult");
    case PB_STORE_MULTIPART_COMPLETE:
        return judge_document(call, "CompleteMultipartUploadResult");
    case PB_STORE_MULTIPART_ABORT:
        return PB_HTTP_DONE;
    }
    return breaks_protocol(call, PB_ERROR_FAILED, "an unknown operation");
}

/* True for answers of failure that mean success. */
static bool is_good_enough(s3_call *call, const pb_s3_document *document)
{
    const pb_store_request *asked = call->asked;
    switch (call->http.status) {
    case 416: /* no range fits an empty object */
        return asked->operation == PB_STORE_GET && asked->offset == 0 && asked->length > 0;
    case 404:
        if (asked->operation == PB_STORE_MULTIPART_ABORT)
            return pb_slice_equal(document->code, PB_SLICE_LITERAL("NoSuchUpload"));
        return asked->operation == PB_STORE_DELETE && asked->key_count == 1 &&
               pb_slice_equal(document->code, PB_SLICE_LITERAL("NoSuchKey"));
    default:
        return false;
    }
}

static pb_http_verdict judge(pb_http_request *http)
{
    s3_call *call = call_of(http);
    if (is_success(http->status))
        return judge_success(call);
    if (call->asked->object_headers_read)
        pb_buffer_clear(call->asked->object_headers_read);
    pb_s3_document document = {0};
    bool said = call->answer.body.size &&
                !pb_s3_parse_document(call->s3->parser, pb_buffer_slice(&call->answer.body),
                                      &document, NULL);
    if (!said || !pb_slice_equal(document.root, PB_SLICE_LITERAL("Error")))
        document = (pb_s3_document){0};
    if (is_good_enough(call, &document))
        return PB_HTTP_DONE;
    return judge_failure(call, &document);
}

/* Small, and nothing is lost where the store carries it out twice (the driver compares what a
 * create-only PUT that was sent twice finds there). */
static bool may_be_hedged(const pb_store_request *asked, uint64_t asked_bytes)
{
    switch (asked->operation) {
    case PB_STORE_LIST:
    case PB_STORE_HEAD:
        return true;
    case PB_STORE_GET:
        return asked_bytes && asked_bytes < HEDGE_BYTES_MAX;
    case PB_STORE_PUT:
    case PB_STORE_MULTIPART_PUT:
        return asked->body.size < HEDGE_BYTES_MAX;
    case PB_STORE_COPY:
        return asked->size_hint && asked->size_hint <= HEDGE_COPY_BYTES_MAX;
    default:
        return false;
    }
}

void s3_call_submit(s3_call *call, void (*done)(pb_http_request *http))
{
    const pb_store_request *asked = call->asked;
    pb_s3_request_restart(&call->built);
    uint64_t asked_bytes = asked->length ? asked->length : asked->size_hint;
    bool moves_much = (asked->operation == PB_STORE_GET && asked_bytes >= BULK_BYTES) ||
                      asked->body.size >= BULK_BYTES;
    call->http = (pb_http_request){
        .method = pb_s3_method(asked),
        .first = asked->operation == PB_STORE_LIST || asked->operation == PB_STORE_CHECK,
        .bulk = moves_much,
        .hedge = may_be_hedged(asked, asked_bytes),
        .endpoint = call->s3->paced,
        .body_bytes = asked->operation == PB_STORE_GET ? asked_bytes : 0,
        .prepare = prepare,
        .received_header = received_header,
        .received_body = received_body,
        .judge = judge,
        .done = done,
    };
    pb_http_submit(call->s3->store->http, &call->http);
}
