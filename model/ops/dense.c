/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "model/ops/op.h"

static fl_err dense_shape(fl_node *node, const fl_shape *inputs, fl_reason *why)
{
    if (node->out_count == 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "node \"%s\" (Gemm) has no outputs", node->name);
    }
    node->shape = (fl_shape){1, 1, node->out_count};
    node->bias_count = node->out_count;
    return fl_size_mul(&node->weight_count, node->out_count,
                       fl_shape_size(inputs[0]));
}

const fl_op fl_dense_op = {.input_count = 1, .shape = dense_shape};
