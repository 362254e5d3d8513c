/* A listing in one sequence: goes on by tokens, ends, and never goes round for ever. */
#include "copier/store/sequence.h"

#include "copier/store/driver.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Pages by their number, which is their token; `follows` says which comes next, -1 for none. */
typedef struct numbered_store {
    uv_idle_t soon;
    pb_store_request *request;
    int (*follows)(int page);
    bool empty;  /* pages without keys */
    bool counts; /* tokens that are never the same */
    bool no_token;
    unsigned answered;
} numbered_store;

static void answer(uv_idle_t *idle)
{
    numbered_store *store = idle->data;
    pb_store_request *request = store->request;
    uv_idle_stop(idle);
    assert_int_equal(request->list.after.size, 0);
    char text[32] = "0";
    if (request->list.token.size)
        snprintf(text, sizeof text, "%.*s", PB_SLICE_FORMAT(request->list.token));
    int number = atoi(text), next = store->follows(number);
    request->page = pb_page_new();
    for (int i = 0; i < 3 && !store->empty; i++) {
        snprintf(text, sizeof text, "page-%d-key-%d", number, i);
        pb_page_add(request->page)->key = pb_arena_copy(&request->page->arena, pb_slice_of(text));
    }
    request->page->more = next >= 0;
    snprintf(text, sizeof text, store->counts ? "%d of %u" : "%d", next, store->answered);
    if (next >= 0 && !store->no_token)
        request->page->token = pb_arena_copy(&request->page->arena, pb_slice_of(text));
    store->answered++;
    request->done(request);
}

static void submit(pb_store *store, pb_store_request *request)
{
    numbered_store *state = store->state;
    state->request = request;
    uv_idle_start(&state->soon, answer);
}

static int count_keys(void *context, const pb_page *page, pb_error *error)
{
    size_t *keys = context;
    *keys += page->count;
    return *keys == 240 ? pb_error_set(error, PB_ERROR_FAILED, "enough") : 0;
}

static int list(numbered_store *state, size_t *ret_keys, pb_error *error)
{
    static const pb_store_driver driver = {.submit = submit};
    static char name[] = "source s3://numbered/";
    uv_loop_t loop;
    uv_loop_init(&loop);
    uv_idle_init(&loop, &state->soon);
    state->soon.data = state;
    pb_store_config config = {.driver = &driver, .name = name};
    pb_store store = {.config = &config, .loop = &loop, .state = state};
    *ret_keys = 0;
    int failed = pb_sequence_list(&store, (pb_slice){NULL, 0}, (pb_slice){NULL, 0}, 0, count_keys,
                                  ret_keys, error);
    uv_close((uv_handle_t *)&state->soon, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return failed;
}

static int ten(int page)
{
    return page < 9 ? page + 1 : -1;
}

static int hundred(int page)
{
    return page < 99 ? page + 1 : -1;
}

static int thousands(int page)
{
    return page < 9000 ? page + 1 : -1;
}

static int round_from_five(int page)
{
    return page < 12 ? page + 1 : 5;
}

static int itself(int page)
{
    return page;
}

static void test_lists_to_the_end(void **state)
{
    (void)state;
    pb_error error = {0};
    size_t keys;
    numbered_store store = {.follows = ten};
    assert_int_equal(list(&store, &keys, &error), 0);
    assert_int_equal(keys, 30);
    store = (numbered_store){.follows = ten, .counts = true};
    assert_int_equal(list(&store, &keys, &error), 0);
    assert_int_equal(keys, 30);
    /* Stores that look at many keys to find one. */
    store = (numbered_store){.follows = thousands, .empty = true};
    assert_int_equal(list(&store, &keys, &error), 0);
    assert_int_equal(store.answered, 9001);
    assert_int_equal(error.kind, PB_ERROR_NONE);
}

static void test_ends_when_it_is_told_to(void **state)
{
    (void)state;
    pb_error error = {0};
    size_t keys;
    numbered_store store = {.follows = hundred};
    assert_int_equal(list(&store, &keys, &error), -1);
    assert_string_equal(error.message, "enough");
    assert_int_equal(store.answered, 80);
}

static void expect_refusal(numbered_store store, const char *says)
{
    pb_error error = {0};
    size_t keys;
    assert_int_equal(list(&store, &keys, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_FAILED);
    assert_non_null(strstr(error.message, says));
    assert_non_null(strstr(error.message, "s3://numbered/"));
    assert_true(error.hint[0] != 0);
    assert_true(store.answered < 11000);
}

static void test_refuses_what_never_ends(void **state)
{
    (void)state;
    expect_refusal((numbered_store){.follows = itself}, "lead to themselves");
    expect_refusal((numbered_store){.follows = round_from_five}, "lead to themselves");
    expect_refusal((numbered_store){.follows = round_from_five, .empty = true},
                   "lead to themselves");
    /* Tokens that are not looked at, and never the same. */
    expect_refusal((numbered_store){.follows = itself, .counts = true}, "lead to themselves");
    expect_refusal((numbered_store){.follows = itself, .counts = true, .empty = true},
                   "empty pages");
    expect_refusal((numbered_store){.follows = ten, .no_token = true}, "how to go on");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_to_the_end),
        cmocka_unit_test(test_ends_when_it_is_told_to),
        cmocka_unit_test(test_refuses_what_never_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
