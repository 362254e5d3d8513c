/* bench/origin/fault_plan.h - which requests go wrong, and how. Pure; the same plan and the same
 * order of requests give the same faults. */
#ifndef PB_BENCH_ORIGIN_FAULT_PLAN_H
#define PB_BENCH_ORIGIN_FAULT_PLAN_H

#include "base/error.h"
#include "base/random.h"
#include "bench/origin/s3_request.h"

typedef enum pb_origin_fault {
    PB_ORIGIN_FAULT_NONE,
    PB_ORIGIN_FAULT_ERROR403,
    PB_ORIGIN_FAULT_ERROR500,
    PB_ORIGIN_FAULT_ERROR503,
    PB_ORIGIN_FAULT_RESET,       /* nothing done, connection reset */
    PB_ORIGIN_FAULT_RESET_AFTER, /* done, but the connection is reset before the answer */
    PB_ORIGIN_FAULT_TRUNCATED,
    PB_ORIGIN_FAULT_FLIPPED,
    PB_ORIGIN_FAULT_GARBLED,
    PB_ORIGIN_FAULT_STALL,
    PB_ORIGIN_FAULT_ERROR200,
    PB_ORIGIN_FAULT_LOST,
    PB_ORIGIN_FAULT_SLOW,
    PB_ORIGIN_FAULT_ERROR401, /* of the JSON API alone, from here */
    PB_ORIGIN_FAULT_ERROR429,
    PB_ORIGIN_FAULT_PARTIAL, /* a chunk is kept in part */
    PB_ORIGIN_FAULT_GONE,    /* a resumable upload's session is lost */
    PB_ORIGIN_FAULT_COUNT,
} pb_origin_fault;

/* As in the plan's text: "error500", "reset-after", ... */
const char *pb_origin_fault_name(pb_origin_fault fault);

enum { PB_ORIGIN_FAULT_RULES_MAX = 64 };

typedef struct pb_origin_fault_rule {
    pb_origin_fault fault;
    double probability;            /* 1 by default */
    pb_origin_operation operation; /* PB_ORIGIN_OPERATION_COUNT: any */
    char *key;                     /* substring; NULL: any */
    uint64_t times;                /* how often at most; UINT64_MAX: always */
    uint64_t after;                /* how many matching requests pass first */
    uint64_t delay_ms;             /* of slow */
} pb_origin_fault_rule;

/* {0} is the plan without faults. */
typedef struct pb_origin_fault_plan {
    pb_random random;
    size_t rule_count;
    pb_origin_fault_rule rules[PB_ORIGIN_FAULT_RULES_MAX];
} pb_origin_fault_plan;

/* Reads lines `seed N` and `fault KIND [probability=P] [operation=NAME] [key=SUBSTRING] [times=N]
 * [after=N] [delay=MS]`; '#' starts a comment. The key is percent-decoded. On failure (USAGE)
 * *ret_plan is untouched. */
int pb_origin_fault_plan_parse(pb_slice text, pb_origin_fault_plan *ret_plan, pb_error *error);
void pb_origin_fault_plan_free(pb_origin_fault_plan *plan); /* back to {0} */

/* The fault for the next request: of the first rule that fits and whose dice fall so. *ret_delay_ms
 * is set for SLOW. */
pb_origin_fault pb_origin_fault_plan_next(pb_origin_fault_plan *plan, pb_origin_operation operation,
                                          pb_slice key, uint64_t *ret_delay_ms);

#endif
