/* bench/origin/gcs_resource.h - objects and buckets as the JSON API shows them. */
#ifndef PB_BENCH_ORIGIN_GCS_RESOURCE_H
#define PB_BENCH_ORIGIN_GCS_RESOURCE_H

#include "bench/origin/bucket.h"
#include "bench/origin/gcs_fields.h"

enum { PB_ORIGIN_GCS_ETAG_TEXT_MAX = 32 };

uint64_t pb_origin_gcs_metageneration(const pb_origin_object *object);

/* Base64 of a protocol buffer with generation and metageneration, which is what Google's are. */
void pb_origin_gcs_etag(uint64_t generation, uint64_t metageneration,
                        char ret_text[PB_ORIGIN_GCS_ETAG_TEXT_MAX]);

/* The CRC32C of an object; computed when it is first asked for, and kept in the object. */
uint32_t pb_origin_gcs_crc32c(const pb_origin_object *object);
/* Base64 of its four bytes, big-endian. */
void pb_origin_gcs_append_crc32c(pb_buffer *buffer, uint32_t crc32c);

/* The value of one of the kept headers (its name in lower case); {NULL, 0} where there is none. */
pb_slice pb_origin_gcs_attribute(const pb_origin_attributes *attributes, const char *name);
/* Steps through custom metadata: *rest is attributes->headers at first. Name and value are as kept
 * (see escapes_metadata). False at the end. */
bool pb_origin_gcs_next_metadata(pb_slice *rest, pb_slice *ret_name, pb_slice *ret_value);

/* Content type, storage class: what they are where nothing says so. */
pb_slice pb_origin_gcs_content_type(const pb_origin_object *object);
pb_slice pb_origin_gcs_storage_class(const pb_origin_object *object);

/* Appends the resource with the members that `set` asks for. `endpoint` ("http://host:port") begins
 * its links. */
void pb_origin_gcs_append_object(pb_buffer *text, pb_slice endpoint, pb_slice bucket,
                                 const pb_origin_object *object, uint64_t set);

typedef struct pb_origin_gcs_bucket_view {
    const char *location;
    bool requester_pays;
} pb_origin_gcs_bucket_view;

void pb_origin_gcs_append_bucket(pb_buffer *text, pb_slice endpoint, const pb_origin_bucket *bucket,
                                 const pb_origin_gcs_bucket_view *view, uint64_t set);

#endif
