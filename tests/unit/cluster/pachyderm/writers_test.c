/* Who writes: what backup and restore call a worker is one thing. The rest is tested with scaling.
 */
#include "cluster/pachyderm/writers.h"

#include "cluster/kubernetes/capture.h"
#include "tests/support/quoted_json.h"

/* pachd and its pipelines are told by the same rules whether they are suspended or captured. */
static void a_worker_that_is_suspended_is_not_captured(void **state)
{
    (void)state;
    static const char *const workers[] = {
        "{'kind':'ReplicationController','metadata':{'name':'default-edges-v1','labels':"
        "{'suite':'pachyderm','component':'worker'}}}",
        "{'kind':'ReplicationController','metadata':{'name':'default-edges-v1','labels':"
        "{'suite':'pachyderm','pipelineName':'edges'}}}",
    };
    static const char other[] =
        "{'kind':'ReplicationController','metadata':{'name':'mine','labels':{'component':"
        "'worker'}}}";
    for (size_t i = 0; i < sizeof workers / sizeof *workers; i++) {
        json_t *worker = json(workers[i]);
        assert_int_equal(pb_writer_of(worker), PB_WRITER_WORKER);
        assert_int_equal(pb_writer_of_pod(worker), PB_WRITER_WORKER);
        assert_false(pb_capture_wants(worker));
        json_decref(worker);
    }
    json_t *object = json(other);
    assert_int_equal(pb_writer_of(object), PB_WRITER_NONE);
    assert_true(pb_capture_wants(object));
    json_decref(object);
}

static void pachd_without_a_label_goes_by_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *object;
        pb_writer writer;
    } cases[] = {
        {"{'kind':'Deployment','metadata':{'name':'pachd'}}", PB_WRITER_PACHD},
        {"{'kind':'Deployment','metadata':{'name':'pachw'}}", PB_WRITER_PACHW},
        {"{'kind':'Deployment','metadata':{'name':'pachd','labels':{'app':'mine'}}}",
         PB_WRITER_NONE},
        {"{'kind':'Deployment','metadata':{'name':'pach-enterprise'}}", PB_WRITER_NONE},
        {"{'kind':'StatefulSet','metadata':{'name':'pachd'}}", PB_WRITER_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *object = json(cases[i].object);
        assert_int_equal(pb_writer_of(object), cases[i].writer);
        json_decref(object);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_that_is_suspended_is_not_captured),
        cmocka_unit_test(pachd_without_a_label_goes_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
