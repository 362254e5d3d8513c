#include "bench/origin/content.h"
#include <stdlib.h>

static const uint64_t golden = 0x9e3779b97f4a7c15u;

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

/* splitmix64 with its counter computed instead of kept, so that any range can be made alone. */
void pb_origin_synthetic_bytes(uint64_t index, uint64_t offset, size_t size, char *ret_bytes)
{
    uint64_t seed = mix(index + 1);
    uint64_t word = offset / 8;
    size_t skip = (size_t)(offset % 8);
    while (size > 0) {
        uint64_t value = mix(seed + (word + 1) * golden);
        size_t run = 8 - skip < size ? 8 - skip : size;
        if (run == 8) {
            memcpy(ret_bytes, &value, 8);
        } else {
            memcpy(ret_bytes, (const char *)&value + skip, run);
        }
        ret_bytes += run;
        size -= run;
        skip = 0;
        word++;
    }
}

static pb_origin_content *content_new(pb_origin_content_kind kind, uint64_t capacity)
{
    pb_origin_content *content = malloc(sizeof(*content) + (size_t)capacity);
    if (content) {
        memset(content, 0, sizeof(*content));
        content->references = 1;
        content->kind = (uint8_t)kind;
    }
    return content;
}

pb_origin_content *pb_origin_content_new_bytes(uint64_t capacity)
{
    pb_origin_content *content = content_new(PB_ORIGIN_CONTENT_BYTES, capacity);
    if (content) {
        content->capacity = capacity;
    }
    return content;
}

pb_origin_content *pb_origin_content_new_synthetic(uint64_t index, uint64_t size)
{
    pb_origin_content *content = pb_allocate_zeroed(1, sizeof(*content));
    content->references = 1;
    content->kind = PB_ORIGIN_CONTENT_SYNTHETIC;
    content->synthetic_index = index;
    content->size = size;
    return content;
}

pb_origin_content *pb_origin_content_new_pieces(void)
{
    pb_origin_content *content = pb_allocate_zeroed(1, sizeof(*content));
    content->references = 1;
    content->kind = PB_ORIGIN_CONTENT_PIECES;
    return content;
}

pb_origin_content *pb_origin_content_hold(pb_origin_content *content)
{
    content->references++;
    return content;
}

void pb_origin_content_release(pb_origin_content *content)
{
    if (!content || --content->references > 0) {
        return;
    }
    if (content->kind == PB_ORIGIN_CONTENT_PIECES) {
        for (size_t i = 0; i < content->piece_count; i++) {
            pb_origin_content_release(content->pieces[i].content);
        }
        free(content->pieces);
    }
    free(content);
}

pb_origin_content *pb_origin_content_append(pb_origin_content *content, const void *data,
                                            size_t size)
{
    if (content->capacity - content->size < size) {
        uint64_t capacity = content->capacity * 2;
        if (capacity < content->size + size) {
            capacity = content->size + size;
        }
        pb_origin_content *moved = realloc(content, sizeof(*content) + (size_t)capacity);
        if (!moved) {
            return NULL;
        }
        content = moved;
        content->capacity = capacity;
    }
    memcpy(content->data + content->size, data, size);
    content->size += size;
    return content;
}

static void append_one(pb_origin_content *content, pb_origin_content *source, uint64_t offset,
                       uint64_t size)
{
    size_t count = content->piece_count;
    if ((count & (count - 1)) == 0) {
        size_t room = count ? count * 2 : 1;
        content->pieces = pb_reallocate(content->pieces, room * sizeof(*content->pieces));
    }
    content->pieces[count] = (pb_origin_piece){
        .content = pb_origin_content_hold(source),
        .offset = offset,
        .size = size,
        .start = content->size,
    };
    content->piece_count++;
    content->size += size;
}

/* The piece that holds `offset`, which is below content->size. */
static size_t piece_at(const pb_origin_content *content, uint64_t offset)
{
    size_t low = 0;
    size_t high = content->piece_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (content->pieces[middle].start <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

void pb_origin_content_append_piece(pb_origin_content *content, pb_origin_content *source,
                                    uint64_t offset, uint64_t size)
{
    if (size == 0) {
        return;
    }
    if (source->kind != PB_ORIGIN_CONTENT_PIECES) {
        append_one(content, source, offset, size);
        return;
    }
    /* Flattened, so that copies of copies never nest. */
    for (size_t i = piece_at(source, offset); size > 0; i++) {
        const pb_origin_piece *piece = &source->pieces[i];
        uint64_t skip = offset - piece->start;
        uint64_t run = piece->size - skip < size ? piece->size - skip : size;
        append_one(content, piece->content, piece->offset + skip, run);
        offset += run;
        size -= run;
    }
}

pb_slice pb_origin_content_window(const pb_origin_content *content, uint64_t offset, uint64_t size,
                                  char *scratch, size_t scratch_size, bool *ret_scratch)
{
    *ret_scratch = false;
    if (content->kind == PB_ORIGIN_CONTENT_PIECES) {
        const pb_origin_piece *piece = &content->pieces[piece_at(content, offset)];
        uint64_t skip = offset - piece->start;
        uint64_t run = piece->size - skip;
        return pb_origin_content_window(piece->content, piece->offset + skip,
                                        run < size ? run : size, scratch, scratch_size,
                                        ret_scratch);
    }
    if (content->kind == PB_ORIGIN_CONTENT_BYTES) {
        return (pb_slice){content->data + offset, (size_t)size};
    }
    if (size > scratch_size) {
        size = scratch_size;
    }
    pb_origin_synthetic_bytes(content->synthetic_index, offset, (size_t)size, scratch);
    *ret_scratch = true;
    return (pb_slice){scratch, (size_t)size};
}

void pb_origin_content_md5(pb_origin_content *content, uint8_t ret_md5[PB_MD5_BYTES])
{
    if (!content->md5_known) {
        enum { SCRATCH_BYTES = 65536 };
        char *scratch = pb_allocate(SCRATCH_BYTES);
        pb_hash *hash = pb_hash_new(PB_HASH_MD5);
        bool used_scratch;
        for (uint64_t offset = 0; offset < content->size;) {
            pb_slice window = pb_origin_content_window(content, offset, content->size - offset,
                                                       scratch, SCRATCH_BYTES, &used_scratch);
            pb_hash_update(hash, window.data, window.size);
            offset += window.size;
        }
        pb_hash_finish(hash, content->md5);
        pb_hash_free(hash);
        free(scratch);
        content->md5_known = true;
    }
    memcpy(ret_md5, content->md5, PB_MD5_BYTES);
}
