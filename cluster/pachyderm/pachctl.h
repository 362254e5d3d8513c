/* cluster/pachyderm/pachctl.h - the context of pachctl: $PACH_CONFIG, else
 * ~/.pachyderm/config.json. */
#ifndef PB_CLUSTER_PACHYDERM_PACHCTL_H
#define PB_CLUSTER_PACHYDERM_PACHCTL_H

#include "base/json.h"
#include <uv.h>

/* Puts a context into a configuration's text (empty: a new one) and makes it the active one.
 * Unknown fields stay. Pure. */
int pb_pachctl_context(pb_slice text, const char *cluster, const char *address, pb_buffer *ret_text,
                       pb_error *error);
/* Through `pachctl` where it is installed, else in the file: mode 0600, renamed into place.
 * *ret_path is what was written, freed by the caller. Runs the loop. */
int pb_pachctl_connect(uv_loop_t *loop, const char *cluster, const char *address, char **ret_path,
                       pb_error *error);
/* HOST, HOST:PORT or URL as pachd_address has it: grpc://HOST:30650. USAGE. Pure. */
int pb_pachctl_address(const char *address, pb_buffer *ret_text, pb_error *error);

#endif
