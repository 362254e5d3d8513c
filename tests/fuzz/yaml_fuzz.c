/* libFuzzer: a YAML document. What parses and holds no more than the writer takes must come out of
 * it again and parse to the same. */
#include "base/yaml.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As base/yaml.h says of pb_yaml_append; long keys need YAML's explicit form. */
static bool is_writable(const json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (strlen(key) > 100 || (json_is_object(value) && !is_writable(value)))
            return false;
        for (size_t i = 0; i < json_array_size(value); i++)
            if (json_is_object(json_array_get(value, i)) || json_is_array(json_array_get(value, i)))
                return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *object = NULL, *again = NULL;
    pb_error error;
    if (pb_yaml_parse((pb_slice){(const char *)data, size}, "fuzz", &object, &error))
        return 0;
    if (is_writable(object)) {
        pb_buffer text = {0};
        pb_yaml_append(&text, object);
        if (text.size <= PB_YAML_BYTES_MAX) {
            if (pb_yaml_parse(pb_buffer_slice(&text), "again", &again, &error) ||
                !json_equal(object, again))
                abort();
            json_decref(again);
        }
        pb_buffer_free(&text);
    }
    json_decref(object);
    return 0;
}
