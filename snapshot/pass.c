#include "snapshot/pass.h"

#include "base/clock.h"
#include "base/codec.h"
#include "copier/store/etag.h"
#include "snapshot/manifest_stream.h"
#include "snapshot/repository.h"
#include "snapshot/tally.h"
#include <stdio.h>
#include <stdlib.h>

/* A part is the unit of resuming: it ends by count, by size, or by time where objects are large. */
enum { PART_RECORDS_MAX = 50 * 1000, PART_SIZE_MAX = 2 * 1024 * 1024, PART_MS_MAX = 30 * 1000 };
enum { VOIDS_MAX = 16 * 1024 }; /* beyond it they get parts of their own */
enum { RANGES_MAX = 256 };      /* that the base's parts are cut into */
/* A range that is split inside a part of the base has it read twice: only where the source has
 * grown far beyond that part. */
enum { PAGES_BEFORE_SPLIT_OF_PART = 64 };
enum { SOURCE, REPOSITORY }; /* numbers of the job's stores */

typedef enum verdict { UNCHANGED, MOVED, FOUND, STRAY } verdict;

typedef struct pass_job {
    const pb_pass *pass;
    pb_session *session;
    pb_job job;
    bool dry_run;
    /* under job.lock: */
    pb_snapshot_file tally;
    pb_part *parts;
    size_t part_count, part_capacity;
    unsigned next_part;
    pb_range *voids; /* ranges that hold no object: split.h's guesses that failed */
    size_t void_count, void_capacity;
    uint64_t gone_objects, replaced_objects, vanished_objects, failed_objects;
} pass_job;

/* One range on one loop. */
typedef struct pass_shard {
    pass_job *owner;
    pb_worker *worker;
    pb_shard *shard;
    int base_stream, found_stream; /* their numbers, -1 for none */
    pb_part_writer *writer;
    pb_snapshot_file tally; /* of the part being written */
    pb_buffer after;        /* where that part begins */
    pb_buffer last_key;     /* the last one added to it */
    pb_buffer scratch;
    int64_t part_started_ms;
    bool ended, broken; /* the last part was begun to be written; some object failed */
    uint64_t gone_objects, replaced_objects, vanished_objects;
    /* a finished part on its way: */
    bool storing;
    pb_part part;
    pb_snapshot_file part_tally;
    pb_buffer part_key, part_body;
    pb_store_request request;
    pb_error error;
    unsigned deletes; /* under way */
} pass_shard;

/* ---- decide ---- */

/* True where the listing of what is stored proves that it is the source's object. */
static bool etag_proves(const pass_shard *shard, const pb_entry *source, const pb_entry *found)
{
    return found->size == source->size && pb_slice_equal(found->etag, source->etag) &&
           pb_etag_parts(source->etag) >= 0 &&
           pb_store_capabilities_of(shard->worker->stores[SOURCE])->etag_is_md5 &&
           pb_store_capabilities_of(shard->worker->stores[REPOSITORY])->etag_is_md5;
}

static bool unchanged(const pb_entry *source, const pb_entry *base)
{
    return source->size == base->size && pb_slice_equal(source->etag, base->etag) &&
           (source->etag.size || source->mtime_ms == base->mtime_ms);
}

static pb_slice id_of(const pass_job *self)
{
    return pb_slice_of(self->pass->intent->id);
}

/* Where the object goes; *ret_long says that its record must name the place. */
static pb_slice stored_key(pass_shard *shard, pb_slice key, pb_arena *arena, bool *ret_long)
{
    pb_store *repository = shard->worker->stores[REPOSITORY];
    pb_buffer_clear(&shard->scratch);
    *ret_long = pb_layout_data_key(&shard->scratch, id_of(shard->owner), key,
                                   pb_store_capabilities_of(repository)->key_bytes_max);
    return pb_arena_copy(arena, pb_buffer_slice(&shard->scratch));
}

