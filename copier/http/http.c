#include "copier/http/http.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/failure.h"
#include "base/random.h"
#include "copier/http/easy.h"
#include "copier/http/pace.h"
#include "copier/http/sockets.h"
#include <malloc.h>
#include <stdlib.h>

/* libcurl walks all connections and handles of a multi on each request: small multis stay cheap. */
enum { SLOTS_PER_MULTI = 64 };
/* Before a store has ever answered, a mistyped endpoint should be told in seconds. */
enum { ATTEMPTS_BEFORE_FIRST_ANSWER = 4, BUDGET_BEFORE_FIRST_ANSWER_MS = 8 * 1000 };
/* A gateway that answers, and never with a success, may be the wrong one. */
enum { PATIENCE_BEFORE_FIRST_SUCCESS_MS = 60 * 1000 };
enum { ENDPOINTS_KNOWN = 8, REDIRECTS_MAX = 8 };
enum { SILENCE_MS_MAX = 60 * 60 * 1000, DOUBLINGS_MAX = 6 };
/* How often silent requests are looked for, and how often one of them is repeated. */
enum { HEDGE_LOOK_MS = 250, HEDGES_MAX = 2 };

typedef struct http_multi http_multi;

/* One easy handle, kept for good. */
typedef struct http_slot {
    pb_easy easy; /* without a handle before it is used first */
    http_multi *owner;
    struct http_slot *next; /* free list */
    pb_http_request *request;
    bool sent;  /* this attempt's request has gone out once */
    bool moved; /* bytes of its answer came */
    /* Of attempts that may be hedged, while nothing came: all of them, the oldest first. */
    bool silent;
    struct http_slot *silent_before, *silent_after;
    int64_t begun_ms;
    uint64_t paid_bytes; /* that limit_bytes was charged with and that have not come yet */
} http_slot;

struct http_multi {
    CURLM *handle;
    pb_http *http;
    uv_timer_t timer;
    unsigned in_flight;
    http_slot *free; /* last in, first out: the warmest connection first */
    http_slot *slots;
    unsigned slot_count;
};

typedef struct request_queue {
    pb_http_request *head, *tail;
} request_queue;

struct pb_http_endpoint {
    pb_http_endpoint *next; /* a ring: each has its turn */
    char *base_url;         /* NULL: of those that named no endpoint */
    pb_outage *outage;      /* NULL: not shared with others */
    pb_pace pace;
    unsigned silences; /* how often silence_ms was doubled until it was enough */
    request_queue waiting;
};

struct pb_http {
    uv_loop_t *loop;
    pb_http_options options;
    pb_sockets *sockets;
    bool plain_proxy; /* see pb_easy_open */
    CURLSH *share;    /* resolved names and TLS sessions, over the multis of this loop */
    http_multi *multis;
    unsigned multi_count;
    uv_idle_t pump_soon;
    uv_timer_t retry_timer;
    uv_timer_t pace_timer;  /* runs while requests wait for time alone */
    uv_timer_t hedge_timer; /* runs while attempts are silent */
    pb_http_endpoint unpaced;
    pb_http_endpoint *turn;
    unsigned endpoint_count;
    pb_bucket limit_requests, limit_bytes;
    http_slot *silent_oldest, *silent_newest;
    int64_t silent_looked_ms;
    pb_http_request *retries; /* by due_ms */
    unsigned in_flight;
    unsigned open; /* submitted and not done */
    /* Endpoints from which a whole answer came: name, route and TLS are right. */
    char answered[ENDPOINTS_KNOWN][PB_URL_MAX];
    unsigned answered_count;
    bool cancelled;   /* all that comes */
    bool cancelling;  /* all that has come */
    bool in_callback; /* the pump runs at its end */
    unsigned handles_closing;
    pb_random random;
    pb_http_statistics statistics;
};

pb_http_options pb_http_options_default(void)
{
    return (pb_http_options){
        .parallel = 64,
        .connect_timeout_ms = 10 * 1000,
        .stall_window_ms = 30 * 1000,
        .stall_bytes_per_s = 1,
        .patience_ms = 15 * 60 * 1000,
        .failures_max = 32,
        .retry_base_ms = 100,
        .retry_cap_ms = 20 * 1000,
    };
}

void pb_http_process_start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    /* libcurl allocates its receive buffer for each transfer: keep those out of mmap. */
    mallopt(M_MMAP_THRESHOLD, 2 * 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
}

void pb_http_process_end(void)
{
    curl_global_cleanup();
}

/* ---- queues ---- */

static void queue_push(request_queue *queue, pb_http_request *request, bool at_head)
{
    request->private_.next = NULL;
    if (!queue->head) {
        queue->head = queue->tail = request;
    } else if (at_head) {
        request->private_.next = queue->head;
        queue->head = request;
    } else {
        queue->tail->private_.next = request;
        queue->tail = request;
    }
}

