#include "base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void expect(const char *yaml, const char *json)
{
    json_t *object = NULL;
    pb_error error = {0};
    if (pb_yaml_parse(pb_slice_of(yaml), "doc", &object, &error) != 0)
        fail_msg("%s: %s", yaml, error.message);
    json_t *wanted = json_loads(json, 0, NULL);
    assert_non_null(wanted);
    if (!json_equal(object, wanted)) {
        char *text = json_dumps(object, 0);
        fail_msg("%s: %s", yaml, text);
    }
    json_decref(wanted);
    json_decref(object);
}

static void values_are_what_they_stand_for(void **state)
{
    (void)state;
    expect("", "{}");
    expect("# nothing\n", "{}");
    expect("---\n", "{}");
    expect("{}", "{}");
    expect("\xef\xbb\xbf"
           "a: b",
           "{\"a\":\"b\"}");
    expect("a: 1\nb: -12\nc: 0\n", "{\"a\":1,\"b\":-12,\"c\":0}");
    expect("a: true\nb: False\nc: ~\nd:\ne: null\n",
           "{\"a\":true,\"b\":false,\"c\":null,\"d\":null,\"e\":null}");
    expect("a: 'true'\nb: \"1\"\n", "{\"a\":\"true\",\"b\":\"1\"}");
    /* Text to YAML 1.2, to JSON, or to whoever wrote it. */
    expect("a: yes\nb: 012345678901\nc: 1.5\nd: 0x1f\ne: -0\nf: 9223372036854775808\ng: 1_000\n",
           "{\"a\":\"yes\",\"b\":\"012345678901\",\"c\":\"1.5\",\"d\":\"0x1f\",\"e\":\"-0\","
           "\"f\":\"9223372036854775808\",\"g\":\"1_000\"}");
    expect("bucket: s3://new?endpoint=host:9000\nlist: [a, b]\nmap:\n  x: 1\n  y:\n  - 2\n",
           "{\"bucket\":\"s3://new?endpoint=host:9000\",\"list\":[\"a\",\"b\"],"
           "\"map\":{\"x\":1,\"y\":[2]}}");
    expect("a: |\n  one\n  two\nb: >-\n  one\n  two\n",
           "{\"a\":\"one\\ntwo\\n\",\"b\":\"one two\"}");
    expect("1: x\n<<: y\n", "{\"1\":\"x\",\"<<\":\"y\"}");
}

static void only_the_slice_is_read(void **state)
{
    (void)state;
    json_t *object = NULL;
    assert_int_equal(pb_yaml_parse((pb_slice){"a: b\nc: [", 5}, "doc", &object, NULL), 0);
    assert_int_equal(json_object_size(object), 1);
    json_decref(object);
    assert_int_equal(pb_yaml_parse((pb_slice){NULL, 0}, "doc", &object, NULL), 0);
    json_decref(object);
}

static void all_else_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *says;
    } bad[] = {
        {"a", "pbcopy.yaml: not a mapping"},
        {"- a", "pbcopy.yaml: not a mapping"},
        {"a: &x b", "pbcopy.yaml: line 1, column 4: anchors"},
        {"a: &x {}", "pbcopy.yaml: line 1, column 4: anchors"},
        {"a: 1\nb: &x\n- 1\n", "pbcopy.yaml: line 2, column 4: anchors"},
        {"a: *x", "pbcopy.yaml: line 1, column 4: aliases"},
        {"a: !!str b", "pbcopy.yaml: line 1, column 4: tags"},
        {"a: !x [b]", "pbcopy.yaml: line 1, column 4: tags"},
        {"!x a: b", "pbcopy.yaml: line 1, column 1: tags"},
        {"a: 1\na: 2\n", "pbcopy.yaml: line 2, column 1: \"a\" is given twice"},
        {"b: {a: 1, a: 2}", "pbcopy.yaml: line 1, column 11: \"a\" is given twice"},
        {"a: 1\n---\nb: 2\n", "pbcopy.yaml: line 2, column 1: a second document"},
        {"? [a]\n: b\n", "pbcopy.yaml: line 1, column 3: a key that is not text"},
        {"a: \"x\\0y\"", "pbcopy.yaml: line 1, column 4: text with a NUL"},
        {"a: [1", "pbcopy.yaml: line "},
        {"a: b: c", "pbcopy.yaml: line 1, column 5: "},
        {"\ta: 1", "pbcopy.yaml: line 1, column 1: "},
        {"a: \xff", "pbcopy.yaml: byte 4: "},
        {"a: \x01", "pbcopy.yaml: byte "},
        {"\xff\xfe"
         "a",
         "pbcopy.yaml: byte 1: "},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_error error = {0};
        json_t *object = NULL;
        assert_int_equal(pb_yaml_parse(pb_slice_of(bad[i].yaml), "pbcopy.yaml", &object, &error),
                         -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        if (strncmp(error.message, bad[i].says, strlen(bad[i].says)) != 0)
            fail_msg("%s: %s", bad[i].yaml, error.message);
        assert_null(object);
    }
}

