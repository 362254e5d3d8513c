/* A program for tests/integration/database_dump.py: dumps of a database into a file and back, by
 * cluster/database/database.h alone. The server is what libpq finds in the environment.
 *
 *   database_program dump FILE DATABASE [--all] [--recipient KEY] [--slow]
 *   database_program restore FILE DATABASE --bytes N --sha256 HEX [--all] [--identity FILE]
 * [--clean] database_program check FILE DATABASE --bytes N --sha256 HEX [--all] [--identity FILE]
 *   database_program version DATABASE | empty DATABASE | client PROGRAM
 *
 * --chunks FILE gets the chunks in order, --kill-after BYTES gives it up when as much went by,
 * --hold-after BYTES reads on after five seconds only. One line of JSON is its answer, on
 * standard output; the exit status is that of pbcopy. */
#include "base/codec.h"
#include "base/failure.h"
#include "base/json.h"
#include "cluster/database/database.h"
#include "cluster/process/chunk_sort.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PIECE_BYTES = 256 * 1024,
    PENDING_BYTES_MAX = 1024 * 1024,
    SLOW_BYTES = 2 * 1024 * 1024,
    SLOW_MS = 20,
    HOLD_MS = 5000,
};

typedef struct program {
    uv_loop_t loop;
    const char *path, *database, *recipient, *identity, *chunks;
    bool all, slow, clean;
    uint64_t kill_after_bytes, hold_after_bytes;
    pb_artifact artifact;
    FILE *file;
    pb_chunk_sort *sort;
    pb_dump *dump;
    pb_undump *undump;
    uv_timer_t timer;
    uint64_t stored_bytes, slow_bytes;
    bool over;
    pb_error error;
    json_t *answer;
} program;

static void stop(const char *why)
{
    fprintf(stderr, "database_program: %s\n", why);
    exit(99);
}

/* ---- chunks ---- */

static void on_chunk(void *context, pb_slice key)
{
    program *self = context;
    pb_chunk_sort_add(self->sort, key);
}

static int write_chunks(program *self, pb_error *error)
{
    pb_slice key;
    uint64_t count = 0;
    int more;
    FILE *file = fopen(self->chunks, "w");
    if (!file)
        stop("the file of chunks cannot be made");
    pb_chunk_sort_end(self->sort);
    while ((more = pb_chunk_sort_next(self->sort, NULL, &key, error)) > 0) {
        fprintf(file, "%.*s\n", PB_SLICE_FORMAT(key));
        count++;
    }
    fclose(file);
    json_object_set_new(self->answer, "chunks", json_integer((json_int_t)count));
    return more;
}

/* ---- out ---- */

static void give_up_when_told(program *self)
{
    pb_error why;
    if (!self->kill_after_bytes || self->stored_bytes < self->kill_after_bytes)
        return;
    self->kill_after_bytes = 0;
    pb_error_set(&why, PB_ERROR_CANCELLED, "given up");
    if (self->dump)
        pb_dump_kill(self->dump, &why);
    if (self->undump)
        pb_undump_kill(self->undump, &why);
}

static void on_rested(uv_timer_t *timer)
{
    program *self = timer->data;
    if (self->dump)
        pb_dump_pause(self->dump, false);
}

static void on_dump_write(void *context, const void *data, size_t size)
{
    program *self = context;
    if (fwrite(data, 1, size, self->file) != size)
        stop("the file cannot be written");
    self->stored_bytes += size;
    self->slow_bytes += size;
    if (self->slow && self->slow_bytes > SLOW_BYTES) {
        self->slow_bytes = 0;
        pb_dump_pause(self->dump, true);
        uv_timer_start(&self->timer, on_rested, SLOW_MS, 0);
    }
    give_up_when_told(self);
}

