#include "snapshot/survey.h"

#include "snapshot/attempts.h"
#include <stdlib.h>

static bool is_of_source(const pb_survey_options *options, const char *source, const char *prefix)
{
    return strcmp(options->source, source) == 0 && strcmp(options->prefix, prefix) == 0;
}

/* An attempt without a commit: is what it copied of use? */
static int consider_attempt(pb_repository *repository, const pb_attempt *attempt,
                            const pb_survey_options *options, pb_survey *survey, pb_error *error)
{
    pb_slice id = pb_slice_of(attempt->id);
    pb_intent intent = {0};
    pb_error wrong = {0};
    if (survey->candidate_count == PB_DONORS_MAX || pb_slice_equal(id, pb_slice_of(options->own)))
        return 0;
    if (pb_repository_intent(repository, id, &intent, &wrong)) {
        if (wrong.kind == PB_ERROR_NOT_FOUND)
            return 0; /* it died before it had said what it was to be of */
        if (wrong.kind != PB_ERROR_DAMAGED && wrong.kind != PB_ERROR_USAGE) {
            *error = wrong;
            return -1;
        }
        pb_session_note(repository->session, "what attempt %.*s copied is of no use: %s",
                        PB_SLICE_FORMAT(id), wrong.message);
        return 0;
    }
    bool wanted =
        is_of_source(options, intent.source, intent.prefix) && !(options->full && intent.base[0]);
    int failed = 0;
    if (wanted && attempt->state != PB_ATTEMPT_ABANDONED && !intent.lease[0] &&
        !options->take_over && pb_process_is_alive(&intent.process)) {
        pb_error_set(error, PB_ERROR_BUSY,
                     "another backup of this source is running: snapshot %s, by %s, process %llu, "
                     "with an older pbcopy",
                     intent.id, intent.process.host, (unsigned long long)intent.process.pid);
        failed = pb_error_hint(error, "wait for it; if it is dead, wait three minutes or say "
                                      "--take-over");
    } else if (wanted) {
        memcpy(survey->candidates[survey->candidate_count++], intent.id, sizeof intent.id);
    }
    pb_intent_free(&intent);
    return failed;
}

/* 1 where it is the base, and the search is over; 0; -1. */
static int consider_commit(pb_repository *repository, const pb_attempt *attempt,
                           const pb_survey_options *options, pb_survey *survey, pb_error *error)
{
    pb_error wrong = {0};
    pb_snapshot_file file = {0};
    if (pb_repository_snapshot(repository, pb_slice_of(attempt->id), &file, survey->base_sha256,
                               &wrong)) {
        if (wrong.kind == PB_ERROR_DAMAGED && options->full)
            return 0; /* it would have been the base at most */
        *error = wrong;
        return -1;
    }
    survey->has_base = is_of_source(options, file.source, file.prefix);
    if (survey->has_base)
        survey->base = file;
    else
        pb_snapshot_file_free(&file);
    return survey->has_base;
}

int pb_survey_make(pb_repository *repository, const pb_survey_options *options,
                   pb_survey *ret_survey, pb_error *error)
{
    pb_attempt attempt;
    int answer = 0;
    *ret_survey = (pb_survey){0};
    pb_attempts *attempts = pb_attempts_open(repository, false);
    while (!answer) {
        int more = pb_attempts_next(attempts, &attempt, NULL, error);
        if (more <= 0) {
            answer = more;
            break;
        }
        if (!ret_survey->newest[0])
            memcpy(ret_survey->newest, attempt.id, sizeof ret_survey->newest);
        answer = attempt.state == PB_ATTEMPT_COMMITTED
                     ? consider_commit(repository, &attempt, options, ret_survey, error)
                     : consider_attempt(repository, &attempt, options, ret_survey, error);
    }
    pb_attempts_close(attempts);
    if (ret_survey->has_base) {
        memcpy(ret_survey->before, ret_survey->base.id, sizeof ret_survey->before);
        ret_survey->before_objects = ret_survey->base.objects;
    }
    if (answer >= 0 && (options->full || !ret_survey->has_base)) {
        pb_snapshot_file_free(&ret_survey->base);
        ret_survey->has_base = false;
        ret_survey->base_sha256[0] = 0;
    }
    if (answer < 0)
        pb_survey_free(ret_survey);
    return answer < 0 ? -1 : 0;
}

void pb_survey_free(pb_survey *survey)
{
    pb_snapshot_file_free(&survey->base);
    *survey = (pb_survey){0};
}
