#include "snapshot/creation.h"

#include "base/codec.h"
#include "base/failure.h"
#include "base/random.h"
#include "copier/store/sequence.h"
#include <stdio.h>

enum { NAMED_MOST = 3, KEYS = 6, CREATE_ONLY = 4, COPIED = KEYS, ALL_KEYS };

#define PROBE_PREFIX "probe/"
#define OLD_PROBE_PREFIX "probe-" /* and 16 hex digits: of pbcopy 0.1 */

/* ---- is the place free? ---- */

static bool is_probe(pb_slice key)
{
    uint8_t digits[8];
    size_t old = sizeof OLD_PROBE_PREFIX - 1;
    if (pb_slice_starts_with(key, PB_SLICE_LITERAL(PROBE_PREFIX)))
        return true;
    return pb_slice_starts_with(key, PB_SLICE_LITERAL(OLD_PROBE_PREFIX)) &&
           key.size == old + 2 * sizeof digits &&
           pb_hex_decode(pb_slice_from(key, old), digits, sizeof digits);
}

typedef struct stranger_search {
    const pb_repository *repository;
    pb_buffer names;
    unsigned named;
} stranger_search;

static int refuse(const stranger_search *search, pb_error *error)
{
    pb_error_set(error, PB_ERROR_USAGE, "%s is not a pbcopy repository: it holds %s and no %s",
                 pb_store_name(search->repository->store), search->names.data, PB_REPOSITORY_FILE);
    return pb_error_hint(error, "name an empty bucket or prefix, or an existing repository");
}

static int find_strangers(void *context, const pb_page *page, pb_error *error)
{
    stranger_search *search = context;
    for (size_t i = 0; i < page->count && search->named < NAMED_MOST; i++)
        if (!is_probe(page->entries[i].key))
            pb_buffer_append_format(&search->names, "%s'%.*s'", search->named++ ? ", " : "",
                                    PB_SLICE_FORMAT(page->entries[i].key));
    return search->named < NAMED_MOST ? 0 : refuse(search, error);
}

int pb_creation_check(pb_repository *repository, pb_error *error)
{
    stranger_search search = {.repository = repository};
    int failed = pb_sequence_list(repository->store, (pb_slice){NULL, 0}, (pb_slice){NULL, 0}, 0,
                                  find_strangers, &search, error);
    if (!failed && search.named)
        failed = refuse(&search, error);
    pb_buffer_free(&search.names);
    return failed;
}

/* ---- the probe ---- */

/* Those that are written, in bytewise order. A store that walks directories lists a/ before a-;
 * others take letters of other case, or composed and decomposed ones, for the same. */
static const char *const names[ALL_KEYS] = {
    "A-c", "a-c", "a/b", "e\xcc\x81", [CREATE_ONLY] = "once", "\xc3\xa9", [COPIED] = "copied",
};

#define PROBE_BODY PB_SLICE_LITERAL("{\"pbcopy\":\"probe\"}\n")

typedef struct probe_keys {
    pb_buffer keys[ALL_KEYS];
    char prefix[32];
} probe_keys;

static void name_probe(probe_keys *probe)
{
    uint8_t random[8];
    char hex[2 * sizeof random + 1];
    pb_random_bytes(random, sizeof random);
    pb_hex_encode(random, sizeof random, hex);
    snprintf(probe->prefix, sizeof probe->prefix, PROBE_PREFIX "%s/", hex);
    for (size_t i = 0; i < ALL_KEYS; i++)
        pb_buffer_append_format(&probe->keys[i], "%s%s", probe->prefix, names[i]);
}

static void free_probe(probe_keys *probe)
{
    for (size_t i = 0; i < ALL_KEYS; i++)
        pb_buffer_free(&probe->keys[i]);
}

static pb_slice key_of(const probe_keys *probe, size_t i)
{
    return pb_buffer_slice(&probe->keys[i]);
}

/* Writes one key twice, create-only. */
static int probe_create_only(pb_repository *repository, const probe_keys *probe, pb_error *error)
{
    pb_error refused = {0};
    for (size_t i = 0; i < KEYS; i++)
        if (pb_store_write(repository->store, key_of(probe, i), PROBE_BODY, i == CREATE_ONLY,
                           error))
            return -1;
    int again = pb_store_write(repository->store, key_of(probe, CREATE_ONLY),
                               PB_SLICE_LITERAL("{}\n"), true, &refused);
    repository->file.create_only = again != 0;
    if (!again || refused.kind == PB_ERROR_EXISTS)
        return 0;
    *error = refused;
    return -1;
}

