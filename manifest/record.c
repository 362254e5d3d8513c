#include "manifest/record.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/json_cursor.h"
#include "manifest/snapshot_id.h"
#include "manifest/timestamp.h"

/* ---- limits ---- */

/* All of pb_key_flaw and pb_record_flaw but for what the text is made of, which the parser has
 * seen. */
static const char *key_limit_flaw(pb_slice key)
{
    if (key.size == 0)
        return "the key is empty";
    return key.size > PB_RECORD_KEY_MAX ? "the key is too long" : NULL;
}

/* long/<at>/<64 hex>: a path comes from outside, and objects are read and deleted where it says. */
static bool path_valid(pb_slice path, pb_slice at)
{
    uint8_t digest[PB_SHA256_BYTES];
    const pb_slice pieces[] = {PB_SLICE_LITERAL(PB_LONG_PREFIX), at, PB_SLICE_LITERAL("/")};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        if (!pb_slice_starts_with(path, pieces[i]))
            return false;
        path = pb_slice_from(path, pieces[i].size);
    }
    return pb_hex_decode(path, digest, sizeof digest);
}

static const char *record_limit_flaw(const pb_record *record)
{
    const char *flaw = key_limit_flaw(record->key);
    if (flaw)
        return flaw;
    if (record->etag.size > PB_RECORD_ETAG_MAX || record->stored_etag.size > PB_RECORD_ETAG_MAX)
        return "an ETag is too long";
    if (!pb_snapshot_id_valid(record->at))
        return "\"at\" is not a snapshot id";
    if (record->path.size && !path_valid(record->path, record->at))
        return "\"path\" is not long/<at>/<64 hex digits>";
    if (record->size > PB_RECORD_NUMBER_MAX || record->part_bytes > PB_RECORD_NUMBER_MAX)
        return "a number is too large";
    if (!record->has_sha256 && record->proof & PB_PROOF_SHA256)
        return "the SHA-256 is missing";
    return NULL;
}

/* UTF-8 without NUL. */
static bool text_valid(pb_slice text)
{
    return text.size == 0 || (memchr(text.data, '\0', text.size) == NULL && pb_utf8_valid(text));
}

const char *pb_key_flaw(pb_slice key)
{
    const char *flaw = key_limit_flaw(key);
    if (flaw)
        return flaw;
    return text_valid(key) ? NULL : "the key is not UTF-8 or holds a NUL";
}

const char *pb_record_flaw(const pb_record *record)
{
    const char *flaw = record_limit_flaw(record);
    if (flaw)
        return flaw;
    if (!text_valid(record->key))
        return "the key is not UTF-8 or holds a NUL";
    return text_valid(record->etag) && text_valid(record->stored_etag)
               ? NULL
               : "an ETag is not UTF-8 or holds a NUL";
}

/* ---- writing ---- */

static const struct {
    char word[9];
    uint8_t size;
    uint8_t bit;
} proofs[] = {
    {"size", 4, PB_PROOF_SIZE},     {"etag", 4, PB_PROOF_ETAG}, {"checksum", 8, PB_PROOF_CHECKSUM},
    {"sha256", 6, PB_PROOF_SHA256}, {"key", 3, PB_PROOF_KEY},
};
enum { PROOF_COUNT = sizeof(proofs) / sizeof(proofs[0]) };

enum {
    ESCAPE_BYTES_MAX = 6, /* \u001f */
    /* A line without its strings: member names, punctuation, two numbers of 19 digits, the time,
     * the digests, all proofs and the newline; see the unit test of the longest line. */
    LINE_FRAME_BYTES = 303,
};

#define PUT(out, literal) put_bytes((out), (literal), sizeof(literal) - 1)

static char *put_bytes(char *out, const char *data, size_t size)
{
    memcpy(out, data, size);
    return out + size;
}

static char *put_escape(char *out, uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "btn\0fr"; /* of bytes 8 to 13; 11 has none */
    *out++ = '\\';
    if (byte == '"' || byte == '\\') {
        *out++ = (char)byte;
    } else if (byte >= 8 && byte <= 13 && letters[byte - 8]) {
        *out++ = letters[byte - 8];
    } else {
        out = PUT(out, "u00");
        *out++ = hex[byte >> 4];
        *out++ = hex[byte & 15];
    }
    return out;
}

