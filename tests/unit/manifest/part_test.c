#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/codec.h"
#include "base/random.h"
#include "manifest/part.h"
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#define AT "20261123T052049Z-3f9a"
#define ID PB_SLICE_LITERAL(AT)
#define LINE(key) LINE_OF(key, "1")
#define LINE_OF(key, size)                                                                         \
    "{\"key\":\"" key "\",\"size\":" size ",\"mtime\":\"2026-11-23T05:20:49.000Z\",\"etag\":\"\"," \
    "\"at\":\"" AT "\",\"proof\":\"size\"}\n"

static const pb_range all_keys = {0};

/* ---- making parts ---- */

static void numbered_key(char key[64], int number)
{
    snprintf(key, 64, "data/%06d \"\xc3\xa4\"\n", number);
}

static pb_record numbered_record(const char *key, int number)
{
    return (pb_record){
        .key = pb_slice_of(key),
        .size = (uint64_t)number * 3,
        .mtime_ms = INT64_C(1795411249123) + number,
        .etag = PB_SLICE_LITERAL("9e107d9d372bb6826bd81d3542a419d6"),
        .at = ID,
        .proof = PB_PROOF_ETAG,
    };
}

static pb_part write_numbered(pb_part_writer *writer, int count, const pb_range *range,
                              pb_buffer *body)
{
    pb_part part;
    for (int i = 0; i < count; i++) {
        char key[64];
        numbered_key(key, i);
        pb_record record = numbered_record(key, i);
        pb_part_writer_add(writer, &record);
    }
    assert_int_equal(pb_part_writer_records(writer), count);
    pb_part_writer_finish(writer, ID, range, &part, body);
    return part;
}

/* Reads a part to its end and holds each record against those of write_numbered. The number of
 * records, or -1. `stored` is copied to memory of its own size first. */
static int read_numbered(pb_slice stored, pb_error *error)
{
    char *exact = malloc(stored.size ? stored.size : 1);
    assert_non_null(exact);
    if (stored.size)
        memcpy(exact, stored.data, stored.size);
    pb_part_reader *reader = NULL;
    int count = 0;
    if (pb_part_reader_open((pb_slice){exact, stored.size}, &reader, error) != 0) {
        assert_null(reader);
        free(exact);
        return -1;
    }
    int answer;
    do {
        pb_arena arena = {0};
        pb_record record;
        answer = pb_part_reader_next(reader, &arena, &record, error);
        if (answer == 1) {
            char key[64];
            numbered_key(key, count);
            assert_true(pb_slice_equal(record.key, pb_slice_of(key)));
            assert_int_equal(record.size, count * 3);
            assert_true(record.mtime_ms == INT64_C(1795411249123) + count);
            count++;
        }
        pb_arena_free(&arena);
    } while (answer == 1);
    pb_error again = {0};
    assert_int_equal(pb_part_reader_next(reader, NULL, NULL, &again), answer);
    pb_part_reader_free(reader);
    free(exact);
    return answer == 0 ? count : -1;
}

static void append_frame(pb_buffer *body, const char *text, size_t size)
{
    size_t bound = ZSTD_compressBound(size);
    pb_buffer_reserve(body, bound);
    size_t stored = ZSTD_compress(body->data + body->size, bound, text, size, 3);
    assert_false(ZSTD_isError(stored));
    body->size += stored;
}

/* A part from text as a stranger would write it: the header's members behind "version" are given.
 */
static void make_part(pb_buffer *body, const char *members, const char *records)
{
    pb_buffer header = {0};
    uint8_t digest[PB_SHA256_BYTES];
    char hex[2 * PB_SHA256_BYTES + 1];
    pb_sha256(records, strlen(records), digest);
    pb_hex_encode(digest, sizeof(digest), hex);
    pb_buffer_append_format(&header,
                            "{\"pbcopy\":\"manifest-part\",\"version\":1,%s,\"sha256\":\"%s\"}\n",
                            members, hex);
    append_frame(body, header.data, header.size);
    append_frame(body, records, strlen(records));
    pb_buffer_free(&header);
}

