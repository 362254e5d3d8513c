#include "snapshot/backup.h"

#include "base/clock.h"
#include "base/codec.h"
#include "copier/store/etag.h"
#include "snapshot/manifest_stream.h"
#include "snapshot/run.h"
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

typedef struct backup_job {
    pb_session *session;
    pb_job job;
    pb_run run;
    pb_slice prefix;
    pb_hash_kind checksum;
    bool server_side, dry_run;
    /* under job.lock: */
    pb_snapshot_file tally;
    pb_part *parts;
    size_t part_count, part_capacity;
    unsigned next_part;
    pb_range *voids; /* ranges that hold no object: split.h's guesses that failed */
    size_t void_count, void_capacity;
    uint64_t gone_objects, failed_objects;
} backup_job;

/* One range on one loop. */
typedef struct backup_shard {
    backup_job *backup;
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
    uint64_t gone_objects;
    /* a finished part on its way: */
    bool storing;
    pb_part part;
    pb_snapshot_file part_tally;
    pb_buffer part_key, part_body;
    pb_store_request request;
    pb_error error;
    unsigned deletes; /* under way */
} backup_shard;

/* ---- decide ---- */

/* True where the listing of what is stored proves that it is the source's object. */
static bool etag_proves(const backup_shard *shard, const pb_entry *source, const pb_entry *found)
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

static pb_slice id_of(const backup_job *backup)
{
    return pb_slice_of(backup->run.intent.id);
}

/* Where the object goes; *ret_long says that its record must name the place. */
static pb_slice stored_key(backup_shard *shard, pb_slice key, pb_arena *arena, bool *ret_long)
{
    pb_store *repository = shard->worker->stores[REPOSITORY];
    pb_buffer_clear(&shard->scratch);
    *ret_long = pb_layout_data_key(&shard->scratch, id_of(shard->backup), key,
                                   pb_store_capabilities_of(repository)->key_bytes_max);
    return pb_arena_copy(arena, pb_buffer_slice(&shard->scratch));
}