static void depth_and_size_have_an_end(void **state)
{
    (void)state;
    pb_buffer text = {0};
    for (int levels = 64; levels <= 65; levels++) {
        pb_buffer_clear(&text);
        pb_buffer_append_text(&text, "a: ");
        for (int i = 1; i < levels; i++)
            pb_buffer_append_char(&text, '[');
        for (int i = 1; i < levels; i++)
            pb_buffer_append_char(&text, ']');
        json_t *object = NULL;
        assert_int_equal(pb_yaml_parse(pb_buffer_slice(&text), "doc", &object, NULL),
                         levels == 64 ? 0 : -1);
        json_decref(object);
    }
    pb_buffer_clear(&text);
    while (text.size <= PB_YAML_BYTES_MAX)
        pb_buffer_append_text(&text, "#########################\n");
    json_t *object = NULL;
    assert_int_equal(pb_yaml_parse(pb_buffer_slice(&text), "doc", &object, NULL), -1);
    pb_buffer_free(&text);
}

static void text_for_people(void **state)
{
    (void)state;
    json_t *object = json_loads(
        "{\"source\":\"s3://bucket?endpoint=host:9000\",\"parallel\":256,\"plaintext\":false,"
        "\"recipient\":[\"age1abc\",\"ssh-ed25519 AAAA me\"],\"none\":null,\"empty\":[],"
        "\"cluster\":{\"namespace\":\"default\",\"no\":\"yes\",\"deep\":{\"x\":\"12\"}},\"o\":{}}",
        0, NULL);
    assert_non_null(object);
    pb_buffer text = {0};
    pb_yaml_append(&text, object);
    assert_string_equal(text.data, "source: s3://bucket?endpoint=host:9000\n"
                                   "parallel: 256\n"
                                   "plaintext: false\n"
                                   "recipient:\n"
                                   "  - age1abc\n"
                                   "  - \"ssh-ed25519 AAAA me\"\n"
                                   "none: null\n"
                                   "empty: []\n"
                                   "cluster:\n"
                                   "  namespace: default\n"
                                   "  \"no\": \"yes\"\n"
                                   "  deep:\n"
                                   "    x: \"12\"\n"
                                   "o: {}\n");
    json_decref(object);
    pb_buffer_free(&text);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "a b",
        "a:",
        ":a",
        "a: b",
        "- a",
        "#a",
        "a #b",
        "a#b",
        "'",
        "\"",
        "\\",
        "a\nb",
        "a\tb",
        "\x7f",
        "\xc2\x85",
        "\xe2\x80\xa8",
        "\xef\xbb\xbf",
        "\xc3\xa9",
        "\xf0\x9f\x98\x80",
        "null",
        "~",
        "true",
        "No",
        "12",
        "-1",
        "1.5",
        "1e3",
        "0x1f",
        "12:30:00",
        "2026-01-02",
        "---",
        "...",
        "%a",
        "&a",
        "*a",
        "!a",
        "@a",
        "`a",
        "|",
        ">",
        "{",
        "}",
        "[",
        "]",
        ",",
        "?",
        "? a",
        "-",
        "a,b",
        "s3://b/p",
        "a=b&c=d%20",
        "trailing ",
        "0012",
        "\xef\xbf\xbe",
    };
    json_t *object = json_object();
    for (size_t i = 0; i < COUNT(texts); i++) {
        json_t *value = json_string(texts[i]);
        assert_non_null(value);
        json_object_set_new(object, texts[i], value);
    }
    pb_buffer text = {0};
    pb_yaml_append(&text, object);
    json_t *again = NULL;
    pb_error error = {0};
    if (pb_yaml_parse(pb_buffer_slice(&text), "doc", &again, &error) != 0)
        fail_msg("%s\n%s", error.message, text.data);
    assert_true(json_equal(object, again));
    json_decref(again);
    json_decref(object);
    pb_buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_what_they_stand_for),
        cmocka_unit_test(only_the_slice_is_read),
        cmocka_unit_test(all_else_is_refused),
        cmocka_unit_test(depth_and_size_have_an_end),
        cmocka_unit_test(text_for_people),
        cmocka_unit_test(what_is_written_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
