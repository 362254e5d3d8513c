#include "base/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void hex_both_ways(void **state)
{
    (void)state;
    uint8_t bytes[256];
    uint8_t back[256];
    char text[513];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    pb_hex_encode(bytes, 256, text);
    assert_int_equal(strlen(text), 512);
    assert_int_equal(strncmp(text, "000102", 6), 0);
    assert_string_equal(text + 506, "fdfeff");
    assert_true(pb_hex_decode(pb_slice_of(text), back, 256));
    assert_memory_equal(back, bytes, 256);
    pb_hex_encode(NULL, 0, text);
    assert_string_equal(text, "");
    assert_true(pb_hex_decode((pb_slice){0}, back, 0));
    assert_true(pb_hex_decode(pb_slice_of("aBCd"), back, 2));
    assert_memory_equal(back, "\xab\xcd", 2);
}

static void hex_refuses_what_is_not_exact(void **state)
{
    (void)state;
    uint8_t back[4];
    static const char *const bad[] = {"",     "a",    "ab",   "abc",  "abcde", "abcdef", "abcg",
                                      "ab:d", "ab/d", "ab@d", "ab`d", " abc",  "0xab",   "ab\xffz"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(pb_hex_decode(pb_slice_of(bad[i]), back, 2));
    assert_false(pb_hex_decode(pb_slice_of("ab"), back, 0));
    assert_false(pb_hex_decode(PB_SLICE_LITERAL("ab\0d"), back, 2));
}

static void percent_keeps_only_unreserved(void **state)
{
    (void)state;
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    pb_buffer buffer = {0};
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        char escaped[4];
        snprintf(escaped, sizeof(escaped), "%%%02X", byte);
        bool stays = byte != 0 && strchr(unreserved, byte) != NULL;
        for (int keep_slash = 0; keep_slash < 2; keep_slash++) {
            pb_buffer_clear(&buffer);
            pb_percent_encode(&buffer, (pb_slice){&c, 1}, keep_slash);
            if (stays || (c == '/' && keep_slash))
                assert_true(buffer.size == 1 && buffer.data[0] == c);
            else
                assert_string_equal(buffer.data, escaped);
        }
    }
    pb_buffer_free(&buffer);
}

static void percent_appends(void **state)
{
    (void)state;
    pb_buffer buffer = {0};
    pb_percent_encode(&buffer, (pb_slice){0}, true);
    assert_string_equal(buffer.data, "");
    pb_buffer_append_text(&buffer, "key=");
    pb_percent_encode(&buffer, pb_slice_of("a b+c%/\xc3\xa9"), false);
    assert_string_equal(buffer.data, "key=a%20b%2Bc%25%2F%C3%A9");
    pb_buffer_free(&buffer);
}

