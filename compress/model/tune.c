/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/tune.h"

static const float STEP_FACTOR = 0.1F;
enum { STEP_PARTS = 3 };

static fl_err run(fl_model *model, const fl_tune_options *options,
                  const fl_train_options *train, size_t row_count,
                  fl_reason *why)
{
    const fl_trainer_options plan = {
        .batch_cap = train->batch,
        .thread_count = options->thread_count,
        .with_gradients = true,
        .recompute = options->recompute,
        .freeze = options->freeze,
    };
    fl_metrics first;
    fl_trainer *trainer = NULL;
    FL_TRY(fl_trainer_new(&trainer, model, &plan, why));
    const fl_err err = fl_trainer_run(trainer, fl_model_params(model), &first,
                                      options->dataset, options->rows,
                                      row_count, train, options->random, why);
    fl_trainer_free(trainer);
    return err;
}

/*
 * Steps of length 0 leave every parameter as it is, to the bit, while the
 * statistics follow the batches.
 */
static fl_err follow_statistics(fl_model *model, const fl_tune_options *options,
                                fl_reason *why)
{
    if (fl_model_norm_count(model) == 0) return FL_OK;
    if (options->train.norm != FL_NORM_TRAIN) return FL_OK;
    const size_t most = (size_t)FL_TUNE_BATCHES * options->train.batch;
    const fl_train_options train = {
        .epochs = 1,
        .batch = options->train.batch,
        .loss = options->train.loss,
        .stop = options->train.stop,
    };
    return run(model, options, &train,
               options->row_count < most ? options->row_count : most, why);
}

fl_err fl_tune_model(fl_model *model, const fl_tune_options *options,
                     uint32_t epochs, fl_reason *why)
{
    if (epochs == 0) return follow_statistics(model, options, why);
    const uint64_t batch = options->train.batch ? options->train.batch : 1;
    const uint64_t steps = (options->row_count + batch - 1) / batch * epochs;
    fl_train_options train = options->train;
    train.epochs = epochs;
    train.schedule_steps =
        (uint32_t)(train.schedule == FL_SCHEDULE_STEP ? steps / STEP_PARTS + 1
                                                      : steps);
    train.schedule_factor = STEP_FACTOR;
    if (options->on_start) {
        options->on_start(train.on_step_self, epochs, steps);
    }
    return run(model, options, &train, options->row_count, why);
}
