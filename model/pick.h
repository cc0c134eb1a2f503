/*
 * Layers that are named in options: names or patterns with * and ?, separated
 * by commas.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_PICK_H
#define FL_MODEL_PICK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/graph.h"

/* Which nodes a list may name, and how a message calls them. */
typedef struct {
    const char *option;  // "freeze"
    const char *what;    // "layer with parameters"
    bool (*fits)(const fl_node *node);
} fl_pick;

/*
 * Sets picked[i] of the nodes that `list` names and `pick` accepts; leaves the
 * others as they are. NULL and "" name none. FL_ERR_NOT_FOUND: a part of the
 * list fits no such node.
 */
FL_CHECK fl_err fl_pick_nodes(bool *picked, const fl_graph *graph,
                              const char *list, const fl_pick *pick,
                              fl_reason *why);

#endif
