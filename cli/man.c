#include "cli/man.h"

#include "cli/help.h"

/* Text that roff shows as it is. A line that begins with a dot or an apostrophe would be a request,
 * and a dash of an option must stay one that can be copied. */
static void append_escaped(pb_buffer *buffer, const char *text)
{
    bool begins = true; /* of a line */
    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\''))
            pb_buffer_append_text(buffer, "\\&");
        begins = *text == '\n';
        switch (*text) {
        case '\\':
            pb_buffer_append_text(buffer, "\\e");
            break;
        case '-':
            pb_buffer_append_text(buffer, "\\-");
            break;
        case '`':
            pb_buffer_append_text(buffer, "\\(ga");
            break;
        case '\'':
            pb_buffer_append_text(buffer, "\\(aq");
            break;
        case '~':
            pb_buffer_append_text(buffer, "\\(ti");
            break;
        case '^':
            pb_buffer_append_text(buffer, "\\(ha");
            break;
        case '"':
            pb_buffer_append_text(buffer, "\\(dq");
            break;
        default:
            pb_buffer_append_char(buffer, *text);
        }
    }
}

/* What stands between backquotes becomes bold: it is to be typed. */
static void append_words(pb_buffer *buffer, const char *text, size_t size)
{
    bool is_bold = false;
    pb_buffer word = {0};
    for (size_t i = 0; i <= size; i++) {
        if (i < size && text[i] != '`') {
            pb_buffer_append_char(&word, text[i]);
            continue;
        }
        if (word.size)
            append_escaped(buffer, word.data);
        pb_buffer_clear(&word);
        if (i < size)
            pb_buffer_append_text(buffer, is_bold ? "\\fR" : "\\fB");
        is_bold = !is_bold;
    }
    pb_buffer_free(&word);
}

static void append_paragraphs(pb_buffer *buffer, const char *text)
{
    for (bool first = true; *text; first = false) {
        const char *end = strstr(text, "\n\n");
        size_t size = end ? (size_t)(end - text) : strlen(text);
        if (!first)
            pb_buffer_append_text(buffer, ".PP\n");
        append_words(buffer, text, size);
        pb_buffer_append_char(buffer, '\n');
        text += size + (end ? 2 : 0);
    }
}

static void append_entry(void *context, const char *term, const char *meaning)
{
    pb_buffer *buffer = context;
    pb_buffer_append_text(buffer, ".TP\n\\fB");
    append_escaped(buffer, term);
    pb_buffer_append_text(buffer, "\\fR\n");
    size_t size = strlen(meaning);
    append_words(buffer, meaning, size);
    pb_buffer_append_text(buffer, size && meaning[size - 1] == '.' ? "\n" : ".\n");
}

static void append_section(pb_buffer *buffer, const char *title)
{
    pb_buffer_append_format(buffer, ".SH %s\n", title);
}

static void append_commands(pb_buffer *buffer)
{
    size_t count;
    const pb_command_entry *commands = pb_command_entries(&count);
    append_section(buffer, "COMMANDS");
    for (size_t i = 0; i < count; i++) {
        pb_buffer usage = {0};
        pb_help_append_usage(&usage, &commands[i]);
        pb_buffer_append_text(buffer, ".SS \"pbcopy ");
        append_escaped(buffer, usage.data);
        pb_buffer_append_text(buffer, "\"\n");
        pb_buffer_free(&usage);
        append_paragraphs(buffer, commands[i].description);
        for (unsigned j = 0; j < PB_EXAMPLES_MAX && commands[i].examples[j].purpose; j++) {
            pb_buffer_append_text(buffer, ".PP\n");
            append_paragraphs(buffer, commands[i].examples[j].purpose);
            pb_buffer_append_text(buffer, ".PP\n.nf\n.RS\n");
            append_escaped(buffer, commands[i].examples[j].line);
            pb_buffer_append_text(buffer, "\n.RE\n.fi\n");
        }
    }
}

/* " [backup, restore]"; nothing where all that work have the option. */
static void append_owners(pb_buffer *buffer, const pb_option_entry *option)
{
    size_t count, owners = 0;
    const pb_command_entry *commands = pb_command_entries(&count);
    pb_buffer names = {0};
    for (size_t i = 0; i < count; i++)
        if (option->commands & 1u << commands[i].command)
            pb_buffer_append_format(&names, "%s%s", owners++ ? ", " : "", commands[i].name);
    if (owners + 2 < count) /* help and version take few */
        pb_buffer_append_format(buffer, " [%s]", names.data);
    pb_buffer_free(&names);
}

