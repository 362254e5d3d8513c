#include "copier/store/s3/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define PLAIN "s3://bucket/pre fix?endpoint=http://minio:9000"
#define TLS "s3://bucket"
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* 2026-11-23T05:20:49Z */
static const int64_t now_ms = INT64_C(1795411249000);

typedef struct fixture {
    pb_location location;
    pb_s3_endpoint endpoint;
    pb_s3_signer *signer;
    pb_s3_request_frame frame;
    pb_s3_request request;
    pb_http_attempt attempt;
} fixture;

static void set_up(fixture *f, const char *url)
{
    memset(f, 0, sizeof *f);
    assert_int_equal(pb_location_parse(url, &f->location, NULL), 0);
    pb_s3_endpoint_make(&f->location, "eu-west-1", &f->endpoint);
    f->signer = pb_s3_signer_new("AKID", "secret", "s3");
    f->frame = (pb_s3_request_frame){.endpoint = &f->endpoint,
                                     .source_path = PB_SLICE_LITERAL("/from/a%20b/"),
                                     .signer = f->signer,
                                     .now_ms = now_ms};
}

static void tear_down(fixture *f)
{
    pb_s3_request_free(&f->request);
    pb_s3_signer_free(f->signer);
    pb_s3_endpoint_free(&f->endpoint);
    pb_location_free(&f->location);
}

static void build(fixture *f, const pb_store_request *asked)
{
    pb_error error = {0};
    pb_s3_request_restart(&f->request);
    memset(&f->attempt, 0, sizeof f->attempt);
    if (pb_s3_request_build(&f->request, asked, &f->frame, &f->attempt, &error))
        fail_msg("%s", error.message);
}

/* The value of a header, NULL where it is not sent. */
static const char *header(const fixture *f, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < f->attempt.header_count; i++)
        if (strncmp(f->attempt.headers[i], name, size) == 0 &&
            strncmp(f->attempt.headers[i] + size, ": ", 2) == 0)
            return f->attempt.headers[i] + size + 2;
    return NULL;
}

static void check_header(const fixture *f, const char *name, const char *value)
{
    const char *got = header(f, name);
    if (!got)
        fail_msg("%s is missing", name);
    assert_string_equal(got, value);
}

static bool is_sent(const fixture *f, const char *line)
{
    for (size_t i = 0; i < f->attempt.header_count; i++)
        if (strcmp(f->attempt.headers[i], line) == 0)
            return true;
    return false;
}

static void check_signed(const fixture *f, const char *names)
{
    char wanted[512];
    snprintf(wanted, sizeof wanted, "SignedHeaders=%s, Signature=", names);
    const char *authorization = header(f, "authorization");
    assert_non_null(authorization);
    if (!strstr(authorization, wanted))
        fail_msg("%s in %s", wanted, authorization);
}

