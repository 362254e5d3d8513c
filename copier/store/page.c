#include "copier/store/page.h"

#include "base/byte_word.h"
#include <stdlib.h>

pb_page *pb_page_new(void)
{
    pb_page *page = pb_allocate_zeroed(1, sizeof *page);
    page->references = 1;
    return page;
}

pb_entry *pb_page_add(pb_page *page)
{
    if (page->count == page->capacity) {
        page->capacity = page->capacity ? page->capacity * 2 : 64;
        page->entries = pb_reallocate(page->entries, page->capacity * sizeof *page->entries);
    }
    pb_entry *entry = &page->entries[page->count++];
    memset(entry, 0, sizeof *entry);
    return entry;
}

void pb_page_add_prefix(pb_page *page, pb_slice prefix)
{
    if (page->prefix_count == page->prefix_capacity) {
        page->prefix_capacity = page->prefix_capacity ? page->prefix_capacity * 2 : 16;
        page->prefixes =
            pb_reallocate(page->prefixes, page->prefix_capacity * sizeof *page->prefixes);
    }
    page->prefixes[page->prefix_count++] = prefix;
}

pb_page *pb_page_keep(pb_page *page)
{
    page->references++;
    return page;
}

void pb_page_release(pb_page *page)
{
    if (!page || --page->references)
        return;
    pb_arena_free(&page->arena);
    free(page->entries);
    free(page->prefixes);
    free(page);
}

static uint64_t mixed(uint64_t state, uint64_t word)
{
    state = (state ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return state ^ state >> 29;
}

static uint64_t mixed_text(uint64_t state, pb_slice text)
{
    for (size_t at = 0; at < text.size;)
        state = mixed(state, pb_word_next(text.data, text.size, &at, 0));
    return mixed(state, text.size);
}

uint64_t pb_entry_hash(uint64_t seed, const pb_entry *entry)
{
    uint64_t state = mixed(mixed_text(mixed_text(seed, entry->key), entry->etag), entry->size);
    return state ^ state >> 32;
}
