/*
 * The network: ONNX in and out, training, evaluation.
 *
 * A model is a graph of layers and one flat float array of parameters; layers
 * hold offsets into it. Activations are NHWC, convolution weights OHWI; ONNX
 * (NCHW, OIHW) is transposed at the door, exactly, so that import and export
 * give back the same bits.
 *
 *   fl_model    the graph and its parameters; read-only while trainers use it
 *   fl_trainer  a plan compiled once for a graph and a batch size, with all
 *               the memory that a step needs; one thread at a time
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_MODEL_H
#define FL_MODEL_MODEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/random.h"
#include "base/reason.h"
#include "data/data.h"

#define FL_MODEL_PARAMS_MAX (1u << 26)  // floats: 256 MiB
#define FL_MODEL_BYTES_MAX  (FL_MODEL_PARAMS_MAX * (size_t)4 + (1u << 24))

typedef struct fl_model fl_model;

/* ---- models ---- */

/* What a built-in architecture is made for. */
typedef struct {
    const char *name;
    fl_shape input;
    uint32_t class_count;
    /*
     * The first layers compute (x - mean) / deviation per channel; both
     * (channels), borrowed; NULL: no such layers. They are constants of the
     * graph, not parameters, and travel in the ONNX file: whoever runs the
     * model feeds it plain values.
     */
    const float *mean, *deviation;
    uint64_t seed;       // of the first parameters
    double width;        // what mobilenet's and shufflenet's channels are
                         // multiplied by; 0: 1
    const char *tower;   // siamese: a built-in model; NULL: lenet
    uint32_t embedding;  // siamese: numbers of the output; 0: 64
} fl_model_options;

/*
 * A built-in architecture with fresh parameters drawn from the seed: weights
 * and biases uniform in +-1/sqrt(fan_in), which is what PyTorch starts from.
 *   mlp     fc 128, ReLU, fc 64, ReLU, fc class_count
 *   lenet   conv5x5 16, ReLU, pool 2, conv5x5 32, ReLU, pool 2, fc 128, ReLU,
 *           fc class_count; 80,202 parameters for (28, 28, 1) and 10 classes
 *   resnet8, resnet18, resnet50, mobilenetv2, mobilenetv2-tiny,
 *   mobilenetv3-small, shufflenetv2      as in the papers that model/zoo/ names
 *   siamese           a tower of any of them, embedding on the unit sphere
 * The weight of a norm starts as 1, its bias as 0.
 * The caller owns *model: fl_model_free.
 * FL_ERR_NOT_FOUND: no such name (*why lists them). FL_ERR_RANGE: the input
 * is too small for the architecture, class_count < 2, or a width that it does
 * not have.
 */
FL_CHECK fl_err fl_model_new(fl_model **model, const fl_model_options *options,
                             fl_reason *why);

/* The name of built-in architecture i; NULL: there are not so many. */
const char *fl_model_name(size_t i);

/*
 * Reads an ONNX file's bytes (opset 11 to 17). Safe on untrusted bytes.
 * FL_ERR_FORMAT: not ONNX, or it contradicts itself (shapes, offsets, NaN
 * parameters, cycles, duplicate names). FL_ERR_UNSUPPORTED: an operator or
 * attribute that this version does not know; *why names node and operator.
 * FL_ERR_LIMIT: beyond the maxima. The caller owns *model: fl_model_free.
 */
FL_CHECK fl_err fl_model_decode(fl_model **model, const uint8_t *src,
                                size_t src_len, fl_reason *why);

/* Exact number of bytes that fl_model_encode writes. */
size_t fl_model_bytes(const fl_model *model);

/*
 * Writes the model as ONNX (IR 8, opset 13; input "input" of (N, C, H, W),
 * output "logits" of (N, classes)). The same model gives the same bytes.
 * FL_ERR_SPACE: dst_cap < fl_model_bytes(model). FL_ERR_UNSUPPORTED: it is
 * made by fl_qat_prepare: fl_qat_finish it.
 */
FL_CHECK fl_err fl_model_encode(const fl_model *model, uint8_t *dst,
                                size_t dst_cap);

/* Accepts NULL. */
void fl_model_free(fl_model *model);

fl_shape fl_model_input(const fl_model *model);
uint32_t fl_model_class_count(const fl_model *model);
size_t fl_model_param_count(const fl_model *model);

/* The parameters, fl_model_param_count of them; they live in the model. */
float *fl_model_params(fl_model *model);

/* The same, of a model that stays as it is. */
const float *fl_model_get_params(const fl_model *model);

typedef struct {
    const char *name, *op;  // live as long as the model
    fl_shape shape;         // of its output
    size_t param_count;
    uint64_t mac_count;  // multiplications by a weight, an example
} fl_layer_info;

/* The layers in the order in which they run; i < fl_model_layer_count. */
uint32_t fl_model_layer_count(const fl_model *model);
fl_layer_info fl_model_layer(const fl_model *model, uint32_t i);

typedef enum {
    FL_TENSOR_WEIGHT,
    FL_TENSOR_BIAS,
    FL_TENSOR_NORM,       // weight or bias of a norm
    FL_TENSOR_STATISTIC,  // running mean or variance; not trained
} fl_tensor_role;

