#include "snapshot/seen_entries.h"

#include "base/hash.h"
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

/* The bits of an entry: so many independent parts of a digest. */
static void places_of(const pb_entry *entry, uint32_t ret_places[PLACES])
{
    const uint64_t numbers[] = {entry->size, (uint64_t)entry->mtime_ms, entry->key.size};
    uint8_t digest[PB_SHA256_BYTES];
    pb_hash *hash = pb_hash_new(PB_HASH_SHA256);
    pb_hash_update(hash, numbers, sizeof numbers);
    pb_hash_update(hash, entry->key.data, entry->key.size);
    pb_hash_update(hash, entry->etag.data, entry->etag.size);
    pb_hash_finish(hash, digest);
    pb_hash_free(hash);
    memcpy(ret_places, digest, PLACES * sizeof *ret_places);
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
