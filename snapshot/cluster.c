#include "snapshot/cluster.h"

#include "base/clock.h"
#include "base/failure.h"
#include "snapshot/job.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_MS = 60 * 1000, PATIENCE_TO_UNDO_MS = 10 * 60 * 1000 };

static void on_told(void *context, const char *text)
{
    pb_session_note(context, "%s", text);
}

pb_kubectl pb_cluster_kubectl(pb_session *session, const pb_cluster_options *options)
{
    return (pb_kubectl){
        .loop = &session->loop,
        .kubeconfig = options->kubeconfig,
        .context = options->context,
        .name_space = options->name_space,
        .patience_ms = PATIENCE_MS,
        .cancelled = &session->cancelled,
        .log = session->options.log,
        .changed = on_told,
        .changed_context = session,
        .is_old = &session->kubectl_is_old,
    };
}

void pb_cluster_note_suspended(pb_session *session, const pb_cluster_options *options,
                               const pb_suspension *suspension)
{
    if (!suspension->holder)
        return;
    session->cluster = (pb_cluster_state){
        .stand = suspension->scaled_ms ? PB_CLUSTER_SUSPENDED : PB_CLUSTER_LOCKED,
        .suspended_ms = suspension->scaled_ms,
    };
    snprintf(session->cluster.name_space, sizeof session->cluster.name_space, "%s",
             options->name_space);
}

int pb_cluster_resume(pb_session *session, const pb_cluster_options *options,
                      pb_suspension *suspension, pb_error *error)
{
    /* To be done whatever happens: nothing cancels it, and it is patient. */
    pb_kubectl kubectl = pb_cluster_kubectl(session, options);
    kubectl.patience_ms = PATIENCE_TO_UNDO_MS;
    kubectl.cancelled = NULL;
    pb_session_phase(session, "resuming");
    pb_cluster_note_suspended(session, options, suspension);
    int failed = pb_resume(&kubectl, suspension, on_told, session, error);
    if (suspension->scaled_ms)
        session->cluster.resumed_ms = suspension->resumed_ms;
    if (!failed) {
        session->cluster.stand = PB_CLUSTER_RUNNING;
        return 0;
    }
    if (error->kind == PB_ERROR_BUSY) {
        session->cluster.stand = PB_CLUSTER_TAKEN_OVER;
        return -1;
    }
    pb_error_context(error,
                     suspension->scaled_ms
                         ? "namespace %s is still suspended"
                         : "namespace %s was not suspended, but the record of it is left",
                     options->name_space);
    return pb_error_hint(error, "run `pbcopy resume --namespace %s` as soon as the cluster answers",
                         options->name_space);
}

int pb_cluster_confirm(pb_session *session, const pb_cluster_options *options,
                       pb_suspension *suspension, pb_error *error)
{
    pb_kubectl kubectl = pb_cluster_kubectl(session, options);
    if (!pb_suspension_store(&kubectl, suspension, NULL, NULL, NULL, error))
        return 0;
    if (error->kind == PB_ERROR_BUSY)
        session->cluster.stand = PB_CLUSTER_TAKEN_OVER;
    return -1;
}

int pb_cluster_end(pb_session *session, const pb_cluster_options *options,
                   pb_suspension *suspension, pb_error *error)
{
    pb_kubectl kubectl = pb_cluster_kubectl(session, options);
    kubectl.patience_ms = PATIENCE_TO_UNDO_MS;
    kubectl.cancelled = NULL;
    suspension->resumed_ms = session->cluster.resumed_ms = pb_clock_utc_ms();
    session->cluster.stand = PB_CLUSTER_LOCKED;
    if (!pb_suspension_store(&kubectl, suspension, NULL, NULL, NULL, error) &&
        !pb_suspension_forget(&kubectl, suspension, error)) {
        session->cluster.stand = PB_CLUSTER_RUNNING;
        return 0;
    }
    if (error->kind == PB_ERROR_BUSY)
        session->cluster.stand = PB_CLUSTER_TAKEN_OVER;
    return pb_error_context(error, "deleting the record of the suspension");
}

/* What the undoing of a suspension waits for. */
static int refuse_alive(const pb_cluster_options *options, const pb_suspension *suspension,
                        pb_error *error)
{
    bool restores = pb_suspension_restores(suspension);
    pb_error_set(error, PB_ERROR_BUSY,
                 "namespace %s is suspended by a %s under way%s%s, on %s, process %llu",
                 options->name_space, restores ? "restore" : "backup",
                 restores ? "" : ": snapshot ", restores ? "" : suspension->holder,
                 suspension->process.host, (unsigned long long)suspension->process.pid);
    return pb_error_hint(error, "wait for it; if it is dead on another machine, wait three minutes "
                                "or say --take-over");
}

