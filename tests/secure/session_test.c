/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "secure/secure.h"
#include "tests/support/vector.h"
#include "tests/test.h"

static fl_identity aggregator;

static int start(void **state)
{
    (void)state;
    if (fl_secure_start()) return -1;
    uint8_t seed[FL_SEED_BYTES];
    memset(seed, 2, sizeof seed);
    fl_identity_init(&aggregator, seed);
    return 0;
}

/* The example of docs/format.md. */
static fl_session example(void)
{
    fl_session session = {
        .client_min = 2,
        .client_cap = 3,
        .word_count = 2,
        .phase_ms = 30000,
        .round = 7,
        .number = 9,
    };
    memset(session.id, 0x66, sizeof session.id);
    memset(session.model, 0x33, sizeof session.model);
    memset(session.task, 0x44, sizeof session.task);
    memset(session.enrolment, 0x55, sizeof session.enrolment);
    return session;
}

TEST(session_invite_is_as_documented)
{
    fl_session session = example(), decoded;
    uint8_t bytes[FL_INVITE_BYTES];
    fl_session_encode(bytes, &session, &aggregator);
    assert_memory_equal(session.federation, aggregator.public_key,
                        FL_KEY_BYTES);
    size_t len;
    uint8_t *expected =
        fl_vector_read(&len, "docs/format.md", "session_invite");
    assert_non_null(expected);
    assert_int_equal(len, FL_INVITE_BYTES);
    assert_memory_equal(bytes, expected, len);
    free(expected);

    memset(&decoded, 0, sizeof decoded);
    assert_ok(fl_session_decode(&decoded, bytes, sizeof bytes));
    assert_memory_equal(&decoded, &session, sizeof session);
}

/* What a change of a valid session gives when it is signed all the same. */
static fl_err decode_changed(const fl_session *session)
{
    fl_session copy = *session, decoded;
    uint8_t bytes[FL_INVITE_BYTES];
    fl_session_encode(bytes, &copy, &aggregator);
    return fl_session_decode(&decoded, bytes, sizeof bytes);
}

TEST(session_refuses_counts_outside_their_ranges)
{
    fl_session session = example();
    session.client_min = 1;
    assert_err(decode_changed(&session), FL_ERR_FORMAT);
    session = example();
    session.client_min = 4;
    assert_err(decode_changed(&session), FL_ERR_FORMAT);
    session = example();
    session.client_cap = FL_SESSION_CLIENTS_MAX + 1;
    assert_err(decode_changed(&session), FL_ERR_FORMAT);
    session.client_cap = FL_SESSION_CLIENTS_MAX;
    assert_ok(decode_changed(&session));
    session = example();
    session.word_count = 0;
    assert_err(decode_changed(&session), FL_ERR_FORMAT);
    session.word_count = FL_SESSION_WORDS_MAX + 1;
    assert_err(decode_changed(&session), FL_ERR_FORMAT);
    session.word_count = FL_SESSION_WORDS_MAX;
    assert_ok(decode_changed(&session));
    session = example();
    session.phase_ms = 0;
    assert_err(decode_changed(&session), FL_ERR_FORMAT);
    session = example();
    session.round = 0;
    assert_err(decode_changed(&session), FL_ERR_FORMAT);
}

TEST(session_refuses_bytes_that_are_no_invite)
{
    fl_session session = example(), decoded;
    uint8_t bytes[FL_INVITE_BYTES + 1] = {0};
    fl_session_encode(bytes, &session, &aggregator);
    assert_err(fl_session_decode(&decoded, bytes, FL_INVITE_BYTES - 1),
               FL_ERR_FORMAT);
    assert_err(fl_session_decode(&decoded, bytes, FL_INVITE_BYTES + 1),
               FL_ERR_FORMAT);
    assert_err(fl_session_decode(&decoded, bytes, 0), FL_ERR_FORMAT);
    for (uint8_t version = 1; version <= 3; version += 2) {
        bytes[0] = version;
        assert_err(fl_session_decode(&decoded, bytes, FL_INVITE_BYTES),
                   FL_ERR_FORMAT);
    }
}

