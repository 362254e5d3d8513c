#include "snapshot/tally.h"

void pb_tally_record(pb_snapshot_file *tally, const pb_record *record, bool copied)
{
    tally->objects++;
    tally->bytes += record->size;
    if (copied) {
        tally->copied_objects++;
        tally->copied_bytes += record->size;
    }
    if (record->proof & PB_PROOF_KEY)
        tally->proofs_key++;
    else if (record->proof & PB_PROOF_SHA256)
        tally->proofs_sha256++;
    else if (record->proof & PB_PROOF_CHECKSUM)
        tally->proofs_checksum++;
    else if (record->proof & PB_PROOF_ETAG)
        tally->proofs_etag++;
    else
        tally->proofs_size++;
}

static void move(uint64_t *to, uint64_t *from)
{
    *to += *from;
    *from = 0;
}

void pb_tally_move(pb_snapshot_file *to, pb_snapshot_file *from)
{
    move(&to->objects, &from->objects);
    move(&to->bytes, &from->bytes);
    move(&to->copied_objects, &from->copied_objects);
    move(&to->copied_bytes, &from->copied_bytes);
    move(&to->proofs_key, &from->proofs_key);
    move(&to->proofs_sha256, &from->proofs_sha256);
    move(&to->proofs_checksum, &from->proofs_checksum);
    move(&to->proofs_etag, &from->proofs_etag);
    move(&to->proofs_size, &from->proofs_size);
}
