/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/calibrate.h"

#include <math.h>
#include <stdlib.h>

#include "model/plan.h"

enum { BATCH = 8 };  // few, so that large networks fit a board

#define PERCENTILE_USUAL 99.99

typedef struct {
    const fl_graph *graph;
    const fl_sharing *sharing;
    const fl_calibration *by;
    fl_plan *plan;
    fl_range *ranges;          // one a node, used of those that name a group
    fl_histogram *histograms;  // the same; NULL: the first pass
    fl_reason *why;
} survey;

/* ---- from a range to a quantisation ---- */

fl_quant fl_calibrate_quant(fl_range range, bool is_symmetric)
{
    const double low = (double)range.low, high = (double)range.high;
    const double reach = fmax(-low, high);
    float scale = (float)(is_symmetric ? reach / 127.0 : (high - low) / 255.0);
    if (scale < FL_CALIBRATE_SCALE_MIN) {
        scale = 1.0F / 255.0F;
    }
    if (is_symmetric) return (fl_quant){scale, 128};
    const double zero_point = nearbyint(-low / (double)scale);
    return (fl_quant){scale, (uint8_t)fmin(zero_point, 255.0)};
}

static fl_range chosen_range(const survey *s, uint32_t group)
{
    const fl_int8_options *o = s->by->options;
    const double percentile =
        o->percentile > 0.0 ? o->percentile : PERCENTILE_USUAL;
    switch (o->calibrate) {
    case FL_CALIBRATE_PERCENTILE:
        return fl_histogram_percentile(&s->histograms[group], percentile);
    case FL_CALIBRATE_ENTROPY:
        return fl_histogram_entropy(&s->histograms[group], o->is_symmetric);
    case FL_CALIBRATE_MINMAX: break;
    }
    return s->ranges[group];
}

static void write_quants(fl_quant *values, const survey *s)
{
    for (uint32_t i = 0; i < s->graph->node_count; i++) {
        const uint32_t group = s->sharing[i].group;
        if (s->sharing[i].is_float) {
            values[i] = (fl_quant){0.0F, 0};
        } else if (group == i) {
            values[i] = fl_calibrate_quant(chosen_range(s, group),
                                           s->by->options->is_symmetric);
        } else {
            values[i] = values[group];  // a smaller number: it is there
        }
    }
}

/* ---- looking at values ---- */

static fl_err widen(fl_range *range, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(x[i])) return FL_ERR_RANGE;
        if (x[i] < range->low) range->low = x[i];
        if (x[i] > range->high) range->high = x[i];
    }
    return FL_OK;
}

static fl_err look_at(survey *s, uint32_t value, const float *x,
                      uint32_t example_count)
{
    const fl_node *node = &s->graph->nodes[value];
    const fl_sharing *sharing = &s->sharing[value];
    const size_t count = example_count * fl_shape_size(node->shape);
    const bool counts = !sharing->is_float && !sharing->is_clamped;
    if (s->histograms) {
        if (counts) {
            fl_histogram_add(&s->histograms[sharing->group], x, count);
        }
        return FL_OK;
    }
    fl_range unused = {0.0F, 0.0F};
    if (!widen(counts ? &s->ranges[sharing->group] : &unused, x, count)) {
        return FL_OK;
    }
    return fl_reason_set(s->why, FL_ERR_RANGE,
                         "node \"%s\" (%s) makes a number that is NaN or "
                         "infinite: the model's parameters or the data are "
                         "broken",
                         node->name, fl_op_name(node->op));
}

static fl_err look_at_batch(survey *s, uint32_t count)
{
    FL_TRY(look_at(s, 0, fl_plan_input(s->plan, 0), count));
    for (uint32_t i = 0; i < fl_plan_step_count(s->plan); i++) {
        uint32_t value;
        fl_plan_forward_step(s->plan, i, count);
        const float *x = fl_plan_step_value(s->plan, i, &value);
        FL_TRY(look_at(s, value, x, count));
    }
    return FL_OK;
}

static fl_err look_at_rows(survey *s)
{
    const fl_calibration *by = s->by;
    for (size_t from = 0; from < by->row_count; from += BATCH) {
        const size_t left = by->row_count - from;
        const uint32_t count = left < BATCH ? (uint32_t)left : BATCH;
        fl_dataset_read(fl_plan_input(s->plan, 0), by->dataset, by->rows + from,
                        count);
        FL_TRY(look_at_batch(s, count));
    }
    return FL_OK;
}

/* ---- the two passes ---- */

static void make_symmetric(fl_range *range)
{
    const float reach = fmaxf(-range->low, range->high);
    *range = (fl_range){-reach, reach};
}

static fl_err begin_histograms(survey *s)
{
    const uint32_t count = s->graph->node_count;
    s->histograms = malloc(count * sizeof *s->histograms);
    if (!s->histograms) {
        return fl_reason_set(s->why, FL_ERR_MEMORY,
                             "no memory for %u histograms of %zu bytes", count,
                             sizeof *s->histograms);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (s->by->options->is_symmetric) make_symmetric(&s->ranges[i]);
        fl_histogram_init(&s->histograms[i], s->ranges[i]);
    }
    return FL_OK;
}

static fl_err begin(survey *s, const fl_model *folded)
{
    const fl_plan_options options = {.batch_cap = BATCH, .is_unfused = true};
    FL_TRY(fl_plan_new(&s->plan, s->graph, fl_kernels_at(0), &options, s->why));
    fl_plan_load(s->plan, 0, folded->params);
    s->ranges = calloc(s->graph->node_count, sizeof *s->ranges);
    if (s->ranges) return FL_OK;
    return fl_reason_set(s->why, FL_ERR_MEMORY, "no memory for the ranges");
}

fl_err fl_calibrate_values(fl_quant *values, const fl_model *folded,
                           const fl_sharing *sharing, const fl_calibration *by,
                           fl_reason *why)
{
    survey s = {
        .graph = &folded->graph,
        .sharing = sharing,
        .by = by,
        .why = why,
    };
    fl_err err = begin(&s, folded);
    if (!err) err = look_at_rows(&s);
    if (!err && by->options->calibrate != FL_CALIBRATE_MINMAX) {
        err = begin_histograms(&s);
        if (!err) err = look_at_rows(&s);
    }
    if (!err) write_quants(values, &s);
    fl_plan_free(s.plan);
    free(s.ranges);
    free(s.histograms);
    return err;
}
