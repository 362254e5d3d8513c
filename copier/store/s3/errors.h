/* copier/store/s3/errors.h - what an unsuccessful answer means. Pure, any thread.
 *
 * Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (codes and
 * statuses); MinIO's cmd/api-errors.go (XMinio*, SlowDownRead, SlowDownWrite); Ceph's rgw_common.cc
 * (QuotaExceeded). */
#ifndef PB_COPIER_STORE_S3_ERRORS_H
#define PB_COPIER_STORE_S3_ERRORS_H

#include "copier/store/store.h"

typedef struct pb_s3_class {
    pb_error_kind kind;
    bool retry;       /* the same request may succeed later */
    const char *hint; /* static; "" where there is nothing to say */
} pb_s3_class;

/* By code where it is known (empty for HEAD, whose answers have no body), else by status. Never
 * NONE: a status of success with an error's body is judged by its code, FAILED where that is
 * unknown. */
pb_s3_class pb_s3_classify(int status, pb_slice code);

/* True where the answer may mean that the bucket lives in another region or behind another
 * endpoint: 301, 307, and codes that say so. */
bool pb_s3_says_elsewhere(int status, pb_slice code);

/* True where the answer to a PUT may mean that the store takes none without Content-MD5, as it does
 * for buckets with a default retention:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html */
bool pb_s3_wants_md5(int status, pb_slice code, pb_slice message);

/* The facts of a failed answer. All slices may be empty. */
typedef struct pb_s3_failure {
    const char *what; /* "PUT s3://bucket/key at https://host" */
    int status;
    pb_slice code;
    pb_slice message; /* the server's */
    pb_slice request_id;
    int64_t store_now_ms; /* of its Date header; 0 where unknown */
    int64_t our_now_ms;   /* when the answer came */
    bool requester_pays;  /* the request agreed to pay */
} pb_s3_failure;

/* Fills *error: "<what>: <code>: <message>", with kind, status, code, request id and hint. */
void pb_s3_error_fill(pb_error *error, const pb_s3_failure *failure, pb_s3_class class);

#endif
