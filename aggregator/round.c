/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

uint32_t fl_round_number(const fl_aggregator *aggregator)
{
    return aggregator->rounds_done + 1;
}

fl_plan fl_round_recipe(const fl_aggregator *aggregator)
{
    const fl_aggregator_options *options = &aggregator->options;
    fl_plan plan = options->training;
    plan.round = fl_round_number(aggregator);
    memcpy(plan.model, aggregator->published.name, FL_HASH_BYTES);
    plan.param_count = fl_model_param_count(aggregator->model);
    plan.lr = (float)((double)plan.lr * pow(options->lr_decay, plan.round - 1));
    plan.seed = options->seed + plan.round;
    plan.norm =
        plan.round > options->norm_rounds ? FL_NORM_FROZEN : FL_NORM_TRAIN;
    plan.aggregation = options->aggregation;
    plan.number = aggregator->sum.number;
    fl_survey_write_plan(aggregator, &plan);
    return plan;
}

static void write_codec(fl_plan *plan, const fl_codec *codec)
{
    plan->param_count = codec->param_count;
    plan->codec = codec->kind;
    plan->codec_bits = codec->bits;
    plan->density = codec->density;
    plan->density_small = codec->density_small;
    plan->value_clip = codec->clip;
    plan->weight_max = codec->weight_max;
    plan->per_word = codec->per_word;
    plan->value_max = codec->value_max;
    plan->step_large = codec->step_large;
    plan->step_small = codec->step_small;
    plan->run_count = codec->layout.run_count;
    memcpy(plan->runs, codec->layout.runs, sizeof plan->runs);
}

fl_plan fl_round_plan(const fl_aggregator *aggregator, const fl_member *member)
{
    const fl_sum *sum = &aggregator->sum;
    fl_plan plan = fl_round_recipe(aggregator);
    const int64_t left_ms = aggregator->phase_until_ms - aggregator->now_ms;
    plan.deadline_ms = left_ms < 1            ? 1
                       : left_ms > UINT32_MAX ? UINT32_MAX
                                              : (uint32_t)left_ms;
    plan.client_cap = sum->client_cap;
    plan.client_min = sum->client_min;
    plan.place = member->seat;
    write_codec(&plan, &sum->codec);
    if (plan.aggregation == FL_AGGREGATION_SECURE) {
        memcpy(plan.enrolment, aggregator->roll.name, FL_HASH_BYTES);
    }
    return plan;
}

/* ---- GATHERING ---- */

static bool is_available(const fl_aggregator *aggregator,
                         const fl_member *member)
{
    return member->peer != FL_AGGREGATOR_NONE && !member->away &&
           aggregator->peers[member->peer].state == FL_PEER_CHECKED_IN &&
           !aggregator->peers[member->peer].is_closing;
}

typedef struct {
    uint8_t key[FL_KEY_BYTES];
    uint32_t slot;
} candidate;

static int compare_candidates(const void *a, const void *b)
{
    return memcmp(((const candidate *)a)->key, ((const candidate *)b)->key,
                  FL_KEY_BYTES);
}

// Who can take part, in the order of their keys: arrival must not matter.
static size_t list_candidates(fl_aggregator *aggregator, uint32_t *slots)
{
    size_t count = 0;
    candidate *list = calloc(aggregator->member_count, sizeof *list);
    if (!list) return 0;  // tried again at the next event
    for (uint32_t i = 0; i < aggregator->member_count; i++) {
        const fl_member *member = &aggregator->members[i];
        if (!is_available(aggregator, member)) continue;
        list[count].slot = i;
        memcpy(list[count++].key, member->record.public_key, FL_KEY_BYTES);
    }
    qsort(list, count, sizeof *list, compare_candidates);
    for (size_t i = 0; i < count; i++) {
        slots[i] = list[i].slot;
    }
    free(list);
    return count;
}

// Who has said no in this round will hardly say yes at the next attempt, and
// with the same ones asked again and again it would never end.
static void put_decliners_last(const fl_aggregator *aggregator, uint32_t *slots,
                               size_t count)
{
    const uint32_t round = fl_round_number(aggregator);
    for (size_t i = 0; i < count;) {
        const uint32_t slot = slots[i];
        if (aggregator->members[slot].declined_round != round) {
            i++;
        } else {
            slots[i] = slots[--count];
            slots[count] = slot;
        }
    }
}

