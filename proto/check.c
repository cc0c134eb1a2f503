/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/check.h"

#include <math.h>
#include <string.h>

enum {
    PARAMS_MAX = FL_PROTO_OBJECT_BYTES_MAX / 4,
    SCHEDULE_CONSTANT = 0,  // fl_schedule is model/'s; the wire has numbers
    SCHEDULE_MAX = 2,
    NORM_MAX = 1,
    VERSION_MAX = UINT8_MAX,
    CODEC_MAX = UINT8_MAX,  // which there are, compress/ knows
    PER_WORD_MAX = 16,
    RUN_SHIFT = 2,  // a run's group stands below its coordinates
    TALLY = 9,      // an fl_codec_kind, the one of surveys
    HOLDOUT_MIN = 2,
    HOLDOUT_MAX = 1 << 16,
};

static bool is_within(uint64_t value, uint64_t min, uint64_t max)
{
    return value >= min && value <= max;
}

static bool is_all_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}

static bool is_text(const char text[FL_PROTO_TEXT_CAP])
{
    for (size_t i = 0; i < FL_PROTO_TEXT_CAP; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == 0) return true;
        if (c < ' ' || c == 0x7f) return false;
    }
    return false;  // no final 0
}

static bool is_finite_and_at_least_0(float value)
{
    return isfinite(value) && value >= 0;
}

static const char *check_hello(const fl_hello *hello)
{
    if (hello->version_min < 1) return "version_min is 0";
    if (hello->version_max < hello->version_min) {
        return "version_max is less than version_min";
    }
    if (!is_text(hello->build)) return "build has control characters";
    return NULL;
}

static const char *check_welcome(const fl_welcome *welcome)
{
    return is_within(welcome->version, 1, VERSION_MAX)
               ? NULL
               : "version is not within 1 .. 255";
}

static bool is_failure(uint32_t code)
{
    switch (code) {
#define CODE_CASE(name, value, text) \
    case name: return (name) != FL_OK;
        FL_ERR_LIST(CODE_CASE)
#undef CODE_CASE
    default: return false;
    }
}

static const char *check_refusal(const fl_refusal *refusal)
{
    if (!is_failure(refusal->code)) return "code is not that of an error";
    if (!is_text(refusal->text)) return "text has control characters";
    return NULL;
}

static const char *check_training(const fl_plan *plan)
{
    if (!is_within(plan->local_epochs, 1, FL_PROTO_STEPS_MAX)) {
        return "plan.local_epochs is not within 1 .. 2^16";
    }
    if (!is_within(plan->batch, 1, FL_PROTO_STEPS_MAX)) {
        return "plan.batch is not within 1 .. 2^16";
    }
    if (!isfinite(plan->lr) || plan->lr <= 0) {
        return "plan.lr is not finite and above 0";
    }
    if (!(plan->momentum >= 0 && plan->momentum < 1)) {  // false for NaN too
        return "plan.momentum is not at least 0 and below 1";
    }
    if (!is_finite_and_at_least_0(plan->weight_decay)) {
        return "plan.weight_decay is not finite and at least 0";
    }
    if (!is_finite_and_at_least_0(plan->clip_norm)) {
        return "plan.clip_norm is not finite and at least 0";
    }
    return NULL;
}

static const char *check_schedule(const fl_plan *plan)
{
    if (plan->schedule > SCHEDULE_MAX) return "plan.schedule is not a schedule";
    if (plan->schedule != SCHEDULE_CONSTANT && plan->schedule_steps < 1) {
        return "plan.schedule_steps is 0";
    }
    if (!is_finite_and_at_least_0(plan->schedule_factor)) {
        return "plan.schedule_factor is not finite and at least 0";
    }
    return NULL;
}

static const char *check_sum(const fl_plan *plan)
{
    if (plan->aggregation != FL_AGGREGATION_SECURE &&
        plan->aggregation != FL_AGGREGATION_CLEAR) {
        return "plan.aggregation is neither secure nor clear";
    }
    if (plan->number < 1) return "plan.number is 0";
    if (!is_within(plan->client_cap, 1, FL_PROTO_CLIENTS_MAX)) {
        return "plan.client_cap is not within 1 .. 16384";
    }
    if (!is_within(plan->client_min, 1, plan->client_cap)) {
        return "plan.client_min is not within 1 .. client_cap";
    }
    if (!is_within(plan->weight_max, 1, FL_PROTO_SAMPLES_MAX)) {
        return "plan.weight_max is not within 1 .. 2^20";
    }
    if (!isfinite(plan->value_clip) || plan->value_clip <= 0) {
        return "plan.value_clip is not finite and above 0";
    }
    return NULL;
}

