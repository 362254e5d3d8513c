/* The folder for temporary files: looked at by writing there. */
#include "snapshot/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int check(const char *scratch, uint64_t needed_bytes, uint64_t *ret_free_bytes,
                 pb_error *error)
{
    const pb_session session = {.options = {.scratch = scratch}};
    return pb_session_check_scratch(&session, needed_bytes, ret_free_bytes, error);
}

static void a_folder_with_room_is_good(void **state)
{
    (void)state;
    char folder[] = "/tmp/pbcopy-session-XXXXXX";
    uint64_t free_bytes = 0;
    pb_error error = {0};
    assert_non_null(mkdtemp(folder));
    assert_int_equal(check(folder, 1024 * 1024, &free_bytes, &error), 0);
    assert_true(free_bytes >= 1024 * 1024);
    assert_int_equal(rmdir(folder), 0); /* nothing is left in it */
}

static void one_without_room_is_refused(void **state)
{
    (void)state;
    pb_error error = {0};
    assert_int_equal(check("/tmp", UINT64_MAX / 2, NULL, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_NO_SPACE);
    assert_non_null(strstr(error.message, "/tmp"));
    assert_non_null(strstr(error.message, "MiB are needed"));
    assert_non_null(strstr(error.hint, "--scratch"));
}

static void one_that_cannot_be_written_is_refused(void **state)
{
    (void)state;
    static const char *const folders[] = {"/nowhere/at/all", "/dev/null", "/sys/kernel", ""};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        pb_error error = {0};
        if (!folders[i][0] && geteuid() == 0)
            continue; /* the root folder */
        assert_int_equal(check(folders[i], 0, NULL, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_non_null(strstr(error.message, "temporary files"));
        assert_non_null(strstr(error.hint, "TMPDIR"));
    }
}

static void it_is_named_by_the_environment_too(void **state)
{
    (void)state;
    const pb_session plain = {0}, named = {.options = {.scratch = "/somewhere"}};
    setenv("TMPDIR", "/of/the/environment", 1);
    assert_string_equal(pb_session_scratch(&plain), "/of/the/environment");
    assert_string_equal(pb_session_scratch(&named), "/somewhere");
    setenv("TMPDIR", "", 1);
    assert_string_equal(pb_session_scratch(&plain), "/var/tmp");
    unsetenv("TMPDIR");
    assert_string_equal(pb_session_scratch(&plain), "/var/tmp");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_with_room_is_good),
        cmocka_unit_test(one_without_room_is_refused),
        cmocka_unit_test(one_that_cannot_be_written_is_refused),
        cmocka_unit_test(it_is_named_by_the_environment_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
