#include "cli/output.h"

#include "base/codec.h"
#include "base/failure.h"
#include "cli/cluster_state.h"
#include "cli/result_json.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void pb_output_init(pb_output *output, const pb_options *options, pb_console *console)
{
    *output = (pb_output){.options = options, .console = console};
    if (!options->json)
        return;
    const pb_command_entry *command = pb_command_entry_of(options->command);
    output->document = json_object();
    output->findings = json_array();
    output->notes = json_array();
    json_object_set_new(output->document, "command",
                        pb_json_of_text(command ? command->name : NULL));
    json_object_set_new(output->document, "dry_run", json_boolean(options->dry_run));
}

void pb_output_free(pb_output *output)
{
    json_decref(output->document);
    json_decref(output->findings);
    json_decref(output->notes);
    *output = (pb_output){0};
}

void pb_output_log(void *context, pb_log_level level, const char *line)
{
    static const char *const starts[] = {"pbcopy: warning: ", "pbcopy: info: ", "pbcopy: debug: "};
    pb_console *console = context;
    pb_console_line(console, console->stream, starts[level], line);
}

static void take_finding(pb_output *output, const pb_event *event)
{
    bool is_result = output->options->command == PB_COMMAND_VERIFY && !output->document;
    pb_buffer line = {0};
    pb_buffer_append_format(&line, "%s: %s: %s", event->finding, event->key, event->text);
    pb_console_line(output->console, is_result ? stdout : output->console->stream, "", line.data);
    pb_buffer_free(&line);
    if (!output->document)
        return;
    json_t *finding = json_object();
    json_object_set_new(finding, "finding", pb_json_of_text(event->finding));
    json_object_set_new(finding, "key", pb_json_of_text(event->key));
    json_object_set_new(finding, "text", pb_json_of_text(event->text));
    json_array_append_new(output->findings, finding);
}

void pb_output_take(pb_output *output, const pb_event *event)
{
    if (event->kind == PB_EVENT_FINDING)
        take_finding(output, event);
    if (event->kind != PB_EVENT_NOTE)
        return;
    pb_output_note(output, event->text);
    if (output->document)
        json_array_append_new(output->notes, pb_json_of_text(event->text));
}

void pb_output_note(pb_output *output, const char *text)
{
    if (!output->options->quiet)
        pb_console_line(output->console, output->console->stream, "pbcopy: ", text);
}

void pb_output_data(pb_output *output, pb_slice data)
{
    if (output->document || output->lost_errno || !data.size)
        return;
    errno = 0;
    if (fwrite(data.data, 1, data.size, stdout) != data.size)
        output->lost_errno = errno ? errno : EIO;
}

void pb_output_text(pb_output *output, pb_slice text)
{
    char *lines = pb_duplicate(text);
    pb_text_make_lines(lines);
    pb_output_data(output, pb_slice_of(lines));
    free(lines);
}

static void print_error(pb_output *output, const pb_error *error)
{
    pb_console_line(output->console, output->console->stream, "pbcopy: error: ", error->message);
    if (error->hint[0])
        pb_console_line(output->console, output->console->stream, "pbcopy: HINT: ", error->hint);
}

/* The last line of every run that touched a cluster. */
static void print_cluster(pb_output *output)
{
    const pb_cluster_state *state = &output->cluster;
    bool stays = output->options->command == PB_COMMAND_SUSPEND;
    bool is_well =
        state->stand == PB_CLUSTER_RUNNING || (state->stand == PB_CLUSTER_SUSPENDED && stays);
    if (state->stand == PB_CLUSTER_UNTOUCHED || (output->options->quiet && is_well))
        return;
    pb_buffer line = {0};
    pb_cluster_state_text(&line, state, stays);
    pb_console_line(output->console, output->console->stream, "cluster ", line.data);
    pb_buffer_free(&line);
}

static void print_document(pb_output *output, const pb_error *error)
{
    json_object_set(output->document, "findings", output->findings);
    json_object_set(output->document, "notes", output->notes);
    json_object_set_new(output->document, "error", pb_json_of_error(error));
    if (output->cluster.stand != PB_CLUSTER_UNTOUCHED)
        json_object_set_new(output->document, "cluster_state",
                            pb_cluster_state_json(&output->cluster));
    json_object_set_new(output->document, "exit_code",
                        json_integer(pb_failure_exit_code(error->kind)));
    json_dumpf(output->document, stdout, JSON_INDENT(2));
    putchar('\n');
}

/* Flushes and closes standard output: a full disk shows at the latest here. */
static void close_stdout(pb_output *output)
{
    errno = 0;
    bool lost = ferror(stdout) != 0;
    lost |= fflush(stdout) != 0;
    lost |= fclose(stdout) != 0;
    if (lost && !output->lost_errno)
        output->lost_errno = errno ? errno : EIO;
}

int pb_output_end(pb_output *output, const pb_error *error)
{
    if (output->document)
        print_document(output, error);
    close_stdout(output);
    int exit_code = pb_failure_exit_code(error->kind);
    if (error->kind) {
        print_error(output, error);
    } else if (output->lost_errno) {
        pb_error lost;
        pb_error_errno(&lost, output->lost_errno, "cannot write to standard output");
        print_error(output, &lost);
        exit_code = 1;
    }
    print_cluster(output);
    return exit_code;
}
