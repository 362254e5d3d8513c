#include "bench/origin/bucket.h"
#include <assert.h>
#include <stdlib.h>

enum { LEAF_MAX = 64, INNER_MAX = 64, HEIGHT_MAX = 16, PREFETCH_AHEAD = 6 };

typedef struct leaf {
    unsigned count;
    struct leaf *previous;
    struct leaf *next;
    pb_origin_object *objects[LEAF_MAX];
} leaf;

typedef struct separator {
    size_t size;
    char key[];
} separator;

/* separators[i] is at most any key below children[i + 1] and greater than any below children[i]. */
typedef struct inner {
    unsigned count; /* of children */
    void *children[INNER_MAX];
    separator *separators[INNER_MAX - 1];
} inner;

typedef struct path {
    inner *nodes[HEIGHT_MAX];
    unsigned indexes[HEIGHT_MAX];
} path;

pb_origin_object *pb_origin_object_new(pb_slice key)
{
    assert(key.size <= PB_ORIGIN_KEY_BYTES_MAX);
    pb_origin_object *object = pb_allocate(offsetof(pb_origin_object, key) + key.size);
    memset(object, 0, offsetof(pb_origin_object, key));
    object->key_size = (uint16_t)key.size;
    if (key.size > 0) {
        memcpy(object->key, key.data, key.size);
    }
    return object;
}

void pb_origin_object_free(pb_origin_object *object)
{
    if (!object) {
        return;
    }
    if (!object->is_synthetic) {
        pb_origin_content_release(object->content);
    }
    pb_origin_attributes_release(object->attributes);
    free(object);
}

pb_origin_content *pb_origin_object_content(const pb_origin_object *object)
{
    if (object->is_synthetic) {
        return pb_origin_content_new_synthetic(object->synthetic_index, object->size);
    }
    return pb_origin_content_hold(object->content);
}

pb_origin_attributes *pb_origin_attributes_new(pb_slice headers, uint64_t *part_sizes,
                                               uint32_t part_count)
{
    pb_origin_attributes *attributes = pb_allocate(sizeof(*attributes));
    *attributes = (pb_origin_attributes){
        .references = 1,
        .part_count = part_count,
        .part_sizes = part_sizes,
        .headers = {pb_duplicate(headers), headers.size},
    };
    return attributes;
}

pb_origin_attributes *pb_origin_attributes_hold(pb_origin_attributes *attributes)
{
    if (attributes) {
        attributes->references++;
    }
    return attributes;
}

pb_origin_attributes *pb_origin_attributes_of_copy(pb_origin_attributes *attributes)
{
    if (!attributes || attributes->metageneration == 0) {
        return pb_origin_attributes_hold(attributes);
    }
    uint64_t *part_sizes = NULL;
    if (attributes->part_count > 0) {
        size_t bytes = attributes->part_count * sizeof(part_sizes[0]);
        part_sizes = pb_allocate(bytes);
        memcpy(part_sizes, attributes->part_sizes, bytes);
    }
    pb_origin_attributes *made =
        pb_origin_attributes_new(attributes->headers, part_sizes, attributes->part_count);
    made->component_count = attributes->component_count;
    made->escapes_metadata = attributes->escapes_metadata;
    return made;
}

void pb_origin_attributes_release(pb_origin_attributes *attributes)
{
    if (attributes && --attributes->references == 0) {
        free((char *)attributes->headers.data);
        free(attributes->part_sizes);
        free(attributes);
    }
}

static separator *separator_new(pb_slice key)
{
    separator *made = pb_allocate(sizeof(*made) + key.size);
    made->size = key.size;
    memcpy(made->key, key.data, key.size);
    return made;
}

static leaf *leaf_new(void)
{
    leaf *made = pb_allocate(sizeof(*made));
    made->count = 0;
    made->previous = NULL;
    made->next = NULL;
    return made;
}

pb_origin_bucket *pb_origin_bucket_new(pb_slice name, int64_t created_ms)
{
    pb_origin_bucket *bucket = pb_allocate_zeroed(1, sizeof(*bucket));
    bucket->name = pb_duplicate(name);
    bucket->created_ms = created_ms;
    bucket->root = leaf_new();
    return bucket;
}

static void node_free(void *node, unsigned height)
{
    if (height == 0) {
        leaf *bottom = node;
        for (unsigned i = 0; i < bottom->count; i++) {
            pb_origin_object_free(bottom->objects[i]);
        }
    } else {
        inner *branch = node;
        for (unsigned i = 0; i < branch->count; i++) {
            node_free(branch->children[i], height - 1);
            if (i > 0) {
                free(branch->separators[i - 1]);
            }
        }
    }
    free(node);
}

void pb_origin_bucket_free(pb_origin_bucket *bucket)
{
    if (bucket) {
        node_free(bucket->root, bucket->height);
        free(bucket->name);
        free(bucket);
    }
}

