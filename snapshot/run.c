#include "snapshot/run.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/random.h"
#include "copier/store/sequence.h"
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

static bool same_source(const pb_run_options *options, const char *source, const char *prefix)
{
    return strcmp(options->source, source) == 0 && strcmp(options->prefix, prefix) == 0;
}

/* Looks at one snapshot, newest first: 1 where the search is over (the base was found). */
static int consider(pb_run *run, pb_slice id, const pb_run_options *options, bool *ret_unfinished,
                    pb_error *error)
{
    pb_error wrong = {0};
    pb_snapshot_file file = {0};
    char sha256[65];
    if (!pb_repository_snapshot(run->repository, id, &file, sha256, &wrong)) {
        if (!same_source(options, file.source, file.prefix)) {
            pb_snapshot_file_free(&file);
            return 0;
        }
        run->has_base = true;
        run->base = file;
        memcpy(run->base_sha256, sha256, sizeof run->base_sha256);
        return 1;
    }
    if (wrong.kind == PB_ERROR_DAMAGED && options->full)
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
    /* A cluster's run leaves passes behind, a bucket's parts that are final: neither can use the
     * other's. */
    if (same_source(options, intent.source, intent.prefix) &&
        strcmp(options->name_space, intent.name_space) == 0) {
        run->intent = intent;
        *ret_unfinished = true;
    } else {
        pb_intent_free(&intent);
    }
    return 0;
}

typedef int (*file_function)(pb_run *run, const char *folder, pb_slice name, pb_error *error);

typedef struct folder_listing {
    pb_run *run;
    const char *folder;
    size_t prefix_size;
    file_function each;
} folder_listing;

static int name_files(void *context, const pb_page *page, pb_error *error)
{
    const folder_listing *listing = context;
    int failed = 0;
    for (size_t i = 0; i < page->count && !failed; i++) {
        pb_slice name = page->entries[i].key;
        name.data += listing->prefix_size;
        name.size -= listing->prefix_size;
        failed = listing->each(listing->run, listing->folder, name, error);
    }
    return failed;
}

/* Calls `each` with the names (from behind `folder` on) of what lies in a folder of the snapshot,
 * in the order of the store. */
static int list_folder(pb_run *run, const char *folder, file_function each, pb_error *error)
{
    pb_buffer prefix = {0};
    pb_layout_snapshot_file(&prefix, pb_slice_of(run->intent.id), folder);
    folder_listing listing = {run, folder, prefix.size, each};
    int failed = pb_sequence_list(run->repository->store, pb_buffer_slice(&prefix), 0, name_files,
                                  &listing, error);
    pb_buffer_free(&prefix);
    return failed;
}

static int take_part(pb_run *run, const char *folder, pb_slice name, pb_error *error)
{
    pb_pass_parts *found = &run->found;
    pb_part part = {0};
    unsigned number;
    char tail;
    snprintf(part.name, sizeof part.name, "%.*s", PB_SLICE_FORMAT(name));
    if (sscanf(part.name, "%u.ndjson.zs%c", &number, &tail) != 2)
        return 0;
    if (number >= found->next)
        found->next = number + 1;
    if (pb_repository_part(run->repository, pb_slice_of(run->intent.id), folder, &part,
                           &found->tally, error))
        return -1;
    /* Grown by doubling: the capacity is the next power of two. */
    if ((found->count & (found->count - 1)) == 0)
        found->items = pb_reallocate(found->items,
                                     (found->count ? found->count * 2 : 1) * sizeof *found->items);
    found->items[found->count++] = part;
    return 0;
}

static int find_parts(pb_run *run, const char *folder, pb_error *error)
{
    pb_pass_parts *found = &run->found;
    int failed = list_folder(run, folder, take_part, error);
    if (found->count)
        qsort(found->items, found->count, sizeof *found->items, pb_part_compare);
    for (size_t i = 1; i < found->count && !failed; i++) {
        const pb_part *before = &found->items[i - 1], *part = &found->items[i];
        const char *through = before->range.through;
        if (!through || pb_slice_compare(pb_slice_of(through), pb_slice_of(part->range.after)) > 0)
            failed = pb_error_set(error, PB_ERROR_DAMAGED,
                                  "the unfinished snapshot %s has manifest parts that overlap (%s "
                                  "and %s): two runs wrote it at once",
                                  run->intent.id, before->name, part->name);
    }
    if (failed && error->kind == PB_ERROR_DAMAGED && !error->hint[0])
        pb_error_hint(error, "delete snapshots/%s/ from the repository and run again",
                      run->intent.id);
    return failed;
}

/* ---- passes of a cluster's run ---- */

void pb_run_pass_folder(unsigned pass, char ret_folder[PB_RUN_FOLDER_SIZE])
{
    snprintf(ret_folder, PB_RUN_FOLDER_SIZE, "pass-%u/", pass);
}

static void pass_file_key(const pb_run *run, unsigned pass, pb_buffer *key)
{
    char name[PB_RUN_FOLDER_SIZE];
    snprintf(name, sizeof name, "pass-%u.json", pass);
    pb_layout_snapshot_file(key, pb_slice_of(run->intent.id), name);
}

static int note_pass(pb_run *run, const char *folder, pb_slice name, pb_error *error)
{
    (void)folder;
    (void)error;
    char text[64];
    unsigned number;
    char tail;
    snprintf(text, sizeof text, "%.*s", PB_SLICE_FORMAT(name));
    if (sscanf(text, "%u.jso%c", &number, &tail) == 2 && number > run->pass)
        run->pass = number;
    return 0;
}

