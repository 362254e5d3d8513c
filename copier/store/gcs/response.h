/* copier/store/gcs/response.h - the JSON answers of Google Cloud Storage but for listings, from
 * bytes. Pure; one thread.
 *
 * Every byte is distrusted: sizes are bounded by the caller, nesting by the JSON library. Source:
 * https://cloud.google.com/storage/docs/json_api/v1/objects */
#ifndef PB_COPIER_STORE_GCS_RESPONSE_H
#define PB_COPIER_STORE_GCS_RESPONSE_H

#include "copier/store/store.h"

/* An object's resource, as far as it is read. */
typedef struct pb_gcs_object {
    char etag[PB_ETAG_TEXT_MAX]; /* pb_gcs_content_etag; "" where no hash is known */
    bool has_crc32c;
    uint8_t crc32c[PB_CRC32C_BYTES];
    uint64_t size;
    int64_t mtime_ms;    /* updated: a change of metadata alone moves it too */
    uint64_t generation; /* 0 where it does not say */
} pb_gcs_object;

/* The members of a resource that a pb_gcs_object is made of, and those that a listing uses beside
 * them, as texts; NULL where one is missing. */
typedef struct pb_gcs_members {
    pb_slice name, size, updated, generation, metageneration, md5, crc32c;
} pb_gcs_members;

/* Fills *ret_object. Returns what is wrong, NULL where nothing is. */
const char *pb_gcs_read_members(const pb_gcs_members *members, pb_gcs_object *ret_object);

/* False where the object is no copy of one whose ETag this was: both name the same hash, and it is
 * another. */
bool pb_gcs_object_may_be(const pb_gcs_object *object, pb_slice etag);

/* Reads an object's resource. Its headers are appended to `headers` where that is not NULL. Fails
 * with SERVER where the body is no JSON, FAILED where it breaks the protocol. */
int pb_gcs_parse_object(pb_slice body, pb_gcs_object *ret_object, pb_buffer *headers,
                        pb_error *error);

/* A rewrite: done, with the new object, or to be continued with the token (appended) after so many
 * bytes. */
int pb_gcs_parse_rewrite(pb_slice body, bool *ret_done, pb_gcs_object *ret_object,
                         uint64_t *ret_bytes, pb_buffer *rewrite_token, pb_error *error);

/* An error's reason and message; empty where the body is none. Copied into the buffers. */
void pb_gcs_parse_error(pb_slice body, pb_buffer *reason, pb_buffer *message);

#endif
