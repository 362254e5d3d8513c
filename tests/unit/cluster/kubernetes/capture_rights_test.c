#include "cluster/kubernetes/capture.h"

#include "base/bytes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/quoted_json.h"
#include <cmocka.h>

#define ACCOUNT "{'kind':'ServiceAccount','name':'pachyderm','namespace':'prod'}"
#define STRANGER "{'kind':'ServiceAccount','name':'pachyderm','namespace':'other'}"
#define GROUP "{'kind':'Group','name':'system:serviceaccounts:prod'}"

static char *capture(const char *items, size_t *ret_count)
{
    pb_buffer ndjson = {0};
    json_t *array = json(items);
    pb_capture_append_rights(array, "prod", &ndjson, ret_count);
    json_decref(array);
    char *text = pb_duplicate(pb_buffer_slice(&ndjson));
    pb_buffer_free(&ndjson);
    return text;
}

static void only_what_the_accounts_use_is_captured(void **state)
{
    (void)state;
    size_t count;
    char *text = capture(
        "[{'kind':'ClusterRole','metadata':{'name':'used','uid':'1','labels':"
        "{'rbac.authorization.k8s.io/aggregate-to-edit':'true','kept':'1'}},'rules':[]},"
        "{'kind':'ClusterRole','metadata':{'name':'by-namespace'}},"
        "{'kind':'ClusterRole','metadata':{'name':'unused'}},"
        "{'kind':'ClusterRole','metadata':{'name':'view','labels':"
        "{'kubernetes.io/bootstrapping':'rbac-defaults'}}},"
        "{'kind':'ClusterRoleBinding','metadata':{'name':'a'},'subjects':[" STRANGER "," ACCOUNT
        "],'roleRef':{'kind':'ClusterRole','name':'used'}},"
        "{'kind':'ClusterRoleBinding','metadata':{'name':'b'},'subjects':[" GROUP
        "],'roleRef':{'kind':'ClusterRole','name':'view'}},"
        "{'kind':'ClusterRoleBinding','metadata':{'name':'c'},'subjects':[" STRANGER
        "],'roleRef':{'kind':'ClusterRole','name':'unused'}},"
        "{'kind':'RoleBinding','metadata':{'name':'d'},'roleRef':{'kind':'ClusterRole','name':"
        "'by-namespace'}},"
        "{'kind':'RoleBinding','metadata':{'name':'e'},'roleRef':{'kind':'Role','name':'unused'}}]",
        &count);
    assert_int_equal(count, 4);
    assert_non_null(strstr(text, "\"used\""));
    assert_non_null(strstr(text, "\"by-namespace\""));
    assert_null(strstr(text, "unused"));
    assert_null(strstr(text, "rbac-defaults"));
    assert_null(strstr(text, "\"other\""));
    assert_null(strstr(text, "uid"));
    assert_null(strstr(text, "aggregate-to"));
    assert_non_null(strstr(text, "kept"));
    assert_non_null(strstr(text, "system:serviceaccounts:prod"));
    free(text);
}

static void odd_objects_are_no_rights(void **state)
{
    (void)state;
    size_t count;
    char *text = capture("[{},7,null,{'kind':'ClusterRoleBinding','subjects':{}},"
                         "{'kind':'ClusterRoleBinding','metadata':{'name':'x'},'subjects':[7,{},"
                         "{'kind':'User','name':'prod','namespace':'prod'},"
                         "{'kind':'Group','name':'system:serviceaccounts:production'}]},"
                         "{'kind':'ClusterRole','metadata':7}]",
                         &count);
    assert_int_equal(count, 0);
    assert_string_equal(text, "");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_the_accounts_use_is_captured),
        cmocka_unit_test(odd_objects_are_no_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
