/* snapshot/sources.h - the sources of a repository, and which of them is meant. Any thread; pure,
 * but that options->source, a URL, is located as environment and profile say (pb_store_locate). For
 * this room; choice.h has the types. */
#ifndef PB_SNAPSHOT_SOURCES_H
#define PB_SNAPSHOT_SOURCES_H

#include "base/error.h"
#include "snapshot/choice.h"

typedef struct pb_sources {
    pb_source *items;
    size_t count;
} pb_sources;

#define PB_SOURCE_UNKNOWN SIZE_MAX

typedef enum pb_attempt_state {
    PB_ATTEMPT_COMMITTED,
    PB_ATTEMPT_UNFINISHED,
    PB_ATTEMPT_ABANDONED, /* closed: another run uses what it copied */
} pb_attempt_state;

/* A run that left something under snapshots/<id>/. */
typedef struct pb_attempt {
    char id[PB_SNAPSHOT_ID_SIZE];
    size_t source; /* its place among the sources; UNKNOWN where nothing readable says it */
    pb_attempt_state state;
} pb_attempt;

/* The place of a source, which is added where it is new. Texts are copied. */
size_t pb_sources_place(pb_sources *sources, const char *name, const char *prefix,
                        const char *name_space);
void pb_sources_free(pb_sources *sources);

/* The same bucket and prefix, and not two different clusters: a snapshot of one may stand for the
 * other. */
bool pb_source_is_like(const pb_source *a, const pb_source *b);

/* Which source is meant, of those that have a snapshot (newest[0]). NOT_FOUND where none is;
 * USAGE where the options leave more than one, and then meant[place] is set for each of them.
 * `meant` has room for all sources; `where` names the repository in errors. */
int pb_sources_choose(const pb_sources *sources, const pb_choice_options *options,
                      const char *where, bool *meant, size_t *ret_place, pb_error *error);

/* True for an unfinished one that is newer than the newest snapshot of its source; where the source
 * is not known, of any. */
bool pb_attempt_is_newer(const pb_attempt *attempt, const pb_sources *sources);

#endif
