/* Waiting until objects are in some state: with a script in kubectl's place, whose lists and
 * watches are those that a test wants. */
#include "cluster/kubernetes/watch.h"

#include "base/clock.h"
#include "cluster/kubernetes/object.h"

#include "tests/unit/cluster/kubernetes/kubectl_fixture.h"

/* A list is what file `list` has when it is asked for, and counted; `watch` is run for a watch. */
static const char script[] = "#!/bin/bash\ncd \"$(dirname \"$0\")\"\n"
                             "if [[ \" $* \" == *\" --raw \"* ]]; then\n"
                             "  echo \"$*\" >> watches; . ./watch; exit\nfi\n"
                             "echo >> lists; cat list\n";

static unsigned told, warnings;

static size_t count_lines(const char *name)
{
    char path[128];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    for (int c; file && (c = getc(file)) != EOF;)
        count += c == '\n';
    if (file)
        fclose(file);
    return count;
}

static int begin(void **state)
{
    (void)state;
    int failed = begin_folder();
    write_file("kubectl", script);
    told = warnings = 0;
    return failed;
}

#define POD(name) "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name "\"}}"
#define LIST(pods) "{\"kind\":\"List\",\"items\":[" pods "]}\n"
#define EVENT(type, pod) "{\"type\":\"" type "\",\"object\":" pod "}"

/* ---- pure ---- */

static void a_path_is_that_of_the_kind(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *name, *path;
    } cases[] = {
        {"pods", NULL,
         "/api/v1/namespaces/prod/pods?watch=true&resourceVersion=0&timeoutSeconds=240"},
        {"deployments.apps", NULL,
         "/apis/apps/v1/namespaces/prod/"
         "deployments?watch=true&resourceVersion=0&timeoutSeconds=240"},
        {"backups.velero.io", "b",
         "/apis/velero.io/v1/namespaces/prod/"
         "backups?watch=true&resourceVersion=0&timeoutSeconds=240"
         "&fieldSelector=metadata.name%3Db"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_buffer path = {0};
        pb_watch_path(pb_slice_of(cases[i].kind), "prod", cases[i].name, &path);
        assert_string_equal(path.data, cases[i].path);
        pb_buffer_free(&path);
    }
}

static bool applied(json_t *items, const char *line)
{
    return pb_watch_apply(items, pb_slice_of(line));
}

static void events_bring_items_up_to_date(void **state)
{
    (void)state;
    json_t *items = json_array();
    assert_true(applied(items, EVENT("ADDED", POD("a"))));
    assert_true(applied(items, EVENT("ADDED", POD("b"))));
    assert_true(applied(items, EVENT("MODIFIED", "{\"kind\":\"Pod\",\"x\":1,"
                                                 "\"metadata\":{\"name\":\"a\"}}")));
    assert_int_equal(json_array_size(items), 2);
    assert_string_equal(pb_object_name(json_array_get(items, 1)), "a");
    assert_int_equal(json_integer_value(pb_object_at(json_array_get(items, 1), "x")), 1);
    /* Of another kind, with the same name. */
    assert_true(
        applied(items, EVENT("DELETED", "{\"kind\":\"Job\",\"metadata\":{\"name\":\"a\"}}")));
    assert_int_equal(json_array_size(items), 2);
    assert_true(applied(items, EVENT("DELETED", POD("a"))));
    assert_int_equal(json_array_size(items), 1);
    /* Nothing that is no event changes anything. */
    static const char *const wrong[] = {
        "",
        "{",
        "7",
        "[]",
        EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410}"),
        EVENT("BOOKMARK", POD("b")),
        EVENT("DELETED", "7"),
        EVENT("DELETED", "{\"kind\":\"Pod\"}"),
        "{\"type\":7,\"object\":" POD("b") "}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(applied(items, wrong[i]));
    assert_int_equal(json_array_size(items), 1);
    json_decref(items);
}

/* ---- waiting ---- */

static int judge_none(void *context, const json_t *items, pb_buffer *what, pb_error *error)
{
    (void)context;
    (void)error;
    pb_buffer_append_format(what, "%zu pods", json_array_size(items));
    return json_array_size(items) ? 0 : 1;
}

static void count_told(void *context, const char *text)
{
    (void)context;
    assert_non_null(strstr(text, "waiting for 1 pods: "));
    told++;
}

static void count_warning(void *context, pb_log_level level, const char *line)
{
    (void)context;
    warnings += level == PB_LOG_WARNING && strstr(line, "the watch of /api/v1/") != NULL;
}

static const pb_log log_of_warnings = {.level = PB_LOG_INFO, .write = count_warning};

static pb_kubectl of_loop(void)
{
    return (pb_kubectl){.loop = &loop, .name_space = "prod", .log = &log_of_warnings};
}

