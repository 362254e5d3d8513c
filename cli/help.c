#include "cli/help.h"

enum { WIDTH = 80, OPTIONS_COLUMN = 25, COMMANDS_COLUMN = 34 };

static void append_spaces(pb_buffer *buffer, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pb_buffer_append_char(buffer, ' ');
}

/* Appends words from column `at` on, later lines beginning in column `indent`; an empty line in the
 * text stays one. Ends with a newline. */
static void append_wrapped(pb_buffer *buffer, const char *text, size_t at, size_t indent)
{
    bool begins = true; /* of a line */
    while (*text) {
        size_t size = strcspn(text, " \n");
        if (!begins && at + 1 + size > WIDTH) {
            pb_buffer_append_char(buffer, '\n');
            append_spaces(buffer, indent);
            at = indent;
            begins = true;
        }
        if (!begins)
            pb_buffer_append_char(buffer, ' ');
        pb_buffer_append(buffer, text, size);
        at += size + !begins;
        begins = false;
        text += size;
        if (strncmp(text, "\n\n", 2) == 0) {
            pb_buffer_append_text(buffer, "\n\n");
            append_spaces(buffer, indent);
            at = indent;
            begins = true;
            text++;
        }
        text += *text != '\0';
    }
    pb_buffer_append_char(buffer, '\n');
}

/* A term, and what it means in a column of its own. */
static void append_entry(pb_buffer *buffer, const char *term, const char *meaning, size_t column)
{
    size_t size = strlen(term) + 2;
    pb_buffer_append_format(buffer, "  %s", term);
    if (size + 2 > column) {
        pb_buffer_append_char(buffer, '\n');
        size = 0;
    }
    append_spaces(buffer, column - size);
    append_wrapped(buffer, meaning, column, column);
}

static void append_usage(pb_buffer *buffer, const pb_command_entry *command)
{
    pb_buffer_append_text(buffer, command->name);
    const pb_operand_entry *operands = command->operands;
    const char *open = operands[0].need == PB_OPERAND_NEEDED ? " " : " [";
    for (unsigned i = 0; i < PB_OPERANDS_MAX && operands[i].name; i++)
        pb_buffer_append_format(buffer, "%s%s", i ? " " : open, operands[i].name);
    if (operands[0].name && open[1])
        pb_buffer_append_char(buffer, ']');
}

void pb_help_overview(pb_buffer *buffer)
{
    size_t count;
    const pb_command_entry *commands = pb_command_entries(&count);
    pb_buffer_append_text(buffer, "pbcopy " PB_VERSION " - backs up object-store buckets and "
                                  "Pachyderm clusters\n\n"
                                  "Usage: pbcopy COMMAND [URL...] [OPTION...]\n\nCommands\n");
    for (size_t i = 0; i < count; i++) {
        pb_buffer usage = {0};
        append_usage(&usage, &commands[i]);
        append_entry(buffer, usage.data, commands[i].summary, COMMANDS_COLUMN);
        pb_buffer_free(&usage);
    }
    pb_buffer_append_char(buffer, '\n');
    append_wrapped(buffer,
                   "A URL is s3://BUCKET[/PREFIX] or file:///DIRECTORY. What is left out is taken "
                   "from pbcopy.yaml (--config FILE, $PBCOPY_CONFIG, ./pbcopy.yaml or "
                   "/etc/pbcopy/pbcopy.yaml). `pbcopy help COMMAND` has all about a command: its "
                   "options, URLs, environment variables, exit codes and examples.",
                   0, 0);
}

/* ---- the parts of a command's page ---- */

static void append_urls(pb_buffer *buffer)
{
    pb_buffer_append_text(buffer, "\nURLs\n");
    append_entry(buffer, "s3://BUCKET[/PREFIX]", "a bucket of AWS S3, or the folder PREFIX in it",
                 6);
    append_entry(buffer, "'s3://BUCKET[/PREFIX]?endpoint=http[s]://HOST:PORT'",
                 "a bucket of another store that speaks S3: Ceph, MinIO, ...", 6);
    append_entry(buffer, "file:///DIRECTORY, file://RELATIVE/DIRECTORY",
                 "a directory; its files are the objects", 6);
    pb_buffer_append_text(buffer, "\n  ");
    append_wrapped(buffer,
                   "Behind the ? may stand, joined by &: endpoint=, region=, profile= (of the AWS "
                   "files), disableSSL=true and s3ForcePathStyle=true or false: Pachyderm's "
                   "STORAGE_URL can be pasted. Quote such a URL in a shell. Keys and passwords are "
                   "never taken from a URL.",
                   2, 2);
}

