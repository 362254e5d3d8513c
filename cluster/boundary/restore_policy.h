/* cluster/boundary/restore_policy.h - what of a snapshot a restore accepts. A repository is
 * hostile: whoever can write to it chooses what snapshot.json, dumps and captures say. All that is
 * judged for this reason is judged here. Pure, any thread. */
#ifndef PB_CLUSTER_BOUNDARY_RESTORE_POLICY_H
#define PB_CLUSTER_BOUNDARY_RESTORE_POLICY_H

#include "base/bytes.h"
#include "base/error.h"
#include "manifest/cluster_record.h"

/* ---- dumps and captures ---- */

/* What the user asked for; nothing of it comes from the repository. */
typedef struct pb_restore_policy {
    bool takes_databases; /* dumps of pg_dump are wanted (--dump databases) */
    bool takes_server;    /* a dump of pg_dumpall is wanted (--dump all) */
    bool takes_objects;   /* a capture is wanted */
    bool has_identity;    /* --identity: what was encrypted is expected to be so */
    bool plaintext;       /* --plaintext: what is not is welcome all the same */
} pb_restore_policy;

/* Is each artifact that would be read one that was asked for, and encrypted where that is expected?
 * USAGE with a hint where it is not. */
int pb_policy_check_record(const pb_restore_policy *policy, const pb_cluster_record *record,
                           pb_error *error);

/* ---- scripts ---- */

typedef enum pb_meta_command {
    PB_META_REFUSED,
    PB_META_CONNECT,  /* \connect NAME as pg_dumpall writes it, to a database of the same server */
    PB_META_RESTRICT, /* \restrict KEY or \unrestrict KEY */
} pb_meta_command;

/* A line of a script that begins with a backslash, without its newline. */
pb_meta_command pb_policy_meta_command(pb_slice line);

typedef enum pb_statement {
    PB_STATEMENT_REFUSED, /* COPY from or to a file or a program, or of an unknown form */
    PB_STATEMENT_ROWS,    /* COPY table (columns) FROM stdin: rows follow */
    PB_STATEMENT_OTHER,   /* the server's business */
} pb_statement;

/* A statement without its semicolon; comments are blanks in it, and strings ''. */
pb_statement pb_policy_statement(pb_slice text);

#endif