static int delete_file(pb_run *run, const char *folder, pb_slice name, pb_error *error)
{
    pb_buffer key = {0};
    pb_layout_snapshot_file(&key, pb_slice_of(run->intent.id), folder);
    pb_buffer_append_slice(&key, name);
    pb_slice slice = pb_buffer_slice(&key);
    pb_store_request request = {.operation = PB_STORE_DELETE, .keys = &slice, .key_count = 1};
    int failed = pb_store_call(run->repository->store, &request, error);
    pb_buffer_free(&key);
    return failed;
}

static void take_pass(pb_run *run, const pb_snapshot_file *file)
{
    run->pass_file = *file;
    pb_run_pass_folder(run->pass, run->folder);
    run->pass_file.folder = run->folder;
}

/* The last complete pass of the run that died, and the parts of the one that followed. Its final
 * parts say what the cluster held while it was suspended, and it has lived on since: they go. */
static int find_passes(pb_run *run, pb_error *error)
{
    if (list_folder(run, PB_MANIFEST_FOLDER, delete_file, error) ||
        list_folder(run, "pass-", note_pass, error))
        return -1;
    if (run->pass) {
        pb_buffer key = {0}, text = {0};
        pb_snapshot_file file;
        pass_file_key(run, run->pass, &key);
        int failed = pb_store_read(run->repository->store, pb_buffer_slice(&key),
                                   PB_SNAPSHOT_FILE_BYTES_MAX, &text, error);
        if (!failed)
            failed = pb_snapshot_file_parse(pb_buffer_slice(&text), &file, error);
        pb_buffer_free(&key);
        pb_buffer_free(&text);
        if (failed)
            return pb_error_context(error, "pass %u of the unfinished snapshot %s", run->pass,
                                    run->intent.id);
        take_pass(run, &file);
    }
    char folder[PB_RUN_FOLDER_SIZE];
    pb_run_pass_folder(run->pass + 1, folder);
    return find_parts(run, folder, error);
}

int pb_run_pass_done(pb_run *run, pb_snapshot_file *file, pb_error *error)
{
    pb_buffer key = {0}, text = {0};
    run->pass++;
    pb_snapshot_file_free(&run->pass_file);
    take_pass(run, file);
    *file = (pb_snapshot_file){0};
    pass_file_key(run, run->pass, &key);
    pb_snapshot_file_append(&text, &run->pass_file);
    int failed = pb_store_write(run->repository->store, pb_buffer_slice(&key),
                                pb_buffer_slice(&text), false, error);
    pb_buffer_free(&key);
    pb_buffer_free(&text);
    return failed;
}

int pb_run_forget_passes(pb_run *run, pb_error *error)
{
    return list_folder(run, "pass-", delete_file, error);
}

static int take_up(pb_run *run, const pb_run_options *wanted, pb_error *error)
{
    pb_intent *intent = &run->intent;
    const pb_session_options *options = &run->repository->session->options;
    if (pb_process_is_alive(&intent->process) && !wanted->take_over) {
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
    return wanted->name_space[0] ? find_passes(run, error)
                                 : find_parts(run, PB_MANIFEST_FOLDER, error);
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

int pb_run_write(pb_run *run, pb_error *error)
{
    while (run->beating) /* it would bring the old text back */
        uv_run(&run->repository->session->loop, UV_RUN_ONCE);
    run->intent.process.heartbeat_ms = pb_clock_utc_ms();
    return write_intent(run, false, error);
}

int pb_run_begin(pb_repository *repository, const pb_run_options *options, pb_run *ret_run,
                 pb_error *error)
{
    pb_run *run = ret_run;
    *run = (pb_run){.repository = repository};
    pb_arena arena = {0};
    pb_slice *ids;
    size_t count;
    bool unfinished = false;
    char newest[PB_SNAPSHOT_ID_SIZE] = "";
    int answer = pb_repository_ids(repository, PB_SNAPSHOTS_PREFIX, &arena, &ids, &count, error);
    if (answer == 0 && count)
        memcpy(newest, ids[count - 1].data, sizeof newest - 1);
    while (answer == 0 && count--)
        answer = consider(run, ids[count], options, &unfinished, error);
    pb_arena_free(&arena);
    if (answer < 0)
        return -1;
    if (options->full && run->has_base) {
        run->has_base = false;
        pb_snapshot_file_free(&run->base);
        run->base_sha256[0] = 0;
    }
    if (unfinished && take_up(run, options, error))
        return -1;
    if (!run->resumed) {
        pb_intent_free(&run->intent);
        memset(&run->intent, 0, sizeof run->intent);
        uint16_t random;
        pb_random_bytes(&random, sizeof random);
        run->intent.started_ms = pb_clock_utc_ms();
        pb_snapshot_id_make(run->intent.started_ms, random, pb_slice_of(newest), run->intent.id);
        run->intent.source = pb_duplicate(pb_slice_of(options->source));
        run->intent.prefix = pb_duplicate(pb_slice_of(options->prefix));
        run->intent.name_space = pb_duplicate(pb_slice_of(options->name_space));
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
    pb_snapshot_file_free(&run->pass_file);
    pb_pass_parts_free(&run->found);
    pb_buffer_free(&run->key);
    pb_buffer_free(&run->text);
}
