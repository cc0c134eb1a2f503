/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"
#include "aggregator/fitting.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_secure(const fl_aggregator *aggregator)
{
    return aggregator->options.aggregation == FL_AGGREGATION_SECURE;
}

/* ---- the sum ---- */

static fl_fitting_options fitting_options(const fl_aggregator_options *options,
                                          bool has_frozen_norms)
{
    return (fl_fitting_options){
        .kind = options->codec,
        .bits = options->codec_bits,
        .density = options->density,
        .density_small = options->density_small,
        .clip = options->value_clip,
        .weight_max = options->weight_max,
        .is_overflow_free = options->is_overflow_free,
        .has_frozen_norms = has_frozen_norms,
    };
}

uint64_t fl_aggregation_bytes(const fl_aggregator_options *options,
                              const fl_model *model)
{
    const fl_master_scale unknown = {.clients = 0};
    const fl_fitting_options fitting = fitting_options(options, false);
    const double selected =
        ceil(options->cohort * (1.0 + options->over_select));
    fl_codec codec;
    fl_fitting_codec(&codec, &fitting, model, &unknown, (uint32_t)selected, 0);
    const size_t bytes =
        fl_codec_check(&codec, NULL) ? 0 : fl_codec_bound(&codec);
    return bytes ? bytes : UINT64_MAX;
}

// Under secure aggregation it is the session that sums.
static fl_err make_room(fl_sum *sum)
{
    const size_t count = fl_codec_sums(&sum->codec);
    if (count > sum->sum_cap) {
        uint64_t *sums = realloc(sum->sums, count * sizeof *sums);
        if (!sums) return FL_ERR_MEMORY;
        sum->sums = sums;
        sum->sum_cap = count;
    }
    memset(sum->sums, 0, count * sizeof *sum->sums);
    return FL_OK;
}

// Before a sum is on, so that codec and seed are those of what comes.
static fl_err fit_codec(fl_aggregator *aggregator)
{
    fl_sum *sum = &aggregator->sum;
    const fl_plan plan = fl_round_recipe(aggregator);
    if (plan.work != FL_WORK_TRAIN) {
        return fl_survey_codec(aggregator, &sum->codec,
                               fl_plan_codec_seed(&plan));
    }
    const fl_fitting_options fitting =
        fitting_options(&aggregator->options, plan.norm == FL_NORM_FROZEN);
    const fl_master_scale scale = fl_master_get_scale(aggregator->master);
    fl_fitting_codec(&sum->codec, &fitting, aggregator->model, &scale,
                     sum->client_cap, fl_plan_codec_seed(&plan));
    return FL_OK;
}

fl_err fl_aggregation_begin(fl_aggregator *aggregator)
{
    fl_sum *sum = &aggregator->sum;
    sum->client_cap = aggregator->cohort_len;
    sum->client_min = is_secure(aggregator) ? aggregator->options.quorum : 1;
    if (sum->client_cap < sum->client_min) return FL_ERR_STATE;
    sum->number++;
    sum->payload_up = 0;
    aggregator->work = fl_round_recipe(aggregator).work;
    FL_TRY(fit_codec(aggregator));
    FL_TRY(fl_codec_check(&sum->codec, NULL));
    if (!is_secure(aggregator)) return make_room(sum);
    sum->word_count = fl_update_words(&sum->codec);
    return FL_OK;
}

fl_err fl_aggregation_check(const fl_aggregator *aggregator, uint64_t bytes,
                            fl_reason *why)
{
    const fl_codec *codec = &aggregator->sum.codec;
    const uint64_t most = fl_codec_bound(codec);
    if (bytes == most || (bytes < most && !fl_codec_is_summable(codec->kind))) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "the update has %llu bytes, not %s%llu",
                         (unsigned long long)bytes,
                         fl_codec_is_summable(codec->kind) ? "" : "at most ",
                         (unsigned long long)most);
}

fl_err fl_aggregation_add(fl_aggregator *aggregator, const uint8_t *bytes,
                          size_t len, fl_reason *why)
{
    fl_sum *sum = &aggregator->sum;
    if (aggregator->work != FL_WORK_TRAIN) {
        FL_TRY(fl_survey_check(aggregator, bytes, len, why));
    }
    float *scratch =
        malloc(fl_codec_scratch(&sum->codec) * sizeof *scratch + 1);
    if (!scratch) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    const fl_err err =
        fl_codec_add(sum->sums, &sum->codec, bytes, len, scratch, why);
    free(scratch);
    if (!err) sum->payload_up += len;
    return err;
}

