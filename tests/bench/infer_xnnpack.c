/*
 * XNNPACK's side of bench-infer: the networks of the zoo in float32 and in
 * INT8 (qc8: weights quantised per channel, activations per tensor), built
 * through its subgraph interface with batch norms folded and activations
 * fused. Weights are random, which costs the same time as trained ones. The
 * INT8 networks take and give float32, as ours do.
 *
 *   infer_xnnpack NETWORK
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xnnpack.h>

#include "tests/support/measure.h"

enum { IMAGE = 28, CLASSES = 10, TENSOR_BYTES = 1 << 18, EDGE_COUNT = 2 };

// External values.
enum { INPUT, OUTPUT };

#define NO_LIMIT     (-INFINITY), INFINITY
#define RELU         0.0F, INFINITY
#define RELU6        0.0F, 6.0F
#define VALUE_SCALE  0.05F  // of activations; any will do
#define WEIGHT_SCALE 0.01F
#define CHECK(call)  check((call), #call)

typedef struct {
    uint32_t id;
    size_t height, width, channels;
} value;

typedef struct {
    xnn_subgraph_t subgraph;
    xnn_runtime_t runtime;
    bool is_int8;
    size_t param_count;
} net;

typedef struct {
    size_t channels, kernel, stride, pad;
    bool is_depthwise;
} convolution;

static void check(enum xnn_status status, const char *call)
{
    if (status == xnn_status_success) return;
    fprintf(stderr, "infer_xnnpack: status %d of %s\n", (int)status, call);
    exit(EXIT_FAILURE);
}

/* ---- values ---- */

static uint32_t define(const net *n, enum xnn_datatype type, size_t rank,
                       const size_t *dims, uint32_t external, uint32_t flags)
{
    uint32_t id;
    if (type == xnn_datatype_fp32) {
        CHECK(xnn_define_tensor_value(n->subgraph, type, rank, dims, NULL,
                                      external, flags, &id));
    } else {
        CHECK(xnn_define_quantized_tensor_value(n->subgraph, type, 0,
                                                VALUE_SCALE, rank, dims, NULL,
                                                external, flags, &id));
    }
    return id;
}

// A new value of v's shape; v.id does not matter.
static value define_value(const net *n, value v)
{
    const size_t dims[] = {1, v.height, v.width, v.channels};
    v.id = define(n, n->is_int8 ? xnn_datatype_qint8 : xnn_datatype_fp32, 4,
                  dims, XNN_INVALID_VALUE_ID, 0);
    return v;
}

// Bytes that outlive the runtime: programs this short never free them.
static void *draw_bytes(size_t len)
{
    signed char *bytes = malloc(len);
    if (!bytes) abort();
    for (size_t i = 0; i < len; i++)
        bytes[i] = (signed char)(rand() % 255 - 127);
    return bytes;
}

static float *draw_floats(size_t count)
{
    float *floats = malloc(count * sizeof *floats);
    if (!floats) abort();
    for (size_t i = 0; i < count; i++)
        floats[i] = (float)(rand() % 255 - 127) * WEIGHT_SCALE;
    return floats;
}

static float *fill_floats(size_t count, float x)
{
    float *floats = malloc(count * sizeof *floats);
    if (!floats) abort();
    for (size_t i = 0; i < count; i++)
        floats[i] = x;
    return floats;
}

static int32_t *fill_zeros(size_t count)
{
    int32_t *zeros = calloc(count, sizeof *zeros);
    if (!zeros) abort();
    return zeros;
}

static size_t element_count(size_t rank, const size_t *dims)
{
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= dims[i];
    return count;
}

// A constant of the network, quantised per channel along `channel_dim`.
static uint32_t define_weight(net *n, size_t rank, const size_t *dims,
                              size_t channel_dim)
{
    const size_t count = element_count(rank, dims);
    const bool is_bias = rank == 1;
    uint32_t id;
    n->param_count += count;
    if (!n->is_int8) {
        CHECK(xnn_define_tensor_value(n->subgraph, xnn_datatype_fp32, rank,
                                      dims, draw_floats(count),
                                      XNN_INVALID_VALUE_ID, 0, &id));
        return id;
    }
    CHECK(xnn_define_channelwise_quantized_tensor_value(
        n->subgraph, is_bias ? xnn_datatype_qcint32 : xnn_datatype_qcint8,
        fill_floats(dims[channel_dim],
                    is_bias ? VALUE_SCALE * WEIGHT_SCALE : WEIGHT_SCALE),
        rank, channel_dim, dims,
        is_bias ? fill_zeros(count) : draw_bytes(count), XNN_INVALID_VALUE_ID,
        0, &id));
    return id;
}

// Its dense layers know one scale for all weights only.
static uint32_t define_dense_weight(net *n, size_t rank, const size_t *dims)
{
    const size_t count = element_count(rank, dims);
    const bool is_bias = rank == 1;
    uint32_t id;
    if (!n->is_int8) return define_weight(n, rank, dims, 0);
    n->param_count += count;
    CHECK(xnn_define_quantized_tensor_value(
        n->subgraph, is_bias ? xnn_datatype_qint32 : xnn_datatype_qint8, 0,
        is_bias ? VALUE_SCALE * WEIGHT_SCALE : WEIGHT_SCALE, rank, dims,
        is_bias ? fill_zeros(count) : draw_bytes(count), XNN_INVALID_VALUE_ID,
        0, &id));
    return id;
}