static void plan_transfer(pass_shard *shard, pb_transfer_kind kind, pb_arena *arena, pb_item *item)
{
    pb_transfer *transfer = &item->transfer;
    bool is_long;
    transfer->kind = shard->owner->dry_run ? PB_TRANSFER_NONE : kind;
    transfer->name = item->entry->key;
    transfer->size = item->entry->size;
    transfer->etag = item->entry->etag;
    transfer->digest_kind = shard->owner->pass->checksum;
    pb_slice stored = stored_key(shard, item->entry->key, arena, &is_long);
    if (kind == PB_TRANSFER_READ) {
        transfer->source = shard->worker->stores[REPOSITORY];
        transfer->source_key = stored;
        transfer->expected_etag = item->entry->etag;
        transfer->hash_as_relayed = true;
        return;
    }
    transfer->source = shard->worker->stores[SOURCE];
    transfer->source_key = item->entry->key;
    transfer->destination = shard->worker->stores[REPOSITORY];
    transfer->destination_key = stored;
    transfer->must_match = item->entry->etag.size > 0;
}

/* Is it the record of an object that was copied for this snapshot? */
static bool is_own(const pass_shard *shard, const pb_entry *entry)
{
    return pb_slice_equal(((const pb_record *)entry->record)->at, id_of(shard->owner));
}

static int decide(void *context, const pb_entry *const *heads, pb_arena *arena, pb_item *item,
                  pb_error *error)
{
    (void)error;
    pass_shard *shard = context;
    const pb_entry *source = heads[0];
    const pb_entry *base = shard->base_stream >= 0 ? heads[shard->base_stream] : NULL;
    const pb_entry *found = shard->found_stream >= 0 ? heads[shard->found_stream] : NULL;
    if (!source) {
        if (base)
            shard->gone_objects++;
        /* Copied by an earlier pass or a run that died, and gone since. */
        item->entry = base && is_own(shard, base) ? base : found;
        item->verdict = STRAY;
        return 0;
    }
    pb_slice left_out = shard->owner->pass->left_out;
    if (left_out.size && pb_slice_starts_with(source->key, left_out))
        return 0;
    item->entry = source;
    item->other = base;
    if (base && unchanged(source, base)) {
        item->verdict = UNCHANGED;
        return 0;
    }
    /* A multipart object is moved again: its listing does not say in what parts it is stored, which
     * its record should. */
    bool taken_up = found && etag_proves(shard, source, found) && pb_etag_parts(source->etag) == 0;
    if (taken_up) {
        item->verdict = FOUND;
        if (!shard->owner->pass->server_side)
            plan_transfer(shard, PB_TRANSFER_READ, arena, item); /* for its digest */
        return 0;
    }
    item->verdict = MOVED;
    plan_transfer(shard, shard->owner->pass->server_side ? PB_TRANSFER_COPY : PB_TRANSFER_RELAY,
                  arena, item);
    return 0;
}

/* ---- parts ---- */

static void on_part_stored(pb_store_request *request)
{
    pass_shard *shard = request->context;
    pass_job *self = shard->owner;
    shard->storing = false;
    if (request->error.kind) {
        shard->error = request->error;
        if (shard->error.kind == PB_ERROR_EXISTS)
            shard->error.kind = PB_ERROR_BUSY; /* somebody else writes to this snapshot */
        pb_error_context(&shard->error, "manifest part %s", shard->part.name);
        pb_part_free(&shard->part);
    } else {
        pthread_mutex_lock(&self->job.lock);
        if (self->part_count == self->part_capacity) {
            self->part_capacity = self->part_capacity ? self->part_capacity * 2 : 64;
            self->parts = pb_reallocate(self->parts, self->part_capacity * sizeof *self->parts);
        }
        self->parts[self->part_count++] = shard->part;
        pb_tally_move(&self->tally, &shard->part_tally);
        pthread_mutex_unlock(&self->job.lock);
        shard->part = (pb_part){0};
    }
    pb_buffer_clear(&shard->part_body);
    pb_shard_wake(shard->shard);
}

