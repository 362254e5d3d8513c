#include "copier/shard/loans.h"
#include "copier/shard/split.h"
#include <stdlib.h>
#include <unistd.h>

enum { TICK_MS = 200, SHARDS_MOST = 48 };
/* When all ends: requests under way may end well, and then uploads be aborted. */
enum { GRACE_MS = 2000, ABORT_MS = 3000 };
/* Ranges that are guessed at may hold nothing: so many, and one for so many pages, are allowed. */
enum { GUESSES_FREE = 256, PAGES_A_GUESS = 4 };

/* ---- waking ---- */

void pb_worker_wake_others(engine_worker *worker)
{
    for (unsigned i = 0; i < worker->engine->loops; i++)
        if (&worker->engine->workers[i] != worker)
            uv_async_send(&worker->engine->workers[i].wake);
}

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
            uv_async_send(&engine->workers[i].wake);
}

/* ---- ranges ---- */

/* Under the lock. */
static void queue_push(engine_run *engine, pb_range range)
{
    waiting_range *waiting = pb_allocate(sizeof *waiting);
    *waiting = (waiting_range){.range = range};
    *engine->queue_tail = waiting;
    engine->queue_tail = &waiting->next;
    engine->queued++;
}

/* Under the lock, with queued > 0. */
static pb_range queue_pop(engine_run *engine)
{
    waiting_range *waiting = engine->queue_head;
    pb_range range = waiting->range;
    engine->queue_head = waiting->next;
    if (!waiting->next)
        engine->queue_tail = &engine->queue_head;
    engine->queued--;
    free(waiting);
    return range;
}

/* Under the lock. */
static void weigh_hunger(engine_run *engine)
{
    unsigned wanted = 0;
    for (unsigned i = 0; i < engine->loops; i++)
        wanted += engine->workers[i].ranges_wanted;
    atomic_store_explicit(&engine->hunger, wanted > engine->queued ? wanted - engine->queued : 0,
                          memory_order_relaxed);
}

/* Listing more is of use while the mover runs short of transfers. */
static unsigned room_for_shards(const engine_worker *worker)
{
    if (worker->cancelled || pb_mover_waiting(worker->worker.mover) >= 2 * worker->transfers_max)
        return 0;
    return worker->shards_max - worker->shards_open;
}

static void on_paged(void *context, pb_shard *shard);
static void on_over(void *context, pb_shard *shard, const pb_error *error);
static void on_failed(void *context, const pb_error *error);
static const pb_shard_host host = {on_paged, on_failed, on_over};

static void take_ranges(engine_worker *worker)
{
    engine_run *engine = worker->engine;
    while (room_for_shards(worker)) {
        pthread_mutex_lock(&engine->lock);
        bool some = engine->queued && !engine->ending;
        pb_range range = {0};
        if (some) {
            range = queue_pop(engine);
            engine->shards_open++;
            engine->statistics.shards++;
        }
        pthread_mutex_unlock(&engine->lock);
        if (!some)
            return;
        pb_shard *shard = pb_shard_new(range, worker->worker.mover, &host, worker);
        worker->shards[worker->shards_open++] = shard;
        engine->job->open(engine->job->context, &worker->worker, shard);
        pb_shard_start(shard, &worker->worker.loop);
    }
}

/* Says what this loop could take. */
static void ask_for_ranges(engine_worker *worker)
{
    engine_run *engine = worker->engine;
    unsigned wanted = room_for_shards(worker);
    pthread_mutex_lock(&engine->lock);
    bool more = wanted > worker->ranges_wanted;
    worker->ranges_wanted = wanted;
    weigh_hunger(engine);
    pthread_mutex_unlock(&engine->lock);
    if (more)
        pb_worker_wake_others(worker);
}

/* Gives away up to `wanted` ranges of a shard. False where it has none to give. */
static bool split_shard(engine_run *engine, pb_shard *shard, size_t wanted)
{
    pb_range ranges[PB_SPLIT_CUTS_MAX];
    size_t count = pb_shard_split(shard, wanted, ranges);
    pthread_mutex_lock(&engine->lock);
    for (size_t i = 0; i < count; i++)
        queue_push(engine, ranges[i]);
    engine->ranges_given += count;
    weigh_hunger(engine);
    pthread_mutex_unlock(&engine->lock);
    return count > 0;
}

