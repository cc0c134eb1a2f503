/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "proto/body.h"
#include "proto/fedge.pb-c.h"
#include "proto/proto.h"
#include "tests/support/messages.h"
#include "tests/test.h"

enum { ARENA_CAP = 8 << 20, ROUNDS = 100, TALLY = 9 };

static uint8_t frame[FL_PROTO_FRAME_MAX + 1];
static size_t frame_len;
static fl_arena arena;
static fl_random stream;

static int start(void **state)
{
    (void)state;
    fl_arena_init(&arena, ARENA_CAP);
    fl_random_init(&stream, 1, FL_RANDOM_TEST, 0);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    fl_arena_fini(&arena);
    return 0;
}

static fl_message valid(fl_message_type type)
{
    return fl_message_random(type, &stream);
}

static void encode(const fl_message *message)
{
    assert_ok(fl_message_encode(frame, sizeof frame, &frame_len, message));
}

static fl_err decode(fl_message *message, fl_reason *why)
{
    fl_arena_reset(&arena);
    return fl_message_decode(message, &arena, frame, frame_len, why);
}

#define EACH_TYPE(type)                      \
    fl_message_type type = FL_MESSAGE_HELLO; \
    type <= FL_MESSAGE_STANDING;             \
    type = (fl_message_type)((unsigned)type + 1)

TEST(message_roundtrips_in_every_type)
{
    for (EACH_TYPE(type)) {
        for (int i = 0; i < ROUNDS; i++) {
            const fl_message message = valid(type);
            encode(&message);
            fl_message decoded;
            assert_ok(decode(&decoded, NULL));
            assert_true(fl_message_equal(&decoded, &message));

            static uint8_t again[FL_PROTO_FRAME_MAX];
            size_t again_len;
            assert_ok(
                fl_message_encode(again, sizeof again, &again_len, &decoded));
            assert_int_equal(again_len, frame_len);
            assert_memory_equal(again, frame, frame_len);
        }
    }
}

TEST(message_needs_exactly_the_room_it_takes)
{
    for (EACH_TYPE(type)) {
        for (int i = 0; i < ROUNDS; i++) {
            const fl_message message = valid(type);
            encode(&message);
            assert_true(frame_len <= fl_message_bound(&message));
            const size_t needed = frame_len;
            assert_ok(fl_message_encode(frame, needed, &frame_len, &message));
            assert_int_equal(frame_len, needed);
            const size_t less = fl_random_below(&stream, (uint32_t)needed);
            assert_err(fl_message_encode(frame, less, &frame_len, &message),
                       FL_ERR_SPACE);
            assert_err(
                fl_message_encode(frame, needed - 1, &frame_len, &message),
                FL_ERR_SPACE);
        }
    }
}

static void assert_bound_holds(const fl_message *message)
{
    encode(message);
    assert_true(frame_len <= fl_message_bound(message));
    assert_true(frame_len <= FL_PROTO_FRAME_MAX);
    fl_message decoded;
    assert_ok(decode(&decoded, NULL));
    assert_true(fl_message_equal(&decoded, message));
}

static fl_plan largest_plan(void)
{
    fl_plan plan = {
        .round = UINT32_MAX,
        .param_count = FL_PROTO_OBJECT_BYTES_MAX / 4,
        .deadline_ms = UINT32_MAX,
        .local_epochs = FL_PROTO_STEPS_MAX,
        .batch = FL_PROTO_STEPS_MAX,
        .lr = 3e38F,
        .momentum = 0.99999F,
        .weight_decay = 3e38F,
        .clip_norm = 3e38F,
        .schedule = 2,
        .schedule_steps = UINT32_MAX,
        .schedule_factor = 3e38F,
        .seed = UINT64_MAX,
        .aggregation = FL_AGGREGATION_SECURE,
        .number = UINT64_MAX,
        .client_cap = FL_PROTO_CLIENTS_MAX,
        .client_min = FL_PROTO_CLIENTS_MAX,
        .weight_max = FL_PROTO_SAMPLES_MAX,
        .value_clip = 3e38F,
        .codec = UINT8_MAX,
        .codec_bits = UINT32_MAX,
        .density = 3e38F,
        .density_small = 3e38F,
        .per_word = 16,
        .value_max = UINT32_MAX,
        .step_large = 3e38F,
        .step_small = 3e38F,
        .place = FL_PROTO_CLIENTS_MAX - 1,
        .run_count = FL_PROTO_RUNS_MAX,
        .holdout = 1 << 16,
        .row_cap = FL_PROTO_SAMPLES_MAX,
    };
    // Runs whose numbers are long, but for the one that takes what is left.
    uint64_t left = plan.param_count;
    for (size_t i = 1; i < FL_PROTO_RUNS_MAX; i++) {
        plan.runs[i] = 4 * 160000;
        left -= 160000;
    }
    plan.runs[0] = (uint32_t)(4 * left);
    memset(plan.model, 0xff, sizeof plan.model);
    memset(plan.enrolment, 0xff, sizeof plan.enrolment);
    memset(plan.ranges, 0xff, sizeof plan.ranges);
    return plan;
}

TEST(message_bound_holds_for_the_largest_values)
{
    fl_message hello = valid(FL_MESSAGE_HELLO);
    hello.hello.version_min = hello.hello.version_max = UINT32_MAX;
    memset(hello.hello.build, 'x', FL_PROTO_TEXT_CAP - 1);
    hello.hello.build[FL_PROTO_TEXT_CAP - 1] = 0;
    assert_bound_holds(&hello);

    fl_message mail = valid(FL_MESSAGE_MAIL);
    const fl_plan plan = largest_plan();
    mail.mail = (fl_mail){.sequence = UINT64_MAX,
                          .kind = FL_MAIL_PLAN,
                          .round = UINT32_MAX,
                          .plan = plan};
    assert_bound_holds(&mail);

    static uint8_t bulk[FL_PROTO_FRAME_MAX];
    const fl_step_body longest = {255, bulk, FL_PROTO_STEP_MAX};
    mail.mail = (fl_mail){.sequence = UINT64_MAX,
                          .kind = FL_MAIL_STEP,
                          .round = UINT32_MAX,
                          .step = longest};
    assert_bound_holds(&mail);
    fl_message step = valid(FL_MESSAGE_STEP);
    step.step = longest;
    assert_bound_holds(&step);

    fl_message open = valid(FL_MESSAGE_OPEN);
    open.open.manifest = bulk;
    open.open.manifest_len = fl_manifest_bound(FL_PROTO_CHUNKS_MAX);
    assert_bound_holds(&open);

    fl_message grant = valid(FL_MESSAGE_GRANT);
    grant.grant.later_ms = UINT32_MAX;
    grant.grant.bitmap = bulk;
    grant.grant.bitmap_len = FL_PROTO_BITMAP_MAX;
    assert_bound_holds(&grant);

    fl_message chunk = valid(FL_MESSAGE_CHUNK);
    chunk.chunk.bytes = bulk;
    chunk.chunk.len = FL_PROTO_CHUNK_BYTES;
    assert_bound_holds(&chunk);
}

