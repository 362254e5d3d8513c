#include "snapshot/run.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/random.h"
#include "manifest/source_file.h"
#include "snapshot/attempts.h"
#include "snapshot/commit.h"
#include "snapshot/leftovers.h"
#include <stdio.h>
#include <stdlib.h>

enum { WATCH_MS = 2 * 1000, ID_WAIT_MS = 5 * 1000 };

static const char program[] = "pbcopy " PB_VERSION;

static bool is_dry(const pb_run *run)
{
    return run->repository->session->options.dry_run;
}

/* ---- ids ---- */

/* Gives an attempt its id: the second of its start. It must sort behind `newest`, which may be its
 * base: within one second the run waits for the next one. */
static int name_attempt(pb_run *run, pb_slice newest, char ret_id[PB_SNAPSHOT_ID_SIZE],
                        int64_t *ret_started_ms, pb_error *error)
{
    pb_session *session = run->repository->session;
    uint16_t random;
    pb_random_bytes(&random, sizeof random);
    int64_t now_ms = pb_clock_utc_ms(), free_ms = 0; /* from when on an id sorts behind */
    if (newest.size && pb_snapshot_id_time(newest, &free_ms))
        free_ms += 1000;
    while (now_ms < free_ms && free_ms - now_ms <= ID_WAIT_MS && !is_dry(run)) {
        pb_session_sleep(session, free_ms - now_ms);
        if (session->cancelled)
            return pb_error_set(error, PB_ERROR_CANCELLED, "cancelled");
        now_ms = pb_clock_utc_ms();
    }
    if (free_ms - now_ms > ID_WAIT_MS)
        pb_session_note(session,
                        "the clock is %lld s behind the newest attempt, %.*s: the id of this one "
                        "follows that, and is not the time of its start",
                        (long long)(free_ms - now_ms) / 1000, PB_SLICE_FORMAT(newest));
    *ret_started_ms = now_ms;
    pb_snapshot_id_make(now_ms < free_ms ? free_ms : now_ms, random, ret_id);
    return 0;
}

/* ---- the lease ---- */

/* Reads what stands at the commit key of an attempt. NOT_FOUND where nothing does. */
static int read_commit_key(pb_run *run, pb_slice key, pb_close_outcome *ret_outcome,
                           pb_error *error)
{
    pb_buffer text = {0};
    pb_store_read_request read; /* a closing note is short, and a commit is not read whole */
    pb_store_read_prepare(&read, key, PB_CLOSING_NOTE_BYTES_MAX, &text);
    read.request.length = PB_CLOSING_NOTE_BYTES_MAX;
    int failed = pb_store_call(run->repository->store, &read.request, error);
    if (!failed)
        *ret_outcome = pb_closing_note_parse(pb_buffer_slice(&text), NULL) ? PB_CLOSE_DONE
                                                                           : PB_CLOSE_COMMITTED;
    pb_buffer_free(&text);
    return failed;
}

/* True where the run that the lease names was closed: it wrote the lease late, having been stopped,
 * and can commit no more. */
static bool holder_is_closed(pb_run *run)
{
    pb_buffer key = {0};
    pb_close_outcome outcome;
    pb_error ignored = {0};
    pb_layout_snapshot_file(&key, pb_slice_of(run->holder), "snapshot.json");
    bool closed = !read_commit_key(run, pb_buffer_slice(&key), &outcome, &ignored) &&
                  outcome == PB_CLOSE_DONE;
    pb_buffer_free(&key);
    return closed;
}

static int read_lease(pb_run *run, pb_error *error)
{
    pb_lease_seen seen;
    pb_lease_view view = PB_LEASE_ABSENT;
    run->holder[0] = 0;
    if (pb_lease_read(run->repository, run->source_id, &seen, error))
        return -1;
    run->lease_is_there = seen.there;
    if (seen.there) {
        bool dead = run->options->take_over ||
                    pb_lease_is_dead(&run->watch, seen.digest, pb_clock_monotonic_ms());
        view = dead ? PB_LEASE_DEAD : PB_LEASE_ALIVE;
    }
    if (seen.readable) {
        memcpy(run->holder, seen.file.run, sizeof run->holder);
        if (strcmp(seen.file.run, run->lease_file.run) == 0)
            view = PB_LEASE_MINE;
        else if (seen.file.over)
            view = PB_LEASE_OVER;
        else if (pb_process_is_gone(&seen.file.process))
            view = PB_LEASE_DEAD;
        pb_process_free(&run->holder_process);
        run->holder_process = seen.file.process;
        seen.file.process = (pb_process){0};
        if (run->protocol.held && view != PB_LEASE_MINE && holder_is_closed(run))
            view = PB_LEASE_MINE;
    }
    pb_protocol_lease_read(&run->protocol, view, run->holder[0] != 0);
    pb_lease_seen_free(&seen);
    return 0;
}

