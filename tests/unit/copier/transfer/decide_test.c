/* The decisions of a transfer, driven by a model that answers requests in any order and fails any
 * of them: every walk must end, and an upload that was begun must be completed or aborted. */
#include "copier/transfer/decide.h"

#include "base/random.h"
#include "copier/transfer/budget.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct transfer_model {
    pb_transfer_facts facts;
    pb_transfer_action outstanding[64]; /* requests under way */
    unsigned seen[PB_TRANSFER_FINISH + 1];
} transfer_model;

static void begin(transfer_model *model, pb_transfer_action action)
{
    model->outstanding[model->facts.in_flight++] = action;
    if (action == PB_TRANSFER_BEGIN_PART)
        model->facts.parts_begun++;
}

/* Ends one outstanding request, well or not. */
static void end_one(transfer_model *model, pb_random *random, bool fails)
{
    unsigned index = (unsigned)pb_random_below(random, model->facts.in_flight);
    pb_transfer_action action = model->outstanding[index];
    model->outstanding[index] = model->outstanding[--model->facts.in_flight];
    pb_transfer_facts *facts = &model->facts;
    if (action == PB_TRANSFER_ABORT || action == PB_TRANSFER_UNDO) {
        facts->abort_done = facts->abort_done || action == PB_TRANSFER_ABORT;
        facts->undo_done = facts->undo_done || action == PB_TRANSFER_UNDO;
        return;
    }
    if (fails) {
        facts->failed = true;
        return;
    }
    switch (action) {
    case PB_TRANSFER_MOVE:
    case PB_TRANSFER_COMPLETE:
        facts->moved = true;
        break;
    case PB_TRANSFER_READ_HEADERS:
        facts->headers_known = true;
        break;
    case PB_TRANSFER_BEGIN_UPLOAD:
        facts->upload_begun = true;
        break;
    case PB_TRANSFER_BEGIN_PART:
        facts->parts_done++;
        break;
    case PB_TRANSFER_CHECK_SOURCE:
        facts->source_checked = true;
        break;
    case PB_TRANSFER_CHECK_SIZE:
        facts->size_known = true;
        break;
    default:
        fail_msg("action %d has no request", action);
    }
}

/* Runs to the end; request number `fail_at` (from 0) fails. Returns the number of requests. */
static unsigned walk(transfer_model *model, uint64_t seed, unsigned fail_at)
{
    pb_random random = {seed};
    unsigned requests = 0;
    for (int step = 0; step < 100000; step++) {
        pb_transfer_action action = pb_transfer_next(&model->facts);
        model->seen[action]++;
        if (action == PB_TRANSFER_FINISH) {
            assert_int_equal(model->facts.in_flight, 0);
            return requests;
        }
        if (action == PB_TRANSFER_WAIT) {
            assert_int_not_equal(model->facts.in_flight, 0); /* else it would wait for ever */
            end_one(model, &random, requests++ == fail_at);
            continue;
        }
        begin(model, action);
        assert_true(model->facts.in_flight <= 64);
    }
    fail_msg("the transfer does not end");
    return 0;
}

static transfer_model multipart(unsigned parts)
{
    transfer_model model = {.facts = {.kind = PB_TRANSFER_RELAY,
                                      .size = parts * 8ull,
                                      .part_bytes = 8,
                                      .parts = parts,
                                      .parts_wanted_in_flight = 4}};
    return model;
}

static void test_single_moves_once(void **state)
{
    (void)state;
    transfer_model model = {.facts = {.kind = PB_TRANSFER_COPY, .size = 5}};
    assert_int_equal(walk(&model, 1, UINT32_MAX), 1);
    assert_int_equal(model.seen[PB_TRANSFER_MOVE], 1);
    assert_int_equal(model.seen[PB_TRANSFER_ABORT], 0);
}

static void test_unproven_copy_looks_at_both_ends(void **state)
{
    (void)state;
    transfer_model model = {.facts = {.kind = PB_TRANSFER_COPY, .size = 5, .doubtful = true}};
    assert_int_equal(walk(&model, 1, UINT32_MAX), 3);
    assert_int_equal(model.seen[PB_TRANSFER_CHECK_SOURCE], 1);
    assert_int_equal(model.seen[PB_TRANSFER_CHECK_SIZE], 1);
    assert_int_equal(model.seen[PB_TRANSFER_UNDO], 0);
}

static void test_wrong_copy_does_not_stay(void **state)
{
    (void)state;
    transfer_model model = {.facts = {.kind = PB_TRANSFER_COPY,
                                      .size = 5,
                                      .moved = true,
                                      .failed = true,
                                      .undo_needed = true}};
    assert_int_equal(walk(&model, 1, UINT32_MAX), 1);
    assert_int_equal(model.seen[PB_TRANSFER_UNDO], 1);
}

