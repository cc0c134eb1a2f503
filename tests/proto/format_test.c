/*
 * docs/format.md, executed: what it shows is built here from values, and read
 * back from its bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "proto/proto.h"
#include "secure/key_file.h"
#include "secure/secure.h"
#include "tests/support/messages.h"
#include "tests/support/vector.h"
#include "tests/test.h"

static const char DOCUMENT[] = "docs/format.md";

enum { OBJECT_LEN = 70000, CHUNK_COUNT = 2 };

static uint8_t object[OBJECT_LEN];
static uint8_t chunk_hashes[CHUNK_COUNT * FL_PROTO_HASH_BYTES];
static uint8_t manifest_bytes[128], object_name[FL_PROTO_HASH_BYTES];
static size_t manifest_len;
static fl_identity client, aggregator;
static fl_arena arena;

// A greeting with fresh keys that are no secret, and what it leads to.
static fl_line client_line, aggregator_line;
static uint8_t hello[FL_LINE_GREETING_CAP], welcome[FL_LINE_GREETING_CAP];
static uint8_t noise_1[FL_LINE_GREETING_CAP], noise_2[FL_LINE_GREETING_CAP];
static size_t hello_len, welcome_len, noise_1_len, noise_2_len;
static uint8_t session[FL_PROTO_SESSION_BYTES];

static void assert_documented(const char *name, const void *bytes, size_t len)
{
    size_t expected_len;
    uint8_t *expected = fl_vector_read(&expected_len, DOCUMENT, name);
    if (!expected) fail_msg("%s has no hex block %s", DOCUMENT, name);
    assert_int_equal(len, expected_len);
    assert_memory_equal(bytes, expected, len);
    free(expected);
}

static fl_identity identity_of(uint8_t seed_byte)
{
    uint8_t seed[FL_SEED_BYTES];
    fl_identity identity;
    memset(seed, seed_byte, sizeof seed);
    fl_identity_init(&identity, seed);
    return identity;
}

static fl_err make_greeting(void)
{
    fl_message message;
    uint8_t fresh[FL_LINE_FRESH_BYTES];
    for (size_t i = 0; i < FL_PROTO_SESSION_BYTES; i++) {
        session[i] = (uint8_t)(0xa0 + i);
    }
    client = identity_of(1);
    aggregator = identity_of(2);
    fl_line_hello(hello, &hello_len, "fedge 0.1.0");
    fl_line_welcome(&aggregator_line, welcome, &welcome_len, &aggregator, hello,
                    hello_len);
    FL_TRY(fl_line_receive(&client_line, &message, &arena, welcome, welcome_len,
                           NULL));
    memset(fresh, 0x11, sizeof fresh);
    FL_TRY(fl_line_greet(&client_line, noise_1, &noise_1_len, &client,
                         &(fl_greeting){.hello = hello,
                                        .hello_len = hello_len,
                                        .welcome = welcome,
                                        .welcome_len = welcome_len,
                                        .words = &message.welcome},
                         fresh));
    FL_TRY(fl_line_receive(&aggregator_line, &message, &arena, noise_1,
                           noise_1_len, NULL));
    memset(fresh, 0x22, sizeof fresh);
    FL_TRY(fl_line_admit(&aggregator_line, noise_2, &noise_2_len, &message,
                         session, fresh));
    FL_TRY(fl_line_receive(&client_line, &message, &arena, noise_2, noise_2_len,
                           NULL));
    return fl_line_join(&client_line, &message);
}

static fl_manifest manifest(void)
{
    return (fl_manifest){
        .kind = FL_OBJECT_UPDATE,
        .round = 7,
        .size = OBJECT_LEN,
        .chunk_bytes = FL_PROTO_CHUNK_BYTES,
        .chunk_count = CHUNK_COUNT,
        .chunk_hashes = chunk_hashes,
    };
}

static int make_examples(void **state)
{
    (void)state;
    if (fl_secure_start()) return -1;
    fl_arena_init(&arena, 1 << 20);
    if (make_greeting()) return -1;
    for (size_t i = 0; i < OBJECT_LEN; i++) {
        object[i] = (uint8_t)(i % 251);
    }
    fl_hash(chunk_hashes, object, FL_PROTO_CHUNK_BYTES);
    fl_hash(chunk_hashes + FL_PROTO_HASH_BYTES, object + FL_PROTO_CHUNK_BYTES,
            OBJECT_LEN - FL_PROTO_CHUNK_BYTES);
    const fl_manifest example = manifest();
    if (fl_manifest_encode(manifest_bytes, sizeof manifest_bytes, &manifest_len,
                           &example)) {
        return -1;
    }
    fl_hash(object_name, manifest_bytes, manifest_len);
    return 0;
}

static int drop_examples(void **state)
{
    (void)state;
    fl_arena_fini(&arena);
    return 0;
}

static fl_message message_of(fl_message_type type, uint64_t counter,
                             uint64_t operation, uint32_t round)
{
    fl_message message;
    memset(&message, 0, sizeof message);
    message.type = type;
    message.counter = counter;
    message.operation = operation;
    message.round = round;
    memcpy(message.session, session, sizeof message.session);
    return message;
}

static void assert_frame(const char *name, const fl_message *message)
{
    uint8_t frame[1024];
    size_t len;
    assert_ok(fl_message_encode(frame, sizeof frame, &len, message));
    assert_documented(name, frame, len);

    fl_message decoded;
    fl_reason why = {""};
    fl_arena_reset(&arena);
    assert_ok(fl_message_decode(&decoded, &arena, frame, len, &why));
    assert_true(fl_message_equal(&decoded, message));
}

TEST(format_keys_are_those_of_their_seeds)
{
    assert_documented("client_key", client.public_key, FL_KEY_BYTES);
    assert_documented("client_channel_key", client.channel_key, FL_KEY_BYTES);
    assert_documented("aggregator_key", aggregator.public_key, FL_KEY_BYTES);
    assert_documented("aggregator_channel_key", aggregator.channel_key,
                      FL_KEY_BYTES);
}

TEST(format_greeting_is_as_documented)
{
    assert_documented("hello", hello, hello_len);
    assert_documented("welcome", welcome, welcome_len);
    assert_documented("noise_1", noise_1, noise_1_len);
    assert_documented("noise_2", noise_2, noise_2_len);
    assert_memory_equal(aggregator_line.peer, client.public_key, FL_KEY_BYTES);
    assert_memory_equal(client_line.peer, aggregator.public_key, FL_KEY_BYTES);
    assert_documented("handshake_hash", client_line.channel.noise.hash,
                      FL_NOISE_HASH_BYTES);
    assert_documented("client_frame_key", client_line.channel.out.key, 32);
    assert_documented("aggregator_frame_key", client_line.channel.in.key, 32);
}

TEST(format_sealed_frames_are_as_documented)
{
    uint8_t frame[1024];
    size_t len;
    fl_message message = message_of(FL_MESSAGE_CHECK_IN, 0, 3, 0);
    message.check_in = (fl_check_in){.mail_after = 3};
    assert_ok(fl_line_send(&client_line, frame, sizeof frame, &len, &message));
    assert_documented("sealed_check_in", frame, len);
    assert_ok(
        fl_line_receive(&aggregator_line, &message, &arena, frame, len, NULL));
    assert_int_equal(message.check_in.mail_after, 3);

    message = message_of(FL_MESSAGE_ACK, 0, 3, 0);
    assert_ok(
        fl_line_send(&aggregator_line, frame, sizeof frame, &len, &message));
    assert_documented("sealed_ack", frame, len);
    assert_ok(
        fl_line_receive(&client_line, &message, &arena, frame, len, NULL));
}

TEST(format_check_in_is_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_CHECK_IN, 1, 3, 0);
    message.check_in = (fl_check_in){.mail_after = 3};
    assert_frame("check_in", &message);
    message.check_in.away = FL_AWAY_HOT;
    assert_frame("check_in_away", &message);
}

TEST(format_ack_is_as_documented)
{
    const fl_message message = message_of(FL_MESSAGE_ACK, 1, 3, 0);
    assert_frame("ack", &message);
}

TEST(format_refusal_is_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_REFUSAL, 3, 4, 6);
    message.refusal = (fl_refusal){FL_ERR_STALE, "round 6 is over"};
    assert_frame("refusal", &message);
}

// The plan of the example.
static fl_plan plan(void)
{
    fl_plan plan = {.round = 7,
                    .param_count = OBJECT_LEN / 4,
                    .deadline_ms = 60000,
                    .local_epochs = 2,
                    .batch = 32,
                    .lr = 0.25F,
                    .momentum = 0.875F,
                    .weight_decay = 0x1p-12F,
                    .clip_norm = 1.5F,
                    .schedule = 2,
                    .schedule_steps = 100,
                    .schedule_factor = 0.5F,
                    .seed = 0x0123456789abcdef,
                    .aggregation = FL_AGGREGATION_SECURE,
                    .number = 9,
                    .client_cap = 10,
                    .client_min = 8,
                    .weight_max = 1000,
                    .value_clip = 4.0F,
                    .codec = 1,
                    .density = 0.0625F,
                    .density_small = 0.25F,
                    .per_word = 12,
                    .value_max = 300,
                    .step_large = 0x1p-10F,
                    .step_small = 0x1p-9F,
                    .place = 3,
                    .run_count = 2,
                    .runs = {4 * 16000, 4 * 1500 + 1},
                    .holdout = 10};
    memset(plan.model, 0x33, sizeof plan.model);
    memset(plan.enrolment, 0x44, sizeof plan.enrolment);
    memset(plan.ranges, 0x77, sizeof plan.ranges);
    return plan;
}

// A survey of how much the 48 channels of that model matter.
static fl_plan survey(void)
{
    fl_plan survey = plan();
    survey.work = FL_WORK_IMPORTANCE;
    survey.row_cap = 512;
    survey.round = 8;
    survey.number = 10;
    survey.param_count = 48;
    survey.codec = 9;
    survey.density = survey.density_small = 0;
    survey.per_word = survey.value_max = survey.run_count = 0;
    survey.step_large = survey.step_small = 0;
    memset(survey.ranges, 0, sizeof survey.ranges);
    return survey;
}

TEST(format_mail_is_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_MAIL, 3, 0, 7);
    message.mail = (fl_mail){
        .sequence = 4, .kind = FL_MAIL_PLAN, .round = 7, .plan = plan()};
    assert_frame("mail", &message);
}

TEST(format_mail_of_a_survey_is_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_MAIL, 4, 0, 8);
    message.mail = (fl_mail){
        .sequence = 6, .kind = FL_MAIL_PLAN, .round = 8, .plan = survey()};
    assert_frame("mail_survey", &message);
}

TEST(format_last_mail_is_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_MAIL, 5, 0, 9);
    message.mail =
        (fl_mail){.sequence = 8, .kind = FL_MAIL_FINISHED, .round = 9};
    memset(message.mail.model, 0x33, FL_PROTO_HASH_BYTES);
    memset(message.mail.ranges, 0x77, FL_PROTO_HASH_BYTES);
    assert_frame("mail_finished", &message);
}

TEST(format_recipe_is_as_documented)
{
    uint8_t recipe[FL_PROTO_HASH_BYTES];
    const fl_plan example = plan();
    fl_plan_recipe(recipe, &example);
    assert_documented("plan_recipe", recipe, sizeof recipe);
}

#define CHANGES_RECIPE(change)                                   \
    do {                                                         \
        uint8_t changed[FL_PROTO_HASH_BYTES];                    \
        fl_plan p = plan();                                      \
        change;                                                  \
        fl_plan_recipe(changed, &p);                             \
        assert_memory_not_equal(recipe, changed, sizeof recipe); \
    } while (0)

TEST(format_recipe_covers_what_a_survey_is_asked)
{
    uint8_t recipe[FL_PROTO_HASH_BYTES];
    const fl_plan example = plan();
    fl_plan_recipe(recipe, &example);
    CHANGES_RECIPE(p.work = FL_WORK_MEASURE);
    CHANGES_RECIPE(p.holdout++);
    CHANGES_RECIPE(p.row_cap++);
    CHANGES_RECIPE(p.ranges[31] ^= 1);
    CHANGES_RECIPE(p.model[31] ^= 1);
}

TEST(format_codec_seed_is_as_documented)
{
    const fl_plan example = plan();
    uint8_t seed[8];
    fl_writer out = fl_writer_over(seed, sizeof seed);
    fl_writer_u64(&out, fl_plan_codec_seed(&example));
    assert_ok(fl_writer_finish(&out));
    assert_documented("plan_codec_seed", seed, sizeof seed);
}

TEST(format_step_is_as_documented)
{
    const uint8_t body[] = {1, 2, 3};
    fl_message message = message_of(FL_MESSAGE_STEP, 6, 6, 7);
    message.step = (fl_step_body){11, body, sizeof body};
    assert_frame("step", &message);
}

TEST(format_ping_and_pong_are_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_PING, 7, 8, 0);
    message.ping.mail_after = 4;
    assert_frame("ping", &message);
    message.ping.away = FL_AWAY_METERED;
    assert_frame("ping_away", &message);
    message = message_of(FL_MESSAGE_PONG, 7, 8, 0);
    assert_frame("pong", &message);
}

TEST(format_join_and_standing_are_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_JOIN, 1, 3, 0);
    message.join = (fl_join){
        .has_token = true, .token = {.id = 0x7f000001}, .name = "kitchen"};
    for (uint8_t i = 0; i < FL_TOKEN_SECRET_BYTES; i++) {
        message.join.token.secret[i] = (uint8_t)(i * 0x11);
    }
    assert_frame("join", &message);
    uint8_t hash[FL_HASH_BYTES];
    fl_token_hash(hash, &message.join.token);
    assert_documented("token_hash", hash, sizeof hash);
    message = message_of(FL_MESSAGE_STANDING, 1, 3, 0);
    message.standing = (fl_standing){.state = FL_STANDING_ENROLLED,
                                     .name = "kitchen",
                                     .has_authority = true};
    memset(message.standing.authority, 0x55, FL_KEY_BYTES);
    assert_frame("standing", &message);
    message = message_of(FL_MESSAGE_STANDING, 1, 3, 0);
    message.standing = (fl_standing){.state = FL_STANDING_REFUSED,
                                     .cause = FL_CAUSE_TOKEN_USED};
    assert_frame("standing_refused", &message);
}

TEST(format_object_and_its_name_are_as_documented)
{
    assert_documented("object", manifest_bytes, manifest_len);
    assert_documented("object_name", object_name, sizeof object_name);

    fl_manifest decoded;
    const fl_manifest expected = manifest();
    fl_arena_reset(&arena);
    assert_ok(fl_manifest_decode(&decoded, &arena, manifest_bytes, manifest_len,
                                 NULL));
    assert_int_equal(decoded.kind, expected.kind);
    assert_int_equal(decoded.round, expected.round);
    assert_int_equal(decoded.size, expected.size);
    assert_int_equal(decoded.chunk_bytes, expected.chunk_bytes);
    assert_int_equal(decoded.chunk_count, expected.chunk_count);
    assert_memory_equal(decoded.chunk_hashes, chunk_hashes,
                        sizeof chunk_hashes);
}

TEST(format_fetch_is_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_FETCH, 3, 4, 7);
    memcpy(message.fetch.object, object_name, sizeof object_name);
    message.fetch.index = 1;
    assert_frame("fetch", &message);

    message = message_of(FL_MESSAGE_FETCH, 3, 4, 7);
    memset(message.fetch.object, 0x33, FL_PROTO_HASH_BYTES);
    message.fetch.wants_manifest = true;
    message.fetch.has_base = true;
    memset(message.fetch.base, 0x22, FL_PROTO_HASH_BYTES);
    message.fetch.takes_packed = true;
    assert_frame("fetch_base", &message);
}

TEST(format_manifest_is_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_MANIFEST, 4, 4, 7);
    message.manifest.bytes = manifest_bytes;
    message.manifest.len = manifest_len;
    assert_frame("manifest", &message);
}

TEST(format_chunk_is_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_CHUNK, 5, 5, 7);
    memcpy(message.chunk.object, object_name, sizeof object_name);
    message.chunk.index = 1;
    message.chunk.bytes = object + FL_PROTO_CHUNK_BYTES;
    message.chunk.len = 16;
    assert_frame("chunk", &message);
}

TEST(format_open_is_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_OPEN, 4, 6, 7);
    message.open = (fl_open){
        .manifest = manifest_bytes,
        .manifest_len = manifest_len,
    };
    memset(message.open.model, 0x33, FL_PROTO_HASH_BYTES);
    assert_frame("open", &message);
}

TEST(format_grant_is_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_GRANT, 6, 6, 7);
    const uint8_t bitmap[] = {1};
    memcpy(message.grant.object, object_name, sizeof object_name);
    message.grant.window = 8;
    message.grant.bitmap = bitmap;
    message.grant.bitmap_len = sizeof bitmap;
    assert_frame("grant", &message);

    message = message_of(FL_MESSAGE_GRANT, 6, 6, 7);
    memcpy(message.grant.object, object_name, sizeof object_name);
    message.grant.later_ms = 2500;
    assert_frame("grant_later", &message);
}

TEST(format_commit_is_as_documented)
{
    fl_message message = message_of(FL_MESSAGE_COMMIT, 6, 7, 7);
    memcpy(message.commit.object, object_name, sizeof object_name);
    assert_frame("commit", &message);
}

TEST(format_key_file_is_as_documented)
{
    uint8_t seed[FL_SEED_BYTES];
    char text[FL_KEY_FILE_BYTES];
    memset(seed, 1, sizeof seed);
    fl_key_file_encode(text, seed);
    assert_documented("key_file", text, sizeof text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_keys_are_those_of_their_seeds),
        cmocka_unit_test(format_greeting_is_as_documented),
        cmocka_unit_test(format_sealed_frames_are_as_documented),
        cmocka_unit_test(format_check_in_is_as_documented),
        cmocka_unit_test(format_ack_is_as_documented),
        cmocka_unit_test(format_refusal_is_as_documented),
        cmocka_unit_test(format_mail_is_as_documented),
        cmocka_unit_test(format_mail_of_a_survey_is_as_documented),
        cmocka_unit_test(format_last_mail_is_as_documented),
        cmocka_unit_test(format_recipe_is_as_documented),
        cmocka_unit_test(format_recipe_covers_what_a_survey_is_asked),
        cmocka_unit_test(format_codec_seed_is_as_documented),
        cmocka_unit_test(format_step_is_as_documented),
        cmocka_unit_test(format_ping_and_pong_are_as_documented),
        cmocka_unit_test(format_join_and_standing_are_as_documented),
        cmocka_unit_test(format_object_and_its_name_are_as_documented),
        cmocka_unit_test(format_fetch_is_as_documented),
        cmocka_unit_test(format_manifest_is_as_documented),
        cmocka_unit_test(format_chunk_is_as_documented),
        cmocka_unit_test(format_open_is_as_documented),
        cmocka_unit_test(format_grant_is_as_documented),
        cmocka_unit_test(format_commit_is_as_documented),
        cmocka_unit_test(format_key_file_is_as_documented),
    };
    return cmocka_run_group_tests(tests, make_examples, drop_examples);
}
