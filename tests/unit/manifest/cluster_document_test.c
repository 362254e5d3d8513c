/* The member "cluster" of snapshot.json, through the whole document. */
#include "manifest/snapshot_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static char no_text[] = "";

static char *text_of(const char *text)
{
    return pb_duplicate(pb_slice_of(text));
}

static void add_artifact(pb_cluster_record *record, pb_artifact_kind kind, const char *path,
                         const char *database, bool encrypted)
{
    pb_artifact *artifact = pb_cluster_record_add(record);
    artifact->kind = kind;
    artifact->path = text_of(path);
    artifact->database = text_of(database);
    artifact->encrypted = encrypted;
    artifact->bytes = 1234567;
    artifact->sha256[0] = 1;
    artifact->stored_bytes = 7654;
    artifact->stored_sha256[31] = 2;
}

static void make_cluster(pb_cluster_record *ret_record)
{
    *ret_record = (pb_cluster_record){
        .name_space = text_of("pachyderm"),
        .pachyderm_version = text_of("2.11.4"),
        .database_name = text_of("pachyderm \"x\" \xc3\xa4"),
        .identity_database = text_of("logins"),
        .database_version = text_of("15.8"),
        .kubernetes = text_of("velero"),
        .velero_backup = text_of("velero/pbcopy-20261123T052049Z-3f9a"),
        .paused = true,
        .suspended_ms = INT64_C(1795411249123),
        .resumed_ms = INT64_C(1795411349456),
        .chunks_needed = 42,
    };
    pb_workloads_add(&ret_record->workloads, "Deployment", "pachd", 1);
    pb_workloads_add(&ret_record->workloads, "ReplicationController", "default-edges-v1", 3);
    add_artifact(ret_record, PB_ARTIFACT_DUMP, "database/pachyderm.dump.zst.age", "pachyderm",
                 true);
    add_artifact(ret_record, PB_ARTIFACT_DUMP_ALL, "database/all.sql.zst", "", false);
    add_artifact(ret_record, PB_ARTIFACT_OBJECTS, "kubernetes/objects.ndjson.zst", "", false);
}

static void append(pb_buffer *text, pb_cluster_record *cluster)
{
    static char source[] = "s3://endpoint/bucket", program[] = "pbcopy 0.1.0";
    pb_part part = {.name = "000001.ndjson.zst"};
    pb_snapshot_file file = {
        .id = "20261123T052049Z-3f9a",
        .source = source,
        .prefix = no_text,
        .started_ms = INT64_C(1795411249123),
        .committed_ms = INT64_C(1795411359000),
        .program = program,
        .cluster = cluster,
        .parts = &part,
        .part_count = 1,
    };
    pb_snapshot_file_append(text, &file);
}

static int parse(pb_slice text, pb_snapshot_file *file, pb_error *error)
{
    /* Memory of exactly this size, so that a sanitizer sees a step too far. */
    char *exact = malloc(text.size ? text.size : 1);
    assert_non_null(exact);
    memcpy(exact, text.data, text.size);
    int result = pb_snapshot_file_parse((pb_slice){exact, text.size}, file, error);
    free(exact);
    return result;
}

static void append_good(pb_buffer *text)
{
    pb_cluster_record cluster;
    make_cluster(&cluster);
    append(text, &cluster);
    pb_cluster_record_free(&cluster);
}

/* The good document with the first `piece` within "cluster" replaced. */
static void replace(const char *piece, const char *replacement, pb_buffer *ret_text)
{
    pb_buffer text = {0};
    append_good(&text);
    const char *cluster = strstr(text.data, "\"cluster\":");
    const char *place = cluster ? strstr(cluster, piece) : NULL;
    if (!place)
        fail_msg("no %s in %s", piece, text.data);
    pb_buffer_append(ret_text, text.data, (size_t)(place - text.data));
    pb_buffer_append_text(ret_text, replacement);
    pb_buffer_append_text(ret_text, place + strlen(piece));
    pb_buffer_free(&text);
}

static void refuse(const char *piece, const char *replacement, const char *reason)
{
    pb_buffer text = {0};
    pb_snapshot_file file;
    pb_error error = {0};
    replace(piece, replacement, &text);
    if (!parse(pb_buffer_slice(&text), &file, &error))
        fail_msg("taken: %s", text.data);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    if (!strstr(error.message, reason) || !strstr(error.message, "snapshot.json"))
        fail_msg("\"%s\" lacks \"%s\"", error.message, reason);
    pb_buffer_free(&text);
}

static void take(const char *piece, const char *replacement)
{
    pb_buffer text = {0};
    pb_snapshot_file file;
    pb_error error = {0};
    replace(piece, replacement, &text);
    if (parse(pb_buffer_slice(&text), &file, &error))
        fail_msg("%s: %s", error.message, text.data);
    pb_snapshot_file_free(&file);
    pb_buffer_free(&text);
}

/* ---- tests ---- */

