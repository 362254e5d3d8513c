#include "copier/store/gcs/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define OBJECT_ESCAPED "name%2Csize%2Cupdated%2Cgeneration%2Cmetageneration%2Cmd5Hash%2Ccrc32c"
#define SESSION "/upload/storage/v1/b/bucket/o?uploadType=resumable&upload_id=AbC-1_2"

static const uint8_t crc32c[PB_CRC32C_BYTES] = {0x01, 0x02, 0x03, 0x04}; /* AQIDBA== */

typedef struct fixture {
    pb_gcs_request_frame frame;
    pb_gcs_request request;
    pb_http_attempt attempt;
} fixture;

static int set_up(void **state)
{
    fixture *f = pb_allocate_zeroed(1, sizeof *f);
    f->frame = (pb_gcs_request_frame){
        .base_url = "https://storage.googleapis.com",
        .bucket = PB_SLICE_LITERAL("bucket"),
        .prefix = PB_SLICE_LITERAL("pre fix/"),
        .source_bucket = PB_SLICE_LITERAL("from"),
        .source_prefix = PB_SLICE_LITERAL("of/"),
        .bearer_token = PB_SLICE_LITERAL("ya29.secret"),
    };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    pb_gcs_request_free(&f->request);
    free(f);
    return 0;
}

static void build(fixture *f, const pb_store_request *asked)
{
    pb_error error = {0};
    memset(&f->attempt, 0, sizeof f->attempt);
    if (pb_gcs_request_build(&f->request, asked, &f->frame, &f->attempt, &error))
        fail_msg("%s", error.message);
    assert_string_equal(f->attempt.base_url, "https://storage.googleapis.com");
}

/* What an object is to blame for fails that object alone: FAILED. */
static void refuses(fixture *f, const pb_store_request *asked, pb_error_kind kind)
{
    pb_error error = {0};
    assert_int_equal(pb_gcs_request_build(&f->request, asked, &f->frame, &f->attempt, &error), -1);
    assert_int_equal(error.kind, kind);
    assert_null(strstr(error.message, "ya29"));
}

/* All headers, in order. */
static void check_headers(const fixture *f, size_t count, const char *const *wanted)
{
    for (size_t i = 0; i < count && i < f->attempt.header_count; i++)
        assert_string_equal(f->attempt.headers[i], wanted[i]);
    assert_int_equal(f->attempt.header_count, count);
}

#define CHECK_HEADERS(f, ...)                                                                      \
    check_headers(f, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                       \
                  (const char *[]){__VA_ARGS__})
#define BEARER "Authorization: Bearer ya29.secret"

static void check_body(const fixture *f, const char *wanted)
{
    assert_int_equal(f->attempt.body.size, strlen(wanted));
    assert_memory_equal(f->attempt.body.data, wanted, strlen(wanted));
}

/* ---- reads ---- */

static void listings(void **state)
{
    fixture *f = *state;
    pb_store_request asked = {.operation = PB_STORE_LIST};
    build(f, &asked);
    assert_string_equal(
        f->attempt.target,
        "/storage/v1/b/bucket/o?fields=kind%2CnextPageToken%2Cprefixes%2Citems%28" OBJECT_ESCAPED
        "%29&maxResults=1000&prefix=pre%20fix%2F");
    CHECK_HEADERS(f, BEARER);
    assert_int_equal(f->attempt.body.size, 0);
    assert_string_equal(pb_gcs_method(&asked, PB_GCS_STAGE_ONLY), "GET");
    asked.list.prefix = PB_SLICE_LITERAL("a&b");
    asked.list.after = PB_SLICE_LITERAL("a&b/\xc3\xa4+ ");
    asked.list.delimiter = '/';
    asked.list.keys_max = 7;
    f->frame.user_project = PB_SLICE_LITERAL("who-pays");
    build(f, &asked);
    /* One more than asked for: the store shows the key to begin after as well. */
    assert_string_equal(strstr(f->attempt.target, "&delimiter"),
                        "&delimiter=%2F&maxResults=8&prefix=pre%20fix%2Fa%26b&startOffset=pre%20fix"
                        "%2Fa%26b%2F%C3%A4%2B%20&userProject=who-pays");
    asked.list.keys_max = 1000;
    build(f, &asked);
    assert_non_null(strstr(f->attempt.target, "&maxResults=1000&"));
    asked.list.keys_max = 5000;
    build(f, &asked);
    assert_non_null(strstr(f->attempt.target, "&maxResults=1000&"));
}

