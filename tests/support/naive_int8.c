/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/naive_int8.h"

#include <math.h>
#include <stdlib.h>

#include "tests/test.h"

// A value of one example: bytes, or floats where its scale is 0.
typedef struct {
    uint8_t *bytes;
    float *floats;
} block;

typedef struct {
    const fl_int8_model *model;
    block *values;
} run;

static bool is_float(const run *r, uint32_t i)
{
    return r->model->values[i].scale <= 0.0F;
}

static size_t at(fl_shape s, uint32_t y, uint32_t x, uint32_t c)
{
    return ((size_t)y * s.width + x) * s.channels + c;
}

static uint8_t to_byte(float r, uint8_t zero_point)
{
    if (!(r > (float)-zero_point)) r = (float)-zero_point;
    if (!(r < (float)(255 - zero_point))) r = (float)(255 - zero_point);
    return (uint8_t)((int)nearbyintf(r) + zero_point);
}

// The value of the input of node i at a place, without its zero point.
static int32_t centred(const run *r, uint32_t value, size_t place)
{
    return r->values[value].bytes[place] - r->model->values[value].zero_point;
}

/* ---- sums ---- */

static void finish_sum(const run *r, uint32_t i, uint32_t channel, size_t place,
                       int32_t sum)
{
    const fl_int8_model *m = r->model;
    const fl_node *node = &m->graph.nodes[i];
    const size_t c = m->channel_at[i] + channel;
    float factor = m->values[node->inputs[0]].scale * m->weight_scales[c];
    if (is_float(r, i)) {
        r->values[i].floats[place] = (float)sum * factor;
        return;
    }
    factor = factor / m->values[i].scale;
    r->values[i].bytes[place] =
        to_byte((float)sum * factor, m->values[i].zero_point);
}

static int32_t conv_sum(const run *r, uint32_t i, uint32_t y, uint32_t x,
                        uint32_t o)
{
    const fl_node *node = &r->model->graph.nodes[i];
    const fl_window *w = &node->window;
    const fl_shape in = r->model->graph.nodes[node->inputs[0]].shape;
    const uint32_t group_inputs = in.channels / node->group_count;
    const uint32_t group = o / (node->out_count / node->group_count);
    const int8_t *weight = r->model->weights + node->weight_at +
                           (size_t)o * w->kernel_h * w->kernel_w * group_inputs;
    int32_t sum = r->model->biases[r->model->channel_at[i] + o];
    for (uint32_t ky = 0; ky < w->kernel_h; ky++) {
        for (uint32_t kx = 0; kx < w->kernel_w; kx++) {
            const int64_t iy =
                (int64_t)y * w->stride_h + ky * node->dilation_h - w->pad_top;
            const int64_t ix =
                (int64_t)x * w->stride_w + kx * node->dilation_w - w->pad_left;
            const bool is_inside =
                iy >= 0 && ix >= 0 && iy < in.height && ix < in.width;
            for (uint32_t c = 0; c < group_inputs; c++, weight++) {
                if (!is_inside) continue;
                sum += *weight * centred(r, node->inputs[0],
                                         at(in, (uint32_t)iy, (uint32_t)ix,
                                            group * group_inputs + c));
            }
        }
    }
    return sum;
}

static int32_t dense_sum(const run *r, uint32_t i, uint32_t o)
{
    const fl_node *node = &r->model->graph.nodes[i];
    const size_t depth =
        fl_shape_size(r->model->graph.nodes[node->inputs[0]].shape);
    const int8_t *weight = r->model->weights + node->weight_at + o * depth;
    int32_t sum = r->model->biases[r->model->channel_at[i] + o];
    for (size_t k = 0; k < depth; k++)
        sum += weight[k] * centred(r, node->inputs[0], k);
    return sum;
}

/* ---- pools ---- */

