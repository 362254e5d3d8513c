/* copier/store/s3/errors.h - what an unsuccessful answer means. Pure, any thread.
 *
 * Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (codes and
 * statuses); MinIO's cmd/api-errors.go (XMinio*, SlowDownRead, SlowDownWrite); Ceph's rgw_common.cc
 * (QuotaExceeded). */
#ifndef PB_COPIER_STORE_S3_ERRORS_H
#define PB_COPIER_STORE_S3_ERRORS_H

#include "copier/store/error_answer.h"

/* By code where it is known (empty for HEAD, whose answers have no body), else by status. Never
 * NONE: a status of success with an error's body is judged by its code, FAILED where that is
 * unknown. */
pb_error_class pb_s3_classify(int status, pb_slice code);

/* True where the answer may mean that the bucket lives in another region or behind another
 * endpoint: 301, 307, and codes that say so. */
bool pb_s3_says_elsewhere(int status, pb_slice code);

/* Makes the hint of missing rights think of buckets for which the requester pays: for requests that
 * did not agree to. */
void pb_s3_suggest_paying(pb_error_class *class);

/* The hint of a refusal, for requests that had no login. */
void pb_s3_suggest_login(int status, pb_error_class *class);

/* True where the answer to a PUT may mean that the store takes none without Content-MD5, as it does
 * for buckets with a default retention:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html */
bool pb_s3_wants_md5(int status, pb_slice code, pb_slice message);

#endif
