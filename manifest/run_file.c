#include "manifest/run_file.h"

#include "base/codec.h"
#include "base/hash.h"
#include "manifest/document.h"
#include <stdlib.h>

static const char what[] = "run.json";

void pb_run_file_append(pb_buffer *buffer, const pb_run_file *file)
{
    pb_document_begin(buffer, "run", PB_RUN_FILE_VERSION);
    pb_document_add_text(buffer, "run", file->run);
    pb_document_add_text(buffer, "source", file->source);
    pb_document_add_text(buffer, "prefix", file->prefix);
    pb_document_add_text(buffer, "host", file->process.host);
    pb_document_add_text(buffer, "boot_id", file->process.boot_id);
    pb_document_add_number(buffer, "pid", file->process.pid);
    pb_document_add_number(buffer, "pid_start", file->process.pid_start);
    pb_document_add_number(buffer, "counter", file->counter);
    pb_document_add_text(buffer, "state", file->over ? "over" : "running");
    pb_document_add_text(buffer, "program", file->program);
    pb_buffer_append_text(buffer, "}\n");
}

static int read_members(const json_t *object, pb_run_file *file, pb_error *error)
{
    const char *state;
    bool whole =
        pb_document_snapshot_id(object, "run", what, file->run, error) == 0 &&
        pb_document_text(object, "source", what, &file->source, error) == 0 &&
        pb_document_text(object, "prefix", what, &file->prefix, error) == 0 &&
        pb_document_text(object, "host", what, &file->process.host, error) == 0 &&
        pb_document_text(object, "boot_id", what, &file->process.boot_id, error) == 0 &&
        pb_json_unsigned(object, "pid", what, &file->process.pid, error) == 0 &&
        pb_json_unsigned(object, "pid_start", what, &file->process.pid_start, error) == 0 &&
        pb_json_unsigned(object, "counter", what, &file->counter, error) == 0 &&
        pb_json_string(object, "state", what, &state, error) == 0 &&
        pb_document_text(object, "program", what, &file->program, error) == 0;
    if (!whole)
        return -1;
    file->over = strcmp(state, "over") == 0;
    if (!file->over && strcmp(state, "running") != 0)
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "%s: \"state\" is neither \"running\" nor \"over\"", what);
    return 0;
}

int pb_run_file_parse(pb_slice text, pb_run_file *ret_file, pb_error *error)
{
    json_t *object;
    pb_run_file file = {0};
    if (pb_document_parse(text, "run", PB_RUN_FILE_VERSION, what, &object, error) != 0)
        return -1;
    int result = read_members(object, &file, error);
    json_decref(object);
    if (result == 0)
        *ret_file = file;
    else
        pb_run_file_free(&file);
    return result;
}

void pb_run_file_free(pb_run_file *file)
{
    free(file->source);
    free(file->prefix);
    pb_process_free(&file->process);
    free(file->program);
    *file = (pb_run_file){0};
}

void pb_source_id(const char *source, const char *prefix, char ret_id[PB_SOURCE_ID_SIZE])
{
    pb_buffer text = {0};
    uint8_t digest[PB_SHA256_BYTES];
    pb_buffer_append_text(&text, source);
    pb_buffer_append_char(&text, '\0');
    pb_buffer_append_text(&text, prefix);
    pb_sha256(text.data, text.size, digest);
    pb_hex_encode(digest, (PB_SOURCE_ID_SIZE - 1) / 2, ret_id);
    pb_buffer_free(&text);
}
