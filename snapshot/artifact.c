#include "snapshot/artifact.h"

#include "base/codec.h"
#include "copier/transfer/upload.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    PIECE_BYTES = 256 * 1024,        /* of a capture, written at once */
    READ_BYTES = 8 * 1024 * 1024,    /* of a stored artifact, got at once */
    PENDING_BYTES_MAX = 1024 * 1024, /* more waits before more is got */
};

/* ---- out ---- */

struct pb_artifact_out {
    pb_session *session;
    pb_dump *dump; /* one of these, until it is over */
    pb_seal *seal;
    pb_slice rest; /* of a capture */
    pb_upload *upload;
    pb_chunk_sort *sort;
    pb_artifact artifact;
    uint64_t dumped_bytes;
    bool made, stored; /* over, each */
    pb_error error;
};

static void note_error(pb_artifact_out *out, const pb_error *error)
{
    if (error->kind && !out->error.kind)
        out->error = *error;
}

static void hold(pb_artifact_out *out, bool paused)
{
    if (out->dump)
        pb_dump_pause(out->dump, paused);
    if (out->seal)
        pb_seal_pause(out->seal, paused);
}

static void hold_while_full(pb_artifact_out *out)
{
    hold(out, (out->upload && pb_upload_is_full(out->upload)) ||
                  (out->sort && pb_chunk_sort_is_full(out->sort)));
}

static void take(pb_artifact_out *out, const void *data, size_t size)
{
    if (!out->upload)
        return; /* it failed: whoever makes the bytes is being ended */
    pb_upload_write(out->upload, data, size);
    if (pb_upload_is_full(out->upload))
        hold_while_full(out);
}

/* All bytes are made, or no more will be. */
static void made(pb_artifact_out *out, const pb_error *error)
{
    out->made = true;
    note_error(out, error);
    if (!out->upload)
        return;
    if (error->kind)
        pb_upload_abort(out->upload, error);
    else
        pb_upload_end(out->upload);
}

static void on_drained(void *context)
{
    hold_while_full(context);
}

static void on_stored(void *context, const pb_upload *upload, const pb_error *error)
{
    pb_artifact_out *out = context;
    out->stored = true;
    out->upload = NULL;
    out->artifact.stored_bytes = pb_upload_bytes(upload);
    pb_upload_sha256(upload, out->artifact.stored_sha256);
    note_error(out, error);
    if (error->kind && !out->made) {
        if (out->dump)
            pb_dump_kill(out->dump, error);
        if (out->seal)
            pb_seal_kill(out->seal, error);
    }
}

static pb_artifact_out *begin(pb_repository *repository, const char *id, const char *path,
                              const pb_sealing *sealing)
{
    pb_artifact_out *out = pb_allocate_zeroed(1, sizeof *out);
    out->session = repository->session;
    pb_buffer name = {0}, key = {0};
    pb_buffer_append_format(&name, "%s.zst%s", path, sealing->recipient_count ? ".age" : "");
    pb_layout_snapshot_file(&key, pb_slice_of(id), name.data);
    out->artifact.path = name.data;
    const pb_upload_options options = {
        .loop = &repository->session->loop,
        .store = repository->store,
        .key = pb_buffer_slice(&key),
        .drained = on_drained,
        .done = on_stored,
        .context = out,
    };
    out->upload = pb_upload_start(&options);
    pb_buffer_free(&key);
    return out;
}

/* It could not be begun: the upload, which has nothing yet, ends too. */
static int give_up(pb_artifact_out *out, const pb_error *error)
{
    pb_artifact none;
    pb_error same = *error;
    out->made = true;
    pb_upload_abort(out->upload, &same);
    pb_artifact_end(out, &none, &same);
    return -1;
}

static void on_dump_write(void *context, const void *data, size_t size)
{
    take(context, data, size);
}

static void on_chunk(void *context, pb_slice key)
{
    pb_artifact_out *out = context;
    pb_chunk_sort_add(out->sort, key);
    if (pb_chunk_sort_is_full(out->sort))
        hold_while_full(out);
}

static void on_dump_done(void *context, const pb_artifact *artifact, const pb_error *error)
{
    pb_artifact_out *out = context;
    out->dumped_bytes = artifact ? artifact->bytes : 0;
    out->dump = NULL;
    if (!error->kind) {
        out->artifact.bytes = artifact->bytes;
        memcpy(out->artifact.sha256, artifact->sha256, sizeof out->artifact.sha256);
    }
    made(out, error);
}

