#include "copier/store/credentials/provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WAIT_MS_MAX = 20 * 1000 };

/* A source whose values live for `life_ms`; each is named by its fetch. */
typedef struct fake_source {
    pb_credential_source source; /* first */
    int64_t life_ms;             /* 0: they last */
    unsigned fails_every;        /* 0: never */
    unsigned fails_first;        /* so many times at first */
    pb_error_kind kind;
    unsigned fetch_ms; /* how long one takes */
    atomic_uint fetches, at_once, at_once_most;
    bool *freed;
} fake_source;

static void sleep_ms(int64_t ms)
{
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
}

static int fetch(pb_credential_source *source, pb_credential *ret_credential, pb_error *error)
{
    fake_source *self = (fake_source *)source;
    unsigned number = atomic_fetch_add(&self->fetches, 1) + 1;
    if (atomic_fetch_add(&self->at_once, 1) + 1 > atomic_load(&self->at_once_most))
        atomic_fetch_add(&self->at_once_most, 1);
    if (self->fetch_ms)
        sleep_ms(self->fetch_ms);
    atomic_fetch_sub(&self->at_once, 1);
    if (number <= self->fails_first || (self->fails_every && number % self->fails_every == 0))
        return pb_error_set(error, self->kind, "no value now");
    char text[32];
    snprintf(text, sizeof text, "key-%u", number);
    *ret_credential = (pb_credential){
        .access_key_id = pb_duplicate(pb_slice_of(text)),
        .secret_access_key = pb_duplicate(PB_SLICE_LITERAL("secret")),
        .expires_ms = self->life_ms ? pb_clock_utc_ms() + self->life_ms : 0,
    };
    return 0;
}

static void fake_free(pb_credential_source *source)
{
    fake_source *self = (fake_source *)source;
    *self->freed = true;
    free(source->name);
}

static void fake_init(fake_source *self, bool *freed)
{
    *freed = false;
    *self = (fake_source){
        .source = {.fetch = fetch, .free = fake_free, .name = pb_duplicate(pb_slice_of("fake"))},
        .kind = PB_ERROR_UNREACHABLE,
        .freed = freed,
    };
}

static void wait_for_number(pb_provider *provider, unsigned number)
{
    int64_t until_ms = pb_clock_monotonic_ms() + WAIT_MS_MAX;
    while (pb_provider_number(provider) < number) {
        if (pb_clock_monotonic_ms() > until_ms)
            fail_msg("value %u does not come", number);
        sleep_ms(5);
    }
}

