/* copier/shard/engine.h - the loops: one thread each, with its own client, stores and mover.
 *
 * Nothing is shared on the hot path. Each loop keeps a few shards open and asks the job for the
 * next one when a shard is over; --parallel, --memory and the limits are divided among the loops.
 */
#ifndef PB_COPIER_SHARD_ENGINE_H
#define PB_COPIER_SHARD_ENGINE_H

#include "copier/shard/shard.h"

enum { PB_ENGINE_STORES_MAX = 2 };

/* What a shard works with; belongs to the loop's thread. */
typedef struct pb_worker {
    unsigned index;
    uv_loop_t loop;
    pb_store *stores[PB_ENGINE_STORES_MAX]; /* in the order of the options */
    pb_mover *mover;
    struct pb_worker_private *private_;
} pb_worker;

typedef struct pb_engine_options {
    unsigned loops;           /* threads; 0: one a core, at most 8 and at most `parallel` */
    unsigned parallel;        /* requests in flight over all loops */
    unsigned shards_per_loop; /* open at once; 0 for 4 */
    pb_http_options http;     /* its limits are divided; its `parallel` is not looked at */
    pb_mover_options mover;   /* its transfers_max and memory_bytes are for all loops together */
    pb_store_config *stores[PB_ENGINE_STORES_MAX];
    unsigned store_count;
} pb_engine_options;

typedef struct pb_engine_job {
    void *context;
    /* On a loop's thread: makes and starts the next shard. 1; 0 when there are no more; -1 ends all
     * with the error. The shard's `over` calls pb_worker_shard_over. May run on several threads at
     * once. */
    int (*next)(void *context, pb_worker *worker, pb_error *error);
    /* On the calling thread, about five times a second; true ends all with CANCELLED. */
    bool (*tick)(void *context);
} pb_engine_job;

/* A shard of the worker is over; error NULL or why it failed, which ends all. On the worker's
 * thread. */
void pb_worker_shard_over(pb_worker *worker, const pb_error *error);

/* The figures of a run over all loops, for -v, the benches and tests. */
typedef struct pb_engine_statistics {
    unsigned loops;
    uint64_t requests, attempts, retries, throttled, hedges;
    uint64_t tickets_taken, tickets_given, buffers_most_bytes;
} pb_engine_statistics;

/* Runs the job to its end; `loop` (the calling thread's) runs meanwhile. The first error ends
 * everything: what is in flight is given up. `counters` is added to by all loops; both outputs are
 * written in any case. */
int pb_engine_run(const pb_engine_options *options, const pb_engine_job *job, uv_loop_t *loop,
                  pb_counters *counters, pb_engine_statistics *ret_statistics, pb_error *error);

#endif
