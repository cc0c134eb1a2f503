/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/precision.h"

#include <math.h>
#include <stdlib.h>

#include "model/pick.h"

enum { NIBBLE_MAX = 7, SCALE_TRIALS = 16 };

const char *fl_precision_name(fl_precision precision)
{
    switch (precision) {
    case FL_PRECISION_NIBBLE: return "int4";
    case FL_PRECISION_FLOAT16: return "float16";
    case FL_PRECISION_FLOAT32: return "float32";
    case FL_PRECISION_INT8: break;
    }
    return "int8";
}

/* ---- which layers ---- */

static fl_err give(fl_precision *precisions, const fl_graph *graph,
                   const bool *picked, fl_precision precision, fl_reason *why)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (!picked[i]) continue;
        if (precisions[i] != FL_PRECISION_INT8) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "layer \"%s\" is to be %s and %s: name it in "
                                 "one list",
                                 graph->nodes[i].name,
                                 fl_precision_name(precisions[i]),
                                 fl_precision_name(precision));
        }
        precisions[i] = precision;
    }
    return FL_OK;
}

static fl_err choose(fl_precision *precisions, const fl_graph *graph,
                     const fl_int8_options *options, fl_reason *why)
{
    const struct {
        const char *option, *list;
        fl_precision precision;
    } lists[] = {
        {"float_layers", options->float_layers, FL_PRECISION_FLOAT32},
        {"half_layers", options->half_layers, FL_PRECISION_FLOAT16},
        {"nibble_layers", options->nibble_layers, FL_PRECISION_NIBBLE},
    };
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        bool picked[FL_GRAPH_NODES_MAX] = {false};
        const fl_pick pick = {lists[k].option, "convolution or dense layer",
                              fl_graph_has_weights};
        FL_TRY(fl_pick_nodes(picked, graph, lists[k].list, &pick, why));
        FL_TRY(give(precisions, graph, picked, lists[k].precision, why));
    }
    return FL_OK;
}

static bool names_any(const char *list)
{
    return list && *list;
}

fl_err fl_precision_choose(fl_precision **precisions, const fl_graph *graph,
                           const fl_int8_options *options, fl_reason *why)
{
    *precisions = NULL;
    if (!names_any(options->float_layers) && !names_any(options->half_layers) &&
        !names_any(options->nibble_layers)) {
        return FL_OK;
    }
    fl_precision *made = calloc(graph->node_count, sizeof *made);
    if (!made) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    const fl_err err = choose(made, graph, options, why);
    if (err) {
        free(made);
        return err;
    }
    *precisions = made;
    return FL_OK;
}

fl_err fl_precision_share(fl_sharing *sharing, const fl_graph *graph,
                          const fl_precision *precisions, fl_reason *why)
{
    bool floats[FL_GRAPH_NODES_MAX] = {false};
    if (!precisions) return fl_sharing_find(sharing, graph, why);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        floats[i] = precisions[i] == FL_PRECISION_FLOAT16 ||
                    precisions[i] == FL_PRECISION_FLOAT32;
    }
    return fl_sharing_find_mixed(sharing, graph, floats, why);
}

/* ---- weights of 4 bits ---- */

static double nibble_of(float weight, float scale)
{
    const double q = nearbyint((double)weight / (double)scale);
    return fmin(fmax(q, -NIBBLE_MAX), NIBBLE_MAX);
}

static double squared_error(const float *weights, size_t count, float scale)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double off =
            (double)weights[i] - nibble_of(weights[i], scale) * (double)scale;
        sum += off * off;
    }
    return sum;
}

float fl_precision_nibble_scale(const float *weights, size_t count, float least)
{
    double absmax = 0.0, smallest = INFINITY;
    for (size_t i = 0; i < count; i++) {
        absmax = fmax(absmax, fabs((double)weights[i]));
    }
    float best = least;
    for (int k = 0; k < SCALE_TRIALS; k++) {
        const double part = 1.0 - k / (2.0 * SCALE_TRIALS);  // down to a half
        const float scale = fmaxf((float)(absmax / NIBBLE_MAX * part), least);
        const double error = squared_error(weights, count, scale);
        if (error >= smallest) continue;
        smallest = error;
        best = scale;
    }
    return best;
}

void fl_precision_nibbles(int8_t *dst, const float *weights, size_t count,
                          float scale)
{
    for (size_t i = 0; i < count; i++) {
        dst[i] = (int8_t)nibble_of(weights[i], scale);
    }
}

bool fl_precision_are_nibbles(const int8_t *weights, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (weights[i] < -NIBBLE_MAX || weights[i] > NIBBLE_MAX) return false;
    }
    return true;
}
