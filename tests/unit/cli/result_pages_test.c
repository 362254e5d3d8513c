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

static void check(const char *name, const pb_fields *fields, const void *result,
                  const pb_options *options)
{
    pb_buffer text = {0};
    json_t *object = json_object();
    pb_result_text(&text, fields, result, options);
    pb_result_json(object, fields, result, options);
    assert_pages(name, &text, object);
}

static void a_backup(void **state)
{
    (void)state;
    pb_options options = {.command = PB_COMMAND_BACKUP};
    pb_backup_result result = sample_backup();
    check("backup", &pb_backup_fields, &result, &options);
    result.resumed = false;
    result.server_side = false;
    result.snapshot.cluster = NULL;
    result.snapshot.copied_objects = result.snapshot.objects;
    result.snapshot.copied_bytes = result.snapshot.bytes;
    result.snapshot.base[0] = '\0';
    result.snapshot.prefix = empty;
    result.vanished_objects = 71;
    result.changed_objects = 72;
    check("backup_full", &pb_backup_fields, &result, &options);
    result.snapshot.objects = result.snapshot.copied_objects = 0;
    check("backup_of_nothing", &pb_backup_fields, &result, &options);
    result = (pb_backup_result){.elapsed_ms = 5};
    json_t *object = json_object();
    pb_result_json(object, &pb_backup_fields, &result, &options);
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
    check("backup_dry_run", &pb_backup_fields, &result, &options);
}

static void a_restore(void **state)
{
    (void)state;
    pb_options options = {.command = PB_COMMAND_RESTORE,
                          .prefix = "a\tb/",
                          .name_space = "again",
                          .is_cluster = true};
    pb_restore_result result = sample_restore();
    check("restore", &pb_restore_fields, &result, &options);
    options.dry_run = true;
    check("restore_dry_run", &pb_restore_fields, &result, &options);
    options = (pb_options){.command = PB_COMMAND_RESTORE};
    result = (pb_restore_result){.snapshot = sample_snapshot(),
                                 .objects = 5,
                                 .written_objects = 5,
                                 .written_bytes = 7 << 20,
                                 .elapsed_ms = 1000};
    result.snapshot.cluster = NULL;
    check("restore_of_a_bucket", &pb_restore_fields, &result, &options);
}

static void a_verify(void **state)
{
    (void)state;
    pb_options options = {.command = PB_COMMAND_VERIFY, .prefix = "a\tb/", .read = true};
    pb_verify_result result = sample_verify();
    check("verify_read", &pb_verify_fields, &result, &options);
    options = (pb_options){.command = PB_COMMAND_VERIFY};
    result = (pb_verify_result){.snapshot = sample_snapshot(), .objects = 5553, .elapsed_ms = 100};
    result.snapshot.cluster = NULL;
    check("verify", &pb_verify_fields, &result, &options);
    options.read = true;
    check("verify_read_of_nothing", &pb_verify_fields, &result, &options);
}

static void a_copy(void **state)
{
    (void)state;
    pb_options options = {.command = PB_COMMAND_COPY, .prefix = "a\tb/"};
    pb_copy_result result = sample_copy();
    check("copy", &pb_copy_fields, &result, &options);
    options = (pb_options){.command = PB_COMMAND_COPY, .dry_run = true};
    check("copy_dry_run", &pb_copy_fields, &result, &options);
    options.dry_run = false;
    result = (pb_copy_result){
        .objects = 3, .copied_objects = 3, .copied_bytes = 9 << 20, .elapsed_ms = 3000};
    check("copy_of_all", &pb_copy_fields, &result, &options);
}

static void a_snapshot(void **state)
{
    (void)state;
    pb_options options = {.command = PB_COMMAND_SHOW};
    pb_snapshot_file file = sample_snapshot();
    check("show", &pb_show_fields, &file, &options);
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
    check("show_bare_cluster", &pb_show_fields, &file, &options);
    file.cluster = NULL;
    file.prefix = empty;
    file.live_until_ms = 1795411440000;
    file.changed_objects = 73;
    file.vanished_objects = 74;
    check("show_bucket", &pb_show_fields, &file, &options);
}

static void the_entries_of_a_catalogue(void **state)
{
    (void)state;
    const pb_options options = {.command = PB_COMMAND_SNAPSHOTS};
    pb_snapshot_file file = sample_snapshot(), nothing = {.id = "20261124T052049Z-0000"};
    const pb_catalogue_entry entries[] = {
        {.file = &file, .committed = true, .name_space = "prod"},
        {.file = &file, .abandoned = true},
        {.file = &nothing},
        {.file = &nothing, .committed = true, .flaw = "not JSON"},
    };
    json_t *array = json_array();
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        json_t *object = json_object();
        pb_result_json(object, &pb_entry_fields, &entries[i], &options);
        json_array_append_new(array, object);
    }
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
