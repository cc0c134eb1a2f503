/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "model/ops/op.h"

static fl_err conv_shape(fl_node *node, const fl_shape *inputs, fl_reason *why)
{
    if (node->out_count == 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (Conv) has no output channels",
                             node->name);
    }
    node->shape.channels = node->out_count;
    node->bias_count = node->out_count;
    FL_TRY(fl_op_window_shape(&node->shape, node, inputs[0], why));

    size_t patch;
    FL_TRY(fl_size_mul(&patch, node->window.kernel_h, node->window.kernel_w));
    FL_TRY(fl_size_mul(&patch, patch, inputs[0].channels));
    return fl_size_mul(&node->weight_count, patch, node->out_count);
}

const fl_op fl_conv_op = {.input_count = 1, .shape = conv_shape};
