#include "snapshot/run.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/random.h"
#include <stdio.h>
#include <stdlib.h>

enum { HEARTBEAT_MS = 15 * 1000 };

static void name_this_process(pb_intent *intent)
{
    pb_process_free(&intent->process);
    pb_process_this(&intent->process);
    free(intent->program);
    intent->program = pb_duplicate(PB_SLICE_LITERAL("pbcopy " PB_VERSION));
}

/* ---- base and unfinished run ---- */

static bool same_source(const char *source, const char *prefix, const char *other_source,
                        const char *other_prefix)
{
    return strcmp(source, other_source) == 0 && strcmp(prefix, other_prefix) == 0;
}

/* Looks at one snapshot, newest first: 1 where the search is over (the base was found). */
static int consider(pb_run *run, pb_slice id, const char *source, const char *prefix, bool full,
                    bool *ret_unfinished, pb_error *error)
{
    pb_error wrong = {0};
    pb_snapshot_file file = {0};
    char sha256[65];
    if (!pb_repository_snapshot(run->repository, id, &file, sha256, &wrong)) {
        if (!same_source(source, prefix, file.source, file.prefix)) {
            pb_snapshot_file_free(&file);
            return 0;
        }
        run->has_base = true;
        run->base = file;
        memcpy(run->base_sha256, sha256, sizeof run->base_sha256);
        return 1;
    }
    if (wrong.kind == PB_ERROR_DAMAGED && full)
        return 0; /* it would have been the base at most */
    if (wrong.kind != PB_ERROR_NOT_FOUND) {
        *error = wrong;
        return -1;
    }
    if (*ret_unfinished)
        return 0; /* a later one is taken up already */
    pb_intent intent = {0};
    if (pb_repository_intent(run->repository, id, &intent, &wrong)) {
        if (wrong.kind == PB_ERROR_NOT_FOUND)
            return 0;
        *error = wrong;
        return -1;
    }
    if (same_source(source, prefix, intent.source, intent.prefix)) {
        run->intent = intent;
        *ret_unfinished = true;
    } else {
        pb_intent_free(&intent);
    }
    return 0;
}

static int find_parts(pb_run *run, pb_error *error)
{
    pb_buffer prefix = {0};
    size_t capacity = 0;
    int failed = 0;
    bool more = true;
    pb_buffer token = {0};
    pb_layout_snapshot_file(&prefix, pb_slice_of(run->intent.id), "manifest/");
    while (more && !failed) {
        pb_store_request request = {.operation = PB_STORE_LIST};
        request.list.prefix = pb_buffer_slice(&prefix);
        request.list.token = pb_buffer_slice(&token);
        failed = pb_store_call(run->repository->store, &request, error);
        if (failed)
            break;
        for (size_t i = 0; i < request.page->count && !failed; i++) {
            pb_part part = {0};
            pb_slice name = request.page->entries[i].key;
            name.data += prefix.size;
            name.size -= prefix.size;
            unsigned number;
            char tail;
            snprintf(part.name, sizeof part.name, "%.*s", PB_SLICE_FORMAT(name));
            if (sscanf(part.name, "%u.ndjson.zs%c", &number, &tail) != 2)
                continue;
            if (number >= run->next_part)
                run->next_part = number + 1;
            failed = pb_repository_part(run->repository, pb_slice_of(run->intent.id), &part,
                                        &run->tally, error);
            if (failed)
                break;
            if (run->part_count == capacity) {
                capacity = capacity ? capacity * 2 : 64;
                run->parts = pb_reallocate(run->parts, capacity * sizeof *run->parts);
            }
            run->parts[run->part_count++] = part;
        }
        more = request.page->more;
        pb_buffer_clear(&token);
        pb_buffer_append_slice(&token, request.page->token);
        pb_page_release(request.page);
        if (more && !token.size)
            failed = pb_error_set(error, PB_ERROR_FAILED, "a listing that cannot be continued");
    }
    pb_buffer_free(&prefix);
    pb_buffer_free(&token);
    if (run->part_count)
        qsort(run->parts, run->part_count, sizeof *run->parts, pb_part_compare);
    for (size_t i = 1; i < run->part_count && !failed; i++) {
        const char *through = run->parts[i - 1].range.through;
        if (!through ||
            pb_slice_compare(pb_slice_of(through), pb_slice_of(run->parts[i].range.after)) > 0)
            failed = pb_error_set(error, PB_ERROR_DAMAGED,
                                  "the unfinished snapshot %s has manifest parts that overlap (%s "
                                  "and %s): two runs wrote it at once",
                                  run->intent.id, run->parts[i - 1].name, run->parts[i].name);
    }
    if (failed && error->kind == PB_ERROR_DAMAGED && !error->hint[0])
        pb_error_hint(error, "delete snapshots/%s/ from the repository and run again",
                      run->intent.id);
    return failed;
}

