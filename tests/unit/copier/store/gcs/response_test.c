#include "copier/store/gcs/list_reader.h"
#include "copier/store/gcs/response.h"

#include "tests/support/quoted_json.h"
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define KIND "'kind': 'storage#objects'"
#define TIME "'updated': '2026-11-23T05:20:49.123Z'"
#define MD5 "'md5Hash': '1B2M2Y8AsgTpgAmY7PhCfg=='"
#define MD5_HEX "d41d8cd98f00b204e9800998ecf8427e"
#define CRC32C "'crc32c': 'AQIDBA=='"
#define GENERATION "'generation': '1700000000000001', 'metageneration': '2'"

static const pb_gcs_list_asked everything = {.store_prefix = {"p/", 2}};

/* ' stands for "; of exactly that size, so that a sanitizer sees a read past it. */
static char *body_of(const char *text, pb_slice *ret_body)
{
    size_t size = strlen(text);
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    for (size_t i = 0; i < size; i++)
        copy[i] = text[i] == '\'' ? '"' : text[i];
    *ret_body = (pb_slice){copy, size};
    return copy;
}

static pb_page *listed(const char *text, const pb_gcs_list_asked *asked)
{
    pb_slice body;
    char *memory = body_of(text, &body);
    pb_page *page = NULL;
    pb_error error = {0};
    if (pb_gcs_parse_list(body, asked, &page, &error))
        fail_msg("%s: %s", text, error.message);
    free(memory);
    return page;
}

static void refuses_list(const char *text, const pb_gcs_list_asked *asked, pb_error_kind kind)
{
    pb_slice body;
    char *memory = body_of(text, &body);
    pb_page *page = NULL;
    pb_error error = {0};
    if (!pb_gcs_parse_list(body, asked, &page, &error))
        fail_msg("%s was taken", text);
    assert_null(page);
    if (error.kind != kind)
        fail_msg("%s: %s", text, error.message);
    free(memory);
}

static void check_slice(pb_slice got, const char *wanted)
{
    if (!pb_slice_equal(got, pb_slice_of(wanted)))
        fail_msg("'%.*s' instead of '%s'", PB_SLICE_FORMAT(got), wanted);
}

/* ---- listings ---- */

static void pages(void **state)
{
    (void)state;
    pb_page *page =
        listed("{" KIND ", 'items': ["
               "{'name': 'p/a', 'size': '5', " TIME ", " MD5 ", " CRC32C ", " GENERATION
               "}, {'name': 'p/\\u00e4/\\ud83d\\udc0b', 'size': '18446744073709551615', " TIME
               ", " CRC32C "}, {'name': 'p/c', 'size': '0', " TIME "}]}",
               &everything);
    assert_int_equal(page->count, 3);
    const pb_entry *entries = page->entries;
    check_slice(entries[0].key, "a");
    check_slice(entries[0].etag, MD5_HEX);
    check_slice(entries[0].version, "1700000000000001/2");
    assert_int_equal(entries[0].size, 5);
    assert_true(entries[0].mtime_ms == INT64_C(1795411249123));
    check_slice(entries[1].key, "\xc3\xa4/\xf0\x9f\x90\x8b");
    check_slice(entries[1].etag, "crc32c-01020304");
    assert_true(entries[1].size == UINT64_MAX);
    check_slice(entries[1].version, "");
    check_slice(entries[2].etag, "");
    assert_false(page->more);
    pb_page_release(page);
}

static void empty_pages(void **state)
{
    (void)state;
    static const char *const empty[] = {"{" KIND "}", "{" KIND ", 'items': []}",
                                        "{" KIND ", 'items': [], 'prefixes': []}"};
    for (size_t i = 0; i < COUNT(empty); i++) {
        pb_page *page = listed(empty[i], &everything);
        assert_int_equal(page->count + page->prefix_count, 0);
        assert_false(page->more);
        pb_page_release(page);
    }
    pb_page *page = listed("{" KIND ", 'nextPageToken': 't'}", &everything);
    assert_true(page->more);
    check_slice(page->token, "t");
    pb_page_release(page);
}

