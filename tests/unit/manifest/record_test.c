#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "manifest/record.h"
#include <cmocka.h>
#include <stdlib.h>

#define AT "20261123T052049Z-3f9a"
#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define PATH "long/" AT "/" HEX64
#define FULL_LINE                                                                                  \
    "{\"key\":\"chunk/ab\",\"size\":8388608,\"mtime\":\"2026-11-23T05:20:49.123Z\","               \
    "\"etag\":\"9e107d9d\",\"at\":\"" AT "\",\"path\":\"" PATH "\",\"stored\":\"aa-2\","           \
    "\"sha256\":\"" HEX64 "\",\"crc32c\":\"e3069283\",\"part_bytes\":8388608,"                     \
    "\"proof\":\"etag+sha256\"}"
#define SHORT_LINE                                                                                 \
    "{\"key\":\"k\",\"size\":0,\"mtime\":\"1970-01-01T00:00:00.000Z\",\"etag\":\"\","              \
    "\"at\":\"" AT "\",\"proof\":\"size\"}"
/* All that is required but the key, for lines whose key is tried. */
#define REST                                                                                       \
    ",\"size\":1,\"mtime\":\"2026-11-23T05:20:49Z\",\"etag\":\"\",\"at\":\"" AT "\",\"proof\":"    \
    "\"\""

static bool same_record(const pb_record *a, const pb_record *b)
{
    return pb_slice_equal(a->key, b->key) && a->size == b->size && a->mtime_ms == b->mtime_ms &&
           pb_slice_equal(a->etag, b->etag) && pb_slice_equal(a->at, b->at) &&
           pb_slice_equal(a->path, b->path) && pb_slice_equal(a->stored_etag, b->stored_etag) &&
           a->has_sha256 == b->has_sha256 && memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0 &&
           a->has_crc32c == b->has_crc32c && memcmp(a->crc32c, b->crc32c, sizeof(a->crc32c)) == 0 &&
           a->part_bytes == b->part_bytes && a->proof == b->proof;
}

/* Parses a copy that ends where its memory ends, so that a sanitizer sees a step too far. The
 * record's slices stay valid until `arena` is freed. */
static int parse(pb_slice line, pb_arena *arena, pb_record *ret_record, pb_error *error)
{
    char *exact = malloc(line.size ? line.size : 1);
    assert_non_null(exact);
    if (line.size)
        memcpy(exact, line.data, line.size);
    int result = pb_record_parse((pb_slice){exact, line.size}, arena, ret_record, error);
    if (result == 0) {
        pb_slice *slices[] = {&ret_record->key, &ret_record->etag, &ret_record->at,
                              &ret_record->path, &ret_record->stored_etag};
        for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++)
            *slices[i] = pb_arena_copy(arena, *slices[i]);
    }
    free(exact);
    return result;
}

static void expect_refused(pb_slice line, const char *reason)
{
    pb_arena arena = {0};
    pb_record record = {.size = 77};
    pb_error error = {0};
    if (parse(line, &arena, &record, &error) != -1)
        fail_msg("taken: %.*s", PB_SLICE_FORMAT(line));
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_int_equal(record.size, 77);
    if (strstr(error.message, reason) == NULL)
        fail_msg("%.*s: \"%s\" lacks \"%s\"", PB_SLICE_FORMAT(line), error.message, reason);
    pb_arena_free(&arena);
}

static void expect_round_trip(const pb_record *record)
{
    pb_buffer line = {0};
    pb_arena arena = {0};
    pb_record back;
    pb_error error;
    assert_null(pb_record_flaw(record));
    pb_record_append(&line, record);
    assert_int_equal(line.data[line.size - 1], '\n');
    assert_null(memchr(line.data, '\n', line.size - 1));
    assert_int_equal(line.data[line.size], '\0');
    pb_slice text = {line.data, line.size - 1};
    assert_true(text.size <= PB_RECORD_LINE_MAX);
    if (parse(text, &arena, &back, &error) != 0)
        fail_msg("%s: %.*s", error.message, PB_SLICE_FORMAT(text));
    assert_true(same_record(record, &back));
    pb_arena_free(&arena);
    pb_buffer_free(&line);
}

