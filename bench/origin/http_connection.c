#include "bench/origin/http_connection.h"
#include "base/clock.h"
#include "base/codec.h"
#include "bench/origin/chunk_decoder.h"
#include "bench/origin/delay_queue.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    READ_BYTES = 262144,
    PENDING_BYTES_MAX = 262144, /* of requests sent ahead, before reading pauses */
    DIRECT_BYTES_MIN = 16384,   /* bodies at least so long are read in place */
    SCRATCH_BYTES = 262144,     /* synthetic content made at a time */
    TLS_BATCH_BYTES = 262144,   /* encrypted at a time */
    KEPT_BUFFER_BYTES_MAX = 65536,
    VECTORS_MAX = 32,
};

typedef enum connection_state {
    READING_HEAD,
    READING_BODY,
    ANSWERING, /* delayed, or being written */
    STALLED,
} connection_state;

typedef struct tls {
    SSL *ssl;
    BIO *incoming;
    BIO *outgoing;
    pb_buffer cipher; /* being written */
} tls;

typedef struct connection {
    uv_tcp_t tcp;
    pb_origin_server *server;
    struct connection *previous;
    struct connection *next;
    connection_state state;
    bool consuming; /* consume() is on the stack: it goes on by itself */
    bool closing;
    bool client_gone;
    bool paused;
    bool counted;    /* in in_flight */
    bool collects;   /* the body is kept */
    bool direct;     /* the last read went into the body */
    bool sending;    /* past its delay */
    bool writing;    /* a uv_write is under way */
    pb_buffer input; /* read but not consumed */
    size_t scanned;
    pb_buffer head; /* of the request being served */
    uint64_t body_remaining;
    uint64_t bytes_in;
    uint64_t bytes_out;
    pb_origin_chunk_decoder transfer_decoder;
    pb_origin_chunk_decoder content_decoder;
    pb_hash *md5;
    pb_hash *sha256;
    pb_hash *crc32c;
    pb_origin_exchange exchange;
    pb_buffer out;
    size_t out_sent;
    size_t rest_sent;
    uint64_t content_sent;
    uint64_t content_size; /* to send: less than announced where damaged */
    char *scratch;
    char flipped;
    uv_write_t write;
    pb_origin_delay delay;
    tls *tls;
} connection;

struct pb_origin_server {
    uv_loop_t *loop;
    uv_tcp_t listener;
    uv_timer_t timer;
    bool stopping;
    pb_origin_service service;
    int64_t clock_offset_ms;
    uint16_t port;
    SSL_CTX *tls_context;
    char *read_buffer;
    char *plain_buffer;
    connection *connections;
    pb_origin_delay_queue delays;
    uint64_t timer_due_ms; /* 0: not running */
    uint64_t in_flight;
    uint64_t most_in_flight;
    uint64_t accepted;
    uint64_t request_count;
    int64_t date_second;
    char date[PB_TIME_TEXT_MAX];
};

static void pump(connection *link);
static void resume(connection *link);
static void arm_timer(pb_origin_server *server);
static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer);
static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer);

/* ---- the life of a connection ---- */

static void response_reset(pb_origin_response *response)
{
    pb_buffer *buffers[] = {&response->headers, &response->text, &response->text_rest};
    for (size_t i = 0; i < 3; i++) {
        if (buffers[i]->capacity > KEPT_BUFFER_BYTES_MAX) {
            pb_buffer_free(buffers[i]);
        } else {
            buffers[i]->size = 0;
        }
    }
    pb_origin_content_release(response->content);
    pb_buffer headers = response->headers;
    pb_buffer text = response->text;
    pb_buffer rest = response->text_rest;
    *response = (pb_origin_response){.headers = headers, .text = text, .text_rest = rest};
}

static void exchange_end(connection *link)
{
    if (link->counted) {
        link->counted = false;
        link->server->in_flight--;
        link->server->service.answered(link->server->service.context, &link->exchange,
                                       link->bytes_in, link->bytes_out);
    }
    pb_origin_content_release(link->exchange.body);
    link->exchange.body = NULL;
    response_reset(&link->exchange.response);
    link->out.size = 0;
    link->out_sent = 0;
    link->rest_sent = 0;
    link->content_sent = 0;
    link->bytes_in = 0;
    link->bytes_out = 0;
}

