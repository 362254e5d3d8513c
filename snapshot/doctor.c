#include "snapshot/doctor.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/yaml.h"
#include "cluster/kubernetes/capture.h"
#include "cluster/kubernetes/object.h"
#include "cluster/process/child.h"
#include "snapshot/job.h"
#include "snapshot/repository.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOOL_DEADLINE_MS = 30 * 1000, OUTPUT_MAX = 64 * 1024, CLOCK_OFF_MAX_MS = 5 * 60 * 1000 };

typedef struct doctor {
    pb_session *session;
    const pb_doctor_options *options;
    void (*each)(void *context, const pb_check *check);
    void *context;
    unsigned failed;
    pb_kubectl kubectl;
    pb_pachyderm pachyderm;
    bool has_pachyderm;
} doctor;

static void tell(doctor *self, const char *name, const char *text)
{
    self->each(self->context, &(pb_check){.name = name, .text = text, .hint = ""});
}

/* An error is a check that failed, with its hint. */
static void tell_error(doctor *self, const char *name, const pb_error *error)
{
    self->failed++;
    self->each(
        self->context,
        &(pb_check){.name = name, .failed = true, .text = error->message, .hint = error->hint});
}

/* ---- tools ---- */

static void check_tool(doctor *self, const char *name, const char *argument, const char *package)
{
    const char *const arguments[] = {name, argument, NULL};
    const pb_child_options options = {.arguments = arguments, .deadline_ms = TOOL_DEADLINE_MS};
    pb_buffer output = {0};
    pb_error error = {0};
    if (pb_child_run(&self->session->loop, &options, (pb_slice){NULL, 0}, &self->session->cancelled,
                     OUTPUT_MAX, &output, NULL, &error)) {
        pb_error_hint(&error, "install it: Debian has it in %s", package);
        tell_error(self, name, &error);
    } else {
        pb_buffer_append_char(&output, '\n');
        output.data[strcspn(output.data, "\n")] = 0;
        tell(self, name, output.data);
    }
    pb_buffer_free(&output);
}

static void check_tools(doctor *self)
{
    const pb_cluster_options *cluster = self->options->cluster;
    check_tool(self, "sort", "--version", "coreutils");
    if (cluster->sealing.recipient_count || cluster->identity)
        check_tool(self, "age", "--version", "age");
    if (cluster->dump == PB_DUMP_NONE)
        return;
    check_tool(self, cluster->dump == PB_DUMP_ALL ? "pg_dumpall" : "pg_dump", "--version",
               "postgresql-client");
    check_tool(self, "pg_restore", "--version", "postgresql-client");
    check_tool(self, "psql", "--version", "postgresql-client");
}

/* Where sort(1) puts what it does not hold in memory. */
static void check_scratch(doctor *self)
{
    enum { MIB = 1024 * 1024 };
    uint64_t free_bytes;
    pb_error error = {0};
    if (self->options->cluster->dump == PB_DUMP_NONE)
        return;
    if (pb_session_check_scratch(self->session, 0, &free_bytes, &error)) {
        tell_error(self, "temporary files", &error);
        return;
    }
    pb_buffer text = {0};
    pb_buffer_append_format(&text, "in %s, %llu MiB free", pb_session_scratch(self->session),
                            (unsigned long long)(free_bytes / MIB));
    tell(self, "temporary files", text.data);
    pb_buffer_free(&text);
}

/* ---- the cluster ---- */

/* A kubectl before 1.24 cannot patch a subresource. */
static void check_kubectl(doctor *self)
{
    enum { MINOR_WITH_SUBRESOURCES = 24 };
    const char *const arguments[] = {"kubectl", "version", "--client", "--output=json", NULL};
    const pb_child_options options = {.arguments = arguments, .deadline_ms = TOOL_DEADLINE_MS};
    pb_buffer output = {0}, text = {0};
    pb_error error = {0};
    json_t *value = NULL;
    unsigned major = 0, minor = 0;
    if (pb_child_run(&self->session->loop, &options, (pb_slice){NULL, 0}, &self->session->cancelled,
                     OUTPUT_MAX, &output, NULL, &error) ||
        pb_json_parse(pb_buffer_slice(&output), "kubectl's version", &value, &error)) {
        pb_error_hint(&error, "install it: Debian has it in kubernetes-client");
        tell_error(self, "kubectl", &error);
        pb_buffer_free(&output);
        return;
    }
    const char *version = json_string_value(pb_object_at(value, "clientVersion.gitVersion"));
    pb_buffer_append_text(&text, version ? version : "of a version that it does not tell");
    if (version && sscanf(version, "v%u.%u", &major, &minor) == 2 && major == 1 &&
        minor < MINOR_WITH_SUBRESOURCES) {
        self->session->kubectl_is_old = true;
        pb_buffer_append_text(&text, ", older than 1.24: it scales by patching whole objects, "
                                     "and needs the right to");
    }
    tell(self, "kubectl", text.data);
    json_decref(value);
    pb_buffer_free(&output);
    pb_buffer_free(&text);
}