TEST(message_has_a_name_for_every_type)
{
    assert_string_equal(fl_message_type_name(FL_MESSAGE_CHECK_IN), "check_in");
    assert_string_equal(fl_message_type_name(FL_MESSAGE_PONG), "pong");
    for (EACH_TYPE(type)) {
        assert_string_not_equal(fl_message_type_name(type), "unknown");
    }
    assert_string_equal(fl_message_type_name((fl_message_type)0), "unknown");
    assert_string_equal(fl_message_type_name((fl_message_type)19), "unknown");
    assert_string_equal(fl_message_type_name((fl_message_type)-1), "unknown");
}

// Writes the message without asking whether its values are allowed.
static void encode_unchecked(const fl_message *message)
{
    const fl_message header_of = valid(message->type);
    encode(&header_of);
    fl_writer out = fl_writer_over(frame + FL_PROTO_HEADER_BYTES,
                                   sizeof frame - FL_PROTO_HEADER_BYTES);
    fl_body_encode(&out, message);
    assert_ok(fl_writer_finish(&out));
    frame_len = FL_PROTO_HEADER_BYTES + out.len;
}

static void assert_decode_refuses(fl_err expected, const char *word)
{
    fl_message decoded;
    fl_reason why = {""};
    assert_err(decode(&decoded, &why), expected);
    assert_reason_names(why, word);
    assert_err(decode(&decoded, NULL), expected);
}

static void assert_refused(const fl_message *message, const char *word)
{
    assert_err(fl_message_encode(frame, sizeof frame, &frame_len, message),
               FL_ERR_RANGE);
    encode_unchecked(message);
    assert_decode_refuses(FL_ERR_FORMAT, fl_message_type_name(message->type));
    assert_decode_refuses(FL_ERR_FORMAT, word);
}

// A valid message `m` with one change, refused in both directions.
#define REFUSES(message_type, change, word) \
    do {                                    \
        fl_message m = valid(message_type); \
        change;                             \
        assert_refused(&m, word);           \
    } while (0)

TEST(message_refuses_a_hello_without_versions)
{
    REFUSES(FL_MESSAGE_HELLO, m.hello.version_min = 0, "version_min");
    REFUSES(FL_MESSAGE_HELLO,
            (m.hello.version_min = 2, m.hello.version_max = 1), "version_max");
}

TEST(message_refuses_control_characters_in_a_text)
{
    for (char c = 1; c < ' '; c++) {
        REFUSES(FL_MESSAGE_HELLO, (m.hello.build[0] = c), "build");
        REFUSES(FL_MESSAGE_REFUSAL,
                (memcpy(m.refusal.text, "no", 3), m.refusal.text[1] = c),
                "text");
    }
    REFUSES(FL_MESSAGE_HELLO, (m.hello.build[0] = 0x7f), "build");
    REFUSES(FL_MESSAGE_REFUSAL, (m.refusal.text[0] = 0x7f), "text");
}

TEST(message_refuses_to_encode_a_text_without_its_end)
{
    fl_message hello = valid(FL_MESSAGE_HELLO);
    memset(hello.hello.build, 'x', FL_PROTO_TEXT_CAP);
    assert_err(fl_message_encode(frame, sizeof frame, &frame_len, &hello),
               FL_ERR_RANGE);
    fl_message refusal = valid(FL_MESSAGE_REFUSAL);
    memset(refusal.refusal.text, 'x', FL_PROTO_TEXT_CAP);
    assert_err(fl_message_encode(frame, sizeof frame, &frame_len, &refusal),
               FL_ERR_RANGE);
}

TEST(message_refuses_a_greeting_with_a_session_or_a_counter)
{
    const fl_message_type types[] = {FL_MESSAGE_HELLO, FL_MESSAGE_WELCOME,
                                     FL_MESSAGE_NOISE};
    for (size_t i = 0; i < 3; i++) {
        fl_message greeting = valid(types[i]);
        encode(&greeting);
        frame[23] = 1;
        assert_decode_refuses(FL_ERR_FORMAT, "session");
        frame[23] = 0;
        frame[24] = 1;
        assert_decode_refuses(FL_ERR_FORMAT, "counter");
        greeting.session[15] = 1;
        assert_err(
            fl_message_encode(frame, sizeof frame, &frame_len, &greeting),
            FL_ERR_RANGE);
        greeting.session[15] = 0;
        greeting.counter = 1;
        assert_err(
            fl_message_encode(frame, sizeof frame, &frame_len, &greeting),
            FL_ERR_RANGE);
    }
}

TEST(message_refuses_a_welcome_out_of_range)
{
    REFUSES(FL_MESSAGE_WELCOME, m.welcome.version = 0, "version");
    REFUSES(FL_MESSAGE_WELCOME, m.welcome.version = 256, "version");
}

TEST(message_refuses_a_handshake_message_without_a_length_it_may_have)
{
    REFUSES(FL_MESSAGE_NOISE, m.noise.len = 0, "empty");
    static const uint8_t long_one[FL_PROTO_GREETING_MAX + 1];
    fl_message noise = valid(FL_MESSAGE_NOISE);
    noise.noise.bytes = long_one;
    noise.noise.len = sizeof long_one;
    assert_err(fl_message_encode(frame, sizeof frame, &frame_len, &noise),
               FL_ERR_RANGE);
}

