/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/op.h"

const fl_op fl_relu_op = {.input_count = 1, .shape = fl_op_same_shape};
