#include "base/json_cursor.h"

#include "base/codec.h"

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
static bool take_code_point(pb_json_cursor *cursor, const char **at, const char *end,
                            unsigned *ret_code)
{
    unsigned unit, low;
    if (!take_hex_unit(at, end, &unit))
        return pb_json_fail(cursor, "a \\u without four hex digits");
    if (unit == 0)
        return pb_json_fail(cursor, "a NUL in a string");
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
        return pb_json_fail(cursor, "half a surrogate pair");
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
static bool unescape(pb_json_cursor *cursor, pb_slice raw, pb_slice *ret_text)
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
            return pb_json_fail(cursor, "an unknown escape in a string");
        }
    }
    *ret_text = (pb_slice){text, (size_t)(out - text)};
    return true;
}

bool pb_json_take_text(pb_json_cursor *cursor, pb_slice *ret_text)
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
            marks = pb_json_mark_escaped(word);
            if (marks)
                break;
            at += PB_WORD_BYTES;
        }
        if (marks)
            at += pb_word_before_mark(marks);
        for (; at < end && !pb_json_is_escaped(*at); at++)
            seen |= (uint8_t)*at;
        if (at == end)
            return pb_json_fail(cursor, "a string without end");
        if (*at == '"')
            break;
        if (*at != '\\')
            return pb_json_fail(cursor, "a control character in a string");
        if (end - at < 2)
            return pb_json_fail(cursor, "a string without end");
        escapes = true;
        at += 2;
        /* What was escaped may itself be a byte beyond ASCII: an unknown escape, refused later. */
    }
    pb_slice raw = {begin, (size_t)(at - begin)};
    cursor->at = at + 1;
    if (seen & PB_WORD_MARKS && !pb_utf8_valid(raw))
        return pb_json_fail(cursor, "a string that is not UTF-8");
    if (escapes)
        return unescape(cursor, raw, ret_text);
    *ret_text = raw;
    return true;
}

bool pb_json_take_string(pb_json_cursor *cursor, pb_slice *ret_text)
{
    if (!PB_JSON_TAKE(cursor, "\""))
        return pb_json_fail(cursor, "not a string");
    return pb_json_take_text(cursor, ret_text);
}

bool pb_json_take_number(pb_json_cursor *cursor, uint64_t *ret_value)
{
    const char *at = cursor->at;
    uint64_t value = 0;
    for (; at < cursor->end; at++) {
        unsigned digit = (unsigned)(uint8_t)*at - '0';
        if (digit > 9)
            break;
        if (value > (PB_JSON_NUMBER_MAX - digit) / 10)
            return pb_json_fail(cursor, "a number that is too large");
        value = value * 10 + digit;
    }
    if (at == cursor->at || (at - cursor->at > 1 && *cursor->at == '0'))
        return pb_json_fail(cursor, "not a whole number");
    cursor->at = at;
    *ret_value = value;
    return true;
}

void pb_json_skip_blanks(pb_json_cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t' ||
                                        *cursor->at == '\r' || *cursor->at == '\n'))
        cursor->at++;
}

bool pb_json_take_mark(pb_json_cursor *cursor, char mark)
{
    pb_json_skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != mark)
        return false;
    cursor->at++;
    pb_json_skip_blanks(cursor);
    return true;
}

static bool skip_digits(pb_json_cursor *cursor)
{
    const char *begin = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9')
        cursor->at++;
    return cursor->at > begin;
}

static bool skip_number(pb_json_cursor *cursor)
{
    PB_JSON_TAKE(cursor, "-");
    if (!PB_JSON_TAKE(cursor, "0") && !skip_digits(cursor))
        return false;
    if (PB_JSON_TAKE(cursor, ".") && !skip_digits(cursor))
        return false;
    if (PB_JSON_TAKE(cursor, "e") || PB_JSON_TAKE(cursor, "E")) {
        if (!PB_JSON_TAKE(cursor, "+"))
            PB_JSON_TAKE(cursor, "-");
        return skip_digits(cursor);
    }
    return true;
}

enum { SKIP_DEPTH_MAX = 32 };

static bool skip_value(pb_json_cursor *cursor, int depth)
{
    pb_slice text;
    if (depth > SKIP_DEPTH_MAX)
        return pb_json_fail(cursor, "too many values inside each other");
    if (PB_JSON_TAKE(cursor, "\""))
        return pb_json_take_text(cursor, &text);
    if (PB_JSON_TAKE(cursor, "true") || PB_JSON_TAKE(cursor, "false") ||
        PB_JSON_TAKE(cursor, "null"))
        return true;
    bool object = cursor->at < cursor->end && *cursor->at == '{';
    if (!object && !PB_JSON_TAKE(cursor, "["))
        return skip_number(cursor) || pb_json_fail(cursor, "not a JSON value");
    if (object)
        cursor->at++;
    char close = object ? '}' : ']';
    if (pb_json_take_mark(cursor, close))
        return true;
    do {
        pb_json_skip_blanks(cursor);
        if (object && (!PB_JSON_TAKE(cursor, "\"") || !pb_json_take_text(cursor, &text) ||
                       !pb_json_take_mark(cursor, ':')))
            return cursor->flaw ? false : pb_json_fail(cursor, "not a JSON object");
        if (!skip_value(cursor, depth + 1))
            return false;
    } while (pb_json_take_mark(cursor, ','));
    return pb_json_take_mark(cursor, close) || pb_json_fail(cursor, "a list without end");
}

bool pb_json_skip_value(pb_json_cursor *cursor)
{
    return skip_value(cursor, 0);
}
