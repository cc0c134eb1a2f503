/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/channel.h"

#include <sodium.h>
#include <stdlib.h>

#include "tests/support/vector.h"
#include "tests/test.h"

enum {
    MESSAGE_CAP = FL_CHANNEL_WRITE_1_BYTES + FL_CHANNEL_PAYLOAD_MAX,
    HEAD_LEN = 5,
    FRAME_LEN = 12,  // head included
    FRAME_CAP = FRAME_LEN + FL_CHANNEL_TAG_BYTES,
};

static const char PROLOGUE[] = "before";
static const uint8_t ZEROS[sizeof(fl_channel)];

// Both ends of a connection, and the last handshake message.
typedef struct {
    fl_identity client_keys, aggregator_keys;
    fl_channel client, aggregator;
    uint8_t message[MESSAGE_CAP];
    size_t message_len;
    uint8_t payload[FL_CHANNEL_PAYLOAD_MAX];
    size_t payload_len;
} ends;

static fl_identity identity_of(uint8_t seed_byte)
{
    fl_identity identity;
    assert_ok(fl_secure_start());
    fl_identity_init(&identity, (const uint8_t[FL_SEED_BYTES]){seed_byte});
    return identity;
}

static ends begin(void)
{
    ends e = {.client_keys = identity_of(1), .aggregator_keys = identity_of(2)};
    fl_channel_init(&e.client, &e.client_keys, e.aggregator_keys.channel_key,
                    PROLOGUE, sizeof PROLOGUE);
    fl_channel_init(&e.aggregator, &e.aggregator_keys, NULL, PROLOGUE,
                    sizeof PROLOGUE);
    return e;
}

static fl_err say(ends *e, fl_channel *who, const char *payload)
{
    const uint8_t random[32] = {0, who == &e->client ? 3 : 4};
    return fl_channel_write(who, e->message, &e->message_len, random, payload,
                            strlen(payload));
}

static fl_err hear(ends *e, fl_channel *who)
{
    return fl_channel_read(who, e->payload, &e->payload_len, e->message,
                           e->message_len);
}

static ends join(void)
{
    ends e = begin();
    assert_ok(say(&e, &e.client, "one"));
    assert_ok(hear(&e, &e.aggregator));
    assert_ok(say(&e, &e.aggregator, "two"));
    assert_ok(hear(&e, &e.client));
    return e;
}

static void make_frame(uint8_t frame[FRAME_CAP])
{
    memcpy(frame, "head:content", FRAME_LEN);
}

static void seal(fl_channel *channel, uint8_t frame[FRAME_CAP])
{
    make_frame(frame);
    assert_ok(fl_channel_seal(channel, frame, HEAD_LEN, FRAME_LEN));
}

static fl_err unseal(fl_channel *channel, uint8_t frame[FRAME_CAP])
{
    size_t len = FRAME_CAP;
    const fl_err err = fl_channel_unseal(channel, frame, HEAD_LEN, &len);
    if (!err) assert_int_equal(len, FRAME_LEN);
    return err;
}

static void assert_travels(fl_channel *from, fl_channel *to)
{
    uint8_t frame[FRAME_CAP];
    seal(from, frame);
    assert_ok(unseal(to, frame));
    assert_memory_equal(frame, "head:content", FRAME_LEN);
}

static void assert_failed(fl_channel *channel)
{
    uint8_t bytes[MESSAGE_CAP] = {0};
    size_t len = FRAME_CAP;
    assert_int_equal(channel->state, FL_CHANNEL_FAILED);
    assert_err(fl_channel_write(channel, bytes, &len, bytes, NULL, 0),
               FL_ERR_STATE);
    assert_err(fl_channel_read(channel, bytes, &len, bytes, 100), FL_ERR_STATE);
    assert_err(fl_channel_seal(channel, bytes, 0, 1), FL_ERR_STATE);
    assert_err(fl_channel_unseal(channel, bytes, 0, &len), FL_ERR_STATE);
    const size_t state_len = offsetof(fl_channel, is_client);
    assert_memory_equal(&channel->is_client, ZEROS,
                        sizeof *channel - state_len);
}

