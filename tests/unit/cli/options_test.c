#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 24 };
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int parse_at(const pb_config_places *places, const char *const *words,
                    pb_options *ret_options, pb_error *error)
{
    char *arguments[ARGUMENTS_MAX + 1] = {(char *)(uintptr_t) "pbcopy"};
    int count = 1;
    for (; words[count - 1]; count++) {
        assert_true(count < ARGUMENTS_MAX);
        arguments[count] = (char *)(uintptr_t)words[count - 1];
    }
    return pb_options_parse(count, arguments, places, ret_options, error);
}

static int parse(const char *const *words, pb_options *ret_options, pb_error *error)
{
    static const pb_config_places nowhere = {0};
    return parse_at(&nowhere, words, ret_options, error);
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
    assert_string_equal(PARSED("copy", "a", "b", "--scratch", "d").scratch, "d");
    assert_string_equal(PARSED("show", "a", "--snapshot=20261123T052049Z-3f9a").snapshot,
                        "20261123T052049Z-3f9a");
    assert_int_equal(PARSED("snapshots", "a").command, PB_COMMAND_SNAPSHOTS);
    assert_int_equal(PARSED("version").command, PB_COMMAND_VERSION);
}

static void options_of_a_cluster_are_stored(void **state)
{
    (void)state;
    pb_options options =
        PARSED("backup", "--namespace", "pach", "s3://b", "--kubeconfig=k", "--kube-context", "c",
               "--kubernetes=velero", "--velero-namespace=v", "--dump", "all", "--database-host=h",
               "--database-port=5433", "--database-user=u", "--wait=5", "--passes=0");
    assert_true(options.is_cluster);
    assert_string_equal(options.name_space, "pach");
    assert_null(options.source); /* the cluster says it */
    assert_string_equal(options.repository, "s3://b");
    assert_string_equal(options.kubeconfig, "k");
    assert_string_equal(options.kube_context, "c");
    assert_string_equal(options.kubernetes, "velero");
    assert_string_equal(options.velero_namespace, "v");
    assert_string_equal(options.dump, "all");
    assert_string_equal(options.database_host, "h");
    assert_int_equal(options.database_port, 5433);
    assert_string_equal(options.database_user, "u");
    assert_int_equal(options.wait_s, 5);
    assert_int_equal(options.passes, 0);

    options = PARSED("backup", "s3://a", "s3://b", "--namespace=pach", "--recipient", "x",
                     "--recipient=y", "--recipient=z");
    assert_string_equal(options.source, "s3://a");
    assert_int_equal(options.recipients.count, 3);
    assert_string_equal(options.recipients.items[2], "z");
    pb_options_free(&options);
    assert_true(PARSED("backup", "b", "--namespace=p", "--plaintext").plaintext);
    assert_int_equal(PARSED("suspend", "--namespace=p").grace_s, 0); /* as the pods have it */
    assert_int_equal(PARSED("suspend", "--namespace=p", "--grace=5").grace_s, 5);

    options =
        PARSED("restore", "s3://r", "s3://d", "--namespace", "new", "--identity=i", "--edits=e",
               "--bucket=s3://d", "--cloudsql-instance=p:r:i", "--pachd-database-host=h:1",
               "--image-registry=r/x", "--aws-role=arn", "--azure-client=id",
               "--drop-service-account-secrets", "--keep-paused", "--address=a", "--cluster=c");
    assert_string_equal(options.identity, "i");
    assert_string_equal(options.edits, "e");
    assert_string_equal(options.bucket, "s3://d");
    assert_string_equal(options.cloudsql_instance, "p:r:i");
    assert_string_equal(options.pachd_database_host, "h:1");
    assert_string_equal(options.image_registry, "r/x");
    assert_string_equal(options.aws_role.items[0], "arn");
    assert_string_equal(options.azure_client.items[0], "id");
    assert_true(options.drop_service_account_secrets && options.keep_paused);
    assert_string_equal(options.address, "a");
    assert_string_equal(options.cluster, "c");
    pb_options_free(&options);
    options =
        PARSED("restore", "r", "d", "--namespace=n", "--allow-live-bucket", "--allow-existing",
               "--overwrite-database", "--gcp-service-account=pachyderm=e");
    assert_true(options.allow_live_bucket && options.allow_existing && options.overwrite_database);
    assert_string_equal(options.gcp_service_account.items[0], "pachyderm=e");
    pb_options_free(&options);

    assert_true(PARSED("verify", "r", "--database", "--identity=i").database);
    assert_true(PARSED("init", "--from-cluster", "--namespace=p").from_cluster);
    assert_true(PARSED("resume", "--take-over", "--namespace=p").take_over);
    assert_string_equal(PARSED("connect", "--address=a", "--cluster=c").cluster, "c");
    assert_string_equal(PARSED("doctor", "--namespace=p", "s3://r").repository, "s3://r");
}

