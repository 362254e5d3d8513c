#include "copier/shard/stream.h"

#include "base/codec.h"
#include <stdlib.h>

struct pb_stream {
    const pb_stream_origin *origin;
    void *state;
    const char *name;
    void (*wake)(void *context);
    void *context;
    pb_buffer last_key; /* of all delivered, as far as the range goes */
    pb_buffer read_key; /* the last one of the pages that were read to their end */
    pb_buffer page_first_key, page_before_first_key;
    pb_buffer through;
    bool open_above;
    pb_stream_edge edge;
    pb_buffer beyond; /* with PB_STREAM_EDGE_KEY */
    pb_page *page;    /* being read, at `index` */
    size_t index;
    pb_page *next; /* fetched ahead */
    bool fetching, more;
    bool checking, checked; /* the end of the range: under way, done */
    uint64_t pages;
    pb_error *error;
};

static void fetch_ahead(pb_stream *stream)
{
    if (!stream->more || stream->fetching || stream->next || stream->error)
        return;
    stream->fetching = true;
    stream->origin->fetch(stream->state, stream);
}

pb_stream *pb_stream_open(const pb_stream_origin *origin, void *state, const char *name,
                          pb_slice after, pb_slice through, void (*wake)(void *context),
                          void *context)
{
    pb_stream *stream = pb_allocate_zeroed(1, sizeof *stream);
    stream->origin = origin;
    stream->state = state;
    stream->name = name;
    stream->wake = wake;
    stream->context = context;
    stream->open_above = !through.data;
    pb_buffer_append_slice(&stream->last_key, after);
    pb_buffer_append_slice(&stream->read_key, after);
    pb_buffer_append_slice(&stream->through, through);
    stream->more = true;
    fetch_ahead(stream);
    return stream;
}

void pb_stream_close(pb_stream *stream)
{
    if (!stream)
        return;
    if (pb_stream_is_fetching(stream))
        abort(); /* the answer would find nobody */
    stream->origin->close(stream->state, stream);
    pb_page_release(stream->page);
    pb_page_release(stream->next);
    pb_buffer_free(&stream->last_key);
    pb_buffer_free(&stream->read_key);
    pb_buffer_free(&stream->beyond);
    pb_buffer_free(&stream->page_first_key);
    pb_buffer_free(&stream->page_before_first_key);
    pb_buffer_free(&stream->through);
    free(stream->error);
    free(stream);
}

bool pb_stream_is_fetching(const pb_stream *stream)
{
    return stream->fetching || stream->checking;
}

/* ---- the end of the range ---- */

static void set_key(pb_buffer *buffer, pb_slice key)
{
    pb_buffer_clear(buffer);
    pb_buffer_append_slice(buffer, key);
}

/* What the range ends at; the first answer stands until the range is narrowed. */
static void set_edge(pb_stream *stream, pb_stream_edge edge, pb_slice beyond)
{
    if (stream->edge != PB_STREAM_EDGE_UNKNOWN)
        return;
    stream->edge = edge;
    set_key(&stream->beyond, beyond);
}

