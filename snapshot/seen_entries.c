#include "snapshot/seen_entries.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { BITS = 1 << 23, WORD_BITS = 64, PLACES = 4 };

struct pb_seen_entries {
    _Atomic uint64_t words[BITS / WORD_BITS];
};

pb_seen_entries *pb_seen_entries_new(void)
{
    return pb_allocate_zeroed(1, sizeof(pb_seen_entries));
}

void pb_seen_entries_free(pb_seen_entries *seen)
{
    free(seen);
}

/* Mixes the words of data into state: multiplications and shifts, for this is done for every key. A
 * key that is made to collide makes one check stricter than it must be; it hides nothing. */
static uint64_t mixed(uint64_t state, const void *data, size_t size)
{
    static const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
    const char *next = data;
    for (size_t left = size; left;) {
        uint64_t word = 0;
        size_t taken = left < sizeof word ? left : sizeof word;
        memcpy(&word, next, taken);
        next += taken;
        left -= taken;
        state = (state ^ word) * odd;
        state ^= state >> 29;
    }
    state = (state ^ size) * odd;
    return state ^ state >> 32;
}

/* The bits of an entry: two halves of one hash give all of them (Kirsch and Mitzenmacher, "Less
 * Hashing, Same Performance", 2006). */
static void places_of(const pb_entry *entry, uint32_t ret_places[PLACES])
{
    const uint64_t numbers[] = {entry->size, (uint64_t)entry->mtime_ms};
    uint64_t hash = mixed(0, numbers, sizeof numbers);
    hash = mixed(hash, entry->key.data, entry->key.size);
    hash = mixed(hash, entry->etag.data, entry->etag.size);
    uint32_t first = (uint32_t)hash, step = (uint32_t)(hash >> 32) | 1;
    for (uint32_t i = 0; i < PLACES; i++)
        ret_places[i] = first + i * step;
}

void pb_seen_entries_add(pb_seen_entries *seen, const pb_entry *entry)
{
    uint32_t places[PLACES];
    places_of(entry, places);
    for (unsigned i = 0; i < PLACES; i++)
        atomic_fetch_or_explicit(&seen->words[places[i] % BITS / WORD_BITS],
                                 UINT64_C(1) << places[i] % WORD_BITS, memory_order_relaxed);
}

bool pb_seen_entries_have(const pb_seen_entries *seen, const pb_entry *entry)
{
    uint32_t places[PLACES];
    places_of(entry, places);
    bool have = true;
    for (unsigned i = 0; i < PLACES; i++)
        have = have && atomic_load_explicit(&seen->words[places[i] % BITS / WORD_BITS],
                                            memory_order_relaxed) >>
                               places[i] % WORD_BITS &
                           1;
    return have;
}
