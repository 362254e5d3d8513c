/* Processes for real: this one, a child, and one that has ended. */
#include "base/process.h"

#include "base/bytes.h"
#include "base/clock.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { STALE_MS = 3 * 60 * 1000 };

static void replace(char **text, const char *value)
{
    free(*text);
    *text = pb_duplicate(pb_slice_of(value));
}

static void this_process_is_alive(void **state)
{
    (void)state;
    pb_process process;
    pb_process_this(&process);
    assert_true(process.host[0]);
    assert_true(process.boot_id[0]);
    assert_int_equal(process.pid, getpid());
    assert_true(process.pid_start > 0);
    assert_true(pb_process_is_alive(&process));
    assert_false(pb_process_is_gone(&process));
    /* A heartbeat is not asked for where the process itself can be. */
    process.heartbeat_ms = 0;
    assert_true(pb_process_is_alive(&process));
    pb_process_free(&process);
    assert_null(process.host);
    pb_process_free(&process);
}

/* The number of a process is given again after a while: its start tells them apart. */
static void another_start_is_another_process(void **state)
{
    (void)state;
    pb_process process;
    pb_process_this(&process);
    process.pid_start++;
    assert_true(pb_process_is_gone(&process));
    assert_false(pb_process_is_alive(&process));
    process.pid_start = 0;
    assert_true(pb_process_is_gone(&process));
    pb_process_free(&process);
}

static void one_that_ended_is_not_alive(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pb_process self;
        pb_process_this(&self);
        ssize_t written = write(ends[1], &self.pid_start, sizeof(self.pid_start));
        pause();
        _exit(written < 0);
    }
    pb_process process;
    pb_process_this(&process);
    process.pid = (uint64_t)child;
    assert_int_equal(read(ends[0], &process.pid_start, sizeof(process.pid_start)),
                     sizeof(process.pid_start));
    assert_true(pb_process_is_alive(&process));
    /* Before its parent has asked for its status, too: in a container nobody may ever ask. */
    kill(child, SIGKILL);
    siginfo_t ended;
    assert_int_equal(waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT), 0);
    assert_false(pb_process_is_alive(&process));
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(pb_process_is_alive(&process));
    pb_process_free(&process);
    close(ends[0]);
    close(ends[1]);
}

/* That of another machine, another boot or another container cannot be asked. */
static void elsewhere_the_heartbeat_counts(void **state)
{
    (void)state;
    static const bool other_hosts[] = {true, false};
    for (size_t i = 0; i < 2; i++) {
        pb_process process;
        pb_process_this(&process);
        if (other_hosts[i])
            replace(&process.host, "another-host");
        else
            replace(&process.boot_id, "00000000-0000-0000-0000-000000000000 pid:[1]");
        assert_true(pb_process_is_alive(&process));
        process.heartbeat_ms = pb_clock_utc_ms() - STALE_MS - 1;
        assert_false(pb_process_is_alive(&process));
        process.heartbeat_ms = pb_clock_utc_ms() - STALE_MS + 10 * 1000;
        assert_true(pb_process_is_alive(&process));
        pb_process_free(&process);
    }
}

/* Two that both know no boot are not of one place for that. */
static void an_unknown_boot_is_elsewhere(void **state)
{
    (void)state;
    pb_process process;
    pb_process_this(&process);
    replace(&process.boot_id, "");
    process.heartbeat_ms = 0;
    assert_false(pb_process_is_alive(&process));
    pb_process_free(&process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_process_is_alive),
        cmocka_unit_test(another_start_is_another_process),
        cmocka_unit_test(one_that_ended_is_not_alive),
        cmocka_unit_test(elsewhere_the_heartbeat_counts),
        cmocka_unit_test(an_unknown_boot_is_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
