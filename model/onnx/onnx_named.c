/* SPDX-License-Identifier: Apache-2.0 */
#include "model/named.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/graph.h"
#include "model/onnx/onnx_writer.h"

_Static_assert((int)FL_NAMED_CAP >= (int)FL_ONNX_TEXT_CAP,
               "there is room for a name");

typedef struct {
    const float *params;
    fl_named *tensors;  // NULL: they are only counted
    size_t count;
} list;

static void take(void *self, const fl_onnx_floats *floats)
{
    list *l = self;
    if (strcmp(floats->role, "constant") == 0) return;
    fl_named *tensor = l->tensors ? &l->tensors[l->count] : NULL;
    l->count++;
    if (!tensor) return;
    const fl_onnx_layout *layout = floats->layout;
    *tensor = (fl_named){
        .dim_count = (uint32_t)floats->dim_count,
        .offset = (size_t)(floats->numbers - l->params),
        .count = fl_onnx_layout_count(layout),
        .is_statistic = strncmp(floats->role, "running_", 8) == 0,
        .is_variance = strcmp(floats->role, "running_var") == 0,
        .sizes = {layout->outputs, layout->pixels, layout->channels},
        .steps = {layout->output_step, layout->pixel_step,
                  layout->channel_step},
    };
    snprintf(tensor->name, sizeof tensor->name, "%s.%s", floats->owner,
             floats->role);
    for (size_t i = 0; i < floats->dim_count; i++) {
        tensor->dims[i] = (uint32_t)floats->dims[i];
    }
}

// The writer's own walk over the tensors, without a destination.
static void walk(list *l, const fl_model *model)
{
    fl_onnx_forms forms;
    fl_onnx_forms_init(&forms, &model->graph);
    fl_onnx_writer writer = {
        .out = {.told = take, .told_self = l},
        .params = model->params,
        .graph = &model->graph,
        .forms = &forms,
        .storage = FL_STORAGE_FLOAT32,
    };
    l->count = 0;
    for (uint32_t i = 1; i < model->graph.node_count; i++) {
        fl_onnx_write_weights(&writer, i);
    }
}

fl_err fl_named_list(fl_named **tensors, size_t *count, const fl_model *model,
                     fl_reason *why)
{
    list l = {.params = model->params};
    walk(&l, model);
    l.tensors = calloc(l.count + 1, sizeof *l.tensors);
    if (!l.tensors) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu tensors",
                             l.count);
    }
    walk(&l, model);
    *tensors = l.tensors;
    *count = l.count;
    return FL_OK;
}

static fl_onnx_layout layout_of(const fl_named *tensor)
{
    const size_t *sizes = tensor->sizes, *steps = tensor->steps;
    return (fl_onnx_layout){sizes[0], sizes[1], sizes[2],
                            steps[0], steps[1], steps[2]};
}

void fl_named_get(float *dst, const fl_named *tensor, const float *params)
{
    const fl_onnx_layout layout = layout_of(tensor);
    const float *src = params + tensor->offset;
    fl_onnx_walk file = {0};
    for (size_t i = 0; i < tensor->count; i++) {
        dst[file.at] = src[i];
        fl_onnx_walk_on(&file, &layout);
    }
}

void fl_named_set(float *params, const fl_named *tensor, const float *src)
{
    const fl_onnx_layout layout = layout_of(tensor);
    float *dst = params + tensor->offset;
    fl_onnx_walk file = {0};
    for (size_t i = 0; i < tensor->count; i++) {
        dst[i] = src[file.at];
        fl_onnx_walk_on(&file, &layout);
    }
}
