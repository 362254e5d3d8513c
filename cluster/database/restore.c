/* A dump on its way back: opened, held against its digest, and restored in one transaction. */
#include "base/codec.h"
#include "base/random.h"
#include "cluster/database/role_filter.h"
#include "cluster/database/script.h"
#include "cluster/database/script_gate.h"
#include "cluster/database/server.h"
#include "cluster/process/child.h"
#include <stdlib.h>

enum {
    FULL_BYTES = 4 * 1024 * 1024,
    /* Of the end of an archive's script, where its COMMIT is: a hundred bytes behind it is all. */
    HELD_BYTES = 16 * 1024,
};

struct pb_undump {
    pb_undump_options options;
    uint64_t artifact_bytes;
    uint8_t artifact_sha256[PB_SHA256_BYTES];
    pb_artifact_kind kind;
    pb_seal *seal;    /* these: NULL once they are over */
    pb_child *reader; /* pg_restore, which makes an archive a script; for DUMP */
    pb_child *target; /* psql, which runs the script; NULL with check_only */
    pb_database_script *script;
    pb_role_filter *roles; /* for DUMP_ALL */
    pb_script_gate *gate;  /* in front of psql */
    pb_error refused;      /* by it */
    pb_hash *hash;
    uint64_t bytes;
    pb_buffer held; /* of the script, for DUMP */
    bool opened;    /* all was opened, and is what it should be */
    bool told;      /* psql was told everything */
    pb_error error;
};

static void fail(pb_undump *undump, const pb_error *why)
{
    if (!undump->error.kind)
        undump->error = *why;
    if (undump->target)
        pb_child_kill(undump->target, why);
    if (undump->reader)
        pb_child_kill(undump->reader, why);
    if (undump->seal)
        pb_seal_kill(undump->seal, why);
}

static void end_if_over(pb_undump *undump)
{
    if (undump->seal || undump->reader || undump->target)
        return;
    undump->options.done(undump->options.context, &undump->error);
    pb_database_script_free(undump->script);
    pb_role_filter_free(undump->roles);
    pb_script_gate_free(undump->gate);
    pb_hash_free(undump->hash);
    pb_buffer_free(&undump->held);
    free(undump);
}

static void may_change(pb_undump *undump)
{
    if (undump->options.changes)
        *undump->options.changes = true;
}

/* The script was made to its end, of bytes that are those of the snapshot. What was held of it ends
 * its one transaction: psql that gets no such end changed nothing, whatever went before. */
static void finish_script(pb_undump *undump)
{
    pb_error wrong;
    if (undump->script && pb_database_script_end(undump->script, &wrong)) {
        fail(undump, &wrong);
        return;
    }
    if (undump->gate && pb_script_gate_end(undump->gate, &wrong)) {
        fail(undump, &wrong);
        return;
    }
    undump->told = true;
    if (!undump->target)
        return;
    may_change(undump);
    pb_child_write(undump->target, undump->held.data, undump->held.size);
    pb_child_end_input(undump->target);
}

/* ---- flow ---- */

static bool is_full(const pb_child *child)
{
    return child && pb_child_pending(child) > FULL_BYTES;
}