static void append_options(pb_buffer *buffer)
{
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    append_section(buffer, "OPTIONS");
    pb_buffer_append_text(buffer, "Options may stand anywhere. In brackets: the commands that take "
                                  "it, where not all do.\n");
    for (size_t i = 0; i < count; i++) {
        pb_buffer term = {0}, meaning = {0};
        pb_help_append_term(&term, &options[i]);
        pb_buffer_append_text(&meaning, options[i].meaning);
        append_owners(&meaning, &options[i]);
        append_entry(buffer, term.data, meaning.data);
        pb_buffer_free(&term);
        pb_buffer_free(&meaning);
    }
}

static void append_configuration(pb_buffer *buffer)
{
    append_section(buffer, "CONFIGURATION");
    append_paragraphs(
        buffer,
        "What the command line leaves out is taken from a YAML file: the one that `--config` "
        "names, "
        "else $PBCOPY_CONFIG, else ./pbcopy.yaml, else /etc/pbcopy/pbcopy.yaml. Its keys are the "
        "names of the options without dashes in front, and `source`, `repository` and "
        "`destination`. Flags are true or false, options that may be given more than once are "
        "lists. What stands below the name of a command goes before the rest for that command. "
        "Unknown names are an error, and so is anything that is named like a secret.");
    pb_buffer_append_text(buffer, ".PP\n.nf\n.RS\n");
    append_escaped(buffer, "repository: s3://pachyderm-backup\n"
                           "namespace: pachyderm\n"
                           "parallel: 256\n"
                           "recipient:\n"
                           "  - age1...\n"
                           "restore:\n"
                           "  namespace: pachyderm-restored");
    pb_buffer_append_text(buffer, "\n.RE\n.fi\n");
}

void pb_man_append(pb_buffer *buffer)
{
    pb_buffer_append_text(buffer, ".\\\" Made by `pbcopy help man`.\n"
                                  ".TH PBCOPY 1 \"\" \"pbcopy " PB_VERSION "\"\n"
                                  ".ad l\n.nh\n");
    append_section(buffer, "NAME");
    pb_buffer_append_text(buffer, "pbcopy \\- back up object\\-store buckets and Pachyderm "
                                  "clusters\n");
    append_section(buffer, "SYNOPSIS");
    size_t count;
    const pb_command_entry *commands = pb_command_entries(&count);
    for (size_t i = 0; i < count; i++) {
        pb_buffer usage = {0};
        pb_help_append_usage(&usage, &commands[i]);
        pb_buffer_append_text(buffer, i ? ".br\n\\fBpbcopy\\fR " : "\\fBpbcopy\\fR ");
        append_escaped(buffer, usage.data);
        pb_buffer_append_text(buffer, " [\\fIOPTION\\fR...]\n");
        pb_buffer_free(&usage);
    }
    append_section(buffer, "DESCRIPTION");
    append_paragraphs(
        buffer, "pbcopy copies, snapshots, verifies and restores buckets of object stores, and "
                "whole Pachyderm clusters with their databases and Kubernetes objects.");
    append_commands(buffer);
    append_section(buffer, "URLS");
    const char *more;
    pb_help_entries entries = pb_help_urls(&more);
    for (size_t i = 0; i < entries.count; i++)
        append_entry(buffer, entries.items[i].term, entries.items[i].meaning);
    pb_buffer_append_text(buffer, ".PP\n");
    append_paragraphs(buffer, more);
    append_options(buffer);
    append_configuration(buffer);
    append_section(buffer, "ENVIRONMENT");
    pb_help_variables(NULL, append_entry, buffer);
    append_section(buffer, "FILES");
    append_entry(buffer, "./pbcopy.yaml, /etc/pbcopy/pbcopy.yaml", "the configuration");
    append_section(buffer, "EXIT STATUS");
    entries = pb_help_exit_codes();
    for (size_t i = 0; i < entries.count; i++)
        append_entry(buffer, entries.items[i].term, entries.items[i].meaning);
}
