#include "cli/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

static void phase(pb_meter *meter, const char *name)
{
    pb_meter_take(meter, &(pb_event){.kind = PB_EVENT_PHASE, .phase = name});
}

static void moved(pb_meter *meter, int64_t elapsed_ms, uint64_t keys, uint64_t objects,
                  uint64_t bytes, uint64_t keys_total)
{
    pb_meter_take(meter, &(pb_event){.kind = PB_EVENT_PROGRESS,
                                     .phase = "copying",
                                     .keys = keys,
                                     .objects = objects,
                                     .bytes = bytes,
                                     .keys_total = keys_total,
                                     .elapsed_ms = elapsed_ms});
}

static void assert_line(const pb_meter *meter, const char *text)
{
    pb_buffer buffer = {0};
    pb_meter_format(meter, &buffer);
    assert_string_equal(buffer.data, text);
    pb_buffer_free(&buffer);
}

static void a_phase_without_figures_is_its_name(void **state)
{
    (void)state;
    pb_meter meter = {0};
    phase(&meter, "opening");
    assert_false(pb_meter_has_figures(&meter));
    assert_line(&meter, "opening");
}

static void rates_come_after_a_second(void **state)
{
    (void)state;
    pb_meter meter = {0};
    phase(&meter, "copying");
    moved(&meter, 200, 1500, 10, 2048, 0);
    assert_true(pb_meter_has_figures(&meter));
    assert_line(&meter, "copying: 1,500 keys, 10 objects, 2.00 KiB");
    moved(&meter, 1000, 3000, 500, 5 << 20, 0);
    assert_line(&meter, "copying: 3,000 keys, 500 objects, 5.00 MiB, 500 objects/s, 5.00 MiB/s");
}

static void a_known_total_tells_the_time_left(void **state)
{
    (void)state;
    pb_meter meter = {0};
    phase(&meter, "copying");
    moved(&meter, 2000, 200, 100, 2 << 20, 1000);
    assert_line(&meter, "copying: 200 of 1,000 keys (20%), 100 objects, 2.00 MiB, 50 objects/s, "
                        "1.00 MiB/s, 8.0 s left");
    moved(&meter, 4000, 1000, 100, 2 << 20, 1000);
    assert_line(&meter, "copying: 1,000 of 1,000 keys (100%), 100 objects, 2.00 MiB, 25 objects/s, "
                        "512 KiB/s");
    /* It was an estimate. */
    moved(&meter, 4000, 1001, 100, 2 << 20, 1000);
    assert_line(&meter, "copying: 1,001 keys, 100 objects, 2.00 MiB, 25 objects/s, 512 KiB/s");
}

static void rates_are_of_the_last_seconds(void **state)
{
    (void)state;
    pb_meter meter = {0};
    phase(&meter, "copying");
    /* 1,000 objects a second for a minute, then 10 a second. */
    uint64_t objects = 0;
    for (int64_t at_ms = 200; at_ms <= 70000; at_ms += 200) {
        objects += at_ms <= 60000 ? 200 : 2;
        moved(&meter, at_ms, objects, objects, objects, 0);
    }
    assert_line(&meter, "copying: 60,100 keys, 60,100 objects, 58.6 KiB, 10 objects/s, 10 B/s");
}

static void fast_events_do_not_shorten_the_window(void **state)
{
    (void)state;
    pb_meter meter = {0};
    phase(&meter, "copying");
    for (int64_t at_ms = 1; at_ms <= 20000; at_ms++)
        moved(&meter, at_ms, (uint64_t)at_ms, (uint64_t)at_ms, 0, 0);
    assert_line(&meter, "copying: 20,000 keys, 20,000 objects, 0 B, 1,000 objects/s, 0 B/s");
}

static void nothing_moving_has_no_end(void **state)
{
    (void)state;
    pb_meter meter = {0};
    phase(&meter, "copying");
    for (int64_t at_ms = 200; at_ms <= 20000; at_ms += 200)
        moved(&meter, at_ms, 5, 5, 0, 1000);
    assert_line(&meter, "copying: 5 of 1,000 keys (0%), 5 objects, 0 B, 0 objects/s, 0 B/s");
}

