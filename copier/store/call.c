#include "copier/store/call.h"

#include "base/failure.h"

#include <stdlib.h>

enum {
    BULK_BYTES = 256 * 1024,                 /* from here on large socket buffers pay */
    HEDGE_BYTES_MAX = 1024 * 1024,           /* less than that is cheap to move twice... */
    HEDGE_COPY_BYTES_MAX = 16 * 1024 * 1024, /* ...and to copy inside the store */
    OVERRUN_BYTES_MAX = 64 * 1024,           /* of a body that is too long: no more is waited for */
    ERROR_BODY_BYTES_MAX = 64 * 1024,
    KEY_SHOWN_MAX = 400,
    SILENCE_MS = 60 * 1000,
    SILENCE_MS_MAX = 60 * 60 * 1000,
    SILENT_BYTES_PER_MS = 8 * 1024,
    GO_ON_BYTES_MIN = 64 * 1024, /* what has come of a body is kept from here on */
    /* What a call keeps of its buffers while it waits for the next request. */
    KEPT_BYTES = 64 * 1024,
    KEPT_LIST_BYTES = 2 * 1024 * 1024,
};

static pb_call *call_of(pb_http_request *http)
{
    return (pb_call *)http;
}

static bool is_success(int status)
{
    return status >= 200 && status <= 299;
}

void pb_call_describe(const pb_call *call, pb_buffer *buffer)
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
        [PB_STORE_MULTIPART_FIND] = "FIND UPLOAD",
    };
    const pb_store_request *asked = call->asked;
    const pb_store_config *config = call->caller->store->config;
    pb_slice key = asked->key;
    if (asked->operation == PB_STORE_LIST)
        key = asked->list.prefix;
    else if (asked->operation == PB_STORE_DELETE && asked->key_count == 1)
        key = asked->keys[0];
    bool long_key = key.size > KEY_SHOWN_MAX;
    if (long_key)
        key.size = KEY_SHOWN_MAX;
    pb_buffer_append_format(buffer, "%s %s://%s/%s%.*s%s", verbs[asked->operation],
                            config->driver->scheme, config->location.bucket,
                            config->location.prefix, PB_SLICE_FORMAT(key), long_key ? "..." : "");
    if (asked->operation == PB_STORE_DELETE && asked->key_count > 1)
        pb_buffer_append_format(buffer, " (%zu keys)", asked->key_count);
    pb_buffer_append_format(buffer, " at %s", call->caller->dialect->base_url(call));
}

pb_http_verdict pb_call_breaks_protocol(pb_call *call, pb_error_kind kind, const char *why)
{
    pb_error_set(&call->http.error, kind, "%s", why);
    call->http.error.status = call->http.status;
    return kind == PB_ERROR_SERVER ? PB_HTTP_RETRY : PB_HTTP_DONE;
}

pb_http_verdict pb_call_has_read(pb_call *call)
{
    pb_store_config *config = call->caller->store->config;
    atomic_store_explicit(&config->speaks, true, memory_order_relaxed);
    if (call->asked->operation == PB_STORE_LIST && call->results->page->has_own)
        atomic_store_explicit(&config->has_own_object, true, memory_order_relaxed);
    return PB_HTTP_DONE;
}

pb_http_verdict pb_call_cannot_read(pb_call *call)
{
    if (!pb_answer_is_web_page(pb_buffer_slice(&call->answer.body)))
        return call->http.error.kind == PB_ERROR_SERVER ? PB_HTTP_RETRY : PB_HTTP_DONE;
    if (atomic_load_explicit(&call->caller->store->config->speaks, memory_order_relaxed))
        return pb_call_breaks_protocol(call, PB_ERROR_SERVER,
                                       "a web page (HTML) came in place of the answer");
    pb_call_breaks_protocol(call, PB_ERROR_USAGE, "the answer is a web page (HTML)");
    pb_error_hint(&call->http.error,
                  "a console, a login page or a proxy answers there, and no object store: check "
                  "endpoint= in the URL, and its port");
    return PB_HTTP_DONE;
}

/* ---- a read that broke goes on ---- */

static void forget_kept(pb_call *call)
{
    call->whole = NULL;
    call->bytes_kept = 0;
    call->kept_etag[0] = '\0';
}

