#include "copier/http/pace.h"

enum {
    WINDOW_FIRST = 16,
    RECOVERY_MS_MIN = 100,
    RETRY_AFTER_MS_MAX = 30 * 1000,
    /* How long answers are counted for: at least so long, and until there are so many. */
    COUNT_MS = 100,
    COUNT_MIN = 20,
    IDLE_MS = 1000, /* an idle endpoint's count that is older than that begins anew */
    /* A good part of a count are refusals: so many, and one in so many. */
    REFUSALS_MIN = 5,
    REFUSALS_ONE_IN = 4,
};
#define RATE_CUT 0.7
#define RATE_GROWTH_PER_S 0.1
#define RATE_MIN_PER_S 0.5
#define RATE_MAX_PER_S 1e5 /* beyond it the window alone decides */

void pb_pace_open(pb_pace *pace, unsigned ceiling, int64_t now_ms)
{
    *pace = (pb_pace){
        .ceiling = ceiling,
        .window = ceiling < WINDOW_FIRST ? ceiling : WINDOW_FIRST,
        .counted_ms = now_ms,
    };
}

int64_t pb_pace_wait_ms(pb_pace *pace, int64_t now_ms)
{
    if (pace->in_flight >= pace->window)
        return INT64_MAX;
    if (pace->closed_until_ms > now_ms)
        return pace->closed_until_ms - now_ms;
    return pb_bucket_wait_ms(&pace->rate, now_ms);
}

static double counted_per_s(const pb_pace *pace, int64_t now_ms)
{
    int64_t counted_ms = now_ms - pace->counted_ms;
    if (counted_ms < COUNT_MS)
        counted_ms = COUNT_MS;
    return pace->answered * 1000.0 / (double)counted_ms;
}

static void count_from(pb_pace *pace, int64_t from_ms)
{
    pace->counted_ms = from_ms;
    pace->answered = pace->throttled = 0;
}

void pb_pace_begun(pb_pace *pace, int64_t now_ms)
{
    if (!pace->in_flight && now_ms - pace->counted_ms > IDLE_MS)
        count_from(pace, now_ms);
    pace->in_flight++;
    pb_bucket_take(&pace->rate, 1);
}

static int64_t recovery_ms(const pb_pace *pace)
{
    return pace->response_ms > RECOVERY_MS_MIN ? (int64_t)pace->response_ms : RECOVERY_MS_MIN;
}

static void grow(pb_pace *pace, int64_t now_ms)
{
    if (!pace->warm || ++pace->successes >= pace->window) {
        pace->successes = 0;
        if (pace->window < pace->ceiling)
            pace->window++;
    }
    if (pace->rate.per_s > 0) {
        int64_t since_ms = now_ms - pace->rate_grown_ms;
        double since_s = since_ms < 1000 ? (double)since_ms / 1000 : 1;
        pace->rate.per_s *= 1 + RATE_GROWTH_PER_S * since_s;
        pace->rate_grown_ms = now_ms;
        if (pace->rate.per_s > RATE_MAX_PER_S)
            pace->rate.per_s = 0;
    }
}

static void shrink(pb_pace *pace, int64_t now_ms)
{
    if (now_ms < pace->recovered_ms)
        return;
    pace->recovered_ms = now_ms + recovery_ms(pace);
    pace->warm = true;
    pace->successes = 0;
    pace->window = pace->window > 1 ? pace->window / 2 : 1;
}

/* From here on less than what was served of late, beginning when what is in flight has come back.
 */
static void space_out(pb_pace *pace, int64_t now_ms)
{
    double served_per_s = counted_per_s(pace, now_ms), per_s = pace->rate.per_s;
    if (served_per_s < pace->served_per_s)
        served_per_s = pace->served_per_s; /* this count may have hardly begun */
    if (per_s <= 0 || per_s > served_per_s)
        per_s = served_per_s;
    per_s *= RATE_CUT;
    if (per_s < RATE_MIN_PER_S)
        per_s = RATE_MIN_PER_S;
    int64_t begins_ms = now_ms + recovery_ms(pace);
    if (begins_ms < pace->closed_until_ms)
        begins_ms = pace->closed_until_ms;
    pace->rate = (pb_bucket){.per_s = per_s, .filled_ms = begins_ms};
    pace->rate_grown_ms = begins_ms;
    count_from(pace, begins_ms);
}

static void refused(pb_pace *pace, int64_t retry_after_ms, int64_t now_ms)
{
    if (retry_after_ms > RETRY_AFTER_MS_MAX)
        retry_after_ms = RETRY_AFTER_MS_MAX;
    if (retry_after_ms > 0 && pace->closed_until_ms < now_ms + retry_after_ms)
        pace->closed_until_ms = now_ms + retry_after_ms;
    bool many =
        pace->throttled >= REFUSALS_MIN && pace->throttled * REFUSALS_ONE_IN >= pace->answered;
    if (now_ms >= pace->counted_ms && (many || retry_after_ms > 0))
        space_out(pace, now_ms);
    shrink(pace, now_ms);
}

void pb_pace_ended(pb_pace *pace, pb_pace_outcome outcome, int64_t retry_after_ms, int64_t now_ms)
{
    pace->in_flight--;
    if (now_ms >= pace->counted_ms) {
        if (now_ms - pace->counted_ms >= COUNT_MS &&
            pace->answered + pace->throttled >= COUNT_MIN) {
            pace->served_per_s = counted_per_s(pace, now_ms);
            count_from(pace, now_ms);
        }
        pace->answered += outcome == PB_PACE_ANSWERED;
        pace->throttled += outcome == PB_PACE_THROTTLED;
    }
    switch (outcome) {
    case PB_PACE_ANSWERED:
        grow(pace, now_ms);
        break;
    case PB_PACE_THROTTLED:
        refused(pace, retry_after_ms, now_ms);
        break;
    case PB_PACE_TIMED_OUT:
        shrink(pace, now_ms);
        break;
    case PB_PACE_NEITHER:
        break;
    }
}

void pb_pace_responded(pb_pace *pace, int64_t after_ms)
{
    double sample_ms = after_ms > 0 ? (double)after_ms : 0.5; /* 0 would mean no sample */
    if (pace->response_ms <= 0) {
        pace->response_ms = sample_ms;
        pace->deviation_ms = sample_ms / 2;
        return;
    }
    double off_ms = sample_ms - pace->response_ms;
    pace->response_ms += off_ms / 8;
    pace->deviation_ms += ((off_ms < 0 ? -off_ms : off_ms) - pace->deviation_ms) / 4;
}

int64_t pb_pace_patience_ms(const pb_pace *pace)
{
    if (pace->response_ms <= 0)
        return 0;
    double patience_ms = pace->response_ms + 4 * pace->deviation_ms;
    return patience_ms > PB_PACE_PATIENCE_MS_MIN ? (int64_t)patience_ms : PB_PACE_PATIENCE_MS_MIN;
}
