#include "copier/store/file/file_listing.h"

#include "copier/store/file/file_name.h"
#include "copier/store/file/file_object.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct level {
    pb_file_names *names;
    size_t position;  /* of the next name */
    size_t key_size;  /* of walk->key in this directory */
    size_t path_size; /* of walk->path */
} level;

struct pb_file_walk {
    pb_file_tree *tree;
    pb_file_names_cache *cache;
    pb_buffer prefix;
    pb_buffer last; /* behind us: `after`, then the last of each page */
    bool grouped;
    bool last_is_group;
    bool started;
    level *levels;
    size_t level_count;
    size_t level_capacity;
    pb_buffer key;  /* of the deepest level: empty or ending in '/' */
    pb_buffer path; /* of the deepest level, below the root */
    int root;       /* while a page is made, else -1 */
    int directory;  /* of the deepest level where open, else -1 */
};

pb_file_walk *pb_file_walk_new(pb_file_tree *tree, pb_file_names_cache *cache,
                               const pb_file_walk_range *range)
{
    pb_file_walk *walk = pb_allocate_zeroed(1, sizeof(*walk));
    walk->tree = tree;
    walk->cache = cache;
    walk->grouped = range->grouped;
    walk->last_is_group = range->after_is_group;
    walk->root = -1;
    walk->directory = -1;
    pb_buffer_append_slice(&walk->prefix, range->prefix);
    pb_buffer_append_slice(&walk->last, range->after);
    pb_buffer_reserve(&walk->key, 0);
    pb_buffer_reserve(&walk->path, 0);
    return walk;
}

pb_file_walk_range pb_file_walk_rest(const pb_file_walk *walk)
{
    return (pb_file_walk_range){.prefix = pb_buffer_slice(&walk->prefix),
                                .after = pb_buffer_slice(&walk->last),
                                .grouped = walk->grouped,
                                .after_is_group = walk->last_is_group};
}

static void leave_directory(pb_file_walk *walk)
{
    if (walk->directory >= 0)
        close(walk->directory);
    walk->directory = -1;
}

static void cut(pb_buffer *buffer, size_t size)
{
    buffer->size = size;
    buffer->data[size] = '\0';
}

static void cut_to_level(pb_file_walk *walk)
{
    const level *top = walk->level_count ? &walk->levels[walk->level_count - 1] : NULL;
    cut(&walk->key, top ? top->key_size : 0);
    cut(&walk->path, top ? top->path_size : 0);
}

static void pop(pb_file_walk *walk)
{
    leave_directory(walk);
    pb_file_names_release(walk->cache, walk->levels[--walk->level_count].names);
    cut_to_level(walk);
}

void pb_file_walk_free(pb_file_walk *walk)
{
    if (walk == NULL)
        return;
    while (walk->level_count)
        pop(walk);
    free(walk->levels);
    pb_buffer_free(&walk->prefix);
    pb_buffer_free(&walk->last);
    pb_buffer_free(&walk->key);
    pb_buffer_free(&walk->path);
    free(walk);
}

static pb_slice tail(pb_slice slice, size_t from)
{
    return from < slice.size ? pb_slice_from(slice, from) : (pb_slice){0};
}

/* True where the name, and all keys below it, lie before what the walk is to give. */
static bool is_behind(const pb_file_walk *walk, const pb_file_name *name, pb_slice text)
{
    pb_slice key = pb_buffer_slice(&walk->key);
    pb_slice last = pb_buffer_slice(&walk->last);
    if (pb_slice_compare(text, tail(pb_buffer_slice(&walk->prefix), key.size)) < 0)
        return true;
    if (!pb_slice_starts_with(last, key))
        return pb_slice_compare(key, last) < 0;
    pb_slice rest = tail(last, key.size);
    if (pb_slice_compare(text, rest) > 0)
        return false;
    bool is_within = name->kind == PB_FILE_NAME_DIRECTORY && pb_slice_starts_with(rest, text);
    return !is_within || (walk->last_is_group && rest.size == text.size);
}