static void a_new_phase_begins_anew(void **state)
{
    (void)state;
    pb_meter meter = {0};
    phase(&meter, "copying");
    moved(&meter, 5000, 5, 5, 5, 0);
    phase(&meter, "a phase with a name that is longer than any");
    assert_line(&meter, "a phase with a name that is lon");
    pb_meter_take(&meter, &(pb_event){.kind = PB_EVENT_PROGRESS, .phase = "reading", .keys = 1});
    assert_line(&meter, "reading: 1 keys, 0 objects, 0 B");
}

static void the_end_of_a_phase(void **state)
{
    (void)state;
    pb_meter meter = {0};
    phase(&meter, "copying");
    moved(&meter, 72000, 5000, 800, 3 << 20, 9000);
    pb_buffer buffer = {0};
    pb_meter_format_end(&meter, &buffer);
    assert_string_equal(buffer.data, "copying: 5,000 keys, 800 objects, 3.00 MiB in 1 min 12 s");
    pb_buffer_free(&buffer);
}

/* Everything a progress writes to a stream, as one text. */
typedef struct capture {
    FILE *stream;
    char *text;
    size_t size;
    pb_console console;
} capture;

static void capture_start(capture *all, bool interactive)
{
    all->stream = open_memstream(&all->text, &all->size);
    pb_console_init(&all->console, all->stream, interactive);
}

static void assert_captured(capture *all, const char *text)
{
    pb_console_free(&all->console);
    fclose(all->stream);
    assert_string_equal(all->text, text);
    free(all->text);
}

static void plain_lines_are_few(void **state)
{
    (void)state;
    capture all;
    pb_progress progress;
    capture_start(&all, false);
    pb_progress_init(&progress, &all.console, true);
    pb_progress_take(&progress, &(pb_event){.kind = PB_EVENT_PHASE, .phase = "opening"});
    pb_progress_take(&progress, &(pb_event){.kind = PB_EVENT_PHASE, .phase = "copying"});
    for (int i = 1; i <= 100; i++)
        pb_progress_take(&progress, &(pb_event){.kind = PB_EVENT_PROGRESS,
                                                .phase = "copying",
                                                .keys = (uint64_t)i,
                                                .elapsed_ms = 100 * i});
    pb_progress_take(&progress, &(pb_event){.kind = PB_EVENT_PHASE, .phase = "committing"});
    pb_progress_end(&progress);
    pb_progress_end(&progress);
    assert_captured(&all, "pbcopy: copying: 100 keys, 0 objects, 0 B in 10.0 s\n");
}

static void a_status_line_is_redrawn_below_lines(void **state)
{
    (void)state;
    capture all;
    pb_progress progress;
    capture_start(&all, true);
    pb_progress_init(&progress, &all.console, true);
    pb_progress_take(&progress, &(pb_event){.kind = PB_EVENT_PHASE, .phase = "opening"});
    pb_console_line(&all.console, all.stream, "pbcopy: ", "a key\nwith\x1b[2J controls");
    pb_progress_end(&progress);
    assert_captured(&all, "opening\r\033[Kpbcopy: a key?with?[2J controls\nopening\r\033[K");
}

static void status_lines_fit_and_quiet_is_quiet(void **state)
{
    (void)state;
    capture all;
    pb_progress progress;
    char wide[201], expected[201];
    memset(wide, 'x', 200);
    wide[200] = '\0';
    capture_start(&all, true);
    pb_progress_init(&progress, &all.console, false);
    pb_progress_take(&progress, &(pb_event){.kind = PB_EVENT_PHASE, .phase = "opening"});
    pb_progress_end(&progress);
    pb_console_status(&all.console, wide);
    snprintf(expected, sizeof expected, "%.79s\r\033[K", wide); /* no terminal: 80 is assumed */
    assert_captured(&all, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_phase_without_figures_is_its_name),
        cmocka_unit_test(rates_come_after_a_second),
        cmocka_unit_test(a_known_total_tells_the_time_left),
        cmocka_unit_test(rates_are_of_the_last_seconds),
        cmocka_unit_test(fast_events_do_not_shorten_the_window),
        cmocka_unit_test(nothing_moving_has_no_end),
        cmocka_unit_test(a_new_phase_begins_anew),
        cmocka_unit_test(the_end_of_a_phase),
        cmocka_unit_test(plain_lines_are_few),
        cmocka_unit_test(a_status_line_is_redrawn_below_lines),
        cmocka_unit_test(status_lines_fit_and_quiet_is_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
