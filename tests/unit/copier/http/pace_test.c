/* The pace of an endpoint, against a clock that the tests turn and stores that they play. */
#include "copier/http/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void end_some(pb_pace *pace, unsigned count, pb_pace_outcome outcome, int64_t now_ms)
{
    for (unsigned i = 0; i < count; i++) {
        pb_pace_begun(pace, now_ms);
        pb_pace_ended(pace, outcome, 0, now_ms);
    }
}

static void test_slow_start(void **state)
{
    (void)state;
    pb_pace pace;
    pb_pace_open(&pace, 100, 0);
    assert_int_equal(pace.window, 16);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(pb_pace_wait_ms(&pace, 0), 0);
        pb_pace_begun(&pace, 0);
    }
    assert_true(pb_pace_wait_ms(&pace, 0) == INT64_MAX);
    for (int i = 0; i < 16; i++)
        pb_pace_ended(&pace, PB_PACE_ANSWERED, 0, 10);
    assert_int_equal(pace.window, 32); /* doubled in a round trip */
    end_some(&pace, 500, PB_PACE_ANSWERED, 20);
    assert_int_equal(pace.window, 100); /* the ceiling */

    pb_pace_open(&pace, 1, 0);
    assert_int_equal(pace.window, 1);
    end_some(&pace, 5, PB_PACE_ANSWERED, 0);
    assert_int_equal(pace.window, 1);
}

static void test_congestion_halves_and_successes_add(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        pb_pace pace;
        pb_pace_open(&pace, 64, 0);
        end_some(&pace, 48, PB_PACE_ANSWERED, 1000);
        assert_int_equal(pace.window, 64);
        pb_pace_outcome congestion = kind ? PB_PACE_TIMED_OUT : PB_PACE_THROTTLED;
        end_some(&pace, 2, congestion, 1100); /* of one window: once */
        assert_int_equal(pace.window, 32);
        end_some(&pace, 31, PB_PACE_ANSWERED, 1150);
        assert_int_equal(pace.window, 32);
        end_some(&pace, 1, PB_PACE_ANSWERED, 1150);
        assert_int_equal(pace.window, 33);
        end_some(&pace, 1, congestion, 1199);
        assert_int_equal(pace.window, 33);
        end_some(&pace, 1, congestion, 1200); /* the recovery period is over */
        assert_int_equal(pace.window, 16);
        for (int64_t now_ms = 2000; now_ms < 4000; now_ms += 100)
            end_some(&pace, 1, congestion, now_ms);
        assert_int_equal(pace.window, 1);
        end_some(&pace, 64 * 64, PB_PACE_ANSWERED, 9000);
        assert_int_equal(pace.window, 64);
    }
}

static void test_recovery_lasts_a_round_trip(void **state)
{
    (void)state;
    pb_pace pace;
    pb_pace_open(&pace, 16, 0);
    pb_pace_responded(&pace, 400);
    end_some(&pace, 1, PB_PACE_TIMED_OUT, 1000);
    end_some(&pace, 1, PB_PACE_TIMED_OUT, 1399);
    assert_int_equal(pace.window, 8);
    end_some(&pace, 1, PB_PACE_TIMED_OUT, 1400);
    assert_int_equal(pace.window, 4);
}

static void test_what_says_nothing(void **state)
{
    (void)state;
    pb_pace pace;
    pb_pace_open(&pace, 32, 0);
    end_some(&pace, 100, PB_PACE_NEITHER, 10);
    assert_int_equal(pace.window, 16);
    assert_int_equal(pace.in_flight, 0);
    assert_int_equal(pb_pace_wait_ms(&pace, 10), 0);
}

static void test_retry_after_closes(void **state)
{
    (void)state;
    pb_pace pace;
    pb_pace_open(&pace, 32, 0);
    end_some(&pace, 10, PB_PACE_ANSWERED, 100);
    pb_pace_begun(&pace, 200);
    pb_pace_begun(&pace, 200);
    pb_pace_ended(&pace, PB_PACE_THROTTLED, 2000, 200);
    pb_pace_ended(&pace, PB_PACE_THROTTLED, 1000, 210); /* the longer one holds */
    assert_int_equal(pb_pace_wait_ms(&pace, 1200), 1000);
    assert_in_range(pb_pace_wait_ms(&pace, 2200), 0, 1);
    assert_int_equal(pb_pace_wait_ms(&pace, 2201), 0);

    pb_pace_begun(&pace, 3000);
    pb_pace_ended(&pace, PB_PACE_THROTTLED, 3600 * 1000, 3000); /* nobody waits an hour */
    assert_int_equal(pb_pace_wait_ms(&pace, 3000), 30 * 1000);
}

/* A store that serves so many a second (saving up a tenth of a second's) and answers at once; what
 * it refuses goes elsewhere, there is always another request. */
typedef struct played_store {
    pb_bucket bucket;
    unsigned served, refused;
} played_store;

