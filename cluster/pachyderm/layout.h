/* cluster/pachyderm/layout.h - what a Pachyderm looks like in Kubernetes: which object is which
 * part of it, and the names, labels, variables and secrets' keys by which it is described, by
 * version. All of cluster/ asks here, and knows none of this by itself. Why each rule is as it is:
 * docs/pachyderm.md. Pure, any thread; what is returned is borrowed from the object, or constant.
 */
#ifndef PB_CLUSTER_PACHYDERM_LAYOUT_H
#define PB_CLUSTER_PACHYDERM_LAYOUT_H

#include "base/bytes.h"
#include <jansson.h>

/* ---- the parts ---- */

typedef enum pb_component {
    PB_COMPONENT_NONE,
    PB_COMPONENT_PACHD,
    PB_COMPONENT_PACHW,
    PB_COMPONENT_WORKER,     /* of a pipeline: pachd makes them, with their Services */
    PB_COMPONENT_ENTERPRISE, /* the enterprise server, up to 2.11 */
    PB_COMPONENT_BOUNCER,    /* pg-bouncer, between pachd and PostgreSQL */
    PB_COMPONENT_CLOUDSQL_PROXY,
} pb_component;

/* For `kubectl --selector`. A worker has one of the two, or both: of a pipeline's second Service
 * only its name. */
#define PB_PACHD_SELECTOR "app=pachd"
#define PB_WORKER_SELECTOR "suite=pachyderm,component=worker"
#define PB_PIPELINE_SELECTOR "suite=pachyderm,pipelineName"
/* The label of most workers, for who cannot select by more than one. */
#define PB_WORKER_LABEL "component"
#define PB_WORKER_LABEL_VALUE "worker"

/* What an object of any kind belongs to: by its labels, and by its name where it has no label
 * "app". */
pb_component pb_layout_component(const json_t *object);
/* Is it the object of this kind ("Deployment", "Service") of that part? */
bool pb_layout_is(const json_t *object, const char *kind, pb_component component);
/* The first such of an array that has a name; NULL where there is none. */
const json_t *pb_layout_find(const json_t *objects, const char *kind, pb_component component);

/* Does it belong to the PostgreSQL server that the chart puts into the namespace: its StatefulSet,
 * Services, Secret, ConfigMaps, claims, accounts? By label (another server by Bitnami's chart has
 * the same one), and for objects without it by name. The Secret alone is there with a server
 * outside of the cluster, too: it holds its password. */
bool pb_layout_is_database(const json_t *object);
/* Is it one of Pachyderm's ServiceAccounts: PB_SERVICE_ACCOUNTS? */
bool pb_layout_is_service_account(const json_t *object);
#define PB_SERVICE_ACCOUNTS "pachyderm, pachyderm-worker, k8s-cloudsql-auth-proxy"

/* The containers of a workload, pachd's own first: beside it there may be others, with images and
 * variables of their own. The caller owns the array. */
json_t *pb_layout_containers(const json_t *workload);
/* A variable of the first of these that has it, as an object ("name", "value" or "valueFrom"), and
 * its value; NULL and "" where there is none. */
const json_t *pb_layout_variable(const json_t *workload, const char *name);
const char *pb_layout_value(const json_t *workload, const char *name);
/* Does a variable of this name hold an image? pachd makes its workers of WORKER_IMAGE and
 * WORKER_SIDECAR_IMAGE. */
bool pb_layout_is_image_variable(const char *name);

/* ---- the bucket ---- */

#define PB_STORAGE_SECRET "pachyderm-storage-secret"
/* Variables of pachd, the first of pachw too. The last is a directory of pachd's node, where the
 * backend is LOCAL. */
#define PB_STORAGE_URL "STORAGE_URL"
#define PB_STORAGE_BACKEND "STORAGE_BACKEND"
#define PB_STORAGE_HOST_PATH "STORAGE_HOST_PATH"
#define PB_STORAGE_BACKEND_LOCAL "LOCAL"

typedef enum pb_storage_provider {
    PB_STORAGE_S3,
    PB_STORAGE_GOOGLE,
    PB_STORAGE_AZURE,
    PB_STORAGE_FILE,
} pb_storage_provider;

/* A kind of store, and its keys in PB_STORAGE_SECRET; "" where it has no such key. */
typedef struct pb_storage_backend {
    const char *name; /* as STORAGE_BACKEND has it, in any case */
    pb_storage_provider provider;
    const char *bucket;
    const char *id, *secret, *token; /* of an S3 store's credentials */
    const char *credential;          /* Google's: the JSON of a credential file */
    const char *endpoint, *region;
    const char *tls;         /* whether it is spoken to by TLS: pb_layout_is_plain reads it */
    const char *accounts[2]; /* Azure's, since and up to 2.11 */
} pb_storage_backend;