static void a_token_keeps_its_start(void **state)
{
    fixture *f = *state;
    pb_store_request asked = {.operation = PB_STORE_LIST};
    asked.list.after = PB_SLICE_LITERAL("the last key of the page");
    asked.list.token = PB_SLICE_LITERAL("tok/en\nwhere it began");
    asked.list.keys_max = 1;
    build(f, &asked);
    assert_string_equal(strstr(f->attempt.target, "&maxResults"),
                        "&maxResults=1&prefix=pre%20fix%2F&pageToken=tok%2Fen&startOffset=pre%20fix"
                        "%2Fwhere%20it%20began");
    asked.list.token = PB_SLICE_LITERAL("token");
    build(f, &asked);
    assert_string_equal(strstr(f->attempt.target, "&maxResults"),
                        "&maxResults=1&prefix=pre%20fix%2F&pageToken=token");
}

static void checks_are_listings_of_one(void **state)
{
    fixture *f = *state;
    f->frame.prefix = (pb_slice){NULL, 0};
    f->frame.bearer_token = (pb_slice){NULL, 0};
    const pb_store_request asked = {.operation = PB_STORE_CHECK};
    build(f, &asked);
    assert_string_equal(f->attempt.target,
                        "/storage/v1/b/bucket/o?fields=nextPageToken&maxResults=1");
    assert_int_equal(f->attempt.header_count, 0);
}

static void heads_and_gets(void **state)
{
    fixture *f = *state;
    pb_store_request asked = {.operation = PB_STORE_HEAD,
                              .key = PB_SLICE_LITERAL("a/b?c#%2F\xc3\xa4 ")};
#define PATH "/storage/v1/b/bucket/o/pre%20fix%2Fa%2Fb%3Fc%23%252F%C3%A4%20"
    build(f, &asked);
    assert_string_equal(f->attempt.target, PATH
                        "?fields=" OBJECT_ESCAPED "%2CcontentType%2CcacheControl%2CcontentDispo"
                        "sition%2CcontentEncoding%2CcontentLanguage%2Cmetadata");
    asked.if_version = PB_SLICE_LITERAL("1700000000000001/3");
    build(f, &asked);
    assert_non_null(strstr(f->attempt.target, PATH "?ifGenerationMatch=1700000000000001&fields="));
    asked.operation = PB_STORE_GET;
    build(f, &asked);
    assert_string_equal(f->attempt.target, PATH "?alt=media&ifGenerationMatch=1700000000000001");
    CHECK_HEADERS(f, BEARER, "Accept-Encoding: gzip");
    asked.if_version = (pb_slice){NULL, 0};
    asked.offset = 5;
    build(f, &asked);
    assert_string_equal(f->attempt.target, PATH "?alt=media");
    CHECK_HEADERS(f, BEARER, "Accept-Encoding: gzip", "Range: bytes=5-");
    asked.length = 10;
    build(f, &asked);
    CHECK_HEADERS(f, BEARER, "Accept-Encoding: gzip", "Range: bytes=5-14");
    asked.offset = UINT64_MAX;
    build(f, &asked);
    CHECK_HEADERS(f, BEARER, "Accept-Encoding: gzip", "Range: bytes=18446744073709551615-");
    asked.offset = 0;
    asked.length = 1;
    build(f, &asked);
    CHECK_HEADERS(f, BEARER, "Accept-Encoding: gzip", "Range: bytes=0-0");
}

/* ---- writes ---- */

static void a_put_is_one_request(void **state)
{
    fixture *f = *state;
    pb_store_request asked = {
        .operation = PB_STORE_PUT, .key = PB_SLICE_LITERAL("k"), .body = PB_SLICE_LITERAL("bytes")};
    f->frame.body_crc32c = crc32c;
    assert_false(pb_gcs_needs_session(&asked));
    assert_string_equal(pb_gcs_method(&asked, PB_GCS_STAGE_ONLY), "POST");
    build(f, &asked);
    assert_string_equal(
        f->attempt.target,
        "/upload/storage/v1/b/bucket/o?uploadType=media&name=pre%20fix%2Fk&fields=" OBJECT_ESCAPED);
    CHECK_HEADERS(f, BEARER, "Content-Type: application/octet-stream",
                  "X-Goog-Hash: crc32c=AQIDBA==");
    check_body(f, "bytes");
    asked.object_headers = PB_SLICE_LITERAL("content-type: text/plain; charset=utf-8\n");
    asked.create_only = true;
    assert_false(pb_gcs_needs_session(&asked));
    build(f, &asked);
    assert_non_null(strstr(f->attempt.target, "&ifGenerationMatch=0"));
    CHECK_HEADERS(f, BEARER, "Content-Type: text/plain; charset=utf-8",
                  "X-Goog-Hash: crc32c=AQIDBA==");
}

