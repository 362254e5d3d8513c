#include "copier/store/credentials/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int pb_secret_read_all(int file, const char *path, size_t bytes_max, pb_buffer *bytes,
                       pb_error *error)
{
    /* All at once: growing would leave copies of secrets behind. */
    pb_buffer_reserve(bytes, bytes_max + 1);
    size_t start = bytes->size;
    for (;;) {
        ssize_t size = read(file, bytes->data + bytes->size, bytes_max + 1 - (bytes->size - start));
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            break;
        }
        bytes->size += (size_t)size;
        bytes->data[bytes->size] = '\0';
        if (bytes->size - start > bytes_max)
            return pb_error_set(error, PB_ERROR_USAGE, "%s: more than %zu KiB", path,
                                bytes_max / 1024);
        if (size == 0)
            return 0;
    }
    pb_error_errno(error, errno, "%s", path);
    if (error)
        error->kind = PB_ERROR_USAGE;
    return -1;
}

int pb_secret_file_read(const char *path, size_t bytes_max, pb_buffer *ret_bytes,
                        bool *ret_is_open_to_others, pb_error *error)
{
    pb_error ignored;
    struct stat status;
    error = error ? error : &ignored;
    /* A FIFO that nobody writes to must not hold up a run. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), failed;
    if (file < 0 || fstat(file, &status)) {
        bool missing = errno == ENOENT || errno == ENOTDIR;
        failed = pb_error_errno(error, errno, "%s", path);
        error->kind = missing ? PB_ERROR_NOT_FOUND : PB_ERROR_USAGE;
    } else if (!S_ISREG(status.st_mode)) {
        failed = pb_error_set(error, PB_ERROR_USAGE, "%s: not a regular file", path);
    } else {
        if (ret_is_open_to_others)
            *ret_is_open_to_others = status.st_mode & (S_IROTH | S_IWOTH);
        failed = pb_secret_read_all(file, path, bytes_max, ret_bytes, error);
    }
    if (file >= 0)
        close(file);
    return failed;
}
