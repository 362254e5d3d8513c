/* snapshot/seen_entries.h - entries of a listing that are to be known again, in flat memory. Any
 * thread. For this room.
 *
 * A Bloom filter: an entry that was added is always known again; one that was not is taken for one
 * of them twice in a thousand where half a million were added, always where many millions were. */
#ifndef PB_SNAPSHOT_SEEN_ENTRIES_H
#define PB_SNAPSHOT_SEEN_ENTRIES_H

#include "copier/store/page.h"

typedef struct pb_seen_entries pb_seen_entries;

pb_seen_entries *pb_seen_entries_new(void);       /* 1 MiB */
void pb_seen_entries_free(pb_seen_entries *seen); /* NULL allowed */
void pb_seen_entries_add(pb_seen_entries *seen, const pb_entry *entry);
/* True where an entry of this key, size, ETag and time was added. */
bool pb_seen_entries_have(const pb_seen_entries *seen, const pb_entry *entry);

#endif
