#include "cluster/edits/namespace.h"

#include "base/bytes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/quoted_json.h"
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void expect(const char *old, const char *name, const char *objects, const char *wanted)
{
    json_t *is = json(objects), *should = json(wanted);
    pb_error error = {0};
    if (pb_edits_namespace(old, name, is, &error))
        fail_msg("%s", error.message);
    if (!json_equal(is, should)) {
        char *text = json_dumps(is, 0);
        fail_msg("%s\nbut wanted\n%s", text, wanted);
    }
    json_decref(is);
    json_decref(should);
}

/* Velero maps the namespace of objects, and nothing in them. */
static void objects_that_are_there_already_still_name_the_old_one(void **state)
{
    (void)state;
    expect("old", "new",
           "[{'kind':'Deployment','metadata':{'name':'pg-bouncer','namespace':'new'},'spec':"
           "{'template':{'spec':{'containers':[{'env':[{'name':'POSTGRESQL_HOST','value':"
           "'postgres.old.svc.cluster.local.'}]}]}}}},"
           "{'kind':'Service','metadata':{'name':'p','namespace':'new'},'spec':{'ports':"
           "[{'port':1,'nodePort':30650}]}}]",
           "[{'kind':'Deployment','metadata':{'name':'pg-bouncer','namespace':'new'},'spec':"
           "{'template':{'spec':{'containers':[{'env':[{'name':'POSTGRESQL_HOST','value':"
           "'postgres.new.svc.cluster.local.'}]}]}}}},"
           "{'kind':'Service','metadata':{'name':'p','namespace':'new'},'spec':{'ports':"
           "[{'port':1}]}}]");
}

static void nothing_but_the_place_changes_within_a_namespace(void **state)
{
    (void)state;
    expect("old", "old",
           "[{'kind':'Service','metadata':{'name':'p'},'spec':{'externalName':'x.old.svc',"
           "'ports':[{'port':1,'nodePort':30650}]}}]",
           "[{'kind':'Service','metadata':{'name':'p','namespace':'old'},'spec':{'externalName':"
           "'x.old.svc','ports':[{'port':1,'nodePort':30650}]}}]");
}

/* A short name is a host where a Service of that name is among the objects. */
static void short_names_of_services(void **state)
{
    (void)state;
    expect("old", "new",
           "[{'kind':'Service','metadata':{'name':'pachd','namespace':'old'}},"
           "{'kind':'ConfigMap','metadata':{'name':'c','namespace':'old','annotations':"
           "{'a':'http://pachd.old:1650'}},'data':{'a':'grpc://pachd.old:30650','b':'pachd.old',"
           "'c':'other.old:1','d':'pachd.old.example.org','e':'pachd.older','f':'pachd.old-x',"
           "'g':'xpachd.old','h':'user:word@pachd.old/db','i':'pachd.old_x'}}]",
           "[{'kind':'Service','metadata':{'name':'pachd','namespace':'new'}},"
           "{'kind':'ConfigMap','metadata':{'name':'c','namespace':'new','annotations':"
           "{'a':'http://pachd.new:1650'}},'data':{'a':'grpc://pachd.new:30650','b':'pachd.new',"
           "'c':'other.old:1','d':'pachd.old.example.org','e':'pachd.older','f':'pachd.old-x',"
           "'g':'xpachd.old','h':'user:word@pachd.new/db','i':'pachd.old_x'}}]");
}

