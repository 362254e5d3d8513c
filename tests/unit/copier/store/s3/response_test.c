#include "copier/store/s3/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "copier/store/store.h"
#include "tests/support/both_list_readers.h"
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define LIST XML "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define END "</ListBucketResult>"
#define TIME "<LastModified>2026-11-23T05:20:49.123Z</LastModified>"
#define REST TIME "<Size>1</Size></Contents>"
#define LAST "<IsTruncated>false</IsTruncated>"
#define URL "<EncodingType>url</EncodingType>"

static pb_s3_parser *parser;

static int open_parser(void **state)
{
    (void)state;
    parser = pb_s3_parser_new();
    return 0;
}

static int close_parser(void **state)
{
    (void)state;
    pb_s3_parser_free(parser);
    return 0;
}

/* Parses a copy of exactly that size, so that a sanitizer sees a read past it; through both
 * readers, which must not differ. */
static int parse_list(pb_slice body, const pb_s3_list_asked *asked, pb_page **ret_page,
                      pb_error *error)
{
    char *copy = malloc(body.size ? body.size : 1);
    assert_non_null(copy);
    if (body.size)
        memcpy(copy, body.data, body.size);
    const char *difference;
    int failed = parse_list_both_ways(parser, (pb_slice){copy, body.size}, asked, ret_page, error,
                                      &difference);
    if (difference)
        fail_msg("the readers differ in %s: %.*s", difference, PB_SLICE_FORMAT(body));
    free(copy);
    return failed;
}

static pb_page *listed(const char *text, const pb_s3_list_asked *asked)
{
    static const pb_s3_list_asked anything = {0};
    pb_page *page = NULL;
    pb_error error = {0};
    if (parse_list(pb_slice_of(text), asked ? asked : &anything, &page, &error))
        fail_msg("%s", error.message);
    return page;
}

static void refuses_list(const char *text, const pb_s3_list_asked *asked, pb_error_kind kind)
{
    static const pb_s3_list_asked anything = {0};
    pb_page *page = NULL;
    pb_error error = {0};
    if (!parse_list(pb_slice_of(text), asked ? asked : &anything, &page, &error))
        fail_msg("%s was taken", text);
    assert_null(page);
    if (error.kind != kind)
        fail_msg("%s: %s", text, error.message);
}

static void check_slice(pb_slice got, const char *wanted)
{
    if (!pb_slice_equal(got, pb_slice_of(wanted)))
        fail_msg("%.*s, not %s", PB_SLICE_FORMAT(got), wanted);
}

static void reads_a_list_of_aws(void **state)
{
    (void)state;
    pb_page *page = listed(
        LIST "<Name>bucket</Name><Prefix>a%2F</Prefix><NextContinuationToken>1ueGc+/=&amp;x"
             "</NextContinuationToken><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys>" URL
             "<IsTruncated>true</IsTruncated>"
             "<Contents><Key>a/b+c%2Bd</Key>" TIME
             "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag>"
             "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><Size>8388608</Size>"
             "<Owner><ID>x</ID><Key>not this</Key></Owner><StorageClass>STANDARD</StorageClass>"
             "</Contents>\n  "
             "<Contents><Key>a/%C3%A4%0A%00%26</Key><LastModified>2026-11-23T05:20:49Z"
             "</LastModified><ETag>W/&quot;x&quot;</ETag><Size>18446744073709551615</Size>"
             "</Contents>" END,
        NULL);
    assert_int_equal(page->count, 2);
    check_slice(page->entries[0].key, "a/b c+d");
    check_slice(page->entries[0].etag, "9e107d9d372bb6826bd81d3542a419d6");
    assert_true(page->entries[0].size == 8388608);
    assert_true(page->entries[0].mtime_ms == INT64_C(1795411249123));
    assert_true(pb_slice_equal(page->entries[1].key, (pb_slice){"a/\xc3\xa4\n\0&", 7}));
    assert_int_equal(page->entries[1].etag.size, 0);
    assert_true(page->entries[1].size == UINT64_MAX);
    assert_null(page->entries[0].record);
    assert_true(page->more);
    check_slice(page->token, "1ueGc+/=&x");
    pb_page_release(page);
}

