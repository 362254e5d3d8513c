/* The workflows over directories: backup, a second one, verify, restore, what damage is found, and
 * runs that end early. What needs a real store is in tests/integration. */
#include "snapshot/backup.h"
#include "snapshot/catalogue.h"
#include "snapshot/copy.h"
#include "snapshot/restore.h"
#include "snapshot/verify.h"

#include "base/bytes.h"
#include "copier/http/http.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { OBJECTS = 3000 };

typedef struct place {
    char root[64];
    char source[96], repository[96], restored[96];
    pb_session *session;
    char finding[32];
    char finding_key[256];
    unsigned findings;
    uint64_t cancel_at_objects; /* cancel when so many have moved; 0 never */
} place;

static void on_event(void *context, const pb_event *event)
{
    place *here = context;
    if (event->kind == PB_EVENT_FINDING) {
        here->findings++;
        snprintf(here->finding, sizeof here->finding, "%s", event->finding);
        snprintf(here->finding_key, sizeof here->finding_key, "%s", event->key);
    }
    if (event->kind == PB_EVENT_PROGRESS && here->cancel_at_objects &&
        event->objects >= here->cancel_at_objects)
        pb_session_cancel(here->session);
}

static void session_open(place *here)
{
    pb_session_options options = {.parallel = 16,
                                  .memory_bytes = 64 * 1024 * 1024,
                                  .loops = 2,
                                  .event = on_event,
                                  .context = here};
    pb_error error = {0};
    if (pb_session_open(&options, &here->session, &error))
        fail_msg("%s", error.message);
}

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    assert_int_equal(system(command), 0);
}

