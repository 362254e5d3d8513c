#include "cluster/edits/namespace.h"

#include "base/base64.h"
#include "base/codec.h"
#include "cluster/edits/helm.h"
#include "cluster/kubernetes/object.h"

#include <ctype.h>
#include <stdlib.h>

typedef struct move {
    const char *old, *name;
    size_t old_size;
    json_t *services; /* a member for each Service among the objects */
} move;

/* ---- text ---- */

static bool is_label(char byte)
{
    return isalnum((unsigned char)byte) || byte == '-';
}

/* Is the label that ends at `end` a Service's name? */
static bool ends_with_service(const move *self, const char *text, const char *end)
{
    const char *start = end;
    while (start > text && is_label(start[-1]))
        start--;
    return json_object_getn(self->services, start, (size_t)(end - start)) != NULL;
}

/* Is `dot`, with the old namespace behind it, within the name of a host: "X.OLD.svc...", or
 * "SERVICE.OLD" alone? */
static bool names_old(const move *self, const char *text, const char *dot)
{
    if (dot == text || !isalnum((unsigned char)dot[-1]) ||
        strncmp(dot + 1, self->old, self->old_size) != 0)
        return false;
    const char *rest = dot + 1 + self->old_size;
    if (strncmp(rest, ".svc", 4) == 0)
        return !is_label(rest[4]);
    return !is_label(*rest) && *rest != '.' && *rest != '_' && ends_with_service(self, text, dot);
}

/* The text with the new name in place of the old one; false where it does not name that. */
static bool rename_text(const move *self, const char *text, pb_buffer *ret_edited)
{
    const char *from = text;
    for (const char *dot = strchr(text, '.'); dot; dot = strchr(dot + 1, '.')) {
        if (!names_old(self, text, dot))
            continue;
        pb_buffer_append(ret_edited, from, (size_t)(dot + 1 - from));
        pb_buffer_append_text(ret_edited, self->name);
        from = dot + 1 + self->old_size;
    }
    if (from == text)
        return false;
    pb_buffer_append_text(ret_edited, from);
    return true;
}

/* NULL where nothing is to be changed; `whole`: the text may be the old name and nothing else. */
static json_t *renamed(const move *self, const json_t *value, bool whole)
{
    const char *text = json_string_value(value);
    pb_buffer edited = {0};
    json_t *result = NULL;
    if (text && whole && strcmp(text, self->old) == 0)
        return json_string(self->name);
    if (text && rename_text(self, text, &edited))
        result = json_stringn(edited.data, edited.size);
    pb_buffer_free(&edited);
    return result;
}

/* ---- objects ---- */

/* Does this member hold nothing but the name of a namespace? */
static bool is_namespace(const json_t *owner, const char *member)
{
    static const char label[] = "kubernetes.io/metadata.name";
    if (strcmp(member, "namespace") == 0 || strcmp(member, label) == 0 ||
        strcmp(member, "matchNames") == 0)
        return true;
    if (strcmp(member, "value") == 0) /* of a variable */
        return pb_slice_ends_with(pb_slice_of(pb_object_text(owner, "name")),
                                  PB_SLICE_LITERAL("NAMESPACE"));
    return strcmp(member, "values") == 0 && /* of an expression that selects */
           strcmp(pb_object_text(owner, "key"), label) == 0;
}

/* All text in `value`, which is a member of another; `whole` as above. */
static void walk(const move *self, json_t *value, bool whole)
{
    const char *member;
    json_t *item, *edited;
    void *next;
    size_t i;
    json_object_foreach_safe(value, next, member, item)
    {
        bool is_name = is_namespace(value, member);
        if ((edited = renamed(self, item, is_name)))
            json_object_set_new(value, member, edited);
        else
            walk(self, item, is_name);
    }
    if (json_is_array(value))
        for (i = 0; i < json_array_size(value); i++) {
            item = json_array_get(value, i);
            if ((edited = renamed(self, item, whole)))
                json_array_set_new(value, i, edited);
            else
                walk(self, item, false);
        }
}

/* Values of a secret that are text. */
static void walk_secret(const move *self, json_t *data)
{
    const char *member;
    json_t *value;
    void *next;
    json_object_foreach_safe(data, next, member, value)
    {
        const char *text = json_string_value(value);
        pb_buffer decoded = {0}, edited = {0}, encoded = {0};
        if (text && pb_base64_decode(&decoded, pb_slice_of(text)) && decoded.size &&
            !memchr(decoded.data, 0, decoded.size) && pb_utf8_valid(pb_buffer_slice(&decoded)) &&
            rename_text(self, decoded.data, &edited)) {
            pb_base64_encode(&encoded, pb_buffer_slice(&edited));
            json_object_set_new(data, member, json_stringn(encoded.data, encoded.size));
        }
        pb_buffer_free(&decoded);
        pb_buffer_free(&edited);
        pb_buffer_free(&encoded);
    }
}

static void rename_in(const move *self, json_t *object)
{
    bool is_secret = strcmp(pb_object_kind(object), "Secret") == 0;
    const char *member;
    json_t *value;
    json_object_foreach(object, member, value)
    {
        if (strcmp(member, "metadata") == 0)
            walk(self, json_object_get(value, "annotations"), false);
        else if (is_secret && strcmp(member, "data") == 0)
            walk_secret(self, value);
        else
            walk(self, value, false);
    }
}

static void drop_node_ports(const json_t *service)
{
    json_t *port;
    size_t i;
    json_array_foreach(pb_object_at(service, "spec.ports"), i, port)
    {
        json_object_del(port, "nodePort");
    }
}

static json_t *services_of(const json_t *objects)
{
    json_t *services = json_object();
    const json_t *object;
    size_t i;
    json_array_foreach(objects, i, object)
    {
        if (strcmp(pb_object_kind(object), "Service") == 0)
            json_object_set_new(services, pb_object_name(object), json_true());
    }
    return services;
}

int pb_edits_namespace(const char *old, const char *name, json_t *objects, pb_error *error)
{
    size_t size = strlen(name), i, found = 0;
    json_t *object;
    if (size == 0 || size > 63 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != size ||
        name[0] == '-' || name[size - 1] == '-')
        return pb_error_set(error, PB_ERROR_USAGE,
                            "namespace: \"%s\" is no name of a namespace: a to z, 0 to 9 and '-', "
                            "63 at most",
                            name);
    move self = {old, name, strlen(old), services_of(objects)};
    bool moves = strcmp(old, name) != 0;
    json_array_foreach(objects, i, object)
    {
        json_t *metadata = json_object_get(object, "metadata");
        if (!json_is_object(metadata))
            continue;
        json_object_set_new(metadata, "namespace", json_string(name));
        found++;
        if (!moves || pb_helm_is_release(object))
            continue;
        if (*old)
            rename_in(&self, object);
        /* A cluster has each node port once, and the old namespace may be in it. */
        if (strcmp(pb_object_kind(object), "Service") == 0)
            drop_node_ports(object);
    }
    json_decref(self.services);
    if (found == 0)
        return pb_error_set(error, PB_ERROR_FAILED, "namespace: found no object");
    return 0;
}
