/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/line.h"

#include "tests/support/frame.h"
#include "tests/test.h"

// Both ends of a connection, and the frames of their greeting.
typedef struct {
    fl_identity client_keys, aggregator_keys;
    fl_line client, aggregator;
    uint8_t hello[FL_LINE_GREETING_CAP], welcome[FL_LINE_GREETING_CAP];
    uint8_t noise[FL_LINE_GREETING_CAP];
    size_t hello_len, welcome_len, noise_len;
} ends;

enum { FRAME_CAP = 1024 };

static const uint8_t SESSION[FL_PROTO_SESSION_BYTES] = {1, 2, 3};
static fl_arena arena;

static int start(void **state)
{
    (void)state;
    fl_arena_init(&arena, 1 << 20);
    return fl_secure_start() ? -1 : 0;
}

static int finish(void **state)
{
    (void)state;
    fl_arena_fini(&arena);
    return 0;
}

static ends begin(void)
{
    ends e = {.hello_len = 0};
    fl_arena_reset(&arena);
    fl_identity_init(&e.client_keys, (const uint8_t[FL_SEED_BYTES]){1});
    fl_identity_init(&e.aggregator_keys, (const uint8_t[FL_SEED_BYTES]){2});
    return e;
}

static fl_message hear(fl_line *line, const uint8_t *frame, size_t len)
{
    fl_message message;
    assert_ok(fl_line_receive(line, &message, &arena, frame, len, NULL));
    return message;
}

static void say_hello(ends *e)
{
    fl_line_hello(e->hello, &e->hello_len, "test");
}

static void say_welcome(ends *e)
{
    fl_line_welcome(&e->aggregator, e->welcome, &e->welcome_len,
                    &e->aggregator_keys, e->hello, e->hello_len);
}

static fl_err greet(ends *e)
{
    const fl_message welcome = hear(&e->client, e->welcome, e->welcome_len);
    return fl_line_greet(&e->client, e->noise, &e->noise_len, &e->client_keys,
                         &(fl_greeting){.hello = e->hello,
                                        .hello_len = e->hello_len,
                                        .welcome = e->welcome,
                                        .welcome_len = e->welcome_len,
                                        .words = &welcome.welcome},
                         (const uint8_t[FL_LINE_FRESH_BYTES]){0, 3});
}

// The aggregator's answer takes the place of the client's message.
static fl_err admit(ends *e)
{
    const fl_message noise = hear(&e->aggregator, e->noise, e->noise_len);
    return fl_line_admit(&e->aggregator, e->noise, &e->noise_len, &noise,
                         SESSION, (const uint8_t[FL_LINE_FRESH_BYTES]){0, 4});
}

static fl_err join(ends *e)
{
    const fl_message noise = hear(&e->client, e->noise, e->noise_len);
    return fl_line_join(&e->client, &noise);
}

static ends sealed(void)
{
    ends e = begin();
    say_hello(&e);
    say_welcome(&e);
    assert_ok(greet(&e));
    assert_ok(admit(&e));
    assert_ok(join(&e));
    return e;
}

static void assert_refuses(fl_line *line, const uint8_t *frame, size_t len,
                           fl_err expected, const char *word)
{
    fl_message message;
    fl_reason why = {""};
    assert_err(fl_line_receive(line, &message, &arena, frame, len, &why),
               expected);
    assert_reason_names(why, word);
}

TEST(line_is_sealed_when_both_have_greeted)
{
    ends e = begin();
    say_hello(&e);
    say_welcome(&e);
    assert_ok(greet(&e));
    assert_false(fl_line_is_sealed(&e.client));
    assert_ok(admit(&e));
    assert_true(fl_line_is_sealed(&e.aggregator));
    assert_ok(join(&e));
    assert_true(fl_line_is_sealed(&e.client));
    assert_memory_equal(e.client.peer, e.aggregator_keys.public_key,
                        FL_KEY_BYTES);
    assert_memory_equal(e.aggregator.peer, e.client_keys.public_key,
                        FL_KEY_BYTES);
    assert_memory_equal(e.client.session, SESSION, sizeof SESSION);
}

