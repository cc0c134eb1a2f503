/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator.h"

#include <stdlib.h>

#include "tests/support/lab.h"
#include "tests/test.h"

enum { BOARDS = 5 };

static fl_lab lab;
static fl_registration items[BOARDS];

static int compare(const void *a, const void *b)
{
    return memcmp(((const fl_registration *)a)->device.identity,
                  ((const fl_registration *)b)->device.identity, FL_KEY_BYTES);
}

// Boards 1 to BOARDS, of which the first `enrolled` may take part.
static void register_boards(unsigned enrolled)
{
    memset(items, 0, sizeof items);
    for (uint8_t i = 0; i < BOARDS; i++) {
        fl_identity identity;
        char name[16];
        fl_identity_init(&identity,
                         (const uint8_t[FL_SEED_BYTES]){(uint8_t)(i + 1)});
        snprintf(name, sizeof name, "board-%u", i + 1U);
        fl_device_init(&items[i].device, &identity, name);
        items[i].state =
            i < enrolled ? FL_REGISTRATION_ENROLLED : FL_REGISTRATION_PENDING;
    }
}

static fl_registration *board(unsigned number)
{
    char name[16];
    snprintf(name, sizeof name, "board-%u", number);
    for (unsigned i = 0; i < BOARDS; i++) {
        if (strcmp(items[i].device.name, name) == 0) return &items[i];
    }
    return NULL;
}

static void tell_registry(void)
{
    fl_registry registry = {.items = items, .count = BOARDS};
    qsort(items, BOARDS, sizeof *items, compare);
    fl_lab_tell(&lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_REGISTRY,
                                            .registry = &registry});
}

static void open_lab(bool is_guarded)
{
    fl_aggregator_options options = fl_lab_secure_options(3);
    options.is_guarded = is_guarded;
    fl_lab_init(&lab, &options);
}

// What a board hears that checks in and may not.
static fl_standing turned_away(int hand_number, uint8_t key)
{
    fl_hand *hand = fl_lab_connect(&lab, hand_number, key);
    fl_message check_in = fl_hand_check_in();
    fl_hand_greet(hand);
    fl_hand_send(hand, &check_in);
    const fl_message *said = fl_hand_take(hand, FL_MESSAGE_STANDING);
    assert_non_null(said);
    assert_true(hand->is_closed);
    const fl_standing standing = said->standing;
    fl_hand_disconnect(hand);
    return standing;
}

TEST(entry_lets_in_who_is_registered_and_nobody_else)
{
    open_lab(true);
    assert_int_equal(turned_away(0, 1).cause, FL_CAUSE_NOT_ENROLLED);
    register_boards(2);
    tell_registry();
    assert_int_equal(lab.list_count, 1);  // signed at once
    assert_false(fl_lab_join(&lab, 0, 1)->is_closed);
    assert_int_equal(turned_away(1, 3).state, FL_STANDING_PENDING);
    assert_int_equal(turned_away(1, 99).cause, FL_CAUSE_NOT_ENROLLED);
    board(3)->state = FL_REGISTRATION_REVOKED;
    tell_registry();
    assert_int_equal(lab.list_count, 1);  // it was not in the list
    assert_int_equal(turned_away(1, 3).cause, FL_CAUSE_REVOKED);
    fl_lab_fini(&lab);
}

TEST(entry_throws_out_who_is_revoked_and_goes_on_with_the_others)
{
    open_lab(true);
    register_boards(BOARDS);
    tell_registry();
    for (int i = 0; i < 4; i++) {
        fl_lab_join(&lab, i, (uint8_t)(i + 1));
    }
    fl_lab_wait(&lab, 1);
    // The round that is on keeps its list; the next one is signed at once.
    board(2)->state = FL_REGISTRATION_REVOKED;
    tell_registry();
    assert_int_equal(lab.list_count, 2);
    assert_true(lab.hands[1].is_closed);
    const fl_message *said = fl_hand_take(&lab.hands[1], FL_MESSAGE_STANDING);
    assert_non_null(said);
    assert_int_equal(said->standing.cause, FL_CAUSE_REVOKED);
    assert_string_equal(said->standing.name, "board-2");
    for (int i = 0; i < 4; i++) {
        if (i != 1) assert_false(lab.hands[i].is_closed);
    }
    fl_enrolment *list = NULL;
    assert_ok(fl_enrolment_decode(&list, lab.list, lab.list_len, NULL));
    assert_int_equal(list->device_count, BOARDS - 1);
    assert_int_equal(list->serial, 2);
    fl_enrolment_free(list);
    fl_lab_fini(&lab);
}

