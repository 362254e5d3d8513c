/* cli/completion.h - what a shell needs to complete commands, options and their values, made from
 * the table of commands.h. Pure, any thread. */
#ifndef PB_CLI_COMPLETION_H
#define PB_CLI_COMPLETION_H

#include "base/bytes.h"

/* Appends a script that bash reads; it does without the package bash-completion. */
void pb_completion_append_bash(pb_buffer *buffer);

#endif
