#include "snapshot/reuse.h"

#include "copier/store/etag.h"

bool pb_reuse_unchanged(const pb_entry *source, const pb_entry *record)
{
    return source->size == record->size && pb_slice_equal(source->etag, record->etag) &&
           source->mtime_ms == record->mtime_ms;
}

/* What it takes to show that the stored object is the source's. Equal multipart ETags would, too,
 * but its record should say in what parts it is stored, and a listing does not. */
static pb_reuse_kind weigh(const pb_reuse_ends *ends, const pb_entry *source,
                           const pb_entry *stored)
{
    /* What was stored before the source's last change may have other metadata. */
    if (stored->size != source->size || stored->mtime_ms < source->mtime_ms)
        return PB_REUSE_MOVE;
    bool source_is_plain = ends->source_etag_is_md5 && pb_etag_parts(source->etag) == 0;
    bool stored_is_plain = ends->repository_etag_is_md5 && pb_etag_parts(stored->etag) == 0;
    if (source_is_plain && stored_is_plain) {
        if (!pb_etag_same(source->etag, stored->etag))
            return PB_REUSE_MOVE;
        return ends->server_side ? PB_REUSE_FOUND : PB_REUSE_READ_STORED;
    }
    if (ends->source_etag_is_md5 && ends->repository_etag_is_md5 && !ends->server_side &&
        pb_etag_parts(source->etag) > 0 && pb_etag_same(source->etag, stored->etag))
        return PB_REUSE_READ_STORED;
    if (source_is_plain && !ends->repository_etag_is_md5)
        return PB_REUSE_READ_STORED;
    if (stored_is_plain && !ends->source_etag_is_md5)
        return PB_REUSE_READ_SOURCE;
    return ends->source_etag_is_md5 || ends->repository_etag_is_md5 ? PB_REUSE_MOVE
                                                                    : PB_REUSE_READ_BOTH;
}

pb_reuse pb_reuse_choose(const pb_reuse_ends *ends, const pb_entry *source, const pb_entry *base,
                         const pb_entry *const *records, const pb_entry *const *stored,
                         unsigned donors)
{
    if (base && pb_reuse_unchanged(source, base))
        return (pb_reuse){PB_REUSE_KEEP, 0};
    for (unsigned i = 0; i < donors; i++)
        if (records[i] && pb_reuse_unchanged(source, records[i]))
            return (pb_reuse){PB_REUSE_TAKE, i};
    for (unsigned i = 0; i < donors; i++) {
        pb_reuse_kind kind = stored[i] ? weigh(ends, source, stored[i]) : PB_REUSE_MOVE;
        if (kind != PB_REUSE_MOVE)
            return (pb_reuse){kind, i};
    }
    return (pb_reuse){PB_REUSE_MOVE, 0};
}