static void builds_targets(void **state)
{
    (void)state;
    static const pb_slice keys[] = {{"k&", 2}, {"l", 1}};
#define ODD_KEY                                                                                    \
    {                                                                                              \
        "a+b/\xc3\xa4?&=%#<>\"'/ .. //", 22                                                        \
    }
    static const struct {
        pb_store_request asked;
        const char *method, *target, *tls_target;
    } cases[] = {
        {{.operation = PB_STORE_CHECK}, "HEAD", "/bucket", "/"},
        {{.operation = PB_STORE_LIST},
         "GET",
         "/bucket?encoding-type=url&list-type=2&max-keys=1000&prefix=pre%20fix%2F",
         "/?encoding-type=url&list-type=2&max-keys=1000"},
        {{.operation = PB_STORE_LIST,
          .list = {.prefix = {"a/", 2}, .after = {"a/b c", 5}, .delimiter = '/', .keys_max = 7}},
         "GET",
         "/bucket?delimiter=%2F&encoding-type=url&list-type=2&max-keys=7&prefix=pre%20fix%2Fa%2F&"
         "start-after=pre%20fix%2Fa%2Fb%20c",
         "/?delimiter=%2F&encoding-type=url&list-type=2&max-keys=7&prefix=a%2F&"
         "start-after=a%2Fb%20c"},
        {{.operation = PB_STORE_LIST,
          .list = {.after = {"a", 1}, .token = {"t=/+", 4}, .keys_max = 5000}},
         "GET",
         "/bucket?continuation-token=t%3D%2F%2B&encoding-type=url&list-type=2&max-keys=1000&"
         "prefix=pre%20fix%2F",
         "/?continuation-token=t%3D%2F%2B&encoding-type=url&list-type=2&max-keys=1000"},
        {{.operation = PB_STORE_HEAD, .key = ODD_KEY},
         "HEAD",
         "/bucket/pre%20fix/a%2Bb/%C3%A4%3F%26%3D%25%23%3C%3E%22%27/%20..%20//",
         "/a%2Bb/%C3%A4%3F%26%3D%25%23%3C%3E%22%27/%20..%20//"},
        {{.operation = PB_STORE_HEAD, .key = {"k", 1}, .part_number = 1},
         "HEAD",
         "/bucket/pre%20fix/k?partNumber=1",
         "/k?partNumber=1"},
        {{.operation = PB_STORE_GET, .key = {"../..", 5}},
         "GET",
         "/bucket/pre%20fix/../..",
         "/../.."},
        {{.operation = PB_STORE_PUT, .key = {"/", 1}}, "PUT", "/bucket/pre%20fix//", "//"},
        {{.operation = PB_STORE_COPY, .key = {"\x01", 1}, .source_key = {"s", 1}},
         "PUT",
         "/bucket/pre%20fix/%01",
         "/%01"},
        {{.operation = PB_STORE_DELETE, .keys = keys, .key_count = 1},
         "DELETE",
         "/bucket/pre%20fix/k%26",
         "/k%26"},
        {{.operation = PB_STORE_DELETE, .keys = keys, .key_count = 2},
         "POST",
         "/bucket?delete=",
         "/?delete="},
        {{.operation = PB_STORE_MULTIPART_CREATE, .key = {"k", 1}},
         "POST",
         "/bucket/pre%20fix/k?uploads=",
         "/k?uploads="},
        {{.operation = PB_STORE_MULTIPART_PUT,
          .key = {"k", 1},
          .part_number = 10000,
          .upload_id = {"u/+=", 4}},
         "PUT",
         "/bucket/pre%20fix/k?partNumber=10000&uploadId=u%2F%2B%3D",
         "/k?partNumber=10000&uploadId=u%2F%2B%3D"},
        {{.operation = PB_STORE_MULTIPART_COPY,
          .key = {"k", 1},
          .source_key = {"s", 1},
          .part_number = 1,
          .upload_id = {"u", 1}},
         "PUT",
         "/bucket/pre%20fix/k?partNumber=1&uploadId=u",
         "/k?partNumber=1&uploadId=u"},
        {{.operation = PB_STORE_MULTIPART_COMPLETE, .key = {"k", 1}, .upload_id = {"u", 1}},
         "POST",
         "/bucket/pre%20fix/k?uploadId=u",
         "/k?uploadId=u"},
        {{.operation = PB_STORE_MULTIPART_ABORT, .key = {"k", 1}, .upload_id = {"u", 1}},
         "DELETE",
         "/bucket/pre%20fix/k?uploadId=u",
         "/k?uploadId=u"},
    };
    fixture plain, tls;
    set_up(&plain, PLAIN);
    set_up(&tls, TLS);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_string_equal(pb_s3_method(&cases[i].asked), cases[i].method);
        build(&plain, &cases[i].asked);
        assert_string_equal(plain.attempt.target, cases[i].target);
        assert_string_equal(plain.attempt.base_url, "http://minio:9000");
        build(&tls, &cases[i].asked);
        assert_string_equal(tls.attempt.target, cases[i].tls_target);
        assert_string_equal(tls.attempt.base_url, "https://bucket.s3.eu-west-1.amazonaws.com");
        assert_true(tls.attempt.header_count >= 3);
    }
    tear_down(&plain);
    tear_down(&tls);
}

