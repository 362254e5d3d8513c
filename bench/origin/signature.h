/* bench/origin/signature.h - checks AWS Signature Version 4 in the Authorization header. One
 * thread. */
#ifndef PB_BENCH_ORIGIN_SIGNATURE_H
#define PB_BENCH_ORIGIN_SIGNATURE_H

#include "base/error.h"
#include "bench/origin/s3_request.h"

typedef struct pb_origin_signer pb_origin_signer;

/* Copies the keys; NULL for none yet. */
pb_origin_signer *pb_origin_signer_new(const char *access_key, const char *secret_key);
void pb_origin_signer_free(pb_origin_signer *signer); /* NULL allowed */

/* Replaces the keys that are accepted beside that one: lines "ACCESS_KEY SECRET_KEY [TOKEN
 * [UNTIL_MS]]". With a token (- for none) the request must bring it, else InvalidToken; from
 * UNTIL_MS (UTC, 0 for never) on it gets ExpiredToken. Fails with USAGE; the lines before are then
 * accepted. */
int pb_origin_signer_replace(pb_origin_signer *signer, pb_slice text, pb_error *error);

typedef struct pb_origin_signature {
    pb_slice access_key;
    pb_slice date; /* of the scope, YYYYMMDD */
    pb_slice region;
    pb_slice service;
    pb_slice signed_headers;
    pb_slice signature;
} pb_origin_signature;

/* Takes an Authorization header apart. False where it is not "AWS4-HMAC-SHA256 Credential=...,
 * ...". */
bool pb_origin_signature_parse(pb_slice authorization, pb_origin_signature *ret_signature);

typedef struct pb_origin_signature_fault {
    const char *code;            /* of S3, such as "SignatureDoesNotMatch" */
    const char *message;         /* NULL: the usual one */
    pb_buffer canonical_request; /* what was signed here, for SignatureDoesNotMatch; freed by the */
    pb_buffer string_to_sign;    /* caller */
} pb_origin_signature_fault;

/* Checks a request against the region and the time of the server. True where it is rightly signed;
 * else *ret_fault is filled ({0} before). */
bool pb_origin_signature_check(pb_origin_signer *signer, const pb_origin_request *request,
                               const pb_origin_s3_request *s3, pb_slice region, int64_t now_ms,
                               pb_origin_signature_fault *ret_fault);

#endif