static void reads_a_list_of_minio(void **state)
{
    (void)state;
    /* The encoding is told at the end; quotes are numeric. */
    pb_page *page = listed(" \r\n" LIST "<Name>b</Name><Prefix></Prefix><KeyCount>1</KeyCount>"
                           "<IsTruncated>true</IsTruncated><Contents><Key>a%2Fb</Key>" TIME
                           "<ETag>&#34;e-2&#34;</ETag><Size>0</Size></Contents>"
                           "<CommonPrefixes><Prefix>c%2F</Prefix></CommonPrefixes>"
                           "<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>" URL END,
                           NULL);
    assert_int_equal(page->count, 1);
    check_slice(page->entries[0].key, "a/b");
    check_slice(page->entries[0].etag, "e-2");
    assert_int_equal(page->prefix_count, 2);
    check_slice(page->prefixes[0], "c/");
    check_slice(page->prefixes[1], "d/");
    assert_true(page->more);
    assert_int_equal(page->token.size, 0); /* the last key continues it */
    pb_page_release(page);
}

static void reads_a_list_of_ceph(void **state)
{
    (void)state;
    /* Keys are encoded, token and echo are not. */
    const char *text =
        LIST "<StartAfter>\x01&#x01;&#27;</StartAfter><IsTruncated>true</IsTruncated>"
             "<NextContinuationToken>a\x02\xEF\xBF\xBF</NextContinuationToken>"
             "<Contents><Key>a%02%EF%BF%BF</Key>" TIME
             "<ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>" URL END;
    pb_page *page = listed(text, NULL);
    assert_int_equal(page->count, 1);
    check_slice(page->entries[0].key, "a\x02\xEF\xBF\xBF");
    assert_true(page->more);
    assert_int_equal(page->token.size, 0); /* it is not what the store gave */
    pb_page_release(page);
    /* Where keys are not encoded, nothing is made up. */
    refuses_list(LIST "<IsTruncated>false</IsTruncated><Contents><Key>a\x02</Key>" TIME
                      "<ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>" END,
                 NULL, PB_ERROR_FAILED);
}

static void leaves_keys_as_they_are_without_encoding(void **state)
{
    (void)state;
    pb_page *page =
        listed(LIST LAST "<Contents><Key>a+b%20&lt;&amp;<![CDATA[<x>]]></Key>" REST END, NULL);
    check_slice(page->entries[0].key, "a+b%20<&<x>");
    assert_false(page->more);
    pb_page_release(page);
    page = listed(LIST LAST END, NULL);
    assert_int_equal(page->count, 0);
    pb_page_release(page);
}

static void holds_keys_to_what_was_asked(void **state)
{
    (void)state;
    pb_s3_list_asked asked = {
        .store_prefix = PB_SLICE_LITERAL("s p/"),
        .prefix = PB_SLICE_LITERAL("a/"),
    };
    pb_page *page = listed(LIST LAST URL "<Contents><Key>s+p/a/l</Key>" REST END, &asked);
    check_slice(page->entries[0].key, "a/l");
    pb_page_release(page);
    static const char *const outside[] = {"s+p/b", "t", "s+p/a", "s+p/"};
    char text[1024];
    for (size_t i = 0; i < COUNT(outside); i++) {
        snprintf(text, sizeof text, LIST LAST URL "<Contents><Key>%s</Key>" REST END, outside[i]);
        refuses_list(text, &asked, PB_ERROR_FAILED);
    }
    refuses_list(LIST LAST "<CommonPrefixes><Prefix>t/</Prefix></CommonPrefixes>" END, &asked,
                 PB_ERROR_FAILED);
    page =
        listed(LIST LAST "<CommonPrefixes><Prefix>s p/a/b/</Prefix></CommonPrefixes>" END, &asked);
    check_slice(page->prefixes[0], "a/b/");
    pb_page_release(page);
}

static void leaves_out_the_folders_own_marker(void **state)
{
    (void)state;
    pb_s3_list_asked asked = {.store_prefix = PB_SLICE_LITERAL("s/")};
    pb_page *page = listed(LIST LAST "<Contents><Key>s/</Key>" TIME "<Size>0</Size></Contents>"
                                     "<Contents><Key>s/a</Key>" REST END,
                           &asked);
    assert_int_equal(page->count, 1);
    check_slice(page->entries[0].key, "a");
    assert_false(page->has_own);
    pb_page_release(page);
    page = listed(LIST LAST "<Contents><Key>s/</Key>" REST "<Contents><Key>s/a</Key>" REST END,
                  &asked);
    assert_int_equal(page->count, 1);
    assert_true(page->has_own);
    pb_page_release(page);
}

