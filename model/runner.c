/*
 * One face for the two engines that run a finished model: the float32 plan
 * (model/plan.h) and the INT8 plan (model/int8/qplan.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "model/graph.h"
#include "model/int8/qplan.h"
#include "model/loss.h"
#include "model/model.h"
#include "model/plan.h"

enum { OP_CAP = 64, FUSED_MAX = 4 };

#define MARGIN 0.2F  // of embeddings, as Schroff et al. 2015 (FaceNet) have it

typedef struct {
    char op[OP_CAP];
} op_text;

// One of the two engines; the other one's pointers are NULL.
struct fl_runner {
    uint32_t batch_cap;
    fl_shape input;
    uint32_t class_count;
    fl_loss loss;  // what fl_runner_evaluate measures
    const char *kernels;
    // float32
    fl_model *folded;
    fl_plan *plan;
    op_text *ops;  // one a step
    // INT8
    fl_qplan *qplan;
};

/* ---- life ---- */

static fl_err check_start(uint32_t batch_cap, fl_reason *why)
{
    if (batch_cap > 0) return fl_cpu_check(why);
    return fl_reason_set(why, FL_ERR_RANGE,
                         "a batch of 0 examples cannot be run; it must be at "
                         "least 1");
}

static fl_runner *runner_over(const fl_graph *graph, uint32_t batch_cap)
{
    const fl_node *last = &graph->nodes[graph->node_count - 1];
    fl_runner *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    made->batch_cap = batch_cap;
    made->input = graph->nodes[0].shape;
    made->class_count = (uint32_t)fl_shape_size(last->shape);
    if (last->op == FL_OP_L2NORM) {
        made->loss = (fl_loss){.kind = FL_LOSS_TRIPLET, .margin = MARGIN};
    }
    return made;
}

static fl_err refuse_memory(fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_MEMORY, "no memory to run a model");
}

// "Conv+Relu": the nodes fused into a step, from its first to `last`.
static void describe_step(op_text *text, const fl_graph *graph, uint32_t first,
                          uint32_t last)
{
    uint32_t nodes[FUSED_MAX] = {last};
    unsigned count = 1;
    while (nodes[count - 1] > first && count < FUSED_MAX) {
        nodes[count] = graph->nodes[nodes[count - 1]].inputs[0];
        count++;
    }
    size_t len = 0;
    while (count-- > 0) {
        len += (size_t)snprintf(text->op + len, sizeof text->op - len, "%s%s",
                                fl_op_name(graph->nodes[nodes[count]].op),
                                count > 0 ? "+" : "");
        if (len >= sizeof text->op) return;
    }
}

static fl_err describe_steps(fl_runner *r)
{
    const uint32_t count = fl_plan_step_count(r->plan);
    r->ops = calloc((size_t)count + 1, sizeof *r->ops);
    if (!r->ops) return FL_ERR_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t last = 0;
        fl_plan_step_value(r->plan, i, &last);
        describe_step(&r->ops[i], fl_plan_graph(r->plan),
                      fl_plan_step_node(r->plan, i), last);
    }
    return FL_OK;
}

static fl_err build(fl_runner *r, const fl_model *model, fl_reason *why)
{
    const fl_kernels *kernels = fl_kernels_at(0);
    const fl_plan_options options = {.batch_cap = r->batch_cap};
    r->kernels = kernels->name;
    FL_TRY(fl_model_fold(&r->folded, model, why));
    FL_TRY(fl_plan_new(&r->plan, &r->folded->graph, kernels, &options, why));
    if (describe_steps(r)) return refuse_memory(why);
    fl_plan_load(r->plan, 0, r->folded->params);
    return FL_OK;
}

fl_err fl_runner_new(fl_runner **runner, const fl_model *model,
                     uint32_t batch_cap, fl_reason *why)
{
    FL_TRY(check_start(batch_cap, why));
    fl_runner *made = runner_over(&model->graph, batch_cap);
    const fl_err err = made ? build(made, model, why) : refuse_memory(why);
    if (err) {
        fl_runner_free(made);
        return err;
    }
    *runner = made;
    return FL_OK;
}

static fl_err build_int8(fl_runner *r, const fl_int8_model *quantized,
                         fl_reason *why)
{
    const fl_qkernels *kernels = fl_qkernels_at(0);
    r->kernels = kernels->name;
    return fl_qplan_new(&r->qplan, quantized, kernels, r->batch_cap, why);
}

