/* SPDX-License-Identifier: Apache-2.0 */
#include "model/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "model/graph.h"
#include "model/options.h"
#include "model/order.h"
#include "model/pick.h"

/* ---- which parameters learn ---- */

static bool has_params(const fl_node *node)
{
    return node->weight_count + node->bias_count > 0;
}

static const fl_pick FREEZE = {"freeze", "layer with parameters", has_params};

static void list_params(fl_trainer *t, const fl_graph *graph,
                        const bool *frozen)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        const size_t count = node->weight_count + node->bias_count;
        if (node->op == FL_OP_DROPOUT) t->has_dropout = true;
        if (count == 0 || frozen[i]) continue;
        t->learning[t->learning_count++] =
            (fl_param_range){.at = node->weight_at,
                             .count = count,
                             .is_norm = node->op == FL_OP_BATCHNORM};
        if (node->stats_count == 0) continue;
        t->statistics[t->statistics_count++] = (fl_param_range){
            node->stats_at, node->stats_count, true, node->momentum};
    }
}

/* ---- life ---- */

static float *new_floats(size_t count, size_t times)
{
    size_t floats;
    // One too many keeps a model without parameters out of malloc(0).
    if (fl_size_mul(&floats, count, times) || floats > SIZE_MAX / 4 - 1) {
        return NULL;
    }
    return malloc((floats + 1) * sizeof(float));
}

static fl_err allocate(fl_trainer *t, const fl_trainer_options *options,
                       fl_reason *why)
{
    t->rows = malloc(t->batch_cap * sizeof *t->rows);
    t->labels = malloc(t->batch_cap * sizeof *t->labels);
    t->logits = new_floats(t->batch_cap, t->class_count);
    bool is_whole = t->rows && t->labels && t->logits;
    if (options->with_gradients) {
        t->logits_grad = new_floats(t->batch_cap, t->class_count);
        t->grads = new_floats(t->param_count, t->lane_count);
        is_whole = is_whole && t->logits_grad && t->grads;
    }
    if (is_whole) return FL_OK;
    return fl_reason_set(why, FL_ERR_MEMORY,
                         "no memory for the gradients of %zu parameters",
                         t->param_count);
}

// Gradients of every lane, moments, outputs and their gradients, rows, labels.
static size_t bytes_beside_plan(const fl_trainer *t, bool with_gradients)
{
    const size_t of_params =
        with_gradients ? t->param_count * (t->lane_count + (size_t)1) : 0;
    const size_t of_batch =
        t->batch_cap * ((size_t)t->class_count * (with_gradients ? 2 : 1) + 2);
    return (of_params + of_batch) * sizeof(float);
}

static fl_err build(fl_trainer *t, bool *frozen, const fl_graph *graph,
                    const fl_trainer_options *options, fl_reason *why)
{
    FL_TRY(fl_pick_nodes(frozen, graph, options->freeze, &FREEZE, why));
    t->lane_count = options->thread_count ? options->thread_count : 1;
    const fl_err err = fl_team_new(&t->team, t->lane_count);
    if (err) {
        return fl_reason_set(why, err,
                             "cannot start %u threads, 1 to %d are possible",
                             t->lane_count, FL_TEAM_MAX);
    }
    const fl_plan_options plan = {
        .batch_cap = options->batch_cap,
        .team = t->team,
        .with_gradients = options->with_gradients,
        .recompute = options->recompute,
        .frozen = frozen,
        .bytes_cap = options->memory_cap,
        .bytes_beside = bytes_beside_plan(t, options->with_gradients),
    };
    FL_TRY(fl_plan_new(&t->plan, graph, t->kernels, &plan, why));
    FL_TRY(allocate(t, options, why));
    list_params(t, graph, frozen);
    return FL_OK;
}

