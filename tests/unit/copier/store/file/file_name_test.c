#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "copier/store/file/file_name.h"
#include <cmocka.h>
#include <stdlib.h>

enum { RANDOM_KEYS = 100000 };

/* Reads a path back as a listing does: component by component. */
static bool read_path(pb_slice path, pb_buffer *ret_key, bool *ret_aside)
{
    pb_buffer_clear(ret_key);
    bool first = true;
    while (path.size || first) {
        size_t size = 0;
        for (;;) { /* a component: names that go on, and one more */
            size_t start = size;
            while (size < path.size && path.data[size] != '/')
                size++;
            bool goes_on = pb_file_name_continues((pb_slice){path.data + start, size - start});
            if (!goes_on || size == path.size)
                break;
            size++;
        }
        if (!first)
            pb_buffer_append_char(ret_key, '/');
        first = false;
        if (!pb_file_component_read((pb_slice){path.data, size}, ret_key, ret_aside))
            return false;
        if (*ret_aside && size < path.size)
            return false;
        size += size < path.size;
        path = (pb_slice){path.data + size, path.size - size};
    }
    return true;
}

static void assert_safe(pb_slice path)
{
    assert_true(path.size > 0 && path.size < PB_FILE_PATH_BYTES_MAX);
    size_t start = 0;
    for (size_t i = 0; i <= path.size; i++) {
        if (i < path.size && path.data[i] != '/') {
            unsigned char c = (unsigned char)path.data[i];
            assert_true(c >= 0x20 && c != 0x7f);
            continue;
        }
        pb_slice name = {path.data + start, i - start};
        assert_in_range(name.size, 1, 255);
        assert_false(pb_slice_equal(name, PB_SLICE_LITERAL(".")));
        assert_false(pb_slice_equal(name, PB_SLICE_LITERAL("..")));
        assert_false(pb_slice_starts_with(name, PB_SLICE_LITERAL(PB_FILE_OWN_PREFIX)));
        start = i + 1;
    }
}

static void assert_round_trip(pb_slice key, bool aside, pb_buffer *path)
{
    pb_buffer back = {0};
    bool is_aside = !aside;
    pb_buffer_clear(path);
    assert_true(pb_file_path_append(path, key, aside));
    assert_safe(pb_buffer_slice(path));
    assert_true(read_path(pb_buffer_slice(path), &back, &is_aside));
    assert_int_equal(is_aside, aside);
    assert_true(pb_slice_equal(key, pb_buffer_slice(&back)));
    pb_buffer_free(&back);
}

static void odd_keys_have_the_paths_they_should(void **unused)
{
    (void)unused;
    static const struct {
        pb_slice key;
        const char *plain;
        const char *aside;
    } table[] = {
#define ROW(key, plain, aside) {{key, sizeof(key) - 1}, plain, aside}
        ROW("a", "a", "a%leaf"),
        ROW("chunk/ab12", "chunk/ab12", "chunk/ab12%leaf"),
        ROW("a b+c&d=e~", "a b+c&d=e~", "a b+c&d=e~%leaf"),
        ROW("/", "%_/%_", "%_/%_%leaf"),
        ROW("/a", "%_/a", "%_/a%leaf"),
        ROW("a/", "a/%_", "a/%_%leaf"),
        ROW("a//b", "a/%_/b", "a/%_/b%leaf"),
        ROW(".", "%2E", "%2E%leaf"),
        ROW("..", "%2E%2E", "%2E%2E%leaf"),
        ROW("...", "...", "...%leaf"),
        ROW(".a", ".a", ".a%leaf"),
        ROW("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd", "%2E%2E/%2E%2E/etc/passwd%leaf"),
        ROW(".pbcopy-tmp-1", "%2Epbcopy-tmp-1", "%2Epbcopy-tmp-1%leaf"),
        ROW(".pbcopy", ".pbcopy", ".pbcopy%leaf"),
        ROW("100%", "100%25", "100%25%leaf"),
        ROW("a%leaf", "a%25leaf", "a%25leaf%leaf"),
        ROW("a%more", "a%25more", "a%25more%leaf"),
        ROW("%_", "%25_", "%25_%leaf"),
        ROW("%2E", "%252E", "%252E%leaf"),
        ROW("\n\x7f\0z", "%0A%7F%00z", "%0A%7F%00z%leaf"),
        ROW("\xff\xc3\xa4", "\xff\xc3\xa4", "\xff\xc3\xa4%leaf"),
#undef ROW
    };
    pb_buffer path = {0};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_round_trip(table[i].key, false, &path);
        assert_string_equal(path.data, table[i].plain);
        assert_round_trip(table[i].key, true, &path);
        assert_string_equal(path.data, table[i].aside);
    }
    pb_buffer_free(&path);
}

