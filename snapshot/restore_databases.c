#include "base/clock.h"
#include "cluster/pachyderm/layout.h"
#include "snapshot/agreement.h"
#include "snapshot/restore_steps.h"
#include <stdlib.h>

static int check_database(pb_restoring *self, const pb_artifact *artifact, pb_error *error)
{
    uv_loop_t *loop = &self->session->loop;
    const pb_database_server *server = &self->server;
    bool all = artifact->kind == PB_ARTIFACT_DUMP_ALL, empty = false;
    const char *database = all ? "postgres" : artifact->database;
    pb_database_version version, client;
    if (pb_database_client_version(loop, all ? "psql" : "pg_restore", &client, error) ||
        pb_database_server_version(loop, server, database, &version, error)) {
        if (error->kind == PB_ERROR_NOT_FOUND)
            pb_error_hint(error, "make it first, empty: createdb --owner=pachyderm %s", database);
        return -1;
    }
    if (atoi(version.text) < atoi(self->record->database_version)) {
        pb_error_set(error, PB_ERROR_USAGE,
                     "the dump is of PostgreSQL %s, and the server here is %s: older",
                     self->record->database_version, version.text);
        return pb_error_hint(error, "restore into a server of version %d or later",
                             atoi(self->record->database_version));
    }
    if (self->wanted->overwrite_database && !all)
        return 0;
    pb_error wrong = {0};
    if (all)
        database = self->record->database_name;
    if (pb_database_is_empty(loop, server, database, &empty, &wrong)) {
        if (all && wrong.kind == PB_ERROR_NOT_FOUND)
            return 0; /* pg_dumpall's script makes it */
        *error = wrong;
        return -1;
    }
    if (empty && !all)
        return 0;
    pb_error_set(error, PB_ERROR_USAGE, "database %s is %s", database,
                 empty ? "there already" : "not empty");
    return pb_error_hint(error, all ? "drop it first: the script of pg_dumpall makes it"
                                    : "name a server with empty databases, or say "
                                      "--overwrite-database to drop what is in them");
}

/* What keeps commands out of psql is then one reader alone, and somebody should know. */
static int check_psql(pb_restoring *self, pb_error *error)
{
    pb_database_version psql;
    if (pb_database_client_version(&self->session->loop, "psql", &psql, error))
        return -1;
    if (!pb_database_can_restrict(&psql))
        pb_session_note(self->session,
                        "psql %s does not know \\restrict: that a dump's script holds no commands "
                        "of psql is checked by pbcopy alone; install a newer minor version where "
                        "others can write to the repository",
                        psql.text);
    return 0;
}

/* Is it the one that pachd uses? Its server may have another name here, or a forwarded port: then
 * somebody who is connected shows it. */
static int find_use(pb_restoring *self, const char *database, bool is_up, pb_error *error)
{
    const pb_pachyderm *there = &self->there;
    const pb_database_server *server = &self->server;
    bool in_use = server->host && strcmp(server->host, there->database_host) == 0 &&
                  (server->port ? server->port : PB_DATABASE_PORT) == there->database_port;
    if (!in_use && is_up &&
        pb_database_is_in_use(&self->session->loop, server, database, &in_use, error))
        return -1;
    self->uses_databases |= in_use;
    if (!in_use && is_up)
        pb_session_note(self->session,
                        "Pachyderm in namespace %s is up, and does not seem to use database %s, "
                        "which the restore drops: its own is at %s:%llu, and nobody is connected "
                        "to this one",
                        self->cluster->name_space, database, there->database_host,
                        (unsigned long long)there->database_port);
    return 0;
}

/* Nothing is dropped under a Pachyderm that runs in the namespace, or that somebody has suspended
 * and will resume. */
static int find_uses(pb_restoring *self, pb_error *error)
{
    bool is_up = false;
    pb_suspension suspension = {0};
    pb_error wrong = {0};
    if (!self->has_pachyderm || !self->wanted->overwrite_database ||
        self->cluster->dump != PB_DUMP_DATABASES)
        return 0;
    if (!pb_suspension_find(&self->kubectl, &suspension, &wrong)) {
        self->uses_databases = true;
        pb_suspension_free(&suspension);
        return 0;
    }
    if (wrong.kind != PB_ERROR_NOT_FOUND) {
        *error = wrong;
        return -1;
    }
    for (size_t i = 0; i < self->there.writers.count; i++)
        is_up |= self->there.writers.items[i].replicas > 0;
    for (size_t i = 0; i < self->record->artifact_count; i++)
        if (pb_artifact_is_dump(&self->record->artifacts[i]) &&
            find_use(self, self->record->artifacts[i].database, is_up, error))
            return -1;
    return 0;
}

static int check_each(pb_restoring *self, pb_error *error)
{
    for (size_t i = 0; i < self->record->artifact_count; i++)
        if (pb_artifact_is_dump(&self->record->artifacts[i]) &&
            check_database(self, &self->record->artifacts[i], error))
            return -1;
    return 0;
}

