#include "cli/help.h"
#include "cli/result_json.h"
#include "cli/result_text.h"
#include "cli/snapshot_table.h"
#include "snapshot/backup.h"
#include "snapshot/copy.h"
#include "snapshot/restore.h"
#include "snapshot/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

static char source[] = "s3://host/b\nucket/", no_prefix[] = "", program[] = "pbcopy 0";

static pb_snapshot_file snapshot(void)
{
    return (pb_snapshot_file){
        .id = "20261123T052049Z-3f9a",
        .source = source,
        .prefix = no_prefix,
        .program = program,
        .started_ms = 1795411249000,
        .committed_ms = 1795411250000,
        .objects = 1200,
        .bytes = 3 << 20,
        .copied_objects = 200,
        .copied_bytes = 1 << 20,
        .proofs_size = 1,
        .proofs_sha256 = 1199,
    };
}

static void assert_lines(pb_buffer *buffer, const char *text)
{
    assert_string_equal(buffer->data, text);
    pb_buffer_free(buffer);
}

static void a_backup(void **state)
{
    (void)state;
    pb_buffer buffer = {0};
    pb_options options = {.command = PB_COMMAND_BACKUP};
    pb_backup_result result = {.snapshot = snapshot(), .gone_objects = 7, .elapsed_ms = 1500};
    pb_result_text(&buffer, &pb_backup_fields, &result, &options);
    assert_lines(&buffer, "snapshot    20261123T052049Z-3f9a\n"
                          "source      s3://host/b?ucket/\n"
                          "base        none: everything is new\n"
                          "objects     1,200, 3.00 MiB\n"
                          "  copied    200, 1.00 MiB\n"
                          "  unchanged 1,000, 2.00 MiB\n"
                          "gone        7\n"
                          "assurance   1,199 by SHA-256, 1 by size alone\n"
                          "moved       through this machine\n"
                          "took        1.5 s\n");
    options.dry_run = true;
    pb_result_text(&buffer, &pb_backup_fields, &result, &options);
    assert_non_null(strstr(buffer.data, "snapshot    none: --dry-run wrote nothing\n"));
    assert_non_null(strstr(buffer.data, "  to copy   200, 1.00 MiB\n"));
    assert_null(strstr(buffer.data, "assurance"));
    pb_buffer_free(&buffer);
}

static void a_verify_claims_what_it_did(void **state)
{
    (void)state;
    pb_buffer buffer = {0};
    pb_options options = {0};
    pb_verify_result result = {.snapshot = snapshot(), .objects = 1200, .elapsed_ms = 100};
    pb_result_text(&buffer, &pb_verify_fields, &result, &options);
    assert_lines(&buffer,
                 "snapshot    20261123T052049Z-3f9a\n"
                 "source      s3://host/b?ucket/\n"
                 "looked at   1,200 of 1,200 objects\n"
                 "read        nothing: presence, size and ETag were compared (--read reads all)\n"
                 "findings    0\n"
                 "took        0.1 s\n");
    options.read = true;
    result.proven_sha256 = 900;
    result.proven_checksum = 100;
    result.proven_key = 150;
    result.unproven = 48;
    result.bytes_read = 2 << 20;
    result.findings = 2;
    pb_result_text(&buffer, &pb_verify_fields, &result, &options);
    assert_non_null(strstr(
        buffer.data, "every byte of 1,198 objects, 2.00 MiB: 900 by SHA-256, 100 by CRC32C, 150 by "
                     "the key's BLAKE2b, 48 of the right size but with nothing to compare "
                     "them with\nfindings    2\n"));
    pb_buffer_free(&buffer);
}

static void a_restore_and_a_copy(void **state)
{
    (void)state;
    pb_buffer buffer = {0};
    pb_options options = {.prefix = "a\tb/"};
    pb_restore_result restored = {.snapshot = snapshot(),
                                  .objects = 10,
                                  .written_objects = 6,
                                  .written_bytes = 10,
                                  .present_objects = 2,
                                  .differing_objects = 1,
                                  .failed_objects = 1,
                                  .server_side = true,
                                  .elapsed_ms = 2000};
    pb_result_text(&buffer, &pb_restore_fields, &restored, &options);
    assert_lines(&buffer, "snapshot    20261123T052049Z-3f9a\n"
                          "source      s3://host/b?ucket/\n"
                          "prefix      a?b/\n"
                          "objects     10\n"
                          "  written   6, 10 B\n"
                          "  present   2   there already, left alone\n"
                          "  differing 1   there but not the same, left alone\n"
                          "  failed    1\n"
                          "moved       inside the store\n"
                          "took        2.0 s\n");
    pb_copy_result copied = {.objects = 4,
                             .copied_objects = 4,
                             .copied_bytes = 8,
                             .extra_objects = 1,
                             .elapsed_ms = 2000};
    options.prefix = NULL;
    pb_result_text(&buffer, &pb_copy_fields, &copied, &options);
    assert_lines(&buffer, "objects     4\n"
                          "  copied    4, 8 B\n"
                          "  unchanged 0\n"
                          "extra       1   in the destination only, left alone\n"
                          "moved       through this machine\n"
                          "took        2.0 s   2 objects/s, 4 B/s\n");
}

