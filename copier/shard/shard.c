#include "copier/shard/shard.h"

#include "base/failure.h"
#include "copier/shard/split.h"
#include <stdlib.h>

enum { TAKEN_AT_ONCE = 128 };

struct pb_shard {
    pb_range range;
    const pb_shard_work *work;
    void *context;
    const pb_shard_host *host;
    void *host_context;
    pb_mover *mover;
    pb_stream *streams[PB_SHARD_STREAMS_MAX];
    unsigned stream_count;
    pb_item *window; /* a ring of PB_SHARD_WINDOW */
    size_t first, count;
    unsigned in_flight;
    uv_idle_t soon;
    bool pumping, exhausted, over;
    pb_error *error; /* why it ends */
    uint64_t pages_told;
    uint64_t pages_before_split; /* 0: never split */
    uint64_t pages_at_split;
    size_t stem_bytes;
};

pb_shard *pb_shard_new(pb_range range, pb_mover *mover, const pb_shard_host *host,
                       void *host_context)
{
    pb_shard *shard = pb_allocate_zeroed(1, sizeof *shard);
    shard->range = range;
    shard->host = host;
    shard->host_context = host_context;
    shard->mover = mover;
    shard->window = pb_allocate_zeroed(PB_SHARD_WINDOW, sizeof *shard->window);
    return shard;
}

void pb_shard_set_work(pb_shard *shard, const pb_shard_work *work, void *context)
{
    shard->work = work;
    shard->context = context;
}

void pb_shard_add_stream(pb_shard *shard, pb_stream *stream)
{
    if (shard->stream_count == PB_SHARD_STREAMS_MAX)
        abort();
    shard->streams[shard->stream_count++] = stream;
}

const pb_range *pb_shard_range(const pb_shard *shard)
{
    return &shard->range;
}

void pb_shard_allow_split(pb_shard *shard, uint64_t pages, size_t stem_bytes)
{
    shard->pages_before_split = pages;
    shard->stem_bytes = stem_bytes;
}

uint64_t pb_shard_pages_since_split(const pb_shard *shard)
{
    const pb_stream *listing = shard->streams[0];
    if (!shard->pages_before_split || shard->over || shard->error ||
        pb_stream_pages(listing) < shard->pages_before_split || !pb_stream_has_more(listing) ||
        !pb_stream_recent_first_key(listing).size)
        return 0;
    return pb_stream_pages(listing) - shard->pages_at_split;
}

size_t pb_shard_split(pb_shard *shard, size_t wanted, pb_range *ret_ranges)
{
    const pb_stream *listing = shard->streams[0];
    pb_slice cuts[PB_SPLIT_CUTS_MAX];
    pb_arena arena = {0};
    size_t count = 0;
    if (pb_shard_pages_since_split(shard))
        count = pb_split_cuts(&shard->range, pb_stream_recent_first_key(listing),
                              pb_stream_last_key(listing), shard->stem_bytes, wanted, &arena, cuts);
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        ret_ranges[i] =
            pb_range_copy(cuts[i], last ? pb_slice_of(shard->range.through) : cuts[i + 1],
                          last && !shard->range.through);
    }
    if (count) {
        free(shard->range.through);
        shard->range.through = pb_duplicate(cuts[0]);
        for (unsigned i = 0; i < shard->stream_count; i++)
            pb_stream_narrow(shard->streams[i], cuts[0]);
        shard->pages_at_split = pb_stream_pages(listing);
        pb_shard_wake(shard);
    }
    pb_arena_free(&arena);
    return count;
}

static void fail(pb_shard *shard, const pb_error *error)
{
    if (shard->error)
        return;
    shard->error = pb_allocate(sizeof *shard->error);
    *shard->error = *error;
    shard->host->failed(shard->host_context, error);
}

void pb_shard_stop(pb_shard *shard, const pb_error *error)
{
    fail(shard, error);
    pb_shard_wake(shard);
}

static void item_release(pb_item *item)
{
    for (unsigned i = 0; i < item->page_count; i++)
        pb_page_release(item->pages[i]);
    free(item->transfer.error);
    free(item->kept_error);
    item->page_count = 0;
}

static void on_transferred(pb_transfer *transfer)
{
    pb_shard *shard = transfer->context;
    pb_item *item = (pb_item *)((char *)transfer - offsetof(pb_item, transfer));
    pb_error *error = transfer->error;
    if (shard->work->again && !shard->error &&
        shard->work->again(shard->context, item, &item->pages[0]->arena)) {
        free(error);
        pb_mover_start(shard->mover, transfer);
        return;
    }
    item->done = true;
    shard->in_flight--;
    pb_shard_wake(shard);
}

/* The least key at the front of the streams. False while one of them is waiting, has failed, or all
 * are at their end. */
static bool look_at_heads(pb_shard *shard, const pb_entry **heads, pb_page **pages)
{
    const pb_entry *least = NULL;
    for (unsigned i = 0; i < shard->stream_count; i++) {
        heads[i] = NULL;
        switch (pb_stream_peek(shard->streams[i], &heads[i], &pages[i])) {
        case PB_STREAM_WAITING:
            return false;
        case PB_STREAM_FAILED:
            fail(shard, pb_stream_error(shard->streams[i]));
            return false;
        case PB_STREAM_END:
            break;
        case PB_STREAM_READY:
            if (!least || pb_slice_compare(heads[i]->key, least->key) < 0)
                least = heads[i];
        }
    }
    if (!least) {
        shard->exhausted = true;
        return false;
    }
    for (unsigned i = 0; i < shard->stream_count; i++)
        if (heads[i] && heads[i] != least && !pb_slice_equal(heads[i]->key, least->key))
            heads[i] = NULL;
    return true;
}

