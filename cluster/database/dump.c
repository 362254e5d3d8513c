/* A dump on its way out: pg_dump, and at once what is stored of it and what proves it whole. */
#include "cluster/database/script.h"
#include "cluster/database/server.h"
#include "cluster/process/child.h"
#include <stdlib.h>

enum { FULL_BYTES = 4 * 1024 * 1024 };

struct pb_dump {
    pb_dump_options options;
    char *database;
    pb_child *dumper;  /* pg_dump, pg_dumpall; these: NULL once they are over */
    pb_child *checker; /* pg_restore, which reads the archive to its end */
    pb_seal *seal;
    pb_database_script *script;
    pb_hash *hash;
    uint64_t bytes;
    bool user_paused;
    pb_error error;
};

/* ---- the end ---- */

static void fail(pb_dump *dump, const pb_error *why)
{
    if (!dump->error.kind)
        dump->error = *why;
    if (dump->dumper)
        pb_child_kill(dump->dumper, why);
    if (dump->checker)
        pb_child_kill(dump->checker, why);
    if (dump->seal)
        pb_seal_kill(dump->seal, why);
}

static void end_if_over(pb_dump *dump)
{
    if (dump->dumper || dump->checker || dump->seal)
        return;
    pb_artifact artifact = {
        .kind = dump->options.kind,
        .database = dump->database,
        .encrypted = dump->options.sealing.recipient_count > 0,
        .bytes = dump->bytes,
    };
    pb_hash_finish(dump->hash, artifact.sha256);
    if (!dump->error.kind && pb_database_script_end(dump->script, &dump->error))
        pb_error_context(&dump->error, "the dump of database %s", dump->database);
    dump->options.done(dump->options.context, &artifact, &dump->error);
    pb_database_script_free(dump->script);
    pb_hash_free(dump->hash);
    free(dump->database);
    free(dump);
}

/* ---- flow ---- */

static void update_flow(pb_dump *dump)
{
    if (!dump->dumper)
        return;
    bool full = (dump->seal && pb_seal_pending(dump->seal) > FULL_BYTES) ||
                (dump->checker && pb_child_pending(dump->checker) > FULL_BYTES);
    pb_child_pause(dump->dumper, full || dump->user_paused);
}

static void on_drained(void *context)
{
    update_flow(context);
}

void pb_dump_pause(pb_dump *dump, bool paused)
{
    dump->user_paused = paused;
    if (dump->seal)
        pb_seal_pause(dump->seal, paused);
    if (dump->checker)
        pb_child_pause(dump->checker, paused);
    update_flow(dump);
}

/* ---- pg_dump ---- */

static int on_dumped(void *context, const void *data, size_t size, pb_error *error)
{
    pb_dump *dump = context;
    pb_hash_update(dump->hash, data, size);
    dump->bytes += size;
    if (dump->seal)
        pb_seal_write(dump->seal, data, size);
    if (dump->checker)
        pb_child_write(dump->checker, data, size);
    else if (dump->options.kind == PB_ARTIFACT_DUMP_ALL &&
             pb_database_script_feed(dump->script, data, size, error))
        return -1;
    update_flow(dump);
    return 0;
}

static void on_dumper_done(void *context, pb_child *child, const pb_error *error)
{
    pb_dump *dump = context;
    dump->dumper = NULL;
    if (error->kind) {
        pb_error judged = *error;
        pb_database_judge(pb_child_stderr(child), &judged);
        fail(dump, &judged);
    } else {
        if (dump->seal)
            pb_seal_end(dump->seal);
        if (dump->checker)
            pb_child_end_input(dump->checker);
    }
    end_if_over(dump);
}

/* ---- pg_restore, which only reads ---- */

static int on_script(void *context, const void *data, size_t size, pb_error *error)
{
    pb_dump *dump = context;
    if (!pb_database_script_feed(dump->script, data, size, error))
        return 0;
    pb_error_context(error, "the dump of database %s", dump->database);
    fail(dump, error); /* at once: that pg_restore then dies says nothing about the archive */
    return -1;
}

