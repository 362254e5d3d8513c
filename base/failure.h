/* base/failure.h - what a failure means: whether it passes, how far it reaches, what it says of an
 * object, and how the program ends. One table, which everyone asks; docs/internals/failures.md
 * prints it. Pure, any thread.
 *
 * Whoever meets a failure decides its kind (error.h) alone: from an answer's code and status
 * (copier/store/.../errors.c), from libcurl's code (copier/http), from errno. */
#ifndef PB_BASE_FAILURE_H
#define PB_BASE_FAILURE_H

#include "base/error.h"

#include <stdint.h>

/* How far a failure reaches that no repetition of its request has ended. */
typedef enum pb_failure_reach {
    PB_FAILURE_OF_OBJECT, /* this object alone: the run goes on with the others, and ends not 0 */
    PB_FAILURE_OF_RUN,    /* the next object would meet it as well: the run ends */
} pb_failure_reach;

/* What it says of an object that is read, by the name that findings have. */
typedef enum pb_failure_finding {
    PB_FAILURE_UNREAD,   /* nothing: it could not be read */
    PB_FAILURE_MISSING,  /* it does not exist */
    PB_FAILURE_MISMATCH, /* it is there, and is not what was listed or recorded */
} pb_failure_finding;

/* True where the same request may succeed when it is sent again: http repeats it within the
 * patience. */
bool pb_failure_passes(pb_error_kind kind);
/* True where it passes by itself however long it takes: it never counts as the request's own. */
bool pb_failure_is_throttling(pb_error_kind kind);
pb_failure_reach pb_failure_reach_of(pb_error_kind kind);
pb_failure_finding pb_failure_finding_of(pb_error_kind kind);
/* "missing", "truncated" (a mismatch whose error has that code), "mismatch" or "unreadable". */
const char *pb_failure_finding_name(const pb_error *error);
/* True where a login, or a right that it lacks, is what is wrong. */
bool pb_failure_is_refusal(pb_error_kind kind);
/* True where an object that its store does not copy by itself may still be read and written: what
 * was refused is the copy. */
bool pb_failure_is_of_copy(pb_error_kind kind);
/* "forbidden", "not_found": the kind as reports name it; "failed" for NONE, too. Static. */
const char *pb_failure_name(pb_error_kind kind);
/* The exit code, as README.md documents it. */
int pb_failure_exit_code(pb_error_kind kind);

/* ---- the failures of a run's objects ---- */

/* Zero it. Not safe for threads. */
typedef struct pb_failure_counts {
    uint64_t of[PB_ERROR_KINDS];
    pb_error first; /* the first one, whose hint is worth reading; kind NONE: there was none */
} pb_failure_counts;

void pb_failure_count(pb_failure_counts *counts, const pb_error *error);
uint64_t pb_failure_total(const pb_failure_counts *counts);
/* Those that say nothing of the object (PB_FAILURE_UNREAD). */
uint64_t pb_failure_unread(const pb_failure_counts *counts);
/* The kind of a run that has these failures: FORBIDDEN or SERVER where all are, else FAILED. NONE
 * without any. */
pb_error_kind pb_failure_kind_of(const pb_failure_counts *counts);
/* Writes "2 forbidden, 1 server" into ret_text, cut at its end when too long. */
void pb_failure_list(const pb_failure_counts *counts, char *ret_text, size_t size);
/* True where so many objects were refused, and no other failed, that the rest will be: for a run in
 * which none has succeeded. */
bool pb_failure_is_general(const pb_failure_counts *counts);

#endif