static void on_dump_done(void *context, const pb_artifact *artifact, const pb_error *error)
{
    program *self = context;
    char hex[2 * PB_SHA256_BYTES + 1];
    self->dump = NULL;
    if (self->over)
        stop("done twice");
    self->over = true;
    self->error = *error;
    if (error->kind)
        return;
    pb_hex_encode(artifact->sha256, sizeof artifact->sha256, hex);
    json_object_set_new(self->answer, "bytes", json_integer((json_int_t)artifact->bytes));
    json_object_set_new(self->answer, "sha256", json_string(hex));
    json_object_set_new(self->answer, "encrypted", json_boolean(artifact->encrypted));
    json_object_set_new(self->answer, "database", json_string(artifact->database));
}

static int dump(program *self, pb_error *error)
{
    const pb_dump_options options = {
        .kind = self->all ? PB_ARTIFACT_DUMP_ALL : PB_ARTIFACT_DUMP,
        .database = self->database,
        .sealing = {.recipients = &self->recipient, .recipient_count = self->recipient != NULL},
        .write = on_dump_write,
        .chunk = self->sort ? on_chunk : NULL,
        .done = on_dump_done,
        .context = self,
    };
    self->file = fopen(self->path, "wb");
    if (!self->file)
        stop("the file cannot be made");
    int failed = pb_dump_start(&self->loop, &options, &self->dump, error);
    if (!failed && self->over)
        stop("done inside the call");
    while (!failed && !self->over)
        uv_run(&self->loop, UV_RUN_ONCE);
    return failed;
}

/* ---- back ---- */

static void on_undump_done(void *context, const pb_error *error)
{
    program *self = context;
    self->undump = NULL;
    if (self->over)
        stop("done twice");
    self->over = true;
    self->error = *error;
}

static void hold_when_told(program *self)
{
    if (!self->hold_after_bytes || self->stored_bytes < self->hold_after_bytes)
        return;
    self->hold_after_bytes = 0;
    uv_timer_start(&self->timer, on_rested, HOLD_MS, 0);
    while (!self->over && uv_is_active((uv_handle_t *)&self->timer))
        uv_run(&self->loop, UV_RUN_ONCE);
}

static int undump(program *self, bool check_only, pb_error *error)
{
    const pb_undump_options options = {
        .artifact = &self->artifact,
        .database = self->database,
        .check_only = check_only,
        .clean = self->clean,
        .identity = self->identity,
        .chunk = self->sort ? on_chunk : NULL,
        .done = on_undump_done,
        .context = self,
    };
    static char piece[PIECE_BYTES];
    size_t size;
    self->file = fopen(self->path, "rb");
    if (!self->file)
        stop("the file cannot be read");
    if (pb_undump_start(&self->loop, &options, &self->undump, error))
        return -1;
    if (self->over)
        stop("done inside the call");
    while (!self->over && (size = fread(piece, 1, sizeof piece, self->file)) > 0) {
        pb_undump_write(self->undump, piece, size);
        self->stored_bytes += size;
        give_up_when_told(self);
        hold_when_told(self);
        while (!self->over && pb_undump_pending(self->undump) > PENDING_BYTES_MAX)
            uv_run(&self->loop, UV_RUN_ONCE);
    }
    if (!self->over)
        pb_undump_end(self->undump);
    while (!self->over)
        uv_run(&self->loop, UV_RUN_ONCE);
    return 0;
}

/* ---- questions ---- */

static int tell_version(program *self, int failed, const pb_database_version *version)
{
    if (failed)
        return -1;
    json_object_set_new(self->answer, "text", json_string(version->text));
    json_object_set_new(self->answer, "number", json_integer(version->number));
    return 0;
}

static int ask(program *self, const char *command, pb_error *error)
{
    const pb_database_server server = {0};
    pb_database_version version;
    bool empty = false;
    if (strcmp(command, "version") == 0)
        return tell_version(
            self, pb_database_server_version(&self->loop, &server, self->path, &version, error),
            &version);
    if (strcmp(command, "client") == 0)
        return tell_version(
            self, pb_database_client_version(&self->loop, self->path, &version, error), &version);
    if (pb_database_is_empty(&self->loop, &server, self->path, &empty, error))
        return -1;
    json_object_set_new(self->answer, "empty", json_boolean(empty));
    return 0;
}

