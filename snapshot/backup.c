#include "snapshot/backup.h"

#include "base/clock.h"
#include "snapshot/backup_ends.h"
#include "snapshot/commit.h"
#include "snapshot/pass.h"
#include "snapshot/run.h"
#include <stdlib.h>

static bool on_tick(void *context)
{
    return pb_run_is_lost(context);
}

static int run(pb_session *session, const pb_backup_options *options, pb_backup_ends *ends,
               const pb_run_options *wanted, pb_run *run, pb_backup_result *result, pb_error *error)
{
    bool dry_run = session->options.dry_run;
    result->server_side = ends->server_side;
    if (pb_run_begin(&ends->repository, wanted, run, error))
        return -1;
    const pb_pass pass = {
        .session = session,
        .run = run,
        .source = ends->source_config,
        .repository = &ends->repository,
        .server_side = ends->server_side,
        .create_only = ends->repository.file.create_only,
        .checksum = options->checksum,
        .strict = options->strict,
        .phase = dry_run ? "comparing" : "copying",
        .tick = dry_run ? NULL : on_tick,
        .context = run,
    };
    pb_pass_result passed;
    int ended = pb_pass_run(&pass, &result->snapshot, &passed, error);
    if (pb_store_refuses_copy(ends->repository.config, PB_STORE_COPY))
        result->server_side = false;
    result->gone_objects = passed.gone_objects;
    result->failed_objects = passed.failed_objects;
    result->resumed_objects = passed.resumed_objects;
    result->vanished_objects = result->snapshot.vanished_objects = passed.vanished_objects;
    result->changed_objects = result->snapshot.changed_objects = passed.changed_objects;
    result->snapshot.live_until_ms = pb_clock_utc_ms();
    result->resumed = run->donor_count > 0;
    const pb_commit_terms terms = {
        .before = run->survey.before,
        .before_objects = run->survey.before_objects,
        .gone_objects = passed.gone_objects,
        .allow_empty = options->allow_empty,
        .allow_gone = options->allow_gone,
    };
    if (!ended)
        ended = pb_commit_check(&result->snapshot, &terms, error);
    if (!ended && !dry_run) {
        result->snapshot.committed_ms = pb_clock_utc_ms();
        ended = pb_run_commit(run, &result->snapshot, error);
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
    int ended = pb_backup_ends_open(session, options->source, options->prefix, options->repository,
                                    NULL, &ends, error);
    const pb_run_options wanted = {
        .source = ends.source_identity,
        .prefix = options->prefix ? options->prefix : "",
        .name_space = "",
        .full = options->full,
        .take_over = options->take_over,
        .no_wait = options->no_wait,
        .exclusive = options->exclusive,
    };
    if (!ended)
        ended = run(session, options, &ends, &wanted, &the_run, ret_result, error);
    pb_run_end(&the_run, ended ? error : NULL);
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
