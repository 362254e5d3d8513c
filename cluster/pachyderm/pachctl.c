#include "cluster/pachyderm/pachctl.h"

#include "base/codec.h"
#include "base/random.h"
#include "cluster/process/child.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 4 * 1024 * 1024, DEADLINE_MS = 60 * 1000, OUTPUT_BYTES_MAX = 1024 * 1024 };

/* Where the configuration is; *ret_is_default: in the folder that pachctl makes itself. */
static int configuration_path(char **ret_path, bool *ret_is_default, pb_error *error)
{
    const char *named = getenv("PACH_CONFIG");
    char home[4096];
    size_t size = sizeof(home);
    *ret_is_default = named == NULL || *named == '\0';
    if (!*ret_is_default) {
        *ret_path = pb_duplicate(pb_slice_of(named));
        return 0;
    }
    if (uv_os_homedir(home, &size) != 0) {
        pb_error_set(error, PB_ERROR_USAGE,
                     "there is no home directory for pachctl's "
                     "configuration");
        return pb_error_hint(error, "set HOME or PACH_CONFIG");
    }
    pb_buffer path = {0};
    pb_buffer_append_format(&path, "%s/.pachyderm/config.json", home);
    *ret_path = path.data;
    return 0;
}

static bool is_installed(const char *program)
{
    const char *path = getenv("PATH");
    bool found = false;
    while (path && !found) {
        size_t size = strcspn(path, ":");
        pb_buffer file = {0};
        struct stat status;
        pb_buffer_append_format(&file, "%.*s/%s", size ? (int)size : 1, size ? path : ".", program);
        found = stat(file.data, &status) == 0 && S_ISREG(status.st_mode) &&
                access(file.data, X_OK) == 0;
        pb_buffer_free(&file);
        path = path[size] ? path + size + 1 : NULL;
    }
    return found;
}

/* ---- the file ---- */

static int read_file(const char *path, pb_buffer *ret_text, pb_error *error)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT ? 0 : pb_error_errno(error, errno, "%s", path);
    int done = 0;
    for (ssize_t count = 1; done == 0 && count > 0;) {
        pb_buffer_reserve(ret_text, 65536);
        count = read(file, ret_text->data + ret_text->size, 65536);
        if (count < 0 && errno == EINTR)
            count = 1;
        else if (count < 0)
            done = pb_error_errno(error, errno, "%s", path);
        else
            ret_text->size += (size_t)count;
        if (done == 0 && ret_text->size > FILE_BYTES_MAX)
            done = pb_error_set(error, PB_ERROR_USAGE, "%s: larger than %d bytes", path,
                                FILE_BYTES_MAX);
    }
    close(file);
    return done;
}

static int write_all(int file, pb_slice text)
{
    for (size_t at = 0; at < text.size;) {
        ssize_t count = write(file, text.data + at, text.size - at);
        if (count < 0 && errno != EINTR)
            return -1;
        at += count > 0 ? (size_t)count : 0;
    }
    return fsync(file);
}

static void sync_folder(const char *path)
{
    char *copy = pb_duplicate(pb_slice_of(path));
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        (void)fsync(folder); /* not every file system can */
        close(folder);
    }
    free(copy);
}

/* Through a file beside it, which mkostemp gives mode 0600. */
static int replace_file(const char *path, pb_slice text, pb_error *error)
{
    pb_buffer temporary = {0};
    pb_buffer_append_format(&temporary, "%s.XXXXXX", path);
    int file = mkostemp(temporary.data, O_CLOEXEC), done = 0;
    if (file < 0)
        done = pb_error_errno(error, errno, "%s", temporary.data);
    else {
        if (write_all(file, text) != 0)
            done = pb_error_errno(error, errno, "%s", temporary.data);
        if (close(file) != 0 && done == 0)
            done = pb_error_errno(error, errno, "%s", temporary.data);
        if (done == 0 && rename(temporary.data, path) != 0)
            done = pb_error_errno(error, errno, "%s", path);
        if (done != 0)
            unlink(temporary.data);
        else
            sync_folder(path);
    }
    pb_buffer_free(&temporary);
    return done;
}