fl_err fl_trainer_new(fl_trainer **trainer, const fl_model *model,
                      const fl_trainer_options *options, fl_reason *why)
{
    if (options->batch_cap == 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a batch has at least one row, not 0");
    }
    const fl_graph *graph = &model->graph;
    fl_err err = FL_ERR_MEMORY;
    bool *frozen = calloc(graph->node_count, sizeof *frozen);
    fl_trainer *made = calloc(1, sizeof *made);
    if (!frozen || !made) goto out;
    made->learning = calloc(graph->node_count, sizeof *made->learning);
    made->statistics = calloc(graph->node_count, sizeof *made->statistics);
    if (!made->learning || !made->statistics) goto out;

    made->kernels = fl_kernels_at(0);
    made->input = fl_model_input(model);
    made->class_count = fl_model_class_count(model);
    made->param_count = fl_model_param_count(model);
    made->batch_cap = options->batch_cap;
    err = build(made, frozen, graph, options, why);
    if (err) goto no_reason;
    *trainer = made;
    made = NULL;

out:
    if (err) (void)!fl_reason_set(why, err, "no memory for a trainer");
no_reason:
    free(frozen);
    fl_trainer_free(made);
    return err;
}

void fl_trainer_free(fl_trainer *trainer)
{
    if (!trainer) return;
    fl_plan_free(trainer->plan);
    fl_team_free(trainer->team);
    free(trainer->learning);
    free(trainer->statistics);
    free(trainer->grads);
    fl_optimizer_fini(&trainer->optimizer);
    free(trainer->logits);
    free(trainer->logits_grad);
    free(trainer->rows);
    free(trainer->labels);
    free(trainer);
}

size_t fl_trainer_bytes(const fl_trainer *trainer)
{
    return fl_plan_bytes(trainer->plan);
}

size_t fl_trainer_memory(const fl_trainer *trainer)
{
    return fl_plan_bytes(trainer->plan) +
           bytes_beside_plan(trainer, trainer->grads != NULL);
}

/* ---- arguments ---- */

static fl_err check_gradients(const fl_trainer *trainer, fl_reason *why)
{
    if (trainer->grads) return FL_OK;
    return fl_reason_set(why, FL_ERR_STATE,
                         "this trainer was made without gradients: it can "
                         "only evaluate");
}

static fl_err check_dataset(const fl_trainer *trainer,
                            const fl_dataset *dataset, const fl_loss *loss,
                            fl_reason *why)
{
    const fl_shape a = fl_dataset_shape(dataset), b = trainer->input;
    if (a.height != b.height || a.width != b.width ||
        a.channels != b.channels) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the dataset's rows are %ux%ux%u, the model's "
                             "input is %ux%ux%u",
                             a.height, a.width, a.channels, b.height, b.width,
                             b.channels);
    }
    // Embeddings tell apart as many classes as there are.
    if (loss->kind == FL_LOSS_SOFTMAX &&
        fl_dataset_class_count(dataset) > trainer->class_count) {
        return fl_reason_set(
            why, FL_ERR_RANGE, "the dataset has %u classes, the model only %u",
            fl_dataset_class_count(dataset), trainer->class_count);
    }
    return FL_OK;
}

static fl_err check_norm(const fl_trainer *trainer, const fl_train_options *o,
                         fl_reason *why)
{
    if (o->norm > FL_NORM_LOCAL) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "norm is %d, it must be train, frozen or local",
                             (int)o->norm);
    }
    if (o->norm == FL_NORM_LOCAL && trainer->statistics_count > 0 &&
        !o->local_norm) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "norm is local, but local_norm is missing");
    }
    return FL_OK;
}

