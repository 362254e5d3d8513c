/* The HTTP client against a scripted server on the same loop: attempts, deadlines, order, ends. */
#include "copier/http/http.h"

#include "base/bytes.h"
#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the server: answers request number n with answers[n] ---- */

enum { CONNECTIONS_MAX = 32 };

typedef struct connection {
    uv_tcp_t tcp;
    struct bench *bench;
    pb_buffer received;
    bool open;
} connection;

typedef struct bench {
    uv_loop_t loop;
    uv_tcp_t listener;
    int port;
    connection connections[CONNECTIONS_MAX];
    unsigned connection_count;
    /* NULL: no answer; "": close without one; else the bytes, and closed after them where they
     * begin with '!' (which is not sent) */
    const char *answers[16];
    unsigned answered;
    pb_buffer seen; /* everything received */
    pb_http *http;
    char base_url[64];
} bench;

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void)handle;
    *ret_buffer = uv_buf_init(malloc(suggested), (unsigned)suggested);
}

static void on_connection_closed(uv_handle_t *handle)
{
    connection *peer = handle->data;
    pb_buffer_free(&peer->received);
}

static void connection_close(connection *peer)
{
    if (peer->open && !uv_is_closing((uv_handle_t *)&peer->tcp))
        uv_close((uv_handle_t *)&peer->tcp, on_connection_closed);
}

static void answer(connection *peer)
{
    bench *server = peer->bench;
    const char *text = server->answers[server->answered++ % 16];
    if (!text)
        return;
    bool close_after = text[0] == '!' || !text[0];
    if (text[0] == '!')
        text++;
    uv_buf_t buffer = uv_buf_init((char *)text, (unsigned)strlen(text));
    if (buffer.len)
        uv_try_write((uv_stream_t *)&peer->tcp, &buffer, 1);
    if (close_after)
        connection_close(peer);
}

/* A request is whole when its head and Content-Length bytes are there. */
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    connection *peer = stream->data;
    if (count > 0) {
        pb_buffer_append(&peer->received, buffer->base, (size_t)count);
        pb_buffer_append(&peer->bench->seen, buffer->base, (size_t)count);
    }
    free(buffer->base);
    if (count < 0) {
        connection_close(peer);
        return;
    }
    char *end = peer->received.data ? strstr(peer->received.data, "\r\n\r\n") : NULL;
    if (!end)
        return;
    const char *length = strstr(peer->received.data, "Content-Length: ");
    size_t body = length && length < end ? (size_t)atoi(length + 16) : 0;
    if (peer->received.size < (size_t)(end + 4 - peer->received.data) + body)
        return;
    pb_buffer_clear(&peer->received);
    answer(peer);
}

static void on_connect(uv_stream_t *listener, int status)
{
    bench *server = listener->data;
    assert_int_equal(status, 0);
    assert_true(server->connection_count < CONNECTIONS_MAX);
    connection *peer = &server->connections[server->connection_count++];
    uv_tcp_init(&server->loop, &peer->tcp);
    peer->tcp.data = peer;
    peer->bench = server;
    peer->open = true;
    uv_accept(listener, (uv_stream_t *)&peer->tcp);
    uv_read_start((uv_stream_t *)&peer->tcp, allocate, on_read);
    uv_unref((uv_handle_t *)&peer->tcp);
}

static pb_http_options test_options(void)
{
    pb_http_options options = pb_http_options_default();
    options.parallel = 4;
    options.retry_base_ms = 5;
    options.failures_max = 6;
    options.stall_window_ms = 1000;
    return options;
}

/* Another client, with other options. */
static void reopen(bench *server, const pb_http_options *options)
{
    pb_error error = {0};
    pb_http_close(server->http);
    assert_int_equal(pb_http_open(&server->loop, options, &server->http, &error), 0);
}

