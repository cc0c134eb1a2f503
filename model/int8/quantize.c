/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "model/int8/calibrate.h"
#include "model/int8/precision.h"

#define BIAS_MAX 0x1p29  // rounding cannot take it to 2^30

// Rounding at the most doubles a weight that does not become 0, so with half
// of what is allowed before it the sum stays below 2^30.
#define SUM_MAX 0x1p29

/* ---- one channel ---- */

float fl_quantize_scale(const float *weights, size_t count, float bias,
                        float x_scale)
{
    double absmax = 0.0, sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        absmax = fmax(absmax, fabs((double)weights[i]));
        sum += fabs((double)weights[i]);
    }
    const double for_bias = fabs((double)bias) / (double)x_scale / BIAS_MAX;
    double scale = fmax(absmax / 127.0, for_bias);
    scale = fmax(scale, sum * 255.0 / SUM_MAX);
    if (!(scale > 0.0)) return 1.0F;
    return fmaxf((float)scale, FL_CALIBRATE_SCALE_MIN);
}

// The nearest of the 255 levels.
static double level(float weight, float scale)
{
    const double q = nearbyint((double)weight / (double)scale);
    return fmin(fmax(q, -127.0), 127.0);
}

void fl_quantize_weights(int8_t *dst, const float *weights, size_t count,
                         float scale)
{
    for (size_t i = 0; i < count; i++) {
        dst[i] = (int8_t)level(weights[i], scale);
    }
}

void fl_quantize_round(float *dst, const fl_node *node, const float *params)
{
    const size_t depth = node->weight_count / node->out_count;
    for (uint32_t o = 0; o < node->out_count; o++) {
        const float *weights = params + node->weight_at + o * depth;
        const float bias = node->bias_count ? params[node->bias_at + o] : 0.0F;
        const float scale =
            fl_quantize_scale(weights, depth, bias, node->x_scale);
        for (size_t i = 0; i < depth; i++) {
            dst[o * depth + i] = (float)level(weights[i], scale) * scale;
        }
    }
}

int32_t fl_quantize_bias(double bias, float scale)
{
    return (int32_t)nearbyint(bias / (double)scale);
}

/* ---- a model ---- */

static fl_err check_params(const fl_graph *graph, const float *params,
                           fl_reason *why)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        const float *own = params + node->weight_at;  // then its bias
        for (size_t k = 0; k < node->weight_count + node->bias_count; k++) {
            if (isfinite(own[k])) continue;
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "node \"%s\" (%s): parameter %zu is NaN or "
                                 "infinite",
                                 node->name, fl_op_name(node->op), k);
        }
    }
    return FL_OK;
}

// x.scale * weight_scale / y.scale as int8.h computes it must be a number.
static bool has_factor(float x_scale, float weight_scale, float y_scale)
{
    const float product = x_scale * weight_scale;
    return isfinite(product) &&
           (y_scale <= 0.0F || isfinite(product / y_scale));
}

// As they are, or as halves hold them.
static fl_err keep_floats(fl_int8_model *made, uint32_t i, const float *params,
                          fl_reason *why)
{
    const fl_node *node = &made->graph.nodes[i];
    const bool is_half = fl_int8_precision(made, i) == FL_PRECISION_FLOAT16;
    for (size_t k = 0; k < node->weight_count; k++) {
        const float weight = params[node->weight_at + k];
        if (is_half && fabsf(weight) > FL_HALF_MAX) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "node \"%s\" (%s): a weight is %g, float16 "
                                 "ends at %g; leave it in float32",
                                 node->name, fl_op_name(node->op),
                                 (double)weight, (double)FL_HALF_MAX);
        }
        made->params[node->weight_at + k] =
            is_half ? fl_half_decode(fl_half_encode(weight)) : weight;
    }
    for (size_t k = 0; k < node->bias_count; k++) {
        made->params[node->bias_at + k] = params[node->bias_at + k];
    }
    return FL_OK;
}