static void names_wherever_kubernetes_has_them(void **state)
{
    (void)state;
    expect("old", "new",
           "[{'kind':'NetworkPolicy','metadata':{'name':'n'},'spec':{'ingress':[{'from':["
           "{'namespaceSelector':{'matchLabels':{'kubernetes.io/metadata.name':'old','x':'old'}}},"
           "{'namespaceSelector':{'matchExpressions':[{'key':'kubernetes.io/metadata.name',"
           "'operator':'In','values':['old','other']},{'key':'x','values':['old']}]}}]}]}},"
           "{'kind':'ServiceMonitor','metadata':{'name':'m'},'spec':{'namespaceSelector':"
           "{'matchNames':['old','other']}}},"
           "{'kind':'Service','metadata':{'name':'e'},'spec':{'externalName':'db.old.svc'}},"
           "{'kind':'Certificate','metadata':{'name':'c'},'spec':{'dnsNames':['a.old.svc',"
           "'a.b.old.svc.x']}},"
           "{'kind':'Deployment','metadata':{'name':'d'},'spec':{'template':{'spec':{'containers':"
           "[{'livenessProbe':{'httpGet':{'host':'a.old.svc'}},'env':[{'name':'PACH_NAMESPACE',"
           "'value':'old'},{'name':'X','value':'old'}]}]}}}}]",
           "[{'kind':'NetworkPolicy','metadata':{'name':'n','namespace':'new'},'spec':{'ingress':"
           "[{'from':[{'namespaceSelector':{'matchLabels':{'kubernetes.io/metadata.name':'new',"
           "'x':'old'}}},{'namespaceSelector':{'matchExpressions':[{'key':"
           "'kubernetes.io/metadata.name','operator':'In','values':['new','other']},{'key':'x',"
           "'values':['old']}]}}]}]}},"
           "{'kind':'ServiceMonitor','metadata':{'name':'m','namespace':'new'},'spec':"
           "{'namespaceSelector':{'matchNames':['new','other']}}},"
           "{'kind':'Service','metadata':{'name':'e','namespace':'new'},'spec':{'externalName':"
           "'db.new.svc'}},"
           "{'kind':'Certificate','metadata':{'name':'c','namespace':'new'},'spec':{'dnsNames':"
           "['a.new.svc','a.b.new.svc.x']}},"
           "{'kind':'Deployment','metadata':{'name':'d','namespace':'new'},'spec':{'template':"
           "{'spec':{'containers':[{'livenessProbe':{'httpGet':{'host':'a.new.svc'}},'env':"
           "[{'name':'PACH_NAMESPACE','value':'new'},{'name':'X','value':'old'}]}]}}}}]");
}

/* "db.old.svc", "{\"url\":\"x.old.svc:1\"}"; bytes that are no text; not Base64. A release's is
 * not looked at. */
static void secrets_that_are_text(void **state)
{
    (void)state;
    expect("old", "new",
           "[{'kind':'Secret','metadata':{'name':'s'},'data':{'a':'ZGIub2xkLnN2Yw==',"
           "'b':'eyJ1cmwiOiJ4Lm9sZC5zdmM6MSJ9','c':'AGRiLm9sZC5zdmM=','d':'/2RiLm9sZC5zdmM=',"
           "'e':'db.old.svc','f':'','g':7},'stringData':{'h':'db.old.svc'}},"
           "{'kind':'Secret','type':'helm.sh/release.v1','metadata':{'name':'r'},'data':"
           "{'release':'ZGIub2xkLnN2Yw=='}}]",
           "[{'kind':'Secret','metadata':{'name':'s','namespace':'new'},'data':"
           "{'a':'ZGIubmV3LnN2Yw==','b':'eyJ1cmwiOiJ4Lm5ldy5zdmM6MSJ9',"
           "'c':'AGRiLm9sZC5zdmM=','d':'/2RiLm9sZC5zdmM=','e':'db.old.svc','f':'','g':7},"
           "'stringData':{'h':'db.new.svc'}},"
           "{'kind':'Secret','type':'helm.sh/release.v1','metadata':{'name':'r','namespace':"
           "'new'},'data':{'release':'ZGIub2xkLnN2Yw=='}}]");
}

static void objects_of_any_form(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "[1,null,'x',[],{},{'metadata':{}}]",
        "[{'metadata':{'annotations':['a.old.svc',[[{'namespace':'old'}]]]},'spec':'x.old.svc'}]",
        "[{'kind':'Secret','metadata':{},'data':['ZGIub2xkLnN2Yw==']}]",
        "[{'kind':'Service','metadata':{'name':7},'spec':{'ports':{'nodePort':1}}}]",
    };
    for (size_t i = 0; i < COUNT(odd); i++) {
        json_t *objects = json(odd[i]);
        pb_error error = {0};
        assert_int_equal(pb_edits_namespace("old", "new", objects, &error), 0);
        assert_int_equal(pb_edits_namespace("", "new", objects, &error), 0);
        json_decref(objects);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_that_are_there_already_still_name_the_old_one),
        cmocka_unit_test(nothing_but_the_place_changes_within_a_namespace),
        cmocka_unit_test(short_names_of_services),
        cmocka_unit_test(names_wherever_kubernetes_has_them),
        cmocka_unit_test(secrets_that_are_text),
        cmocka_unit_test(objects_of_any_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
