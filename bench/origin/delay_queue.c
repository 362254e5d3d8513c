#include "bench/origin/delay_queue.h"
#include "base/bytes.h"
#include <stdlib.h>

static int earlier(const pb_origin_delay *a, const pb_origin_delay *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->sequence < b->sequence;
}

static void place(pb_origin_delay_queue *queue, size_t position, pb_origin_delay *delay)
{
    queue->heap[position] = delay;
    delay->position = position;
}

static void sift_up(pb_origin_delay_queue *queue, size_t position, pb_origin_delay *delay)
{
    while (position > 0) {
        size_t parent = (position - 1) / 2;
        if (!earlier(delay, queue->heap[parent])) {
            break;
        }
        place(queue, position, queue->heap[parent]);
        position = parent;
    }
    place(queue, position, delay);
}

static void sift_down(pb_origin_delay_queue *queue, size_t position, pb_origin_delay *delay)
{
    for (;;) {
        size_t child = position * 2 + 1;
        if (child >= queue->count) {
            break;
        }
        if (child + 1 < queue->count && earlier(queue->heap[child + 1], queue->heap[child])) {
            child++;
        }
        if (!earlier(queue->heap[child], delay)) {
            break;
        }
        place(queue, position, queue->heap[child]);
        position = child;
    }
    place(queue, position, delay);
}

void pb_origin_delay_queue_free(pb_origin_delay_queue *queue)
{
    free(queue->heap);
    *queue = (pb_origin_delay_queue){0};
}

void pb_origin_delay_queue_add(pb_origin_delay_queue *queue, pb_origin_delay *delay,
                               uint64_t due_ms)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity ? queue->capacity * 2 : 256;
        queue->heap = pb_reallocate(queue->heap, queue->capacity * sizeof(queue->heap[0]));
    }
    delay->due_ms = due_ms;
    delay->sequence = queue->sequence++;
    sift_up(queue, queue->count++, delay);
}

void pb_origin_delay_queue_remove(pb_origin_delay_queue *queue, pb_origin_delay *delay)
{
    size_t position = delay->position;
    pb_origin_delay *last = queue->heap[--queue->count];
    delay->position = PB_ORIGIN_NOT_QUEUED;
    if (last == delay) {
        return;
    }
    if (position > 0 && earlier(last, queue->heap[(position - 1) / 2])) {
        sift_up(queue, position, last);
    } else {
        sift_down(queue, position, last);
    }
}

pb_origin_delay *pb_origin_delay_queue_first(const pb_origin_delay_queue *queue)
{
    return queue->count > 0 ? queue->heap[0] : NULL;
}