static void metadata_begins_an_upload(void **state)
{
    fixture *f = *state;
    pb_store_request asked = {
        .operation = PB_STORE_PUT,
        .key = PB_SLICE_LITERAL("k"),
        .body = PB_SLICE_LITERAL("bytes"),
        .create_only = true,
        .object_headers = PB_SLICE_LITERAL("content-type: text/x\ncache-control: no-store\n"
                                           "x-amz-meta-a: \"1\"\\\nx-amz-meta-b: \xc3\xa4\n")};
    f->frame.body_crc32c = crc32c;
    f->frame.stage = PB_GCS_STAGE_SESSION;
    assert_true(pb_gcs_needs_session(&asked));
    assert_string_equal(pb_gcs_method(&asked, PB_GCS_STAGE_ONLY), "POST");
    build(f, &asked);
    assert_string_equal(f->attempt.target,
                        "/upload/storage/v1/b/bucket/o?uploadType=resumable&name=pre%20fix%2Fk&"
                        "fields=" OBJECT_ESCAPED "&ifGenerationMatch=0");
    CHECK_HEADERS(f, BEARER, "Content-Type: application/json");
    check_body(f, "{\"contentType\":\"text/x\",\"cacheControl\":\"no-store\",\"metadata\":"
                  "{\"a\":\"\\\"1\\\"\\\\\",\"b\":\"\xc3\xa4\"}}");
    /* The body of the request before is not sent along. */
    asked.operation = PB_STORE_MULTIPART_CREATE;
    asked.object_headers = (pb_slice){NULL, 0};
    asked.create_only = false;
    f->frame.stage = PB_GCS_STAGE_ONLY;
    build(f, &asked);
    assert_string_equal(f->attempt.target,
                        "/upload/storage/v1/b/bucket/o?uploadType=resumable&name=pre%20fix%2Fk&"
                        "fields=" OBJECT_ESCAPED);
    check_body(f, "{}");
}

static void chunks(void **state)
{
    fixture *f = *state;
    static char bytes[2 * PB_GCS_CHUNK_BYTES];
    pb_store_request asked = {.operation = PB_STORE_MULTIPART_PUT,
                              .key = PB_SLICE_LITERAL("k"),
                              .upload_id = PB_SLICE_LITERAL(SESSION),
                              .body = {bytes, sizeof bytes},
                              .part_offset = 8 * 1024 * 1024,
                              .object_crc32c = crc32c};
    f->frame.user_project = PB_SLICE_LITERAL("who-pays"); /* the session knows */
    assert_string_equal(pb_gcs_method(&asked, PB_GCS_STAGE_ONLY), "PUT");
    build(f, &asked);
    assert_string_equal(f->attempt.target, SESSION);
    /* Before the last chunk neither the length of the whole nor its digest is said. */
    CHECK_HEADERS(f, BEARER, "Content-Range: bytes 8388608-8912895/*");
    assert_ptr_equal(f->attempt.body.data, bytes);
    asked.part_last = true;
    build(f, &asked);
    CHECK_HEADERS(f, BEARER, "Content-Range: bytes 8388608-8912895/8912896",
                  "X-Goog-Hash: crc32c=AQIDBA==");
    assert_ptr_equal(f->attempt.body.data, bytes);
    assert_int_equal(f->attempt.body.size, sizeof bytes);
    /* All is there, but the object is not made. */
    asked.part_offset += sizeof bytes;
    asked.body.size = 0;
    build(f, &asked);
    CHECK_HEADERS(f, BEARER, "Content-Range: bytes */8912896", "X-Goog-Hash: crc32c=AQIDBA==");
    f->frame.stage = PB_GCS_STAGE_POSITION;
    build(f, &asked);
    assert_string_equal(f->attempt.target, SESSION);
    CHECK_HEADERS(f, BEARER, "Content-Range: bytes */*");
    assert_int_equal(f->attempt.body.size, 0);
}