TEST(entry_is_open_for_anybody_but_who_is_revoked)
{
    open_lab(false);
    for (int i = 0; i < 3; i++) {
        fl_lab_join(&lab, i, (uint8_t)(i + 1));
    }
    register_boards(BOARDS);
    board(5)->state = FL_REGISTRATION_REVOKED;
    tell_registry();
    assert_int_equal(turned_away(3, 5).cause, FL_CAUSE_REVOKED);
    assert_false(fl_lab_join(&lab, 3, 4)->is_closed);
    fl_lab_fini(&lab);
}

TEST(entry_passes_a_request_on_and_tells_what_became_of_it)
{
    open_lab(true);
    fl_hand *hand = fl_lab_connect(&lab, 0, 1);
    fl_message join = {.type = FL_MESSAGE_JOIN,
                       .join = {.has_token = true,
                                .token = {.id = 7, .secret = {1, 2, 3}},
                                .name = "kitchen"}};
    fl_hand_greet(hand);
    fl_hand_send(hand, &join);
    assert_int_equal(lab.join_count, 1);
    assert_int_equal(lab.asking, hand->conn);
    assert_memory_equal(&lab.asked, &join.join, sizeof join.join);
    assert_memory_equal(lab.asking_device.identity, hand->identity.public_key,
                        FL_KEY_BYTES);
    assert_ok(fl_device_check(&lab.asking_device));
    fl_lab_tell(
        &lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_JOINED,
                                    .conn = hand->conn,
                                    .standing = {.state = FL_STANDING_ENROLLED,
                                                 .name = "kitchen"}});
    const fl_message *said = fl_hand_take(hand, FL_MESSAGE_STANDING);
    assert_non_null(said);
    assert_int_equal(said->standing.state, FL_STANDING_ENROLLED);
    assert_string_equal(said->standing.name, "kitchen");
    assert_true(said->standing.has_authority);
    assert_true(hand->is_closed);
    fl_lab_fini(&lab);
}

TEST(entry_takes_no_request_of_who_is_in_already)
{
    open_lab(false);
    fl_hand *hand = fl_lab_join(&lab, 0, 1);
    fl_message join = {.type = FL_MESSAGE_JOIN};
    fl_hand_send(hand, &join);
    assert_int_equal(lab.join_count, 0);
    assert_true(hand->is_closed);
    fl_lab_fini(&lab);
}

TEST(entry_tells_the_first_of_two_clients_with_one_key)
{
    open_lab(false);
    fl_hand *first = fl_lab_join(&lab, 0, 1);
    fl_hand *second = fl_lab_join(&lab, 1, 1);
    const fl_message *said = fl_hand_take(first, FL_MESSAGE_STANDING);
    assert_non_null(said);
    assert_int_equal(said->standing.cause, FL_CAUSE_REPLACED);
    assert_true(first->is_closed);
    assert_false(second->is_closed);
    assert_int_equal(fl_aggregator_get_status(lab.aggregator).connected_count,
                     1);
    fl_lab_fini(&lab);
}

RUN_TESTS(
    cmocka_unit_test(entry_lets_in_who_is_registered_and_nobody_else),
    cmocka_unit_test(
        entry_throws_out_who_is_revoked_and_goes_on_with_the_others),
    cmocka_unit_test(entry_is_open_for_anybody_but_who_is_revoked),
    cmocka_unit_test(entry_passes_a_request_on_and_tells_what_became_of_it),
    cmocka_unit_test(entry_takes_no_request_of_who_is_in_already),
    cmocka_unit_test(entry_tells_the_first_of_two_clients_with_one_key))
