#include "manifest/document.h"
#include "manifest/part.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    TEXT_BYTES = 128 * 1024,     /* decompressed at a time, the rest of the last line included */
    HEADER_LINE_MAX = 64 * 1024, /* two keys at their longest, each byte escaped, and the rest */
    WINDOW_LOG_MAX = 23,
};

static const char what[] = "manifest part";

struct pb_part_reader {
    pb_part part;
    char snapshot[PB_SNAPSHOT_ID_SIZE];
    ZSTD_DCtx *context;
    ZSTD_inBuffer input;
    bool in_frame;     /* a frame was begun and not ended; also before the first */
    char *text;        /* TEXT_BYTES */
    size_t text_begin; /* what was decompressed and not handed out yet */
    size_t text_end;
    pb_hash *hash; /* of the records' text */
    pb_buffer last_key;
    uint64_t records;
    uint64_t bytes;
    int answer; /* 1 while records may follow */
};

static int damaged(pb_error *error, const char *reason)
{
    pb_error_set(error, PB_ERROR_DAMAGED, "%s: %s", what, reason);
    return -1;
}

static bool input_ended(const pb_part_reader *reader)
{
    return reader->input.pos == reader->input.size && !reader->in_frame;
}

/* Decompresses some more behind what is there; nothing new where the input has ended properly. */
static int read_text(pb_part_reader *reader, pb_error *error)
{
    size_t kept = reader->text_end - reader->text_begin;
    memmove(reader->text, reader->text + reader->text_begin, kept);
    reader->text_begin = 0;
    reader->text_end = kept;
    ZSTD_outBuffer output = {reader->text, TEXT_BYTES, kept};
    while (output.pos == kept && !input_ended(reader)) {
        size_t input_before = reader->input.pos;
        size_t left = ZSTD_decompressStream(reader->context, &output, &reader->input);
        if (ZSTD_isError(left)) {
            if (ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation)
                return pb_error_set(error, PB_ERROR_FAILED, "%s: out of memory", what);
            return damaged(error, ZSTD_getErrorName(left));
        }
        reader->in_frame = left != 0;
        if (reader->in_frame && output.pos == kept && reader->input.pos == input_before)
            return damaged(error, "is cut");
    }
    reader->text_end = output.pos;
    return 0;
}

/* The next whole line without its newline: 1, or 0 at the end. Valid until the next call. New text
 * is fed to the hash where that was made. */
static int next_line(pb_part_reader *reader, size_t line_max, pb_slice *ret_line, pb_error *error)
{
    size_t searched = 0;
    for (;;) {
        const char *begin = reader->text + reader->text_begin;
        size_t size = reader->text_end - reader->text_begin;
        const char *newline = memchr(begin + searched, '\n', size - searched);
        size_t line_size = newline ? (size_t)(newline - begin) : size;
        if (line_size > line_max)
            return damaged(error, "a line is too long");
        if (newline) {
            *ret_line = (pb_slice){begin, line_size};
            reader->text_begin += line_size + 1;
            return 1;
        }
        searched = size;
        if (read_text(reader, error) != 0)
            return -1;
        if (reader->text_end == size)
            return size ? damaged(error, "its last line is cut") : 0;
        if (reader->hash)
            pb_hash_update(reader->hash, reader->text + size, reader->text_end - size);
    }
}

static int read_header(pb_part_reader *reader, pb_error *error)
{
    pb_slice line;
    json_t *header;
    int found = next_line(reader, HEADER_LINE_MAX, &line, error);
    if (found <= 0)
        return found == 0 ? damaged(error, "is empty") : -1;
    if (pb_document_parse(line, "manifest-part", PB_PART_VERSION, what, &header, error) != 0)
        return -1;
    pb_part *part = &reader->part;
    int result = pb_document_snapshot_id(header, "snapshot", what, reader->snapshot, error) == 0 &&
                         pb_document_range(header, what, &part->range, error) == 0 &&
                         pb_json_unsigned(header, "records", what, &part->records, error) == 0 &&
                         pb_json_unsigned(header, "bytes", what, &part->bytes, error) == 0 &&
                         pb_document_digest(header, "sha256", what, part->sha256, error) == 0
                     ? 0
                     : -1;
    json_decref(header);
    return result;
}