static void every_length_of_a_component_fits(void **unused)
{
    (void)unused;
    static const char fillers[] = {'x', '%', '.', '\x01', '\xff', '/'};
    char key[PB_FILE_KEY_BYTES_MAX];
    pb_buffer path = {0};
    for (size_t filler = 0; filler < sizeof(fillers); filler++) {
        for (size_t size = 1; size <= sizeof(key); size++) {
            memset(key, fillers[filler], size);
            assert_round_trip((pb_slice){key, size}, false, &path);
            assert_round_trip((pb_slice){key, size}, true, &path);
            /* Endings that would mean something as a name of their own. */
            key[size - 1] = '.';
            assert_round_trip((pb_slice){key, size}, false, &path);
            if (size >= 8) {
                memcpy(key + size - 8, PB_FILE_OWN_PREFIX, 8);
                assert_round_trip((pb_slice){key, size}, false, &path);
                assert_round_trip((pb_slice){key, size}, true, &path);
            }
        }
    }
    memset(key, 'x', sizeof(key));
    pb_buffer_clear(&path);
    assert_true(pb_file_path_append(&path, (pb_slice){key, 255}, false));
    assert_int_equal(path.size, 255);
    pb_buffer_clear(&path);
    assert_true(pb_file_path_append(&path, (pb_slice){key, 256}, false));
    assert_string_equal(path.data + 250, "%more/xxxxxx");
    pb_buffer_clear(&path);
    assert_true(pb_file_path_append(&path, (pb_slice){key, 251}, true));
    assert_string_equal(path.data + 250, "%more/x%leaf");
    pb_buffer_free(&path);
}

static void keys_that_cannot_be_are_refused(void **unused)
{
    (void)unused;
    char key[PB_FILE_KEY_BYTES_MAX + 1];
    memset(key, 'x', sizeof(key));
    pb_buffer path = {0};
    pb_buffer_append_text(&path, "kept");
    assert_false(pb_file_path_append(&path, (pb_slice){key, sizeof(key)}, false));
    assert_false(pb_file_path_append(&path, (pb_slice){NULL, 0}, false));
    assert_string_equal(path.data, "kept");
    pb_buffer_free(&path);
}

static void foreign_names_are_not_read(void **unused)
{
    (void)unused;
    char long_name[400];
    memset(long_name, 'x', sizeof(long_name));
    memcpy(long_name + 100, "%more/xxxx", 11);
    const char *const names[] = {
        "100%.txt", "%",     "%4",          "%41",      "%2e",     "%2F",       "%25%",    "a\n",
        "%leaf",    "%more", "a%leaf%leaf", "%2Ea",     "%2E%2Ea", "a%_",       "%__",     ".%2E",
        "%00%",     "%7f",   "%80",         "a%more/b", long_name, ".pbcopy-x", "x%leafy",
    };
    pb_buffer component = {0};
    pb_buffer_append_text(&component, "kept");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        bool aside;
        if (pb_file_component_read(pb_slice_of(names[i]), &component, &aside))
            fail_msg("%s was read as %s", names[i], component.data);
        assert_string_equal(component.data, "kept");
    }
    pb_buffer_free(&component);
}

