/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/naive.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/ops/dropout.h"

typedef struct {
    const fl_graph *graph;
    const double *params;
    double **values;  // (count, H, W, C) of each node
    uint32_t count;
    bool uses_stats;
} naive_run;

static size_t at(fl_shape s, int64_t y, int64_t x, uint32_t c)
{
    return (size_t)((y * s.width + x) * s.channels + c);
}

static bool is_inside(fl_shape s, int64_t y, int64_t x)
{
    return y >= 0 && x >= 0 && y < s.height && x < s.width;
}

static double conv_value(const naive_run *run, const fl_node *node, fl_shape in,
                         const double *x, uint32_t oy, uint32_t ox, uint32_t o)
{
    const fl_window *w = &node->window;
    const uint32_t channels = in.channels / node->group_count;
    const uint32_t group = o / (node->out_count / node->group_count);
    double sum = node->bias_count ? run->params[node->bias_at + o] : 0.0;
    for (uint32_t ky = 0; ky < w->kernel_h; ky++) {
        for (uint32_t kx = 0; kx < w->kernel_w; kx++) {
            const int64_t iy = (int64_t)oy * w->stride_h +
                               (int64_t)ky * node->dilation_h - w->pad_top;
            const int64_t ix = (int64_t)ox * w->stride_w +
                               (int64_t)kx * node->dilation_w - w->pad_left;
            if (!is_inside(in, iy, ix)) continue;
            const double *weight =
                run->params + node->weight_at +
                ((o * w->kernel_h + ky) * w->kernel_w + kx) * channels;
            for (uint32_t c = 0; c < channels; c++)
                sum += weight[c] * x[at(in, iy, ix, group * channels + c)];
        }
    }
    return sum;
}

static double pool_value(const fl_node *node, fl_shape in, const double *x,
                         uint32_t oy, uint32_t ox, uint32_t c)
{
    const fl_window *w = &node->window;
    double best = -INFINITY;
    for (uint32_t ky = 0; ky < w->kernel_h; ky++) {
        for (uint32_t kx = 0; kx < w->kernel_w; kx++) {
            const int64_t iy = (int64_t)oy * w->stride_h + ky - w->pad_top;
            const int64_t ix = (int64_t)ox * w->stride_w + kx - w->pad_left;
            if (!is_inside(in, iy, ix)) continue;
            best = fmax(best, x[at(in, iy, ix, c)]);
        }
    }
    return best;
}

static double mean_value(const fl_node *node, fl_shape in, const double *x,
                         uint32_t oy, uint32_t ox, uint32_t c)
{
    const fl_window *w = &node->window;
    double sum = 0.0, count = 0.0;
    for (uint32_t ky = 0; ky < w->kernel_h; ky++) {
        for (uint32_t kx = 0; kx < w->kernel_w; kx++) {
            const int64_t iy = (int64_t)oy * w->stride_h + ky - w->pad_top;
            const int64_t ix = (int64_t)ox * w->stride_w + kx - w->pad_left;
            if (is_inside(in, iy, ix)) sum += x[at(in, iy, ix, c)];
            if (is_inside(in, iy, ix) || node->counts_padding) count += 1.0;
        }
    }
    return sum / count;
}

static double global_mean(fl_shape in, const double *x, uint32_t c)
{
    double sum = 0.0;
    for (uint32_t y = 0; y < in.height; y++) {
        for (uint32_t k = 0; k < in.width; k++)
            sum += x[at(in, y, k, c)];
    }
    return sum / in.height / in.width;
}

static double dense_value(const naive_run *run, const fl_node *node,
                          fl_shape in, const double *x, uint32_t o)
{
    const size_t inputs = fl_shape_size(in);
    double sum = node->bias_count ? run->params[node->bias_at + o] : 0.0;
    for (size_t i = 0; i < inputs; i++)
        sum += run->params[node->weight_at + o * inputs + i] * x[i];
    return sum;
}

static double act_value(const fl_node *node, double x)
{
    switch ((int)node->op) {
    case FL_OP_RELU: return fmax(x, 0.0);
    case FL_OP_RELU6: return fmin(fmax(x, 0.0), 6.0);
    case FL_OP_LEAKY_RELU: return x > 0.0 ? x : (double)node->alpha * x;
    case FL_OP_HARD_SWISH: return x * fmax(0.0, fmin(1.0, x / 6.0 + 0.5));
    case FL_OP_HARD_SIGMOID:
        return fmax(0.0,
                    fmin(1.0, (double)node->alpha * x + (double)node->beta));
    case FL_OP_SIGMOID: return 1.0 / (1.0 + exp(-x));
    default: return tanh(x);
    }
}

// Value `i` of example n.
static const double *example_of(const naive_run *run, uint32_t i, uint32_t n)
{
    return run->values[i] + n * fl_shape_size(run->graph->nodes[i].shape);
}

