#include "copier/store/file/file_draft.h"

#include "base/codec.h"
#include "base/random.h"
#include "copier/store/file/file_name.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TRANSFER_BYTES = 1 << 20,
    KERNEL_TRANSFER_BYTES = 1 << 30,
};

int pb_file_draft_open(pb_file_tree *tree, pb_slice key, pb_file_draft *ret_draft, pb_error *error)
{
    uint8_t bytes[8];
    char hex[2 * sizeof(bytes) + 1];
    pb_random_bytes(bytes, sizeof(bytes));
    pb_hex_encode(bytes, sizeof(bytes), hex);
    pb_file_draft draft = {.tree = tree, .key = key};
    snprintf(draft.name, sizeof(draft.name), PB_FILE_OWN_PREFIX "tmp-%s", hex);
    int failure = 0;
    for (unsigned attempts = 0; pb_file_attempt(&attempts);) {
        if (pb_file_place_open(tree, key, true, &draft.place, error))
            return -1;
        draft.directory = draft.place.directory;
        draft.file =
            openat(draft.directory, draft.name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (draft.file >= 0) {
            *ret_draft = draft;
            return 0;
        }
        failure = errno;
        if (failure != ENOENT)
            break;
        /* The directory was empty, and so another thread removes it. */
        pb_file_place_close(&draft.place);
    }
    if (failure == ENOENT)
        return pb_error_errno(error, EBUSY, "create a file for %.*s in %s", PB_SLICE_FORMAT(key),
                              tree->root);
    pb_file_tree_error(tree, error, failure, "create a file for", draft.place.path.data);
    pb_file_place_close(&draft.place);
    return -1;
}

int pb_file_draft_adopt(pb_file_tree *tree, pb_slice key, int file, int directory, const char *name,
                        pb_file_draft *ret_draft, pb_error *error)
{
    pb_file_draft draft = {
        .tree = tree, .key = key, .file = file, .directory = directory, .adopted = true};
    snprintf(draft.name, sizeof(draft.name), "%s", name);
    if (pb_file_place_open(tree, key, true, &draft.place, error))
        return -1;
    *ret_draft = draft;
    return 0;
}

void pb_file_draft_discard(pb_file_draft *draft)
{
    if (!draft->adopted) {
        unlinkat(draft->directory, draft->name, 0);
        if (draft->file >= 0)
            close(draft->file);
    }
    pb_file_place_close(&draft->place);
}

/* Gives the draft a name that must be new. EEXIST where it is not. */
static int link_new(const pb_file_draft *draft, int directory, const char *name)
{
    if (linkat(draft->directory, draft->name, directory, name, 0) == 0) {
        unlinkat(draft->directory, draft->name, 0);
        return 0;
    }
    /* Some file systems (FAT, some of FUSE) know no links. */
    if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS)
        return renameat2(draft->directory, draft->name, directory, name, RENAME_NOREPLACE);
    return -1;
}

/* 0, or -1 with errno: EEXIST where create_only does not hold, EAGAIN where all changed meanwhile.
 */