/* Writes the text and the closing quote. There is room for a word more than is needed. */
static char *put_text(char *out, pb_slice text)
{
    const char *at = text.data;
    size_t left = text.size;
    while (left >= PB_WORD_BYTES) {
        memcpy(out, at, PB_WORD_BYTES);
        uint64_t marks = pb_json_mark_escaped(pb_word_load(at));
        size_t clean = marks ? pb_word_before_mark(marks) : (size_t)PB_WORD_BYTES;
        out += clean;
        at += clean;
        left -= clean;
        if (marks) {
            out = put_escape(out, (uint8_t)*at++);
            left--;
        }
    }
    for (; left; left--, at++) {
        if (pb_json_is_escaped(*at))
            out = put_escape(out, (uint8_t)*at);
        else
            *out++ = *at;
    }
    *out++ = '"';
    return out;
}

static char *put_number(char *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return put_bytes(out, digits + at, sizeof(digits) - at);
}

/* Hex and the closing quote. */
static char *put_digest(char *out, const uint8_t *digest, size_t size)
{
    pb_hex_encode(digest, size, out);
    out += 2 * size;
    *out++ = '"';
    return out;
}

static char *put_proof(char *out, unsigned proof)
{
    bool first = true;
    for (size_t i = 0; i < PROOF_COUNT; i++) {
        if (!(proof & proofs[i].bit))
            continue;
        if (!first)
            *out++ = '+';
        out = put_bytes(out, proofs[i].word, proofs[i].size);
        first = false;
    }
    return out;
}

void pb_record_append(pb_buffer *buffer, const pb_record *record)
{
    size_t text_size = record->key.size + record->etag.size + record->at.size + record->path.size +
                       record->stored_etag.size;
    pb_buffer_reserve(buffer, LINE_FRAME_BYTES + ESCAPE_BYTES_MAX * text_size + PB_WORD_BYTES);
    char *out = buffer->data + buffer->size;
    out = PUT(out, "{\"key\":\"");
    out = put_text(out, record->key);
    out = PUT(out, ",\"size\":");
    out = put_number(out, record->size);
    out = PUT(out, ",\"mtime\":\"");
    pb_timestamp_write(record->mtime_ms, out);
    out += PB_TIMESTAMP_BYTES;
    out = PUT(out, "\",\"etag\":\"");
    out = put_text(out, record->etag);
    out = PUT(out, ",\"at\":\"");
    out = put_text(out, record->at);
    if (record->path.size) {
        out = PUT(out, ",\"path\":\"");
        out = put_text(out, record->path);
    }
    if (record->stored_etag.size) {
        out = PUT(out, ",\"stored\":\"");
        out = put_text(out, record->stored_etag);
    }
    if (record->has_sha256) {
        out = PUT(out, ",\"sha256\":\"");
        out = put_digest(out, record->sha256, sizeof(record->sha256));
    }
    if (record->has_crc32c) {
        out = PUT(out, ",\"crc32c\":\"");
        out = put_digest(out, record->crc32c, sizeof(record->crc32c));
    }
    if (record->part_bytes) {
        out = PUT(out, ",\"part_bytes\":");
        out = put_number(out, record->part_bytes);
    }
    out = PUT(out, ",\"proof\":\"");
    out = put_proof(out, record->proof);
    out = PUT(out, "\"}\n");
    *out = '\0';
    buffer->size = (size_t)(out - buffer->data);
}

/* ---- reading ---- */

/* As pb_json_take_text, from behind the opening quote. */
static bool take_time(pb_json_cursor *cursor, int64_t *ret_utc_ms)
{
    pb_slice text;
    if (cursor->end - cursor->at > PB_TIMESTAMP_BYTES && cursor->at[PB_TIMESTAMP_BYTES] == '"' &&
        pb_timestamp_read(cursor->at, ret_utc_ms)) {
        cursor->at += PB_TIMESTAMP_BYTES + 1;
        return true;
    }
    if (!pb_json_take_text(cursor, &text))
        return false;
    return pb_time_parse_rfc3339(text, ret_utc_ms) ||
           pb_json_fail(cursor, "not an RFC 3339 time in UTC");
}

