#include "manifest/document.h"
#include "manifest/part.h"

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

enum {
    TEXT_BYTES = 48 * 1024, /* lines are collected up to here, then compressed */
    STORED_GROWTH_BYTES = 32 * 1024,
    LEVEL = 3,
    /* There is a writer a shard, so it must be small. Records gain nothing from what lies further
     * back than some hundred lines: measured, a window of 256 KiB with level 3's own tables takes
     * twice the memory and makes the part 3 % larger. */
    WINDOW_LOG = 16,
    HASH_LOG = 14,
    CHAIN_LOG = 13,
};

struct pb_part_writer {
    ZSTD_CCtx *context;
    pb_hash *hash;    /* of the records' text */
    pb_buffer text;   /* lines not compressed yet */
    pb_buffer stored; /* the records' frame as far as it is compressed */
    pb_buffer first_key;
    pb_buffer last_key;
    uint64_t records;
    uint64_t bytes;
};

_Noreturn static void stop(const char *reason)
{
    fprintf(stderr, "pbcopy: a manifest part can't be written: %s\n", reason);
    abort();
}

static void check(size_t result)
{
    if (ZSTD_isError(result))
        stop(ZSTD_getErrorName(result)); /* no memory: nothing else is left to go wrong */
}

pb_part_writer *pb_part_writer_new(void)
{
    pb_part_writer *writer = pb_allocate_zeroed(1, sizeof(*writer));
    writer->context = ZSTD_createCCtx();
    if (writer->context == NULL)
        stop("out of memory");
    check(ZSTD_CCtx_setParameter(writer->context, ZSTD_c_compressionLevel, LEVEL));
    check(ZSTD_CCtx_setParameter(writer->context, ZSTD_c_windowLog, WINDOW_LOG));
    check(ZSTD_CCtx_setParameter(writer->context, ZSTD_c_hashLog, HASH_LOG));
    check(ZSTD_CCtx_setParameter(writer->context, ZSTD_c_chainLog, CHAIN_LOG));
    check(ZSTD_CCtx_setParameter(writer->context, ZSTD_c_checksumFlag, 1));
    writer->hash = pb_hash_new(PB_HASH_SHA256);
    return writer;
}

void pb_part_writer_free(pb_part_writer *writer)
{
    if (writer == NULL)
        return;
    ZSTD_freeCCtx(writer->context);
    pb_hash_free(writer->hash);
    pb_buffer_free(&writer->text);
    pb_buffer_free(&writer->stored);
    pb_buffer_free(&writer->first_key);
    pb_buffer_free(&writer->last_key);
    free(writer);
}

/* Compresses `text` into the open frame of *out. */
static void compress(ZSTD_CCtx *context, pb_slice text, ZSTD_EndDirective directive, pb_buffer *out)
{
    ZSTD_inBuffer input = {text.data, text.size, 0};
    size_t left;
    do {
        pb_buffer_reserve(out, STORED_GROWTH_BYTES);
        ZSTD_outBuffer output = {out->data + out->size, out->capacity - 1 - out->size, 0};
        left = ZSTD_compressStream2(context, &output, &input, directive);
        check(left);
        out->size += output.pos;
        out->data[out->size] = '\0';
    } while (directive == ZSTD_e_end ? left != 0 : input.pos < input.size);
}

static void compress_text(pb_part_writer *writer, ZSTD_EndDirective directive)
{
    pb_hash_update(writer->hash, writer->text.data, writer->text.size);
    compress(writer->context, pb_buffer_slice(&writer->text), directive, &writer->stored);
    pb_buffer_clear(&writer->text);
}

void pb_part_writer_add(pb_part_writer *writer, const pb_record *record)
{
    const char *flaw = pb_record_flaw(record);
    if (flaw)
        stop(flaw);
    if (writer->records == 0)
        pb_buffer_append_slice(&writer->first_key, record->key);
    else if (pb_slice_compare(record->key, pb_buffer_slice(&writer->last_key)) <= 0)
        stop("the keys are out of order");
    pb_buffer_clear(&writer->last_key);
    pb_buffer_append_slice(&writer->last_key, record->key);
    pb_record_append(&writer->text, record);
    writer->records++;
    writer->bytes = pb_record_sum(writer->bytes, record->size);
    if (writer->text.size >= TEXT_BYTES)
        compress_text(writer, ZSTD_e_continue);
}

uint64_t pb_part_writer_records(const pb_part_writer *writer)
{
    return writer->records;
}

size_t pb_part_writer_size(const pb_part_writer *writer)
{
    /* Records shrink to a fourth or less; what zstd holds back is at most a block of 128 KiB. */
    return writer->stored.size + writer->text.size / 4;
}

static void append_header(pb_buffer *buffer, const char *snapshot, const pb_part *part)
{
    pb_document_begin(buffer, "manifest-part", PB_PART_VERSION);
    pb_document_add_text(buffer, "snapshot", snapshot);
    pb_document_add_range(buffer, &part->range);
    pb_document_add_number(buffer, "records", part->records);
    pb_document_add_number(buffer, "bytes", part->bytes);
    pb_document_add_digest(buffer, "sha256", part->sha256);
    pb_buffer_append_text(buffer, "}\n");
}

void pb_part_writer_finish(pb_part_writer *writer, pb_slice snapshot, const pb_range *range,
                           pb_part *ret_part, pb_buffer *ret_body)
{
    char id[PB_SNAPSHOT_ID_SIZE];
    if (!pb_snapshot_id_valid(snapshot))
        stop("not a snapshot id");
    memcpy(id, snapshot.data, snapshot.size);
    id[snapshot.size] = '\0';
    if (writer->records && (!pb_range_holds(range, pb_buffer_slice(&writer->first_key)) ||
                            !pb_range_holds(range, pb_buffer_slice(&writer->last_key))))
        stop("a key is outside of the range");
    pb_slice after = pb_slice_of(range->after);
    pb_slice through = pb_slice_of(range->through);
    if ((after.size && pb_key_flaw(after)) || (range->through && pb_key_flaw(through)) ||
        (range->through && pb_slice_compare(after, through) >= 0))
        stop("the range's keys can't be read again");

    pb_part part = {
        .range = pb_range_copy(after, through, range->through == NULL),
        .records = writer->records,
        .bytes = writer->bytes,
    };
    compress_text(writer, ZSTD_e_end);
    pb_hash_finish(writer->hash, part.sha256);

    size_t begin = ret_body->size;
    append_header(&writer->text, id, &part);
    compress(writer->context, pb_buffer_slice(&writer->text), ZSTD_e_end, ret_body);
    pb_buffer_append_slice(ret_body, pb_buffer_slice(&writer->stored));
    part.stored_bytes = ret_body->size - begin;
    pb_sha256(ret_body->data + begin, part.stored_bytes, part.stored_sha256);
    *ret_part = part;

    pb_hash_restart(writer->hash);
    pb_buffer_clear(&writer->text);
    pb_buffer_clear(&writer->stored);
    pb_buffer_clear(&writer->first_key);
    pb_buffer_clear(&writer->last_key);
    writer->records = 0;
    writer->bytes = 0;
}
