/* cli/result_fields.h - what each result consists of: one table a result, which both result_text.h
 * and result_json.h read. Constant, any thread. */
#ifndef PB_CLI_RESULT_FIELDS_H
#define PB_CLI_RESULT_FIELDS_H

#include "cli/commands.h"

typedef enum pb_field_kind {
    PB_FIELD_COUNT,     /* uint64_t: "1,234" */
    PB_FIELD_BYTES,     /* uint64_t: "1.50 GiB" */
    PB_FIELD_DURATION,  /* int64_t, milliseconds: "5 min 02 s"; below 0: not known */
    PB_FIELD_TIME,      /* int64_t, milliseconds in UTC, as RFC 3339; 0: not known */
    PB_FIELD_TEXT,      /* char *; NULL: not known */
    PB_FIELD_NAME,      /* char[]; "": none */
    PB_FIELD_FLAG,      /* bool: words[value] */
    PB_FIELD_SENTENCE,  /* uint64_t: what `append` says of it, in JSON too; 0: nothing */
    PB_FIELD_PROOFS,    /* a group of counts in one line: "9 by SHA-256, 1 by ETag" */
    PB_FIELD_GROUP_AT,  /* the structure that a pointer leads to; NULL: none */
    PB_FIELD_SNAPSHOT,  /* a pb_snapshot_file; none where it has no source */
    PB_FIELD_LIST,      /* a pointer to structures, one after another; text: their count */
    PB_FIELD_LINES,     /* the same; text: a line each */
    PB_FIELD_WORKLOADS, /* pb_workloads; JSON alone */
    PB_FIELD_CHOICE,    /* pb_choice; JSON alone: as text its parts are notes of the run */
} pb_field_kind;

enum {
    PB_FIELD_IF_SET = 1,         /* text: not where it is 0, empty, or not known */
    PB_FIELD_JSON_IF_SET = 2,    /* JSON: no member there; else it has one always */
    PB_FIELD_EMPTY_IS_NULL = 4,  /* JSON: null for an empty text */
    PB_FIELD_OF_OPTIONS = 8,     /* `offset` is in pb_options: what was asked for */
    PB_FIELD_OF_CLUSTER_RUN = 16 /* of a run that is of a cluster alone */
};

typedef struct pb_field pb_field;

typedef struct pb_fields {
    const pb_field *items;
    size_t count;
} pb_fields;

/* One value. A text line is a field with a label and those behind it with a joint alone; a field
 * with neither is in JSON alone, one without a name in the text alone. */
struct pb_field {
    const char *name; /* JSON's member; a group without one adds its members to those around it */
    pb_field_kind kind;
    size_t offset;         /* in the result, or in the group's structure */
    const char *label;     /* begins the line, padded */
    const char *joint;     /* before the value: ", " */
    const char *remark;    /* behind it */
    const char *dry_label; /* the label with --dry-run, where it is another */
    const char *words[2];
    unsigned flags;
    pb_command_set commands; /* whose text has it; 0: all */
    size_t count_offset;     /* LIST, LINES: of their size_t, and the size of one */
    size_t item_size;
    const pb_fields *fields; /* of a group, or of each item */

    /* Instead of what is at the offset. `result`: the structure that the field is in. */
    uint64_t (*number)(const void *result);
    const char *(*text)(const void *result);
    const void *(*group)(const void *result); /* NULL: none */
    /* Of the text: whether it has the field; the value otherwise than its kind would have it; what
     * comes behind the remark. */
    bool (*shown)(const void *result, const pb_options *options);
    void (*append)(pb_buffer *buffer, const void *result, const pb_options *options);
    void (*append_more)(pb_buffer *buffer, const void *result, const pb_options *options);
};

/* A table of an array of fields, and one inside of a field. */
#define PB_FIELDS(array)                                                                           \
    {                                                                                              \
        array, sizeof(array) / sizeof *(array)                                                     \
    }
#define PB_FIELDS_AT(array) (&(const pb_fields)PB_FIELDS(array))

typedef struct pb_field_value {
    bool is_set;     /* not 0, not empty, known */
    uint64_t number; /* of an item that is signed: as int64_t; of LIST and LINES: how many */
    const char *text;
    const void *at; /* of a group, items, and what has a kind of its own; NULL: none */
} pb_field_value;

/* For the two writers. */
pb_field_value pb_field_value_of(const pb_field *field, const void *result,
                                 const pb_options *options);

/* Of pb_backup_result, pb_restore_result, pb_verify_result, pb_copy_result. */
extern const pb_fields pb_backup_fields, pb_restore_fields, pb_verify_fields, pb_copy_fields;
extern const pb_fields pb_show_fields;  /* of the pb_snapshot_file of `show` */
extern const pb_fields pb_entry_fields; /* of a pb_catalogue_entry; JSON alone */

#endif
