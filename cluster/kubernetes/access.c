#include "cluster/kubernetes/access.h"

static void set_text(json_t *object, const char *name, const char *text)
{
    if (text[0])
        json_object_set_new(object, name, json_string(text));
}

json_t *pb_access_questions(const pb_access *accesses, size_t count)
{
    json_t *items = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *asked = json_object();
        set_text(asked, "namespace", accesses[i].name_space);
        set_text(asked, "verb", accesses[i].verb);
        set_text(asked, "group", accesses[i].group);
        set_text(asked, "resource", accesses[i].resource);
        set_text(asked, "subresource", accesses[i].subresource);
        set_text(asked, "name", accesses[i].name);
        json_array_append_new(
            items, json_pack("{s:s, s:s, s:{s:o}}", "apiVersion", "authorization.k8s.io/v1", "kind",
                             "SelfSubjectAccessReview", "spec", "resourceAttributes", asked));
    }
    return json_pack("{s:s, s:s, s:o}", "apiVersion", "v1", "kind", "List", "items", items);
}

static bool take_line(pb_slice *text, const char *line)
{
    size_t size = strlen(line);
    if (text->size < size || memcmp(text->data, line, size) != 0)
        return false;
    text->data += size;
    text->size -= size;
    return true;
}

int pb_access_answers(pb_slice text, pb_access *accesses, size_t count, pb_error *error)
{
    pb_slice left = text;
    size_t answers = 0;
    while (take_line(&left, "true\n") || take_line(&left, "false\n"))
        answers++;
    if (left.size || answers != count)
        return pb_error_set(error, PB_ERROR_FAILED,
                            "the API server does not say what this account may do: %zu answers to "
                            "%zu questions",
                            answers, count);
    for (size_t i = 0; i < count; i++) {
        accesses[i].allowed = take_line(&text, "true\n");
        if (!accesses[i].allowed)
            take_line(&text, "false\n");
    }
    return 0;
}

int pb_access_ask(const pb_kubectl *kubectl, pb_access *accesses, size_t count, pb_error *error)
{
    /* A review is "created" and kept nowhere. Without validation: kubectl would fetch the schema of
     * the whole API for it. */
    static const char *const arguments[] = {"create", "--validate=false", "--filename=-",
                                            "--output=jsonpath={.status.allowed}{\"\\n\"}", NULL};
    json_t *questions = pb_access_questions(accesses, count);
    pb_buffer text = {0}, output = {0};
    pb_json_append(&text, questions);
    int failed = pb_kubectl_run(kubectl, arguments, pb_buffer_slice(&text), &output, error);
    if (!failed)
        failed = pb_access_answers(pb_buffer_slice(&output), accesses, count, error);
    if (failed)
        pb_error_context(error, "asking for the rights of this account");
    pb_buffer_free(&text);
    pb_buffer_free(&output);
    json_decref(questions);
    return failed;
}

void pb_access_describe(const pb_access *access, pb_buffer *text)
{
    pb_buffer_append_format(text, "%s %s", access->verb, access->resource);
    if (access->group[0])
        pb_buffer_append_format(text, ".%s", access->group);
    if (access->name[0])
        pb_buffer_append_format(text, "/%s", access->name);
    if (access->subresource[0])
        pb_buffer_append_format(text, "/%s", access->subresource);
}
