/* snapshot/window.h - the time for which a cluster may be suspended. Main thread. For this room.
 *
 * Whatever waits in the window waits on the session: when the time is over, the window cancels the
 * session, as SIGINT does, and all that hangs (a dump, a pass, a capture, kubectl) is ended. The
 * caller then resumes the cluster. */
#ifndef PB_SNAPSHOT_WINDOW_H
#define PB_SNAPSHOT_WINDOW_H

#include "snapshot/session.h"
#include <uv.h>

typedef struct pb_window {
    pb_session *session;
    const char *name_space;
    int64_t allowed_ms, until_ms; /* by the monotonic clock */
    bool announced, over, open;
    uv_timer_t timer;
} pb_window;

/* Begins now. `allowed_ms` of 0: without end, which a note says. `name_space` is borrowed. */
void pb_window_open(pb_window *window, pb_session *session, const char *name_space,
                    int64_t allowed_ms);
/* Ends it. -1 where its time was over, with *error (FAILED) in place of what the cancelled calls
 * said; else 0. */
int pb_window_close(pb_window *window, pb_error *error);

#endif
