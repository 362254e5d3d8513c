#include "snapshot/destination.h"

#include "base/random.h"
#include "copier/store/etag.h"
#include <stdio.h>

static bool is_dry_run(const pb_destination *self)
{
    return self->job->session->options.dry_run;
}

/* ---- keys that a path could change ---- */

static void refuse(pb_destination *self, pb_slice key, unsigned forms)
{
    char text[PB_ETAG_TEXT_MAX + sizeof self->probe.answer];
    unsigned changed = forms & self->probe.changed;
    if (changed)
        snprintf(text, sizeof text,
                 "its key has %s: the destination keeps such an object under another key, where it "
                 "may replace another object",
                 pb_key_form_text(changed));
    else
        snprintf(text, sizeof text, "its key has %s: the destination takes no such key (%s)",
                 pb_key_form_text(forms & self->probe.refused), self->probe.answer);
    atomic_fetch_add(&self->refused_objects, 1);
    pb_job_finding(self->job, "failed", key, text);
}

bool pb_destination_takes(pb_destination *self, pb_slice key)
{
    unsigned forms = pb_key_forms(key);
    if (self->round == PB_ROUND_PUT_OFF) {
        bool refused = forms & (self->probe.changed | self->probe.refused);
        if (refused)
            refuse(self, key, forms);
        return forms && !refused;
    }
    if (forms) {
        atomic_fetch_or(&self->put_off, forms);
        atomic_fetch_add(&self->put_off_objects, 1);
    }
    return !forms || is_dry_run(self);
}

/* ---- what is there afterwards ---- */

/* False only where both are MD5s of the whole bytes, and of other ones. */
static bool etags_agree(pb_slice etag, pb_slice other)
{
    return pb_etag_same(etag, other) || pb_etag_parts(etag) != 0 || pb_etag_parts(other) != 0;
}

static void add(struct pb_entry_sum *sum, uint64_t seed, const pb_entry *entry)
{
    atomic_fetch_add_explicit(&sum->entries, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&sum->hashes, pb_entry_hash(seed, entry), memory_order_relaxed);
}

void pb_destination_keeps(pb_destination *self, const pb_entry *there)
{
    if (self->round == PB_ROUND_ALL && !is_dry_run(self))
        add(&self->left, self->seed, there);
}

void pb_destination_wrote(pb_destination *self, pb_slice key, uint64_t size, pb_slice etag,
                          pb_slice stored_etag)
{
    if (is_dry_run(self))
        return;
    if (!etags_agree(etag, stored_etag))
        atomic_store(&self->etags_differ, true);
    pb_destination_keeps(self, &(pb_entry){.key = key, .size = size, .etag = stored_etag});
}

void pb_destination_check(pb_destination *self, pb_slice key, uint64_t size, pb_slice etag,
                          const pb_entry *there)
{
    char text[2 * PB_ETAG_TEXT_MAX + 64];
    if (there && there->size == size &&
        (atomic_load(&self->etags_differ) || !pb_store_capabilities_of(self->store)->etag_is_md5 ||
         etags_agree(etag, there->etag)))
        return;
    unsigned refused = self->probe.changed | self->probe.refused;
    if (refused && pb_key_forms(key) & refused)
        return; /* reported already */
    if (!there)
        snprintf(text, sizeof text,
                 "the destination does not list it now: it did not keep the object, or not under "
                 "this key");
    else if (there->size != size)
        snprintf(text, sizeof text, "the destination lists %llu bytes under this key, not %llu",
                 (unsigned long long)there->size, (unsigned long long)size);
    else
        snprintf(text, sizeof text, "the destination lists ETag %.*s under this key, not %.*s",
                 PB_SLICE_FORMAT(there->etag), PB_SLICE_FORMAT(etag));
    atomic_fetch_add(&self->lost_objects, 1);
    pb_job_finding(self->job, "failed", key, text);
}