static bool take_digest(pb_json_cursor *cursor, uint8_t *ret_digest, size_t size, const char *flaw,
                        bool *ret_has)
{
    pb_slice text;
    if (!pb_json_take_text(cursor, &text))
        return false;
    *ret_has = pb_hex_decode(text, ret_digest, size);
    return *ret_has || pb_json_fail(cursor, flaw);
}

static bool take_sha256(pb_json_cursor *cursor, pb_record *record)
{
    return take_digest(cursor, record->sha256, sizeof(record->sha256), "not 64 hex digits",
                       &record->has_sha256);
}

static bool take_crc32c(pb_json_cursor *cursor, pb_record *record)
{
    return take_digest(cursor, record->crc32c, sizeof(record->crc32c), "not 8 hex digits",
                       &record->has_crc32c);
}

/* Words joined by '+'. An unknown one is of a newer minor format and proves nothing here. */
static bool take_proof(pb_json_cursor *cursor, unsigned *ret_proof)
{
    pb_slice text;
    if (!pb_json_take_text(cursor, &text))
        return false;
    unsigned proof = 0;
    const char *end = text.data + text.size;
    for (const char *word = text.data; word < end;) {
        const char *plus = memchr(word, '+', (size_t)(end - word));
        size_t size = (size_t)((plus ? plus : end) - word);
        for (size_t i = 0; i < PROOF_COUNT; i++) {
            if (size == proofs[i].size && memcmp(word, proofs[i].word, size) == 0)
                proof |= proofs[i].bit;
        }
        word += size + 1;
    }
    *ret_proof = proof;
    return true;
}

/* A line just as pb_record_append has it. Takes nothing that take_record would not. */
static bool take_own_line(pb_json_cursor *cursor, pb_record *record)
{
    if (!(PB_JSON_TAKE(cursor, "{\"key\":\"") && pb_json_take_text(cursor, &record->key) &&
          PB_JSON_TAKE(cursor, ",\"size\":") && pb_json_take_number(cursor, &record->size) &&
          PB_JSON_TAKE(cursor, ",\"mtime\":\"") && take_time(cursor, &record->mtime_ms) &&
          PB_JSON_TAKE(cursor, ",\"etag\":\"") && pb_json_take_text(cursor, &record->etag) &&
          PB_JSON_TAKE(cursor, ",\"at\":\"") && pb_json_take_text(cursor, &record->at)))
        return false;
    if (PB_JSON_TAKE(cursor, ",\"path\":\"") && !pb_json_take_text(cursor, &record->path))
        return false;
    if (PB_JSON_TAKE(cursor, ",\"stored\":\"") && !pb_json_take_text(cursor, &record->stored_etag))
        return false;
    if (PB_JSON_TAKE(cursor, ",\"sha256\":\"") && !take_sha256(cursor, record))
        return false;
    if (PB_JSON_TAKE(cursor, ",\"crc32c\":\"") && !take_crc32c(cursor, record))
        return false;
    if (PB_JSON_TAKE(cursor, ",\"part_bytes\":") &&
        !pb_json_take_number(cursor, &record->part_bytes))
        return false;
    return PB_JSON_TAKE(cursor, ",\"proof\":\"") && take_proof(cursor, &record->proof) &&
           PB_JSON_TAKE(cursor, "}") && cursor->at == cursor->end;
}

enum member {
    MEMBER_KEY,
    MEMBER_SIZE,
    MEMBER_MTIME,
    MEMBER_ETAG,
    MEMBER_AT,
    MEMBER_PROOF,
    MEMBERS_REQUIRED, /* those before must be there; those behind may be null or left out */
    MEMBER_PATH = MEMBERS_REQUIRED,
    MEMBER_STORED,
    MEMBER_SHA256,
    MEMBER_CRC32C,
    MEMBER_PART_BYTES,
    MEMBER_UNKNOWN,
};

static const char *const member_names[MEMBER_UNKNOWN] = {
    [MEMBER_KEY] = "key",
    [MEMBER_SIZE] = "size",
    [MEMBER_MTIME] = "mtime",
    [MEMBER_ETAG] = "etag",
    [MEMBER_AT] = "at",
    [MEMBER_PROOF] = "proof",
    [MEMBER_PATH] = "path",
    [MEMBER_STORED] = "stored",
    [MEMBER_SHA256] = "sha256",
    [MEMBER_CRC32C] = "crc32c",
    [MEMBER_PART_BYTES] = "part_bytes",
};

