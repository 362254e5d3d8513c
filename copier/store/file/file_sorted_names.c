#include "copier/store/file/file_sorted_names.h"

#include "base/clock.h"
#include "copier/store/file/file_name.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CACHED_DIRECTORIES = 4,
    CACHED_NAMES_MIN = 256, /* smaller ones are quick to read */
    /* A directory changed so lately may change again without its time moving: clocks are coarse. */
    SETTLED_MS = 2000,
};

struct pb_file_names_cache {
    uv_mutex_t mutex;                         /* of the slots and of all reference counts */
    pb_file_names *slots[CACHED_DIRECTORIES]; /* last used first */
};

pb_file_names_cache *pb_file_names_cache_new(void)
{
    pb_file_names_cache *cache = pb_allocate_zeroed(1, sizeof(*cache));
    if (uv_mutex_init(&cache->mutex))
        abort();
    return cache;
}

static void names_free(pb_file_names *names)
{
    pb_buffer_free(&names->texts);
    free(names->list);
    free(names);
}

void pb_file_names_release(pb_file_names_cache *cache, pb_file_names *names)
{
    if (names == NULL)
        return;
    uv_mutex_lock(&cache->mutex);
    bool last = --names->references == 0;
    uv_mutex_unlock(&cache->mutex);
    if (last)
        names_free(names);
}

void pb_file_names_cache_free(pb_file_names_cache *cache)
{
    for (size_t i = 0; i < CACHED_DIRECTORIES; i++)
        pb_file_names_release(cache, cache->slots[i]);
    uv_mutex_destroy(&cache->mutex);
    free(cache);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_state(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

static pb_file_names *cache_find(pb_file_names_cache *cache, const struct stat *status)
{
    pb_file_names *found = NULL;
    uv_mutex_lock(&cache->mutex);
    for (size_t i = 0; i < CACHED_DIRECTORIES && cache->slots[i]; i++) {
        if (!same_state(&cache->slots[i]->status, status))
            continue;
        found = cache->slots[i];
        found->references++;
        memmove(&cache->slots[1], &cache->slots[0], i * sizeof(cache->slots[0]));
        cache->slots[0] = found;
        break;
    }
    uv_mutex_unlock(&cache->mutex);
    return found;
}

static void cache_add(pb_file_names_cache *cache, pb_file_names *names)
{
    size_t place = CACHED_DIRECTORIES - 1;
    uv_mutex_lock(&cache->mutex);
    for (size_t i = 0; i < CACHED_DIRECTORIES; i++) {
        /* An older state of the same directory goes first. */
        if (cache->slots[i] == NULL || (cache->slots[i]->status.st_ino == names->status.st_ino &&
                                        cache->slots[i]->status.st_dev == names->status.st_dev)) {
            place = i;
            break;
        }
    }
    pb_file_names *dropped = cache->slots[place];
    memmove(&cache->slots[1], &cache->slots[0], place * sizeof(cache->slots[0]));
    cache->slots[0] = names;
    names->references++;
    uv_mutex_unlock(&cache->mutex);
    pb_file_names_release(cache, dropped);
}

static void add(pb_file_names *names, pb_file_name_kind kind, pb_slice component, bool plain)
{
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? names->capacity * 2 : 64;
        names->list = pb_reallocate(names->list, names->capacity * sizeof(*names->list));
    }
    size_t offset = names->texts.size;
    pb_buffer_append_slice(&names->texts, component);
    if (kind == PB_FILE_NAME_DIRECTORY)
        pb_buffer_append_char(&names->texts, '/');
    names->list[names->count++] = (pb_file_name){.offset = offset,
                                                 .size = (uint16_t)(names->texts.size - offset),
                                                 .kind = (uint8_t)kind,
                                                 .plain = plain};
    pb_buffer_append_char(&names->texts, '\0');
}

static void add_foreign(pb_file_names *names, pb_slice path)
{
    add(names, PB_FILE_NAME_FOREIGN, path, false);
    pb_buffer_append_slice(&names->texts, path);
    pb_buffer_append_char(&names->texts, '\0');
}

static mode_t type_of(int directory, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN)
        return DTTOIF(entry->d_type);
    struct stat status;
    return fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW)
               ? 0
               : status.st_mode & S_IFMT;
}

/* A directory as a stream; the descriptor stays the caller's. */
static DIR *stream_of(int directory)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (stream == NULL && copy >= 0)
        close(copy);
    return stream;
}

