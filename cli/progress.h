/* cli/progress.h - what is happening, on standard error: a status line on a terminal, a plain line
 * now and then elsewhere. */
#ifndef PB_CLI_PROGRESS_H
#define PB_CLI_PROGRESS_H

#include "cli/console.h"
#include "snapshot/session.h"

enum {
    PB_PROGRESS_SAMPLES = 32,
    PB_PROGRESS_WINDOW_MS = 5000, /* rates are of so long */
    PB_PROGRESS_STATUS_MS = 200,  /* a status line stays at least so long */
    PB_PROGRESS_PLAIN_MS = 30 * 1000,
    PB_PROGRESS_WAITING_MS = 10 * 1000,
};

/* The figures of the phase under way. Pure. {0} is before the first phase. */
typedef struct pb_meter {
    char phase[32];
    pb_event samples[PB_PROGRESS_SAMPLES]; /* a ring; no strings in them */
    unsigned next;                         /* the ring's place to write */
    unsigned count;
    int64_t down_ms; /* for how long a cluster has been suspended */
} pb_meter;

/* Notes a PHASE or PROGRESS event. A phase by another name begins anew. */
void pb_meter_take(pb_meter *meter, const pb_event *event);
/* True once figures of the phase were told. */
bool pb_meter_has_figures(const pb_meter *meter);
/* Appends "copying: 1,200 of 5,000 keys (24%), 800 objects, 1.20 GiB, 90 objects/s, 12.5 MiB/s,
 * 0 min 42 s left", as far as it is known. ASCII. */
void pb_meter_format(const pb_meter *meter, pb_buffer *buffer);
/* Appends "copying: 5,000 keys, 800 objects, 1.20 GiB in 1 min 12 s": the end of a phase. */
void pb_meter_format_end(const pb_meter *meter, pb_buffer *buffer);

typedef struct pb_progress {
    pb_console *console;
    bool shown; /* false: --quiet */
    pb_meter meter;
    int64_t due_ms;         /* when the next line may be shown */
    int64_t waiting_due_ms; /* and one that says what is waited for */
} pb_progress;

void pb_progress_init(pb_progress *progress, pb_console *console, bool shown);
/* Takes PHASE and PROGRESS events. One thread. */
void pb_progress_take(pb_progress *progress, const pb_event *event);
/* The last phase is over. */
void pb_progress_end(pb_progress *progress);

#endif
