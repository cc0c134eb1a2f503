/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/plan.h"

#include <string.h>

static void put_training(Fedge__Plan *pb, const fl_plan *plan)
{
    pb->local_epochs = plan->local_epochs;
    pb->batch = plan->batch;
    pb->lr = plan->lr;
    pb->momentum = plan->momentum;
    pb->weight_decay = plan->weight_decay;
    pb->clip_norm = plan->clip_norm;
    pb->schedule = (Fedge__Schedule)plan->schedule;
    pb->schedule_steps = plan->schedule_steps;
    pb->schedule_factor = plan->schedule_factor;
    pb->seed = plan->seed;
    pb->norm = (Fedge__Norm)plan->norm;
}

static void take_training(fl_plan *plan, const Fedge__Plan *pb)
{
    plan->local_epochs = pb->local_epochs;
    plan->batch = pb->batch;
    plan->lr = pb->lr;
    plan->momentum = pb->momentum;
    plan->weight_decay = pb->weight_decay;
    plan->clip_norm = pb->clip_norm;
    plan->schedule = (uint32_t)pb->schedule;
    plan->schedule_steps = pb->schedule_steps;
    plan->schedule_factor = pb->schedule_factor;
    plan->seed = pb->seed;
    plan->norm = (uint32_t)pb->norm;
}

static void put_codec(Fedge__Plan *pb, const fl_plan *plan)
{
    pb->codec = plan->codec;
    pb->codec_bits = plan->codec_bits;
    pb->density = plan->density;
    pb->density_small = plan->density_small;
    pb->per_word = plan->per_word;
    pb->value_max = plan->value_max;
    pb->step_large = plan->step_large;
    pb->step_small = plan->step_small;
    pb->place = plan->place;
    pb->n_runs = plan->run_count;
    pb->runs = fl_pb_borrow_numbers(plan->runs);
}

static fl_err take_codec(fl_plan *plan, const Fedge__Plan *pb,
                         const fl_pb_source *source)
{
    plan->codec = pb->codec;
    plan->codec_bits = pb->codec_bits;
    plan->density = pb->density;
    plan->density_small = pb->density_small;
    plan->per_word = pb->per_word;
    plan->value_max = pb->value_max;
    plan->step_large = pb->step_large;
    plan->step_small = pb->step_small;
    plan->place = pb->place;
    if (pb->n_runs > FL_PROTO_RUNS_MAX) {
        return fl_reason_set(source->why, FL_ERR_FORMAT,
                             "plan.runs has %zu runs, at most %d are allowed",
                             pb->n_runs, FL_PROTO_RUNS_MAX);
    }
    plan->run_count = (uint32_t)pb->n_runs;
    for (size_t i = 0; i < pb->n_runs; i++) {
        plan->runs[i] = pb->runs[i];
    }
    return FL_OK;
}

static void put_work(Fedge__Plan *pb, const fl_plan *plan)
{
    pb->work = (Fedge__Work)plan->work;
    pb->holdout = plan->holdout;
    pb->row_cap = plan->row_cap;
    pb->ranges = fl_pb_borrow_name(plan->ranges);
}

static fl_err take_work(fl_plan *plan, const Fedge__Plan *pb,
                        const fl_pb_source *source)
{
    plan->work = (fl_work)pb->work;
    plan->holdout = pb->holdout;
    plan->row_cap = pb->row_cap;
    return fl_pb_copy_name(plan->ranges, pb->ranges, "plan.ranges", source);
}

Fedge__Plan fl_plan_to_pb(const fl_plan *plan)
{
    Fedge__Plan pb = FEDGE__PLAN__INIT;
    pb.round = plan->round;
    pb.model = fl_pb_borrow(plan->model, FL_PROTO_HASH_BYTES);
    pb.param_count = plan->param_count;
    pb.deadline_ms = plan->deadline_ms;
    put_training(&pb, plan);
    pb.aggregation = (Fedge__Aggregation)plan->aggregation;
    pb.number = plan->number;
    pb.client_cap = plan->client_cap;
    pb.client_min = plan->client_min;
    pb.weight_max = plan->weight_max;
    pb.value_clip = plan->value_clip;
    put_codec(&pb, plan);
    if (plan->aggregation == FL_AGGREGATION_SECURE) {
        pb.enrolment = fl_pb_borrow(plan->enrolment, FL_PROTO_HASH_BYTES);
    }
    put_work(&pb, plan);
    return pb;
}

static fl_err take_enrolment(fl_plan *plan, const Fedge__Plan *pb,
                             const fl_pb_source *source)
{
    if (plan->aggregation == FL_AGGREGATION_SECURE) {
        return fl_pb_copy(plan->enrolment, FL_PROTO_HASH_BYTES, pb->enrolment,
                          "plan.enrolment", source);
    }
    if (pb->enrolment.len == 0) return FL_OK;
    return fl_reason_set(source->why, FL_ERR_FORMAT,
                         "plan.enrolment is there, which does not fit "
                         "plan.aggregation");
}

fl_err fl_plan_from_pb(fl_plan *plan, const Fedge__Plan *pb,
                       const fl_pb_source *source)
{
    plan->round = pb->round;
    plan->param_count = pb->param_count;
    plan->deadline_ms = pb->deadline_ms;
    take_training(plan, pb);
    plan->aggregation = (fl_aggregation)pb->aggregation;
    plan->number = pb->number;
    plan->client_cap = pb->client_cap;
    plan->client_min = pb->client_min;
    plan->weight_max = pb->weight_max;
    plan->value_clip = pb->value_clip;
    FL_TRY(take_codec(plan, pb, source));
    FL_TRY(take_enrolment(plan, pb, source));
    FL_TRY(take_work(plan, pb, source));
    return fl_pb_copy(plan->model, FL_PROTO_HASH_BYTES, pb->model, "plan.model",
                      source);
}
