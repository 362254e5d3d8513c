#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

enum { ARGUMENTS_MAX = 24 };
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int parse(const char *const *words, pb_options *ret_options, pb_error *error)
{
    char *arguments[ARGUMENTS_MAX + 1] = {(char *)(uintptr_t) "pbcopy"};
    int count = 1;
    for (; words[count - 1]; count++) {
        assert_true(count < ARGUMENTS_MAX);
        arguments[count] = (char *)(uintptr_t)words[count - 1];
    }
    static const pb_config_places nowhere = {0};
    return pb_options_parse(count, arguments, &nowhere, ret_options, error);
}

static pb_options parsed(const char *const *words)
{
    pb_options options;
    pb_error error = {0};
    if (parse(words, &options, &error))
        fail_msg("%s", error.message);
    return options;
}

#define PARSED(...) parsed((const char *const[]){__VA_ARGS__, NULL})

static void standard_values(void **state)
{
    (void)state;
    pb_options options = PARSED("backup", "s3://a", "s3://b");
    assert_int_equal(options.command, PB_COMMAND_BACKUP);
    assert_string_equal(options.source, "s3://a");
    assert_string_equal(options.repository, "s3://b");
    assert_null(options.destination);
    assert_null(options.prefix);
    assert_null(options.snapshot);
    assert_null(options.ca_bundle);
    assert_int_equal(options.parallel, 64);
    assert_int_equal(options.memory_bytes, 512 << 20);
    assert_int_equal(options.loops, 0);
    assert_int_equal(options.limit_bytes, 0);
    assert_int_equal(options.limit_requests, 0);
    assert_int_equal(options.verbosity, 0);
    assert_false(options.json || options.dry_run || options.quiet || options.take_over);
}

static void options_stand_anywhere(void **state)
{
    (void)state;
    pb_options options =
        PARSED("--parallel", "4096", "restore", "--memory=16M", "s3://r", "-vv", "--prefix", "a/",
               "file:///d", "--overwrite", "--limit-bytes", "5M", "--limit-requests=9");
    assert_int_equal(options.command, PB_COMMAND_RESTORE);
    assert_string_equal(options.repository, "s3://r");
    assert_string_equal(options.destination, "file:///d");
    assert_int_equal(options.parallel, 4096);
    assert_int_equal(options.memory_bytes, 16 << 20);
    assert_int_equal(options.limit_bytes, 5 << 20);
    assert_int_equal(options.limit_requests, 9);
    assert_int_equal(options.verbosity, 2);
    assert_string_equal(options.prefix, "a/");
    assert_true(options.overwrite);
}

static void every_option_is_stored(void **state)
{
    (void)state;
    assert_true(PARSED("backup", "a", "b", "--take-over").take_over);
    assert_true(PARSED("verify", "a", "--read").read);
    assert_true(PARSED("show", "a", "--records").records);
    assert_true(PARSED("copy", "a", "b", "--dry-run").dry_run);
    assert_true(PARSED("copy", "a", "b", "--unsigned-payload").unsigned_payload);
    assert_true(PARSED("copy", "a", "b", "--json").json);
    assert_true(PARSED("copy", "a", "b", "-q").quiet);
    assert_int_equal(PARSED("copy", "a", "b", "--loops=8").loops, 8);
    assert_int_equal(PARSED("copy", "a", "b", "-v", "--verbose", "-v").verbosity, 3);
    assert_string_equal(PARSED("copy", "a", "b", "--ca-bundle", "f").ca_bundle, "f");
    assert_string_equal(PARSED("show", "a", "--snapshot=20261123T052049Z-3f9a").snapshot,
                        "20261123T052049Z-3f9a");
    assert_int_equal(PARSED("snapshots", "a").command, PB_COMMAND_SNAPSHOTS);
    assert_int_equal(PARSED("version").command, PB_COMMAND_VERSION);
}

