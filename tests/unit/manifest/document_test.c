#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "manifest/intent.h"
#include "manifest/repository_file.h"
#include "manifest/snapshot_file.h"
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define ID "20261123T052049Z-3f9a"
#define BASE_ID "20261122T052049Z-0001"
#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define REPOSITORY_ID "00112233445566778899aabbccddeeff"
#define FEATURES                                                                                   \
    "\"features\":{\"create_only\":true,\"ordered_listing\":true,\"listed_sources\":false,"        \
    "\"md5_etags\":true,\"kept_etags\":true,\"copies\":true,\"needs_content_md5\":false}"

/* ---- the three documents through one door ---- */

enum kind { REPOSITORY, INTENT, SNAPSHOT };

static int parse(enum kind kind, pb_slice text, pb_error *error)
{
    /* Memory of exactly this size, so that a sanitizer sees a step too far. */
    char *exact = malloc(text.size ? text.size : 1);
    assert_non_null(exact);
    if (text.size)
        memcpy(exact, text.data, text.size);
    pb_slice slice = {exact, text.size};
    int result;
    if (kind == REPOSITORY) {
        pb_repository_file file;
        result = pb_repository_file_parse(slice, &file, error);
    } else if (kind == INTENT) {
        pb_intent intent;
        result = pb_intent_parse(slice, &intent, error);
        if (result == 0)
            pb_intent_free(&intent);
    } else {
        pb_snapshot_file file;
        result = pb_snapshot_file_parse(slice, &file, error);
        if (result == 0)
            pb_snapshot_file_free(&file);
    }
    free(exact);
    return result;
}

static char no_text[] = "";
static char bucket[] = "s3://endpoint/bucket \"x\"";
static char odd_prefix[] = "a/\xc3\xa4\n";
static char host[] = "node-1";
static char boot_id[] = "b0";
static char program[] = "pbcopy 0.1.0";

static pb_intent make_intent(void)
{
    return (pb_intent){
        .id = ID,
        .source = bucket,
        .prefix = odd_prefix,
        .base = BASE_ID,
        .base_sha256 = HEX64,
        .process.host = host,
        .process.boot_id = boot_id,
        .process.pid = 4711,
        .process.pid_start = 123456,
        .started_ms = INT64_C(1795411249123),
        .process.heartbeat_ms = INT64_C(1795411250000),
        .program = program,
        .lease = "5f0c7a3b9d1e4f6882ab34cd56ef7890",
    };
}

static pb_part parts[3] = {
    {.name = "000001.ndjson.zst",
     .range = {NULL, (char[]){"b\"\n"}},
     .records = 1,
     .bytes = 10,
     .stored_bytes = 100,
     .sha256 = {1},
     .stored_sha256 = {2}},
    {.name = "000003.ndjson.zst", .range = {(char[]){"b\"\n"}, (char[]){"k\xc3\xa4"}}},
    {.name = "000002.ndjson.zst",
     .range = {(char[]){"k\xc3\xa4"}, NULL},
     .records = 2,
     .bytes = 20,
     .stored_bytes = 120},
};

static pb_snapshot_file make_snapshot(void)
{
    return (pb_snapshot_file){
        .id = ID,
        .source = bucket,
        .prefix = no_text,
        .started_ms = INT64_C(1795411249123),
        .committed_ms = INT64_C(1795411259000),
        .program = program,
        .objects = 3,
        .bytes = 30,
        .copied_objects = 2,
        .copied_bytes = 20,
        .proofs_size = 1,
        .proofs_etag = 1,
        .proofs_key = 1,
        .live_until_ms = INT64_C(1795411258000),
        .changed_objects = 5,
        .vanished_objects = 7,
        .parts = parts,
        .part_count = 3,
    };
}

static void append(enum kind kind, pb_buffer *text)
{
    if (kind == REPOSITORY) {
        pb_repository_file file = {.id = REPOSITORY_ID, .create_only = true};
        pb_repository_file_append(text, &file);
    } else if (kind == INTENT) {
        pb_intent intent = make_intent();
        pb_intent_append(text, &intent);
    } else {
        pb_snapshot_file file = make_snapshot();
        pb_snapshot_file_append(text, &file);
    }
}

