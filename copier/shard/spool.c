#include "copier/shard/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A file is a sequence of blocks: how many bytes of it are used (in 4 bytes), and entries one
 * behind the other, none of them in two blocks. */
enum { BLOCK_BYTES = 64 * 1024, BLOCK_HEAD_BYTES = 4 };
enum { RUN_BYTES = 32 * 1024 * 1024, FAN_IN = 32, LEVELS_MAX = 8 };

/* An entry as it lies in memory and in blocks, before its key and its ETag. */
typedef struct entry_head {
    uint64_t size;
    int64_t mtime_ms;
    uint32_t key_size, etag_size;
} entry_head;

typedef struct run_file {
    int file; /* without a name */
    uint64_t blocks;
} run_file;

struct pb_spool {
    pb_spool_options options;
    pb_buffer text;  /* entries not written yet */
    size_t *offsets; /* of them */
    size_t count, capacity;
    run_file runs[LEVELS_MAX][FAN_IN]; /* a full level is merged into one run of the next */
    unsigned run_count[LEVELS_MAX];
    run_file sorted;
};

pb_spool *pb_spool_new(const pb_spool_options *options)
{
    pb_spool *spool = pb_allocate_zeroed(1, sizeof *spool);
    spool->options = *options;
    if (!spool->options.run_bytes)
        spool->options.run_bytes = RUN_BYTES;
    spool->sorted.file = -1;
    return spool;
}

static void run_close(run_file *run)
{
    if (run->file >= 0)
        close(run->file);
    run->file = -1;
}

static void forget_memory(pb_spool *spool)
{
    pb_buffer_free(&spool->text);
    free(spool->offsets);
    spool->offsets = NULL;
    spool->count = spool->capacity = 0;
}

void pb_spool_free(pb_spool *spool)
{
    if (!spool)
        return;
    for (unsigned level = 0; level < LEVELS_MAX; level++)
        for (unsigned i = 0; i < spool->run_count[level]; i++)
            run_close(&spool->runs[level][i]);
    run_close(&spool->sorted);
    forget_memory(spool);
    free(spool);
}

/* ---- entries ---- */

static size_t entry_bytes(const pb_entry *entry)
{
    return sizeof(entry_head) + entry->key.size + entry->etag.size;
}

static void append_entry(pb_buffer *text, const pb_entry *entry)
{
    entry_head head = {
        .size = entry->size,
        .mtime_ms = entry->mtime_ms,
        .key_size = (uint32_t)entry->key.size,
        .etag_size = (uint32_t)entry->etag.size,
    };
    pb_buffer_append(text, &head, sizeof head);
    pb_buffer_append_slice(text, entry->key);
    pb_buffer_append_slice(text, entry->etag);
}

/* The entry at `data`, which stays there. */
static pb_entry entry_at(const char *data)
{
    entry_head head;
    memcpy(&head, data, sizeof head);
    data += sizeof head;
    return (pb_entry){
        .key = {data, head.key_size},
        .size = head.size,
        .mtime_ms = head.mtime_ms,
        .etag = {data + head.key_size, head.etag_size},
    };
}

/* By key; of one key, what was written last comes first. */
static int compare_entries(const pb_entry *a, const pb_entry *b)
{
    int order = pb_slice_compare(a->key, b->key);
    if (order)
        return order;
    if (a->mtime_ms != b->mtime_ms)
        return a->mtime_ms > b->mtime_ms ? -1 : 1;
    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    return pb_slice_compare(a->etag, b->etag);
}

/* ---- files ---- */

static int folder_failed(const pb_spool *spool, const char *what, pb_error *error)
{
    int number = errno;
    pb_error_errno(error, number, "%s a listing to sort it, in %s", what, spool->options.folder);
    if (error->kind != PB_ERROR_NO_SPACE) /* no store's word */
        error->kind = number == EIO ? PB_ERROR_FAILED : PB_ERROR_USAGE;
    return pb_error_hint(error, "--scratch DIR names another folder, with room for about 200 bytes "
                                "an object");
}

static int open_nameless(const pb_spool *spool, pb_error *error)
{
    int file = open(spool->options.folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0 && errno != ENOENT && errno != EACCES) { /* a file system without such files */
        pb_buffer name = {0};
        pb_buffer_append_format(&name, "%s/pbcopy-XXXXXX", spool->options.folder);
        file = mkostemp(name.data, O_CLOEXEC);
        if (file >= 0)
            unlink(name.data);
        pb_buffer_free(&name);
    }
    return file < 0 ? folder_failed(spool, "writing", error) : file;
}

typedef struct run_writer {
    const pb_spool *spool;
    run_file run;
    pb_buffer block;
    pb_buffer last_key; /* written: another of this key is an older one */
    bool any;
} run_writer;

static int writer_open(run_writer *writer, const pb_spool *spool, pb_error *error)
{
    *writer = (run_writer){.spool = spool, .run.file = open_nameless(spool, error)};
    return writer->run.file < 0 ? -1 : 0;
}

