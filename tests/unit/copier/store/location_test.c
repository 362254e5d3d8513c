#include "copier/store/location.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static pb_location parsed(const char *text)
{
    pb_location location = {0};
    pb_error error = {0};
    if (pb_location_parse(text, &location, &error))
        fail_msg("%s: %s", text, error.message);
    assert_string_equal(location.text, text);
    return location;
}

static void check_text(const char *got, const char *wanted)
{
    if (wanted)
        assert_string_equal(got, wanted);
    else
        assert_null(got);
}

static void reads_s3_urls(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bucket, *prefix, *endpoint, *region, *profile;
        int path_style;
    } cases[] = {
        {"s3://bucket", "bucket", "", NULL, NULL, NULL, -1},
        {"s3://bucket/", "bucket", "", NULL, NULL, NULL, -1},
        {"s3://bucket/a/b", "bucket", "a/b/", NULL, NULL, NULL, -1},
        {"s3://bucket/a/b/", "bucket", "a/b/", NULL, NULL, NULL, -1},
        {"s3://bucket//", "bucket", "/", NULL, NULL, NULL, -1},
        {"s3://bucket//a//b", "bucket", "/a//b/", NULL, NULL, NULL, -1},
        {"s3://bucket/a%20b%3F%25/%C3%A4+", "bucket", "a b?%/\xc3\xa4+/", NULL, NULL, NULL, -1},
        {"s3://bucket/../x", "bucket", "../x/", NULL, NULL, NULL, -1},
        {"s3://My_Bucket.1", "My_Bucket.1", "", NULL, NULL, NULL, -1},
        {"s3://b?region=eu-west-1", "b", "", NULL, "eu-west-1", NULL, -1},
        {"s3://b?profile=my%20one", "b", "", NULL, NULL, "my one", -1},
        {"s3://b?endpoint=minio:9000", "b", "", "https://minio:9000", NULL, NULL, -1},
        {"s3://b?endpoint=minio:9000&disableSSL=true", "b", "", "http://minio:9000", NULL, NULL,
         -1},
        {"s3://b?disableSSL=1&endpoint=minio:80", "b", "", "http://minio", NULL, NULL, -1},
        {"s3://b/p?endpoint=http%3A%2F%2FMinio%3A9000%2F", "b", "p/", "http://minio:9000", NULL,
         NULL, -1},
        {"s3://b?endpoint=https://h:443", "b", "", "https://h", NULL, NULL, -1},
        {"s3://b?endpoint=http://h:443", "b", "", "http://h:443", NULL, NULL, -1},
        {"s3://b?endpoint=[::1]:9000", "b", "", "https://[::1]:9000", NULL, NULL, -1},
        {"s3://b?endpoint=h/path", "b", "", "https://h/path", NULL, NULL, -1},
        {"s3://b?endpoint=http://H:80/S3/v1.0_x-y~z/", "b", "", "http://h/S3/v1.0_x-y~z", NULL,
         NULL, -1},
        {"s3://b?endpoint=[::1]:9000/s3", "b", "", "https://[::1]:9000/s3", NULL, NULL, -1},
        {"s3://b?endpoint=[fe80::1]", "b", "", "https://[fe80::1]", NULL, NULL, -1},
        {"s3://b?s3ForcePathStyle=true", "b", "", NULL, NULL, NULL, 1},
        {"s3://b?s3ForcePathStyle=False&&", "b", "", NULL, NULL, NULL, 0},
        {"s3://b?", "b", "", NULL, NULL, NULL, -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_location location = parsed(cases[i].text);
        assert_int_equal(location.kind, PB_STORE_S3);
        check_text(location.bucket, cases[i].bucket);
        check_text(location.prefix, cases[i].prefix);
        check_text(location.endpoint, cases[i].endpoint);
        check_text(location.region, cases[i].region);
        check_text(location.profile, cases[i].profile);
        assert_int_equal(location.path_style, cases[i].path_style);
        pb_location_free(&location);
    }
}

