/* copier/store/s3/request.h - S3 requests as bytes: target, headers, body, signature. Pure; one
 * thread.
 *
 * Sources: the API reference's pages of the operations,
 * https://docs.aws.amazon.com/AmazonS3/latest/API/. Headers are few and short: what a default says
 * already is not sent. Over TLS bodies are not hashed again (UNSIGNED-PAYLOAD) unless the caller
 * gives their SHA-256; over plain HTTP they are, unless there is a CRC32C for the store to check.
 */
#ifndef PB_COPIER_STORE_S3_REQUEST_H
#define PB_COPIER_STORE_S3_REQUEST_H

#include "base/base64.h"
#include "copier/store/s3/endpoint.h"
#include "copier/store/s3/signature.h"
#include "copier/store/store.h"

/* What goes round a request. All borrowed. */
typedef struct pb_s3_request_frame {
    const pb_s3_endpoint *endpoint;
    pb_slice source_path;   /* COPY, MULTIPART_COPY: full_path of the source's endpoint */
    pb_s3_signer *signer;   /* NULL: unsigned */
    pb_slice session_token; /* or empty */
    bool unsigned_payload;  /* over plain HTTP too */
    bool requester_pays;    /* of one of the two ends */
    bool content_md5;       /* PUT, MULTIPART_PUT: this store takes none without */
    bool no_gzip;           /* GET, HEAD: do not offer to take gzip, see pb_s3_request_build */
    int64_t now_ms;
} pb_s3_request_frame;

/* Memory of a request being built, kept from one to the next; {0} at first. */
typedef struct pb_s3_request {
    pb_buffer text; /* target and header lines, each with its NUL */
    pb_buffer body; /* where we write it */
    bool body_made; /* body and payload hold for all attempts of one request */
    bool md5_made;  /* content_md5 likewise */
    char payload[2 * PB_SHA256_BYTES + 1];
    char content_md5[PB_BASE64_CHARACTERS(PB_MD5_BYTES) + 1];
    pb_hash *md5;
} pb_s3_request;

/* A new request follows: forget the body of the last one. */
void pb_s3_request_restart(pb_s3_request *request);
void pb_s3_request_free(pb_s3_request *request);

/* "GET", "HEAD", "PUT", "POST" or "DELETE". */
const char *pb_s3_method(const pb_store_request *asked);

/* Writes one attempt into *ret_attempt, which points into `request`, `frame->endpoint` and `asked`.
 * A DELETE of one key is a plain DELETE; of more, every key must satisfy pb_s3_key_fits_xml. Fails
 * with USAGE where the request can't be said: an empty key, one too long, a header that is not one
 * of an object's own, more headers than an attempt holds.
 *
 * GET and HEAD of an object say Accept-Encoding: gzip, unsigned since some front ends rewrite it:
 * stores that decode what has Content-Encoding: gzip send stored bytes to those alone who take it
 * (https://cloud.google.com/storage/docs/transcoding). */
int pb_s3_request_build(pb_s3_request *request, const pb_store_request *asked,
                        const pb_s3_request_frame *frame, pb_http_attempt *ret_attempt,
                        pb_error *error);

/* False where XML 1.0 has no way to write the key (most control characters, U+FFFE, bad UTF-8). */
bool pb_s3_key_fits_xml(pb_slice key);

/* True for the headers that belong to an object: content-type, cache-control, content-disposition,
 * content-encoding, content-language, expires, x-amz-meta-*. */
bool pb_s3_is_object_header(pb_slice name);

#endif
