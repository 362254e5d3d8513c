#include "manifest/record.h"

#include "base/byte_word.h"
#include "base/clock.h"
#include "base/codec.h"
#include "manifest/snapshot_id.h"
#include "manifest/timestamp.h"

/* Marks what a JSON string can't hold as it is: quote, backslash, control character. */
static uint64_t mark_escaped(uint64_t word)
{
    return pb_word_mark_below(word, 0x20) | pb_word_mark_equal(word, '"') |
           pb_word_mark_equal(word, '\\');
}

static bool is_escaped(char c)
{
    return (uint8_t)c < 0x20 || c == '"' || c == '\\';
}

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
        path = (pb_slice){path.data + pieces[i].size, path.size - pieces[i].size};
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
        uint64_t marks = mark_escaped(pb_word_load(at));
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
        if (is_escaped(*at))
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

/* Where reading is. All take_ functions step over what they take and answer whether it was there;
 * where it was not, `flaw` says why, and reading is over. */
typedef struct line_cursor {
    const char *at;
    const char *end;
    pb_arena *arena;
    const char *flaw;
} line_cursor;

static bool fail(line_cursor *cursor, const char *flaw)
{
    cursor->flaw = flaw;
    return false;
}

static size_t left(const line_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

/* These exact bytes; no flaw where they are not there. Inlined, so that the size is known. */
#define TAKE(cursor, literal) take_bytes((cursor), (literal), sizeof(literal) - 1)

static inline bool take_bytes(line_cursor *cursor, const char *data, size_t size)
{
    if (left(cursor) < size || memcmp(cursor->at, data, size) != 0)
        return false;
    cursor->at += size;
    return true;
}

static bool take_hex_unit(const char **at, const char *end, unsigned *ret_unit)
{
    uint8_t bytes[2];
    if (end - *at < 4 || !pb_hex_decode((pb_slice){*at, 4}, bytes, 2))
        return false;
    *at += 4;
    *ret_unit = (unsigned)bytes[0] << 8 | bytes[1];
    return true;
}

/* The code point of \uXXXX, `*at` being behind the u; a surrogate takes its other half along. */
static bool take_code_point(line_cursor *cursor, const char **at, const char *end,
                            unsigned *ret_code)
{
    unsigned unit, low;
    if (!take_hex_unit(at, end, &unit))
        return fail(cursor, "a \\u without four hex digits");
    if (unit == 0)
        return fail(cursor, "a NUL in a string");
    if (unit < 0xd800 || unit > 0xdfff) {
        *ret_code = unit;
        return true;
    }
    bool paired = unit < 0xdc00 && end - *at >= 2 && (*at)[0] == '\\' && (*at)[1] == 'u';
    if (paired) {
        *at += 2;
        paired = take_hex_unit(at, end, &low) && low >= 0xdc00 && low <= 0xdfff;
    }
    if (!paired)
        return fail(cursor, "half a surrogate pair");
    *ret_code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static char *put_code_point(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xe0 | code >> 12);
        } else {
            *out++ = (char)(0xf0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (code & 0x3f));
    return out;
}

/* The text of a string that holds escapes, which only ever get shorter. */
static bool unescape(line_cursor *cursor, pb_slice raw, pb_slice *ret_text)
{
    char *text = pb_arena_allocate(cursor->arena, raw.size);
    char *out = text;
    const char *end = raw.data + raw.size;
    for (const char *at = raw.data; at < end;) {
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        unsigned code;
        char letter = at[1]; /* the string's end was found: a backslash is never its last byte */
        at += 2;
        switch (letter) {
        case '"':
        case '\\':
        case '/':
            *out++ = letter;
            break;
        case 'b':
            *out++ = '\b';
            break;
        case 'f':
            *out++ = '\f';
            break;
        case 'n':
            *out++ = '\n';
            break;
        case 'r':
            *out++ = '\r';
            break;
        case 't':
            *out++ = '\t';
            break;
        case 'u':
            if (!take_code_point(cursor, &at, end, &code))
                return false;
            out = put_code_point(out, code);
            break;
        default:
            return fail(cursor, "an unknown escape in a string");
        }
    }
    *ret_text = (pb_slice){text, (size_t)(out - text)};
    return true;
}

/* From behind the opening quote to behind the closing one. Always UTF-8 without NUL. */
static bool take_text(line_cursor *cursor, pb_slice *ret_text)
{
    const char *begin = cursor->at;
    const char *at = begin;
    const char *end = cursor->end;
    bool escapes = false;
    uint64_t seen = 0; /* all words or-ed: a high bit tells of bytes beyond ASCII */
    for (;;) {
        uint64_t marks = 0;
        while (end - at >= PB_WORD_BYTES) {
            uint64_t word = pb_word_load(at);
            seen |= word;
            marks = mark_escaped(word);
            if (marks)
                break;
            at += PB_WORD_BYTES;
        }
        if (marks)
            at += pb_word_before_mark(marks);
        for (; at < end && !is_escaped(*at); at++)
            seen |= (uint8_t)*at;
        if (at == end)
            return fail(cursor, "a string without end");
        if (*at == '"')
            break;
        if (*at != '\\')
            return fail(cursor, "a control character in a string");
        if (end - at < 2)
            return fail(cursor, "a string without end");
        escapes = true;
        at += 2;
        /* What was escaped may itself be a byte beyond ASCII: an unknown escape, refused later. */
    }
    pb_slice raw = {begin, (size_t)(at - begin)};
    cursor->at = at + 1;
    if (seen & PB_WORD_MARKS && !pb_utf8_valid(raw))
        return fail(cursor, "a string that is not UTF-8");
    if (escapes)
        return unescape(cursor, raw, ret_text);
    *ret_text = raw;
    return true;
}

static bool take_number(line_cursor *cursor, uint64_t *ret_value)
{
    const char *at = cursor->at;
    uint64_t value = 0;
    for (; at < cursor->end; at++) {
        unsigned digit = (unsigned)(uint8_t)*at - '0';
        if (digit > 9)
            break;
        if (value > (PB_RECORD_NUMBER_MAX - digit) / 10)
            return fail(cursor, "a number that is too large");
        value = value * 10 + digit;
    }
    if (at == cursor->at || (at - cursor->at > 1 && *cursor->at == '0'))
        return fail(cursor, "not a whole number");
    cursor->at = at;
    *ret_value = value;
    return true;
}

/* As take_text, from behind the opening quote. */
static bool take_time(line_cursor *cursor, int64_t *ret_utc_ms)
{
    pb_slice text;
    if (left(cursor) > PB_TIMESTAMP_BYTES && cursor->at[PB_TIMESTAMP_BYTES] == '"' &&
        pb_timestamp_read(cursor->at, ret_utc_ms)) {
        cursor->at += PB_TIMESTAMP_BYTES + 1;
        return true;
    }
    if (!take_text(cursor, &text))
        return false;
    return pb_time_parse_rfc3339(text, ret_utc_ms) || fail(cursor, "not an RFC 3339 time in UTC");
}

static bool take_digest(line_cursor *cursor, uint8_t *ret_digest, size_t size, const char *flaw,
                        bool *ret_has)
{
    pb_slice text;
    if (!take_text(cursor, &text))
        return false;
    *ret_has = pb_hex_decode(text, ret_digest, size);
    return *ret_has || fail(cursor, flaw);
}

static bool take_sha256(line_cursor *cursor, pb_record *record)
{
    return take_digest(cursor, record->sha256, sizeof(record->sha256), "not 64 hex digits",
                       &record->has_sha256);
}

static bool take_crc32c(line_cursor *cursor, pb_record *record)
{
    return take_digest(cursor, record->crc32c, sizeof(record->crc32c), "not 8 hex digits",
                       &record->has_crc32c);
}

/* Words joined by '+'. An unknown one is of a newer minor format and proves nothing here. */
static bool take_proof(line_cursor *cursor, unsigned *ret_proof)
{
    pb_slice text;
    if (!take_text(cursor, &text))
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
static bool take_own_line(line_cursor *cursor, pb_record *record)
{
    if (!(TAKE(cursor, "{\"key\":\"") && take_text(cursor, &record->key) &&
          TAKE(cursor, ",\"size\":") && take_number(cursor, &record->size) &&
          TAKE(cursor, ",\"mtime\":\"") && take_time(cursor, &record->mtime_ms) &&
          TAKE(cursor, ",\"etag\":\"") && take_text(cursor, &record->etag) &&
          TAKE(cursor, ",\"at\":\"") && take_text(cursor, &record->at)))
        return false;
    if (TAKE(cursor, ",\"path\":\"") && !take_text(cursor, &record->path))
        return false;
    if (TAKE(cursor, ",\"stored\":\"") && !take_text(cursor, &record->stored_etag))
        return false;
    if (TAKE(cursor, ",\"sha256\":\"") && !take_sha256(cursor, record))
        return false;
    if (TAKE(cursor, ",\"crc32c\":\"") && !take_crc32c(cursor, record))
        return false;
    if (TAKE(cursor, ",\"part_bytes\":") && !take_number(cursor, &record->part_bytes))
        return false;
    return TAKE(cursor, ",\"proof\":\"") && take_proof(cursor, &record->proof) &&
           TAKE(cursor, "}") && cursor->at == cursor->end;
}

static void skip_blanks(line_cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t' ||
                                        *cursor->at == '\r' || *cursor->at == '\n'))
        cursor->at++;
}

