#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void slices_compare_bytewise(void **state)
{
    (void)state;
    pb_slice empty = {0};
    assert_true(pb_slice_equal(empty, pb_slice_of("")));
    assert_true(pb_slice_equal(pb_slice_of(NULL), empty));
    assert_false(pb_slice_equal(pb_slice_of("a"), pb_slice_of("ab")));
    assert_true(pb_slice_equal(PB_SLICE_LITERAL("a\0b"), PB_SLICE_LITERAL("a\0b")));
    assert_false(pb_slice_equal(PB_SLICE_LITERAL("a\0b"), PB_SLICE_LITERAL("a\0c")));
    assert_true(pb_slice_compare(empty, pb_slice_of("a")) < 0);
    assert_int_equal(pb_slice_compare(empty, pb_slice_of("")), 0);
    assert_true(pb_slice_compare(pb_slice_of("a"), pb_slice_of("a/")) < 0);
    assert_true(pb_slice_compare(pb_slice_of("a/"), pb_slice_of("a")) > 0);
    /* Bytes are unsigned: UTF-8 comes after ASCII. */
    assert_true(pb_slice_compare(pb_slice_of("\xc3\xa9"), pb_slice_of("z")) > 0);
    assert_true(pb_slice_starts_with(pb_slice_of("ab"), pb_slice_of("a")));
    assert_true(pb_slice_starts_with(pb_slice_of("ab"), empty));
    assert_true(pb_slice_starts_with(empty, empty));
    assert_false(pb_slice_starts_with(pb_slice_of("a"), pb_slice_of("ab")));
    assert_false(pb_slice_starts_with(pb_slice_of("ab"), pb_slice_of("b")));
}

