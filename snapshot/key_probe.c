#include "snapshot/key_probe.h"

#include "base/codec.h"
#include "base/failure.h"
#include "base/random.h"
#include <stdio.h>

enum { PREFIX_SIZE = 32, ANSWER_BYTES_MAX = 4096, ATTEMPTS_MAX = 8 };

/* What is written, in this order: for each form a plain key, then others that a store may take for
 * it, or that it may not keep. */
typedef struct probe_key {
    unsigned form;
    const char *name; /* behind the prefix */
    enum {
        ODD,
        PLAIN,
        BEFORE_PREFIX, /* a slash stands before the prefix */
        EMPTY,         /* an object without bytes, as markers of folders are */
    } kind;
    unsigned letters; /* so many more behind the name */
} probe_key;

static const probe_key probe_keys[] = {
    {PB_KEY_EMPTY_SEGMENT, "empty/a/b", PLAIN, 0},
    {PB_KEY_EMPTY_SEGMENT, "empty/a//b", ODD, 0},
    {PB_KEY_DOT_SEGMENT, "dot/a/b", PLAIN, 0},
    {PB_KEY_DOT_SEGMENT, "dot/a/./b", ODD, 0},
    {PB_KEY_PARENT_SEGMENT, "parent/b", PLAIN, 0},
    {PB_KEY_PARENT_SEGMENT, "parent/x/../b", ODD, 0},
    {PB_KEY_LEADING_SLASH, "leading", PLAIN, 0},
    {PB_KEY_LEADING_SLASH, "leading", BEFORE_PREFIX, 0},
    {PB_KEY_TRAILING_SLASH, "trailing/a", PLAIN, 0},
    {PB_KEY_TRAILING_SLASH, "trailing/a/", EMPTY, 0},
    {PB_KEY_TRAILING_SLASH, "trailing/b/", ODD, 0},
    {PB_KEY_TRAILING_SLASH, "trailing/c/", EMPTY, 0},
    {PB_KEY_LONG_SEGMENT, "long/", PLAIN, PB_KEY_SEGMENT_BYTES_MAX},
    {PB_KEY_LONG_SEGMENT, "long/", ODD, PB_KEY_SEGMENT_BYTES_MAX + 1},
    {PB_KEY_CONTROL, "control/ab", PLAIN, 0},
    {PB_KEY_CONTROL, "control/a\001b", ODD, 0},
    {PB_KEY_CONTROL, "control/a\nb", ODD, 0},
    {PB_KEY_CONTROL, "control/a\177b", ODD, 0},
    {PB_KEY_BACKSLASH, "backslash/a/b", PLAIN, 0},
    {PB_KEY_BACKSLASH, "backslash/a\\b", ODD, 0},
    {PB_KEY_CASE, "case/a", PLAIN, 0},
    {PB_KEY_CASE, "case/A", ODD, 0},
    {PB_KEY_UNICODE, "unicode/\xc3\xa9", PLAIN, 0},
    {PB_KEY_UNICODE, "unicode/e\xcc\x81", ODD, 0},
};
enum { PROBE_KEYS = sizeof probe_keys / sizeof *probe_keys };

typedef struct probe {
    pb_session *session;
    pb_store *store;
    char prefix[PREFIX_SIZE];
    pb_arena arena;
    pb_slice keys[PROBE_KEYS];
    bool written[PROBE_KEYS];
} probe;

static void name_keys(probe *self)
{
    uint8_t random[8];
    char hex[2 * sizeof random + 1];
    pb_buffer key = {0};
    pb_random_bytes(random, sizeof random);
    pb_hex_encode(random, sizeof random, hex);
    snprintf(self->prefix, sizeof self->prefix, "pbcopy-probe-%s/", hex);
    for (size_t i = 0; i < PROBE_KEYS; i++) {
        const probe_key *wanted = &probe_keys[i];
        pb_buffer_clear(&key);
        pb_buffer_append_text(&key, wanted->kind == BEFORE_PREFIX ? "/" : "");
        pb_buffer_append_text(&key, self->prefix);
        pb_buffer_append_text(&key, wanted->name);
        for (unsigned letters = 0; letters < wanted->letters; letters++)
            pb_buffer_append_char(&key, 'k');
        self->keys[i] = pb_arena_copy(&self->arena, pb_buffer_slice(&key));
    }
    pb_buffer_free(&key);
}

/* Each object holds its own key, so that each is another. */
static pb_slice body_of(const probe *self, size_t index)
{
    return probe_keys[index].kind == EMPTY ? (pb_slice){NULL, 0} : self->keys[index];
}

/* True for errors that say nothing of the key. */
static bool concerns_the_store(const pb_error *error)
{
    return pb_failure_reach_of(error->kind) == PB_FAILURE_OF_RUN &&
           error->kind != PB_ERROR_USAGE; /* a key that no request can name */
}

static int write_key(const probe *self, size_t index, unsigned attempts_max, pb_error *error)
{
    pb_store_request request = {
        .operation = PB_STORE_PUT,
        .key = self->keys[index],
        .body = body_of(self, index),
        .attempts_max = attempts_max,
    };
    return pb_store_call(self->store, &request, error);
}

