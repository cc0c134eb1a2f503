/*
 * One batch in all lanes of a trainer:
 *
 *   read, load, forward    each lane its share of the examples; the teacher's
 *                          too, in the same lanes
 *   loss                   lane 0, over all logits
 *   backward               each lane its share, gradients of its own
 *   sum, clip, update      each lane its share of the parameters
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <string.h>

#include "model/loss.h"
#include "model/optimizer.h"
#include "model/trainer.h"

// The examples of a lane.
typedef struct {
    uint32_t first, count;
} share;

static share share_of(const fl_trainer *t, uint32_t count, unsigned lane)
{
    const uint32_t first = fl_plan_share(t->plan, count, lane);
    const uint32_t end = fl_plan_share(t->plan, count, lane + 1);
    return (share){first, end - first};
}

// Between the lane's own memory and the place where lane 0 sees all of it.
static void gather_logits(const fl_trainer *t, share s, unsigned lane)
{
    const size_t classes = t->class_count;
    memcpy(t->logits + s.first * classes, fl_plan_logits(t->plan, lane),
           s.count * classes * sizeof *t->logits);
}

static void scatter_grads(const fl_trainer *t, share s, unsigned lane)
{
    const size_t classes = t->class_count;
    memcpy(fl_plan_logits_grad(t->plan, lane),
           t->logits_grad + s.first * classes,
           s.count * classes * sizeof *t->logits_grad);
}

static void read_labels(const fl_batch *b, share s)
{
    const fl_trainer *t = b->trainer;
    const uint32_t *labels = fl_dataset_labels(b->dataset);
    for (uint32_t i = s.first; i < s.first + s.count; i++) {
        t->labels[i] = labels[t->rows[i]];
    }
}

// Runs `t`, the trainer or its teacher, on this lane's rows of the batch.
static void run_rows(const fl_batch *b, const fl_trainer *t,
                     const fl_plan_batch *batch, unsigned lane)
{
    const share s = share_of(t, batch->count, lane);
    fl_dataset_read(fl_plan_input(t->plan, lane), b->dataset,
                    b->trainer->rows + s.first, s.count);
    fl_plan_forward(t->plan, lane, batch);
    gather_logits(t, s, lane);
}

static void forward(const fl_batch *b, unsigned lane)
{
    const fl_trainer *t = b->trainer;
    read_labels(b, share_of(t, b->batch.count, lane));
    run_rows(b, t, &b->batch, lane);
    fl_team_wait(t->team);
}

// In lane 0, when all logits are there.
static double add_loss(const fl_batch *b, const float *teacher, float *grad)
{
    const fl_trainer *t = b->trainer;
    const fl_loss_batch batch = {
        .outputs = t->logits,
        .teacher = teacher,
        .labels = t->labels,
        .count = b->batch.count,
        .width = t->class_count,
        .grad = grad,
    };
    return fl_loss_add(b->metrics, b->loss, &batch);
}

void fl_batch_evaluate(fl_batch *b, unsigned lane, double *loss)
{
    forward(b, lane);
    if (lane == 0) *loss = add_loss(b, NULL, NULL);
    fl_team_wait(b->trainer->team);
}

/* ---- the teacher ---- */

void fl_batch_load_teacher(const fl_batch *b, unsigned lane)
{
    const fl_teacher *teacher = &b->loss->teacher;
    if (!teacher->trainer) return;
    fl_plan_load(teacher->trainer->plan, lane, teacher->params);
}

static void ask_teacher(const fl_batch *b, unsigned lane)
{
    const fl_trainer *teacher = b->loss->teacher.trainer;
    if (!teacher) return;
    const fl_plan_batch batch = {.count = b->batch.count, .uses_stats = true};
    run_rows(b, teacher, &batch, lane);
}

/* ---- training ---- */

