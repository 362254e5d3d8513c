/* copier/store/s3/answer.h - one HTTP answer as it comes in: what its headers say, and its body
 * where that is not an object's bytes. Pure; one thread. */
#ifndef PB_COPIER_STORE_S3_ANSWER_H
#define PB_COPIER_STORE_S3_ANSWER_H

#include "copier/store/store.h"

enum { PB_S3_OBJECT_HEADERS_MAX = 16 * 1024 };

/* Zero it once; pb_s3_answer_restart before each answer. Texts are "" and numbers 0 where a header
 * did not come or is not what it should be. */
typedef struct pb_s3_answer {
    char etag[PB_ETAG_TEXT_MAX]; /* no quotes; "" where weak */
    bool etag_refused;           /* too long or no text: breaks the protocol */
    bool etag_opaque;            /* encrypted with SSE-KMS or SSE-C: the ETag is no MD5 */
    bool has_length;
    uint64_t length; /* Content-Length */
    bool has_range;  /* Content-Range: bytes first-last/total */
    uint64_t range_first, range_last, range_total;
    int64_t mtime_ms; /* Last-Modified */
    int64_t date_ms;  /* Date: the store's clock */
    char region[65];  /* x-amz-bucket-region */
    char request_id[80];
    char location[512];          /* its start */
    bool gzip;                   /* Content-Encoding: by the object, or by a server on the way */
    bool object_headers_refused; /* more than PB_S3_OBJECT_HEADERS_MAX */
    pb_buffer body;
} pb_s3_answer;

/* Forgets the answer before; the body's memory is kept. */
void pb_s3_answer_restart(pb_s3_answer *answer);

/* Takes one header (`name` in lower case). Those of the object itself are appended to
 * `object_headers` as "name: value\n" where that is not NULL. */
void pb_s3_answer_header(pb_s3_answer *answer, pb_slice name, pb_slice value,
                         pb_buffer *object_headers);

/* A GET of [offset, offset + length) (length 0: to the end; both 0: no range was asked) answered
 * with `status` 200 or 206: how many bytes must come, and the whole object's size; UINT64_MAX for
 * both where the store does not say. Fails with FAILED where the answer is not to what was asked.
 */
int pb_s3_answer_expect(const pb_s3_answer *answer, int status, uint64_t offset, uint64_t length,
                        uint64_t *ret_bytes, uint64_t *ret_size, pb_error *error);

#endif