/* The requests before have shown what PUTs say. A copy is asked for where runs would make them. */
static int probe_findings(pb_repository *repository, const probe_keys *probe, pb_error *error)
{
    pb_store *store = repository->store;
    if (pb_store_capabilities_of(store)->etag_is_md5 && pb_store_copies_from(store, store)) {
        pb_store_request copy = {
            .operation = PB_STORE_COPY,
            .key = key_of(probe, COPIED),
            .source = store,
            .source_key = key_of(probe, 0),
            .size_hint = PROBE_BODY.size,
        };
        pb_error refused = {0};
        if (pb_store_call(store, &copy, &refused) && !pb_store_learn_copy_refused(store, &copy) &&
            (pb_failure_passes(refused.kind) || refused.kind == PB_ERROR_CANCELLED)) {
            *error = refused;
            return -1;
        }
    }
    pb_store_findings found = pb_store_findings_of(repository->config);
    repository->file.opaque_etags = found.opaque_etags;
    repository->file.unkept_etags = found.unkept_etags;
    repository->file.refuses_copies = found.refuses_copies;
    repository->file.wants_content_md5 = found.wants_content_md5;
    return 0;
}

static int probe_listing(pb_repository *repository, const probe_keys *probe, pb_error *error)
{
    bool found[KEYS] = {false};
    pb_slice before = {NULL, 0};
    pb_store_request request = {.operation = PB_STORE_LIST};
    request.list.prefix = pb_slice_of(probe->prefix);
    if (pb_store_call(repository->store, &request, error))
        return -1;
    pb_page *page = request.page;
    for (size_t i = 0; i < page->count; i++) {
        pb_slice key = page->entries[i].key;
        repository->file.unordered_listing |= pb_slice_compare(key, before) < 0;
        before = key;
        for (size_t k = 0; k < KEYS; k++)
            found[k] |= pb_slice_equal(key, key_of(probe, k));
    }
    pb_page_release(page); /* `before` is not looked at any more */
    for (size_t k = 0; k < KEYS; k++)
        if (!found[k]) {
            pb_error_set(
                error, PB_ERROR_USAGE,
                "%s does not keep keys as they are: '%s' was written, and its listing does "
                "not show it",
                pb_store_name(repository->store), probe->keys[k].data);
            return pb_error_hint(error, "a store that takes keys that differ in case or Unicode "
                                        "form for one, or loses what it takes, cannot hold a "
                                        "repository");
        }
    return 0;
}

/* Those from key number `first` on. Who may not delete leaves them. */
static void delete_probe(pb_repository *repository, const probe_keys *probe, size_t first,
                         size_t count)
{
    pb_slice keys[ALL_KEYS];
    pb_error ignored = {0};
    for (size_t i = 0; i < count; i++)
        keys[i] = key_of(probe, first + i);
    pb_store_request request = {.operation = PB_STORE_DELETE, .keys = keys, .key_count = count};
    if (pb_store_call(repository->store, &request, &ignored))
        pb_session_note(repository->session,
                        "the probe objects under %s stay, which does no harm: %s", probe->prefix,
                        ignored.message);
}

static int probe_store(pb_repository *repository, pb_error *error)
{
    probe_keys probe = {0};
    name_probe(&probe);
    int failed = probe_create_only(repository, &probe, error) ||
                 probe_findings(repository, &probe, error) ||
                 probe_listing(repository, &probe, error);
    if (!failed)
        delete_probe(repository, &probe, 0, ALL_KEYS);
    free_probe(&probe);
    return failed ? -1 : 0;
}

int pb_creation_probe(pb_repository *repository, pb_error *error)
{
    probe_keys probe = {0};
    name_probe(&probe);
    int failed =
        pb_repository_write_proven(repository, key_of(&probe, CREATE_ONLY), PROBE_BODY, error);
    if (!failed)
        delete_probe(repository, &probe, CREATE_ONLY, 1);
    free_probe(&probe);
    return failed ? pb_error_context(error, "writing to %s", pb_store_name(repository->store)) : 0;
}

/* ---- the mark ---- */

int pb_creation_make(pb_repository *repository, pb_error *error)
{
    uint8_t id[16];
    pb_error wrong = {0};
    pb_random_bytes(id, sizeof id);
    pb_hex_encode(id, sizeof id, repository->file.id);
    repository->file.version = PB_REPOSITORY_VERSION;
    repository->file.lists_sources = true;
    if (probe_store(repository, error))
        return pb_error_context(error, "making the repository");
    pb_buffer text = {0};
    pb_repository_file_append(&text, &repository->file);
    int failed = pb_repository_write_proven(repository, PB_SLICE_LITERAL(PB_REPOSITORY_FILE),
                                            pb_buffer_slice(&text), &wrong);
    if (failed && wrong.kind == PB_ERROR_EXISTS) { /* another run was faster */
        pb_buffer_clear(&text);
        failed = pb_store_read(repository->store, PB_SLICE_LITERAL(PB_REPOSITORY_FILE),
                               PB_SMALL_FILE_BYTES_MAX, &text, &wrong);
        if (!failed)
            failed = pb_repository_file_parse(pb_buffer_slice(&text), &repository->file, &wrong);
    }
    pb_buffer_free(&text);
    if (failed) {
        *error = wrong;
        return pb_error_context(error, "making the repository");
    }
    repository->made = true;
    pb_session_note(repository->session, "made a new %s", pb_store_name(repository->store));
    return 0;
}
