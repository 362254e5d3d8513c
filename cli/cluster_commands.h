/* cli/cluster_commands.h - the commands that are about a whole cluster, each in an open session.
 * For this room. */
#ifndef PB_CLI_CLUSTER_COMMANDS_H
#define PB_CLI_CLUSTER_COMMANDS_H

#include "cli/invocation.h"

int pb_cluster_command_backup(pb_invocation *invocation, pb_error *error);
int pb_cluster_command_restore(pb_invocation *invocation, pb_error *error);
int pb_cluster_command_init(pb_invocation *invocation, pb_error *error);
int pb_cluster_command_doctor(pb_invocation *invocation, pb_error *error);
int pb_cluster_command_suspend(pb_invocation *invocation, pb_error *error);
int pb_cluster_command_resume(pb_invocation *invocation, pb_error *error);
int pb_cluster_command_connect(pb_invocation *invocation, pb_error *error);

#endif
