#include "base/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The table of docs/internals/failures.md, cell by cell. */
static const struct {
    pb_error_kind kind;
    const char *name;
    bool passes;
    pb_failure_reach reach;
    pb_failure_finding finding;
    bool of_copy, is_refusal;
    int exit_code;
} rows[] = {
    {PB_ERROR_NONE, "failed", false, PB_FAILURE_OF_OBJECT, PB_FAILURE_UNREAD, false, false, 0},
    {PB_ERROR_FAILED, "failed", false, PB_FAILURE_OF_OBJECT, PB_FAILURE_UNREAD, true, false, 1},
    {PB_ERROR_USAGE, "usage", false, PB_FAILURE_OF_RUN, PB_FAILURE_UNREAD, false, false, 2},
    {PB_ERROR_DAMAGED, "damaged", false, PB_FAILURE_OF_OBJECT, PB_FAILURE_MISMATCH, false, false,
     3},
    {PB_ERROR_REFUSED, "refused", false, PB_FAILURE_OF_RUN, PB_FAILURE_UNREAD, false, true, 4},
    {PB_ERROR_FORBIDDEN, "forbidden", false, PB_FAILURE_OF_OBJECT, PB_FAILURE_UNREAD, true, true,
     4},
    {PB_ERROR_UNREACHABLE, "unreachable", true, PB_FAILURE_OF_RUN, PB_FAILURE_UNREAD, false, false,
     5},
    {PB_ERROR_BUSY, "busy", false, PB_FAILURE_OF_RUN, PB_FAILURE_UNREAD, false, false, 6},
    {PB_ERROR_NOT_FOUND, "not_found", false, PB_FAILURE_OF_OBJECT, PB_FAILURE_MISSING, true, false,
     7},
    {PB_ERROR_NO_BUCKET, "not_found", false, PB_FAILURE_OF_RUN, PB_FAILURE_UNREAD, false, false, 7},
    {PB_ERROR_CANCELLED, "cancelled", false, PB_FAILURE_OF_RUN, PB_FAILURE_UNREAD, false, false,
     130},
    {PB_ERROR_EXISTS, "exists", false, PB_FAILURE_OF_OBJECT, PB_FAILURE_MISMATCH, false, false, 1},
    {PB_ERROR_THROTTLED, "throttled", true, PB_FAILURE_OF_RUN, PB_FAILURE_UNREAD, false, false, 5},
    {PB_ERROR_SERVER, "server", true, PB_FAILURE_OF_OBJECT, PB_FAILURE_UNREAD, true, false, 5},
    {PB_ERROR_NO_SPACE, "no_space", false, PB_FAILURE_OF_RUN, PB_FAILURE_UNREAD, false, false, 1},
};

static void each_kind_has_its_row(void **state)
{
    (void)state;
    assert_int_equal(sizeof rows / sizeof *rows, PB_ERROR_KINDS);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(pb_failure_name(rows[i].kind), rows[i].name);
        assert_int_equal(pb_failure_passes(rows[i].kind), rows[i].passes);
        assert_int_equal(pb_failure_reach_of(rows[i].kind), rows[i].reach);
        assert_int_equal(pb_failure_finding_of(rows[i].kind), rows[i].finding);
        assert_int_equal(pb_failure_is_of_copy(rows[i].kind), rows[i].of_copy);
        assert_int_equal(pb_failure_is_refusal(rows[i].kind), rows[i].is_refusal);
        assert_int_equal(pb_failure_exit_code(rows[i].kind), rows[i].exit_code);
        assert_int_equal(pb_failure_is_throttling(rows[i].kind),
                         rows[i].kind == PB_ERROR_THROTTLED);
    }
}

