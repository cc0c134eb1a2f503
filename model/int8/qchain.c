/*
 * Layers that stay in float32: a chain of them, one behind the other, is a
 * float32 plan (model/plan.h) of its own between bytes and bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "base/bytes.h"
#include "model/int8/qstep.h"
#include "model/kernels/kernels.h"

// The nodes of a chain, last one first; and its graph while it is made.
typedef struct {
    uint32_t nodes[FL_GRAPH_NODES_MAX];
    uint32_t count;
    fl_graph graph;
    const float *params;  // of `graph`; live as long as the plan
} chain;

// True: it reads the model's input, or what SUB and DIV make of it.
static bool is_in_front(const fl_qstep *step)
{
    return step->x[0].quant.scale <= 0.0F;
}

static void find_nodes(chain *c, const fl_qstep *step,
                       const fl_qcontext *context)
{
    const fl_node *nodes = context->model->graph.nodes;
    const uint32_t first =
        is_in_front(step) ? 0
                          : context->model->graph.nodes[step->index].inputs[0];
    for (uint32_t at = step->output; at != first; at = nodes[at].inputs[0]) {
        c->nodes[c->count++] = at;
    }
}

static fl_err make_graph(chain *c, const fl_qstep *step,
                         const fl_qcontext *context, fl_reason *why)
{
    const fl_graph *from = &context->model->graph;
    fl_node input = {.op = FL_OP_INPUT, .name = "input"};
    input.shape = is_in_front(step) ? from->nodes[0].shape : step->x[0].shape;
    FL_TRY(fl_graph_add(&c->graph, &input, false, NULL, why));
    for (uint32_t k = c->count; k-- > 0;) {
        fl_node node = from->nodes[c->nodes[k]];
        const bool has_constants = node.op == FL_OP_SUB || node.op == FL_OP_DIV;
        node.inputs[0] = c->graph.node_count - 1;
        FL_TRY(fl_graph_add(
            &c->graph, &node, node.bias_count > 0,
            has_constants ? from->constants + node.constant_at : NULL, why));
    }
    return FL_OK;
}

static fl_err copy_params(chain *c, fl_qcontext *context)
{
    size_t bytes;
    FL_TRY(fl_size_mul(&bytes, c->graph.param_count, sizeof(float)));
    float *params = fl_arena_take(&context->keep, bytes);
    if (!params) return FL_ERR_MEMORY;
    for (uint32_t k = 0; k < c->count; k++) {
        const fl_node *from = &context->model->graph.nodes[c->nodes[k]];
        const fl_node *to = &c->graph.nodes[c->count - k];
        const float *own = context->model->params;
        memcpy(params + to->weight_at, own + from->weight_at,
               to->weight_count * sizeof *params);
        memcpy(params + to->bias_at, own + from->bias_at,
               to->bias_count * sizeof *params);
    }
    c->params = params;
    return FL_OK;
}

static fl_err compile(chain *c, fl_qstep *step, const fl_qcontext *context,
                      fl_reason *why)
{
    const fl_plan_options options = {.batch_cap = context->batch_cap};
    FL_TRY(
        fl_plan_new(&step->chain, &c->graph, fl_kernels_at(0), &options, why));
    fl_plan_load(step->chain, 0, c->params);
    step->param_count = c->graph.param_count;
    step->mac_count = 0;
    for (uint32_t i = 0; i < c->graph.node_count; i++) {
        step->mac_count += fl_graph_mac_count(&c->graph, i);
    }
    return FL_OK;
}

static void chain_run(const fl_qstep *step, const fl_qcontext *context)
{
    const uint32_t count = context->count;
    const uint32_t step_count = fl_plan_step_count(step->chain);
    const fl_graph *graph = fl_plan_graph(step->chain);
    const fl_shape out = graph->nodes[graph->node_count - 1].shape;
    float *input = fl_plan_input(step->chain, 0);
    uint32_t last;
    if (is_in_front(step)) {
        const size_t floats = fl_shape_size(graph->nodes[0].shape);
        memcpy(input, context->input, count * floats * sizeof *input);
    } else {
        fl_qvalue_dequantize(input, &step->x[0], count);
    }
    for (uint32_t i = 0; i < step_count; i++) {
        fl_plan_forward_step(step->chain, i, count);
    }
    const float *made = fl_plan_step_value(step->chain, step_count - 1, &last);
    if (step->y.quant.scale > 0.0F) {
        fl_qvalue_quantize(&step->y, made, count, context->kernels);
    } else {
        memcpy(context->logits, made,
               count * fl_shape_size(out) * sizeof *made);
    }
}

fl_err fl_qchain_prepare(fl_qstep *step, fl_qcontext *context, fl_reason *why)
{
    chain c = {.count = 0};
    step->run = chain_run;
    find_nodes(&c, step, context);
    fl_err err = make_graph(&c, step, context, why);
    if (!err) err = copy_params(&c, context);
    if (!err) err = compile(&c, step, context, why);
    fl_graph_fini(&c.graph);
    return err;
}