static int publish_once(pb_file_draft *draft, bool create_only, bool *ret_aside)
{
    pb_file_place *place = &draft->place;
    struct stat status;
    *ret_aside = false;
    if (pb_file_place_find_aside(draft->tree, place, false) && errno != ENOENT)
        return -1;
    bool is_aside =
        place->aside_directory >= 0 &&
        fstatat(place->aside_directory, place->aside_name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (create_only) {
        if (is_aside) {
            errno = EEXIST;
            return -1;
        }
        if (link_new(draft, place->directory, place->name) == 0)
            return 0;
        if (errno != EEXIST)
            return -1;
        if (fstatat(place->directory, place->name, &status, AT_SYMLINK_NOFOLLOW)) {
            errno = EAGAIN;
            return -1;
        }
        if (!S_ISDIR(status.st_mode)) {
            errno = EEXIST;
            return -1;
        }
    } else if (!is_aside ||
               /* Both: two processes met, and readers look here first. */
               (fstatat(place->directory, place->name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISREG(status.st_mode))) {
        if (renameat(draft->directory, draft->name, place->directory, place->name) == 0)
            return 0;
        if (errno != EISDIR)
            return -1;
    }
    *ret_aside = true;
    if (pb_file_place_find_aside(draft->tree, place, true))
        return -1;
    if (create_only)
        return link_new(draft, place->aside_directory, place->aside_name);
    return renameat(draft->directory, draft->name, place->aside_directory, place->aside_name);
}

static int publish_name(pb_file_draft *draft, bool create_only, pb_error *error)
{
    bool aside = false;
    int failure = 0;
    for (unsigned attempts = 0; pb_file_attempt(&attempts);) {
        uv_rwlock_rdlock(&draft->tree->giving_way);
        failure = publish_once(draft, create_only, &aside) ? errno : 0;
        uv_rwlock_rdunlock(&draft->tree->giving_way);
        if (failure == ENOENT && draft->adopted) {
            /* Nothing of ours held the key's directory, so it could be removed. */
            pb_file_place_close(&draft->place);
            if (pb_file_place_open(draft->tree, draft->key, true, &draft->place, error))
                return -1;
        } else if (failure == ENOENT) {
            pb_file_place_forget_aside(&draft->place);
        } else if (failure != EAGAIN) {
            break;
        }
    }
    if (failure == ENOENT || failure == EAGAIN)
        failure = EBUSY; /* other threads were always quicker */
    if (failure == EEXIST)
        return pb_error_set(error, PB_ERROR_EXISTS, "create %s/%s: exists already",
                            draft->tree->root, draft->place.path.data);
    if (failure == 0 &&
        pb_file_directory_sync(aside ? draft->place.aside_directory : draft->place.directory))
        failure = errno;
    if (failure)
        return pb_file_tree_error(draft->tree, error, failure, "write", draft->place.path.data);
    return 0;
}

int pb_file_draft_publish(pb_file_draft *draft, bool create_only, struct stat *ret_status,
                          pb_error *error)
{
    int failure = fsync(draft->file) || fstat(draft->file, ret_status) ? errno : 0;
    if (!draft->adopted) {
        if (close(draft->file) && !failure)
            failure = errno;
        draft->file = -1;
    }
    int result =
        failure ? pb_file_tree_error(draft->tree, error, failure, "write", draft->place.path.data)
                : publish_name(draft, create_only, error);
    if (result)
        pb_file_draft_discard(draft);
    else
        pb_file_place_close(&draft->place);
    return result;
}

int pb_file_write(int file, pb_slice bytes, uint64_t offset)
{
    while (bytes.size) {
        ssize_t written = pwrite(file, bytes.data, bytes.size, (off_t)offset);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        bytes = (pb_slice){bytes.data + written, bytes.size - (size_t)written};
        offset += (uint64_t)written;
    }
    return 0;
}

static int transfer_by_hand(int from, uint64_t from_offset, int to, uint64_t to_offset,
                            uint64_t length)
{
    char *buffer = pb_allocate(TRANSFER_BYTES);
    int result = 0;
    while (length && result == 0) {
        size_t wanted = length < TRANSFER_BYTES ? (size_t)length : TRANSFER_BYTES;
        ssize_t got = pread(from, buffer, wanted, (off_t)from_offset);
        if (got < 0) {
            result = errno == EINTR ? 0 : -1;
            continue;
        }
        if (got == 0) {
            errno = ENODATA;
            result = -1;
        } else {
            result = pb_file_write(to, (pb_slice){buffer, (size_t)got}, to_offset);
        }
        from_offset += (uint64_t)got;
        to_offset += (uint64_t)got;
        length -= (uint64_t)got;
    }
    int failure = errno;
    free(buffer);
    errno = failure;
    return result;
}

int pb_file_transfer(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length)
{
    while (length) {
        off_t in = (off_t)from_offset;
        off_t out = (off_t)to_offset;
        size_t wanted = length < KERNEL_TRANSFER_BYTES ? (size_t)length : KERNEL_TRANSFER_BYTES;
        ssize_t copied = copy_file_range(from, &in, to, &out, wanted, 0);
        if (copied < 0 && errno == EINTR)
            continue;
        /* Not every pair of file systems can, and some old kernels answer 0 instead. */
        if (copied < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS &&
            errno != EOPNOTSUPP && errno != EPERM)
            return -1;
        if (copied <= 0)
            return transfer_by_hand(from, from_offset, to, to_offset, length);
        from_offset += (uint64_t)copied;
        to_offset += (uint64_t)copied;
        length -= (uint64_t)copied;
    }
    return 0;
}
