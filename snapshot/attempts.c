#include "snapshot/attempts.h"

#include "base/clock.h"
#include "copier/store/sequence.h"
#include <stdlib.h>

enum {
    LOOKS_MAX = 128, /* under way at once */
    HOUR_MS = 60 * 60 * 1000,
    FIRST_HOURS = 36, /* how far back the first piece of the listing reaches */
    REACH_FACTOR = 8,
    REACH_HOURS_MAX = 20 * 365 * 24, /* from there on, back to the beginning */
};

/* One request about an attempt. */
typedef struct question {
    pb_attempts *owner;
    bool under_way;
    pb_buffer key, text;
    pb_store_read_request read;
    pb_error error;
} question;

typedef struct look {
    char id[PB_SNAPSHOT_ID_SIZE];
    question commit, intent;
} look;

struct pb_attempts {
    pb_repository *repository;
    bool intents;

    /* The names that were listed, oldest first; the last ones go first. */
    char (*ids)[PB_SNAPSHOT_ID_SIZE];
    size_t id_count, id_capacity;
    char bound[PB_SNAPSHOT_ID_SIZE]; /* those before it were not listed yet; "" at first */
    char after[PB_SNAPSHOT_ID_SIZE]; /* where the piece that is being listed begins */
    int64_t reach_hours;             /* of the next piece; 0: there is no more */
    bool in_disorder;

    look looks[LOOKS_MAX]; /* a ring */
    size_t first, count;
    uint64_t given;
    unsigned under_way;
};

pb_attempts *pb_attempts_open(pb_repository *repository, bool intents)
{
    pb_attempts *self = pb_allocate_zeroed(1, sizeof *self);
    self->repository = repository;
    self->intents = intents;
    self->reach_hours = repository->made ? FIRST_HOURS : 0;
    return self;
}

static void wait_for_some(pb_attempts *self)
{
    uv_run(&self->repository->session->loop, UV_RUN_ONCE);
}

static void question_free(question *asked)
{
    pb_buffer_free(&asked->key);
    pb_buffer_free(&asked->text);
}

void pb_attempts_close(pb_attempts *self)
{
    if (!self)
        return;
    while (self->under_way)
        wait_for_some(self);
    for (size_t i = 0; i < LOOKS_MAX; i++) {
        question_free(&self->looks[i].commit);
        question_free(&self->looks[i].intent);
    }
    free(self->ids);
    free(self);
}

/* ---- names ---- */

static void add_id(pb_attempts *self, pb_slice id)
{
    if (self->id_count == self->id_capacity) {
        self->id_capacity = self->id_capacity ? self->id_capacity * 2 : 64;
        self->ids = pb_reallocate(self->ids, self->id_capacity * sizeof *self->ids);
    }
    memcpy(self->ids[self->id_count], id.data, id.size);
    self->ids[self->id_count++][id.size] = 0;
}