/* The good document with one piece replaced. */
static void expect_refused(enum kind kind, const char *piece, const char *replacement,
                           pb_error_kind error_kind, const char *reason)
{
    pb_buffer text = {0};
    pb_buffer changed = {0};
    pb_error error = {0};
    append(kind, &text);
    const char *place = strstr(text.data, piece);
    if (place == NULL)
        fail_msg("no %s in %s", piece, text.data);
    pb_buffer_append(&changed, text.data, (size_t)(place - text.data));
    pb_buffer_append_text(&changed, replacement);
    pb_buffer_append_text(&changed, place + strlen(piece));
    if (parse(kind, pb_buffer_slice(&changed), &error) != -1)
        fail_msg("taken: %s", changed.data);
    assert_int_equal(error.kind, error_kind);
    if (strstr(error.message, reason) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", error.message, reason);
    if (error_kind == PB_ERROR_USAGE)
        assert_string_not_equal(error.hint, "");
    pb_buffer_free(&changed);
    pb_buffer_free(&text);
}

static void expect_taken(enum kind kind, const char *piece, const char *replacement)
{
    pb_buffer text = {0};
    pb_buffer changed = {0};
    pb_error error = {0};
    append(kind, &text);
    const char *place = strstr(text.data, piece);
    assert_non_null(place);
    pb_buffer_append(&changed, text.data, (size_t)(place - text.data));
    pb_buffer_append_text(&changed, replacement);
    pb_buffer_append_text(&changed, place + strlen(piece));
    if (parse(kind, pb_buffer_slice(&changed), &error) != 0)
        fail_msg("%s: %s", error.message, changed.data);
    pb_buffer_free(&changed);
    pb_buffer_free(&text);
}

/* ---- tests ---- */

static void the_repository_file_round_trips(void **state)
{
    (void)state;
    pb_buffer text = {0};
    pb_error error;
    append(REPOSITORY, &text);
    assert_string_equal(text.data,
                        "{\"pbcopy\":\"repository\",\"version\":1,\"id\":\"" REPOSITORY_ID
                        "\"," FEATURES "}\n");
    pb_repository_file file;
    assert_int_equal(pb_repository_file_parse(pb_buffer_slice(&text), &file, &error), 0);
    assert_string_equal(file.id, REPOSITORY_ID);
    assert_int_equal(file.version, 1);
    assert_true(file.create_only);
    assert_false(file.unordered_listing);
    assert_false(file.lists_sources);
    file.create_only = false;
    assert_false(file.opaque_etags || file.unkept_etags || file.refuses_copies ||
                 file.wants_content_md5);
    file.unordered_listing = file.lists_sources = true;
    file.opaque_etags = file.unkept_etags = true;
    file.refuses_copies = file.wants_content_md5 = true;
    pb_buffer_clear(&text);
    pb_repository_file_append(&text, &file);
    assert_int_equal(pb_repository_file_parse(pb_buffer_slice(&text), &file, &error), 0);
    assert_false(file.create_only);
    assert_true(file.unordered_listing);
    assert_true(file.lists_sources);
    assert_true(file.opaque_etags && file.unkept_etags && file.refuses_copies &&
                file.wants_content_md5);
    pb_buffer_free(&text);
}

static void the_repository_file_is_checked(void **state)
{
    (void)state;
    const pb_error_kind damaged = PB_ERROR_DAMAGED;
    expect_taken(REPOSITORY, "}}", ",\"new\":7},\"more\":[]}");
    expect_taken(REPOSITORY, "}}", "},\"requires\":[\"create_only\",\"ordered_listing\"]}");
    expect_refused(REPOSITORY, "}}", "},\"requires\":[\"create_only\",\"encryption\"]}",
                   PB_ERROR_USAGE, "encryption");
    expect_refused(REPOSITORY, "}}", "},\"requires\":[7]}", damaged, "requires");
    expect_refused(REPOSITORY, "}}", "},\"requires\":{}}", damaged, "requires");
    expect_refused(REPOSITORY, "version\":1", "version\":2", PB_ERROR_USAGE, "version 2");
    expect_refused(REPOSITORY, "version\":1", "version\":0", damaged, "version");
    expect_refused(REPOSITORY, "version\":1", "version\":\"1\"", damaged, "version");
    expect_refused(REPOSITORY, "\"repository\"", "\"intent\"", damaged, "is a \"intent\"");
    expect_refused(REPOSITORY, "\"id\":\"0", "\"id\":\"", damaged, "id");
    expect_refused(REPOSITORY, "\"id\"", "\"di\"", damaged, "id");
    expect_refused(REPOSITORY, "true", "1", damaged, "create_only");
    expect_refused(REPOSITORY, FEATURES, "\"features\":[]", damaged, "features");
    expect_refused(REPOSITORY, "," FEATURES, "", damaged, "features");
    /* Repositories of before do not say it. */
    expect_taken(REPOSITORY, ",\"ordered_listing\":true", "");
    expect_refused(REPOSITORY, "listing\":true", "listing\":1", damaged, "ordered_listing");
    expect_taken(REPOSITORY, ",\"listed_sources\":false", "");
    expect_refused(REPOSITORY, "sources\":false", "sources\":\"\"", damaged, "listed_sources");
    static const char *const found[][2] = {
        {"md5_etags", "true"},
        {"kept_etags", "true"},
        {"copies", "true"},
        {"needs_content_md5", "false"},
    };
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        char said[64], wrong[64], required[64];
        snprintf(said, sizeof said, ",\"%s\":%s", found[i][0], found[i][1]);
        snprintf(wrong, sizeof wrong, ",\"%s\":\"%s\"", found[i][0], found[i][1]);
        snprintf(required, sizeof required, "},\"requires\":[\"%s\"]}", found[i][0]);
        expect_taken(REPOSITORY, said, "");
        expect_refused(REPOSITORY, said, wrong, damaged, found[i][0]);
        expect_taken(REPOSITORY, "}}", required);
    }
}