static void a_bucket_alone_is_no_cluster(void **state)
{
    (void)state;
    pb_options options = PARSED("backup", "a", "b");
    assert_false(options.is_cluster);
    assert_null(options.name_space);
    assert_string_equal(options.kubernetes, "native");
    assert_string_equal(options.dump, "databases");
    assert_string_equal(options.velero_namespace, "velero");
    assert_int_equal(options.wait_s, 600);
    assert_int_equal(options.passes, 1);
    assert_false(PARSED("restore", "a", "b").is_cluster);
    assert_false(PARSED("connect", "--address=a", "--cluster=c").is_cluster);
    assert_true(PARSED("init").is_cluster);
}

/* ---- with a configuration and in a pod ---- */

typedef struct folder {
    char path[64], config[96], pod[96];
    pb_config_places places;
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
    snprintf(self->path, sizeof self->path, "/tmp/pbcopy-options-XXXXXX");
    assert_non_null(mkdtemp(self->path));
    snprintf(self->config, sizeof self->config, "%s/pbcopy.yaml", self->path);
    snprintf(self->pod, sizeof self->pod, "%s/namespace", self->path);
    self->places = (pb_config_places){.here = self->config, .pod_namespace = self->pod};
    *state = self;
    return 0;
}

static int remove_folder(void **state)
{
    folder *self = *state;
    unlink(self->config);
    unlink(self->pod);
    rmdir(self->path);
    free(self);
    return 0;
}

/* "cluster NAMESPACE SOURCE REPOSITORY DESTINATION", or the error. */
static void told(folder *self, const char *wanted, const char *const *words)
{
    pb_options options;
    pb_error error = {0};
    pb_buffer text = {0};
    if (parse_at(&self->places, words, &options, &error))
        pb_buffer_append_text(&text, error.message);
    else
        pb_buffer_append_format(&text, "%s %s %s %s %s", options.is_cluster ? "cluster" : "bucket",
                                options.name_space ? options.name_space : "-",
                                options.source ? options.source : "-",
                                options.repository ? options.repository : "-",
                                options.destination ? options.destination : "-");
    assert_string_equal(text.data, wanted);
    pb_buffer_free(&text);
    pb_options_free(&options);
}

#define TOLD(self, wanted, ...) told(self, wanted, (const char *const[]){__VA_ARGS__, NULL})