static int set_up(void **state)
{
    bench *server = calloc(1, sizeof *server);
    uv_loop_init(&server->loop);
    uv_tcp_init(&server->loop, &server->listener);
    server->listener.data = server;
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_bind(&server->listener, (struct sockaddr *)&address, 0);
    uv_listen((uv_stream_t *)&server->listener, 16, on_connect);
    int size = sizeof address;
    uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address, &size);
    server->port = ntohs(address.sin_port);
    uv_unref((uv_handle_t *)&server->listener);
    snprintf(server->base_url, sizeof server->base_url, "http://127.0.0.1:%d", server->port);
    pb_http_options options = test_options();
    pb_error error = {0};
    assert_int_equal(pb_http_open(&server->loop, &options, &server->http, &error), 0);
    *state = server;
    return 0;
}

static int tear_down(void **state)
{
    bench *server = *state;
    pb_http_close(server->http);
    for (unsigned i = 0; i < server->connection_count; i++)
        connection_close(&server->connections[i]);
    uv_close((uv_handle_t *)&server->listener, NULL);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&server->loop), 0);
    pb_buffer_free(&server->seen);
    free(server);
    return 0;
}

/* ---- the caller ---- */

typedef struct call {
    pb_http_request request;
    bench *server;
    const char *target;
    pb_slice body_sent;
    pb_buffer body;
    char header[64]; /* of x-test */
    unsigned done, restarts, again_left;
    int order; /* position among all that ended */
    bool refuse_body, inside_submit;
} call;

static int ended;

static int prepare(pb_http_request *request, pb_http_attempt *attempt, pb_error *error)
{
    (void)error;
    call *made = request->context;
    attempt->base_url = made->server->base_url;
    attempt->target = made->target ? made->target : "/a%20b/../c?x=%2F";
    attempt->headers[attempt->header_count++] = "x-sent: yes";
    attempt->body = made->body_sent;
    return 0;
}

static void restarted(pb_http_request *request)
{
    call *made = request->context;
    made->restarts++;
    pb_buffer_clear(&made->body);
}

static void received_header(pb_http_request *request, pb_slice name, pb_slice value)
{
    call *made = request->context;
    if (pb_slice_equal(name, PB_SLICE_LITERAL("x-test")))
        snprintf(made->header, sizeof made->header, "%.*s", PB_SLICE_FORMAT(value));
}

static int received_body(pb_http_request *request, const void *data, size_t size)
{
    call *made = request->context;
    if (made->refuse_body)
        return pb_error_set(&request->error, PB_ERROR_DAMAGED, "refused");
    pb_buffer_append(&made->body, data, size);
    return 0;
}

static pb_http_verdict judge(pb_http_request *request)
{
    call *made = request->context;
    if (made->again_left) {
        made->again_left--;
        return PB_HTTP_AGAIN;
    }
    if (request->status == 503) {
        pb_error_set(&request->error, PB_ERROR_THROTTLED, "slow down");
        return PB_HTTP_RETRY;
    }
    if (request->status == 500) {
        pb_error_set(&request->error, PB_ERROR_SERVER, "broken");
        return PB_HTTP_RETRY;
    }
    if (request->status >= 400)
        pb_error_set(&request->error, PB_ERROR_FAILED, "status %d", request->status);
    return PB_HTTP_DONE;
}

static void done(pb_http_request *request)
{
    call *made = request->context;
    assert_false(made->inside_submit);
    made->done++;
    made->order = ++ended;
}

static void submit(bench *server, call *made, const char *method)
{
    made->server = server;
    made->request.method = method;
    made->request.context = made;
    made->request.prepare = prepare;
    made->request.restarted = restarted;
    made->request.received_header = received_header;
    made->request.received_body = received_body;
    made->request.judge = judge;
    made->request.done = done;
    made->inside_submit = true;
    pb_http_submit(server->http, &made->request);
    made->inside_submit = false;
}

static void run(bench *server, call *made)
{
    while (!made->done)
        uv_run(&server->loop, UV_RUN_ONCE);
    assert_int_equal(made->done, 1);
}

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define OK_HELLO "HTTP/1.1 200 OK\r\nX-Test:  value \r\nContent-Length: 5\r\n\r\nhello"
#define BROKEN "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"
#define SLOW "HTTP/1.1 503 Slow Down\r\nContent-Length: 4\r\n\r\nslow"