const char *pb_destination_hint(const pb_destination *self)
{
    if (self->lost_objects)
        return "run the same command again; if objects are missing again, the destination makes "
               "one key of several (the case of letters, Unicode forms): use another store";
    if (self->refused_objects)
        return "use a destination that keeps such keys: a store that takes keys as they are, or a "
               "directory (file://)";
    return NULL;
}

/* ---- the rounds ---- */

void pb_destination_restart(pb_destination *self, uint64_t objects, uint64_t bytes)
{
    if (self->round == PB_ROUND_ALL) {
        atomic_store(&self->put_off_objects, 0);
        atomic_store(&self->left.entries, 0);
        atomic_store(&self->left.hashes, 0);
        self->former_objects += objects;
        self->former_bytes += bytes;
    } else if (self->round == PB_ROUND_PUT_OFF) {
        atomic_store(&self->refused_objects, 0);
    }
    atomic_store(&self->lost_objects, 0);
}

static int run_round(pb_destination *self, pb_round round, const char *phase, pb_error *error)
{
    pb_job *job = self->job;
    self->round = round;
    if (round != PB_ROUND_ALL) {
        job->order_first = NULL;
        pb_job_renew_listings(job);
    }
    job->phase = phase;
    job->counters.keys = job->counters.objects = job->counters.bytes = 0;
    self->plan(job->context);
    return pb_job_run(job, error);
}

static void add_listed(void *context, const pb_entry *entry)
{
    pb_destination *self = context;
    add(&self->listed, self->seed, entry);
    atomic_fetch_add_explicit(&self->job->counters.keys, 1, memory_order_relaxed);
}

/* 1: the destination lists what the first round left there; 0: something else, or it must be sorted
 * first; -1. */
static int listing_agrees(pb_destination *self, pb_error *error)
{
    pb_job *job = self->job;
    pb_error wrong = {0};
    if (self->put_off || job->sorted[pb_listing_store(self->listing)])
        return 0;
    pb_job_renew_listings(job);
    job->phase = "checking";
    atomic_store(&job->counters.keys, 0);
    if (pb_job_look(job, self->listing, add_listed, self, &wrong)) {
        if (pb_listing_is_in_disorder(self->listing))
            return 0;
        *error = wrong;
        return -1;
    }
    return self->listed.entries == self->left.entries && self->listed.hashes == self->left.hashes;
}

static int run_rounds(pb_destination *self, pb_error *error)
{
    pb_random_bytes(&self->seed, sizeof self->seed);
    const char *phase = self->job->phase;
    if (run_round(self, PB_ROUND_ALL, phase, error))
        return -1;
    if (self->put_off && is_dry_run(self))
        pb_session_note(
            self->job->session,
            "%llu of the objects have keys that a path could change: a run that writes them "
            "probes first whether %s keeps such keys",
            (unsigned long long)self->put_off_objects, pb_store_name(self->store));
    if (is_dry_run(self))
        return 0;
    if (self->put_off &&
        (pb_key_probe_run(self->job->session, self->store, self->put_off, &self->probe, error) ||
         run_round(self, PB_ROUND_PUT_OFF, phase, error)))
        return -1;
    /* After failures the next run compares the listing before it writes. */
    if (!*self->written_objects || *self->failed_objects)
        return 0;
    int agrees = listing_agrees(self, error);
    return agrees ? agrees - 1 : run_round(self, PB_ROUND_CHECK, "checking", error);
}

static void count_former_tries(pb_destination *self)
{
    uint64_t found_again = self->former_objects < *self->present_objects ? self->former_objects
                                                                         : *self->present_objects;
    *self->present_objects -= found_again;
    *self->written_objects += found_again;
    *self->written_bytes += self->former_bytes;
}

int pb_destination_run(pb_destination *self, pb_error *error)
{
    int ended = run_rounds(self, error);
    count_former_tries(self);
    return ended;
}
