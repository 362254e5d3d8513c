/* copier/store/s3/s3_call.h - one store request on its way through HTTP. Inside s3/ only.
 *
 * A call carries one pb_store_request: it prepares each attempt, takes the answer in and judges it.
 * Some requests need a second look, which is another HTTP request of the same call (s3_driver.c
 * decides): a create-only PUT that was refused after a lost answer, a CHECK refused without saying
 * why. */
#ifndef PB_COPIER_STORE_S3_S3_CALL_H
#define PB_COPIER_STORE_S3_S3_CALL_H

#include "copier/store/driver.h"
#include "copier/store/s3/answer.h"
#include "copier/store/s3/login.h"
#include "copier/store/s3/request.h"
#include "copier/store/s3/response.h"

enum {
    S3_MOVES_MAX = 2,     /* redirects and corrected regions of one request */
    S3_ADOPTIONS_MAX = 4, /* corrected regions of one store */
};

/* config->settings. Read-only while stores are open, but for the region that a CHECK learns. */
typedef struct s3_settings {
    pb_provider *provider; /* of the login; all loops' */
    char *login_identity;  /* what stays the same when its keys rotate (aws_login.h) */
    char *ca_bundle;       /* NULL: the client's */
    char *region;
} s3_settings;

typedef struct s3_call s3_call;

/* store->state */
typedef struct s3_store {
    pb_store *store;
    s3_settings *settings;
    pb_s3_login login;
    pb_s3_parser *parser;
    pb_http_endpoint *paced; /* of the endpoint in use */
    /* The last is the one in use; attempts in flight still point into those before. */
    pb_s3_endpoint endpoints[1 + S3_ADOPTIONS_MAX];
    unsigned endpoint_count;
    s3_call *free_calls;
    s3_call *free_list_calls; /* whose buffers are large */
} s3_store;

typedef enum s3_step {
    S3_STEP_ASKED,       /* the caller's request itself */
    S3_STEP_DELETE_EACH, /* DELETE: keys that no XML can hold go one by one */
    S3_STEP_COMPARE,     /* PUT, COMPLETE: is what is there what we sent? */
    S3_STEP_LEARN_ETAG,  /* COMPLETE: what ETag did it get? */
    S3_STEP_LOOK_INSIDE, /* CHECK: an answer with a body says why */
} s3_step;

struct s3_call {
    pb_http_request http; /* first: callbacks cast */
    s3_store *s3;
    s3_call *next; /* free list */
    bool for_list; /* which of them */
    pb_store_request *request;
    s3_step step;
    const pb_store_request *asked; /* what the HTTP request carries: request, or &extra */
    pb_store_request *results;     /* the same, to write to */
    pb_store_request extra;        /* of the steps but the first */
    size_t delete_index;
    uint64_t compared_bytes;
    pb_error kept_error; /* COMPARE: the answer that is doubted */

    pb_s3_request built;
    pb_s3_answer answer;
    pb_buffer upload_id;
    const pb_s3_endpoint *endpoint; /* of this attempt */
    unsigned login_number;          /* likewise */
    pb_s3_endpoint redirects[S3_MOVES_MAX];
    bool redirected; /* the last of redirects is in use */
    unsigned moves;
    bool told;       /* http.error was filled here and names the request */
    bool body_begun; /* GET: bytes_expected and size are known */
    bool given;      /* GET: the caller holds bytes */
    uint64_t bytes_expected;
    uint64_t bytes_received;
};

static inline const pb_s3_endpoint *s3_endpoint_of(const s3_store *s3)
{
    return &s3->endpoints[s3->endpoint_count - 1];
}

/* What s3_endpoint_of(s3) says now is where the store's requests queue. */
void s3_endpoint_changed(s3_store *s3);

/* Submits what call->asked says. */
void s3_call_submit(s3_call *call, void (*done)(pb_http_request *http));

/* Appends "PUT s3://bucket/key at https://host". */
void s3_call_describe(const s3_call *call, pb_buffer *buffer);

/* The region that the store names is used from now on. False where that happened too often. */
bool s3_adopt_region(s3_store *s3, const char *region);

#endif
