/* bench/origin/gcs_fields.h - the `fields` parameter of Google's JSON APIs: which members of an
 * answer are wanted. Pure.
 *
 * https://cloud.google.com/storage/docs/json_api#partial-response */
#ifndef PB_BENCH_ORIGIN_GCS_FIELDS_H
#define PB_BENCH_ORIGIN_GCS_FIELDS_H

#include "base/bytes.h"

/* Members of an object's resource, in the order in which they are written; those behind METADATA
 * are known, but no object here has them. */
typedef enum pb_origin_gcs_member {
    PB_ORIGIN_GCS_KIND,
    PB_ORIGIN_GCS_ID,
    PB_ORIGIN_GCS_SELF_LINK,
    PB_ORIGIN_GCS_MEDIA_LINK,
    PB_ORIGIN_GCS_NAME,
    PB_ORIGIN_GCS_BUCKET,
    PB_ORIGIN_GCS_GENERATION,
    PB_ORIGIN_GCS_METAGENERATION,
    PB_ORIGIN_GCS_CONTENT_TYPE,
    PB_ORIGIN_GCS_STORAGE_CLASS,
    PB_ORIGIN_GCS_SIZE,
    PB_ORIGIN_GCS_MD5_HASH,
    PB_ORIGIN_GCS_CACHE_CONTROL,
    PB_ORIGIN_GCS_CONTENT_DISPOSITION,
    PB_ORIGIN_GCS_CONTENT_ENCODING,
    PB_ORIGIN_GCS_CONTENT_LANGUAGE,
    PB_ORIGIN_GCS_CRC32C,
    PB_ORIGIN_GCS_COMPONENT_COUNT,
    PB_ORIGIN_GCS_ETAG,
    PB_ORIGIN_GCS_TIME_CREATED,
    PB_ORIGIN_GCS_UPDATED,
    PB_ORIGIN_GCS_TIME_STORAGE_CLASS_UPDATED,
    PB_ORIGIN_GCS_TIME_FINALIZED,
    PB_ORIGIN_GCS_METADATA,
    PB_ORIGIN_GCS_MEMBER_COUNT, /* that are ever written */
} pb_origin_gcs_member;

/* Members of what stands round resources. */
enum {
    PB_ORIGIN_GCS_LIST_KIND = 0,
    PB_ORIGIN_GCS_LIST_NEXT_PAGE_TOKEN,
    PB_ORIGIN_GCS_LIST_PREFIXES,
    PB_ORIGIN_GCS_LIST_ITEMS,

    PB_ORIGIN_GCS_REWRITE_KIND = 0,
    PB_ORIGIN_GCS_REWRITE_TOTAL_BYTES_REWRITTEN,
    PB_ORIGIN_GCS_REWRITE_OBJECT_SIZE,
    PB_ORIGIN_GCS_REWRITE_DONE,
    PB_ORIGIN_GCS_REWRITE_REWRITE_TOKEN,
    PB_ORIGIN_GCS_REWRITE_RESOURCE,

    PB_ORIGIN_GCS_BUCKET_KIND = 0,
    PB_ORIGIN_GCS_BUCKET_ID,
    PB_ORIGIN_GCS_BUCKET_SELF_LINK,
    PB_ORIGIN_GCS_BUCKET_NAME,
    PB_ORIGIN_GCS_BUCKET_PROJECT_NUMBER,
    PB_ORIGIN_GCS_BUCKET_METAGENERATION,
    PB_ORIGIN_GCS_BUCKET_LOCATION,
    PB_ORIGIN_GCS_BUCKET_LOCATION_TYPE,
    PB_ORIGIN_GCS_BUCKET_STORAGE_CLASS,
    PB_ORIGIN_GCS_BUCKET_ETAG,
    PB_ORIGIN_GCS_BUCKET_TIME_CREATED,
    PB_ORIGIN_GCS_BUCKET_UPDATED,
    PB_ORIGIN_GCS_BUCKET_BILLING,
};

typedef enum pb_origin_gcs_shape {
    PB_ORIGIN_GCS_SHAPE_OBJECT,
    PB_ORIGIN_GCS_SHAPE_LIST,
    PB_ORIGIN_GCS_SHAPE_REWRITE,
    PB_ORIGIN_GCS_SHAPE_BUCKET,
} pb_origin_gcs_shape;

/* A bit a member. */
typedef struct pb_origin_gcs_fields {
    uint64_t outer;  /* of a list, a rewrite or a bucket */
    uint64_t object; /* of the resource, or of each item */
} pb_origin_gcs_fields;

#define PB_ORIGIN_GCS_ALL_FIELDS ((pb_origin_gcs_fields){UINT64_MAX, UINT64_MAX})

static inline bool pb_origin_gcs_wants(uint64_t set, int member)
{
    return set >> member & 1;
}

/* Reads "kind,items(name,size),items/md5Hash,*". False: *ret_wrong is the name that the answer
 * cannot have, or what stands where a name should. */
bool pb_origin_gcs_fields_parse(pb_slice text, pb_origin_gcs_shape shape,
                                pb_origin_gcs_fields *ret_fields, pb_slice *ret_wrong);

/* The name of an object's member, as in JSON. */
const char *pb_origin_gcs_member_name(pb_origin_gcs_member member);
/* Whether the resource of an object has a member of this name, here or at Google's. */
bool pb_origin_gcs_is_member(pb_slice name);

#endif