static pb_record plain_record(pb_slice key)
{
    return (pb_record){.key = key, .at = PB_SLICE_LITERAL(AT), .proof = PB_PROOF_SIZE};
}

static pb_record full_record(void)
{
    pb_record record = {
        .key = PB_SLICE_LITERAL("chunk/ab"),
        .size = 8388608,
        .mtime_ms = INT64_C(1795411249123),
        .etag = PB_SLICE_LITERAL("9e107d9d"),
        .at = PB_SLICE_LITERAL(AT),
        .path = PB_SLICE_LITERAL(PATH),
        .stored_etag = PB_SLICE_LITERAL("aa-2"),
        .has_sha256 = true,
        .has_crc32c = true,
        .crc32c = {0xe3, 0x06, 0x92, 0x83},
        .part_bytes = 8388608,
        .proof = PB_PROOF_ETAG | PB_PROOF_SHA256,
    };
    for (unsigned i = 0; i < sizeof(record.sha256); i++)
        record.sha256[i] = (uint8_t)((i % 16) * 0x11);
    return record;
}

static void lines_are_as_documented(void **state)
{
    (void)state;
    pb_buffer line = {0};
    pb_record record = full_record();
    pb_record_append(&line, &record);
    assert_string_equal(line.data, FULL_LINE "\n");
    expect_round_trip(&record);
    record.has_sha256 = false;
    memset(record.sha256, 0, sizeof(record.sha256));
    record.proof = PB_PROOF_ETAG | PB_PROOF_CHECKSUM;
    expect_round_trip(&record);
    pb_buffer_clear(&line);
    record = plain_record(PB_SLICE_LITERAL("k"));
    pb_record_append(&line, &record);
    assert_string_equal(line.data, SHORT_LINE "\n");
    pb_buffer_free(&line);
}

static void odd_keys_round_trip(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "/",
        "//",
        "/a//b/",
        "..",
        "../../x",
        " ",
        "a b+c%20",
        "\"",
        "\\",
        "\\\"\\\\\"",
        "<&>'",
        "\x01\x02\x1f\x7f",
        "\b\t\n\v\f\r",
        "new\nline",
        "tab\tinside a longer key than a word",
        "\xc3\xa4\xc3\xb6\xc3\xbc",
        "\xe2\x80\xa8\xe2\x80\xa9",
        "\xf0\x9f\x98\x80 smile",
        "\xef\xbf\xbf",
        "\xf4\x8f\xbf\xbf",
        "{\"key\":\"x\"}",
        "1234567",
        "12345678",
        "123456789",
        "1234567\"",
        "12345678\"",
        "\\12345678",
        "\xc2\x80",
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        pb_record record = plain_record(pb_slice_of(keys[i]));
        expect_round_trip(&record);
        record.etag = record.stored_etag = record.key;
        expect_round_trip(&record);
    }
    /* Each byte at each place of a word, with each of its neighbours. */
    for (int byte = 1; byte < 0x80; byte++) {
        for (size_t place = 0; place < 20; place++) {
            char key[20];
            memset(key, 'x', sizeof(key));
            key[place] = (char)byte;
            pb_record record = plain_record((pb_slice){key, sizeof(key)});
            expect_round_trip(&record);
        }
    }
}

static void a_record_at_all_limits_is_one_longest_line(void **state)
{
    (void)state;
    static char worst[PB_RECORD_KEY_MAX + 1];
    memset(worst, 1, sizeof(worst));
    pb_record record = full_record();
    record.key = (pb_slice){worst, PB_RECORD_KEY_MAX};
    record.etag = record.stored_etag = (pb_slice){worst, PB_RECORD_ETAG_MAX};
    record.size = record.part_bytes = PB_RECORD_NUMBER_MAX;
    record.proof =
        PB_PROOF_SIZE | PB_PROOF_ETAG | PB_PROOF_CHECKSUM | PB_PROOF_SHA256 | PB_PROOF_KEY;
    expect_round_trip(&record);

    record.key.size++;
    assert_string_equal(pb_record_flaw(&record), "the key is too long");
    assert_string_equal(pb_key_flaw(record.key), "the key is too long");
    record.key.size = 1;
    record.etag.size++;
    assert_string_equal(pb_record_flaw(&record), "an ETag is too long");
    record.etag.size = 0;
    record.size++;
    assert_string_equal(pb_record_flaw(&record), "a number is too large");
}

