/* cluster/process/child.h - a child process: arguments without a shell, streamed pipes, a deadline.
 *
 * A child belongs to one loop and its thread. It has a session of its own, so that Ctrl-C at the
 * terminal reaches pbcopy alone, and its whole process group is killed when it is given up. Secrets
 * go into its environment, never into its arguments; of this process's own environment it gets what
 * any program may want (PATH, HOME, the locale, ...) and nothing else that is not named. */
#ifndef PB_CLUSTER_PROCESS_CHILD_H
#define PB_CLUSTER_PROCESS_CHILD_H

#include "base/bytes.h"
#include "base/error.h"
#include <stdatomic.h>
#include <uv.h>

typedef struct pb_child pb_child;

typedef struct pb_child_options {
    const char *const *arguments;   /* NULL at the end; [0] is looked for in PATH */
    const char *const *environment; /* "NAME=value", before what is inherited; NULL at the end;
                                       NULL for none */
    const char *const *inherited;   /* names of more variables that it gets from this process,
                                       "PG*" for all that begin so; NULL at the end, or for none */
    bool has_input;                 /* standard input is fed by pb_child_write; else it is empty */
    int64_t deadline_ms;            /* from the start; 0 for none. Passed: killed, UNREACHABLE */
    /* Bytes of standard output. -1 kills the child, and *error is how it ended. NULL: dropped. */
    int (*received)(void *context, const void *data, size_t size, pb_error *error);
    /* pb_child_pending went to 0. May be NULL. */
    void (*drained)(void *context);
    /* Exactly once, never inside pb_child_start: the process is reaped, its output was read to the
     * end. Kind NONE only for exit status 0 with everything written and read. The child is freed
     * after this returns. */
    void (*done)(void *context, pb_child *child, const pb_error *error);
    void *context;
} pb_child_options;

/* Options and what they point to are copied. Fails with USAGE, and a hint, where the program is not
 * there; then `done` is not called. */
int pb_child_start(uv_loop_t *loop, const pb_child_options *options, pb_child **ret_child,
                   pb_error *error);

/* Queues a copy of the bytes for standard input. The child may be dead already: then they are
 * dropped, and `done` tells. */
void pb_child_write(pb_child *child, const void *data, size_t size);
void pb_child_end_input(pb_child *child);          /* after what is queued */
size_t pb_child_pending(const pb_child *child);    /* bytes queued and not yet taken */
void pb_child_pause(pb_child *child, bool paused); /* reads no output while paused */

/* Gives the child up: its process group is killed; `done` follows with *why (copied). */
void pb_child_kill(pb_child *child, const pb_error *why);

/* Inside `done`. What it wrote to standard error: the last 16 KiB, each line made harmless. */
pb_slice pb_child_stderr(const pb_child *child);
int pb_child_exit_status(const pb_child *child); /* -1 where a signal ended it */

/* A child from start to end, running the loop meanwhile: never inside a callback. `input` is its
 * standard input (empty: none), the output is appended to *ret_output (NULL: dropped); more than
 * output_bytes_max is FAILED. `cancelled` (may be NULL) is looked at ten times a second: CANCELLED.
 * *ret_stderr (NULL allowed) gets what pb_child_stderr has. Only arguments, environment,
 * inherited and deadline of the options are read. */
int pb_child_run(uv_loop_t *loop, const pb_child_options *options, pb_slice input,
                 const atomic_bool *cancelled, size_t output_bytes_max, pb_buffer *ret_output,
                 pb_buffer *ret_stderr, pb_error *error);

#endif
