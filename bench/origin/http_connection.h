/* bench/origin/http_connection.h - the HTTP/1.1 server: listening, connections, bodies, answers,
 * TLS.
 *
 * One loop thread. It knows nothing of S3: a service is told of each request when its head is there
 * and when its body is, and fills a response. Requests of a connection are served one after the
 * other, in order. An answer is one vectored write whose body is not copied. */
#ifndef PB_BENCH_ORIGIN_HTTP_CONNECTION_H
#define PB_BENCH_ORIGIN_HTTP_CONNECTION_H

#include "base/error.h"
#include "bench/origin/content.h"
#include "bench/origin/http_request.h"
#include <uv.h>

/* How the bytes of an answer go wrong on purpose. */
typedef enum pb_origin_damage {
    PB_ORIGIN_DAMAGE_NONE,
    PB_ORIGIN_DAMAGE_RESET,       /* the connection is reset instead of the answer */
    PB_ORIGIN_DAMAGE_TRUNCATED,   /* half of the announced body, then the connection is closed */
    PB_ORIGIN_DAMAGE_STALL,       /* no answer, until the client goes */
    PB_ORIGIN_DAMAGE_STALL_MIDWAY /* half of the body, then nothing more, until the client goes */
} pb_origin_damage;

/* What the service answers. The body is text, then text_rest, then a range of content. */
typedef struct pb_origin_response {
    int status;
    pb_buffer headers;          /* whole lines with their CRLF */
    pb_buffer text;             /* sent in one piece with the head */
    pb_buffer text_rest;        /* for large ones */
    pb_origin_content *content; /* held; NULL for none */
    uint64_t content_offset;
    uint64_t content_size;
    bool is_head; /* announce `announced_bytes`, send no body */
    uint64_t announced_bytes;
    bool close; /* the connection, after this answer */
    uint64_t delay_ms;
    pb_origin_damage damage;
    bool flips; /* one byte of content, at flip_offset of the sent range */
    uint64_t flip_offset;
} pb_origin_response;

/* How a request's body is taken; filled by the service's begin. */
typedef struct pb_origin_body_plan {
    bool md5;
    bool sha256; /* of the body as decoded */
    bool crc32c;
    bool aws_chunked;
    uint64_t limit_bytes;
    uint64_t expected_bytes; /* decoded; 0 where unknown */
} pb_origin_body_plan;

typedef enum pb_origin_body_failure {
    PB_ORIGIN_BODY_WHOLE,
    PB_ORIGIN_BODY_MALFORMED,
    PB_ORIGIN_BODY_TOO_LARGE,
} pb_origin_body_failure;

typedef struct pb_origin_exchange {
    pb_origin_request request;
    char request_id[17];
    pb_origin_body_plan plan;
    pb_origin_content
        *body; /* BYTES; the service may take it and set NULL. NULL for an empty one */
    pb_origin_body_failure body_failure;
    uint8_t body_md5[PB_MD5_BYTES];
    uint8_t body_sha256[PB_SHA256_BYTES];
    uint8_t body_crc32c[PB_CRC32C_BYTES];
    pb_origin_response response;
    void *state; /* state_bytes of the service, kept from request to request */
} pb_origin_exchange;

typedef struct pb_origin_service {
    void *context;
    size_t state_bytes;
    /* The head is there. True: the body is collected, then finish is called. False: the response is
     * filled already; the body is read and dropped, then the response is sent. */
    bool (*begin)(void *context, pb_origin_exchange *exchange);
    /* The body is there (or body_failure says why not). Fills the response. */
    void (*finish)(void *context, pb_origin_exchange *exchange);
    /* Once for each request that got as far as an answer, when the answer is written or given up.
     */
    void (*answered)(void *context, const pb_origin_exchange *exchange, uint64_t bytes_in,
                     uint64_t bytes_out);
    /* Before a connection's memory goes. */
    void (*forget)(void *context, void *state);
} pb_origin_service;

typedef struct pb_origin_server_options {
    uint16_t port;                    /* 0: any free one */
    const char *tls_certificate_file; /* NULL: plain HTTP */
    const char *tls_key_file;
    int64_t clock_offset_ms; /* shifts the Date header */
} pb_origin_server_options;

typedef struct pb_origin_server pb_origin_server;

/* "404 Not Found" */
const char *pb_origin_status_text(int status);

/* Listens on 127.0.0.1. The server lives until pb_origin_server_stop and the loop have run out. */
int pb_origin_server_start(uv_loop_t *loop, const pb_origin_server_options *options,
                           pb_origin_service service, pb_origin_server **ret_server,
                           pb_error *error);
uint16_t pb_origin_server_port(const pb_origin_server *server);
/* Closes everything; free with pb_origin_server_free once uv_run has returned. */
void pb_origin_server_stop(pb_origin_server *server);
void pb_origin_server_free(pb_origin_server *server);

/* Requests whose head has been read and whose answer has not been written, now and at most. */
uint64_t pb_origin_server_in_flight(const pb_origin_server *server);
uint64_t pb_origin_server_most_in_flight(const pb_origin_server *server);
uint64_t pb_origin_server_connections(const pb_origin_server *server); /* accepted so far */
void pb_origin_server_reset_most_in_flight(pb_origin_server *server);

#endif
