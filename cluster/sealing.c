#include "cluster/sealing.h"

#include "cluster/child.h"
#include <stdlib.h>
#include <zstd.h>

enum {
    LEVEL = 3,
    WINDOW_LOG_MAX = 27, /* of what is read: 128 MiB, as the zstd program has it */
    PIECE_BYTES = 128 * 1024,
    PENDING_LOW_BYTES = 256 * 1024,
};

struct pb_seal {
    uv_loop_t *loop;
    pb_seal_options options;
    ZSTD_CCtx *compressor; /* one of these */
    ZSTD_DCtx *expander;
    size_t expected; /* of the expander: 0 between frames */
    pb_child *age;   /* NULL where there is none, or it is over */
    bool has_age, age_over;
    /* Bytes wait here for the loop, so that nothing comes inside a call: written and not yet
     * through zstd (or handed to age). */
    pb_buffer waiting;
    bool ended, input_done, over, paused;
    uv_idle_t soon;
    char *piece;
    pb_error error;
};

static void wake(pb_seal *seal);

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    pb_seal *seal = handle->data;
    ZSTD_freeCCtx(seal->compressor);
    ZSTD_freeDCtx(seal->expander);
    pb_buffer_free(&seal->waiting);
    free(seal->piece);
    free(seal);
}

static void fail(pb_seal *seal, const pb_error *why)
{
    if (!seal->error.kind)
        seal->error = *why;
    if (seal->age)
        pb_child_kill(seal->age, why);
    wake(seal);
}

static void give(pb_seal *seal, const void *data, size_t size)
{
    pb_error error = {0};
    if (size && !seal->error.kind && seal->options.write(seal->options.context, data, size, &error))
        fail(seal, &error);
}

/* ---- zstd ---- */

/* Compressed bytes go to age, or out. */
static void pass_on(pb_seal *seal, const void *data, size_t size)
{
    if (seal->age)
        pb_child_write(seal->age, data, size);
    else if (!seal->has_age)
        give(seal, data, size);
}

static int zstd_failed(pb_seal *seal, size_t result)
{
    if (!ZSTD_isError(result))
        return 0;
    pb_error error;
    pb_error_set(&error, seal->options.opens ? PB_ERROR_DAMAGED : PB_ERROR_FAILED, "zstd: %s",
                 ZSTD_getErrorName(result));
    fail(seal, &error);
    return -1;
}

static void compress(pb_seal *seal, pb_slice bytes, bool ends)
{
    ZSTD_inBuffer in = {bytes.data, bytes.size, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {seal->piece, PIECE_BYTES, 0};
        left =
            ZSTD_compressStream2(seal->compressor, &out, &in, ends ? ZSTD_e_end : ZSTD_e_continue);
        if (zstd_failed(seal, left))
            return;
        pass_on(seal, out.dst, out.pos);
    } while (!seal->error.kind && (ends ? left != 0 : in.pos < in.size));
}

static void expand(pb_seal *seal, pb_slice bytes)
{
    ZSTD_inBuffer in = {bytes.data, bytes.size, 0};
    bool more = true;
    while (more && !seal->error.kind) {
        ZSTD_outBuffer out = {seal->piece, PIECE_BYTES, 0};
        seal->expected = ZSTD_decompressStream(seal->expander, &out, &in);
        if (zstd_failed(seal, seal->expected))
            return;
        give(seal, out.dst, out.pos);
        /* Asked once more at the end of a frame it would expect another one. */
        more = in.pos < in.size || (seal->expected && out.pos == out.size);
    }
}

static void check_whole(pb_seal *seal)
{
    pb_error error;
    if (!seal->options.opens || !seal->expected || seal->error.kind)
        return;
    pb_error_set(&error, PB_ERROR_DAMAGED, "it ends in the middle of its compressed data");
    fail(seal, &error);
}

/* ---- age ---- */

static int on_age_output(void *context, const void *data, size_t size, pb_error *error)
{
    pb_seal *seal = context;
    if (seal->options.opens)
        expand(seal, (pb_slice){data, size});
    else
        give(seal, data, size);
    if (!seal->error.kind)
        return 0;
    *error = seal->error;
    return -1;
}

static void on_age_drained(void *context)
{
    wake(context);
}

static void on_age_done(void *context, pb_child *child, const pb_error *error)
{
    pb_seal *seal = context;
    pb_slice said = pb_child_stderr(child);
    seal->age = NULL;
    seal->age_over = true;
    if (error->kind && !seal->error.kind) {
        static const char nobody[] = "no identity matched";
        seal->error = *error;
        if (!seal->options.opens)
            ;
        else if (memmem(said.data ? said.data : "", said.size, nobody, sizeof nobody - 1)) {
            pb_error_set(&seal->error, PB_ERROR_REFUSED,
                         "the identity is not one of those that it is encrypted to");
            pb_error_hint(&seal->error, "give the key that belongs to the --recipient of the "
                                        "backup");
        } else if (error->kind == PB_ERROR_FAILED) {
            seal->error.kind = PB_ERROR_DAMAGED;
        }
    }
    if (!seal->error.kind)
        check_whole(seal);
    wake(seal);
}

static int start_age(pb_seal *seal, pb_error *error)
{
    const pb_seal_options *options = &seal->options;
    size_t count = 0;
    const char **arguments =
        pb_allocate_zeroed(2 * options->sealing.recipient_count + 5, sizeof *arguments);
    arguments[count++] = "age";
    if (options->opens) {
        arguments[count++] = "--decrypt";
        arguments[count++] = "--identity";
        arguments[count++] = options->identity;
    } else {
        arguments[count++] = "--encrypt";
        for (size_t i = 0; i < options->sealing.recipient_count; i++) {
            arguments[count++] = "--recipient";
            arguments[count++] = options->sealing.recipients[i];
        }
    }
    const pb_child_options child = {
        .arguments = arguments,
        .has_input = true,
        .received = on_age_output,
        .drained = on_age_drained,
        .done = on_age_done,
        .context = seal,
    };
    int failed = pb_child_start(seal->loop, &child, &seal->age, error);
    free(arguments);
    return failed;
}

