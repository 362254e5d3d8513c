/* Sealed and opened again, through the real age where it is encrypted; cut, changed, and with the
 * wrong key. */
#include "cluster/process/sealing.h"

#include "cluster/process/child.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka wants the headers above first. */
#include <cmocka.h>

enum { WRITE_BYTES = 100 * 1000, PENDING_BYTES_MAX = 4 * 1024 * 1024 };

/* ---- a run through a seal ---- */

typedef struct seal_run {
    pb_seal *seal;
    pb_buffer output;
    uint64_t output_bytes;
    size_t largest; /* piece of output */
    bool counts_only, stops_early, pauses;
    unsigned done_count, paused_count;
    pb_error error;
} seal_run;

static int on_write(void *context, const void *data, size_t size, pb_error *error)
{
    seal_run *run = context;
    if (run->stops_early)
        return pb_error_set(error, PB_ERROR_NO_SPACE, "no more, please");
    run->output_bytes += size;
    if (size > run->largest)
        run->largest = size;
    if (!run->counts_only)
        pb_buffer_append(&run->output, data, size);
    if (run->pauses) {
        run->paused_count++;
        pb_seal_pause(run->seal, true);
    }
    return 0;
}

static void on_done(void *context, const pb_error *error)
{
    seal_run *run = context;
    run->done_count++;
    run->error = *error;
}

