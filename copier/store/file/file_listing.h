/* copier/store/file/file_listing.h - walking a directory tree in the order of keys, page by page.
 *
 * A walk holds the names of one directory a level. Blocks: for the thread pool; one thread at a
 * time. */
#ifndef PB_COPIER_STORE_FILE_FILE_LISTING_H
#define PB_COPIER_STORE_FILE_FILE_LISTING_H

#include "copier/store/file/file_sorted_names.h"
#include "copier/store/page.h"

typedef struct pb_file_walk pb_file_walk;

/* What a walk is of: the keys with a prefix, grouped at '/' where `grouped`, past `after`. Where
 * `after_is_group`, `after` is a common prefix and all of it is behind. */
typedef struct pb_file_walk_range {
    pb_slice prefix;
    pb_slice after;
    bool grouped;
    bool after_is_group;
} pb_file_walk_range;

/* The range is copied; tree and cache are borrowed. */
pb_file_walk *pb_file_walk_new(pb_file_tree *tree, pb_file_names_cache *cache,
                               const pb_file_walk_range *range);
void pb_file_walk_free(pb_file_walk *walk); /* NULL allowed */

/* Adds up to keys_max entries and prefixes and sets page->more. After a failure only to be freed.
 */
int pb_file_walk_page(pb_file_walk *walk, unsigned keys_max, pb_page *page, pb_error *error);

/* What the walk has left to give, as a range; valid until the next page. */
pb_file_walk_range pb_file_walk_rest(const pb_file_walk *walk);

#endif
