/*
 * Running a model that is no longer trained: in float32, or quantised to
 * INT8. Part of model/model.h, which includes this at its end.
 *
 *   fl_model  --fl_model_fold-->      the same function, batch norms gone
 *   fl_model  --fl_int8_quantize-->   fl_int8_model  <--> QDQ ONNX
 *   either    --fl_runner_new...-->   fl_runner, which computes logits
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INFER_H
#define FL_MODEL_INFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "data/data.h"
#include "model/model.h"

typedef struct fl_int8_model fl_int8_model;
typedef struct fl_runner fl_runner;

/*
 * A model without BATCHNORM and DROPOUT that computes the same: a batch norm
 * goes into the weights of the layer before it, or becomes a depthwise 1x1
 * convolution where there is none. The caller owns *folded: fl_model_free.
 * FL_ERR_RANGE: a variance is negative. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_model_fold(fl_model **folded, const fl_model *model,
                              fl_reason *why);

/* ---- float32 models stored small ---- */

/* How the weights of CONV and DENSE lie in the file; all else is float32. */
typedef enum {
    FL_STORAGE_FLOAT32,
    FL_STORAGE_FLOAT16,   // FLOAT16 and a Cast: half the bytes
    FL_STORAGE_WEIGHTS8,  // INT8 with a scale an output channel and a
                          // DequantizeLinear: a quarter of the bytes
} fl_storage;

/* Exact number of bytes that fl_model_encode_as writes. */
size_t fl_model_bytes_as(const fl_model *model, fl_storage storage);

/*
 * As fl_model_encode, with weights rounded to what `storage` holds. They are
 * float32 again when fl_model_decode reads them; written in the same form once
 * more, they give the same bytes. FL_ERR_RANGE: a weight is NaN or infinite,
 * or beyond 65504 and so beyond float16 (*why names layer and remedy).
 * FL_ERR_SPACE: dst_cap is too small. FL_ERR_UNSUPPORTED: as fl_model_encode.
 */
FL_CHECK fl_err fl_model_encode_as(const fl_model *model, fl_storage storage,
                                   uint8_t *dst, size_t dst_cap,
                                   fl_reason *why);

/* How an ONNX file of float32 stores most of its weights. */
fl_storage fl_model_storage_of(const uint8_t *src, size_t src_len);

/* ---- quantisation after training ---- */

/* Of values; low <= 0 <= high. */
typedef struct {
    float low, high;
} fl_range;

/* How the range of an activation follows from what was seen of it. */
typedef enum {
    FL_CALIBRATE_MINMAX,
    FL_CALIBRATE_PERCENTILE,  // cuts off what is rarer than `percentile`
    FL_CALIBRATE_ENTROPY,     // least Kullback-Leibler divergence (Migacz,
                              // "8-bit inference with TensorRT", 2017) of
                              // those that are no less exact
} fl_calibrate;

typedef struct {
    double percentile;  // of PERCENTILE: 99.0 to 100; 0: 99.99
    fl_calibrate calibrate;
    bool is_symmetric;  // zero points 128, as TensorRT wants them (s8, 0)
    /*
     * Mixed precision: CONV and DENSE layers by names or patterns with * and
     * ?, separated by commas; NULL: none. One layer may be in one list.
     */
    const char *float_layers;   // computed in float32
    const char *half_layers;    // the same, their weights stored as float16
    const char *nibble_layers;  // weights -7 to 7 per output channel
} fl_int8_options;

/*
 * Folds `model`, runs it over rows[0..row_count) of the dataset to see the
 * ranges of its values, and quantises: weights symmetrically per output
 * channel, activations per value. Of layers that compute in float32, inputs
 * are dequantised and the output is quantised; between two of them, with
 * nothing but activations, pools and FLATTEN in between, values stay float32.
 * The caller owns *quantized: fl_int8_free.
 * FL_ERR_RANGE: an option, no rows, a shape that does not fit, a value that
 * is NaN or infinite, or a layer in two lists. FL_ERR_NOT_FOUND: a name in a
 * list fits no CONV or DENSE. FL_ERR_UNSUPPORTED: an operator that has no
 * integer form (*why names the node). FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_int8_quantize(fl_int8_model **quantized,
                                 const fl_model *model,
                                 const fl_dataset *dataset,
                                 const uint32_t *rows, size_t row_count,
                                 const fl_int8_options *options,
                                 fl_reason *why);

/* Accepts NULL. */
void fl_int8_free(fl_int8_model *quantized);

/* As fl_model_decode, of an ONNX file in the QDQ form. */
FL_CHECK fl_err fl_int8_decode(fl_int8_model **quantized, const uint8_t *src,
                               size_t src_len, fl_reason *why);

/* True: it is ONNX and holds a QuantizeLinear: fl_int8_decode reads it. */
bool fl_int8_is_encoded(const uint8_t *src, size_t src_len);

