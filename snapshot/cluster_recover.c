#include "snapshot/cluster_recover.h"

#include "snapshot/attempts.h"

/* The suspension that an intent of this namespace tells of: 1 where there is one; 0; -1. */
static int suspension_of(pb_repository *repository, pb_slice id, const char *name_space,
                         pb_suspension *ret_suspension, pb_error *error)
{
    pb_intent intent = {0};
    pb_error wrong = {0};
    if (pb_repository_intent(repository, id, &intent, &wrong)) {
        if (wrong.kind == PB_ERROR_NOT_FOUND)
            return 0;
        *error = wrong;
        return -1;
    }
    int found = 0;
    if (intent.suspension && strcmp(intent.name_space, name_space) == 0)
        found = pb_suspension_parse(intent.suspension, ret_suspension, error) ? -1 : 1;
    pb_intent_free(&intent);
    return found;
}

static bool is_of_cluster(pb_repository *repository, const pb_attempt *attempt,
                          const char *name_space)
{
    pb_snapshot_file file;
    pb_error ignored = {0};
    if (pb_repository_snapshot(repository, pb_slice_of(attempt->id), &file, NULL, &ignored))
        return false;
    bool is = file.cluster && strcmp(file.cluster->name_space, name_space) == 0;
    pb_snapshot_file_free(&file);
    return is;
}

static int recover_from(pb_repository *repository, const pb_cluster_options *options,
                        bool *ret_undone, pb_error *error)
{
    pb_session *session = repository->session;
    pb_attempts *attempts = pb_attempts_open(repository, false);
    pb_attempt attempt;
    int failed = 0, more = 1;
    while (!failed && !*ret_undone) {
        pb_suspension suspension = {0};
        more = pb_attempts_next(attempts, &attempt, NULL, error);
        if (more <= 0)
            break;
        if (attempt.state == PB_ATTEMPT_COMMITTED) {
            if (is_of_cluster(repository, &attempt, options->name_space))
                break; /* its run undid whatever there was before */
            continue;
        }
        int found = suspension_of(repository, pb_slice_of(attempt.id), options->name_space,
                                  &suspension, error);
        if (found <= 0) {
            failed = found;
            continue;
        }
        bool alive = false;
        pb_kubectl kubectl = pb_cluster_kubectl(session, options);
        if (!options->take_over)
            failed = pb_suspension_is_alive(&kubectl, &suspension, &alive, error);
        if (!failed && alive)
            failed = pb_error_set(error, PB_ERROR_BUSY,
                                  "snapshot %s's run is alive, on %s: it resumes by itself",
                                  suspension.holder, suspension.process.host);
        else if (!failed)
            failed = pb_cluster_resume(session, options, &suspension, error);
        *ret_undone = !failed;
        pb_suspension_free(&suspension);
    }
    pb_attempts_close(attempts);
    return more < 0 ? -1 : failed;
}

int pb_cluster_recover(pb_session *session, const pb_cluster_options *options,
                       const char *repository, bool *ret_undone, pb_error *error)
{
    pb_session_phase(session, "checking");
    if (pb_cluster_undo(session, options, true, ret_undone, error))
        return -1;
    if (*ret_undone || !repository)
        return 0;
    pb_repository opened;
    pb_error wrong = {0};
    if (pb_repository_open(session, repository, false, &opened, &wrong)) {
        pb_session_note(session,
                        "the repository, which could tell of a suspension too, was not "
                        "looked at: %s",
                        wrong.message);
        return 0;
    }
    int failed = recover_from(&opened, options, ret_undone, error);
    pb_repository_close(&opened);
    return failed;
}
