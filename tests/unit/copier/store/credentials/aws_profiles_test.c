#include "copier/store/credentials/aws_profiles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

typedef struct expected {
    const char *key_id, *secret, *token, *region;
} expected;

static void check_text(const char *got, const char *wanted)
{
    if (wanted && !got)
        fail_msg("%s is missing", wanted);
    if (wanted)
        assert_string_equal(got, wanted);
    else
        assert_null(got);
}

static void reads_profiles(void **state)
{
    (void)state;
    static const struct {
        pb_aws_file_kind kind;
        const char *profile, *text;
        bool found;
        expected wanted;
    } cases[] = {
        {PB_AWS_FILE_CREDENTIALS, "default", "", false, {0}},
        {PB_AWS_FILE_CREDENTIALS,
         "default",
         "[default]\naws_access_key_id=A\naws_secret_access_key=S",
         true,
         {"A", "S", NULL, NULL}},
        {PB_AWS_FILE_CREDENTIALS,
         "x",
         "\xef\xbb\xbf# comment\r\n; another\r\n\r\n[default]\r\naws_access_key_id = A\r\n"
         "[x]  # mine\r\n  AWS_Access_Key_Id\t= B\t# id\r\n  aws_secret_access_key = S/+=#x ;\r\n"
         "  aws_session_token = T==\r\n  region = eu-west-1\r\n",
         true,
         {"B", "S/+=#x", "T==", "eu-west-1"}},
        {PB_AWS_FILE_CONFIG,
         "x y",
         "[default]\nregion=a\n[profile \"x y\"]\nregion=b\ns3 =\n  region = c\n"
         "  max_concurrent_requests = 20\n[x y]\nregion=d\n[sso-session x y]\nregion=e\n",
         true,
         {NULL, NULL, NULL, "b"}},
        {PB_AWS_FILE_CONFIG,
         "default",
         "[profile default]\nregion=a\n",
         true,
         {NULL, NULL, NULL, "a"}},
        {PB_AWS_FILE_CONFIG,
         "default",
         "[default]\nregion=a\n[default]\nregion=b",
         true,
         {NULL, NULL, NULL, "b"}},
        {PB_AWS_FILE_CREDENTIALS, "x", "[profile x]\nregion=a\n", false, {0}},
        /* Another profile's mistakes are its own. */
        {PB_AWS_FILE_CREDENTIALS,
         "x",
         "[y]\nnonsense\ncredential_process=z\n[x]\naws_access_key_id=A\n"
         "aws_secret_access_key=S\naws_session_token=\n",
         true,
         {"A", "S", NULL, NULL}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_aws_profiles *profiles = pb_aws_profiles_new();
        const pb_aws_section *section = NULL;
        pb_credential keys = {0};
        pb_error error = {0};
        bool found = false;
        char *region = NULL;
        if (pb_aws_profiles_add(profiles, pb_slice_of(cases[i].text), "FILE", cases[i].kind,
                                &error) ||
            pb_aws_profiles_find(profiles, PB_AWS_SECTION_PROFILE, cases[i].profile, &section,
                                 &error) ||
            pb_aws_section_keys(section, &keys, &found, &error) ||
            pb_aws_section_text(section, NULL, "region", true, &region, &error))
            fail_msg("case %zu: %s", i, error.message);
        assert_int_equal(section != NULL, cases[i].found);
        assert_int_equal(found, cases[i].wanted.key_id != NULL);
        check_text(keys.access_key_id, cases[i].wanted.key_id);
        check_text(keys.secret_access_key, cases[i].wanted.secret);
        check_text(keys.session_token, cases[i].wanted.token);
        check_text(region, cases[i].wanted.region);
        pb_credential_clear(&keys);
        free(region);
        pb_aws_profiles_free(profiles);
    }
}

static void reads_two_files_and_what_is_nested(void **state)
{
    (void)state;
    static const char credentials[] = "[x]\naws_access_key_id=A\naws_secret_access_key=S\n";
    static const char config[] =
        "[profile x]\naws_access_key_id=not\naws_secret_access_key=these\naws_session_token=nor\n"
        "services = here\ns3 =\n  addressing_style = path\nregion = r\n"
        "[services here]\ns3 =\n  endpoint_url = http://s3\nsts =\n  endpoint_url = http://sts\n"
        "[sso-session mine]\nsso_region = q\n";
    pb_aws_profiles *profiles = pb_aws_profiles_new();
    const pb_aws_section *section, *services, *session, *none;
    pb_credential keys;
    bool found;
    assert_int_equal(pb_aws_profiles_add(profiles, pb_slice_of(credentials), "CREDENTIALS",
                                         PB_AWS_FILE_CREDENTIALS, NULL),
                     0);
    assert_int_equal(
        pb_aws_profiles_add(profiles, pb_slice_of(config), "CONFIG", PB_AWS_FILE_CONFIG, NULL), 0);
    assert_int_equal(pb_aws_profiles_find(profiles, PB_AWS_SECTION_PROFILE, "x", &section, NULL),
                     0);
    assert_int_equal(pb_aws_section_keys(section, &keys, &found, NULL), 0);
    assert_true(found);
    assert_string_equal(keys.access_key_id, "A");
    assert_null(keys.session_token); /* it belongs to the other pair */
    pb_credential_clear(&keys);
    assert_int_equal(
        pb_aws_profiles_find(profiles, PB_AWS_SECTION_SERVICES, "here", &services, NULL), 0);
    const pb_aws_setting *setting = pb_aws_section_find(services, "STS", "endpoint_url");
    assert_non_null(setting);
    assert_true(pb_slice_equal(setting->value, PB_SLICE_LITERAL("http://sts")));
    assert_string_equal(setting->file, "CONFIG");
    assert_int_equal(setting->line, 13);
    assert_null(pb_aws_section_find(services, NULL, "endpoint_url"));
    assert_null(pb_aws_section_find(section, NULL, "addressing_style"));
    assert_non_null(pb_aws_section_find(section, "s3", "addressing_style"));
    assert_int_equal(
        pb_aws_profiles_find(profiles, PB_AWS_SECTION_SSO_SESSION, "mine", &session, NULL), 0);
    assert_non_null(pb_aws_section_find(session, NULL, "sso_region"));
    assert_int_equal(pb_aws_profiles_find(profiles, PB_AWS_SECTION_SSO_SESSION, "x", &none, NULL),
                     0);
    assert_null(none);
    pb_aws_profiles_free(profiles);
}

static int read_all(const char *text, size_t size, pb_error *error)
{
    pb_aws_profiles *profiles = pb_aws_profiles_new();
    const pb_aws_section *section = NULL;
    pb_credential keys = {0};
    bool found;
    char *region = NULL;
    int failed = pb_aws_profiles_add(profiles, (pb_slice){text, size}, "FILE",
                                     PB_AWS_FILE_CREDENTIALS, error) ||
                 pb_aws_profiles_find(profiles, PB_AWS_SECTION_PROFILE, "x", &section, error) ||
                 pb_aws_section_keys(section, &keys, &found, error) ||
                 pb_aws_section_text(section, NULL, "region", true, &region, error);
    pb_credential_clear(&keys);
    free(region);
    pb_aws_profiles_free(profiles);
    return failed;
}

static void names_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[x]\nnonsense", "FILE:2: neither"},
        {"[x\n", "FILE:1: "},
        {"# a\n\n[x]\naws_access_key_id = A\n", "FILE:4: aws_access_key_id without aws_secret"},
        {"[x]\naws_secret_access_key = hunter2\n", "FILE:2: aws_secret_access_key without"},
        {"[x]\naws_access_key_id = A\naws_secret_access_key = hunter2 hunter2\n", "FILE:3: "},
        {"[x]\naws_access_key_id =\naws_secret_access_key = hunter2\n", "FILE:2: "},
        {"[x]\nregion = a b\n", "FILE:2: region"},
        {"[x]\naws_access_key_id = A\x01\naws_secret_access_key = S\n", "FILE:2: "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_error error = {0};
        if (!read_all(cases[i].text, strlen(cases[i].text), &error))
            fail_msg("case %zu passes", i);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        if (!strstr(error.message, cases[i].says) || strstr(error.message, "hunter2"))
            fail_msg("case %zu: %s", i, error.message);
    }
    assert_true(read_all("[x]\na\0=b", 9, NULL));
}

static void bears_any_bytes(void **state)
{
    (void)state;
    static const char whole[] = "[x]\n aws_access_key_id = A # c\n aws_secret_access_key = S\n"
                                "region=r\ns3 =\n  a = b\n[profile x]\nsso_session = y\n";
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        size_t size = round % sizeof whole;
        char *text = malloc(size ? size : 1);
        assert_non_null(text);
        memcpy(text, whole, size);
        random = random * 1664525u + 1013904223u;
        if (size)
            text[(random >> 8) % size] = (char)(random >> 24);
        read_all(text, size, NULL);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_profiles),
        cmocka_unit_test(reads_two_files_and_what_is_nested),
        cmocka_unit_test(names_file_and_line),
        cmocka_unit_test(bears_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