static void start_over(pb_call *call)
{
    if (call->whole)
        call->asked = call->whole;
    forget_kept(call);
    if (call->asked->restarted)
        call->asked->restarted(call->results);
}

/* Keeps what came of the object, if it is certain that the rest will be of the same bytes. */
static bool keep_received(pb_call *call)
{
    pb_slice etag = call->caller->dialect->etag_received(call);
    if (!call->bytes_received)
        return call->bytes_kept > 0;
    if (!etag.size || etag.size >= sizeof call->kept_etag ||
        call->bytes_received >= call->bytes_expected || call->bytes_expected == UINT64_MAX ||
        (!call->bytes_kept && call->bytes_received < GO_ON_BYTES_MIN) ||
        (call->bytes_kept && !pb_slice_equal(etag, pb_slice_of(call->kept_etag))))
        return false;
    call->http.renewed = call->bytes_received >= GO_ON_BYTES_MIN;
    call->bytes_kept += call->bytes_received;
    memcpy(call->kept_etag, etag.data, etag.size);
    call->kept_etag[etag.size] = '\0';
    return true;
}

/* True where the next attempt asks for what the one that broke did not bring. */
static bool go_on(pb_call *call)
{
    if (call->asked->operation != PB_STORE_GET || call->starts_over || !keep_received(call))
        return false;
    if (!call->whole)
        call->whole = call->asked;
    call->rest = *call->whole;
    call->rest.offset += call->bytes_kept;
    if (call->rest.length)
        call->rest.length -= call->bytes_kept;
    if (call->rest.size_hint > call->bytes_kept)
        call->rest.size_hint -= call->bytes_kept;
    if (!call->rest.if_match.size)
        call->rest.if_match = pb_slice_of(call->kept_etag);
    call->asked = &call->rest;
    return true;
}

/* The rest was refused: because the object is another one by now, which a caller without a
 * condition takes as it is, or because the store has no such ranges. */
static bool must_start_over(pb_call *call)
{
    int status = call->http.status;
    if (!call->whole || (status != 416 && (status != 412 || call->whole->if_match.size)))
        return false;
    call->starts_over = true;
    return true;
}

/* ---- an attempt goes out ---- */

static int prepare(pb_http_request *http, pb_http_attempt *attempt, pb_error *error)
{
    pb_call *call = call_of(http);
    const pb_store_request *asked = call->asked;
    if (asked->object_headers_read)
        pb_buffer_clear(asked->object_headers_read);
    bool goes_on = call->given && go_on(call);
    if (call->given && !goes_on)
        start_over(call);
    call->given = goes_on;
    pb_answer_restart(&call->answer);
    call->described = call->body_begun = false;
    call->bytes_received = 0;
    return call->caller->dialect->prepare(call, attempt, error);
}

/* ---- the answer comes in ---- */

static void received_header(pb_http_request *http, pb_slice name, pb_slice value)
{
    pb_call *call = call_of(http);
    if (http->status >= 200 && /* a 100 Continue is not the answer */
        !pb_answer_header(&call->answer, name, value))
        call->caller->dialect->received_header(call, name, value);
}

static bool is_other_object(const pb_call *call)
{
    pb_slice etag = call->caller->dialect->etag_received(call);
    return etag.size && !pb_slice_equal(etag, pb_slice_of(call->kept_etag));
}

static int begin_object_body(pb_call *call)
{
    if (call->whole && call->http.status == 200) { /* the store knows no ranges: it gives all */
        call->starts_over = true;
        start_over(call);
    }
    const pb_store_request *asked = call->asked;
    call->body_begun = true;
    call->bytes_given_max = UINT64_MAX;
    if (call->caller->dialect->begin_object(call, &call->http.error))
        return -1;
    if (call->whole && is_other_object(call)) /* whoever honours no condition */
        return pb_error_set(&call->http.error, PB_ERROR_EXISTS,
                            "the object changed while it was read");
    return pb_answer_expect(&call->answer, call->http.status, asked->offset, asked->length,
                            &call->bytes_expected, &call->results->size, &call->http.error);
}

