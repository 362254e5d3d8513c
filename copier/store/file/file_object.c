#include "copier/store/file/file_object.h"

#include "copier/store/file/file_draft.h"
#include "copier/store/file/file_name.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void pb_file_etag(const struct stat *status, char ret_etag[PB_ETAG_TEXT_MAX])
{
    unsigned long long ns = (unsigned long long)status->st_mtim.tv_sec * 1000000000U +
                            (unsigned long long)status->st_mtim.tv_nsec;
    snprintf(ret_etag, PB_ETAG_TEXT_MAX, "%llx-%llx-%llx", ns, (unsigned long long)status->st_size,
             (unsigned long long)status->st_ino);
}

static int64_t time_ms(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000;
}

int64_t pb_file_changed_ms(const pb_file_tree *tree, const struct stat *status)
{
    int64_t bytes_ms = time_ms(&status->st_mtim), file_ms = time_ms(&status->st_ctim);
    return tree->is_source && file_ms > bytes_ms ? file_ms : bytes_ms;
}

int pb_file_check(const pb_file_tree *tree, pb_error *error)
{
    int root = pb_file_tree_root(tree, false, error);
    if (root < 0)
        return -1;
    int readable = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failure = errno;
    close(root);
    if (readable < 0)
        return pb_file_tree_error(tree, error, failure, "read", "");
    close(readable);
    return 0;
}

int pb_file_object_open(const pb_file_tree *tree, pb_slice key, int flags, pb_slice if_match,
                        struct stat *ret_status, pb_error *error)
{
    int root = pb_file_tree_root(tree, false, error);
    if (root < 0)
        return -1;
    /* A fifo in the tree must not make us wait for its writer. */
    if (!(flags & O_PATH))
        flags |= O_NONBLOCK | O_NOCTTY;
    pb_buffer path = {0};
    int file = -1;
    int failure = ENOENT;
    for (int aside = 0; aside < 2 && file < 0 && failure == ENOENT; aside++) {
        pb_buffer_clear(&path);
        if (!pb_file_path_append(&path, key, aside))
            break; /* no such key can exist */
        file = pb_file_tree_open(tree, root, path.data, flags);
        failure = file >= 0 ? 0 : errno == ENOTDIR ? ENOENT : errno;
        if (file >= 0) {
            failure = fstat(file, ret_status)        ? errno
                      : S_ISREG(ret_status->st_mode) ? 0
                      : S_ISDIR(ret_status->st_mode) ? ENOENT
                                                     : EINVAL;
            if (failure) {
                close(file);
                file = -1;
            }
        }
    }
    close(root);
    if (failure == ENOENT) {
        pb_buffer_clear(&path);
        pb_file_path_append(&path, key, false);
    }
    if (failure == EINVAL)
        pb_error_set(error, PB_ERROR_FAILED, "open %s/%s: not a regular file", tree->root,
                     path.data);
    else if (failure)
        pb_file_tree_error(tree, error, failure, "open", path.data ? path.data : "");
    if (file >= 0 && if_match.size) {
        char etag[PB_ETAG_TEXT_MAX];
        pb_file_etag(ret_status, etag);
        if (!pb_slice_equal(if_match, pb_slice_of(etag))) {
            pb_error_set(error, PB_ERROR_EXISTS, "open %s/%s: has changed (ETag %s, not %.*s)",
                         tree->root, path.data, etag, PB_SLICE_FORMAT(if_match));
            close(file);
            file = -1;
        }
    }
    pb_buffer_free(&path);
    return file;
}

int pb_file_object_unchanged(const pb_file_tree *tree, pb_slice key, int file,
                             const struct stat *opened, pb_error *error)
{
    struct stat now;
    pb_buffer path = {0};
    pb_file_path_append(&path, key, false);
    int result = 0;
    if (fstat(file, &now))
        result = pb_file_tree_error(tree, error, errno, "read", path.data);
    else if (now.st_size != opened->st_size || now.st_mtim.tv_sec != opened->st_mtim.tv_sec ||
             now.st_mtim.tv_nsec != opened->st_mtim.tv_nsec)
        result = pb_error_set(error, PB_ERROR_EXISTS, "read %s/%s: it changed meanwhile",
                              tree->root, path.data);
    pb_buffer_free(&path);
    return result;
}

int pb_file_object_put(pb_file_tree *tree, pb_slice key, pb_slice body, bool create_only,
                       struct stat *ret_status, pb_error *error)
{
    pb_file_draft draft;
    if (pb_file_draft_open(tree, key, &draft, error))
        return -1;
    if (pb_file_write(draft.file, body, 0)) {
        pb_file_tree_error(tree, error, errno, "write", draft.place.path.data);
        pb_file_draft_discard(&draft);
        return -1;
    }
    return pb_file_draft_publish(&draft, create_only, ret_status, error);
}