static void the_configuration_says_what_is_left_out(void **state)
{
    folder *self = *state;
    write_file(self->config, "source: s\nrepository: r\ndestination: d\n");
    TOLD(self, "bucket - s r -", "backup");
    TOLD(self, "bucket - x r -", "backup", "x");
    TOLD(self, "bucket - x y -", "backup", "x", "y");
    TOLD(self, "bucket - - r d", "restore");
    TOLD(self, "bucket - - x d", "restore", "x");
    TOLD(self, "bucket - - r -", "verify");
    TOLD(self, "bucket - - x -", "verify", "x");
    TOLD(self, "copy: SOURCE is missing", "copy");
    TOLD(self, "cluster p s r -", "backup", "--namespace=p");
    TOLD(self, "cluster p s x -", "backup", "--namespace=p", "x");
    TOLD(self, "cluster p - r d", "restore", "--namespace=p");
    TOLD(self, "suspend: the namespace of Pachyderm is missing", "suspend");
    TOLD(self, "init: the namespace of Pachyderm is missing", "init", "--from-cluster");
    TOLD(self, "cluster - - - -", "init");

    write_file(self->config, "repository: r\n");
    TOLD(self, "backup: SOURCE is missing", "backup");
    TOLD(self, "restore: DESTINATION is missing", "restore");
    TOLD(self, "restore: DESTINATION is missing", "restore", "--namespace=p");
    TOLD(self, "cluster p - r -", "backup", "--namespace=p");

    write_file(self->config, "repository: r\nnamespace: n\nkubernetes: none\n");
    TOLD(self, "cluster n - r -", "backup");
    TOLD(self, "cluster p - r -", "backup", "--namespace=p");
    TOLD(self, "bucket - x r -", "backup", "x"); /* operands: of these, not of the cluster */
    TOLD(self, "bucket - x y -", "backup", "x", "y");
    TOLD(self, "cluster p x y -", "backup", "x", "y", "--namespace", "p");
    TOLD(self, "bucket n - r -", "verify"); /* that cluster's snapshot */
    TOLD(self, "bucket n - r -", "show");
    TOLD(self, "bucket - - x -", "verify", "x");
    TOLD(self, "bucket p - x -", "verify", "x", "--namespace=p");
    TOLD(self, "cluster n - - -", "resume");
    TOLD(self, "cluster n - r -", "doctor");
    TOLD(self, "cluster n - x -", "doctor", "x");
    TOLD(self, "option --dump is of a whole cluster, and this is a backup of a bucket alone",
         "backup", "x", "--dump=none");

    write_file(self->config, "nonsense: 1\n");
    TOLD(self, "bucket - - - -", "backup", "--help"); /* pages need no file */
    TOLD(self, "bucket - - - -", "help");
    TOLD(self, "cluster - - - -", "init");
}

static void chooses_source(folder *self, const char *wanted, const char *const *words)
{
    pb_options options;
    pb_error error = {0};
    if (parse_at(&self->places, words, &options, &error))
        fail_msg("%s", error.message);
    assert_string_equal(options.of_source ? options.of_source : "-", wanted);
    pb_options_free(&options);
}

#define CHOOSES(self, wanted, ...)                                                                 \
    chooses_source(self, wanted, (const char *const[]){__VA_ARGS__, NULL})

/* What is the operand of a backup says whose snapshot a restore, verify and show are about. */
static void a_source_is_an_operand_and_an_option(void **state)
{
    folder *self = *state;
    write_file(self->config, "source: s\nrepository: r\ndestination: d\n");
    CHOOSES(self, "s", "verify");
    CHOOSES(self, "s", "show");
    CHOOSES(self, "s", "restore");
    CHOOSES(self, "t", "verify", "--source=t");
    CHOOSES(self, "-", "verify", "x"); /* another repository has other sources */
    CHOOSES(self, "t", "verify", "x", "--source=t");
    CHOOSES(self, "-", "backup");
    CHOOSES(self, "-", "snapshots");
    write_file(self->config,
               "source: s\nrepository: r\nverify:\n  source: v\nbackup:\n  source: b\n");
    CHOOSES(self, "v", "verify");
    CHOOSES(self, "s", "show");
    TOLD(self, "bucket - b r -", "backup");
}

static void a_pod_is_asked_last(void **state)
{
    folder *self = *state;
    write_file(self->pod, "mine\n");
    TOLD(self, "backup: REPOSITORY is missing", "backup");
    TOLD(self, "bucket - a b -", "backup", "a", "b");
    TOLD(self, "cluster mine - - -", "resume");
    TOLD(self, "cluster p - - -", "resume", "--namespace=p");
    TOLD(self, "cluster mine - - -", "init", "--from-cluster");
    write_file(self->config, "repository: r\n");
    TOLD(self, "bucket - - r -", "verify"); /* which need not be a cluster's */
    TOLD(self, "cluster mine - r -", "backup");
    write_file(self->config, "repository: r\nnamespace: n\n");
    TOLD(self, "cluster n - r -", "backup");
    write_file(self->config, "source: s\nrepository: r\ndestination: d\n");
    TOLD(self, "bucket - s r -", "backup"); /* a pod that copies buckets */
    TOLD(self, "bucket - - r d", "restore");
    TOLD(self, "cluster mine - - -", "suspend");
}

