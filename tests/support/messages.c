/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/messages.h"

#include <string.h>

enum { TALLY = 9 };  // the codec of surveys

static void fill(void *dst, size_t len, fl_random *random)
{
    uint8_t *bytes = dst;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)fl_random_u32(random);
    }
}

// Small values and large ones alike: a random number of random bits.
static uint64_t number(uint64_t min, uint64_t max, fl_random *random)
{
    const uint64_t bits = fl_random_u64(random) >> fl_random_below(random, 64);
    const uint64_t span = max - min;
    return min + (span == UINT64_MAX ? bits : bits % (span + 1));
}

static uint32_t number_32(uint32_t min, uint32_t max, fl_random *random)
{
    return (uint32_t)number(min, max, random);
}

static float positive(fl_random *random)
{
    return 1e-30F + (float)fl_random_exponential(random);
}

static float positive_or_0(fl_random *random)
{
    return fl_random_below(random, 4) == 0 ? 0 : positive(random);
}

static void fill_text(char text[FL_PROTO_TEXT_CAP], fl_random *random)
{
    const size_t len = fl_random_below(random, FL_PROTO_TEXT_CAP);
    for (size_t i = 0; i < len; i++) {
        const char c = (char)(' ' + fl_random_below(random, 256 - ' '));
        text[i] = (char)(c == 0x7f ? '~' : c);
    }
}

static void fill_name(char name[FL_ENROLMENT_NAME_CAP], fl_random *random)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t len = fl_random_below(random, FL_ENROLMENT_NAME_CAP);
    for (size_t i = 0; i < len; i++) {
        name[i] = letters[fl_random_below(random, sizeof letters - 1)];
    }
}

static void fill_join(fl_join *join, fl_random *random)
{
    join->has_token = fl_random_below(random, 2) == 0;
    if (join->has_token) {
        join->token.id = number_32(0, UINT32_MAX, random);
        fill(join->token.secret, sizeof join->token.secret, random);
    }
    fill_name(join->name, random);
}

static void fill_standing(fl_standing *standing, fl_random *random)
{
    standing->state = (fl_standing_state)number_32(FL_STANDING_ENROLLED,
                                                   FL_STANDING_REFUSED, random);
    if (standing->state == FL_STANDING_REFUSED) {
        standing->cause = (fl_cause)number_32(1, FL_CAUSE_BUSY, random);
    }
    fill_name(standing->name, random);
    standing->has_authority = fl_random_below(random, 2) == 0;
    if (standing->has_authority) {
        fill(standing->authority, FL_KEY_BYTES, random);
    }
}

static const uint8_t *fill_bulk(size_t len, fl_random *random)
{
    static uint8_t bulk[FL_PROTO_FRAME_MAX];
    fill(bulk, len, random);
    return bulk;
}

// 1 to `count_max` runs of any group that add up to the plan's parameters.
static void fill_runs(fl_plan *plan, uint32_t count_max, fl_random *random)
{
    uint64_t left = plan->param_count;
    const uint32_t count = 1 + fl_random_below(random, count_max);
    for (uint32_t i = 0; i < count && left > 0; i++) {
        const uint64_t some = i + 1 == count ? left : number(1, left, random);
        plan->runs[i] = (uint32_t)(4 * some) + fl_random_below(random, 4);
        plan->run_count++;
        left -= some;
    }
}

static void fill_codec(fl_plan *plan, fl_random *random)
{
    do {
        plan->codec = number_32(0, UINT8_MAX, random);
    } while (plan->codec == TALLY);
    plan->codec_bits = number_32(0, UINT32_MAX, random);
    plan->density = positive_or_0(random);
    plan->density_small = positive_or_0(random);
    plan->per_word = fl_random_below(random, 17);
    plan->value_max = number_32(0, UINT32_MAX, random);
    plan->step_large = positive_or_0(random);
    plan->step_small = positive_or_0(random);
    plan->place = number_32(0, plan->client_cap - 1, random);
    fill_runs(plan, 1 + fl_random_below(random, FL_PROTO_RUNS_MAX), random);
}

