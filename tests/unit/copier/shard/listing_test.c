/* What ranges of a listing make together, over simulated stores: either all keys, once each and in
 * order, or disorder. Stores list bytewise, as a walk of folders, or by UTF-16 units, and take
 * start-after for a position in their order or for a mere filter. */
#include "copier/shard/listing.h"

#include "copier/shard/split.h"
#include "copier/store/driver.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { KEYS_MAX = 400, RANGES_MAX = 64, REQUESTS_MAX = 256 };

typedef enum key_order { BYTES, FOLDERS, UTF16 } key_order;

typedef enum store_flaw {
    NO_FLAW,
    INCLUSIVE_AFTER, /* a page begins with the key it was to come after */
    NO_START_AFTER,  /* start-after is not looked at */
    SKIPS,           /* a page that is not the first of all lacks its first key */
    REPEATS,         /* a page holds a key twice */
    GOES_BACK,       /* a page ends with the key that it began with */
    ENDLESS,         /* tokens lead to the same page again and again */
    EMPTY_ENDLESS,   /* empty pages, with ever new tokens */
    NO_TOKENS,
} store_flaw;

typedef struct simulated_store {
    uv_loop_t *loop;
    uint64_t dice;
    key_order order;
    bool filters; /* start-after, instead of finding its place */
    unsigned page_size;
    store_flaw flaw;
    unsigned changes; /* one in so many requests comes with one; 0: never */
    char *keys[KEYS_MAX];
    bool fickle[KEYS_MAX]; /* comes and goes */
    bool gone[KEYS_MAX];
    unsigned count;
    uv_idle_t soon;
    pb_store_request *waiting[REQUESTS_MAX];
    unsigned waiting_count, answered;
    pb_store_config config;
    pb_store store;
} simulated_store;

static unsigned roll(uint64_t *dice, unsigned sides)
{
    *dice = *dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*dice >> 33) % sides;
}

/* ---- orders ---- */

/* A slash comes before all other characters: folders before what begins like them. */
static int compare_folders(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    unsigned left = *a == '/' ? 1 : (unsigned char)*a ? (unsigned char)*a + 1u : 0;
    unsigned right = *b == '/' ? 1 : (unsigned char)*b ? (unsigned char)*b + 1u : 0;
    return left < right ? -1 : left > right;
}

/* Of valid UTF-8: characters beyond the basic plane come as surrogates, before U+E000. */
static int compare_utf16(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    unsigned left = (unsigned char)*a, right = (unsigned char)*b;
    if (left >= 0xEE && right >= 0xEE && (left >= 0xF0) != (right >= 0xF0))
        return left >= 0xF0 ? -1 : 1;
    return left < right ? -1 : left > right;
}

static int compare_keys(const simulated_store *store, const char *a, const char *b)
{
    return store->order == BYTES     ? strcmp(a, b)
           : store->order == FOLDERS ? compare_folders(a, b)
                                     : compare_utf16(a, b);
}

/* ---- answering ---- */

static bool is_listed(const simulated_store *store, unsigned at, pb_slice prefix)
{
    return !store->gone[at] && pb_slice_starts_with(pb_slice_of(store->keys[at]), prefix);
}

/* Where the listing goes on: tokens are "k<key>" or "g<group>". */
static bool is_behind(const simulated_store *store, unsigned at, const pb_store_request *request)
{
    const char *key = store->keys[at];
    pb_slice token = request->list.token;
    if (token.size) {
        char *last = pb_duplicate((pb_slice){token.data + 1, token.size - 1});
        bool behind = compare_keys(store, key, last) > 0;
        if (token.data[0] == 'g')
            behind = behind && !pb_slice_starts_with(pb_slice_of(key), pb_slice_of(last));
        free(last);
        return behind;
    }
    if (!request->list.after.size || store->flaw == NO_START_AFTER)
        return true;
    char *after = pb_duplicate(request->list.after);
    int place = store->filters ? strcmp(key, after) : compare_keys(store, key, after);
    free(after);
    return place > 0 || (place == 0 && store->flaw == INCLUSIVE_AFTER);
}

