/* copier/store/file/file_name.h - keys as paths below a directory, and back. Pure, any thread.
 *
 * '/' separates directories, and a plain key is its own path. What can't stand as a name is
 * escaped:
 *
 *   %XX     (upper case) '%', control bytes and NUL; the dots of "." and ".."; the first dot of a
 * name that begins like the driver's own (".pbcopy-")
 *   %_      the empty component: "a//b" is a/%_/b, "a/" is a/%_
 *   x%more  a directory: the component goes on in the names inside it. A component of over 255
 * bytes once escaped is cut into pieces of at most 250 x%leaf  the file of a key whose own name a
 * directory has: keys "a" and "a/b" are a%leaf and a/b
 *
 * Every key has exactly two paths, the plain one and the one "aside" (with %leaf), and no path
 * belongs to two keys. Bytes that are not UTF-8 stay as they are. */
#ifndef PB_COPIER_STORE_FILE_FILE_NAME_H
#define PB_COPIER_STORE_FILE_FILE_NAME_H

#include "base/bytes.h"

enum {
    PB_FILE_KEY_BYTES_MAX = 1024,
    PB_FILE_PATH_BYTES_MAX = 4000, /* no key's path is longer */
};

/* Names beginning so are the driver's own: no keys, skipped by listings. */
#define PB_FILE_OWN_PREFIX ".pbcopy-"

/* Appends the relative path of one component of a key: one name, or several joined by '/'. */
void pb_file_component_append(pb_buffer *path, pb_slice component, bool aside);

/* The inverse: appends the component that `path` stands for. False (buffer as it was) where the
 * path is not exactly what pb_file_component_append writes. */
bool pb_file_component_read(pb_slice path, pb_buffer *component, bool *ret_aside);

/* True for the name of a directory that holds the rest of a long component. */
bool pb_file_name_continues(pb_slice name);

/* Appends the path of a key. False (buffer as it was) where the key is empty or longer than
 * PB_FILE_KEY_BYTES_MAX. */
bool pb_file_path_append(pb_buffer *path, pb_slice key, bool aside);

#endif
