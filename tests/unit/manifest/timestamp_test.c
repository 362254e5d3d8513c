#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/random.h"
#include "manifest/timestamp.h"
#include <cmocka.h>

static void expect_same_as_clock(int64_t utc_ms)
{
    char wanted[PB_TIME_TEXT_MAX];
    char text[PB_TIMESTAMP_BYTES + 1] = {0};
    int64_t read_ms = -1;
    pb_time_format_rfc3339(utc_ms, wanted);
    pb_timestamp_write(utc_ms, text);
    assert_string_equal(text, wanted);
    assert_true(pb_timestamp_read(text, &read_ms));
    int64_t wanted_ms = -2;
    assert_true(pb_time_parse_rfc3339(pb_slice_of(wanted), &wanted_ms));
    assert_true(read_ms == wanted_ms);
}

static void agrees_with_the_clock(void **state)
{
    (void)state;
    static const int64_t days_ms[] = {0, -1, 1, 951782400000, 951868799999, 4107542399999};
    for (size_t i = 0; i < sizeof(days_ms) / sizeof(days_ms[0]); i++)
        expect_same_as_clock(days_ms[i]);
    expect_same_as_clock(INT64_MIN);
    expect_same_as_clock(INT64_MAX);
    expect_same_as_clock(INT64_C(-62167219200) * 1000);
    expect_same_as_clock(INT64_C(253402300800) * 1000 - 1);
    pb_random random = {42};
    for (int i = 0; i < 20000; i++) {
        int64_t second = (int64_t)pb_random_below(&random, UINT64_C(315569520000)) - 62167219200;
        expect_same_as_clock(second * 1000 + (int64_t)pb_random_below(&random, 1000));
    }
}

static void every_day_of_two_eras_round_trips(void **state)
{
    (void)state;
    for (int64_t day = -200000; day < 100000; day++) {
        char text[PB_TIMESTAMP_BYTES];
        int64_t read_ms;
        pb_timestamp_write(day * 86400000, text);
        assert_true(pb_timestamp_read(text, &read_ms));
        assert_true(read_ms == day * 86400000);
    }
}

static void refuses_what_is_no_such_time(void **state)
{
    (void)state;
    static const char good[] = "2024-02-29T23:59:59.999Z";
    static const char *const bad[] = {
        "2023-02-29T23:59:59.999Z",
        "1900-02-29T00:00:00.000Z",
        "2024-13-01T00:00:00.000Z",
        "2024-00-01T00:00:00.000Z",
        "2024-01-00T00:00:00.000Z",
        "2024-04-31T00:00:00.000Z",
        "2024-01-01T24:00:00.000Z",
        "2024-01-01T00:60:00.000Z",
        "2024-12-31T23:59:60.000Z",
        "2024-01-01t00:00:00.000Z",
        "2024-01-01T00:00:00,000Z",
        "2024-01-01T00:00:00.0000",
        "-024-01-01T00:00:00.000Z",
        "2024-01-01T00:00:00.00 Z",
        "\xff\xff\xff\xff-01-01T00:00:00.000Z",
    };
    int64_t utc_ms;
    assert_true(pb_timestamp_read(good, &utc_ms));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(pb_timestamp_read(bad[i], &utc_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_clock),
        cmocka_unit_test(every_day_of_two_eras_round_trips),
        cmocka_unit_test(refuses_what_is_no_such_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