static void test_get(void **state)
{
    bench *server = *state;
    server->answers[0] = OK_HELLO;
    call made = {0};
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
    assert_int_equal(made.request.status, 200);
    assert_string_equal(made.body.data, "hello");
    assert_string_equal(made.header, "value");
    /* The target goes out as it is, dots and escapes included. */
    assert_non_null(strstr(server->seen.data, "GET /a%20b/../c?x=%2F HTTP/1.1\r\n"));
    assert_non_null(strstr(server->seen.data, "\r\nx-sent: yes\r\n"));
    pb_buffer_free(&made.body);
}

static void test_methods_and_bodies_on_one_handle(void **state)
{
    bench *server = *state;
    for (int i = 0; i < 5; i++)
        server->answers[i] = OK_EMPTY;
    const char *methods[] = {"PUT", "GET", "PUT", "HEAD", "DELETE"};
    for (int i = 0; i < 5; i++) {
        call made = {.body_sent = i == 0 ? PB_SLICE_LITERAL("payload") : (pb_slice){NULL, 0}};
        pb_buffer_clear(&server->seen);
        submit(server, &made, methods[i]);
        run(server, &made);
        assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
        assert_memory_equal(server->seen.data, methods[i], strlen(methods[i]));
        const char *length = strstr(server->seen.data, "Content-Length: ");
        if (i == 0) {
            assert_memory_equal(length, "Content-Length: 7", 17);
            assert_non_null(strstr(server->seen.data, "\r\n\r\npayload"));
            assert_null(strstr(server->seen.data, "urlencoded"));
        } else if (i == 2) {
            assert_memory_equal(length, "Content-Length: 0", 17);
        } else {
            assert_null(length);
        }
    }
    assert_int_equal(server->connection_count, 1);
}

static void test_retries_what_may_pass(void **state)
{
    bench *server = *state;
    server->answers[0] = SLOW;
    server->answers[1] = "";                                                /* closed */
    server->answers[2] = "!HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"; /* truncated */
    server->answers[3] = OK_HELLO;
    call made = {0};
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
    assert_string_equal(made.body.data, "hello");
    assert_int_equal(made.request.attempts,
                     4); /* libcurl's own, on the dead connection, included */
    assert_true(made.restarts >= 2);
    pb_buffer_free(&made.body);
}

static void answer_all(bench *server, const char *text)
{
    for (int i = 0; i < 16; i++)
        server->answers[i] = text;
}

static void test_gives_up_after_its_failures(void **state)
{
    bench *server = *state;
    answer_all(server, BROKEN);
    call made = {0};
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_SERVER);
    assert_int_equal(made.request.attempts, 6);
    pb_buffer_free(&made.body);
}

static void test_throttling_is_nobodys_fault(void **state)
{
    bench *server = *state;
    answer_all(server, SLOW);
    server->answers[15] = OK_HELLO;
    call made = {0};
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
    assert_int_equal(made.request.attempts, 16);
    pb_buffer_free(&made.body);
}

/* Sends a request by a new client, which knows what others were answered and waits so long. */
static void submit_patiently(bench *server, pb_outages *outages, uint32_t patience_ms, call *made)
{
    pb_http_options options = test_options();
    options.outages = outages;
    options.patience_ms = patience_ms;
    options.retry_cap_ms = 20;
    reopen(server, &options);
    made->request.endpoint = pb_http_endpoint_at(server->http, server->base_url);
    submit(server, made, "GET");
}

/* No client knows of them any more. */
static void forget(bench *server, pb_outages *outages)
{
    pb_http_options options = test_options();
    reopen(server, &options);
    pb_outages_free(outages);
}

static void test_an_outage_is_waited_for(void **state)
{
    bench *server = *state;
    pb_outages *outages = pb_outages_new(NULL);
    /* Many more failures than one request may have of its own. */
    answer_all(server, BROKEN);
    server->answers[14] = OK_EMPTY;
    call made = {0}, last = {0};
    submit_patiently(server, outages, 60 * 1000, &made);
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
    assert_int_equal(made.request.attempts, 15);

    /* But not for ever. */
    answer_all(server, BROKEN);
    int64_t before_ms = pb_clock_monotonic_ms();
    submit_patiently(server, outages, 300, &last);
    run(server, &last);
    assert_int_equal(last.request.error.kind, PB_ERROR_UNREACHABLE);
    assert_true(last.request.attempts > 6);
    assert_true(pb_clock_monotonic_ms() - before_ms >= 250);
    pb_buffer_free(&made.body);
    pb_buffer_free(&last.body);
    forget(server, outages);
}