static void percent_decodes(void **state)
{
    (void)state;
    pb_buffer buffer = {0};
    pb_buffer_append_text(&buffer, "=");
    assert_true(pb_percent_decode(&buffer, pb_slice_of("a%20b+c%2f%2F%c3%A9"), false));
    assert_string_equal(buffer.data, "=a b+c//\xc3\xa9");
    pb_buffer_clear(&buffer);
    assert_true(pb_percent_decode(&buffer, pb_slice_of("a+b%2B%00c"), true));
    assert_int_equal(buffer.size, 6);
    assert_memory_equal(buffer.data, "a b+\0c", 7);
    pb_buffer_clear(&buffer);
    assert_true(pb_percent_decode(&buffer, (pb_slice){0}, true));
    static const char *const bad[] = {"%", "a%", "%1", "a%4", "%g0", "%0g", "%%20", "%2 0", "%-1"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(pb_percent_decode(&buffer, pb_slice_of(bad[i]), false));
    /* The slice ends in the escape; the digits after it are not its own. */
    assert_false(pb_percent_decode(&buffer, (pb_slice){"a%20", 3}, false));
    pb_buffer_free(&buffer);
}

static void percent_goes_round(void **state)
{
    (void)state;
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    pb_buffer text = {0};
    pb_buffer back = {0};
    pb_percent_encode(&text, (pb_slice){bytes, 256}, true);
    assert_true(pb_percent_decode(&back, pb_buffer_slice(&text), true));
    assert_int_equal(back.size, 256);
    assert_memory_equal(back.data, bytes, 256);
    pb_buffer_free(&text);
    pb_buffer_free(&back);
}

static void json_strings_are_escaped(void **state)
{
    (void)state;
    static const struct {
        pb_slice text;
        const char *json;
    } rows[] = {
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"plain/key", 9}, "\"plain/key\""},
        {{"a\"b\\c", 5}, "\"a\\\"b\\\\c\""},
        {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
        {{"\0\x01\x1f", 3}, "\"\\u0000\\u0001\\u001f\""},
        {{"\x7f\xc3\xa9\xf0\x9f\x98\x80", 7}, "\"\x7f\xc3\xa9\xf0\x9f\x98\x80\""},
        {{"\"", 1}, "\"\\\"\""},
        {{"x\n", 2}, "\"x\\n\""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        pb_buffer buffer = {0};
        pb_json_append_string(&buffer, rows[i].text);
        assert_string_equal(buffer.data, rows[i].json);
        pb_buffer_free(&buffer);
    }
}

/* Decides by decoding, as RFC 3629 section 3 words it: slow, and nothing like the code tested. */
static bool utf8_by_the_book(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        uint32_t code = text[i];
        size_t more = 0;
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (code >= 0x80) {
            if ((code & 0xe0) == 0xc0)
                more = 1, code &= 0x1f;
            else if ((code & 0xf0) == 0xe0)
                more = 2, code &= 0x0f;
            else if ((code & 0xf8) == 0xf0)
                more = 3, code &= 0x07;
            else
                return false;
        }
        if (size - i <= more)
            return false;
        for (size_t k = 1; k <= more; k++) {
            if ((text[i + k] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (text[i + k] & 0x3f);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        i += more + 1;
    }
    return true;
}

static bool valid(const uint8_t *text, size_t size)
{
    return pb_utf8_valid((pb_slice){(const char *)text, size});
}

static void utf8_agrees_with_the_book(void **state)
{
    (void)state;
    uint8_t text[4];
    /* Every text of up to three bytes, and every fourth byte class after each lead of four. */
    for (uint32_t n = 0; n < 1u << 24; n++) {
        text[0] = (uint8_t)(n >> 16);
        text[1] = (uint8_t)(n >> 8);
        text[2] = (uint8_t)n;
        if (valid(text, 3) != utf8_by_the_book(text, 3))
            fail_msg("%02x %02x %02x", text[0], text[1], text[2]);
    }
    for (uint32_t n = 0; n < 1u << 16; n++) {
        text[0] = (uint8_t)(n >> 8);
        text[1] = (uint8_t)n;
        assert_int_equal(valid(text, 2), utf8_by_the_book(text, 2));
        assert_int_equal(valid(text, 1), utf8_by_the_book(text, 1));
        static const uint8_t others[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
        for (size_t i = 0; i < COUNT(others) * COUNT(others); i++) {
            text[2] = others[i / COUNT(others)];
            text[3] = others[i % COUNT(others)];
            assert_int_equal(valid(text, 4), utf8_by_the_book(text, 4));
        }
    }
}

static void utf8_table(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "plain",
        "\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
    };
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "\xbf",             /* likewise */
        "\xc0\x80",         /* overlong NUL */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* first surrogate */
        "\xed\xbf\xbf",     /* last surrogate */
        "\xf4\x90\x80\x80", /* U+110000 */
        "\xf5\x80\x80\x80", /* past every code point */
        "\xfe",             /* never in UTF-8 */
        "\xff",             /* likewise */
        "\xc3",             /* cut */
        "\xe2\x82",         /* cut */
        "\xf0\x9f\x98",     /* cut */
        "\xc3(",            /* no continuation */
    };
    assert_true(pb_utf8_valid((pb_slice){0}));
    assert_true(pb_utf8_valid(PB_SLICE_LITERAL("a\0b")));
    /* At every distance from the eight-byte steps of the fast path, and from the end. */
    for (size_t before = 0; before < 20; before++) {
        for (size_t after = 0; after < 20; after++) {
            for (size_t i = 0; i < COUNT(good) + COUNT(bad); i++) {
                bool is_good = i < COUNT(good);
                const char *middle = is_good ? good[i] : bad[i - COUNT(good)];
                size_t size = before + strlen(middle) + after;
                char *text = pb_allocate(size); /* exact, so that a sanitizer sees an overrun */
                memset(text, 'a', size);
                memcpy(text + before, middle, strlen(middle));
                assert_int_equal(pb_utf8_valid((pb_slice){text, size}), is_good);
                free(text);
            }
        }
    }
}

static void lines_are_made_harmless(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *line;
    } rows[] = {
        {"", ""},
        {"plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
         "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"a\nb\r\x01\x1b[0m\x7f"
         "c",
         "a?b???[0m?c"},
        {"a\xc2\x85"
         "b\xc2\x9b"
         "c\xc2\xa0",
         "a?b?c\xc2\xa0"},                                            /* C1, then a mere blank */
        {"a\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "a??\xe2\x80\xaa"}, /* separators */
        {"\xff\x80\xc0\x80z", "????z"},
        {"a\xc3(b", "a?(b"},
        {"cut \xe2\x82", "cut "},
        {"cut \xf0\x9f\x98", "cut "},
        {"not cut \xe2z", "not cut ?z"},
        {"\xe2", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *text = pb_duplicate(pb_slice_of(rows[i].text));
        pb_text_make_line(text);
        assert_string_equal(text, rows[i].line);
        assert_true(pb_utf8_valid(pb_slice_of(text)));
        free(text);
    }
}

static void text_of_many_lines_keeps_them(void **state)
{
    (void)state;
    char text[] = "one\x1b[0m\r\n\ntwo\t\xff\n\xc2\x9bthree \xe2\x82";
    pb_text_make_lines(text);
    assert_string_equal(text, "one?[0m?\n\ntwo??\n?three ");
}

static void unsigned_numbers(void **state)
{
    (void)state;
    uint64_t value;
    assert_true(pb_parse_unsigned(pb_slice_of("0"), &value) && value == 0);
    assert_true(pb_parse_unsigned(pb_slice_of("007"), &value) && value == 7);
    assert_true(pb_parse_unsigned(pb_slice_of("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    value = 42;
    static const char *const bad[] = {"",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "1e3",
                                      "a",
                                      "1a",
                                      "/",
                                      ":",
                                      "18446744073709551616",
                                      "18446744073709551620",
                                      "99999999999999999999",
                                      "100000000000000000000000"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(pb_parse_unsigned(pb_slice_of(bad[i]), &value));
    assert_false(pb_parse_unsigned((pb_slice){0}, &value));
    assert_false(pb_parse_unsigned(PB_SLICE_LITERAL("1\0"), &value));
    assert_true(value == 42);
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"512", 512},
        {"512B", 512},
        {"1K", 1024},
        {"1KB", 1024},
        {"1KiB", 1024},
        {"8M", 8u << 20},
        {"8MiB", 8u << 20},
        {"3G", UINT64_C(3) << 30},
        {"3GB", UINT64_C(3) << 30},
        {"5TiB", UINT64_C(5) << 40},
        {"18446744073709551615", UINT64_MAX},
        {"16777215T", UINT64_C(16777215) << 40},
        {"18014398509481983K", UINT64_C(18014398509481983) << 10},
    };
    static const char *const bad[] = {
        "",
        "K",
        "B",
        "iB",
        "KiB",
        "1iB",
        "1k",
        "1P",
        "1KM",
        "1Ki",
        "1KBB",
        "1KiBB",
        "1 K",
        " 1K",
        "1K ",
        "-1K",
        "1.5G",
        "16777216T",
        "18014398509481984K",
        "18446744073709551616",
        "17179869184G",
        "1BK",
    };
    uint64_t bytes;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(pb_parse_size(pb_slice_of(good[i].text), &bytes));
        assert_true(bytes == good[i].bytes);
    }
    bytes = 42;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (pb_parse_size(pb_slice_of(bad[i]), &bytes))
            fail_msg("%s is taken as a size", bad[i]);
    }
    assert_false(pb_parse_size((pb_slice){0}, &bytes));
    assert_false(pb_parse_size(PB_SLICE_LITERAL("1\0"), &bytes));
    assert_true(bytes == 42);
}

static void parses_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t seconds;
    } good[] = {{"0", 0}, {"90", 90}, {"90s", 90}, {"30m", 1800}, {"2h", 7200}, {"7d", 604800}};
    static const char *const bad[] = {
        "", "m", "-1", "1.5h", "1 h", "1M", "1hh", "1ms", "307445734561825861m"};
    uint64_t seconds;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(pb_parse_duration(pb_slice_of(good[i].text), &seconds));
        assert_int_equal(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(pb_parse_duration(pb_slice_of(bad[i]), &seconds));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_durations),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(hex_refuses_what_is_not_exact),
        cmocka_unit_test(percent_keeps_only_unreserved),
        cmocka_unit_test(percent_appends),
        cmocka_unit_test(percent_decodes),
        cmocka_unit_test(percent_goes_round),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(utf8_agrees_with_the_book),
        cmocka_unit_test(utf8_table),
        cmocka_unit_test(lines_are_made_harmless),
        cmocka_unit_test(text_of_many_lines_keeps_them),
        cmocka_unit_test(unsigned_numbers),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
