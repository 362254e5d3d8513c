/* copier/store/gcs/list_reader.h - a page of objects.list, read in one pass without a JSON library:
 * listing is the hot path of a run that finds nothing changed, and a tree of JSON values costs ten
 * times as much. Pure; one thread.
 *
 * Source: https://cloud.google.com/storage/docs/json_api/v1/objects/list */
#ifndef PB_COPIER_STORE_GCS_LIST_READER_H
#define PB_COPIER_STORE_GCS_LIST_READER_H

#include "base/error.h"
#include "copier/store/page.h"

typedef struct pb_gcs_list_asked {
    pb_slice store_prefix;  /* the location's: taken off each key */
    pb_slice prefix, after; /* of the request, relative to it */
    pb_slice token;         /* of the request; the page's is made of it */
} pb_gcs_list_asked;

/* Reads a page of a listing into a new page: keys and prefixes relative, `after` itself left out,
 * versions as "generation/metageneration". An object whose whole name is the store's prefix is left
 * out; page->has_own where it holds bytes. Fails with SERVER where the body is no JSON (cut off, or
 * not from the store), FAILED where it breaks the protocol. */
int pb_gcs_parse_list(pb_slice body, const pb_gcs_list_asked *asked, pb_page **ret_page,
                      pb_error *error);

#endif
