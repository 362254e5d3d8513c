/* copier/shard/spool.h - a listing that is put in order on disk: an external merge sort.
 *
 * Entries are gathered in memory, sorted into runs, and the runs merged, into files that have no
 * name: nothing is left of them, whatever ends the program. The sorted file is read in blocks, by
 * several threads at once. Calls block, but for pb_spool_add: they are for threads of libuv's pool.
 */
#ifndef PB_COPIER_SHARD_SPOOL_H
#define PB_COPIER_SHARD_SPOOL_H

#include "base/error.h"
#include "copier/store/page.h"
#include <stdatomic.h>

typedef struct pb_spool pb_spool;

typedef struct pb_spool_options {
    const char *folder;           /* borrowed; must exist */
    size_t run_bytes;             /* of memory; 0 for 32 MiB */
    const atomic_bool *cancelled; /* asked now and then; NULL: never */
} pb_spool_options;

pb_spool *pb_spool_new(const pb_spool_options *options);
void pb_spool_free(pb_spool *spool); /* NULL allowed */

/* Adds an entry (its key, size, time and ETag, copied), in any order. A key that is added twice is
 * kept once: as it was written last. */
void pb_spool_add(pb_spool *spool, const pb_entry *entry);
/* True where the memory is full, and pb_spool_write must make room. */
bool pb_spool_is_full(const pb_spool *spool);
int pb_spool_write(pb_spool *spool, pb_error *error);
/* No more entries: sorts all. Fails with NO_SPACE, CANCELLED and what else a disk may say; messages
 * name the folder. */
int pb_spool_sort(pb_spool *spool, pb_error *error);

/* After pb_spool_sort, on any thread: the sorted entries, in blocks. */
uint64_t pb_spool_blocks(const pb_spool *spool);
/* The block that holds the first key behind `after`; the number of blocks where there is none. */
int pb_spool_seek(const pb_spool *spool, pb_slice after, uint64_t *ret_block, pb_error *error);
/* The entries of a block, in a new page without `more`. */
int pb_spool_read(const pb_spool *spool, uint64_t block, pb_page **ret_page, pb_error *error);

#endif
