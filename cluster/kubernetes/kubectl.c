#include "cluster/kubernetes/kubectl.h"

#include "base/clock.h"
#include "base/codec.h"
#include "cluster/kubernetes/object.h"
#include "cluster/process/child.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ARGUMENTS_MAX = 32,
    DELETE_TIMEOUT_S = 4 * 60,
    PAUSE_FIRST_MS = 500,
    PAUSE_MOST_MS = 8 * 1000,
};

/* Of one answer; for a list of what there is it is asked five times. */
#define REQUEST_TIMEOUT "--request-timeout=30s"

/* ---- what its errors mean ---- */

typedef struct phrase {
    const char *text;
    pb_error_kind kind;
} phrase;

/* As kubectl 1.20 to 1.32 and the API server write them; the first that is found in a line counts:
 * names of objects are in it as well, but those of Kubernetes have no blank, capital or bracket. */
static const phrase phrases[] = {
    /* These are said of a path, not of an object. Whatever answers 404, 403, 429 or 5xx to the
     * question for the kinds that there are makes kubectl say so, of kinds that are always there.
     */
    {"the server could not find the requested resource", PB_ERROR_UNREACHABLE},
    {"the server doesn't have a resource type", PB_ERROR_UNREACHABLE},
    {"no matches for kind", PB_ERROR_UNREACHABLE},
    {"(NotFound)", PB_ERROR_NOT_FOUND},
    {"(AlreadyExists)", PB_ERROR_EXISTS},
    {"exceeded quota", PB_ERROR_NO_SPACE},
    {"because it is being terminated", PB_ERROR_FAILED}, /* a namespace: Forbidden, but no right */
    {"(Forbidden)", PB_ERROR_REFUSED},
    {"(Unauthorized)", PB_ERROR_REFUSED},
    {"(Conflict)", PB_ERROR_UNREACHABLE}, /* somebody else was quicker: once more */
    {"(ServiceUnavailable)", PB_ERROR_UNREACHABLE},
    {"(InternalError)", PB_ERROR_UNREACHABLE},
    {"(Timeout)", PB_ERROR_UNREACHABLE},
    {"(ServerTimeout)", PB_ERROR_UNREACHABLE},
    {"(TooManyRequests)", PB_ERROR_UNREACHABLE},
    {"(Expired)", PB_ERROR_UNREACHABLE}, /* a list that took long: from its beginning */
    {"is forbidden", PB_ERROR_REFUSED},
    {"You must be logged in", PB_ERROR_REFUSED},
    {"the server has asked for the client to provide credentials", PB_ERROR_REFUSED},
    {": Unauthorized", PB_ERROR_REFUSED},
    {"x509: ", PB_ERROR_REFUSED},
    {"getting credentials: exec: executable", PB_ERROR_USAGE}, /* a plugin that is not there */
    {" already exists", PB_ERROR_EXISTS},
    {"context was not found", PB_ERROR_USAGE},
    {"error: context \"", PB_ERROR_USAGE},
    {"no context exists with the name", PB_ERROR_USAGE},
    {"error: cluster \"", PB_ERROR_USAGE},
    {"error: auth info \"", PB_ERROR_USAGE},
    {"error loading config file", PB_ERROR_USAGE},
    {"error: stat ", PB_ERROR_USAGE},
    {"no configuration has been provided", PB_ERROR_USAGE},
    /* Where it looks that has no configuration at all. */
    {"The connection to the server localhost:8080 was refused", PB_ERROR_USAGE},
    {"connection refused", PB_ERROR_UNREACHABLE},
    {"was refused", PB_ERROR_UNREACHABLE},
    {"Unable to connect to the server", PB_ERROR_UNREACHABLE},
    {"couldn't get current server API group list", PB_ERROR_UNREACHABLE},
    {"unable to retrieve the complete list of server APIs", PB_ERROR_UNREACHABLE},
    {"i/o timeout", PB_ERROR_UNREACHABLE},
    {"TLS handshake timeout", PB_ERROR_UNREACHABLE},
    {"connection reset by peer", PB_ERROR_UNREACHABLE},
    {"no route to host", PB_ERROR_UNREACHABLE},
    {"no such host", PB_ERROR_UNREACHABLE},
    {"client connection lost", PB_ERROR_UNREACHABLE},
    {"net/http: request canceled", PB_ERROR_UNREACHABLE},
    {"Client.Timeout exceeded", PB_ERROR_UNREACHABLE},
    {"context deadline exceeded", PB_ERROR_UNREACHABLE},
    {"unexpected EOF", PB_ERROR_UNREACHABLE},
    {": EOF", PB_ERROR_UNREACHABLE},
    {"etcdserver: ", PB_ERROR_UNREACHABLE},
    {"the server is currently unable to handle the request", PB_ERROR_UNREACHABLE},
    {"the server was unable to return a response in the time allotted", PB_ERROR_UNREACHABLE},
    {"the server has received too many requests", PB_ERROR_UNREACHABLE},
    {"an error on the server", PB_ERROR_UNREACHABLE},
    {"no API token found", PB_ERROR_UNREACHABLE}, /* a service account a moment old */
};