/* ---- the published vector ---- */

static uint8_t *vector(size_t *len, const char *name)
{
    uint8_t *bytes = fl_vector_read(len, "tests/vectors/secure/noise.md", name);
    if (!bytes) fail_msg("no vector %s", name);
    return bytes;
}

static void copy_vector(uint8_t *dst, size_t expected_len, const char *name)
{
    size_t len;
    uint8_t *bytes = vector(&len, name);
    assert_int_equal(len, expected_len);
    memcpy(dst, bytes, len);
    free(bytes);
}

static fl_identity identity_of_vector(const char *name)
{
    fl_identity identity = {{0}, {0}, {0}, {0}};
    copy_vector(identity.channel_secret, 32, name);
    assert_int_equal(
        crypto_scalarmult_base(identity.channel_key, identity.channel_secret),
        0);
    return identity;
}

static void assert_vector_message(fl_channel *from, fl_channel *to, char number)
{
    char name[] = "payload_?", sealed_name[] = "ciphertext_?";
    name[sizeof name - 2] = sealed_name[sizeof sealed_name - 2] = number;
    size_t len, expected_len, sealed_len;
    uint8_t *payload = vector(&len, name);
    uint8_t *expected = vector(&expected_len, sealed_name);
    uint8_t bytes[MESSAGE_CAP], opened[FL_CHANNEL_PAYLOAD_MAX], random[32];

    if (number <= '2') {
        copy_vector(random, 32,
                    number == '1' ? "init_ephemeral" : "resp_ephemeral");
        assert_ok(
            fl_channel_write(from, bytes, &sealed_len, random, payload, len));
    } else {
        memcpy(bytes, payload, len);
        assert_ok(fl_channel_seal(from, bytes, 0, len));
        sealed_len = len + FL_CHANNEL_TAG_BYTES;
    }
    assert_int_equal(sealed_len, expected_len);
    assert_memory_equal(bytes, expected, expected_len);

    size_t opened_len = sealed_len;
    if (number <= '2') {
        assert_ok(fl_channel_read(to, opened, &opened_len, bytes, sealed_len));
    } else {
        assert_ok(fl_channel_unseal(to, bytes, 0, &opened_len));
        memcpy(opened, bytes, opened_len);
    }
    assert_int_equal(opened_len, len);
    assert_memory_equal(opened, payload, len);
    free(payload);
    free(expected);
}

TEST(channel_matches_the_published_vector)
{
    assert_ok(fl_secure_start());
    const fl_identity client = identity_of_vector("init_static");
    const fl_identity aggregator = identity_of_vector("resp_static");
    uint8_t known[FL_KEY_BYTES], hash[FL_NOISE_HASH_BYTES];
    copy_vector(known, sizeof known, "init_remote_static");
    assert_memory_equal(known, aggregator.channel_key, sizeof known);

    fl_channel a, b;
    size_t prologue_len;
    uint8_t *prologue = vector(&prologue_len, "prologue");
    fl_channel_init(&a, &client, known, prologue, prologue_len);
    fl_channel_init(&b, &aggregator, NULL, prologue, prologue_len);
    free(prologue);
    for (char number = '1'; number <= '6'; number++) {
        const bool is_forth = number % 2 == '1' % 2;
        assert_vector_message(is_forth ? &a : &b, is_forth ? &b : &a, number);
    }
    copy_vector(hash, sizeof hash, "handshake_hash");
    assert_memory_equal(a.noise.hash, hash, sizeof hash);
    assert_memory_equal(b.noise.hash, hash, sizeof hash);
    assert_memory_equal(b.peer_public, client.channel_key, FL_KEY_BYTES);
}

/* ---- handshake ---- */

