#include "base/spelling.h"

enum { WORD_BYTES_MAX = 31 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment, on three rows of its table. */
size_t pb_spelling_distance(pb_slice a, pb_slice b)
{
    size_t rows[3][WORD_BYTES_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    if (a.size > WORD_BYTES_MAX || b.size > WORD_BYTES_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            bool same = a.data[i - 1] == b.data[j - 1];
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return row[b.size];
}

bool pb_spelling_is_nearer(pb_slice typed, const char *known, size_t *ret_distance)
{
    pb_slice word = pb_slice_of(known);
    size_t distance = pb_spelling_distance(typed, word);
    /* A third of the word may be wrong: more is another word. */
    bool near = distance <= (word.size > 3 ? word.size / 3 : 1);
    if (typed.size >= 2 && pb_slice_starts_with(word, typed)) {
        distance = least(distance, 1);
        near = true;
    }
    if (!near || distance >= *ret_distance)
        return false;
    *ret_distance = distance;
    return true;
}
