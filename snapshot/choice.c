#include "snapshot/choice.h"

#include "copier/store/sequence.h"
#include "manifest/source_file.h"
#include "snapshot/attempts.h"
#include <stdlib.h>

enum { NAMED_MAX = 8 };

/* What was learned of a repository on the way to a choice. */
typedef struct survey {
    pb_repository *repository;
    pb_sources sources;
    bool knows_sources;   /* all of them, before the first attempt is seen */
    pb_attempt *attempts; /* unfinished ones, and commits that cannot be read; newest first */
    size_t count;
} survey;

void pb_choice_free(pb_choice *choice)
{
    free(choice->newer_attempts);
    pb_sources_free(&(pb_sources){choice->sources, choice->source_count});
    *choice = (pb_choice){0};
}

void pb_choice_add(pb_choice *choice, const char *id)
{
    choice->newer_attempts = pb_reallocate(
        choice->newer_attempts, (choice->newer_attempt_count + 1) * sizeof *choice->newer_attempts);
    memcpy(choice->newer_attempts[choice->newer_attempt_count++], id, PB_SNAPSHOT_ID_SIZE);
}

void pb_choice_note(const pb_choice *choice, pb_session *session)
{
    size_t count = choice->newer_attempt_count, named = count < NAMED_MAX ? count : NAMED_MAX;
    pb_buffer text = {0};
    if (!count)
        return;
    pb_buffer_append_format(&text, "%zu newer attempt%s not completed:", count,
                            count == 1 ? " was" : "s were");
    for (size_t i = count - named; i < count; i++)
        pb_buffer_append_format(&text, "%s %s", i == count - named ? "" : ",",
                                choice->newer_attempts[i]);
    pb_session_note(session, "%s%s", text.data, named < count ? " (the newest)" : "");
    pb_buffer_free(&text);
}

/* ---- the sources ---- */

static int read_source(survey *self, pb_slice key, pb_error *error)
{
    pb_buffer text = {0};
    pb_source_file file;
    int failed = pb_store_read(self->repository->store, key, PB_SMALL_FILE_BYTES_MAX, &text, error);
    if (!failed)
        failed = pb_source_file_parse(pb_buffer_slice(&text), &file, error);
    pb_buffer_free(&text);
    if (failed)
        return pb_error_context(error, "%.*s", PB_SLICE_FORMAT(key));
    pb_sources_place(&self->sources, file.source, file.prefix, file.name_space);
    pb_source_file_free(&file);
    return 0;
}

static int read_sources(void *context, const pb_page *page, pb_error *error)
{
    for (size_t i = 0; i < page->count; i++)
        if (pb_source_file_is_key(page->entries[i].key) &&
            read_source(context, page->entries[i].key, error))
            return -1;
    return 0;
}

/* Learns all sources, where the repository names them. Where a name is damaged, all attempts are
 * read, as in a repository that was made before there were such names. */
static int learn_sources(survey *self, pb_error *error)
{
    pb_error wrong = {0};
    if (!self->repository->file.lists_sources)
        return 0;
    self->knows_sources =
        !pb_sequence_list(self->repository->store, PB_SLICE_LITERAL(PB_SOURCES_PREFIX),
                          (pb_slice){NULL, 0}, 0, read_sources, self, &wrong);
    if (self->knows_sources || wrong.kind == PB_ERROR_DAMAGED)
        return 0;
    *error = wrong;
    return -1;
}

/* ---- the attempts ---- */

/* That a document is missing or cannot be read: not that the store failed. */
static bool is_of_object(const pb_error *error)
{
    return error->kind == PB_ERROR_NOT_FOUND || error->kind == PB_ERROR_DAMAGED ||
           error->kind == PB_ERROR_USAGE;
}

/* Finds out which source an attempt is of, if something readable says it. The text of its intent is
 * empty where it was not read. */
static int find_source(survey *self, pb_attempt *attempt, pb_slice intent_text, pb_error *error)
{
    pb_intent intent;
    pb_snapshot_file file;
    pb_error wrong = {0};
    pb_slice id = pb_slice_of(attempt->id);
    if (!(intent_text.size ? pb_intent_parse(intent_text, &intent, &wrong)
                           : pb_repository_intent(self->repository, id, &intent, &wrong))) {
        attempt->source =
            pb_sources_place(&self->sources, intent.source, intent.prefix, intent.name_space);
        pb_intent_free(&intent);
        return 0;
    }
    if (attempt->state == PB_ATTEMPT_COMMITTED && is_of_object(&wrong)) {
        wrong = (pb_error){0};
        if (!pb_repository_snapshot(self->repository, id, &file, NULL, &wrong)) {
            attempt->source = pb_sources_place(&self->sources, file.source, file.prefix,
                                               file.cluster ? file.cluster->name_space : "");
            pb_snapshot_file_free(&file);
            return 0;
        }
    }
    if (is_of_object(&wrong))
        return 0;
    *error = wrong;
    return -1;
}

