#include "manifest/findings_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void add(pb_findings *findings, const char *key)
{
    pb_findings_add(findings, pb_slice_of(key));
}

static bool have(const pb_findings *findings, const char *key)
{
    return pb_findings_have(findings, pb_slice_of(key));
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    pb_findings findings = {0}, back = {0};
    pb_buffer text = {0};
    pb_error error = {0};
    assert_false(have(&findings, "a"));
    add(&findings, "z\"\n\xc3\xa9");
    add(&findings, "a");
    add(&findings, "a");
    pb_findings_sort(&findings);
    assert_int_equal(findings.count, 2);
    pb_findings_append(&text, "20261123T052049Z-3f9a", &findings);
    assert_string_equal(text.data,
                        "{\"pbcopy\":\"findings\",\"version\":1,\"id\":\"20261123T052049Z-3f9a\","
                        "\"cut\":false}\n{\"key\":\"a\"}\n{\"key\":\"z\\\"\\n\xc3\xa9\"}\n");
    add(&back, "b");
    assert_int_equal(pb_findings_parse(pb_buffer_slice(&text), &back, &error), 0);
    pb_findings_sort(&back);
    assert_int_equal(back.count, 3);
    assert_true(have(&back, "a") && have(&back, "b") && have(&back, "z\"\n\xc3\xa9"));
    assert_false(have(&back, "aa") || have(&back, ""));
    pb_buffer_free(&text);
    pb_findings_free(&findings);
    pb_findings_free(&back);
}

static void too_many_are_all(void **state)
{
    (void)state;
    char key[1025];
    pb_findings findings = {0}, back = {0};
    pb_buffer text = {0};
    pb_error error = {0};
    memset(key, 'k', sizeof key - 1);
    key[1024] = '\0';
    for (unsigned i = 0; i < 10000; i++)
        add(&findings, key);
    pb_findings_sort(&findings);
    assert_true(findings.cut && have(&findings, "anything"));
    pb_findings_append(&text, "id", &findings);
    assert_int_equal(pb_findings_parse(pb_buffer_slice(&text), &back, &error), 0);
    assert_true(back.cut);
    pb_buffer_free(&text);
    pb_findings_free(&findings);
    pb_findings_free(&back);
}

static void what_is_not_so_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        pb_error_kind kind;
    } cases[] = {
        {"", PB_ERROR_DAMAGED},
        {"{\"pbcopy\":\"findings\",\"version\":1}\n", PB_ERROR_DAMAGED},
        {"{\"pbcopy\":\"findings\",\"version\":2,\"cut\":false}\n", PB_ERROR_USAGE},
        {"{\"pbcopy\":\"intent\",\"version\":1,\"cut\":false}\n", PB_ERROR_DAMAGED},
        {"{\"pbcopy\":\"findings\",\"version\":1,\"cut\":false}\n\n", PB_ERROR_DAMAGED},
        {"{\"pbcopy\":\"findings\",\"version\":1,\"cut\":false}\n{\"key\":7}", PB_ERROR_DAMAGED},
        {"{\"pbcopy\":\"findings\",\"version\":1,\"cut\":false}\n{\"key\":\"\"}", PB_ERROR_DAMAGED},
        {"{\"pbcopy\":\"findings\",\"version\":1,\"cut\":false}\n{\"key\":\"a\"}\n{\"key\":\"b",
         PB_ERROR_DAMAGED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_findings findings = {0};
        pb_error error = {0};
        assert_int_equal(pb_findings_parse(pb_slice_of(cases[i].text), &findings, &error), -1);
        assert_int_equal(error.kind, cases[i].kind);
        assert_int_equal(findings.count, 0);
        pb_findings_free(&findings);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(too_many_are_all),
        cmocka_unit_test(what_is_not_so_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