typedef struct {
    size_t offset, count;  // floats, in the parameters
    size_t row_count;      // WEIGHT: output channels, count / row_count each;
                           // others: 1
    fl_tensor_role role;
} fl_tensor_info;

/*
 * What the parameters consist of, in their order and without gaps;
 * i < fl_model_tensor_count.
 */
size_t fl_model_tensor_count(const fl_model *model);
fl_tensor_info fl_model_tensor(const fl_model *model, size_t i);

/* How many of the parameters belong to batch normalisation. */
size_t fl_model_norm_count(const fl_model *model);

/*
 * Running variances of batch norms cannot be averaged over clients whose means
 * differ; means of squares can: E[x^2] = variance + mean^2. In place, on
 * parameters of this model; back again never gives a variance below 0.
 */
void fl_model_variances_to_squares(const fl_model *model, float *params);
void fl_model_squares_to_variances(const fl_model *model, float *params);

/* ---- training and evaluation ---- */

/* Sums over examples, so that sums over clients are sums too. */
typedef struct {
    uint64_t sample_count;
    // Whose largest logit is that of their label; of embeddings: whose nearest
    // other one of the batch has their label.
    uint64_t correct_count;
    double loss_sum;  // natural logarithm; a batch's mean times its examples
} fl_metrics;

typedef struct fl_trainer fl_trainer;

typedef enum {
    FL_LOSS_SOFTMAX,      // cross-entropy; the outputs are logits
    FL_LOSS_CONTRASTIVE,  // all pairs of the batch; outputs are embeddings
    FL_LOSS_TRIPLET,      // batch-hard triplets; outputs are embeddings
} fl_loss_kind;

/*
 * A second network from whose outputs the first one learns as well
 * (distillation): (1 - weight) * loss + weight * T^2 * KL of the logits, T the
 * temperature; of embeddings + weight * the squared distance to the teacher's.
 */
typedef struct {
    /*
     * Borrowed; NULL: none. Made without gradients, for the student's input,
     * outputs and thread_count, its batch_cap no smaller than `batch`.
     */
    fl_trainer *trainer;
    const float *params;  // borrowed; the teacher's
    float weight;         // 0 to 1
    float temperature;    // SOFTMAX: above 0
} fl_teacher;

/* What is minimised; zeroed, it is softmax cross-entropy. */
typedef struct {
    fl_loss_kind kind;
    float label_smoothing;  // SOFTMAX: 0 or more and below 1
    float margin;           // CONTRASTIVE, TRIPLET: above 0
    fl_teacher teacher;
} fl_loss;

typedef enum {
    FL_OPTIMIZER_SGD,
    FL_OPTIMIZER_ADAM,   // weight decay is part of the gradient
    FL_OPTIMIZER_ADAMW,  // weight decay shrinks the parameters directly
} fl_optimizer_kind;

typedef enum {
    FL_SCHEDULE_CONSTANT,
    FL_SCHEDULE_COSINE,  // from lr to 0 over `schedule_steps` steps
    FL_SCHEDULE_STEP,    // times `schedule_factor` every `schedule_steps`
} fl_schedule;

/* What becomes of batch normalisation. */
typedef enum {
    FL_NORM_TRAIN,   // by the batch; the running statistics follow
    FL_NORM_FROZEN,  // by the running statistics, which stay (FixBN: Zhong et
                     // al. 2023); weight and bias go on learning
    FL_NORM_LOCAL,   // as TRAIN, but with weights, biases and statistics of
                     // its own that never enter `params` (FedBN: Li et al.
                     // 2021)
} fl_norm;

/*
 * Fields that are left out are 0, which is plain SGD on cross-entropy. What
 * is said of one optimiser or loss is ignored by the others. Arrays have one
 * float a parameter and are borrowed for the run.
 */
typedef struct {
    uint32_t epochs;  // passes over the rows, at least 1
    uint32_t batch;   // rows a step, 1 to the trainer's batch_cap; the last
                      // step of an epoch takes what is left
    fl_loss loss;

    fl_optimizer_kind optimizer;
    float lr;
    float momentum;      // SGD; 0: none; v = momentum * v + g, as PyTorch
    bool nesterov;       // SGD; needs momentum
    float beta1, beta2;  // ADAM, ADAMW; 0: 0.9 and 0.999
    float epsilon;       // ADAM, ADAMW; 0: 1e-8
    float weight_decay;  // SGD, ADAM: g += weight_decay * p; ADAMW:
                         // p -= lr * weight_decay * p
    float clip_norm;     // L2 norm of a step's gradient; 0: no clipping

    uint32_t warmup_steps;  // lr rises in a line; then the schedule begins
    fl_schedule schedule;
    uint32_t schedule_steps;
    float schedule_factor;

    fl_norm norm;
    float *local_norm;  // LOCAL: (fl_model_norm_count), in and out

    /*
     * FedProx adds prox_mu * (parameter - prox_params) to the gradient;
     * prox_params NULL: the parameters that the run started from. 0: off.
     * Neither this nor the next touches batch norms that are LOCAL.
     */
    float prox_mu;
    const float *prox_params;
    /* SCAFFOLD (SGD) adds control_global - control_local; NULL: zeros. */
    const float *control_global, *control_local;

    /*
     * What is false is 0 from the start and stays exactly that: a weight that
     * has been pruned. NULL: everything learns. Statistics are not asked.
     */
    const bool *mask;

    const atomic_bool *stop;  // set by anyone: leave after this step; or NULL
    /* Called after each step with the epoch's sums so far; or NULL. */
    void (*on_step)(void *self, uint64_t step, const fl_metrics *epoch);
    void *on_step_self;
} fl_train_options;