static bool pick_cohort(fl_aggregator *aggregator)
{
    const fl_aggregator_options *options = &aggregator->options;
    uint32_t *slots =
        realloc(aggregator->cohort, aggregator->member_count * sizeof *slots);
    if (!slots) return false;
    aggregator->cohort = slots;
    const size_t count = list_candidates(aggregator, slots);
    const uint32_t wanted = fl_survey_cohort(aggregator);
    fl_random random;
    fl_random_init(&random, options->seed, FL_RANDOM_COHORT,
                   (uint64_t)aggregator->attempt << 32 |
                       fl_round_number(aggregator));
    fl_random_shuffle(&random, slots, count);
    put_decliners_last(aggregator, slots, count);
    aggregator->cohort_len = count < wanted ? (uint32_t)count : wanted;
    return aggregator->cohort_len >= options->quorum;
}

static void open_round(fl_aggregator *aggregator)
{
    if (!pick_cohort(aggregator)) return;
    fl_err err = fl_roll_call(aggregator);
    if (!err) err = fl_aggregation_begin(aggregator);
    if (err) {
        aggregator->phase_until_ms =
            aggregator->now_ms + FL_AGGREGATOR_RETRY_MS;
        fl_reply_log(aggregator, FL_LOG_ERROR, "round_not_opened",
                     "round=%u err=%s", fl_round_number(aggregator),
                     fl_err_text(err));
        return;
    }
    aggregator->phase = FL_PHASE_TRAINING;
    aggregator->opened_ms = aggregator->now_ms;
    aggregator->phase_until_ms =
        aggregator->now_ms + aggregator->options.deadline_ms;
    aggregator->ready_count = 0;
    aggregator->committed_count = 0;
    fl_reply_log(aggregator, FL_LOG_INFO, "round_opened",
                 "round=%u attempt=%u selected=%u present=%u",
                 fl_round_number(aggregator), aggregator->attempt,
                 aggregator->cohort_len, aggregator->present_count);
    for (uint32_t i = 0; i < aggregator->cohort_len; i++) {
        fl_member *member = &aggregator->members[aggregator->cohort[i]];
        member->part = FL_PART_SELECTED;
        member->seat = i;
        member->has_declined = false;
        fl_peer_mail(aggregator, member, FL_MAIL_PLAN,
                     fl_round_number(aggregator));
    }
}

// A full cohort at once; after a deadline's patience, whoever is there.
static void gather(fl_aggregator *aggregator)
{
    const fl_aggregator_options *options = &aggregator->options;
    const int64_t waited_ms = aggregator->now_ms - aggregator->phase_until_ms;
    if (waited_ms < 0) return;
    const uint32_t wanted =
        aggregator->rounds_done == 0 && options->min_clients > options->cohort
            ? options->min_clients
            : options->cohort;
    if (aggregator->able_count >= wanted ||
        (waited_ms >= options->deadline_ms &&
         aggregator->able_count >= options->quorum)) {
        open_round(aggregator);
    }
}

static void begin_gathering(fl_aggregator *aggregator, int64_t pause_ms)
{
    aggregator->phase = FL_PHASE_GATHERING;
    aggregator->phase_until_ms = aggregator->now_ms + pause_ms;
}

/* ---- TRAINING ---- */

// Whether an update can still come in time. Asked at every event: the first one
// who has not answered will do.
static bool is_anybody_pending(const fl_aggregator *aggregator)
{
    for (uint32_t i = 0; i < aggregator->cohort_len; i++) {
        const fl_member *member = &aggregator->members[aggregator->cohort[i]];
        const bool is_lost =
            member->peer == FL_AGGREGATOR_NONE &&
            aggregator->now_ms - member->lost_ms >= FL_AGGREGATOR_LEASE_MS;
        if (member->part == FL_PART_SELECTED && !is_lost) return true;
    }
    return false;
}

static void add_contributor(fl_aggregator *aggregator, fl_member *member)
{
    memcpy(aggregator->contributors[aggregator->contributor_count++],
           member->record.public_key, FL_KEY_BYTES);
    member->record.round_count++;
    member->record.last_round = fl_round_number(aggregator);
    fl_reply(aggregator,
             (fl_aggregator_effect){.kind = FL_AGGREGATOR_SAVE_CLIENT,
                                    .client = &member->record});
}

// The round is over for everyone in it. When it failed, what was committed
// left with it: nobody has committed any more.
static void release_cohort(fl_aggregator *aggregator, bool has_failed)
{
    aggregator->contributor_count = 0;
    for (uint32_t i = 0; i < aggregator->cohort_len; i++) {
        fl_member *member = &aggregator->members[aggregator->cohort[i]];
        fl_object_drop(aggregator, member);
        if (!has_failed && fl_aggregation_has(aggregator, member)) {
            add_contributor(aggregator, member);
        } else {
            fl_peer_mail(aggregator, member, FL_MAIL_CLOSED,
                         fl_round_number(aggregator));
        }
        if (has_failed) member->committed_round = 0;
        member->part = FL_PART_NONE;
    }
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, FL_KEY_BYTES);
}