static void set_token(pb_page *page, char kind, pb_slice last)
{
    pb_buffer token = {0};
    pb_buffer_append_char(&token, kind);
    pb_buffer_append_slice(&token, last);
    page->token = pb_arena_copy(&page->arena, pb_buffer_slice(&token));
    pb_buffer_free(&token);
}

static void add_key(pb_page *page, pb_slice key)
{
    pb_entry *entry = pb_page_add(page);
    entry->key = pb_arena_copy(&page->arena, key);
    entry->size = key.size;
    entry->etag = pb_arena_copy(&page->arena, PB_SLICE_LITERAL("etag"));
}

static pb_page *make_page(simulated_store *store, const pb_store_request *request)
{
    pb_page *page = pb_page_new();
    pb_slice group = {NULL, 0};
    unsigned most = store->page_size, count = 0;
    if (request->list.keys_max && request->list.keys_max < most)
        most = request->list.keys_max;
    for (unsigned i = 0; i < store->count; i++) {
        if (!is_listed(store, i, request->list.prefix) || !is_behind(store, i, request))
            continue;
        pb_slice key = pb_slice_of(store->keys[i]);
        if (group.size && pb_slice_starts_with(key, group))
            continue;
        if (count == most) {
            page->more = true;
            break;
        }
        count++;
        const char *slash = request->list.delimiter
                                ? memchr(key.data + request->list.prefix.size, '/',
                                         key.size - request->list.prefix.size)
                                : NULL;
        if (slash) {
            group = (pb_slice){key.data, (size_t)(slash - key.data) + 1};
            pb_page_add_prefix(page, pb_arena_copy(&page->arena, group));
            set_token(page, 'g', group);
        } else {
            add_key(page, key);
            set_token(page, 'k', key);
        }
    }
    return page;
}

static void spoil(simulated_store *store, const pb_store_request *request, pb_page *page)
{
    if (store->flaw == SKIPS && request->list.after.size && !request->list.token.size &&
        page->count) {
        page->count--;
        memmove(page->entries, page->entries + 1, page->count * sizeof *page->entries);
    }
    if (store->flaw == REPEATS && page->count)
        add_key(page, page->entries[page->count - 1].key);
    if (store->flaw == GOES_BACK && page->count > 1)
        add_key(page, page->entries[0].key);
    if (store->flaw == NO_TOKENS)
        page->token = (pb_slice){NULL, 0};
    if (store->flaw == EMPTY_ENDLESS) {
        char number[16];
        snprintf(number, sizeof number, "k%u", store->answered);
        page->token = pb_arena_copy(&page->arena, pb_slice_of(number));
        page->count = 0;
        page->more = true;
    }
    if (store->flaw == ENDLESS && !page->more) {
        set_token(page, 'k', (pb_slice){NULL, 0}); /* after "": from the start */
        page->more = true;
    }
    if (!page->more)
        page->token = (pb_slice){NULL, 0};
}

static void change(simulated_store *store)
{
    unsigned at = roll(&store->dice, store->count);
    if (store->fickle[at])
        store->gone[at] = !store->gone[at];
}

static void look(const simulated_store *store, pb_store_request *request)
{
    for (unsigned i = 0; i < store->count; i++)
        if (!store->gone[i] && pb_slice_equal(request->key, pb_slice_of(store->keys[i])))
            return;
    pb_error_set(&request->error, PB_ERROR_NOT_FOUND, "not there");
}

static void answer(uv_idle_t *idle)
{
    simulated_store *store = idle->data;
    unsigned at = roll(&store->dice, store->waiting_count);
    pb_store_request *request = store->waiting[at];
    store->waiting[at] = store->waiting[--store->waiting_count];
    if (!store->waiting_count)
        uv_idle_stop(idle);
    if (store->changes && !roll(&store->dice, store->changes))
        change(store);
    store->answered++;
    if (request->operation == PB_STORE_HEAD) {
        look(store, request);
    } else {
        request->page = make_page(store, request);
        spoil(store, request, request->page);
    }
    request->done(request);
}