static float channel_scale(const fl_int8_model *made, uint32_t i,
                           const float *weights, float bias)
{
    const fl_node *node = &made->graph.nodes[i];
    const float x_scale = made->values[node->inputs[0]].scale;
    const size_t depth = node->weight_count / node->out_count;
    const float scale = fl_quantize_scale(weights, depth, bias, x_scale);
    if (fl_int8_precision(made, i) != FL_PRECISION_NIBBLE) return scale;
    return fl_precision_nibble_scale(weights, depth, scale);
}

static void quantize_weights(fl_int8_model *made, uint32_t i, size_t at,
                             const float *weights, float scale)
{
    const fl_node *node = &made->graph.nodes[i];
    const size_t depth = node->weight_count / node->out_count;
    if (fl_int8_precision(made, i) == FL_PRECISION_NIBBLE) {
        fl_precision_nibbles(made->weights + at, weights, depth, scale);
    } else {
        fl_quantize_weights(made->weights + at, weights, depth, scale);
    }
}

static fl_err quantize_layer(fl_int8_model *made, uint32_t i,
                             const float *params, fl_reason *why)
{
    if (fl_int8_is_float_layer(made, i)) {
        return keep_floats(made, i, params, why);
    }
    const fl_node *node = &made->graph.nodes[i];
    const float x_scale = made->values[node->inputs[0]].scale;
    const float y_scale = made->values[i].scale;
    const size_t depth = node->weight_count / node->out_count;
    for (uint32_t o = 0; o < node->out_count; o++) {
        const size_t at = node->weight_at + o * depth;
        const size_t channel = made->channel_at[i] + o;
        const float bias = node->bias_count ? params[node->bias_at + o] : 0.0F;
        const float scale = channel_scale(made, i, params + at, bias);
        if (!has_factor(x_scale, scale, y_scale)) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "node \"%s\" (%s): the numbers of channel %u "
                                 "are too large for 8 bits",
                                 node->name, fl_op_name(node->op), o);
        }
        quantize_weights(made, i, at, params + at, scale);
        made->weight_scales[channel] = scale;
        made->biases[channel] = fl_quantize_bias((double)bias, x_scale * scale);
    }
    return FL_OK;
}

static fl_err quantize_layers(fl_int8_model *made, const float *params,
                              fl_reason *why)
{
    for (uint32_t i = 0; i < made->graph.node_count; i++) {
        if (!fl_graph_has_weights(&made->graph.nodes[i])) continue;
        FL_TRY(quantize_layer(made, i, params, why));
    }
    return FL_OK;
}

static fl_err allocate(fl_int8_model *made)
{
    const fl_graph *graph = &made->graph;
    // One too many each keeps models without weights out of malloc(0).
    made->values = calloc(graph->node_count, sizeof *made->values);
    made->channel_at = calloc(graph->node_count, sizeof *made->channel_at);
    made->weights = calloc(graph->param_count + 1, sizeof *made->weights);
    if (!made->values || !made->channel_at || !made->weights) {
        return FL_ERR_MEMORY;
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (!fl_graph_has_weights(&graph->nodes[i])) continue;
        made->channel_at[i] = (uint32_t)made->channel_count;
        made->channel_count += graph->nodes[i].out_count;
    }
    made->biases = calloc(made->channel_count + 1, sizeof *made->biases);
    made->weight_scales =
        calloc(made->channel_count + 1, sizeof *made->weight_scales);
    return made->biases && made->weight_scales ? FL_OK : FL_ERR_MEMORY;
}

void fl_int8_free(fl_int8_model *quantized)
{
    if (!quantized) return;
    fl_graph_fini(&quantized->graph);
    free(quantized->values);
    free(quantized->weights);
    free(quantized->channel_at);
    free(quantized->biases);
    free(quantized->weight_scales);
    free(quantized->precisions);
    free(quantized->params);
    free(quantized);
}

/* ---- the front ---- */

