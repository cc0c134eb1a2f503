/* Constants, and the little arithmetic on shapes that PyTorch writes for
 * x.view(x.size(0), -1): Shape, Gather, Unsqueeze, Concat, Reshape.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "model/onnx/onnx_import.h"
#include "model/onnx/onnx_tensor.h"

static fl_err name_sizes(fl_onnx_import *import, const fl_onnx_sizes *sizes)
{
    return fl_onnx_output(
        import, (fl_onnx_value){.kind = FL_ONNX_SIZES, .sizes = *sizes});
}

static fl_err read_ints(fl_onnx_import *import, fl_onnx_sizes *sizes,
                        const Onnx__AttributeProto *ints)
{
    if (ints->n_ints == 0 || ints->n_ints > FL_ONNX_SIZES_MAX) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "attribute value_ints has %zu numbers, 1 to %d "
                              "are supported",
                              ints->n_ints, (int)FL_ONNX_SIZES_MAX);
    }
    sizes->count = (uint32_t)ints->n_ints;
    memcpy(sizes->at, ints->ints, ints->n_ints * sizeof sizes->at[0]);
    return FL_OK;
}

fl_err fl_onnx_constant(fl_onnx_import *import)
{
    const Onnx__AttributeProto *tensor, *one, *several;
    FL_TRY(fl_onnx_attribute(import, &tensor, "value",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR));
    FL_TRY(fl_onnx_attribute(import, &one, "value_int",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT));
    FL_TRY(fl_onnx_attribute(import, &several, "value_ints",
                             ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS));
    if (import->node->n_attribute != 1 || (tensor && !tensor->t)) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "it needs exactly one value");
    }
    if (tensor) {
        const char *name =
            import->node->n_output ? import->node->output[0] : "";
        FL_TRY(fl_onnx_tensor_check(tensor->t, name, import->why));
        return fl_onnx_output(import, (fl_onnx_value){.kind = FL_ONNX_TENSOR,
                                                      .tensor = tensor->t});
    }
    fl_onnx_sizes sizes = {.count = 1, .is_scalar = one != NULL};
    if (one) sizes.at[0] = one->i;
    if (several) FL_TRY(read_ints(import, &sizes, several));
    for (uint32_t i = 0; i < sizes.count; i++) {
        if (sizes.at[i] == FL_ONNX_BATCH) {
            return fl_onnx_refuse(import, FL_ERR_FORMAT,
                                  "it holds %" PRId64 ", which is no size",
                                  sizes.at[i]);
        }
    }
    return name_sizes(import, &sizes);
}

fl_err fl_onnx_shape(fl_onnx_import *import)
{
    const fl_onnx_value *x;
    FL_TRY(fl_onnx_input_block(import, 0, &x));
    const fl_shape s = import->graph->nodes[x->node].shape;
    fl_onnx_sizes sizes = {.at = {FL_ONNX_BATCH, s.channels}, .count = 2};
    if (x->axes == FL_ONNX_NCHW) {
        sizes = (fl_onnx_sizes){
            .at = {FL_ONNX_BATCH, s.channels, s.height, s.width}, .count = 4};
    } else if (x->axes == FL_ONNX_NHWC) {
        sizes = (fl_onnx_sizes){
            .at = {FL_ONNX_BATCH, s.height, s.width, s.channels}, .count = 4};
    }
    return name_sizes(import, &sizes);
}

fl_err fl_onnx_gather(fl_onnx_import *import)
{
    fl_onnx_sizes from, indices;
    FL_TRY(fl_onnx_input_sizes(import, 0, &from));
    FL_TRY(fl_onnx_input_sizes(import, 1, &indices));
    FL_TRY(fl_onnx_attribute_must_be(import, "axis", 0));
    if (from.is_scalar) {
        return fl_onnx_refuse(import, FL_ERR_FORMAT,
                              "its input is a single number");
    }
    for (uint32_t i = 0; i < indices.count; i++) {
        int64_t at = indices.at[i];
        if (at < 0 && at >= -(int64_t)from.count) at += from.count;
        if (at < 0 || at >= from.count) {
            return fl_onnx_refuse(import, FL_ERR_FORMAT,
                                  "its index is outside the shape");
        }
        indices.at[i] = from.at[at];
    }
    return name_sizes(import, &indices);
}

// Only of one number, which becomes a list of one.
fl_err fl_onnx_unsqueeze(fl_onnx_import *import)
{
    fl_onnx_sizes sizes, axes = {.count = 1};
    FL_TRY(fl_onnx_input_sizes(import, 0, &sizes));
    FL_TRY(fl_onnx_attribute_ints(import, axes.at, 1, "axes"));
    if (fl_onnx_has_input(import, 1)) {  // opset 13 made it an input
        FL_TRY(fl_onnx_input_sizes(import, 1, &axes));
    }
    if (!sizes.is_scalar || axes.count != 1 ||
        (axes.at[0] != 0 && axes.at[0] != -1)) {
        return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                              "only a single size can become a list");
    }
    sizes.is_scalar = false;
    return name_sizes(import, &sizes);
}

fl_err fl_onnx_concat(fl_onnx_import *import)
{
    int64_t axis;
    fl_onnx_sizes all = {0}, part;
    FL_TRY(fl_onnx_attribute_int(import, &axis, "axis", 0));
    for (size_t i = 0; i < import->node->n_input; i++) {
        FL_TRY(fl_onnx_input_sizes(import, i, &part));
        if (part.is_scalar || part.count > FL_ONNX_SIZES_MAX - all.count ||
            (axis != 0 && axis != -1)) {
            return fl_onnx_refuse(import, FL_ERR_UNSUPPORTED,
                                  "only lists of sizes, %d in all, can be "
                                  "joined",
                                  (int)FL_ONNX_SIZES_MAX);
        }
        memcpy(all.at + all.count, part.at, part.count * sizeof part.at[0]);
        all.count += part.count;
    }
    return name_sizes(import, &all);
}
