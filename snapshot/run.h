/* snapshot/run.h - a backup's place in the repository: which snapshot it is, what it is based on,
 * and the intent that says so. Main thread. For this room. */
#ifndef PB_SNAPSHOT_RUN_H
#define PB_SNAPSHOT_RUN_H

#include "snapshot/backup.h"
#include "snapshot/repository.h"

typedef struct pb_run {
    pb_repository *repository;
    pb_intent intent;
    bool has_base;
    pb_snapshot_file base; /* the newest committed snapshot of the same source and prefix */
    char base_sha256[65];
    bool resumed;
    pb_part *parts; /* found when resuming: checked, in key order, not overlapping */
    size_t part_count;
    pb_snapshot_file tally; /* counters of the records in them */
    unsigned next_part;     /* the first number that no part has */
    /* the heartbeat's */
    pb_store_request request;
    pb_buffer key, text;
    bool beating;
    int64_t beat_ms;
} pb_run;

/* Looks for the base (none for a full backup) and for an unfinished run of the same source, takes
 * that up or begins a new one, and writes the intent (not in a dry run). BUSY where that other run
 * is alive. */
int pb_run_begin(pb_repository *repository, const char *source, const pb_backup_options *options,
                 pb_run *ret_run, pb_error *error);
/* Renews the intent's heartbeat now and then, in the background. From the session's loop. */
void pb_run_heartbeat(pb_run *run);
/* Waits for a heartbeat under way and frees. */
void pb_run_free(pb_run *run);

#endif
