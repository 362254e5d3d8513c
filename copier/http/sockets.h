/* copier/http/sockets.h - libcurl's sockets in one private epoll set, nested in the libuv loop.
 *
 * One uv_poll handle for all sockets of a loop, armed lazily: a kept connection goes through
 * REMOVE and back to IN with every request, and skipping those two epoll_ctl calls saves a third of
 * the CPU time of a small request against one uv_poll handle a socket. Inside copier/http only. */
#ifndef PB_COPIER_HTTP_SOCKETS_H
#define PB_COPIER_HTTP_SOCKETS_H

#include "base/error.h"
#include <curl/curl.h>
#include <uv.h>

typedef struct pb_sockets pb_sockets;

/* `ready` is called for each ready socket with the owner given to pb_sockets_want (a multi) and
 * libcurl's CURL_CSELECT_* bits; `drained` once after each batch. */
typedef void (*pb_sockets_ready)(void *context, void *owner, curl_socket_t socket, int select_bits);
typedef void (*pb_sockets_drained)(void *context);

int pb_sockets_open(uv_loop_t *loop, pb_sockets_ready ready, pb_sockets_drained drained,
                    void *context, pb_sockets **ret_sockets, pb_error *error);
/* While busy, the loop counts the set as alive and waits for it; opened as not busy. */
void pb_sockets_busy(pb_sockets *sockets, bool busy);
/* Closes; freed by the loop's close callback. */
void pb_sockets_close(pb_sockets *sockets);

/* From CURLMOPT_SOCKETFUNCTION: `what` is CURL_POLL_*. */
void pb_sockets_want(pb_sockets *sockets, void *owner, curl_socket_t socket, int what);
/* From CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION: sockets that come and go here
 * are armed lazily; others (a resolver's pair) are closed behind our back and are armed at once. */
curl_socket_t pb_sockets_create(pb_sockets *sockets, const struct curl_sockaddr *address);
int pb_sockets_destroy(pb_sockets *sockets, curl_socket_t socket);

#endif