// NULL: there is none.
static const uint64_t *find_sum(const fl_aggregator *aggregator,
                                uint32_t *client_count)
{
    const fl_sum *sum = &aggregator->sum;
    const uint32_t *devices;
    if (is_secure(aggregator)) {
        *client_count = fl_secagg_survivors(sum->secagg, &devices);
        return fl_secagg_sum(sum->secagg);
    }
    *client_count = aggregator->committed_count;
    return sum->sums;
}

// What was learned of the size of sums is for the next one; of a sum that has
// wrapped, that nothing is known.
static fl_err learn(fl_aggregator *aggregator, const fl_update_spread *spread,
                    uint32_t client_count, fl_reason *why)
{
    if (!fl_codec_is_summable(aggregator->sum.codec.kind)) return FL_OK;
    if (fl_fitting_has_wrapped(spread)) {
        const fl_master_scale unknown = {.clients = 0};
        fl_master_set_scale(aggregator->master, &unknown);
        return fl_reason_set(why, FL_ERR_RANGE,
                             "updates are much larger than in the round before "
                             "and their sum has wrapped; the round is tried "
                             "again with wider fields");
    }
    const fl_master_scale before = fl_master_get_scale(aggregator->master);
    const fl_master_scale scale =
        fl_fitting_learn(&before, spread, client_count);
    fl_master_set_scale(aggregator->master, &scale);
    return FL_OK;
}

fl_err fl_aggregation_mean(fl_aggregator *aggregator, float *mean,
                           fl_update_metrics *metrics, fl_reason *why)
{
    const fl_sum *sum = &aggregator->sum;
    fl_update_spread spread;
    uint32_t client_count;
    const uint64_t *sums = find_sum(aggregator, &client_count);
    if (!sums) return fl_reason_set(why, FL_ERR_RANGE, "there is no sum");
    float *scratch = malloc(fl_codec_scratch(&sum->codec) * sizeof *scratch);
    if (!scratch) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    fl_err err = fl_codec_decode(mean, metrics, &spread, &sum->codec, sums,
                                 client_count, scratch, why);
    free(scratch);
    if (!err) err = learn(aggregator, &spread, client_count, why);
    if (!err) aggregator->committed_count = client_count;
    return err;
}

fl_err fl_aggregation_counts(fl_aggregator *aggregator, uint64_t *counts,
                             fl_update_metrics *metrics, fl_reason *why)
{
    uint32_t client_count;
    const uint64_t *sums = find_sum(aggregator, &client_count);
    if (!sums) return fl_reason_set(why, FL_ERR_RANGE, "there is no sum");
    const fl_codec *codec = &aggregator->sum.codec;
    FL_TRY(fl_tally_decode(counts, metrics, codec, sums, client_count, why));
    FL_TRY(fl_reduction_check(aggregator->work, codec, counts, metrics,
                              client_count, why));
    aggregator->committed_count = client_count;
    return FL_OK;
}

