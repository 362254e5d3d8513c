#include "copier/store/credentials/aws_files.h"

#include "copier/store/credentials/secret_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROFILES_BYTES_MAX = 1024 * 1024, TOKEN_BYTES_MAX = 16 * 1024 };

static int refuse_errno(const char *path, pb_error *error)
{
    pb_error_errno(error, errno, "%s", path);
    if (error)
        error->kind = PB_ERROR_USAGE;
    return -1;
}

static void warn_of_readers(int file, const char *path, const pb_log *log)
{
    struct stat facts;
    if (log && !fstat(file, &facts) && S_ISREG(facts.st_mode) && facts.st_mode & S_IROTH)
        pb_log_line(log, PB_LOG_WARNING,
                    "%s holds keys and every user of this machine can read it: chmod 600", path);
}

int pb_aws_file_read(const char *path, size_t bytes_max, const pb_log *log, pb_buffer *ret_bytes,
                     bool *ret_missing, pb_error *error)
{
    if (ret_missing)
        *ret_missing = false;
    /* A pipe that nobody writes to must not hold us up. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file < 0 && ret_missing && (errno == ENOENT || errno == ENOTDIR)) {
        *ret_missing = true;
        return 0;
    }
    if (file < 0)
        return refuse_errno(path, error);
    warn_of_readers(file, path, log);
    int failed = pb_secret_read_all(file, path, bytes_max, ret_bytes, error);
    close(file);
    if (failed)
        pb_buffer_wipe(ret_bytes);
    return failed;
}

int pb_aws_token_read(const char *path, pb_buffer *ret_token, pb_error *error)
{
    if (pb_aws_file_read(path, TOKEN_BYTES_MAX, NULL, ret_token, NULL, error))
        return -1;
    size_t start = strspn(ret_token->data, " \t\r\n");
    while (ret_token->size > start && strchr(" \t\r\n", ret_token->data[ret_token->size - 1]))
        ret_token->size--;
    ret_token->size -= start;
    memmove(ret_token->data, ret_token->data + start, ret_token->size);
    ret_token->data[ret_token->size] = '\0';
    if (pb_aws_is_word(pb_buffer_slice(ret_token)))
        return 0;
    pb_buffer_wipe(ret_token);
    return pb_error_set(error, PB_ERROR_USAGE, "%s holds no token", path);
}

/* The path of a file: `variable` says it, else it is ~/.aws/`file`. The caller frees; NULL for
 * none. */
static char *path_of(const pb_environment *environment, const char *variable, const char *file)
{
    const char *path = pb_environment_get(environment, variable);
    const char *home = pb_environment_get(environment, "HOME");
    if (path)
        return pb_duplicate(pb_slice_of(path));
    if (!home)
        return NULL;
    pb_buffer buffer = {0};
    pb_buffer_append_format(&buffer, "%s/.aws/%s", home, file);
    return buffer.data;
}

static char *credentials_path(const pb_environment *environment)
{
    return path_of(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
}

static char *config_path(const pb_environment *environment)
{
    return path_of(environment, "AWS_CONFIG_FILE", "config");
}

static int add_file(pb_aws_profiles *profiles, const char *path, pb_aws_file_kind kind,
                    const pb_log *log, pb_error *error)
{
    pb_buffer bytes = {0};
    bool missing;
    if (!path)
        return 0;
    if (pb_aws_file_read(path, PROFILES_BYTES_MAX, kind == PB_AWS_FILE_CREDENTIALS ? log : NULL,
                         &bytes, &missing, error))
        return -1;
    int failed =
        missing ? 0 : pb_aws_profiles_add(profiles, pb_buffer_slice(&bytes), path, kind, error);
    pb_buffer_wipe(&bytes);
    return failed;
}

int pb_aws_files_read(const pb_environment *environment, const pb_log *log,
                      pb_aws_profiles **ret_profiles, pb_error *error)
{
    char *credentials = credentials_path(environment), *config = config_path(environment);
    pb_aws_profiles *profiles = pb_aws_profiles_new();
    int failed = add_file(profiles, credentials, PB_AWS_FILE_CREDENTIALS, log, error) ||
                 add_file(profiles, config, PB_AWS_FILE_CONFIG, log, error);
    free(credentials);
    free(config);
    if (failed) {
        pb_aws_profiles_free(profiles);
        return -1;
    }
    *ret_profiles = profiles;
    return 0;
}

char *pb_aws_files_named(const pb_environment *environment)
{
    char *credentials = credentials_path(environment), *config = config_path(environment);
    pb_buffer named = {0};
    pb_buffer_append_format(&named, "%s or %s", credentials ? credentials : "~/.aws/credentials",
                            config ? config : "~/.aws/config");
    free(credentials);
    free(config);
    return named.data;
}
