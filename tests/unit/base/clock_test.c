#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define EARLIEST_MS INT64_C(-62167219200000)
#define LATEST_MS INT64_C(253402300799999)

static void formats_of_one_moment(void **state)
{
    (void)state;
    char text[PB_TIME_TEXT_MAX];
    int64_t at = INT64_C(1795411249123);
    pb_time_format_basic(at, text);
    assert_string_equal(text, "20261123T052049Z");
    pb_time_format_rfc3339(at, text);
    assert_string_equal(text, "2026-11-23T05:20:49.123Z");
    pb_time_format_http(at, text);
    assert_string_equal(text, "Mon, 23 Nov 2026 05:20:49 GMT");
    pb_time_format_of_day(at, text);
    assert_string_equal(text, "05:20:49");
}

static void formats_at_the_edges(void **state)
{
    (void)state;
    static const struct {
        int64_t at;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
        {INT64_C(4107542400000), "2100-03-01T00:00:00.000Z"},
        {EARLIEST_MS, "0000-01-01T00:00:00.000Z"},
        {EARLIEST_MS - 1, "0000-01-01T00:00:00.000Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
        {LATEST_MS, "9999-12-31T23:59:59.999Z"},
        {LATEST_MS + 1, "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[PB_TIME_TEXT_MAX];
        pb_time_format_rfc3339(rows[i].at, text);
        assert_string_equal(text, rows[i].text);
    }
}

/* Every day of the leap-year cycle from 1970 on, and every thirteenth of the ten thousand years,
 * against the C library and back. */
static void days_go_round(void **state)
{
    (void)state;
    const int64_t day_ms = INT64_C(86400000);
    for (int64_t at = EARLIEST_MS; at <= LATEST_MS;
         at += at >= 0 && at < 146097 * day_ms ? day_ms : 13 * day_ms) {
        char text[PB_TIME_TEXT_MAX];
        char wanted[64];
        int64_t moment = at + 86399 * INT64_C(1000) + 7;
        int64_t back = 0;
        time_t seconds = (time_t)(at / 1000 + 86399);
        struct tm parts;
        gmtime_r(&seconds, &parts);
        pb_time_format_rfc3339(moment, text);
        snprintf(wanted, sizeof(wanted), "%04d-%02d-%02dT23:59:59.007Z", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday);
        assert_string_equal(text, wanted);
        assert_true(pb_time_parse_rfc3339(pb_slice_of(text), &back));
        assert_true(back == moment);
        pb_time_format_http(moment, text);
        static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        assert_memory_equal(text, days[parts.tm_wday], 3);
        assert_true(pb_time_parse_http(pb_slice_of(text), &back));
        assert_true(back == moment - 7);
    }
}

static void rfc3339_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t at;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.5Z", 500},
        {"1970-01-01T00:00:00.05Z", 50},
        {"1970-01-01T00:00:00.1234Z", 123},
        {"1970-01-01T00:00:00.999999999999Z", 999},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
        {"2024-02-29T12:00:00.000Z", INT64_C(1709208000000)},
        {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
        {"0000-02-29T00:00:00Z", INT64_C(-62162121600000)},
        {"9999-12-31T23:59:59.999Z", LATEST_MS},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t at = 42;
        if (!pb_time_parse_rfc3339(pb_slice_of(rows[i].text), &at) || at != rows[i].at)
            fail_msg("%s is read as %lld", rows[i].text, (long long)at);
    }
}

static void bad_rfc3339_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026",
        "2026-11-23",
        "2026-11-23T05:20:49",
        "2026-11-23T05:20:49+00:00",
        "2026-11-23T05:20:49.Z",
        "2026-11-23T05:20:49.1",
        "2026-11-23T05:20:49,1Z",
        "2026-11-23T05:20:49.1.2Z",
        "2026-11-23T05:20:49Z ",
        "2026-11-23T05:20:49ZZ",
        " 2026-11-23T05:20:49Z",
        "2026-11-23 05:20:49Z",
        "2026-11-23t05:20:49z",
        "2026-1-23T05:20:49Z",
        "2026-00-23T05:20:49Z",
        "2026-13-23T05:20:49Z",
        "2026-11-00T05:20:49Z",
        "2026-11-31T05:20:49Z",
        "2026-12-32T05:20:49Z",
        "2026-02-29T05:20:49Z",
        "2100-02-29T05:20:49Z",
        "2024-02-30T05:20:49Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T05:60:00Z",
        "2026-11-23T05:20:60Z",
        "2026-11-23T23:59:61Z",
        "2026-11-23T-5:20:49Z",
        "+026-11-23T05:20:49Z",
        "20261123T052049Z",
    };
    int64_t at = 42;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (pb_time_parse_rfc3339(pb_slice_of(bad[i]), &at))
            fail_msg("%s is taken", bad[i]);
    }
    assert_false(pb_time_parse_rfc3339((pb_slice){0}, &at));
    assert_false(pb_time_parse_rfc3339((pb_slice){"2026-11-23T05:20:49Z", 19}, &at));
    assert_true(at == 42);
}

static void http_dates_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t at;
    } rows[] = {
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT", INT64_C(784111777000)},
        {"Mon, 06 Nov 1994 08:49:37 GMT", INT64_C(784111777000)}, /* the wrong day of the week */
        {"Tue, 29 Feb 2000 00:00:00 GMT", INT64_C(951782400000)},
        {"Sat, 31 Dec 2016 23:59:60 GMT", INT64_C(1483228800000)},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t at = 42;
        if (!pb_time_parse_http(pb_slice_of(rows[i].text), &at) || at != rows[i].at)
            fail_msg("%s is read as %lld", rows[i].text, (long long)at);
    }
}

static void bad_http_dates_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "Sunday, 06-Nov-94 08:49:37 GMT", /* RFC 850 */
        "Sun Nov  6 08:49:37 1994",       /* asctime */
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nob 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "06 Nov 1994 08:49:37 GMT",
    };
    int64_t at = 42;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (pb_time_parse_http(pb_slice_of(bad[i]), &at))
            fail_msg("%s is taken", bad[i]);
    }
    assert_false(pb_time_parse_http((pb_slice){0}, &at));
    assert_true(at == 42);
}

static void clocks_run(void **state)
{
    (void)state;
    int64_t first = pb_clock_monotonic_ms();
    struct timespec nap = {.tv_nsec = 5000000};
    nanosleep(&nap, NULL);
    int64_t passed = pb_clock_monotonic_ms() - first;
    assert_true(passed >= 4);
    int64_t now = pb_clock_utc_ms();
    int64_t seconds = (int64_t)time(NULL);
    assert_true(now / 1000 - seconds <= 1 && seconds - now / 1000 <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_of_one_moment),
        cmocka_unit_test(formats_at_the_edges),
        cmocka_unit_test(days_go_round),
        cmocka_unit_test(rfc3339_is_read),
        cmocka_unit_test(bad_rfc3339_is_refused),
        cmocka_unit_test(http_dates_are_read),
        cmocka_unit_test(bad_http_dates_are_refused),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
