/* libFuzzer: the first byte picks a parser of the manifest room, the rest is its input. A record
 * that parses must come out of the writer again and parse to the same, and an intent and a snapshot
 * to what is written the same. */
#include "manifest/closing_note.h"
#include "manifest/findings_file.h"
#include "manifest/intent.h"
#include "manifest/part.h"
#include "manifest/repository_file.h"
#include "manifest/snapshot_file.h"
#include "manifest/source_file.h"
#include <stdlib.h>

static void fuzz_source(pb_slice input)
{
    pb_source_file file;
    pb_error error;
    pb_buffer key = {0};
    if (pb_source_file_parse(input, &file, &error))
        return;
    pb_source_file_key(&key, &file);
    if (!pb_source_file_is_key(pb_buffer_slice(&key)))
        abort();
    pb_source_file_free(&file);
    pb_buffer_free(&key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_record(pb_slice input)
{
    pb_arena arena = {0};
    pb_record record, again;
    pb_error error;
    if (!pb_record_parse(input, &arena, &record, &error) && !pb_record_flaw(&record)) {
        pb_buffer line = {0};
        pb_record_append(&line, &record);
        pb_slice text = {line.data, line.size - 1};
        if (pb_record_parse(text, &arena, &again, &error) ||
            !pb_slice_equal(record.key, again.key) || record.size != again.size ||
            record.mtime_ms != again.mtime_ms || !pb_slice_equal(record.etag, again.etag) ||
            record.has_crc32c != again.has_crc32c ||
            memcmp(record.crc32c, again.crc32c, sizeof record.crc32c) != 0 ||
            record.proof != again.proof)
            abort();
        pb_buffer_free(&line);
    }
    pb_arena_free(&arena);
}

static void fuzz_part(pb_slice input)
{
    pb_part_reader *reader;
    pb_error error;
    if (pb_part_reader_open(input, &reader, &error))
        return;
    int more = 1;
    while (more > 0) {
        pb_arena arena = {0};
        pb_record record;
        more = pb_part_reader_next(reader, &arena, &record, &error);
        pb_arena_free(&arena);
    }
    pb_part_reader_free(reader);
}

static void fuzz_intent(pb_slice input)
{
    pb_intent intent, again;
    pb_error error;
    pb_buffer text = {0}, text_again = {0};
    if (pb_intent_parse(input, &intent, &error))
        return;
    pb_intent_append(&text, &intent);
    if (pb_intent_parse(pb_buffer_slice(&text), &again, &error))
        abort();
    pb_intent_append(&text_again, &again);
    if (!pb_slice_equal(pb_buffer_slice(&text), pb_buffer_slice(&text_again)))
        abort();
    pb_intent_free(&intent);
    pb_intent_free(&again);
    pb_buffer_free(&text);
    pb_buffer_free(&text_again);
}

static void fuzz_snapshot(pb_slice input)
{
    pb_snapshot_file file, again;
    pb_error error;
    pb_buffer text = {0}, text_again = {0};
    if (pb_snapshot_file_parse(input, &file, &error))
        return;
    pb_snapshot_file_append(&text, &file);
    if (pb_snapshot_file_parse(pb_buffer_slice(&text), &again, &error))
        abort();
    pb_snapshot_file_append(&text_again, &again);
    if (!pb_slice_equal(pb_buffer_slice(&text), pb_buffer_slice(&text_again)))
        abort();
    pb_snapshot_file_free(&file);
    pb_snapshot_file_free(&again);
    pb_buffer_free(&text);
    pb_buffer_free(&text_again);
}

static void fuzz_lease(pb_slice input)
{
    pb_run_file file, again;
    pb_error error;
    pb_buffer text = {0}, text_again = {0};
    if (pb_run_file_parse(input, &file, &error))
        return;
    pb_run_file_append(&text, &file);
    if (pb_run_file_parse(pb_buffer_slice(&text), &again, &error))
        abort();
    pb_run_file_append(&text_again, &again);
    if (!pb_slice_equal(pb_buffer_slice(&text), pb_buffer_slice(&text_again)))
        abort();
    pb_run_file_free(&file);
    pb_run_file_free(&again);
    pb_buffer_free(&text);
    pb_buffer_free(&text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    pb_slice input = {(const char *)data + 1, size - 1};
    pb_error error;
    pb_repository_file repository;
    switch (data[0] % 8) {
    case 0:
        fuzz_record(input);
        break;
    case 1:
        fuzz_part(input);
        break;
    case 2:
        fuzz_intent(input);
        break;
    case 3:
        pb_repository_file_parse(input, &repository, &error);
        break;
    case 4:
        fuzz_snapshot(input);
        break;
    case 5:
        fuzz_lease(input);
        break;
    case 6: {
        char by[PB_CLOSED_BY_SIZE];
        pb_findings findings = {0};
        pb_closing_note_parse(input, by);
        pb_findings_parse(input, &findings, &error);
        pb_findings_free(&findings);
        break;
    }
    case 7:
        fuzz_source(input);
        break;
    }
    return 0;
}