TEST(message_refuses_a_step_out_of_range)
{
    REFUSES(FL_MESSAGE_STEP, m.step.step = 0, "step");
    REFUSES(FL_MESSAGE_STEP, m.step.step = 256, "step");
    REFUSES(FL_MESSAGE_STEP, m.step.len = FL_PROTO_STEP_MAX + 1, "step");
}

TEST(message_refuses_a_join_out_of_range)
{
    REFUSES(FL_MESSAGE_JOIN, (m.join.has_token = false, m.join.token.id = 7),
            "token");
    REFUSES(FL_MESSAGE_JOIN, strcpy(m.join.name, "My Board"), "name");
}

TEST(message_refuses_a_standing_out_of_range)
{
    REFUSES(FL_MESSAGE_STANDING, m.standing.state = 0, "state");
    REFUSES(FL_MESSAGE_STANDING, m.standing.state = 4, "state");
    REFUSES(FL_MESSAGE_STANDING,
            (m.standing.state = FL_STANDING_ENROLLED,
             m.standing.cause = FL_CAUSE_REVOKED),
            "cause");
    REFUSES(FL_MESSAGE_STANDING,
            (m.standing.state = FL_STANDING_REFUSED,
             m.standing.cause = FL_CAUSE_NONE),
            "cause");
    REFUSES(FL_MESSAGE_STANDING, strcpy(m.standing.name, "My Board"), "name");
}

TEST(message_refuses_a_refusal_without_an_error_of_ours)
{
    REFUSES(FL_MESSAGE_REFUSAL, m.refusal.code = FL_OK, "code");
    REFUSES(FL_MESSAGE_REFUSAL, m.refusal.code = FL_ERR_STALE + 1, "code");
    REFUSES(FL_MESSAGE_REFUSAL, m.refusal.code = UINT32_MAX, "code");
}

// A plan that trains.
static fl_message valid_plan(void)
{
    for (;;) {
        const fl_message message = valid(FL_MESSAGE_MAIL);
        const fl_mail *mail = &message.mail;
        if (mail->kind != FL_MAIL_PLAN) continue;
        if (mail->plan.work == FL_WORK_TRAIN) return message;
    }
}

static fl_message valid_survey(fl_work work)
{
    fl_message message = valid_plan();
    fl_plan *plan = &message.mail.plan;
    plan->work = work;
    plan->codec = TALLY;
    plan->run_count = 0;
    if (work == FL_WORK_MEASURE) plan->param_count = 1;
    return message;
}

#define REFUSES_PLAN(field, bad)            \
    do {                                    \
        fl_message m = valid_plan();        \
        m.mail.plan.field = (bad);          \
        assert_refused(&m, "plan." #field); \
    } while (0)

TEST(message_refuses_a_plan_with_a_count_out_of_range)
{
    REFUSES_PLAN(param_count, 0);
    REFUSES_PLAN(param_count, FL_PROTO_OBJECT_BYTES_MAX / 4 + 1);
    REFUSES_PLAN(local_epochs, 0);
    REFUSES_PLAN(local_epochs, FL_PROTO_STEPS_MAX + 1);
    REFUSES_PLAN(batch, 0);
    REFUSES_PLAN(batch, FL_PROTO_STEPS_MAX + 1);
    REFUSES_PLAN(schedule, 3);
    REFUSES_PLAN(schedule, UINT32_MAX);
    REFUSES_PLAN(norm, 2);
    REFUSES_PLAN(norm, UINT32_MAX);
    REFUSES_PLAN(aggregation, (fl_aggregation)0);
    REFUSES_PLAN(aggregation, (fl_aggregation)3);
    REFUSES_PLAN(number, 0);
    REFUSES_PLAN(client_cap, 0);
    REFUSES_PLAN(client_cap, FL_PROTO_CLIENTS_MAX + 1);
    REFUSES_PLAN(client_min, 0);
    REFUSES_PLAN(client_min, FL_PROTO_CLIENTS_MAX + 1);
    REFUSES_PLAN(weight_max, 0);
    REFUSES_PLAN(weight_max, FL_PROTO_SAMPLES_MAX + 1);
    REFUSES_PLAN(codec, 256);
    REFUSES_PLAN(codec, UINT32_MAX);
    REFUSES_PLAN(per_word, 17);
    REFUSES_PLAN(place, m.mail.plan.client_cap);
    REFUSES_PLAN(place, UINT32_MAX);
}

// Sets the runs to as many of so many coordinates.
static void set_runs(fl_plan *plan, uint32_t count, uint32_t coordinates)
{
    plan->run_count = count;
    for (uint32_t i = 0; i < count; i++) {
        plan->runs[i] = 4 * coordinates + i % 4;
    }
}

TEST(message_refuses_work_out_of_range)
{
    REFUSES_PLAN(work, (fl_work)4);
    REFUSES_PLAN(work, (fl_work)UINT32_MAX);
    REFUSES_PLAN(holdout, 1);
    REFUSES_PLAN(holdout, (1 << 16) + 1);
    REFUSES_PLAN(row_cap, FL_PROTO_SAMPLES_MAX + 1);
    REFUSES_PLAN(row_cap, UINT32_MAX);
}

TEST(message_takes_surveys_of_every_kind)
{
    for (fl_work work = FL_WORK_MEASURE; work <= FL_WORK_RANGES;
         work = (fl_work)((unsigned)work + 1)) {
        fl_message m = valid_survey(work);
        m.mail.plan.density = m.mail.plan.density_small = 0;
        m.mail.plan.per_word = m.mail.plan.value_max = 0;
        m.mail.plan.step_large = m.mail.plan.step_small = 0;
        assert_bound_holds(&m);
        m.mail.plan.holdout = 2;
        m.mail.plan.row_cap = 1;
        memset(m.mail.plan.ranges, 0, sizeof m.mail.plan.ranges);
        assert_bound_holds(&m);
    }
}

TEST(message_refuses_a_survey_that_is_no_tally)
{
    REFUSES_PLAN(codec, TALLY);  // it trains
    fl_message m = valid_survey(FL_WORK_IMPORTANCE);
    m.mail.plan.codec = 1;
    assert_refused(&m, "plan.codec");
    m = valid_survey(FL_WORK_RANGES);
    m.mail.plan.param_count = 4;
    set_runs(&m.mail.plan, 1, 4);
    assert_refused(&m, "plan.runs");
    m = valid_survey(FL_WORK_MEASURE);
    m.mail.plan.param_count = 2;
    assert_refused(&m, "plan.param_count");
}

static fl_message last_mail(void)
{
    fl_message m = valid(FL_MESSAGE_MAIL);
    m.mail = (fl_mail){.sequence = 9, .kind = FL_MAIL_FINISHED, .round = 8};
    return m;
}

TEST(message_tells_the_last_model_and_its_ranges)
{
    fl_message m = last_mail();
    assert_bound_holds(&m);
    memset(m.mail.model, 0xff, sizeof m.mail.model);
    assert_bound_holds(&m);
    memset(m.mail.ranges, 0xff, sizeof m.mail.ranges);
    assert_bound_holds(&m);
    memset(m.mail.model, 0, sizeof m.mail.model);
    assert_refused(&m, "ranges");
}

TEST(message_refuses_a_plan_whose_runs_do_not_add_up)
{
    fl_message m = valid_plan();
    m.mail.plan.param_count = 3 * FL_PROTO_RUNS_MAX;
    set_runs(&m.mail.plan, FL_PROTO_RUNS_MAX, 3);
    assert_bound_holds(&m);
    m.mail.plan.runs[7] += 4;
    assert_refused(&m, "plan.runs");
    m.mail.plan.runs[8] -= 4;
    assert_bound_holds(&m);
    m.mail.plan.run_count--;
    assert_refused(&m, "plan.runs");

    // A sum that would be right if it were of 32 bits.
    m.mail.plan.param_count = 1;
    set_runs(&m.mail.plan, 5, (UINT32_C(1) << 30) - 1);
    m.mail.plan.runs[4] = 4 * 5;
    assert_refused(&m, "plan.runs");
}

TEST(message_refuses_a_plan_with_a_run_of_nothing)
{
    fl_message m = valid_plan();
    m.mail.plan.param_count = 6;
    set_runs(&m.mail.plan, 3, 2);
    assert_bound_holds(&m);
    m.mail.plan.runs[1] = 3;
    m.mail.plan.param_count = 4;
    assert_refused(&m, "plan.runs");
}

TEST(message_refuses_to_encode_a_plan_with_too_many_runs)
{
    fl_message m = valid_plan();
    m.mail.plan.run_count = FL_PROTO_RUNS_MAX + 1;
    assert_err(fl_message_encode(frame, sizeof frame, &frame_len, &m),
               FL_ERR_RANGE);
    m.mail.plan.run_count = UINT32_MAX;
    assert_true(fl_message_bound(&m) < 2 * FL_PROTO_FRAME_MAX);
    assert_err(fl_message_encode(frame, sizeof frame, &frame_len, &m),
               FL_ERR_RANGE);
}

TEST(message_refuses_a_plan_with_a_float_out_of_range)
{
    const float never[] = {NAN, -NAN, INFINITY, -INFINITY, -1e-30F, -1.0F};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        REFUSES_PLAN(lr, never[i]);
        REFUSES_PLAN(momentum, never[i]);
        REFUSES_PLAN(weight_decay, never[i]);
        REFUSES_PLAN(clip_norm, never[i]);
        REFUSES_PLAN(schedule_factor, never[i]);
        REFUSES_PLAN(value_clip, never[i]);
        REFUSES_PLAN(density, never[i]);
        REFUSES_PLAN(density_small, never[i]);
        REFUSES_PLAN(step_large, never[i]);
        REFUSES_PLAN(step_small, never[i]);
    }
    REFUSES_PLAN(value_clip, 0);
    REFUSES_PLAN(lr, 0);
    REFUSES_PLAN(momentum, 1.0F);
}

