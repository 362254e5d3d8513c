#include "manifest/cluster_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static json_t *load(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static void workloads_are_found_by_kind_and_name(void **state)
{
    (void)state;
    pb_workloads workloads = {0};
    pb_workloads_add(&workloads, "Deployment", "pachd", 2);
    pb_workloads_add(&workloads, "ReplicationController", "pachd", 3);
    assert_int_equal(pb_workloads_find(&workloads, "Deployment", "pachd")->replicas, 2);
    assert_int_equal(pb_workloads_find(&workloads, "ReplicationController", "pachd")->replicas, 3);
    assert_null(pb_workloads_find(&workloads, "Deployment", "pachw"));
    pb_workloads_free(&workloads);
    assert_null(workloads.items);
    assert_int_equal(workloads.count, 0);
    pb_workloads_free(&workloads);
}

static void workloads_come_back_in_their_order(void **state)
{
    (void)state;
    static const char text[] = "[{\"kind\":\"Deployment\",\"name\":\"pachd\",\"replicas\":1},"
                               "{\"kind\":\"Deployment\",\"name\":\"pachw\",\"replicas\":0},"
                               "{\"kind\":\"ReplicationController\",\"name\":\"default-edges-v1\","
                               "\"replicas\":2147483647}]";
    pb_workloads workloads = {0};
    json_t *array = load(text);
    assert_int_equal(pb_workloads_parse(array, "doc", &workloads, NULL), 0);
    json_decref(array);
    assert_int_equal(workloads.count, 3);
    assert_string_equal(workloads.items[0].name, "pachd");
    assert_string_equal(workloads.items[2].kind, "ReplicationController");
    assert_int_equal(workloads.items[2].replicas, 2147483647);
    array = pb_workloads_json(&workloads);
    char *written = json_dumps(array, JSON_COMPACT);
    assert_string_equal(written, text);
    free(written);
    json_decref(array);
    pb_workloads_free(&workloads);
}

static void no_workloads_are_an_empty_array(void **state)
{
    (void)state;
    pb_workloads workloads = {0};
    json_t *array = pb_workloads_json(&workloads);
    assert_int_equal(json_array_size(array), 0);
    assert_int_equal(pb_workloads_parse(array, "doc", &workloads, NULL), 0);
    assert_int_equal(workloads.count, 0);
    json_decref(array);
    pb_workloads_free(&workloads);
}

static void all_else_is_damaged(void **state)
{
    (void)state;
#define WORKLOAD(kind, name, replicas)                                                             \
    "{\"kind\":" kind ",\"name\":" name ",\"replicas\":" replicas "}"
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"{}", "doc: workloads are not an array"},
        {"[1]", "doc: workload 1: not a JSON object"},
        {"[{}]", "doc: workload 1: "},
        {"[" WORKLOAD("\"Deployment\"", "\"pachd\"", "-1") "]", "doc: workload 1: "},
        {"[" WORKLOAD("\"Deployment\"", "\"pachd\"", "1.5") "]", "doc: workload 1: "},
        {"[" WORKLOAD("\"Deployment\"", "\"pachd\"", "2147483648") "]", "doc: workload 1: more"},
        {"[" WORKLOAD("7", "\"pachd\"", "1") "]", "doc: workload 1: "},
        {"[" WORKLOAD("\"\"", "\"pachd\"", "1") "]", "doc: workload 1: \"kind\""},
        {"[" WORKLOAD("\"--all\"", "\"pachd\"", "1") "]", "doc: workload 1: \"kind\""},
        {"[" WORKLOAD("\"Deployment\"", "\"--all\"", "1") "]", "doc: workload 1: \"name\""},
        {"[" WORKLOAD("\"Deployment\"", "\"a/b\"", "1") "]", "doc: workload 1: \"name\""},
        {"[" WORKLOAD("\"Deployment\"", "\"\"", "1") "]", "doc: workload 1: \"name\""},
        {"[" WORKLOAD("\"Deployment\"", "\"a\"", "1") "," WORKLOAD("\"Deployment\"", "\"a\"",
                                                                   "1") "]",
         "doc: workload 2: Deployment a is there twice"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_workloads workloads = {0};
        pb_error error = {0};
        json_t *array = load(bad[i].text);
        assert_int_equal(pb_workloads_parse(array, "doc", &workloads, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
        if (strncmp(error.message, bad[i].message, strlen(bad[i].message)) != 0)
            assert_string_equal(error.message, bad[i].message);
        assert_null(workloads.items);
        json_decref(array);
    }
    pb_error error = {0};
    assert_int_equal(pb_workloads_parse(NULL, "doc", &(pb_workloads){0}, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
}

static void artifacts_are_found_by_kind_and_database(void **state)
{
    (void)state;
    pb_cluster_record record = {.name_space = pb_duplicate(PB_SLICE_LITERAL("prod"))};
    assert_null(pb_cluster_record_find(&record, PB_ARTIFACT_DUMP, NULL));
    static const char *const databases[] = {"pachyderm", "dex"};
    for (size_t i = 0; i < COUNT(databases); i++) {
        pb_artifact *artifact = pb_cluster_record_add(&record);
        assert_null(artifact->path);
        assert_int_equal(artifact->bytes, 0);
        artifact->kind = PB_ARTIFACT_DUMP;
        artifact->path = pb_duplicate(pb_slice_of(databases[i]));
        artifact->database = pb_duplicate(pb_slice_of(databases[i]));
    }
    pb_cluster_record_add(&record)->kind = PB_ARTIFACT_OBJECTS;
    assert_string_equal(pb_cluster_record_find(&record, PB_ARTIFACT_DUMP, "dex")->path, "dex");
    assert_string_equal(pb_cluster_record_find(&record, PB_ARTIFACT_DUMP, NULL)->path, "pachyderm");
    assert_null(pb_cluster_record_find(&record, PB_ARTIFACT_DUMP, "postgres"));
    assert_null(pb_cluster_record_find(&record, PB_ARTIFACT_DUMP_ALL, NULL));
    assert_non_null(pb_cluster_record_find(&record, PB_ARTIFACT_OBJECTS, ""));
    pb_cluster_record_free(&record);
    assert_null(record.artifacts);
    assert_null(record.name_space);
    assert_int_equal(record.artifact_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workloads_are_found_by_kind_and_name),
        cmocka_unit_test(workloads_come_back_in_their_order),
        cmocka_unit_test(no_workloads_are_an_empty_array),
        cmocka_unit_test(all_else_is_damaged),
        cmocka_unit_test(artifacts_are_found_by_kind_and_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