/* Reads to the end: the number of records or -1. */
static int read_all(pb_slice stored, pb_error *error)
{
    pb_part_reader *reader;
    pb_arena arena = {0};
    pb_record record;
    int answer;
    int count = 0;
    if (pb_part_reader_open(stored, &reader, error) != 0)
        return -1;
    while ((answer = pb_part_reader_next(reader, &arena, &record, error)) == 1)
        count++;
    pb_arena_free(&arena);
    pb_part_reader_free(reader);
    return answer == 0 ? count : -1;
}

#define HEADER(after, through, records, bytes)                                                     \
    "\"snapshot\":\"" AT "\",\"after\":" after ",\"through\":" through ",\"records\":" records     \
    ",\"bytes\":" bytes

static void expect_part(const char *members, const char *records, int wanted, const char *reason)
{
    pb_buffer body = {0};
    pb_error error = {0};
    make_part(&body, members, records);
    int count = read_all(pb_buffer_slice(&body), &error);
    if (count != wanted)
        fail_msg("%d, not %d: %s (%s)", count, wanted, members, error.message);
    if (wanted < 0) {
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
        if (strstr(error.message, reason) == NULL)
            fail_msg("\"%s\" lacks \"%s\"", error.message, reason);
    }
    pb_buffer_free(&body);
}

/* ---- tests ---- */

static void parts_round_trip(void **state)
{
    (void)state;
    pb_part_writer *writer = pb_part_writer_new();
    pb_range range =
        pb_range_copy(PB_SLICE_LITERAL("da\"\n"), PB_SLICE_LITERAL("datb\xc3\xa4"), false);
    static const int counts[] = {0, 1, 2, 400, 5000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        pb_buffer body = {0};
        pb_error error = {0};
        uint8_t digest[PB_SHA256_BYTES];
        pb_buffer_append_text(&body, "before");
        pb_part part = write_numbered(writer, counts[i], &range, &body);
        assert_int_equal(pb_part_writer_records(writer), 0);
        assert_int_equal(pb_part_writer_size(writer), 0);
        pb_slice stored = {body.data + 6, body.size - 6};
        assert_memory_equal(body.data, "before", 6);
        assert_int_equal(part.records, counts[i]);
        assert_true(part.bytes == 3 * (uint64_t)counts[i] * (uint64_t)(counts[i] - 1) / 2);
        assert_true(part.stored_bytes == stored.size);
        pb_sha256(stored.data, stored.size, digest);
        assert_memory_equal(digest, part.stored_sha256, sizeof(digest));
        assert_true(pb_range_equal(&part.range, &range));
        if (read_numbered(stored, &error) != counts[i])
            fail_msg("%s", error.message);

        pb_part_reader *reader;
        assert_int_equal(pb_part_reader_open(stored, &reader, &error), 0);
        const pb_part *header = pb_part_reader_part(reader);
        assert_true(header->records == part.records && header->bytes == part.bytes);
        assert_memory_equal(header->sha256, part.sha256, sizeof(part.sha256));
        assert_true(pb_slice_equal(pb_part_reader_snapshot(reader), ID));
        assert_int_equal(pb_part_reader_expect(reader, ID, &part, &error), 0);
        pb_part_reader_free(reader);
        pb_part_free(&part);
        pb_buffer_free(&body);
    }
    pb_range_free(&range);
    pb_part_writer_free(writer);
    pb_part_writer_free(NULL);
    pb_part_reader_free(NULL);
}