int pb_artifact_dump(pb_repository *repository, const char *id, const char *path,
                     pb_artifact_kind kind, const pb_database_server *server, const char *database,
                     const pb_sealing *sealing, pb_chunk_sort *sort, pb_artifact_out **ret_out,
                     pb_error *error)
{
    pb_artifact_out *out = begin(repository, id, path, sealing);
    out->sort = sort;
    if (sort)
        pb_chunk_sort_tell(sort, on_drained, out);
    out->artifact.kind = kind;
    out->artifact.database = pb_duplicate(pb_slice_of(database));
    out->artifact.encrypted = sealing->recipient_count > 0;
    const pb_dump_options options = {
        .kind = kind,
        .server = *server,
        .database = database,
        .sealing = *sealing,
        .write = on_dump_write,
        .chunk = sort ? on_chunk : NULL,
        .done = on_dump_done,
        .context = out,
    };
    if (pb_dump_start(&repository->session->loop, &options, &out->dump, error))
        return give_up(out, error);
    *ret_out = out;
    return 0;
}

static void feed_capture(pb_artifact_out *out)
{
    while (out->seal && out->rest.data && pb_seal_pending(out->seal) < PENDING_BYTES_MAX) {
        size_t size = out->rest.size < PIECE_BYTES ? out->rest.size : PIECE_BYTES;
        pb_seal_write(out->seal, out->rest.data, size);
        out->rest.data += size;
        out->rest.size -= size;
        if (!out->rest.size) {
            out->rest.data = NULL;
            pb_seal_end(out->seal);
        }
    }
}

static void on_seal_drained(void *context)
{
    feed_capture(context);
}

static int on_seal_write(void *context, const void *data, size_t size, pb_error *error)
{
    (void)error;
    take(context, data, size);
    return 0;
}

static void on_seal_done(void *context, const pb_error *error)
{
    pb_artifact_out *out = context;
    out->seal = NULL;
    made(out, error);
}

int pb_artifact_capture(pb_repository *repository, const char *id, const char *path,
                        pb_artifact_kind kind, pb_slice bytes, const pb_sealing *sealing,
                        pb_artifact_out **ret_out, pb_error *error)
{
    pb_artifact_out *out = begin(repository, id, path, sealing);
    out->artifact.kind = kind;
    out->artifact.database = pb_duplicate(PB_SLICE_LITERAL(""));
    out->artifact.encrypted = sealing->recipient_count > 0;
    out->artifact.bytes = bytes.size;
    pb_sha256(bytes.data, bytes.size, out->artifact.sha256);
    out->rest = bytes.size ? bytes : PB_SLICE_LITERAL("");
    const pb_seal_options options = {
        .sealing = *sealing,
        .write = on_seal_write,
        .drained = on_seal_drained,
        .done = on_seal_done,
        .context = out,
    };
    if (pb_seal_start(&repository->session->loop, &options, &out->seal, error))
        return give_up(out, error);
    feed_capture(out);
    *ret_out = out;
    return 0;
}

bool pb_artifact_is_over(const pb_artifact_out *out)
{
    return out->made && out->stored;
}

bool pb_artifact_has_failed(const pb_artifact_out *out)
{
    return out->error.kind != PB_ERROR_NONE;
}

uint64_t pb_artifact_bytes(const pb_artifact_out *out)
{
    return out->dump ? pb_dump_bytes(out->dump) : out->dumped_bytes;
}

void pb_artifact_kill(pb_artifact_out *out, const pb_error *why)
{
    note_error(out, why);
    if (out->dump)
        pb_dump_kill(out->dump, why);
    if (out->seal)
        pb_seal_kill(out->seal, why);
    if (out->upload && out->made)
        pb_upload_abort(out->upload, why);
}

int pb_artifact_end(pb_artifact_out *out, pb_artifact *ret_artifact, pb_error *error)
{
    while (!pb_artifact_is_over(out))
        uv_run(&out->session->loop, UV_RUN_ONCE);
    if (out->sort)
        pb_chunk_sort_tell(out->sort, NULL, NULL);
    int failed = out->error.kind ? -1 : 0;
    if (failed) {
        *error = out->error;
        pb_error_context(error, "%s", out->artifact.path);
        free(out->artifact.path);
        free(out->artifact.database);
    } else {
        *ret_artifact = out->artifact;
    }
    free(out);
    return failed;
}

/* ---- back ---- */

/* What takes stored bytes: a dump's way back, or a capture's. */
typedef struct artifact_in {
    pb_undump *undump;
    pb_seal *seal;
    pb_chunk_sort *sort;
    pb_buffer *bytes;
    size_t bytes_max;
    int (*confirm)(void *context, pb_error *error);
    void *context; /* of confirm */
    bool over;
    pb_error error;
} artifact_in;

