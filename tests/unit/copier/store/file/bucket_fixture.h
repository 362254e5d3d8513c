/* A directory of its own with a file store opened on it, for the tests of the file driver. */
#ifndef PB_TESTS_BUCKET_FIXTURE_H
#define PB_TESTS_BUCKET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "copier/store/store.h"
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct test_bucket {
    char directory[128]; /* exists */
    uv_loop_t loop;
    pb_store_config *config;
    pb_store *store;
} test_bucket;

static inline pb_store_config *bucket_config(const char *directory)
{
    pb_buffer url = {0};
    pb_buffer_append_format(&url, "file://%s", directory);
    pb_location location = {0};
    pb_store_config *config = NULL;
    pb_error error = {0};
    if (pb_location_parse(url.data, &location, &error))
        fail_msg("%s", error.message);
    const pb_store_resolve_options options = {.role = "source"};
    if (pb_store_resolve(&location, &options, &config, &error))
        fail_msg("%s", error.message);
    pb_location_free(&location);
    pb_buffer_free(&url);
    return config;
}

static inline void bucket_open_at(test_bucket *bucket, const char *directory)
{
    memset(bucket, 0, sizeof(*bucket));
    assert_true(strlen(directory) < sizeof(bucket->directory));
    memcpy(bucket->directory, directory, strlen(directory) + 1);
    bucket->config = bucket_config(directory);
    assert_int_equal(uv_loop_init(&bucket->loop), 0);
    assert_int_equal(pb_store_open(bucket->config, &bucket->loop, NULL, &bucket->store, NULL), 0);
}

/* In memory where that can be: the tests flush thousands of files. */
static inline void make_directory_for_test(char ret_directory[128])
{
    const char *above = getenv("TMPDIR");
    if (above == NULL)
        above = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(ret_directory, 128, "%s/pbcopy-test-XXXXXX", above);
    assert_non_null(mkdtemp(ret_directory));
}

static inline void bucket_open(test_bucket *bucket)
{
    char directory[128];
    make_directory_for_test(directory);
    bucket_open_at(bucket, directory);
}

static inline int remove_one(const char *path, const struct stat *status, int type,
                             struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static inline void bucket_close(test_bucket *bucket)
{
    pb_store_close(bucket->store);
    assert_int_equal(uv_loop_close(&bucket->loop), 0);
    pb_store_config_free(bucket->config);
    nftw(bucket->directory, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* The path of something below the directory; valid until the next call. */
static inline const char *below(const test_bucket *bucket, const char *path)
{
    static char text[8192];
    snprintf(text, sizeof(text), "%s/%s", bucket->directory, path);
    return text;
}

static inline bool is_there(const test_bucket *bucket, const char *path)
{
    struct stat status;
    return lstat(below(bucket, path), &status) == 0;
}

/* Names in a directory, hidden ones too; -1 where there is none. */
static inline int count_names(const char *directory)
{
    char command[512];
    snprintf(command, sizeof(command), "ls -A '%s' 2>/dev/null | wc -l", directory);
    FILE *pipe = access(directory, F_OK) == 0 ? popen(command, "r") : NULL;
    if (pipe == NULL)
        return -1;
    int count = -1;
    if (fscanf(pipe, "%d", &count) != 1)
        count = -1;
    pclose(pipe);
    return count;
}

static inline void write_file(const test_bucket *bucket, const char *path, const char *text)
{
    FILE *file = fopen(below(bucket, path), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static inline void put(test_bucket *bucket, pb_slice key, pb_slice body)
{
    pb_error error = {0};
    if (pb_store_write(bucket->store, key, body, false, &error))
        fail_msg("%s", error.message);
}

static inline void put_text(test_bucket *bucket, const char *key, const char *body)
{
    put(bucket, pb_slice_of(key), pb_slice_of(body));
}

static inline void assert_body(test_bucket *bucket, const char *key, const char *body)
{
    pb_buffer read = {0};
    pb_error error = {0};
    if (pb_store_read(bucket->store, pb_slice_of(key), 1 << 20, &read, &error))
        fail_msg("%s", error.message);
    assert_string_equal(read.data ? read.data : "", body);
    pb_buffer_free(&read);
}

static inline pb_error_kind head(test_bucket *bucket, const char *key,
                                 pb_store_request *ret_request)
{
    *ret_request = (pb_store_request){.operation = PB_STORE_HEAD, .key = pb_slice_of(key)};
    pb_store_call(bucket->store, ret_request, NULL);
    return ret_request->error.kind;
}

static inline pb_error_kind delete_key(test_bucket *bucket, const char *key)
{
    pb_slice slice = pb_slice_of(key);
    pb_store_request request = {.operation = PB_STORE_DELETE, .keys = &slice, .key_count = 1};
    pb_store_call(bucket->store, &request, NULL);
    return request.error.kind;
}

static inline void note_batch_done(pb_store_request *request)
{
    --*(size_t *)request->context;
}

/* Submits all at once and runs the loop until all are done. */
static inline void run_batch(test_bucket *bucket, pb_store_request *requests, size_t count)
{
    size_t left = count;
    for (size_t i = 0; i < count; i++) {
        requests[i].done = note_batch_done;
        requests[i].context = &left;
        pb_store_submit(bucket->store, &requests[i]);
    }
    assert_int_equal(left, count); /* none inside submit */
    while (left)
        uv_run(&bucket->loop, UV_RUN_ONCE);
}

#endif
