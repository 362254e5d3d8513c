/* copier/store/call.h - one store request on its way through HTTP: what drivers of HTTP share.
 *
 * A call carries one pb_store_request: it prepares each attempt, takes the answer in and judges it;
 * some requests take a further look, which is another HTTP request (a step) of the same call. What
 * is said and what an answer means is the dialect's, a table of functions for each driver. Inside
 * copier/store only; one loop, its thread. */
#ifndef PB_COPIER_STORE_CALL_H
#define PB_COPIER_STORE_CALL_H

#include "copier/store/answer.h"
#include "copier/store/driver.h"

typedef struct pb_call pb_call;

/* The first request of a call is PB_STEP_ASKED; a dialect's own steps begin at PB_STEP_OWN. */
enum {
    PB_STEP_ASKED,       /* the caller's request itself */
    PB_STEP_DELETE_EACH, /* DELETE: keys that cannot go together go one by one */
    PB_STEP_COMPARE,     /* PUT, COMPLETE: is what is there what was sent? */
    PB_STEP_OWN,
};

typedef struct pb_call_dialect {
    size_t call_bytes; /* of the driver's struct, which begins with a pb_call; zeroed once */
    /* "GET", "HEAD", "PUT", "POST" or "DELETE" for call->asked. */
    const char *(*method)(const pb_call *call);
    /* What is asked has changed: forget what was made for the request before. May be NULL. */
    void (*asked_anew)(pb_call *call);
    /* Writes an attempt, as pb_http_request.prepare does. The answer has been forgotten. */
    int (*prepare)(pb_call *call, pb_http_attempt *attempt, pb_error *error);
    /* One header of the answer, lower case. Those of pb_answer are taken already. */
    void (*received_header)(pb_call *call, pb_slice name, pb_slice value);
    /* GET: all headers came. Checks what they promise of the object, beside its range; may lower
     * call->bytes_given_max. */
    int (*begin_object)(pb_call *call, pb_error *error);
    /* GET that broke: the ETag by which the rest of these bytes can be asked for, as if_match has
     * it; empty where the answer named none, or its bytes may not be those that are stored. */
    pb_slice (*etag_received)(const pb_call *call);
    /* False for a key that one DELETE cannot name beside others. NULL: each goes by itself. */
    bool (*deletes_with_others)(pb_slice key);
    /* What the answer means, as pb_http_request.judge does. Of a GET that succeeded all bytes have
     * come. */
    pb_http_verdict (*judge)(pb_call *call);
    /* The step has ended (call->http.error). True where the dialect began another with
     * pb_call_begin_step. */
    bool (*next_step)(pb_call *call);
    /* COMPARE of a COMPLETE: true where call->extra shows the object that was to be completed. */
    bool (*is_completed)(const pb_call *call);
    const char *(*base_url)(const pb_call *call); /* for messages */
    void (*released)(pb_call *call);              /* the call waits for its next request */
    void (*free)(pb_call *call);                  /* what the driver's struct holds */
} pb_call_dialect;

/* The calls of one store on one loop. */
typedef struct pb_caller {
    pb_store *store;
    const pb_call_dialect *dialect;
    pb_http_endpoint *paced; /* the endpoint in use; the driver's to set */
    pb_call *free_calls;
    pb_call *free_list_calls; /* whose buffers are large */
} pb_caller;

struct pb_call {
    pb_http_request http; /* first: callbacks cast */
    pb_caller *caller;
    pb_call *next; /* free list */
    bool for_list; /* which of them */
    pb_store_request *request;
    int step;
    const pb_store_request *asked; /* what the HTTP request carries: request, or &extra */
    pb_store_request *results;     /* the same, to write to */
    pb_store_request extra;        /* of the steps but the first */
    size_t delete_index;
    uint64_t compared_bytes;
    pb_error kept_error; /* COMPARE: the answer that is doubted */
    pb_answer answer;
    bool described;  /* http.error names the request already */
    bool body_begun; /* GET: bytes_expected and size are known */
    bool given;      /* GET: the caller holds bytes */
    uint64_t bytes_expected;
    uint64_t bytes_received;
    uint64_t bytes_given_max; /* GET: more than these are not given to the caller */
    /* GET that goes on where an attempt broke: `asked` is `rest`, the rest of `whole`. */
    const pb_store_request *whole; /* NULL: it does not */
    pb_store_request rest;
    uint64_t bytes_kept; /* that the caller has of earlier attempts */
    char kept_etag[PB_ETAG_TEXT_MAX];
    bool starts_over; /* the store does not give the rest: the whole is asked for again */
};

enum { PB_CALL_BODY_BYTES_MAX = 8 * 1024 * 1024 }; /* of an answer that is no object */

/* Carries the request out. */
void pb_caller_submit(pb_caller *caller, pb_store_request *request);
/* Frees the calls; none is under way. */
void pb_caller_free(pb_caller *caller);

/* For dialects. Takes the next step: call->extra is zeroed but for operation, key and context, and
 * the dialect fills the rest. */
void pb_call_begin_step(pb_call *call, int step, pb_store_operation operation, pb_slice key);
/* A step that GETs what the caller's PUT wrote and compares it: after it call->compared_bytes is
 * the body's size where the bytes are the same; `error` EXISTS where others are there. */
void pb_call_begin_compare(pb_call *call, int step);
/* Fails the attempt for what the answer lacks or holds: SERVER is tried again. */
pb_http_verdict pb_call_breaks_protocol(pb_call *call, pb_error_kind kind, const char *why);
/* The request succeeded, and its answer cannot be read; http.error says why. SERVER is tried again:
 * the answer was cut off, or a web page came from a store that was read before. A web page from one
 * that was not read yet is final (USAGE, with a hint). */
pb_http_verdict pb_call_cannot_read(pb_call *call);
/* The answer was read: notes what the store's config keeps of it. DONE. */
pb_http_verdict pb_call_has_read(pb_call *call);
/* Appends "PUT s3://bucket/key at https://host". */
void pb_call_describe(const pb_call *call, pb_buffer *buffer);
/* An attempt whose answer was lost may have done what a later one finds done. */
static inline bool pb_call_is_doubtful(const pb_call *call)
{
    return call->http.attempts > 1;
}

#endif