static void test_where_others_are_answered_the_fault_is_its_own(void **state)
{
    bench *server = *state;
    pb_outages *outages = pb_outages_new(NULL);
    pb_outage *outage = pb_outage_at(outages, server->base_url);
    answer_all(server, BROKEN);
    call made = {0};
    submit_patiently(server, outages, 60 * 1000, &made);
    int64_t seen_ms = 0;
    while (!made.done) {
        uv_run(&server->loop, UV_RUN_ONCE);
        if (made.request.private_.failed_ms != seen_ms) { /* somebody is, while it waits */
            seen_ms = made.request.private_.failed_ms;
            pb_outage_answered(outage, pb_clock_monotonic_ms());
        }
    }
    assert_int_equal(made.request.error.kind, PB_ERROR_SERVER);
    assert_int_equal(made.request.attempts, 7); /* at the first nobody had been answered */
    pb_buffer_free(&made.body);
    forget(server, outages);
}

static void test_another_client_has_been_answered(void **state)
{
    bench *server = *state;
    pb_outages *outages = pb_outages_new(NULL);
    pb_outage_answered(pb_outage_at(outages, server->base_url), pb_clock_monotonic_ms());
    for (int i = 0; i < 10; i++)
        server->answers[i] = ""; /* closed */
    server->answers[10] = OK_EMPTY;
    call made = {0};
    submit_patiently(server, outages, 60 * 1000, &made);
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
    forget(server, outages);
}

static void test_the_patience_is_used_to_its_end(void **state)
{
    bench *server = *state;
    pb_http_options options = test_options();
    options.patience_ms = 300;
    options.retry_base_ms = 10 * 1000;
    reopen(server, &options);
    server->answers[0] = SLOW;
    server->answers[1] = OK_EMPTY;
    call made = {0};
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
    pb_buffer_free(&made.body);
}

static void test_retry_after_is_no_longer_than_the_patience(void **state)
{
    bench *server = *state;
    pb_http_options options = test_options();
    options.patience_ms = 400;
    reopen(server, &options);
    server->answers[0] = "HTTP/1.1 503 Slow Down\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n";
    server->answers[1] = OK_EMPTY;
    call made = {0};
    int64_t before_ms = pb_clock_monotonic_ms();
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
    assert_true(pb_clock_monotonic_ms() - before_ms < 20 * 1000);
}

static void test_waits_as_retry_after_says(void **state)
{
    bench *server = *state;
    server->answers[0] = "HTTP/1.1 503 Slow Down\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    server->answers[1] = OK_EMPTY;
    call made = {0};
    int64_t before_ms = pb_clock_monotonic_ms();
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
    assert_true(pb_clock_monotonic_ms() - before_ms >= 1000);
}

static void test_a_stall_is_given_up(void **state)
{
    bench *server = *state;
    server->answers[0] = NULL;
    server->answers[1] = OK_EMPTY;
    call made = {0};
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
    assert_int_equal(made.request.attempts, 2);
}

static void test_unreachable_is_told_soon(void **state)
{
    bench *server = *state;
    snprintf(server->base_url, sizeof server->base_url, "http://127.0.0.1:1");
    call made = {0};
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_UNREACHABLE);
    assert_int_equal(made.request.attempts, 4);
    assert_non_null(strstr(made.request.error.message, "http://127.0.0.1:1"));
}

