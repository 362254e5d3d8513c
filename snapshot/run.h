/* snapshot/run.h - a backup's place in the repository: the attempts that it makes, the lease of its
 * source, and what it can build on. Main thread. For this room. protocol.h decides, this does. */
#ifndef PB_SNAPSHOT_RUN_H
#define PB_SNAPSHOT_RUN_H

#include "manifest/findings_file.h"
#include "snapshot/donor.h"
#include "snapshot/lease.h"
#include "snapshot/survey.h"

typedef struct pb_run_options {
    const char *source; /* its identity */
    const char *prefix;
    const char *name_space; /* of a cluster; "" for a bucket */
    bool full;              /* without a base */
    bool take_over;         /* of a run that holds the lease, without watching whether it lives */
    bool no_wait;           /* for such a run: BUSY at once */
    bool exclusive;         /* the store does not honour create-only writes, and that is accepted */
} pb_run_options;

typedef struct pb_run {
    pb_repository *repository;
    const pb_run_options *options; /* borrowed */
    char source_id[PB_SOURCE_ID_SIZE];
    pb_protocol protocol;
    pb_lease_watch watch;
    char holder[PB_SNAPSHOT_ID_SIZE]; /* whom the lease named when it was last read */
    pb_process holder_process;
    bool lease_is_there; /* likewise */
    pb_lease *lease;
    pb_run_file lease_file;
    pb_survey survey;               /* the base, and candidates for donors */
    pb_intent intent;               /* of the present attempt */
    pb_donor donors[PB_DONORS_MAX]; /* the newest first */
    unsigned donor_count;
    pb_findings findings; /* of the base: these objects are not taken over */
} pb_run;

/* Takes the lease of the source (waiting for a run that may live, as the options say), finds the
 * base, closes attempts that ended without a commit and opens them as donors, and writes the intent
 * of a new attempt. BUSY where another run lives. A dry run finds the base, and does no more. */
int pb_run_begin(pb_repository *repository, const pb_run_options *options, pb_run *ret_run,
                 pb_error *error);
/* Writes the intent as it is now (a suspension about to be begun, or over). */
int pb_run_write(pb_run *run, pb_error *error);
/* One donor more, in front of the others (of too many the last one goes): attempt `id` of this run,
 * with the parts of `file` (taken over). `whole`: each object that it stored has a record. */
void pb_run_add_donor(pb_run *run, const char *id, pb_snapshot_file *file, bool whole);
/* The present attempt is over without a commit and becomes a donor, as above; another one
 * begins under the same lease. */
int pb_run_next_attempt(pb_run *run, pb_snapshot_file *file, bool whole, pb_error *error);
/* True where the lease is another's by now: nothing more may be sent. */
bool pb_run_is_lost(const pb_run *run);
/* Commits the present attempt. BUSY where another run holds the lease, or has closed the attempt.
 */
int pb_run_commit(pb_run *run, const pb_snapshot_file *file, pb_error *error);
/* Gives the lease back and frees. Where the lease was lost, *error (of a run that failed) says so
 * afterwards; NULL for none. */
void pb_run_end(pb_run *run, pb_error *error);

#endif
