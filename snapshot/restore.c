#include "snapshot/restore.h"

#include "base/clock.h"
#include "copier/store/etag.h"
#include "snapshot/destination.h"
#include "snapshot/manifest_stream.h"
#include "snapshot/one_bucket.h"
#include "snapshot/repository.h"
#include "snapshot/stored_object.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { REPOSITORY, DESTINATION };

typedef enum verdict { WRITTEN, PRESENT } verdict;

typedef struct restore_job {
    pb_session *session;
    pb_job job;
    pb_destination destination;
    pb_repository repository;
    const pb_snapshot_file *file;
    pb_slice prefix;
    bool server_side, overwrite, dry_run;
    atomic_bool etags_tell;    /* an object of another plain ETag was read, and differs indeed */
    bool has_differing;        /* the rounds before left objects alone that differ */
    pb_listing *listing;       /* of the destination */
    uint64_t damaged;          /* under job.lock */
    pb_restore_result *result; /* likewise */
} restore_job;

typedef struct restore_shard {
    restore_job *restore;
    pb_worker *worker;
    pb_restore_result result; /* counters of this shard */
    uint64_t damaged;
} restore_shard;

/* Both are plain, and of different MD5s if they are MD5s at all. */
static bool differ_plainly(const restore_shard *shard, const pb_record *record,
                           const pb_entry *there)
{
    pb_slice known = pb_proven_etag(shard->worker->stores[REPOSITORY], record);
    return pb_etag_parts(there->etag) == 0 && pb_etag_parts(known) == 0 &&
           !pb_etag_same(there->etag, known);
}

/* 1: the same bytes; 0: other bytes; -1: only reading would tell. */
static int compare(const restore_shard *shard, const pb_record *record, const pb_entry *there)
{
    if (there->size != record->size)
        return 0;
    if (!pb_store_capabilities_of(shard->worker->stores[DESTINATION])->etag_is_md5)
        return -1;
    if (pb_etag_same(there->etag, record->etag) ||
        (record->stored_etag.size && pb_etag_same(there->etag, record->stored_etag)))
        return 1;
    /* Multipart ETags of other layouts differ though the bytes may not; and where nothing was
     * written yet, plain ones may turn out not to be MD5s. */
    bool told = atomic_load(&shard->restore->etags_tell) || shard->restore->dry_run;
    return told && differ_plainly(shard, record, there) ? 0 : -1;
}

/* The bytes that an object of the destination has were compared: so its ETag has told, or has not.
 */
static void learn_from_bytes(restore_shard *shard, const pb_item *item, bool same)
{
    restore_job *restore = shard->restore;
    const pb_record *record = item->entry->record;
    const pb_entry *there = item->other;
    if (!there || there->size != record->size || !differ_plainly(shard, record, there))
        return;
    if (same)
        pb_store_know(restore->job.stores[DESTINATION], &(pb_store_findings){.opaque_etags = true});
    else
        atomic_store(&restore->etags_tell, true);
}

/* The last round: what was written, or was there, must be listed. */
static void check(restore_shard *shard, const pb_record *record, const pb_entry *there)
{
    restore_job *restore = shard->restore;
    pb_slice known = pb_proven_etag(shard->worker->stores[REPOSITORY], record);
    atomic_fetch_add_explicit(&restore->job.counters.keys, 1, memory_order_relaxed);
    if (there && restore->has_differing)
        return; /* perhaps one of those, which were reported */
    bool as_source = there && pb_etag_same(there->etag, record->etag);
    pb_destination_check(&restore->destination, record->key, record->size,
                         as_source ? record->etag : known, there);
}

