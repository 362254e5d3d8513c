/* manifest/cluster_record.h - what a snapshot of a Pachyderm cluster holds beside the objects:
 * snapshot.json's member "cluster". Pure, any thread. Format: docs/formats.md. */
#ifndef PB_MANIFEST_CLUSTER_RECORD_H
#define PB_MANIFEST_CLUSTER_RECORD_H

#include "base/hash.h"
#include "base/json.h"

/* A writer of state and how many replicas it had before it was suspended. */
typedef struct pb_workload {
    char *kind; /* "Deployment", "ReplicationController" */
    char *name;
    uint64_t replicas;
} pb_workload;

typedef struct pb_workloads {
    pb_workload *items;
    size_t count;
} pb_workloads;

void pb_workloads_add(pb_workloads *workloads, const char *kind, const char *name,
                      uint64_t replicas);
void pb_workloads_append(pb_workloads *workloads, const pb_workloads *more); /* copies of all */
void pb_workloads_free(pb_workloads *workloads);                             /* back to {0} */
const pb_workload *pb_workloads_find(const pb_workloads *workloads, const char *kind,
                                     const char *name); /* NULL where it is not there */
/* [{"kind":"Deployment","name":"pachd","replicas":1}, ...]; reading fails with DAMAGED, naming
 * `what`. */
json_t *pb_workloads_json(const pb_workloads *workloads);
int pb_workloads_parse(const json_t *array, const char *what, pb_workloads *ret_workloads,
                       pb_error *error);

/* A dump of a database or a capture of Kubernetes objects, stored as one object. */
typedef enum pb_artifact_kind {
    PB_ARTIFACT_DUMP,     /* pg_dump, custom format, of one database */
    PB_ARTIFACT_DUMP_ALL, /* pg_dumpall, SQL */
    PB_ARTIFACT_OBJECTS,  /* Kubernetes objects of a namespace, NDJSON */
    PB_ARTIFACT_RIGHTS,   /* ClusterRoles and ClusterRoleBindings that its accounts use, NDJSON */
} pb_artifact_kind;

typedef struct pb_artifact {
    pb_artifact_kind kind;
    char *path;     /* below snapshots/<id>/: "database/pachyderm.dump.zst.age" */
    char *database; /* DUMP: its name; else "" */
    bool encrypted; /* age, outside of zstd */
    uint64_t bytes; /* as made, before zstd and age */
    uint8_t sha256[PB_SHA256_BYTES];
    uint64_t stored_bytes;
    uint8_t stored_sha256[PB_SHA256_BYTES];
} pb_artifact;

typedef struct pb_cluster_record {
    char *name_space;
    char *pachyderm_version; /* "" where unknown */
    char *database_name;     /* that of Pachyderm's metadata; "" without a dump */
    char *identity_database; /* that of logins; "" without a dump, or where there is none; NULL
                                where an early snapshot does not say */
    char *database_version;  /* of the server, "15.8"; "" without a dump */
    char *kubernetes;        /* "native", "velero", "none" */
    char *velero_backup;  /* "velero/pbcopy-20261123T052049Z-3f9a", namespace and name; else "" */
    bool paused;          /* by `pachctl enterprise pause` when it was captured */
    int64_t suspended_ms; /* the window, in UTC: its difference is the downtime */
    int64_t resumed_ms;
    uint64_t chunks_needed; /* by the database, all in the manifest; 0 without a dump */
    pb_workloads workloads;
    pb_artifact *artifacts;
    size_t artifact_count;
} pb_cluster_record;

bool pb_artifact_is_dump(const pb_artifact *artifact);

void pb_cluster_record_free(pb_cluster_record *record);        /* back to {0} */
pb_artifact *pb_cluster_record_add(pb_cluster_record *record); /* a zeroed one at the end */
/* NULL where there is none of this kind (and database, where that is not NULL). */
const pb_artifact *pb_cluster_record_find(const pb_cluster_record *record, pb_artifact_kind kind,
                                          const char *database);

#endif
