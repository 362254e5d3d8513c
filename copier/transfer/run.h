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
    pb_transfer_run *next;    /* free list, or the mover's running ones */
    pb_transfer_run *before;  /* of those */
    pb_store_request request; /* all but parts */
    pb_buffer headers;        /* the object's own */
    char *upload_id;
    char (*etags)[PB_ETAG_TEXT_MAX];
    uint8_t *digests;       /* RELAY: of the parts, one behind the other */
    uint32_t *crc32cs;      /* likewise, where one of the ends knows CRC32Cs */
    bool source_has_crc32c; /* RELAY: the source said its object's */
    uint8_t source_crc32c[PB_CRC32C_BYTES];
    uint8_t object_crc32c[PB_CRC32C_BYTES]; /* of the bytes that were read, once all were */
    uint64_t learnt_part_bytes;             /* of the source's parts, as it told; 0: not known */
    bool layout_asked;
    bool again;                                /* the second try */
    bool upload_lost;                          /* once; no third upload is begun */
    uint8_t first_digest[PB_DIGEST_BYTES_MAX]; /* of the first, where only its ETag was in doubt */
    bool etag_opaque;                          /* some end said that its ETag is no MD5 */
    bool destination_compares; /* RELAY: its ETags are MD5s, and none is computed here */
    unsigned parts_same;       /* RELAY: parts that the destination is known to hold */
    pb_etag_check *etag_check; /* READ, and RELAY to where ETags are no MD5s */
    /* READ: */
    pb_hash *hash; /* of the part that is being read */
    pb_hash *hash_of_parts;
    pb_hash *key_hash; /* RELAY too */
    bool wants_digest, wants_key;
    uint64_t part_bytes, part_left, received;
};

/* The ETag that reading the source is made to depend on; empty for none. */
static inline pb_slice pb_transfer_condition(const pb_transfer *transfer)
{
    return transfer->must_match ? transfer->etag : (pb_slice){NULL, 0};
}

/* A SHA-256 of an object in parts is of their digests, and of that layout only; a CRC32C is of the
 * bytes, whatever the parts. */
static inline bool pb_transfer_digests_parts(const pb_transfer *transfer)
{
    return transfer->digest_kind == PB_HASH_SHA256;
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
/* Fails it with another kind. */
void pb_transfer_fail(pb_transfer_run *run, pb_error_kind kind, const char *why);
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

/* True where a relay computes the CRC32C of the bytes, whatever else it hashes. */
static inline bool pb_transfer_needs_crc32c(const pb_transfer *transfer)
{
    return pb_store_capabilities_of(transfer->source)->has_crc32c ||
           pb_store_capabilities_of(transfer->destination)->has_crc32c;
}

/* proof.c: True where both ends' ETags are MD5s of the whole bytes, as far as their form tells:
 * then they must be equal. */
bool pb_transfer_both_plain(const pb_transfer_run *run, const char *stored);
/* True where equal ETags mean equal bytes: both are MD5s (of parts, maybe) of stores that say so.
 */
bool pb_transfer_etag_proves(const pb_transfer_run *run, const char *stored);
/* Holds a digest against the expected one, if any. False where it is another: then the bytes are
 * moved or read once more, or the transfer has failed. */
bool pb_transfer_digest_holds(pb_transfer_run *run, const uint8_t *digest);
/* Puts it into the transfer; as a proof where the bytes at the destination are known to have it. */
void pb_transfer_keep_digest(pb_transfer_run *run, const uint8_t *digest, bool proven);
/* A single object's bytes are in memory, or all parts are at the destination: held against what is
 * known of them before they are promised. False as above; check_parts computes transfer->digest. */
bool pb_transfer_check_single(pb_transfer_run *run, pb_slice bytes, const uint8_t *digest);
bool pb_transfer_check_parts(pb_transfer_run *run);
/* A single object's bytes were written, and are still there: compared with the source's ETag where
 * the destination was to do that, and turned out not to. False as above. */
bool pb_transfer_check_written(pb_transfer_run *run, pb_slice bytes);
/* What an answer to a write proves of the bytes at the destination. */
typedef enum pb_transfer_stored {
    PB_TRANSFER_STORED_OTHER, /* they are not those that were sent: the transfer has failed */
    PB_TRANSFER_STORED_TOLD,  /* nothing: the store says that it took them */
    PB_TRANSFER_STORED_SAME,  /* they are: a digest or an ETag of them was compared */
} pb_transfer_stored;
/* After the PUT of `bytes` that are the object or one part of it, and have `digest`. */
pb_transfer_stored pb_transfer_judge_put(pb_transfer_run *run, const pb_store_request *written,
                                         pb_slice bytes, const uint8_t *digest);
/* After the request that made the parts one object. */
pb_transfer_stored pb_transfer_judge_parts(pb_transfer_run *run, const pb_store_request *written);

/* read.c: reads the whole object for its proof; asks for its size and ETag. */
void pb_transfer_read(pb_transfer_run *run);
void pb_transfer_look(pb_transfer_run *run);

#endif
