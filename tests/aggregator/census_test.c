/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/census.h"

#include "tests/support/lab.h"
#include "tests/test.h"

enum { PARAMS = 80202 };

static fl_lab lab;

static void assert_census(uint32_t waiting, uint32_t training, uint32_t added,
                          uint32_t declined, uint32_t absent)
{
    const fl_census census = fl_census_take(lab.aggregator);
    assert_int_equal(census.count[FL_CENSUS_WAITING], waiting);
    assert_int_equal(census.count[FL_CENSUS_TRAINING], training);
    assert_int_equal(census.count[FL_CENSUS_ADDED], added);
    assert_int_equal(census.count[FL_CENSUS_DECLINED], declined);
    assert_int_equal(census.count[FL_CENSUS_ABSENT], absent);
    assert_int_equal(census.count[FL_CENSUS_READY], 0);
}

static fl_plan take_plan(fl_hand *hand)
{
    const fl_message *mail = fl_hand_take(hand, FL_MESSAGE_MAIL);
    assert_non_null(mail);
    return mail->mail.plan;
}

TEST(census_follows_clients_through_a_round)
{
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    assert_census(0, 0, 0, 0, 0);
    fl_hand *a = fl_lab_join(&lab, 0, 1);
    assert_census(1, 0, 0, 0, 0);
    fl_hand *b = fl_lab_join(&lab, 1, 2);
    fl_lab_wait(&lab, 1);
    assert_census(0, 2, 0, 0, 0);
    fl_lab_join(&lab, 2, 3);  // too late for this round
    assert_census(1, 2, 0, 0, 0);

    const fl_plan plan = take_plan(a);
    fl_parcel_init(&parcel, &plan, PARAMS, 0.5F);
    assert_non_null(fl_hand_deliver(a, &plan, &parcel));
    assert_census(1, 1, 1, 0, 0);
    fl_hand_disconnect(b);
    assert_census(1, 0, 1, 0, 1);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(census_tells_who_has_sent_what_was_refused)
{
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *a = fl_lab_join(&lab, 0, 1);
    fl_lab_join(&lab, 1, 2);
    fl_lab_wait(&lab, 1);
    const fl_plan plan = take_plan(a);
    fl_parcel_init(&parcel, &plan, 1, 0.5F);
    assert_non_null(fl_hand_deliver(a, &plan, &parcel));
    assert_census(0, 1, 0, 1, 0);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(census_tells_who_says_that_it_cannot_work)
{
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *a = fl_lab_join(&lab, 0, 1);
    fl_hand_send(a, &(fl_message){.type = FL_MESSAGE_PING,
                                  .ping = {.away = FL_AWAY_HOT}});
    const fl_census census = fl_census_take(lab.aggregator);
    assert_int_equal(census.count[FL_CENSUS_RESTING], 1);
    assert_int_equal(census.count[FL_CENSUS_WAITING], 0);
    fl_lab_fini(&lab);
}

TEST(census_has_a_word_and_a_meaning_for_every_state)
{
    for (unsigned i = 0; i < FL_CENSUS_STATES; i++) {
        assert_non_null(fl_census_word((fl_census_state)i));
        assert_non_null(fl_census_meaning((fl_census_state)i));
    }
    assert_string_equal(fl_census_word(FL_CENSUS_ABSENT), "absent");
}

RUN_TESTS(cmocka_unit_test(census_follows_clients_through_a_round),
          cmocka_unit_test(census_tells_who_has_sent_what_was_refused),
          cmocka_unit_test(census_tells_who_says_that_it_cannot_work),
          cmocka_unit_test(census_has_a_word_and_a_meaning_for_every_state))
