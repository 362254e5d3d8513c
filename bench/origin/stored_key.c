#include "bench/origin/stored_key.h"

#include <strings.h>

/* Appends the segments of `text` to the path of *size bytes. False: a segment is too long. */
static bool append_segments(char *path, size_t *size, pb_slice text)
{
    while (text.size > 0) {
        const char *slash = memchr(text.data, '/', text.size);
        pb_slice segment = {text.data, slash ? (size_t)(slash - text.data) : text.size};
        size_t used = segment.size + (slash ? 1 : 0);
        text = pb_slice_from(text, used);
        if (segment.size > PB_ORIGIN_SEGMENT_BYTES_MAX) {
            return false;
        }
        if (pb_slice_equal(segment, PB_SLICE_LITERAL("..")) && *size > 0) {
            const char *before = memrchr(path, '/', *size);
            *size = before ? (size_t)(before - path) : 0;
        } else if (segment.size > 0 && !pb_slice_equal(segment, PB_SLICE_LITERAL(".")) &&
                   !pb_slice_equal(segment, PB_SLICE_LITERAL(".."))) {
            if (*size > 0) {
                path[(*size)++] = '/';
            }
            memcpy(path + *size, segment.data, segment.size);
            *size += segment.size;
        }
    }
    return true;
}

const char *pb_origin_resolve_key(pb_slice *bucket, pb_slice *key,
                                  char memory[PB_ORIGIN_PLACE_BYTES_MAX])
{
    size_t size = 0;
    if (bucket->size + 1 + key->size > PB_ORIGIN_PLACE_BYTES_MAX ||
        !append_segments(memory, &size, *bucket) || !append_segments(memory, &size, *key)) {
        return "KeyTooLongError";
    }
    const char *slash = memchr(memory, '/', size);
    if (!slash) {
        return "InvalidURI"; /* a bucket, or the root */
    }
    if (key->data[key->size - 1] == '/') {
        memory[size++] = '/';
    }
    *bucket = (pb_slice){memory, (size_t)(slash - memory)};
    *key = (pb_slice){slash + 1, size - bucket->size - 1};
    return NULL;
}

void pb_origin_fold_key(const pb_origin_bucket *bucket, char *key, size_t key_size)
{
    pb_origin_cursor cursor = pb_origin_bucket_seek(bucket, (pb_slice){NULL, 0}, false);
    const pb_origin_object *object;
    while ((object = pb_origin_cursor_next(&cursor)) != NULL) {
        if (object->key_size == key_size && strncasecmp(object->key, key, key_size) == 0) {
            memcpy(key, object->key, key_size);
            return;
        }
    }
}
