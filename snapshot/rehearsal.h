/* snapshot/rehearsal.h - the rehearsal of a cluster's backup: what can be tried is tried before the
 * cluster is suspended, all of it, and told check by check. `pbcopy doctor` runs the same checks.
 * Nothing of it changes the cluster. Main thread.
 *
 * The checks go on after a failure, but for those that need what has failed: each failure has one
 * cause of its own. They are run in the order in which they stand here. */
#ifndef PB_SNAPSHOT_REHEARSAL_H
#define PB_SNAPSHOT_REHEARSAL_H

#include "snapshot/cluster.h"

typedef struct pb_check {
    const char *name; /* "kubectl", "right to patch deployments.apps/scale", "repository", ... */
    bool failed;
    const char *text; /* what was found */
    const char *hint; /* how to repair it; "" where there is nothing to say */
} pb_check;

typedef struct pb_rehearsal {
    /* Set by the caller; borrowed. */
    pb_session *session;
    const pb_cluster_options *cluster;
    pb_kubectl kubectl;
    void (*each)(void *context, const pb_check *check); /* strings live during the call */
    void *context;
    bool advises; /* also checks what is wrong, but would not end a backup */

    unsigned failed;
    pb_error first;     /* of the first check that failed */
    bool lacks_cluster; /* no kubectl, or no answer: nothing more is asked */
    bool lacks_database_programs;
    /* Found on the way, and of use until pb_rehearsal_free. */
    bool has_pachyderm;
    pb_pachyderm pachyderm;
    pb_cluster_database database; /* where the options want a dump, and no check of it failed */
    pb_cluster_store bucket;      /* the source: its URL and keys; url is NULL where not known */
    char *source_url;             /* of a source that could be opened, else NULL */
} pb_rehearsal;

/* The programs and their versions, the folder and the options of sort(1), age with every
 * recipient. */
void pb_rehearse_machine(pb_rehearsal *rehearsal);
/* Is the namespace suspended? A suspension that a dead backup left behind is a failure only where
 * the rehearsal advises: the next backup undoes it. A backup that does so asks by that. */
void pb_rehearse_suspension(pb_rehearsal *rehearsal);
/* Pachyderm, the rights of this account, and the capture: all kinds are listed (or Velero is looked
 * for). */
void pb_rehearse_cluster(pb_rehearsal *rehearsal);
/* The server and its databases, and each dump: see pb_dump_rehearse. */
void pb_rehearse_database(pb_rehearsal *rehearsal);
/* The source (NULL: the cluster's) is listed, and a byte of one object read. */
void pb_rehearse_source(pb_rehearsal *rehearsal, const char *url);
/* The repository is read. Where it exists, and this is no dry run, an object of its own is written,
 * read back and deleted. An empty place is left as it is. */
void pb_rehearse_repository(pb_rehearsal *rehearsal, const char *url);
/* The folder of sort(1) has room for so many chunks. */
void pb_rehearse_room(pb_rehearsal *rehearsal, uint64_t chunks);

/* What a check found, for the checks above and for what the caller checks by itself. An error that
 * says CANCELLED is not told. */
void pb_rehearsal_pass(pb_rehearsal *rehearsal, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void pb_rehearsal_fail(pb_rehearsal *rehearsal, const char *name, const pb_error *error);
/* The same of a call of kubectl: where it did not get through, the cluster is asked nothing more.
 */
void pb_rehearsal_fail_cluster(pb_rehearsal *rehearsal, const char *name, const pb_error *error);

/* -1 with the first failure's error where a check failed, or with CANCELLED. */
int pb_rehearsal_end(const pb_rehearsal *rehearsal, pb_error *error);
void pb_rehearsal_free(pb_rehearsal *rehearsal);

#endif
