#include "snapshot/verify.h"

#include "base/clock.h"
#include "base/failure.h"
#include "snapshot/agreement.h"
#include "snapshot/artifact.h"
#include "snapshot/cluster.h"
#include "snapshot/manifest_stream.h"
#include "snapshot/repository.h"
#include "snapshot/stored_object.h"
#include <stdio.h>
#include <stdlib.h>

/* Listings of data/<id>/ merged with the manifest; objects of still older snapshots are asked for
 * one by one. */
enum { LISTINGS_MAX = PB_SHARD_STREAMS_MAX - 1 };

typedef struct verify_job {
    pb_session *session;
    pb_job job;
    pb_repository repository;
    const pb_snapshot_file *file;
    pb_slice prefix;
    bool read;
    pb_slice ids[LISTINGS_MAX]; /* the snapshot itself first */
    unsigned id_count;
    pb_listing *listings[LISTINGS_MAX]; /* of their data */
    pb_verify_result *result;           /* under job.lock */
    pb_findings damaged;                /* likewise */
    bool kept;                          /* the repository has them */
    bool is_newest;                     /* of its source: the next backup builds on it */
} verify_job;

typedef struct verify_shard {
    verify_job *verify;
    pb_worker *worker;
    pb_verify_result result; /* counters of this shard */
} verify_shard;

/* For the next backup. */
static void keep_damaged(verify_job *verify, pb_slice key)
{
    pthread_mutex_lock(&verify->job.lock);
    pb_findings_add(&verify->damaged, key);
    pthread_mutex_unlock(&verify->job.lock);
}

static void find_fault(verify_shard *shard, const char *name, pb_slice key, const char *text)
{
    pb_job_finding(&shard->verify->job, name, key, text);
    keep_damaged(shard->verify, key);
}

/* Compares what the listing shows with the record. True where it is as it should be. */
static bool listing_agrees(verify_shard *shard, const pb_record *record, const pb_entry *listed)
{
    char text[PB_ETAG_TEXT_MAX * 2 + 64];
    if (listed->size != record->size) {
        snprintf(text, sizeof text, "%llu bytes where the manifest says %llu",
                 (unsigned long long)listed->size, (unsigned long long)record->size);
        find_fault(shard, listed->size < record->size ? "truncated" : "mismatch", record->key,
                   text);
        return false;
    }
    const pb_store_capabilities *store = pb_store_capabilities_of(shard->worker->stores[0]);
    pb_slice expected = pb_stored_etag(record);
    if (store->etag_is_kept && expected.size && listed->etag.size &&
        !pb_slice_equal(expected, listed->etag)) {
        snprintf(text, sizeof text, "ETag %.*s where the manifest says %.*s",
                 PB_SLICE_FORMAT(listed->etag), PB_SLICE_FORMAT(expected));
        find_fault(shard, "mismatch", record->key, text);
        return false;
    }
    return true;
}

static int decide(void *context, const pb_entry *const *heads, pb_arena *arena, pb_item *item,
                  pb_error *error)
{
    (void)error;
    verify_shard *shard = context;
    verify_job *verify = shard->verify;
    const pb_record *record = heads[0] ? heads[0]->record : NULL;
    /* What a copy that was taken again, or a request that came late, leaves behind: no harm. */
    shard->result.orphans += heads[1] && (!record || !pb_slice_equal(record->at, verify->ids[0]));
    if (!record || !pb_slice_starts_with(record->key, verify->prefix))
        return 0;
    unsigned listing = 0;
    if (!record->path.size)
        for (unsigned i = 0; i < verify->id_count && !listing; i++)
            if (pb_slice_equal(record->at, verify->ids[i]))
                listing = i + 1;
    shard->result.objects++;
    atomic_fetch_add_explicit(&verify->job.counters.keys, 1, memory_order_relaxed);
    /* What no listing shows is asked for before it is called missing. */
    const pb_entry *listed = listing ? heads[listing] : NULL;
    if (listed && !listing_agrees(shard, record, listed))
        return 0;
    if (listed && !verify->read) {
        pb_job_passed(&verify->job);
        return 0;
    }
    item->entry = heads[0];
    pb_expect_stored(&item->transfer, shard->worker->stores[0], record, arena);
    item->transfer.kind = verify->read ? PB_TRANSFER_READ : PB_TRANSFER_LOOK;
    return 0;
}

