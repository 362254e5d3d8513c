#include "copier/http/outage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define URL "https://store.example"

typedef struct heard {
    unsigned count;
    char last[200];
} heard;

static void hear(void *context, pb_log_level level, const char *line)
{
    heard *all = context;
    assert_int_equal(level, PB_LOG_WARNING);
    all->count++;
    snprintf(all->last, sizeof all->last, "%s", line);
}

static void an_outage_is_said_once_and_its_end(void **state)
{
    (void)state;
    heard all = {0};
    const pb_log log = {.level = PB_LOG_WARNING, .write = hear, .context = &all};
    pb_outages *outages = pb_outages_new(&log);
    pb_outage *outage = pb_outage_at(outages, URL);
    assert_ptr_equal(outage, pb_outage_at(outages, URL));
    assert_ptr_not_equal(outage, pb_outage_at(outages, "https://other.example"));
    pb_outage_answered(outage, 1000);
    assert_int_equal(pb_outage_answered_ms(outage), 1000);
    for (int64_t now_ms = 2000; now_ms < 12000; now_ms += 500)
        pb_outage_failed(outage, now_ms, 900 * 1000);
    assert_int_equal(all.count, 0); /* what is repeated soon is nobody's concern */
    for (int64_t now_ms = 12000; now_ms < 60000; now_ms += 500)
        pb_outage_failed(outage, now_ms, 900 * 1000);
    assert_int_equal(all.count, 1);
    assert_string_equal(
        all.last, "no request to " URL
                  " has succeeded for 10 s: pbcopy goes on trying, for up to 900 s (--patience)");
    pb_outage_answered(outage, 95000);
    assert_int_equal(all.count, 2);
    assert_string_equal(all.last, URL " answers again, after 93 s");
    pb_outage_answered(outage, 96000);
    pb_outage_failed(outage, 97000, 900 * 1000);
    pb_outage_answered(outage, 98000);
    assert_int_equal(all.count, 2);
    pb_outages_free(outages);
    pb_outages_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_outage_is_said_once_and_its_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
