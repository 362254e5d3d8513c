#include "cluster/kubernetes/capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/quoted_json.h"
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void expect_wanted(bool wanted, const char *text)
{
    json_t *object = json(text);
    if (pb_capture_wants(object) != wanted)
        fail_msg("%s: %s", wanted ? "not wanted" : "wanted", text);
    json_decref(object);
}

static void what_a_restore_needs(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "{'kind':'Deployment','metadata':{'name':'pachd'}}",
        "{'kind':'StatefulSet','metadata':{'name':'etcd','ownerReferences':[]}}",
        "{'kind':'ReplicationController','metadata':{'name':'mine'}}",
        "{'kind':'ReplicaSet','metadata':{'name':'mine'}}",
        "{'kind':'Service','metadata':{'name':'pachd','labels':{'suite':'pachyderm'}}}",
        "{'kind':'Service','metadata':{'name':'kubernetes'}}",
        "{'kind':'Secret','metadata':{'name':'pachyderm-storage-secret'},'type':'Opaque'}",
        "{'kind':'Secret','metadata':{'name':'sh.helm.release.v1.pachyderm.v1'},"
        "'type':'helm.sh/release.v1'}",
        "{'kind':'Secret','metadata':{'name':'mine','labels':"
        "{'secret-source':'pachyderm-user','suite':'pachyderm'}}}",
        "{'kind':'Secret','metadata':{'name':'registry'},'type':'kubernetes.io/dockercfg'}",
        "{'kind':'ConfigMap','metadata':{'name':'pachd-config'}}",
        "{'kind':'ConfigMap','metadata':{'name':'pachyderm-identity-config'}}",
        "{'kind':'ServiceAccount','metadata':{'name':'default'}}",
        "{'kind':'Job','metadata':{'name':'j'},'status':{'active':1,'conditions':"
        "[{'type':'Complete','status':'False'}]}}",
        "{'kind':'Schedule','apiVersion':'velero.io/v1','metadata':{'name':'nightly'}}",
        "{'kind':'Backup','apiVersion':'postgresql.cnpg.io/v1','metadata':{'name':'b'}}",
    };
    static const char *const not_wanted[] = {
        "{}",
        "{'kind':'Deployment'}",
        "{'metadata':{'name':'x'}}",
        "{'kind':1,'metadata':{'name':2}}",
        "{'kind':'Deployment','metadata':[]}",
        "{'kind':'Deployment','metadata':{'name':'x','deletionTimestamp':'2026-01-01T00:00:00Z'}}",
        "{'kind':'ReplicaSet','metadata':{'name':'x','ownerReferences':[{'kind':'Deployment'}]}}",
        "{'kind':'Job','metadata':{'name':'x','ownerReferences':[{'kind':'CronJob'}]}}",
        "{'kind':'Job','metadata':{'name':'x'},'status':{'conditions':"
        "[{'type':'Complete','status':'True'}]}}",
        "{'kind':'Pod','metadata':{'name':'x'}}",
        "{'kind':'Event','apiVersion':'events.k8s.io/v1','metadata':{'name':'x'}}",
        "{'kind':'Lease','metadata':{'name':'x'}}",
        "{'kind':'Endpoints','metadata':{'name':'x'}}",
        "{'kind':'EndpointSlice','metadata':{'name':'x'}}",
        "{'kind':'ControllerRevision','metadata':{'name':'x'}}",
        "{'kind':'PodMetrics','apiVersion':'metrics.k8s.io/v1beta1','metadata':{'name':'x'}}",
        "{'kind':'Secret','metadata':{'name':'x'},'type':'kubernetes.io/service-account-token'}",
        "{'kind':'Secret','metadata':{'name':'x','annotations':"
        "{'kubernetes.io/service-account.uid':'u'}},'type':'kubernetes.io/dockercfg'}",
        "{'kind':'ConfigMap','metadata':{'name':'kube-root-ca.crt'}}",
        "{'kind':'ConfigMap','metadata':{'name':'pbcopy-suspension'}}",
        "{'kind':'Service','metadata':{'name':'kubernetes','labels':"
        "{'component':'apiserver','provider':'kubernetes'}}}",
        "{'kind':'ReplicationController','metadata':{'name':'pipeline-edges-v1','labels':"
        "{'suite':'pachyderm','component':'worker','pipelineName':'edges'}}}",
        "{'kind':'Service','metadata':{'name':'pipeline-edges-v1','labels':"
        "{'suite':'pachyderm','component':'worker'}}}",
        "{'kind':'Service','metadata':{'name':'pipeline-edges-v1-user','labels':"
        "{'suite':'pachyderm','pipelineName':'edges'}}}",
        "{'kind':'Restore','apiVersion':'velero.io/v1','metadata':{'name':'r'}}",
    };
    for (size_t i = 0; i < COUNT(wanted); i++)
        expect_wanted(true, wanted[i]);
    for (size_t i = 0; i < COUNT(not_wanted); i++)
        expect_wanted(false, not_wanted[i]);
}