static void on_closed(uv_handle_t *handle)
{
    connection *link = handle->data;
    pb_origin_server *server = link->server;
    if (link->previous) {
        link->previous->next = link->next;
    } else {
        server->connections = link->next;
    }
    if (link->next) {
        link->next->previous = link->previous;
    }
    exchange_end(link);
    server->service.forget(server->service.context, link->exchange.state);
    free(link->exchange.state);
    pb_buffer_free(&link->exchange.response.headers);
    pb_buffer_free(&link->exchange.response.text);
    pb_buffer_free(&link->exchange.response.text_rest);
    pb_buffer_free(&link->input);
    pb_buffer_free(&link->head);
    pb_buffer_free(&link->out);
    pb_hash_free(link->md5);
    pb_hash_free(link->sha256);
    pb_hash_free(link->crc32c);
    if (link->tls) {
        SSL_free(link->tls->ssl);
        pb_buffer_free(&link->tls->cipher);
        free(link->tls);
    }
    free(link->scratch);
    free(link);
}

static bool close_begin(connection *link)
{
    if (link->closing) {
        return false;
    }
    link->closing = true;
    if (link->delay.position != PB_ORIGIN_NOT_QUEUED) {
        pb_origin_delay_queue_remove(&link->server->delays, &link->delay);
    }
    return true;
}

static void close_connection(connection *link)
{
    if (close_begin(link)) {
        uv_close((uv_handle_t *)&link->tcp, on_closed);
    }
}

static void reset_connection(connection *link)
{
    if (close_begin(link) && uv_tcp_close_reset(&link->tcp, on_closed) != 0) {
        uv_close((uv_handle_t *)&link->tcp, on_closed);
    }
}

/* ---- writing ---- */

static void on_written(uv_write_t *request, int status)
{
    connection *link = request->data;
    link->writing = false;
    if (status < 0) {
        close_connection(link);
    } else if (!link->closing) {
        pump(link);
    }
}

/* Writes what it can at once and leaves the rest to the loop. Returns -1 where the connection
 * broke. */
static int write_vectors(connection *link, uv_buf_t *vectors, unsigned count, size_t total)
{
    int written = uv_try_write((uv_stream_t *)&link->tcp, vectors, count);
    if (written < 0) {
        if (written != UV_EAGAIN) {
            return -1;
        }
        written = 0;
    }
    size_t done = (size_t)written;
    if (done == total) {
        return 0;
    }
    while (done >= vectors->len) {
        done -= vectors->len;
        vectors++;
        count--;
    }
    vectors->base += done;
    vectors->len -= done;
    link->writing = true;
    link->write.data = link;
    return uv_write(&link->write, (uv_stream_t *)&link->tcp, vectors, count, on_written) ? -1 : 0;
}

static int tls_flush(connection *link)
{
    tls *secure = link->tls;
    if (link->writing) {
        return 0;
    }
    size_t waiting = BIO_ctrl_pending(secure->outgoing);
    if (waiting == 0) {
        return 0;
    }
    pb_buffer_clear(&secure->cipher);
    pb_buffer_reserve(&secure->cipher, waiting);
    int size = BIO_read(secure->outgoing, secure->cipher.data, (int)waiting);
    if (size <= 0) {
        return -1;
    }
    secure->cipher.size = (size_t)size;
    uv_buf_t vector = uv_buf_init(secure->cipher.data, (unsigned)size);
    return write_vectors(link, &vector, 1, vector.len);
}

static int tls_write(connection *link, const uv_buf_t *vectors, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (vectors[i].len > 0 &&
            SSL_write(link->tls->ssl, vectors[i].base, (int)vectors[i].len) <= 0) {
            return -1;
        }
    }
    return tls_flush(link);
}