/* NULL where it is nothing that is known. */
static const phrase *phrase_of(pb_slice line)
{
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (memmem(line.data, line.size, phrases[i].text, strlen(phrases[i].text)))
            return &phrases[i];
    return NULL;
}

/* A line of kubectl's log, "E1126 00:00:30.751283 ...", or a warning of the API server: of other
 * APIs than the one that was asked, on the way to its answer. */
static bool is_noise(pb_slice line)
{
    if (pb_slice_starts_with(line, PB_SLICE_LITERAL("Warning: ")))
        return true;
    if (line.size < 6 || !memchr("IWEF", line.data[0], 4) || line.data[5] != ' ')
        return false;
    for (size_t i = 1; i < 5; i++)
        if (line.data[i] < '0' || line.data[i] > '9')
            return false;
    return true;
}

/* The line before *end, which moves to its beginning. */
static pb_slice line_before(pb_slice text, size_t *end)
{
    size_t begin = *end;
    while (begin > 0 && text.data[begin - 1] != '\n')
        begin--;
    pb_slice line = {text.data + begin, *end - begin};
    *end = begin ? begin - 1 : 0;
    while (line.size && line.data[line.size - 1] == ' ')
        line.size--;
    return line;
}

/* After its words kubectl gives advice: a failure is told by the last line that is known, else the
 * last that calls itself an error, else the last. What is logged counts where nothing else is said.
 */
pb_error_kind pb_kubectl_kind_of(pb_slice text, pb_slice *ret_line)
{
    pb_slice error_line = {NULL, 0}, last_line = {NULL, 0}, known_noise = {NULL, 0};
    for (size_t end = text.size; end > 0;) {
        pb_slice line = line_before(text, &end);
        const phrase *known = line.size ? phrase_of(line) : NULL;
        if (line.size && is_noise(line)) {
            if (known && !known_noise.size)
                known_noise = line;
            continue;
        }
        if (known) {
            *ret_line = line;
            return known->kind;
        }
        if (!last_line.size)
            last_line = line;
        if (!error_line.size && (pb_slice_starts_with(line, PB_SLICE_LITERAL("error")) ||
                                 pb_slice_starts_with(line, PB_SLICE_LITERAL("Error"))))
            error_line = line;
    }
    if (!last_line.size && known_noise.size) {
        *ret_line = known_noise;
        return phrase_of(known_noise)->kind;
    }
    *ret_line = error_line.size ? error_line : last_line;
    return PB_ERROR_FAILED;
}

