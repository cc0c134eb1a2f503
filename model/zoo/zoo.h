/*
 * Built-in architectures: one file each, one line each in zoo.c.
 *
 * A chain appends layers one behind the other and remembers the first
 * failure, so that an architecture reads like its description.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_ZOO_ZOO_H
#define FL_MODEL_ZOO_ZOO_H

#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/graph.h"
#include "model/model.h"

typedef struct {
    fl_graph *graph;
    fl_err err;
    fl_reason *why;
} fl_chain;

void fl_chain_conv(fl_chain *chain, const char *name, uint32_t channels,
                   uint32_t kernel);
void fl_chain_dense(fl_chain *chain, const char *name, uint32_t outputs);
void fl_chain_relu(fl_chain *chain, const char *name);
void fl_chain_pool(fl_chain *chain, const char *name, uint32_t kernel);
void fl_chain_flatten(fl_chain *chain, const char *name);

/* Both append everything behind the input and its scaling. */
void fl_mlp_build(fl_chain *chain, const fl_model_options *options);
void fl_lenet_build(fl_chain *chain, const fl_model_options *options);

#endif
