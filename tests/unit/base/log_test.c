#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

typedef struct heard {
    int lines;
    pb_log_level level;
    char line[8192];
} heard;

static void hear(void *context, pb_log_level level, const char *line)
{
    heard *to = context;
    to->lines++;
    to->level = level;
    snprintf(to->line, sizeof(to->line), "%s", line);
}

static void levels_are_filtered(void **state)
{
    (void)state;
    static const pb_log_level levels[] = {PB_LOG_WARNING, PB_LOG_INFO, PB_LOG_DEBUG};
    for (int wanted = 0; wanted < 3; wanted++) {
        heard to = {0};
        pb_log log = {.level = levels[wanted], .write = hear, .context = &to};
        for (int i = 0; i < 3; i++)
            pb_log_line(&log, levels[i], "line %d", i);
        assert_int_equal(to.lines, wanted + 1);
        assert_int_equal(to.level, levels[wanted]);
    }
    pb_log_line(NULL, PB_LOG_WARNING, "dropped %d", 1);
}

static void lines_are_one_line(void **state)
{
    (void)state;
    heard to = {0};
    pb_log log = {.level = PB_LOG_INFO, .write = hear, .context = &to};
    pb_log_line(&log, PB_LOG_INFO, "key %s", "a\nb\x1b\xc2\x85");
    assert_string_equal(to.line, "key a?b??");
    pb_log_line(&log, PB_LOG_INFO, "%5000s", "end");
    assert_true(strlen(to.line) > 4000 && strlen(to.line) < 5000);
    assert_int_equal(to.lines, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_filtered),
        cmocka_unit_test(lines_are_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
