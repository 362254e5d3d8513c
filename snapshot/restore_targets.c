#include "cluster/pachyderm/layout.h"
#include "copier/store/store.h"
#include "snapshot/bucket_overlap.h"
#include "snapshot/restore_steps.h"
#include <stdlib.h>

/* ---- what must not be overwritten ---- */

/* Where objects go, and what the restored Pachyderm will use: --bucket says otherwise at will. */
typedef struct aimed_bucket {
    const char *name; /* as it is told */
    char *identity;   /* NULL where it cannot be read */
    /* As the URL has it, where this machine's environment names the endpoint
     * (STORAGE_EMULATOR_HOST, AWS_ENDPOINT_URL): what clusters say of theirs is compared without
     * that. NULL for none. */
    char *written;
} aimed_bucket;

enum { TARGETS = 2 };

static int refuse_bucket(const aimed_bucket *target, const char *name_space, pb_error *error)
{
    pb_error_set(error, PB_ERROR_USAGE,
                 "%s is the bucket of the cluster in namespace %s: each of the two would collect "
                 "chunks that the other needs",
                 target->name, name_space);
    return pb_error_hint(error, "restore into a bucket of its own, or, where that cluster is gone "
                                "for good, say --allow-live-bucket");
}

static pb_bucket_relation relation_of(const aimed_bucket *target, const char *identity)
{
    if (target->written && pb_buckets_compare(target->written, identity) == PB_BUCKETS_OVERLAP)
        return PB_BUCKETS_OVERLAP;
    return pb_buckets_compare(target->identity, identity);
}

/* `identity` is that of a bucket that the cluster in the namespace uses, or used. */
static int check_bucket(const pb_restoring *self, const aimed_bucket *targets, const char *identity,
                        const char *name_space, pb_error *error)
{
    bool same = targets[1].identity && strcmp(targets[0].identity, targets[1].identity) == 0;
    for (int i = 0; i < (same ? 1 : TARGETS); i++) {
        pb_bucket_relation relation = relation_of(&targets[i], identity);
        if (relation == PB_BUCKETS_OVERLAP)
            return refuse_bucket(&targets[i], name_space, error);
        if (relation == PB_BUCKETS_UNKNOWN)
            pb_session_note(self->session,
                            "whether %s is the bucket of the cluster in namespace %s (%s) cannot "
                            "be told from its URL",
                            targets[i].name, name_space,
                            identity ? identity : "which pbcopy cannot read");
    }
    return 0;
}

/* Does the restore change anything there, or drop what it may use? */
static bool reads_namespace(const pb_restoring *self)
{
    return pb_restoring_takes_objects(self) ||
           (self->wanted->overwrite_database && self->cluster->dump == PB_DUMP_DATABASES);
}

/* Any other Pachyderm that this Kubernetes knows. */
static int check_live_clusters(pb_restoring *self, const aimed_bucket *targets, pb_error *error)
{
    pb_kubectl all = self->kubectl;
    all.name_space = NULL;
    json_t *items = NULL;
    pb_error wrong = {0};
    if (pb_kubectl_list(&all, "deployments", PB_PACHD_SELECTOR, &items, &wrong)) {
        if (wrong.kind != PB_ERROR_REFUSED) {
            *error = wrong;
            return -1;
        }
        pb_session_note(self->session, "no right to look into all namespaces: whether another "
                                       "cluster uses this bucket is not known");
        return 0;
    }
    int failed = 0;
    for (size_t i = 0; i < json_array_size(items) && !failed; i++) {
        const json_t *metadata = json_object_get(json_array_get(items, i), "metadata");
        const char *name_space = json_string_value(json_object_get(metadata, "namespace"));
        pb_pachyderm other = {0};
        pb_kubectl there = self->kubectl;
        there.name_space = name_space;
        /* Of the namespace itself pb_restoring_check_namespace judges, if it reads it: it may be a
         * restore that goes on. */
        if (!name_space ||
            (reads_namespace(self) && strcmp(name_space, self->cluster->name_space) == 0))
            continue;
        if (pb_pachyderm_read(&there, &other, &wrong)) {
            pb_session_note(self->session,
                            "whether the cluster in namespace %s uses this bucket is "
                            "not known: %s",
                            name_space, wrong.message);
            continue;
        }
        if (other.storage_url[0]) {
            char *identity = pb_bucket_identity(other.storage_url);
            failed = check_bucket(self, targets, identity, name_space, error);
            free(identity);
        } else if (!other.storage_path[0] || strncmp(targets[0].identity, "file:", 5) == 0) {
            pb_session_note(self->session,
                            "whether the cluster in namespace %s uses this bucket is not known: it "
                            "%s%s",
                            name_space,
                            other.storage_path[0] ? "keeps its data in a directory of its node, "
                                                  : "does not say where its bucket is",
                            other.storage_path);
        }
        pb_pachyderm_free(&other);
    }
    json_decref(items);
    return failed;
}

int pb_restoring_check_buckets(pb_restoring *self, pb_error *error)
{
    pb_location destination = {0};
    if (pb_location_parse(self->options->destination, &destination, error) ||
        pb_store_locate(&destination, error)) {
        pb_location_free(&destination);
        return pb_error_context(error, "destination");
    }
    char *bucket = pb_bucket_identity(self->edits.bucket);
    const aimed_bucket targets[TARGETS] = {
        {.name = self->options->destination,
         .identity = pb_location_identity(&destination),
         .written = pb_bucket_identity(self->options->destination)},
        {.name = bucket ? bucket : "what --bucket names", .identity = bucket},
    };
    pb_location_free(&destination);
    int failed = self->wanted->allow_live_bucket ? 0
                                                 : check_bucket(self, targets, self->file.source,
                                                                self->record->name_space, error) ||
                                                       check_live_clusters(self, targets, error);
    for (int i = 0; i < TARGETS; i++) {
        free(targets[i].identity);
        free(targets[i].written);
    }
    return failed ? -1 : 0;
}

int pb_restoring_check_namespace(pb_restoring *self, pb_error *error)
{
    pb_error wrong = {0};
    if (!reads_namespace(self))
        return 0;
    if (pb_pachyderm_read(&self->kubectl, &self->there, &wrong)) {
        if (wrong.kind == PB_ERROR_NOT_FOUND)
            return 0;
        *error = wrong;
        return -1;
    }
    self->has_pachyderm = true;
    char *identity = pb_bucket_identity(self->there.storage_url);
    char *destination = pb_bucket_identity(self->options->destination);
    self->bucket_relation = pb_buckets_compare(destination, identity);
    free(identity);
    free(destination);
    if (self->wanted->allow_existing || !pb_restoring_takes_objects(self))
        return 0;
    pb_error_set(error, PB_ERROR_USAGE, "namespace %s has a Pachyderm already",
                 self->cluster->name_space);
    return pb_error_hint(error, "restore into a namespace of its own, or say --allow-existing: the "
                                "restore then suspends what is there and applies the snapshot's "
                                "objects over it");
}
