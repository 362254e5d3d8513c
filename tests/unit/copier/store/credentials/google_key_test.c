#include "copier/store/credentials/google_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "tests/support/data_file.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define TARGET "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
#define USER                                                                                       \
    "{'type':'authorized_user','client_id':'id.apps','client_secret':'hush-secret',"               \
    "'refresh_token':'hush-refresh'}"
#define EXTERNAL_START                                                                             \
    "{'type':'external_account','audience':'//iam.googleapis.com/p','subject_token_type':"         \
    "'urn:ietf:params:oauth:token-type:jwt','token_url':'https://sts.googleapis.com/v1/token',"

/* Single quotes become double ones. */
static char *quoted(const char *text)
{
    char *copy = pb_duplicate(pb_slice_of(text));
    for (char *c = copy; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    return copy;
}

static pb_google_key *parse(const char *text)
{
    char *json = quoted(text);
    pb_google_key *key = NULL;
    pb_error error = {0};
    if (pb_google_key_parse(pb_slice_of(json), "key.json", &key, &error))
        fail_msg("%s: %s", text, error.message);
    free(json);
    return key;
}

static char *service_account_json(const char *more)
{
    char *pem = read_data_file("google/private_key.pem");
    pb_buffer json = {0};
    pb_buffer_append_text(&json, "{\"type\":\"service_account\",\"client_email\":\"a@b.c\","
                                 "\"private_key\":");
    pb_json_append_string(&json, pb_slice_of(pem));
    pb_buffer_append_text(&json, more);
    pb_buffer_append_char(&json, '}');
    free(pem);
    return json.data;
}

static void assert_description(const pb_google_key *key, const char *expected)
{
    char *text = pb_google_key_describe(key);
    assert_string_equal(text, expected);
    free(text);
}

static void a_service_account_is_read(void **state)
{
    (void)state;
    char *json = service_account_json(",\"private_key_id\":\"0123\",\"project_id\":\"p\","
                                      "\"universe_domain\":\"googleapis.com\",\"future\":[]");
    pb_google_key *key = parse(json);
    assert_int_equal(key->kind, PB_GOOGLE_SERVICE_ACCOUNT);
    assert_string_equal(key->client_email, "a@b.c");
    assert_string_equal(key->private_key_id, "0123");
    assert_string_equal(key->token_url, "https://oauth2.googleapis.com/token");
    assert_non_null(key->private_key);
    assert_true(pb_google_key_is_secret(key));
    assert_description(key, "service account a@b.c");
    pb_google_key_free(key);
    free(json);
}

static void an_authorized_user_is_read(void **state)
{
    (void)state;
    pb_google_key *key = parse(USER);
    assert_int_equal(key->kind, PB_GOOGLE_AUTHORIZED_USER);
    assert_string_equal(key->client_id, "id.apps");
    assert_string_equal(key->client_secret, "hush-secret");
    assert_string_equal(key->refresh_token, "hush-refresh");
    assert_string_equal(key->token_url, "https://oauth2.googleapis.com/token");
    assert_description(key, "user of the client id.apps");
    pb_google_key_free(key);
}

static void external_accounts_are_read(void **state)
{
    (void)state;
    pb_google_key *key = parse(EXTERNAL_START "'credential_source':{'file':'/var/run/token'}}");
    assert_int_equal(key->kind, PB_GOOGLE_EXTERNAL_ACCOUNT);
    assert_string_equal(key->audience, "//iam.googleapis.com/p");
    assert_string_equal(key->subject.file, "/var/run/token");
    assert_null(key->subject.url);
    assert_null(key->subject.token_field);
    assert_null(key->impersonation_url);
    assert_false(pb_google_key_is_secret(key));
    assert_description(key, "external account of //iam.googleapis.com/p");
    pb_google_key_free(key);

    key = parse(EXTERNAL_START
                "'service_account_impersonation_url':'" TARGET "x@y.z:generateAccessToken',"
                "'service_account_impersonation':{'token_lifetime_seconds':600},"
                "'client_id':'c','client_secret':'hush','workforce_pool_user_project':'77',"
                "'credential_source':{'url':'http://169.254.169.254/metadata?x=1',"
                "'headers':{'Metadata':'True','X-Key':'hush'},"
                "'format':{'type':'json','subject_token_field_name':'access_token'}}}");
    assert_string_equal(key->subject.url, "http://169.254.169.254/metadata?x=1");
    assert_string_equal(key->subject.token_field, "access_token");
    assert_string_equal(key->subject.headers[0], "Metadata: True");
    assert_string_equal(key->subject.headers[1], "X-Key: hush");
    assert_null(key->subject.headers[2]);
    assert_int_equal(key->lifetime_s, 600);
    assert_string_equal(key->workforce_project, "77");
    assert_true(pb_google_key_is_secret(key));
    assert_description(key, "external account of //iam.googleapis.com/p as service account x@y.z");
    pb_google_key_free(key);

    /* null is as good as missing. */
    key = parse(EXTERNAL_START
                "'service_account_impersonation_url':null,'service_account_impersonation':null,"
                "'client_id':null,'credential_source':{'file':'/t','url':null,'headers':null,"
                "'format':null,'environment_id':null,'executable':null}}");
    assert_string_equal(key->subject.file, "/t");
    assert_int_equal(key->lifetime_s, 3600);
    pb_google_key_free(key);
}

static void impersonation_is_read(void **state)
{
    (void)state;
    pb_google_key *key =
        parse("{'type':'impersonated_service_account',"
              "'service_account_impersonation_url':'" TARGET "x@y.z:generateAccessToken',"
              "'delegates':['d1','d2'],'source_credentials':" USER "}");
    assert_int_equal(key->kind, PB_GOOGLE_IMPERSONATED);
    assert_string_equal(key->delegates[0], "d1");
    assert_string_equal(key->delegates[1], "d2");
    assert_null(key->delegates[2]);
    assert_int_equal(key->lifetime_s, 3600);
    assert_int_equal(key->source->kind, PB_GOOGLE_AUTHORIZED_USER);
    assert_true(pb_google_key_is_secret(key));
    assert_description(key, "user of the client id.apps as service account x@y.z");
    pb_google_key_free(key);
}

static void refuse(pb_slice json, const char *part)
{
    pb_google_key *key = NULL;
    pb_error error = {0};
    if (!pb_google_key_parse(json, "key.json", &key, &error))
        fail_msg("taken: %.*s", PB_SLICE_FORMAT(json));
    assert_null(key);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    if (!strstr(error.message, part) || !strstr(error.message, "key.json"))
        fail_msg("%.*s: %s", PB_SLICE_FORMAT(json), error.message);
    assert_null(strstr(error.message, "hush"));
    assert_null(strstr(error.hint, "hush"));
}

static void wrong_files_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *json, *part;
    } bad[] = {
        {"", "not valid JSON"},
        {"{'type':'service_account','private_key':'hush", "not valid JSON: line 1, column"},
        {"['hush']", "not a JSON object"},
        {"{}", "\"type\" is missing"},
        {"{'type':7}", "\"type\" is not a string"},
        {"{'installed':{'client_secret':'hush'}}", "OAuth client"},
        {"{'type':'gdch_service_account'}", "gdch_service_account"},
        {"{'type':'external_account_authorized_user','refresh_token':'hush'}",
         "external_account_authorized_user"},
        {"{'type':'service_account'}", "\"client_email\" is missing"},
        {"{'type':'service_account','client_email':''}", "\"client_email\" is empty"},
        {"{'type':'service_account','client_email':'a'}", "\"private_key\" is missing"},
        {"{'type':'service_account','client_email':'a','private_key':'hush'}",
         "\"private_key\": not a private key"},
        {"{'type':'service_account','client_email':'a','private_key':'hush','token_uri':"
         "'http://oauth2.googleapis.com/hush'}",
         "\"token_uri\" is not a URL of https"},
        {"{'type':'service_account','universe_domain':'hush.example'}", "\"universe_domain\""},
        {"{'type':'authorized_user','client_id':'a','client_secret':'hush'}",
         "\"refresh_token\" is missing"},
        {"{'type':'authorized_user','client_id':'a','client_secret':['hush']}",
         "\"client_secret\" is not a string"},
        {EXTERNAL_START "'x':1}", "\"credential_source\" is missing"},
        {EXTERNAL_START "'credential_source':[]}", "\"credential_source\" is not an object"},
        {EXTERNAL_START "'credential_source':{}}", "either a file or a URL"},
        {EXTERNAL_START "'credential_source':{'file':'a','url':'https://b/'}}", "either a file"},
        {EXTERNAL_START "'credential_source':{'environment_id':'aws1'}}", "tokens of AWS"},
        {EXTERNAL_START "'credential_source':{'executable':{'command':'hush'}}}", "an executable"},
        {EXTERNAL_START "'credential_source':{'certificate':{}}}", "X.509"},
        {EXTERNAL_START "'credential_source':{'url':'http://10.0.0.1/'}}", "\"url\" is not a URL"},
        {EXTERNAL_START
         "'credential_source':{'url':'https://b/','headers':{'A':'hush\\r\\nB: c'}}}",
         "\"headers\" holds what is no header"},
        {EXTERNAL_START "'credential_source':{'url':'https://b/','headers':{'A B':'hush'}}}",
         "\"headers\" holds what is no header"},
        {EXTERNAL_START "'credential_source':{'url':'https://b/','headers':{'A':7}}}",
         "\"headers\" holds"},
        {EXTERNAL_START "'credential_source':{'url':'https://b/','headers':{'a':'','b':'','c':'',"
                        "'d':'','e':'','f':'','g':'','h':'','i':''}}}",
         "\"headers\" is not"},
        {EXTERNAL_START "'credential_source':{'file':'a','format':{'type':'xml'}}}",
         "\"type\" is neither"},
        {EXTERNAL_START "'credential_source':{'file':'a','format':{'type':'json'}}}",
         "\"subject_token_field_name\" is missing"},
        {EXTERNAL_START "'client_id':'c','credential_source':{'file':'a'}}", "\"client_id\" and"},
        {EXTERNAL_START "'credential_source':{'file':'a'},'service_account_impersonation_url':"
                        "'" TARGET "x:signJwt'}",
         "does not end in :generateAccessToken"},
        {EXTERNAL_START "'credential_source':{'file':'a'},'service_account_impersonation':"
                        "{'token_lifetime_seconds':60}}",
         "\"token_lifetime_seconds\""},
        {EXTERNAL_START "'credential_source':{'file':'a'},'service_account_impersonation':"
                        "{'token_lifetime_seconds':-1}}",
         "\"token_lifetime_seconds\""},
        {"{'type':'impersonated_service_account','source_credentials':" USER "}",
         "\"service_account_impersonation_url\" is missing"},
        {"{'type':'impersonated_service_account','service_account_impersonation_url':'" TARGET
         "x:generateAccessToken'}",
         "\"source_credentials\" is missing"},
        {"{'type':'impersonated_service_account','service_account_impersonation_url':'" TARGET
         "x:generateAccessToken','delegates':[7],'source_credentials':" USER "}",
         "\"delegates\" holds"},
        {"{'type':'impersonated_service_account','service_account_impersonation_url':'" TARGET
         "x:generateAccessToken','source_credentials':{'type':'impersonated_service_account'}}",
         "impersonation within impersonation"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        char *json = quoted(bad[i].json);
        refuse(pb_slice_of(json), bad[i].part);
        free(json);
    }
}

