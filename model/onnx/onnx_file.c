/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/onnx_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

// Weights are copied once; the rest is for the tree of messages, which is
// small in every real file.
static const size_t TREE_BYTES = (size_t)16 << 20;

static void *take_from_budget(void *self, size_t size)
{
    fl_onnx_file *file = self;
    if (size > file->budget) {
        file->is_over_budget = true;
        return NULL;
    }
    // Nothing is given back: the budget bounds the time as well.
    file->budget -= size;
    void *memory = malloc(size);
    if (!memory) file->is_out_of_memory = true;
    return memory;
}

static void give_back(void *self, void *memory)
{
    (void)self;
    free(memory);
}

static ProtobufCAllocator allocator_of(fl_onnx_file *file)
{
    return (ProtobufCAllocator){take_from_budget, give_back, file};
}

static fl_err parse(fl_onnx_file *file, const uint8_t *src, size_t src_len,
                    fl_reason *why)
{
    if (src_len > FL_MODEL_BYTES_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "the file has %zu bytes, at most %zu are read",
                             src_len, (size_t)FL_MODEL_BYTES_MAX);
    }
    *file = (fl_onnx_file){.budget = src_len * 2 + TREE_BYTES};
    ProtobufCAllocator allocator = allocator_of(file);
    file->proto = onnx__model_proto__unpack(&allocator, src_len, src);
    if (file->proto) return FL_OK;
    if (file->is_over_budget) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "the file's %zu bytes unfold to more than %zu "
                             "bytes of memory: this is not a plain model",
                             src_len, src_len * 2 + TREE_BYTES);
    }
    if (file->is_out_of_memory) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory for an ONNX file of %zu bytes",
                             src_len);
    }
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "these %zu bytes are not an ONNX file, or one that "
                         "is cut off or damaged",
                         src_len);
}

static bool is_onnx_domain(const char *domain)
{
    return !domain || !*domain || strcmp(domain, "ai.onnx") == 0;
}

static fl_err check_opset(const Onnx__ModelProto *model, fl_reason *why)
{
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *opset = model->opset_import[i];
        if (!is_onnx_domain(opset->domain)) continue;
        if (opset->version >= FL_ONNX_OPSET_MIN &&
            opset->version <= FL_ONNX_OPSET_MAX) {
            return FL_OK;
        }
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "the file uses opset %" PRId64 ", opsets %d to "
                             "%d are read: export it with opset_version=%d",
                             opset->version, FL_ONNX_OPSET_MIN,
                             FL_ONNX_OPSET_MAX, FL_ONNX_OPSET_MAX);
    }
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "not an ONNX model: no opset is named");
}

static fl_err check_count(const char *what, size_t count, size_t max,
                          fl_reason *why)
{
    if (count <= max) return FL_OK;
    return fl_reason_set(why, FL_ERR_LIMIT, "%s: %zu, at most %zu are read",
                         what, count, max);
}

static fl_err check_counts(const Onnx__GraphProto *graph, fl_reason *why)
{
    FL_TRY(check_count("nodes", graph->n_node, FL_ONNX_NODES_MAX, why));
    FL_TRY(check_count("initializers", graph->n_initializer,
                       FL_ONNX_TENSORS_MAX, why));
    FL_TRY(check_count("inputs of the graph", graph->n_input,
                       FL_ONNX_TENSORS_MAX + 1, why));
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        FL_TRY(check_count("inputs of a node", node->n_input, FL_ONNX_PORTS_MAX,
                           why));
        FL_TRY(check_count("outputs of a node", node->n_output,
                           FL_ONNX_PORTS_MAX, why));
        FL_TRY(check_count("attributes of a node", node->n_attribute,
                           FL_ONNX_PORTS_MAX, why));
    }
    return FL_OK;
}

static fl_err check_model(const Onnx__ModelProto *model, fl_reason *why)
{
    if (!model->graph) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "not an ONNX model: there is no graph");
    }
    FL_TRY(check_opset(model, why));
    return check_counts(model->graph, why);
}

fl_err fl_onnx_file_init(fl_onnx_file *file, const uint8_t *src, size_t src_len,
                         fl_reason *why)
{
    FL_TRY(parse(file, src, src_len, why));
    const fl_err err = check_model(file->proto, why);
    if (err) fl_onnx_file_fini(file);
    return err;
}

void fl_onnx_file_fini(fl_onnx_file *file)
{
    ProtobufCAllocator allocator = allocator_of(file);
    onnx__model_proto__free_unpacked(file->proto, &allocator);
    file->proto = NULL;
}