static void refuses_lists_that_break_the_protocol(void **state)
{
    (void)state;
    static const char *const cases[] = {
        XML "<ListAllMyBucketsResult/>",
        "<html><p>502 Bad Gateway</html>",
        XML "<Error><Code>SlowDown</Code></Error>",
        XML "<x><ListBucketResult>" LAST "</ListBucketResult></x>",
        LIST END,
        LIST "<IsTruncated>maybe</IsTruncated>" END,
        LIST "<IsTruncated>true</IsTruncated>" END,
        LIST LAST LAST END,
        LIST LAST "<EncodingType>base64</EncodingType>" END,
        LIST LAST "<Contents>" REST END,
        LIST LAST "<Contents/>" END,
        LIST LAST "<Contents><Key/>" REST END,
        LIST LAST "<Contents><Key>a</Key><Key>b</Key>" REST END,
        LIST LAST "<Contents><Key>a<b/></Key>" REST END,
        LIST LAST "<Contents><Key>a</Key><Size>1</Size></Contents>" END,
        LIST LAST "<Contents><Key>a</Key>" TIME "</Contents>" END,
        LIST LAST "<Contents><Key>a</Key>" TIME "<Size>-1</Size></Contents>" END,
        LIST LAST "<Contents><Key>a</Key>" TIME "<Size> 1</Size></Contents>" END,
        LIST LAST "<Contents><Key>a</Key>" TIME "<Size>18446744073709551616</Size></Contents>" END,
        LIST LAST "<Contents><Key>a</Key><LastModified>today</LastModified><Size>1</Size>"
                  "</Contents>" END,
        LIST LAST "<Contents><Key>a</Key><ETag>a&#x1F600;</ETag>" REST END,
        LIST LAST "<Contents><Key>a</Key><ETag>a\nb</ETag>" REST END,
        LIST LAST URL "<Contents><Key>a%2</Key>" REST END,
        LIST LAST URL "<Contents><Key>a%zz</Key>" REST END,
        LIST LAST URL "<Contents><Key>a%ff</Key>" REST END,
        LIST LAST "<CommonPrefixes/>" END,
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        refuses_list(cases[i], NULL, PB_ERROR_FAILED);
    char text[4096];
    snprintf(text, sizeof text, LIST LAST "<Contents><Key>%01025d</Key>" REST END, 0);
    refuses_list(text, NULL, PB_ERROR_FAILED);
    snprintf(text, sizeof text, LIST LAST "<Contents><Key>k</Key><ETag>%0128d</ETag>" REST END, 0);
    refuses_list(text, NULL, PB_ERROR_FAILED);
    snprintf(text, sizeof text,
             LIST LAST "<Contents><Key>%01024d</Key><ETag>%0127d</ETag>" REST END, 0, 0);
    pb_page_release(listed(text, NULL));
}

static void refuses_what_is_not_xml(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "  \n",
        "nonsense",
        "{}",
        LIST,
        LIST LAST,
        LIST LAST "<Contents><Key>a",
        LIST LAST "<Contents><Key>a</Contents></Key>" END,
        LIST LAST "<Contents><Key>&unknown;</Key>" REST END,
        LIST LAST "<Contents><Key>&#0;</Key>" REST END,
        LIST LAST "<Contents><Key>\xff\xfe</Key>" REST END,
        LIST LAST END "<more/>",
        "\xff\xfe<\0",
        XML XML,
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        refuses_list(cases[i], NULL, PB_ERROR_SERVER);
    /* Bytes past a NUL are not lost sight of. */
    pb_page *page = NULL;
    pb_error error = {0};
    pb_s3_list_asked asked = {0};
    assert_int_equal(parse_list((pb_slice){LIST LAST END "\0<x/>", sizeof(LIST LAST END) + 4},
                                &asked, &page, &error),
                     -1);
}

static void refuses_every_truncation(void **state)
{
    (void)state;
    static const char whole[] = LIST LAST URL
        "<Contents><Key>a%2Fb</Key><ETag>&quot;e&quot;</ETag>" REST "<Contents><Key>b</Key>" REST
        "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>" END;
    pb_s3_list_asked asked = {0};
    for (size_t size = 0; size < sizeof whole - 1; size++) {
        pb_page *page = NULL;
        assert_int_equal(parse_list((pb_slice){whole, size}, &asked, &page, NULL), -1);
        assert_null(page);
    }
    pb_page_release(listed(whole, NULL));
}

static void refuses_entities_and_doctypes(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "<!DOCTYPE ListBucketResult>" LIST LAST END,
        "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult>&a;" LAST END,
        "<?xml version=\"1.0\"?><!DOCTYPE x SYSTEM \"http://127.0.0.1:9/x.dtd\">"
        "<ListBucketResult>" LAST END,
        "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>"
        "<ListBucketResult><NextContinuationToken>&a;</NextContinuationToken>" LAST END,
        "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY a \"aaaaaaaaaa\">"
        "<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">"
        "<!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;\"><!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;\">]>"
        "<ListBucketResult><NextContinuationToken>&e;</NextContinuationToken>" LAST END,
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_error error = {0};
        pb_page *page = NULL;
        pb_s3_list_asked asked = {0};
        pb_s3_document document;
        pb_slice body = pb_slice_of(cases[i]);
        assert_int_equal(parse_list(body, &asked, &page, &error), -1);
        assert_int_equal(pb_s3_parse_document(parser, body, &document, &error), -1);
    }
    /* And the parser is as good as new. */
    pb_page_release(listed(LIST LAST END, NULL));
}

