/* cluster/boundary/restore_policy.h - what of a snapshot a restore accepts. A repository is
 * hostile: whoever can write to it chooses what snapshot.json, dumps and captures say. All that is
 * judged for this reason is judged here. Pure, any thread. */
#ifndef PB_CLUSTER_BOUNDARY_RESTORE_POLICY_H
#define PB_CLUSTER_BOUNDARY_RESTORE_POLICY_H

#include "base/bytes.h"
#include "base/error.h"
#include "manifest/cluster_record.h"
#include <jansson.h>

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

/* ---- Kubernetes objects ---- */

typedef enum pb_object_verdict {
    PB_OBJECT_ORDINARY,
    PB_OBJECT_GRANTS,    /* gives rights in the namespace: left out unless --allow-privileged */
    PB_OBJECT_REACHES,   /* its pods reach the host: refused unless --allow-privileged */
    PB_OBJECT_UNKNOWN,   /* of a kind that the cluster does not have in namespaces */
    PB_OBJECT_FORBIDDEN, /* acts outside of its namespace, or is none that a capture holds */
} pb_object_verdict;

/* The namespaced kinds of a cluster, by the answer of `kubectl api-resources --namespaced=true
 * --no-headers`: a set of "GROUP/KIND", the caller's. */
json_t *pb_policy_kinds(pb_slice answer);
/* Judges one object of a capture of `name_space`. *ret_why (borrowed) says what it is about it,
 * where it is not ordinary. */
pb_object_verdict pb_policy_object(const json_t *object, const char *name_space,
                                   const json_t *kinds, const char **ret_why);
/* Judges them all: takes those that give rights out of the array and appends them to *left_out,
 * unless they are allowed. DAMAGED where one is forbidden, USAGE where one is unknown, or reaches
 * the host and is not allowed; each with a hint. */
int pb_policy_filter(json_t *objects, const char *name_space, const json_t *kinds,
                     bool allow_privileged, json_t *left_out, pb_error *error);

/* Judges captured rights in the whole cluster: DAMAGED where one is neither a ClusterRole nor a
 * ClusterRoleBinding of service accounts of `name_space` alone, or where a ClusterRole widens
 * others (by a label aggregate-to-...). They are applied with
 * --allow-privileged only. */
int pb_policy_check_rights(const json_t *rights, const char *name_space, pb_error *error);
/* What there is to say about each of them. */
#define PB_POLICY_RIGHTS_REMARK "gives rights in the whole cluster"

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
