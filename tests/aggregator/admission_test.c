/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/admission.h"

#include "tests/test.h"

enum { NOW = 1000000, HOUR = 3600 * 1000 };

static fl_join join;
static fl_token_record record;
static fl_registration device;
static fl_admission_question question;

// Somebody unknown with a good token.
static void ask(fl_join_mode mode)
{
    join = (fl_join){.has_token = true, .token = {.id = 7, .secret = {1, 2}}};
    record = (fl_token_record){
        .id = 7, .made_ms = NOW, .expires_ms = NOW + HOUR, .use_cap = 1};
    fl_token_hash(record.hash, &join.token);
    device = (fl_registration){.state = FL_REGISTRATION_PENDING};
    question = (fl_admission_question){
        .mode = mode, .now_ms = NOW, .join = &join, .token = &record};
}

static void assert_refused(fl_cause cause)
{
    const fl_admission admission = fl_admission_decide(&question);
    assert_int_equal(admission.state, FL_STANDING_REFUSED);
    assert_int_equal(admission.cause, cause);
    assert_false(admission.uses_token);
    assert_false(admission.is_new);
}

static void assert_let_in(fl_standing_state state, bool uses_token, bool is_new)
{
    const fl_admission admission = fl_admission_decide(&question);
    assert_int_equal(admission.state, state);
    assert_int_equal(admission.cause, FL_CAUSE_NONE);
    assert_int_equal(admission.uses_token, uses_token);
    assert_int_equal(admission.is_new, is_new);
}

TEST(admission_by_token_enrols_unless_the_authority_is_elsewhere)
{
    ask(FL_JOIN_TOKEN);
    assert_let_in(FL_STANDING_ENROLLED, true, true);
    ask(FL_JOIN_APPROVE);
    assert_let_in(FL_STANDING_ENROLLED, true, true);
    ask(FL_JOIN_LIST);
    assert_let_in(FL_STANDING_PENDING, true, true);
}

TEST(admission_without_a_token_depends_on_the_way_in)
{
    ask(FL_JOIN_TOKEN);
    join.has_token = false;
    question.token = NULL;
    assert_refused(FL_CAUSE_TOKEN_NEEDED);
    question.mode = FL_JOIN_APPROVE;
    assert_let_in(FL_STANDING_PENDING, false, true);
    question.mode = FL_JOIN_LIST;
    assert_let_in(FL_STANDING_PENDING, false, true);
    question.mode = FL_JOIN_OPEN;
    assert_let_in(FL_STANDING_ENROLLED, false, true);
    // Who waits goes on waiting, and is not written down again.
    question.mode = FL_JOIN_TOKEN;
    question.device = &device;
    assert_let_in(FL_STANDING_PENDING, false, false);
}

TEST(admission_refuses_a_token_that_is_not_the_one_that_was_made)
{
    ask(FL_JOIN_TOKEN);
    join.token.secret[15] ^= 1;
    assert_refused(FL_CAUSE_TOKEN_WRONG);
    // Nobody learns more of one whose secret he does not know.
    record.is_revoked = true;
    record.use_count = 1;
    question.now_ms = NOW + HOUR;
    assert_refused(FL_CAUSE_TOKEN_WRONG);
    ask(FL_JOIN_TOKEN);
    question.token = NULL;
    assert_refused(FL_CAUSE_TOKEN_WRONG);
}

TEST(admission_refuses_a_token_after_its_time)
{
    ask(FL_JOIN_TOKEN);
    question.now_ms = NOW + HOUR - 1;
    assert_let_in(FL_STANDING_ENROLLED, true, true);
    question.now_ms = NOW + HOUR;
    assert_refused(FL_CAUSE_TOKEN_EXPIRED);
}

// Only the aggregator's clock counts; one that goes back makes nothing good.
TEST(admission_refuses_a_token_when_the_clock_is_a_year_off)
{
    const int64_t year_ms = (int64_t)365 * 24 * HOUR;
    ask(FL_JOIN_TOKEN);
    question.now_ms = NOW + year_ms;
    assert_refused(FL_CAUSE_TOKEN_EXPIRED);
    question.now_ms = NOW - year_ms;
    assert_refused(FL_CAUSE_TOKEN_EXPIRED);
    question.now_ms = NOW - FL_TOKEN_CLOCK_MS;
    assert_let_in(FL_STANDING_ENROLLED, true, true);
}