static void bears_depth_and_size(void **state)
{
    (void)state;
    pb_buffer text = {0};
    pb_buffer_append_text(&text, LIST);
    for (int i = 0; i < 100000; i++)
        pb_buffer_append_text(&text, "<a>");
    refuses_list(text.data, NULL, PB_ERROR_SERVER);

    pb_buffer_clear(&text);
    pb_buffer_append_text(&text, LIST LAST);
    for (int i = 0; i < 50000; i++)
        pb_buffer_append_format(&text, "<Contents><Key>%08d</Key>" REST, i);
    pb_buffer_append_text(&text, END);
    pb_page *page = listed(text.data, NULL);
    assert_int_equal(page->count, 50000);
    check_slice(page->entries[49999].key, "00049999");
    pb_page_release(page);

    /* Names and attributes of a hostile store do not pile up in the parser. */
    for (int round = 0; round < 20; round++) {
        pb_buffer_clear(&text);
        pb_buffer_append_text(&text, LIST LAST);
        for (int i = 0; i < 5000; i++)
            pb_buffer_append_format(&text, "<n%d-%d a%d='%0200d'/>", round, i, i, 0);
        pb_buffer_append_text(&text, END);
        pb_page_release(listed(text.data, NULL));
    }

    pb_buffer_clear(&text);
    pb_buffer_append_text(&text, LIST LAST "<x>");
    while (text.size <= PB_S3_BODY_BYTES_MAX)
        pb_buffer_append_text(&text, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789");
    pb_buffer_append_text(&text, "</x>" END);
    refuses_list(text.data, NULL, PB_ERROR_FAILED);
    pb_buffer_free(&text);
}

/* Whatever bytes come, an answer or an error follows. */
static void bears_any_bytes(void **state)
{
    (void)state;
    static const char whole[] =
        LIST LAST URL "<Contents><Key>a%2Fb</Key><ETag>&quot;e&quot;</ETag>" REST
                      "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>" END;
    char text[sizeof whole];
    uint32_t random = 1;
    pb_s3_list_asked asked = {0};
    for (int round = 0; round < 20000; round++) {
        memcpy(text, whole, sizeof whole);
        for (int change = 0; change < 1 + round % 4; change++) {
            random = random * 1664525u + 1013904223u;
            text[(random >> 8) % (sizeof whole - 1)] = (char)(random >> 24);
        }
        pb_page *page = NULL;
        pb_slice body = {text, sizeof whole - 1};
        if (!parse_list(body, &asked, &page, NULL))
            pb_page_release(page);
        pb_s3_document document;
        pb_s3_parse_document(parser, body, &document, NULL);
    }
}

static pb_s3_document read_document(const char *text)
{
    pb_s3_document document;
    pb_error error = {0};
    if (pb_s3_parse_document(parser, pb_slice_of(text), &document, &error))
        fail_msg("%s: %s", text, error.message);
    return document;
}

static void reads_errors(void **state)
{
    (void)state;
    pb_s3_document document = read_document(
        XML "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region &apos;x&apos; is "
            "wrong</Message><Region>eu-west-1</Region><RequestId>R1</RequestId><HostId>h</HostId>"
            "<Endpoint>b.s3.amazonaws.com</Endpoint></Error>");
    check_slice(document.root, "Error");
    check_slice(document.code, "AuthorizationHeaderMalformed");
    check_slice(document.message, "the region 'x' is wrong");
    check_slice(document.region, "eu-west-1");
    check_slice(document.request_id, "R1");
    check_slice(document.endpoint, "b.s3.amazonaws.com");
    document = read_document("<Error/>");
    check_slice(document.root, "Error");
    assert_int_equal(document.code.size, 0);
    /* Nested ones are not taken for the answer's own. */
    document = read_document("<Error><x><Code>SlowDown</Code></x></Error>");
    assert_int_equal(document.code.size, 0);
}

static void reads_results(void **state)
{
    (void)state;
    pb_s3_document document = read_document(
        XML "<CopyObjectResult xmlns=\"x\"><LastModified>2026-11-23T05:20:49.000Z</LastModified>"
            "<ETag>&quot;abc&quot;</ETag></CopyObjectResult>");
    check_slice(document.root, "CopyObjectResult");
    check_slice(document.etag, "\"abc\"");
    document = read_document(XML "\n   \n<CompleteMultipartUploadResult><Location>x</Location>"
                                 "<ETag>\"abc-2\"</ETag></CompleteMultipartUploadResult>");
    check_slice(document.root, "CompleteMultipartUploadResult");
    check_slice(document.etag, "\"abc-2\"");
    document = read_document("<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>"
                             "<UploadId>u/+=</UploadId></InitiateMultipartUploadResult>");
    check_slice(document.upload_id, "u/+=");
    document = read_document("<CopyPartResult><ETag>e</ETag></CopyPartResult>");
    check_slice(document.etag, "e");
}

static void reads_keys_that_were_not_deleted(void **state)
{
    (void)state;
    pb_s3_document document = read_document("<DeleteResult/>");
    assert_int_equal(document.failed_keys, 0);
    document = read_document(
        "<DeleteResult><Deleted><Key>x</Key></Deleted>"
        "<Error><Key>gone</Key><Code>NoSuchKey</Code><Message>no</Message></Error>"
        "<Error><Key>a&amp;b</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        "<Error><Key>c</Key><Code>InternalError</Code></Error>"
        "<Error><Key>gone too</Key><Code>NoSuchKey</Code></Error></DeleteResult>");
    assert_int_equal(document.failed_keys, 2);
    check_slice(document.key, "a&b");
    check_slice(document.code, "AccessDenied");
    check_slice(document.message, "Access Denied");
}

static void refuses_bad_documents(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "x",
                                        "<Error>",
                                        "<Error><Code>a</Error></Code>",
                                        "<Error><Code>a<b/></Code></Error>",
                                        "<!DOCTYPE Error><Error/>"};
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_s3_document document;
        if (!pb_s3_parse_document(parser, pb_slice_of(cases[i]), &document, NULL))
            fail_msg("%s was taken", cases[i]);
    }
}

