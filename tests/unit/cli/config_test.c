#include "cli/config.h"
#include "cli/values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int read_text(const char *text, const char *command, const bool *given,
                     pb_options *ret_options, pb_error *error)
{
    static const bool none[PB_OPTION_ENTRIES_MAX];
    pb_options_init(ret_options);
    return pb_config_parse(pb_slice_of(text), "f", pb_command_entry_named(command),
                           given ? given : none, ret_options, error);
}

static pb_options taken(const char *text, const char *command)
{
    pb_options options;
    pb_error error = {0};
    if (read_text(text, command, NULL, &options, &error))
        fail_msg("%s", error.message);
    return options;
}

static void every_kind_of_value_is_taken(void **state)
{
    (void)state;
    pb_options options = taken("source: s3://a\n"
                               "repository: \"s3://b?endpoint=http://c\"\n"
                               "destination: s3://elsewhere\n"
                               "parallel: 256\n"
                               "memory: 1G\n"
                               "prefix: ''\n"
                               "checksum: crc32c\n"
                               "quiet: true\n"
                               "full: false\n"
                               "dump: all\n"
                               "database-user: 42\n"
                               "namespace: pach-1\n"
                               "recipient:\n  - age1x\n  - age1y\n  - 7\n",
                               "backup");
    assert_string_equal(options.source, "s3://a");
    assert_string_equal(options.repository, "s3://b?endpoint=http://c");
    assert_null(options.destination);
    assert_int_equal(options.parallel, 256);
    assert_int_equal(options.memory_bytes, 1 << 30);
    assert_string_equal(options.prefix, "");
    assert_int_equal(options.checksum, PB_HASH_CRC32C);
    assert_true(options.quiet);
    assert_false(options.full);
    assert_string_equal(options.dump, "all");
    assert_string_equal(options.database_user, "42");
    assert_string_equal(options.name_space, "pach-1");
    assert_int_equal(options.recipients.count, 3);
    assert_string_equal(options.recipients.items[0], "age1x");
    assert_string_equal(options.recipients.items[1], "age1y");
    assert_string_equal(options.recipients.items[2], "7");
    pb_options_free(&options);

    options = taken("recipient: age1x\nverbose: 2", "backup");
    assert_int_equal(options.recipients.count, 1);
    assert_int_equal(options.verbosity, 2);
    pb_options_free(&options);
    options = taken("recipient: []\nverbose: true", "backup");
    assert_int_equal(options.recipients.count, 0);
    assert_int_equal(options.verbosity, 1);
    pb_options_free(&options);
    options = taken("", "backup");
    assert_int_equal(options.parallel, 64);
    assert_string_equal(options.kubernetes, "native");
    assert_string_equal(options.dump, "databases");
    assert_string_equal(options.velero_namespace, "velero");
    assert_int_equal(options.wait_s, 600);
    assert_int_equal(options.passes, 1);
    pb_options_free(&options);
}

/* The table is the only list: what it has, a file may say. */
static void every_option_is_a_key(void **state)
{
    (void)state;
    size_t option_count, command_count;
    const pb_option_entry *entries = pb_option_entries(&option_count);
    const pb_command_entry *commands = pb_command_entries(&command_count);
    for (size_t i = 0; i < option_count; i++) {
        const pb_option_entry *entry = &entries[i];
        bool refused = strcmp(entry->name, "help") == 0 || strcmp(entry->name, "version") == 0 ||
                       strcmp(entry->name, "config") == 0;
        const char *value = "x";
        if (entry->kind == PB_OPTION_FLAG || entry->kind == PB_OPTION_COUNTED)
            value = "true";
        else if (entry->kind == PB_OPTION_NUMBER || entry->kind == PB_OPTION_GRACE)
            value = "1";
        else if (entry->kind == PB_OPTION_SIZE)
            value = "64M";
        else if (entry->kind == PB_OPTION_DURATION)
            value = "2h";
        else if (entry->kind == PB_OPTION_CHECKSUM)
            value = "crc32c";
        else if (entry->kind == PB_OPTION_CHOICE)
            value = "none";
        else if (entry->kind == PB_OPTION_SNAPSHOT)
            value = "20261123T052049Z-3f9a";
        char text[128];
        snprintf(text, sizeof text, "%s: %s\n", entry->name, value);
        assert_null(pb_command_entry_named(entry->name) && !refused ? entry->name : NULL);
        for (size_t j = 0; j < command_count; j++) {
            pb_options options, untouched;
            pb_error error = {0};
            pb_options_init(&untouched);
            int failed = read_text(text, commands[j].name, NULL, &options, &error);
            assert_int_equal(failed, refused ? -1 : 0);
            bool is_its = !refused && entry->commands & 1u << commands[j].command;
            size_t size = entry->kind == PB_OPTION_FLAG       ? sizeof(bool)
                          : entry->kind == PB_OPTION_CHECKSUM ? sizeof(pb_hash_kind)
                          : entry->kind == PB_OPTION_LIST     ? sizeof(pb_text_list)
                                                              : sizeof(uint64_t);
            bool is_changed = memcmp(pb_options_member(&options, entry->offset),
                                     pb_options_member(&untouched, entry->offset), size) != 0;
            if (is_changed != (is_its && strcmp(entry->name, "passes") != 0))
                fail_msg("%s of %s", entry->name, commands[j].name);
            pb_options_free(&options);
        }
    }
}

