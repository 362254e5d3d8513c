#include "cluster/process/chunk_sort.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the headers above first. */
#include <cmocka.h>

enum { KEYS = 200 * 1000 };

static int ignore_pipes(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the program has it */
    return 0;
}

static void add(pb_chunk_sort *sort, const char *key)
{
    pb_chunk_sort_add(sort, pb_slice_of(key));
}

static void test_order(void **state)
{
    (void)state;
    uv_loop_t loop;
    pb_chunk_sort *sort;
    pb_slice key;
    pb_error error = {0};
    static const char *const sorted[] = {"", "A", "B", "a", "a b", "ab", "\xc3\xa4", "\xff"};
    uv_loop_init(&loop);
    assert_int_equal(pb_chunk_sort_start(&loop, "/tmp", &sort, &error), 0);
    for (int twice = 0; twice < 2; twice++)
        for (size_t i = sizeof sorted / sizeof *sorted; i-- > 0;)
            add(sort, sorted[i]);
    pb_chunk_sort_end(sort);
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++) {
        assert_int_equal(pb_chunk_sort_next(sort, NULL, &key, &error), 1);
        assert_true(pb_slice_equal(key, pb_slice_of(sorted[i])));
    }
    assert_int_equal(pb_chunk_sort_next(sort, NULL, &key, &error), 0);
    assert_int_equal(pb_chunk_sort_next(sort, NULL, &key, &error), 0);
    pb_chunk_sort_free(sort);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_none(void **state)
{
    (void)state;
    uv_loop_t loop;
    pb_chunk_sort *sort;
    pb_slice key;
    pb_error error = {0};
    uv_loop_init(&loop);
    assert_int_equal(pb_chunk_sort_start(&loop, "/tmp", &sort, &error), 0);
    pb_chunk_sort_end(sort);
    assert_int_equal(pb_chunk_sort_next(sort, NULL, &key, &error), 0);
    pb_chunk_sort_free(sort);
    pb_chunk_sort_free(NULL);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void note_drained(void *context)
{
    ++*(unsigned *)context;
}

/* More keys than are queued at once: whoever waits is told. */
static void test_many(void **state)
{
    (void)state;
    uv_loop_t loop;
    pb_chunk_sort *sort;
    pb_slice key;
    pb_error error = {0};
    char text[100], before[100] = "";
    unsigned drained = 0, full = 0, count = 0;
    uint32_t number = 1;
    int got;
    uv_loop_init(&loop);
    assert_int_equal(pb_chunk_sort_start(&loop, "/tmp", &sort, &error), 0);
    pb_chunk_sort_tell(sort, note_drained, &drained);
    for (unsigned i = 0; i < KEYS; i++) {
        number = number * 1664525 + 1013904223; /* each number once */
        snprintf(text, sizeof text, "chunk/%064x.%016x", number, i);
        add(sort, text);
        if (!pb_chunk_sort_is_full(sort))
            continue;
        full++;
        do
            uv_run(&loop, UV_RUN_ONCE);
        while (drained < full);
        assert_false(pb_chunk_sort_is_full(sort));
    }
    assert_true(full > 2);
    pb_chunk_sort_end(sort);
    while ((got = pb_chunk_sort_next(sort, NULL, &key, &error)) == 1) {
        snprintf(text, sizeof text, "%.*s", PB_SLICE_FORMAT(key));
        assert_true(strcmp(before, text) < 0);
        memcpy(before, text, sizeof text);
        count++;
    }
    assert_int_equal(got, 0);
    assert_int_equal(count, KEYS);
    pb_chunk_sort_free(sort);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_given_up(void **state)
{
    (void)state;
    uv_loop_t loop;
    pb_chunk_sort *sort;
    pb_slice key;
    pb_error error = {0};
    uv_loop_init(&loop);
    for (int ended = 0; ended < 3; ended++) {
        assert_int_equal(pb_chunk_sort_start(&loop, "/tmp", &sort, &error), 0);
        for (unsigned i = 0; i < KEYS / 2; i++) /* in spite of its being full */
            add(sort, "chunk/0011223344556677.0011223344556677");
        if (ended)
            pb_chunk_sort_end(sort);
        if (ended == 2)
            assert_int_equal(pb_chunk_sort_next(sort, NULL, &key, &error), 1);
        pb_chunk_sort_free(sort);
    }
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* A sort that has nowhere to put its files is no empty order. */
static void test_fails(void **state)
{
    (void)state;
    uv_loop_t loop;
    pb_chunk_sort *sort;
    pb_slice key;
    pb_error error = {0};
    char text[100];
    int got;
    uv_loop_init(&loop);
    assert_int_equal(pb_chunk_sort_start(&loop, "/nowhere/at/all", &sort, &error), 0);
    for (unsigned i = 0; i < 1000 * 1000; i++) { /* more than its buffer */
        snprintf(text, sizeof text, "chunk/%064x.%016x", i * 2654435761u, i);
        add(sort, text);
        while (pb_chunk_sort_is_full(sort))
            uv_run(&loop, UV_RUN_ONCE);
    }
    pb_chunk_sort_end(sort);
    while ((got = pb_chunk_sort_next(sort, NULL, &key, &error)) == 1)
        ;
    assert_int_equal(got, -1);
    assert_int_equal(error.kind, PB_ERROR_FAILED);
    assert_non_null(strstr(error.message, "/nowhere/at/all"));
    pb_chunk_sort_free(sort);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),    cmocka_unit_test(test_none),  cmocka_unit_test(test_many),
        cmocka_unit_test(test_given_up), cmocka_unit_test(test_fails),
    };
    return cmocka_run_group_tests(tests, ignore_pipes, NULL);
}
