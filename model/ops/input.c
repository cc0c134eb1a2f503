/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/op.h"

static fl_err input_shape(fl_node *node, const fl_shape *inputs, fl_reason *why)
{
    (void)inputs, (void)why;  // the template holds the shape
    (void)node;
    return FL_OK;
}

const fl_op fl_input_op = {.input_count = 0, .shape = input_shape};
