/* cluster/suspension/record.h - the record of a suspension: a ConfigMap of the namespace, which is
 * the lock as well. Pure, any thread. lease.h says how it is kept. */
#ifndef PB_CLUSTER_SUSPENSION_RECORD_H
#define PB_CLUSTER_SUSPENSION_RECORD_H

#include "base/json.h"
#include "base/process.h"
#include "manifest/cluster_record.h"

#define PB_SUSPENSION_CONFIG_MAP "pbcopy-suspension"
#define PB_SUSPENSION_STANDING "pbcopy suspend"
#define PB_SUSPENSION_RESTORE "pbcopy restore"

enum { PB_SUSPENSION_TOKEN_SIZE = 33 };

typedef struct pb_suspension {
    char *holder; /* a snapshot's id; PB_SUSPENSION_STANDING, which outlives its process; or
                     PB_SUSPENSION_RESTORE: only `resume` or another restore ends it */
    char token[PB_SUSPENSION_TOKEN_SIZE]; /* random: whose the record is; "" in one of an older
                                             version */
    pb_process process; /* its heartbeat is the last renewal, by the API server's clock */
    int64_t started_ms;
    pb_workloads workloads; /* as they were, in the order of the suspend */

    /* ---- in memory only ---- */
    char *uid, *resource_version; /* of the ConfigMap as it was last seen; NULL: it was not */
    char former_token[PB_SUSPENSION_TOKEN_SIZE]; /* while `claims`: that of who had it before */
    bool claims;
    json_t *generations; /* of pb_suspend: pb_suspension_check sees by them what was scaled */
    json_t *listed;      /* of pb_suspension_check: pb_resume begins with it */
    int64_t scaled_ms;   /* when pb_suspend began to scale, by this clock; of a record that was
                            read: started_ms, where it has counts. 0: nothing was scaled */
    int64_t resumed_ms;  /* when pb_resume had brought all counts back, by this clock; 0: not yet */
    struct pb_suspension_lease *lease; /* renews the record; NULL: nobody does */
} pb_suspension;

/* The ConfigMap's text and the member of intent.json: DAMAGED where it is not one. */
json_t *pb_suspension_json(const pb_suspension *suspension);
int pb_suspension_parse(const json_t *object, pb_suspension *ret_suspension, pb_error *error);

/* The same as an object of Kubernetes, and back. Writing it is conditional on uid and
 * resourceVersion, where they are known. */
json_t *pb_suspension_config_map(const pb_suspension *suspension);
int pb_suspension_of_config_map(const json_t *object, pb_suspension *ret_suspension,
                                pb_error *error);
/* Takes uid and resourceVersion from an object. */
void pb_suspension_seen(pb_suspension *suspension, const json_t *object);
/* Makes the record this process's: a new token. */
void pb_suspension_own(pb_suspension *suspension);

/* Whether two records are of one suspend: by token, else by holder, process and time. */
bool pb_suspension_is_same(const pb_suspension *a, const pb_suspension *b);

/* Does it outlive its process, as that of `pbcopy suspend`? Was it made by a restore? */
bool pb_suspension_stands(const pb_suspension *suspension);
bool pb_suspension_restores(const pb_suspension *suspension);

/* Frees what the record holds; its lease is ended before (lease.h). */
void pb_suspension_record_free(pb_suspension *suspension); /* back to {0} */

#endif
