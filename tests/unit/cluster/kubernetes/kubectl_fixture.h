/* tests/unit/cluster/kubernetes/kubectl_fixture.h - a folder in front of PATH, for a script in
 * kubectl's place, and a loop: for each test anew. */
#ifndef PB_TESTS_KUBECTL_FIXTURE_H
#define PB_TESTS_KUBECTL_FIXTURE_H

#include "base/bytes.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <uv.h>

#include <cmocka.h>

static char folder[] = "/tmp/pbcopy-kubectl-XXXXXX";
static char *path_before;
static uv_loop_t loop;

/* A program of the folder, or a file of its script. */
static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, 0700);
}

static int begin_folder(void)
{
    signal(SIGPIPE, SIG_IGN);
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    path_before = strdup(getenv("PATH"));
    pb_buffer path = {0};
    pb_buffer_append_format(&path, "%s:%s", folder, path_before);
    setenv("PATH", path.data, 1);
    pb_buffer_free(&path);
    return uv_loop_init(&loop);
}

static int end(void **state)
{
    (void)state;
    char command[128];
    setenv("PATH", path_before, 1);
    free(path_before);
    snprintf(command, sizeof command, "rm -r %s", folder);
    int removed = system(command);
    uv_run(&loop, UV_RUN_NOWAIT);
    return uv_loop_close(&loop) || removed;
}

#endif
