#include "copier/transfer/upload.h"

#include <stdlib.h>

enum { PART_BYTES = 8 * 1024 * 1024, PARTS_BEFORE_DOUBLING = 1000, DOUBLINGS_MAX = 5 };

typedef enum step { NOTHING, CREATE, PART, PUT, COMPLETE, ABORT } step;

struct pb_upload {
    pb_upload_options options;
    uv_idle_t soon; /* so that `done` never comes inside a call */
    char *key;
    pb_buffer filling, sending;
    uint64_t bytes;
    pb_hash *hash, *crc32c_hash;
    uint8_t sha256[PB_SHA256_BYTES], crc32c[PB_CRC32C_BYTES];
    uint64_t sent_bytes;
    bool ended, was_full, created, over;
    step step; /* under way */
    char *upload_id;
    char (*etags)[PB_ETAG_TEXT_MAX];
    unsigned parts; /* stored */
    pb_error error; /* why it was given up */
    pb_store_request request;
};

static size_t part_bytes(const pb_upload *upload)
{
    unsigned doublings = upload->parts / PARTS_BEFORE_DOUBLING;
    return (size_t)PART_BYTES << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
}

/* ---- decide ---- */

static step next(const pb_upload *upload)
{
    bool failed = upload->error.kind != PB_ERROR_NONE;
    if (upload->step != NOTHING || upload->over)
        return NOTHING;
    if (failed)
        return upload->created ? ABORT : NOTHING;
    bool part_is_full = upload->filling.size >= part_bytes(upload);
    if (!upload->created && !part_is_full)
        return upload->ended ? PUT : NOTHING;
    if (!upload->created)
        return CREATE;
    if (part_is_full || (upload->ended && upload->filling.size))
        return PART;
    return upload->ended ? COMPLETE : NOTHING;
}

/* ---- record ---- */

static void pump(pb_upload *upload);

static void give_up(pb_upload *upload, const pb_error *why)
{
    if (upload->error.kind == PB_ERROR_NONE)
        upload->error = *why;
}

static void on_done(pb_store_request *request)
{
    pb_upload *upload = request->context;
    step done = upload->step;
    upload->step = NOTHING;
    if (done == ABORT)
        upload->over = true; /* whatever came of it: the first error is told */
    else if (request->error.kind)
        give_up(upload, &request->error);
    else if (done == CREATE) {
        upload->created = true;
        upload->upload_id = pb_duplicate(request->upload_id_new);
    } else if (done == PART) {
        /* Grown by doubling: the capacity is the next power of two. */
        unsigned count = upload->parts++;
        if ((count & (count - 1)) == 0)
            upload->etags = pb_reallocate(upload->etags,
                                          (count ? (size_t)count * 2 : 1) * sizeof *upload->etags);
        memcpy(upload->etags[count], request->etag, sizeof *upload->etags);
        pb_buffer_clear(&upload->sending);
    } else if (request->has_crc32c &&
               memcmp(request->crc32c, upload->crc32c, sizeof upload->crc32c) != 0) {
        pb_error other = {0};
        pb_error_set(&other, PB_ERROR_DAMAGED, "the store has other bytes than were sent: %s",
                     upload->key);
        give_up(upload, &other);
        upload->over = true;
    } else {
        upload->over = true;
    }
    pump(upload);
    if (upload->was_full && !upload->over && !pb_upload_is_full(upload)) {
        upload->was_full = false;
        if (upload->options.drained)
            upload->options.drained(upload->options.context);
    }
}

/* ---- drive ---- */

/* What is sent: a part's bytes move aside, so that the next one fills meanwhile. */
static void take_part(pb_upload *upload, size_t most)
{
    pb_buffer filled = upload->filling;
    upload->filling = upload->sending;
    pb_buffer_clear(&upload->filling);
    if (filled.size > most) {
        pb_buffer_append(&upload->filling, filled.data + most, filled.size - most);
        filled.size = most;
    }
    upload->sending = filled;
}