static void serve(played_store *store, pb_pace *pace, int64_t from_ms, int64_t to_ms,
                  unsigned latency_ms)
{
    enum { FLIGHTS = 64 };
    int64_t due_ms[FLIGHTS];
    pb_pace_outcome outcomes[FLIGHTS];
    unsigned flights = 0, kept;
    for (int64_t now_ms = from_ms; now_ms < to_ms; now_ms++) {
        kept = 0;
        for (unsigned i = 0; i < flights; i++) {
            if (due_ms[i] <= now_ms) {
                pb_pace_ended(pace, outcomes[i], 0, now_ms);
                continue;
            }
            due_ms[kept] = due_ms[i];
            outcomes[kept++] = outcomes[i];
        }
        flights = kept;
        /* Five in a row a millisecond where it answers at once. */
        for (unsigned i = 0; (latency_ms || i < 5) && pb_pace_wait_ms(pace, now_ms) == 0; i++) {
            bool serves = pb_bucket_wait_ms(&store->bucket, now_ms) == 0;
            pb_bucket_take(&store->bucket, serves);
            store->served += serves;
            store->refused += !serves;
            pb_pace_begun(pace, now_ms);
            pb_pace_outcome outcome = serves ? PB_PACE_ANSWERED : PB_PACE_THROTTLED;
            if (!latency_ms) {
                pb_pace_ended(pace, outcome, 0, now_ms);
                continue;
            }
            assert_true(flights < FLIGHTS);
            due_ms[flights] = now_ms + latency_ms;
            outcomes[flights++] = outcome;
        }
    }
    while (flights--)
        pb_pace_ended(pace, outcomes[flights], 0, to_ms);
}

static void test_finds_the_rate_of_a_store(void **state)
{
    (void)state;
    static const struct {
        double per_s;
        unsigned latency_ms;
    } cases[] = {{60, 0}, {500, 0}, {500, 30}, {3000, 0}, {200, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        played_store store = {0};
        pb_pace pace;
        pb_bucket_open(&store.bucket, cases[i].per_s, 0);
        pb_pace_open(&pace, 64, 0);
        serve(&store, &pace, 0, 20 * 1000, cases[i].latency_ms);
        print_message("%.0f/s, %u ms: %u served, %u refused\n", cases[i].per_s, cases[i].latency_ms,
                      store.served, store.refused);
        assert_true(store.served > cases[i].per_s * 20 * 0.75);
        assert_true(store.refused * 10 < store.served);
    }
}

static void test_a_limit_that_goes_is_forgotten(void **state)
{
    (void)state;
    played_store store = {0};
    pb_pace pace;
    pb_bucket_open(&store.bucket, 300, 0);
    pb_pace_open(&pace, 64, 0);
    serve(&store, &pace, 0, 5 * 1000, 0);
    assert_true(pace.rate.per_s > 0 && pace.rate.per_s < 600);
    pb_bucket_open(&store.bucket, 0, 0);
    unsigned before = store.served;
    serve(&store, &pace, 5 * 1000, 40 * 1000, 0);
    assert_true(pace.rate.per_s == 0 || pace.rate.per_s > 3000);
    assert_int_equal(pace.window, 64);
    assert_true(store.served - before > 20 * 1000);
}

static void test_refusals_now_and_then_space_nothing(void **state)
{
    (void)state;
    pb_pace pace;
    pb_pace_open(&pace, 64, 0);
    for (int i = 1; i < 10000; i++)
        end_some(&pace, 1, i % 30 ? PB_PACE_ANSWERED : PB_PACE_THROTTLED, i * 2);
    assert_true(pace.rate.per_s == 0);
    assert_true(pace.window > 2);
}

static void test_patience(void **state)
{
    (void)state;
    pb_pace pace;
    pb_pace_open(&pace, 64, 0);
    assert_int_equal(pb_pace_patience_ms(&pace), 0);
    pb_pace_responded(&pace, 0);
    assert_int_equal(pb_pace_patience_ms(&pace), PB_PACE_PATIENCE_MS_MIN);
    for (int i = 0; i < 1000; i++)
        pb_pace_responded(&pace, 2000);
    assert_in_range(pb_pace_patience_ms(&pace), 1990, 2010); /* steady, though slow */
    for (int i = 0; i < 1000; i++)
        pb_pace_responded(&pace, i % 2 ? 1000 : 3000);
    assert_in_range(pb_pace_patience_ms(&pace), 5000, 7000); /* it varies */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_start),
        cmocka_unit_test(test_congestion_halves_and_successes_add),
        cmocka_unit_test(test_recovery_lasts_a_round_trip),
        cmocka_unit_test(test_what_says_nothing),
        cmocka_unit_test(test_retry_after_closes),
        cmocka_unit_test(test_finds_the_rate_of_a_store),
        cmocka_unit_test(test_a_limit_that_goes_is_forgotten),
        cmocka_unit_test(test_refusals_now_and_then_space_nothing),
        cmocka_unit_test(test_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