// What is left of the codec in a survey.
static void fill_survey(fl_plan *plan, fl_random *random)
{
    plan->work = (fl_work)(1 + fl_random_below(random, 3));
    plan->codec = TALLY;
    plan->run_count = 0;
    if (plan->work == FL_WORK_MEASURE) plan->param_count = 1;
}

static void fill_work(fl_plan *plan, fl_random *random)
{
    if (fl_random_below(random, 2)) fill_survey(plan, random);
    if (fl_random_below(random, 2)) plan->holdout = number_32(2, 65536, random);
    plan->row_cap = number_32(0, FL_PROTO_SAMPLES_MAX, random);
    if (fl_random_below(random, 2)) {
        fill(plan->ranges, sizeof plan->ranges, random);
    }
}

static fl_plan random_plan(fl_random *random)
{
    fl_plan plan = {
        .round = number_32(1, UINT32_MAX, random),
        .param_count = number(1, FL_PROTO_OBJECT_BYTES_MAX / 4, random),
        .deadline_ms = number_32(0, UINT32_MAX, random),
        .local_epochs = number_32(1, FL_PROTO_STEPS_MAX, random),
        .batch = number_32(1, FL_PROTO_STEPS_MAX, random),
        .lr = positive(random),
        .momentum = fl_random_float(random),
        .weight_decay = positive_or_0(random),
        .clip_norm = positive_or_0(random),
        .schedule = fl_random_below(random, 3),
        .schedule_steps = number_32(1, UINT32_MAX, random),
        .schedule_factor = positive_or_0(random),
        .seed = fl_random_u64(random),
        .norm = fl_random_below(random, 2),
        .aggregation = (fl_aggregation)(1 + fl_random_below(random, 2)),
        .number = number(1, UINT64_MAX, random),
        .client_cap = number_32(1, FL_PROTO_CLIENTS_MAX, random),
        .weight_max = number_32(1, FL_PROTO_SAMPLES_MAX, random),
        .value_clip = positive(random),
    };
    plan.client_min = number_32(1, plan.client_cap, random);
    fill_codec(&plan, random);
    fill_work(&plan, random);
    fill(plan.model, sizeof plan.model, random);
    if (plan.aggregation == FL_AGGREGATION_SECURE) {
        fill(plan.enrolment, sizeof plan.enrolment, random);
    }
    return plan;
}

static void fill_step(fl_step_body *step, fl_random *random)
{
    step->step = number_32(1, 255, random);
    step->len = number(0, FL_PROTO_STEP_MAX, random);
    step->bytes = fill_bulk(step->len, random);
}

static void fill_last_model(fl_mail *mail, fl_random *random)
{
    if (fl_random_below(random, 3) == 0) return;
    fill(mail->model, sizeof mail->model, random);
    if (fl_random_below(random, 2)) {
        fill(mail->ranges, sizeof mail->ranges, random);
    }
}

static void fill_mail(fl_mail *mail, fl_random *random)
{
    mail->sequence = number(1, UINT64_MAX, random);
    mail->kind = (fl_mail_kind)(1 + fl_random_below(random, 4));
    mail->round = number_32(1, UINT32_MAX, random);
    if (mail->kind == FL_MAIL_PLAN) {
        mail->plan = random_plan(random);
        mail->round = mail->plan.round;
    }
    if (mail->kind == FL_MAIL_STEP) fill_step(&mail->step, random);
    if (mail->kind == FL_MAIL_FINISHED) fill_last_model(mail, random);
}

static void fill_fetch(fl_fetch *fetch, fl_random *random)
{
    fill(fetch->object, sizeof fetch->object, random);
    fetch->wants_manifest = fl_random_below(random, 2);
    if (!fetch->wants_manifest) {
        fetch->index = number_32(0, FL_PROTO_CHUNKS_MAX - 1, random);
        return;
    }
    fetch->has_base = fl_random_below(random, 2);
    if (fetch->has_base) fill(fetch->base, sizeof fetch->base, random);
    fetch->takes_packed = fl_random_below(random, 2);
}