static int write_block(run_writer *writer, pb_error *error)
{
    uint32_t used = (uint32_t)writer->block.size;
    if (used <= BLOCK_HEAD_BYTES)
        return 0;
    memcpy(writer->block.data, &used, sizeof used);
    pb_buffer_reserve(&writer->block, BLOCK_BYTES);
    memset(writer->block.data + used, 0, BLOCK_BYTES - used);
    for (size_t written = 0; written < BLOCK_BYTES;) {
        ssize_t got = write(writer->run.file, writer->block.data + written, BLOCK_BYTES - written);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return folder_failed(writer->spool, "writing", error);
        written += (size_t)got;
    }
    writer->run.blocks++;
    pb_buffer_clear(&writer->block);
    return 0;
}

static int write_entry(run_writer *writer, const pb_entry *entry, pb_error *error)
{
    if (writer->any && pb_slice_equal(entry->key, pb_buffer_slice(&writer->last_key)))
        return 0;
    if (writer->block.size && writer->block.size + entry_bytes(entry) > BLOCK_BYTES &&
        write_block(writer, error))
        return -1;
    if (!writer->block.size)
        pb_buffer_append(&writer->block, "\0\0\0", BLOCK_HEAD_BYTES);
    append_entry(&writer->block, entry);
    pb_buffer_clear(&writer->last_key);
    pb_buffer_append_slice(&writer->last_key, entry->key);
    writer->any = true;
    return 0;
}

/* Ends the run: *ret_run is the caller's with 0. */
static int writer_close(run_writer *writer, int failed, run_file *ret_run, pb_error *error)
{
    if (!failed)
        failed = write_block(writer, error);
    pb_buffer_free(&writer->block);
    pb_buffer_free(&writer->last_key);
    if (failed)
        run_close(&writer->run);
    else
        *ret_run = writer->run;
    return failed;
}

