/* cli/main.c - the process: its start, its signals, the command, its end. */
#include "cli/cluster_commands.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/man.h"
#include "cli/result_json.h"
#include "cli/result_text.h"
#include "cli/snapshot_table.h"
#include "copier/http/http.h"
#include "manifest/record.h"
#include "snapshot/backup.h"
#include "snapshot/copy.h"
#include "snapshot/restore.h"
#include "snapshot/verify.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_INTERRUPTED = 130 };

/* ---- the process ---- */

/* Keys of stores are in memory: no core dump and no debugger of the same user may see them. */
static void hide_memory(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* A closed one would be taken by the next socket, and results written to it. Writing to the
 * read-only stand-in of standard output fails, as it should. */
static void hold_standard_files(void)
{
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++)
        if (fcntl(file, F_GETFD) < 0 &&
            open("/dev/null", file == STDERR_FILENO ? O_WRONLY : O_RDONLY) != file)
            _exit(EXIT_FAILURE);
}

static void start_process(void)
{
    hold_standard_files();
    hide_memory();
    signal(SIGPIPE, SIG_IGN);
    /* Files and hashes run on uv's pool, which reads this once, at its first use. */
    setenv("UV_THREADPOOL_SIZE", "8", 0);
    pb_http_process_start();
}

static void exit_at_once(int number)
{
    (void)number;
    _exit(EXIT_INTERRUPTED);
}

static void on_signal(uv_signal_t *watcher, int number)
{
    pb_invocation *self = watcher->data;
    pb_session_cancel(self->session);
    if (number != SIGINT) {
        pb_output_note(&self->output, "stopping");
        return;
    }
    pb_output_note(
        &self->output,
        self->options.is_cluster
            ? "stopping; interrupt again to exit at once, and to leave the cluster as it "
              "is until `pbcopy resume`"
            : "stopping; interrupt again to exit at once");
    /* The second one must work even where the loop hangs: no watcher for it. */
    uv_signal_stop(watcher);
    struct sigaction action = {.sa_handler = exit_at_once};
    sigaction(SIGINT, &action, NULL);
}

