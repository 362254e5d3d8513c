/* copier/shard/stream.h - entries in key order, fetched page by page ahead of their reader.
 *
 * What a listing and a manifest have in common. Whatever delivers pages, the stream checks that all
 * of their keys strictly increase, and cuts them to the range (after, through]: keys out of order
 * or twice are an error here and never reach a merge. One loop, one thread; at most two pages
 * held. */
#ifndef PB_COPIER_SHARD_STREAM_H
#define PB_COPIER_SHARD_STREAM_H

#include "base/error.h"
#include "copier/store/page.h"

typedef struct pb_stream pb_stream;

/* Where pages come from. */
typedef struct pb_stream_origin {
    /* Begins to fetch the page after pb_stream_last_key; answers with pb_stream_deliver exactly
     * once, never inside this call. */
    void (*fetch)(void *state, pb_stream *stream);
    /* All keys of the range were read. True where the origin looks whether the range may end so: it
     * answers with pb_stream_end_checked once, never inside this call. Called again where the range
     * is narrowed afterwards. NULL: it may. */
    bool (*check_end)(void *state, pb_stream *stream);
    /* Keys came out of order: adds to the error what that means. NULL: nothing. */
    void (*disordered)(void *state, pb_error *error);
    /* The stream is closed, and can still be asked: frees state. */
    void (*close)(void *state, pb_stream *stream);
} pb_stream_origin;

/* Opens on a range; `through` with data NULL is open above. `wake` is called on the loop when peek
 * may say more than before; never inside pb_stream_open/peek/advance. name is for messages
 * (borrowed). Slices are copied. Takes `state`. The first fetch begins at once. */
pb_stream *pb_stream_open(const pb_stream_origin *origin, void *state, const char *name,
                          pb_slice after, pb_slice through, void (*wake)(void *context),
                          void *context);
/* Frees; no fetch may be under way. NULL allowed. */
void pb_stream_close(pb_stream *stream);
/* True while a fetch or a check is under way; a wake follows its end. */
bool pb_stream_is_fetching(const pb_stream *stream);

typedef enum pb_stream_state {
    PB_STREAM_READY,
    PB_STREAM_WAITING,
    PB_STREAM_END,
    PB_STREAM_FAILED,
} pb_stream_state;

/* The entry at the front, and the page it lives in (kept by whoever needs it longer than to the
 * next advance). */
pb_stream_state pb_stream_peek(pb_stream *stream, const pb_entry **ret_entry, pb_page **ret_page);
void pb_stream_advance(pb_stream *stream);                /* after READY */
const pb_error *pb_stream_error(const pb_stream *stream); /* after FAILED */

/* The range ends at `through` from now on: what was fetched behind it is dropped, what comes is
 * cut. Nothing behind it was peeked at (keys taken from peeked entries before stay valid). */
void pb_stream_narrow(pb_stream *stream, pb_slice through);
/* True while keys behind pb_stream_last_key may come. */
bool pb_stream_has_more(const pb_stream *stream);
uint64_t pb_stream_pages(const pb_stream *stream); /* delivered so far */
/* Of the last two pages that had keys (of the one, where it is alone); empty before. */
pb_slice pb_stream_recent_first_key(const pb_stream *stream);

/* For origins. The page is taken over; page->more says whether another fetch follows. On error page
 * is NULL and *error says why. */
void pb_stream_deliver(pb_stream *stream, pb_page *page, const pb_error *error);
/* The end may stay as it is (error NULL), or the stream fails. */
void pb_stream_end_checked(pb_stream *stream, const pb_error *error);
/* The last of all delivered that the range holds, or `after`. */
pb_slice pb_stream_last_key(const pb_stream *stream);
pb_slice pb_stream_through(const pb_stream *stream); /* empty: open above */

/* What the pages showed behind the range. */
typedef enum pb_stream_edge {
    PB_STREAM_EDGE_UNKNOWN, /* not fetched to its end */
    PB_STREAM_EDGE_KEY,     /* a key */
    PB_STREAM_EDGE_END,     /* that nothing follows */
    PB_STREAM_EDGE_EXACT,   /* nothing: the last key is the range's end, and more would follow */
} pb_stream_edge;

pb_stream_edge pb_stream_edge_of(const pb_stream *stream, pb_slice *ret_beyond);
/* True where peek has answered END for the range as it is now. */
bool pb_stream_is_at_end(const pb_stream *stream);

#endif