TEST(message_refuses_a_schedule_without_steps)
{
    fl_message m = valid_plan();
    m.mail.plan.schedule_steps = 0;
    m.mail.plan.schedule = 1;
    assert_refused(&m, "schedule_steps");
    m.mail.plan.schedule = 2;
    assert_refused(&m, "schedule_steps");
    m.mail.plan.schedule = 0;
    assert_bound_holds(&m);
}

TEST(message_takes_a_plan_of_the_smallest_values)
{
    fl_message m = valid_plan();
    m.mail.sequence = m.mail.round = m.mail.plan.round = 1;
    m.mail.plan = (fl_plan){
        .round = 1,
        .param_count = 1,
        .local_epochs = 1,
        .batch = 1,
        .lr = 1e-38F,
        .schedule = 1,
        .schedule_steps = 1,
        .aggregation = FL_AGGREGATION_CLEAR,
        .number = 1,
        .client_cap = 1,
        .client_min = 1,
        .weight_max = 1,
        .value_clip = 1e-38F,
        .run_count = 1,
        .runs = {4},
    };
    assert_bound_holds(&m);
}

TEST(message_refuses_a_mail_of_no_kind_number_or_round)
{
    REFUSES(FL_MESSAGE_MAIL, m.mail.sequence = 0, "sequence");
    REFUSES(FL_MESSAGE_MAIL, m.mail.kind = (fl_mail_kind)5, "kind");
    fl_message m = valid_plan();
    m.mail.kind = FL_MAIL_CLOSED;
    m.mail.round = 0;
    assert_refused(&m, "round");
    m.mail.kind = FL_MAIL_FINISHED;
    assert_bound_holds(&m);  // finished before the first round
    m = valid_plan();
    m.mail.round = m.mail.plan.round = 0;
    assert_refused(&m, "round");
    m = valid_plan();
    m.mail.round ^= 1;
    assert_refused(&m, "round");
}

TEST(message_refuses_a_fetch_beyond_any_object)
{
    REFUSES(
        FL_MESSAGE_FETCH,
        (m.fetch.wants_manifest = false, m.fetch.index = FL_PROTO_CHUNKS_MAX),
        "index");
    REFUSES(FL_MESSAGE_FETCH,
            (m.fetch.wants_manifest = true, m.fetch.index = 1), "index");
}