static fl_err check_teacher(const fl_trainer *trainer,
                            const fl_train_options *o, fl_reason *why)
{
    const fl_trainer *teacher = o->loss.teacher.trainer;
    if (!teacher) return FL_OK;
    if (teacher->grads) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "teacher.trainer was made with gradients: make "
                             "it without");
    }
    const fl_shape a = teacher->input, b = trainer->input;
    if (a.height != b.height || a.width != b.width ||
        a.channels != b.channels ||
        teacher->class_count != trainer->class_count) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the teacher makes %u outputs of %ux%ux%u, the "
                             "student %u of %ux%ux%u",
                             teacher->class_count, a.height, a.width,
                             a.channels, trainer->class_count, b.height,
                             b.width, b.channels);
    }
    if (teacher->batch_cap < o->batch ||
        teacher->lane_count != trainer->lane_count) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the teacher takes batches of %u with %u "
                             "threads, the student of %u with %u: make it "
                             "for these",
                             teacher->batch_cap, teacher->lane_count, o->batch,
                             trainer->lane_count);
    }
    return FL_OK;
}

static fl_err check_options(const fl_trainer *trainer,
                            const fl_train_options *o, fl_reason *why)
{
    FL_TRY(fl_options_check(o, trainer->batch_cap, why));
    FL_TRY(check_norm(trainer, o, why));
    return check_teacher(trainer, o, why);
}

/* ---- training ---- */

// A run: its batches, and which rows come next.
typedef struct {
    fl_batch batch;
    float *params;
    const uint32_t *rows;
    uint32_t row_count;
    fl_order order;
    fl_random *random;
    fl_metrics *metrics;   // of the first epoch
    fl_metrics later;      // of all others
    uint32_t epoch, next;  // next: of the order
    bool is_over;
} run;

static bool is_stopped(const fl_train_options *options)
{
    return options->stop && atomic_load(options->stop);
}

static void begin_epoch(run *r)
{
    fl_order_init(&r->order, r->row_count, r->random);
    r->batch.metrics = r->epoch == 0 ? r->metrics : &r->later;
    *r->batch.metrics = (fl_metrics){0};
    r->next = 0;
}

// Begins the next batch, or ends the run.
static void begin_batch(run *r)
{
    fl_batch *b = &r->batch;
    if (r->next == r->row_count) {
        r->epoch++;
        if (r->epoch < b->options->epochs) begin_epoch(r);
    }
    r->is_over = b->err || r->epoch == b->options->epochs;
    if (r->is_over) return;

    const uint32_t left = r->row_count - r->next;
    b->batch.count = left < b->options->batch ? left : b->options->batch;
    if (b->trainer->has_dropout) b->batch.draw = fl_random_u64(r->random);
    b->update =
        fl_optimizer_update(&b->trainer->optimizer, b->options, b->step);
    b->update.params = r->params;
    b->update.grads = b->trainer->grads;
    r->next += b->batch.count;
}

// A lane's share of the batch that was begun.
static void pick_rows(const run *r, unsigned lane)
{
    const fl_trainer *t = r->batch.trainer;
    const uint32_t count = r->batch.batch.count, first = r->next - count;
    const uint32_t end = fl_plan_share(t->plan, count, lane + 1);
    for (uint32_t i = fl_plan_share(t->plan, count, lane); i < end; i++) {
        t->rows[i] = r->rows[fl_order_at(&r->order, first + i)];
    }
}

static void end_batch(run *r)
{
    fl_batch *b = &r->batch;
    if (b->err) return;
    b->step++;
    if (b->options->on_step) {
        b->options->on_step(b->options->on_step_self, b->step, b->metrics);
    }
    if (!is_stopped(b->options)) return;
    b->err = fl_reason_set(b->why, FL_ERR_CANCELLED,
                           "stopped on request after step %llu",
                           (unsigned long long)b->step);
}

static void train_lane(unsigned lane, void *context)
{
    run *r = context;
    fl_batch_load_teacher(&r->batch, lane);
    for (;;) {
        if (lane == 0) begin_batch(r);
        fl_team_wait(r->batch.trainer->team);
        if (r->is_over) return;
        pick_rows(r, lane);
        fl_batch_train(&r->batch, lane);
        if (lane == 0) end_batch(r);
    }
}