static void test_plain_http_is_no_https(void **state)
{
    bench *server = *state;
    for (int i = 0; i < 16; i++)
        server->answers[i] = OK_EMPTY;
    snprintf(server->base_url, sizeof server->base_url, "https://127.0.0.1:%d", server->port);
    call made = {0};
    submit(server, &made, "GET");
    /* The server waits for an HTTP head that never comes: its connections are closed for it. */
    while (!made.done) {
        uv_run(&server->loop, UV_RUN_ONCE);
        for (unsigned i = 0; i < server->connection_count; i++)
            if (server->connections[i].received.size)
                connection_close(&server->connections[i]);
    }
    assert_int_equal(made.request.error.kind, PB_ERROR_UNREACHABLE);
    assert_null(strstr(server->seen.data, "GET "));
}

static void test_a_body_can_be_refused(void **state)
{
    bench *server = *state;
    server->answers[0] = OK_HELLO;
    call made = {.refuse_body = true};
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_DAMAGED);
    assert_string_equal(made.request.error.message, "refused");
    assert_int_equal(made.request.attempts, 1);
}

static void test_again_goes_at_once(void **state)
{
    bench *server = *state;
    server->answers[0] = server->answers[1] = server->answers[2] = OK_EMPTY;
    call made = {.again_left = 2};
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.attempts, 3);
    assert_int_equal(made.request.error.kind, PB_ERROR_NONE);

    for (int i = 0; i < 16; i++)
        server->answers[i] = OK_EMPTY;
    call endless = {.again_left = 1000};
    submit(server, &endless, "GET");
    run(server, &endless);
    assert_int_equal(endless.request.attempts, 9);
    assert_int_equal(endless.request.error.kind, PB_ERROR_SERVER);
}

static void test_cap_and_order(void **state)
{
    bench *server = *state;
    for (int i = 0; i < 16; i++)
        server->answers[i] = OK_EMPTY;
    call made[12] = {0};
    for (int i = 0; i < 12; i++) {
        made[i].request.first = i == 11;
        submit(server, &made[i], "GET");
    }
    for (int i = 0; i < 12; i++)
        run(server, &made[i]);
    assert_true(pb_http_statistics_of(server->http).in_flight_most <= 4);
    assert_int_equal(made[11].order,
                     made[0].order < made[11].order ? made[0].order + 1 : made[0].order - 1);
    assert_true(server->connection_count <= 4);
}

static void test_cancel_ends_everything(void **state)
{
    bench *server = *state;
    server->answers[0] = OK_EMPTY; /* lets the others begin */
    server->answers[1] = SLOW;     /* waits for its retry */
    call made[9] = {0};
    submit(server, &made[0], "GET");
    run(server, &made[0]);
    for (int i = 1; i < 9; i++)
        submit(server, &made[i], "GET");
    while (pb_http_statistics_of(server->http).in_flight_most < 4)
        uv_run(&server->loop, UV_RUN_ONCE);
    pb_http_cancel_all(server->http);
    for (int i = 1; i < 9; i++) {
        run(server, &made[i]);
        assert_int_equal(made[i].request.error.kind, PB_ERROR_CANCELLED);
        pb_buffer_free(&made[i].body);
    }
    call late = {0};
    submit(server, &late, "GET");
    run(server, &late);
    assert_int_equal(late.request.error.kind, PB_ERROR_CANCELLED);
}

/* ---- pace, limits, hedging ---- */

static void one(bench *server, pb_http_endpoint *endpoint)
{
    call made = {.request.endpoint = endpoint};
    submit(server, &made, "GET");
    run(server, &made);
    assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
    pb_buffer_free(&made.body);
}

static void test_a_throttled_endpoint_is_asked_less(void **state)
{
    bench *server = *state;
    for (int i = 0; i < 16; i++)
        server->answers[i] = OK_EMPTY;
    server->answers[1] = SLOW;
    pb_http_endpoint *endpoint = pb_http_endpoint_at(server->http, server->base_url);
    pb_http_endpoint *other = pb_http_endpoint_at(server->http, "http://other");
    assert_ptr_equal(pb_http_endpoint_at(server->http, server->base_url), endpoint);
    assert_ptr_not_equal(other, endpoint);
    one(server, endpoint);
    assert_int_equal(pb_http_endpoint_window(endpoint), 4);

    call throttled = {.request.endpoint = endpoint};
    submit(server, &throttled, "GET");
    while (!pb_http_statistics_of(server->http).throttled)
        uv_run(&server->loop, UV_RUN_ONCE);
    assert_int_equal(pb_http_endpoint_window(endpoint), 2);
    assert_int_equal(pb_http_endpoint_window(other), 4);
    run(server, &throttled);
    pb_buffer_free(&throttled.body);
    for (int i = 0; i < 8; i++)
        one(server, endpoint);
    assert_int_equal(pb_http_endpoint_window(endpoint), 4);
}

