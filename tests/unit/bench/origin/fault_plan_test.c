#include "bench/origin/fault_plan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static pb_origin_fault next(pb_origin_fault_plan *plan, pb_origin_operation operation,
                            const char *key)
{
    uint64_t delay_ms;
    return pb_origin_fault_plan_next(plan, operation, pb_slice_of(key), &delay_ms);
}

static void reads_a_plan(void **state)
{
    (void)state;
    pb_origin_fault_plan plan = {0};
    pb_error error = {0};
    static const char text[] =
        "# a comment\r\n"
        "seed 99\n"
        "\n"
        "  fault lost  operation=PutObject key=a%20b times=2 after=1 # and another\n"
        "fault slow delay=250 probability=0.5\n"
        "fault reset-after probability=1e-1";
    assert_int_equal(pb_origin_fault_plan_parse(pb_slice_of(text), &plan, &error), 0);
    assert_int_equal(plan.random.state, 99);
    assert_int_equal(plan.rule_count, 3);
    assert_int_equal(plan.rules[0].fault, PB_ORIGIN_FAULT_LOST);
    assert_int_equal(plan.rules[0].operation, PB_ORIGIN_PUT_OBJECT);
    assert_string_equal(plan.rules[0].key, "a b");
    assert_int_equal(plan.rules[0].times, 2);
    assert_int_equal(plan.rules[0].after, 1);
    assert_true(plan.rules[0].probability == 1);
    assert_int_equal(plan.rules[1].delay_ms, 250);
    assert_int_equal(plan.rules[2].fault, PB_ORIGIN_FAULT_RESET_AFTER);
    /* A plan replaces the one before. */
    assert_int_equal(pb_origin_fault_plan_parse(pb_slice_of(""), &plan, &error), 0);
    assert_int_equal(plan.rule_count, 0);
    pb_origin_fault_plan_free(&plan);
}

static void refuses_what_is_no_plan(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "sead 1",
        "seed",
        "seed x",
        "seed 1 2",
        "fault",
        "fault none",
        "fault explode",
        "fault reset probability=2",
        "fault reset probability=",
        "fault reset probability=nan",
        "fault reset operation=Nothing",
        "fault reset times=-1",
        "fault reset key=%zz",
        "fault reset key=a key=%z",
        "fault reset often",
        "fault reset x=1",
    };
    pb_origin_fault_plan plan = {0};
    pb_error error = {0};
    assert_int_equal(pb_origin_fault_plan_parse(pb_slice_of("fault reset key=kept"), &plan, &error),
                     0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[128];
        snprintf(text, sizeof(text), "seed 5\n%s\n", texts[i]);
        if (pb_origin_fault_plan_parse(pb_slice_of(text), &plan, &error) == 0) {
            fail_msg("\"%s\" was taken", texts[i]);
        }
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_non_null(strstr(error.message, "line 2"));
    }
    assert_string_equal(plan.rules[0].key, "kept");
    pb_origin_fault_plan_free(&plan);
}

static void counts_after_and_times(void **state)
{
    (void)state;
    pb_origin_fault_plan plan = {0};
    assert_int_equal(
        pb_origin_fault_plan_parse(
            PB_SLICE_LITERAL("fault error500 operation=GetObject key=chunk/ after=2 times=2"),
            &plan, NULL),
        0);
    static const bool expected[] = {false, false, true, true, false, false};
    for (size_t i = 0; i < sizeof(expected); i++) {
        assert_int_equal(next(&plan, PB_ORIGIN_PUT_OBJECT, "chunk/a"), PB_ORIGIN_FAULT_NONE);
        assert_int_equal(next(&plan, PB_ORIGIN_GET_OBJECT, "other/a"), PB_ORIGIN_FAULT_NONE);
        assert_int_equal(next(&plan, PB_ORIGIN_GET_OBJECT, "x/chunk/a"),
                         expected[i] ? PB_ORIGIN_FAULT_ERROR500 : PB_ORIGIN_FAULT_NONE);
    }
    pb_origin_fault_plan_free(&plan);
}

static void passes_over_what_does_not_apply(void **state)
{
    (void)state;
    pb_origin_fault_plan plan = {0};
    assert_int_equal(
        pb_origin_fault_plan_parse(
            PB_SLICE_LITERAL("fault error200\nfault lost times=1\nfault truncated"), &plan, NULL),
        0);
    assert_int_equal(next(&plan, PB_ORIGIN_COPY_OBJECT, "k"), PB_ORIGIN_FAULT_ERROR200);
    assert_int_equal(next(&plan, PB_ORIGIN_HEAD_OBJECT, "k"), PB_ORIGIN_FAULT_NONE);
    assert_int_equal(next(&plan, PB_ORIGIN_GET_OBJECT, "k"), PB_ORIGIN_FAULT_TRUNCATED);
    assert_int_equal(next(&plan, PB_ORIGIN_PUT_OBJECT, "k"), PB_ORIGIN_FAULT_LOST);
    assert_int_equal(next(&plan, PB_ORIGIN_PUT_OBJECT, "k"), PB_ORIGIN_FAULT_NONE);
    pb_origin_fault_plan_free(&plan);
}

static void same_seed_same_faults(void **state)
{
    (void)state;
    enum { REQUESTS = 10000 };
    pb_origin_fault_plan plans[2] = {{{0}, 0, {{0}}}, {{0}, 0, {{0}}}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            pb_origin_fault_plan_parse(PB_SLICE_LITERAL("seed 12\nfault reset probability=0.1"),
                                       &plans[i], NULL),
            0);
    }
    int count = 0;
    for (int i = 0; i < REQUESTS; i++) {
        pb_origin_fault fault = next(&plans[0], PB_ORIGIN_GET_OBJECT, "k");
        assert_int_equal(fault, next(&plans[1], PB_ORIGIN_GET_OBJECT, "k"));
        count += fault == PB_ORIGIN_FAULT_RESET;
    }
    assert_in_range(count, REQUESTS / 10 - 150, REQUESTS / 10 + 150);
    pb_origin_fault_plan_free(&plans[0]);
    pb_origin_fault_plan_free(&plans[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_plan),           cmocka_unit_test(refuses_what_is_no_plan),
        cmocka_unit_test(counts_after_and_times), cmocka_unit_test(passes_over_what_does_not_apply),
        cmocka_unit_test(same_seed_same_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
