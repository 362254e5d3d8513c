/* libFuzzer: what a cluster answers. The first byte picks a parser, the rest is its input. A record
 * of a suspension that is read must be written, and read again, as the same. */
#include "cluster/pachyderm/pachyderm.h"
#include "cluster/suspension/scaling.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_pachyderm(const json_t *value)
{
    pb_pachyderm pachyderm;
    pb_error error;
    if (pb_pachyderm_parse(value, &pachyderm, &error) != 0)
        return;
    if (pachyderm.writers.count == 0 || pachyderm.database_port == 0 ||
        pachyderm.database_port > 65535)
        abort();
    pb_pachyderm_free(&pachyderm);
}

static void fuzz_suspension(const json_t *value)
{
    pb_suspension suspension, again;
    pb_error error;
    if (pb_suspension_parse(value, &suspension, &error) != 0)
        return;
    json_t *object = pb_suspension_config_map(&suspension);
    if (pb_suspension_of_config_map(object, &again, &error) != 0)
        abort();
    json_t *first = pb_suspension_json(&suspension), *second = pb_suspension_json(&again);
    if (!json_equal(first, second))
        abort();
    json_decref(first);
    json_decref(second);
    json_decref(object);
    pb_suspension_record_free(&suspension);
    pb_suspension_record_free(&again);
}

static void fuzz_workloads(const json_t *value)
{
    pb_workloads workloads;
    pb_error error;
    if (pb_workloads_parse(value, "workloads", &workloads, &error) != 0)
        return;
    for (size_t i = 0; i < workloads.count; i++) /* they become arguments */
        if (workloads.items[i].kind[0] == '-' || workloads.items[i].name[0] == '-')
            abort();
    pb_workloads_free(&workloads);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    pb_slice text = {(const char *)data + 1, size - 1}, line;
    json_t *value =
        json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    switch (data[0] % 4) {
    case 0:
        fuzz_pachyderm(value);
        break;
    case 1:
        fuzz_suspension(value);
        break;
    case 2:
        fuzz_workloads(value);
        break;
    case 3:
        (void)pb_kubectl_kind_of(text, &line);
        break;
    }
    json_decref(value);
    return 0;
}
