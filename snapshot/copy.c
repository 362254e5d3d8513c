#include "snapshot/copy.h"

#include "base/clock.h"
#include "copier/store/etag.h"
#include "snapshot/job.h"
#include <stdlib.h>

enum { SOURCE, DESTINATION };

typedef struct copy_job {
    pb_job job;
    pb_slice prefix;
    pb_hash_kind checksum;
    bool server_side, dry_run;
    pb_listing *listings[2];
    pb_copy_result *result;  /* under job.lock */
    uint64_t copied_objects; /* by a try before this one, and so unchanged now */
    uint64_t copied_bytes;
} copy_job;

typedef struct copy_shard {
    copy_job *copy;
    pb_worker *worker;
    pb_copy_result result; /* counters of this shard */
} copy_shard;

static bool unchanged(const copy_shard *shard, const pb_entry *source, const pb_entry *there)
{
    if (!there || there->size != source->size)
        return false;
    if (pb_slice_equal(source->etag, there->etag))
        return true;
    bool comparable = pb_store_capabilities_of(shard->worker->stores[SOURCE])->etag_is_md5 &&
                      pb_store_capabilities_of(shard->worker->stores[DESTINATION])->etag_is_md5 &&
                      pb_etag_parts(source->etag) == 0 && pb_etag_parts(there->etag) == 0;
    return !comparable && there->mtime_ms >= source->mtime_ms;
}

static int decide(void *context, const pb_entry *const *heads, pb_arena *arena, pb_item *item,
                  pb_error *error)
{
    (void)arena;
    (void)error;
    copy_shard *shard = context;
    const pb_entry *source = heads[0];
    if (!source) {
        shard->result.extra_objects++;
        return 0;
    }
    shard->result.objects++;
    if (unchanged(shard, source, heads[1])) {
        shard->result.unchanged_objects++;
        atomic_fetch_add_explicit(&shard->copy->job.counters.keys, 1, memory_order_relaxed);
        return 0;
    }
    item->entry = source;
    pb_transfer *transfer = &item->transfer;
    transfer->kind = shard->copy->dry_run       ? PB_TRANSFER_NONE
                     : shard->copy->server_side ? PB_TRANSFER_COPY
                                                : PB_TRANSFER_RELAY;
    transfer->source = shard->worker->stores[SOURCE];
    transfer->destination = shard->worker->stores[DESTINATION];
    transfer->source_key = transfer->destination_key = transfer->name = source->key;
    transfer->size = source->size;
    transfer->etag = source->etag;
    transfer->must_match = source->etag.size > 0;
    transfer->digest_kind = shard->copy->checksum;
    return 0;
}

static int emit(void *context, pb_item *item, pb_error *error)
{
    (void)error;
    copy_shard *shard = context;
    atomic_fetch_add_explicit(&shard->copy->job.counters.keys, 1, memory_order_relaxed);
    shard->result.copied_objects++;
    shard->result.copied_bytes += item->entry->size;
    return 0;
}

static int failed(void *context, pb_item *item, pb_error *error)
{
    (void)error;
    copy_shard *shard = context;
    shard->result.failed_objects++;
    pb_job_failed(&shard->copy->job, item->entry->key, item->transfer.error);
    return 0;
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
    pthread_mutex_unlock(&shard->copy->job.lock);
    free(shard);
}

static const pb_shard_work work = {decide, emit, failed, NULL, over};

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
    copy->copied_objects += atomic_load(&copy->job.counters.objects);
    copy->copied_bytes += atomic_load(&copy->job.counters.bytes);
    *copy->result = (pb_copy_result){.server_side = copy->server_side};
    pb_job_add_range(&copy->job, (pb_range){0});
    return 0;
}

/* What earlier tries copied is copied, though the last one found it there. */
static void count_all_tries(copy_job *copy)
{
    pb_copy_result *result = copy->result;
    uint64_t found_again = copy->copied_objects < result->unchanged_objects
                               ? copy->copied_objects
                               : result->unchanged_objects;
    result->unchanged_objects -= found_again;
    result->copied_objects += found_again;
    result->copied_bytes += copy->copied_bytes;
}

static int open_ends(pb_session *session, const pb_copy_options *options,
                     pb_store_config *configs[2], pb_store *stores[2], pb_error *error)
{
    if (pb_session_store(session, options->source, "source", NULL, &configs[SOURCE],
                         &stores[SOURCE], error) ||
        pb_session_store(session, options->destination, "destination", NULL, &configs[DESTINATION],
                         &stores[DESTINATION], error))
        return -1;
    if (pb_location_overlaps(pb_store_location(stores[SOURCE]),
                             pb_store_location(stores[DESTINATION]))) {
        pb_error_set(error, PB_ERROR_USAGE, "the source %s and the destination %s overlap",
                     options->source, options->destination);
        return pb_error_hint(error, "copy to another bucket or to a prefix outside of the source");
    }
    if (pb_session_check(session, stores[SOURCE], false, error))
        return -1;
    return pb_session_check(session, stores[DESTINATION], true, error);
}

int pb_copy(pb_session *session, const pb_copy_options *options, pb_copy_result *ret_result,
            pb_error *error)
{
    int64_t started_ms = pb_clock_monotonic_ms();
    *ret_result = (pb_copy_result){0};
    pb_store_config *configs[2] = {NULL, NULL};
    pb_store *stores[2] = {NULL, NULL};
    pb_session_phase(session, "opening");
    int ended = open_ends(session, options, configs, stores, error);
    if (!ended) {
        copy_job copy = {
            .prefix = pb_slice_of(options->prefix),
            .checksum = options->checksum,
            .dry_run = session->options.dry_run,
            .server_side = pb_store_copies_from(stores[DESTINATION], stores[SOURCE]) &&
                           pb_store_capabilities_of(stores[DESTINATION])->etag_is_md5,
            .result = ret_result,
        };
        ret_result->server_side = copy.server_side;
        pb_job_init(&copy.job, session);
        pb_job_add_range(&copy.job, (pb_range){0});
        copy.job.phase = copy.dry_run ? "comparing" : "copying";
        copy.job.open = open_shard;
        copy.job.restart = restart;
        copy.job.context = &copy;
        copy.job.stores[SOURCE] = configs[SOURCE];
        copy.job.stores[DESTINATION] = configs[DESTINATION];
        copy.job.store_count = 2;
        for (unsigned i = 0; i < 2; i++)
            copy.listings[i] = pb_job_listing(&copy.job, i, copy.prefix, 0);
        ended = pb_job_run(&copy.job, error);
        count_all_tries(&copy);
        if (!ended && ret_result->failed_objects) {
            pb_error_set(error, PB_ERROR_FAILED, "%llu of %llu objects could not be copied",
                         (unsigned long long)ret_result->failed_objects,
                         (unsigned long long)ret_result->objects);
            ended =
                pb_job_hint(&copy.job, error, "run the same command again: it skips what is there");
        }
        pb_job_free(&copy.job);
    }
    for (unsigned i = 0; i < 2; i++) {
        pb_store_close(stores[i]);
        pb_store_config_free(configs[i]);
    }
    ret_result->elapsed_ms = pb_clock_monotonic_ms() - started_ms;
    return ended;
}