static const char *check_work(const fl_plan *plan)
{
    if ((unsigned)plan->work > FL_WORK_RANGES) return "plan.work is unknown";
    if ((plan->work == FL_WORK_TRAIN) == (plan->codec == TALLY)) {
        return "plan.codec is not one for plan.work";
    }
    if (plan->work == FL_WORK_MEASURE && plan->param_count != 1) {
        return "plan.param_count is not the 1 of plan.work";
    }
    if (plan->holdout != 0 &&
        !is_within(plan->holdout, HOLDOUT_MIN, HOLDOUT_MAX)) {
        return "plan.holdout is neither 0 nor within 2 .. 2^16";
    }
    if (plan->row_cap > FL_PROTO_SAMPLES_MAX) {
        return "plan.row_cap is above 2^20";
    }
    return NULL;
}

static const char *check_runs(const fl_plan *plan)
{
    if (plan->work != FL_WORK_TRAIN) {
        return plan->run_count == 0 ? NULL : "plan.runs do not fit plan.work";
    }
    if (plan->run_count > FL_PROTO_RUNS_MAX) {
        return "plan.run_count is above 512";
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < plan->run_count; i++) {
        const uint32_t count = plan->runs[i] >> RUN_SHIFT;
        if (count < 1) return "plan.runs has a run of no coordinates";
        sum += count;
    }
    return sum == plan->param_count ? NULL
                                    : "plan.runs do not add up to param_count";
}

static const char *check_codec(const fl_plan *plan)
{
    if (plan->codec > CODEC_MAX) return "plan.codec is above 255";
    if (!is_finite_and_at_least_0(plan->density)) {
        return "plan.density is not finite and at least 0";
    }
    if (!is_finite_and_at_least_0(plan->density_small)) {
        return "plan.density_small is not finite and at least 0";
    }
    if (plan->per_word > PER_WORD_MAX) return "plan.per_word is above 16";
    if (!is_finite_and_at_least_0(plan->step_large)) {
        return "plan.step_large is not finite and at least 0";
    }
    if (!is_finite_and_at_least_0(plan->step_small)) {
        return "plan.step_small is not finite and at least 0";
    }
    if (plan->place >= plan->client_cap) {
        return "plan.place is not below client_cap";
    }
    return check_runs(plan);
}

static const char *check_plan(const fl_plan *plan)
{
    if (plan->round < 1) return "plan.round is 0";
    if (!is_within(plan->param_count, 1, PARAMS_MAX)) {
        return "plan.param_count is not within 1 .. 320 MiB / 4";
    }
    if (plan->norm > NORM_MAX) return "plan.norm is neither train nor frozen";
    const char *fault = check_training(plan);
    if (!fault) fault = check_schedule(plan);
    if (!fault) fault = check_sum(plan);
    if (!fault) fault = check_work(plan);
    return fault ? fault : check_codec(plan);
}

static const char *check_step(const fl_step_body *step)
{
    if (!is_within(step->step, 1, UINT8_MAX)) return "step is not 1 .. 255";
    return step->len <= FL_PROTO_STEP_MAX ? NULL
                                          : "step is longer than 261632 bytes";
}

static const char *check_last_model(const fl_mail *mail)
{
    const bool has_model = !is_all_zero(mail->model, sizeof mail->model);
    const bool has_ranges = !is_all_zero(mail->ranges, sizeof mail->ranges);
    return has_ranges && !has_model ? "ranges are there without a model" : NULL;
}

static const char *check_mail(const fl_mail *mail)
{
    if (mail->sequence < 1) return "sequence is 0";
    switch (mail->kind) {
    case FL_MAIL_PLAN:
        if (mail->round != mail->plan.round) {
            return "plan.round is another than round";
        }
        return check_plan(&mail->plan);
    case FL_MAIL_CLOSED: return mail->round < 1 ? "round is 0" : NULL;
    case FL_MAIL_FINISHED: return check_last_model(mail);
    case FL_MAIL_STEP:
        return mail->round < 1 ? "round is 0" : check_step(&mail->step);
    default: return "kind is not a kind of mail";
    }
}

static const char *check_fetch(const fl_fetch *fetch)
{
    if (fetch->wants_manifest) {
        return fetch->index == 0 ? NULL : "index is not 0 for a manifest";
    }
    if (fetch->index >= FL_PROTO_CHUNKS_MAX) {
        return "index is beyond the last chunk of any object";
    }
    if (fetch->has_base) return "base_model is there for a chunk";
    return fetch->takes_packed ? "takes_packed is true for a chunk" : NULL;
}

static const char *check_manifest_len(size_t len)
{
    return is_within(len, 1, fl_manifest_bound(FL_PROTO_CHUNKS_MAX))
               ? NULL
               : "the manifest is empty or longer than any";
}

