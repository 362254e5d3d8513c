#include "cluster/edits/rights.h"

#include "base/bytes.h"
#include "cluster/edits/helm.h"
#include "cluster/kubernetes/object.h"

#include <ctype.h>
#include <string.h>

static void rename_subjects(json_t *binding, const char *name)
{
    json_t *subject;
    size_t i;
    json_array_foreach(json_object_get(binding, "subjects"), i, subject)
    {
        if (strcmp(pb_object_kind(subject), "ServiceAccount") == 0) {
            json_object_set_new(subject, "namespace", json_string(name));
        } else { /* the group of all accounts of a namespace */
            pb_buffer group = {0};
            pb_buffer_append_format(&group, "system:serviceaccounts:%s", name);
            json_object_set_new(subject, "name", json_string(group.data));
            pb_buffer_free(&group);
        }
    }
}

/* Where the namespace's name stands by itself; NULL: nowhere. */
static const char *find_word(const char *text, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = text; size && (at = strstr(at, word)); at++)
        if ((at == text || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[size]))
            return at;
    return NULL;
}

/* "pachyderm-OLD" becomes "pachyderm-NEW", and "pachyderm" "pachyderm-NEW"; of two that would have
 * one name the second is "pachyderm-NEW-2". */
static void rename_binding(json_t *binding, const char *old, const char *name, json_t *taken)
{
    const char *before = pb_object_name(binding), *place = find_word(before, old);
    pb_buffer after = {0};
    if (place) {
        pb_buffer_append(&after, before, (size_t)(place - before));
        pb_buffer_append_format(&after, "%s%s", name, place + strlen(old));
    } else {
        pb_buffer_append_format(&after, "%s-%s", before, name);
    }
    size_t size = after.size;
    for (unsigned number = 2; json_object_get(taken, after.data); number++) {
        after.size = size;
        pb_buffer_append_format(&after, "-%u", number);
    }
    json_object_set_new(taken, after.data, json_true());
    json_object_set_new(json_object_get(binding, "metadata"), "name", json_string(after.data));
    pb_buffer_free(&after);
}

void pb_edits_rights(const char *old, const char *name, json_t *rights)
{
    json_t *object;
    size_t i;
    if (strcmp(old, name) == 0)
        return;
    pb_helm_remove(rights);
    json_t *taken = json_object();
    json_array_foreach(rights, i, object)
    {
        if (strcmp(pb_object_kind(object), "ClusterRoleBinding") != 0)
            continue;
        rename_subjects(object, name);
        rename_binding(object, old, name, taken);
    }
    json_decref(taken);
}