static void check_right(doctor *self, const pb_kubectl *kubectl, const char *verb,
                        const char *resource, const char *subresource)
{
    char option[64], name[256];
    snprintf(option, sizeof option, "--subresource=%s", subresource);
    snprintf(name, sizeof name, "right to %s %s%s%s", verb, resource, subresource[0] ? "/" : "",
             subresource);
    const char *const arguments[] = {
        "auth", "can-i", verb, resource, subresource[0] ? option : NULL, NULL};
    pb_buffer output = {0};
    pb_error error = {0};
    int refused = pb_kubectl_run(kubectl, arguments, (pb_slice){NULL, 0}, &output, &error);
    if (!refused && output.size >= 3 && memcmp(output.data, "yes", 3) == 0) {
        tell(self, name, "yes");
    } else {
        if (error.kind != PB_ERROR_UNREACHABLE) {
            pb_error_set(&error, PB_ERROR_REFUSED, "no");
            pb_error_hint(&error, "deploy/rbac.yaml has the Role that pbcopy needs");
        }
        tell_error(self, name, &error);
    }
    pb_buffer_free(&output);
}

typedef struct right {
    const char *verb, *resource, *subresource;
} right;

static void check_each(doctor *self, const right *rights, size_t count)
{
    for (size_t i = 0; i < count && !self->session->cancelled; i++)
        check_right(self, &self->kubectl, rights[i].verb, rights[i].resource,
                    rights[i].subresource);
}

/* Every call of kubectl that a backup, suspend or resume makes; deploy/rbac.yaml grants the same,
 * and tests/integration/cluster_deploy.py holds both against what the API server is asked. */
static void check_rights(doctor *self)
{
    static const right always[] = {
        {"list", "deployments.apps", ""},
        {"list", "replicationcontrollers", ""},
        {"list", "pods", ""},
        {"watch", "deployments.apps", ""},
        {"watch", "replicationcontrollers", ""},
        {"watch", "pods", ""},
        {"list", "services", ""},
        {"list", "configmaps", ""},
        {"create", "configmaps", ""},
        {"get", "configmaps/" PB_SUSPENSION_CONFIG_MAP, ""},
        {"update", "configmaps/" PB_SUSPENSION_CONFIG_MAP, ""},
        {"delete", "configmaps/" PB_SUSPENSION_CONFIG_MAP, ""},
        {"get", "secrets/" PB_STORAGE_SECRET, ""},
    };
    static const right scaling[] = {
        {"get", "deployments.apps", "scale"},
        {"patch", "deployments.apps", "scale"},
        {"get", "replicationcontrollers", "scale"},
        {"patch", "replicationcontrollers", "scale"},
    };
    static const right scaling_of_old[] = {
        {"get", "deployments.apps", ""},
        {"patch", "deployments.apps", ""},
        {"get", "replicationcontrollers", ""},
        {"patch", "replicationcontrollers", ""},
    };
    check_each(self, always, sizeof always / sizeof *always);
    check_each(self, self->session->kubectl_is_old ? scaling_of_old : scaling,
               sizeof scaling / sizeof *scaling);
}

static void check_rights_of_options(doctor *self)
{
    const pb_cluster_options *cluster = self->options->cluster;
    const char *password = self->has_pachyderm ? self->pachyderm.password_secret : "";
    const char *set = getenv("PGPASSWORD");
    if (cluster->dump != PB_DUMP_NONE && password[0] && !(set && set[0])) {
        char resource[300];
        snprintf(resource, sizeof resource, "secrets/%s", password);
        check_right(self, &self->kubectl, "get", resource, "");
    }
    if (cluster->grace_s)
        check_right(self, &self->kubectl, "delete", "pods", "");
    if (cluster->kubernetes == PB_KUBERNETES_VELERO) {
        pb_kubectl velero = self->kubectl;
        velero.name_space = cluster->velero_namespace;
        check_right(self, &velero, "create", "backups.velero.io", "");
        check_right(self, &velero, "get", "backups.velero.io", "");
        check_right(self, &velero, "watch", "backups.velero.io", "");
    }
}

