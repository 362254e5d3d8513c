#include "copier/store/s3/list_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/both_list_readers.h"
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ROOT "<ListBucketResult>"
#define END "</ListBucketResult>"
#define TIME "<LastModified>2026-11-23T05:20:49.123Z</LastModified>"
#define LAST "<IsTruncated>false</IsTruncated>"
#define REST TIME "<Size>1</Size></Contents>"
#define ENTRY "<Contents><Key>a</Key>" REST

/* What stores write. */
static const char *const usual[] = {
    /* AWS's documentation */
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"
    "  <Name>quotes</Name>\n  <Prefix>E</Prefix>\n  <StartAfter>ExampleGuide.pdf</StartAfter>\n"
    "  <KeyCount>1</KeyCount>\n  <MaxKeys>3</MaxKeys>\n  <IsTruncated>true</IsTruncated>\n"
    "  <NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=&amp;"
    "</NextContinuationToken>\n"
    "  <Contents>\n    <Key>ExampleObject.txt</Key>\n"
    "    <LastModified>2013-09-17T18:07:53.000Z</LastModified>\n"
    "    <ETag>\"599bab3ed2c697f1d26842727561fd94\"</ETag>\n    <Size>857</Size>\n"
    "    <StorageClass>REDUCED_REDUNDANCY</StorageClass>\n  </Contents>\n</ListBucketResult>\n",
    /* AWS itself, with what was asked for in addition */
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix/>"
    "<KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>%2F</Delimiter>"
    "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
    "<Contents><Key>a%C3%A4+b</Key><LastModified>2026-11-23T05:20:49.000Z</LastModified>"
    "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6-3&quot;</ETag>"
    "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
    "<Size>25165824</Size><Owner><ID>1f</ID><DisplayName>x</DisplayName></Owner>"
    "<StorageClass>GLACIER</StorageClass><RestoreStatus><IsRestoreInProgress>false"
    "</IsRestoreInProgress></RestoreStatus></Contents>"
    "<CommonPrefixes><Prefix>c%2F</Prefix></CommonPrefixes>"
    "<CommonPrefixes><Prefix>d%2F</Prefix></CommonPrefixes></ListBucketResult>",
    /* origin */
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
    "<Prefix></Prefix><NextContinuationToken>k61</NextContinuationToken><KeyCount>1</KeyCount>"
    "<MaxKeys>1</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
    "<Contents><Key>a</Key><LastModified>2026-11-23T05:20:49.123Z</LastModified>"
    "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag><Size>18446744073709551615</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>",
    /* Ceph RGW */
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
    "<Prefix></Prefix><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents>"
    "<Key>%C3%A4/b%02%2B</Key>"
    "<LastModified>2026-11-23T05:20:49.123Z</LastModified>"
    "<ETag>&quot;9e107d9d372bb6826bd81d3542a419d6&quot;</ETag><Size>0</Size>"
    "<StorageClass>STANDARD</StorageClass><Owner><ID>u</ID><DisplayName>Us\xC3\xA9r</DisplayName>"
    "</Owner><Type>Normal</Type></Contents><KeyCount>1</KeyCount>"
    "<EncodingType>url</EncodingType></ListBucketResult>",
    /* MinIO: quotes are numeric */
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
    "<Prefix></Prefix><KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><Delimiter></Delimiter>"
    "<IsTruncated>false</IsTruncated><Contents><Key>a/b</Key>"
    "<LastModified>2026-11-23T05:20:49.123Z</LastModified>"
    "<ETag>&#34;9e107d9d372bb6826bd81d3542a419d6&#34;</ETag><Size>7</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents><EncodingType>url</EncodingType>"
    "</ListBucketResult>",
    /* no shape of a store, but of this one */
    ROOT END,
    "\n" ROOT LAST END,
    "<?xml version=\"1.0\"?>" ROOT LAST ENTRY END " \n\t ",
    "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>" ROOT LAST ENTRY END,
    ROOT LAST "<Contents>\n\t<Size>1</Size>\n" TIME "<Key> a\nb\t</Key></Contents>" END,
    ROOT LAST "<x>a<y>b</y>c<z/>&amp;</x><x/>" ENTRY END,
    ROOT LAST "<Contents><Key>a</Key><Owner>x<Key>b</Key><Size>2</Size></Owner>" REST END,
    ROOT LAST
    "<Contents><Key>\xC3\xA4/\xE2\x82\xAC/\xF0\x9F\x98\x80&amp;&lt;&gt;&apos;&quot;</Key>" REST END,
    ROOT LAST "<Contents><Key>]]&gt;\x7f\xC2\x85\xF0\x9F\xBF\xBE\xEF\xBF\xBD</Key>" REST END,
    ROOT LAST "<Contents><Key>a</Key><ETag></ETag>" REST END,
    ROOT LAST "<CommonPrefixes> <Prefix></Prefix>\n</CommonPrefixes>" END,
    ROOT LAST "<EncodingType></EncodingType><NextContinuationToken></NextContinuationToken>" END,
};

