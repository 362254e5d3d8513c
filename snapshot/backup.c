#include "snapshot/backup.h"

#include "base/clock.h"
#include "snapshot/backup_ends.h"
#include "snapshot/commit.h"
#include "snapshot/run.h"
#include <stdlib.h>

static bool on_tick(void *context)
{
    pb_run_heartbeat(context);
    return false;
}

static int run(pb_session *session, const pb_backup_options *options, pb_backup_ends *ends,
               pb_run *run, pb_backup_result *result, pb_error *error)
{
    const pb_run_options wanted = {
        .source = ends->source_identity,
        .prefix = options->prefix ? options->prefix : "",
        .name_space = "",
        .full = options->full,
        .take_over = options->take_over,
    };
    bool dry_run = session->options.dry_run;
    int ended = pb_run_begin(&ends->repository, &wanted, run, error);
    result->resumed = run->resumed;
    result->resumed_objects = run->found.tally.objects;
    result->server_side = ends->server_side;
    if (ended)
        return ended;
    if (run->resumed)
        pb_session_note(session, "taking up the unfinished snapshot %s: %llu objects are there",
                        run->intent.id, (unsigned long long)run->found.tally.objects);
    const pb_pass pass = {
        .session = session,
        .intent = &run->intent,
        .source = ends->source_config,
        .repository = &ends->repository,
        .server_side = ends->server_side,
        .checksum = options->checksum,
        .folder = PB_MANIFEST_FOLDER,
        .phase = dry_run ? "comparing" : "copying",
        .base = run->has_base ? &run->base : NULL,
        .merges_found = run->resumed,
        .tick = dry_run ? NULL : on_tick,
        .context = run,
    };
    pb_pass_result passed;
    ended = pb_pass_run(&pass, &run->found, &result->snapshot, &passed, error);
    result->gone_objects = passed.gone_objects;
    result->failed_objects = passed.failed_objects;
    if (passed.began_again)
        result->resumed_objects = 0;
    if (!ended && !dry_run) {
        result->snapshot.committed_ms = pb_clock_utc_ms();
        ended = pb_commit(&ends->repository, &result->snapshot, error);
    }
    if (ended)
        result->snapshot.committed_ms = 0;
    return ended;
}

int pb_backup(pb_session *session, const pb_backup_options *options, pb_backup_result *ret_result,
              pb_error *error)
{
    int64_t started_ms = pb_clock_monotonic_ms();
    pb_backup_ends ends;
    pb_run the_run = {0};
    *ret_result = (pb_backup_result){0};
    pb_session_phase(session, "opening");
    int ended =
        pb_backup_ends_open(session, options->source, options->repository, NULL, &ends, error);
    if (!ended)
        ended = run(session, options, &ends, &the_run, ret_result, error);
    if (the_run.repository)
        pb_run_free(&the_run);
    if (ended && error->kind == PB_ERROR_DAMAGED && !error->hint[0])
        pb_error_hint(error, "`pbcopy backup --full` makes a snapshot that needs none of the "
                             "damaged one");
    pb_backup_ends_close(&ends);
    ret_result->elapsed_ms = pb_clock_monotonic_ms() - started_ms;
    return ended;
}

void pb_backup_result_free(pb_backup_result *result)
{
    pb_snapshot_file_free(&result->snapshot);
}