enum { PB_STORAGE_BACKENDS = 4 };
extern const pb_storage_backend pb_storage_backends[PB_STORAGE_BACKENDS];
/* The keys by which pachd's library for STORAGE_URL goes, of credentials and region. */
extern const pb_storage_backend pb_storage_library;
/* A credential in the secret, and the name that it has in other versions too ("" for none). */
typedef struct pb_storage_credential {
    const char *name, *also;
} pb_storage_credential;

enum { PB_STORAGE_CREDENTIALS = 8 };
extern const pb_storage_credential pb_storage_credentials[PB_STORAGE_CREDENTIALS];

/* MINIO's, whose endpoint and TLS are written in another way than AMAZON's. */
bool pb_layout_is_minio(const pb_storage_backend *backend);

/* What a value of `backend->tls` says: true for HTTP without TLS. */
bool pb_layout_is_plain(const pb_storage_backend *backend, const char *value);
/* Does this key of the secret say where the store is? Then it is no secret. */
bool pb_layout_is_place_key(const char *key);
/* As it can stand in a URL by itself: a bucket, a container, Azure's account. */
bool pb_layout_is_bucket_name(pb_slice name);

/* The rest of a STORAGE_URL behind its scheme ("gs://", "gcs://", "wasb://"); NULL where it has
 * none that Pachyderm knows. */
const char *pb_layout_after_scheme(const char *url, pb_storage_provider *ret_provider);
/* The usual one: "s3://", "gs://", "azblob://", "file://". */
const char *pb_layout_scheme(pb_storage_provider provider);
/* What STORAGE_BACKEND must say beside a STORAGE_URL of that provider: pachd opens the URL by the
 * backend, not by its scheme. "" where there is none that goes by a URL. */
const char *pb_layout_backend_of(pb_storage_provider provider);
/* Is this the URL of a provider that pbcopy has no driver for, Azure? */
bool pb_layout_is_azure(const char *url);

typedef enum pb_storage_place {
    PB_STORAGE_BY_SECRET,
    PB_STORAGE_BY_URL,
    PB_STORAGE_BY_EITHER, /* by STORAGE_URL where pachd has one */
} pb_storage_place;

/* Where pachd reads its bucket from: up to 2.8 from the secret; from 2.11 on from STORAGE_URL, and
 * the secret's can be a stale one; between by its GOCDK_ENABLED, which 2.10 takes for granted.
 * `version` is "2.11.4", "" where it is not known; `pachd` may be NULL. */
pb_storage_place pb_layout_storage_place(const json_t *pachd, const char *version);
/* Does this version start with what STORAGE_BACKEND names? Since 2.11 it refuses MINIO. */
bool pb_layout_takes_backend(const char *version, const char *backend);

/* ---- the database ---- */

/* What those that connect to PostgreSQL take from variables; "" where they have none. */
typedef struct pb_database_variables {
    const char *host, *port;
    const char *user, *password, *name;
    const char *identity; /* the database of logins */
} pb_database_variables;

/* Of pachd, pachw, the enterprise server and pg-bouncer; of others NULL. */
const pb_database_variables *pb_layout_database_variables(pb_component component);
/* Is this host pg-bouncer, and not PostgreSQL? "pg-bouncer", "pg-bouncer.NAMESPACE.svc" */
bool pb_layout_is_bouncer_host(const char *host);

/* What holds where pachd does not say. */
enum { PB_DATABASE_PORT = 5432 };
#define PB_DATABASE_USER "pachyderm"
#define PB_DATABASE_NAME "pachyderm"
#define PB_IDENTITY_DATABASE "dex"
#define PB_DATABASE_SECRET "postgres"
#define PB_DATABASE_SECRET_KEY "postgresql-password"

/* A variable of the Cloud SQL proxy, since 2.9; before, an argument names the instance. */
#define PB_CLOUDSQL_INSTANCE "CSQL_PROXY_INSTANCE_CONNECTION_NAME"

/* ---- the pause ---- */

/* `pachctl enterprise pause` (2.2 to 2.11) sets MODE in a ConfigMap of which pachd takes its
 * variables; one of pachd's own comes before that. */
#define PB_MODE "MODE"
#define PB_MODE_PAUSED "paused"
#define PB_MODE_FULL "full"
#define PB_UNPAUSED_MODE "UNPAUSED_MODE" /* a variable of pachd: its mode after the pause */

/* Does this ConfigMap or Deployment say that Pachyderm is paused? */
bool pb_layout_is_paused(const json_t *object);

#endif
