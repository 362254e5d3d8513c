#include "base/spelling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static size_t distance(const char *a, const char *b)
{
    return pb_spelling_distance(pb_slice_of(a), pb_slice_of(b));
}

static void distances(void **state)
{
    (void)state;
    assert_int_equal(distance("", ""), 0);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("abc", ""), 3);
    assert_int_equal(distance("backup", "backup"), 0);
    assert_int_equal(distance("bakup", "backup"), 1);
    assert_int_equal(distance("baclup", "backup"), 1);
    assert_int_equal(distance("bakcup", "backup"), 1);
    assert_int_equal(distance("kitten", "sitting"), 3);
    assert_int_equal(distance("0123456789012345678901234567890", ""), 31);
    assert_true(distance("01234567890123456789012345678901", "x") == SIZE_MAX);
}

static bool near(const char *typed, const char *known)
{
    size_t so_far = SIZE_MAX;
    return pb_spelling_is_nearer(pb_slice_of(typed), known, &so_far);
}

static void nearness(void **state)
{
    (void)state;
    assert_true(near("bakup", "backup"));
    assert_true(near("snap", "snapshots"));
    assert_true(near("cpoy", "copy"));
    assert_false(near("s", "snapshots"));
    assert_false(near("delete", "restore"));
    assert_false(near("", "copy"));
    size_t so_far = 1;
    assert_false(pb_spelling_is_nearer(PB_SLICE_LITERAL("bakup"), "backup", &so_far));
    assert_true(pb_spelling_is_nearer(PB_SLICE_LITERAL("backup"), "backup", &so_far));
    assert_int_equal(so_far, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances),
        cmocka_unit_test(nearness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