TEST(channel_carries_a_payload_each_way_and_names_the_client)
{
    ends e = begin();
    assert_ok(say(&e, &e.client, "one"));
    assert_int_equal(e.message_len, FL_CHANNEL_WRITE_1_BYTES + 3);
    assert_ok(hear(&e, &e.aggregator));
    assert_int_equal(e.payload_len, 3);
    assert_memory_equal(e.payload, "one", 3);
    assert_memory_equal(e.aggregator.peer_public, e.client_keys.channel_key,
                        FL_KEY_BYTES);
    assert_ok(say(&e, &e.aggregator, ""));
    assert_int_equal(e.message_len, FL_CHANNEL_WRITE_2_BYTES);
    assert_ok(hear(&e, &e.client));
    assert_int_equal(e.payload_len, 0);
    assert_int_equal(e.client.state, FL_CHANNEL_READY);
    assert_int_equal(e.aggregator.state, FL_CHANNEL_READY);
    assert_memory_equal(e.client.noise.hash, e.aggregator.noise.hash,
                        FL_NOISE_HASH_BYTES);
}

TEST(channel_takes_a_payload_of_the_longest_length)
{
    ends e = begin();
    uint8_t longest[FL_CHANNEL_PAYLOAD_MAX];
    memset(longest, 7, sizeof longest);
    assert_ok(fl_channel_write(&e.client, e.message, &e.message_len,
                               (const uint8_t[32]){0, 3}, longest,
                               sizeof longest));
    assert_ok(hear(&e, &e.aggregator));
    assert_int_equal(e.payload_len, sizeof longest);
    assert_memory_equal(e.payload, longest, sizeof longest);
}

TEST(channel_fails_when_a_bit_of_a_handshake_message_is_turned)
{
    for (int second = 0; second < 2; second++) {
        for (size_t i = 0;; i++) {
            ends e = begin();
            fl_channel *reader = second ? &e.client : &e.aggregator;
            assert_ok(say(&e, &e.client, "one"));
            if (second) {
                assert_ok(hear(&e, &e.aggregator));
                assert_ok(say(&e, &e.aggregator, "two"));
            }
            if (i == e.message_len) break;
            // The highest bit of a key's last byte means nothing to X25519,
            // but it is hashed.
            e.message[i] ^= 0x80;
            assert_err(hear(&e, reader), FL_ERR_AUTH);
            assert_failed(reader);
        }
    }
}

TEST(channel_fails_when_the_two_have_not_heard_the_same_before)
{
    ends e = begin();
    fl_channel_init(&e.aggregator, &e.aggregator_keys, NULL, "behind",
                    sizeof "behind");
    assert_ok(say(&e, &e.client, "one"));
    assert_err(hear(&e, &e.aggregator), FL_ERR_AUTH);
    assert_failed(&e.aggregator);
}

TEST(channel_fails_when_the_aggregator_is_another_one)
{
    ends e = begin();
    const fl_identity other = identity_of(9);
    fl_channel_init(&e.aggregator, &other, NULL, PROLOGUE, sizeof PROLOGUE);
    assert_ok(say(&e, &e.client, "one"));
    assert_err(hear(&e, &e.aggregator), FL_ERR_AUTH);

    // It knows the key that the client expects, but not the secret.
    fl_identity liar = e.aggregator_keys;
    memcpy(liar.channel_secret, other.channel_secret, 32);
    fl_channel_init(&e.aggregator, &liar, NULL, PROLOGUE, sizeof PROLOGUE);
    assert_err(hear(&e, &e.aggregator), FL_ERR_AUTH);
}

TEST(channel_fails_when_the_client_does_not_hold_the_key_it_names)
{
    ends e = begin();
    const fl_identity other = identity_of(9);
    fl_identity liar = e.client_keys;
    memcpy(liar.channel_secret, other.channel_secret, 32);
    fl_channel_init(&e.client, &liar, e.aggregator_keys.channel_key, PROLOGUE,
                    sizeof PROLOGUE);
    assert_ok(say(&e, &e.client, "one"));
    assert_err(hear(&e, &e.aggregator), FL_ERR_AUTH);
}

