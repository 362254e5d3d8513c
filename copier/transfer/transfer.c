#include "copier/transfer/transfer.h"

#include "base/codec.h"
#include "base/failure.h"
#include "copier/transfer/run.h"
#include <endian.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARTS_IN_FLIGHT = 8 }; /* of one object */
enum { BULK_BUFFERS_KEPT = 16 };

/* One part of a relay on its way: a buffer, read and then written; or of a server-side copy. */
typedef struct transfer_part {
    pb_transfer_run *run;
    unsigned number;
    struct transfer_part *next; /* free list, or the queue for tickets */
    char *buffer;
    size_t capacity, filled;
    pb_hash *hash;
    uint8_t digest[PB_DIGEST_BYTES_MAX];
    pb_store_request request;
} transfer_part;

typedef enum copied_etag { COPIED_ETAG_UNKNOWN, COPIED_ETAG_KEPT, COPIED_ETAG_PLAIN } copied_etag;

struct pb_mover {
    pb_mover_options options;
    pb_counters *counters;
    pb_budget budget;
    uv_idle_t pump_soon;
    pb_transfer *queue_head, *queue_tail;
    unsigned waiting, running;
    bool cancelled;
    bool stopping; /* cancelled, and what runs has not been told yet */
    bool stepping; /* the pump runs at its end */
    pb_transfer_run *runs, *free_runs;
    transfer_part *free_parts;
    transfer_part *waiting_head, *waiting_tail; /* for a ticket, in order */
    char *kept[BULK_BUFFERS_KEPT]; /* buffers of part_bytes: page faults cost as much as copying */
    unsigned kept_count;
    copied_etag copied_etag; /* what this store does to a multipart ETag in a one-request copy */
};

static void lay_out(pb_transfer_run *run);
static void drive(pb_transfer_run *run);
static bool may_learn_layout(const pb_transfer_run *run);

pb_mover_options pb_mover_options_default(void)
{
    const uint64_t mebibyte = 1024 * 1024;
    return (pb_mover_options){
        .transfers_max = 64,
        .memory_bytes = 256 * mebibyte,
        .part_bytes = 8 * mebibyte,
        .relay_single_max = 24 * mebibyte,
        .relay_buffer_max = 64 * mebibyte,
        .copy_single_max = 5 * 1024 * mebibyte,
    };
}

/* ---- buffers ---- */

static char *buffer_new(pb_mover *mover, size_t size)
{
    if (size == mover->options.part_bytes && mover->kept_count)
        return mover->kept[--mover->kept_count];
    return pb_allocate(size ? size : 1);
}

static void buffer_free(pb_mover *mover, char *buffer, size_t size)
{
    if (buffer && size == mover->options.part_bytes && mover->kept_count < BULK_BUFFERS_KEPT)
        mover->kept[mover->kept_count++] = buffer;
    else
        free(buffer);
}

static transfer_part *part_new(pb_transfer_run *run, unsigned number)
{
    pb_mover *mover = run->mover;
    transfer_part *part = mover->free_parts;
    if (part)
        mover->free_parts = part->next;
    else
        part = pb_allocate_zeroed(1, sizeof *part);
    part->run = run;
    part->number = number;
    part->filled = 0;
    part->next = NULL;
    return part;
}

/* Gives back the part and, where it has one, its buffer's ticket. */
static void part_free(transfer_part *part)
{
    pb_mover *mover = part->run->mover;
    if (part->buffer) {
        buffer_free(mover, part->buffer, part->capacity);
        part->buffer = NULL;
        pb_budget_give(&mover->budget, part->capacity);
    }
    part->next = mover->free_parts;
    mover->free_parts = part;
}

/* ---- record: facts ---- */

static void fail(pb_transfer_run *run, const pb_error *error)
{
    run->facts.failed = true;
    if (run->transfer->error)
        return; /* the first one tells the story */
    pb_error *kept = pb_allocate(sizeof *kept);
    *kept = *error;
    run->transfer->error = kept;
}

/* What was written is wrong. */
static void undo_later(pb_transfer_run *run)
{
    run->facts.undo_needed = !run->transfer->writes_once;
}

