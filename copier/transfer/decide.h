/* copier/transfer/decide.h - what a transfer does next: a pure function over facts.
 *
 * decide / record / drive: completions record facts here, pb_transfer_next says what follows, and
 * transfer.c alone acts on it. */
#ifndef PB_COPIER_TRANSFER_DECIDE_H
#define PB_COPIER_TRANSFER_DECIDE_H

#include "base/bytes.h"

typedef enum pb_transfer_kind {
    PB_TRANSFER_NONE,
    PB_TRANSFER_COPY,  /* server-side: no byte passes here */
    PB_TRANSFER_RELAY, /* read from the source, hash, write to the destination */
    PB_TRANSFER_READ,  /* read from the source and hash, for a proof */
    PB_TRANSFER_LOOK,  /* ask the source for size, ETag and time, in place of a listing */
} pb_transfer_kind;

typedef struct pb_transfer_facts {
    pb_transfer_kind kind;
    uint64_t size;
    uint64_t part_bytes; /* 0: one request moves it all; else multipart in parts of this length */
    unsigned parts;      /* with part_bytes: how many; at least 1 */
    unsigned parts_wanted_in_flight;

    bool headers_known; /* multipart: the source's object headers were read */
    bool upload_begun;  /* multipart: CREATE answered */
    unsigned parts_begun;
    unsigned parts_done;
    bool moved;          /* COPY, PUT or COMPLETE answered; READ: the GET ended */
    bool doubtful;       /* moved, but neither ETag nor hash proves it: look at both ends */
    bool source_checked; /* the source still has the ETag that was copied */
    bool size_known;
    bool undo_needed; /* what was written is not what was meant: it must not stay */
    bool undo_done;
    bool again;         /* multipart: the bytes were not right: all of it once more */
    bool failed;        /* some request failed for good */
    bool abort_done;    /* ABORT answered, in whatever way */
    unsigned in_flight; /* requests under way */
} pb_transfer_facts;

typedef enum pb_transfer_action {
    PB_TRANSFER_WAIT,         /* for what is in flight */
    PB_TRANSFER_MOVE,         /* COPY; GET then PUT; GET: in one go */
    PB_TRANSFER_READ_HEADERS, /* HEAD of the source */
    PB_TRANSFER_BEGIN_UPLOAD,
    PB_TRANSFER_BEGIN_PART, /* number parts_begun + 1 */
    PB_TRANSFER_COMPLETE,
    PB_TRANSFER_CHECK_SOURCE, /* HEAD of the source: is it still what was listed? */
    PB_TRANSFER_CHECK_SIZE,   /* HEAD of the destination */
    PB_TRANSFER_UNDO,         /* DELETE of the destination */
    PB_TRANSFER_START_OVER,   /* with new facts, after ABORT */
    PB_TRANSFER_ABORT,        /* of the upload, after a failure or before starting over */
    PB_TRANSFER_FINISH,
} pb_transfer_action;

pb_transfer_action pb_transfer_next(const pb_transfer_facts *facts);

/* The layout of a transfer: part_bytes and parts into *facts, whose kind and size are set.
 * part_bytes_default is what a large object is cut into; layout_bytes the source's own part length
 * where known (0 else), which makes multipart ETags comparable; single_bytes_max what one request
 * may move; parts_max and part_bytes_min the destination's limits. */
void pb_transfer_lay_out(pb_transfer_facts *facts, uint64_t part_bytes_default,
                         uint64_t layout_bytes, uint64_t single_bytes_max, unsigned parts_max,
                         uint64_t part_bytes_min);

/* Length of part `number` (from 1). */
uint64_t pb_transfer_part_length(const pb_transfer_facts *facts, unsigned number);

#endif
