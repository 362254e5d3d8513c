/* snapshot/destination.h - how restore and copy keep a destination from losing what they write. For
 * this room.
 *
 * A run is up to three runs of the engine over the same keys. The first looks at all and writes
 * it, but for objects whose keys a path could change (base/key_form.h): these it puts off. Where
 * there are some, the store is probed (key_probe.h), and the second run writes them, or refuses
 * those of a form that the store does not keep, key by key. Where anything was written, what the
 * destination lists is compared with what should be there: a store may fold case or Unicode forms,
 * or keep nothing of what it acknowledged. Usually the sum of a listing's entries says that all is
 * there; where it does not, or there were objects that were put off, the third run compares key by
 * key. A dry run is the first alone. */
#ifndef PB_SNAPSHOT_DESTINATION_H
#define PB_SNAPSHOT_DESTINATION_H

#include "snapshot/key_probe.h"

typedef enum pb_round { PB_ROUND_ALL, PB_ROUND_PUT_OFF, PB_ROUND_CHECK } pb_round;

/* Zeroed, then filled down to failed_objects; the job has its phase, stores, open and context. */
typedef struct pb_destination {
    pb_job *job;
    pb_store *store;             /* on the session's loop */
    pb_listing *listing;         /* the job's, of the destination */
    void (*plan)(void *context); /* adds the ranges of a round to the job; the job's context */
    uint64_t *written_objects, *written_bytes, *present_objects; /* of all rounds so far */
    const uint64_t *failed_objects;                              /* likewise */

    pb_round round; /* the one that runs: what decide acts on */
    pb_key_probe probe;
    _Atomic unsigned put_off; /* forms of the keys that were */
    _Atomic uint64_t put_off_objects, refused_objects, lost_objects;
    atomic_bool etags_differ;
    uint64_t seed; /* of the hashes of entries */
    /* Of what the first round leaves there, and of what is listed afterwards. */
    struct pb_entry_sum {
        _Atomic uint64_t entries, hashes;
    } left, listed;
    uint64_t former_objects, former_bytes; /* that tries before this one wrote */
} pb_destination;

/* All rounds. What a former try wrote counts as written, though the last one found it there. 0 also
 * where objects were refused or lost: the caller adds both to its failures. */
int pb_destination_run(pb_destination *self, pb_error *error);

/* A round begins again, as some listing was in disorder: forgets what it counted. In the first
 * round it keeps so many objects and bytes, which the try that ends has written. */
void pb_destination_restart(pb_destination *self, uint64_t objects, uint64_t bytes);

/* In decide, of an object that is to be written, in the first two rounds: false where that is not
 * to be done in this round. A refusal is reported. From any thread, as those below. */
bool pb_destination_takes(pb_destination *self, pb_slice key);

/* In decide, of an object of the destination that stays as it is. */
void pb_destination_keeps(pb_destination *self, const pb_entry *there);

/* In emit, of an object that was written: which ETag its bytes have, and which one the store gave
 * them. Where plain ones differ (SSE-KMS), the check compares sizes alone. */
void pb_destination_wrote(pb_destination *self, pb_slice key, uint64_t size, pb_slice etag,
                          pb_slice stored_etag);

/* In decide, in the third round, of an object that was written or found there: reports it where the
 * listing's entry (NULL for none) is not what it should be. */
void pb_destination_check(pb_destination *self, pb_slice key, uint64_t size, pb_slice etag,
                          const pb_entry *there);

/* What to do about refused and lost objects; NULL where there are none. */
const char *pb_destination_hint(const pb_destination *self);

#endif
