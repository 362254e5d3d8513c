/* A dump on its way back: opened, held against its digest, and restored in one transaction. */
#include "cluster/child.h"
#include "cluster/database_script.h"
#include "cluster/database_server.h"
#include "cluster/role_filter.h"
#include <stdlib.h>

enum {
    FULL_BYTES = 4 * 1024 * 1024,
    LOW_BYTES = 256 * 1024,
    HELD_BYTES = 64 * 1024, /* of the end: given only when the digest is known to be good */
};

struct pb_undump {
    pb_undump_options options;
    uint64_t artifact_bytes;
    uint8_t artifact_sha256[PB_SHA256_BYTES];
    pb_artifact_kind kind;
    pb_seal *seal;     /* these: NULL once they are over */
    pb_child *target;  /* pg_restore or psql, into the server; NULL with check_only */
    pb_child *checker; /* pg_restore, which only reads; for DUMP where chunks are wanted */
    pb_database_script *script;
    pb_role_filter *roles; /* for DUMP_ALL */
    pb_hash *hash;
    uint64_t bytes;
    pb_buffer held;
    bool opened; /* all was opened, and is what it should be */
    pb_error error;
};

static void fail(pb_undump *undump, const pb_error *why)
{
    if (!undump->error.kind)
        undump->error = *why;
    if (undump->target)
        pb_child_kill(undump->target, why);
    if (undump->checker)
        pb_child_kill(undump->checker, why);
    if (undump->seal)
        pb_seal_kill(undump->seal, why);
}

static void end_if_over(pb_undump *undump)
{
    if (undump->seal || undump->target || undump->checker)
        return;
    if (!undump->error.kind && undump->script)
        pb_database_script_end(undump->script, &undump->error);
    undump->options.done(undump->options.context, &undump->error);
    pb_database_script_free(undump->script);
    pb_role_filter_free(undump->roles);
    pb_hash_free(undump->hash);
    pb_buffer_free(&undump->held);
    free(undump);
}

/* ---- flow ---- */

static void update_flow(pb_undump *undump)
{
    if (!undump->seal)
        return;
    bool full = (undump->target && pb_child_pending(undump->target) > FULL_BYTES) ||
                (undump->checker && pb_child_pending(undump->checker) > FULL_BYTES);
    pb_seal_pause(undump->seal, full);
}

static void on_child_drained(void *context)
{
    update_flow(context);
}

static void on_seal_drained(void *context)
{
    pb_undump *undump = context;
    if (undump->options.drained)
        undump->options.drained(undump->options.context);
}

/* ---- plain bytes ---- */

static void on_filtered(void *context, const void *data, size_t size)
{
    pb_undump *undump = context;
    if (undump->target)
        pb_child_write(undump->target, data, size);
}

static int pass_on(pb_undump *undump, const void *data, size_t size, pb_error *error)
{
    if (undump->roles)
        pb_role_filter_feed(undump->roles, data, size);
    else if (undump->target)
        pb_child_write(undump->target, data, size);
    if (undump->checker)
        pb_child_write(undump->checker, data, size);
    else if (undump->script && undump->kind == PB_ARTIFACT_DUMP_ALL)
        return pb_database_script_feed(undump->script, data, size, error);
    return 0;
}

static int refuse_digest(pb_error *error)
{
    return pb_error_set(error, PB_ERROR_DAMAGED,
                        "the dump is not the one that snapshot.json names: nothing was restored");
}

static int on_opened(void *context, const void *data, size_t size, pb_error *error)
{
    pb_undump *undump = context;
    /* The end that is held back is the end only as long as no more comes than there should. */
    if (size > undump->artifact_bytes - undump->bytes)
        return refuse_digest(error);
    pb_hash_update(undump->hash, data, size);
    undump->bytes += size;
    pb_buffer_append(&undump->held, data, size);
    if (undump->held.size <= HELD_BYTES)
        return 0;
    size_t free_bytes = undump->held.size - HELD_BYTES;
    int failed = pass_on(undump, undump->held.data, free_bytes, error);
    memmove(undump->held.data, undump->held.data + free_bytes, HELD_BYTES);
    undump->held.size = HELD_BYTES;
    update_flow(undump);
    return failed;
}

static int check_digest(pb_undump *undump, pb_error *error)
{
    uint8_t digest[PB_SHA256_BYTES];
    pb_hash_finish(undump->hash, digest);
    if (undump->bytes == undump->artifact_bytes &&
        memcmp(digest, undump->artifact_sha256, sizeof digest) == 0)
        return 0;
    return refuse_digest(error);
}

static void on_seal_done(void *context, const pb_error *error)
{
    pb_undump *undump = context;
    pb_error wrong = *error;
    undump->seal = NULL;
    if (!wrong.kind && !undump->error.kind && !check_digest(undump, &wrong))
        pass_on(undump, undump->held.data, undump->held.size, &wrong);
    if (wrong.kind) {
        fail(undump, &wrong);
    } else if (!undump->error.kind) {
        undump->opened = true;
        if (undump->roles)
            pb_role_filter_end(undump->roles);
        if (undump->target)
            pb_child_end_input(undump->target);
        if (undump->checker)
            pb_child_end_input(undump->checker);
    }
    end_if_over(undump);
}

/* ---- children ---- */

