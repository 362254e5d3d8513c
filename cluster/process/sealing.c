#include "cluster/process/sealing.h"

#include "cluster/process/child.h"
#include <stdlib.h>
#include <zstd.h>

enum {
    LEVEL = 3,
    WINDOW_LOG_MAX = 27, /* of what is read: 128 MiB, as the zstd program has it */
    PIECE_BYTES = 128 * 1024,
    PENDING_LOW_BYTES = 256 * 1024,
    DECRYPTED_BYTES_MAX = 1024 * 1024, /* more is left with age */
};

/* Bytes in order: in at the end, out at the front. */
typedef struct byte_queue {
    pb_buffer bytes;
    size_t begin;
} byte_queue;

struct pb_seal {
    uv_loop_t *loop;
    pb_seal_options options;
    ZSTD_CCtx *compressor; /* one of these */
    ZSTD_DCtx *expander;
    size_t expected; /* of the expander: 0 between frames */
    bool holds_more; /* the expander, of the input that it has taken */
    pb_child *age;   /* NULL where there is none, or it is over */
    bool has_age;
    /* Bytes wait here for the loop, so that nothing comes inside a call, and in pieces of bounded
     * size: a few compressed bytes may expand to gigabytes. */
    byte_queue written;
    byte_queue decrypted; /* by age, and not expanded yet */
    bool ended, input_done, over, paused;
    uv_idle_t soon;
    char *piece;
    pb_error error;
};

static void wake(pb_seal *seal);

/* ---- queues ---- */

static size_t queue_size(const byte_queue *queue)
{
    return queue->bytes.size - queue->begin;
}

static void queue_add(byte_queue *queue, const void *data, size_t size)
{
    pb_buffer *bytes = &queue->bytes;
    /* As much is moved as was taken before, at most. */
    if (queue->begin >= bytes->size - queue->begin) {
        bytes->size -= queue->begin;
        if (bytes->size)
            memmove(bytes->data, bytes->data + queue->begin, bytes->size);
        queue->begin = 0;
    }
    pb_buffer_append(bytes, data, size);
}

/* The front, a piece at most. */
static pb_slice queue_front(const byte_queue *queue)
{
    size_t size = queue_size(queue);
    if (!size)
        return (pb_slice){NULL, 0};
    return (pb_slice){queue->bytes.data + queue->begin, size < PIECE_BYTES ? size : PIECE_BYTES};
}

static void queue_clear(byte_queue *queue)
{
    pb_buffer_clear(&queue->bytes);
    queue->begin = 0;
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    pb_seal *seal = handle->data;
    ZSTD_freeCCtx(seal->compressor);
    ZSTD_freeDCtx(seal->expander);
    pb_buffer_free(&seal->written.bytes);
    pb_buffer_free(&seal->decrypted.bytes);
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
        if (seal->age)
            pb_child_write(seal->age, out.dst, out.pos);
        else if (!seal->has_age)
            give(seal, out.dst, out.pos);
    } while (!seal->error.kind && (ends ? left != 0 : in.pos < in.size));
}

/* One piece of output, of what is in the queue. */
static void expand(pb_seal *seal, byte_queue *from)
{
    pb_slice front = queue_front(from);
    ZSTD_inBuffer in = {front.data, front.size, 0};
    ZSTD_outBuffer out = {seal->piece, PIECE_BYTES, 0};
    seal->expected = ZSTD_decompressStream(seal->expander, &out, &in);
    if (zstd_failed(seal, seal->expected))
        return;
    from->begin += in.pos;
    /* Asked again behind the end of a frame, it would expect another one. */
    seal->holds_more = seal->expected && out.pos == out.size;
    give(seal, out.dst, out.pos);
}

static void check_whole(pb_seal *seal)
{
    if (seal->expected)
        pb_error_set(&seal->error, PB_ERROR_DAMAGED,
                     "it ends in the middle of its compressed data");
}

/* ---- age ---- */

static void update_age(pb_seal *seal)
{
    if (seal->age)
        pb_child_pause(seal->age,
                       seal->paused || queue_size(&seal->decrypted) >= DECRYPTED_BYTES_MAX);
}

static int on_age_output(void *context, const void *data, size_t size, pb_error *error)
{
    pb_seal *seal = context;
    if (seal->options.opens) {
        queue_add(&seal->decrypted, data, size);
        update_age(seal);
        wake(seal);
    } else {
        give(seal, data, size);
    }
    if (!seal->error.kind)
        return 0;
    *error = seal->error;
    return -1;
}

static void on_age_drained(void *context)
{
    wake(context);
}

static bool says(pb_slice text, const char *phrase)
{
    return text.size && memmem(text.data, text.size, phrase, strlen(phrase));
}

/* What age calls its error; where to report bugs of age comes behind it. */
static pb_slice age_error(pb_slice said)
{
    static const char mark[] = "age: error: ";
    const char *at = said.size ? memmem(said.data, said.size, mark, sizeof mark - 1) : NULL;
    if (!at)
        return (pb_slice){NULL, 0};
    at += sizeof mark - 1;
    size_t left = (size_t)(said.data + said.size - at);
    const char *end = memchr(at, '\n', left);
    return (pb_slice){at, end ? (size_t)(end - at) : left};
}