TEST(message_refuses_a_fetch_of_a_chunk_that_speaks_of_a_base)
{
    fl_message m = valid(FL_MESSAGE_FETCH);
    m.fetch = (fl_fetch){.has_base = true};
    assert_refused(&m, "base_model");
    m.fetch = (fl_fetch){.takes_packed = true};
    assert_refused(&m, "takes_packed");
    m.fetch.wants_manifest = true;
    assert_bound_holds(&m);
    m.fetch.has_base = true;
    assert_bound_holds(&m);
}

TEST(message_refuses_a_chunk_out_of_range)
{
    REFUSES(FL_MESSAGE_CHUNK, m.chunk.index = FL_PROTO_CHUNKS_MAX, "index");
    REFUSES(FL_MESSAGE_CHUNK, m.chunk.len = 0, "chunk");
    REFUSES(FL_MESSAGE_CHUNK, m.chunk.len = FL_PROTO_CHUNK_BYTES + 1, "chunk");
}

TEST(message_refuses_a_manifest_longer_than_any)
{
    REFUSES(FL_MESSAGE_MANIFEST, m.manifest.len = 0, "manifest");
    REFUSES(FL_MESSAGE_MANIFEST,
            m.manifest.len = fl_manifest_bound(FL_PROTO_CHUNKS_MAX) + 1,
            "manifest");
    REFUSES(FL_MESSAGE_OPEN, m.open.manifest_len = 0, "manifest");
    REFUSES(FL_MESSAGE_OPEN,
            m.open.manifest_len = fl_manifest_bound(FL_PROTO_CHUNKS_MAX) + 1,
            "manifest");
}

TEST(message_refuses_a_grant_out_of_range)
{
    REFUSES(FL_MESSAGE_GRANT, m.grant.window = FL_PROTO_WINDOW_MAX + 1,
            "window");
    REFUSES(FL_MESSAGE_GRANT, m.grant.bitmap_len = FL_PROTO_BITMAP_MAX + 1,
            "bitmap");
}

TEST(message_refuses_to_encode_an_unknown_type)
{
    fl_message message = valid(FL_MESSAGE_ACK);
    message.type = (fl_message_type)0;
    assert_err(fl_message_encode(frame, sizeof frame, &frame_len, &message),
               FL_ERR_RANGE);
    message.type = (fl_message_type)16;
    assert_err(fl_message_encode(frame, sizeof frame, &frame_len, &message),
               FL_ERR_RANGE);
}

// A frame whose body is any protobuf message.
static void put_body(fl_message_type type, const ProtobufCMessage *pb)
{
    const fl_message header_of = valid(type);
    encode(&header_of);
    assert_true(protobuf_c_message_get_packed_size(pb) <
                sizeof frame - FL_PROTO_HEADER_BYTES);
    frame_len = FL_PROTO_HEADER_BYTES +
                protobuf_c_message_pack(pb, frame + FL_PROTO_HEADER_BYTES);
}

TEST(message_refuses_hashes_and_keys_of_another_length)
{
    static uint8_t bytes[FL_PROTO_TEXT_CAP + 1];
    const size_t lens[] = {0, 1, 31, 33, 63, 65, 200};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        const ProtobufCBinaryData odd = {lens[i], bytes}, even = {32, bytes};
        Fedge__Welcome welcome = FEDGE__WELCOME__INIT;
        welcome.version = 2;
        welcome.public_key = odd;
        welcome.channel_key = even;
        welcome.card = (ProtobufCBinaryData){64, bytes};
        put_body(FL_MESSAGE_WELCOME, &welcome.base);
        assert_decode_refuses(FL_ERR_FORMAT, "public_key");
        welcome.public_key = even;
        welcome.channel_key = odd;
        put_body(FL_MESSAGE_WELCOME, &welcome.base);
        assert_decode_refuses(FL_ERR_FORMAT, "channel_key");
        welcome.channel_key = even;
        welcome.card = odd;
        put_body(FL_MESSAGE_WELCOME, &welcome.base);
        assert_decode_refuses(FL_ERR_FORMAT, "card");

        Fedge__Plan plan = FEDGE__PLAN__INIT;
        plan.model = odd;
        Fedge__Mail mail = FEDGE__MAIL__INIT;
        mail.kind = FEDGE__MAIL_KIND__MAIL_KIND_PLAN;
        mail.plan = &plan;
        put_body(FL_MESSAGE_MAIL, &mail.base);
        assert_decode_refuses(FL_ERR_FORMAT, "plan.model");
        plan.model = even;
        plan.ranges = odd;
        put_body(FL_MESSAGE_MAIL, &mail.base);
        if (odd.len > 0) assert_decode_refuses(FL_ERR_FORMAT, "plan.ranges");
        mail = (Fedge__Mail)FEDGE__MAIL__INIT;
        mail.kind = FEDGE__MAIL_KIND__MAIL_KIND_FINISHED;
        mail.model = odd;
        put_body(FL_MESSAGE_MAIL, &mail.base);
        if (odd.len > 0) assert_decode_refuses(FL_ERR_FORMAT, "model has");
        mail.model = even;
        mail.ranges = odd;
        put_body(FL_MESSAGE_MAIL, &mail.base);
        if (odd.len > 0) assert_decode_refuses(FL_ERR_FORMAT, "ranges has");

        Fedge__Fetch fetch = FEDGE__FETCH__INIT;
        fetch.object = odd;
        put_body(FL_MESSAGE_FETCH, &fetch.base);
        assert_decode_refuses(FL_ERR_FORMAT, "object");
        fetch.object = even;
        fetch.wants_manifest = true;
        fetch.base_model = odd;
        put_body(FL_MESSAGE_FETCH, &fetch.base);
        if (odd.len > 0) assert_decode_refuses(FL_ERR_FORMAT, "base_model");

        Fedge__Open open = FEDGE__OPEN__INIT;
        open.model = odd;
        put_body(FL_MESSAGE_OPEN, &open.base);
        assert_decode_refuses(FL_ERR_FORMAT, "model");

        Fedge__Grant grant = FEDGE__GRANT__INIT;
        grant.object = odd;
        put_body(FL_MESSAGE_GRANT, &grant.base);
        assert_decode_refuses(FL_ERR_FORMAT, "object");

        Fedge__Commit commit = FEDGE__COMMIT__INIT;
        commit.object = odd;
        put_body(FL_MESSAGE_COMMIT, &commit.base);
        assert_decode_refuses(FL_ERR_FORMAT, "object");
    }
}

