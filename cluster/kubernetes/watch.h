/* cluster/kubernetes/watch.h - waiting until objects are in some state.
 *
 * kubectl lists the objects once, and watches of the API server, a kubectl that runs on for each
 * kind, tell what changes: nothing is asked again and again. Nothing that a watch says is believed
 * before a list shows it. A watch that is refused, ends or falls silent costs time alone: lists are
 * made all the same, ever less often, to every 4 s where a watch is missing and every 16 s else.
 *
 * A watch belongs to the loop of its kubectl and to its thread; calls run the loop: never inside a
 * callback. */
#ifndef PB_CLUSTER_KUBERNETES_WATCH_H
#define PB_CLUSTER_KUBERNETES_WATCH_H

#include "cluster/kubernetes/kubectl.h"

typedef struct pb_watch pb_watch;

typedef struct pb_awaited {
    int64_t wait_ms;
    /* What the objects mean: 1, it is so; 0, not yet, and *what names that which is waited for
     * (it comes empty); -1, it will not be. Asked of each list, and of what the watches make of it;
     * a 1 or -1 counts where a list gives it. May call kubectl. */
    int (*judge)(void *context, const json_t *items, pb_buffer *what, pb_error *error);
    void *context;
    /* About once a second: "waiting for WHAT: 12 s". May be NULL. */
    void (*waiting)(void *caller, const char *text);
    void *caller;
} pb_awaited;

/* Begins to watch objects of the namespace: `kinds` as pb_kubectl_list has them, each of version
 * v1 ("deployments.apps,pods"); all of them, or (`name` not NULL) one. Never fails. The caller owes
 * pb_watch_close. *kubectl is borrowed. */
pb_watch *pb_watch_open(const pb_kubectl *kubectl, const char *kinds, const char *name);
/* Ends what runs. NULL is none. */
void pb_watch_close(pb_watch *watch);

/* Lists the objects, as pb_kubectl_list does; NOT_FOUND where the one with the name is not there.
 */
int pb_watch_list(pb_watch *watch, pb_error *error);
/* What the last list showed, after pb_watch_until as after pb_watch_list; NULL before the first.
 * The watch's, until the next call. */
const json_t *pb_watch_items(const pb_watch *watch);

/* Waits until `judge` answers for a list, for wait_ms at most, beginning with the list that there
 * is. 1: it is so, and pb_watch_items is the list that shows it. 0: the time is over; *ret_what
 * names what was waited for, as a last list has it. -1: as `judge`, a list or `cancelled` say. */
int pb_watch_until(pb_watch *watch, const pb_awaited *awaited, pb_buffer *ret_what,
                   pb_error *error);

/* What is to be asked for a kind: "/api/v1/namespaces/NS/pods?watch=true&...", and of `name` alone
 * where that is not NULL. The watch begins with what the API server has in its cache
 * (resourceVersion=0), which may be a moment old, and tells all that came after it: for the newest
 * (no version) an API server on an old etcd waits for seconds, and may fail. Pure. */
void pb_watch_path(pb_slice kind, const char *name_space, const char *name, pb_buffer *ret_path);
/* Brings items up to date by a line of a watch: an object comes, changes or goes. False where the
 * line is none of these: an error, or damaged. Pure. */
bool pb_watch_apply(json_t *items, pb_slice line);

#endif
