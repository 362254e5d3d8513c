/* The lease of a source, and the note that closes an attempt. */
#include "manifest/run_file.h"

#include "manifest/closing_note.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ID "20261123T052049Z-3f9a"
#define OTHER_ID "20261123T061502Z-77e0"

static char source[] = "s3://endpoint/bucket \"x\"", prefix[] = "a/\xc3\xa4\n", host[] = "node-1";
static char boot_id[] = "b0 pid:[1]", program[] = "pbcopy 0.1.0";

static pb_run_file make(void)
{
    return (pb_run_file){
        .run = ID,
        .source = source,
        .prefix = prefix,
        .process = {.host = host, .boot_id = boot_id, .pid = 4711, .pid_start = 123456},
        .counter = 17,
        .program = program,
    };
}

static void a_lease_round_trips(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        pb_run_file file = make(), read;
        pb_buffer text = {0};
        pb_error error;
        file.over = over;
        pb_run_file_append(&text, &file);
        assert_int_equal(pb_run_file_parse(pb_buffer_slice(&text), &read, &error), 0);
        assert_string_equal(read.run, ID);
        assert_string_equal(read.source, source);
        assert_string_equal(read.prefix, prefix);
        assert_string_equal(read.process.host, host);
        assert_string_equal(read.process.boot_id, boot_id);
        assert_int_equal(read.process.pid, 4711);
        assert_int_equal(read.process.pid_start, 123456);
        assert_int_equal(read.counter, 17);
        assert_int_equal(read.over, over);
        assert_string_equal(read.program, program);
        pb_run_file_free(&read);
        pb_buffer_free(&text);
    }
}

/* What is written with one piece of it replaced. */
static pb_error_kind parse_with(const char *piece, const char *replacement)
{
    pb_run_file file = make(), read = {0};
    pb_buffer text = {0}, changed = {0};
    pb_error error = {0};
    pb_run_file_append(&text, &file);
    const char *at = strstr(text.data, piece);
    assert_non_null(at);
    pb_buffer_append(&changed, text.data, (size_t)(at - text.data));
    pb_buffer_append_text(&changed, replacement);
    pb_buffer_append_text(&changed, at + strlen(piece));
    int failed = pb_run_file_parse(pb_buffer_slice(&changed), &read, &error);
    assert_int_equal(failed ? -1 : 0, error.kind ? -1 : 0);
    pb_run_file_free(&read);
    pb_buffer_free(&text);
    pb_buffer_free(&changed);
    return error.kind;
}

static void a_lease_is_checked(void **state)
{
    (void)state;
    assert_int_equal(parse_with("\"counter\":17", "\"counter\":18"), PB_ERROR_NONE);
    assert_int_equal(parse_with("\"counter\":17", "\"counter\":17,\"more\":[1]"), PB_ERROR_NONE);
    assert_int_equal(parse_with("\"counter\":17,", ""), PB_ERROR_DAMAGED);
    assert_int_equal(parse_with("\"counter\":17", "\"counter\":-1"), PB_ERROR_DAMAGED);
    assert_int_equal(parse_with("\"running\"", "\"asleep\""), PB_ERROR_DAMAGED);
    assert_int_equal(parse_with("\"run\":\"2026", "\"run\":\"../2026"), PB_ERROR_DAMAGED);
    assert_int_equal(parse_with("\"version\":1", "\"version\":2"), PB_ERROR_USAGE);
    assert_int_equal(parse_with("\"pbcopy\":\"run\"", "\"pbcopy\":\"intent\""), PB_ERROR_DAMAGED);
}

static void sources_have_ids_of_their_own(void **state)
{
    (void)state;
    char id[PB_SOURCE_ID_SIZE], other[PB_SOURCE_ID_SIZE];
    pb_source_id("s3://e/b", "p", id);
    assert_int_equal(strlen(id), PB_SOURCE_ID_SIZE - 1);
    assert_int_equal(strspn(id, "0123456789abcdef"), PB_SOURCE_ID_SIZE - 1);
    pb_source_id("s3://e/b", "p", other);
    assert_string_equal(id, other);
    pb_source_id("s3://e/bp", "", other);
    assert_string_not_equal(id, other);
}

static void a_note_names_who_wrote_it(void **state)
{
    (void)state;
    pb_buffer text = {0};
    char by[PB_CLOSED_BY_SIZE];
    pb_closing_note_append(&text, ID, OTHER_ID, "node-2", INT64_C(1795411249123));
    assert_true(pb_closing_note_parse(pb_buffer_slice(&text), by));
    assert_string_equal(by, "run " OTHER_ID " on node-2");
    assert_true(pb_closing_note_parse(pb_buffer_slice(&text), NULL));
    pb_buffer_clear(&text);
    pb_closing_note_append(&text, ID, "", "node-2", 0);
    assert_true(pb_closing_note_parse(pb_buffer_slice(&text), by));
    assert_string_equal(by, "another run on node-2");
    pb_buffer_free(&text);
}

static void odd_notes_are_notes_and_commits_are_none(void **state)
{
    (void)state;
    static const char *const notes[] = {
        "{\"pbcopy\":\"abandoned\"}",
        " {\"by\":[1],\"pbcopy\":\"abandoned\",\"version\":99,\"host\":{}}\n",
        "{\"pbcopy\":\"abandoned\",\"by\":\"../../x\"}",
    };
    static const char *const others[] = {
        "",
        "{}",
        "[]",
        "{\"pbcopy\":\"snapshot\",\"version\":1}",
        "{\"pbcopy\":\"abandoned\"",
        "{\"pbcopy\":[\"abandoned\"]}",
        "abandoned",
    };
    char by[PB_CLOSED_BY_SIZE];
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        assert_true(pb_closing_note_parse(pb_slice_of(notes[i]), by));
        assert_null(strstr(by, ".."));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(pb_closing_note_parse(pb_slice_of(others[i]), by));
    pb_buffer large = {0};
    pb_buffer_append_text(&large, "{\"pbcopy\":\"abandoned\",\"more\":\"");
    while (large.size < PB_CLOSING_NOTE_BYTES_MAX)
        pb_buffer_append_char(&large, 'x');
    pb_buffer_append_text(&large, "\"}");
    assert_false(pb_closing_note_parse(pb_buffer_slice(&large), by));
    pb_buffer_free(&large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_round_trips),
        cmocka_unit_test(a_lease_is_checked),
        cmocka_unit_test(sources_have_ids_of_their_own),
        cmocka_unit_test(a_note_names_who_wrote_it),
        cmocka_unit_test(odd_notes_are_notes_and_commits_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