static void expect_stripped(const char *before, const char *after, const pb_workloads *workloads)
{
    json_t *object = json(before), *wanted = json(after);
    pb_capture_strip(object, workloads);
    if (!json_equal(object, wanted)) {
        char *text = json_dumps(object, JSON_INDENT(1));
        fail_msg("%s", text);
    }
    json_decref(object);
    json_decref(wanted);
}

static void what_the_server_sets_goes(void **state)
{
    (void)state;
    expect_stripped(
        "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'pachd','namespace':'a',"
        "'uid':'u','resourceVersion':'1','generation':4,'creationTimestamp':'t','selfLink':'s',"
        "'managedFields':[{}],'finalizers':['x'],'labels':{'app':'pachd'},'annotations':"
        "{'deployment.kubernetes.io/revision':'2','meta.helm.sh/release-name':'pachyderm',"
        "'kubectl.kubernetes.io/last-applied-configuration':'{}'}},'spec':{'replicas':0,"
        "'template':{'metadata':{'creationTimestamp':null,'labels':{'app':'pachd'}}}},"
        "'status':{'replicas':0}}",
        "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'pachd','namespace':'a',"
        "'labels':{'app':'pachd'},'annotations':{'meta.helm.sh/release-name':'pachyderm'}},"
        "'spec':{'replicas':0,'template':{'metadata':{'labels':{'app':'pachd'}}}}}",
        NULL);
    expect_stripped(
        "{'kind':'Service','metadata':{'name':'pachd','annotations':{"
        "'kubectl.kubernetes.io/last-applied-configuration':'{}'}},'spec':{'type':'NodePort',"
        "'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.1'],'ipFamilies':['IPv4'],"
        "'ipFamilyPolicy':'SingleStack','ports':[{'port':30650,'nodePort':30650}]},"
        "'status':{'loadBalancer':{}}}",
        "{'kind':'Service','metadata':{'name':'pachd'},'spec':{'type':'NodePort','ports':"
        "[{'port':30650,'nodePort':30650}]}}",
        NULL);
    expect_stripped(
        "{'kind':'Service','metadata':{'name':'pachd-lb'},'spec':{'type':'LoadBalancer',"
        "'clusterIP':'10.0.0.1','healthCheckNodePort':31000,'ipFamilyPolicy':'RequireDualStack',"
        "'ipFamilies':['IPv6','IPv4'],'ports':[{'port':30650,'nodePort':31234}]}}",
        "{'kind':'Service','metadata':{'name':'pachd-lb'},'spec':{'type':'LoadBalancer',"
        "'ipFamilyPolicy':'RequireDualStack','ipFamilies':['IPv6','IPv4'],"
        "'ports':[{'port':30650}]}}",
        NULL);
    expect_stripped("{'kind':'Service','metadata':{'name':'etcd-headless'},'spec':"
                    "{'clusterIP':'None','clusterIPs':['None'],'ports':[{'port':2379}]}}",
                    "{'kind':'Service','metadata':{'name':'etcd-headless'},'spec':"
                    "{'clusterIP':'None','clusterIPs':['None'],'ports':[{'port':2379}]}}",
                    NULL);
    expect_stripped(
        "{'kind':'PersistentVolumeClaim','metadata':{'name':'p','finalizers':"
        "['kubernetes.io/pvc-protection'],'annotations':{'pv.kubernetes.io/bind-completed':'yes',"
        "'pv.kubernetes.io/bound-by-controller':'yes'}},'spec':{'volumeName':'pvc-1',"
        "'storageClassName':'fast'},'status':{'phase':'Bound'}}",
        "{'kind':'PersistentVolumeClaim','metadata':{'name':'p'},'spec':"
        "{'storageClassName':'fast'}}",
        NULL);
    expect_stripped(
        "{'kind':'ServiceAccount','metadata':{'name':'pachyderm','annotations':"
        "{'iam.gke.io/gcp-service-account':'x@p'}},'secrets':[{'name':'pachyderm-token-abcde'},"
        "{'name':'mine'}],'imagePullSecrets':[{'name':'pachyderm-dockercfg-x1y2z'}]}",
        "{'kind':'ServiceAccount','metadata':{'name':'pachyderm','annotations':"
        "{'iam.gke.io/gcp-service-account':'x@p'}},'secrets':[{'name':'mine'}]}",
        NULL);
    expect_stripped("{'kind':'ServiceAccount','metadata':{'name':'pachyderm'},'secrets':"
                    "[{'name':'pachyderm-token-abcde'},{'name':'pachyderm-worker-token-abcde'}]}",
                    "{'kind':'ServiceAccount','metadata':{'name':'pachyderm'},'secrets':"
                    "[{'name':'pachyderm-worker-token-abcde'}]}",
                    NULL);
    expect_stripped("{'kind':'Job','metadata':{'name':'j','labels':{'job-name':'j','a':'b'}},"
                    "'spec':{'selector':{},'template':{'metadata':{'labels':{'controller-uid':'u',"
                    "'job-name':'j','a':'b'}}}}}",
                    "{'kind':'Job','metadata':{'name':'j','labels':{'a':'b'}},'spec':{'template':"
                    "{'metadata':{'labels':{'a':'b'}}}}}",
                    NULL);
    expect_stripped("{'kind':'StatefulSet','metadata':{'name':'etcd'},'spec':"
                    "{'volumeClaimTemplates':[{'metadata':{'creationTimestamp':null,'name':'d'},"
                    "'status':{'phase':'Pending'}}]}}",
                    "{'kind':'StatefulSet','metadata':{'name':'etcd'},'spec':"
                    "{'volumeClaimTemplates':[{'metadata':{'name':'d'}}]}}",
                    NULL);
    /* Of the wrong types: nothing happens. */
    expect_stripped("{'kind':'Service','metadata':1,'spec':[]}",
                    "{'kind':'Service','metadata':1,'spec':[]}", NULL);
}