static void huge_and_nested_files_are_refused(void **state)
{
    (void)state;
    enum { SIZE = 1024 * 1024 };
    char *nested = pb_allocate(SIZE);
    memset(nested, '[', SIZE);
    memcpy(nested, "{\"a\":", 5);
    refuse((pb_slice){nested, SIZE}, "more than 256 KiB");
    refuse((pb_slice){nested, PB_GOOGLE_KEY_BYTES_MAX}, "not valid JSON");
    free(nested);
    /* Cut anywhere, it is refused and nothing leaks. */
    char *json = service_account_json(",\"private_key_id\":\"0123\"");
    for (size_t size = strlen(json) - 1; size; size -= size > 50 ? 50 : 1)
        refuse((pb_slice){json, size}, "not valid JSON");
    free(json);
}

static void urls_are_held_to_the_rule(void **state)
{
    (void)state;
    static const char *const always[] = {
        "https://sts.googleapis.com/v1/token",
        "https://sts.googleapis.com",
        "https://h:443/x?y=z",
        "http://127.0.0.1:8080/token",
        "http://127.0.0.9/",
        "http://localhost:1/",
        "http://LOCALHOST/",
        "http://[::1]:9/x",
        "https://[2001:db8::1]/",
    };
    static const char *const never[] = {
        "",
        "https://",
        "https:///x",
        "https://:443/",
        "https://h:/",
        "https://h:0/",
        "https://h:65536/",
        "https://h:1x/",
        "https://u@h/",
        "https://u:p@h/",
        "https://h\\@g/",
        "https://h/#x",
        "https://h/a b",
        "https://h/\n",
        "https://h/\xc3\xa9",
        "HTTPS://h/",
        "ftp://h/",
        "file:///etc/passwd",
        "http://h/",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://0/",
        "http://10.0.0.1/",
        "http://[::2]/",
        "http://[::1/",
        "http://[::1]x/",
        "http://128.0.0.1/",
        "http://169.253.1.1/",
        "http://[fe80::1]/",
        "https://h%2eexample/",
    };
    for (size_t i = 0; i < COUNT(always); i++) {
        assert_true(pb_google_url_is_allowed(always[i], PB_GOOGLE_URL_ENDPOINT));
        assert_true(pb_google_url_is_allowed(always[i], PB_GOOGLE_URL_SUBJECT));
    }
    for (size_t i = 0; i < COUNT(never); i++) {
        if (pb_google_url_is_allowed(never[i], PB_GOOGLE_URL_ENDPOINT) ||
            pb_google_url_is_allowed(never[i], PB_GOOGLE_URL_SUBJECT))
            fail_msg("allowed: %s", never[i]);
    }
    assert_true(pb_google_url_is_allowed("http://169.254.169.254/x", PB_GOOGLE_URL_SUBJECT));
    assert_false(pb_google_url_is_allowed("http://169.254.169.254/x", PB_GOOGLE_URL_ENDPOINT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_account_is_read),
        cmocka_unit_test(an_authorized_user_is_read),
        cmocka_unit_test(external_accounts_are_read),
        cmocka_unit_test(impersonation_is_read),
        cmocka_unit_test(wrong_files_are_refused_by_name),
        cmocka_unit_test(huge_and_nested_files_are_refused),
        cmocka_unit_test(urls_are_held_to_the_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