static void append_options(pb_buffer *buffer, const pb_command_entry *command)
{
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    pb_buffer_append_text(buffer, "\nOptions\n");
    for (size_t i = 0; i < count; i++) {
        if (!(options[i].commands & 1u << command->command))
            continue;
        pb_buffer term = {0};
        if (options[i].letter)
            pb_buffer_append_format(&term, "-%c, ", options[i].letter);
        pb_buffer_append_format(&term, "--%s", options[i].name);
        if (options[i].value)
            pb_buffer_append_format(&term, " %s", options[i].value);
        append_entry(buffer, term.data, options[i].meaning, OPTIONS_COLUMN);
        pb_buffer_free(&term);
    }
}

static void append_environment(pb_buffer *buffer, const pb_command_entry *command)
{
    pb_buffer_append_text(buffer, "\nEnvironment variables\n");
    for (unsigned i = 0; i < PB_OPERANDS_MAX && command->operands[i].name; i++) {
        const char *role = command->operands[i].name;
        pb_buffer term = {0}, meaning = {0};
        pb_buffer_append_format(&term, "PBCOPY_%s_ACCESS_KEY_ID, PBCOPY_%s_SECRET_ACCESS_KEY", role,
                                role);
        pb_buffer_append_format(&meaning,
                                "keys for %s alone; they go before those below. A temporary key "
                                "also wants PBCOPY_%s_SESSION_TOKEN",
                                role, role);
        append_entry(buffer, term.data, meaning.data, 6);
        pb_buffer_free(&term);
        pb_buffer_free(&meaning);
    }
    append_entry(buffer, "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
                 "keys for every S3 URL without profile=", 6);
    append_entry(buffer, "AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE",
                 "the profile (\"default\") and the files (~/.aws/credentials, ~/.aws/config) that "
                 "are used where no keys are set",
                 6);
    append_entry(buffer, "AWS_REGION, AWS_DEFAULT_REGION", "the region where the URL names none",
                 6);
}

static void append_exit_codes(pb_buffer *buffer)
{
    static const char *const codes[][2] = {
        {"0", "done, and nothing was found wrong"},
        {"1", "failed"},
        {"2", "wrong usage: an option, a URL, or a place that is no repository"},
        {"3", "stored bytes are damaged or missing"},
        {"4", "refused: credentials, rights or clock"},
        {"5", "the store could not be reached or kept failing"},
        {"6", "another run of the same source is under way"},
        {"7", "no such bucket, key or snapshot"},
        {"130", "interrupted by SIGINT or SIGTERM; a second SIGINT ends it at once"},
    };
    pb_buffer_append_text(buffer, "\nExit codes\n");
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        append_entry(buffer, codes[i][0], codes[i][1], 7);
}

static void append_examples(pb_buffer *buffer, const pb_command_entry *command)
{
    pb_buffer_append_text(buffer, "\nExamples\n");
    for (unsigned i = 0; i < PB_EXAMPLES_MAX && command->examples[i].purpose; i++)
        pb_buffer_append_format(buffer, "%s  %s\n    %s\n", i ? "\n" : "",
                                command->examples[i].purpose, command->examples[i].line);
}

void pb_help_command(pb_buffer *buffer, const pb_command_entry *command)
{
    bool works = command->command != PB_COMMAND_HELP && command->command != PB_COMMAND_VERSION;
    pb_buffer_append_text(buffer, "pbcopy ");
    append_usage(buffer, command);
    pb_buffer_append_text(buffer, works ? " [OPTION...]\n\n" : "\n\n");
    append_wrapped(buffer, command->description, 0, 0);
    if (works) {
        append_urls(buffer);
        append_options(buffer, command);
        append_environment(buffer, command);
        append_exit_codes(buffer);
    }
    append_examples(buffer, command);
}