static void update_flow(pb_undump *undump)
{
    if (undump->reader)
        pb_child_pause(undump->reader, is_full(undump->target));
    if (undump->seal)
        pb_seal_pause(undump->seal, is_full(undump->reader ? undump->reader : undump->target));
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

/* ---- the script ---- */

/* Gives psql all but the end of an archive's script. */
static void on_accepted(void *context, const void *data, size_t size)
{
    pb_undump *undump = context;
    pb_buffer *held = &undump->held;
    if (!undump->target)
        return;
    if (undump->kind == PB_ARTIFACT_DUMP_ALL) {
        may_change(undump);
        pb_child_write(undump->target, data, size);
        return;
    }
    pb_buffer_append(held, data, size);
    if (held->size <= HELD_BYTES)
        return;
    size_t given = held->size - HELD_BYTES;
    pb_child_write(undump->target, held->data, given);
    memmove(held->data, held->data + given, HELD_BYTES);
    held->size = HELD_BYTES;
}

/* Last of all before psql, so that what is judged is what psql reads. */
static void on_filtered(void *context, const void *data, size_t size)
{
    pb_undump *undump = context;
    if (undump->gate && !undump->refused.kind)
        pb_script_gate_feed(undump->gate, data, size, &undump->refused);
}

static int on_script(void *context, const void *data, size_t size, pb_error *error)
{
    pb_undump *undump = context;
    if (undump->roles)
        pb_role_filter_feed(undump->roles, data, size);
    else
        on_filtered(undump, data, size);
    update_flow(undump);
    if (undump->refused.kind)
        *error = undump->refused;
    else if (!undump->script || !pb_database_script_feed(undump->script, data, size, error))
        return 0;
    fail(undump, error); /* at once: that pg_restore then dies says nothing about the archive */
    return -1;
}

/* ---- plain bytes ---- */

static int refuse_digest(const pb_undump *undump, pb_error *error)
{
    return pb_error_set(error, PB_ERROR_DAMAGED,
                        "the dump is not the one that snapshot.json names%s",
                        undump->kind == PB_ARTIFACT_DUMP ? ": nothing was restored" : "");
}

static int on_opened(void *context, const void *data, size_t size, pb_error *error)
{
    pb_undump *undump = context;
    if (size > undump->artifact_bytes - undump->bytes)
        return refuse_digest(undump, error);
    pb_hash_update(undump->hash, data, size);
    undump->bytes += size;
    if (undump->kind == PB_ARTIFACT_DUMP_ALL)
        return on_script(undump, data, size, error);
    if (!undump->reader)
        return pb_error_set(error, PB_ERROR_DAMAGED, "the archive ended before the dump did");
    pb_child_write(undump->reader, data, size);
    update_flow(undump);
    return 0;
}

static int check_digest(pb_undump *undump, pb_error *error)
{
    uint8_t digest[PB_SHA256_BYTES];
    pb_hash_finish(undump->hash, digest);
    if (undump->bytes == undump->artifact_bytes &&
        memcmp(digest, undump->artifact_sha256, sizeof digest) == 0)
        return 0;
    return refuse_digest(undump, error);
}

static void on_seal_done(void *context, const pb_error *error)
{
    pb_undump *undump = context;
    pb_error wrong = *error;
    undump->seal = NULL;
    if (!wrong.kind && !undump->error.kind)
        check_digest(undump, &wrong);
    if (wrong.kind) {
        fail(undump, &wrong);
    } else if (!undump->error.kind) {
        undump->opened = true;
        if (undump->roles)
            pb_role_filter_end(undump->roles);
        if (undump->refused.kind)
            fail(undump, &undump->refused);
        else if (undump->reader)
            pb_child_end_input(undump->reader);
        else
            finish_script(undump);
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
    } else if (!undump->told) {
        pb_error early;
        pb_error_set(&early, PB_ERROR_FAILED, "psql ended before the dump did");
        fail(undump, &early);
    }
    end_if_over(undump);
}

/* What psql reads goes through the gate; the key is of this run alone. */
static int start_gate(uv_loop_t *loop, pb_undump *undump, pb_error *error)
{
    enum { KEY_BYTES = 24 };
    pb_database_version psql;
    uint8_t random[KEY_BYTES];
    char key[2 * KEY_BYTES + 1];
    if (pb_database_client_version(loop, "psql", &psql, error))
        return -1;
    pb_random_bytes(random, sizeof random);
    pb_hex_encode(random, sizeof random, key);
    const pb_script_gate_options options = {
        .restrict_key = pb_database_can_restrict(&psql) ? key : NULL,
        .lock_timeout = undump->options.clean ? "30s" : NULL,
        .write = on_accepted,
        .context = undump,
    };
    undump->gate = pb_script_gate_new(&options);
    return 0;
}

static int start_target(uv_loop_t *loop, pb_undump *undump, pb_error *error)
{
    bool all = undump->kind == PB_ARTIFACT_DUMP_ALL;
    const char *arguments[PB_DATABASE_ARGUMENTS_MAX + 12];
    size_t count = 0;
    pb_database_call call;
    pb_database_arguments(&undump->options.server, all ? "postgres" : undump->options.database,
                          &call);
    arguments[count++] = "psql";
    arguments[count++] = "--no-psqlrc";
    arguments[count++] = "--quiet";
    arguments[count++] = "--set=ON_ERROR_STOP=1";
    arguments[count++] = "--set=VERBOSITY=terse"; /* details quote what is in the tables */
    arguments[count++] = "--file=-";
    for (size_t i = 0; i < call.argument_count; i++)
        arguments[count++] = call.arguments[i];
    arguments[count] = NULL;
    const pb_child_options options = {
        .arguments = arguments,
        .environment = call.environment,
        .inherited = pb_database_inherited,
        .has_input = true,
        .drained = on_child_drained,
        .done = on_target_done,
        .context = undump,
    };
    int failed = pb_child_start(loop, &options, &undump->target, error);
    pb_database_call_free(&call);
    return failed;
}

static void on_reader_done(void *context, pb_child *child, const pb_error *error)
{
    pb_undump *undump = context;
    (void)child;
    undump->reader = NULL;
    if (error->kind) {
        pb_error why = *error;
        if (why.kind == PB_ERROR_FAILED)
            why.kind = PB_ERROR_DAMAGED;
        fail(undump, &why);
    } else if (undump->opened && !undump->error.kind) {
        /* Else it did not wait for the end of its input, which an archive tells by itself. */
        finish_script(undump);
    }
    end_if_over(undump);
}

static int start_reader(uv_loop_t *loop, pb_undump *undump, pb_error *error)
{
    /* BEGIN and COMMIT are its own: large objects would get a transaction each else. */
    static const char *const plain[] = {"pg_restore", "--single-transaction", "--file=-", NULL};
    static const char *const clean[] = {
        "pg_restore", "--single-transaction", "--clean", "--if-exists", "--file=-", NULL};
    const pb_child_options options = {
        .arguments = undump->options.clean ? clean : plain,
        .has_input = true,
        .received = on_script,
        .drained = on_child_drained,
        .done = on_reader_done,
        .context = undump,
    };
    return pb_child_start(loop, &options, &undump->reader, error);
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
            .database = all ? options->database : NULL,
            .chunk = options->chunk,
            .context = options->context,
        };
        undump->script = pb_database_script_new(&script);
    }
    if (all && !options->check_only)
        undump->roles = pb_role_filter_new(on_filtered, undump);
    if ((!options->check_only &&
         (start_gate(loop, undump, error) || start_target(loop, undump, error))) ||
        (!all && start_reader(loop, undump, error)) ||
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
