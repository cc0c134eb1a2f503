/* SPDX-License-Identifier: Apache-2.0 */
#include "client/local.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "client/rows.h"
#include "client/survey.h"

// What aggregators take; a finite loss above it tells nothing more.
static const double LOSS_MAX = 1e9;

void fl_result_fini(fl_result *result)
{
    if (result->update) fl_secret_wipe(result->update, result->update_len);
    free(result->update);
    *result = (fl_result){0};
}

typedef struct {
    const fl_local_data *data;
    uint64_t step_count;
} progress;

static void report_step(void *self, uint64_t step, const fl_metrics *epoch)
{
    const progress *p = self;
    (void)epoch;
    p->data->on_step(p->data->on_step_self, step, p->step_count);
}

static fl_train_options options_of(const fl_plan *plan, progress *p)
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
        .stop = p->data->stop,
        .on_step = p->data->on_step ? report_step : NULL,
        .on_step_self = p,
    };
}

uint64_t fl_local_seed(const fl_plan *plan)
{
    fl_random mix;
    fl_random_init(&mix, plan->seed, FL_RANDOM_SHUFFLE, plan->number);
    return fl_random_u64(&mix);
}

_Static_assert((int)FL_PROTO_RUNS_MAX == (int)FL_LAYOUT_RUNS_MAX,
               "a plan's runs are a layout's");

void fl_local_codec(fl_codec *codec, const fl_plan *plan)
{
    *codec = (fl_codec){
        .kind = (fl_codec_kind)plan->codec,
        .param_count = (size_t)plan->param_count,
        .bits = plan->codec_bits,
        .density = plan->density,
        .density_small = plan->density_small,
        .clip = plan->value_clip,
        .weight_max = plan->weight_max,
        .client_cap = plan->client_cap,
        .seed = fl_plan_codec_seed(plan),
        .per_word = plan->per_word,
        .value_max = plan->value_max,
        .step_large = plan->step_large,
        .step_small = plan->step_small,
        .layout = {.run_count = plan->run_count},
    };
    memcpy(codec->layout.runs, plan->runs, sizeof codec->layout.runs);
}

bool fl_local_has_ranges(const fl_plan *plan)
{
    static const uint8_t none[FL_HASH_BYTES];
    return memcmp(plan->ranges, none, sizeof none) != 0;
}

fl_err fl_local_rows(uint32_t **rows, uint32_t *row_count, const fl_plan *plan,
                     const fl_local_data *data, fl_reason *why)
{
    const bool is_measure = plan->work == FL_WORK_MEASURE;
    uint32_t *chosen = calloc(data->row_count + (size_t)1, sizeof *chosen);
    if (!chosen) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %u rows",
                             data->row_count);
    }
    const fl_own_rows own = {
        .rows = data->rows, .places = data->places, .count = data->row_count};
    *row_count = fl_rows_split(chosen, &own, plan->holdout, is_measure);
    if (*row_count == 0) {
        free(chosen);
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a holdout of %u leaves none of %u rows",
                             plan->holdout, data->row_count);
    }
    *rows = chosen;
    return FL_OK;
}

void fl_local_report(fl_result *result, const fl_metrics *metrics)
{
    result->sample_count = metrics->sample_count;
    result->correct_count = metrics->correct_count;
    result->loss_sum_micro = llrint(fmin(metrics->loss_sum, LOSS_MAX) * 1e6);
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

/* ---- training ---- */

static fl_err check_param_count(const fl_plan *plan, const fl_model *global,
                                fl_reason *why)
{
    const size_t param_count = fl_model_param_count(global);
    if (param_count == plan->param_count) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "the plan speaks of %llu parameters, its model has "
                         "%zu",
                         (unsigned long long)plan->param_count, param_count);
}

// The first way that fits: with all threads, and fewer only if nothing else
// helps, since that changes the last bits.
static fl_err fit_trainer(fl_trainer **trainer, fl_footprint *footprint,
                          const fl_model *model, fl_trainer_options options,
                          fl_reason *why)
{
    fl_err err = FL_ERR_LIMIT;
    for (; err == FL_ERR_LIMIT && options.thread_count > 0;
         options.thread_count--) {
        for (int i = 0; err == FL_ERR_LIMIT && i < 2; i++) {
            options.recompute = i > 0;
            *footprint = (fl_footprint){.thread_count = options.thread_count,
                                        .recomputes = options.recompute};
            err = fl_trainer_new(trainer, model, &options, why);
        }
    }
    return err;
}

