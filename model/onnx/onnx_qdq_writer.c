/* fl_int8_encode.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "model/int8/precision.h"
#include "model/onnx/onnx_qdq.h"
#include "model/onnx/onnx_storage.h"

enum { UNSIGNED_TO_SIGNED = 128 };

static bool is_signed(const fl_onnx_writer *writer)
{
    return writer->qdq->profile == FL_QDQ_TENSORRT;
}

// An activation that clamps the value comes next: the pair stands behind it.
static bool has_pair(const fl_onnx_writer *writer, uint32_t i)
{
    return writer->qdq && writer->qdq->model->values[i].scale > 0.0F &&
           !writer->qdq->sharing[i].is_clamped;
}

bool fl_onnx_qdq_clamps(const fl_onnx_writer *writer, uint32_t i)
{
    return writer->qdq && writer->qdq->model->values[i].scale > 0.0F;
}

static const char *name_of(const fl_onnx_writer *writer, uint32_t i)
{
    return writer->graph->nodes[i].name;
}

bool fl_onnx_qdq_has_params(const fl_onnx_writer *writer, uint32_t i)
{
    return writer->qdq && fl_graph_has_weights(&writer->graph->nodes[i]) &&
           !fl_int8_is_float_layer(writer->qdq->model, i);
}

void fl_onnx_qdq_name(fl_onnx_text *dst, const fl_onnx_writer *writer,
                      uint32_t i)
{
    if (has_pair(writer, i)) {
        fl_onnx_name_step(dst, writer->graph, i, "dequantized");
    } else {
        fl_onnx_name_value(dst, writer->graph, i);
    }
}

/* ---- nodes ---- */

void fl_onnx_qdq_write_params(fl_onnx_writer *writer, uint32_t i)
{
    // TensorRT has its biases in float.
    fl_onnx_put_dequantize(writer, name_of(writer, i), "weight");
    if (writer->graph->nodes[i].bias_count && !is_signed(writer)) {
        fl_onnx_put_dequantize(writer, name_of(writer, i), "bias");
    }
}

static void put_half(fl_onnx_writer *writer, uint32_t i, const char *op_type,
                     const fl_onnx_text *from, const char *step)
{
    fl_onnx_piece piece;
    fl_onnx_text to;
    fl_onnx_begin(&piece, op_type, "");
    fl_onnx_add_input(&piece, from);
    fl_onnx_add_tensor(&piece, name_of(writer, i), "scale");
    fl_onnx_add_tensor(&piece, name_of(writer, i), "zero_point");
    fl_onnx_name_step(&to, writer->graph, i, step);
    fl_onnx_set_output(&piece, &to);
    fl_onnx_put_node(&writer->out, &piece);
}

void fl_onnx_qdq_write_value(fl_onnx_writer *writer, uint32_t i)
{
    fl_onnx_text value;
    if (!has_pair(writer, i)) return;
    fl_onnx_name_value(&value, writer->graph, i);
    put_half(writer, i, "QuantizeLinear", &value, "quantized");
    fl_onnx_name_step(&value, writer->graph, i, "quantized");
    put_half(writer, i, "DequantizeLinear", &value, "dequantized");
}

/* ---- tensors ---- */

void fl_onnx_qdq_write_scale(fl_onnx_writer *writer, uint32_t i)
{
    if (!has_pair(writer, i)) return;
    const fl_quant *value = &writer->qdq->model->values[i];
    const int zero_point = is_signed(writer)
                               ? value->zero_point - UNSIGNED_TO_SIGNED
                               : value->zero_point;
    fl_onnx_put_scalar(&writer->out, name_of(writer, i), "scale", value->scale);
    fl_onnx_put_byte(&writer->out, name_of(writer, i), "zero_point",
                     is_signed(writer), zero_point);
}

