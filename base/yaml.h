/* base/yaml.h - reading small YAML documents (pbcopy.yaml, edits) on libyaml, as the JSON values
 * that they stand for. Any thread. */
#ifndef PB_BASE_YAML_H
#define PB_BASE_YAML_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

enum { PB_YAML_BYTES_MAX = 1024 * 1024 };

/* One document that is a mapping. Plain scalars: true/false, whole numbers as JSON writes them and
 * null (~, nothing) are such, all else is text: "yes", "1.5", an account's number with a leading
 * zero. Anchors, aliases, tags, keys given twice and more than 64 levels are refused. USAGE, naming
 * `what`, line and column. An empty document is {}. The caller owns *ret_object. */
int pb_yaml_parse(pb_slice text, const char *what, json_t **ret_object, pb_error *error);
/* The text of an object of scalars, arrays of scalars and such objects, each key on its own line,
 * for people to edit. Keys have 100 bytes at most. Appends. */
void pb_yaml_append(pb_buffer *buffer, const json_t *object);

#endif