/* Ends the part at `through` and begins to store it. */
static void store_part(pass_shard *shard, pb_slice through, bool open_above)
{
    pass_job *self = shard->owner;
    pb_range range = pb_range_copy(pb_buffer_slice(&shard->after), through, open_above);
    pb_part_writer_finish(shard->writer, id_of(self), &range, &shard->part, &shard->part_body);
    pb_range_free(&range);
    pb_tally_move(&shard->part_tally, &shard->tally);
    pb_buffer_clear(&shard->after);
    pb_buffer_append_slice(&shard->after, through);
    pthread_mutex_lock(&self->job.lock);
    snprintf(shard->part.name, sizeof shard->part.name, "%06u.ndjson.zst", self->next_part++);
    pthread_mutex_unlock(&self->job.lock);
    pb_buffer_clear(&shard->part_key);
    pb_layout_part(&shard->part_key, id_of(self), self->pass->folder, shard->part.name);
    memset(&shard->request, 0, sizeof shard->request);
    shard->request.operation = PB_STORE_PUT;
    shard->request.key = pb_buffer_slice(&shard->part_key);
    shard->request.body = pb_buffer_slice(&shard->part_body);
    shard->request.body_sha256 = shard->part.stored_sha256;
    shard->request.create_only = true;
    shard->request.done = on_part_stored;
    shard->request.context = shard;
    shard->storing = true;
    pb_store_submit(shard->worker->stores[REPOSITORY], &shard->request);
}

static bool part_is_full(const pass_shard *shard)
{
    uint64_t records = pb_part_writer_records(shard->writer);
    return records >= PART_RECORDS_MAX || pb_part_writer_size(shard->writer) >= PART_SIZE_MAX ||
           (records && pb_clock_monotonic_ms() - shard->part_started_ms >= PART_MS_MAX);
}

/* ---- emit ---- */

typedef struct stray_deletion {
    pass_shard *shard;
    char *key;
    pb_slice slice;
    pb_store_request request;
} stray_deletion;

static void on_deleted(pb_store_request *request)
{
    stray_deletion *deletion = request->context;
    pass_shard *shard = deletion->shard;
    if (request->error.kind && !shard->error.kind) {
        shard->error = request->error;
        pb_error_context(&shard->error, "deleting %s", deletion->key);
    }
    free(deletion->key);
    free(deletion);
    shard->deletes--;
    pb_shard_wake(shard->shard);
}

static void delete_stray(pass_shard *shard, const pb_entry *entry)
{
    stray_deletion *stray = pb_allocate_zeroed(1, sizeof *stray);
    pb_buffer_clear(&shard->scratch);
    if (entry->record)
        pb_layout_record_key(&shard->scratch, entry->record);
    else
        pb_layout_data_key(&shard->scratch, id_of(shard->owner), entry->key, SIZE_MAX);
    stray->shard = shard;
    stray->key = pb_duplicate(pb_buffer_slice(&shard->scratch));
    stray->slice = pb_slice_of(stray->key);
    stray->request.operation = PB_STORE_DELETE;
    stray->request.keys = &stray->slice;
    stray->request.key_count = 1;
    stray->request.done = on_deleted;
    stray->request.context = stray;
    shard->deletes++;
    pb_store_submit(shard->worker->stores[REPOSITORY], &stray->request);
}

/* The record of an object that this snapshot is the first to hold. */
static pb_record new_record(pass_shard *shard, const pb_item *item)
{
    const pb_transfer *transfer = &item->transfer;
    const pb_entry *source = item->entry;
    pb_record record = {
        .key = source->key,
        .size = source->size,
        .mtime_ms = source->mtime_ms,
        .etag = source->etag,
        .at = id_of(shard->owner),
        .part_bytes = transfer->part_bytes,
        .proof = transfer->proof,
    };
    if (transfer->has_digest && transfer->digest_kind == PB_HASH_CRC32C) {
        record.has_crc32c = true;
        memcpy(record.crc32c, transfer->digest, sizeof record.crc32c);
    } else if (transfer->has_digest) {
        record.has_sha256 = true;
        memcpy(record.sha256, transfer->digest, sizeof record.sha256);
    }
    if (transfer->kind == PB_TRANSFER_NONE)
        record.proof = PB_PROOF_SIZE | PB_PROOF_ETAG; /* as etag_proves found */
    pb_slice stored_etag = pb_slice_of(transfer->stored_etag);
    /* Other ETags (a file's inode and time) say nothing of the bytes. */
    if (pb_store_capabilities_of(shard->worker->stores[REPOSITORY])->etag_is_md5 &&
        !pb_slice_equal(stored_etag, record.etag))
        record.stored_etag = stored_etag;
    pb_buffer_clear(&shard->scratch);
    if (pb_layout_data_key(
            &shard->scratch, record.at, record.key,
            pb_store_capabilities_of(shard->worker->stores[REPOSITORY])->key_bytes_max))
        record.path = pb_buffer_slice(&shard->scratch);
    return record;
}