fl_err fl_runner_new_int8(fl_runner **runner, const fl_int8_model *quantized,
                          uint32_t batch_cap, fl_reason *why)
{
    FL_TRY(check_start(batch_cap, why));
    fl_runner *made = runner_over(&quantized->graph, batch_cap);
    const fl_err err =
        made ? build_int8(made, quantized, why) : refuse_memory(why);
    if (err) {
        fl_runner_free(made);
        return err;
    }
    *runner = made;
    return FL_OK;
}

void fl_runner_free(fl_runner *runner)
{
    if (!runner) return;
    fl_model_free(runner->folded);
    fl_plan_free(runner->plan);
    fl_qplan_free(runner->qplan);
    free(runner->ops);
    free(runner);
}

/* ---- running ---- */

static void load_input(fl_runner *r, const float *x, size_t count)
{
    if (r->qplan) return;
    memcpy(fl_plan_input(r->plan, 0), x,
           count * fl_shape_size(r->input) * sizeof *x);
}

static void run_step(fl_runner *r, uint32_t i, float *logits, const float *x,
                     uint32_t count)
{
    if (r->qplan) {
        fl_qplan_run_step(r->qplan, i, logits, x, count);
    } else {
        fl_plan_forward_step(r->plan, i, count);
    }
}

static void store_logits(const fl_runner *r, float *logits, size_t count)
{
    if (r->qplan) return;
    memcpy(logits, fl_plan_logits(r->plan, 0),
           count * r->class_count * sizeof *logits);
}

fl_err fl_runner_run(fl_runner *runner, float *logits, const float *x,
                     size_t count)
{
    if (count > runner->batch_cap) return FL_ERR_RANGE;
    const uint32_t steps = fl_runner_step_count(runner);
    load_input(runner, x, count);
    for (uint32_t i = 0; i < steps; i++) {
        run_step(runner, i, logits, x, (uint32_t)count);
    }
    store_logits(runner, logits, count);
    return FL_OK;
}

fl_err fl_runner_profile(fl_runner *runner, float *logits, const float *x,
                         size_t count, uint64_t *step_ns)
{
    if (count > runner->batch_cap) return FL_ERR_RANGE;
    const uint32_t steps = fl_runner_step_count(runner);
    load_input(runner, x, count);
    int64_t before = fl_clock_monotonic_ns();
    for (uint32_t i = 0; i < steps; i++) {
        run_step(runner, i, logits, x, (uint32_t)count);
        const int64_t after = fl_clock_monotonic_ns();
        step_ns[i] += (uint64_t)(after - before);
        before = after;
    }
    store_logits(runner, logits, count);
    return FL_OK;
}

/* ---- what it is ---- */

uint32_t fl_runner_step_count(const fl_runner *runner)
{
    return runner->qplan ? fl_qplan_step_count(runner->qplan)
                         : fl_plan_step_count(runner->plan);
}

// Multiplications of weights that an example needs.
static uint64_t macs_of(const fl_node *node)
{
    if (node->op == FL_OP_DENSE) return node->weight_count;
    if (node->op != FL_OP_CONV) return 0;
    const uint64_t pixels = (uint64_t)node->shape.height * node->shape.width;
    return pixels * node->weight_count;
}

fl_step_info fl_runner_step(const fl_runner *runner, uint32_t i)
{
    if (runner->qplan) return fl_qplan_step(runner->qplan, i);
    uint32_t last = 0;
    fl_plan_step_value(runner->plan, i, &last);
    const fl_node *nodes = fl_plan_graph(runner->plan)->nodes;
    const fl_node *node = &nodes[fl_plan_step_node(runner->plan, i)];
    return (fl_step_info){
        .name = node->name,
        .op = runner->ops[i].op,
        .shape = nodes[last].shape,
        .param_count = node->weight_count + node->bias_count,
        .mac_count = macs_of(node),
        .precision = FL_PRECISION_FLOAT32,
    };
}

size_t fl_runner_bytes(const fl_runner *runner)
{
    if (runner->qplan) return fl_qplan_bytes(runner->qplan);
    return fl_plan_bytes(runner->plan) +
           runner->folded->graph.param_count * sizeof(float);
}

