/* cli/values.h - the text of a value becomes a member of pb_options, whether it comes from the
 * command line or from a file. Pure, any thread. */
#ifndef PB_CLI_VALUES_H
#define PB_CLI_VALUES_H

#include "base/error.h"
#include "cli/commands.h"

/* Everything as where nothing is said. */
void pb_options_init(pb_options *ret_options);
/* Frees the text and the lists that are its own; back to {0}. */
void pb_options_free(pb_options *options);

/* The member at an offset of the table. */
void *pb_options_member(pb_options *options, size_t offset);

/* Takes one value; `value` is borrowed until pb_options_free, and NULL for FLAG and COUNTED, which
 * it sets or counts. A LIST gets one more item. `where` begins the error, "option --memory" or
 * "pbcopy.yaml: memory". USAGE; the option then is as it was. */
int pb_options_take(pb_options *options, const pb_option_entry *option, const char *where,
                    const char *value, pb_error *error);

/* What may not be said together: where both of a pair are on, the one that was said `before` (a
 * flag for each place in the table of options) puts the other out. Both of one source are a
 * contradiction: USAGE, named as "options --quiet and --verbose", or "FILE: quiet and verbose" with
 * the `file`. */
int pb_options_settle(pb_options *options, const bool *before, const char *file, pb_error *error);

/* True for a name that Kubernetes takes for a namespace: a label of RFC 1123. */
bool pb_namespace_valid(pb_slice name);

#endif