static int emit(void *context, pb_item *item, pb_error *error)
{
    pass_shard *shard = context;
    pass_job *self = shard->owner;
    if (shard->error.kind) {
        *error = shard->error;
        return -1;
    }
    if (item->verdict == STRAY) {
        if (!self->dry_run)
            delete_stray(shard, item->entry);
        return 0;
    }
    atomic_fetch_add_explicit(&self->job.counters.keys, 1, memory_order_relaxed);
    if (shard->broken)
        return 0; /* no part may say that it is whole */
    if (!self->dry_run && part_is_full(shard)) {
        if (shard->storing)
            return 1;
        store_part(shard, pb_buffer_slice(&shard->last_key), false);
    }
    pb_record record = item->verdict == UNCHANGED ? *(const pb_record *)item->other->record
                                                  : new_record(shard, item);
    const char *flaw = pb_record_flaw(&record);
    if (flaw)
        return pb_error_set(error, PB_ERROR_FAILED, "object '%.*s': %s",
                            PB_SLICE_FORMAT(record.key), flaw);
    pb_tally_record(&shard->tally, &record, id_of(self));
    if (item->verdict != UNCHANGED && item->other && !is_own(shard, item->other))
        shard->replaced_objects++;
    if (self->dry_run)
        return 0;
    if (!pb_part_writer_records(shard->writer))
        shard->part_started_ms = pb_clock_monotonic_ms();
    pb_part_writer_add(shard->writer, &record);
    pb_buffer_clear(&shard->last_key);
    pb_buffer_append_slice(&shard->last_key, record.key);
    return 0;
}

/* Deleted or written anew since it was listed (DAMAGED: while it was read). The next pass will see
 * what became of it, and fails where it is still so. */
static bool has_vanished(const pb_error *why)
{
    if (why->kind == PB_ERROR_NOT_FOUND)
        return strcmp(why->code, "NoSuchBucket") != 0;
    return why->kind == PB_ERROR_EXISTS || why->kind == PB_ERROR_DAMAGED;
}

static int failed(void *context, pb_item *item, pb_error *error)
{
    (void)error;
    pass_shard *shard = context;
    const pb_error *why = item->transfer.error;
    if (shard->owner->pass->live && has_vanished(why)) {
        shard->vanished_objects++;
        return 0;
    }
    pb_job_failed(&shard->owner->job, item->entry->key, why);
    pthread_mutex_lock(&shard->owner->job.lock);
    shard->owner->failed_objects++;
    pthread_mutex_unlock(&shard->owner->job.lock);
    shard->broken = true;
    return 0;
}

/* A range without an object needs no part: the one before it covers it. False where too many are
 * kept in mind for that already. */
static bool note_void(pass_job *self, const pb_range *range)
{
    pthread_mutex_lock(&self->job.lock);
    if (self->void_count == VOIDS_MAX) {
        pthread_mutex_unlock(&self->job.lock);
        return false;
    }
    if (self->void_count == self->void_capacity) {
        self->void_capacity = self->void_capacity ? self->void_capacity * 2 : 64;
        self->voids = pb_reallocate(self->voids, self->void_capacity * sizeof *self->voids);
    }
    self->voids[self->void_count++] =
        pb_range_copy(pb_slice_of(range->after), pb_slice_of(range->through), !range->through);
    pthread_mutex_unlock(&self->job.lock);
    return true;
}

static int finish(void *context, pb_error *error)
{
    pass_shard *shard = context;
    if (shard->storing || shard->deletes)
        return 1;
    if (shard->error.kind) {
        *error = shard->error;
        return -1;
    }
    if (shard->broken || shard->ended)
        return 0;
    shard->ended = true;
    if (shard->owner->dry_run) {
        pthread_mutex_lock(&shard->owner->job.lock);
        pb_tally_move(&shard->owner->tally, &shard->tally);
        pthread_mutex_unlock(&shard->owner->job.lock);
        return 0;
    }
    const pb_range *range = pb_shard_range(shard->shard);
    if (range->after && !pb_part_writer_records(shard->writer) && note_void(shard->owner, range))
        return 0;
    store_part(shard, pb_slice_of(range->through), !range->through);
    return 1;
}