static int read_block(const pb_spool *spool, const run_file *run, uint64_t block, char *ret_data,
                      uint32_t *ret_used, pb_error *error)
{
    for (size_t done = 0; done < BLOCK_BYTES;) {
        ssize_t got = pread(run->file, ret_data + done, BLOCK_BYTES - done,
                            (off_t)(block * BLOCK_BYTES + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO; /* shorter than it was written */
        if (got <= 0)
            return folder_failed(spool, "reading", error);
        done += (size_t)got;
    }
    memcpy(ret_used, ret_data, sizeof *ret_used);
    return 0;
}

/* ---- runs ---- */

static int check_cancelled(const pb_spool *spool, pb_error *error)
{
    if (spool->options.cancelled && atomic_load(spool->options.cancelled))
        return pb_error_set(error, PB_ERROR_CANCELLED, "cancelled");
    return 0;
}

/* One run that is being merged. */
typedef struct merge_source {
    run_file *run;
    uint64_t next_block;
    char *data; /* a block */
    uint32_t used, at;
    pb_entry head;
} merge_source;

/* The next entry into source->head: 1, 0 at the end, -1. */
static int advance(const pb_spool *spool, merge_source *source, pb_error *error)
{
    if (source->at >= source->used) {
        if (source->next_block == source->run->blocks)
            return 0;
        if (check_cancelled(spool, error) || read_block(spool, source->run, source->next_block++,
                                                        source->data, &source->used, error))
            return -1;
        source->at = BLOCK_HEAD_BYTES;
    }
    source->head = entry_at(source->data + source->at);
    source->at += (uint32_t)entry_bytes(&source->head);
    return 1;
}

/* A heap of sources, the least head first. */
static void sink(merge_source **heap, unsigned count, unsigned at)
{
    for (;;) {
        unsigned least = at;
        for (unsigned child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
            if (compare_entries(&heap[child]->head, &heap[least]->head) < 0)
                least = child;
        if (least == at)
            return;
        merge_source *swap = heap[at];
        heap[at] = heap[least];
        heap[least] = swap;
        at = least;
    }
}

static int merge_into(const pb_spool *spool, merge_source *sources, unsigned count,
                      run_writer *writer, pb_error *error)
{
    merge_source *heap[FAN_IN];
    unsigned left = 0;
    int more = 0;
    for (unsigned i = 0; i < count; i++) {
        more = advance(spool, &sources[i], error);
        if (more < 0)
            return -1;
        if (more)
            heap[left++] = &sources[i];
    }
    for (unsigned i = left / 2; i-- > 0;)
        sink(heap, left, i);
    while (left) {
        if (write_entry(writer, &heap[0]->head, error))
            return -1;
        more = advance(spool, heap[0], error);
        if (more < 0)
            return -1;
        if (!more)
            heap[0] = heap[--left];
        sink(heap, left, 0);
    }
    return 0;
}

/* Merges runs, which are closed with 0, into one. */
static int merge_runs(pb_spool *spool, run_file *runs, unsigned count, run_file *ret_run,
                      pb_error *error)
{
    merge_source sources[FAN_IN] = {0};
    run_writer writer;
    if (writer_open(&writer, spool, error))
        return -1;
    char *blocks = pb_allocate((size_t)count * BLOCK_BYTES);
    for (unsigned i = 0; i < count; i++)
        sources[i] = (merge_source){.run = &runs[i], .data = blocks + (size_t)i * BLOCK_BYTES};
    int failed = merge_into(spool, sources, count, &writer, error);
    failed = writer_close(&writer, failed, ret_run, error);
    free(blocks);
    for (unsigned i = 0; i < count && !failed; i++)
        run_close(&runs[i]);
    return failed;
}

/* Puts a run on a level; levels that are full become a run of the next. */
static int add_run(pb_spool *spool, unsigned level, run_file run, pb_error *error)
{
    spool->runs[level][spool->run_count[level]++] = run;
    while (spool->run_count[level] == FAN_IN) {
        run_file merged;
        if (level + 1 == LEVELS_MAX)
            abort(); /* 2^60 bytes */
        if (merge_runs(spool, spool->runs[level], FAN_IN, &merged, error))
            return -1;
        spool->run_count[level] = 0;
        level++;
        spool->runs[level][spool->run_count[level]++] = merged;
    }
    return 0;
}

/* ---- adding ---- */

void pb_spool_add(pb_spool *spool, const pb_entry *entry)
{
    if (entry_bytes(entry) > BLOCK_BYTES - BLOCK_HEAD_BYTES)
        abort(); /* no store has such keys */
    if (spool->count == spool->capacity) {
        spool->capacity = spool->capacity ? spool->capacity * 2 : 1024;
        spool->offsets = pb_reallocate(spool->offsets, spool->capacity * sizeof *spool->offsets);
    }
    spool->offsets[spool->count++] = spool->text.size;
    append_entry(&spool->text, entry);
}

bool pb_spool_is_full(const pb_spool *spool)
{
    return spool->text.size + spool->count * sizeof *spool->offsets >= spool->options.run_bytes;
}

static int compare_offsets(const void *a, const void *b, void *text)
{
    pb_entry left = entry_at((const char *)text + *(const size_t *)a);
    pb_entry right = entry_at((const char *)text + *(const size_t *)b);
    return compare_entries(&left, &right);
}

int pb_spool_write(pb_spool *spool, pb_error *error)
{
    run_writer writer;
    run_file run;
    if (!spool->count)
        return 0;
    if (check_cancelled(spool, error) || writer_open(&writer, spool, error))
        return -1;
    qsort_r(spool->offsets, spool->count, sizeof *spool->offsets, compare_offsets,
            spool->text.data);
    int failed = 0;
    for (size_t i = 0; i < spool->count && !failed; i++) {
        pb_entry entry = entry_at(spool->text.data + spool->offsets[i]);
        failed = write_entry(&writer, &entry, error);
    }
    if (writer_close(&writer, failed, &run, error))
        return -1;
    spool->count = 0;
    pb_buffer_clear(&spool->text);
    return add_run(spool, 0, run, error);
}

int pb_spool_sort(pb_spool *spool, pb_error *error)
{
    if (pb_spool_write(spool, error))
        return -1;
    forget_memory(spool);
    /* What each level holds becomes a run of the next; the last one is all. */
    run_file carried = {.file = -1};
    for (unsigned level = 0; level < LEVELS_MAX; level++) {
        run_file runs[FAN_IN + 1], merged;
        unsigned count = spool->run_count[level];
        memcpy(runs, spool->runs[level], count * sizeof *runs);
        if (carried.file >= 0)
            runs[count++] = carried;
        spool->run_count[level] = 0;
        carried = count == 1 ? runs[0] : carried;
        if (count <= 1)
            continue;
        if (merge_runs(spool, runs, count, &merged, error)) {
            for (unsigned i = 0; i < count; i++)
                run_close(&runs[i]);
            return -1;
        }
        carried = merged;
    }
    spool->sorted = carried;
    return 0;
}

/* ---- reading ---- */

uint64_t pb_spool_blocks(const pb_spool *spool)
{
    return spool->sorted.blocks;
}

int pb_spool_read(const pb_spool *spool, uint64_t block, pb_page **ret_page, pb_error *error)
{
    pb_page *page = pb_page_new();
    char *data = pb_arena_allocate(&page->arena, BLOCK_BYTES);
    uint32_t used;
    if (read_block(spool, &spool->sorted, block, data, &used, error)) {
        pb_page_release(page);
        return -1;
    }
    for (uint32_t at = BLOCK_HEAD_BYTES; at < used;) {
        pb_entry *entry = pb_page_add(page);
        *entry = entry_at(data + at);
        at += (uint32_t)entry_bytes(entry);
    }
    *ret_page = page;
    return 0;
}

int pb_spool_seek(const pb_spool *spool, pb_slice after, uint64_t *ret_block, pb_error *error)
{
    /* The first block whose last key is behind `after`. */
    uint64_t low = 0, high = spool->sorted.blocks;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        pb_page *page;
        if (pb_spool_read(spool, middle, &page, error))
            return -1;
        bool behind = pb_slice_compare(page->entries[page->count - 1].key, after) > 0;
        pb_page_release(page);
        if (behind)
            high = middle;
        else
            low = middle + 1;
    }
    *ret_block = low;
    return 0;
}
