/* cli/snapshot_table.h - the text of `snapshots`: tables, one a source. Pure, any thread. What
 * comes from a repository is made harmless before it is shown. */
#ifndef PB_CLI_SNAPSHOT_TABLE_H
#define PB_CLI_SNAPSHOT_TABLE_H

#include "base/bytes.h"
#include "snapshot/catalogue.h"

enum { PB_SNAPSHOT_TABLE_COLUMNS = 7 }; /* the last is the source */
typedef struct pb_snapshot_table {      /* {0} is empty */
    char *(*rows)[PB_SNAPSHOT_TABLE_COLUMNS];
    size_t count;
} pb_snapshot_table;

/* What `snapshots` calls an entry: "complete", "abandoned", "unfinished", or "unreadable" with a
 * flaw. */
const char *pb_snapshot_state(const pb_catalogue_entry *entry);
void pb_snapshot_table_add(pb_snapshot_table *table, const pb_catalogue_entry *entry);
/* Appends whole lines. */
void pb_snapshot_table_append(const pb_snapshot_table *table, pb_buffer *buffer);
void pb_snapshot_table_free(pb_snapshot_table *table); /* back to {0} */

#endif
