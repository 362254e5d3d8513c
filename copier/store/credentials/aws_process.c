#include "copier/store/credentials/aws_process.h"

#include "base/clock.h"
#include "copier/store/credentials/aws_answer.h"
#include "copier/store/credentials/aws_files.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_BYTES_MAX = 64 * 1024, ERRORS_BYTES_MAX = 4 * 1024, SHOWN_BYTES_MAX = 200 };

extern char **environ;

typedef struct process_source {
    pb_credential_source source; /* first: callbacks cast */
    char *command;
    uint32_t timeout_ms;
} process_source;

typedef struct run {
    pid_t pid;
    int streams[2]; /* what it writes: output, errors; -1 once closed */
    pb_buffer texts[2];
    bool too_long, too_late;
} run;

static int start(run *self, const char *command, pb_error *error)
{
    int pipes[2][2];
    if (pipe2(pipes[0], O_CLOEXEC))
        return pb_error_errno(error, errno, "a pipe");
    if (pipe2(pipes[1], O_CLOEXEC)) {
        close(pipes[0][0]);
        close(pipes[0][1]);
        return pb_error_errno(error, errno, "a pipe");
    }
    char *const arguments[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, ours;
    sigemptyset(&none);
    sigemptyset(&ours);
    sigaddset(&ours, SIGPIPE);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipes[0][1], 1);
    posix_spawn_file_actions_adddup2(&actions, pipes[1][1], 2);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &ours);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    int failure = posix_spawn(&self->pid, "/bin/sh", &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    for (int i = 0; i < 2; i++) {
        close(pipes[i][1]);
        self->streams[i] = pipes[i][0];
    }
    if (!failure)
        return 0;
    for (int i = 0; i < 2; i++)
        close(self->streams[i]);
    return pb_error_errno(error, failure, "/bin/sh");
}

static void take_some(run *self, int which)
{
    static const size_t most[] = {OUTPUT_BYTES_MAX, ERRORS_BYTES_MAX};
    char part[4096];
    ssize_t size = read(self->streams[which], part, sizeof part);
    if (size < 0 && errno == EINTR)
        return;
    if (size <= 0) {
        close(self->streams[which]);
        self->streams[which] = -1;
        return;
    }
    size_t room = most[which] - self->texts[which].size;
    size_t taken = (size_t)size < room ? (size_t)size : room;
    pb_buffer_append(&self->texts[which], part, taken);
    explicit_bzero(part, (size_t)size);
    if (which == 0 && taken < (size_t)size)
        self->too_long = true;
}

/* Reads until the program has closed its output and ended. */
static int watch(run *self, int64_t until_ms)
{
    int status = 0;
    bool ended = false;
    while (!ended && !self->too_long && !self->too_late) {
        int64_t left_ms = until_ms - pb_clock_monotonic_ms();
        if (left_ms <= 0) {
            self->too_late = true;
            break;
        }
        struct pollfd polled[2] = {{self->streams[0], POLLIN, 0}, {self->streams[1], POLLIN, 0}};
        bool open = self->streams[0] >= 0;
        /* Once its output is closed its end is near: looked for every few milliseconds. What it
         * left in the background may hold standard error open for good. */
        int wait_ms = !open ? 5 : left_ms > 1000 ? 1000 : (int)left_ms;
        if (poll(polled, 2, wait_ms) > 0)
            for (int i = 0; i < 2; i++)
                if (polled[i].fd >= 0 && polled[i].revents)
                    take_some(self, i);
        if (self->streams[0] < 0)
            ended = waitpid(self->pid, &status, WNOHANG) == self->pid;
    }
    if (!ended) {
        kill(-self->pid, SIGKILL);
        while (waitpid(self->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    for (int i = 0; i < 2; i++)
        if (self->streams[i] >= 0)
            close(self->streams[i]);
    return status;
}

/* ": what it said", where that is short and printable. */
static void append_errors(pb_buffer *shown, pb_slice text)
{
    while (text.size && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r'))
        text.size--;
    if (!text.size || text.size > SHOWN_BYTES_MAX)
        return;
    pb_buffer said = {0};
    if (pb_aws_answer_show(&said, text, NULL))
        pb_buffer_append_format(shown, ": %s", said.data);
    pb_buffer_free(&said);
}

static int judge(const run *self, const process_source *source, int status,
                 pb_credential *ret_credential, pb_error *error)
{
    if (self->too_long)
        return pb_error_set(error, PB_ERROR_FAILED, "more than 64 KiB of output");
    if (self->too_late)
        return pb_error_set(error, PB_ERROR_UNREACHABLE, "not over after %u s: killed",
                            (unsigned)(source->timeout_ms / 1000));
    if (status) {
        pb_buffer shown = {0};
        append_errors(&shown, pb_buffer_slice(&self->texts[1]));
        const char *said = shown.data ? shown.data : "";
        if (WIFSIGNALED(status))
            pb_error_set(error, PB_ERROR_REFUSED, "ended by signal %d%s", WTERMSIG(status), said);
        else
            pb_error_set(error, PB_ERROR_REFUSED, "exit code %d%s", WEXITSTATUS(status), said);
        pb_buffer_free(&shown);
        return -1;
    }
    if (pb_aws_answer_read(pb_buffer_slice(&self->texts[0]), PB_AWS_ANSWER_PROCESS,
                           pb_clock_utc_ms(), ret_credential, error)) {
        if (error)
            error->kind = PB_ERROR_REFUSED; /* asking again at once changes nothing */
        return -1;
    }
    return 0;
}

static int fetch(pb_credential_source *source, pb_credential *ret_credential, pb_error *error)
{
    const process_source *self = (const process_source *)source;
    run child = {0};
    /* In one piece: growing would leave copies of secrets behind. */
    pb_buffer_reserve(&child.texts[0], OUTPUT_BYTES_MAX);
    int failed = start(&child, self->command, error);
    if (!failed) {
        int status = watch(&child, pb_clock_monotonic_ms() + self->timeout_ms);
        failed = judge(&child, self, status, ret_credential, error);
    }
    pb_buffer_wipe(&child.texts[0]);
    pb_buffer_wipe(&child.texts[1]);
    return failed ? pb_error_context(error, "credential_process") : 0;
}

static void process_free(pb_credential_source *source)
{
    process_source *self = (process_source *)source;
    pb_text_wipe(self->command); /* some put secrets into it */
    free(source->name);
    free(self);
}

pb_credential_source *pb_aws_process_source(const char *command, const char *name,
                                            uint32_t timeout_ms)
{
    process_source *self = pb_allocate_zeroed(1, sizeof *self);
    *self = (process_source){
        .source = {.fetch = fetch, .free = process_free, .name = pb_duplicate(pb_slice_of(name))},
        .command = pb_duplicate(pb_slice_of(command)),
        .timeout_ms = timeout_ms,
    };
    return &self->source;
}