static const char *check_chunk(const fl_chunk *chunk)
{
    if (chunk->index >= FL_PROTO_CHUNKS_MAX) {
        return "index is beyond the last chunk of any object";
    }
    if (!is_within(chunk->len, 1, FL_PROTO_CHUNK_BYTES)) {
        return "the chunk is empty or longer than 65536 bytes";
    }
    return NULL;
}

static const char *check_open(const fl_open *open)
{
    return check_manifest_len(open->manifest_len);
}

static const char *check_grant(const fl_grant *grant)
{
    if (grant->window > FL_PROTO_WINDOW_MAX) return "window is above 64";
    if (grant->bitmap_len > FL_PROTO_BITMAP_MAX) {
        return "bitmap is longer than 640 bytes";
    }
    return NULL;
}

static const char *check_noise_len(size_t len)
{
    return is_within(len, 1, FL_PROTO_GREETING_MAX)
               ? NULL
               : "the handshake message is empty or longer than 512 bytes";
}

static const char *check_away(fl_away away)
{
    return (unsigned)away < FL_AWAY_COUNT ? NULL : "away is no reason";
}

// There is neither a session nor a numbered frame before the channel is open.
static const char *check_greeting_header(const fl_message *message)
{
    if (message->type > FL_MESSAGE_NOISE) return NULL;
    if (!is_all_zero(message->session, FL_PROTO_SESSION_BYTES)) {
        return "the session of a greeting is not all zeros";
    }
    return message->counter == 0 ? NULL : "the counter of a greeting is not 0";
}

static const char *check_name(const char name[FL_ENROLMENT_NAME_CAP])
{
    return name[0] == 0 || fl_device_is_name(name)
               ? NULL
               : "name has more than 63 characters, or others than a-z, 0-9, "
                 "\".\", \"_\", \"-\"";
}

static const char *check_join(const fl_join *join)
{
    if (!join->has_token && join->token.id != 0) {
        return "token is there without a secret";
    }
    return check_name(join->name);
}

static const char *check_standing(const fl_standing *standing)
{
    if (!is_within(standing->state, FL_STANDING_ENROLLED,
                   FL_STANDING_REFUSED)) {
        return "state is not how a device can stand";
    }
    const bool is_refused = standing->state == FL_STANDING_REFUSED;
    if (is_refused != (standing->cause != FL_CAUSE_NONE)) {
        return "cause does not fit state";
    }
    return check_name(standing->name);
}

static const char *check_body(const fl_message *message)
{
    switch (message->type) {
    case FL_MESSAGE_HELLO: return check_hello(&message->hello);
    case FL_MESSAGE_WELCOME: return check_welcome(&message->welcome);
    case FL_MESSAGE_REFUSAL: return check_refusal(&message->refusal);
    case FL_MESSAGE_MAIL: return check_mail(&message->mail);
    case FL_MESSAGE_FETCH: return check_fetch(&message->fetch);
    case FL_MESSAGE_MANIFEST: return check_manifest_len(message->manifest.len);
    case FL_MESSAGE_CHUNK: return check_chunk(&message->chunk);
    case FL_MESSAGE_OPEN: return check_open(&message->open);
    case FL_MESSAGE_GRANT: return check_grant(&message->grant);
    case FL_MESSAGE_NOISE: return check_noise_len(message->noise.len);
    case FL_MESSAGE_STEP: return check_step(&message->step);
    case FL_MESSAGE_JOIN: return check_join(&message->join);
    case FL_MESSAGE_STANDING: return check_standing(&message->standing);
    case FL_MESSAGE_CHECK_IN: return check_away(message->check_in.away);
    case FL_MESSAGE_PING: return check_away(message->ping.away);
    case FL_MESSAGE_ACK:
    case FL_MESSAGE_COMMIT:
    case FL_MESSAGE_PONG: return NULL;
    default: return "type is unknown";
    }
}

const char *fl_check_message(const fl_message *message)
{
    const char *fault = check_greeting_header(message);
    return fault ? fault : check_body(message);
}

const char *fl_check_manifest(const fl_manifest *manifest)
{
    if (!is_within(manifest->kind, FL_OBJECT_MODEL, FL_OBJECT_RANGES)) {
        return "kind is not a kind of object";
    }
    if (!is_within(manifest->size, 1, FL_PROTO_OBJECT_BYTES_MAX)) {
        return "size is not within 1 byte .. 320 MiB";
    }
    if (manifest->chunk_bytes != FL_PROTO_CHUNK_BYTES) {
        return "chunk_bytes is not 65536";
    }
    if (manifest->chunk_count != fl_manifest_chunk_count(manifest->size)) {
        return "there is not one hash for each chunk";
    }
    return NULL;
}