static void an_empty_object_is_an_upload_too(void **state)
{
    fixture *f = *state;
    const pb_store_request asked = {.operation = PB_STORE_MULTIPART_PUT,
                                    .upload_id = PB_SLICE_LITERAL(SESSION),
                                    .part_last = true,
                                    .object_crc32c = crc32c};
    build(f, &asked);
    CHECK_HEADERS(f, BEARER, "Content-Range: bytes */0", "X-Goog-Hash: crc32c=AQIDBA==");
}

static void uploads_end(void **state)
{
    fixture *f = *state;
    pb_store_request asked = {.operation = PB_STORE_MULTIPART_COMPLETE,
                              .key = PB_SLICE_LITERAL("k"),
                              .upload_id = PB_SLICE_LITERAL(SESSION),
                              .upload_bytes = 16 * 1024 * 1024,
                              .object_crc32c = crc32c};
    build(f, &asked);
    assert_string_equal(f->attempt.target, SESSION);
    assert_string_equal(pb_gcs_method(&asked, PB_GCS_STAGE_ONLY), "PUT");
    CHECK_HEADERS(f, BEARER, "Content-Range: bytes */16777216", "X-Goog-Hash: crc32c=AQIDBA==");
    asked.operation = PB_STORE_MULTIPART_ABORT;
    build(f, &asked);
    assert_string_equal(f->attempt.target, SESSION);
    assert_string_equal(pb_gcs_method(&asked, PB_GCS_STAGE_ONLY), "DELETE");
    CHECK_HEADERS(f, BEARER);
}

static void copies(void **state)
{
    fixture *f = *state;
    pb_store_request asked = {.operation = PB_STORE_COPY,
                              .key = PB_SLICE_LITERAL("to/x"),
                              .source_key = PB_SLICE_LITERAL("from/y")};
    build(f, &asked);
#define REWRITE                                                                                    \
    "/storage/v1/b/from/o/of%2Ffrom%2Fy/rewriteTo/b/bucket/o/pre%20fix%2Fto%2Fx?fields=done%2C"    \
    "rewriteToken%2CtotalBytesRewritten%2Cresource%28" OBJECT_ESCAPED "%29"
    assert_string_equal(f->attempt.target, REWRITE);
    assert_string_equal(pb_gcs_method(&asked, PB_GCS_STAGE_ONLY), "POST");
    assert_int_equal(f->attempt.body.size, 0); /* a resource would replace the source's metadata */
    asked.if_version = PB_SLICE_LITERAL("17/1");
    asked.create_only = true;
    f->frame.rewrite_token = PB_SLICE_LITERAL("a+b/c=");
    f->frame.user_project = PB_SLICE_LITERAL("p");
    build(f, &asked);
    assert_string_equal(f->attempt.target,
                        REWRITE "&ifSourceGenerationMatch=17&ifGenerationMatch=0&rewriteToken="
                                "a%2Bb%2Fc%3D&userProject=p");
}

static void a_copy_of_certain_bytes_looks_at_its_source(void **state)
{
    fixture *f = *state;
    pb_store_request asked = {.operation = PB_STORE_COPY,
                              .key = PB_SLICE_LITERAL("to/x"),
                              .source_key = PB_SLICE_LITERAL("from/y")};
    assert_false(pb_gcs_needs_source(&asked));
    asked.if_match = PB_SLICE_LITERAL("0123");
    assert_true(pb_gcs_needs_source(&asked));
    f->frame.stage = PB_GCS_STAGE_SOURCE;
    build(f, &asked);
    assert_string_equal(f->attempt.target,
                        "/storage/v1/b/from/o/of%2Ffrom%2Fy?fields=" OBJECT_ESCAPED);
    assert_string_equal(pb_gcs_method(&asked, PB_GCS_STAGE_SOURCE), "GET");
    asked.if_version = PB_SLICE_LITERAL("17/1");
    assert_false(pb_gcs_needs_source(&asked)); /* a rewrite has a condition for that */
}