static pb_http_request *queue_pop(request_queue *queue)
{
    pb_http_request *request = queue->head;
    if (request)
        queue->head = request->private_.next;
    return request;
}

static pb_http_endpoint *endpoint_of(pb_http *http, pb_http_request *request)
{
    return request->endpoint ? request->endpoint : &http->unpaced;
}

static void wait_in_line(pb_http *http, pb_http_request *request, bool at_head)
{
    queue_push(&endpoint_of(http, request)->waiting, request, at_head);
}

/* The loop's own clock: read once an iteration, which is often enough for paces and costs nothing.
 */
static int64_t loop_now_ms(const pb_http *http)
{
    return (int64_t)uv_now(http->loop);
}

static int64_t longer(int64_t a_ms, int64_t b_ms)
{
    return a_ms > b_ms ? a_ms : b_ms;
}

/* ---- silent attempts ---- */

static void on_hedge_look(uv_timer_t *timer);

static void silent_begin(pb_http *http, http_slot *slot)
{
    slot->silent = true;
    slot->silent_before = http->silent_newest;
    slot->silent_after = NULL;
    if (http->silent_newest)
        http->silent_newest->silent_after = slot;
    else
        http->silent_oldest = slot;
    http->silent_newest = slot;
    if (!uv_is_active((uv_handle_t *)&http->hedge_timer)) {
        http->silent_looked_ms = loop_now_ms(http);
        uv_timer_start(&http->hedge_timer, on_hedge_look, HEDGE_LOOK_MS, HEDGE_LOOK_MS);
    }
}

static void silent_end(pb_http *http, http_slot *slot)
{
    if (!slot->silent)
        return;
    slot->silent = false;
    if (slot->silent_before)
        slot->silent_before->silent_after = slot->silent_after;
    else
        http->silent_oldest = slot->silent_after;
    if (slot->silent_after)
        slot->silent_after->silent_before = slot->silent_before;
    else
        http->silent_newest = slot->silent_before;
}

/* ---- one attempt: into libcurl ---- */

static void charge_received(http_slot *slot, uint64_t bytes)
{
    pb_http *http = slot->owner->http;
    http->statistics.bytes_received += bytes;
    uint64_t paid = bytes < slot->paid_bytes ? bytes : slot->paid_bytes;
    slot->paid_bytes -= paid;
    pb_bucket_take(&http->limit_bytes, (double)(bytes - paid));
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    http_slot *slot = context;
    pb_http_request *request = slot->request;
    charge_received(slot, size * count);
    slot->moved = true;
    if (request->received_body && request->received_body(request, data, size * count))
        return 0;
    return size * count;
}

static void note_retry_after(pb_http_request *request, pb_slice value)
{
    uint64_t seconds;
    int64_t utc_ms;
    if (pb_parse_unsigned(value, &seconds))
        request->private_.retry_after_ms = seconds < 3600 ? (int64_t)seconds * 1000 : 3600 * 1000;
    else if (pb_time_parse_http(value, &utc_ms))
        request->private_.retry_after_ms = utc_ms - pb_clock_utc_ms();
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    http_slot *slot = context;
    pb_http_request *request = slot->request;
    size_t length = size * count;
    if (length >= 12 && memcmp(data, "HTTP/", 5) == 0) {
        /* A status line; after a 100 Continue another one follows. */
        const char *space = memchr(data, ' ', length);
        request->status = space && space + 4 <= data + length ? atoi(space + 1) : 0;
        request->private_.retry_after_ms = 0;
        if (slot->silent) {
            pb_http *http = slot->owner->http;
            pb_pace_responded(&endpoint_of(http, request)->pace,
                              loop_now_ms(http) - slot->begun_ms);
            silent_end(http, slot);
        }
        return length;
    }
    const char *colon = memchr(data, ':', length);
    char name[64];
    if (!colon || colon == data || (size_t)(colon - data) > sizeof name)
        return length;
    size_t name_size = (size_t)(colon - data);
    for (size_t i = 0; i < name_size; i++)
        name[i] = data[i] >= 'A' && data[i] <= 'Z' ? (char)(data[i] + 32) : data[i];
    const char *value = colon + 1, *end = data + length;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
        end--;
    pb_slice name_slice = {name, name_size}, value_slice = {value, (size_t)(end - value)};
    if (pb_slice_equal(name_slice, PB_SLICE_LITERAL("retry-after")))
        note_retry_after(request, value_slice);
    if (request->received_header)
        request->received_header(request, name_slice, value_slice);
    return length;
}

static curl_socket_t on_socket_open(void *context, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    (void)purpose;
    return pb_sockets_create(context, address);
}

static int on_socket_close(void *context, curl_socket_t socket)
{
    return pb_sockets_destroy(context, socket);
}

