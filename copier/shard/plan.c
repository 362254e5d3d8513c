#include "copier/shard/plan.h"

/* Length in bytes of the UTF-8 character at the front (1 where it is none). */
static size_t character_length(pb_slice text)
{
    unsigned char lead = (unsigned char)text.data[0];
    size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    return length <= text.size ? length : 1;
}

/* The first key after `after` with `prefix`; found says whether there is one. */
static int first_key(pb_store *store, pb_slice prefix, pb_slice after, pb_arena *arena,
                     bool *ret_found, pb_slice *ret_key, pb_error *error)
{
    pb_store_request request = {.operation = PB_STORE_LIST};
    request.list.prefix = prefix;
    request.list.after = after;
    request.list.keys_max = 1;
    if (pb_store_call(store, &request, error))
        return -1;
    *ret_found = request.page->count > 0;
    if (*ret_found)
        *ret_key = pb_arena_copy(arena, request.page->entries[0].key);
    pb_page_release(request.page);
    return 0;
}

/* Appends a text that sorts after everything that begins with `character` and, nearly, not after
 * what begins with the next one: the next code point, or the same character followed by the last
 * one. */
static void append_next(pb_buffer *buffer, pb_slice character)
{
    unsigned char last = (unsigned char)character.data[character.size - 1];
    pb_buffer_append_slice(buffer, character);
    if (character.size == 1 ? last < 0x7F : last < 0xBF)
        buffer->data[buffer->size - 1] = (char)(last + 1);
    else
        pb_buffer_append_text(buffer, "\xF4\x8F\xBF\xBF");
}

typedef struct cut_list {
    pb_slice *items;
    size_t count, capacity;
} cut_list;

static void add_cut(cut_list *cuts, pb_arena *arena, pb_slice cut)
{
    if (cuts->count == cuts->capacity) {
        size_t capacity = cuts->capacity ? cuts->capacity * 2 : 64;
        pb_slice *items = pb_arena_allocate(arena, capacity * sizeof *items);
        if (cuts->count)
            memcpy(items, cuts->items, cuts->count * sizeof *items);
        cuts->items = items;
        cuts->capacity = capacity;
    }
    cuts->items[cuts->count++] = cut;
}

/* The distinct characters that follow `stem` among the keys, as stems one character longer. */
static int branches(pb_store *store, pb_slice stem, unsigned *probes_left, pb_arena *arena,
                    cut_list *ret_stems, pb_error *error)
{
    pb_buffer after = {0};
    pb_buffer_append_slice(&after, stem);
    int failed = 0;
    while (*probes_left) {
        bool found = false;
        pb_slice key = {0};
        --*probes_left;
        failed = first_key(store, stem, pb_buffer_slice(&after), arena, &found, &key, error);
        if (failed || !found || key.size <= stem.size)
            break;
        pb_slice rest = {key.data + stem.size, key.size - stem.size};
        pb_slice longer = {key.data, stem.size + character_length(rest)};
        if (ret_stems->count && pb_slice_equal(ret_stems->items[ret_stems->count - 1], longer))
            break; /* no progress: keys at the very end of the code space */
        add_cut(ret_stems, arena, longer);
        pb_buffer_clear(&after);
        pb_buffer_append_slice(&after, stem);
        append_next(&after, (pb_slice){rest.data, longer.size - stem.size});
    }
    pb_buffer_free(&after);
    return failed;
}

int pb_plan_cuts(pb_store *store, pb_slice prefix, unsigned wanted, pb_arena *arena,
                 pb_slice **ret_cuts, size_t *ret_count, pb_error *error)
{
    unsigned probes_left = wanted * 3;
    cut_list stems = {0}, cuts = {0};
    *ret_count = 0;
    pb_store_request first = {.operation = PB_STORE_LIST};
    first.list.prefix = prefix;
    if (pb_store_call(store, &first, error))
        return -1;
    bool small = !first.page->more;
    pb_page_release(first.page);
    if (small)
        return 0;
    add_cut(&stems, arena, pb_arena_copy(arena, prefix));
    /* Level by level: each stem is replaced by its branches until there are enough. */
    while (stems.count < wanted && probes_left) {
        cut_list longer = {0};
        for (size_t i = 0; i < stems.count; i++) {
            size_t before = longer.count;
            cut_list found = {0};
            if (longer.count + (stems.count - i) < wanted &&
                branches(store, stems.items[i], &probes_left, arena, &found, error))
                return -1;
            for (size_t j = 0; j < found.count; j++)
                add_cut(&longer, arena, found.items[j]);
            if (longer.count == before)
                add_cut(&longer, arena, stems.items[i]);
        }
        bool grew = longer.count > stems.count ||
                    (longer.count && longer.items[0].size > stems.items[0].size);
        stems = longer;
        if (!grew)
            break;
    }
    /* Everything up to the second stem is the first range; each further stem begins one. A stem
     * that is itself a key ends the range before it, which is as good. */
    for (size_t i = 1; i < stems.count; i++)
        add_cut(&cuts, arena, stems.items[i]);
    *ret_cuts = cuts.items;
    *ret_count = cuts.count;
    return 0;
}
