#include "copier/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

/* What store.c adds to any driver, over a directory. */
typedef struct fixture {
    char directory[64];
    uv_loop_t loop;
    pb_store_config *config;
    pb_store *store;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    char url[128];
    pb_location location;
    pb_store_resolve_options options = {.role = "repository"};
    strcpy(f.directory, "/tmp/pbcopy-store-XXXXXX");
    assert_non_null(mkdtemp(f.directory));
    snprintf(url, sizeof url, "file://%s/bucket", f.directory);
    assert_int_equal(uv_loop_init(&f.loop), 0);
    assert_int_equal(pb_location_parse(url, &location, NULL), 0);
    assert_int_equal(pb_store_resolve(&location, &options, &f.config, NULL), 0);
    pb_location_free(&location);
    assert_int_equal(pb_store_open(f.config, &f.loop, NULL, &f.store, NULL), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char command[128];
    pb_store_close(f->store);
    pb_store_config_free(f->config);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", f->directory);
    return system(command);
}

static void names_itself(void **state)
{
    fixture *f = *state;
    char wanted[128];
    snprintf(wanted, sizeof wanted, "repository file://%s/bucket/", f->directory);
    assert_string_equal(pb_store_name(f->store), wanted);
    assert_int_equal(pb_store_location(f->store)->kind, PB_STORE_FILE);
    assert_true(pb_store_copies_from(f->store, f->store));
}

static void writes_and_reads_small_objects(void **state)
{
    fixture *f = *state;
    pb_slice key = PB_SLICE_LITERAL("a/b"), body = PB_SLICE_LITERAL("hello");
    pb_error error = {0};
    pb_buffer read = {0};
    assert_int_equal(pb_store_write(f->store, key, body, true, &error), 0);
    assert_int_equal(pb_store_write(f->store, key, body, true, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_EXISTS);
    assert_int_equal(pb_store_write(f->store, key, body, false, &error), 0);
    pb_buffer_append_text(&read, "> ");
    assert_int_equal(pb_store_read(f->store, key, 5, &read, &error), 0);
    assert_string_equal(read.data, "> hello");
    assert_int_equal(pb_store_read(f->store, key, 4, &read, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_int_equal(pb_store_read(f->store, PB_SLICE_LITERAL("none"), 4, &read, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_NOT_FOUND);
    assert_int_equal(pb_store_read(f->store, PB_SLICE_LITERAL("none"), 4, &read, NULL), -1);
    pb_buffer_free(&read);
}

static void note_done(pb_store_request *request)
{
    (void)request;
    fail_msg("pb_store_call answers by returning");
}

static void calls_give_the_request_back(void **state)
{
    fixture *f = *state;
    int context;
    pb_store_request request = {.operation = PB_STORE_HEAD,
                                .key = PB_SLICE_LITERAL("none"),
                                .done = note_done,
                                .context = &context};
    pb_error error = {0};
    assert_int_equal(pb_store_call(f->store, &request, &error), -1);
    assert_int_equal(error.kind, request.error.kind);
    assert_string_equal(error.message, request.error.message);
    assert_ptr_equal(request.done, note_done);
    assert_ptr_equal(request.context, &context);
}

/* ---- what a store is found out to do ---- */

static void open_s3(fixture *f, pb_http *http, const char *url, pb_store_config **ret_config,
                    pb_store **ret_store)
{
    pb_location location;
    pb_store_resolve_options options = {.role = "source"};
    assert_int_equal(pb_location_parse(url, &location, NULL), 0);
    assert_int_equal(pb_store_resolve(&location, &options, ret_config, NULL), 0);
    pb_location_free(&location);
    assert_int_equal(pb_store_open(*ret_config, &f->loop, http, ret_store, NULL), 0);
}

static void findings_hold_for_all_loops_of_a_store(void **state)
{
    fixture *f = *state;
    enum { STORES = 4 };
    static const char *const urls[STORES] = {
        "s3://a?endpoint=http://127.0.0.1:9&anonymous=true",
        "s3://b?endpoint=http://127.0.0.1:9&anonymous=true",
        "s3://a?endpoint=http://127.0.0.2:9&anonymous=true",
        "s3://a?endpoint=http://127.0.0.2:9&anonymous=true&opaqueETags=true",
    };
    pb_store_config *configs[STORES];
    pb_store *stores[STORES], *twin;
    pb_http *http;
    pb_http_options options = pb_http_options_default();
    assert_int_equal(pb_http_open(&f->loop, &options, &http, NULL), 0);
    for (int i = 0; i < STORES; i++)
        open_s3(f, http, urls[i], &configs[i], &stores[i]);
    assert_int_equal(pb_store_open(configs[0], &f->loop, http, &twin, NULL), 0);

    for (int i = 0; i < STORES; i++) {
        const pb_store_capabilities *capabilities = pb_store_capabilities_of(stores[i]);
        assert_int_equal(capabilities->etag_is_md5, i < 3);
        assert_int_equal(capabilities->part_etags_are_md5, i < 3);
        assert_true(capabilities->etag_is_kept);
        assert_int_equal(pb_store_findings_of(configs[i]).opaque_etags, i == 3);
    }
    pb_store_share_etags(stores[0], stores[1]); /* nothing is known */
    assert_true(pb_store_capabilities_of(stores[1])->etag_is_md5);

    pb_store_know(configs[0],
                  &(pb_store_findings){.opaque_etags = true, .wants_content_md5 = true});
    assert_false(pb_store_capabilities_of(stores[0])->etag_is_md5);
    assert_false(pb_store_capabilities_of(twin)->etag_is_md5);
    assert_true(pb_store_capabilities_of(twin)->etag_is_kept);
    assert_true(pb_store_findings_of(configs[0]).wants_content_md5);
    assert_false(pb_store_refuses_copy(configs[0], PB_STORE_COPY));
    pb_store_know(configs[0], &(pb_store_findings){.refuses_copies = true}); /* the rest stays */
    assert_true(pb_store_findings_of(configs[0]).opaque_etags);
    assert_true(pb_store_refuses_copy(configs[0], PB_STORE_COPY));
    assert_true(pb_store_refuses_copy(configs[0], PB_STORE_MULTIPART_COPY));

    pb_store_share_etags(stores[0], stores[1]);
    pb_store_share_etags(stores[0], stores[2]); /* another store */
    pb_store_share_etags(stores[0], f->store);
    assert_false(pb_store_capabilities_of(stores[1])->etag_is_md5);
    assert_false(pb_store_refuses_copy(configs[1], PB_STORE_COPY));
    assert_true(pb_store_capabilities_of(stores[2])->etag_is_md5);

    pb_store_know(configs[2], &(pb_store_findings){.opaque_etags = true, .unkept_etags = true});
    assert_false(pb_store_capabilities_of(stores[2])->etag_is_kept);
    pb_store_share_etags(stores[2], stores[3]);
    assert_true(pb_store_findings_of(configs[3]).unkept_etags);
    pb_store_share_etags(stores[1], stores[0]); /* no step back */
    assert_true(pb_store_findings_of(configs[0]).opaque_etags);

    pb_store_close(twin);
    for (int i = 0; i < STORES; i++) {
        pb_store_close(stores[i]);
        pb_store_config_free(configs[i]);
    }
    pb_http_close(http);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_and_reads_small_objects, set_up, tear_down),
        cmocka_unit_test_setup_teardown(calls_give_the_request_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(findings_hold_for_all_loops_of_a_store, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
