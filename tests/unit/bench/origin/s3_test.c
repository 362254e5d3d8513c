/* The small pure parts: operations of requests, ETags, ranges, XML, the signature header, the
 * queue. */
#include "base/codec.h"
#include "base/random.h"
#include "bench/origin/delay_queue.h"
#include "bench/origin/s3_answer.h"
#include "bench/origin/s3_operations.h"
#include "bench/origin/signature.h"
#include "bench/origin/xml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_slice(pb_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data ? slice.data : "", text, slice.size);
}

static void finds_operations(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *operation;
        const char *bucket;
        const char *key;
    } cases[] = {
        {"GET /", "ListBuckets", "", ""},
        {"GET /b", "ListObjects", "b", ""},
        {"GET /b/?list-type=2&prefix=x", "ListObjectsV2", "b", ""},
        {"GET /b?location", "GetBucketLocation", "b", ""},
        {"GET /b?uploads", "ListMultipartUploads", "b", ""},
        {"GET /b?acl", "NotImplemented", "b", ""},
        {"HEAD /b/", "HeadBucket", "b", ""},
        {"PUT /b", "CreateBucket", "b", ""},
        {"DELETE /b", "DeleteBucket", "b", ""},
        {"POST /b?delete", "DeleteObjects", "b", ""},
        {"POST /b", "NotImplemented", "b", ""},
        {"GET /b/a%20+b//%2e./", "GetObject", "b", "a +b//../"},
        {"GET /b/k?x-id=GetObject", "GetObject", "b", "k"},
        {"GET /b/k?tagging", "GetObjectTagging", "b", "k"},
        {"PUT /b/k?tagging", "NotImplemented", "b", "k"},
        {"GET /b/k?acl", "NotImplemented", "b", "k"},
        {"HEAD /b/k", "HeadObject", "b", "k"},
        {"PUT /b/k", "PutObject", "b", "k"},
        {"DELETE /b/k", "DeleteObject", "b", "k"},
        {"POST /b/k?uploads", "CreateMultipartUpload", "b", "k"},
        {"PUT /b/k?partNumber=1&uploadId=u", "UploadPart", "b", "k"},
        {"POST /b/k?uploadId=u", "CompleteMultipartUpload", "b", "k"},
        {"DELETE /b/k?uploadId=u", "AbortMultipartUpload", "b", "k"},
        {"GET /b/k?uploadId=u", "ListParts", "b", "k"},
        {"GET /?origin-statistics", "origin-statistics", "", ""},
        {"PUT /?origin-faults", "origin-faults", "", ""},
        {"PATCH /b/k", "MethodNotAllowed", "b", "k"},
        {"GET /b/%4", "BadRequest", "", ""},
        {"GET /b/k?a=%zz", "BadRequest", "", ""},
    };
    pb_origin_s3_request s3 = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char head[256];
        pb_origin_request request;
        int size = snprintf(head, sizeof(head), "%s HTTP/1.1\r\n\r\n", cases[i].line);
        assert_int_equal(pb_origin_request_parse(head, (size_t)size, &request), 0);
        pb_origin_s3_request_read(&s3, &request, NULL);
        assert_string_equal(pb_origin_operation_name(s3.operation), cases[i].operation);
        assert_slice(s3.bucket, cases[i].bucket);
        assert_slice(s3.key, cases[i].key);
    }
    char head[] = "PUT /k%2Fl HTTP/1.1\r\nHost: my.bucket.s3.test:9000\r\n"
                  "x-amz-copy-source: b/k\r\n\r\n";
    pb_origin_request request;
    assert_int_equal(pb_origin_request_parse(head, sizeof(head) - 1, &request), 0);
    pb_origin_s3_request_read(&s3, &request, "s3.test");
    assert_int_equal(s3.operation, PB_ORIGIN_COPY_OBJECT);
    assert_slice(s3.bucket, "my.bucket");
    assert_slice(s3.key, "k/l");
    pb_origin_s3_request_free(&s3);
}

