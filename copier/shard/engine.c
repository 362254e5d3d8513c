#include "copier/shard/engine.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOPS_MAX = 8, SHARDS_PER_LOOP = 4, TICK_MS = 200 };

typedef struct engine_run engine_run;

struct pb_worker_private {
    pb_worker worker;
    engine_run *engine;
    pthread_t thread;
    pb_http *http;
    uv_async_t cancel;
    uv_idle_t open_soon;
    unsigned shards_open;
    bool exhausted; /* the job has no more */
    bool ending;
};
typedef struct pb_worker_private worker_private;

struct engine_run {
    const pb_engine_options *options;
    const pb_engine_job *job;
    unsigned loops, shards_per_loop;
    pb_counters *counters;
    worker_private *workers;
    uv_async_t one_ended; /* on the calling thread's loop */
    uv_timer_t ticker;
    pthread_mutex_t lock; /* of what follows */
    unsigned running;
    bool ending;
    pb_error error;
    pb_engine_statistics statistics;
};

static void end_all(engine_run *engine, const pb_error *error)
{
    pthread_mutex_lock(&engine->lock);
    bool first = !engine->ending;
    if (first) {
        engine->ending = true;
        engine->error = *error;
    }
    pthread_mutex_unlock(&engine->lock);
    if (first)
        for (unsigned i = 0; i < engine->loops; i++)
            uv_async_send(&engine->workers[i].cancel);
}

static bool is_ending(engine_run *engine)
{
    pthread_mutex_lock(&engine->lock);
    bool ending = engine->ending;
    pthread_mutex_unlock(&engine->lock);
    return ending;
}

static void close_if_through(worker_private *worker)
{
    if (worker->shards_open || !worker->exhausted)
        return;
    engine_run *engine = worker->engine;
    pthread_mutex_lock(&engine->lock);
    if (worker->http) {
        pb_http_statistics http = pb_http_statistics_of(worker->http);
        engine->statistics.requests += http.requests;
        engine->statistics.attempts += http.attempts;
        engine->statistics.retries += http.retries;
        engine->statistics.throttled += http.throttled;
        engine->statistics.hedges += http.hedges;
    }
    if (worker->worker.mover) {
        const pb_budget *budget = pb_mover_budget(worker->worker.mover);
        engine->statistics.tickets_taken += budget->taken;
        engine->statistics.tickets_given += budget->given;
        engine->statistics.buffers_most_bytes += budget->most_bytes;
    }
    pthread_mutex_unlock(&engine->lock);
    pb_mover_close(worker->worker.mover);
    worker->worker.mover = NULL;
    for (unsigned i = 0; i < PB_ENGINE_STORES_MAX; i++)
        pb_store_close(worker->worker.stores[i]);
    pb_http_close(worker->http);
    uv_close((uv_handle_t *)&worker->open_soon, NULL);
    uv_unref((uv_handle_t *)&worker->cancel); /* closed by the thread when its loop has run out */
}

static void on_open_soon(uv_idle_t *idle)
{
    worker_private *worker = idle->data;
    engine_run *engine = worker->engine;
    uv_idle_stop(idle);
    while (!worker->exhausted && worker->shards_open < engine->shards_per_loop) {
        pb_error error = {0};
        int answer = is_ending(engine)
                         ? 0
                         : engine->job->next(engine->job->context, &worker->worker, &error);
        if (answer <= 0)
            worker->exhausted = true;
        if (answer < 0)
            end_all(engine, &error);
        if (answer > 0)
            worker->shards_open++;
    }
    close_if_through(worker);
}

void pb_worker_shard_over(pb_worker *public_worker, const pb_error *error)
{
    worker_private *worker = public_worker->private_;
    if (error)
        end_all(worker->engine, error);
    worker->shards_open--;
    /* The next one is opened from the loop: the shard is still on the stack here. */
    uv_idle_start(&worker->open_soon, on_open_soon);
}

static void on_cancel(uv_async_t *async)
{
    worker_private *worker = async->data;
    if (worker->ending || (!worker->shards_open && worker->exhausted))
        return;
    worker->ending = true;
    pb_mover_cancel(worker->worker.mover);
    pb_http_cancel_all(worker->http);
}