static void reads_the_first_upload(void **state)
{
    (void)state;
    const pb_s3_list_asked asked = {PB_SLICE_LITERAL("p/"), PB_SLICE_LITERAL("data/")};
    pb_page *page = NULL;
    pb_error error = {0};
    pb_slice body = PB_SLICE_LITERAL(
        "<ListMultipartUploadsResult><Bucket>b</Bucket><NextKeyMarker>p/data/z</NextKeyMarker>"
        "<EncodingType>url</EncodingType><MaxUploads>1</MaxUploads><IsTruncated>true</IsTruncated>"
        "<Upload><Key>p/data/a%2Bb+c</Key><UploadId>id&amp;1</UploadId><Initiator><ID>i</ID>"
        "</Initiator></Upload><Upload><Key>p/data/z</Key><UploadId>2</UploadId></Upload>"
        "</ListMultipartUploadsResult>");
    assert_int_equal(pb_s3_parse_upload(parser, body, &asked, &page, &error), 0);
    assert_int_equal(page->count, 1);
    assert_true(pb_slice_is(page->entries[0].key, "data/a+b c"));
    assert_true(pb_slice_is(page->entries[0].version, "id&1"));
    pb_page_release(page);
    body = PB_SLICE_LITERAL(
        "<ListMultipartUploadsResult><Bucket>b</Bucket></ListMultipartUploadsResult>");
    assert_int_equal(pb_s3_parse_upload(parser, body, &asked, &page, &error), 0);
    assert_int_equal(page->count, 0);
    pb_page_release(page);
    static const char *const refused[] = {
        ("<ListMultipartUploadsResult><Upload><Key>x</Key><UploadId>1</UploadId></Upload>"
         "</ListMultipartUploadsResult>"),
        "<ListBucketResult></ListBucketResult>",
        "<ListMultipartUploadsResult><Upload><Key>p/data/a",
        "",
    };
    for (size_t i = 0; i < COUNT(refused); i++)
        assert_int_equal(pb_s3_parse_upload(parser, pb_slice_of(refused[i]), &asked, &page, &error),
                         -1);
}