static size_t pending(const artifact_in *in)
{
    return in->undump ? pb_undump_pending(in->undump) : in->seal ? pb_seal_pending(in->seal) : 0;
}

static void write_in(artifact_in *in, pb_slice bytes)
{
    if (in->undump)
        pb_undump_write(in->undump, bytes.data, bytes.size);
    else if (in->seal)
        pb_seal_write(in->seal, bytes.data, bytes.size);
}

static void end_in(artifact_in *in)
{
    if (in->undump)
        pb_undump_end(in->undump);
    else if (in->seal)
        pb_seal_end(in->seal);
}

static void kill_in(artifact_in *in, const pb_error *why)
{
    if (in->undump)
        pb_undump_kill(in->undump, why);
    else if (in->seal)
        pb_seal_kill(in->seal, why);
}

typedef struct piece {
    pb_store_request request; /* first, so that callbacks find the rest */
    pb_buffer bytes;
    uint64_t most;
} piece;

static void on_piece_restarted(pb_store_request *request)
{
    pb_buffer_clear(&((piece *)request)->bytes);
}

static int on_piece_received(pb_store_request *request, const void *data, size_t size,
                             pb_error *error)
{
    piece *part = (piece *)request;
    if (size > part->most - part->bytes.size)
        return pb_error_set(error, PB_ERROR_DAMAGED, "more bytes came than were asked for");
    pb_buffer_append(&part->bytes, data, size);
    return 0;
}

static int get_piece(pb_repository *repository, pb_slice key, uint64_t offset, uint64_t length,
                     piece *part, pb_error *error)
{
    pb_buffer_clear(&part->bytes);
    part->most = length;
    part->request = (pb_store_request){
        .operation = PB_STORE_GET,
        .key = key,
        .offset = offset,
        .length = length,
        .restarted = on_piece_restarted,
        .received = on_piece_received,
    };
    if (pb_store_call(repository->store, &part->request, error))
        return -1;
    if (part->bytes.size != length)
        return pb_error_set(error, PB_ERROR_DAMAGED, "it is shorter than the snapshot says");
    return 0;
}

/* Hands a piece on, and waits until there is room for the next. */
static void hand_on(pb_session *session, artifact_in *in, pb_slice bytes)
{
    write_in(in, bytes);
    while (!in->over && !session->cancelled &&
           (pending(in) > PENDING_BYTES_MAX || (in->sort && pb_chunk_sort_is_full(in->sort))))
        uv_run(&session->loop, UV_RUN_ONCE);
}

/* Gets the stored bytes piece by piece and holds them against their digest. Where `in` is not NULL
 * it gets each, but the last only when the digest is good; where that is over, the rest is not got.
 */
static int get_pieces(pb_repository *repository, pb_slice key, const pb_artifact *artifact,
                      artifact_in *in, pb_error *error)
{
    pb_session *session = repository->session;
    piece part = {0};
    pb_hash *hash = pb_hash_new(PB_HASH_SHA256);
    uint8_t digest[PB_SHA256_BYTES];
    int failed = 0;
    for (uint64_t offset = 0; offset < artifact->stored_bytes && !(in && in->over);) {
        uint64_t left = artifact->stored_bytes - offset;
        uint64_t length = left < READ_BYTES ? left : READ_BYTES;
        failed = session->cancelled ? pb_error_set(error, PB_ERROR_CANCELLED, "cancelled")
                                    : get_piece(repository, key, offset, length, &part, error);
        if (failed)
            break;
        offset += length;
        pb_hash_update(hash, part.bytes.data, part.bytes.size);
        if (offset == artifact->stored_bytes) {
            pb_hash_finish(hash, digest);
            if (memcmp(digest, artifact->stored_sha256, sizeof digest) != 0) {
                failed = pb_error_set(error, PB_ERROR_DAMAGED,
                                      "its bytes are not those that snapshot.json names");
                break;
            }
        }
        if (in && in->confirm && offset == artifact->stored_bytes)
            failed = in->confirm(in->context, error);
        if (failed)
            break;
        if (in)
            hand_on(session, in, pb_buffer_slice(&part.bytes));
    }
    pb_hash_free(hash);
    pb_buffer_free(&part.bytes);
    return failed;
}