static void a_command_goes_before_the_top(void **state)
{
    (void)state;
    const char *text = "parallel: 2\nmemory: 20M\nnamespace: top\nquiet: true\n"
                       "recipient: [a, b]\nsource: s3://top\n"
                       "backup:\n  parallel: 3\n  recipient: [c]\n  source: s3://its\n"
                       "  verbose: 1\n"
                       "restore:\n  namespace: new\n  parallel: 4\n  quiet: false\n";
    pb_options options = taken(text, "backup");
    assert_int_equal(options.parallel, 3);
    assert_int_equal(options.memory_bytes, 20 << 20);
    assert_string_equal(options.name_space, "top");
    assert_string_equal(options.source, "s3://its");
    assert_int_equal(options.recipients.count, 1);
    assert_string_equal(options.recipients.items[0], "c");
    assert_int_equal(options.verbosity, 1); /* and so not quiet */
    assert_false(options.quiet);
    pb_options_free(&options);
    options = taken(text, "restore");
    assert_string_equal(options.name_space, "new");
    assert_int_equal(options.parallel, 4);
    assert_false(options.quiet);
    pb_options_free(&options);
    options = taken(text, "verify");
    assert_int_equal(options.parallel, 2);
    assert_true(options.quiet);
    pb_options_free(&options);
}

