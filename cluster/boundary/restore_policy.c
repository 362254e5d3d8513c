#include "cluster/boundary/restore_policy.h"

#include "cluster/kubernetes/capture.h"
#include "cluster/kubernetes/object.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- dumps and captures ---- */

static int refuse_kind(const pb_artifact *artifact, pb_error *error)
{
    bool all = artifact->kind == PB_ARTIFACT_DUMP_ALL;
    pb_error_set(error, PB_ERROR_USAGE,
                 "%s is a dump of %s, and --dump %s was asked for: snapshot.json alone does not "
                 "choose what psql gets",
                 artifact->path, all ? "a whole server by pg_dumpall" : "one database by pg_dump",
                 all ? "databases" : "all");
    return pb_error_hint(error, "say --dump %s if that is how the backup was made, or --dump none",
                         all ? "all" : "databases");
}

static int refuse_plaintext(const pb_artifact *artifact, pb_error *error)
{
    pb_error_set(error, PB_ERROR_USAGE,
                 "%s is not encrypted, though --identity is given: whoever can write to the "
                 "repository can have put it there",
                 artifact->path);
    return pb_error_hint(error, "say --plaintext if the backup was made with --plaintext, and you "
                                "trust all who write to the repository");
}

static int check_artifact(const pb_restore_policy *policy, const pb_artifact *artifact,
                          pb_error *error)
{
    if (!pb_artifact_is_dump(artifact)) {
        if (!policy->takes_objects)
            return 0;
    } else {
        if (!policy->takes_databases && !policy->takes_server)
            return 0;
        if (!(artifact->kind == PB_ARTIFACT_DUMP_ALL ? policy->takes_server
                                                     : policy->takes_databases))
            return refuse_kind(artifact, error);
    }
    if (policy->has_identity && !artifact->encrypted && !policy->plaintext)
        return refuse_plaintext(artifact, error);
    return 0;
}

int pb_policy_check_record(const pb_restore_policy *policy, const pb_cluster_record *record,
                           pb_error *error)
{
    for (size_t i = 0; i < record->artifact_count; i++)
        if (check_artifact(policy, &record->artifacts[i], error))
            return -1;
    return 0;
}

/* ---- Kubernetes objects ---- */

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

/* Where a version is "GROUP/VERSION", or "v1" of the group without a name. */
static void append_kind(pb_buffer *buffer, pb_slice version, pb_slice kind)
{
    const char *slash = memchr(version.data, '/', version.size);
    pb_buffer_append(buffer, version.data, slash ? (size_t)(slash - version.data) : 0);
    pb_buffer_append_char(buffer, '/');
    pb_buffer_append_slice(buffer, kind);
}

/* NAME [SHORT NAMES] APIVERSION NAMESPACED KIND; empty columns are blanks. */
static void take_kind(pb_slice line, json_t *kinds)
{
    pb_slice fields[3] = {{NULL, 0}};
    size_t end = line.size;
    for (size_t i = COUNT(fields); i-- > 0;) {
        while (end && line.data[end - 1] == ' ')
            end--;
        size_t start = end;
        while (start && line.data[start - 1] != ' ')
            start--;
        fields[i] = (pb_slice){line.data + start, end - start};
        end = start;
    }
    if (!end || !pb_slice_equal(fields[1], PB_SLICE_LITERAL("true")))
        return;
    pb_buffer name = {0};
    append_kind(&name, fields[0], fields[2]);
    json_object_set_new(kinds, name.data, json_true());
    pb_buffer_free(&name);
}

json_t *pb_policy_kinds(pb_slice answer)
{
    json_t *kinds = json_object();
    while (answer.size) {
        const char *end = memchr(answer.data, '\n', answer.size);
        size_t size = end ? (size_t)(end - answer.data) : answer.size;
        take_kind((pb_slice){answer.data, size}, kinds);
        answer.data += size + (end != NULL);
        answer.size -= size + (end != NULL);
    }
    return kinds;
}

