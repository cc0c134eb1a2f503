/* SPDX-License-Identifier: Apache-2.0 */
#include "model/zoo/zoo.h"

void fl_lenet_build(fl_chain *chain, const fl_model_options *options)
{
    fl_chain_conv(chain, "conv1", 16, 5);
    fl_chain_relu(chain, "relu1");
    fl_chain_pool(chain, "pool1", 2);
    fl_chain_conv(chain, "conv2", 32, 5);
    fl_chain_relu(chain, "relu2");
    fl_chain_pool(chain, "pool2", 2);
    fl_chain_flatten(chain, "flatten");
    fl_chain_dense(chain, "fc1", 128);
    fl_chain_relu(chain, "relu3");
    fl_chain_dense(chain, "fc2", options->class_count);
}
