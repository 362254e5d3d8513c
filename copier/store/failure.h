/* copier/store/failure.h - an unsuccessful answer of a store as an error: what its code means is
 * the driver's table, how it is said is the same for all. Pure, any thread. */
#ifndef PB_COPIER_STORE_FAILURE_H
#define PB_COPIER_STORE_FAILURE_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct pb_failure_class {
    pb_error_kind kind;
    bool retry;       /* the same request may succeed later */
    const char *hint; /* static; "" where there is nothing to say */
} pb_failure_class;

/* What a status means in any dialect (RFC 9110, section 15; 507: RFC 4918); a driver asks where
 * neither its own codes nor its own statuses say more. */
pb_failure_class pb_failure_of_status(int status);

/* The hint of answers that refuse our time: the fill adds both clocks. */
#define PB_HINT_CLOCK "set this machine's clock"

/* The facts of a failed answer. All slices may be empty. */
typedef struct pb_failure {
    const char *what; /* "PUT s3://bucket/key at https://host" */
    int status;
    pb_slice code;
    pb_slice message; /* the server's */
    pb_slice request_id;
    int64_t store_now_ms; /* of its Date header; 0 where unknown */
    int64_t our_now_ms;   /* when the answer came */
} pb_failure;

/* Fills *error: "<what>: <code>: <message>", with kind, status, code, request id and hint. */
void pb_failure_fill(pb_error *error, const pb_failure *failure, pb_failure_class class);

#endif