static void over(void *context, const pb_error *error)
{
    (void)error;
    pass_shard *shard = context;
    pthread_mutex_lock(&shard->owner->job.lock);
    shard->owner->gone_objects += shard->gone_objects;
    shard->owner->replaced_objects += shard->replaced_objects;
    shard->owner->vanished_objects += shard->vanished_objects;
    pthread_mutex_unlock(&shard->owner->job.lock);
    pb_part_writer_free(shard->writer);
    pb_buffer_free(&shard->after);
    pb_buffer_free(&shard->last_key);
    pb_buffer_free(&shard->scratch);
    pb_buffer_free(&shard->part_key);
    pb_buffer_free(&shard->part_body);
    free(shard);
}

static const pb_shard_work work = {decide, emit, failed, finish, over};

static void open_shard(void *context, pb_worker *worker, pb_shard *shard)
{
    pass_job *self = context;
    const pb_pass *pass = self->pass;
    pb_slice prefix = pb_slice_of(pass->intent->prefix);
    pass_shard *context_of = pb_allocate_zeroed(1, sizeof *context_of);
    const pb_range *range = pb_shard_range(shard);
    pb_slice after = pb_slice_of(range->after), through = pb_slice_of(range->through);
    context_of->owner = self;
    context_of->worker = worker;
    context_of->shard = shard;
    context_of->base_stream = context_of->found_stream = -1;
    context_of->writer = self->dry_run ? NULL : pb_part_writer_new();
    pb_buffer_append_slice(&context_of->after, after);
    pb_shard_set_work(shard, &work, context_of);
    if (pb_store_capabilities_of(worker->stores[SOURCE])->lists_from_anywhere &&
        (!pass->merges_found ||
         pb_store_capabilities_of(worker->stores[REPOSITORY])->lists_from_anywhere))
        pb_shard_allow_split(shard, pass->base ? PAGES_BEFORE_SPLIT_OF_PART : 1, prefix.size);
    int streams = 0;
    pb_shard_add_stream(shard, pb_listing_open(worker->stores[SOURCE], prefix, 0, after, through,
                                               pb_shard_wake, shard));
    streams++;
    if (pass->base) {
        context_of->base_stream = streams++;
        pb_shard_add_stream(shard, pb_manifest_stream_open(worker->stores[REPOSITORY],
                                                           &worker->loop, pass->base, after,
                                                           through, pb_shard_wake, shard));
    }
    if (pass->merges_found) {
        context_of->found_stream = streams++;
        pb_layout_data_prefix(&context_of->scratch, id_of(self));
        pb_shard_add_stream(shard, pb_listing_open(worker->stores[REPOSITORY],
                                                   pb_buffer_slice(&context_of->scratch),
                                                   context_of->scratch.size, after, through,
                                                   pb_shard_wake, shard));
    }
}

/* ---- the whole ---- */

static bool on_tick(void *context)
{
    pass_job *self = context;
    return self->pass->tick && self->pass->tick(self->pass->context);
}

/* The ranges that no part covers yet; cut where the base's parts are. */
static void plan_ranges(pass_job *self, const pb_pass_parts *found)
{
    const pb_snapshot_file *base = self->pass->base;
    pb_arena arena = {0};
    pb_slice *cuts = NULL;
    size_t count = 0;
    if (base)
        pb_repository_cuts(base, base->objects / RANGES_MAX, &arena, &cuts, &count);
    const char *from = NULL;
    bool covered = false;
    for (size_t i = 0; i < found->count && !covered; i++) {
        const pb_range *part = &found->items[i].range;
        if (pb_slice_compare(pb_slice_of(from), pb_slice_of(part->after)) < 0)
            pb_job_add_cuts(&self->job, &(pb_range){(char *)from, part->after}, cuts, count);
        from = part->through;
        covered = !from;
    }
    if (!covered)
        pb_job_add_cuts(&self->job, &(pb_range){(char *)from, NULL}, cuts, count);
    pb_arena_free(&arena);
}

