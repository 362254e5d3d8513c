/* Calls of kubectl that run at once: with a script in kubectl's place. */
#include "cluster/kubernetes/at_once.h"

#include "base/clock.h"

#include "tests/unit/cluster/kubernetes/kubectl_fixture.h"

enum { CALLS = 2 * PB_AT_ONCE_MAX + 3 };

static void answer(const char *text)
{
    pb_buffer script = {0};
    pb_buffer_append_format(&script, "#!/bin/bash\ncd \"$(dirname \"$0\")\"\n%s\n", text);
    write_file("kubectl", script.data);
    pb_buffer_free(&script);
}

static int begin(void **state)
{
    (void)state;
    return begin_folder();
}

static int shell(const char *command)
{
    char text[256];
    snprintf(text, sizeof text, "cd %s && %s", folder, command);
    return system(text);
}

static pb_kubectl of_loop(void)
{
    return (pb_kubectl){.loop = &loop, .name_space = "prod"};
}

static void all_run_and_not_too_many_at_once(void **state)
{
    (void)state;
    static const char *const arguments[] = {"delete", "--filename=-", NULL};
    pb_kubectl kubectl = of_loop();
    pb_kubectl_call calls[CALLS];
    for (size_t i = 0; i < CALLS; i++)
        calls[i] =
            (pb_kubectl_call){.arguments = arguments, .input = PB_SLICE_LITERAL("the input\n")};
    /* Each counts who runs beside it. */
    answer("touch running.$$; sleep .3; ls running.* | wc -l >> beside; cat >> inputs; "
           "rm running.$$; ! mkdir first 2> /dev/null || "
           "{ echo 'Error from server (NotFound): pods \"x\" not found' >&2; exit 1; }");
    pb_kubectl_run_at_once(&kubectl, calls, CALLS);
    size_t failed = 0;
    for (size_t i = 0; i < CALLS; i++) {
        failed += calls[i].error.kind != PB_ERROR_NONE;
        assert_true(!calls[i].error.kind || calls[i].error.kind == PB_ERROR_NOT_FOUND);
    }
    assert_int_equal(failed, 1);
    assert_int_equal(shell("test $(grep -cx 'the input' inputs) = 19"), 0);
    assert_int_equal(shell("test $(sort -n beside | tail -1) -gt 1"), 0);
    assert_int_equal(shell("test $(sort -n beside | tail -1) -le 8"), 0);
}

static void none_begins_after_a_cancellation(void **state)
{
    (void)state;
    static const char *const arguments[] = {"get", "pods", NULL};
    atomic_bool cancelled = true;
    pb_kubectl kubectl = of_loop();
    pb_kubectl_call calls[CALLS];
    kubectl.cancelled = &cancelled;
    for (size_t i = 0; i < CALLS; i++)
        calls[i] = (pb_kubectl_call){.arguments = arguments};
    answer("touch called");
    pb_kubectl_run_at_once(&kubectl, calls, CALLS);
    for (size_t i = 0; i < CALLS; i++)
        assert_int_equal(calls[i].error.kind, PB_ERROR_CANCELLED);
    assert_int_equal(shell("test ! -e called"), 0);
}

static atomic_bool interrupted;

static void on_timer(uv_timer_t *timer)
{
    interrupted = true;
    uv_close((uv_handle_t *)timer, NULL);
}

static void what_runs_is_ended_by_one(void **state)
{
    (void)state;
    static const char *const arguments[] = {"get", "pods", NULL};
    pb_kubectl kubectl = of_loop();
    pb_kubectl_call calls[CALLS];
    uv_timer_t timer;
    int64_t begun_ms = pb_clock_monotonic_ms();
    interrupted = false;
    kubectl.cancelled = &interrupted;
    for (size_t i = 0; i < CALLS; i++)
        calls[i] = (pb_kubectl_call){.arguments = arguments};
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_timer, 300, 0);
    answer("exec sleep 1000");
    pb_kubectl_run_at_once(&kubectl, calls, CALLS);
    assert_true(pb_clock_monotonic_ms() - begun_ms < 20 * 1000);
    for (size_t i = 0; i < CALLS; i++)
        assert_int_equal(calls[i].error.kind, PB_ERROR_CANCELLED);
}

/* Each count is conditional on what was seen of its own workload; one that was changed is told. */
static void scalings_are_conditional_each(void **state)
{
    (void)state;
    pb_kubectl kubectl = of_loop();
    pb_error error = {0};
    json_t *seen[3];
    pb_scaling scalings[3];
    static const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        seen[i] = json_pack("{s:{s:s, s:s}}", "metadata", "uid", names[i], "resourceVersion",
                            i == 1 ? "old" : "7");
        scalings[i] =
            (pb_scaling){.kind = "Deployment", .name = names[i], .replicas = 2, .seen = seen[i]};
    }
    answer("echo \"$*\" >> calls\n"
           "[[ $* != *\" c \"* ]] || { echo 'Error from server (NotFound): x' >&2; exit 1; }\n"
           "[[ $* != *old* ]] || { echo 'Error from server (Conflict): x' >&2; exit 1; }");
    pb_kubectl_scale(&kubectl, scalings, 3);
    assert_int_equal(scalings[0].error.kind, PB_ERROR_NONE);
    assert_int_equal(scalings[1].error.kind, PB_ERROR_UNREACHABLE);
    assert_non_null(strstr(scalings[1].error.message, "scaling Deployment b to 2: "));
    assert_int_equal(scalings[2].error.kind, PB_ERROR_NOT_FOUND);
    assert_int_equal(pb_scalings_judge(scalings, 3, true, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_UNREACHABLE);
    assert_int_equal(pb_scalings_judge(scalings, 1, false, &error), 0);
    assert_int_equal(pb_scalings_judge(scalings + 2, 1, true, &error), 0);
    assert_int_equal(pb_scalings_judge(scalings + 2, 1, false, &error), -1);
    assert_int_equal(shell("grep -q 'patch Deployment a --type=merge --patch .*\"replicas\":2.*"
                           "\"uid\":\"a\".*\"resourceVersion\":\"7\"' calls"),
                     0);
    assert_int_equal(shell("test $(wc -l < calls) = 3"), 0);
    for (int i = 0; i < 3; i++)
        json_decref(seen[i]);
}

static void what_is_not_answered_is_tried_again(void **state)
{
    (void)state;
    pb_kubectl kubectl = of_loop();
    pb_scaling scalings[] = {{.kind = "Deployment", .name = "a"},
                             {.kind = "Deployment", .name = "b"}};
    kubectl.patience_ms = 30 * 1000;
    answer("echo \"$*\" >> calls\n"
           "[[ $* != *\" b \"* || -e once ]] || { touch once; echo 'Error from server "
           "(ServiceUnavailable): x' >&2; exit 1; }");
    pb_kubectl_scale(&kubectl, scalings, 2);
    assert_int_equal(scalings[0].error.kind, PB_ERROR_NONE);
    assert_int_equal(scalings[1].error.kind, PB_ERROR_NONE);
    assert_int_equal(shell("test $(grep -c ' b ' calls) = 2"), 0);
    assert_int_equal(shell("test $(wc -l < calls) = 3"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_run_and_not_too_many_at_once, begin, end),
        cmocka_unit_test_setup_teardown(none_begins_after_a_cancellation, begin, end),
        cmocka_unit_test_setup_teardown(what_runs_is_ended_by_one, begin, end),
        cmocka_unit_test_setup_teardown(scalings_are_conditional_each, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_answered_is_tried_again, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