static void prefixes(void **state)
{
    (void)state;
    const pb_gcs_list_asked asked = {.store_prefix = PB_SLICE_LITERAL("p/"),
                                     .prefix = PB_SLICE_LITERAL("a")};
    pb_page *page = listed("{" KIND ", 'prefixes': ['p/a/', 'p/ab/']}", &asked);
    assert_int_equal(page->prefix_count, 2);
    check_slice(page->prefixes[0], "a/");
    check_slice(page->prefixes[1], "ab/");
    pb_page_release(page);
}

static void what_is_not_asked_for_is_left_out(void **state)
{
    (void)state;
    pb_gcs_list_asked asked = everything;
    asked.after = PB_SLICE_LITERAL("a");
    pb_page *page = listed("{" KIND ", 'items': [{'name': 'p/', 'size': '0', " TIME
                           "}, {'name': 'p/a', 'size': '1', " TIME
                           "}, {'name': 'p/a-', 'size': '1', " TIME "}]}",
                           &asked);
    assert_int_equal(page->count, 1);
    check_slice(page->entries[0].key, "a-");
    assert_false(page->has_own);
    pb_page_release(page);
    /* Bytes under the prefix itself are somebody's object. */
    page = listed("{" KIND ", 'items': [{'name': 'p/', 'size': '1', " TIME "}]}", &asked);
    assert_int_equal(page->count, 0);
    assert_true(page->has_own);
    pb_page_release(page);
    /* null is as good as nothing. */
    page = listed("{" KIND ", 'items': null, 'prefixes': null, 'nextPageToken': null}", &asked);
    assert_false(page->more);
    pb_page_release(page);
    /* What nobody reads may be anything. */
    page =
        listed("{ 'x': 1e999999, 'y': [ { 'z': [ -0.5E+7, null ] } ], 'items': [ ],\n\t" KIND " }",
               &asked);
    assert_int_equal(page->count, 0);
    pb_page_release(page);
}

static void a_token_holds_where_it_began(void **state)
{
    (void)state;
    pb_gcs_list_asked asked = everything;
    asked.after = PB_SLICE_LITERAL("began");
    pb_page *page = listed("{" KIND ", 'nextPageToken': 'one'}", &asked);
    check_slice(page->token, "one\nbegan");
    /* The page after it. */
    pb_gcs_list_asked next = everything;
    next.after = PB_SLICE_LITERAL("last key");
    next.token = page->token;
    pb_page *second = listed("{" KIND ", 'nextPageToken': 'two'}", &next);
    check_slice(second->token, "two\nbegan");
    pb_page_release(page);
    next.token = PB_SLICE_LITERAL("one");
    page = listed("{" KIND ", 'nextPageToken': 'two'}", &next);
    check_slice(page->token, "two");
    pb_page_release(page);
    pb_page_release(second);
    refuses_list("{" KIND ", 'nextPageToken': 'a\\nb'}", &asked, PB_ERROR_FAILED);
}