static void times_keep_their_milliseconds(void **state)
{
    (void)state;
    static const int64_t times_ms[] = {0, -1, 1, 999, -62167219200000, 253402300799999};
    for (size_t i = 0; i < sizeof(times_ms) / sizeof(times_ms[0]); i++) {
        pb_record record = plain_record(PB_SLICE_LITERAL("k"));
        record.mtime_ms = times_ms[i];
        expect_round_trip(&record);
    }
}

static void flaws_are_named(void **state)
{
    (void)state;
    assert_non_null(pb_key_flaw((pb_slice){NULL, 0}));
    assert_non_null(pb_key_flaw(PB_SLICE_LITERAL("a\0b")));
    assert_non_null(pb_key_flaw(PB_SLICE_LITERAL("a\xff")));
    assert_null(pb_key_flaw(PB_SLICE_LITERAL("a")));
    pb_record record = plain_record(PB_SLICE_LITERAL("k"));
    record.at = PB_SLICE_LITERAL("yesterday");
    assert_non_null(pb_record_flaw(&record));
    record = plain_record(PB_SLICE_LITERAL("k"));
    record.etag = PB_SLICE_LITERAL("\xff");
    assert_non_null(pb_record_flaw(&record));
    record = plain_record(PB_SLICE_LITERAL("k"));
    record.path = PB_SLICE_LITERAL(PATH);
    assert_null(pb_record_flaw(&record));
    record = plain_record(PB_SLICE_LITERAL("k"));
    record.part_bytes = 1; /* of a multipart ETag, without a digest */
    assert_null(pb_record_flaw(&record));
    record = plain_record(PB_SLICE_LITERAL("k"));
    record.proof = PB_PROOF_SHA256;
    assert_non_null(pb_record_flaw(&record));
}

static void a_path_stays_where_the_record_is(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "a",
        "long/x",
        "data/" AT "/k",
        "pbcopy.json",
        "snapshots/" AT "/snapshot.json",
        "../long/" AT "/" HEX64,
        "/long/" AT "/" HEX64,
        "long/" AT "/" HEX64 "/",
        "long/" AT "/" HEX64 "0",
        "long/" AT "/../" HEX64,
        "long/" AT "//" HEX64,
        "long/20261123T052049Z-3f9b/" HEX64, /* of another snapshot than the record is */
        "long/../" HEX64,
        "long/" AT,
        "long/",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        pb_record record = plain_record(PB_SLICE_LITERAL("k"));
        record.path = pb_slice_of(paths[i]);
        assert_non_null(pb_record_flaw(&record));
        pb_buffer line = {0};
        pb_record_append(&line, &record);
        expect_refused((pb_slice){line.data, line.size - 1}, "\"path\" is not long/");
        pb_buffer_free(&line);
    }
}

static void sums_do_not_wrap(void **state)
{
    (void)state;
    assert_true(pb_record_sum(1, 2) == 3);
    assert_true(pb_record_sum(PB_RECORD_NUMBER_MAX, 1) == PB_RECORD_NUMBER_MAX);
    assert_true(pb_record_sum(1, PB_RECORD_NUMBER_MAX) == PB_RECORD_NUMBER_MAX);
    assert_true(pb_record_sum(PB_RECORD_NUMBER_MAX, PB_RECORD_NUMBER_MAX) == PB_RECORD_NUMBER_MAX);
}