/* Before a request goes out. libcurl sends it again by itself when a kept connection turns out
 * dead: the caller must know that an earlier sending may have been heard. */
static int on_sending(void *context, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    http_slot *slot = context;
    if (slot->sent)
        slot->request->attempts++;
    slot->sent = true;
    return CURL_PREREQFUNC_OK;
}

static void slot_open(pb_http *http, http_multi *owner, http_slot *slot)
{
    slot->owner = owner;
    pb_easy_open(&slot->easy, &http->options, http->plain_proxy, http->share);
    CURL *easy = slot->easy.handle;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_sending);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, slot);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, slot);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, http->sockets);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_socket_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, http->sockets);
}

/* ---- the pump: the one place that begins attempts ---- */

static void on_pump_soon(uv_idle_t *idle);

static void pump_later(pb_http *http)
{
    if (!http->in_callback && !uv_is_active((uv_handle_t *)&http->pump_soon))
        uv_idle_start(&http->pump_soon, on_pump_soon);
}

static void request_done(pb_http *http, pb_http_request *request)
{
    if (--http->open == 0)
        pb_sockets_busy(http->sockets, false);
    request->done(request);
}

static http_multi *multi_with_room(pb_http *http)
{
    for (unsigned i = 0; i < http->multi_count; i++)
        if (http->multis[i].free)
            return &http->multis[i];
    return NULL;
}

static unsigned doublings_of(pb_http *http, pb_http_request *request)
{
    unsigned doublings = endpoint_of(http, request)->silences + request->private_.silences;
    return doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX;
}

static uint64_t least_silence_ms(const pb_http *http, const pb_http_request *request)
{
    uint32_t stall_ms = http->options.stall_window_ms;
    return request->silence_ms > stall_ms ? request->silence_ms : stall_ms;
}

static uint32_t silence_ms_of(pb_http *http, pb_http_request *request)
{
    if (!request->silence_ms)
        return http->options.stall_window_ms;
    uint64_t silence_ms = least_silence_ms(http, request) << doublings_of(http, request);
    return silence_ms < SILENCE_MS_MAX ? (uint32_t)silence_ms : SILENCE_MS_MAX;
}

/* A store that took so long will take it again. */
static void learn_silence(pb_http *http, pb_http_request *request, int64_t took_ms)
{
    pb_http_endpoint *endpoint = endpoint_of(http, request);
    while (endpoint->silences < DOUBLINGS_MAX &&
           (int64_t)(least_silence_ms(http, request) << endpoint->silences) < took_ms)
        endpoint->silences++;
}

static void attempt_begin(pb_http *http, pb_http_request *request)
{
    pb_http_attempt attempt = {0};
    if (!request->attempts)
        request->private_.failing_since_ms = pb_clock_monotonic_ms();
    else if (request->restarted)
        request->restarted(request);
    request->attempts++;
    request->status = 0;
    request->error.kind = PB_ERROR_NONE;
    request->private_.retry_after_ms = 0;
    if (request->prepare(request, &attempt, &request->error)) {
        request_done(http, request);
        return;
    }
    if (request->renewed) {
        request->renewed = false;
        request->private_.failures = 0;
        request->private_.attempts_before = request->attempts - 1;
    }
    http_multi *multi = multi_with_room(http);
    http_slot *slot = multi->free;
    multi->free = slot->next;
    if (!slot->easy.handle)
        slot_open(http, multi, slot);
    slot->request = request;
    slot->sent = slot->moved = false;
    pb_easy_fill(&slot->easy, request->method, request->bulk, silence_ms_of(http, request),
                 &attempt);
    http->statistics.attempts++;
    http->statistics.bytes_sent += attempt.body.size;
    slot->begun_ms = loop_now_ms(http);
    slot->paid_bytes = request->body_bytes;
    pb_bucket_take(&http->limit_requests, 1);
    pb_bucket_take(&http->limit_bytes, (double)(attempt.body.size + request->body_bytes));
    pb_pace_begun(&endpoint_of(http, request)->pace, slot->begun_ms);
    if (request->hedge)
        silent_begin(http, slot);
    multi->in_flight++;
    http->in_flight++;
    if (http->in_flight > http->statistics.in_flight_most)
        http->statistics.in_flight_most = http->in_flight;
    curl_multi_add_handle(multi->handle, slot->easy.handle);
}

static void cancel_everything(pb_http *http);
static void pump(pb_http *http);

/* 0: the next request of the endpoint may begin. */
static int64_t wait_ms_of(pb_http *http, pb_http_endpoint *endpoint, int64_t now_ms)
{
    int64_t limits_ms = longer(pb_bucket_wait_ms(&http->limit_requests, now_ms),
                               pb_bucket_wait_ms(&http->limit_bytes, now_ms));
    return longer(pb_pace_wait_ms(&endpoint->pace, now_ms), limits_ms);
}

static void on_pace_due(uv_timer_t *timer)
{
    pump(timer->data);
}

