#include "snapshot/catalogue.h"

#include "snapshot/repository.h"

static void tell_unfinished(pb_repository *repository, pb_slice id,
                            void (*each)(void *context, const pb_catalogue_entry *entry),
                            void *context)
{
    pb_intent intent = {0};
    pb_snapshot_file file = {0};
    pb_error wrong = {0};
    memcpy(file.id, id.data, sizeof file.id - 1);
    pb_catalogue_entry entry = {.file = &file};
    if (pb_repository_intent(repository, id, &intent, &wrong))
        entry.flaw = wrong.message;
    file.source = intent.source;
    file.prefix = intent.prefix;
    file.started_ms = intent.started_ms;
    each(context, &entry);
    pb_intent_free(&intent);
}

int pb_catalogue_snapshots(pb_session *session, const char *url,
                           void (*each)(void *context, const pb_catalogue_entry *entry),
                           void *context, pb_error *error)
{
    pb_repository repository;
    if (pb_repository_open(session, url, false, &repository, error))
        return -1;
    pb_arena arena = {0};
    pb_slice *ids;
    size_t count, damaged = 0;
    int ended = pb_repository_ids(&repository, PB_SNAPSHOTS_PREFIX, &arena, &ids, &count, error);
    for (size_t i = 0; !ended && i < count; i++) {
        pb_snapshot_file file = {0};
        pb_error wrong = {0};
        if (!pb_repository_snapshot(&repository, ids[i], &file, NULL, &wrong)) {
            each(context, &(pb_catalogue_entry){.file = &file, .committed = true});
            pb_snapshot_file_free(&file);
        } else if (wrong.kind == PB_ERROR_NOT_FOUND) {
            tell_unfinished(&repository, ids[i], each, context);
        } else if (wrong.kind == PB_ERROR_DAMAGED || wrong.kind == PB_ERROR_USAGE) {
            memcpy(file.id, ids[i].data, sizeof file.id - 1);
            each(context,
                 &(pb_catalogue_entry){.file = &file, .committed = true, .flaw = wrong.message});
            damaged++;
        } else {
            *error = wrong;
            ended = -1;
        }
    }
    if (!ended && damaged)
        ended = pb_error_set(error, PB_ERROR_DAMAGED,
                             "%zu of %zu snapshots have descriptions that cannot be read", damaged,
                             count);
    pb_arena_free(&arena);
    pb_repository_close(&repository);
    return ended;
}

static int show_part(pb_repository *repository, const pb_snapshot_file *file, const pb_part *part,
                     void (*each)(void *context, const pb_record *record), void *context,
                     pb_error *error)
{
    pb_buffer key = {0}, stored = {0};
    pb_part_reader *reader = NULL;
    pb_layout_part(&key, pb_slice_of(file->id), part->name);
    int more =
        pb_store_read(repository->store, pb_buffer_slice(&key), PB_PART_BYTES_MAX, &stored, error);
    if (!more)
        more = pb_part_reader_open(pb_buffer_slice(&stored), &reader, error);
    if (!more)
        more = pb_part_reader_expect(reader, pb_slice_of(file->id), part, error);
    more = more ? -1 : 1;
    while (more > 0) {
        pb_arena arena = {0};
        pb_record record;
        for (int i = 0; i < 1000 && more > 0; i++) {
            more = pb_part_reader_next(reader, &arena, &record, error);
            if (more > 0)
                each(context, &record);
        }
        pb_arena_free(&arena);
    }
    if (more)
        pb_error_context(error, "manifest part %.*s", PB_SLICE_FORMAT(pb_buffer_slice(&key)));
    if (more && error->kind == PB_ERROR_NOT_FOUND)
        error->kind = PB_ERROR_DAMAGED;
    pb_part_reader_free(reader);
    pb_buffer_free(&key);
    pb_buffer_free(&stored);
    return more;
}

int pb_catalogue_show(pb_session *session, const char *url, const char *snapshot,
                      pb_snapshot_file *ret_file,
                      void (*each)(void *context, const pb_record *record), void *context,
                      pb_error *error)
{
    pb_repository repository;
    if (pb_repository_open(session, url, false, &repository, error))
        return -1;
    int ended = pb_repository_find(&repository, snapshot, ret_file, error);
    for (size_t i = 0; !ended && each && i < ret_file->part_count; i++)
        ended = session->cancelled
                    ? pb_error_set(error, PB_ERROR_CANCELLED, "cancelled")
                    : show_part(&repository, ret_file, &ret_file->parts[i], each, context, error);
    pb_repository_close(&repository);
    return ended;
}
