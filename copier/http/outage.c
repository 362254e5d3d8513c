#include "copier/http/outage.h"

#include "base/bytes.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A failure or two are repeated before anybody would want to read of them. */
enum { WORTH_SAYING_MS = 10 * 1000 };

struct pb_outage {
    pb_outages *outages;
    pb_outage *next;
    char *base_url;
    atomic_llong answered_ms;
    atomic_bool fails; /* since its last answer; what follows is written under the lock */
    int64_t since_ms;
    bool said;
};

struct pb_outages {
    const pb_log *log;
    pthread_mutex_t lock;
    pb_outage *first;
};

pb_outages *pb_outages_new(const pb_log *log)
{
    pb_outages *outages = pb_allocate_zeroed(1, sizeof *outages);
    outages->log = log;
    pthread_mutex_init(&outages->lock, NULL);
    return outages;
}

void pb_outages_free(pb_outages *outages)
{
    if (!outages)
        return;
    while (outages->first) {
        pb_outage *outage = outages->first;
        outages->first = outage->next;
        free(outage->base_url);
        free(outage);
    }
    pthread_mutex_destroy(&outages->lock);
    free(outages);
}

pb_outage *pb_outage_at(pb_outages *outages, const char *base_url)
{
    pthread_mutex_lock(&outages->lock);
    pb_outage *outage = outages->first;
    while (outage && strcmp(outage->base_url, base_url) != 0)
        outage = outage->next;
    if (!outage) {
        outage = pb_allocate_zeroed(1, sizeof *outage);
        outage->outages = outages;
        outage->base_url = pb_duplicate_text(base_url);
        outage->next = outages->first;
        outages->first = outage;
    }
    pthread_mutex_unlock(&outages->lock);
    return outage;
}

void pb_outage_answered(pb_outage *outage, int64_t now_ms)
{
    atomic_store_explicit(&outage->answered_ms, now_ms, memory_order_relaxed);
    if (!atomic_load_explicit(&outage->fails, memory_order_relaxed))
        return;
    pthread_mutex_lock(&outage->outages->lock);
    bool said = outage->said;
    int64_t lasted_ms = now_ms - outage->since_ms;
    atomic_store_explicit(&outage->fails, false, memory_order_relaxed);
    outage->said = false;
    pthread_mutex_unlock(&outage->outages->lock);
    if (said)
        pb_log_line(outage->outages->log, PB_LOG_WARNING, "%s answers again, after %lld s",
                    outage->base_url, (long long)(lasted_ms + 500) / 1000);
}

int64_t pb_outage_failed(pb_outage *outage, int64_t now_ms, int64_t patience_ms)
{
    pthread_mutex_lock(&outage->outages->lock);
    if (!atomic_load_explicit(&outage->fails, memory_order_relaxed)) {
        atomic_store_explicit(&outage->fails, true, memory_order_relaxed);
        outage->since_ms = now_ms;
    }
    int64_t since_ms = outage->since_ms, lasted_ms = now_ms - since_ms;
    bool says = !outage->said && lasted_ms >= WORTH_SAYING_MS && lasted_ms < patience_ms;
    outage->said |= says;
    pthread_mutex_unlock(&outage->outages->lock);
    if (says)
        pb_log_line(outage->outages->log, PB_LOG_WARNING,
                    "no request to %s has succeeded for %lld s: pbcopy goes on trying, for up to "
                    "%lld s (--patience)",
                    outage->base_url, (long long)lasted_ms / 1000, (long long)patience_ms / 1000);
    return since_ms;
}

int64_t pb_outage_answered_ms(const pb_outage *outage)
{
    return atomic_load_explicit(&outage->answered_ms, memory_order_relaxed);
}