static void recorded_counts_are_put_in(void **state)
{
    (void)state;
    char deployment[] = "Deployment", name[] = "pachd";
    pb_workload recorded = {deployment, name, 3};
    pb_workloads workloads = {&recorded, 1};
    expect_stripped("{'kind':'Deployment','metadata':{'name':'pachd'},'spec':{'replicas':0}}",
                    "{'kind':'Deployment','metadata':{'name':'pachd'},'spec':{'replicas':3}}",
                    &workloads);
    expect_stripped("{'kind':'Deployment','metadata':{'name':'pachw'},'spec':{'replicas':0}}",
                    "{'kind':'Deployment','metadata':{'name':'pachw'},'spec':{'replicas':0}}",
                    &workloads);
    expect_stripped("{'kind':'StatefulSet','metadata':{'name':'pachd'},'spec':{'replicas':1}}",
                    "{'kind':'StatefulSet','metadata':{'name':'pachd'},'spec':{'replicas':1}}",
                    &workloads);
}

static void objects_come_once_and_in_order(void **state)
{
    (void)state;
    json_t *items = json(
        "[{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'pachd','uid':'1'}},"
        "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'pachd-x','uid':'2'}},"
        "{'apiVersion':'networking.k8s.io/v1','kind':'Ingress','metadata':{'name':'i','uid':'3'}},"
        "{'apiVersion':'extensions/v1beta1','kind':'Ingress','metadata':{'name':'i','uid':'3'}},"
        "{'apiVersion':'v1','kind':'Service','metadata':{'name':'pachd','uid':'4'}},"
        "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'b','uid':'5'}},"
        "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'a','uid':'6'}},"
        "{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':'z','uid':'7'}},"
        "'x', 1, null]");
    pb_buffer lines = {0};
    size_t count = 0;
    pb_capture_append(items, NULL, &lines, &count);
    assert_int_equal(count, 6);
    assert_string_equal(
        lines.data,
        "{\"apiVersion\":\"v1\",\"kind\":\"ServiceAccount\",\"metadata\":{\"name\":\"z\"}}\n"
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"a\"}}\n"
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"b\"}}\n"
        "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"pachd\"}}\n"
        "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"Ingress\",\"metadata\":{\"name\":"
        "\"i\"}}\n"
        "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"pachd\"}}\n");
    json_t *again = NULL;
    assert_int_equal(pb_capture_parse(pb_buffer_slice(&lines), &again, NULL), 0);
    assert_int_equal(json_array_size(again), 6);
    /* The items themselves are not changed. */
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(json_array_get(items, 0), "metadata"), "uid")),
                        "1");
    json_decref(again);
    json_decref(items);
    pb_buffer_free(&lines);
}

