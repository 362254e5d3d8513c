#include "copier/store/s3/login.h"

void pb_s3_login_take(pb_s3_login *login)
{
    pb_credential_clear(&login->before);
    login->before = login->value;
    pb_provider_take(login->provider, &login->value, &login->number);
    pb_s3_signer_free(login->signer);
    login->signer = NULL;
    if (login->value.access_key_id)
        login->signer =
            pb_s3_signer_new(login->value.access_key_id, login->value.secret_access_key, "s3");
}

void pb_s3_login_open(pb_s3_login *login, pb_provider *provider)
{
    *login = (pb_s3_login){.provider = provider};
    pb_s3_login_take(login);
}

void pb_s3_login_close(pb_s3_login *login)
{
    pb_s3_signer_free(login->signer);
    pb_credential_clear(&login->value);
    pb_credential_clear(&login->before);
    *login = (pb_s3_login){0};
}

bool pb_s3_login_has_ended(pb_s3_login *login, unsigned number, int status, pb_slice code,
                           int64_t now_ms)
{
    static const char *const codes[] = {"ExpiredToken", "ExpiredTokenException", "InvalidToken",
                                        "TokenRefreshRequired"};
    bool said = false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes && code.size; i++)
        said = said || pb_slice_equal(code, pb_slice_of(codes[i]));
    if (!code.size && (status == 400 || status == 403))
        said = number != pb_provider_number(login->provider) ||
               (login->value.expires_ms && login->value.expires_ms <= now_ms);
    return said && pb_provider_has_ended(login->provider, number);
}

static bool holds(pb_slice text, const char *secret)
{
    return secret && *secret && text.size && memmem(text.data, text.size, secret, strlen(secret));
}

bool pb_s3_login_is_in(const pb_s3_login *login, pb_slice text)
{
    return holds(text, login->value.secret_access_key) || holds(text, login->value.session_token) ||
           holds(text, login->before.secret_access_key) ||
           holds(text, login->before.session_token) ||
           (login->signer && holds(text, pb_s3_signer_last(login->signer)));
}