/* The next bytes of the answer, counted as sent; returns how many vectors. */
static unsigned gather(connection *link, uv_buf_t *vectors, size_t *ret_total)
{
    pb_origin_response *response = &link->exchange.response;
    unsigned count = 0;
    size_t total = 0;
    uint64_t limit = link->tls ? TLS_BATCH_BYTES : (uint64_t)1 << 30;
    if (link->out_sent < link->out.size) {
        size_t run = link->out.size - link->out_sent;
        vectors[count++] = uv_buf_init(link->out.data + link->out_sent, (unsigned)run);
        link->out_sent += run;
        total += run;
    }
    if (!response->is_head && link->rest_sent < response->text_rest.size) {
        size_t run = response->text_rest.size - link->rest_sent;
        vectors[count++] = uv_buf_init(response->text_rest.data + link->rest_sent, (unsigned)run);
        link->rest_sent += run;
        total += run;
    }
    bool used_scratch = false;
    while (link->content_sent < link->content_size && count < VECTORS_MAX && total < limit &&
           !used_scratch) {
        uint64_t run = link->content_size - link->content_sent;
        if (run > limit - total) {
            run = limit - total;
        }
        if (response->flips && link->content_sent <= response->flip_offset &&
            link->content_sent + run > response->flip_offset) {
            run = response->flip_offset - link->content_sent;
            if (run == 0) {
                run = 1;
            }
        }
        if (!link->scratch && response->content->kind != PB_ORIGIN_CONTENT_BYTES) {
            link->scratch = pb_allocate(SCRATCH_BYTES);
        }
        pb_slice window = pb_origin_content_window(
            response->content, response->content_offset + link->content_sent, run, link->scratch,
            SCRATCH_BYTES, &used_scratch);
        if (response->flips && link->content_sent == response->flip_offset) {
            link->flipped = (char)(window.data[0] ^ 0x20);
            window.data = &link->flipped;
        }
        vectors[count++] = uv_buf_init((char *)(uintptr_t)window.data, (unsigned)window.size);
        link->content_sent += window.size;
        total += window.size;
    }
    link->bytes_out += total;
    *ret_total = total;
    return count;
}

static void answer_done(connection *link)
{
    pb_origin_damage damage = link->exchange.response.damage;
    bool close = link->exchange.response.close || link->client_gone;
    link->sending = false;
    if (damage == PB_ORIGIN_DAMAGE_STALL_MIDWAY) {
        link->state = STALLED;
        return;
    }
    if (damage == PB_ORIGIN_DAMAGE_TRUNCATED) {
        close = true;
    } else if (close && link->tls && SSL_shutdown(link->tls->ssl) >= 0) {
        tls_flush(link);
    }
    exchange_end(link);
    if (close) {
        close_connection(link);
        return;
    }
    link->state = READING_HEAD;
    if (!link->consuming) {
        resume(link);
    }
}

/* The one place that writes answers: goes on until the answer is out or the socket is full. */
static void pump(connection *link)
{
    if (link->tls && !link->writing && tls_flush(link) != 0) {
        close_connection(link);
        return;
    }
    while (link->sending && !link->writing && !link->closing) {
        uv_buf_t vectors[VECTORS_MAX];
        size_t total;
        unsigned count = gather(link, vectors, &total);
        if (total == 0) {
            answer_done(link);
            return;
        }
        int result = link->tls ? tls_write(link, vectors, count)
                               : write_vectors(link, vectors, count, total);
        if (result != 0) {
            close_connection(link);
        }
    }
}

const char *pb_origin_status_text(int status)
{
    switch (status) {
    case 200:
        return "200 OK";
    case 204:
        return "204 No Content";
    case 206:
        return "206 Partial Content";
    case 301:
        return "301 Moved Permanently";
    case 304:
        return "304 Not Modified";
    case 308:
        return "308 Resume Incomplete"; /* of Google's uploads */
    case 400:
        return "400 Bad Request";
    case 401:
        return "401 Unauthorized";
    case 403:
        return "403 Forbidden";
    case 404:
        return "404 Not Found";
    case 405:
        return "405 Method Not Allowed";
    case 409:
        return "409 Conflict";
    case 410:
        return "410 Gone";
    case 411:
        return "411 Length Required";
    case 412:
        return "412 Precondition Failed";
    case 414:
        return "414 URI Too Long";
    case 416:
        return "416 Range Not Satisfiable";
    case 417:
        return "417 Expectation Failed";
    case 429:
        return "429 Too Many Requests";
    case 431:
        return "431 Request Header Fields Too Large";
    case 499:
        return "499 Client Closed Request"; /* of a cancelled upload */
    case 500:
        return "500 Internal Server Error";
    case 501:
        return "501 Not Implemented";
    case 503:
        return "503 Service Unavailable";
    case 505:
        return "505 HTTP Version Not Supported";
    default:
        return "500 Unknown";
    }
}

