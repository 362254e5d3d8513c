/* bench/origin/s3_operations.h - what each S3 operation does. The body, where there is one, has
 * been read and its digests checked; each fills exchange->response. */
#ifndef PB_BENCH_ORIGIN_S3_OPERATIONS_H
#define PB_BENCH_ORIGIN_S3_OPERATIONS_H

#include "bench/origin/origin.h"

typedef void pb_origin_operation_function(pb_origin *origin, pb_origin_exchange *exchange,
                                          pb_origin_call *call);

/* s3_operations.c: objects and buckets */
pb_origin_operation_function pb_origin_list_buckets;
pb_origin_operation_function pb_origin_create_bucket;
pb_origin_operation_function pb_origin_delete_bucket;
pb_origin_operation_function pb_origin_head_bucket;
pb_origin_operation_function pb_origin_get_bucket_location;
pb_origin_operation_function pb_origin_get_bucket_versioning;
pb_origin_operation_function pb_origin_get_object;         /* and HeadObject */
pb_origin_operation_function pb_origin_get_object_tagging; /* awscli asks before it copies */
pb_origin_operation_function pb_origin_put_object;
pb_origin_operation_function pb_origin_copy_object;
pb_origin_operation_function pb_origin_delete_object;
pb_origin_operation_function pb_origin_delete_objects;

/* s3_listing.c: both versions of ListObjects */
pb_origin_operation_function pb_origin_list_objects;

/* s3_multipart.c */
pb_origin_operation_function pb_origin_create_multipart_upload;
pb_origin_operation_function pb_origin_upload_part;
pb_origin_operation_function pb_origin_upload_part_copy;
pb_origin_operation_function pb_origin_complete_multipart_upload;
pb_origin_operation_function pb_origin_abort_multipart_upload;
pb_origin_operation_function pb_origin_list_parts;
pb_origin_operation_function pb_origin_list_multipart_uploads;
/* Frees uploads: those of one bucket, or all (NULL). */
void pb_origin_drop_uploads(pb_origin *origin, const pb_origin_bucket *bucket);

/* Shared by objects and parts. */

/* The object of x-amz-copy-source, its conditions held against it. NULL: refused already. */
const pb_origin_object *pb_origin_find_copy_source(pb_origin *origin, pb_origin_exchange *exchange);
/* Content-Type, x-amz-meta-* and the like of a request, kept with the object. NULL for none. */
pb_origin_attributes *pb_origin_read_attributes(const pb_origin_request *request);
/* "bytes=..." against a size. -1: not satisfiable; 0: no range (all of it); 1: a range. */
int pb_origin_read_range(pb_slice text, uint64_t size, uint64_t *ret_offset, uint64_t *ret_size);
/* Holds If-None-Match and If-Match of a write against what is stored. False: refused already. */
bool pb_origin_check_write_conditions(pb_origin *origin, pb_origin_exchange *exchange,
                                      const pb_origin_object *existing);
/* The body of the request as content (an empty one where there was none); the caller owns it. */
pb_origin_content *pb_origin_take_body(pb_origin_exchange *exchange);
/* Base64 of four bytes, as x-amz-checksum-crc32c has it. */
bool pb_origin_read_crc32c(pb_slice text, uint8_t ret_crc32c[PB_CRC32C_BYTES]);
/* Answers a body's CRC32C, which was checked, as S3 does. */
void pb_origin_echo_crc32c(pb_origin_exchange *exchange);
/* Flips one byte of a stored body, for the fault of that name. */
void pb_origin_flip_stored(pb_origin *origin, pb_origin_content *content);

#endif
