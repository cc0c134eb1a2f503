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

static bool is_evaluated_round(const fl_aggregator *aggregator)
{
    const fl_aggregator_options *options = &aggregator->options;
    const uint32_t round = fl_round_number(aggregator);
    return options->evaluate_every > 0 &&
           (round % options->evaluate_every == 0 ||
            round == options->round_count || fl_survey_has_int8(aggregator));
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

static fl_err encode_model(fl_aggregator *aggregator)
{
    aggregator->next_len = fl_model_bytes(aggregator->model);
    aggregator->next_bytes = malloc(aggregator->next_len);
    if (!aggregator->next_bytes) return FL_ERR_MEMORY;
    return fl_model_encode(aggregator->model, aggregator->next_bytes,
                           aggregator->next_len);
}

// The master, and behind it where the reduction stands.
static fl_err encode_master(fl_aggregator *aggregator)
{
    const uint32_t round = fl_round_number(aggregator);
    const fl_reduction *reduction = aggregator->reduction;
    const size_t len = fl_master_bytes(aggregator->master);
    const size_t more =
        reduction ? fl_reduction_state_bytes(fl_reduction_get_state(reduction))
                  : 0;
    uint8_t *bytes = malloc(len + more);
    if (!bytes) return FL_ERR_MEMORY;
    aggregator->next_master = bytes;
    aggregator->next_master_len = len + more;
    FL_TRY(fl_master_encode(aggregator->master, round, bytes, len));
    if (!reduction) return FL_OK;
    return fl_reduction_state_encode(fl_reduction_get_state(reduction), round,
                                     bytes + len, more);
}

// A model that comes back is there as it was published.
static fl_err encode_next(fl_aggregator *aggregator)
{
    if (!aggregator->next_bytes) FL_TRY(encode_model(aggregator));
    return encode_master(aggregator);
}

// The master takes the round's mean; what is published follows it.
static fl_err apply_mean(fl_aggregator *aggregator, fl_update_metrics *metrics,
                         size_t *moved, fl_reason *why)
{
    const size_t param_count = fl_model_param_count(aggregator->model);
    float *mean = malloc(param_count * sizeof *mean);
    if (!mean) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    const fl_err err = fl_aggregation_mean(aggregator, mean, metrics, why);
    if (!err) {
        fl_reduction_trained(aggregator->reduction,
                             fl_round_number(aggregator));
        fl_master_add(aggregator->master, aggregator->model, mean);
        *moved = fl_master_release(aggregator->master,
                                   fl_model_params(aggregator->model));
    }
    free(mean);
    return err;
}

// What the codec made of an update, and what it took to bring clients the model
// of this round.
static void record_bytes(fl_aggregator *aggregator, fl_round_record *record)
{
    fl_sum *sum = &aggregator->sum;
    const fl_codec_stages stages = fl_codec_get_stages(&sum->codec);
    const uint64_t masked = sum->word_count * sizeof(uint64_t);
    record->codec = sum->codec.kind;
    record->up_support = stages.support;
    record->up_rounded = stages.rounded;
    record->payload_up = sum->payload_up;
    if (record->aggregation == FL_AGGREGATION_SECURE) {
        record->payload_up = masked * record->update_count;
    }
    record->up_packed = record->payload_up / record->update_count;
    if (!is_evaluated_round(aggregator)) return;
    record->download_1 = fl_versions_patch_bytes(&aggregator->versions, 1);
    record->download_10 = fl_versions_patch_bytes(&aggregator->versions, 10);
    record->download_full = fl_versions_packed_bytes(&aggregator->versions);
}

static void record_round(fl_aggregator *aggregator,
                         const fl_update_metrics *metrics, size_t moved)
{
    const double weight = (double)metrics->weight;
    aggregator->record = (fl_round_record){
        .round = fl_round_number(aggregator),
        .attempt = aggregator->attempt,
        .selected_count = aggregator->cohort_len,
        .update_count = aggregator->committed_count,
        .sample_count = metrics->weight,
        .client_loss = metrics->loss_sum / weight,
        .client_accuracy = (double)metrics->correct / weight,
        .loss = NAN,
        .accuracy = NAN,
        .took_ms = aggregator->now_ms - aggregator->opened_ms,
        .aggregation = aggregator->options.aggregation,
        .moved = moved,
    };
    record_bytes(aggregator, &aggregator->record);
    fl_survey_record(aggregator, &aggregator->record);
}

// What the round was for: another model, or what clients know of this one.
static fl_err take_sum(fl_aggregator *aggregator, fl_update_metrics *metrics,
                       size_t *moved, fl_reason *why)
{
    return aggregator->work == FL_WORK_TRAIN
               ? apply_mean(aggregator, metrics, moved, why)
               : fl_survey_close(aggregator, metrics, why);
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
    fl_update_metrics metrics = {.weight = 0};
    size_t moved = 0;
    fl_reason why = {""};
    fl_err err = take_sum(aggregator, &metrics, &moved, &why);
    if (err == FL_ERR_RANGE) {  // no clients can have made that sum
        fl_reply_log(aggregator, FL_LOG_WARN, "sum_refused", "round=%u why=%s",
                     fl_round_number(aggregator), why.text);
        fl_round_fail(aggregator);
        return;
    }
    if (!err) {
        record_round(aggregator, &metrics, moved);
        err = encode_next(aggregator);
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
    if (!is_evaluated_round(aggregator)) {
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

/* ---- EVALUATING, SAVING
 * ------------------------------------------------------- */

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

static void leave(fl_aggregator *aggregator)
{
    aggregator->phase = FL_PHASE_FINISHED;
    fl_peer_close_all(aggregator);
    fl_reply(aggregator, (fl_aggregator_effect){.kind = FL_AGGREGATOR_LEAVE});
}

static void say_finished(fl_aggregator *aggregator, fl_member *member)
{
    fl_peer_mail(aggregator, member, FL_MAIL_FINISHED, aggregator->rounds_done);
}

// Nobody has trained on the last model, so nobody has it yet.
static void finish(fl_aggregator *aggregator)
{
    for (uint32_t i = 0; i < aggregator->member_count; i++) {
        fl_member *member = &aggregator->members[i];
        if (member->peer != FL_AGGREGATOR_NONE) {
            say_finished(aggregator, member);
        }
    }
    if (!aggregator->reduction) {
        leave(aggregator);
        return;
    }
    aggregator->phase = FL_PHASE_FAREWELL;
    aggregator->fetched_ms = aggregator->now_ms;
    aggregator->phase_until_ms =
        aggregator->now_ms + aggregator->options.farewell_ms;
    fl_reply_log(aggregator, FL_LOG_INFO, "farewell",
                 "round=%u present=%u known=%u at_most_s=%lld",
                 aggregator->rounds_done, aggregator->present_count,
                 aggregator->options.known_count,
                 (long long)aggregator->options.farewell_ms / 1000);
}

void fl_round_welcome(fl_aggregator *aggregator, fl_member *member)
{
    if (aggregator->phase != FL_PHASE_FAREWELL) return;
    aggregator->fetched_ms = aggregator->now_ms;
    if (member->mail_kind != FL_MAIL_FINISHED) {
        say_finished(aggregator, member);
    }
}

// Whether somebody who has not heard the end may still come: who was here
// before a restart, or has only just gone.
static bool is_anybody_away(const fl_aggregator *aggregator)
{
    if (aggregator->member_count < aggregator->options.known_count) return true;
    for (uint32_t i = 0; i < aggregator->member_count; i++) {
        const fl_member *member = &aggregator->members[i];
        if (member->peer == FL_AGGREGATOR_NONE &&
            member->mail_kind != FL_MAIL_FINISHED &&
            aggregator->now_ms - member->lost_ms < FL_AGGREGATOR_LEASE_MS) {
            return true;
        }
    }
    return false;
}

static int64_t quiet_deadline(const fl_aggregator *aggregator)
{
    return aggregator->fetched_ms + FL_AGGREGATOR_QUIET_MS;
}

// That a lease is over is seen at the next sweep.
static int64_t farewell_deadline(const fl_aggregator *aggregator)
{
    const int64_t quiet_ms = quiet_deadline(aggregator);
    const int64_t until_ms = aggregator->phase_until_ms;
    return aggregator->now_ms < quiet_ms && quiet_ms < until_ms ? quiet_ms
                                                                : until_ms;
}

static void hand_out(fl_aggregator *aggregator)
{
    const bool is_quiet = aggregator->now_ms >= quiet_deadline(aggregator);
    if (aggregator->now_ms >= aggregator->phase_until_ms ||
        (is_quiet && !is_anybody_away(aggregator))) {
        leave(aggregator);
    }
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
            finish(aggregator);
        } else {
            gather(aggregator);
        }
    } else if (aggregator->phase == FL_PHASE_TRAINING) {
        collect(aggregator);
    } else if (aggregator->phase == FL_PHASE_SESSION) {
        fl_aggregation_advance(aggregator);
    } else if (aggregator->phase == FL_PHASE_FAREWELL) {
        hand_out(aggregator);
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
    case FL_PHASE_FAREWELL: return farewell_deadline(aggregator);
    case FL_PHASE_UNMASKING:
    case FL_PHASE_EVALUATING:
    case FL_PHASE_FINISHED: return INT64_MAX;
    }
    return INT64_MAX;
}