static int watch_holder(pb_run *run, pb_error *error)
{
    pb_session *session = run->repository->session;
    char text[512];
    int64_t left_ms = PB_LEASE_DEAD_MS - (pb_clock_monotonic_ms() - run->watch.since_ms);
    if (run->holder[0])
        snprintf(text, sizeof text,
                 "waiting for another backup of this source: %s, by %s, process %llu; if it does "
                 "not renew its lease it counts as dead in %lld s",
                 run->holder, run->holder_process.host, (unsigned long long)run->holder_process.pid,
                 (long long)left_ms / 1000);
    else
        snprintf(text, sizeof text,
                 "waiting for whoever wrote %s%s/run.json, which cannot be read: it counts as dead "
                 "in %lld s",
                 PB_SOURCES_PREFIX, run->source_id, (long long)left_ms / 1000);
    pb_text_make_line(text);
    pb_session_tell(session, &(pb_event){.kind = PB_EVENT_WAITING, .text = text});
    pb_session_sleep(session, left_ms < WATCH_MS ? left_ms + 1 : WATCH_MS);
    if (session->cancelled)
        return pb_error_set(error, PB_ERROR_CANCELLED, "cancelled");
    pb_protocol_watched(&run->protocol);
    return 0;
}

static int take_lease(pb_run *run, pb_error *error)
{
    char newest[PB_SNAPSHOT_ID_SIZE];
    pb_run_file *file = &run->lease_file;
    pb_error wrong = {0};
    if (pb_attempts_newest(run->repository, newest, error) ||
        name_attempt(run, pb_slice_of(newest), file->run, &run->intent.started_ms, error))
        return -1;
    if (pb_lease_write(run->repository, run->source_id, file,
                       run->protocol.lease == PB_LEASE_ABSENT, &wrong) &&
        wrong.kind != PB_ERROR_EXISTS) {
        *error = wrong;
        return pb_error_context(error, "taking the lease of the source");
    }
    pb_protocol_lease_taken(&run->protocol);
    return 0;
}

static void fill_lease_file(pb_run *run)
{
    pb_run_file *file = &run->lease_file;
    file->source = pb_duplicate(pb_slice_of(run->options->source));
    file->prefix = pb_duplicate(pb_slice_of(run->options->prefix));
    pb_process_this(&file->process);
    file->program = pb_duplicate(pb_slice_of(program));
}

/* ---- closing attempts ---- */

/* The fence: from here on the attempt cannot commit, unless it has. */
static int close_attempt(pb_run *run, const char *id, const char *by, pb_close_outcome *ret_outcome,
                         pb_error *error)
{
    pb_buffer key = {0}, note = {0};
    pb_error wrong = {0};
    pb_layout_snapshot_file(&key, pb_slice_of(id), "snapshot.json");
    pb_closing_note_append(&note, id, by, run->lease_file.process.host, pb_clock_utc_ms());
    *ret_outcome = PB_CLOSE_DONE;
    int failed = -1;
    if (run->repository->file.create_only)
        pb_error_set(&wrong, PB_ERROR_NOT_FOUND, "not looked at");
    else
        failed = read_commit_key(run, pb_buffer_slice(&key), ret_outcome, &wrong);
    if (failed && wrong.kind == PB_ERROR_NOT_FOUND) {
        failed = pb_store_write(run->repository->store, pb_buffer_slice(&key),
                                pb_buffer_slice(&note), true, &wrong);
        if (failed && wrong.kind == PB_ERROR_EXISTS)
            failed = read_commit_key(run, pb_buffer_slice(&key), ret_outcome, &wrong);
    }
    if (failed) {
        *error = wrong;
        pb_error_context(error, "closing attempt %s", id);
    }
    pb_buffer_free(&key);
    pb_buffer_free(&note);
    return failed;
}

