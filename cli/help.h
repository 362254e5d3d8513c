/* cli/help.h - help pages, made from the table of commands.h. Pure, any thread. */
#ifndef PB_CLI_HELP_H
#define PB_CLI_HELP_H

#include "base/bytes.h"
#include "cli/commands.h"

/* Appends what pbcopy is and its commands. */
void pb_help_overview(pb_buffer *buffer);
/* Appends the page of one command. */
void pb_help_command(pb_buffer *buffer, const pb_command_entry *command);

#endif