static void says_crc32cs(void **state)
{
    (void)state;
    static const uint8_t crc32cs[][PB_CRC32C_BYTES] = {{0xe3, 0x06, 0x92, 0x83}, {0}};
    static const char etags[][PB_ETAG_TEXT_MAX] = {"aa", "bb"};
    fixture f;
    set_up(&f, PLAIN);
    pb_store_request create = {
        .operation = PB_STORE_MULTIPART_CREATE, .key = {"k", 1}, .parts_have_crc32c = true};
    build(&f, &create);
    check_header(&f, "x-amz-checksum-algorithm", "CRC32C");
    check_header(&f, "x-amz-checksum-type", "FULL_OBJECT");
    check_signed(&f, "host;x-amz-checksum-algorithm;x-amz-checksum-type;x-amz-content-sha256;"
                     "x-amz-date");
    static const pb_store_operation operations[] = {PB_STORE_PUT, PB_STORE_MULTIPART_PUT};
    for (size_t i = 0; i < COUNT(operations); i++) {
        pb_store_request put = {.operation = operations[i],
                                .key = {"k", 1},
                                .upload_id = {"u", 1},
                                .part_number = 1,
                                .body = PB_SLICE_LITERAL("123456789"),
                                .body_crc32c = crc32cs[0]};
        build(&f, &put);
        check_header(&f, "x-amz-checksum-crc32c", "4waSgw==");
        check_header(&f, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
        check_signed(&f, "host;x-amz-checksum-crc32c;x-amz-content-sha256;x-amz-date");
        put.body.size = 0;
        put.body_crc32c = crc32cs[1];
        build(&f, &put);
        check_header(&f, "x-amz-checksum-crc32c", "AAAAAA==");
        check_header(&f, "x-amz-content-sha256", EMPTY_SHA256);
    }
    pb_store_request complete = {.operation = PB_STORE_MULTIPART_COMPLETE,
                                 .key = {"k", 1},
                                 .upload_id = {"u", 1},
                                 .part_etags = etags,
                                 .part_crc32cs = crc32cs,
                                 .part_count = 2};
    build(&f, &complete);
    assert_true(pb_slice_equal(
        f.attempt.body,
        PB_SLICE_LITERAL("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
                         "<ETag>&quot;aa&quot;</ETag><ChecksumCRC32C>4waSgw==</ChecksumCRC32C>"
                         "</Part><Part><PartNumber>2</PartNumber><ETag>&quot;bb&quot;</ETag>"
                         "<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part>"
                         "</CompleteMultipartUpload>")));
    tear_down(&f);
}

static void agrees_to_pay(void **state)
{
    (void)state;
    static const pb_slice key = {"k", 1};
    static const pb_store_request requests[] = {
        {.operation = PB_STORE_CHECK},
        {.operation = PB_STORE_LIST},
        {.operation = PB_STORE_HEAD, .key = {"k", 1}},
        {.operation = PB_STORE_GET, .key = {"k", 1}},
        {.operation = PB_STORE_PUT, .key = {"k", 1}},
        {.operation = PB_STORE_COPY, .key = {"k", 1}, .source_key = {"k", 1}},
        {.operation = PB_STORE_DELETE, .keys = &key, .key_count = 1},
        {.operation = PB_STORE_MULTIPART_CREATE, .key = {"k", 1}},
    };
    fixture f;
    set_up(&f, PLAIN);
    f.frame.source_path = PB_SLICE_LITERAL("/bucket/");
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        f.frame.requester_pays = false;
        build(&f, &requests[i]);
        assert_null(header(&f, "x-amz-request-payer"));
        f.frame.requester_pays = true;
        build(&f, &requests[i]);
        check_header(&f, "x-amz-request-payer", "requester");
        assert_non_null(strstr(header(&f, "authorization"), ";x-amz-request-payer"));
    }
    tear_down(&f);
}

