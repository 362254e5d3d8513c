/* What kubectl's errors mean, and what is tried again: with a script in kubectl's place that
 * answers as it is told. */
#include "cluster/kubernetes/at_once.h"
#include "cluster/kubernetes/kubectl.h"

#include "base/clock.h"
#include <unistd.h>

#include "tests/unit/cluster/kubernetes/kubectl_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* ---- words ---- */

/* Of kubectl 1.20 and 1.32 on a real API server, where they could be had. */
static void errors_have_their_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        pb_error_kind kind;
    } cases[] = {
        {"Error from server (NotFound): deployments.apps \"nope\" not found", PB_ERROR_NOT_FOUND},
        {"error: the server doesn't have a resource type \"widgets\"", PB_ERROR_UNREACHABLE},
        {"error: the server doesn't have a resource type \"deployments\"", PB_ERROR_UNREACHABLE},
        {"Error from server (NotFound): the server could not find the requested resource",
         PB_ERROR_UNREACHABLE},
        {"error: unable to recognize \"STDIN\": no matches for kind \"Backup\" in version "
         "\"velero.io/v1\"",
         PB_ERROR_UNREACHABLE},
        {"error: resource mapping not found for name: \"b\" namespace: \"velero\" from \"STDIN\": "
         "no matches for kind \"Backup\" in version \"velero.io/v1\"\n"
         "ensure CRDs are installed first\n",
         PB_ERROR_UNREACHABLE},
        {"Error from server (AlreadyExists): error when creating \"STDIN\": configmaps \"twice\" "
         "already exists",
         PB_ERROR_EXISTS},
        {"error: failed to create configmap: configmaps \"twice\" already exists", PB_ERROR_EXISTS},
        {"Error from server (Forbidden): pods is forbidden: User \"nobody\" cannot list resource "
         "\"pods\" in API group \"\" in the namespace \"default\"",
         PB_ERROR_REFUSED},
        {"error: failed to create configmap: configmaps is forbidden: User \"nobody\" cannot "
         "create resource",
         PB_ERROR_REFUSED},
        {"error: You must be logged in to the server (Unauthorized)", PB_ERROR_REFUSED},
        {"error: failed to create configmap: Unauthorized", PB_ERROR_REFUSED},
        {"error: You must be logged in to the server (the server has asked for the client to "
         "provide credentials)",
         PB_ERROR_REFUSED},
        {"Unable to connect to the server: x509: certificate signed by unknown authority",
         PB_ERROR_REFUSED},
        {"Unable to connect to the server: tls: failed to verify certificate: x509: certificate "
         "has expired or is not yet valid",
         PB_ERROR_REFUSED},
        {"Error in configuration: context was not found for specified context: nope",
         PB_ERROR_USAGE},
        {"error: context \"nope\" does not exist", PB_ERROR_USAGE},
        {"error: stat /nonexistent: no such file or directory", PB_ERROR_USAGE},
        {"error: error loading config file \"/etc/passwd\": yaml: line 1: did not find expected "
         "node content",
         PB_ERROR_USAGE},
        {"Unable to connect to the server: getting credentials: exec: executable "
         "gke-gcloud-auth-plugin not found",
         PB_ERROR_USAGE},
        {"E1125 23:57:21.071082    3358 memcache.go:265] \"Unhandled Error\" err=\"couldn't get "
         "current server API group list: Get \\\"http://localhost:8080/api?timeout=32s\\\": dial "
         "tcp "
         "127.0.0.1:8080: connect: connection refused\"\n"
         "The connection to the server localhost:8080 was refused - did you specify the right host "
         "or port?\n",
         PB_ERROR_USAGE},
        {"The connection to the server 127.0.0.1:1 was refused - did you specify the right host "
         "or port?",
         PB_ERROR_UNREACHABLE},
        {"Unable to connect to the server: dial tcp: lookup no-such-host.invalid: no such host",
         PB_ERROR_UNREACHABLE},
        {"Unable to connect to the server: net/http: TLS handshake timeout", PB_ERROR_UNREACHABLE},
        {"Unable to connect to the server: context deadline exceeded", PB_ERROR_UNREACHABLE},
        {"Unable to connect to the server: net/http: request canceled while waiting for connection "
         "(Client.Timeout exceeded while awaiting headers)",
         PB_ERROR_UNREACHABLE},
        {"Error from server: etcdserver: leader changed", PB_ERROR_UNREACHABLE},
        {"Error from server (Timeout): the server was unable to return a response in the time "
         "allotted, but may still be processing the request",
         PB_ERROR_UNREACHABLE},
        {"Error from server (ServiceUnavailable): the server is currently unable to handle the "
         "request",
         PB_ERROR_UNREACHABLE},
        {"Error from server (TooManyRequests): the server has received too many requests and has "
         "asked us to try again later",
         PB_ERROR_UNREACHABLE},
        {"Error from server (InternalError): an error on the server (\"\") has prevented the "
         "request from succeeding",
         PB_ERROR_UNREACHABLE},
        {"Error from server (Conflict): Operation cannot be fulfilled on configmaps \"twice\": the "
         "object has been modified; please apply your changes to the latest version and try again",
         PB_ERROR_UNREACHABLE},
        {"error: Get \"https://10.0.0.1:6443/api/v1/pods\": read tcp: connection reset by peer",
         PB_ERROR_UNREACHABLE},
        {"error: unexpected EOF", PB_ERROR_UNREACHABLE},
        {"Error from server (Forbidden): error when creating \"STDIN\": configmaps \"a\" is "
         "forbidden: exceeded quota: q, requested: count/configmaps=1, used: 1, limited: 1",
         PB_ERROR_NO_SPACE},
        {"Error from server (Forbidden): error when creating \"STDIN\": configmaps \"a\" is "
         "forbidden: unable to create new content in namespace t1 because it is being terminated",
         PB_ERROR_FAILED},
        {"The request is invalid: patch: Invalid value: \"{}\"", PB_ERROR_FAILED},
        {"Error from server (BadRequest): the server rejected our request for an unknown reason",
         PB_ERROR_FAILED},
        {"Error: unknown command \"bogus\" for \"kubectl\"\n\nDid you mean this?\n\tlogs\n\n",
         PB_ERROR_FAILED},
        {"\n\n", PB_ERROR_FAILED},
        {"", PB_ERROR_FAILED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_slice line;
        pb_error_kind kind = pb_kubectl_kind_of(pb_slice_of(cases[i].text), &line);
        if (kind != cases[i].kind)
            fail_msg("%s: %d, not %d", cases[i].text, kind, cases[i].kind);
        assert_true(kind == PB_ERROR_FAILED || line.size > 0);
    }
    pb_slice line;
    assert_int_equal(pb_kubectl_kind_of((pb_slice){NULL, 0}, &line), PB_ERROR_FAILED);
}

