#include "snapshot/choice.h"

#include "snapshot/repository.h"
#include "snapshot/sources.h"
#include <stdlib.h>

enum { PROBES = 32, NAMED_MAX = 8 };

typedef struct survey survey;

/* A small request for a file of an attempt. */
typedef struct probe {
    survey *owner;
    pb_attempt *attempt; /* NULL: idle */
    bool looks;          /* at the commit key */
    pb_buffer key, text;
    pb_store_read_request read;
} probe;

struct survey {
    pb_repository *repository;
    pb_sources sources;
    pb_attempt *attempts; /* oldest first */
    size_t count;
    const pb_source *like; /* the chosen source's runs are all looked at; NULL: to its newest */
    unsigned under_way;
    pb_error error; /* of the first request that failed */
};

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

/* ---- requests, several at once ---- */

static void take_intent(survey *self, pb_attempt *attempt, pb_slice text)
{
    pb_intent intent;
    pb_error ignored; /* then its snapshot.json may say it */
    if (pb_intent_parse(text, &intent, &ignored))
        return;
    attempt->source =
        pb_sources_place(&self->sources, intent.source, intent.prefix, intent.name_space);
    pb_intent_free(&intent);
}

static void take_look(survey *self, pb_attempt *attempt, pb_attempt_state state)
{
    attempt->state = state;
    if (state != PB_ATTEMPT_COMMITTED || attempt->source == PB_SOURCE_UNKNOWN)
        return;
    char *newest = self->sources.items[attempt->source].newest;
    if (strcmp(attempt->id, newest) > 0)
        memcpy(newest, attempt->id, PB_SNAPSHOT_ID_SIZE);
}

/* What stands at the commit key: a closing note is short, and a commit mostly is not read whole. */
static pb_attempt_state state_of(const probe *asked, pb_error_kind kind)
{
    if (kind == PB_ERROR_NOT_FOUND)
        return PB_ATTEMPT_UNFINISHED;
    return pb_closing_note_parse(pb_buffer_slice(&asked->text), NULL) ? PB_ATTEMPT_ABANDONED
                                                                      : PB_ATTEMPT_COMMITTED;
}

static void on_done(pb_store_request *request)
{
    probe *asked = request->context;
    survey *self = asked->owner;
    pb_error_kind kind = request->error.kind;
    if (kind && kind != PB_ERROR_NOT_FOUND && kind != PB_ERROR_DAMAGED) {
        if (!self->error.kind)
            self->error = request->error;
    } else if (asked->looks) {
        take_look(self, asked->attempt, state_of(asked, kind));
    } else if (!kind) {
        take_intent(self, asked->attempt, pb_buffer_slice(&asked->text));
    }
    asked->attempt = NULL;
    self->under_way--;
}

/* Asks for the intent, or looks at the commit key. */
static void ask(survey *self, probe *asked, pb_attempt *attempt, bool looks)
{
    asked->owner = self;
    asked->attempt = attempt;
    asked->looks = looks;
    pb_buffer_clear(&asked->text);
    pb_buffer_clear(&asked->key);
    pb_layout_snapshot_file(&asked->key, pb_slice_of(attempt->id),
                            looks ? "snapshot.json" : "intent.json");
    pb_store_read_prepare(&asked->read, pb_buffer_slice(&asked->key), PB_SMALL_FILE_BYTES_MAX,
                          &asked->text);
    asked->read.request.length = looks ? PB_CLOSING_NOTE_BYTES_MAX : 0;
    asked->read.request.done = on_done;
    asked->read.request.context = asked;
    self->under_way++;
    pb_store_submit(self->repository->store, &asked->read.request);
}

