/* The listings of a job: the main thread's look at them when the engine has run. */
#include "snapshot/job.h"

#include "base/clock.h"
#include "manifest/layout.h"

enum {
    TICK_MS = 200,
    /* Of a listing that is looked at alone, before it is split: each cut costs the better part of a
     * page, which is much of a small listing. */
    PAGES_BEFORE_SPLIT = 8,
};

static pb_listing *add_listing(pb_job *job, unsigned store, pb_slice prefix, size_t strip)
{
    pb_listing *listing = pb_listing_new(store, prefix, strip);
    job->listings[job->listing_count++] = listing;
    return listing;
}

pb_listing *pb_job_listing(pb_job *job, unsigned store, pb_slice prefix)
{
    return add_listing(job, store, prefix, 0);
}

pb_listing *pb_job_data_listing(pb_job *job, unsigned store, pb_slice id, pb_slice prefix)
{
    pb_buffer data = {0};
    pb_layout_data_prefix(&data, id);
    size_t strip = data.size;
    pb_buffer_append_slice(&data, prefix);
    pb_listing *listing = add_listing(job, store, pb_buffer_slice(&data), strip);
    pb_buffer_free(&data);
    return listing;
}

void pb_job_renew_listings(pb_job *job)
{
    for (unsigned i = 0; i < job->listing_count; i++)
        pb_listing_renew(job->listings[i]);
}

/* A store of the main thread with a client of its own, so that a job can be ended without the
 * session's. */
typedef struct main_store {
    pb_job *job;
    pb_http *http;
    pb_store *store;
    uv_timer_t ticker;
    atomic_bool cancelled;
} main_store;

static void on_tick(uv_timer_t *timer)
{
    main_store *self = timer->data;
    if (atomic_load(&self->cancelled) || !pb_job_tick(self->job))
        return;
    atomic_store(&self->cancelled, true);
    pb_http_cancel_all(self->http);
}

static void on_ticker_closed(uv_handle_t *handle)
{
    main_store *self = handle->data;
    self->job = NULL;
}

static int main_store_open(main_store *self, pb_job *job, unsigned store, pb_error *error)
{
    uv_loop_t *loop = &job->session->loop;
    pb_http_options http = pb_session_http_options(job->session);
    *self = (main_store){.job = job};
    http.parallel = 1;
    http.limit_requests_per_s = (double)job->session->options.limit_requests_per_s;
    if (pb_http_open(loop, &http, &self->http, error))
        return -1;
    if (pb_store_open(job->stores[store], loop, self->http, &self->store, error)) {
        pb_http_close(self->http);
        return -1;
    }
    uv_timer_init(loop, &self->ticker);
    self->ticker.data = self;
    uv_timer_start(&self->ticker, on_tick, TICK_MS, TICK_MS);
    return 0;
}

static void main_store_close(main_store *self)
{
    uv_loop_t *loop = &self->job->session->loop;
    pb_store_close(self->store);
    pb_http_close(self->http);
    uv_close((uv_handle_t *)&self->ticker, on_ticker_closed);
    while (self->job)
        uv_run(loop, UV_RUN_ONCE);
}

/* ---- seams ---- */

int pb_job_settle(pb_job *job, pb_listing *only, pb_error *error)
{
    int failed = 0;
    for (unsigned i = 0; i < job->listing_count && !failed; i++) {
        pb_listing *listing = job->listings[i];
        main_store store;
        if ((only && listing != only) || !pb_listing_has_seams(listing))
            continue;
        if (main_store_open(&store, job, pb_listing_store(listing), error))
            return -1;
        failed = pb_listing_settle(listing, store.store, error);
        main_store_close(&store);
    }
    return failed;
}

/* ---- a look at one listing alone ---- */

static int look(void *context, const pb_entry *const *heads, pb_arena *arena, pb_item *item,
                pb_error *error)
{
    (void)arena;
    (void)item; /* without an entry */
    (void)error;
    const struct pb_look *to = context;
    if (to->look)
        to->look(to->context, heads[0]);
    return 0;
}

static void look_is_over(void *context, const pb_error *error)
{
    (void)context;
    (void)error;
}

static const pb_shard_work look_work = {.decide = look, .over = look_is_over};

void pb_job_open_look(void *context, pb_worker *worker, pb_shard *shard)
{
    pb_job *job = context;
    const pb_range *range = pb_shard_range(shard);
    pb_listing *listing = job->look.listing;
    const pb_store *store = worker->stores[pb_listing_store(listing)];
    pb_shard_set_work(shard, &look_work, &job->look);
    if (pb_store_capabilities_of(store)->lists_from_anywhere)
        pb_shard_allow_split(shard, PAGES_BEFORE_SPLIT, 0);
    pb_shard_add_stream(shard, pb_listing_open(listing, worker, pb_slice_of(range->after),
                                               pb_slice_of(range->through), pb_shard_wake, shard));
}

/* ---- sorting ---- */

static int sort(pb_job *job, pb_listing *listing, pb_error *error)
{
    main_store store;
    unsigned number = pb_listing_store(listing);
    if (main_store_open(&store, job, number, error))
        return -1;
    const char *name = pb_store_name(store.store);
    const pb_spool_options options = {
        .folder = pb_session_scratch(job->session),
        .cancelled = &store.cancelled,
    };
    if (job->session->sorting_noted != job->stores[number])
        pb_session_note(job->session,
                        "%s lists in an order of its own: it is listed in one sequence, and sorted "
                        "in %s",
                        name, options.folder);
    job->session->sorting_noted = job->stores[number];
    int failed = pb_listing_sort(listing, store.store, &job->session->loop, &options,
                                 &job->counters.keys, error);
    main_store_close(&store);
    return failed;
}

int pb_job_sort_listings(pb_job *job, pb_error *error)
{
    const char *phase = job->phase;
    int failed = 0;
    for (unsigned i = 0; i < job->listing_count && !failed; i++) {
        pb_listing *listing = job->listings[i];
        if (!job->sorted[pb_listing_store(listing)] || pb_listing_is_sorted(listing))
            continue;
        job->phase = "listing";
        job->started_ms = pb_clock_monotonic_ms();
        pb_session_phase(job->session, job->phase);
        failed = sort(job, listing, error);
        pb_job_tick(job);
        atomic_store(&job->counters.keys, 0);
    }
    job->phase = phase;
    return failed;
}