static int emit(void *context, pb_item *item, pb_error *error)
{
    (void)error;
    verify_shard *shard = context;
    const pb_transfer *transfer = &item->transfer;
    pb_job_passed(&shard->verify->job);
    if (transfer->kind == PB_TRANSFER_LOOK) {
        const pb_record *record = item->entry->record;
        pb_entry looked = {.size = transfer->found_size,
                           .etag = pb_slice_of(transfer->stored_etag)};
        listing_agrees(shard, record, &looked);
        return 0;
    }
    shard->result.bytes_read += transfer->size;
    if (transfer->proof & PB_MOVED_SHA256)
        shard->result.proven_sha256++;
    else if (transfer->proof & PB_MOVED_KEY)
        shard->result.proven_key++;
    else if (transfer->proof & PB_MOVED_CHECKSUM)
        shard->result.proven_checksum++;
    else if (transfer->proof & PB_MOVED_ETAG)
        shard->result.proven_etag++;
    else
        shard->result.unproven++;
    return 0;
}

static int failed(void *context, pb_item *item, pb_error *error)
{
    verify_shard *shard = context;
    const pb_error *why = item->transfer.error;
    if (pb_failure_finding_of(why->kind) == PB_FAILURE_UNREAD)
        shard->result.unread_objects++;
    else
        keep_damaged(shard->verify, item->entry->key);
    return pb_job_failed(&shard->verify->job, pb_failure_finding_name(why), item->entry->key, why,
                         error);
}

static void over(void *context, const pb_error *error)
{
    (void)error;
    verify_shard *shard = context;
    pb_verify_result *all = shard->verify->result;
    pthread_mutex_lock(&shard->verify->job.lock);
    all->objects += shard->result.objects;
    all->orphans += shard->result.orphans;
    all->bytes_read += shard->result.bytes_read;
    all->proven_sha256 += shard->result.proven_sha256;
    all->proven_checksum += shard->result.proven_checksum;
    all->proven_etag += shard->result.proven_etag;
    all->proven_key += shard->result.proven_key;
    all->unproven += shard->result.unproven;
    all->unread_objects += shard->result.unread_objects;
    pthread_mutex_unlock(&shard->verify->job.lock);
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
    verify_job *verify = context;
    verify_shard *context_of = pb_allocate_zeroed(1, sizeof *context_of);
    context_of->verify = verify;
    context_of->worker = worker;
    const pb_range *range = pb_shard_range(shard);
    pb_slice after = pb_slice_of(range->after), through = pb_slice_of(range->through);
    pb_shard_set_work(shard, &work, context_of);
    pb_shard_add_stream(shard,
                        pb_manifest_stream_open(worker->stores[0], &worker->loop, verify->file,
                                                after, through, pb_shard_wake, shard));
    for (unsigned i = 0; i < verify->id_count; i++)
        pb_shard_add_stream(shard, pb_listing_open(verify->listings[i], worker, after, through,
                                                   pb_shard_wake, shard));
}

/* The snapshot's own data and that of the ones before it, newest first. */
static int choose_listings(verify_job *verify, pb_arena *arena, pb_error *error)
{
    pb_slice *ids, own = pb_slice_of(verify->file->id);
    size_t count;
    verify->ids[verify->id_count++] = own;
    if (pb_repository_ids(&verify->repository, "data/", arena, &ids, &count, error))
        return -1;
    /* The oldest holds most, as a rule: it goes before the newest others. */
    for (size_t i = 0; i < count && verify->id_count < LISTINGS_MAX; i++) {
        pb_slice id = i == 0 ? ids[0] : ids[count - i];
        if (pb_slice_compare(id, own) < 0)
            verify->ids[verify->id_count++] = id;
    }
    return 0;
}

static void plan_ranges(verify_job *verify)
{
    pb_arena arena = {0};
    pb_slice *cuts;
    size_t count;
    pb_repository_cuts(verify->file, verify->file->objects / 64, &arena, &cuts, &count);
    pb_job_add_cuts(&verify->job, &(pb_range){0}, cuts, count);
    pb_arena_free(&arena);
}