/* Asks about each attempt that `wants` says, newest first. */
static int walk(survey *self, bool (*wants)(const survey *self, const pb_attempt *attempt),
                bool looks, pb_error *error)
{
    probe *probes = pb_allocate_zeroed(PROBES, sizeof *probes);
    size_t left = self->count;
    do {
        for (unsigned i = 0; i < PROBES && left && !self->error.kind; i++) {
            if (probes[i].attempt)
                continue;
            while (left && !wants(self, &self->attempts[left - 1]))
                left--;
            if (left)
                ask(self, &probes[i], &self->attempts[--left], looks);
        }
        if (self->under_way)
            uv_run(&self->repository->session->loop, UV_RUN_ONCE);
    } while (self->under_way || (left && !self->error.kind));
    for (unsigned i = 0; i < PROBES; i++) {
        pb_buffer_free(&probes[i].key);
        pb_buffer_free(&probes[i].text);
    }
    free(probes);
    if (!self->error.kind)
        return 0;
    *error = self->error;
    return -1;
}

/* ---- what there is ---- */

static bool wants_intent(const survey *self, const pb_attempt *attempt)
{
    (void)self;
    (void)attempt;
    return true;
}

/* Of a source the newest commit is enough, and what is newer than it. */
static bool wants_look(const survey *self, const pb_attempt *attempt)
{
    if (attempt->state != PB_ATTEMPT_UNSEEN)
        return false;
    const pb_source *source = &self->sources.items[attempt->source];
    return self->like ? pb_source_is_like(source, self->like)
                      : strcmp(attempt->id, source->newest) > 0;
}

/* Without a readable intent its snapshot.json is asked. */
static int look_closer(survey *self, pb_attempt *attempt, pb_error *error)
{
    pb_snapshot_file file;
    pb_error wrong = {0};
    if (pb_repository_snapshot(self->repository, pb_slice_of(attempt->id), &file, NULL, &wrong)) {
        bool damaged = wrong.kind == PB_ERROR_DAMAGED || wrong.kind == PB_ERROR_USAGE;
        if (!damaged && wrong.kind != PB_ERROR_NOT_FOUND) {
            *error = wrong;
            return -1;
        }
        bool closed = strcmp(wrong.code, PB_CODE_ABANDONED) == 0;
        take_look(self, attempt,
                  damaged  ? PB_ATTEMPT_COMMITTED
                  : closed ? PB_ATTEMPT_ABANDONED
                           : PB_ATTEMPT_UNFINISHED);
        return 0;
    }
    attempt->source = pb_sources_place(&self->sources, file.source, file.prefix,
                                       file.cluster ? file.cluster->name_space : "");
    take_look(self, attempt, PB_ATTEMPT_COMMITTED);
    pb_snapshot_file_free(&file);
    return 0;
}

/* Lists the attempts behind the id `after` ("" for all), and which source each is of. */
static int list_attempts(survey *self, const char *after, pb_error *error)
{
    pb_arena arena = {0};
    pb_slice *ids;
    size_t count;
    int failed =
        pb_repository_ids(self->repository, PB_SNAPSHOTS_PREFIX, &arena, &ids, &count, error);
    self->attempts = pb_allocate_zeroed(failed ? 1 : count + 1, sizeof *self->attempts);
    for (size_t i = 0; !failed && i < count; i++) {
        if (pb_slice_compare(ids[i], pb_slice_of(after)) <= 0)
            continue;
        pb_attempt *attempt = &self->attempts[self->count++];
        memcpy(attempt->id, ids[i].data, ids[i].size);
        attempt->source = PB_SOURCE_UNKNOWN;
    }
    pb_arena_free(&arena);
    if (!failed)
        failed = walk(self, wants_intent, false, error);
    for (size_t i = self->count; !failed && i-- > 0;)
        if (self->attempts[i].source == PB_SOURCE_UNKNOWN)
            failed = look_closer(self, &self->attempts[i], error);
    return failed;
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
    for (size_t i = self->count; i-- > 0 && strcmp(self->attempts[i].id, newest) > 0;) {
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
    if (list_attempts(self, "", error) || walk(self, wants_look, true, error))
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
    for (size_t i = 0; i < self->count; i++) {
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
        if (options->snapshot) {
            self.like = &like;
            failed = list_attempts(&self, id, error) || walk(&self, wants_look, true, error);
        }
        if (!failed)
            find_newer(&self, ret_file, &like, ret_choice);
        else
            pb_snapshot_file_free(ret_file);
    }
    free(self.attempts);
    pb_sources_free(&self.sources);
    return failed ? -1 : 0;
}
