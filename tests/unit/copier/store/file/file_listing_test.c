#include "tests/unit/copier/store/file/bucket_fixture.h"

#include "base/random.h"
#include <sys/socket.h>
#include <sys/un.h>

enum { ODD_KEYS = 4000, FLAT_KEYS = 3000 };

/* Sorted keys, as the listing must give them. */
typedef struct sorted_keys {
    pb_arena arena;
    pb_slice *list;
    size_t count;
} sorted_keys;

static int compare_slices(const void *a, const void *b)
{
    return pb_slice_compare(*(const pb_slice *)a, *(const pb_slice *)b);
}

static void keys_add(sorted_keys *keys, pb_slice key)
{
    keys->list = pb_reallocate(keys->list, (keys->count + 1) * sizeof(*keys->list));
    keys->list[keys->count++] = pb_arena_copy(&keys->arena, key);
}

static void keys_sort(sorted_keys *keys)
{
    qsort(keys->list, keys->count, sizeof(*keys->list), compare_slices);
    size_t kept = 0;
    for (size_t i = 0; i < keys->count; i++)
        if (kept == 0 || !pb_slice_equal(keys->list[kept - 1], keys->list[i]))
            keys->list[kept++] = keys->list[i];
    keys->count = kept;
}

static void keys_free(sorted_keys *keys)
{
    free(keys->list);
    pb_arena_free(&keys->arena);
}

static void put_all(test_bucket *bucket, const sorted_keys *keys)
{
    pb_store_request *requests = pb_allocate_zeroed(keys->count, sizeof(*requests));
    for (size_t i = 0; i < keys->count; i++) {
        requests[i].operation = PB_STORE_PUT;
        requests[i].key = keys->list[i];
        requests[i].body = keys->list[i];
    }
    run_batch(bucket, requests, keys->count);
    for (size_t i = 0; i < keys->count; i++)
        if (requests[i].error.kind)
            fail_msg("%s", requests[i].error.message);
    free(requests);
}

typedef struct listing_form {
    const char *prefix;
    pb_slice after;
    char delimiter;
    unsigned keys_max;
    bool by_last_key; /* go on with `after` instead of the token */
} listing_form;

/* Lists to the end; what comes (keys and prefixes, in order) goes to *ret. */
static pb_error_kind list_all(test_bucket *bucket, const listing_form *how, sorted_keys *ret)
{
    pb_page *page = NULL;
    pb_slice after = how->after;
    for (;;) {
        pb_store_request request = {
            .operation = PB_STORE_LIST,
            .list = {.prefix = pb_slice_of(how->prefix),
                     .after = after,
                     .delimiter = how->delimiter,
                     .keys_max = how->keys_max},
        };
        if (page && !how->by_last_key)
            request.list.token = page->token;
        pb_error error = {0};
        int result = pb_store_call(bucket->store, &request, &error);
        pb_page_release(page);
        if (result) {
            assert_null(request.page);
            return error.kind;
        }
        page = request.page;
        assert_true(page->count + page->prefix_count <= (how->keys_max ? how->keys_max : 1000));
        size_t entry = 0;
        size_t prefix = 0;
        while (entry < page->count || prefix < page->prefix_count) {
            bool is_entry = prefix == page->prefix_count ||
                            (entry < page->count && pb_slice_compare(page->entries[entry].key,
                                                                     page->prefixes[prefix]) < 0);
            keys_add(ret, is_entry ? page->entries[entry++].key : page->prefixes[prefix++]);
        }
        if (!page->more) {
            pb_page_release(page);
            return PB_ERROR_NONE;
        }
        assert_true(page->token.size > 0);
        assert_int_equal(page->count + page->prefix_count, how->keys_max ? how->keys_max : 1000);
        after = ret->list[ret->count - 1];
    }
}

static void expect(const sorted_keys *all, const listing_form *how, sorted_keys *ret)
{
    pb_slice prefix = pb_slice_of(how->prefix);
    for (size_t i = 0; i < all->count; i++) {
        pb_slice key = all->list[i];
        if (!pb_slice_starts_with(key, prefix) || pb_slice_compare(key, how->after) <= 0)
            continue;
        const char *slash =
            how->delimiter ? memchr(key.data + prefix.size, '/', key.size - prefix.size) : NULL;
        if (slash)
            key.size = (size_t)(slash - key.data) + 1;
        if (ret->count == 0 || !pb_slice_equal(ret->list[ret->count - 1], key))
            keys_add(ret, key);
    }
}

