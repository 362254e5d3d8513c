#include "copier/shard/stream.h"

#include "base/codec.h"
#include <stdlib.h>

struct pb_stream {
    const pb_stream_origin *origin;
    void *state;
    const char *name;
    void (*wake)(void *context);
    void *context;
    pb_buffer last_key; /* of all delivered */
    pb_buffer page_first_key, page_before_first_key;
    pb_buffer through;
    bool open_above;
    pb_page *page; /* being read, at `index` */
    size_t index;
    pb_page *next; /* fetched ahead */
    bool fetching, more;
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
    pb_buffer_append_slice(&stream->through, through);
    stream->more = true;
    fetch_ahead(stream);
    return stream;
}

void pb_stream_close(pb_stream *stream)
{
    if (!stream)
        return;
    if (stream->fetching)
        abort(); /* the answer would find nobody */
    stream->origin->close(stream->state);
    pb_page_release(stream->page);
    pb_page_release(stream->next);
    pb_buffer_free(&stream->last_key);
    pb_buffer_free(&stream->page_first_key);
    pb_buffer_free(&stream->page_before_first_key);
    pb_buffer_free(&stream->through);
    free(stream->error);
    free(stream);
}

bool pb_stream_is_fetching(const pb_stream *stream)
{
    return stream->fetching;
}

/* Holds the page to order and range; cuts it where the range ends. */
static int check_page(pb_stream *stream, pb_page *page, pb_error *error)
{
    pb_slice last = pb_buffer_slice(&stream->last_key);
    pb_slice through = pb_buffer_slice(&stream->through);
    for (size_t i = 0; i < page->count; i++) {
        pb_slice key = page->entries[i].key;
        if (last.size && pb_slice_compare(key, last) <= 0)
            return pb_error_set(error, PB_ERROR_FAILED,
                                "%s: keys are not in order: '%.*s' came after '%.*s'", stream->name,
                                PB_SLICE_FORMAT(key), PB_SLICE_FORMAT(last));
        if (!pb_utf8_valid(key))
            return pb_error_set(error, PB_ERROR_FAILED, "%s: key '%.*s' is not UTF-8", stream->name,
                                PB_SLICE_FORMAT(key));
        if (!stream->open_above && pb_slice_compare(key, through) > 0) {
            page->count = i;
            page->more = false;
        }
        last = key;
    }
    if (!stream->open_above && page->count && pb_slice_compare(last, through) >= 0)
        page->more = false; /* the end itself is a key: nothing else is left to ask for */
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
        stream->more = page->more;
        stream->pages++;
        if (page->count) {
            pb_buffer before = stream->page_before_first_key;
            stream->page_before_first_key = stream->page_first_key;
            stream->page_first_key = before;
            pb_buffer_clear(&stream->page_first_key);
            pb_buffer_append_slice(&stream->page_first_key, page->entries[0].key);
            pb_buffer_clear(&stream->last_key);
            pb_buffer_append_slice(&stream->last_key, page->entries[page->count - 1].key);
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

pb_stream_state pb_stream_peek(pb_stream *stream, const pb_entry **ret_entry, pb_page **ret_page)
{
    if (!stream->page)
        return stream->error ? PB_STREAM_FAILED : stream->more ? PB_STREAM_WAITING : PB_STREAM_END;
    *ret_entry = &stream->page->entries[stream->index];
    *ret_page = stream->page;
    return PB_STREAM_READY;
}

void pb_stream_advance(pb_stream *stream)
{
    if (++stream->index < stream->page->count)
        return;
    pb_page_release(stream->page);
    stream->page = stream->next;
    stream->next = NULL;
    stream->index = 0;
    fetch_ahead(stream);
}

/* Takes off what lies behind the end of the range; NULL where nothing is left. */
static pb_page *cut_page(pb_stream *stream, pb_page *page, size_t from)
{
    pb_slice through = pb_buffer_slice(&stream->through);
    while (page && page->count > from &&
           pb_slice_compare(page->entries[page->count - 1].key, through) > 0)
        page->count--;
    if (!page || page->count > from)
        return page;
    pb_page_release(page);
    return NULL;
}

void pb_stream_narrow(pb_stream *stream, pb_slice through)
{
    pb_buffer_clear(&stream->through);
    pb_buffer_append_slice(&stream->through, through);
    stream->open_above = false;
    if (pb_slice_compare(pb_buffer_slice(&stream->last_key), through) >= 0)
        stream->more = false;
    stream->next = cut_page(stream, stream->next, 0);
    stream->page = cut_page(stream, stream->page, stream->index);
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

/* ---- listing ---- */

typedef struct listing_state {
    pb_store *store;
    pb_buffer prefix;
    size_t strip;
    pb_buffer after; /* of the page under way, with what was stripped */
    pb_buffer token;
    pb_stream *stream;
    pb_store_request request;
} listing_state;

static void on_listed(pb_store_request *request)
{
    listing_state *listing = request->context;
    if (request->error.kind) {
        pb_stream_deliver(listing->stream, NULL, &request->error);
        return;
    }
    pb_page *page = request->page;
    for (size_t i = 0; i < page->count; i++) {
        page->entries[i].key.data += listing->strip;
        page->entries[i].key.size -= listing->strip;
    }
    pb_error round = {0};
    if (!page->count && page->more && page->token.size &&
        pb_slice_equal(page->token, pb_buffer_slice(&listing->token))) {
        pb_error_set(
            &round, PB_ERROR_FAILED, "%s: an empty page that leads to itself, after '%.*s'",
            pb_store_name(listing->store), PB_SLICE_FORMAT(pb_stream_last_key(listing->stream)));
        pb_page_release(page);
        pb_stream_deliver(listing->stream, NULL, &round);
        return;
    }
    pb_buffer_clear(&listing->token);
    if (!page->count)
        pb_buffer_append_slice(&listing->token, page->token);
    pb_stream_deliver(listing->stream, page, NULL);
}

static void listing_fetch(void *state, pb_stream *stream)
{
    listing_state *listing = state;
    listing->stream = stream;
    pb_store_request *request = &listing->request;
    memset(request, 0, sizeof *request);
    request->operation = PB_STORE_LIST;
    request->done = on_listed;
    request->context = listing;
    request->list.prefix = pb_buffer_slice(&listing->prefix);
    /* The last key says where to go on, which any store gets right; Ceph RGW garbles tokens that
     * hold control characters. Only a page without keys leaves nothing but its token. */
    request->list.token = pb_buffer_slice(&listing->token);
    pb_slice last = pb_stream_last_key(stream);
    pb_buffer_clear(&listing->after);
    if (last.size) {
        pb_buffer_append(&listing->after, listing->prefix.data, listing->strip);
        pb_buffer_append_slice(&listing->after, last);
    }
    request->list.after = pb_buffer_slice(&listing->after);
    pb_store_submit(listing->store, request);
}

static void listing_close(void *state)
{
    listing_state *listing = state;
    pb_buffer_free(&listing->prefix);
    pb_buffer_free(&listing->after);
    pb_buffer_free(&listing->token);
    free(listing);
}

static const pb_stream_origin listing_origin = {listing_fetch, listing_close};

pb_stream *pb_listing_open(pb_store *store, pb_slice prefix, size_t strip, pb_slice after,
                           pb_slice through, void (*wake)(void *context), void *context)
{
    listing_state *listing = pb_allocate_zeroed(1, sizeof *listing);
    listing->store = store;
    listing->strip = strip;
    pb_buffer_append_slice(&listing->prefix, prefix);
    return pb_stream_open(&listing_origin, listing, pb_store_name(store), after, through, wake,
                          context);
}