static void keep(survey *self, const pb_attempt *attempt)
{
    /* Grown by doubling: the capacity is the next power of two. */
    if ((self->count & (self->count - 1)) == 0)
        self->attempts = pb_reallocate(self->attempts, (self->count ? self->count * 2 : 1) *
                                                           sizeof *self->attempts);
    self->attempts[self->count++] = *attempt;
}

static int take(survey *self, pb_attempt *attempt, pb_slice intent, pb_error *error)
{
    size_t known = self->sources.count;
    if (attempt->state == PB_ATTEMPT_ABANDONED)
        return 0;
    if (find_source(self, attempt, intent, error))
        return -1;
    if (self->sources.count > known) /* somebody took its name away: perhaps others, too */
        self->knows_sources = false;
    bool is_commit = attempt->state == PB_ATTEMPT_COMMITTED;
    if (!is_commit || attempt->source == PB_SOURCE_UNKNOWN) {
        keep(self, attempt);
        return 0;
    }
    char *newest = self->sources.items[attempt->source].newest;
    if (!newest[0])
        memcpy(newest, attempt->id, PB_SNAPSHOT_ID_SIZE);
    return 0;
}

/* That the newest commit of each source is known, and so what is newer. */
static bool is_enough(const survey *self)
{
    for (size_t i = 0; i < self->sources.count; i++)
        if (!self->sources.items[i].newest[0])
            return false;
    return self->knows_sources && self->sources.count > 0;
}

/* Looks at the attempts, newest first, until the newest commit of each source is known. */
static int find_newest(survey *self, pb_error *error)
{
    pb_attempt attempt;
    pb_slice intent;
    int more = 1;
    if (learn_sources(self, error))
        return -1;
    bool may_stop_soon = self->knows_sources && self->sources.count == 1;
    pb_attempts *attempts = pb_attempts_open(self->repository, !may_stop_soon);
    while (more > 0 && !is_enough(self)) {
        more = pb_attempts_next(attempts, &attempt, &intent, error);
        if (more > 0 && take(self, &attempt, intent, error))
            more = -1;
    }
    pb_attempts_close(attempts);
    return more < 0 ? -1 : 0;
}

/* Looks at the attempts behind an id that nothing came of. */
static int find_unfinished(survey *self, const char *after, pb_error *error)
{
    pb_attempt attempt;
    int more = 1;
    pb_attempts *attempts = pb_attempts_open(self->repository, false);
    while (more > 0) {
        more = pb_attempts_next(attempts, &attempt, NULL, error);
        if (more <= 0 || strcmp(attempt.id, after) <= 0)
            break;
        if (attempt.state == PB_ATTEMPT_UNFINISHED &&
            take(self, &attempt, (pb_slice){NULL, 0}, error))
            more = -1;
    }
    pb_attempts_close(attempts);
    return more < 0 ? -1 : 0;
}

/* ---- which one is meant ---- */

static void describe(pb_buffer *text, const pb_source *source)
{
    pb_buffer_append_text(text, source->name);
    if (source->prefix[0])
        pb_buffer_append_format(text, " prefix %s", source->prefix);
    if (source->name_space[0])
        pb_buffer_append_format(text, " namespace %s", source->name_space);
}

static void list_sources(const survey *self, const bool *meant, pb_choice *choice)
{
    pb_sources listed = {0};
    pb_buffer text = {0};
    for (size_t i = 0; i < self->sources.count; i++) {
        const pb_source *source = &self->sources.items[i];
        if (!meant[i])
            continue;
        size_t place = pb_sources_place(&listed, source->name, source->prefix, source->name_space);
        memcpy(listed.items[place].newest, source->newest, sizeof source->newest);
        pb_buffer_clear(&text);
        describe(&text, source);
        pb_session_note(self->repository->session, "%s: newest snapshot %s", text.data,
                        source->newest);
    }
    pb_buffer_free(&text);
    choice->sources = listed.items;
    choice->source_count = listed.count;
}