static void kinds_that_are_read(void **state)
{
    (void)state;
    pb_buffer kinds = {0};
    pb_error error = {0};
    assert_int_equal(
        pb_capture_kinds(PB_SLICE_LITERAL("configmaps\nendpoints\nevents\npods\nsecrets\n"
                                          "controllerrevisions.apps\ndeployments.apps\n"
                                          "deployments.extensions\nevents.events.k8s.io\n"
                                          "ingresses.extensions\ningresses.networking.k8s.io\n"
                                          "old.extensions\npods.metrics.k8s.io\n"
                                          "leases.coordination.k8s.io"),
                         &kinds, &error),
        0);
    assert_string_equal(kinds.data, "configmaps,secrets,deployments.apps,"
                                    "ingresses.networking.k8s.io,old.extensions");
    pb_buffer_clear(&kinds);
    assert_int_equal(pb_capture_kinds(PB_SLICE_LITERAL("pods\n"), &kinds, &error), -1);
    assert_int_equal(pb_capture_kinds((pb_slice){NULL, 0}, &kinds, &error), -1);
    assert_int_equal(pb_capture_kinds(PB_SLICE_LITERAL("--all\n"), &kinds, &error), -1);
    assert_int_equal(pb_capture_kinds(PB_SLICE_LITERAL("a,b\n"), &kinds, &error), -1);
    assert_int_equal(pb_capture_kinds(PB_SLICE_LITERAL("a\0b\n"), &kinds, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_FAILED);
    pb_buffer_free(&kinds);
}

/* As a kubectl that asks for all groups at once names kinds: none of a group that is down. */
static void groups_without_kinds_are_seen(void **state)
{
    (void)state;
    json_t *groups = json_loads(
        "{\"groups\":["
        "{\"name\":\"apps\",\"preferredVersion\":{\"groupVersion\":\"apps/v1\"}},"
        "{\"name\":\"example.com\",\"preferredVersion\":{\"groupVersion\":\"example.com/v2\"}},"
        "{\"name\":\"metrics.k8s.io\",\"preferredVersion\":{\"groupVersion\":\"m/v1\"}},"
        "{\"name\":\"external.metrics.k8s.io\",\"preferredVersion\":{\"groupVersion\":\"m/v2\"}},"
        "{\"name\":\"batch\",\"preferredVersion\":{\"groupVersion\":\"batch/v1\"}}]}",
        0, NULL);
    json_t *versions = NULL;
    pb_error error = {0};
    assert_non_null(groups);
    assert_int_equal(pb_capture_silent_groups(groups,
                                              PB_SLICE_LITERAL("pods\ndeployments.apps\n"
                                                               "things.of.example.com\n"
                                                               "jobs.batch"),
                                              &versions, &error),
                     0);
    assert_int_equal(json_array_size(versions), 1);
    assert_string_equal(json_string_value(json_array_get(versions, 0)), "example.com/v2");
    json_decref(versions);
    json_decref(groups);
    groups = json_object();
    assert_int_equal(
        pb_capture_silent_groups(groups, PB_SLICE_LITERAL("pods\n"), &versions, &error), -1);
    json_decref(groups);
}

static void damaged_lines_are_named_not_quoted(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"{\"apiVersion\":\"v1\",\"kind\":\"A\",\"metadata\":{\"name\":\"a\"}}", "line 1 is cut"},
        {"{\"apiVersion\":\"v1\",\"kind\":\"A\",\"metadata\":{\"name\":\"a\"}}\n"
         "{\"data\":{\"password\":hunter2}}\n",
         "line 2: not valid JSON at column"},
        {"\n", "line 1: not valid JSON"},
        {"[]\n", "line 1: \"apiVersion\" is missing"},
        {"{\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}\n", "line 1: \"kind\" is missing"},
        {"{\"apiVersion\":\"v1\",\"kind\":\"A\",\"metadata\":{\"name\":1}}\n",
         "line 1: \"metadata.name\" is missing"},
        {"{\"apiVersion\":\"v1\",\"apiVersion\":\"v1\"}\n", "line 1: not valid JSON"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_error error = {0};
        json_t *objects = NULL;
        assert_int_equal(pb_capture_parse(pb_slice_of(bad[i].text), &objects, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
        assert_non_null(strstr(error.message, bad[i].says));
        assert_null(strstr(error.message, "hunter2"));
        assert_null(objects);
    }
    json_t *objects = NULL;
    assert_int_equal(pb_capture_parse((pb_slice){NULL, 0}, &objects, NULL), 0);
    assert_int_equal(json_array_size(objects), 0);
    json_decref(objects);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_restore_needs),
        cmocka_unit_test(what_the_server_sets_goes),
        cmocka_unit_test(recorded_counts_are_put_in),
        cmocka_unit_test(objects_come_once_and_in_order),
        cmocka_unit_test(kinds_that_are_read),
        cmocka_unit_test(groups_without_kinds_are_seen),
        cmocka_unit_test(damaged_lines_are_named_not_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
