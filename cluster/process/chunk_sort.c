#include "cluster/process/chunk_sort.h"

#include "cluster/process/child.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    GATHERED_BYTES = 64 * 1024,   /* of keys, written at once */
    FULL_BYTES = 4 * 1024 * 1024, /* queued for sort: more is held up */
    OUTPUT_BYTES = 256 * 1024,    /* read ahead of the reader */
};

struct pb_chunk_sort {
    uv_loop_t *loop;
    pb_child *child; /* NULL once it is over */
    void (*drained)(void *context);
    void *context;
    pb_buffer gathered; /* keys that are not written yet */
    pb_buffer output;   /* sorted, from `read` on not told yet */
    size_t read;
    bool paused, was_full;
    pb_error error;
};

static int on_received(void *context, const void *data, size_t size, pb_error *error)
{
    pb_chunk_sort *sort = context;
    (void)error;
    pb_buffer_append(&sort->output, data, size);
    if (sort->output.size - sort->read >= OUTPUT_BYTES) {
        sort->paused = true;
        pb_child_pause(sort->child, true);
    }
    return 0;
}

static void on_drained(void *context)
{
    pb_chunk_sort *sort = context;
    if (sort->was_full && sort->drained) {
        sort->was_full = false;
        sort->drained(sort->context);
    }
}

static void on_done(void *context, pb_child *child, const pb_error *error)
{
    pb_chunk_sort *sort = context;
    (void)child;
    sort->child = NULL;
    sort->error = *error;
}

void pb_chunk_sort_tell(pb_chunk_sort *sort, void (*drained)(void *context), void *context)
{
    sort->drained = drained;
    sort->context = context;
}

int pb_chunk_sort_start(uv_loop_t *loop, const char *folder, pb_chunk_sort **ret_sort,
                        pb_error *error)
{
    char memory[32];
    snprintf(memory, sizeof memory, "--buffer-size=%db", PB_CHUNK_SORT_MEMORY_BYTES);
    const char *const arguments[] = {"sort", "--unique", memory, "--temporary-directory",
                                     folder, NULL};
    static const char *const environment[] = {"LC_ALL=C", NULL};
    pb_chunk_sort *sort = pb_allocate_zeroed(1, sizeof *sort);
    const pb_child_options options = {
        .arguments = arguments,
        .environment = environment,
        .has_input = true,
        .received = on_received,
        .drained = on_drained,
        .done = on_done,
        .context = sort,
    };
    sort->loop = loop;
    if (pb_child_start(loop, &options, &sort->child, error)) {
        free(sort);
        return -1;
    }
    *ret_sort = sort;
    return 0;
}

static void write_gathered(pb_chunk_sort *sort)
{
    if (sort->child && sort->gathered.size)
        pb_child_write(sort->child, sort->gathered.data, sort->gathered.size);
    pb_buffer_clear(&sort->gathered);
}

void pb_chunk_sort_add(pb_chunk_sort *sort, pb_slice key)
{
    pb_buffer_append_slice(&sort->gathered, key);
    pb_buffer_append_char(&sort->gathered, '\n');
    if (sort->gathered.size >= GATHERED_BYTES)
        write_gathered(sort);
    sort->was_full |= pb_chunk_sort_is_full(sort);
}

bool pb_chunk_sort_is_full(const pb_chunk_sort *sort)
{
    return sort->child && pb_child_pending(sort->child) >= FULL_BYTES;
}

void pb_chunk_sort_end(pb_chunk_sort *sort)
{
    write_gathered(sort);
    if (sort->child)
        pb_child_end_input(sort->child);
}

int pb_chunk_sort_next(pb_chunk_sort *sort, const atomic_bool *cancelled, pb_slice *ret_key,
                       pb_error *error)
{
    for (;;) {
        size_t left = sort->output.size - sort->read;
        const char *start = left ? sort->output.data + sort->read : NULL;
        const char *end = left ? memchr(start, '\n', left) : NULL;
        if (end) {
            *ret_key = (pb_slice){start, (size_t)(end - start)};
            sort->read += ret_key->size + 1;
            return 1;
        }
        if (!sort->child && sort->error.kind) {
            *error = sort->error;
            pb_error_context(error, "sorting the chunks that the database needs");
            return pb_error_hint(error,
                                 "is there room in the folder for temporary files? --scratch "
                                 "DIR names another one");
        }
        if (!sort->child)
            return left ? pb_error_set(error, PB_ERROR_FAILED, "sort gave half a line") : 0;
        if (left)
            memmove(sort->output.data, start, left);
        sort->output.size = left;
        sort->read = 0;
        if (sort->paused) {
            sort->paused = false;
            pb_child_pause(sort->child, false);
        }
        if (cancelled && *cancelled)
            return pb_error_set(error, PB_ERROR_CANCELLED, "cancelled");
        uv_run(sort->loop, UV_RUN_ONCE);
    }
}

void pb_chunk_sort_free(pb_chunk_sort *sort)
{
    if (!sort)
        return;
    pb_error none;
    pb_error_set(&none, PB_ERROR_CANCELLED, "not needed any more");
    if (sort->child)
        pb_child_kill(sort->child, &none);
    while (sort->child)
        uv_run(sort->loop, UV_RUN_ONCE);
    pb_buffer_free(&sort->gathered);
    pb_buffer_free(&sort->output);
    free(sort);
}
