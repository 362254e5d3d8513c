/* cli/cluster_state.h - how a run left a cluster: its last line, and the same as JSON. Pure, any
 * thread. Not for PB_CLUSTER_UNTOUCHED. */
#ifndef PB_CLI_CLUSTER_STATE_H
#define PB_CLI_CLUSTER_STATE_H

#include "base/bytes.h"
#include "snapshot/session.h"
#include <jansson.h>

/* Appends one line, without its newline. `stays`: the run was to leave the cluster suspended. */
void pb_cluster_state_text(pb_buffer *buffer, const pb_cluster_state *state, bool stays);
json_t *pb_cluster_state_json(const pb_cluster_state *state);

#endif