/* A metrics server that is down is told of before every answer, whatever that is. */
static void the_last_line_that_is_known_counts(void **state)
{
    (void)state;
    static const char noise[] =
        "E1125 23:57:20.460058    3277 memcache.go:287] \"Unhandled Error\" err=\"couldn't get "
        "resource list for metrics.k8s.io/v1beta1: the server is currently unable to handle the "
        "request\"\n";
    static const char answer[] = "Error from server (NotFound): pods \"x\" not found";
    static const char advice[] = "\nensure CRDs are installed first\n";
    pb_buffer text = {0};
    pb_slice line;
    pb_buffer_append_text(&text, noise);
    pb_buffer_append_text(&text, answer);
    pb_buffer_append_text(&text, advice);
    assert_int_equal(pb_kubectl_kind_of(pb_buffer_slice(&text), &line), PB_ERROR_NOT_FOUND);
    assert_true(pb_slice_equal(line, pb_slice_of(answer)));
    pb_buffer_clear(&text);
    pb_buffer_append_text(&text, "Warning: v1 Unauthorized is deprecated\n");
    pb_buffer_append_text(&text, noise);
    assert_int_equal(pb_kubectl_kind_of(pb_buffer_slice(&text), &line), PB_ERROR_UNREACHABLE);
    pb_buffer_append_text(&text, "error: unknown flag: --bogus\nSee 'kubectl get --help'.\n");
    assert_int_equal(pb_kubectl_kind_of(pb_buffer_slice(&text), &line), PB_ERROR_FAILED);
    assert_true(pb_slice_equal(line, PB_SLICE_LITERAL("error: unknown flag: --bogus")));
    pb_buffer_free(&text);
}

/* ---- a kubectl that does as it is told ---- */

#define REFUSED_CONNECTION                                                                         \
    "echo 'The connection to the server 10.0.0.1:6443 was refused - did you specify the right "    \
    "host or port?' >&2; exit 1"
#define EXISTS_ALREADY                                                                             \
    "echo 'Error from server (AlreadyExists): configmaps \"lock\" already exists' >&2; exit 1"

static const char script[] = "#!/bin/sh\n"
                             "dir=${0%/*}\n"
                             "echo \"$*\" >>\"$dir/calls\"\n"
                             "cat >\"$dir/input\"\n"
                             "answer=\"$dir/answer.$(wc -l <\"$dir/calls\")\"\n"
                             "[ -e \"$answer\" ] && . \"$answer\"\n"
                             "exit 0\n";

