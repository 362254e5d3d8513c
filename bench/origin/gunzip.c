#include "bench/origin/gunzip.h"
#include <isa-l/igzip_lib.h>
#include <stdlib.h>

enum { WINDOW_BYTES = 65536 };

/* Feeds one run of bytes; what they decode to is appended to *decoded. */
static bool feed(struct inflate_state *state, pb_slice run, uint8_t *window,
                 pb_origin_content **decoded)
{
    state->next_in = (uint8_t *)(uintptr_t)run.data;
    state->avail_in = (uint32_t)run.size;
    do {
        if (state->block_state == ISAL_BLOCK_FINISH) {
            /* Another member may follow. */
            if (state->avail_in == 0) {
                return true;
            }
            isal_inflate_reset(state);
            state->crc_flag = ISAL_GZIP;
        }
        state->next_out = window;
        state->avail_out = WINDOW_BYTES;
        if (isal_inflate(state) != ISAL_DECOMP_OK) {
            return false;
        }
        size_t made = WINDOW_BYTES - state->avail_out;
        if ((*decoded)->size + made > PB_ORIGIN_GUNZIP_BYTES_MAX) {
            return false;
        }
        pb_origin_content *longer = pb_origin_content_append(*decoded, window, made);
        if (!longer) {
            return false;
        }
        *decoded = longer;
    } while (state->avail_in > 0 || state->avail_out == 0);
    return true;
}

pb_origin_content *pb_origin_gunzip(const pb_origin_content *content)
{
    struct inflate_state *state = pb_allocate(sizeof(*state));
    uint8_t *window = pb_allocate(WINDOW_BYTES);
    char *scratch = pb_allocate(WINDOW_BYTES);
    pb_origin_content *decoded = pb_origin_content_new_bytes(content->size * 2);
    isal_inflate_init(state);
    state->crc_flag = ISAL_GZIP;
    bool is_sound = decoded != NULL && content->size > 0;
    bool used_scratch;
    for (uint64_t offset = 0; is_sound && offset < content->size;) {
        uint64_t left = content->size - offset;
        pb_slice run =
            pb_origin_content_window(content, offset, left < WINDOW_BYTES ? left : WINDOW_BYTES,
                                     scratch, WINDOW_BYTES, &used_scratch);
        is_sound = feed(state, run, window, &decoded);
        offset += run.size;
    }
    is_sound = is_sound && state->block_state == ISAL_BLOCK_FINISH;
    if (!is_sound) {
        pb_origin_content_release(decoded);
        decoded = NULL;
    }
    free(scratch);
    free(window);
    free(state);
    return decoded;
}