static void fill_open(fl_open *open, fl_random *random)
{
    open->manifest_len =
        number(1, fl_manifest_bound(FL_PROTO_CHUNKS_MAX), random);
    open->manifest = fill_bulk(open->manifest_len, random);
    fill(open->model, sizeof open->model, random);
}

static void fill_body(fl_message *message, fl_random *random)
{
    switch (message->type) {
    case FL_MESSAGE_HELLO:
        message->hello.version_min = number_32(1, UINT32_MAX, random);
        message->hello.version_max =
            number_32(message->hello.version_min, UINT32_MAX, random);
        fill_text(message->hello.build, random);
        return;
    case FL_MESSAGE_WELCOME:
        message->welcome.version = number_32(1, 255, random);
        fill(message->welcome.public_key, FL_PROTO_KEY_BYTES, random);
        fill(message->welcome.channel_key, FL_PROTO_KEY_BYTES, random);
        fill(message->welcome.card, FL_PROTO_SIGNATURE_BYTES, random);
        return;
    case FL_MESSAGE_NOISE:
        message->noise.len = number(1, FL_PROTO_GREETING_MAX, random);
        message->noise.bytes = fill_bulk(message->noise.len, random);
        return;
    case FL_MESSAGE_CHECK_IN:
        message->check_in.mail_after = number(0, UINT64_MAX, random);
        message->check_in.away = (fl_away)number(0, FL_AWAY_COUNT - 1, random);
        return;
    case FL_MESSAGE_REFUSAL:
        message->refusal.code = number_32(FL_ERR_MEMORY, FL_ERR_STALE, random);
        fill_text(message->refusal.text, random);
        return;
    case FL_MESSAGE_MAIL: fill_mail(&message->mail, random); return;
    case FL_MESSAGE_FETCH: fill_fetch(&message->fetch, random); return;
    case FL_MESSAGE_MANIFEST:
        message->manifest.len =
            number(1, fl_manifest_bound(FL_PROTO_CHUNKS_MAX), random);
        message->manifest.bytes = fill_bulk(message->manifest.len, random);
        return;
    case FL_MESSAGE_CHUNK:
        fill(message->chunk.object, FL_PROTO_HASH_BYTES, random);
        message->chunk.index = number_32(0, FL_PROTO_CHUNKS_MAX - 1, random);
        message->chunk.len = number(1, FL_PROTO_CHUNK_BYTES, random);
        message->chunk.bytes = fill_bulk(message->chunk.len, random);
        return;
    case FL_MESSAGE_OPEN: fill_open(&message->open, random); return;
    case FL_MESSAGE_GRANT:
        fill(message->grant.object, FL_PROTO_HASH_BYTES, random);
        message->grant.window = number_32(0, FL_PROTO_WINDOW_MAX, random);
        message->grant.later_ms = number_32(0, UINT32_MAX, random);
        message->grant.bitmap_len = number(0, FL_PROTO_BITMAP_MAX, random);
        message->grant.bitmap = fill_bulk(message->grant.bitmap_len, random);
        return;
    case FL_MESSAGE_COMMIT:
        fill(message->commit.object, FL_PROTO_HASH_BYTES, random);
        return;
    case FL_MESSAGE_PING:
        message->ping.mail_after = number(0, UINT64_MAX, random);
        message->ping.away = (fl_away)number(0, FL_AWAY_COUNT - 1, random);
        return;
    case FL_MESSAGE_STEP: fill_step(&message->step, random); return;
    case FL_MESSAGE_JOIN: fill_join(&message->join, random); return;
    case FL_MESSAGE_STANDING: fill_standing(&message->standing, random); return;
    case FL_MESSAGE_ACK:
    case FL_MESSAGE_PONG: return;
    }
}

