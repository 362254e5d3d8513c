/* copier/http/http.h - HTTP requests on a libuv loop: the only door to libcurl.
 *
 * A pb_http belongs to one loop and its thread; every function here is called on that thread. It
 * keeps connections, transfer handles and header lists and reuses them, admits at most `parallel`
 * requests at once (the rest wait in order, each endpoint's in a queue of its own), and owns
 * attempts: pace, limits, deadlines, retry with full jitter and patience, Retry-After, hedging.
 * What an answer means is the caller's: `prepare` writes each attempt (so that it is signed
 * afresh), `judge` reads each answer. Redirects are never followed by libcurl: a caller judges a
 * 301 or 307 and prepares the next attempt for another endpoint. TLS certificates are always
 * verified and a https endpoint is never spoken to in plain text.
 *
 * Bodies: the answer's body streams into `received_body` while the socket is read, so a slow
 * consumer slows the sender; the request's body is sent from memory that the caller holds under its
 * budget, which is what makes every attempt repeatable (see ARCHITECTURE.md). */
#ifndef PB_COPIER_HTTP_HTTP_H
#define PB_COPIER_HTTP_HTTP_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "copier/http/outage.h"
#include <uv.h>

typedef struct pb_http pb_http;
typedef struct pb_http_endpoint pb_http_endpoint;

typedef struct pb_http_options {
    unsigned parallel;           /* most requests in flight on this loop, at least 1 */
    uint32_t connect_timeout_ms; /* name, TCP and TLS together */
    uint32_t stall_window_ms;    /* an attempt that moves less than... */
    uint32_t stall_bytes_per_s;  /* ...this for so long is given up and tried again */
    uint32_t attempt_timeout_ms; /* one attempt as a whole; 0 for no limit */
    /* How long requests are tried again while their endpoint answers none of them (outage.h), from
     * the first failure after its last answer on. */
    uint32_t patience_ms;
    /* How often it is tried again where the endpoint answers others: then the fault is its own.
     * Throttling is nobody's fault, and does not count. */
    unsigned failures_max;
    uint32_t retry_base_ms; /* the wait before attempt n+1 is uniform in [0, min(cap, base*2^n)] */
    uint32_t retry_cap_ms;
    /* Averages that are not passed, over all endpoints; 0 for none. Bytes are those of bodies, sent
     * and received; each sending of a request counts. */
    double limit_requests_per_s;
    double limit_bytes_per_s;
    const char *ca_bundle; /* PEM file; NULL for the system's; borrowed until pb_http_close */
    pb_outages *outages;   /* shared by the clients of a run; NULL for none; borrowed */
    const pb_log *log;     /* attempts that failed, at debug level; NULL for none; borrowed */
} pb_http_options;

/* Defaults: 64, 10 s, 30 s, 1 B/s, none, 15 min, 32 failures, 100 ms, 20 s, no limits. */
pb_http_options pb_http_options_default(void);

/* Opens a client on `loop`. Fails where a CA bundle cannot be read (USAGE). */
int pb_http_open(uv_loop_t *loop, const pb_http_options *options, pb_http **ret_http,
                 pb_error *error);

/* Closes it; no request may be under way. The caller then runs the loop once more for the handles'
 * close callbacks; `http` is freed by them. NULL allowed. */
void pb_http_close(pb_http *http);

/* The endpoint that requests to this base URL are paced by (pace.h): a queue and a window of its
 * own, shared by all who ask for the same URL. Made on first use; freed with the client. */
pb_http_endpoint *pb_http_endpoint_at(pb_http *http, const char *base_url);

enum { PB_HTTP_HEADERS_MAX = 64 };

/* What `prepare` writes for one attempt. All memory is the caller's and stays valid and unchanged
 * until the next prepare or done. */
typedef struct pb_http_attempt {
    const char *base_url;                     /* "https://host[:port]", no path */
    const char *target;                       /* "/path?query", sent as it is: no normalisation */
    const char *headers[PB_HTTP_HEADERS_MAX]; /* "Name: value"; Host and Content-Length come by
                                                 themselves */
    size_t header_count;
    pb_slice body;         /* with PUT and POST; {NULL, 0} sends Content-Length: 0 */
    const char *ca_bundle; /* PEM file; NULL: the client's */
} pb_http_attempt;