/* How many ranges one shard should give now: its share, and twice that, as some guesses fail. */
static size_t share_of_hunger(engine_run *engine)
{
    size_t hunger = atomic_load_explicit(&engine->hunger, memory_order_relaxed);
    uint64_t pages = atomic_load_explicit(&engine->pages, memory_order_relaxed);
    if (!hunger)
        return 0;
    pthread_mutex_lock(&engine->lock);
    size_t wanted = (2 * hunger + engine->shards_open - 1) / engine->shards_open;
    if (engine->ranges_given > GUESSES_FREE + pages / PAGES_A_GUESS)
        wanted = 0;
    pthread_mutex_unlock(&engine->lock);
    return wanted < hunger ? wanted : hunger;
}

/* Splits this loop's shards for those that are hungry: the ones that went on longest. */
static void give_ranges(engine_worker *worker)
{
    engine_run *engine = worker->engine;
    uint64_t most = 0;
    bool some = false;
    if (!atomic_load_explicit(&engine->hunger, memory_order_relaxed))
        return;
    for (unsigned i = 0; i < worker->shards_open; i++) {
        uint64_t pages = pb_shard_pages_since_split(worker->shards[i]);
        most = pages > most ? pages : most;
    }
    for (unsigned i = 0; most && i < worker->shards_open; i++) {
        if (2 * pb_shard_pages_since_split(worker->shards[i]) < most)
            continue;
        size_t wanted = share_of_hunger(engine);
        if (!wanted)
            break;
        some |= split_shard(engine, worker->shards[i], wanted);
    }
    if (some) {
        pb_worker_wake_others(worker);
        pb_worker_look_soon(worker);
    }
}

/* ---- a loop's life ---- */

static void worker_close(engine_worker *worker)
{
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
        if (budget->taken != budget->given || budget->out_bytes)
            abort(); /* a ticket was lost: others would have waited for it for ever */
    }
    pthread_mutex_unlock(&engine->lock);
    worker->closed = true;
    pb_mover_close(worker->worker.mover);
    worker->worker.mover = NULL;
    for (unsigned i = 0; i < PB_ENGINE_STORES_MAX; i++)
        pb_store_close(worker->worker.stores[i]);
    pb_http_close(worker->http);
    uv_close((uv_handle_t *)&worker->soon, NULL);
    uv_close((uv_handle_t *)&worker->grace, NULL);
    uv_unref((uv_handle_t *)&worker->wake); /* closed by the thread when its loop has run out */
}

static void on_abort_due(uv_timer_t *timer)
{
    engine_worker *worker = timer->data;
    pb_http_cancel_all(worker->http);
}

static void on_grace_due(uv_timer_t *timer)
{
    engine_worker *worker = timer->data;
    pb_http_cancel_now(worker->http);
    uv_timer_start(timer, on_abort_due, ABORT_MS, 0);
}

/* In order: nothing begins any more, what is under way ends, uploads are aborted. */
static void stop(engine_worker *worker)
{
    worker->cancelled = true;
    pb_mover_cancel(worker->worker.mover);
    for (unsigned i = 0; i < worker->shards_open; i++)
        pb_shard_stop(worker->shards[i], &worker->engine->error);
    uv_timer_start(&worker->grace, on_grace_due, GRACE_MS, 0);
}

/* All that a loop has to see to beside its requests, in one place. */
static void look(engine_worker *worker)
{
    engine_run *engine = worker->engine;
    if (worker->closed)
        return;
    pthread_mutex_lock(&engine->lock);
    bool ending = engine->ending;
    pthread_mutex_unlock(&engine->lock);
    if (ending && !worker->cancelled)
        stop(worker);
    pb_loans_settle(worker);
    take_ranges(worker);
    ask_for_ranges(worker);
    give_ranges(worker);
    pb_loans_ask(worker);
    pb_loans_give(worker);
    pthread_mutex_lock(&engine->lock);
    bool through = !engine->shards_open && (!engine->queued || engine->ending);
    pthread_mutex_unlock(&engine->lock);
    if (through) {
        pb_worker_wake_others(worker);
        worker_close(worker);
    }
}

static void on_wake(uv_async_t *async)
{
    look(async->data);
}

static void on_soon(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    look(idle->data);
}

void pb_worker_look_soon(engine_worker *worker)
{
    uv_idle_start(&worker->soon, on_soon);
}

static void on_paged(void *context, pb_shard *shard)
{
    engine_worker *worker = context;
    (void)shard;
    atomic_fetch_add_explicit(&worker->engine->pages, 1, memory_order_relaxed);
    look(worker);
}

static void on_failed(void *context, const pb_error *error)
{
    engine_worker *worker = context;
    end_all(worker->engine, error);
}

