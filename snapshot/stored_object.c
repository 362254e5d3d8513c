#include "snapshot/stored_object.h"

#include "manifest/layout.h"

pb_slice pb_stored_etag(const pb_record *record)
{
    return record->stored_etag.size ? record->stored_etag : record->etag;
}

pb_slice pb_proven_etag(const pb_store *repository, const pb_record *record)
{
    if (pb_store_capabilities_of(repository)->etag_is_md5)
        return pb_stored_etag(record);
    return record->proof & PB_PROOF_ETAG ? record->etag : (pb_slice){NULL, 0};
}

void pb_expect_stored(pb_transfer *transfer, pb_store *repository, const pb_record *record,
                      pb_arena *arena)
{
    pb_buffer key = {0};
    pb_layout_record_key(&key, record);
    transfer->source = repository;
    transfer->source_key = pb_arena_copy(arena, pb_buffer_slice(&key));
    pb_buffer_free(&key);
    transfer->name = record->key;
    transfer->size = record->size;
    const pb_store_capabilities *capabilities = pb_store_capabilities_of(repository);
    if (capabilities->etag_is_kept) {
        transfer->etag = pb_stored_etag(record);
        transfer->must_match = transfer->etag.size > 0;
    }
    bool by_crc32c = record->has_crc32c && !record->has_sha256;
    transfer->digest_kind = by_crc32c ? PB_HASH_CRC32C : PB_HASH_SHA256;
    if (by_crc32c)
        transfer->expected_digest = record->crc32c;
    else if (record->has_sha256)
        transfer->expected_digest = record->sha256;
    transfer->expected_part_bytes = record->part_bytes;
    /* Of a source's ETag that nothing was found equal to, not even the layout is known. */
    if (!capabilities->etag_is_md5)
        transfer->expected_etag = pb_proven_etag(repository, record);
    else if (record->stored_etag.size || record->proof & PB_PROOF_ETAG)
        transfer->expected_etag = pb_stored_etag(record);
}
