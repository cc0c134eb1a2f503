/*
 * Which values of a graph share one quantisation, and which stay float32.
 *
 * float32 (the rest is 8 bits):
 *   - the input and what SUB and DIV make of it, except for the last of them,
 *     which the first layer reads (the input itself when there are none);
 *   - the logits, when CONV, DENSE or L2NORM makes them; and what an L2NORM
 *     at the end reads, when CONV or DENSE makes that.
 *   - what a node that computes in float32 reads or makes, when it is the only
 *     one that reads it, and it comes from the front or another such node, or
 *     is the model's output. CONV and DENSE compute in float32 when they are
 *     told to; activations, pools, FLATTEN and L2NORM when they are the only
 *     reader of what one that does has made.
 * The same quantisation, so that numbers are copied or compared as they are:
 *   - the value of CONV, DENSE, ADD or MUL and that of the RELU or RELU6
 *     behind it, when that is its only reader;
 *   - input and output of MAXPOOL, AVGPOOL, GLOBALPOOL, FLATTEN, SLICE and
 *     SHUFFLE;
 *   - all inputs and the output of CONCAT.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_SHARING_H
#define FL_MODEL_INT8_SHARING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/graph.h"

/* Of one value. */
typedef struct {
    uint32_t group;   // the smallest value with the same quantisation
    uint32_t range;   // number of its group, those of float32 not counted
    bool is_float;    // alone in its group
    bool is_clamped;  // an activation follows that clamps it: its own numbers
                      // say nothing about the range
    bool computes_float;  // its node
} fl_sharing;

/*
 * Fills sharing[0..node_count). The graph is folded. FL_ERR_UNSUPPORTED: an
 * operator has no integer form, where it stands or at all (*why names the
 * node).
 */
FL_CHECK fl_err fl_sharing_find(fl_sharing *sharing, const fl_graph *graph,
                                fl_reason *why);

/* Groups that have a range: all but those of float32. */
size_t fl_sharing_range_count(const fl_sharing *sharing, uint32_t node_count);

/*
 * The same with layers (CONV, DENSE) that compute in float32: true in
 * float_layers, one a node.
 */
FL_CHECK fl_err fl_sharing_find_mixed(fl_sharing *sharing,
                                      const fl_graph *graph,
                                      const bool *float_layers, fl_reason *why);

/* True: behind a node that computes in float32, this one does too. */
bool fl_sharing_follows(fl_op_kind op);

#endif