static void a_cluster_round_trips(void **state)
{
    (void)state;
    pb_buffer text = {0}, again = {0};
    pb_cluster_record wanted;
    pb_snapshot_file file;
    pb_error error = {0};
    make_cluster(&wanted);
    append(&text, &wanted);
    if (parse(pb_buffer_slice(&text), &file, &error))
        fail_msg("%s", error.message);
    pb_cluster_record *cluster = file.cluster;
    assert_non_null(cluster);
    assert_string_equal(cluster->name_space, wanted.name_space);
    assert_string_equal(cluster->pachyderm_version, wanted.pachyderm_version);
    assert_string_equal(cluster->database_name, wanted.database_name);
    assert_string_equal(cluster->database_version, wanted.database_version);
    assert_string_equal(cluster->kubernetes, wanted.kubernetes);
    assert_string_equal(cluster->velero_backup, wanted.velero_backup);
    assert_true(cluster->paused);
    assert_true(cluster->suspended_ms == wanted.suspended_ms);
    assert_true(cluster->resumed_ms == wanted.resumed_ms);
    assert_int_equal(cluster->chunks_needed, 42);
    assert_int_equal(cluster->workloads.count, 2);
    assert_string_equal(cluster->workloads.items[1].kind, "ReplicationController");
    assert_string_equal(cluster->workloads.items[1].name, "default-edges-v1");
    assert_int_equal(cluster->workloads.items[1].replicas, 3);
    assert_int_equal(cluster->artifact_count, wanted.artifact_count);
    for (size_t i = 0; i < cluster->artifact_count; i++) {
        const pb_artifact *one = &cluster->artifacts[i], *other = &wanted.artifacts[i];
        assert_int_equal(one->kind, other->kind);
        assert_string_equal(one->path, other->path);
        assert_string_equal(one->database, other->database);
        assert_int_equal(one->encrypted, other->encrypted);
        assert_int_equal(one->bytes, other->bytes);
        assert_int_equal(one->stored_bytes, other->stored_bytes);
        assert_memory_equal(one->sha256, other->sha256, PB_SHA256_BYTES);
        assert_memory_equal(one->stored_sha256, other->stored_sha256, PB_SHA256_BYTES);
    }
    append(&again, cluster);
    assert_string_equal(again.data, text.data);
    pb_snapshot_file_free(&file);
    assert_null(file.cluster);
    pb_cluster_record_free(&wanted);
    pb_buffer_free(&text);
    pb_buffer_free(&again);
}

static void one_without_dumps_round_trips(void **state)
{
    (void)state;
    pb_buffer text = {0};
    pb_snapshot_file file;
    pb_error error = {0};
    pb_cluster_record cluster = {
        .name_space = text_of("prod"),
        .pachyderm_version = text_of(""),
        .database_name = text_of(""),
        .database_version = text_of(""),
        .kubernetes = text_of("none"),
        .velero_backup = text_of(""),
    };
    append(&text, &cluster);
    if (parse(pb_buffer_slice(&text), &file, &error))
        fail_msg("%s", error.message);
    assert_false(file.cluster->paused);
    assert_int_equal(file.cluster->workloads.count, 0);
    assert_int_equal(file.cluster->artifact_count, 0);
    pb_snapshot_file_free(&file);
    pb_cluster_record_free(&cluster);

    pb_buffer_clear(&text);
    append(&text, NULL); /* a bucket alone */
    assert_null(strstr(text.data, "cluster"));
    assert_int_equal(parse(pb_buffer_slice(&text), &file, &error), 0);
    assert_null(file.cluster);
    pb_snapshot_file_free(&file);
    pb_buffer_free(&text);
}

static void each_member_must_be_there_and_of_its_type(void **state)
{
    (void)state;
    static const char *const names[] = {
        "namespace",     "pachyderm", "database",  "postgresql",   "kubernetes",
        "velero_backup", "paused",    "suspended", "resumed",      "chunks_needed",
        "workloads",     "artifacts", "replicas",  "name",         "path",
        "encrypted",     "bytes",     "sha256",    "stored_bytes", "stored_sha256"};
    static const char *const types[] = {"null", "[7]", "{\"a\":1}", "-1.5"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char name[64], other[96];
        snprintf(name, sizeof name, "\"%s\":", names[i]);
        refuse(name, "\"other\":", names[i]);
        for (size_t j = 0; j < COUNT(types); j++) {
            snprintf(other, sizeof other, "\"%s\":%s,\"other\":", names[i], types[j]);
            refuse(name, other, "");
        }
    }
    refuse("\"kind\":\"Deployment\"", "\"kind\":7", "workload 1");
    refuse("\"kind\":\"pg_dump\"", "\"kind\":7", "artifact 1");
    refuse("\"database\":\"pachyderm\"", "\"database\":7", "artifact 1");
    refuse("{\"namespace\":", "7,\"x\":{\"namespace\":", "cluster: not a JSON object");
    refuse("{\"kind\":\"pg_dumpall\"", "7,{\"kind\":\"pg_dumpall\"",
           "artifact 2: not a JSON object");
    take("\"paused\"", "\"new\":[],\"paused\"");
    take("\"encrypted\"", "\"new\":[],\"encrypted\"");
}