/* kubectl takes any object with `items` for a list, and some versions of it tell no case apart. */
static bool is_disguised(const json_t *object)
{
    static const char *const names[] = {"apiVersion", "kind", "metadata"};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        if (strcasecmp(name, "items") == 0)
            return true;
        for (size_t i = 0; i < COUNT(names); i++)
            if (strcasecmp(name, names[i]) == 0 && strcmp(name, names[i]) != 0)
                return true;
    }
    return false;
}

/* Known to be of the whole cluster, whatever a cluster says of its kinds. */
static bool is_of_cluster(const char *kind)
{
    static const char *const kinds[] = {
        "APIService",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "CSIDriver",
        "CSINode",
        "CustomResourceDefinition",
        "FlowSchema",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PodSecurityPolicy",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "RuntimeClass",
        "SecurityContextConstraints",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
    };
    return is_one_of(kind, kinds, COUNT(kinds));
}

/* What a member of a pod, wherever in the object it is, has to do with the host. */
static const char *reach_of(const char *name, const json_t *value)
{
    static const struct {
        const char *name, *why;
    } flags[] = {
        {"hostNetwork", "uses the host's network (hostNetwork)"},
        {"hostPID", "sees the host's processes (hostPID)"},
        {"hostIPC", "shares the host's memory (hostIPC)"},
        {"privileged", "has a privileged container"},
        {"hostProcess", "runs processes of the host (hostProcess)"},
    };
    if (strcasecmp(name, "hostPath") == 0 && json_is_object(value))
        return "mounts a directory of the host (hostPath)";
    for (size_t i = 0; i < COUNT(flags); i++)
        if (strcasecmp(name, flags[i].name) == 0 && json_is_true(value))
            return flags[i].why;
    if (strcasecmp(name, "capabilities") == 0 &&
        json_array_size(json_object_get(value, "add")) > 0) {
        static const char *const harmless[] = {"NET_BIND_SERVICE", "CHOWN", "SETUID", "SETGID"};
        const json_t *added = json_object_get(value, "add"), *one;
        size_t i;
        json_array_foreach(added, i, one)
        {
            const char *text = json_string_value(one);
            if (!text || !is_one_of(text, harmless, COUNT(harmless)))
                return "has a container with capabilities of the host's root";
        }
    }
    return NULL;
}

/* Everywhere, as kinds of operators hold pods too. */
static const char *find_reach(const json_t *value)
{
    const char *name, *why = NULL;
    json_t *member;
    size_t i;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, name, member)
        {
            if (!why)
                why = reach_of(name, member);
            if (!why)
                why = find_reach(member);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            if (!why)
                why = find_reach(member);
        }
    }
    return why;
}

pb_object_verdict pb_policy_object(const json_t *object, const char *name_space,
                                   const json_t *kinds, const char **ret_why)
{
    static const char *const grants[] = {"Role", "RoleBinding"};
    const char *kind = pb_object_kind(object);
    const char *there = pb_object_text(object, "metadata.namespace");
    pb_buffer name = {0};
    append_kind(&name, pb_slice_of(pb_object_text(object, "apiVersion")), pb_slice_of(kind));
    bool is_known = json_object_get(kinds, name.data) != NULL;
    pb_buffer_free(&name);
    pb_object_verdict verdict = PB_OBJECT_FORBIDDEN;
    if (is_disguised(object)) {
        *ret_why = "is a list in disguise";
    } else if (is_of_cluster(kind)) {
        *ret_why = "is of the whole cluster, and not of a namespace";
    } else if (!is_known) {
        *ret_why = "is of a kind that this cluster does not have in namespaces";
        verdict = PB_OBJECT_UNKNOWN;
    } else if (*there && strcmp(there, name_space) != 0) {
        *ret_why = "is of another namespace";
    } else if (is_one_of(kind, grants, COUNT(grants))) {
        *ret_why = "gives rights in the namespace";
        verdict = PB_OBJECT_GRANTS;
    } else {
        *ret_why = find_reach(object);
        verdict = *ret_why ? PB_OBJECT_REACHES : PB_OBJECT_ORDINARY;
    }
    return verdict;
}

