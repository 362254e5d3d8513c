#include "cluster/boundary/restore_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/quoted_json.h"
#include <cmocka.h>

/* A record with one artifact. */
static int check(const pb_restore_policy *policy, pb_artifact_kind kind, bool encrypted,
                 pb_error *error)
{
    pb_artifact artifact = {.kind = kind, .path = (char *)"database/x", .encrypted = encrypted};
    const pb_cluster_record record = {.artifacts = &artifact, .artifact_count = 1};
    *error = (pb_error){0};
    return pb_policy_check_record(policy, &record, error);
}

static void a_kind_of_dump_that_was_not_asked_for_is_refused(void **state)
{
    (void)state;
    pb_error error;
    pb_restore_policy policy = {.takes_databases = true, .takes_objects = true};
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP, false, &error), 0);
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP_ALL, true, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.message, "database/x is a dump of a whole server by pg_dumpall"));
    assert_non_null(strstr(error.hint, "--dump all"));
    policy = (pb_restore_policy){.takes_server = true, .takes_objects = true};
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP_ALL, false, &error), 0);
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP, true, &error), -1);
    assert_non_null(strstr(error.hint, "--dump databases"));
    policy = (pb_restore_policy){.takes_objects = true, .has_identity = true};
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP_ALL, false, &error), 0);
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP, false, &error), 0);
}