static void reads_who_pays(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool pays;
    } cases[] = {
        {"s3://b", false},
        {"s3://b?requestPayer=true", true},
        {"s3://b?requestPayer=requester&region=r", true},
        {"s3://b?requestPayer=0", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_location location = parsed(cases[i].text);
        assert_int_equal(location.requester_pays, cases[i].pays);
        pb_location_free(&location);
    }
}

static void reads_directories(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"file:///var/backup", "/var/backup"},
        {"file:///var//backup/./", "/var/backup"},
        {"file:///a%20b%3F", "/a b?"},
        {"file:///a+b@c", "/a+b@c"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_location location = parsed(cases[i][0]);
        assert_int_equal(location.kind, PB_STORE_FILE);
        assert_string_equal(location.bucket, cases[i][1]);
        assert_string_equal(location.prefix, "");
        pb_location_free(&location);
    }
    char current[4096], wanted[4200];
    assert_non_null(getcwd(current, sizeof current));
    pb_location location = parsed("file://some/place");
    snprintf(wanted, sizeof wanted, "%s/some/place", current);
    assert_string_equal(location.bucket, wanted);
    pb_location_free(&location);
    location = parsed("file://.");
    assert_string_equal(location.bucket, current);
    pb_location_free(&location);
}

static void refuses_what_is_no_store(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "bucket",
        "/var/backup",
        "gs://",
        "azblob://bucket",
        "wasb://bucket@account.blob.core.windows.net",
        "wasbs://container",
        "S3://bucket",
        "s3:/bucket",
        "s3://",
        "s3:///prefix",
        "s3://localhost:9000/bucket",
        "s3://buck et",
        "s3://b%41",
        "s3://.",
        "s3://..",
        "s3://b/%",
        "s3://b/%zz",
        "s3://b/%00",
        "s3://b/%ff",
        "s3://b/p#frag",
        "s3://b?unknown=1",
        "s3://b?region=",
        "s3://b?region=eu west",
        "s3://b?region=a/b",
        "s3://b?region=%0a",
        "s3://b?region=a&region=b",
        "s3://b?profile=",
        "s3://b?profile=%ff",
        "s3://b?disableSSL=true",
        "s3://b?anonymous=perhaps",
        "s3://b?awssdk=v3",
        "s3://b?disableSSL=maybe&endpoint=h",
        "s3://b?endpoint=https://h&disableSSL=true",
        "s3://b?endpoint=",
        "s3://b?endpoint=h:",
        "s3://b?endpoint=h:0",
        "s3://b?endpoint=h:65536",
        "s3://b?endpoint=h:1x",
        "s3://b?endpoint=h/path//",
        "s3://b?endpoint=h//path",
        "s3://b?endpoint=h//",
        "s3://b?endpoint=h/a//b",
        "s3://b?endpoint=h/./b",
        "s3://b?endpoint=h/..",
        "s3://b?endpoint=h/%252e",
        "s3://b?endpoint=h/a%20b",
        "s3://b?endpoint=h/a%3Fb",
        "s3://b?endpoint=h/a%0d%0ab",
        "s3://b?endpoint=[::1]/..",
        "s3://b?endpoint=/path",
        "s3://b?endpoint=h/path&s3ForcePathStyle=false",
        "s3://b?s3ForcePathStyle=false&endpoint=h/path",
        "s3://b?opaqueETags=",
        "s3://b?opaqueETags=yes",
        "gs://b?opaqueETags=true",
        "s3://b?requestPayer=",
        "s3://b?requestPayer=bucketowner",
        "s3://b?requestPayer=true&requestPayer=true",
        "s3://b?endpoint=ftp://h",
        "s3://b?endpoint=h%20h",
        "s3://b?endpoint=h%0d%0aX:",
        "s3://b?endpoint=[::1",
        "s3://b?endpoint=[]:1",
        "s3://b?endpoint=[::1]x",
        "s3://b?endpoint=[::1]:",
        "s3://b?s3ForcePathStyle=",
        "file://",
        "file:///",
        "file://./../x",
        "file:///a/../b",
        "file:///a?b=c",
        "file:///%00",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_location location = {.bucket = (char *)1};
        pb_error error = {0};
        if (!pb_location_parse(cases[i], &location, &error))
            fail_msg("%s was taken", cases[i]);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_true(error.message[0]);
        assert_ptr_equal(location.bucket, (char *)1);
    }
}