TEST(admission_refuses_a_token_that_is_used_up_or_revoked)
{
    ask(FL_JOIN_TOKEN);
    record.use_count = 1;
    assert_refused(FL_CAUSE_TOKEN_USED);
    record.use_cap = 2;
    assert_let_in(FL_STANDING_ENROLLED, true, true);
    record.is_revoked = true;
    assert_refused(FL_CAUSE_TOKEN_REVOKED);
}

TEST(admission_counts_a_device_that_asks_twice_once)
{
    ask(FL_JOIN_LIST);
    record.use_count = 1;
    question.device = &device;
    question.device_token = 7;
    assert_let_in(FL_STANDING_PENDING, false, true);
    question.device_token = 8;
    assert_refused(FL_CAUSE_TOKEN_USED);
    device.state = FL_REGISTRATION_ENROLLED;
    assert_let_in(FL_STANDING_ENROLLED, false, false);
}

TEST(admission_lets_a_revoked_device_in_by_no_token)
{
    ask(FL_JOIN_TOKEN);
    device.state = FL_REGISTRATION_REVOKED;
    question.device = &device;
    assert_refused(FL_CAUSE_REVOKED);
    question.mode = FL_JOIN_OPEN;
    assert_refused(FL_CAUSE_REVOKED);
}

TEST(admission_keeps_names_and_keys_apart_and_room_for_nobody_else)
{
    ask(FL_JOIN_TOKEN);
    question.is_name_taken = true;
    assert_refused(FL_CAUSE_NAME_TAKEN);
    ask(FL_JOIN_TOKEN);
    question.is_key_taken = true;
    assert_refused(FL_CAUSE_KEY_TAKEN);
    ask(FL_JOIN_TOKEN);
    question.is_full = true;
    assert_refused(FL_CAUSE_FULL);
}

TEST(admission_knows_four_ways_in)
{
    fl_join_mode mode;
    fl_reason why;
    assert_ok(fl_join_mode_parse(&mode, NULL, false, &why));
    assert_int_equal(mode, FL_JOIN_TOKEN);
    assert_ok(fl_join_mode_parse(&mode, NULL, true, &why));
    assert_int_equal(mode, FL_JOIN_LIST);
    for (unsigned i = FL_JOIN_TOKEN; i <= FL_JOIN_OPEN; i++) {
        const char *name = fl_join_mode_name((fl_join_mode)i);
        assert_ok(fl_join_mode_parse(&mode, name, i == FL_JOIN_LIST, &why));
        assert_int_equal(mode, i);
    }
    assert_err(fl_join_mode_parse(&mode, "any", false, &why), FL_ERR_RANGE);
    assert_reason_names(why, "approve");
    assert_err(fl_join_mode_parse(&mode, "list", false, &why), FL_ERR_RANGE);
    assert_reason_names(why, "--enrolment");
    assert_err(fl_join_mode_parse(&mode, "open", true, &why), FL_ERR_RANGE);
    assert_reason_names(why, "--enrolment");
}

RUN_TESTS(
    cmocka_unit_test(
        admission_by_token_enrols_unless_the_authority_is_elsewhere),
    cmocka_unit_test(admission_without_a_token_depends_on_the_way_in),
    cmocka_unit_test(
        admission_refuses_a_token_that_is_not_the_one_that_was_made),
    cmocka_unit_test(admission_refuses_a_token_after_its_time),
    cmocka_unit_test(admission_refuses_a_token_when_the_clock_is_a_year_off),
    cmocka_unit_test(admission_refuses_a_token_that_is_used_up_or_revoked),
    cmocka_unit_test(admission_counts_a_device_that_asks_twice_once),
    cmocka_unit_test(admission_lets_a_revoked_device_in_by_no_token),
    cmocka_unit_test(
        admission_keeps_names_and_keys_apart_and_room_for_nobody_else),
    cmocka_unit_test(admission_knows_four_ways_in))
