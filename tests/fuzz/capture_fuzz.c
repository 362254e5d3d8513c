/* libFuzzer: captured objects, edited and told. The first line picks the edits (a file of edits as
 * one line of YAML), the others are the capture. What the writer takes must be read again, and
 * still be wanted. */
#include "cluster/edits/edits.h"
#include "cluster/kubernetes/capture.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_edits(pb_slice file, const json_t *objects)
{
    pb_arena arena = {0};
    pb_edits edits = {0};
    pb_error error;
    json_t *edited = json_deep_copy(objects);
    if (pb_edits_read(file, "edits", &arena, &edits, &error) == 0) {
        static const char *const versions[] = {"2.8.1", "2.9.0", "2.11.4", ""};
        pb_buffer text = {0};
        edits.old_name_space = "old";
        (void)pb_edits_apply(&edits, versions[file.size % 4], edited, &error);
        pb_edits_diff(objects, edited, &text);
        pb_buffer_free(&text);
    }
    json_decref(edited);
    pb_arena_free(&arena);
}

static void fuzz_writer(const json_t *objects)
{
    pb_buffer lines = {0};
    json_t *again = NULL;
    size_t count;
    pb_capture_append(objects, NULL, &lines, &count);
    if (pb_capture_parse(pb_buffer_slice(&lines), &again, NULL) != 0 ||
        json_array_size(again) != count)
        abort();
    for (size_t i = 0; i < count; i++)
        if (!pb_capture_wants(json_array_get(again, i)))
            abort();
    json_decref(again);
    pb_buffer_free(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *end = size ? memchr(text, '\n', size) : NULL;
    json_t *objects;
    pb_error error;
    if (end == NULL)
        return 0;
    pb_slice file = {text, (size_t)(end - text)}, lines = {end + 1, size - file.size - 1};
    if (pb_capture_parse(lines, &objects, &error) != 0)
        return 0;
    fuzz_writer(objects);
    fuzz_edits(file, objects);
    json_decref(objects);
    return 0;
}