static void roots(void **state)
{
    (void)state;
    assert_true(pb_s3_root_is(PB_SLICE_LITERAL("CopyObjectResult"), "CopyObject"));
    assert_true(pb_s3_root_is(PB_SLICE_LITERAL("CopyObjectResponse"), "CopyObject"));
    assert_false(pb_s3_root_is(PB_SLICE_LITERAL("CopyObject"), "CopyObject"));
    assert_false(pb_s3_root_is(PB_SLICE_LITERAL("CopyPartResult"), "CopyObject"));
    assert_false(pb_s3_root_is(PB_SLICE_LITERAL(""), "CopyObject"));
}

static void reads_etags(void **state)
{
    (void)state;
    pb_slice etag;
    char text[PB_ETAG_TEXT_MAX + 2];
    assert_true(pb_s3_etag_read(PB_SLICE_LITERAL("\"a-1\""), &etag));
    check_slice(etag, "a-1");
    assert_true(pb_s3_etag_read(PB_SLICE_LITERAL("a"), &etag));
    check_slice(etag, "a");
    static const char *const unknown[] = {"", "\"\"", "W/\"a\"", "W/a"};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        assert_true(pb_s3_etag_read(pb_slice_of(unknown[i]), &etag));
        assert_int_equal(etag.size, 0);
    }
    static const char *const bad[] = {"\"",           "a b",         "a\"b",      "a\n",
                                      "\x7f",         "\xc3\xa4",    "12345678 ", " 12345678",
                                      "12345678\x7f", "12345678\xff"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(pb_s3_etag_read(pb_slice_of(bad[i]), &etag));
    memset(text, 'e', sizeof text);
    assert_false(pb_s3_etag_read((pb_slice){text, PB_ETAG_TEXT_MAX}, &etag));
    text[0] = text[PB_ETAG_TEXT_MAX] = '"';
    assert_true(pb_s3_etag_read((pb_slice){text, PB_ETAG_TEXT_MAX + 1}, &etag));
    assert_int_equal(etag.size, PB_ETAG_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_list_of_aws),
        cmocka_unit_test(reads_a_list_of_minio),
        cmocka_unit_test(reads_a_list_of_ceph),
        cmocka_unit_test(leaves_keys_as_they_are_without_encoding),
        cmocka_unit_test(holds_keys_to_what_was_asked),
        cmocka_unit_test(leaves_out_the_folders_own_marker),
        cmocka_unit_test(refuses_lists_that_break_the_protocol),
        cmocka_unit_test(refuses_what_is_not_xml),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_entities_and_doctypes),
        cmocka_unit_test(bears_depth_and_size),
        cmocka_unit_test(bears_any_bytes),
        cmocka_unit_test(reads_errors),
        cmocka_unit_test(reads_results),
        cmocka_unit_test(reads_keys_that_were_not_deleted),
        cmocka_unit_test(refuses_bad_documents),
        cmocka_unit_test(reads_the_first_upload),
        cmocka_unit_test(roots),
        cmocka_unit_test(reads_etags),
    };
    return cmocka_run_group_tests(tests, open_parser, close_parser);
}
