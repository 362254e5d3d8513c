/* cli/help.h - help pages, made from the table of commands.h, and their parts that the man page has
 * too. Pure, any thread. */
#ifndef PB_CLI_HELP_H
#define PB_CLI_HELP_H

#include "base/bytes.h"
#include "cli/commands.h"

/* Appends what pbcopy is and its commands. */
void pb_help_overview(pb_buffer *buffer);
/* Appends the page of one command. */
void pb_help_command(pb_buffer *buffer, const pb_command_entry *command);

/* ---- parts ---- */

typedef struct pb_help_entry {
    const char *term;
    const char *meaning;
} pb_help_entry;

typedef struct pb_help_entries {
    const pb_help_entry *items;
    size_t count;
} pb_help_entries;

pb_help_entries pb_help_urls(const char **ret_more); /* and a paragraph */
pb_help_entries pb_help_exit_codes(void);
/* Gives the environment variables of a command, of all commands for NULL. */
void pb_help_variables(const pb_command_entry *command,
                       void (*give)(void *context, const char *term, const char *meaning),
                       void *context);

/* Appends "backup [SOURCE REPOSITORY]" and "-v, --verbose" or "--memory SIZE". */
void pb_help_append_usage(pb_buffer *buffer, const pb_command_entry *command);
void pb_help_append_term(pb_buffer *buffer, const pb_option_entry *option);

#endif