static void the_command_line_goes_before_the_file(void **state)
{
    (void)state;
    bool given[PB_OPTION_ENTRIES_MAX] = {false};
    size_t count;
    const pb_option_entry *entries = pb_option_entries(&count);
    given[pb_option_entry_named(PB_SLICE_LITERAL("parallel")) - entries] = true;
    given[pb_option_entry_named(PB_SLICE_LITERAL("recipient")) - entries] = true;
    pb_options options;
    pb_error error = {0};
    assert_int_equal(read_text("parallel: 7\nrecipient: [a]\nmemory: 20M\nbackup: {parallel: 8}",
                               "backup", given, &options, &error),
                     0);
    assert_int_equal(options.parallel, 64); /* what the command line left there */
    assert_int_equal(options.recipients.count, 0);
    assert_int_equal(options.memory_bytes, 20 << 20);
    pb_options_free(&options);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
        const char *hint; /* a part of it */
    } cases[] = {
        {"paralel: 4", "f: paralel: no option has this name", "did you mean `parallel`?"},
        {"limit_bytes: 4M", "f: limit_bytes: no option has this name", "`limit-bytes`"},
        {"repositry: s3://a", "f: repositry: no option has this name", "`repository`"},
        {"bakup: {}", "f: bakup: no option has this name", "`backup`"},
        {"wxyz: 1", "f: wxyz: no option has this name", "pbcopy help COMMAND"},
        {"command: backup", "f: command: no option has this name", ""},
        {"SOURCE: a", "f: SOURCE: no option has this name", ""},
        {"\"\": 1", "f: : no option has this name", ""},
        {"init: {from-cluster: true}", "f: init: no option has this name", ""},
        {"restore: {paralel: 4}", "f: restore.paralel: no option has this name", "parallel"},
        {"restore: {backup: {}}", "f: restore.backup: no option has this name", ""},
        {"verify: {dump: all}", "f: verify.dump: the command above it does not take this",
         "pbcopy help verify"},
        {"copy: {source: a}", "f: copy.source: the command above it does not take this", ""},
        {"backup: s3://a", "f: backup: is a command: options stand below it, moved in", "backup:"},
        {"backup:", "f: backup: is a command: options stand below it, moved in", ""},
        {"help: true", "f: help: makes no sense in a configuration", ""},
        {"version: 1", "f: version: makes no sense in a configuration", ""},
        {"config: a", "f: config: makes no sense in a configuration", ""},
        {"backup: {config: a}", "f: backup.config: makes no sense in a configuration", ""},
        {"parallel: 0", "f: parallel: \"0\" is not a whole number from 1 to 4096", ""},
        {"parallel: -1", "f: parallel: \"-1\" is not a whole number from 1 to 4096", ""},
        {"parallel: 1.5", "f: parallel: \"1.5\" is not a whole number from 1 to 4096", ""},
        {"parallel: many", "f: parallel: \"many\" is not a whole number from 1 to 4096", ""},
        {"parallel: true", "f: parallel: true and false are no text: put it in quotes", ""},
        {"parallel: [1]", "f: parallel: takes one value, not a list", ""},
        {"parallel: {a: 1}", "f: parallel: takes one value, not a mapping", ""},
        {"parallel:", "f: parallel: its value is missing", ""},
        {"memory: 1M", "f: memory: 1M is too little: give at least 16M", ""},
        {"checksum: md5", "f: checksum: \"md5\" is not sha256 or crc32c", ""},
        {"backup: {dump: some}", "f: backup.dump: \"some\" is not databases, all or none", ""},
        {"kubernetes: native|velero",
         "f: kubernetes: \"native|velero\" is not native, velero or "
         "none",
         ""},
        {"quiet: yes", "f: quiet: takes true or false", ""},
        {"quiet: 1", "f: quiet: takes true or false", ""},
        {"quiet: \"true\"", "f: quiet: takes true or false", ""},
        {"verbose: 10", "f: verbose: takes true, false or a number from 0 to 9", ""},
        {"verbose: -1", "f: verbose: takes true, false or a number from 0 to 9", ""},
        {"namespace: ''",
         "f: namespace: \"\" is not a namespace's name: lower-case letters, digits "
         "and dashes, 63 at most",
         ""},
        {"namespace: -A",
         "f: namespace: \"-A\" is not a namespace's name: lower-case letters, "
         "digits and dashes, 63 at most",
         ""},
        {"source: ''", "f: source: the value is empty: name a URL", ""},
        {"source: [a]", "f: source: takes one value, not a list", ""},
        {"source: null", "f: source: its value is missing", ""},
        {"recipient: ['']", "f: recipient: the value is empty: name a KEY", ""},
        {"recipient: [[a]]", "f: recipient: takes one value, not a list", ""},
        {"recipient: {a: b}", "f: recipient: takes one value, not a mapping", ""},
        {"recipient: [a, null]", "f: recipient: its value is missing", ""},
        {"quiet: true\nverbose: 1", "f: quiet and verbose contradict each other: choose one", ""},
        {"plaintext: true\nrecipient: a",
         "f: plaintext and recipient contradict each other: choose one", ""},
        {"password: hunter2", "f: password: secrets are not taken from a configuration",
         "PGPASSWORD"},
        {"database-password: hunter2",
         "f: database-password: secrets are not taken from a configuration", ""},
        {"AWS_SECRET_ACCESS_KEY: hunter2",
         "f: AWS_SECRET_ACCESS_KEY: secrets are not taken from a configuration", ""},
        {"access_key_id: hunter2", "f: access_key_id: secrets are not taken from a configuration",
         ""},
        {"backup: {session-token: hunter2}",
         "f: backup.session-token: secrets are not taken from a configuration", ""},
        {"PGPASSWORD: [hunter2]", "f: PGPASSWORD: secrets are not taken from a configuration", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_options options;
        pb_error error = {0};
        if (!read_text(cases[i].text, "backup", NULL, &options, &error))
            fail_msg("taken: %s", cases[i].text);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_string_equal(error.message, cases[i].message);
        if (!strstr(error.hint, cases[i].hint))
            fail_msg("%s: hint \"%s\"", error.message, error.hint);
        assert_null(strstr(error.hint, "hunter2"));
        pb_options_free(&options);
    }
}

static void hostile_documents_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "[a, b]",
        "just text",
        "parallel: 4\nparallel: 5",
        "a: &x 1\nb: *x",
        "parallel: !!int 4",
        "---\nparallel: 4\n---\nparallel: 5",
        "parallel: [",
        "parallel: 4\n\tmemory: 1",
        "source: \"s3://a\\0b\"",
        "source: \"\\ud800\"",
        "? [a]\n: b",
        "source: \xff\xfe",
        "\xff\xfe",
        "\x01",
        "{{{{{{{{",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_options options;
        pb_error error = {0};
        if (!read_text(cases[i], "backup", NULL, &options, &error))
            fail_msg("taken: %s", cases[i]);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_int_equal(strncmp(error.message, "f: ", 3), 0);
        pb_options_free(&options);
    }
    /* A key with a newline makes no second line. */
    pb_options options;
    pb_error error = {0};
    assert_int_equal(read_text("\"a\\nb\\e[2J\": 1", "backup", NULL, &options, &error), -1);
    for (const char *at = error.message; *at; at++)
        assert_false(iscntrl((unsigned char)*at));
    pb_options_free(&options);
}

