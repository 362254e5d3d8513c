#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/key_form.h"
#include <cmocka.h>

static void each_form_is_seen_alone(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        unsigned forms;
    } cases[] = {
        {"a", 0},
        {"a/b", 0},
        {"a/b.c/.d/e.", 0},
        {"...", 0},
        {"a/.../b", 0},
        {"a/..b/b..", 0},
        {"a/.b/b.", 0},
        {" a/ b ", 0},
        {"a%2F%2Fb", 0},
        {"\xc3\xa4/\xe2\x82\xac/\xf0\x9f\x98\x80", 0},
        {"\xc2\x80", 0}, /* a control character beyond ASCII is none to a file system */
        {"a//b", PB_KEY_EMPTY_SEGMENT},
        {"a///b", PB_KEY_EMPTY_SEGMENT},
        {".", PB_KEY_DOT_SEGMENT},
        {"./a", PB_KEY_DOT_SEGMENT},
        {"a/./b", PB_KEY_DOT_SEGMENT},
        {"a/.", PB_KEY_DOT_SEGMENT},
        {"..", PB_KEY_PARENT_SEGMENT},
        {"../../pbcopy.json", PB_KEY_PARENT_SEGMENT},
        {"a/../b", PB_KEY_PARENT_SEGMENT},
        {"a/..", PB_KEY_PARENT_SEGMENT},
        {"/a", PB_KEY_LEADING_SLASH},
        {"a/", PB_KEY_TRAILING_SLASH},
        {"a/b/", PB_KEY_TRAILING_SLASH},
        {"a\\b", PB_KEY_BACKSLASH},
        {"\\2345678", PB_KEY_BACKSLASH}, /* longer than a word of eight bytes */
        {"12345678\\", PB_KEY_BACKSLASH},
        {"12345678\x1f", PB_KEY_CONTROL},
        {"12345678\x7f", PB_KEY_CONTROL},
        {"1234567\xc3\xa4 ", 0},
        {"\\", PB_KEY_BACKSLASH},
        {"\x01", PB_KEY_CONTROL},
        {"a/b\n", PB_KEY_CONTROL},
        {"a\x1f/b", PB_KEY_CONTROL},
        {"a/\x7f/b", PB_KEY_CONTROL},
        {"/", PB_KEY_LEADING_SLASH | PB_KEY_TRAILING_SLASH},
        {"//", PB_KEY_LEADING_SLASH | PB_KEY_EMPTY_SEGMENT | PB_KEY_TRAILING_SLASH},
        {"//a", PB_KEY_LEADING_SLASH | PB_KEY_EMPTY_SEGMENT},
        {"a//", PB_KEY_EMPTY_SEGMENT | PB_KEY_TRAILING_SLASH},
        {"/../a/./b//c\\\t/", PB_KEY_PATH_FORMS & ~PB_KEY_LONG_SEGMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (pb_key_forms(pb_slice_of(cases[i].key)) != cases[i].forms)
            fail_msg("'%s': %x", cases[i].key, pb_key_forms(pb_slice_of(cases[i].key)));
    assert_int_equal(pb_key_forms((pb_slice){NULL, 0}), 0);
    assert_int_equal(pb_key_forms(PB_SLICE_LITERAL("a\0b")), PB_KEY_CONTROL);
}

static void each_byte_at_each_place(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++)
        for (size_t place = 1; place < 20; place++) {
            char key[21];
            memset(key, 'x', sizeof key);
            key[place] = (char)byte;
            unsigned wanted = byte < 0x20 || byte == 0x7f ? PB_KEY_CONTROL
                              : byte == '\\'              ? PB_KEY_BACKSLASH
                                                          : 0;
            assert_int_equal(pb_key_forms((pb_slice){key, sizeof key}), wanted);
        }
}

static void a_segment_is_long_beyond_255_bytes(void **state)
{
    (void)state;
    char key[600];
    memset(key, 'k', sizeof key);
    assert_int_equal(pb_key_forms((pb_slice){key, 255}), 0);
    assert_int_equal(pb_key_forms((pb_slice){key, 256}), PB_KEY_LONG_SEGMENT);
    key[255] = '/';
    assert_int_equal(pb_key_forms((pb_slice){key, 511}), 0);
    assert_int_equal(pb_key_forms((pb_slice){key, 512}), PB_KEY_LONG_SEGMENT);
    key[511] = '/';
    assert_int_equal(pb_key_forms((pb_slice){key, 600}), 0);
}

static void each_form_has_words(void **state)
{
    (void)state;
    for (unsigned form = 1; form <= PB_KEY_UNICODE; form <<= 1) {
        assert_string_not_equal(pb_key_form_text(form), pb_key_form_text(0));
        for (unsigned other = 1; other < form; other <<= 1)
            assert_string_not_equal(pb_key_form_text(form), pb_key_form_text(other));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_is_seen_alone),
        cmocka_unit_test(each_byte_at_each_place),
        cmocka_unit_test(a_segment_is_long_beyond_255_bytes),
        cmocka_unit_test(each_form_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