static void other_orders_and_unknown_members_are_read(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "  { \"proof\" : \"etag+sha256\" , \"part_bytes\" : 8388608 , \"sha256\":\"" HEX64 "\","
        "\"crc32c\" : \"e3069283\","
        "\"stored\":\"aa-2\",\"path\":\"" PATH "\",\"at\":\"" AT "\",\"etag\":\"9e107d9d\","
        "\"mtime\":\"2026-11-23T05:20:49.123Z\",\"size\":8388608,\"key\":\"chunk/ab\"} \r\n",
        /* Names and values escaped, a time with more digits, hex in capitals, a word yet unknown.
         */
        "{\"\\u006bey\":\"\\u0063hunk\\/ab\",\"size\":8388608,"
        "\"mtime\":\"2026-11-23T05:20:49.123999Z\",\"etag\":\"9e107d9d\",\"at\":\"" AT "\","
        "\"path\":\"" PATH "\",\"stored\":\"aa-2\","
        "\"sha256\":\"00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF\","
        "\"crc32c\":\"E3069283\",\"part_bytes\":8388608,\"proof\":\"etag+merkle+sha256\"}",
        "{\"new\":[1,-0.5e+7,0,true,false,null,\"\\u00e4\",{},[],{\"a\":{\"b\":[]}}],"
        "\"key\":\"chunk/ab\",\"new\":{\"x\" : 1 , \"y\":[ ]},\"size\":8388608,"
        "\"mtime\":\"2026-11-23T05:20:49.123Z\",\"etag\":\"9e107d9d\",\"at\":\"" AT "\","
        "\"path\":\"" PATH "\",\"stored\":\"aa-2\",\"sha256\":\"" HEX64 "\",\"part_bytes\":8388608,"
        "\"proof\":\"sha256+etag\",\"crc32c\":\"e3069283\"}",
    };
    pb_record wanted = full_record();
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        pb_arena arena = {0};
        pb_record record;
        pb_error error;
        if (parse(pb_slice_of(lines[i]), &arena, &record, &error) != 0)
            fail_msg("%s: %s", error.message, lines[i]);
        assert_true(same_record(&record, &wanted));
        pb_arena_free(&arena);
    }
    pb_arena arena = {0};
    pb_record record;
    pb_error error;
    wanted = plain_record(PB_SLICE_LITERAL("k"));
    pb_slice nulls = PB_SLICE_LITERAL(
        "{\"key\":\"k\",\"size\":0,\"mtime\":\"1970-01-01T00:00:00Z\",\"etag\":\"\",\"at\":\"" AT
        "\",\"path\":null,\"stored\":null,\"sha256\":null,\"crc32c\":null,\"part_bytes\":null,"
        "\"proof\":\"size\"}");
    assert_int_equal(parse(nulls, &arena, &record, &error), 0);
    assert_true(same_record(&record, &wanted));
    pb_arena_free(&arena);
}

static void escapes_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *key;
    } cases[] = {
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"\\u0041\\u00e4\\u20AC\\ud83d\\uDE00", "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\\u007f\\u0080\\u07ff\\u0800\\uffff", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
        {"\\ud800\\udc00\\udbff\\udfff", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"\\u0001x", "\x01x"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pb_buffer line = {0};
        pb_arena arena = {0};
        pb_record record;
        pb_error error;
        pb_buffer_append_format(&line, "{\"key\":\"%s\"" REST "}", cases[i].text);
        assert_int_equal(parse(pb_buffer_slice(&line), &arena, &record, &error), 0);
        assert_true(pb_slice_equal(record.key, pb_slice_of(cases[i].key)));
        pb_arena_free(&arena);
        pb_buffer_free(&line);
    }
}

static void slices_point_into_the_line_where_nothing_is_escaped(void **state)
{
    (void)state;
    static const char line[] = FULL_LINE;
    pb_arena arena = {0};
    pb_record record;
    pb_error error;
    assert_int_equal(pb_record_parse(PB_SLICE_LITERAL(FULL_LINE), &arena, &record, &error), 0);
    assert_int_equal(pb_record_parse((pb_slice){line, sizeof(line) - 1}, &arena, &record, &error),
                     0);
    assert_true(record.key.data > line && record.key.data < line + sizeof(line));
    assert_true(record.stored_etag.data > line && record.stored_etag.data < line + sizeof(line));
    assert_null(arena.block);
}