static const char *read_file(const char *name)
{
    static char text[4096];
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[size] = '\0';
    return text;
}

static size_t count_calls(void)
{
    size_t count = 0;
    for (const char *at = read_file("calls"); *at; at++)
        count += *at == '\n';
    return count;
}

/* What the calls do in turn, as shell; NULL at the end. All further ones succeed. */
static void answer(const char *first, ...)
{
    va_list answers;
    unsigned number = 1;
    va_start(answers, first);
    for (const char *text = first; text; text = va_arg(answers, const char *)) {
        char name[32];
        snprintf(name, sizeof name, "answer.%u", number++);
        write_file(name, text);
    }
    va_end(answers);
}

static int begin(void **state)
{
    (void)state;
    int failed = begin_folder();
    write_file("kubectl", script);
    return failed;
}

static pb_kubectl with_patience(int64_t patience_ms)
{
    return (pb_kubectl){.loop = &loop, .name_space = "prod", .patience_ms = patience_ms};
}

static const pb_slice nothing = PB_SLICE_STATIC("");
static const char *const get_pods[] = {"get", "pods", NULL};

static void connection_flags_come_first(void **state)
{
    (void)state;
    pb_kubectl kubectl = with_patience(0);
    pb_buffer output = {0};
    pb_error error = {0};
    kubectl.kubeconfig = "/etc/kube config";
    kubectl.context = "prod-eu";
    answer("echo pods", NULL);
    assert_int_equal(pb_kubectl_run(&kubectl, get_pods, nothing, &output, &error), 0);
    assert_string_equal(output.data, "pods\n");
    const char *calls = read_file("calls");
    static const char first[] = "--kubeconfig /etc/kube config --context prod-eu --namespace prod "
                                "--request-timeout=";
    assert_int_equal(strncmp(calls, first, sizeof first - 1), 0);
    assert_non_null(strstr(calls, " get pods\n"));
    pb_buffer_free(&output);
}