static void write_object(const place *here, const char *key, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/source/%s", here->root, key);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int set_up(void **state)
{
    place *here = calloc(1, sizeof *here);
    snprintf(here->root, sizeof here->root, "/tmp/pbcopy-test-XXXXXX");
    assert_non_null(mkdtemp(here->root));
    snprintf(here->source, sizeof here->source, "file://%s/source", here->root);
    snprintf(here->repository, sizeof here->repository, "file://%s/repository", here->root);
    snprintf(here->restored, sizeof here->restored, "file://%s/restored", here->root);
    shell("mkdir -p %s/source/a %s/source/b", here->root, here->root);
    for (int i = 0; i < OBJECTS; i++) {
        char key[64], text[64];
        snprintf(key, sizeof key, "%c/%05d", i % 2 ? 'a' : 'b', i);
        snprintf(text, sizeof text, "object %d", i);
        write_object(here, key, text);
    }
    write_object(here, "empty", "");
    session_open(here);
    *state = here;
    return 0;
}

static int tear_down(void **state)
{
    place *here = *state;
    pb_session_close(here->session);
    shell("rm -rf %s", here->root);
    free(here);
    return 0;
}

static void backup(place *here, pb_backup_result *ret_result)
{
    pb_error error = {0};
    pb_backup_options options = {.source = here->source, .repository = here->repository};
    if (pb_backup(here->session, &options, ret_result, &error))
        fail_msg("%s", error.message);
}

static int verify(place *here, bool read, pb_error *error)
{
    pb_verify_options options = {.repository = here->repository, .read = read};
    pb_verify_result result;
    here->findings = 0;
    int ended = pb_verify(here->session, &options, &result, error);
    pb_verify_result_free(&result);
    return ended;
}

static void append_record(void *context, const pb_record *record)
{
    pb_record_append(context, record);
}

static void read_records(place *here, pb_buffer *ret_text)
{
    pb_snapshot_file file = {0};
    pb_choice choice;
    pb_error error = {0};
    if (pb_catalogue_show(here->session, here->repository, &(pb_choice_options){0}, &file, &choice,
                          append_record, ret_text, &error))
        fail_msg("%s", error.message);
    pb_choice_free(&choice);
    pb_snapshot_file_free(&file);
}

static void test_backup_verify_restore(void **state)
{
    place *here = *state;
    pb_backup_result first, second;
    pb_error error = {0};
    backup(here, &first);
    assert_int_equal(first.snapshot.objects, OBJECTS + 1);
    assert_int_equal(first.snapshot.copied_objects, OBJECTS + 1);
    assert_int_equal(first.snapshot.proofs_sha256, OBJECTS + 1);
    assert_int_equal(verify(here, false, &error), 0);
    assert_int_equal(verify(here, true, &error), 0);

    backup(here, &second);
    assert_string_equal(second.snapshot.base, first.snapshot.id);
    assert_int_equal(second.snapshot.copied_objects, 0);
    pb_backup_result_free(&second);

    write_object(here, "a/00001", "changed");
    write_object(here, "a/new", "new");
    shell("rm %s/source/b/00002", here->root);
    backup(here, &second);
    assert_int_equal(second.snapshot.objects, OBJECTS + 1);
    assert_int_equal(second.snapshot.copied_objects, 2);
    assert_int_equal(second.gone_objects, 1);
    assert_int_equal(verify(here, true, &error), 0);

    pb_restore_options options = {.repository = here->repository, .destination = here->restored};
    pb_restore_result restored;
    if (pb_restore(here->session, &options, &restored, &error))
        fail_msg("%s", error.message);
    assert_int_equal(restored.written_objects, OBJECTS + 1);
    pb_restore_result_free(&restored);
    shell("diff -r %s/source %s/restored", here->root, here->root);

    /* Again: all is there. The first snapshot then differs in one object and lacks another. */
    if (pb_restore(here->session, &options, &restored, &error))
        fail_msg("%s", error.message);
    assert_int_equal(restored.written_objects, 0);
    assert_int_equal(restored.present_objects, OBJECTS + 1);
    pb_restore_result_free(&restored);
    options.which.snapshot = first.snapshot.id;
    assert_int_equal(pb_restore(here->session, &options, &restored, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_FAILED);
    assert_int_equal(restored.differing_objects, 1);
    assert_int_equal(restored.extra_objects, 1);
    assert_string_equal(here->finding, "differs");
    assert_string_equal(here->finding_key, "a/00001");
    pb_restore_result_free(&restored);
    pb_backup_result_free(&first);
    pb_backup_result_free(&second);
}

static void expect_finding(place *here, bool read, const char *name, const char *key)
{
    pb_error error = {0};
    assert_int_equal(verify(here, read, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_int_equal(here->findings, 1);
    assert_string_equal(here->finding, name);
    assert_string_equal(here->finding_key, key);
}

static void test_verify_finds_damage(void **state)
{
    place *here = *state;
    pb_backup_result result;
    pb_error error = {0};
    backup(here, &result);
    char data[256];
    snprintf(data, sizeof data, "%s/repository/data/%s", here->root, result.snapshot.id);

    shell("mv %s/a/00003 %s/../../kept", data, data);
    expect_finding(here, false, "missing", "a/00003");
    expect_finding(here, true, "missing", "a/00003");
    shell("head -c 3 %s/../../kept > %s/a/00003", data, data);
    expect_finding(here, false, "truncated", "a/00003");
    shell("tr o O < %s/../../kept > %s/a/00003", data, data);
    assert_int_equal(verify(here, false, &error), 0); /* a flipped byte: only reading tells */
    expect_finding(here, true, "mismatch", "a/00003");

    /* The next backup copies again what was found, and no more; a full one copies all. */
    pb_backup_result again;
    backup(here, &again);
    assert_int_equal(again.snapshot.copied_objects, 1);
    pb_backup_result_free(&again);
    assert_int_equal(verify(here, true, &error), 0);
    pb_backup_options full = {.source = here->source, .repository = here->repository, .full = true};
    assert_int_equal(pb_backup(here->session, &full, &again, &error), 0);
    assert_int_equal(again.snapshot.copied_objects, OBJECTS + 1);
    assert_string_equal(again.snapshot.base, "");
    pb_backup_result_free(&again);
    assert_int_equal(verify(here, true, &error), 0);
    shell("rm -r %s/repository/snapshots/*/", here->root);
    pb_backup_result_free(&result);
    backup(here, &result);
    snprintf(data, sizeof data, "%s/repository/data/%s", here->root, result.snapshot.id);
    shell("cp %s/a/00003 %s/../../kept", data, data);
    shell("mv %s/../../kept %s/a/00003", data, data);
    shell("echo stray > %s/a/stray", data);
    assert_int_equal(verify(here, true, &error), 0); /* it is of nobody, and no damage */
    shell("rm %s/a/stray", data);

    shell("for f in %s/repository/snapshots/*/manifest/*; do printf x | dd of=$f bs=1 seek=40 "
          "conv=notrunc 2>/dev/null; done",
          here->root);
    assert_int_equal(verify(here, false, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_string_equal(here->finding, "manifest-damaged");
    pb_backup_result_free(&result);
}

static void test_cancelled_run_is_taken_up(void **state)
{
    place *here = *state;
    pb_backup_result result;
    pb_error error = {0};
    pb_backup_options options = {.source = here->source, .repository = here->repository};
    here->cancel_at_objects = 1;
    int ended = pb_backup(here->session, &options, &result, &error);
    assert_int_equal(ended, -1);
    assert_int_equal(error.kind, PB_ERROR_CANCELLED);
    pb_backup_result_free(&result);
    here->cancel_at_objects = 0;

    /* The session is spent. Its lease was given back: nobody has to be waited for. */
    pb_session_close(here->session);
    session_open(here);
    options.no_wait = true;
    if (pb_backup(here->session, &options, &result, &error))
        fail_msg("%s", error.message);
    assert_true(result.resumed);
    assert_int_equal(result.snapshot.objects, OBJECTS + 1);
    assert_int_equal(result.snapshot.copied_objects, OBJECTS + 1);
    assert_int_equal(verify(here, true, &error), 0);
    pb_backup_result_free(&result);

    pb_buffer records = {0};
    read_records(here, &records);
    size_t lines = 0;
    for (size_t i = 0; i < records.size; i++)
        lines += records.data[i] == '\n';
    assert_int_equal(lines, OBJECTS + 1);
    pb_buffer_free(&records);
}

static void test_refusals(void **state)
{
    place *here = *state;
    pb_backup_result result;
    pb_error error = {0};
    pb_backup_options options = {.source = here->source, .repository = here->source};
    assert_int_equal(pb_backup(here->session, &options, &result, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    pb_backup_result_free(&result);
    char inside[160];
    snprintf(inside, sizeof inside, "%s/inside", here->source);
    options.repository = inside;
    assert_int_equal(pb_backup(here->session, &options, &result, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    pb_backup_result_free(&result);
    options.repository = here->repository;
    options.source = inside;
    assert_int_equal(pb_backup(here->session, &options, &result, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_NOT_FOUND);
    pb_backup_result_free(&result);
    shell("mkdir %s/repository && echo x > %s/repository/file", here->root, here->root);
    options.source = here->source;
    assert_int_equal(pb_backup(here->session, &options, &result, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    pb_backup_result_free(&result);
    shell("rm %s/repository/file; echo '{\"pbcopy\":\"repository\",\"version\":9,\"id\":"
          "\"00000000000000000000000000000000\",\"features\":{\"create_only\":true}}' > "
          "%s/repository/pbcopy.json",
          here->root, here->root);
    assert_int_equal(pb_backup(here->session, &options, &result, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    pb_backup_result_free(&result);
}

static void test_copy_skips_what_is_there(void **state)
{
    place *here = *state;
    pb_copy_options options = {.source = here->source, .destination = here->restored};
    pb_copy_result result;
    pb_error error = {0};
    if (pb_copy(here->session, &options, &result, &error))
        fail_msg("%s", error.message);
    assert_int_equal(result.copied_objects, OBJECTS + 1);
    shell("diff -r %s/source %s/restored", here->root, here->root);
    if (pb_copy(here->session, &options, &result, &error))
        fail_msg("%s", error.message);
    assert_int_equal(result.copied_objects, 0);
    assert_int_equal(result.unchanged_objects, OBJECTS + 1);
}

int main(void)
{
    pb_http_process_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_backup_verify_restore, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_verify_finds_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancelled_run_is_taken_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_copy_skips_what_is_there, set_up, tear_down),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pb_http_process_end();
    return failed;
}
