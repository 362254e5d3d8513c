/* snapshot/protocol.h - how the runs of one source keep out of each other's way. Pure: no I/O, no
 * clock. ARCHITECTURE.md has the argument, tests/unit/snapshot/protocol_test.c explores it.
 *
 * Each run makes an attempt: a snapshot id of its own, under which nobody else writes. Three keys
 * of the repository are shared:
 *
 * - The commit key of an attempt. It gets one thing, create-only: the commit, by the run itself, or
 *   a note that closes the attempt, by whoever wants to use what it copied. This is the fence: no
 *   run that was closed can commit, however late it wakes.
 * - The lease of the source names the run that is active. It saves work and no more: two runs that
 *   both believe that they hold it do no harm.
 * - A commit, once written, is never written again.
 *
 * run.c asks pb_protocol_next what to do, does it, and records what came of it; the explorer does
 * the same over a store that it keeps in memory. */
#ifndef PB_SNAPSHOT_PROTOCOL_H
#define PB_SNAPSHOT_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

typedef enum pb_protocol_step {
    PB_STEP_READ_LEASE,
    PB_STEP_WATCH,         /* wait a while, then read the lease again */
    PB_STEP_CLOSE_HOLDER,  /* write the closing note of the run that the lease names */
    PB_STEP_TAKE_LEASE,    /* make an id; write the lease, create-only where there was none */
    PB_STEP_CONFIRM_LEASE, /* read it back: two may have taken it at once */
    PB_STEP_SURVEY,      /* look for the base, and for attempts since that ended without a commit */
    PB_STEP_ANNOUNCE,    /* write the intent */
    PB_STEP_CLOSE_DONOR, /* write the closing note of candidate number `closed` */
    PB_STEP_COPY,        /* list the source, copy, store manifest parts */
    PB_STEP_CHECK_LEASE, /* read it once more before the commit */
    PB_STEP_COMMIT,
    PB_STEP_RELEASE, /* free the lease, if it is still this run's */
    PB_STEP_END,
} pb_protocol_step;

/* What a lease says to the one who reads it. */
typedef enum pb_lease_view {
    PB_LEASE_UNKNOWN, /* not read yet, or to be read again */
    PB_LEASE_ABSENT,
    PB_LEASE_OVER,  /* of a run that has ended */
    PB_LEASE_DEAD,  /* of a run that is dead, as far as can be seen, or is to be taken over */
    PB_LEASE_ALIVE, /* of a run that may live */
    PB_LEASE_MINE,
} pb_lease_view;

/* What came of writing a closing note. */
typedef enum pb_close_outcome {
    PB_CLOSE_DONE,      /* the note is there, by this run or by another one: it cannot commit */
    PB_CLOSE_COMMITTED, /* the commit is there */
} pb_close_outcome;

typedef enum pb_run_outcome {
    PB_RUN_GOES_ON,
    PB_RUN_COMMITTED,
    PB_RUN_BUSY,   /* another run holds the lease */
    PB_RUN_LOST,   /* it lost the lease while it ran */
    PB_RUN_CLOSED, /* another run has closed this attempt */
    PB_RUN_FAILED, /* for a reason of its own: nothing is committed */
} pb_run_outcome;

typedef struct pb_protocol {
    bool waits; /* for a run that may live; else it ends as BUSY */
    pb_lease_view lease;
    bool holder_named;  /* the lease names a run that can be closed (not where it is damaged) */
    bool holder_closed; /* or committed: the lease is free to be taken */
    bool taken, held, surveyed, announced, copied, checked, released;
    unsigned candidates, closed;
    pb_run_outcome outcome;
} pb_protocol;

pb_protocol_step pb_protocol_next(const pb_protocol *protocol);

/* What came of each step: */
/* READ_LEASE, CONFIRM_LEASE and CHECK_LEASE. `named`: see holder_named. */
void pb_protocol_lease_read(pb_protocol *protocol, pb_lease_view view, bool named);
void pb_protocol_watched(pb_protocol *protocol);
void pb_protocol_holder_closed(pb_protocol *protocol);
/* Or a create-only write found that somebody was faster: reading it back shows who. */
void pb_protocol_lease_taken(pb_protocol *protocol);
void pb_protocol_surveyed(pb_protocol *protocol, unsigned candidates);
void pb_protocol_announced(pb_protocol *protocol);
/* A candidate that turns out to be committed is a new base: the survey is made again. */
void pb_protocol_donor_closed(pb_protocol *protocol, pb_close_outcome outcome);
void pb_protocol_copied(pb_protocol *protocol);
/* A pass of several is over: the attempt is closed by its own run, which goes on with another id
 * and the same lease. False for `done`: somebody else had closed it. */
void pb_protocol_attempt_ended(pb_protocol *protocol, bool done);
/* False: the closing note stood at the commit key. */
void pb_protocol_committed(pb_protocol *protocol, bool done);
void pb_protocol_released(pb_protocol *protocol);
/* At any time: the run ends, and why. */
void pb_protocol_stop(pb_protocol *protocol, pb_run_outcome outcome);

/* ---- is the holder dead? ---- */

enum { PB_LEASE_DEAD_MS = 60 * 1000, PB_LEASE_RENEW_MS = 10 * 1000 };

/* What a watcher has seen of a lease; zeroed to begin with. */
typedef struct pb_lease_watch {
    uint8_t seen[32]; /* digest of the lease's bytes */
    int64_t since_ms; /* first seen so, by the watcher's own monotonic clock */
    bool watching;
} pb_lease_watch;

/* True where the bytes of the lease have not changed for PB_LEASE_DEAD_MS. A run that lives raises
 * the counter in it; no clock of another machine takes part. */
bool pb_lease_is_dead(pb_lease_watch *watch, const uint8_t digest[32], int64_t now_ms);

#endif
