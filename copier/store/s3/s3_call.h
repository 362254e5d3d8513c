/* copier/store/s3/s3_call.h - what S3 adds to a call (copier/store/call.h): its request, its
 * answer, redirects, and the steps that it needs beside the common ones. Inside s3/ only. */
#ifndef PB_COPIER_STORE_S3_S3_CALL_H
#define PB_COPIER_STORE_S3_S3_CALL_H

#include "copier/store/call.h"
#include "copier/store/s3/answer.h"
#include "copier/store/s3/login.h"
#include "copier/store/s3/request.h"
#include "copier/store/s3/response.h"

enum {
    S3_MOVES_MAX = 2,     /* redirects and corrected regions of one request */
    S3_ADOPTIONS_MAX = 4, /* corrected regions of one store */
};

/* config->settings. Read-only while stores are open, but for the region, which a CHECK learns. */
typedef struct s3_settings {
    pb_provider *provider; /* of the login; all loops' */
    char *login_identity;  /* what stays the same when its keys rotate (aws_login.h) */
    char *ca_bundle;       /* NULL: the client's */
    char *region;
} s3_settings;

/* store->state */
typedef struct s3_store {
    pb_caller caller;
    s3_settings *settings;
    pb_s3_login login;
    pb_s3_parser *parser;
    /* The last is the one in use; attempts in flight still point into those before. */
    pb_s3_endpoint endpoints[1 + S3_ADOPTIONS_MAX];
    unsigned endpoint_count;
} s3_store;

typedef enum s3_step {
    S3_STEP_LEARN_ETAG = PB_STEP_OWN, /* COMPLETE: what ETag did it get? */
    S3_STEP_LOOK_INSIDE,              /* CHECK: an answer with a body says why */
    S3_STEP_READ_BACK,                /* PUT: is it the ETag, or are it the bytes, that differ? */
} s3_step;

typedef struct s3_call {
    pb_call call; /* first: callbacks cast */
    pb_s3_request built;
    pb_s3_answer answer;
    pb_buffer upload_id;
    const pb_s3_endpoint *endpoint; /* of this attempt */
    unsigned login_number;          /* likewise */
    pb_s3_endpoint redirects[S3_MOVES_MAX];
    bool redirected; /* the last of redirects is in use */
    unsigned moves;
    bool no_gzip; /* GET, HEAD: gzip was offered, and made the answer useless */
} s3_call;

static inline const pb_s3_endpoint *s3_endpoint_of(const s3_store *s3)
{
    return &s3->endpoints[s3->endpoint_count - 1];
}

/* What s3_endpoint_of(s3) says now is where the store's requests queue. */
void s3_endpoint_changed(s3_store *s3);

/* The region that the store names is used from now on. False where that happened too often. */
bool s3_adopt_region(s3_store *s3, const char *region);

extern const pb_call_dialect s3_call_dialect;

#endif
