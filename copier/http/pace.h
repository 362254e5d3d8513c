/* copier/http/pace.h - how much one endpoint is asked for at once. Pure; one thread at a time.
 *
 * A window of requests in flight, as TCP has it: a cold endpoint begins with a few, each success
 * adds one (so that it doubles a round trip) until the ceiling or the first congestion; from then
 * on a whole window of successes adds one. A throttling answer or a timeout halves it, once a
 * recovery period: what one window sent counts once.
 *
 * A window of one is still a flood for a store that answers in no time. Where a good part of the
 * answers are refusals, or the store said Retry-After, requests are also spaced: by a rate that
 * begins below what the store has just served, and grows by a tenth a second until the next such
 * time. A refusal now and then leaves the rate alone.
 *
 * It also knows how long the endpoint takes to answer, so that one request that takes much longer
 * can be told. Times are of one monotonic clock, in milliseconds. */
#ifndef PB_COPIER_HTTP_PACE_H
#define PB_COPIER_HTTP_PACE_H

#include "copier/http/bucket.h"
#include <stdbool.h>

typedef enum pb_pace_outcome {
    PB_PACE_ANSWERED,
    PB_PACE_THROTTLED, /* 503 SlowDown, 429 and their kin */
    PB_PACE_TIMED_OUT, /* stalled, or no connection in time */
    PB_PACE_NEITHER,   /* broken, cancelled, given up: says nothing of the load */
} pb_pace_outcome;

typedef struct pb_pace {
    unsigned ceiling;
    unsigned window;
    unsigned in_flight;
    unsigned successes;      /* since the window grew last */
    bool warm;               /* the first congestion is behind */
    int64_t recovered_ms;    /* until then congestion is that which is known */
    int64_t closed_until_ms; /* Retry-After */

    pb_bucket rate;
    int64_t rate_grown_ms;
    /* Answers since counted_ms; what comes before it is not counted. */
    int64_t counted_ms;
    unsigned answered, throttled;
    double served_per_s; /* by the count before */

    double response_ms, deviation_ms; /* smoothed; 0 before the first sample */
} pb_pace;

/* `ceiling`: most in flight, at least 1. */
void pb_pace_open(pb_pace *pace, unsigned ceiling, int64_t now_ms);

/* 0: a request may begin now. Else how long not; INT64_MAX: until one has ended. */
int64_t pb_pace_wait_ms(pb_pace *pace, int64_t now_ms);
void pb_pace_begun(pb_pace *pace, int64_t now_ms);
/* `retry_after_ms`: what a throttling answer said, or 0; at most 30 s of it are waited for. */
void pb_pace_ended(pb_pace *pace, pb_pace_outcome outcome, int64_t retry_after_ms, int64_t now_ms);

enum { PB_PACE_PATIENCE_MS_MIN = 1000 };

/* A request's answer began so long after it. */
void pb_pace_responded(pb_pace *pace, int64_t after_ms);
/* How long an answer may take before something is wrong with the request rather than with the
 * store: mean and four deviations, as RFC 6298 has it, at least PB_PACE_PATIENCE_MS_MIN. 0: not
 * known yet. */
int64_t pb_pace_patience_ms(const pb_pace *pace);

#endif
