/* The questions for this account's rights, and their answers. */
#include "cluster/kubernetes/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the headers above first. */
#include <cmocka.h>

static void questions_leave_out_what_is_empty(void **state)
{
    (void)state;
    const pb_access accesses[] = {
        {.name_space = "prod",
         .verb = "patch",
         .group = "apps",
         .resource = "deployments",
         .subresource = "scale",
         .name = ""},
        {.name_space = "prod",
         .verb = "get",
         .group = "",
         .resource = "secrets",
         .subresource = "",
         .name = "postgres"},
    };
    json_t *questions = pb_access_questions(accesses, 2);
    json_t *expected = json_loads(
        "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":["
        "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SelfSubjectAccessReview\","
        "\"spec\":{\"resourceAttributes\":{\"namespace\":\"prod\",\"verb\":\"patch\","
        "\"group\":\"apps\",\"resource\":\"deployments\",\"subresource\":\"scale\"}}},"
        "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SelfSubjectAccessReview\","
        "\"spec\":{\"resourceAttributes\":{\"namespace\":\"prod\",\"verb\":\"get\","
        "\"resource\":\"secrets\",\"name\":\"postgres\"}}}]}",
        0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(questions, expected));
    json_decref(questions);
    json_decref(expected);
    pb_buffer text = {0};
    pb_access_describe(&accesses[0], &text);
    pb_buffer_append_text(&text, ", ");
    pb_access_describe(&accesses[1], &text);
    assert_string_equal(text.data, "patch deployments.apps/scale, get secrets/postgres");
    pb_buffer_free(&text);
}

static void answers_are_in_the_order_of_questions(void **state)
{
    (void)state;
    pb_access accesses[3] = {{.allowed = true}, {.allowed = false}, {.allowed = true}};
    pb_error error = {0};
    assert_int_equal(pb_access_answers(pb_slice_of("false\ntrue\nfalse\n"), accesses, 3, &error),
                     0);
    assert_false(accesses[0].allowed);
    assert_true(accesses[1].allowed);
    assert_false(accesses[2].allowed);
}

static void other_answers_are_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "true\n", "true\ntrue\ntrue\n", "true\ntrue", "true\nyes\n", "\n\n", "truefalse\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        pb_access accesses[2] = {{.allowed = false}, {.allowed = false}};
        pb_error error = {0};
        assert_int_equal(pb_access_answers(pb_slice_of(texts[i]), accesses, 2, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_FAILED);
        assert_false(accesses[0].allowed || accesses[1].allowed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_leave_out_what_is_empty),
        cmocka_unit_test(answers_are_in_the_order_of_questions),
        cmocka_unit_test(other_answers_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