/* How many of the entries from `from` on, which are in order, lie in the range. */
static size_t count_in_range(const pb_stream *stream, const pb_page *page, size_t from)
{
    pb_slice through = pb_buffer_slice(&stream->through);
    size_t low = from, high = page->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (pb_slice_compare(page->entries[middle].key, through) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Cuts a page that has just come where the range ends. */
static void cut_new_page(pb_stream *stream, pb_page *page)
{
    pb_slice nothing = {NULL, 0}, through = pb_buffer_slice(&stream->through);
    if (stream->open_above || !page->count ||
        pb_slice_compare(page->entries[page->count - 1].key, through) < 0) {
        if (!page->more)
            set_edge(stream, PB_STREAM_EDGE_END, nothing);
        return;
    }
    size_t inside = count_in_range(stream, page, 0);
    if (inside < page->count)
        set_edge(stream, PB_STREAM_EDGE_KEY, page->entries[inside].key);
    else /* the end itself is a key: nothing else is left to ask for */
        set_edge(stream, page->more ? PB_STREAM_EDGE_EXACT : PB_STREAM_EDGE_END, nothing);
    page->count = inside;
    page->more = false;
}

/* ---- pages ---- */

/* Every entry is looked at, those beyond the range too. */
static int check_page(pb_stream *stream, pb_page *page, pb_error *error)
{
    /* A range that was narrowed while this page was under way ends before it. */
    pb_slice last =
        pb_buffer_slice(stream->edge == PB_STREAM_EDGE_KEY ? &stream->beyond : &stream->last_key);
    for (size_t i = 0; i < page->count; i++) {
        pb_slice key = page->entries[i].key;
        if (last.size && pb_slice_compare(key, last) <= 0) {
            pb_error_set(error, PB_ERROR_FAILED,
                         "%s: keys are not in order: '%.*s' came after '%.*s'", stream->name,
                         PB_SLICE_FORMAT(key), PB_SLICE_FORMAT(last));
            if (stream->origin->disordered)
                stream->origin->disordered(stream->state, error);
            return -1;
        }
        if (!pb_utf8_valid(key))
            return pb_error_set(error, PB_ERROR_FAILED, "%s: key '%.*s' is not UTF-8", stream->name,
                                PB_SLICE_FORMAT(key));
        last = key;
    }
    cut_new_page(stream, page);
    if (page->more && !page->count && !page->token.size)
        return pb_error_set(error, PB_ERROR_FAILED,
                            "%s: an empty page that says there is more, after '%.*s'", stream->name,
                            PB_SLICE_FORMAT(last));
    return 0;
}

void pb_stream_deliver(pb_stream *stream, pb_page *page, const pb_error *error)
{
    stream->fetching = false;
    pb_error wrong = {0};
    if (page && check_page(stream, page, &wrong)) {
        pb_page_release(page);
        page = NULL;
        error = &wrong;
    }
    if (!page) {
        stream->error = pb_allocate(sizeof *stream->error);
        *stream->error = *error;
    } else {
        stream->more = page->more && stream->edge == PB_STREAM_EDGE_UNKNOWN;
        stream->pages++;
        if (page->count) {
            pb_buffer before = stream->page_before_first_key;
            stream->page_before_first_key = stream->page_first_key;
            stream->page_first_key = before;
            set_key(&stream->page_first_key, page->entries[0].key);
            set_key(&stream->last_key, page->entries[page->count - 1].key);
        }
        if (!page->count)
            pb_page_release(page);
        else if (!stream->page)
            stream->page = page;
        else
            stream->next = page;
        fetch_ahead(stream);
    }
    stream->wake(stream->context);
}

/* False while the origin looks at the end of the range, or cannot begin to. */
static bool end_is_checked(pb_stream *stream)
{
    if (pb_stream_is_fetching(stream))
        return false;
    if (!stream->checked && stream->origin->check_end)
        stream->checking = stream->origin->check_end(stream->state, stream);
    stream->checked = true; /* or will be, unless the range is narrowed meanwhile */
    return !stream->checking;
}

void pb_stream_end_checked(pb_stream *stream, const pb_error *error)
{
    stream->checking = false;
    if (error && !stream->error) {
        stream->error = pb_allocate(sizeof *stream->error);
        *stream->error = *error;
    }
    stream->wake(stream->context);
}

pb_stream_state pb_stream_peek(pb_stream *stream, const pb_entry **ret_entry, pb_page **ret_page)
{
    if (!stream->page) {
        if (stream->error)
            return PB_STREAM_FAILED;
        return stream->more || !end_is_checked(stream) ? PB_STREAM_WAITING : PB_STREAM_END;
    }
    *ret_entry = &stream->page->entries[stream->index];
    *ret_page = stream->page;
    return PB_STREAM_READY;
}

void pb_stream_advance(pb_stream *stream)
{
    if (++stream->index < stream->page->count)
        return;
    set_key(&stream->read_key, stream->page->entries[stream->page->count - 1].key);
    pb_page_release(stream->page);
    stream->page = stream->next;
    stream->next = NULL;
    stream->index = 0;
    fetch_ahead(stream);
}

/* Takes off what lies behind the end of the range, and notes where it begins; NULL where nothing is
 * left. */
static pb_page *cut_page(pb_stream *stream, pb_page *page, size_t from)
{
    size_t inside = page ? count_in_range(stream, page, from) : 0;
    if (page && inside < page->count) {
        set_edge(stream, PB_STREAM_EDGE_KEY, page->entries[inside].key);
        page->count = inside;
    }
    if (inside)
        set_key(&stream->last_key, page->entries[inside - 1].key);
    if (inside > from)
        return page;
    if (inside) /* all that is left of it was read */
        set_key(&stream->read_key, page->entries[inside - 1].key);
    pb_page_release(page);
    return NULL;
}

void pb_stream_narrow(pb_stream *stream, pb_slice through)
{
    set_key(&stream->through, through);
    stream->open_above = false;
    stream->checked = false;
    if (pb_slice_compare(pb_buffer_slice(&stream->last_key), through) < 0)
        return;
    bool at_key = pb_slice_equal(pb_buffer_slice(&stream->last_key), through);
    if (!at_key)
        stream->edge = PB_STREAM_EDGE_UNKNOWN; /* it lies behind what was fetched */
    else if (stream->more)
        set_edge(stream, PB_STREAM_EDGE_EXACT, (pb_slice){NULL, 0});
    stream->more = false;
    if (at_key)
        return;
    set_key(&stream->last_key, pb_buffer_slice(&stream->read_key));
    stream->page = cut_page(stream, stream->page, stream->index);
    stream->next = cut_page(stream, stream->next, 0);
    if (!stream->page)
        stream->index = 0;
}

bool pb_stream_has_more(const pb_stream *stream)
{
    return stream->more && !stream->error;
}

uint64_t pb_stream_pages(const pb_stream *stream)
{
    return stream->pages;
}

pb_slice pb_stream_recent_first_key(const pb_stream *stream)
{
    return pb_buffer_slice(stream->page_before_first_key.size ? &stream->page_before_first_key
                                                              : &stream->page_first_key);
}

const pb_error *pb_stream_error(const pb_stream *stream)
{
    return stream->error;
}

pb_slice pb_stream_last_key(const pb_stream *stream)
{
    return pb_buffer_slice(&stream->last_key);
}

pb_slice pb_stream_through(const pb_stream *stream)
{
    return pb_buffer_slice(&stream->through);
}

pb_stream_edge pb_stream_edge_of(const pb_stream *stream, pb_slice *ret_beyond)
{
    *ret_beyond = pb_buffer_slice(&stream->beyond);
    return stream->edge;
}

bool pb_stream_is_at_end(const pb_stream *stream)
{
    return stream->checked && !stream->checking && !stream->error;
}
