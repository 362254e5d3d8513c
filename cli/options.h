/* cli/options.h - the command line and the configuration become a pb_options, by the table of
 * commands.h. Reads the files of config.h, and nothing else. Any thread. */
#ifndef PB_CLI_OPTIONS_H
#define PB_CLI_OPTIONS_H

#include "cli/config.h"
#include "cli/values.h"

/* Reads arguments[1] to arguments[count - 1], then the configuration, for what they do not say.
 * Options may stand anywhere, as `--name value` or `--name=value`; one given twice counts as said
 * last, but a list grows; `--` ends them. Fails with USAGE, naming the option, or file and key, and
 * saying in the hint what to do; *ret_options is filled as far as understood, so that `json` tells
 * how the error is to be printed. With `help` or `version` set, operands may be missing, and no
 * file is read. Arguments and places are borrowed until pb_options_free, which the caller owes in
 * any case. */
int pb_options_parse(int count, char *const *arguments, const pb_config_places *places,
                     pb_options *ret_options, pb_error *error);

#endif
