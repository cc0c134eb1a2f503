/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/op.h"

const fl_op fl_div_op = {
    .input_count = 1,
    .has_constants = true,
    .shape = fl_op_same_shape,
};
