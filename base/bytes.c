#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BUFFER_FIRST_BYTES = 64,
    ARENA_BLOCK_FIRST_BYTES = 1024,
    ARENA_BLOCK_LAST_BYTES = 64 * 1024,
};

_Noreturn static void out_of_memory(size_t size)
{
    fprintf(stderr, "pbcopy: out of memory (%zu bytes)\n", size);
    abort();
}

static size_t add_sizes(size_t a, size_t b)
{
    if (a > SIZE_MAX - b)
        out_of_memory(SIZE_MAX);
    return a + b;
}

void *pb_allocate(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (memory == NULL)
        out_of_memory(size);
    return memory;
}

void *pb_allocate_zeroed(size_t count, size_t size)
{
    if (count == 0 || size == 0)
        count = size = 1;
    void *memory = calloc(count, size);
    if (memory == NULL)
        out_of_memory(size > SIZE_MAX / count ? SIZE_MAX : count * size);
    return memory;
}

void *pb_reallocate(void *memory, size_t size)
{
    void *moved = realloc(memory, size ? size : 1);
    if (moved == NULL)
        out_of_memory(size);
    return moved;
}

char *pb_duplicate(pb_slice slice)
{
    char *copy = pb_allocate(add_sizes(slice.size, 1));
    if (slice.size)
        memcpy(copy, slice.data, slice.size);
    copy[slice.size] = '\0';
    return copy;
}

char *pb_duplicate_text(const char *text)
{
    return text ? pb_duplicate(pb_slice_of(text)) : NULL;
}

void pb_text_wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void pb_buffer_reserve(pb_buffer *buffer, size_t more)
{
    size_t needed = add_sizes(add_sizes(buffer->size, more), 1);
    if (needed <= buffer->capacity)
        return;
    bool first = buffer->data == NULL;
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_FIRST_BYTES;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    buffer->data = pb_reallocate(buffer->data, capacity);
    buffer->capacity = capacity;
    if (first)
        buffer->data[0] = '\0';
}

void pb_buffer_append(pb_buffer *buffer, const void *data, size_t size)
{
    pb_buffer_reserve(buffer, size);
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void pb_buffer_append_slice(pb_buffer *buffer, pb_slice slice)
{
    pb_buffer_append(buffer, slice.data, slice.size);
}

void pb_buffer_append_text(pb_buffer *buffer, const char *text)
{
    pb_buffer_append(buffer, text, strlen(text));
}

void pb_buffer_append_char(pb_buffer *buffer, char c)
{
    pb_buffer_reserve(buffer, 1);
    buffer->data[buffer->size++] = c;
    buffer->data[buffer->size] = '\0';
}

void pb_buffer_append_unsigned(pb_buffer *buffer, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    pb_buffer_append(buffer, digits + at, sizeof(digits) - at);
}

void pb_buffer_append_format(pb_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    pb_buffer_reserve(buffer, 0);
    size_t room = buffer->capacity - buffer->size;
    va_start(arguments, format);
    int length = vsnprintf(buffer->data + buffer->size, room, format, arguments);
    va_end(arguments);
    if (length < 0)
        abort(); /* a broken format is a bug */
    if ((size_t)length >= room) {
        pb_buffer_reserve(buffer, (size_t)length);
        va_start(arguments, format);
        vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    buffer->size += (size_t)length;
}

void pb_buffer_clear(pb_buffer *buffer)
{
    buffer->size = 0;
    if (buffer->data)
        buffer->data[0] = '\0';
}

void pb_buffer_free(pb_buffer *buffer)
{
    free(buffer->data);
    *buffer = (pb_buffer){0};
}

void pb_buffer_wipe(pb_buffer *buffer)
{
    if (buffer->data)
        explicit_bzero(buffer->data, buffer->capacity);
    pb_buffer_free(buffer);
}

struct pb_arena_block {
    struct pb_arena_block *next;
    size_t used;
    size_t capacity;
    max_align_t memory[];
};

static struct pb_arena_block *new_block(size_t capacity, struct pb_arena_block *next)
{
    struct pb_arena_block *block = pb_allocate(add_sizes(sizeof(*block), capacity));
    block->next = next;
    block->used = 0;
    block->capacity = capacity;
    return block;
}

void *pb_arena_allocate(pb_arena *arena, size_t size)
{
    size_t rounded = add_sizes(size, sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
    struct pb_arena_block *block = arena->block;
    if (block == NULL || block->capacity - block->used < rounded) {
        size_t capacity = block ? block->capacity * 2 : ARENA_BLOCK_FIRST_BYTES;
        if (capacity > ARENA_BLOCK_LAST_BYTES)
            capacity = ARENA_BLOCK_LAST_BYTES;
        if (block && rounded > capacity / 4) {
            /* A big one goes behind the current block, whose free rest stays in use. */
            block->next = new_block(rounded, block->next);
            block = block->next;
        } else {
            block = arena->block = new_block(rounded > capacity ? rounded : capacity, block);
        }
    }
    void *memory = (char *)block->memory + block->used;
    block->used += rounded;
    return memory;
}

pb_slice pb_arena_copy(pb_arena *arena, pb_slice slice)
{
    char *copy = pb_arena_allocate(arena, add_sizes(slice.size, 1));
    if (slice.size)
        memcpy(copy, slice.data, slice.size);
    copy[slice.size] = '\0';
    return (pb_slice){copy, slice.size};
}

void pb_arena_free(pb_arena *arena)
{
    struct pb_arena_block *block = arena->block;
    while (block) {
        struct pb_arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->block = NULL;
}
