/* With sort(1) for real. */
#include "cluster/chunk_sort.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static uv_loop_t loop;

static int open_loop(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    return uv_loop_init(&loop);
}

/* No handle is left open, and no child unreaped. */
static int close_loop(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_NOWAIT);
    return uv_loop_close(&loop) || waitpid(-1, NULL, WNOHANG) != -1;
}

static pb_chunk_sort *start(void)
{
    pb_chunk_sort *sort;
    pb_error error = {0};
    if (pb_chunk_sort_start(&loop, &sort, &error))
        fail_msg("%s", error.message);
    return sort;
}

static void expect_next(pb_chunk_sort *sort, const char *wanted)
{
    pb_slice key;
    pb_error error = {0};
    int more = pb_chunk_sort_next(sort, &key, &error);
    if (more < 0)
        fail_msg("%s", error.message);
    assert_int_equal(more, wanted != NULL);
    if (wanted && !pb_slice_equal(key, pb_slice_of(wanted)))
        fail_msg("%.*s is not %s", PB_SLICE_FORMAT(key), wanted);
}

static void keys_come_in_bytewise_order_and_once(void **state)
{
    (void)state;
    static const char *const keys[] = {"b",   "chunk/0a.1", "a", "\xc3\xa4", "B", "chunk/0a",
                                       "a b", "b",          "A", "chunk/0A", "a", "a_"};
    static const char *const sorted[] = {"A", "B",        "a",        "a b",        "a_",
                                         "b", "chunk/0A", "chunk/0a", "chunk/0a.1", "\xc3\xa4"};
    pb_chunk_sort *sort = start();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        pb_chunk_sort_add(sort, pb_slice_of(keys[i]));
    pb_chunk_sort_end(sort);
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++)
        expect_next(sort, sorted[i]);
    expect_next(sort, NULL);
    expect_next(sort, NULL);
    pb_chunk_sort_free(sort);
}

static void no_keys_are_no_keys(void **state)
{
    (void)state;
    pb_chunk_sort *sort = start();
    assert_false(pb_chunk_sort_is_full(sort));
    pb_chunk_sort_end(sort);
    expect_next(sort, NULL);
    pb_chunk_sort_free(sort);
    pb_chunk_sort_free(NULL);
}

static void count_drained(void *context)
{
    ++*(unsigned *)context;
}

static void many_keys_are_held_up_and_sorted(void **state)
{
    (void)state;
    enum { KEYS = 200000, STEP = 77773 /* no divisor in common */ };
    char key[96];
    unsigned drained = 0, full = 0;
    pb_chunk_sort *sort = start();
    pb_chunk_sort_tell(sort, count_drained, &drained);
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned number = (unsigned)((uint64_t)i * STEP % KEYS);
        snprintf(key, sizeof key, "chunk/%064x.%016x", number, 1);
        pb_chunk_sort_add(sort, pb_slice_of(key));
        if (i % 3 == 0)
            pb_chunk_sort_add(sort, pb_slice_of(key));
        if (!pb_chunk_sort_is_full(sort))
            continue;
        full++;
        while (drained < full)
            uv_run(&loop, UV_RUN_ONCE);
        assert_false(pb_chunk_sort_is_full(sort));
    }
    assert_true(full > 1);
    assert_int_equal(drained, full);
    pb_chunk_sort_end(sort);
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "chunk/%064x.%016x", i, 1);
        expect_next(sort, key);
    }
    expect_next(sort, NULL);
    pb_chunk_sort_free(sort);
}

static void it_can_be_given_up_at_any_time(void **state)
{
    (void)state;
    pb_chunk_sort_free(start());
    pb_chunk_sort *sort = start();
    for (int i = 0; i < 100000; i++)
        pb_chunk_sort_add(sort, PB_SLICE_LITERAL("chunk/00.0000000000000001"));
    pb_chunk_sort_free(sort);
    sort = start();
    char key[64];
    for (int i = 0; i < 100000; i++) {
        snprintf(key, sizeof key, "chunk/%08x.0000000000000001", i);
        pb_chunk_sort_add(sort, pb_slice_of(key));
    }
    pb_chunk_sort_end(sort);
    expect_next(sort, "chunk/00000000.0000000000000001");
    pb_chunk_sort_free(sort);
}

/* A `sort` of these lines, found first. */
static void with_fake_sort(const char *script, void (*check)(pb_chunk_sort *sort))
{
    char folder[] = "/tmp/pbcopy-sort-XXXXXX", path[64], search[4096];
    char *before = pb_duplicate(pb_slice_of(getenv("PATH")));
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sort", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
    snprintf(search, sizeof search, "%s:%s", folder, before);
    setenv("PATH", search, 1);
    pb_chunk_sort *sort = start();
    setenv("PATH", before, 1);
    check(sort);
    pb_chunk_sort_free(sort);
    free(before);
    assert_int_equal(remove(path), 0);
    assert_int_equal(remove(folder), 0);
}

static void expect_failure(pb_chunk_sort *sort, const char *reason)
{
    pb_slice key;
    pb_error error = {0};
    int more;
    do
        more = pb_chunk_sort_next(sort, &key, &error);
    while (more > 0);
    assert_int_equal(more, -1);
    assert_int_equal(error.kind, PB_ERROR_FAILED);
    if (!strstr(error.message, reason))
        fail_msg("\"%s\" lacks \"%s\"", error.message, reason);
}

static void check_no_room(pb_chunk_sort *sort)
{
    for (int i = 0; i < 100000; i++)
        pb_chunk_sort_add(sort, PB_SLICE_LITERAL("chunk/00.0000000000000001"));
    pb_chunk_sort_end(sort);
    expect_failure(sort, "no room");
    expect_failure(sort, "sorting the chunks"); /* again the same */
}

static void check_half(pb_chunk_sort *sort)
{
    pb_chunk_sort_end(sort);
    expect_failure(sort, "half a line");
}

static void check_half_way(pb_chunk_sort *sort)
{
    pb_chunk_sort_add(sort, PB_SLICE_LITERAL("a"));
    pb_chunk_sort_end(sort);
    expect_next(sort, "a");
    expect_failure(sort, "disk");
}

static void a_sort_that_fails_is_no_end(void **state)
{
    (void)state;
    with_fake_sort("echo 'sort: no room' >&2; exit 2", check_no_room);
    with_fake_sort("cat >/dev/null; printf 'half'", check_half);
    with_fake_sort("cat; echo 'sort: disk' >&2; exit 2", check_half_way);
}

static void without_sort_it_does_not_start(void **state)
{
    (void)state;
    char *before = pb_duplicate(pb_slice_of(getenv("PATH")));
    pb_chunk_sort *sort;
    pb_error error = {0};
    setenv("PATH", "/nonexistent", 1);
    int failed = pb_chunk_sort_start(&loop, &sort, &error);
    setenv("PATH", before, 1);
    free(before);
    assert_int_equal(failed, -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    uv_run(&loop, UV_RUN_DEFAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_come_in_bytewise_order_and_once, open_loop,
                                        close_loop),
        cmocka_unit_test_setup_teardown(no_keys_are_no_keys, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(many_keys_are_held_up_and_sorted, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(it_can_be_given_up_at_any_time, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(a_sort_that_fails_is_no_end, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(without_sort_it_does_not_start, open_loop, close_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
