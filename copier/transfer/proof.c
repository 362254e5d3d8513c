#include "copier/transfer/run.h"

#include "base/codec.h"
#include <endian.h>
#include <stdio.h>

bool pb_chunk_digest(pb_slice name, uint8_t *ret_digest)
{
    enum { HEX = 64, GENERATION = 16, TAIL = 6 + HEX + 1 + GENERATION };
    if (name.size < TAIL || (name.size > TAIL && name.data[name.size - TAIL - 1] != '/'))
        return false;
    const char *tail = name.data + name.size - TAIL;
    uint8_t generation[GENERATION / 2];
    return memcmp(tail, "chunk/", 6) == 0 && tail[6 + HEX] == '.' &&
           pb_hex_decode((pb_slice){tail + 7 + HEX, GENERATION}, generation, sizeof generation) &&
           pb_hex_decode((pb_slice){tail + 6, HEX}, ret_digest, PB_BLAKE2B256_BYTES);
}

static bool same_digest(const pb_transfer_run *run, const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, pb_hash_bytes(run->transfer->digest_kind)) == 0;
}

/* ---- ETags ---- */

/* A store that is only read cannot be asked for it: bytes that are other ones than they were, all
 * of them, look the same. */
static void hint_at_opaque_etags(pb_transfer_run *run)
{
    const pb_transfer *transfer = run->transfer;
    if (transfer->error && !transfer->error->hint[0] &&
        pb_store_location(transfer->source)->kind == PB_STORE_S3)
        pb_error_hint(transfer->error,
                      "where that is so of every object though the bytes are right, the store's "
                      "ETags are no MD5s: opaqueETags=true in the URL of %s says so",
                      pb_store_name(transfer->source));
}

bool pb_transfer_both_plain(const pb_transfer_run *run, const char *stored)
{
    const pb_transfer *transfer = run->transfer;
    return pb_etag_parts(transfer->etag) == 0 && pb_etag_parts(pb_slice_of(stored)) == 0 &&
           pb_store_capabilities_of(transfer->source)->etag_is_md5 &&
           pb_store_capabilities_of(transfer->destination)->etag_is_md5;
}

bool pb_transfer_etag_proves(const pb_transfer_run *run, const char *stored)
{
    const pb_transfer *transfer = run->transfer;
    return !run->etag_opaque &&
           (pb_etag_parts(transfer->etag) >= 0 || pb_etag_is_crc32c(transfer->etag, NULL)) &&
           pb_etag_same(transfer->etag, pb_slice_of(stored)) &&
           pb_store_capabilities_of(transfer->source)->etag_is_md5 &&
           pb_store_capabilities_of(transfer->destination)->etag_is_md5;
}

/* What the source's ETag says of the bytes that were read, before they are promised. */
typedef enum etag_says {
    ETAG_SAYS_NOTHING, /* there is nothing to compare */
    ETAG_SAYS_SAME,
    ETAG_SAYS_OTHER,
    ETAG_SAYS_MAYBE, /* it would differ for other bytes, but for another layout of parts as well */
} etag_says;

/* The destination's ETags are no MD5s: computed here from the bytes. */
static etag_says ask_etag_check(pb_transfer_run *run)
{
    int same = pb_etag_check_finish(run->etag_check);
    pb_etag_check_restart(run->etag_check);
    return same == 1 ? ETAG_SAYS_SAME : same == 0 ? ETAG_SAYS_OTHER : ETAG_SAYS_MAYBE;
}

/* The destination's parts have MD5s: the ETag that the whole will have is known before it is made.
 */
static etag_says ask_part_etags(const pb_transfer_run *run)
{
    const pb_transfer *transfer = run->transfer;
    uint8_t digest[PB_MD5_BYTES];
    char text[PB_ETAG_TEXT_MAX];
    if (pb_etag_parts(transfer->etag) != (int)run->facts.parts ||
        !pb_store_capabilities_of(transfer->source)->etag_is_md5 ||
        !pb_store_capabilities_of(transfer->destination)->part_etags_are_md5)
        return ETAG_SAYS_NOTHING;
    pb_hash *hash = pb_hash_new(PB_HASH_MD5);
    bool all = true;
    for (unsigned i = 0; i < run->facts.parts && all; i++) {
        all = pb_hex_decode(pb_slice_of(run->etags[i]), digest, sizeof digest);
        pb_hash_update(hash, digest, sizeof digest);
    }
    pb_hash_finish(hash, digest);
    pb_hash_free(hash);
    if (!all)
        return ETAG_SAYS_NOTHING;
    pb_hex_encode(digest, sizeof digest, text);
    snprintf(text + 2 * PB_MD5_BYTES, sizeof text - 2 * PB_MD5_BYTES, "-%u", run->facts.parts);
    if (pb_etag_same(transfer->etag, pb_slice_of(text)))
        return ETAG_SAYS_SAME;
    return transfer->expected_part_bytes ? ETAG_SAYS_OTHER : ETAG_SAYS_MAYBE;
}