static int compare_ranges(const void *a, const void *b)
{
    const pb_range *left = a, *right = b;
    return pb_slice_compare(pb_slice_of(left->after), pb_slice_of(right->after));
}

/* Each range without an object is added to the part (or such a range) that ends where it begins.
 * The parts are in order; one that does not fit is left, and the commit finds the gap. */
static void cover_voids(pass_job *self, pb_snapshot_file *file)
{
    if (!self->void_count)
        return;
    qsort(self->voids, self->void_count, sizeof *self->voids, compare_ranges);
    size_t next = 0;
    for (size_t i = 0; i < file->part_count; i++) {
        pb_range *part = &file->parts[i].range;
        for (; next < self->void_count && part->through; next++) {
            pb_range *range = &self->voids[next];
            int order = pb_slice_compare(pb_slice_of(range->after), pb_slice_of(part->through));
            if (order > 0)
                break;
            if (order < 0)
                continue;
            free(part->through);
            part->through = range->through;
            range->through = NULL;
        }
    }
}

static void describe(pass_job *self, pb_pass_parts *found, pb_snapshot_file *file)
{
    const pb_intent *intent = self->pass->intent;
    memcpy(file->id, intent->id, sizeof file->id);
    file->source = pb_duplicate(pb_slice_of(intent->source));
    file->prefix = pb_duplicate(pb_slice_of(intent->prefix));
    memcpy(file->base, intent->base, sizeof file->base);
    memcpy(file->base_sha256, intent->base_sha256, sizeof file->base_sha256);
    file->started_ms = intent->started_ms;
    file->program = pb_duplicate(pb_slice_of(intent->program));
    file->folder = self->pass->folder;
    pb_tally_move(file, &self->tally);
    pb_tally_move(file, &found->tally);
    /* Parts of the run before and of this one. */
    size_t count = found->count + self->part_count;
    file->parts = pb_allocate_zeroed(count + 1, sizeof *file->parts);
    if (found->count)
        memcpy(file->parts, found->items, found->count * sizeof *file->parts);
    if (self->part_count)
        memcpy(file->parts + found->count, self->parts, self->part_count * sizeof *file->parts);
    file->part_count = count;
    found->count = self->part_count = 0;
    qsort(file->parts, count, sizeof *file->parts, pb_part_compare);
    cover_voids(self, file);
}

int pb_pass_run(const pb_pass *pass, pb_pass_parts *found, pb_snapshot_file *ret_file,
                pb_pass_result *ret_result, pb_error *error)
{
    pass_job self = {
        .pass = pass,
        .session = pass->session,
        .dry_run = pass->session->options.dry_run,
        .next_part = found->next ? found->next : 1,
    };
    pb_job *job = &self.job;
    pb_job_init(job, pass->session);
    job->stores[SOURCE] = pass->source;
    job->stores[REPOSITORY] = pass->repository;
    job->store_count = 2;
    plan_ranges(&self, found);
    job->phase = pass->phase;
    job->keys_total = pass->base ? pass->base->objects : 0;
    job->shards_most = pass->base ? PB_SHARDS_WITH_MANIFEST : 0;
    job->open = open_shard;
    job->tick = on_tick;
    job->context = &self;
    int ended = pb_job_run(job, error);
    *ret_result = (pb_pass_result){
        .gone_objects = self.gone_objects,
        .replaced_objects = self.replaced_objects,
        .vanished_objects = self.vanished_objects,
        .failed_objects = self.failed_objects,
    };
    if (!ended && self.failed_objects) {
        pb_error_set(error, PB_ERROR_FAILED,
                     "%llu objects could not be copied: nothing was committed",
                     (unsigned long long)self.failed_objects);
        ended = pb_job_hint(
            job, error, "what was copied stays: run the same command again to go on from there");
    }
    describe(&self, found, ret_file);
    pb_job_free(job);
    free(self.parts);
    for (size_t i = 0; i < self.void_count; i++)
        pb_range_free(&self.voids[i]);
    free(self.voids);
    return ended;
}

void pb_pass_parts_free(pb_pass_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++)
        pb_part_free(&parts->items[i]);
    free(parts->items);
    *parts = (pb_pass_parts){0};
}