static void hostile_listings(void **state)
{
    (void)state;
    static const char *const broken[] = {"",
                                         "{",
                                         "[]",
                                         "null",
                                         "5",
                                         "'x'",
                                         "{}x",
                                         "{" KIND ", 'items': [",
                                         "<html></html>",
                                         "{" KIND ", " KIND "}",
                                         "{" KIND
                                         ", 'items': [{'name': 'p/\\u0000', 'size': '0'}]}",
                                         "{" KIND ", 'items': [{'name': 'p/\xff'}]}",
                                         "\xef\xbb\xbf{" KIND "}",
                                         "{" KIND ", 'items': [{'name': 'p/\\ud800'}]}"};
    for (size_t i = 0; i < COUNT(broken); i++)
        refuses_list(broken[i], &everything, PB_ERROR_SERVER);
    static const char *const wrong[] = {
        "{}",
        "{'kind': 'storage#object'}",
        "{'kind': 5}",
        "{'error': {'code': 404}}",
        "{" KIND ", 'items': {}}",
        "{" KIND ", 'items': 'p/a'}",
        "{" KIND ", 'prefixes': {'p/a': 1}}",
        "{" KIND ", 'prefixes': [5]}",
        "{" KIND ", 'prefixes': ['q/']}",
        "{" KIND ", 'prefixes': ['p/']}",
        "{" KIND ", 'items': [5]}",
        "{" KIND ", 'items': [[]]}",
        "{" KIND ", 'items': [{}]}",
        "{" KIND ", 'items': [{'name': 5, 'size': '1', " TIME "}]}",
        "{" KIND ", 'items': [{'name': '', 'size': '1', " TIME "}]}",
        "{" KIND ", 'items': [{'name': 'q/a', 'size': '1', " TIME "}]}",
        "{" KIND ", 'items': [{'name': 'p', 'size': '1', " TIME "}]}",
        "{" KIND ", 'items': [{'name': 'p/a', 'size': 1, " TIME "}]}",
        "{" KIND ", 'items': [{'name': 'p/a', 'size': '-1', " TIME "}]}",
        "{" KIND ", 'items': [{'name': 'p/a', 'size': '', " TIME "}]}",
        "{" KIND ", 'items': [{'name': 'p/a', 'size': '18446744073709551616', " TIME "}]}",
        "{" KIND ", 'items': [{'name': 'p/a', 'size': '1e3', " TIME "}]}",
        "{" KIND ", 'items': [{'name': 'p/a', " TIME "}]}",
        "{" KIND ", 'items': [{'name': 'p/a', 'size': '1'}]}",
        "{" KIND ", 'items': [{'name': 'p/a', 'size': '1', 'updated': 5}]}",
        "{" KIND ", 'items': [{'name': 'p/a', 'size': '1', 'updated': 'yesterday'}]}",
    };
    for (size_t i = 0; i < COUNT(wrong); i++)
        refuses_list(wrong[i], &everything, PB_ERROR_FAILED);
    const pb_gcs_list_asked under = {.store_prefix = PB_SLICE_LITERAL("p/"),
                                     .prefix = PB_SLICE_LITERAL("x/")};
    refuses_list("{" KIND ", 'items': [{'name': 'p/a', 'size': '1', " TIME "}]}", &under,
                 PB_ERROR_FAILED);
}

static void a_listing_that_is_cut_off(void **state)
{
    (void)state;
    static const char whole[] = "{" KIND ", 'nextPageToken': 't', 'prefixes': ['p/a/'], 'items': [ "
                                "{'name': 'p/b', 'size': '1', 'x': [{'y': 1}], " TIME "}]}";
    pb_page_release(listed(whole, &everything));
    for (size_t size = 0; size + 1 < sizeof whole; size++) {
        char *text = pb_duplicate((pb_slice){whole, size});
        refuses_list(text, &everything, PB_ERROR_SERVER);
        free(text);
    }
}

