#include "snapshot/repository.h"

#include "base/codec.h"
#include "base/random.h"
#include "copier/store/sequence.h"
#include "snapshot/tally.h"
#include <stdlib.h>

/* Learns whether the store refuses to write a key that exists, when asked to. */
static int probe_create_only(pb_repository *repository, bool *ret_honoured, pb_error *error)
{
    uint8_t random[8];
    char name[17], key[32];
    pb_random_bytes(random, sizeof random);
    pb_hex_encode(random, sizeof random, name);
    snprintf(key, sizeof key, "probe-%s", name);
    pb_slice probe = pb_slice_of(key), body = PB_SLICE_LITERAL("{\"pbcopy\":\"probe\"}\n");
    if (pb_store_write(repository->store, probe, body, true, error))
        return -1;
    pb_error refused = {0};
    int again = pb_store_write(repository->store, probe, PB_SLICE_LITERAL("{}\n"), true, &refused);
    if (again && refused.kind != PB_ERROR_EXISTS) {
        *error = refused;
        return -1;
    }
    *ret_honoured = again != 0;
    pb_store_request request = {.operation = PB_STORE_DELETE, .keys = &probe, .key_count = 1};
    return pb_store_call(repository->store, &request, error);
}

static int is_empty(pb_repository *repository, bool *ret_empty, pb_error *error)
{
    pb_store_request request = {.operation = PB_STORE_LIST};
    request.list.keys_max = 1;
    if (pb_store_call(repository->store, &request, error))
        return -1;
    *ret_empty = request.page->count == 0;
    pb_page_release(request.page);
    return 0;
}

static int make(pb_repository *repository, pb_error *error)
{
    uint8_t id[16];
    pb_random_bytes(id, sizeof id);
    pb_hex_encode(id, sizeof id, repository->file.id);
    repository->file.version = PB_REPOSITORY_VERSION;
    if (probe_create_only(repository, &repository->file.create_only, error))
        return pb_error_context(error, "cannot write to the repository");
    pb_buffer text = {0};
    pb_repository_file_append(&text, &repository->file);
    int failed = pb_store_write(repository->store, PB_SLICE_LITERAL(PB_REPOSITORY_FILE),
                                pb_buffer_slice(&text), true, error);
    pb_buffer_free(&text);
    if (failed)
        return pb_error_context(error, "making the repository");
    repository->made = true;
    pb_session_note(repository->session, "made a new %s%s", pb_store_name(repository->store),
                    repository->file.create_only
                        ? ""
                        : " (the store does not honour create-only writes: never run two "
                          "backups into it at once)");
    return 0;
}

static int open_file(pb_repository *repository, bool may_make, pb_error *error)
{
    pb_buffer text = {0};
    pb_error wrong = {0};
    int failed = pb_store_read(repository->store, PB_SLICE_LITERAL(PB_REPOSITORY_FILE),
                               PB_SMALL_FILE_BYTES_MAX, &text, &wrong);
    if (!failed) {
        failed = pb_repository_file_parse(pb_buffer_slice(&text), &repository->file, error);
        repository->made = true;
        pb_buffer_free(&text);
        return failed ? pb_error_context(error, "%s", pb_store_name(repository->store)) : 0;
    }
    pb_buffer_free(&text);
    if (wrong.kind != PB_ERROR_NOT_FOUND || strcmp(wrong.code, "NoSuchBucket") == 0) {
        *error = wrong;
        return -1;
    }
    bool empty = false;
    if (is_empty(repository, &empty, error))
        return -1;
    if (empty && may_make)
        return repository->session->options.dry_run ? 0 : make(repository, error);
    if (empty) {
        pb_error_set(error, PB_ERROR_NOT_FOUND, "%s is empty: there is no repository",
                     pb_store_name(repository->store));
        return pb_error_hint(error, "`pbcopy backup SOURCE REPOSITORY` makes one");
    }
    pb_error_set(error, PB_ERROR_USAGE, "%s is not a pbcopy repository: it holds objects but no %s",
                 pb_store_name(repository->store), PB_REPOSITORY_FILE);
    return pb_error_hint(error, "name an empty bucket or prefix, or an existing repository");
}

int pb_repository_open(pb_session *session, const char *url, bool may_make,
                       pb_repository *ret_repository, pb_error *error)
{
    *ret_repository = (pb_repository){.session = session};
    if (pb_session_store(session, url, "repository", NULL, &ret_repository->config,
                         &ret_repository->store, error))
        return -1;
    if (pb_session_check(session, ret_repository->store, may_make, error) ||
        open_file(ret_repository, may_make, error)) {
        pb_repository_close(ret_repository);
        return -1;
    }
    return 0;
}

