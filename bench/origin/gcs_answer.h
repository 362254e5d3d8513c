/* bench/origin/gcs_answer.h - the answers that operations of the JSON API share. */
#ifndef PB_BENCH_ORIGIN_GCS_ANSWER_H
#define PB_BENCH_ORIGIN_GCS_ANSWER_H

#include "bench/origin/gcs_request.h"
#include "bench/origin/http_connection.h"

/* Google's error document: {"error":{"code","message","errors":[{...}]}}. `message` and `location`
 * (a parameter, or "Authorization"; NULL for none) are valid UTF-8. Replaces an answer that was
 * begun. */
void pb_origin_gcs_refuse(pb_origin_exchange *exchange, int status, const char *reason,
                          const char *message, const char *location);
/* 404, naming the bucket or the object. */
void pb_origin_gcs_not_found(pb_origin_exchange *exchange, pb_slice bucket, pb_slice key);
/* 412 conditionNotMet. */
void pb_origin_gcs_condition_failed(pb_origin_exchange *exchange, const char *location);
/* 400 invalid, with a message. */
void pb_origin_gcs_invalid(pb_origin_exchange *exchange, const char *message);

/* Status 200 and Content-Type; the caller appends to response.text. */
pb_buffer *pb_origin_gcs_answer_json(pb_origin_exchange *exchange);
/* Appends a JSON string; bytes that are no UTF-8 (S3 takes such keys) become '?'. */
void pb_origin_gcs_append_string(pb_buffer *text, pb_slice value);

/* The body of the request, {NULL, 0} where there is none. */
pb_slice pb_origin_gcs_body(const pb_origin_exchange *exchange);

#endif