static void hostile_lines_are_refused(void **state)
{
    (void)state;
#define LINE_WITH_KEY(text) PB_SLICE_LITERAL("{\"key\":" text REST "}")
    expect_refused((pb_slice){NULL, 0}, "not a JSON object");
    expect_refused(PB_SLICE_LITERAL("[]"), "not a JSON object");
    expect_refused(PB_SLICE_LITERAL("{}"), "no member's name");
    expect_refused(PB_SLICE_LITERAL("{\"a\":1}"), "\"key\": missing");
    expect_refused(PB_SLICE_LITERAL(SHORT_LINE " x"), "neither a comma nor the end");
    expect_refused(PB_SLICE_LITERAL(SHORT_LINE SHORT_LINE), "neither a comma nor the end");
    expect_refused(LINE_WITH_KEY("\"\""), "the key is empty");
    expect_refused(LINE_WITH_KEY("null"), "not a string");
    expect_refused(LINE_WITH_KEY("7"), "not a string");
    expect_refused(LINE_WITH_KEY("\"a\0b\""), "control character");
    expect_refused(LINE_WITH_KEY("\"a\tb\""), "control character");
    expect_refused(LINE_WITH_KEY("\"a\\u0000b\""), "NUL");
    expect_refused(LINE_WITH_KEY("\"\\x41\""), "unknown escape");
    expect_refused(LINE_WITH_KEY("\"\\\xc3\xa4\""), "unknown escape");
    expect_refused(LINE_WITH_KEY("\"\\u12g4\""), "four hex digits");
    expect_refused(LINE_WITH_KEY("\"\\u12\""), "four hex digits");
    expect_refused(LINE_WITH_KEY("\"\\ud800\""), "surrogate");
    expect_refused(LINE_WITH_KEY("\"\\ud800x\""), "surrogate");
    expect_refused(LINE_WITH_KEY("\"\\ud800\\n\""), "surrogate");
    expect_refused(LINE_WITH_KEY("\"\\ud800\\u0041\""), "surrogate");
    expect_refused(LINE_WITH_KEY("\"\\ud800\\ud800\""), "surrogate");
    expect_refused(LINE_WITH_KEY("\"\\udc00\\ud800\""), "surrogate");
    expect_refused(LINE_WITH_KEY("\"\xff\""), "UTF-8");
    expect_refused(LINE_WITH_KEY("\"\xc0\xaf\""), "UTF-8");
    expect_refused(LINE_WITH_KEY("\"\xed\xa0\x80\""), "UTF-8");
    expect_refused(LINE_WITH_KEY("\"\xf4\x90\x80\x80\""), "UTF-8");
    expect_refused(LINE_WITH_KEY("\"0123456789abcde\xe2\x82\""), "UTF-8");
    expect_refused(LINE_WITH_KEY("\"a\",\"key\":\"b\""), "\"key\": given twice");
    expect_refused(LINE_WITH_KEY("\"a\",\"\\u006bey\":\"b\""), "\"key\": given twice");
    expect_refused(LINE_WITH_KEY("\"a\",\"size\":2"), "\"size\": given twice");
    expect_refused(LINE_WITH_KEY("\"a\",\"sha256\":\"00\""), "64 hex digits");
    expect_refused(LINE_WITH_KEY("\"a\",\"sha256\":\"\""), "64 hex digits");
    expect_refused(LINE_WITH_KEY("\"a\",\"crc32c\":\"e306928\""), "\"crc32c\": not 8 hex digits");
    expect_refused(LINE_WITH_KEY("\"a\",\"crc32c\":\"e306928g\""), "8 hex digits");
    expect_refused(LINE_WITH_KEY("\"a\",\"crc32c\":3808858755"), "\"crc32c\": not a string");
    expect_refused(LINE_WITH_KEY("\"a\",\"crc32c\":null,\"crc32c\":null"), "given twice");
    expect_refused(LINE_WITH_KEY("\"a\",\"x\":01"), "neither a comma nor the end");
    expect_refused(LINE_WITH_KEY("\"a\",\"x\":."), "not a JSON value");
    expect_refused(LINE_WITH_KEY("\"a\",\"x\":1."), "not a JSON value");
    expect_refused(LINE_WITH_KEY("\"a\",\"x\":-"), "not a JSON value");
    expect_refused(LINE_WITH_KEY("\"a\",\"x\":1e"), "not a JSON value");
    expect_refused(LINE_WITH_KEY("\"a\",\"x\":nul"), "not a JSON value");
    expect_refused(LINE_WITH_KEY("\"a\",\"x\":[1,]"), "not a JSON value");
    expect_refused(LINE_WITH_KEY("\"a\",\"x\":[1}"), "a list without end");
    expect_refused(LINE_WITH_KEY("\"a\",\"x\":{\"a\"}"), "not a JSON object");
    expect_refused(LINE_WITH_KEY("\"a\",\"x\":{1:2}"), "not a JSON object");
    expect_refused(LINE_WITH_KEY("\"a\",\"x\":\"\\u0000\""), "NUL");
#undef LINE_WITH_KEY
#define LINE(size, mtime, etag, at, proof)                                                         \
    PB_SLICE_LITERAL("{\"key\":\"k\",\"size\":" size ",\"mtime\":" mtime ",\"etag\":" etag         \
                     ",\"at\":" at ",\"proof\":" proof "}")
#define TIME "\"2026-11-23T05:20:49.123Z\""
#define ID "\"" AT "\""
    expect_refused(LINE("-1", TIME, "\"\"", ID, "\"\""), "\"size\": not a whole number");
    expect_refused(LINE("01", TIME, "\"\"", ID, "\"\""), "\"size\": not a whole number");
    expect_refused(LINE("", TIME, "\"\"", ID, "\"\""), "\"size\": not a whole number");
    expect_refused(LINE("null", TIME, "\"\"", ID, "\"\""), "\"size\": not a whole number");
    expect_refused(LINE("1.0", TIME, "\"\"", ID, "\"\""), "neither a comma nor the end");
    expect_refused(LINE("1e3", TIME, "\"\"", ID, "\"\""), "neither a comma nor the end");
    expect_refused(LINE("9223372036854775808", TIME, "\"\"", ID, "\"\""), "too large");
    expect_refused(LINE("18446744073709551616", TIME, "\"\"", ID, "\"\""), "too large");
    expect_refused(LINE("99999999999999999999999", TIME, "\"\"", ID, "\"\""), "too large");
    expect_refused(LINE("1", "7", "\"\"", ID, "\"\""), "\"mtime\": not a string");
    expect_refused(LINE("1", "\"\"", "\"\"", ID, "\"\""), "RFC 3339");
    expect_refused(LINE("1", "\"2026-02-30T05:20:49.123Z\"", "\"\"", ID, "\"\""), "RFC 3339");
    expect_refused(LINE("1", "\"2026-11-23T05:20:49.123+01:00\"", "\"\"", ID, "\"\""), "RFC 3339");
    expect_refused(LINE("1", TIME, "\"\"", "\"../../../../etc/passwd\"", "\"\""), "snapshot id");
    expect_refused(LINE("1", TIME, "\"\"", "\"\"", "\"\""), "snapshot id");
    expect_refused(LINE("1", TIME, "\"\"", ID, "\"sha256\""), "SHA-256 is missing");
    expect_refused(LINE("1", TIME, "\"\"", ID, "[]"), "\"proof\": not a string");
#undef LINE

    pb_buffer line = {0};
    pb_buffer_append_text(&line, "{\"key\":\"k\",\"x\":");
    for (int i = 0; i < 20000; i++)
        pb_buffer_append_char(&line, '[');
    expect_refused(pb_buffer_slice(&line), "too many values inside each other");
    pb_buffer_clear(&line);
    pb_buffer_append_format(&line,
                            "{\"key\":\"k\",\"size\":1,\"mtime\":" TIME
                            ",\"etag\":\"%0128d\",\"at\":" ID ",\"proof\":\"\"}",
                            0);
    expect_refused(pb_buffer_slice(&line), "an ETag is too long");
    pb_buffer_free(&line);
}