static int restart(void *context, pb_error *error)
{
    verify_job *verify = context;
    pb_verify_result *result = verify->result;
    (void)error;
    result->objects = result->orphans = result->bytes_read = 0;
    result->proven_sha256 = result->proven_checksum = result->proven_etag = 0;
    result->proven_key = result->unproven = result->unread_objects = 0;
    plan_ranges(verify);
    return 0;
}

/* What could not be read is not damaged for all that is known. */
static int refuse_to_judge(verify_job *verify, pb_error *error)
{
    bool passes = pb_failure_passes(pb_failure_kind_of(&verify->job.failures));
    return pb_job_fail(
        &verify->job, pb_failure_total(&verify->job.failures), error,
        passes ? "pbcopy found nothing wrong elsewhere; run the same command again when the store "
                 "answers"
               : "the findings say what the store answered; pbcopy found nothing wrong elsewhere",
        "snapshot %s: %llu of %llu objects could not be read, and nothing is known of them",
        verify->file->id, (unsigned long long)verify->result->unread_objects,
        (unsigned long long)verify->result->objects);
}

/* Beside those of earlier runs, which may have looked at other objects. A login that only reads
 * cannot. */
static void write_findings(verify_job *verify)
{
    pb_error error = {0};
    const char *id = verify->file->id;
    if (!verify->damaged.count && !verify->damaged.cut)
        return;
    verify->kept = !pb_repository_findings(&verify->repository, id, &verify->damaged, &error);
    pb_findings_sort(&verify->damaged);
    verify->kept = verify->kept &&
                   !pb_repository_write_findings(&verify->repository, id, &verify->damaged, &error);
    if (!verify->kept)
        pb_session_note(verify->session, "could not note in the repository what is damaged: %s",
                        error.message);
}

/* Of a run that ended before its end *error says why; what it had found by then stays true. */
static int call_damaged(verify_job *verify, bool ended, pb_error *error)
{
    pb_error why = ended ? *error : (pb_error){0};
    bool helps = verify->kept && verify->is_newest;
    pb_error_set(error, PB_ERROR_DAMAGED,
                 "snapshot %s is damaged: findings: %llu, objects looked at: %llu%s%s",
                 verify->file->id, (unsigned long long)verify->job.finding_count,
                 (unsigned long long)verify->result->objects,
                 ended ? "; the rest was not looked at: " : "", why.message);
    return pb_error_hint(error,
                         "`pbcopy backup%s` copies again %s; an older snapshot may hold the "
                         "objects too",
                         helps ? "" : " --full",
                         helps ? "what is damaged, where the source still has it"
                               : "all that the source still has");
}

static int run(verify_job *verify, pb_error *error)
{
    pb_arena arena = {0};
    int ended = choose_listings(verify, &arena, error);
    for (unsigned i = 0; i < verify->id_count; i++)
        verify->listings[i] = pb_job_data_listing(&verify->job, 0, verify->ids[i], verify->prefix);
    plan_ranges(verify);
    verify->job.phase = verify->read ? "reading" : "verifying";
    verify->job.keys_total = verify->file->objects;
    verify->job.shards_most = PB_SHARDS_WITH_MANIFEST;
    verify->job.open = open_shard;
    verify->job.restart = restart;
    verify->job.context = verify;
    verify->job.sorted[0] = verify->repository.file.unordered_listing;
    verify->job.stores[0] = verify->repository.config;
    verify->job.store_count = 1;
    if (!ended)
        ended = pb_job_run(&verify->job, error);
    pb_arena_free(&arena);
    if (ended && strcmp(error->code, "manifest-damaged") == 0) {
        verify->job.finding_count++;
        pb_session_tell(verify->session, &(pb_event){.kind = PB_EVENT_FINDING,
                                                     .finding = "manifest-damaged",
                                                     .key = verify->file->id,
                                                     .text = error->message});
    }
    verify->result->findings = verify->job.finding_count;
    if (ended && (error->kind == PB_ERROR_CANCELLED || error->kind == PB_ERROR_DAMAGED))
        return ended;
    write_findings(verify);
    if (verify->job.finding_count > pb_failure_unread(&verify->job.failures))
        return call_damaged(verify, ended, error);
    if (!ended && verify->job.finding_count)
        return refuse_to_judge(verify, error);
    return ended;
}