static void pump(pb_http *http)
{
    http->in_callback = true;
    if (http->cancelling)
        cancel_everything(http);
    while (http->cancelled && http->open)
        cancel_everything(http);
    /* One request alone finds name, route and TLS session; a burst would start a resolver each. */
    unsigned most = http->answered_count ? http->options.parallel : 1;
    unsigned passed = 0; /* endpoints one after another that begin nothing */
    int64_t now_ms = loop_now_ms(http), wait_ms = INT64_MAX;
    while (http->in_flight < most && passed < http->endpoint_count) {
        pb_http_endpoint *endpoint = http->turn;
        http->turn = endpoint->next;
        passed++;
        if (!endpoint->waiting.head)
            continue;
        int64_t endpoint_wait_ms = wait_ms_of(http, endpoint, now_ms);
        if (!endpoint_wait_ms) {
            passed = 0;
            attempt_begin(http, queue_pop(&endpoint->waiting));
        } else if (endpoint_wait_ms < wait_ms) {
            wait_ms = endpoint_wait_ms;
        }
    }
    /* Who waits for no time is brought back by an answer. */
    if (wait_ms < INT64_MAX && http->in_flight < most)
        uv_timer_start(&http->pace_timer, on_pace_due, (uint64_t)wait_ms, 0);
    http->in_callback = false;
}

static void on_pump_soon(uv_idle_t *idle)
{
    pb_http *http = (pb_http *)((char *)idle - offsetof(pb_http, pump_soon));
    uv_idle_stop(idle);
    pump(http);
}

/* ---- retries ---- */

static void on_retry_due(uv_timer_t *timer)
{
    pb_http *http = timer->data;
    int64_t now_ms = pb_clock_monotonic_ms();
    while (http->retries && http->retries->private_.due_ms <= now_ms) {
        pb_http_request *request = http->retries;
        http->retries = request->private_.next;
        wait_in_line(http, request, true);
    }
    if (http->retries)
        uv_timer_start(timer, on_retry_due, (uint64_t)(http->retries->private_.due_ms - now_ms), 0);
    pump(http);
}

/* True as well where too many have answered to tell. */
static bool has_answered(const pb_http *http, const char *base_url)
{
    for (unsigned i = 0; i < http->answered_count; i++)
        if (strcmp(http->answered[i], base_url) == 0)
            return true;
    return http->answered_count == ENDPOINTS_KNOWN;
}

/* Until when the request may be tried again; notes its failure. INT64_MIN: no more. `moved`: bytes
 * of the answer came before it broke. */
static int64_t patience_end_ms(pb_http *http, pb_http_request *request, const char *base_url,
                               bool moved, int64_t now_ms)
{
    struct pb_http_private *own = &request->private_;
    pb_outage *outage = endpoint_of(http, request)->outage;
    int64_t answered_ms = outage ? pb_outage_answered_ms(outage) : 0;
    int64_t failed_ms = own->failed_ms ? own->failed_ms : own->failing_since_ms;
    own->failed_ms = now_ms;
    if (moved)
        own->failing_since_ms = now_ms;
    if (!has_answered(http, base_url) && !answered_ms)
        return request->attempts < ATTEMPTS_BEFORE_FIRST_ANSWER
                   ? own->failing_since_ms + BUDGET_BEFORE_FIRST_ANSWER_MS
                   : INT64_MIN;
    if (!pb_failure_is_throttling(request->error.kind) &&
        (moved || !outage || answered_ms >= failed_ms) &&
        ++own->failures >= http->options.failures_max)
        return INT64_MIN;
    int64_t patience_ms = http->options.patience_ms;
    if (outage && !answered_ms && patience_ms > PATIENCE_BEFORE_FIRST_SUCCESS_MS)
        patience_ms = PATIENCE_BEFORE_FIRST_SUCCESS_MS;
    int64_t since_ms =
        outage ? pb_outage_failed(outage, now_ms, patience_ms) : own->failing_since_ms;
    return since_ms + patience_ms;
}

/* The endpoint answers nobody: the next request would end like this one. */
static bool lose_patience(pb_http *http, pb_http_request *request)
{
    pb_error *error = &request->error;
    if (endpoint_of(http, request)->outage && error->kind == PB_ERROR_SERVER)
        error->kind = PB_ERROR_UNREACHABLE;
    return false;
}