/* Takes in keys while the window has room: a few at a time, as those that are done at once leave it
 * again. True where some came. */
static bool take_in(pb_shard *shard)
{
    const pb_entry *heads[PB_SHARD_STREAMS_MAX];
    pb_page *pages[PB_SHARD_STREAMS_MAX];
    unsigned taken = 0;
    for (; taken < TAKEN_AT_ONCE && !shard->error && !shard->exhausted &&
           shard->count < PB_SHARD_WINDOW && look_at_heads(shard, heads, pages);
         taken++) {
        pb_item *item = &shard->window[(shard->first + shard->count) % PB_SHARD_WINDOW];
        memset(item, 0, offsetof(pb_item, pages));
        item->page_count = 0;
        item->done = false;
        pb_arena *arena = NULL;
        for (unsigned i = 0; i < shard->stream_count; i++) {
            if (!heads[i])
                continue;
            item->pages[item->page_count++] = pb_page_keep(pages[i]);
            arena = &pages[i]->arena;
        }
        pb_error error = {0};
        if (shard->work->decide(shard->context, heads, arena, item, &error)) {
            fail(shard, &error);
            item_release(item);
            break;
        }
        for (unsigned i = 0; i < shard->stream_count; i++)
            if (heads[i])
                pb_stream_advance(shard->streams[i]);
        if (!item->entry) {
            item_release(item);
            continue;
        }
        shard->count++;
        if (item->transfer.kind == PB_TRANSFER_NONE) {
            item->done = true;
            continue;
        }
        item->transfer.done = on_transferred;
        item->transfer.context = shard;
        shard->in_flight++;
        pb_mover_start(shard->mover, &item->transfer);
    }
    return taken > 0;
}

/* Gives out items in order. Returns true where some left the window. */
static bool give_out(pb_shard *shard)
{
    bool some = false;
    while (shard->count && shard->window[shard->first].done) {
        pb_item *item = &shard->window[shard->first];
        const pb_error *broken = item->transfer.error;
        if (!shard->error) {
            pb_error error = {0};
            int answer = 0;
            if (broken && pb_failure_reach_of(broken->kind) == PB_FAILURE_OF_RUN) {
                error = *broken;
                answer = pb_error_context(&error, "%.*s", PB_SLICE_FORMAT(item->transfer.name));
            } else if (broken) {
                answer = shard->work->failed(shard->context, item, &error);
            } else {
                answer = shard->work->emit(shard->context, item, &error);
            }
            if (answer > 0)
                break;
            if (answer < 0)
                fail(shard, &error);
        }
        item_release(item);
        shard->first = (shard->first + 1) % PB_SHARD_WINDOW;
        shard->count--;
        some = true;
    }
    if (!shard->count)
        shard->first = 0; /* memory that was never used stays so */
    return some;
}

static void on_closed(uv_handle_t *handle)
{
    pb_shard *shard = handle->data;
    pb_range_free(&shard->range);
    free(shard->window);
    free(shard->error);
    free(shard);
}

static void end(pb_shard *shard)
{
    shard->over = true;
    for (unsigned i = 0; i < shard->stream_count; i++)
        pb_stream_close(shard->streams[i]);
    shard->work->over(shard->context, shard->error);
    shard->host->over(shard->host_context, shard, shard->error);
    uv_close((uv_handle_t *)&shard->soon, on_closed);
}

/* A shard that ends early has pages on their way: they are waited for. */
static bool is_fetching(const pb_shard *shard)
{
    for (unsigned i = 0; i < shard->stream_count; i++)
        if (pb_stream_is_fetching(shard->streams[i]))
            return true;
    return false;
}

static void pump(pb_shard *shard)
{
    if (shard->over)
        return;
    shard->pumping = true;
    bool some;
    do {
        some = take_in(shard);
        some |= give_out(shard);
    } while (some);
    bool is_busy = shard->work->is_busy && shard->work->is_busy(shard->context);
    bool through = !shard->count && !shard->in_flight && !is_fetching(shard) && !is_busy;
    if (through && !shard->error && shard->exhausted) {
        pb_error error = {0};
        int answer = shard->work->finish ? shard->work->finish(shard->context, &error) : 0;
        if (answer < 0)
            fail(shard, &error);
        through = answer <= 0;
    } else {
        through = through && shard->error;
    }
    shard->pumping = false;
    if (through) {
        end(shard);
    } else if (shard->pages_told != pb_stream_pages(shard->streams[0])) {
        shard->pages_told = pb_stream_pages(shard->streams[0]);
        shard->host->paged(shard->host_context, shard);
    }
}

static void on_soon(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    pump(idle->data);
}

/* Deferred: many completions of one batch are worth one look at the streams. */
void pb_shard_wake(void *context)
{
    pb_shard *shard = context;
    if (!shard->over && !shard->pumping && !uv_is_active((uv_handle_t *)&shard->soon))
        uv_idle_start(&shard->soon, on_soon);
}

void pb_shard_start(pb_shard *shard, uv_loop_t *loop)
{
    uv_idle_init(loop, &shard->soon);
    shard->soon.data = shard;
    pb_shard_wake(shard);
}