static void test_the_window_holds(void **state)
{
    bench *server = *state;
    for (int i = 0; i < 16; i++)
        server->answers[i] = OK_EMPTY;
    server->answers[0] = SLOW;
    server->answers[1] = NULL;
    pb_http_options options = test_options();
    options.parallel = 2;
    options.stall_window_ms = 5 * 1000;
    reopen(server, &options);
    pb_http_endpoint *endpoint = pb_http_endpoint_at(server->http, server->base_url);
    /* Throttled, the endpoint has a window of 1: that one stalls, and others wait for it. */
    call stalled = {.request.endpoint = endpoint}, behind = {.request.endpoint = endpoint};
    submit(server, &stalled, "GET");
    while (server->answered < 2)
        uv_run(&server->loop, UV_RUN_ONCE);
    assert_int_equal(pb_http_endpoint_window(endpoint), 1);
    submit(server, &behind, "GET");
    one(server, NULL);
    one(server, pb_http_endpoint_at(server->http, "http://other"));
    assert_false(behind.done);
    run(server, &behind);
    run(server, &stalled);
    pb_buffer_free(&stalled.body);
}

static void test_retry_after_closes_the_endpoint(void **state)
{
    bench *server = *state;
    for (int i = 0; i < 16; i++)
        server->answers[i] = OK_EMPTY;
    server->answers[1] = "HTTP/1.1 503 Slow Down\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n";
    pb_http_endpoint *endpoint = pb_http_endpoint_at(server->http, server->base_url);
    one(server, endpoint);
    call throttled = {.request.endpoint = endpoint}, behind = {.request.endpoint = endpoint};
    submit(server, &throttled, "GET");
    while (!pb_http_statistics_of(server->http).throttled)
        uv_run(&server->loop, UV_RUN_ONCE);
    int64_t before_ms = pb_clock_monotonic_ms();
    submit(server, &behind, "GET");
    one(server, pb_http_endpoint_at(server->http, "http://other")); /* does not wait */
    assert_false(behind.done);
    run(server, &behind);
    assert_true(pb_clock_monotonic_ms() - before_ms >= 1500);
    run(server, &throttled);
}

static void test_silence_is_repeated_soon(void **state)
{
    bench *server = *state;
    for (int i = 0; i < 16; i++)
        server->answers[i] = OK_EMPTY;
    server->answers[1] = server->answers[2] = NULL;
    pb_http_options options = test_options();
    options.stall_window_ms = 60 * 1000;
    reopen(server, &options);
    pb_http_endpoint *endpoint = pb_http_endpoint_at(server->http, server->base_url);
    call first = {.request = {.endpoint = endpoint, .hedge = true}}; /* teaches what is usual */
    submit(server, &first, "GET");
    run(server, &first);
    int64_t before_ms = pb_clock_monotonic_ms();
    call silent = {.request = {.endpoint = endpoint, .hedge = true}};
    submit(server, &silent, "GET");
    run(server, &silent);
    int64_t took_ms = pb_clock_monotonic_ms() - before_ms;
    assert_int_equal(silent.request.error.kind, PB_ERROR_NONE);
    assert_int_equal(silent.request.attempts, 3);
    assert_int_equal(silent.restarts, 2);
    assert_in_range(took_ms, 2900, 30 * 1000); /* a second, then two */
    assert_int_equal(pb_http_statistics_of(server->http).hedges, 2);
    assert_int_equal(pb_http_endpoint_window(endpoint), 4); /* no congestion */
}

