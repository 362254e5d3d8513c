/* bench/origin/gcs_request.h - which operation of Google Cloud Storage's JSON API an HTTP request
 * asks for, and whether its parameters are the API's. Pure.
 *
 * https://cloud.google.com/storage/docs/json_api/v1 and the discovery document storage:v1 */
#ifndef PB_BENCH_ORIGIN_GCS_REQUEST_H
#define PB_BENCH_ORIGIN_GCS_REQUEST_H

#include "bench/origin/gcs_fields.h"
#include "bench/origin/s3_request.h"

/* Why a request is refused, for the error document. */
typedef struct pb_origin_gcs_refusal {
    int status;         /* 0: it is not */
    const char *reason; /* Google's, such as "invalidParameter" */
    char message[200];  /* valid UTF-8 */
    char location[64];  /* the parameter that is wrong; "" for none */
} pb_origin_gcs_refusal;

/* A condition on a number; `asked` tells whether the request has it. */
typedef struct pb_origin_gcs_condition {
    bool asked;
    uint64_t value;
} pb_origin_gcs_condition;

typedef struct pb_origin_gcs_conditions {
    pb_origin_gcs_condition generation_match;
    pb_origin_gcs_condition generation_not_match;
    pb_origin_gcs_condition metageneration_match;
    pb_origin_gcs_condition metageneration_not_match;
    pb_origin_gcs_condition generation; /* the revision that is meant */
} pb_origin_gcs_conditions;

/* What goes beyond pb_origin_s3_request, which holds operation, bucket, key and parameters. */
typedef struct pb_origin_gcs_request {
    pb_slice target_bucket; /* of a rewrite */
    pb_slice target_key;
    pb_slice upload_id; /* of a resumable upload's session */
    pb_origin_gcs_fields fields;
    pb_origin_gcs_conditions conditions;        /* on the bucket and key, a rewrite's target */
    pb_origin_gcs_conditions source_conditions; /* of a rewrite */
    pb_origin_gcs_refusal refusal;              /* of PB_ORIGIN_GCS_REFUSED */
} pb_origin_gcs_request;

/* Whether a path belongs to the JSON API and not to S3: a bucket called "storage", "upload",
 * "download" or "batch" cannot have keys that begin with "v1/" or "storage/v1". */
static inline bool pb_origin_gcs_takes(pb_slice path)
{
    switch (path.size > 1 ? path.data[1] : 0) {
    case 's':
        return pb_slice_starts_with(path, PB_SLICE_LITERAL("/storage/v1/"));
    case 'u':
        return pb_slice_starts_with(path, PB_SLICE_LITERAL("/upload/storage/v1/"));
    case 'd':
        return pb_slice_starts_with(path, PB_SLICE_LITERAL("/download/storage/v1/"));
    case 'b':
        return pb_slice_starts_with(path, PB_SLICE_LITERAL("/batch/storage/v1"));
    default:
        return false;
    }
}

/* Reads a request that pb_origin_gcs_takes. */
void pb_origin_gcs_request_read(pb_origin_s3_request *s3, pb_origin_gcs_request *gcs,
                                const pb_origin_request *request);

/* The value of a parameter, {NULL, 0} where it is absent. */
pb_slice pb_origin_gcs_value(const pb_origin_s3_request *s3, const char *name);

/* NULL where an object can have this name, or what is wrong with it. */
const char *pb_origin_gcs_name_fault(pb_slice name);

/* Content-Range of a resumable upload: "bytes A-B/TOTAL", where "A-B" or TOTAL may be an asterisk.
 */
typedef struct pb_origin_gcs_range {
    bool has_bytes;
    uint64_t first;
    uint64_t last;
    bool has_total;
    uint64_t total;
} pb_origin_gcs_range;

bool pb_origin_gcs_range_parse(pb_slice text, pb_origin_gcs_range *ret_range);

#endif