static void long_lists_and_names_are_bounded(void **state)
{
    (void)state;
    enum { ITEMS = 100000 };
    pb_buffer text = {0};
    pb_buffer_append_text(&text, "recipient: [");
    for (int i = 0; i < ITEMS; i++)
        pb_buffer_append_text(&text, "a,");
    pb_buffer_append_text(&text, "b]\n");
    pb_options options = taken(text.data, "backup");
    assert_int_equal(options.recipients.count, ITEMS + 1);
    assert_string_equal(options.recipients.items[0], "a");
    assert_string_equal(options.recipients.items[ITEMS], "b");
    pb_options_free(&options);

    pb_buffer_clear(&text);
    for (int i = 0; i < 900; i++)
        pb_buffer_append_char(&text, 'k');
    pb_buffer_append_text(&text, ": 1\n");
    pb_error error = {0};
    assert_int_equal(read_text(text.data, "backup", NULL, &options, &error), -1);
    pb_options_free(&options);

    pb_buffer_clear(&text);
    while (text.size <= 1024 * 1024)
        pb_buffer_append_text(&text, "# nothing\n");
    assert_int_equal(read_text(text.data, "backup", NULL, &options, &error), -1);
    assert_non_null(strstr(error.message, "larger than"));
    pb_options_free(&options);
    pb_buffer_free(&text);
}

/* ---- files ---- */

typedef struct folder {
    char path[64];
    char here[96], system[96], named[96], pod[96];
} folder;

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

static int make_folder(void **state)
{
    folder *self = pb_allocate_zeroed(1, sizeof *self);
    snprintf(self->path, sizeof self->path, "/tmp/pbcopy-config-XXXXXX");
    assert_non_null(mkdtemp(self->path));
    snprintf(self->here, sizeof self->here, "%s/here.yaml", self->path);
    snprintf(self->system, sizeof self->system, "%s/system.yaml", self->path);
    snprintf(self->named, sizeof self->named, "%s/named.yaml", self->path);
    snprintf(self->pod, sizeof self->pod, "%s/pod", self->path);
    *state = self;
    return 0;
}

static int remove_folder(void **state)
{
    folder *self = *state;
    unlink(self->here);
    unlink(self->system);
    unlink(self->named);
    unlink(self->pod);
    rmdir(self->path);
    free(self);
    return 0;
}

static int read_files(const pb_config_places *places, const char *named, pb_options *ret_options,
                      pb_error *error)
{
    static const bool none[PB_OPTION_ENTRIES_MAX];
    pb_options_init(ret_options);
    ret_options->config = named;
    return pb_config_read(places, pb_command_entry_of(PB_COMMAND_BACKUP), none, ret_options, error);
}

static void the_first_file_counts(void **state)
{
    folder *self = *state;
    pb_config_places places = {.here = self->here, .system = self->system};
    pb_options options;
    pb_error error = {0};
    assert_int_equal(read_files(&places, NULL, &options, &error), 0);
    assert_null(options.config);
    pb_options_free(&options);
    static const pb_config_places nowhere = {0};
    assert_int_equal(read_files(&nowhere, NULL, &options, &error), 0);
    pb_options_free(&options);

    write_file(self->system, "parallel: 2");
    assert_int_equal(read_files(&places, NULL, &options, &error), 0);
    assert_int_equal(options.parallel, 2);
    assert_string_equal(options.config, self->system);
    pb_options_free(&options);
    write_file(self->here, "parallel: 3");
    assert_int_equal(read_files(&places, NULL, &options, &error), 0);
    assert_int_equal(options.parallel, 3);
    pb_options_free(&options);
    places.environment = ""; /* as where it is not set */
    assert_int_equal(read_files(&places, NULL, &options, &error), 0);
    assert_int_equal(options.parallel, 3);
    pb_options_free(&options);
    places.environment = "/dev/null"; /* none at all */
    assert_int_equal(read_files(&places, NULL, &options, &error), 0);
    assert_int_equal(options.parallel, 64);
    pb_options_free(&options);
    write_file(self->named, "parallel: 4");
    assert_int_equal(read_files(&places, self->named, &options, &error), 0);
    assert_int_equal(options.parallel, 4);
    assert_string_equal(options.config, self->named);
    pb_options_free(&options);
}

