#include "copier/shard/split.h"

enum { CODE_POINT_MAX = 0x10FFFF, UNICODE_STEPS = 32 };

/* ---- characters ---- */

static size_t character_size(pb_slice text, size_t at)
{
    unsigned char lead = (unsigned char)text.data[at];
    size_t size = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    return size <= text.size - at ? size : text.size - at;
}

/* The code point at `at`, which begins one of valid UTF-8. */
static uint32_t character_at(pb_slice text, size_t at)
{
    size_t size = character_size(text, at);
    uint32_t point = (unsigned char)text.data[at];
    if (size > 1)
        point &= 0x7Fu >> size;
    for (size_t i = 1; i < size; i++)
        point = point << 6 | ((unsigned char)text.data[at + i] & 0x3F);
    return point;
}

static void append_character(pb_buffer *buffer, uint32_t point)
{
    if (point < 0x80) {
        pb_buffer_append_char(buffer, (char)point);
        return;
    }
    int shift = point < 0x800 ? 6 : point < 0x10000 ? 12 : 18;
    static const unsigned char leads[] = {0xC0, 0xE0, 0xF0};
    pb_buffer_append_char(buffer, (char)(leads[shift / 6 - 1] | point >> shift));
    while ((shift -= 6) >= 0)
        pb_buffer_append_char(buffer, (char)(0x80 | (point >> shift & 0x3F)));
}

static bool is_surrogate(uint32_t point)
{
    return point >= 0xD800 && point <= 0xDFFF;
}

/* Where characters of one kind end: exclusive. Keys mostly go on within a kind. */
static uint32_t end_of_kind(uint32_t point)
{
    static const uint32_t ends[] = {'0', '9' + 1, 'A', 'Z' + 1, 'a', 'z' + 1, 0x80};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (point < ends[i])
            return ends[i];
    return CODE_POINT_MAX + 1;
}

static bool is_alphanumeric(uint32_t point)
{
    return (point >= '0' && point <= '9') || (point >= 'A' && point <= 'Z') ||
           (point >= 'a' && point <= 'z');
}

/* ---- guesses at one depth ---- */

/* Characters to cut at: stem + character. */
typedef struct guesses {
    size_t stem;  /* bytes of `listed` */
    uint32_t low; /* the character of `listed` behind it */
    size_t count;
    uint32_t points[128 + UNICODE_STEPS];
} guesses;

static void guess(guesses *at, uint64_t point)
{
    uint32_t before = at->count ? at->points[at->count - 1] : at->low;
    if (point > before && point <= CODE_POINT_MAX && !is_surrogate((uint32_t)point))
        at->points[at->count++] = (uint32_t)point;
}

/* Characters up to `high`, which is known to bound what is there. */
static void guess_up_to(guesses *at, uint32_t high)
{
    uint32_t low = at->low;
    uint32_t ascii_end = high < 0x80 ? high : 0x7F;
    for (uint32_t point = low + 1; point <= ascii_end; point++)
        if (is_alphanumeric(point) || point == end_of_kind(point - 1))
            guess(at, point);
    if (!at->count)
        for (uint32_t point = low + 1; point <= ascii_end; point++)
            guess(at, point);
    uint64_t from = low < 0x80 ? 0x7F : low;
    for (uint64_t step = 1; high >= 0x80 && step <= UNICODE_STEPS; step++)
        guess(at, from + ((uint64_t)high - from) * step / UNICODE_STEPS);
}

/* Characters with no bound known: the rest of the kind, and what is beyond. */
static void guess_on(guesses *at)
{
    uint32_t low = at->low;
    uint32_t end = end_of_kind(low);
    if (end <= 0x80) {
        for (uint64_t point = (uint64_t)low + 1; point <= end; point++)
            guess(at, point);
        return;
    }
    for (uint64_t distance = 1; distance <= CODE_POINT_MAX; distance *= 2)
        guess(at, low + distance);
}

/* ---- depths ---- */

typedef struct splitting {
    pb_slice listed;
    pb_arena *arena;
    pb_slice *cuts;
    size_t count;
    size_t longest;
} splitting;

bool pb_split_allows(pb_slice cut)
{
    for (size_t i = 0; i < cut.size; i++)
        if ((unsigned char)cut.data[i] >= 0xEE) /* U+E000 and beyond */
            return false;
    return true;
}

static void add_cut(splitting *split, size_t stem, uint32_t point)
{
    pb_buffer text = {0};
    pb_buffer_append(&text, split->listed.data, stem);
    append_character(&text, point);
    if (text.size <= split->longest && pb_split_allows(pb_buffer_slice(&text)))
        split->cuts[split->count++] = pb_arena_copy(split->arena, pb_buffer_slice(&text));
    pb_buffer_free(&text);
}

/* `wanted` of them, evenly. */
static void add_guesses(splitting *split, const guesses *at, size_t wanted)
{
    if (wanted > at->count)
        wanted = at->count;
    for (size_t i = 0; i < wanted; i++)
        add_cut(split, at->stem, at->points[((2 * i + 1) * at->count) / (2 * wanted)]);
}