/* Only somebody who knows what is there ends such a suspension. */
static int refuse_standing(const pb_cluster_options *options, const pb_suspension *suspension,
                           pb_error *error)
{
    bool restores = pb_suspension_restores(suspension);
    pb_error_set(error, PB_ERROR_BUSY, "namespace %s was suspended by %s", options->name_space,
                 restores ? "a restore that did not end" : "`pbcopy suspend`");
    return pb_error_hint(error, restores ? "run the restore again, or `pbcopy resume` to bring up "
                                           "what is there"
                                         : "`pbcopy resume` brings it back");
}

int pb_cluster_find_suspension(pb_session *session, const pb_cluster_options *options,
                               pb_suspension *ret_suspension, pb_error *error)
{
    pb_kubectl kubectl = pb_cluster_kubectl(session, options);
    pb_error wrong = {0};
    *ret_suspension = (pb_suspension){0};
    if (pb_suspension_find(&kubectl, ret_suspension, &wrong)) {
        if (wrong.kind == PB_ERROR_NOT_FOUND)
            return 0;
        *error = wrong;
        return -1;
    }
    bool alive = false;
    int failed = 0;
    if (!pb_suspension_stands(ret_suspension) && !options->take_over &&
        pb_suspension_is_alive(&kubectl, ret_suspension, &alive, error))
        failed = pb_error_context(error, "namespace %s is suspended", options->name_space);
    else if (alive)
        failed = refuse_alive(options, ret_suspension, error);
    if (!failed)
        return 1;
    pb_suspension_free(ret_suspension);
    return -1;
}

int pb_cluster_undo(pb_session *session, const pb_cluster_options *options, bool standing,
                    bool *ret_undone, pb_error *error)
{
    pb_suspension suspension;
    int failed = 0, found = pb_cluster_find_suspension(session, options, &suspension, error);
    *ret_undone = false;
    if (found <= 0)
        return found;
    bool stays = pb_suspension_stands(&suspension) || pb_suspension_restores(&suspension);
    if (stays && !standing) {
        failed = refuse_standing(options, &suspension, error);
    } else {
        if (!stays)
            pb_session_note(session,
                            "snapshot %s's run died while namespace %s was suspended: "
                            "its workloads are scaled up again",
                            suspension.holder, options->name_space);
        failed = pb_cluster_resume(session, options, &suspension, error);
        *ret_undone = !failed;
    }
    pb_suspension_free(&suspension);
    return failed;
}

int pb_cluster_suspend(pb_session *session, const pb_cluster_options *options,
                       pb_suspension *ret_suspension, pb_error *error)
{
    pb_kubectl kubectl = pb_cluster_kubectl(session, options);
    const pb_suspend_options wanted = {
        .holder = PB_SUSPENSION_STANDING,
        .wait_ms = options->wait_ms,
        .grace_s = options->grace_s,
        .waiting = on_told,
        .context = session,
    };
    bool undone;
    *ret_suspension = (pb_suspension){0};
    if (pb_cluster_undo(session, options, false, &undone, error))
        return -1;
    pb_session_phase(session, "suspending");
    int failed = pb_suspend(&kubectl, &wanted, ret_suspension, error);
    pb_cluster_note_suspended(session, options, ret_suspension);
    if (!failed)
        return 0;
    /* Half a suspension helps nobody. */
    pb_error wrong = {0};
    if (ret_suspension->holder && pb_cluster_resume(session, options, ret_suspension, &wrong))
        *error = wrong;
    return -1;
}

int pb_cluster_identity_check(const pb_artifact *artifact, const char *identity, pb_error *error)
{
    if (!artifact->encrypted)
        return 0;
    if (!identity) {
        pb_error_set(error, PB_ERROR_USAGE, "%s is encrypted, and no --identity is given",
                     artifact->path);
        return pb_error_hint(error, "--identity FILE: the private key that belongs to the "
                                    "--recipient of the backup");
    }
    if (!access(identity, R_OK))
        return 0;
    pb_error_errno(error, errno, "--identity %s", identity);
    error->kind = PB_ERROR_USAGE;
    return -1;
}

/* ---- what the cluster uses ---- */