/* The page that people read has the same rows. */
static void the_page_says_the_same(void **state)
{
    (void)state;
    char path[512], line[1024];
    static const char *const findings[] = {"unreadable", "missing", "mismatch"};
    snprintf(path, sizeof path, "%s/docs/internals/failures.md", getenv("SOURCE_DIR"));
    FILE *page = fopen(path, "r");
    assert_non_null(page);
    size_t found = 0;
    while (fgets(line, sizeof line, page)) {
        for (size_t i = 1; i < sizeof rows / sizeof *rows; i++) {
            char row[256];
            snprintf(row, sizeof row, "| %s%s | %s | %s | %s | %s | %d |", rows[i].name,
                     rows[i].kind == PB_ERROR_NO_BUCKET ? " (bucket)" : "",
                     rows[i].passes ? "yes" : "no",
                     rows[i].reach == PB_FAILURE_OF_RUN ? "run" : "object",
                     findings[rows[i].finding], rows[i].of_copy ? "yes" : "no", rows[i].exit_code);
            found += strncmp(line, row, strlen(row)) == 0;
        }
    }
    fclose(page);
    assert_int_equal(found, sizeof rows / sizeof *rows - 1);
}

static void a_finding_has_a_name(void **state)
{
    (void)state;
    pb_error error = {.kind = PB_ERROR_NOT_FOUND};
    assert_string_equal(pb_failure_finding_name(&error), "missing");
    error.kind = PB_ERROR_EXISTS;
    assert_string_equal(pb_failure_finding_name(&error), "mismatch");
    strcpy(error.code, "truncated");
    assert_string_equal(pb_failure_finding_name(&error), "truncated");
    error.kind = PB_ERROR_SERVER;
    assert_string_equal(pb_failure_finding_name(&error), "unreadable");
}

static void count(pb_failure_counts *counts, pb_error_kind kind, const char *hint)
{
    pb_error error = {0};
    pb_error_set(&error, kind, "an object failed");
    pb_error_hint(&error, "%s", hint);
    pb_failure_count(counts, &error);
}

static void failures_are_counted_by_kind(void **state)
{
    (void)state;
    char text[64];
    pb_failure_counts counts = {0};
    assert_int_equal(pb_failure_kind_of(&counts), PB_ERROR_NONE);
    pb_failure_list(&counts, text, sizeof text);
    assert_string_equal(text, "");
    count(&counts, PB_ERROR_FORBIDDEN, "");
    count(&counts, PB_ERROR_FORBIDDEN, "ask for the right");
    count(&counts, PB_ERROR_FORBIDDEN, "ask again");
    assert_int_equal(pb_failure_kind_of(&counts), PB_ERROR_FORBIDDEN);
    assert_string_equal(counts.first.hint, "ask for the right");
    count(&counts, PB_ERROR_DAMAGED, "");
    assert_int_equal(pb_failure_kind_of(&counts), PB_ERROR_FAILED);
    assert_int_equal(pb_failure_total(&counts), 4);
    assert_int_equal(pb_failure_unread(&counts), 3);
    pb_failure_list(&counts, text, sizeof text);
    assert_string_equal(text, "1 damaged, 3 forbidden");
    pb_failure_list(&counts, text, 8);
    assert_string_equal(text, "1 damag");

    pb_failure_counts faults = {0};
    count(&faults, PB_ERROR_SERVER, "");
    assert_int_equal(pb_failure_kind_of(&faults), PB_ERROR_SERVER);
    count(&faults, PB_ERROR_NOT_FOUND, "");
    assert_int_equal(pb_failure_kind_of(&faults), PB_ERROR_FAILED);
}

static void a_hundred_refusals_are_general(void **state)
{
    (void)state;
    pb_failure_counts counts = {0};
    for (unsigned i = 0; i < 99; i++)
        count(&counts, PB_ERROR_FORBIDDEN, "");
    assert_false(pb_failure_is_general(&counts));
    count(&counts, PB_ERROR_FORBIDDEN, "");
    assert_true(pb_failure_is_general(&counts));
    count(&counts, PB_ERROR_SERVER, "");
    assert_false(pb_failure_is_general(&counts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_row),
        cmocka_unit_test(the_page_says_the_same),
        cmocka_unit_test(a_finding_has_a_name),
        cmocka_unit_test(failures_are_counted_by_kind),
        cmocka_unit_test(a_hundred_refusals_are_general),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
