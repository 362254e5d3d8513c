#include "copier/store/s3/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static pb_location parsed(const char *text)
{
    pb_location location = {0};
    assert_int_equal(pb_location_parse(text, &location, NULL), 0);
    return location;
}

static void check_slice(pb_slice got, const char *wanted)
{
    if (!pb_slice_equal(got, pb_slice_of(wanted)))
        fail_msg("%.*s, not %s", PB_SLICE_FORMAT(got), wanted);
}

static void addresses_buckets(void **state)
{
    (void)state;
    static const struct {
        const char *url, *region, *base_url, *host, *key_path, *list_path, *full_path;
    } cases[] = {
        {"s3://bucket", "eu-west-1", "https://bucket.s3.eu-west-1.amazonaws.com",
         "bucket.s3.eu-west-1.amazonaws.com", "/", "/", "/bucket/"},
        {"s3://bucket/a b", "cn-north-1", "https://bucket.s3.cn-north-1.amazonaws.com.cn",
         "bucket.s3.cn-north-1.amazonaws.com.cn", "/a%20b/", "/", "/bucket/a%20b/"},
        {"s3://my.bucket/a", "us-east-1", "https://s3.us-east-1.amazonaws.com",
         "s3.us-east-1.amazonaws.com", "/my.bucket/a/", "/my.bucket", "/my.bucket/a/"},
        {"s3://My_Bucket", "us-east-1", "https://s3.us-east-1.amazonaws.com",
         "s3.us-east-1.amazonaws.com", "/My_Bucket/", "/My_Bucket", "/My_Bucket/"},
        {"s3://bucket?s3ForcePathStyle=true", "us-east-1", "https://s3.us-east-1.amazonaws.com",
         "s3.us-east-1.amazonaws.com", "/bucket/", "/bucket", "/bucket/"},
        {"s3://bucket/p?endpoint=http://minio:9000", "us-east-1", "http://minio:9000", "minio:9000",
         "/bucket/p/", "/bucket", "/bucket/p/"},
        {"s3://bucket/p?endpoint=oss:1&s3ForcePathStyle=false", "x", "https://bucket.oss:1",
         "bucket.oss:1", "/p/", "/", "/bucket/p/"},
        {"s3://bucket/p?endpoint=https://gateway:8443/storage/s3", "x", "https://gateway:8443",
         "gateway:8443", "/storage/s3/bucket/p/", "/storage/s3/bucket", "/bucket/p/"},
        {"s3://bucket?endpoint=http://[::1]:9000/s3", "x", "http://[::1]:9000", "[::1]:9000",
         "/s3/bucket/", "/s3/bucket", "/bucket/"},
        {"s3://bucket?endpoint=http://[::1]:9000", "x", "http://[::1]:9000", "[::1]:9000",
         "/bucket/", "/bucket", "/bucket/"},
        {"s3://bucket?endpoint=s3.eu-west-1.amazonaws.com", "eu-west-1",
         "https://bucket.s3.eu-west-1.amazonaws.com", "bucket.s3.eu-west-1.amazonaws.com", "/", "/",
         "/bucket/"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_location location = parsed(cases[i].url);
        pb_s3_endpoint endpoint;
        pb_s3_endpoint_make(&location, cases[i].region, &endpoint);
        assert_string_equal(endpoint.base_url, cases[i].base_url);
        assert_string_equal(endpoint.host, cases[i].host);
        assert_string_equal(endpoint.region, cases[i].region);
        assert_string_equal(endpoint.full_path, cases[i].full_path);
        check_slice(endpoint.key_path, cases[i].key_path);
        check_slice(endpoint.list_path, cases[i].list_path);
        assert_int_equal(endpoint.https, strncmp(cases[i].base_url, "https", 5) == 0);
        pb_s3_endpoint_free(&endpoint);
        pb_location_free(&location);
    }
}

static void follows_redirects(void **state)
{
    (void)state;
    static const struct {
        const char *url, *to, *base_url, *list_path;
    } cases[] = {
        {"s3://bucket", "https://bucket.s3-eu-west-1.amazonaws.com/key?a=b",
         "https://bucket.s3-eu-west-1.amazonaws.com", "/"},
        {"s3://bucket", "bucket.s3-eu-west-1.amazonaws.com",
         "https://bucket.s3-eu-west-1.amazonaws.com", "/"},
        {"s3://bucket", "https://S3-eu-west-1.amazonaws.com/bucket/key",
         "https://s3-eu-west-1.amazonaws.com", "/bucket"},
        {"s3://bucket", "https://other:443/", "https://other", "/bucket"},
        {"s3://bucket?endpoint=http://a:1", "http://b:2/x", "http://b:2", "/bucket"},
        {"s3://bucket?endpoint=http://a:1", "https://b:2/x", "https://b:2", "/bucket"},
        {"s3://bucket?endpoint=http://a:1", "b", "http://b", "/bucket"},
        {"s3://bucket?endpoint=http://a:1", "http://[2001:DB8::1]:9000/x",
         "http://[2001:db8::1]:9000", "/bucket"},
        {"s3://bucket?endpoint=http://a:1", "http://[::1]", "http://[::1]", "/bucket"},
        {"s3://bucket?endpoint=http://a:1/s3", "http://b:2/s3/x", "http://b:2", "/s3/bucket"},
        /* refused */
        {"s3://bucket?endpoint=http://a:1", "http://[::1", NULL, NULL},
        {"s3://bucket?endpoint=http://a:1", "http://[]/", NULL, NULL},
        {"s3://bucket?endpoint=http://a:1", "http://[::1]x/", NULL, NULL},
        {"s3://bucket?endpoint=http://a:1", "http://[::1]:/", NULL, NULL},
        {"s3://bucket?endpoint=http://a:1", "http://[::g]/", NULL, NULL},
        {"s3://bucket?endpoint=http://a:1", "http://[[::1]]/", NULL, NULL},
        {"s3://bucket", "http://bucket.s3-eu-west-1.amazonaws.com/", NULL, NULL},
        {"s3://bucket", "https://bucket.s3.us-east-1.amazonaws.com/key", NULL, NULL},
        {"s3://bucket", "", NULL, NULL},
        {"s3://bucket", "https://", NULL, NULL},
        {"s3://bucket", "/relative", NULL, NULL},
        {"s3://bucket", "https://user@host/", NULL, NULL},
        {"s3://bucket", "https://ho st/", NULL, NULL},
        {"s3://bucket", "https://host:0/", NULL, NULL},
        {"s3://bucket", "https://host:99999/", NULL, NULL},
        {"s3://bucket", "https://host:x/", NULL, NULL},
        {"s3://bucket", "https://host\r\nX: y/", NULL, NULL},
        {"s3://bucket", "ftp://host/", NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_location location = parsed(cases[i].url);
        pb_s3_endpoint from, to = {0};
        pb_s3_endpoint_make(&location, "us-east-1", &from);
        bool followed = pb_s3_endpoint_redirect(&from, &location, pb_slice_of(cases[i].to), &to);
        if (followed != (cases[i].base_url != NULL))
            fail_msg("%s: %s", cases[i].to, followed ? "followed" : "not followed");
        if (followed) {
            assert_string_equal(to.base_url, cases[i].base_url);
            assert_string_equal(to.region, "us-east-1");
            check_slice(to.list_path, cases[i].list_path);
        }
        pb_s3_endpoint_free(&to);
        pb_s3_endpoint_free(&from);
        pb_location_free(&location);
    }
    /* A host that is longer than DNS allows. */
    char text[400];
    snprintf(text, sizeof text, "https://%0300d/", 0);
    pb_location location = parsed("s3://bucket");
    pb_s3_endpoint from, to;
    pb_s3_endpoint_make(&location, "us-east-1", &from);
    assert_false(pb_s3_endpoint_redirect(&from, &location, pb_slice_of(text), &to));
    pb_s3_endpoint_free(&from);
    pb_location_free(&location);
}

static void knows_regions(void **state)
{
    (void)state;
    static const char *const hosts[][2] = {
        {"s3.eu-west-1.amazonaws.com", "eu-west-1"},
        {"bucket.s3.eu-west-1.amazonaws.com", "eu-west-1"},
        {"https://s3.eu-west-1.amazonaws.com", ""},
        {"bucket.s3-eu-west-1.amazonaws.com", "eu-west-1"},
        {"s3-us-west-2.amazonaws.com", "us-west-2"},
        {"s3.cn-north-1.amazonaws.com.cn", "cn-north-1"},
        {"s3.amazonaws.com", ""},
        {"bucket.s3.amazonaws.com", ""},
        {"xs3.eu-west-1.amazonaws.com", ""},
        {"minio:9000", ""},
        {".amazonaws.com", ""},
        {"amazonaws.com", ""},
        {"s3..amazonaws.com", ""},
        {"s3-.amazonaws.com", ""},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT(hosts); i++)
        check_slice(pb_s3_region_of_host(pb_slice_of(hosts[i][0])), hosts[i][1]);
    assert_true(pb_s3_region_valid(PB_SLICE_LITERAL("eu-west_1")));
    static const char *const bad[] = {"", "a.b", "a/b", "a b", "a\n", "\xc3\xa4"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(pb_s3_region_valid(pb_slice_of(bad[i])));
    char text[65];
    memset(text, 'r', sizeof text);
    assert_true(pb_s3_region_valid((pb_slice){text, 64}));
    assert_false(pb_s3_region_valid((pb_slice){text, 65}));
}

static void knows_the_other_hosts_of_aws(void **state)
{
    (void)state;
    static const struct {
        bool fips, dual_stack;
        const char *region, *base_url;
    } cases[] = {
        {true, false, "us-east-1", "https://b.s3-fips.us-east-1.amazonaws.com"},
        {false, true, "us-east-1", "https://b.s3.dualstack.us-east-1.amazonaws.com"},
        {true, true, "us-gov-west-1", "https://b.s3-fips.dualstack.us-gov-west-1.amazonaws.com"},
        {false, true, "cn-north-1", "https://b.s3.dualstack.cn-north-1.amazonaws.com.cn"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_location location;
        pb_s3_endpoint endpoint;
        assert_int_equal(pb_location_parse("s3://b", &location, NULL), 0);
        location.fips = cases[i].fips;
        location.dual_stack = cases[i].dual_stack;
        pb_s3_endpoint_make(&location, cases[i].region, &endpoint);
        assert_string_equal(endpoint.base_url, cases[i].base_url);
        pb_s3_endpoint_free(&endpoint);
        pb_location_free(&location);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_other_hosts_of_aws),
        cmocka_unit_test(addresses_buckets),
        cmocka_unit_test(follows_redirects),
        cmocka_unit_test(knows_regions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
