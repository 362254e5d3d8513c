/* Each field of each table is in the text and in the JSON: every value is filled with another one,
 * and looked for in both. What is in one alone is named here. */
#include "base/clock.h"
#include "cli/quantity.h"
#include "cli/result_json.h"
#include "cli/result_text.h"
#include "tests/unit/cli/result_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* In JSON alone: the member around it, and its name. */
static const char *const json_alone[][2] = {
    {"cluster", "database"}, /* each dump's line names its own */
    {"cluster", "identity_database"},
    {"cluster", "kubernetes"}, /* the line of the capture, or Velero's, is there, or none */
    {"cluster", "resumed"},    /* from when, and how long it was suspended, is said */
    {"cluster", "workloads"},  /* as many as there are pipelines */
    {"artifacts", "bytes"},    /* what is stored counts */
    {"parts", "name"},         /* the text counts the parts */
    {"parts", "after"},
    {"parts", "through"},
    {"parts", "records"},
    {"parts", "bytes"},
    {"parts", "stored_bytes"},
    {"", "resumed"},               /* the line of resumed_objects is there, or not */
    {"", "helm_objects_left_out"}, /* helm_hint has it */
};

static bool may_be_json_alone(const char *around, const char *name)
{
    for (size_t i = 0; i < sizeof json_alone / sizeof *json_alone; i++)
        if (strcmp(json_alone[i][0], around) == 0 && strcmp(json_alone[i][1], name) == 0)
            return true;
    return false;
}

typedef struct trial {
    const pb_options *options;
    const char *text; /* NULL: fill, else look */
    unsigned next;
    unsigned in_text, in_json;
} trial;

static bool is_read_at_offset(const pb_field *field)
{
    return !field->number && !field->text && !field->group && !(field->flags & PB_FIELD_OF_OPTIONS);
}

/* Gives a value of its own, and returns what the text is to say of it. */
static const char *fill(trial *self, const pb_field *field, char *at)
{
    static char texts[200][32];
    char *text = texts[self->next % 200];
    unsigned number = self->next++;
    switch (field->kind) {
    case PB_FIELD_COUNT:
    case PB_FIELD_SENTENCE:
        *(uint64_t *)at = 70001 + number;
        break;
    case PB_FIELD_BYTES:
        *(uint64_t *)at = (uint64_t)(number + 100) << 20;
        break;
    case PB_FIELD_DURATION:
        *(int64_t *)at = 1000 * (int64_t)(number + 3600);
        break;
    case PB_FIELD_TIME:
        *(int64_t *)at = 1795411260000 + 60000 * (int64_t)number;
        break;
    case PB_FIELD_TEXT:
        snprintf(text, sizeof texts[0], "text-%u", number);
        *(char **)at = text;
        break;
    case PB_FIELD_NAME:
        snprintf(at, 12, "name-%u", number);
        break;
    case PB_FIELD_FLAG:
        *(bool *)at = true;
        break;
    default:
        break;
    }
    return text;
}

static void fill_all(trial *self, const pb_fields *fields, char *base)
{
    for (size_t i = 0; i < fields->count; i++) {
        const pb_field *field = &fields->items[i];
        if (!is_read_at_offset(field))
            continue;
        char *at = base + field->offset;
        switch (field->kind) {
        case PB_FIELD_GROUP_AT:
            fill_all(self, field->fields, *(char **)at);
            break;
        case PB_FIELD_SNAPSHOT:
        case PB_FIELD_PROOFS:
            fill_all(self, field->fields, at);
            break;
        case PB_FIELD_LIST:
        case PB_FIELD_LINES:
            for (size_t item = 0; item < *(size_t *)(base + field->count_offset); item++)
                fill_all(self, field->fields, *(char **)at + item * field->item_size);
            break;
        default:
            fill(self, field, at);
        }
    }
}

/* What a value looks like in the text. */
static void expect_text(pb_buffer *buffer, const pb_field *field, const pb_field_value *value)
{
    char time[PB_TIME_TEXT_MAX];
    pb_buffer_clear(buffer);
    if (field->kind == PB_FIELD_BYTES)
        pb_quantity_bytes(buffer, value->number);
    else if (field->kind == PB_FIELD_DURATION)
        pb_quantity_duration(buffer, (int64_t)value->number);
    else if (field->kind == PB_FIELD_TIME)
        pb_time_format_rfc3339((int64_t)value->number, time), pb_buffer_append_text(buffer, time);
    else if (field->kind == PB_FIELD_TEXT || field->kind == PB_FIELD_NAME)
        pb_buffer_append_text(buffer, value->text);
    else if (field->kind == PB_FIELD_FLAG)
        pb_buffer_append_text(buffer, field->words[value->number]);
    else
        pb_quantity_count(buffer, value->number);
}

