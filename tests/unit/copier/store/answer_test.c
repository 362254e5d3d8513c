#include "copier/store/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void give(pb_answer *answer, const char *name, const char *value)
{
    pb_answer_header(answer, pb_slice_of(name), pb_slice_of(value));
}

static void reads_headers(void **state)
{
    (void)state;
    pb_answer answer = {0};
    give(&answer, "content-length", "123");
    give(&answer, "content-range", "bytes 10-19/100");
    give(&answer, "last-modified", "Mon, 23 Nov 2026 05:20:49 GMT");
    give(&answer, "date", "Mon, 23 Nov 2026 05:20:50 GMT");
    assert_false(pb_answer_header(&answer, pb_slice_of("etag"), pb_slice_of("x")));
    assert_true(answer.has_length && answer.length == 123);
    assert_true(answer.has_range);
    assert_true(answer.range_first == 10 && answer.range_last == 19 && answer.range_total == 100);
    assert_true(answer.mtime_ms == INT64_C(1795411249000));
    assert_true(answer.date_ms == INT64_C(1795411250000));
    pb_buffer_append_text(&answer.body, "x");
    pb_answer_restart(&answer);
    assert_false(answer.has_length || answer.has_range);
    assert_int_equal(answer.body.size, 0);
    pb_buffer_free(&answer.body);
}

static void distrusts_headers(void **state)
{
    (void)state;
    static const char *const ranges[] = {"",
                                         "bytes",
                                         "bytes */0",
                                         "bytes 0-9/*",
                                         "bytes 9-0/10",
                                         "bytes 0-10/10",
                                         "bytes 0-/10",
                                         "bytes -9/10",
                                         "items 0-9/10",
                                         "bytes 0-9/10 ",
                                         "bytes 0-9",
                                         "bytes 0-99999999999999999999/100000000000000000000"};
    pb_answer answer = {0};
    for (size_t i = 0; i < COUNT(ranges); i++) {
        give(&answer, "content-range", ranges[i]);
        if (answer.has_range)
            fail_msg("%s was taken", ranges[i]);
    }
    give(&answer, "content-length", "-1");
    assert_false(answer.has_length);
    give(&answer, "date", "yesterday");
    assert_true(answer.date_ms == 0);
    char kept[8];
    pb_answer_keep_text(kept, sizeof kept, PB_SLICE_LITERAL("a\x1b[0m"));
    assert_string_equal(kept, "");
    pb_answer_keep_text(kept, sizeof kept, PB_SLICE_LITERAL("12345678"));
    assert_string_equal(kept, "");
    pb_answer_keep_text(kept, sizeof kept, PB_SLICE_LITERAL("1234567"));
    assert_string_equal(kept, "1234567");
}

static void keeps_few_object_headers(void **state)
{
    (void)state;
    pb_answer answer = {0};
    pb_buffer kept = {0};
    pb_answer_keep_object_header(&answer, PB_SLICE_LITERAL("a"), PB_SLICE_LITERAL("1"), &kept);
    assert_string_equal(kept.data, "a: 1\n");
    char text[8000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 3; i++)
        pb_answer_keep_object_header(&answer, PB_SLICE_LITERAL("b"), pb_slice_of(text), &kept);
    assert_true(answer.object_headers_refused);
    assert_true(kept.size <= PB_OBJECT_HEADERS_MAX);
    pb_buffer_free(&kept);
}

static void web_pages(void **state)
{
    (void)state;
    assert_true(pb_answer_is_web_page(PB_SLICE_LITERAL("<!DOCTYPE html><p>")));
    assert_true(pb_answer_is_web_page(PB_SLICE_LITERAL("\r\n\t <HTML lang=en>")));
    assert_false(pb_answer_is_web_page(PB_SLICE_LITERAL("")));
    assert_false(pb_answer_is_web_page(PB_SLICE_LITERAL("<htm")));
    assert_false(pb_answer_is_web_page(PB_SLICE_LITERAL("<?xml version=\"1.0\"?><Error/>")));
    assert_false(pb_answer_is_web_page(PB_SLICE_LITERAL("{\"kind\": \"html\"}")));
}

static void expects_what_was_asked(void **state)
{
    (void)state;
    static const struct {
        int status;
        uint64_t offset, length;
        const char *content_length, *content_range;
        bool good;
        uint64_t bytes, size;
    } cases[] = {
        /* all of it */
        {200, 0, 0, "100", NULL, true, 100, 100},
        {200, 0, 0, "0", NULL, true, 0, 0},
        {200, 0, 0, NULL, NULL, true, UINT64_MAX, UINT64_MAX},
        {206, 0, 0, "100", "bytes 0-99/100", false, 0, 0},
        /* a range */
        {206, 10, 5, "5", "bytes 10-14/100", true, 5, 100},
        {206, 10, 5, NULL, "bytes 10-14/100", true, 5, 100},
        {206, 10, 90, "90", "bytes 10-99/100", true, 90, 100},
        {206, 10, 500, "90", "bytes 10-99/100", true, 90, 100},
        {206, 10, 0, "90", "bytes 10-99/100", true, 90, 100},
        {206, 0, 1, "1", "bytes 0-0/1", true, 1, 1},
        {206, 0, UINT64_MAX, "1", "bytes 0-0/1", true, 1, 1},
        {206, 0, 100, "100", "bytes 0-99/101", true, 100, 101},
        /* another one */
        {206, 10, 5, "5", "bytes 11-15/100", false, 0, 0},
        {206, 10, 5, "4", "bytes 10-13/100", false, 0, 0},
        {206, 10, 5, "6", "bytes 10-15/100", false, 0, 0},
        {206, 10, 5, "6", "bytes 10-14/100", false, 0, 0},
        {206, 10, 5, "5", NULL, false, 0, 0},
        {206, 10, 0, "80", "bytes 10-89/100", false, 0, 0},
        /* no range though one was asked */
        {200, 0, 5, "5", NULL, true, 5, 5},
        {200, 0, 5, "3", NULL, true, 3, 3},
        {200, 0, 5, "6", NULL, false, 0, 0},
        {200, 0, 5, NULL, NULL, false, 0, 0},
        {200, 1, 0, "6", NULL, false, 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_answer answer = {0};
        if (cases[i].content_length)
            give(&answer, "content-length", cases[i].content_length);
        if (cases[i].content_range)
            give(&answer, "content-range", cases[i].content_range);
        uint64_t bytes = 0, size = 0;
        pb_error error = {0};
        int failed = pb_answer_expect(&answer, cases[i].status, cases[i].offset, cases[i].length,
                                      &bytes, &size, &error);
        if (failed == cases[i].good || bytes != cases[i].bytes || size != cases[i].size)
            fail_msg("case %zu: %s", i, failed ? error.message : "taken");
        assert_int_equal(error.kind, failed ? PB_ERROR_FAILED : PB_ERROR_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_headers),
        cmocka_unit_test(distrusts_headers),
        cmocka_unit_test(keeps_few_object_headers),
        cmocka_unit_test(web_pages),
        cmocka_unit_test(expects_what_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
