/* What is asked of PostgreSQL. */
#include "snapshot/job.h"
#include "snapshot/rehearsal.h"

static void check_dump(pb_rehearsal *self, pb_artifact_kind kind, const char *database)
{
    pb_session *session = self->session;
    pb_buffer name = {0};
    pb_error error = {0};
    if (session->cancelled)
        return;
    pb_buffer_append_format(&name, "dump of %s",
                            kind == PB_ARTIFACT_DUMP_ALL ? "all databases" : database);
    if (pb_dump_rehearse(&session->loop, &self->database.server, kind, database,
                         &session->cancelled, &error))
        pb_rehearsal_fail(self, name.data, &error);
    else
        pb_rehearsal_pass(self, name.data, "all of it may be read");
    pb_buffer_free(&name);
}

void pb_rehearse_database(pb_rehearsal *self)
{
    pb_cluster_database *database = &self->database;
    pb_error error = {0};
    if (self->cluster->dump == PB_DUMP_NONE || !self->has_pachyderm ||
        self->lacks_database_programs || self->session->cancelled)
        return;
    const char *name = self->pachyderm.database_name;
    if (pb_cluster_database_open(self->session, self->cluster, &self->pachyderm, database,
                                 &error)) {
        pb_rehearsal_fail(self, "database", &error);
        return;
    }
    pb_rehearsal_pass(self, "database", "PostgreSQL %s at %s: %s, and %s%s", database->version.text,
                      database->server.host ? database->server.host : "the default place", name,
                      database->identity[0] ? "of logins " : "none of logins", database->identity);
    if (self->cluster->dump == PB_DUMP_ALL) {
        check_dump(self, PB_ARTIFACT_DUMP_ALL, name);
        return;
    }
    check_dump(self, PB_ARTIFACT_DUMP, name);
    if (database->identity[0] && strcmp(database->identity, name) != 0)
        check_dump(self, PB_ARTIFACT_DUMP, database->identity);
}
