#include "base/random.h"
#include "bench/origin/bucket.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { KEYS = 100000, KEY_BYTES = 24 };

static char (*keys)[KEY_BYTES];

static pb_slice key_at(size_t i)
{
    return (pb_slice){keys[i] + 1, (size_t)(unsigned char)keys[i][0]};
}

static int compare_keys(const void *a, const void *b)
{
    const char *left = a;
    const char *right = b;
    return pb_slice_compare((pb_slice){left + 1, (size_t)(unsigned char)left[0]},
                            (pb_slice){right + 1, (size_t)(unsigned char)right[0]});
}

/* Different keys of bytes from few values, so that many begin alike, in random order. */
static void make_keys(pb_random *random)
{
    static const unsigned char alphabet[] = {0, '/', 'a', 'b', 0x7f, 0x80, 0xff};
    keys = pb_allocate_zeroed(KEYS, sizeof(keys[0]));
    for (size_t i = 0; i < KEYS; i++) {
        size_t size = 1 + (size_t)pb_random_below(random, 12);
        for (size_t j = 0; j < size; j++) {
            keys[i][1 + j] = (char)alphabet[pb_random_below(random, sizeof(alphabet))];
        }
        /* A number in base 256 makes it the only one. */
        keys[i][1 + size] = (char)(i >> 16);
        keys[i][2 + size] = (char)(i >> 8);
        keys[i][3 + size] = (char)i;
        keys[i][0] = (char)(size + 3);
    }
}

static pb_origin_object *object_of(pb_slice key, uint64_t size)
{
    pb_origin_object *object = pb_origin_object_new(key);
    object->is_synthetic = true;
    object->size = size;
    return object;
}

static void assert_order(const pb_origin_bucket *bucket, size_t first, size_t step)
{
    pb_origin_cursor cursor = pb_origin_bucket_seek(bucket, (pb_slice){"", 0}, false);
    size_t i = first;
    for (const pb_origin_object *object; (object = pb_origin_cursor_next(&cursor)); i += step) {
        assert_true(i < KEYS);
        assert_true(pb_slice_equal(pb_origin_object_key(object), key_at(i)));
    }
    assert_true(i >= KEYS);
}

static void agrees_with_a_sorted_array(void **state)
{
    (void)state;
    pb_random random = {42};
    pb_origin_bucket *bucket = pb_origin_bucket_new(PB_SLICE_LITERAL("b"), 0);
    make_keys(&random);
    for (size_t i = 0; i < KEYS; i++) {
        pb_origin_bucket_put(bucket, object_of(key_at(i), 10));
    }
    assert_int_equal(bucket->object_count, KEYS);
    assert_int_equal(bucket->object_bytes, 10 * KEYS);
    qsort(keys, KEYS, sizeof(keys[0]), compare_keys);
    assert_order(bucket, 0, 1);
    for (size_t i = 0; i < KEYS; i += 7) {
        pb_origin_cursor at = pb_origin_bucket_seek(bucket, key_at(i), false);
        pb_origin_cursor after = pb_origin_bucket_seek(bucket, key_at(i), true);
        const pb_origin_object *same = pb_origin_cursor_next(&at);
        const pb_origin_object *next = pb_origin_cursor_next(&after);
        assert_ptr_equal(same, pb_origin_bucket_find(bucket, key_at(i)));
        assert_true(i + 1 == KEYS ? !next
                                  : pb_slice_equal(pb_origin_object_key(next), key_at(i + 1)));
        /* A key that is not there: the one before, made longer by the least byte. */
        char longer[KEY_BYTES + 1];
        memcpy(longer, key_at(i).data, key_at(i).size);
        longer[key_at(i).size] = 0;
        pb_slice missing = {longer, key_at(i).size + 1};
        if (i + 1 < KEYS && !pb_slice_equal(missing, key_at(i + 1))) {
            assert_null(pb_origin_bucket_find(bucket, missing));
            at = pb_origin_bucket_seek(bucket, missing, false);
            assert_ptr_equal(pb_origin_cursor_next(&at), next);
        }
    }
    /* Replacing keeps the count; removing every other key, then all, keeps the order. */
    for (size_t i = 0; i < KEYS; i += 3) {
        pb_origin_bucket_put(bucket, object_of(key_at(i), 11));
    }
    assert_int_equal(bucket->object_count, KEYS);
    assert_int_equal(bucket->object_bytes, 10 * KEYS + (KEYS + 2) / 3);
    assert_order(bucket, 0, 1);
    for (size_t i = 0; i < KEYS; i += 2) {
        assert_true(pb_origin_bucket_remove(bucket, key_at(i)));
        assert_false(pb_origin_bucket_remove(bucket, key_at(i)));
    }
    assert_order(bucket, 1, 2);
    for (size_t i = 1; i < KEYS; i += 2) {
        assert_true(pb_origin_bucket_remove(bucket, key_at(i)));
    }
    assert_int_equal(bucket->object_count, 0);
    assert_int_equal(bucket->object_bytes, 0);
    assert_int_equal(bucket->height, 0);
    pb_origin_bucket_put(bucket, object_of(key_at(5), 1));
    assert_non_null(pb_origin_bucket_find(bucket, key_at(5)));
    pb_origin_bucket_free(bucket);
    free(keys);
}

