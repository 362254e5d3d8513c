/* Uploads of unknown length, into a directory as a bucket. */
#include "copier/transfer/upload.h"

#include "base/hash.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1024 * 1024 };

typedef struct place {
    char root[64];
    uv_loop_t loop;
    pb_store_config *config;
    pb_store *store;
    /* of the upload under way */
    bool over, in_call;
    unsigned drained;
    uint64_t bytes;
    uint8_t sha256[PB_SHA256_BYTES];
    pb_error error;
} place;

static int open_place(void **state)
{
    place *here = calloc(1, sizeof *here);
    pb_location location;
    pb_error error = {0};
    snprintf(here->root, sizeof here->root, "/tmp/pbcopy-test-XXXXXX");
    assert_non_null(mkdtemp(here->root));
    char url[96];
    snprintf(url, sizeof url, "file://%s", here->root);
    assert_int_equal(pb_location_parse(url, &location, &error), 0);
    uv_loop_init(&here->loop);
    const pb_store_resolve_options options = {.role = "repository"};
    assert_int_equal(pb_store_resolve(&location, &options, &here->config, &error), 0);
    assert_int_equal(pb_store_open(here->config, &here->loop, NULL, &here->store, &error), 0);
    pb_location_free(&location);
    *state = here;
    return 0;
}

static int close_place(void **state)
{
    place *here = *state;
    char command[128];
    pb_store_close(here->store);
    pb_store_config_free(here->config);
    uv_run(&here->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&here->loop), 0);
    snprintf(command, sizeof command, "rm -rf %s", here->root);
    int failed = system(command);
    free(here);
    return failed;
}

static void on_drained(void *context)
{
    place *here = context;
    assert_false(here->in_call);
    here->drained++;
}

static void on_done(void *context, const pb_upload *upload, const pb_error *error)
{
    place *here = context;
    assert_false(here->in_call);
    assert_false(here->over);
    here->over = true;
    here->error = *error;
    here->bytes = pb_upload_bytes(upload);
    pb_upload_sha256(upload, here->sha256);
}

static pb_upload *start(place *here, const char *key)
{
    const pb_upload_options options = {
        .loop = &here->loop,
        .store = here->store,
        .key = pb_slice_of(key),
        .drained = on_drained,
        .done = on_done,
        .context = here,
    };
    here->over = false;
    here->drained = 0;
    return pb_upload_start(&options);
}

/* Writes `size` bytes in odd pieces, waiting where it is full; the whole in *ret_bytes. */
static void write_all(place *here, pb_upload *upload, size_t size, pb_buffer *ret_bytes)
{
    for (size_t i = 0; i < size; i++)
        pb_buffer_append_char(ret_bytes, (char)(i * 31 + i / 251));
    for (size_t at = 0; at < size;) {
        size_t piece = size - at < 99991 ? size - at : 99991;
        here->in_call = true;
        pb_upload_write(upload, ret_bytes->data + at, piece);
        here->in_call = false;
        at += piece;
        while (pb_upload_is_full(upload) && !here->over)
            uv_run(&here->loop, UV_RUN_ONCE);
    }
    here->in_call = true;
    pb_upload_end(upload);
    here->in_call = false;
    while (!here->over)
        uv_run(&here->loop, UV_RUN_ONCE);
}

static void round_trip(place *here, const char *key, size_t size)
{
    pb_buffer wanted = {0}, read = {0};
    uint8_t digest[PB_SHA256_BYTES];
    write_all(here, start(here, key), size, &wanted);
    if (here->error.kind)
        fail_msg("%s", here->error.message);
    assert_true(here->bytes == size);
    pb_sha256(wanted.data, wanted.size, digest);
    assert_memory_equal(here->sha256, digest, sizeof digest);
    pb_error error = {0};
    assert_int_equal(pb_store_read(here->store, pb_slice_of(key), size + 1, &read, &error), 0);
    assert_true(pb_slice_equal(pb_buffer_slice(&read), pb_buffer_slice(&wanted)));
    pb_buffer_free(&wanted);
    pb_buffer_free(&read);
}

static void test_sizes(void **state)
{
    round_trip(*state, "a/nothing", 0);
    round_trip(*state, "a/one", 1);
    round_trip(*state, "a/small", 3 * MIB);
    round_trip(*state, "a/one-part", 8 * MIB);
    round_trip(*state, "a/parts", 35 * MIB + 7);
    assert_true(((place *)*state)->drained > 0);
}

static void abort_after(place *here, size_t size)
{
    pb_error why, absent = {0};
    pb_upload *upload = start(here, "b/aborted");
    char piece[64 * 1024] = {0};
    pb_error_set(&why, PB_ERROR_DAMAGED, "for a reason");
    for (size_t at = 0; at < size; at += sizeof piece) {
        pb_upload_write(upload, piece, sizeof piece);
        while (pb_upload_is_full(upload))
            uv_run(&here->loop, UV_RUN_ONCE);
    }
    here->in_call = true;
    pb_upload_abort(upload, &why);
    here->in_call = false;
    while (!here->over)
        uv_run(&here->loop, UV_RUN_ONCE);
    assert_int_equal(here->error.kind, PB_ERROR_DAMAGED);
    assert_string_equal(here->error.message, "for a reason");
    pb_buffer read = {0};
    assert_int_equal(pb_store_read(here->store, PB_SLICE_LITERAL("b/aborted"), MIB, &read, &absent),
                     -1);
    assert_int_equal(absent.kind, PB_ERROR_NOT_FOUND);
    pb_buffer_free(&read);
}

static void test_abort(void **state)
{
    abort_after(*state, 0);
    abort_after(*state, MIB);
    abort_after(*state, 20 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, open_place, close_place),
        cmocka_unit_test_setup_teardown(test_abort, open_place, close_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
