#include "bench/origin/gcs_tokens.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void accepts_until_they_end(void **state)
{
    (void)state;
    pb_origin_gcs_tokens tokens = {0};
    pb_error error = {0};
    assert_int_equal(
        pb_origin_gcs_tokens_parse(PB_SLICE_LITERAL("one 5\r\n\ntwo"), 1000, &tokens, &error), 0);
    assert_true(tokens.checks);
    assert_true(pb_origin_gcs_tokens_accept(&tokens, PB_SLICE_LITERAL("Bearer one"), 5999));
    assert_false(pb_origin_gcs_tokens_accept(&tokens, PB_SLICE_LITERAL("Bearer one"), 6000));
    assert_true(
        pb_origin_gcs_tokens_accept(&tokens, PB_SLICE_LITERAL("Bearer two"), INT64_MAX - 1));
    static const char *const wrong[] = {"", "Bearer", "Bearer ", "Bearer tw", "Bearer twoo", "two"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(pb_origin_gcs_tokens_accept(&tokens, pb_slice_of(wrong[i]), 0));
    }
    pb_origin_gcs_tokens_free(&tokens);
}

static void keeps_the_old_ones_where_a_line_is_wrong(void **state)
{
    (void)state;
    pb_origin_gcs_tokens tokens = {0};
    pb_error error = {0};
    assert_int_equal(pb_origin_gcs_tokens_parse(PB_SLICE_LITERAL("one"), 0, &tokens, &error), 0);
    assert_int_equal(
        pb_origin_gcs_tokens_parse(PB_SLICE_LITERAL("two\nthree x"), 0, &tokens, &error), -1);
    assert_true(pb_origin_gcs_tokens_accept(&tokens, PB_SLICE_LITERAL("Bearer one"), 0));
    assert_int_equal(pb_origin_gcs_tokens_parse((pb_slice){NULL, 0}, 0, &tokens, &error), 0);
    assert_true(tokens.checks);
    assert_false(pb_origin_gcs_tokens_accept(&tokens, PB_SLICE_LITERAL("Bearer one"), 0));
    pb_origin_gcs_tokens_free(&tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_until_they_end),
        cmocka_unit_test(keeps_the_old_ones_where_a_line_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