int pb_part_reader_open(pb_slice stored, pb_part_reader **ret_reader, pb_error *error)
{
    pb_part_reader *reader = pb_allocate_zeroed(1, sizeof(*reader));
    reader->input = (ZSTD_inBuffer){stored.data, stored.size, 0};
    reader->in_frame = true;
    reader->answer = 1;
    reader->text = pb_allocate(TEXT_BYTES);
    reader->part.stored_bytes = stored.size;
    pb_sha256(stored.data, stored.size, reader->part.stored_sha256);
    reader->context = ZSTD_createDCtx();
    if (reader->context == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(
                                       reader->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
        pb_part_reader_free(reader);
        return pb_error_set(error, PB_ERROR_FAILED, "%s: out of memory", what);
    }
    if (read_header(reader, error) != 0) {
        pb_part_reader_free(reader);
        return -1;
    }
    /* The digest begins behind the header line, with what was decompressed along with it. */
    reader->hash = pb_hash_new(PB_HASH_SHA256);
    pb_hash_update(reader->hash, reader->text + reader->text_begin,
                   reader->text_end - reader->text_begin);
    *ret_reader = reader;
    return 0;
}

void pb_part_reader_free(pb_part_reader *reader)
{
    if (reader == NULL)
        return;
    pb_part_free(&reader->part);
    ZSTD_freeDCtx(reader->context);
    pb_hash_free(reader->hash);
    pb_buffer_free(&reader->last_key);
    free(reader->text);
    free(reader);
}

const pb_part *pb_part_reader_part(const pb_part_reader *reader)
{
    return &reader->part;
}

pb_slice pb_part_reader_snapshot(const pb_part_reader *reader)
{
    return pb_slice_of(reader->snapshot);
}

int pb_part_reader_expect(const pb_part_reader *reader, pb_slice snapshot, const pb_part *listed,
                          pb_error *error)
{
    const pb_part *part = &reader->part;
    const char *differs = NULL;
    if (part->stored_bytes != listed->stored_bytes)
        differs = "stored size";
    else if (memcmp(part->stored_sha256, listed->stored_sha256, PB_SHA256_BYTES) != 0)
        differs = "stored SHA-256";
    else if (!pb_slice_equal(pb_part_reader_snapshot(reader), snapshot))
        differs = "snapshot";
    else if (!pb_range_extends(&listed->range, &part->range))
        differs = "key range";
    else if (part->records != listed->records || part->bytes != listed->bytes)
        differs = "count";
    else if (memcmp(part->sha256, listed->sha256, PB_SHA256_BYTES) != 0)
        differs = "SHA-256";
    if (differs)
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "%s: its %s is not the one that the snapshot lists", what, differs);
    return 0;
}

static int check_end(pb_part_reader *reader, pb_error *error)
{
    uint8_t digest[PB_SHA256_BYTES];
    if (reader->records != reader->part.records)
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: holds %" PRIu64 " records, not %" PRIu64,
                            what, reader->records, reader->part.records);
    if (reader->bytes != reader->part.bytes)
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "%s: its sizes add up to %" PRIu64 ", not %" PRIu64, what,
                            reader->bytes, reader->part.bytes);
    pb_hash_finish(reader->hash, digest);
    if (memcmp(digest, reader->part.sha256, sizeof(digest)) != 0)
        return damaged(error, "its records are not those that the SHA-256 is of");
    return 0;
}

static int next_record(pb_part_reader *reader, pb_arena *arena, pb_record *ret_record,
                       pb_error *error)
{
    pb_slice line;
    pb_record record;
    int found = next_line(reader, PB_RECORD_LINE_MAX, &line, error);
    if (found < 0)
        return -1;
    if (found == 0)
        return check_end(reader, error);
    if (reader->records == reader->part.records)
        return damaged(error, "holds more records than announced");
    reader->records++;
    if (pb_record_parse(pb_arena_copy(arena, line), arena, &record, error) != 0)
        return pb_error_context(error, "%s: line %" PRIu64, what, reader->records + 1);
    const char *flaw = NULL;
    if (!pb_range_holds(&reader->part.range, record.key))
        flaw = "the key is outside of the range";
    else if (pb_slice_compare(record.key, pb_buffer_slice(&reader->last_key)) <= 0)
        flaw = "the key is out of order";
    if (flaw)
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: line %" PRIu64 ": %s", what,
                            reader->records + 1, flaw);
    pb_buffer_clear(&reader->last_key);
    pb_buffer_append_slice(&reader->last_key, record.key);
    reader->bytes = pb_record_sum(reader->bytes, record.size);
    *ret_record = record;
    return 1;
}

int pb_part_reader_next(pb_part_reader *reader, pb_arena *arena, pb_record *ret_record,
                        pb_error *error)
{
    if (reader->answer == 1) {
        reader->answer = next_record(reader, arena, ret_record, error);
        return reader->answer;
    }
    return reader->answer == 0 ? 0 : damaged(error, "was found damaged before");
}
