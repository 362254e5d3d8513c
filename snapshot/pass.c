#include "snapshot/pass.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/key_form.h"
#include "snapshot/changed_source.h"
#include "snapshot/manifest_stream.h"
#include "snapshot/repository.h"
#include "snapshot/reuse.h"
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

/* KEPT: the base's record holds; TAKEN: a donor's does; FOUND: a donor stored the object, which the
 * transfer proves, if there is one; MOVED: it is copied, as often as it says; LOOKED_AT: it changed
 * meanwhile, and the source is asked what it is now. */
typedef enum verdict {
    KEPT,
    TAKEN,
    FOUND,
    FOUND_BY_BOTH,
    MOVED,
    MOVED_AGAIN,
    LOOKED_AT,
} verdict;

typedef struct pass_job {
    const pb_pass *pass;
    pb_session *session;
    pb_job job;
    pb_listing *source_listing, *stored_listings[PB_DONORS_MAX]; /* NULL: nothing to be found */
    bool dry_run;
    /* under job.lock: */
    pb_snapshot_file tally;
    pb_part *parts;
    size_t part_count, part_capacity;
    unsigned next_part;
    pb_range *voids; /* ranges that hold no object: split.h's guesses that failed */
    size_t void_count, void_capacity;
    uint64_t gone_objects, vanished_objects, changed_objects, failed_objects, resumed_objects;
} pass_job;

/* One range on one loop. */
typedef struct pass_shard {
    pass_job *owner;
    pb_worker *worker;
    pb_shard *shard;
    pb_reuse_ends ends;
    /* Numbers of the streams: the base's, and those of each donor's records and listing; 0: none.
     */
    unsigned base_stream, record_streams[PB_DONORS_MAX], stored_streams[PB_DONORS_MAX];
    pb_part_writer *writer;
    pb_snapshot_file tally; /* of the part being written */
    pb_buffer after;        /* where that part begins */
    pb_buffer last_key;     /* the last one added to it */
    pb_buffer scratch;
    int64_t part_started_ms;
    bool ended, broken; /* the last part was begun to be written; some object failed */
    uint64_t gone_objects, vanished_objects, changed_objects, resumed_objects;
    /* a finished part on its way: */
    bool storing;
    pb_part part;
    pb_snapshot_file part_tally;
    pb_buffer part_key, part_body;
    pb_store_request request;
    pb_error error;
} pass_shard;

/* ---- decide ---- */

static pb_slice id_of(const pass_job *self)
{
    return pb_slice_of(self->pass->run->intent.id);
}

/* Where the object goes. */
static pb_slice stored_key(pass_shard *shard, pb_slice key, pb_arena *arena)
{
    pb_store *repository = shard->worker->stores[REPOSITORY];
    pb_buffer_clear(&shard->scratch);
    pb_layout_data_key(&shard->scratch, id_of(shard->owner), key,
                       pb_store_capabilities_of(repository)->key_bytes_max);
    return pb_arena_copy(arena, pb_buffer_slice(&shard->scratch));
}

/* What any transfer of the item has. */
static void begin_plan(pass_shard *shard, pb_transfer_kind kind, pb_item *item)
{
    pb_transfer *transfer = &item->transfer;
    memset(transfer, 0, offsetof(pb_transfer, done));
    transfer->kind = shard->owner->dry_run ? PB_TRANSFER_NONE : kind;
    transfer->name = item->entry->key;
    transfer->size = item->entry->size;
    transfer->etag = item->entry->etag;
    transfer->digest_kind = shard->owner->pass->checksum;
}

static void plan_move(pass_shard *shard, pb_slice stored, pb_item *item)
{
    pb_transfer *transfer = &item->transfer;
    begin_plan(shard, shard->owner->pass->server_side ? PB_TRANSFER_COPY : PB_TRANSFER_RELAY, item);
    transfer->source = shard->worker->stores[SOURCE];
    transfer->source_key = item->entry->key;
    transfer->version = item->entry->version;
    transfer->destination = shard->worker->stores[REPOSITORY];
    transfer->destination_key = stored;
    transfer->must_match = item->entry->etag.size > 0;
    transfer->writes_once = shard->owner->pass->create_only;
}

/* Reads what a donor stored, to prove that it is the source's object; `etag` is that which the
 * bytes must have, empty where none tells. */
