#include "snapshot/rehearsal.h"

#include "base/codec.h"
#include "cluster/kubernetes/object.h"
#include "cluster/process/child.h"
#include "cluster/process/chunk_sort.h"
#include "snapshot/job.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROGRAM_DEADLINE_MS = 30 * 1000, OUTPUT_MAX = 64 * 1024, CHUNK_KEY_BYTES = 88 };

void pb_rehearsal_pass(pb_rehearsal *self, const char *name, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    self->each(self->context, &(pb_check){.name = name, .text = text, .hint = ""});
}

void pb_rehearsal_fail(pb_rehearsal *self, const char *name, const pb_error *error)
{
    if (error->kind == PB_ERROR_CANCELLED)
        return;
    if (!self->failed++)
        self->first = *error;
    self->each(
        self->context,
        &(pb_check){.name = name, .failed = true, .text = error->message, .hint = error->hint});
}

int pb_rehearsal_end(const pb_rehearsal *self, pb_error *error)
{
    if (self->session->cancelled)
        return pb_error_set(error, PB_ERROR_CANCELLED, "cancelled");
    if (!self->failed)
        return 0;
    *error = self->first;
    return -1;
}

void pb_rehearsal_free(pb_rehearsal *self)
{
    pb_pachyderm_free(&self->pachyderm);
    pb_cluster_database_close(&self->database);
    pb_cluster_store_free(&self->bucket);
    free(self->source_url);
}

/* ---- programs ---- */

static int run_program(const pb_rehearsal *self, const char *const *arguments, const char *package,
                       pb_buffer *ret_output, pb_error *error)
{
    const pb_child_options options = {.arguments = arguments, .deadline_ms = PROGRAM_DEADLINE_MS};
    if (!pb_child_run(&self->session->loop, &options, (pb_slice){NULL, 0},
                      &self->session->cancelled, OUTPUT_MAX, ret_output, NULL, error))
        return 0;
    return pb_error_hint(error, "install %s (Debian: %s), or put its folder into PATH",
                         arguments[0], package);
}

/* False where it does not run. */
static bool check_program(pb_rehearsal *self, const char *name, const char *package)
{
    const char *const arguments[] = {name, "--version", NULL};
    pb_buffer output = {0};
    pb_error error = {0};
    int failed = run_program(self, arguments, package, &output, &error);
    if (failed) {
        pb_rehearsal_fail(self, name, &error);
    } else {
        pb_buffer_append_char(&output, '\n');
        output.data[strcspn(output.data, "\n")] = 0;
        pb_rehearsal_pass(self, name, "%s", output.data);
    }
    pb_buffer_free(&output);
    return !failed;
}

/* A kubectl before 1.24 cannot patch a subresource. */
static void check_kubectl(pb_rehearsal *self)
{
    enum { MINOR_WITH_SUBRESOURCES = 24 };
    static const char old[] = ", older than 1.24: it scales by patching whole objects, and needs "
                              "the right to";
    const char *const arguments[] = {"kubectl", "version", "--client", "--output=json", NULL};
    pb_buffer output = {0};
    pb_error error = {0};
    json_t *value = NULL;
    unsigned major = 0, minor = 0;
    self->lacks_cluster =
        run_program(self, arguments, "kubernetes-client", &output, &error) ||
        pb_json_parse(pb_buffer_slice(&output), "kubectl's version", &value, &error);
    if (self->lacks_cluster) {
        pb_rehearsal_fail(self, "kubectl", &error);
    } else {
        const char *version = json_string_value(pb_object_at(value, "clientVersion.gitVersion"));
        bool is_old = version && sscanf(version, "v%u.%u", &major, &minor) == 2 && major == 1 &&
                      minor < MINOR_WITH_SUBRESOURCES;
        if (is_old) {
            self->session->kubectl_is_old = true;
            pb_log_line(self->session->options.log, PB_LOG_WARNING, "kubectl is %s%s", version,
                        old);
        }
        pb_rehearsal_pass(self, "kubectl", "%s%s",
                          version ? version : "of a version that it does not tell",
                          is_old ? old : "");
    }
    json_decref(value);
    pb_buffer_free(&output);
}