static void the_table_of_snapshots(void **state)
{
    (void)state;
    pb_buffer buffer = {0};
    pb_snapshot_table table = {0};
    pb_snapshot_file file = snapshot(), unfinished = {.id = "20261124T052049Z-0000"};
    pb_snapshot_table_add(&table, &(pb_catalogue_entry){.file = &file, .committed = true});
    pb_snapshot_table_add(&table, &(pb_catalogue_entry){.file = &unfinished});
    pb_snapshot_table_add(
        &table, &(pb_catalogue_entry){.file = &unfinished, .committed = true, .flaw = "not JSON"});
    pb_snapshot_table_add(
        &table, &(pb_catalogue_entry){.file = &file, .committed = true, .name_space = "prod"});
    pb_snapshot_table_add(&table, &(pb_catalogue_entry){.file = &file, .committed = true});
    pb_snapshot_table_append(&table, &buffer);
    pb_snapshot_table_free(&table);
    assert_lines(&buffer,
                 "source s3://host/b?ucket/\n"
                 "SNAPSHOT               STARTED (UTC)        STATE       OBJECTS      SIZE"
                 "       NEW\n"
                 "20261123T052049Z-3f9a  2026-11-23 05:20:49  complete      1,200  3.00 "
                 "MiB  1.00 MiB\n"
                 "20261123T052049Z-3f9a  2026-11-23 05:20:49  complete      1,200  3.00 "
                 "MiB  1.00 MiB\n"
                 "\n"
                 "source not known\n"
                 "SNAPSHOT               STARTED (UTC)        STATE       OBJECTS      SIZE"
                 "       NEW\n"
                 "20261124T052049Z-0000  -                    unfinished        -         "
                 "-         -\n"
                 "20261124T052049Z-0000  -                    unreadable        -         "
                 "-         -\n"
                 "\n"
                 "source s3://host/b?ucket/ namespace prod\n"
                 "SNAPSHOT               STARTED (UTC)        STATE       OBJECTS      SIZE"
                 "       NEW\n"
                 "20261123T052049Z-3f9a  2026-11-23 05:20:49  complete      1,200  3.00 "
                 "MiB  1.00 MiB\n");
}

static void errors_as_json(void **state)
{
    (void)state;
    pb_error error = {0};
    json_t *value = pb_json_of_error(&error);
    assert_true(json_is_null(value));
    pb_error_set(&error, PB_ERROR_NOT_FOUND, "no bucket");
    error.status = 404;
    value = pb_json_of_error(&error);
    char *text = json_dumps(value, JSON_COMPACT);
    assert_string_equal(text, "{\"kind\":\"not_found\",\"message\":\"no bucket\",\"hint\":null,"
                              "\"code\":null,\"status\":404,\"request_id\":null}");
    free(text);
    json_decref(value);
    value = pb_json_of_text("a\xff\nb");
    assert_string_equal(json_string_value(value), "a??b");
    json_decref(value);
}

static void snapshots_as_json(void **state)
{
    (void)state;
    const pb_options options = {.command = PB_COMMAND_SHOW};
    pb_snapshot_file file = snapshot(), nothing = {.id = ""};
    json_t *object = json_object();
    pb_result_json(object, &pb_show_fields, &nothing, &options);
    assert_true(json_is_null(json_object_get(object, "snapshot")));
    json_object_clear(object);
    pb_result_json(object, &pb_show_fields, &file, &options);
    const json_t *value = json_object_get(object, "snapshot");
    assert_string_equal(json_string_value(json_object_get(value, "source")), source);
    assert_string_equal(json_string_value(json_object_get(value, "started")),
                        "2026-11-23T05:20:49.000Z");
    assert_true(json_is_null(json_object_get(value, "base")));
    assert_int_equal(json_integer_value(json_object_get(value, "objects")), 1200);
    assert_true(json_is_array(json_object_get(value, "parts")));
    json_object_clear(object);
    pb_result_json(object, &pb_entry_fields,
                   &(pb_catalogue_entry){.file = &nothing, .flaw = "gone"}, &options);
    assert_string_equal(json_string_value(json_object_get(object, "state")), "unfinished");
    assert_string_equal(json_string_value(json_object_get(object, "flaw")), "gone");
    json_decref(object);
}

static void help_pages_fit_a_terminal(void **state)
{
    (void)state;
    size_t count;
    const pb_command_entry *commands = pb_command_entries(&count);
    for (size_t i = 0; i <= count; i++) {
        pb_buffer page = {0};
        if (i < count)
            pb_help_command(&page, &commands[i]);
        else
            pb_help_overview(&page);
        char *examples = strstr(page.data, "\nExamples\n"); /* command lines stay whole */
        if (examples)
            *examples = '\0';
        for (char *line = page.data, *end; (end = strchr(line, '\n')); line = end + 1) {
            assert_true(end - line <= 80);
            assert_true(end == line || end[-1] != ' ');
        }
        pb_buffer_free(&page);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backup),
        cmocka_unit_test(a_verify_claims_what_it_did),
        cmocka_unit_test(a_restore_and_a_copy),
        cmocka_unit_test(the_table_of_snapshots),
        cmocka_unit_test(errors_as_json),
        cmocka_unit_test(snapshots_as_json),
        cmocka_unit_test(help_pages_fit_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