static int refuse_object(const json_t *object, const char *why, pb_object_verdict verdict,
                         pb_error *error)
{
    bool is_forbidden = verdict == PB_OBJECT_FORBIDDEN;
    pb_error_set(error, is_forbidden ? PB_ERROR_DAMAGED : PB_ERROR_USAGE,
                 "%s/%s of the capture %s%s", pb_object_kind(object), pb_object_name(object), why,
                 is_forbidden ? ": no capture of a namespace holds such" : "");
    if (is_forbidden)
        return pb_error_hint(error, "whoever can write to the repository can have put it there: "
                                    "find out who, and restore an older snapshot");
    if (verdict == PB_OBJECT_UNKNOWN)
        return pb_error_hint(error, "install what has this kind first, or leave Kubernetes objects "
                                    "out with --kubernetes none");
    return pb_error_hint(error, "say --allow-privileged if the cluster that was backed up has it, "
                                "and you trust all who write to the repository");
}

int pb_policy_filter(json_t *objects, const char *name_space, const json_t *kinds,
                     bool allow_privileged, json_t *left_out, pb_error *error)
{
    for (size_t i = 0; i < json_array_size(objects);) {
        json_t *object = json_array_get(objects, i);
        const char *why;
        pb_object_verdict verdict = pb_policy_object(object, name_space, kinds, &why);
        if (verdict == PB_OBJECT_FORBIDDEN || verdict == PB_OBJECT_UNKNOWN ||
            (verdict == PB_OBJECT_REACHES && !allow_privileged))
            return refuse_object(object, why, verdict, error);
        if (verdict == PB_OBJECT_GRANTS && !allow_privileged) {
            json_array_append(left_out, object);
            json_array_remove(objects, i);
        } else {
            i++;
        }
    }
    return 0;
}

static bool is_right(const json_t *object, const char *name_space)
{
    const json_t *subjects = json_object_get(object, "subjects"), *subject;
    size_t i;
    if (is_disguised(object) ||
        strncmp(pb_object_text(object, "apiVersion"), "rbac.authorization.k8s.io/", 26) != 0)
        return false;
    if (strcmp(pb_object_kind(object), "ClusterRole") == 0)
        return !pb_capture_is_aggregated(object);
    json_array_foreach(subjects, i, subject)
    {
        if (!pb_capture_is_account_of(subject, name_space))
            return false;
    }
    return strcmp(pb_object_kind(object), "ClusterRoleBinding") == 0;
}

int pb_policy_check_rights(const json_t *rights, const char *name_space, pb_error *error)
{
    const json_t *object;
    size_t i;
    json_array_foreach(rights, i, object)
    {
        if (is_right(object, name_space))
            continue;
        pb_error_set(error, PB_ERROR_DAMAGED,
                     "%s/%s of the captured rights is neither a ClusterRole nor a "
                     "ClusterRoleBinding of accounts of namespace %s alone",
                     pb_object_kind(object), pb_object_name(object), name_space);
        return pb_error_hint(error, "whoever can write to the repository can have put it there: "
                                    "find out who, and restore an older snapshot");
    }
    return 0;
}

/* ---- backslash commands ---- */

static bool take(pb_slice *text, const char *start)
{
    pb_slice wanted = pb_slice_of(start);
    if (!pb_slice_starts_with(*text, wanted))
        return false;
    text->data += wanted.size;
    text->size -= wanted.size;
    return true;
}

/* What pg_dumpall writes without quotes in a connection string. */
static bool is_plain(pb_slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!isalnum((unsigned char)text.data[i]) && text.data[i] != '_' && text.data[i] != '.')
            return false;
    return text.size > 0;
}