// Beside the trainer there are the model's file, the model and a copy of its
// parameters.
static fl_err make_trainer(fl_trainer **trainer, fl_footprint *footprint,
                           const fl_model *model, const fl_plan *plan,
                           const fl_local_data *data, fl_reason *why)
{
    const size_t beside =
        data->model_len + 2 * fl_model_param_count(model) * sizeof(float);
    fl_trainer_options options = {
        .batch_cap = plan->batch,
        .thread_count = data->thread_count ? data->thread_count : 1,
        .with_gradients = true,
    };
    if (data->memory_cap > 0) {
        // 1: as good as nothing; 0 would be anything.
        options.memory_cap =
            data->memory_cap > beside ? data->memory_cap - beside : 1;
    }
    const fl_err err = fit_trainer(trainer, footprint, model, options, why);
    if (!err) footprint->bytes = fl_trainer_memory(*trainer) + beside;
    if (err != FL_ERR_LIMIT) return err;
    return fl_reason_prefix(why, err,
                            "%.1f MB are left of --memory; of these %.1f MB "
                            "are for the model alone, for the rest",
                            (double)data->memory_cap / 1e6,
                            (double)beside / 1e6);
}

static uint64_t count_steps(const fl_plan *plan, uint32_t row_count)
{
    const uint64_t an_epoch =
        row_count / plan->batch + (row_count % plan->batch != 0);
    return an_epoch * plan->local_epochs;
}

static fl_err train_here(fl_footprint *footprint, float *params,
                         fl_metrics *metrics, const fl_local_job *job,
                         fl_reason *why)
{
    const fl_plan *plan = job->plan;
    const fl_local_data *data = job->data;
    fl_trainer *trainer = NULL;
    fl_random order;
    progress p = {.data = data,
                  .step_count = count_steps(plan, job->row_count)};
    const fl_train_options options = options_of(plan, &p);
    FL_TRY(make_trainer(&trainer, footprint, job->model, plan, data, why));
    fl_random_init(&order, fl_local_seed(plan), FL_RANDOM_SHUFFLE,
                   data->client);
    const fl_err err =
        fl_trainer_run(trainer, params, metrics, data->dataset, job->rows,
                       job->row_count, &options, &order, why);
    fl_trainer_free(trainer);  // before the update needs memory
    return err;
}

static fl_err train_by(const fl_local_trainer *trainer, fl_result *result,
                       float *params, const fl_local_job *job, fl_reason *why)
{
    fl_metrics metrics;
    FL_TRY(trainer
               ? trainer->train(trainer->self, params, &metrics, job, why)
               : train_here(&result->footprint, params, &metrics, job, why));
    fl_local_report(result, &metrics);
    return FL_OK;
}

static fl_err train(fl_result *result, const fl_plan *plan,
                    const fl_local_data *data, fl_reason *why)
{
    fl_err err;
    fl_model *global = NULL;
    float *local = NULL;
    uint32_t *rows = NULL;
    fl_local_job job = {.plan = plan, .data = data};

    err = fl_model_decode(&global, data->model, data->model_len, why);
    if (err) goto out;
    err = check_param_count(plan, global, why);
    if (err) goto out;
    const size_t param_count = fl_model_param_count(global);
    err = fl_local_rows(&rows, &job.row_count, plan, data, why);
    if (err) goto out;
    local = malloc(param_count * sizeof *local);
    if (!local) {
        err = fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu parameters",
                            param_count);
        goto out;
    }
    memcpy(local, fl_model_params(global), param_count * sizeof *local);
    job.model = global;
    job.rows = rows;
    err = train_by(data->trainer, result, local, &job, why);
    if (err) goto out;
    // Statistics travel as what can be averaged over clients.
    fl_model_variances_to_squares(global, local);
    fl_model_variances_to_squares(global, fl_model_params(global));
    err =
        encode_difference(result, local, fl_model_params(global), param_count);

out:
    free(rows);
    free(local);
    fl_model_free(global);
    return err;
}

fl_err fl_local_work(fl_result *result, const fl_plan *plan,
                     const fl_local_data *data, fl_reason *why)
{
    *result = (fl_result){0};
    const fl_err err = plan->work == FL_WORK_TRAIN
                           ? train(result, plan, data, why)
                           : fl_survey_run(result, plan, data, why);
    if (err) fl_result_fini(result);
    return err;
}
