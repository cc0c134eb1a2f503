/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/support/lab.h"
#include "tests/test.h"

// `list` may be NULL: nobody is enrolled yet.
static fl_lab *new_lab(const fl_identity *authority, const uint8_t *list,
                       size_t list_len)
{
    fl_lab *lab = calloc(1, sizeof *lab);
    assert_non_null(lab);
    assert_ok(fl_secure_start());
    fl_aggregator_options options = fl_lab_secure_options(4);
    options.quorum = options.min_survivors = 2;
    options.phase_ms = 1000;
    options.authority = authority;
    options.list = list;
    options.list_len = list_len;
    fl_lab_init(lab, &options);
    return lab;
}

// Checks in with an identity of its own and the channel key of `owner`.
static void join_as_twin(fl_lab *lab, int i, uint8_t key, const fl_hand *owner)
{
    fl_hand *hand = fl_lab_connect(lab, i, key);
    memcpy(hand->identity.channel_key, owner->identity.channel_key,
           FL_KEY_BYTES);
    memcpy(hand->identity.channel_secret, owner->identity.channel_secret,
           sizeof owner->identity.channel_secret);
    fl_hand_greet(hand);
    fl_message check_in = fl_hand_check_in();
    fl_hand_send(hand, &check_in);
    assert_non_null(fl_hand_take(hand, FL_MESSAGE_ACK));
}

// Of the hands so many have a plan, and the others were hung up on.
static void assert_planned(fl_lab *lab, uint32_t hand_count, uint32_t expected)
{
    uint32_t planned = 0, closed = 0;
    for (uint32_t i = 0; i < hand_count; i++) {
        const fl_message *mail = fl_hand_take(&lab->hands[i], FL_MESSAGE_MAIL);
        planned += mail && mail->mail.kind == FL_MAIL_PLAN;
        closed += lab->hands[i].is_closed;
    }
    assert_int_equal(planned, expected);
    assert_int_equal(closed, hand_count - expected);
}

// Anybody may come, also one machine with two identities.
TEST(roll_keeps_one_of_two_identities_with_the_same_channel_key)
{
    fl_identity authority;
    fl_identity_init(&authority, (const uint8_t[FL_SEED_BYTES]){9});
    fl_lab *lab = new_lab(&authority, NULL, 0);
    const fl_hand *first = fl_lab_join(lab, 0, 1);
    join_as_twin(lab, 1, 2, first);
    fl_lab_join(lab, 2, 3);
    fl_lab_join(lab, 3, 4);
    assert_planned(lab, 4, 3);
    assert_true(lab->hands[0].is_closed != lab->hands[1].is_closed);
    fl_lab_fini(lab);
    free(lab);
}

// The hands with the keys 1 to 3, and as many others as a list may have.
static uint8_t *write_full_list(size_t *len, const fl_identity *authority)
{
    fl_device *devices = calloc(FL_ENROLMENT_DEVICES_MAX, sizeof *devices);
    uint8_t *bytes;
    assert_non_null(devices);
    for (uint32_t i = 0; i < FL_ENROLMENT_DEVICES_MAX; i++) {
        strcpy(devices[i].name, "somebody");
        memcpy(devices[i].identity, &i, sizeof i);
        memcpy(devices[i].channel, &i, sizeof i);
    }
    for (uint8_t key = 1; key <= 3; key++) {
        fl_identity identity;
        fl_identity_init(&identity, (const uint8_t[FL_SEED_BYTES]){key});
        memcpy(devices[key].identity, identity.public_key, FL_KEY_BYTES);
        memcpy(devices[key].channel, identity.channel_key, FL_KEY_BYTES);
    }
    assert_ok(fl_enrolment_encode(&bytes, len, authority, 1, devices,
                                  FL_ENROLMENT_DEVICES_MAX, NULL));
    free(devices);
    return bytes;
}

TEST(roll_that_is_full_leaves_out_who_is_new)
{
    fl_identity authority;
    size_t len;
    assert_ok(fl_secure_start());
    fl_identity_init(&authority, (const uint8_t[FL_SEED_BYTES]){9});
    uint8_t *list = write_full_list(&len, &authority);
    fl_lab *lab = new_lab(&authority, list, len);
    for (uint8_t i = 0; i < 4; i++) {
        fl_lab_join(lab, i, i + 1);
    }
    assert_planned(lab, 4, 3);
    assert_true(lab->hands[3].is_closed);
    fl_lab_fini(lab);
    free(lab);
    free(list);
}

// Clients that know a list refuse one with a lower serial.
TEST(roll_signs_beyond_the_lists_that_are_lost)
{
    fl_lab *lab = calloc(1, sizeof *lab);
    fl_enrolment *signed_list = NULL;
    assert_non_null(lab);
    assert_ok(fl_secure_start());
    fl_aggregator_options options = fl_lab_secure_options(3);
    options.serial_floor = 70;
    fl_lab_init(lab, &options);
    for (uint8_t i = 0; i < 3; i++) {
        fl_lab_join(lab, i, i + 1);
    }
    assert_ok(
        fl_enrolment_decode(&signed_list, lab->list, lab->list_len, NULL));
    assert_int_equal(signed_list->serial, 71);
    fl_enrolment_free(signed_list);
    fl_lab_fini(lab);
    free(lab);
}

RUN_TESTS(cmocka_unit_test(
              roll_keeps_one_of_two_identities_with_the_same_channel_key),
          cmocka_unit_test(roll_that_is_full_leaves_out_who_is_new),
          cmocka_unit_test(roll_signs_beyond_the_lists_that_are_lost))
