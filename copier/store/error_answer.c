#include "copier/store/error_answer.h"

#include "base/clock.h"

static void copy_text(char *ret_text, size_t capacity, pb_slice text)
{
    size_t size = text.size < capacity - 1 ? text.size : capacity - 1;
    for (size_t i = 0; i < size; i++)
        ret_text[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?';
    ret_text[size] = '\0';
}

pb_error_class pb_error_class_of_status(int status)
{
    switch (status) {
    case 401:
        return (pb_error_class){PB_ERROR_REFUSED, "check the credentials and this machine's clock"};
    case 403:
        return (pb_error_class){PB_ERROR_FORBIDDEN,
                                "check the credentials, their rights and this machine's clock"};
    case 404:
        return (pb_error_class){PB_ERROR_NOT_FOUND, ""};
    case 407: /* a proxy's own answer: no store is behind it */
        return (pb_error_class){PB_ERROR_REFUSED,
                                "check the login in the proxy's URL (http_proxy)"};
    case 408:
        return (pb_error_class){PB_ERROR_SERVER, ""};
    case 412:
        return (pb_error_class){PB_ERROR_EXISTS, ""};
    case 429:
    case 503:
        return (pb_error_class){PB_ERROR_THROTTLED, ""};
    case 501:
    case 505:
        return (pb_error_class){PB_ERROR_FAILED, ""};
    case 507:
        return (pb_error_class){PB_ERROR_NO_SPACE, ""};
    default:
        return status >= 500 ? (pb_error_class){PB_ERROR_SERVER, ""}
                             : (pb_error_class){PB_ERROR_FAILED, ""};
    }
}

void pb_error_answer_fill(pb_error *error, const pb_error_answer *failure, pb_error_class class)
{
    enum { SHOWN = 600 };
    pb_slice message = failure->message, code = failure->code;
    if (message.size > SHOWN)
        message.size = SHOWN;
    if (code.size > sizeof error->code - 1)
        code.size = sizeof error->code - 1;
    if (code.size)
        pb_error_set(error, class.kind, "%s: %.*s%s%.*s", failure->what, PB_SLICE_FORMAT(code),
                     message.size ? ": " : "", PB_SLICE_FORMAT(message));
    else
        pb_error_set(error, class.kind, "%s: HTTP status %d", failure->what, failure->status);
    error->status = failure->status;
    copy_text(error->code, sizeof error->code, code);
    copy_text(error->request_id, sizeof error->request_id, failure->request_id);
    if (strcmp(class.hint, PB_HINT_CLOCK) == 0 && failure->store_now_ms) {
        char ours[PB_TIME_TEXT_MAX], theirs[PB_TIME_TEXT_MAX];
        pb_time_format_http(failure->our_now_ms, ours);
        pb_time_format_http(failure->store_now_ms, theirs);
        pb_error_hint(error, "%s: it says %s, the store says %s", class.hint, ours, theirs);
    } else if (class.hint[0]) {
        pb_error_hint(error, "%s", class.hint);
    }
}