fl_message fl_message_random(fl_message_type type, fl_random *random)
{
    fl_message message;
    memset(&message, 0, sizeof message);
    message.type = type;
    message.operation = number(0, UINT64_MAX, random);
    message.round = number_32(0, UINT32_MAX, random);
    if (type > FL_MESSAGE_NOISE) {
        message.counter = number(0, UINT64_MAX, random);
        fill(message.session, sizeof message.session, random);
    }
    fill_body(&message, random);
    return message;
}

static bool is_same_header(const fl_message *a, const fl_message *b)
{
    return a->type == b->type && a->counter == b->counter &&
           a->operation == b->operation && a->round == b->round &&
           memcmp(a->session, b->session, sizeof a->session) == 0;
}

static bool is_same_bytes(const uint8_t *a, size_t a_len, const uint8_t *b,
                          size_t b_len)
{
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static bool is_same_codec(const fl_plan *a, const fl_plan *b)
{
    return a->codec == b->codec && a->codec_bits == b->codec_bits &&
           a->density == b->density && a->density_small == b->density_small &&
           a->per_word == b->per_word && a->value_max == b->value_max &&
           a->step_large == b->step_large && a->step_small == b->step_small &&
           a->place == b->place && a->run_count == b->run_count &&
           memcmp(a->runs, b->runs, a->run_count * sizeof *a->runs) == 0;
}

static bool is_same_work(const fl_plan *a, const fl_plan *b)
{
    return a->work == b->work && a->holdout == b->holdout &&
           a->row_cap == b->row_cap &&
           memcmp(a->ranges, b->ranges, sizeof a->ranges) == 0;
}

static bool is_same_plan(const fl_plan *a, const fl_plan *b)
{
    return a->round == b->round && is_same_work(a, b) &&
           memcmp(a->model, b->model, sizeof a->model) == 0 &&
           a->param_count == b->param_count &&
           a->deadline_ms == b->deadline_ms &&
           a->local_epochs == b->local_epochs && a->batch == b->batch &&
           a->lr == b->lr && a->momentum == b->momentum &&
           a->weight_decay == b->weight_decay && a->clip_norm == b->clip_norm &&
           a->schedule == b->schedule &&
           a->schedule_steps == b->schedule_steps &&
           a->schedule_factor == b->schedule_factor && a->seed == b->seed &&
           a->norm == b->norm && a->aggregation == b->aggregation &&
           a->number == b->number && a->client_cap == b->client_cap &&
           a->client_min == b->client_min && a->weight_max == b->weight_max &&
           a->value_clip == b->value_clip && is_same_codec(a, b) &&
           memcmp(a->enrolment, b->enrolment, sizeof a->enrolment) == 0;
}

static bool is_same_step(const fl_step_body *a, const fl_step_body *b)
{
    return a->step == b->step &&
           is_same_bytes(a->bytes, a->len, b->bytes, b->len);
}

static bool is_same_mail(const fl_mail *a, const fl_mail *b)
{
    return a->sequence == b->sequence && a->kind == b->kind &&
           a->round == b->round &&
           (a->kind != FL_MAIL_PLAN || is_same_plan(&a->plan, &b->plan)) &&
           (a->kind != FL_MAIL_STEP || is_same_step(&a->step, &b->step)) &&
           memcmp(a->model, b->model, sizeof a->model) == 0 &&
           memcmp(a->ranges, b->ranges, sizeof a->ranges) == 0;
}

static bool is_same_hello(const fl_hello *a, const fl_hello *b)
{
    return a->version_min == b->version_min &&
           a->version_max == b->version_max && strcmp(a->build, b->build) == 0;
}

static bool is_same_welcome(const fl_welcome *a, const fl_welcome *b)
{
    return a->version == b->version &&
           memcmp(a->public_key, b->public_key, sizeof a->public_key) == 0 &&
           memcmp(a->channel_key, b->channel_key, sizeof a->channel_key) == 0 &&
           memcmp(a->card, b->card, sizeof a->card) == 0;
}

static bool is_same_fetch(const fl_fetch *a, const fl_fetch *b)
{
    return memcmp(a->object, b->object, sizeof a->object) == 0 &&
           a->wants_manifest == b->wants_manifest && a->index == b->index &&
           a->has_base == b->has_base &&
           memcmp(a->base, b->base, sizeof a->base) == 0 &&
           a->takes_packed == b->takes_packed;
}

static bool is_same_chunk(const fl_chunk *a, const fl_chunk *b)
{
    return memcmp(a->object, b->object, sizeof a->object) == 0 &&
           a->index == b->index &&
           is_same_bytes(a->bytes, a->len, b->bytes, b->len);
}

static bool is_same_open(const fl_open *a, const fl_open *b)
{
    return is_same_bytes(a->manifest, a->manifest_len, b->manifest,
                         b->manifest_len) &&
           memcmp(a->model, b->model, sizeof a->model) == 0;
}

static bool is_same_grant(const fl_grant *a, const fl_grant *b)
{
    return memcmp(a->object, b->object, sizeof a->object) == 0 &&
           a->window == b->window && a->later_ms == b->later_ms &&
           is_same_bytes(a->bitmap, a->bitmap_len, b->bitmap, b->bitmap_len);
}

static bool is_same_join(const fl_join *a, const fl_join *b)
{
    return a->has_token == b->has_token && a->token.id == b->token.id &&
           memcmp(a->token.secret, b->token.secret, sizeof a->token.secret) ==
               0 &&
           strcmp(a->name, b->name) == 0;
}

static bool is_same_standing(const fl_standing *a, const fl_standing *b)
{
    return a->state == b->state && a->cause == b->cause &&
           a->has_authority == b->has_authority &&
           memcmp(a->authority, b->authority, sizeof a->authority) == 0 &&
           strcmp(a->name, b->name) == 0;
}

bool fl_message_equal(const fl_message *a, const fl_message *b)
{
    if (!is_same_header(a, b)) return false;
    switch (a->type) {
    case FL_MESSAGE_HELLO: return is_same_hello(&a->hello, &b->hello);
    case FL_MESSAGE_WELCOME: return is_same_welcome(&a->welcome, &b->welcome);
    case FL_MESSAGE_NOISE:
        return is_same_bytes(a->noise.bytes, a->noise.len, b->noise.bytes,
                             b->noise.len);
    case FL_MESSAGE_CHECK_IN:
        return a->check_in.mail_after == b->check_in.mail_after &&
               a->check_in.away == b->check_in.away;
    case FL_MESSAGE_REFUSAL:
        return a->refusal.code == b->refusal.code &&
               strcmp(a->refusal.text, b->refusal.text) == 0;
    case FL_MESSAGE_MAIL: return is_same_mail(&a->mail, &b->mail);
    case FL_MESSAGE_FETCH: return is_same_fetch(&a->fetch, &b->fetch);
    case FL_MESSAGE_MANIFEST:
        return is_same_bytes(a->manifest.bytes, a->manifest.len,
                             b->manifest.bytes, b->manifest.len);
    case FL_MESSAGE_CHUNK: return is_same_chunk(&a->chunk, &b->chunk);
    case FL_MESSAGE_OPEN: return is_same_open(&a->open, &b->open);
    case FL_MESSAGE_GRANT: return is_same_grant(&a->grant, &b->grant);
    case FL_MESSAGE_COMMIT:
        return memcmp(&a->commit, &b->commit, sizeof a->commit) == 0;
    case FL_MESSAGE_PING:
        return a->ping.mail_after == b->ping.mail_after &&
               a->ping.away == b->ping.away;
    case FL_MESSAGE_STEP: return is_same_step(&a->step, &b->step);
    case FL_MESSAGE_JOIN: return is_same_join(&a->join, &b->join);
    case FL_MESSAGE_STANDING:
        return is_same_standing(&a->standing, &b->standing);
    case FL_MESSAGE_ACK:
    case FL_MESSAGE_PONG: return true;
    }
    return false;
}