static void required_members_are_missed(void **state)
{
    (void)state;
    static const char *const members[] = {
        "\"key\":\"k\"", "\"size\":1", "\"mtime\":" TIME,
        "\"etag\":\"\"", "\"at\":" ID, "\"proof\":\"\"",
    };
    enum { COUNT = sizeof(members) / sizeof(members[0]) };
    for (size_t missing = 0; missing < COUNT; missing++) {
        pb_buffer line = {0};
        char separator = '{';
        for (size_t i = 0; i < COUNT; i++) {
            if (i == missing)
                continue;
            pb_buffer_append_char(&line, separator);
            pb_buffer_append_text(&line, members[i]);
            separator = ',';
        }
        pb_buffer_append_char(&line, '}');
        expect_refused(pb_buffer_slice(&line), "missing");
        pb_buffer_free(&line);
    }
}

/* Whatever was read can be written, and is then read as the same; and the two parsers agree. */
static void expect_consistent(pb_slice line)
{
    pb_arena arena = {0};
    pb_record record;
    pb_record spaced_record;
    pb_error error;
    pb_buffer spaced = {0};
    int result = parse(line, &arena, &record, &error);
    pb_buffer_append_char(&spaced, ' ');
    pb_buffer_append_slice(&spaced, line);
    int spaced_result = parse(pb_buffer_slice(&spaced), &arena, &spaced_record, &error);
    assert_int_equal(result, spaced_result);
    if (result == 0) {
        assert_true(same_record(&record, &spaced_record));
        expect_round_trip(&record);
    }
    pb_buffer_free(&spaced);
    pb_arena_free(&arena);
}