static void on_over(void *context, pb_shard *shard, const pb_error *error)
{
    engine_worker *worker = context;
    (void)error;
    unsigned at = 0;
    while (worker->shards[at] != shard)
        at++;
    worker->shards[at] = worker->shards[--worker->shards_open];
    pthread_mutex_lock(&worker->engine->lock);
    worker->engine->shards_open--;
    pthread_mutex_unlock(&worker->engine->lock);
    pb_worker_look_soon(worker); /* the shard is still on the stack here */
}

static int worker_open(engine_worker *worker, pb_error *error)
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
    mover.transfers_max = worker->transfers_max = http.parallel;
    mover.memory_bytes = options->mover.memory_bytes / loops;
    worker->worker.mover = pb_mover_new(&worker->worker.loop, &mover, worker->engine->counters);
    unsigned shards = (options->shards_most ? options->shards_most : SHARDS_MOST) / loops;
    if (!shards)
        shards = 1;
    if (shards > http.parallel)
        shards = http.parallel;
    worker->shards_max = shards < PB_SHARDS_PER_LOOP_MAX ? shards : PB_SHARDS_PER_LOOP_MAX;
    return 0;
}

static void *run_worker(void *context)
{
    engine_worker *worker = context;
    engine_run *engine = worker->engine;
    pb_error error = {0};
    uv_idle_init(&worker->worker.loop, &worker->soon);
    worker->soon.data = worker;
    uv_timer_init(&worker->worker.loop, &worker->grace);
    worker->grace.data = worker;
    if (worker_open(worker, &error)) {
        end_all(engine, &error);
        worker_close(worker);
    } else {
        pb_worker_look_soon(worker);
    }
    uv_run(&worker->worker.loop, UV_RUN_DEFAULT);
    pthread_mutex_lock(&engine->lock);
    engine->running--;
    pthread_mutex_unlock(&engine->lock);
    uv_async_send(&engine->one_ended);
    return NULL;
}

/* ---- the whole ---- */

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
    if (loops > PB_LOOPS_MAX)
        loops = PB_LOOPS_MAX;
    return loops > options->parallel ? options->parallel : loops;
}

int pb_engine_run(const pb_engine_options *options, const pb_engine_job *job, pb_range *ranges,
                  size_t range_count, uv_loop_t *loop, pb_counters *counters,
                  pb_engine_statistics *ret_statistics, pb_error *error)
{
    engine_run engine = {
        .options = options,
        .job = job,
        .loops = loops_for(options),
        .counters = counters,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .queue_tail = &engine.queue_head,
    };
    engine.running = engine.loops;
    engine.statistics.loops = engine.loops;
    for (size_t i = 0; i < range_count; i++)
        queue_push(&engine, ranges[i]);
    engine.workers = pb_allocate_zeroed(engine.loops, sizeof *engine.workers);
    uv_async_init(loop, &engine.one_ended, on_one_ended);
    engine.one_ended.data = &engine;
    uv_timer_init(loop, &engine.ticker);
    engine.ticker.data = &engine;
    uv_timer_start(&engine.ticker, on_tick, TICK_MS, TICK_MS);
    /* All loops exist before the first thread runs, so that any of them can wake all. */
    for (unsigned i = 0; i < engine.loops; i++) {
        engine_worker *worker = &engine.workers[i];
        worker->engine = &engine;
        worker->worker.index = i;
        uv_loop_init(&worker->worker.loop);
        uv_async_init(&worker->worker.loop, &worker->wake, on_wake);
        worker->wake.data = worker;
    }
    for (unsigned i = 0; i < engine.loops; i++)
        if (pthread_create(&engine.workers[i].thread, NULL, run_worker, &engine.workers[i]))
            abort();
    while (!uv_is_closing((uv_handle_t *)&engine.one_ended))
        uv_run(loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < engine.loops; i++) {
        engine_worker *worker = &engine.workers[i];
        pthread_join(worker->thread, NULL);
        uv_close((uv_handle_t *)&worker->wake, NULL);
        uv_run(&worker->worker.loop, UV_RUN_DEFAULT);
        if (uv_loop_close(&worker->worker.loop))
            abort(); /* some handle was left open */
    }
    uv_run(loop, UV_RUN_NOWAIT); /* the closed handles are on this stack */
    while (engine.queued) {
        pb_range range = queue_pop(&engine);
        pb_range_free(&range);
    }
    free(engine.workers);
    *ret_statistics = engine.statistics;
    if (!engine.ending)
        return 0;
    *error = engine.error;
    return -1;
}