static bool is_own(const char *name)
{
    return strncmp(name, PB_FILE_OWN_PREFIX, sizeof(PB_FILE_OWN_PREFIX) - 1) == 0;
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* Adds the names of a directory; `inside` is its path below the one that is read, ending in '/',
 * where it holds the rest of a long component, else empty. 0, or -1 with errno. */
static int read_directory(pb_file_names *names, int directory, pb_slice inside)
{
    DIR *stream = stream_of(directory);
    if (stream == NULL)
        return -1;
    pb_buffer path = {0};
    pb_buffer component = {0};
    int result = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            result = errno ? -1 : 0;
            break;
        }
        if (is_dots(entry->d_name) || is_own(entry->d_name))
            continue;
        mode_t type = type_of(directory, entry);
        if (type == 0)
            continue; /* removed meanwhile */
        pb_slice name = pb_slice_of(entry->d_name);
        pb_buffer_clear(&path);
        pb_buffer_append_slice(&path, inside);
        pb_buffer_append_slice(&path, name);
        pb_buffer_clear(&component);
        bool aside = false;
        if (type == S_IFDIR && pb_file_name_continues(name) && path.size < PB_FILE_PATH_BYTES_MAX) {
            names->whole = false;
            int rest =
                openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (rest < 0 && (errno == ENOENT || errno == ENOTDIR))
                continue;
            pb_buffer_append_char(&path, '/');
            result = rest < 0 ? -1 : read_directory(names, rest, pb_buffer_slice(&path));
            int failure = errno;
            if (rest >= 0)
                close(rest);
            errno = failure;
            if (result)
                break;
        } else if ((type != S_IFREG && type != S_IFDIR) ||
                   !pb_file_component_read(pb_buffer_slice(&path), &component, &aside) ||
                   (aside && type == S_IFDIR)) {
            add_foreign(names, pb_buffer_slice(&path));
        } else {
            pb_slice text = pb_buffer_slice(&component);
            add(names, type == S_IFDIR ? PB_FILE_NAME_DIRECTORY : PB_FILE_NAME_FILE, text,
                pb_slice_equal(text, name));
        }
    }
    int failure = errno;
    pb_buffer_free(&path);
    pb_buffer_free(&component);
    closedir(stream);
    errno = failure;
    return result;
}

static int compare_names(const void *left, const void *right, void *context)
{
    const pb_file_names *names = context;
    return pb_slice_compare(pb_file_names_text(names, left), pb_file_names_text(names, right));
}

static void sort(pb_file_names *names)
{
    if (names->count)
        qsort_r(names->list, names->count, sizeof(*names->list), compare_names, names);
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++) {
        /* A file met under its plain name and aside. */
        if (kept && names->list[i].kind == PB_FILE_NAME_FILE &&
            names->list[kept - 1].kind == PB_FILE_NAME_FILE &&
            compare_names(&names->list[kept - 1], &names->list[i], names) == 0)
            continue;
        names->list[kept++] = names->list[i];
    }
    names->count = kept;
}

static bool is_settled(const struct stat *status, int64_t now_ms)
{
    return (int64_t)status->st_mtim.tv_sec * 1000 + SETTLED_MS < now_ms &&
           (int64_t)status->st_ctim.tv_sec * 1000 + SETTLED_MS < now_ms;
}

int pb_file_names_read(pb_file_tree *tree, pb_file_names_cache *cache, int directory,
                       const char *path, pb_file_names **ret_names, pb_error *error)
{
    struct stat before;
    int64_t now_ms = pb_clock_utc_ms();
    if (fstat(directory, &before))
        return pb_file_tree_error(tree, error, errno, "read", path);
    pb_file_names *names = cache_find(cache, &before);
    if (names) {
        *ret_names = names;
        return 0;
    }
    names = pb_allocate_zeroed(1, sizeof(*names));
    names->references = 1;
    names->whole = true;
    uv_rwlock_rdlock(&tree->giving_way);
    int result = read_directory(names, directory, (pb_slice){NULL, 0});
    int failure = errno;
    uv_rwlock_rdunlock(&tree->giving_way);
    if (result) {
        names_free(names);
        return pb_file_tree_error(tree, error, failure, "read", path);
    }
    sort(names);
    if (names->whole && names->count >= CACHED_NAMES_MIN && is_settled(&before, now_ms) &&
        fstat(directory, &names->status) == 0 && same_state(&before, &names->status))
        cache_add(cache, names);
    *ret_names = names;
    return 0;
}

int pb_file_names_any(const pb_file_tree *tree, int root, const char *path, pb_error *error)
{
    int directory = pb_file_tree_open(tree, root, path, O_RDONLY | O_DIRECTORY);
    DIR *stream = directory < 0 ? NULL : stream_of(directory);
    int failure = errno;
    if (directory >= 0)
        close(directory);
    if (stream == NULL) {
        if (failure == ENOENT || failure == ENOTDIR)
            return 0;
        return pb_file_tree_error(tree, error, failure, "open", path);
    }
    int found = 0;
    pb_buffer below = {0}; /* NUL-terminated names of directories */
    while (!found) {
        errno = 0;
        struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            if (errno)
                found = pb_file_tree_error(tree, error, errno, "read", path);
            break;
        }
        if (is_dots(entry->d_name) || is_own(entry->d_name))
            continue;
        mode_t type = type_of(dirfd(stream), entry);
        if (type == S_IFDIR)
            pb_buffer_append(&below, entry->d_name, strlen(entry->d_name) + 1);
        else if (type)
            found = 1;
    }
    closedir(stream);
    pb_buffer next = {0};
    for (size_t at = 0; !found && at < below.size; at += strlen(below.data + at) + 1) {
        pb_buffer_clear(&next);
        pb_buffer_append_format(&next, "%s/%s", path, below.data + at);
        /* Too deep to be a key: for the listing of that directory to say. */
        found = next.size > PB_FILE_PATH_BYTES_MAX
                    ? 1
                    : pb_file_names_any(tree, root, next.data, error);
    }
    pb_buffer_free(&below);
    pb_buffer_free(&next);
    return found;
}
