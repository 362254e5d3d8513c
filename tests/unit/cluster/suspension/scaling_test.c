/* Who writes, and the record of a suspension. The driving is tested on a real API server. */
#include "cluster/pachyderm/writers.h"
#include "cluster/suspension/scaling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static json_t *json_of(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static void test_writers(void **state)
{
    (void)state;
    static const struct {
        const char *object;
        pb_writer writer;
    } cases[] = {
        {"{\"kind\":\"Deployment\",\"metadata\":{\"labels\":{\"app\":\"pachd\"}}}",
         PB_WRITER_PACHD},
        {"{\"kind\":\"Deployment\",\"metadata\":{\"labels\":{\"app\":\"pachw\"}}}",
         PB_WRITER_PACHW},
        {"{\"kind\":\"ReplicationController\",\"metadata\":{\"labels\":{\"suite\":\"pachyderm\","
         "\"component\":\"worker\",\"app\":\"x\"}}}",
         PB_WRITER_WORKER},
        {"{\"kind\":\"Deployment\",\"metadata\":{\"labels\":{\"app\":\"pg-bouncer\","
         "\"suite\":\"pachyderm\"}}}",
         PB_WRITER_NONE},
        {"{\"kind\":\"ReplicationController\",\"metadata\":{\"labels\":{\"app\":\"pachd\"}}}",
         PB_WRITER_NONE},
        {"{\"kind\":\"Service\",\"metadata\":{\"labels\":{\"suite\":\"pachyderm\","
         "\"component\":\"worker\"}}}",
         PB_WRITER_NONE},
        {"{\"kind\":7,\"metadata\":[]}", PB_WRITER_NONE},
        {"{}", PB_WRITER_NONE},
        {"null", PB_WRITER_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *object = json_of(cases[i].object);
        assert_int_equal(pb_writer_of(object), cases[i].writer);
        json_decref(object);
    }
}

static void test_replicas(void **state)
{
    (void)state;
    static const struct {
        const char *object;
        uint64_t replicas;
    } cases[] = {
        {"{\"spec\":{\"replicas\":3}}", 3},
        {"{\"spec\":{\"replicas\":0}}", 0},
        {"{\"spec\":{}}", 1},
        {"{}", 1},
        {"{\"spec\":{\"replicas\":-4}}", 0},
        {"{\"spec\":{\"replicas\":\"2\"}}", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *object = json_of(cases[i].object);
        assert_int_equal(pb_object_replicas(object), cases[i].replicas);
        json_decref(object);
    }
}

static void test_pods(void **state)
{
    (void)state;
    json_t *pod = json_of("{\"metadata\":{\"labels\":{\"app\":\"pachd\"}},"
                          "\"status\":{\"phase\":\"Running\"}}");
    assert_int_equal(pb_writer_of_pod(pod), PB_WRITER_PACHD);
    assert_true(pb_pod_is_there(pod));
    json_object_set_new(json_object_get(pod, "status"), "phase", json_string("Failed"));
    assert_false(pb_pod_is_there(pod));
    json_decref(pod);
}

static void test_selectors(void **state)
{
    (void)state;
    static const struct {
        const char *workload;
        bool selects;
    } cases[] = {
        {"{\"kind\":\"Deployment\",\"spec\":{\"selector\":{\"matchLabels\":{\"role\":\"d\"}}}}",
         true},
        {"{\"kind\":\"Deployment\",\"spec\":{\"selector\":{\"matchLabels\":{\"role\":\"d\","
         "\"tier\":\"1\"}}}}",
         true},
        {"{\"kind\":\"Deployment\",\"spec\":{\"selector\":{\"matchLabels\":{\"role\":\"e\"}}}}",
         false},
        {"{\"kind\":\"Deployment\",\"spec\":{\"selector\":{\"matchLabels\":{\"role\":\"d\","
         "\"tier\":\"2\"}}}}",
         false},
        {"{\"kind\":\"Deployment\",\"spec\":{\"selector\":{\"role\":\"d\"}}}", false},
        {"{\"kind\":\"ReplicationController\",\"spec\":{\"selector\":{\"role\":\"d\"}}}", true},
        {"{\"kind\":\"ReplicationController\",\"spec\":{\"selector\":{\"role\":7}}}", false},
        {"{\"kind\":\"ReplicationController\",\"spec\":{\"selector\":{}}}", false},
        {"{\"kind\":\"ReplicationController\"}", false},
    };
    json_t *pod =
        json_of("{\"kind\":\"Pod\",\"metadata\":{\"labels\":{\"role\":\"d\",\"tier\":\"1\"}}}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *workload = json_of(cases[i].workload);
        assert_int_equal(pb_writer_selects(workload, pod), cases[i].selects);
        json_decref(workload);
    }
    json_decref(pod);
}

/* Scaled to 0, but its controller may not have seen it: it could still make a pod. */
static void test_settled(void **state)
{
    (void)state;
    static const struct {
        const char *workload;
        bool settled;
    } cases[] = {
        {"{\"metadata\":{\"generation\":3},\"spec\":{\"replicas\":0},"
         "\"status\":{\"observedGeneration\":3}}",
         true},
        {"{\"metadata\":{\"generation\":3},\"spec\":{\"replicas\":0},"
         "\"status\":{\"observedGeneration\":2}}",
         false},
        {"{\"metadata\":{\"generation\":3},\"spec\":{\"replicas\":0},"
         "\"status\":{\"observedGeneration\":3,\"replicas\":1}}",
         false},
        {"{\"metadata\":{\"generation\":3},\"spec\":{\"replicas\":1},"
         "\"status\":{\"observedGeneration\":3}}",
         false},
        {"{\"metadata\":{\"generation\":1},\"spec\":{\"replicas\":0}}", false},
        {"{}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *workload = json_of(cases[i].workload);
        assert_int_equal(pb_writer_is_settled(workload), cases[i].settled);
        json_decref(workload);
    }
}

static void fill(pb_suspension *suspension)
{
    *suspension = (pb_suspension){.started_ms = 1795000000123};
    suspension->holder = pb_duplicate(PB_SLICE_LITERAL("20261123T052049Z-3f9a"));
    pb_process_this(&suspension->process);
    pb_workloads_add(&suspension->workloads, "Deployment", "pachd", 2);
    pb_workloads_add(&suspension->workloads, "ReplicationController", "pipeline-edges-v1", 0);
}

static void test_record_round_trip(void **state)
{
    (void)state;
    pb_suspension suspension, read;
    pb_error error = {0};
    fill(&suspension);
    json_t *object = pb_suspension_config_map(&suspension);
    assert_int_equal(pb_suspension_of_config_map(object, &read, &error), 0);
    assert_string_equal(read.holder, suspension.holder);
    assert_string_equal(read.process.host, suspension.process.host);
    assert_string_equal(read.process.boot_id, suspension.process.boot_id);
    assert_int_equal(read.process.pid, suspension.process.pid);
    assert_int_equal(read.process.pid_start, suspension.process.pid_start);
    assert_int_equal(read.process.heartbeat_ms, suspension.process.heartbeat_ms);
    assert_int_equal(read.started_ms, suspension.started_ms);
    assert_int_equal(read.workloads.count, 2);
    assert_int_equal(pb_workloads_find(&read.workloads, "Deployment", "pachd")->replicas, 2);
    assert_true(pb_process_is_alive(&read.process));
    json_decref(object);
    pb_suspension_record_free(&suspension);
    pb_suspension_record_free(&read);
}

/* A record has no time of the first scaling, but its counts were written before that. */
static void test_when_a_record_was_scaled(void **state)
{
    (void)state;
    pb_suspension suspension = {0}, read;
    pb_error error = {0};
    fill(&suspension);
    json_t *object = pb_suspension_json(&suspension);
    assert_int_equal(pb_suspension_parse(object, &read, &error), 0);
    assert_true(read.started_ms != 0);
    assert_int_equal(read.scaled_ms, read.started_ms);
    pb_suspension_record_free(&read);
    json_object_set_new(object, "workloads", json_array());
    assert_int_equal(pb_suspension_parse(object, &read, &error), 0);
    assert_int_equal(read.scaled_ms, 0);
    pb_suspension_record_free(&read);
    json_decref(object);
    pb_suspension_record_free(&suspension);
}

static void test_damaged_records(void **state)
{
    (void)state;
    static const char *const members[] = {"holder",    "host",    "boot_id",   "pid",
                                          "pid_start", "started", "heartbeat", "workloads"};
    pb_suspension suspension, read;
    pb_error error = {0};
    fill(&suspension);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *object = pb_suspension_json(&suspension);
        json_object_del(object, members[i]);
        assert_int_equal(pb_suspension_parse(object, &read, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
        assert_non_null(strstr(error.message, members[i]));
        json_object_set_new(object, members[i], json_pack("[b]", 1));
        assert_int_equal(pb_suspension_parse(object, &read, &error), -1);
        json_decref(object);
    }
    json_t *empty = json_of("{\"kind\":\"ConfigMap\",\"data\":{}}");
    assert_int_equal(pb_suspension_of_config_map(empty, &read, &error), -1);
    assert_non_null(strstr(error.hint, "delete ConfigMap"));
    json_decref(empty);
    pb_suspension_record_free(&suspension);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writers),
        cmocka_unit_test(test_replicas),
        cmocka_unit_test(test_pods),
        cmocka_unit_test(test_selectors),
        cmocka_unit_test(test_settled),
        cmocka_unit_test(test_record_round_trip),
        cmocka_unit_test(test_when_a_record_was_scaled),
        cmocka_unit_test(test_damaged_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
