#include "copier/store/file/file_multipart.h"

#include "base/codec.h"
#include "base/random.h"
#include "copier/store/file/file_draft.h"
#include "copier/store/file/file_name.h"
#include "copier/store/file/file_object.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define UPLOAD_PREFIX PB_FILE_OWN_PREFIX "upload-"
#define SLOTS_NAME "slots"

enum {
    UPLOAD_NAME_MAX = sizeof(UPLOAD_PREFIX) + PB_FILE_UPLOAD_ID_MAX,
    PART_NAME_MAX = 16,
};

/* Where one part's bytes are. */
typedef struct part {
    uint64_t bytes;
    uint64_t slot_bytes; /* 0: in a file of its own */
} part;

static void part_name(unsigned number, char ret_name[PART_NAME_MAX])
{
    snprintf(ret_name, PART_NAME_MAX, "%05u", number);
}

/* Ids come back from outside: nothing but our own hex gets near a path. */
static bool upload_name(pb_slice id, char ret_name[UPLOAD_NAME_MAX])
{
    uint8_t bytes[(PB_FILE_UPLOAD_ID_MAX - 1) / 2];
    if (id.size != 2 * sizeof(bytes) || !pb_hex_decode(id, bytes, sizeof(bytes)))
        return false;
    snprintf(ret_name, UPLOAD_NAME_MAX, UPLOAD_PREFIX "%.*s", PB_SLICE_FORMAT(id));
    return true;
}

static int open_upload(const pb_file_tree *tree, pb_slice id, char ret_name[UPLOAD_NAME_MAX],
                       pb_error *error)
{
    if (!upload_name(id, ret_name))
        return pb_error_set(error, PB_ERROR_NOT_FOUND, "no upload \"%.*s\" in %s/",
                            PB_SLICE_FORMAT(id), tree->root);
    int root = pb_file_tree_root(tree, false, error);
    if (root < 0)
        return -1;
    int upload = pb_file_tree_open(tree, root, ret_name, O_RDONLY | O_DIRECTORY);
    int failure = errno;
    close(root);
    if (upload < 0)
        pb_file_tree_error(tree, error, failure, "open upload", ret_name);
    return upload;
}

int pb_file_upload_create(const pb_file_tree *tree, char ret_id[PB_FILE_UPLOAD_ID_MAX],
                          pb_error *error)
{
    uint8_t bytes[(PB_FILE_UPLOAD_ID_MAX - 1) / 2];
    char name[UPLOAD_NAME_MAX];
    pb_random_bytes(bytes, sizeof(bytes));
    pb_hex_encode(bytes, sizeof(bytes), ret_id);
    upload_name(pb_slice_of(ret_id), name);
    int root = pb_file_tree_root(tree, true, error);
    if (root < 0)
        return -1;
    int failure = mkdirat(root, name, 0777) ? errno : 0;
    close(root);
    return failure ? pb_file_tree_error(tree, error, failure, "create upload", name) : 0;
}

/* Opens the file that takes a part of `bytes`, and tells where in it. */
static int open_part(int upload, unsigned number, uint64_t bytes, uint64_t slot_bytes,
                     part *ret_part, uint64_t *ret_offset)
{
    bool in_slot = slot_bytes && bytes <= slot_bytes;
    char name[PART_NAME_MAX];
    part_name(number, name);
    *ret_part = (part){bytes, in_slot ? slot_bytes : 0};
    *ret_offset = in_slot ? (number - 1) * slot_bytes : 0;
    return openat(upload, in_slot ? SLOTS_NAME : name,
                  O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (in_slot ? 0 : O_TRUNC), 0666);
}

/* Ends the writing of a part; `failure` is what went wrong so far, or 0. */
static int close_part(const pb_file_tree *tree, const char *upload, unsigned number, int file,
                      const part *written, uint64_t offset, int failure,
                      char ret_etag[PB_ETAG_TEXT_MAX], pb_error *error)
{
    if (file >= 0) {
        /* Starts the disk on it, so that completing has little left to flush. */
        sync_file_range(file, (off_t)offset, (off_t)written->bytes, SYNC_FILE_RANGE_WRITE);
        if (close(file) && !failure)
            failure = errno;
    }
    if (failure) {
        pb_file_tree_error(tree, error, failure, "write", upload);
        return pb_error_context(error, "part %u", number);
    }
    snprintf(ret_etag, PB_ETAG_TEXT_MAX, "%llx-%llx", (unsigned long long)written->bytes,
             (unsigned long long)written->slot_bytes);
    return 0;
}

