/* For tests/integration/database_dump.py: dumps into a file, and restores or checks one.
 *
 *     database_program server DATABASE
 *     database_program dump DATABASE FILE [--all] [--recipient KEY]
 *     database_program undump|check DATABASE FILE [--clean] [--identity FILE]
 *
 * The server is that of PGHOST, PGPORT, PGUSER and PGPASSWORD. FILE.artifact is what snapshot.json
 * says of a dump, FILE.chunks the keys of its chunks, in the order in which they came. With
 * --stall-ms N the stream is held up for so long near its start, and FILE.stalled tells. The last
 * line on standard output is the peak of memory, in KiB, before it the error, if there was one. */
#include "base/codec.h"
#include "cluster/database.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { READ_BYTES = 64 * 1024, PENDING_BYTES_MAX = 4 * 1024 * 1024, STALL_AT_BYTES = 8 * 1024 };

typedef struct program_task {
    uv_loop_t loop;
    const char *database, *path, *identity;
    const char *recipients[8];
    size_t recipient_count;
    bool all, clean, check;
    uint64_t stall_ms;
    bool stalled;
    uv_timer_t stall;
    pb_database_server server;
    pb_dump *dump;
    pb_undump *undump;
    FILE *file, *chunks;
    uint64_t stored_bytes;
    bool over, held;
    pb_artifact artifact;
    pb_error error;
} program_task;

static FILE *open_beside(const program_task *task, const char *ending, const char *mode)
{
    pb_buffer path = {0};
    pb_buffer_append_format(&path, "%s%s", task->path, ending);
    FILE *file = fopen(path.data, mode);
    if (!file) {
        perror(path.data);
        exit(99);
    }
    pb_buffer_free(&path);
    return file;
}

static void on_chunk(void *context, pb_slice key)
{
    program_task *task = context;
    fprintf(task->chunks, "%.*s\n", PB_SLICE_FORMAT(key));
}

static void on_stall_over(uv_timer_t *timer)
{
    program_task *task = timer->data;
    task->held = false;
    if (task->dump)
        pb_dump_pause(task->dump, false);
}

static void begin_stall(program_task *task)
{
    if (task->stalled || !task->stall_ms)
        return;
    task->stalled = task->held = true;
    if (task->dump)
        pb_dump_pause(task->dump, true);
    fclose(open_beside(task, ".stalled", "w"));
    uv_timer_start(&task->stall, on_stall_over, task->stall_ms, 0);
}

/* ---- out ---- */

static void on_write(void *context, const void *data, size_t size)
{
    program_task *task = context;
    if (fwrite(data, 1, size, task->file) != size)
        abort();
    task->stored_bytes += size;
    if (task->stored_bytes >= STALL_AT_BYTES)
        begin_stall(task);
}

static void on_dump_done(void *context, const pb_artifact *artifact, const pb_error *error)
{
    program_task *task = context;
    task->dump = NULL;
    task->over = true;
    task->error = *error;
    task->artifact = *artifact;
}

static void dump(program_task *task)
{
    task->file = open_beside(task, "", "w");
    task->chunks = open_beside(task, ".chunks", "w");
    const pb_dump_options options = {
        .kind = task->all ? PB_ARTIFACT_DUMP_ALL : PB_ARTIFACT_DUMP,
        .server = task->server,
        .database = task->database,
        .sealing = {task->recipients, task->recipient_count},
        .write = on_write,
        .chunk = strcmp(task->database, "dex") != 0 ? on_chunk : NULL,
        .done = on_dump_done,
        .context = task,
    };
    if (pb_dump_start(&task->loop, &options, &task->dump, &task->error))
        return;
    while (!task->over)
        uv_run(&task->loop, UV_RUN_ONCE);
    if (task->error.kind)
        return;
    char digest[2 * PB_SHA256_BYTES + 1];
    pb_hex_encode(task->artifact.sha256, PB_SHA256_BYTES, digest);
    FILE *file = open_beside(task, ".artifact", "w");
    fprintf(file, "%d %d %" PRIu64 " %s\n", (int)task->artifact.kind, task->artifact.encrypted,
            task->artifact.bytes, digest);
    fclose(file);
}

/* ---- back ---- */

static void read_artifact(program_task *task)
{
    FILE *file = open_beside(task, ".artifact", "r");
    int kind, encrypted;
    char digest[2 * PB_SHA256_BYTES + 1];
    if (fscanf(file, "%d %d %" SCNu64 " %64s", &kind, &encrypted, &task->artifact.bytes, digest) !=
            4 ||
        !pb_hex_decode(pb_slice_of(digest), task->artifact.sha256, PB_SHA256_BYTES))
        exit(99);
    task->artifact.kind = (pb_artifact_kind)kind;
    task->artifact.encrypted = encrypted;
    fclose(file);
}

