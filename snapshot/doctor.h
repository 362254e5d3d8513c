/* snapshot/doctor.h - `pbcopy doctor`: would a backup work? A rehearsal of one and no more;
 * and `pbcopy init`: a configuration from what a namespace says. Main thread. */
#ifndef PB_SNAPSHOT_DOCTOR_H
#define PB_SNAPSHOT_DOCTOR_H

#include "snapshot/rehearsal.h"

typedef struct pb_doctor_options {
    const char *source;     /* NULL: the cluster's */
    const char *repository; /* NULL: that is a finding */
    const pb_cluster_options *cluster;
} pb_doctor_options;

/* Tells each check as it is made; strings live during the call. FAILED where one of them failed,
 * with how many. */
int pb_doctor(pb_session *session, const pb_doctor_options *options,
              void (*each)(void *context, const pb_check *check), void *context, pb_error *error);

/* Appends a pbcopy.yaml for the namespace: what was found of it, and what must be filled in. */
int pb_init_from_cluster(pb_session *session, const pb_cluster_options *cluster,
                         pb_buffer *ret_yaml, pb_error *error);

#endif