/* Puts the request among the waiting, or answers that there is no patience left. */
static bool retry_later(pb_http *http, pb_http_request *request, const char *base_url, bool moved)
{
    int64_t now_ms = pb_clock_monotonic_ms();
    if (request->attempts_max && request->attempts >= request->attempts_max)
        return false;
    int64_t end_ms = patience_end_ms(http, request, base_url, moved, now_ms);
    if (end_ms == INT64_MIN || http->cancelled || http->cancelling)
        return false;
    if (end_ms <= now_ms)
        return lose_patience(http, request);
    unsigned doublings = request->attempts - request->private_.attempts_before;
    doublings = doublings < 20 ? doublings : 20;
    uint64_t most_ms = (uint64_t)http->options.retry_base_ms << doublings;
    if (most_ms > http->options.retry_cap_ms)
        most_ms = http->options.retry_cap_ms;
    int64_t wait_ms = (int64_t)pb_random_below(&http->random, most_ms + 1);
    wait_ms = longer(wait_ms, request->private_.retry_after_ms);
    if (now_ms + wait_ms > end_ms) /* asked once more when the patience ends */
        wait_ms = end_ms - now_ms;
    pb_log_line(http->options.log, PB_LOG_DEBUG, "attempt %u failed, next in %lld ms: %s",
                request->attempts, (long long)wait_ms, request->error.message);
    http->statistics.retries++;
    request->private_.due_ms = now_ms + wait_ms;
    pb_http_request **place = &http->retries;
    while (*place && (*place)->private_.due_ms <= request->private_.due_ms)
        place = &(*place)->private_.next;
    request->private_.next = *place;
    *place = request;
    if (http->retries == request)
        uv_timer_start(&http->retry_timer, on_retry_due, (uint64_t)wait_ms, 0);
    return true;
}

/* ---- ends of attempts ---- */

#define HINT_PROXY                                                                                 \
    "check the proxy that http_proxy, https_proxy or all_proxy name, and the login in its URL"

/* A proxy that answered CONNECT, and made no tunnel. True where it may make one later. */
static bool tunnel_error(long status, const char *base_url, pb_error *error)
{
    pb_error_set(error, PB_ERROR_UNREACHABLE, "%s: the proxy refused a tunnel: HTTP status %ld",
                 base_url, status);
    pb_error_hint(error, HINT_PROXY);
    return status >= 500;
}

/* `found`: what the check of the chain came to, as openssl-verify(1) counts. libcurl compares the
 * host itself, and leaves the result at 0 or 1 (unspecified) where that is what was wrong. */
static void certificate_error(long found, const char *detail, const char *base_url, pb_error *error)
{
    enum { UNSPECIFIED = 1, NOT_YET_VALID = 9, EXPIRED = 10 };
    const char *what = "certificate not trusted";
    const char *hint = "name the store's certificate authority with --ca-bundle FILE";
    if (found == 0 || found == UNSPECIFIED) {
        what = "the certificate is of another host";
        hint = "check the host in the endpoint: the certificate names those that it is for";
    } else if (found == EXPIRED || found == NOT_YET_VALID) {
        what =
            found == EXPIRED ? "the certificate has expired" : "the certificate is not yet valid";
        hint = "renew the store's certificate, or set this machine's clock";
    }
    pb_error_set(error, PB_ERROR_UNREACHABLE, "%s: %s: %s", base_url, what, detail);
    pb_error_hint(error, "%s", hint);
}

/* True where the same attempt may succeed later. */
static bool transport_error(CURL *easy, CURLcode code, const char *base_url, pb_error *error)
{
    const char *detail = curl_easy_strerror(code);
    long found = -1;
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &found);
        certificate_error(found, detail, base_url, error);
        return false;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        certificate_error(found, detail, base_url, error);
        return false;
    case CURLE_SSL_CONNECT_ERROR:
        pb_error_set(error, PB_ERROR_UNREACHABLE, "%s: TLS: %s", base_url, detail);
        pb_error_hint(error,
                      "does the endpoint speak TLS? disableSSL=true in the URL is for plain HTTP");
        return true;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        pb_error_set(error, PB_ERROR_UNREACHABLE, "%s: %s", base_url, detail);
        pb_error_hint(error, HINT_PROXY);
        return true;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        pb_error_set(error, PB_ERROR_UNREACHABLE, "%s: %s", base_url, detail);
        pb_error_hint(error, "check the endpoint in the URL, and that this machine can reach it");
        return true;
    case CURLE_OPERATION_TIMEDOUT:
        pb_error_set(error, PB_ERROR_UNREACHABLE, "%s: timed out: %s", base_url, detail);
        return true;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        pb_error_set(error, PB_ERROR_USAGE, "%s: %s", base_url, detail);
        return false;
    default:
        pb_error_set(error, PB_ERROR_SERVER, "%s: connection broke: %s", base_url, detail);
        return true;
    }
}

