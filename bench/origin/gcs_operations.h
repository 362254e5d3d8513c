/* bench/origin/gcs_operations.h - what each operation of the JSON API does; like s3_operations.h.
 */
#ifndef PB_BENCH_ORIGIN_GCS_OPERATIONS_H
#define PB_BENCH_ORIGIN_GCS_OPERATIONS_H

#include "bench/origin/gcs.h"
#include "bench/origin/gcs_answer.h"
#include "bench/origin/gcs_resource.h"

typedef void pb_origin_gcs_function(pb_origin *origin, pb_origin_exchange *exchange,
                                    pb_origin_call *call);

/* gcs_objects.c */
pb_origin_gcs_function pb_origin_gcs_get_bucket;
pb_origin_gcs_function pb_origin_gcs_insert_bucket;
pb_origin_gcs_function pb_origin_gcs_get_object;
pb_origin_gcs_function pb_origin_gcs_patch_object;
pb_origin_gcs_function pb_origin_gcs_delete_object;
pb_origin_gcs_function pb_origin_gcs_compose_object;

/* gcs_download.c */
pb_origin_gcs_function pb_origin_gcs_download;

/* gcs_listing.c */
pb_origin_gcs_function pb_origin_gcs_list_objects;

/* gcs_insert.c */
pb_origin_gcs_function pb_origin_gcs_insert_object;
/* Reads the resource and the media of an upload into `call`, and its name into call->s3.key. False:
 * refused already. */
bool pb_origin_gcs_read_upload(pb_origin_exchange *exchange, pb_origin_call *call);
/* Adds md5Hash and crc32c of the resource, and those of X-Goog-Hash. False: refused already. */
bool pb_origin_gcs_read_digests(pb_origin_exchange *exchange, const pb_origin_call *call,
                                pb_origin_gcs_digests *wanted);
/* Holds them against what came. False: refused already. */
bool pb_origin_gcs_check_digests(pb_origin_exchange *exchange, const pb_origin_gcs_digests *wanted,
                                 const uint8_t md5[PB_MD5_BYTES],
                                 const uint8_t crc32c[PB_CRC32C_BYTES]);
/* Stores an object, which it takes, and answers its resource; stores nothing where the fault is
 * LOST. False: refused already. */
bool pb_origin_gcs_store(pb_origin *origin, pb_origin_exchange *exchange,
                         const pb_origin_call *call, pb_origin_object *object, uint64_t fields);
/* The same into another bucket than the call's. */
bool pb_origin_gcs_store_in(pb_origin *origin, pb_origin_exchange *exchange,
                            const pb_origin_call *call, pb_origin_bucket *bucket,
                            pb_origin_object *object, uint64_t fields);

/* gcs_resumable.c */
pb_origin_gcs_function pb_origin_gcs_start_upload;
pb_origin_gcs_function pb_origin_gcs_take_chunk;
pb_origin_gcs_function pb_origin_gcs_upload_status;
pb_origin_gcs_function pb_origin_gcs_cancel_upload;
/* NULL where there is none. */
pb_origin_gcs_session *pb_origin_gcs_find_session(const pb_origin *origin, pb_slice id);
void pb_origin_gcs_session_free(pb_origin_gcs_session *session);

/* gcs_rewrite.c */
pb_origin_gcs_function pb_origin_gcs_rewrite_object;
void pb_origin_gcs_rewrite_free(pb_origin_gcs_rewrite *rewrite);

/* gcs_batch.c */
pb_origin_gcs_function pb_origin_gcs_batch;

/* gcs_service.c: shared. */

/* Counts an operation, and asks whether it may be done at all: token, parameters, rate, rights, who
 * pays. False: refused already. */
bool pb_origin_gcs_admit(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call);
/* The operation with its fault. */
void pb_origin_gcs_perform(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call);
/* 403, naming the right that is missing. */
void pb_origin_gcs_forbid(pb_origin_exchange *exchange, pb_origin_operation operation);
/* "http://HOST", as the client has called it; the caller frees. */
void pb_origin_gcs_append_endpoint(pb_buffer *buffer, const pb_origin *origin,
                                   const pb_origin_exchange *exchange);
/* 32 random hex digits. */
void pb_origin_gcs_make_id(char ret_id[33]);
/* NULL: 404 was answered. */
pb_origin_bucket *pb_origin_gcs_need_bucket(pb_origin *origin, pb_origin_exchange *exchange,
                                            pb_slice name);
/* The object with the revision that the conditions mean; NULL: 404 was answered. */
pb_origin_object *pb_origin_gcs_need_object(pb_origin *origin, pb_origin_exchange *exchange,
                                            pb_slice bucket, pb_slice key,
                                            const pb_origin_gcs_conditions *conditions);
/* Holds conditions against what is there (NULL: nothing). False: 412 was answered, or 304 where
 * `reads`. */
bool pb_origin_gcs_check_conditions(pb_origin_exchange *exchange,
                                    const pb_origin_gcs_conditions *conditions,
                                    const pb_origin_object *object, bool reads);
/* Answers an object's resource. */
void pb_origin_gcs_answer_object(const pb_origin *origin, pb_origin_exchange *exchange,
                                 pb_slice bucket, const pb_origin_object *object, uint64_t fields);

#endif
