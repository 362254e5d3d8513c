#include "bench/origin/fault_plan.h"
#include "base/codec.h"
#include <stdlib.h>

static const char *const names[PB_ORIGIN_FAULT_COUNT] = {
    [PB_ORIGIN_FAULT_NONE] = "none",           [PB_ORIGIN_FAULT_ERROR403] = "error403",
    [PB_ORIGIN_FAULT_ERROR500] = "error500",   [PB_ORIGIN_FAULT_ERROR503] = "error503",
    [PB_ORIGIN_FAULT_RESET] = "reset",         [PB_ORIGIN_FAULT_RESET_AFTER] = "reset-after",
    [PB_ORIGIN_FAULT_TRUNCATED] = "truncated", [PB_ORIGIN_FAULT_FLIPPED] = "flipped",
    [PB_ORIGIN_FAULT_GARBLED] = "garbled",     [PB_ORIGIN_FAULT_STALL] = "stall",
    [PB_ORIGIN_FAULT_ERROR200] = "error200",   [PB_ORIGIN_FAULT_LOST] = "lost",
    [PB_ORIGIN_FAULT_SLOW] = "slow",           [PB_ORIGIN_FAULT_ERROR401] = "error401",
    [PB_ORIGIN_FAULT_ERROR429] = "error429",   [PB_ORIGIN_FAULT_PARTIAL] = "partial",
    [PB_ORIGIN_FAULT_GONE] = "gone",
};

const char *pb_origin_fault_name(pb_origin_fault fault)
{
    return names[fault];
}

/* Whether a fault means anything for an operation; where it does not, the rule is passed over. */
static bool applies(pb_origin_fault fault, pb_origin_operation operation)
{
    switch (fault) {
    case PB_ORIGIN_FAULT_ERROR200:
        return operation == PB_ORIGIN_COPY_OBJECT || operation == PB_ORIGIN_UPLOAD_PART_COPY ||
               operation == PB_ORIGIN_COMPLETE_MULTIPART_UPLOAD;
    case PB_ORIGIN_FAULT_LOST:
        return operation == PB_ORIGIN_PUT_OBJECT || operation == PB_ORIGIN_COPY_OBJECT ||
               operation == PB_ORIGIN_UPLOAD_PART || operation == PB_ORIGIN_UPLOAD_PART_COPY ||
               operation == PB_ORIGIN_COMPLETE_MULTIPART_UPLOAD ||
               operation == PB_ORIGIN_GCS_OBJECTS_INSERT ||
               operation == PB_ORIGIN_GCS_UPLOAD_CHUNK ||
               operation == PB_ORIGIN_GCS_OBJECTS_REWRITE ||
               operation == PB_ORIGIN_GCS_OBJECTS_COMPOSE;
    case PB_ORIGIN_FAULT_FLIPPED:
        return operation == PB_ORIGIN_GET_OBJECT || operation == PB_ORIGIN_PUT_OBJECT ||
               operation == PB_ORIGIN_UPLOAD_PART || operation == PB_ORIGIN_GCS_OBJECTS_DOWNLOAD ||
               operation == PB_ORIGIN_GCS_OBJECTS_INSERT || operation == PB_ORIGIN_GCS_UPLOAD_CHUNK;
    case PB_ORIGIN_FAULT_GARBLED:
        return operation == PB_ORIGIN_PUT_OBJECT || operation == PB_ORIGIN_UPLOAD_PART ||
               operation == PB_ORIGIN_GCS_OBJECTS_INSERT || operation == PB_ORIGIN_GCS_UPLOAD_CHUNK;
    case PB_ORIGIN_FAULT_ERROR401:
    case PB_ORIGIN_FAULT_ERROR429:
        return pb_origin_operation_is_gcs(operation);
    case PB_ORIGIN_FAULT_PARTIAL:
        return operation == PB_ORIGIN_GCS_UPLOAD_CHUNK;
    case PB_ORIGIN_FAULT_GONE:
        return operation == PB_ORIGIN_GCS_UPLOAD_CHUNK || operation == PB_ORIGIN_GCS_UPLOAD_STATUS;
    case PB_ORIGIN_FAULT_TRUNCATED:
        return operation == PB_ORIGIN_GET_OBJECT || operation == PB_ORIGIN_LIST_BUCKETS ||
               operation == PB_ORIGIN_LIST_OBJECTS || operation == PB_ORIGIN_LIST_OBJECTS_V2 ||
               operation == PB_ORIGIN_LIST_PARTS || operation == PB_ORIGIN_COPY_OBJECT ||
               operation == PB_ORIGIN_LIST_MULTIPART_UPLOADS ||
               operation == PB_ORIGIN_UPLOAD_PART_COPY ||
               operation == PB_ORIGIN_CREATE_MULTIPART_UPLOAD ||
               operation == PB_ORIGIN_COMPLETE_MULTIPART_UPLOAD ||
               operation == PB_ORIGIN_DELETE_OBJECTS ||
               (pb_origin_operation_is_gcs(operation) && operation != PB_ORIGIN_GCS_OBJECTS_DELETE);
    default:
        return true;
    }
}

