#include "snapshot/bucket_overlap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(const char *url, const char *other, pb_bucket_relation wanted)
{
    char *one = pb_bucket_identity(url), *two = pb_bucket_identity(other);
    pb_bucket_relation there = pb_buckets_compare(one, two), back = pb_buckets_compare(two, one);
    if (there != wanted || back != wanted)
        fail_msg("%s %s: %d %d, and not %d", url, other, there, back, wanted);
    free(one);
    free(two);
}

static void expect_identity(const char *url, const char *wanted)
{
    char *identity = pb_bucket_identity(url);
    if (wanted)
        assert_string_equal(identity, wanted);
    else
        assert_null(identity);
    free(identity);
}

static void every_provider_has_an_identity(void **state)
{
    (void)state;
    expect_identity("s3://a", "s3://s3.amazonaws.com/a/");
    expect_identity("s3://a?endpoint=localhost:9000&disableSSL=true", "s3://localhost:9000/a/");
    expect_identity("s3://a/b%20?unknown=1", "s3://?/a/b%20/");
    expect_identity("gs://a", "gs://storage.googleapis.com/a/");
    expect_identity("gs://a/b?access_id=-", "gs://storage.googleapis.com/a/b/");
    expect_identity("gcs://a/", "gs://storage.googleapis.com/a/");
    expect_identity("azblob://a", "azblob://?/a/");
    expect_identity("azblob://a?x=y&storage_account=b&domain=c", "azblob://b/a/");
    expect_identity("wasbs://a@b.blob.core.windows.net", "azblob://b/a/");
    expect_identity("file:///a/b", "file:///a/b/");
    expect_identity("mem://a", NULL);
    expect_identity("gs://", NULL);
    expect_identity("gs:///a", NULL);
    expect_identity("a", NULL);
    expect_identity("", NULL);
    expect_identity("s3://user:password@a", NULL);
    expect_identity("gs://user:password@a", NULL);
}

static void the_same_bucket_is_seen(void **state)
{
    (void)state;
    expect("gs://a", "gs://a", PB_BUCKETS_OVERLAP);
    expect("gs://a", "gcs://a/?x=y", PB_BUCKETS_OVERLAP);
    expect("gs://a", "gs://a/inside", PB_BUCKETS_OVERLAP);
    expect("gs://a", "s3://a?endpoint=https://storage.googleapis.com", PB_BUCKETS_OVERLAP);
    expect("gs://a/in", "s3://a?endpoint=storage.googleapis.com", PB_BUCKETS_OVERLAP);
    expect("gs://a", "gs://a?endpoint=www.googleapis.com", PB_BUCKETS_OVERLAP);
    expect("gs://a", "gs://a?endpoint=https://storage.europe-west3.rep.googleapis.com",
           PB_BUCKETS_OVERLAP);
    expect("gs://a?endpoint=http://127.0.0.1:4443", "s3://a?endpoint=http://127.0.0.1:4443",
           PB_BUCKETS_OVERLAP);
    expect("gs://a?access_id=-", "gs://a?userProject=p", PB_BUCKETS_OVERLAP);
    expect("s3://a", "s3://a/inside/?region=eu-central-1", PB_BUCKETS_OVERLAP);
    expect("s3://a", "s3://a?unknown=1", PB_BUCKETS_OVERLAP);
    expect("azblob://a", "wasbs://a@b.blob.core.windows.net", PB_BUCKETS_OVERLAP);
    expect("azblob://a?storage_account=b", "wasb://a@b.blob.core.windows.net", PB_BUCKETS_OVERLAP);
    expect("file:///a", "file:///a/b", PB_BUCKETS_OVERLAP);
}

static void others_are_apart(void **state)
{
    (void)state;
    expect("gs://a", "gs://ab", PB_BUCKETS_APART);
    expect("gs://a/b", "gs://a/c", PB_BUCKETS_APART);
    expect("gs://a", "s3://a", PB_BUCKETS_APART);
    expect("gs://a", "azblob://a", PB_BUCKETS_APART);
    expect("gs://a", "file:///a", PB_BUCKETS_APART);
    expect("s3://a", "s3://b", PB_BUCKETS_APART);
    expect("s3://a?unknown=1", "s3://b?unknown=1", PB_BUCKETS_APART);
    expect("azblob://a?storage_account=b", "azblob://a?storage_account=c", PB_BUCKETS_APART);
}

static void what_cannot_be_told_is_unknown(void **state)
{
    (void)state;
    expect("s3://a?endpoint=minio.ns.svc:9000", "s3://a?endpoint=127.0.0.1:9000",
           PB_BUCKETS_UNKNOWN);
    expect("s3://a", "s3://a?endpoint=proxy.example", PB_BUCKETS_UNKNOWN);
    expect("gs://a", "s3://a?endpoint=proxy.example", PB_BUCKETS_UNKNOWN);
    expect("gs://a", "gs://a?endpoint=http://127.0.0.1:4443", PB_BUCKETS_UNKNOWN);
    expect("mem://a", "gs://a", PB_BUCKETS_UNKNOWN);
    assert_int_equal(pb_buckets_compare(NULL, NULL), PB_BUCKETS_UNKNOWN);
    assert_int_equal(pb_buckets_compare("x", "s3://s3.amazonaws.com/a/"), PB_BUCKETS_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_provider_has_an_identity),
        cmocka_unit_test(the_same_bucket_is_seen),
        cmocka_unit_test(others_are_apart),
        cmocka_unit_test(what_cannot_be_told_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
