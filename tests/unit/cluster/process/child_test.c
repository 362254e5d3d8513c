/* Children for real: sh, cat, sleep. */
#include "cluster/process/child.h"

#include "base/clock.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { OUTPUT_MAX = 1 << 20 };

static const pb_slice nothing = PB_SLICE_STATIC("");

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

static int run_shell(const char *script, pb_slice input, int64_t deadline_ms, pb_buffer *output,
                     pb_buffer *errors, pb_error *error)
{
    const char *const arguments[] = {"sh", "-c", script, NULL};
    const char *const environment[] = {"COLOUR=blue", NULL};
    const pb_child_options options = {
        .arguments = arguments, .environment = environment, .deadline_ms = deadline_ms};
    return pb_child_run(&loop, &options, input, NULL, OUTPUT_MAX, output, errors, error);
}

static void test_output(void **state)
{
    (void)state;
    pb_buffer output = {0}, errors = {0};
    pb_error error = {0};
    assert_int_equal(
        run_shell("echo one; echo $COLOUR; echo said >&2", nothing, 0, &output, &errors, &error),
        0);
    assert_string_equal(output.data, "one\nblue\n");
    assert_string_equal(errors.data, "said\n");
    pb_buffer_free(&output);
    pb_buffer_free(&errors);
}

static void test_input(void **state)
{
    (void)state;
    pb_buffer output = {0};
    pb_error error = {0};
    assert_int_equal(run_shell("tr a-z A-Z", PB_SLICE_LITERAL("through"), 0, &output, NULL, &error),
                     0);
    assert_string_equal(output.data, "THROUGH");
    pb_buffer_free(&output);
}

static void test_no_input_is_empty(void **state)
{
    (void)state;
    pb_buffer output = {0};
    pb_error error = {0};
    assert_int_equal(run_shell("wc -c", nothing, 0, &output, NULL, &error), 0);
    assert_string_equal(output.data, "0\n");
    pb_buffer_free(&output);
}

static void test_failure_says_why(void **state)
{
    (void)state;
    pb_error error = {0};
    pb_buffer output = {0};
    assert_int_equal(
        run_shell("echo half; echo first >&2; printf 'no\\033[1m room\\n\\n' >&2; exit 7", nothing,
                  0, &output, NULL, &error),
        -1);
    assert_int_equal(error.kind, PB_ERROR_FAILED);
    assert_string_equal(error.message, "sh: no?[1m room");
    assert_string_equal(error.code, "exit-7");
    assert_int_equal(output.size, 0); /* half of an output is none */
    assert_int_equal(run_shell("exit 3", nothing, 0, NULL, NULL, &error), -1);
    assert_string_equal(error.message, "sh ended with status 3 and said nothing");
    assert_int_equal(run_shell("kill -9 $$", nothing, 0, NULL, NULL, &error), -1);
    assert_string_equal(error.code, "signal-9");
}

