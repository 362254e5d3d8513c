#include "cluster/process/child.h"

#include "base/codec.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

extern char **environ;

enum { STDERR_BYTES = 16 * 1024, READ_BYTES = 64 * 1024, POLL_MS = 100, HANDLES = 5 };

typedef struct pending_write {
    uv_write_t request;
    pb_child *child;
    size_t size;
    char data[];
} pending_write;

struct pb_child {
    pb_child_options options;
    char *name; /* of the program, for messages */
    uv_process_t process;
    uv_pipe_t input, output, errors;
    uv_timer_t deadline;
    size_t pending;
    bool input_ends, input_closed, input_lost, paused;
    bool exited, output_ended, errors_ended;
    bool finishing;
    int exit_status, signal; /* signal not 0: it ended by it */
    unsigned handles;        /* that are not closed yet */
    pb_error error;          /* why it was given up */
    char *read_buffer;
    pb_buffer stderr_text;
};

/* ---- errors ---- */

/* The last line that says something. */
static pb_slice last_line(pb_slice text)
{
    pb_slice line = {NULL, 0};
    size_t end = text.size;
    while (end && !line.size) {
        size_t begin = end;
        while (begin && text.data[begin - 1] != '\n')
            begin--;
        line = (pb_slice){text.data + begin, end - begin};
        end = begin ? begin - 1 : 0;
    }
    return line;
}

