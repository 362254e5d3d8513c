#include "copier/store/gcs/object_headers.h"

#include "base/codec.h"

#include "copier/store/answer.h"
#include "tests/support/quoted_json.h"
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void a_type_alone(void **state)
{
    (void)state;
    static const struct {
        const char *headers, *type;
        bool alone;
    } cases[] = {
        {"", "", true},
        {"content-type: text/plain\n", "text/plain", true},
        {"content-type: text/plain", "text/plain", true},
        {"content-type: a\ncontent-type: b\n", "a", false},
        {"content-type: a\ncache-control: b\n", "a", false},
        {"cache-control: b\n", "", false},
        {"Content-Type: a\n", "", false},
        {"\n", "", false},
        {"expires: x\n", "", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_slice type;
        assert_int_equal(pb_gcs_headers_are_a_type(pb_slice_of(cases[i].headers), &type),
                         cases[i].alone);
        if (cases[i].alone)
            assert_true(pb_slice_equal(type, pb_slice_of(cases[i].type)));
    }
}

/* What is written is read again. */
static void there_and_back(void **state)
{
    (void)state;
    static const char headers[] = "content-type: text/x; a=\"b\"\ncache-control: no-store\n"
                                  "content-disposition: attachment; filename=\"\xc3\xa4.txt\"\n"
                                  "content-encoding: gzip\ncontent-language: de\n"
                                  "x-amz-meta-one: 1: 2\\\nx-amz-meta-two: \n"
                                  "x-amz-meta-x-amz-meta-three: \xf0\x9f\x90\x8b\n";
    pb_buffer text = {0}, again = {0};
    pb_error error = {0};
    if (pb_gcs_headers_to_resource(pb_slice_of(headers), &text, &error))
        fail_msg("%s", error.message);
    json_t *resource = json_loadb(text.data, text.size, 0, NULL);
    assert_non_null(resource);
    assert_int_equal(json_object_size(resource), 6);
    assert_int_equal(json_object_size(json_object_get(resource, "metadata")), 3);
    if (pb_gcs_headers_of_resource(resource, &again, &error))
        fail_msg("%s", error.message);
    assert_true(pb_slice_equal(pb_buffer_slice(&again), pb_slice_of(headers)));
    json_decref(resource);
    pb_buffer_free(&text);
    pb_buffer_free(&again);
}

static void check_resource(const char *headers, const char *wanted)
{
    pb_buffer text = {0};
    pb_error error = {0};
    if (pb_gcs_headers_to_resource(pb_slice_of(headers), &text, &error))
        fail_msg("%s", error.message);
    assert_true(pb_slice_equal(pb_buffer_slice(&text), pb_slice_of(wanted)));
    pb_buffer_free(&text);
}

static void resources(void **state)
{
    (void)state;
    check_resource("", "{}");
    check_resource("expires: Thu, 01 Dec 1994 16:00:00 GMT\n", "{}"); /* there is no such member */
    check_resource("x-amz-meta-a: b\n", "{\"metadata\":{\"a\":\"b\"}}");
    check_resource("content-type: {\n", "{\"contentType\":\"{\"}");
    check_resource("content-type: {\nx-amz-meta-a: {\nx-amz-meta-b: c\n",
                   "{\"contentType\":\"{\",\"metadata\":{\"a\":\"{\",\"b\":\"c\"}}");
}

static void no_headers_of_an_object(void **state)
{
    (void)state;
    static const char *const bad[] = {"authorization: x\n",       "content-type:x\n",
                                      "x-amz-meta-: x\n",         "content-type: \xff\n",
                                      "x-amz-meta-\xc0\x80: x\n", "x-amz-meta-a b: x\n",
                                      "x-amz-meta-\xc3\xa4: x\n", "\n"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_buffer text = {0};
        pb_error error = {0};
        assert_int_equal(pb_gcs_headers_to_resource(pb_slice_of(bad[i]), &text, &error), -1);
        bool is_text = pb_utf8_valid(pb_slice_of(bad[i]));
        assert_int_equal(error.kind, is_text ? PB_ERROR_USAGE : PB_ERROR_FAILED);
        pb_buffer_free(&text);
    }
}

static void refuses_resource(json_t *resource)
{
    pb_buffer headers = {0};
    pb_error error = {0};
    if (!pb_gcs_headers_of_resource(resource, &headers, &error))
        fail_msg("taken: %s", headers.data);
    assert_int_equal(error.kind, PB_ERROR_FAILED);
    pb_buffer_free(&headers);
    json_decref(resource);
}

static void what_no_other_store_can_keep(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{'contentType': 5}",           "{'contentType': null}",
        "{'contentType': ['a']}",       "{'contentType': 'a\\r\\nx-injected: 1'}",
        "{'cacheControl': 'a\\u007f'}", "{'metadata': {'a': 5}}",
        "{'metadata': {'a': null}}",    "{'metadata': {'a': {}}}",
        "{'metadata': {'a': '1\\n2'}}", "{'metadata': {'': 'x'}}",
        "{'metadata': {'a b': 'x'}}",   "{'metadata': {'a:': 'x'}}",
        "{'metadata': {'a\\nb': 'x'}}", "{'metadata': {'\xc3\xa4': 'x'}}",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        refuses_resource(json(bad[i]));
    /* Together more than stores exchange. */
    json_t *large = json_object(), *metadata = json_object();
    char name[32], value[1025] = {0};
    memset(value, 'x', sizeof value - 1);
    for (int i = 0; i < 17; i++) {
        snprintf(name, sizeof name, "name-%d", i);
        json_object_set_new(metadata, name, json_string(value));
    }
    json_object_set_new(large, "metadata", metadata);
    refuses_resource(large);
}

static void members_of_other_types_are_none(void **state)
{
    (void)state;
    static const char *const empty[] = {"{}", "{'metadata': 5}", "{'metadata': ['a']}",
                                        "{'metadata': {}}", "{'other': 'x'}"};
    for (size_t i = 0; i < COUNT(empty); i++) {
        json_t *resource = json(empty[i]);
        pb_buffer headers = {0};
        assert_int_equal(pb_gcs_headers_of_resource(resource, &headers, NULL), 0);
        assert_int_equal(headers.size, 0);
        pb_buffer_free(&headers);
        json_decref(resource);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_type_alone),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(resources),
        cmocka_unit_test(no_headers_of_an_object),
        cmocka_unit_test(what_no_other_store_can_keep),
        cmocka_unit_test(members_of_other_types_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
