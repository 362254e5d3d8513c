#include "cluster/pachyderm/pachctl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A home of its own for each test, without a pachctl on PATH. */
typedef struct test_home {
    uv_loop_t loop;
    char path[64];
} test_home;

static const char *in_home(const test_home *home, const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", home->path, name);
    return path;
}

static int set_up(void **state)
{
    test_home *made = pb_allocate_zeroed(1, sizeof(*made));
    uv_loop_init(&made->loop);
    snprintf(made->path, sizeof(made->path), "/tmp/pbcopy-pachctl-XXXXXX");
    if (mkdtemp(made->path) == NULL)
        return -1;
    setenv("HOME", made->path, 1);
    setenv("PATH", in_home(made, "bin"), 1);
    unsetenv("PACH_CONFIG");
    mkdir(in_home(made, "bin"), 0700);
    *state = made;
    return 0;
}

static int tear_down(void **state)
{
    test_home *made = *state;
    static const char *const files[] = {
        ".pachyderm/config.json",
        ".pachyderm",
        "bin/pachctl",
        "bin",
        "calls",
        "real.json",
        "link.json",
        "",
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        remove(in_home(made, files[i]));
    int left = access(made->path, F_OK);
    uv_loop_close(&made->loop);
    free(made);
    return left == 0 ? -1 : 0; /* a temporary file was left behind */
}

static char *text_of(const char *path)
{
    static char text[4096];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void a_first_context(void **state)
{
    test_home *home = *state;
    char *path = NULL;
    pb_error error = {0};
    if (pb_pachctl_connect(&home->loop, "prod", "203.0.113.7", &path, &error) != 0)
        fail_msg("%s", error.message);
    assert_string_equal(path, in_home(home, ".pachyderm/config.json"));
    json_t *root = json_loads(text_of(path), 0, NULL);
    assert_int_equal(json_string_length(json_object_get(root, "user_id")), 32);
    json_t *v2 = json_object_get(root, "v2");
    assert_string_equal(json_string_value(json_object_get(v2, "active_context")), "prod");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(in_home(home, ".pachyderm"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    json_decref(root);
    free(path);
}

static void a_link_is_followed(void **state)
{
    test_home *home = *state;
    char *path = NULL;
    pb_error error = {0};
    write_text(in_home(home, "real.json"), "{\"user_id\":\"u\",\"mine\":1}");
    assert_int_equal(symlink("real.json", in_home(home, "link.json")), 0);
    setenv("PACH_CONFIG", in_home(home, "link.json"), 1);
    if (pb_pachctl_connect(&home->loop, "prod", "grpcs://h:1", &path, &error) != 0)
        fail_msg("%s", error.message);
    assert_string_equal(path, in_home(home, "link.json"));
    free(path);
    struct stat status;
    assert_int_equal(lstat(in_home(home, "link.json"), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(lstat(in_home(home, "real.json"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    char *text = text_of(in_home(home, "real.json"));
    assert_non_null(strstr(text, "\"user_id\": \"u\""));
    assert_non_null(strstr(text, "\"mine\": 1"));
    assert_non_null(strstr(text, "grpcs://h:1"));
}

static void nothing_is_lost_on_failure(void **state)
{
    test_home *home = *state;
    char *path = NULL;
    pb_error error = {0};
    write_text(in_home(home, "real.json"), "{broken hunter2");
    setenv("PACH_CONFIG", in_home(home, "real.json"), 1);
    assert_int_equal(pb_pachctl_connect(&home->loop, "prod", "h", &path, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.message, "real.json"));
    assert_null(strstr(error.message, "hunter2"));
    assert_string_equal(text_of(in_home(home, "real.json")), "{broken hunter2");
    setenv("PACH_CONFIG", in_home(home, "no/such/folder.json"), 1);
    assert_int_equal(pb_pachctl_connect(&home->loop, "prod", "h", &path, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_NOT_FOUND);
    assert_int_equal(symlink("nowhere", in_home(home, "link.json")), 0);
    setenv("PACH_CONFIG", in_home(home, "link.json"), 1);
    assert_int_equal(pb_pachctl_connect(&home->loop, "prod", "h", &path, &error), -1);
    assert_null(path);
}

static void through_pachctl_where_it_is(void **state)
{
    test_home *home = *state;
    char *path = NULL;
    pb_error error = {0};
    write_text(in_home(home, "bin/pachctl"),
               "#!/bin/sh\n"
               "echo \"$@\" >>\"$HOME/calls\"\n"
               "while read -r line; do echo \"$line\" >>\"$HOME/calls\"; done\n"
               "if [ \"$4\" = bad ]; then echo 'no such thing' >&2; exit 1; fi\n");
    chmod(in_home(home, "bin/pachctl"), 0700);
    if (pb_pachctl_connect(&home->loop, "prod", "h", &path, &error) != 0)
        fail_msg("%s", error.message);
    assert_string_equal(path, in_home(home, ".pachyderm/config.json"));
    free(path);
    assert_string_equal(text_of(in_home(home, "calls")), "config set context prod --overwrite\n"
                                                         "{\"pachd_address\":\"grpc://h:30650\"}\n"
                                                         "config set active-context prod\n");
    assert_int_equal(pb_pachctl_connect(&home->loop, "bad", "h", &path, &error), -1);
    assert_non_null(strstr(error.message, "no such thing"));
    /* Nothing is run for a name that would be an option. */
    assert_int_equal(pb_pachctl_connect(&home->loop, "--help", "h", &path, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_null(strstr(text_of(in_home(home, "calls")), "--help"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_first_context, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_is_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_lost_on_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(through_pachctl_where_it_is, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