/* What is left to libxml2, be it well-formed or not. */
static const char *const unusual[] = {
    /* Google: single quotes */
    "<?xml version='1.0' encoding='UTF-8'?>"
    "<ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'><Name>b</Name><Prefix>"
    "</Prefix><IsTruncated>false</IsTruncated><Contents><Key>a</Key>"
    "<Generation>1472</Generation><MetaGeneration>1</MetaGeneration>"
    "<LastModified>2026-11-23T05:20:49.123Z</LastModified><ETag>\"x\"</ETag><Size>1</Size>"
    "</Contents></ListBucketResult>",
    "",
    " ",
    " <?xml version=\"1.0\"?>" ROOT END,
    "<",
    "<ListBucketResult",
    "<ListBucketResult/>",
    "<ListBucketResult >" LAST END,
    "<ListBucketResults>" LAST "</ListBucketResults>",
    "<ListBucketResult xmlns=\"x>" LAST END,
    "<ListBucketResult xmlns=\"x'>" LAST END,
    "<ListBucketResult xmlns=\"<\">" LAST END,
    "<ListBucketResult xmlns=\"&lt;\">" LAST END,
    "<ListBucketResult xmlns=\"\xC3\xA4\">" LAST END,
    "<ListBucketResult xmlns=\"x\" >" LAST END,
    "<ListBucketResult xmlns=\"x\" xmlns=\"x\">" LAST END,
    "<ListBucketResult xmlns=\"x\" a=\"b\">" LAST END,
    "<ListBucketResult a=\"b\">" LAST END,
    "<s:ListBucketResult xmlns:s=\"x\">" LAST "</s:ListBucketResult>",
    "<?xml version=\"1.1\"?>" ROOT LAST END,
    "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" ROOT LAST END,
    "<?xml version=\"1.0\" encoding=\"UTF-16\"?>" ROOT LAST END,
    "<?xml encoding=\"UTF-8\"?>" ROOT LAST END,
    "<?xml version=\"1.0\" ?>" ROOT LAST END,
    "<?xml version=\"1.0\"?><?xml version=\"1.0\"?>" ROOT LAST END,
    "<?xml version=\"1.0\"?><?x?>" ROOT LAST END,
    "<?xml version=\"1.0\"?><!-- -->" ROOT LAST END,
    "<!DOCTYPE ListBucketResult>" ROOT LAST END,
    "\xEF\xBB\xBF" ROOT LAST END,
    ROOT LAST,
    ROOT LAST "</ListBucketResults>",
    ROOT LAST "</ListBucketResult >",
    ROOT LAST END "x",
    ROOT LAST END "<x/>",
    ROOT LAST END "<!-- -->",
    ROOT LAST END "\r\n",
    ROOT LAST "x" END,
    ROOT LAST "&amp;" END,
    ROOT LAST "<!-- -->" END,
    ROOT LAST "<?x?>" END,
    ROOT LAST LAST END,
    ROOT "<IsTruncated/>" END,
    ROOT LAST "<EncodingType/>" END,
    ROOT LAST "<NextContinuationToken/>" END,
    ROOT LAST "<Contents/>" END,
    ROOT LAST "<CommonPrefixes/>" END,
    ROOT LAST "<CommonPrefixes></CommonPrefixes>" END,
    ROOT LAST "<CommonPrefixes><Prefix/></CommonPrefixes>" END,
    ROOT LAST "<CommonPrefixes><Prefix>a</Prefix><Prefix>b</Prefix></CommonPrefixes>" END,
    ROOT LAST "<CommonPrefixes><x>a</x><Prefix>b</Prefix></CommonPrefixes>" END,
    ROOT LAST "<x a=\"b\"></x>" END,
    ROOT LAST "<x ></x>" END,
    ROOT LAST "<x></x >" END,
    ROOT LAST "<x></y>" END,
    ROOT LAST "<x></xx>" END,
    ROOT LAST "<x><y></x></y>" END,
    ROOT LAST "<x><y><z></z></y></x>" END,
    ROOT LAST "<x:y></x:y>" END,
    ROOT LAST "<1></1>" END,
    ROOT LAST "<x-y></x-y>" END,
    ROOT LAST "<\xC3\xA4></\xC3\xA4>" END,
    ROOT LAST "<></>" END,
    ROOT LAST "<x>\r</x>" END,
    ROOT LAST "<x>a>b</x>" END,
    ROOT LAST "<x>]]></x>" END,
    ROOT LAST "<x><![CDATA[y]]></x>" END,
    ROOT LAST "<x>&#65;</x>" END,
    ROOT LAST "<x>&#x41;</x>" END,
    ROOT LAST "<x>&nbsp;</x>" END,
    ROOT LAST "<x>&amp</x>" END,
    ROOT LAST "<x>&</x>" END,
    ROOT LAST "<x>&AMP;</x>" END,
    ROOT LAST "<x>\x01</x>" END,
    ROOT LAST "<x>\x1f</x>" END,
    ROOT LAST "<x>\x80</x>" END,
    ROOT LAST "<x>\xC3</x>" END,
    ROOT LAST "<x>\xC0\x80</x>" END,
    ROOT LAST "<x>\xED\xA0\x80</x>" END,
    ROOT LAST "<x>\xF4\x90\x80\x80</x>" END,
    ROOT LAST "<x>\xEF\xBF\xBE</x>" END,
    ROOT LAST "<x>\xEF\xBF\xBF</x>" END,
    ROOT LAST "<Contents></Contents>" END,
    ROOT LAST "<Contents>" REST END,
    ROOT LAST "<Contents><Key></Key>" REST END,
    ROOT LAST "<Contents><Key/>" REST END,
    ROOT LAST "<Contents><Key>a</Key><Key/>" REST END,
    ROOT LAST "<Contents><Key>a</Key><Key>b</Key>" REST END,
    ROOT LAST "<Contents><Key>a</Key><ETag/>" REST END,
    ROOT LAST "<Contents><Key>a</Key><ETag>b</ETag><ETag>c</ETag>" REST END,
    ROOT LAST "<Contents><Key>a</Key>" TIME REST END,
    ROOT LAST "<Contents><Key>a</Key><Size>1</Size>" REST END,
    ROOT LAST "<Contents><Key>a</Key><Size>&quot;</Size>" TIME "</Contents>" END,
    ROOT LAST "<Contents><Key>a</Key><Size></Size>" TIME "</Contents>" END,
    ROOT LAST "<Contents><Key>a</Key><Size>1 </Size>" TIME "</Contents>" END,
    ROOT LAST "<Contents><Key>a</Key><Size>18446744073709551616</Size>" TIME "</Contents>" END,
    ROOT LAST "<Contents><Key>a</Key><Size>1</Size><LastModified>x</LastModified></Contents>" END,
    ROOT LAST "<Contents><Key>a</Key><Size>1</Size></Contents>" END,
    ROOT LAST "<Contents><Key>a</Key>" TIME "</Contents>" END,
    ROOT LAST "<Contents><Key>a<b/></Key>" REST END,
    ROOT LAST "<Contents>x<Key>a</Key>" REST END,
    ROOT LAST "<Contents x=\"y\"><Key>a</Key>" REST END,
    ROOT LAST "<Contents><Key x=\"y\">a</Key>" REST END,
    ROOT LAST "<Contents><Key>a</Key><Owner><a><b></b></a></Owner>" REST END,
};

