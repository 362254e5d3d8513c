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

/* The bits of an entry: two halves of one hash give all of them (Kirsch and Mitzenmacher, "Less
 * Hashing, Same Performance", 2006). An entry that is made to collide makes one check stricter than
 * it must be; it hides nothing. */
static void places_of(const pb_entry *entry, uint32_t ret_places[PLACES])
{
    uint64_t hash = pb_entry_hash((uint64_t)entry->mtime_ms, entry);
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