static void a_list_is_its_items(void **state)
{
    (void)state;
    pb_kubectl kubectl = with_patience(0);
    pb_error error = {0};
    json_t *items;
    answer("echo '{\"kind\":\"List\",\"items\":[{\"kind\":\"Pod\"}]}'", "echo '{\"items\":7}'",
           "echo '{'", NULL);
    assert_int_equal(pb_kubectl_list(&kubectl, "pods", "app=pachd", &items, &error), 0);
    assert_int_equal(json_array_size(items), 1);
    json_decref(items);
    assert_non_null(strstr(read_file("calls"), "get pods --selector app=pachd --output=json\n"));
    assert_int_equal(pb_kubectl_list(&kubectl, "pods", NULL, &items, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_int_equal(pb_kubectl_list(&kubectl, "pods", NULL, &items, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
}

static void an_api_server_that_comes_back_is_waited_for(void **state)
{
    (void)state;
    pb_kubectl kubectl = with_patience(30 * 1000);
    pb_buffer output = {0};
    pb_error error = {0};
    /* What a failed attempt wrote is no part of the answer. */
    answer("echo half; " REFUSED_CONNECTION, REFUSED_CONNECTION, "echo whole", NULL);
    assert_int_equal(pb_kubectl_run(&kubectl, get_pods, nothing, &output, &error), 0);
    assert_string_equal(output.data, "whole\n");
    assert_int_equal(error.kind, PB_ERROR_NONE);
    assert_int_equal(count_calls(), 3);
    pb_buffer_free(&output);
}

static void patience_ends(void **state)
{
    (void)state;
    pb_kubectl kubectl = with_patience(1200);
    pb_error error = {0};
    answer(REFUSED_CONNECTION, REFUSED_CONNECTION, REFUSED_CONNECTION, NULL);
    int64_t started_ms = pb_clock_monotonic_ms();
    assert_int_equal(pb_kubectl_run(&kubectl, get_pods, nothing, NULL, &error), -1);
    assert_true(pb_clock_monotonic_ms() - started_ms < 10 * 1000);
    assert_int_equal(error.kind, PB_ERROR_UNREACHABLE);
    assert_non_null(strstr(error.message, "10.0.0.1:6443 was refused"));
    assert_true(error.hint[0]);
    assert_in_range(count_calls(), 2, 3);
}

static void what_is_answered_is_not_asked_again(void **state)
{
    (void)state;
    pb_kubectl kubectl = with_patience(30 * 1000);
    pb_error error = {0};
    answer("echo 'Error from server (Forbidden): pods is forbidden' >&2; exit 1", NULL);
    assert_int_equal(pb_kubectl_run(&kubectl, get_pods, nothing, NULL, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_REFUSED);
    assert_int_equal(count_calls(), 1);
}

static atomic_bool cancelled;

static void on_cancel(uv_timer_t *timer)
{
    cancelled = true;
    uv_close((uv_handle_t *)timer, NULL);
}

static void a_pause_ends_when_cancelled(void **state)
{
    (void)state;
    pb_kubectl kubectl = with_patience(600 * 1000);
    pb_error error = {0};
    uv_timer_t timer;
    cancelled = false;
    kubectl.cancelled = &cancelled;
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_cancel, 300, 0);
    answer(REFUSED_CONNECTION, REFUSED_CONNECTION, NULL);
    int64_t started_ms = pb_clock_monotonic_ms();
    assert_int_equal(pb_kubectl_run(&kubectl, get_pods, nothing, NULL, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_CANCELLED);
    assert_true(pb_clock_monotonic_ms() - started_ms < 10 * 1000);
}

/* ---- creating what may be made already ---- */

#define LOCK(holder)                                                                               \
    "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"lock\"},\"data\":{\"holder\":\"" holder "\"" \
    "}}"
#define LOCK_OF_SERVER(holder)                                                                     \
    "echo '{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"lock\",\"uid\":\"1\"},\"data\":{"      \
    "\"holder\":\"" holder "\"}}'"

static int create_lock(int64_t patience_ms, pb_error *error)
{
    pb_kubectl kubectl = with_patience(patience_ms);
    json_t *object = json_loads(LOCK("me"), 0, NULL);
    int failed = pb_kubectl_create(&kubectl, object, error);
    json_decref(object);
    return failed;
}

static void an_object_goes_through_standard_input(void **state)
{
    (void)state;
    pb_error error = {0};
    assert_int_equal(create_lock(0, &error), 0);
    assert_string_equal(read_file("input"), LOCK("me") "\n");
    assert_null(strstr(read_file("calls"), "holder"));
}

static void objects_are_deleted_with_what_they_own(void **state)
{
    (void)state;
    pb_kubectl kubectl = with_patience(0);
    pb_error error = {0};
    json_t *list = json_loads("{\"kind\":\"List\",\"items\":[]}", 0, NULL);
    assert_int_equal(pb_kubectl_delete(&kubectl, list, "foreground", &error), 0);
    assert_string_equal(read_file("input"), "{\"kind\":\"List\",\"items\":[]}\n");
    const char *calls = read_file("calls");
    assert_non_null(
        strstr(calls, " delete --filename=- --ignore-not-found --cascade=foreground --timeout="));
    json_decref(list);
}

static void one_that_exists_is_not_made(void **state)
{
    (void)state;
    pb_error error = {0};
    answer(EXISTS_ALREADY, LOCK_OF_SERVER("me"), NULL);
    assert_int_equal(create_lock(30 * 1000, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_EXISTS);
    assert_int_equal(count_calls(), 1); /* nothing was lost: it is another's, whatever it says */
}

static void one_that_a_lost_answer_made_is_ours(void **state)
{
    (void)state;
    pb_error error = {0};
    answer(REFUSED_CONNECTION, EXISTS_ALREADY, LOCK_OF_SERVER("me"), NULL);
    assert_int_equal(create_lock(30 * 1000, &error), 0);
    assert_int_equal(error.kind, PB_ERROR_NONE);
    assert_int_equal(count_calls(), 3);
}

static void one_that_another_made_meanwhile_is_not(void **state)
{
    (void)state;
    pb_error error = {0};
    answer(REFUSED_CONNECTION, EXISTS_ALREADY, LOCK_OF_SERVER("somebody"), NULL);
    assert_int_equal(create_lock(30 * 1000, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_EXISTS);
}

/* As API servers up to 1.2x write it. */
static void a_quoted_object_is_not_repeated(void **state)
{
    (void)state;
    pb_error error = {0};
    answer("echo 'Error from server (BadRequest): error when creating \"STDIN\": Secret in version "
           "\"v1\" cannot be handled as a Secret: decode base64: illegal base64 data at input byte "
           "3, error found in #10 byte of ...|64 marked\"},\"|..., bigger context ...|{\"data\":{"
           "\"x\":\"not base64 marked\"}}|...' >&2; exit 1",
           NULL);
    assert_int_equal(create_lock(0, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_FAILED);
    assert_non_null(strstr(error.message, "illegal base64 data at input byte 3"));
    assert_null(strstr(error.message, "marked"));
}

/* Of pachd, to 0. */
static int scale(const pb_kubectl *kubectl, const char *name, pb_error *error)
{
    pb_scaling scaling = {.kind = "Deployment", .name = name};
    pb_kubectl_scale(kubectl, &scaling, 1);
    return pb_scalings_judge(&scaling, 1, false, error);
}

static unsigned warnings;

static void count_warning(void *context, pb_log_level level, const char *line)
{
    (void)context;
    assert_int_equal(level, PB_LOG_WARNING);
    assert_non_null(strstr(line, "older than 1.24"));
    warnings++;
}

static void scaling_patches_the_subresource(void **state)
{
    (void)state;
    pb_kubectl kubectl = with_patience(0);
    pb_error error = {0};
    answer("exit 0",
           "echo 'Error from server (Forbidden): deployments.apps \"pachd\" is forbidden' >&2; "
           "exit 1",
           NULL);
    assert_int_equal(scale(&kubectl, "pachd", &error), 0);
    assert_non_null(strstr(read_file("calls"), " patch Deployment pachd --type=merge --patch "
                                               "{\"spec\":{\"replicas\":0}} "
                                               "--subresource=scale\n"));
    /* Whatever else fails is no reason to patch the whole. */
    assert_int_equal(scale(&kubectl, "pachd", &error), -1);
    assert_int_equal(error.kind, PB_ERROR_REFUSED);
    assert_int_equal(count_calls(), 2);
}

static void an_old_kubectl_patches_the_whole_and_says_so_once(void **state)
{
    (void)state;
    static const char unknown[] = "echo 'Error: unknown flag: --subresource\n"
                                  "See '\\''kubectl patch --help'\\'' for usage.' >&2; exit 1";
    const pb_log log = {.level = PB_LOG_WARNING, .write = count_warning};
    atomic_bool is_old = false;
    pb_kubectl kubectl = with_patience(0);
    pb_error error = {0};
    kubectl.log = &log;
    kubectl.is_old = &is_old;
    warnings = 0;
    answer(unknown, NULL);
    assert_int_equal(scale(&kubectl, "pachd", &error), 0);
    assert_true(is_old);
    assert_int_equal(count_calls(), 2);
    assert_int_equal(scale(&kubectl, "pachw", &error), 0);
    assert_int_equal(count_calls(), 3);
    assert_null(strstr(strstr(read_file("calls"), "pachw"), "--subresource"));
    assert_int_equal(warnings, 1);
}

static void a_login_by_aws_finds_its_variables(void **state)
{
    (void)state;
    pb_kubectl kubectl = with_patience(0);
    pb_buffer output = {0};
    pb_error error = {0};
    setenv("AWS_PROFILE", "login", 1);
    setenv("PBCOPY_SOURCE_SECRET_ACCESS_KEY", "marked", 1);
    setenv("PGPASSWORD", "marked", 1);
    answer("echo $AWS_PROFILE $PBCOPY_SOURCE_SECRET_ACCESS_KEY $PGPASSWORD", NULL);
    assert_int_equal(pb_kubectl_run(&kubectl, get_pods, nothing, &output, &error), 0);
    assert_string_equal(output.data, "login\n");
    unsetenv("AWS_PROFILE");
    unsetenv("PBCOPY_SOURCE_SECRET_ACCESS_KEY");
    unsetenv("PGPASSWORD");
    pb_buffer_free(&output);
}

static void no_kubectl_is_said(void **state)
{
    (void)state;
    pb_kubectl kubectl = with_patience(30 * 1000);
    pb_error error = {0};
    setenv("PATH", "/nonexistent", 1);
    int failed = pb_kubectl_run(&kubectl, get_pods, nothing, NULL, &error);
    setenv("PATH", path_before, 1);
    assert_int_equal(failed, -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.message, "kubectl"));
    assert_true(error.hint[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_have_their_kinds),
        cmocka_unit_test(the_last_line_that_is_known_counts),
        TEST(connection_flags_come_first),
        TEST(a_list_is_its_items),
        TEST(an_api_server_that_comes_back_is_waited_for),
        TEST(patience_ends),
        TEST(what_is_answered_is_not_asked_again),
        TEST(a_pause_ends_when_cancelled),
        TEST(an_object_goes_through_standard_input),
        TEST(objects_are_deleted_with_what_they_own),
        TEST(one_that_exists_is_not_made),
        TEST(one_that_a_lost_answer_made_is_ours),
        TEST(one_that_another_made_meanwhile_is_not),
        TEST(a_quoted_object_is_not_repeated),
        TEST(scaling_patches_the_subresource),
        TEST(an_old_kubectl_patches_the_whole_and_says_so_once),
        TEST(a_login_by_aws_finds_its_variables),
        TEST(no_kubectl_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
