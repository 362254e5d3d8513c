/* sort(1) as the order of chunks. */
#include "cluster/chunk_sort.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uv_loop_t loop;

static int open_loop(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    return uv_loop_init(&loop);
}

static int close_loop(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_NOWAIT);
    return uv_loop_close(&loop);
}

static pb_chunk_sort *start(void)
{
    pb_chunk_sort *sort;
    pb_error error = {0};
    if (pb_chunk_sort_start(&loop, &sort, &error))
        fail_msg("%s", error.message);
    return sort;
}

static void add_number(pb_chunk_sort *sort, unsigned number)
{
    char key[80];
    int size = snprintf(key, sizeof key, "chunk/%08x.%016x", number * 2654435761u, number);
    pb_chunk_sort_add(sort, (pb_slice){key, (size_t)size});
}

static void on_drained(void *context)
{
    ++*(unsigned *)context;
}

static void test_order(void **state)
{
    (void)state;
    enum { COUNT = 300000 };
    pb_chunk_sort *sort = start();
    unsigned drained = 0, full = 0, found = 0;
    pb_chunk_sort_tell(sort, on_drained, &drained);
    for (unsigned number = 0; number < COUNT; number++) {
        add_number(sort, number);
        if (number % 3 == 0)
            add_number(sort, number); /* twice is once */
        unsigned before = drained;
        full += pb_chunk_sort_is_full(sort); /* or not, where sort is quick */
        while (pb_chunk_sort_is_full(sort) && drained == before)
            uv_run(&loop, UV_RUN_ONCE);
    }
    pb_chunk_sort_end(sort);
    assert_true(drained <= full);
    char last[80] = "";
    pb_slice key;
    pb_error error = {0};
    int more;
    while ((more = pb_chunk_sort_next(sort, &key, &error)) > 0) {
        assert_true(pb_slice_compare(pb_slice_of(last), key) < 0);
        snprintf(last, sizeof last, "%.*s", PB_SLICE_FORMAT(key));
        found++;
    }
    assert_int_equal(more, 0);
    assert_int_equal(found, COUNT);
    pb_chunk_sort_free(sort);
}

static void test_nothing(void **state)
{
    (void)state;
    pb_chunk_sort *sort = start();
    pb_slice key;
    pb_error error = {0};
    pb_chunk_sort_end(sort);
    assert_int_equal(pb_chunk_sort_next(sort, &key, &error), 0);
    assert_int_equal(pb_chunk_sort_next(sort, &key, &error), 0);
    pb_chunk_sort_free(sort);
    pb_chunk_sort_free(NULL);
}

static void test_given_up(void **state)
{
    (void)state;
    pb_chunk_sort *sort = start();
    for (unsigned number = 0; number < 100000; number++)
        add_number(sort, number);
    pb_chunk_sort_free(sort);
    sort = start();
    for (unsigned number = 0; number < 100000; number++)
        add_number(sort, number);
    pb_chunk_sort_end(sort);
    pb_slice key;
    pb_error error = {0};
    assert_int_equal(pb_chunk_sort_next(sort, &key, &error), 1);
    pb_chunk_sort_free(sort);
}

/* A sort that fails is never an end of the keys. */
static void test_no_room(void **state)
{
    (void)state;
    pb_slice key;
    pb_error error = {0};
    setenv("TMPDIR", "/nowhere-at-all", 1);
    pb_chunk_sort *sort = start();
    for (unsigned number = 0; number < 2000000; number++) {
        add_number(sort, number);
        while (pb_chunk_sort_is_full(sort))
            uv_run(&loop, UV_RUN_ONCE);
    }
    pb_chunk_sort_end(sort);
    int more;
    while ((more = pb_chunk_sort_next(sort, &key, &error)) > 0)
        ;
    assert_int_equal(more, -1);
    assert_non_null(strstr(error.hint, "TMPDIR"));
    pb_chunk_sort_free(sort);
    unsetenv("TMPDIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_nothing, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_given_up, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_no_room, open_loop, close_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