/* Takes the attempt out of libcurl, and its connection with it where the answer is not whole. */
static void slot_release(pb_http *http, http_slot *slot, pb_pace_outcome outcome, int64_t now_ms)
{
    pb_http_request *request = slot->request;
    http_multi *multi = slot->owner;
    silent_end(http, slot);
    pb_bucket_take(&http->limit_bytes, -(double)slot->paid_bytes); /* they never came */
    pb_http_endpoint *endpoint = endpoint_of(http, request);
    if (endpoint == &http->unpaced)
        outcome = PB_PACE_NEITHER;
    pb_pace_ended(&endpoint->pace, outcome, request->private_.retry_after_ms, now_ms);
    curl_multi_remove_handle(multi->handle, slot->easy.handle);
    slot->request = NULL;
    slot->next = multi->free;
    multi->free = slot;
    multi->in_flight--;
    http->in_flight--;
}

static pb_pace_outcome outcome_of(CURLcode code, pb_http_verdict verdict, const pb_error *error)
{
    if (code == CURLE_OPERATION_TIMEDOUT)
        return PB_PACE_TIMED_OUT;
    if (code == CURLE_OK && pb_failure_is_throttling(error->kind))
        return PB_PACE_THROTTLED;
    return code == CURLE_OK && verdict != PB_HTTP_RETRY ? PB_PACE_ANSWERED : PB_PACE_NEITHER;
}

/* True where the endpoint is there and able to work, whatever it thinks of the request. */
static bool is_life(CURLcode code, const pb_error *error)
{
    return code == CURLE_OK && !pb_failure_passes(error->kind);
}

static void attempt_end(pb_http *http, http_slot *slot, CURLcode code)
{
    pb_http_request *request = slot->request;
    pb_http_verdict verdict = PB_HTTP_DONE;
    bool moved = slot->moved && code != CURLE_OK && request->status < 300;
    if (code == CURLE_OK) {
        if (!has_answered(http, slot->easy.base_url))
            strcpy(http->answered[http->answered_count++], slot->easy.base_url);
        verdict = request->judge(request);
    } else if (!request->error.kind) { /* else received_body refused, and said why */
        long tunnel_status = 0;
        curl_easy_getinfo(slot->easy.handle, CURLINFO_HTTP_CONNECTCODE, &tunnel_status);
        bool later =
            tunnel_status >= 300
                ? tunnel_error(tunnel_status, slot->easy.base_url, &request->error)
                : transport_error(slot->easy.handle, code, slot->easy.base_url, &request->error);
        verdict = later ? PB_HTTP_RETRY : PB_HTTP_DONE;
    }
    pb_pace_outcome outcome = outcome_of(code, verdict, &request->error);
    if (code == CURLE_OPERATION_TIMEDOUT && slot->sent)
        request->private_.silences++;
    else if (request->silence_ms && code == CURLE_OK && !request->error.kind)
        learn_silence(http, request, loop_now_ms(http) - slot->begun_ms);
    http->statistics.throttled += outcome == PB_PACE_THROTTLED;
    pb_outage *outage = endpoint_of(http, request)->outage;
    if (outage && (moved || is_life(code, &request->error)))
        pb_outage_answered(outage, pb_clock_monotonic_ms());
    slot_release(http, slot, outcome, loop_now_ms(http));
    if (verdict == PB_HTTP_AGAIN && request->private_.redirects++ < REDIRECTS_MAX) {
        wait_in_line(http, request, true);
        return;
    }
    if (verdict == PB_HTTP_RETRY && retry_later(http, request, slot->easy.base_url, moved))
        return;
    if (verdict != PB_HTTP_DONE && !request->error.kind) /* given up is no success */
        pb_error_set(&request->error, PB_ERROR_SERVER, "%s: no end of redirects",
                     slot->easy.base_url);
    request_done(http, request);
}

static void collect(pb_http *http, http_multi *multi)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi->handle, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        char *slot_pointer;
        CURLcode code = message->data.result; /* the message dies with the handle's removal */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot_pointer);
        attempt_end(http, (http_slot *)(void *)slot_pointer, code);
    }
}

/* Gives up what has been silent for longer than the endpoint's answers take, and repeats it. Those
 * that have waited less than the shortest patience are not looked at. */
static void on_hedge_look(uv_timer_t *timer)
{
    pb_http *http = timer->data;
    int64_t now_ms = loop_now_ms(http);
    /* Was the loop itself held up? Then answers may lie unread. */
    bool held_up = now_ms - http->silent_looked_ms > 2 * HEDGE_LOOK_MS;
    http->silent_looked_ms = now_ms;
    if (!http->silent_oldest)
        uv_timer_stop(timer);
    http_slot *after;
    for (http_slot *slot = http->silent_oldest; slot && !held_up; slot = after) {
        after = slot->silent_after;
        pb_http_request *request = slot->request;
        int64_t silent_ms = now_ms - slot->begun_ms;
        if (silent_ms < PB_PACE_PATIENCE_MS_MIN)
            break;
        int64_t patience_ms = pb_pace_patience_ms(&endpoint_of(http, request)->pace)
                              << request->private_.hedges;
        if (request->private_.hedges == HEDGES_MAX || !patience_ms || silent_ms < patience_ms)
            continue;
        pb_log_line(http->options.log, PB_LOG_DEBUG,
                    "attempt %u heard nothing for %lld ms, repeated: %s", request->attempts,
                    (long long)silent_ms, slot->easy.base_url);
        http->statistics.hedges++;
        request->private_.hedges++;
        slot_release(http, slot, PB_PACE_NEITHER, now_ms);
        wait_in_line(http, request, true);
    }
    pump(http);
}

