/* cluster/database/database.h - dumps of PostgreSQL and their way back, through pg_dump,
 * pg_dumpall, pg_restore and psql. A dump is a stream: nothing of it is ever on a disk of this
 * machine. */
#ifndef PB_CLUSTER_DATABASE_DATABASE_H
#define PB_CLUSTER_DATABASE_DATABASE_H

#include "base/error.h"
#include "base/hash.h"
#include "cluster/process/sealing.h"
#include "manifest/cluster_record.h"
#include <stdatomic.h>
#include <uv.h>

/* How to reach a server. Strings are borrowed; NULL: what libpq finds by itself (PG* environment,
 * pgpass, service file). */
typedef struct pb_database_server {
    const char *host;
    uint64_t port; /* 0: libpq's own */
    const char *user;
    const char *password; /* goes into the children's environment */
} pb_database_server;

/* "15.8", and what it is for pg_dump: 150008. UNREACHABLE, REFUSED (password), NOT_FOUND (no such
 * database). Runs the loop. */
typedef struct pb_database_version {
    char text[32];
    unsigned number;
} pb_database_version;
int pb_database_server_version(uv_loop_t *loop, const pb_database_server *server,
                               const char *database, pb_database_version *ret_version,
                               pb_error *error);
/* The version of pg_dump, pg_restore, ...: USAGE where it is not there. */
int pb_database_client_version(uv_loop_t *loop, const char *program,
                               pb_database_version *ret_version, pb_error *error);
/* Does a psql of this version know \restrict, and with it refuse commands of its own in a script?
 */
bool pb_database_can_restrict(const pb_database_version *psql);
/* Is there anything in it (tables, schemas other than PostgreSQL's own)? NOT_FOUND: no such
 * database. */
int pb_database_is_empty(uv_loop_t *loop, const pb_database_server *server, const char *database,
                         bool *ret_empty, pb_error *error);

/* Is anybody else connected to it? */
int pb_database_is_in_use(uv_loop_t *loop, const pb_database_server *server, const char *database,
                          bool *ret_in_use, pb_error *error);

/* Would a dump get all of it? Asks for the rights to read every table, sequence and large object,
 * and lets the dump's program go through the schema (DUMP_ALL: through that of all databases, and
 * the roles), of which nothing is kept. REFUSED, naming up to three of what may not be read. Runs
 * the loop, for seconds with a large schema; `cancelled` may be NULL. */
int pb_dump_rehearse(uv_loop_t *loop, const pb_database_server *server, pb_artifact_kind kind,
                     const char *database, const atomic_bool *cancelled, pb_error *error);

/* ---- a dump on its way out ---- */

typedef struct pb_dump pb_dump;

typedef struct pb_dump_options {
    pb_artifact_kind kind; /* DUMP or DUMP_ALL */
    pb_database_server server;
    const char *database; /* DUMP: this one; DUMP_ALL: whose chunks are told */
    pb_sealing sealing;
    /* The stored bytes (compressed, encrypted), in order. Never blocks: pb_dump_pause holds the
     * stream up. */
    void (*write)(void *context, const void *data, size_t size);
    /* Keys of chunks that this database needs, as `chunk/<hex>.<generation>`, in no order, while
     * the dump goes on. NULL: not looked for. */
    void (*chunk)(void *context, pb_slice key);
    /* Once, never inside pb_dump_start. Kind NONE only where pg_dump ended with 0 and the archive
     * was read to its end by pg_restore (DUMP_ALL: its last line was seen): *artifact then has
     * kind, database, encrypted, bytes and digest of what was dumped. The dump is freed after it.
     */
    void (*done)(void *context, const pb_artifact *artifact, const pb_error *error);
    void *context;
} pb_dump_options;

int pb_dump_start(uv_loop_t *loop, const pb_dump_options *options, pb_dump **ret_dump,
                  pb_error *error);
void pb_dump_pause(pb_dump *dump, bool paused);
void pb_dump_kill(pb_dump *dump, const pb_error *why); /* `done` follows */
uint64_t pb_dump_bytes(const pb_dump *dump);           /* dumped so far */

/* ---- a dump on its way back ---- */

/* DUMP: one transaction, which is not committed before all bytes are known to be the artifact's.
 * DUMP_ALL is psql's, without a transaction, as CREATE DATABASE and \connect allow none: a failure
 * leaves behind what was made before it. Roles that are there already are kept.
 *
 * What psql gets is read first (cluster/database/script_gate.h): DAMAGED where the script holds
 * commands of psql, or a COPY of files or programs, that no pg_dump writes. */

typedef struct pb_undump pb_undump;

typedef struct pb_undump_options {
    const pb_artifact *artifact;
    pb_database_server server; /* where to; not read where `check_only` */
    const char *database;      /* DUMP: into this one; DUMP_ALL: whose chunks are told */
    bool check_only;           /* no server: the archive is read to its end, its chunks are told */
    bool clean; /* drop what is there first, in the same transaction; BUSY where others keep a lock
                   on it for 30 s */
    bool *changes; /* becomes true before psql gets what it may commit: DUMP_ALL at once, DUMP the
                      end of its transaction. NULL: nobody asks */
    const char *identity;                       /* age's key file, for an encrypted one */
    void (*drained)(void *context);             /* pb_undump_pending went low: write on */
    void (*chunk)(void *context, pb_slice key); /* as above */
    /* Once. NONE only where all bytes were restored and committed, and their digest is the
     * artifact's. DAMAGED where they are not what the snapshot says. */
    void (*done)(void *context, const pb_error *error);
    void *context;
} pb_undump_options;

/* Runs the loop, to ask psql for its version. */
int pb_undump_start(uv_loop_t *loop, const pb_undump_options *options, pb_undump **ret_undump,
                    pb_error *error);
void pb_undump_write(pb_undump *undump, const void *data, size_t size); /* stored bytes, in order */
void pb_undump_end(pb_undump *undump);                                  /* that was all of them */
size_t pb_undump_pending(const pb_undump *undump);                      /* bytes not taken yet */
void pb_undump_kill(pb_undump *undump, const pb_error *why);            /* `done` follows */

#endif
