#include "base/failure.h"

#include <stdio.h>
#include <string.h>

enum { REFUSALS_BEFORE_END = 100 };

typedef struct rule {
    const char *name;
    bool passes; /* the request is sent again */
    pb_failure_reach reach;
    pb_failure_finding finding;
    bool of_copy; /* a relay is tried in place of a copy */
    int exit_code;
} rule;

#define OBJECT PB_FAILURE_OF_OBJECT
#define RUN PB_FAILURE_OF_RUN
#define UNREAD PB_FAILURE_UNREAD

/* docs/internals/failures.md gives the reasons. */
static const rule rules[PB_ERROR_KINDS] = {
    /* name, passes, reach, finding, of_copy, exit_code */
    [PB_ERROR_NONE] = {"failed", false, OBJECT, UNREAD, false, 0},
    [PB_ERROR_FAILED] = {"failed", false, OBJECT, UNREAD, true, 1},
    [PB_ERROR_USAGE] = {"usage", false, RUN, UNREAD, false, 2},
    [PB_ERROR_DAMAGED] = {"damaged", false, OBJECT, PB_FAILURE_MISMATCH, false, 3},
    [PB_ERROR_REFUSED] = {"refused", false, RUN, UNREAD, false, 4},
    [PB_ERROR_FORBIDDEN] = {"forbidden", false, OBJECT, UNREAD, true, 4},
    [PB_ERROR_UNREACHABLE] = {"unreachable", true, RUN, UNREAD, false, 5},
    [PB_ERROR_THROTTLED] = {"throttled", true, RUN, UNREAD, false, 5},
    [PB_ERROR_SERVER] = {"server", true, OBJECT, UNREAD, true, 5},
    [PB_ERROR_BUSY] = {"busy", false, RUN, UNREAD, false, 6},
    [PB_ERROR_NOT_FOUND] = {"not_found", false, OBJECT, PB_FAILURE_MISSING, true, 7},
    [PB_ERROR_NO_BUCKET] = {"not_found", false, RUN, UNREAD, false, 7},
    [PB_ERROR_EXISTS] = {"exists", false, OBJECT, PB_FAILURE_MISMATCH, false, 1},
    [PB_ERROR_NO_SPACE] = {"no_space", false, RUN, UNREAD, false, 1},
    [PB_ERROR_CANCELLED] = {"cancelled", false, RUN, UNREAD, false, 130},
};

bool pb_failure_passes(pb_error_kind kind)
{
    return rules[kind].passes;
}

bool pb_failure_is_throttling(pb_error_kind kind)
{
    return kind == PB_ERROR_THROTTLED;
}

pb_failure_reach pb_failure_reach_of(pb_error_kind kind)
{
    return rules[kind].reach;
}

pb_failure_finding pb_failure_finding_of(pb_error_kind kind)
{
    return rules[kind].finding;
}

const char *pb_failure_finding_name(const pb_error *error)
{
    switch (pb_failure_finding_of(error->kind)) {
    case PB_FAILURE_MISSING:
        return "missing";
    case PB_FAILURE_MISMATCH:
        return strcmp(error->code, "truncated") == 0 ? "truncated" : "mismatch";
    case PB_FAILURE_UNREAD:
        break;
    }
    return "unreadable";
}

bool pb_failure_is_refusal(pb_error_kind kind)
{
    return kind == PB_ERROR_REFUSED || kind == PB_ERROR_FORBIDDEN;
}

bool pb_failure_is_of_copy(pb_error_kind kind)
{
    return rules[kind].of_copy;
}

const char *pb_failure_name(pb_error_kind kind)
{
    return rules[kind].name;
}

int pb_failure_exit_code(pb_error_kind kind)
{
    return rules[kind].exit_code;
}

/* ---- the failures of a run's objects ---- */

void pb_failure_count(pb_failure_counts *counts, const pb_error *error)
{
    counts->of[error->kind]++;
    if (!counts->first.kind || (!counts->first.hint[0] && error->hint[0]))
        counts->first = *error;
}

uint64_t pb_failure_total(const pb_failure_counts *counts)
{
    uint64_t total = 0;
    for (size_t kind = 0; kind < PB_ERROR_KINDS; kind++)
        total += counts->of[kind];
    return total;
}

uint64_t pb_failure_unread(const pb_failure_counts *counts)
{
    uint64_t total = 0;
    for (size_t kind = 0; kind < PB_ERROR_KINDS; kind++)
        if (rules[kind].finding == PB_FAILURE_UNREAD)
            total += counts->of[kind];
    return total;
}

pb_error_kind pb_failure_kind_of(const pb_failure_counts *counts)
{
    uint64_t total = pb_failure_total(counts);
    if (!total)
        return PB_ERROR_NONE;
    if (counts->of[PB_ERROR_FORBIDDEN] == total)
        return PB_ERROR_FORBIDDEN;
    return counts->of[PB_ERROR_SERVER] == total ? PB_ERROR_SERVER : PB_ERROR_FAILED;
}

void pb_failure_list(const pb_failure_counts *counts, char *ret_text, size_t size)
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (size_t kind = 0; kind < PB_ERROR_KINDS; kind++) {
        if (!counts->of[kind] || used >= size)
            continue;
        int added =
            snprintf(ret_text + used, size - used, "%s%llu %s", used ? ", " : "",
                     (unsigned long long)counts->of[kind], pb_failure_name((pb_error_kind)kind));
        used += added > 0 ? (size_t)added : 0;
    }
}

bool pb_failure_is_general(const pb_failure_counts *counts)
{
    return counts->of[PB_ERROR_FORBIDDEN] >= REFUSALS_BEFORE_END &&
           counts->of[PB_ERROR_FORBIDDEN] == pb_failure_total(counts);
}
