/* snapshot/session.h - what all workflows of one run share: the main thread's loop, options,
 * events.
 *
 * A session belongs to the thread that opened it. Workflows (backup.h, restore.h, verify.h, copy.h)
 * run on it one after another, to their end; they never print, they tell events. */
#ifndef PB_SNAPSHOT_SESSION_H
#define PB_SNAPSHOT_SESSION_H

#include "base/error.h"
#include "base/log.h"
#include <stdint.h>
#include <uv.h>

typedef struct pb_session pb_session;

typedef enum pb_event_kind {
    PB_EVENT_PHASE,    /* another phase begins */
    PB_EVENT_PROGRESS, /* about five times a second while data moves */
    PB_EVENT_FINDING,  /* an object that is not as it should be; at most PB_FINDINGS_MAX are told */
    PB_EVENT_WAITING,  /* for what, as text: about once a second */
    PB_EVENT_NOTE,     /* something a user should know, as text */
} pb_event_kind;

enum { PB_FINDINGS_MAX = 1000 };

typedef struct pb_event {
    pb_event_kind kind;
    const char *phase;   /* PHASE, PROGRESS: "listing", "copying", ... */
    uint64_t keys;       /* PROGRESS: looked at */
    uint64_t objects;    /* moved or read */
    uint64_t bytes;      /* of them */
    uint64_t keys_total; /* 0 where not known beforehand; an estimate for a backup with a base */
    int64_t elapsed_ms;  /* of the phase */
    int64_t down_ms;     /* for how long a cluster has been suspended; 0: it is not */
    const char *finding; /* FINDING: "missing", "truncated", "mismatch", "unreadable",
                            "manifest-damaged"; "differs", "failed" for a destination's */
    const char *key;
    const char *text; /* FINDING: detail; WAITING, NOTE: all of it */
} pb_event;

typedef struct pb_session_options {
    unsigned parallel;         /* requests in flight, at least 1 */
    uint64_t memory_bytes;     /* of part buffers */
    unsigned loops;            /* 0: one a core */
    uint32_t stall_timeout_ms; /* of a request that moves nothing; 0 for the default */
    uint32_t patience_ms;      /* with an endpoint that does not answer; 0 for the default */
    const char *ca_bundle;     /* or NULL */
    const char *scratch;       /* folder for temporary files; NULL: $TMPDIR, or /var/tmp */
    /* Averages over all loops that are not passed while data moves; 0 for none. */
    uint64_t limit_bytes_per_s; /* of bodies, sent and received */
    uint64_t limit_requests_per_s;
    bool unsigned_payload; /* see store.h */
    bool dry_run;          /* write nothing */
    const pb_log *log;
    void (*event)(void *context, const pb_event *event); /* on the session's thread */
    void *context;
} pb_session_options;

/* The options are copied; strings in them are borrowed. USAGE where `scratch` is no folder. */
int pb_session_open(const pb_session_options *options, pb_session **ret_session, pb_error *error);
void pb_session_close(pb_session *session); /* NULL allowed */

/* What a session did to a cluster, so that whoever ran it knows how it stands. */
typedef enum pb_cluster_stand {
    PB_CLUSTER_UNTOUCHED,
    PB_CLUSTER_SUSPENDED,
    PB_CLUSTER_LOCKED,     /* it runs, as below, but the record of the suspension is there */
    PB_CLUSTER_RUNNING,    /* again, or still: where nothing was scaled */
    PB_CLUSTER_TAKEN_OVER, /* another run has it */
} pb_cluster_stand;

typedef struct pb_cluster_state {
    pb_cluster_stand stand;
    char name_space[64];
    /* By this clock: the first scaling (of a suspension that was found: when its run began), and
     * its end. 0: not yet; both, where nothing was scaled. */
    int64_t suspended_ms, resumed_ms;
} pb_cluster_state;

pb_cluster_state pb_session_cluster_state(const pb_session *session);

/* The session's loop, so that a caller can watch signals on it. */
uv_loop_t *pb_session_loop(pb_session *session);
/* Ends the workflow under way with CANCELLED, soon. From a callback of the session's loop. */
void pb_session_cancel(pb_session *session);

#endif
