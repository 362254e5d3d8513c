/* libFuzzer: the SQL script of a dump. The first byte says whether it is pg_dumpall's and how long
 * the pieces are; what is read of it may not depend on them. Its roles, too, are filtered in pieces
 * and at once, and all of it is judged for psql: neither the verdict nor what goes through may
 * depend on pieces. */
#include "cluster/database/role_filter.h"
#include "cluster/database/script.h"
#include "cluster/database/script_gate.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note_chunk(void *context, pb_slice key)
{
    pb_buffer_append_slice(context, key);
    pb_buffer_append_char(context, '\n');
    if (!pb_slice_starts_with(key, PB_SLICE_LITERAL("chunk/")) || memchr(key.data, '\n', key.size))
        abort();
}

static pb_error_kind read_script(bool all, pb_slice text, size_t piece, pb_buffer *ret_keys)
{
    const pb_database_script_options options = {
        .database = all ? "pachyderm" : NULL, .chunk = note_chunk, .context = ret_keys};
    pb_database_script *script = pb_database_script_new(&options);
    pb_error error = {0};
    int failed = 0;
    for (size_t at = 0; at < text.size && !failed; at += piece) {
        size_t left = text.size - at;
        failed =
            pb_database_script_feed(script, text.data + at, left < piece ? left : piece, &error);
    }
    if (!failed)
        failed = pb_database_script_end(script, &error);
    if (!failed != !error.kind)
        abort();
    pb_database_script_free(script);
    return error.kind;
}

static void note_filtered(void *context, const void *data, size_t size)
{
    pb_buffer_append(context, data, size);
}

static void filter(pb_slice text, size_t piece, pb_buffer *ret_text)
{
    pb_role_filter *roles = pb_role_filter_new(note_filtered, ret_text);
    for (size_t at = 0; at < text.size; at += piece) {
        size_t left = text.size - at;
        pb_role_filter_feed(roles, text.data + at, left < piece ? left : piece);
    }
    pb_role_filter_end(roles);
    pb_role_filter_free(roles);
}

static pb_error judge(pb_slice text, size_t piece, pb_buffer *ret_text)
{
    const pb_script_gate_options options = {
        .restrict_key = "key", .lock_timeout = "30s", .write = note_filtered, .context = ret_text};
    pb_script_gate *gate = pb_script_gate_new(&options);
    pb_error error = {0};
    int failed = 0;
    for (size_t at = 0; at < text.size && !failed; at += piece) {
        size_t left = text.size - at;
        failed = pb_script_gate_feed(gate, text.data + at, left < piece ? left : piece, &error);
    }
    if (!failed)
        failed = pb_script_gate_end(gate, &error);
    if (!failed != !error.kind)
        abort();
    pb_script_gate_free(gate);
    return error;
}

static void judge_in_pieces(pb_slice text, size_t piece)
{
    pb_buffer whole = {0}, pieces = {0};
    pb_error one = judge(text, text.size + 1, &whole), other = judge(text, piece, &pieces);
    if (one.kind != other.kind)
        abort();
    if (!one.kind && !pb_slice_equal(pb_buffer_slice(&whole), pb_buffer_slice(&pieces)))
        abort();
    pb_buffer_free(&whole);
    pb_buffer_free(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    pb_slice text = {(const char *)data + 1, size - 1};
    bool all = data[0] & 1;
    size_t piece = 1 + (data[0] >> 1) % 32;
    pb_buffer whole = {0}, pieces = {0};
    if (read_script(all, text, text.size + 1, &whole) != read_script(all, text, piece, &pieces) ||
        !pb_slice_equal(pb_buffer_slice(&whole), pb_buffer_slice(&pieces)))
        abort();
    pb_buffer_clear(&whole);
    pb_buffer_clear(&pieces);
    filter(text, text.size + 1, &whole);
    filter(text, piece, &pieces);
    if (!pb_slice_equal(pb_buffer_slice(&whole), pb_buffer_slice(&pieces)))
        abort();
    pb_buffer_free(&whole);
    pb_buffer_free(&pieces);
    judge_in_pieces(text, piece);
    return 0;
}