/* 1: the rest is known already. */
static int add_page(void *context, const pb_page *page, pb_error *error)
{
    pb_attempts *self = context;
    (void)error;
    for (size_t i = 0; i < page->prefix_count; i++) {
        pb_slice id;
        if (!pb_repository_id_of(page->prefixes[i], sizeof PB_SNAPSHOTS_PREFIX - 1, &id))
            continue;
        pb_slice before = pb_slice_of(self->id_count ? self->ids[self->id_count - 1] : self->after);
        self->in_disorder |= pb_slice_compare(id, before) < 0;
        bool known = self->bound[0] && pb_slice_compare(id, pb_slice_of(self->bound)) >= 0;
        if (known && self->after[0])
            return 1;
        if (!known)
            add_id(self, id);
    }
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int list_piece(pb_attempts *self, pb_error *error)
{
    pb_buffer after = {0};
    if (self->after[0])
        pb_buffer_append_format(&after, PB_SNAPSHOTS_PREFIX "%s", self->after);
    int failed = pb_sequence_list(self->repository->store, PB_SLICE_LITERAL(PB_SNAPSHOTS_PREFIX),
                                  pb_buffer_slice(&after), '/', add_page, self, error);
    pb_buffer_free(&after);
    return failed;
}

/* Lists the next piece. A store that lists in an order of its own is listed from its beginning. */
static int list_more(pb_attempts *self, pb_error *error)
{
    bool whole = self->reach_hours > REACH_HOURS_MAX || self->repository->file.unordered_listing;
    self->after[0] = 0;
    if (!whole)
        pb_snapshot_id_make(pb_clock_utc_ms() - self->reach_hours * HOUR_MS, 0, self->after);
    if (list_piece(self, error))
        return -1;
    if (self->in_disorder && !whole) {
        whole = true;
        self->id_count = 0;
        self->after[0] = 0;
        if (list_piece(self, error))
            return -1;
    }
    if (self->id_count)
        qsort(self->ids, self->id_count, sizeof *self->ids, compare_ids);
    memcpy(self->bound, self->after, sizeof self->bound);
    self->reach_hours = whole ? 0 : self->reach_hours * REACH_FACTOR;
    return 0;
}

/* Lists until there is a name, or no more to list. */
static int list_some(pb_attempts *self, pb_error *error)
{
    while (!self->id_count && self->reach_hours)
        if (list_more(self, error))
            return -1;
    return 0;
}

int pb_attempts_newest(pb_repository *repository, char ret_id[PB_SNAPSHOT_ID_SIZE], pb_error *error)
{
    pb_attempts *self = pb_attempts_open(repository, false);
    int failed = list_some(self, error);
    ret_id[0] = 0;
    if (!failed && self->id_count)
        memcpy(ret_id, self->ids[self->id_count - 1], PB_SNAPSHOT_ID_SIZE);
    pb_attempts_close(self);
    return failed;
}

/* ---- looks ---- */

static void on_done(pb_store_request *request)
{
    question *asked = request->context;
    asked->error = request->error;
    asked->under_way = false;
    asked->owner->under_way--;
}

static void ask(pb_attempts *self, question *asked, const char *id, const char *name,
                uint64_t length)
{
    asked->owner = self;
    asked->under_way = true;
    asked->error = (pb_error){0};
    pb_buffer_clear(&asked->text);
    pb_buffer_clear(&asked->key);
    pb_layout_snapshot_file(&asked->key, pb_slice_of(id), name);
    pb_store_read_prepare(&asked->read, pb_buffer_slice(&asked->key), PB_SMALL_FILE_BYTES_MAX,
                          &asked->text);
    asked->read.request.length = length;
    asked->read.request.done = on_done;
    asked->read.request.context = asked;
    self->under_way++;
    pb_store_submit(self->repository->store, &asked->read.request);
}

/* Twice as many as were given: who needs two does not pay for a hundred. */
static void look_ahead(pb_attempts *self)
{
    uint64_t wanted = 2 * self->given + 2;
    while (self->id_count && self->count < LOOKS_MAX && self->count < wanted) {
        look *next = &self->looks[(self->first + self->count++) % LOOKS_MAX];
        memcpy(next->id, self->ids[--self->id_count], sizeof next->id);
        /* A closing note is short, and a commit mostly is not read whole. */
        ask(self, &next->commit, next->id, "snapshot.json", PB_CLOSING_NOTE_BYTES_MAX);
        if (self->intents)
            ask(self, &next->intent, next->id, "intent.json", 0);
    }
}

static bool has_failed(const question *asked)
{
    pb_error_kind kind = asked->error.kind;
    return kind && kind != PB_ERROR_NOT_FOUND && kind != PB_ERROR_DAMAGED;
}

static pb_attempt_state state_of(const question *asked)
{
    if (asked->error.kind == PB_ERROR_NOT_FOUND)
        return PB_ATTEMPT_UNFINISHED;
    return pb_closing_note_parse(pb_buffer_slice(&asked->text), NULL) ? PB_ATTEMPT_ABANDONED
                                                                      : PB_ATTEMPT_COMMITTED;
}

int pb_attempts_next(pb_attempts *self, pb_attempt *ret_attempt, pb_slice *ret_intent,
                     pb_error *error)
{
    if (!self->count && list_some(self, error))
        return -1;
    look_ahead(self);
    if (!self->count)
        return 0;
    look *next = &self->looks[self->first];
    while (next->commit.under_way || next->intent.under_way)
        wait_for_some(self);
    self->first = (self->first + 1) % LOOKS_MAX;
    self->count--;
    self->given++;
    if (has_failed(&next->commit) || has_failed(&next->intent)) {
        *error = has_failed(&next->commit) ? next->commit.error : next->intent.error;
        return -1;
    }
    *ret_attempt = (pb_attempt){.source = PB_SOURCE_UNKNOWN, .state = state_of(&next->commit)};
    memcpy(ret_attempt->id, next->id, sizeof ret_attempt->id);
    if (ret_intent)
        *ret_intent =
            next->intent.error.kind ? (pb_slice){NULL, 0} : pb_buffer_slice(&next->intent.text);
    return 1;
}
