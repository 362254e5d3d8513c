#include "snapshot/protocol.h"

#include <string.h>

static pb_protocol_step next_for_lease(const pb_protocol *protocol)
{
    switch (protocol->lease) {
    case PB_LEASE_UNKNOWN:
        return protocol->taken ? PB_STEP_CONFIRM_LEASE : PB_STEP_READ_LEASE;
    case PB_LEASE_DEAD:
        return protocol->holder_named && !protocol->holder_closed ? PB_STEP_CLOSE_HOLDER
                                                                  : PB_STEP_TAKE_LEASE;
    case PB_LEASE_ALIVE:
        return PB_STEP_WATCH;
    case PB_LEASE_ABSENT:
    case PB_LEASE_OVER:
    case PB_LEASE_MINE:
        break;
    }
    return PB_STEP_TAKE_LEASE;
}

pb_protocol_step pb_protocol_next(const pb_protocol *protocol)
{
    if (protocol->outcome != PB_RUN_GOES_ON) {
        /* Who lost the lease, or never had it, sends nothing more. */
        bool frees = protocol->held && !protocol->released && protocol->outcome != PB_RUN_LOST;
        return frees ? PB_STEP_RELEASE : PB_STEP_END;
    }
    if (!protocol->held)
        return next_for_lease(protocol);
    if (!protocol->surveyed)
        return PB_STEP_SURVEY;
    if (!protocol->announced)
        return PB_STEP_ANNOUNCE;
    if (protocol->closed < protocol->candidates)
        return PB_STEP_CLOSE_DONOR;
    if (!protocol->copied)
        return PB_STEP_COPY;
    return protocol->checked ? PB_STEP_COMMIT : PB_STEP_CHECK_LEASE;
}

void pb_protocol_lease_read(pb_protocol *protocol, pb_lease_view view, bool named)
{
    if (protocol->held) { /* before the commit */
        protocol->checked = view == PB_LEASE_MINE;
        if (!protocol->checked)
            pb_protocol_stop(protocol, PB_RUN_LOST);
        return;
    }
    if (protocol->taken && view == PB_LEASE_MINE) {
        protocol->held = true;
        return;
    }
    protocol->taken = false;
    protocol->lease = view;
    protocol->holder_named = named;
    protocol->holder_closed = false;
    if (view == PB_LEASE_ALIVE && !protocol->waits)
        pb_protocol_stop(protocol, PB_RUN_BUSY);
}

void pb_protocol_watched(pb_protocol *protocol)
{
    protocol->lease = PB_LEASE_UNKNOWN;
}

void pb_protocol_holder_closed(pb_protocol *protocol)
{
    protocol->holder_closed = true;
}

void pb_protocol_lease_taken(pb_protocol *protocol)
{
    protocol->taken = true;
    protocol->lease = PB_LEASE_UNKNOWN;
}

void pb_protocol_surveyed(pb_protocol *protocol, unsigned candidates)
{
    protocol->surveyed = true;
    protocol->candidates = candidates;
    protocol->closed = 0;
}

void pb_protocol_announced(pb_protocol *protocol)
{
    protocol->announced = true;
}

void pb_protocol_donor_closed(pb_protocol *protocol, pb_close_outcome outcome)
{
    if (outcome == PB_CLOSE_COMMITTED)
        protocol->surveyed = false;
    else
        protocol->closed++;
}

void pb_protocol_copied(pb_protocol *protocol)
{
    protocol->copied = true;
}

void pb_protocol_attempt_ended(pb_protocol *protocol, bool done)
{
    protocol->announced = protocol->copied = false;
    if (!done)
        pb_protocol_stop(protocol, PB_RUN_CLOSED);
}

void pb_protocol_committed(pb_protocol *protocol, bool done)
{
    pb_protocol_stop(protocol, done ? PB_RUN_COMMITTED : PB_RUN_CLOSED);
}

void pb_protocol_released(pb_protocol *protocol)
{
    protocol->released = true;
}

void pb_protocol_stop(pb_protocol *protocol, pb_run_outcome outcome)
{
    if (protocol->outcome == PB_RUN_GOES_ON)
        protocol->outcome = outcome;
}

bool pb_lease_is_dead(pb_lease_watch *watch, const uint8_t digest[32], int64_t now_ms)
{
    if (!watch->watching || memcmp(watch->seen, digest, sizeof watch->seen) != 0) {
        watch->watching = true;
        watch->since_ms = now_ms;
        memcpy(watch->seen, digest, sizeof watch->seen);
    }
    return now_ms - watch->since_ms >= PB_LEASE_DEAD_MS;
}
