#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static json_t *parse(const char *text)
{
    json_t *object = NULL;
    assert_int_equal(pb_json_parse(pb_slice_of(text), "doc", &object, NULL), 0);
    assert_non_null(object);
    return object;
}

static void one_object_is_parsed(void **state)
{
    (void)state;
    pb_error error = {.kind = PB_ERROR_BUSY};
    json_t *object = NULL;
    assert_int_equal(
        pb_json_parse(PB_SLICE_LITERAL(" {\"a\": {\"a\": 1}} \n"), "doc", &object, &error), 0);
    assert_true(json_is_object(object));
    assert_int_equal(error.kind, PB_ERROR_BUSY); /* untouched */
    json_decref(object);
    /* Only the slice is read. */
    assert_int_equal(pb_json_parse((pb_slice){"{}x", 2}, "doc", &object, &error), 0);
    json_decref(object);
}

static void all_else_is_damaged(void **state)
{
    (void)state;
    static const pb_slice bad[] = {
        {NULL, 0},
        {"", 0},
        {" ", 1},
        {"{", 1},
        {"[]", 2},
        {"[{}]", 4},
        {"null", 4},
        {"1", 1},
        {"\"a\"", 3},
        {"{}{}", 4},
        {"{}x", 3},
        {"{}\0", 3},
        {"{\"a\":1,\"a\":1}", 13},         /* a duplicate */
        {"{\"o\":{\"a\":1,\"a\":2}}", 19}, /* a duplicate inside */
        {"{\"a\":1,}", 8},
        {"{'a':1}", 7},
        {"{\"a\":\"\xff\"}", 9},
        {"{\"a\":\"\xed\xa0\x80\"}", 11},
        {"{\"a\":\"\\u0000\"}", 14}, /* would cut a C string */
        {"{\"a\":\"\n\"}", 9},
        {"{\"a\":9223372036854775808}", 25}, /* past 2^63 - 1 */
        {"\xef\xbb\xbf{}", 5},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_error error = {0};
        json_t *object = NULL;
        assert_int_equal(pb_json_parse(bad[i], "pbcopy.json", &object, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
        assert_int_equal(strncmp(error.message, "pbcopy.json: ", 13), 0);
        assert_null(object);
    }
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    pb_buffer text = {0};
    pb_buffer_append_text(&text, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        pb_buffer_append_char(&text, '[');
    json_t *object = NULL;
    assert_int_equal(pb_json_parse(pb_buffer_slice(&text), "doc", &object, NULL), -1);
    pb_buffer_free(&text);
}

static void members_are_read(void **state)
{
    (void)state;
    json_t *object =
        parse("{\"s\":\"text\",\"e\":\"\",\"n\":0,\"m\":9223372036854775807,\"a\":[1]}");
    pb_error error = {.kind = PB_ERROR_BUSY};
    const char *text = NULL;
    uint64_t number = 1;
    json_t *array = NULL;
    assert_int_equal(pb_json_string(object, "s", "doc", &text, &error), 0);
    assert_string_equal(text, "text");
    assert_int_equal(pb_json_string(object, "e", "doc", &text, &error), 0);
    assert_string_equal(text, "");
    assert_int_equal(pb_json_unsigned(object, "n", "doc", &number, &error), 0);
    assert_true(number == 0);
    assert_int_equal(pb_json_unsigned(object, "m", "doc", &number, &error), 0);
    assert_true(number == INT64_MAX);
    assert_int_equal(pb_json_array(object, "a", "doc", &array, &error), 0);
    assert_int_equal(json_array_size(array), 1);
    assert_int_equal(error.kind, PB_ERROR_BUSY);
    json_decref(object);
}

static void wrong_members_are_named(void **state)
{
    (void)state;
    json_t *object =
        parse("{\"s\":\"1\",\"n\":1,\"minus\":-1,\"real\":1.0,\"null\":null,\"o\":{}}");
    pb_error error = {0};
    const char *text = NULL;
    uint64_t number = 42;
    json_t *array = NULL;
    assert_int_equal(pb_json_string(object, "gone", "doc", &text, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_string_equal(error.message, "doc: \"gone\" is missing");
    assert_int_equal(pb_json_string(object, "n", "doc", &text, &error), -1);
    assert_string_equal(error.message, "doc: \"n\" is not a string");
    assert_int_equal(pb_json_string(object, "null", "doc", &text, &error), -1);
    assert_null(text);
    static const char *const not_numbers[] = {"s", "minus", "real", "null", "o", "gone"};
    for (size_t i = 0; i < COUNT(not_numbers); i++) {
        error.kind = PB_ERROR_NONE;
        assert_int_equal(pb_json_unsigned(object, not_numbers[i], "doc", &number, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
        assert_non_null(strstr(error.message, not_numbers[i]));
    }
    assert_true(number == 42);
    assert_int_equal(pb_json_array(object, "o", "doc", &array, &error), -1);
    assert_string_equal(error.message, "doc: \"o\" is not an array");
    assert_int_equal(pb_json_array(object, "gone", "doc", &array, &error), -1);
    assert_null(array);
    json_decref(object);
}

static void optional_strings(void **state)
{
    (void)state;
    json_t *object = parse("{\"s\":\"x\",\"n\":1,\"null\":null}");
    pb_error error = {0};
    const char *text = "as it was";
    assert_int_equal(pb_json_string_if(object, "gone", "doc", &text, &error), 0);
    assert_int_equal(pb_json_string_if(object, "null", "doc", &text, &error), 0);
    assert_string_equal(text, "as it was");
    assert_int_equal(pb_json_string_if(object, "n", "doc", &text, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_string_equal(text, "as it was");
    assert_int_equal(pb_json_string_if(object, "s", "doc", &text, &error), 0);
    assert_string_equal(text, "x");
    json_decref(object);
}

static void values_are_appended_compact(void **state)
{
    (void)state;
    json_t *object = parse("{ \"z\": 1, \"a\": [true, null], \"u\": \"\xc3\xa9/\" }");
    pb_buffer buffer = {0};
    pb_json_append(&buffer, object);
    json_t *text = json_string("x");
    pb_json_append(&buffer, text);
    assert_string_equal(buffer.data, "{\"z\":1,\"a\":[true,null],\"u\":\"\xc3\xa9/\"}\n\"x\"\n");
    json_decref(text);
    json_decref(object);
    pb_buffer_free(&buffer);
}

static void a_secret_document_is_never_quoted(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"key\": \"hush\", hush}",
        "{\"hush\":1,\"hush\":2}",
        "{\"key\": \"hush",
        "hush",
        "[\"hush\"]",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        json_t *object = NULL;
        pb_error error = {0};
        assert_int_equal(pb_json_parse_secret(pb_slice_of(bad[i]), "doc", &object, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
        assert_non_null(strstr(error.message, "doc: not "));
        assert_null(strstr(error.message, "hush"));
    }
}

static void wiping_overwrites_all_texts(void **state)
{
    (void)state;
    json_t *object = parse("{\"a\":\"hush\",\"b\":[1,{\"c\":\"hush\"}]}");
    json_t *first = json_incref(json_object_get(object, "a"));
    json_t *second =
        json_incref(json_object_get(json_array_get(json_object_get(object, "b"), 1), "c"));
    pb_json_wipe(object);
    assert_memory_equal(json_string_value(first), "\0\0\0\0", 4);
    assert_memory_equal(json_string_value(second), "\0\0\0\0", 4);
    json_decref(first);
    json_decref(second);
    pb_json_wipe(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_document_is_never_quoted),
        cmocka_unit_test(wiping_overwrites_all_texts),
        cmocka_unit_test(one_object_is_parsed),
        cmocka_unit_test(all_else_is_damaged),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(members_are_read),
        cmocka_unit_test(wrong_members_are_named),
        cmocka_unit_test(optional_strings),
        cmocka_unit_test(values_are_appended_compact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