static void splits_copy_sources(void **state)
{
    (void)state;
    char memory[64];
    pb_slice bucket;
    pb_slice key;
    assert_true(pb_origin_copy_source(PB_SLICE_LITERAL("/b/a%20+%3F/"), memory, &bucket, &key));
    assert_slice(bucket, "b");
    assert_slice(key, "a +?/");
    assert_true(
        pb_origin_copy_source(PB_SLICE_LITERAL("b%2Fk?versionId=null"), memory, &bucket, &key));
    assert_slice(key, "k");
    assert_false(pb_origin_copy_source(PB_SLICE_LITERAL("b"), memory, &bucket, &key));
    assert_false(pb_origin_copy_source(PB_SLICE_LITERAL("b/"), memory, &bucket, &key));
    assert_false(pb_origin_copy_source(PB_SLICE_LITERAL("//k"), memory, &bucket, &key));
    assert_false(pb_origin_copy_source(PB_SLICE_LITERAL("b/k%1"), memory, &bucket, &key));
    assert_false(pb_origin_copy_source(PB_SLICE_LITERAL("b/k?versionId=7"), memory, &bucket, &key));
    assert_false(pb_origin_copy_source((pb_slice){NULL, 0}, memory, &bucket, &key));
}

static void makes_multipart_etags(void **state)
{
    (void)state;
    /* Two parts "a" and "b": the MD5 of both digests, as AWS has it. */
    uint8_t md5s[2][PB_MD5_BYTES];
    uint8_t md5[PB_MD5_BYTES];
    char text[PB_ORIGIN_ETAG_TEXT_MAX];
    assert_true(pb_hex_decode(PB_SLICE_LITERAL("0cc175b9c0f1b6a831c399e269772661"), md5s[0], 16));
    assert_true(pb_hex_decode(PB_SLICE_LITERAL("92eb5ffee6ae2fec3ad71c777531578f"), md5s[1], 16));
    pb_origin_multipart_md5((const uint8_t(*)[PB_MD5_BYTES])md5s, 2, md5);
    assert_int_equal(pb_origin_etag_text(md5, 2, text), 34);
    assert_string_equal(text, "96e024ba2074fe77e8e965ba43a704be-2");
    assert_true(pb_origin_etag_matches(pb_slice_of(text), md5, 2));
    assert_true(pb_origin_etag_matches(PB_SLICE_LITERAL("\"x\", *"), md5, 2));
    assert_false(pb_origin_etag_matches(pb_slice_of(text), md5, 0));
    assert_false(pb_origin_etag_matches((pb_slice){"", 0}, md5, 2));
}

static void reads_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t size;
        int result;
        uint64_t offset;
        uint64_t range;
    } cases[] = {
        {"bytes=0-0", 10, 1, 0, 1},
        {"bytes=2-", 10, 1, 2, 8},
        {"bytes=-3", 10, 1, 7, 3},
        {"bytes=-30", 10, 1, 0, 10},
        {"bytes=5-500", 10, 1, 5, 5},
        {"bytes=10-", 10, -1, 0, 0},
        {"bytes=-0", 10, -1, 0, 0},
        {"bytes=0-", 0, -1, 0, 0},
        {"bytes=3-2", 10, 0, 0, 10},
        {"bytes=1-2,4-5", 10, 0, 0, 10},
        {"bytes=-", 10, 0, 0, 10},
        {"lines=1-2", 10, 0, 0, 10},
        {"bytes=0-18446744073709551615", 10, 1, 0, 10},
        {"bytes=99999999999999999999-", 10, 0, 0, 10},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t offset;
        uint64_t size;
        int result =
            pb_origin_read_range(pb_slice_of(cases[i].text), cases[i].size, &offset, &size);
        assert_int_equal(result, cases[i].result);
        if (result >= 0) {
            assert_int_equal(offset, cases[i].offset);
            assert_int_equal(size, cases[i].range);
        }
    }
}

static pb_origin_xml_event scan(const char *text, pb_buffer *ret_trace)
{
    pb_origin_xml_scanner scanner = {.rest = pb_slice_of(text)};
    pb_origin_xml_event event;
    pb_buffer_clear(ret_trace);
    do {
        event = pb_origin_xml_next(&scanner);
        if (event == PB_ORIGIN_XML_TEXT) {
            pb_buffer_append_slice(ret_trace, pb_buffer_slice(&scanner.text));
        } else if (event == PB_ORIGIN_XML_OPEN || event == PB_ORIGIN_XML_CLOSE) {
            pb_buffer_append_text(ret_trace, event == PB_ORIGIN_XML_OPEN ? "[" : "]");
            pb_buffer_append_slice(ret_trace, scanner.name);
            pb_buffer_append_text(ret_trace, " ");
        }
    } while (event != PB_ORIGIN_XML_END && event != PB_ORIGIN_XML_MALFORMED);
    pb_buffer_free(&scanner.text);
    return event;
}