static void plan_read_stored(pass_shard *shard, pb_slice etag, pb_arena *arena, pb_item *item)
{
    pb_transfer *transfer = &item->transfer;
    const pb_donor *donor = item->detail;
    begin_plan(shard, PB_TRANSFER_READ, item);
    pb_buffer_clear(&shard->scratch);
    pb_layout_data_prefix(&shard->scratch, pb_slice_of(donor->id));
    pb_buffer_append_slice(&shard->scratch, item->entry->key);
    transfer->source = shard->worker->stores[REPOSITORY];
    transfer->source_key = pb_arena_copy(arena, pb_buffer_slice(&shard->scratch));
    transfer->expected_etag = etag;
    transfer->hash_as_relayed = true;
}

/* Reads the source itself. */
static void plan_read_source(pass_shard *shard, pb_slice etag, pb_item *item)
{
    pb_transfer *transfer = &item->transfer;
    begin_plan(shard, PB_TRANSFER_READ, item);
    transfer->source = shard->worker->stores[SOURCE];
    transfer->source_key = item->entry->key;
    transfer->must_match = item->entry->etag.size > 0;
    transfer->expected_etag = etag;
    transfer->hash_as_relayed = true;
}

static void plan(pass_shard *shard, const pb_reuse *reuse, const pb_entry *stored, pb_arena *arena,
                 pb_item *item)
{
    static pb_slice none = {NULL, 0};
    item->verdict = FOUND;
    switch (reuse->kind) {
    case PB_REUSE_KEEP:
        item->verdict = KEPT;
        return;
    case PB_REUSE_TAKE:
        item->verdict = TAKEN;
        return;
    case PB_REUSE_FOUND:
        return;
    case PB_REUSE_READ_STORED:
        plan_read_stored(shard, item->entry->etag, arena, item);
        return;
    case PB_REUSE_READ_SOURCE:
        plan_read_source(shard, stored->etag, item);
        return;
    case PB_REUSE_READ_BOTH:
        item->verdict = FOUND_BY_BOTH;
        plan_read_source(shard, none, item);
        return;
    case PB_REUSE_MOVE:
        break;
    }
    item->verdict = MOVED;
    plan_move(shard, stored_key(shard, item->entry->key, arena), item);
}

/* What verify found missing or damaged is not taken over: of donors' records those stay that are of
 * a copy of their own. */
static void leave_out_damaged(const pb_run *run, const pb_entry **records)
{
    for (unsigned i = 0; i < run->donor_count; i++) {
        const pb_record *record = records[i] ? records[i]->record : NULL;
        if (record && !pb_slice_equal(record->at, pb_slice_of(run->donors[i].id)))
            records[i] = NULL;
    }
}

static int decide(void *context, const pb_entry *const *heads, pb_arena *arena, pb_item *item,
                  pb_error *error)
{
    (void)error;
    pass_shard *shard = context;
    const pb_pass *pass = shard->owner->pass;
    const pb_entry *source = heads[0],
                   *base = shard->base_stream ? heads[shard->base_stream] : NULL;
    const pb_entry *records[PB_DONORS_MAX], *stored[PB_DONORS_MAX];
    if (!source) {
        shard->gone_objects += base != NULL;
        return 0;
    }
    if (pass->left_out.size && pb_slice_starts_with(source->key, pass->left_out))
        return 0;
    for (unsigned i = 0; i < pass->run->donor_count; i++) {
        records[i] = shard->record_streams[i] ? heads[shard->record_streams[i]] : NULL;
        stored[i] = shard->stored_streams[i] ? heads[shard->stored_streams[i]] : NULL;
        /* Older versions left such keys in data/, where they may mean another object. */
        if (stored[i] && pb_key_forms(source->key))
            stored[i] = NULL;
    }
    if (pb_findings_have(&pass->run->findings, source->key)) {
        base = NULL;
        leave_out_damaged(pass->run, records);
    }
    pb_reuse reuse =
        pb_reuse_choose(&shard->ends, source, base, records, stored, pass->run->donor_count);
    item->entry = source;
    if (reuse.kind == PB_REUSE_KEEP) {
        item->other = base;
    } else if (reuse.kind != PB_REUSE_MOVE) {
        item->other = reuse.kind == PB_REUSE_TAKE ? records[reuse.donor] : stored[reuse.donor];
        item->detail = &pass->run->donors[reuse.donor];
    }
    plan(shard, &reuse, item->other, arena, item);
    return 0;
}

static bool move_instead(pass_shard *shard, pb_item *item, pb_arena *arena)
{
    item->verdict = MOVED;
    item->other = NULL;
    item->detail = NULL;
    plan_move(shard, stored_key(shard, item->entry->key, arena), item);
    return true;
}

