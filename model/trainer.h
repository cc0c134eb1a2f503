/*
 * What a trainer is made of; private to trainer.c and batch.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_TRAINER_H
#define FL_MODEL_TRAINER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/team.h"
#include "model/model.h"
#include "model/optimizer.h"
#include "model/plan.h"

/* Parameters from `at` on that are treated alike. */
typedef struct {
    size_t at, count;
    bool is_norm;
    float momentum;  // of statistics: a batch's share
} fl_param_range;

struct fl_trainer {
    const fl_kernels *kernels;
    fl_team *team;
    fl_plan *plan;
    fl_shape input;
    uint32_t class_count;
    size_t param_count;
    uint32_t batch_cap, lane_count;
    bool has_dropout;
    fl_param_range *learning, *statistics;
    size_t learning_count, statistics_count;
    float *grads;  // (lane_count, param_count); NULL: evaluates only
    fl_optimizer optimizer;
    float *logits;       // (batch_cap, class_count)
    float *logits_grad;  // the same
    uint32_t *rows;      // (batch_cap) of the batch at hand
    uint32_t *labels;
};

/* Where a run is. Lane 0 writes it while the others wait. */
typedef struct {
    fl_trainer *trainer;
    const fl_dataset *dataset;
    fl_metrics *metrics;
    const fl_loss *loss;
    fl_plan_batch batch;
    const float *params;  // training and gradients
    // Training only.
    const fl_train_options *options;
    uint64_t step;          // from 0
    fl_update update;       // of all parameters
    atomic_bool is_broken;  // a parameter is NaN or infinite
    fl_reason *why;
    fl_err err;
} fl_batch;

/* Loads the teacher, once before training. All lanes. */
void fl_batch_load_teacher(const fl_batch *batch, unsigned lane);

/*
 * Forward for the batch's rows, which are in trainer->rows; then, in lane 0,
 * the loss is added to *metrics and is in *loss. All lanes.
 */
void fl_batch_evaluate(fl_batch *batch, unsigned lane, double *loss);

/*
 * The same, then backward: the gradient of the mean loss by all parameters is
 * the first lane's when all lanes are done. batch->err is FL_ERR_RANGE when
 * the loss is NaN or infinite. All lanes.
 */
void fl_batch_differentiate(fl_batch *batch, unsigned lane);

/*
 * The same, and one step of training. batch->err is FL_ERR_RANGE when a loss
 * or a parameter became NaN or infinite. All lanes.
 */
void fl_batch_train(fl_batch *batch, unsigned lane);

#endif
