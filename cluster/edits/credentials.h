/* cluster/edits/credentials.h - the keys of the new bucket, in pachyderm-storage-secret. For this
 * room, and for who reads them. */
#ifndef PB_CLUSTER_EDITS_CREDENTIALS_H
#define PB_CLUSTER_EDITS_CREDENTIALS_H

#include "base/error.h"
#include <jansson.h>

/* `credentials` is a mapping of the secret's own names to values: {"AMAZON_ID": "...",
 * "AMAZON_SECRET": "..."}. USAGE where a name is none of a credential, naming it, or a value is no
 * text; no message quotes a value. Pure. */
int pb_edits_check_credentials(const json_t *credentials, const char *what, pb_error *error);
/* Puts them into the secret, and takes out credentials of before that they do not name: a session
 * token would go with a key that it does not belong to. FAILED where there is no such secret. Pure.
 */
int pb_edits_credentials(const json_t *credentials, json_t *objects, pb_error *error);

#endif