/* By doing it: which kinds there are, and which of them may be listed, only a listing tells. */
static void check_capture(doctor *self)
{
    pb_buffer objects = {0};
    pb_error error = {0};
    size_t count = 0;
    char text[64];
    if (self->options->cluster->kubernetes != PB_KUBERNETES_NATIVE)
        return;
    if (pb_capture(&self->kubectl, NULL, &objects, &count, &error)) {
        tell_error(self, "right to list every kind", &error);
    } else {
        snprintf(text, sizeof text, "yes: %zu objects would be captured", count);
        tell(self, "right to list every kind", text);
    }
    if (objects.size)
        explicit_bzero(objects.data, objects.size);
    pb_buffer_free(&objects);
}

static void check_suspension(doctor *self)
{
    pb_suspension suspension = {0};
    pb_error error = {0};
    if (!pb_suspension_find(&self->kubectl, &suspension, &error)) {
        bool alive = true; /* where that cannot be found out */
        pb_error ignored = {0};
        pb_suspension_is_alive(&self->kubectl, &suspension, &alive, &ignored);
        pb_error_set(&error, PB_ERROR_BUSY, "the namespace is suspended, by %s on %s (%s)",
                     suspension.holder, suspension.process.host,
                     alive ? "which is alive" : "which is over");
        pb_error_hint(&error, alive ? "wait for it" : "`pbcopy resume` scales it up again");
        tell_error(self, "suspension", &error);
        pb_suspension_free(&suspension);
    } else if (error.kind == PB_ERROR_NOT_FOUND) {
        tell(self, "suspension", "none");
    } else {
        tell_error(self, "suspension", &error);
    }
}

/* pachd does not start with such a one: the namespace is not what a backup should be of. */
static void check_backend(doctor *self)
{
    const pb_pachyderm *pachyderm = &self->pachyderm;
    pb_error error = {0};
    if (pachyderm->storage_path[0]) {
        char text[1024];
        snprintf(text, sizeof text, "%s: data lies in directory %s of pachd's node",
                 pachyderm->storage_backend, pachyderm->storage_path);
        tell(self, "storage backend", text);
    }
    if (pb_pachyderm_takes_backend(pachyderm))
        return;
    pb_error_set(&error, PB_ERROR_USAGE, "Pachyderm %s refuses STORAGE_BACKEND=%s",
                 pachyderm->version, pachyderm->storage_backend);
    pb_error_hint(&error, "from 2.11 on it takes AMAZON, GOOGLE, MICROSOFT and LOCAL; MinIO is "
                          "AMAZON with STORAGE_URL s3://BUCKET?endpoint=HOST:PORT");
    tell_error(self, "storage backend", &error);
}

static void check_cluster(doctor *self)
{
    pb_error error = {0};
    check_kubectl(self);
    if (pb_pachyderm_read(&self->kubectl, &self->pachyderm, &error)) {
        tell_error(self, "Pachyderm", &error);
        if (error.kind == PB_ERROR_UNREACHABLE || error.kind == PB_ERROR_USAGE)
            return;
    } else {
        char text[256];
        self->has_pachyderm = true;
        snprintf(text, sizeof text, "version %s in namespace %s, %zu workloads that write%s",
                 self->pachyderm.version, self->options->cluster->name_space,
                 self->pachyderm.writers.count, self->pachyderm.paused ? ", paused" : "");
        tell(self, "Pachyderm", text);
        check_backend(self);
    }
    check_rights(self);
    check_rights_of_options(self);
    check_capture(self);
    check_suspension(self);
}

static void check_database(doctor *self)
{
    pb_cluster_database database;
    pb_error error = {0};
    if (self->options->cluster->dump == PB_DUMP_NONE || !self->has_pachyderm)
        return;
    if (pb_cluster_database_open(self->session, self->options->cluster, &self->pachyderm, &database,
                                 &error)) {
        tell_error(self, "database", &error);
    } else {
        char text[1024];
        snprintf(text, sizeof text, "PostgreSQL %s at %s: %s, and %s%s", database.version.text,
                 database.server.host ? database.server.host : "the default place",
                 self->pachyderm.database_name,
                 database.identity[0] ? "of logins " : "none of logins", database.identity);
        tell(self, "database", text);
    }
    pb_cluster_database_close(&database);
}

