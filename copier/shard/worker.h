/* copier/shard/worker.h - a loop and the run that it belongs to, as this room's files share them.
 * For this room only. */
#ifndef PB_COPIER_SHARD_WORKER_H
#define PB_COPIER_SHARD_WORKER_H

#include "copier/shard/engine.h"
#include <pthread.h>
#include <stdatomic.h>

enum { PB_LOOPS_MAX = 8, PB_SHARDS_PER_LOOP_MAX = 32 };

typedef struct engine_run engine_run;
typedef struct engine_worker engine_worker;
typedef struct pb_loan pb_loan;

typedef struct waiting_range {
    pb_range range;
    struct waiting_range *next;
} waiting_range;

struct engine_worker {
    pb_worker worker; /* first: callbacks cast */
    engine_run *engine;
    pthread_t thread;
    pb_http *http;
    uv_async_t wake;  /* another thread has something for this one: look */
    uv_idle_t soon;   /* this one has: look, outside of what is on the stack now */
    uv_timer_t grace; /* how long what is under way may go on when all ends */
    pb_shard *shards[PB_SHARDS_PER_LOOP_MAX];
    unsigned shards_open, shards_max;
    unsigned transfers_max;
    bool cancelled, closed;
    /* Under engine->lock: */
    unsigned ranges_wanted;    /* shards that it could open beside those it has */
    unsigned transfers_wanted; /* that it could run, having no shard */
    pb_loan *arrived, *returned;
};

struct engine_run {
    const pb_engine_options *options;
    const pb_engine_job *job;
    unsigned loops;
    pb_counters *counters;
    engine_worker *workers;
    uv_async_t one_ended; /* on the calling thread's loop */
    uv_timer_t ticker;
    _Atomic unsigned hunger; /* ranges wanted by all loops, less those that wait */
    _Atomic uint64_t pages;  /* listed, to keep guesses in proportion */
    pthread_mutex_t lock;    /* of what follows, and of the workers' own */
    waiting_range *queue_head, **queue_tail;
    unsigned queued;
    unsigned shards_open; /* over all loops */
    unsigned running;     /* threads */
    bool ending;          /* with `error` */
    pb_error error;
    uint64_t ranges_given;
    pb_engine_statistics statistics;
};

/* The other loops look: `worker` wants what they may have. */
void pb_worker_wake_others(engine_worker *worker);
/* This loop looks, soon. */
void pb_worker_look_soon(engine_worker *worker);

#endif