static void computes_when_a_value_is_due(void **state)
{
    (void)state;
    static const struct {
        int64_t now_ms, expires_ms, due_ms;
    } cases[] = {
        {0, 3000, 2000},
        {0, 3600000, 3300000}, /* five minutes before the end of an hour */
        {0, 900000, 600000},
        {0, 1000, 1000}, /* never sooner than in a second */
        {0, 0, 1000},
        {5000, 1000, 6000}, /* over already */
        {1600000000000, 1600000030000, 1600000020000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(pb_provider_due_ms(cases[i].now_ms, cases[i].expires_ms), cases[i].due_ms);
}

static void a_value_that_lasts_is_fetched_once(void **state)
{
    (void)state;
    const pb_credential keys = {.access_key_id = (char *)"A", .secret_access_key = (char *)"S"};
    pb_provider *provider;
    pb_credential value;
    unsigned number;
    assert_int_equal(
        pb_provider_open(pb_credential_source_fixed(&keys, "fixed"), NULL, &provider, NULL), 0);
    pb_provider_take(provider, &value, &number);
    assert_string_equal(value.access_key_id, "A");
    assert_null(value.session_token);
    assert_int_equal(number, pb_provider_number(provider));
    assert_false(pb_provider_has_ended(provider, number));
    pb_credential_clear(&value);
    pb_provider_close(provider);
}

/* Every third fetch fails: the old value stays in use, and each end is met by a newer one. */
static void renews_before_the_end(void **state)
{
    (void)state;
    fake_source source;
    bool freed;
    pb_provider *provider;
    fake_init(&source, &freed);
    source.life_ms = 3000;
    source.fails_every = 3;
    assert_int_equal(pb_provider_open(&source.source, NULL, &provider, NULL), 0);
    int64_t until_ms = pb_clock_monotonic_ms() + 8000;
    while (pb_clock_monotonic_ms() < until_ms) {
        pb_credential value;
        unsigned number;
        pb_provider_take(provider, &value, &number);
        if (value.expires_ms <= pb_clock_utc_ms())
            fail_msg("%s is over and still in use", value.access_key_id);
        pb_credential_clear(&value);
        sleep_ms(10);
    }
    unsigned fetches = atomic_load(&source.fetches);
    assert_in_range(fetches, 4, 8);
    assert_int_equal(pb_provider_number(provider), fetches - fetches / 3);
    pb_provider_close(provider);
    assert_true(freed);
}

static void an_answer_that_says_ended_brings_the_next(void **state)
{
    (void)state;
    fake_source source;
    bool freed;
    pb_provider *provider;
    fake_init(&source, &freed); /* its values tell no end */
    assert_int_equal(pb_provider_open(&source.source, NULL, &provider, NULL), 0);
    assert_int_equal(pb_provider_number(provider), 1);
    int64_t begun_ms = pb_clock_monotonic_ms();
    for (int i = 0; i < 100; i++)
        assert_true(pb_provider_has_ended(provider, 1));
    wait_for_number(provider, 2);
    assert_true(pb_provider_has_ended(provider, 1)); /* an older one: nothing is fetched for it */
    sleep_ms(50);
    assert_int_equal(atomic_load(&source.fetches), 2);
    /* Values that are refused at once are not asked for without pause. */
    assert_true(pb_provider_has_ended(provider, 2));
    wait_for_number(provider, 3);
    assert_true(pb_clock_monotonic_ms() - begun_ms >= 1900);
    pb_provider_close(provider);
    assert_true(freed);
}

static void tries_again_at_first_what_may_pass(void **state)
{
    (void)state;
    fake_source source;
    bool freed;
    pb_provider *provider;
    pb_error error = {0};
    fake_init(&source, &freed);
    source.fails_first = 2;
    assert_int_equal(pb_provider_open(&source.source, NULL, &provider, &error), 0);
    assert_int_equal(error.kind, PB_ERROR_NONE);
    assert_int_equal(atomic_load(&source.fetches), 3);
    pb_provider_close(provider);

    fake_init(&source, &freed);
    source.fails_first = 9;
    source.kind = PB_ERROR_REFUSED;
    assert_int_equal(pb_provider_open(&source.source, NULL, &provider, &error), -1);
    assert_int_equal(atomic_load(&source.fetches), 1);
    assert_int_equal(error.kind, PB_ERROR_REFUSED);
    assert_string_equal(error.message, "fake: no value now");
    assert_true(freed);

    fake_init(&source, &freed);
    source.fails_first = 9;
    assert_int_equal(pb_provider_open(&source.source, NULL, &provider, &error), -1);
    assert_int_equal(atomic_load(&source.fetches), 4);
    assert_int_equal(error.kind, PB_ERROR_UNREACHABLE);
    assert_true(freed);
}

static void closes_while_it_waits_and_while_it_fetches(void **state)
{
    (void)state;
    fake_source source;
    bool freed;
    pb_provider *provider;
    fake_init(&source, &freed);
    source.life_ms = 3600 * 1000;
    assert_int_equal(pb_provider_open(&source.source, NULL, &provider, NULL), 0);
    sleep_ms(20);
    int64_t begun_ms = pb_clock_monotonic_ms();
    pb_provider_close(provider);
    assert_true(pb_clock_monotonic_ms() - begun_ms < 1000);
    assert_true(freed);

    fake_init(&source, &freed);
    source.fetch_ms = 300;
    assert_int_equal(pb_provider_open(&source.source, NULL, &provider, NULL), 0);
    sleep_ms(1000);
    assert_true(pb_provider_has_ended(provider, 1));
    sleep_ms(100); /* the second fetch is under way */
    pb_provider_close(provider);
    assert_int_equal(atomic_load(&source.fetches), 2);
    assert_true(freed);

    /* While it waits after a fetch that failed. */
    fake_init(&source, &freed);
    source.life_ms = 1000;
    source.fails_every = 2;
    assert_int_equal(pb_provider_open(&source.source, NULL, &provider, NULL), 0);
    while (atomic_load(&source.fetches) < 2)
        sleep_ms(5);
    begun_ms = pb_clock_monotonic_ms();
    pb_provider_close(provider);
    assert_true(pb_clock_monotonic_ms() - begun_ms < 400);
}

static void *take_again_and_again(void *context)
{
    pb_provider *provider = context;
    int64_t until_ms = pb_clock_monotonic_ms() + 2500;
    while (pb_clock_monotonic_ms() < until_ms) {
        pb_credential value;
        unsigned number;
        pb_provider_take(provider, &value, &number);
        if (strncmp(value.access_key_id, "key-", 4) != 0 || number > pb_provider_number(provider))
            abort();
        pb_provider_has_ended(provider, number);
        pb_credential_clear(&value);
    }
    return NULL;
}

static void serves_many_threads_with_one_fetch_at_a_time(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    fake_source source;
    bool freed;
    pb_provider *provider;
    fake_init(&source, &freed);
    source.life_ms = 2000;
    source.fetch_ms = 50;
    assert_int_equal(pb_provider_open(&source.source, NULL, &provider, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_again_and_again, provider), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&source.at_once_most), 1);
    assert_in_range(atomic_load(&source.fetches), 2, 5);
    pb_provider_close(provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes_when_a_value_is_due),
        cmocka_unit_test(a_value_that_lasts_is_fetched_once),
        cmocka_unit_test(renews_before_the_end),
        cmocka_unit_test(an_answer_that_says_ended_brings_the_next),
        cmocka_unit_test(tries_again_at_first_what_may_pass),
        cmocka_unit_test(closes_while_it_waits_and_while_it_fetches),
        cmocka_unit_test(serves_many_threads_with_one_fetch_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
