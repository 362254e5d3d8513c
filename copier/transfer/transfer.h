/* copier/transfer/transfer.h - one object from A to B, and the proof that it arrived.
 *
 * A pb_mover belongs to one loop and its thread. It runs a bounded number of transfers at once and
 * queues the rest in order; buffers come out of its budget. Retries of requests live below; what
 * fails here has failed for good, save one: a relay whose bytes do not match the source's ETag is
 * made once more before it counts as damage. */
#ifndef PB_COPIER_TRANSFER_TRANSFER_H
#define PB_COPIER_TRANSFER_TRANSFER_H

#include "copier/store/store.h"
#include "copier/transfer/budget.h"
#include "copier/transfer/decide.h"
#include <stdatomic.h>

typedef struct pb_mover pb_mover;

/* What is known of the bytes afterwards; the values are those of manifest/record.h. */
enum {
    PB_MOVED_SIZE = 1,
    PB_MOVED_ETAG = 2,
    PB_MOVED_CHECKSUM = 4,
    PB_MOVED_SHA256 = 8,
    PB_MOVED_KEY = 16,
};

#define PB_CODE_OCCUPIED "occupied" /* code of an error: the destination's key is taken */

typedef struct pb_transfer {
    /* The caller's; all pointers stay valid until done. */
    pb_transfer_kind
        kind; /* a COPY becomes a RELAY where the store makes none that could be proven */
    pb_store *source;
    pb_store *destination; /* not for READ, LOOK */
    pb_slice source_key;
    pb_slice destination_key;
    pb_slice
        name; /* the object's key as messages should say it; also looked at for a chunk's name */
    uint64_t size;    /* as listed: another size is an error */
    pb_slice etag;    /* the source's, no quotes: the object must still have it; empty: unknown */
    pb_slice version; /* of the source's entry: reads insist on it where the store can; may be empty
                       */
    bool must_match;  /* `etag` is also sent as a condition of reading (If-Match) */
    /* The destination's key is written at most once: PUTs are create-only (EXISTS with
     * PB_CODE_OCCUPIED where something is there), and a copy that turns out wrong (DAMAGED) is not
     * deleted: the caller may take it again under another key. */
    bool writes_once;
    pb_hash_kind digest_kind;       /* RELAY (so COPY), READ: SHA256 or CRC32C */
    const uint8_t *expected_digest; /* RELAY, READ: else DAMAGED; NULL: unknown */
    uint64_t expected_part_bytes;   /* the source's parts, where known: of its SHA-256 and ETag */
    pb_slice expected_etag; /* READ: bytes are held against this MD5 or multipart ETag, too, if no
                               SHA-256 is expected */
    bool hash_as_relayed;   /* READ: compute the digest that a RELAY of the object would have */
    bool looks_at_listing;  /* LOOK: at what the source lists, with times as listings have them;
                               NOT_FOUND means that the key is not listed */
    void (*done)(struct pb_transfer *transfer); /* once, on the loop, never inside pb_mover_start */
    void *context;

    /* Written before done. */
    pb_error *error; /* NULL on success; freed with free() by the caller */
    unsigned proof;  /* PB_MOVED_* */
    bool has_digest;
    /* Of the bytes; a SHA-256 with part_bytes is of the parts' binary SHA-256 in order (as AWS's
     * composite checksums are), so that parts may move in any order. */
    uint8_t digest[PB_DIGEST_BYTES_MAX];
    uint64_t part_bytes; /* of the destination's parts (READ: of the hashed ones); 0: it has none */
    char stored_etag[PB_ETAG_TEXT_MAX]; /* the destination's; READ, LOOK: the source's */
    uint64_t found_size;                /* LOOK: the source's, which may be another than `size` */
    int64_t found_mtime_ms;

    struct pb_transfer *next_; /* the mover's */
} pb_transfer;

typedef struct pb_mover_options {
    unsigned transfers_max;    /* at once */
    uint64_t memory_bytes;     /* of part buffers */
    uint64_t part_bytes;       /* a large relayed object is cut into these */
    uint64_t relay_single_max; /* a relayed object up to this goes in one buffer */
    uint64_t relay_buffer_max; /* the longest buffer that makes its ETag comparable: a whole object
                                  with a plain MD5, or a part as the source has it */
    uint64_t copy_single_max;  /* a server-side copy up to this is one request */
} pb_mover_options;

/* Counters for progress: written by the mover's thread, read by any. */
typedef struct pb_counters {
    _Atomic uint64_t objects; /* transfers that ended well */
    _Atomic uint64_t bytes;   /* of them, as they pass where they pass */
    _Atomic uint64_t keys;    /* keys that a workflow is through with, moved or not */
} pb_counters;

pb_mover_options pb_mover_options_default(void); /* 64; 256, 8, 24, 64 MiB; 5 GiB */
pb_mover *pb_mover_new(uv_loop_t *loop, const pb_mover_options *options, pb_counters *counters);
/* Nothing may be under way; freed by the loop's close callback. NULL allowed. */
void pb_mover_close(pb_mover *mover);
void pb_mover_start(pb_mover *mover, pb_transfer *transfer);
/* From now on transfers that have not begun end with CANCELLED. Of those under way, what is one
 * request ends with it; an upload in parts is aborted, once its requests under way have ended. */
void pb_mover_cancel(pb_mover *mover);
/* Transfers that were started and have not begun, and those under way. */
unsigned pb_mover_waiting(const pb_mover *mover);
unsigned pb_mover_running(const pb_mover *mover);
/* Takes back the first that has not begun, as it was started, for another mover to start; NULL for
 * none. */
pb_transfer *pb_mover_take(pb_mover *mover);
const pb_budget *pb_mover_budget(const pb_mover *mover);

/* True where `name` is a Pachyderm chunk's key ("chunk/<64 hex>.<16 hex>", whatever before it ends
 * in
 * '/'): its hex digits are the BLAKE2b-256 of the bytes (32 into ret_digest). */
bool pb_chunk_digest(pb_slice name, uint8_t *ret_digest);

#endif