/* A new configuration gets what pachctl would give it with its next command, and say so aloud. */
static void add_user_id(pb_buffer *text)
{
    json_t *root = json_loadb(text->data, text->size, 0, NULL);
    uint8_t bytes[16];
    char id[2 * sizeof(bytes) + 1];
    if (root && json_object_get(root, "user_id") == NULL) {
        pb_random_bytes(bytes, sizeof(bytes));
        pb_hex_encode(bytes, sizeof(bytes), id);
        json_object_set_new(root, "user_id", json_string(id));
        char *dumped = json_dumps(root, JSON_INDENT(2));
        pb_buffer_clear(text);
        pb_buffer_append_format(text, "%s\n", dumped);
        free(dumped);
    }
    json_decref(root);
}

static int edit_file(const char *path, const char *cluster, const char *address, pb_error *error)
{
    pb_buffer text = {0}, edited = {0};
    int done = read_file(path, &text, error);
    if (done == 0 && pb_pachctl_context(pb_buffer_slice(&text), cluster, address, &edited, error)) {
        done = -1;
        pb_error_context(error, "%s", path);
    }
    if (done == 0) {
        add_user_id(&edited);
        done = replace_file(path, pb_buffer_slice(&edited), error);
    }
    pb_buffer_free(&text);
    pb_buffer_free(&edited);
    return done;
}

static int connect_by_file(const char *path, bool is_default, const char *cluster,
                           const char *address, pb_error *error)
{
    if (is_default) {
        char *folder = pb_duplicate(pb_slice_of(path));
        int made = mkdir(dirname(folder), 0700) == 0 || errno == EEXIST ? 0 : errno;
        free(folder);
        if (made != 0)
            return pb_error_errno(error, made, "%s", path);
    }
    /* A link stays one, and what it points to is written. */
    struct stat status;
    char *real = realpath(path, NULL);
    int done;
    if (real == NULL && lstat(path, &status) == 0)
        done = pb_error_errno(error, errno, "%s", path);
    else
        done = edit_file(real ? real : path, cluster, address, error);
    free(real);
    return done;
}

/* ---- pachctl ---- */

static int run(uv_loop_t *loop, const char *const *arguments, pb_slice input, pb_error *error)
{
    static const char *const inherited[] = {"PACH_*", NULL};
    pb_child_options options = {.arguments = arguments,
                                .inherited = inherited,
                                .has_input = input.size > 0,
                                .deadline_ms = DEADLINE_MS};
    pb_buffer output = {0};
    int done = pb_child_run(loop, &options, input, NULL, OUTPUT_BYTES_MAX, &output, NULL, error);
    pb_buffer_free(&output);
    return done;
}

static int connect_by_pachctl(uv_loop_t *loop, const char *cluster, const char *address,
                              pb_error *error)
{
    const char *const set[] = {"pachctl", "config", "set", "context", cluster, "--overwrite", NULL};
    const char *const activate[] = {"pachctl", "config", "set", "active-context", cluster, NULL};
    json_t *context = json_pack("{s:s}", "pachd_address", address);
    pb_buffer input = {0};
    pb_json_append(&input, context);
    int done = run(loop, set, pb_buffer_slice(&input), error);
    if (done == 0)
        done = run(loop, activate, (pb_slice){0}, error);
    json_decref(context);
    pb_buffer_free(&input);
    return done;
}

int pb_pachctl_connect(uv_loop_t *loop, const char *cluster, const char *address, char **ret_path,
                       pb_error *error)
{
    pb_buffer url = {0}, unused = {0};
    char *path = NULL;
    bool is_default;
    /* Refuses a bad name before anything is run or written. */
    int done = pb_pachctl_context((pb_slice){0}, cluster, address, &unused, error);
    if (done == 0)
        done = pb_pachctl_address(address, &url, error);
    if (done == 0)
        done = configuration_path(&path, &is_default, error);
    if (done == 0)
        done = is_installed("pachctl")
                   ? connect_by_pachctl(loop, cluster, url.data, error)
                   : connect_by_file(path, is_default, cluster, url.data, error);
    pb_buffer_free(&url);
    pb_buffer_free(&unused);
    if (done != 0) {
        free(path);
        return pb_error_context(error, "setting pachctl's context");
    }
    *ret_path = path;
    return 0;
}
