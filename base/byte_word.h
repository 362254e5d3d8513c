/* base/byte_word.h - text eight bytes at a time: for what is done for every byte of every key.
 * Pure, any thread.
 *
 * A mark is the high bit of a byte. Marks are exact for the lowest byte that is marked; above it,
 * bytes may be marked that should not be. So they say whether there is one, and where the first is.
 */
#ifndef PB_BASE_BYTE_WORD_H
#define PB_BASE_BYTE_WORD_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PB_WORD_BYTES = sizeof(uint64_t) };

#define PB_EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))
#define PB_WORD_MARKS PB_EACH_BYTE(0x80)

/* PB_WORD_BYTES of the text, the first one lowest. */
static inline uint64_t pb_word_load(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return le64toh(word);
}

/* Marks the bytes below a limit of at most 0x80. */
static inline uint64_t pb_word_mark_below(uint64_t word, uint8_t limit)
{
    return (word - PB_EACH_BYTE(limit)) & ~word & PB_WORD_MARKS;
}

static inline uint64_t pb_word_mark_equal(uint64_t word, uint8_t value)
{
    return pb_word_mark_below(word ^ PB_EACH_BYTE(value), 1);
}

/* How many bytes lie before the first one that is marked; marks are not 0. */
static inline size_t pb_word_before_mark(uint64_t marks)
{
    return (size_t)__builtin_ctzll(marks) / 8;
}

/* The next bytes of a text, from *at, which moves on: the last two words may overlap, and a text of
 * less than a word is filled up. */
static inline uint64_t pb_word_next(const char *text, size_t size, size_t *at, uint8_t fill)
{
    size_t begin = *at;
    *at += PB_WORD_BYTES;
    if (*at <= size)
        return pb_word_load(text + begin);
    if (size >= PB_WORD_BYTES)
        return pb_word_load(text + size - PB_WORD_BYTES);
    uint64_t word = PB_EACH_BYTE(fill);
    for (size_t i = size; i;)
        word = word << 8 | (unsigned char)text[--i];
    return word;
}

#endif
