/* cluster/process/chunk_sort.h - the keys of chunks that a database needs, put in order in O(1)
 * memory by sort(1) (LC_ALL=C, duplicates dropped, temporary files of its own). */
#ifndef PB_CLUSTER_PROCESS_CHUNK_SORT_H
#define PB_CLUSTER_PROCESS_CHUNK_SORT_H

#include "base/bytes.h"
#include "base/error.h"
#include <stdatomic.h>
#include <uv.h>

typedef struct pb_chunk_sort pb_chunk_sort;

enum { PB_CHUNK_SORT_MEMORY_BYTES = 64 * 1024 * 1024 }; /* more goes to disk */

/* `folder` is for the temporary files. */
int pb_chunk_sort_start(uv_loop_t *loop, const char *folder, pb_chunk_sort **ret_sort,
                        pb_error *error);
/* `drained` is called on the loop when pb_chunk_sort_is_full is over; NULL: nobody is. */
void pb_chunk_sort_tell(pb_chunk_sort *sort, void (*drained)(void *context), void *context);
void pb_chunk_sort_add(pb_chunk_sort *sort, pb_slice key); /* no newline in it */
/* Whoever goes on adding while it is full takes memory for it. */
bool pb_chunk_sort_is_full(const pb_chunk_sort *sort);
void pb_chunk_sort_end(pb_chunk_sort *sort); /* no more keys; the order can be read */
/* The next key in bytewise order, valid until the loop runs: 1; 0 at the end; -1. Runs the loop,
 * and is CANCELLED where `cancelled` (NULL allowed) turns true meanwhile. */
int pb_chunk_sort_next(pb_chunk_sort *sort, const atomic_bool *cancelled, pb_slice *ret_key,
                       pb_error *error);
void pb_chunk_sort_free(
    pb_chunk_sort *sort); /* kills what still runs, running the loop; NULL allowed */

#endif
