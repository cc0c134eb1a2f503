/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/op.h"

static fl_err flatten_shape(fl_node *node, const fl_shape *inputs,
                            fl_reason *why)
{
    (void)why;
    // fl_graph_add keeps every value below 2^32 floats.
    node->shape = (fl_shape){1, 1, (uint32_t)fl_shape_size(inputs[0])};
    return FL_OK;
}

const fl_op fl_flatten_op = {
    .input_count = 1,
    .is_view = true,
    .shape = flatten_shape,
};
