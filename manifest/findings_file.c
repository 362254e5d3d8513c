#include "manifest/findings_file.h"

#include "manifest/document.h"
#include "manifest/record.h"
#include <stdio.h>
#include <stdlib.h>

enum { KEYS_MAX = 100 * 1000, KEY_BYTES_MAX = 8 * 1024 * 1024 };

static const char what[] = PB_FINDINGS_FILE;

void pb_findings_add(pb_findings *findings, pb_slice key)
{
    if (findings->count == KEYS_MAX || findings->bytes + key.size > KEY_BYTES_MAX) {
        findings->cut = true;
        return;
    }
    if (findings->count == findings->capacity) {
        findings->capacity = findings->capacity ? findings->capacity * 2 : 64;
        findings->keys = pb_reallocate(findings->keys, findings->capacity * sizeof *findings->keys);
    }
    findings->keys[findings->count++] = pb_arena_copy(&findings->arena, key);
    findings->bytes += key.size;
}

static int compare_keys(const void *a, const void *b)
{
    return pb_slice_compare(*(const pb_slice *)a, *(const pb_slice *)b);
}

void pb_findings_sort(pb_findings *findings)
{
    size_t kept = 0;
    if (findings->count)
        qsort(findings->keys, findings->count, sizeof *findings->keys, compare_keys);
    for (size_t i = 0; i < findings->count; i++)
        if (!kept || !pb_slice_equal(findings->keys[i], findings->keys[kept - 1]))
            findings->keys[kept++] = findings->keys[i];
    findings->count = kept;
}

bool pb_findings_have(const pb_findings *findings, pb_slice key)
{
    if (findings->cut)
        return true;
    return findings->count &&
           bsearch(&key, findings->keys, findings->count, sizeof *findings->keys, compare_keys);
}

void pb_findings_free(pb_findings *findings)
{
    free(findings->keys);
    pb_arena_free(&findings->arena);
    *findings = (pb_findings){0};
}

void pb_findings_append(pb_buffer *buffer, const char *id, const pb_findings *findings)
{
    pb_document_begin(buffer, "findings", PB_FINDINGS_FILE_VERSION);
    pb_document_add_text(buffer, "id", id);
    pb_buffer_append_text(buffer, findings->cut ? ",\"cut\":true}\n" : ",\"cut\":false}\n");
    for (size_t i = 0; i < findings->count; i++) {
        json_t *line = json_object();
        json_object_set_new(line, "key",
                            json_stringn(findings->keys[i].data, findings->keys[i].size));
        pb_json_append(buffer, line);
        json_decref(line);
    }
}

static pb_slice take_line(pb_slice *rest)
{
    const char *end = rest->size ? memchr(rest->data, '\n', rest->size) : NULL;
    pb_slice line = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
    *rest = pb_slice_from(*rest, line.size + (end != NULL));
    return line;
}

static int read_header(pb_slice line, bool *ret_cut, pb_error *error)
{
    json_t *object;
    if (pb_document_parse(line, "findings", PB_FINDINGS_FILE_VERSION, what, &object, error))
        return -1;
    const json_t *cut = json_object_get(object, "cut");
    int failed = json_is_boolean(cut)
                     ? 0
                     : pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"cut\" is no boolean", what);
    *ret_cut = json_is_true(cut);
    json_decref(object);
    return failed;
}

static int read_key(pb_slice line, size_t number, pb_findings *found, pb_error *error)
{
    char line_what[64];
    json_t *object;
    const char *key;
    snprintf(line_what, sizeof line_what, "%s: line %zu", what, number);
    if (pb_json_parse(line, line_what, &object, error))
        return -1;
    int failed = pb_json_string(object, "key", line_what, &key, error);
    if (!failed && pb_key_flaw(pb_slice_of(key)))
        failed = pb_error_set(error, PB_ERROR_DAMAGED, "%s: %s", line_what,
                              pb_key_flaw(pb_slice_of(key)));
    if (!failed)
        pb_findings_add(found, pb_slice_of(key));
    json_decref(object);
    return failed;
}

int pb_findings_parse(pb_slice text, pb_findings *findings, pb_error *error)
{
    pb_findings found = {0};
    size_t number = 1;
    int failed = read_header(take_line(&text), &found.cut, error);
    while (!failed && text.size)
        failed = read_key(take_line(&text), ++number, &found, error);
    for (size_t i = 0; i < found.count && !failed; i++)
        pb_findings_add(findings, found.keys[i]);
    if (!failed)
        findings->cut |= found.cut;
    pb_findings_free(&found);
    return failed;
}