static size_t random_key(pb_random *random, char key[PB_FILE_KEY_BYTES_MAX])
{
    static const char *const pieces[] = {
        "a",    "b",    "/",    ".",        "..", "%", "_",    "%leaf", "%more", "%_",       "%2E",
        "\x01", "\x7f", "\xff", "\xc3\xa4", "-",  " ", "leaf", "/../",  "//",    ".pbcopy-",
    };
    enum { PIECES = sizeof(pieces) / sizeof(pieces[0]) };
    size_t bound = pb_random_below(random, 4) ? 12 : PB_FILE_KEY_BYTES_MAX;
    size_t wanted = 1 + pb_random_below(random, bound);
    size_t size = 0;
    while (size < wanted) {
        uint64_t choice = pb_random_below(random, PIECES + 2);
        if (choice == PIECES) {
            key[size++] = (char)pb_random_below(random, 256);
        } else if (choice == PIECES + 1) {
            for (uint64_t run = pb_random_below(random, 300); run && size < wanted; run--)
                key[size++] = 'x';
        } else {
            size_t piece = strlen(pieces[choice]);
            if (piece > PB_FILE_KEY_BYTES_MAX - size)
                break;
            memcpy(key + size, pieces[choice], piece);
            size += piece;
        }
    }
    if (size == 0)
        key[size++] = 'a';
    return size;
}

typedef struct pair {
    pb_slice key;
    pb_slice path;
} pair;

static int compare_keys(const void *a, const void *b)
{
    return pb_slice_compare(((const pair *)a)->key, ((const pair *)b)->key);
}

static int compare_paths(const void *a, const void *b)
{
    return pb_slice_compare(((const pair *)a)->path, ((const pair *)b)->path);
}

static void random_keys_have_paths_of_their_own(void **unused)
{
    (void)unused;
    pb_random random = {.state = 20261123};
    pb_arena arena = {0};
    pb_buffer path = {0};
    pair *pairs = malloc(RANDOM_KEYS * sizeof(*pairs));
    assert_non_null(pairs);
    for (size_t i = 0; i < RANDOM_KEYS; i++) {
        char key[PB_FILE_KEY_BYTES_MAX];
        pairs[i].key = pb_arena_copy(&arena, (pb_slice){key, random_key(&random, key)});
    }
    qsort(pairs, RANDOM_KEYS, sizeof(*pairs), compare_keys);
    size_t count = 0;
    for (size_t i = 0; i < RANDOM_KEYS; i++)
        if (count == 0 || !pb_slice_equal(pairs[count - 1].key, pairs[i].key))
            pairs[count++].key = pairs[i].key;
    assert_true(count > RANDOM_KEYS / 2);
    /* Both paths of each key, in one array: none twice. */
    pairs = realloc(pairs, 2 * count * sizeof(*pairs));
    assert_non_null(pairs);
    for (size_t i = 0; i < count; i++) {
        assert_round_trip(pairs[i].key, false, &path);
        pairs[i].path = pb_arena_copy(&arena, pb_buffer_slice(&path));
        assert_round_trip(pairs[i].key, true, &path);
        pairs[count + i] = (pair){pairs[i].key, pb_arena_copy(&arena, pb_buffer_slice(&path))};
    }
    qsort(pairs, 2 * count, sizeof(*pairs), compare_paths);
    for (size_t i = 1; i < 2 * count; i++)
        assert_false(pb_slice_equal(pairs[i - 1].path, pairs[i].path));
    free(pairs);
    pb_buffer_free(&path);
    pb_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_keys_have_the_paths_they_should),
        cmocka_unit_test(every_length_of_a_component_fits),
        cmocka_unit_test(keys_that_cannot_be_are_refused),
        cmocka_unit_test(foreign_names_are_not_read),
        cmocka_unit_test(random_keys_have_paths_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
