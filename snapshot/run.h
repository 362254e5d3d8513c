/* snapshot/run.h - a backup's place in the repository: which snapshot it is, what it is based on,
 * and the intent that says so. Main thread. For this room. */
#ifndef PB_SNAPSHOT_RUN_H
#define PB_SNAPSHOT_RUN_H

#include "snapshot/pass.h"
#include "snapshot/repository.h"

enum { PB_RUN_FOLDER_SIZE = 24 };

typedef struct pb_run_options {
    const char *source; /* its identity */
    const char *prefix;
    const char *name_space; /* of a cluster; "" for a bucket */
    bool full;              /* without a base */
    bool take_over;         /* an unfinished run of another machine that seems to be alive */
} pb_run_options;

typedef struct pb_run {
    pb_repository *repository;
    pb_intent intent;
    bool has_base;
    pb_snapshot_file base; /* the newest committed snapshot of the same source and prefix */
    char base_sha256[65];
    /* The same snapshot, also of a full backup, which has no base. */
    char before[PB_SNAPSHOT_ID_SIZE]; /* "" for none */
    uint64_t before_objects;
    bool resumed;
    /* Of a cluster's run: the last pass that was completed, by this run or the one taken up. */
    unsigned pass; /* 0: none */
    pb_snapshot_file pass_file;
    char folder[PB_RUN_FOLDER_SIZE]; /* of its parts */
    pb_pass_parts found;             /* of the pass that comes next */
    /* the heartbeat's */
    pb_store_request request;
    pb_buffer key, text;
    bool beating;
    int64_t beat_ms;
} pb_run;

/* Looks for the base (none for a full backup) and for an unfinished run of the same source, takes
 * that up or begins a new one, and writes the intent (not in a dry run). BUSY where that other run
 * is alive. */
int pb_run_begin(pb_repository *repository, const pb_run_options *options, pb_run *ret_run,
                 pb_error *error);
/* Writes the intent as it is now (a suspension about to be begun, or over). */
int pb_run_write(pb_run *run, pb_error *error);
/* The folder of a pass: "pass-1/". */
void pb_run_pass_folder(unsigned pass, char ret_folder[PB_RUN_FOLDER_SIZE]);
/* A pass is complete: its description is stored, so that another run can go on from it. The file is
 * taken over. */
int pb_run_pass_done(pb_run *run, pb_snapshot_file *file, pb_error *error);
/* Deletes what only the passes needed, after the commit. */
int pb_run_forget_passes(pb_run *run, pb_error *error);
/* Renews the intent's heartbeat now and then, in the background. From the session's loop. */
void pb_run_heartbeat(pb_run *run);
/* Waits for a heartbeat under way and frees. */
void pb_run_free(pb_run *run);

#endif