static void a_named_file_must_be_there(void **state)
{
    folder *self = *state;
    write_file(self->here, "parallel: 3");
    pb_config_places places = {.here = self->here};
    pb_options options;
    pb_error error = {0};
    assert_int_equal(read_files(&places, self->named, &options, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.message, self->named));
    assert_non_null(strstr(error.hint, "--config"));
    pb_options_free(&options);
    places.environment = self->named;
    assert_int_equal(read_files(&places, NULL, &options, &error), -1);
    assert_non_null(strstr(error.hint, "PBCOPY_CONFIG"));
    pb_options_free(&options);
    assert_int_equal(read_files(&places, self->path, &options, &error), -1);
    assert_non_null(strstr(error.message, "directory"));
    pb_options_free(&options);
}

static void a_file_of_everybody_is_not_taken_unasked(void **state)
{
    folder *self = *state;
    write_file(self->here, "parallel: 3");
    assert_int_equal(chmod(self->here, 0666), 0);
    pb_config_places places = {.here = self->here};
    pb_options options;
    pb_error error = {0};
    assert_int_equal(read_files(&places, NULL, &options, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.hint, "--config"));
    pb_options_free(&options);
    assert_int_equal(read_files(&places, self->here, &options, &error), 0);
    assert_int_equal(options.parallel, 3);
    pb_options_free(&options);
}

static void a_file_of_a_group_is_not_taken_unasked(void **state)
{
    folder *self = *state;
    const pb_config_places places[] = {{.here = self->here}, {.system = self->system}};
    const char *const names[] = {self->here, self->system};
    for (size_t i = 0; i < COUNT(places); i++) {
        pb_options options;
        pb_error error = {0};
        write_file(names[i], "parallel: 3");
        assert_int_equal(chmod(names[i], 0664), 0);
        int read = read_files(&places[i], NULL, &options, &error);
        if (getegid() == 0) { /* root's own group is root */
            assert_int_equal(read, 0);
            pb_options_free(&options);
            assert_int_equal(chown(names[i], (uid_t)-1, 12), 0);
            assert_int_equal(chmod(names[i], 0664), 0);
            read = read_files(&places[i], NULL, &options, &error);
        }
        assert_int_equal(read, -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_non_null(strstr(error.message, "can be written by its group"));
        assert_non_null(strstr(error.hint, "chmod go-w"));
        pb_options_free(&options);
        assert_int_equal(read_files(&places[i], names[i], &options, &error), 0);
        pb_options_free(&options);
        assert_int_equal(chmod(names[i], 0644), 0);
        assert_int_equal(read_files(&places[i], NULL, &options, &error), 0);
        assert_int_equal(options.parallel, 3);
        pb_options_free(&options);
    }
}

static void a_pod_says_its_namespace(void **state)
{
    folder *self = *state;
    pb_config_places places = {.pod_namespace = self->pod};
    pb_arena arena = {0};
    assert_null(pb_config_pod_namespace(&places, &arena));
    write_file(self->pod, "pachyderm");
    assert_string_equal(pb_config_pod_namespace(&places, &arena), "pachyderm");
    write_file(self->pod, "pachyderm\n");
    assert_string_equal(pb_config_pod_namespace(&places, &arena), "pachyderm");
    static const char *const wrong[] = {"",
                                        "\n",
                                        "a b",
                                        "-a",
                                        "A",
                                        "a\nb",
                                        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                         "aaaaaaaaaaaaaaaaaaaaaaaa")};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        write_file(self->pod, wrong[i]);
        assert_null(pb_config_pod_namespace(&places, &arena));
    }
    static const pb_config_places nowhere = {0};
    assert_null(pb_config_pod_namespace(&nowhere, &arena));
    pb_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_is_taken),
        cmocka_unit_test(every_option_is_a_key),
        cmocka_unit_test(a_command_goes_before_the_top),
        cmocka_unit_test(the_command_line_goes_before_the_file),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(hostile_documents_are_refused),
        cmocka_unit_test(long_lists_and_names_are_bounded),
        cmocka_unit_test_setup_teardown(the_first_file_counts, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_named_file_must_be_there, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_of_everybody_is_not_taken_unasked, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_file_of_a_group_is_not_taken_unasked, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_pod_says_its_namespace, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