static int decide(void *context, const pb_entry *const *heads, pb_arena *arena, pb_item *item,
                  pb_error *error)
{
    (void)error;
    restore_shard *shard = context;
    restore_job *restore = shard->restore;
    bool first = restore->destination.round == PB_ROUND_ALL;
    if (!heads[0]) {
        shard->result.extra_objects += first;
        pb_destination_keeps(&restore->destination, heads[1]);
        return 0;
    }
    const pb_record *record = heads[0]->record;
    if (!pb_slice_starts_with(record->key, restore->prefix))
        return 0;
    if (restore->destination.round == PB_ROUND_CHECK) {
        check(shard, record, heads[1]);
        return 0;
    }
    shard->result.objects += first;
    int same = heads[1] ? compare(shard, record, heads[1]) : 0;
    /* Older than the source's last change: its metadata may be other, too. */
    bool older = same && heads[1]->mtime_ms < record->mtime_ms;
    if (older)
        same = 0;
    bool is_written = !heads[1] || (same != 1 && restore->overwrite);
    if (is_written ? !pb_destination_takes(&restore->destination, record->key) : !first)
        return 0; /* what is not written is counted and compared in the first round */
    if (!is_written)
        pb_destination_keeps(&restore->destination, heads[1]);
    if (heads[1] && !same && !restore->overwrite) {
        shard->result.differing_objects++;
        pb_job_finding(&restore->job, "differs", record->key,
                       older ? "the destination has an object that is older than the snapshot's: "
                               "its metadata may be other"
                             : "the destination has other bytes under this key");
        return 0;
    }
    item->entry = heads[0];
    pb_transfer *transfer = &item->transfer;
    if (same == 1) {
        item->verdict = PRESENT;
        return 0;
    }
    pb_expect_stored(transfer, shard->worker->stores[REPOSITORY], record, arena);
    if (!is_written) {
        item->verdict = PRESENT;
        transfer->source = shard->worker->stores[DESTINATION];
        transfer->source_key = record->key;
        transfer->must_match = false;
        transfer->kind = PB_TRANSFER_READ;
        item->other = heads[1];
    } else {
        item->verdict = WRITTEN;
        transfer->destination = shard->worker->stores[DESTINATION];
        transfer->destination_key = record->key;
        transfer->kind = restore->server_side ? PB_TRANSFER_COPY : PB_TRANSFER_RELAY;
    }
    if (restore->dry_run)
        transfer->kind = PB_TRANSFER_NONE;
    return 0;
}

static int emit(void *context, pb_item *item, pb_error *error)
{
    (void)error;
    restore_shard *shard = context;
    pb_job_passed(&shard->restore->job);
    atomic_fetch_add_explicit(&shard->restore->job.counters.keys, 1, memory_order_relaxed);
    if (item->verdict == PRESENT) {
        if (item->transfer.kind == PB_TRANSFER_READ && item->transfer.proof == PB_MOVED_SIZE) {
            shard->result.differing_objects++;
            pb_job_finding(&shard->restore->job, "differs", item->entry->key,
                           "the destination has an object of this size, and nothing tells whether "
                           "its bytes are the same");
        } else {
            learn_from_bytes(shard, item, true);
            shard->result.present_objects++;
        }
        return 0;
    }
    const pb_record *record = item->entry->record;
    pb_destination_wrote(&shard->restore->destination, record->key, record->size,
                         pb_proven_etag(shard->worker->stores[REPOSITORY], record),
                         pb_slice_of(item->transfer.stored_etag));
    shard->result.written_objects++;
    shard->result.written_bytes += item->entry->size;
    return 0;
}

static int failed(void *context, pb_item *item, pb_error *error)
{
    restore_shard *shard = context;
    const pb_error *why = item->transfer.error;
    if (item->verdict == PRESENT && why->kind == PB_ERROR_DAMAGED) {
        learn_from_bytes(shard, item, false);
        shard->result.differing_objects++;
        pb_job_finding(&shard->restore->job, "differs", item->entry->key, why->message);
        return 0;
    }
    bool stored = pb_failure_finding_of(why->kind) != PB_FAILURE_UNREAD;
    shard->result.failed_objects++;
    shard->damaged += stored;
    return pb_job_failed(&shard->restore->job, stored ? pb_failure_finding_name(why) : "failed",
                         item->entry->key, why, error);
}