static void check_database_programs(pb_rehearsal *self)
{
    static const char package[] = "postgresql-client";
    const char *dumper = self->cluster->dump == PB_DUMP_ALL ? "pg_dumpall" : "pg_dump";
    const char *const names[] = {dumper, "pg_restore", "psql"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        self->lacks_database_programs |= !check_program(self, names[i], package);
}

/* ---- the folder of sort(1) ---- */

/* Not every sort has its options. */
static int try_sort(pb_rehearsal *self, pb_error *error)
{
    pb_session *session = self->session;
    pb_chunk_sort *sort;
    pb_slice key;
    if (pb_chunk_sort_start(&session->loop, pb_session_scratch(session), &sort, error))
        return -1;
    pb_chunk_sort_add(sort, PB_SLICE_LITERAL("b"));
    pb_chunk_sort_add(sort, PB_SLICE_LITERAL("a"));
    pb_chunk_sort_end(sort);
    int more = pb_chunk_sort_next(sort, &session->cancelled, &key, error);
    bool sorts = more > 0 && pb_slice_equal(key, PB_SLICE_LITERAL("a"));
    pb_chunk_sort_free(sort);
    if (more < 0 || sorts)
        return sorts ? 0 : -1;
    return pb_error_set(error, PB_ERROR_FAILED, "sort does not put lines in order");
}

void pb_rehearse_room(pb_rehearsal *self, uint64_t chunks)
{
    enum { MIB = 1024 * 1024 };
    uint64_t needed_bytes = chunks * CHUNK_KEY_BYTES, free_bytes;
    pb_error error = {0};
    if (self->cluster->dump == PB_DUMP_NONE || self->session->cancelled)
        return;
    if (needed_bytes <= PB_CHUNK_SORT_MEMORY_BYTES)
        needed_bytes = 0; /* nothing goes to disk */
    if (pb_session_check_scratch(self->session, needed_bytes, &free_bytes, &error))
        pb_rehearsal_fail(self, "temporary files", &error);
    else
        pb_rehearsal_pass(self, "temporary files", "in %s, %llu MiB free",
                          pb_session_scratch(self->session),
                          (unsigned long long)(free_bytes / MIB));
}

static void check_sort(pb_rehearsal *self)
{
    pb_error error = {0};
    unsigned failed_before = self->failed;
    bool runs = check_program(self, "sort", "coreutils");
    pb_rehearse_room(self, 0);
    if (runs && self->failed == failed_before && try_sort(self, &error))
        pb_rehearsal_fail(self, "sorting", &error);
}

/* ---- secrets ---- */

static bool stores_secrets(const pb_cluster_options *cluster)
{
    return cluster->dump != PB_DUMP_NONE || cluster->kubernetes == PB_KUBERNETES_NATIVE;
}

static void check_encryption(pb_rehearsal *self)
{
    const pb_cluster_options *cluster = self->cluster;
    pb_error error = {0};
    if (!cluster->sealing.recipient_count && cluster->plaintext) {
        pb_rehearsal_pass(self, "encryption", "none: --plaintext");
    } else if (!cluster->sealing.recipient_count) {
        pb_error_set(&error, PB_ERROR_USAGE,
                     "no --recipient is given, and a dump holds the key to every chunk, a capture "
                     "the cluster's secrets");
        pb_error_hint(&error, "make a key with `age-keygen -o key.txt`, keep it away from here, "
                              "and give its public key: --recipient age1...; or say --plaintext");
        pb_rehearsal_fail(self, "encryption", &error);
    } else if (pb_sealing_check(&self->session->loop, &cluster->sealing, &error)) {
        pb_rehearsal_fail(self, "encryption", &error);
    } else {
        pb_rehearsal_pass(self, "encryption", "to the given recipients");
    }
}

void pb_rehearse_machine(pb_rehearsal *self)
{
    const pb_cluster_options *cluster = self->cluster;
    if (self->session->cancelled)
        return;
    bool has_age = true;
    if (cluster->sealing.recipient_count || (self->advises && cluster->identity))
        has_age = check_program(self, "age", "age");
    if (has_age && stores_secrets(cluster))
        check_encryption(self);
    if (cluster->dump != PB_DUMP_NONE) {
        check_sort(self);
        check_database_programs(self);
    }
    if (cluster->name_space)
        check_kubectl(self);
}
