/* What goes into a spool in any order comes out sorted, each key once, however many runs it took.
 */
#include "copier/shard/spool.h"

#include "base/random.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/pbcopy-spool-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

/* Nothing is left in it, not even while a spool is open. */
static void expect_empty_folder(void)
{
    DIR *open = opendir(folder);
    unsigned names = 0;
    assert_non_null(open);
    while (readdir(open))
        names++;
    closedir(open);
    assert_int_equal(names, 2);
}

static int drop_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void add(pb_spool *spool, pb_slice key, uint64_t size, int64_t mtime_ms, const char *etag)
{
    pb_error error = {0};
    pb_spool_add(
        spool,
        &(pb_entry){.key = key, .size = size, .mtime_ms = mtime_ms, .etag = pb_slice_of(etag)});
    if (pb_spool_is_full(spool))
        assert_int_equal(pb_spool_write(spool, &error), 0);
}

static pb_spool *spool_of(size_t run_bytes)
{
    return pb_spool_new(&(pb_spool_options){.folder = folder, .run_bytes = run_bytes});
}

/* Keys in order, once each; with the number in the key as size, time and ETag. */
static uint64_t check_all(const pb_spool *spool)
{
    uint64_t count = 0;
    pb_buffer last = {0};
    pb_error error = {0};
    for (uint64_t block = 0; block < pb_spool_blocks(spool); block++) {
        pb_page *page;
        assert_int_equal(pb_spool_read(spool, block, &page, &error), 0);
        assert_true(page->count > 0);
        for (size_t i = 0; i < page->count; i++) {
            const pb_entry *entry = &page->entries[i];
            char etag[24];
            snprintf(etag, sizeof etag, "e%llu", (unsigned long long)entry->size);
            assert_true(!count || pb_slice_compare(entry->key, pb_buffer_slice(&last)) > 0);
            assert_int_equal(entry->mtime_ms, (int64_t)entry->size - 1000);
            assert_true(pb_slice_equal(entry->etag, pb_slice_of(etag)));
            pb_buffer_clear(&last);
            pb_buffer_append_slice(&last, entry->key);
            count++;
        }
        pb_page_release(page);
    }
    pb_buffer_free(&last);
    return count;
}

static void test_sorts_any_number(void **state)
{
    (void)state;
    /* One run, some, levels of merges. */
    static const struct {
        unsigned keys;
        size_t run_bytes;
    } cases[] = {{0, 0}, {1, 0}, {3000, 0}, {3000, 20000}, {40000, 1500}, {1024, 1}, {1056, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_spool *spool = spool_of(cases[i].run_bytes);
        pb_random random = {i + 1};
        pb_error error = {0};
        unsigned keys = cases[i].keys;
        for (unsigned k = 0; k < keys; k++) {
            uint64_t number = (uint64_t)k * 7919 % keys; /* each of them, as 7919 is prime */
            char key[64], etag[24];
            snprintf(key, sizeof key, "%.*s%c%llu", (int)(number % 40),
                     "a/b-c a/b-c a/b-c a/b-c a/b-c a/b-c a/b-c ", (char)(1 + number % 255),
                     (unsigned long long)number);
            snprintf(etag, sizeof etag, "e%llu", (unsigned long long)number);
            add(spool, pb_slice_of(key), number, (int64_t)number - 1000, etag);
            if (!pb_random_below(&random, 50)) /* twice */
                add(spool, pb_slice_of(key), number, (int64_t)number - 1000, etag);
        }
        assert_int_equal(pb_spool_sort(spool, &error), 0);
        expect_empty_folder();
        assert_int_equal(check_all(spool), keys);
        pb_spool_free(spool);
    }
}

static void test_keeps_what_was_written_last(void **state)
{
    (void)state;
    for (size_t run_bytes = 1; run_bytes < 1000; run_bytes += 150) {
        pb_spool *spool = spool_of(run_bytes);
        pb_error error = {0};
        pb_page *page;
        add(spool, PB_SLICE_LITERAL("k"), 2, 200, "middle");
        add(spool, PB_SLICE_LITERAL("j"), 2, 200, "");
        add(spool, PB_SLICE_LITERAL("k"), 3, 300, "last");
        add(spool, PB_SLICE_LITERAL("k"), 1, 100, "first");
        assert_int_equal(pb_spool_sort(spool, &error), 0);
        assert_int_equal(pb_spool_blocks(spool), 1);
        assert_int_equal(pb_spool_read(spool, 0, &page, &error), 0);
        assert_int_equal(page->count, 2);
        assert_int_equal(page->entries[0].etag.size, 0);
        assert_int_equal(page->entries[1].size, 3);
        assert_true(pb_slice_equal(page->entries[1].etag, PB_SLICE_LITERAL("last")));
        pb_page_release(page);
        pb_spool_free(spool);
    }
}

static void test_finds_where_a_range_begins(void **state)
{
    (void)state;
    enum { KEYS = 20000 };
    pb_spool *spool = spool_of(0);
    pb_error error = {0};
    char text[16];
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(text, sizeof text, "k%05u", i);
        add(spool, pb_slice_of(text), 1, 1, "e");
    }
    assert_int_equal(pb_spool_sort(spool, &error), 0);
    uint64_t blocks = pb_spool_blocks(spool), block;
    assert_true(blocks > 5);
    for (unsigned i = 0; i + 1 < KEYS; i += 13) {
        pb_page *page;
        bool found = false;
        snprintf(text, sizeof text, "k%05u", i);
        assert_int_equal(pb_spool_seek(spool, pb_slice_of(text), &block, &error), 0);
        assert_int_equal(pb_spool_read(spool, block, &page, &error), 0);
        snprintf(text, sizeof text, "k%05u", i + 1);
        for (size_t e = 0; e < page->count; e++)
            found |= pb_slice_equal(page->entries[e].key, pb_slice_of(text));
        assert_true(found);
        pb_page_release(page);
    }
    assert_int_equal(pb_spool_seek(spool, (pb_slice){NULL, 0}, &block, &error), 0);
    assert_int_equal(block, 0);
    assert_int_equal(pb_spool_seek(spool, PB_SLICE_LITERAL("k19999"), &block, &error), 0);
    assert_int_equal(block, blocks);
    pb_spool_free(spool);
}

static void test_fails(void **state)
{
    (void)state;
    pb_error error = {0};
    atomic_bool cancelled = false;
    pb_spool *spool = pb_spool_new(&(pb_spool_options){.folder = "/nowhere/at/all"});
    pb_spool_add(spool, &(pb_entry){.key = PB_SLICE_LITERAL("k")});
    assert_int_equal(pb_spool_sort(spool, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.message, "/nowhere/at/all"));
    assert_non_null(strstr(error.hint, "--scratch"));
    pb_spool_free(spool);

    spool = pb_spool_new(
        &(pb_spool_options){.folder = folder, .run_bytes = 1, .cancelled = &cancelled});
    add(spool, PB_SLICE_LITERAL("k"), 1, 1, "e");
    add(spool, PB_SLICE_LITERAL("l"), 1, 1, "e");
    cancelled = true;
    assert_int_equal(pb_spool_sort(spool, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_CANCELLED);
    pb_spool_free(spool);
    pb_spool_free(NULL);
    expect_empty_folder();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorts_any_number),
        cmocka_unit_test(test_keeps_what_was_written_last),
        cmocka_unit_test(test_finds_where_a_range_begins),
        cmocka_unit_test(test_fails),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