static void on_undump_done(void *context, const pb_error *error)
{
    program_task *task = context;
    task->undump = NULL;
    task->over = true;
    task->error = *error;
}

static void feed(program_task *task)
{
    static char bytes[READ_BYTES];
    while (task->undump && task->file && !task->held &&
           pb_undump_pending(task->undump) < PENDING_BYTES_MAX) {
        size_t size = fread(bytes, 1, sizeof bytes, task->file);
        if (!size) {
            fclose(task->file);
            task->file = NULL;
            pb_undump_end(task->undump);
            return;
        }
        pb_undump_write(task->undump, bytes, size);
        task->stored_bytes += size;
        if (task->stored_bytes >= STALL_AT_BYTES)
            begin_stall(task);
    }
}

static void undump(program_task *task)
{
    task->file = open_beside(task, "", "r");
    if (task->check)
        task->chunks = open_beside(task, ".chunks", "w");
    read_artifact(task);
    const pb_undump_options options = {
        .artifact = &task->artifact,
        .server = task->server,
        .database = task->database,
        .check_only = task->check,
        .clean = task->clean,
        .identity = task->identity,
        .chunk = strcmp(task->database, "dex") != 0 && task->check ? on_chunk : NULL,
        .done = on_undump_done,
        .context = task,
    };
    if (pb_undump_start(&task->loop, &options, &task->undump, &task->error))
        return;
    while (!task->over) {
        feed(task);
        uv_run(&task->loop, UV_RUN_ONCE);
    }
}

static void tell_server(program_task *task)
{
    pb_database_version server, client;
    bool empty;
    if (pb_database_server_version(&task->loop, &task->server, task->database, &server,
                                   &task->error) ||
        pb_database_client_version(&task->loop, "pg_dump", &client, &task->error) ||
        pb_database_is_empty(&task->loop, &task->server, task->database, &empty, &task->error))
        return;
    printf("server %s %u, client %s %u, %s\n", server.text, server.number, client.text,
           client.number, empty ? "empty" : "not empty");
}

/* ---- arguments ---- */

static void read_arguments(program_task *task, int count, char **arguments)
{
    for (int i = 4; i < count; i++) {
        const char *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(arguments[i], "--all") == 0)
            task->all = true;
        else if (strcmp(arguments[i], "--clean") == 0)
            task->clean = true;
        else if (strcmp(arguments[i], "--recipient") == 0 && task->recipient_count < 8)
            task->recipients[task->recipient_count++] = value;
        else if (strcmp(arguments[i], "--identity") == 0)
            task->identity = value;
        else if (strcmp(arguments[i], "--stall-ms") == 0)
            task->stall_ms = strtoull(value, NULL, 10);
    }
}

/* Out of the environment, so that what reaches the children is what pbcopy gives them. */
static char *take_variable(const char *name)
{
    char *value = getenv(name);
    value = value ? strdup(value) : NULL;
    unsetenv(name);
    return value;
}

/* getrusage() would tell that of the process which started this one. */
static void print_peak(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long peak_kib = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lu", &peak_kib) == 1)
            break;
    if (file)
        fclose(file);
    printf("%lu\n", peak_kib);
}

int main(int count, char **arguments)
{
    static program_task task;
    const char *command = count > 2 ? arguments[1] : "";
    signal(SIGPIPE, SIG_IGN);
    if (count < 3 || (strcmp(command, "server") != 0 && count < 4))
        return 99;
    char *host = take_variable("PGHOST"), *port = take_variable("PGPORT"),
         *user = take_variable("PGUSER"), *password = take_variable("PGPASSWORD");
    task.server = (pb_database_server){host, port ? strtoull(port, NULL, 10) : 0, user, password};
    task.database = arguments[2];
    task.path = count > 3 ? arguments[3] : NULL;
    task.check = strcmp(command, "check") == 0;
    read_arguments(&task, count, arguments);
    uv_loop_init(&task.loop);
    uv_timer_init(&task.loop, &task.stall);
    task.stall.data = &task;
    if (strcmp(command, "server") == 0)
        tell_server(&task);
    else if (strcmp(command, "dump") == 0)
        dump(&task);
    else
        undump(&task);
    uv_close((uv_handle_t *)&task.stall, NULL);
    uv_run(&task.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&task.loop))
        abort(); /* something is left behind */
    if (task.file)
        fclose(task.file);
    if (task.chunks)
        fclose(task.chunks);
    free(host);
    free(port);
    free(user);
    free(password);
    if (task.error.kind)
        printf("error: %s\nhint: %s\n", task.error.message, task.error.hint);
    print_peak();
    return pb_error_exit_code(task.error.kind);
}
