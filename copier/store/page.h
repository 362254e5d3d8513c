/* copier/store/page.h - a batch of entries in key order, with the memory they point into.
 *
 * What listings and manifests are read in: some hundreds of entries at a time. Counted by
 * references, so that whoever still needs one key keeps its page. One thread. */
#ifndef PB_COPIER_STORE_PAGE_H
#define PB_COPIER_STORE_PAGE_H

#include "base/bytes.h"

typedef struct pb_entry {
    pb_slice key;
    uint64_t size;
    int64_t mtime_ms;   /* last modified */
    pb_slice etag;      /* without quotes; empty where unknown */
    pb_slice version;   /* what a read can insist on beside the ETag; empty where there is none */
    const void *record; /* entries of a manifest: their pb_record; else NULL */
} pb_entry;

typedef struct pb_page {
    unsigned references;
    pb_arena arena; /* what the entries point to */
    pb_entry *entries;
    size_t count;
    size_t capacity;
    pb_slice *prefixes; /* a listing with a delimiter: its common prefixes, in order */
    size_t prefix_count;
    size_t prefix_capacity;
    bool more;      /* there is something after this page */
    bool has_own;   /* an object of the location's own key, "prefix/", holds bytes: left out */
    pb_slice token; /* what continues a listing after this page; empty where the last key does */
} pb_page;

pb_page *pb_page_new(void); /* one reference */
/* A zeroed entry at the end; valid until the next one is added. */
pb_entry *pb_page_add(pb_page *page);
void pb_page_add_prefix(pb_page *page, pb_slice prefix);
pb_page *pb_page_keep(pb_page *page); /* one more reference; returns page */
void pb_page_release(pb_page *page);  /* frees with the last reference; NULL allowed */

/* A number made of an entry's key, size and ETag, which differs between seeds: multiplications and
 * shifts, as this is done for every key. Who knows the seed can make two entries collide. Pure. */
uint64_t pb_entry_hash(uint64_t seed, const pb_entry *entry);

#endif
