/* copier/store/s3/login.h - the login of one store on one loop: the provider's newest keys, and the
 * signer made of them. One thread; the provider is shared by all.
 *
 * A request on its way keeps what it was signed with: its text is its own, so the signer may be
 * replaced under it. */
#ifndef PB_COPIER_STORE_S3_LOGIN_H
#define PB_COPIER_STORE_S3_LOGIN_H

#include "copier/store/credentials/provider.h"
#include "copier/store/s3/signature.h"

typedef struct pb_s3_login {
    pb_provider *provider; /* borrowed */
    unsigned number;       /* of the value in use */
    pb_credential value;
    pb_credential before; /* what requests in flight may still be signed with */
    pb_s3_signer *signer; /* NULL: unsigned */
} pb_s3_login;

void pb_s3_login_open(pb_s3_login *login, pb_provider *provider);
void pb_s3_login_close(pb_s3_login *login);

void pb_s3_login_take(pb_s3_login *login);
/* Before each attempt: takes the newest value where there is one. Costs an atomic load. */
static inline void pb_s3_login_renew(pb_s3_login *login)
{
    if (pb_provider_number(login->provider) != login->number)
        pb_s3_login_take(login);
}

/* True where an answer says that the keys of this number have ended and newer ones are there or
 * will be: the request is worth another try. `code` is empty where the answer had no body (HEAD):
 * there a status of 400 or 403 says so of keys that are over by our clock or were replaced. */
bool pb_s3_login_has_ended(pb_s3_login *login, unsigned number, int status, pb_slice code,
                           int64_t now_ms);

/* True where a text holds a secret, or the last signature: a hostile store might send back what it
 * was sent. */
bool pb_s3_login_is_in(const pb_s3_login *login, pb_slice text);

#endif
