#include "copier/store/s3/login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct counting_source {
    pb_credential_source source; /* first */
    unsigned fetches;
    int64_t expires_ms;
} counting_source;

static int fetch(pb_credential_source *source, pb_credential *ret_credential, pb_error *error)
{
    counting_source *self = (counting_source *)source;
    char id[32], secret[32], token[32];
    (void)error;
    self->fetches++;
    snprintf(id, sizeof id, "key-%u", self->fetches);
    snprintf(secret, sizeof secret, "secret-%u", self->fetches);
    snprintf(token, sizeof token, "token-%u", self->fetches);
    *ret_credential = (pb_credential){
        .access_key_id = pb_duplicate(pb_slice_of(id)),
        .secret_access_key = pb_duplicate(pb_slice_of(secret)),
        .session_token = pb_duplicate(pb_slice_of(token)),
        .expires_ms = self->expires_ms,
    };
    return 0;
}

static void free_name(pb_credential_source *source)
{
    free(source->name);
}

static void wait_for_number(pb_provider *provider, unsigned number)
{
    for (int i = 0; pb_provider_number(provider) < number; i++) {
        if (i > 2000)
            fail_msg("value %u does not come", number);
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
}

static void follows_the_provider(void **state)
{
    (void)state;
    counting_source source = {
        .source = {.fetch = fetch, .free = free_name, .name = pb_duplicate(pb_slice_of("x"))},
        .expires_ms = pb_clock_utc_ms() + 3600 * 1000,
    };
    const int64_t now_ms = pb_clock_utc_ms();
    const pb_slice none = {NULL, 0}, ended = PB_SLICE_LITERAL("ExpiredToken");
    pb_provider *provider;
    pb_s3_login login;
    assert_int_equal(pb_provider_open(&source.source, NULL, &provider, NULL), 0);
    pb_s3_login_open(&login, provider);
    pb_s3_signer *first = login.signer;
    assert_non_null(first);
    assert_string_equal(login.value.session_token, "token-1");
    pb_s3_login_renew(&login);
    assert_ptr_equal(login.signer, first);

    /* Other errors say nothing of the login. */
    assert_false(pb_s3_login_has_ended(&login, 1, 403, PB_SLICE_LITERAL("AccessDenied"), now_ms));
    assert_false(pb_s3_login_has_ended(&login, 1, 403, none, now_ms));
    assert_false(pb_s3_login_has_ended(&login, 1, 404, none, now_ms + 7200 * 1000));
    assert_int_equal(source.fetches, 1);
    assert_true(pb_s3_login_has_ended(&login, 1, 400, ended, now_ms));
    wait_for_number(provider, 2);
    assert_string_equal(login.value.session_token, "token-1"); /* until the next attempt */
    pb_s3_login_renew(&login);
    assert_string_equal(login.value.session_token, "token-2");
    assert_int_equal(login.number, 2);

    /* A HEAD has no body: replaced, or over by our clock. */
    assert_true(pb_s3_login_has_ended(&login, 1, 403, none, now_ms));
    assert_false(pb_s3_login_has_ended(&login, 2, 400, none, now_ms));
    assert_true(pb_s3_login_has_ended(&login, 2, 400, none, now_ms + 7200 * 1000));

    /* Both may still be on their way. */
    assert_true(pb_s3_login_is_in(&login, PB_SLICE_LITERAL("you sent token-2")));
    assert_true(pb_s3_login_is_in(&login, PB_SLICE_LITERAL("you sent secret-1")));
    assert_false(pb_s3_login_is_in(&login, PB_SLICE_LITERAL("key-2 is not known")));
    assert_false(pb_s3_login_is_in(&login, none));
    pb_s3_login_close(&login);
    pb_provider_close(provider);
}

static void an_anonymous_one_signs_nothing(void **state)
{
    (void)state;
    pb_provider *provider;
    pb_s3_login login;
    assert_int_equal(pb_provider_open(pb_credential_source_fixed(&(pb_credential){0}, "anonymous"),
                                      NULL, &provider, NULL),
                     0);
    pb_s3_login_open(&login, provider);
    assert_null(login.signer);
    assert_false(pb_s3_login_is_in(&login, PB_SLICE_LITERAL("anything")));
    assert_false(
        pb_s3_login_has_ended(&login, login.number, 403, PB_SLICE_LITERAL("ExpiredToken"), 0));
    pb_s3_login_close(&login);
    pb_provider_close(provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_provider),
        cmocka_unit_test(an_anonymous_one_signs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