static int close_holder(pb_run *run, pb_error *error)
{
    pb_close_outcome outcome;
    if (close_attempt(run, run->holder, "", &outcome, error))
        return -1;
    pb_protocol_holder_closed(&run->protocol);
    return 0;
}

static int close_candidate(pb_run *run, pb_error *error)
{
    pb_close_outcome outcome;
    if (close_attempt(run, run->survey.candidates[run->protocol.closed], run->intent.id, &outcome,
                      error))
        return -1;
    pb_protocol_donor_closed(&run->protocol, outcome);
    return 0;
}

/* ---- the attempt ---- */

static int survey(pb_run *run, pb_error *error)
{
    const pb_survey_options wanted = {
        .source = run->options->source,
        .prefix = run->options->prefix,
        .full = run->options->full,
        .take_over = run->options->take_over,
        .own = run->lease_file.run,
    };
    pb_survey_free(&run->survey);
    if (pb_survey_make(run->repository, &wanted, &run->survey, error))
        return -1;
    pb_protocol_surveyed(&run->protocol, run->survey.candidate_count);
    return 0;
}

static int write_intent(pb_run *run, bool create_only, pb_error *error)
{
    pb_buffer key = {0}, text = {0};
    pb_layout_snapshot_file(&key, pb_slice_of(run->intent.id), "intent.json");
    pb_intent_append(&text, &run->intent);
    int failed = pb_store_write(run->repository->store, pb_buffer_slice(&key),
                                pb_buffer_slice(&text), create_only, error);
    pb_buffer_free(&key);
    pb_buffer_free(&text);
    return failed;
}

int pb_run_write(pb_run *run, pb_error *error)
{
    return write_intent(run, false, error);
}

static void fill_intent(pb_run *run)
{
    pb_intent *intent = &run->intent;
    intent->source = pb_duplicate(pb_slice_of(run->options->source));
    intent->prefix = pb_duplicate(pb_slice_of(run->options->prefix));
    intent->name_space = pb_duplicate(pb_slice_of(run->options->name_space));
    intent->program = pb_duplicate(pb_slice_of(program));
    memcpy(intent->lease, run->source_id, sizeof intent->lease);
    pb_process_this(&intent->process);
}

/* So that later commands know of this source without reading all attempts. */
static int list_source(pb_run *run, pb_error *error)
{
    const pb_intent *intent = &run->intent;
    const pb_source_file file = {
        .source = intent->source, .prefix = intent->prefix, .name_space = intent->name_space};
    pb_buffer key = {0}, text = {0};
    pb_error wrong = {0};
    pb_source_file_key(&key, &file);
    pb_source_file_append(&text, &file);
    int failed = pb_store_write(run->repository->store, pb_buffer_slice(&key),
                                pb_buffer_slice(&text), true, &wrong);
    pb_buffer_free(&key);
    pb_buffer_free(&text);
    if (!failed || wrong.kind == PB_ERROR_EXISTS)
        return 0;
    *error = wrong;
    return pb_error_context(error, "naming the source in the repository");
}

static int announce(pb_run *run, pb_error *error)
{
    pb_intent *intent = &run->intent;
    memcpy(intent->id, run->lease_file.run, sizeof intent->id);
    memcpy(intent->base, run->survey.base.id, sizeof intent->base);
    memcpy(intent->base_sha256, run->survey.base_sha256, sizeof intent->base_sha256);
    if (!is_dry(run) && write_intent(run, true, error))
        return pb_error_context(error, "beginning snapshot %s", intent->id);
    pb_protocol_announced(&run->protocol);
    return 0;
}

static int open_donors(pb_run *run, pb_error *error)
{
    for (unsigned i = 0; i < run->survey.candidate_count; i++) {
        pb_leftovers_abort(run->repository, run->survey.candidates[i]);
        if (pb_donor_open(run->repository, run->survey.candidates[i],
                          &run->donors[run->donor_count++], error))
            return -1;
    }
    if (run->donor_count > 0)
        pb_session_note(run->repository->session,
                        "using what attempt %s%s copied, which ended without a snapshot",
                        run->donors[0].id, run->donor_count > 1 ? " and others" : "");
    return 0;
}