static void refuses_overlong_parts(void **state)
{
    (void)state;
    char text[2000];
    pb_location location;
    snprintf(text, sizeof text, "s3://%0256d", 0);
    assert_int_equal(pb_location_parse(text, &location, NULL), -1);
    snprintf(text, sizeof text, "s3://b/%0512d", 0);
    assert_int_equal(pb_location_parse(text, &location, NULL), -1);
    snprintf(text, sizeof text, "s3://b?endpoint=%0254d", 0);
    assert_int_equal(pb_location_parse(text, &location, NULL), -1);
    snprintf(text, sizeof text, "s3://b?endpoint=h/%0129d", 0);
    assert_int_equal(pb_location_parse(text, &location, NULL), -1);
    snprintf(text, sizeof text, "s3://b/%0511d", 0);
    assert_int_equal(pb_location_parse(text, &location, NULL), 0);
    pb_location_free(&location);
}

static void shows_no_secret(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "s3://AKIDEXAMPLE:hunter2@bucket/prefix", "s3://hunter2@bucket",
        "https://user:hunter2@host/bucket",       "s3://b?secret=hunter2",
        "s3://b?endpoint=user:hunter2@host",      "s3://b?endpoint=https://user:hunter2@host",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_location location;
        pb_error error = {0};
        assert_int_equal(pb_location_parse(cases[i], &location, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        if (strstr(error.message, "hunter2") || strstr(error.hint, "hunter2"))
            fail_msg("%s: %s", cases[i], error.message);
        assert_non_null(strstr(error.hint, "never from a URL"));
    }
}

static void tells_identities(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"s3://b", "s3://s3.amazonaws.com/b/"},
        {"s3://b/a b?region=eu-west-1&profile=x", "s3://s3.amazonaws.com/b/a%20b/"},
        {"s3://b?endpoint=s3.eu-west-1.amazonaws.com", "s3://s3.amazonaws.com/b/"},
        {"s3://b?region=cn-north-1", "s3://s3.amazonaws.com.cn/b/"},
        {"s3://b?endpoint=s3.cn-north-1.amazonaws.com.cn", "s3://s3.amazonaws.com.cn/b/"},
        {"s3://b/p?endpoint=minio:9000", "s3://minio:9000/b/p/"},
        {"s3://b/p?endpoint=minio:9000&disableSSL=true", "s3://minio:9000/b/p/"},
        {"s3://b/p?endpoint=http://minio", "s3://minio/b/p/"},
        {"s3://b/p?endpoint=https://gateway:8443/s3/v1", "s3://gateway:8443%2Fs3%2Fv1/b/p/"},
        {"s3://b?endpoint=http://[::1]:9000&requestPayer=true", "s3://[::1]:9000/b/"},
        {"s3://b?opaqueETags=true&endpoint=http://minio", "s3://minio/b/"},
        {"gs://b", "gs://storage.googleapis.com/b/"},
        {"gcs://b/p?endpoint=https://storage.europe-west3.rep.googleapis.com",
         "gs://storage.googleapis.com/b/p/"},
        {"s3://b?endpoint=https://storage.googleapis.com", "s3://storage.googleapis.com/b/"},
        {"gs://b?endpoint=http://127.0.0.1:4443&userProject=p", "gs://127.0.0.1:4443/b/"},
        {"file:///a%20b", "file:///a%20b/"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_location location = parsed(cases[i][0]);
        char *identity = pb_location_identity(&location);
        assert_string_equal(identity, cases[i][1]);
        free(identity);
        pb_location_free(&location);
    }
}