/* The object's own bytes: they go to the caller, never more than were asked for. */
static int received_object(pb_call *call, const void *data, size_t size)
{
    if (!call->body_begun && begin_object_body(call))
        return -1;
    uint64_t before = call->bytes_received;
    uint64_t left = call->bytes_expected > before ? call->bytes_expected - before : 0;
    uint64_t room = call->bytes_given_max > before ? call->bytes_given_max - before : 0;
    call->bytes_received += size;
    if (size > left) {
        if (size - left > OVERRUN_BYTES_MAX ||
            call->bytes_received > call->bytes_expected + OVERRUN_BYTES_MAX)
            return pb_error_set(&call->http.error, PB_ERROR_SERVER,
                                "the body is longer than the %llu bytes announced",
                                (unsigned long long)call->bytes_expected);
        size = (size_t)left;
    }
    if (size > room)
        size = (size_t)room;
    if (!size || !call->asked->received)
        return 0;
    call->given = true;
    return call->asked->received(call->results, data, size, &call->http.error);
}

static int received_body(pb_http_request *http, const void *data, size_t size)
{
    pb_call *call = call_of(http);
    if (call->asked->operation == PB_STORE_GET && is_success(http->status))
        return received_object(call, data, size);
    pb_buffer *body = &call->answer.body;
    size_t most = is_success(http->status) ? PB_CALL_BODY_BYTES_MAX : ERROR_BODY_BYTES_MAX;
    if (size > most - body->size) {
        if (is_success(http->status))
            return pb_error_set(&http->error, PB_ERROR_FAILED, "an answer of more than %zu bytes",
                                most);
        size = most - body->size; /* what an error's first part does not say is not said */
    }
    pb_buffer_append(body, data, size);
    return 0;
}

/* All bytes of the object have come. */
static bool end_object_body(pb_call *call, pb_http_verdict *ret_verdict)
{
    *ret_verdict = PB_HTTP_DONE;
    if (!call->body_begun && begin_object_body(call))
        return false;
    if (call->bytes_expected == UINT64_MAX) {
        /* Sent in chunks: the end of the body is what ends it. */
        call->results->size = call->bytes_received;
    } else if (call->bytes_received != call->bytes_expected) {
        pb_error_set(&call->http.error, PB_ERROR_SERVER, "%llu bytes came of %llu",
                     (unsigned long long)call->bytes_received,
                     (unsigned long long)call->bytes_expected);
        *ret_verdict = PB_HTTP_RETRY;
        return false;
    }
    return true;
}

static pb_http_verdict judge(pb_http_request *http)
{
    pb_call *call = call_of(http);
    pb_http_verdict verdict;
    if (!is_success(http->status)) {
        if (must_start_over(call))
            return PB_HTTP_AGAIN;
        if (call->asked->object_headers_read)
            pb_buffer_clear(call->asked->object_headers_read);
    } else if (call->asked->operation == PB_STORE_GET && !end_object_body(call, &verdict)) {
        return verdict;
    }
    return call->caller->dialect->judge(call);
}

/* ---- out and back ---- */

static void on_done(pb_http_request *http);

/* Small, and nothing is lost where the store carries it out twice (what a create-only PUT that was
 * sent twice finds there is compared). */
static bool may_be_hedged(const pb_store *store, const pb_store_request *asked,
                          uint64_t asked_bytes)
{
    switch (asked->operation) {
    case PB_STORE_LIST:
    case PB_STORE_HEAD:
        return true;
    case PB_STORE_GET:
        return asked_bytes && asked_bytes < HEDGE_BYTES_MAX;
    case PB_STORE_MULTIPART_PUT:
        /* Two at once would stand in each other's way where parts come in order. */
        return asked->body.size < HEDGE_BYTES_MAX && !store->capabilities.parts_in_order;
    case PB_STORE_PUT:
        return asked->body.size < HEDGE_BYTES_MAX;
    case PB_STORE_COPY:
        return asked->size_hint && asked->size_hint <= HEDGE_COPY_BYTES_MAX;
    default:
        return false;
    }
}

/* What a store does by itself takes it time, and most are silent meanwhile: as much as slow disks
 * need for so many bytes. 0: nothing of the kind. */
