#include "base/range.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void ranges_are_open_below_and_closed_above(void **state)
{
    (void)state;
    pb_range range = pb_range_copy(PB_SLICE_LITERAL("b"), PB_SLICE_LITERAL("d"), false);
    assert_false(pb_range_holds(&range, PB_SLICE_LITERAL("a")));
    assert_false(pb_range_holds(&range, PB_SLICE_LITERAL("b")));
    assert_true(pb_range_holds(&range, PB_SLICE_LITERAL("b\x01")));
    assert_true(pb_range_holds(&range, PB_SLICE_LITERAL("d")));
    assert_false(pb_range_holds(&range, PB_SLICE_LITERAL("da")));
    pb_range copy = pb_range_copy(pb_slice_of(range.after), pb_slice_of(range.through), false);
    assert_true(pb_range_equal(&range, &copy));
    assert_false(pb_range_equal(&range, &(pb_range){0}));
    pb_range_free(&copy);
    pb_range_free(&range);
    range = pb_range_copy(PB_SLICE_LITERAL(""), (pb_slice){NULL, 0}, true);
    assert_null(range.after);
    assert_null(range.through);
    assert_true(pb_range_equal(&range, &(pb_range){0}));
    assert_true(pb_range_holds(&range, PB_SLICE_LITERAL("\xf4\x8f\xbf\xbf")));
    /* Keys above ASCII come last: bytes are compared without sign. */
    range = pb_range_copy(PB_SLICE_LITERAL("z"), PB_SLICE_LITERAL("\xc3\xa4"), false);
    assert_true(pb_range_holds(&range, PB_SLICE_LITERAL("\xc3\xa3")));
    pb_range_free(&range);
}

static void a_range_extends_another_with_the_same_beginning(void **state)
{
    (void)state;
    char a[] = "a", b[] = "b", c[] = "c", d[] = "d";
    pb_range to_c = {a, c}, to_d = {a, d}, open = {a, NULL}, from_b = {b, d};
    assert_true(pb_range_extends(&to_c, &to_c));
    assert_true(pb_range_extends(&to_d, &to_c));
    assert_false(pb_range_extends(&to_c, &to_d));
    assert_true(pb_range_extends(&open, &to_d));
    assert_true(pb_range_extends(&open, &open));
    assert_false(pb_range_extends(&to_d, &open));
    assert_false(pb_range_extends(&to_d, &from_b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_open_below_and_closed_above),
        cmocka_unit_test(a_range_extends_another_with_the_same_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
