/*
 * The graph of a network: nodes in the order in which they run.
 *
 * Node i produces value i, one (height, width, channels) block an example;
 * node 0 is the input. A node's inputs have smaller numbers, so a graph
 * cannot have a cycle. Parameters live in one flat array; a node holds the
 * offsets of its weight, its bias and its running statistics.
 *
 * SUB and DIV have a constant per channel on their right side, kept in
 * `constants`: not trained, not part of an update.
 *
 *   CONV       weight (O, kernel_h, kernel_w, I / groups), bias (O)
 *   DENSE      weight (O, I), I over the input's H, W, C; bias (O)
 *   BATCHNORM  weight (C), bias (C), statistics: mean (C), variance (C)
 *   GROUPNORM  weight (C), bias (C); over H, W and C / groups of an example
 *   ADD        two inputs of one shape
 *   MUL        (H, W, C) times (1, 1, C), or two of one shape
 *   CONCAT     inputs of one height and width, channels one after the other
 *   SLICE      channels from `first` on, out_count of them
 *   SHUFFLE    channel g * (C / groups) + k goes to k * groups + g
 *   L2NORM     x / max(|x|, epsilon) over the channels of a pixel
 *   FAKEQUANT  x rounded as it would be in 8 bits: scale alpha, zero point
 *              beta; training only, ONNX does not have it
 *
 * All activations are NHWC.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_GRAPH_H
#define FL_MODEL_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "data/data.h"

enum {
    FL_GRAPH_NODES_MAX = 1024,
    FL_NODE_INPUTS_MAX = 8,
    FL_NODE_NAME_CAP = 64,
    FL_GRAPH_VALUES_MAX = 1 << 26,  // floats of one value of one example
};

/* One line an operator: enum value, ONNX's name for it. */
#define FL_OP_LIST(X)                        \
    X(FL_OP_INPUT, "Input")                  \
    X(FL_OP_SUB, "Sub")                      \
    X(FL_OP_DIV, "Div")                      \
    X(FL_OP_CONV, "Conv")                    \
    X(FL_OP_DENSE, "Gemm")                   \
    X(FL_OP_BATCHNORM, "BatchNormalization") \
    X(FL_OP_GROUPNORM, "GroupNormalization") \
    X(FL_OP_RELU, "Relu")                    \
    X(FL_OP_RELU6, "Clip")                   \
    X(FL_OP_LEAKY_RELU, "LeakyRelu")         \
    X(FL_OP_HARD_SWISH, "HardSwish")         \
    X(FL_OP_HARD_SIGMOID, "HardSigmoid")     \
    X(FL_OP_SIGMOID, "Sigmoid")              \
    X(FL_OP_TANH, "Tanh")                    \
    X(FL_OP_ADD, "Add")                      \
    X(FL_OP_MUL, "Mul")                      \
    X(FL_OP_MAXPOOL, "MaxPool")              \
    X(FL_OP_AVGPOOL, "AveragePool")          \
    X(FL_OP_GLOBALPOOL, "GlobalAveragePool") \
    X(FL_OP_CONCAT, "Concat")                \
    X(FL_OP_SLICE, "Slice")                  \
    X(FL_OP_SHUFFLE, "ChannelShuffle")       \
    X(FL_OP_FLATTEN, "Flatten")              \
    X(FL_OP_DROPOUT, "Dropout")              \
    X(FL_OP_L2NORM, "LpNormalization")       \
    X(FL_OP_FAKEQUANT, "FakeQuantize")

typedef enum {
#define FL_OP_ENUM(name, onnx) name,
    FL_OP_LIST(FL_OP_ENUM)
#undef FL_OP_ENUM
        FL_OP_COUNT
} fl_op_kind;

/* Of CONV and the pools. */
typedef struct {
    uint32_t kernel_h, kernel_w;
    uint32_t stride_h, stride_w;
    uint32_t pad_top, pad_left, pad_bottom, pad_right;
} fl_window;

typedef struct {
    fl_op_kind op;
    char name[FL_NODE_NAME_CAP];  // ONNX's node name, for messages
    uint32_t inputs[FL_NODE_INPUTS_MAX];
    uint32_t input_count;
    fl_shape shape;       // of the value it produces
    fl_window window;     // CONV, MAXPOOL, AVGPOOL
    bool counts_padding;  // AVGPOOL: padding is zeros, not left out
    uint32_t out_count;   // CONV: output channels; DENSE: outputs; SLICE
    uint32_t dilation_h, dilation_w;  // CONV; 0 in a template: 1
    uint32_t group_count;  // CONV, GROUPNORM, SHUFFLE; 0 in a template: 1
    uint32_t first;        // SLICE
    float alpha;           // LEAKY_RELU: slope below 0; HARD_SIGMOID:
    float beta;            //   alpha * x + beta; DROPOUT: alpha is the ratio;
                           //   FAKEQUANT: scale and zero point
    float x_scale;         // CONV, DENSE: weights count as what they are in 8
                           //   bits behind an input of this scale; 0: exact
    float epsilon;         // BATCHNORM, GROUPNORM, L2NORM
    float momentum;        // BATCHNORM: a batch's share in the statistics
    size_t weight_at, weight_count;  // floats, in the parameter array
    size_t bias_at, bias_count;      // 0 when it has none
    size_t stats_at, stats_count;    // BATCHNORM; not trained
    size_t constant_at;  // SUB, DIV: shape.channels floats in `constants`
} fl_node;

typedef struct {
    fl_node *nodes;
    uint32_t node_count;
    size_t param_count;
    float *constants;
    size_t constant_count;
} fl_graph;

/* Who reads a value, of the nodes that the last value depends on. */
typedef struct {
    uint32_t count;  // 0: nobody; the last value's one reader is outside
    uint32_t only;   // the node, if it is the only reader; or FL_GRAPH_NONE
} fl_readers;

#define FL_GRAPH_NONE UINT32_MAX  // no such node

struct fl_model {
    fl_graph graph;
    float *params;
};

/*
 * Appends one node: checks its inputs, works out its output shape, and gives
 * it parameter offsets behind those of the earlier nodes (`has_bias` only
 * matters to CONV and DENSE). *node is a template: what the operator's line
 * above names is read, the graph's node has the rest.
 * `constants`: SUB and DIV's, one a channel, copied; else NULL. FL_ERR_FORMAT:
 * shapes do not fit together, or a constant is not finite or divides by zero
 * (*why names the node). FL_ERR_LIMIT: too many nodes or parameters, or too
 * large a value. FL_ERR_MEMORY. After an error the graph is unchanged.
 */
FL_CHECK fl_err fl_graph_add(fl_graph *graph, const fl_node *node,
                             bool has_bias, const float *constants,
                             fl_reason *why);

/* A deep copy; the caller owns *copy: fl_graph_fini. */
FL_CHECK fl_err fl_graph_copy(fl_graph *copy, const fl_graph *graph);

/* Frees the nodes, not the struct. Accepts a zeroed graph. */
void fl_graph_fini(fl_graph *graph);

/* Multiplications by a weight that a node takes for one example. */
uint64_t fl_graph_mac_count(const fl_graph *graph, uint32_t i);

/* CONV and DENSE: a matrix of weights, a row an output. */
bool fl_graph_has_weights(const fl_node *node);

/* Fills readers[0..node_count), one a value. The graph has a node at least. */
void fl_graph_find_readers(fl_readers *readers, const fl_graph *graph);

/* "Conv", "Gemm", ...; never NULL. */
const char *fl_op_name(fl_op_kind op);

#endif