static void pool_at(const run *r, uint32_t i, uint32_t y, uint32_t x,
                    uint32_t c)
{
    const fl_node *node = &r->model->graph.nodes[i];
    const fl_shape in = r->model->graph.nodes[node->inputs[0]].shape;
    fl_window w = node->window;
    if (node->op == FL_OP_GLOBALPOOL)
        w = (fl_window){in.height, in.width, 1, 1, 0, 0, 0, 0};
    int32_t sum = 0, count = 0;
    uint8_t best = 0;
    for (uint32_t k = 0; k < w.kernel_h * w.kernel_w; k++) {
        const int64_t iy = (int64_t)y * w.stride_h + k / w.kernel_w - w.pad_top;
        const int64_t ix =
            (int64_t)x * w.stride_w + k % w.kernel_w - w.pad_left;
        const bool is_inside =
            iy >= 0 && ix >= 0 && iy < in.height && ix < in.width;
        if (is_inside || node->counts_padding) count++;
        if (!is_inside) continue;
        const size_t place = at(in, (uint32_t)iy, (uint32_t)ix, c);
        const uint8_t q = r->values[node->inputs[0]].bytes[place];
        if (q > best) best = q;
        sum += centred(r, node->inputs[0], place);
    }
    const float mean = (float)sum * (1.0F / (float)count);
    r->values[i].bytes[at(node->shape, y, x, c)] =
        node->op == FL_OP_MAXPOOL
            ? best
            : to_byte(mean, r->model->values[i].zero_point);
}

/* ---- element by element ---- */

static double activation(const fl_node *node, double x)
{
    switch ((int)node->op) {
    case FL_OP_RELU: return fmax(x, 0.0);
    case FL_OP_RELU6: return fmin(fmax(x, 0.0), 6.0);
    case FL_OP_LEAKY_RELU: return x > 0.0 ? x : (double)node->alpha * x;
    case FL_OP_HARD_SWISH: return x * fmin(fmax(x / 6.0 + 0.5, 0.0), 1.0);
    case FL_OP_HARD_SIGMOID:
        return fmin(fmax((double)node->alpha * x + (double)node->beta, 0.0),
                    1.0);
    case FL_OP_SIGMOID: return 1.0 / (1.0 + exp(-x));
    default: return tanh(x);
    }
}

static uint8_t activated(const run *r, uint32_t i, size_t place)
{
    const fl_node *node = &r->model->graph.nodes[i];
    const fl_quant q = r->model->values[i];
    const double x = (double)r->model->values[node->inputs[0]].scale *
                     centred(r, node->inputs[0], place);
    const double y = activation(node, x) / (double)q.scale + q.zero_point;
    return (uint8_t)nearbyint(fmin(fmax(y, 0.0), 255.0));
}

static uint8_t paired(const run *r, uint32_t i, size_t place)
{
    const fl_node *node = &r->model->graph.nodes[i];
    const uint32_t a = node->inputs[0], b = node->inputs[1];
    const fl_shape of_b = r->model->graph.nodes[b].shape;
    const size_t b_place = place % fl_shape_size(of_b);
    const float sa = r->model->values[a].scale, sb = r->model->values[b].scale;
    const float sy = r->model->values[i].scale;
    const int32_t x = centred(r, a, place), y = centred(r, b, b_place);
    const float v = node->op == FL_OP_ADD
                        ? (float)x * (sa / sy) + (float)y * (sb / sy)
                        : (float)(x * y) * (sa * sb / sy);
    return to_byte(v, r->model->values[i].zero_point);
}

static uint8_t moved(const run *r, uint32_t i, size_t place)
{
    const fl_node *node = &r->model->graph.nodes[i];
    const uint32_t channels = node->shape.channels;
    const size_t pixel = place / channels;
    uint32_t c = (uint32_t)(place % channels), from = node->inputs[0];
    if (node->op == FL_OP_SLICE) c += node->first;
    if (node->op == FL_OP_SHUFFLE) {
        const uint32_t size = channels / node->group_count;
        c = c % node->group_count * size + c / node->group_count;
    }
    for (uint32_t k = 0; node->op == FL_OP_CONCAT; k++) {
        from = node->inputs[k];
        if (c < r->model->graph.nodes[from].shape.channels) break;
        c -= r->model->graph.nodes[from].shape.channels;
    }
    const uint32_t step = r->model->graph.nodes[from].shape.channels;
    return r->values[from].bytes[pixel * step + c];
}