static void assert_listing(test_bucket *bucket, const sorted_keys *all, const listing_form *how)
{
    sorted_keys expected = {0};
    sorted_keys listed = {0};
    expect(all, how, &expected);
    assert_int_equal(list_all(bucket, how, &listed), PB_ERROR_NONE);
    for (size_t i = 0; i < listed.count && i < expected.count; i++)
        if (!pb_slice_equal(listed.list[i], expected.list[i]))
            fail_msg("prefix \"%s\", %u a page, place %zu: \"%.*s\", should be \"%.*s\"",
                     how->prefix, how->keys_max, i, PB_SLICE_FORMAT(listed.list[i]),
                     PB_SLICE_FORMAT(expected.list[i]));
    assert_int_equal(listed.count, expected.count);
    keys_free(&expected);
    keys_free(&listed);
}

static const char *const clashing[] = {
    "a",        "a.b",     "a/b",       "a//b",        "/a",          "a/",   "a/b/c",
    "a/b/",     "a-",      "a0",        "//",          "/",           "/a/b", "b/%",
    "b/.",      "b/..",    "b/...",     "b/%2E",       "c%leaf",      "c",    "c/d",
    "c%more/d", "c/%leaf", "\xff",      "\xff/\xfe",   "z/\n",        "z/ ",  "z",
    "z!",       "z/z/z/z", ".pbcopy-x", ".pbcopy-x/y", "d/.pbcopy-x",
};

static void add_clashing(sorted_keys *keys)
{
    for (size_t i = 0; i < sizeof(clashing) / sizeof(clashing[0]); i++)
        keys_add(keys, pb_slice_of(clashing[i]));
}

static void every_page_size_gives_all_keys_in_order(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    sorted_keys all = {0};
    add_clashing(&all);
    put_all(&bucket, &all);
    keys_sort(&all);
    for (unsigned keys_max = 1; keys_max <= all.count + 1; keys_max++) {
        for (int by_last_key = 0; by_last_key < 2; by_last_key++) {
            listing_form how = {.prefix = "", .keys_max = keys_max, .by_last_key = by_last_key};
            assert_listing(&bucket, &all, &how);
        }
        listing_form grouped = {.prefix = "", .keys_max = keys_max, .delimiter = '/'};
        assert_listing(&bucket, &all, &grouped);
    }
    for (size_t i = 0; i < all.count; i++)
        assert_body(&bucket, all.list[i].data, all.list[i].data);
    bucket_close(&bucket);
    keys_free(&all);
}

static void prefixes_groups_and_beginnings_agree_with_the_sorted_keys(void **unused)
{
    (void)unused;
    static const char *const prefixes[] = {
        "",   "a",    "a/",    "a/b", "a/b/", "a//", "/",      "//",       "b/",   "b/.",
        "c%", "none", "none/", "z/",  "\xff", "c",   "a/b/c/", ".pbcopy-", "z/z/z"};
    test_bucket bucket;
    bucket_open(&bucket);
    sorted_keys all = {0};
    add_clashing(&all);
    put_all(&bucket, &all);
    keys_sort(&all);
    for (size_t prefix = 0; prefix < sizeof(prefixes) / sizeof(prefixes[0]); prefix++) {
        for (size_t after = 0; after <= all.count; after++) {
            for (unsigned keys_max = 1; keys_max < 6; keys_max += 2) {
                listing_form how = {.prefix = prefixes[prefix], .keys_max = keys_max};
                if (after < all.count)
                    how.after = all.list[after];
                assert_listing(&bucket, &all, &how);
                how.delimiter = '/';
                assert_listing(&bucket, &all, &how);
            }
        }
    }
    listing_form between = {.prefix = "", .after = PB_SLICE_LITERAL("a/b!")};
    assert_listing(&bucket, &all, &between);
    between.after = PB_SLICE_LITERAL("a0/x");
    assert_listing(&bucket, &all, &between);
    bucket_close(&bucket);
    keys_free(&all);
}

