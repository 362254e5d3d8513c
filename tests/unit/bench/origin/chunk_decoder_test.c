#include "base/random.h"
#include "bench/origin/chunk_decoder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Feeds `text` in pieces of `step` bytes; the last result, the body in *ret_body. */
static pb_origin_chunk_result decode(const char *text, size_t size, size_t step,
                                     pb_buffer *ret_body, size_t *ret_rest)
{
    pb_origin_chunk_decoder decoder = {0};
    pb_origin_chunk_result result = PB_ORIGIN_CHUNK_MORE;
    pb_buffer_clear(ret_body);
    size_t at = 0;
    while (at < size && result == PB_ORIGIN_CHUNK_MORE) {
        size_t piece = size - at < step ? size - at : step;
        size_t end = at + piece;
        while (at < end && result == PB_ORIGIN_CHUNK_MORE) {
            size_t used;
            pb_slice body;
            result = pb_origin_chunk_decode(&decoder, text + at, end - at, &used, &body);
            assert_true(used > 0 || result == PB_ORIGIN_CHUNK_MALFORMED);
            assert_true(used <= end - at);
            pb_buffer_append(ret_body, body.data ? body.data : "", body.size);
            at += used;
        }
    }
    *ret_rest = size - at;
    return result;
}

static void decodes_in_any_cut(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "5\r\nhello\r\n6;name=value\r\n world\r\n0\r\n\r\nREST",
        "00005\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\nREST",
        /* as awscli and rclone send it */
        "b;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
        "hello world\r\n"
        "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
        "REST",
        "B\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\nREST",
    };
    pb_buffer body = {0};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t step = 1; step < 40; step++) {
            size_t rest;
            assert_int_equal(decode(texts[i], strlen(texts[i]), step, &body, &rest),
                             PB_ORIGIN_CHUNK_END);
            assert_true(pb_slice_equal(pb_buffer_slice(&body), PB_SLICE_LITERAL("hello world")));
            assert_int_equal(rest, 4);
        }
    }
    pb_buffer_free(&body);
}

static void refuses_what_is_not_chunked(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\r\n",
        "x\r\n",
        "-1\r\n",
        " 5\r\nhello",
        "5 \r\nhello",
        "5\nhello",
        "5\r\nhelloX\r\n",
        "5\r\nhello\n",
        "5;a\n",
        "0\r\nA\nB\r\n\r\n",
        "0\r\n\rX",
        "5\rXhello",
        "fffffffffffffffff\r\n",
        "00000000000000001\r\n",
    };
    pb_buffer body = {0};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t step = 1; step < 8; step += 6) {
            size_t rest;
            if (decode(texts[i], strlen(texts[i]), step, &body, &rest) !=
                PB_ORIGIN_CHUNK_MALFORMED) {
                fail_msg("\"%s\" was taken", texts[i]);
            }
        }
    }
    pb_buffer long_line = {0};
    pb_buffer_append_text(&long_line, "5;");
    for (int i = 0; i < PB_ORIGIN_CHUNK_LINE_BYTES_MAX + 10; i++) {
        pb_buffer_append_char(&long_line, 'a');
    }
    size_t rest;
    assert_int_equal(decode(long_line.data, long_line.size, 1000, &body, &rest),
                     PB_ORIGIN_CHUNK_MALFORMED);
    pb_buffer_clear(&long_line);
    pb_buffer_append_text(&long_line, "0\r\n");
    for (int i = 0; i < PB_ORIGIN_CHUNK_TRAILER_BYTES_MAX; i++) {
        pb_buffer_append_text(&long_line, "a\r\n");
    }
    assert_int_equal(decode(long_line.data, long_line.size, 1000, &body, &rest),
                     PB_ORIGIN_CHUNK_MALFORMED);
    pb_buffer_free(&long_line);
    pb_buffer_free(&body);
}

static void knows_the_last_chunk_without_its_blank_line(void **state)
{
    (void)state;
    pb_origin_chunk_decoder decoder = {0};
    size_t used;
    pb_slice body;
    assert_int_equal(pb_origin_chunk_decode(&decoder, "0\r", 2, &used, &body),
                     PB_ORIGIN_CHUNK_MORE);
    assert_false(pb_origin_chunk_saw_last(&decoder));
    assert_int_equal(pb_origin_chunk_decode(&decoder, "\n", 1, &used, &body), PB_ORIGIN_CHUNK_MORE);
    assert_true(pb_origin_chunk_saw_last(&decoder));
}

static void survives_random_bytes(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789abF;=\r\n\r\n\r\nx";
    pb_random random = {3};
    pb_buffer body = {0};
    for (int round = 0; round < 50000; round++) {
        char text[48];
        size_t size = (size_t)pb_random_below(&random, sizeof(text));
        size_t rest;
        for (size_t i = 0; i < size; i++) {
            text[i] = alphabet[pb_random_below(&random, sizeof(alphabet))];
        }
        decode(text, size, 1 + (size_t)pb_random_below(&random, 50), &body, &rest);
        assert_true(body.size <= size);
    }
    pb_buffer_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_in_any_cut),
        cmocka_unit_test(refuses_what_is_not_chunked),
        cmocka_unit_test(knows_the_last_chunk_without_its_blank_line),
        cmocka_unit_test(survives_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
