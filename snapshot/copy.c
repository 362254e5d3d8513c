#include "snapshot/copy.h"

#include "base/clock.h"
#include "base/failure.h"
#include "copier/store/etag.h"
#include "snapshot/changed_source.h"
#include "snapshot/destination.h"
#include "snapshot/one_bucket.h"
#include "snapshot/seen_entries.h"
#include <stdlib.h>

enum { SOURCE, DESTINATION };

/* READ_HERE, READ_THERE: the bytes of both ends are compared, the source's first; LOOKED_AT: the
 * object changed while it was copied, and the source is asked what it is now. */
typedef enum verdict { COPIED, READ_HERE, READ_THERE, LOOKED_AT } verdict;

typedef struct copy_job {
    pb_job job;
    pb_destination destination;
    pb_slice prefix;
    pb_hash_kind checksum;
    bool server_side, dry_run;
    int64_t started_ms; /* by the source's clock */
    pb_seen_entries *seen;
    pb_listing *listings[2];
    pb_copy_result *result; /* under job.lock */
} copy_job;

typedef struct copy_shard {
    copy_job *copy;
    pb_worker *worker;
    pb_copy_result result; /* counters of this shard */
} copy_shard;

typedef enum comparison { DIFFERENT, SAME, SAME_OR_NOT } comparison;

/* What was written before the source's last change may have other metadata, though the bytes are
 * the same. */
static comparison compare(const copy_shard *shard, const pb_entry *source, const pb_entry *there)
{
    if (!there || there->size != source->size || there->mtime_ms < source->mtime_ms)
        return DIFFERENT;
    if (pb_etag_same(source->etag, there->etag))
        return SAME;
    int parts = pb_etag_parts(source->etag);
    bool comparable = parts >= 0 && parts == pb_etag_parts(there->etag);
    for (unsigned i = 0; i < 2; i++) {
        const pb_store_capabilities *store = pb_store_capabilities_of(shard->worker->stores[i]);
        comparable &= parts ? store->part_etags_are_md5 : store->etag_is_md5;
    }
    if (!comparable)
        return SAME;
    /* As many parts may be of other lengths: then the ETags differ whatever the bytes. */
    return parts ? SAME_OR_NOT : DIFFERENT;
}

/* True where the time of an entry does not say whether it was there when the run began: the time of
 * a multipart object may be that of the upload's begin. */
static bool may_be_later(const copy_job *copy, const pb_entry *source)
{
    return source->mtime_ms >= copy->started_ms || pb_etag_parts(source->etag) > 0;
}

/* What the bytes are known to have: empty where the source's ETags say nothing of them. */
static pb_slice known_etag(const copy_shard *shard, const pb_entry *source)
{
    bool tells = pb_store_capabilities_of(shard->worker->stores[SOURCE])->etag_is_md5;
    return tells ? source->etag : (pb_slice){NULL, 0};
}

/* The last round: what was copied, or was there, must be listed. The source is in use: what came or
 * changed since it was looked at is no concern of this run. */
static void check(copy_shard *shard, const pb_entry *source, const pb_entry *there)
{
    copy_job *copy = shard->copy;
    atomic_fetch_add_explicit(&copy->job.counters.keys, 1, memory_order_relaxed);
    if (!may_be_later(copy, source) || pb_seen_entries_have(copy->seen, source))
        pb_destination_check(&copy->destination, source->key, source->size,
                             known_etag(shard, source), there);
}

static void plan(copy_shard *shard, pb_item *item)
{
    const copy_job *copy = shard->copy;
    const pb_entry *source = item->entry;
    pb_transfer *transfer = &item->transfer;
    memset(transfer, 0, offsetof(pb_transfer, done));
    transfer->kind = copy->dry_run       ? PB_TRANSFER_NONE
                     : copy->server_side ? PB_TRANSFER_COPY
                                         : PB_TRANSFER_RELAY;
    transfer->source = shard->worker->stores[SOURCE];
    transfer->destination = shard->worker->stores[DESTINATION];
    transfer->source_key = transfer->destination_key = transfer->name = source->key;
    transfer->size = source->size;
    transfer->etag = source->etag;
    transfer->version = source->version;
    transfer->must_match = source->etag.size > 0;
    transfer->digest_kind = copy->checksum;
    item->verdict = COPIED;
}