static void refuse_divergence(fl_batch *b, const char *what)
{
    b->err = fl_reason_set(b->why, FL_ERR_RANGE,
                           "step %llu: %s became NaN or infinite with lr %g: "
                           "lower lr, or set clip_norm (1 is a good start)",
                           (unsigned long long)b->step + 1, what,
                           (double)fl_optimizer_rate(b->options, b->step));
}

static void measure_loss(fl_batch *b)
{
    const fl_trainer *teacher = b->loss->teacher.trainer;
    const double loss =
        add_loss(b, teacher ? teacher->logits : NULL, b->trainer->logits_grad);
    if (isfinite(loss)) return;
    if (b->options) {
        refuse_divergence(b, "the loss");
        return;
    }
    b->err = fl_reason_set(b->why, FL_ERR_RANGE,
                           "the loss is NaN or infinite: the model's "
                           "parameters are broken");
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
        t->kernels->bias_sum(sum, grads, 1, (uint32_t)slice.count);
    }
}

static float clip_scale(const fl_trainer *t, float clip_norm)
{
    double squares = 0.0;
    for (size_t i = 0; i < t->learning_count; i++) {
        const fl_param_range *r = &t->learning[i];
        squares += t->kernels->sum_squares(t->grads + r->at, r->count);
    }
    return fl_optimizer_clip(squares, clip_norm);
}

static bool update_range(const fl_batch *b, fl_param_range r)
{
    fl_update slice = fl_optimizer_slice(&b->update, r.at, r.count);
    if (r.is_norm && b->options->norm == FL_NORM_LOCAL) {
        // What others know is about their norms, not about these.
        slice.anchor = slice.control_global = slice.control_local = NULL;
    }
    return fl_optimizer_apply(b->trainer->kernels, &slice);
}

// running = (1 - momentum) * running + momentum * the batch's
static bool update_statistics(const fl_batch *b, fl_param_range r)
{
    float *running = b->update.params + r.at;
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
    scatter_grads(t, share_of(t, b->batch.count, lane), lane);
    memset(grads, 0, t->param_count * sizeof *grads);
    fl_plan_backward(t->plan, lane, grads, &b->batch);
    fl_team_wait(t->team);
    sum_lanes(t, lane);
}

// Of what is summed, this lane's slice: a pruned weight pulls at nothing.
static void mask_gradients(const fl_batch *b, unsigned lane)
{
    const fl_trainer *t = b->trainer;
    const fl_param_range slice = slice_of(t, lane);
    const bool *mask = b->options->mask;
    for (size_t i = 0; mask && i < t->learning_count; i++) {
        const fl_param_range r = common_part(t->learning[i], slice);
        fl_optimizer_mask(t->grads + r.at, mask + r.at, r.count);
    }
}

// A norm is that of all slices; without one each lane goes on with its own.
static void clip(fl_batch *b, unsigned lane)
{
    const fl_trainer *t = b->trainer;
    if (b->options->clip_norm <= 0.0F) return;
    fl_team_wait(t->team);
    if (lane == 0) b->update.scale = clip_scale(t, b->options->clip_norm);
    fl_team_wait(t->team);
}

void fl_batch_differentiate(fl_batch *b, unsigned lane)
{
    const fl_trainer *t = b->trainer;
    fl_plan_load(t->plan, lane, b->params);
    ask_teacher(b, lane);
    forward(b, lane);
    if (lane == 0) measure_loss(b);
    fl_team_wait(t->team);
    if (!b->err) backward(b, lane);
}

void fl_batch_train(fl_batch *b, unsigned lane)
{
    const fl_trainer *t = b->trainer;
    fl_batch_differentiate(b, lane);
    if (b->err) return;

    mask_gradients(b, lane);
    clip(b, lane);
    const bool is_finite = update(b, lane);
    if (!is_finite) atomic_store(&b->is_broken, true);
    fl_team_wait(t->team);
    if (lane == 0 && atomic_load(&b->is_broken)) {
        refuse_divergence(b, "a parameter");
    }
}