/* Puts the head and the text of the answer into `out`. */
static void compose(connection *link)
{
    pb_origin_server *server = link->server;
    pb_origin_response *response = &link->exchange.response;
    int64_t now_ms = pb_clock_utc_ms() + server->clock_offset_ms;
    if (now_ms / 1000 != server->date_second) {
        server->date_second = now_ms / 1000;
        pb_time_format_http(now_ms, server->date);
    }
    if (!link->exchange.request.keeps_alive) {
        response->close = true;
    }
    pb_buffer *out = &link->out;
    pb_buffer_clear(out);
    pb_buffer_append(out, "HTTP/1.1 ", 9);
    pb_buffer_append_text(out, pb_origin_status_text(response->status));
    pb_buffer_append_text(out, "\r\nx-amz-request-id: ");
    pb_buffer_append(out, link->exchange.request_id, 16);
    pb_buffer_append_text(out, "\r\nDate: ");
    pb_buffer_append_text(out, server->date);
    pb_buffer_append_text(out, "\r\nServer: origin\r\n");
    pb_buffer_append(out, response->headers.data, response->headers.size);
    uint64_t body_bytes = response->text.size + response->text_rest.size + response->content_size;
    if (response->status != 204 && response->status != 304) {
        pb_buffer_append_text(out, "Content-Length: ");
        pb_buffer_append_unsigned(out, response->is_head ? response->announced_bytes : body_bytes);
        pb_buffer_append_text(out, "\r\n");
    }
    if (response->close) {
        pb_buffer_append_text(out, "Connection: close\r\n");
    }
    pb_buffer_append_text(out, "\r\n");
    link->content_size = response->is_head || !response->content ? 0 : response->content_size;
    if (response->is_head) {
        return;
    }
    size_t text_bytes = response->text.size;
    if (response->damage == PB_ORIGIN_DAMAGE_TRUNCATED ||
        response->damage == PB_ORIGIN_DAMAGE_STALL_MIDWAY) {
        text_bytes /= 2;
        response->text_rest.size /= 2;
        link->content_size /= 2;
    }
    pb_buffer_append(out, response->text.data, text_bytes);
}

static void send_now(connection *link)
{
    if (link->exchange.response.damage == PB_ORIGIN_DAMAGE_RESET) {
        reset_connection(link);
        return;
    }
    if (link->exchange.response.damage == PB_ORIGIN_DAMAGE_STALL) {
        link->state = STALLED;
        return;
    }
    compose(link);
    link->sending = true;
    pump(link);
}

static void answer(connection *link)
{
    pb_origin_server *server = link->server;
    uint64_t delay_ms = link->exchange.response.delay_ms;
    link->state = ANSWERING;
    if (delay_ms == 0) {
        send_now(link);
        return;
    }
    /* The loop's clock stands still while a batch of requests is served: a delay counts from it. */
    pb_origin_delay_queue_add(&server->delays, &link->delay, uv_now(server->loop) + delay_ms);
    arm_timer(server);
}

static void on_timer(uv_timer_t *timer)
{
    pb_origin_server *server = timer->data;
    server->timer_due_ms = 0;
    uint64_t now = uv_now(server->loop);
    for (;;) {
        pb_origin_delay *delay = pb_origin_delay_queue_first(&server->delays);
        if (!delay || delay->due_ms > now) {
            break;
        }
        connection *link = (connection *)((char *)delay - offsetof(connection, delay));
        pb_origin_delay_queue_remove(&server->delays, delay);
        send_now(link);
    }
    arm_timer(server);
}

static void arm_timer(pb_origin_server *server)
{
    pb_origin_delay *delay = pb_origin_delay_queue_first(&server->delays);
    if (!delay || server->stopping ||
        (server->timer_due_ms && server->timer_due_ms <= delay->due_ms)) {
        return;
    }
    uint64_t now = uv_now(server->loop);
    server->timer_due_ms = delay->due_ms;
    uv_timer_start(&server->timer, on_timer, delay->due_ms > now ? delay->due_ms - now : 0, 0);
}

/* ---- bodies ---- */

