#include "copier/store/credentials/provider.h"

#include "base/clock.h"
#include "base/failure.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    EARLY_MS_MAX = 5 * 60 * 1000,
    DUE_MS_MIN = 1000,
    FIRST_ATTEMPTS_MAX = 4,
    WAIT_MS_MIN = 500, /* between fetches that fail: doubled each time */
    WAIT_MS_MAX = 30 * 1000,
};

struct pb_provider {
    pb_credential_source *source;
    const pb_log *log;
    atomic_uint number;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock. */
    pb_credential value;
    bool wanted; /* fetch now */
    bool closing;
};

int64_t pb_provider_due_ms(int64_t now_ms, int64_t expires_ms)
{
    int64_t early_ms = (expires_ms - now_ms) / 3;
    if (early_ms > EARLY_MS_MAX)
        early_ms = EARLY_MS_MAX;
    int64_t due_ms = expires_ms - early_ms;
    return due_ms < now_ms + DUE_MS_MIN ? now_ms + DUE_MS_MIN : due_ms;
}

static void take_new(pb_provider *provider, pb_credential *value)
{
    pb_credential_clear(&provider->value);
    provider->value = *value;
    provider->wanted = false;
    atomic_fetch_add(&provider->number, 1);
}

static int64_t longer(int64_t wait_ms)
{
    return wait_ms * 2 > WAIT_MS_MAX ? WAIT_MS_MAX : wait_ms * 2;
}

/* Waits, with the lock, for `wait_ms` (negative: for good) or a change. */
static void wait_for(pb_provider *provider, int64_t wait_ms)
{
    if (wait_ms < 0) {
        pthread_cond_wait(&provider->changed, &provider->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&provider->changed, &provider->lock, &until);
}

/* How long until the value in use is to be fetched anew; negative: never. */
static int64_t until_due_ms(const pb_provider *provider, int64_t fetched_ms)
{
    if (!provider->value.expires_ms)
        return -1;
    int64_t left = pb_provider_due_ms(fetched_ms, provider->value.expires_ms) - pb_clock_utc_ms();
    return left < 0 ? 0 : left;
}

/* A store that refuses each new value must not make us ask for them without pause. */
static int64_t until_allowed_ms(int64_t fetched_ms)
{
    int64_t left = fetched_ms + DUE_MS_MIN - pb_clock_utc_ms();
    return left < 0 ? 0 : left > DUE_MS_MIN ? DUE_MS_MIN : left; /* clocks are set */
}

static void *refresh(void *context)
{
    pb_provider *provider = context;
    int64_t fetched_ms = pb_clock_utc_ms(), failed_wait_ms = 0;
    pthread_mutex_lock(&provider->lock);
    while (!provider->closing) {
        int64_t left_ms = failed_wait_ms     ? failed_wait_ms
                          : provider->wanted ? until_allowed_ms(fetched_ms)
                                             : until_due_ms(provider, fetched_ms);
        if (left_ms) {
            wait_for(provider, left_ms);
            if (!failed_wait_ms) /* the value may be wanted now */
                continue;
        }
        if (provider->closing)
            break;
        pthread_mutex_unlock(&provider->lock);
        pb_credential value = {0};
        pb_error error = {0};
        int failed = provider->source->fetch(provider->source, &value, &error);
        if (failed)
            pb_log_line(provider->log, PB_LOG_WARNING, "%s: %s%s%s", provider->source->name,
                        error.message, error.hint[0] ? ": " : "", error.hint);
        pthread_mutex_lock(&provider->lock);
        if (!failed)
            take_new(provider, &value);
        fetched_ms = pb_clock_utc_ms();
        failed_wait_ms = !failed ? 0 : failed_wait_ms ? longer(failed_wait_ms) : WAIT_MS_MIN;
    }
    pthread_mutex_unlock(&provider->lock);
    return NULL;
}

static int fetch_first(pb_provider *provider, pb_error *error)
{
    int64_t wait_ms = WAIT_MS_MIN;
    for (unsigned attempt = 1;; attempt++) {
        pb_credential value = {0};
        pb_error failure = {0};
        if (!provider->source->fetch(provider->source, &value, &failure)) {
            take_new(provider, &value);
            return 0;
        }
        if (attempt == FIRST_ATTEMPTS_MAX || !pb_failure_passes(failure.kind)) {
            if (error)
                *error = failure;
            return pb_error_context(error, "%s", provider->source->name);
        }
        struct timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1000000};
        nanosleep(&wait, NULL);
        wait_ms = longer(wait_ms);
    }
}

int pb_provider_open(pb_credential_source *source, const pb_log *log, pb_provider **ret_provider,
                     pb_error *error)
{
    pb_provider *provider = pb_allocate_zeroed(1, sizeof *provider);
    provider->source = source;
    provider->log = log;
    pthread_mutex_init(&provider->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&provider->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int failed = fetch_first(provider, error);
    if (!failed && !source->lasts) {
        if (pthread_create(&provider->thread, NULL, refresh, provider) == 0)
            provider->has_thread = true;
        else
            failed = pb_error_set(error, PB_ERROR_FAILED, "no thread for logins");
    }
    if (failed) {
        pb_provider_close(provider);
        return -1;
    }
    *ret_provider = provider;
    return 0;
}

void pb_provider_close(pb_provider *provider)
{
    if (!provider)
        return;
    if (provider->has_thread) {
        pthread_mutex_lock(&provider->lock);
        provider->closing = true;
        pthread_cond_signal(&provider->changed);
        pthread_mutex_unlock(&provider->lock);
        pthread_join(provider->thread, NULL);
    }
    pthread_cond_destroy(&provider->changed);
    pthread_mutex_destroy(&provider->lock);
    pb_credential_clear(&provider->value);
    pb_credential_source_free(provider->source);
    free(provider);
}

unsigned pb_provider_number(const pb_provider *provider)
{
    return atomic_load(&provider->number);
}

void pb_provider_take(pb_provider *provider, pb_credential *ret_credential, unsigned *ret_number)
{
    pthread_mutex_lock(&provider->lock);
    pb_credential_copy(&provider->value, ret_credential);
    *ret_number = atomic_load(&provider->number);
    pthread_mutex_unlock(&provider->lock);
}

bool pb_provider_has_ended(pb_provider *provider, unsigned number)
{
    if (!provider->has_thread)
        return false;
    pthread_mutex_lock(&provider->lock);
    if (number == atomic_load(&provider->number) && !provider->wanted) {
        provider->wanted = true;
        pthread_cond_signal(&provider->changed);
    }
    pthread_mutex_unlock(&provider->lock);
    return true;
}