static int worker_open(worker_private *worker, pb_error *error)
{
    const pb_engine_options *options = worker->engine->options;
    unsigned loops = worker->engine->loops, index = worker->worker.index;
    pb_http_options http = options->http;
    http.parallel = options->parallel / loops + (index < options->parallel % loops ? 1 : 0);
    http.limit_requests_per_s /= loops;
    http.limit_bytes_per_s /= loops;
    if (pb_http_open(&worker->worker.loop, &http, &worker->http, error))
        return -1;
    for (unsigned i = 0; i < options->store_count; i++)
        if (pb_store_open(options->stores[i], &worker->worker.loop, worker->http,
                          &worker->worker.stores[i], error))
            return -1;
    pb_mover_options mover = options->mover;
    mover.transfers_max = http.parallel;
    mover.memory_bytes = options->mover.memory_bytes / loops;
    worker->worker.mover = pb_mover_new(&worker->worker.loop, &mover, worker->engine->counters);
    return 0;
}

static void *run_worker(void *context)
{
    worker_private *worker = context;
    engine_run *engine = worker->engine;
    pb_error error = {0};
    uv_idle_init(&worker->worker.loop, &worker->open_soon);
    worker->open_soon.data = worker;
    if (worker_open(worker, &error)) {
        worker->exhausted = true;
        end_all(engine, &error);
        close_if_through(worker);
    } else {
        uv_idle_start(&worker->open_soon, on_open_soon);
    }
    uv_run(&worker->worker.loop, UV_RUN_DEFAULT);
    pthread_mutex_lock(&engine->lock);
    engine->running--;
    pthread_mutex_unlock(&engine->lock);
    uv_async_send(&engine->one_ended);
    return NULL;
}

static void on_one_ended(uv_async_t *async)
{
    engine_run *engine = async->data;
    pthread_mutex_lock(&engine->lock);
    bool all = !engine->running;
    pthread_mutex_unlock(&engine->lock);
    if (all) {
        uv_timer_stop(&engine->ticker);
        uv_close((uv_handle_t *)&engine->ticker, NULL);
        uv_close((uv_handle_t *)&engine->one_ended, NULL);
    }
}

static void on_tick(uv_timer_t *timer)
{
    engine_run *engine = timer->data;
    if (!engine->job->tick(engine->job->context))
        return;
    pb_error error = {0};
    pb_error_set(&error, PB_ERROR_CANCELLED, "cancelled");
    end_all(engine, &error);
}

static unsigned loops_for(const pb_engine_options *options)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned loops = options->loops ? options->loops : cores < 1 ? 1 : (unsigned)cores;
    if (loops > LOOPS_MAX)
        loops = LOOPS_MAX;
    return loops > options->parallel ? options->parallel : loops;
}

int pb_engine_run(const pb_engine_options *options, const pb_engine_job *job, uv_loop_t *loop,
                  pb_counters *counters, pb_engine_statistics *ret_statistics, pb_error *error)
{
    engine_run engine = {
        .options = options,
        .job = job,
        .loops = loops_for(options),
        .shards_per_loop = options->shards_per_loop ? options->shards_per_loop : SHARDS_PER_LOOP,
        .counters = counters,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    engine.running = engine.loops;
    engine.statistics.loops = engine.loops;
    engine.workers = pb_allocate_zeroed(engine.loops, sizeof *engine.workers);
    uv_async_init(loop, &engine.one_ended, on_one_ended);
    engine.one_ended.data = &engine;
    uv_timer_init(loop, &engine.ticker);
    engine.ticker.data = &engine;
    uv_timer_start(&engine.ticker, on_tick, TICK_MS, TICK_MS);
    /* All loops exist before the first thread runs, so that any of them can end all. */
    for (unsigned i = 0; i < engine.loops; i++) {
        worker_private *worker = &engine.workers[i];
        worker->engine = &engine;
        worker->worker.index = i;
        worker->worker.private_ = worker;
        uv_loop_init(&worker->worker.loop);
        uv_async_init(&worker->worker.loop, &worker->cancel, on_cancel);
        worker->cancel.data = worker;
    }
    for (unsigned i = 0; i < engine.loops; i++)
        if (pthread_create(&engine.workers[i].thread, NULL, run_worker, &engine.workers[i]))
            abort();
    while (!uv_is_closing((uv_handle_t *)&engine.one_ended))
        uv_run(loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < engine.loops; i++) {
        worker_private *worker = &engine.workers[i];
        pthread_join(worker->thread, NULL);
        uv_close((uv_handle_t *)&worker->cancel, NULL);
        uv_run(&worker->worker.loop, UV_RUN_DEFAULT);
        if (uv_loop_close(&worker->worker.loop))
            abort(); /* some handle was left open */
    }
    uv_run(loop, UV_RUN_NOWAIT); /* the closed handles are on this stack */
    free(engine.workers);
    *ret_statistics = engine.statistics;
    if (!engine.ending)
        return 0;
    *error = engine.error;
    return -1;
}
