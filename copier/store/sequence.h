/* copier/store/sequence.h - a listing in one sequence: page after page as the store itself goes on,
 * by its continuation tokens. Nothing is expected of the order of keys. Main thread. */
#ifndef PB_COPIER_STORE_SEQUENCE_H
#define PB_COPIER_STORE_SEQUENCE_H

#include "copier/store/store.h"

/* Watches pages for a listing that never ends: one that goes round (Brent's algorithm on tokens and
 * first keys), or goes on with empty pages only. Flat memory; {0} is a new one. */
typedef struct pb_page_watch {
    pb_buffer token, first_key; /* of the page that is remembered */
    uint64_t pages, remembered; /* so far; when another is remembered */
    unsigned empty, repeated;   /* in a row; pages that begin like the remembered one */
} pb_page_watch;

/* Takes notice of a page. NULL, or what is wrong with it. */
const char *pb_page_watch_see(pb_page_watch *watch, const pb_page *page);
void pb_page_watch_free(pb_page_watch *watch); /* back to {0} */

/* Lists all keys with the prefix that the store puts behind `after` ("" for all; with a delimiter:
 * grouped) and calls `each` with every page, which stays the caller's; 1 ends it well, -1 ends it.
 * Runs the store's loop. Fails with FAILED where the listing does not end, or cannot be continued.
 */
int pb_sequence_list(pb_store *store, pb_slice prefix, pb_slice after, char delimiter,
                     int (*each)(void *context, const pb_page *page, pb_error *error),
                     void *context, pb_error *error);

#endif
