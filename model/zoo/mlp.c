/* SPDX-License-Identifier: Apache-2.0 */
#include "model/zoo/zoo.h"

void fl_mlp_build(fl_chain *chain, const fl_model_options *options)
{
    fl_chain_flatten(chain, "flatten");
    fl_chain_dense(chain, "fc1", 128);
    fl_chain_relu(chain, "relu1");
    fl_chain_dense(chain, "fc2", 64);
    fl_chain_relu(chain, "relu2");
    fl_chain_dense(chain, "fc3", options->class_count);
}