static size_t first_ahead(const pb_file_walk *walk, const pb_file_names *names)
{
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const pb_file_name *name = &names->list[middle];
        if (is_behind(walk, name, pb_file_names_text(names, name)))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Opens the directory of walk->path. 1 where it is gone, which is no error. */
static int enter_directory(pb_file_walk *walk, pb_error *error)
{
    leave_directory(walk);
    walk->directory =
        pb_file_tree_open(walk->tree, walk->root, walk->path.data, O_RDONLY | O_DIRECTORY);
    if (walk->directory >= 0)
        return 0;
    if (errno == ENOENT || errno == ENOTDIR)
        return 1;
    return pb_file_tree_error(walk->tree, error, errno, "open", walk->path.data);
}

/* Goes down into walk->path, whose keys begin with walk->key. */
static int push(pb_file_walk *walk, pb_error *error)
{
    int gone = enter_directory(walk, error);
    if (gone) {
        cut_to_level(walk);
        return gone < 0 ? -1 : 0;
    }
    pb_file_names *names;
    if (pb_file_names_read(walk->tree, walk->cache, walk->directory, walk->path.data, &names,
                           error))
        return -1;
    if (walk->level_count == walk->level_capacity) {
        walk->level_capacity = walk->level_capacity ? walk->level_capacity * 2 : 8;
        walk->levels = pb_reallocate(walk->levels, walk->level_capacity * sizeof(*walk->levels));
    }
    walk->levels[walk->level_count++] = (level){.names = names,
                                                .position = first_ahead(walk, names),
                                                .key_size = walk->key.size,
                                                .path_size = walk->path.size};
    return 0;
}

/* Down to the directory that all keys with the prefix are in. */
static int start(pb_file_walk *walk, pb_error *error)
{
    pb_slice prefix = pb_buffer_slice(&walk->prefix);
    const char *slash = prefix.size ? memrchr(prefix.data, '/', prefix.size) : NULL;
    if (slash) {
        pb_slice above = {prefix.data, (size_t)(slash - prefix.data)};
        if (above.size == 0)
            pb_file_component_append(&walk->path, above, false);
        else if (!pb_file_path_append(&walk->path, above, false))
            return 0; /* no key is so long */
        pb_buffer_append(&walk->key, prefix.data, above.size + 1);
    }
    return push(walk, error);
}

static int error_too_long(const pb_file_walk *walk, pb_slice text, pb_error *error)
{
    pb_error_set(error, PB_ERROR_FAILED, "list %s/%s: a key of over %d bytes: %.*s...",
                 walk->tree->root, walk->path.data, PB_FILE_KEY_BYTES_MAX, PB_SLICE_FORMAT(text));
    return pb_error_hint(error, "no object store holds such keys: take it out of the directory");
}

static int go_down(pb_file_walk *walk, pb_slice text, pb_error *error)
{
    if (walk->key.size + text.size > PB_FILE_KEY_BYTES_MAX)
        return error_too_long(walk, text, error);
    pb_buffer_append_slice(&walk->key, text);
    if (walk->path.size)
        pb_buffer_append_char(&walk->path, '/');
    pb_file_component_append(&walk->path, (pb_slice){text.data, text.size - 1}, false);
    return push(walk, error);
}

/* 1 where the group of a directory has a key ahead of us, 0 where it has none. */
static int group_has_key(pb_file_walk *walk, pb_slice text, pb_error *error)
{
    pb_buffer path = {0};
    pb_buffer key = {0};
    pb_buffer_append_slice(&key, pb_buffer_slice(&walk->key));
    pb_buffer_append_slice(&key, text);
    int result;
    if (pb_slice_starts_with(pb_buffer_slice(&walk->last), pb_buffer_slice(&key))) {
        pb_file_walk_range range = {.prefix = pb_buffer_slice(&key),
                                    .after = pb_buffer_slice(&walk->last)};
        pb_file_walk *inside = pb_file_walk_new(walk->tree, walk->cache, &range);
        pb_page *page = pb_page_new();
        result = pb_file_walk_page(inside, 1, page, error) ? -1 : page->count > 0;
        pb_page_release(page);
        pb_file_walk_free(inside);
    } else {
        pb_buffer_append_slice(&path, pb_buffer_slice(&walk->path));
        if (path.size)
            pb_buffer_append_char(&path, '/');
        pb_file_component_append(&path, (pb_slice){text.data, text.size - 1}, false);
        result = pb_file_names_any(walk->tree, walk->root, path.data, error);
    }
    pb_buffer_free(&path);
    pb_buffer_free(&key);
    return result;
}

/* Finds the next name that stands for a key or a group, at the deepest level's position; NULL at
 * the end. */
static int find_next(pb_file_walk *walk, const pb_file_name **ret_name, pb_error *error)
{
    *ret_name = NULL;
    while (walk->level_count) {
        level *top = &walk->levels[walk->level_count - 1];
        if (top->position == top->names->count) {
            pop(walk);
            continue;
        }
        const pb_file_name *name = &top->names->list[top->position];
        pb_slice text = pb_file_names_text(top->names, name);
        if (!pb_slice_starts_with(text, tail(pb_buffer_slice(&walk->prefix), top->key_size))) {
            pop(walk);
            continue;
        }
        bool has_key = true;
        if (name->kind == PB_FILE_NAME_DIRECTORY && walk->grouped) {
            int has = group_has_key(walk, text, error);
            if (has < 0)
                return -1;
            has_key = has;
        } else if (name->kind == PB_FILE_NAME_DIRECTORY) {
            top->position++;
            if (go_down(walk, text, error))
                return -1;
            continue;
        }
        if (has_key) {
            *ret_name = name;
            return 0;
        }
        top->position++;
    }
    return 0;
}

/* Without following links; a path of several names goes the safe way. 0, or -1 with errno. */
static int status_of(const pb_file_walk *walk, const char *path, struct stat *ret_status)
{
    if (strchr(path, '/') == NULL)
        return fstatat(walk->directory, path, ret_status, AT_SYMLINK_NOFOLLOW);
    int file = pb_file_tree_open(walk->tree, walk->directory, path, O_PATH);
    if (file < 0)
        return -1;
    int result = fstat(file, ret_status);
    int failure = errno;
    close(file);
    errno = failure;
    return result;
}

static int error_foreign(const pb_file_walk *walk, const char *name, const struct stat *status,
                         pb_error *error)
{
    const char *slash = walk->path.size ? "/" : "";
    if (status && S_ISLNK(status->st_mode)) {
        pb_buffer path = {0};
        pb_buffer_append_format(&path, "%s%s%s", walk->path.data, slash, name);
        pb_file_tree_error(walk->tree, error, ELOOP, "list", path.data);
        pb_buffer_free(&path);
        return -1;
    }
    bool is_special = status && !S_ISREG(status->st_mode) && !S_ISDIR(status->st_mode);
    pb_error_set(error, PB_ERROR_FAILED, "list %s/%s%s%s: %s", walk->tree->root, walk->path.data,
                 slash, name,
                 is_special ? "neither a file nor a directory"
                            : "not a name that a key is stored under");
    if (is_special)
        return pb_error_hint(error, "only files have a place in a bucket: take it out");
    return pb_error_hint(error, "'%%' and control bytes stand escaped (%%25, %%0A) in a directory "
                                "of keys: rename it, or take it out");
}

static void add_entry(pb_file_walk *walk, pb_slice text, const struct stat *status, pb_page *page)
{
    char etag[PB_ETAG_TEXT_MAX];
    pb_file_etag(status, etag);
    size_t size = walk->key.size + text.size;
    char *key = pb_arena_allocate(&page->arena, size + 1);
    memcpy(key, walk->key.data, walk->key.size);
    memcpy(key + walk->key.size, text.data, text.size);
    key[size] = '\0';
    pb_entry *entry = pb_page_add(page);
    entry->key = (pb_slice){key, size};
    entry->size = (uint64_t)status->st_size;
    entry->mtime_ms = pb_file_changed_ms(walk->tree, status);
    entry->etag = pb_arena_copy(&page->arena, pb_slice_of(etag));
}

/* Adds the entry of the name at the position, and moves on. Nothing where it is gone. */
static int take_entry(pb_file_walk *walk, const pb_file_name *name, pb_page *page, pb_error *error)
{
    level *top = &walk->levels[walk->level_count - 1];
    pb_slice text = pb_file_names_text(top->names, name);
    if (walk->directory < 0) {
        int gone = enter_directory(walk, error);
        if (gone < 0)
            return -1;
        if (gone) {
            top->position = top->names->count;
            return 0;
        }
    }
    top->position++;
    struct stat status;
    if (name->kind == PB_FILE_NAME_FOREIGN) {
        const char *path = text.data + text.size + 1;
        bool known = status_of(walk, path, &status) == 0;
        if (!known && errno == ENOENT)
            return 0;
        return error_foreign(walk, path, known ? &status : NULL, error);
    }
    if (walk->key.size + text.size > PB_FILE_KEY_BYTES_MAX)
        return error_too_long(walk, text, error);
    pb_buffer path = {0};
    int result = 0;
    bool found = false;
    for (int aside = 0; aside < 2 && !found && result == 0; aside++) {
        pb_buffer_clear(&path);
        const char *at = text.data;
        if (!name->plain || aside) {
            pb_file_component_append(&path, text, aside);
            at = path.data;
        }
        if (status_of(walk, at, &status) == 0) {
            found = !S_ISDIR(status.st_mode);
            if (found && !S_ISREG(status.st_mode))
                result = error_foreign(walk, at, &status, error);
        } else if (errno != ENOENT && errno != ENOTDIR) {
            result = pb_error_errno(error, errno, "list %s/%s%s%s", walk->tree->root,
                                    walk->path.data, walk->path.size ? "/" : "", at);
        }
    }
    if (result == 0 && found)
        add_entry(walk, text, &status, page);
    pb_buffer_free(&path);
    return result;
}

static void take_group(pb_file_walk *walk, const pb_file_name *name, pb_page *page)
{
    level *top = &walk->levels[walk->level_count - 1];
    top->position++;
    pb_buffer key = {0};
    pb_buffer_append_slice(&key, pb_buffer_slice(&walk->key));
    pb_buffer_append_slice(&key, pb_file_names_text(top->names, name));
    pb_page_add_prefix(page, pb_arena_copy(&page->arena, pb_buffer_slice(&key)));
    pb_buffer_free(&key);
}

static int fill(pb_file_walk *walk, unsigned keys_max, pb_page *page, pb_error *error)
{
    bool last_is_group = false;
    for (;;) {
        const pb_file_name *name;
        if (find_next(walk, &name, error))
            return -1;
        size_t taken = page->count + page->prefix_count;
        page->more = name && taken >= keys_max;
        if (name == NULL || page->more) {
            if (taken == 0)
                return 0;
            pb_slice last = last_is_group ? page->prefixes[page->prefix_count - 1]
                                          : page->entries[page->count - 1].key;
            pb_buffer_clear(&walk->last);
            pb_buffer_append_slice(&walk->last, last);
            walk->last_is_group = last_is_group;
            return 0;
        }
        if (name->kind == PB_FILE_NAME_DIRECTORY) {
            take_group(walk, name, page);
            last_is_group = true;
        } else {
            size_t before = page->count;
            if (take_entry(walk, name, page, error))
                return -1;
            if (page->count > before)
                last_is_group = false;
        }
    }
}

int pb_file_walk_page(pb_file_walk *walk, unsigned keys_max, pb_page *page, pb_error *error)
{
    walk->root = pb_file_tree_root(walk->tree, false, error);
    if (walk->root < 0)
        return -1;
    int result = 0;
    if (!walk->started)
        result = start(walk, error);
    walk->started = true;
    if (result == 0)
        result = fill(walk, keys_max, page, error);
    leave_directory(walk);
    close(walk->root);
    walk->root = -1;
    return result;
}
