/* copier/store/credentials/google_metadata.h - the metadata server of Google: the identity of the
 * machine (Compute Engine) or of the pod's service account (workload identity of GKE).
 *
 * Protocol: https://cloud.google.com/compute/docs/metadata/querying-metadata,
 * https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity. Requests carry
 * "Metadata-Flavor: Google" and so must answers: anything else at that address, a captive portal or
 * another cloud's service, is not believed. No proxy is ever asked. */
#ifndef PB_COPIER_STORE_CREDENTIALS_GOOGLE_METADATA_H
#define PB_COPIER_STORE_CREDENTIALS_GOOGLE_METADATA_H

#include "copier/store/credentials/source.h"

/* The address rather than metadata.google.internal: where there is none, no resolver holds it up.
 */
#define PB_GOOGLE_METADATA_HOST "169.254.169.254"

/* "HOST" or "HOST:PORT" and nothing more. Pure. */
bool pb_google_metadata_host_is_valid(const char *host);
/* The URL of the token for `scope`. NUL-terminated, the caller frees. Pure. */
char *pb_google_metadata_token_url(const char *host, const char *scope);

/* Asks whether a metadata server is there: each attempt takes a second at most, and new ones are
 * made until `patience_ms` are over (0: one attempt). That of GKE comes up some seconds after a
 * pod. Blocks. Fails with UNREACHABLE. */
int pb_google_metadata_probe(const char *host, uint32_t patience_ms, pb_error *error);

/* A source of tokens for objects. Copies `host`, which is valid. */
pb_credential_source *pb_google_metadata_source(const char *host);

#endif
