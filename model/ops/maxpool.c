/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/op.h"

static fl_err maxpool_shape(fl_node *node, const fl_shape *inputs,
                            fl_reason *why)
{
    node->shape.channels = inputs[0].channels;
    return fl_op_window_shape(&node->shape, node, inputs[0], why);
}

const fl_op fl_maxpool_op = {.input_count = 1, .shape = maxpool_shape};