static enum member find_member(pb_slice name)
{
    unsigned member = 0;
    while (member < MEMBER_UNKNOWN && !pb_slice_equal(name, pb_slice_of(member_names[member])))
        member++;
    return (enum member)member;
}

static bool take_value(pb_json_cursor *cursor, enum member member, pb_record *record)
{
    if (member == MEMBER_UNKNOWN)
        return pb_json_skip_value(cursor);
    if (member >= MEMBERS_REQUIRED && PB_JSON_TAKE(cursor, "null"))
        return true;
    if (member == MEMBER_SIZE)
        return pb_json_take_number(cursor, &record->size);
    if (member == MEMBER_PART_BYTES)
        return pb_json_take_number(cursor, &record->part_bytes);
    if (!PB_JSON_TAKE(cursor, "\""))
        return pb_json_fail(cursor, "not a string");
    switch (member) {
    case MEMBER_KEY:
        return pb_json_take_text(cursor, &record->key);
    case MEMBER_MTIME:
        return take_time(cursor, &record->mtime_ms);
    case MEMBER_ETAG:
        return pb_json_take_text(cursor, &record->etag);
    case MEMBER_AT:
        return pb_json_take_text(cursor, &record->at);
    case MEMBER_PATH:
        return pb_json_take_text(cursor, &record->path);
    case MEMBER_STORED:
        return pb_json_take_text(cursor, &record->stored_etag);
    case MEMBER_SHA256:
        return take_sha256(cursor, record);
    case MEMBER_CRC32C:
        return take_crc32c(cursor, record);
    default:
        return take_proof(cursor, &record->proof);
    }
}

/* A line in any form that JSON allows. *ret_member is where a flaw was found. */
static bool take_record(pb_json_cursor *cursor, pb_record *record, enum member *ret_member)
{
    unsigned seen = 0;
    if (!pb_json_take_mark(cursor, '{'))
        return pb_json_fail(cursor, "not a JSON object");
    do {
        pb_slice name;
        *ret_member = MEMBER_UNKNOWN;
        if (!PB_JSON_TAKE(cursor, "\""))
            return pb_json_fail(cursor, "no member's name");
        if (!pb_json_take_text(cursor, &name))
            return false;
        *ret_member = find_member(name);
        if (!pb_json_take_mark(cursor, ':'))
            return pb_json_fail(cursor, "no colon after a member's name");
        if (*ret_member != MEMBER_UNKNOWN && seen & 1u << *ret_member)
            return pb_json_fail(cursor, "given twice");
        seen |= 1u << *ret_member;
        if (!take_value(cursor, *ret_member, record))
            return false;
    } while (pb_json_take_mark(cursor, ','));
    if (!pb_json_take_mark(cursor, '}') || cursor->at != cursor->end)
        return pb_json_fail(cursor, "neither a comma nor the end after a value");
    for (unsigned member = 0; member < MEMBERS_REQUIRED; member++) {
        *ret_member = (enum member)member;
        if (!(seen & 1u << member))
            return pb_json_fail(cursor, "missing");
    }
    return true;
}

int pb_record_parse(pb_slice line, pb_arena *arena, pb_record *ret_record, pb_error *error)
{
    const char *begin = line.data ? line.data : "";
    pb_json_cursor cursor = {.at = begin, .end = begin + line.size, .arena = arena};
    pb_record record = {0};
    if (!take_own_line(&cursor, &record)) {
        enum member member = MEMBER_UNKNOWN;
        cursor.at = begin;
        cursor.flaw = NULL;
        record = (pb_record){0};
        if (!take_record(&cursor, &record, &member)) {
            size_t place = (size_t)(cursor.at - begin);
            if (member == MEMBER_UNKNOWN)
                return pb_error_set(error, PB_ERROR_DAMAGED, "record: byte %zu: %s", place,
                                    cursor.flaw);
            return pb_error_set(error, PB_ERROR_DAMAGED, "record: byte %zu: \"%s\": %s", place,
                                member_names[member], cursor.flaw);
        }
    }
    const char *flaw = record_limit_flaw(&record);
    if (flaw)
        return pb_error_set(error, PB_ERROR_DAMAGED, "record: %s", flaw);
    *ret_record = record;
    return 0;
}
