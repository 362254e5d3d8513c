/* cluster/edits/bucket.h - the edit that gives a captured Pachyderm another bucket: in
 * pachyderm-storage-secret and in STORAGE_URL, by version. Pure. */
#ifndef PB_CLUSTER_EDITS_BUCKET_H
#define PB_CLUSTER_EDITS_BUCKET_H

#include "base/error.h"
#include <jansson.h>

/* `url` as STORAGE_URL has it. Up to 2.8 the secret must hold a bucket's key, from 2.11 on pachd
 * must have STORAGE_URL, between and where the version is unknown one of the two; all that is there
 * is changed. A STORAGE_URL keeps its parameters where `url` has none and is of the same provider;
 * with one of another provider STORAGE_BACKEND changes, by which pachd opens it.
 * Endpoint, region and TLS in the secret follow what `url` names. *moved becomes true where what
 * this version reads names another bucket than before. USAGE: no such URL. FAILED: nothing found.
 */
int pb_edits_bucket(const char *url, const char *version, json_t *objects, bool *moved,
                    pb_error *error);

#endif