static void the_text_is_plain_ndjson(void **state)
{
    (void)state;
    pb_part_writer *writer = pb_part_writer_new();
    pb_buffer body = {0};
    pb_record record = {.key = PB_SLICE_LITERAL("k"),
                        .size = 1,
                        .mtime_ms = INT64_C(1795411249000),
                        .at = ID,
                        .proof = PB_PROOF_SIZE};
    pb_part_writer_add(writer, &record);
    assert_true(pb_part_writer_size(writer) > 0);
    pb_range range = pb_range_copy(PB_SLICE_LITERAL("a"), (pb_slice){NULL, 0}, true);
    pb_part part;
    pb_part_writer_finish(writer, ID, &range, &part, &body);

    char text[1024];
    ZSTD_DCtx *context = ZSTD_createDCtx();
    size_t size = ZSTD_decompressDCtx(context, text, sizeof(text) - 1, body.data, body.size);
    assert_false(ZSTD_isError(size));
    text[size] = '\0';
    uint8_t digest[PB_SHA256_BYTES];
    char hex[2 * PB_SHA256_BYTES + 1];
    pb_sha256(LINE("k"), sizeof(LINE("k")) - 1, digest);
    assert_memory_equal(digest, part.sha256, sizeof(digest));
    pb_hex_encode(digest, sizeof(digest), hex);
    char wanted[1024];
    snprintf(wanted, sizeof(wanted),
             "{\"pbcopy\":\"manifest-part\",\"version\":1,\"snapshot\":\"" AT
             "\",\"after\":\"a\",\"through\":null,\"records\":1,\"bytes\":1,\"sha256\":\"%s\"}\n%s",
             hex, LINE("k"));
    assert_string_equal(text, wanted);
    ZSTD_freeDCtx(context);
    pb_range_free(&range);
    pb_part_free(&part);
    pb_buffer_free(&body);
    pb_part_writer_free(writer);
}

static void the_longest_records_and_ranges_fit(void **state)
{
    (void)state;
    static char key[PB_RECORD_KEY_MAX + 1];
    static char after[PB_RECORD_KEY_MAX + 1];
    memset(key, 2, PB_RECORD_KEY_MAX);
    memset(after, 1, PB_RECORD_KEY_MAX);
    pb_range range = {after, key};
    pb_part_writer *writer = pb_part_writer_new();
    pb_record record = {.key = {key, PB_RECORD_KEY_MAX},
                        .path = PB_SLICE_LITERAL("long/" AT "/"
                                                 "0123456789abcdef0123456789abcdef"
                                                 "0123456789abcdef0123456789abcdef"),
                        .size = PB_RECORD_NUMBER_MAX,
                        .at = ID};
    pb_record first = record;
    first.key.size--;
    pb_part_writer_add(writer, &first);
    pb_part_writer_add(writer, &record);
    pb_part part;
    pb_buffer body = {0};
    pb_error error;
    pb_part_writer_finish(writer, ID, &range, &part, &body);
    assert_true(part.bytes == PB_RECORD_NUMBER_MAX); /* sums stop there */
    if (read_all(pb_buffer_slice(&body), &error) != 2)
        fail_msg("%s", error.message);
    pb_part_free(&part);
    pb_buffer_free(&body);
    pb_part_writer_free(writer);
}