static void an_intent_round_trips(void **state)
{
    (void)state;
    pb_buffer text = {0};
    pb_buffer again = {0};
    pb_error error;
    pb_intent intent;
    append(INTENT, &text);
    assert_int_equal(pb_intent_parse(pb_buffer_slice(&text), &intent, &error), 0);
    pb_intent wanted = make_intent();
    assert_string_equal(intent.id, wanted.id);
    assert_string_equal(intent.source, wanted.source);
    assert_string_equal(intent.prefix, wanted.prefix);
    assert_string_equal(intent.base, wanted.base);
    assert_string_equal(intent.base_sha256, wanted.base_sha256);
    assert_string_equal(intent.process.host, wanted.process.host);
    assert_string_equal(intent.process.boot_id, wanted.process.boot_id);
    assert_true(intent.process.pid == wanted.process.pid &&
                intent.process.pid_start == wanted.process.pid_start);
    assert_true(intent.started_ms == wanted.started_ms);
    assert_true(intent.process.heartbeat_ms == wanted.process.heartbeat_ms);
    assert_string_equal(intent.program, wanted.program);
    assert_string_equal(intent.lease, wanted.lease);
    pb_intent_append(&again, &intent);
    assert_string_equal(again.data, text.data);
    pb_intent_free(&intent);
    pb_intent_free(&intent);

    wanted.base[0] = wanted.base_sha256[0] = '\0';
    pb_buffer_clear(&text);
    pb_intent_append(&text, &wanted);
    assert_non_null(strstr(text.data, "\"base\":null,\"base_sha256\":null"));
    assert_int_equal(pb_intent_parse(pb_buffer_slice(&text), &intent, &error), 0);
    assert_string_equal(intent.base, "");
    assert_string_equal(intent.base_sha256, "");
    pb_intent_free(&intent);
    pb_buffer_free(&text);
    pb_buffer_free(&again);
}