TEST(channel_refuses_weak_points)
{
    const uint8_t weak[FL_KEY_BYTES] = {0};
    ends e = begin();
    fl_channel_init(&e.client, &e.client_keys, weak, PROLOGUE, sizeof PROLOGUE);
    assert_err(say(&e, &e.client, "one"), FL_ERR_AUTH);
    assert_failed(&e.client);

    e = begin();  // the client's fresh key
    assert_ok(say(&e, &e.client, "one"));
    memcpy(e.message, weak, sizeof weak);
    assert_err(hear(&e, &e.aggregator), FL_ERR_AUTH);

    e = begin();  // the client's own key: sealed as it should be, and useless
    memcpy(e.client.own_public, weak, sizeof weak);
    assert_ok(say(&e, &e.client, "one"));
    assert_err(hear(&e, &e.aggregator), FL_ERR_AUTH);
    assert_failed(&e.aggregator);

    e = begin();  // the aggregator's fresh key
    assert_ok(say(&e, &e.client, "one"));
    assert_ok(hear(&e, &e.aggregator));
    assert_ok(say(&e, &e.aggregator, "two"));
    memcpy(e.message, weak, sizeof weak);
    assert_err(hear(&e, &e.client), FL_ERR_AUTH);

    e = begin();  // no point at all but weak: the one of order 8
    static const uint8_t order_8[FL_KEY_BYTES] = {
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
        0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
        0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00};
    fl_channel_init(&e.client, &e.client_keys, order_8, PROLOGUE,
                    sizeof PROLOGUE);
    assert_err(say(&e, &e.client, "one"), FL_ERR_AUTH);
}

TEST(channel_refuses_messages_of_a_length_that_cannot_be)
{
    const size_t lengths[] = {0, 31, FL_CHANNEL_WRITE_1_BYTES - 1,
                              MESSAGE_CAP + 1};
    static const uint8_t bytes[MESSAGE_CAP + 1];
    for (size_t i = 0; i < 4; i++) {
        ends e = begin();
        assert_err(fl_channel_read(&e.aggregator, e.payload, &e.payload_len,
                                   bytes, lengths[i]),
                   FL_ERR_FORMAT);
        assert_failed(&e.aggregator);
    }
    ends e = begin();
    assert_ok(say(&e, &e.client, "one"));
    assert_err(fl_channel_read(&e.client, e.payload, &e.payload_len, bytes,
                               FL_CHANNEL_WRITE_2_BYTES - 1),
               FL_ERR_FORMAT);
    assert_failed(&e.client);
}

TEST(channel_wants_everything_in_its_turn)
{
    ends e = begin();
    uint8_t frame[FRAME_CAP] = {0};
    size_t len = FRAME_CAP;
    assert_err(hear(&e, &e.client), FL_ERR_STATE);
    assert_err(say(&e, &e.aggregator, "two"), FL_ERR_STATE);
    assert_err(fl_channel_seal(&e.client, frame, 0, 1), FL_ERR_STATE);
    assert_err(fl_channel_unseal(&e.aggregator, frame, 0, &len), FL_ERR_STATE);
    assert_ok(say(&e, &e.client, "one"));
    assert_err(say(&e, &e.client, "one"), FL_ERR_STATE);
    assert_ok(hear(&e, &e.aggregator));
    assert_err(hear(&e, &e.aggregator), FL_ERR_STATE);
    assert_ok(say(&e, &e.aggregator, "two"));
    assert_ok(hear(&e, &e.client));
    assert_err(hear(&e, &e.client), FL_ERR_STATE);
    assert_err(say(&e, &e.aggregator, "two"), FL_ERR_STATE);
    assert_travels(&e.client, &e.aggregator);

    fl_channel none = {0};
    assert_err(fl_channel_write(&none, e.message, &len, ZEROS, NULL, 0),
               FL_ERR_STATE);
    assert_err(fl_channel_seal(&none, frame, 0, 1), FL_ERR_STATE);
}