/* dbname=NAME or dbname='NAME' to the end: another member might name another server. `"` is
 * doubled, as all stands in such quotes. */
static bool is_database_alone(pb_slice text)
{
    if (!take(&text, "dbname="))
        return false;
    if (is_plain(text))
        return true;
    if (text.size < 3 || text.data[0] != '\'' || text.data[text.size - 1] != '\'')
        return false;
    for (size_t i = 1; i < text.size - 1; i++) {
        char c = text.data[i];
        if (c == '\'')
            return false;
        if (c == '\\' || c == '"') {
            char next = text.data[++i];
            if (i == text.size - 1 || (c == '"' ? next != '"' : next != '\\' && next != '\''))
                return false;
        }
    }
    return true;
}

static bool is_connect(pb_slice text)
{
    bool reuses = take(&text, "-reuse-previous=on ");
    bool quoted = text.size > 2 && text.data[0] == '"' && text.data[text.size - 1] == '"';
    pb_slice inner = quoted ? (pb_slice){text.data + 1, text.size - 2} : text;
    return reuses ? quoted && is_database_alone(inner) : is_plain(inner);
}

pb_meta_command pb_policy_meta_command(pb_slice line)
{
    for (size_t i = 0; i < line.size; i++)
        if (iscntrl((unsigned char)line.data[i]))
            return PB_META_REFUSED;
    if (take(&line, "\\connect "))
        return is_connect(line) ? PB_META_CONNECT : PB_META_REFUSED;
    if (!take(&line, "\\restrict ") && !take(&line, "\\unrestrict "))
        return PB_META_REFUSED;
    return is_plain(line) ? PB_META_RESTRICT : PB_META_REFUSED;
}

/* ---- statements ---- */

static void skip_blanks(pb_slice *text)
{
    while (text->size && isspace((unsigned char)text->data[0])) {
        text->data++;
        text->size--;
    }
}

static bool is_name_part(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80);
}

static bool take_sign(pb_slice *text, char sign)
{
    skip_blanks(text);
    if (!text->size || text->data[0] != sign)
        return false;
    text->data++;
    text->size--;
    return true;
}

/* A name, or a "name" with each quote in it doubled. */
static bool take_name(pb_slice *text)
{
    size_t size = 0;
    if (!take_sign(text, '"')) {
        while (size < text->size && is_name_part(text->data[size]))
            size++;
        text->data += size;
        text->size -= size;
        return size > 0;
    }
    while (text->size) {
        const char *end = memchr(text->data, '"', text->size);
        if (!end)
            return false;
        size_t taken = (size_t)(end - text->data) + 1;
        text->data += taken;
        text->size -= taken;
        if (!text->size || text->data[0] != '"')
            return true;
        text->data++;
        text->size--;
    }
    return false;
}

static bool take_word(pb_slice *text, const char *word)
{
    size_t size = strlen(word);
    skip_blanks(text);
    if (text->size < size || strncasecmp(text->data, word, size) != 0 ||
        (text->size > size && is_name_part(text->data[size])))
        return false;
    text->data += size;
    text->size -= size;
    return true;
}

static bool takes_rows(pb_slice text)
{
    if (!take_name(&text) || (take_sign(&text, '.') && !take_name(&text)))
        return false;
    if (take_sign(&text, '(')) {
        do
            if (!take_name(&text))
                return false;
        while (take_sign(&text, ','));
        if (!take_sign(&text, ')'))
            return false;
    }
    if (!take_word(&text, "FROM") || !take_word(&text, "stdin"))
        return false;
    skip_blanks(&text);
    return !text.size;
}

pb_statement pb_policy_statement(pb_slice text)
{
    if (!take_word(&text, "COPY"))
        return PB_STATEMENT_OTHER;
    return takes_rows(text) ? PB_STATEMENT_ROWS : PB_STATEMENT_REFUSED;
}
