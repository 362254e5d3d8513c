#include "cluster/kubernetes/velero.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static json_t *with_phase(const char *phase)
{
    return json_pack("{s:s,s:{s:s,s:s},s:{s:s}}", "kind", "Backup", "metadata", "name", "b",
                     "namespace", "velero", "status", "phase", phase);
}

static void only_completed_is_success(void **state)
{
    (void)state;
    static const struct {
        const char *phase;
        int judged;
    } phases[] = {
        {"", 0},
        {"New", 0},
        {"Queued", 0},
        {"ReadyToStart", 0},
        {"InProgress", 0},
        {"WaitingForPluginOperations", 0},
        {"WaitingForPluginOperationsPartiallyFailed", 0},
        {"Finalizing", 0},
        {"FinalizingPartiallyFailed", 0},
        {"SomethingNew", 0},
        {"completed", 0},
        {"Completed", 1},
        {"FailedValidation", -1},
        {"PartiallyFailed", -1},
        {"Failed", -1},
        {"Deleting", -1},
    };
    for (size_t i = 0; i < COUNT(phases); i++) {
        pb_error error = {0};
        json_t *object = with_phase(phases[i].phase);
        assert_int_equal(pb_velero_judge(object, &error), phases[i].judged);
        assert_int_equal(error.kind, phases[i].judged < 0 ? PB_ERROR_FAILED : PB_ERROR_NONE);
        json_decref(object);
    }
    json_t *none = json_object();
    assert_int_equal(pb_velero_judge(none, NULL), 0);
    json_decref(none);
}

static void failures_come_with_veleros_words(void **state)
{
    (void)state;
    pb_error error = {0};
    json_t *object = json_loads(
        "{\"kind\":\"Restore\",\"metadata\":{\"name\":\"r\",\"namespace\":\"velero\"},\"status\":"
        "{\"phase\":\"PartiallyFailed\",\"errors\":3,\"warnings\":1,\"failureReason\":\"disk\\n"
        "full\",\"validationErrors\":[\"no location\",1]}}",
        0, NULL);
    assert_int_equal(pb_velero_judge(object, &error), -1);
    assert_string_equal(error.message, "Velero's Restore velero/r is PartiallyFailed, 3 errors, 1 "
                                       "warnings: disk?full: no location");
    assert_string_equal(error.hint, "velero restore describe r --details");
    json_decref(object);
    object = with_phase("Completed");
    json_object_set_new(json_object_get(object, "status"), "errors", json_integer(1));
    assert_int_equal(pb_velero_judge(object, &error), -1);
    json_decref(object);
}

static void objects_and_progress(void **state)
{
    (void)state;
    json_t *backup = pb_velero_backup_object("velero", "b", "pach");
    char *text = json_dumps(backup, JSON_COMPACT);
    assert_string_equal(text, "{\"apiVersion\":\"velero.io/v1\",\"kind\":\"Backup\",\"metadata\":"
                              "{\"name\":\"b\",\"namespace\":\"velero\"},\"spec\":"
                              "{\"includedNamespaces\":[\"pach\"],\"ttl\":\"87600h0m0s\"}}");
    free(text);
    json_decref(backup);
    static const char *const mappings[] = {NULL, "pach", "other"};
    for (size_t i = 0; i < COUNT(mappings); i++) {
        json_t *restore = pb_velero_restore_object("velero", "r", "b", "pach", mappings[i]);
        text = json_dumps(json_object_get(restore, "spec"), JSON_COMPACT);
        const char *start =
            "{\"backupName\":\"b\",\"includedNamespaces\":[\"pach\"],\"labelSelector\":"
            "{\"matchExpressions\":[{\"key\":\"component\",\"operator\":\"NotIn\",\"values\":"
            "[\"worker\"]}]}";
        assert_int_equal(strncmp(text, start, strlen(start)), 0);
        assert_string_equal(text + strlen(start),
                            i == 2 ? ",\"namespaceMapping\":{\"pach\":\"other\"}}" : "}");
        free(text);
        json_decref(restore);
    }
    pb_buffer progress = {0};
    json_t *object = with_phase("InProgress");
    pb_velero_progress(object, &progress);
    assert_string_equal(progress.data, "InProgress");
    json_object_set_new(json_object_get(object, "status"), "progress",
                        json_pack("{s:i,s:i}", "itemsBackedUp", 12, "totalItems", 40));
    pb_buffer_clear(&progress);
    pb_velero_progress(object, &progress);
    assert_string_equal(progress.data, "InProgress, 12 of 40 items");
    pb_buffer_free(&progress);
    json_decref(object);
}

