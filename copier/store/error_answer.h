/* copier/store/error_answer.h - an unsuccessful answer of a store as an error: which kind its code
 * has is the driver's table, how it is said is the same for all. What a kind means is
 * base/failure.h's. Pure, any thread. */
#ifndef PB_COPIER_STORE_ERROR_ANSWER_H
#define PB_COPIER_STORE_ERROR_ANSWER_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct pb_error_class {
    pb_error_kind kind;
    const char *hint; /* static; "" where there is nothing to say */
} pb_error_class;

/* What a status means in any dialect (RFC 9110, section 15; 507: RFC 4918); a driver asks where
 * neither its own codes nor its own statuses say more. */
pb_error_class pb_error_class_of_status(int status);

/* The hint of answers that refuse our time: the fill adds both clocks. */
#define PB_HINT_CLOCK "set this machine's clock"

/* The facts of a failed answer. All slices may be empty. */
typedef struct pb_error_answer {
    const char *what; /* "PUT s3://bucket/key at https://host" */
    int status;
    pb_slice code;
    pb_slice message; /* the server's */
    pb_slice request_id;
    int64_t store_now_ms; /* of its Date header; 0 where unknown */
    int64_t our_now_ms;   /* when the answer came */
} pb_error_answer;

/* Fills *error: "<what>: <code>: <message>", with kind, status, code, request id and hint. */
void pb_error_answer_fill(pb_error *error, const pb_error_answer *failure, pb_error_class class);

#endif