static void an_intent_is_checked(void **state)
{
    (void)state;
    const pb_error_kind damaged = PB_ERROR_DAMAGED;
    expect_taken(INTENT, "\"host\"", "\"new\":{},\"host\"");
    expect_taken(INTENT, "\"base\":\"" BASE_ID "\",\"base_sha256\":\"" HEX64 "\",", "");
    expect_taken(INTENT, ",\"lease\":\"5f0c7a3b9d1e4f6882ab34cd56ef7890\"", "");
    expect_refused(INTENT, "\"lease\":\"5f", "\"lease\":\"..", damaged, "lease");
    expect_refused(INTENT, "version\":1", "version\":9", PB_ERROR_USAGE, "intent.json");
    expect_refused(INTENT, "\"intent\"", "\"snapshot\"", damaged, "intent");
    expect_refused(INTENT, "\"id\":\"" ID, "\"id\":\"x" ID, damaged, "\"id\" is not a snapshot id");
    expect_refused(INTENT, "\"" BASE_ID "\"", "null", damaged, "base");
    expect_refused(INTENT, "\"" HEX64 "\"", "null", damaged, "base_sha256");
    expect_refused(INTENT, BASE_ID, "", damaged, "base");
    expect_refused(INTENT, HEX64, "abc", damaged, "base_sha256");
    expect_refused(INTENT, "4711", "-4711", damaged, "pid");
    expect_refused(INTENT, "4711", "4711.5", damaged, "pid");
    expect_refused(INTENT, "\"started\":\"2026", "\"started\":\"x", damaged, "started");
    expect_refused(INTENT, "\"heartbeat\":\"2026", "\"heartbeat\":\"x", damaged, "heartbeat");
    expect_refused(INTENT, "node-1", "node\\u0000", damaged, "intent.json");
    expect_refused(INTENT, "node-1", "node\xff", damaged, "intent.json");
    static const char *const names[] = {"id",  "source",    "prefix",  "host",      "boot_id",
                                        "pid", "pid_start", "started", "heartbeat", "program"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[32];
        snprintf(name, sizeof(name), "\"%s\":", names[i]);
        expect_refused(INTENT, name, "\"other\":", damaged, names[i]);
    }
}

static void an_intent_of_a_cluster_round_trips(void **state)
{
    (void)state;
    static char name_space[] = "pachyderm";
    pb_buffer text = {0};
    pb_buffer again = {0};
    pb_error error;
    pb_intent intent;
    pb_intent wanted = make_intent();
    pb_intent_append(&text, &wanted);
    assert_int_equal(pb_intent_parse(pb_buffer_slice(&text), &intent, &error), 0);
    assert_string_equal(intent.name_space, "");
    assert_null(intent.suspension);
    pb_intent_free(&intent);

    wanted.name_space = name_space;
    pb_buffer_clear(&text);
    pb_intent_append(&text, &wanted);
    assert_non_null(strstr(text.data, ",\"namespace\":\"pachyderm\"}"));
    assert_int_equal(pb_intent_parse(pb_buffer_slice(&text), &intent, &error), 0);
    assert_string_equal(intent.name_space, "pachyderm");
    assert_null(intent.suspension);
    pb_intent_free(&intent);

    wanted.suspension = json_loads("{\"workloads\":[{\"kind\":\"Deployment\",\"name\":\"pachd\","
                                   "\"replicas\":1}],\"note\":\"\\u00e4\\n\"}",
                                   0, NULL);
    assert_non_null(wanted.suspension);
    pb_buffer_clear(&text);
    pb_intent_append(&text, &wanted);
    assert_int_equal(pb_intent_parse(pb_buffer_slice(&text), &intent, &error), 0);
    assert_true(json_equal(intent.suspension, wanted.suspension));
    pb_intent_append(&again, &intent);
    assert_string_equal(again.data, text.data);
    pb_intent_free(&intent);
    assert_null(intent.suspension);
    json_decref(wanted.suspension);
    pb_buffer_free(&text);
    pb_buffer_free(&again);
}