static void plan_transfer(backup_shard *shard, pb_transfer_kind kind, pb_arena *arena,
                          pb_item *item)
{
    pb_transfer *transfer = &item->transfer;
    bool is_long;
    transfer->kind = shard->backup->dry_run ? PB_TRANSFER_NONE : kind;
    transfer->name = item->entry->key;
    transfer->size = item->entry->size;
    transfer->etag = item->entry->etag;
    transfer->digest_kind = shard->backup->checksum;
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

static int decide(void *context, const pb_entry *const *heads, pb_arena *arena, pb_item *item,
                  pb_error *error)
{
    (void)error;
    backup_shard *shard = context;
    const pb_entry *source = heads[0];
    const pb_entry *base = shard->base_stream >= 0 ? heads[shard->base_stream] : NULL;
    const pb_entry *found = shard->found_stream >= 0 ? heads[shard->found_stream] : NULL;
    if (!source) {
        if (base)
            shard->gone_objects++;
        /* Copied by the run that died, and gone from the source since. */
        item->entry = found;
        item->verdict = STRAY;
        return 0;
    }
    item->entry = source;
    if (base && unchanged(source, base)) {
        item->other = base;
        item->verdict = UNCHANGED;
        return 0;
    }
    /* A multipart object is moved again: its listing does not say in what parts it is stored, which
     * its record should. */
    bool taken_up = found && etag_proves(shard, source, found) && pb_etag_parts(source->etag) == 0;
    if (taken_up) {
        item->verdict = FOUND;
        if (!shard->backup->server_side)
            plan_transfer(shard, PB_TRANSFER_READ, arena, item); /* for its digest */
        return 0;
    }
    item->verdict = MOVED;
    plan_transfer(shard, shard->backup->server_side ? PB_TRANSFER_COPY : PB_TRANSFER_RELAY, arena,
                  item);
    return 0;
}

/* ---- parts ---- */

static void on_part_stored(pb_store_request *request)
{
    backup_shard *shard = request->context;
    backup_job *backup = shard->backup;
    shard->storing = false;
    if (request->error.kind) {
        shard->error = request->error;
        if (shard->error.kind == PB_ERROR_EXISTS)
            shard->error.kind = PB_ERROR_BUSY; /* somebody else writes to this snapshot */
        pb_error_context(&shard->error, "manifest part %s", shard->part.name);
        pb_part_free(&shard->part);
    } else {
        pthread_mutex_lock(&backup->job.lock);
        if (backup->part_count == backup->part_capacity) {
            backup->part_capacity = backup->part_capacity ? backup->part_capacity * 2 : 64;
            backup->parts =
                pb_reallocate(backup->parts, backup->part_capacity * sizeof *backup->parts);
        }
        backup->parts[backup->part_count++] = shard->part;
        pb_tally_move(&backup->tally, &shard->part_tally);
        pthread_mutex_unlock(&backup->job.lock);
        shard->part = (pb_part){0};
    }
    pb_buffer_clear(&shard->part_body);
    pb_shard_wake(shard->shard);
}

/* Ends the part at `through` and begins to store it. */
static void store_part(backup_shard *shard, pb_slice through, bool open_above)
{
    backup_job *backup = shard->backup;
    pb_range range = pb_range_copy(pb_buffer_slice(&shard->after), through, open_above);
    pb_part_writer_finish(shard->writer, id_of(backup), &range, &shard->part, &shard->part_body);
    pb_range_free(&range);
    pb_tally_move(&shard->part_tally, &shard->tally);
    pb_buffer_clear(&shard->after);
    pb_buffer_append_slice(&shard->after, through);
    pthread_mutex_lock(&backup->job.lock);
    snprintf(shard->part.name, sizeof shard->part.name, "%06u.ndjson.zst", backup->next_part++);
    pthread_mutex_unlock(&backup->job.lock);
    pb_buffer_clear(&shard->part_key);
    pb_layout_part(&shard->part_key, id_of(backup), shard->part.name);
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

static bool part_is_full(const backup_shard *shard)
{
    uint64_t records = pb_part_writer_records(shard->writer);
    return records >= PART_RECORDS_MAX || pb_part_writer_size(shard->writer) >= PART_SIZE_MAX ||
           (records && pb_clock_monotonic_ms() - shard->part_started_ms >= PART_MS_MAX);
}

/* ---- emit ---- */

typedef struct stray_deletion {
    backup_shard *shard;
    char *key;
    pb_slice slice;
    pb_store_request request;
} stray_deletion;

static void on_deleted(pb_store_request *request)
{
    stray_deletion *deletion = request->context;
    backup_shard *shard = deletion->shard;
    if (request->error.kind && !shard->error.kind) {
        shard->error = request->error;
        pb_error_context(&shard->error, "deleting %s", deletion->key);
    }
    free(deletion->key);
    free(deletion);
    shard->deletes--;
    pb_shard_wake(shard->shard);
}

static void delete_stray(backup_shard *shard, pb_slice key)
{
    stray_deletion *stray = pb_allocate_zeroed(1, sizeof *stray);
    pb_buffer_clear(&shard->scratch);
    pb_layout_data_key(&shard->scratch, id_of(shard->backup), key, SIZE_MAX);
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
static pb_record new_record(backup_shard *shard, const pb_item *item)
{
    const pb_transfer *transfer = &item->transfer;
    const pb_entry *source = item->entry;
    pb_record record = {
        .key = source->key,
        .size = source->size,
        .mtime_ms = source->mtime_ms,
        .etag = source->etag,
        .at = id_of(shard->backup),
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
    backup_shard *shard = context;
    backup_job *backup = shard->backup;
    if (shard->error.kind) {
        *error = shard->error;
        return -1;
    }
    if (item->verdict == STRAY) {
        if (!backup->dry_run)
            delete_stray(shard, item->entry->key);
        return 0;
    }
    atomic_fetch_add_explicit(&backup->job.counters.keys, 1, memory_order_relaxed);
    if (shard->broken)
        return 0; /* no part may say that it is whole */
    if (!backup->dry_run && part_is_full(shard)) {
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
    pb_tally_record(&shard->tally, &record, id_of(backup));
    if (backup->dry_run)
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
    (void)error;
    backup_shard *shard = context;
    pb_job_failed(&shard->backup->job, item->entry->key, item->transfer.error);
    pthread_mutex_lock(&shard->backup->job.lock);
    shard->backup->failed_objects++;
    pthread_mutex_unlock(&shard->backup->job.lock);
    shard->broken = true;
    return 0;
}

/* A range without an object needs no part: the one before it covers it. False where too many are
 * kept in mind for that already. */
static bool note_void(backup_job *backup, const pb_range *range)
{
    pthread_mutex_lock(&backup->job.lock);
    if (backup->void_count == VOIDS_MAX) {
        pthread_mutex_unlock(&backup->job.lock);
        return false;
    }
    if (backup->void_count == backup->void_capacity) {
        backup->void_capacity = backup->void_capacity ? backup->void_capacity * 2 : 64;
        backup->voids = pb_reallocate(backup->voids, backup->void_capacity * sizeof *backup->voids);
    }
    backup->voids[backup->void_count++] =
        pb_range_copy(pb_slice_of(range->after), pb_slice_of(range->through), !range->through);
    pthread_mutex_unlock(&backup->job.lock);
    return true;
}

static int finish(void *context, pb_error *error)
{
    backup_shard *shard = context;
    if (shard->storing || shard->deletes)
        return 1;
    if (shard->error.kind) {
        *error = shard->error;
        return -1;
    }
    if (shard->broken || shard->ended)
        return 0;
    shard->ended = true;
    if (shard->backup->dry_run) {
        pthread_mutex_lock(&shard->backup->job.lock);
        pb_tally_move(&shard->backup->tally, &shard->tally);
        pthread_mutex_unlock(&shard->backup->job.lock);
        return 0;
    }
    const pb_range *range = pb_shard_range(shard->shard);
    if (range->after && !pb_part_writer_records(shard->writer) && note_void(shard->backup, range))
        return 0;
    store_part(shard, pb_slice_of(range->through), !range->through);
    return 1;
}

static void over(void *context, const pb_error *error)
{
    (void)error;
    backup_shard *shard = context;
    pthread_mutex_lock(&shard->backup->job.lock);
    shard->backup->gone_objects += shard->gone_objects;
    pthread_mutex_unlock(&shard->backup->job.lock);
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
    backup_job *backup = context;
    backup_shard *context_of = pb_allocate_zeroed(1, sizeof *context_of);
    const pb_range *range = pb_shard_range(shard);
    pb_slice after = pb_slice_of(range->after), through = pb_slice_of(range->through);
    context_of->backup = backup;
    context_of->worker = worker;
    context_of->shard = shard;
    context_of->base_stream = context_of->found_stream = -1;
    context_of->writer = backup->dry_run ? NULL : pb_part_writer_new();
    pb_buffer_append_slice(&context_of->after, after);
    pb_shard_set_work(shard, &work, context_of);
    if (pb_store_capabilities_of(worker->stores[SOURCE])->lists_from_anywhere &&
        (!backup->run.resumed ||
         pb_store_capabilities_of(worker->stores[REPOSITORY])->lists_from_anywhere))
        pb_shard_allow_split(shard, backup->run.has_base ? PAGES_BEFORE_SPLIT_OF_PART : 1,
                             backup->prefix.size);
    int streams = 0;
    pb_shard_add_stream(shard, pb_listing_open(worker->stores[SOURCE], backup->prefix, 0, after,
                                               through, pb_shard_wake, shard));
    streams++;
    if (backup->run.has_base) {
        context_of->base_stream = streams++;
        pb_shard_add_stream(shard, pb_manifest_stream_open(worker->stores[REPOSITORY],
                                                           &worker->loop, &backup->run.base, after,
                                                           through, pb_shard_wake, shard));
    }
    if (backup->run.resumed) {
        context_of->found_stream = streams++;
        pb_layout_data_prefix(&context_of->scratch, id_of(backup));
        pb_shard_add_stream(shard, pb_listing_open(worker->stores[REPOSITORY],
                                                   pb_buffer_slice(&context_of->scratch),
                                                   context_of->scratch.size, after, through,
                                                   pb_shard_wake, shard));
    }
}

/* ---- the whole ---- */

static void on_tick(void *context)
{
    backup_job *backup = context;
    if (!backup->dry_run)
        pb_run_heartbeat(&backup->run);
}

/* The ranges that no part covers yet; cut where the base's parts are. */
static void plan_ranges(backup_job *backup)
{
    const pb_run *run = &backup->run;
    pb_arena arena = {0};
    pb_slice *cuts = NULL;
    size_t count = 0;
    if (run->has_base)
        pb_repository_cuts(&run->base, run->base.objects / RANGES_MAX, &arena, &cuts, &count);
    const char *from = NULL;
    bool covered = false;
    for (size_t i = 0; i < run->part_count && !covered; i++) {
        const pb_range *part = &run->parts[i].range;
        if (pb_slice_compare(pb_slice_of(from), pb_slice_of(part->after)) < 0)
            pb_job_add_cuts(&backup->job, &(pb_range){(char *)from, part->after}, cuts, count);
        from = part->through;
        covered = !from;
    }
    if (!covered)
        pb_job_add_cuts(&backup->job, &(pb_range){(char *)from, NULL}, cuts, count);
    pb_arena_free(&arena);
}

static int compare_ranges(const void *a, const void *b)
{
    const pb_range *left = a, *right = b;
    return pb_slice_compare(pb_slice_of(left->after), pb_slice_of(right->after));
}

/* Each range without an object is added to the part (or such a range) that ends where it begins.
 * The parts are in order; one that does not fit is left, and the commit finds the gap. */
static void cover_voids(backup_job *backup, pb_snapshot_file *file)
{
    if (!backup->void_count)
        return;
    qsort(backup->voids, backup->void_count, sizeof *backup->voids, compare_ranges);
    size_t next = 0;
    for (size_t i = 0; i < file->part_count; i++) {
        pb_range *part = &file->parts[i].range;
        for (; next < backup->void_count && part->through; next++) {
            pb_range *range = &backup->voids[next];
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

static void describe(backup_job *backup, pb_snapshot_file *file)
{
    const pb_intent *intent = &backup->run.intent;
    memcpy(file->id, intent->id, sizeof file->id);
    file->source = pb_duplicate(pb_slice_of(intent->source));
    file->prefix = pb_duplicate(pb_slice_of(intent->prefix));
    memcpy(file->base, intent->base, sizeof file->base);
    memcpy(file->base_sha256, intent->base_sha256, sizeof file->base_sha256);
    file->started_ms = intent->started_ms;
    file->program = pb_duplicate(pb_slice_of(intent->program));
    pb_tally_move(file, &backup->tally);
    pb_tally_move(file, &backup->run.tally);
    /* Parts of the run before and of this one. */
    size_t count = backup->run.part_count + backup->part_count;
    file->parts = pb_allocate_zeroed(count + 1, sizeof *file->parts);
    if (backup->run.part_count)
        memcpy(file->parts, backup->run.parts, backup->run.part_count * sizeof *file->parts);
    if (backup->part_count)
        memcpy(file->parts + backup->run.part_count, backup->parts,
               backup->part_count * sizeof *file->parts);
    file->part_count = count;
    backup->run.part_count = backup->part_count = 0;
    qsort(file->parts, count, sizeof *file->parts, pb_part_compare);
    cover_voids(backup, file);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const pb_part *const *)a)->name, (*(const pb_part *const *)b)->name);
}

/* Are all parts in the repository that are about to be promised, each of its size? */
static int check_parts(pb_repository *repository, const pb_snapshot_file *file, pb_error *error)
{
    const pb_part **parts = pb_allocate((file->part_count + 1) * sizeof *parts);
    for (size_t i = 0; i < file->part_count; i++)
        parts[i] = &file->parts[i];
    qsort(parts, file->part_count, sizeof *parts, compare_names);
    pb_buffer prefix = {0}, after = {0};
    pb_layout_snapshot_file(&prefix, pb_slice_of(file->id), "manifest/");
    size_t found = 0;
    bool more = true;
    int failed = 0;
    while (more && !failed) {
        pb_store_request request = {.operation = PB_STORE_LIST};
        request.list.prefix = pb_buffer_slice(&prefix);
        request.list.after = pb_buffer_slice(&after);
        failed = pb_store_call(repository->store, &request, error);
        if (failed)
            break;
        for (size_t i = 0; i < request.page->count && found < file->part_count; i++) {
            const pb_entry *entry = &request.page->entries[i];
            pb_slice name = {entry->key.data + prefix.size, entry->key.size - prefix.size};
            /* Others may be left of a run that died while it stored one. */
            if (pb_slice_equal(name, pb_slice_of(parts[found]->name)) &&
                entry->size == parts[found]->stored_bytes)
                found++;
        }
        more = request.page->more && request.page->count;
        pb_buffer_clear(&after);
        if (request.page->count)
            pb_buffer_append_slice(&after, request.page->entries[request.page->count - 1].key);
        pb_page_release(request.page);
    }
    if (!failed && found < file->part_count)
        failed = pb_error_set(error, PB_ERROR_DAMAGED,
                              "the repository lost manifest part %s, which it had taken",
                              parts[found]->name);
    pb_buffer_free(&prefix);
    pb_buffer_free(&after);
    free(parts);
    return failed;
}

static int commit(backup_job *backup, const pb_snapshot_file *file, pb_error *error)
{
    pb_repository *repository = backup->run.repository;
    pb_buffer text = {0}, key = {0};
    pb_snapshot_file read = {0};
    pb_session_phase(backup->session, "committing");
    pb_snapshot_file_append(&text, file);
    pb_layout_snapshot_file(&key, pb_slice_of(file->id), "snapshot.json");
    /* What is about to be promised is read back first: parts without gap, sums that agree. */
    int failed = pb_snapshot_file_parse(pb_buffer_slice(&text), &read, error);
    pb_snapshot_file_free(&read);
    if (failed)
        pb_error_context(error, "not committed, this is a bug of pbcopy");
    if (!failed)
        failed = check_parts(repository, file, error);
    if (!failed && !repository->file.create_only) {
        pb_store_request look = {.operation = PB_STORE_HEAD, .key = pb_buffer_slice(&key)};
        pb_error absent = {0};
        if (!pb_store_call(repository->store, &look, &absent))
            failed = pb_error_set(error, PB_ERROR_EXISTS, "it is committed already");
        else if (absent.kind != PB_ERROR_NOT_FOUND) {
            *error = absent;
            failed = -1;
        }
    }
    if (!failed)
        failed = pb_store_write(repository->store, pb_buffer_slice(&key), pb_buffer_slice(&text),
                                true, error);
    if (failed && error->kind == PB_ERROR_EXISTS)
        error->kind = PB_ERROR_BUSY; /* another run of this source took it over */
    if (failed)
        pb_error_context(error, "committing snapshot %s", file->id);
    pb_buffer_free(&text);
    pb_buffer_free(&key);
    return failed;
}

static int run_job(backup_job *backup, pb_backup_result *result, pb_error *error)
{
    pb_job *job = &backup->job;
    plan_ranges(backup);
    job->phase = backup->dry_run ? "comparing" : "copying";
    job->keys_total = backup->run.has_base ? backup->run.base.objects : 0;
    job->shards_most = backup->run.has_base ? PB_SHARDS_WITH_MANIFEST : 0;
    job->open = open_shard;
    job->tick = on_tick;
    job->context = backup;
    int ended = pb_job_run(job, error);
    result->gone_objects = backup->gone_objects;
    result->failed_objects = backup->failed_objects;
    if (!ended && backup->failed_objects) {
        pb_error_set(error, PB_ERROR_FAILED,
                     "%llu objects could not be copied: nothing was committed",
                     (unsigned long long)backup->failed_objects);
        ended = pb_job_hint(
            job, error, "what was copied stays: run the same command again to go on from there");
    }
    return ended;
}

static int open_ends(pb_session *session, const pb_backup_options *options,
                     pb_repository *ret_repository, pb_store_config **ret_config,
                     pb_store **ret_source, pb_error *error)
{
    if (pb_session_store(session, options->source, "source", ret_config, ret_source, error))
        return -1;
    pb_location repository = {0};
    if (pb_location_parse(options->repository, &repository, error))
        return pb_error_context(error, "repository");
    bool overlap = pb_location_overlaps(pb_store_location(*ret_source), &repository);
    pb_location_free(&repository);
    if (overlap) {
        pb_error_set(error, PB_ERROR_USAGE, "the source %s and the repository %s overlap",
                     options->source, options->repository);
        return pb_error_hint(error, "a repository must be outside of what it backs up, and the "
                                    "other way round");
    }
    if (pb_session_check(session, *ret_source, false, error))
        return -1;
    return pb_repository_open(session, options->repository, true, ret_repository, error);
}

int pb_backup(pb_session *session, const pb_backup_options *options, pb_backup_result *ret_result,
              pb_error *error)
{
    int64_t started_ms = pb_clock_monotonic_ms();
    *ret_result = (pb_backup_result){0};
    const char *prefix = options->prefix ? options->prefix : "";
    pb_repository repository = {0};
    pb_store_config *source_config = NULL;
    pb_store *source = NULL;
    pb_session_phase(session, "opening");
    int ended = open_ends(session, options, &repository, &source_config, &source, error);
    if (!ended) {
        backup_job backup = {
            .session = session,
            .prefix = pb_slice_of(prefix),
            .checksum = options->checksum,
            .dry_run = session->options.dry_run,
            .server_side = pb_store_copies_from(repository.store, source) &&
                           pb_store_capabilities_of(repository.store)->etag_is_md5,
        };
        char *identity = pb_location_identity(pb_store_location(source));
        pb_job_init(&backup.job, session);
        backup.job.stores[SOURCE] = source_config;
        backup.job.stores[REPOSITORY] = repository.config;
        backup.job.store_count = 2;
        ended = pb_run_begin(&repository, identity, options, &backup.run, error);
        backup.next_part = backup.run.next_part;
        ret_result->resumed = backup.run.resumed;
        ret_result->resumed_objects = backup.run.tally.objects;
        ret_result->server_side = backup.server_side;
        if (!ended && backup.run.resumed)
            pb_session_note(session, "taking up the unfinished snapshot %s: %llu objects are there",
                            backup.run.intent.id, (unsigned long long)backup.run.tally.objects);
        if (!ended)
            ended = run_job(&backup, ret_result, error);
        describe(&backup, &ret_result->snapshot);
        if (!ended && !backup.dry_run) {
            ret_result->snapshot.committed_ms = pb_clock_utc_ms();
            ended = commit(&backup, &ret_result->snapshot, error);
        }
        if (ended)
            ret_result->snapshot.committed_ms = 0;
        pb_run_free(&backup.run);
        pb_job_free(&backup.job);
        free(backup.parts);
        for (size_t i = 0; i < backup.void_count; i++)
            pb_range_free(&backup.voids[i]);
        free(backup.voids);
        free(identity);
    }
    if (ended && error->kind == PB_ERROR_DAMAGED && !error->hint[0])
        pb_error_hint(error, "`pbcopy backup --full` makes a snapshot that needs none of the "
                             "damaged one");
    pb_repository_close(&repository);
    pb_store_close(source);
    pb_store_config_free(source_config);
    ret_result->elapsed_ms = pb_clock_monotonic_ms() - started_ms;
    return ended;
}

void pb_backup_result_free(pb_backup_result *result)
{
    pb_snapshot_file_free(&result->snapshot);
}
