/* Files of tests/data/, for unit tests: read after cmocka.h. */
#ifndef PB_TESTS_SUPPORT_DATA_FILE_H
#define PB_TESTS_SUPPORT_DATA_FILE_H

#include "base/bytes.h"
#include <stdio.h>
#include <stdlib.h>

/* The text of tests/data/`name`, without the newline at its end. NUL-terminated, the caller frees.
 */
static inline char *read_data_file(const char *name)
{
    char path[2048], block[4096];
    size_t size;
    pb_buffer text = {0};
    const char *root = getenv("SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/data/%s", root ? root : ".", name);
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("%s: cannot be opened", path);
    while ((size = fread(block, 1, sizeof block, file)) > 0)
        pb_buffer_append(&text, block, size);
    fclose(file);
    if (text.size && text.data[text.size - 1] == '\n')
        text.data[text.size - 1] = '\0';
    return text.data;
}

#endif