static void an_intent_of_a_cluster_is_checked(void **state)
{
    (void)state;
    const pb_error_kind damaged = PB_ERROR_DAMAGED;
    expect_taken(INTENT, "\"host\"", "\"suspension\":{},\"host\"");
    expect_taken(INTENT, "\"host\"", "\"suspension\":null,\"host\"");
    expect_refused(INTENT, "\"host\"", "\"suspension\":[],\"host\"", damaged, "suspension");
    expect_refused(INTENT, "\"host\"", "\"suspension\":\"x\",\"host\"", damaged, "suspension");
    expect_refused(INTENT, "\"host\"", "\"suspension\":0,\"host\"", damaged, "suspension");
    expect_taken(INTENT, "\"namespace\":null", "\"other\":null");
    expect_taken(INTENT, "\"namespace\":null", "\"namespace\":\"prod\"");
    expect_refused(INTENT, "\"namespace\":null", "\"namespace\":7", damaged, "namespace");
    expect_refused(INTENT, "\"namespace\":null", "\"namespace\":{}", damaged, "namespace");
    expect_refused(INTENT, "\"namespace\":null", "\"namespace\":false", damaged, "namespace");
}

static void a_snapshot_round_trips(void **state)
{
    (void)state;
    pb_buffer text = {0};
    pb_buffer again = {0};
    pb_error error;
    pb_snapshot_file file;
    append(SNAPSHOT, &text);
    assert_int_equal(pb_snapshot_file_parse(pb_buffer_slice(&text), &file, &error), 0);
    pb_snapshot_file wanted = make_snapshot();
    assert_string_equal(file.id, wanted.id);
    assert_string_equal(file.base, "");
    assert_true(file.started_ms == wanted.started_ms && file.committed_ms == wanted.committed_ms);
    assert_true(file.objects == 3 && file.bytes == 30 && file.copied_objects == 2 &&
                file.copied_bytes == 20);
    assert_true(file.proofs_size == 1 && file.proofs_etag == 1 && file.proofs_checksum == 0 &&
                file.proofs_sha256 == 0 && file.proofs_key == 1);
    assert_true(file.live_until_ms == wanted.live_until_ms && file.changed_objects == 5 &&
                file.vanished_objects == 7);
    assert_int_equal(file.part_count, 3);
    for (size_t i = 0; i < file.part_count; i++) {
        assert_string_equal(file.parts[i].name, parts[i].name);
        assert_true(pb_range_equal(&file.parts[i].range, &parts[i].range));
        assert_true(file.parts[i].records == parts[i].records &&
                    file.parts[i].bytes == parts[i].bytes &&
                    file.parts[i].stored_bytes == parts[i].stored_bytes);
        assert_memory_equal(file.parts[i].sha256, parts[i].sha256, PB_SHA256_BYTES);
        assert_memory_equal(file.parts[i].stored_sha256, parts[i].stored_sha256, PB_SHA256_BYTES);
    }
    strcpy(file.base, BASE_ID);
    strcpy(file.base_sha256, HEX64);
    pb_snapshot_file_append(&again, &file);
    pb_snapshot_file_free(&file);
    assert_int_equal(pb_snapshot_file_parse(pb_buffer_slice(&again), &file, &error), 0);
    assert_string_equal(file.base, BASE_ID);
    assert_string_equal(file.base_sha256, HEX64);
    pb_snapshot_file_free(&file);
    pb_snapshot_file_free(&file);
    pb_buffer_free(&text);
    pb_buffer_free(&again);
}