/* Cuts behind all keys that begin like `listed` up to one of its characters: evenly, of those that
 * begin at `from` or behind it, and before `end`. */
static void add_depths(splitting *split, size_t from, size_t end, size_t wanted)
{
    enum { DEPTHS_MAX = 1024 };
    size_t depths[DEPTHS_MAX], count = 0;
    for (size_t at = from; at < end && at < split->listed.size && count < DEPTHS_MAX;
         at += character_size(split->listed, at))
        depths[count++] = at;
    if (wanted > count)
        wanted = count;
    for (size_t i = wanted; i-- > 0;) { /* the deepest cut is the first key */
        size_t depth = depths[(2 * i + 1) * count / (2 * wanted)];
        uint64_t next = (uint64_t)character_at(split->listed, depth) + 1;
        while (is_surrogate((uint32_t)next))
            next++;
        if (next <= CODE_POINT_MAX)
            add_cut(split, depth, (uint32_t)next);
    }
}

/* Bytes at the front of both that are the same, in whole characters. */
static size_t common_stem(pb_slice a, pb_slice b)
{
    size_t most = a.size < b.size ? a.size : b.size, same = 0;
    while (same < most && a.data[same] == b.data[same])
        same++;
    while (same && same < a.size && ((unsigned char)a.data[same] & 0xC0) == 0x80)
        same--;
    return same;
}

/* Where the last character of a text begins. */
static size_t last_character(pb_slice text)
{
    size_t at = text.size - 1;
    while (at && ((unsigned char)text.data[at] & 0xC0) == 0x80)
        at--;
    return at;
}

/* Where the end of the range tells which characters can follow the stem: guesses up to it. From
 * *ret_unbounded on it tells nothing. False where all is listed. */
static bool look_at_end(const pb_range *range, pb_slice listed, size_t stem_bytes, guesses *at,
                        size_t *ret_unbounded)
{
    pb_slice through = pb_slice_of(range->through);
    *ret_unbounded = stem_bytes;
    if (!range->through)
        return true;
    size_t stem = common_stem(listed, through);
    if (stem == through.size)
        return false;
    if (stem < stem_bytes)
        return true;
    uint32_t high = character_at(through, stem);
    if (stem + character_size(through, stem) == through.size)
        high--; /* such a cut is the end itself */
    at->stem = stem;
    at->low = stem < listed.size ? character_at(listed, stem) : 0;
    if (high > at->low)
        guess_up_to(at, high);
    *ret_unbounded = stem < listed.size ? stem + character_size(listed, stem) : listed.size;
    return true;
}

/* Where keys have been seen to spread: where the range was cut, or as far as it is listed. */
static size_t depth_of_spread(const pb_range *range, pb_slice listed, size_t seen, size_t unbounded)
{
    pb_slice after = pb_slice_of(range->after);
    size_t cut = after.size ? last_character(after) : SIZE_MAX;
    if (cut >= unbounded && cut < seen && common_stem(after, listed) >= cut)
        return cut;
    return seen;
}

size_t pb_split_cuts(const pb_range *range, pb_slice first, pb_slice listed, size_t stem_bytes,
                     size_t wanted, pb_arena *arena, pb_slice ret_cuts[PB_SPLIT_CUTS_MAX])
{
    splitting split = {.listed = listed, .arena = arena, .cuts = ret_cuts, .longest = listed.size};
    size_t end_size = pb_slice_of(range->through).size;
    if (end_size > split.longest)
        split.longest = end_size;
    if (wanted > PB_SPLIT_CUTS_MAX)
        wanted = PB_SPLIT_CUTS_MAX;
    guesses at = {0};
    size_t unbounded, shallow = 0, seen = common_stem(first, listed);
    if (!look_at_end(range, listed, stem_bytes, &at, &unbounded))
        return 0;
    if (!at.count) {
        at.stem = depth_of_spread(range, listed, seen, unbounded);
        if (at.stem < unbounded)
            at.stem = unbounded;
        if (at.stem < listed.size) {
            at.low = character_at(listed, at.stem);
            guess_on(&at);
        }
        shallow = at.stem - unbounded;
    }
    /* In the order of keys: what is deeper, this depth, what is less deep. The last may hold most,
     * or nothing; the first no more than is listed, so they are taken where there is plenty. */
    size_t less_deep = shallow && wanted ? wanted - wanted / 2 : 0;
    if (less_deep > shallow)
        less_deep = shallow;
    size_t here = wanted - less_deep < at.count ? wanted - less_deep : at.count;
    size_t deeper = at.stem < listed.size ? at.stem + character_size(listed, at.stem) : listed.size;
    add_depths(&split, deeper, seen + 1, wanted - less_deep - here);
    add_guesses(&split, &at, here);
    add_depths(&split, unbounded, at.stem, wanted - here);
    return split.count;
}