static int compare_places(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

bool fl_aggregation_has(const fl_aggregator *aggregator,
                        const fl_member *member)
{
    const uint32_t *devices;
    if (!is_secure(aggregator)) return member->part == FL_PART_COMMITTED;
    if (!aggregator->sum.secagg) return false;
    const uint32_t count =
        fl_secagg_survivors(aggregator->sum.secagg, &devices);
    return count > 0 && bsearch(&member->place, devices, count, sizeof *devices,
                                compare_places);
}

void fl_aggregation_end(fl_aggregator *aggregator)
{
    fl_secagg_free(aggregator->sum.secagg);
    aggregator->sum.secagg = NULL;
}

bool fl_aggregation_is_due(const fl_aggregator *aggregator,
                           const fl_member *member)
{
    if (!is_secure(aggregator)) {
        return aggregator->phase == FL_PHASE_TRAINING &&
               member->part == FL_PART_SELECTED;
    }
    return aggregator->phase == FL_PHASE_SESSION &&
           member->part == FL_PART_READY &&
           fl_secagg_is_masked_due(aggregator->sum.secagg, member->place);
}

/* ---- the session ---- */

static void abort_session(fl_aggregator *aggregator, const char *why)
{
    aggregator->sum.aborted_count++;
    aggregator->sum.aborted_since_save++;
    fl_reply_log(aggregator, FL_LOG_WARN, "session_aborted",
                 "round=%u session=%llu why=%s", fl_round_number(aggregator),
                 (unsigned long long)aggregator->sum.number, why);
    fl_round_fail(aggregator);
}

// Mail for those who take part in what comes now: as much as one event may
// send, so that a cohort of thousands does not fill the memory.
static void tell(fl_aggregator *aggregator)
{
    fl_sum *sum = &aggregator->sum;
    while (sum->told_count < aggregator->cohort_len &&
           aggregator->options.scratch->used < FL_AGGREGATOR_BURST_BYTES) {
        fl_member *member =
            &aggregator->members[aggregator->cohort[sum->told_count++]];
        if (member->part != FL_PART_NONE &&
            fl_secagg_is_awaited(sum->secagg, member->place)) {
            fl_peer_mail(aggregator, member, FL_MAIL_STEP,
                         fl_round_number(aggregator));
        }
    }
}

static void begin_phase(fl_aggregator *aggregator)
{
    aggregator->phase_until_ms =
        aggregator->now_ms + aggregator->options.phase_ms;
    aggregator->sum.told_count = 0;
    tell(aggregator);
}

static fl_session describe(fl_aggregator *aggregator)
{
    const fl_sum *sum = &aggregator->sum;
    fl_session session = {
        .client_min = sum->client_min,
        .client_cap = sum->client_cap,
        .word_count = (uint32_t)sum->word_count,
        .phase_ms = aggregator->options.phase_ms,
        .round = fl_round_number(aggregator),
        .number = sum->number,
    };
    const fl_plan plan = fl_round_recipe(aggregator);
    uint8_t recipe[FL_HASH_BYTES], task[FL_CODEC_TASK_MAX];
    fl_plan_recipe(recipe, &plan);
    const size_t task_len = fl_codec_task(task, &sum->codec, recipe);
    fl_hash(session.task, task, task_len);
    memcpy(session.model, aggregator->published.name, FL_HASH_BYTES);
    memcpy(session.enrolment, aggregator->enrolment->hash, FL_HASH_BYTES);
    aggregator->options.random_bytes(aggregator->options.random_self,
                                     session.id, sizeof session.id);
    return session;
}

// Who is not ready has no part in the round any more.
static uint32_t invite(fl_aggregator *aggregator, uint32_t *places)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < aggregator->cohort_len; i++) {
        fl_member *member = &aggregator->members[aggregator->cohort[i]];
        if (member->part == FL_PART_READY) {
            places[count++] = member->place;
        } else if (member->part == FL_PART_SELECTED) {
            member->part = FL_PART_NONE;
            fl_peer_mail(aggregator, member, FL_MAIL_CLOSED,
                         fl_round_number(aggregator));
        }
    }
    qsort(places, count, sizeof *places, compare_places);
    return count;
}

void fl_aggregation_open(fl_aggregator *aggregator)
{
    fl_reason why = {"no memory"};
    uint32_t *places = calloc(aggregator->cohort_len, sizeof *places);
    if (!aggregator->sum.step) {
        aggregator->sum.step = malloc(FL_SESSION_STEP_MAX);
    }
    if (!places || !aggregator->sum.step) {
        free(places);
        abort_session(aggregator, why.text);
        return;
    }
    const uint32_t count = invite(aggregator, places);
    const fl_session session = describe(aggregator);
    const fl_err err = fl_secagg_new(
        &aggregator->sum.secagg, &session, &aggregator->options.identity,
        aggregator->enrolment, places, count, &why);
    free(places);
    if (err) {
        abort_session(aggregator, why.text);
        return;
    }
    fl_reply_log(aggregator, FL_LOG_INFO, "session_opened",
                 "round=%u session=%llu clients=%u min=%u",
                 fl_round_number(aggregator),
                 (unsigned long long)session.number, count, session.client_min);
    aggregator->phase = FL_PHASE_SESSION;
    begin_phase(aggregator);
}

// Sessions are short: who is gone for more than a moment is not waited for.
static void drop_lost(fl_aggregator *aggregator, int64_t *next_ms)
{
    fl_secagg *secagg = aggregator->sum.secagg;
    for (uint32_t i = 0; i < aggregator->cohort_len; i++) {
        const fl_member *member = &aggregator->members[aggregator->cohort[i]];
        const bool is_here = member->peer != FL_AGGREGATOR_NONE;
        if (member->part == FL_PART_NONE ||
            (is_here && !member->has_declined) ||
            !fl_secagg_is_awaited(secagg, member->place)) {
            continue;
        }
        const int64_t gone_ms = member->lost_ms + FL_AGGREGATOR_GRACE_MS;
        if (member->has_declined || aggregator->now_ms >= gone_ms) {
            fl_secagg_drop(secagg, member->place);
        } else if (gone_ms < *next_ms) {
            *next_ms = gone_ms;
        }
    }
}

static void begin_unmasking(fl_aggregator *aggregator)
{
    if (!fl_secagg_can_unmask(aggregator->sum.secagg)) {
        abort_session(aggregator, "too few shares to take the masks away");
        return;
    }
    aggregator->phase = FL_PHASE_UNMASKING;
    fl_reply(aggregator,
             (fl_aggregator_effect){.kind = FL_AGGREGATOR_UNMASK,
                                    .secagg = aggregator->sum.secagg});
}