static uint32_t silence_ms(const pb_store_request *asked)
{
    uint64_t bytes;
    switch (asked->operation) {
    case PB_STORE_COPY:
        bytes = asked->size_hint;
        break;
    case PB_STORE_MULTIPART_COPY:
        bytes = asked->length;
        break;
    case PB_STORE_MULTIPART_COMPLETE:
        bytes = asked->upload_bytes;
        break;
    default:
        return 0;
    }
    bool is_small = asked->operation == PB_STORE_COPY && bytes <= HEDGE_COPY_BYTES_MAX;
    uint64_t silence = (is_small ? 1 : SILENCE_MS) + bytes / SILENT_BYTES_PER_MS;
    return silence < SILENCE_MS_MAX ? (uint32_t)silence : SILENCE_MS_MAX;
}

static void submit(pb_call *call)
{
    const pb_store_request *asked = call->asked;
    forget_kept(call);
    call->starts_over = false;
    const pb_caller *caller = call->caller;
    if (caller->dialect->asked_anew)
        caller->dialect->asked_anew(call);
    uint64_t asked_bytes = asked->length ? asked->length : asked->size_hint;
    bool moves_much = (asked->operation == PB_STORE_GET && asked_bytes >= BULK_BYTES) ||
                      asked->body.size >= BULK_BYTES;
    call->http = (pb_http_request){
        .method = caller->dialect->method(call),
        .first = asked->operation == PB_STORE_LIST || asked->operation == PB_STORE_CHECK,
        .bulk = moves_much,
        .hedge = may_be_hedged(caller->store, asked, asked_bytes),
        .endpoint = caller->paced,
        .attempts_max = call->request->attempts_max,
        .silence_ms = silence_ms(asked),
        .body_bytes = asked->operation == PB_STORE_GET ? asked_bytes : 0,
        .prepare = prepare,
        .received_header = received_header,
        .received_body = received_body,
        .judge = judge,
        .done = on_done,
    };
    pb_http_submit(caller->store->http, &call->http);
}

void pb_call_begin_step(pb_call *call, int step, pb_store_operation operation, pb_slice key)
{
    call->step = step;
    memset(&call->extra, 0, sizeof call->extra);
    call->extra.operation = operation;
    call->extra.key = key;
    call->extra.context = call;
    call->asked = call->results = &call->extra;
    call->given = false;
}

static int compare_received(pb_store_request *extra, const void *data, size_t size, pb_error *error)
{
    pb_call *call = extra->context;
    pb_slice body = call->request->body;
    if (size > body.size - call->compared_bytes ||
        memcmp(body.data + call->compared_bytes, data, size) != 0)
        return pb_error_set(error, PB_ERROR_EXISTS, "other bytes are there");
    call->compared_bytes += size;
    return 0;
}

static void compare_restarted(pb_store_request *extra)
{
    pb_call *call = extra->context;
    call->compared_bytes = 0;
}

void pb_call_begin_compare(pb_call *call, int step)
{
    pb_call_begin_step(call, step, PB_STORE_GET, call->request->key);
    call->compared_bytes = 0;
    call->extra.size_hint = call->request->body.size;
    call->extra.received = compare_received;
    call->extra.restarted = compare_restarted;
}

/* After the caller's own request has failed. True where a look at what is there follows. */
static bool begin_compare(pb_call *call)
{
    const pb_store_request *request = call->request;
    const pb_error *error = &call->http.error;
    if (!pb_call_is_doubtful(call))
        return false;
    if (request->operation == PB_STORE_PUT && request->create_only &&
        error->kind == PB_ERROR_EXISTS) {
        call->kept_error = *error;
        pb_call_begin_compare(call, PB_STEP_COMPARE);
        return true;
    }
    if (request->operation == PB_STORE_MULTIPART_COMPLETE && error->kind == PB_ERROR_NOT_FOUND &&
        call->caller->dialect->is_completed) {
        call->kept_error = *error;
        pb_call_begin_step(call, PB_STEP_COMPARE, PB_STORE_HEAD, request->key);
        return true;
    }
    return false;
}

static void after_compare(pb_call *call)
{
    pb_error *error = &call->http.error;
    bool unknown = pb_failure_passes(error->kind) || error->kind == PB_ERROR_CANCELLED;
    bool is_ours = call->request->operation == PB_STORE_PUT
                       ? call->compared_bytes == call->request->body.size
                       : call->caller->dialect->is_completed(call);
    if (error->kind == PB_ERROR_NONE && is_ours)
        memcpy(call->request->etag, call->extra.etag, sizeof call->extra.etag);
    else if (unknown)
        pb_error_context(error, "an answer was lost, and what was written could not be compared");
    else
        *error = call->kept_error;
}

