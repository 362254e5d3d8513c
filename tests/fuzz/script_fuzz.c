/* libFuzzer: a database's script. The first byte says whether it is pg_dumpall's and how long its
 * pieces are; whatever they are, the same chunks must be found, each with a good key. */
#include "cluster/database_script.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note_chunk(void *context, pb_slice key)
{
    static const char allowed[] = "0123456789abcdef";
    if (!pb_slice_starts_with(key, PB_SLICE_LITERAL("chunk/")) || key.size < 6 + 2 + 17 ||
        key.data[key.size - 17] != '.')
        abort();
    for (size_t i = 6; i < key.size; i++)
        if (i != key.size - 17 && !memchr(allowed, key.data[i], sizeof allowed - 1))
            abort();
    pb_buffer_append_slice(context, key);
    pb_buffer_append_char(context, '\n');
}

static int run(pb_slice input, const char *database, size_t piece_bytes, pb_buffer *keys)
{
    pb_database_script_options options = {
        .database = database, .chunk = note_chunk, .context = keys};
    pb_database_script *script = pb_database_script_new(&options);
    pb_error error;
    int failed = 0;
    for (size_t at = 0; at < input.size && !failed; at += piece_bytes) {
        size_t left = input.size - at;
        failed = pb_database_script_feed(script, input.data + at,
                                         left < piece_bytes ? left : piece_bytes, &error);
    }
    if (!failed)
        failed = pb_database_script_end(script, &error);
    pb_database_script_free(script);
    return failed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    pb_slice input = {(const char *)data + 1, size - 1};
    const char *database = data[0] & 1 ? "pachyderm" : NULL;
    pb_buffer whole = {0}, pieces = {0};
    int failed = run(input, database, SIZE_MAX / 2, &whole);
    if (run(input, database, 1 + (data[0] >> 1) % 16, &pieces) != failed ||
        !pb_slice_equal(pb_buffer_slice(&whole), pb_buffer_slice(&pieces)))
        abort();
    pb_buffer_free(&whole);
    pb_buffer_free(&pieces);
    return 0;
}
