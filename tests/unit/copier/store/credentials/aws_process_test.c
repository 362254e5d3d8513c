#include "copier/store/credentials/aws_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int run(const char *command, uint32_t timeout_ms, pb_credential *ret_keys, pb_error *error)
{
    pb_credential_source *source = pb_aws_process_source(command, "a program", timeout_ms);
    *error = (pb_error){0};
    int failed = source->fetch(source, ret_keys, error);
    pb_credential_source_free(source);
    return failed;
}

#define KEYS "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}"

static void reads_what_it_writes(void **state)
{
    (void)state;
    pb_credential keys = {0};
    pb_error error;
    if (run("echo '" KEYS "'; echo noise >&2; ! read -r line", 20000, &keys, &error))
        fail_msg("%s", error.message);
    assert_string_equal(keys.access_key_id, "A");
    assert_string_equal(keys.secret_access_key, "S");
    pb_credential_clear(&keys);
    /* What it leaves behind holds nobody up. */
    int64_t begun_ms = pb_clock_monotonic_ms();
    if (run("(exec >/dev/null; sleep 9) & echo '" KEYS "'", 20000, &keys, &error))
        fail_msg("%s", error.message);
    assert_true(pb_clock_monotonic_ms() - begun_ms < 5000);
    pb_credential_clear(&keys);
}

static void tells_how_it_failed(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        pb_error_kind kind;
        const char *says;
    } cases[] = {
        {"echo 'log in first' >&2; exit 3", PB_ERROR_REFUSED,
         "credential_process: exit code 3: log in first"},
        {"echo hunter2; exit 3", PB_ERROR_REFUSED, "exit code 3"},
        {"printf 'a\\033hunter2' >&2; exit 3", PB_ERROR_REFUSED, "exit code 3"},
        {"kill -9 $$", PB_ERROR_REFUSED, "ended by signal 9"},
        {"echo hunter2", PB_ERROR_REFUSED, "no JSON"},
        {"/nonexistent/program hunter2; exit 127", PB_ERROR_REFUSED, "exit code 127"},
        {"yes hunter2", PB_ERROR_FAILED, "more than 64 KiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_credential keys = {0};
        pb_error error;
        assert_int_equal(run(cases[i].command, 20000, &keys, &error), -1);
        if (error.kind != cases[i].kind || !strstr(error.message, cases[i].says) ||
            (strstr(error.message, "hunter2") && i != 5))
            fail_msg("case %zu: %s", i, error.message);
    }
}

static void kills_what_takes_too_long(void **state)
{
    (void)state;
    char path[] = "/tmp/pbcopy-process-XXXXXX", command[128];
    pb_credential keys = {0};
    pb_error error;
    int file = mkstemp(path);
    assert_true(file >= 0);
    snprintf(command, sizeof command, "(sleep 2; echo alive > %s) & sleep 30", path);
    int64_t begun_ms = pb_clock_monotonic_ms();
    assert_int_equal(run(command, 300, &keys, &error), -1);
    assert_true(pb_clock_monotonic_ms() - begun_ms < 2000);
    assert_int_equal(error.kind, PB_ERROR_UNREACHABLE);
    /* Its children went with it. */
    sleep(3);
    assert_int_equal(lseek(file, 0, SEEK_END), 0);
    close(file);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(tells_how_it_failed),
        cmocka_unit_test(kills_what_takes_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