static void a_snapshot_is_checked(void **state)
{
    (void)state;
    const pb_error_kind damaged = PB_ERROR_DAMAGED;
    expect_taken(SNAPSHOT, "\"objects\"", "\"dumps\":[],\"objects\"");
    expect_taken(SNAPSHOT, "\"assurance\":{\"size\":1", "\"assurance\":{\"merkle\":1,\"size\":0");
    expect_refused(SNAPSHOT, "version\":1", "version\":2", PB_ERROR_USAGE, "snapshot.json");
    expect_refused(SNAPSHOT, "\"objects\":3", "\"objects\":4", damaged, "sums");
    expect_refused(SNAPSHOT, "\"bytes\":30", "\"bytes\":31", damaged, "sums");
    expect_refused(SNAPSHOT, "\"records\":1", "\"records\":9223372036854775807", damaged, "sums");
    expect_refused(SNAPSHOT, "\"records\":1", "\"records\":9223372036854775808", damaged,
                   "snapshot.json");
    expect_refused(SNAPSHOT, "\"copied_objects\":2", "\"copied_objects\":4", damaged, "copied");
    expect_refused(SNAPSHOT, "\"copied_bytes\":20", "\"copied_bytes\":31", damaged, "copied");
    expect_refused(SNAPSHOT, "\"etag\":1", "\"etag\":2", damaged, "assurance");
    expect_refused(SNAPSHOT, "\"etag\":1", "\"etag\":9223372036854775807", damaged, "assurance");
    expect_refused(SNAPSHOT, "\"etag\":1,", "", damaged, "assurance: \"etag\" is missing");
    expect_refused(SNAPSHOT, "\"assurance\"", "\"insurance\"", damaged, "assurance");
    expect_refused(SNAPSHOT, "\"parts\"", "\"pieces\"", damaged, "parts");
    expect_refused(SNAPSHOT, "\"name\":\"000003", "\"name\":\"../003", damaged, "part 2: \"name\"");
    expect_refused(SNAPSHOT, "\"name\":\"000003", "\"name\":\"a/b", damaged, "part 2: \"name\"");
    expect_refused(SNAPSHOT, "\"name\":\"000003.ndjson.zst", "\"name\":\"", damaged, "\"name\"");
    expect_refused(SNAPSHOT, "\"name\":\"000003", "\"name\":\"000003000003000003003", damaged,
                   "\"name\"");
    expect_refused(SNAPSHOT, "\"after\":\"\"", "\"after\":\"a\"", damaged,
                   "part 1: does not begin");
    expect_refused(SNAPSHOT, "\"through\":\"b\\\"\\n\"", "\"through\":\"c\"", damaged,
                   "part 2: does not begin");
    expect_refused(SNAPSHOT, "\"through\":\"b\\\"\\n\"", "\"through\":\"a\"", damaged,
                   "part 2: does not begin");
    expect_refused(SNAPSHOT, "\"through\":\"b\\\"\\n\"", "\"through\":null", damaged,
                   "part 2: does not begin");
    expect_refused(SNAPSHOT, "\"through\":\"b\\\"\\n\"", "\"through\":\"\"", damaged, "part 1");
    expect_refused(SNAPSHOT, "\"through\":null", "\"through\":\"z\"", damaged, "cover all keys");
    expect_refused(SNAPSHOT, "\"parts\":[", "\"parts\":[7,", damaged, "part 1: not a JSON object");
    expect_refused(SNAPSHOT, "\"sha256\":\"01", "\"sha256\":\"1", damaged, "part 1: \"sha256\"");
    expect_refused(SNAPSHOT, "\"stored_sha256\":\"02", "\"stored_sha256\":\"1", damaged,
                   "\"stored_sha256\"");
    expect_refused(SNAPSHOT, "\"live\":{", "\"live\":7,\"other\":{", damaged, "live");
    static const char *const names[] = {
        "until",   "changed_objects", "vanished_objects", "id",      "source",
        "prefix",  "started",         "committed",        "program", "objects",
        "bytes",   "copied_objects",  "copied_bytes",     "after",   "through",
        "records", "stored_bytes"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[32];
        snprintf(name, sizeof(name), "\"%s\":", names[i]);
        expect_refused(SNAPSHOT, name, "\"other\":", damaged, names[i]);
    }
    pb_error error = {0};
    pb_buffer text = {0};
    pb_snapshot_file file = make_snapshot();
    file.part_count = 0;
    file.objects = file.bytes = file.copied_objects = file.copied_bytes = 0;
    file.proofs_size = file.proofs_etag = file.proofs_key = 0;
    pb_snapshot_file_append(&text, &file);
    assert_int_equal(parse(SNAPSHOT, pb_buffer_slice(&text), &error), -1);
    assert_non_null(strstr(error.message, "cover all keys"));
    pb_buffer_free(&text);
}

