#include "snapshot/catalogue.h"

#include "snapshot/repository.h"
#include "snapshot/sources.h"
#include <stdlib.h>

typedef struct listing {
    pb_repository repository;
    pb_sources sources;
    pb_attempt *attempts;
    void (*each)(void *context, const pb_catalogue_entry *entry);
    void *context;
} listing;

static void tell(listing *self, pb_attempt *attempt, const pb_catalogue_entry *entry)
{
    const pb_snapshot_file *file = entry->file;
    attempt->source = PB_SOURCE_UNKNOWN;
    attempt->state = entry->committed   ? PB_ATTEMPT_COMMITTED
                     : entry->abandoned ? PB_ATTEMPT_ABANDONED
                                        : PB_ATTEMPT_UNFINISHED;
    memcpy(attempt->id, file->id, sizeof attempt->id);
    if (file->source)
        attempt->source = pb_sources_place(&self->sources, file->source, file->prefix,
                                           entry->name_space ? entry->name_space : "");
    if (file->source && entry->committed)
        memcpy(self->sources.items[attempt->source].newest, file->id, sizeof file->id);
    self->each(self->context, entry);
}

/* One without a (readable) snapshot.json: what its intent says. */
static void tell_intent(listing *self, pb_slice id, pb_attempt_state state, const char *flaw,
                        pb_attempt *attempt)
{
    pb_intent intent = {0};
    pb_snapshot_file file = {0};
    pb_error wrong = {0};
    memcpy(file.id, id.data, sizeof file.id - 1);
    pb_catalogue_entry entry = {
        .file = &file,
        .committed = state == PB_ATTEMPT_COMMITTED,
        .abandoned = state == PB_ATTEMPT_ABANDONED,
        .flaw = flaw,
    };
    if (pb_repository_intent(&self->repository, id, &intent, &wrong) && !flaw)
        entry.flaw = wrong.message;
    file.source = intent.source;
    file.prefix = intent.prefix;
    file.started_ms = intent.started_ms;
    if (intent.name_space && intent.name_space[0])
        entry.name_space = intent.name_space;
    tell(self, attempt, &entry);
    pb_intent_free(&intent);
}

/* 1 where the description cannot be read. */
static int list_one(listing *self, pb_slice id, pb_attempt *attempt, pb_error *error)
{
    pb_snapshot_file file = {0};
    pb_error wrong = {0};
    if (!pb_repository_snapshot(&self->repository, id, &file, NULL, &wrong)) {
        const pb_catalogue_entry entry = {
            .file = &file,
            .name_space = file.cluster ? file.cluster->name_space : NULL,
            .committed = true,
        };
        tell(self, attempt, &entry);
        pb_snapshot_file_free(&file);
        return 0;
    }
    bool damaged = wrong.kind == PB_ERROR_DAMAGED || wrong.kind == PB_ERROR_USAGE;
    if (!damaged && wrong.kind != PB_ERROR_NOT_FOUND) {
        *error = wrong;
        return -1;
    }
    pb_attempt_state state = damaged                                      ? PB_ATTEMPT_COMMITTED
                             : strcmp(wrong.code, PB_CODE_ABANDONED) == 0 ? PB_ATTEMPT_ABANDONED
                                                                          : PB_ATTEMPT_UNFINISHED;
    tell_intent(self, id, state, damaged ? wrong.message : NULL, attempt);
    return damaged;
}

int pb_catalogue_snapshots(pb_session *session, const char *url,
                           void (*each)(void *context, const pb_catalogue_entry *entry),
                           void *context, pb_choice *ret_choice, pb_error *error)
{
    listing self = {.each = each, .context = context};
    *ret_choice = (pb_choice){0};
    if (pb_repository_open(session, url, false, &self.repository, error))
        return -1;
    pb_arena arena = {0};
    pb_slice *ids;
    size_t count, damaged = 0;
    int ended =
        pb_repository_ids(&self.repository, PB_SNAPSHOTS_PREFIX, &arena, &ids, &count, error);
    self.attempts = pb_allocate_zeroed(ended ? 1 : count + 1, sizeof *self.attempts);
    for (size_t i = 0; ended >= 0 && i < count; i++) {
        ended = list_one(&self, ids[i], &self.attempts[i], error);
        damaged += ended > 0;
    }
    for (size_t i = 0; ended >= 0 && i < count; i++)
        if (pb_attempt_is_newer(&self.attempts[i], &self.sources))
            pb_choice_add(ret_choice, self.attempts[i].id);
    pb_choice_note(ret_choice, session);
    if (ended >= 0)
        ended = damaged ? pb_error_set(error, PB_ERROR_DAMAGED,
                                       "%zu of %zu snapshots have descriptions that cannot be read",
                                       damaged, count)
                        : 0;
    free(self.attempts);
    pb_sources_free(&self.sources);
    pb_arena_free(&arena);
    pb_repository_close(&self.repository);
    return ended;
}

static int show_part(pb_repository *repository, const pb_snapshot_file *file, const pb_part *part,
                     pb_slice prefix, void (*each)(void *context, const pb_record *record),
                     void *context, pb_error *error)
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
            if (more > 0 && pb_slice_starts_with(record.key, prefix))
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

int pb_catalogue_show(pb_session *session, const char *url, const pb_choice_options *which,
                      pb_snapshot_file *ret_file, pb_choice *ret_choice,
                      void (*each)(void *context, const pb_record *record), void *context,
                      pb_error *error)
{
    pb_repository repository;
    pb_slice prefix = pb_slice_of(which->prefix);
    *ret_choice = (pb_choice){0};
    if (pb_repository_open(session, url, false, &repository, error))
        return -1;
    int ended = pb_choose(&repository, which, ret_file, ret_choice, error);
    pb_choice_note(ret_choice, session);
    for (size_t i = 0; !ended && each && i < ret_file->part_count; i++)
        ended = session->cancelled ? pb_error_set(error, PB_ERROR_CANCELLED, "cancelled")
                                   : show_part(&repository, ret_file, &ret_file->parts[i], prefix,
                                               each, context, error);
    pb_repository_close(&repository);
    return ended;
}