// Inputs of one pixel are the same everywhere.
static double mul_value(const naive_run *run, const fl_node *node, uint32_t n,
                        uint32_t y, uint32_t x, uint32_t c)
{
    double product = 1.0;
    for (uint32_t k = 0; k < 2; k++) {
        const fl_shape in = run->graph->nodes[node->inputs[k]].shape;
        product *= example_of(run, node->inputs[k],
                              n)[at(in, y % in.height, x % in.width, c)];
    }
    return product;
}

static double concat_value(const naive_run *run, const fl_node *node,
                           uint32_t n, uint32_t y, uint32_t x, uint32_t c)
{
    uint32_t k = 0;
    fl_shape in = run->graph->nodes[node->inputs[0]].shape;
    while (c >= in.channels) {
        c -= in.channels;
        in = run->graph->nodes[node->inputs[++k]].shape;
    }
    return example_of(run, node->inputs[k], n)[at(in, y, x, c)];
}

/* ---- normalisation ---- */

typedef struct {
    double mean, variance;
} moments;

// Of the channels from `channel` on, over all pixels of the examples from
// `example` on.
static moments moments_of(const naive_run *run, uint32_t value,
                          uint32_t example, uint32_t examples, uint32_t channel,
                          uint32_t channels)
{
    const fl_shape s = run->graph->nodes[value].shape;
    const size_t pixels = (size_t)examples * s.height * s.width;
    const double *x = example_of(run, value, example) + channel;
    const double count = (double)(pixels * channels);
    moments m = {0.0, 0.0};
    for (size_t p = 0; p < pixels; p++) {
        for (uint32_t c = 0; c < channels; c++)
            m.mean += x[p * s.channels + c] / count;
    }
    for (size_t p = 0; p < pixels; p++) {
        for (uint32_t c = 0; c < channels; c++) {
            const double d = x[p * s.channels + c] - m.mean;
            m.variance += d * d / count;
        }
    }
    return m;
}

static double normalised(const naive_run *run, const fl_node *node, double x,
                         moments m, uint32_t c)
{
    const double deviation = sqrt(m.variance + (double)node->epsilon);
    return run->params[node->weight_at + c] * (x - m.mean) / deviation +
           run->params[node->bias_at + c];
}

static double batchnorm_value(const naive_run *run, const fl_node *node,
                              uint32_t n, size_t same, uint32_t c)
{
    const uint32_t x = node->inputs[0];
    const double *stats = run->params + node->stats_at;
    const moments running = {stats[c], stats[node->shape.channels + c]};
    const moments m =
        run->uses_stats ? running : moments_of(run, x, 0, run->count, c, 1);
    return normalised(run, node, example_of(run, x, n)[same], m, c);
}

static double groupnorm_value(const naive_run *run, const fl_node *node,
                              uint32_t n, size_t same, uint32_t c)
{
    const uint32_t x = node->inputs[0];
    const uint32_t size = node->shape.channels / node->group_count;
    const moments m = moments_of(run, x, n, 1, c / size * size, size);
    return normalised(run, node, example_of(run, x, n)[same], m, c);
}

static double dropout_value(const naive_run *run, const fl_node *node,
                            uint32_t n, size_t same)
{
    const uint32_t number = (uint32_t)(node - run->graph->nodes);
    bool is_kept = true;
    fl_random random;
    fl_dropout_init(&random, NAIVE_DRAW, number, n);
    for (size_t i = 0; i <= same; i++)
        is_kept = fl_dropout_keeps(&random, node->alpha);
    const double x = example_of(run, node->inputs[0], n)[same];
    return is_kept ? x / (1.0 - (double)node->alpha) : 0.0;
}

static double l2norm_value(const fl_node *node, const double *x, size_t same,
                           uint32_t c)
{
    const double *pixel = x + same - c;
    double squares = 0.0;
    for (uint32_t i = 0; i < node->shape.channels; i++)
        squares += pixel[i] * pixel[i];
    return x[same] / fmax(sqrt(squares), (double)node->epsilon);
}

static double level_value(const fl_node *node, double x)
{
    const double scale = (double)node->alpha, zero = (double)node->beta;
    const double level = nearbyint(x / scale);
    return scale * fmin(fmax(level, -zero), 255.0 - zero);
}

