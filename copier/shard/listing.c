#include "copier/shard/listing.h"

#include "copier/shard/seams.h"
#include "copier/store/sequence.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    LOOKS_MAX = 5,         /* at what may be a change, before it is disorder */
    PAGES_TO_SEAM_MAX = 8, /* that a look at a seam may take */
    LOOK_KEYS = 10,
};

struct pb_listing {
    unsigned store;
    pb_buffer prefix; /* of the store's keys */
    size_t strip;
    pb_seams *seams;
    atomic_bool in_disorder;
    pb_spool *spool; /* sorted: streams read this */
};

pb_listing *pb_listing_new(unsigned store, pb_slice prefix, size_t strip)
{
    pb_listing *listing = pb_allocate_zeroed(1, sizeof *listing);
    listing->store = store;
    listing->strip = strip;
    listing->seams = pb_seams_new();
    pb_buffer_append_slice(&listing->prefix, prefix);
    return listing;
}

void pb_listing_free(pb_listing *listing)
{
    if (!listing)
        return;
    pb_buffer_free(&listing->prefix);
    pb_seams_free(listing->seams);
    pb_spool_free(listing->spool);
    free(listing);
}

unsigned pb_listing_store(const pb_listing *listing)
{
    return listing->store;
}

void pb_listing_restart(pb_listing *listing)
{
    pb_seams_free(listing->seams);
    listing->seams = pb_seams_new();
}

void pb_listing_renew(pb_listing *listing)
{
    pb_listing_restart(listing);
    pb_spool_free(listing->spool);
    listing->spool = NULL;
}

bool pb_listing_is_in_disorder(const pb_listing *listing)
{
    return atomic_load(&listing->in_disorder);
}

static void mark_disorder(pb_listing *listing, pb_error *error)
{
    atomic_store(&listing->in_disorder, true);
    snprintf(error->code, sizeof error->code, PB_LISTING_DISORDER);
}

int pb_listing_disorder(pb_listing *listing, pb_slice key, const char *what, pb_error *error)
{
    pb_error_set(error, PB_ERROR_FAILED, "the store lists in an order of its own: '%.*s' %s",
                 PB_SLICE_FORMAT(key), what);
    mark_disorder(listing, error);
    return -1;
}

static int too_many_apart(pb_listing *listing, pb_error *error)
{
    pb_error_set(error, PB_ERROR_FAILED,
                 "the store lists in an order of its own: more than %d ranges do not fit to the "
                 "next one",
                 PB_SEAMS_APART_MAX);
    mark_disorder(listing, error);
    return -1;
}

static void strip_keys(const pb_listing *listing, pb_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        page->entries[i].key.data += listing->strip;
        page->entries[i].key.size -= listing->strip;
    }
}

/* The key as the store has it. */
static void append_full_key(const pb_listing *listing, pb_buffer *buffer, pb_slice key)
{
    pb_buffer_append(buffer, listing->prefix.data, listing->strip);
    pb_buffer_append_slice(buffer, key);
}

/* To list after a key; none: from the start. */
static void set_after(const pb_listing *listing, pb_buffer *buffer, pb_slice key)
{
    pb_buffer_clear(buffer);
    if (key.size)
        append_full_key(listing, buffer, key);
}

/* ---- a range, as the store lists it ---- */

typedef struct range_stream {
    pb_listing *listing;
    pb_store *store;
    pb_stream *stream;
    pb_buffer begin; /* where the range begins */
    pb_buffer after, token;
    pb_page_watch watch;
    bool begun; /* the first key was seen, or that there is none */
    /* The look at the end: */
    pb_buffer folder; /* as the store has it, without the slash */
    size_t look_from; /* of the key behind the end */
    size_t look_items;
    unsigned looks;
    pb_store_request request;
} range_stream;

static bool has_control_character(pb_slice key)
{
    for (size_t i = 0; i < key.size; i++)
        if ((unsigned char)key.data[i] < ' ' || key.data[i] == 0x7F)
            return true;
    return false;
}