static pb_s3_parser *parser;
static pb_s3_found_list list;
static unsigned long read_count; /* how many documents the reader took */

static int open_readers(void **state)
{
    (void)state;
    parser = pb_s3_parser_new();
    return 0;
}

static int close_readers(void **state)
{
    (void)state;
    pb_s3_parser_free(parser);
    pb_s3_found_list_free(&list);
    return 0;
}

/* Whether the reader takes a body, of which it gets a copy of exactly that size, so that a
 * sanitizer sees a read past it. Fails where libxml2 sees another list in it. */
static bool reads(pb_slice body)
{
    static const pb_s3_list_asked anything = {0};
    char *copy = malloc(body.size ? body.size : 1);
    assert_non_null(copy);
    if (body.size)
        memcpy(copy, body.data, body.size);
    body.data = copy;
    bool taken = pb_s3_list_read(body, &list);
    read_count += taken;
    pb_page *page = NULL;
    const char *difference;
    parse_list_both_ways(parser, body, &anything, &page, NULL, &difference);
    if (difference)
        fail_msg("the readers differ in %s: %.*s", difference, PB_SLICE_FORMAT(body));
    pb_page_release(page);
    free(copy);
    return taken;
}

static void reads_what_is_usual(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(usual); i++)
        if (!reads(pb_slice_of(usual[i])))
            fail_msg("%s was refused", usual[i]);
}