/* True where the bytes may be promised. Else they are read once more, or the transfer has failed: a
 * second reading that is like the first shows that only the layout is unknown. */
static bool settle(pb_transfer_run *run, etag_says says, const uint8_t *digest)
{
    if (says == ETAG_SAYS_NOTHING || run->etag_opaque)
        return true;
    if (says == ETAG_SAYS_SAME) {
        if (run->etag_check)
            run->transfer->proof |= PB_MOVED_ETAG; /* else the destination's answer tells */
        return true;
    }
    if (pb_transfer_again(run)) {
        memcpy(run->first_digest, digest, pb_hash_bytes(run->transfer->digest_kind));
        return false;
    }
    if (says == ETAG_SAYS_MAYBE && same_digest(run, run->first_digest, digest))
        return true;
    pb_transfer_damaged(run, "mismatch", "the bytes read do not have the source's ETag");
    hint_at_opaque_etags(run);
    return false;
}

/* ---- digests ---- */

bool pb_transfer_digest_holds(pb_transfer_run *run, const uint8_t *digest)
{
    const pb_transfer *transfer = run->transfer;
    if (!transfer->expected_digest || same_digest(run, digest, transfer->expected_digest))
        return true;
    if (!pb_transfer_again(run))
        pb_transfer_damaged(run, "mismatch", "the bytes do not have the %s of the manifest",
                            transfer->digest_kind == PB_HASH_SHA256 ? "SHA-256" : "CRC32C");
    return false;
}

void pb_transfer_keep_digest(pb_transfer_run *run, const uint8_t *digest, bool proven)
{
    pb_transfer *transfer = run->transfer;
    memmove(transfer->digest, digest, pb_hash_bytes(transfer->digest_kind));
    transfer->has_digest = true;
    if (proven)
        transfer->proof |=
            transfer->digest_kind == PB_HASH_SHA256 ? PB_MOVED_SHA256 : PB_MOVED_CHECKSUM;
}

/* True where the relay's layout makes a digest like the one that is expected. */
static bool is_comparable(const pb_transfer_run *run)
{
    const pb_transfer *transfer = run->transfer;
    return transfer->expected_digest && (!pb_transfer_digests_parts(transfer) ||
                                         transfer->expected_part_bytes == run->facts.part_bytes);
}

/* What the source said of the whole object against what came of it. */
static bool source_crc32c_holds(pb_transfer_run *run)
{
    if (!run->source_has_crc32c)
        return true;
    if (memcmp(run->source_crc32c, run->object_crc32c, sizeof run->source_crc32c) == 0) {
        run->transfer->proof |= PB_MOVED_CHECKSUM;
        return true;
    }
    if (!pb_transfer_again(run))
        pb_transfer_damaged(run, "mismatch",
                            "the bytes read do not have the CRC32C that the source names");
    return false;
}

bool pb_transfer_check_single(pb_transfer_run *run, pb_slice bytes, const uint8_t *digest)
{
    pb_transfer *transfer = run->transfer;
    if (pb_transfer_needs_crc32c(transfer)) {
        pb_crc32c(bytes.data, bytes.size, run->object_crc32c);
        if (!source_crc32c_holds(run))
            return false;
    }
    if (is_comparable(run) && !pb_transfer_digest_holds(run, digest))
        return false;
    if (run->etag_check) {
        pb_etag_check_update(run->etag_check, bytes.data, bytes.size);
        if (!settle(run, ask_etag_check(run), digest))
            return false;
    }
    uint8_t named[PB_BLAKE2B256_BYTES], computed[PB_BLAKE2B256_BYTES];
    if (!pb_chunk_digest(transfer->name, named))
        return true;
    run->key_hash = pb_hash_reuse(run->key_hash, PB_HASH_BLAKE2B256);
    pb_hash_update(run->key_hash, bytes.data, bytes.size);
    pb_hash_finish(run->key_hash, computed);
    /* A key may look like a chunk's by chance or in a test: no proof then, and no damage either. */
    if (memcmp(named, computed, sizeof named) == 0)
        transfer->proof |= PB_MOVED_KEY;
    return true;
}

static void digest_parts(const pb_transfer_run *run, uint8_t *ret_digest)
{
    const pb_transfer_facts *facts = &run->facts;
    if (pb_transfer_digests_parts(run->transfer)) {
        pb_sha256(run->digests, (size_t)facts->parts * PB_SHA256_BYTES, ret_digest);
        return;
    }
    uint32_t whole = 0, part;
    for (unsigned i = 0; i < facts->parts; i++) {
        memcpy(&part, run->digests + i * sizeof part, sizeof part);
        whole = pb_crc32c_combine(whole, be32toh(part), pb_transfer_part_length(facts, i + 1));
    }
    whole = htobe32(whole);
    memcpy(ret_digest, &whole, sizeof whole);
}

static void join_crc32cs(pb_transfer_run *run)
{
    const pb_transfer_facts *facts = &run->facts;
    uint32_t whole = 0;
    for (unsigned i = 0; i < facts->parts; i++)
        whole = pb_crc32c_combine(whole, run->crc32cs[i], pb_transfer_part_length(facts, i + 1));
    whole = htobe32(whole);
    memcpy(run->object_crc32c, &whole, sizeof whole);
}