static void submit(pb_store *of, pb_store_request *request)
{
    simulated_store *store = of->state;
    assert_true(request->operation == PB_STORE_LIST || request->operation == PB_STORE_HEAD);
    assert_true(store->waiting_count < REQUESTS_MAX);
    memset(&request->error, 0, sizeof request->error);
    store->waiting[store->waiting_count++] = request;
    uv_idle_start(&store->soon, answer);
}

static const pb_store_driver driver = {.submit = submit};

static void store_open(simulated_store *store, uv_loop_t *loop)
{
    static char name[] = "source s3://simulated/";
    store->loop = loop;
    store->config = (pb_store_config){.driver = &driver, .name = name};
    store->store = (pb_store){.config = &store->config, .loop = loop, .state = store};
    uv_idle_init(loop, &store->soon);
    store->soon.data = store;
}

/* In the order of the store; each key once. */
static void sort_keys(simulated_store *store)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < store->count; i++) {
        char *key = store->keys[i];
        unsigned at = kept;
        bool twice = false;
        for (unsigned j = 0; j < kept; j++)
            twice |= strcmp(store->keys[j], key) == 0;
        if (twice) {
            free(key);
            continue;
        }
        for (; at && compare_keys(store, store->keys[at - 1], key) > 0; at--)
            store->keys[at] = store->keys[at - 1];
        store->keys[at] = key;
        kept++;
    }
    store->count = kept;
}

static void add(simulated_store *store, const char *key)
{
    assert_true(store->count < KEYS_MAX);
    store->keys[store->count++] = pb_duplicate(pb_slice_of(key));
}

static void append_random_key(uint64_t *dice, pb_buffer *key)
{
    static const char *const characters[] = {
        "a", "b", "/", "/", "-", ".", "0", "\xc3\xa4", "\xee\x80\x80", "\xf0\x9f\x98\x80"};
    unsigned size = 1 + roll(dice, 6);
    for (unsigned i = 0; i < size; i++)
        pb_buffer_append_text(key, characters[roll(dice, 10)]);
}

static void fill(simulated_store *store, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pb_buffer key = {0};
        append_random_key(&store->dice, &key);
        add(store, key.data);
        pb_buffer_free(&key);
    }
    sort_keys(store);
}

static void store_free(simulated_store *store)
{
    for (unsigned i = 0; i < store->count; i++)
        free(store->keys[i]);
}

/* ---- ranges ---- */

typedef struct open_range {
    pb_stream *stream; /* NULL: it is over */
    pb_range range;
} open_range;

typedef struct reading {
    simulated_store *store;
    pb_listing *listing;
    pb_worker worker;
    open_range ranges[RANGES_MAX];
    unsigned range_count;
    bool splits;
    unsigned seen[KEYS_MAX]; /* how often */
    pb_error error;
} reading;

static void wake(void *context)
{
    (void)context;
}

