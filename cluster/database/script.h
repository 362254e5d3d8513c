/* cluster/database/script.h - reading the SQL script of pg_restore or pg_dumpall as it comes: which
 * chunks its rows of storage.chunk_objects need. Pure; O(1) memory, whatever the length of lines
 * and values.
 *
 * Needed is a row with `uploaded` and not `tombstone`; its object is
 * chunk/<hex of chunk_id>.<gen in 16 hex digits>. */
#ifndef PB_CLUSTER_DATABASE_SCRIPT_H
#define PB_CLUSTER_DATABASE_SCRIPT_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct pb_database_script pb_database_script;

typedef struct pb_database_script_options {
    const char
        *database; /* pg_dumpall: only this one's tables count; NULL: all is of one database */
    /* NULL: chunks are not looked for. */
    void (*chunk)(void *context, pb_slice key);
    void *context;
} pb_database_script_options;

/* Options are copied. */
pb_database_script *pb_database_script_new(const pb_database_script_options *options);
void pb_database_script_free(pb_database_script *script); /* NULL allowed */
/* The next bytes. DAMAGED where a row is not of its form; FAILED where the table has other columns.
 */
int pb_database_script_feed(pb_database_script *script, const void *data, size_t size,
                            pb_error *error);
/* That was all: DAMAGED where the script's own last line was not seen or something is open; FAILED
 * where chunks are looked for and the table was not there. */
int pb_database_script_end(const pb_database_script *script, pb_error *error);

#endif