static void plan_read(pb_item *item, pb_store *store, const pb_entry *entry, verdict reads)
{
    pb_transfer *transfer = &item->transfer;
    memset(transfer, 0, offsetof(pb_transfer, done));
    transfer->kind = PB_TRANSFER_READ;
    transfer->source = store;
    transfer->source_key = transfer->name = entry->key;
    transfer->size = entry->size;
    transfer->etag = entry->etag;
    transfer->must_match = entry->etag.size > 0;
    transfer->digest_kind = PB_HASH_SHA256;
    transfer->hash_as_relayed = true;
    item->verdict = reads;
}

static int decide(void *context, const pb_entry *const *heads, pb_arena *arena, pb_item *item,
                  pb_error *error)
{
    (void)arena;
    (void)error;
    copy_shard *shard = context;
    copy_job *copy = shard->copy;
    const pb_entry *source = heads[0];
    bool first = copy->destination.round == PB_ROUND_ALL;
    if (!source) {
        shard->result.extra_objects += first;
        pb_destination_keeps(&copy->destination, heads[1]);
        return 0;
    }
    if (copy->destination.round == PB_ROUND_CHECK) {
        check(shard, source, heads[1]);
        return 0;
    }
    shard->result.objects += first;
    comparison same = compare(shard, source, heads[1]);
    if (same == SAME_OR_NOT && copy->dry_run)
        same = DIFFERENT;
    if (same != SAME && !pb_destination_takes(&copy->destination, source->key))
        return 0;
    if (!copy->dry_run && may_be_later(copy, source)) /* a dry run has no last round */
        pb_seen_entries_add(copy->seen, source);
    if (same == SAME) {
        pb_destination_keeps(&copy->destination, heads[1]);
        shard->result.unchanged_objects += first;
        pb_job_passed(&copy->job);
        atomic_fetch_add_explicit(&copy->job.counters.keys, 1, memory_order_relaxed);
        return 0;
    }
    item->entry = source;
    item->other = heads[1];
    if (same == SAME_OR_NOT)
        plan_read(item, shard->worker->stores[SOURCE], source, READ_HERE);
    else
        plan(shard, item);
    return 0;
}

/* The source has been read, then the destination: copied where they differ. */
static bool compare_bytes(copy_shard *shard, pb_item *item, pb_arena *arena)
{
    pb_transfer *transfer = &item->transfer;
    const pb_error *why = transfer->error;
    if (!why && item->verdict == READ_THERE)
        return false;
    if (why && pb_failure_reach_of(why->kind) == PB_FAILURE_OF_RUN)
        return false;
    if (why) {
        plan(shard, item);
        return true;
    }
    uint8_t *digest = pb_arena_allocate(arena, sizeof transfer->digest);
    memcpy(digest, transfer->digest, sizeof transfer->digest);
    uint64_t part_bytes = transfer->part_bytes;
    plan_read(item, shard->worker->stores[DESTINATION], item->other, READ_THERE);
    transfer->hash_as_relayed = false;
    transfer->expected_digest = digest;
    transfer->expected_part_bytes = part_bytes;
    return true;
}

static bool again(void *context, pb_item *item, pb_arena *arena)
{
    copy_shard *shard = context;
    if (item->verdict == READ_HERE || item->verdict == READ_THERE)
        return compare_bytes(shard, item, arena);
    if (item->verdict == COPIED) {
        if (!pb_changed_source_look(item, shard->worker->stores[SOURCE]))
            return false;
        item->verdict = LOOKED_AT;
        return true;
    }
    if (item->transfer.error)
        return false;
    if (!pb_changed_source_found(item, arena)) {
        item->verdict = COPIED;
        return false;
    }
    if (may_be_later(shard->copy, item->entry))
        pb_seen_entries_add(shard->copy->seen, item->entry);
    plan(shard, item);
    return true;
}

