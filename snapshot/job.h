/* snapshot/job.h - what the workflows have in common below session.h. For this room only. */
#ifndef PB_SNAPSHOT_JOB_H
#define PB_SNAPSHOT_JOB_H

#include "base/failure.h"
#include "copier/shard/listing.h"
#include "manifest/part.h"
#include "snapshot/session.h"
#include <pthread.h>
#include <stdatomic.h>

struct pb_session {
    pb_session_options options;
    uv_loop_t loop;
    pb_outages *outages;        /* of all clients of the session */
    pb_http *http;              /* of the few requests of the main thread */
    atomic_bool cancelled;      /* read by threads that talk to the cluster, too */
    atomic_bool kubectl_is_old; /* than 1.24: see pb_kubectl */
    int64_t suspended_ms;       /* by the monotonic clock, since when a cluster is; 0: it is not */
    pb_cluster_state cluster;
    const pb_store_config *sorting_noted; /* whose listing was said to be sorted */
    /* Said once: a store makes no copies, no MD5s as ETags; what was seen and is not copied. */
    bool relaying_noted, opaque_noted, own_object_noted, tags_noted;
};

/* A run of the engine: ranges of keys handed to shards, results gathered, events told. */
typedef struct pb_job {
    pb_session *session;
    const char *phase;
    uint64_t keys_total;
    unsigned shards_most; /* as in pb_engine_options */
    pb_store_config *stores[PB_ENGINE_STORES_MAX];
    unsigned store_count;
    void (*open)(void *context, pb_worker *worker, pb_shard *shard); /* as in pb_engine_job */
    /* Called with each tick on the main thread; true ends the job with CANCELLED. May be NULL. */
    bool (*tick)(void *context);
    /* A listing turned out to be in disorder and will be sorted: forgets what came of the ranges
     * and adds them again. Main thread; the counters are still those of the try. */
    int (*restart)(void *context, pb_error *error);
    void *context;

    pb_listing *listings[PB_SHARD_STREAMS_MAX]; /* that shards open streams on */
    unsigned listing_count;
    /* Of the stores: their listings are sorted (set beforehand where that is known). */
    bool sorted[PB_ENGINE_STORES_MAX];
    /* One of the listings whose order must be known before anything is written: it is listed once
     * more, beforehand. NULL for none. */
    pb_listing *order_first;
    struct pb_look {
        pb_listing *listing;
        void (*look)(void *context, const pb_entry *entry);
        void *context;
    } look; /* that pb_job_look runs */

    pb_range *ranges; /* in order, until the engine takes them */
    size_t range_count;
    pb_counters counters;
    pb_engine_statistics statistics;

    pthread_mutex_t lock; /* of what follows, while the engine runs */
    uint64_t finding_count;
    pb_failure_counts failures; /* of objects */
    atomic_bool some_passed;    /* an object is where it should be: see pb_job_passed */
    struct pb_finding *findings, **findings_tail; /* not told yet */
    struct pb_finding *told, *told_before;        /* in this try, in earlier ones */
    unsigned findings_kept;
    int64_t started_ms;
} pb_job;

/* A shard that reads a manifest holds a whole part of it as stored, 2 MiB: fewer at once. */
enum { PB_SHARDS_WITH_MANIFEST = 16 };

void pb_job_init(pb_job *job, pb_session *session);
void pb_job_free(pb_job *job); /* ranges, findings and listings */
/* A listing for the job's shards (listing.h), of a store's number; the job's. */
pb_listing *pb_job_listing(pb_job *job, unsigned store, pb_slice prefix);
/* The same of what the attempt `id` stored of objects whose keys have the prefix, by their own
 * keys: data/<id>/ is stripped. */
pb_listing *pb_job_data_listing(pb_job *job, unsigned store, pb_slice id, pb_slice prefix);
/* Adds a range (taken over). */
void pb_job_add_range(pb_job *job, pb_range range);
/* Adds the ranges that cuts make of (after, through]; cuts outside of it are left out. */
void pb_job_add_cuts(pb_job *job, const pb_range *whole, const pb_slice *cuts, size_t count);
/* Lists one of the job's listings by itself, over all of its range: `look` (NULL allowed) sees each
 * entry, on the loops' threads. */
int pb_job_look(pb_job *job, pb_listing *listing, void (*look)(void *context, const pb_entry *),
                void *look_context, pb_error *error);
/* Before it is run once more, over what the stores hold by now: listings begin anew. */
void pb_job_renew_listings(pb_job *job);
/* Runs it to its end: with 0, all listings were in order. Where one is not, it is sorted, and the
 * ranges are run again. */
int pb_job_run(pb_job *job, pb_error *error);
/* An object is where it should be, moved or not: what some may do is not refused to all. */
static inline void pb_job_passed(pb_job *job)
{
    if (!atomic_load_explicit(&job->some_passed, memory_order_relaxed))
        atomic_store_explicit(&job->some_passed, true, memory_order_relaxed);
}
/* Reports an object; from any thread. Text is copied. */
void pb_job_finding(pb_job *job, const char *name, pb_slice key, const char *text);
/* The same of an object whose transfer failed, which it counts; `name` is the finding's. -1 with
 * *error where all others would fail as well: nobody may do it, and none has succeeded. */
int pb_job_failed(pb_job *job, const char *name, pb_slice key, const pb_error *why,
                  pb_error *error);
/* Fills *error for a run `failed` objects of which failed: its kind is theirs (failure.h), or
 * FAILED where more failed than were counted; after the message stands how many failed of what, and
 * the hint is that of one of them, else this one. -1. */
int pb_job_fail(const pb_job *job, uint64_t failed, pb_error *error, const char *hint,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ---- of job_listings.c, for pb_job_run ---- */

/* Sorts the listings of stores that are marked so. */
int pb_job_sort_listings(pb_job *job, pb_error *error);
/* Looks again at the seams of a listing, or of all (NULL). */
int pb_job_settle(pb_job *job, pb_listing *only, pb_error *error);
/* Opens a shard of job->look; as pb_engine_job has it. */
void pb_job_open_look(void *job, pb_worker *worker, pb_shard *shard);
/* What is due some times a second: tells of progress. True: the job shall end. */
bool pb_job_tick(void *job);

void pb_session_tell(pb_session *session, const pb_event *event);
void pb_session_phase(pb_session *session, const char *phase);
/* The folder for temporary files. */
const char *pb_session_scratch(const pb_session *session);
/* Makes a file there, writes into it and removes it again: USAGE where that fails, NO_SPACE where
 * fewer than `needed_bytes` are free. *ret_free_bytes may be NULL. */
int pb_session_check_scratch(const pb_session *session, uint64_t needed_bytes,
                             uint64_t *ret_free_bytes, pb_error *error);
void pb_session_note(pb_session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* For clients of other loops, with the session's limits left out. */
pb_http_options pb_session_http_options(const pb_session *session);
/* Runs the loop for so long, or until the session is cancelled. */
void pb_session_sleep(pb_session *session, int64_t delay_ms);
/* Resolves a URL (with `keys` where they are known, else NULL) and opens it on the session's loop:
 * both are the caller's to close and free. */
int pb_session_store(pb_session *session, const char *url, const char *role,
                     const pb_store_keys *keys, pb_store_config **ret_config, pb_store **ret_store,
                     pb_error *error);

/* CHECKs a store, of which no more than the keys with `prefix` (NULL: all) need to be seen. A
 * directory that is to be written to is made, unless this is a dry run. */
int pb_session_check(pb_session *session, pb_store *store, const char *prefix, bool to_be_written,
                     pb_error *error);

#endif
