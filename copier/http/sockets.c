#include "copier/http/sockets.h"

#include "base/bytes.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

typedef struct socket_state {
    void *owner;
    uint8_t want;  /* EPOLLIN | EPOLLOUT that libcurl wants now */
    uint8_t armed; /* what the epoll set has */
    bool ours;     /* opened and closed through this file */
} socket_state;

struct pb_sockets {
    uv_poll_t poll;
    int epoll;
    socket_state *states; /* by file descriptor */
    size_t count;
    pb_sockets_ready ready;
    pb_sockets_drained drained;
    void *context;
};

static socket_state *state_of(pb_sockets *sockets, curl_socket_t socket)
{
    size_t index = (size_t)socket;
    if (index >= sockets->count) {
        size_t count = sockets->count ? sockets->count : 256;
        while (count <= index)
            count *= 2;
        sockets->states = pb_reallocate(sockets->states, count * sizeof *sockets->states);
        memset(sockets->states + sockets->count, 0,
               (count - sockets->count) * sizeof *sockets->states);
        sockets->count = count;
    }
    return &sockets->states[index];
}

static void arm(pb_sockets *sockets, curl_socket_t socket, socket_state *state, uint8_t events)
{
    struct epoll_event event = {.events = events, .data = {.fd = socket}};
    if (!events) {
        epoll_ctl(sockets->epoll, EPOLL_CTL_DEL, socket, &event);
    } else if (epoll_ctl(sockets->epoll, state->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket,
                         &event)) {
        /* The number was closed and used again without our knowledge. */
        if (errno == ENOENT)
            epoll_ctl(sockets->epoll, EPOLL_CTL_ADD, socket, &event);
        else if (errno == EEXIST)
            epoll_ctl(sockets->epoll, EPOLL_CTL_MOD, socket, &event);
    }
    state->armed = events;
}

static void on_readable(uv_poll_t *poll, int status, int uv_events)
{
    (void)status;
    (void)uv_events;
    pb_sockets *sockets = poll->data;
    struct epoll_event events[256];
    int count = epoll_wait(sockets->epoll, events, 256, 0);
    for (int i = 0; i < count; i++) {
        curl_socket_t socket = events[i].data.fd;
        socket_state *state = state_of(sockets, socket);
        uint32_t got = events[i].events;
        if (got & (EPOLLERR | EPOLLHUP))
            got |= state->want;
        uint8_t wanted = (uint8_t)(got & state->want);
        if (!wanted) {
            /* Level-triggered: an event that nobody wants would fire for ever. */
            arm(sockets, socket, state, state->want);
            continue;
        }
        int bits = (wanted & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (wanted & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events[i].events & EPOLLERR ? CURL_CSELECT_ERR : 0);
        sockets->ready(sockets->context, state->owner, socket, bits);
        /* `ready` may have grown the table. */
        state = state_of(sockets, socket);
        if (got & state->armed & ~state->want)
            arm(sockets, socket, state, state->want | (state->armed & EPOLLIN));
    }
    sockets->drained(sockets->context);
}

int pb_sockets_open(uv_loop_t *loop, pb_sockets_ready ready, pb_sockets_drained drained,
                    void *context, pb_sockets **ret_sockets, pb_error *error)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return pb_error_errno(error, errno, "epoll_create1");
    pb_sockets *sockets = pb_allocate_zeroed(1, sizeof *sockets);
    sockets->epoll = epoll;
    sockets->ready = ready;
    sockets->drained = drained;
    sockets->context = context;
    int failed = uv_poll_init(loop, &sockets->poll, epoll);
    if (failed) {
        close(epoll);
        free(sockets);
        return pb_error_set(error, PB_ERROR_FAILED, "uv_poll_init: %s", uv_strerror(failed));
    }
    sockets->poll.data = sockets;
    uv_poll_start(&sockets->poll, UV_READABLE, on_readable);
    pb_sockets_busy(sockets, false);
    *ret_sockets = sockets;
    return 0;
}

void pb_sockets_busy(pb_sockets *sockets, bool busy)
{
    if (busy)
        uv_ref((uv_handle_t *)&sockets->poll);
    else
        uv_unref((uv_handle_t *)&sockets->poll);
}

static void on_closed(uv_handle_t *handle)
{
    pb_sockets *sockets = handle->data;
    close(sockets->epoll);
    free(sockets->states);
    free(sockets);
}

void pb_sockets_close(pb_sockets *sockets)
{
    uv_close((uv_handle_t *)&sockets->poll, on_closed);
}

void pb_sockets_want(pb_sockets *sockets, void *owner, curl_socket_t socket, int what)
{
    socket_state *state = state_of(sockets, socket);
    state->owner = owner;
    state->want = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        state->want |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        state->want |= EPOLLOUT;
    if (state->want & ~state->armed)
        arm(sockets, socket, state, state->want);
    else if (!state->ours && state->armed != state->want)
        arm(sockets, socket, state, state->want);
}

curl_socket_t pb_sockets_create(pb_sockets *sockets, const struct curl_sockaddr *address)
{
    int socket_fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (socket_fd < 0)
        return CURL_SOCKET_BAD;
    *state_of(sockets, socket_fd) = (socket_state){.ours = true};
    return socket_fd;
}

int pb_sockets_destroy(pb_sockets *sockets, curl_socket_t socket)
{
    *state_of(sockets, socket) = (socket_state){0}; /* close() takes it out of the epoll set */
    return close(socket);
}