static int compare_folders(pb_slice a, pb_slice b)
{
    size_t least = a.size < b.size ? a.size : b.size;
    size_t same = 0;
    while (same < least && a.data[same] == b.data[same]) {
        same++;
    }
    bool has_slash_a = same < a.size && a.data[same] == '/';
    bool has_slash_b = same < b.size && b.data[same] == '/';
    if (same == least || has_slash_a == has_slash_b) {
        return pb_slice_compare(a, b);
    }
    return has_slash_a ? -1 : 1;
}

int pb_origin_bucket_compare(const pb_origin_bucket *bucket, pb_slice a, pb_slice b)
{
    return bucket->order == PB_ORIGIN_ORDER_FOLDERS ? compare_folders(a, b)
                                                    : pb_slice_compare(a, b);
}

/* Which child of a branch may hold `key`. */
static unsigned child_of(const pb_origin_bucket *bucket, const inner *branch, pb_slice key)
{
    unsigned low = 0;
    unsigned high = branch->count - 1;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const separator *between = branch->separators[middle];
        if (pb_origin_bucket_compare(bucket, key, (pb_slice){between->key, between->size}) < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static leaf *descend(const pb_origin_bucket *bucket, pb_slice key, path *ret_path)
{
    void *node = bucket->root;
    for (unsigned level = 0; level < bucket->height; level++) {
        inner *branch = node;
        unsigned index = child_of(bucket, branch, key);
        if (ret_path) {
            ret_path->nodes[level] = branch;
            ret_path->indexes[level] = index;
        }
        node = branch->children[index];
    }
    return node;
}

/* The first place in the leaf whose key is not below `key`; *ret_equal tells whether it is `key`.
 */
static unsigned place_in(const pb_origin_bucket *bucket, const leaf *bottom, pb_slice key,
                         bool *ret_equal)
{
    unsigned low = 0;
    unsigned high = bottom->count;
    *ret_equal = false;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order =
            pb_origin_bucket_compare(bucket, pb_origin_object_key(bottom->objects[middle]), key);
        if (order == 0) {
            *ret_equal = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

pb_origin_object *pb_origin_bucket_find(const pb_origin_bucket *bucket, pb_slice key)
{
    bool equal;
    leaf *bottom = descend(bucket, key, NULL);
    unsigned place = place_in(bucket, bottom, key, &equal);
    return equal ? bottom->objects[place] : NULL;
}

/* Hangs `child`, whose keys start at `between`, to the right of the child the path went through at
 * `level`; level -1 is above the root. Takes `between`. */
static void insert_child(pb_origin_bucket *bucket, path *way, int level, separator *between,
                         void *child)
{
    if (level < 0) {
        inner *root = pb_allocate(sizeof(*root));
        root->count = 2;
        root->children[0] = bucket->root;
        root->children[1] = child;
        root->separators[0] = between;
        bucket->root = root;
        bucket->height++;
        assert(bucket->height < HEIGHT_MAX);
        return;
    }
    inner *branch = way->nodes[level];
    unsigned index = way->indexes[level] + 1;
    inner *right = NULL;
    separator *middle = NULL;
    if (branch->count == INNER_MAX) {
        /* Keys that come in order leave full branches behind. */
        unsigned keep = index == INNER_MAX ? INNER_MAX - 1 : INNER_MAX / 2;
        right = pb_allocate(sizeof(*right));
        right->count = INNER_MAX - keep;
        memcpy(right->children, branch->children + keep, right->count * sizeof(void *));
        memcpy(right->separators, branch->separators + keep,
               (right->count - 1) * sizeof(right->separators[0]));
        middle = branch->separators[keep - 1];
        branch->count = keep;
        if (index > keep) {
            index -= keep;
            inner *swap = branch;
            branch = right;
            right = swap;
        }
    }
    memmove(branch->children + index + 1, branch->children + index,
            (branch->count - index) * sizeof(void *));
    memmove(branch->separators + index, branch->separators + index - 1,
            (branch->count - index) * sizeof(branch->separators[0]));
    branch->children[index] = child;
    branch->separators[index - 1] = between;
    branch->count++;
    if (right) {
        inner *upper = branch == way->nodes[level] ? right : branch;
        insert_child(bucket, way, level - 1, middle, upper);
    }
}

void pb_origin_bucket_put(pb_origin_bucket *bucket, pb_origin_object *object)
{
    pb_slice key = pb_origin_object_key(object);
    path way;
    bool equal;
    leaf *bottom = descend(bucket, key, &way);
    unsigned place = place_in(bucket, bottom, key, &equal);
    bucket->object_bytes += object->size;
    uint64_t base = (uint64_t)object->modified_ms * 1000;
    uint64_t next = base > bucket->last_generation ? base : bucket->last_generation + 1;
    /* A clock that went back further is believed. */
    object->generation_offset = (uint16_t)(next - base <= UINT16_MAX ? next - base : 0);
    bucket->last_generation = next;
    if (equal) {
        bucket->object_bytes -= bottom->objects[place]->size;
        pb_origin_object_free(bottom->objects[place]);
        bottom->objects[place] = object;
        return;
    }
    bucket->object_count++;
    leaf *right = NULL;
    leaf *target = bottom;
    if (bottom->count == LEAF_MAX) {
        unsigned keep = place == LEAF_MAX && !bottom->next ? LEAF_MAX : LEAF_MAX / 2;
        right = leaf_new();
        right->count = LEAF_MAX - keep;
        memcpy(right->objects, bottom->objects + keep, right->count * sizeof(right->objects[0]));
        bottom->count = keep;
        right->previous = bottom;
        right->next = bottom->next;
        if (right->next) {
            right->next->previous = right;
        }
        bottom->next = right;
        /* A key at the seam goes left unless the left is full: the separator is right's first key.
         */
        if (place > keep || keep == LEAF_MAX) {
            target = right;
            place -= keep;
        }
    }
    memmove(target->objects + place + 1, target->objects + place,
            (target->count - place) * sizeof(target->objects[0]));
    target->objects[place] = object;
    target->count++;
    if (right) {
        insert_child(bucket, &way, (int)bucket->height - 1,
                     separator_new(pb_origin_object_key(right->objects[0])), right);
    }
}

static void remove_child(pb_origin_bucket *bucket, path *way, unsigned level)
{
    inner *branch = way->nodes[level];
    unsigned index = way->indexes[level];
    if (branch->count == 1) {
        /* Only a chain of single children gets here; the root never is one (it collapses below). */
        free(branch);
        remove_child(bucket, way, level - 1);
        return;
    }
    unsigned gone = index > 0 ? index - 1 : 0;
    free(branch->separators[gone]);
    memmove(branch->separators + gone, branch->separators + gone + 1,
            (branch->count - 2 - gone) * sizeof(branch->separators[0]));
    memmove(branch->children + index, branch->children + index + 1,
            (branch->count - 1 - index) * sizeof(void *));
    branch->count--;
    while (bucket->height > 0 && ((inner *)bucket->root)->count == 1) {
        inner *root = bucket->root;
        bucket->root = root->children[0];
        bucket->height--;
        free(root);
    }
}

bool pb_origin_bucket_remove(pb_origin_bucket *bucket, pb_slice key)
{
    path way;
    bool equal;
    leaf *bottom = descend(bucket, key, &way);
    unsigned place = place_in(bucket, bottom, key, &equal);
    if (!equal) {
        return false;
    }
    bucket->object_count--;
    bucket->object_bytes -= bottom->objects[place]->size;
    pb_origin_object_free(bottom->objects[place]);
    memmove(bottom->objects + place, bottom->objects + place + 1,
            (bottom->count - place - 1) * sizeof(bottom->objects[0]));
    bottom->count--;
    if (bottom->count == 0 && bucket->height > 0) {
        if (bottom->previous) {
            bottom->previous->next = bottom->next;
        }
        if (bottom->next) {
            bottom->next->previous = bottom->previous;
        }
        free(bottom);
        remove_child(bucket, &way, bucket->height - 1);
    }
    return true;
}

pb_origin_cursor pb_origin_bucket_seek(const pb_origin_bucket *bucket, pb_slice key, bool after)
{
    bool equal;
    const leaf *bottom = descend(bucket, key, NULL);
    unsigned place = place_in(bucket, bottom, key, &equal);
    return (pb_origin_cursor){bottom, place + (equal && after ? 1 : 0)};
}

const pb_origin_object *pb_origin_cursor_next(pb_origin_cursor *cursor)
{
    const leaf *bottom = cursor->leaf;
    while (bottom && cursor->index >= bottom->count) {
        bottom = bottom->next;
        cursor->leaf = bottom;
        cursor->index = 0;
        /* Objects lie anywhere in memory: without this a listing waits for each of them. */
        for (unsigned i = 0; bottom && i < PREFETCH_AHEAD && i < bottom->count; i++) {
            __builtin_prefetch(bottom->objects[i]);
            __builtin_prefetch((const char *)bottom->objects[i] + 64);
        }
    }
    if (!bottom) {
        return NULL;
    }
    unsigned ahead = cursor->index + PREFETCH_AHEAD;
    if (ahead < bottom->count) {
        const char *coming = (const char *)bottom->objects[ahead];
        __builtin_prefetch(coming);
        __builtin_prefetch(coming + 64);
        __builtin_prefetch(coming + 128);
    }
    return bottom->objects[cursor->index++];
}
