/* cli/invocation.h - one run of the program, as its commands see it. For this room. */
#ifndef PB_CLI_INVOCATION_H
#define PB_CLI_INVOCATION_H

#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/result_fields.h"

enum { PB_INVOCATION_SIGNALS = 4 };

typedef struct pb_invocation {
    pb_options options;
    pb_console console;
    pb_progress progress;
    pb_output output;
    pb_session *session;
    uv_signal_t watchers[PB_INVOCATION_SIGNALS];
    pb_buffer scratch;
} pb_invocation;

/* Prints a summary, which the caller has appended to the scratch buffer, unless --quiet. */
void pb_invocation_summary(pb_invocation *invocation);
/* Adds a result of the structure that the fields are of to the JSON, and, `with_text`, prints it as
 * a summary. */
void pb_invocation_result(pb_invocation *invocation, const pb_fields *fields, const void *result,
                          bool with_text);

#endif