TEST(message_refuses_a_text_that_is_too_long_or_has_a_0)
{
    static uint8_t bytes[FL_PROTO_TEXT_CAP];
    memset(bytes, 'x', sizeof bytes);
    Fedge__Refusal refusal = FEDGE__REFUSAL__INIT;
    refusal.code = FL_ERR_STATE;
    refusal.text = (ProtobufCBinaryData){FL_PROTO_TEXT_CAP, bytes};
    put_body(FL_MESSAGE_REFUSAL, &refusal.base);
    assert_decode_refuses(FL_ERR_FORMAT, "at most 199");

    fl_message decoded;
    refusal.text.len = FL_PROTO_TEXT_CAP - 1;
    put_body(FL_MESSAGE_REFUSAL, &refusal.base);
    assert_ok(decode(&decoded, NULL));
    assert_int_equal(strlen(decoded.refusal.text), FL_PROTO_TEXT_CAP - 1);

    bytes[7] = 0;
    put_body(FL_MESSAGE_REFUSAL, &refusal.base);
    assert_decode_refuses(FL_ERR_FORMAT, "control characters");
}

TEST(message_refuses_a_plan_that_does_not_fit_the_kind)
{
    static uint8_t hash[FL_PROTO_HASH_BYTES];
    Fedge__Plan plan = FEDGE__PLAN__INIT;
    plan.model = (ProtobufCBinaryData){sizeof hash, hash};
    Fedge__Mail mail = FEDGE__MAIL__INIT;
    mail.sequence = mail.round = 1;
    mail.kind = FEDGE__MAIL_KIND__MAIL_KIND_PLAN;
    put_body(FL_MESSAGE_MAIL, &mail.base);
    assert_decode_refuses(FL_ERR_FORMAT, "missing");
    mail.kind = FEDGE__MAIL_KIND__MAIL_KIND_CLOSED;
    mail.plan = &plan;
    put_body(FL_MESSAGE_MAIL, &mail.base);
    assert_decode_refuses(FL_ERR_FORMAT, "plan");
    mail.kind = (Fedge__MailKind)(-1);
    mail.plan = NULL;
    put_body(FL_MESSAGE_MAIL, &mail.base);
    assert_decode_refuses(FL_ERR_FORMAT, "kind");
}

TEST(message_refuses_more_runs_than_a_plan_has_room_for)
{
    static uint8_t hash[FL_PROTO_HASH_BYTES];
    static uint32_t runs[20000];
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        runs[i] = 4;
    }
    Fedge__Plan plan = FEDGE__PLAN__INIT;
    plan.model = (ProtobufCBinaryData){sizeof hash, hash};
    plan.runs = runs;
    Fedge__Mail mail = FEDGE__MAIL__INIT;
    mail.sequence = mail.round = 1;
    mail.kind = FEDGE__MAIL_KIND__MAIL_KIND_PLAN;
    mail.plan = &plan;
    plan.n_runs = FL_PROTO_RUNS_MAX + 1;
    put_body(FL_MESSAGE_MAIL, &mail.base);
    assert_decode_refuses(FL_ERR_FORMAT, "plan.runs");
    plan.n_runs = sizeof runs / sizeof *runs;
    put_body(FL_MESSAGE_MAIL, &mail.base);
    assert_decode_refuses(FL_ERR_FORMAT, "plan.runs");
}

TEST(message_refuses_a_last_model_before_the_end)
{
    static uint8_t hash[FL_PROTO_HASH_BYTES] = {1};
    Fedge__Mail mail = FEDGE__MAIL__INIT;
    mail.sequence = mail.round = 1;
    mail.kind = FEDGE__MAIL_KIND__MAIL_KIND_CLOSED;
    mail.model = (ProtobufCBinaryData){sizeof hash, hash};
    put_body(FL_MESSAGE_MAIL, &mail.base);
    assert_decode_refuses(FL_ERR_FORMAT, "model");
    mail.model.len = 0;
    mail.ranges = (ProtobufCBinaryData){sizeof hash, hash};
    put_body(FL_MESSAGE_MAIL, &mail.base);
    assert_decode_refuses(FL_ERR_FORMAT, "ranges");
}

// Its body is not protobuf, or bytes that have one encoding.
static bool is_raw(fl_message_type type)
{
    return type == FL_MESSAGE_CHUNK || type == FL_MESSAGE_MANIFEST ||
           type == FL_MESSAGE_NOISE;
}

TEST(message_skips_fields_of_a_later_version)
{
    for (EACH_TYPE(type)) {
        if (is_raw(type)) continue;
        const fl_message message = valid(type);
        encode(&message);
        // Field 100: a varint, eight bytes, a text, four bytes.
        const uint8_t later[] = {0xa0, 6, 1, 0xa1, 6,    1, 2, 3, 4, 5, 6, 7, 8,
                                 0xa2, 6, 1, 'x',  0xa5, 6, 1, 2, 3, 4};
        memcpy(frame + frame_len, later, sizeof later);
        frame_len += sizeof later;
        fl_message decoded;
        assert_ok(decode(&decoded, NULL));
        assert_true(fl_message_equal(&decoded, &message));
    }
}

TEST(message_refuses_what_is_not_protobuf)
{
    for (EACH_TYPE(type)) {
        if (is_raw(type)) continue;
        const fl_message message = valid(type);
        encode(&message);
        frame[frame_len++] = 0xff;
        assert_decode_refuses(FL_ERR_FORMAT, "protobuf");
    }
}

TEST(message_refuses_another_magic_flags_or_header_length)
{
    const fl_message ping = valid(FL_MESSAGE_PING);
    for (size_t i = 0; i < 8; i++) {
        if (i == 2 || i == 3) continue;
        for (unsigned bit = 0; bit < 8; bit++) {
            encode(&ping);
            frame[i] ^= (uint8_t)(1u << bit);
            assert_decode_refuses(FL_ERR_FORMAT, i < 2 ? "speak" : "header");
        }
    }
}

