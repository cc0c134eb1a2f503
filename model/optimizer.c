/* SPDX-License-Identifier: Apache-2.0 */
#include "model/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

static const double PI = 3.14159265358979323846;

/* ---- the run ---- */

static bool is_adam(const fl_train_options *options)
{
    return options->optimizer != FL_OPTIMIZER_SGD;
}

static bool needs_start(const fl_train_options *options)
{
    return options->prox_mu > 0.0F && !options->prox_params;
}

// One float a parameter, unless *array has them already.
static fl_err provide(float **array, const char *what, size_t param_count,
                      fl_reason *why)
{
    size_t len;
    if (*array) return FL_OK;
    // One too many keeps a model without parameters out of malloc(0).
    if (param_count < SIZE_MAX &&
        !fl_size_mul(&len, param_count + 1, sizeof(float))) {
        *array = malloc(len);
    }
    if (*array) return FL_OK;
    return fl_reason_set(why, FL_ERR_MEMORY,
                         "no memory for %s of %zu parameters", what,
                         param_count);
}

fl_err fl_optimizer_start(fl_optimizer *optimizer, const float *params,
                          size_t param_count, const fl_train_options *options,
                          fl_reason *why)
{
    const size_t len = param_count * sizeof(float);
    FL_TRY(provide(&optimizer->first, "the moments", param_count, why));
    memset(optimizer->first, 0, len);
    if (is_adam(options)) {
        FL_TRY(provide(&optimizer->second, "Adam's second moments", param_count,
                       why));
        memset(optimizer->second, 0, len);
    }
    if (needs_start(options)) {
        FL_TRY(provide(&optimizer->start, "FedProx's copy", param_count, why));
        memcpy(optimizer->start, params, len);
    }
    return FL_OK;
}

void fl_optimizer_fini(fl_optimizer *optimizer)
{
    free(optimizer->first);
    free(optimizer->second);
    free(optimizer->start);
    *optimizer = (fl_optimizer){0};
}

/* ---- the rate ---- */

static double scheduled(const fl_train_options *options, uint64_t step)
{
    const double lr = (double)options->lr;
    const uint32_t steps = options->schedule_steps;
    switch (options->schedule) {
    case FL_SCHEDULE_CONSTANT: break;
    case FL_SCHEDULE_COSINE:
        if (step >= steps) return 0.0;
        return lr * 0.5 * (1.0 + cos(PI * (double)step / steps));
    case FL_SCHEDULE_STEP: {
        const uint64_t times = step / steps;
        return lr * pow((double)options->schedule_factor, (double)times);
    }
    }
    return lr;
}

float fl_optimizer_rate(const fl_train_options *options, uint64_t step)
{
    const uint32_t warmup = options->warmup_steps;
    if (step >= warmup) return (float)scheduled(options, step - warmup);
    // The first step learns already, the first one behind has all of lr.
    const double share = ((double)step + 1.0) / ((double)warmup + 1.0);
    return (float)(scheduled(options, 0) * share);
}

/* ---- one step ---- */

float fl_optimizer_clip(double squares, float clip_norm)
{
    const double norm = sqrt(squares);
    if (clip_norm == 0.0F || norm <= (double)clip_norm) return 1.0F;
    return (float)((double)clip_norm / (norm + 1e-6));
}

static double or_default(float value, double usual)
{
    return value > 0.0F ? (double)value : usual;
}

static void prepare_adam(fl_update *u, const fl_optimizer *optimizer,
                         const fl_train_options *options, uint64_t step)
{
    const double beta1 = or_default(options->beta1, 0.9);
    const double beta2 = or_default(options->beta2, 0.999);
    const double rate = (double)u->lr, t = (double)step + 1.0;
    u->second = optimizer->second;
    u->beta1 = (float)beta1;
    u->share1 = (float)(1.0 - beta1);
    u->beta2 = (float)beta2;
    u->share2 = (float)(1.0 - beta2);
    u->lr = (float)(rate / (1.0 - pow(beta1, t)));
    u->root = (float)(1.0 / sqrt(1.0 - pow(beta2, t)));
    u->epsilon = (float)or_default(options->epsilon, 1e-8);
    u->keep = 1.0F;
    if (options->optimizer == FL_OPTIMIZER_ADAMW) {
        u->keep = (float)(1.0 - rate * (double)options->weight_decay);
        u->weight_decay = 0.0F;
    }
}

fl_update fl_optimizer_update(const fl_optimizer *optimizer,
                              const fl_train_options *options, uint64_t step)
{
    fl_update u = {
        .control_global = options->control_global,
        .control_local = options->control_local,
        .mask = options->mask,
        .first = optimizer->first,
        .scale = 1.0F,
        .weight_decay = options->weight_decay,
        .lr = fl_optimizer_rate(options, step),
        .momentum = options->momentum,
        .nesterov = options->nesterov,
    };
    if (options->prox_mu > 0.0F) {
        u.prox_mu = options->prox_mu;
        u.anchor =
            options->prox_params ? options->prox_params : optimizer->start;
    }
    if (is_adam(options)) prepare_adam(&u, optimizer, options, step);
    return u;
}

static const float *from(const float *array, size_t at)
{
    return array ? array + at : NULL;
}

fl_update fl_optimizer_slice(const fl_update *update, size_t at, size_t count)
{
    fl_update slice = *update;
    slice.params += at;
    slice.grads += at;
    slice.anchor = from(update->anchor, at);
    slice.control_global = from(update->control_global, at);
    slice.control_local = from(update->control_local, at);
    if (slice.mask) slice.mask += at;
    slice.first += at;
    if (slice.second) slice.second += at;
    slice.count = count;
    return slice;
}

void fl_optimizer_mask(float *values, const bool *mask, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!mask[i]) values[i] = 0.0F;
    }
}

bool fl_optimizer_apply(const fl_kernels *kernels, const fl_update *update)
{
    const bool is_finite =
        update->second ? kernels->update_adam(update) : kernels->update(update);
    if (update->mask) {
        fl_optimizer_mask(update->params, update->mask, update->count);
    }
    return is_finite;
}