static void allocations_are_never_null(void **state)
{
    (void)state;
    void *memory = pb_allocate(0);
    assert_non_null(memory);
    memory = pb_reallocate(memory, 0);
    assert_non_null(memory);
    free(memory);
    unsigned char *zeroed = pb_allocate_zeroed(3, 5);
    for (int i = 0; i < 15; i++)
        assert_int_equal(zeroed[i], 0);
    free(zeroed);
    zeroed = pb_allocate_zeroed(0, 8);
    assert_non_null(zeroed);
    free(zeroed);
    char *copy = pb_duplicate(PB_SLICE_LITERAL("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
    copy = pb_duplicate((pb_slice){0});
    assert_string_equal(copy, "");
    free(copy);
}

/* Runs a step in a child; true where it died by SIGABRT. */
static bool aborts(void (*step)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (close(STDERR_FILENO) == 0)
            step();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void reserve_past_the_end(void)
{
    pb_buffer buffer = {0};
    pb_buffer_append_char(&buffer, 'x');
    pb_buffer_reserve(&buffer, SIZE_MAX - 1);
}

static void arena_past_the_end(void)
{
    pb_arena arena = {0};
    pb_arena_allocate(&arena, SIZE_MAX - 3);
}

static void impossible_sizes_abort(void **state)
{
    (void)state;
    assert_true(aborts(reserve_past_the_end));
    assert_true(aborts(arena_past_the_end));
}

static void buffers_grow_and_stay_terminated(void **state)
{
    (void)state;
    pb_buffer buffer = {0};
    assert_true(pb_slice_equal(pb_buffer_slice(&buffer), (pb_slice){0}));
    pb_buffer_clear(&buffer);
    pb_buffer_append(&buffer, NULL, 0);
    assert_string_equal(buffer.data, "");
    for (int i = 0; i < 1000; i++) {
        pb_buffer_append_char(&buffer, 'a');
        assert_int_equal(buffer.data[buffer.size], '\0');
        assert_true(buffer.size < buffer.capacity);
    }
    assert_int_equal(buffer.size, 1000);
    char *kept = buffer.data;
    pb_buffer_clear(&buffer);
    assert_int_equal(buffer.size, 0);
    assert_ptr_equal(buffer.data, kept);
    assert_string_equal(buffer.data, "");
    pb_buffer_append_slice(&buffer, PB_SLICE_LITERAL("x\0y"));
    pb_buffer_append_slice(&buffer, (pb_slice){0});
    pb_buffer_append_text(&buffer, "z");
    assert_int_equal(buffer.size, 4);
    assert_memory_equal(buffer.data, "x\0yz", 5);
    pb_buffer_free(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.capacity, 0);
    pb_buffer_free(&buffer);
}

static void reserve_makes_room_for_the_terminator_too(void **state)
{
    (void)state;
    for (size_t more = 0; more < 300; more++) {
        pb_buffer buffer = {0};
        pb_buffer_reserve(&buffer, more);
        assert_true(buffer.capacity > more);
        assert_string_equal(buffer.data, "");
        pb_buffer_free(&buffer);
    }
}

static void numbers_are_decimal(void **state)
{
    (void)state;
    pb_buffer buffer = {0};
    pb_buffer_append_unsigned(&buffer, 0);
    pb_buffer_append_char(&buffer, ' ');
    pb_buffer_append_unsigned(&buffer, 10);
    pb_buffer_append_char(&buffer, ' ');
    pb_buffer_append_unsigned(&buffer, UINT64_MAX);
    assert_string_equal(buffer.data, "0 10 18446744073709551615");
    pb_buffer_free(&buffer);
}

static void formats_of_any_length_fit(void **state)
{
    (void)state;
    pb_buffer buffer = {0};
    for (int length = 0; length < 300; length++) {
        pb_buffer_free(&buffer);
        pb_buffer_append_format(&buffer, "%*s", length, "");
        assert_int_equal(buffer.size, length);
        assert_int_equal(strlen(buffer.data), length);
    }
    pb_buffer_clear(&buffer);
    pb_buffer_append_format(&buffer, "%s=%d", "a", 1);
    pb_buffer_append_format(&buffer, "&%s=%d", "b", 2);
    assert_string_equal(buffer.data, "a=1&b=2");
    pb_buffer_free(&buffer);
}

static void arena_memory_is_aligned_and_stays(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    pb_arena arena = {0};
    static unsigned char *pieces[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i % 97 == 0 ? i * 50 : i % 61;
        pieces[i] = pb_arena_allocate(&arena, size);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)(i & 255), size);
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i % 97 == 0 ? i * 50 : i % 61;
        for (size_t at = 0; at < size; at++)
            assert_int_equal(pieces[i][at], i & 255);
    }
    pb_arena_free(&arena);
    assert_null(arena.block);
    pb_arena_free(&arena);
}

static void arena_takes_a_big_piece_first(void **state)
{
    (void)state;
    pb_arena arena = {0};
    memset(pb_arena_allocate(&arena, 1 << 20), 1, 1 << 20);
    memset(pb_arena_allocate(&arena, 10), 2, 10);
    pb_arena_free(&arena);
}

static void arena_copies_are_terminated(void **state)
{
    (void)state;
    pb_arena arena = {0};
    pb_slice copy = pb_arena_copy(&arena, PB_SLICE_LITERAL("a\0b"));
    assert_int_equal(copy.size, 3);
    assert_memory_equal(copy.data, "a\0b", 4);
    pb_slice empty = pb_arena_copy(&arena, (pb_slice){0});
    assert_int_equal(empty.size, 0);
    assert_string_equal(empty.data, "");
    pb_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_bytewise),
        cmocka_unit_test(allocations_are_never_null),
        cmocka_unit_test(impossible_sizes_abort),
        cmocka_unit_test(buffers_grow_and_stay_terminated),
        cmocka_unit_test(reserve_makes_room_for_the_terminator_too),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(formats_of_any_length_fit),
        cmocka_unit_test(arena_memory_is_aligned_and_stays),
        cmocka_unit_test(arena_takes_a_big_piece_first),
        cmocka_unit_test(arena_copies_are_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
