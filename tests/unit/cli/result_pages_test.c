/* Whole results, as text and as JSON, against the pages in results/: what a user sees, and what
 * programs read, does not change by accident. */
#include "cli/result_json.h"
#include "cli/result_text.h"
#include "tests/unit/cli/result_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char empty[] = "", name_space[] = "prod";

static void assert_page(const char *name, const char *ending, const char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/unit/cli/results/%s.%s", getenv("SOURCE_DIR"), name,
             ending);
#ifdef WRITE_PAGES
    FILE *out = fopen(path, "we");
    fputs(text, out);
    fclose(out);
#endif
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    static char page[32 * 1024];
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, page);
}

static void assert_pages(const char *name, pb_buffer *text, json_t *object)
{
    char *json = json_dumps(object, JSON_INDENT(1) | JSON_SORT_KEYS);
    pb_buffer line = {0};
    pb_buffer_append_format(&line, "%s\n", json);
    assert_page(name, "json", line.data);
    assert_page(name, "txt", text->data);
    free(json);
    pb_buffer_free(&line);
    pb_buffer_free(text);
    json_decref(object);
}

static void check_backup(const char *name, const pb_backup_result *result,
                         const pb_options *options)
{
    pb_buffer text = {0};
    json_t *object = json_object();
    pb_text_backup(&text, result, options);
    pb_json_add_backup(object, result);
    assert_pages(name, &text, object);
}

static void check_restore(const char *name, const pb_restore_result *result,
                          const pb_options *options)
{
    pb_buffer text = {0};
    json_t *object = json_object();
    pb_text_restore(&text, result, options);
    pb_json_add_restore(object, result);
    assert_pages(name, &text, object);
}

static void check_verify(const char *name, const pb_verify_result *result,
                         const pb_options *options)
{
    pb_buffer text = {0};
    json_t *object = json_object();
    pb_text_verify(&text, result, options);
    pb_json_add_verify(object, result);
    assert_pages(name, &text, object);
}

static void check_copy(const char *name, const pb_copy_result *result, const pb_options *options)
{
    pb_buffer text = {0};
    json_t *object = json_object();
    pb_text_copy(&text, result, options);
    pb_json_add_copy(object, result);
    assert_pages(name, &text, object);
}

static void check_show(const char *name, const pb_snapshot_file *file, const pb_options *options)
{
    (void)options;
    pb_buffer text = {0};
    json_t *object = json_object();
    pb_text_snapshot(&text, file);
    json_object_set_new(object, "snapshot", pb_json_of_snapshot(file, true));
    assert_pages(name, &text, object);
}

static void a_backup(void **state)
{
    (void)state;
    pb_options options = {.command = PB_COMMAND_BACKUP};
    pb_backup_result result = sample_backup();
    check_backup("backup", &result, &options);
    result.resumed = false;
    result.server_side = false;
    result.snapshot.cluster = NULL;
    result.snapshot.copied_objects = result.snapshot.objects;
    result.snapshot.copied_bytes = result.snapshot.bytes;
    result.snapshot.base[0] = '\0';
    result.snapshot.prefix = empty;
    check_backup("backup_full", &result, &options);
    result.snapshot.objects = result.snapshot.copied_objects = 0;
    check_backup("backup_of_nothing", &result, &options);
    result = (pb_backup_result){.elapsed_ms = 5};
    json_t *object = json_object();
    pb_json_add_backup(object, &result);
    char *json = json_dumps(object, JSON_INDENT(1) | JSON_SORT_KEYS);
    assert_page("backup_that_failed", "json", json);
    free(json);
    json_decref(object);
}

static void a_dry_run_of_a_backup(void **state)
{
    (void)state;
    pb_options options = {.command = PB_COMMAND_BACKUP, .dry_run = true};
    pb_backup_result result = sample_backup();
    result.downtime_expected_ms = 48000;
    check_backup("backup_dry_run", &result, &options);
}

static void a_restore(void **state)
{
    (void)state;
    pb_options options = {.command = PB_COMMAND_RESTORE,
                          .prefix = "a\tb/",
                          .name_space = "again",
                          .is_cluster = true};
    pb_restore_result result = sample_restore();
    check_restore("restore", &result, &options);
    options.dry_run = true;
    check_restore("restore_dry_run", &result, &options);
    options = (pb_options){.command = PB_COMMAND_RESTORE};
    result = (pb_restore_result){.snapshot = sample_snapshot(),
                                 .objects = 5,
                                 .written_objects = 5,
                                 .written_bytes = 7 << 20,
                                 .elapsed_ms = 1000};
    result.snapshot.cluster = NULL;
    check_restore("restore_of_a_bucket", &result, &options);
}

static void a_verify(void **state)
{
    (void)state;
    pb_options options = {.command = PB_COMMAND_VERIFY, .prefix = "a\tb/", .read = true};
    pb_verify_result result = sample_verify();
    check_verify("verify_read", &result, &options);
    options = (pb_options){.command = PB_COMMAND_VERIFY};
    result = (pb_verify_result){.snapshot = sample_snapshot(), .objects = 5553, .elapsed_ms = 100};
    result.snapshot.cluster = NULL;
    check_verify("verify", &result, &options);
    options.read = true;
    check_verify("verify_read_of_nothing", &result, &options);
}

static void a_copy(void **state)
{
    (void)state;
    pb_options options = {.command = PB_COMMAND_COPY, .prefix = "a\tb/"};
    pb_copy_result result = sample_copy();
    check_copy("copy", &result, &options);
    options = (pb_options){.command = PB_COMMAND_COPY, .dry_run = true};
    check_copy("copy_dry_run", &result, &options);
    options.dry_run = false;
    result = (pb_copy_result){
        .objects = 3, .copied_objects = 3, .copied_bytes = 9 << 20, .elapsed_ms = 3000};
    check_copy("copy_of_all", &result, &options);
}

static void a_snapshot(void **state)
{
    (void)state;
    pb_options options = {.command = PB_COMMAND_SHOW};
    pb_snapshot_file file = sample_snapshot();
    check_show("show", &file, &options);
    pb_cluster_record bare = {
        .name_space = name_space,
        .pachyderm_version = empty,
        .database_name = empty,
        .database_version = empty,
        .kubernetes = empty,
        .velero_backup = empty,
    };
    file.cluster = &bare;
    file.base[0] = '\0';
    check_show("show_bare_cluster", &file, &options);
    file.cluster = NULL;
    file.prefix = empty;
    check_show("show_bucket", &file, &options);
}

static void the_entries_of_a_catalogue(void **state)
{
    (void)state;
    pb_snapshot_file file = sample_snapshot(), nothing = {.id = "20261124T052049Z-0000"};
    const pb_catalogue_entry entries[] = {
        {.file = &file, .committed = true, .name_space = "prod"},
        {.file = &file, .abandoned = true},
        {.file = &nothing},
        {.file = &nothing, .committed = true, .flaw = "not JSON"},
    };
    json_t *array = json_array();
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        json_array_append_new(array, pb_json_of_entry(&entries[i]));
    char *json = json_dumps(array, JSON_INDENT(1) | JSON_SORT_KEYS);
    assert_page("snapshots", "json", json);
    free(json);
    json_decref(array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backup),
        cmocka_unit_test(a_dry_run_of_a_backup),
        cmocka_unit_test(a_restore),
        cmocka_unit_test(a_verify),
        cmocka_unit_test(a_copy),
        cmocka_unit_test(a_snapshot),
        cmocka_unit_test(the_entries_of_a_catalogue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