int pb_file_upload_put(const pb_file_tree *tree, pb_slice id, unsigned part_number,
                       uint64_t slot_bytes, pb_slice body, char ret_etag[PB_ETAG_TEXT_MAX],
                       pb_error *error)
{
    char name[UPLOAD_NAME_MAX];
    int upload = open_upload(tree, id, name, error);
    if (upload < 0)
        return -1;
    part written;
    uint64_t offset;
    int file = open_part(upload, part_number, body.size, slot_bytes, &written, &offset);
    int failure = file < 0 || pb_file_write(file, body, offset) ? errno : 0;
    close(upload);
    return close_part(tree, name, part_number, file, &written, offset, failure, ret_etag, error);
}

int pb_file_upload_copy(const pb_file_tree *tree, pb_slice id, unsigned part_number,
                        uint64_t slot_bytes, const pb_file_tree *source, pb_slice source_key,
                        uint64_t offset, uint64_t length, pb_slice if_match,
                        char ret_etag[PB_ETAG_TEXT_MAX], pb_error *error)
{
    struct stat opened;
    int from = pb_file_object_open(source, source_key, O_RDONLY, if_match, &opened, error);
    if (from < 0)
        return -1;
    uint64_t size = (uint64_t)opened.st_size;
    if (offset > size || length > size - offset) {
        close(from);
        return pb_error_set(error, PB_ERROR_FAILED,
                            "copy part %u: bytes %llu to %llu of an object of %llu", part_number,
                            (unsigned long long)offset, (unsigned long long)(offset + length),
                            (unsigned long long)size);
    }
    if (length == 0)
        length = size - offset;
    char name[UPLOAD_NAME_MAX];
    int upload = open_upload(tree, id, name, error);
    if (upload < 0) {
        close(from);
        return -1;
    }
    part written;
    uint64_t to_offset;
    int to = open_part(upload, part_number, length, slot_bytes, &written, &to_offset);
    int failure = to < 0 || pb_file_transfer(from, offset, to, to_offset, length) ? errno : 0;
    close(upload);
    int result =
        close_part(tree, name, part_number, to, &written, to_offset, failure, ret_etag, error);
    if (result == 0 || failure == ENODATA)
        if (pb_file_object_unchanged(source, source_key, from, &opened, error))
            result = -1;
    close(from);
    return result;
}

static bool parse_etag(const char *text, part *ret_part)
{
    unsigned long long bytes;
    unsigned long long slot_bytes;
    char end;
    if (sscanf(text, "%llx-%llx%c", &bytes, &slot_bytes, &end) != 2)
        return false;
    *ret_part = (part){bytes, slot_bytes};
    return true;
}

/* True where the slots file is the object already. */
static bool is_in_place(const part *parts, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (parts[i].slot_bytes == 0 || parts[i].slot_bytes != parts[0].slot_bytes ||
            (i + 1 < count && parts[i].bytes != parts[i].slot_bytes))
            return false;
    return true;
}

