/* A dump that is tried out: what pg_dump would find out only while the cluster is suspended. */
#include "cluster/database/server.h"
#include "cluster/process/child.h"
#include <stdlib.h>

enum { DEADLINE_MS = 5 * 60 * 1000 };

/* pg_dump locks tables before it reads them, and says so of the first that it may not lock.
 * Sequences and large objects it reads late: what may not be read is asked for here, all of it. Of
 * an extension's tables only those are dumped that it declares. */
static const char unreadable[] =
    "WITH unreadable AS ("
    "SELECT CASE c.relkind WHEN 'S' THEN 'sequence ' ELSE 'table ' END || "
    "quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name "
    "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' "
    "AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d "
    "WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.oid = d.refobjid "
    "AND c.oid = ANY (e.extconfig))) "
    "AND NOT (has_schema_privilege(n.oid, 'USAGE') AND CASE c.relkind "
    "WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') "
    "ELSE has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid) END) "
    "UNION ALL "
    "SELECT 'large object ' || m.oid FROM pg_catalog.pg_largeobject_metadata m "
    "WHERE NOT (pg_has_role(m.lomowner, 'USAGE') "
    "OR current_setting('lo_compat_privileges')::boolean "
    "OR EXISTS (SELECT FROM aclexplode(m.lomacl) a WHERE a.privilege_type = 'SELECT' "
    "AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE'))) "
    /* From 19 on it is for large objects as well. */
    "OR (current_setting('server_version_num')::integer >= 190000 "
    "AND EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = 'pg_read_all_data' "
    "AND pg_has_role(r.oid, 'USAGE'))))) "
    "SELECT count(*) || ' ' || coalesce((SELECT string_agg(name, ', ') FROM "
    "(SELECT name FROM unreadable ORDER BY name LIMIT 3) AS named), '') FROM unreadable";

/* As pg_dumpall chooses them. */
static const char databases[] =
    "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn ORDER BY datname";

static int hint_of_rights(pb_error *error)
{
    return pb_error_hint(error, "GRANT pg_read_all_data TO the user (PostgreSQL 14 or later), or "
                                "let --database-user name the owner of all of it");
}

static int refuse_unreadable(uv_loop_t *loop, const pb_database_server *server,
                             const char *database, pb_error *error)
{
    pb_buffer answer = {0};
    if (pb_database_ask(loop, server, database, unreadable, &answer, error)) {
        pb_buffer_free(&answer);
        return -1;
    }
    char *names;
    unsigned long long count = strtoull(answer.data, &names, 10);
    answer.data[strcspn(answer.data, "\n")] = 0;
    if (count)
        pb_error_set(error, PB_ERROR_REFUSED,
                     "database %s: permission denied for %llu of the objects that pg_dump reads: "
                     "%s%s",
                     database, count, names + (*names == ' '), count > 3 ? ", ..." : "");
    pb_buffer_free(&answer);
    return count ? hint_of_rights(error) : 0;
}

static int refuse_unreadable_in_all(uv_loop_t *loop, const pb_database_server *server,
                                    const char *first, pb_error *error)
{
    pb_buffer names = {0};
    int failed = pb_database_ask(loop, server, first, databases, &names, error);
    char *name = names.data;
    while (!failed && name && *name) {
        char *end = name + strcspn(name, "\n");
        bool more = *end;
        *end = 0;
        failed = refuse_unreadable(loop, server, name, error);
        name = more ? end + 1 : NULL;
    }
    pb_buffer_free(&names);
    return failed;
}

int pb_dump_rehearse(uv_loop_t *loop, const pb_database_server *server, pb_artifact_kind kind,
                     const char *database, const atomic_bool *cancelled, pb_error *error)
{
    bool all = kind == PB_ARTIFACT_DUMP_ALL;
    const char *const arguments[] = {all ? "pg_dumpall" : "pg_dump", "--schema-only",
                                     PB_DATABASE_LOCK_WAIT, NULL};
    if (all ? refuse_unreadable_in_all(loop, server, database, error)
            : refuse_unreadable(loop, server, database, error))
        return -1;
    int failed = pb_database_run(loop, server, all ? NULL : database, arguments, DEADLINE_MS,
                                 cancelled, 0, NULL, error);
    if (failed &&
        (strstr(error->message, "permission denied") || strstr(error->message, "must be")))
        hint_of_rights(error);
    return failed ? pb_error_context(error, "%s --schema-only of %s", arguments[0],
                                     all ? "the server" : database)
                  : 0;
}
