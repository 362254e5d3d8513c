/* The text of pachctl's configuration: pure. */
#include "base/codec.h"
#include "cluster/pachyderm/pachctl.h"

#include <ctype.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static bool is_host(pb_slice host, bool bracketed)
{
    for (size_t i = 0; i < host.size; i++) {
        char c = host.data[i];
        if (!isascii((unsigned char)c) ||
            (!isalnum((unsigned char)c) && !strchr(bracketed ? ":.%" : ".-_", c)))
            return false;
    }
    return host.size > 0;
}

int pb_pachctl_address(const char *address, pb_buffer *ret_text, pb_error *error)
{
    static const struct {
        const char *scheme, *port;
    } schemes[] = {
        {"grpc://", "30650"}, {"grpcs://", "30650"}, {"http://", "80"}, {"https://", "443"}};
    const char *scheme = schemes[0].scheme, *port = schemes[0].port, *rest = address;
    for (size_t i = 0; i < COUNT(schemes); i++)
        if (strncmp(address, schemes[i].scheme, strlen(schemes[i].scheme)) == 0) {
            scheme = schemes[i].scheme;
            port = schemes[i].port;
            rest = address + strlen(scheme);
        }
    bool bracketed = *rest == '[';
    size_t size = strcspn(rest, bracketed ? "]" : ":/");
    pb_slice host = {rest + bracketed, size - (bracketed && size > 0)};
    const char *after = rest + size + (bracketed && rest[size] == ']');
    bool good = is_host(host, bracketed) && (!bracketed || rest[size] == ']');
    size_t digits = 0;
    if (good && *after == ':') {
        uint64_t number;
        port = after + 1;
        digits = strcspn(port, "/");
        good =
            pb_parse_unsigned((pb_slice){port, digits}, &number) && number > 0 && number <= 65535;
        after = port + digits;
    }
    if (!good || (*after != '\0' && strcmp(after, "/") != 0)) {
        pb_error_set(error, PB_ERROR_USAGE, "not the address of a pachd");
        return pb_error_hint(error, "HOST, HOST:PORT or grpc://HOST:30650 (grpcs:// with TLS)");
    }
    pb_buffer_append_format(ret_text, bracketed ? "%s[%.*s]:%.*s" : "%s%.*s:%.*s", scheme,
                            PB_SLICE_FORMAT(host), digits ? (int)digits : (int)strlen(port), port);
    return 0;
}

static int refuse(pb_error *error, const char *why)
{
    return pb_error_set(error, PB_ERROR_USAGE, "pachctl's configuration: %s", why);
}

/* A member that is an object, made where there is none; NULL where it is something else. */
static json_t *inner(json_t *object, const char *name)
{
    if (json_object_get(object, name) == NULL || json_is_null(json_object_get(object, name)))
        json_object_set_new(object, name, json_object());
    json_t *found = json_object_get(object, name);
    return json_is_object(found) ? found : NULL;
}

static int put(json_t *root, const char *cluster, const char *address, pb_error *error)
{
    /* pachctl brings such a one up to date itself, but not any more once there is a v2. */
    if (json_object_get(root, "v1") && json_object_get(root, "v2") == NULL) {
        refuse(error, "in the form of Pachyderm 1.x");
        return pb_error_hint(error, "run any command of pachctl 2, which brings it up to date");
    }
    json_t *v2 = inner(root, "v2");
    json_t *contexts = v2 ? inner(v2, "contexts") : NULL;
    json_t *context = contexts ? inner(contexts, cluster) : NULL;
    if (context == NULL)
        return refuse(error, "v2, its contexts or the context is not an object");
    json_object_set_new(context, "pachd_address", json_string(address));
    json_object_set_new(v2, "active_context", json_string(cluster));
    return 0;
}

static int append_chunk(const char *data, size_t size, void *buffer)
{
    pb_buffer_append(buffer, data, size);
    return 0;
}

int pb_pachctl_context(pb_slice text, const char *cluster, const char *address, pb_buffer *ret_text,
                       pb_error *error)
{
    pb_buffer url = {0};
    json_error_t cause;
    bool empty = true;
    for (size_t i = 0; i < text.size; i++)
        empty = empty && isspace((unsigned char)text.data[i]);
    if (!pb_utf8_valid(pb_slice_of(cluster)) || *cluster == '\0' || *cluster == '-')
        return pb_error_set(error, PB_ERROR_USAGE, "not a name for a context of pachctl");
    for (const char *at = cluster; *at; at++)
        if (iscntrl((unsigned char)*at))
            return pb_error_set(error, PB_ERROR_USAGE, "not a name for a context of pachctl");
    if (pb_pachctl_address(address, &url, error) != 0)
        return -1;
    /* Not pb_json_parse: it quotes what it stumbles over, and that may be a session's token. */
    json_t *root =
        empty ? json_object() : json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, &cause);
    int done = 0;
    if (root == NULL)
        done = pb_error_set(error, PB_ERROR_USAGE,
                            "pachctl's configuration: not valid JSON: line %d, column %d",
                            cause.line, cause.column);
    else if (!json_is_object(root))
        done = refuse(error, "not an object");
    else
        done = put(root, cluster, url.data, error);
    if (done == 0) {
        if (json_dump_callback(root, append_chunk, ret_text, JSON_INDENT(2)) != 0)
            abort();
        pb_buffer_append_char(ret_text, '\n');
    }
    json_decref(root);
    pb_buffer_free(&url);
    return done;
}