/* ---- driving ---- */

static int busy(const pb_run *run, pb_error *error)
{
    if (run->holder[0])
        pb_error_set(error, PB_ERROR_BUSY,
                     "another backup of this source is running: snapshot %s, by %s, process %llu",
                     run->holder, run->holder_process.host,
                     (unsigned long long)run->holder_process.pid);
    else
        pb_error_set(error, PB_ERROR_BUSY,
                     "%s%s/run.json cannot be read: another backup of this "
                     "source may be running",
                     PB_SOURCES_PREFIX, run->source_id);
    return pb_error_hint(error, "wait for it; without --no-wait pbcopy finds out in a minute "
                                "whether it is dead, and --take-over does not ask");
}

static int lost(const pb_run *run, pb_error *error)
{
    if (run->holder[0])
        pb_error_set(error, PB_ERROR_BUSY,
                     "run %s, by %s, process %llu, has taken over this source", run->holder,
                     run->holder_process.host, (unsigned long long)run->holder_process.pid);
    else
        pb_error_set(error, PB_ERROR_BUSY, "the lease of this run, %s%s/run.json, was %s",
                     PB_SOURCES_PREFIX, run->source_id,
                     run->lease_is_there ? "overwritten" : "deleted");
    return pb_error_hint(error, "what was copied stays: the next backup of this source goes on "
                                "with it");
}

/* One step before the copying: 0; 1 where that can begin; -1. */
static int step(pb_run *run, pb_error *error)
{
    switch (pb_protocol_next(&run->protocol)) {
    case PB_STEP_READ_LEASE:
    case PB_STEP_CONFIRM_LEASE:
    case PB_STEP_CHECK_LEASE:
        return read_lease(run, error);
    case PB_STEP_WATCH:
        return watch_holder(run, error);
    case PB_STEP_CLOSE_HOLDER:
        return close_holder(run, error);
    case PB_STEP_TAKE_LEASE:
        return take_lease(run, error);
    case PB_STEP_SURVEY:
        if (!run->lease && !is_dry(run) &&
            pb_lease_start(run->repository, run->source_id, &run->lease_file, &run->lease, error))
            return -1;
        return survey(run, error);
    case PB_STEP_ANNOUNCE:
        return list_source(run, error) || announce(run, error) ? -1 : 0;
    case PB_STEP_CLOSE_DONOR:
        return close_candidate(run, error);
    case PB_STEP_COPY:
    case PB_STEP_COMMIT:
        return 1;
    case PB_STEP_RELEASE:
    case PB_STEP_END:
        break;
    }
    return run->protocol.outcome == PB_RUN_BUSY ? busy(run, error) : lost(run, error);
}

/* Those of the base. */
static int read_findings(pb_run *run, pb_error *error)
{
    if (!run->survey.base.id[0])
        return 0;
    if (pb_repository_findings(run->repository, run->survey.base.id, &run->findings, error))
        return -1;
    pb_findings_sort(&run->findings);
    if (run->findings.cut)
        pb_session_note(run->repository->session,
                        "verify found snapshot %s damaged: all objects are copied again",
                        run->survey.base.id);
    else if (run->findings.count)
        pb_session_note(run->repository->session,
                        "verify found snapshot %s damaged; objects to be copied again: %zu",
                        run->survey.base.id, run->findings.count);
    return 0;
}

/* A dry run asks nobody and leaves nothing. */
static int begin_dry(pb_run *run, pb_error *error)
{
    if (survey(run, error))
        return -1;
    run->survey.candidate_count = 0;
    return name_attempt(run, pb_slice_of(run->survey.newest), run->lease_file.run,
                        &run->intent.started_ms, error) ||
                   announce(run, error) || read_findings(run, error)
               ? -1
               : 0;
}

/* Without create-only writes nothing but the lease keeps two runs apart, and clocks that stand
 * still can fool that. */
