#include "cluster/edits/rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/quoted_json.h"
#include <cmocka.h>

#define BINDING(name, namespace)                                                                   \
    "{'kind':'ClusterRoleBinding','metadata':{'name':'" name "'},'subjects':["                     \
    "{'kind':'ServiceAccount','name':'a','namespace':'" namespace "'},"                            \
                                                                  "{'kind':'Group','name':'"       \
                                                                  "system:"                        \
                                                                  "serviceaccounts:" namespace "'" \
                                                                                               "}" \
                                                                                               "]" \
                                                                                               "," \
                                                                                               "'" \
                                                                                               "r" \
                                                                                               "o" \
                                                                                               "l" \
                                                                                               "e" \
                                                                                               "R" \
                                                                                               "e" \
                                                                                               "f" \
                                                                                               "'" \
                                                                                               ":" \
                                                                                               "{" \
                                                                                               "'" \
                                                                                               "k" \
                                                                                               "i" \
                                                                                               "n" \
                                                                                               "d" \
                                                                                               "'" \
                                                                                               ":" \
                                                                                               "'" \
                                                                                               "C" \
                                                                                               "l" \
                                                                                               "u" \
                                                                                               "s" \
                                                                                               "t" \
                                                                                               "e" \
                                                                                               "r" \
                                                                                               "R" \
                                                                                               "o" \
                                                                                               "l" \
                                                                                               "e" \
                                                                                               "'" \
                                                                                               "," \
                                                                                               "'" \
                                                                                               "n" \
                                                                                               "a" \
                                                                                               "m" \
                                                                                               "e" \
                                                                                               "'" \
                                                                                               ":" \
                                                                                               "'" \
                                                                                               "r" \
                                                                                               "'" \
                                                                                               "}" \
                                                                                               "}"

static void expect(const char *before, const char *old, const char *name, const char *after)
{
    json_t *rights = json(before), *wanted = json(after);
    pb_edits_rights(old, name, rights);
    assert_true(json_equal(rights, wanted));
    json_decref(rights);
    json_decref(wanted);
}

static void bindings_become_the_new_namespaces_own(void **state)
{
    (void)state;
    expect("[" BINDING("pachyderm", "old") "]", "old", "new",
           "[" BINDING("pachyderm-new", "new") "]");
    expect("[" BINDING("of-old-x", "old") "]", "old", "new", "[" BINDING("of-new-x", "new") "]");
    /* Not within a word; and each keeps a name of its own. */
    expect("[" BINDING("golden", "old") "]", "old", "new", "[" BINDING("golden-new", "new") "]");
    expect("[" BINDING("viewer", "old") "," BINDING("viewer-old", "old") "]", "old", "new",
           "[" BINDING("viewer-new", "new") "," BINDING("viewer-new-2", "new") "]");
    expect("[" BINDING("pachyderm", "old") "]", "old", "old", "[" BINDING("pachyderm", "old") "]");
    expect("[{'kind':'ClusterRole','metadata':{'name':'r','annotations':"
           "{'meta.helm.sh/release-name':'x'}}}]",
           "old", "new", "[{'kind':'ClusterRole','metadata':{'name':'r'}}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bindings_become_the_new_namespaces_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
