/* libFuzzer: the first byte picks a parser of the manifest room, the rest is its input. A record
 * that parses must come out of the writer again and parse to the same. */
#include "manifest/intent.h"
#include "manifest/part.h"
#include "manifest/repository_file.h"
#include "manifest/snapshot_file.h"
#include <stdlib.h>

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    pb_slice input = {(const char *)data + 1, size - 1};
    pb_error error;
    pb_intent intent;
    pb_repository_file repository;
    pb_snapshot_file snapshot;
    switch (data[0] % 5) {
    case 0:
        fuzz_record(input);
        break;
    case 1:
        fuzz_part(input);
        break;
    case 2:
        if (!pb_intent_parse(input, &intent, &error))
            pb_intent_free(&intent);
        break;
    case 3:
        pb_repository_file_parse(input, &repository, &error);
        break;
    case 4:
        if (!pb_snapshot_file_parse(input, &snapshot, &error))
            pb_snapshot_file_free(&snapshot);
    }
    return 0;
}
