#include "copier/store/s3/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* ---- one file ---- */

typedef struct expected {
    const char *key_id, *secret, *token, *region;
} expected;

static void check(const pb_s3_credentials *got, expected wanted)
{
    const char *texts[4][2] = {{got->access_key_id, wanted.key_id},
                               {got->secret_access_key, wanted.secret},
                               {got->session_token, wanted.token},
                               {got->region, wanted.region}};
    for (int i = 0; i < 4; i++) {
        if (texts[i][1] && !texts[i][0])
            fail_msg("%s is missing", texts[i][1]);
        if (texts[i][1])
            assert_string_equal(texts[i][0], texts[i][1]);
        else
            assert_null(texts[i][0]);
    }
}

static void reads_profiles(void **state)
{
    (void)state;
    static const struct {
        pb_s3_file_kind kind;
        const char *profile, *text;
        bool found;
        expected wanted;
    } cases[] = {
        {PB_S3_FILE_CREDENTIALS, "default", "", false, {0}},
        {PB_S3_FILE_CREDENTIALS,
         "default",
         "[default]\naws_access_key_id=A\naws_secret_access_key=S",
         true,
         {"A", "S", NULL, NULL}},
        {PB_S3_FILE_CREDENTIALS,
         "x",
         "\xef\xbb\xbf# comment\r\n; another\r\n\r\n[default]\r\naws_access_key_id = A\r\n"
         "[x]  # mine\r\n  AWS_Access_Key_Id\t= B\t# id\r\n  aws_secret_access_key = S/+=#x ;\r\n"
         "  aws_session_token = T==\r\n  region = eu-west-1\r\n",
         true,
         {"B", "S/+=#x", "T==", "eu-west-1"}},
        {PB_S3_FILE_CONFIG,
         "x y",
         "[default]\nregion=a\n[profile \"x y\"]\nregion=b\ns3 =\n  region = c\n"
         "  max_concurrent_requests = 20\n[x y]\nregion=d\n[sso-session x y]\nregion=e\n",
         true,
         {NULL, NULL, NULL, "b"}},
        {PB_S3_FILE_CONFIG,
         "default",
         "[profile default]\nregion=a\n",
         true,
         {NULL, NULL, NULL, "a"}},
        {PB_S3_FILE_CONFIG,
         "default",
         "[default]\nregion=a\n[default]\nregion=b",
         true,
         {NULL, NULL, NULL, "b"}},
        {PB_S3_FILE_CREDENTIALS, "x", "[profile x]\nregion=a\n", false, {0}},
        /* Another profile's mistakes are its own. */
        {PB_S3_FILE_CREDENTIALS,
         "x",
         "[y]\nnonsense\ncredential_process=z\n[x]\naws_access_key_id=A\n"
         "aws_secret_access_key=S\naws_session_token=\n",
         true,
         {"A", "S", NULL, NULL}},
        /* Keys that are there are used, whatever else is. */
        {PB_S3_FILE_CREDENTIALS,
         "x",
         "[x]\nsource_profile=y\naws_access_key_id=A\naws_secret_access_key=S",
         true,
         {"A", "S", NULL, NULL}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_s3_credentials credentials = {0};
        pb_error error = {0};
        bool found = false;
        if (pb_s3_profile_read(pb_slice_of(cases[i].text), "FILE", cases[i].kind, cases[i].profile,
                               &credentials, &found, &error))
            fail_msg("case %zu: %s", i, error.message);
        assert_int_equal(found, cases[i].found);
        check(&credentials, cases[i].wanted);
        pb_s3_credentials_free(&credentials);
    }
}

static void names_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[x]\nnonsense", "FILE:2: "},
        {"[x\n", "FILE:1: "},
        {"# a\n\n[x]\naws_access_key_id = A\n", "FILE:4: aws_access_key_id without aws_secret"},
        {"[x]\naws_secret_access_key = hunter2\n", "FILE:2: aws_secret_access_key without"},
        {"[x]\ncredential_process = /bin/x\n", "FILE:2: profile x uses credential_process"},
        {"[x]\nregion = a\nsso_session = y\n", "FILE:3: profile x uses sso_session"},
        {"[x]\nrole_arn = a\nsource_profile = y\n", "FILE:3: profile x uses source_profile"},
        {"[x]\naws_access_key_id = A\naws_secret_access_key = hunter2 hunter2\n", "FILE:3: "},
        {"[x]\naws_access_key_id =\naws_secret_access_key = hunter2\n", "FILE:2: "},
        {"[x]\nregion = a b\n", "FILE:2: region"},
        {"[x]\nregion = a.evil.example/\n", "FILE:2: region"},
        {"[x]\naws_access_key_id = A\x01\naws_secret_access_key = S\n", "FILE:2: "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_s3_credentials credentials = {0};
        pb_error error = {0};
        bool found = false;
        assert_int_equal(pb_s3_profile_read(pb_slice_of(cases[i].text), "FILE",
                                            PB_S3_FILE_CREDENTIALS, "x", &credentials, &found,
                                            &error),
                         -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        if (!strstr(error.message, cases[i].says) || strstr(error.message, "hunter2"))
            fail_msg("case %zu: %s", i, error.message);
        pb_s3_credentials_free(&credentials);
    }
    pb_s3_credentials credentials = {0};
    bool found;
    assert_int_equal(pb_s3_profile_read((pb_slice){"[x]\na\0=b", 9}, "FILE", PB_S3_FILE_CREDENTIALS,
                                        "x", &credentials, &found, NULL),
                     -1);
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
        pb_s3_credentials credentials = {0};
        bool found;
        pb_s3_profile_read((pb_slice){text, size}, "FILE", (pb_s3_file_kind)(round & 1), "x",
                           &credentials, &found, NULL);
        pb_s3_credentials_free(&credentials);
        free(text);
    }
}