static int check_store(const pb_run *run, pb_error *error)
{
    const pb_repository *repository = run->repository;
    if (repository->file.create_only || is_dry(run))
        return 0;
    if (run->options->exclusive) {
        pb_session_note(repository->session,
                        "--exclusive: %s does not honour create-only writes, so nothing but this "
                        "promise keeps two backups from damaging each other",
                        pb_store_name(repository->store));
        return 0;
    }
    pb_error_set(error, PB_ERROR_USAGE, "%s does not honour create-only writes (If-None-Match)",
                 pb_store_name(repository->store));
    return pb_error_hint(error, "say --exclusive if no second backup into this repository can ever "
                                "run at the same time; docs/formats.md says what it means");
}

int pb_run_begin(pb_repository *repository, const pb_run_options *options, pb_run *ret_run,
                 pb_error *error)
{
    pb_run *run = ret_run;
    *run = (pb_run){.repository = repository, .options = options};
    run->protocol.waits = !options->no_wait;
    pb_source_id(options->source, options->prefix, run->source_id);
    fill_lease_file(run);
    fill_intent(run);
    if (check_store(run, error))
        return -1;
    if (is_dry(run))
        return begin_dry(run, error);
    int answer = 0;
    while (!answer)
        answer = step(run, error);
    return answer < 0 || open_donors(run, error) || read_findings(run, error) ? -1 : 0;
}

void pb_run_add_donor(pb_run *run, const char *id, pb_snapshot_file *file, bool whole)
{
    if (run->donor_count == PB_DONORS_MAX)
        pb_donor_free(&run->donors[--run->donor_count]);
    memmove(&run->donors[1], &run->donors[0], run->donor_count * sizeof run->donors[0]);
    run->donor_count++;
    run->donors[0] = (pb_donor){.file = *file, .lists = !whole, .own = true};
    snprintf(run->donors[0].id, sizeof run->donors[0].id, "%s", id);
    *file = (pb_snapshot_file){0};
}

int pb_run_next_attempt(pb_run *run, pb_snapshot_file *file, bool whole, pb_error *error)
{
    char before[PB_SNAPSHOT_ID_SIZE];
    pb_close_outcome outcome;
    memcpy(before, run->intent.id, sizeof before);
    if (name_attempt(run, pb_slice_of(before), run->lease_file.run, &run->intent.started_ms, error))
        return -1;
    pb_lease_rename(run->lease, run->lease_file.run);
    if (close_attempt(run, before, run->lease_file.run, &outcome, error))
        return -1;
    pb_protocol_attempt_ended(&run->protocol, outcome == PB_CLOSE_DONE);
    pb_run_add_donor(run, before, file, whole);
    return announce(run, error);
}

bool pb_run_is_lost(const pb_run *run)
{
    return run->lease && pb_lease_is_lost(run->lease, NULL);
}

int pb_run_commit(pb_run *run, const pb_snapshot_file *file, pb_error *error)
{
    pb_protocol_copied(&run->protocol);
    if (pb_run_is_lost(run)) {
        pb_protocol_stop(&run->protocol, PB_RUN_LOST);
        pb_lease_is_lost(run->lease, error);
        return -1;
    }
    int answer = 0;
    while (!answer)
        answer = step(run, error);
    if (answer < 0)
        return -1;
    pb_error wrong = {0};
    int failed = pb_commit(run->repository, file, &wrong);
    if (!failed || wrong.kind == PB_ERROR_BUSY)
        pb_protocol_committed(&run->protocol, !failed);
    if (failed)
        *error = wrong;
    return failed;
}

void pb_run_end(pb_run *run, pb_error *error)
{
    if (!run->repository)
        return;
    pb_error why = {0};
    pb_protocol_stop(&run->protocol, pb_run_is_lost(run) ? PB_RUN_LOST : PB_RUN_FAILED);
    bool frees = pb_protocol_next(&run->protocol) == PB_STEP_RELEASE;
    bool is_lost = pb_lease_stop(run->lease, frees, &why);
    if (is_lost && error && error->kind != PB_ERROR_BUSY)
        *error = why;
    for (unsigned i = 0; i < run->donor_count; i++)
        pb_donor_free(&run->donors[i]);
    pb_findings_free(&run->findings);
    pb_process_free(&run->holder_process);
    pb_run_file_free(&run->lease_file);
    pb_survey_free(&run->survey);
    pb_intent_free(&run->intent);
    *run = (pb_run){0};
}