static void what_a_stranger_compressed_is_read(void **state)
{
    (void)state;
    expect_part(HEADER("\"\"", "null", "2", "2"), LINE("a") LINE("b"), 2, NULL);
    expect_part(HEADER("\"\"", "null", "0", "0"), "", 0, NULL);
    expect_part(HEADER("\"a\"", "\"b\"", "1", "1") ",\"new\":[{}]", LINE("b"), 1, NULL);
    /* All in one frame, or many; an empty and a skippable frame between. */
    pb_buffer body = {0};
    pb_buffer one = {0};
    pb_error error;
    make_part(&body, HEADER("\"\"", "null", "2", "2"), LINE("a") LINE("b"));
    char text[2048];
    ZSTD_DCtx *context = ZSTD_createDCtx();
    size_t size = ZSTD_decompressDCtx(context, text, sizeof(text), body.data, body.size);
    ZSTD_freeDCtx(context);
    append_frame(&one, text, size);
    assert_int_equal(read_all(pb_buffer_slice(&one), &error), 2);
    pb_buffer_clear(&one);
    for (size_t i = 0; i < size; i++) {
        append_frame(&one, text + i, 1);
        append_frame(&one, "", 0);
        pb_buffer_append(&one, "\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
    }
    assert_int_equal(read_all(pb_buffer_slice(&one), &error), 2);
    pb_buffer_free(&one);
    pb_buffer_free(&body);
}

static void the_header_is_enforced(void **state)
{
    (void)state;
    expect_part(HEADER("\"\"", "null", "3", "2"), LINE("a") LINE("b"), -1, "2 records, not 3");
    expect_part(HEADER("\"\"", "null", "1", "2"), LINE("a") LINE("b"), -1, "more records");
    expect_part(HEADER("\"\"", "null", "0", "0"), LINE("a"), -1, "more records");
    expect_part(HEADER("\"\"", "null", "2", "3"), LINE("a") LINE("b"), -1, "add up to 2, not 3");
    expect_part(HEADER("\"\"", "null", "2", "2"), LINE("b") LINE("a"), -1,
                "line 3: the key is out of order");
    expect_part(HEADER("\"\"", "null", "2", "2"), LINE("a") LINE("a"), -1, "out of order");
    expect_part(HEADER("\"a\"", "null", "1", "1"), LINE("a"), -1, "outside of the range");
    expect_part(HEADER("\"a\"", "\"b\"", "1", "1"), LINE("ba"), -1, "outside of the range");
    expect_part(HEADER("\"b\"", "\"a\"", "0", "0"), "", -1, "ends before it begins");
    expect_part(HEADER("\"b\"", "\"b\"", "0", "0"), "", -1, "ends before it begins");
    expect_part(HEADER("\"\"", "\"\"", "0", "0"), "", -1, "the key is empty");
    expect_part(HEADER("null", "null", "0", "0"), "", -1, "\"after\"");
    expect_part(HEADER("\"a\\u0000\"", "null", "0", "0"), "", -1, "manifest part");
    expect_part(HEADER("\"\"", "7", "0", "0"), "", -1, "\"through\"");
    expect_part(HEADER("\"\"", "null", "-1", "0"), "", -1, "\"records\"");
    expect_part(HEADER("\"\"", "null", "1.5", "0"), "", -1, "\"records\"");
    expect_part(HEADER("\"\"", "null", "0", "9223372036854775808"), "", -1, "manifest part");
    expect_part(HEADER("\"\"", "null", "0", "0") ",\"bytes\":0", "", -1, "duplicate");
    expect_part("\"after\":\"\",\"records\":0", "", -1, "\"snapshot\" is missing");
    expect_part("\"snapshot\":\"..\"", "", -1, "not a snapshot id");
    expect_part("\"snapshot\":\"" AT "\",\"after\":\"\",\"records\":0", "", -1,
                "\"through\" is missing");
    expect_part(HEADER("\"\"", "null", "1", "1"), "x\n", -1, "line 2: record: ");
    expect_part(HEADER("\"\"", "null", "1", "1"), "\n" LINE("a"), -1, "line 2: record: ");
    expect_part(HEADER("\"\"", "null", "2", "1"), LINE("a") "\n", -1, "line 3: record: ");
    expect_part(HEADER("\"\"", "null", "1", "1"), LINE("a") "{", -1, "last line is cut");
}

static void expect_raw(const char *text, size_t size, pb_error_kind kind, const char *reason)
{
    pb_buffer body = {0};
    pb_error error = {0};
    append_frame(&body, text, size);
    assert_int_equal(read_all(pb_buffer_slice(&body), &error), -1);
    assert_int_equal(error.kind, kind);
    if (strstr(error.message, reason) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", error.message, reason);
    if (kind == PB_ERROR_USAGE)
        assert_string_not_equal(error.hint, "");
    pb_buffer_free(&body);
}

#define EXPECT_RAW(text, kind, reason) expect_raw(text, sizeof(text) - 1, kind, reason)

static void other_files_are_refused(void **state)
{
    (void)state;
    EXPECT_RAW("", PB_ERROR_DAMAGED, "is empty");
    EXPECT_RAW("\n", PB_ERROR_DAMAGED, "manifest part");
    EXPECT_RAW("{\"pbcopy\":\"manifest-part\"}\n", PB_ERROR_DAMAGED, "\"version\" is missing");
    EXPECT_RAW("{\"pbcopy\":\"snapshot\",\"version\":1}\n", PB_ERROR_DAMAGED, "is a \"snapshot\"");
    EXPECT_RAW("{\"pbcopy\":\"manifest-part\",\"version\":0}\n", PB_ERROR_DAMAGED, "is 0");
    EXPECT_RAW("{\"pbcopy\":\"manifest-part\",\"version\":2}\n", PB_ERROR_USAGE, "version 2");
    EXPECT_RAW("{\"pbcopy\":\"manifest-part\",\"version\":1", PB_ERROR_DAMAGED, "last line is cut");
    pb_error error = {0};
    assert_int_equal(read_all((pb_slice){NULL, 0}, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_int_equal(read_all(PB_SLICE_LITERAL("plain text, not compressed"), &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
}

static void the_digest_tells_changed_records(void **state)
{
    (void)state;
    pb_buffer body = {0};
    pb_error error = {0};
    /* The same counts and sums with another record, as a frame without a checksum of its own. */
    make_part(&body, HEADER("\"\"", "null", "1", "1"), LINE("a"));
    size_t header_size = ZSTD_findFrameCompressedSize(body.data, body.size);
    body.size = header_size;
    append_frame(&body, LINE("b"), sizeof(LINE("b")) - 1);
    assert_int_equal(read_all(pb_buffer_slice(&body), &error), -1);
    assert_non_null(strstr(error.message, "SHA-256"));
    pb_buffer_free(&body);
}

static void bombs_are_bounded(void **state)
{
    (void)state;
    enum { BOMB_BYTES = 64 * 1024 * 1024 };
    char *zeros = calloc(1, BOMB_BYTES);
    assert_non_null(zeros);
    expect_raw(zeros, BOMB_BYTES, PB_ERROR_DAMAGED, "too long");
    /* The same behind a good header, and a record blown up with blanks. */
    memset(zeros, ' ', BOMB_BYTES);
    zeros[BOMB_BYTES - 1] = '\0';
    expect_part(HEADER("\"\"", "null", "1", "1"), zeros, -1, "too long");
    zeros[0] = '{';
    zeros[PB_RECORD_LINE_MAX + 1] = '\n';
    zeros[PB_RECORD_LINE_MAX + 2] = '\0';
    expect_part(HEADER("\"\"", "null", "1", "1"), zeros, -1, "too long");
    free(zeros);

    /* A frame that wants a window of 16 MiB. */
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 24);
    char out[1024];
    ZSTD_outBuffer output = {out, sizeof(out), 0};
    ZSTD_inBuffer input = {"text\n", 5, 0};
    while (input.pos < input.size)
        ZSTD_compressStream2(context, &output, &input, ZSTD_e_continue);
    while (ZSTD_compressStream2(context, &output, &input, ZSTD_e_end) != 0)
        ;
    ZSTD_freeCCtx(context);
    pb_error error = {0};
    assert_int_equal(read_all((pb_slice){out, output.pos}, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
}

static void a_part_is_held_against_the_list(void **state)
{
    (void)state;
    pb_part_writer *writer = pb_part_writer_new();
    pb_buffer body = {0};
    pb_part listed = write_numbered(writer, 10, &all_keys, &body);
    pb_part_reader *reader;
    pb_error error = {0};
    assert_int_equal(pb_part_reader_open(pb_buffer_slice(&body), &reader, &error), 0);
    assert_int_equal(pb_part_reader_expect(reader, ID, &listed, &error), 0);
    assert_int_equal(
        pb_part_reader_expect(reader, PB_SLICE_LITERAL("20261123T052049Z-0000"), &listed, &error),
        -1);
    pb_part other = listed;
    other.stored_bytes++;
    assert_int_equal(pb_part_reader_expect(reader, ID, &other, &error), -1);
    other = listed;
    other.stored_sha256[31] ^= 1;
    assert_int_equal(pb_part_reader_expect(reader, ID, &other, &error), -1);
    other = listed;
    other.sha256[0] ^= 1;
    assert_int_equal(pb_part_reader_expect(reader, ID, &other, &error), -1);
    other = listed;
    other.records++;
    assert_int_equal(pb_part_reader_expect(reader, ID, &other, &error), -1);
    other = listed;
    other.bytes--;
    assert_int_equal(pb_part_reader_expect(reader, ID, &other, &error), -1);
    /* A listed range may go further than its part, over keys that were found to be none. */
    pb_part_free(&listed);
    pb_buffer_clear(&body);
    pb_part_reader_free(reader);
    listed = write_numbered(writer, 0, &(pb_range){NULL, (char[]){"m"}}, &body);
    assert_int_equal(pb_part_reader_open(pb_buffer_slice(&body), &reader, &error), 0);
    other = listed;
    other.range.through = NULL;
    assert_int_equal(pb_part_reader_expect(reader, ID, &other, &error), 0);
    other.range.through = (char[]){"n"};
    assert_int_equal(pb_part_reader_expect(reader, ID, &other, &error), 0);
    other.range.after = (char[]){"a"};
    assert_int_equal(pb_part_reader_expect(reader, ID, &other, &error), -1);
    other = listed;
    other.range.through = (char[]){"l"};
    assert_int_equal(pb_part_reader_expect(reader, ID, &other, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_non_null(strstr(error.message, "key range"));
    pb_part_reader_free(reader);
    pb_part_free(&listed);
    pb_buffer_free(&body);
    pb_part_writer_free(writer);
}

enum { DAMAGE_RECORDS = 40 };

static void every_cut_is_damage(void **state)
{
    (void)state;
    pb_part_writer *writer = pb_part_writer_new();
    pb_buffer body = {0};
    pb_part part = write_numbered(writer, DAMAGE_RECORDS, &all_keys, &body);
    for (size_t size = 0; size < body.size; size++) {
        pb_error error = {0};
        assert_int_equal(read_numbered((pb_slice){body.data, size}, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    }
    pb_error error = {0};
    pb_buffer_append_char(&body, 'x');
    assert_int_equal(read_numbered(pb_buffer_slice(&body), &error), -1);
    pb_part_free(&part);
    pb_buffer_free(&body);
    pb_part_writer_free(writer);
}

/* read_numbered fails the test where a record differs: damage is either told or has no effect. */
static void no_changed_byte_goes_unseen(void **state)
{
    (void)state;
    static const uint8_t masks[] = {0x01, 0x04, 0x10, 0x80, 0xff};
    pb_part_writer *writer = pb_part_writer_new();
    pb_buffer body = {0};
    pb_part part = write_numbered(writer, DAMAGE_RECORDS, &all_keys, &body);
    for (size_t place = 0; place < body.size; place++) {
        for (size_t i = 0; i < sizeof(masks); i++) {
            pb_error error = {0};
            body.data[place] = (char)(body.data[place] ^ masks[i]);
            int count = read_numbered(pb_buffer_slice(&body), &error);
            assert_true(count == -1 || count == DAMAGE_RECORDS);
            body.data[place] = (char)(body.data[place] ^ masks[i]);
        }
    }
    pb_random random = {3};
    for (int round = 0; round < 3000; round++) {
        char *damaged = pb_duplicate(pb_buffer_slice(&body));
        uint64_t changes = 1 + pb_random_below(&random, 8);
        while (changes--)
            damaged[pb_random_below(&random, body.size)] = (char)pb_random_next(&random);
        pb_error error = {0};
        int count = read_numbered((pb_slice){damaged, body.size}, &error);
        assert_true(count == -1 || count == DAMAGE_RECORDS);
        free(damaged);
    }
    pb_part_free(&part);
    pb_buffer_free(&body);
    pb_part_writer_free(writer);
}

/* Damaged text in whole frames, so that the parsers see it and not only zstd's checks. */
static void random_text_is_harmless(void **state)
{
    (void)state;
    static const char good[] = "{\"pbcopy\":\"manifest-part\",\"version\":1," HEADER(
        "\"\"", "\"z\"", "2",
        "2") ","
             "\"sha256\":\"0000000000000000000000000000000000000000000000000000000000000000\"}"
             "\n" LINE("a") LINE("b");
    pb_random random = {11};
    for (int round = 0; round < 5000; round++) {
        char text[sizeof(good)];
        memcpy(text, good, sizeof(good));
        uint64_t changes = pb_random_below(&random, 3);
        while (changes--)
            text[pb_random_below(&random, sizeof(good) - 1)] = (char)pb_random_next(&random);
        pb_buffer body = {0};
        pb_error error = {0};
        append_frame(&body, text, (size_t)pb_random_below(&random, sizeof(good)));
        assert_int_equal(read_all(pb_buffer_slice(&body), &error), -1); /* the digest is wrong */
        pb_buffer_free(&body);
    }
}

/* Runs in a process of its own what has to abort. */
static void expect_abort(void (*run)(pb_part_writer *writer))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(1);
        signal(SIGABRT, SIG_DFL);
        run(pb_part_writer_new());
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void add_key(pb_part_writer *writer, pb_slice key)
{
    pb_record record = {.key = key, .at = ID};
    pb_part_writer_add(writer, &record);
}

static void add_out_of_order(pb_part_writer *writer)
{
    add_key(writer, PB_SLICE_LITERAL("b"));
    add_key(writer, PB_SLICE_LITERAL("a"));
}

static void add_twice(pb_part_writer *writer)
{
    add_key(writer, PB_SLICE_LITERAL("a"));
    add_key(writer, PB_SLICE_LITERAL("a"));
}

static void add_flawed(pb_part_writer *writer)
{
    add_key(writer, PB_SLICE_LITERAL("\xff"));
}

static void finish_beside_the_range(pb_part_writer *writer)
{
    pb_part part;
    pb_buffer body = {0};
    pb_range range = {(char[]){"a"}, NULL};
    add_key(writer, PB_SLICE_LITERAL("a"));
    pb_part_writer_finish(writer, ID, &range, &part, &body);
}

static void finish_an_empty_range(pb_part_writer *writer)
{
    pb_part part;
    pb_buffer body = {0};
    pb_range range = {(char[]){"a"}, (char[]){"a"}};
    pb_part_writer_finish(writer, ID, &range, &part, &body);
}

static void bugs_abort(void **state)
{
    (void)state;
    expect_abort(add_out_of_order);
    expect_abort(add_twice);
    expect_abort(add_flawed);
    expect_abort(finish_beside_the_range);
    expect_abort(finish_an_empty_range);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_round_trip),
        cmocka_unit_test(the_text_is_plain_ndjson),
        cmocka_unit_test(the_longest_records_and_ranges_fit),
        cmocka_unit_test(what_a_stranger_compressed_is_read),
        cmocka_unit_test(the_header_is_enforced),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(the_digest_tells_changed_records),
        cmocka_unit_test(bombs_are_bounded),
        cmocka_unit_test(a_part_is_held_against_the_list),
        cmocka_unit_test(every_cut_is_damage),
        cmocka_unit_test(no_changed_byte_goes_unseen),
        cmocka_unit_test(random_text_is_harmless),
        cmocka_unit_test(bugs_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
