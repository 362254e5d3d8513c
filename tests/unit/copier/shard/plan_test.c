/* Cuts through buckets of several shapes, which here are directories: in order, within the keys,
 * and enough of them where the keys differ. */
#include "copier/shard/plan.h"

#include "base/codec.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WANTED = 16 };

typedef struct bucket {
    char root[64];
    uv_loop_t loop;
    pb_store_config *config;
    pb_store *store;
    pb_arena arena;
    pb_slice *cuts;
    size_t count;
} bucket;

static int set_up(void **state)
{
    bucket *here = calloc(1, sizeof *here);
    snprintf(here->root, sizeof here->root, "/tmp/pbcopy-test-XXXXXX");
    assert_non_null(mkdtemp(here->root));
    char url[96];
    snprintf(url, sizeof url, "file://%s", here->root);
    pb_location location = {0};
    pb_store_resolve_options options = {.role = "source"};
    pb_error error = {0};
    uv_loop_init(&here->loop);
    assert_int_equal(pb_location_parse(url, &location, &error), 0);
    assert_int_equal(pb_store_resolve(&location, &options, &here->config, &error), 0);
    assert_int_equal(pb_store_open(here->config, &here->loop, NULL, &here->store, &error), 0);
    pb_location_free(&location);
    *state = here;
    return 0;
}

static int tear_down(void **state)
{
    bucket *here = *state;
    char command[96];
    pb_store_close(here->store);
    uv_run(&here->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&here->loop), 0);
    pb_store_config_free(here->config);
    pb_arena_free(&here->arena);
    snprintf(command, sizeof command, "rm -rf %s", here->root);
    assert_int_equal(system(command), 0);
    free(here);
    return 0;
}

static void add_key(const bucket *here, const char *key)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", here->root, key);
    for (char *slash = path + strlen(here->root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    int file = open(path, O_CREAT | O_WRONLY, 0666);
    assert_true(file >= 0);
    close(file);
}

static void plan(bucket *here, const char *prefix)
{
    pb_error error = {0};
    if (pb_plan_cuts(here->store, pb_slice_of(prefix), WANTED, &here->arena, &here->cuts,
                     &here->count, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < here->count; i++) {
        assert_true(here->cuts[i].size > 0);
        assert_true(pb_utf8_valid(here->cuts[i]));
        assert_true(pb_slice_starts_with(here->cuts[i], pb_slice_of(prefix)));
        if (i)
            assert_true(pb_slice_compare(here->cuts[i - 1], here->cuts[i]) < 0);
    }
}

static void test_small_bucket_is_not_cut(void **state)
{
    bucket *here = *state;
    plan(here, "");
    assert_int_equal(here->count, 0);
    for (int i = 0; i < 900; i++) {
        char key[32];
        snprintf(key, sizeof key, "k%d", i);
        add_key(here, key);
    }
    plan(here, "");
    assert_int_equal(here->count, 0);
}

static void test_hash_named_keys(void **state)
{
    bucket *here = *state;
    for (unsigned i = 0; i < 2000; i++) {
        char key[32];
        snprintf(key, sizeof key, "chunk/%08x", i * 2654435761u);
        add_key(here, key);
    }
    plan(here, "");
    assert_int_equal(here->count, 15); /* between chunk/0, chunk/1, ... chunk/f */
    assert_true(pb_slice_equal(here->cuts[0], PB_SLICE_LITERAL("chunk/1")));
    plan(here, "chunk/");
    assert_int_equal(here->count, 15);
}

static void test_numbered_keys_with_a_long_common_beginning(void **state)
{
    bucket *here = *state;
    for (unsigned i = 0; i < 1500; i++) {
        char key[32];
        snprintf(key, sizeof key, "%010u", i);
        add_key(here, key);
    }
    plan(here, "");
    assert_true(here->count >= 10); /* 00000000.. to 00000014.. */
}

static void test_keys_beyond_ascii(void **state)
{
    bucket *here = *state;
    const char *stems[] = {"%01",
                           "~",
                           "%7F", /* as the file driver writes \x01 and \x7f */
                           "\xc3\xbf",
                           "\xe2\x82\xac",
                           "\xf0\x9f\x98\x80"};
    for (unsigned i = 0; i < 1200; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s%u", stems[i % 6], i);
        add_key(here, key);
    }
    plan(here, "");
    assert_true(here->count >= 5);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_small_bucket_is_not_cut),
        TEST(test_hash_named_keys),
        TEST(test_numbered_keys_with_a_long_common_beginning),
        TEST(test_keys_beyond_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
