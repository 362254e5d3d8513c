/* cli/options.h - the command line becomes a pb_options, by the table of commands.h. Pure. */
#ifndef PB_CLI_OPTIONS_H
#define PB_CLI_OPTIONS_H

#include "base/error.h"
#include "cli/commands.h"

/* Reads arguments[1] to arguments[count - 1]. Options may stand anywhere, as `--name value` or
 * `--name=value`; one given twice counts as said last; `--` ends them. Fails with USAGE, naming the
 * option and saying in the hint what to do; *ret_options is filled as far as understood, so that
 * `json` tells how the error is to be printed. With `help` or `version` set, operands may be
 * missing. */
int pb_options_parse(int count, char *const *arguments, pb_options *ret_options, pb_error *error);

#endif