/* A store may ask for it after the first attempt, whose payload is kept. */
static void sends_an_md5_where_it_is_asked_for(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, PLAIN);
    pb_store_request put = {.operation = PB_STORE_PUT,
                            .key = PB_SLICE_LITERAL("k"),
                            .body = PB_SLICE_LITERAL("123456789")};
    build(&f, &put);
    assert_null(header(&f, "content-md5"));
    f.frame.content_md5 = true;
    assert_int_equal(pb_s3_request_build(&f.request, &put, &f.frame, &f.attempt, NULL), 0);
    check_header(&f, "content-md5", "JfnnlDI7RTiF9RgfG2JNCw==");
    check_signed(&f, "content-md5;host;x-amz-content-sha256;x-amz-date");
    put.operation = PB_STORE_MULTIPART_PUT;
    put.upload_id = PB_SLICE_LITERAL("u");
    put.part_number = 1;
    put.body.size = 0;
    build(&f, &put);
    check_header(&f, "content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==");
    pb_store_request create = {.operation = PB_STORE_MULTIPART_CREATE,
                               .key = PB_SLICE_LITERAL("k")};
    build(&f, &create);
    assert_null(header(&f, "content-md5"));
    tear_down(&f);
}

static void signs_what_it_sends(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, PLAIN);
    f.frame.session_token = PB_SLICE_LITERAL("token");
    pb_store_request get = {.operation = PB_STORE_GET,
                            .key = PB_SLICE_LITERAL("k"),
                            .offset = 10,
                            .length = 5,
                            .if_match = PB_SLICE_LITERAL("abc-2")};
    build(&f, &get);
    assert_int_equal(f.attempt.header_count, 7);
    check_header(&f, "accept-encoding", "gzip"); /* not signed, see below */
    check_header(&f, "range", "bytes=10-14");
    check_header(&f, "if-match", "\"abc-2\"");
    check_header(&f, "x-amz-content-sha256", EMPTY_SHA256);
    check_header(&f, "x-amz-date", "20261123T052049Z");
    check_header(&f, "x-amz-security-token", "token");
    check_signed(&f, "host;if-match;range;x-amz-content-sha256;x-amz-date;x-amz-security-token");
    assert_non_null(strstr(header(&f, "authorization"),
                           "Credential=AKID/20261123/eu-west-1/s3/aws4_request, "));

    f.frame.signer = NULL;
    build(&f, &get);
    assert_int_equal(f.attempt.header_count, 3);
    f.frame.no_gzip = true;
    build(&f, &get);
    assert_int_equal(f.attempt.header_count, 2);
    tear_down(&f);
}

static void says_ranges(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, TLS);
    static const struct {
        uint64_t offset, length;
        const char *range;
    } cases[] = {
        {0, 0, NULL},
        {0, 1, "bytes=0-0"},
        {7, 0, "bytes=7-"},
        {UINT64_C(5368709120), UINT64_C(8388608), "bytes=5368709120-5377097727"},
        {UINT64_MAX, 1, "bytes=18446744073709551615-18446744073709551615"},
        {UINT64_MAX, 2, "bytes=18446744073709551615-"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_store_request get = {.operation = PB_STORE_GET,
                                .key = PB_SLICE_LITERAL("k"),
                                .offset = cases[i].offset,
                                .length = cases[i].length};
        build(&f, &get);
        if (cases[i].range)
            check_header(&f, "range", cases[i].range);
        else
            assert_null(header(&f, "range"));
    }
    tear_down(&f);
}

