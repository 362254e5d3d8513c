#include "snapshot/repository.h"

#include "base/codec.h"
#include "copier/store/sequence.h"
#include "snapshot/creation.h"
#include <stdio.h>
#include <stdlib.h>

int pb_repository_write_proven(pb_repository *repository, pb_slice key, pb_slice text,
                               pb_error *error)
{
    if (pb_store_write(repository->store, key, text, true, error))
        return -1;
    pb_buffer kept = {0};
    pb_error wrong = {0};
    int failed = pb_store_read(repository->store, key, text.size, &kept, &wrong);
    bool same = !failed && pb_slice_equal(pb_buffer_slice(&kept), text);
    pb_buffer_free(&kept);
    if (same)
        return 0;
    if (failed && wrong.kind != PB_ERROR_NOT_FOUND && wrong.kind != PB_ERROR_DAMAGED) {
        *error = wrong;
        return pb_error_context(error, "reading %.*s back", PB_SLICE_FORMAT(key));
    }
    bool lost = wrong.kind == PB_ERROR_NOT_FOUND;
    if (!lost && repository->file.create_only) { /* then it is this run's own: it must not stay */
        pb_store_request delete = {.operation = PB_STORE_DELETE, .keys = &key, .key_count = 1};
        pb_store_call(repository->store, &delete, NULL);
    }
    pb_error_set(error, PB_ERROR_DAMAGED, "%s took %.*s and %s", pb_store_name(repository->store),
                 PB_SLICE_FORMAT(key), lost ? "does not have it" : "gives back other bytes");
    return pb_error_hint(error, "this store does not keep what it takes: repair it, or use another "
                                "one, before you run the same command again");
}

/* Not to be found out again by each run. */
static void begin_with_findings(pb_repository *repository)
{
    const pb_repository_file *file = &repository->file;
    pb_store_know(repository->config, &(pb_store_findings){
                                          .opaque_etags = file->opaque_etags,
                                          .unkept_etags = file->unkept_etags,
                                          .refuses_copies = file->refuses_copies,
                                          .wants_content_md5 = file->wants_content_md5,
                                      });
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
        if (!failed)
            begin_with_findings(repository);
        return failed ? pb_error_context(error, "%s", pb_store_name(repository->store)) : 0;
    }
    pb_buffer_free(&text);
    if (wrong.kind != PB_ERROR_NOT_FOUND) {
        *error = wrong;
        return -1;
    }
    if (pb_creation_check(repository, error))
        return -1;
    if (may_make)
        return repository->session->options.dry_run ? 0 : pb_creation_make(repository, error);
    pb_error_set(error, PB_ERROR_NOT_FOUND, "%s is empty: there is no repository",
                 pb_store_name(repository->store));
    snprintf(error->code, sizeof error->code, "%s", PB_CODE_EMPTY);
    return pb_error_hint(error, "`pbcopy backup SOURCE REPOSITORY` makes one");
}

int pb_repository_open(pb_session *session, const char *url, bool may_make,
                       pb_repository *ret_repository, pb_error *error)
{
    *ret_repository = (pb_repository){.session = session};
    if (pb_session_store(session, url, "repository", NULL, &ret_repository->config,
                         &ret_repository->store, error))
        return -1;
    if (pb_session_check(session, ret_repository->store, NULL, may_make, error) ||
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

bool pb_repository_id_of(pb_slice prefix, size_t folder_bytes, pb_slice *ret_id)
{
    if (prefix.size != folder_bytes + PB_SNAPSHOT_ID_SIZE) /* it ends in '/' */
        return false;
    *ret_id = (pb_slice){prefix.data + folder_bytes, PB_SNAPSHOT_ID_SIZE - 1};
    return pb_snapshot_id_valid(*ret_id);
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
        pb_slice id;
        if (!pb_repository_id_of(page->prefixes[i], list->prefix_size, &id))
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
        failed = pb_sequence_list(repository->store, pb_slice_of(prefix), (pb_slice){NULL, 0}, '/',
                                  add_ids, &list, error);
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
    char by[PB_CLOSED_BY_SIZE];
    if (!failed && pb_closing_note_parse(pb_buffer_slice(&text), by)) {
        failed = pb_error_set(error, PB_ERROR_NOT_FOUND, "attempt %.*s was closed by %s",
                              PB_SLICE_FORMAT(id), by);
        snprintf(error->code, sizeof error->code, "%s", PB_CODE_ABANDONED);
    }
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

int pb_repository_findings(pb_repository *repository, const char *id, pb_findings *findings,
                           pb_error *error)
{
    pb_buffer text = {0};
    pb_error wrong = {0};
    int failed = read_file(repository, pb_slice_of(id), PB_FINDINGS_FILE,
                           PB_FINDINGS_FILE_BYTES_MAX, &text, &wrong) ||
                 pb_findings_parse(pb_buffer_slice(&text), findings, &wrong);
    pb_buffer_free(&text);
    bool unreadable = failed && (wrong.kind == PB_ERROR_DAMAGED || wrong.kind == PB_ERROR_USAGE);
    findings->cut |= unreadable;
    /* Where there is no right to list, what is not there may be forbidden. */
    if (!failed || unreadable || wrong.kind == PB_ERROR_NOT_FOUND ||
        wrong.kind == PB_ERROR_FORBIDDEN)
        return 0;
    *error = wrong;
    return pb_error_context(error, "snapshot %s", id);
}

int pb_repository_write_findings(pb_repository *repository, const char *id,
                                 const pb_findings *findings, pb_error *error)
{
    pb_buffer key = {0}, text = {0};
    pb_layout_snapshot_file(&key, pb_slice_of(id), PB_FINDINGS_FILE);
    pb_findings_append(&text, id, findings);
    int failed = pb_store_write(repository->store, pb_buffer_slice(&key), pb_buffer_slice(&text),
                                false, error);
    pb_buffer_free(&key);
    pb_buffer_free(&text);
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
static int examine_part(pb_slice stored, pb_slice id, pb_part *part, pb_error *error)
{
    pb_part_reader *reader;
    if (pb_part_reader_open(stored, &reader, error))
        return -1;
    int more = 1;
    while (more > 0) {
        pb_arena arena = {0};
        pb_record record;
        for (int i = 0; i < 1000 && more > 0; i++)
            more = pb_part_reader_next(reader, &arena, &record, error);
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

int pb_repository_part(pb_repository *repository, pb_slice id, pb_part *part, pb_error *error)
{
    pb_buffer key = {0}, stored = {0};
    pb_layout_part(&key, id, part->name);
    int failed =
        pb_store_read(repository->store, pb_buffer_slice(&key), PB_PART_BYTES_MAX, &stored, error);
    if (!failed)
        failed = examine_part(pb_buffer_slice(&stored), id, part, error);
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
