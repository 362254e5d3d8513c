/* Which source is meant, and which runs are newer than its newest snapshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot/sources.h"
#include <cmocka.h>
#include <string.h>

#define ONE "s3://127.0.0.1:9000/one/"
#define TWO "s3://127.0.0.1:9000/two/"
#define ONE_URL "s3://one?endpoint=http://127.0.0.1:9000"

enum { SOURCES_MAX = 8 };

/* A source with the number of its newest snapshot, 0 for none. */
static void add(pb_sources *sources, const char *name, const char *prefix, const char *name_space,
                unsigned newest)
{
    size_t place = pb_sources_place(sources, name, prefix, name_space);
    if (newest)
        snprintf(sources->items[place].newest, PB_SNAPSHOT_ID_SIZE, "20261123T0520%02uZ-0000",
                 newest % 60);
}

/* "1" for the place that is meant, "0,2" for those that were left; else the error. */
static void chooses(const pb_sources *sources, const char *wanted, pb_choice_options options)
{
    bool meant[SOURCES_MAX] = {false};
    size_t place;
    pb_error error = {0};
    char text[sizeof error.message] = "", *end = text;
    if (!pb_sources_choose(sources, &options, "repository r", meant, &place, &error)) {
        snprintf(text, sizeof text, "%zu", place);
    } else if (error.kind == PB_ERROR_USAGE && strstr(error.message, "nothing says")) {
        for (size_t i = 0; i < sources->count; i++)
            if (meant[i])
                end += snprintf(end, 8, "%s%zu", end == text ? "" : ",", i);
        assert_non_null(strstr(error.hint, "--source"));
    } else {
        assert_true(error.kind == PB_ERROR_NOT_FOUND || error.kind == PB_ERROR_USAGE);
        snprintf(text, sizeof text, "%s", error.message);
    }
    assert_string_equal(text, wanted);
}

#define CHOOSES(sources, wanted, ...) chooses(sources, wanted, (pb_choice_options){__VA_ARGS__})

static void a_single_source_is_meant(void **state)
{
    (void)state;
    pb_sources sources = {0};
    CHOOSES(&sources, "there is no committed snapshot in repository r", .source = NULL);
    add(&sources, TWO, "", "", 0); /* nothing came of it yet */
    CHOOSES(&sources, "there is no committed snapshot in repository r", .source = NULL);
    add(&sources, ONE, "in/", "", 3);
    CHOOSES(&sources, "1", .source = NULL);
    CHOOSES(&sources, "1", .source = ONE);
    CHOOSES(&sources, "1", .source = ONE_URL);
    CHOOSES(&sources, "1", .prefix = "in/side/"); /* of its keys */
    CHOOSES(&sources, "there is no committed snapshot of " TWO " in repository r", .source = TWO);
    CHOOSES(&sources, "there is no committed snapshot of namespace n in repository r",
            .name_space = "n");
    pb_sources_free(&sources);
}

static void of_several_one_must_be_named(void **state)
{
    (void)state;
    pb_sources sources = {0};
    add(&sources, ONE, "", "", 1);
    add(&sources, TWO, "", "", 2);
    add(&sources, TWO, "in/", "", 3);
    add(&sources, TWO, "old/", "", 0);
    CHOOSES(&sources, "0,1,2", .source = NULL);
    CHOOSES(&sources, "0", .source = ONE_URL);
    CHOOSES(&sources, "1,2", .source = TWO);
    CHOOSES(&sources, "2", .source = TWO, .prefix = "in/");
    CHOOSES(&sources, "1", .source = TWO, .prefix = "");
    CHOOSES(&sources, "1,2", .source = TWO, .prefix = "in/side/");
    CHOOSES(&sources, "2", .prefix = "in/");
    CHOOSES(&sources, "--source: t: not a URL of a store", .source = "t");
    pb_sources_free(&sources);
}

static void clusters_are_told_apart(void **state)
{
    (void)state;
    pb_sources sources = {0};
    add(&sources, ONE, "", "", 5);
    add(&sources, ONE, "", "prod", 4);
    /* A snapshot of the bucket alone is of the same source. */
    CHOOSES(&sources, "0", .source = NULL);
    CHOOSES(&sources, "1", .name_space = "prod");
    CHOOSES(&sources, "1", .name_space = "again", .restores_cluster = true);
    add(&sources, TWO, "", "stage", 6);
    CHOOSES(&sources, "0,1,2", .source = NULL);
    CHOOSES(&sources, "1", .name_space = "prod", .restores_cluster = true);
    CHOOSES(&sources, "1,2", .name_space = "again", .restores_cluster = true);
    CHOOSES(&sources, "1", .name_space = "again", .source = ONE_URL, .restores_cluster = true);
    /* Two clusters that used one bucket, one after the other. */
    add(&sources, ONE, "", "later", 3);
    CHOOSES(&sources, "1,3", .source = ONE, .name_space = "again", .restores_cluster = true);
    CHOOSES(&sources, "3", .source = ONE, .name_space = "later");
    pb_sources_free(&sources);
}

static bool is_newer(const pb_sources *sources, unsigned number, size_t source, bool committed)
{
    pb_attempt attempt = {
        .source = source,
        .state = committed ? PB_ATTEMPT_COMMITTED : PB_ATTEMPT_UNFINISHED,
    };
    snprintf(attempt.id, sizeof attempt.id, "20261123T0520%02uZ-0000", number % 60);
    return pb_attempt_is_newer(&attempt, sources);
}

static void newer_attempts(void **state)
{
    (void)state;
    pb_sources sources = {0};
    add(&sources, ONE, "", "", 5);
    add(&sources, TWO, "", "", 9);
    add(&sources, TWO, "in/", "", 0);
    add(&sources, ONE, "", "prod", 7);
    assert_true(is_newer(&sources, 10, 1, false));
    assert_false(is_newer(&sources, 10, 1, true));
    assert_false(is_newer(&sources, 8, 1, false));
    assert_false(is_newer(&sources, 10, 2, false)); /* there is none to be newer than */
    assert_false(is_newer(&sources, 6, 0, false));  /* the cluster's is of the same bucket */
    assert_true(is_newer(&sources, 8, 0, false));
    assert_true(is_newer(&sources, 6, PB_SOURCE_UNKNOWN, false));
    assert_false(is_newer(&sources, 4, PB_SOURCE_UNKNOWN, false));
    pb_sources_free(&sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_source_is_meant),
        cmocka_unit_test(of_several_one_must_be_named),
        cmocka_unit_test(clusters_are_told_apart),
        cmocka_unit_test(newer_attempts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
