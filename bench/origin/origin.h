/* bench/origin/origin.h - the state of the S3 server and what its operations share. One thread. */
#ifndef PB_BENCH_ORIGIN_ORIGIN_H
#define PB_BENCH_ORIGIN_ORIGIN_H

#include "bench/origin/bucket.h"
#include "bench/origin/fault_plan.h"
#include "bench/origin/gcs_metadata.h"
#include "bench/origin/http_connection.h"
#include "bench/origin/rate_limit.h"
#include "bench/origin/s3_request.h"
#include "bench/origin/signature.h"
#include "bench/origin/stored_key.h"
#include <stdio.h>

#define PB_ORIGIN_OBJECT_BYTES_MAX ((uint64_t)5 << 30) /* of one PUT, part or copy */
#define PB_ORIGIN_PART_BYTES_MIN ((uint64_t)5 << 20)

enum {
    PB_ORIGIN_PARTS_MAX = 10000,
    PB_ORIGIN_PAGE_MAX = 1000,
    PB_ORIGIN_XML_BODY_BYTES_MAX = 16 << 20,
    PB_ORIGIN_NAMES_MAX = 64, /* of a repeatable option */
};

typedef struct pb_origin_options {
    uint64_t latency_ms;
    uint64_t rate_per_s;    /* a key prefix; 0: no limit */
    uint64_t retry_after_s; /* 0: no Retry-After */
    const char *access_key; /* NULL: signatures are not looked at */
    const char *secret_key;
    const char *region;
    const char *virtual_host; /* domain; NULL: path style only */
    int64_t clock_offset_ms;
    uint64_t capacity_bytes; /* 0: no limit */
    uint64_t part_bytes_min;
    uint64_t page_keys_max; /* of a listing; 0: as many as on AWS */
    bool deny_write;
    bool no_create_only;
    bool no_checksums;
    bool ceph_copy_etag;
    bool path_keys;
    bool fold_case;
    pb_origin_order order; /* of listings */
    bool filters_after; /* start-after leaves keys out, instead of finding a place in the order */
    size_t deny_count;
    const char *deny[PB_ORIGIN_NAMES_MAX]; /* BUCKET/PREFIX */
    size_t redirect_count;
    const char *redirect[PB_ORIGIN_NAMES_MAX]; /* NAME=REGION */
    bool is_https;
    /* Of the JSON API: */
    size_t gcs_token_count; /* 0: tokens are not looked at, until the origin is given some */
    const char *gcs_tokens[PB_ORIGIN_NAMES_MAX];
    uint64_t gcs_rewrite_bytes; /* that one call moves; 0: all */
    const char *gcs_location;
    size_t gcs_requester_pays_count;
    const char *gcs_requester_pays[PB_ORIGIN_NAMES_MAX]; /* buckets */
} pb_origin_options;

typedef struct pb_origin_part {
    pb_origin_content *content; /* NULL: not uploaded */
    int64_t modified_ms;
    uint8_t md5[PB_MD5_BYTES];
    bool has_crc32c;
    uint8_t crc32c[PB_CRC32C_BYTES];
} pb_origin_part;

typedef struct pb_origin_upload {
    char id[33];
    pb_origin_bucket *bucket;
    char *key;
    size_t key_size;
    pb_origin_attributes *attributes;
    int64_t initiated_ms;
    bool takes_crc32c;     /* its parts may have one */
    pb_origin_part *parts; /* parts[0] is part 1 */
    size_t part_room;
} pb_origin_upload;

typedef struct pb_origin_statistics {
    uint64_t operations[PB_ORIGIN_OPERATION_COUNT];
    int64_t first_utc_ms[PB_ORIGIN_OPERATION_COUNT]; /* when the first arrived; 0: none yet */
    uint64_t faults[PB_ORIGIN_FAULT_COUNT];
    uint64_t refused; /* answers of 400 and above */
    uint64_t throttled;
    uint64_t bytes_in;
    uint64_t bytes_out;
} pb_origin_statistics;

typedef struct pb_origin {
    pb_origin_options options; /* strings are borrowed */
    size_t bucket_count;
    pb_origin_bucket **buckets; /* in the order of names */
    size_t upload_room;
    pb_origin_upload **uploads; /* NULL where a slot is free */
    size_t upload_free;         /* no free slot below this one */
    uint64_t upload_bytes;
    pb_random random;
    pb_origin_statistics statistics;
    pb_origin_fault_plan faults;
    pb_origin_signer *signer;
    pb_origin_rate_limit *rate_limit;
    pb_origin_server *server;  /* borrowed; for figures */
    FILE *log;                 /* NULL: none; borrowed */
    struct pb_origin_gcs *gcs; /* what the JSON API keeps: gcs.h */
} pb_origin;

/* What is kept of a request while it is served (pb_origin_exchange.state). */
typedef struct pb_origin_call {
    pb_origin_s3_request s3;
    pb_origin_gcs_request gcs; /* where s3.operation is one of the JSON API */
    pb_origin_gcs_metadata metadata;
    pb_slice media; /* of an upload: in exchange->body */
    pb_origin_fault fault;
    char place[PB_ORIGIN_PLACE_BYTES_MAX]; /* s3.bucket and s3.key, where a key is not its own */
} pb_origin_call;

pb_origin *pb_origin_new(const pb_origin_options *options);
void pb_origin_free(pb_origin *origin);
/* How the HTTP server calls the origin. */
pb_origin_service pb_origin_service_of(pb_origin *origin);

int64_t pb_origin_now_ms(const pb_origin *origin);
/* NULL where there is none. */
pb_origin_bucket *pb_origin_find_bucket(const pb_origin *origin, pb_slice name);
/* Makes a bucket that does not exist yet. */
pb_origin_bucket *pb_origin_add_bucket(pb_origin *origin, pb_slice name);
void pb_origin_drop_bucket(pb_origin *origin, pb_origin_bucket *bucket);
/* Whether `more` bytes still fit into the capacity. */
bool pb_origin_has_room(const pb_origin *origin, uint64_t more);
/* Whether --deny covers bucket and key (or a listing's prefix). */
bool pb_origin_is_denied(const pb_origin *origin, pb_slice bucket, pb_slice key);
/* Makes *bucket and *key what they are to this store (--path-keys, --fold-case); they may point
 * into `memory` then. Returns NULL, or the S3 error code where they are nothing. */
const char *pb_origin_stored_key(const pb_origin *origin, pb_slice *bucket, pb_slice *key,
                                 char memory[PB_ORIGIN_PLACE_BYTES_MAX]);
/* Spoils the answer of an operation, where call->fault is one that does. */
void pb_origin_fault_after(pb_origin_exchange *exchange, const pb_origin_call *call,
                           uint64_t delay_ms);
/* The region a bucket lives in. */
pb_slice pb_origin_region_of(const pb_origin *origin, pb_slice bucket);

#endif
