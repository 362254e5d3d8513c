#include "copier/store/file/file_tree.h"

#include "copier/store/file/file_name.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    DIRECTORY_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
    ATTEMPTS_MAX = 100,
    ATTEMPT_WAIT_US = 100, /* times the attempts so far */
};

bool pb_file_attempt(unsigned *attempts)
{
    if (*attempts == ATTEMPTS_MAX) {
        errno = EBUSY;
        return false;
    }
    /* A directory that is being removed can be opened to the last, but nothing be made in it. */
    if (*attempts)
        usleep(*attempts * ATTEMPT_WAIT_US);
    ++*attempts;
    return true;
}

static int open_beneath(int directory, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)flags,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
}

void pb_file_tree_init(pb_file_tree *tree, const char *root)
{
    size_t size = strlen(root);
    while (size && root[size - 1] == '/')
        size--;
    tree->root = pb_duplicate((pb_slice){root, size});
    if (uv_rwlock_init(&tree->giving_way))
        abort();
    /* Kernels before 5.6 have none, and some sandboxes refuse what they do not know. */
    int probe = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int opened = open_beneath(probe, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    tree->has_openat2 = opened >= 0;
    if (opened >= 0)
        close(opened);
    if (probe >= 0)
        close(probe);
}

void pb_file_tree_free(pb_file_tree *tree)
{
    free(tree->root);
    uv_rwlock_destroy(&tree->giving_way);
}

int pb_file_tree_error(const pb_file_tree *tree, pb_error *error, int errnum, const char *what,
                       const char *path)
{
    if (errnum == ELOOP) {
        pb_error_set(error, PB_ERROR_FAILED, "%s %s/%s: a symbolic link", what, tree->root, path);
        return pb_error_hint(error,
                             "links are not followed: put what it points to in its place, or "
                             "take it out of the directory");
    }
    return pb_error_errno(error, errnum, "%s %s/%s", what, tree->root, path);
}

int pb_file_directory_sync(int directory)
{
    int readable = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (readable < 0)
        return -1;
    int result = fsync(readable);
    int failure = errno;
    close(readable);
    /* Some network file systems keep no directories to flush. */
    if (result && (failure == EINVAL || failure == EOPNOTSUPP))
        return 0;
    errno = failure;
    return result;
}

/* mkdir -p of an absolute path. */
static int make_root(const char *root)
{
    char *path = pb_duplicate(pb_slice_of(root));
    int result = 0;
    for (char *slash = path; result == 0 && slash;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = '\0';
        if (mkdir(path, 0777) == 0) {
            char *last = strrchr(path, '/');
            char kept = last[1];
            last[1] = '\0'; /* the directory above, with its slash */
            int above = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
            result = above < 0 ? -1 : pb_file_directory_sync(above);
            int failure = errno;
            if (above >= 0)
                close(above);
            errno = failure;
            last[1] = kept;
        } else {
            /* What is there already may stand on a read-only file system. */
            int failure = errno;
            struct stat status;
            result = stat(path, &status) == 0 ? 0 : -1;
            errno = failure;
        }
        if (slash)
            *slash = '/';
    }
    int failure = errno;
    free(path);
    errno = failure;
    return result;
}

int pb_file_tree_root(const pb_file_tree *tree, bool make, pb_error *error)
{
    const char *root = tree->root[0] ? tree->root : "/";
    int opened = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0 && errno == ENOENT && make) {
        if (make_root(root))
            return pb_error_errno(error, errno, "create %s", root);
        opened = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (opened < 0) {
        pb_error_errno(error, errno, "open %s", root);
        if (errno == ENOENT)
            pb_error_hint(error, "the directory does not exist: is its file system mounted?");
        return -1;
    }
    return opened;
}

static bool is_link(int directory, const char *name)
{
    struct stat status;
    return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
}

/* One name of a directory, never through a link; a link is ELOOP whatever the flags. */
static int open_name(int directory, const char *name, int flags)
{
    int opened = openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0) {
        if (errno == ENOTDIR)
            errno = is_link(directory, name) ? ELOOP : ENOTDIR;
        return -1;
    }
    struct stat status;
    if ((flags & O_PATH) && (fstat(opened, &status) || S_ISLNK(status.st_mode))) {
        close(opened);
        errno = ELOOP;
        return -1;
    }
    return opened;
}

