/* cli/result_text.h - results as text for people. Pure, any thread: each appends whole lines to
 * *buffer. What comes from a repository is made harmless before it is shown. */
#ifndef PB_CLI_RESULT_TEXT_H
#define PB_CLI_RESULT_TEXT_H

#include "base/bytes.h"
#include "cli/commands.h"
#include "snapshot/backup.h"
#include "snapshot/catalogue.h"
#include "snapshot/copy.h"
#include "snapshot/restore.h"
#include "snapshot/verify.h"

void pb_text_backup(pb_buffer *buffer, const pb_backup_result *result, const pb_options *options);
void pb_text_restore(pb_buffer *buffer, const pb_restore_result *result, const pb_options *options);
void pb_text_verify(pb_buffer *buffer, const pb_verify_result *result, const pb_options *options);
void pb_text_copy(pb_buffer *buffer, const pb_copy_result *result, const pb_options *options);
/* `show`. */
void pb_text_snapshot(pb_buffer *buffer, const pb_snapshot_file *file);

/* The tables of `snapshots`, one a source; {0} is empty. */
enum { PB_TABLE_COLUMNS = 7 }; /* the last is the source */
typedef struct pb_table {
    char *(*rows)[PB_TABLE_COLUMNS];
    size_t count;
} pb_table;

/* What `snapshots` calls an entry: "complete", "unfinished", or "unreadable" with a flaw. */
const char *pb_text_state(const pb_catalogue_entry *entry);
void pb_table_add(pb_table *table, const pb_catalogue_entry *entry);
void pb_table_append(const pb_table *table, pb_buffer *buffer);
void pb_table_free(pb_table *table);

#endif