static void submit(pb_upload *upload, step step_next)
{
    pb_store_request *request = &upload->request;
    memset(request, 0, sizeof *request);
    request->key = pb_slice_of(upload->key);
    request->done = on_done;
    request->context = upload;
    request->upload_id = pb_slice_of(upload->upload_id);
    upload->step = step_next;
    switch (step_next) {
    case CREATE:
        request->operation = PB_STORE_MULTIPART_CREATE;
        break;
    case PART:
        take_part(upload, part_bytes(upload));
        request->operation = PB_STORE_MULTIPART_PUT;
        request->part_number = upload->parts + 1;
        request->body = pb_buffer_slice(&upload->sending);
        request->part_offset = upload->sent_bytes;
        request->part_last = upload->ended && !upload->filling.size;
        if (request->part_last)
            request->object_crc32c = upload->crc32c;
        upload->sent_bytes += upload->sending.size;
        break;
    case PUT:
        take_part(upload, SIZE_MAX);
        request->operation = PB_STORE_PUT;
        request->body = pb_buffer_slice(&upload->sending);
        break;
    case COMPLETE:
        request->operation = PB_STORE_MULTIPART_COMPLETE;
        request->part_etags = (const char(*)[PB_ETAG_TEXT_MAX])upload->etags;
        request->part_count = upload->parts;
        request->upload_bytes = upload->bytes;
        request->object_crc32c = upload->crc32c;
        break;
    case ABORT:
        request->operation = PB_STORE_MULTIPART_ABORT;
        break;
    case NOTHING:
        abort();
    }
    pb_store_submit(upload->options.store, request);
}

static void on_closed(uv_handle_t *handle)
{
    pb_upload *upload = handle->data;
    free(upload->key);
    free(upload->upload_id);
    free(upload->etags);
    pb_buffer_free(&upload->filling);
    pb_buffer_free(&upload->sending);
    pb_hash_free(upload->hash);
    pb_hash_free(upload->crc32c_hash);
    free(upload);
}

static void on_soon(uv_idle_t *idle)
{
    pb_upload *upload = idle->data;
    uv_idle_stop(idle);
    pb_hash_finish(upload->hash, upload->sha256);
    upload->options.done(upload->options.context, upload, &upload->error);
    uv_close((uv_handle_t *)idle, on_closed);
}

static void pump(pb_upload *upload)
{
    step step_next = next(upload);
    if (step_next != NOTHING)
        submit(upload, step_next);
    else if (upload->step == NOTHING && upload->error.kind && !upload->created)
        upload->over = true;
    if (upload->over)
        uv_idle_start(&upload->soon, on_soon);
}

pb_upload *pb_upload_start(const pb_upload_options *options)
{
    pb_upload *upload = pb_allocate_zeroed(1, sizeof *upload);
    upload->options = *options;
    upload->key = pb_duplicate(options->key);
    upload->hash = pb_hash_new(PB_HASH_SHA256);
    upload->crc32c_hash = pb_hash_new(PB_HASH_CRC32C);
    uv_idle_init(options->loop, &upload->soon);
    upload->soon.data = upload;
    return upload;
}

void pb_upload_write(pb_upload *upload, const void *data, size_t size)
{
    if (upload->error.kind || upload->ended || upload->over)
        return;
    pb_hash_update(upload->hash, data, size);
    pb_hash_update(upload->crc32c_hash, data, size);
    upload->bytes += size;
    pb_buffer_append(&upload->filling, data, size);
    pump(upload);
    upload->was_full = pb_upload_is_full(upload);
}

bool pb_upload_is_full(const pb_upload *upload)
{
    return upload->filling.size >= part_bytes(upload) && !upload->error.kind;
}

void pb_upload_end(pb_upload *upload)
{
    upload->ended = true;
    pb_hash_finish(upload->crc32c_hash, upload->crc32c);
    pump(upload);
}

void pb_upload_abort(pb_upload *upload, const pb_error *why)
{
    if (upload->over)
        return;
    give_up(upload, why);
    pump(upload);
}

uint64_t pb_upload_bytes(const pb_upload *upload)
{
    return upload->bytes;
}

void pb_upload_sha256(const pb_upload *upload, uint8_t ret_digest[PB_SHA256_BYTES])
{
    memcpy(ret_digest, upload->sha256, sizeof upload->sha256);
}