/* Every chunk that the dump speaks of must be in the manifest. */
static int verify_database(verify_job *verify, const char *identity, pb_error *error)
{
    const pb_snapshot_file *file = verify->file;
    const pb_cluster_record *cluster = file->cluster;
    const pb_artifact *dump =
        cluster ? pb_cluster_record_find(cluster, PB_ARTIFACT_DUMP, cluster->database_name) : NULL;
    if (!dump && cluster)
        dump = pb_cluster_record_find(cluster, PB_ARTIFACT_DUMP_ALL, NULL);
    if (!dump)
        return pb_error_set(error, PB_ERROR_USAGE,
                            "snapshot %s holds no dump: --database has nothing to look at",
                            file->id);
    if (pb_cluster_identity_check(dump, identity, error))
        return -1;
    pb_chunk_sort *sort;
    uint64_t missing = 0;
    const pb_undump_options options = {
        .database = cluster->database_name,
        .check_only = true,
        .identity = identity,
    };
    if (pb_chunk_sort_start(&verify->session->loop, pb_session_scratch(verify->session), &sort,
                            error))
        return -1;
    pb_session_phase(verify->session, "reading the dump");
    int failed =
        pb_artifact_undump(&verify->repository, file->id, dump, &options, sort, NULL, NULL, error);
    if (!failed) {
        pb_chunk_sort_end(sort);
        failed = pb_agreement_check(&verify->repository, file, sort, &verify->result->chunks_needed,
                                    &missing, error);
    }
    pb_chunk_sort_free(sort);
    verify->job.finding_count += missing;
    return failed;
}

/* Dumps and captures are stored objects, too. */
static int verify_artifacts(verify_job *verify, pb_error *error)
{
    const pb_cluster_record *cluster = verify->file->cluster;
    for (size_t i = 0; cluster && i < cluster->artifact_count; i++) {
        const pb_artifact *artifact = &cluster->artifacts[i];
        const char *finding;
        pb_error wrong = {0};
        int good = pb_artifact_verify(&verify->repository, verify->file->id, artifact, verify->read,
                                      &finding, &wrong);
        if (good < 0) {
            *error = wrong;
            return -1;
        }
        verify->result->artifacts++;
        if (!good &&
            pb_job_failed(&verify->job, finding, pb_slice_of(artifact->path), &wrong, error))
            return -1;
    }
    return 0;
}

int pb_verify(pb_session *session, const pb_verify_options *options, pb_verify_result *ret_result,
              pb_error *error)
{
    int64_t started_ms = pb_clock_monotonic_ms();
    *ret_result = (pb_verify_result){0};
    verify_job verify = {
        .session = session,
        .file = &ret_result->snapshot,
        .prefix = pb_slice_of(options->prefix),
        .read = options->read,
        .is_newest = !options->which.snapshot,
        .result = ret_result,
    };
    pb_session_phase(session, "opening");
    if (pb_repository_open(session, options->repository, false, &verify.repository, error))
        return -1;
    int ended = pb_choose(&verify.repository, &options->which, &ret_result->snapshot,
                          &ret_result->choice, error);
    pb_choice_note(&ret_result->choice, session);
    if (!ended) {
        pb_job_init(&verify.job, session);
        ended = verify_artifacts(&verify, error);
        if (!ended && options->database)
            ended = verify_database(&verify, options->identity, error);
        if (!ended)
            ended = run(&verify, error);
        pb_findings_free(&verify.damaged);
        pb_job_free(&verify.job);
    }
    pb_repository_close(&verify.repository);
    ret_result->elapsed_ms = pb_clock_monotonic_ms() - started_ms;
    return ended;
}

void pb_verify_result_free(pb_verify_result *result)
{
    pb_choice_free(&result->choice);
    pb_snapshot_file_free(&result->snapshot);
}
