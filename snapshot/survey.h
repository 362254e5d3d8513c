/* snapshot/survey.h - what a repository holds of one source: its newest snapshot, and the attempts
 * since then that ended without one. Main thread. For this room. */
#ifndef PB_SNAPSHOT_SURVEY_H
#define PB_SNAPSHOT_SURVEY_H

#include "snapshot/repository.h"
#include "snapshot/reuse.h"

typedef struct pb_survey_options {
    const char *source; /* identity, and prefix */
    const char *prefix;
    bool full;       /* nothing of earlier snapshots: only attempts that took nothing from them */
    bool take_over;  /* do not ask whether an attempt of a program without leases is alive */
    const char *own; /* this attempt is left out; "" for none */
} pb_survey_options;

typedef struct pb_survey {
    char newest[PB_SNAPSHOT_ID_SIZE]; /* of all ids, whatever their source; "" for none */
    bool has_base;
    pb_snapshot_file base; /* the newest committed snapshot of the source */
    char base_sha256[65];
    /* The same snapshot, also of a full backup, which has no base. */
    char before[PB_SNAPSHOT_ID_SIZE]; /* "" for none */
    uint64_t before_objects;
    /* Attempts since the base without a commit, the newest first: what they copied can be used. */
    char candidates[PB_DONORS_MAX][PB_SNAPSHOT_ID_SIZE];
    unsigned candidate_count;
} pb_survey;

/* BUSY where a candidate was begun by a program that knew no leases, and seems to be alive. */
int pb_survey_make(pb_repository *repository, const pb_survey_options *options,
                   pb_survey *ret_survey, pb_error *error);
void pb_survey_free(pb_survey *survey); /* back to {0} */

#endif