static void add_random(sorted_keys *keys, pb_random *random)
{
    static const char *const pieces[] = {"a", "b",    "/",    ".",    "%", "-",
                                         "0", "\x01", "\x7f", "\xff", "/"};
    pb_buffer key = {0};
    uint64_t pieces_wanted = 1 + pb_random_below(random, 7);
    for (uint64_t i = 0; i < pieces_wanted; i++)
        pb_buffer_append_text(&key, pieces[pb_random_below(random, 11)]);
    if (pb_random_below(random, 8) == 0) { /* round the lengths where names are cut */
        uint64_t run = 240 + pb_random_below(random, 20);
        for (uint64_t i = 0; i < run; i++)
            pb_buffer_append_char(&key, 'x');
        uint64_t more = pb_random_below(random, 6);
        for (uint64_t i = 0; i < more; i++)
            pb_buffer_append_text(&key, pieces[pb_random_below(random, 11)]);
    }
    keys_add(keys, pb_buffer_slice(&key));
    pb_buffer_free(&key);
}

static void thousands_of_odd_keys_come_in_order_and_go_without_a_trace(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    pb_random random = {.state = 7};
    sorted_keys all = {0};
    add_clashing(&all);
    for (size_t i = 0; i < ODD_KEYS; i++)
        add_random(&all, &random);
    char longest[1025];
    for (size_t i = 0; i < 4; i++) {
        memset(longest, "x%\x01/"[i], 1024);
        longest[1024] = '\0';
        keys_add(&all, pb_slice_of(longest));
    }
    keys_sort(&all);
    assert_true(all.count > ODD_KEYS / 2);
    /* In an order that makes files give way to directories and not. */
    sorted_keys shuffled = {0};
    for (size_t i = 0; i < all.count; i++)
        keys_add(&shuffled, all.list[i]);
    for (size_t i = shuffled.count - 1; i > 0; i--) {
        size_t other = pb_random_below(&random, i + 1);
        pb_slice kept = shuffled.list[i];
        shuffled.list[i] = shuffled.list[other];
        shuffled.list[other] = kept;
    }
    put_all(&bucket, &shuffled);
    const unsigned page_sizes[] = {1, 2, 7, 99, 1000, 0};
    for (size_t i = 0; i < sizeof(page_sizes) / sizeof(page_sizes[0]); i++) {
        listing_form how = {.prefix = "", .keys_max = page_sizes[i]};
        assert_listing(&bucket, &all, &how);
        how.by_last_key = true;
        if (page_sizes[i] == 0)
            assert_listing(&bucket, &all, &how);
    }
    for (size_t i = 0; i < 300; i++) {
        char prefix[8] = {0};
        pb_slice key = all.list[pb_random_below(&random, all.count)];
        memcpy(prefix, key.data, key.size < 5 ? key.size : 5);
        listing_form how = {.prefix = prefix,
                            .after = all.list[pb_random_below(&random, all.count)],
                            .keys_max = 1 + (unsigned)pb_random_below(&random, 50),
                            .delimiter = i % 2 ? '/' : 0};
        assert_listing(&bucket, &all, &how);
    }
    for (size_t at = 0; at < shuffled.count; at += 500) {
        pb_store_request request = {.operation = PB_STORE_DELETE,
                                    .keys = shuffled.list + at,
                                    .key_count =
                                        shuffled.count - at < 500 ? shuffled.count - at : 500};
        assert_int_equal(pb_store_call(bucket.store, &request, NULL), 0);
    }
    assert_int_equal(count_names(bucket.directory), 0);
    bucket_close(&bucket);
    keys_free(&all);
    keys_free(&shuffled);
}