int pb_file_object_copy(pb_file_tree *tree, pb_slice key, const pb_file_tree *source,
                        pb_slice source_key, pb_slice if_match, bool create_only,
                        struct stat *ret_status, pb_error *error)
{
    struct stat opened;
    int file = pb_file_object_open(source, source_key, O_RDONLY, if_match, &opened, error);
    if (file < 0)
        return -1;
    pb_file_draft draft;
    if (pb_file_draft_open(tree, key, &draft, error)) {
        close(file);
        return -1;
    }
    int failure = pb_file_transfer(file, 0, draft.file, 0, (uint64_t)opened.st_size) ? errno : 0;
    /* A source cut short has changed, and that is what is said of it. */
    int result = failure && failure != ENODATA
                     ? pb_file_tree_error(tree, error, failure, "copy to", draft.place.path.data)
                     : pb_file_object_unchanged(source, source_key, file, &opened, error);
    if (result == 0 && failure)
        result = pb_file_tree_error(tree, error, failure, "copy to", draft.place.path.data);
    close(file);
    if (result) {
        pb_file_draft_discard(&draft);
        return -1;
    }
    return pb_file_draft_publish(&draft, create_only, ret_status, error);
}

/* 1 where it was removed, 0 where there was no file, -1 with errno. */
static int remove_file(int directory, const char *name)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? 0 : -1;
    if (S_ISDIR(status.st_mode))
        return 0;
    if (!S_ISREG(status.st_mode)) {
        errno = S_ISLNK(status.st_mode) ? ELOOP : EINVAL;
        return -1;
    }
    if (unlinkat(directory, name, 0))
        return errno == ENOENT ? 0 : -1;
    return 1;
}

static int remove_at(pb_file_tree *tree, pb_file_place *place)
{
    uv_rwlock_rdlock(&tree->giving_way);
    int aside = 0;
    int plain = -1;
    if (pb_file_place_find_aside(tree, place, false) == 0)
        aside = remove_file(place->aside_directory, place->aside_name);
    else if (errno != ENOENT)
        aside = -1;
    if (aside >= 0)
        plain = remove_file(place->directory, place->name);
    int failure = errno;
    uv_rwlock_rdunlock(&tree->giving_way);
    if (aside > 0 && place->aside_directory != place->directory) {
        pb_file_directory_sync(place->aside_directory);
        pb_file_place_prune_aside(place);
    }
    errno = failure;
    return aside < 0 || plain < 0 ? -1 : aside || plain;
}

static pb_slice path_above(const pb_file_place *place)
{
    size_t size = (size_t)(place->name - place->path.data);
    return (pb_slice){place->path.data, size ? size - 1 : 0};
}

/* What is left to do in a directory when nothing more of it will be removed. */
static int leave_directory(const pb_file_tree *tree, pb_file_place *place, pb_error *error)
{
    int result = 0;
    if (pb_file_directory_sync(place->directory) && errno != ENOENT)
        result = pb_file_tree_error(tree, error, errno, "flush the directory of", place->path.data);
    int root = pb_file_tree_root(tree, false, NULL);
    if (root >= 0) {
        pb_file_tree_prune(tree, root, path_above(place));
        close(root);
    }
    pb_file_place_close(place);
    return result;
}

int pb_file_object_delete(pb_file_tree *tree, const pb_slice *keys, size_t key_count,
                          pb_error *error)
{
    int result = 0;
    pb_file_place left = {.directory = -1}; /* where something was removed last */
    for (size_t i = 0; i < key_count && result == 0; i++) {
        pb_file_place place;
        pb_error unopened = {0};
        if (pb_file_place_open(tree, keys[i], false, &place, &unopened)) {
            if (unopened.kind != PB_ERROR_NOT_FOUND) {
                *error = unopened;
                result = -1;
            }
            continue;
        }
        int removed = remove_at(tree, &place);
        if (removed < 0)
            result = pb_file_tree_error(tree, error, errno, "remove", place.path.data);
        if (removed <= 0) {
            pb_file_place_close(&place);
            continue;
        }
        if (left.directory >= 0) {
            if (pb_slice_equal(path_above(&left), path_above(&place)))
                pb_file_place_close(&left);
            else
                result = leave_directory(tree, &left, error);
        }
        left = place;
    }
    if (left.directory >= 0 && leave_directory(tree, &left, result ? NULL : error))
        result = -1;
    return result;
}