static void deletes(void **state)
{
    fixture *f = *state;
    const pb_slice keys[] = {PB_SLICE_LITERAL("a b"), PB_SLICE_LITERAL("second")};
    const pb_store_request asked = {
        .operation = PB_STORE_DELETE, .keys = keys, .key_count = 1, .if_version = {"1/1", 3}};
    build(f, &asked);
    assert_string_equal(f->attempt.target, "/storage/v1/b/bucket/o/pre%20fix%2Fa%20b");
    assert_string_equal(pb_gcs_method(&asked, PB_GCS_STAGE_ONLY), "DELETE");
}

/* ---- what cannot be asked ---- */

static void keys_that_cannot_be(void **state)
{
    fixture *f = *state;
    static char longest[PB_GCS_NAME_BYTES_MAX];
    memset(longest, 'x', sizeof longest);
    const size_t room = sizeof longest - strlen("pre fix/");
    const pb_slice bad[] = {{NULL, 0},
                            PB_SLICE_LITERAL("a\nb"),
                            PB_SLICE_LITERAL("a\rb"),
                            PB_SLICE_LITERAL("\xff"),
                            PB_SLICE_LITERAL("\xed\xa0\x80"),
                            {longest, room + 1}};
    static const pb_store_operation operations[] = {PB_STORE_HEAD, PB_STORE_GET, PB_STORE_PUT,
                                                    PB_STORE_COPY, PB_STORE_MULTIPART_CREATE};
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_error_kind kind = bad[i].size ? PB_ERROR_FAILED : PB_ERROR_USAGE;
        for (size_t j = 0; j < COUNT(operations); j++) {
            const pb_store_request asked = {
                .operation = operations[j], .key = bad[i], .source_key = PB_SLICE_LITERAL("good")};
            refuses(f, &asked, kind);
        }
        const pb_store_request copy = {
            .operation = PB_STORE_COPY, .key = PB_SLICE_LITERAL("good"), .source_key = bad[i]};
        refuses(f, &copy, kind);
        const pb_store_request delete = {
            .operation = PB_STORE_DELETE, .keys = &bad[i], .key_count = 1};
        refuses(f, &delete, kind);
    }
    const pb_store_request fits = {.operation = PB_STORE_HEAD, .key = {longest, room}};
    build(f, &fits);
}

static void headers_that_are_none_of_an_objects(void **state)
{
    fixture *f = *state;
    static const char *const bad[] = {"host: evil\n", "no colon\ncontent-type: x\n",
                                      "content-type: x\nx-amz-meta-: empty name\n",
                                      "x-amz-meta-a: \xff\n", "x-amz-acl: public-read\n"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        const pb_store_request asked = {.operation = PB_STORE_MULTIPART_CREATE,
                                        .key = PB_SLICE_LITERAL("k"),
                                        .object_headers = pb_slice_of(bad[i])};
        refuses(f, &asked, strchr(bad[i], '\xff') ? PB_ERROR_FAILED : PB_ERROR_USAGE);
    }
    const pb_store_request none = {.operation = PB_STORE_MULTIPART_COPY, .key = {"k", 1}};
    refuses(f, &none, PB_ERROR_USAGE);
}

static void a_request_after_a_longer_one_has_nothing_of_it(void **state)
{
    fixture *f = *state;
    const pb_store_request asked = {.operation = PB_STORE_GET, .key = PB_SLICE_LITERAL("k")};
    f->frame.bearer_token = PB_SLICE_LITERAL("a-token-that-is-much-longer-than-the-one-after-it");
    build(f, &asked);
    f->frame.bearer_token = PB_SLICE_LITERAL("short");
    build(f, &asked);
    CHECK_HEADERS(f, "Authorization: Bearer short", "Accept-Encoding: gzip");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(listings),
        TEST(a_token_keeps_its_start),
        TEST(checks_are_listings_of_one),
        TEST(heads_and_gets),
        TEST(a_put_is_one_request),
        TEST(metadata_begins_an_upload),
        TEST(chunks),
        TEST(an_empty_object_is_an_upload_too),
        TEST(uploads_end),
        TEST(copies),
        TEST(a_copy_of_certain_bytes_looks_at_its_source),
        TEST(deletes),
        TEST(keys_that_cannot_be),
        TEST(headers_that_are_none_of_an_objects),
        TEST(a_request_after_a_longer_one_has_nothing_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