static void hostile_sizes(void **state)
{
    (void)state;
    enum { DEEP = 1000 * 1000 };
    /* Nesting. */
    char *text = pb_allocate(DEEP + 1);
    memset(text, '[', DEEP);
    text[DEEP] = '\0';
    refuses_list(text, &everything, PB_ERROR_SERVER);
    for (size_t i = 0; i + 5 <= DEEP; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    refuses_list(text, &everything, PB_ERROR_SERVER);
    free(text);
    /* Names. */
    pb_buffer name = {0};
    pb_buffer_append_text(&name, "{" KIND ", 'items': [{'name': 'p/");
    for (int i = 0; i < 1023; i++)
        pb_buffer_append_char(&name, 'x');
    pb_buffer_append_text(&name, "', 'size': '1', " TIME "}]}");
    refuses_list(name.data, &everything, PB_ERROR_FAILED);
    pb_buffer_free(&name);
    /* A version that is too long is none: nothing is made to depend on a part of it. */
    pb_page *page = listed("{" KIND ", 'items': [{'name': 'p/a', 'size': '1', " TIME
                           ", 'generation': '11111111111111111111111111111111111111111111111111111'"
                           ", 'metageneration': '11111111111'}]}",
                           &everything);
    check_slice(page->entries[0].version, "");
    pb_page_release(page);
}

/* ---- objects ---- */

static int object_of(const char *text, pb_gcs_object *ret_object, pb_buffer *headers,
                     pb_error *error)
{
    pb_slice body;
    char *memory = body_of(text, &body);
    int failed = pb_gcs_parse_object(body, ret_object, headers, error);
    free(memory);
    return failed;
}

static void objects(void **state)
{
    (void)state;
    pb_gcs_object object = {0};
    pb_buffer headers = {0};
    assert_int_equal(object_of("{'size': '7', " TIME ", " MD5 ", " CRC32C
                               ", 'contentType': 'text/x', 'metadata': {'Key': 'v'}}",
                               &object, &headers, NULL),
                     0);
    assert_string_equal(object.etag, MD5_HEX);
    assert_true(object.has_crc32c);
    assert_memory_equal(object.crc32c, "\1\2\3\4", 4);
    assert_int_equal(object.size, 7);
    check_slice(pb_buffer_slice(&headers), "content-type: text/x\nx-amz-meta-Key: v\n");
    pb_buffer_free(&headers);
    /* Hashes that are none are not known; the others still are. */
    static const char *const no_md5[] = {"'md5Hash': 'AAAA'", "'md5Hash': 5", "'md5Hash': '!'",
                                         "'md5Hash': ''",
                                         "'md5Hash': '1B2M2Y8AsgTpgAmY7PhCfg==AAAA'"};
    for (size_t i = 0; i < COUNT(no_md5); i++) {
        char text[256];
        snprintf(text, sizeof text, "{'size': '7', " TIME ", " CRC32C ", %s}", no_md5[i]);
        assert_int_equal(object_of(text, &object, NULL, NULL), 0);
        assert_string_equal(object.etag, "crc32c-01020304");
    }
    assert_int_equal(
        object_of("{'size': '7', " TIME ", 'crc32c': 'AQIDBAU='}", &object, NULL, NULL), 0);
    assert_false(object.has_crc32c);
    assert_string_equal(object.etag, "");
}

static void objects_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        pb_error_kind kind;
    } cases[] = {
        {"", PB_ERROR_SERVER},
        {"[{}]", PB_ERROR_SERVER},
        {"{'size': '7', ", PB_ERROR_SERVER}, /* cut off: worth another try */
        {"{}", PB_ERROR_FAILED},
        {"{'size': '7'}", PB_ERROR_FAILED},
        {"{'size': 7, " TIME "}", PB_ERROR_FAILED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_gcs_object object;
        pb_error error = {0};
        assert_int_equal(object_of(cases[i].text, &object, NULL, &error), -1);
        assert_int_equal(error.kind, cases[i].kind);
    }
}

static void what_a_copy_may_be(void **state)
{
    (void)state;
    const pb_gcs_object both = {.etag = MD5_HEX, .has_crc32c = true, .crc32c = {1, 2, 3, 4}};
    const pb_gcs_object composed = {
        .etag = "crc32c-01020304", .has_crc32c = true, .crc32c = {1, 2, 3, 4}};
    const pb_gcs_object unknown = {.etag = ""};
    const pb_slice md5 = PB_SLICE_LITERAL(MD5_HEX), crc32c = PB_SLICE_LITERAL("crc32c-01020304");
    const pb_slice other_md5 = PB_SLICE_LITERAL("d41d8cd98f00b204e9800998ecf84270");
    const pb_slice other_crc32c = PB_SLICE_LITERAL("crc32c-01020305"), nothing = {NULL, 0};
    assert_true(pb_gcs_object_may_be(&both, md5));
    assert_true(pb_gcs_object_may_be(&both, crc32c)); /* the copy is one piece, and has an MD5 */
    assert_false(pb_gcs_object_may_be(&both, other_md5));
    assert_false(pb_gcs_object_may_be(&both, other_crc32c));
    assert_true(pb_gcs_object_may_be(&composed, crc32c));
    assert_false(pb_gcs_object_may_be(&composed, other_crc32c));
    assert_true(pb_gcs_object_may_be(&composed, md5)); /* nothing to compare */
    assert_true(pb_gcs_object_may_be(&unknown, md5));
    assert_true(pb_gcs_object_may_be(&unknown, crc32c));
    assert_true(pb_gcs_object_may_be(&both, nothing));
}