static void scans_xml(void **state)
{
    (void)state;
    pb_buffer trace = {0};
    assert_int_equal(scan("\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- <a> --><s:A xmlns='x>y'><B/>"
                          "<C >a&amp;&#38;&#x20ac;&lt;</C ></s:A>\n",
                          &trace),
                     PB_ORIGIN_XML_END);
    assert_string_equal(trace.data, "[A [B ]B [C a&&\xe2\x82\xac<]C ]A ");
    static const char *const bad[] = {
        "",
        "x",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "</a>",
        "<a",
        "<a b='>",
        "<>",
        "< a/>",
        "<a>&nope;</a>",
        "<a>&amp</a>",
        "<a>&#0;</a>",
        "<a>&#xd800;</a>",
        "<a>&#x110000;</a>",
        "<a>&#;</a>",
        "<a>&#x;</a>",
        "<!DOCTYPE a><a/>",
        "<a><![CDATA[x]]></a>",
        "<!-- ",
        "<? ",
        "<a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>",
        "<a><b</a>",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (scan(bad[i], &trace) != PB_ORIGIN_XML_MALFORMED) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
    }
    pb_buffer_clear(&trace);
    pb_origin_xml_escape(&trace, PB_SLICE_LITERAL("a<&>\"\x01'\r"));
    assert_string_equal(trace.data, "a&lt;&amp;&gt;&quot;&#x1;'&#xd;");
    pb_buffer_free(&trace);
}

static void takes_authorization_apart(void **state)
{
    (void)state;
    pb_origin_signature signature;
    static const char good[] = "AWS4-HMAC-SHA256 Credential=AK/20261123/us-east-1/s3/aws4_request, "
                               "SignedHeaders=host;x-amz-date,Signature="
                               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    assert_true(pb_origin_signature_parse(pb_slice_of(good), &signature));
    assert_slice(signature.access_key, "AK");
    assert_slice(signature.date, "20261123");
    assert_slice(signature.region, "us-east-1");
    assert_slice(signature.signed_headers, "host;x-amz-date");
    assert_false(pb_origin_signature_parse((pb_slice){NULL, 0}, &signature));
    assert_false(pb_origin_signature_parse(PB_SLICE_LITERAL("AWS AK:x"), &signature));
    for (size_t size = 0; size < sizeof(good) - 1; size++) {
        assert_false(pb_origin_signature_parse((pb_slice){good, size}, &signature));
    }
}

static void takes_lines_of_keys(void **state)
{
    (void)state;
    static const char *const good[] = {"", "A S", "A S T", "A S - 5", "A S T 5\n", "A S\n\nB T\n"};
    static const char *const bad[] = {
        "A", "A ", " S", "A S T x", "A S T 5 6", "A S\nB", "A S T 99999999999999999999"};
    pb_origin_signer *signer = pb_origin_signer_new("K", "S");
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(pb_origin_signer_replace(signer, pb_slice_of(good[i]), NULL), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(pb_origin_signer_replace(signer, pb_slice_of(bad[i]), NULL), -1);
    }
    pb_origin_signer_free(signer);
}

static void delays_leave_in_order(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static pb_origin_delay delays[COUNT];
    pb_origin_delay_queue queue = {0};
    pb_random random = {1};
    for (int i = 0; i < COUNT; i++) {
        pb_origin_delay_queue_add(&queue, &delays[i], pb_random_below(&random, 100));
    }
    for (int i = 0; i < COUNT; i += 3) {
        pb_origin_delay_queue_remove(&queue, &delays[i]);
        assert_true(delays[i].position == PB_ORIGIN_NOT_QUEUED);
    }
    uint64_t due_ms = 0;
    uint64_t sequence = 0;
    int left = 0;
    for (pb_origin_delay *first; (first = pb_origin_delay_queue_first(&queue)); left++) {
        assert_true(first->due_ms > due_ms ||
                    (first->due_ms == due_ms && (left == 0 || first->sequence > sequence)));
        due_ms = first->due_ms;
        sequence = first->sequence;
        pb_origin_delay_queue_remove(&queue, first);
    }
    assert_int_equal(left, COUNT - (COUNT + 2) / 3);
    pb_origin_delay_queue_free(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_operations),
        cmocka_unit_test(splits_copy_sources),
        cmocka_unit_test(makes_multipart_etags),
        cmocka_unit_test(reads_ranges),
        cmocka_unit_test(scans_xml),
        cmocka_unit_test(takes_authorization_apart),
        cmocka_unit_test(takes_lines_of_keys),
        cmocka_unit_test(delays_leave_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
