/* Seams: both sides see the same, or the seam stays to be looked at. */
#include "copier/shard/seams.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static pb_sight key(const char *text)
{
    return (pb_sight){PB_SIGHT_KEY, pb_slice_of(text)};
}

static pb_sight of_kind(pb_sight_kind kind)
{
    return (pb_sight){.kind = kind};
}

/* How many seams are left to look at after both sides have reported, in either order. */
static unsigned left_over(pb_sight left, pb_sight right)
{
    unsigned counts[2] = {0, 0};
    for (int turned = 0; turned < 2; turned++) {
        pb_seams *seams = pb_seams_new();
        pb_seam seam = {0};
        if (turned && right.kind)
            assert_true(pb_seams_right(seams, PB_SLICE_LITERAL("m"), right));
        if (left.kind)
            assert_true(pb_seams_left(seams, PB_SLICE_LITERAL("m"), PB_SLICE_LITERAL("l"), left));
        if (!turned && right.kind)
            assert_true(pb_seams_right(seams, PB_SLICE_LITERAL("m"), right));
        bool open = pb_seams_are_open(seams);
        while (pb_seams_take(seams, &seam)) {
            counts[turned]++;
            assert_string_equal(seam.at.data, "m");
            assert_string_equal(seam.last.data, "l");
            assert_true(pb_slice_equal(pb_buffer_slice(&seam.seen[0]), left.key));
            assert_true(pb_slice_equal(pb_buffer_slice(&seam.seen[1]), right.key));
        }
        assert_int_equal(open, counts[turned] > 0);
        assert_false(pb_seams_are_open(seams));
        pb_seam_free(&seam);
        pb_seams_free(seams);
    }
    assert_int_equal(counts[0], counts[1]);
    return counts[0];
}

static void test_both_sides_see_the_same(void **state)
{
    (void)state;
    pb_sight end = of_kind(PB_SIGHT_END), exact = of_kind(PB_SIGHT_EXACT);
    pb_sight none = of_kind(PB_SIGHT_NONE), unknown = of_kind(PB_SIGHT_UNKNOWN);
    assert_int_equal(left_over(key("n"), key("n")), 0);
    assert_int_equal(left_over(key("n"), key("o")), 1);
    assert_int_equal(left_over(key("n"), key("na")), 1);
    assert_int_equal(left_over(end, end), 0);
    assert_int_equal(left_over(end, key("n")), 1);
    assert_int_equal(left_over(key("n"), end), 1);
    assert_int_equal(left_over(exact, key("n")), 0);
    assert_int_equal(left_over(exact, end), 0);
    /* What an earlier run saw is looked at; what it listed behind has nothing before it. */
    assert_int_equal(left_over(unknown, key("n")), 1);
    assert_int_equal(left_over(unknown, none), 1);
    assert_int_equal(left_over(key("n"), none), 1);
    assert_int_equal(left_over(exact, none), 0);
    assert_int_equal(left_over(none, key("n")), 0);
}

static void test_too_many_do_not_fit(void **state)
{
    (void)state;
    pb_seams *seams = pb_seams_new();
    char at[16];
    for (unsigned i = 0; i <= PB_SEAMS_APART_MAX; i++) {
        snprintf(at, sizeof at, "m%05u", i);
        assert_true(pb_seams_left(seams, pb_slice_of(at), PB_SLICE_LITERAL("l"), key("x")));
        assert_int_equal(pb_seams_right(seams, pb_slice_of(at), key("y")), i < PB_SEAMS_APART_MAX);
    }
    pb_seams_free(seams);
    pb_seams_free(NULL);
}

typedef struct side {
    pb_seams *seams;
    bool left;
} side;

enum { MANY = 20000 };

static void *report(void *context)
{
    const side *self = context;
    for (unsigned i = 0; i < MANY; i++) {
        char at[16];
        snprintf(at, sizeof at, "m%05u", i);
        pb_sight sight = key(i % 100 || self->left ? "n" : "o");
        if (self->left)
            pb_seams_left(self->seams, pb_slice_of(at), PB_SLICE_LITERAL("l"), sight);
        else
            pb_seams_right(self->seams, pb_slice_of(at), sight);
    }
    return NULL;
}

static void test_sides_report_from_their_threads(void **state)
{
    (void)state;
    pb_seams *seams = pb_seams_new();
    side sides[2] = {{seams, true}, {seams, false}};
    pthread_t threads[2];
    pb_seam seam = {0};
    unsigned apart = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, report, &sides[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    while (pb_seams_take(seams, &seam))
        apart++;
    assert_int_equal(apart, MANY / 100);
    pb_seam_free(&seam);
    pb_seams_free(seams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides_see_the_same),
        cmocka_unit_test(test_too_many_do_not_fit),
        cmocka_unit_test(test_sides_report_from_their_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
