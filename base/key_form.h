/* base/key_form.h - forms of an object's key that some stores change. Pure, any thread.
 *
 * To S3 a key is a string of bytes. A store that keeps objects as files resolves keys as paths:
 * there "a//b" is "a/b", and "../x" is outside of where it was written to. Others change single
 * characters. Two keys may so become one, and one object overwrite the other. */
#ifndef PB_BASE_KEY_FORM_H
#define PB_BASE_KEY_FORM_H

#include "base/bytes.h"

typedef enum pb_key_form {
    PB_KEY_EMPTY_SEGMENT = 1 << 0,  /* "a//b", not at the beginning or the end */
    PB_KEY_DOT_SEGMENT = 1 << 1,    /* "a/./b" */
    PB_KEY_PARENT_SEGMENT = 1 << 2, /* "a/../b" */
    PB_KEY_LEADING_SLASH = 1 << 3,
    PB_KEY_TRAILING_SLASH = 1 << 4,
    PB_KEY_LONG_SEGMENT = 1 << 5, /* over PB_KEY_SEGMENT_BYTES_MAX */
    PB_KEY_CONTROL = 1 << 6,      /* bytes 0 to 31 and 127 */
    PB_KEY_BACKSLASH = 1 << 7,
    PB_KEY_PATH_FORMS = (1 << 8) - 1, /* all of those above: what a path could change */
    /* Of no key by itself: two keys that differ in the case of letters alone, or in the Unicode
     * form of the same text (composed, decomposed). */
    PB_KEY_CASE = 1 << 8,
    PB_KEY_UNICODE = 1 << 9,
} pb_key_form;

enum { PB_KEY_SEGMENT_BYTES_MAX = 255 }; /* the longest name that file systems have */

/* The PB_KEY_PATH_FORMS that the key has; 0 for a plain key, which is its own path everywhere. */
unsigned pb_key_forms(pb_slice key);

/* A form in words, as in "a key with <an empty segment>"; of several, the first. */
const char *pb_key_form_text(unsigned forms);

#endif
