#include "cluster/pachyderm/pachctl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *address, *url;
    } good[] = {
        {"203.0.113.7", "grpc://203.0.113.7:30650"},
        {"pach.example", "grpc://pach.example:30650"},
        {"pach.example:80", "grpc://pach.example:80"},
        {"grpc://pach.example:30650", "grpc://pach.example:30650"},
        {"grpcs://pach.example", "grpcs://pach.example:30650"},
        {"http://pach.example/", "http://pach.example:80"},
        {"https://pach.example", "https://pach.example:443"},
        {"[fd00::1]", "grpc://[fd00::1]:30650"},
        {"grpc://[fd00::1]:1/", "grpc://[fd00::1]:1"},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        pb_buffer url = {0};
        pb_error error = {0};
        if (pb_pachctl_address(good[i].address, &url, &error) != 0)
            fail_msg("%s: %s", good[i].address, error.message);
        assert_string_equal(url.data, good[i].url);
        pb_buffer_free(&url);
    }
    static const char *const bad[] = {
        "",      ":30650",  "a:",           "a:0",     "a:65536",    "a:b", "a b",
        "a/b",   "ftp://a", "u:p@a",        "grpc://", "[fd00::1",   "[]",  "[a]b",
        "a:1:2", "fd00::1", "grpc://a:1/x", "[",       "[fd00::1]:",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_buffer url = {0};
        pb_error error = {0};
        if (pb_pachctl_address(bad[i], &url, &error) != -1)
            fail_msg("%s: %s", bad[i], url.data);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_null(url.data);
    }
}

static void contexts(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
    } texts[] = {
        {"", "{\"v2\":{\"contexts\":{\"new\":{\"pachd_address\":\"grpc://h:30650\"}},"
             "\"active_context\":\"new\"}}"},
        {" \n", "{\"v2\":{\"contexts\":{\"new\":{\"pachd_address\":\"grpc://h:30650\"}},"
                "\"active_context\":\"new\"}}"},
        {"{\"user_id\":\"u\",\"x\":[1],\"v2\":{\"active_context\":\"prod\",\"metrics\":true,"
         "\"y\":2,\"contexts\":{\"prod\":{\"pachd_address\":\"grpc://p:1\",\"session_token\":"
         "\"t\"},\"new\":{\"pachd_address\":\"grpc://q:1\",\"project\":\"default\",\"z\":3}}}}",
         "{\"user_id\":\"u\",\"x\":[1],\"v2\":{\"active_context\":\"new\",\"metrics\":true,"
         "\"y\":2,\"contexts\":{\"prod\":{\"pachd_address\":\"grpc://p:1\",\"session_token\":"
         "\"t\"},\"new\":{\"pachd_address\":\"grpc://"
         "h:30650\",\"project\":\"default\",\"z\":3}}}}"},
        {"{\"v2\":{\"contexts\":null}}",
         "{\"v2\":{\"contexts\":{\"new\":{\"pachd_address\":\"grpc://h:30650\"}},"
         "\"active_context\":\"new\"}}"},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        pb_buffer text = {0};
        pb_error error = {0};
        if (pb_pachctl_context(pb_slice_of(texts[i].before), "new", "h", &text, &error) != 0)
            fail_msg("%s", error.message);
        json_t *is = json_loads(text.data, 0, NULL), *wanted = json_loads(texts[i].after, 0, NULL);
        assert_true(json_equal(is, wanted));
        assert_int_equal(text.data[text.size - 1], '\n');
        json_decref(is);
        json_decref(wanted);
        pb_buffer_free(&text);
    }
}

static void what_cannot_be_edited(void **state)
{
    (void)state;
    static const struct {
        const char *text, *cluster, *address;
    } bad[] = {
        {"{\"v2\":{\"contexts\":{\"a\":{\"session_token\":hunter2}}}}", "new", "h"},
        {"[]", "new", "h"},
        {"{\"v2\":1}", "new", "h"},
        {"{\"v2\":{\"contexts\":[]}}", "new", "h"},
        {"{\"v2\":{\"contexts\":{\"new\":\"x\"}}}", "new", "h"},
        {"{\"v1\":{\"pachd_address\":\"h:1\"}}", "new", "h"},
        {"{}{}", "new", "h"},
        {"", "", "h"},
        {"", "-new", "h"},
        {"", "a\nb", "h"},
        {"", "a\xff", "h"},
        {"", "new", "h h"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_buffer text = {0};
        pb_error error = {0};
        assert_int_equal(pb_pachctl_context(pb_slice_of(bad[i].text), bad[i].cluster,
                                            bad[i].address, &text, &error),
                         -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_null(strstr(error.message, "hunter2"));
        assert_null(text.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(contexts),
        cmocka_unit_test(what_cannot_be_edited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