static void lists_as_a_walk_of_folders(void **state)
{
    (void)state;
    static const char *const walk[] = {"a",     "a/", "a/b",  "a/b/c", "a/b-",        "a/\xc3\xa4",
                                       "a\x01", "a-", "a-/b", "a.b",   "a\xc3\xa4/b", "b"};
    enum { WALK_KEYS = sizeof(walk) / sizeof(*walk) };
    pb_origin_bucket *bucket = pb_origin_bucket_new(PB_SLICE_LITERAL("b"), 0);
    bucket->order = PB_ORIGIN_ORDER_FOLDERS;
    for (size_t i = 0; i < WALK_KEYS; i++) {
        pb_origin_bucket_put(bucket, object_of(pb_slice_of(walk[i * 5 % WALK_KEYS]), 1));
    }
    for (size_t from = 0; from < WALK_KEYS; from++) {
        pb_origin_cursor cursor = pb_origin_bucket_seek(bucket, pb_slice_of(walk[from]), true);
        assert_non_null(pb_origin_bucket_find(bucket, pb_slice_of(walk[from])));
        for (size_t i = from + 1; i < WALK_KEYS; i++) {
            const pb_origin_object *object = pb_origin_cursor_next(&cursor);
            assert_non_null(object);
            assert_true(pb_slice_equal(pb_origin_object_key(object), pb_slice_of(walk[i])));
        }
        assert_null(pb_origin_cursor_next(&cursor));
    }
    pb_origin_bucket_free(bucket);
}

/* Puts and removes at random against a table of what should be there. */
static void agrees_under_random_change(void **state)
{
    (void)state;
    enum { NUMBERS = 5000 };
    pb_random random = {9};
    bool *there = pb_allocate_zeroed(NUMBERS, sizeof(*there));
    pb_origin_bucket *bucket = pb_origin_bucket_new(PB_SLICE_LITERAL("b"), 0);
    for (int round = 0; round < 300000; round++) {
        char text[8];
        size_t number = (size_t)pb_random_below(&random, NUMBERS);
        pb_slice key = {text, (size_t)snprintf(text, sizeof(text), "%05zu", number)};
        /* Long runs of one kind empty and refill whole leaves. */
        if ((round / 20000) % 2 == 0 ? pb_random_below(&random, 8) : !pb_random_below(&random, 8)) {
            pb_origin_bucket_put(bucket, object_of(key, 1));
            there[number] = true;
        } else {
            assert_int_equal(pb_origin_bucket_remove(bucket, key), there[number]);
            there[number] = false;
        }
    }
    pb_origin_cursor cursor = pb_origin_bucket_seek(bucket, (pb_slice){"", 0}, false);
    for (size_t number = 0; number < NUMBERS; number++) {
        if (there[number]) {
            char text[8];
            snprintf(text, sizeof(text), "%05zu", number);
            const pb_origin_object *object = pb_origin_cursor_next(&cursor);
            assert_non_null(object);
            assert_true(pb_slice_equal(pb_origin_object_key(object), pb_slice_of(text)));
        }
    }
    assert_null(pb_origin_cursor_next(&cursor));
    pb_origin_bucket_free(bucket);
    free(there);
}

static void keys_in_order_fill_leaves(void **state)
{
    (void)state;
    pb_origin_bucket *bucket = pb_origin_bucket_new(PB_SLICE_LITERAL("b"), 0);
    for (int i = 0; i < KEYS; i++) {
        char text[16];
        pb_slice key = {text, (size_t)snprintf(text, sizeof(text), "%010d", i)};
        pb_origin_bucket_put(bucket, object_of(key, 1));
    }
    assert_true(bucket->height <= 2);
    pb_origin_bucket_free(bucket);
}

static void contents_share_and_flatten(void **state)
{
    (void)state;
    pb_origin_content *bytes = pb_origin_content_new_bytes(4);
    bytes = pb_origin_content_append(bytes, "0123456789", 10);
    pb_origin_content *synthetic = pb_origin_content_new_synthetic(3, 100);
    pb_origin_content *first = pb_origin_content_new_pieces();
    pb_origin_content_append_piece(first, bytes, 2, 6);
    pb_origin_content_append_piece(first, synthetic, 5, 50);
    pb_origin_content *second = pb_origin_content_new_pieces();
    pb_origin_content_append_piece(second, first, 3, 20);
    assert_int_equal(second->piece_count, 2);
    assert_int_equal(second->size, 20);
    pb_origin_content_release(first);
    pb_origin_content_release(bytes);
    pb_origin_content_release(synthetic);
    char expected[20];
    memcpy(expected, "567", 3);
    pb_origin_synthetic_bytes(3, 5, 17, expected + 3);
    char found[20];
    char scratch[4];
    bool used_scratch;
    for (uint64_t offset = 0; offset < 20;) {
        pb_slice window = pb_origin_content_window(second, offset, 20 - offset, scratch,
                                                   sizeof(scratch), &used_scratch);
        assert_true(window.size > 0);
        memcpy(found + offset, window.data, window.size);
        offset += window.size;
    }
    assert_memory_equal(found, expected, 20);
    pb_origin_content_release(second);
}

static void synthetic_bytes_are_the_same_in_any_cut(void **state)
{
    (void)state;
    char whole[100];
    char cut[100];
    pb_origin_synthetic_bytes(77, 0, sizeof(whole), whole);
    for (size_t at = 0; at < sizeof(whole); at++) {
        pb_origin_synthetic_bytes(77, 0, at, cut);
        pb_origin_synthetic_bytes(77, at, sizeof(cut) - at, cut + at);
        assert_memory_equal(cut, whole, sizeof(whole));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_sorted_array),
        cmocka_unit_test(lists_as_a_walk_of_folders),
        cmocka_unit_test(agrees_under_random_change),
        cmocka_unit_test(keys_in_order_fill_leaves),
        cmocka_unit_test(contents_share_and_flatten),
        cmocka_unit_test(synthetic_bytes_are_the_same_in_any_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
