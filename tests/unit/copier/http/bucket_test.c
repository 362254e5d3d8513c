/* The token bucket: averages hold, debts are waited off, nothing is saved up for long. */
#include "copier/http/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* How often it was open in so many milliseconds, when each visitor takes `amount`. */
static unsigned visits(pb_bucket *bucket, double amount, int64_t from_ms, int64_t to_ms)
{
    unsigned count = 0;
    for (int64_t now_ms = from_ms; now_ms < to_ms;) {
        int64_t wait_ms = pb_bucket_wait_ms(bucket, now_ms);
        if (wait_ms) {
            now_ms += wait_ms;
            continue;
        }
        pb_bucket_take(bucket, amount);
        count++;
    }
    return count;
}

static void test_no_limit(void **state)
{
    (void)state;
    pb_bucket bucket;
    pb_bucket_open(&bucket, 0, 5000);
    for (int i = 0; i < 1000; i++) {
        pb_bucket_take(&bucket, 1e9);
        assert_int_equal(pb_bucket_wait_ms(&bucket, 5000), 0);
    }
}

static void test_averages(void **state)
{
    (void)state;
    static const struct {
        double per_s, amount;
        unsigned least, most; /* visits in 10 s */
    } cases[] = {
        {100, 1, 1000, 1012}, {0.5, 1, 5, 7},         {1000, 1, 9900, 10102},
        {1000, 5000, 2, 3},   {1e6, 1e6 / 4, 39, 42}, {3, 1, 30, 32},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_bucket bucket;
        pb_bucket_open(&bucket, cases[i].per_s, 77);
        assert_in_range(visits(&bucket, cases[i].amount, 77, 10077), cases[i].least, cases[i].most);
    }
}

static void test_little_is_saved_up(void **state)
{
    (void)state;
    pb_bucket bucket;
    pb_bucket_open(&bucket, 100, 0);
    assert_int_equal(pb_bucket_wait_ms(&bucket, 3600 * 1000), 0);
    assert_in_range(visits(&bucket, 1, 3600 * 1000, 3600 * 1000 + 1), 10, 10);
}

static void test_what_is_given_back(void **state)
{
    (void)state;
    pb_bucket bucket;
    pb_bucket_open(&bucket, 10, 0);
    pb_bucket_take(&bucket, 101);
    assert_in_range(pb_bucket_wait_ms(&bucket, 0), 10000, 10002);
    pb_bucket_take(&bucket, -100.5);
    assert_int_equal(pb_bucket_wait_ms(&bucket, 0), 0);
}

static void test_one_that_begins_later(void **state)
{
    (void)state;
    pb_bucket bucket = {.per_s = 10, .filled_ms = 500};
    assert_in_range(pb_bucket_wait_ms(&bucket, 100), 400, 402);
    assert_int_equal(pb_bucket_wait_ms(&bucket, 501), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_averages),
        cmocka_unit_test(test_little_is_saved_up),
        cmocka_unit_test(test_what_is_given_back),
        cmocka_unit_test(test_one_that_begins_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