static void cancel_request(pb_http *http, pb_http_request *request)
{
    pb_error_set(&request->error, PB_ERROR_CANCELLED, "cancelled");
    request_done(http, request);
}

/* Takes what waits for its turn or for a retry out of the client. */
static pb_http_request *take_waiting(pb_http *http)
{
    pb_http_request *taken = http->retries;
    http->retries = NULL;
    for (unsigned i = 0; i < http->endpoint_count; i++, http->turn = http->turn->next)
        while (http->turn->waiting.head) {
            pb_http_request *request = queue_pop(&http->turn->waiting);
            request->private_.next = taken;
            taken = request;
        }
    return taken;
}

/* What is submitted meanwhile (an ABORT) has not come before. */
static void cancel_everything(pb_http *http)
{
    pb_http_request *waiting = take_waiting(http);
    for (unsigned m = 0; m < http->multi_count; m++) {
        http_multi *multi = &http->multis[m];
        for (unsigned i = 0; i < multi->slot_count && multi->in_flight; i++) {
            http_slot *slot = &multi->slots[i];
            if (!slot->request)
                continue;
            pb_error_set(&slot->request->error, PB_ERROR_CANCELLED, "cancelled");
            attempt_end(http, slot, CURLE_ABORTED_BY_CALLBACK);
        }
    }
    while (waiting) {
        pb_http_request *request = waiting;
        waiting = request->private_.next;
        cancel_request(http, request);
    }
    http->cancelling = false;
}

void pb_http_cancel_now(pb_http *http)
{
    http->cancelling = true;
    pump_later(http);
}

void pb_http_cancel_all(pb_http *http)
{
    http->cancelled = true;
    pump_later(http);
}

/* ---- libcurl's events ---- */

static void on_ready(void *context, void *owner, curl_socket_t socket, int select_bits)
{
    pb_http *http = context;
    http_multi *multi = owner;
    int running;
    http->in_callback = true;
    curl_multi_socket_action(multi->handle, socket, select_bits, &running);
    collect(http, multi);
}

static void on_drained(void *context)
{
    pump(context);
}

