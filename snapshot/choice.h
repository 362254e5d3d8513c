/* snapshot/choice.h - which snapshot of a repository a command is about, and what its user should
 * know beside it: newer runs that were not completed. Main thread. */
#ifndef PB_SNAPSHOT_CHOICE_H
#define PB_SNAPSHOT_CHOICE_H

#include "manifest/snapshot_file.h"

/* What a snapshot is of. A repository may hold snapshots of several. */
typedef struct pb_source {
    char *name;                       /* its identity (pb_location_identity) */
    char *prefix;                     /* of the keys that are backed up, "" for all */
    char *name_space;                 /* of the cluster, "" for a bucket alone */
    char newest[PB_SNAPSHOT_ID_SIZE]; /* its newest snapshot, "" for none */
} pb_source;

/* {0}: the newest snapshot of the only source. Strings are borrowed. */
typedef struct pb_choice_options {
    const char *snapshot;   /* this id, whatever else is said; NULL: the newest of a source */
    const char *source;     /* only of this one: a URL, or an identity; NULL: of any */
    const char *prefix;     /* decides between sources that differ in their prefix; NULL: nothing */
    const char *name_space; /* only of this cluster; NULL: of any, or of none */
    /* `name_space` is where a cluster is restored to: only clusters count, and its own snapshots
     * go first. */
    bool restores_cluster;
} pb_choice_options;

typedef struct pb_choice {
    /* Unfinished runs of the same source, or of one that is not known, that are newer than the
     * chosen snapshot; oldest first. */
    char (*newer_attempts)[PB_SNAPSHOT_ID_SIZE];
    size_t newer_attempt_count;
    pb_source *sources; /* where the options left more than one: those */
    size_t source_count;
} pb_choice;

void pb_choice_free(pb_choice *choice); /* back to {0} */

/* ---- for this room ---- */

struct pb_repository;
struct pb_session;

/* Finds the snapshot and reads its description. Looks at the attempts, the newest first, until the
 * newest commit of each source is known. NOT_FOUND, USAGE (an id that is none; more than one
 * source, each of which is noted), DAMAGED. *ret_choice is filled in any case, as far as known. */
int pb_choose(struct pb_repository *repository, const pb_choice_options *options,
              pb_snapshot_file *ret_file, pb_choice *ret_choice, pb_error *error);

/* Adds a newer attempt. */
void pb_choice_add(pb_choice *choice, const char *id);
/* Notes the newer attempts, if there are any. */
void pb_choice_note(const pb_choice *choice, struct pb_session *session);

#endif
