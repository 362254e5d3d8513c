/* base/bytes.h - byte slices, a growing buffer, and an arena. Any thread, one at a time.
 *
 * Out of memory for small things aborts (pb_allocate and the buffer); sizes that come from outside
 * must be bounded by the caller before they reach here. */
#ifndef PB_BASE_BYTES_H
#define PB_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes; not NUL-terminated. {NULL, 0} is the empty slice. */
typedef struct pb_slice {
    const char *data;
    size_t size;
} pb_slice;

#define PB_SLICE_LITERAL(text) ((pb_slice){(text), sizeof(text) - 1})
/* The same where C wants a constant: `static const pb_slice mark = PB_SLICE_STATIC("x");`. */
#define PB_SLICE_STATIC(text)                                                                      \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }
/* For printf's "%.*s". */
#define PB_SLICE_FORMAT(slice) (int)(slice).size, (slice).data ? (slice).data : ""

static inline pb_slice pb_slice_of(const char *text)
{
    return (pb_slice){text, text ? strlen(text) : 0};
}

static inline bool pb_slice_equal(pb_slice a, pb_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* The same beside a text that ends with NUL; of a literal the length is known. */
static inline bool pb_slice_is(pb_slice slice, const char *text)
{
    size_t size = strlen(text);
    return slice.size == size && (size == 0 || memcmp(slice.data, text, size) == 0);
}

/* Bytewise order, a shorter slice before a longer one that it begins: the order of keys. */
static inline int pb_slice_compare(pb_slice a, pb_slice b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static inline bool pb_slice_starts_with(pb_slice slice, pb_slice start)
{
    return slice.size >= start.size &&
           (start.size == 0 || memcmp(slice.data, start.data, start.size) == 0);
}

/* Without its first `size` bytes, of which there are as many. */
static inline pb_slice pb_slice_from(pb_slice slice, size_t size)
{
    return (pb_slice){slice.data + size, slice.size - size};
}

static inline bool pb_slice_ends_with(pb_slice slice, pb_slice end)
{
    return slice.size >= end.size &&
           (end.size == 0 || memcmp(slice.data + slice.size - end.size, end.data, end.size) == 0);
}

/* malloc/calloc/realloc/strdup that never return NULL: they print to standard error and abort.
 * Freed with free(). */
void *pb_allocate(size_t size);
void *pb_allocate_zeroed(size_t count, size_t size);
void *pb_reallocate(void *memory, size_t size);
char *pb_duplicate(pb_slice slice);        /* NUL-terminated copy */
char *pb_duplicate_text(const char *text); /* likewise; NULL of NULL */
/* Frees a secret (NULL allowed): it is overwritten first. */
void pb_text_wipe(char *text);

/* A growing buffer, always NUL-terminated past its size. {0} is an empty one. */
typedef struct pb_buffer {
    char *data;
    size_t size;
    size_t capacity;
} pb_buffer;

void pb_buffer_reserve(pb_buffer *buffer, size_t more); /* room for `more` bytes past size */
void pb_buffer_append(pb_buffer *buffer, const void *data, size_t size);
void pb_buffer_append_slice(pb_buffer *buffer, pb_slice slice);
void pb_buffer_append_text(pb_buffer *buffer, const char *text);
void pb_buffer_append_char(pb_buffer *buffer, char c);
void pb_buffer_append_unsigned(pb_buffer *buffer, uint64_t value); /* decimal */
void pb_buffer_append_format(pb_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void pb_buffer_clear(pb_buffer *buffer); /* size 0, memory kept */
void pb_buffer_free(pb_buffer *buffer);  /* back to {0} */
/* Frees a buffer of secrets: all of its memory is overwritten first. Reserve enough beforehand: a
 * buffer that grows leaves copies behind. */
void pb_buffer_wipe(pb_buffer *buffer);
static inline pb_slice pb_buffer_slice(const pb_buffer *buffer)
{
    return (pb_slice){buffer->data, buffer->size};
}

/* An arena: many small allocations, freed together. {0} is an empty one. Pointers stay valid until
 * pb_arena_free. Memory is aligned for any type. */
typedef struct pb_arena {
    struct pb_arena_block *block;
} pb_arena;

void *pb_arena_allocate(pb_arena *arena, size_t size);
pb_slice pb_arena_copy(pb_arena *arena, pb_slice slice); /* the copy is also NUL-terminated */
void pb_arena_free(pb_arena *arena);

#endif
