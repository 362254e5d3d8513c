#include "copier/transfer/run.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- read for a proof: one stream, nothing kept ---- */

static bool hashes_parts(const pb_transfer_run *run)
{
    return run->part_bytes && pb_transfer_digests_parts(run->transfer);
}

static void read_restarted(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    run->received = 0;
    run->part_left = run->part_bytes;
    pb_hash_restart(run->hash);
    pb_hash_restart(run->hash_of_parts);
    pb_hash_restart(run->key_hash);
    if (run->etag_check)
        pb_etag_check_restart(run->etag_check);
}

static void hash_part_end(pb_transfer_run *run)
{
    uint8_t digest[PB_SHA256_BYTES];
    pb_hash_finish(run->hash, digest);
    pb_hash_update(run->hash_of_parts, digest, sizeof digest);
    pb_hash_restart(run->hash);
    run->part_left = run->part_bytes;
}

static int read_received(pb_store_request *request, const void *data, size_t size, pb_error *error)
{
    (void)error;
    pb_transfer_run *run = request->context;
    run->received += size;
    atomic_fetch_add_explicit(&run->counters->bytes, size, memory_order_relaxed);
    if (run->etag_check)
        pb_etag_check_update(run->etag_check, data, size);
    if (run->wants_key)
        pb_hash_update(run->key_hash, data, size);
    if (run->wants_digest) {
        const char *bytes = data;
        while (hashes_parts(run) && size >= run->part_left) {
            pb_hash_update(run->hash, bytes, run->part_left);
            bytes += run->part_left;
            size -= run->part_left;
            hash_part_end(run);
        }
        pb_hash_update(run->hash, bytes, size);
        run->part_left -= size;
    }
    return 0;
}

/* False where the bytes are not what they should be. */
static bool read_proves(pb_transfer_run *run)
{
    pb_transfer *transfer = run->transfer;
    uint8_t digest[PB_DIGEST_BYTES_MAX];
    transfer->proof = PB_MOVED_SIZE;
    if (run->wants_digest) {
        if (hashes_parts(run)) {
            if (run->part_left != run->part_bytes || !transfer->size)
                hash_part_end(run);
            pb_hash_finish(run->hash_of_parts, digest);
        } else {
            pb_hash_finish(run->hash, digest);
        }
        if (!pb_transfer_digest_holds(run, digest))
            return false;
        pb_transfer_keep_digest(run, digest, true);
        transfer->part_bytes = run->part_bytes;
    }
    if (run->wants_key) {
        uint8_t named[PB_BLAKE2B256_BYTES];
        pb_hash_finish(run->key_hash, digest);
        if (pb_chunk_digest(transfer->name, named) && memcmp(named, digest, sizeof named) == 0)
            transfer->proof |= PB_MOVED_KEY;
    }
    if (run->etag_check) {
        int same = pb_etag_check_finish(run->etag_check);
        if (same == 0 && !run->etag_opaque) {
            if (!pb_transfer_again(run))
                pb_transfer_damaged(run, "mismatch", "the bytes do not have the MD5 of their ETag");
            return false;
        }
        if (same == 1)
            transfer->proof |= PB_MOVED_ETAG;
    }
    return true;
}

static void on_read(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    pb_transfer *transfer = run->transfer;
    pb_transfer_request_ended(run, request);
    if (!run->facts.failed) {
        snprintf(transfer->stored_etag, sizeof transfer->stored_etag, "%s", request->etag);
        if (run->received != transfer->size)
            pb_transfer_damaged(run, run->received < transfer->size ? "truncated" : "mismatch",
                                "%" PRIu64 " bytes where the manifest says %" PRIu64, run->received,
                                transfer->size);
        else
            run->facts.moved = read_proves(run);
    }
    pb_transfer_step(run);
}

void pb_transfer_read(pb_transfer_run *run)
{
    const pb_transfer *transfer = run->transfer;
    pb_store_request *request = pb_transfer_request_begin(run, PB_STORE_GET, on_read);
    run->hash = pb_hash_reuse(run->hash, transfer->digest_kind);
    run->hash_of_parts = pb_hash_reuse(run->hash_of_parts, PB_HASH_SHA256);
    run->key_hash = pb_hash_reuse(run->key_hash, PB_HASH_BLAKE2B256);
    uint8_t named[PB_BLAKE2B256_BYTES];
    run->wants_digest = transfer->expected_digest || transfer->hash_as_relayed;
    /* A SHA-256 is proof enough; a digest as a relay makes it comes with the key's, as there. */
    bool proof_enough = transfer->expected_digest && transfer->digest_kind == PB_HASH_SHA256;
    run->wants_key = !proof_enough && !(transfer->hash_as_relayed && run->part_bytes) &&
                     pb_chunk_digest(transfer->name, named);
    if (!run->etag_check && !proof_enough && transfer->expected_etag.size)
        run->etag_check = pb_etag_check_new(transfer->expected_etag, transfer->size,
                                            transfer->expected_part_bytes);
    request->key = transfer->source_key;
    request->size_hint = transfer->size;
    request->if_match = pb_transfer_condition(transfer);
    request->if_version = transfer->version;
    request->restarted = read_restarted;
    request->received = read_received;
    read_restarted(request);
    pb_store_submit(transfer->source, request);
}

/* ---- look: does it exist, and how large is it? ---- */

enum { KEYS_LOOKED_AT = 100 };

static void on_looked(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    pb_transfer *transfer = run->transfer;
    pb_transfer_request_ended(run, request);
    if (!run->facts.failed) {
        snprintf(transfer->stored_etag, sizeof transfer->stored_etag, "%s", request->etag);
        transfer->proof |= PB_MOVED_SIZE;
        transfer->found_size = request->size;
        transfer->found_mtime_ms = request->mtime_ms;
        run->facts.moved = true;
    }
    pb_transfer_step(run);
}

static void on_listed(pb_store_request *request)
{
    pb_transfer_run *run = request->context;
    pb_transfer *transfer = run->transfer;
    pb_transfer_request_ended(run, request);
    const pb_entry *found = NULL;
    for (size_t i = 0; request->page && i < request->page->count && !found; i++)
        if (pb_slice_equal(request->page->entries[i].key, transfer->source_key))
            found = &request->page->entries[i];
    if (found) {
        snprintf(transfer->stored_etag, sizeof transfer->stored_etag, "%.*s",
                 PB_SLICE_FORMAT(found->etag));
        transfer->found_size = found->size;
        transfer->found_mtime_ms = found->mtime_ms;
        run->facts.moved = true;
    } else if (!run->facts.failed) {
        /* In order, the key comes first of those that begin with it. */
        pb_transfer_fail(run, request->page->more ? PB_ERROR_FAILED : PB_ERROR_NOT_FOUND,
                         "it is not listed any more");
    }
    pb_page_release(request->page);
    pb_transfer_step(run);
}

void pb_transfer_look(pb_transfer_run *run)
{
    if (run->transfer->looks_at_listing) {
        pb_store_request *list = pb_transfer_request_begin(run, PB_STORE_LIST, on_listed);
        list->list.prefix = run->transfer->source_key;
        list->list.keys_max = KEYS_LOOKED_AT;
        pb_store_submit(run->transfer->source, list);
        return;
    }
    pb_store_request *request = pb_transfer_request_begin(run, PB_STORE_HEAD, on_looked);
    request->key = run->transfer->source_key;
    pb_store_submit(run->transfer->source, request);
}