/* What the range sees first: the right side of its seam. */
static bool report_begin(range_stream *range, const pb_page *page)
{
    pb_slice begin = pb_buffer_slice(&range->begin);
    if (range->begun || (!page->count && page->more))
        return true;
    range->begun = true;
    pb_sight sight = {.kind = page->count ? PB_SIGHT_KEY : PB_SIGHT_END};
    if (page->count)
        sight.key = page->entries[0].key;
    return !begin.size || pb_seams_right(range->listing->seams, begin, sight);
}

static void on_listed(pb_store_request *request)
{
    range_stream *range = request->context;
    if (request->error.kind) {
        pb_stream_deliver(range->stream, NULL, &request->error);
        return;
    }
    pb_page *page = request->page;
    strip_keys(range->listing, page);
    const char *problem = page->count ? NULL : pb_page_watch_see(&range->watch, page);
    if (problem || !report_begin(range, page)) {
        pb_slice last = pb_stream_last_key(range->stream);
        pb_error wrong;
        if (problem)
            pb_error_set(&wrong, PB_ERROR_FAILED, "%s: its listing has %s, after '%.*s'",
                         pb_store_name(range->store), problem, PB_SLICE_FORMAT(last));
        else
            too_many_apart(range->listing, &wrong);
        pb_page_release(page);
        pb_stream_deliver(range->stream, NULL, &wrong);
        return;
    }
    /* The store's own token goes on in the store's own order, whatever that is: so disorder shows.
     * But Ceph RGW garbles tokens that hold control characters, and its tokens are keys. */
    pb_buffer_clear(&range->token);
    if (!page->count || !has_control_character(page->entries[page->count - 1].key))
        pb_buffer_append_slice(&range->token, page->token);
    pb_stream_deliver(range->stream, page, NULL);
}

static void submit(range_stream *range, void (*done)(pb_store_request *request))
{
    pb_store_request *request = &range->request;
    request->operation = PB_STORE_LIST;
    request->done = done;
    request->context = range;
    pb_store_submit(range->store, request);
}

static void fetch(void *state, pb_stream *stream)
{
    range_stream *range = state;
    range->stream = stream;
    range->request = (pb_store_request){0};
    range->request.list.prefix = pb_buffer_slice(&range->listing->prefix);
    range->request.list.token = pb_buffer_slice(&range->token);
    set_after(range->listing, &range->after, pb_stream_last_key(stream));
    range->request.list.after = pb_buffer_slice(&range->after);
    submit(range, on_listed);
}

static void on_disordered(void *state, pb_error *error)
{
    range_stream *range = state;
    mark_disorder(range->listing, error);
}

/* ---- the end of a range ----
 *
 * A store may take start-after for a mere filter over an order of its own. One that walks folders
 * then lists a/x before a-y. A range that ends at a key like a-5, or at a/m, and sees a/x behind
 * its end would never learn of a-3, which comes later, and no seam would show it: the range behind
 * sees a/x first as well. So where a range ends in such a place, the folder is asked for with a
 * delimiter: there it is one entry, and what lies before it in the order of bytes must come before
 * it.
 *
 * Other orders that are known (by UTF-16 units) differ only behind characters at which no range is
 * cut (split.h). */

/* True for a key between a folder's name and its slash: a-c, where the folder is a/. */
static bool is_before_folder(pb_slice key, pb_slice name)
{
    return key.size > name.size && pb_slice_starts_with(key, name) &&
           (unsigned char)key.data[name.size] < '/';
}

/* The next slash of what lies behind the end such that keys between the folder's name and the slash
 * may be in the range; *ret_name is that name. False: no more. */
