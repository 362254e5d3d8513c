#include "snapshot/sources.h"

#include "copier/store/store.h"
#include <stdlib.h>
#include <string.h>

size_t pb_sources_place(pb_sources *sources, const char *name, const char *prefix,
                        const char *name_space)
{
    for (size_t i = 0; i < sources->count; i++) {
        const pb_source *source = &sources->items[i];
        if (strcmp(source->name, name) == 0 && strcmp(source->prefix, prefix) == 0 &&
            strcmp(source->name_space, name_space) == 0)
            return i;
    }
    /* Grown by doubling: the capacity is the next power of two. */
    if ((sources->count & (sources->count - 1)) == 0)
        sources->items = pb_reallocate(sources->items, (sources->count ? sources->count * 2 : 1) *
                                                           sizeof *sources->items);
    sources->items[sources->count] = (pb_source){
        .name = pb_duplicate(pb_slice_of(name)),
        .prefix = pb_duplicate(pb_slice_of(prefix)),
        .name_space = pb_duplicate(pb_slice_of(name_space)),
    };
    return sources->count++;
}

void pb_sources_free(pb_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        free(sources->items[i].name);
        free(sources->items[i].prefix);
        free(sources->items[i].name_space);
    }
    free(sources->items);
    *sources = (pb_sources){0};
}

bool pb_source_is_like(const pb_source *a, const pb_source *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->prefix, b->prefix) == 0 &&
           (!a->name_space[0] || !b->name_space[0] || strcmp(a->name_space, b->name_space) == 0);
}

/* ---- choosing ---- */

typedef struct wish {
    const char *text; /* as given */
    char *identity;   /* of a source that was given as a URL; NULL else */
} wish;

static bool is_named(const pb_source *source, const wish *wanted)
{
    return strcmp(source->name, wanted->text) == 0 ||
           (wanted->identity && strcmp(source->name, wanted->identity) == 0);
}

static bool is_of_namespace(const pb_source *source, const wish *wanted)
{
    return strcmp(source->name_space, wanted->text) == 0;
}

static bool is_cluster(const pb_source *source, const wish *wanted)
{
    (void)wanted;
    return source->name_space[0] != 0;
}

static bool is_of_prefix(const pb_source *source, const wish *wanted)
{
    return strcmp(source->prefix, wanted->text) == 0;
}

/* Leaves those that are as wished; where none is, `strict` leaves none and else all stay. */
static void narrow(const pb_sources *sources, bool *meant, bool strict,
                   bool (*is)(const pb_source *source, const wish *wanted), const wish *wanted)
{
    bool any = strict;
    for (size_t i = 0; i < sources->count; i++)
        any |= meant[i] && is(&sources->items[i], wanted);
    for (size_t i = 0; any && i < sources->count; i++)
        meant[i] = meant[i] && is(&sources->items[i], wanted);
}

static int narrow_by_name(const pb_sources *sources, const char *name, bool *meant, pb_error *error)
{
    wish wanted = {.text = name};
    pb_location location = {0};
    pb_error wrong = {0};
    bool known = false;
    for (size_t i = 0; i < sources->count; i++)
        known |= is_named(&sources->items[i], &wanted);
    if (!pb_location_parse(name, &location, &wrong) && !pb_store_locate(&location, &wrong)) {
        wanted.identity = pb_location_identity(&location);
    } else if (!known) {
        pb_location_free(&location);
        *error = wrong;
        return pb_error_context(error, "--source");
    }
    narrow(sources, meant, true, is_named, &wanted);
    free(wanted.identity);
    pb_location_free(&location);
    return 0;
}

static int none_is_meant(const pb_choice_options *options, const char *where, pb_error *error)
{
    const char *name_space = options->restores_cluster ? NULL : options->name_space;
    pb_error_set(error, PB_ERROR_NOT_FOUND, "there is no committed snapshot%s%s%s%s in %s",
                 options->source ? " of " : "", options->source ? options->source : "",
                 name_space ? " of namespace " : "", name_space ? name_space : "", where);
    return pb_error_hint(error, "`pbcopy snapshots REPOSITORY` lists what there is");
}

int pb_sources_choose(const pb_sources *sources, const pb_choice_options *options,
                      const char *where, bool *meant, size_t *ret_place, pb_error *error)
{
    size_t place = PB_SOURCE_UNKNOWN, count = 0;
    for (size_t i = 0; i < sources->count; i++)
        meant[i] = sources->items[i].newest[0] != 0;
    if (options->source && narrow_by_name(sources, options->source, meant, error))
        return -1;
    if (options->restores_cluster)
        narrow(sources, meant, false, is_cluster, NULL);
    if (options->name_space)
        narrow(sources, meant, !options->restores_cluster, is_of_namespace,
               &(wish){.text = options->name_space});
    if (options->prefix)
        narrow(sources, meant, false, is_of_prefix, &(wish){.text = options->prefix});
    for (size_t i = 0; i < sources->count; i++)
        if (meant[i] && (place == PB_SOURCE_UNKNOWN ||
                         strcmp(sources->items[i].newest, sources->items[place].newest) > 0))
            place = i;
    if (place == PB_SOURCE_UNKNOWN)
        return none_is_meant(options, where, error);
    *ret_place = place;
    bool clear = true;
    for (size_t i = 0; i < sources->count; i++) {
        count += meant[i];
        clear &= !meant[i] || pb_source_is_like(&sources->items[i], &sources->items[place]);
    }
    if (clear)
        return 0;
    pb_error_set(error, PB_ERROR_USAGE,
                 "%s holds snapshots of %zu sources, and nothing says which is meant", where,
                 count);
    return pb_error_hint(error, "--source URL chooses one, with --prefix where their prefixes "
                                "differ; --snapshot ID always does");
}

bool pb_attempt_is_newer(const pb_attempt *attempt, const pb_sources *sources)
{
    const pb_source *own =
        attempt->source == PB_SOURCE_UNKNOWN ? NULL : &sources->items[attempt->source];
    bool newer = false;
    if (attempt->state != PB_ATTEMPT_UNFINISHED)
        return false;
    for (size_t i = 0; i < sources->count; i++) {
        const pb_source *source = &sources->items[i];
        if (!source->newest[0] || (own && !pb_source_is_like(own, source)))
            continue;
        if (strcmp(attempt->id, source->newest) > 0)
            newer = true;
        else if (own)
            return false;
    }
    return newer;
}