static void every_cut_of_a_line_is_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        FULL_LINE, SHORT_LINE, "{ \"x\":[{\"y\":-1.5e2}],\"key\":\"\\ud83d\\ude00\"" REST "}"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        pb_slice line = pb_slice_of(lines[i]);
        expect_consistent(line);
        for (size_t size = 0; size < line.size; size++)
            expect_refused((pb_slice){line.data, size}, "record: ");
    }
}

static void every_changed_byte_is_harmless(void **state)
{
    (void)state;
    static const char *const lines[] = {FULL_LINE, SHORT_LINE};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        pb_slice line = pb_slice_of(lines[i]);
        char *changed = pb_duplicate(line);
        for (size_t place = 0; place < line.size; place++) {
            for (int byte = 0; byte < 256; byte++) {
                changed[place] = (char)byte;
                expect_consistent((pb_slice){changed, line.size});
            }
            changed[place] = line.data[place];
        }
        free(changed);
    }
}

static void random_damage_is_harmless(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        FULL_LINE,
        SHORT_LINE,
        "{\"key\":\"\\ud83d\\ude00\\n\\\"\"" REST ",\"x\":[1,{\"y\":\"\\u1234\"},true]}",
    };
    static const char interesting[] = "{}[]\",:\\u0e-+. \n\xc3\xa4\xff";
    pb_random random = {20261123};
    for (int round = 0; round < 30000; round++) {
        pb_buffer line = {0};
        pb_buffer_append_text(&line, seeds[pb_random_below(&random, 3)]);
        uint64_t changes = 1 + pb_random_below(&random, 4);
        while (changes-- && line.size) {
            size_t place = (size_t)pb_random_below(&random, line.size);
            size_t size = (size_t)pb_random_below(&random, line.size - place) % 16 + 1;
            switch (pb_random_below(&random, 4)) {
            case 0:
                line.data[place] = interesting[pb_random_below(&random, sizeof(interesting))];
                break;
            case 1:
                line.data[place] = (char)pb_random_next(&random);
                break;
            case 2: /* a piece is lost */
                size = size < line.size - place ? size : line.size - place;
                memmove(line.data + place, line.data + place + size, line.size - place - size);
                line.size -= size;
                break;
            default: /* a piece of itself comes again */
                size = size < line.size - place ? size : line.size - place;
                pb_buffer_reserve(&line, size);
                pb_buffer_append(&line, line.data + place, size);
                break;
            }
        }
        expect_consistent(pb_buffer_slice(&line));
        pb_buffer_free(&line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_as_documented),
        cmocka_unit_test(odd_keys_round_trip),
        cmocka_unit_test(a_record_at_all_limits_is_one_longest_line),
        cmocka_unit_test(times_keep_their_milliseconds),
        cmocka_unit_test(flaws_are_named),
        cmocka_unit_test(a_path_stays_where_the_record_is),
        cmocka_unit_test(sums_do_not_wrap),
        cmocka_unit_test(other_orders_and_unknown_members_are_read),
        cmocka_unit_test(escapes_are_read),
        cmocka_unit_test(slices_point_into_the_line_where_nothing_is_escaped),
        cmocka_unit_test(hostile_lines_are_refused),
        cmocka_unit_test(required_members_are_missed),
        cmocka_unit_test(every_cut_of_a_line_is_refused),
        cmocka_unit_test(every_changed_byte_is_harmless),
        cmocka_unit_test(random_damage_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