typedef enum {
    FL_QDQ_PLAIN,     // u8 activations: ONNX Runtime
    FL_QDQ_TENSORRT,  // s8 activations with zero point 0
} fl_qdq_profile;

/* How a layer's weights are kept, and what it computes with. */
typedef enum {
    FL_PRECISION_INT8,
    FL_PRECISION_NIBBLE,   // INT8, with weights of 4 bits: -7 to 7
    FL_PRECISION_FLOAT16,  // float32, with weights that are float16
    FL_PRECISION_FLOAT32,
} fl_precision;

/* "int8", "int4", "float16", "float32". */
const char *fl_precision_name(fl_precision precision);

/* Exact number of bytes that fl_int8_encode writes. */
size_t fl_int8_bytes(const fl_int8_model *quantized, fl_qdq_profile profile);

/*
 * Writes the model as ONNX with QuantizeLinear and DequantizeLinear around
 * every quantised value. The same model gives the same bytes.
 * FL_ERR_SPACE: dst_cap is too small. FL_ERR_UNSUPPORTED: FL_QDQ_TENSORRT of
 * a model that was not quantised symmetrically.
 */
FL_CHECK fl_err fl_int8_encode(const fl_int8_model *quantized,
                               fl_qdq_profile profile, uint8_t *dst,
                               size_t dst_cap);

/*
 * The same into memory of its own; the caller frees *bytes. FL_ERR_MEMORY, and
 * FL_ERR_UNSUPPORTED as above.
 */
FL_CHECK fl_err fl_int8_encode_new(uint8_t **bytes, size_t *len,
                                   const fl_int8_model *quantized,
                                   fl_qdq_profile profile, fl_reason *why);

/* ---- running ---- */

/*
 * Compiles for inference on up to batch_cap examples at once: folded, fused,
 * no memory for training. The model is borrowed for the call. The caller
 * owns *runner: fl_runner_free. FL_ERR_RANGE: batch_cap is 0, or FEDGE_CPU
 * names kernels that are unknown or that this CPU does not run.
 * FL_ERR_MEMORY: *why says how many bytes and for which layer.
 */
FL_CHECK fl_err fl_runner_new(fl_runner **runner, const fl_model *model,
                              uint32_t batch_cap, fl_reason *why);
FL_CHECK fl_err fl_runner_new_int8(fl_runner **runner,
                                   const fl_int8_model *quantized,
                                   uint32_t batch_cap, fl_reason *why);

/* Accepts NULL. */
void fl_runner_free(fl_runner *runner);

/*
 * logits (count, classes) of x (count, H, W, C). Allocates nothing; one
 * thread at a time. FL_ERR_RANGE: count is above batch_cap.
 */
FL_CHECK fl_err fl_runner_run(fl_runner *runner, float *logits, const float *x,
                              size_t count);

/* The same; adds the nanoseconds that each step took to step_ns (steps). */
FL_CHECK fl_err fl_runner_profile(fl_runner *runner, float *logits,
                                  const float *x, size_t count,
                                  uint64_t *step_ns);

/* What a step of a runner is; texts live as long as the runner. */
typedef struct {
    const char *name;  // of the layer
    const char *op;    // "Conv", "Conv+Relu+MaxPool"
    fl_shape shape;    // of its output
    size_t param_count;
    uint64_t mac_count;      // multiplications of weights, an example
    fl_precision precision;  // of its weights; of the engine if it has none
} fl_step_info;

uint32_t fl_runner_step_count(const fl_runner *runner);
fl_step_info fl_runner_step(const fl_runner *runner, uint32_t i);

size_t fl_runner_bytes(const fl_runner *runner);         // of memory at work
const char *fl_runner_kernels(const fl_runner *runner);  // "avx512vnni", ...
fl_shape fl_runner_input(const fl_runner *runner);
uint32_t fl_runner_class_count(const fl_runner *runner);

/*
 * Measures the runner on rows[0..row_count). Of a model that ends in L2NORM
 * the outputs are no logits but an embedding: examples are compared within
 * batches of batch_cap, the loss is that of triplets with margin 0.2, and the
 * dataset may have more classes than the embedding has numbers.
 * FL_ERR_RANGE: the dataset's shape does not fit, it has more classes than
 * there are logits, or a loss is NaN or infinite.
 */
FL_CHECK fl_err fl_runner_evaluate(fl_runner *runner, fl_metrics *metrics,
                                   const fl_dataset *dataset,
                                   const uint32_t *rows, size_t row_count,
                                   fl_reason *why);

/*
 * Measures a quantised model, in batches of batch_cap, with a runner of its
 * own. Errors of fl_runner_new_int8 and fl_runner_evaluate.
 */
FL_CHECK fl_err fl_int8_evaluate(fl_metrics *metrics,
                                 const fl_int8_model *quantized,
                                 uint32_t batch_cap, const fl_dataset *dataset,
                                 const uint32_t *rows, size_t row_count,
                                 fl_reason *why);

#include "model/reduce.h"

#endif