/* ---- the whole ---- */

static void read_arguments(program *self, char **argument)
{
    for (; *argument; argument++) {
        const char *name = *argument;
        if (strcmp(name, "--all") == 0)
            self->all = true;
        else if (strcmp(name, "--slow") == 0)
            self->slow = true;
        else if (strcmp(name, "--clean") == 0)
            self->clean = true;
        else if (name[0] != '-')
            *(self->path ? &self->database : &self->path) = name;
        else if (!*++argument)
            stop("a value is missing");
        else if (strcmp(name, "--recipient") == 0)
            self->recipient = *argument;
        else if (strcmp(name, "--identity") == 0)
            self->identity = *argument;
        else if (strcmp(name, "--chunks") == 0)
            self->chunks = *argument;
        else if (strcmp(name, "--kill-after") == 0)
            self->kill_after_bytes = strtoull(*argument, NULL, 10);
        else if (strcmp(name, "--hold-after") == 0)
            self->hold_after_bytes = strtoull(*argument, NULL, 10);
        else if (strcmp(name, "--bytes") == 0)
            self->artifact.bytes = strtoull(*argument, NULL, 10);
        else if (strcmp(name, "--sha256") != 0)
            stop("an unknown option");
        else if (!pb_hex_decode(pb_slice_of(*argument), self->artifact.sha256, PB_SHA256_BYTES))
            stop("no digest");
    }
    if (!self->path)
        stop("a name is missing");
    self->artifact.kind = self->all ? PB_ARTIFACT_DUMP_ALL : PB_ARTIFACT_DUMP;
    self->artifact.encrypted = self->identity != NULL;
}

/* Of this process: getrusage tells the most that the one before exec had, too. */
static uint64_t peak_bytes(void)
{
    char line[256];
    unsigned long long kibibytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %llu", &kibibytes) == 1)
            break;
    if (file)
        fclose(file);
    return kibibytes * 1024;
}

static void tell(program *self)
{
    json_object_set_new(self->answer, "peak_bytes", json_integer((json_int_t)peak_bytes()));
    json_object_set_new(self->answer, "error", json_string(self->error.message));
    json_object_set_new(self->answer, "hint", json_string(self->error.hint));
    json_dumpf(self->answer, stdout, JSON_COMPACT);
    json_decref(self->answer);
}

int main(int count, char **arguments)
{
    program self = {.answer = json_object()};
    pb_error error = {0};
    int failed;
    if (count < 3)
        stop("a command and a name are missing");
    const char *command = arguments[1];
    signal(SIGPIPE, SIG_IGN); /* as pbcopy does: a child may be gone */
    read_arguments(&self, arguments + 2);
    uv_loop_init(&self.loop);
    uv_timer_init(&self.loop, &self.timer);
    self.timer.data = &self;
    if (self.chunks && pb_chunk_sort_start(&self.loop, "/var/tmp", &self.sort, &error))
        stop(error.message);
    if (strcmp(command, "dump") == 0)
        failed = dump(&self, &error);
    else if (strcmp(command, "restore") == 0 || strcmp(command, "check") == 0)
        failed = undump(&self, strcmp(command, "check") == 0, &error);
    else
        failed = ask(&self, command, &error);
    if (!failed && !self.error.kind && self.sort)
        failed = write_chunks(&self, &error);
    if (failed)
        self.error = error;
    if (self.file && fclose(self.file))
        stop("the file cannot be written");
    pb_chunk_sort_free(self.sort);
    uv_close((uv_handle_t *)&self.timer, NULL);
    uv_run(&self.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&self.loop))
        stop("something is still open");
    tell(&self);
    return pb_failure_exit_code(self.error.kind);
}
