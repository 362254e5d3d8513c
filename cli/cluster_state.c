#include "cli/cluster_state.h"

#include "base/clock.h"
#include "cli/result_json.h"

static void append_suspended(pb_buffer *buffer, const pb_cluster_state *state, bool stays)
{
    char suspended[PB_TIME_TEXT_MAX];
    pb_time_format_of_day(state->suspended_ms, suspended);
    if (stays)
        pb_buffer_append_format(buffer,
                                "suspended %s: `pbcopy resume --namespace %s` brings it back",
                                suspended, state->name_space);
    else
        pb_buffer_append_format(buffer,
                                "STILL SUSPENDED since %s: run pbcopy resume --namespace %s",
                                suspended, state->name_space);
}

static void append_running(pb_buffer *buffer, const pb_cluster_state *state)
{
    char suspended[PB_TIME_TEXT_MAX], resumed[PB_TIME_TEXT_MAX];
    if (!state->suspended_ms) {
        pb_buffer_append_text(buffer, "was not suspended: nothing was scaled down");
        return;
    }
    pb_time_format_of_day(state->suspended_ms, suspended);
    pb_time_format_of_day(state->resumed_ms, resumed);
    pb_buffer_append_format(buffer, "suspended %s, running again %s (%lld s)", suspended, resumed,
                            (long long)(state->resumed_ms - state->suspended_ms + 500) / 1000);
}

static void append_taken_over(pb_buffer *buffer, const pb_cluster_state *state)
{
    char suspended[PB_TIME_TEXT_MAX];
    pb_time_format_of_day(state->suspended_ms, suspended);
    if (state->suspended_ms)
        pb_buffer_append_format(buffer, "suspended %s, ", suspended);
    pb_buffer_append_format(buffer,
                            "taken over by another run: `pbcopy doctor --namespace %s` tells how "
                            "it stands",
                            state->name_space);
}

void pb_cluster_state_text(pb_buffer *buffer, const pb_cluster_state *state, bool stays)
{
    pb_buffer_append_format(buffer, "%s: ", state->name_space);
    switch (state->stand) {
    case PB_CLUSTER_SUSPENDED:
        append_suspended(buffer, state, stays);
        break;
    case PB_CLUSTER_LOCKED:
        append_running(buffer, state);
        pb_buffer_append_format(buffer,
                                ", but ConfigMap pbcopy-suspension is left: run pbcopy resume "
                                "--namespace %s",
                                state->name_space);
        break;
    case PB_CLUSTER_RUNNING:
        append_running(buffer, state);
        break;
    case PB_CLUSTER_TAKEN_OVER:
        append_taken_over(buffer, state);
        break;
    case PB_CLUSTER_UNTOUCHED:
        break;
    }
}

json_t *pb_cluster_state_json(const pb_cluster_state *state)
{
    static const char *const stands[] = {
        [PB_CLUSTER_UNTOUCHED] = "untouched",   [PB_CLUSTER_SUSPENDED] = "suspended",
        [PB_CLUSTER_LOCKED] = "locked",         [PB_CLUSTER_RUNNING] = "running",
        [PB_CLUSTER_TAKEN_OVER] = "taken-over",
    };
    return json_pack("{s:s, s:s, s:o, s:o}", "namespace", state->name_space, "state",
                     stands[state->stand], "suspended", pb_json_of_time(state->suspended_ms),
                     "resumed", pb_json_of_time(state->resumed_ms));
}