TEST(message_tells_another_version_apart)
{
    const fl_message ping = valid(FL_MESSAGE_PING);
    encode(&ping);
    for (unsigned version = 0; version < 256; version++) {
        if (version == FL_PROTO_VERSION) continue;
        frame[2] = (uint8_t)version;
        assert_decode_refuses(FL_ERR_UNSUPPORTED, "update");
    }
    frame[4] = 1;  // flags that the other version may have
    assert_decode_refuses(FL_ERR_UNSUPPORTED, "update");
}

TEST(message_tells_an_unknown_type_apart)
{
    const fl_message ping = valid(FL_MESSAGE_PING);
    encode(&ping);
    frame[3] = 0;
    assert_decode_refuses(FL_ERR_UNSUPPORTED, "type 0");
    for (unsigned type = FL_MESSAGE_STANDING + 1; type < 256; type++) {
        frame[3] = (uint8_t)type;
        assert_decode_refuses(FL_ERR_UNSUPPORTED, "type");
    }
}

static size_t body_max(fl_message_type type)
{
    switch ((unsigned)type) {
    case FL_MESSAGE_HELLO:
    case FL_MESSAGE_WELCOME:
    case FL_MESSAGE_NOISE:
    case FL_MESSAGE_JOIN: return 512;
    case FL_MESSAGE_CHUNK: return 36 + 65536;
    case FL_MESSAGE_OPEN:
    case FL_MESSAGE_MAIL:
    case FL_MESSAGE_STEP:
    case FL_MESSAGE_MANIFEST: return 262208 - 44 - 16;
    default: return 65536;
    }
}

TEST(message_that_is_too_long_for_its_type_is_not_parsed)
{
    for (EACH_TYPE(type)) {
        const fl_message message = valid(type);
        encode(&message);
        frame_len = FL_PROTO_HEADER_BYTES + body_max(type) + 1;
        assert_decode_refuses(FL_ERR_FORMAT, "at most");
        assert_int_equal(arena.used, 0);
    }
}

// What fl_message_decode_head says of the bytes in `frame`.
static fl_err decode_head(fl_message *message, fl_reason *why)
{
    return fl_message_decode_head(message, frame, frame_len, why);
}

TEST(message_head_is_read_in_front_of_a_sealed_body)
{
    for (EACH_TYPE(type)) {
        const fl_message message = valid(type);
        fl_message head;
        encode(&message);
        frame_len += FL_PROTO_SEAL_BYTES;
        memset(frame + FL_PROTO_HEADER_BYTES, 0xa5,
               frame_len - FL_PROTO_HEADER_BYTES);
        assert_ok(decode_head(&head, NULL));
        assert_int_equal(head.type, type);
        assert_int_equal(head.counter, message.counter);
        assert_int_equal(head.operation, message.operation);
        assert_int_equal(head.round, message.round);
        assert_memory_equal(head.session, message.session, sizeof head.session);
    }
}

TEST(message_head_tells_how_long_a_sealed_body_may_be)
{
    for (EACH_TYPE(type)) {
        const fl_message message = valid(type);
        fl_message head;
        fl_reason why = {""};
        encode(&message);
        frame_len =
            FL_PROTO_HEADER_BYTES + body_max(type) + FL_PROTO_SEAL_BYTES;
        assert_ok(decode_head(&head, NULL));
        frame_len++;
        assert_err(decode_head(&head, &why), FL_ERR_FORMAT);
        assert_reason_names(why, "at most");
        frame_len = FL_PROTO_HEADER_BYTES + FL_PROTO_SEAL_BYTES - 1;
        assert_err(decode_head(&head, &why), FL_ERR_FORMAT);
        assert_reason_names(why, "too short");
    }
}

TEST(message_that_is_as_long_as_its_type_may_be_is_parsed)
{
    for (EACH_TYPE(type)) {
        if (is_raw(type)) continue;
        fl_message message = valid(type);
        if (type == FL_MESSAGE_HELLO) message.hello.build[20] = 0;
        encode(&message);
        // Field 100, a text that fills the rest.
        const size_t end = FL_PROTO_HEADER_BYTES + body_max(type);
        const size_t len = end - frame_len - 5;
        const uint8_t tag[] = {0xa2, 6, (uint8_t)(len | 0x80),
                               (uint8_t)(len >> 7 | 0x80),
                               (uint8_t)(len >> 14)};
        memcpy(frame + frame_len, tag, sizeof tag);
        frame_len = end;
        fl_message decoded;
        assert_ok(decode(&decoded, NULL));
        assert_true(fl_message_equal(&decoded, &message));
    }
}

// Decodes an exact copy, so that a read past the end is seen by ASan.
static fl_err decode_copy(fl_message *message, size_t len)
{
    uint8_t *copy = malloc(len + (len == 0));
    assert_non_null(copy);
    memcpy(copy, frame, len);
    fl_arena_reset(&arena);
    const fl_err err = fl_message_decode(message, &arena, copy, len, NULL);
    if (!err) {
        // What it borrows must still be there; what it says must be sendable.
        uint8_t *again = malloc(fl_message_bound(message));
        size_t again_len;
        assert_non_null(again);
        assert_ok(fl_message_encode(again, fl_message_bound(message),
                                    &again_len, message));
        free(again);
    }
    free(copy);
    return err;
}

static fl_message valid_and_short(fl_message_type type)
{
    for (;;) {
        const fl_message message = valid(type);
        if (fl_message_bound(&message) < 2000) return message;
    }
}

TEST(message_cut_at_any_byte_is_refused_or_means_something)
{
    for (EACH_TYPE(type)) {
        const fl_message message = valid_and_short(type);
        encode(&message);
        fl_message decoded;
        for (size_t len = 0; len < frame_len; len++) {
            const fl_err err = decode_copy(&decoded, len);
            if (len < FL_PROTO_HEADER_BYTES)
                assert_int_equal(err, FL_ERR_FORMAT);
            assert_true(err == FL_OK || err == FL_ERR_FORMAT);
            if (!err) assert_false(fl_message_equal(&decoded, &message));
        }
    }
}

TEST(message_whose_last_field_is_needed_is_refused_cut_at_any_byte)
{
    const fl_message_type types[] = {FL_MESSAGE_WELCOME, FL_MESSAGE_COMMIT};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const fl_message message = valid(types[i]);
        encode(&message);
        fl_message decoded;
        for (size_t len = 0; len < frame_len; len++) {
            assert_err(decode_copy(&decoded, len), FL_ERR_FORMAT);
        }
    }
}

