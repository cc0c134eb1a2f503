/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pick.h"

#include <fnmatch.h>
#include <string.h>

// Marks the nodes that one name or pattern of the list means.
static fl_err pick_part(bool *picked, const fl_graph *graph, const char *name,
                        size_t name_len, const fl_pick *pick, fl_reason *why)
{
    char pattern[FL_NODE_NAME_CAP];
    bool is_known = false;
    if (name_len < sizeof pattern) {
        memcpy(pattern, name, name_len);
        pattern[name_len] = '\0';
        for (uint32_t i = 0; i < graph->node_count; i++) {
            const fl_node *node = &graph->nodes[i];
            if (!pick->fits(node)) continue;
            if (fnmatch(pattern, node->name, 0) != 0) continue;
            picked[i] = is_known = true;
        }
    }
    if (is_known) return FL_OK;
    return fl_reason_set(why, FL_ERR_NOT_FOUND, "%s: \"%.*s\" fits no %s",
                         pick->option, (int)name_len, name, pick->what);
}

fl_err fl_pick_nodes(bool *picked, const fl_graph *graph, const char *list,
                     const fl_pick *pick, fl_reason *why)
{
    while (list && *list) {
        const size_t len = strcspn(list, ",");
        FL_TRY(pick_part(picked, graph, list, len, pick, why));
        list += len + (list[len] == ',');
    }
    return FL_OK;
}
