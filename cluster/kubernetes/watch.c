#include "cluster/kubernetes/watch.h"

#include "base/clock.h"
#include "base/codec.h"
#include "cluster/kubernetes/object.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    KINDS_MAX = 8,
    LINE_BYTES_MAX = 16 * 1024 * 1024,
    LOOK_MS = 1000,   /* for who wants to hear that it goes on */
    TOGETHER_MS = 50, /* changes come in flocks: they are looked at together */
    LIST_FIRST_MS = 500,
    LIST_MOST_MS = 4 * 1000, /* where a watch is missing */
    LIST_WATCHED_MS = 16 * 1000,
    LIVED_MS = 10 * 1000, /* a watch that ends sooner is not begun again */
};

/* The API server ends it then: of a process that was killed, no kubectl stays for long. */
#define TIMEOUT_S "240"

typedef struct stream {
    pb_watch *watch;
    pb_buffer path;
    pb_child *child; /* NULL: none runs */
    int64_t started_ms;
    pb_buffer text; /* what it said and nobody has looked at */
    bool given_up;
} stream;

struct pb_watch {
    const pb_kubectl *kubectl;
    char *kinds, *name;
    stream streams[KINDS_MAX];
    size_t count;
    json_t *items;
    int64_t listed_ms;
    bool told; /* a stream said something, or ended */
};

/* ---- what a watch says ---- */

void pb_watch_path(pb_slice kind, const char *name_space, const char *name, pb_buffer *ret_path)
{
    const char *dot = memchr(kind.data, '.', kind.size);
    size_t size = dot ? (size_t)(dot - kind.data) : kind.size;
    if (dot)
        pb_buffer_append_format(ret_path, "/apis/%.*s/v1", (int)(kind.size - size - 1), dot + 1);
    else
        pb_buffer_append_text(ret_path, "/api/v1");
    pb_buffer_append_format(ret_path,
                            "/namespaces/%s/%.*s?watch=true&resourceVersion=0"
                            "&timeoutSeconds=" TIMEOUT_S,
                            name_space, (int)size, kind.data);
    if (name)
        pb_buffer_append_format(ret_path, "&fieldSelector=metadata.name%%3D%s", name);
}

bool pb_watch_apply(json_t *items, pb_slice line)
{
    json_t *event = json_loadb(line.data, line.size, 0, NULL);
    const char *type = pb_object_text(event, "type");
    json_t *object = json_object_get(event, "object");
    bool gone = strcmp(type, "DELETED") == 0;
    bool known = gone || strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0;
    known = known && pb_object_name(object)[0];
    for (size_t i = 0; known && i < json_array_size(items); i++)
        if (pb_object_is(json_array_get(items, i), pb_object_kind(object),
                         pb_object_name(object))) {
            json_array_remove(items, i);
            break;
        }
    if (known && !gone)
        json_array_append(items, object);
    json_decref(event);
    return known;
}

/* A Status says why, if that is what came; anything else is not repeated. */
static void log_wrong(const stream *self, pb_slice line)
{
    json_t *event = json_loadb(line.data, line.size, 0, NULL);
    bool is_error = strcmp(pb_object_text(event, "type"), "ERROR") == 0;
    const char *text = is_error ? pb_object_text(event, "object.message") : "not a change";
    pb_log_line(self->watch->kubectl->log, PB_LOG_INFO,
                "the watch of %s failed: %s; it is listed instead", self->path.data, text);
    json_decref(event);
}

static void end(stream *self)
{
    pb_error why = {0};
    pb_error_set(&why, PB_ERROR_CANCELLED, "cancelled");
    if (self->child)
        pb_child_kill(self->child, &why);
}

/* What it has said in whole lines; into `items`, if they are not NULL. */
static void take_lines(stream *self, json_t *items)
{
    size_t taken = 0;
    for (char *line; (line = self->text.data ? self->text.data + taken : NULL);) {
        char *newline = memchr(line, '\n', self->text.size - taken);
        if (!newline)
            break;
        pb_slice said = {line, (size_t)(newline - line)};
        if (items && !self->given_up && !pb_watch_apply(items, said)) {
            log_wrong(self, said);
            self->given_up = true;
            end(self);
        }
        taken = (size_t)(newline + 1 - self->text.data);
    }
    if (taken) {
        self->text.size -= taken;
        memmove(self->text.data, self->text.data + taken, self->text.size + 1);
    }
}