void pb_repository_close(pb_repository *repository)
{
    pb_store_close(repository->store);
    pb_store_config_free(repository->config);
    repository->store = NULL;
    repository->config = NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return pb_slice_compare(*(const pb_slice *)a, *(const pb_slice *)b);
}

typedef struct id_list {
    pb_arena *arena;
    size_t prefix_size, count, capacity;
    pb_slice *ids;
} id_list;

static int add_ids(void *context, const pb_page *page, pb_error *error)
{
    id_list *list = context;
    (void)error;
    for (size_t i = 0; i < page->prefix_count; i++) {
        pb_slice id = page->prefixes[i];
        if (id.size != list->prefix_size + PB_SNAPSHOT_ID_SIZE)
            continue;
        id = (pb_slice){id.data + list->prefix_size, PB_SNAPSHOT_ID_SIZE - 1};
        if (!pb_snapshot_id_valid(id))
            continue;
        if (list->count == list->capacity) {
            list->capacity = list->capacity ? list->capacity * 2 : 64;
            pb_slice *ids = pb_arena_allocate(list->arena, list->capacity * sizeof *ids);
            if (list->count)
                memcpy(ids, list->ids, list->count * sizeof *ids);
            list->ids = ids;
        }
        list->ids[list->count++] = pb_arena_copy(list->arena, id);
    }
    return 0;
}

int pb_repository_ids(pb_repository *repository, const char *prefix, pb_arena *arena,
                      pb_slice **ret_ids, size_t *ret_count, pb_error *error)
{
    id_list list = {.arena = arena, .prefix_size = strlen(prefix)};
    int failed = 0;
    if (repository->made)
        failed =
            pb_sequence_list(repository->store, pb_slice_of(prefix), '/', add_ids, &list, error);
    if (list.count) /* the store may list in an order of its own */
        qsort(list.ids, list.count, sizeof *list.ids, compare_ids);
    *ret_ids = list.ids;
    *ret_count = list.count;
    return failed;
}

static int read_file(pb_repository *repository, pb_slice id, const char *name, size_t max_bytes,
                     pb_buffer *ret_text, pb_error *error)
{
    pb_buffer key = {0};
    pb_layout_snapshot_file(&key, id, name);
    int failed =
        pb_store_read(repository->store, pb_buffer_slice(&key), max_bytes, ret_text, error);
    pb_buffer_free(&key);
    return failed;
}

int pb_repository_snapshot(pb_repository *repository, pb_slice id, pb_snapshot_file *ret_file,
                           char *ret_sha256, pb_error *error)
{
    pb_buffer text = {0};
    int failed =
        read_file(repository, id, "snapshot.json", PB_SNAPSHOT_FILE_BYTES_MAX, &text, error);
    if (!failed && ret_sha256) {
        uint8_t digest[PB_SHA256_BYTES];
        pb_sha256(text.data, text.size, digest);
        pb_hex_encode(digest, sizeof digest, ret_sha256);
    }
    if (!failed && pb_snapshot_file_parse(pb_buffer_slice(&text), ret_file, error))
        failed = pb_error_context(error, "snapshot %.*s", PB_SLICE_FORMAT(id));
    if (!failed && !pb_slice_equal(pb_slice_of(ret_file->id), id)) {
        pb_snapshot_file_free(ret_file);
        failed = pb_error_set(error, PB_ERROR_DAMAGED,
                              "snapshot %.*s: its snapshot.json is that of another snapshot",
                              PB_SLICE_FORMAT(id));
    }
    pb_buffer_free(&text);
    return failed;
}

static int not_there(pb_repository *repository, const char *id, pb_error *error)
{
    if (id)
        pb_error_set(error, PB_ERROR_NOT_FOUND, "there is no committed snapshot %s in %s", id,
                     pb_store_name(repository->store));
    else
        pb_error_set(error, PB_ERROR_NOT_FOUND, "there is no committed snapshot in %s",
                     pb_store_name(repository->store));
    return pb_error_hint(error, "`pbcopy snapshots REPOSITORY` lists what there is");
}