static bool find_folder(range_stream *range, pb_slice *ret_name)
{
    pb_slice last = pb_stream_last_key(range->stream), through = pb_stream_through(range->stream);
    pb_slice behind, begin = pb_buffer_slice(&range->begin);
    pb_stream_edge edge = pb_stream_edge_of(range->stream, &behind);
    if (edge == PB_STREAM_EDGE_EXACT)
        behind = last;
    else if (edge != PB_STREAM_EDGE_KEY)
        return false;
    size_t same = 0;
    while (same < behind.size && same < through.size && behind.data[same] == through.data[same])
        same++;
    for (size_t at = range->look_from; at <= same && at < behind.size && at < through.size; at++) {
        pb_slice name = {behind.data, at}, folder = {behind.data, at + 1};
        if (behind.data[at] != '/' || pb_slice_compare(begin, folder) >= 0)
            continue;
        /* It has given such a key, before this one. */
        if (is_before_folder(last, name))
            continue;
        range->look_from = at + 1;
        *ret_name = name;
        return true;
    }
    return false;
}

/* Asks for what begins with the folder's name: grouped, and as it stands. */
static void look(range_stream *range, bool grouped, void (*done)(pb_store_request *request))
{
    range->request = (pb_store_request){0};
    range->request.list.prefix = pb_buffer_slice(&range->folder);
    range->request.list.after = pb_buffer_slice(&range->after);
    range->request.list.token = pb_buffer_slice(&range->token);
    range->request.list.delimiter = grouped ? '/' : 0;
    range->request.list.keys_max = grouped ? LOOK_KEYS : 1;
    submit(range, done);
}

static void on_folder_listed(pb_store_request *request);

static void begin_look(range_stream *range)
{
    pb_buffer_clear(&range->token);
    pb_page_watch_free(&range->watch);
    range->look_items = 0;
    look(range, true, on_folder_listed);
}

/* A key that the range should have had before the folder. */
static bool is_missed(const range_stream *range, pb_slice key)
{
    return is_before_folder(key, pb_buffer_slice(&range->folder)) &&
           pb_slice_compare(key, pb_buffer_slice(&range->after)) > 0;
}

static bool look_on(range_stream *range);

static void end_look(range_stream *range, const pb_error *error)
{
    if (error || !look_on(range))
        pb_stream_end_checked(range->stream, error);
}

static void on_first_listed(pb_store_request *request)
{
    range_stream *range = request->context;
    if (request->error.kind) {
        end_look(range, &request->error);
        return;
    }
    pb_page *page = request->page;
    bool in_order = page->count && is_missed(range, page->entries[0].key);
    pb_page_release(page);
    if (in_order) {
        end_look(range, NULL);
    } else if (++range->looks < LOOKS_MAX) { /* deleted meanwhile? */
        begin_look(range);
    } else {
        pb_error error;
        pb_listing_disorder(range->listing, pb_buffer_slice(&range->folder),
                            "is a folder that it gives before keys that come first", &error);
        end_look(range, &error);
    }
}

static void on_folder_listed(pb_store_request *request)
{
    range_stream *range = request->context;
    if (request->error.kind) {
        end_look(range, &request->error);
        return;
    }
    pb_page *page = request->page;
    bool missed = false;
    for (size_t i = 0; i < page->count; i++)
        missed |= is_missed(range, page->entries[i].key);
    for (size_t i = 0; i < page->prefix_count; i++)
        missed |= is_missed(range, page->prefixes[i]);
    range->look_items += page->count + page->prefix_count;
    /* The folder is one item, what it came before is the next. */
    bool more = page->more && page->token.size && range->look_items < 2;
    const char *problem = more ? pb_page_watch_see(&range->watch, page) : NULL;
    pb_buffer_clear(&range->token);
    if (more)
        pb_buffer_append_slice(&range->token, page->token);
    pb_page_release(page);
    if (problem) {
        pb_error error;
        pb_error_set(&error, PB_ERROR_FAILED, "%s: its listing has %s", pb_store_name(range->store),
                     problem);
        end_look(range, &error);
    } else if (missed) { /* does the store give it before the folder? */
        pb_buffer_clear(&range->token);
        look(range, false, on_first_listed);
    } else if (more) {
        look(range, true, on_folder_listed);
    } else {
        end_look(range, NULL);
    }
}

