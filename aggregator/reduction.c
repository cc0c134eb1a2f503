/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/reduction.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "aggregator/pruning.h"

static const double PERCENTILE = 99.99;  // of the values, inside their range
enum {
    SURVEY_COHORTS = 10,  // a survey asks so many cohorts of training
    INT8_ROUNDS = 2,      // RANGES and INT8
    MEASURE_PART = 4,     // of a survey's rows are enough to measure
    MEASURE_ROWS = 32,    // but not fewer
};

struct fl_reduction {
    fl_reduction_options options;
    fl_reduction_state state;
};

bool fl_reduction_is_wanted(const fl_reduction_options *options)
{
    return options->prune > 0.0 || options->has_int8;
}

static bool asks_importance(const fl_reduction_options *options)
{
    return options->importance != FL_IMPORTANCE_MAGNITUDE;
}

uint64_t fl_reduction_rounds(const fl_reduction_options *options)
{
    uint64_t rounds = options->has_int8 ? INT8_ROUNDS : 0;
    if (options->prune > 0.0) {
        const double step_count = ceil(options->prune / options->step - 1e-9);
        const uint64_t each =
            (asks_importance(options) ? 1 : 0) + options->recover + 1;
        rounds += options->start + 1 + (uint64_t)step_count * each;
    } else if (options->has_int8) {
        rounds++;  // one that trains
    }
    return rounds;
}

/* ---- begin and end ---- */

static fl_err no_memory(fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_MEMORY, "no memory to prune");
}

static fl_err check_model(fl_model_cost *cost,
                          const fl_reduction_options *options,
                          const fl_model *model, fl_reason *why)
{
    size_t range_count;
    fl_channels *channels = NULL;
    if (options->has_int8) {
        FL_TRY(fl_int8_range_count(&range_count, model, why));
    }
    FL_TRY(fl_channels_new(&channels, model, why));
    fl_err err = fl_pruning_cost(cost, channels, why);
    if (!err && options->prune > 0.0 && fl_channels_count(channels) == 0) {
        err = fl_reason_set(why, FL_ERR_RANGE,
                            "--prune: this model has no channels that could "
                            "be removed; leave it out");
    }
    fl_channels_free(channels);
    return err;
}

fl_err fl_reduction_new(fl_reduction **reduction,
                        const fl_reduction_options *options,
                        const fl_model *model, fl_reason *why)
{
    fl_model_cost cost = {.param_count = 0};
    FL_TRY(check_model(&cost, options, model, why));
    fl_reduction *made = calloc(1, sizeof *made);
    if (!made) return no_memory(why);
    made->options = *options;
    made->state = (fl_reduction_state){
        .phase = FL_REDUCTION_WAIT,
        .reference = (double)NAN,
        .accuracy = (double)NAN,
        .first_params = cost.param_count,
        .first_macs = cost.mac_count,
    };
    *reduction = made;
    // A federation of no rounds of training begins with a survey.
    if (options->prune > 0.0 && options->start == 0) {
        made->state.phase = FL_REDUCTION_REFERENCE;
    }
    return FL_OK;
}

static uint32_t rounds_left(const fl_reduction *reduction, uint32_t round)
{
    const uint32_t count = reduction->options.round_count;
    return count > round ? count - round : 0;
}

// The last round measures what has not been: nothing ends with a model that
// the guard has not seen.
static void guard_in_time(fl_reduction *reduction, uint32_t round)
{
    if (reduction->state.phase == FL_REDUCTION_RECOVER &&
        rounds_left(reduction, round) <= 1) {
        reduction->state.phase = FL_REDUCTION_GUARD;
    }
}

// A federation may have got fewer rounds than it began with.
static fl_err check_rounds(fl_reduction *reduction, uint32_t round,
                           fl_reason *why)
{
    guard_in_time(reduction, round);
    if (reduction->state.phase != FL_REDUCTION_GUARD ||
        rounds_left(reduction, round) > 0) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--rounds %u: the last pruning step has not been "
                         "measured; take at least %u",
                         reduction->options.round_count, round + 1);
}