TEST(line_carries_messages_both_ways)
{
    ends e = sealed();
    fl_line *lines[] = {&e.client, &e.aggregator};
    for (uint64_t i = 0; i < 600; i++) {
        uint8_t frame[FRAME_CAP];
        size_t len;
        fl_arena_reset(&arena);
        fl_message ping = {
            .type = FL_MESSAGE_PING, .operation = i, .ping = {.mail_after = i}};
        assert_ok(fl_line_send(lines[i % 2], frame, sizeof frame, &len, &ping));
        assert_true(len <= fl_message_bound(&ping));
        const fl_message heard = hear(lines[1 - i % 2], frame, len);
        assert_int_equal(heard.type, FL_MESSAGE_PING);
        assert_int_equal(heard.ping.mail_after, i);
        assert_int_equal(heard.operation, i);
        assert_int_equal(heard.counter, i / 2 + 1);
    }
}

// Every bit of what was said in clear is in the handshake.
TEST(line_fails_when_a_greeting_was_changed_on_its_way)
{
    ends honest = begin();
    say_hello(&honest);
    say_welcome(&honest);
    for (size_t bit = 0; bit < 8 * honest.hello_len; bit++) {
        ends e = begin();
        say_hello(&e);
        e.hello[bit / 8] ^= (uint8_t)(1U << bit % 8);
        say_welcome(&e);
        e.hello[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_ok(greet(&e));
        assert_err(admit(&e), FL_ERR_AUTH);
    }
    for (size_t bit = 0; bit < 8 * honest.welcome_len; bit++) {
        ends e = begin();
        fl_message message;
        say_hello(&e);
        say_welcome(&e);
        e.welcome[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (fl_line_receive(&e.client, &message, &arena, e.welcome,
                            e.welcome_len, NULL) ||
            message.type != FL_MESSAGE_WELCOME ||
            fl_line_check_welcome(&message.welcome)) {
            continue;  // seen at once
        }
        assert_ok(greet(&e));
        assert_err(admit(&e), FL_ERR_AUTH);
    }
}

TEST(line_refuses_a_welcome_with_a_forged_card)
{
    ends e = begin();
    say_hello(&e);
    say_welcome(&e);
    fl_welcome welcome = hear(&e.client, e.welcome, e.welcome_len).welcome;
    assert_ok(fl_line_check_welcome(&welcome));
    welcome.version = FL_PROTO_VERSION + 1;
    assert_err(fl_line_check_welcome(&welcome), FL_ERR_UNSUPPORTED);
    welcome.version = FL_PROTO_VERSION - 1;
    assert_err(fl_line_check_welcome(&welcome), FL_ERR_UNSUPPORTED);
    welcome.version = FL_PROTO_VERSION;
    memcpy(welcome.public_key, e.client_keys.public_key, FL_KEY_BYTES);
    assert_err(fl_line_check_welcome(&welcome), FL_ERR_AUTH);
}

TEST(line_refuses_a_client_whose_card_is_forged)
{
    ends e = begin();
    memcpy(e.client_keys.public_key, e.aggregator_keys.public_key,
           FL_KEY_BYTES);
    say_hello(&e);
    say_welcome(&e);
    assert_ok(greet(&e));
    assert_err(admit(&e), FL_ERR_AUTH);
}

TEST(line_refuses_a_useless_channel_key)
{
    ends e = begin();
    memset(e.aggregator_keys.channel_key, 0, FL_KEY_BYTES);
    say_hello(&e);
    say_welcome(&e);
    assert_err(greet(&e), FL_ERR_AUTH);
}

// Noise is right, what it carries is not.
TEST(line_refuses_payloads_of_another_length)
{
    const fl_message short_one = {.type = FL_MESSAGE_NOISE,
                                  .noise = {SESSION, sizeof SESSION}};
    ends e = begin();
    uint8_t bytes[FL_PROTO_GREETING_MAX];
    size_t len;
    fl_channel_init(&e.client.channel, &e.client_keys,
                    e.aggregator_keys.channel_key, "", 0);
    fl_channel_init(&e.aggregator.channel, &e.aggregator_keys, NULL, "", 0);
    assert_ok(fl_channel_write(&e.client.channel, bytes, &len,
                               (const uint8_t[32]){0, 3}, SESSION,
                               sizeof SESSION));
    fl_message noise = {.type = FL_MESSAGE_NOISE, .noise = {bytes, len}};
    assert_err(fl_line_admit(&e.aggregator, e.noise, &e.noise_len, &noise,
                             SESSION, (const uint8_t[32]){0, 4}),
               FL_ERR_FORMAT);
    assert_ok(fl_channel_write(&e.aggregator.channel, bytes, &noise.noise.len,
                               (const uint8_t[32]){0, 4}, "", 0));
    assert_err(fl_line_join(&e.client, &noise), FL_ERR_FORMAT);

    e = begin();
    say_hello(&e);
    say_welcome(&e);
    assert_ok(greet(&e));
    assert_err(fl_line_join(&e.client, &short_one), FL_ERR_FORMAT);
}

TEST(line_says_and_takes_nothing_but_greetings_in_clear)
{
    for (fl_message_type type = FL_MESSAGE_CHECK_IN; type <= FL_MESSAGE_PONG;
         type = (fl_message_type)((unsigned)type + 1)) {
        ends e = begin();
        uint8_t frame[FRAME_CAP];
        size_t len;
        if (type == FL_MESSAGE_REFUSAL) continue;
        fl_message message = {.type = type};
        assert_err(fl_line_send(&e.client, frame, sizeof frame, &len, &message),
                   FL_ERR_STATE);
        fl_message ping = {.type = FL_MESSAGE_PING};
        assert_ok(fl_message_encode(frame, sizeof frame, &len, &ping));
        assert_refuses(&e.aggregator, frame, len, FL_ERR_AUTH, "ping");
    }
}

TEST(line_takes_a_refusal_in_clear_only_without_session_and_counter)
{
    ends e = begin();
    uint8_t frame[FRAME_CAP];
    size_t len;
    fl_message refusal = {.type = FL_MESSAGE_REFUSAL,
                          .refusal = {.code = FL_ERR_LIMIT, .text = "no"}};
    assert_ok(fl_line_send(&e.aggregator, frame, sizeof frame, &len, &refusal));
    assert_int_equal(hear(&e.client, frame, len).refusal.code, FL_ERR_LIMIT);
    frame[8] = 1;
    assert_refuses(&e.client, frame, len, FL_ERR_AUTH, "refusal");
    frame[8] = 0;
    frame[24] = 1;
    assert_refuses(&e.client, frame, len, FL_ERR_AUTH, "refusal");
}

TEST(line_takes_no_frame_in_clear_once_it_is_sealed)
{
    ends e = sealed();
    uint8_t frame[FRAME_CAP];
    size_t len;
    fl_message ping = {.type = FL_MESSAGE_PING, .counter = 1};
    assert_refuses(&e.aggregator, e.hello, e.hello_len, FL_ERR_FORMAT,
                   "sealed");
    assert_refuses(&e.aggregator, e.welcome, e.welcome_len, FL_ERR_AUTH,
                   "session");
    memcpy(ping.session, SESSION, sizeof SESSION);
    assert_ok(fl_message_encode(frame, sizeof frame, &len, &ping));
    assert_refuses(&e.aggregator, frame, len, FL_ERR_FORMAT, "sealed");
    memset(frame + len, 0, FL_PROTO_SEAL_BYTES);
    len += FL_PROTO_SEAL_BYTES;
    assert_refuses(&e.aggregator, frame, len, FL_ERR_AUTH, "open");
}

// A frame that opens is decoded like any other.
TEST(line_checks_what_it_has_opened)
{
    ends e = sealed();
    uint8_t frame[FRAME_CAP];
    const fl_message greeting = {.type = FL_MESSAGE_HELLO};
    size_t len = fl_frame_seal(frame, &e.client, &greeting, NULL, 0);
    assert_refuses(&e.aggregator, frame, len, FL_ERR_FORMAT, "hello");
    const fl_message check_in = {.type = FL_MESSAGE_CHECK_IN};
    len = fl_frame_seal(frame, &e.client, &check_in, (uint8_t[]){0xff}, 1);
    assert_refuses(&e.aggregator, frame, len, FL_ERR_FORMAT, "check_in");
}

TEST(line_does_not_open_what_is_too_long_for_its_type)
{
    ends e = sealed();
    static uint8_t body[64 * 1024 + 1], frame[sizeof body + 100];
    const fl_message ping = {.type = FL_MESSAGE_PING};
    const size_t len =
        fl_frame_seal(frame, &e.client, &ping, body, sizeof body);
    assert_refuses(&e.aggregator, frame, len, FL_ERR_FORMAT, "at most");
    assert_int_equal(fl_channel_next_in(&e.aggregator.channel), 1);
}

TEST(line_stays_dead_after_a_frame_that_does_not_open)
{
    ends e = sealed();
    uint8_t frame[FRAME_CAP];
    size_t len;
    fl_message ping = {.type = FL_MESSAGE_PING};
    fl_message refusal = {.type = FL_MESSAGE_REFUSAL,
                          .refusal = {.code = FL_ERR_LIMIT, .text = "no"}};
    assert_ok(fl_line_send(&e.client, frame, sizeof frame, &len, &ping));
    frame[len - 1] ^= 1;
    assert_refuses(&e.aggregator, frame, len, FL_ERR_AUTH, "open");
    assert_refuses(&e.aggregator, e.hello, e.hello_len, FL_ERR_AUTH, "failed");
    assert_err(fl_line_send(&e.aggregator, frame, sizeof frame, &len, &refusal),
               FL_ERR_STATE);
}

TEST(line_needs_room_for_the_seal)
{
    ends e = sealed();
    uint8_t frame[FRAME_CAP];
    size_t len;
    fl_message pong = {.type = FL_MESSAGE_PONG};
    const size_t cap = FL_PROTO_HEADER_BYTES + FL_PROTO_SEAL_BYTES;
    assert_err(fl_line_send(&e.client, frame, cap - 1, &len, &pong),
               FL_ERR_SPACE);
    assert_err(fl_line_send(&e.client, frame, 3, &len, &pong), FL_ERR_SPACE);
    assert_ok(fl_line_send(&e.client, frame, cap, &len, &pong));
    assert_int_equal(len, cap);
    assert_int_equal(hear(&e.aggregator, frame, len).counter, 1);
}

TEST(line_opens_no_frame_beyond_its_memory)
{
    ends e = sealed();
    uint8_t frame[FRAME_CAP];
    size_t len;
    fl_message pong = {.type = FL_MESSAGE_PONG}, heard;
    fl_arena small;
    fl_arena_init(&small, 32);
    assert_ok(fl_line_send(&e.client, frame, sizeof frame, &len, &pong));
    assert_err(fl_line_receive(&e.aggregator, &heard, &small, frame, len, NULL),
               FL_ERR_MEMORY);
    fl_arena_fini(&small);
}

TEST(line_is_wiped_when_it_ends)
{
    static const fl_line none;
    ends e = sealed();
    fl_line_fini(&e.client);
    assert_memory_equal(&e.client, &none, sizeof none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_is_sealed_when_both_have_greeted),
        cmocka_unit_test(line_carries_messages_both_ways),
        cmocka_unit_test(line_fails_when_a_greeting_was_changed_on_its_way),
        cmocka_unit_test(line_refuses_a_welcome_with_a_forged_card),
        cmocka_unit_test(line_refuses_a_client_whose_card_is_forged),
        cmocka_unit_test(line_refuses_a_useless_channel_key),
        cmocka_unit_test(line_refuses_payloads_of_another_length),
        cmocka_unit_test(line_says_and_takes_nothing_but_greetings_in_clear),
        cmocka_unit_test(
            line_takes_a_refusal_in_clear_only_without_session_and_counter),
        cmocka_unit_test(line_takes_no_frame_in_clear_once_it_is_sealed),
        cmocka_unit_test(line_checks_what_it_has_opened),
        cmocka_unit_test(line_does_not_open_what_is_too_long_for_its_type),
        cmocka_unit_test(line_stays_dead_after_a_frame_that_does_not_open),
        cmocka_unit_test(line_needs_room_for_the_seal),
        cmocka_unit_test(line_opens_no_frame_beyond_its_memory),
        cmocka_unit_test(line_is_wiped_when_it_ends),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