static void check_recipients(doctor *self)
{
    const pb_cluster_options *cluster = self->options->cluster;
    pb_error error = {0};
    if (cluster->dump == PB_DUMP_NONE && cluster->kubernetes != PB_KUBERNETES_NATIVE)
        return;
    if (!cluster->sealing.recipient_count && cluster->plaintext) {
        tell(self, "encryption", "none: --plaintext");
    } else if (!cluster->sealing.recipient_count) {
        pb_error_set(&error, PB_ERROR_USAGE, "no recipient: dumps and captures hold secrets");
        pb_error_hint(&error, "make a key with age-keygen, and set recipient: age1...");
        tell_error(self, "encryption", &error);
    } else if (pb_sealing_check(&self->session->loop, &cluster->sealing, &error)) {
        tell_error(self, "encryption", &error);
    } else {
        tell(self, "encryption", "to the given recipients");
    }
}

/* ---- stores ---- */

static void check_clock(doctor *self, const char *role, pb_store *store)
{
    pb_store_request check = {.operation = PB_STORE_CHECK};
    pb_error error = {0};
    if (pb_store_call(store, &check, &error) || !check.store_now_ms)
        return;
    int64_t off_ms = pb_clock_utc_ms() - check.store_now_ms;
    char name[64], text[64];
    snprintf(name, sizeof name, "clock and the %s's", role);
    if (llabs((long long)off_ms) <= CLOCK_OFF_MAX_MS) {
        snprintf(text, sizeof text, "%lld s apart", (long long)off_ms / 1000);
        tell(self, name, text);
        return;
    }
    pb_error_set(&error, PB_ERROR_REFUSED, "%lld s apart", (long long)off_ms / 1000);
    pb_error_hint(&error, "set this machine's clock: signatures hold for a quarter of an hour");
    tell_error(self, name, &error);
}

/* NULL where it cannot be opened. */
static pb_store *check_store(doctor *self, const char *role, const char *url,
                             const pb_store_keys *keys, pb_store_config **ret_config)
{
    pb_store *store = NULL;
    pb_error error = {0};
    *ret_config = NULL;
    if (pb_session_store(self->session, url, role, keys, ret_config, &store, &error) ||
        pb_session_check(self->session, store, false, &error)) {
        tell_error(self, role, &error);
    } else {
        tell(self, role, pb_store_name(store));
        check_clock(self, role, store);
    }
    return store;
}

static void check_overlap(doctor *self, const pb_store *source, const pb_store *repository)
{
    pb_error error = {0};
    if (!pb_location_overlaps(pb_store_location(source), pb_store_location(repository))) {
        tell(self, "source and repository", "apart");
        return;
    }
    pb_error_set(&error, PB_ERROR_USAGE, "they overlap");
    pb_error_hint(&error, "a repository must be outside of what it backs up");
    tell_error(self, "source and repository", &error);
}

static void check_stores(doctor *self)
{
    const char *url = self->options->source;
    pb_store_config *configs[2] = {NULL, NULL};
    pb_store *source = NULL, *repository = NULL;
    pb_cluster_store store = {.url = url};
    pb_error error = {0};
    if (self->has_pachyderm && pb_cluster_store_open(self->session, self->options->cluster,
                                                     &self->pachyderm, url, &store, &error))
        tell_error(self, "source", &error);
    else if (store.url)
        source = check_store(self, "source", store.url, store.has_keys ? &store.keys : NULL,
                             &configs[0]);
    if (self->options->repository) {
        repository = check_store(self, "repository", self->options->repository, NULL, &configs[1]);
    } else {
        pb_error_set(&error, PB_ERROR_USAGE, "none is named");
        pb_error_hint(&error, "set `repository` in pbcopy.yaml");
        tell_error(self, "repository", &error);
    }
    if (source && repository)
        check_overlap(self, source, repository);
    pb_store_close(source);
    pb_store_close(repository);
    pb_store_config_free(configs[0]);
    pb_store_config_free(configs[1]);
    pb_cluster_store_free(&store);
}

int pb_doctor(pb_session *session, const pb_doctor_options *options,
              void (*each)(void *context, const pb_check *check), void *context, pb_error *error)
{
    doctor self = {
        .session = session,
        .options = options,
        .each = each,
        .context = context,
        .kubectl = pb_cluster_kubectl(session, options->cluster),
    };
    self.kubectl.patience_ms = 0; /* a doctor says how it is now */
    check_tools(&self);
    check_scratch(&self);
    if (options->cluster->name_space)
        check_cluster(&self);
    check_database(&self);
    check_recipients(&self);
    check_stores(&self);
    pb_pachyderm_free(&self.pachyderm);
    if (session->cancelled)
        return pb_error_set(error, PB_ERROR_CANCELLED, "cancelled");
    if (self.failed)
        return pb_error_set(error, PB_ERROR_FAILED, "%u checks failed", self.failed);
    return 0;
}

