/* cli/man.h - pbcopy(1), in roff, made from the table of commands.h. Pure, any thread. */
#ifndef PB_CLI_MAN_H
#define PB_CLI_MAN_H

#include "base/bytes.h"

/* Appends the page, for the man macros. */
void pb_man_append(pb_buffer *buffer);

#endif