fl_err fl_reduction_decode(fl_reduction **reduction,
                           const fl_reduction_options *options, uint32_t round,
                           const uint8_t *src, size_t src_len, fl_reason *why)
{
    fl_reduction *made = calloc(1, sizeof *made);
    if (!made) return no_memory(why);
    made->options = *options;
    fl_err err =
        fl_reduction_state_decode(&made->state, round, src, src_len, why);
    if (err) {
        free(made);
        return err;
    }
    err = check_rounds(made, round, why);
    if (err) {
        fl_reduction_free(made);
        return err;
    }
    *reduction = made;
    return FL_OK;
}

void fl_reduction_free(fl_reduction *reduction)
{
    if (!reduction) return;
    fl_reduction_state_fini(&reduction->state);
    free(reduction);
}

const fl_reduction_state *fl_reduction_get_state(const fl_reduction *reduction)
{
    return &reduction->state;
}

const fl_reduction_ranges *fl_reduction_int8(const fl_reduction *reduction)
{
    return reduction && reduction->state.accepted.round > 0
               ? &reduction->state.accepted
               : NULL;
}

/* ---- what comes next ---- */

static fl_work work_of(fl_reduction_phase phase)
{
    switch (phase) {
    case FL_REDUCTION_REFERENCE:
    case FL_REDUCTION_GUARD:
    case FL_REDUCTION_INT8: return FL_WORK_MEASURE;
    case FL_REDUCTION_IMPORTANCE: return FL_WORK_IMPORTANCE;
    case FL_REDUCTION_RANGES: return FL_WORK_RANGES;
    case FL_REDUCTION_WAIT:
    case FL_REDUCTION_RECOVER:
    case FL_REDUCTION_TRAIN: break;
    }
    return FL_WORK_TRAIN;
}

// A MEASURE with ranges measures the INT8 form, so only INT8 may have them.
static const fl_reduction_ranges *ranges_of(const fl_reduction *reduction)
{
    if (reduction->state.phase == FL_REDUCTION_INT8) {
        return &reduction->state.candidate;
    }
    return work_of(reduction->state.phase) == FL_WORK_MEASURE
               ? NULL
               : fl_reduction_int8(reduction);
}

static uint32_t survey_cohort(const fl_reduction_options *options,
                              uint32_t cohort, uint32_t present)
{
    const uint64_t wanted = options->survey_cohort
                                ? options->survey_cohort
                                : (uint64_t)SURVEY_COHORTS * cohort;
    return present < wanted ? present : (uint32_t)wanted;
}

// Clients say themselves how many rows they have held out, and with it how much
// they weigh: no more than many have, as it is the guard that they weigh in.
static uint32_t row_cap(const fl_reduction_options *options, fl_work work)
{
    const uint32_t rows = options->survey_rows;
    if (work != FL_WORK_MEASURE || rows <= MEASURE_ROWS) return rows;
    const uint32_t part = rows / MEASURE_PART;
    return part > MEASURE_ROWS ? part : MEASURE_ROWS;
}

fl_reduction_task fl_reduction_next(const fl_reduction *reduction,
                                    uint32_t cohort, uint32_t present)
{
    fl_reduction_task task = {.work = FL_WORK_TRAIN};
    if (!reduction) return task;
    const fl_reduction_options *options = &reduction->options;
    task.work = work_of(reduction->state.phase);
    task.holdout = options->holdout;
    task.ranges = ranges_of(reduction);
    task.is_recovering = reduction->state.phase == FL_REDUCTION_RECOVER;
    if (task.work == FL_WORK_TRAIN) return task;
    task.row_cap = row_cap(options, task.work);
    task.cohort = survey_cohort(options, cohort, present);
    return task;
}

fl_err fl_reduction_counts(size_t *count, fl_work work, const fl_model *model,
                           fl_reason *why)
{
    fl_channels *channels = NULL;
    *count = 1;
    if (work == FL_WORK_IMPORTANCE) {
        FL_TRY(fl_channels_new(&channels, model, why));
        *count = fl_channels_count(channels);
        fl_channels_free(channels);
    } else if (work == FL_WORK_RANGES) {
        FL_TRY(fl_int8_range_count(count, model, why));
        *count *= FL_INT8_BINS;
    }
    return FL_OK;
}