/* ---- where to look ---- */

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
    write_file(config_path, "[default]\nregion=rd\n[profile both]\nregion=rb\n"
                            "aws_access_key_id=not\naws_secret_access_key=these\n"
                            "[profile config]\naws_access_key_id=FC\naws_secret_access_key=SC\n"
                            "[profile empty]\nregion=re\n[profile sso]\nsso_session=x\n");
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(credentials_path);
    unlink(config_path);
    return 0;
}

enum { SETTINGS_MAX = 8 };

static void looks_in_order(void **state)
{
    (void)state;
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
    const struct {
        const char *role, *profile;
        setting settings[SETTINGS_MAX];
        expected wanted;
    } cases[] = {
        {NULL, NULL, {{0}}, {0}},
        {"source", NULL, {FILES}, {"FD", "SD", NULL, "rd"}},
        {"source", NULL, {FILES, AWS}, {"EA", "ES", NULL, "rd"}},
        {"source", NULL, {FILES, AWS, ROLE}, {"RA", "RS", NULL, "rd"}},
        {"destination", NULL, {FILES, AWS, ROLE}, {"EA", "ES", NULL, "rd"}},
        {NULL, NULL, {AWS, ROLE}, {"EA", "ES", NULL, NULL}},
        {"source", "both", {FILES, AWS, ROLE, {"AWS_REGION", "x"}}, {"FB", "SB", "TB", "rb"}},
        {"source", "config", {FILES, {"AWS_REGION", "x"}}, {"FC", "SC", NULL, "x"}},
        {"source", NULL, {FILES, {"AWS_PROFILE", "both"}}, {"FB", "SB", "TB", "rb"}},
        {"source", NULL, {FILES, {"AWS_PROFILE", ""}}, {"FD", "SD", NULL, "rd"}},
        {"source", NULL, {AWS, {"AWS_SESSION_TOKEN", "ET"}}, {"EA", "ES", "ET", NULL}},
        {"source",
         NULL,
         {ROLE, {"PBCOPY_SOURCE_SESSION_TOKEN", "RT"}, {"AWS_SESSION_TOKEN", "ET"}},
         {"RA", "RS", "RT", NULL}},
        {NULL, NULL, {AWS, {"AWS_DEFAULT_REGION", "d"}}, {"EA", "ES", NULL, "d"}},
        {NULL,
         NULL,
         {AWS, {"AWS_DEFAULT_REGION", "d"}, {"AWS_REGION", "r"}},
         {"EA", "ES", NULL, "r"}},
        {NULL, NULL, {{"HOME", "/nonexistent"}}, {0}},
        {NULL, NULL, {FILES, {"AWS_PROFILE", "empty"}}, {NULL, NULL, NULL, "re"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_s3_credentials credentials;
        pb_error error = {0};
        if (pb_s3_credentials_find(cases[i].role, NULL, cases[i].profile, look_up,
                                   (void *)cases[i].settings, &credentials, &error))
            fail_msg("case %zu: %s", i, error.message);
        check(&credentials, cases[i].wanted);
        pb_s3_credentials_free(&credentials);
    }
}

static void refuses_half_of_it(void **state)
{
    (void)state;
    const struct {
        const char *profile;
        setting settings[SETTINGS_MAX];
        const char *says;
    } cases[] = {
        {NULL,
         {{"AWS_ACCESS_KEY_ID", "A"}},
         "AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY"},
        {NULL, {{"AWS_SECRET_ACCESS_KEY", "hunter2"}}, "AWS_SECRET_ACCESS_KEY is set, but not"},
        {NULL, {AWS, {"PBCOPY_SOURCE_ACCESS_KEY_ID", "A"}}, "PBCOPY_SOURCE_ACCESS_KEY_ID is set"},
        {NULL,
         {{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "hunter2\n"}},
         "AWS_SECRET_ACCESS_KEY holds"},
        {NULL, {AWS, {"AWS_REGION", "a b"}}, "AWS_REGION"},
        {"none", {FILES}, "no profile none in "},
        {"empty", {FILES}, "profile empty holds no keys"},
        {"sso", {FILES}, "uses sso_session"},
        {NULL, {FILES, {"AWS_PROFILE", "none"}}, "no profile none in "},
        {NULL, {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/x"}}, "AWS_WEB_IDENTITY_TOKEN_FILE"},
        {NULL, {{"AWS_SHARED_CREDENTIALS_FILE", "/"}}, "/: "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_s3_credentials credentials;
        pb_error error = {0};
        assert_int_equal(pb_s3_credentials_find("source", NULL, cases[i].profile, look_up,
                                                (void *)cases[i].settings, &credentials, &error),
                         -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        if (!strstr(error.message, cases[i].says) || strstr(error.message, "hunter2"))
            fail_msg("case %zu: %s", i, error.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_profiles),
        cmocka_unit_test(names_file_and_line),
        cmocka_unit_test(bears_any_bytes),
        cmocka_unit_test_setup_teardown(looks_in_order, write_files, remove_files),
        cmocka_unit_test_setup_teardown(refuses_half_of_it, write_files, remove_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
