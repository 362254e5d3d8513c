/* copier/shard/shard.h - a key range at work: several ordered streams merged, key by key, into
 * transfers and then, in key order again, into results.
 *
 * This is the one engine under backup, copy, restore and verify: what differs is the
 * `pb_shard_work` that a workflow gives. For each key that any stream has, in order, `decide` sees
 * what each stream says of it and fills an item; the item's transfer, if it has one, runs beside
 * many others; `emit` gets the items in key order when they are done. One loop, one thread, memory
 * bounded by PB_SHARD_WINDOW. */
#ifndef PB_COPIER_SHARD_SHARD_H
#define PB_COPIER_SHARD_SHARD_H

#include "base/range.h"
#include "copier/shard/stream.h"
#include "copier/transfer/transfer.h"

enum { PB_SHARD_STREAMS_MAX = 16 };
enum { PB_SHARD_WINDOW = 2048 }; /* items between decide and emit */

typedef struct pb_shard pb_shard;

/* One key between decide and emit. */
typedef struct pb_item {
    pb_transfer transfer;  /* kind NONE: nothing to move. Pointers as pb_transfer says */
    unsigned verdict;      /* the workflow's */
    const pb_entry *entry; /* the head decided on; lives until emit is over, with its page */
    const pb_entry *other; /* another head for the same key, or NULL */
    const void *detail;    /* the workflow's, borrowed */
    unsigned looks;        /* the workflow's: see snapshot/changed_source.h */
    pb_error *kept_error;  /* likewise; NULL for none; freed with the item */
    pb_page *pages[PB_SHARD_STREAMS_MAX]; /* the shard's: kept for entry and other */
    unsigned page_count;
    bool done;
} pb_item;

typedef struct pb_shard_work {
    /* heads[i] is what stream i says of the key, NULL where it has nothing; at least one is not
     * NULL. `arena` lives as long as the item. Returns 0, or -1 to fail the shard. Sets
     * ret_item->verdict, entry and transfer; an item with `entry` NULL is dropped: never emitted.
     */
    int (*decide)(void *context, const pb_entry *const *heads, pb_arena *arena, pb_item *ret_item,
                  pb_error *error);
    /* The item's transfer is over, well or not (item->transfer.error): true where another one was
     * set up in item->transfer, which is started then. NULL: never. */
    bool (*again)(void *context, pb_item *item, pb_arena *arena);
    /* In key order. 0; 1: not now, pb_shard_wake will follow; -1 to fail the shard. */
    int (*emit)(void *context, pb_item *item, pb_error *error);
    /* A transfer failed for its object alone (item->transfer.error): instead of emit. 0 goes on
     * with the other objects; -1 fails the shard with *error. */
    int (*failed)(void *context, pb_item *item, pb_error *error);
    /* All items are through. 0; 1: not now; -1. NULL: nothing to do then. */
    int (*finish)(void *context, pb_error *error);
    /* True while something of the workflow's own is under way, after which it calls pb_shard_wake:
     * the shard is not over before. NULL: never. */
    bool (*is_busy)(const void *context);
    /* The shard is over, well or not (error NULL or why): frees context. Nothing is under way. */
    void (*over)(void *context, const pb_error *error);
} pb_shard_work;

/* Whoever runs shards (engine.c). Both on the loop, never inside a function of this header. */
typedef struct pb_shard_host {
    void (*paged)(void *context, pb_shard *shard); /* stream 0 gave more pages */
    /* The shard will end so, once what is under way has ended. */
    void (*failed)(void *context, const pb_error *error);
    /* The shard is over, after its work's `over`, and gone after this. */
    void (*over)(void *context, pb_shard *shard, const pb_error *error);
} pb_shard_host;

/* A shard without work and streams yet. Takes `range`. */
pb_shard *pb_shard_new(pb_range range, pb_mover *mover, const pb_shard_host *host,
                       void *host_context);
void pb_shard_set_work(pb_shard *shard, const pb_shard_work *work, void *context);
/* Adds a stream of the shard's range (taken over), with pb_shard_wake and the shard to wake; its
 * number is the order of adding, from 0. */
void pb_shard_add_stream(pb_shard *shard, pb_stream *stream);
/* What it covers; the end comes nearer with each split. Borrowed until the shard is over. */
const pb_range *pb_shard_range(const pb_shard *shard);
/* Begins. From here on the shard ends by itself with `over`, and is freed. */
void pb_shard_start(pb_shard *shard, uv_loop_t *loop);
/* Ends it with `error`, unless it has failed already, once what is under way has ended. */
void pb_shard_stop(pb_shard *shard, const pb_error *error);
/* Goes on if it can; a pb_stream's wake and a workflow's. */
void pb_shard_wake(void *shard);

/* Lets the shard be split once stream 0, a listing of keys that agree in `stem_bytes` at their
 * front, has given `pages`. Without this call it never is. */
void pb_shard_allow_split(pb_shard *shard, uint64_t pages, size_t stem_bytes);
/* Pages listed since the shard began or was split: the more, the more is likely to follow. 0 where
 * it can't be split now. */
uint64_t pb_shard_pages_since_split(const pb_shard *shard);
/* Gives away the far part of what stream 0 has not listed yet, as up to `wanted` neighbouring
 * ranges (split.h); the caller's, in order. 0 where nothing can be given now. */
size_t pb_shard_split(pb_shard *shard, size_t wanted, pb_range *ret_ranges);

#endif
