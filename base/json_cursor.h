/* base/json_cursor.h - JSON in one pass, without a tree: for records of a manifest and pages of a
 * listing, of which there are millions. Documents are read with base/json.h. Any thread, one at a
 * time.
 *
 * All take_ functions step over what they take and answer whether it was there. Where it was not,
 * `flaw` says why and `at` where, and reading is over. Source: RFC 8259. A string is always UTF-8
 * and never holds a NUL, which no key has. */
#ifndef PB_BASE_JSON_CURSOR_H
#define PB_BASE_JSON_CURSOR_H

#include "base/byte_word.h"
#include "base/bytes.h"

#define PB_JSON_NUMBER_MAX ((uint64_t)INT64_MAX)

/* Where reading is. */
typedef struct pb_json_cursor {
    const char *at;
    const char *end;
    pb_arena *arena; /* for the texts of strings that hold escapes */
    const char *flaw;
} pb_json_cursor;

/* Always false, so that a reader can end with it. */
static inline bool pb_json_fail(pb_json_cursor *cursor, const char *flaw)
{
    cursor->flaw = flaw;
    return false;
}

/* These exact bytes; no flaw where they are not there. Inlined, so that the size is known. */
#define PB_JSON_TAKE(cursor, literal) pb_json_take_bytes((cursor), (literal), sizeof(literal) - 1)

static inline bool pb_json_take_bytes(pb_json_cursor *cursor, const char *data, size_t size)
{
    if ((size_t)(cursor->end - cursor->at) < size || memcmp(cursor->at, data, size) != 0)
        return false;
    cursor->at += size;
    return true;
}

/* Marks what a string cannot hold as it is: quote, backslash, control character. */
static inline uint64_t pb_json_mark_escaped(uint64_t word)
{
    return pb_word_mark_below(word, 0x20) | pb_word_mark_equal(word, '"') |
           pb_word_mark_equal(word, '\\');
}

static inline bool pb_json_is_escaped(char c)
{
    return (uint8_t)c < 0x20 || c == '"' || c == '\\';
}

/* The text of a string, from behind its opening quote to behind the closing one. It points into
 * what is read, or into the arena where the string holds escapes. */
bool pb_json_take_text(pb_json_cursor *cursor, pb_slice *ret_text);
/* The same from the opening quote on. */
bool pb_json_take_string(pb_json_cursor *cursor, pb_slice *ret_text);
/* A whole number from 0 to PB_JSON_NUMBER_MAX, without fraction or exponent. */
bool pb_json_take_number(pb_json_cursor *cursor, uint64_t *ret_value);
void pb_json_skip_blanks(pb_json_cursor *cursor);
/* This byte with blanks before and behind it; no flaw where it is not there. */
bool pb_json_take_mark(pb_json_cursor *cursor, char mark);
/* Any value; deeper nesting than 32 is refused. */
bool pb_json_skip_value(pb_json_cursor *cursor);

#endif
