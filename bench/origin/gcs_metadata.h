/* bench/origin/gcs_metadata.h - what a client says of an object: the resource in a request's body,
 * checked, and made into what is kept with the object. */
#ifndef PB_BENCH_ORIGIN_GCS_METADATA_H
#define PB_BENCH_ORIGIN_GCS_METADATA_H

#include "bench/origin/bucket.h"
#include "bench/origin/gcs_request.h"
#include <jansson.h>

enum { PB_ORIGIN_GCS_CUSTOM_METADATA_BYTES_MAX = 8192 };

/* {0} says nothing. Freed with pb_origin_gcs_metadata_free. */
typedef struct pb_origin_gcs_metadata {
    json_t *document; /* NULL: no body, or an empty one */
} pb_origin_gcs_metadata;

/* Reads a resource; an empty text is one that says nothing. Members that only answers have are
 * passed over, unknown ones refused. With `patches`, null removes. False: *ret_refusal says why. */
bool pb_origin_gcs_metadata_read(pb_slice text, bool patches, pb_origin_gcs_metadata *ret_metadata,
                                 pb_origin_gcs_refusal *ret_refusal);
/* The same for a resource inside of a document; a reference is taken. */
bool pb_origin_gcs_metadata_check(json_t *document, bool patches,
                                  pb_origin_gcs_metadata *ret_metadata,
                                  pb_origin_gcs_refusal *ret_refusal);
void pb_origin_gcs_metadata_free(pb_origin_gcs_metadata *metadata);

/* A member that is a string, {NULL, 0} where it is absent. Borrowed. */
pb_slice pb_origin_gcs_metadata_text(const pb_origin_gcs_metadata *metadata, const char *name);
/* Whether it holds a member that makes anything of an object. */
bool pb_origin_gcs_metadata_says_something(const pb_origin_gcs_metadata *metadata);

/* Attributes of a new object; where the resource has no contentType it is `content_type`, which is
 * at least "application/octet-stream". */
pb_origin_attributes *pb_origin_gcs_metadata_attributes(const pb_origin_gcs_metadata *metadata,
                                                        pb_slice content_type);
/* Attributes of an object with these (NULL allowed) once it is patched; metageneration and
 * updated_ms are the caller's. NULL: *ret_refusal says why. */
pb_origin_attributes *pb_origin_gcs_metadata_patch(const pb_origin_gcs_metadata *metadata,
                                                   const pb_origin_attributes *attributes,
                                                   pb_origin_gcs_refusal *ret_refusal);

/* The Base64 of a digest. False where it is not that of `size` bytes. */
bool pb_origin_gcs_read_digest(pb_slice text, size_t size, uint8_t *ret_digest);

#endif