// Puts `local` where the parameters of batch norms are, and those in `local`.
static void swap_norms(const fl_trainer *trainer, float *params, float *local)
{
    const fl_graph *graph = fl_plan_graph(trainer->plan);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        if (node->op != FL_OP_BATCHNORM) continue;
        const size_t count =
            node->weight_count + node->bias_count + node->stats_count;
        for (size_t k = 0; k < count; k++) {
            const float own = *local;
            *local++ = params[node->weight_at + k];
            params[node->weight_at + k] = own;
        }
    }
}

// Where learning parameters are masked they are 0 before the first step, too.
static void mask_params(const fl_trainer *trainer, float *params,
                        const bool *mask)
{
    for (size_t i = 0; mask && i < trainer->learning_count; i++) {
        const fl_param_range r = trainer->learning[i];
        fl_optimizer_mask(params + r.at, mask + r.at, r.count);
    }
}

fl_err fl_trainer_run(fl_trainer *trainer, float *params, fl_metrics *metrics,
                      const fl_dataset *dataset, const uint32_t *rows,
                      size_t row_count, const fl_train_options *options,
                      fl_random *random, fl_reason *why)
{
    FL_TRY(check_gradients(trainer, why));
    FL_TRY(check_dataset(trainer, dataset, &options->loss, why));
    FL_TRY(check_options(trainer, options, why));
    if (row_count == 0 || row_count > FL_DATA_ROWS_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "there are %zu rows to train on, not 1 to %u",
                             row_count, FL_DATA_ROWS_MAX);
    }
    FL_TRY(fl_optimizer_start(&trainer->optimizer, params, trainer->param_count,
                              options, why));
    mask_params(trainer, params, options->mask);
    run r = {
        .batch = {.trainer = trainer,
                  .dataset = dataset,
                  .loss = &options->loss,
                  .batch.uses_stats = options->norm == FL_NORM_FROZEN,
                  .params = params,
                  .options = options,
                  .why = why},
        .params = params,
        .rows = rows,
        .row_count = (uint32_t)row_count,
        .random = random,
        .metrics = metrics,
    };
    const bool is_local = options->norm == FL_NORM_LOCAL && options->local_norm;
    if (is_local) swap_norms(trainer, params, options->local_norm);
    begin_epoch(&r);
    fl_team_run(trainer->team, train_lane, &r);
    if (is_local) swap_norms(trainer, params, options->local_norm);
    return r.batch.err;
}

/* ---- gradients ---- */

static void differentiate_lane(unsigned lane, void *context)
{
    fl_batch_differentiate(context, lane);
}

fl_err fl_trainer_gradient(fl_trainer *trainer, float *grads,
                           fl_metrics *metrics, const fl_loss *loss,
                           const float *params, const fl_dataset *dataset,
                           const uint32_t *rows, size_t row_count,
                           fl_reason *why)
{
    fl_loss alone = *loss;
    alone.teacher = (fl_teacher){0};
    FL_TRY(check_gradients(trainer, why));
    FL_TRY(fl_options_check_loss(&alone, why));
    FL_TRY(check_dataset(trainer, dataset, &alone, why));
    if (row_count == 0 || row_count > trainer->batch_cap) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a gradient over %zu rows: this trainer takes 1 "
                             "to %u",
                             row_count, trainer->batch_cap);
    }
    *metrics = (fl_metrics){0};
    fl_batch batch = {
        .trainer = trainer,
        .dataset = dataset,
        .metrics = metrics,
        .loss = &alone,
        .batch = {.count = (uint32_t)row_count, .uses_stats = true},
        .params = params,
        .why = why,
    };
    memcpy(trainer->rows, rows, row_count * sizeof *rows);
    fl_team_run(trainer->team, differentiate_lane, &batch);
    if (batch.err) return batch.err;
    memcpy(grads, trainer->grads, trainer->param_count * sizeof *grads);
    return FL_OK;
}