static void a_hundred_thousand_parts_are_fine(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    pb_snapshot_file file = make_snapshot();
    pb_snapshot_file back;
    pb_buffer text = {0};
    pb_error error;
    file.parts = pb_allocate_zeroed(COUNT, sizeof(*file.parts));
    file.part_count = COUNT;
    for (size_t i = 0; i < COUNT; i++) {
        char after[32];
        char through[32];
        int after_size = i ? snprintf(after, sizeof(after), "data/%08zu", i - 1) : 0;
        int through_size = snprintf(through, sizeof(through), "data/%08zu", i);
        file.parts[i].range =
            pb_range_copy((pb_slice){after, (size_t)after_size},
                          (pb_slice){through, (size_t)through_size}, i == COUNT - 1);
        snprintf(file.parts[i].name, sizeof(file.parts[i].name), "%06zu.ndjson.zst", i);
        file.parts[i].records = 3;
    }
    file.objects = 3 * COUNT;
    file.bytes = file.copied_bytes = 0;
    pb_snapshot_file_append(&text, &file);
    assert_int_equal(pb_snapshot_file_parse(pb_buffer_slice(&text), &back, &error), 0);
    assert_int_equal(back.part_count, COUNT);
    pb_snapshot_file_free(&back);
    for (size_t i = 0; i < COUNT; i++)
        pb_part_free(&file.parts[i]);
    free(file.parts);
    pb_buffer_free(&text);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    for (enum kind kind = REPOSITORY; kind <= SNAPSHOT; kind++) {
        pb_buffer text = {0};
        append(kind, &text);
        /* The last byte is the newline, which may go. */
        for (size_t size = 0; size + 1 < text.size; size++) {
            pb_error error = {0};
            assert_int_equal(parse(kind, (pb_slice){text.data, size}, &error), -1);
            assert_int_equal(error.kind, PB_ERROR_DAMAGED);
        }
        pb_buffer_free(&text);
    }
}

static void random_damage_is_harmless(void **state)
{
    (void)state;
    static const char interesting[] = "{}[]\",:\\u0e-+. \n\xc3\xa4\xff";
    pb_random random = {5};
    for (enum kind kind = REPOSITORY; kind <= SNAPSHOT; kind++) {
        pb_buffer text = {0};
        append(kind, &text);
        for (int round = 0; round < 4000; round++) {
            char *damaged = pb_duplicate(pb_buffer_slice(&text));
            uint64_t changes = 1 + pb_random_below(&random, 3);
            while (changes--)
                damaged[pb_random_below(&random, text.size)] =
                    pb_random_below(&random, 2)
                        ? interesting[pb_random_below(&random, sizeof(interesting))]
                        : (char)pb_random_next(&random);
            pb_error error = {0};
            if (parse(kind, (pb_slice){damaged, text.size}, &error) != 0)
                assert_true(error.kind == PB_ERROR_DAMAGED || error.kind == PB_ERROR_USAGE);
            free(damaged);
        }
        pb_buffer_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_repository_file_round_trips),
        cmocka_unit_test(the_repository_file_is_checked),
        cmocka_unit_test(an_intent_round_trips),
        cmocka_unit_test(an_intent_is_checked),
        cmocka_unit_test(an_intent_of_a_cluster_round_trips),
        cmocka_unit_test(an_intent_of_a_cluster_is_checked),
        cmocka_unit_test(a_snapshot_round_trips),
        cmocka_unit_test(a_snapshot_is_checked),
        cmocka_unit_test(a_hundred_thousand_parts_are_fine),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(random_damage_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