/* Appends all parts to a file. 0, or -1 with errno. */
static int join_parts(int upload, const part *parts, unsigned count, int to)
{
    uint64_t offset = 0;
    int result = 0;
    for (unsigned i = 0; i < count && result == 0; i++) {
        char name[PART_NAME_MAX];
        part_name(i + 1, name);
        int from = openat(upload, parts[i].slot_bytes ? SLOTS_NAME : name,
                          O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (from < 0)
            return -1;
        result = pb_file_transfer(from, i * parts[i].slot_bytes, to, offset, parts[i].bytes);
        int failure = errno;
        close(from);
        errno = failure;
        offset += parts[i].bytes;
    }
    return result;
}

static int complete_by_rename(pb_file_tree *tree, pb_slice key, int upload, const char *name,
                              const part *parts, unsigned count, bool create_only,
                              struct stat *ret_status, pb_error *error)
{
    uint64_t size = (count - 1) * parts[0].slot_bytes + parts[count - 1].bytes;
    int file = openat(upload, SLOTS_NAME, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0)
        return pb_file_tree_error(tree, error, errno, "complete", name);
    struct stat status;
    int failure = fstat(file, &status) ? errno : 0;
    if (failure == 0 && (uint64_t)status.st_size < size)
        failure = ENODATA;
    /* Parts that were written but are not wanted. */
    if (failure == 0 && (uint64_t)status.st_size > size && ftruncate(file, (off_t)size))
        failure = errno;
    pb_file_draft draft;
    int result = failure ? pb_file_tree_error(tree, error, failure, "complete", name)
                         : pb_file_draft_adopt(tree, key, file, upload, SLOTS_NAME, &draft, error);
    if (result == 0)
        result = pb_file_draft_publish(&draft, create_only, ret_status, error);
    close(file);
    return result;
}

static int complete_by_copy(pb_file_tree *tree, pb_slice key, int upload, const char *name,
                            const part *parts, unsigned count, bool create_only,
                            struct stat *ret_status, pb_error *error)
{
    pb_file_draft draft;
    if (pb_file_draft_open(tree, key, &draft, error))
        return -1;
    if (join_parts(upload, parts, count, draft.file)) {
        pb_file_tree_error(tree, error, errno, "complete", name);
        pb_file_draft_discard(&draft);
        return -1;
    }
    return pb_file_draft_publish(&draft, create_only, ret_status, error);
}

/* Removes all of an upload; closes it. 0, or -1 with errno. */
static int remove_upload(const pb_file_tree *tree, int upload, const char *name)
{
    DIR *files = fdopendir(upload);
    if (files == NULL) {
        close(upload);
        return -1;
    }
    for (struct dirent *entry; (entry = readdir(files)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(upload, entry->d_name, 0);
    closedir(files);
    int root = pb_file_tree_root(tree, false, NULL);
    if (root < 0)
        return 0; /* gone with the upload */
    int result = unlinkat(root, name, AT_REMOVEDIR) && errno != ENOENT ? -1 : 0;
    int failure = errno;
    close(root);
    errno = failure;
    return result;
}

/* True where a rename from the upload to the key's directory can be: not over a mount point. */
static bool on_one_device(pb_file_tree *tree, pb_slice key, int upload)
{
    pb_file_place place;
    if (pb_file_place_open(tree, key, true, &place, NULL))
        return true; /* completing meets the error again, and tells it */
    struct stat above;
    struct stat here;
    bool one = fstat(place.directory, &above) == 0 && fstat(upload, &here) == 0 &&
               above.st_dev == here.st_dev;
    pb_file_place_close(&place);
    return one;
}

int pb_file_upload_complete(pb_file_tree *tree, pb_slice key, pb_slice id,
                            const char (*part_etags)[PB_ETAG_TEXT_MAX], unsigned part_count,
                            bool create_only, struct stat *ret_status, pb_error *error)
{
    if (part_count == 0)
        return pb_error_set(error, PB_ERROR_FAILED, "complete an upload: no parts");
    part *parts = pb_allocate_zeroed(part_count, sizeof(*parts));
    for (unsigned i = 0; i < part_count; i++) {
        if (!parse_etag(part_etags[i], &parts[i])) {
            free(parts);
            return pb_error_set(error, PB_ERROR_FAILED, "complete an upload: part %u has no ETag",
                                i + 1);
        }
    }
    char name[UPLOAD_NAME_MAX];
    int result = -1;
    int upload = open_upload(tree, id, name, error);
    if (upload >= 0) {
        bool rename = is_in_place(parts, part_count) && on_one_device(tree, key, upload);
        result = (rename ? complete_by_rename : complete_by_copy)(
            tree, key, upload, name, parts, part_count, create_only, ret_status, error);
        if (result == 0)
            remove_upload(tree, upload, name); /* the object is there; what is left are dregs */
        else
            close(upload);
    }
    free(parts);
    return result;
}

int pb_file_upload_abort(const pb_file_tree *tree, pb_slice id, pb_error *error)
{
    char name[UPLOAD_NAME_MAX];
    pb_error unopened = {0};
    int upload = open_upload(tree, id, name, &unopened);
    if (upload < 0) {
        if (unopened.kind == PB_ERROR_NOT_FOUND)
            return 0;
        *error = unopened;
        return -1;
    }
    if (remove_upload(tree, upload, name))
        return pb_file_tree_error(tree, error, errno, "remove upload", name);
    return 0;
}
