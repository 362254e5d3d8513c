/* copier/store/credentials/google_key.h - the credential files of Google. Pure, any thread.
 *
 * Forms: https://google.aip.dev/auth/4110 (application default credentials), 4112 (service account
 * key), 4113 (authorized user), 4117 (external account). Unknown members are ignored. What needs a
 * program to be run or AWS's signatures is refused by name, never passed over in silence. */
#ifndef PB_COPIER_STORE_CREDENTIALS_GOOGLE_KEY_H
#define PB_COPIER_STORE_CREDENTIALS_GOOGLE_KEY_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/rsa_signature.h"

typedef enum pb_google_key_kind {
    PB_GOOGLE_SERVICE_ACCOUNT,
    PB_GOOGLE_AUTHORIZED_USER,
    PB_GOOGLE_EXTERNAL_ACCOUNT,
    PB_GOOGLE_IMPERSONATED,
} pb_google_key_kind;

enum {
    PB_GOOGLE_KEY_BYTES_MAX = 256 * 1024,
    PB_GOOGLE_SUBJECT_HEADERS_MAX = 8,
    PB_GOOGLE_DELEGATES_MAX = 16,
};

/* Where the token of a foreign identity provider comes from: a file or a URL. */
typedef struct pb_google_subject {
    char *file, *url; /* one of them is set */
    char *
        headers[PB_GOOGLE_SUBJECT_HEADERS_MAX]; /* of the URL, "Name: value"; NULL after the last */
    char *token_field;                          /* member of a JSON document; NULL: all the text */
} pb_google_subject;

/* Texts are UTF-8 and not empty, NULL where the kind has none; URLs are checked. */
typedef struct pb_google_key {
    pb_google_key_kind kind;
    char *token_url; /* not of IMPERSONATED */
    /* SERVICE_ACCOUNT */
    char *client_email;
    char *private_key_id; /* may be NULL */
    pb_rsa_key *private_key;
    /* AUTHORIZED_USER; of EXTERNAL_ACCOUNT both or none of the client's */
    char *client_id, *client_secret;
    char *refresh_token;
    /* EXTERNAL_ACCOUNT */
    char *audience, *subject_token_type;
    char *workforce_project; /* may be NULL */
    pb_google_subject subject;
    /* IMPERSONATED: whose token asks for the one of the target. */
    struct pb_google_key *source;
    /* IMPERSONATED, and EXTERNAL_ACCOUNT where it has one. */
    char *impersonation_url;
    char *delegates[PB_GOOGLE_DELEGATES_MAX]; /* NULL after the last */
    uint32_t lifetime_s;                      /* asked for, 600 to 43,200 */
} pb_google_key;

/* Reads the text of a file, of at most PB_GOOGLE_KEY_BYTES_MAX; `what` names it in messages. Fails
 * with USAGE, naming the member and never showing a value. Free with pb_google_key_free, which
 * wipes all that is secret. */
int pb_google_key_parse(pb_slice text, const char *what, pb_google_key **ret_key, pb_error *error);
void pb_google_key_free(pb_google_key *key); /* NULL allowed */

/* True where reading the file is enough to log in: others should not be able to. */
bool pb_google_key_is_secret(const pb_google_key *key);
/* "service account a@b", for messages. NUL-terminated, the caller frees. */
char *pb_google_key_describe(const pb_google_key *key);

typedef enum pb_google_url_rule {
    PB_GOOGLE_URL_ENDPOINT, /* https; http to loopback (a stand-in, a proxy of this machine) */
    PB_GOOGLE_URL_SUBJECT,  /* also http to 169.254.0.0/16: the metadata service of another cloud */
} pb_google_url_rule;

/* Whether a request with a secret may go to this URL. Hosts are not held to googleapis.com:
 * Google's own libraries gave that up for external accounts, as private endpoints and other
 * universes have hosts of their own, and ask users to read a file that they did not make
 * themselves. */
bool pb_google_url_is_allowed(const char *url, pb_google_url_rule rule);

#endif