/* ---- after a restore ---- */

static json_t *objects_of(const char *text)
{
    json_t *objects = json_loads(text, 0, NULL);
    assert_non_null(objects);
    return objects;
}

static void expect_names(const json_t *objects, const char *wanted)
{
    pb_buffer names = {0};
    for (size_t i = 0; i < json_array_size(objects); i++) {
        const json_t *object = json_array_get(objects, i);
        const json_t *metadata = json_object_get(object, "metadata");
        pb_buffer_append_format(&names, "%s/%s ",
                                json_string_value(json_object_get(object, "kind")),
                                json_string_value(json_object_get(metadata, "name")));
    }
    assert_string_equal(names.data ? names.data : "", wanted);
    pb_buffer_free(&names);
}

#define EDITED                                                                                     \
    "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"same\"}},"                \
    "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"}},"                   \
    "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"inner\"},\"spec\":{"     \
    "\"type\":\"ClusterIP\"}},"                                                                    \
    "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"outer\"},\"spec\":{"     \
    "\"type\":\"NodePort\"}},"                                                                     \
    "{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolumeClaim\",\"metadata\":{\"name\":\"c\","      \
    "\"labels\":{\"kept\":\"1\"}}},"                                                               \
    "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"pachd\"},"       \
    "\"spec\":{\"template\":{}}},"                                                                 \
    "{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":{\"name\":\"etcd\"},"       \
    "\"spec\":{\"template\":{},\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":"         \
    "\"Delete\"}}}"

static void a_plan_for_what_velero_restored(void **state)
{
    (void)state;
    json_t *after = objects_of("[" EDITED "]");
    json_t *before = objects_of("[{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{"
                                "\"name\":\"release\"},\"data\":{\"x\":\"y\"}}," EDITED "]");
    /* All but the one that is the same had a label. */
    for (size_t i = 2; i < json_array_size(before); i++) {
        json_t *metadata = json_object_get(json_array_get(before, i), "metadata");
        json_t *labels = json_object_get(metadata, "labels");
        if (!labels) {
            labels = json_object();
            json_object_set_new(metadata, "labels", labels);
        }
        json_object_set_new(labels, "velero.io/backup-name", json_string("b"));
    }
    pb_velero_plan plan;
    pb_velero_plan_edit(before, after, &plan);
    expect_names(plan.removed, "Secret/release Service/inner Service/outer Deployment/pachd ");
    expect_names(plan.orphaned, "StatefulSet/etcd ");
    expect_names(plan.replaced, "Secret/s ");
    expect_names(plan.made, "Service/inner Service/outer Deployment/pachd StatefulSet/etcd ");
    assert_null(json_object_get(json_array_get(plan.removed, 0), "data"));
    char *patches = json_dumps(plan.patches, JSON_SORT_KEYS | JSON_COMPACT);
    assert_string_equal(patches, "[{\"name\":\"c\",\"patch\":{\"metadata\":{\"annotations\":{"
                                 "\"kubectl.kubernetes.io/last-applied-configuration\":null},"
                                 "\"labels\":{\"velero.io/backup-name\":null}}}}]");
    free(patches);
    pb_velero_plan_free(&plan);
    json_decref(before);
    json_decref(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_for_what_velero_restored),
        cmocka_unit_test(only_completed_is_success),
        cmocka_unit_test(failures_come_with_veleros_words),
        cmocka_unit_test(objects_and_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