int pb_repository_find(pb_repository *repository, const char *id, pb_snapshot_file *ret_file,
                       pb_error *error)
{
    pb_error wrong = {0};
    if (id) {
        if (!pb_snapshot_id_valid(pb_slice_of(id)))
            return pb_error_set(error, PB_ERROR_USAGE, "'%s' is not a snapshot's id", id);
        if (!pb_repository_snapshot(repository, pb_slice_of(id), ret_file, NULL, &wrong))
            return 0;
        if (wrong.kind == PB_ERROR_NOT_FOUND)
            return not_there(repository, id, error);
        *error = wrong;
        return -1;
    }
    pb_arena arena = {0};
    pb_slice *ids;
    size_t count;
    int failed = pb_repository_ids(repository, PB_SNAPSHOTS_PREFIX, &arena, &ids, &count, &wrong);
    bool found = false;
    while (!failed && !found && count--) {
        failed = pb_repository_snapshot(repository, ids[count], ret_file, NULL, &wrong);
        found = !failed;
        if (failed && wrong.kind == PB_ERROR_NOT_FOUND)
            failed = 0; /* not finished: the one before */
    }
    pb_arena_free(&arena);
    if (failed)
        *error = wrong;
    else if (!found)
        failed = not_there(repository, NULL, error);
    return failed;
}

int pb_repository_intent(pb_repository *repository, pb_slice id, pb_intent *ret_intent,
                         pb_error *error)
{
    pb_buffer text = {0};
    int failed = read_file(repository, id, "intent.json", PB_SMALL_FILE_BYTES_MAX, &text, error);
    if (!failed && pb_intent_parse(pb_buffer_slice(&text), ret_intent, error))
        failed = pb_error_context(error, "snapshot %.*s", PB_SLICE_FORMAT(id));
    pb_buffer_free(&text);
    return failed;
}

/* Reads all records, so that nothing that a damaged part says is taken over. */
static int examine_part(pb_slice stored, pb_slice id, pb_part *part, pb_snapshot_file *tally,
                        pb_error *error)
{
    pb_part_reader *reader;
    if (pb_part_reader_open(stored, &reader, error))
        return -1;
    int more = 1;
    while (more > 0) {
        pb_arena arena = {0};
        pb_record record = {0};
        for (int i = 0; i < 1000 && more > 0; i++) {
            more = pb_part_reader_next(reader, &arena, &record, error);
            if (more > 0)
                pb_tally_record(tally, &record, id);
        }
        if (record.key.size) {
            free(part->last_key);
            part->last_key = pb_duplicate(record.key);
        }
        pb_arena_free(&arena);
    }
    if (!more && !pb_slice_equal(pb_part_reader_snapshot(reader), id))
        more = pb_error_set(error, PB_ERROR_DAMAGED, "it is a part of another snapshot");
    if (!more) {
        const pb_part *read = pb_part_reader_part(reader);
        pb_range_free(&part->range);
        part->range = pb_range_copy(pb_slice_of(read->range.after),
                                    pb_slice_of(read->range.through), !read->range.through);
        part->records = read->records;
        part->bytes = read->bytes;
        part->stored_bytes = stored.size;
        memcpy(part->sha256, read->sha256, sizeof part->sha256);
        pb_sha256(stored.data, stored.size, part->stored_sha256);
    }
    pb_part_reader_free(reader);
    return more;
}

int pb_repository_part(pb_repository *repository, pb_slice id, const char *folder, pb_part *part,
                       pb_snapshot_file *tally, pb_error *error)
{
    pb_buffer key = {0}, stored = {0};
    pb_layout_part(&key, id, folder, part->name);
    int failed =
        pb_store_read(repository->store, pb_buffer_slice(&key), PB_PART_BYTES_MAX, &stored, error);
    if (!failed)
        failed = examine_part(pb_buffer_slice(&stored), id, part, tally, error);
    if (failed)
        pb_error_context(error, "manifest part %.*s", PB_SLICE_FORMAT(pb_buffer_slice(&key)));
    pb_buffer_free(&key);
    pb_buffer_free(&stored);
    return failed;
}

void pb_repository_cuts(const pb_snapshot_file *file, uint64_t records, pb_arena *arena,
                        pb_slice **ret_cuts, size_t *ret_count)
{
    *ret_cuts = pb_arena_allocate(arena, (file->part_count + 1) * sizeof **ret_cuts);
    *ret_count = 0;
    uint64_t gathered = 0;
    for (size_t i = 0; i + 1 < file->part_count; i++) {
        gathered += file->parts[i].records;
        if (gathered < records || !file->parts[i].range.through)
            continue;
        (*ret_cuts)[(*ret_count)++] =
            pb_arena_copy(arena, pb_slice_of(file->parts[i].range.through));
        gathered = 0;
    }
}
