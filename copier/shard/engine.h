/* copier/shard/engine.h - the loops: one thread each, with its own client, stores and mover.
 *
 * Nothing is shared on the hot path. Ranges wait in one queue, from which each loop keeps some
 * shards open. A loop that could do with more says so, and the others give away the far part of
 * what their shards have not listed yet (split.h); one that has no shard left is lent transfers
 * that another has queued (loans.h). So one bucket is listed by many requests at once and all cores
 * work to the end, without anybody having known its keys. --parallel, --memory and the limits are
 * divided among the loops. */
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
} pb_worker;

typedef struct pb_engine_options {
    unsigned loops;         /* threads; 0: one a core, at most 8 and at most `parallel` */
    unsigned parallel;      /* requests in flight over all loops */
    unsigned shards_most;   /* open at once over all loops, about; 0 for 48 */
    pb_http_options http;   /* its limits are divided; its `parallel` is not looked at */
    pb_mover_options mover; /* its transfers_max and memory_bytes are for all loops together */
    pb_store_config *stores[PB_ENGINE_STORES_MAX];
    unsigned store_count;
} pb_engine_options;

typedef struct pb_engine_job {
    void *context;
    /* On a loop's thread, on several at once: gives the shard its work, its streams, and leave to
     * be split. The engine starts it. */
    void (*open)(void *context, pb_worker *worker, pb_shard *shard);
    /* On the calling thread, about five times a second; true ends all with CANCELLED. */
    bool (*tick)(void *context);
} pb_engine_job;

/* The figures of a run over all loops, for -v, the benches and tests. */
typedef struct pb_engine_statistics {
    unsigned loops;
    uint64_t requests, attempts, retries, throttled, hedges;
    uint64_t tickets_taken, tickets_given, buffers_most_bytes;
    uint64_t shards; /* ranges that were worked on, those given away among them */
    uint64_t loans;  /* transfers that ran on another loop than their shard's */
} pb_engine_statistics;

/* Runs the job over `ranges` (taken over; in key order, no overlap) to its end; `loop` (the calling
 * thread's) runs meanwhile. The first error ends everything in order: nothing begins any more,
 * requests under way may end for two seconds, uploads are aborted.
 * `counters` is added to by all loops; both outputs are written in any case. */
int pb_engine_run(const pb_engine_options *options, const pb_engine_job *job, pb_range *ranges,
                  size_t range_count, uv_loop_t *loop, pb_counters *counters,
                  pb_engine_statistics *ret_statistics, pb_error *error);

#endif
