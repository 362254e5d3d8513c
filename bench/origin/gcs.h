/* bench/origin/gcs.h - Google Cloud Storage's JSON API over the same buckets as S3: what it keeps,
 * and how the origin calls it. One thread.
 *
 * It refuses what Google refuses, so that a client that works here works there. Objects are shared
 * with S3: custom metadata is x-amz-meta-*, generations are of when an object was stored. There is
 * one revision of an object. */
#ifndef PB_BENCH_ORIGIN_GCS_H
#define PB_BENCH_ORIGIN_GCS_H

#include "bench/origin/gcs_tokens.h"
#include "bench/origin/origin.h"

/* What a client says that its bytes have. */
typedef struct pb_origin_gcs_digests {
    bool has_md5;
    bool has_crc32c;
    uint8_t md5[PB_MD5_BYTES];
    uint8_t crc32c[PB_CRC32C_BYTES];
} pb_origin_gcs_digests;

/* A resumable upload. */
typedef struct pb_origin_gcs_session {
    char id[33];
    char *bucket;
    char *key;
    pb_origin_attributes *attributes;
    pb_origin_gcs_conditions conditions;
    uint64_t fields; /* of the resource that its end answers */
    pb_origin_gcs_digests digests;
    bool has_total;
    uint64_t total; /* that was announced */
    pb_origin_content *content;
    pb_hash *md5_hash;
    pb_hash *crc32c_hash;
    bool is_cancelled;
    char *resource; /* NULL: not at its end */
} pb_origin_gcs_session;

/* A rewrite that takes further calls. */
typedef struct pb_origin_gcs_rewrite {
    char token[33];
    char *source_bucket;
    char *source_key;
    uint64_t source_generation;
    char *bucket;
    char *key;
    pb_origin_attributes *attributes;
    uint64_t moved_bytes;
} pb_origin_gcs_rewrite;

typedef struct pb_origin_gcs {
    pb_origin_gcs_tokens tokens;
    size_t session_count;
    pb_origin_gcs_session **sessions;
    size_t rewrite_count;
    pb_origin_gcs_rewrite **rewrites;
} pb_origin_gcs;

pb_origin_gcs *pb_origin_gcs_new(const pb_origin *origin);
void pb_origin_gcs_free(pb_origin_gcs *gcs);

/* As pb_origin_service has them, for a path that pb_origin_gcs_takes. */
bool pb_origin_gcs_begin(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call);
void pb_origin_gcs_finish(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call);

/* PUT /?origin-gcs-tokens */
void pb_origin_gcs_replace_tokens(pb_origin *origin, pb_origin_exchange *exchange);

#endif