/* This byte with blanks before and behind it. */
static bool take_mark(line_cursor *cursor, char mark)
{
    skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != mark)
        return false;
    cursor->at++;
    skip_blanks(cursor);
    return true;
}

static bool skip_digits(line_cursor *cursor)
{
    const char *begin = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9')
        cursor->at++;
    return cursor->at > begin;
}

static bool skip_number(line_cursor *cursor)
{
    TAKE(cursor, "-");
    if (!TAKE(cursor, "0") && !skip_digits(cursor))
        return false;
    if (TAKE(cursor, ".") && !skip_digits(cursor))
        return false;
    if (TAKE(cursor, "e") || TAKE(cursor, "E")) {
        if (!TAKE(cursor, "+"))
            TAKE(cursor, "-");
        return skip_digits(cursor);
    }
    return true;
}

enum { SKIP_DEPTH_MAX = 32 };

/* Any JSON value. */
static bool skip_value(line_cursor *cursor, int depth)
{
    pb_slice text;
    if (depth > SKIP_DEPTH_MAX)
        return fail(cursor, "too many values inside each other");
    if (TAKE(cursor, "\""))
        return take_text(cursor, &text);
    if (TAKE(cursor, "true") || TAKE(cursor, "false") || TAKE(cursor, "null"))
        return true;
    bool object = cursor->at < cursor->end && *cursor->at == '{';
    if (!object && !TAKE(cursor, "["))
        return skip_number(cursor) || fail(cursor, "not a JSON value");
    if (object)
        cursor->at++;
    char close = object ? '}' : ']';
    if (take_mark(cursor, close))
        return true;
    do {
        skip_blanks(cursor);
        if (object && (!TAKE(cursor, "\"") || !take_text(cursor, &text) || !take_mark(cursor, ':')))
            return cursor->flaw ? false : fail(cursor, "not a JSON object");
        if (!skip_value(cursor, depth + 1))
            return false;
    } while (take_mark(cursor, ','));
    return take_mark(cursor, close) || fail(cursor, "a list without end");
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

static bool take_value(line_cursor *cursor, enum member member, pb_record *record)
{
    if (member == MEMBER_UNKNOWN)
        return skip_value(cursor, 0);
    if (member >= MEMBERS_REQUIRED && TAKE(cursor, "null"))
        return true;
    if (member == MEMBER_SIZE)
        return take_number(cursor, &record->size);
    if (member == MEMBER_PART_BYTES)
        return take_number(cursor, &record->part_bytes);
    if (!TAKE(cursor, "\""))
        return fail(cursor, "not a string");
    switch (member) {
    case MEMBER_KEY:
        return take_text(cursor, &record->key);
    case MEMBER_MTIME:
        return take_time(cursor, &record->mtime_ms);
    case MEMBER_ETAG:
        return take_text(cursor, &record->etag);
    case MEMBER_AT:
        return take_text(cursor, &record->at);
    case MEMBER_PATH:
        return take_text(cursor, &record->path);
    case MEMBER_STORED:
        return take_text(cursor, &record->stored_etag);
    case MEMBER_SHA256:
        return take_sha256(cursor, record);
    case MEMBER_CRC32C:
        return take_crc32c(cursor, record);
    default:
        return take_proof(cursor, &record->proof);
    }
}

/* A line in any form that JSON allows. *ret_member is where a flaw was found. */
static bool take_record(line_cursor *cursor, pb_record *record, enum member *ret_member)
{
    unsigned seen = 0;
    if (!take_mark(cursor, '{'))
        return fail(cursor, "not a JSON object");
    do {
        pb_slice name;
        *ret_member = MEMBER_UNKNOWN;
        if (!TAKE(cursor, "\""))
            return fail(cursor, "no member's name");
        if (!take_text(cursor, &name))
            return false;
        *ret_member = find_member(name);
        if (!take_mark(cursor, ':'))
            return fail(cursor, "no colon after a member's name");
        if (*ret_member != MEMBER_UNKNOWN && seen & 1u << *ret_member)
            return fail(cursor, "given twice");
        seen |= 1u << *ret_member;
        if (!take_value(cursor, *ret_member, record))
            return false;
    } while (take_mark(cursor, ','));
    if (!take_mark(cursor, '}') || cursor->at != cursor->end)
        return fail(cursor, "neither a comma nor the end after a value");
    for (unsigned member = 0; member < MEMBERS_REQUIRED; member++) {
        *ret_member = (enum member)member;
        if (!(seen & 1u << member))
            return fail(cursor, "missing");
    }
    return true;
}

int pb_record_parse(pb_slice line, pb_arena *arena, pb_record *ret_record, pb_error *error)
{
    const char *begin = line.data ? line.data : "";
    line_cursor cursor = {.at = begin, .end = begin + line.size, .arena = arena};
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