// Shares of one, each rounded to a number of at most `most`.
static fl_err check_shares(const uint64_t *counts, size_t first, size_t count,
                           uint64_t most, uint32_t client_count, fl_reason *why)
{
    uint64_t sum = 0;
    for (size_t i = first; i < first + count; i++) {
        sum += counts[i];
    }
    most = (most + count / 2) * client_count;
    if (sum <= most) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "counts %zu to %zu add up to %llu: they are shares, "
                         "and %u %s cannot have more than %llu",
                         first, first + count - 1, (unsigned long long)sum,
                         client_count, client_count == 1 ? "client" : "clients",
                         (unsigned long long)most);
}

fl_err fl_reduction_check(fl_work work, const fl_codec *codec,
                          const uint64_t *counts,
                          const fl_update_metrics *metrics,
                          uint32_t client_count, fl_reason *why)
{
    const size_t count = codec->param_count;
    const uint64_t most = fl_tally_max(codec);
    if (work == FL_WORK_IMPORTANCE) {
        return check_shares(counts, 0, count, most, client_count, why);
    }
    for (size_t i = 0; work == FL_WORK_RANGES && i < count; i += FL_INT8_BINS) {
        FL_TRY(check_shares(counts, i, FL_INT8_BINS, most, client_count, why));
    }
    if (work != FL_WORK_MEASURE || client_count > 1 ||
        counts[0] <= metrics->weight) {
        return FL_OK;
    }
    return fl_reason_set(
        why, FL_ERR_RANGE, "%llu examples are right of %llu that were measured",
        (unsigned long long)counts[0], (unsigned long long)metrics->weight);
}

const char *fl_reduction_verdict_name(uint32_t verdict)
{
    switch (verdict) {
    case FL_VERDICT_ACCEPTED: return "accepted";
    case FL_VERDICT_ROLLED_BACK: return "rolled back";
    default: return NULL;
    }
}

/* ---- from phase to phase ---- */

// An INT8 form of a model that goes on training is worth two rounds only when
// there is time for another one at the end.
static void end_pruning(fl_reduction *reduction, uint32_t round)
{
    const uint32_t left = rounds_left(reduction, round);
    const bool has_time = left == INT8_ROUNDS || left > 2 * INT8_ROUNDS;
    reduction->state.phase = reduction->options.has_int8 && has_time
                                 ? FL_REDUCTION_RANGES
                                 : FL_REDUCTION_TRAIN;
}

static void begin_reducing(fl_reduction *reduction, uint32_t round)
{
    if (reduction->options.prune > 0.0) {
        reduction->state.phase = FL_REDUCTION_REFERENCE;
    } else {
        end_pruning(reduction, round);
    }
}

void fl_reduction_trained(fl_reduction *reduction, uint32_t round)
{
    if (!reduction) return;
    const fl_reduction_options *options = &reduction->options;
    fl_reduction_state *state = &reduction->state;
    if (state->phase == FL_REDUCTION_RECOVER && --state->recover_left == 0) {
        state->phase = FL_REDUCTION_GUARD;
    } else if (state->phase == FL_REDUCTION_WAIT && round >= options->start) {
        begin_reducing(reduction, round);
    }
    guard_in_time(reduction, round);
    const bool is_idle =
        state->phase == FL_REDUCTION_WAIT || state->phase == FL_REDUCTION_TRAIN;
    if (is_idle && options->has_int8 &&
        rounds_left(reduction, round) == INT8_ROUNDS) {
        state->phase = FL_REDUCTION_RANGES;
    }
}

/* ---- pruning ---- */

// What clients counted, or without their counts the norms of the weights.
static void score(double *scores, const fl_channels *channels,
                  const fl_model *model, const uint64_t *counts)
{
    if (!counts) {
        fl_channels_norms(channels, scores, fl_model_get_params(model));
        return;
    }
    for (size_t c = 0; c < fl_channels_count(channels); c++) {
        scores[c] = (double)counts[c];
    }
}

static fl_pruning_options pruning_options(const fl_reduction *reduction)
{
    const fl_reduction_options *options = &reduction->options;
    return (fl_pruning_options){
        .cost = options->cost,
        .first = {.param_count = (size_t)reduction->state.first_params,
                  .mac_count = reduction->state.first_macs},
        .prune = options->prune,
        .step = options->step,
        .multiple = options->multiple,
    };
}

