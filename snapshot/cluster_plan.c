#include "snapshot/cluster_plan.h"

#include "cluster/boundary/restore_policy.h"
#include "cluster/kubernetes/object.h"
#include <stdio.h>

static void tell_snapshot(pb_session *session, const pb_cluster_plan *plan)
{
    const pb_cluster_record *record = plan->file->cluster;
    pb_session_note(session, "plan: snapshot %s of namespace %s%s%s, source %s", plan->file->id,
                    record->name_space, record->pachyderm_version[0] ? ", Pachyderm " : "",
                    record->pachyderm_version, plan->file->source);
    pb_session_note(session, "plan: its objects go into %s; the restored Pachyderm uses %s",
                    plan->destination, plan->bucket);
}

static void tell_databases(pb_session *session, const pb_cluster_plan *plan)
{
    const pb_database_server *server = plan->server;
    const pb_cluster_record *record = plan->file->cluster;
    char port[24] = "";
    if (server->port)
        snprintf(port, sizeof port, ":%llu", (unsigned long long)server->port);
    for (size_t i = 0; i < record->artifact_count && plan->cluster->dump != PB_DUMP_NONE; i++) {
        const pb_artifact *artifact = &record->artifacts[i];
        bool all = artifact->kind == PB_ARTIFACT_DUMP_ALL;
        if (!pb_artifact_is_dump(artifact))
            continue;
        pb_session_note(session, "plan: %s%s from %s%s into the server at %s%s as %s%s",
                        all ? "all databases and roles" : "database ",
                        all ? "" : artifact->database, artifact->path,
                        artifact->encrypted ? "" : " (not encrypted)",
                        server->host ? server->host : "libpq's own host", port,
                        server->user ? server->user : "libpq's own user",
                        plan->overwrites_database && !all ? "; what it holds is dropped" : "");
    }
}

/* Whatever it is about the object; "" where it is an ordinary one. */
static const char *remark_on(const pb_cluster_plan *plan, const json_t *object)
{
    const char *why = NULL;
    /* Its namespace is edited by now. */
    const char *name_space = pb_object_text(object, "metadata.namespace");
    pb_policy_object(object, name_space, plan->kinds, &why);
    return why ? why : "";
}

static void tell_object(pb_session *session, const pb_cluster_plan *plan, const json_t *object,
                        bool whole)
{
    const char *remark = remark_on(plan, object);
    const json_t *replicas = json_object_get(json_object_get(object, "spec"), "replicas");
    char count[48] = "";
    if (!whole && !remark[0])
        return;
    if (json_is_integer(replicas))
        snprintf(count, sizeof count, ", scaled to %lld", (long long)json_integer_value(replicas));
    pb_session_note(session, "plan: apply %s/%s%s%s%s", pb_object_kind(object),
                    pb_object_name(object), count, remark[0] ? ": --allow-privileged, as it " : "",
                    remark);
}

static void tell_left_out(pb_session *session, const pb_cluster_plan *plan)
{
    const json_t *object;
    size_t i;
    json_array_foreach(plan->left_out, i, object)
    {
        pb_session_note(session, "plan: leave out %s/%s: it %s", pb_object_kind(object),
                        pb_object_name(object), remark_on(plan, object));
    }
    if (json_array_size(plan->left_out))
        pb_session_note(session, "plan: pachd needs its Roles and RoleBindings to start workers: "
                                 "say --allow-privileged if you trust all who write to the "
                                 "repository, or make them with helm");
}

static void tell_rights(pb_session *session, const pb_cluster_plan *plan)
{
    const json_t *object;
    size_t i;
    json_array_foreach(plan->rights, i, object)
    {
        pb_session_note(
            session, "plan: %s %s/%s: %s%s", plan->applies_rights ? "create" : "leave out",
            pb_object_kind(object), pb_object_name(object),
            plan->applies_rights ? "--allow-privileged, as it " : "it ", PB_POLICY_RIGHTS_REMARK);
    }
}

/* What runs in the namespace by now. */
static void tell_suspension(pb_session *session, const pb_cluster_plan *plan)
{
    const pb_workloads *writers = plan->suspended;
    for (size_t i = 0; writers && i < writers->count; i++)
        if (writers->items[i].replicas)
            pb_session_note(session, "plan: suspend %s/%s, which has %llu replicas",
                            writers->items[i].kind, writers->items[i].name,
                            (unsigned long long)writers->items[i].replicas);
}

static void tell_kubernetes(pb_session *session, const pb_cluster_plan *plan, bool whole)
{
    const pb_cluster_record *record = plan->file->cluster;
    const json_t *object;
    size_t i;
    if (whole && plan->objects)
        pb_session_note(session, "plan: namespace %s gets %zu Kubernetes objects", plan->name_space,
                        json_array_size(plan->objects));
    else if (whole && plan->takes_kubernetes)
        pb_session_note(session, "plan: namespace %s gets what Velero's Backup %s holds",
                        plan->name_space, record->velero_backup);
    else if (whole)
        pb_session_note(session, "plan: no Kubernetes objects");
    json_array_foreach(plan->objects, i, object)
    {
        tell_object(session, plan, object, whole);
    }
    tell_left_out(session, plan);
    tell_rights(session, plan);
}

void pb_cluster_plan_tell(pb_session *session, const pb_cluster_plan *plan, bool whole)
{
    if (whole) {
        tell_snapshot(session, plan);
        tell_suspension(session, plan);
        if (plan->first)
            pb_session_note(session, "plan: the PostgreSQL server of namespace %s comes first",
                            plan->name_space);
        tell_databases(session, plan);
    }
    tell_kubernetes(session, plan, whole);
    if (whole && plan->address)
        pb_session_note(session, "plan: pachctl's context points to %s", plan->address);
}
