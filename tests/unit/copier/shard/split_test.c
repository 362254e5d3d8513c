/* Cuts of ranges: always between what is listed and the end, and good enough that buckets of any
 * shape are soon listed by many shards. The engine's rounds are played here over keys in memory: in
 * each, every open shard lists a page, and those without a shard are given what others cut off. */
#include "copier/shard/split.h"

#include "base/codec.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PAGE = 1000, SLOTS = 64, PAGES = 500, KEYS = PAGE * PAGES };

typedef struct bucket {
    pb_arena arena;
    pb_slice *keys;
    size_t count;
} bucket;

static int compare(const void *a, const void *b)
{
    return pb_slice_compare(*(const pb_slice *)a, *(const pb_slice *)b);
}

static void add(bucket *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(bucket *to, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!to->keys)
        to->keys = calloc(KEYS, sizeof *to->keys);
    assert_true(to->count < KEYS);
    to->keys[to->count++] = pb_arena_copy(&to->arena, (pb_slice){text, (size_t)size});
}

/* Sorted, and each key once. */
static void settle(bucket *of)
{
    qsort(of->keys, of->count, sizeof *of->keys, compare);
    size_t count = 0;
    for (size_t i = 0; i < of->count; i++)
        if (!count || !pb_slice_equal(of->keys[count - 1], of->keys[i]))
            of->keys[count++] = of->keys[i];
    of->count = count;
}

static void bucket_free(bucket *of)
{
    pb_arena_free(&of->arena);
    free(of->keys);
}