static void hash_body(connection *link, const char *data, size_t size)
{
    if (link->exchange.plan.md5) {
        pb_hash_update(link->md5, data, size);
    }
    if (link->exchange.plan.sha256) {
        pb_hash_update(link->sha256, data, size);
    }
    if (link->exchange.plan.crc32c) {
        pb_hash_update(link->crc32c, data, size);
    }
}

static void drop_body(connection *link, pb_origin_body_failure failure)
{
    link->collects = false;
    pb_origin_content_release(link->exchange.body);
    link->exchange.body = NULL;
    link->exchange.body_failure = failure;
}

/* Bytes of the body with all framing off. */
static void keep_body(connection *link, const char *data, size_t size)
{
    pb_origin_exchange *exchange = &link->exchange;
    if (!link->collects || size == 0) {
        return;
    }
    uint64_t have = exchange->body ? exchange->body->size : 0;
    if (size > exchange->plan.limit_bytes || have > exchange->plan.limit_bytes - size) {
        drop_body(link, PB_ORIGIN_BODY_TOO_LARGE);
        return;
    }
    if (!exchange->body) {
        uint64_t capacity = exchange->plan.expected_bytes;
        exchange->body = pb_origin_content_new_bytes(capacity > size ? capacity : size);
    }
    pb_origin_content *grown =
        exchange->body ? pb_origin_content_append(exchange->body, data, size) : NULL;
    if (!grown) {
        drop_body(link, PB_ORIGIN_BODY_TOO_LARGE);
        return;
    }
    exchange->body = grown;
    hash_body(link, data, size);
}

/* Bytes of the body with the transfer coding off; aws-chunked framing may be inside. */
static void take_body(connection *link, const char *data, size_t size)
{
    if (!link->collects || !link->exchange.plan.aws_chunked) {
        keep_body(link, data, size);
        return;
    }
    while (size > 0 && link->collects) {
        size_t used;
        pb_slice run;
        pb_origin_chunk_result result =
            pb_origin_chunk_decode(&link->content_decoder, data, size, &used, &run);
        keep_body(link, run.data, run.size);
        data += used;
        size -= used;
        if (result == PB_ORIGIN_CHUNK_MALFORMED || (result == PB_ORIGIN_CHUNK_END && size > 0)) {
            drop_body(link, PB_ORIGIN_BODY_MALFORMED);
        }
    }
}

static void body_done(connection *link)
{
    pb_origin_server *server = link->server;
    pb_origin_exchange *exchange = &link->exchange;
    if (link->collects && exchange->plan.aws_chunked &&
        !pb_origin_chunk_saw_last(&link->content_decoder)) {
        drop_body(link, PB_ORIGIN_BODY_MALFORMED);
    }
    if (link->collects || exchange->body_failure != PB_ORIGIN_BODY_WHOLE) {
        if (exchange->plan.md5) {
            pb_hash_finish(link->md5, exchange->body_md5);
        }
        if (exchange->plan.sha256) {
            pb_hash_finish(link->sha256, exchange->body_sha256);
        }
        if (exchange->plan.crc32c) {
            pb_hash_finish(link->crc32c, exchange->body_crc32c);
        }
        server->service.finish(server->service.context, exchange);
    }
    answer(link);
}

/* A body that breaks the protocol: answered, and nothing after it can be trusted. */
static void body_broken(connection *link)
{
    drop_body(link, PB_ORIGIN_BODY_MALFORMED);
    link->exchange.request.keeps_alive = false;
    link->server->service.finish(link->server->service.context, &link->exchange);
    answer(link);
}

static size_t consume_body(connection *link, const char *data, size_t size)
{
    if (!link->exchange.request.is_chunked) {
        size_t run = size < link->body_remaining ? size : (size_t)link->body_remaining;
        take_body(link, data, run);
        link->body_remaining -= run;
        if (link->body_remaining == 0) {
            body_done(link);
        }
        return run;
    }
    size_t used;
    pb_slice run;
    pb_origin_chunk_result result =
        pb_origin_chunk_decode(&link->transfer_decoder, data, size, &used, &run);
    take_body(link, run.data, run.size);
    if (result == PB_ORIGIN_CHUNK_END) {
        body_done(link);
    } else if (result == PB_ORIGIN_CHUNK_MALFORMED) {
        body_broken(link);
    }
    return used;
}