/* Looks at the next folder. False: there is none. */
static bool look_on(range_stream *range)
{
    pb_slice name;
    if (!find_folder(range, &name))
        return false;
    range->looks = 0;
    pb_buffer_clear(&range->folder);
    append_full_key(range->listing, &range->folder, name);
    pb_buffer_clear(&range->after);
    pb_slice begin = pb_buffer_slice(&range->begin);
    append_full_key(range->listing, &range->after,
                    pb_slice_compare(begin, name) > 0 ? begin : name);
    begin_look(range);
    return true;
}

static bool check_end(void *state, pb_stream *stream)
{
    range_stream *range = state;
    range->stream = stream;
    range->look_from = range->listing->prefix.size - range->listing->strip;
    return look_on(range);
}

/* What the range saw behind its end: the left side of its seam. */
static void report_end(range_stream *range, pb_stream *stream)
{
    static const pb_sight_kind kinds[] = {
        [PB_STREAM_EDGE_KEY] = PB_SIGHT_KEY,
        [PB_STREAM_EDGE_END] = PB_SIGHT_END,
        [PB_STREAM_EDGE_EXACT] = PB_SIGHT_EXACT,
    };
    pb_sight sight;
    pb_slice through = pb_stream_through(stream);
    pb_stream_edge edge = pb_stream_edge_of(stream, &sight.key);
    if (!through.size || edge == PB_STREAM_EDGE_UNKNOWN || !pb_stream_is_at_end(stream))
        return;
    sight.kind = kinds[edge];
    if (!pb_seams_left(range->listing->seams, through, pb_stream_last_key(stream), sight))
        atomic_store(&range->listing->in_disorder, true); /* pb_listing_settle says so */
}

static void end_range(void *state, pb_stream *stream)
{
    range_stream *range = state;
    report_end(range, stream);
    pb_buffer_free(&range->begin);
    pb_buffer_free(&range->after);
    pb_buffer_free(&range->token);
    pb_buffer_free(&range->folder);
    pb_page_watch_free(&range->watch);
    free(range);
}

static const pb_stream_origin range_origin = {fetch, check_end, on_disordered, end_range};

/* ---- a range of the sorted listing ---- */

typedef struct sorted_stream {
    const pb_spool *spool;
    uv_loop_t *loop;
    pb_stream *stream;
    uv_work_t work;
    bool found; /* the first block */
    uint64_t block;
    pb_buffer after;
    pb_page *page;
    int failed;
    pb_error error;
} sorted_stream;

static void read_sorted(uv_work_t *work)
{
    sorted_stream *sorted = work->data;
    sorted->page = NULL;
    sorted->failed = sorted->found ? 0
                                   : pb_spool_seek(sorted->spool, pb_buffer_slice(&sorted->after),
                                                   &sorted->block, &sorted->error);
    sorted->found = true;
    if (!sorted->failed && sorted->block < pb_spool_blocks(sorted->spool))
        sorted->failed =
            pb_spool_read(sorted->spool, sorted->block++, &sorted->page, &sorted->error);
}

static void on_read_sorted(uv_work_t *work, int status)
{
    sorted_stream *sorted = work->data;
    pb_page *page = sorted->page;
    (void)status;
    if (sorted->failed) {
        pb_stream_deliver(sorted->stream, NULL, &sorted->error);
        return;
    }
    if (!page)
        page = pb_page_new();
    size_t before = 0;
    while (before < page->count &&
           pb_slice_compare(page->entries[before].key, pb_stream_last_key(sorted->stream)) <= 0)
        before++;
    if (before) {
        page->count -= before;
        memmove(page->entries, page->entries + before, page->count * sizeof *page->entries);
    }
    page->more = sorted->block < pb_spool_blocks(sorted->spool);
    pb_stream_deliver(sorted->stream, page, NULL);
}

static void fetch_sorted(void *state, pb_stream *stream)
{
    sorted_stream *sorted = state;
    sorted->stream = stream;
    uv_queue_work(sorted->loop, &sorted->work, read_sorted, on_read_sorted);
}

static void close_sorted(void *state, pb_stream *stream)
{
    sorted_stream *sorted = state;
    (void)stream;
    pb_buffer_free(&sorted->after);
    free(sorted);
}