/* The first key of the bucket after `key`. */
static size_t place_after(const bucket *of, pb_slice key)
{
    size_t low = 0, high = of->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (pb_slice_compare(of->keys[middle], key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

typedef struct play_shard {
    pb_range range;
    size_t next;  /* place of the next key to be listed */
    size_t pages; /* listed since it was split */
    pb_slice page_first, page_before_first;
    bool open, begun;
} play_shard;

typedef struct play {
    unsigned rounds, requests;
    size_t listed;
} play;

static bool check_cuts(const pb_range *range, pb_slice listed, const pb_slice *cuts, size_t count)
{
    pb_slice before = listed;
    for (size_t i = 0; i < count; i++) {
        if (!pb_utf8_valid(cuts[i]) || pb_slice_compare(cuts[i], before) <= 0)
            return false;
        before = cuts[i];
    }
    return !count || !range->through || pb_slice_compare(before, pb_slice_of(range->through)) < 0;
}

/* Lists the bucket with up to `slots` shards at a time; each key exactly once (asserted). */
static play list(const bucket *of, size_t stem_bytes, unsigned slots)
{
    enum { SHARDS_MAX = 4096 };
    play result = {0};
    play_shard *shards = calloc(SHARDS_MAX, sizeof *shards);
    size_t count = 1, open = 1, waiting = 0;
    bool *seen = calloc(of->count + 1, sizeof *seen);
    shards[0].open = true;
    while (open) {
        result.rounds++;
        assert_true(result.rounds < 10000);
        size_t now = count, most_pages = 0;
        for (size_t s = 0; s < count; s++)
            if (shards[s].open && shards[s].pages + 1 > most_pages)
                most_pages = shards[s].pages + 1;
        for (size_t s = 0; s < now; s++) {
            play_shard *shard = &shards[s];
            if (!shard->open)
                continue;
            result.requests++;
            if (!shard->begun)
                shard->next = place_after(of, pb_slice_of(shard->range.after));
            shard->begun = true;
            shard->pages++;
            pb_slice last = {NULL, 0};
            size_t got = 0;
            while (
                got < PAGE && shard->next < of->count &&
                (!shard->range.through || pb_range_holds(&shard->range, of->keys[shard->next]))) {
                last = of->keys[shard->next];
                if (!got) {
                    shard->page_before_first = shard->page_first;
                    shard->page_first = last;
                }
                assert_false(seen[shard->next]);
                seen[shard->next++] = true;
                got++;
            }
            result.listed += got;
            if (got < PAGE) {
                shard->open = false;
                open--;
                continue;
            }
            if (open + waiting >= slots || 2 * shard->pages < most_pages)
                continue;
            pb_slice cuts[PB_SPLIT_CUTS_MAX];
            pb_arena arena = {0};
            size_t share = (2 * (slots - open - waiting) + open - 1) / open;
            size_t most = slots - open - waiting;
            size_t cut = pb_split_cuts(&shard->range,
                                       shard->page_before_first.size ? shard->page_before_first
                                                                     : shard->page_first,
                                       last, stem_bytes, share < most ? share : most, &arena, cuts);
            assert_true(check_cuts(&shard->range, last, cuts, cut));
            assert_true(count + cut < SHARDS_MAX);
            for (size_t i = 0; i < cut; i++) {
                bool end = i + 1 == cut;
                shards[count++].range =
                    pb_range_copy(cuts[i], end ? pb_slice_of(shard->range.through) : cuts[i + 1],
                                  end && !shard->range.through);
                waiting++;
            }
            if (cut) {
                shard->pages = 0;
                free(shard->range.through);
                shard->range.through = pb_duplicate(cuts[0]);
            }
            pb_arena_free(&arena);
        }
        for (size_t s = now; s < count; s++)
            shards[s].open = true;
        open += waiting;
        waiting = 0;
    }
    assert_int_equal(result.listed, of->count);
    for (size_t s = 0; s < count; s++)
        pb_range_free(&shards[s].range);
    free(shards);
    free(seen);
    return result;
}

/* Alone it takes a round a page; with 64 shards few more than it takes to find out the shape. */
static void expect(bucket *of, size_t stem_bytes, const char *shape, unsigned rounds_most)
{
    settle(of);
    size_t pages = of->count / PAGE;
    play one = list(of, stem_bytes, 1), many = list(of, stem_bytes, SLOTS);
    assert_true(one.rounds >= pages && one.rounds <= pages + 1);
    printf("%s: %zu pages in %u rounds, %u requests\n", shape, pages, many.rounds, many.requests);
    assert_true(many.rounds <= rounds_most);
    assert_true(many.requests <= 2 * pages + 4 * SLOTS);
    bucket_free(of);
}

static void lists_flat_names(void **state)
{
    (void)state;
    bucket of = {0};
    for (unsigned i = 0; i < KEYS; i++)
        add(&of, "%010u", i);
    expect(&of, 0, "flat", 24);
}

static void lists_names_that_are_hashes(void **state)
{
    (void)state;
    bucket of = {0};
    uint64_t x = 1;
    for (unsigned i = 0; i < KEYS; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        add(&of, "chunk/%016llx.%016llx", (unsigned long long)(x ^ x >> 29), (unsigned long long)x);
    }
    expect(&of, 0, "hashes", 24);
}

static void lists_trees(void **state)
{
    (void)state;
    bucket of = {0};
    for (unsigned i = 0; i < KEYS; i++)
        add(&of, "branch-%05u/folder-%02u/file-%03u", i / (100 * PAGE), i / PAGE % 100, i % PAGE);
    expect(&of, 0, "tree", 24);
}

static void lists_a_few_huge_prefixes(void **state)
{
    (void)state;
    bucket of = {0};
    for (unsigned i = 0; i < KEYS / 2; i++)
        add(&of, "production/logs/2026/11/%07u.json", i);
    for (unsigned i = 0; i < KEYS / 2 - 100; i++)
        add(&of, "staging/artifacts/build-%u/output.tar.gz", i);
    for (unsigned i = 0; i < 100; i++)
        add(&of, "misc-%u", i);
    expect(&of, 0, "huge prefixes", 24);
}

static void lists_below_a_prefix(void **state)
{
    (void)state;
    bucket of = {0};
    for (unsigned i = 0; i < KEYS; i++)
        add(&of, "a/very/long/common/prefix/that/all/keys/have/in/common/%06u", i);
    expect(&of, 55, "prefix", 24);
}

static void lists_keys_of_any_script(void **state)
{
    (void)state;
    bucket of = {0};
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned first = 0x4E00 + i / 256, second = 0x3042 + i % 256;
        add(&of, "%c%c%c%c%c%c", 0xE0 | first >> 12, 0x80 | (first >> 6 & 0x3F),
            0x80 | (first & 0x3F), 0xE0 | second >> 12, 0x80 | (second >> 6 & 0x3F),
            0x80 | (second & 0x3F));
    }
    expect(&of, 0, "ideographs", 24);
}

static void lists_keys_that_differ_at_their_ends_only(void **state)
{
    (void)state;
    bucket of = {0};
    char stem[401];
    memset(stem, 'x', 400);
    stem[400] = 0;
    for (unsigned i = 0; i < KEYS; i++)
        add(&of, "%s-%u-%u!", stem, i % 1000, i);
    expect(&of, 0, "long stems", 24);
}

static void lists_keys_that_begin_each_other(void **state)
{
    (void)state;
    bucket of = {0};
    for (unsigned i = 0; i < KEYS / 10; i++) {
        char text[32];
        int size = snprintf(text, sizeof text, "%05u.%05u", i % 100, i);
        for (int end = size - 9; end < size + 1; end++)
            add(&of, "%.*s", end, text);
    }
    expect(&of, 0, "begin each other", 24);
}

static void cuts_fit_whatever_was_listed(void **state)
{
    (void)state;
    static const char *const texts[] = {"!",
                                        "-",
                                        "0",
                                        "9",
                                        "Z",
                                        "a",
                                        "zz",
                                        "a/b",
                                        "a/b/c-09",
                                        "\x01",
                                        "~",
                                        "\x7f",
                                        "\xc3\xa4",
                                        "\xe4\xb8\xad\xe6\x96\x87",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "a\xf0\x9f\x98\x80"};
    size_t count = sizeof texts / sizeof *texts;
    for (size_t a = 0; a < count; a++)
        for (size_t l = 0; l < count; l++)
            for (size_t t = 0; t <= count; t++)
                for (size_t wanted = 0; wanted <= 40; wanted += 5) {
                    pb_slice listed = pb_slice_of(texts[l]);
                    pb_range range = {(char *)texts[a], t < count ? (char *)texts[t] : NULL};
                    if (!pb_range_holds(&range, listed))
                        continue;
                    pb_slice cuts[PB_SPLIT_CUTS_MAX];
                    pb_arena arena = {0};
                    size_t cut = pb_split_cuts(&range, listed, listed, 0, wanted, &arena, cuts);
                    assert_true(cut <= wanted);
                    assert_true(check_cuts(&range, listed, cuts, cut));
                    pb_arena_free(&arena);
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_flat_names),
        cmocka_unit_test(lists_names_that_are_hashes),
        cmocka_unit_test(lists_trees),
        cmocka_unit_test(lists_a_few_huge_prefixes),
        cmocka_unit_test(lists_below_a_prefix),
        cmocka_unit_test(lists_keys_of_any_script),
        cmocka_unit_test(lists_keys_that_differ_at_their_ends_only),
        cmocka_unit_test(lists_keys_that_begin_each_other),
        cmocka_unit_test(cuts_fit_whatever_was_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