static void say_continue(connection *link)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t vector = uv_buf_init(text, sizeof(text) - 1);
    if ((link->tls ? tls_write(link, &vector, 1) : write_vectors(link, &vector, 1, vector.len)) !=
        0) {
        close_connection(link);
    }
}

/* ---- heads ---- */

static void begin_hashes(connection *link)
{
    if (link->exchange.plan.md5) {
        link->md5 = pb_hash_reuse(link->md5, PB_HASH_MD5);
    }
    if (link->exchange.plan.sha256) {
        link->sha256 = pb_hash_reuse(link->sha256, PB_HASH_SHA256);
    }
    if (link->exchange.plan.crc32c) {
        link->crc32c = pb_hash_reuse(link->crc32c, PB_HASH_CRC32C);
    }
}

/* A head that could not be read: answered without the service knowing, then the connection goes. */
static void refuse_head(connection *link, int status)
{
    pb_origin_request *request = &link->exchange.request;
    request->keeps_alive = false;
    link->exchange.response.status = status;
    answer(link);
}

static void name_request(connection *link)
{
    static const char digits[] = "0123456789ABCDEF";
    uint64_t id = ++link->server->request_count * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 16; i++) {
        link->exchange.request_id[i] = digits[id >> (60 - 4 * i) & 15];
    }
}

/* Takes a whole head and starts its request. `more` tells whether bytes follow it already. */
static void take_head(connection *link, const char *data, size_t size, bool more)
{
    pb_origin_server *server = link->server;
    pb_origin_exchange *exchange = &link->exchange;
    link->scanned = 0;
    pb_buffer_clear(&link->head);
    pb_buffer_append(&link->head, data, size);
    name_request(link);
    exchange->plan = (pb_origin_body_plan){0};
    exchange->body_failure = PB_ORIGIN_BODY_WHOLE;
    int status = pb_origin_request_parse(link->head.data, size, &exchange->request);
    if (status != 0) {
        refuse_head(link, status);
        return;
    }
    const pb_origin_request *request = &exchange->request;
    link->bytes_in = size + request->content_length;
    link->counted = true;
    if (++server->in_flight > server->most_in_flight) {
        server->most_in_flight = server->in_flight;
    }
    link->collects = server->service.begin(server->service.context, exchange);
    bool has_body = request->is_chunked || request->content_length > 0;
    if (link->collects) {
        begin_hashes(link);
    }
    if (!has_body) {
        body_done(link);
        return;
    }
    link->state = READING_BODY;
    link->body_remaining = request->content_length;
    link->transfer_decoder = (pb_origin_chunk_decoder){0};
    link->content_decoder = (pb_origin_chunk_decoder){0};
    if (request->expects_continue && !more) {
        if (!link->collects) {
            /* The client is spared its body; what it might still send can't be told from a request.
             */
            exchange->request.keeps_alive = false;
            answer(link);
            return;
        }
        say_continue(link);
    }
    if (link->collects && !exchange->plan.aws_chunked && !request->is_chunked &&
        request->content_length >= DIRECT_BYTES_MIN &&
        request->content_length <= exchange->plan.limit_bytes) {
        exchange->body = pb_origin_content_new_bytes(request->content_length);
    }
}

/* Serves requests from bytes until they run out or an answer has to be waited for; returns how many
 * were consumed. */
static size_t consume(connection *link, const char *data, size_t size)
{
    size_t used = 0;
    link->consuming = true;
    while (used < size && !link->closing) {
        if (link->state == READING_BODY) {
            used += consume_body(link, data + used, size - used);
        } else if (link->state == READING_HEAD) {
            size_t head = pb_origin_request_head_size(data + used, size - used, &link->scanned);
            if (head > PB_ORIGIN_HEAD_BYTES_MAX ||
                (head == 0 && size - used > PB_ORIGIN_HEAD_BYTES_MAX)) {
                refuse_head(link, 431);
                used = size;
            } else if (head == 0) {
                break;
            } else {
                take_head(link, data + used, head, used + head < size);
                used += head;
            }
        } else {
            break;
        }
    }
    link->consuming = false;
    return link->closing ? size : used;
}