typedef struct {
    uint32_t batch_cap;     // rows of a batch, at least 1
    uint32_t thread_count;  // that share each batch; 0: one, the caller's
    bool with_gradients;    // false: evaluates only, in less memory
    bool recompute;     // forget what batch norms make and make it again for
                        // backward: less memory, a little slower, the same bits
    size_t memory_cap;  // bytes that training with SGD may take; 0: any
    const char *freeze;  // layers that do not learn: names or patterns with *
                         // and ?, separated by commas; NULL: none
} fl_trainer_options;

/*
 * Compiles a plan. The model is borrowed for the call: its graph is copied,
 * its parameters are not used. The caller owns *trainer: fl_trainer_free.
 * A run is bit-reproducible for a build, a CPU and a number of threads.
 * FL_ERR_RANGE: batch_cap is 0, or thread_count too large. FL_ERR_NOT_FOUND:
 * a name in `freeze` fits no layer with parameters. FL_ERR_MEMORY: *why says
 * how many bytes and for which layer. FL_ERR_LIMIT: it would take more than
 * memory_cap; *why says how many. FL_ERR_SYSTEM: no thread.
 */
FL_CHECK fl_err fl_trainer_new(fl_trainer **trainer, const fl_model *model,
                               const fl_trainer_options *options,
                               fl_reason *why);

/* Accepts NULL. */
void fl_trainer_free(fl_trainer *trainer);

/* Bytes of the plan's memory. */
size_t fl_trainer_bytes(const fl_trainer *trainer);

/* Bytes of all that training with SGD takes: what memory_cap limits. */
size_t fl_trainer_memory(const fl_trainer *trainer);

/*
 * Trains `params` in place on rows[0..row_count) of the dataset, shuffled
 * each epoch by `random`. *metrics: the first epoch's, each batch measured
 * before its step. Nothing is allocated, except that the first run with Adam,
 * and with FedProx, each adds an array that the trainer keeps.
 * FL_ERR_RANGE: an option, the teacher or the dataset's shape does not fit,
 * or a loss or parameter became NaN or infinite (*why says which step and
 * what to lower). FL_ERR_MEMORY: no such array; `params` are unchanged.
 * FL_ERR_STATE: the trainer was made without gradients. FL_ERR_CANCELLED:
 * *stop was set; `params` hold the steps taken. After any other error they
 * are undefined.
 */
FL_CHECK fl_err fl_trainer_run(fl_trainer *trainer, float *params,
                               fl_metrics *metrics, const fl_dataset *dataset,
                               const uint32_t *rows, size_t row_count,
                               const fl_train_options *options,
                               fl_random *random, fl_reason *why);

/*
 * Measures `params` on rows[0..row_count). FL_ERR_RANGE: the dataset's shape
 * does not fit, or a loss is NaN or infinite.
 */
FL_CHECK fl_err fl_trainer_evaluate(fl_trainer *trainer, fl_metrics *metrics,
                                    const float *params,
                                    const fl_dataset *dataset,
                                    const uint32_t *rows, size_t row_count,
                                    fl_reason *why);

/*
 * The same with another loss than cross-entropy, of which the teacher is
 * ignored. Embeddings are measured within batches of batch_cap.
 */
FL_CHECK fl_err fl_trainer_measure(fl_trainer *trainer, fl_metrics *metrics,
                                   const fl_loss *loss, const float *params,
                                   const fl_dataset *dataset,
                                   const uint32_t *rows, size_t row_count,
                                   fl_reason *why);

/*
 * logits (count, classes) for x (count, H, W, C). FL_ERR_RANGE: count is
 * above batch_cap.
 */
FL_CHECK fl_err fl_trainer_predict(fl_trainer *trainer, float *logits,
                                   const float *params, const float *x,
                                   size_t count);

/*
 * SCAFFOLD's new control variate of a client, after `step_count` steps of a
 * run with `options` took `start` to `params` (Karimireddy et al. 2020,
 * algorithm 1, option II):
 *
 *   control_local = options->control_local - options->control_global
 *                   + (start - params) / rate
 *
 * where rate is how far these steps carry a constant gradient of 1: the sum
 * of the learning rates, with momentum accordingly more. control_local may be
 * options->control_local. A rate of 0 has taught nothing: the variate stays
 * what it was. Entries of batch norm's statistics are never read.
 */
void fl_scaffold_update(float *control_local, const float *start,
                        const float *params, size_t param_count,
                        const fl_train_options *options, uint64_t step_count);

#include "model/infer.h"
#include "model/named.h"

#endif
