/* copier/store/s3/answer.h - what S3's own headers say of an answer, beside those of
 * copier/store/answer.h. Pure; one thread. */
#ifndef PB_COPIER_STORE_S3_ANSWER_H
#define PB_COPIER_STORE_S3_ANSWER_H

#include "copier/store/answer.h"

/* Zero it, or pb_s3_answer_restart, before each answer. Texts are "" where a header did not come or
 * is not what it should be. */
typedef struct pb_s3_answer {
    char etag[PB_ETAG_TEXT_MAX]; /* no quotes; "" where weak */
    bool etag_refused;           /* too long or no text: breaks the protocol */
    bool etag_opaque;            /* encrypted with SSE-KMS or SSE-C: the ETag is no MD5 */
    bool has_tags;               /* x-amz-tagging-count */
    bool has_crc32c;             /* x-amz-checksum-crc32c */
    uint8_t crc32c[PB_CRC32C_BYTES];
    char region[65]; /* x-amz-bucket-region */
    char request_id[80];
    char location[512]; /* its start */
    bool gzip;          /* Content-Encoding: by the object, or by a server on the way */
} pb_s3_answer;

void pb_s3_answer_restart(pb_s3_answer *answer);

/* Takes one header (`name` in lower case). False where it is none of these, or may be the object's
 * own as well. */
bool pb_s3_answer_header(pb_s3_answer *answer, pb_slice name, pb_slice value);

#endif
