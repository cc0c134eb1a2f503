/* SPDX-License-Identifier: Apache-2.0 */
#include "model/zoo/zoo.h"

static fl_build conv5x5(uint32_t channels)
{
    return (fl_build){.channels = channels,
                      .kernel = 5,
                      .is_unpadded = true,
                      .has_bias = true};
}

uint32_t fl_lenet_build(fl_builder *b, uint32_t x)
{
    x = fl_build_conv(b, "conv1", x, conv5x5(16));
    x = fl_build_plain(b, "relu1", x, FL_OP_RELU);
    x = fl_build_max_pool(b, "pool1", x, 2, 2, 0);
    x = fl_build_conv(b, "conv2", x, conv5x5(32));
    x = fl_build_plain(b, "relu2", x, FL_OP_RELU);
    x = fl_build_max_pool(b, "pool2", x, 2, 2, 0);
    x = fl_build_plain(b, "flatten", x, FL_OP_FLATTEN);
    x = fl_build_dense(b, "fc1", x, 128);
    x = fl_build_plain(b, "relu3", x, FL_OP_RELU);
    return fl_build_dense(b, "fc2", x, b->outputs);
}