static void says_what_the_body_is(void **state)
{
    (void)state;
    static const char hello_sha256[] =
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    uint8_t ones[PB_SHA256_BYTES];
    char ones_text[65];
    memset(ones, 0x11, sizeof ones);
    memset(ones_text, '1', 64);
    ones_text[64] = '\0';
    pb_store_request put = {.operation = PB_STORE_PUT,
                            .key = PB_SLICE_LITERAL("k"),
                            .body = PB_SLICE_LITERAL("hello"),
                            .create_only = true};
    fixture plain, tls;
    set_up(&plain, PLAIN);
    set_up(&tls, TLS);
    build(&plain, &put);
    check_header(&plain, "x-amz-content-sha256", hello_sha256);
    check_header(&plain, "if-none-match", "*");
    assert_true(pb_slice_equal(plain.attempt.body, PB_SLICE_LITERAL("hello")));
    build(&tls, &put);
    check_header(&tls, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    plain.frame.unsigned_payload = true;
    build(&plain, &put);
    check_header(&plain, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    put.body_sha256 = ones;
    build(&plain, &put);
    check_header(&plain, "x-amz-content-sha256", ones_text);
    build(&tls, &put);
    check_header(&tls, "x-amz-content-sha256", ones_text);
    check_signed(&tls, "host;if-none-match;x-amz-content-sha256;x-amz-date");
    tear_down(&plain);
    tear_down(&tls);
}

static void copies(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, TLS);
    pb_store_request copy = {.operation = PB_STORE_COPY,
                             .key = PB_SLICE_LITERAL("k"),
                             .source_key = PB_SLICE_LITERAL("s +\xc3\xa4/"),
                             .if_match = PB_SLICE_LITERAL("etag")};
    build(&f, &copy);
    check_header(&f, "x-amz-copy-source", "/from/a%20b/s%20%2B%C3%A4/");
    check_header(&f, "x-amz-copy-source-if-match", "\"etag\"");
    assert_null(header(&f, "if-match"));
    assert_null(header(&f, "x-amz-copy-source-range"));
    assert_int_equal(f.attempt.body.size, 0);
    check_signed(&f, "host;x-amz-content-sha256;x-amz-copy-source;x-amz-copy-source-if-match;"
                     "x-amz-date");
    pb_store_request part = {.operation = PB_STORE_MULTIPART_COPY,
                             .key = PB_SLICE_LITERAL("k"),
                             .source_key = PB_SLICE_LITERAL("s"),
                             .upload_id = PB_SLICE_LITERAL("u"),
                             .part_number = 2,
                             .offset = 100,
                             .length = 50};
    build(&f, &part);
    check_header(&f, "x-amz-copy-source-range", "bytes=100-149");
    assert_null(header(&f, "range"));
    part.length = 0; /* no end to a part's range */
    assert_int_equal(pb_s3_request_build(&f.request, &part, &f.frame, &f.attempt, NULL), -1);
    part.offset = 0;
    build(&f, &part);
    assert_null(header(&f, "x-amz-copy-source-range"));
    tear_down(&f);
}

static void writes_bodies(void **state)
{
    (void)state;
    static const pb_slice keys[] = {
        {"a&<>\"'b", 7}, {"\t\r\n", 3}, {"\xc3\xa4/\xf0\x9f\x98\x80", 7}};
    fixture f;
    set_up(&f, PLAIN);
    pb_store_request delete = {.operation = PB_STORE_DELETE, .keys = keys, .key_count = 3};
    build(&f, &delete);
    const char *wanted = "<Delete><Quiet>true</Quiet>"
                         "<Object><Key>pre fix/a&amp;&lt;&gt;&quot;'b</Key></Object>"
                         "<Object><Key>pre fix/&#9;&#13;&#10;</Key></Object>"
                         "<Object><Key>pre fix/\xc3\xa4/\xf0\x9f\x98\x80</Key></Object></Delete>";
    assert_true(pb_slice_equal(f.attempt.body, pb_slice_of(wanted)));
    assert_int_equal(strlen(header(&f, "content-md5")), 24);
    assert_non_null(strstr(header(&f, "content-md5"), "=="));
    check_signed(&f, "content-md5;host;x-amz-content-sha256;x-amz-date");
    /* A second attempt sends the same again. */
    pb_http_attempt again = {0};
    assert_int_equal(pb_s3_request_build(&f.request, &delete, &f.frame, &again, NULL), 0);
    assert_true(pb_slice_equal(again.body, pb_slice_of(wanted)));

    static const char etags[2][PB_ETAG_TEXT_MAX] = {"e1", "a&b"};
    pb_store_request complete = {.operation = PB_STORE_MULTIPART_COMPLETE,
                                 .key = PB_SLICE_LITERAL("k"),
                                 .upload_id = PB_SLICE_LITERAL("u"),
                                 .part_etags = etags,
                                 .part_count = 2};
    build(&f, &complete);
    assert_true(pb_slice_equal(
        f.attempt.body,
        PB_SLICE_LITERAL("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;e1"
                         "&quot;</ETag></Part><Part><PartNumber>2</PartNumber><ETag>&quot;a&amp;b"
                         "&quot;</ETag></Part></CompleteMultipartUpload>")));
    tear_down(&f);
}

static void knows_the_md5_of_a_body(void **state)
{
    (void)state;
    static const pb_slice keys[] = {{"a", 1}, {"b", 1}};
    fixture f;
    set_up(&f, TLS);
    pb_store_request delete = {.operation = PB_STORE_DELETE, .keys = keys, .key_count = 2};
    build(&f, &delete);
    /* printf '<Delete>...' | openssl md5 -binary | base64 */
    check_header(&f, "content-md5", "+eqeRor0T9igEFCV7Q/+YQ==");
    tear_down(&f);
}

static void sends_an_objects_own_headers(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, TLS);
    pb_store_request put = {
        .operation = PB_STORE_PUT,
        .key = PB_SLICE_LITERAL("k"),
        .object_headers = PB_SLICE_LITERAL("x-amz-meta-b: two  words\ncontent-type: text/plain\n"
                                           "x-amz-meta-empty: \nx-amz-meta-a: 1"),
    };
    build(&f, &put);
    check_header(&f, "content-type", "text/plain");
    check_header(&f, "x-amz-meta-a", "1");
    check_header(&f, "x-amz-meta-b", "two  words");
    check_signed(&f, "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-meta-b;"
                     "x-amz-meta-empty");
    assert_true(is_sent(&f, "x-amz-meta-empty;")); /* libcurl's way to say "x-amz-meta-empty:" */
    put.operation = PB_STORE_MULTIPART_CREATE;
    build(&f, &put);
    check_header(&f, "content-type", "text/plain");
    put.operation = PB_STORE_COPY; /* keeps those of its source */
    put.source_key = PB_SLICE_LITERAL("s");
    build(&f, &put);
    assert_null(header(&f, "content-type"));
    tear_down(&f);
}

