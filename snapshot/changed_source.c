#include "snapshot/changed_source.h"

#include "base/failure.h"
#include <stdlib.h>

enum { LOOKS_MAX = 5 };

bool pb_changed_source_look(pb_item *item, pb_store *source)
{
    const pb_error *why = item->transfer.error;
    if (!why || pb_failure_finding_of(why->kind) == PB_FAILURE_UNREAD ||
        strcmp(why->code, PB_CODE_OCCUPIED) == 0 || item->looks == LOOKS_MAX)
        return false;
    item->looks++;
    item->kept_error = pb_allocate(sizeof *item->kept_error);
    *item->kept_error = *why;
    memset(&item->transfer, 0, offsetof(pb_transfer, done));
    item->transfer.kind = PB_TRANSFER_LOOK;
    item->transfer.looks_at_listing = true;
    item->transfer.source = source;
    item->transfer.source_key = item->transfer.name = item->entry->key;
    return true;
}

bool pb_changed_source_found(pb_item *item, pb_arena *arena)
{
    pb_transfer *transfer = &item->transfer;
    /* An object that was written anew with the same bytes is another version of them. */
    bool may_be_newer = item->entry->version.size > 0 && item->kept_error->kind == PB_ERROR_EXISTS;
    if (!may_be_newer && transfer->found_size == item->entry->size &&
        pb_slice_equal(pb_slice_of(transfer->stored_etag), item->entry->etag)) {
        transfer->error = item->kept_error;
        item->kept_error = NULL;
        item->looks--;
        return false;
    }
    free(item->kept_error);
    item->kept_error = NULL;
    pb_entry *found = pb_arena_allocate(arena, sizeof *found);
    *found = *item->entry;
    found->etag = pb_arena_copy(arena, pb_slice_of(transfer->stored_etag));
    found->size = transfer->found_size;
    found->mtime_ms = transfer->found_mtime_ms;
    found->version = (pb_slice){0};
    item->entry = found;
    return true;
}