static void over(void *context, const pb_error *error)
{
    (void)error;
    restore_shard *shard = context;
    pb_restore_result *all = shard->restore->result;
    pthread_mutex_lock(&shard->restore->job.lock);
    all->objects += shard->result.objects;
    all->written_objects += shard->result.written_objects;
    all->written_bytes += shard->result.written_bytes;
    all->present_objects += shard->result.present_objects;
    all->extra_objects += shard->result.extra_objects;
    all->differing_objects += shard->result.differing_objects;
    all->failed_objects += shard->result.failed_objects;
    shard->restore->damaged += shard->damaged;
    pthread_mutex_unlock(&shard->restore->job.lock);
    free(shard);
}

static const pb_shard_work work = {
    .decide = decide,
    .emit = emit,
    .failed = failed,
    .over = over,
};

static void open_shard(void *context, pb_worker *worker, pb_shard *shard)
{
    restore_job *restore = context;
    restore_shard *context_of = pb_allocate_zeroed(1, sizeof *context_of);
    context_of->restore = restore;
    context_of->worker = worker;
    const pb_range *range = pb_shard_range(shard);
    pb_slice after = pb_slice_of(range->after), through = pb_slice_of(range->through);
    pb_shard_set_work(shard, &work, context_of);
    pb_shard_add_stream(shard, pb_manifest_stream_open(worker->stores[REPOSITORY], &worker->loop,
                                                       restore->file, after, through, pb_shard_wake,
                                                       shard));
    pb_shard_add_stream(
        shard, pb_listing_open(restore->listing, worker, after, through, pb_shard_wake, shard));
}

static void plan_ranges(void *context)
{
    restore_job *restore = context;
    restore->has_differing = restore->result->differing_objects > 0;
    pb_arena arena = {0};
    pb_slice *cuts;
    size_t count;
    pb_repository_cuts(restore->file, restore->file->objects / 64, &arena, &cuts, &count);
    pb_job_add_cuts(&restore->job, &(pb_range){0}, cuts, count);
    pb_arena_free(&arena);
}

static int restart(void *context, pb_error *error)
{
    restore_job *restore = context;
    pb_restore_result *result = restore->result;
    (void)error;
    pb_destination_restart(&restore->destination, restore->dry_run ? 0 : result->written_objects,
                           restore->dry_run ? 0 : result->written_bytes);
    if (restore->destination.round == PB_ROUND_ALL) { /* what later rounds count stays */
        result->objects = result->written_objects = result->written_bytes = 0;
        result->present_objects = result->extra_objects = result->differing_objects = 0;
        result->failed_objects = restore->damaged = 0;
    }
    plan_ranges(restore);
    return 0;
}

static int judge(const restore_job *restore, pb_error *error)
{
    const pb_restore_result *result = restore->result;
    if (result->failed_objects) {
        const char *hint = pb_destination_hint(&restore->destination);
        pb_job_fail(&restore->job, result->failed_objects, error,
                    hint ? hint : "run the same command again to go on from here",
                    "snapshot %s: %llu of %llu objects could not be restored", restore->file->id,
                    (unsigned long long)result->failed_objects,
                    (unsigned long long)result->objects);
        if (!restore->damaged)
            return -1;
        error->kind = PB_ERROR_DAMAGED;
        return pb_error_hint(error,
                             "see which with `pbcopy verify`; an older snapshot may hold them");
    }
    if (result->differing_objects) {
        pb_error_set(error, PB_ERROR_FAILED,
                     "%llu of the objects at the destination differ: they were left alone",
                     (unsigned long long)result->differing_objects);
        return pb_error_hint(error, "restore into an empty bucket, or say --overwrite");
    }
    return 0;
}

