#include "copier/store/credentials/secret_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/secret-file-XXXXXX";
static char path[sizeof folder + 16];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void write_file(const char *text, size_t size, mode_t mode)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_file_is_read_whole(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        bool open;
    } modes[] = {{0600, false}, {0640, false}, {0644, true}, {0602, true}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        pb_buffer bytes = {0};
        bool open = !modes[i].open;
        write_file("sec\0ret\n", 8, modes[i].mode);
        assert_int_equal(pb_secret_file_read(path, 8, &bytes, &open, NULL), 0);
        assert_int_equal(bytes.size, 8);
        assert_memory_equal(bytes.data, "sec\0ret\n", 9);
        assert_int_equal(open, modes[i].open);
        pb_buffer_wipe(&bytes);
        assert_null(bytes.data);
        unlink(path);
    }
}

static void refuse(const char *name, size_t bytes_max, pb_error_kind kind)
{
    pb_buffer bytes = {0};
    pb_error error = {0};
    assert_int_equal(pb_secret_file_read(name, bytes_max, &bytes, NULL, &error), -1);
    assert_int_equal(error.kind, kind);
    assert_non_null(strstr(error.message, name));
    pb_buffer_wipe(&bytes);
}

static void what_is_no_small_file_is_refused(void **state)
{
    (void)state;
    char below[sizeof path + 16];
    refuse(path, 8, PB_ERROR_NOT_FOUND);
    refuse(folder, 8, PB_ERROR_USAGE);
    write_file("123456789", 9, 0600);
    refuse(path, 8, PB_ERROR_USAGE);
    snprintf(below, sizeof below, "%s/below", path);
    refuse(below, 8, PB_ERROR_NOT_FOUND);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* that nobody writes to */
    refuse(path, 8, PB_ERROR_USAGE);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole),
        cmocka_unit_test(what_is_no_small_file_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