static void put_bias(fl_onnx_writer *writer, uint32_t i)
{
    const fl_int8_model *model = writer->qdq->model;
    const fl_node *node = &writer->graph->nodes[i];
    const size_t at = model->channel_at[i], count = node->bias_count;
    const float x_scale = model->values[node->inputs[0]].scale;
    const fl_onnx_scaled bias = {
        .numbers = model->biases + at,
        .scales = model->weight_scales + at,
        .factor = x_scale,
        .count = count,
    };
    if (is_signed(writer)) {
        fl_onnx_put_dequantized(&writer->out, node->name, "bias", &bias);
        return;
    }
    fl_onnx_put_int32s(&writer->out, node->name, "bias_quantized",
                       model->biases + at, count);
    fl_onnx_put_scaled(&writer->out, node->name, "bias_scale", &bias);
    fl_onnx_put_zeros(&writer->out, node->name, "bias_zero_point", true, count,
                      model->biases + at);
}

void fl_onnx_qdq_write_weight(fl_onnx_writer *writer, uint32_t i,
                              const int64_t *dims, size_t dim_count,
                              const fl_onnx_layout *layout)
{
    const fl_int8_model *model = writer->qdq->model;
    const fl_node *node = &writer->graph->nodes[i];
    const fl_onnx_layout row = fl_onnx_layout_row(node->out_count);
    const int64_t row_dims[] = {node->out_count};
    fl_onnx_put_int8s(&writer->out, node->name, "weight_quantized", dims,
                      dim_count, model->weights + node->weight_at, layout);
    fl_onnx_put_floats(&writer->out, node->name, "weight_scale", row_dims, 1,
                       model->weight_scales + model->channel_at[i], &row);
    fl_onnx_put_zeros(&writer->out, node->name, "weight_zero_point", false,
                      node->out_count, model->weights + node->weight_at);
    if (node->bias_count) put_bias(writer, i);
}

/* ---- the file ---- */

static bool is_symmetric(const fl_int8_model *model)
{
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        const fl_quant *value = &model->values[i];
        if (value->scale > 0.0F && value->zero_point != UNSIGNED_TO_SIGNED) {
            return false;
        }
    }
    return true;
}

// Fails only where memory does; `dst` NULL: *len is what it takes.
static fl_err put_quantized(size_t *len, uint8_t *dst,
                            const fl_int8_model *model, fl_qdq_profile profile)
{
    fl_sharing *sharing = calloc(model->graph.node_count, sizeof *sharing);
    if (!sharing) return FL_ERR_MEMORY;
    const fl_err err =
        fl_precision_share(sharing, &model->graph, model->precisions, NULL);
    if (!err) {
        const struct fl_onnx_qdq qdq = {model, sharing, profile};
        *len = fl_onnx_put_model(dst, NULL, &model->graph, &qdq,
                                 FL_STORAGE_FLOAT32);
    }
    free(sharing);
    return err;
}

size_t fl_int8_bytes(const fl_int8_model *quantized, fl_qdq_profile profile)
{
    size_t len;
    return put_quantized(&len, NULL, quantized, profile) ? SIZE_MAX : len;
}

fl_err fl_int8_encode(const fl_int8_model *quantized, fl_qdq_profile profile,
                      uint8_t *dst, size_t dst_cap)
{
    size_t len;
    if (profile == FL_QDQ_TENSORRT && !is_symmetric(quantized)) {
        return FL_ERR_UNSUPPORTED;
    }
    FL_TRY(put_quantized(&len, NULL, quantized, profile));
    if (dst_cap < len) return FL_ERR_SPACE;
    return put_quantized(&len, dst, quantized, profile);
}

fl_err fl_int8_encode_new(uint8_t **bytes, size_t *len,
                          const fl_int8_model *quantized,
                          fl_qdq_profile profile, fl_reason *why)
{
    const size_t needed = fl_int8_bytes(quantized, profile);
    uint8_t *made = malloc(needed);
    if (!made) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory for an INT8 model of %zu bytes",
                             needed);
    }
    const fl_err err = fl_int8_encode(quantized, profile, made, needed);
    if (err) {
        free(made);
        return err;
    }
    *bytes = made;
    *len = needed;
    return FL_OK;
}
