#include "bench/origin/gcs_metadata.h"
#include "bench/origin/gcs_resource.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static pb_origin_attributes *make(const char *text)
{
    pb_origin_gcs_metadata metadata;
    pb_origin_gcs_refusal refusal;
    assert_true(pb_origin_gcs_metadata_read(pb_slice_of(text), false, &metadata, &refusal));
    pb_origin_attributes *made = pb_origin_gcs_metadata_attributes(&metadata, (pb_slice){NULL, 0});
    pb_origin_gcs_metadata_free(&metadata);
    return made;
}

static void assert_headers(const pb_origin_attributes *attributes, const char *text)
{
    assert_int_equal(attributes->headers.size, strlen(text));
    assert_memory_equal(attributes->headers.data, text, strlen(text));
}

static void keeps_what_s3_shows(void **state)
{
    (void)state;
    pb_origin_attributes *made =
        make("{\"name\":\"n\",\"contentLanguage\":\"de\",\"kind\":\"storage#object\","
             "\"metadata\":{\"Key\":\"v\"},\"generation\":\"5\",\"acl\":null}");
    assert_headers(made, "content-type: application/octet-stream\r\ncontent-language: de\r\n"
                         "x-amz-meta-Key: v\r\n");
    assert_false(made->escapes_metadata);
    pb_origin_attributes_release(made);
}

static void escapes_what_no_header_can_hold(void **state)
{
    (void)state;
    pb_origin_attributes *made =
        make("{\"contentType\":\"a\",\"metadata\":{\"a key\":\"1\\r\\nx: y\"}}");
    assert_headers(made, "content-type: a\r\nx-amz-meta-a%20key: 1%0D%0Ax%3A%20y\r\n");
    assert_true(made->escapes_metadata);
    pb_origin_object *object = pb_origin_object_new(PB_SLICE_LITERAL("k"));
    object->attributes = made;
    pb_buffer text = {0};
    pb_origin_gcs_append_object(&text, PB_SLICE_LITERAL("http://h"), PB_SLICE_LITERAL("b"), object,
                                (uint64_t)1 << PB_ORIGIN_GCS_METADATA);
    assert_string_equal(text.data, "{\"metadata\":{\"a key\":\"1\\r\\nx: y\"}}");
    pb_buffer_free(&text);
    pb_origin_object_free(object);
}

static void patches(void **state)
{
    (void)state;
    pb_origin_attributes *before = make("{\"contentType\":\"a\",\"cacheControl\":\"c\","
                                        "\"metadata\":{\"one\":\"1\",\"two\":\"2\"}}");
    pb_origin_gcs_metadata metadata;
    pb_origin_gcs_refusal refusal;
    assert_true(pb_origin_gcs_metadata_read(
        PB_SLICE_LITERAL("{\"cacheControl\":null,\"contentEncoding\":\"e\","
                         "\"metadata\":{\"one\":null,\"three\":\"3\"}}"),
        true, &metadata, &refusal));
    pb_origin_attributes *after = pb_origin_gcs_metadata_patch(&metadata, before, &refusal);
    assert_headers(after, "content-type: a\r\ncontent-encoding: e\r\nx-amz-meta-two: 2\r\n"
                          "x-amz-meta-three: 3\r\n");
    pb_origin_attributes_release(after);
    pb_origin_attributes_release(before);
    pb_origin_gcs_metadata_free(&metadata);
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool patches;
        int status;
    } cases[] = {
        {"[]", false, 400},
        {"{", false, 400},
        {"{\"contentType\":\"a\",\"contentType\":\"b\"}", false, 400},
        {"{\"contentType\":5}", false, 400},
        {"{\"contentType\":\"a\\r\\nx: y\"}", false, 400},
        {"{\"colour\":1}", false, 400},
        {"{\"metadata\":[]}", false, 400},
        {"{\"metadata\":{\"a\":null}}", false, 400},
        {"{\"metadata\":{\"a\":1}}", true, 400},
        {"{\"storageClass\":\"GOLD\"}", false, 400},
        {"{\"storageClass\":\"NEARLINE\"}", true, 400},
        {"{\"temporaryHold\":true}", false, 501},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pb_origin_gcs_metadata metadata = {0};
        pb_origin_gcs_refusal refusal = {0};
        assert_false(pb_origin_gcs_metadata_read(pb_slice_of(cases[i].text), cases[i].patches,
                                                 &metadata, &refusal));
        assert_int_equal(refusal.status, cases[i].status);
    }
}

static void etags_are_googles(void **state)
{
    (void)state;
    /* Of gs://pub/gsutil.tar.gz in 2026. */
    char etag[PB_ORIGIN_GCS_ETAG_TEXT_MAX];
    pb_origin_gcs_etag(1777369647609324, 1, etag);
    assert_string_equal(etag, "COzr6/OhkJQDEAE=");
}

static void generations_grow(void **state)
{
    (void)state;
    pb_origin_bucket *bucket = pb_origin_bucket_new(PB_SLICE_LITERAL("b"), 0);
    static const int64_t times_ms[] = {1000, 1000, 1001, 950, 1000, 5000};
    uint64_t last = 0;
    for (size_t i = 0; i < sizeof(times_ms) / sizeof(times_ms[0]); i++) {
        pb_origin_object *object = pb_origin_object_new(PB_SLICE_LITERAL("k"));
        object->content = pb_origin_content_new_bytes(0);
        object->modified_ms = times_ms[i];
        pb_origin_bucket_put(bucket, object);
        assert_true(pb_origin_object_generation(object) > last);
        last = pb_origin_object_generation(object);
    }
    assert_int_equal(last, 5000000);
    pb_origin_bucket_free(bucket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_s3_shows),
        cmocka_unit_test(escapes_what_no_header_can_hold),
        cmocka_unit_test(patches),
        cmocka_unit_test(refuses),
        cmocka_unit_test(etags_are_googles),
        cmocka_unit_test(generations_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
