/* bench/origin/delay_queue.h - answers that wait: a binary heap by due time, so that one timer
 * serves all of them. Equal times leave in the order they came. */
#ifndef PB_BENCH_ORIGIN_DELAY_QUEUE_H
#define PB_BENCH_ORIGIN_DELAY_QUEUE_H

#include <stddef.h>
#include <stdint.h>

/* Lives in whatever waits; {.position = PB_ORIGIN_NOT_QUEUED} at first. */
typedef struct pb_origin_delay {
    uint64_t due_ms;
    uint64_t sequence;
    size_t position;
} pb_origin_delay;

#define PB_ORIGIN_NOT_QUEUED SIZE_MAX

/* {0} is an empty one. */
typedef struct pb_origin_delay_queue {
    pb_origin_delay **heap;
    size_t count;
    size_t capacity;
    uint64_t sequence;
} pb_origin_delay_queue;

void pb_origin_delay_queue_free(pb_origin_delay_queue *queue);
void pb_origin_delay_queue_add(pb_origin_delay_queue *queue, pb_origin_delay *delay,
                               uint64_t due_ms);
void pb_origin_delay_queue_remove(pb_origin_delay_queue *queue, pb_origin_delay *delay);
/* The one that is due first; NULL for none. */
pb_origin_delay *pb_origin_delay_queue_first(const pb_origin_delay_queue *queue);

#endif