static void resume(connection *link)
{
    if (link->input.size > 0) {
        size_t used = consume(link, link->input.data, link->input.size);
        link->input.size -= used;
        memmove(link->input.data, link->input.data + used, link->input.size);
        if (link->input.size == 0 && link->input.capacity > KEPT_BUFFER_BYTES_MAX) {
            pb_buffer_free(&link->input);
        }
    }
    if (link->client_gone && link->state != ANSWERING) {
        close_connection(link);
    }
    /* Reading resumes only from here, outside of consume, once there is room again. */
    if (link->paused && !link->closing && link->input.size < PENDING_BYTES_MAX) {
        link->paused = false;
        uv_read_start((uv_stream_t *)&link->tcp, on_allocate, on_read);
    }
}

static void take_bytes(connection *link, const char *data, size_t size)
{
    if (link->input.size > 0) {
        pb_buffer_append(&link->input, data, size);
        if (link->state == READING_HEAD || link->state == READING_BODY) {
            resume(link);
        }
    } else {
        size_t used = consume(link, data, size);
        if (used < size && !link->closing) {
            pb_buffer_append(&link->input, data + used, size - used);
        }
    }
    if (!link->closing && !link->paused && link->input.size > PENDING_BYTES_MAX &&
        link->state != READING_HEAD && link->state != READING_BODY) {
        link->paused = true;
        uv_read_stop((uv_stream_t *)&link->tcp);
    }
}

/* ---- reading ---- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    connection *link = handle->data;
    (void)suggested;
    pb_origin_content *body = link->exchange.body;
    link->direct = !link->tls && link->state == READING_BODY && link->collects && body &&
                   link->input.size == 0 && !link->exchange.plan.aws_chunked &&
                   !link->exchange.request.is_chunked &&
                   body->capacity - body->size >= link->body_remaining;
    if (link->direct) {
        size_t run = link->body_remaining < READ_BYTES ? (size_t)link->body_remaining : READ_BYTES;
        *ret_buffer = uv_buf_init(body->data + body->size, (unsigned)run);
    } else {
        *ret_buffer = uv_buf_init(link->server->read_buffer, READ_BYTES);
    }
}

static void client_ended(connection *link, bool orderly)
{
    if (orderly && link->state == ANSWERING) {
        link->client_gone = true;
    } else {
        close_connection(link);
    }
}

static void tls_take(connection *link, const char *data, size_t size)
{
    tls *secure = link->tls;
    if (BIO_write(secure->incoming, data, (int)size) != (int)size) {
        close_connection(link);
        return;
    }
    while (!link->closing) {
        ERR_clear_error();
        int got = SSL_read(secure->ssl, link->server->plain_buffer, READ_BYTES);
        if (got > 0) {
            take_bytes(link, link->server->plain_buffer, (size_t)got);
            continue;
        }
        int reason = SSL_get_error(secure->ssl, got);
        if (tls_flush(link) != 0) {
            close_connection(link);
        } else if (reason == SSL_ERROR_ZERO_RETURN) {
            client_ended(link, true);
        } else if (reason != SSL_ERROR_WANT_READ) {
            close_connection(link);
        }
        break;
    }
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    connection *link = stream->data;
    if (link->closing || size == 0) {
        return;
    }
    if (size < 0) {
        client_ended(link, size == UV_EOF);
        return;
    }
    if (link->tls) {
        tls_take(link, buffer->base, (size_t)size);
        return;
    }
    if (!link->direct) {
        take_bytes(link, buffer->base, (size_t)size);
        return;
    }
    link->exchange.body->size += (uint64_t)size;
    link->body_remaining -= (uint64_t)size;
    hash_body(link, buffer->base, (size_t)size);
    if (link->body_remaining == 0) {
        body_done(link);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    pb_origin_server *server = listener->data;
    if (status < 0) {
        return;
    }
    connection *link = pb_allocate_zeroed(1, sizeof(*link));
    link->server = server;
    link->delay.position = PB_ORIGIN_NOT_QUEUED;
    link->exchange.state = pb_allocate_zeroed(1, server->service.state_bytes);
    link->next = server->connections;
    if (link->next) {
        link->next->previous = link;
    }
    server->connections = link;
    uv_tcp_init(server->loop, &link->tcp);
    link->tcp.data = link;
    if (uv_accept(listener, (uv_stream_t *)&link->tcp) != 0) {
        close_connection(link);
        return;
    }
    server->accepted++;
    uv_tcp_nodelay(&link->tcp, 1);
    if (server->tls_context) {
        link->tls = pb_allocate_zeroed(1, sizeof(*link->tls));
        link->tls->ssl = SSL_new(server->tls_context);
        link->tls->incoming = BIO_new(BIO_s_mem());
        link->tls->outgoing = BIO_new(BIO_s_mem());
        SSL_set_bio(link->tls->ssl, link->tls->incoming, link->tls->outgoing);
        SSL_set_accept_state(link->tls->ssl);
    }
    if (uv_read_start((uv_stream_t *)&link->tcp, on_allocate, on_read) != 0) {
        close_connection(link);
    }
}

/* ---- the server ---- */