static const pb_stream_origin sorted_origin = {fetch_sorted, NULL, NULL, close_sorted};

pb_stream *pb_listing_open(pb_listing *listing, pb_worker *worker, pb_slice after, pb_slice through,
                           void (*wake)(void *context), void *context)
{
    pb_store *store = worker->stores[listing->store];
    if (listing->spool) {
        sorted_stream *sorted = pb_allocate_zeroed(1, sizeof *sorted);
        sorted->spool = listing->spool;
        sorted->loop = &worker->loop;
        sorted->work.data = sorted;
        pb_buffer_append_slice(&sorted->after, after);
        return pb_stream_open(&sorted_origin, sorted, pb_store_name(store), after, through, wake,
                              context);
    }
    range_stream *range = pb_allocate_zeroed(1, sizeof *range);
    range->listing = listing;
    range->store = store;
    pb_buffer_append_slice(&range->begin, after);
    return pb_stream_open(&range_origin, range, pb_store_name(store), after, through, wake,
                          context);
}

/* ---- seams, looked at again ---- */

/* The first key behind `at` that a listing after `from` shows, which is `at` or before it; empty
 * for the end. Moves `from` on where keys come before `at`. */
static int list_to(const pb_listing *listing, pb_store *store, pb_buffer *from, pb_slice at,
                   pb_buffer *ret_key, bool *ret_found, pb_error *error)
{
    pb_buffer after = {0};
    bool more = true;
    int failed = 0;
    *ret_found = false;
    for (unsigned pages = 0; pages < PAGES_TO_SEAM_MAX && more && !*ret_found && !failed; pages++) {
        pb_store_request request = {.operation = PB_STORE_LIST};
        set_after(listing, &after, pb_buffer_slice(from));
        request.list.prefix = pb_buffer_slice(&listing->prefix);
        request.list.after = pb_buffer_slice(&after);
        request.list.keys_max = LOOK_KEYS;
        failed = pb_store_call(store, &request, error);
        if (failed)
            break;
        pb_page *page = request.page;
        strip_keys(listing, page);
        for (size_t i = 0; i < page->count && !*ret_found; i++) {
            *ret_found = pb_slice_compare(page->entries[i].key, at) > 0;
            pb_buffer *seen = *ret_found ? ret_key : from;
            pb_buffer_clear(seen);
            pb_buffer_append_slice(seen, page->entries[i].key);
        }
        more = page->more;
        pb_page_release(page);
    }
    *ret_found |= !more;
    pb_buffer_free(&after);
    return failed;
}

/* A key that some side saw, and that is there, comes first: a listing that begins behind it lacks
 * it. */
static int lacks(const pb_listing *listing, pb_store *store, pb_slice seen, pb_slice first,
                 bool *ret_lacks, pb_error *error)
{
    if (!seen.size || (first.size && pb_slice_compare(seen, first) >= 0))
        return 0;
    pb_buffer key = {0};
    pb_error absent = {0};
    append_full_key(listing, &key, seen);
    pb_store_request request = {.operation = PB_STORE_HEAD, .key = pb_buffer_slice(&key)};
    int failed = pb_store_call(store, &request, &absent);
    pb_buffer_free(&key);
    *ret_lacks |= !failed;
    if (!failed || absent.kind == PB_ERROR_NOT_FOUND)
        return 0;
    *error = absent;
    return -1;
}

/* Lists over the seam from what comes before it, and from the seam on. */
static int look_once(const pb_listing *listing, pb_store *store, pb_seam *seam, bool *ret_fits,
                     pb_error *error)
{
    pb_slice at = pb_buffer_slice(&seam->at);
    pb_buffer from = {0}, over = {0}, first = {0};
    bool over_found = false, first_found = false, incomplete = false;
    pb_buffer_append_slice(&from, at);
    int failed = list_to(listing, store, &seam->last, at, &over, &over_found, error) ||
                 list_to(listing, store, &from, at, &first, &first_found, error);
    for (int side = 0; side < 2 && !failed; side++)
        failed = lacks(listing, store, pb_buffer_slice(&seam->seen[side]), pb_buffer_slice(&first),
                       &incomplete, error);
    *ret_fits = over_found && first_found && !incomplete &&
                pb_slice_equal(pb_buffer_slice(&over), pb_buffer_slice(&first));
    pb_buffer_free(&from);
    pb_buffer_free(&over);
    pb_buffer_free(&first);
    return failed ? -1 : 0;
}