static void on_timer(uv_timer_t *timer)
{
    http_multi *multi = timer->data;
    int running;
    multi->http->in_callback = true;
    curl_multi_socket_action(multi->handle, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(multi->http, multi);
    pump(multi->http);
}

static int on_timer_wanted(CURLM *handle, long timeout_ms, void *context)
{
    (void)handle;
    http_multi *multi = context;
    if (timeout_ms < 0)
        uv_timer_stop(&multi->timer);
    else
        uv_timer_start(&multi->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static int on_socket_wanted(CURL *easy, curl_socket_t socket, int what, void *context,
                            void *socket_context)
{
    (void)easy;
    (void)socket_context;
    http_multi *multi = context;
    pb_sockets_want(multi->http->sockets, multi, socket, what);
    return 0;
}

/* ---- life ---- */

int pb_http_open(uv_loop_t *loop, const pb_http_options *options, pb_http **ret_http,
                 pb_error *error)
{
    if (options->ca_bundle) {
        FILE *file = fopen(options->ca_bundle, "re");
        if (!file) {
            pb_error_errno(error, errno, "CA bundle %s", options->ca_bundle);
            if (error)
                error->kind = PB_ERROR_USAGE;
            return -1;
        }
        fclose(file);
    }
    pb_http *http = pb_allocate_zeroed(1, sizeof *http);
    http->loop = loop;
    http->options = *options;
    if (!http->options.parallel)
        http->options.parallel = 1;
    if (pb_sockets_open(loop, on_ready, on_drained, http, &http->sockets, error)) {
        free(http);
        return -1;
    }
    pb_random_bytes(&http->random, sizeof http->random);
    http->plain_proxy = pb_easy_plain_proxy();
    http->share = curl_share_init();
    curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    uv_idle_init(loop, &http->pump_soon);
    uv_timer_init(loop, &http->retry_timer);
    uv_timer_init(loop, &http->pace_timer);
    uv_timer_init(loop, &http->hedge_timer);
    http->retry_timer.data = http->pace_timer.data = http->hedge_timer.data = http;
    int64_t now_ms = loop_now_ms(http);
    pb_bucket_open(&http->limit_requests, options->limit_requests_per_s, now_ms);
    pb_bucket_open(&http->limit_bytes, options->limit_bytes_per_s, now_ms);
    pb_pace_open(&http->unpaced.pace, http->options.parallel, now_ms); /* and never told anything */
    http->unpaced.pace.window = http->options.parallel;
    /* The requests that these are for keep the loop alive. */
    uv_unref((uv_handle_t *)&http->pace_timer);
    uv_unref((uv_handle_t *)&http->hedge_timer);
    http->turn = http->unpaced.next = &http->unpaced;
    http->endpoint_count = 1;
    http->multi_count = (http->options.parallel + SLOTS_PER_MULTI - 1) / SLOTS_PER_MULTI;
    http->multis = pb_allocate_zeroed(http->multi_count, sizeof *http->multis);
    unsigned left = http->options.parallel;
    for (unsigned m = 0; m < http->multi_count; m++) {
        http_multi *multi = &http->multis[m];
        multi->http = http;
        multi->handle = curl_multi_init();
        multi->slot_count = left < SLOTS_PER_MULTI ? left : SLOTS_PER_MULTI;
        left -= multi->slot_count;
        multi->slots = pb_allocate_zeroed(multi->slot_count, sizeof *multi->slots);
        for (unsigned i = multi->slot_count; i-- > 0;) {
            multi->slots[i].next = multi->free;
            multi->free = &multi->slots[i];
        }
        uv_timer_init(loop, &multi->timer);
        multi->timer.data = multi;
        curl_multi_setopt(multi->handle, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
        curl_multi_setopt(multi->handle, CURLMOPT_SOCKETDATA, multi);
        curl_multi_setopt(multi->handle, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
        curl_multi_setopt(multi->handle, CURLMOPT_TIMERDATA, multi);
        /* Twice the handles: fewer, and libcurl closes connections that are about to be used again.
         */
        curl_multi_setopt(multi->handle, CURLMOPT_MAXCONNECTS, 2L * SLOTS_PER_MULTI);
        curl_multi_setopt(multi->handle, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    }
    *ret_http = http;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    /* Each handle's data is something of its own; the client comes by the loop's count. */
    pb_http *http = handle->data;
    if (--http->handles_closing)
        return;
    while (http->unpaced.next != &http->unpaced) {
        pb_http_endpoint *endpoint = http->unpaced.next;
        http->unpaced.next = endpoint->next;
        free(endpoint->base_url);
        free(endpoint);
    }
    free(http->multis);
    free(http);
}

static void close_handle(pb_http *http, uv_handle_t *handle)
{
    handle->data = http;
    http->handles_closing++;
    uv_close(handle, on_handle_closed);
}

void pb_http_close(pb_http *http)
{
    if (!http)
        return;
    if (http->open)
        abort(); /* a bug of the caller's */
    for (unsigned m = 0; m < http->multi_count; m++) {
        http_multi *multi = &http->multis[m];
        for (unsigned i = 0; i < multi->slot_count; i++)
            pb_easy_close(&multi->slots[i].easy);
        curl_multi_cleanup(multi->handle); /* closes connections through http->sockets */
        free(multi->slots);
        close_handle(http, (uv_handle_t *)&multi->timer);
    }
    curl_share_cleanup(http->share);
    pb_sockets_close(http->sockets);
    close_handle(http, (uv_handle_t *)&http->pump_soon);
    close_handle(http, (uv_handle_t *)&http->retry_timer);
    close_handle(http, (uv_handle_t *)&http->pace_timer);
    close_handle(http, (uv_handle_t *)&http->hedge_timer);
}

pb_http_endpoint *pb_http_endpoint_at(pb_http *http, const char *base_url)
{
    pb_http_endpoint *endpoint = http->unpaced.next;
    for (; endpoint != &http->unpaced; endpoint = endpoint->next)
        if (strcmp(endpoint->base_url, base_url) == 0)
            return endpoint;
    endpoint = pb_allocate_zeroed(1, sizeof *endpoint);
    endpoint->base_url = pb_duplicate(pb_slice_of(base_url));
    pb_pace_open(&endpoint->pace, http->options.parallel, loop_now_ms(http));
    if (http->options.outages)
        endpoint->outage = pb_outage_at(http->options.outages, base_url);
    endpoint->next = http->unpaced.next;
    http->unpaced.next = endpoint;
    http->endpoint_count++;
    return endpoint;
}

unsigned pb_http_endpoint_window(const pb_http_endpoint *endpoint)
{
    return endpoint->pace.window;
}

void pb_http_submit(pb_http *http, pb_http_request *request)
{
    memset(&request->private_, 0, sizeof request->private_);
    request->attempts = 0;
    request->status = 0;
    request->error.kind = PB_ERROR_NONE;
    if (http->open++ == 0)
        pb_sockets_busy(http->sockets, true);
    http->statistics.requests++;
    wait_in_line(http, request, request->first);
    pump_later(http);
}

pb_http_statistics pb_http_statistics_of(const pb_http *http)
{
    return http->statistics;
}
