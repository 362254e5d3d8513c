/* copier/store/gcs/gcs_call.h - what Google Cloud Storage adds to a call (copier/store/call.h): its
 * request, its answer, copies of several requests, uploads that are continued. Inside gcs/ only. */
#ifndef PB_COPIER_STORE_GCS_GCS_CALL_H
#define PB_COPIER_STORE_GCS_GCS_CALL_H

#include "copier/store/call.h"
#include "copier/store/credentials/provider.h"
#include "copier/store/gcs/answer.h"
#include "copier/store/gcs/request.h"

/* config->settings. Read-only while stores are open. */
typedef struct gcs_settings {
    const char *base_url; /* the location's, or Google's own */
    pb_provider *login;
    char *login_name; /* what stays the same when its token rotates */
} gcs_settings;

/* store->state */
typedef struct gcs_store {
    pb_caller caller;
    gcs_settings *settings;
    pb_credential credential; /* in use on this loop... */
    unsigned credential_number;
} gcs_store;

enum {
    GCS_STEP_REWRITE = PB_STEP_OWN, /* COPY: the store has copied a share, and goes on */
    GCS_STEP_CHUNK,                 /* PUT with metadata: its session has begun, the body follows */
    GCS_STEP_REST,                  /* MULTIPART_PUT: the store has a share of it */
    GCS_STEP_HEADERS,               /* GET: which metadata has the object? */
};

typedef struct gcs_call {
    pb_call call; /* first: callbacks cast */
    pb_gcs_request built;
    pb_gcs_answer answer;
    pb_gcs_stage stage; /* of this attempt */
    unsigned credential_number;
    pb_buffer session; /* of an upload */
    pb_buffer rewrite_token;
    uint8_t body_crc32c[PB_CRC32C_BYTES]; /* PUT */
    bool position_known;                  /* a chunk that broke: nothing of it has come */
    bool goes_on;                         /* a share of a chunk has come, up to... */
    uint64_t position;
    unsigned idle_rests; /* of the chunk nothing more has come, so many times */
    bool begun_anew; /* an upload or a copy that the store has lost: it has had its second try */
    bool rewritten;  /* the rewrite is done, else... */
    uint64_t rewritten_bytes; /* ...so far, and... */
    unsigned idle_rewrites;   /* ...so many answers ago */
    char source_version[24];  /* COPY: of the source that has the bytes; "" for any */
} gcs_call;

extern const pb_call_dialect gcs_call_dialect;

#endif