/* ---- layers ---- */

static size_t out_size(size_t size, const convolution *c)
{
    return (size + 2 * c->pad - c->kernel) / c->stride + 1;
}

static value add_depthwise(net *n, value x, const convolution *c, float low,
                           float high)
{
    const size_t dims[] = {1, c->kernel, c->kernel, x.channels};
    const uint32_t pad = (uint32_t)c->pad, stride = (uint32_t)c->stride,
                   kernel = (uint32_t)c->kernel;
    const uint32_t weight = define_weight(n, 4, dims, 3);
    const uint32_t bias = define_weight(n, 1, dims + 3, 0);
    const value y = define_value(n, (value){.height = out_size(x.height, c),
                                            .width = out_size(x.width, c),
                                            .channels = x.channels});
    CHECK(xnn_define_depthwise_convolution_2d(
        n->subgraph, pad, pad, pad, pad, kernel, kernel, stride, stride, 1, 1,
        1, x.channels, low, high, x.id, weight, bias, y.id, 0));
    return y;
}

static value add_conv(net *n, value x, convolution c, float low, float high)
{
    if (c.is_depthwise) return add_depthwise(n, x, &c, low, high);
    const size_t dims[] = {c.channels, c.kernel, c.kernel, x.channels};
    const uint32_t pad = (uint32_t)c.pad, stride = (uint32_t)c.stride,
                   kernel = (uint32_t)c.kernel;
    const uint32_t weight = define_weight(n, 4, dims, 0);
    const uint32_t bias = define_weight(n, 1, dims, 0);
    const value y = define_value(n, (value){.height = out_size(x.height, &c),
                                            .width = out_size(x.width, &c),
                                            .channels = c.channels});
    CHECK(xnn_define_convolution_2d(
        n->subgraph, pad, pad, pad, pad, kernel, kernel, stride, stride, 1, 1,
        1, x.channels, c.channels, low, high, x.id, weight, bias, y.id, 0));
    return y;
}

static value add_maxpool(net *n, value x)
{
    const value y = define_value(n, (value){.height = x.height / 2,
                                            .width = x.width / 2,
                                            .channels = x.channels});
    CHECK(xnn_define_max_pooling_2d(n->subgraph, 0, 0, 0, 0, 2, 2, 2, 2, 1, 1,
                                    NO_LIMIT, x.id, y.id, 0));
    return y;
}

static value add_global_pool(net *n, value x)
{
    const value y = define_value(
        n, (value){.height = 1, .width = 1, .channels = x.channels});
    CHECK(xnn_define_global_average_pooling_2d(n->subgraph, NO_LIMIT, x.id,
                                               y.id, 0));
    return y;
}

static value add_sum(net *n, value a, value b, float low, float high)
{
    const value y = define_value(n, a);
    CHECK(xnn_define_add2(n->subgraph, low, high, a.id, b.id, y.id, 0));
    return y;
}

static value add_dense(net *n, value x, size_t outputs, float low, float high)
{
    const size_t inputs = x.height * x.width * x.channels;
    const size_t dims[] = {outputs, inputs}, out_dims[] = {1, outputs};
    const uint32_t weight = define_dense_weight(n, 2, dims);
    const uint32_t bias = define_dense_weight(n, 1, dims);
    const value y = {
        .id = define(n, n->is_int8 ? xnn_datatype_qint8 : xnn_datatype_fp32, 2,
                     out_dims, XNN_INVALID_VALUE_ID, 0),
        .height = 1,
        .width = 1,
        .channels = outputs,
    };
    CHECK(xnn_define_fully_connected(n->subgraph, low, high, x.id, weight, bias,
                                     y.id, XNN_FLAG_TENSORFLOW_RESHAPE_2D));
    return y;
}

/* ---- networks ---- */

static value add_lenet(net *n, value x)
{
    x = add_conv(n, x, (convolution){16, 5, 1, 0, false}, RELU);
    x = add_maxpool(n, x);
    x = add_conv(n, x, (convolution){32, 5, 1, 0, false}, RELU);
    x = add_maxpool(n, x);
    x = add_dense(n, x, 128, RELU);
    return add_dense(n, x, CLASSES, NO_LIMIT);
}

static value add_basic_block(net *n, value x, size_t channels, size_t stride)
{
    value y =
        add_conv(n, x, (convolution){channels, 3, stride, 1, false}, RELU);
    y = add_conv(n, y, (convolution){channels, 3, 1, 1, false}, NO_LIMIT);
    if (stride > 1) {
        x = add_conv(n, x, (convolution){channels, 1, stride, 0, false},
                     NO_LIMIT);
    }
    return add_sum(n, y, x, RELU);
}