/* How a wait for no pods ends, and how long it takes. */
static int await(const pb_kubectl *kubectl, int64_t wait_ms, int64_t *ret_ms, pb_error *error)
{
    const pb_awaited awaited = {.wait_ms = wait_ms, .judge = judge_none, .waiting = count_told};
    int64_t begun_ms = pb_clock_monotonic_ms();
    pb_buffer what = {0};
    pb_watch *watch = pb_watch_open(kubectl, "pods", NULL);
    int ended = pb_watch_until(watch, &awaited, &what, error);
    pb_watch_close(watch);
    pb_buffer_free(&what);
    *ret_ms = pb_clock_monotonic_ms() - begun_ms;
    return ended;
}

/* Nobody lists again and again: one list to begin with, one that shows what the watch has told. */
static void what_a_watch_tells_is_listed_once(void **state)
{
    (void)state;
    pb_kubectl kubectl = of_loop();
    pb_error error = {0};
    int64_t took_ms;
    write_file("list", LIST(POD("a")));
    write_file("watch",
               "echo '" EVENT("ADDED", POD("a")) "'\nuntil [ -s lists ]; do sleep .02; done\n"
                                                 "sleep .2; echo '" LIST(
                                                     "") "' > list\n"
                                                         "echo '" EVENT("DELETED",
                                                                        POD("a")) "'; sleep 1000");
    assert_int_equal(await(&kubectl, 60 * 1000, &took_ms, &error), 1);
    assert_int_equal(count_lines("lists"), 2);
    assert_int_equal(count_lines("watches"), 1);
}

static void a_watch_that_lies_is_not_believed(void **state)
{
    (void)state;
    pb_kubectl kubectl = of_loop();
    pb_error error = {0};
    int64_t took_ms;
    write_file("list", LIST(POD("a")));
    write_file("watch", "while sleep .1; do echo '" EVENT("DELETED", POD("a")) "'; done");
    assert_int_equal(await(&kubectl, 3000, &took_ms, &error), 0);
    assert_in_range(count_lines("lists"), 2, 9); /* and not with each line */
}

/* It is refused, ends, ends with nonsense, or says nothing: then lists alone tell. */
static void lists_stand_in_for_a_watch(void **state)
{
    (void)state;
    static const struct {
        const char *watch;
        unsigned warnings;
    } cases[] = {
        {"echo 'Error from server (Forbidden): pods is forbidden' >&2; exit 1", 1},
        {"exit 0", 0},
        {"echo nonsense; sleep 1000", 0},
        {"sleep 1000", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_kubectl kubectl = of_loop();
        pb_error error = {0};
        int64_t took_ms;
        told = warnings = 0;
        write_file("lists", "");
        write_file("watches", "");
        write_file("watch", cases[i].watch);
        /* The third list shows that it is gone. */
        write_file("kubectl", "#!/bin/bash\ncd \"$(dirname \"$0\")\"\n"
                              "if [[ \" $* \" == *\" --raw \"* ]]; then\n"
                              "  echo >> watches; . ./watch; exit\nfi\n"
                              "echo >> lists\n[ $(wc -l < lists) -ge 3 ] && echo '" LIST(
                                  "") "' || "
                                      "echo '" LIST(POD("a")) "'\n");
        assert_int_equal(await(&kubectl, 60 * 1000, &took_ms, &error), 1);
        assert_int_equal(count_lines("lists"), 3);
        assert_int_equal(count_lines("watches"), 1); /* what ended at once is not begun again */
        assert_in_range(took_ms, 1000, 20 * 1000);   /* 0.5 s, then 1 s */
        assert_in_range(told, 1, 20);
        assert_int_equal(warnings, cases[i].warnings);
    }
}

static atomic_bool cancelled;

static void on_timer(uv_timer_t *timer)
{
    cancelled = true;
    uv_close((uv_handle_t *)timer, NULL);
}

static void a_wait_is_cancelled(void **state)
{
    (void)state;
    pb_kubectl kubectl = of_loop();
    pb_error error = {0};
    int64_t took_ms;
    uv_timer_t timer;
    cancelled = false;
    kubectl.cancelled = &cancelled;
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_timer, 700, 0);
    write_file("list", LIST(POD("a")));
    write_file("watch", "echo $$ > pid; exec sleep 1000");
    assert_int_equal(await(&kubectl, 60 * 1000, &took_ms, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_CANCELLED);
    assert_true(took_ms < 20 * 1000);
    /* And no kubectl stays. */
    char command[128];
    snprintf(command, sizeof command, "! kill -0 $(cat %s/pid) 2> /dev/null", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_that_of_the_kind),
        cmocka_unit_test(events_bring_items_up_to_date),
        cmocka_unit_test_setup_teardown(what_a_watch_tells_is_listed_once, begin, end),
        cmocka_unit_test_setup_teardown(a_watch_that_lies_is_not_believed, begin, end),
        cmocka_unit_test_setup_teardown(lists_stand_in_for_a_watch, begin, end),
        cmocka_unit_test_setup_teardown(a_wait_is_cancelled, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
