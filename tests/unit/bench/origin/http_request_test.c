#include "base/random.h"
#include "bench/origin/http_request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char head[PB_ORIGIN_HEAD_BYTES_MAX + 1];

static int parse_bytes(const char *text, size_t size, pb_origin_request *ret_request)
{
    assert_true(size < sizeof(head));
    memcpy(head, text, size);
    return pb_origin_request_parse(head, size, ret_request);
}

static int parse(const char *text, pb_origin_request *ret_request)
{
    return parse_bytes(text, strlen(text), ret_request);
}

static void assert_slice(pb_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data, text, slice.size);
}

static void reads_a_request(void **state)
{
    (void)state;
    pb_origin_request request;
    assert_int_equal(
        parse("PUT /bucket/a%20b?x=1&y HTTP/1.1\r\nHost: h:1\r\nContent-Length:  12 \r\n"
              "X-Amz-Meta-A:\r\nExpect: 100-Continue\r\n\r\n",
              &request),
        0);
    assert_slice(request.method, "PUT");
    assert_slice(request.target, "/bucket/a%20b?x=1&y");
    assert_slice(request.path, "/bucket/a%20b");
    assert_slice(request.query, "x=1&y");
    assert_slice(pb_origin_request_header(&request, "host"), "h:1");
    assert_non_null(pb_origin_request_header(&request, "x-amz-meta-a").data);
    assert_null(pb_origin_request_header(&request, "x-amz-meta-b").data);
    assert_true(request.has_length);
    assert_int_equal(request.content_length, 12);
    assert_true(request.keeps_alive);
    assert_true(request.expects_continue);
    assert_false(request.is_chunked);
}

static void reads_other_forms(void **state)
{
    (void)state;
    pb_origin_request request;
    assert_int_equal(parse("GET http://host:80/p?q HTTP/1.1\r\n\r\n", &request), 0);
    assert_slice(request.path, "/p");
    assert_slice(request.query, "q");
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &request), 0);
    assert_false(request.keeps_alive);
    assert_int_equal(parse("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", &request), 0);
    assert_false(request.keeps_alive);
    assert_int_equal(parse("PUT /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", &request), 0);
    assert_true(request.is_chunked);
    assert_false(request.has_length);
}

static void refuses_hostile_heads(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"\r\n\r\n", 400},
        {"GET\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET / \r\n\r\n", 400},
        {"get / HTTP/1.1\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\n\r\n", 400},
        {"GET a HTTP/1.1\r\n\r\n", 400},
        {"GET http://host HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\n\r\n", 505},
        {"GET / HTTX/1.1\r\n\r\n", 400},
        {"GET /a\tb HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA: b\x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nA: b\nc\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nContent-Length: 1a\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nExpect: the moon\r\n\r\n", 417},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pb_origin_request request;
        int status = parse(cases[i].text, &request);
        if (status != cases[i].status) {
            fail_msg("case %zu: status %d, not %d", i, status, cases[i].status);
        }
    }
    pb_origin_request request;
    static const char with_nul[] = "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n";
    assert_int_equal(parse_bytes(with_nul, sizeof(with_nul) - 1, &request), 400);
}

static void bounds_headers(void **state)
{
    (void)state;
    pb_origin_request request;
    pb_buffer text = {0};
    pb_buffer_append_text(&text, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < PB_ORIGIN_HEADERS_MAX; i++) {
        pb_buffer_append_text(&text, "a: b\r\n");
    }
    pb_buffer_append_text(&text, "\r\n");
    assert_int_equal(parse(text.data, &request), 0);
    assert_int_equal(request.header_count, PB_ORIGIN_HEADERS_MAX);
    text.size -= 2;
    pb_buffer_append_text(&text, "a: b\r\n\r\n");
    assert_int_equal(parse(text.data, &request), 431);
    pb_buffer_clear(&text);
    pb_buffer_append_text(&text, "GET /");
    for (int i = 0; i < 20000; i++) {
        pb_buffer_append_char(&text, 'k');
    }
    pb_buffer_append_text(&text, " HTTP/1.1\r\n\r\n");
    assert_int_equal(parse(text.data, &request), 414);
    pb_buffer_free(&text);
}

static void finds_the_end_of_a_head_in_any_cut(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    size_t whole = 24;
    for (size_t first = 0; first < sizeof(text); first++) {
        size_t scanned = 0;
        size_t found = pb_origin_request_head_size(text, first, &scanned);
        assert_int_equal(found, first >= whole ? whole : 0);
        if (found == 0) {
            assert_int_equal(pb_origin_request_head_size(text, sizeof(text) - 1, &scanned), whole);
        }
    }
}

/* Under the sanitizers: whatever comes, the parser stays inside. */
static void survives_random_changes(void **state)
{
    (void)state;
    static const char text[] = "PUT /bucket/key?a=b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"
                               "x-amz-meta-a: value\r\nExpect: 100-continue\r\n\r\n";
    static const char spice[] = "\r\n: \t\0%?&=\x7f\xff/";
    pb_random random = {7};
    for (int round = 0; round < 200000; round++) {
        pb_origin_request request;
        size_t size = sizeof(text) - 1;
        memcpy(head, text, size);
        for (uint64_t changes = 1 + pb_random_below(&random, 3); changes > 0; changes--) {
            head[pb_random_below(&random, size)] = spice[pb_random_below(&random, sizeof(spice))];
        }
        size -= pb_random_below(&random, 4) == 0 ? pb_random_below(&random, size) : 0;
        if (pb_origin_request_parse(head, size, &request) == 0) {
            assert_true(request.path.size > 0 && request.path.data[0] == '/');
            assert_true(request.path.data >= head && request.path.data < head + size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request),
        cmocka_unit_test(reads_other_forms),
        cmocka_unit_test(refuses_hostile_heads),
        cmocka_unit_test(bounds_headers),
        cmocka_unit_test(finds_the_end_of_a_head_in_any_cut),
        cmocka_unit_test(survives_random_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
