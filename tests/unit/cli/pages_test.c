/* help.h, man.h and completion.h: whatever the table says, the pages stay well formed. */
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/man.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void every_option_is_on_its_pages(void **state)
{
    (void)state;
    size_t command_count, option_count;
    const pb_command_entry *commands = pb_command_entries(&command_count);
    const pb_option_entry *options = pb_option_entries(&option_count);
    for (size_t i = 0; i < command_count; i++) {
        pb_buffer page = {0};
        pb_help_command(&page, &commands[i]);
        bool lists =
            pb_option_entry_named(PB_SLICE_LITERAL("config"))->commands & 1u << commands[i].command;
        for (size_t j = 0; j < option_count && lists; j++) {
            pb_buffer term = {0};
            pb_buffer_append_text(&term, "\n  ");
            pb_help_append_term(&term, &options[j]);
            bool is_its = options[j].commands & 1u << commands[i].command;
            bool is_there = false;
            for (const char *at = page.data; (at = strstr(at, term.data)); at += term.size)
                is_there |= at[term.size] == ' ' || at[term.size] == '\n';
            if (is_its != is_there)
                fail_msg("%s: %s", commands[i].name, term.data);
            pb_buffer_free(&term);
        }
        pb_buffer_free(&page);
    }
}

static void prose_fits_the_terminal(void **state)
{
    (void)state;
    size_t count;
    const pb_command_entry *commands = pb_command_entries(&count);
    for (size_t i = 0; i < count; i++) {
        pb_buffer page = {0};
        pb_help_command(&page, &commands[i]);
        *strstr(page.data, "\nExamples\n") = '\0'; /* lines to be copied stay whole */
        for (const char *line = page.data; *line;) {
            size_t size = strcspn(line, "\n");
            if (size > 80)
                fail_msg("%.*s", (int)size, line);
            line += size + (line[size] == '\n');
        }
        pb_buffer_free(&page);
    }
}

static void the_man_page_has_no_stray_request(void **state)
{
    (void)state;
    static const char *const requests[] = {".\\\" ", ".TH ",    ".SH ",  ".SS ",  ".PP\n",
                                           ".TP\n",  ".nf\n",   ".fi\n", ".RS\n", ".RE\n",
                                           ".br\n",  ".ad l\n", ".nh\n"};
    pb_buffer page = {0};
    pb_man_append(&page);
    for (const char *line = page.data; *line; line += strcspn(line, "\n") + 1) {
        bool known = *line != '.' && *line != '\'';
        for (size_t i = 0; i < COUNT(requests); i++)
            known |= strncmp(line, requests[i], strlen(requests[i])) == 0;
        if (!known)
            fail_msg("%.60s", line);
    }
    assert_int_equal(page.data[page.size - 1], '\n');
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    for (size_t i = 0; i < count; i++) {
        pb_buffer name = {0};
        pb_buffer_append_text(&name, "\\-\\-");
        for (const char *at = options[i].name; *at; at++) {
            if (*at == '-')
                pb_buffer_append_char(&name, '\\');
            pb_buffer_append_char(&name, *at);
        }
        assert_non_null(strstr(page.data, name.data));
        pb_buffer_free(&name);
    }
    pb_buffer_free(&page);
}

/* Names go into the script as they are. */
static void names_need_no_quotes(void **state)
{
    (void)state;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz-";
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(strspn(options[i].name, letters), strlen(options[i].name));
    const pb_command_entry *commands = pb_command_entries(&count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(strspn(commands[i].name, letters), strlen(commands[i].name));
    pb_buffer script = {0};
    pb_completion_append_bash(&script);
    assert_non_null(strstr(script.data, "complete -F _pbcopy pbcopy\n"));
    pb_buffer_free(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_on_its_pages),
        cmocka_unit_test(prose_fits_the_terminal),
        cmocka_unit_test(the_man_page_has_no_stray_request),
        cmocka_unit_test(names_need_no_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
