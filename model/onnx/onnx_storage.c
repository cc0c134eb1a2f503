/* fl_model_encode_as.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/onnx_storage.h"

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "model/int8/calibrate.h"
#include "model/onnx/onnx_file.h"
#include "model/onnx/onnx_qdq.h"
#include "model/onnx/onnx_tensor.h"

fl_storage fl_onnx_storage_of(const fl_onnx_writer *writer, uint32_t i)
{
    if (!writer->qdq) return writer->storage;
    const fl_precision precision = fl_int8_precision(writer->qdq->model, i);
    return precision == FL_PRECISION_FLOAT16 ? FL_STORAGE_FLOAT16
                                             : FL_STORAGE_FLOAT32;
}

/* ---- nodes ---- */

void fl_onnx_put_dequantize(fl_onnx_writer *writer, const char *owner,
                            const char *role)
{
    fl_onnx_piece piece;
    fl_onnx_text name;
    fl_onnx_begin(&piece, "DequantizeLinear", "");
    fl_onnx_print(&name, "%s.%s_quantized", owner, role);
    fl_onnx_add_input(&piece, &name);
    fl_onnx_print(&name, "%s.%s_scale", owner, role);
    fl_onnx_add_input(&piece, &name);
    fl_onnx_print(&name, "%s.%s_zero_point", owner, role);
    fl_onnx_add_input(&piece, &name);
    fl_onnx_add_int(&piece, "axis", 0);
    fl_onnx_print(&name, "%s.%s", owner, role);
    fl_onnx_set_output(&piece, &name);
    fl_onnx_put_node(&writer->out, &piece);
}

static void put_cast(fl_onnx_writer *writer, const char *owner)
{
    fl_onnx_piece piece;
    fl_onnx_text name;
    fl_onnx_begin(&piece, "Cast", "");
    fl_onnx_add_tensor(&piece, owner, "weight_half");
    fl_onnx_add_int(&piece, "to", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    fl_onnx_print(&name, "%s.weight", owner);
    fl_onnx_set_output(&piece, &name);
    fl_onnx_put_node(&writer->out, &piece);
}

void fl_onnx_storage_write_node(fl_onnx_writer *writer, uint32_t i)
{
    const fl_node *node = &writer->graph->nodes[i];
    if (!fl_graph_has_weights(node)) return;
    switch (fl_onnx_storage_of(writer, i)) {
    case FL_STORAGE_FLOAT16: put_cast(writer, node->name); break;
    case FL_STORAGE_WEIGHTS8:
        fl_onnx_put_dequantize(writer, node->name, "weight");
        break;
    case FL_STORAGE_FLOAT32: break;
    }
}

/* ---- tensors ---- */

// 17 bits of a float: 127 times such a number is a float, so that what is read
// back has this very scale again. Rounded up, so that nothing is beyond 127.
static float round_scale(double scale)
{
    int exponent;
    const double fraction = frexp(scale, &exponent);
    return (float)ldexp(ceil(ldexp(fraction, 17)), exponent - 17);
}

static float scale_of(const float *row, size_t depth)
{
    double absmax = 0.0;
    for (size_t k = 0; k < depth; k++) {
        absmax = fmax(absmax, fabs((double)row[k]));
    }
    if (!(absmax > 0.0)) return 1.0F;
    return fmaxf(round_scale(absmax / 127.0), FL_CALIBRATE_SCALE_MIN);
}

static void put_weights8(fl_onnx_writer *writer, const fl_node *node,
                         const int64_t *dims, size_t dim_count,
                         const float *weights, const fl_onnx_layout *layout)
{
    const fl_onnx_rows rows = {weights, scale_of};
    fl_onnx_put_rounded(&writer->out, node->name, "weight_quantized", dims,
                        dim_count, &rows, layout);
    fl_onnx_put_row_scales(&writer->out, node->name, "weight_scale", &rows,
                           layout);
    fl_onnx_put_zeros(&writer->out, node->name, "weight_zero_point", false,
                      node->out_count, weights);
}

void fl_onnx_storage_write_weight(fl_onnx_writer *writer, uint32_t i,
                                  const int64_t *dims, size_t dim_count,
                                  const fl_onnx_layout *layout)
{
    const fl_node *node = &writer->graph->nodes[i];
    const float *params =
        writer->qdq ? writer->qdq->model->params : writer->params;
    const float *weights = params + node->weight_at;
    const int64_t bias_dims[] = {(int64_t)node->bias_count};
    const fl_onnx_layout row = fl_onnx_layout_row(node->bias_count);
    switch (fl_onnx_storage_of(writer, i)) {
    case FL_STORAGE_FLOAT32:
        fl_onnx_put_floats(&writer->out, node->name, "weight", dims, dim_count,
                           weights, layout);
        break;
    case FL_STORAGE_FLOAT16:
        fl_onnx_put_halves(&writer->out, node->name, "weight_half", dims,
                           dim_count, weights, layout);
        break;
    case FL_STORAGE_WEIGHTS8:
        put_weights8(writer, node, dims, dim_count, weights, layout);
        break;
    }
    if (node->bias_count == 0) return;
    fl_onnx_put_floats(&writer->out, node->name, "bias", bias_dims, 1,
                       params + node->bias_at, &row);
}

/* ---- the file ---- */

// What rounding can keep.
static fl_err check_weights(const fl_model *model, const fl_node *node,
                            float max, fl_reason *why)
{
    for (size_t k = 0; k < node->weight_count; k++) {
        const float weight = model->params[node->weight_at + k];
        if (fabsf(weight) <= max) continue;
        return fl_reason_set(why, FL_ERR_RANGE,
                             "node \"%s\" (%s): weight %zu is %g, which %s "
                             "cannot hold; store the model as float32",
                             node->name, fl_op_name(node->op), k,
                             (double)weight,
                             max > FL_HALF_MAX ? "8 bits" : "float16");
    }
    return FL_OK;
}

// ONNX says what a network computes, not how it is trained.
static fl_err check_nodes(const fl_graph *graph, fl_reason *why)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        if (node->op != FL_OP_FAKEQUANT && node->x_scale <= 0.0F) continue;
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "node \"%s\" (%s) is being trained for 8 bits: "
                             "finish that, then write the INT8 model",
                             node->name, fl_op_name(node->op));
    }
    return FL_OK;
}