static int open_by_components(int directory, const char *path, int flags)
{
    char *copy = pb_duplicate(pb_slice_of(path));
    char *name = copy;
    int current = directory;
    for (char *slash; current >= 0 && (slash = strchr(name, '/')) != NULL; name = slash + 1) {
        *slash = '\0';
        int next = open_name(current, name, DIRECTORY_FLAGS);
        int failure = errno;
        if (current != directory)
            close(current);
        current = next;
        errno = failure;
    }
    int opened = current < 0 ? -1 : open_name(current, name, flags);
    int failure = errno;
    if (current >= 0 && current != directory)
        close(current);
    free(copy);
    errno = failure;
    return opened;
}

int pb_file_tree_open(const pb_file_tree *tree, int directory, const char *path, int flags)
{
    if (path[0] == '\0')
        path = ".";
    if (!tree->has_openat2)
        return open_by_components(directory, path, flags);
    int opened = -1;
    for (unsigned attempts = 0; opened < 0 && pb_file_attempt(&attempts);) {
        opened = open_beneath(directory, path, flags | O_CLOEXEC);
        if (opened < 0 && errno != EAGAIN && errno != EINTR)
            break;
    }
    return opened;
}

/* Makes one directory durably. 0 also where something stands there already. */
static int make_directory(int directory, const char *name)
{
    if (mkdirat(directory, name, 0777))
        return errno == EEXIST ? 0 : -1;
    return pb_file_directory_sync(directory);
}

/* The directory that holds the file aside, and its name there. */
static int open_aside(const pb_file_tree *tree, int directory, const char *path, bool make,
                      const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    if (slash == NULL)
        return directory;
    char *above = pb_duplicate((pb_slice){path, (size_t)(slash - path)});
    int opened = make && make_directory(directory, above)
                     ? -1
                     : pb_file_tree_open(tree, directory, above, O_PATH | O_DIRECTORY);
    int failure = errno;
    free(above);
    errno = failure;
    return opened;
}

/* The path aside, below the directory of a file of that name. */
static bool path_aside(const char *name, pb_buffer *path)
{
    pb_buffer component = {0};
    bool aside = false;
    bool known = pb_file_component_read(pb_slice_of(name), &component, &aside) && !aside;
    if (known)
        pb_file_component_append(path, pb_buffer_slice(&component), true);
    pb_buffer_free(&component);
    return known;
}

/* Removes the directory of a path aside, if it has one of its own and that is empty. Quiet. */
static void remove_aside(int directory, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return;
    int failure = errno;
    char *above = pb_duplicate((pb_slice){path, (size_t)(slash - path)});
    unlinkat(directory, above, AT_REMOVEDIR);
    free(above);
    errno = failure;
}

/* A file stands where a directory must be: it goes aside, and the directory takes its name. 0 also
 * where another thread was quicker; -1 with errno. */
static int give_way(pb_file_tree *tree, int directory, const char *name)
{
    pb_buffer path = {0};
    const char *aside_name = NULL;
    int aside = -1;
    int result = -1;
    errno = ENOTDIR;
    if (path_aside(name, &path))
        aside = open_aside(tree, directory, path.data, true, &aside_name);
    if (aside >= 0) {
        uv_rwlock_wrlock(&tree->giving_way);
        struct stat status;
        result = 0;
        if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
            if (renameat(directory, name, aside, aside_name) || mkdirat(directory, name, 0777))
                result = errno == EEXIST || errno == ENOENT ? 0 : -1;
        int failure = errno;
        uv_rwlock_wrunlock(&tree->giving_way);
        errno = failure;
        if (aside != directory) {
            if (result == 0)
                result = pb_file_directory_sync(aside);
            remove_aside(directory, path.data); /* where there was nothing left to go there */
        }
        if (result == 0)
            result = pb_file_directory_sync(directory);
    }
    int failure = errno;
    if (aside >= 0 && aside != directory)
        close(aside);
    pb_buffer_free(&path);
    errno = failure;
    return result;
}

/* Opens a directory by its name, making it. -1 with errno: ENOENT where `directory` itself is gone.
 */
static int enter(pb_file_tree *tree, int directory, const char *name)
{
    for (unsigned attempts = 0; pb_file_attempt(&attempts);) {
        int opened = open_name(directory, name, DIRECTORY_FLAGS);
        if (opened >= 0)
            return opened;
        struct stat status;
        if (errno == ENOENT) {
            if (make_directory(directory, name))
                return -1;
        } else if (errno == ENOTDIR) {
            if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
                errno = ENOTDIR;
                return -1;
            }
            if (give_way(tree, directory, name))
                return -1;
        } else {
            return -1;
        }
    }
    return -1;
}

