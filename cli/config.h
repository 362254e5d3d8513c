/* cli/config.h - pbcopy.yaml: what the command line may leave out. Keys are the long names of
 * options and, in lower case, operands; what stands below the name of a command goes before the top
 * level for that command. For users: docs/configuration.md. Any thread. */
#ifndef PB_CLI_CONFIG_H
#define PB_CLI_CONFIG_H

#include "base/error.h"
#include "cli/commands.h"

/* Where a file is looked for that --config does not name; the first that exists. NULL: not there.
 */
typedef struct pb_config_places {
    const char *environment;   /* $PBCOPY_CONFIG: "" counts as NULL; must exist otherwise */
    const char *here;          /* "pbcopy.yaml": only this user's own, or root's */
    const char *system;        /* "/etc/pbcopy/pbcopy.yaml" */
    const char *pod_namespace; /* not YAML: the file in a pod that holds its namespace */
} pb_config_places;

/* Fills in what the file says for `command`, the operands too, but for options that were `given` on
 * the command line (a flag for each place in the table). options->config becomes the file's name,
 * NULL where there is none. USAGE, naming file and key. */
int pb_config_read(const pb_config_places *places, const pb_command_entry *command,
                   const bool *given, pb_options *options, pb_error *error);

/* Its name alone, as an init wants it: --config, $PBCOPY_CONFIG or the place `here`. */
const char *pb_config_name(const pb_config_places *places, const pb_options *options);

/* The same of its text, `file` naming it in errors. Pure. */
int pb_config_parse(pb_slice text, const char *file, const pb_command_entry *command,
                    const bool *given, pb_options *options, pb_error *error);

/* The namespace of the pod that this is; NULL where it is none. Lives in the arena. */
const char *pb_config_pod_namespace(const pb_config_places *places, pb_arena *arena);

#endif