/* Snapshots of a folder alone were preferred to those of more, that hold it as well. */
static void note_wider(const survey *self, const pb_source *chosen)
{
    for (size_t i = 0; i < self->sources.count; i++) {
        const pb_source *other = &self->sources.items[i];
        if (strcmp(other->name, chosen->name) == 0 && strcmp(other->prefix, chosen->prefix) != 0 &&
            pb_slice_starts_with(pb_slice_of(chosen->prefix), pb_slice_of(other->prefix)) &&
            strcmp(other->newest, chosen->newest) > 0)
            pb_session_note(self->repository->session,
                            "snapshot %s is newer and holds prefix %s too: --snapshot chooses it",
                            other->newest, chosen->prefix);
    }
}

/* One whose description cannot be read may be the one that is meant. */
static int refuse_unreadable(const survey *self, const char *newest, pb_error *error)
{
    pb_snapshot_file file;
    for (size_t i = 0; i < self->count && strcmp(self->attempts[i].id, newest) > 0; i++) {
        const pb_attempt *attempt = &self->attempts[i];
        if (attempt->source != PB_SOURCE_UNKNOWN || attempt->state != PB_ATTEMPT_COMMITTED)
            continue;
        if (pb_repository_snapshot(self->repository, pb_slice_of(attempt->id), &file, NULL, error))
            return -1;
        pb_snapshot_file_free(&file);
    }
    return 0;
}

/* The id of the newest snapshot of the source that is meant. */
static int choose_newest(survey *self, const pb_choice_options *options, pb_choice *choice,
                         const char **ret_id, pb_error *error)
{
    size_t place;
    if (find_newest(self, error))
        return -1;
    bool *meant = pb_allocate_zeroed(self->sources.count + 1, sizeof *meant);
    pb_error wrong = {0};
    int failed = pb_sources_choose(&self->sources, options, pb_store_name(self->repository->store),
                                   meant, &place, &wrong);
    if (failed && wrong.kind == PB_ERROR_USAGE)
        list_sources(self, meant, choice);
    free(meant);
    const char *newest = failed ? "" : self->sources.items[place].newest;
    if (wrong.kind != PB_ERROR_USAGE && refuse_unreadable(self, newest, error))
        return -1;
    if (failed) {
        *error = wrong;
        return -1;
    }
    if (options->prefix)
        note_wider(self, &self->sources.items[place]);
    *ret_id = newest;
    return 0;
}

/* The runs behind the chosen snapshot that nothing came of. */
static void find_newer(const survey *self, const pb_snapshot_file *file, const pb_source *like,
                       pb_choice *choice)
{
    for (size_t i = self->count; i-- > 0;) {
        const pb_attempt *attempt = &self->attempts[i];
        if (attempt->state == PB_ATTEMPT_UNFINISHED && strcmp(attempt->id, file->id) > 0 &&
            (attempt->source == PB_SOURCE_UNKNOWN ||
             pb_source_is_like(&self->sources.items[attempt->source], like)))
            pb_choice_add(choice, attempt->id);
    }
}

static int read_snapshot(pb_repository *repository, const char *id, pb_snapshot_file *file,
                         pb_error *error)
{
    pb_error wrong = {0};
    if (!pb_snapshot_id_valid(pb_slice_of(id)))
        return pb_error_set(error, PB_ERROR_USAGE, "'%s' is not a snapshot's id", id);
    if (!pb_repository_snapshot(repository, pb_slice_of(id), file, NULL, &wrong))
        return 0;
    *error = wrong;
    if (wrong.kind != PB_ERROR_NOT_FOUND)
        return -1;
    pb_error_set(error, PB_ERROR_NOT_FOUND, "there is no committed snapshot %s in %s", id,
                 pb_store_name(repository->store));
    return pb_error_hint(error, "`pbcopy snapshots REPOSITORY` lists what there is");
}

int pb_choose(pb_repository *repository, const pb_choice_options *options,
              pb_snapshot_file *ret_file, pb_choice *ret_choice, pb_error *error)
{
    survey self = {.repository = repository};
    const char *id = options->snapshot;
    *ret_choice = (pb_choice){0};
    int failed = id ? 0 : choose_newest(&self, options, ret_choice, &id, error);
    if (!failed)
        failed = read_snapshot(repository, id, ret_file, error);
    if (!failed) {
        const pb_source like = {
            .name = ret_file->source,
            .prefix = ret_file->prefix,
            .name_space = ret_file->cluster ? ret_file->cluster->name_space : (char *)"",
        };
        if (options->snapshot)
            failed = find_unfinished(&self, id, error);
        if (!failed)
            find_newer(&self, ret_file, &like, ret_choice);
        else
            pb_snapshot_file_free(ret_file);
    }
    free(self.attempts);
    pb_sources_free(&self.sources);
    return failed ? -1 : 0;
}
