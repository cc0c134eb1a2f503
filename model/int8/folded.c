/* SPDX-License-Identifier: Apache-2.0 */
#include "model/int8/folded.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "model/int8/precision.h"
#include "model/plan.h"

enum { BATCH = 8 };  // few, so that large networks fit a board

/* ---- life ---- */

fl_err fl_folded_init(fl_folded *folded, const fl_model *model, fl_reason *why)
{
    return fl_folded_init_mixed(folded, model, &(fl_int8_options){0}, why);
}

fl_err fl_folded_init_mixed(fl_folded *folded, const fl_model *model,
                            const fl_int8_options *options, fl_reason *why)
{
    fl_folded made = {0};
    FL_TRY(fl_model_fold(&made.model, model, why));
    const fl_graph *graph = &made.model->graph;
    made.sharing = calloc(graph->node_count, sizeof *made.sharing);
    fl_err err = made.sharing ? FL_OK : FL_ERR_MEMORY;
    if (err) err = fl_reason_set(why, err, "no memory to fold a model");
    if (!err) err = fl_precision_choose(&made.precisions, graph, options, why);
    if (!err) {
        err = fl_precision_share(made.sharing, graph, made.precisions, why);
    }
    if (err) {
        fl_folded_fini(&made);
        return err;
    }
    made.range_count = fl_sharing_range_count(made.sharing, graph->node_count);
    *folded = made;
    return FL_OK;
}

void fl_folded_fini(fl_folded *folded)
{
    fl_model_free(folded->model);
    free(folded->sharing);
    free(folded->precisions);
    *folded = (fl_folded){0};
}

/* ---- ranges ---- */

static bool is_range(fl_range r)
{
    return isfinite(r.low) && isfinite(r.high) && r.low <= 0.0F &&
           r.high >= 0.0F;
}

fl_err fl_folded_check_count(const fl_folded *folded, size_t range_count,
                             fl_reason *why)
{
    if (range_count == folded->range_count) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "the model has %zu ranges of values, not %zu: these "
                         "are of another model",
                         folded->range_count, range_count);
}

fl_err fl_folded_check(const fl_folded *folded, const fl_range *ranges,
                       size_t range_count, fl_reason *why)
{
    FL_TRY(fl_folded_check_count(folded, range_count, why));
    for (size_t i = 0; i < range_count; i++) {
        if (is_range(ranges[i])) continue;
        return fl_reason_set(why, FL_ERR_RANGE,
                             "range %zu is %g to %g: it must have finite ends "
                             "and 0 inside",
                             i, (double)ranges[i].low, (double)ranges[i].high);
    }
    return FL_OK;
}

/* ---- rows ---- */

fl_err fl_sample_check(const fl_sample *rows, const fl_model *model,
                       fl_reason *why)
{
    const fl_shape a = fl_dataset_shape(rows->dataset);
    const fl_shape b = fl_model_input(model);
    const uint32_t row_count = fl_dataset_row_count(rows->dataset);
    if (a.height != b.height || a.width != b.width ||
        a.channels != b.channels) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the dataset's rows are %ux%ux%u, the model's "
                             "input is %ux%ux%u",
                             a.height, a.width, a.channels, b.height, b.width,
                             b.channels);
    }
    if (rows->row_count == 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "there are no rows to calibrate with; a few "
                             "hundred of the training data are enough");
    }
    for (size_t i = 0; i < rows->row_count; i++) {
        if (rows->rows[i] < row_count) continue;
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the dataset has %u rows, there is no row %u",
                             row_count, rows->rows[i]);
    }
    return FL_OK;
}

/* ---- values ---- */

typedef struct {
    const fl_folded *folded;
    fl_plan *plan;
    fl_folded_look look;
    void *self;
    fl_reason *why;
} watch;

static bool are_finite(const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(x[i])) return false;
    }
    return true;
}

static fl_err show(const watch *w, uint32_t value, const float *x,
                   uint32_t example_count)
{
    const fl_node *node = &w->folded->model->graph.nodes[value];
    const fl_sharing *sharing = &w->folded->sharing[value];
    const size_t count = example_count * fl_shape_size(node->shape);
    if (!are_finite(x, count)) {
        return fl_reason_set(w->why, FL_ERR_RANGE,
                             "node \"%s\" (%s) makes a number that is NaN or "
                             "infinite: the model's parameters or the data "
                             "are broken",
                             node->name, fl_op_name(node->op));
    }
    if (sharing->is_float || sharing->is_clamped) return FL_OK;
    w->look(w->self, sharing->range, x, count);
    return FL_OK;
}

// The FLATTEN that reads the value; 0: there is none.
static uint32_t flatten_of(const fl_graph *graph, uint32_t value)
{
    for (uint32_t i = value + 1; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        if (node->op == FL_OP_FLATTEN && node->inputs[0] == value) return i;
    }
    return 0;
}

// A FLATTEN is no step: its numbers are those of the value it reads. Where
// that stays float32, it has a range of its own.
static fl_err show_all(const watch *w, uint32_t value, const float *x,
                       uint32_t example_count)
{
    FL_TRY(show(w, value, x, example_count));
    while (w->folded->sharing[value].is_float) {
        value = flatten_of(&w->folded->model->graph, value);
        if (value == 0) break;
        FL_TRY(show(w, value, x, example_count));
    }
    return FL_OK;
}

static fl_err watch_batch(const watch *w, uint32_t count)
{
    FL_TRY(show_all(w, 0, fl_plan_input(w->plan, 0), count));
    for (uint32_t i = 0; i < fl_plan_step_count(w->plan); i++) {
        uint32_t value;
        fl_plan_forward_step(w->plan, i, count);
        const float *x = fl_plan_step_value(w->plan, i, &value);
        FL_TRY(show_all(w, value, x, count));
    }
    return FL_OK;
}

static fl_err watch_rows(const watch *w, const fl_sample *rows)
{
    for (size_t from = 0; from < rows->row_count; from += BATCH) {
        const size_t left = rows->row_count - from;
        const uint32_t count = left < BATCH ? (uint32_t)left : BATCH;
        fl_dataset_read(fl_plan_input(w->plan, 0), rows->dataset,
                        rows->rows + from, count);
        FL_TRY(watch_batch(w, count));
    }
    return FL_OK;
}

fl_err fl_folded_watch(const fl_folded *folded, const fl_sample *rows,
                       fl_folded_look look, void *self, fl_reason *why)
{
    const fl_plan_options options = {.batch_cap = BATCH, .is_unfused = true};
    watch w = {.folded = folded, .look = look, .self = self, .why = why};
    FL_TRY(fl_plan_new(&w.plan, &folded->model->graph, fl_kernels_at(0),
                       &options, why));
    fl_plan_load(w.plan, 0, folded->model->params);
    const fl_err err = watch_rows(&w, rows);
    fl_plan_free(w.plan);
    return err;
}