/* ---- init ---- */

/* A line that nobody reads as YAML, whatever a cluster says of itself. */
static void append_comment(pb_buffer *yaml, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append_comment(pb_buffer *yaml, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pb_text_make_line(text);
    pb_buffer_append_format(yaml, "# %s\n", text);
}

static void append_line(pb_buffer *yaml, const char *name, const char *value)
{
    json_t *object = json_pack("{s:s}", name, value);
    pb_yaml_append(yaml, object);
    json_decref(object);
}

static void append_source(pb_buffer *yaml, const char *path)
{
    pb_buffer url = {0};
    pb_buffer_append_format(&url, "file://%s", path);
    append_line(yaml, "source", url.data);
    pb_buffer_free(&url);
}

int pb_init_from_cluster(pb_session *session, const pb_cluster_options *cluster,
                         pb_buffer *ret_yaml, pb_error *error)
{
    pb_kubectl kubectl = pb_cluster_kubectl(session, cluster);
    pb_pachyderm found;
    if (pb_pachyderm_read(&kubectl, &found, error))
        return -1;
    append_comment(
        ret_yaml,
        "pbcopy.yaml for Pachyderm %s: `pbcopy doctor` checks it, `pbcopy backup` uses it.",
        found.version);
    append_line(ret_yaml, "namespace", cluster->name_space);
    if (cluster->context)
        append_line(ret_yaml, "kube-context", cluster->context);
    pb_buffer_append_char(ret_yaml, '\n');
    append_comment(ret_yaml,
                   "Where backups go: a bucket or prefix of its own, best in another region "
                   "and account.");
    append_line(ret_yaml, "repository", "s3://FILL-IN");
    pb_buffer_append_char(ret_yaml, '\n');
    append_comment(ret_yaml, "Dumps and captures hold secrets: they are encrypted to this key "
                             "(age-keygen -o key.txt).");
    append_line(ret_yaml, "recipient", "age1FILL-IN");
    if (found.storage_url[0]) {
        pb_buffer_append_char(ret_yaml, '\n');
        append_comment(ret_yaml,
                       "What is backed up, as the cluster says (%s); say otherwise with "
                       "`source`:",
                       found.storage_in_secret ? "secret " PB_STORAGE_SECRET : "STORAGE_URL");
        append_comment(ret_yaml, "source: %s", found.storage_url);
    } else if (found.storage_path[0]) {
        pb_buffer_append_char(ret_yaml, '\n');
        append_comment(ret_yaml,
                       "What is backed up: Pachyderm has no bucket (STORAGE_BACKEND=%s), its data "
                       "lies in a directory of pachd's node (STORAGE_HOST_PATH). Run pbcopy where "
                       "that is; name where it is mounted:",
                       found.storage_backend);
        append_source(ret_yaml, found.storage_path);
    }
    pb_buffer_append_char(ret_yaml, '\n');
    append_comment(ret_yaml,
                   "The database, as the cluster says; from outside of it, forward a port and "
                   "name that:");
    append_comment(ret_yaml, "database-host: %s", found.database_host);
    append_comment(ret_yaml, "database-port: %llu", (unsigned long long)found.database_port);
    append_comment(ret_yaml, "Its databases: %s, and %s of logins%s.", found.database_name,
                   found.identity_database[0] ? found.identity_database : "one that is not known",
                   found.identity_database[0] ? "" : " (say identity-database: NAME)");
    if (found.password_secret[0])
        append_comment(ret_yaml, "Its password is read from secret %s, key %s.",
                       found.password_secret, found.password_key);
    pb_buffer_append_char(ret_yaml, '\n');
    append_comment(ret_yaml, "Suspended during a backup, in this order:");
    for (size_t i = 0; i < found.writers.count; i++)
        append_comment(ret_yaml, "  %s %s (%llu)", found.writers.items[i].kind,
                       found.writers.items[i].name,
                       (unsigned long long)found.writers.items[i].replicas);
    pb_buffer_append_text(ret_yaml, "\nparallel: 256\n");
    pb_pachyderm_free(&found);
    return 0;
}