static fl_err begin_step(fl_reduction *reduction, fl_reduction_outcome *outcome,
                         uint32_t round, const fl_model *model,
                         const uint64_t *counts, fl_reason *why)
{
    const uint64_t needed = (uint64_t)reduction->options.recover + 1;
    if (rounds_left(reduction, round) < needed) {
        end_pruning(reduction, round);
        return FL_OK;
    }
    FL_TRY(fl_channels_new(&outcome->channels, model, why));
    const size_t count = fl_channels_count(outcome->channels);
    double *scores = malloc(count * sizeof *scores + 1);
    if (!scores) return no_memory(why);
    score(scores, outcome->channels, model, counts);
    const fl_pruning_options options = pruning_options(reduction);
    const fl_err err =
        fl_pruning_step(&outcome->keep, &reduction->state.is_last_step,
                        outcome->channels, scores, &options, why);
    free(scores);
    if (err) return err;
    if (outcome->keep) {
        reduction->state.phase = FL_REDUCTION_RECOVER;
        reduction->state.recover_left = reduction->options.recover;
    } else {
        end_pruning(reduction, round);
    }
    return FL_OK;
}

// A survey of importance, or where none is needed the step itself.
static fl_err go_on_pruning(fl_reduction *reduction,
                            fl_reduction_outcome *outcome, uint32_t round,
                            const fl_model *model, fl_reason *why)
{
    if (asks_importance(&reduction->options)) {
        reduction->state.phase = FL_REDUCTION_IMPORTANCE;
        return FL_OK;
    }
    return begin_step(reduction, outcome, round, model, NULL, why);
}

void fl_reduction_remember(fl_reduction *reduction,
                           const fl_reduction_before *before)
{
    fl_reduction_before_fini(&reduction->state.before);
    reduction->state.before = *before;
}

/* ---- the guard ---- */

static double share(uint64_t correct, const fl_update_metrics *metrics)
{
    return (double)correct / (double)metrics->weight;
}

// Without a reference there is nothing to fall short of.
static bool is_good(const fl_reduction *reduction, double accuracy)
{
    const double reference = reduction->state.reference;
    return isnan(reference) ||
           accuracy >= reference - reduction->options.max_drop;
}

static fl_err take_reference(fl_reduction *reduction,
                             fl_reduction_outcome *outcome, uint32_t round,
                             const fl_model *model,
                             const fl_update_metrics *metrics, fl_reason *why)
{
    fl_reduction_state *state = &reduction->state;
    const double accuracy = share(metrics->correct, metrics);
    FL_TRY(go_on_pruning(reduction, outcome, round, model, why));
    state->reference = state->accuracy = accuracy;
    return FL_OK;
}

static fl_err guard_step(fl_reduction *reduction, fl_reduction_outcome *outcome,
                         uint32_t round, const fl_model *model,
                         const fl_update_metrics *metrics, fl_reason *why)
{
    fl_reduction_state *state = &reduction->state;
    outcome->before = state->accuracy;
    outcome->after = share(metrics->correct, metrics);
    if (!is_good(reduction, outcome->after)) {
        outcome->verdict = FL_VERDICT_ROLLED_BACK;
        outcome->back = state->before;
        state->before = (fl_reduction_before){.round = 0};
        end_pruning(reduction, round);
        return FL_OK;
    }
    outcome->verdict = FL_VERDICT_ACCEPTED;
    if (state->is_last_step) {
        end_pruning(reduction, round);
    } else {
        FL_TRY(go_on_pruning(reduction, outcome, round, model, why));
    }
    state->accuracy = outcome->after;
    fl_reduction_before_fini(&state->before);
    return FL_OK;
}

/* ---- INT8 ---- */

static fl_err encode_ranges(fl_reduction_bytes *encoded, const fl_range *ranges,
                            size_t count, fl_reason *why)
{
    const size_t len = fl_ranges_bytes(count);
    uint8_t *bytes = malloc(len);
    if (!bytes) return no_memory(why);
    const fl_err err = fl_ranges_encode(bytes, len, ranges, count);
    if (err) {
        free(bytes);
        return err;
    }
    *encoded = (fl_reduction_bytes){bytes, len};
    return FL_OK;
}