static void odd_values_are_values(void **state)
{
    (void)state;
    assert_int_equal(PARSED("copy", "a", "b").checksum, PB_HASH_SHA256);
    assert_int_equal(PARSED("copy", "a", "b", "--checksum=crc32c").checksum, PB_HASH_CRC32C);
    assert_int_equal(PARSED("backup", "a", "b", "--checksum", "sha256").checksum, PB_HASH_SHA256);
    assert_string_equal(PARSED("copy", "a", "b", "--prefix=").prefix, "");
    assert_string_equal(PARSED("copy", "a", "b", "--prefix=--x=y").prefix, "--x=y");
    assert_string_equal(PARSED("copy", "a", "b", "--prefix", "-x").prefix, "-x");
    assert_string_equal(PARSED("copy", "--", "--a", "-b").source, "--a");
    assert_string_equal(PARSED("copy", "-", "b").source, "-");
    /* Said last counts. */
    assert_int_equal(PARSED("copy", "a", "b", "--parallel", "2", "--parallel=3").parallel, 3);
}

static void help_needs_no_operands(void **state)
{
    (void)state;
    assert_true(PARSED("backup", "--help").help);
    assert_true(PARSED("-h").help);
    assert_true(PARSED("--version").version);
    assert_string_equal(PARSED("help", "backup").topic, "backup");
    assert_null(PARSED("help").topic);
}