static void entries_agree_with_head(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    put_text(&bucket, "a/b", "four");
    put_text(&bucket, "a", "three");
    pb_store_request list = {.operation = PB_STORE_LIST};
    assert_int_equal(pb_store_call(bucket.store, &list, NULL), 0);
    assert_int_equal(list.page->count, 2);
    for (size_t i = 0; i < 2; i++) {
        const pb_entry *entry = &list.page->entries[i];
        pb_store_request request;
        assert_int_equal(head(&bucket, entry->key.data, &request), PB_ERROR_NONE);
        assert_int_equal(request.size, entry->size);
        assert_int_equal(request.mtime_ms, entry->mtime_ms);
        assert_true(pb_slice_equal(entry->etag, pb_slice_of(request.etag)));
    }
    pb_page_release(list.page);
    bucket_close(&bucket);
}

/* A listing of a large directory goes on from its token even when the directory changes, and begins
 * afresh when it is begun anew. */
static void a_walk_goes_on_and_a_new_one_sees_what_is_new(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    sorted_keys all = {0};
    for (unsigned i = 0; i < FLAT_KEYS; i++) {
        char key[32];
        snprintf(key, sizeof(key), "flat/%05u", i);
        keys_add(&all, pb_slice_of(key));
    }
    put_all(&bucket, &all);
    /* Old enough for its names to be kept. */
    usleep(3100 * 1000);
    for (int turn = 0; turn < 3; turn++) {
        listing_form how = {.prefix = "flat/", .keys_max = 700, .by_last_key = turn == 1};
        assert_listing(&bucket, &all, &how);
    }
    pb_store_request first = {.operation = PB_STORE_LIST};
    assert_int_equal(pb_store_call(bucket.store, &first, NULL), 0);
    delete_key(&bucket, "flat/01500");
    delete_key(&bucket, "flat/02000");
    pb_store_request second = {.operation = PB_STORE_LIST, .list = {.token = first.page->token}};
    assert_int_equal(pb_store_call(bucket.store, &second, NULL), 0);
    assert_true(pb_slice_equal(second.page->entries[500].key, PB_SLICE_LITERAL("flat/01501")));
    put_text(&bucket, "flat/01500", "new");
    pb_store_request again = {.operation = PB_STORE_LIST,
                              .list = {.after = PB_SLICE_LITERAL("flat/01499"), .keys_max = 1}};
    assert_int_equal(pb_store_call(bucket.store, &again, NULL), 0);
    assert_true(pb_slice_equal(again.page->entries[0].key, PB_SLICE_LITERAL("flat/01500")));
    pb_page_release(first.page);
    pb_page_release(second.page);
    pb_page_release(again.page);
    /* Far more walks than are kept, taken up in turn. */
    enum { WALKS = 100 };
    pb_page *pages[WALKS];
    for (size_t turn = 0; turn < 3; turn++) {
        for (size_t i = 0; i < WALKS; i++) {
            pb_store_request request = {.operation = PB_STORE_LIST, .list = {.keys_max = 2}};
            if (turn)
                request.list.token = pages[i]->token;
            assert_int_equal(pb_store_call(bucket.store, &request, NULL), 0);
            assert_int_equal(request.page->count, 2);
            assert_true(pb_slice_equal(request.page->entries[1].key, all.list[2 * turn + 1]));
            if (turn)
                pb_page_release(pages[i]);
            pages[i] = request.page;
        }
    }
    for (size_t i = 0; i < WALKS; i++)
        pb_page_release(pages[i]);
    bucket_close(&bucket);
    keys_free(&all);
}