/* Decides what follows on call->http.error. True where another request does. */
static bool next_step(pb_call *call)
{
    bool failed = call->http.error.kind != PB_ERROR_NONE;
    switch (call->step) {
    case PB_STEP_DELETE_EACH:
        call->extra.keys++;
        return !failed && ++call->delete_index < call->request->key_count;
    case PB_STEP_COMPARE:
        after_compare(call);
        return false;
    case PB_STEP_ASKED:
        if (failed && begin_compare(call))
            return true;
        break;
    default:
        break;
    }
    return call->caller->dialect->next_step(call);
}

/* ---- calls ---- */

static pb_call *call_acquire(pb_caller *caller, pb_store_request *request)
{
    bool for_list = request->operation == PB_STORE_LIST;
    pb_call **pool = for_list ? &caller->free_list_calls : &caller->free_calls;
    pb_call *call = *pool;
    if (call)
        *pool = call->next;
    else
        call = pb_allocate_zeroed(1, caller->dialect->call_bytes);
    call->caller = caller;
    call->for_list = for_list;
    call->request = call->results = request;
    call->asked = request;
    call->step = PB_STEP_ASKED;
    call->given = call->described = false;
    return call;
}

/* The request is the caller's again and may be gone. */
static void call_release(pb_call *call)
{
    pb_caller *caller = call->caller;
    caller->dialect->released(call);
    if (call->answer.body.capacity > (call->for_list ? KEPT_LIST_BYTES : KEPT_BYTES))
        pb_buffer_free(&call->answer.body);
    pb_call **pool = call->for_list ? &caller->free_list_calls : &caller->free_calls;
    call->next = *pool;
    *pool = call;
}

static void on_done(pb_http_request *http)
{
    pb_call *call = call_of(http);
    if (http->error.kind != PB_ERROR_NONE && !call->described) {
        pb_buffer what = {0};
        pb_call_describe(call, &what);
        pb_error_context(&http->error, "%s", what.data);
        pb_buffer_free(&what);
    }
    if (next_step(call)) {
        submit(call);
        return;
    }
    pb_store_request *request = call->request;
    if (http->error.kind == PB_ERROR_NONE)
        request->error.kind = PB_ERROR_NONE;
    else
        request->error = http->error;
    request->done(request);
    /* Only now: what the caller was shown lies in the call. */
    call_release(call);
}

static bool all_go_together(const pb_call *call)
{
    const pb_store_request *request = call->request;
    const pb_call_dialect *dialect = call->caller->dialect;
    for (size_t i = 0; dialect->deletes_with_others && i < request->key_count; i++)
        if (!dialect->deletes_with_others(request->keys[i]))
            return false;
    return dialect->deletes_with_others != NULL;
}

void pb_caller_submit(pb_caller *caller, pb_store_request *request)
{
    pb_call *call = call_acquire(caller, request);
    request->error.kind = PB_ERROR_NONE;
    request->page = NULL;
    request->etag[0] = '\0';
    request->etag_opaque = request->has_crc32c = request->body_checked = false;
    request->size = request->part_bytes = 0;
    request->mtime_ms = request->store_now_ms = 0;
    if (request->operation == PB_STORE_DELETE && request->key_count > 1 && !all_go_together(call)) {
        pb_call_begin_step(call, PB_STEP_DELETE_EACH, PB_STORE_DELETE, (pb_slice){NULL, 0});
        call->delete_index = 0;
        call->extra.keys = request->keys;
        call->extra.key_count = 1;
    }
    submit(call);
}

static void calls_free(const pb_caller *caller, pb_call *call)
{
    while (call) {
        pb_call *next = call->next;
        caller->dialect->free(call);
        pb_buffer_free(&call->answer.body);
        free(call);
        call = next;
    }
}

void pb_caller_free(pb_caller *caller)
{
    calls_free(caller, caller->free_calls);
    calls_free(caller, caller->free_list_calls);
    caller->free_calls = caller->free_list_calls = NULL;
}
