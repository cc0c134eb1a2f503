/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

// What aggregators take; a finite loss above it tells nothing more.
static const double LOSS_MAX = 1e9;

void fl_result_fini(fl_result *result)
{
    if (result->update) fl_secret_wipe(result->update, result->update_len);
    free(result->update);
    *result = (fl_result){0};
}

static fl_train_options options_of(const fl_plan *plan, const atomic_bool *stop)
{
    return (fl_train_options){
        .epochs = plan->local_epochs,
        .batch = plan->batch,
        .lr = plan->lr,
        .momentum = plan->momentum,
        .weight_decay = plan->weight_decay,
        .clip_norm = plan->clip_norm,
        .schedule = (fl_schedule)plan->schedule,
        .schedule_steps = plan->schedule_steps,
        .schedule_factor = plan->schedule_factor,
        .norm = (fl_norm)plan->norm,
        .stop = stop,
    };
}

uint64_t fl_local_seed(const fl_plan *plan)
{
    fl_random mix;
    fl_random_init(&mix, plan->seed, FL_RANDOM_SHUFFLE, plan->number);
    return fl_random_u64(&mix);
}

static fl_err encode_difference(fl_result *result, const float *local,
                                const float *global, size_t param_count)
{
    result->update_len = param_count * sizeof(float);
    result->update = malloc(result->update_len);
    if (!result->update) return FL_ERR_MEMORY;
    for (size_t i = 0; i < param_count; i++) {
        const float difference = local[i] - global[i];
        uint32_t bits;
        memcpy(&bits, &difference, sizeof bits);
        fl_bytes_put_u32(result->update + i * sizeof bits, bits);
    }
    return FL_OK;
}

fl_err fl_local_train(fl_result *result, const fl_plan *plan,
                      const uint8_t *model, size_t model_len,
                      const fl_dataset *dataset, const uint32_t *rows,
                      uint32_t row_count, uint64_t client,
                      const atomic_bool *stop, fl_reason *why)
{
    *result = (fl_result){0};
    fl_err err;
    fl_model *global = NULL;
    fl_trainer *trainer = NULL;
    float *local = NULL;
    fl_metrics metrics;
    fl_random order;
    const fl_train_options options = options_of(plan, stop);

    err = fl_model_decode(&global, model, model_len, why);
    if (err) goto out;
    const size_t param_count = fl_model_param_count(global);
    if (param_count != plan->param_count) {
        err = fl_reason_set(why, FL_ERR_RANGE,
                            "the plan speaks of %llu parameters, its model "
                            "has %zu",
                            (unsigned long long)plan->param_count, param_count);
        goto out;
    }
    err = fl_trainer_new(
        &trainer, global,
        &(fl_trainer_options){.batch_cap = plan->batch, .with_gradients = true},
        why);
    if (err) goto out;
    local = malloc(param_count * sizeof *local);
    if (!local) {
        err = fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu parameters",
                            param_count);
        goto out;
    }
    memcpy(local, fl_model_params(global), param_count * sizeof *local);

    fl_random_init(&order, fl_local_seed(plan), FL_RANDOM_SHUFFLE, client);
    err = fl_trainer_run(trainer, local, &metrics, dataset, rows, row_count,
                         &options, &order, why);
    if (err) goto out;
    result->sample_count = metrics.sample_count;
    result->correct_count = metrics.correct_count;
    result->loss_sum_micro = llrint(fmin(metrics.loss_sum, LOSS_MAX) * 1e6);
    // Statistics travel as what can be averaged over clients.
    fl_model_variances_to_squares(global, local);
    fl_model_variances_to_squares(global, fl_model_params(global));
    err =
        encode_difference(result, local, fl_model_params(global), param_count);

out:
    if (err) fl_result_fini(result);
    free(local);
    fl_trainer_free(trainer);
    fl_model_free(global);
    return err;
}
