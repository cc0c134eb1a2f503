/*
 * Where floats become bytes and bytes floats: SUB, DIV and the first
 * quantisation in front; the logits and an L2NORM of them at the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "base/bytes.h"
#include "model/int8/qstep.h"

/* ---- the first quantisation ---- */

// input->x, row by row.
static void quantize_rows(fl_qinput *input, const fl_qvalue *y, uint32_t count,
                          const fl_qkernels *kernels)
{
    input->count = (size_t)y->shape.width * y->shape.channels;
    input->scale = y->quant.scale;
    input->zero_point = y->quant.zero_point;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t row = 0; row < y->shape.height; row++) {
            input->y = fl_qvalue_row(y, i, row);
            kernels->quantize(input);
            input->x += input->count;
        }
    }
}

void fl_qvalue_quantize(const fl_qvalue *y, const float *src, uint32_t count,
                        const fl_qkernels *kernels)
{
    fl_qinput input = {.x = src};
    quantize_rows(&input, y, count, kernels);
}

static void input_run(const fl_qstep *step, const fl_qcontext *context)
{
    fl_qinput input = {
        .x = context->input,
        .changes = step->changes,
        .change_count = step->change_count,
    };
    quantize_rows(&input, &step->y, context->count, context->kernels);
}

// A row of a SUB's or DIV's constants, one for each float of a row.
static fl_err add_change(fl_qstep *step, fl_qcontext *context,
                         const fl_node *node)
{
    const fl_shape s = step->y.shape;
    size_t bytes;
    FL_TRY(fl_size_mul(&bytes, (size_t)s.width * s.channels, sizeof(float)));
    float *operand = fl_arena_take(&context->keep, bytes);
    if (!operand) return FL_ERR_MEMORY;
    const float *constants =
        context->model->graph.constants + node->constant_at;
    for (size_t i = 0; i < (size_t)s.width * s.channels; i++) {
        operand[i] = constants[i % s.channels];
    }
    step->changes[step->change_count++] = (fl_qchange){
        .operand = operand,
        .divides = node->op == FL_OP_DIV,
    };
    return FL_OK;
}

// Appends what lies between the input and node i, in the order of the graph.
static fl_err add_changes(fl_qstep *step, fl_qcontext *context, uint32_t i,
                          fl_reason *why)
{
    const fl_int8_model *model = context->model;
    uint32_t depth = 0;
    for (uint32_t at = i; at != 0; at = model->graph.nodes[at].inputs[0]) {
        const fl_node *node = &model->graph.nodes[at];
        const bool is_first = at == i || model->values[at].scale <= 0.0F;
        if ((node->op != FL_OP_SUB && node->op != FL_OP_DIV) || !is_first) {
            return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                                 "only SUB and DIV of float32 may lie in "
                                 "front of the first quantized value");
        }
        depth++;
    }
    if (depth == 0) return FL_OK;
    if (model->values[0].scale > 0.0F) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "the input is quantized in front of it");
    }
    step->changes =
        fl_arena_take(&context->keep, depth * sizeof *step->changes);
    if (!step->changes) return FL_ERR_MEMORY;
    for (; depth > 0; depth--) {
        uint32_t at = i;
        for (uint32_t back = 1; back < depth; back++) {
            at = model->graph.nodes[at].inputs[0];
        }
        FL_TRY(add_change(step, context, &model->graph.nodes[at]));
    }
    return FL_OK;
}

fl_err fl_qinput_prepare(fl_qstep *step, fl_qcontext *context, fl_reason *why)
{
    step->run = input_run;
    return add_changes(step, context, step->index, why);
}

/* ---- the logits ---- */

void fl_qvalue_dequantize(float *dst, const fl_qvalue *x, uint32_t count)
{
    const size_t row_floats = (size_t)x->shape.width * x->shape.channels;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t row = 0; row < x->shape.height; row++) {
            const uint8_t *src = fl_qvalue_row(x, i, row);
            for (size_t k = 0; k < row_floats; k++) {
                *dst++ = (float)(src[k] - x->quant.zero_point) * x->quant.scale;
            }
        }
    }
}

static void normalize(float *x, uint32_t channels, float epsilon)
{
    float sum = 0.0F;
    for (uint32_t c = 0; c < channels; c++) {
        sum += x[c] * x[c];
    }
    const float norm = sqrtf(sum);
    const float divisor = norm > epsilon ? norm : epsilon;
    for (uint32_t c = 0; c < channels; c++) {
        x[c] /= divisor;
    }
}

static void output_run(const fl_qstep *step, const fl_qcontext *context)
{
    const fl_qvalue *x = &step->x[0];
    if (x->quant.scale > 0.0F) {
        fl_qvalue_dequantize(context->logits, x, context->count);
    }
    if (step->node.op != FL_OP_L2NORM) return;
    const fl_shape s = step->y.shape;
    const size_t pixels = (size_t)context->count * s.height * s.width;
    for (size_t i = 0; i < pixels; i++) {
        normalize(context->logits + i * s.channels, s.channels,
                  step->node.epsilon);
    }
}

fl_err fl_qoutput_prepare(fl_qstep *step, fl_qcontext *context, fl_reason *why)
{
    (void)context;
    (void)why;
    step->run = output_run;
    return FL_OK;
}