void pb_transfer_damaged(pb_transfer_run *run, const char *code, const char *format, ...)
{
    pb_error error = {0};
    char detail[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    pb_error_set(&error, PB_ERROR_DAMAGED, "%s", detail);
    snprintf(error.code, sizeof error.code, "%s", code);
    fail(run, &error);
}

void pb_transfer_fail(pb_transfer_run *run, pb_error_kind kind, const char *why)
{
    pb_error error = {0};
    pb_error_set(&error, kind, "%s", why);
    fail(run, &error);
}

/* The bytes are at the destination; `stored` is the ETag it answered. */
static void record_moved(pb_transfer_run *run, const char *stored)
{
    pb_transfer *transfer = run->transfer;
    run->facts.moved = true;
    transfer->part_bytes = run->facts.part_bytes;
    snprintf(transfer->stored_etag, sizeof transfer->stored_etag, "%s", stored);
    transfer->proof |= PB_MOVED_SIZE;
    if (pb_transfer_etag_proves(run, stored))
        transfer->proof |= PB_MOVED_ETAG;
    if (run->facts.kind == PB_TRANSFER_COPY && !(transfer->proof & PB_MOVED_ETAG))
        run->facts.doubtful = true;
}

void pb_transfer_request_ended(pb_transfer_run *run, const pb_store_request *request)
{
    run->facts.in_flight--;
    if (request->etag_opaque)
        run->etag_opaque = true;
    if (request->error.kind)
        fail(run, &request->error);
}

pb_store_request *pb_transfer_request_begin(pb_transfer_run *run, pb_store_operation operation,
                                            void (*done)(pb_store_request *))
{
    pb_store_request *request = &run->request;
    memset(request, 0, sizeof *request);
    request->operation = operation;
    request->context = run;
    request->done = done;
    run->facts.in_flight++;
    return request;
}

/* A store may make no copies, which its first answer says, or none of this object: it passes
 * through here. True where its transfer is a relay from now on, to be laid out anew. */
static bool relay_instead(pb_transfer_run *run, const pb_store_request *request)
{
    if (run->facts.kind != PB_TRANSFER_COPY || !request->error.kind ||
        (!pb_store_learn_copy_refused(run->transfer->destination, request) &&
         !pb_failure_is_of_copy(request->error.kind)))
        return false;
    run->transfer->kind = PB_TRANSFER_RELAY;
    return true;
}

/* The ETags of a copy within a store tell nothing where a PUT would show that they are no MD5s, or
 * that the source's bytes are damaged: the object passes through here, and its bytes tell. */
static bool relay_to_know(pb_transfer_run *run)
{
    if (run->facts.kind != PB_TRANSFER_COPY || run->transfer->writes_once)
        return false;
    run->transfer->kind = PB_TRANSFER_RELAY;
    run->transfer->proof = 0;
    return true;
}

/* A store may lose an upload, or have to drop it for bytes that broke on their way: another one is
 * begun, once. True where that is so; the upload is given up. */
static bool upload_anew(pb_transfer_run *run, const pb_store_request *request)
{
    if (run->facts.failed || run->upload_lost || !request->error.kind ||
        strcmp(request->error.code, PB_CODE_UPLOAD_LOST) != 0)
        return false;
    run->upload_lost = run->facts.again = true;
    return true;
}

/* ---- server-side copy in one request ---- */

static void on_copied(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    pb_mover *mover = run->mover;
    if (relay_instead(run, request)) {
        lay_out(run);
        pb_transfer_step(run);
        return;
    }
    pb_transfer_request_ended(run, request);
    if (!run->facts.failed) {
        const pb_transfer *transfer = run->transfer;
        bool multipart = pb_etag_parts(transfer->etag) > 0;
        if (multipart && mover->copied_etag == COPIED_ETAG_UNKNOWN)
            mover->copied_etag = pb_slice_equal(transfer->etag, pb_slice_of(request->etag))
                                     ? COPIED_ETAG_KEPT
                                     : COPIED_ETAG_PLAIN;
        if (multipart && mover->copied_etag == COPIED_ETAG_PLAIN && pb_transfer_again(run)) {
            lay_out(run); /* in parts, where their length can be guessed: that can be proven */
        } else {
            record_moved(run, request->etag);
        }
    }
    pb_transfer_step(run);
}

static void copy_whole(pb_transfer_run *run)
{
    const pb_transfer *transfer = run->transfer;
    pb_store_request *request = pb_transfer_request_begin(run, PB_STORE_COPY, on_copied);
    request->key = transfer->destination_key;
    request->size_hint = transfer->size;
    request->source = transfer->source;
    request->source_key = transfer->source_key;
    request->if_match = pb_transfer_condition(transfer);
    request->if_version = transfer->version;
    pb_store_submit(transfer->destination, request);
}

/* ---- relay: a part buffer is read, hashed while hot, and written ---- */

static void part_restarted(pb_store_request *request)
{
    transfer_part *part = request->context;
    part->filled = 0;
    pb_hash_restart(part->hash);
}

static int part_received(pb_store_request *request, const void *data, size_t size, pb_error *error)
{
    transfer_part *part = request->context;
    if (size > part->capacity - part->filled)
        return pb_error_set(error, PB_ERROR_DAMAGED, "more bytes than it is said to have");
    memcpy(part->buffer + part->filled, data, size);
    part->filled += size;
    pb_hash_update(part->hash, data, size);
    return 0;
}

static void finish_part(transfer_part *part)
{
    pb_transfer_run *run = part->run;
    pb_mover *mover = run->mover;
    if (!run->facts.failed)
        atomic_fetch_add_explicit(&mover->counters->bytes,
                                  pb_transfer_part_length(&run->facts, part->number),
                                  memory_order_relaxed);
    part_free(part);
    pb_transfer_step(run);
}

/* True where the part's PUT makes the object: all must be known of it before. */
static bool makes_object(const transfer_part *part)
{
    const pb_transfer_run *run = part->run;
    return run->facts.part_bytes && part->number == run->facts.parts &&
           pb_store_capabilities_of(run->transfer->destination)->parts_in_order;
}

/* All parts are one object now, which the answer describes. */
static void record_completed(pb_transfer_run *run, const pb_store_request *request)
{
    if (run->digests) {
        pb_transfer_stored stored = pb_transfer_judge_parts(run, request);
        if (stored == PB_TRANSFER_STORED_OTHER) {
            undo_later(run);
            return;
        }
        pb_transfer_keep_digest(run, run->transfer->digest, stored == PB_TRANSFER_STORED_SAME);
    }
    record_moved(run, request->etag);
}

static void on_part_written(pb_store_request *request)
{
    transfer_part *part = request->context;
    pb_transfer_run *run = part->run;
    if (upload_anew(run, request) || relay_instead(run, request)) {
        run->facts.in_flight--;
        run->facts.again = true; /* this upload is given up */
        part_free(part);
        pb_transfer_step(run);
        return;
    }
    pb_transfer_request_ended(run, request);
    if (!run->facts.failed && run->digests && !makes_object(part)) {
        pb_transfer_stored stored = pb_transfer_judge_put(
            run, request, (pb_slice){part->buffer, part->filled}, part->digest);
        run->parts_same += stored == PB_TRANSFER_STORED_SAME;
    }
    if (!run->facts.failed) {
        memcpy(run->etags[part->number - 1], request->etag, PB_ETAG_TEXT_MAX);
        run->facts.parts_done++;
        if (makes_object(part))
            record_completed(run, request);
    }
    finish_part(part);
}

/* A whole object in one buffer has been written. */
static void on_single_written(pb_store_request *request)
{
    transfer_part *part = request->context;
    pb_transfer_run *run = part->run;
    pb_mover *mover = run->mover;
    pb_transfer *transfer = run->transfer;
    if (request->error.kind == PB_ERROR_EXISTS)
        snprintf(request->error.code, sizeof request->error.code, PB_CODE_OCCUPIED);
    pb_transfer_request_ended(run, request);
    pb_store_share_etags(transfer->destination, transfer->source);
    if (!run->facts.failed) {
        pb_transfer_stored stored =
            pb_transfer_check_written(run, request->body)
                ? pb_transfer_judge_put(run, request, request->body, part->digest)
                : PB_TRANSFER_STORED_OTHER;
        if (stored == PB_TRANSFER_STORED_OTHER) {
            if (run->facts.failed)
                undo_later(run);
        } else {
            pb_transfer_keep_digest(run, part->digest, stored == PB_TRANSFER_STORED_SAME);
            record_moved(run, request->etag);
            atomic_fetch_add_explicit(&mover->counters->bytes, transfer->size,
                                      memory_order_relaxed);
        }
    }
    part_free(part);
    pb_transfer_step(run);
}

/* What its bytes hash to is known of a part. */
static void keep_part_digests(transfer_part *part)
{
    pb_transfer_run *run = part->run;
    size_t bytes = pb_hash_bytes(run->transfer->digest_kind);
    memcpy(run->digests + (part->number - 1) * bytes, part->digest, bytes);
    if (run->crc32cs) {
        uint32_t crc32c;
        pb_crc32c(part->buffer, part->filled, (uint8_t *)&crc32c);
        run->crc32cs[part->number - 1] = be32toh(crc32c);
    }
}

static void on_part_read(pb_store_request *request)
{
    transfer_part *part = request->context;
    pb_transfer_run *run = part->run;
    pb_transfer *transfer = run->transfer;
    pb_transfer_request_ended(run, request);
    bool single = !run->facts.part_bytes;
    if (!run->facts.failed && request->size != transfer->size)
        pb_transfer_damaged(run, request->size < transfer->size ? "truncated" : "mismatch",
                            "%" PRIu64 " bytes where the listing said %" PRIu64, request->size,
                            transfer->size);
    pb_slice bytes = {part->buffer, part->filled};
    if (!run->facts.failed) {
        pb_hash_finish(part->hash, part->digest);
        if (request->has_crc32c) {
            run->source_has_crc32c = true;
            memcpy(run->source_crc32c, request->crc32c, sizeof run->source_crc32c);
        }
        if (run->etag_check && !single)
            pb_etag_check_update(run->etag_check, bytes.data, bytes.size);
        if (!single)
            keep_part_digests(part);
    }
    if (run->facts.failed || (single && !pb_transfer_check_single(run, bytes, part->digest)) ||
        (makes_object(part) && !pb_transfer_check_parts(run))) {
        part_free(part);
        pb_transfer_step(run);
        return;
    }
    memset(request, 0, sizeof *request);
    request->operation = single ? PB_STORE_PUT : PB_STORE_MULTIPART_PUT;
    request->done = single ? on_single_written : on_part_written;
    request->context = part;
    request->key = transfer->destination_key;
    request->body = bytes;
    if (transfer->digest_kind == PB_HASH_SHA256)
        request->body_sha256 = part->digest;
    else
        request->body_crc32c = part->digest;
    if (single) {
        request->object_headers = pb_buffer_slice(&run->headers);
        request->create_only = transfer->writes_once;
    } else {
        request->upload_id = pb_slice_of(run->upload_id);
        request->part_number = part->number;
        request->part_offset = (uint64_t)(part->number - 1) * run->facts.part_bytes;
        request->part_last = part->number == run->facts.parts;
        if (makes_object(part))
            request->object_crc32c = run->object_crc32c;
    }
    run->facts.in_flight++;
    pb_store_submit(transfer->destination, request);
}

/* The part has its ticket: reads into the buffer. Counted as in flight since it began to wait. */
static void read_part(transfer_part *part)
{
    pb_transfer_run *run = part->run;
    const pb_transfer *transfer = run->transfer;
    bool single = !run->facts.part_bytes;
    part->buffer = buffer_new(run->mover, part->capacity);
    part->hash = pb_hash_reuse(part->hash, transfer->digest_kind);
    pb_store_request *request = &part->request;
    memset(request, 0, sizeof *request);
    request->operation = PB_STORE_GET;
    request->done = on_part_read;
    request->context = part;
    request->key = transfer->source_key;
    if (single) {
        if (pb_store_capabilities_of(transfer->destination)->keeps_headers)
            request->object_headers_read = &run->headers;
        request->size_hint = transfer->size;
    } else {
        request->offset = (uint64_t)(part->number - 1) * run->facts.part_bytes;
        request->length = part->capacity;
    }
    request->if_match = pb_transfer_condition(transfer);
    request->if_version = transfer->version;
    request->restarted = part_restarted;
    request->received = part_received;
    pb_store_submit(transfer->source, request);
}

static void wait_for_ticket(transfer_part *part, size_t bytes)
{
    pb_mover *mover = part->run->mover;
    part->capacity = bytes;
    part->run->facts.in_flight++;
    if (mover->waiting_head)
        mover->waiting_tail->next = part;
    else
        mover->waiting_head = part;
    mover->waiting_tail = part;
}

static void grant_tickets(pb_mover *mover)
{
    while (mover->waiting_head) {
        transfer_part *part = mover->waiting_head;
        pb_transfer_run *run = part->run;
        bool begins = !run->facts.failed && !mover->cancelled;
        if (begins && !pb_budget_take(&mover->budget, part->capacity))
            break;
        mover->waiting_head = part->next;
        part->next = NULL;
        if (begins) {
            read_part(part);
            continue;
        }
        run->facts.in_flight--;
        part_free(part);
        pb_transfer_fail(run, PB_ERROR_CANCELLED, "cancelled");
        drive(run);
    }
}

/* ---- multipart ---- */

/* Stores that do not know the question for a part may refuse it. */
static bool refused_to_tell(const pb_store_request *request)
{
    pb_error_kind kind = request->error.kind;
    return request->part_number && kind && !pb_failure_passes(kind) && kind != PB_ERROR_NOT_FOUND &&
           kind != PB_ERROR_CANCELLED;
}

static void on_headers_read(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    if (!run->facts.failed && refused_to_tell(request)) {
        run->facts.in_flight--;
        lay_out(run);
    } else {
        pb_transfer_request_ended(run, request);
        if (request->part_number && !run->facts.failed) {
            if (pb_etag_layout_fits(run->transfer->etag, request->size, request->part_bytes))
                run->learnt_part_bytes = request->part_bytes;
            lay_out(run);
        }
        run->facts.headers_known = true;
    }
    pb_transfer_step(run);
}

/* The HEAD that a multipart upload begins with also asks how long the source's first part is. */
static void read_headers(pb_transfer_run *run)
{
    pb_store_request *request = pb_transfer_request_begin(run, PB_STORE_HEAD, on_headers_read);
    request->key = run->transfer->source_key;
    request->object_headers_read = &run->headers;
    if (may_learn_layout(run))
        request->part_number = 1;
    run->layout_asked = true;
    pb_store_submit(run->transfer->source, request);
}

static void on_upload_begun(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    pb_transfer_request_ended(run, request);
    if (!request->error.kind) { /* of a run that has failed meanwhile, to be aborted */
        run->upload_id = pb_duplicate(request->upload_id_new);
        run->facts.upload_begun = true;
        run->etags = pb_allocate_zeroed(run->facts.parts, sizeof *run->etags);
        if (run->facts.kind == PB_TRANSFER_RELAY) {
            run->digests =
                pb_allocate_zeroed(run->facts.parts, pb_hash_bytes(run->transfer->digest_kind));
            if (pb_transfer_needs_crc32c(run->transfer))
                run->crc32cs = pb_allocate_zeroed(run->facts.parts, sizeof *run->crc32cs);
        }
    }
    pb_transfer_step(run);
}

static void begin_upload(pb_transfer_run *run)
{
    pb_store_request *request =
        pb_transfer_request_begin(run, PB_STORE_MULTIPART_CREATE, on_upload_begun);
    request->key = run->transfer->destination_key;
    request->object_headers = pb_buffer_slice(&run->headers);
    request->parts_have_crc32c =
        run->facts.kind == PB_TRANSFER_RELAY && run->transfer->digest_kind == PB_HASH_CRC32C;
    pb_store_submit(run->transfer->destination, request);
}

static void copy_part(transfer_part *part)
{
    pb_transfer_run *run = part->run;
    const pb_transfer *transfer = run->transfer;
    pb_store_request *request = &part->request;
    memset(request, 0, sizeof *request);
    request->operation = PB_STORE_MULTIPART_COPY;
    request->done = on_part_written;
    request->context = part;
    request->key = transfer->destination_key;
    request->source = transfer->source;
    request->source_key = transfer->source_key;
    request->offset = (uint64_t)(part->number - 1) * run->facts.part_bytes;
    request->length = pb_transfer_part_length(&run->facts, part->number);
    request->if_match = pb_transfer_condition(transfer);
    request->if_version = transfer->version;
    request->upload_id = pb_slice_of(run->upload_id);
    request->part_number = part->number;
    run->facts.in_flight++;
    pb_store_submit(transfer->destination, request);
}

static void begin_part(pb_transfer_run *run)
{
    transfer_part *part = part_new(run, ++run->facts.parts_begun);
    if (run->facts.kind == PB_TRANSFER_COPY)
        copy_part(part);
    else
        wait_for_ticket(part, pb_transfer_part_length(&run->facts, part->number));
}

static void on_completed(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    if (upload_anew(run, request)) {
        run->facts.in_flight--;
        pb_transfer_step(run);
        return;
    }
    pb_transfer_request_ended(run, request);
    if (!run->facts.failed)
        record_completed(run, request);
    pb_transfer_step(run);
}

static void complete(pb_transfer_run *run)
{
    const pb_transfer *transfer = run->transfer;
    if (run->digests && !pb_transfer_check_parts(run))
        return;
    pb_store_request *request =
        pb_transfer_request_begin(run, PB_STORE_MULTIPART_COMPLETE, on_completed);
    request->key = transfer->destination_key;
    request->upload_id = pb_slice_of(run->upload_id);
    request->part_etags = (const char(*)[PB_ETAG_TEXT_MAX])run->etags;
    if (run->digests && transfer->digest_kind == PB_HASH_CRC32C)
        request->part_crc32cs = (const uint8_t(*)[PB_CRC32C_BYTES])run->digests;
    request->part_count = run->facts.parts;
    request->upload_bytes = run->facts.size;
    if (run->crc32cs)
        request->object_crc32c = run->object_crc32c;
    pb_store_submit(transfer->destination, request);
}

static void on_aborted(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    run->facts.in_flight--;
    run->facts.abort_done = true; /* what it answered changes nothing: the transfer has failed */
    pb_transfer_step(run);
}

static void abort_upload(pb_transfer_run *run)
{
    pb_store_request *request =
        pb_transfer_request_begin(run, PB_STORE_MULTIPART_ABORT, on_aborted);
    request->key = run->transfer->destination_key;
    request->upload_id = pb_slice_of(run->upload_id);
    pb_store_submit(run->transfer->destination, request);
}

/* Conditions of copies are not honoured by every store (Ceph RGW 16 reads them under other names):
 * what cannot be proven by its ETag may be a copy of other bytes than were listed. */
static void on_source_checked(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    pb_transfer *transfer = run->transfer;
    pb_transfer_request_ended(run, request);
    run->facts.source_checked = true;
    if (!run->facts.failed &&
        (request->size != transfer->size ||
         (transfer->must_match && !pb_slice_equal(transfer->etag, pb_slice_of(request->etag))))) {
        pb_error error = {0};
        pb_error_set(&error, PB_ERROR_EXISTS,
                     "the source is not what it was: ETag %s, %" PRIu64 " bytes", request->etag,
                     request->size);
        if (request->size < transfer->size)
            snprintf(error.code, sizeof error.code, "truncated");
        fail(run, &error);
        undo_later(run);
    } else if (!run->facts.failed && !run->etag_opaque &&
               pb_transfer_both_plain(run, transfer->stored_etag)) {
        if (relay_to_know(run)) {
            lay_out(run);
        } else {
            pb_transfer_damaged(run, "mismatch", "the copy has another MD5 than the source");
            undo_later(run);
        }
    }
    pb_transfer_step(run);
}

static void check_source(pb_transfer_run *run)
{
    pb_store_request *request = pb_transfer_request_begin(run, PB_STORE_HEAD, on_source_checked);
    request->key = run->transfer->source_key;
    pb_store_submit(run->transfer->source, request);
}

static void on_undone(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    run->facts.in_flight--;
    run->facts.undo_done = true; /* or not: the transfer has failed either way */
    pb_transfer_step(run);
}

static void undo(pb_transfer_run *run)
{
    pb_store_request *request = pb_transfer_request_begin(run, PB_STORE_DELETE, on_undone);
    request->keys = &run->transfer->destination_key;
    request->key_count = 1;
    pb_store_submit(run->transfer->destination, request);
}

static void on_size_known(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    pb_transfer_request_ended(run, request);
    run->facts.size_known = true;
    if (!run->facts.failed && request->size != run->transfer->size) {
        undo_later(run);
        pb_transfer_damaged(run, "truncated", "the copy has %" PRIu64 " bytes, the source %" PRIu64,
                            request->size, run->transfer->size);
    }
    pb_transfer_step(run);
}

static void check_size(pb_transfer_run *run)
{
    pb_store_request *request = pb_transfer_request_begin(run, PB_STORE_HEAD, on_size_known);
    request->key = run->transfer->destination_key;
    pb_store_submit(run->transfer->destination, request);
}

/* ---- drive ---- */

static bool may_learn_layout(const pb_transfer_run *run)
{
    const pb_transfer *transfer = run->transfer;
    return !run->layout_asked && pb_etag_parts(transfer->etag) > 1 && !transfer->expected_digest &&
           !transfer->expected_part_bytes && transfer->kind != PB_TRANSFER_READ;
}

/* The length of the source's parts: as the manifest or the source tells, or guessed. 0: unknown. */
static uint64_t known_layout(const pb_transfer_run *run)
{
    const pb_transfer *transfer = run->transfer;
    if (transfer->expected_digest || transfer->expected_part_bytes)
        return transfer->expected_part_bytes;
    if (run->learnt_part_bytes)
        return run->learnt_part_bytes;
    int parts = pb_etag_parts(transfer->etag);
    uint64_t part_bytes = parts > 0 ? pb_etag_part_bytes(transfer->size, parts) : 0;
    /* No usual length gives these parts: another stands in until the source has been asked. */
    return part_bytes || !may_learn_layout(run) ? part_bytes : transfer->size;
}

/* A plain MD5 can be compared with that of a single PUT only: worth a large buffer. No limit
 * depends on --memory, for what a record says must not. */
static uint64_t relay_single_max(const pb_transfer_run *run)
{
    const pb_mover_options *options = &run->mover->options;
    return pb_etag_parts(run->transfer->etag) == 0 ? options->relay_buffer_max
                                                   : options->relay_single_max;
}

/* A copy within a store that could not be proven by its ETag is none, either. */
static bool refuses_copy(const pb_transfer_run *run, pb_store_operation copy)
{
    const pb_transfer *transfer = run->transfer;
    return transfer->kind == PB_TRANSFER_COPY &&
           (!pb_store_capabilities_of(transfer->destination)->etag_is_md5 ||
            pb_store_refuses_copy(pb_store_config_of(transfer->destination), copy));
}

static void lay_out(pb_transfer_run *run)
{
    pb_transfer *transfer = run->transfer;
    if (transfer->destination)
        pb_store_share_etags(transfer->destination, transfer->source);
    if (refuses_copy(run, PB_STORE_COPY))
        transfer->kind = PB_TRANSFER_RELAY;
    const pb_mover_options *options = &run->mover->options;
    pb_transfer_facts *facts = &run->facts;
    *facts = (pb_transfer_facts){
        .kind = transfer->kind,
        .size = transfer->size,
        .parts_wanted_in_flight = PARTS_IN_FLIGHT,
    };
    uint64_t layout_bytes = known_layout(run);
    if (transfer->kind == PB_TRANSFER_LOOK)
        return;
    if (transfer->kind == PB_TRANSFER_READ) {
        run->part_bytes = transfer->expected_part_bytes;
        if (transfer->hash_as_relayed) {
            pb_transfer_lay_out(facts, options->part_bytes, layout_bytes, relay_single_max(run),
                                10000, 0);
            run->part_bytes = facts->part_bytes;
            facts->part_bytes = 0;
        }
        return;
    }
    const pb_store_capabilities *capabilities = pb_store_capabilities_of(transfer->destination);
    uint64_t single_max =
        transfer->kind == PB_TRANSFER_COPY ? options->copy_single_max : relay_single_max(run);
    uint64_t limit = transfer->kind == PB_TRANSFER_COPY ? capabilities->copy_bytes_max
                                                        : capabilities->put_bytes_max;
    if (single_max > limit || (transfer->kind == PB_TRANSFER_COPY && !capabilities->copies_parts))
        single_max = limit;
    /* A one-request copy of a multipart object is cheapest where the store keeps its ETag. */
    if (transfer->kind == PB_TRANSFER_COPY && run->mover->copied_etag != COPIED_ETAG_PLAIN)
        layout_bytes = transfer->size > single_max ? layout_bytes : 0;
    if (layout_bytes && transfer->size > layout_bytes &&
        (layout_bytes < capabilities->part_bytes_min ||
         (capabilities->part_bytes_step && layout_bytes % capabilities->part_bytes_step)))
        layout_bytes = 0;
    /* The source's parts may be too long to hold one in memory. */
    if (transfer->kind == PB_TRANSFER_RELAY && layout_bytes > options->relay_buffer_max &&
        !(transfer->expected_digest && pb_transfer_digests_parts(transfer)))
        layout_bytes = 0;
    /* Where the destination's answers cannot be compared with the source's ETag, the bytes are. */
    bool comparable = capabilities->etag_is_md5 &&
                      (capabilities->part_etags_are_md5 || pb_etag_parts(transfer->etag) <= 0);
    if (capabilities->parts_in_order)
        facts->parts_wanted_in_flight = 1;
    run->destination_compares = transfer->kind == PB_TRANSFER_RELAY && comparable;
    if (transfer->kind == PB_TRANSFER_RELAY && !comparable &&
        pb_store_capabilities_of(transfer->source)->etag_is_md5) {
        pb_etag_check_free(run->etag_check);
        run->etag_check =
            pb_etag_check_new(transfer->etag, transfer->size, transfer->expected_part_bytes);
        if (run->etag_check)
            facts->parts_wanted_in_flight = 1; /* an MD5 is made in order */
    }
    pb_transfer_lay_out(
        facts, transfer->kind == PB_TRANSFER_COPY ? 16 * options->part_bytes : options->part_bytes,
        layout_bytes, single_max, capabilities->parts_max, capabilities->part_bytes_min);
    if (facts->part_bytes && refuses_copy(run, PB_STORE_MULTIPART_COPY)) {
        transfer->kind = PB_TRANSFER_RELAY;
        lay_out(run);
    }
}

static void drop_upload(pb_transfer_run *run)
{
    free(run->upload_id);
    free(run->etags);
    free(run->digests);
    free(run->crc32cs);
    run->upload_id = NULL;
    run->etags = NULL;
    run->digests = NULL;
    run->crc32cs = NULL;
    run->parts_same = 0;
    pb_buffer_clear(&run->headers);
}

static void runs_add(pb_mover *mover, pb_transfer_run *run)
{
    mover->running++;
    run->before = NULL;
    run->next = mover->runs;
    if (run->next)
        run->next->before = run;
    mover->runs = run;
}

static void runs_remove(pb_mover *mover, pb_transfer_run *run)
{
    mover->running--;
    if (run->next)
        run->next->before = run->before;
    if (run->before)
        run->before->next = run->next;
    else
        mover->runs = run->next;
}

static void finish(pb_transfer_run *run)
{
    pb_mover *mover = run->mover;
    pb_transfer *transfer = run->transfer;
    pb_etag_check_free(run->etag_check);
    run->etag_check = NULL;
    drop_upload(run);
    run->again = run->upload_lost = false;
    run->etag_opaque = run->source_has_crc32c = run->destination_compares = false;
    run->learnt_part_bytes = 0;
    run->layout_asked = false;
    runs_remove(mover, run);
    run->next = mover->free_runs;
    mover->free_runs = run;
    if (!transfer->error && transfer->kind != PB_TRANSFER_LOOK) {
        atomic_fetch_add_explicit(&mover->counters->objects, 1, memory_order_relaxed);
        if (transfer->kind == PB_TRANSFER_COPY && !run->facts.part_bytes)
            atomic_fetch_add_explicit(&mover->counters->bytes, transfer->size,
                                      memory_order_relaxed);
    }
    transfer->done(transfer);
}

static void move_whole(pb_transfer_run *run)
{
    switch (run->facts.kind) {
    case PB_TRANSFER_COPY:
        copy_whole(run);
        break;
    case PB_TRANSFER_RELAY:
        pb_buffer_clear(&run->headers);
        wait_for_ticket(part_new(run, 1), run->facts.size);
        break;
    case PB_TRANSFER_LOOK:
        pb_transfer_look(run);
        break;
    default:
        pb_transfer_read(run);
    }
}

static void drive(pb_transfer_run *run)
{
    for (;;) {
        switch (pb_transfer_next(&run->facts)) {
        case PB_TRANSFER_WAIT:
            return;
        case PB_TRANSFER_MOVE:
            move_whole(run);
            break;
        case PB_TRANSFER_READ_HEADERS:
            read_headers(run);
            break;
        case PB_TRANSFER_BEGIN_UPLOAD:
            begin_upload(run);
            break;
        case PB_TRANSFER_BEGIN_PART:
            begin_part(run);
            break;
        case PB_TRANSFER_COMPLETE:
            complete(run);
            break;
        case PB_TRANSFER_START_OVER:
            drop_upload(run);
            lay_out(run);
            break;
        case PB_TRANSFER_CHECK_SOURCE:
            check_source(run);
            break;
        case PB_TRANSFER_UNDO:
            undo(run);
            break;
        case PB_TRANSFER_CHECK_SIZE:
            check_size(run);
            break;
        case PB_TRANSFER_ABORT:
            abort_upload(run);
            break;
        case PB_TRANSFER_FINISH:
            finish(run);
            return;
        }
    }
}

static void begin(pb_mover *mover, pb_transfer *transfer)
{
    pb_transfer_run *run = mover->free_runs;
    if (run)
        mover->free_runs = run->next;
    else
        run = pb_allocate_zeroed(1, sizeof *run);
    run->mover = mover;
    run->counters = mover->counters;
    run->transfer = transfer;
    runs_add(mover, run);
    lay_out(run);
    if (mover->cancelled)
        pb_transfer_fail(run, PB_ERROR_CANCELLED, "cancelled");
    drive(run);
}

/* No part begins any more of what has several, and their uploads are aborted; what is one request
 * may end well. */
static void stop_runs(pb_mover *mover)
{
    pb_transfer_run *next;
    mover->stopping = false;
    for (pb_transfer_run *run = mover->runs; run; run = next) {
        next = run->next;
        if (!run->facts.part_bytes || run->facts.moved || run->facts.failed)
            continue;
        pb_transfer_fail(run, PB_ERROR_CANCELLED, "cancelled");
        drive(run);
    }
}

static void pump(pb_mover *mover)
{
    if (mover->stopping)
        stop_runs(mover);
    grant_tickets(mover);
    while (mover->queue_head && mover->running < mover->options.transfers_max) {
        begin(mover, pb_mover_take(mover));
        grant_tickets(mover);
    }
}

/* After every completion: what the transfer does next, and then what else has room. */
void pb_transfer_step(pb_transfer_run *run)
{
    pb_mover *mover = run->mover;
    mover->stepping = true;
    drive(run); /* `run` may be over, and be another one's, after this */
    mover->stepping = false;
    pump(mover);
}

static void on_pump_soon(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    pump(idle->data);
}

static void pump_later(pb_mover *mover)
{
    if (!mover->stepping && !uv_is_active((uv_handle_t *)&mover->pump_soon))
        uv_idle_start(&mover->pump_soon, on_pump_soon);
}

void pb_mover_start(pb_mover *mover, pb_transfer *transfer)
{
    transfer->error = NULL;
    transfer->proof = 0;
    transfer->has_digest = false;
    transfer->part_bytes = 0;
    transfer->stored_etag[0] = 0;
    transfer->next_ = NULL;
    if (mover->queue_head)
        mover->queue_tail->next_ = transfer;
    else
        mover->queue_head = transfer;
    mover->queue_tail = transfer;
    mover->waiting++;
    pump_later(mover);
}

pb_transfer *pb_mover_take(pb_mover *mover)
{
    pb_transfer *transfer = mover->queue_head;
    if (transfer) {
        mover->queue_head = transfer->next_;
        mover->waiting--;
    }
    return transfer;
}

unsigned pb_mover_waiting(const pb_mover *mover)
{
    return mover->waiting;
}

unsigned pb_mover_running(const pb_mover *mover)
{
    return mover->running;
}

void pb_mover_cancel(pb_mover *mover)
{
    mover->stopping |= !mover->cancelled;
    mover->cancelled = true;
    pump_later(mover);
}

pb_mover *pb_mover_new(uv_loop_t *loop, const pb_mover_options *options, pb_counters *counters)
{
    pb_mover *mover = pb_allocate_zeroed(1, sizeof *mover);
    mover->options = *options;
    mover->counters = counters;
    mover->budget.total_bytes = options->memory_bytes;
    uv_idle_init(loop, &mover->pump_soon);
    mover->pump_soon.data = mover;
    return mover;
}

static void on_closed(uv_handle_t *handle)
{
    pb_mover *mover = handle->data;
    while (mover->free_runs) {
        pb_transfer_run *run = mover->free_runs;
        mover->free_runs = run->next;
        pb_buffer_free(&run->headers);
        pb_hash_free(run->hash);
        pb_hash_free(run->hash_of_parts);
        pb_hash_free(run->key_hash);
        free(run);
    }
    while (mover->free_parts) {
        transfer_part *part = mover->free_parts;
        mover->free_parts = part->next;
        pb_hash_free(part->hash);
        free(part);
    }
    while (mover->kept_count)
        free(mover->kept[--mover->kept_count]);
    free(mover);
}

void pb_mover_close(pb_mover *mover)
{
    if (mover)
        uv_close((uv_handle_t *)&mover->pump_soon, on_closed);
}

const pb_budget *pb_mover_budget(const pb_mover *mover)
{
    return &mover->budget;
}