static void assert_list_fails(test_bucket *bucket, const char *prefix, const char *said)
{
    pb_store_request request = {.operation = PB_STORE_LIST,
                                .list = {.prefix = pb_slice_of(prefix)}};
    pb_error error = {0};
    assert_int_equal(pb_store_call(bucket->store, &request, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_FAILED);
    if (strstr(error.message, said) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, said);
    assert_true(error.hint[0] != '\0');
}

static void what_is_no_key_is_an_error_that_names_it(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    put_text(&bucket, "good/a", "x");
    assert_int_equal(mkdir(below(&bucket, "names"), 0777), 0);
    write_file(&bucket, "names/100%.txt", "x");
    assert_list_fails(&bucket, "", "/names/100%.txt");
    assert_list_fails(&bucket, "names/", "not a name");

    assert_int_equal(mkdir(below(&bucket, "links"), 0777), 0);
    assert_int_equal(symlink("/etc/passwd", below(&bucket, "links/file")), 0);
    assert_list_fails(&bucket, "links/", "/links/file: a symbolic link");
    assert_int_equal(mkdir(below(&bucket, "up"), 0777), 0);
    assert_int_equal(symlink("/etc", below(&bucket, "up/etc")), 0);
    assert_list_fails(&bucket, "up/", "/up/etc: a symbolic link");
    assert_list_fails(&bucket, "up/etc/", "a symbolic link");

    assert_int_equal(mkdir(below(&bucket, "devices"), 0777), 0);
    assert_int_equal(mkfifo(below(&bucket, "devices/fifo"), 0666), 0);
    assert_list_fails(&bucket, "devices/", "/devices/fifo: neither");
    assert_int_equal(mkdir(below(&bucket, "sockets"), 0777), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.80s", below(&bucket, "sockets/s"));
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    close(listener);
    assert_list_fails(&bucket, "sockets/", "/sockets/s: neither");

    assert_int_equal(mkdir(below(&bucket, "d%more"), 0777), 0);
    write_file(&bucket, "d%more/short", "x");
    assert_list_fails(&bucket, "d", "/d%more/short: not a name");

    /* What lies outside the prefix, and before the beginning, is not looked at. */
    sorted_keys listed = {0};
    listing_form how = {.prefix = "good/"};
    assert_int_equal(list_all(&bucket, &how, &listed), PB_ERROR_NONE);
    assert_int_equal(listed.count, 1);
    how = (listing_form){.prefix = "", .after = PB_SLICE_LITERAL("v")};
    assert_int_equal(list_all(&bucket, &how, &listed), PB_ERROR_NONE);
    assert_int_equal(listed.count, 1);
    keys_free(&listed);
    bucket_close(&bucket);
}

static void keys_too_long_to_be_are_an_error(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    char path[1100] = "";
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 180; j++)
            strcat(path, "y");
        assert_int_equal(mkdir(below(&bucket, path), 0777), 0);
        strcat(path, "/");
    }
    assert_list_fails(&bucket, "", "a key of over 1024 bytes");
    bucket_close(&bucket);
}

static void empty_directories_and_own_files_are_no_keys(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    assert_int_equal(mkdir(below(&bucket, "empty"), 0777), 0);
    assert_int_equal(mkdir(below(&bucket, "empty/deeper"), 0777), 0);
    assert_int_equal(mkdir(below(&bucket, ".pbcopy-upload-1"), 0777), 0);
    write_file(&bucket, ".pbcopy-upload-1/00001", "x");
    write_file(&bucket, "empty/.pbcopy-tmp-1", "x");
    for (int grouped = 0; grouped < 2; grouped++) {
        pb_store_request request = {.operation = PB_STORE_LIST,
                                    .list = {.delimiter = grouped ? '/' : 0}};
        assert_int_equal(pb_store_call(bucket.store, &request, NULL), 0);
        assert_int_equal(request.page->count + request.page->prefix_count, 0);
        assert_false(request.page->more);
        pb_page_release(request.page);
    }
    bucket_close(&bucket);
}

static void a_missing_root_is_not_found(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    assert_int_equal(rmdir(bucket.directory), 0);
    sorted_keys listed = {0};
    listing_form how = {.prefix = ""};
    assert_int_equal(list_all(&bucket, &how, &listed), PB_ERROR_NOT_FOUND);
    keys_free(&listed);
    bucket_close(&bucket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_size_gives_all_keys_in_order),
        cmocka_unit_test(prefixes_groups_and_beginnings_agree_with_the_sorted_keys),
        cmocka_unit_test(thousands_of_odd_keys_come_in_order_and_go_without_a_trace),
        cmocka_unit_test(entries_agree_with_head),
        cmocka_unit_test(a_walk_goes_on_and_a_new_one_sees_what_is_new),
        cmocka_unit_test(what_is_no_key_is_an_error_that_names_it),
        cmocka_unit_test(keys_too_long_to_be_are_an_error),
        cmocka_unit_test(empty_directories_and_own_files_are_no_keys),
        cmocka_unit_test(a_missing_root_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
