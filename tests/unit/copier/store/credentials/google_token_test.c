#include "copier/store/credentials/google_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/data_file.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const int64_t now_ms = 1700000000000;

/* ---- requests ---- */

/* tests/data/google/README.md says how it was made. */
static void an_assertion_is_what_openssl_signs(void **state)
{
    (void)state;
    char *pem = read_data_file("google/private_key.pem");
    char *expected = read_data_file("google/assertion.txt");
    pb_google_key key = {
        .kind = PB_GOOGLE_SERVICE_ACCOUNT,
        .client_email = (char *)"backup@project.iam.gserviceaccount.com",
        .private_key_id = (char *)"0123abcd",
        .token_url = (char *)"https://oauth2.googleapis.com/token",
    };
    pb_buffer assertion = {0}, form = {0};
    assert_int_equal(pb_rsa_key_parse(pb_slice_of(pem), &key.private_key, NULL), 0);
    assert_int_equal(pb_google_assertion(&key, PB_GOOGLE_SCOPE_STORAGE, now_ms, &assertion, NULL),
                     0);
    assert_string_equal(assertion.data, expected);
    pb_google_assertion_form(pb_buffer_slice(&assertion), &form);
    static const char start[] =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    assert_memory_equal(form.data, start, sizeof start - 1);
    assert_string_equal(form.data + sizeof start - 1, expected);
    pb_rsa_key_free(key.private_key);
    pb_buffer_wipe(&assertion);
    pb_buffer_wipe(&form);
    free(pem);
    free(expected);
}

static void forms_are_encoded(void **state)
{
    (void)state;
    pb_google_key user = {
        .client_id = (char *)"id&x",
        .client_secret = (char *)"s+e=c",
        .refresh_token = (char *)"1//r e",
    };
    pb_buffer form = {0};
    pb_google_refresh_form(&user, &form);
    assert_string_equal(form.data,
                        "grant_type=refresh_token&client_id=id%26x&client_secret=s%2Be%3Dc"
                        "&refresh_token=1%2F%2Fr%20e");
    pb_buffer_wipe(&form);

    pb_google_key external = {
        .audience = (char *)"//iam/p",
        .subject_token_type = (char *)"urn:t",
        .workforce_project = (char *)"7\"7",
    };
    pb_google_exchange_form(&external, "sc/ope", "sub&ject", &form);
    assert_string_equal(form.data, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-"
                                   "exchange&audience=%2F%2Fiam%2Fp"
                                   "&scope=sc%2Fope&requested_token_type=urn%3Aietf%3Aparams%"
                                   "3Aoauth%3Atoken-type%3Aaccess_token"
                                   "&subject_token_type=urn%3At&subject_token=sub%26ject"
                                   "&options=%7B%22userProject%22%3A%227%5C%227%22%7D");
    pb_buffer_wipe(&form);
    pb_buffer header = {0};
    pb_google_client_header(&external, &header);
    assert_null(header.data);

    external.client_id = (char *)"client";
    external.client_secret = (char *)"secret";
    pb_google_exchange_form(&external, "s", "t", &form);
    assert_null(strstr(form.data, "options"));
    pb_buffer_wipe(&form);
    pb_google_client_header(&external, &header);
    assert_string_equal(header.data, "Authorization: Basic Y2xpZW50OnNlY3JldA==");
    pb_buffer_wipe(&header);
}

static void impersonation_is_asked_for(void **state)
{
    (void)state;
    pb_google_key key = {.lifetime_s = 3600};
    pb_buffer body = {0}, header = {0};
    pb_google_impersonation_body(&key, "https://s", &body);
    assert_string_equal(body.data,
                        "{\"delegates\":[],\"scope\":[\"https://s\"],\"lifetime\":\"3600s\"}");
    pb_buffer_wipe(&body);
    key = (pb_google_key){.lifetime_s = 600, .delegates = {(char *)"a\"", (char *)"b"}};
    pb_google_impersonation_body(&key, "s", &body);
    assert_string_equal(
        body.data, "{\"delegates\":[\"a\\\"\",\"b\"],\"scope\":[\"s\"],\"lifetime\":\"600s\"}");
    pb_google_bearer_header("ya29.x", &header);
    assert_string_equal(header.data, "Authorization: Bearer ya29.x");
    pb_buffer_wipe(&body);
    pb_buffer_wipe(&header);
}

/* ---- answers ---- */