static void open_one(reading *self, pb_range range)
{
    assert_true(self->range_count < RANGES_MAX);
    open_range *opened = &self->ranges[self->range_count++];
    opened->range = range;
    opened->stream = pb_listing_open(self->listing, &self->worker, pb_slice_of(range.after),
                                     pb_slice_of(range.through), wake, self);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Ranges that meet at random cuts. */
static void open_ranges(reading *self, unsigned count, uint64_t *dice)
{
    char *cuts[RANGES_MAX];
    unsigned kept = 0;
    for (unsigned i = 0; i < count; i++) {
        pb_buffer cut = {0};
        append_random_key(dice, &cut);
        if (pb_split_allows(pb_buffer_slice(&cut)))
            cuts[kept++] = pb_duplicate(pb_buffer_slice(&cut));
        pb_buffer_free(&cut);
    }
    qsort(cuts, kept, sizeof *cuts, compare_texts);
    const char *after = NULL;
    for (unsigned i = 0; i < kept; i++) {
        if (after && strcmp(after, cuts[i]) == 0)
            continue;
        open_one(self, pb_range_copy(pb_slice_of(after), pb_slice_of(cuts[i]), false));
        after = cuts[i];
    }
    open_one(self, pb_range_copy(pb_slice_of(after), (pb_slice){NULL, 0}, true));
    for (unsigned i = 0; i < kept; i++)
        free(cuts[i]);
}

static void close_one(open_range *range)
{
    pb_stream_close(range->stream);
    range->stream = NULL;
    pb_range_free(&range->range);
}

/* Gives the far part of a range to another, behind what was peeked at. */
static void split(reading *self, open_range *range, pb_slice peeked, uint64_t *dice)
{
    pb_buffer cut = {0};
    append_random_key(dice, &cut);
    pb_slice at = pb_buffer_slice(&cut), through = pb_slice_of(range->range.through);
    if (self->range_count < RANGES_MAX && pb_split_allows(at) &&
        pb_slice_compare(at, pb_slice_of(range->range.after)) > 0 &&
        pb_slice_compare(at, peeked) > 0 &&
        (!range->range.through || pb_slice_compare(at, through) < 0)) {
        open_one(self, pb_range_copy(at, through, !range->range.through));
        free(range->range.through);
        range->range.through = pb_duplicate(at);
        pb_stream_narrow(range->stream, at);
    }
    pb_buffer_free(&cut);
}

static void see(reading *self, const open_range *range, pb_slice key)
{
    assert_true(pb_range_holds(&range->range, key));
    for (unsigned i = 0; i < self->store->count; i++)
        if (pb_slice_equal(key, pb_slice_of(self->store->keys[i])))
            self->seen[i]++;
}

/* Reads some entries of a range. True while it goes on. */
static bool read_some(reading *self, open_range *range, uint64_t *dice)
{
    for (unsigned left = 1 + roll(dice, 4); left; left--) {
        const pb_entry *entry;
        pb_page *page;
        switch (pb_stream_peek(range->stream, &entry, &page)) {
        case PB_STREAM_READY:
            if (self->splits && !roll(dice, 8))
                split(self, range, entry->key, dice);
            see(self, range, entry->key);
            pb_stream_advance(range->stream);
            break;
        case PB_STREAM_WAITING:
            return true;
        case PB_STREAM_FAILED:
            self->error = *pb_stream_error(range->stream);
            return false;
        case PB_STREAM_END:
            if (!self->splits || roll(dice, 4))
                return false;
            split(self, range, pb_stream_last_key(range->stream), dice);
            return true;
        }
    }
    return true;
}

static bool work(reading *self, uint64_t *dice)
{
    bool some = false;
    for (unsigned i = 0; i < self->range_count; i++) {
        open_range *range = &self->ranges[i];
        if (!range->stream)
            continue;
        some = true;
        if (roll(dice, 3) && !self->error.kind && read_some(self, range, dice))
            continue;
        if (self->error.kind || pb_stream_is_at_end(range->stream))
            if (!pb_stream_is_fetching(range->stream))
                close_one(range);
    }
    return some;
}

/* 0: all keys came; -1: disorder was found. */
static int finish_ranges(reading *self, uint64_t *dice)
{
    while (work(self, dice)) {
        uv_run(self->store->loop, UV_RUN_NOWAIT);
        uv_run(&self->worker.loop, UV_RUN_NOWAIT);
    }
    if (self->error.kind)
        return -1;
    return pb_listing_settle(self->listing, &self->store->store, &self->error);
}

static int read_ranges(reading *self, unsigned cuts, uint64_t *dice)
{
    memset(self->seen, 0, sizeof self->seen);
    memset(&self->error, 0, sizeof self->error);
    self->range_count = 0;
    open_ranges(self, cuts, dice);
    return finish_ranges(self, dice);
}

static void expect_all_once(const reading *self)
{
    for (unsigned i = 0; i < self->store->count; i++)
        if (!self->store->fickle[i])
            assert_int_equal(self->seen[i], 1);
}

static void reading_begin(reading *self, simulated_store *store, uv_loop_t *loop)
{
    uv_loop_init(loop);
    uv_loop_init(&self->worker.loop);
    store_open(store, loop);
    self->store = store;
    self->worker.stores[0] = &store->store;
    self->listing = pb_listing_new(0, (pb_slice){NULL, 0}, 0);
}

static void reading_end(reading *self)
{
    uv_loop_t *loop = self->store->loop;
    pb_listing_free(self->listing);
    uv_close((uv_handle_t *)&self->store->soon, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
    assert_int_equal(uv_loop_close(&self->worker.loop), 0);
    store_free(self->store);
}

/* ---- tests ---- */

/* How often ranges came together, and how often not. */
typedef struct outcome {
    unsigned whole, disorder;
} outcome;

/* In one sequence, which is sorted on disk: whatever the order of the store, all keys come. */
static void expect_all_sorted(reading *self, uint64_t *dice)
{
    const pb_spool_options options = {.folder = "/tmp", .run_bytes = 256};
    pb_error error = {0};
    _Atomic uint64_t keys = 0;
    unsigned answered = self->store->answered;
    assert_int_equal(pb_listing_sort(self->listing, &self->store->store, self->store->loop,
                                     &options, &keys, &error),
                     0);
    assert_true(pb_listing_is_sorted(self->listing));
    assert_true(keys >= self->store->count);
    assert_true(self->store->answered > answered);
    answered = self->store->answered;
    assert_int_equal(read_ranges(self, roll(dice, 6), dice), 0);
    expect_all_once(self);
    assert_int_equal(self->store->answered, answered); /* nothing more was asked */
}

static void play(key_order order, bool filters, bool splits, unsigned changes, uint64_t seed,
                 outcome *ret_outcome)
{
    simulated_store store = {.dice = seed, .order = order, .filters = filters};
    uv_loop_t loop;
    reading self = {.splits = splits};
    store.page_size = 1 + roll(&store.dice, 7);
    fill(&store, 3 + roll(&store.dice, 30));
    if (changes) {
        store.changes = changes;
        for (unsigned i = 0; i < store.count; i++)
            store.fickle[i] = !roll(&store.dice, 3);
    }
    reading_begin(&self, &store, &loop);
    if (!read_ranges(&self, roll(&store.dice, 6), &store.dice)) {
        expect_all_once(&self);
        ret_outcome->whole++;
    } else {
        assert_string_equal(self.error.code, PB_LISTING_DISORDER);
        assert_true(pb_listing_is_in_disorder(self.listing));
        if (ret_outcome->disorder++ % 10 == 0)
            expect_all_sorted(&self, &store.dice);
    }
    reading_end(&self);
}

static outcome play_many(key_order order, bool filters, bool splits, unsigned changes)
{
    enum { GAMES = 3000 };
    outcome all = {0};
    for (uint64_t seed = 1; seed <= GAMES; seed++)
        play(order, filters, splits, changes, seed * 2654435761u, &all);
    printf("order %d, start-after %s%s: %u whole, %u in disorder\n", order,
           filters ? "filters" : "is a place", splits ? ", split" : "", all.whole, all.disorder);
    return all;
}

static void test_ranges_of_an_ordered_store_fit(void **state)
{
    (void)state;
    assert_int_equal(play_many(BYTES, false, false, 0).disorder, 0);
    assert_int_equal(play_many(BYTES, false, true, 0).disorder, 0);
}

static void test_changes_are_no_disorder(void **state)
{
    (void)state;
    assert_int_equal(play_many(BYTES, false, false, 3).disorder, 0);
    assert_int_equal(play_many(BYTES, false, true, 3).disorder, 0);
}

static void test_no_order_loses_keys(void **state)
{
    (void)state;
    for (key_order order = FOLDERS; order <= UTF16; order++)
        for (int filters = 0; filters < 2; filters++)
            for (int splits = 0; splits < 2; splits++) {
                outcome all = play_many(order, filters, splits, 0);
                assert_true(all.whole > 100);
                assert_true(all.disorder > 100);
            }
}

/* The second range of a00 to a99 begins at a50. */
static int read_flawed(store_flaw flaw, pb_error *ret_error,
                       int (*then)(reading *self, pb_error *error))
{
    simulated_store store = {.dice = 1, .page_size = 10, .flaw = flaw};
    uv_loop_t loop;
    reading self = {0};
    for (unsigned i = 0; i < 100; i++) {
        char key[4];
        snprintf(key, sizeof key, "a%02u", i);
        add(&store, key);
    }
    sort_keys(&store);
    reading_begin(&self, &store, &loop);
    open_one(&self, pb_range_copy((pb_slice){NULL, 0}, PB_SLICE_LITERAL("a50"), false));
    open_one(&self, pb_range_copy(PB_SLICE_LITERAL("a50"), (pb_slice){NULL, 0}, true));
    int failed = finish_ranges(&self, &store.dice);
    *ret_error = self.error;
    if (then) {
        *ret_error = (pb_error){0};
        failed = then(&self, ret_error);
    } else if (!failed) {
        expect_all_once(&self);
    }
    reading_end(&self);
    return failed;
}

static int sort_it(reading *self, pb_error *error)
{
    const pb_spool_options options = {.folder = "/tmp"};
    _Atomic uint64_t keys = 0;
    return pb_listing_sort(self->listing, &self->store->store, self->store->loop, &options, &keys,
                           error);
}

static int sort_all(reading *self, pb_error *error)
{
    (void)error;
    expect_all_sorted(self, &self->store->dice);
    return 0;
}

static void test_pages_that_break_the_order_are_disorder(void **state)
{
    (void)state;
    static const store_flaw flaws[] = {INCLUSIVE_AFTER, NO_START_AFTER, SKIPS, REPEATS, GOES_BACK};
    pb_error error;
    assert_int_equal(read_flawed(NO_FLAW, &error, NULL), 0);
    for (size_t i = 0; i < sizeof flaws / sizeof *flaws; i++) {
        assert_int_equal(read_flawed(flaws[i], &error, NULL), -1);
        assert_string_equal(error.code, PB_LISTING_DISORDER);
        assert_non_null(strstr(error.message, "order"));
        assert_int_equal(read_flawed(flaws[i], &error, sort_all), 0);
    }
}

static void test_listings_without_an_end_are_refused(void **state)
{
    (void)state;
    pb_error error;
    assert_int_equal(read_flawed(EMPTY_ENDLESS, &error, NULL), -1);
    assert_non_null(strstr(error.message, "empty pages"));
    assert_non_null(strstr(error.message, "s3://simulated/"));
    assert_string_equal(error.code, "");
    assert_int_equal(read_flawed(EMPTY_ENDLESS, &error, sort_it), -1);
    assert_non_null(strstr(error.message, "empty pages"));
    assert_int_equal(read_flawed(ENDLESS, &error, sort_it), -1);
    assert_non_null(strstr(error.message, "lead to themselves"));
}

/* Ranges go on by their last keys; one sequence of a store in disorder must not. */
static void test_a_store_without_tokens(void **state)
{
    (void)state;
    pb_error error;
    assert_int_equal(read_flawed(NO_TOKENS, &error, NULL), 0);
    assert_int_equal(read_flawed(NO_TOKENS, &error, sort_it), -1);
    assert_non_null(strstr(error.message, "how to go on"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_of_an_ordered_store_fit),
        cmocka_unit_test(test_changes_are_no_disorder),
        cmocka_unit_test(test_no_order_loses_keys),
        cmocka_unit_test(test_pages_that_break_the_order_are_disorder),
        cmocka_unit_test(test_listings_without_an_end_are_refused),
        cmocka_unit_test(test_a_store_without_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