static void refuses_what_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(unusual); i++)
        if (reads(pb_slice_of(unusual[i])))
            fail_msg("%s was taken", unusual[i]);
    char name[66];
    char text[512];
    for (int size = 63; size <= 65; size++) {
        memset(name, 'n', sizeof name);
        name[size] = '\0';
        snprintf(text, sizeof text, ROOT LAST "<%s>x</%s>" END, name, name);
        assert_int_equal(reads(pb_slice_of(text)), size <= 64);
    }
    /* A NUL is no end. */
    assert_false(reads((pb_slice){ROOT LAST END "\0", sizeof(ROOT LAST END)}));
    assert_false(
        reads((pb_slice){ROOT LAST "<x>\0</x>" END, sizeof(ROOT LAST "<x>\0</x>" END) - 1}));
}

static pb_slice text_of(pb_s3_span at)
{
    return (pb_slice){list.text.data + at.start, at.size};
}

static void fills_the_list(void **state)
{
    (void)state;
    assert_true(reads(PB_SLICE_LITERAL(
        ROOT "<IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>"
             "<NextContinuationToken>a&amp;b</NextContinuationToken>"
             "<Contents><Key>&lt;k%20\xC3\xA4&gt;</Key><ETag>&quot;e&quot;</ETag>" REST ENTRY
             "<CommonPrefixes><Prefix>p&apos;/</Prefix></CommonPrefixes>" END)));
    assert_true(pb_slice_equal(text_of(list.truncated), PB_SLICE_LITERAL("true")));
    assert_true(pb_slice_equal(text_of(list.encoding), PB_SLICE_LITERAL("url")));
    assert_true(pb_slice_equal(text_of(list.token), PB_SLICE_LITERAL("a&b")));
    assert_int_equal(list.entry_count, 2);
    assert_true(pb_slice_equal(text_of(list.entries[0].key), PB_SLICE_LITERAL("<k%20\xC3\xA4>")));
    assert_true(pb_slice_equal(text_of(list.entries[0].etag), PB_SLICE_LITERAL("\"e\"")));
    assert_true(list.entries[0].size == 1);
    assert_true(list.entries[0].mtime_ms == INT64_C(1795411249123));
    assert_false(list.entries[1].etag.seen);
    assert_int_equal(list.prefix_count, 1);
    assert_true(pb_slice_equal(text_of(list.prefixes[0]), PB_SLICE_LITERAL("p'/")));
    /* Nothing is left of it in the next. */
    assert_true(reads(PB_SLICE_LITERAL(ROOT END)));
    assert_false(list.truncated.seen || list.token.seen || list.encoding.seen);
    assert_int_equal(list.entry_count + list.prefix_count, 0);
}

/* The documents above with one thing changed: many of them are near the line between what is taken
 * and what is not. */
