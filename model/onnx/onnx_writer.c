/* fl_model_encode: IR 8, opset 13, or 14 where HardSwish needs it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/onnx_writer.h"

#include "model/graph.h"
#include "model/onnx/onnx_qdq.h"
#include "model/onnx/onnx_storage.h"

static int64_t opset_of(const fl_graph *graph)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].op == FL_OP_HARD_SWISH) return 14;
    }
    return 13;
}

static void put_graph(fl_onnx_writer *writer)
{
    fl_onnx_qdq_write_value(writer, 0);
    for (uint32_t i = 1; i < writer->graph->node_count; i++) {
        if (fl_onnx_qdq_has_params(writer, i)) {
            fl_onnx_qdq_write_params(writer, i);
        } else {
            fl_onnx_storage_write_node(writer, i);
        }
        fl_onnx_write_nodes(writer, i);
        fl_onnx_qdq_write_value(writer, i);
    }
    fl_onnx_qdq_write_scale(writer, 0);
    for (uint32_t i = 1; i < writer->graph->node_count; i++) {
        fl_onnx_write_weights(writer, i);
        fl_onnx_qdq_write_scale(writer, i);
    }
    fl_onnx_put_face(&writer->out, writer->graph, writer->forms);
}

size_t fl_onnx_put_model(uint8_t *dst, const float *params,
                         const fl_graph *graph, const struct fl_onnx_qdq *qdq,
                         fl_storage storage)
{
    fl_onnx_forms forms;
    fl_onnx_forms_init(&forms, graph);
    fl_onnx_writer counter = {
        .params = params,
        .graph = graph,
        .forms = &forms,
        .qdq = qdq,
        .storage = storage,
    };
    fl_onnx_writer writer = counter;
    put_graph(&counter);
    writer.out.dst = dst;
    fl_onnx_put_header(&writer.out, opset_of(graph));
    fl_onnx_put_graph_tag(&writer.out, counter.out.len);
    if (!dst) return writer.out.len + counter.out.len;
    put_graph(&writer);
    return writer.out.len;
}

size_t fl_model_bytes(const fl_model *model)
{
    return fl_model_bytes_as(model, FL_STORAGE_FLOAT32);
}

fl_err fl_model_encode(const fl_model *model, uint8_t *dst, size_t dst_cap)
{
    return fl_model_encode_as(model, FL_STORAGE_FLOAT32, dst, dst_cap, NULL);
}