static int stream_in(pb_repository *repository, const char *id, const pb_artifact *artifact,
                     artifact_in *in, pb_error *error)
{
    pb_session *session = repository->session;
    pb_buffer key = {0};
    pb_layout_snapshot_file(&key, pb_slice_of(id), artifact->path);
    int failed = get_pieces(repository, pb_buffer_slice(&key), artifact, in, error);
    if (failed && error->kind == PB_ERROR_NOT_FOUND)
        error->kind = PB_ERROR_DAMAGED; /* what the snapshot names is not there */
    if (failed)
        kill_in(in, error);
    else
        end_in(in);
    while (!in->over) {
        if (session->cancelled && !failed) {
            failed = pb_error_set(error, PB_ERROR_CANCELLED, "cancelled");
            kill_in(in, error);
        }
        uv_run(&session->loop, UV_RUN_ONCE);
    }
    if (!failed && in->error.kind) {
        *error = in->error;
        failed = -1;
    }
    if (failed)
        pb_error_context(error, "%s", artifact->path);
    pb_buffer_free(&key);
    return failed;
}

int pb_artifact_verify(pb_repository *repository, const char *id, const pb_artifact *artifact,
                       bool read, const char **ret_finding, pb_error *error)
{
    pb_buffer key = {0};
    pb_layout_snapshot_file(&key, pb_slice_of(id), artifact->path);
    pb_store_request look = {.operation = PB_STORE_HEAD, .key = pb_buffer_slice(&key)};
    int failed = pb_store_call(repository->store, &look, error);
    if (!failed && look.size != artifact->stored_bytes) {
        failed =
            pb_error_set(error, PB_ERROR_DAMAGED, "%llu bytes, where the snapshot says %llu",
                         (unsigned long long)look.size, (unsigned long long)artifact->stored_bytes);
        snprintf(error->code, sizeof error->code, "truncated");
    }
    if (!failed && read)
        failed = get_pieces(repository, pb_buffer_slice(&key), artifact, NULL, error);
    pb_buffer_free(&key);
    if (!failed)
        return 1;
    *ret_finding = pb_failure_finding_name(error);
    return error->kind == PB_ERROR_CANCELLED ? -1 : 0;
}

static void on_in_chunk(void *context, pb_slice key)
{
    artifact_in *in = context;
    pb_chunk_sort_add(in->sort, key);
}

static void on_in_done(void *context, const pb_error *error)
{
    artifact_in *in = context;
    in->undump = NULL;
    in->seal = NULL;
    in->over = true;
    in->error = *error;
}

int pb_artifact_undump(pb_repository *repository, const char *id, const pb_artifact *artifact,
                       const pb_undump_options *options, pb_chunk_sort *sort,
                       int (*confirm)(void *context, pb_error *error), void *context,
                       pb_error *error)
{
    artifact_in in = {.sort = sort, .confirm = confirm, .context = context};
    pb_undump_options wanted = *options;
    wanted.artifact = artifact;
    wanted.drained = NULL;
    wanted.chunk = sort ? on_in_chunk : NULL;
    wanted.done = on_in_done;
    wanted.context = &in;
    if (pb_undump_start(&repository->session->loop, &wanted, &in.undump, error))
        return pb_error_context(error, "%s", artifact->path);
    return stream_in(repository, id, artifact, &in, error);
}

static int on_opened(void *context, const void *data, size_t size, pb_error *error)
{
    artifact_in *in = context;
    if (size > in->bytes_max - in->bytes->size)
        return pb_error_set(error, PB_ERROR_DAMAGED, "it holds more than %zu bytes", in->bytes_max);
    pb_buffer_append(in->bytes, data, size);
    return 0;
}

int pb_artifact_read(pb_repository *repository, const char *id, const pb_artifact *artifact,
                     const char *identity, size_t max_bytes, pb_buffer *ret_bytes, pb_error *error)
{
    pb_buffer bytes = {0};
    artifact_in in = {.bytes = &bytes, .bytes_max = max_bytes};
    const pb_seal_options options = {
        .opens = true,
        .encrypted = artifact->encrypted,
        .identity = identity,
        .write = on_opened,
        .done = on_in_done,
        .context = &in,
    };
    if (pb_seal_start(&repository->session->loop, &options, &in.seal, error))
        return pb_error_context(error, "%s", artifact->path);
    int failed = stream_in(repository, id, artifact, &in, error);
    uint8_t digest[PB_SHA256_BYTES];
    pb_sha256(bytes.data, bytes.size, digest);
    if (!failed &&
        (bytes.size != artifact->bytes || memcmp(digest, artifact->sha256, sizeof digest) != 0))
        failed =
            pb_error_set(error, PB_ERROR_DAMAGED,
                         "%s: its contents are not those that snapshot.json names", artifact->path);
    if (!failed)
        pb_buffer_append_slice(ret_bytes, pb_buffer_slice(&bytes));
    pb_buffer_free(&bytes);
    return failed;
}
