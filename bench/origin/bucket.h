/* bench/origin/bucket.h - a bucket: objects sorted by key in a B+tree. One thread.
 *
 * Inserting in any order and listing from any key are logarithmic; listing then walks linked
 * leaves. */
#ifndef PB_BENCH_ORIGIN_BUCKET_H
#define PB_BENCH_ORIGIN_BUCKET_H

#include "bench/origin/content.h"

enum { PB_ORIGIN_KEY_BYTES_MAX = 1024 };

/* What few objects have, shared between copies by a reference count. */
typedef struct pb_origin_attributes {
    uint32_t references;
    uint32_t part_count;  /* 0: not of a multipart upload */
    uint64_t *part_sizes; /* owned */
    pb_slice headers; /* "Content-Type: x\r\nx-amz-meta-a: b\r\n", ready to be answered; owned */
    uint64_t metageneration;  /* of the JSON API; 0 stands for 1: never patched */
    int64_t updated_ms;       /* when it was patched */
    uint32_t component_count; /* 0: not composed */
    bool escapes_metadata;    /* names and values of x-amz-meta-* are percent-encoded */
} pb_origin_attributes;

typedef struct pb_origin_object {
    union {
        pb_origin_content *content; /* held */
        uint64_t synthetic_index;   /* where is_synthetic: no content is kept */
    };
    pb_origin_attributes *attributes; /* held; NULL where there are none */
    uint64_t size : 48;
    uint64_t generation_offset : 16; /* set when it is put: see pb_origin_object_generation */
    int64_t modified_ms;
    uint8_t md5[PB_MD5_BYTES]; /* of the ETag */
    uint32_t crc32c;           /* where is_crc32c_known */
    uint16_t etag_parts;       /* the N of "-N", 0 without */
    uint16_t key_size;
    bool is_synthetic : 1;
    bool is_crc32c_known : 1;
    char key[]; /* millions of objects: what stands before it has no hole */
} pb_origin_object;

/* An object without content; the key is at most PB_ORIGIN_KEY_BYTES_MAX. */
pb_origin_object *pb_origin_object_new(pb_slice key);
void pb_origin_object_free(pb_origin_object *object);
static inline pb_slice pb_origin_object_key(const pb_origin_object *object)
{
    return (pb_slice){object->key, object->key_size};
}
/* Microseconds as Google has them, growing with every object that is put into the bucket. */
static inline uint64_t pb_origin_object_generation(const pb_origin_object *object)
{
    return (uint64_t)object->modified_ms * 1000 + object->generation_offset;
}
/* The content with a reference for the caller, who releases it. */
pb_origin_content *pb_origin_object_content(const pb_origin_object *object);

/* Takes the part sizes (may be NULL) and copies the headers. One reference. */
/* For a copy: held, but made anew where it was patched, which is of the source alone. NULL allowed.
 */
pb_origin_attributes *pb_origin_attributes_of_copy(pb_origin_attributes *attributes);
pb_origin_attributes *pb_origin_attributes_new(pb_slice headers, uint64_t *part_sizes,
                                               uint32_t part_count);
/* For a copy: held, but made anew where it was patched, which is of the source alone. NULL allowed.
 */
pb_origin_attributes *pb_origin_attributes_of_copy(pb_origin_attributes *attributes);
pb_origin_attributes *
pb_origin_attributes_hold(pb_origin_attributes *attributes);         /* NULL allowed */
void pb_origin_attributes_release(pb_origin_attributes *attributes); /* NULL allowed */

typedef enum pb_origin_order {
    PB_ORIGIN_ORDER_BYTES,
    PB_ORIGIN_ORDER_FOLDERS, /* as a walk of folders: a slash before all other characters */
} pb_origin_order;

typedef struct pb_origin_bucket {
    char *name;
    pb_origin_order order;
    int64_t created_ms;
    uint64_t object_count;
    uint64_t object_bytes;
    uint64_t last_generation;
    void *root;
    unsigned height; /* 0: the root is a leaf */
} pb_origin_bucket;

/* Listed bytewise, unless `order` is set before the first object. */
pb_origin_bucket *pb_origin_bucket_new(pb_slice name, int64_t created_ms);
void pb_origin_bucket_free(pb_origin_bucket *bucket); /* and all its objects */

/* NULL where there is none. Borrowed until the key is put or removed. */
pb_origin_object *pb_origin_bucket_find(const pb_origin_bucket *bucket, pb_slice key);
/* Takes the object and frees the one it replaces. */
void pb_origin_bucket_put(pb_origin_bucket *bucket, pb_origin_object *object);
/* False where there was none. */
bool pb_origin_bucket_remove(pb_origin_bucket *bucket, pb_slice key);

/* In the bucket's order. */
int pb_origin_bucket_compare(const pb_origin_bucket *bucket, pb_slice a, pb_slice b);

/* A place in the order; valid until the bucket changes. */
typedef struct pb_origin_cursor {
    const void *leaf;
    unsigned index;
} pb_origin_cursor;

/* The first object at or after `key` (strictly after it where `after`). */
pb_origin_cursor pb_origin_bucket_seek(const pb_origin_bucket *bucket, pb_slice key, bool after);
/* The object there, the cursor moved past it; NULL at the end. */
const pb_origin_object *pb_origin_cursor_next(pb_origin_cursor *cursor);

#endif