static void judge_exit(pb_child *child)
{
    pb_error *error = &child->error;
    if (!error->kind && !child->exit_status && !child->signal && child->input_lost)
        pb_error_set(error, PB_ERROR_FAILED, "%s ended before it had read all of its input",
                     child->name);
    if (error->kind || (!child->exit_status && !child->signal))
        return;
    pb_slice line = last_line(pb_child_stderr(child));
    if (child->signal)
        pb_error_set(error, PB_ERROR_FAILED, "%s was ended by signal %d%s%.*s", child->name,
                     child->signal, line.size ? ": " : "", PB_SLICE_FORMAT(line));
    else if (line.size)
        pb_error_set(error, PB_ERROR_FAILED, "%s: %.*s", child->name, PB_SLICE_FORMAT(line));
    else
        pb_error_set(error, PB_ERROR_FAILED, "%s ended with status %d and said nothing",
                     child->name, child->exit_status);
    snprintf(error->code, sizeof error->code, child->signal ? "signal-%d" : "exit-%d",
             child->signal ? child->signal : child->exit_status);
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    pb_child *child = handle->data;
    if (--child->handles)
        return;
    judge_exit(child);
    child->options.done(child->options.context, child, &child->error);
    pb_buffer_free(&child->stderr_text);
    free(child->read_buffer);
    free(child->name);
    free(child);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

/* `done` comes from the last close: everything is read and reaped by then. */
static void finish_if_over(pb_child *child)
{
    if (child->finishing || !child->exited || !child->output_ended || !child->errors_ended)
        return;
    child->finishing = true;
    close_handle((uv_handle_t *)&child->process);
    close_handle((uv_handle_t *)&child->input);
    close_handle((uv_handle_t *)&child->output);
    close_handle((uv_handle_t *)&child->errors);
    close_handle((uv_handle_t *)&child->deadline);
}

static void kill_group(pb_child *child)
{
    if (!child->exited)
        kill(-child->process.pid, SIGKILL);
}

void pb_child_kill(pb_child *child, const pb_error *why)
{
    if (!child->error.kind)
        child->error = *why;
    kill_group(child);
    /* What a grandchild holds open is not waited for. */
    child->output_ended = child->errors_ended = true;
    if (child->finishing)
        return;
    uv_read_stop((uv_stream_t *)&child->output);
    uv_read_stop((uv_stream_t *)&child->errors);
    finish_if_over(child);
}

static void on_exited(uv_process_t *process, int64_t exit_status, int signal)
{
    pb_child *child = process->data;
    child->exited = true;
    child->exit_status = (int)exit_status;
    child->signal = signal;
    finish_if_over(child);
}

static void on_deadline(uv_timer_t *timer)
{
    pb_child *child = timer->data;
    pb_error why;
    pb_error_set(&why, PB_ERROR_UNREACHABLE, "%s was not done after %lld s", child->name,
                 (long long)child->options.deadline_ms / 1000);
    pb_child_kill(child, &why);
}

/* ---- output ---- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    pb_child *child = handle->data;
    *buffer = uv_buf_init(child->read_buffer, READ_BYTES);
}

static void on_output(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    pb_child *child = stream->data;
    pb_error error = {0};
    if (size < 0) {
        child->output_ended = true;
        uv_read_stop(stream);
        finish_if_over(child);
    } else if (size > 0 && child->options.received &&
               child->options.received(child->options.context, buffer->base, (size_t)size,
                                       &error)) {
        pb_child_kill(child, &error);
    }
}

static void on_errors(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    pb_child *child = stream->data;
    pb_buffer *text = &child->stderr_text;
    if (size < 0) {
        child->errors_ended = true;
        uv_read_stop(stream);
        finish_if_over(child);
        return;
    }
    pb_buffer_append(text, buffer->base, (size_t)size);
    if (text->size > STDERR_BYTES) {
        memmove(text->data, text->data + (text->size - STDERR_BYTES), STDERR_BYTES);
        text->size = STDERR_BYTES;
        text->data[text->size] = 0;
    }
}

void pb_child_pause(pb_child *child, bool paused)
{
    if (child->paused == paused || child->output_ended)
        return;
    child->paused = paused;
    if (paused)
        uv_read_stop((uv_stream_t *)&child->output);
    else
        uv_read_start((uv_stream_t *)&child->output, on_allocate, on_output);
}

/* ---- input ---- */

static void close_input(pb_child *child)
{
    if (child->input_closed)
        return;
    child->input_closed = true;
    close_handle((uv_handle_t *)&child->input);
}

static void on_written(uv_write_t *request, int status)
{
    pending_write *write = (pending_write *)request;
    pb_child *child = write->child;
    child->input_lost |= status < 0;
    child->pending -= write->size;
    free(write);
    if (child->pending || child->input_closed || child->finishing)
        return;
    if (child->input_ends)
        close_input(child);
    else if (child->options.drained)
        child->options.drained(child->options.context);
}

void pb_child_write(pb_child *child, const void *data, size_t size)
{
    if (child->input_closed || child->input_ends || child->finishing || !size)
        return;
    pending_write *write = pb_allocate(sizeof *write + size);
    write->child = child;
    write->size = size;
    memcpy(write->data, data, size);
    uv_buf_t buffer = uv_buf_init(write->data, (unsigned)size);
    if (uv_write(&write->request, (uv_stream_t *)&child->input, &buffer, 1, on_written)) {
        free(write);
        return;
    }
    child->pending += size;
}

void pb_child_end_input(pb_child *child)
{
    child->input_ends = true;
    if (!child->pending && !child->finishing)
        close_input(child);
}

size_t pb_child_pending(const pb_child *child)
{
    return child->pending;
}

/* ---- the start ---- */

static size_t name_size(const char *variable)
{
    return strcspn(variable, "=");
}

static bool names_same(const char *a, const char *b)
{
    return name_size(a) == name_size(b) && strncmp(a, b, name_size(a)) == 0;
}

static bool is_listed(const char *variable, const char *const *patterns)
{
    for (; patterns && *patterns; patterns++) {
        size_t size = strlen(*patterns);
        bool is_start = size && (*patterns)[size - 1] == '*';
        if (is_start ? strncmp(variable, *patterns, size - 1) == 0
                     : name_size(variable) == size && strncmp(variable, *patterns, size) == 0)
            return true;
    }
    return false;
}

/* What holds no secret, and without which programs go wrong: a list of what is given away, as
 * nobody knows the names of all secrets. */
static bool is_for_all(const char *variable)
{
    static const char *const names[] = {
        "PATH",         "HOME",  "USER", "LOGNAME", "SHELL",    "TMPDIR",
        "TZ",           "LANG",  "LC_*", "LD_*",    "LANGUAGE", "NSS_WRAPPER_*",
        "OPENSSL_CONF", "XDG_*", "TERM", "TZDIR",   "LOCPATH",  NULL};
    return is_listed(variable, names);
}

static bool is_replaced(const char *variable, const char *const *by)
{
    for (; by && *by; by++)
        if (names_same(variable, *by))
            return true;
    return false;
}

/* Pointers alone are allocated. */
static char **make_environment(const char *const *added, const char *const *inherited)
{
    size_t count = 0, most = 1;
    for (char **variable = environ; *variable; variable++)
        most++;
    for (const char *const *variable = added; variable && *variable; variable++)
        most++;
    char **all = pb_allocate(most * sizeof *all);
    for (char **variable = environ; *variable; variable++)
        if ((is_for_all(*variable) || is_listed(*variable, inherited)) &&
            !is_replaced(*variable, added))
            all[count++] = *variable;
    for (const char *const *variable = added; variable && *variable; variable++)
        all[count++] = (char *)*variable;
    all[count] = NULL;
    return all;
}

static void add_handle(pb_child *child, uv_handle_t *handle)
{
    handle->data = child;
    child->handles++;
}

static void on_never_started(uv_handle_t *handle)
{
    pb_child *child = handle->data;
    if (--child->handles)
        return;
    free(child->read_buffer);
    free(child->name);
    free(child);
}

static int refuse_start(pb_child *child, int status, pb_error *error)
{
    uv_handle_t *handles[HANDLES] = {(uv_handle_t *)&child->process, (uv_handle_t *)&child->input,
                                     (uv_handle_t *)&child->output, (uv_handle_t *)&child->errors,
                                     (uv_handle_t *)&child->deadline};
    pb_error_set(error, PB_ERROR_USAGE, "%s cannot be started: %s", child->name,
                 status == UV_ENOENT ? "it is not installed, or not in PATH" : uv_strerror(status));
    pb_error_hint(error, "install %s, or put its folder into PATH", child->name);
    for (int i = 0; i < HANDLES; i++)
        uv_close(handles[i], on_never_started);
    return -1;
}

int pb_child_start(uv_loop_t *loop, const pb_child_options *options, pb_child **ret_child,
                   pb_error *error)
{
    pb_child *child = pb_allocate_zeroed(1, sizeof *child);
    child->options = *options;
    child->name = pb_duplicate(pb_slice_of(options->arguments[0]));
    child->read_buffer = pb_allocate(READ_BYTES);
    uv_pipe_init(loop, &child->input, 0);
    uv_pipe_init(loop, &child->output, 0);
    uv_pipe_init(loop, &child->errors, 0);
    uv_timer_init(loop, &child->deadline);
    add_handle(child, (uv_handle_t *)&child->input);
    add_handle(child, (uv_handle_t *)&child->output);
    add_handle(child, (uv_handle_t *)&child->errors);
    add_handle(child, (uv_handle_t *)&child->deadline);
    add_handle(child, (uv_handle_t *)&child->process);
    uv_stdio_container_t files[3] = {
        {.flags = options->has_input ? UV_CREATE_PIPE | UV_READABLE_PIPE : UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE},
    };
    files[0].data.stream = (uv_stream_t *)&child->input;
    files[1].data.stream = (uv_stream_t *)&child->output;
    files[2].data.stream = (uv_stream_t *)&child->errors;
    char **environment = make_environment(options->environment, options->inherited);
    const uv_process_options_t spawned = {
        .exit_cb = on_exited,
        .file = options->arguments[0],
        .args = (char **)options->arguments,
        .env = environment,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = 3,
        .stdio = files,
    };
    int status = uv_spawn(loop, &child->process, &spawned);
    free(environment);
    if (status)
        return refuse_start(child, status, error);
    /* Borrowed during the call alone. */
    child->options.arguments = child->options.environment = child->options.inherited = NULL;
    if (!options->has_input)
        child->input_closed = true;
    uv_read_start((uv_stream_t *)&child->output, on_allocate, on_output);
    uv_read_start((uv_stream_t *)&child->errors, on_allocate, on_errors);
    if (options->deadline_ms > 0)
        uv_timer_start(&child->deadline, on_deadline, (uint64_t)options->deadline_ms, 0);
    *ret_child = child;
    return 0;
}

pb_slice pb_child_stderr(const pb_child *child)
{
    /* Made harmless line by line. */
    pb_buffer *text = (pb_buffer *)&child->stderr_text;
    for (size_t begin = 0; begin < text->size;) {
        char *end = memchr(text->data + begin, '\n', text->size - begin);
        size_t size = end ? (size_t)(end - text->data) - begin : text->size - begin;
        char *line = pb_duplicate((pb_slice){text->data + begin, size});
        pb_text_make_line(line);
        size_t kept = strlen(line);
        memcpy(text->data + begin, line, kept);
        memset(text->data + begin + kept, ' ', size - kept);
        free(line);
        begin += size + 1;
    }
    return pb_buffer_slice(text);
}

int pb_child_exit_status(const pb_child *child)
{
    return child->signal ? -1 : child->exit_status;
}

/* ---- from start to end ---- */

typedef struct whole_run {
    pb_child *child;
    const atomic_bool *cancelled;
    size_t output_bytes_max;
    pb_buffer *output, *stderr_text;
    pb_error error;
    bool over;
} whole_run;

static int on_run_received(void *context, const void *data, size_t size, pb_error *error)
{
    whole_run *run = context;
    if (!run->output)
        return 0;
    if (size > run->output_bytes_max - run->output->size)
        return pb_error_set(error, PB_ERROR_FAILED, "it wrote more than %zu bytes",
                            run->output_bytes_max);
    pb_buffer_append(run->output, data, size);
    return 0;
}

static void on_run_done(void *context, pb_child *child, const pb_error *error)
{
    whole_run *run = context;
    run->error = *error;
    run->over = true;
    if (run->stderr_text)
        pb_buffer_append_slice(run->stderr_text, pb_child_stderr(child));
}

static void on_run_poll(uv_timer_t *timer)
{
    whole_run *run = timer->data;
    if (run->over || !*run->cancelled)
        return;
    pb_error why;
    pb_error_set(&why, PB_ERROR_CANCELLED, "cancelled");
    pb_child_kill(run->child, &why);
}

static void on_run_polled(uv_handle_t *handle)
{
    handle->data = NULL;
}

int pb_child_run(uv_loop_t *loop, const pb_child_options *options, pb_slice input,
                 const atomic_bool *cancelled, size_t output_bytes_max, pb_buffer *ret_output,
                 pb_buffer *ret_stderr, pb_error *error)
{
    pb_buffer output = {0};
    whole_run run = {
        .cancelled = cancelled,
        .output_bytes_max = output_bytes_max,
        .output = ret_output ? &output : NULL,
        .stderr_text = ret_stderr,
    };
    const pb_child_options wanted = {
        .arguments = options->arguments,
        .environment = options->environment,
        .inherited = options->inherited,
        .deadline_ms = options->deadline_ms,
        .has_input = input.size > 0,
        .received = on_run_received,
        .done = on_run_done,
        .context = &run,
    };
    if (cancelled && *cancelled)
        return pb_error_set(error, PB_ERROR_CANCELLED, "cancelled");
    if (pb_child_start(loop, &wanted, &run.child, error))
        return -1;
    pb_child_write(run.child, input.data, input.size);
    if (input.size)
        pb_child_end_input(run.child);
    uv_timer_t poll;
    uv_timer_init(loop, &poll);
    poll.data = &run;
    if (cancelled)
        uv_timer_start(&poll, on_run_poll, POLL_MS, POLL_MS);
    while (!run.over)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&poll, on_run_polled);
    while (poll.data)
        uv_run(loop, UV_RUN_NOWAIT);
    if (!run.error.kind && ret_output)
        pb_buffer_append_slice(ret_output, pb_buffer_slice(&output));
    pb_buffer_free(&output);
    if (!run.error.kind)
        return 0;
    *error = run.error;
    return -1;
}