static void watch_signals(pb_invocation *self)
{
    /* A terminal that is closed, or a key that means to dump core, must not leave a cluster scaled
     * down, either. */
    static const int numbers[PB_INVOCATION_SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (int i = 0; i < PB_INVOCATION_SIGNALS; i++) {
        struct sigaction before;
        uv_signal_init(pb_session_loop(self->session), &self->watchers[i]);
        self->watchers[i].data = self;
        if (numbers[i] == SIGHUP && !sigaction(SIGHUP, NULL, &before) &&
            before.sa_handler == SIG_IGN)
            continue; /* nohup */
        uv_signal_start(&self->watchers[i], on_signal, numbers[i]);
        uv_unref((uv_handle_t *)&self->watchers[i]);
    }
}

/* ---- commands ---- */

static void on_event(void *context, const pb_event *event)
{
    pb_invocation *self = context;
    if (event->kind == PB_EVENT_PHASE || event->kind == PB_EVENT_PROGRESS ||
        event->kind == PB_EVENT_WAITING)
        pb_progress_take(&self->progress, event);
    else
        pb_output_take(&self->output, event);
}

static pb_choice_options which(const pb_options *options)
{
    return (pb_choice_options){
        .snapshot = options->snapshot,
        .source = options->of_source,
        .prefix = options->prefix,
        .name_space = options->name_space,
    };
}

static int backup(pb_invocation *self, pb_error *error)
{
    const pb_options *options = &self->options;
    pb_backup_result result;
    pb_backup_options wanted = {
        .source = options->source,
        .repository = options->repository,
        .prefix = options->prefix,
        .checksum = options->checksum,
        .take_over = options->take_over,
        .no_wait = options->no_wait,
        .exclusive = options->exclusive,
        .full = options->full,
        .allow_empty = options->allow_empty,
        .allow_gone = options->allow_gone,
        .strict = options->strict,
    };
    int failed = pb_backup(self->session, &wanted, &result, error);
    pb_invocation_result(self, &pb_backup_fields, &result, !failed);
    pb_backup_result_free(&result);
    return failed;
}

static int restore(pb_invocation *self, pb_error *error)
{
    const pb_options *options = &self->options;
    pb_restore_result result;
    pb_restore_options wanted = {
        .repository = options->repository,
        .destination = options->destination,
        .which = which(options),
        .prefix = options->prefix,
        .overwrite = options->overwrite,
    };
    int failed = pb_restore(self->session, &wanted, &result, error);
    pb_invocation_result(self, &pb_restore_fields, &result,
                         !failed || result.failed_objects || result.differing_objects);
    pb_restore_result_free(&result);
    return failed;
}

static int verify(pb_invocation *self, pb_error *error)
{
    const pb_options *options = &self->options;
    pb_verify_result result;
    pb_verify_options wanted = {
        .repository = options->repository,
        .which = which(options),
        .prefix = options->prefix,
        .read = options->read,
        .database = options->database,
        .identity = options->identity,
    };
    int failed = pb_verify(self->session, &wanted, &result, error);
    pb_invocation_result(self, &pb_verify_fields, &result, !failed || result.findings);
    pb_verify_result_free(&result);
    return failed;
}

static int copy(pb_invocation *self, pb_error *error)
{
    const pb_options *options = &self->options;
    pb_copy_result result;
    pb_copy_options wanted = {
        .source = options->source,
        .destination = options->destination,
        .prefix = options->prefix,
        .checksum = options->checksum,
    };
    int failed = pb_copy(self->session, &wanted, &result, error);
    pb_invocation_result(self, &pb_copy_fields, &result, !failed || result.failed_objects);
    return failed;
}

typedef struct listing {
    pb_snapshot_table table;
    json_t *array;
    pb_invocation *owner;
} listing;

static void on_snapshot(void *context, const pb_catalogue_entry *entry)
{
    listing *all = context;
    if (entry->abandoned && !all->owner->options.all)
        return;
    pb_snapshot_table_add(&all->table, entry);
    json_t *object = json_object();
    pb_result_json(object, &pb_entry_fields, entry, &all->owner->options);
    json_array_append_new(all->array, object);
    if (entry->flaw) {
        pb_buffer text = {0};
        pb_buffer_append_format(&text, "snapshot %s: %s", entry->file->id, entry->flaw);
        pb_output_note(&all->owner->output, text.data);
        pb_buffer_free(&text);
    }
}

static int list_snapshots(pb_invocation *self, pb_error *error)
{
    listing all = {.array = json_array(), .owner = self};
    pb_choice choice;
    int failed = pb_catalogue_snapshots(self->session, self->options.repository, on_snapshot, &all,
                                        &choice, error);
    pb_progress_end(&self->progress);
    if (all.table.count)
        pb_snapshot_table_append(&all.table, &self->scratch);
    else if (!failed)
        pb_buffer_append_text(&self->scratch, "no snapshots\n");
    pb_output_text(&self->output, pb_buffer_slice(&self->scratch));
    if (self->output.document) {
        json_object_set(self->output.document, "snapshots", all.array);
        pb_json_add_choice(self->output.document, &choice);
    }
    pb_choice_free(&choice);
    json_decref(all.array);
    pb_snapshot_table_free(&all.table);
    return failed;
}

static void on_record(void *context, const pb_record *record)
{
    pb_invocation *self = context;
    pb_buffer_clear(&self->scratch);
    pb_record_append(&self->scratch, record);
    pb_output_data(&self->output, pb_buffer_slice(&self->scratch));
    if (self->output.lost_errno)
        pb_session_cancel(self->session); /* nobody reads the rest */
}

static int show(pb_invocation *self, pb_error *error)
{
    const pb_options *options = &self->options;
    const pb_choice_options wanted = which(options);
    pb_snapshot_file file = {0};
    pb_choice choice;
    int failed = pb_catalogue_show(self->session, options->repository, &wanted, &file, &choice,
                                   options->records ? on_record : NULL, self, error);
    if (self->output.lost_errno) {
        *error = (pb_error){0}; /* the loss is the error: pb_output_end tells it */
        failed = 0;
    }
    if (!failed && !options->records) {
        pb_result_text(&self->scratch, &pb_show_fields, &file, options);
        pb_output_text(&self->output, pb_buffer_slice(&self->scratch));
    }
    if (self->output.document) {
        pb_result_json(self->output.document, &pb_show_fields, &file, options);
        pb_json_add_choice(self->output.document, &choice);
    }
    pb_choice_free(&choice);
    pb_snapshot_file_free(&file);
    return failed;
}

static int help(pb_invocation *self, pb_error *error)
{
    const pb_options *options = &self->options;
    const char *topic = options->topic;
    /* `pbcopy backup --help` is `pbcopy help backup`; `pbcopy help --help` is the overview. */
    const pb_command_entry *command = options->help && options->command != PB_COMMAND_HELP
                                          ? pb_command_entry_of(options->command)
                                          : NULL;
    bool is_man = topic && strcmp(topic, "man") == 0;
    bool is_completion = topic && strcmp(topic, "completion-bash") == 0;
    if (topic && !is_man && !is_completion && !(command = pb_command_entry_named(topic))) {
        pb_error_set(error, PB_ERROR_USAGE, "help: \"%s\" is not a command", topic);
        return pb_error_hint(error, "`pbcopy help` lists the commands");
    }
    if (is_man)
        pb_man_append(&self->scratch);
    else if (is_completion)
        pb_completion_append_bash(&self->scratch);
    else if (command)
        pb_help_command(&self->scratch, command);
    else
        pb_help_overview(&self->scratch);
    pb_output_text(&self->output, pb_buffer_slice(&self->scratch));
    return 0;
}

/* ---- one run ---- */

static int in_session(pb_invocation *self, int (*command)(pb_invocation *self, pb_error *error),
                      pb_error *error)
{
    const pb_options *options = &self->options;
    pb_log log = {
        .level =
            (pb_log_level)(options->verbosity < PB_LOG_DEBUG ? options->verbosity : PB_LOG_DEBUG),
        .write = pb_output_log,
        .context = &self->console,
    };
    pb_session_options wanted = {
        .parallel = (unsigned)options->parallel,
        .memory_bytes = options->memory_bytes,
        .loops = (unsigned)options->loops,
        .stall_timeout_ms = (uint32_t)options->stall_s * 1000,
        .patience_ms = (uint32_t)options->patience_s * 1000,
        .ca_bundle = options->ca_bundle,
        .scratch = options->scratch,
        .limit_bytes_per_s = options->limit_bytes,
        .limit_requests_per_s = options->limit_requests,
        .unsigned_payload = options->unsigned_payload,
        .dry_run = options->dry_run,
        .log = options->quiet ? NULL : &log,
        .event = on_event,
        .context = self,
    };
    if (pb_session_open(&wanted, &self->session, error))
        return -1;
    watch_signals(self);
    int failed = command(self, error);
    /* One with a hint says by itself how things stand. */
    if (failed && error->kind == PB_ERROR_CANCELLED && !error->hint[0]) {
        bool backs_up = options->command == PB_COMMAND_BACKUP;
        pb_error_set(error, PB_ERROR_CANCELLED, "cancelled%s",
                     backs_up ? ": nothing was committed" : "");
        if (backs_up || options->command == PB_COMMAND_RESTORE ||
            options->command == PB_COMMAND_COPY)
            pb_error_hint(error, "the same command goes on from where this one ended");
    }
    pb_progress_end(&self->progress);
    for (int i = 0; i < PB_INVOCATION_SIGNALS; i++)
        uv_close((uv_handle_t *)&self->watchers[i], NULL);
    self->output.cluster = pb_session_cluster_state(self->session);
    pb_session_close(self->session);
    return failed;
}

static int execute(pb_invocation *self, pb_error *error)
{
    if (self->options.version || self->options.command == PB_COMMAND_VERSION) {
        pb_output_text(&self->output, PB_SLICE_LITERAL("pbcopy " PB_VERSION "\n"));
        return 0;
    }
    if (self->options.help)
        return help(self, error);
    bool is_cluster = self->options.is_cluster;
    switch (self->options.command) {
    case PB_COMMAND_BACKUP:
        return in_session(self, is_cluster ? pb_cluster_command_backup : backup, error);
    case PB_COMMAND_RESTORE:
        return in_session(self, is_cluster ? pb_cluster_command_restore : restore, error);
    case PB_COMMAND_VERIFY:
        return in_session(self, verify, error);
    case PB_COMMAND_SNAPSHOTS:
        return in_session(self, list_snapshots, error);
    case PB_COMMAND_SHOW:
        return in_session(self, show, error);
    case PB_COMMAND_COPY:
        return in_session(self, copy, error);
    case PB_COMMAND_INIT:
        return in_session(self, pb_cluster_command_init, error);
    case PB_COMMAND_DOCTOR:
        return in_session(self, pb_cluster_command_doctor, error);
    case PB_COMMAND_SUSPEND:
        return in_session(self, pb_cluster_command_suspend, error);
    case PB_COMMAND_RESUME:
        return in_session(self, pb_cluster_command_resume, error);
    case PB_COMMAND_CONNECT:
        return in_session(self, pb_cluster_command_connect, error);
    case PB_COMMAND_HELP:
    case PB_COMMAND_NONE:
    case PB_COMMAND_VERSION:
        break;
    }
    return help(self, error);
}

int main(int count, char **arguments)
{
    static pb_invocation self;
    pb_error error = {0};
    start_process();
    const pb_config_places places = {
        .environment = getenv("PBCOPY_CONFIG"),
        .here = "pbcopy.yaml",
        .system = "/etc/pbcopy/pbcopy.yaml",
        .pod_namespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace",
    };
    int failed = pb_options_parse(count, arguments, &places, &self.options, &error);
    bool prints_page = self.options.help || self.options.version;
    self.options.json &= failed || !prints_page; /* pages are text */
    pb_console_init(&self.console, stderr, isatty(STDERR_FILENO) == 1);
    pb_progress_init(&self.progress, &self.console, !self.options.quiet);
    pb_output_init(&self.output, &self.options, &self.console);
    if (!failed)
        execute(&self, &error);
    int exit_code = pb_output_end(&self.output, &error);
    pb_output_free(&self.output);
    pb_console_free(&self.console);
    pb_buffer_free(&self.scratch);
    pb_options_free(&self.options);
    pb_http_process_end();
    return exit_code;
}