static int check_client(uv_loop_t *loop, const char *program, const pb_database_version *server,
                        pb_error *error)
{
    enum { MAJOR = 10000 };
    pb_database_version client;
    if (pb_database_client_version(loop, program, &client, error))
        return -1;
    if (client.number / MAJOR >= server->number / MAJOR)
        return 0;
    pb_error_set(error, PB_ERROR_USAGE, "%s is of version %s, older than the server, which is %s",
                 program, client.text, server->text);
    return pb_error_hint(error, "install postgresql-client-%u or later", server->number / MAJOR);
}

/* Is it there? A cluster whose logins are missing from its snapshot would come back without them.
 */
static int find_identity(pb_session *session, const char *wanted, const pb_pachyderm *pachyderm,
                         pb_cluster_database *database, pb_error *error)
{
    static const char none[] = "say --identity-database NAME, or, for a cluster that keeps no "
                               "logins of its own, --identity-database none";
    const char *name = wanted ? wanted : pachyderm->identity_database;
    pb_database_version version;
    database->identity = "";
    if (wanted && strcmp(wanted, "none") == 0)
        return 0;
    if (!name[0]) {
        pb_error_set(error, PB_ERROR_USAGE,
                     "which database holds the logins is not known: pachd takes "
                     "IDENTITY_SERVER_DATABASE from a secret or config map");
        return pb_error_hint(error, "%s", none);
    }
    database->identity = name;
    if (!pb_database_server_version(&session->loop, &database->server, name, &version, error))
        return 0;
    if (error->kind != PB_ERROR_NOT_FOUND)
        return -1;
    pb_error_context(error, "the database of logins (%s)",
                     wanted ? "--identity-database"
                            : "IDENTITY_SERVER_DATABASE of pachd, dex unless set");
    return pb_error_hint(error, "%s", none);
}

int pb_cluster_database_open(pb_session *session, const pb_cluster_options *options,
                             const pb_pachyderm *pachyderm, pb_cluster_database *ret_database,
                             pb_error *error)
{
    pb_cluster_database *database = ret_database;
    pb_kubectl kubectl = pb_cluster_kubectl(session, options);
    *database = (pb_cluster_database){.server = options->database};
    pb_database_server *server = &database->server;
    const char *set = getenv("PGPASSWORD");
    if (!server->host && pachyderm->database_host[0])
        server->host = pachyderm->database_host;
    if (!server->port)
        server->port = pachyderm->database_port;
    if (!server->user && pachyderm->database_user[0])
        server->user = pachyderm->database_user;
    if (!(set && set[0]) && pachyderm->password_secret[0]) {
        pb_error wrong = {0};
        if (!pb_pachyderm_secret(&kubectl, pachyderm->password_secret, pachyderm->password_key,
                                 &database->password, &wrong))
            server->password = database->password;
        else if (wrong.kind != PB_ERROR_NOT_FOUND) { /* none under an IAM login */
            *error = wrong;
            return -1;
        }
    }
    uv_loop_t *loop = &session->loop;
    if (pb_database_server_version(loop, server, pachyderm->database_name, &database->version,
                                   error)) {
        if (!error->hint[0])
            pb_error_hint(error, "pbcopy speaks to the database itself: outside of the cluster, "
                                 "forward a port and give --database-host and --database-port");
        return -1;
    }
    return find_identity(session, options->identity_database, pachyderm, database, error) ||
                   check_client(loop, options->dump == PB_DUMP_ALL ? "pg_dumpall" : "pg_dump",
                                &database->version, error) ||
                   check_client(loop, "pg_restore", &database->version, error)
               ? -1
               : 0;
}

void pb_cluster_database_close(pb_cluster_database *database)
{
    if (database->password)
        pb_text_wipe(database->password);
    *database = (pb_cluster_database){0};
}

static int read_key(const pb_kubectl *kubectl, const char *key, const char **ret_value,
                    pb_error *error)
{
    char *value;
    if (!key[0])
        return 0;
    if (pb_pachyderm_secret(kubectl, PB_STORAGE_SECRET, key, &value, error))
        return -1;
    if (value[0])
        *ret_value = value;
    else
        pb_text_wipe(value);
    return 0;
}