static int make_directories(pb_file_tree *tree, int root, const char *path)
{
    for (unsigned attempts = 0; pb_file_attempt(&attempts);) {
        char *copy = pb_duplicate(pb_slice_of(path));
        int current = root;
        for (char *name = copy; name && current >= 0;) {
            char *slash = strchr(name, '/');
            if (slash)
                *slash = '\0';
            int next = enter(tree, current, name);
            int failure = errno;
            if (current != root)
                close(current);
            current = next;
            errno = failure;
            name = slash ? slash + 1 : NULL;
        }
        int failure = errno;
        free(copy);
        errno = failure;
        if (current >= 0 || errno != ENOENT)
            return current;
    }
    return -1;
}

int pb_file_place_open(pb_file_tree *tree, pb_slice key, bool make, pb_file_place *ret_place,
                       pb_error *error)
{
    pb_file_place place = {.directory = -1, .aside_directory = -1};
    if (!pb_file_path_append(&place.path, key, false))
        return pb_error_set(error, PB_ERROR_USAGE, "a key of %zu bytes (1 to %d): \"%.*s\"",
                            key.size, PB_FILE_KEY_BYTES_MAX, PB_SLICE_FORMAT(key));
    int root = pb_file_tree_root(tree, make, error);
    if (root < 0) {
        pb_buffer_free(&place.path);
        return -1;
    }
    char *slash = strrchr(place.path.data, '/');
    place.name = slash ? slash + 1 : place.path.data;
    if (!path_aside(place.name, &place.aside_path))
        abort(); /* what was just encoded reads back */
    if (slash)
        *slash = '\0';
    const char *above = slash ? place.path.data : "";
    place.directory = pb_file_tree_open(tree, root, above, O_PATH | O_DIRECTORY);
    if (place.directory < 0 && make && slash && (errno == ENOENT || errno == ENOTDIR))
        place.directory = make_directories(tree, root, above);
    int failure = errno;
    if (slash)
        *slash = '/';
    close(root);
    if (place.directory < 0) {
        /* A file where a directory would be is, to a reader, a missing key. */
        if (!make && failure == ENOTDIR)
            failure = ENOENT;
        pb_file_tree_error(tree, error, failure, make ? "create directories of" : "open",
                           place.path.data);
        pb_file_place_close(&place);
        return -1;
    }
    *ret_place = place;
    return 0;
}

int pb_file_place_find_aside(const pb_file_tree *tree, pb_file_place *place, bool make)
{
    if (place->aside_directory < 0)
        place->aside_directory =
            open_aside(tree, place->directory, place->aside_path.data, make, &place->aside_name);
    return place->aside_directory < 0 ? -1 : 0;
}

void pb_file_place_prune_aside(const pb_file_place *place)
{
    remove_aside(place->directory, place->aside_path.data);
}

void pb_file_place_forget_aside(pb_file_place *place)
{
    if (place->aside_directory >= 0 && place->aside_directory != place->directory)
        close(place->aside_directory);
    place->aside_directory = -1;
}

void pb_file_place_close(pb_file_place *place)
{
    pb_file_place_forget_aside(place);
    if (place->directory >= 0)
        close(place->directory);
    pb_buffer_free(&place->path);
    pb_buffer_free(&place->aside_path);
    *place = (pb_file_place){.directory = -1, .aside_directory = -1};
}

void pb_file_tree_prune(const pb_file_tree *tree, int root, pb_slice path)
{
    pb_buffer rest = {0};
    pb_buffer_append_slice(&rest, path);
    while (rest.size) {
        char *slash = strrchr(rest.data, '/');
        const char *name = slash ? slash + 1 : rest.data;
        if (slash)
            *slash = '\0';
        int above = pb_file_tree_open(tree, root, slash ? rest.data : "", O_PATH | O_DIRECTORY);
        bool gone = above >= 0 && (unlinkat(above, name, AT_REMOVEDIR) == 0 || errno == ENOENT);
        if (above >= 0)
            close(above);
        if (!gone)
            break;
        rest.size = slash ? (size_t)(slash - rest.data) : 0;
    }
    pb_buffer_free(&rest);
}
