#include "bench/origin/mime_parts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_slice(pb_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data ? slice.data : "", text, slice.size);
}

static void finds_boundaries(void **state)
{
    (void)state;
    pb_slice boundary;
    assert_true(pb_origin_mime_boundary(PB_SLICE_LITERAL("multipart/related; boundary=abc"),
                                        "multipart/related", &boundary));
    assert_slice(boundary, "abc");
    assert_true(pb_origin_mime_boundary(
        PB_SLICE_LITERAL("Multipart/Related;charset=x; Boundary=\"a b\" ;x=y"), "multipart/related",
        &boundary));
    assert_slice(boundary, "a b");
    assert_false(pb_origin_mime_boundary(PB_SLICE_LITERAL("multipart/mixed; boundary=abc"),
                                         "multipart/related", &boundary));
    assert_false(pb_origin_mime_boundary(PB_SLICE_LITERAL("multipart/related; boundary="),
                                         "multipart/related", &boundary));
    assert_false(pb_origin_mime_boundary((pb_slice){NULL, 0}, "multipart/related", &boundary));
}

static void takes_parts_apart(void **state)
{
    (void)state;
    pb_slice rest = PB_SLICE_LITERAL("preamble --B\r\n--B\r\nContent-Type: a\r\nX: "
                                     "y\r\n\r\none\r\n--Bx is none\r\n--B \r\n\r\ntwo\r\n"
                                     "--B--\r\n");
    pb_slice headers;
    pb_slice body;
    assert_int_equal(pb_origin_mime_next(&rest, PB_SLICE_LITERAL("B"), &headers, &body), 1);
    assert_slice(pb_origin_mime_header(headers, "content-type"), "a");
    assert_slice(pb_origin_mime_header(headers, "x"), "y");
    assert_null(pb_origin_mime_header(headers, "y").data);
    assert_slice(body, "one\r\n--Bx is none");
    assert_int_equal(pb_origin_mime_next(&rest, PB_SLICE_LITERAL("B"), &headers, &body), 1);
    assert_slice(body, "two");
    assert_int_equal(pb_origin_mime_next(&rest, PB_SLICE_LITERAL("B"), &headers, &body), 0);
}

static void keeps_bodies_as_they_are(void **state)
{
    (void)state;
    pb_slice rest = PB_SLICE_LITERAL("--B\n\n\r\n\r\n--C\r\n\n--B\nA: b\n\n--B--");
    pb_slice headers;
    pb_slice body;
    assert_int_equal(pb_origin_mime_next(&rest, PB_SLICE_LITERAL("B"), &headers, &body), 1);
    assert_slice(headers, "");
    assert_slice(body, "\r\n\r\n--C\r\n");
    assert_int_equal(pb_origin_mime_next(&rest, PB_SLICE_LITERAL("B"), &headers, &body), 1);
    assert_slice(pb_origin_mime_header(headers, "a"), "b");
    assert_slice(body, "");
    assert_int_equal(pb_origin_mime_next(&rest, PB_SLICE_LITERAL("B"), &headers, &body), 0);
}

static void refuses_what_is_cut_short(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "--", "--B", "--B\r\n", "--B\r\n\r\nbody", "x--B\r\n\r\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        pb_slice rest = pb_slice_of(texts[i]);
        pb_slice headers;
        pb_slice body;
        assert_int_equal(pb_origin_mime_next(&rest, PB_SLICE_LITERAL("B"), &headers, &body), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_boundaries),
        cmocka_unit_test(takes_parts_apart),
        cmocka_unit_test(keeps_bodies_as_they_are),
        cmocka_unit_test(refuses_what_is_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