static int emit(void *context, pb_item *item, pb_error *error)
{
    (void)error;
    copy_shard *shard = context;
    atomic_fetch_add_explicit(&shard->copy->job.counters.keys, 1, memory_order_relaxed);
    pb_job_passed(&shard->copy->job);
    if (item->verdict == READ_THERE) {
        pb_destination_keeps(&shard->copy->destination, item->other);
        shard->result.unchanged_objects++;
        return 0;
    }
    pb_destination_wrote(&shard->copy->destination, item->entry->key, item->entry->size,
                         known_etag(shard, item->entry), pb_slice_of(item->transfer.stored_etag));
    shard->result.changed_objects += item->looks > 0;
    shard->result.copied_objects++;
    shard->result.copied_bytes += item->entry->size;
    return 0;
}

static int failed(void *context, pb_item *item, pb_error *error)
{
    copy_shard *shard = context;
    if (item->verdict == LOOKED_AT && item->transfer.error->kind == PB_ERROR_NOT_FOUND) {
        shard->result.vanished_objects++;
        return 0;
    }
    shard->result.failed_objects++;
    return pb_job_failed(&shard->copy->job, "failed", item->entry->key, item->transfer.error,
                         error);
}

static void over(void *context, const pb_error *error)
{
    (void)error;
    copy_shard *shard = context;
    pb_copy_result *all = shard->copy->result;
    pthread_mutex_lock(&shard->copy->job.lock);
    all->objects += shard->result.objects;
    all->copied_objects += shard->result.copied_objects;
    all->copied_bytes += shard->result.copied_bytes;
    all->unchanged_objects += shard->result.unchanged_objects;
    all->extra_objects += shard->result.extra_objects;
    all->failed_objects += shard->result.failed_objects;
    all->vanished_objects += shard->result.vanished_objects;
    all->changed_objects += shard->result.changed_objects;
    pthread_mutex_unlock(&shard->copy->job.lock);
    free(shard);
}

static const pb_shard_work work = {
    .decide = decide,
    .again = again,
    .emit = emit,
    .failed = failed,
    .over = over,
};

static void open_shard(void *context, pb_worker *worker, pb_shard *shard)
{
    copy_job *copy = context;
    copy_shard *context_of = pb_allocate_zeroed(1, sizeof *context_of);
    context_of->copy = copy;
    context_of->worker = worker;
    const pb_range *range = pb_shard_range(shard);
    pb_slice after = pb_slice_of(range->after), through = pb_slice_of(range->through);
    pb_shard_set_work(shard, &work, context_of);
    if (pb_store_capabilities_of(worker->stores[SOURCE])->lists_from_anywhere &&
        pb_store_capabilities_of(worker->stores[DESTINATION])->lists_from_anywhere)
        pb_shard_allow_split(shard, 1, copy->prefix.size);
    for (unsigned i = 0; i < 2; i++)
        pb_shard_add_stream(shard, pb_listing_open(copy->listings[i], worker, after, through,
                                                   pb_shard_wake, shard));
}

static int restart(void *context, pb_error *error)
{
    copy_job *copy = context;
    (void)error;
    pb_destination_restart(&copy->destination, atomic_load(&copy->job.counters.objects),
                           atomic_load(&copy->job.counters.bytes));
    if (copy->destination.round == PB_ROUND_ALL) /* what later rounds count stays */
        *copy->result = (pb_copy_result){.server_side = copy->server_side};
    pb_job_add_range(&copy->job, (pb_range){0});
    return 0;
}

static int refuse_overlap(const pb_copy_options *options, const char *why, pb_error *error)
{
    pb_error_set(error, PB_ERROR_USAGE, "the source %s and the destination %s overlap%s",
                 options->source, options->destination, why);
    return pb_error_hint(error, "copy to another bucket or to a prefix outside of the source");
}