static float as_float(const run *r, uint32_t i, size_t place)
{
    if (is_float(r, i)) return r->values[i].floats[place];
    return (float)centred(r, i, place) * r->model->values[i].scale;
}

static void normalize(const run *r, uint32_t i)
{
    const fl_node *node = &r->model->graph.nodes[i];
    const uint32_t channels = node->shape.channels;
    for (size_t k = 0; k < fl_shape_size(node->shape); k += channels) {
        float sum = 0.0F;
        for (uint32_t c = 0; c < channels; c++) {
            const float v = as_float(r, node->inputs[0], k + c);
            sum += v * v;
        }
        const float divisor = fmaxf(sqrtf(sum), node->epsilon);
        for (uint32_t c = 0; c < channels; c++)
            r->values[i].floats[k + c] =
                as_float(r, node->inputs[0], k + c) / divisor;
    }
}

/* ---- running ---- */

static void shift_or_scale(const run *r, uint32_t i, size_t place)
{
    const fl_node *node = &r->model->graph.nodes[i];
    const float *constants = r->model->graph.constants + node->constant_at;
    const float c = constants[place % node->shape.channels];
    const float x = r->values[node->inputs[0]].floats[place];
    r->values[i].floats[place] = node->op == FL_OP_DIV ? x / c : x - c;
}

static void compute_at(const run *r, uint32_t i, size_t place)
{
    const fl_node *node = &r->model->graph.nodes[i];
    const fl_shape s = node->shape;
    const uint32_t c = (uint32_t)(place % s.channels);
    const uint32_t x = (uint32_t)(place / s.channels % s.width);
    const uint32_t y = (uint32_t)(place / s.channels / s.width);
    uint8_t *byte = r->values[i].bytes + place;
    switch ((int)node->op) {
    case FL_OP_SUB:
    case FL_OP_DIV: shift_or_scale(r, i, place); break;
    case FL_OP_CONV: finish_sum(r, i, c, place, conv_sum(r, i, y, x, c)); break;
    case FL_OP_DENSE: finish_sum(r, i, c, place, dense_sum(r, i, c)); break;
    case FL_OP_MAXPOOL:
    case FL_OP_AVGPOOL:
    case FL_OP_GLOBALPOOL: pool_at(r, i, y, x, c); break;
    case FL_OP_ADD:
    case FL_OP_MUL: *byte = paired(r, i, place); break;
    case FL_OP_SLICE:
    case FL_OP_SHUFFLE:
    case FL_OP_CONCAT: *byte = moved(r, i, place); break;
    case FL_OP_FLATTEN:
        if (is_float(r, i)) {
            r->values[i].floats[place] = as_float(r, node->inputs[0], place);
        } else {
            *byte = r->values[node->inputs[0]].bytes[place];
        }
        break;
    default: *byte = activated(r, i, place); break;
    }
}

static void run_node(const run *r, uint32_t i, const float *x)
{
    const fl_node *node = &r->model->graph.nodes[i];
    const fl_quant quant = r->model->values[i];
    const size_t size = fl_shape_size(node->shape);
    if (node->op == FL_OP_L2NORM) {
        normalize(r, i);
        return;
    }
    for (size_t k = 0; k < size; k++) {
        if (node->op == FL_OP_INPUT) {
            r->values[i].floats[k] = x[k];
        } else {
            compute_at(r, i, k);
        }
    }
    const bool makes_floats = node->op == FL_OP_INPUT ||
                              node->op == FL_OP_SUB || node->op == FL_OP_DIV;
    for (size_t k = 0; k < size && makes_floats && !is_float(r, i); k++)
        r->values[i].bytes[k] =
            to_byte(r->values[i].floats[k] / quant.scale, quant.zero_point);
}