static int take_up(pb_run *run, bool take_over, pb_error *error)
{
    pb_intent *intent = &run->intent;
    const pb_session_options *options = &run->repository->session->options;
    if (pb_process_is_alive(&intent->process) && !take_over) {
        pb_error_set(error, PB_ERROR_BUSY,
                     "another backup of this source is running: snapshot %s, by %s, process %llu",
                     intent->id, intent->process.host, (unsigned long long)intent->process.pid);
        return pb_error_hint(error, "wait for it; if it is dead on another machine, wait three "
                                    "minutes or say --take-over");
    }
    const char *base = run->has_base ? run->base.id : "";
    if (strcmp(intent->base, base) != 0 || strcmp(intent->base_sha256, run->base_sha256) != 0) {
        pb_error_set(error, PB_ERROR_FAILED,
                     "the unfinished snapshot %s is based on '%s', but the newest one is now '%s'",
                     intent->id, intent->base, base);
        return pb_error_hint(error, "%sdelete snapshots/%s/ and data/%s/ from the repository",
                             intent->base[0] ? "" : "finish it with --full, or ", intent->id,
                             intent->id);
    }
    if (options->dry_run)
        return 0;
    run->resumed = true;
    return find_parts(run, error);
}

static int write_intent(pb_run *run, bool create_only, pb_error *error)
{
    pb_buffer_clear(&run->key);
    pb_buffer_clear(&run->text);
    pb_layout_snapshot_file(&run->key, pb_slice_of(run->intent.id), "intent.json");
    pb_intent_append(&run->text, &run->intent);
    return pb_store_write(run->repository->store, pb_buffer_slice(&run->key),
                          pb_buffer_slice(&run->text), create_only, error);
}

int pb_run_begin(pb_repository *repository, const char *source, const pb_backup_options *options,
                 pb_run *ret_run, pb_error *error)
{
    const char *prefix = options->prefix ? options->prefix : "";
    pb_run *run = ret_run;
    *run = (pb_run){.repository = repository, .next_part = 1};
    pb_arena arena = {0};
    pb_slice *ids;
    size_t count;
    bool unfinished = false;
    char newest[PB_SNAPSHOT_ID_SIZE] = "";
    int answer = pb_repository_ids(repository, PB_SNAPSHOTS_PREFIX, &arena, &ids, &count, error);
    if (answer == 0 && count)
        memcpy(newest, ids[count - 1].data, sizeof newest - 1);
    while (answer == 0 && count--)
        answer = consider(run, ids[count], source, prefix, options->full, &unfinished, error);
    pb_arena_free(&arena);
    if (answer < 0)
        return -1;
    if (options->full && run->has_base) {
        run->has_base = false;
        pb_snapshot_file_free(&run->base);
        run->base_sha256[0] = 0;
    }
    if (unfinished && take_up(run, options->take_over, error))
        return -1;
    if (!run->resumed) {
        pb_intent_free(&run->intent);
        memset(&run->intent, 0, sizeof run->intent);
        uint16_t random;
        pb_random_bytes(&random, sizeof random);
        run->intent.started_ms = pb_clock_utc_ms();
        pb_snapshot_id_make(run->intent.started_ms, random, pb_slice_of(newest), run->intent.id);
        run->intent.source = pb_duplicate(pb_slice_of(source));
        run->intent.prefix = pb_duplicate(pb_slice_of(prefix));
        if (run->has_base) {
            memcpy(run->intent.base, run->base.id, sizeof run->intent.base);
            memcpy(run->intent.base_sha256, run->base_sha256, sizeof run->base_sha256);
        }
    }
    name_this_process(&run->intent);
    run->beat_ms = pb_clock_monotonic_ms();
    if (repository->session->options.dry_run)
        return 0;
    return write_intent(run, !run->resumed, error);
}

static void on_beaten(pb_store_request *request)
{
    pb_run *run = request->context;
    /* One that is lost is no failure: the next one comes soon, and the commit will tell. */
    run->beating = false;
}

void pb_run_heartbeat(pb_run *run)
{
    int64_t now_ms = pb_clock_monotonic_ms();
    if (run->beating || now_ms - run->beat_ms < HEARTBEAT_MS)
        return;
    run->beating = true;
    run->beat_ms = now_ms;
    run->intent.process.heartbeat_ms = pb_clock_utc_ms();
    pb_buffer_clear(&run->text);
    pb_intent_append(&run->text, &run->intent);
    memset(&run->request, 0, sizeof run->request);
    run->request.operation = PB_STORE_PUT;
    run->request.key = pb_buffer_slice(&run->key);
    run->request.body = pb_buffer_slice(&run->text);
    run->request.done = on_beaten;
    run->request.context = run;
    pb_store_submit(run->repository->store, &run->request);
}

void pb_run_free(pb_run *run)
{
    while (run->beating)
        uv_run(&run->repository->session->loop, UV_RUN_ONCE);
    pb_intent_free(&run->intent);
    pb_snapshot_file_free(&run->base);
    for (size_t i = 0; i < run->part_count; i++)
        pb_part_free(&run->parts[i]);
    free(run->parts);
    pb_buffer_free(&run->key);
    pb_buffer_free(&run->text);
}
