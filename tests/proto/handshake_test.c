/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/proto.h"
#include "tests/support/messages.h"
#include "tests/test.h"

// format_test.c compares the bytes; here every field must matter.

static fl_hello hello;
static fl_welcome welcome;
static uint8_t before[FL_TRANSCRIPT_CAP];
static size_t before_len;

static int start(void **state)
{
    (void)state;
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    hello = fl_message_random(FL_MESSAGE_HELLO, &random).hello;
    welcome = fl_message_random(FL_MESSAGE_WELCOME, &random).welcome;
    before_len = fl_handshake_transcript(before, &hello, &welcome);
    return 0;
}

static bool is_changed(void)
{
    uint8_t after[FL_TRANSCRIPT_CAP];
    const size_t len = fl_handshake_transcript(after, &hello, &welcome);
    return len != before_len || memcmp(before, after, len) != 0;
}

static void assert_every_bit_matters(void *field, size_t len)
{
    uint8_t *bytes = field;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(is_changed());
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_false(is_changed());
}

TEST(handshake_transcript_has_every_field_of_the_hello)
{
    assert_every_bit_matters(&hello.version_min, sizeof hello.version_min);
    assert_every_bit_matters(&hello.version_max, sizeof hello.version_max);
    assert_every_bit_matters(hello.build, strlen(hello.build));
    assert_every_bit_matters(hello.public_key, sizeof hello.public_key);
    assert_every_bit_matters(hello.nonce, sizeof hello.nonce);
}

TEST(handshake_transcript_has_every_field_of_the_welcome_but_its_proof)
{
    assert_every_bit_matters(&welcome.version, sizeof welcome.version);
    assert_every_bit_matters(welcome.session, sizeof welcome.session);
    assert_every_bit_matters(welcome.public_key, sizeof welcome.public_key);
    assert_every_bit_matters(welcome.nonce, sizeof welcome.nonce);
    welcome.proof[0] ^= 1;
    assert_false(is_changed());
}

TEST(handshake_transcript_ignores_what_stands_behind_a_text)
{
    const size_t len = strlen(hello.build);
    assert_true(len + 1 < sizeof hello.build);
    hello.build[len + 1] ^= 1;
    assert_false(is_changed());
}

TEST(handshake_transcript_of_the_longest_hello_fits)
{
    memset(hello.build, 'x', FL_PROTO_TEXT_CAP - 1);
    hello.build[FL_PROTO_TEXT_CAP - 1] = 0;
    uint8_t bytes[FL_TRANSCRIPT_CAP];
    assert_true(fl_handshake_transcript(bytes, &hello, &welcome) <
                FL_TRANSCRIPT_CAP);
}

#define STARTED(test) cmocka_unit_test_setup(test, start)

RUN_TESTS(
    STARTED(handshake_transcript_has_every_field_of_the_hello),
    STARTED(handshake_transcript_has_every_field_of_the_welcome_but_its_proof),
    STARTED(handshake_transcript_ignores_what_stands_behind_a_text),
    STARTED(handshake_transcript_of_the_longest_hello_fits))
