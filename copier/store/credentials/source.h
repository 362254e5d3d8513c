/* copier/store/credentials/source.h - where a login comes from: one file in this room each.
 *
 * A source answers one question, "what do requests prove themselves with now", and may take its
 * time: it reads files, runs a program, asks an endpoint. provider.h decides when it is asked. */
#ifndef PB_COPIER_STORE_CREDENTIALS_SOURCE_H
#define PB_COPIER_STORE_CREDENTIALS_SOURCE_H

#include "base/bytes.h"
#include "base/error.h"

/* What requests prove themselves with. Either the keys of AWS, a bearer token, or nothing at all
 * (anonymous). Texts are printable ASCII without blanks: they go into headers. */
typedef struct pb_credential {
    char *access_key_id, *secret_access_key;
    char *session_token; /* NULL for none */
    char *bearer_token;  /* Google */
    int64_t expires_ms;  /* UTC; 0: it lasts */
} pb_credential;

/* Wipes and frees what it points to, and zeroes it; zeroed ones allowed. */
void pb_credential_clear(pb_credential *credential);
/* A copy; the caller clears it. */
void pb_credential_copy(const pb_credential *credential, pb_credential *ret_copy);

typedef struct pb_credential_source pb_credential_source;
struct pb_credential_source {
    /* Fetches a value. Blocks, on any thread, never two calls at once; bounded in time. Fails with
     * USAGE (a file or variable that is wrong: it names it, and never shows a value), REFUSED (the
     * login is not accepted), UNREACHABLE, SERVER or THROTTLED (worth another try). */
    int (*fetch)(pb_credential_source *source, pb_credential *ret_credential, pb_error *error);
    void (*free)(pb_credential_source *source);
    char *name; /* "profile backup of /home/u/.aws/config, role arn:...": for messages; owned */
    bool lasts; /* one value for good: it is fetched once */
};

static inline void pb_credential_source_free(pb_credential_source *source) /* NULL allowed */
{
    if (source)
        source->free(source);
}

/* A source of the value, which is copied (environment, keys from a Kubernetes secret, anonymous).
 * `name` is copied too. */
pb_credential_source *pb_credential_source_fixed(const pb_credential *credential, const char *name);

/* getenv, or a test's: NULL where `name` is not set. */
typedef struct pb_environment {
    const char *(*variable)(void *context, const char *name);
    void *context;
} pb_environment;

extern const pb_environment pb_environment_of_process;

/* The variable; NULL where it is not set or empty. */
const char *pb_environment_get(const pb_environment *environment, const char *name);

#endif
