/* cli/console.h - the terminal: whole lines, and one status line below them that is redrawn. */
#ifndef PB_CLI_CONSOLE_H
#define PB_CLI_CONSOLE_H

#include "base/bytes.h"
#include <pthread.h>
#include <stdio.h>

typedef struct pb_console {
    FILE *stream; /* standard error, as a rule; borrowed */
    bool interactive;
    pthread_mutex_t lock; /* of what follows and of the stream */
    pb_buffer status;     /* empty: none is shown */
} pb_console;

/* `interactive` says that the stream is a terminal; else there is no status line. */
void pb_console_init(pb_console *console, FILE *stream, bool interactive);
void pb_console_free(pb_console *console); /* removes the status line */

/* Writes `start` and `text` as one line to a stream (the console's, or standard output, which may
 * be the same terminal) and shows the status line again below it. Both are made harmless: control
 * characters of keys become '?'. Any thread. */
void pb_console_line(pb_console *console, FILE *stream, const char *start, const char *text);

/* Shows `text`, made harmless, as the status line, cut to the terminal's width; "" removes it. Any
 * thread. */
void pb_console_status(pb_console *console, const char *text);

#endif
