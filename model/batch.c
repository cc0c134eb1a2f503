/*
 * One batch in all lanes of a trainer:
 *
 *   read, load, forward    each lane its share of the examples
 *   loss                   lane 0, over all logits
 *   backward               each lane its share, gradients of its own
 *   sum, clip, update      each lane its share of the parameters
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <string.h>

#include "model/loss.h"
#include "model/sgd.h"
#include "model/trainer.h"

// The examples of a lane.
typedef struct {
    uint32_t first, count;
} share;

static share share_of(const fl_batch *b, unsigned lane)
{
    const fl_plan *plan = b->trainer->plan;
    const uint32_t first = fl_plan_share(plan, b->batch.count, lane);
    const uint32_t end = fl_plan_share(plan, b->batch.count, lane + 1);
    return (share){first, end - first};
}

static void read_share(fl_batch *b, unsigned lane)
{
    const fl_trainer *t = b->trainer;
    const share s = share_of(b, lane);
    const uint32_t *labels = fl_dataset_labels(b->dataset);
    fl_dataset_read(fl_plan_input(t->plan, lane), b->dataset, t->rows + s.first,
                    s.count);
    for (uint32_t i = s.first; i < s.first + s.count; i++) {
        t->labels[i] = labels[t->rows[i]];
    }
}

// Between the lane's own memory and the place where lane 0 sees all of it.
static void gather_logits(const fl_batch *b, unsigned lane)
{
    const fl_trainer *t = b->trainer;
    const share s = share_of(b, lane);
    const size_t classes = t->class_count;
    memcpy(t->logits + s.first * classes, fl_plan_logits(t->plan, lane),
           s.count * classes * sizeof *t->logits);
}

static void scatter_grads(const fl_batch *b, unsigned lane)
{
    const fl_trainer *t = b->trainer;
    const share s = share_of(b, lane);
    const size_t classes = t->class_count;
    memcpy(fl_plan_logits_grad(t->plan, lane),
           t->logits_grad + s.first * classes,
           s.count * classes * sizeof *t->logits_grad);
}

static void forward(fl_batch *b, unsigned lane)
{
    read_share(b, lane);
    fl_plan_forward(b->trainer->plan, lane, &b->batch);
    gather_logits(b, lane);
    fl_team_wait(b->trainer->team);
}

void fl_batch_evaluate(fl_batch *b, unsigned lane, double *loss)
{
    const fl_trainer *t = b->trainer;
    forward(b, lane);
    if (lane == 0) {
        *loss = fl_loss_add(b->metrics, NULL, t->logits, t->labels,
                            b->batch.count, t->class_count);
    }
    fl_team_wait(t->team);
}

/* ---- training ---- */

static void refuse_divergence(fl_batch *b, const char *what)
{
    b->err =
        fl_reason_set(b->why, FL_ERR_RANGE,
                      "step %llu: %s became NaN or infinite with lr %g: "
                      "lower lr, or set clip_norm (1 is a good start)",
                      (unsigned long long)b->step + 1, what, (double)b->lr);
}

static void measure_loss(fl_batch *b)
{
    const fl_trainer *t = b->trainer;
    const double loss = fl_loss_add(b->metrics, t->logits_grad, t->logits,
                                    t->labels, b->batch.count, t->class_count);
    if (!isfinite(loss)) refuse_divergence(b, "the loss");
}

// A lane's share of the parameters.
static fl_param_range slice_of(const fl_trainer *t, unsigned lane)
{
    const size_t first = t->param_count / t->lane_count * lane;
    const size_t end = lane + 1 == t->lane_count
                           ? t->param_count
                           : first + t->param_count / t->lane_count;
    return (fl_param_range){.at = first, .count = end - first};
}

static fl_param_range common_part(fl_param_range a, fl_param_range b)
{
    const size_t a_end = a.at + a.count, b_end = b.at + b.count;
    const size_t end = a_end < b_end ? a_end : b_end;
    if (b.at > a.at) a.at = b.at;
    a.count = end > a.at ? end - a.at : 0;
    return a;
}

// The lanes' gradients, in the order of the lanes, into the first one's.
static void sum_lanes(const fl_trainer *t, unsigned lane)
{
    const fl_param_range slice = slice_of(t, lane);
    float *sum = t->grads + slice.at;
    for (uint32_t l = 1; l < t->lane_count; l++) {
        const float *grads = t->grads + l * t->param_count + slice.at;
        for (size_t i = 0; i < slice.count; i++) {
            sum[i] += grads[i];
        }
    }
}

// What the gradient is multiplied by so that its norm is within the limit.
static float clip_scale(const fl_trainer *t, float clip_norm)
{
    double squares = 0.0;
    if (clip_norm <= 0.0F) return 1.0F;
    for (size_t i = 0; i < t->learning_count; i++) {
        const fl_param_range *r = &t->learning[i];
        squares += t->kernels->sum_squares(t->grads + r->at, r->count);
    }
    return fl_sgd_clip(squares, clip_norm);
}

static bool update_range(const fl_batch *b, fl_param_range r)
{
    const fl_update update = {
        .params = b->params + r.at,
        .velocity = b->trainer->velocity + r.at,
        .grads = b->trainer->grads + r.at,
        .count = r.count,
        .scale = b->scale,
        .weight_decay = b->options->weight_decay,
        .momentum = b->options->momentum,
        .lr = b->lr,
    };
    return b->trainer->kernels->update(&update);
}

// running = (1 - momentum) * running + momentum * the batch's
static bool update_statistics(const fl_batch *b, fl_param_range r)
{
    float *running = b->params + r.at;
    const float *batch = b->trainer->grads + r.at;
    bool is_finite = true;
    for (size_t i = 0; i < r.count; i++) {
        running[i] += r.momentum * (batch[i] - running[i]);
        is_finite = is_finite && isfinite(running[i]);
    }
    return is_finite;
}

static bool update(const fl_batch *b, unsigned lane)
{
    const fl_trainer *t = b->trainer;
    const fl_param_range slice = slice_of(t, lane);
    bool is_finite = true;
    for (size_t i = 0; i < t->learning_count; i++) {
        const fl_param_range r = common_part(t->learning[i], slice);
        if (r.count && !update_range(b, r)) is_finite = false;
    }
    if (b->batch.uses_stats) return is_finite;
    for (size_t i = 0; i < t->statistics_count; i++) {
        const fl_param_range r = common_part(t->statistics[i], slice);
        if (r.count && !update_statistics(b, r)) is_finite = false;
    }
    return is_finite;
}

static void backward(fl_batch *b, unsigned lane)
{
    const fl_trainer *t = b->trainer;
    float *grads = t->grads + lane * t->param_count;
    scatter_grads(b, lane);
    memset(grads, 0, t->param_count * sizeof *grads);
    fl_plan_backward(t->plan, lane, grads, &b->batch);
    fl_team_wait(t->team);
    sum_lanes(t, lane);
    fl_team_wait(t->team);
}

void fl_batch_train(fl_batch *b, unsigned lane)
{
    const fl_trainer *t = b->trainer;
    fl_plan_load(t->plan, lane, b->params);
    forward(b, lane);
    if (lane == 0) measure_loss(b);
    fl_team_wait(t->team);
    if (b->err) return;

    backward(b, lane);
    if (lane == 0) b->scale = clip_scale(t, b->options->clip_norm);
    fl_team_wait(t->team);
    const bool is_finite = update(b, lane);
    if (!is_finite) atomic_store(&b->is_broken, true);
    fl_team_wait(t->team);
    if (lane == 0 && atomic_load(&b->is_broken)) {
        refuse_divergence(b, "a parameter");
    }
}
