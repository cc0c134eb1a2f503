/*
 * Built-in architectures: one file each, one line each in zoo.c.
 *
 * A builder appends layers. Every function takes the value that the layer
 * reads and returns the one that it makes, so that an architecture reads like
 * its description; the first failure is remembered, and what follows it does
 * nothing. Layers are named PREFIX.NAME.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_ZOO_ZOO_H
#define FL_MODEL_ZOO_ZOO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/graph.h"
#include "model/model.h"

enum { FL_BUILDER_PREFIX_CAP = 40 };

typedef struct {
    fl_graph *graph;
    const fl_model_options *options;
    uint32_t outputs;  // classes, or numbers of an embedding
    char prefix[FL_BUILDER_PREFIX_CAP];
    fl_err err;
    fl_reason *why;
} fl_builder;

/* A convolution as architectures speak of it. */
typedef struct {
    uint32_t channels, kernel;
    uint32_t stride;       // 0: 1
    uint32_t group_count;  // 0: 1
    bool is_unpadded;      // else kernel / 2 on all sides
    bool has_bias;         // of its own: no batch norm follows
} fl_build;

/* What stands before the names that follow: "block3", or nothing. */
void fl_build_prefix(fl_builder *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

uint32_t fl_build_channels(const fl_builder *b, uint32_t x);  // of a value

uint32_t fl_build_conv(fl_builder *b, const char *name, uint32_t x,
                       fl_build conv);

/* Convolution, batch norm, activation (FL_OP_INPUT: none): NAME, NAME_bn, ...
 */
uint32_t fl_build_unit(fl_builder *b, const char *name, uint32_t x,
                       fl_build conv, fl_op_kind act);

/* The same, depthwise: conv.channels is that of x. */
uint32_t fl_build_depthwise(fl_builder *b, const char *name, uint32_t x,
                            uint32_t kernel, uint32_t stride, fl_op_kind act);

uint32_t fl_build_dense(fl_builder *b, const char *name, uint32_t x,
                        uint32_t outputs);
uint32_t fl_build_max_pool(fl_builder *b, const char *name, uint32_t x,
                           uint32_t kernel, uint32_t stride, uint32_t pad);

/* SUB or DIV by one number a channel. */
uint32_t fl_build_scaling(fl_builder *b, const char *name, uint32_t x,
                          fl_op_kind op, const float *constants);

/* ADD, MUL or CONCAT of two values. */
uint32_t fl_build_pair(fl_builder *b, const char *name, fl_op_kind op,
                       uint32_t x, uint32_t y);

/* Anything else with one input; node.op, and what the operator reads. */
uint32_t fl_build_layer(fl_builder *b, const char *name, uint32_t x,
                        fl_node node);
uint32_t fl_build_plain(fl_builder *b, const char *name, uint32_t x,
                        fl_op_kind op);

/*
 * The usual rule for channels times a width: the nearest multiple of 8, at
 * least 8, and not more than 10 % below (Sandler et al. 2018, their code).
 */
uint32_t fl_build_scaled(const fl_builder *b, uint32_t channels);

/* Each appends everything behind value x and returns the outputs' value. */
typedef uint32_t fl_architecture(fl_builder *b, uint32_t x);
fl_architecture fl_mlp_build, fl_lenet_build, fl_resnet8_build,
    fl_resnet18_build, fl_resnet50_build, fl_mobilenetv2_build,
    fl_mobilenetv2_tiny_build, fl_mobilenetv3_small_build,
    fl_shufflenetv2_build, fl_siamese_build;

/* NULL: there is none of that name. */
fl_architecture *fl_zoo_find(const char *name);

#endif