static void agrees_on_neighbours(void **state)
{
    (void)state;
    static const char *const pieces[] = {"<",
                                         ">",
                                         "/",
                                         "&",
                                         ";",
                                         "\"",
                                         "'",
                                         " ",
                                         "\n",
                                         "\r",
                                         "\t",
                                         "\x01",
                                         "]]>",
                                         "\xC3\xA4",
                                         "\x80",
                                         "\xEF\xBF\xBE",
                                         "&amp;",
                                         "&#65;",
                                         "&quot;",
                                         "<x/>",
                                         "<x>",
                                         "</x>",
                                         "<Key/>",
                                         "<!-- -->",
                                         "<![CDATA[x]]>",
                                         "<?x?>",
                                         "=",
                                         ":",
                                         "0",
                                         "a",
                                         "%",
                                         "+"};
    unsigned long before = read_count;
    unsigned long tried = 0;
    pb_buffer text = {0};
    for (size_t i = 0; i < COUNT(usual); i++) {
        pb_slice whole = pb_slice_of(usual[i]);
        for (size_t at = 0; at <= whole.size; at++) {
            for (size_t j = 0; j <= COUNT(pieces); j++) {
                /* Put in, written over, cut off, or what is there taken out. */
                const char *piece = j < COUNT(pieces) ? pieces[j] : "";
                size_t after = at + ((at + j) % 2 ? strlen(piece) : !*piece);
                pb_buffer_clear(&text);
                pb_buffer_append(&text, whole.data, at);
                if (*piece || at % 2)
                    pb_buffer_append_text(&text, piece);
                if (after < whole.size && (*piece || at % 2))
                    pb_buffer_append(&text, whole.data + after, whole.size - after);
                reads(pb_buffer_slice(&text));
                tried++;
            }
        }
    }
    pb_buffer_free(&text);
    print_message("%lu of %lu were read without libxml2\n", read_count - before, tried);
    assert_true(read_count - before > tried / 20);
}

static unsigned pick(unsigned below)
{
    static uint32_t random = 1;
    random = random * 1664525u + 1013904223u;
    return (random >> 8) % below;
}

static void append_any_text(pb_buffer *text)
{
    static const char *const pieces[] = {"a",
                                         "key/0123456789",
                                         "%C3%A4",
                                         "+",
                                         "&quot;",
                                         "&amp;",
                                         "&lt;",
                                         "&gt;",
                                         "&apos;",
                                         "\xC3\xA4",
                                         "\xE2\x82\xAC",
                                         "\xF0\x9F\x98\x80",
                                         " ",
                                         "\n",
                                         "\t",
                                         "]]",
                                         "\x7f",
                                         "=",
                                         "\"",
                                         "'"};
    for (unsigned count = pick(6); count; count--)
        pb_buffer_append_text(text, pieces[pick(COUNT(pieces))]);
}

/* Lists put together by chance, of parts that are nearly all good: most are taken. */
static void agrees_on_lists_of_chance(void **state)
{
    (void)state;
    static const char *const children[] = {"ETag", "Owner", "StorageClass", "Type", "x1"};
    unsigned long before = read_count;
    pb_buffer text = {0};
    enum { ROUNDS = 30000 };
    for (int round = 0; round < ROUNDS; round++) {
        pb_buffer_clear(&text);
        pb_buffer_append_text(&text, ROOT LAST);
        if (pick(4))
            pb_buffer_append_text(&text, "<EncodingType>url</EncodingType>");
        for (unsigned count = pick(4); count; count--) {
            pb_buffer_append_text(&text, "<Contents><Key>k");
            append_any_text(&text);
            pb_buffer_append_text(&text, "</Key>");
            for (unsigned more = pick(3); more; more--) {
                const char *name = children[pick(COUNT(children))];
                pb_buffer_append_format(&text, "<%s>", name);
                append_any_text(&text);
                if (*name == 'O')
                    pb_buffer_append_text(&text, "<ID>1</ID><Key>b</Key><y/>");
                pb_buffer_append_format(&text, "</%s>%s", name, pick(2) ? "" : "\n ");
            }
            pb_buffer_append_format(&text, "<Size>%u</Size>", pick(100000));
            pb_buffer_append_text(&text, TIME "</Contents>");
        }
        for (unsigned count = pick(3); count; count--) {
            pb_buffer_append_text(&text, "<CommonPrefixes><Prefix>");
            append_any_text(&text);
            pb_buffer_append_text(&text, "</Prefix></CommonPrefixes>");
        }
        if (!pick(2)) {
            pb_buffer_append_text(&text, "<NextContinuationToken>");
            append_any_text(&text);
            pb_buffer_append_text(&text, "</NextContinuationToken>");
        }
        pb_buffer_append_text(&text, END);
        reads(pb_buffer_slice(&text));
    }
    pb_buffer_free(&text);
    print_message("%lu of %d were read without libxml2\n", read_count - before, ROUNDS);
    assert_true(read_count - before > ROUNDS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_usual),
        cmocka_unit_test(refuses_what_is_not),
        cmocka_unit_test(fills_the_list),
        cmocka_unit_test(agrees_on_neighbours),
        cmocka_unit_test(agrees_on_lists_of_chance),
    };
    return cmocka_run_group_tests(tests, open_readers, close_readers);
}