static double value_of(const naive_run *run, const fl_node *node, uint32_t n,
                       uint32_t y, uint32_t x, uint32_t c)
{
    const double *input = example_of(run, node->inputs[0], n);
    const fl_shape in = run->graph->nodes[node->inputs[0]].shape;
    const size_t same = at(node->shape, y, x, c);
    const float *constants = run->graph->constants + node->constant_at;
    switch (node->op) {
    case FL_OP_SUB: return input[same] - (double)constants[c];
    case FL_OP_DIV: return input[same] / (double)constants[c];
    case FL_OP_RELU:
    case FL_OP_RELU6:
    case FL_OP_LEAKY_RELU:
    case FL_OP_HARD_SWISH:
    case FL_OP_HARD_SIGMOID:
    case FL_OP_SIGMOID:
    case FL_OP_TANH: return act_value(node, input[same]);
    case FL_OP_ADD:
        return input[same] + example_of(run, node->inputs[1], n)[same];
    case FL_OP_MUL: return mul_value(run, node, n, y, x, c);
    case FL_OP_AVGPOOL: return mean_value(node, in, input, y, x, c);
    case FL_OP_GLOBALPOOL: return global_mean(in, input, c);
    case FL_OP_CONCAT: return concat_value(run, node, n, y, x, c);
    case FL_OP_SLICE: return input[at(in, y, x, node->first + c)];
    case FL_OP_SHUFFLE:
        return input[at(in, y, x,
                        c % node->group_count *
                                (in.channels / node->group_count) +
                            c / node->group_count)];
    case FL_OP_FLATTEN: return input[same];
    case FL_OP_CONV: return conv_value(run, node, in, input, y, x, c);
    case FL_OP_MAXPOOL: return pool_value(node, in, input, y, x, c);
    case FL_OP_DENSE: return dense_value(run, node, in, input, c);
    case FL_OP_BATCHNORM: return batchnorm_value(run, node, n, same, c);
    case FL_OP_GROUPNORM: return groupnorm_value(run, node, n, same, c);
    case FL_OP_DROPOUT: return dropout_value(run, node, n, same);
    case FL_OP_L2NORM: return l2norm_value(node, input, same, c);
    case FL_OP_FAKEQUANT: return level_value(node, input[same]);
    case FL_OP_INPUT:
    case FL_OP_COUNT: break;
    }
    assert(!"an operator that the oracle does not know");
    return NAN;
}

/* ---- runs ---- */

static size_t value_count(const naive_run *run, uint32_t i)
{
    return run->count * fl_shape_size(run->graph->nodes[i].shape);
}

static void run_node(const naive_run *run, uint32_t i)
{
    const fl_node *node = &run->graph->nodes[i];
    const fl_shape s = node->shape;
    for (uint32_t n = 0; n < run->count; n++) {
        double *value = run->values[i] + n * fl_shape_size(s);
        for (uint32_t y = 0; y < s.height; y++) {
            for (uint32_t x = 0; x < s.width; x++) {
                for (uint32_t c = 0; c < s.channels; c++)
                    value[at(s, y, x, c)] = value_of(run, node, n, y, x, c);
            }
        }
    }
}

// Node `first` and those behind it; the values before it are there.
static void run_from(const naive_run *run, uint32_t first)
{
    for (uint32_t i = first; i < run->graph->node_count; i++)
        run_node(run, i);
}

static void begin(naive_run *run, const double *x)
{
    run->values = calloc(run->graph->node_count, sizeof *run->values);
    assert(run->values);
    for (uint32_t i = 0; i < run->graph->node_count; i++) {
        run->values[i] = calloc(value_count(run, i), sizeof(double));
        assert(run->values[i]);
    }
    memcpy(run->values[0], x, value_count(run, 0) * sizeof *x);
    run_from(run, 1);
}

static void end(const naive_run *run)
{
    for (uint32_t i = 0; i < run->graph->node_count; i++)
        free(run->values[i]);
    free(run->values);
}

void naive_forward(double *logits, const fl_graph *graph, const double *params,
                   const double *x, uint32_t count, bool uses_stats)
{
    const uint32_t last = graph->node_count - 1;
    naive_run run = {graph, params, NULL, count, uses_stats};
    begin(&run, x);
    memcpy(logits, run.values[last], value_count(&run, last) * sizeof *logits);
    end(&run);
}

/* ---- gradients ---- */

// The mean softmax cross-entropy of the logits.
static double loss_of(const naive_run *run, const uint32_t *labels)
{
    const uint32_t last = run->graph->node_count - 1;
    const size_t classes = fl_shape_size(run->graph->nodes[last].shape);
    const double *logits = run->values[last];
    double loss = 0.0;
    for (uint32_t i = 0; i < run->count; i++, logits += classes) {
        double sum = 0.0;
        for (size_t c = 0; c < classes; c++)
            sum += exp(logits[c]);
        loss += log(sum) - logits[labels[i]];
    }
    return loss / run->count;
}

// The loss when a parameter of node i is `value`.
static double loss_with(const naive_run *run, uint32_t i, double *param,
                        double value, const uint32_t *labels)
{
    *param = value;
    run_from(run, i);
    return loss_of(run, labels);
}

void naive_gradient(double *grads, const fl_graph *graph, double *params,
                    const double *x, const uint32_t *labels, uint32_t count,
                    bool uses_stats)
{
    const double step = 1e-6;
    naive_run run = {graph, params, NULL, count, uses_stats};
    begin(&run, x);
    // From the last node on, so that nothing in front of a node has changed.
    for (uint32_t i = graph->node_count; i-- > 1;) {
        const fl_node *node = &graph->nodes[i];
        const size_t own = node->weight_count + node->bias_count;
        for (size_t k = node->weight_at; k < node->weight_at + own; k++) {
            const double middle = params[k];
            const double above =
                loss_with(&run, i, &params[k], middle + step, labels);
            const double below =
                loss_with(&run, i, &params[k], middle - step, labels);
            params[k] = middle;
            grads[k] = (above - below) / (2 * step);
        }
    }
    end(&run);
}
