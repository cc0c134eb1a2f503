/*
 * Which channels stand and fall together.
 *
 * A wire is one channel of one value of the graph. What makes a wire fresh is
 * a layer (INPUT, CONV, DENSE); all others pass wires on. Two wires are joined
 * where a graph without one of them would not be regular any more:
 *
 *   ADD, MUL        the same channel of both sides
 *   depthwise CONV  an output and the input it is made from
 *   grouped CONV    the same position in every group, of inputs and outputs
 *   SHUFFLE         the same position in every group
 *   GROUPNORM       all of a group, since its mean is over all of them
 *
 * A set of joined wires is a unit. A unit stays whatever happens when one of
 * its wires is the input's or an output's, goes into an L2NORM, or does not
 * carry 0 into the next layer when all that makes it is 0 (SIGMOID is 1/2
 * there): a model without it would compute something else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_REDUCE_COUPLING_H
#define FL_MODEL_REDUCE_COUPLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/graph.h"

#define FL_UNIT_NONE UINT32_MAX  // of a wire that stays

typedef struct {
    size_t *at;       // (node_count + 1) where the wires of each value begin
    uint32_t *units;  // (at[node_count]) the unit of each wire
    uint32_t unit_count;  // in the order of their first wires
} fl_coupling;

/* The caller owns *coupling: fl_coupling_fini. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_coupling_find(fl_coupling *coupling, const fl_graph *graph);

/* Accepts a zeroed coupling. */
void fl_coupling_fini(fl_coupling *coupling);

/* A CONV whose groups have one input each, so that groups can go. */
bool fl_coupling_is_depthwise(const fl_graph *graph, const fl_node *node);

#endif
