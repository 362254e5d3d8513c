/* snapshot/agreement.h - does the manifest hold what the database needs? Main thread. For this
 * room. */
#ifndef PB_SNAPSHOT_AGREEMENT_H
#define PB_SNAPSHOT_AGREEMENT_H

#include "cluster/process/chunk_sort.h"
#include "snapshot/repository.h"

/* Merges the keys of chunks (their sort is ended, and read to its end) with the records of `file`,
 * in O(1) memory. Each key that has no record is told as a finding "database-missing"; *ret_missing
 * counts them. -1 only where the two could not be read. */
int pb_agreement_check(pb_repository *repository, const pb_snapshot_file *file, pb_chunk_sort *sort,
                       uint64_t *ret_needed, uint64_t *ret_missing, pb_error *error);

#endif
