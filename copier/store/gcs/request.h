/* copier/store/gcs/request.h - requests to Google Cloud Storage as bytes: target, headers, body.
 * Pure; one thread.
 *
 * Source: the JSON API, https://cloud.google.com/storage/docs/json_api/v1/objects and
 * https://cloud.google.com/storage/docs/performing-resumable-uploads. Answers are asked for with a
 * mask of the fields that are read. Keys of an object's own metadata that no header can hold stay
 * where they are: only copies inside the store keep them. */
#ifndef PB_COPIER_STORE_GCS_REQUEST_H
#define PB_COPIER_STORE_GCS_REQUEST_H

#include "copier/store/store.h"

enum {
    PB_GCS_NAME_BYTES_MAX = 1024,
    PB_GCS_PARTS_MAX = 10000,        /* ours, as on S3: chunks have no numbers */
    PB_GCS_CHUNK_BYTES = 256 * 1024, /* chunks of an upload are multiples of it, but the last */
};

/* What one HTTP request of a store request is for. */
typedef enum pb_gcs_stage {
    PB_GCS_STAGE_ONLY,     /* it is the request */
    PB_GCS_STAGE_SESSION,  /* PUT with metadata: begins an upload, whose one part is the body */
    PB_GCS_STAGE_POSITION, /* MULTIPART_PUT that broke: how far did it come? */
    PB_GCS_STAGE_SOURCE,   /* COPY of certain bytes: which generation of the source has them? */
} pb_gcs_stage;

/* What goes round a request. All borrowed. */
typedef struct pb_gcs_request_frame {
    const char *base_url;                  /* "https://host[:port]" */
    pb_slice bucket, prefix;               /* the location's; not encoded */
    pb_slice source_bucket, source_prefix; /* COPY */
    pb_slice bearer_token;                 /* empty: anonymous */
    pb_slice user_project;                 /* who pays; empty for the bucket's owner */
    pb_gcs_stage stage;
    pb_slice rewrite_token;     /* COPY that goes on */
    const uint8_t *body_crc32c; /* PUT: of its body */
} pb_gcs_request_frame;

/* Memory of a request being built, kept from one to the next; {0} at first. */
typedef struct pb_gcs_request {
    pb_buffer text; /* target and header lines, each with its NUL */
    pb_buffer body; /* where we write it */
} pb_gcs_request;

void pb_gcs_request_free(pb_gcs_request *request); /* wiped: it holds the token */

/* "GET", "PUT", "POST" or "DELETE". */
const char *pb_gcs_method(const pb_store_request *asked, pb_gcs_stage stage);

/* A page token holds for the parameters that it was given for. A page's token of ours is therefore
 * the store's and, behind a line end, the key that its listing began at (startOffset), if any. */
pb_slice pb_gcs_split_token(pb_slice token, pb_slice *ret_start);

/* True where a PUT needs a session: the object's headers hold more than a content type. */
bool pb_gcs_needs_session(const pb_store_request *asked);

/* True where a COPY has to look at its source first: it is of certain bytes, and a rewrite has
 * conditions for generations alone. */
bool pb_gcs_needs_source(const pb_store_request *asked);

/* Writes one attempt into *ret_attempt, which points into `request`, `frame` and `asked`. Fails
 * with USAGE where the request can't be said: an empty key, a header that is not one of an object's
 * own; FAILED where the store has no such key, or no such text in headers. */
int pb_gcs_request_build(pb_gcs_request *request, const pb_store_request *asked,
                         const pb_gcs_request_frame *frame, pb_http_attempt *ret_attempt,
                         pb_error *error);

#endif
