/* snapshot/reuse.h - what becomes of an object of the source in a new snapshot: is a copy of it
 * there already, and what proves that? Pure. For this room.
 *
 * What may be there: the record of the base, records of donors (attempts that ended without a
 * commit), and objects that donors stored and no record speaks of. */
#ifndef PB_SNAPSHOT_REUSE_H
#define PB_SNAPSHOT_REUSE_H

#include "copier/store/page.h"

enum { PB_DONORS_MAX = 6 };

typedef struct pb_reuse_ends {
    bool source_etag_is_md5, repository_etag_is_md5;
    bool server_side; /* the repository's store copies by itself */
} pb_reuse_ends;

typedef enum pb_reuse_kind {
    PB_REUSE_MOVE,        /* copy it */
    PB_REUSE_KEEP,        /* the base's record holds */
    PB_REUSE_TAKE,        /* donor number `donor` has a record of it, which holds */
    PB_REUSE_FOUND,       /* that donor stored it: the ETags are proof */
    PB_REUSE_READ_STORED, /* it may have: read what is stored and compare with the source's ETag */
    PB_REUSE_READ_SOURCE, /* likewise: read the source and compare with the stored object's ETag */
    PB_REUSE_READ_BOTH,   /* likewise: no ETag says anything, compare the digests of both */
} pb_reuse_kind;

typedef struct pb_reuse {
    pb_reuse_kind kind;
    unsigned donor;
} pb_reuse;

/* True where the record (as a manifest's entry) is of the object as it is listed now. */
bool pb_reuse_unchanged(const pb_entry *source, const pb_entry *record);

/* `base` is NULL for none; records[i] and stored[i] are those of donor i, NULL for none, the newest
 * donor first. */
pb_reuse pb_reuse_choose(const pb_reuse_ends *ends, const pb_entry *source, const pb_entry *base,
                         const pb_entry *const *records, const pb_entry *const *stored,
                         unsigned donors);

#endif
