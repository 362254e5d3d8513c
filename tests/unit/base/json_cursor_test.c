#include "base/json_cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static pb_json_cursor cursor_of(const char *text, pb_arena *arena)
{
    return (pb_json_cursor){.at = text, .end = text + strlen(text), .arena = arena};
}

static void strings(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text; /* NULL: refused */
    } cases[] = {
        {"\"\"", ""},
        {"\"plain text of more than a word\"", "plain text of more than a word"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\"caf\xc3\xa9\"", "caf\xc3\xa9"},
        {"\"no end", NULL},
        {"\"no end\\", NULL},
        {"\"a\tb\"", NULL},
        {"\"\\x\"", NULL},
        {"\"\\u12\"", NULL},
        {"\"\\u0000\"", NULL},
        {"\"\\ud800\"", NULL},
        {"\"\\udc00\\ud800\"", NULL},
        {"\"\xff\"", NULL},
        {"x\"", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_arena arena = {0};
        pb_slice text;
        pb_json_cursor cursor = cursor_of(cases[i].json, &arena);
        if (pb_json_take_string(&cursor, &text) != (cases[i].text != NULL))
            fail_msg("%s: %s", cases[i].json, cursor.flaw ? cursor.flaw : "taken");
        if (cases[i].text) {
            assert_true(pb_slice_equal(text, pb_slice_of(cases[i].text)));
            assert_ptr_equal(cursor.at, cursor.end);
        } else {
            assert_non_null(cursor.flaw);
        }
        pb_arena_free(&arena);
    }
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint64_t value;
    } good[] = {{"0", 0}, {"7,", 7}, {"9223372036854775807", PB_JSON_NUMBER_MAX}};
    static const char *const bad[] = {"", "-1", "01", "9223372036854775808", "x", "+1"};
    uint64_t value;
    for (size_t i = 0; i < COUNT(good); i++) {
        pb_json_cursor cursor = cursor_of(good[i].json, NULL);
        assert_true(pb_json_take_number(&cursor, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_json_cursor cursor = cursor_of(bad[i], NULL);
        assert_false(pb_json_take_number(&cursor, &value));
        assert_non_null(cursor.flaw);
    }
}

static void values_that_nobody_reads(void **state)
{
    (void)state;
    static const char *const good[] = {"null",
                                       "true",
                                       "false",
                                       "0",
                                       "-0.5E+7",
                                       "\"x\\u0041\"",
                                       "[]",
                                       "[ 1 , [ ] , { } ]",
                                       "{\"a\":{\"b\":[null]}}"};
    static const char *const bad[] = {"",     "nul",     "-",          "1.",    "1e",       "[1",
                                      "[1,]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "\"\xff\"", "]"};
    pb_arena arena = {0};
    for (size_t i = 0; i < COUNT(good); i++) {
        pb_json_cursor cursor = cursor_of(good[i], &arena);
        if (!pb_json_skip_value(&cursor) || cursor.at != cursor.end)
            fail_msg("%s: %s", good[i], cursor.flaw ? cursor.flaw : "not all of it");
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_json_cursor cursor = cursor_of(bad[i], &arena);
        if (pb_json_skip_value(&cursor))
            fail_msg("%s was taken", bad[i]);
        assert_non_null(cursor.flaw);
    }
    char deep[101];
    memset(deep, '[', 100);
    deep[100] = '\0';
    pb_json_cursor cursor = cursor_of(deep, &arena);
    assert_false(pb_json_skip_value(&cursor));
    assert_string_equal(cursor.flaw, "too many values inside each other");
    pb_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),
        cmocka_unit_test(numbers),
        cmocka_unit_test(values_that_nobody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