static int run(restore_job *restore, pb_store_config *config, pb_store *destination,
               pb_error *error)
{
    pb_restore_result *result = restore->result;
    restore->listing = pb_job_listing(&restore->job, DESTINATION, restore->prefix);
    restore->destination = (pb_destination){
        .job = &restore->job,
        .store = destination,
        .listing = restore->listing,
        .plan = plan_ranges,
        .written_objects = &result->written_objects,
        .written_bytes = &result->written_bytes,
        .present_objects = &result->present_objects,
        .failed_objects = &result->failed_objects,
    };
    /* Objects with other bytes are left alone only where the listing shows them. */
    if (!restore->overwrite && !restore->dry_run &&
        pb_store_location(destination)->kind != PB_STORE_FILE)
        restore->job.order_first = restore->listing;
    restore->job.phase = restore->dry_run ? "comparing" : "restoring";
    restore->job.keys_total = restore->file->objects;
    restore->job.shards_most = PB_SHARDS_WITH_MANIFEST;
    restore->job.open = open_shard;
    restore->job.restart = restart;
    restore->job.context = restore;
    restore->job.stores[REPOSITORY] = restore->repository.config;
    restore->job.stores[DESTINATION] = config;
    restore->job.store_count = 2;
    int ended = pb_destination_run(&restore->destination, error);
    result->failed_objects +=
        restore->destination.refused_objects + restore->destination.lost_objects;
    return ended ? ended : judge(restore, error);
}

static int refuse_overlap(const pb_restore_options *options, const char *why, pb_error *error)
{
    pb_error_set(error, PB_ERROR_USAGE, "the destination %s and the repository %s overlap%s",
                 options->destination, options->repository, why);
    return pb_error_hint(error, "restore into a bucket or prefix outside of the repository");
}

/* The destination must exist (a directory may be made by the first write) and lie outside. */
static int open_destination(pb_session *session, const pb_restore_options *options,
                            const pb_repository *repository, pb_store_config **ret_config,
                            pb_store **ret_store, pb_error *error)
{
    if (pb_session_store(session, options->destination, "destination", NULL, ret_config, ret_store,
                         error))
        return -1;
    if (pb_location_overlaps(pb_store_location(*ret_store), pb_store_location(repository->store)))
        return refuse_overlap(options, "", error);
    const pb_bucket_pair pair = {
        .written = *ret_store, .other = repository->store, .repository = repository->store};
    bool is_one = false;
    if (pb_session_check(session, *ret_store, NULL, true, error) ||
        pb_bucket_pair_is_one(session, &pair, &is_one, error))
        return -1;
    if (pb_store_copies_from(*ret_store, repository->store)) {
        pb_store_findings found = pb_store_findings_of(repository->config);
        pb_store_know(*ret_config, &found);
    }
    return is_one ? refuse_overlap(options, ": their endpoints lead to one bucket", error) : 0;
}

int pb_restore(pb_session *session, const pb_restore_options *options,
               pb_restore_result *ret_result, pb_error *error)
{
    int64_t started_ms = pb_clock_monotonic_ms();
    *ret_result = (pb_restore_result){0};
    restore_job restore = {
        .session = session,
        .file = &ret_result->snapshot,
        .prefix = pb_slice_of(options->prefix),
        .overwrite = options->overwrite,
        .dry_run = session->options.dry_run,
        .result = ret_result,
    };
    pb_store_config *config = NULL;
    pb_store *destination = NULL;
    pb_session_phase(session, "opening");
    if (pb_repository_open(session, options->repository, false, &restore.repository, error))
        return -1;
    int ended = pb_choose(&restore.repository, &options->which, &ret_result->snapshot,
                          &ret_result->choice, error);
    pb_choice_note(&ret_result->choice, session);
    if (!ended)
        ended =
            open_destination(session, options, &restore.repository, &config, &destination, error);
    if (!ended) {
        restore.server_side = ret_result->server_side =
            pb_store_copies_from(destination, restore.repository.store) &&
            pb_store_capabilities_of(destination)->etag_is_md5;
        pb_job_init(&restore.job, session);
        ended = run(&restore, config, destination, error);
        if (pb_store_refuses_copy(config, PB_STORE_COPY))
            ret_result->server_side = false;
        pb_job_free(&restore.job);
    }
    pb_repository_close(&restore.repository);
    pb_store_close(destination);
    pb_store_config_free(config);
    ret_result->elapsed_ms = pb_clock_monotonic_ms() - started_ms;
    return ended;
}

void pb_restore_result_free(pb_restore_result *result)
{
    pb_choice_free(&result->choice);
    pb_snapshot_file_free(&result->snapshot);
}
