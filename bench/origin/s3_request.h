/* bench/origin/s3_request.h - which S3 operation an HTTP request asks for. Pure. */
#ifndef PB_BENCH_ORIGIN_S3_REQUEST_H
#define PB_BENCH_ORIGIN_S3_REQUEST_H

#include "bench/origin/http_request.h"

typedef enum pb_origin_operation {
    PB_ORIGIN_LIST_BUCKETS,
    PB_ORIGIN_CREATE_BUCKET,
    PB_ORIGIN_DELETE_BUCKET,
    PB_ORIGIN_HEAD_BUCKET,
    PB_ORIGIN_GET_BUCKET_LOCATION,
    PB_ORIGIN_GET_BUCKET_VERSIONING,
    PB_ORIGIN_LIST_OBJECTS,
    PB_ORIGIN_LIST_OBJECTS_V2,
    PB_ORIGIN_LIST_MULTIPART_UPLOADS,
    PB_ORIGIN_DELETE_OBJECTS,
    PB_ORIGIN_GET_OBJECT,
    PB_ORIGIN_HEAD_OBJECT,
    PB_ORIGIN_GET_OBJECT_TAGGING,
    PB_ORIGIN_PUT_OBJECT,
    PB_ORIGIN_COPY_OBJECT,
    PB_ORIGIN_DELETE_OBJECT,
    PB_ORIGIN_CREATE_MULTIPART_UPLOAD,
    PB_ORIGIN_UPLOAD_PART,
    PB_ORIGIN_UPLOAD_PART_COPY,
    PB_ORIGIN_COMPLETE_MULTIPART_UPLOAD,
    PB_ORIGIN_ABORT_MULTIPART_UPLOAD,
    PB_ORIGIN_LIST_PARTS,
    PB_ORIGIN_NOT_IMPLEMENTED, /* a subresource that is known to S3 and not to us */
    PB_ORIGIN_METHOD_NOT_ALLOWED,
    PB_ORIGIN_BAD_REQUEST,     /* escapes that are none, a key that is too long, ... */
    PB_ORIGIN_GCS_BUCKETS_GET, /* of the JSON API (gcs_request.h) from here */
    PB_ORIGIN_GCS_BUCKETS_INSERT,
    PB_ORIGIN_GCS_OBJECTS_LIST,
    PB_ORIGIN_GCS_OBJECTS_GET,
    PB_ORIGIN_GCS_OBJECTS_DOWNLOAD, /* objects.get with alt=media */
    PB_ORIGIN_GCS_OBJECTS_INSERT,   /* of type media or multipart */
    PB_ORIGIN_GCS_UPLOAD_START,     /* of type resumable, from here */
    PB_ORIGIN_GCS_UPLOAD_CHUNK,
    PB_ORIGIN_GCS_UPLOAD_STATUS,
    PB_ORIGIN_GCS_UPLOAD_CANCEL,
    PB_ORIGIN_GCS_OBJECTS_REWRITE,
    PB_ORIGIN_GCS_OBJECTS_COMPOSE,
    PB_ORIGIN_GCS_OBJECTS_PATCH,
    PB_ORIGIN_GCS_OBJECTS_DELETE,
    PB_ORIGIN_GCS_BATCH,
    PB_ORIGIN_GCS_REFUSED, /* no request of the API, or a wrong one; to here */
    PB_ORIGIN_STATISTICS,  /* the origin's own calls, never signed */
    PB_ORIGIN_STATISTICS_RESET,
    PB_ORIGIN_FAULTS,
    PB_ORIGIN_KEYS,
    PB_ORIGIN_GCS_TOKENS,
    PB_ORIGIN_OPERATION_COUNT,
} pb_origin_operation;

static inline bool pb_origin_operation_is_gcs(pb_origin_operation operation)
{
    return operation >= PB_ORIGIN_GCS_BUCKETS_GET && operation <= PB_ORIGIN_GCS_REFUSED;
}

/* The name of an operation: "ListObjectsV2" of S3, "objects.list" of the JSON API. */
const char *pb_origin_operation_name(pb_origin_operation operation);
/* False where there is none of that name. */
bool pb_origin_operation_parse(pb_slice name, pb_origin_operation *ret_operation);
/* Whether it changes anything. */
bool pb_origin_operation_writes(pb_origin_operation operation);

enum { PB_ORIGIN_PARAMETERS_MAX = 32 };

typedef struct pb_origin_parameter {
    pb_slice name; /* decoded */
    pb_slice value;
} pb_origin_parameter;

/* {0} at first, used again for every request, freed with pb_origin_s3_request_free. */
typedef struct pb_origin_s3_request {
    pb_origin_operation operation;
    const char *code; /* of BAD_REQUEST: the S3 error code */
    pb_slice bucket;  /* decoded; empty for none */
    pb_slice key;     /* decoded; empty for none */
    pb_slice path;    /* the whole path, decoded */
    bool is_head;
    size_t parameter_count;
    pb_origin_parameter parameters[PB_ORIGIN_PARAMETERS_MAX];
    char *memory; /* the slices above point into it */
    size_t memory_bytes;
} pb_origin_s3_request;

/* Reads `request` (and its Host where virtual_host, a domain, is not NULL). */
void pb_origin_s3_request_read(pb_origin_s3_request *s3, const pb_origin_request *request,
                               const char *virtual_host);
void pb_origin_s3_request_free(pb_origin_s3_request *s3);

/* Percent-decodes into `memory`, which has room for text.size bytes. False on a broken escape. */
bool pb_origin_decode(pb_slice text, bool plus_is_space, char *memory, pb_slice *ret_decoded);
/* Reads a query's parameters into s3; they point into `memory`, which has room for query.size
 * bytes. False where there are too many or an escape is broken. */
bool pb_origin_read_parameters(pb_origin_s3_request *s3, pb_slice query, char *memory);

/* A query parameter; NULL where it is absent. */
const pb_origin_parameter *pb_origin_s3_parameter(const pb_origin_s3_request *s3, const char *name);

/* Splits an x-amz-copy-source: percent-decoded, with or without leading slash, into `memory`, which
 * has room for source.size bytes. False where it is none (or names a version other than "null"). */
bool pb_origin_copy_source(pb_slice source, char *memory, pb_slice *ret_bucket, pb_slice *ret_key);

#endif
