/* copier/store/credentials/google_token.h - what is asked of Google's token endpoints, and what
 * they answer. Pure, any thread.
 *
 * Protocols: https://developers.google.com/identity/protocols/oauth2/service-account (signed
 * assertions, RFC 7523), RFC 6749 section 6 (refresh tokens),
 * https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token (RFC 8693),
 * https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
 *
 * Texts that are built hold secrets: free them with pb_buffer_wipe. */
#ifndef PB_COPIER_STORE_CREDENTIALS_GOOGLE_TOKEN_H
#define PB_COPIER_STORE_CREDENTIALS_GOOGLE_TOKEN_H

#include "copier/store/credentials/google_key.h"
#include "copier/store/credentials/source.h"

/* Enough to list, read, write, rewrite and delete objects. objects.patch and update, ACLs and IAM
 * policies would take full_control: pbcopy uses none of them. */
#define PB_GOOGLE_SCOPE_STORAGE "https://www.googleapis.com/auth/devstorage.read_write"
/* Of a token that asks for another account's: IAM's API takes no narrower one everywhere. */
#define PB_GOOGLE_SCOPE_PLATFORM "https://www.googleapis.com/auth/cloud-platform"

enum { PB_GOOGLE_TOKEN_BYTES_MAX = 16 * 1024 };

/* ---- requests ---- */

/* The web token by which a service account asks for `scope`, valid for an hour from `now_ms` (UTC),
 * and the form that carries it. Fails with USAGE where the key does not sign. */
int pb_google_assertion(const pb_google_key *key, const char *scope, int64_t now_ms,
                        pb_buffer *ret_assertion, pb_error *error);
void pb_google_assertion_form(pb_slice assertion, pb_buffer *ret_form);
/* The form of an authorized user. */
void pb_google_refresh_form(const pb_google_key *key, pb_buffer *ret_form);
/* The form of an external account, and its header "Authorization: Basic ..." (empty where the key
 * has no client). */
void pb_google_exchange_form(const pb_google_key *key, const char *scope, const char *subject_token,
                             pb_buffer *ret_form);
void pb_google_client_header(const pb_google_key *key, pb_buffer *ret_header);
/* The JSON that asks for the token of the impersonated account, and "Authorization: Bearer ...". */
void pb_google_impersonation_body(const pb_google_key *key, const char *scope, pb_buffer *ret_body);
void pb_google_bearer_header(const char *token, pb_buffer *ret_header);

/* ---- answers ---- */

/* The foreign token in the text of a file or of an answer; `what` names that. NUL-terminated, the
 * caller wipes and frees it. Fails with USAGE. */
int pb_google_subject_token_parse(const pb_google_subject *subject, pb_slice text, const char *what,
                                  char **ret_token, pb_error *error);
/* {"access_token", "expires_in", "token_type"} of a token endpoint or metadata server, received at
 * `now_ms`. Fails with SERVER. The caller clears the credential. */
int pb_google_token_parse(pb_slice body, int64_t now_ms, pb_credential *ret_credential,
                          pb_error *error);
/* {"accessToken", "expireTime"}; the same. */
int pb_google_impersonation_parse(pb_slice body, pb_credential *ret_credential, pb_error *error);

typedef struct pb_google_answer {
    int status;           /* not 2xx */
    const char *location; /* of a redirect, "" for none */
    pb_slice body;
    const char *const *secrets; /* what was sent: nothing of it is repeated; NULL after the last */
} pb_google_answer;

/* Says why an endpoint refused. Returns -1. Kinds: REFUSED (also each redirect: a secret goes only
 * where the key file says), THROTTLED (429), SERVER (408, 5xx, and what OAuth calls temporary). */
int pb_google_answer_explain(const pb_google_answer *answer, pb_error *error);

#endif