static int look_at_seam(pb_listing *listing, pb_store *store, pb_seam *seam, pb_error *error)
{
    bool fits = false;
    for (unsigned looks = 0; looks < LOOKS_MAX && !fits; looks++)
        if (look_once(listing, store, seam, &fits, error))
            return -1;
    if (fits)
        return 0;
    return pb_listing_disorder(
        listing, pb_buffer_slice(&seam->at),
        "is followed by another key than a listing that comes from before shows", error);
}

bool pb_listing_has_seams(const pb_listing *listing)
{
    return pb_listing_is_in_disorder(listing) || pb_seams_are_open(listing->seams);
}

int pb_listing_settle(pb_listing *listing, pb_store *store, pb_error *error)
{
    pb_seam seam = {0};
    int failed = 0;
    if (pb_listing_is_in_disorder(listing))
        return too_many_apart(listing, error);
    while (!failed && pb_seams_take(listing->seams, &seam))
        failed = look_at_seam(listing, store, &seam, error);
    pb_seam_free(&seam);
    return failed ? pb_error_context(error, "%s", pb_store_name(store)) : 0;
}

/* ---- sorting ---- */

typedef struct sorting {
    pb_listing *listing;
    pb_spool *spool;
    uv_loop_t *loop;
    uv_work_t work;
    _Atomic uint64_t *keys;
    int (*step)(pb_spool *spool, pb_error *error);
    bool done;
    int failed;
    pb_error error;
} sorting;

static void run_step(uv_work_t *work)
{
    sorting *self = work->data;
    self->failed = self->step(self->spool, &self->error);
}

static void on_step_done(uv_work_t *work, int status)
{
    sorting *self = work->data;
    (void)status;
    self->done = true;
}

/* On the pool, while the loop runs. */
static int do_step(sorting *self, int (*step)(pb_spool *spool, pb_error *error), pb_error *error)
{
    self->step = step;
    self->done = false;
    uv_queue_work(self->loop, &self->work, run_step, on_step_done);
    while (!self->done)
        uv_run(self->loop, UV_RUN_ONCE);
    if (self->failed)
        *error = self->error;
    return self->failed;
}

static int add_page(void *context, const pb_page *page, pb_error *error)
{
    sorting *self = context;
    for (size_t i = 0; i < page->count; i++) {
        pb_entry entry = page->entries[i];
        entry.key.data += self->listing->strip;
        entry.key.size -= self->listing->strip;
        pb_spool_add(self->spool, &entry);
    }
    atomic_fetch_add_explicit(self->keys, page->count, memory_order_relaxed);
    return pb_spool_is_full(self->spool) ? do_step(self, pb_spool_write, error) : 0;
}

int pb_listing_sort(pb_listing *listing, pb_store *store, uv_loop_t *loop,
                    const pb_spool_options *options, _Atomic uint64_t *keys, pb_error *error)
{
    sorting self = {.listing = listing, .loop = loop, .spool = pb_spool_new(options), .keys = keys};
    self.work.data = &self;
    int failed = pb_sequence_list(store, pb_buffer_slice(&listing->prefix), (pb_slice){NULL, 0}, 0,
                                  add_page, &self, error);
    if (!failed)
        failed = do_step(&self, pb_spool_sort, error);
    if (failed) {
        pb_spool_free(self.spool);
        return -1;
    }
    listing->spool = self.spool;
    atomic_store(&listing->in_disorder, false);
    pb_listing_restart(listing);
    return 0;
}

bool pb_listing_is_sorted(const pb_listing *listing)
{
    return listing->spool != NULL;
}