TEST(message_with_any_bit_flipped_is_refused_or_valid)
{
    for (EACH_TYPE(type)) {
        const fl_message message = valid_and_short(type);
        encode(&message);
        for (size_t bit = 0; bit < 8 * frame_len; bit++) {
            frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
            fl_message decoded;
            const fl_err err = decode_copy(&decoded, frame_len);
            assert_true(err == FL_OK || err == FL_ERR_FORMAT ||
                        err == FL_ERR_UNSUPPORTED);
            frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

TEST(message_stays_within_the_memory_it_is_given)
{
    for (EACH_TYPE(type)) {
        if (is_raw(type)) continue;
        const fl_message message = valid_and_short(type);
        encode(&message);
        bool was_enough = false;
        for (size_t cap = 0; cap < 8192 && !was_enough; cap++) {
            fl_arena small;
            fl_message decoded;
            fl_reason why = {""};
            fl_arena_init(&small, cap);
            const fl_err err =
                fl_message_decode(&decoded, &small, frame, frame_len, &why);
            assert_true(small.used <= cap);
            if (err) {
                assert_int_equal(err, FL_ERR_MEMORY);
                assert_reason_names(why, "memory");
            } else {
                was_enough = true;
                assert_true(fl_message_equal(&decoded, &message));
            }
            fl_arena_fini(&small);
        }
        assert_true(was_enough);
    }
}

TEST(message_of_thousands_of_unknown_fields_is_bounded)
{
    const fl_message ping = valid(FL_MESSAGE_PING);
    encode(&ping);
    for (size_t i = 0; i < 16000; i++) {
        frame[frame_len++] = 0x78;  // field 15, a varint
        frame[frame_len++] = 1;
    }
    fl_message decoded;
    assert_ok(decode(&decoded, NULL));
    assert_true(fl_message_equal(&decoded, &ping));

    fl_arena small;
    fl_arena_init(&small, 64 * 1024);
    assert_err(fl_message_decode(&decoded, &small, frame, frame_len, NULL),
               FL_ERR_MEMORY);
    fl_arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_roundtrips_in_every_type),
        cmocka_unit_test(message_needs_exactly_the_room_it_takes),
        cmocka_unit_test(message_bound_holds_for_the_largest_values),
        cmocka_unit_test(message_has_a_name_for_every_type),
        cmocka_unit_test(message_refuses_a_hello_without_versions),
        cmocka_unit_test(message_refuses_control_characters_in_a_text),
        cmocka_unit_test(message_refuses_to_encode_a_text_without_its_end),
        cmocka_unit_test(
            message_refuses_a_greeting_with_a_session_or_a_counter),
        cmocka_unit_test(message_refuses_a_welcome_out_of_range),
        cmocka_unit_test(
            message_refuses_a_handshake_message_without_a_length_it_may_have),
        cmocka_unit_test(message_refuses_a_step_out_of_range),
        cmocka_unit_test(message_refuses_a_join_out_of_range),
        cmocka_unit_test(message_refuses_a_standing_out_of_range),
        cmocka_unit_test(message_refuses_a_refusal_without_an_error_of_ours),
        cmocka_unit_test(message_refuses_a_plan_with_a_count_out_of_range),
        cmocka_unit_test(message_refuses_work_out_of_range),
        cmocka_unit_test(message_takes_surveys_of_every_kind),
        cmocka_unit_test(message_refuses_a_survey_that_is_no_tally),
        cmocka_unit_test(message_tells_the_last_model_and_its_ranges),
        cmocka_unit_test(message_refuses_a_plan_whose_runs_do_not_add_up),
        cmocka_unit_test(message_refuses_a_plan_with_a_run_of_nothing),
        cmocka_unit_test(message_refuses_to_encode_a_plan_with_too_many_runs),
        cmocka_unit_test(message_refuses_a_plan_with_a_float_out_of_range),
        cmocka_unit_test(message_refuses_a_schedule_without_steps),
        cmocka_unit_test(message_takes_a_plan_of_the_smallest_values),
        cmocka_unit_test(message_refuses_a_mail_of_no_kind_number_or_round),
        cmocka_unit_test(message_refuses_a_fetch_beyond_any_object),
        cmocka_unit_test(
            message_refuses_a_fetch_of_a_chunk_that_speaks_of_a_base),
        cmocka_unit_test(message_refuses_a_chunk_out_of_range),
        cmocka_unit_test(message_refuses_a_manifest_longer_than_any),
        cmocka_unit_test(message_refuses_a_grant_out_of_range),
        cmocka_unit_test(message_refuses_to_encode_an_unknown_type),
        cmocka_unit_test(message_refuses_hashes_and_keys_of_another_length),
        cmocka_unit_test(message_refuses_a_text_that_is_too_long_or_has_a_0),
        cmocka_unit_test(message_refuses_a_plan_that_does_not_fit_the_kind),
        cmocka_unit_test(message_refuses_a_last_model_before_the_end),
        cmocka_unit_test(message_refuses_more_runs_than_a_plan_has_room_for),
        cmocka_unit_test(message_skips_fields_of_a_later_version),
        cmocka_unit_test(message_refuses_what_is_not_protobuf),
        cmocka_unit_test(message_refuses_another_magic_flags_or_header_length),
        cmocka_unit_test(message_tells_another_version_apart),
        cmocka_unit_test(message_tells_an_unknown_type_apart),
        cmocka_unit_test(message_that_is_too_long_for_its_type_is_not_parsed),
        cmocka_unit_test(message_head_is_read_in_front_of_a_sealed_body),
        cmocka_unit_test(message_head_tells_how_long_a_sealed_body_may_be),
        cmocka_unit_test(message_that_is_as_long_as_its_type_may_be_is_parsed),
        cmocka_unit_test(message_cut_at_any_byte_is_refused_or_means_something),
        cmocka_unit_test(
            message_whose_last_field_is_needed_is_refused_cut_at_any_byte),
        cmocka_unit_test(message_with_any_bit_flipped_is_refused_or_valid),
        cmocka_unit_test(message_stays_within_the_memory_it_is_given),
        cmocka_unit_test(message_of_thousands_of_unknown_fields_is_bounded),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