/* ---- rewrites and errors ---- */

static void rewrites(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int failed;
        pb_error_kind kind;
        bool done;
        const char *token;
        uint64_t bytes;
    } cases[] = {
        {"{'done': false, 'rewriteToken': 'tok', 'totalBytesRewritten': '1048576'}", 0,
         PB_ERROR_NONE, false, "tok", 1048576},
        {"{'done': false, 'rewriteToken': 'tok'}", 0, PB_ERROR_NONE, false, "tok", 0},
        {"{'done': false, 'rewriteToken': 'tok', 'totalBytesRewritten': -1}", 0, PB_ERROR_NONE,
         false, "tok", 0},
        {"{'done': true, 'resource': {'size': '1', " TIME ", " MD5 "}, 'rewriteToken': 'tok'}", 0,
         PB_ERROR_NONE, true, "", 0},
        {"{'done': true}", -1, PB_ERROR_FAILED, true, "", 0},
        {"{'done': true, 'resource': []}", -1, PB_ERROR_FAILED, true, "", 0},
        {"{'done': 'true', 'resource': {'size': '1', " TIME "}}", -1, PB_ERROR_FAILED, false, "",
         0},
        {"{'done': false, 'rewriteToken': ''}", -1, PB_ERROR_FAILED, false, "", 0},
        {"{'done': false, 'rewriteToken': 5}", -1, PB_ERROR_FAILED, false, "", 0},
        {"{}", -1, PB_ERROR_FAILED, false, "", 0},
        {"{'done': true, 'resource': {'size': '1'", -1, PB_ERROR_SERVER, false, "", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_slice body;
        char *memory = body_of(cases[i].text, &body);
        bool done = false;
        uint64_t bytes = 0;
        pb_gcs_object object = {0};
        pb_buffer token = {0};
        pb_error error = {0};
        assert_int_equal(pb_gcs_parse_rewrite(body, &done, &object, &bytes, &token, &error),
                         cases[i].failed);
        assert_int_equal(error.kind, cases[i].kind);
        assert_int_equal(done, cases[i].done);
        assert_int_equal(bytes, cases[i].bytes);
        check_slice(pb_buffer_slice(&token), cases[i].token);
        pb_buffer_free(&token);
        free(memory);
    }
}

static void errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason, *message;
    } cases[] = {
        {"{'error': {'code': 404, 'message': 'No', 'errors': [{'reason': 'notFound'}, "
         "{'reason': 'second'}]}}",
         "notFound", "No"},
        {"{'error': {'message': 'No'}}", "", "No"},
        {"{'error': {'message': 5, 'errors': {}}}", "", ""},
        {"{'error': {'errors': [5]}}", "", ""},
        {"{'error': 'invalid_grant'}", "", ""},
        {"{'error': ['x']}", "", ""},
        {"<Error><Code>x</Code></Error>", "", ""},
        {"{'error': {'message': 'cut", "", ""},
        {"", "", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_slice body;
        char *memory = body_of(cases[i].text, &body);
        pb_buffer reason = {0}, message = {0};
        pb_gcs_parse_error(body, &reason, &message);
        check_slice(pb_buffer_slice(&reason), cases[i].reason);
        check_slice(pb_buffer_slice(&message), cases[i].message);
        pb_buffer_free(&reason);
        pb_buffer_free(&message);
        free(memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages),
        cmocka_unit_test(empty_pages),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(what_is_not_asked_for_is_left_out),
        cmocka_unit_test(a_token_holds_where_it_began),
        cmocka_unit_test(hostile_listings),
        cmocka_unit_test(a_listing_that_is_cut_off),
        cmocka_unit_test(hostile_sizes),
        cmocka_unit_test(objects),
        cmocka_unit_test(objects_that_are_none),
        cmocka_unit_test(what_a_copy_may_be),
        cmocka_unit_test(rewrites),
        cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