static void refuses(const fixture *f, const pb_store_request *asked)
{
    pb_s3_request request = {0};
    pb_http_attempt attempt = {0};
    pb_error error = {0};
    assert_int_equal(pb_s3_request_build(&request, asked, &f->frame, &attempt, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    pb_s3_request_free(&request);
}

static void refuses_what_can_not_be_said(void **state)
{
    (void)state;
    static const char *const headers[] = {"x-amz-acl: public-read\n",
                                          "authorization: x\n",
                                          "content-type:x\n",
                                          "content-type\n",
                                          "x-amz-meta-a: b\rc\n",
                                          "x-amz-meta-a: \x01\n",
                                          "x-amz-meta-: x\n",
                                          ": x\n",
                                          "\n",
                                          "x-amz-meta-a b: x\n",
                                          "x-amz-meta-a:b: x\n"};
    static const pb_slice unfit[] = {{"a", 1}, {"\x01", 1}}, empty[] = {{"", 0}, {"a", 1}};
    fixture f;
    set_up(&f, PLAIN);
    for (size_t i = 0; i < COUNT(headers); i++)
        refuses(&f, &(pb_store_request){.operation = PB_STORE_PUT,
                                        .key = PB_SLICE_LITERAL("k"),
                                        .object_headers = pb_slice_of(headers[i])});
    pb_buffer many = {0};
    for (int i = 0; i < PB_HTTP_HEADERS_MAX; i++)
        pb_buffer_append_format(&many, "x-amz-meta-%d: x\n", i);
    refuses(&f, &(pb_store_request){.operation = PB_STORE_PUT,
                                    .key = PB_SLICE_LITERAL("k"),
                                    .object_headers = pb_buffer_slice(&many)});
    pb_buffer_free(&many);
    /* An empty key would be the bucket. */
    static const pb_store_operation of_keys[] = {PB_STORE_HEAD, PB_STORE_GET, PB_STORE_PUT,
                                                 PB_STORE_MULTIPART_CREATE};
    for (size_t i = 0; i < COUNT(of_keys); i++)
        refuses(&f, &(pb_store_request){.operation = of_keys[i]});
    refuses(&f, &(pb_store_request){.operation = PB_STORE_DELETE, .keys = empty, .key_count = 1});
    refuses(&f, &(pb_store_request){.operation = PB_STORE_DELETE, .keys = empty, .key_count = 2});
    refuses(&f, &(pb_store_request){.operation = PB_STORE_DELETE});
    refuses(&f, &(pb_store_request){.operation = PB_STORE_DELETE, .keys = unfit, .key_count = 2});
    refuses(&f, &(pb_store_request){.operation = PB_STORE_COPY, .key = PB_SLICE_LITERAL("k")});
    char long_key[1025];
    memset(long_key, 'k', sizeof long_key);
    refuses(&f, &(pb_store_request){.operation = PB_STORE_PUT, .key = {long_key, 1017}});
    pb_store_request fits = {.operation = PB_STORE_PUT, .key = {long_key, 1016}};
    build(&f, &fits);
    refuses(&f, &(pb_store_request){.operation = PB_STORE_GET,
                                    .key = PB_SLICE_LITERAL("k"),
                                    .if_match = PB_SLICE_LITERAL("a\r\nX: y")});
    tear_down(&f);
}

static void knows_what_xml_can_hold(void **state)
{
    (void)state;
    static const char *const fit[] = {"a", "\t\n\r", "\x7f", "\xef\xbf\xbd", "\xf0\x9f\x98\x80"};
    static const char *const unfit[] = {"\x01",         "a\x1f", "\xef\xbf\xbe",
                                        "\xef\xbf\xbf", "\xff",  "\xed\xa0\x80"};
    for (size_t i = 0; i < COUNT(fit); i++)
        assert_true(pb_s3_key_fits_xml(pb_slice_of(fit[i])));
    for (size_t i = 0; i < COUNT(unfit); i++)
        assert_false(pb_s3_key_fits_xml(pb_slice_of(unfit[i])));
    assert_false(pb_s3_key_fits_xml((pb_slice){"\0", 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_targets),
        cmocka_unit_test(says_crc32cs),
        cmocka_unit_test(agrees_to_pay),
        cmocka_unit_test(sends_an_md5_where_it_is_asked_for),
        cmocka_unit_test(signs_what_it_sends),
        cmocka_unit_test(says_ranges),
        cmocka_unit_test(says_what_the_body_is),
        cmocka_unit_test(copies),
        cmocka_unit_test(writes_bodies),
        cmocka_unit_test(knows_the_md5_of_a_body),
        cmocka_unit_test(sends_an_objects_own_headers),
        cmocka_unit_test(refuses_what_can_not_be_said),
        cmocka_unit_test(knows_what_xml_can_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