static fl_err take_ranges(fl_reduction *reduction, uint32_t round,
                          const fl_model *model, const uint64_t *counts,
                          fl_reason *why)
{
    size_t count;
    FL_TRY(fl_int8_range_count(&count, model, why));
    const size_t bin_count = count * FL_INT8_BINS;
    fl_reduction_ranges made = {.round = round};
    double *histograms = malloc(bin_count * sizeof *histograms + 1);
    fl_range *ranges = malloc(count * sizeof *ranges + 1);
    fl_err err = FL_ERR_MEMORY;
    if (!histograms || !ranges) {
        (void)!no_memory(why);
        goto out;
    }
    for (size_t i = 0; i < bin_count; i++) {
        histograms[i] = (double)counts[i];
    }
    fl_int8_ranges_from(ranges, histograms, count, PERCENTILE);
    err = encode_ranges(&made.encoded, ranges, count, why);
    if (err) goto out;
    reduction->state.candidate = made;
    reduction->state.phase = FL_REDUCTION_INT8;

out:
    free(histograms);
    free(ranges);
    return err;
}

// counts[0] is what the float32 model has right of the same rows.
static void guard_int8(fl_reduction *reduction, fl_reduction_outcome *outcome,
                       const uint64_t *counts, const fl_update_metrics *metrics)
{
    fl_reduction_state *state = &reduction->state;
    outcome->is_int8 = true;
    // More right than there are: clients lie, and would when asked again.
    const bool is_possible = counts[0] <= metrics->weight;
    outcome->before = is_possible ? share(counts[0], metrics) : (double)NAN;
    outcome->after = share(metrics->correct, metrics);
    const bool is_accepted =
        is_possible && is_good(reduction, outcome->after) &&
        outcome->after >= outcome->before - reduction->options.max_drop;
    outcome->verdict =
        is_accepted ? FL_VERDICT_ACCEPTED : FL_VERDICT_ROLLED_BACK;
    fl_reduction_ranges_fini(&state->accepted);
    if (is_accepted) {
        state->accepted = state->candidate;
        state->candidate = (fl_reduction_ranges){.round = 0};
    } else {
        fl_reduction_ranges_fini(&state->candidate);
    }
    state->phase = FL_REDUCTION_TRAIN;
}

/* ---- answers ---- */

void fl_reduction_outcome_fini(fl_reduction_outcome *outcome)
{
    free(outcome->keep);
    fl_channels_free(outcome->channels);
    fl_reduction_before_fini(&outcome->back);
    *outcome = (fl_reduction_outcome){.keep = NULL};
}

fl_err fl_reduction_surveyed(fl_reduction *reduction,
                             fl_reduction_outcome *outcome, uint32_t round,
                             const fl_model *model, const uint64_t *counts,
                             const fl_update_metrics *metrics, fl_reason *why)
{
    *outcome =
        (fl_reduction_outcome){.before = (double)NAN, .after = (double)NAN};
    if (metrics->weight == 0 || metrics->correct > metrics->weight) {
        return fl_reason_set(why, FL_ERR_RANGE, "a survey without examples");
    }
    switch (reduction->state.phase) {
    case FL_REDUCTION_REFERENCE:
        return take_reference(reduction, outcome, round, model, metrics, why);
    case FL_REDUCTION_IMPORTANCE:
        return begin_step(reduction, outcome, round, model, counts, why);
    case FL_REDUCTION_GUARD:
        return guard_step(reduction, outcome, round, model, metrics, why);
    case FL_REDUCTION_RANGES:
        return take_ranges(reduction, round, model, counts, why);
    case FL_REDUCTION_INT8:
        guard_int8(reduction, outcome, counts, metrics);
        return FL_OK;
    case FL_REDUCTION_WAIT:
    case FL_REDUCTION_RECOVER:
    case FL_REDUCTION_TRAIN: break;
    }
    assert(!"a round that trains is no survey");
    return FL_ERR_STATE;
}