static void tells_overlaps(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool overlaps;
    } cases[] = {
        {"s3://b", "s3://b", true},
        {"s3://b", "s3://b/a", true},
        {"s3://b/a/c", "s3://b/a", true},
        {"s3://b/a", "s3://b/ab", false},
        {"s3://b/a%20b", "s3://b/a b", true},
        {"s3://b", "s3://bb", false},
        {"s3://b/a", "s3://c/a", false},
        {"s3://b", "s3://b?endpoint=minio", false},
        {"s3://b?endpoint=minio:9000", "s3://b/x?endpoint=http://minio:9000", true},
        {"s3://b?region=eu-west-1", "s3://b?endpoint=s3.us-east-1.amazonaws.com", true},
        {"file:///a", "file:///a/b", true},
        {"file:///a", "file:///ab", false},
        {"file:///s3.amazonaws.com", "s3://b", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_location a = parsed(cases[i].a), b = parsed(cases[i].b);
        assert_int_equal(pb_location_overlaps(&a, &b), cases[i].overlaps);
        assert_int_equal(pb_location_overlaps(&b, &a), cases[i].overlaps);
        pb_location_free(&a);
        pb_location_free(&b);
    }
    static const struct {
        const char *a, *b;
        bool may_overlap;
    } spelled[] = {
        {"s3://b?endpoint=localhost:1", "s3://b?endpoint=127.0.0.1:1", true},
        {"s3://b/a?endpoint=localhost:1", "s3://b?endpoint=127.0.0.1:1", true},
        {"s3://b/a?endpoint=localhost:1", "s3://b/a/c?endpoint=[::1]:1", true},
        {"s3://b?endpoint=proxy.example", "s3://b", true},
        {"s3://b?endpoint=h/a", "s3://b?endpoint=h", true},
        {"s3://b/a?endpoint=localhost:1", "s3://b/ab?endpoint=127.0.0.1:1", false},
        {"s3://b?endpoint=localhost:1", "s3://c?endpoint=127.0.0.1:1", false},
        {"s3://b?endpoint=h:1", "s3://b?endpoint=h:1", false}, /* they do, and it is known */
        {"s3://b", "file:///b", false},
    };
    for (size_t i = 0; i < COUNT(spelled); i++) {
        pb_location a = parsed(spelled[i].a), b = parsed(spelled[i].b);
        assert_int_equal(pb_location_may_overlap(&a, &b), spelled[i].may_overlap);
        assert_int_equal(pb_location_may_overlap(&b, &a), spelled[i].may_overlap);
        pb_location_free(&a);
        pb_location_free(&b);
    }
    pb_location zeroed = {0};
    pb_location_free(&zeroed);
}

static void knows_what_is_said_of_the_login(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool anonymous;
    } cases[] = {
        {"s3://b", false},
        {"s3://b?anonymous=true", true},
        {"s3://b?anonymous=false&awssdk=v2", false},
        {"s3://b?awssdk=v1&anonymous=1&endpoint=h", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_location location, copy;
        pb_error error = {0};
        if (pb_location_parse(cases[i].url, &location, &error))
            fail_msg("%s: %s", cases[i].url, error.message);
        assert_int_equal(location.anonymous, cases[i].anonymous);
        assert_null(location.profile);
        pb_location_copy(&location, &copy);
        pb_location_free(&location);
        assert_string_equal(copy.text, cases[i].url);
        assert_string_equal(copy.bucket, "b");
        assert_int_equal(copy.anonymous, cases[i].anonymous);
        pb_location_free(&copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_what_is_said_of_the_login),
        cmocka_unit_test(reads_s3_urls),
        cmocka_unit_test(reads_who_pays),
        cmocka_unit_test(reads_directories),
        cmocka_unit_test(refuses_what_is_no_store),
        cmocka_unit_test(refuses_overlong_parts),
        cmocka_unit_test(shows_no_secret),
        cmocka_unit_test(tells_identities),
        cmocka_unit_test(tells_overlaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