/* Under a key that no move of this object has written to. */
static bool move_elsewhere(pass_shard *shard, pb_item *item, pb_arena *arena)
{
    pb_buffer_clear(&shard->scratch);
    pb_layout_other_key(&shard->scratch, id_of(shard->owner), item->entry->key,
                        (item->verdict == MOVED_AGAIN) + 2 * item->looks);
    plan_move(shard, pb_arena_copy(arena, pb_buffer_slice(&shard->scratch)), item);
    return true;
}

/* The last move that a source in use has failed: it is asked what the object is now. */
static bool look_again(pass_shard *shard, pb_item *item)
{
    const pb_pass *pass = shard->owner->pass;
    if (pass->live || pass->strict || !pb_changed_source_look(item, shard->worker->stores[SOURCE]))
        return false;
    item->verdict = LOOKED_AT;
    return true;
}

static bool move_found(pass_shard *shard, pb_item *item, pb_arena *arena)
{
    item->verdict = MOVED;
    return pb_changed_source_found(item, arena) && move_elsewhere(shard, item, arena);
}

/* A transfer is over: what was found may have to be read twice, or be copied after all; a copy that
 * turned out wrong is taken once more, under another key, as none is written twice; and where the
 * source has changed, what it is now is copied. */
static bool again(void *context, pb_item *item, pb_arena *arena)
{
    pass_shard *shard = context;
    const pb_transfer *transfer = &item->transfer;
    const pb_error *error = transfer->error;
    /* The same object under another key, or its copy instead of a donor's, may do better. */
    if (error && pb_failure_finding_of(error->kind) == PB_FAILURE_UNREAD)
        return false;
    switch ((verdict)item->verdict) {
    case FOUND_BY_BOTH: {
        if (error)
            return move_instead(shard, item, arena);
        uint8_t *digest = pb_arena_allocate(arena, sizeof transfer->digest);
        memcpy(digest, transfer->digest, sizeof transfer->digest);
        uint64_t part_bytes = transfer->part_bytes;
        plan_read_stored(shard, (pb_slice){NULL, 0}, arena, item);
        item->transfer.hash_as_relayed = false;
        item->transfer.expected_digest = digest;
        item->transfer.expected_part_bytes = part_bytes;
        item->verdict = FOUND;
        return true;
    }
    case FOUND: {
        bool proven = !error && (transfer->expected_digest || transfer->proof & PB_MOVED_ETAG);
        return !proven && move_instead(shard, item, arena);
    }
    case MOVED: {
        bool wrong = error && (error->kind == PB_ERROR_DAMAGED ||
                               strcmp(error->code, PB_CODE_OCCUPIED) == 0);
        if (!wrong || !transfer->writes_once)
            return look_again(shard, item);
        item->verdict = MOVED_AGAIN;
        return move_elsewhere(shard, item, arena);
    }
    case MOVED_AGAIN:
        return look_again(shard, item);
    case LOOKED_AT:
        return !error && move_found(shard, item, arena);
    default:
        return false;
    }
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
    pb_layout_part(&shard->part_key, id_of(self), shard->part.name);
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

/* The record of an object that no record that could be taken over speaks of. */
static pb_record new_record(pass_shard *shard, const pb_item *item)
{
    const pb_transfer *transfer = &item->transfer;
    const pb_entry *source = item->entry;
    const pb_donor *donor = item->detail;
    pb_record record = {
        .key = source->key,
        .size = source->size,
        .mtime_ms = source->mtime_ms,
        .etag = source->etag,
        .at = donor ? pb_slice_of(donor->id) : id_of(shard->owner),
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
        record.proof = PB_PROOF_SIZE | PB_PROOF_ETAG; /* as reuse.h found */
    else if (transfer->kind == PB_TRANSFER_READ && !shard->ends.source_etag_is_md5)
        record.proof &= ~(unsigned)PB_PROOF_ETAG; /* it was compared with the stored object's */
    pb_slice stored_etag = donor ? item->other->etag : pb_slice_of(transfer->stored_etag);
    /* Those of a file, its inode and time, do not stay. */
    const pb_store_capabilities *repository =
        pb_store_capabilities_of(shard->worker->stores[REPOSITORY]);
    if (repository->etag_is_kept &&
        (!repository->etag_is_md5 || !pb_slice_equal(stored_etag, record.etag)))
        record.stored_etag = stored_etag;
    pb_buffer_clear(&shard->scratch);
    pb_layout_data_prefix(&shard->scratch, record.at);
    pb_buffer_append_slice(&shard->scratch, record.key);
    if (!donor && !pb_slice_equal(transfer->destination_key, pb_buffer_slice(&shard->scratch)))
        record.path = transfer->destination_key;
    return record;
}

static int emit(void *context, pb_item *item, pb_error *error)
{
    pass_shard *shard = context;
    pass_job *self = shard->owner;
    const pb_donor *donor = item->detail;
    bool has_record = item->verdict == KEPT || item->verdict == TAKEN;
    if (shard->error.kind) {
        *error = shard->error;
        return -1;
    }
    pb_job_passed(&self->job);
    if (shard->broken) {
        atomic_fetch_add_explicit(&self->job.counters.keys, 1, memory_order_relaxed);
        return 0; /* no part may say that it is whole */
    }
    if (!self->dry_run && part_is_full(shard)) {
        if (shard->storing)
            return 1;
        store_part(shard, pb_buffer_slice(&shard->last_key), false);
    }
    atomic_fetch_add_explicit(&self->job.counters.keys, 1, memory_order_relaxed);
    pb_record record =
        has_record ? *(const pb_record *)item->other->record : new_record(shard, item);
    const char *flaw = pb_record_flaw(&record);
    if (flaw)
        return pb_error_set(error, PB_ERROR_FAILED, "object '%.*s': %s",
                            PB_SLICE_FORMAT(record.key), flaw);
    shard->resumed_objects += donor && !donor->own;
    shard->changed_objects += item->looks > 0;
    pb_tally_record(&shard->tally, &record, item->verdict != KEPT);
    if (self->dry_run)
        return 0;
    if (!pb_part_writer_records(shard->writer))
        shard->part_started_ms = pb_clock_monotonic_ms();
    pb_part_writer_add(shard->writer, &record);
    pb_buffer_clear(&shard->last_key);
    pb_buffer_append_slice(&shard->last_key, record.key);
    return 0;
}

static int failed(void *context, pb_item *item, pb_error *error)
{
    pass_shard *shard = context;
    const pb_error *why = item->transfer.error;
    /* Deleted since it was listed; of a live cluster, or written anew: the next pass will see what
     * became of it, and fails where it is still so. */
    bool is_gone = item->verdict == LOOKED_AT && why->kind == PB_ERROR_NOT_FOUND;
    if (is_gone ||
        (shard->owner->pass->live && pb_failure_finding_of(why->kind) != PB_FAILURE_UNREAD)) {
        shard->vanished_objects++;
        return 0;
    }
    pthread_mutex_lock(&shard->owner->job.lock);
    shard->owner->failed_objects++;
    pthread_mutex_unlock(&shard->owner->job.lock);
    shard->broken = true;
    return pb_job_failed(&shard->owner->job, "failed", item->entry->key, why, error);
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
    if (shard->storing)
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

static bool is_busy(const void *context)
{
    return ((const pass_shard *)context)->storing;
}

static void over(void *context, const pb_error *error)
{
    (void)error;
    pass_shard *shard = context;
    pthread_mutex_lock(&shard->owner->job.lock);
    shard->owner->gone_objects += shard->gone_objects;
    shard->owner->vanished_objects += shard->vanished_objects;
    shard->owner->changed_objects += shard->changed_objects;
    shard->owner->resumed_objects += shard->resumed_objects;
    pthread_mutex_unlock(&shard->owner->job.lock);
    pb_part_writer_free(shard->writer);
    pb_buffer_free(&shard->after);
    pb_buffer_free(&shard->last_key);
    pb_buffer_free(&shard->scratch);
    pb_buffer_free(&shard->part_key);
    pb_buffer_free(&shard->part_body);
    free(shard);
}

static const pb_shard_work work = {
    .decide = decide,
    .again = again,
    .emit = emit,
    .failed = failed,
    .finish = finish,
    .is_busy = is_busy,
    .over = over,
};

static bool lists_from_anywhere(const pb_worker *worker, unsigned store)
{
    return pb_store_capabilities_of(worker->stores[store])->lists_from_anywhere;
}

static void add_manifest(pass_shard *self, const pb_snapshot_file *file)
{
    const pb_range *range = pb_shard_range(self->shard);
    pb_shard_add_stream(self->shard, pb_manifest_stream_open(
                                         self->worker->stores[REPOSITORY], &self->worker->loop,
                                         file, pb_slice_of(range->after),
                                         pb_slice_of(range->through), pb_shard_wake, self->shard));
}

static void add_listing(pass_shard *self, pb_listing *listing)
{
    const pb_range *range = pb_shard_range(self->shard);
    pb_shard_add_stream(self->shard,
                        pb_listing_open(listing, self->worker, pb_slice_of(range->after),
                                        pb_slice_of(range->through), pb_shard_wake, self->shard));
}

/* Donors' records, and what they stored that no record speaks of. Returns whether the shard may be
 * split as far as these streams go. */
static bool add_donors(pass_shard *self, unsigned streams)
{
    const pb_run *run = self->owner->pass->run;
    bool lists = false;
    for (unsigned i = 0; i < run->donor_count; i++) {
        if (run->donors[i].file.part_count) {
            self->record_streams[i] = streams++;
            add_manifest(self, &run->donors[i].file);
        }
        if (self->owner->stored_listings[i]) {
            lists = true;
            self->stored_streams[i] = streams++;
            add_listing(self, self->owner->stored_listings[i]);
        }
    }
    return !lists || lists_from_anywhere(self->worker, REPOSITORY);
}

static const pb_snapshot_file *base_of(const pb_pass *pass)
{
    return pass->run->survey.has_base ? &pass->run->survey.base : NULL;
}

static unsigned manifests_of(const pb_pass *pass)
{
    unsigned manifests = base_of(pass) != NULL;
    for (unsigned i = 0; i < pass->run->donor_count; i++)
        manifests += pass->run->donors[i].file.part_count > 0;
    return manifests;
}

static void open_shard(void *context, pb_worker *worker, pb_shard *shard)
{
    pass_job *owner = context;
    const pb_pass *pass = owner->pass;
    const pb_snapshot_file *base = base_of(pass);
    pass_shard *self = pb_allocate_zeroed(1, sizeof *self);
    const pb_range *range = pb_shard_range(shard);
    pb_slice after = pb_slice_of(range->after);
    self->owner = owner;
    self->worker = worker;
    self->shard = shard;
    self->writer = owner->dry_run ? NULL : pb_part_writer_new();
    self->ends = (pb_reuse_ends){
        .source_etag_is_md5 = pb_store_capabilities_of(worker->stores[SOURCE])->etag_is_md5,
        .repository_etag_is_md5 = pb_store_capabilities_of(worker->stores[REPOSITORY])->etag_is_md5,
        .server_side = pass->server_side,
    };
    pb_buffer_append_slice(&self->after, after);
    pb_shard_set_work(shard, &work, self);
    add_listing(self, owner->source_listing);
    unsigned streams = 1;
    if (base) {
        self->base_stream = streams++;
        add_manifest(self, base);
    }
    if (add_donors(self, streams) && lists_from_anywhere(worker, SOURCE))
        pb_shard_allow_split(shard, manifests_of(pass) ? PAGES_BEFORE_SPLIT_OF_PART : 1,
                             strlen(pass->run->intent.prefix));
}

/* ---- the whole ---- */

static bool on_tick(void *context)
{
    pass_job *self = context;
    return self->pass->tick && self->pass->tick(self->pass->context);
}

/* All keys, cut where the parts are of what is likely to know most of them. */
static void plan_ranges(pass_job *self)
{
    const pb_run *run = self->pass->run;
    const pb_snapshot_file *known = base_of(self->pass);
    pb_arena arena = {0};
    pb_slice *cuts = NULL;
    size_t count = 0;
    for (unsigned i = 0; i < run->donor_count; i++)
        if (!known || run->donors[i].file.part_count > known->part_count)
            known = &run->donors[i].file;
    if (known)
        pb_repository_cuts(known, known->objects / RANGES_MAX, &arena, &cuts, &count);
    pb_job_add_cuts(&self->job, &(pb_range){0}, cuts, count);
    pb_arena_free(&arena);
}

static pb_listing *list_stored(pass_job *self, const pb_donor *donor)
{
    return pb_job_data_listing(&self->job, REPOSITORY, pb_slice_of(donor->id),
                               pb_slice_of(self->pass->run->intent.prefix));
}

static void describe(pass_job *self, pb_snapshot_file *file);

/* The source lists in an order of its own. What was copied stays, and so do the records of it: they
 * are those of one donor more. */
static int restart(void *context, pb_error *error)
{
    pass_job *self = context;
    pb_run *run = self->pass->run;
    (void)error;
    if (!self->dry_run) {
        pb_snapshot_file file = {0};
        describe(self, &file);
        pb_run_add_donor(run, run->intent.id, &file, false);
        memmove(&self->stored_listings[1], &self->stored_listings[0],
                (PB_DONORS_MAX - 1) * sizeof self->stored_listings[0]);
        self->stored_listings[0] = list_stored(self, &run->donors[0]);
    }
    for (size_t i = 0; i < self->void_count; i++)
        pb_range_free(&self->voids[i]);
    self->parts = NULL;
    self->void_count = self->part_count = self->part_capacity = 0;
    self->tally = (pb_snapshot_file){0};
    self->gone_objects = self->vanished_objects = self->changed_objects = 0;
    self->failed_objects = self->resumed_objects = 0;
    plan_ranges(self);
    return 0;
}

/* Whether an earlier look at the source found that. */
static bool is_known_to_be_unordered(const pb_pass *pass)
{
    bool known = base_of(pass) && base_of(pass)->sorted_listing;
    for (unsigned i = 0; i < pass->run->donor_count; i++)
        known |= pass->run->donors[i].file.sorted_listing;
    return known;
}

/* A shard keeps a whole part of each manifest as it is stored: fewer at once. */
static unsigned shards_most(const pb_pass *pass)
{
    unsigned manifests = manifests_of(pass);
    return manifests ? PB_SHARDS_WITH_MANIFEST / (manifests < 4 ? manifests : 4) : 0;
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

static void describe(pass_job *self, pb_snapshot_file *file)
{
    const pb_intent *intent = &self->pass->run->intent;
    memcpy(file->id, intent->id, sizeof file->id);
    file->source = pb_duplicate(pb_slice_of(intent->source));
    file->prefix = pb_duplicate(pb_slice_of(intent->prefix));
    memcpy(file->base, intent->base, sizeof file->base);
    memcpy(file->base_sha256, intent->base_sha256, sizeof file->base_sha256);
    file->started_ms = intent->started_ms;
    file->program = pb_duplicate(pb_slice_of(intent->program));
    file->sorted_listing = pb_listing_is_sorted(self->source_listing);
    pb_tally_move(file, &self->tally);
    file->parts = self->parts;
    file->part_count = self->part_count;
    if (self->part_count)
        qsort(file->parts, file->part_count, sizeof *file->parts, pb_part_compare);
    cover_voids(self, file);
}

int pb_pass_run(const pb_pass *pass, pb_snapshot_file *ret_file, pb_pass_result *ret_result,
                pb_error *error)
{
    pass_job self = {
        .pass = pass,
        .session = pass->session,
        .dry_run = pass->session->options.dry_run,
        .next_part = 1,
    };
    pb_job *job = &self.job;
    pb_job_init(job, pass->session);
    job->stores[SOURCE] = pass->source;
    job->stores[REPOSITORY] = pass->repository->config;
    job->store_count = 2;
    job->sorted[SOURCE] = is_known_to_be_unordered(pass);
    job->sorted[REPOSITORY] = pass->repository->file.unordered_listing;
    self.source_listing = pb_job_listing(job, SOURCE, pb_slice_of(pass->run->intent.prefix));
    for (unsigned i = 0; i < pass->run->donor_count; i++)
        if (pass->run->donors[i].lists)
            self.stored_listings[i] = list_stored(&self, &pass->run->donors[i]);
    plan_ranges(&self);
    job->phase = pass->phase;
    job->keys_total = base_of(pass) ? base_of(pass)->objects : 0;
    job->shards_most = shards_most(pass);
    job->open = open_shard;
    job->tick = on_tick;
    job->restart = restart;
    job->context = &self;
    int ended = pb_job_run(job, error);
    *ret_result = (pb_pass_result){
        .gone_objects = self.gone_objects,
        .vanished_objects = self.vanished_objects,
        .changed_objects = self.changed_objects,
        .failed_objects = self.failed_objects,
        .resumed_objects = self.resumed_objects,
    };
    if (!ended && self.failed_objects)
        ended = pb_job_fail(job, self.failed_objects, error,
                            "what was copied stays: run the same command again to go on from there",
                            "nothing was committed: %llu of the objects could not be copied",
                            (unsigned long long)self.failed_objects);
    describe(&self, ret_file);
    pb_job_free(job);
    for (size_t i = 0; i < self.void_count; i++)
        pb_range_free(&self.voids[i]);
    free(self.voids);
    return ended;
}
