/* The probe of a directory, which keeps all keys apart. Stores that do not are in
 * tests/integration/origin_path_keys.py. */
#include "snapshot/key_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void count_notes(void *context, const pb_event *event)
{
    *(unsigned *)context += event->kind == PB_EVENT_NOTE;
}

static void a_directory_keeps_all_forms(void **state)
{
    (void)state;
    char root[] = "/tmp/pbcopy-probe-XXXXXX", url[64];
    unsigned notes = 0;
    assert_non_null(mkdtemp(root));
    snprintf(url, sizeof url, "file://%s", root);
    pb_session_options options = {.parallel = 4, .event = count_notes, .context = &notes};
    pb_session *session;
    pb_store_config *config;
    pb_store *store;
    pb_key_probe probe = {.changed = 1, .refused = 1};
    pb_error error = {0};
    assert_int_equal(pb_session_open(&options, &session, &error), 0);
    assert_int_equal(pb_session_store(session, url, "destination", NULL, &config, &store, &error),
                     0);
    for (unsigned form = 1; form <= PB_KEY_UNICODE; form <<= 1) {
        if (pb_key_probe_run(session, store, form, &probe, &error))
            fail_msg("%s", error.message);
        assert_int_equal(probe.changed, 0);
        assert_int_equal(probe.refused, 0);
    }
    assert_int_equal(pb_key_probe_run(session, store, PB_KEY_PATH_FORMS, &probe, &error), 0);
    assert_int_equal(probe.changed | probe.refused, 0);
    assert_int_equal(notes, 0);
    /* Nothing of it is left. */
    pb_store_request list = {.operation = PB_STORE_LIST};
    assert_int_equal(pb_store_call(store, &list, &error), 0);
    assert_int_equal(list.page->count, 0);
    pb_page_release(list.page);
    pb_store_close(store);
    pb_store_config_free(config);
    pb_session_close(session);
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
}

static void a_store_that_cannot_be_written_to_is_an_error(void **state)
{
    (void)state;
    char path[] = "/tmp/pbcopy-probe-XXXXXX", url[64];
    assert_non_null(mkdtemp(path));
    snprintf(url, sizeof url, "file://%s", path);
    pb_session_options options = {.parallel = 4};
    pb_session *session;
    pb_store_config *config = NULL;
    pb_store *store = NULL;
    pb_key_probe probe;
    pb_error error = {0};
    assert_int_equal(pb_session_open(&options, &session, &error), 0);
    assert_int_equal(pb_session_store(session, url, "destination", NULL, &config, &store, &error),
                     0);
    /* A file takes the directory's place. */
    assert_int_equal(rmdir(path), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(pb_key_probe_run(session, store, PB_KEY_CONTROL, &probe, &error), -1);
    assert_non_null(strstr(error.message, "probing how destination"));
    pb_store_close(store);
    pb_store_config_free(config);
    pb_session_close(session);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_keeps_all_forms),
        cmocka_unit_test(a_store_that_cannot_be_written_to_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