static void values_are_checked(void **state)
{
    (void)state;
    refuse("\"paused\":true", "\"paused\":1", "paused");
    refuse("\"paused\":true", "\"paused\":\"true\"", "paused");
    refuse("\"suspended\":\"2026", "\"suspended\":\"x", "suspended");
    refuse("\"resumed\":\"2026", "\"resumed\":\"2026-13", "resumed");
    refuse("\"chunks_needed\":42", "\"chunks_needed\":-42", "chunks_needed");
    refuse("\"chunks_needed\":42", "\"chunks_needed\":42.5", "chunks_needed");
    refuse("\"chunks_needed\":42", "\"chunks_needed\":9223372036854775808", "");
    refuse("\"kind\":\"pg_dump\"", "\"kind\":\"pg_dum\"", "kind");
    refuse("\"kind\":\"pg_dump\"", "\"kind\":\"\"", "kind");
    refuse("\"name\":\"pachd\"", "\"name\":\"--all\"", "workload 1");
    refuse("\"kind\":\"Deployment\"", "\"kind\":\"--all\"", "workload 1");
    refuse("\"sha256\":\"01", "\"sha256\":\"1", "sha256");
    refuse("\"sha256\":\"01", "\"sha256\":\"0x", "sha256");
    refuse("\"encrypted\":true", "\"encrypted\":1", "encrypted");
    refuse("\"identity_database\":\"logins\"", "\"identity_database\":7", "identity_database");
    take("\"identity_database\"", "\"other\""); /* early snapshots */
}

/* A snapshot that lost a dump says so, before anything is restored from it. */
static void each_database_has_its_dump(void **state)
{
    (void)state;
    static const char *const databases[][2] = {{"pachyderm", "logins"},
                                               {"other", "dex"},
                                               {"pachyderm", "dex"},
                                               {"pachyderm", "pachyderm"}};
    static const char *const missing[] = {"logins", "other", NULL, NULL};
    for (size_t i = 0; i < COUNT(databases); i++) {
        pb_buffer text = {0};
        pb_snapshot_file file;
        pb_error error = {0};
        pb_cluster_record cluster = {
            .name_space = text_of("prod"),
            .pachyderm_version = text_of(""),
            .database_name = text_of(databases[i][0]),
            .identity_database = text_of(databases[i][1]),
            .database_version = text_of("15.8"),
            .kubernetes = text_of("none"),
            .velero_backup = text_of(""),
        };
        add_artifact(&cluster, PB_ARTIFACT_DUMP, "a", "pachyderm", false);
        add_artifact(&cluster, PB_ARTIFACT_DUMP, "b", "dex", false);
        append(&text, &cluster);
        int parsed = parse(pb_buffer_slice(&text), &file, &error);
        assert_int_equal(parsed, missing[i] ? -1 : 0);
        if (missing[i])
            assert_non_null(strstr(error.message, missing[i]));
        else
            pb_snapshot_file_free(&file);
        pb_cluster_record_free(&cluster);
        pb_buffer_free(&text);
    }
}

static void paths_stay_below_the_snapshot(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       "/",        "/a",        "a/",    "a//b",      "..",       "../a", "a/..",
        "a/../b", ".",        "./a",       "a/./b", ".a",        "a/.b",     "a b",  "a\\\\b",
        "a\\nb",  "a\\u0001", "a?b",       "a#b",   "a%2fb",     "\xc3\xa4", "a:b",  "//",
        "a/..b",  "\\u002e.", "a\\u002f/", "\\/a",  "a\\/..\\/b"};
    static const char path[] = "\"path\":\"database/pachyderm.dump.zst.age\"";
    char other[1024];
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(other, sizeof other, "\"path\":\"%s\"", bad[i]);
        refuse(path, other, "artifact 1: \"path\" is not a path");
    }
    snprintf(other, sizeof other, "\"path\":\"%0512d\"", 1);
    refuse(path, other, "path");
    snprintf(other, sizeof other, "\"path\":\"%0511d\"", 1);
    take(path, other);
    take(path, "\"path\":\"A-z_0.9/b.c..d\"");
    take(path, "\"path\":\"a\"");
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    pb_buffer text = {0};
    append_good(&text);
    for (size_t size = 1; size + 1 < text.size; size++) {
        pb_snapshot_file file;
        pb_error error = {0};
        assert_int_equal(parse((pb_slice){text.data, size}, &file, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    }
    pb_buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_round_trips),
        cmocka_unit_test(one_without_dumps_round_trips),
        cmocka_unit_test(each_member_must_be_there_and_of_its_type),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(each_database_has_its_dump),
        cmocka_unit_test(paths_stay_below_the_snapshot),
        cmocka_unit_test(every_cut_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
