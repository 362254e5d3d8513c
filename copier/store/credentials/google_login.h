/* copier/store/credentials/google_login.h - which login of Google requests to a bucket use.
 *
 * Order: nothing where that is asked for; the file that PBCOPY_<ROLE>_GOOGLE_CREDENTIALS names, for
 * one end alone; keys from a Kubernetes secret; the file that GOOGLE_APPLICATION_CREDENTIALS names;
 * gcloud's own
 * ($CLOUDSDK_CONFIG or ~/.config/gcloud)/application_default_credentials.json; the metadata server
 * (GCE_METADATA_HOST; none with NO_GCE_CHECK=true). So Google's libraries have it:
 * https://cloud.google.com/docs/authentication/application-default-credentials
 *
 * An emulator is sent no token that was not given for this end: it is spoken to in plain text, and
 * Google's libraries send it none. */
#ifndef PB_COPIER_STORE_CREDENTIALS_GOOGLE_LOGIN_H
#define PB_COPIER_STORE_CREDENTIALS_GOOGLE_LOGIN_H

#include "base/log.h"
#include "copier/store/credentials/source.h"

typedef struct pb_google_login_options {
    const char *role;      /* "source": PBCOPY_SOURCE_GOOGLE_CREDENTIALS; NULL for none */
    pb_slice keys;         /* JSON of GOOGLE_CRED in pachyderm-storage-secret; empty for none */
    bool anonymous;        /* asked for: requests carry no token */
    bool emulator;         /* the endpoint is one: STORAGE_EMULATOR_HOST, plain HTTP to loopback */
    const char *ca_bundle; /* PEM file for the token endpoints; NULL for the system's; copied */
    const pb_log *log;     /* a warning about a key file that others can read; NULL for none */
} pb_google_login_options;

/* Finds the login; what it needs is copied. Reads files, and asks whether a metadata server is
 * there: blocks for a second where nothing else is found and nobody answers, for three in a pod.
 * An anonymous login is a value without a token. Fails with USAGE: a file that is named and
 * missing, malformed, not supported, or no login at all, with the places that were looked at; with
 * UNREACHABLE where GCE_METADATA_HOST does not answer. The caller owns the source. */
int pb_google_login_find(const pb_google_login_options *options, const pb_environment *environment,
                         pb_credential_source **ret_source, pb_error *error);

#endif