static void wrong_lines_are_explained(void **state)
{
    (void)state;
    static const struct {
        const char *words[ARGUMENTS_MAX];
        const char *message;
        const char *hint; /* a part of it */
    } cases[] = {
        {{NULL}, "no command was given", "pbcopy help"},
        {{"bakup", "a", "b"}, "\"bakup\" is not a command", "did you mean `pbcopy backup`?"},
        {{"snap", "a"}, "\"snap\" is not a command", "did you mean `pbcopy snapshots`?"},
        {{"frobnicate"}, "\"frobnicate\" is not a command", "lists the commands"},
        {{""}, "\"\" is not a command", "lists the commands"},
        {{"backup"}, "backup: SOURCE is missing", "pbcopy backup SOURCE REPOSITORY"},
        {{"backup", "a"}, "backup: REPOSITORY is missing", "pbcopy backup SOURCE REPOSITORY"},
        {{"backup", "a", ""}, "backup: REPOSITORY is empty", "usage"},
        {{"verify", "a", "b"}, "verify: \"b\" is one argument too many", "verify REPOSITORY"},
        {{"verify", "a", "b", "c", "d"}, "verify: \"b\" is one argument too many", ""},
        {{"version", "x"}, "version: \"x\" is one argument too many", "usage"},
        {{"copy", "a", "b", "--paralel", "4"}, "option --paralel is unknown", "--parallel?"},
        {{"copy", "a", "b", "-parallel=4"}, "option -parallel is unknown", "--parallel?"},
        {{"copy", "a", "b", "--wxyz"}, "option --wxyz is unknown", "lists the options"},
        {{"copy", "a", "b", "-x"}, "option -x is unknown", ""},
        {{"copy", "a", "b", "-vx"}, "option -x is unknown", ""},
        {{"copy", "a", "b", "--=4"}, "option -- is unknown", ""},
        {{"copy", "a", "b", "--parallel"}, "option --parallel: its value is missing", "requests"},
        {{"copy", "a", "b", "--prefix", "--json"},
         "option --prefix: its value is missing",
         "--prefix=--json"},
        {{"copy", "a", "b", "--limit-bytes", "1000"},
         "option --limit-bytes: 1000 is too little: give at least 1K",
         ""},
        {{"copy", "a", "b", "--limit-requests", "0"},
         "option --limit-requests: \"0\" is not a whole number from 1 to 1000000",
         ""},
        {{"snapshots", "a", "--limit-requests", "5"},
         "option --limit-requests is not one of `pbcopy snapshots`",
         "copy"},
        {{"copy", "a", "b", "--parallel", "0"},
         "option --parallel: \"0\" is not a whole number from 1 to 4096",
         ""},
        {{"copy", "a", "b", "--parallel=4097"},
         "option --parallel: \"4097\" is not a whole number from 1 to 4096",
         ""},
        {{"copy", "a", "b", "--parallel=-1"},
         "option --parallel: \"-1\" is not a whole number from 1 to 4096",
         ""},
        {{"copy", "a", "b", "--parallel="},
         "option --parallel: \"\" is not a whole number from 1 to 4096",
         ""},
        {{"copy", "a", "b", "--loops=9"},
         "option --loops: \"9\" is not a whole number from 0 to 8",
         ""},
        {{"copy", "a", "b", "--memory=12X"}, "option --memory: \"12X\" is not a size", "512M"},
        {{"copy", "a", "b", "--memory=15M"},
         "option --memory: 15M is too little: give at least 16M",
         ""},
        {{"copy", "a", "b", "--memory=2T"},
         "option --memory: 2T is too much: give at most 1024G",
         ""},
        {{"copy", "a", "b", "--ca-bundle="},
         "option --ca-bundle: the value is empty: name a FILE",
         ""},
        {{"copy", "a", "b", "--checksum=md5"},
         "option --checksum: \"md5\" is not sha256 or crc32c",
         ""},
        {{"backup", "a", "b", "--checksum", ""},
         "option --checksum: \"\" is not sha256 or crc32c",
         ""},
        {{"restore", "a", "b", "--checksum=crc32c"},
         "option --checksum is not one of `pbcopy restore`",
         "belongs to: backup, copy"},
        {{"show", "a", "--snapshot=../x"},
         "option --snapshot: \"../x\" is not a snapshot's id",
         "pbcopy snapshots"},
        {{"copy", "a", "b", "--json=yes"}, "option --json takes no value: drop \"=yes\"", ""},
        {{"verify", "a", "--overwrite"},
         "option --overwrite is not one of `pbcopy verify`",
         "belongs to: restore"},
        {{"help", "--json"}, "option --json is not one of `pbcopy help`", "backup"},
        {{"verify", "a", "-qv"},
         "options --quiet and --verbose contradict each other: choose one",
         ""},
        {{"show", "a", "--records", "--json"},
         "options --records and --json both print to standard output: choose one (records are "
         "JSON already)",
         ""},
        /* The first error is told. */
        {{"copy", "--loops=x", "--memory=x"},
         "option --loops: \"x\" is not a whole number from 0 to 8",
         ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_options options;
        pb_error error = {0};
        assert_int_equal(parse(cases[i].words, &options, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_string_equal(error.message, cases[i].message);
        if (!strstr(error.hint, cases[i].hint))
            fail_msg("%s: hint \"%s\"", error.message, error.hint);
    }
}

static void json_is_known_after_an_error(void **state)
{
    (void)state;
    static const char *const words[] = {"backup", "--loops=x", "a", "--json", NULL};
    pb_options options;
    pb_error error = {0};
    assert_int_equal(parse(words, &options, &error), -1);
    assert_true(options.json);
    assert_int_equal(options.command, PB_COMMAND_BACKUP);
}

static void the_table_is_sound(void **state)
{
    (void)state;
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    for (size_t i = 0; i < count; i++) {
        bool is_flag = options[i].kind == PB_OPTION_FLAG || options[i].kind == PB_OPTION_COUNTED;
        assert_int_equal(is_flag, options[i].value == NULL);
        assert_true(!options[i].letter || is_flag);
        assert_true(options[i].offset < sizeof(pb_options));
        assert_true(options[i].commands && options[i].meaning[0]);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(options[i].name, options[j].name);
            assert_true(options[i].offset != options[j].offset);
            assert_true(!options[i].letter || options[i].letter != options[j].letter);
        }
    }
    const pb_command_entry *commands = pb_command_entries(&count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(pb_command_entry_named(commands[i].name), &commands[i]);
        assert_ptr_equal(pb_command_entry_of(commands[i].command), &commands[i]);
        assert_non_null(commands[i].examples[0].purpose);
    }
    assert_null(pb_command_entry_of(PB_COMMAND_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_values),
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(every_option_is_stored),
        cmocka_unit_test(odd_values_are_values),
        cmocka_unit_test(help_needs_no_operands),
        cmocka_unit_test(wrong_lines_are_explained),
        cmocka_unit_test(json_is_known_after_an_error),
        cmocka_unit_test(the_table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
