#include "snapshot/survey.h"

#include <stdlib.h>

static bool is_of_source(const pb_survey_options *options, const char *source, const char *prefix)
{
    return strcmp(options->source, source) == 0 && strcmp(options->prefix, prefix) == 0;
}

/* An attempt without a commit: is what it copied of use? */
static int consider_attempt(pb_repository *repository, pb_slice id, bool closed,
                            const pb_survey_options *options, pb_survey *survey, pb_error *error)
{
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
    if (wanted && !closed && !intent.lease[0] && !options->take_over &&
        pb_process_is_alive(&intent.process)) {
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

/* One id, newest first: 1 where the search is over (the base was found); 0; -1. */
static int consider(pb_repository *repository, pb_slice id, const pb_survey_options *options,
                    pb_survey *survey, pb_error *error)
{
    pb_error wrong = {0};
    pb_snapshot_file file = {0};
    if (!pb_repository_snapshot(repository, id, &file, survey->base_sha256, &wrong)) {
        survey->has_base = is_of_source(options, file.source, file.prefix);
        if (survey->has_base)
            survey->base = file;
        else
            pb_snapshot_file_free(&file);
        return survey->has_base;
    }
    if (wrong.kind == PB_ERROR_NOT_FOUND)
        return consider_attempt(repository, id, strcmp(wrong.code, PB_CODE_ABANDONED) == 0, options,
                                survey, error);
    if (wrong.kind == PB_ERROR_DAMAGED && options->full)
        return 0; /* it would have been the base at most */
    *error = wrong;
    return -1;
}

int pb_survey_make(pb_repository *repository, const pb_survey_options *options,
                   pb_survey *ret_survey, pb_error *error)
{
    pb_arena arena = {0};
    pb_slice *ids;
    size_t count;
    *ret_survey = (pb_survey){0};
    int answer = pb_repository_ids(repository, PB_SNAPSHOTS_PREFIX, &arena, &ids, &count, error);
    if (!answer && count)
        memcpy(ret_survey->newest, ids[count - 1].data, sizeof ret_survey->newest - 1);
    while (!answer && count--)
        answer = consider(repository, ids[count], options, ret_survey, error);
    pb_arena_free(&arena);
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