typedef enum pb_http_verdict {
    PB_HTTP_DONE,  /* final: request->error says whether it is a success */
    PB_HTTP_RETRY, /* request->error says why; final where patience or failures_max end */
    PB_HTTP_AGAIN, /* at once, no wait (a redirect or a corrected region); counts as an attempt */
} pb_http_verdict;

/* One request. Zero it, fill the first group, submit. The memory is the caller's until done. */
typedef struct pb_http_request {
    const char *method; /* GET HEAD PUT POST DELETE; static */
    bool first; /* goes before those that wait (listings, so that the pipe is never empty) */
    bool bulk;  /* moves hundreds of kilobytes: gets large socket buffers */
    bool
        hedge; /* small and repeatable: an attempt that hears nothing for much longer than the
                  endpoint usually takes is repeated at once on another connection, twice at most */
    pb_http_endpoint *endpoint; /* paces it, though a redirect may lead elsewhere; NULL: unpaced */
    /* Not 0: the store works before it answers, and may be silent for so long, or stall_window_ms
     * if that is longer. Doubled by each attempt that was given up for its silence, and for what
     * comes after it where that helped. */
    uint32_t silence_ms;
    unsigned attempts_max; /* 0: as patience_ms and failures_max have it; else no more than these */
    bool renewed; /* set by prepare: what the last attempt brought is kept, so that it did not fail
                   */
    uint64_t body_bytes; /* of the answer, as far as known: limit_bytes_per_s is charged with them
                            at the beginning */
    void *context;

    /* Writes the next attempt. Called on the loop, never inside pb_http_submit. -1 ends the request
     * with the error. */
    int (*prepare)(struct pb_http_request *request, pb_http_attempt *attempt, pb_error *error);
    /* An attempt's answer begins anew: forget headers and body of an earlier one. May be NULL. */
    void (*restarted)(struct pb_http_request *request);
    /* One header; names are lower case. May be NULL. */
    void (*received_header)(struct pb_http_request *request, pb_slice name, pb_slice value);
    /* Bytes of the body; request->status is set. Non-zero ends the request with request->error,
     * which the callback has filled. May be NULL: dropped. */
    int (*received_body)(struct pb_http_request *request, const void *data, size_t size);
    /* A whole answer came (status set): what now? Fills request->error (kind NONE on entry) for
     * anything but success; THROTTLED slows the endpoint down. Retry-After is honoured by the
     * client. Attempts that broke before a whole answer are retried by the client alone. */
    pb_http_verdict (*judge)(struct pb_http_request *request);
    /* Fires exactly once, on the loop, never inside pb_http_submit; request may be reused or freed.
     */
    void (*done)(struct pb_http_request *request);

    /* Written by the client. */
    int status;        /* of this attempt's answer, 0 before */
    unsigned attempts; /* sendings so far, libcurl's own repetitions among them */
    pb_error error;    /* of the last attempt; kind NONE after success */

    struct pb_http_private { /* the client's */
        struct pb_http_request *next;
        int64_t failing_since_ms; /* since its first attempt, or bytes of an answer came */
        int64_t failed_ms;        /* of its last failure; 0: none yet */
        int64_t due_ms;
        int64_t retry_after_ms;
        unsigned failures;        /* that are its own */
        unsigned attempts_before; /* it was renewed: the wait for the next attempt is short again */
        unsigned redirects, hedges, silences;
    } private_;
} pb_http_request;

void pb_http_submit(pb_http *http, pb_http_request *request);

/* Ends everything that is queued, waiting for a retry or in flight: each request's done fires from
 * the loop with PB_ERROR_CANCELLED. */
void pb_http_cancel_now(pb_http *http);
/* The same; later submissions end likewise. */
void pb_http_cancel_all(pb_http *http);

/* For -v and the tests. */
typedef struct pb_http_statistics {
    uint64_t requests, attempts, retries, bytes_sent, bytes_received;
    uint64_t throttled; /* attempts that were answered with "slow down" */
    uint64_t hedges;    /* attempts given up for their silence and repeated */
    unsigned in_flight_most;
} pb_http_statistics;
pb_http_statistics pb_http_statistics_of(const pb_http *http);
unsigned pb_http_endpoint_window(const pb_http_endpoint *endpoint); /* most in flight just now */

/* Once a process, before any thread and after all of them. */
void pb_http_process_start(void);
void pb_http_process_end(void);

#endif