static void plaintext_is_refused_where_an_identity_is_given(void **state)
{
    (void)state;
    static const pb_artifact_kind kinds[] = {PB_ARTIFACT_DUMP, PB_ARTIFACT_OBJECTS};
    pb_error error;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        pb_restore_policy policy = {
            .takes_databases = true, .takes_objects = true, .has_identity = true};
        assert_int_equal(check(&policy, kinds[i], true, &error), 0);
        assert_int_equal(check(&policy, kinds[i], false, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_non_null(strstr(error.message, "database/x is not encrypted"));
        assert_non_null(strstr(error.hint, "--plaintext"));
        policy.plaintext = true;
        assert_int_equal(check(&policy, kinds[i], false, &error), 0);
        policy = (pb_restore_policy){.takes_databases = true, .takes_objects = true};
        assert_int_equal(check(&policy, kinds[i], false, &error), 0);
    }
    /* What is not read is not judged. */
    const pb_restore_policy without = {.takes_databases = true, .has_identity = true};
    assert_int_equal(check(&without, PB_ARTIFACT_OBJECTS, false, &error), 0);
}

#define API "\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\",\"namespace\":\"n\"}"
#define APPS "\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"x\",\"namespace\":\"n\"}"
#define RBAC                                                                                       \
    "\"apiVersion\":\"rbac.authorization.k8s.io/"                                                  \
    "v1\",\"metadata\":{\"name\":\"x\",\"namespace\":\"n\"}"
#define POD(spec) "{\"kind\":\"Deployment\"," APPS ",\"spec\":{\"template\":{\"spec\":{" spec "}}}}"

static json_t *known_kinds(void)
{
    return pb_policy_kinds(PB_SLICE_LITERAL(
        "configmaps    cm       v1                             true   ConfigMap\n"
        "secrets                v1                             true   Secret\n"
        "deployments   deploy   apps/v1                        true   Deployment\n"
        "roles                  rbac.authorization.k8s.io/v1   true   Role\n"
        "rolebindings           rbac.authorization.k8s.io/v1   true   RoleBinding\n"
        "rollouts      ro,roll  example.com/v1alpha1           true   Rollout\n"
        "nodes         no       v1                             false  Node\n"
        "clusterroles           rbac.authorization.k8s.io/v1   true   ClusterRole\n"
        "widgets                example.com/v1                 false  Widget\n"
        "\nnonsense\n   \n"));
}

static void expect_verdict(const char *text, pb_object_verdict wanted, const char *says)
{
    json_t *kinds = known_kinds(), *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *why = NULL;
    assert_non_null(object);
    pb_object_verdict verdict = pb_policy_object(object, "n", kinds, &why);
    if (verdict != wanted)
        fail_msg("%s: %d (%s)", text, verdict, why ? why : "");
    if (says)
        assert_non_null(strstr(why, says));
    else
        assert_null(why);
    json_decref(object);
    json_decref(kinds);
}

static void kinds_are_read_from_the_list_of_the_cluster(void **state)
{
    (void)state;
    json_t *kinds = known_kinds();
    assert_int_equal(json_object_size(kinds), 7);
    assert_non_null(json_object_get(kinds, "/ConfigMap"));
    assert_non_null(json_object_get(kinds, "apps/Deployment"));
    assert_non_null(json_object_get(kinds, "example.com/Rollout"));
    json_decref(kinds);
    kinds = pb_policy_kinds(PB_SLICE_LITERAL(""));
    assert_int_equal(json_object_size(kinds), 0);
    json_decref(kinds);
}

static void ordinary_objects_pass(void **state)
{
    (void)state;
    expect_verdict("{\"kind\":\"ConfigMap\"," API
                   ",\"data\":{\"hostNetwork\":\"true\",\"privileged\":\"true\",\"items\":\"x\"}}",
                   PB_OBJECT_ORDINARY, NULL);
    expect_verdict("{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\"}}",
                   PB_OBJECT_ORDINARY, NULL);
    expect_verdict(
        POD("\"hostNetwork\":false,\"containers\":[{\"securityContext\":{\"privileged\":false,"
            "\"capabilities\":{\"drop\":[\"ALL\"],\"add\":[\"NET_BIND_SERVICE\"]}}}],"
            "\"volumes\":[{\"emptyDir\":{}},{\"configMap\":{\"items\":[]}}]"),
        PB_OBJECT_ORDINARY, NULL);
    /* Served in another version than the one that the list names. */
    expect_verdict(
        "{\"kind\":\"Rollout\",\"apiVersion\":\"example.com/v9\",\"metadata\":{\"name\":\"x\"}}",
        PB_OBJECT_ORDINARY, NULL);
}

static void what_gives_rights_or_reaches_the_host_is_named(void **state)
{
    (void)state;
    expect_verdict("{\"kind\":\"Role\"," RBAC "}", PB_OBJECT_GRANTS, "gives rights");
    expect_verdict("{\"kind\":\"RoleBinding\"," RBAC "}", PB_OBJECT_GRANTS, "gives rights");
    expect_verdict(POD("\"hostNetwork\":true"), PB_OBJECT_REACHES, "hostNetwork");
    expect_verdict(POD("\"HOSTNetwork\":true"), PB_OBJECT_REACHES, "hostNetwork");
    expect_verdict(POD("\"hostPID\":true"), PB_OBJECT_REACHES, "hostPID");
    expect_verdict(POD("\"hostIPC\":true"), PB_OBJECT_REACHES, "hostIPC");
    expect_verdict(POD("\"volumes\":[{\"name\":\"a\",\"hostPath\":{\"path\":\"/\"}}]"),
                   PB_OBJECT_REACHES, "hostPath");
    expect_verdict(POD("\"initContainers\":[{\"securityContext\":{\"privileged\":true}}]"),
                   PB_OBJECT_REACHES, "privileged");
    expect_verdict(POD("\"containers\":[{\"securityContext\":{\"capabilities\":{\"add\":[\"CHOWN\","
                       "\"SYS_ADMIN\"]}}}]"),
                   PB_OBJECT_REACHES, "capabilities");
    expect_verdict(POD("\"securityContext\":{\"windowsOptions\":{\"hostProcess\":true}}"),
                   PB_OBJECT_REACHES, "hostProcess");
    /* Of an operator, that makes pods of it. */
    expect_verdict(
        "{\"kind\":\"Rollout\",\"apiVersion\":\"example.com/v1\",\"metadata\":{\"name\":\"x\"},"
        "\"spec\":{\"workload\":[[{\"hostPath\":{}}]]}}",
        PB_OBJECT_REACHES, "hostPath");
}

static void what_acts_outside_of_its_namespace_is_forbidden(void **state)
{
    (void)state;
    static const char *const of_cluster[] = {
        "ClusterRole",      "ClusterRoleBinding",           "CustomResourceDefinition",
        "Namespace",        "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
        "PersistentVolume",
    };
    for (size_t i = 0; i < sizeof of_cluster / sizeof *of_cluster; i++) {
        pb_buffer text = {0};
        pb_buffer_append_format(&text, "{\"kind\":\"%s\",%s}", of_cluster[i], RBAC);
        expect_verdict(text.data, PB_OBJECT_FORBIDDEN, "of the whole cluster");
        pb_buffer_free(&text);
    }
    expect_verdict(
        "{\"kind\":\"Widget\",\"apiVersion\":\"example.com/v1\",\"metadata\":{\"name\":\"x\"}}",
        PB_OBJECT_UNKNOWN, "does not have in namespaces");
    expect_verdict("{\"kind\":\"List\"," API "}", PB_OBJECT_UNKNOWN, "namespaces");
    /* kubectl takes these for lists, or for another kind. */
    expect_verdict("{\"kind\":\"ConfigMap\"," API ",\"items\":[]}", PB_OBJECT_FORBIDDEN,
                   "disguise");
    expect_verdict("{\"kind\":\"ConfigMap\"," API ",\"Items\":null}", PB_OBJECT_FORBIDDEN,
                   "disguise");
    expect_verdict("{\"kind\":\"ConfigMap\",\"Kind\":\"ClusterRole\"," API "}", PB_OBJECT_FORBIDDEN,
                   "disguise");
    expect_verdict("{\"kind\":\"ConfigMap\",\"APIVersion\":\"x/v1\"," API "}", PB_OBJECT_FORBIDDEN,
                   "disguise");
    expect_verdict("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\","
                   "\"namespace\":\"kube-system\"}}",
                   PB_OBJECT_FORBIDDEN, "another namespace");
}

static json_t *objects_of(const char *more)
{
    pb_buffer text = {0};
    pb_buffer_append_format(
        &text,
        "[{\"kind\":\"Role\",%s},{\"kind\":\"ConfigMap\",%s},{\"kind\":\"RoleBinding\",%s}"
        "%s]",
        RBAC, API, RBAC, more);
    json_t *objects = json_loads(text.data, 0, NULL);
    assert_non_null(objects);
    pb_buffer_free(&text);
    return objects;
}

static void rights_are_left_out_and_hosts_are_refused(void **state)
{
    (void)state;
    pb_error error = {0};
    json_t *kinds = known_kinds(), *objects = objects_of(""), *left_out = json_array();
    assert_int_equal(pb_policy_filter(objects, "n", kinds, false, left_out, &error), 0);
    assert_int_equal(json_array_size(objects), 1);
    assert_int_equal(json_array_size(left_out), 2);
    json_decref(objects);
    json_array_clear(left_out);
    objects = objects_of("," POD("\"hostPID\":true"));
    assert_int_equal(pb_policy_filter(objects, "n", kinds, true, left_out, &error), 0);
    assert_int_equal(json_array_size(objects), 4);
    assert_int_equal(json_array_size(left_out), 0);
    assert_int_equal(pb_policy_filter(objects, "n", kinds, false, left_out, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.message, "Deployment/x of the capture sees the host's processes"));
    assert_non_null(strstr(error.hint, "--allow-privileged"));
    json_decref(objects);
    objects = objects_of(",{\"kind\":\"ClusterRole\"," RBAC "}");
    assert_int_equal(pb_policy_filter(objects, "n", kinds, true, left_out, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_non_null(strstr(error.message, "ClusterRole/x of the capture is of the whole cluster"));
    assert_true(error.hint[0]);
    json_decref(objects);
    json_decref(left_out);
    json_decref(kinds);
}

static pb_meta_command command(const char *line)
{
    return pb_policy_meta_command(pb_slice_of(line));
}

static void only_commands_of_pg_dumpall_are_known(void **state)
{
    (void)state;
    assert_int_equal(command("\\connect postgres"), PB_META_CONNECT);
    assert_int_equal(command("\\connect \"A\""), PB_META_CONNECT);
    assert_int_equal(command("\\connect -reuse-previous=on \"dbname='a b'\""), PB_META_CONNECT);
    assert_int_equal(command("\\restrict aZ09"), PB_META_RESTRICT);
    assert_int_equal(command("\\unrestrict aZ09"), PB_META_RESTRICT);
    assert_int_equal(command("\\connect"), PB_META_REFUSED);
    assert_int_equal(command("\\connect "), PB_META_REFUSED);
    assert_int_equal(command("\\connect \"\""), PB_META_REFUSED);
    assert_int_equal(command("\\connect \"a"), PB_META_REFUSED);
    assert_int_equal(command("\\connect -reuse-previous=on dbname=a"), PB_META_REFUSED);
    assert_int_equal(command("\\connect -reuse-previous=on \"host='a'\""), PB_META_REFUSED);
    assert_int_equal(command("\\connect -reuse-previous=on \"dbname='a\\'\""), PB_META_REFUSED);
    assert_int_equal(command("\\connect -reuse-previous=on \"dbname=''\""), PB_META_REFUSED);
    assert_int_equal(command("\\connect -reuse-previous=on \"dbname='a\"\""), PB_META_REFUSED);
    assert_int_equal(command("\\connect a\r"), PB_META_REFUSED);
    assert_int_equal(command("\\! id"), PB_META_REFUSED);
    assert_int_equal(command("\\restrict"), PB_META_REFUSED);
    assert_int_equal(command(""), PB_META_REFUSED);
}

static pb_statement statement(const char *text)
{
    return pb_policy_statement(pb_slice_of(text));
}

static void only_rows_of_the_script_are_copied(void **state)
{
    (void)state;
    assert_int_equal(statement("COPY a.b (c, \"d e\") FROM stdin"), PB_STATEMENT_ROWS);
    assert_int_equal(statement("COPY b FROM stdin\n"), PB_STATEMENT_ROWS);
    assert_int_equal(statement("COPY b () FROM stdin"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPY b FROM PROGRAM ''"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPY b FROM ''"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPY \"b FROM stdin"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPY"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPY(SELECT 1) TO stdout"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPYING"), PB_STATEMENT_OTHER);
    assert_int_equal(statement("SELECT 1"), PB_STATEMENT_OTHER);
    assert_int_equal(statement(""), PB_STATEMENT_OTHER);
}

static void only_rights_of_the_accounts_are_captured_rights(void **state)
{
    (void)state;
#define RIGHT "'apiVersion':'rbac.authorization.k8s.io/v1'"
    static const struct {
        const char *object;
        bool good;
    } cases[] = {
        {"{" RIGHT ",'kind':'ClusterRole','metadata':{'name':'x'}}", true},
        {"{" RIGHT ",'kind':'ClusterRoleBinding','metadata':{'name':'x'},'subjects':["
         "{'kind':'ServiceAccount','name':'a','namespace':'prod'}]}",
         true},
        {"{" RIGHT ",'kind':'ClusterRoleBinding','metadata':{'name':'x'},'subjects':["
         "{'kind':'ServiceAccount','name':'a','namespace':'prod'},"
         "{'kind':'ServiceAccount','name':'a','namespace':'kube-system'}]}",
         false},
        {"{" RIGHT ",'kind':'ClusterRoleBinding','metadata':{'name':'x'},'subjects':["
         "{'kind':'Group','name':'system:authenticated'}]}",
         false},
        {"{" RIGHT ",'kind':'ClusterRoleBinding','metadata':{'name':'x'},'subjects':["
         "{'kind':'User','name':'a','namespace':'prod'}]}",
         false},
        {"{" RIGHT ",'kind':'ClusterRole','metadata':{'name':'x','labels':"
         "{'rbac.authorization.k8s.io/aggregate-to-view':'true'}}}",
         false},
        {"{" RIGHT ",'kind':'Role','metadata':{'name':'x'}}", false},
        {"{" RIGHT ",'kind':'ClusterRole','metadata':{'name':'x'},'items':[]}", false},
        {"{'apiVersion':'v1','kind':'ClusterRole','metadata':{'name':'x'}}", false},
        {"{'apiVersion':'apiextensions.k8s.io/v1','kind':'CustomResourceDefinition','metadata':"
         "{'name':'x'}}",
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *rights = json_pack("[o]", json(cases[i].object));
        pb_error error = {0};
        if (!pb_policy_check_rights(rights, "prod", &error) != cases[i].good)
            fail_msg("%s", cases[i].object);
        if (!cases[i].good)
            assert_int_equal(error.kind, PB_ERROR_DAMAGED);
        json_decref(rights);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kind_of_dump_that_was_not_asked_for_is_refused),
        cmocka_unit_test(plaintext_is_refused_where_an_identity_is_given),
        cmocka_unit_test(kinds_are_read_from_the_list_of_the_cluster),
        cmocka_unit_test(ordinary_objects_pass),
        cmocka_unit_test(what_gives_rights_or_reaches_the_host_is_named),
        cmocka_unit_test(what_acts_outside_of_its_namespace_is_forbidden),
        cmocka_unit_test(rights_are_left_out_and_hosts_are_refused),
        cmocka_unit_test(only_rights_of_the_accounts_are_captured_rights),
        cmocka_unit_test(only_commands_of_pg_dumpall_are_known),
        cmocka_unit_test(only_rows_of_the_script_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
