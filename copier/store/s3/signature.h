/* copier/store/s3/signature.h - AWS Signature Version 4 in an Authorization header.
 *
 * The canonical forms are pure functions; a pb_s3_signer keeps what a run of requests shares: the
 * signing key of one day and region, the hash contexts, and the text of the present second. S3's
 * rules: the path is taken as it is sent, each segment percent-encoded once, nothing normalised.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * A signer is for one thread. */
#ifndef PB_COPIER_STORE_S3_SIGNATURE_H
#define PB_COPIER_STORE_S3_SIGNATURE_H

#include "base/bytes.h"
#include "base/clock.h"
#include "base/hash.h"

typedef struct pb_s3_header {
    pb_slice name; /* lower case */
    pb_slice value;
} pb_s3_header;

/* All that a signature covers. */
typedef struct pb_s3_canonical {
    const char *method;
    pb_slice path;  /* as sent: percent-encoded, begins with '/' */
    pb_slice query; /* as sent: percent-encoded pairs "name=value", sorted, without '?' */
    /* Each header that is signed, host and x-amz-date among them. They are sorted by name in place;
     * those of one name stay in order and are joined with ','. */
    pb_s3_header *headers;
    size_t header_count;
    pb_slice payload; /* lower-case hex of the body's SHA-256, or "UNSIGNED-PAYLOAD" */
} pb_s3_canonical;

/* Appends the canonical request. The slice of `buffer` that lists the signed headers
 * ("host;x-amz-date") is answered in *ret_signed_start and *ret_signed_size. */
void pb_s3_canonical_request(pb_buffer *buffer, pb_s3_canonical *canonical,
                             size_t *ret_signed_start, size_t *ret_signed_size);

/* Appends the string to sign; `date` is "20150830T123600Z", `scope`
 * "20150830/REGION/SERVICE/aws4_request", `digest` the SHA-256 of the canonical request. */
void pb_s3_string_to_sign(pb_buffer *buffer, pb_slice date, pb_slice scope,
                          const uint8_t digest[PB_SHA256_BYTES]);

typedef struct pb_s3_signer pb_s3_signer;

/* Copies all three; `service` is "s3" but for tests. */
pb_s3_signer *pb_s3_signer_new(const char *access_key_id, const char *secret_access_key,
                               const char *service);
void pb_s3_signer_free(pb_s3_signer *signer); /* zeroes what is secret; NULL allowed */

/* The x-amz-date of a time; the text is the signer's until the next call. */
pb_slice pb_s3_signer_date(pb_s3_signer *signer, int64_t now_ms);

/* Signs for `region` and appends the Authorization header's value. `date` is the x-amz-date among
 * the headers. */
void pb_s3_sign(pb_s3_signer *signer, const char *region, pb_slice date, pb_s3_canonical *canonical,
                pb_buffer *authorization);

/* The last signature made, 64 hex digits; "" before. */
const char *pb_s3_signer_last(const pb_s3_signer *signer);

#endif