/* ---- a server that the restore makes ---- */

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && value[0];
}

/* It listens where pachd is to find it, with the password of its secret, unless the options or
 * libpq's own variables say otherwise: a forwarded port. */
static void find_server(pb_restoring *self)
{
    const pb_pachyderm *restored = &self->restored;
    pb_database_server *server = &self->server;
    if (!self->first)
        return;
    if (!server->host && !is_set("PGHOST") && !is_set("PGHOSTADDR") && !is_set("PGSERVICE")) {
        server->host = restored->database_host;
        if (!server->port && !is_set("PGPORT"))
            server->port = restored->database_port;
    }
    if (!server->user && !is_set("PGUSER") && restored->database_user[0])
        server->user = restored->database_user;
    if (!is_set("PGPASSWORD"))
        server->password = self->password;
}

static bool makes_server(const pb_restoring *self)
{
    return self->first && !self->has_pachyderm;
}

int pb_restoring_check_databases(pb_restoring *self, pb_error *error)
{
    pb_database_version client;
    self->server = self->cluster->database;
    if (self->cluster->dump == PB_DUMP_NONE)
        return 0;
    find_server(self);
    if (check_psql(self, error))
        return -1;
    if (makes_server(self))
        return pb_database_client_version(&self->session->loop, "pg_restore", &client, error);
    return check_each(self, error) || find_uses(self, error) ? -1 : 0;
}

/* Until it answers. */
static int await_answer(pb_restoring *self, const char *name, pb_error *error)
{
    enum { LOOK_MS = 2000 };
    int64_t until_ms = pb_clock_monotonic_ms() + self->cluster->wait_ms;
    for (;;) {
        pb_database_version version;
        pb_error wrong = {0};
        if (!pb_database_server_version(&self->session->loop, &self->server, "postgres", &version,
                                        &wrong))
            return 0;
        if (wrong.kind != PB_ERROR_UNREACHABLE || pb_clock_monotonic_ms() > until_ms) {
            *error = wrong;
            pb_error_context(error, "waiting for %s", name);
            return wrong.kind == PB_ERROR_UNREACHABLE
                       ? pb_error_hint(error, "outside of the cluster, forward its port (`kubectl "
                                              "port-forward`), give --database-host and "
                                              "--database-port, and run the restore again")
                       : -1;
        }
        pb_restoring_tell_waiting(self->session, name);
        if (pb_kubectl_rest(&self->kubectl, LOOK_MS, error))
            return -1;
    }
}

int pb_restoring_await_server(pb_restoring *self, pb_error *error)
{
    const pb_database_server *server = &self->server;
    pb_buffer name = {0};
    pb_buffer_append_format(&name, "the PostgreSQL server of namespace %s at %s:%llu",
                            self->cluster->name_space, server->host ? server->host : "libpq's host",
                            (unsigned long long)(server->port ? server->port : PB_DATABASE_PORT));
    int failed =
        await_answer(self, name.data, error) || (makes_server(self) && check_each(self, error));
    pb_buffer_free(&name);
    return failed ? -1 : 0;
}

/* ---- the dumps ---- */

static int restore_database(pb_restoring *self, const pb_artifact *artifact, pb_error *error)
{
    const char *pachyderm = self->record->database_name;
    bool has_chunks =
        artifact->kind == PB_ARTIFACT_DUMP_ALL || strcmp(artifact->database, pachyderm) == 0;
    pb_chunk_sort *sort = NULL;
    const pb_undump_options options = {
        .server = self->server,
        .database = artifact->kind == PB_ARTIFACT_DUMP_ALL ? pachyderm : artifact->database,
        .clean = self->wanted->overwrite_database,
        .changes = &self->has_changed,
        .identity = self->cluster->identity,
    };
    if (has_chunks &&
        pb_chunk_sort_start(&self->session->loop, pb_session_scratch(self->session), &sort, error))
        return -1;
    int failed = pb_artifact_undump(&self->repository, self->file.id, artifact, &options, sort,
                                    pb_restoring_confirm, self, error);
    uint64_t needed, missing = 0;
    if (!failed && sort) {
        pb_chunk_sort_end(sort);
        failed = pb_agreement_check(&self->repository, &self->file, sort, &needed, &missing, error);
    }
    if (!failed && missing)
        failed = pb_error_set(error, PB_ERROR_DAMAGED,
                              "the restored database needs %llu chunks that the snapshot has not",
                              (unsigned long long)missing);
    pb_chunk_sort_free(sort);
    self->result->databases += !failed;
    return failed;
}

int pb_restoring_restore_databases(pb_restoring *self, pb_error *error)
{
    if (self->cluster->dump == PB_DUMP_NONE)
        return 0;
    pb_session_phase(self->session, "restoring databases");
    for (size_t i = 0; i < self->record->artifact_count; i++)
        if (pb_artifact_is_dump(&self->record->artifacts[i]) &&
            restore_database(self, &self->record->artifacts[i], error))
            return -1;
    return 0;
}