/* An API server that cannot read an object quotes it, and a secret's values with it. */
static pb_slice without_quotes(pb_slice line)
{
    static const char *const quotes[] = {", error found in #", "&value."};
    for (size_t i = 0; i < sizeof quotes / sizeof *quotes; i++) {
        const char *found = memmem(line.data, line.size, quotes[i], strlen(quotes[i]));
        if (found)
            line.size = (size_t)(found - line.data);
    }
    return line;
}

void pb_kubectl_hint(const pb_kubectl *kubectl, pb_error *error)
{
    if (error->hint[0])
        return;
    if (error->kind == PB_ERROR_REFUSED)
        pb_error_hint(error, "`pbcopy doctor` lists the rights that are needed; deploy/rbac.yaml "
                             "grants them");
    else if (error->kind == PB_ERROR_USAGE)
        pb_error_hint(error, "`kubectl config get-contexts` lists what there is; --kubeconfig and "
                             "--kube-context choose");
    else if (error->kind == PB_ERROR_UNREACHABLE)
        pb_error_hint(error,
                      "is the API server up, and is it the right one? `kubectl cluster-info"
                      "%s%s` asks it",
                      kubectl->context ? " --context " : "",
                      kubectl->context ? kubectl->context : "");
}

/* ---- one attempt, and the next ---- */

typedef struct command {
    const char *arguments[ARGUMENTS_MAX + 1];
    size_t count;
} command;

static void add(command *line, const char *argument)
{
    if (line->count == ARGUMENTS_MAX)
        abort(); /* a bug */
    line->arguments[line->count++] = argument;
    line->arguments[line->count] = NULL;
}

static void add_flag(command *line, const char *name, const char *value)
{
    if (!value)
        return;
    add(line, name);
    add(line, value);
}

/* Plugins that log in to a cluster want variables that nobody can list: all but the keys of stores
 * and the database's own. Pointers alone are allocated. */
static const char **login_environment(void)
{
    size_t count = 0, most = 1;
    for (char **variable = environ; variable && *variable; variable++)
        most++;
    const char **all = pb_allocate(most * sizeof *all);
    for (char **variable = environ; variable && *variable; variable++)
        if (strncmp(*variable, "PBCOPY_", 7) != 0 && strncmp(*variable, "PG", 2) != 0)
            all[count++] = *variable;
    all[count] = NULL;
    return all;
}

/* Only an exit status is kubectl's own word; the rest is known already. */
static void judge(pb_slice said, pb_error *error)
{
    pb_slice line;
    if (error->kind != PB_ERROR_FAILED || strncmp(error->code, "exit-", 5) != 0)
        return;
    pb_error_kind kind = pb_kubectl_kind_of(said, &line);
    line = line.size ? without_quotes(line) : line;
    if (line.size)
        pb_error_set(error, kind, "kubectl: %.*s", PB_SLICE_FORMAT(line));
}

static int attempt(const pb_kubectl *kubectl, const command *line, pb_slice input,
                   pb_buffer *output, pb_error *error)
{
    const char **environment = login_environment();
    const pb_child_options options = {
        .arguments = line->arguments,
        .environment = environment,
        .deadline_ms = PB_KUBECTL_DEADLINE_MS,
    };
    pb_buffer said = {0};
    int failed = pb_child_run(kubectl->loop, &options, input, kubectl->cancelled,
                              PB_KUBECTL_OUTPUT_MAX, output, &said, error);
    free(environment);
    if (failed)
        judge(pb_buffer_slice(&said), error);
    pb_buffer_free(&said);
    return failed;
}

