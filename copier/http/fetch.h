/* copier/http/fetch.h - one small HTTP request that blocks: what logins ask of token endpoints.
 *
 * For threads that may wait, never on a loop. One attempt; TLS is verified as everywhere; redirects
 * are not followed, so that no secret goes where nobody sent it: the caller sees the 3xx. Any
 * thread; after pb_http_process_start. */
#ifndef PB_COPIER_HTTP_FETCH_H
#define PB_COPIER_HTTP_FETCH_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    PB_FETCH_HEADERS_MAX = 16,
    PB_FETCH_BODY_BYTES_MAX = 1024 * 1024,
    PB_FETCH_HEADER_BYTES_MAX = 256,
};

typedef struct pb_fetch_request {
    const char *method;                        /* GET, PUT, POST */
    const char *url;                           /* "http[s]://host[:port]/path?query" */
    const char *headers[PB_FETCH_HEADERS_MAX]; /* "Name: value"; NULL after the last */
    pb_slice body;                             /* PUT, POST; may hold secrets */
    uint32_t connect_timeout_ms, timeout_ms;   /* of the connection; of all of it */
    bool no_proxy;                             /* an address of this machine or of its link */
    const char *ca_bundle;                     /* PEM file; NULL for the system's */
    const char *wanted_header;                 /* "Location": one of the answer's; NULL for none */
} pb_fetch_request;

/* Zero it; free with pb_fetch_answer_free, which wipes the body: it may be a secret. */
typedef struct pb_fetch_answer {
    int status;
    char header[PB_FETCH_HEADER_BYTES_MAX]; /* value of the wanted one, "" where there is none or it
                                               is too long */
    pb_buffer body; /* never moved once filled: no copies of secrets are left behind */
} pb_fetch_answer;

/* Sends the request. 0 where an answer came, whatever its status. Fails with UNREACHABLE (name,
 * connection, TLS, time-out), SERVER (a broken answer), FAILED (a body of more than
 * PB_FETCH_BODY_BYTES_MAX) or USAGE (not a URL of HTTP). Messages name the URL without its query,
 * and never show a body. */
int pb_fetch(const pb_fetch_request *request, pb_fetch_answer *ret_answer, pb_error *error);
void pb_fetch_answer_free(pb_fetch_answer *answer);

#endif
