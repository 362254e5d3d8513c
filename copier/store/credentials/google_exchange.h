/* copier/store/credentials/google_exchange.h - a login by a credential file of Google: asks the
 * endpoints that google_token.h describes. */
#ifndef PB_COPIER_STORE_CREDENTIALS_GOOGLE_EXCHANGE_H
#define PB_COPIER_STORE_CREDENTIALS_GOOGLE_EXCHANGE_H

#include "copier/store/credentials/google_key.h"
#include "copier/store/credentials/source.h"

/* A source of tokens for objects (PB_GOOGLE_SCOPE_STORAGE). Takes the key; copies `place`, which
 * says where it comes from, and `ca_bundle` (NULL for the system's). A file with a foreign token is
 * read at each fetch: whoever issues it replaces it. */
pb_credential_source *pb_google_key_source(pb_google_key *key, const char *place,
                                           const char *ca_bundle);

#endif
