#include "copier/store/credentials/aws_login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum { SETTINGS_MAX = 8 };

typedef struct setting {
    const char *name, *value;
} setting;

static const char *look_up(void *context, const char *name)
{
    for (const setting *at = context; at->name; at++)
        if (strcmp(at->name, name) == 0)
            return at->value;
    return NULL;
}

static char credentials_path[64], config_path[64];

static void write_file(char path[64], const char *text)
{
    strcpy(path, "/tmp/pbcopy-credentials-XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
}

static int write_files(void **state)
{
    (void)state;
    write_file(credentials_path,
               "[default]\naws_access_key_id=FD\naws_secret_access_key=SD\n"
               "[both]\naws_access_key_id=FB\naws_secret_access_key=SB\naws_session_token=TB\n");
    write_file(config_path,
               "[default]\nregion=rd\n[profile both]\nregion=rb\nendpoint_url=http://both\n"
               "aws_access_key_id=not\naws_secret_access_key=these\n"
               "[profile config]\naws_access_key_id=FC\naws_secret_access_key=SC\n"
               "[profile empty]\nregion=re\n"
               "[profile role]\nrole_arn=arn:r\nsource_profile=both\nservices=s\n"
               "[profile chain]\nrole_arn=arn:c\nsource_profile=role\nduration_seconds=900\n"
               "[profile own]\nrole_arn=arn:o\nsource_profile=own\naws_access_key_id=FO\n"
               "aws_secret_access_key=SO\n"
               "[profile loop]\nrole_arn=arn:l\nsource_profile=pool\n"
               "[profile pool]\nrole_arn=arn:p\nsource_profile=loop\n"
               "[profile nowhere]\nrole_arn=arn:n\nsource_profile=missing\n"
               "[profile bare]\nrole_arn=arn:b\n"
               "[profile mfa]\nrole_arn=arn:b\nsource_profile=both\nmfa_serial=m\n"
               "[profile two]\nrole_arn=arn:b\nsource_profile=both\ncredential_source=Environment\n"
               "[profile token]\nrole_arn=arn:t\nweb_identity_token_file=/x\n"
               "[profile env]\nrole_arn=arn:e\ncredential_source=Environment\n"
               "[profile ec2]\nrole_arn=arn:e\ncredential_source=Ec2InstanceMetadata\n"
               "[profile odd]\nrole_arn=arn:e\ncredential_source=Elsewhere\n"
               "[profile long]\nrole_arn=arn:e\nsource_profile=both\nduration_seconds=1\n"
               "[profile process]\ncredential_process=/bin/x hunter2\n"
               "[profile sso]\nsso_session=s\nsso_account_id=1\nsso_role_name=r\n"
               "[profile legacy]\nsso_start_url=u\nsso_region=eu-west-1\nsso_account_id=1\n"
               "sso_role_name=r\n"
               "[profile half]\nsso_session=s\nsso_account_id=1\n"
               "[profile lost]\nsso_session=lost\nsso_account_id=1\nsso_role_name=r\n"
               "[profile login]\nlogin_session=x\n"
               "[profile alone]\nsource_profile=both\n"
               "[profile fips]\nuse_fips_endpoint=true\nuse_dualstack_endpoint=true\n"
               "[profile deaf]\nignore_configured_endpoint_urls=true\nendpoint_url=http://deaf\n"
               "[profile nos]\nservices=gone\n"
               "[sso-session s]\nsso_region=eu-west-1\nsso_start_url=u\n"
               "[services s]\ns3 =\n  endpoint_url = https://s3.example\n");
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(credentials_path);
    unlink(config_path);
    return 0;
}

#define FILES                                                                                      \
    {"AWS_SHARED_CREDENTIALS_FILE", credentials_path},                                             \
    {                                                                                              \
        "AWS_CONFIG_FILE", config_path                                                             \
    }
#define AWS                                                                                        \
    {"AWS_ACCESS_KEY_ID", "EA"},                                                                   \
    {                                                                                              \
        "AWS_SECRET_ACCESS_KEY", "ES"                                                              \
    }
#define ROLE                                                                                       \
    {"PBCOPY_SOURCE_ACCESS_KEY_ID", "RA"},                                                         \
    {                                                                                              \
        "PBCOPY_SOURCE_SECRET_ACCESS_KEY", "RS"                                                    \
    }
#define IRSA                                                                                       \
    {"AWS_WEB_IDENTITY_TOKEN_FILE", "/token"},                                                     \
    {                                                                                              \
        "AWS_ROLE_ARN", "arn:i"                                                                    \
    }
#define POD                                                                                        \
    {                                                                                              \
        "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/x"                               \
    }
#define NO_METADATA                                                                                \
    {                                                                                              \
        "AWS_EC2_METADATA_DISABLED", "true"                                                        \
    }

static int find(const char *role, const char *query, const setting *settings, pb_aws_login *login,
                pb_error *error)
{
    const pb_environment environment = {.variable = look_up, .context = (void *)settings};
    const pb_aws_login_options options = {.role = role, .environment = &environment};
    pb_location location;
    char url[256];
    snprintf(url, sizeof url, "s3://bucket%s", query);
    assert_int_equal(pb_location_parse(url, &location, NULL), 0);
    int failed = pb_aws_locate(&location, &environment, error) ||
                 pb_aws_login_find(&location, &options, login, error);
    pb_location_free(&location);
    return failed;
}

static void looks_in_order(void **state)
{
    (void)state;
    const struct {
        const char *role, *query;
        setting settings[SETTINGS_MAX];
        const char *identity, *region;
    } cases[] = {
        {"source", "", {FILES}, "key FD", "rd"},
        {"source", "", {FILES, AWS}, "key EA", "rd"},
        {"source", "", {FILES, AWS, ROLE}, "key RA", "rd"},
        {"destination", "", {FILES, AWS, ROLE}, "key EA", "rd"},
        {NULL, "", {AWS, ROLE}, "key EA", NULL},
        {"source", "?profile=both", {FILES, AWS, ROLE, {"AWS_REGION", "x"}}, "key FB", "rb"},
        {"source", "?profile=config", {FILES, {"AWS_REGION", "x"}}, "key FC", "x"},
        {"source", "", {FILES, {"AWS_PROFILE", "both"}}, "key FB", "rb"},
        {"source", "", {FILES, {"AWS_DEFAULT_PROFILE", "both"}}, "key FB", "rb"},
        {"source",
         "",
         {FILES, {"AWS_DEFAULT_PROFILE", "both"}, {"AWS_PROFILE", "config"}},
         "key FC",
         NULL},
        {"source", "", {FILES, {"AWS_PROFILE", ""}}, "key FD", "rd"},
        {NULL, "", {AWS, {"AWS_DEFAULT_REGION", "d"}}, "key EA", "d"},
        {NULL, "", {AWS, {"AWS_DEFAULT_REGION", "d"}, {"AWS_REGION", "r"}}, "key EA", "r"},
        {NULL, "", {FILES, IRSA}, "role arn:i (AWS_WEB_IDENTITY_TOKEN_FILE /token)", "rd"},
        {NULL, "", {AWS, IRSA}, "key EA", NULL},
        {NULL, "", {FILES, POD}, "key FD", "rd"},
        {NULL,
         "",
         {POD},
         "the agent at http://127.0.0.1:1/x (AWS_CONTAINER_CREDENTIALS_FULL_URI)",
         NULL},
        {NULL,
         "",
         {FILES, POD, {"AWS_PROFILE", "empty"}},
         "the agent at http://127.0.0.1:1/x (AWS_CONTAINER_CREDENTIALS_FULL_URI)",
         "re"},
        /* Nothing but an emulator is asked without a login. */
        {NULL, "?endpoint=http://127.0.0.1:1", {{0}}, "anonymous", NULL},
        {NULL, "?endpoint=http://[::1]:1", {{0}}, "anonymous", NULL},
        {NULL, "?endpoint=http://localhost", {{0}}, "anonymous", NULL},
        {NULL, "?endpoint=http://store.test:1", {{0}}, "anonymous", NULL},
        {NULL, "?endpoint=http://127.0.0.1:1", {FILES}, "key FD", "rd"},
        {NULL, "?anonymous=true", {FILES, AWS}, "anonymous", "rd"},
        /* Ways of profiles. */
        {NULL, "?profile=role", {FILES}, "profile role (role arn:r)", NULL},
        {NULL, "?profile=chain", {FILES}, "profile chain (role arn:c)", NULL},
        {NULL, "?profile=own", {FILES}, "profile own (role arn:o)", NULL},
        {NULL, "?profile=token", {FILES}, "profile token (role arn:t)", NULL},
        {NULL, "?profile=env", {FILES, AWS}, "profile env (role arn:e)", NULL},
        {NULL, "?profile=ec2", {FILES}, "profile ec2 (role arn:e)", NULL},
        {NULL, "?profile=process", {FILES}, "profile process (credential_process)", NULL},
        {NULL,
         "?profile=sso",
         {FILES, {"HOME", "/h"}},
         "profile sso (IAM Identity Center, role r)",
         NULL},
        {NULL,
         "?profile=legacy",
         {FILES, {"HOME", "/h"}},
         "profile legacy (IAM Identity Center, role r)",
         NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_aws_login login = {0};
        pb_error error = {0};
        if (find(cases[i].role, cases[i].query, cases[i].settings, &login, &error))
            fail_msg("case %zu: %s", i, error.message);
        if (strcmp(login.identity, cases[i].identity) != 0)
            fail_msg("case %zu: %s", i, login.identity);
        if (cases[i].region)
            assert_string_equal(login.region, cases[i].region);
        else
            assert_null(login.region);
        pb_aws_login_free(&login);
    }
}

static void refuses_what_is_incomplete(void **state)
{
    (void)state;
    const struct {
        const char *query;
        setting settings[SETTINGS_MAX];
        const char *says;
    } cases[] = {
        {"", {{"AWS_ACCESS_KEY_ID", "A"}}, "AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_K"},
        {"", {{"AWS_SECRET_ACCESS_KEY", "hunter2"}}, "AWS_SECRET_ACCESS_KEY is set, but not"},
        {"", {AWS, {"PBCOPY_SOURCE_ACCESS_KEY_ID", "A"}}, "PBCOPY_SOURCE_ACCESS_KEY_ID is set"},
        {"",
         {{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "hunter2\n"}},
         "AWS_SECRET_ACCESS_KEY holds"},
        {"", {AWS, {"AWS_REGION", "a b"}}, "AWS_REGION"},
        {"?profile=none", {FILES}, "no profile none in "},
        {"?profile=empty", {FILES}, "profile empty holds no login"},
        {"", {FILES, {"AWS_PROFILE", "none"}}, "no profile none in "},
        {"", {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/x"}}, "but not AWS_ROLE_ARN"},
        {"", {{"AWS_SHARED_CREDENTIALS_FILE", "/"}}, "/: "},
        {"?profile=loop", {FILES}, "goes round in a circle"},
        {"?profile=nowhere", {FILES}, "source_profile missing is missing"},
        {"?profile=bare", {FILES}, "role_arn without"},
        {"?profile=mfa", {FILES}, "mfa_serial is not supported"},
        {"?profile=two", {FILES}, "contradict"},
        {"?profile=env", {FILES}, "AWS_ACCESS_KEY_ID is not set"},
        {"?profile=ec2", {FILES, NO_METADATA}, "AWS_EC2_METADATA_DISABLED"},
        {"?profile=odd", {FILES}, "credential_source is neither"},
        {"?profile=long", {FILES}, "duration_seconds is 900 to 43200"},
        {"?profile=half", {FILES, {"HOME", "/h"}}, "go together"},
        {"?profile=lost", {FILES, {"HOME", "/h"}}, "no [sso-session lost]"},
        {"?profile=sso", {FILES}, "HOME is not set"},
        {"?profile=login", {FILES}, "login_session is not supported"},
        {"?profile=alone", {FILES}, "source_profile without role_arn"},
        {"?profile=nos", {FILES}, "no [services gone]"},
        {"", {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/"}}, "may be asked"},
        {"", {AWS, {"AWS_ENDPOINT_URL", "ftp://x"}}, "AWS_ENDPOINT_URL"},
        {"", {AWS, {"AWS_USE_FIPS_ENDPOINT", "maybe"}}, "neither true nor false"},
        {"", {AWS, {"AWS_CA_BUNDLE", "/nowhere"}}, "AWS_CA_BUNDLE /nowhere"},
        /* Without any, the places are told. */
        {"", {NO_METADATA, {"HOME", "/nonexistent"}}, "no login; looked at PBCOPY_SOURCE_ACCESS"},
        {"", {NO_METADATA, {"HOME", "/nonexistent"}}, "AWS_WEB_IDENTITY_TOKEN_FILE"},
        {"",
         {NO_METADATA, {"HOME", "/nonexistent"}},
         "default in /nonexistent/.aws/credentials or"},
        {"", {NO_METADATA, {"HOME", "/nonexistent"}}, "AWS_EC2_METADATA_DISABLED is true"},
        {"?endpoint=https://127.0.0.1:1", {{0}}, "the endpoint is not AWS's"},
        {"?endpoint=http://127.evil.example", {{0}}, "the endpoint is not AWS's"},
        {"?endpoint=http://localhost.example", {{0}}, "the endpoint is not AWS's"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_aws_login login = {0};
        pb_error error = {0};
        if (!find("source", cases[i].query, cases[i].settings, &login, &error))
            fail_msg("case %zu passes: %s", i, login.identity);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        if (!strstr(error.message, cases[i].says) || strstr(error.message, "hunter2"))
            fail_msg("case %zu: %s", i, error.message);
        assert_null(login.source);
    }
}

static void keys_that_are_given_go_before_the_environment(void **state)
{
    (void)state;
    const setting settings[] = {AWS, {0}};
    const pb_environment environment = {.variable = look_up, .context = (void *)settings};
    const pb_store_keys keys = {.access_key_id = "GA", .secret_access_key = "GS"};
    const pb_aws_login_options options = {.environment = &environment, .keys = &keys};
    pb_location location;
    pb_aws_login login = {0};
    assert_int_equal(pb_location_parse("s3://b", &location, NULL), 0);
    assert_int_equal(pb_aws_login_find(&location, &options, &login, NULL), 0);
    assert_string_equal(login.identity, "key GA");
    pb_aws_login_free(&login);
    pb_location_free(&location);
}

static void finds_endpoints(void **state)
{
    (void)state;
    const struct {
        const char *query;
        setting settings[SETTINGS_MAX];
        const char *endpoint;
        bool fips;
    } cases[] = {
        {"", {{0}}, NULL, false},
        {"?endpoint=a:1", {{"AWS_ENDPOINT_URL", "http://x"}}, "https://a:1", false},
        {"", {{"AWS_ENDPOINT_URL", "http://X:80/"}}, "http://x", false},
        {"",
         {{"AWS_ENDPOINT_URL", "http://x"}, {"AWS_ENDPOINT_URL_S3", "http://y"}},
         "http://y",
         false},
        {"",
         {{"AWS_ENDPOINT_URL", "http://x"}, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"}},
         NULL,
         false},
        {"", {FILES, {"AWS_PROFILE", "both"}}, "http://both", false},
        {"", {FILES, {"AWS_PROFILE", "role"}}, "https://s3.example", false},
        {"", {FILES, {"AWS_PROFILE", "both"}, {"AWS_ENDPOINT_URL", "http://x"}}, "http://x", false},
        /* A profile that the URL names goes before the environment. */
        {"?profile=both", {FILES, {"AWS_ENDPOINT_URL", "http://x"}}, "http://both", false},
        {"?profile=empty", {FILES, {"AWS_ENDPOINT_URL", "http://x"}}, "http://x", false},
        {"", {FILES, {"AWS_PROFILE", "deaf"}}, NULL, false},
        {"", {FILES, {"AWS_PROFILE", "fips"}}, NULL, true},
        {"?endpoint=a", {FILES, {"AWS_PROFILE", "fips"}}, "https://a", false},
        {"",
         {{"AWS_USE_FIPS_ENDPOINT", "True"}, {"AWS_USE_DUALSTACK_ENDPOINT", "true"}},
         NULL,
         true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const pb_environment environment = {.variable = look_up,
                                            .context = (void *)cases[i].settings};
        pb_location location;
        pb_error error = {0};
        char url[128];
        snprintf(url, sizeof url, "s3://bucket%s", cases[i].query);
        assert_int_equal(pb_location_parse(url, &location, NULL), 0);
        if (pb_aws_locate(&location, &environment, &error))
            fail_msg("case %zu: %s", i, error.message);
        if (cases[i].endpoint && !location.endpoint)
            fail_msg("case %zu: no endpoint", i);
        if (cases[i].endpoint)
            assert_string_equal(location.endpoint, cases[i].endpoint);
        else
            assert_null(location.endpoint);
        assert_int_equal(location.fips, cases[i].fips);
        assert_int_equal(location.dual_stack, cases[i].fips);
        pb_location_free(&location);
    }
}

/* A server that is not there is found out about in a second. */
static void a_missing_metadata_server_is_told_soon(void **state)
{
    (void)state;
    const setting settings[] = {
        {"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1"}, {"HOME", "/nonexistent"}, {0}};
    pb_aws_login login = {0};
    pb_error error = {0};
    int64_t begun_ms = pb_clock_monotonic_ms();
    assert_int_not_equal(find(NULL, "", settings, &login, &error), 0);
    assert_true(pb_clock_monotonic_ms() - begun_ms < 3000);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(
        strstr(error.message, "the metadata server, which does not answer: http://127.0.0.1:1"));
    assert_non_null(strstr(error.hint, "anonymous=true"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_in_order),
        cmocka_unit_test(refuses_what_is_incomplete),
        cmocka_unit_test(keys_that_are_given_go_before_the_environment),
        cmocka_unit_test(finds_endpoints),
        cmocka_unit_test(a_missing_metadata_server_is_told_soon),
    };
    return cmocka_run_group_tests(tests, write_files, remove_files);
}
