/* copier/store/gcs/answer.h - what Google's own headers say of an answer, beside those of
 * copier/store/answer.h. Pure; one thread.
 *
 * Source: https://cloud.google.com/storage/docs/xml-api/reference-headers (media answers of the
 * JSON API have the same ones). */
#ifndef PB_COPIER_STORE_GCS_ANSWER_H
#define PB_COPIER_STORE_GCS_ANSWER_H

#include "copier/store/answer.h"

enum { PB_GCS_SESSION_BYTES_MAX = 4096 };

/* Zero it, or pb_gcs_answer_restart, before each answer. */
typedef struct pb_gcs_answer {
    bool has_md5, has_crc32c; /* X-Goog-Hash: of the stored object, whatever range comes */
    uint8_t md5[PB_MD5_BYTES];
    uint8_t crc32c[PB_CRC32C_BYTES];
    bool is_decoded; /* what comes is not what is stored: it was stored as gzip */
    bool has_position;
    uint64_t position;                      /* 308: the upload has so many bytes */
    char request_id[80];                    /* X-GUploader-UploadID */
    char session[PB_GCS_SESSION_BYTES_MAX]; /* Location: path and query; "" where there is none */
    bool session_refused;                   /* Location that is too long or no URL */
} pb_gcs_answer;

void pb_gcs_answer_restart(pb_gcs_answer *answer);

/* Takes one header (`name` in lower case). False where it is none of these. */
bool pb_gcs_answer_header(pb_gcs_answer *answer, pb_slice name, pb_slice value);

/* False where the stored object's hash is known and is not what this text (pb_gcs_content_etag, of
 * the same object before) says. */
bool pb_gcs_content_matches(const pb_gcs_answer *answer, pb_slice etag);

/* The text that stands for an object's bytes where stores have ETags (PB_ETAG_TEXT_MAX): the MD5 in
 * hex; of composed objects, which have none, "crc32c-" and the CRC32C in hex. */
void pb_gcs_content_etag(const uint8_t *md5, const uint8_t *crc32c, char *ret_etag);

#endif