static void on_checker_done(void *context, pb_child *child, const pb_error *error)
{
    pb_dump *dump = context;
    (void)child;
    dump->checker = NULL;
    if (error->kind) {
        pb_error why = *error;
        if (why.kind == PB_ERROR_FAILED)
            why.kind = PB_ERROR_DAMAGED;
        pb_error_context(&why, "the dump of database %s is not whole", dump->database);
        fail(dump, &why);
    }
    end_if_over(dump);
}

static int start_checker(uv_loop_t *loop, pb_dump *dump, pb_error *error)
{
    static const char *const arguments[] = {"pg_restore", "--file=-", NULL};
    const pb_child_options options = {
        .arguments = arguments,
        .has_input = true,
        .received = on_script,
        .drained = on_drained,
        .done = on_checker_done,
        .context = dump,
    };
    return pb_child_start(loop, &options, &dump->checker, error);
}

/* ---- what is stored ---- */

static int on_sealed(void *context, const void *data, size_t size, pb_error *error)
{
    pb_dump *dump = context;
    (void)error;
    dump->options.write(dump->options.context, data, size);
    return 0;
}

static void on_seal_done(void *context, const pb_error *error)
{
    pb_dump *dump = context;
    dump->seal = NULL;
    if (error->kind)
        fail(dump, error);
    end_if_over(dump);
}

static int start_seal(uv_loop_t *loop, pb_dump *dump, pb_error *error)
{
    const pb_seal_options options = {
        .sealing = dump->options.sealing,
        .write = on_sealed,
        .drained = on_drained,
        .done = on_seal_done,
        .context = dump,
    };
    return pb_seal_start(loop, &options, &dump->seal, error);
}

/* ---- the start ---- */

static int start_dumper(uv_loop_t *loop, pb_dump *dump, pb_error *error)
{
    bool all = dump->options.kind == PB_ARTIFACT_DUMP_ALL;
    const char *arguments[PB_DATABASE_ARGUMENTS_MAX + 8];
    size_t count = 0;
    pb_database_call call;
    pb_database_arguments(&dump->options.server, all ? NULL : dump->database, &call);
    arguments[count++] = all ? "pg_dumpall" : "pg_dump";
    arguments[count++] = PB_DATABASE_LOCK_WAIT;
    if (!all) {
        arguments[count++] = "--format=custom";
        arguments[count++] = "--compress=0"; /* zstd does better, outside */
    }
    for (size_t i = 0; i < call.argument_count; i++)
        arguments[count++] = call.arguments[i];
    arguments[count] = NULL;
    const pb_child_options options = {
        .arguments = arguments,
        .environment = call.environment,
        .inherited = pb_database_inherited,
        .received = on_dumped,
        .done = on_dumper_done,
        .context = dump,
    };
    int failed = pb_child_start(loop, &options, &dump->dumper, error);
    pb_database_call_free(&call);
    return failed;
}

static void ignore_end(void *context, const pb_artifact *artifact, const pb_error *error)
{
    (void)context;
    (void)artifact;
    (void)error;
}

int pb_dump_start(uv_loop_t *loop, const pb_dump_options *options, pb_dump **ret_dump,
                  pb_error *error)
{
    pb_dump *dump = pb_allocate_zeroed(1, sizeof *dump);
    dump->database = pb_duplicate(pb_slice_of(options->database ? options->database : ""));
    const pb_database_script_options script = {
        .database = options->kind == PB_ARTIFACT_DUMP_ALL ? dump->database : NULL,
        .chunk = options->chunk,
        .context = options->context,
    };
    dump->options = *options;
    dump->hash = pb_hash_new(PB_HASH_SHA256);
    dump->script = pb_database_script_new(&script);
    if (start_seal(loop, dump, error) ||
        (options->kind == PB_ARTIFACT_DUMP && start_checker(loop, dump, error)) ||
        start_dumper(loop, dump, error)) {
        /* What was started ends by itself, and nobody hears of it. */
        dump->options.done = ignore_end;
        fail(dump, error);
        end_if_over(dump);
        return -1;
    }
    *ret_dump = dump;
    return 0;
}

void pb_dump_kill(pb_dump *dump, const pb_error *why)
{
    fail(dump, why);
}

uint64_t pb_dump_bytes(const pb_dump *dump)
{
    return dump->bytes;
}
