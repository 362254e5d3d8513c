/* snapshot/changed_source.h - an object of a source that is in use: it changed, or went, between
 * its listing and its reading. It is looked at again, and what is there now is taken. For this
 * room. */
#ifndef PB_SNAPSHOT_CHANGED_SOURCE_H
#define PB_SNAPSHOT_CHANGED_SOURCE_H

#include "copier/shard/shard.h"

/* True where the item's transfer, which has failed, may have found the object changed, and it has
 * not been looked at too often: then the transfer is set up to look at it (for pb_shard_work.again;
 * the caller notes by the verdict that it does). */
bool pb_changed_source_look(pb_item *item, pb_store *source);
/* After a look that succeeded. True where the object changed: item->entry is what was found, in
 * place of what was listed. False where it did not: the transfer has failed as it had before. */
bool pb_changed_source_found(pb_item *item, pb_arena *arena);

#endif