/* ---- streams ---- */

static int on_received(void *context, const void *data, size_t size, pb_error *error)
{
    stream *self = context;
    if (size > LINE_BYTES_MAX - self->text.size)
        return pb_error_set(error, PB_ERROR_FAILED, "it wrote more than %d bytes", LINE_BYTES_MAX);
    pb_buffer_append(&self->text, data, size);
    self->watch->told |= memchr(data, '\n', size) != NULL;
    return 0;
}

static void on_done(void *context, pb_child *child, const pb_error *error)
{
    stream *self = context;
    pb_error wrong = *error;
    const pb_log *log = self->watch->kubectl->log;
    self->child = NULL;
    self->watch->told = true;
    if (error->kind == PB_ERROR_CANCELLED)
        return;
    self->given_up |= pb_clock_monotonic_ms() - self->started_ms < LIVED_MS;
    pb_kubectl_judge(child, &wrong);
    pb_log_line(log, wrong.kind == PB_ERROR_REFUSED ? PB_LOG_WARNING : PB_LOG_INFO,
                "the watch of %s ended%s%s; it is listed instead", self->path.data,
                wrong.kind ? ": " : "", wrong.kind ? wrong.message : "");
}

/* Those that do not run, and may. */
static void start_streams(pb_watch *self)
{
    for (size_t i = 0; i < self->count; i++) {
        stream *one = &self->streams[i];
        const char *const arguments[] = {"get", "--raw", one->path.data, NULL};
        const pb_child_options options = {.received = on_received, .done = on_done, .context = one};
        pb_error ignored = {0}; /* the list that is made will tell */
        if (one->child || one->given_up)
            continue;
        pb_buffer_clear(&one->text);
        one->started_ms = pb_clock_monotonic_ms();
        one->given_up =
            pb_kubectl_start(self->kubectl, arguments, &options, &one->child, &ignored) != 0;
    }
}

static bool are_all_watched(const pb_watch *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (!self->streams[i].child)
            return false;
    return true;
}

pb_watch *pb_watch_open(const pb_kubectl *kubectl, const char *kinds, const char *name)
{
    pb_watch *self = pb_allocate_zeroed(1, sizeof *self);
    self->kubectl = kubectl;
    self->kinds = pb_duplicate(pb_slice_of(kinds));
    self->name = pb_duplicate_text(name);
    for (const char *kind = kinds; *kind;) {
        size_t size = strcspn(kind, ",");
        if (self->count == KINDS_MAX)
            abort(); /* a bug */
        stream *one = &self->streams[self->count++];
        one->watch = self;
        pb_watch_path((pb_slice){kind, size}, kubectl->name_space, name, &one->path);
        kind += size + (kind[size] == ',');
    }
    start_streams(self);
    return self;
}

void pb_watch_close(pb_watch *self)
{
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++)
        end(&self->streams[i]);
    for (size_t i = 0; i < self->count; i++) {
        while (self->streams[i].child)
            uv_run(self->kubectl->loop, UV_RUN_ONCE);
        pb_buffer_free(&self->streams[i].text);
        pb_buffer_free(&self->streams[i].path);
    }
    json_decref(self->items);
    free(self->kinds);
    free(self->name);
    free(self);
}

/* ---- lists ---- */

/* What was said before the list was asked for is older than it. */
int pb_watch_list(pb_watch *self, pb_error *error)
{
    json_t *items = NULL;
    int failed;
    start_streams(self);
    for (size_t i = 0; i < self->count; i++)
        take_lines(&self->streams[i], NULL);
    if (self->name) {
        const char *const arguments[] = {"get", self->kinds, self->name, NULL};
        json_t *object;
        failed = pb_kubectl_json(self->kubectl, arguments, (pb_slice){NULL, 0}, &object, error);
        if (!failed)
            items = json_pack("[o]", object);
    } else {
        failed = pb_kubectl_list(self->kubectl, self->kinds, NULL, &items, error);
    }
    self->listed_ms = pb_clock_monotonic_ms();
    if (failed)
        return -1;
    json_decref(self->items);
    self->items = items;
    return 0;
}