// Room for the layers that stay in float32.
static fl_err copy_precisions(fl_int8_model *made,
                              const fl_precision *precisions)
{
    const fl_graph *graph = &made->graph;
    if (!precisions) return FL_OK;
    made->precisions = malloc(graph->node_count * sizeof *made->precisions);
    made->params = calloc(graph->param_count + 1, sizeof *made->params);
    if (!made->precisions || !made->params) return FL_ERR_MEMORY;
    memcpy(made->precisions, precisions,
           graph->node_count * sizeof *precisions);
    return FL_OK;
}

fl_err fl_quantize_folded(fl_int8_model **quantized, const fl_model *folded,
                          const fl_quant *values, fl_reason *why)
{
    return fl_quantize_mixed(quantized, folded, values, NULL, why);
}

fl_err fl_quantize_mixed(fl_int8_model **quantized, const fl_model *folded,
                         const fl_quant *values, const fl_precision *precisions,
                         fl_reason *why)
{
    fl_int8_model *made = calloc(1, sizeof *made);
    if (!made) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    fl_err err = fl_graph_copy(&made->graph, &folded->graph);
    if (!err) err = allocate(made);
    if (!err) err = copy_precisions(made, precisions);
    if (err) {
        fl_reason_set(why, err, "no memory for %zu parameters in 8 bits",
                      folded->graph.param_count);
        goto out;
    }
    memcpy(made->values, values, made->graph.node_count * sizeof *values);
    err = check_params(&made->graph, folded->params, why);
    if (!err) err = quantize_layers(made, folded->params, why);
    if (err) goto out;
    *quantized = made;
    made = NULL;

out:
    fl_int8_free(made);
    return err;
}

static fl_err quantize(fl_int8_model **quantized, const fl_folded *folded,
                       const fl_range *ranges, bool is_symmetric,
                       fl_reason *why)
{
    fl_quant *values = malloc(folded->model->graph.node_count * sizeof *values);
    if (!values) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    fl_calibrate_quants(values, folded, ranges, is_symmetric);
    const fl_err err = fl_quantize_mixed(quantized, folded->model, values,
                                         folded->precisions, why);
    free(values);
    return err;
}

static fl_err calibrate_and_quantize(fl_int8_model **quantized,
                                     const fl_folded *folded,
                                     const fl_sample *rows,
                                     const fl_int8_options *options,
                                     fl_reason *why)
{
    // One too many keeps a model without ranges out of malloc(0).
    fl_range *ranges = malloc((folded->range_count + 1) * sizeof *ranges);
    if (!ranges) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    fl_err err = fl_calibrate_ranges(ranges, folded, rows, options, why);
    if (!err) {
        err = quantize(quantized, folded, ranges, options->is_symmetric, why);
    }
    free(ranges);
    return err;
}

fl_err fl_int8_quantize(fl_int8_model **quantized, const fl_model *model,
                        const fl_dataset *dataset, const uint32_t *rows,
                        size_t row_count, const fl_int8_options *options,
                        fl_reason *why)
{
    const fl_sample by = {dataset, rows, row_count};
    fl_folded folded;
    FL_TRY(fl_calibrate_check(options, why));
    FL_TRY(fl_sample_check(&by, model, why));
    FL_TRY(fl_folded_init_mixed(&folded, model, options, why));
    const fl_err err =
        calibrate_and_quantize(quantized, &folded, &by, options, why);
    fl_folded_fini(&folded);
    return err;
}

fl_err fl_int8_quantize_ranges(fl_int8_model **quantized, const fl_model *model,
                               const fl_range *ranges, size_t range_count,
                               bool is_symmetric, fl_reason *why)
{
    fl_folded folded;
    FL_TRY(fl_folded_init(&folded, model, why));
    fl_err err = fl_folded_check(&folded, ranges, range_count, why);
    if (!err) err = quantize(quantized, &folded, ranges, is_symmetric, why);
    fl_folded_fini(&folded);
    return err;
}
