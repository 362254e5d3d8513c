/* tests/support/quoted_json.h - JSON in C strings without a backslash before each quotation mark.
 */
#ifndef PB_TESTS_SUPPORT_QUOTED_JSON_H
#define PB_TESTS_SUPPORT_QUOTED_JSON_H

#include "base/bytes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

/* The value of a text that has ' where JSON has "; the caller's. The test fails where it is not
 * JSON. */
static inline json_t *json(const char *text)
{
    char *copy = pb_duplicate(pb_slice_of(text));
    for (char *at = copy; *at; at++)
        if (*at == '\'')
            *at = '"';
    json_error_t cause;
    json_t *value = json_loads(copy, 0, &cause);
    if (value == NULL)
        fail_msg("%s: %s", copy, cause.text);
    free(copy);
    return value;
}

#endif
