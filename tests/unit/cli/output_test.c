/* What reaches the terminal: whatever a server says in it is harmless there. */
#include "cli/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static const pb_options options;

/* What `say` writes to standard output: a file stands in for it meanwhile. */
static void capture(void (*say)(pb_output *output), char *ret_text, size_t size)
{
    pb_console console;
    pb_output output;
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int before = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    pb_console_init(&console, stderr, false);
    pb_output_init(&output, &options, &console);
    say(&output);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
    rewind(file);
    size_t got = fread(ret_text, 1, size - 1, file);
    ret_text[got] = 0;
    fclose(file);
    pb_output_free(&output);
    pb_console_free(&console);
}

static void say_what_a_server_says(pb_output *output)
{
    pb_output_text(output, PB_SLICE_LITERAL("ok  version: 2.11\x1b]0;owned\x07\x1b[2J\r\n"
                                            "next \xc2\x9b"
                                            "31m, gr\xc3\xbc\xc3\x9f"
                                            "e\xff\n"));
}

static void say_data(pb_output *output)
{
    pb_output_data(output, PB_SLICE_LITERAL("{\"key\":\"\x7f\"}\n"));
}

static void text_is_made_harmless(void **state)
{
    (void)state;
    char text[256];
    capture(say_what_a_server_says, text, sizeof text);
    assert_string_equal(text, "ok  version: 2.11?]0;owned??[2J?\n"
                              "next ?31m, gr\xc3\xbc\xc3\x9f"
                              "e?\n");
}

static void data_stays_as_it_is(void **state)
{
    (void)state;
    char text[256];
    capture(say_data, text, sizeof text);
    assert_string_equal(text, "{\"key\":\"\x7f\"}\n");
}

static void a_status_line_is_made_harmless(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    pb_console console;
    pb_console_init(&console, stream, true);
    pb_console_status(&console, "1 pod to go (pachd\x1b[2J\n)");
    pb_console_free(&console);
    fclose(stream);
    assert_non_null(strstr(text, "1 pod to go (pachd?[2J?)"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_made_harmless),
        cmocka_unit_test(data_stays_as_it_is),
        cmocka_unit_test(a_status_line_is_made_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
