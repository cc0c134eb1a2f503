/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_secure(const fl_aggregator *aggregator)
{
    return aggregator->options.aggregation == FL_AGGREGATION_SECURE;
}

/* ---- the sum ---- */

static const uint32_t FIELD_MAX = UINT32_C(1) << 31;  // of the codec

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static fl_err make_room(fl_sum *sum)
{
    const size_t count = sum->fields.field_count;
    if (count <= sum->field_cap) return FL_OK;
    uint64_t *words = realloc(sum->words, count * sizeof *words);
    if (words) sum->words = words;
    uint64_t *sums = realloc(sum->sums, count * sizeof *sums);
    if (sums) sum->sums = sums;
    if (!words || !sums) return FL_ERR_MEMORY;
    sum->field_cap = count;
    return FL_OK;
}

// The codec for so many clients, and how its fields lie in words.
static fl_err lay_out(fl_dense_codec *codec, fl_fields *fields,
                      const fl_aggregator_options *options, size_t param_count,
                      uint32_t client_cap)
{
    *codec = (fl_dense_codec){
        .param_count = param_count,
        .field_max =
            smaller(fl_fields_max(options->value_bits, client_cap), FIELD_MAX),
        .weight_max = options->weight_max,
        .clip = (float)options->value_clip,
    };
    return fl_fields_init(fields, fl_dense_field_count(codec),
                          (uint64_t)client_cap * codec->field_max + 1,
                          client_cap, codec->field_max);
}

uint64_t fl_aggregation_bytes(const fl_aggregator_options *options,
                              size_t param_count)
{
    fl_dense_codec codec;
    fl_fields fields;
    const double selected =
        ceil(options->cohort * (1.0 + options->over_select));
    const fl_err err =
        lay_out(&codec, &fields, options, param_count, (uint32_t)selected);
    return err ? UINT64_MAX : fields.word_count * sizeof(uint64_t);
}

fl_err fl_aggregation_begin(fl_aggregator *aggregator)
{
    const fl_aggregator_options *options = &aggregator->options;
    fl_sum *sum = &aggregator->sum;
    sum->client_cap = aggregator->cohort_len;
    sum->client_min = is_secure(aggregator) ? options->quorum : 1;
    if (sum->client_cap < sum->client_min) return FL_ERR_STATE;
    FL_TRY(lay_out(&sum->codec, &sum->fields, options,
                   fl_model_param_count(aggregator->model), sum->client_cap));
    FL_TRY(make_room(sum));
    sum->number++;
    if (is_secure(aggregator)) return FL_OK;
    memset(sum->words, 0, sum->fields.word_count * sizeof *sum->words);
    return FL_OK;
}

fl_err fl_aggregation_add(fl_aggregator *aggregator, const uint8_t *bytes,
                          size_t len, fl_reason *why)
{
    fl_sum *sum = &aggregator->sum;
    const size_t word_count = sum->fields.word_count;
    if (len != word_count * sizeof *sum->words) {
        return fl_reason_set(why, FL_ERR_FORMAT, "the update has %zu bytes",
                             len);
    }
    uint64_t *words = malloc(word_count * sizeof *words);
    if (!words) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    fl_addend_decode(words, bytes, word_count);
    fl_err err = fl_fields_unpack(sum->sums, &sum->fields, words);
    free(words);
    for (size_t i = 0; !err && i < sum->fields.field_count; i++) {
        if (sum->sums[i] > sum->codec.field_max) err = FL_ERR_RANGE;
    }
    if (err) {
        return fl_reason_set(why, err,
                             "the update has a field above its maximum");
    }
    fl_addend_add(sum->words, bytes, word_count);
    return FL_OK;
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
    return sum->words;
}

// Any words can be somebody's masked vector: their sum need not hold fields.
static fl_err unpack(const fl_sum *sum, const uint64_t *words, fl_reason *why)
{
    if (!words) return fl_reason_set(why, FL_ERR_RANGE, "there is no sum");
    if (!fl_fields_unpack(sum->sums, &sum->fields, words)) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "a word of the sum holds no fields: somebody's "
                         "vector was not fields");
}

fl_err fl_aggregation_apply(fl_aggregator *aggregator, float *params,
                            fl_dense_metrics *metrics, fl_reason *why)
{
    const fl_sum *sum = &aggregator->sum;
    const size_t param_count = sum->codec.param_count;
    uint32_t client_count;
    FL_TRY(unpack(sum, find_sum(aggregator, &client_count), why));
    float *mean = malloc(param_count * sizeof *mean);
    if (!mean) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    const fl_err err = fl_dense_decode(mean, metrics, &sum->codec, sum->sums,
                                       client_count, why);
    for (size_t i = 0; !err && i < param_count; i++) {
        params[i] += mean[i];
    }
    free(mean);
    if (!err) aggregator->committed_count = client_count;
    return err;
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
        .word_count = (uint32_t)sum->fields.word_count,
        .phase_ms = aggregator->options.phase_ms,
        .round = fl_round_number(aggregator),
        .number = sum->number,
    };
    const fl_plan plan = fl_round_plan(aggregator);
    uint8_t recipe[FL_HASH_BYTES], task[FL_DENSE_TASK_BYTES];
    fl_plan_recipe(recipe, &plan);
    fl_dense_task(task, &sum->codec, recipe);
    fl_hash(session.task, task, sizeof task);
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
