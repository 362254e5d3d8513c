/* cli/output.h - what a run prints: findings, notes, log lines, the result, the error. The main
 * thread's, but for log lines. */
#ifndef PB_CLI_OUTPUT_H
#define PB_CLI_OUTPUT_H

#include "base/log.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "snapshot/session.h"
#include <jansson.h>

typedef struct pb_output {
    const pb_options *options; /* borrowed, as the console */
    pb_console *console;
    json_t *document; /* --json: the result, to be printed at the end; NULL without */
    json_t *findings; /* in it */
    json_t *notes;
    pb_cluster_state cluster; /* what became of one; set before the end */
    int lost_errno; /* why text could not be written to standard output; 0 while all was */
} pb_output;

void pb_output_init(pb_output *output, const pb_options *options, pb_console *console);
void pb_output_free(pb_output *output);

/* A log's `write`; context is the pb_console. Any thread. */
void pb_output_log(void *console, pb_log_level level, const char *line);
/* Takes FINDING and NOTE events: findings go to standard output for a verify without --json, else
 * to standard error. */
void pb_output_take(pb_output *output, const pb_event *event);

/* A line for the user on standard error, unless --quiet. */
void pb_output_note(pb_output *output, const char *text);
/* Lines for standard output; nothing with --json. Whatever servers and repositories put into them
 * is made harmless here: control characters become '?'. After a failure (lost_errno) it does
 * nothing.
 */
void pb_output_text(pb_output *output, pb_slice text);
/* The same for data that programs read, byte for byte: JSON, which has escaped what is harmful. */
void pb_output_data(pb_output *output, pb_slice data);

/* Says how the run ended (error kind NONE: well), sees that all of standard output was written, and
 * closes it. Returns the exit code. */
int pb_output_end(pb_output *output, const pb_error *error);

#endif
