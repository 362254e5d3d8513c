#include "snapshot/window.h"

#include "base/clock.h"
#include "snapshot/job.h"

enum { LOOK_MS = 200, ANNOUNCED_PERCENT = 80 };

static void on_look(uv_timer_t *timer)
{
    pb_window *window = timer->data;
    int64_t left_ms = window->until_ms - pb_clock_monotonic_ms();
    if (!window->announced && left_ms * 100 <= window->allowed_ms * (100 - ANNOUNCED_PERCENT)) {
        window->announced = true;
        pb_session_note(window->session,
                        "namespace %s has been suspended for %lld s, and may be for %lld s more "
                        "(--max-downtime)",
                        window->name_space, (long long)(window->allowed_ms - left_ms) / 1000,
                        (long long)(left_ms > 0 ? left_ms : 0) / 1000);
    }
    if (left_ms > 0 || window->over)
        return;
    window->over = true;
    pb_session_cancel(window->session);
}

void pb_window_open(pb_window *window, pb_session *session, const char *name_space,
                    int64_t allowed_ms)
{
    *window = (pb_window){
        .session = session,
        .name_space = name_space,
        .allowed_ms = allowed_ms,
        .until_ms = pb_clock_monotonic_ms() + allowed_ms,
    };
    if (!allowed_ms) {
        pb_session_note(
            session, "--max-downtime 0: nothing ends this backup while namespace %s is suspended",
            name_space);
        return;
    }
    window->open = true;
    uv_timer_init(&session->loop, &window->timer);
    window->timer.data = window;
    uv_timer_start(&window->timer, on_look, LOOK_MS, LOOK_MS);
}

static void on_closed(uv_handle_t *handle)
{
    ((pb_window *)handle->data)->open = false;
}

int pb_window_close(pb_window *window, pb_error *error)
{
    if (window->open)
        uv_close((uv_handle_t *)&window->timer, on_closed);
    while (window->open)
        uv_run(&window->session->loop, UV_RUN_ONCE);
    if (!window->over)
        return 0;
    pb_error_set(error, PB_ERROR_FAILED,
                 "over the allowed downtime: namespace %s was suspended for %lld s and the backup "
                 "was not done; it was ended, and nothing was committed",
                 window->name_space, (long long)window->allowed_ms / 1000);
    return pb_error_hint(error, "find out what hung or was slow (-v says it); --passes copies more "
                                "beforehand, --max-downtime allows more");
}