void naive_int8_run(float *logits, const fl_int8_model *model, const float *x,
                    uint32_t count)
{
    const uint32_t nodes = model->graph.node_count;
    run r = {.model = model, .values = calloc(nodes, sizeof *r.values)};
    assert_non_null(r.values);
    for (uint32_t i = 0; i < nodes; i++) {
        const size_t size = fl_shape_size(model->graph.nodes[i].shape);
        r.values[i].bytes = calloc(size, 1);
        r.values[i].floats = calloc(size, sizeof(float));
        assert_true(r.values[i].bytes && r.values[i].floats);
    }
    const size_t x_size = fl_shape_size(model->graph.nodes[0].shape);
    const size_t classes = fl_shape_size(model->graph.nodes[nodes - 1].shape);
    for (uint32_t e = 0; e < count; e++) {
        for (uint32_t i = 0; i < nodes; i++)
            run_node(&r, i, x + e * x_size);
        for (size_t k = 0; k < classes; k++)
            *logits++ = as_float(&r, nodes - 1, k);
    }
    for (uint32_t i = 0; i < nodes; i++) {
        free(r.values[i].bytes);
        free(r.values[i].floats);
    }
    free(r.values);
}

/* ---- making models ---- */

static void *grown(void *array, size_t count, size_t size)
{
    void *more = realloc(array, (count + 1) * size);
    assert_non_null(more);
    return more;
}

static float some_scale(fl_random *random, float low, float high)
{
    return low + (high - low) * fl_random_float(random);
}

static uint32_t windowed(uint32_t size, uint32_t kernel, uint32_t dilation,
                         uint32_t stride, uint32_t pads)
{
    return (size + pads - (kernel - 1) * dilation - 1) / stride + 1;
}

static fl_shape shape_of(const fl_int8_model *net, const fl_node *node)
{
    const fl_window *w = &node->window;
    fl_shape s = net->graph.nodes[node->inputs[0]].shape;
    const size_t size = fl_shape_size(s);
    switch ((int)node->op) {
    case FL_OP_CONV: s.channels = node->out_count; __attribute__((fallthrough));
    case FL_OP_MAXPOOL:
    case FL_OP_AVGPOOL:
        s.height = windowed(s.height, w->kernel_h, node->dilation_h,
                            w->stride_h, w->pad_top + w->pad_bottom);
        s.width = windowed(s.width, w->kernel_w, node->dilation_w, w->stride_w,
                           w->pad_left + w->pad_right);
        return s;
    case FL_OP_DENSE: return (fl_shape){1, 1, node->out_count};
    case FL_OP_FLATTEN: return (fl_shape){1, 1, (uint32_t)size};
    case FL_OP_GLOBALPOOL: return (fl_shape){1, 1, s.channels};
    case FL_OP_SLICE: s.channels = node->out_count; return s;
    case FL_OP_CONCAT:
        for (uint32_t k = 1; k < node->input_count; k++)
            s.channels += net->graph.nodes[node->inputs[k]].shape.channels;
        return s;
    default: return s;
    }
}

static void add_weights(fl_int8_model *net, fl_node *node, fl_random *random)
{
    const fl_shape in = net->graph.nodes[node->inputs[0]].shape;
    const size_t depth = node->op == FL_OP_DENSE
                             ? fl_shape_size(in)
                             : (size_t)node->window.kernel_h *
                                   node->window.kernel_w * in.channels /
                                   node->group_count;
    node->weight_at = net->graph.param_count;
    node->weight_count = depth * node->out_count;
    net->weights = grown(net->weights, node->weight_at + node->weight_count, 1);
    for (size_t k = 0; k < node->weight_count; k++)
        net->weights[node->weight_at + k] =
            (int8_t)((int)fl_random_below(random, 255) - 127);
    net->graph.param_count += node->weight_count;

    const size_t channels = net->channel_count + node->out_count;
    net->biases = grown(net->biases, channels, sizeof *net->biases);
    net->weight_scales =
        grown(net->weight_scales, channels, sizeof *net->weight_scales);
    const float spread = sqrtf((float)depth) * 73.0F;
    for (size_t c = net->channel_count; c < channels; c++) {
        net->biases[c] = (int32_t)(spread * some_scale(random, -90.0F, 90.0F));
        net->weight_scales[c] = some_scale(random, 0.5F, 1.5F) / spread;
    }
    net->channel_count = channels;
}