static void on_target_done(void *context, pb_child *child, const pb_error *error)
{
    pb_undump *undump = context;
    undump->target = NULL;
    if (error->kind) {
        pb_error judged = *error;
        pb_database_judge(pb_child_stderr(child), &judged);
        fail(undump, &judged);
    } else if (!undump->opened) {
        pb_error early;
        pb_error_set(&early, PB_ERROR_FAILED, "the restore ended before the dump did");
        fail(undump, &early);
    }
    end_if_over(undump);
}

static int start_target(uv_loop_t *loop, pb_undump *undump, pb_error *error)
{
    bool all = undump->kind == PB_ARTIFACT_DUMP_ALL;
    const char *arguments[PB_DATABASE_ARGUMENTS_MAX + 12];
    size_t count = 0;
    pb_database_call call;
    pb_database_arguments(&undump->options.server, &call);
    if (all) { /* CREATE DATABASE and \connect cannot be in one transaction */
        arguments[count++] = "psql";
        arguments[count++] = "--no-psqlrc";
        arguments[count++] = "--quiet";
        arguments[count++] = "--set=ON_ERROR_STOP=1";
        arguments[count++] = "--file=-";
    } else {
        arguments[count++] = "pg_restore";
        arguments[count++] = "--single-transaction";
        arguments[count++] = "--exit-on-error";
        if (undump->options.clean) {
            arguments[count++] = "--clean";
            arguments[count++] = "--if-exists";
        }
    }
    arguments[count++] = "--dbname";
    arguments[count++] = all ? "postgres" : undump->options.database;
    for (size_t i = 0; i < call.argument_count; i++)
        arguments[count++] = call.arguments[i];
    arguments[count] = NULL;
    const pb_child_options options = {
        .arguments = arguments,
        .environment = call.environment,
        .has_input = true,
        .drained = on_child_drained,
        .done = on_target_done,
        .context = undump,
    };
    int failed = pb_child_start(loop, &options, &undump->target, error);
    pb_database_call_free(&call);
    return failed;
}

static int on_script(void *context, const void *data, size_t size, pb_error *error)
{
    pb_undump *undump = context;
    if (!pb_database_script_feed(undump->script, data, size, error))
        return 0;
    fail(undump, error); /* at once: that pg_restore then dies says nothing about the archive */
    return -1;
}

static void on_checker_done(void *context, pb_child *child, const pb_error *error)
{
    pb_undump *undump = context;
    (void)child;
    undump->checker = NULL;
    if (error->kind) {
        pb_error why = *error;
        if (why.kind == PB_ERROR_FAILED)
            why.kind = PB_ERROR_DAMAGED;
        fail(undump, &why);
    }
    end_if_over(undump);
}

static int start_checker(uv_loop_t *loop, pb_undump *undump, pb_error *error)
{
    static const char *const arguments[] = {"pg_restore", "--file=-", NULL};
    const pb_child_options options = {
        .arguments = arguments,
        .has_input = true,
        .received = on_script,
        .drained = on_child_drained,
        .done = on_checker_done,
        .context = undump,
    };
    return pb_child_start(loop, &options, &undump->checker, error);
}

static int start_seal(uv_loop_t *loop, pb_undump *undump, bool encrypted, pb_error *error)
{
    const pb_seal_options options = {
        .opens = true,
        .encrypted = encrypted,
        .identity = undump->options.identity,
        .write = on_opened,
        .drained = on_seal_drained,
        .done = on_seal_done,
        .context = undump,
    };
    return pb_seal_start(loop, &options, &undump->seal, error);
}

static void ignore_end(void *context, const pb_error *error)
{
    (void)context;
    (void)error;
}

int pb_undump_start(uv_loop_t *loop, const pb_undump_options *options, pb_undump **ret_undump,
                    pb_error *error)
{
    const pb_artifact *artifact = options->artifact;
    pb_undump *undump = pb_allocate_zeroed(1, sizeof *undump);
    bool all = artifact->kind == PB_ARTIFACT_DUMP_ALL;
    undump->options = *options;
    undump->options.artifact = NULL;
    undump->kind = artifact->kind;
    undump->artifact_bytes = artifact->bytes;
    memcpy(undump->artifact_sha256, artifact->sha256, sizeof undump->artifact_sha256);
    undump->hash = pb_hash_new(PB_HASH_SHA256);
    if (options->check_only || options->chunk) {
        const pb_database_script_options script = {
            .database = !all                ? NULL
                        : options->database ? options->database
                                            : "",
            .chunk = options->chunk,
            .context = options->context,
        };
        undump->script = pb_database_script_new(&script);
    }
    if (all && !options->check_only)
        undump->roles = pb_role_filter_new(on_filtered, undump);
    if ((!options->check_only && start_target(loop, undump, error)) ||
        (undump->script && !all && start_checker(loop, undump, error)) ||
        start_seal(loop, undump, artifact->encrypted, error)) {
        undump->options.done = ignore_end;
        fail(undump, error);
        end_if_over(undump);
        return -1;
    }
    *ret_undump = undump;
    return 0;
}

void pb_undump_write(pb_undump *undump, const void *data, size_t size)
{
    if (undump->seal)
        pb_seal_write(undump->seal, data, size);
}

void pb_undump_end(pb_undump *undump)
{
    if (undump->seal)
        pb_seal_end(undump->seal);
}

size_t pb_undump_pending(const pb_undump *undump)
{
    return undump->seal ? pb_seal_pending(undump->seal) : 0;
}

void pb_undump_kill(pb_undump *undump, const pb_error *why)
{
    fail(undump, why);
}
