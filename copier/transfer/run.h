/* copier/transfer/run.h - a transfer that has begun, as this room's files share it. For this room
 * only. */
#ifndef PB_COPIER_TRANSFER_RUN_H
#define PB_COPIER_TRANSFER_RUN_H

#include "copier/store/etag.h"
#include "copier/transfer/transfer.h"

typedef struct pb_transfer_run pb_transfer_run;

/* A transfer that has begun. */
struct pb_transfer_run {
    pb_mover *mover;
    pb_counters *counters; /* the mover's */
    pb_transfer *transfer;
    pb_transfer_facts facts;
    pb_transfer_run *next;    /* free list */
    pb_store_request request; /* all but parts */
    pb_buffer headers;        /* the object's own */
    char *upload_id;
    char (*etags)[PB_ETAG_TEXT_MAX];
    uint8_t (*digests)[PB_SHA256_BYTES];
    bool again;                            /* the second try */
    uint8_t first_sha256[PB_SHA256_BYTES]; /* of the first one, where only its ETag was in doubt */
    bool etag_opaque;                      /* some end said that its ETag is no MD5 */
    pb_etag_check *etag_check;             /* READ, and RELAY to where ETags are no MD5s */
    /* READ: */
    pb_hash *hash; /* of the part that is being read */
    pb_hash *hash_of_parts;
    pb_hash *key_hash; /* RELAY too */
    bool wants_sha256, wants_key;
    uint64_t part_bytes, part_left, received;
};

/* The ETag that reading the source is made to depend on; empty for none. */
static inline pb_slice pb_transfer_condition(const pb_transfer *transfer)
{
    return transfer->must_match ? transfer->etag : (pb_slice){NULL, 0};
}

/* Begins a request that is not a part's: zeroed, counted as in flight; the caller fills and submits
 * it. */
pb_store_request *pb_transfer_request_begin(pb_transfer_run *run, pb_store_operation operation,
                                            void (*done)(pb_store_request *));
/* A completion's first call: takes the request off what is in flight, and its error over. */
void pb_transfer_request_ended(pb_transfer_run *run, const pb_store_request *request);
/* Fails the transfer with DAMAGED; code is "truncated" or "mismatch". */
void pb_transfer_damaged(pb_transfer_run *run, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Bytes that are not what they should be may have been changed on their way: true the first time,
 * when they are moved or read once more. Then they count as damaged. */
static inline bool pb_transfer_again(pb_transfer_run *run)
{
    bool first = !run->again;
    run->again = true;
    return first;
}

/* A completion's last call: does what comes next. The run may be over afterwards. */
void pb_transfer_step(pb_transfer_run *run);

/* read.c: reads the whole object for its proof; asks for its size and ETag. */
void pb_transfer_read(pb_transfer_run *run);
void pb_transfer_look(pb_transfer_run *run);

#endif