void fl_round_fail(fl_aggregator *aggregator)
{
    fl_reply_log(aggregator, FL_LOG_WARN, "round_failed",
                 "round=%u attempt=%u selected=%u updates=%u quorum=%u",
                 fl_round_number(aggregator), aggregator->attempt,
                 aggregator->cohort_len, aggregator->committed_count,
                 aggregator->options.quorum);
    release_cohort(aggregator, true);
    fl_aggregation_end(aggregator);
    aggregator->attempt++;
    begin_gathering(aggregator, FL_AGGREGATOR_PAUSE_MS);
}

static void begin_saving(fl_aggregator *aggregator)
{
    fl_round_record *record = &aggregator->record;
    aggregator->phase = FL_PHASE_SAVING;
    aggregator->phase_until_ms = INT64_MAX;
    record->bytes_up = aggregator->bytes_up;
    record->bytes_down = aggregator->bytes_down;
    record->bytes_control = aggregator->sum.bytes_control;
    record->sessions_aborted = aggregator->sum.aborted_since_save;
    fl_reply(aggregator,
             (fl_aggregator_effect){.kind = FL_AGGREGATOR_SAVE_ROUND,
                                    .round = record,
                                    .bytes = aggregator->next_bytes,
                                    .len = aggregator->next_len,
                                    .master = aggregator->next_master,
                                    .master_len = aggregator->next_master_len});
}

static void begin_evaluating(fl_aggregator *aggregator)
{
    fl_aggregator_effect effect = {.kind = FL_AGGREGATOR_EVALUATE,
                                   .model = aggregator->model};
    if (fl_survey_has_int8(aggregator)) {
        effect.bytes = fl_aggregator_ranges(aggregator, &effect.len);
    }
    aggregator->phase = FL_PHASE_EVALUATING;
    fl_reply(aggregator, effect);
}

void fl_round_close(fl_aggregator *aggregator)
{
    fl_reason why = {""};
    const fl_err err = fl_harvest_take(aggregator, &why);
    if (err == FL_ERR_RANGE) {  // no clients can have made that sum
        fl_reply_log(aggregator, FL_LOG_WARN, "sum_refused", "round=%u why=%s",
                     fl_round_number(aggregator), why.text);
        fl_round_fail(aggregator);
        return;
    }
    if (err) {  // out of memory: the old model is still what is published
        fl_reply_log(aggregator, FL_LOG_ERROR, "round_lost", "round=%u err=%s",
                     fl_round_number(aggregator), fl_err_text(err));
        fl_reply(aggregator,
                 (fl_aggregator_effect){.kind = FL_AGGREGATOR_LEAVE});
        aggregator->phase = FL_PHASE_FINISHED;
        return;
    }
    release_cohort(aggregator, false);
    fl_aggregation_end(aggregator);
    qsort(aggregator->contributors, aggregator->contributor_count,
          sizeof *aggregator->contributors, compare_keys);
    if (!fl_harvest_is_measured(aggregator)) {
        begin_saving(aggregator);
        return;
    }
    begin_evaluating(aggregator);
}

// In the clear updates are collected, else those who could take part in a sum.
static void collect(fl_aggregator *aggregator)
{
    const fl_aggregator_options *options = &aggregator->options;
    const bool is_clear = options->aggregation == FL_AGGREGATION_CLEAR;
    const uint32_t count =
        is_clear ? aggregator->committed_count : aggregator->ready_count;
    const bool is_late = aggregator->now_ms >= aggregator->phase_until_ms;
    const uint32_t wanted = aggregator->work == FL_WORK_TRAIN
                                ? options->cohort
                                : aggregator->cohort_len;
    const bool is_full = count >= wanted;
    if (!is_full && !is_late && is_anybody_pending(aggregator)) return;
    if (count < options->quorum) {
        fl_round_fail(aggregator);
    } else if (is_clear) {
        fl_round_close(aggregator);
    } else {
        fl_aggregation_open(aggregator);
    }
}

/* ---- EVALUATING, SAVING ---- */

