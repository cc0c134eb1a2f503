/* SPDX-License-Identifier: Apache-2.0 */
#include "model/zoo/zoo.h"

uint32_t fl_mlp_build(fl_builder *b, uint32_t x)
{
    x = fl_build_plain(b, "flatten", x, FL_OP_FLATTEN);
    x = fl_build_dense(b, "fc1", x, 128);
    x = fl_build_plain(b, "relu1", x, FL_OP_RELU);
    x = fl_build_dense(b, "fc2", x, 64);
    x = fl_build_plain(b, "relu2", x, FL_OP_RELU);
    return fl_build_dense(b, "fc3", x, b->outputs);
}