static void add_constants(fl_int8_model *net, fl_node *node, fl_random *random)
{
    fl_graph *graph = &net->graph;
    node->constant_at = graph->constant_count;
    graph->constant_count += node->shape.channels;
    graph->constants =
        grown(graph->constants, graph->constant_count, sizeof(float));
    for (uint32_t c = 0; c < node->shape.channels; c++)
        graph->constants[node->constant_at + c] =
            some_scale(random, 0.3F, 0.6F);
}

static bool keeps_quant(fl_op_kind op)
{
    return op == FL_OP_RELU || op == FL_OP_RELU6 || op == FL_OP_MAXPOOL ||
           op == FL_OP_AVGPOOL || op == FL_OP_GLOBALPOOL ||
           op == FL_OP_FLATTEN || op == FL_OP_SLICE || op == FL_OP_SHUFFLE ||
           op == FL_OP_CONCAT;
}

// ADD and MUL of random numbers get scales that fill the range; so do sums,
// by their weight scales.
static fl_quant some_quant(const fl_int8_model *net, const fl_node *node,
                           bool is_bytes, fl_random *random)
{
    const bool is_first = net->graph.node_count == 0;
    if (!is_bytes) return (fl_quant){0.0F, 0};
    if (!is_first && keeps_quant(node->op)) return net->values[node->inputs[0]];
    return (fl_quant){some_scale(random, 0.01F, 0.05F),
                      (uint8_t)fl_random_below(random, 256)};
}

static void append(fl_int8_model *net, const fl_node *node, fl_quant quant,
                   uint32_t channel_at)
{
    const uint32_t i = net->graph.node_count++;
    net->graph.nodes = grown(net->graph.nodes, i, sizeof *net->graph.nodes);
    net->values = grown(net->values, i, sizeof *net->values);
    net->channel_at = grown(net->channel_at, i, sizeof *net->channel_at);
    net->graph.nodes[i] = *node;
    net->values[i] = quant;
    net->channel_at[i] = channel_at;
}

fl_int8_model *int8_net_new(fl_shape input, bool is_bytes, fl_random *random)
{
    fl_int8_model *net = calloc(1, sizeof *net);
    assert_non_null(net);
    const fl_node node = {.op = FL_OP_INPUT, .name = "x", .shape = input};
    append(net, &node, some_quant(net, &node, is_bytes, random), 0);
    return net;
}

uint32_t int8_net_add(fl_int8_model *net, fl_node node, bool is_bytes,
                      fl_random *random)
{
    const uint32_t i = net->graph.node_count;
    snprintf(node.name, sizeof node.name, "n%u", i);
    if (node.input_count == 0) {
        node.input_count = 1;
        node.inputs[0] = i - 1;
    }
    if (node.group_count == 0) node.group_count = 1;
    if (node.dilation_h == 0) node.dilation_h = 1;
    if (node.dilation_w == 0) node.dilation_w = 1;
    node.shape = shape_of(net, &node);
    const uint32_t channel_at = (uint32_t)net->channel_count;
    if (node.op == FL_OP_CONV || node.op == FL_OP_DENSE)
        add_weights(net, &node, random);
    if (node.op == FL_OP_SUB || node.op == FL_OP_DIV)
        add_constants(net, &node, random);
    append(net, &node, some_quant(net, &node, is_bytes, random), channel_at);
    return i;
}
