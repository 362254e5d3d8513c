#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void set_fills_and_clears(void **state)
{
    (void)state;
    pb_error error;
    memset(&error, 'x', sizeof(error));
    assert_int_equal(pb_error_set(&error, PB_ERROR_BUSY, "lock %d of %s", 3, "b"), -1);
    assert_int_equal(error.kind, PB_ERROR_BUSY);
    assert_int_equal(error.status, 0);
    assert_string_equal(error.code, "");
    assert_string_equal(error.request_id, "");
    assert_string_equal(error.message, "lock 3 of b");
    assert_string_equal(error.hint, "");
}

static void null_error_is_dropped(void **state)
{
    (void)state;
    assert_int_equal(pb_error_set(NULL, PB_ERROR_FAILED, "x"), -1);
    assert_int_equal(pb_error_hint(NULL, "x"), -1);
    assert_int_equal(pb_error_context(NULL, "x"), -1);
    assert_int_equal(pb_error_errno(NULL, ENOENT, "x"), -1);
}

static void control_characters_become_question_marks(void **state)
{
    (void)state;
    pb_error error;
    pb_error_set(&error, PB_ERROR_FAILED, "key %s", "a\nb\r\tc\x1b[2J\x7f");
    assert_string_equal(error.message, "key a?b??c?[2J?");
    pb_error_context(&error, "in\n%s", "bucket\r");
    assert_string_equal(error.message, "in?bucket?: key a?b??c?[2J?");
    pb_error_hint(&error, "try\n%d", 2);
    assert_string_equal(error.hint, "try?2");
    pb_error_errno(&error, EIO, "open %s", "a\nb");
    assert_string_equal(error.message, "open a?b: Input/output error");
}

static void long_messages_are_cut_at_their_end(void **state)
{
    (void)state;
    pb_error error;
    char longest[4000];
    memset(longest, 'm', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    pb_error_set(&error, PB_ERROR_FAILED, "%s", longest);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    pb_error_context(&error, "context");
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    assert_int_equal(strncmp(error.message, "context: mmm", 12), 0);
    pb_error_context(&error, "%s", longest);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    pb_error_hint(&error, "%s", longest);
    assert_int_equal(strlen(error.hint), sizeof(error.hint) - 1);
    pb_error_errno(&error, EIO, "%s", longest);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
}

static void no_character_is_cut_in_two(void **state)
{
    (void)state;
    pb_error error;
    char text[2000] = "";
    for (size_t i = 0; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 4);
    for (int shift = 0; shift < 3; shift++) {
        pb_error_set(&error, PB_ERROR_FAILED, "%.*s%s", shift, "ab", text);
        size_t size = strlen(error.message);
        assert_true(size >= sizeof(error.message) - 3);
        assert_int_equal(strcmp(error.message + size - 3, "\xe2\x82\xac"), 0);
        pb_error_context(&error, "c");
        size = strlen(error.message);
        assert_int_equal(strcmp(error.message + size - 3, "\xe2\x82\xac"), 0);
    }
}

static void context_keeps_the_rest(void **state)
{
    (void)state;
    pb_error error;
    pb_error_set(&error, PB_ERROR_REFUSED, "signature does not match");
    error.status = 403;
    snprintf(error.code, sizeof(error.code), "SignatureDoesNotMatch");
    snprintf(error.request_id, sizeof(error.request_id), "tx1");
    pb_error_hint(&error, "check the clock");
    assert_int_equal(pb_error_context(&error, "list %s", "s3://b"), -1);
    assert_int_equal(pb_error_context(&error, "backup"), -1);
    assert_string_equal(error.message, "backup: list s3://b: signature does not match");
    assert_int_equal(error.kind, PB_ERROR_REFUSED);
    assert_int_equal(error.status, 403);
    assert_string_equal(error.code, "SignatureDoesNotMatch");
    assert_string_equal(error.request_id, "tx1");
    assert_string_equal(error.hint, "check the clock");
}

static void arguments_may_point_into_the_error(void **state)
{
    (void)state;
    pb_error error;
    pb_error_set(&error, PB_ERROR_FAILED, "inner");
    pb_error_set(&error, PB_ERROR_SERVER, "outer, %s", error.message);
    assert_string_equal(error.message, "outer, inner");
    pb_error_context(&error, "again %s", error.message);
    assert_string_equal(error.message, "again outer, inner: outer, inner");
}

static void errno_has_kinds(void **state)
{
    (void)state;
    static const struct {
        int errnum;
        pb_error_kind kind;
    } rows[] = {
        {ENOENT, PB_ERROR_NOT_FOUND}, {EEXIST, PB_ERROR_EXISTS},    {ENOSPC, PB_ERROR_NO_SPACE},
        {EDQUOT, PB_ERROR_NO_SPACE},  {EACCES, PB_ERROR_FORBIDDEN}, {EPERM, PB_ERROR_FORBIDDEN},
        {EIO, PB_ERROR_FAILED},       {0, PB_ERROR_FAILED},         {99999, PB_ERROR_FAILED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        pb_error error;
        assert_int_equal(pb_error_errno(&error, rows[i].errnum, "open %s", "/x"), -1);
        assert_int_equal(error.kind, rows[i].kind);
        assert_int_equal(strncmp(error.message, "open /x: ", 9), 0);
        assert_int_equal(error.status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_and_clears),
        cmocka_unit_test(null_error_is_dropped),
        cmocka_unit_test(control_characters_become_question_marks),
        cmocka_unit_test(long_messages_are_cut_at_their_end),
        cmocka_unit_test(no_character_is_cut_in_two),
        cmocka_unit_test(context_keeps_the_rest),
        cmocka_unit_test(arguments_may_point_into_the_error),
        cmocka_unit_test(errno_has_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