TEST(session_refuses_any_changed_byte_of_an_invite)
{
    fl_session session = example(), decoded;
    uint8_t bytes[FL_INVITE_BYTES];
    fl_session_encode(bytes, &session, &aggregator);
    for (size_t i = 0; i < FL_INVITE_BYTES; i++) {
        bytes[i] ^= 1;
        assert_int_not_equal(
            fl_session_decode(&decoded, bytes, FL_INVITE_BYTES), FL_OK);
        bytes[i] ^= 1;
    }
    assert_ok(fl_session_decode(&decoded, bytes, FL_INVITE_BYTES));
}

TEST(session_refuses_an_invite_that_another_aggregator_signed)
{
    fl_session session = example(), decoded;
    uint8_t bytes[FL_INVITE_BYTES], other_bytes[FL_INVITE_BYTES];
    fl_identity other;
    uint8_t seed[FL_SEED_BYTES] = {9};
    fl_identity_init(&other, seed);
    fl_session_encode(bytes, &session, &aggregator);
    fl_session_encode(other_bytes, &session, &other);
    memcpy(bytes + 192, other_bytes + 192, FL_SIGNATURE_BYTES);
    assert_err(fl_session_decode(&decoded, bytes, FL_INVITE_BYTES),
               FL_ERR_AUTH);
}

TEST(session_asks_for_two_thirds_and_at_least_eight_clients)
{
    assert_int_equal(fl_session_client_min(0), 8);
    assert_int_equal(fl_session_client_min(12), 8);
    assert_int_equal(fl_session_client_min(13), 9);
    assert_int_equal(fl_session_client_min(15), 10);
    assert_int_equal(fl_session_client_min(100), 67);
    assert_int_equal(fl_session_client_min(16384), 10923);
    assert_int_equal(fl_session_client_min(UINT32_MAX), 2863311530);
}

TEST(session_threshold_and_neighbours_are_as_documented)
{
    static const struct {
        uint32_t n, k, t;
    } rows[] = {
        {2, 0, 2},       {3, 0, 3},        {10, 0, 7},       {30, 0, 21},
        {100, 0, 67},    {128, 0, 86},     {129, 80, 56},    {256, 80, 56},
        {257, 88, 61},   {512, 88, 61},    {513, 96, 67},    {1024, 96, 67},
        {1025, 104, 72}, {2048, 104, 72},  {2049, 112, 78},  {4096, 112, 78},
        {4097, 122, 85}, {10000, 122, 85}, {16384, 122, 85},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(fl_session_neighbours(rows[i].n), rows[i].k);
        assert_int_equal(fl_session_threshold(rows[i].n), rows[i].t);
    }
}

TEST(session_names_steps_and_faults)
{
    assert_string_equal(fl_step_name(FL_STEP_READY), "ready");
    assert_string_equal(fl_step_name(FL_STEP_MASKED), "masked");
    assert_string_equal(fl_step_name(FL_STEP_UNMASK), "unmask");
    assert_string_equal(fl_step_name((fl_step)15), "unknown");
    for (int i = FL_STEP_READY; i < FL_STEP_UNMASK; i++) {
        assert_string_not_equal(fl_step_name((fl_step)i), "unknown");
        assert_string_not_equal(fl_step_name((fl_step)i),
                                fl_step_name((fl_step)(i + 1)));
    }
    assert_string_equal(fl_fault_name(FL_FAULT_NONE), "none");
    assert_string_equal(fl_fault_name(FL_FAULT_ROSTER_SMALL),
                        "roster_too_small");
    assert_string_equal(fl_fault_meaning(FL_FAULT_STALLED),
                        "a phase that took too long");
    assert_string_equal(fl_fault_name((fl_fault)999), "unknown");
    assert_string_equal(fl_fault_meaning((fl_fault)-1), "an unknown fault");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_invite_is_as_documented),
        cmocka_unit_test(session_refuses_counts_outside_their_ranges),
        cmocka_unit_test(session_refuses_bytes_that_are_no_invite),
        cmocka_unit_test(session_refuses_any_changed_byte_of_an_invite),
        cmocka_unit_test(
            session_refuses_an_invite_that_another_aggregator_signed),
        cmocka_unit_test(
            session_asks_for_two_thirds_and_at_least_eight_clients),
        cmocka_unit_test(session_threshold_and_neighbours_are_as_documented),
        cmocka_unit_test(session_names_steps_and_faults),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