static void foreign_tokens_are_read(void **state)
{
    (void)state;
    static const pb_google_subject text = {0}, json = {.token_field = (char *)"id_token"};
    static const struct {
        const pb_google_subject *subject;
        const char *text, *token;
    } good[] = {
        {&text, "eyJ.x.y\n", "eyJ.x.y"},
        {&text, " \r\n eyJ.x.y \t\r\n", "eyJ.x.y"},
        {&json, "{\"id_token\":\"eyJ.x.y\",\"other\":1}\n", "eyJ.x.y"},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        char *token = NULL;
        assert_int_equal(pb_google_subject_token_parse(good[i].subject, pb_slice_of(good[i].text),
                                                       "token.txt", &token, NULL),
                         0);
        assert_string_equal(token, good[i].token);
        free(token);
    }
    static const struct {
        const pb_google_subject *subject;
        pb_slice text;
        const char *part;
    } bad[] = {
        {&text, PB_SLICE_STATIC(""), "no token yet"},
        {&text, PB_SLICE_STATIC(" \n\n"), "no token yet"},
        {&text, PB_SLICE_STATIC("hush hush"), "not a token"},
        {&text, PB_SLICE_STATIC("hush\r\nX: y"), "not a token"},
        {&text, PB_SLICE_STATIC("hush\0x"), "not a token"},
        {&text, PB_SLICE_STATIC("hush\xc3\xa9"), "not a token"},
        {&json, PB_SLICE_STATIC("hush"), "not valid JSON"},
        {&json, PB_SLICE_STATIC("{\"id_token\":7}"), "\"id_token\" is not a string"},
        {&json, PB_SLICE_STATIC("{\"token\":\"hush\"}"), "\"id_token\" is missing"},
        {&json, PB_SLICE_STATIC("{\"id_token\":\"\"}"), "no token yet"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        char *token = NULL;
        pb_error error = {0};
        assert_int_equal(
            pb_google_subject_token_parse(bad[i].subject, bad[i].text, "token.txt", &token, &error),
            -1);
        assert_null(token);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        if (!strstr(error.message, bad[i].part) || !strstr(error.message, "token.txt"))
            fail_msg("%zu: %s", i, error.message);
        assert_null(strstr(error.message, "hush"));
    }
    char *huge = pb_allocate(20000), *token = NULL;
    memset(huge, 'a', 20000);
    assert_int_equal(
        pb_google_subject_token_parse(&text, (pb_slice){huge, 16385}, "f", &token, NULL), -1);
    assert_int_equal(
        pb_google_subject_token_parse(&text, (pb_slice){huge, 16384}, "f", &token, NULL), 0);
    free(token);
    free(huge);
}

static void tokens_are_read_with_their_end(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int64_t life_s;
    } good[] = {
        {"{\"access_token\":\"ya29.x\",\"expires_in\":3599,\"token_type\":\"Bearer\"}", 3599},
        {"{\"access_token\":\"ya29.x\",\"expires_in\":0,\"token_type\":\"bearer\"}", 0},
        {"{\"access_token\":\"ya29.x\",\"expires_in\":1}", 1},
        {"{\"access_token\":\"ya29.x\",\"expires_in\":9223372036854775807}", 604800},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        pb_credential credential = {0};
        assert_int_equal(
            pb_google_token_parse(pb_slice_of(good[i].body), now_ms, &credential, NULL), 0);
        assert_string_equal(credential.bearer_token, "ya29.x");
        assert_int_equal(credential.expires_ms, now_ms + 1000 * good[i].life_s);
        pb_credential_clear(&credential);
    }
    static const char *const bad[] = {
        "",
        "<html>hush</html>",
        "{\"access_token\":\"hush\"}",
        "{\"access_token\":\"hush\",\"expires_in\":-1}",
        "{\"access_token\":\"hush\",\"expires_in\":\"3599\"}",
        "{\"access_token\":\"hush hush\",\"expires_in\":1}",
        "{\"access_token\":\"hush\\r\\nX: y\",\"expires_in\":1}",
        "{\"access_token\":\"\",\"expires_in\":1}",
        "{\"access_token\":7,\"expires_in\":1}",
        "{\"access_token\":\"hush\",\"expires_in\":1,\"token_type\":\"MAC\"}",
        "{\"expires_in\":1}",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_credential credential = {0};
        pb_error error = {0};
        assert_int_equal(pb_google_token_parse(pb_slice_of(bad[i]), now_ms, &credential, &error),
                         -1);
        assert_null(credential.bearer_token);
        assert_int_equal(error.kind, PB_ERROR_SERVER);
        assert_null(strstr(error.message, "hush"));
    }
}

static void impersonated_tokens_are_read(void **state)
{
    (void)state;
    pb_credential credential = {0};
    assert_int_equal(
        pb_google_impersonation_parse(
            PB_SLICE_LITERAL(
                "{\"accessToken\":\"ya29.y\",\"expireTime\":\"2023-11-14T22:13:20Z\"}"),
            &credential, NULL),
        0);
    assert_string_equal(credential.bearer_token, "ya29.y");
    assert_int_equal(credential.expires_ms, now_ms);
    pb_credential_clear(&credential);
    static const char *const bad[] = {
        "{\"accessToken\":\"hush\"}",
        "{\"accessToken\":\"hush\",\"expireTime\":\"tomorrow\"}",
        "{\"accessToken\":\"hush\",\"expireTime\":1700000000}",
        "{\"accessToken\":\"hu sh\",\"expireTime\":\"2023-11-14T22:13:20Z\"}",
        "{\"access_token\":\"hush\",\"expireTime\":\"2023-11-14T22:13:20Z\"}",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_error error = {0};
        assert_int_equal(pb_google_impersonation_parse(pb_slice_of(bad[i]), &credential, &error),
                         -1);
        assert_null(credential.bearer_token);
        assert_int_equal(error.kind, PB_ERROR_SERVER);
        assert_null(strstr(error.message, "hush"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_assertion_is_what_openssl_signs),
        cmocka_unit_test(forms_are_encoded),
        cmocka_unit_test(impersonation_is_asked_for),
        cmocka_unit_test(foreign_tokens_are_read),
        cmocka_unit_test(tokens_are_read_with_their_end),
        cmocka_unit_test(impersonated_tokens_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
