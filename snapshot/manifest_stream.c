#include "snapshot/manifest_stream.h"

#include "base/codec.h"
#include "manifest/layout.h"
#include "manifest/part.h"
#include "snapshot/repository.h"
#include <stdlib.h>

enum { RECORDS_A_PAGE = 250 };

typedef struct manifest_stream {
    pb_store *store;
    const pb_snapshot_file *file;
    pb_stream *stream;
    char *after; /* where the range begins: records up to it are passed over */
    size_t part; /* the one being read, or next to be */
    pb_part_reader *reader;
    pb_buffer key, stored;
    pb_store_request request;
    uv_idle_t soon;
} manifest_stream;

static void deliver_error(manifest_stream *stream, const pb_error *cause)
{
    pb_error error = *cause;
    pb_error_context(&error, "manifest part %.*s", PB_SLICE_FORMAT(pb_buffer_slice(&stream->key)));
    if (error.kind == PB_ERROR_DAMAGED || error.kind == PB_ERROR_NOT_FOUND) {
        error.kind = PB_ERROR_DAMAGED;
        snprintf(error.code, sizeof error.code, "manifest-damaged");
    }
    pb_stream_deliver(stream->stream, NULL, &error);
}

static void deliver_page(manifest_stream *stream)
{
    pb_page *page = pb_page_new();
    pb_error error = {0};
    pb_slice after = pb_slice_of(stream->after);
    int more = 1;
    while (page->count < RECORDS_A_PAGE) {
        pb_record *record = pb_arena_allocate(&page->arena, sizeof *record);
        more = pb_part_reader_next(stream->reader, &page->arena, record, &error);
        if (more <= 0)
            break;
        if (pb_slice_compare(record->key, after) <= 0)
            continue;
        pb_entry *entry = pb_page_add(page);
        entry->key = record->key;
        entry->size = record->size;
        entry->mtime_ms = record->mtime_ms;
        entry->etag = record->etag;
        entry->record = record;
    }
    if (more < 0) {
        pb_page_release(page);
        deliver_error(stream, &error);
        return;
    }
    if (!more) {
        pb_part_reader_free(stream->reader);
        stream->reader = NULL;
        pb_buffer_free(&stream->stored);
        stream->part++;
    }
    page->more = stream->reader || stream->part < stream->file->part_count;
    if (page->more && !page->count)
        page->token = PB_SLICE_LITERAL("next part"); /* an empty page is no fault here */
    pb_stream_deliver(stream->stream, page, NULL);
}

static int on_received(pb_store_request *request, const void *data, size_t size, pb_error *error)
{
    manifest_stream *stream = request->context;
    if (stream->stored.size + size > stream->file->parts[stream->part].stored_bytes)
        return pb_error_set(error, PB_ERROR_DAMAGED, "longer than snapshot.json says");
    if (stream->stored.size + size > PB_PART_BYTES_MAX)
        return pb_error_set(error, PB_ERROR_DAMAGED, "longer than any part may be");
    pb_buffer_append(&stream->stored, data, size);
    return 0;
}

static void on_restarted(pb_store_request *request)
{
    manifest_stream *stream = request->context;
    pb_buffer_clear(&stream->stored);
}

static void on_read(pb_store_request *request)
{
    manifest_stream *stream = request->context;
    const pb_part *part = &stream->file->parts[stream->part];
    pb_error error = request->error;
    uint8_t digest[PB_SHA256_BYTES];
    pb_sha256(stream->stored.data, stream->stored.size, digest);
    if (!error.kind && (stream->stored.size != part->stored_bytes ||
                        memcmp(digest, part->stored_sha256, sizeof digest) != 0))
        pb_error_set(&error, PB_ERROR_DAMAGED, "its bytes are not those that snapshot.json names");
    if (!error.kind)
        pb_part_reader_open(pb_buffer_slice(&stream->stored), &stream->reader, &error);
    if (error.kind)
        deliver_error(stream, &error);
    else
        deliver_page(stream);
}

static void on_soon(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    deliver_page(idle->data);
}

static void fetch(void *state, pb_stream *pages)
{
    manifest_stream *stream = state;
    stream->stream = pages;
    if (stream->reader) {
        uv_idle_start(&stream->soon, on_soon);
        return;
    }
    const pb_part *part = &stream->file->parts[stream->part];
    pb_buffer_clear(&stream->key);
    pb_layout_part(&stream->key, pb_slice_of(stream->file->id), part->name);
    pb_store_request *request = &stream->request;
    memset(request, 0, sizeof *request);
    request->operation = PB_STORE_GET;
    request->key = pb_buffer_slice(&stream->key);
    request->received = on_received;
    request->restarted = on_restarted;
    request->done = on_read;
    request->context = stream;
    pb_store_submit(stream->store, request);
}

static void on_closed(uv_handle_t *handle)
{
    manifest_stream *stream = handle->data;
    pb_part_reader_free(stream->reader);
    pb_buffer_free(&stream->key);
    pb_buffer_free(&stream->stored);
    free(stream->after);
    free(stream);
}

static void close_stream(void *state, pb_stream *pages)
{
    (void)pages;
    manifest_stream *stream = state;
    uv_close((uv_handle_t *)&stream->soon, on_closed);
}

static const pb_stream_origin origin = {fetch, NULL, NULL, close_stream};

pb_stream *pb_manifest_stream_open(pb_store *store, uv_loop_t *loop, const pb_snapshot_file *file,
                                   pb_slice after, pb_slice through, void (*wake)(void *context),
                                   void *context)
{
    manifest_stream *stream = pb_allocate_zeroed(1, sizeof *stream);
    stream->store = store;
    stream->file = file;
    stream->after = pb_duplicate(after);
    uv_idle_init(loop, &stream->soon);
    stream->soon.data = stream;
    while (stream->part + 1 < file->part_count && file->parts[stream->part].range.through &&
           pb_slice_compare(pb_slice_of(file->parts[stream->part].range.through), after) <= 0)
        stream->part++;
    return pb_stream_open(&origin, stream, "manifest", after, through, wake, context);
}