static void test_silence_is_repeated_twice_at_most(void **state)
{
    bench *server = *state;
    for (int i = 0; i < 16; i++)
        server->answers[i] = OK_EMPTY;
    server->answers[1] = server->answers[2] = server->answers[3] = NULL;
    pb_http_options options = test_options();
    options.stall_window_ms = 6 * 1000;
    reopen(server, &options);
    pb_http_endpoint *endpoint = pb_http_endpoint_at(server->http, server->base_url);
    for (int i = 0; i < 2; i++) {
        call made = {.request = {.endpoint = endpoint, .hedge = true}};
        submit(server, &made, "GET");
        run(server, &made);
        assert_int_equal(made.request.error.kind, PB_ERROR_NONE);
    }
    assert_int_equal(pb_http_statistics_of(server->http).hedges, 2);
    assert_int_equal(pb_http_statistics_of(server->http).retries, 1); /* the stall window */
    assert_int_equal(pb_http_endpoint_window(endpoint), 2);           /* which is congestion */
}

/* How long `count` requests of 5 bytes take. */
static int64_t time_of(bench *server, const pb_http_options *options, unsigned count)
{
    enum { COUNT_MAX = 12 };
    for (int i = 0; i < 16; i++)
        server->answers[i] = OK_HELLO;
    reopen(server, options);
    pb_http_endpoint *endpoint = pb_http_endpoint_at(server->http, server->base_url);
    call made[COUNT_MAX] = {0};
    int64_t before_ms = pb_clock_monotonic_ms();
    for (unsigned i = 0; i < count; i++) {
        made[i].request.endpoint = endpoint;
        made[i].request.body_bytes = i % 2 ? 0 : 9; /* right or not, what came is what counts */
        submit(server, &made[i], "GET");
    }
    for (unsigned i = 0; i < count; i++) {
        run(server, &made[i]);
        assert_int_equal(made[i].request.error.kind, PB_ERROR_NONE);
        pb_buffer_free(&made[i].body);
    }
    return pb_clock_monotonic_ms() - before_ms;
}

static void test_limits_hold(void **state)
{
    bench *server = *state;
    pb_http_options options = test_options();
    options.limit_requests_per_s = 10;
    assert_in_range(time_of(server, &options, 12), 980, 20 * 1000);
    options.limit_requests_per_s = 0;
    options.limit_bytes_per_s = 50; /* a tenth is there at once, the last ones' debt remains */
    assert_in_range(time_of(server, &options, 12), 600, 20 * 1000);
}

static void test_missing_ca_bundle_is_usage(void **state)
{
    bench *server = *state;
    pb_http_options options = pb_http_options_default();
    options.ca_bundle = "/nowhere/ca.pem";
    pb_http *http;
    pb_error error = {0};
    assert_int_equal(pb_http_open(&server->loop, &options, &http, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
}

int main(void)
{
    pb_http_process_start();
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_get),
        TEST(test_methods_and_bodies_on_one_handle),
        TEST(test_retries_what_may_pass),
        TEST(test_gives_up_after_its_failures),
        TEST(test_throttling_is_nobodys_fault),
        TEST(test_an_outage_is_waited_for),
        TEST(test_where_others_are_answered_the_fault_is_its_own),
        TEST(test_another_client_has_been_answered),
        TEST(test_the_patience_is_used_to_its_end),
        TEST(test_retry_after_is_no_longer_than_the_patience),
        TEST(test_waits_as_retry_after_says),
        TEST(test_a_stall_is_given_up),
        TEST(test_unreachable_is_told_soon),
        TEST(test_plain_http_is_no_https),
        TEST(test_a_body_can_be_refused),
        TEST(test_again_goes_at_once),
        TEST(test_cap_and_order),
        TEST(test_cancel_ends_everything),
        TEST(test_a_throttled_endpoint_is_asked_less),
        TEST(test_the_window_holds),
        TEST(test_retry_after_closes_the_endpoint),
        TEST(test_silence_is_repeated_soon),
        TEST(test_silence_is_repeated_twice_at_most),
        TEST(test_limits_hold),
        TEST(test_missing_ca_bundle_is_usage),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pb_http_process_end();
    return failed;
}