static pb_slice next_word(pb_slice *line)
{
    while (line->size > 0 && (line->data[0] == ' ' || line->data[0] == '\t')) {
        line->data++;
        line->size--;
    }
    pb_slice word = {line->data, 0};
    while (word.size < line->size && line->data[word.size] != ' ' &&
           line->data[word.size] != '\t') {
        word.size++;
    }
    line->data += word.size;
    line->size -= word.size;
    return word;
}

static bool parse_probability(pb_slice text, double *ret_probability)
{
    char copy[32];
    if (text.size == 0 || text.size >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    char *end;
    *ret_probability = strtod(copy, &end);
    return *end == 0 && *ret_probability >= 0 && *ret_probability <= 1;
}

static bool parse_setting(pb_origin_fault_rule *rule, pb_slice name, pb_slice value)
{
    if (pb_slice_equal(name, PB_SLICE_LITERAL("probability"))) {
        return parse_probability(value, &rule->probability);
    }
    if (pb_slice_equal(name, PB_SLICE_LITERAL("operation"))) {
        return pb_origin_operation_parse(value, &rule->operation);
    }
    if (pb_slice_equal(name, PB_SLICE_LITERAL("times"))) {
        return pb_parse_unsigned(value, &rule->times);
    }
    if (pb_slice_equal(name, PB_SLICE_LITERAL("after"))) {
        return pb_parse_unsigned(value, &rule->after);
    }
    if (pb_slice_equal(name, PB_SLICE_LITERAL("delay"))) {
        return pb_parse_unsigned(value, &rule->delay_ms);
    }
    if (!pb_slice_equal(name, PB_SLICE_LITERAL("key"))) {
        return false;
    }
    pb_buffer key = {0};
    bool is_sound = pb_percent_decode(&key, value, false);
    free(rule->key);
    rule->key = is_sound ? pb_duplicate(pb_buffer_slice(&key)) : NULL;
    pb_buffer_free(&key);
    return is_sound;
}

static int parse_rule(pb_slice line, pb_origin_fault_rule *rule, pb_error *error)
{
    *rule = (pb_origin_fault_rule){
        .probability = 1,
        .operation = PB_ORIGIN_OPERATION_COUNT,
        .times = UINT64_MAX,
        .delay_ms = 1000,
    };
    pb_slice kind = next_word(&line);
    for (int i = 1; i < PB_ORIGIN_FAULT_COUNT; i++) {
        if (pb_slice_equal(kind, pb_slice_of(names[i]))) {
            rule->fault = (pb_origin_fault)i;
        }
    }
    if (rule->fault == PB_ORIGIN_FAULT_NONE) {
        return pb_error_set(error, PB_ERROR_USAGE, "no fault is called \"%.*s\"",
                            PB_SLICE_FORMAT(kind));
    }
    for (;;) {
        pb_slice word = next_word(&line);
        if (word.size == 0) {
            return 0;
        }
        const char *equals = memchr(word.data, '=', word.size);
        pb_slice name = {word.data, equals ? (size_t)(equals - word.data) : word.size};
        pb_slice value = {equals ? equals + 1 : NULL, equals ? word.size - name.size - 1 : 0};
        if (!equals || !parse_setting(rule, name, value)) {
            return pb_error_set(error, PB_ERROR_USAGE, "\"%.*s\" is no setting of a fault",
                                PB_SLICE_FORMAT(word));
        }
    }
}

static int parse_line(pb_origin_fault_plan *plan, pb_slice line, pb_error *error)
{
    const char *comment = line.size > 0 ? memchr(line.data, '#', line.size) : NULL;
    if (comment) {
        line.size = (size_t)(comment - line.data);
    }
    if (line.size > 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    pb_slice word = next_word(&line);
    if (word.size == 0) {
        return 0;
    }
    if (pb_slice_equal(word, PB_SLICE_LITERAL("seed"))) {
        pb_slice value = next_word(&line);
        if (!pb_parse_unsigned(value, &plan->random.state) || next_word(&line).size > 0) {
            return pb_error_set(error, PB_ERROR_USAGE, "\"seed\" wants one number");
        }
        return 0;
    }
    if (!pb_slice_equal(word, PB_SLICE_LITERAL("fault"))) {
        return pb_error_set(error, PB_ERROR_USAGE, "\"%.*s\" is neither \"seed\" nor \"fault\"",
                            PB_SLICE_FORMAT(word));
    }
    if (plan->rule_count == PB_ORIGIN_FAULT_RULES_MAX) {
        return pb_error_set(error, PB_ERROR_USAGE, "more than %d faults",
                            (int)PB_ORIGIN_FAULT_RULES_MAX);
    }
    return parse_rule(line, &plan->rules[plan->rule_count++], error);
}

int pb_origin_fault_plan_parse(pb_slice text, pb_origin_fault_plan *ret_plan, pb_error *error)
{
    pb_origin_fault_plan plan = {.random = {1}};
    for (int number = 1; text.size > 0; number++) {
        const char *end = memchr(text.data, '\n', text.size);
        pb_slice line = {text.data, end ? (size_t)(end - text.data) : text.size};
        if (parse_line(&plan, line, error) != 0) {
            pb_origin_fault_plan_free(&plan);
            return pb_error_context(error, "fault plan, line %d", number);
        }
        text.data += line.size + (end ? 1 : 0);
        text.size -= line.size + (end ? 1 : 0);
    }
    pb_origin_fault_plan_free(ret_plan);
    *ret_plan = plan;
    return 0;
}

void pb_origin_fault_plan_free(pb_origin_fault_plan *plan)
{
    for (size_t i = 0; i < plan->rule_count; i++) {
        free(plan->rules[i].key);
    }
    *plan = (pb_origin_fault_plan){0};
}

pb_origin_fault pb_origin_fault_plan_next(pb_origin_fault_plan *plan, pb_origin_operation operation,
                                          pb_slice key, uint64_t *ret_delay_ms)
{
    for (size_t i = 0; i < plan->rule_count; i++) {
        pb_origin_fault_rule *rule = &plan->rules[i];
        if (rule->times == 0 || !applies(rule->fault, operation) ||
            (rule->operation != PB_ORIGIN_OPERATION_COUNT && rule->operation != operation) ||
            (rule->key &&
             (key.size == 0 || !memmem(key.data, key.size, rule->key, strlen(rule->key))))) {
            continue;
        }
        if (rule->after > 0) {
            rule->after--;
            continue;
        }
        /* 53 bits are what a double holds exactly. */
        double dice = (double)(pb_random_next(&plan->random) >> 11) / 9007199254740992.0;
        if (dice < rule->probability) {
            if (rule->times != UINT64_MAX) {
                rule->times--;
            }
            *ret_delay_ms = rule->delay_ms;
            return rule->fault;
        }
    }
    return PB_ORIGIN_FAULT_NONE;
}