static value add_resnet8(net *n, value x)
{
    x = add_conv(n, x, (convolution){16, 3, 1, 1, false}, RELU);
    x = add_basic_block(n, x, 16, 1);
    x = add_basic_block(n, x, 32, 2);
    x = add_basic_block(n, x, 64, 2);
    return add_dense(n, add_global_pool(n, x), CLASSES, NO_LIMIT);
}

static value add_inverted_residual(net *n, value x, size_t expansion,
                                   size_t channels, size_t stride)
{
    const size_t hidden = x.channels * expansion;
    value y = x;
    if (expansion > 1) {
        y = add_conv(n, y, (convolution){hidden, 1, 1, 0, false}, RELU6);
    }
    y = add_conv(n, y, (convolution){hidden, 3, stride, 1, true}, RELU6);
    y = add_conv(n, y, (convolution){channels, 1, 1, 0, false}, NO_LIMIT);
    const bool is_residual = stride == 1 && x.channels == channels;
    return is_residual ? add_sum(n, x, y, NO_LIMIT) : y;
}

static value add_mobilenetv2_tiny(net *n, value x)
{
    static const struct {
        size_t expansion, channels, count, stride;
    } groups[] = {{1, 16, 1, 1}, {4, 24, 2, 2}, {4, 32, 2, 2}};
    x = add_conv(n, x, (convolution){16, 3, 1, 1, false}, RELU6);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        for (size_t k = 0; k < groups[i].count; k++) {
            x = add_inverted_residual(n, x, groups[i].expansion,
                                      groups[i].channels,
                                      k == 0 ? groups[i].stride : 1);
        }
    }
    x = add_conv(n, x, (convolution){128, 1, 1, 0, false}, RELU6);
    return add_dense(n, add_global_pool(n, x), CLASSES, NO_LIMIT);
}

typedef value add_network(net *n, value x);

static const struct {
    const char *name;
    add_network *add;
} NETWORKS[] = {
    {"lenet", add_lenet},
    {"resnet8", add_resnet8},
    {"mobilenetv2-tiny", add_mobilenetv2_tiny},
};

/* ---- runs ---- */

// float32 at both ends; in between what the network computes in.
static void build(net *n, add_network *add)
{
    const size_t in_dims[] = {1, IMAGE, IMAGE, 1}, out_dims[] = {1, CLASSES};
    CHECK(xnn_create_subgraph(EDGE_COUNT, 0, &n->subgraph));
    value x = {.height = IMAGE, .width = IMAGE, .channels = 1};
    const uint32_t in = define(n, xnn_datatype_fp32, 4, in_dims, INPUT,
                               XNN_VALUE_FLAG_EXTERNAL_INPUT);
    const uint32_t out = define(n, xnn_datatype_fp32, 2, out_dims, OUTPUT,
                                XNN_VALUE_FLAG_EXTERNAL_OUTPUT);
    x.id = in;
    if (n->is_int8) {
        x = define_value(n, x);
        CHECK(xnn_define_convert(n->subgraph, in, x.id, 0));
    }
    x = add(n, x);
    if (n->is_int8) {
        CHECK(xnn_define_convert(n->subgraph, x.id, out, 0));
    } else {
        // A clamp without limits copies ten floats: nanoseconds.
        CHECK(xnn_define_clamp(n->subgraph, NO_LIMIT, x.id, out, 0));
    }
    CHECK(xnn_create_runtime_v2(n->subgraph, NULL, 0, &n->runtime));
}

static void invoke(void *runtime)
{
    CHECK(xnn_invoke_runtime(runtime));
}

static void run(const char *name, add_network *add, bool is_int8)
{
    // XNNPACK reads beyond its input.
    static float input[IMAGE * IMAGE + XNN_EXTRA_BYTES / sizeof(float)],
        output[CLASSES];
    const struct xnn_external_value edges[EDGE_COUNT] = {{INPUT, input},
                                                         {OUTPUT, output}};
    net n = {.is_int8 = is_int8};
    build(&n, add);
    for (size_t i = 0; i < (size_t)IMAGE * IMAGE; i++)
        input[i] = (float)(i % 256) / 255.0F;
    CHECK(xnn_setup_runtime(n.runtime, EDGE_COUNT, edges));
    printf("%s_%s_us %.2f us\n", name, is_int8 ? "int8" : "fp32",
           measure_call_us(invoke, n.runtime));
    if (!is_int8) printf("%s_folded_params %zu floats\n", name, n.param_count);
    CHECK(xnn_delete_runtime(n.runtime));
    CHECK(xnn_delete_subgraph(n.subgraph));
}

int main(int argc, char **argv)
{
    CHECK(xnn_initialize(NULL));
    for (size_t i = 0; i < sizeof NETWORKS / sizeof *NETWORKS; i++) {
        if (argc != 2 || strcmp(argv[1], NETWORKS[i].name) != 0) continue;
        run(NETWORKS[i].name, NETWORKS[i].add, false);
        run(NETWORKS[i].name, NETWORKS[i].add, true);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "infer_xnnpack: name one of lenet, resnet8, "
                    "mobilenetv2-tiny\n");
    return EXIT_FAILURE;
}