static void on_awake(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void on_closed(uv_handle_t *handle)
{
    handle->data = NULL;
}

int pb_kubectl_rest_until(const pb_kubectl *kubectl, int64_t rest_ms, const bool *over,
                          pb_error *error)
{
    enum {
        LOOK_MS = 100
    }; /* `cancelled` may be set by another thread, which does not wake the loop */
    int64_t until_ms = pb_clock_monotonic_ms() + rest_ms;
    bool awake = false;
    uv_timer_t timer;
    uv_timer_init(kubectl->loop, &timer);
    timer.data = &awake;
    uv_timer_start(&timer, on_awake, rest_ms < LOOK_MS ? (uint64_t)rest_ms : LOOK_MS, LOOK_MS);
    while ((!awake || pb_clock_monotonic_ms() < until_ms) && !(over && *over) &&
           !(kubectl->cancelled && *kubectl->cancelled))
        uv_run(kubectl->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, on_closed);
    while (timer.data)
        uv_run(kubectl->loop, UV_RUN_NOWAIT);
    if (kubectl->cancelled && *kubectl->cancelled)
        return pb_error_set(error, PB_ERROR_CANCELLED, "cancelled");
    return 0;
}

int pb_kubectl_rest(const pb_kubectl *kubectl, int64_t rest_ms, pb_error *error)
{
    return pb_kubectl_rest_until(kubectl, rest_ms, NULL, error);
}

static void make_command(const pb_kubectl *kubectl, const char *timeout,
                         const char *const *arguments, command *line)
{
    *line = (command){0};
    add(line, "kubectl");
    add_flag(line, "--kubeconfig", kubectl->kubeconfig);
    add_flag(line, "--context", kubectl->context);
    add_flag(line, "--namespace", kubectl->name_space);
    add(line, timeout);
    for (const char *const *argument = arguments; *argument; argument++)
        add(line, *argument);
}

int pb_kubectl_start(const pb_kubectl *kubectl, const char *const *arguments,
                     const pb_child_options *options, pb_child **ret_child, pb_error *error)
{
    const char **environment = login_environment();
    pb_child_options all = *options;
    command line;
    make_command(kubectl, options->deadline_ms ? REQUEST_TIMEOUT : "--request-timeout=0", arguments,
                 &line);
    all.arguments = line.arguments;
    all.environment = environment;
    int failed = pb_child_start(kubectl->loop, &all, ret_child, error);
    free(environment);
    return failed;
}

void pb_kubectl_judge(const pb_child *child, pb_error *error)
{
    judge(pb_child_stderr(child), error);
}

/* pb_kubectl_run; *ret_attempts is how often it was tried. */
static int call(const pb_kubectl *kubectl, const char *const *arguments, pb_slice input,
                pb_buffer *ret_output, unsigned *ret_attempts, pb_error *error)
{
    command line;
    make_command(kubectl, REQUEST_TIMEOUT, arguments, &line);
    int64_t started_ms = pb_clock_monotonic_ms(), pause_ms = PAUSE_FIRST_MS;
    pb_error wrong = {0};
    for (*ret_attempts = 1;; ++*ret_attempts) {
        if (!attempt(kubectl, &line, input, ret_output, &wrong))
            return 0;
        int64_t waited_ms = pb_clock_monotonic_ms() - started_ms;
        if (wrong.kind != PB_ERROR_UNREACHABLE || waited_ms + pause_ms > kubectl->patience_ms)
            break;
        pb_log_line(kubectl->log, PB_LOG_WARNING, "kubectl %s: %s; tried again", arguments[0],
                    wrong.message);
        if (pb_kubectl_rest(kubectl, pause_ms, &wrong))
            break;
        pause_ms = pause_ms * 2 < PAUSE_MOST_MS ? pause_ms * 2 : PAUSE_MOST_MS;
    }
    *error = wrong;
    pb_kubectl_hint(kubectl, error);
    return -1;
}

int pb_kubectl_run(const pb_kubectl *kubectl, const char *const *arguments, pb_slice input,
                   pb_buffer *ret_output, pb_error *error)
{
    unsigned attempts;
    return call(kubectl, arguments, input, ret_output, &attempts, error);
}

/* ---- what was changed ---- */

void pb_kubectl_tell(const pb_kubectl *kubectl, const char *format, ...)
{
    char time[PB_TIME_TEXT_MAX], said[512], text[600];
    va_list arguments;
    if (!kubectl->changed)
        return;
    va_start(arguments, format);
    vsnprintf(said, sizeof said, format, arguments);
    va_end(arguments);
    pb_time_format_of_day(pb_clock_utc_ms(), time);
    snprintf(text, sizeof text, "%s %s", time, said);
    pb_text_make_line(text);
    kubectl->changed(kubectl->changed_context, text);
}

/* An object by its kind and name, a List by the number of its objects. */
static void tell_object(const pb_kubectl *kubectl, const char *done, const json_t *object)
{
    const json_t *items = json_object_get(object, "items");
    size_t count = json_array_size(items);
    if (items)
        pb_kubectl_tell(kubectl, "%s %zu object%s", done, count, count == 1 ? "" : "s");
    else
        pb_kubectl_tell(kubectl, "%s %s %s", done, pb_object_kind(object), pb_object_name(object));
}

/* ---- calls ---- */

int pb_kubectl_has_group(const pb_kubectl *kubectl, const char *group_version, bool *ret_has,
                         pb_error *error)
{
    pb_kubectl once = *kubectl;
    pb_buffer path = {0};
    pb_error wrong = {0};
    once.patience_ms = 0; /* a group that is not there is no reason to ask again */
    pb_buffer_append_format(&path, "/apis/%s", group_version);
    const char *const arguments[] = {"get", "--raw", path.data, NULL};
    int failed = pb_kubectl_run(&once, arguments, (pb_slice){NULL, 0}, NULL, &wrong);
    *ret_has = !failed;
    if (failed && strstr(wrong.message, "(NotFound)"))
        failed = 0;
    else if (failed && wrong.kind == PB_ERROR_UNREACHABLE)
        failed = pb_kubectl_run(kubectl, arguments, (pb_slice){NULL, 0}, NULL, &wrong);
    if (failed)
        *error = wrong;
    pb_buffer_free(&path);
    return failed;
}

int pb_kubectl_json(const pb_kubectl *kubectl, const char *const *arguments, pb_slice input,
                    json_t **ret_value, pb_error *error)
{
    const char *all[ARGUMENTS_MAX];
    pb_buffer output = {0};
    size_t count = 0;
    for (; arguments[count] && count < ARGUMENTS_MAX - 3; count++)
        all[count] = arguments[count];
    all[count++] = "--output=json";
    all[count] = NULL;
    int failed = pb_kubectl_run(kubectl, all, input, &output, error);
    if (!failed)
        failed = pb_json_parse(pb_buffer_slice(&output), "kubectl's answer", ret_value, error);
    pb_buffer_free(&output);
    return failed;
}

int pb_kubectl_list(const pb_kubectl *kubectl, const char *kinds, const char *selector,
                    json_t **ret_items, pb_error *error)
{
    const char *arguments[8] = {"get", kinds};
    size_t count = 2;
    json_t *list, *items;
    if (!kubectl->name_space)
        arguments[count++] = "--all-namespaces";
    if (selector) {
        arguments[count++] = "--selector";
        arguments[count++] = selector;
    }
    if (pb_kubectl_json(kubectl, arguments, (pb_slice){NULL, 0}, &list, error))
        return -1;
    int failed = pb_json_array(list, "items", "kubectl's answer", &items, error);
    if (!failed)
        *ret_items = json_incref(items);
    json_decref(list);
    return failed;
}

int pb_kubectl_send(const pb_kubectl *kubectl, const char *const *arguments, const json_t *object,
                    json_t **ret_value, pb_error *error)
{
    pb_buffer text = {0};
    pb_json_append(&text, object);
    int failed = ret_value
                     ? pb_kubectl_json(kubectl, arguments, pb_buffer_slice(&text), ret_value, error)
                     : pb_kubectl_run(kubectl, arguments, pb_buffer_slice(&text), NULL, error);
    pb_buffer_free(&text); /* secrets are wiped by none of the libraries that held them */
    return failed;
}

static int change_object(const pb_kubectl *kubectl, const char *const *arguments,
                         const json_t *object, const char *done, pb_error *error)
{
    if (pb_kubectl_send(kubectl, arguments, object, NULL, error))
        return -1;
    tell_object(kubectl, done, object);
    return 0;
}

/* Whether all that `part` says is in `whole`, which may say more. */
static bool contains(const json_t *whole, const json_t *part)
{
    const char *name;
    const json_t *member;
    if (!json_is_object(part))
        return json_equal(whole, part);
    json_object_foreach((json_t *)(uintptr_t)part, name, member)
    {
        if (!contains(json_object_get(whole, name), member))
            return false;
    }
    return true;
}

/* Is the object that is there the one that was to be made? */
static int find_ours(const pb_kubectl *kubectl, const json_t *object, bool *ret_ours,
                     pb_error *error)
{
    const char *const arguments[] = {"get", "--filename=-", NULL};
    json_t *found;
    if (pb_kubectl_send(kubectl, arguments, object, &found, error))
        return -1;
    *ret_ours = contains(found, object);
    json_decref(found);
    return 0;
}

int pb_kubectl_create(const pb_kubectl *kubectl, const json_t *object, pb_error *error)
{
    const char *const arguments[] = {"create", "--filename=-", NULL};
    pb_buffer text = {0};
    pb_error wrong = {0};
    unsigned attempts;
    bool ours = false;
    pb_json_append(&text, object);
    int failed = call(kubectl, arguments, pb_buffer_slice(&text), NULL, &attempts, &wrong);
    pb_buffer_free(&text);
    /* An attempt whose answer was lost may have made it. */
    if (failed && wrong.kind == PB_ERROR_EXISTS && attempts > 1 &&
        find_ours(kubectl, object, &ours, error))
        return -1;
    if (!failed || ours) {
        tell_object(kubectl, "made", object);
        return 0;
    }
    *error = wrong;
    return -1;
}

int pb_kubectl_apply(const pb_kubectl *kubectl, const json_t *object, pb_error *error)
{
    /* Nothing is left in an annotation: it would hold a secret's values a second time, and has a
     * limit. */
    const char *const arguments[] = {
        "apply", "--server-side", "--force-conflicts", "--field-manager=pbcopy", "--filename=-",
        NULL};
    return change_object(kubectl, arguments, object, "applied", error);
}

int pb_kubectl_replace(const pb_kubectl *kubectl, const json_t *object, pb_error *error)
{
    const char *const arguments[] = {"replace", "--filename=-", NULL};
    return change_object(kubectl, arguments, object, "replaced", error);
}

int pb_kubectl_delete(const pb_kubectl *kubectl, const json_t *list, const char *cascade,
                      pb_error *error)
{
    char how[32], timeout[32];
    snprintf(how, sizeof how, "--cascade=%s", cascade);
    snprintf(timeout, sizeof timeout, "--timeout=%ds", DELETE_TIMEOUT_S);
    const char *const arguments[] = {"delete", "--filename=-", "--ignore-not-found",
                                     how,      timeout,        NULL};
    return change_object(kubectl, arguments, list, "deleted", error);
}

int pb_kubectl_patch(const pb_kubectl *kubectl, const char *kind, const char *name,
                     const json_t *patch, pb_error *error)
{
    pb_buffer text = {0};
    pb_json_append(&text, patch);
    text.data[text.size - 1] = '\0'; /* its newline */
    const char *const arguments[] = {"patch",   kind,      name, "--type=merge",
                                     "--patch", text.data, NULL};
    int failed = pb_kubectl_run(kubectl, arguments, (pb_slice){NULL, 0}, NULL, error);
    pb_buffer_free(&text);
    if (!failed)
        pb_kubectl_tell(kubectl, "patched %s %s", kind, name);
    return failed;
}