/* The same in JSON. */
static void assert_json(const pb_field *field, const pb_field_value *value, const json_t *found)
{
    if (!found)
        fail_msg("%s is not in the JSON", field->name);
    if (field->kind == PB_FIELD_TIME)
        assert_true(json_is_string(found));
    else if (field->kind == PB_FIELD_SENTENCE)
        assert_true(json_is_string(found));
    else if (field->kind == PB_FIELD_TEXT || field->kind == PB_FIELD_NAME)
        assert_string_equal(json_string_value(found), value->text);
    else if (field->kind == PB_FIELD_FLAG)
        assert_true(json_is_true(found));
    else if (field->kind == PB_FIELD_LIST || field->kind == PB_FIELD_LINES)
        assert_int_equal(json_array_size(found), value->number);
    else if (field->kind != PB_FIELD_WORKLOADS)
        assert_int_equal(json_integer_value(found), value->number);
}

/* `in_text`: the groups around it are in the text of this command. */
static void look(trial *self, const char *around, const pb_fields *fields, const void *base,
                 const json_t *object, bool in_text)
{
    pb_buffer expected = {0};
    for (size_t i = 0; i < fields->count; i++) {
        const pb_field *field = &fields->items[i];
        pb_field_value value = pb_field_value_of(field, base, self->options);
        const json_t *found = field->name ? json_object_get(object, field->name) : object;
        bool here = in_text && (!field->commands || field->commands & 1U << self->options->command);
        if (field->kind == PB_FIELD_CHOICE)
            continue; /* no field of the text */
        if (field->kind == PB_FIELD_GROUP_AT || field->kind == PB_FIELD_SNAPSHOT ||
            field->kind == PB_FIELD_PROOFS) {
            assert_non_null(value.at);
            look(self, field->name ? field->name : around, field->fields, value.at, found, here);
            continue;
        }
        if (field->kind == PB_FIELD_LIST || field->kind == PB_FIELD_LINES)
            for (size_t item = 0; item < value.number; item++)
                look(self, field->name ? field->name : around, field->fields,
                     (const char *)value.at + item * field->item_size, json_array_get(found, item),
                     here && field->kind == PB_FIELD_LINES);
        if (field->name) {
            assert_json(field, &value, found);
            self->in_json++;
        }
        if (!field->label && !field->joint && field->kind != PB_FIELD_LINES &&
            !may_be_json_alone(around, field->name))
            fail_msg("%s is not in the text", field->name);
        if (!here || (!field->label && !field->joint))
            continue;
        expect_text(&expected, field, &value);
        if (!strstr(self->text, expected.data))
            fail_msg("%s (%s) is not in the text: %s", field->name, expected.data, self->text);
        self->in_text++;
    }
    pb_buffer_free(&expected);
}

static void check(const pb_fields *fields, void *result, const pb_options *options)
{
    pb_buffer text = {0};
    json_t *object = json_object();
    trial self = {.options = options};
    fill_all(&self, fields, result);
    pb_result_text(&text, fields, result, options);
    pb_result_json(object, fields, result, options);
    self.text = text.data;
    look(&self, "", fields, result, object, true);
    assert_true(self.in_text > 5 && self.in_json > 5);
    json_decref(object);
    pb_buffer_free(&text);
}

static void of_a_backup(void **state)
{
    (void)state;
    pb_backup_result result = sample_backup();
    check(&pb_backup_fields, &result, &(pb_options){.command = PB_COMMAND_BACKUP});
}

static void of_a_restore(void **state)
{
    (void)state;
    pb_restore_result result = sample_restore();
    check(&pb_restore_fields, &result,
          &(pb_options){.command = PB_COMMAND_RESTORE,
                        .prefix = "asked/",
                        .is_cluster = true,
                        .name_space = "again"});
}

static void of_a_verify(void **state)
{
    (void)state;
    pb_verify_result result = sample_verify();
    check(&pb_verify_fields, &result,
          &(pb_options){.command = PB_COMMAND_VERIFY, .prefix = "asked/", .read = true});
}

static void of_a_copy(void **state)
{
    (void)state;
    pb_copy_result result = sample_copy();
    check(&pb_copy_fields, &result, &(pb_options){.command = PB_COMMAND_COPY, .prefix = "asked/"});
}

static void of_a_snapshot(void **state)
{
    (void)state;
    pb_snapshot_file file = sample_snapshot();
    check(&pb_show_fields, &file, &(pb_options){.command = PB_COMMAND_SHOW});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_backup),   cmocka_unit_test(of_a_restore),
        cmocka_unit_test(of_a_verify),   cmocka_unit_test(of_a_copy),
        cmocka_unit_test(of_a_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
