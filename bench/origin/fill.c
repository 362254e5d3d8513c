#include "bench/origin/fill.h"
#include "base/codec.h"
#include <stdlib.h>

enum { FILL_KEY_BYTES_MAX = 128, WINDOW_BYTES = 65536 };

typedef enum fill_pattern { FILL_CHUNK, FILL_FLAT, FILL_TREE } fill_pattern;

typedef struct fill {
    pb_slice bucket;
    uint64_t count;
    uint64_t size;
    fill_pattern pattern;
} fill;

static pb_slice next_field(pb_slice *rest)
{
    const char *colon = rest->size > 0 ? memchr(rest->data, ':', rest->size) : NULL;
    pb_slice field = {rest->data, colon ? (size_t)(colon - rest->data) : rest->size};
    size_t gone = field.size + (colon ? 1 : 0);
    rest->data += gone;
    rest->size -= gone;
    return field;
}

static bool parse_fill(pb_slice text, fill *ret_fill)
{
    static const char *const patterns[] = {"chunk", "flat", "tree"};
    ret_fill->bucket = next_field(&text);
    pb_slice count = next_field(&text);
    pb_slice size = next_field(&text);
    if (ret_fill->bucket.size == 0 || !pb_parse_unsigned(count, &ret_fill->count) ||
        !pb_parse_size(size, &ret_fill->size)) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (pb_slice_equal(text, pb_slice_of(patterns[i]))) {
            ret_fill->pattern = (fill_pattern)i;
            return true;
        }
    }
    return false;
}

/* The key of an object, whose bytes have gone through `blake2b` where the pattern is chunk. */
static size_t make_key(const fill *wanted, uint64_t index, pb_hash *blake2b,
                       char ret_key[FILL_KEY_BYTES_MAX])
{
    unsigned long long number = index;
    if (wanted->pattern == FILL_FLAT) {
        return (size_t)snprintf(ret_key, FILL_KEY_BYTES_MAX, "%010llu", number);
    }
    if (wanted->pattern == FILL_TREE) {
        /* A thousand files a folder, a hundred folders a branch. */
        return (size_t)snprintf(ret_key, FILL_KEY_BYTES_MAX,
                                "branch-%05llu/folder-%02llu/file-%03llu", number / 100000,
                                number / 1000 % 100, number % 1000);
    }
    uint8_t digest[PB_BLAKE2B256_BYTES];
    uint64_t tail;
    uint8_t tail_bytes[8];
    pb_hash_finish(blake2b, digest);
    pb_origin_synthetic_bytes(~index, 0, sizeof(tail), (char *)&tail);
    for (int i = 0; i < 8; i++) {
        tail_bytes[i] = (uint8_t)(tail >> (56 - 8 * i));
    }
    memcpy(ret_key, "chunk/", 6);
    pb_hex_encode(digest, sizeof(digest), ret_key + 6);
    ret_key[70] = '.';
    pb_hex_encode(tail_bytes, sizeof(tail_bytes), ret_key + 71);
    return 87;
}

int pb_origin_fill(pb_origin *origin, pb_slice specification, pb_error *error)
{
    fill wanted = {0};
    if (!parse_fill(specification, &wanted)) {
        return pb_error_set(error, PB_ERROR_USAGE,
                            "--fill wants BUCKET:COUNT:SIZE:(chunk|flat|tree), not \"%.*s\"",
                            PB_SLICE_FORMAT(specification));
    }
    pb_origin_bucket *bucket = pb_origin_find_bucket(origin, wanted.bucket);
    if (!bucket) {
        bucket = pb_origin_add_bucket(origin, wanted.bucket);
    }
    char *window = pb_allocate(WINDOW_BYTES);
    pb_hash *md5 = pb_hash_new(PB_HASH_MD5);
    pb_hash *blake2b = pb_hash_new(PB_HASH_BLAKE2B256);
    int64_t now_ms = pb_origin_now_ms(origin);
    for (uint64_t index = 0; index < wanted.count; index++) {
        uint8_t digest[PB_MD5_BYTES];
        pb_hash_restart(md5);
        if (wanted.pattern == FILL_CHUNK) {
            pb_hash_restart(blake2b);
        }
        for (uint64_t offset = 0; offset < wanted.size;) {
            uint64_t left = wanted.size - offset;
            size_t run = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
            pb_origin_synthetic_bytes(index, offset, run, window);
            pb_hash_update(md5, window, run);
            if (wanted.pattern == FILL_CHUNK) {
                pb_hash_update(blake2b, window, run);
            }
            offset += run;
        }
        pb_hash_finish(md5, digest);
        char key[FILL_KEY_BYTES_MAX];
        size_t key_size = make_key(&wanted, index, blake2b, key);
        pb_origin_object *object = pb_origin_object_new((pb_slice){key, key_size});
        object->is_synthetic = true;
        object->synthetic_index = index;
        object->size = wanted.size;
        /* A millisecond apart, the last one now: differing times, none in the future. */
        object->modified_ms = now_ms - (int64_t)(wanted.count - 1 - index);
        memcpy(object->md5, digest, sizeof(digest));
        pb_origin_bucket_put(bucket, object);
    }
    pb_hash_free(md5);
    pb_hash_free(blake2b);
    free(window);
    return 0;
}