/* ---- evaluation ---- */

typedef struct {
    fl_batch batch;
    const float *params;
    const uint32_t *rows;
    size_t row_count;
    double loss;
} evaluation;

static void evaluate_lane(unsigned lane, void *context)
{
    evaluation *e = context;
    fl_trainer *t = e->batch.trainer;
    fl_plan_load(t->plan, lane, e->params);
    for (size_t from = 0; from < e->row_count; from += t->batch_cap) {
        if (lane == 0) {
            const size_t left = e->row_count - from;
            e->batch.batch.count =
                left < t->batch_cap ? (uint32_t)left : t->batch_cap;
            memcpy(t->rows, e->rows + from,
                   e->batch.batch.count * sizeof *t->rows);
        }
        fl_team_wait(t->team);
        fl_batch_evaluate(&e->batch, lane, &e->loss);
        if (isfinite(e->loss)) continue;
        if (lane == 0) {
            e->batch.err = fl_reason_set(
                e->batch.why, FL_ERR_RANGE,
                "rows %zu to %zu: the loss is NaN or infinite: the model's "
                "parameters are broken",
                from, from + e->batch.batch.count - 1);
        }
        return;
    }
}

fl_err fl_trainer_measure(fl_trainer *trainer, fl_metrics *metrics,
                          const fl_loss *loss, const float *params,
                          const fl_dataset *dataset, const uint32_t *rows,
                          size_t row_count, fl_reason *why)
{
    FL_TRY(fl_options_check_loss(loss, why));
    FL_TRY(check_dataset(trainer, dataset, loss, why));
    *metrics = (fl_metrics){0};
    evaluation e = {
        .batch = {.trainer = trainer,
                  .dataset = dataset,
                  .metrics = metrics,
                  .loss = loss,
                  .batch.uses_stats = true,
                  .why = why},
        .params = params,
        .rows = rows,
        .row_count = row_count,
    };
    fl_team_run(trainer->team, evaluate_lane, &e);
    return e.batch.err;
}

fl_err fl_trainer_evaluate(fl_trainer *trainer, fl_metrics *metrics,
                           const float *params, const fl_dataset *dataset,
                           const uint32_t *rows, size_t row_count,
                           fl_reason *why)
{
    return fl_trainer_measure(trainer, metrics, &(fl_loss){0}, params, dataset,
                              rows, row_count, why);
}

/* ---- prediction ---- */

typedef struct {
    fl_trainer *trainer;
    float *logits;
    const float *params, *x;
    fl_plan_batch batch;
} prediction;

static void predict_lane(unsigned lane, void *context)
{
    const prediction *p = context;
    fl_plan *plan = p->trainer->plan;
    const uint32_t first = fl_plan_share(plan, p->batch.count, lane);
    const size_t count = fl_plan_share(plan, p->batch.count, lane + 1) - first;
    const size_t x_size = fl_shape_size(p->trainer->input);
    const size_t classes = p->trainer->class_count;
    memcpy(fl_plan_input(plan, lane), p->x + first * x_size,
           count * x_size * sizeof *p->x);
    fl_plan_load(plan, lane, p->params);
    fl_plan_forward(plan, lane, &p->batch);
    memcpy(p->logits + first * classes, fl_plan_logits(plan, lane),
           count * classes * sizeof *p->logits);
}

fl_err fl_trainer_predict(fl_trainer *trainer, float *logits,
                          const float *params, const float *x, size_t count)
{
    if (count > trainer->batch_cap) return FL_ERR_RANGE;
    if (count == 0) return FL_OK;
    prediction p = {
        trainer,
        logits,
        params,
        x,
        {.count = (uint32_t)count, .uses_stats = true},
    };
    fl_team_run(trainer->team, predict_lane, &p);
    return FL_OK;
}