static void what_was_typed_puts_the_file_out(void **state)
{
    folder *self = *state;
    write_file(self->config, "quiet: true\nrecipient: [a]\nnamespace: n\nrepository: r\n");
    static const char *const words[] = {"backup", "-v", "--plaintext", NULL};
    pb_options options;
    pb_error error = {0};
    assert_int_equal(parse_at(&self->places, words, &options, &error), 0);
    assert_int_equal(options.verbosity, 1);
    assert_false(options.quiet);
    assert_true(options.plaintext);
    assert_int_equal(options.recipients.count, 0);
    pb_options_free(&options);
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
        {{"backup", "--namespace=p", "--grace=0", "b"},
         "option --grace: 0 leaves a pod no time to write what it holds, and Kubernetes does not "
         "even wait until it has ended",
         "give at least 1"},
        {{"suspend", "--namespace=p", "--grace=x"},
         "option --grace: \"x\" is not a whole number from 1 to 86400",
         ""},
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
        {{"backup", "a", "b", "--kubernetes=native"},
         "option --kubernetes is of a whole cluster, and this is a backup of a bucket alone",
         "--namespace NS"},
        {{"restore", "a", "b", "--allow-existing"},
         "option --allow-existing is of a whole cluster, and this is a restore of a bucket alone",
         ""},
        {{"backup", "a", "b", "--namespace=p", "--kubernetes=helm"},
         "option --kubernetes: \"helm\" is not native, velero or none",
         ""},
        {{"backup", "b", "--namespace=p", "--dump", ""},
         "option --dump: \"\" is not databases, all or none",
         ""},
        {{"backup", "b", "--namespace=--all-namespaces"},
         "option --namespace: \"--all-namespaces\" is not a namespace's name: lower-case letters, "
         "digits and dashes, 63 at most",
         ""},
        {{"backup", "b", "--namespace=p", "--passes=9"},
         "option --passes: \"9\" is not a whole number from 0 to 8",
         ""},
        {{"backup", "b", "--namespace=p", "--plaintext", "--recipient=x"},
         "options --plaintext and --recipient contradict each other: choose one",
         ""},
        {{"backup", "b", "--namespace=p", "--identity=x"},
         "option --identity is not one of `pbcopy backup`",
         "restore, verify"},
        {{"backup", "--namespace=p"}, "backup: REPOSITORY is missing", "pbcopy.yaml"},
        {{"suspend"}, "suspend: the namespace of Pachyderm is missing", "--namespace NS"},
        {{"suspend", "pach"}, "suspend: the namespace of Pachyderm is missing", ""},
        {{"suspend", "x", "--namespace=p"}, "suspend: \"x\" is one argument too many", ""},
        {{"connect", "--cluster=c"}, "connect: --address is missing", "usage"},
        {{"connect", "--address=c"}, "connect: --cluster is missing", "usage"},
        {{"version", "--config=f"}, "option --config is not one of `pbcopy version`", ""},
        {{"backup", "a", "b", "--config", "/nowhere/f.yaml"},
         "configuration /nowhere/f.yaml: No such file or directory",
         "--config"},
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
        pb_options_free(&options);
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
        cmocka_unit_test(options_of_a_cluster_are_stored),
        cmocka_unit_test(a_bucket_alone_is_no_cluster),
        cmocka_unit_test_setup_teardown(the_configuration_says_what_is_left_out, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_source_is_an_operand_and_an_option, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_pod_is_asked_last, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_was_typed_puts_the_file_out, make_folder,
                                        remove_folder),
        cmocka_unit_test(odd_values_are_values),
        cmocka_unit_test(help_needs_no_operands),
        cmocka_unit_test(wrong_lines_are_explained),
        cmocka_unit_test(json_is_known_after_an_error),
        cmocka_unit_test(the_table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