static void test_missing_program(void **state)
{
    (void)state;
    const char *const arguments[] = {"no-such-program-anywhere", NULL};
    const pb_child_options options = {.arguments = arguments};
    pb_error error = {0};
    assert_int_equal(pb_child_run(&loop, &options, nothing, NULL, 0, NULL, NULL, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.hint, "install no-such-program-anywhere"));
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void test_input_not_read(void **state)
{
    (void)state;
    pb_buffer input = {0};
    pb_error error = {0};
    pb_buffer_reserve(&input, OUTPUT_MAX);
    memset(input.data, 'x', OUTPUT_MAX);
    input.size = OUTPUT_MAX;
    assert_int_equal(run_shell("exec true", pb_buffer_slice(&input), 0, NULL, NULL, &error), -1);
    assert_non_null(strstr(error.message, "before it had read all of its input"));
    pb_buffer_free(&input);
}

static void test_too_much_output(void **state)
{
    (void)state;
    pb_buffer output = {0};
    pb_error error = {0};
    assert_int_equal(run_shell("exec yes", nothing, 0, &output, NULL, &error), -1);
    assert_non_null(strstr(error.message, "more than"));
    assert_int_equal(output.size, 0);
}

/* Deaf to SIGTERM, and with a grandchild that holds the pipes open. */
static void test_deadline(void **state)
{
    (void)state;
    pb_error error = {0};
    char script[128];
    snprintf(script, sizeof script, "trap '' TERM INT; sleep 600.%d & sleep 600.%d", getpid(),
             getpid());
    int64_t started_ms = pb_clock_monotonic_ms();
    assert_int_equal(run_shell(script, nothing, 300, NULL, NULL, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_UNREACHABLE);
    assert_true(pb_clock_monotonic_ms() - started_ms < 20000);
    snprintf(script, sizeof script, "pgrep -f '^sleep 600.%d' >&2", getpid());
    for (int i = 0; i < 100; i++) { /* the group dies a moment later */
        if (run_shell(script, nothing, 0, NULL, NULL, &error))
            break;
        usleep(20000);
    }
    assert_string_equal(error.code, "exit-1"); /* nobody is left */
}

static void test_cancelled(void **state)
{
    (void)state;
    const char *const arguments[] = {"sleep", "600", NULL};
    const pb_child_options options = {.arguments = arguments};
    atomic_bool cancelled = true;
    pb_error error = {0};
    assert_int_equal(pb_child_run(&loop, &options, nothing, &cancelled, 0, NULL, NULL, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_CANCELLED);
}

static void test_keys_are_not_inherited(void **state)
{
    (void)state;
    pb_buffer output = {0};
    pb_error error = {0};
    setenv("AWS_SECRET_ACCESS_KEY", "marked", 1);
    setenv("PBCOPY_SOURCE_SECRET_ACCESS_KEY", "marked", 1);
    setenv("PGPASSWORD", "marked", 1);
    setenv("SOMEBODYS_TOKEN", "marked", 1);
    setenv("COLOUR", "red", 1);
    assert_int_equal(run_shell("env", nothing, 0, &output, NULL, &error), 0);
    assert_null(strstr(output.data, "marked"));
    assert_null(strstr(output.data, "COLOUR=red"));
    assert_non_null(strstr(output.data, "PATH="));
    pb_buffer_free(&output);
}

static void test_what_is_named_is_inherited(void **state)
{
    (void)state;
    static const char *const arguments[] = {"env", NULL};
    static const char *const environment[] = {"PGUSER=given", NULL};
    static const char *const inherited[] = {"PG*", "EXACT", NULL};
    const pb_child_options options = {
        .arguments = arguments, .environment = environment, .inherited = inherited};
    pb_buffer output = {0};
    pb_error error = {0};
    setenv("PGPASSWORD", "one", 1);
    setenv("PGUSER", "two", 1);
    setenv("EXACT", "three", 1);
    setenv("EXACTLY", "four", 1);
    setenv("XPG", "five", 1);
    assert_int_equal(
        pb_child_run(&loop, &options, nothing, NULL, OUTPUT_MAX, &output, NULL, &error), 0);
    assert_non_null(strstr(output.data, "PGPASSWORD=one\n"));
    assert_non_null(strstr(output.data, "PGUSER=given\n"));
    assert_null(strstr(output.data, "two"));
    assert_non_null(strstr(output.data, "EXACT=three\n"));
    assert_null(strstr(output.data, "four"));
    assert_null(strstr(output.data, "five"));
    pb_buffer_free(&output);
}

/* ---- streams ---- */

typedef struct flow {
    pb_child *child;
    uint64_t to_write, received;
    size_t pending_most;
    int done;
    bool started;
    pb_error error;
} flow;

static char block[64 * 1024];

static void write_more(flow *self)
{
    while (self->to_write && pb_child_pending(self->child) < 4 * sizeof block) {
        pb_child_write(self->child, block, sizeof block);
        self->to_write -= sizeof block;
        if (pb_child_pending(self->child) > self->pending_most)
            self->pending_most = pb_child_pending(self->child);
    }
    if (!self->to_write)
        pb_child_end_input(self->child);
}

static void on_drained(void *context)
{
    write_more(context);
}

static int on_received(void *context, const void *data, size_t size, pb_error *error)
{
    flow *self = context;
    (void)data;
    (void)error;
    self->received += size;
    return 0;
}

static void on_done(void *context, pb_child *child, const pb_error *error)
{
    flow *self = context;
    assert_true(self->started);
    self->done++;
    self->error = *error;
    assert_int_equal(pb_child_exit_status(child), error->kind ? -1 : 0);
    self->child = NULL;
}

static void start_cat(flow *self)
{
    const char *const arguments[] = {"cat", NULL};
    const pb_child_options options = {
        .arguments = arguments,
        .has_input = true,
        .received = on_received,
        .drained = on_drained,
        .done = on_done,
        .context = self,
    };
    pb_error error = {0};
    assert_int_equal(pb_child_start(&loop, &options, &self->child, &error), 0);
    self->started = true;
}

static void test_large_both_ways(void **state)
{
    (void)state;
    const uint64_t bytes = 64 * 1024 * 1024;
    flow self = {.to_write = bytes};
    start_cat(&self);
    write_more(&self);
    pb_child_pause(self.child, true);
    for (int i = 0; i < 50; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(self.received, 0);
    pb_child_pause(self.child, false);
    while (!self.done)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(self.error.kind, PB_ERROR_NONE);
    assert_true(self.received == bytes);
    assert_true(self.pending_most <= 5 * sizeof block);
}

static void test_kill(void **state)
{
    (void)state;
    flow self = {0};
    pb_error why;
    pb_error_set(&why, PB_ERROR_DAMAGED, "for a reason");
    start_cat(&self);
    pb_child_kill(self.child, &why);
    pb_child_kill(self.child, &why);
    assert_int_equal(self.done, 0);
    while (!self.done)
        uv_run(&loop, UV_RUN_ONCE);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(self.done, 1);
    assert_int_equal(self.error.kind, PB_ERROR_DAMAGED);
    assert_string_equal(self.error.message, "for a reason");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_output, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_input, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_no_input_is_empty, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_failure_says_why, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_missing_program, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_input_not_read, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_too_much_output, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_deadline, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_cancelled, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_keys_are_not_inherited, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_what_is_named_is_inherited, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_large_both_ways, open_loop, close_loop),
        cmocka_unit_test_setup_teardown(test_kill, open_loop, close_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