static int refuse_no_bucket(const pb_cluster_options *options, const pb_pachyderm *pachyderm,
                            pb_error *error)
{
    const char *path = pachyderm->storage_path;
    if (path[0]) {
        pb_error_set(error, PB_ERROR_USAGE,
                     "Pachyderm in namespace %s has no bucket (STORAGE_BACKEND=%s): its data lies "
                     "in directory %s of pachd's node (STORAGE_HOST_PATH)",
                     options->name_space, pachyderm->storage_backend, path);
        return pb_error_hint(error,
                             "run pbcopy where that directory is, and set `source` in pbcopy.yaml "
                             "to file://%s, or to where it is mounted",
                             path);
    }
    pb_error_set(error, PB_ERROR_USAGE,
                 "namespace %s does not say where its bucket is: expected STORAGE_URL at "
                 "Deployment pachd, secret " PB_STORAGE_SECRET ", or STORAGE_HOST_PATH",
                 options->name_space);
    return pb_error_hint(error, "name it: `source` in pbcopy.yaml, or SOURCE");
}

/* By name: an error of a URL would not say whose it is. */
static int refuse_azure(const pb_cluster_options *options, const pb_pachyderm *pachyderm,
                        pb_error *error)
{
    pb_error_set(error, PB_ERROR_USAGE,
                 "Pachyderm in namespace %s keeps its data in Azure Blob Storage (%.*s): pbcopy "
                 "has no driver for it",
                 options->name_space, (int)strcspn(pachyderm->storage_url, "?"),
                 pachyderm->storage_url);
    return pb_error_hint(error, "stores are s3://, gs:// and file://");
}

int pb_cluster_store_open(pb_session *session, const pb_cluster_options *options,
                          const pb_pachyderm *pachyderm, const char *url,
                          pb_cluster_store *ret_store, pb_error *error)
{
    *ret_store = (pb_cluster_store){.url = url ? url : pachyderm->storage_url};
    if (!ret_store->url[0])
        return refuse_no_bucket(options, pachyderm, error);
    if (!url && pb_layout_is_azure(pachyderm->storage_url))
        return refuse_azure(options, pachyderm, error);
    ret_store->is_own = !url || strcmp(url, pachyderm->storage_url) == 0;
    if (!ret_store->is_own)
        return 0;
    pb_kubectl kubectl = pb_cluster_kubectl(session, options);
    pb_store_keys *keys = &ret_store->keys;
    if (read_key(&kubectl, pachyderm->storage_id_key, &keys->access_key_id, error) ||
        read_key(&kubectl, pachyderm->storage_secret_key, &keys->secret_access_key, error) ||
        read_key(&kubectl, pachyderm->storage_token_key, &keys->session_token, error) ||
        read_key(&kubectl, pachyderm->storage_credential_key, &keys->google_credential, error)) {
        pb_cluster_store_free(ret_store);
        return -1;
    }
    ret_store->has_keys =
        (keys->access_key_id && keys->secret_access_key) || keys->google_credential;
    return 0;
}

int pb_cluster_store_explain(const pb_cluster_store *store, pb_error *error)
{
    pb_storage_provider provider;
    bool lacks_login = store->is_own && !store->has_keys &&
                       pb_layout_after_scheme(store->url, &provider) &&
                       (provider == PB_STORAGE_S3 || provider == PB_STORAGE_GOOGLE);
    if (!lacks_login || (error->kind != PB_ERROR_USAGE && !pb_failure_is_refusal(error->kind)))
        return -1;
    bool google = provider == PB_STORAGE_GOOGLE;
    pb_error_context(error,
                     "found no %s in secret " PB_STORAGE_SECRET " (pachd then goes by %s): "
                     "pbcopy needs a login of its own",
                     google ? "GOOGLE_CRED" : "keys of the bucket",
                     google ? "workload identity" : "a role");
    if (pb_failure_is_refusal(error->kind) && error->hint[0])
        return -1; /* of a clock, of a key that is disabled: it knows better */
    return pb_error_hint(
        error, google ? "in a pod: give its service account the rights of the bucket (workload "
                        "identity, docs/gke.md); from outside: GOOGLE_APPLICATION_CREDENTIALS or "
                        "PBCOPY_SOURCE_GOOGLE_CREDENTIALS, a credential file"
                      : "in a pod: give its service account a role with the rights of the bucket "
                        "(IRSA or EKS Pod Identity, docs/eks.md); from outside: AWS_PROFILE, or "
                        "PBCOPY_SOURCE_ACCESS_KEY_ID and PBCOPY_SOURCE_SECRET_ACCESS_KEY");
}

void pb_cluster_store_free(pb_cluster_store *store)
{
    const char *const values[] = {store->keys.access_key_id, store->keys.secret_access_key,
                                  store->keys.session_token, store->keys.google_credential};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i])
            pb_text_wipe((char *)values[i]);
    *store = (pb_cluster_store){0};
}