void fl_aggregation_advance(fl_aggregator *aggregator)
{
    fl_secagg *secagg = aggregator->sum.secagg;
    fl_reason why = {""};
    tell(aggregator);
    aggregator->sum.lost_at_ms = INT64_MAX;
    drop_lost(aggregator, &aggregator->sum.lost_at_ms);
    if (fl_secagg_awaited_count(secagg) > 0 &&
        aggregator->now_ms < aggregator->phase_until_ms) {
        return;
    }
    if (fl_secagg_get_phase(secagg) == FL_SECAGG_UNMASK) {
        begin_unmasking(aggregator);
    } else if (fl_secagg_advance(secagg, &why)) {
        abort_session(aggregator, why.text);
    } else {
        begin_phase(aggregator);
    }
}

void fl_aggregation_unmasked(fl_aggregator *aggregator,
                             const fl_aggregator_event *event)
{
    if (aggregator->phase != FL_PHASE_UNMASKING) return;
    if (event->err) {
        abort_session(aggregator, event->why);
    } else {
        fl_round_close(aggregator);
    }
}

/* ---- what clients say ---- */

static void ready(fl_aggregator *aggregator, fl_peer *peer, fl_member *member,
                  const fl_message *message)
{
    if (aggregator->phase == FL_PHASE_TRAINING &&
        member->part == FL_PART_SELECTED) {
        member->part = FL_PART_READY;
        aggregator->ready_count++;
    }
    if (member->part == FL_PART_READY) {
        fl_reply_ack(aggregator, peer, message);
    } else {
        fl_reply_refusal(aggregator, peer, message, FL_ERR_STALE,
                         "that round is not waiting for you");
    }
}

static void decline(fl_aggregator *aggregator, fl_peer *peer, fl_member *member,
                    const fl_message *message)
{
    fl_reply_log(aggregator, FL_LOG_INFO, "declined", "round=%u conn=%llu",
                 message->round, (unsigned long long)peer->conn);
    if (aggregator->phase == FL_PHASE_TRAINING &&
        member->part == FL_PART_READY) {
        aggregator->ready_count--;
    }
    member->has_declined = true;  // its session drops it, now or later
    member->declined_round = fl_round_number(aggregator);
    if (member->part == FL_PART_READY || member->part == FL_PART_SELECTED) {
        fl_object_drop(aggregator, member);
        member->part = FL_PART_REFUSED;
    }
    fl_reply_ack(aggregator, peer, message);
}

static void receive(fl_aggregator *aggregator, fl_peer *peer,
                    const fl_member *member, const fl_message *message)
{
    fl_reason why = {"no session of yours is on"};
    fl_err err = FL_ERR_STALE;
    if (aggregator->phase == FL_PHASE_SESSION && member->part != FL_PART_NONE) {
        err = fl_secagg_receive(aggregator->sum.secagg, member->place,
                                (fl_step)message->step.step,
                                message->step.bytes, message->step.len, &why);
    }
    if (!err) {
        fl_reply_ack(aggregator, peer, message);
        return;
    }
    fl_reply_log(aggregator, FL_LOG_WARN, "step_refused",
                 "round=%u conn=%llu step=%s err=%s why=%s", message->round,
                 (unsigned long long)peer->conn,
                 fl_step_name((fl_step)message->step.step), fl_err_text(err),
                 why.text);
    fl_reply_refusal(aggregator, peer, message, err, why.text);
}

void fl_aggregation_step(fl_aggregator *aggregator, fl_peer *peer,
                         const fl_message *message)
{
    fl_member *member = &aggregator->members[peer->client];
    if (message->round != fl_round_number(aggregator)) {
        fl_reply_refusal(aggregator, peer, message, FL_ERR_STALE,
                         "that round is not on");
    } else if (message->step.step == FL_STEP_DECLINE) {
        decline(aggregator, peer, member, message);
    } else if (message->step.step == FL_STEP_READY) {
        ready(aggregator, peer, member, message);
    } else {
        receive(aggregator, peer, member, message);
    }
}

fl_err fl_aggregation_message(fl_aggregator *aggregator,
                              const fl_member *member, fl_step_body *body)
{
    fl_step step;
    if (aggregator->phase != FL_PHASE_SESSION) return FL_ERR_NOT_FOUND;
    FL_TRY(fl_secagg_message(aggregator->sum.secagg, member->place, &step,
                             aggregator->sum.step, FL_SESSION_STEP_MAX,
                             &body->len));
    body->step = step;
    body->bytes = aggregator->sum.step;
    return FL_OK;
}

int64_t fl_aggregation_deadline(const fl_aggregator *aggregator)
{
    const fl_sum *sum = &aggregator->sum;
    if (sum->told_count < aggregator->cohort_len) return aggregator->now_ms;
    return sum->lost_at_ms < aggregator->phase_until_ms
               ? sum->lost_at_ms
               : aggregator->phase_until_ms;
}