// Why nothing may be granted to a client before its first frame.
TEST(channel_answers_a_first_message_that_is_repeated_but_opens_no_frame)
{
    ends e = begin();
    uint8_t frame[FRAME_CAP], again[MESSAGE_CAP];
    assert_ok(say(&e, &e.client, "one"));
    const size_t again_len = e.message_len;
    memcpy(again, e.message, again_len);
    assert_ok(hear(&e, &e.aggregator));
    assert_ok(say(&e, &e.aggregator, "two"));
    assert_ok(hear(&e, &e.client));
    seal(&e.client, frame);

    fl_channel second;
    fl_channel_init(&second, &e.aggregator_keys, NULL, PROLOGUE,
                    sizeof PROLOGUE);
    assert_ok(
        fl_channel_read(&second, e.payload, &e.payload_len, again, again_len));
    assert_ok(fl_channel_write(&second, e.message, &e.message_len,
                               (const uint8_t[32]){0, 5}, "two", 3));
    assert_err(unseal(&second, frame), FL_ERR_AUTH);
}

/* ---- frames ---- */

TEST(channel_numbers_the_frames_of_each_direction)
{
    ends e = join();
    assert_int_equal(fl_channel_next_out(&e.client), 1);
    assert_int_equal(fl_channel_next_in(&e.aggregator), 1);
    assert_travels(&e.client, &e.aggregator);
    assert_travels(&e.client, &e.aggregator);
    assert_travels(&e.aggregator, &e.client);
    assert_int_equal(fl_channel_next_out(&e.client), 3);
    assert_int_equal(fl_channel_next_in(&e.aggregator), 3);
    assert_int_equal(fl_channel_next_out(&e.aggregator), 2);
    assert_int_equal(fl_channel_next_in(&e.client), 2);
}

TEST(channel_leaves_the_head_readable_and_hides_the_rest)
{
    ends e = join();
    uint8_t frame[FRAME_CAP];
    seal(&e.client, frame);
    assert_memory_equal(frame, "head:", HEAD_LEN);
    assert_memory_not_equal(frame + HEAD_LEN, "content", 7);
}

TEST(channel_seals_a_frame_that_is_all_head)
{
    ends e = join();
    uint8_t frame[HEAD_LEN + FL_CHANNEL_TAG_BYTES] = "head:";
    size_t len = sizeof frame;
    assert_ok(fl_channel_seal(&e.client, frame, HEAD_LEN, HEAD_LEN));
    assert_ok(fl_channel_unseal(&e.aggregator, frame, HEAD_LEN, &len));
    assert_int_equal(len, HEAD_LEN);
}