static void judge_age(bool opens, pb_slice said, pb_error *error)
{
    pb_slice line = age_error(said);
    if (error->kind != PB_ERROR_FAILED)
        return;
    if (line.size)
        pb_error_set(error, PB_ERROR_FAILED, "age: %.*s", PB_SLICE_FORMAT(line));
    if (!opens)
        return;
    if (says(line, "no identity matched")) {
        pb_error_set(error, PB_ERROR_REFUSED,
                     "the identity is not one of those that it is encrypted to");
        pb_error_hint(error, "give the key that belongs to the --recipient of the backup");
    } else if (pb_slice_starts_with(line, PB_SLICE_LITERAL("reading \""))) {
        error->kind = PB_ERROR_USAGE;
        pb_error_hint(error, "an identity is a file that age-keygen or ssh-keygen made");
    } else if (says(line, "passphrase")) {
        error->kind = PB_ERROR_USAGE;
        pb_error_hint(error, "nobody can be asked for a passphrase here: give a key without one");
    } else if (line.size) {
        error->kind = PB_ERROR_DAMAGED;
    }
}

static void on_age_done(void *context, pb_child *child, const pb_error *error)
{
    pb_seal *seal = context;
    seal->age = NULL;
    if (error->kind && !seal->error.kind) {
        seal->error = *error;
        judge_age(seal->options.opens, pb_child_stderr(child), &seal->error);
    } else if (!seal->error.kind && !seal->input_done) {
        pb_error_set(&seal->error, PB_ERROR_FAILED, "age ended before its input did");
    }
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

/* A piece of what was written goes on its way. */
static void take_written(pb_seal *seal)
{
    pb_slice front = queue_front(&seal->written);
    if (seal->options.opens && !seal->has_age) {
        expand(seal, &seal->written);
        return;
    }
    if (!seal->options.opens)
        compress(seal, front, false);
    else if (seal->age)
        pb_child_write(seal->age, front.data, front.size);
    seal->written.begin += front.size;
}

static void end_input(pb_seal *seal)
{
    seal->input_done = true;
    if (!seal->options.opens)
        compress(seal, (pb_slice){NULL, 0}, true);
    if (seal->age)
        pb_child_end_input(seal->age);
}

static bool has_written(const pb_seal *seal)
{
    return queue_size(&seal->written) || (!seal->has_age && seal->holds_more);
}

static bool has_decrypted(const pb_seal *seal)
{
    return seal->has_age && (queue_size(&seal->decrypted) || seal->holds_more);
}

static bool may_take_written(const pb_seal *seal)
{
    return (has_written(seal) || (seal->ended && !seal->input_done)) &&
           !(seal->age && pb_child_pending(seal->age) > PENDING_LOW_BYTES);
}

/* A piece a turn: other handles of the loop want their share. */
static void take_step(pb_seal *seal)
{
    bool was_high = queue_size(&seal->written) >= PENDING_LOW_BYTES;
    if (has_decrypted(seal)) {
        expand(seal, &seal->decrypted);
        update_age(seal);
    }
    if (!seal->error.kind && may_take_written(seal)) {
        if (has_written(seal))
            take_written(seal);
        else
            end_input(seal);
    }
    if (was_high && queue_size(&seal->written) < PENDING_LOW_BYTES && seal->options.drained &&
        !seal->error.kind)
        seal->options.drained(seal->options.context);
}

static void end(pb_seal *seal)
{
    seal->over = true;
    if (!seal->error.kind && seal->options.opens)
        check_whole(seal);
    seal->options.done(seal->options.context, &seal->error);
    uv_close((uv_handle_t *)&seal->soon, on_closed);
}

static void on_soon(uv_idle_t *idle)
{
    pb_seal *seal = idle->data;
    uv_idle_stop(idle);
    if (!seal->error.kind && seal->paused)
        return; /* who is waited for wakes */
    if (!seal->error.kind)
        take_step(seal);
    if (seal->error.kind) {
        queue_clear(&seal->written);
        queue_clear(&seal->decrypted);
        seal->holds_more = false;
        seal->input_done = true;
    }
    if (seal->input_done && !seal->age && !has_decrypted(seal))
        end(seal);
    else if (has_decrypted(seal) || may_take_written(seal))
        wake(seal);
}

static void wake(pb_seal *seal)
{
    if (!seal->over)
        uv_idle_start(&seal->soon, on_soon);
}

/* ---- calls ---- */

int pb_seal_start(uv_loop_t *loop, const pb_seal_options *options, pb_seal **ret_seal,
                  pb_error *error)
{
    if (options->opens && options->encrypted && !options->identity) {
        pb_error_set(error, PB_ERROR_USAGE, "it is encrypted, and no identity is given");
        return pb_error_hint(error, "--identity names the file with the key");
    }
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
    queue_add(&seal->written, data, size);
    wake(seal);
}

void pb_seal_end(pb_seal *seal)
{
    seal->ended = true;
    wake(seal);
}

size_t pb_seal_pending(const pb_seal *seal)
{
    return queue_size(&seal->written) + (seal->age ? pb_child_pending(seal->age) : 0);
}

void pb_seal_pause(pb_seal *seal, bool paused)
{
    seal->paused = paused;
    update_age(seal);
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
        pb_buffer said = {0};
        int refused = pb_child_run(loop, &options, PB_SLICE_LITERAL("test"), NULL, PIECE_BYTES,
                                   NULL, &said, &wrong);
        if (refused)
            judge_age(false, pb_buffer_slice(&said), &wrong);
        pb_buffer_free(&said);
        if (!refused)
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