/* The input goes in as fast as pb_seal_pending allows. */
static void go(seal_run *run, pb_seal_options options, pb_slice input)
{
    uv_loop_t loop;
    pb_error error = {0};
    uv_loop_init(&loop);
    options.write = on_write;
    options.done = on_done;
    options.context = run;
    assert_int_equal(pb_seal_start(&loop, &options, &run->seal, &error), 0);
    size_t written = 0;
    bool ended = false;
    while (!run->done_count) {
        while (written < input.size && pb_seal_pending(run->seal) < PENDING_BYTES_MAX) {
            size_t left = input.size - written;
            size_t size = left < WRITE_BYTES ? left : WRITE_BYTES;
            pb_seal_write(run->seal, input.data + written, size);
            written += size;
        }
        if (written == input.size && !ended) {
            pb_seal_end(run->seal);
            ended = true;
        }
        uint64_t before = run->output_bytes;
        uv_run(&loop, UV_RUN_NOWAIT);
        if (run->pauses && !run->done_count) {
            uint64_t paused_at = run->output_bytes;
            if (run->output_bytes > before)
                for (int i = 0; i < 5; i++)
                    uv_run(&loop, UV_RUN_NOWAIT);
            assert_int_equal(run->output_bytes, paused_at);
            pb_seal_pause(run->seal, false);
        }
        if (!run->done_count && !run->pauses)
            uv_run(&loop, UV_RUN_ONCE);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(run->done_count, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static pb_buffer sealed(pb_slice plain, const char *recipient)
{
    seal_run run = {0};
    const char *const recipients[] = {recipient};
    go(&run, (pb_seal_options){.sealing = {recipients, recipient != NULL}}, plain);
    assert_int_equal(run.error.kind, PB_ERROR_NONE);
    return run.output;
}

static seal_run opened(pb_slice stored, const char *identity)
{
    seal_run run = {0};
    go(&run, (pb_seal_options){.opens = true, .encrypted = identity != NULL, .identity = identity},
       stored);
    return run;
}

/* ---- what is sealed ---- */

/* Like a dump: text that compresses, and some that does not. */
static pb_buffer some_bytes(size_t size)
{
    pb_buffer bytes = {0};
    uint32_t state = 1;
    pb_buffer_reserve(&bytes, size);
    while (bytes.size < size) {
        state = state * 1664525 + 1013904223;
        pb_buffer_append_format(&bytes, "%u\ta row of a table\t%x\n", state >> 16, state);
    }
    bytes.size = size;
    return bytes;
}

/* ---- keys ---- */

static char folder[] = "/tmp/pbcopy-sealing-XXXXXX";
static char key_path[64], other_key_path[64], bad_key_path[64], recipient[128];

static char *run_program(const char *const *arguments)
{
    uv_loop_t loop;
    pb_error error = {0};
    pb_buffer output = {0};
    uv_loop_init(&loop);
    const pb_child_options options = {.arguments = arguments, .deadline_ms = 30 * 1000};
    int failed =
        pb_child_run(&loop, &options, (pb_slice){NULL, 0}, NULL, 64 * 1024, &output, NULL, &error);
    uv_loop_close(&loop);
    if (failed) {
        pb_buffer_free(&output);
        return NULL;
    }
    pb_buffer_reserve(&output, 1);
    return output.data;
}

/* Where there is no age, the tests of encryption are skipped. */
static int make_keys(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the program has it */
    if (!mkdtemp(folder))
        return -1;
    snprintf(key_path, sizeof key_path, "%s/key", folder);
    snprintf(other_key_path, sizeof other_key_path, "%s/other", folder);
    snprintf(bad_key_path, sizeof bad_key_path, "%s/bad", folder);
    FILE *bad = fopen(bad_key_path, "w");
    fputs("this is no key\n", bad);
    fclose(bad);
    const char *const make[] = {"age-keygen", "--output", key_path, NULL};
    const char *const make_other[] = {"age-keygen", "--output", other_key_path, NULL};
    const char *const tell[] = {"age-keygen", "-y", key_path, NULL};
    char *made = run_program(make), *made_other = run_program(make_other);
    char *told = made && made_other ? run_program(tell) : NULL;
    if (told)
        snprintf(recipient, sizeof recipient, "%.*s", (int)strcspn(told, "\n"), told);
    else
        puts("SKIP: age is not installed");
    free(made);
    free(made_other);
    free(told);
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    unlink(key_path);
    unlink(other_key_path);
    unlink(bad_key_path);
    return rmdir(folder);
}

/* ---- tests ---- */

static void check_round_trip(size_t size, const char *to, const char *identity)
{
    pb_buffer plain = some_bytes(size), stored = sealed(pb_buffer_slice(&plain), to);
    seal_run back = opened(pb_buffer_slice(&stored), identity);
    if (back.error.kind)
        print_error("%zu bytes: %s\n", size, back.error.message);
    assert_int_equal(back.error.kind, PB_ERROR_NONE);
    assert_true(pb_slice_equal(pb_buffer_slice(&back.output), pb_buffer_slice(&plain)));
    pb_buffer_free(&back.output);
    pb_buffer_free(&stored);
    pb_buffer_free(&plain);
}

/* Sizes at the bounds of pieces, too: a frame that ends as the piece is full is at its end. */
static void test_round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        0, 1, 1000, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 4 * 128 * 1024, 20 * 1000 * 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_round_trip(sizes[i], NULL, NULL);
}

static void test_round_trip_encrypted(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 128 * 1024, 64 * 1024 * 7, 20 * 1000 * 1000};
    for (size_t i = 0; recipient[0] && i < sizeof sizes / sizeof *sizes; i++)
        check_round_trip(sizes[i], recipient, key_path);
}

static void test_paused(void **state)
{
    (void)state;
    for (int encrypted = 0; encrypted < 1 + !!recipient[0]; encrypted++) {
        pb_buffer plain = some_bytes(3 * 1000 * 1000);
        seal_run out = {.pauses = true}, back = {.pauses = true};
        const char *const recipients[] = {recipient};
        go(&out, (pb_seal_options){.sealing = {recipients, (size_t)encrypted}},
           pb_buffer_slice(&plain));
        assert_int_equal(out.error.kind, PB_ERROR_NONE);
        go(&back, (pb_seal_options){.opens = true, .encrypted = encrypted, .identity = key_path},
           pb_buffer_slice(&out.output));
        assert_int_equal(back.error.kind, PB_ERROR_NONE);
        assert_true(back.paused_count > 10);
        assert_true(pb_slice_equal(pb_buffer_slice(&back.output), pb_buffer_slice(&plain)));
        pb_buffer_free(&back.output);
        pb_buffer_free(&out.output);
        pb_buffer_free(&plain);
    }
}

/* A gigabyte in a hundred kilobytes: comes in pieces, and stops where it is told to. */
static void test_expands_in_pieces(void **state)
{
    (void)state;
    pb_buffer zeros = {0}, stored = {0};
    pb_buffer_reserve(&zeros, 1000 * 1000);
    memset(zeros.data, 0, 1000 * 1000);
    zeros.size = 1000 * 1000;
    for (int i = 0; i < 100; i++) {
        seal_run piece = {0};
        if (!i) {
            go(&piece, (pb_seal_options){0}, pb_buffer_slice(&zeros));
            zeros.size = 0;
            pb_buffer_append(&zeros, piece.output.data, piece.output.size);
            pb_buffer_free(&piece.output);
        }
        pb_buffer_append(&stored, zeros.data, zeros.size); /* frame behind frame */
    }
    seal_run back = {.counts_only = true, .pauses = true};
    go(&back, (pb_seal_options){.opens = true}, pb_buffer_slice(&stored));
    assert_int_equal(back.error.kind, PB_ERROR_NONE);
    assert_int_equal(back.output_bytes, 100 * 1000 * 1000);
    assert_true(back.largest <= 256 * 1024);
    assert_true(back.paused_count > 300);
    pb_buffer_free(&stored);
    pb_buffer_free(&zeros);
}

static void expect_kind(pb_slice stored, const char *identity, pb_error_kind kind)
{
    seal_run back = opened(stored, identity);
    if (back.error.kind != kind)
        print_error("%zu bytes: kind %d, \"%s\"\n", stored.size, (int)back.error.kind,
                    back.error.message);
    assert_int_equal(back.error.kind, kind);
    pb_buffer_free(&back.output);
}

static void check_damage(const char *to, const char *identity)
{
    pb_buffer plain = some_bytes(2 * 1000 * 1000), stored = sealed(pb_buffer_slice(&plain), to);
    pb_slice whole = pb_buffer_slice(&stored);
    for (size_t i = 0; i < 20; i++)
        expect_kind((pb_slice){whole.data, whole.size * i / 20}, identity, PB_ERROR_DAMAGED);
    expect_kind((pb_slice){whole.data, whole.size - 1}, identity, PB_ERROR_DAMAGED);
    expect_kind((pb_slice){whole.data, whole.size - 4}, identity, PB_ERROR_DAMAGED);
    expect_kind(pb_buffer_slice(&plain), identity, PB_ERROR_DAMAGED);
    for (size_t i = 1; i < 20; i++) {
        size_t at = whole.size * i / 20;
        stored.data[at] ^= 1;
        expect_kind(whole, identity, PB_ERROR_DAMAGED);
        stored.data[at] ^= 1;
    }
    pb_buffer_append_text(&stored, "more");
    expect_kind(pb_buffer_slice(&stored), identity, PB_ERROR_DAMAGED);
    pb_buffer_free(&stored);
    pb_buffer_free(&plain);
}

static void test_damage(void **state)
{
    (void)state;
    check_damage(NULL, NULL);
}

static void test_damage_encrypted(void **state)
{
    (void)state;
    if (recipient[0])
        check_damage(recipient, key_path);
}

static void test_wrong_identity(void **state)
{
    (void)state;
    if (!recipient[0])
        return;
    pb_buffer stored = sealed(PB_SLICE_LITERAL("a secret"), recipient);
    pb_slice whole = pb_buffer_slice(&stored);
    expect_kind(whole, other_key_path, PB_ERROR_REFUSED);
    expect_kind(whole, bad_key_path, PB_ERROR_USAGE);
    expect_kind(whole, "/nowhere/key", PB_ERROR_USAGE);
    seal_run back = opened(whole, "/nowhere/key");
    assert_non_null(strstr(back.error.message, "/nowhere/key"));
    pb_buffer_free(&stored);
}

static void test_no_identity(void **state)
{
    (void)state;
    uv_loop_t loop;
    uv_loop_init(&loop);
    pb_seal *seal;
    pb_error error = {0};
    const pb_seal_options options = {.opens = true, .encrypted = true};
    assert_int_equal(pb_seal_start(&loop, &options, &seal, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    uv_loop_close(&loop);
}

static void test_write_fails(void **state)
{
    (void)state;
    pb_buffer plain = some_bytes(3 * 1000 * 1000);
    const char *const recipients[] = {recipient};
    for (int encrypted = 0; encrypted < 1 + !!recipient[0]; encrypted++) {
        seal_run out = {.stops_early = true};
        go(&out, (pb_seal_options){.sealing = {recipients, (size_t)encrypted}},
           pb_buffer_slice(&plain));
        assert_int_equal(out.error.kind, PB_ERROR_NO_SPACE);
        assert_int_equal(out.output_bytes, 0);
    }
    pb_buffer_free(&plain);
}

static void test_killed(void **state)
{
    (void)state;
    const char *const recipients[] = {recipient};
    for (int encrypted = 0; encrypted < 1 + !!recipient[0]; encrypted++) {
        seal_run out = {0};
        uv_loop_t loop;
        pb_error error = {0};
        uv_loop_init(&loop);
        const pb_seal_options options = {.sealing = {recipients, (size_t)encrypted},
                                         .write = on_write,
                                         .done = on_done,
                                         .context = &out};
        assert_int_equal(pb_seal_start(&loop, &options, &out.seal, &error), 0);
        pb_seal_write(out.seal, "some", 4);
        uv_run(&loop, UV_RUN_NOWAIT);
        pb_seal_pause(out.seal, true);
        pb_error_set(&error, PB_ERROR_CANCELLED, "cancelled");
        pb_seal_kill(out.seal, &error);
        assert_int_equal(out.done_count, 0);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(out.done_count, 1);
        assert_int_equal(out.error.kind, PB_ERROR_CANCELLED);
        pb_buffer_free(&out.output);
        assert_int_equal(uv_loop_close(&loop), 0);
    }
}

static void test_recipients_are_checked(void **state)
{
    (void)state;
    if (!recipient[0])
        return;
    uv_loop_t loop;
    pb_error error = {0};
    uv_loop_init(&loop);
    const char *const good[] = {recipient}, *const bad[] = {recipient, "age1nonsense"};
    assert_int_equal(pb_sealing_check(&loop, &(pb_sealing){good, 1}, &error), 0);
    assert_int_equal(pb_sealing_check(&loop, &(pb_sealing){NULL, 0}, &error), 0);
    assert_int_equal(pb_sealing_check(&loop, &(pb_sealing){bad, 2}, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.message, "malformed recipient"));
    assert_null(strstr(error.message, "report unexpected"));
    uv_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_round_trip_encrypted),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_expands_in_pieces),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_damage_encrypted),
        cmocka_unit_test(test_wrong_identity),
        cmocka_unit_test(test_no_identity),
        cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_recipients_are_checked),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