static fl_err check_model(const fl_model *model, fl_storage storage,
                          fl_reason *why)
{
    FL_TRY(check_nodes(&model->graph, why));
    if (storage == FL_STORAGE_FLOAT32) return FL_OK;
    const float max = storage == FL_STORAGE_FLOAT16 ? FL_HALF_MAX : 0x1p127F;
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        const fl_node *node = &model->graph.nodes[i];
        if (fl_graph_has_weights(node)) {
            FL_TRY(check_weights(model, node, max, why));
        }
    }
    return FL_OK;
}

size_t fl_model_bytes_as(const fl_model *model, fl_storage storage)
{
    return fl_onnx_put_model(NULL, model->params, &model->graph, NULL, storage);
}

fl_err fl_model_encode_as(const fl_model *model, fl_storage storage,
                          uint8_t *dst, size_t dst_cap, fl_reason *why)
{
    const size_t len = fl_model_bytes_as(model, storage);
    FL_TRY(check_model(model, storage, why));
    if (dst_cap < len) {
        return fl_reason_set(why, FL_ERR_SPACE,
                             "the model takes %zu bytes, there is room for "
                             "%zu",
                             len, dst_cap);
    }
    fl_onnx_put_model(dst, model->params, &model->graph, NULL, storage);
    return FL_OK;
}

fl_storage fl_model_storage_of(const uint8_t *src, size_t src_len)
{
    size_t floats = 0, halves = 0, bytes = 0;  // numbers
    fl_onnx_file file;
    if (fl_onnx_file_init(&file, src, src_len, NULL)) {
        return FL_STORAGE_FLOAT32;
    }
    for (size_t i = 0; i < file.proto->graph->n_initializer; i++) {
        const Onnx__TensorProto *tensor = file.proto->graph->initializer[i];
        if (fl_onnx_tensor_check(tensor, "", NULL)) continue;
        const size_t count = fl_onnx_tensor_count(tensor);
        const int32_t type = tensor->data_type;
        if (type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) floats += count;
        if (type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16) halves += count;
        if (type == ONNX__TENSOR_PROTO__DATA_TYPE__INT8) bytes += count;
    }
    fl_onnx_file_fini(&file);
    if (halves > floats && halves >= bytes) return FL_STORAGE_FLOAT16;
    return bytes > floats ? FL_STORAGE_WEIGHTS8 : FL_STORAGE_FLOAT32;
}