static int open_ends(pb_session *session, const pb_copy_options *options,
                     pb_store_config *configs[2], pb_store *stores[2], int64_t *ret_started_ms,
                     pb_error *error)
{
    if (pb_session_store(session, options->source, "source", NULL, &configs[SOURCE],
                         &stores[SOURCE], error) ||
        pb_session_store(session, options->destination, "destination", NULL, &configs[DESTINATION],
                         &stores[DESTINATION], error))
        return -1;
    if (pb_location_overlaps(pb_store_location(stores[SOURCE]),
                             pb_store_location(stores[DESTINATION])))
        return refuse_overlap(options, "", error);
    pb_store_request check = {
        .operation = PB_STORE_CHECK,
        .list.prefix = pb_slice_of(options->prefix),
    };
    if (pb_store_call(stores[SOURCE], &check, error))
        return -1;
    *ret_started_ms = check.store_now_ms;
    const pb_bucket_pair pair = {.written = stores[DESTINATION], .other = stores[SOURCE]};
    bool is_one = false;
    if (pb_session_check(session, stores[DESTINATION], NULL, true, error) ||
        pb_bucket_pair_is_one(session, &pair, &is_one, error))
        return -1;
    return is_one ? refuse_overlap(options, ": their endpoints lead to one bucket", error) : 0;
}

static void plan_ranges(void *context)
{
    copy_job *copy = context;
    pb_job_add_range(&copy->job, (pb_range){0});
}

static int run(copy_job *copy, pb_error *error)
{
    pb_copy_result *result = copy->result;
    copy->job.phase = copy->dry_run ? "comparing" : "copying";
    copy->job.open = open_shard;
    copy->job.restart = restart;
    copy->job.context = copy;
    for (unsigned i = 0; i < 2; i++)
        copy->listings[i] = pb_job_listing(&copy->job, i, copy->prefix);
    copy->destination.listing = copy->listings[DESTINATION];
    copy->seen = pb_seen_entries_new();
    int ended = pb_destination_run(&copy->destination, error);
    pb_seen_entries_free(copy->seen);
    result->failed_objects += copy->destination.refused_objects + copy->destination.lost_objects;
    if (ended || !result->failed_objects)
        return ended;
    const char *hint = pb_destination_hint(&copy->destination);
    return pb_job_fail(&copy->job, result->failed_objects, error,
                       hint ? hint : "run the same command again: it skips what is there",
                       "%llu of %llu objects could not be copied",
                       (unsigned long long)result->failed_objects,
                       (unsigned long long)result->objects);
}

int pb_copy(pb_session *session, const pb_copy_options *options, pb_copy_result *ret_result,
            pb_error *error)
{
    int64_t started_ms = pb_clock_monotonic_ms();
    *ret_result = (pb_copy_result){0};
    pb_store_config *configs[2] = {NULL, NULL};
    pb_store *stores[2] = {NULL, NULL};
    pb_session_phase(session, "opening");
    int64_t source_now_ms = 0;
    int ended = open_ends(session, options, configs, stores, &source_now_ms, error);
    if (!ended) {
        copy_job copy = {
            .destination = {.job = &copy.job,
                            .store = stores[DESTINATION],
                            .plan = plan_ranges,
                            .written_objects = &ret_result->copied_objects,
                            .written_bytes = &ret_result->copied_bytes,
                            .present_objects = &ret_result->unchanged_objects,
                            .failed_objects = &ret_result->failed_objects},
            .started_ms = source_now_ms,
            .prefix = pb_slice_of(options->prefix),
            .checksum = options->checksum,
            .dry_run = session->options.dry_run,
            .server_side = pb_store_copies_from(stores[DESTINATION], stores[SOURCE]) &&
                           pb_store_capabilities_of(stores[DESTINATION])->etag_is_md5,
            .result = ret_result,
        };
        ret_result->server_side = copy.server_side;
        pb_job_init(&copy.job, session);
        copy.job.stores[SOURCE] = configs[SOURCE];
        copy.job.stores[DESTINATION] = configs[DESTINATION];
        copy.job.store_count = 2;
        ended = run(&copy, error);
        if (pb_store_refuses_copy(configs[DESTINATION], PB_STORE_COPY))
            ret_result->server_side = false;
        pb_job_free(&copy.job);
    }
    for (unsigned i = 0; i < 2; i++) {
        pb_store_close(stores[i]);
        pb_store_config_free(configs[i]);
    }
    ret_result->elapsed_ms = pb_clock_monotonic_ms() - started_ms;
    return ended;
}