/* True where the destination was to compare the source's ETag by its own, and was found meanwhile
 * to have none that could. */
static bool compares_no_more(const pb_transfer_run *run)
{
    const pb_transfer *transfer = run->transfer;
    return run->destination_compares && !run->etag_opaque &&
           pb_store_capabilities_of(transfer->source)->etag_is_md5 &&
           !pb_store_capabilities_of(transfer->destination)->etag_is_md5;
}

bool pb_transfer_check_written(pb_transfer_run *run, pb_slice bytes)
{
    pb_transfer *transfer = run->transfer;
    if (!compares_no_more(run))
        return true;
    int same = pb_etag_of_bytes(transfer->etag, bytes);
    if (same == 1)
        transfer->proof |= PB_MOVED_ETAG;
    if (same || (!transfer->writes_once && pb_transfer_again(run)))
        return same != 0;
    pb_transfer_damaged(run, "mismatch", "the bytes read do not have the source's ETag");
    hint_at_opaque_etags(run);
    return false;
}

bool pb_transfer_check_parts(pb_transfer_run *run)
{
    if (compares_no_more(run) && !is_comparable(run)) {
        run->facts.again = true; /* this time with what is computed here */
        return false;
    }
    uint8_t *digest = run->transfer->digest;
    digest_parts(run, digest);
    if (run->crc32cs) {
        join_crc32cs(run);
        if (!source_crc32c_holds(run)) {
            run->facts.again = !run->facts.failed;
            return false;
        }
    }
    bool holds =
        is_comparable(run)
            ? pb_transfer_digest_holds(run, digest)
            : settle(run, run->etag_check ? ask_etag_check(run) : ask_part_etags(run), digest);
    run->facts.again = !holds && !run->facts.failed;
    return holds;
}

/* Moves them once more, if nothing was written for good, or fails. */
static pb_transfer_stored stored_other(pb_transfer_run *run, const char *what, bool by_etag)
{
    if (run->transfer->writes_once || run->facts.part_bytes || !pb_transfer_again(run)) {
        pb_transfer_damaged(run, "mismatch", "%s", what);
        if (by_etag)
            hint_at_opaque_etags(run);
    }
    return PB_TRANSFER_STORED_OTHER;
}

static pb_transfer_stored compare_crc32c(pb_transfer_run *run, const pb_store_request *written,
                                         const uint8_t *sent)
{
    if (memcmp(written->crc32c, sent, sizeof written->crc32c) != 0)
        return stored_other(run, "the store has other bytes than were sent", false);
    return PB_TRANSFER_STORED_SAME;
}

pb_transfer_stored pb_transfer_judge_put(pb_transfer_run *run, const pb_store_request *written,
                                         pb_slice bytes, const uint8_t *digest)
{
    pb_transfer *transfer = run->transfer;
    bool single = !run->facts.part_bytes;
    bool by_crc32c = transfer->digest_kind == PB_HASH_CRC32C;
    if (single && !run->etag_opaque && pb_transfer_both_plain(run, written->etag) &&
        !pb_etag_same(transfer->etag, pb_slice_of(written->etag)))
        return stored_other(run, "the bytes read do not have the ETag that the listing gave",
                            !written->has_crc32c);
    if (written->has_crc32c) {
        pb_transfer_stored stored =
            compare_crc32c(run, written, by_crc32c ? digest : run->object_crc32c);
        if (single && stored == PB_TRANSFER_STORED_SAME)
            transfer->proof |= PB_MOVED_CHECKSUM;
        return stored;
    }
    if (written->body_checked || !bytes.size || transfer->proof & PB_MOVED_ETAG ||
        (single && pb_transfer_etag_proves(run, written->etag)))
        return PB_TRANSFER_STORED_SAME;
    const pb_store_capabilities *destination = pb_store_capabilities_of(transfer->destination);
    if (run->etag_opaque || !(single ? destination->etag_is_md5 : destination->part_etags_are_md5))
        return PB_TRANSFER_STORED_TOLD;
    int same = pb_etag_of_bytes(pb_slice_of(written->etag), bytes);
    if (same == 0)
        return stored_other(run, "the store has other bytes than were sent", true);
    return same == 1 ? PB_TRANSFER_STORED_SAME : PB_TRANSFER_STORED_TOLD;
}

pb_transfer_stored pb_transfer_judge_parts(pb_transfer_run *run, const pb_store_request *written)
{
    if (written->has_crc32c) {
        pb_transfer_stored stored = compare_crc32c(run, written, run->object_crc32c);
        if (stored == PB_TRANSFER_STORED_SAME)
            run->transfer->proof |= PB_MOVED_CHECKSUM;
        return stored;
    }
    return run->parts_same == run->facts.parts ? PB_TRANSFER_STORED_SAME : PB_TRANSFER_STORED_TOLD;
}