/* ---- the pump ---- */

static void take_input(pb_seal *seal)
{
    /* A piece a turn: other handles of the loop want their share. */
    size_t size = seal->waiting.size < PIECE_BYTES ? seal->waiting.size : PIECE_BYTES;
    pb_slice bytes = {seal->waiting.data, size};
    if (seal->options.opens && seal->age)
        pb_child_write(seal->age, bytes.data, bytes.size);
    else if (seal->options.opens)
        expand(seal, bytes);
    else
        compress(seal, bytes, false);
    if (seal->waiting.size > size)
        memmove(seal->waiting.data, seal->waiting.data + size, seal->waiting.size - size);
    seal->waiting.size -= size;
}

static void end_input(pb_seal *seal)
{
    seal->input_done = true;
    if (!seal->options.opens)
        compress(seal, (pb_slice){NULL, 0}, true);
    if (seal->age)
        pb_child_end_input(seal->age);
    else
        check_whole(seal);
}

static bool age_is_busy(const pb_seal *seal)
{
    return seal->age && pb_child_pending(seal->age) > PENDING_LOW_BYTES;
}

static void on_soon(uv_idle_t *idle)
{
    pb_seal *seal = idle->data;
    bool was_high = seal->waiting.size >= PENDING_LOW_BYTES;
    uv_idle_stop(idle);
    if (seal->error.kind) {
        pb_buffer_clear(&seal->waiting);
        seal->input_done = true;
    } else if (seal->paused || age_is_busy(seal)) {
        return; /* who is waited for wakes */
    } else if (seal->waiting.size) {
        take_input(seal);
    } else if (seal->ended && !seal->input_done) {
        end_input(seal);
    }
    if (seal->input_done && !seal->age && !seal->over) {
        seal->over = true;
        seal->options.done(seal->options.context, &seal->error);
        uv_close((uv_handle_t *)idle, on_closed);
        return;
    }
    if (was_high && seal->waiting.size < PENDING_LOW_BYTES && seal->options.drained)
        seal->options.drained(seal->options.context);
    if (seal->waiting.size || (seal->ended && !seal->input_done) || seal->error.kind)
        wake(seal);
}

static void wake(pb_seal *seal)
{
    if (!uv_is_closing((uv_handle_t *)&seal->soon))
        uv_idle_start(&seal->soon, on_soon);
}

/* ---- calls ---- */

int pb_seal_start(uv_loop_t *loop, const pb_seal_options *options, pb_seal **ret_seal,
                  pb_error *error)
{
    pb_seal *seal = pb_allocate_zeroed(1, sizeof *seal);
    seal->loop = loop;
    seal->options = *options;
    seal->has_age = options->opens ? options->encrypted : options->sealing.recipient_count > 0;
    if (seal->has_age && start_age(seal, error)) {
        free(seal);
        return -1;
    }
    seal->piece = pb_allocate(PIECE_BYTES);
    if (options->opens) {
        seal->expander = ZSTD_createDCtx();
        ZSTD_DCtx_setParameter(seal->expander, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
        seal->expected = 1; /* nothing at all is no frame */
    } else {
        seal->compressor = ZSTD_createCCtx();
        ZSTD_CCtx_setParameter(seal->compressor, ZSTD_c_compressionLevel, LEVEL);
        ZSTD_CCtx_setParameter(seal->compressor, ZSTD_c_checksumFlag, 1);
    }
    if (!seal->expander && !seal->compressor)
        abort(); /* out of memory */
    uv_idle_init(loop, &seal->soon);
    seal->soon.data = seal;
    *ret_seal = seal;
    return 0;
}

void pb_seal_write(pb_seal *seal, const void *data, size_t size)
{
    if (seal->error.kind || seal->ended)
        return;
    pb_buffer_append(&seal->waiting, data, size);
    wake(seal);
}

void pb_seal_end(pb_seal *seal)
{
    seal->ended = true;
    wake(seal);
}

size_t pb_seal_pending(const pb_seal *seal)
{
    return seal->waiting.size + (seal->age ? pb_child_pending(seal->age) : 0);
}

void pb_seal_pause(pb_seal *seal, bool paused)
{
    seal->paused = paused;
    if (seal->age)
        pb_child_pause(seal->age, paused);
    if (!paused)
        wake(seal);
}

void pb_seal_kill(pb_seal *seal, const pb_error *why)
{
    fail(seal, why);
}

int pb_sealing_check(uv_loop_t *loop, const pb_sealing *sealing, pb_error *error)
{
    for (size_t i = 0; i < sealing->recipient_count; i++) {
        const char *const arguments[] = {"age", "--encrypt", "--recipient", sealing->recipients[i],
                                         NULL};
        const pb_child_options options = {.arguments = arguments, .deadline_ms = 30 * 1000};
        pb_error wrong = {0};
        if (!pb_child_run(loop, &options, PB_SLICE_LITERAL("test"), NULL, PIECE_BYTES, NULL, NULL,
                          &wrong))
            continue;
        if (wrong.kind != PB_ERROR_FAILED) {
            *error = wrong;
            return -1;
        }
        pb_error_set(error, PB_ERROR_USAGE, "recipient \"%s\" is not a public key of age: %s",
                     sealing->recipients[i], wrong.message);
        return pb_error_hint(error, "`age-keygen -y key.txt` prints the public key: age1...");
    }
    return 0;
}