/* MinIO answers SlowDown where a file of that name cannot be: it is no throttling that lets a plain
 * key pass. */
static bool takes_plain_key(const probe *self, unsigned form)
{
    for (size_t i = 0; i < PROBE_KEYS; i++)
        if (probe_keys[i].form == form && probe_keys[i].kind == PLAIN)
            return !write_key(self, i, ATTEMPTS_MAX, NULL);
    return false;
}

static int write_keys(probe *self, unsigned forms, pb_key_probe *probed, pb_error *error)
{
    unsigned taken = 0;
    for (size_t i = 0; i < PROBE_KEYS; i++) {
        const probe_key *wanted = &probe_keys[i];
        pb_error wrong = {0};
        if (!(wanted->form & forms))
            continue;
        if (!write_key(self, i, wanted->kind == PLAIN ? 0 : ATTEMPTS_MAX, &wrong)) {
            self->written[i] = true;
            taken |= wanted->kind == PLAIN ? 0 : wanted->form;
            continue;
        }
        bool of_key = pb_failure_is_throttling(wrong.kind) && takes_plain_key(self, wanted->form);
        if (wanted->kind == PLAIN || (concerns_the_store(&wrong) && !of_key)) {
            *error = wrong;
            return -1;
        }
        snprintf(probed->answer, sizeof probed->answer, "%.*s", (int)sizeof probed->answer - 1,
                 wrong.code[0] ? wrong.code : wrong.message);
    }
    probed->refused = forms & ~taken;
    return 0;
}

/* 1: listed under its own name, with its size; 0: not. */
static int is_listed(const probe *self, size_t index, pb_error *error)
{
    pb_store_request request = {.operation = PB_STORE_LIST, .list.prefix = self->keys[index]};
    if (pb_store_call(self->store, &request, error))
        return -1;
    int listed = 0;
    for (size_t i = 0; i < request.page->count; i++)
        if (pb_slice_equal(request.page->entries[i].key, self->keys[index]))
            listed = request.page->entries[i].size == body_of(self, index).size;
    pb_page_release(request.page);
    return listed;
}

/* 1: its bytes come back; 0: not. */
static int is_readable(const probe *self, size_t index, pb_error *error)
{
    pb_buffer body = {0};
    if (pb_store_read(self->store, self->keys[index], ANSWER_BYTES_MAX, &body, error)) {
        pb_buffer_free(&body);
        return -1;
    }
    int same = pb_slice_equal(pb_buffer_slice(&body), body_of(self, index));
    pb_buffer_free(&body);
    return same;
}

static int look_at_keys(const probe *self, pb_key_probe *probed, pb_error *error)
{
    for (size_t i = 0; i < PROBE_KEYS; i++) {
        pb_error wrong = {0};
        if (!self->written[i] || probe_keys[i].form & probed->changed)
            continue;
        int same = is_listed(self, i, &wrong);
        if (same == 1)
            same = is_readable(self, i, &wrong);
        if (same < 0 && concerns_the_store(&wrong)) {
            *error = wrong;
            return -1;
        }
        if (same != 1)
            probed->changed |= probe_keys[i].form;
    }
    return 0;
}

static void note_left(const probe *self, pb_slice key)
{
    pb_session_note(self->session, "could not delete '%.*s', an object of a probe, from %s",
                    PB_SLICE_FORMAT(key), pb_store_name(self->store));
}

/* By the names they were written under, then by those that the listing shows. */
static void delete_keys(probe *self)
{
    for (size_t i = 0; i < PROBE_KEYS; i++) {
        pb_store_request request = {
            .operation = PB_STORE_DELETE, .keys = &self->keys[i], .key_count = 1};
        if (self->written[i] && pb_store_call(self->store, &request, NULL))
            note_left(self, self->keys[i]);
    }
    pb_store_request request = {.operation = PB_STORE_LIST,
                                .list.prefix = pb_slice_of(self->prefix)};
    if (pb_store_call(self->store, &request, NULL))
        return;
    for (size_t i = 0; i < request.page->count; i++) {
        pb_slice key = request.page->entries[i].key;
        pb_store_request again = {.operation = PB_STORE_DELETE, .keys = &key, .key_count = 1};
        if (pb_store_call(self->store, &again, NULL))
            note_left(self, key);
    }
    pb_page_release(request.page);
}

int pb_key_probe_run(pb_session *session, pb_store *store, unsigned forms, pb_key_probe *ret_probe,
                     pb_error *error)
{
    probe self = {.session = session, .store = store};
    *ret_probe = (pb_key_probe){0};
    name_keys(&self);
    int failed = write_keys(&self, forms, ret_probe, error);
    if (!failed)
        failed = look_at_keys(&self, ret_probe, error);
    delete_keys(&self);
    pb_arena_free(&self.arena);
    return failed ? pb_error_context(error, "probing how %s keeps keys", pb_store_name(store)) : 0;
}
