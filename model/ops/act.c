/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/op.h"

bool fl_act_is_relu(const fl_task *task)
{
    return task->act && task->act->op == FL_OP_RELU;
}

void fl_act_apply(const fl_task *task, float *values, size_t count)
{
    (void)task;
    // This way round NaN stays NaN, and a broken model shows in the loss.
    for (size_t i = 0; i < count; i++) {
        values[i] = values[i] < 0.0F ? 0.0F : values[i];
    }
}

void fl_act_grad_by_output(const fl_task *task, float *dy, const float *y,
                           size_t count)
{
    task->kernels->relu_mask(dy, y, count);
}

void fl_act_grad(const fl_task *task, float *dy, const float *z, size_t count)
{
    task->kernels->relu_mask(dy, z, count);
}