void fl_round_evaluated(fl_aggregator *aggregator,
                        const fl_aggregator_event *event)
{
    if (aggregator->phase != FL_PHASE_EVALUATING) return;
    if (event->err) {
        fl_reply_log(aggregator, FL_LOG_ERROR, "evaluation_failed",
                     "round=%u err=%s", fl_round_number(aggregator),
                     fl_err_text(event->err));
    } else {
        const double count = (double)event->metrics.sample_count;
        aggregator->record.loss = event->metrics.loss_sum / count;
        aggregator->record.accuracy =
            (double)event->metrics.correct_count / count;
    }
    if (event->int8_metrics.sample_count > 0) {
        aggregator->record.int8_accuracy =
            (double)event->int8_metrics.correct_count /
            (double)event->int8_metrics.sample_count;
    }
    begin_saving(aggregator);
}

fl_err fl_round_publish(fl_aggregator *aggregator, uint32_t round,
                        uint8_t *bytes, size_t len)
{
    FL_TRY(fl_survey_publish(aggregator));
    FL_TRY(fl_object_publish(&aggregator->published, FL_OBJECT_MODEL, round,
                             bytes, len));
    // Without memory for it clients download the whole model: no failure.
    (void)!fl_survey_push(aggregator, round);
    fl_survey_shed(aggregator);
    return FL_OK;
}

static void log_closed(fl_aggregator *aggregator)
{
    const fl_round_record *record = &aggregator->record;
    if (isfinite(record->accuracy)) {
        fl_reply_log(
            aggregator, FL_LOG_INFO, "round_closed",
            "round=%u updates=%u selected=%u accuracy=%.4f took_ms=%lld",
            record->round, record->update_count, record->selected_count,
            record->accuracy, (long long)record->took_ms);
    } else {
        fl_reply_log(aggregator, FL_LOG_INFO, "round_closed",
                     "round=%u updates=%u selected=%u took_ms=%lld",
                     record->round, record->update_count,
                     record->selected_count, (long long)record->took_ms);
    }
}

void fl_round_saved(fl_aggregator *aggregator, fl_err err)
{
    if (aggregator->phase != FL_PHASE_SAVING) return;
    if (!err) {
        err = fl_round_publish(aggregator, fl_round_number(aggregator),
                               aggregator->next_bytes, aggregator->next_len);
        if (!err) aggregator->rounds_done++;
    }
    if (err) {  // nothing is lost: the round waits, clients stay
        fl_reply_log(aggregator, FL_LOG_ERROR, "save_failed",
                     "round=%u err=%s retry_s=%d", fl_round_number(aggregator),
                     fl_err_text(err), FL_AGGREGATOR_RETRY_MS / 1000);
        aggregator->phase_until_ms =
            aggregator->now_ms + FL_AGGREGATOR_RETRY_MS;
        return;
    }
    aggregator->next_bytes = NULL;
    free(aggregator->next_master);
    aggregator->next_master = NULL;
    aggregator->bytes_up = 0;
    aggregator->bytes_down = 0;
    aggregator->sum.bytes_control = 0;
    aggregator->sum.aborted_since_save = 0;
    aggregator->attempt = 1;
    log_closed(aggregator);
    begin_gathering(aggregator, 0);
}

/* ---- the whole ---- */

void fl_round_advance(fl_aggregator *aggregator)
{
    if (aggregator->phase == FL_PHASE_GATHERING) {
        fl_settings_take(aggregator);
        if (aggregator->rounds_done >= aggregator->options.round_count) {
            fl_farewell_begin(aggregator);
        } else {
            gather(aggregator);
        }
    } else if (aggregator->phase == FL_PHASE_TRAINING) {
        collect(aggregator);
    } else if (aggregator->phase == FL_PHASE_SESSION) {
        fl_aggregation_advance(aggregator);
    } else if (aggregator->phase == FL_PHASE_FAREWELL) {
        fl_farewell_advance(aggregator);
    } else if (aggregator->phase == FL_PHASE_SAVING &&
               aggregator->now_ms >= aggregator->phase_until_ms) {
        begin_saving(aggregator);
    }
}

int64_t fl_round_deadline(const fl_aggregator *aggregator)
{
    const int64_t until_ms = aggregator->phase_until_ms;
    switch (aggregator->phase) {
    case FL_PHASE_GATHERING:
        if (until_ms > aggregator->now_ms) return until_ms;
        return until_ms + aggregator->options.deadline_ms > aggregator->now_ms
                   ? until_ms + aggregator->options.deadline_ms
                   : INT64_MAX;
    case FL_PHASE_TRAINING:
    case FL_PHASE_SAVING: return until_ms;
    case FL_PHASE_SESSION: return fl_aggregation_deadline(aggregator);
    case FL_PHASE_FAREWELL: return fl_farewell_deadline(aggregator);
    case FL_PHASE_UNMASKING:
    case FL_PHASE_EVALUATING:
    case FL_PHASE_FINISHED: return INT64_MAX;
    }
    return INT64_MAX;
}