const char *fl_runner_kernels(const fl_runner *runner)
{
    return runner->kernels;
}

fl_shape fl_runner_input(const fl_runner *runner)
{
    return runner->input;
}

uint32_t fl_runner_class_count(const fl_runner *runner)
{
    return runner->class_count;
}

/* ---- measuring ---- */

static fl_err check_dataset(const fl_runner *r, const fl_dataset *dataset,
                            fl_reason *why)
{
    const fl_shape a = fl_dataset_shape(dataset), b = r->input;
    if (a.height != b.height || a.width != b.width ||
        a.channels != b.channels) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the dataset's rows are %ux%ux%u, the model's "
                             "input is %ux%ux%u",
                             a.height, a.width, a.channels, b.height, b.width,
                             b.channels);
    }
    // Embeddings tell apart as many classes as there are.
    if (r->loss.kind != FL_LOSS_SOFTMAX ||
        fl_dataset_class_count(dataset) <= r->class_count) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "the dataset has %u classes, the model tells only %u "
                         "apart",
                         fl_dataset_class_count(dataset), r->class_count);
}

// Room for a batch, as long as a measurement takes.
typedef struct {
    float *x, *logits;
    uint32_t *labels;
} room;

static void room_fini(room *r)
{
    free(r->x);
    free(r->logits);
    free(r->labels);
}

static fl_err room_init(room *r, const fl_runner *runner, size_t examples,
                        fl_reason *why)
{
    // One example at least keeps an empty list of rows out of malloc(0).
    if (examples == 0) examples = 1;
    r->x = calloc(examples, fl_shape_size(runner->input) * sizeof *r->x);
    r->logits = calloc(examples, runner->class_count * sizeof *r->logits);
    r->labels = calloc(examples, sizeof *r->labels);
    if (r->x && r->logits && r->labels) return FL_OK;
    return fl_reason_set(why, FL_ERR_MEMORY,
                         "no memory to measure a batch of %zu", examples);
}

static fl_err measure_batch(fl_runner *r, fl_metrics *metrics, const room *at,
                            const fl_dataset *dataset, const uint32_t *rows,
                            uint32_t count)
{
    fl_dataset_read(at->x, dataset, rows, count);
    for (uint32_t i = 0; i < count; i++) {
        at->labels[i] = fl_dataset_labels(dataset)[rows[i]];
    }
    FL_TRY(fl_runner_run(r, at->logits, at->x, count));
    const fl_loss_batch batch = {
        .outputs = at->logits,
        .labels = at->labels,
        .count = count,
        .width = r->class_count,
    };
    const double loss = fl_loss_add(metrics, &r->loss, &batch);
    return isfinite(loss) ? FL_OK : FL_ERR_RANGE;
}

fl_err fl_runner_evaluate(fl_runner *runner, fl_metrics *metrics,
                          const fl_dataset *dataset, const uint32_t *rows,
                          size_t row_count, fl_reason *why)
{
    FL_TRY(check_dataset(runner, dataset, why));
    *metrics = (fl_metrics){0};
    const size_t cap =
        runner->batch_cap < row_count ? runner->batch_cap : row_count;
    room batch = {NULL, NULL, NULL};
    fl_err err = room_init(&batch, runner, cap, why);
    for (size_t at = 0; !err && at < row_count; at += cap) {
        const size_t left = row_count - at;
        const size_t count = left < cap ? left : cap;
        err = measure_batch(runner, metrics, &batch, dataset, rows + at,
                            (uint32_t)count);
        if (err) {
            err = fl_reason_set(why, err,
                                "rows %zu to %zu: the loss is NaN or "
                                "infinite: the model's parameters are broken",
                                at, at + count - 1);
        }
    }
    room_fini(&batch);
    return err;
}

fl_err fl_int8_evaluate(fl_metrics *metrics, const fl_int8_model *quantized,
                        uint32_t batch_cap, const fl_dataset *dataset,
                        const uint32_t *rows, size_t row_count, fl_reason *why)
{
    fl_runner *runner = NULL;
    FL_TRY(fl_runner_new_int8(&runner, quantized, batch_cap, why));
    const fl_err err =
        fl_runner_evaluate(runner, metrics, dataset, rows, row_count, why);
    fl_runner_free(runner);
    return err;
}
