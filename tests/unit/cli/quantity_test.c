#include "cli/quantity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void assert_text(pb_buffer *buffer, const char *text)
{
    assert_string_equal(buffer->data, text);
    pb_buffer_free(buffer);
}

static void counts(void **state)
{
    (void)state;
    static const struct {
        uint64_t count;
        const char *text;
    } cases[] = {
        {0, "0"},
        {999, "999"},
        {1000, "1,000"},
        {123456, "123,456"},
        {1234567, "1,234,567"},
        {UINT64_MAX, "18,446,744,073,709,551,615"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_buffer buffer = {0};
        pb_quantity_count(&buffer, cases[i].count);
        assert_text(&buffer, cases[i].text);
    }
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.00 KiB"},
        {1536, "1.50 KiB"},
        {10239, "9.99 KiB"},
        {10240, "10.0 KiB"},
        {102399, "99.9 KiB"},
        {102400, "100 KiB"},
        {1048575, "1023 KiB"}, /* cut, not rounded to a unit it has not reached */
        {1048576, "1.00 MiB"},
        {(uint64_t)5 << 40, "5.00 TiB"},
        {UINT64_MAX, "15.9 EiB"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_buffer buffer = {0};
        pb_quantity_bytes(&buffer, cases[i].bytes);
        assert_text(&buffer, cases[i].text);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {-5, "0.0 s"},           {0, "0.0 s"},
        {999, "0.9 s"},          {59999, "59.9 s"},
        {60000, "1 min 00 s"},   {3599999, "59 min 59 s"},
        {3600000, "1 h 00 min"}, {86399999, "23 h 59 min"},
        {90000000, "1 d 01 h"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_buffer buffer = {0};
        pb_quantity_duration(&buffer, cases[i].ms);
        assert_text(&buffer, cases[i].text);
    }
}

static void percents(void **state)
{
    (void)state;
    static const struct {
        uint64_t part, whole;
        const char *text;
    } cases[] = {
        {0, 0, "100%"},
        {0, 5, "0%"},
        {1, 3, "33%"},
        {999999999, 1000000000, "99%"},
        {UINT64_MAX - 1, UINT64_MAX, "99%"}, /* a double would make it all */
        {5, 5, "100%"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_buffer buffer = {0};
        pb_quantity_percent(&buffer, cases[i].part, cases[i].whole);
        assert_text(&buffer, cases[i].text);
    }
}

static void rates(void **state)
{
    (void)state;
    pb_buffer buffer = {0};
    pb_quantity_rate(&buffer, 5, 5, 0);
    assert_int_equal(buffer.size, 0);
    pb_quantity_rate(&buffer, 10000, 20 << 20, 2000);
    assert_text(&buffer, "5,000 objects/s, 10.0 MiB/s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),   cmocka_unit_test(sizes), cmocka_unit_test(durations),
        cmocka_unit_test(percents), cmocka_unit_test(rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