static int tls_open(pb_origin_server *server, const pb_origin_server_options *options,
                    pb_error *error)
{
    server->tls_context = SSL_CTX_new(TLS_server_method());
    if (!server->tls_context ||
        SSL_CTX_use_certificate_chain_file(server->tls_context, options->tls_certificate_file) !=
            1 ||
        SSL_CTX_use_PrivateKey_file(server->tls_context, options->tls_key_file, SSL_FILETYPE_PEM) !=
            1) {
        char reason[160];
        ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
        return pb_error_set(error, PB_ERROR_USAGE, "certificate or key: %s", reason);
    }
    SSL_CTX_set_mode(server->tls_context, SSL_MODE_RELEASE_BUFFERS);
    return 0;
}

static void ignore_close(uv_handle_t *handle)
{
    (void)handle;
}

int pb_origin_server_start(uv_loop_t *loop, const pb_origin_server_options *options,
                           pb_origin_service service, pb_origin_server **ret_server,
                           pb_error *error)
{
    pb_origin_server *server = pb_allocate_zeroed(1, sizeof(*server));
    server->loop = loop;
    server->service = service;
    server->clock_offset_ms = options->clock_offset_ms;
    if (options->tls_certificate_file && tls_open(server, options, error) != 0) {
        SSL_CTX_free(server->tls_context);
        free(server);
        return -1;
    }
    server->read_buffer = pb_allocate(READ_BYTES);
    server->plain_buffer = pb_allocate(READ_BYTES);
    uv_timer_init(loop, &server->timer);
    server->timer.data = server;
    uv_tcp_init(loop, &server->listener);
    server->listener.data = server;
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", options->port, &address);
    int result = uv_tcp_bind(&server->listener, (const struct sockaddr *)&address, 0);
    if (result == 0) {
        result = uv_listen((uv_stream_t *)&server->listener, 4096, on_connection);
    }
    int length = sizeof(address);
    if (result == 0) {
        result = uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address, &length);
    }
    if (result != 0) {
        pb_origin_server_stop(server);
        uv_run(loop, UV_RUN_DEFAULT);
        pb_origin_server_free(server);
        return pb_error_set(error, PB_ERROR_UNREACHABLE, "listening on 127.0.0.1 port %u: %s",
                            (unsigned)options->port, uv_strerror(result));
    }
    server->port = ntohs(address.sin_port);
    *ret_server = server;
    return 0;
}

uint16_t pb_origin_server_port(const pb_origin_server *server)
{
    return server->port;
}

void pb_origin_server_stop(pb_origin_server *server)
{
    if (server->stopping) {
        return;
    }
    server->stopping = true;
    uv_close((uv_handle_t *)&server->listener, ignore_close);
    uv_close((uv_handle_t *)&server->timer, ignore_close);
    for (connection *link = server->connections; link; link = link->next) {
        close_connection(link);
    }
}

void pb_origin_server_free(pb_origin_server *server)
{
    if (server) {
        pb_origin_delay_queue_free(&server->delays);
        SSL_CTX_free(server->tls_context);
        free(server->read_buffer);
        free(server->plain_buffer);
        free(server);
    }
}

uint64_t pb_origin_server_in_flight(const pb_origin_server *server)
{
    return server->in_flight;
}

uint64_t pb_origin_server_most_in_flight(const pb_origin_server *server)
{
    return server->most_in_flight;
}

uint64_t pb_origin_server_connections(const pb_origin_server *server)
{
    return server->accepted;
}

void pb_origin_server_reset_most_in_flight(pb_origin_server *server)
{
    server->most_in_flight = server->in_flight;
}