static void test_multipart_does_every_step_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        transfer_model model = multipart(1 + (unsigned)(seed % 23));
        walk(&model, seed, UINT32_MAX);
        assert_int_equal(model.seen[PB_TRANSFER_BEGIN_PART], model.facts.parts);
        assert_int_equal(model.facts.parts_done, model.facts.parts);
        assert_int_equal(model.seen[PB_TRANSFER_BEGIN_UPLOAD], 1);
        assert_int_equal(model.seen[PB_TRANSFER_COMPLETE], 1);
        assert_int_equal(model.seen[PB_TRANSFER_ABORT], 0);
    }
}

static void test_any_failure_ends_and_aborts_what_was_begun(void **state)
{
    (void)state;
    transfer_model whole = multipart(9);
    unsigned requests = walk(&whole, 7, UINT32_MAX);
    for (unsigned fail_at = 0; fail_at < requests; fail_at++)
        for (uint64_t seed = 0; seed < 50; seed++) {
            transfer_model model = multipart(9);
            walk(&model, seed, fail_at);
            assert_true(model.facts.failed);
            assert_int_equal(model.seen[PB_TRANSFER_ABORT], model.facts.upload_begun ? 1 : 0);
        }
}

static void test_starting_over_aborts_first(void **state)
{
    (void)state;
    transfer_model model = multipart(3);
    model.facts.upload_begun = model.facts.headers_known = true;
    model.facts.parts_begun = model.facts.parts_done = 3;
    model.facts.again = true;
    assert_int_equal(pb_transfer_next(&model.facts), PB_TRANSFER_ABORT);
    model.facts.in_flight = 1;
    assert_int_equal(pb_transfer_next(&model.facts), PB_TRANSFER_WAIT);
    model.facts.in_flight = 0;
    model.facts.abort_done = true;
    assert_int_equal(pb_transfer_next(&model.facts), PB_TRANSFER_START_OVER);
}

static void test_parts_in_flight_are_bounded(void **state)
{
    (void)state;
    transfer_model model = multipart(100);
    model.facts.headers_known = model.facts.upload_begun = true;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pb_transfer_next(&model.facts), PB_TRANSFER_BEGIN_PART);
        begin(&model, PB_TRANSFER_BEGIN_PART);
    }
    assert_int_equal(pb_transfer_next(&model.facts), PB_TRANSFER_WAIT);
}

static void test_layout(void **state)
{
    (void)state;
    const uint64_t mebibyte = 1024 * 1024;
    pb_transfer_facts facts = {.kind = PB_TRANSFER_RELAY, .size = 0};
    pb_transfer_lay_out(&facts, 8 * mebibyte, 0, 24 * mebibyte, 10000, 5 * mebibyte);
    assert_int_equal(facts.part_bytes, 0);
    facts.size = 24 * mebibyte;
    pb_transfer_lay_out(&facts, 8 * mebibyte, 0, 24 * mebibyte, 10000, 5 * mebibyte);
    assert_int_equal(facts.part_bytes, 0);
    facts.size++;
    pb_transfer_lay_out(&facts, 8 * mebibyte, 0, 24 * mebibyte, 10000, 5 * mebibyte);
    assert_int_equal(facts.part_bytes, 8 * mebibyte);
    assert_int_equal(facts.parts, 4);
    assert_int_equal(pb_transfer_part_length(&facts, 3), 8 * mebibyte);
    assert_int_equal(pb_transfer_part_length(&facts, 4), 1);
    /* The source's own layout, even for a small object. */
    facts.size = 6 * mebibyte;
    pb_transfer_lay_out(&facts, 8 * mebibyte, 5 * mebibyte, 24 * mebibyte, 10000, 5 * mebibyte);
    assert_int_equal(facts.parts, 2);
    /* Five tebibytes in at most 10,000 parts. */
    facts.size = 5 * mebibyte * mebibyte;
    pb_transfer_lay_out(&facts, 8 * mebibyte, 0, 24 * mebibyte, 10000, 5 * mebibyte);
    assert_true(facts.parts <= 10000);
    assert_int_equal(facts.part_bytes % mebibyte, 0);
    uint64_t sum = 0;
    for (unsigned i = 1; i <= facts.parts; i++)
        sum += pb_transfer_part_length(&facts, i);
    assert_int_equal(sum, facts.size);
}

static void test_budget(void **state)
{
    (void)state;
    pb_budget budget = {.total_bytes = 100};
    assert_true(pb_budget_take(&budget, 60));
    assert_false(pb_budget_take(&budget, 41));
    assert_true(pb_budget_take(&budget, 40));
    pb_budget_give(&budget, 60);
    pb_budget_give(&budget, 40);
    assert_true(pb_budget_take(&budget, 1000)); /* alone, it may be too large */
    assert_false(pb_budget_take(&budget, 1));
    pb_budget_give(&budget, 1000);
    assert_int_equal(budget.taken, budget.given);
    assert_int_equal(budget.out_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_moves_once),
        cmocka_unit_test(test_unproven_copy_looks_at_both_ends),
        cmocka_unit_test(test_wrong_copy_does_not_stay),
        cmocka_unit_test(test_multipart_does_every_step_once),
        cmocka_unit_test(test_any_failure_ends_and_aborts_what_was_begun),
        cmocka_unit_test(test_starting_over_aborts_first),
        cmocka_unit_test(test_parts_in_flight_are_bounded),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