const json_t *pb_watch_items(const pb_watch *self)
{
    return self->items;
}

/* ---- waiting ---- */

typedef struct wait {
    const pb_awaited *awaited;
    int64_t started_ms, until_ms, told_ms, judged_ms;
    int64_t list_ms;   /* when to list again */
    int64_t pause_ms;  /* from one list to the next */
    bool contradicted; /* a list did not show what the watches had shown */
} wait;

static void tell(wait *self, const char *what)
{
    int64_t now_ms = pb_clock_monotonic_ms();
    char text[512];
    if (!self->awaited->waiting || now_ms - self->told_ms < LOOK_MS)
        return;
    self->told_ms = now_ms;
    snprintf(text, sizeof text, "waiting for %s: %lld s", what,
             (long long)(now_ms - self->started_ms) / 1000);
    self->awaited->waiting(self->awaited->caller, text);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void plan_list(const pb_watch *watch, wait *self)
{
    self->list_ms = watch->listed_ms + self->pause_ms;
    self->pause_ms = sooner(self->pause_ms * 2, LIST_WATCHED_MS);
}

/* Until a watch tells something, or it is time for something. */
static int rest(pb_watch *watch, wait *self, pb_error *error)
{
    int64_t now_ms = pb_clock_monotonic_ms();
    int64_t rest_ms = sooner(sooner(self->list_ms, self->until_ms) - now_ms, LOOK_MS);
    int64_t together_ms = sooner(self->judged_ms + TOGETHER_MS - now_ms, rest_ms);
    if (rest_ms <= 0)
        return 0;
    if (pb_kubectl_rest_until(watch->kubectl, rest_ms, &watch->told, error))
        return -1;
    return watch->told && together_ms > 0 ? pb_kubectl_rest(watch->kubectl, together_ms, error) : 0;
}

/* 1 where a list is due. */
static bool is_list_due(pb_watch *watch, wait *self)
{
    int64_t now_ms = pb_clock_monotonic_ms();
    if (!are_all_watched(watch))
        self->list_ms = sooner(self->list_ms, watch->listed_ms + LIST_MOST_MS);
    return !watch->items || now_ms >= self->list_ms || now_ms >= self->until_ms;
}

int pb_watch_until(pb_watch *watch, const pb_awaited *awaited, pb_buffer *ret_what, pb_error *error)
{
    wait self = {.awaited = awaited, .started_ms = pb_clock_monotonic_ms()};
    self.until_ms = self.started_ms + awaited->wait_ms;
    self.pause_ms = LIST_FIRST_MS;
    self.list_ms = self.started_ms + LIST_FIRST_MS;
    bool confirms = false;
    for (;;) {
        pb_error wrong = {0};
        bool is_last = pb_clock_monotonic_ms() >= self.until_ms, lists = is_list_due(watch, &self);
        watch->told = false;
        if (lists && pb_watch_list(watch, error))
            return -1;
        for (size_t i = 0; !lists && i < watch->count; i++)
            take_lines(&watch->streams[i], watch->items);
        pb_buffer_clear(ret_what);
        int judged = awaited->judge(awaited->context, watch->items, ret_what, &wrong);
        self.judged_ms = pb_clock_monotonic_ms();
        if (lists && judged < 0)
            *error = wrong;
        if (lists && (judged || is_last))
            return judged;
        if (lists) {
            self.contradicted |= confirms;
            plan_list(watch, &self);
        } else if (judged) {
            self.list_ms = self.contradicted
                               ? sooner(self.list_ms, watch->listed_ms + LIST_FIRST_MS)
                               : self.judged_ms;
        }
        confirms = !lists && judged;
        if (!judged)
            tell(&self, ret_what->data);
        if (rest(watch, &self, error))
            return -1;
    }
}
