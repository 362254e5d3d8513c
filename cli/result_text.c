#include "cli/result_text.h"

#include "base/clock.h"
#include "base/codec.h"
#include "cli/quantity.h"
#include <string.h>

typedef struct page {
    pb_buffer *buffer;
    const pb_options *options;
    bool in_line; /* one was begun */
} page;

static void end_line(page *self)
{
    if (self->in_line)
        pb_buffer_append_char(self->buffer, '\n');
    self->in_line = false;
}

/* "9 by SHA-256, 1 by ETag": those that are not zero. */
static void append_proofs(page *self, const pb_fields *kinds, const void *group)
{
    const char *joint = "";
    for (size_t i = 0; i < kinds->count; i++) {
        const pb_field *kind = &kinds->items[i];
        pb_field_value value = pb_field_value_of(kind, group, self->options);
        if (!value.is_set)
            continue;
        pb_buffer_append_text(self->buffer, joint);
        pb_quantity_count(self->buffer, value.number);
        pb_buffer_append_format(self->buffer, " %s", kind->label);
        joint = ", ";
    }
}

static void append_value(page *self, const pb_field *field, const pb_field_value *value)
{
    char time[PB_TIME_TEXT_MAX];
    switch (field->kind) {
    case PB_FIELD_COUNT:
    case PB_FIELD_LIST:
        pb_quantity_count(self->buffer, value->number);
        break;
    case PB_FIELD_BYTES:
        pb_quantity_bytes(self->buffer, value->number);
        break;
    case PB_FIELD_DURATION:
        pb_quantity_duration(self->buffer, (int64_t)value->number);
        break;
    case PB_FIELD_TIME:
        pb_time_format_rfc3339((int64_t)value->number, time);
        pb_buffer_append_text(self->buffer, time);
        break;
    case PB_FIELD_TEXT:
    case PB_FIELD_NAME:
        pb_buffer_append_text(self->buffer, value->text ? value->text : "");
        break;
    case PB_FIELD_FLAG:
        pb_buffer_append_text(self->buffer, field->words[value->number]);
        break;
    case PB_FIELD_PROOFS:
        append_proofs(self, field->fields, value->at);
        break;
    case PB_FIELD_SENTENCE:
    case PB_FIELD_GROUP_AT:
    case PB_FIELD_SNAPSHOT:
    case PB_FIELD_LINES:
    case PB_FIELD_WORKLOADS:
    case PB_FIELD_CHOICE:
        break;
    }
}

/* Whatever a repository has put into the value stays in its line, and does nothing to a terminal.
 */
static void make_harmless(pb_buffer *buffer, size_t begin)
{
    pb_buffer_append_char(buffer, '\0');
    pb_text_make_line(buffer->data + begin);
    buffer->size = begin + strlen(buffer->data + begin);
}

static void append_in_line(page *self, const pb_field *field, const void *result,
                           const pb_field_value *value)
{
    if (field->label) {
        bool dry = self->options->dry_run && field->dry_label;
        end_line(self);
        pb_buffer_append_format(self->buffer, "%-12s", dry ? field->dry_label : field->label);
    }
    size_t begin = self->buffer->size;
    self->in_line = true;
    if (field->joint)
        pb_buffer_append_text(self->buffer, field->joint);
    if (field->append)
        field->append(self->buffer, result, self->options);
    else
        append_value(self, field, value);
    if (field->remark)
        pb_buffer_append_text(self->buffer, field->remark);
    if (field->append_more)
        field->append_more(self->buffer, result, self->options);
    make_harmless(self->buffer, begin);
}

static bool is_shown(const page *self, const pb_field *field, const void *result,
                     const pb_field_value *value)
{
    return (field->label || field->joint) && (value->is_set || !(field->flags & PB_FIELD_IF_SET)) &&
           (!field->shown || field->shown(result, self->options));
}

static void append_fields(page *self, const pb_fields *fields, const void *result)
{
    for (size_t i = 0; i < fields->count; i++) {
        const pb_field *field = &fields->items[i];
        pb_field_value value = pb_field_value_of(field, result, self->options);
        if (field->commands && !(field->commands & 1U << self->options->command))
            continue;
        if (field->flags & PB_FIELD_OF_CLUSTER_RUN && !self->options->is_cluster)
            continue;
        if (field->kind == PB_FIELD_GROUP_AT || field->kind == PB_FIELD_SNAPSHOT) {
            if (value.at)
                append_fields(self, field->fields, value.at);
        } else if (field->kind == PB_FIELD_LINES) {
            for (size_t item = 0; item < value.number; item++) {
                end_line(self);
                append_fields(self, field->fields,
                              (const char *)value.at + item * field->item_size);
            }
        } else if (is_shown(self, field, result, &value)) {
            append_in_line(self, field, result, &value);
        }
    }
}

void pb_result_text(pb_buffer *buffer, const pb_fields *fields, const void *result,
                    const pb_options *options)
{
    page self = {.buffer = buffer, .options = options};
    append_fields(&self, fields, result);
    end_line(&self);
}
