/* SPDX-License-Identifier: Apache-2.0 */
#include "model/options.h"

#include <math.h>

static fl_err refuse(fl_reason *why, const char *name, double value,
                     const char *range)
{
    return fl_reason_set(why, FL_ERR_RANGE, "%s is %g, it must be %s", name,
                         value, range);
}

/* ---- ranges ---- */

static fl_err check_not_negative(const char *name, float x, fl_reason *why)
{
    if (isfinite(x) && x >= 0.0F) return FL_OK;
    return refuse(why, name, (double)x, "0 or more");
}

static fl_err check_positive(const char *name, float x, fl_reason *why)
{
    if (isfinite(x) && x > 0.0F) return FL_OK;
    return refuse(why, name, (double)x, "above 0");
}

static fl_err check_below_1(const char *name, float x, fl_reason *why)
{
    if (x >= 0.0F && x < 1.0F) return FL_OK;
    return refuse(why, name, (double)x, "0 or more and below 1");
}

static fl_err check_share(const char *name, float x, fl_reason *why)
{
    if (x >= 0.0F && x <= 1.0F) return FL_OK;
    return refuse(why, name, (double)x, "0 to 1");
}

/* ---- what belongs together ---- */

static fl_err check_batches(const fl_train_options *o, uint32_t batch_cap,
                            fl_reason *why)
{
    if (o->epochs == 0) return refuse(why, "epochs", 0.0, "at least 1");
    if (o->batch == 0 || o->batch > batch_cap) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "batch is %u, it must be 1 to %u", o->batch,
                             batch_cap);
    }
    return FL_OK;
}

static fl_err check_teacher(const fl_loss *loss, fl_reason *why)
{
    const fl_teacher *teacher = &loss->teacher;
    if (!teacher->trainer) return FL_OK;
    if (!teacher->params) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "teacher.trainer is set, but teacher.params is "
                             "missing");
    }
    FL_TRY(check_share("teacher.weight", teacher->weight, why));
    if (loss->kind != FL_LOSS_SOFTMAX) return FL_OK;
    return check_positive("teacher.temperature", teacher->temperature, why);
}

fl_err fl_options_check_loss(const fl_loss *loss, fl_reason *why)
{
    FL_TRY(check_teacher(loss, why));
    switch (loss->kind) {
    case FL_LOSS_SOFTMAX:
        return check_below_1("label_smoothing", loss->label_smoothing, why);
    case FL_LOSS_CONTRASTIVE:
    case FL_LOSS_TRIPLET: return check_positive("margin", loss->margin, why);
    }
    return refuse(why, "loss", (double)loss->kind,
                  "softmax, contrastive or triplet");
}

static fl_err check_sgd(const fl_train_options *o, fl_reason *why)
{
    FL_TRY(check_below_1("momentum", o->momentum, why));
    if (o->nesterov && o->momentum == 0.0F) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "nesterov is set, but momentum is 0: there is "
                             "nothing to look ahead with");
    }
    return FL_OK;
}

static fl_err check_adam(const fl_train_options *o, fl_reason *why)
{
    FL_TRY(check_below_1("beta1", o->beta1, why));
    FL_TRY(check_below_1("beta2", o->beta2, why));
    FL_TRY(check_not_negative("epsilon", o->epsilon, why));
    if (!o->control_global && !o->control_local) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "control_global or control_local is set, but the "
                         "optimizer is not SGD: SCAFFOLD corrects SGD's "
                         "gradients");
}

static fl_err check_optimizer(const fl_train_options *o, fl_reason *why)
{
    FL_TRY(check_not_negative("lr", o->lr, why));
    FL_TRY(check_not_negative("weight_decay", o->weight_decay, why));
    FL_TRY(check_not_negative("clip_norm", o->clip_norm, why));
    FL_TRY(check_not_negative("prox_mu", o->prox_mu, why));
    switch (o->optimizer) {
    case FL_OPTIMIZER_SGD: return check_sgd(o, why);
    case FL_OPTIMIZER_ADAM:
    case FL_OPTIMIZER_ADAMW: return check_adam(o, why);
    }
    return refuse(why, "optimizer", (double)o->optimizer, "SGD, Adam or AdamW");
}

static fl_err check_schedule(const fl_train_options *o, fl_reason *why)
{
    if (o->schedule == FL_SCHEDULE_CONSTANT) return FL_OK;
    if (o->schedule != FL_SCHEDULE_COSINE && o->schedule != FL_SCHEDULE_STEP) {
        return refuse(why, "schedule", (double)o->schedule,
                      "constant, cosine or step");
    }
    if (o->schedule_steps == 0) {
        return refuse(why, "schedule_steps", 0.0, "at least 1");
    }
    if (o->schedule == FL_SCHEDULE_COSINE) return FL_OK;
    return check_not_negative("schedule_factor", o->schedule_factor, why);
}

fl_err fl_options_check(const fl_train_options *options, uint32_t batch_cap,
                        fl_reason *why)
{
    FL_TRY(check_batches(options, batch_cap, why));
    FL_TRY(fl_options_check_loss(&options->loss, why));
    FL_TRY(check_optimizer(options, why));
    return check_schedule(options, why);
}
