#include "snapshot/one_bucket.h"

#include "base/codec.h"
#include "base/failure.h"
#include "base/random.h"
#include "manifest/layout.h"
#include <stdio.h>

enum { PROBE_BYTES = 16, MARK_BYTES_MAX = 1024 * 1024 };

/* Appends the key that `inner`'s key has in `outer`, whose prefix is shorter or the same. */
static void append_key(pb_buffer *key, const pb_store *outer, const pb_store *inner, pb_slice name)
{
    const char *prefix = pb_store_location(inner)->prefix;
    pb_buffer_append_text(key, prefix + strlen(pb_store_location(outer)->prefix));
    pb_buffer_append_slice(key, name);
}

/* 1: the object is there with these bytes; 0: it is not, or cannot be seen; -1: nobody knows. */
static int shows(pb_store *store, pb_slice key, pb_slice bytes, pb_error *error)
{
    pb_buffer body = {0};
    pb_error wrong = {0};
    int same = 0;
    if (!pb_store_read(store, key, bytes.size, &body, &wrong))
        same = pb_slice_equal(pb_buffer_slice(&body), bytes);
    else if (pb_failure_passes(wrong.kind) || wrong.kind == PB_ERROR_CANCELLED)
        same = -1;
    if (same < 0)
        *error = wrong;
    pb_buffer_free(&body);
    return same;
}

static void delete_probe(pb_session *session, pb_store *store, pb_slice key)
{
    pb_store_request request = {.operation = PB_STORE_DELETE, .keys = &key, .key_count = 1};
    if (pb_store_call(store, &request, NULL))
        pb_session_note(session, "could not delete '%.*s', an object of a probe, from %s",
                        PB_SLICE_FORMAT(key), pb_store_name(store));
}

/* Writes an object where both places are, and looks for it. `untold` where it cannot be written. */
static int probe(pb_session *session, const pb_bucket_pair *pair, const pb_store *inner, int untold,
                 pb_error *error)
{
    uint8_t random[PROBE_BYTES];
    char hex[2 * PROBE_BYTES + 1], name[sizeof "pbcopy-probe-" + sizeof hex];
    pb_random_bytes(random, sizeof random);
    pb_hex_encode(random, sizeof random, hex);
    snprintf(name, sizeof name, "pbcopy-probe-%s", hex);
    pb_buffer written = {0}, looked_for = {0};
    append_key(&written, pair->written, inner, pb_slice_of(name));
    append_key(&looked_for, pair->other, inner, pb_slice_of(name));
    int one = untold;
    if (!pb_store_write(pair->written, pb_buffer_slice(&written), pb_slice_of(hex), false, NULL)) {
        one = shows(pair->other, pb_buffer_slice(&looked_for), pb_slice_of(hex), error);
        delete_probe(session, pair->written, pb_buffer_slice(&written));
    }
    pb_buffer_free(&written);
    pb_buffer_free(&looked_for);
    return one;
}

/* 1: both sides show the repository's mark; 0: the other one does not; -1: nobody knows. */
static int shows_mark(const pb_bucket_pair *pair, pb_error *error)
{
    bool is_written = pair->repository == pair->written;
    pb_store *repository = is_written ? pair->written : pair->other;
    pb_store *beside = is_written ? pair->other : pair->written;
    pb_slice name = PB_SLICE_LITERAL(PB_REPOSITORY_FILE);
    pb_buffer mark = {0}, key = {0};
    int same = -1;
    append_key(&key, beside, repository, name);
    if (!pb_store_read(repository, name, MARK_BYTES_MAX, &mark, error))
        same = shows(beside, pb_buffer_slice(&key), pb_buffer_slice(&mark), error);
    pb_buffer_free(&mark);
    pb_buffer_free(&key);
    return same;
}

int pb_bucket_pair_is_one(pb_session *session, const pb_bucket_pair *pair, bool *ret_one,
                          pb_error *error)
{
    const pb_location *written = pb_store_location(pair->written);
    const pb_location *other = pb_store_location(pair->other);
    *ret_one = false;
    if (!pb_location_may_overlap(written, other))
        return 0;
    bool written_inside = strlen(written->prefix) >= strlen(other->prefix);
    const pb_store *inner = written_inside ? pair->written : pair->other;
    bool both_inside = strlen(written->prefix) == strlen(other->prefix);
    int one = 0;
    /* A copy of a repository shows the same mark elsewhere: an object of this run decides. */
    if (pair->repository && (pair->repository == inner || both_inside)) {
        one = shows_mark(pair, error);
        if (one <= 0)
            return one;
    }
    if (!session->options.dry_run)
        one = probe(session, pair, inner, one, error);
    *ret_one = one > 0;
    return one < 0 ? -1 : 0;
}