TEST(channel_fails_when_a_bit_of_a_frame_is_turned)
{
    for (size_t bit = 0; bit < (size_t)8 * FRAME_CAP; bit++) {
        ends e = join();
        uint8_t frame[FRAME_CAP];
        seal(&e.client, frame);
        frame[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_err(unseal(&e.aggregator, frame), FL_ERR_AUTH);
        assert_failed(&e.aggregator);
    }
}

TEST(channel_fails_when_a_frame_is_cut)
{
    for (size_t len = 0; len < FRAME_CAP; len++) {
        ends e = join();
        uint8_t frame[FRAME_CAP];
        size_t cut_len = len;
        seal(&e.client, frame);
        assert_err(fl_channel_unseal(&e.aggregator, frame, HEAD_LEN, &cut_len),
                   FL_ERR_AUTH);
        assert_failed(&e.aggregator);
    }
}

TEST(channel_fails_when_a_frame_comes_again_or_out_of_order)
{
    uint8_t first[FRAME_CAP], again[FRAME_CAP], second[FRAME_CAP];
    ends e = join();
    seal(&e.client, first);
    memcpy(again, first, sizeof again);
    assert_ok(unseal(&e.aggregator, first));
    assert_err(unseal(&e.aggregator, again), FL_ERR_AUTH);
    assert_failed(&e.aggregator);

    e = join();  // one is left out
    seal(&e.client, first);
    seal(&e.client, second);
    assert_err(unseal(&e.aggregator, second), FL_ERR_AUTH);
}

TEST(channel_does_not_open_its_own_frames)
{
    ends e = join();
    uint8_t frame[FRAME_CAP];
    seal(&e.client, frame);
    assert_err(unseal(&e.client, frame), FL_ERR_AUTH);
}

// Section 4.2 of the specification, spelt out once more.
static void rekey(uint8_t key[32])
{
    const uint8_t nonce[12] = {0,    0,    0,    0,    0xff, 0xff,
                               0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint8_t next[32 + 16];
    crypto_aead_chacha20poly1305_ietf_encrypt(next, NULL, ZEROS, 32, NULL, 0,
                                              NULL, nonce, key);
    memcpy(key, next, 32);
}

TEST(channel_replaces_the_key_of_a_direction_after_256_frames)
{
    ends e = join();
    uint8_t key[32], back[32];
    memcpy(key, e.client.out.key, sizeof key);
    memcpy(back, e.aggregator.out.key, sizeof back);
    for (int i = 1; i <= 3 * FL_CHANNEL_REKEY; i++) {
        assert_travels(&e.client, &e.aggregator);
        if (i % FL_CHANNEL_REKEY == 0) rekey(key);
        assert_memory_equal(e.client.out.key, key, sizeof key);
        assert_memory_equal(e.aggregator.in.key, key, sizeof key);
    }
    assert_memory_equal(e.client.in.key, back, sizeof back);
    // The numbers go on.
    assert_int_equal(fl_channel_next_out(&e.client), 3 * FL_CHANNEL_REKEY + 1);
}

TEST(channel_keeps_no_secret_of_its_handshake)
{
    ends e = join();
    const fl_channel *both[] = {&e.client, &e.aggregator};
    for (size_t i = 0; i < 2; i++) {
        assert_memory_equal(both[i]->own_secret, ZEROS, 32);
        assert_memory_equal(both[i]->fresh_secret, ZEROS, 32);
        assert_memory_equal(both[i]->noise.chain, ZEROS, FL_NOISE_HASH_BYTES);
        assert_memory_equal(both[i]->noise.key, ZEROS, FL_NOISE_KEY_BYTES);
    }
    assert_memory_not_equal(e.client.out.key, e.client.in.key, 32);
    fl_channel_fini(&e.client);
    assert_memory_equal(&e.client, ZEROS, sizeof e.client);
}

RUN_TESTS(
    cmocka_unit_test(channel_matches_the_published_vector),
    cmocka_unit_test(channel_carries_a_payload_each_way_and_names_the_client),
    cmocka_unit_test(channel_takes_a_payload_of_the_longest_length),
    cmocka_unit_test(channel_fails_when_a_bit_of_a_handshake_message_is_turned),
    cmocka_unit_test(channel_fails_when_the_two_have_not_heard_the_same_before),
    cmocka_unit_test(channel_fails_when_the_aggregator_is_another_one),
    cmocka_unit_test(
        channel_fails_when_the_client_does_not_hold_the_key_it_names),
    cmocka_unit_test(channel_refuses_weak_points),
    cmocka_unit_test(channel_refuses_messages_of_a_length_that_cannot_be),
    cmocka_unit_test(channel_wants_everything_in_its_turn),
    cmocka_unit_test(
        channel_answers_a_first_message_that_is_repeated_but_opens_no_frame),
    cmocka_unit_test(channel_numbers_the_frames_of_each_direction),
    cmocka_unit_test(channel_leaves_the_head_readable_and_hides_the_rest),
    cmocka_unit_test(channel_seals_a_frame_that_is_all_head),
    cmocka_unit_test(channel_fails_when_a_bit_of_a_frame_is_turned),
    cmocka_unit_test(channel_fails_when_a_frame_is_cut),
    cmocka_unit_test(channel_fails_when_a_frame_comes_again_or_out_of_order),
    cmocka_unit_test(channel_does_not_open_its_own_frames),
    cmocka_unit_test(channel_replaces_the_key_of_a_direction_after_256_frames),
    cmocka_unit_test(channel_keeps_no_secret_of_its_handshake))
