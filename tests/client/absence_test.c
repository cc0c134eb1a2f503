/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "client/client.h"
#include "tests/support/host.h"
#include "tests/test.h"

static fl_host *new_host(void)
{
    fl_host *host = calloc(1, sizeof *host);
    assert_non_null(host);
    const fl_client_options options = fl_host_options();
    fl_host_init(host, &options);
    return host;
}

static void free_host(fl_host *host)
{
    fl_host_fini(host);
    free(host);
}

static void set_away(fl_host *host, fl_away away)
{
    fl_host_tell(host, (fl_client_event){.kind = FL_CLIENT_AWAY, .away = away});
}

static void assert_says(fl_host *host, fl_away away)
{
    const fl_message *ping = fl_host_take(host, FL_MESSAGE_PING);
    assert_non_null(ping);
    assert_int_equal(ping->ping.away, away);
}

static void assert_declines(fl_host *host, uint32_t round)
{
    const fl_message *no = fl_host_take(host, FL_MESSAGE_STEP);
    assert_non_null(no);
    assert_int_equal(no->step.step, FL_STEP_DECLINE);
    assert_int_equal(no->round, round);
}

static fl_host *new_training_host(void)
{
    fl_host *host = new_host();
    fl_host_join(host);
    const fl_plan plan = fl_host_plan(host, 1);
    fl_host_mail_plan(host, &plan);
    const fl_message *fetch;
    while (!host->is_training && (fetch = fl_host_take(host, FL_MESSAGE_FETCH)))
        fl_host_serve(host, fetch);
    assert_true(host->is_training);
    return host;
}

TEST(absence_is_told_when_the_client_checks_in_and_in_every_ping)
{
    fl_host *host = new_host();
    set_away(host, FL_AWAY_HOT);
    fl_host_open(host);
    fl_host_greet(host);
    const fl_message *check_in = fl_host_take(host, FL_MESSAGE_CHECK_IN);
    assert_non_null(check_in);
    assert_int_equal(check_in->check_in.away, FL_AWAY_HOT);
    fl_host_ack(host, check_in);
    assert_string_equal(fl_client_activity(host->client), "away");
    fl_host_wait(host, 40000);
    assert_says(host, FL_AWAY_HOT);
    free_host(host);
}

TEST(absence_is_told_as_soon_as_it_changes_and_only_then)
{
    fl_host *host = new_host();
    fl_host_join(host);
    set_away(host, FL_AWAY_NONE);
    assert_null(fl_host_next(host));
    set_away(host, FL_AWAY_ON_BATTERY);
    assert_says(host, FL_AWAY_ON_BATTERY);
    set_away(host, FL_AWAY_ON_BATTERY);
    assert_null(fl_host_next(host));
    set_away(host, FL_AWAY_NONE);
    assert_says(host, FL_AWAY_NONE);
    assert_string_equal(fl_client_activity(host->client), "idle");
    free_host(host);
}

// It was on its way when the aggregator was told.
TEST(absence_declines_a_plan_that_comes_all_the_same)
{
    fl_host *host = new_host();
    fl_host_join(host);
    set_away(host, FL_AWAY_BUSY);
    const fl_plan plan = fl_host_plan(host, 1);
    fl_host_mail_plan(host, &plan);
    assert_declines(host, 1);
    assert_int_equal(host->counts[FL_CLIENT_FIND], 0);
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 0);
    set_away(host, FL_AWAY_NONE);
    const fl_plan next = fl_host_plan(host, 2);
    fl_host_mail_plan(host, &next);
    assert_int_equal(host->counts[FL_CLIENT_FIND], 1);
    free_host(host);
}

TEST(absence_leaves_a_training_alone_until_it_would_be_too_late)
{
    fl_host *host = new_training_host();
    assert_int_equal(fl_client_round_end(host->client),
                     host->now_ms + host->plan.deadline_ms);
    set_away(host, FL_AWAY_HOT);
    assert_says(host, FL_AWAY_HOT);
    assert_int_equal(host->counts[FL_CLIENT_CANCEL], 0);
    assert_string_equal(fl_client_activity(host->client), "training");
    fl_host_tell(host, (fl_client_event){.kind = FL_CLIENT_GIVE_UP});
    assert_int_equal(host->counts[FL_CLIENT_CANCEL], 1);
    assert_declines(host, 1);
    assert_true(fl_client_round_end(host->client) == INT64_MAX);
    fl_host_failed(host, FL_ERR_CANCELLED);
    assert_string_equal(fl_client_activity(host->client), "away");
    fl_host_tell(host, (fl_client_event){.kind = FL_CLIENT_GIVE_UP});
    assert_null(fl_host_next(host));  // there is nothing to give up
    free_host(host);
}

TEST(absence_does_not_end_what_has_been_trained)
{
    fl_host *host = new_training_host();
    set_away(host, FL_AWAY_HOT);
    fl_host_trained(host, 1);
    assert_non_null(fl_host_take(host, FL_MESSAGE_OPEN));
    assert_false(host->has_hung_up);
    free_host(host);
}

TEST(absence_of_the_link_is_told_before_the_client_hangs_up)
{
    static const fl_away reasons[] = {FL_AWAY_METERED, FL_AWAY_BYTE_BUDGET};
    for (int i = 0; i < 2; i++) {
        fl_host *host = new_host();
        fl_host_join(host);
        set_away(host, reasons[i]);
        assert_says(host, reasons[i]);
        assert_true(host->has_hung_up);
        fl_host_lose(host);
        assert_true(fl_client_deadline(host->client) == INT64_MAX);
        fl_host_wait(host, 3600 * 1000);
        assert_false(host->is_dialling);
        set_away(host, FL_AWAY_HOT);  // another reason: the link may be used
        assert_true(fl_client_deadline(host->client) < INT64_MAX);
        free_host(host);
    }
}

TEST(absence_of_the_link_leaves_the_round_to_others)
{
    fl_host *host = new_training_host();
    set_away(host, FL_AWAY_METERED);
    assert_declines(host, 1);
    assert_int_equal(host->counts[FL_CLIENT_CANCEL], 1);
    assert_true(host->has_hung_up);
    free_host(host);
}

TEST(absence_of_the_link_waits_for_what_is_being_sent)
{
    fl_host *host = new_host();
    fl_host_join(host);
    const fl_message *open = fl_host_bring_to_open(host, 1, 2);
    set_away(host, FL_AWAY_BYTE_BUDGET);
    assert_false(host->has_hung_up);
    fl_host_grant(host, open, 2, 0);
    const fl_message *message;
    while ((message = fl_host_next(host))) {
        if (message->type == FL_MESSAGE_CHUNK ||
            message->type == FL_MESSAGE_COMMIT)
            fl_host_ack(host, message);
    }
    assert_int_equal(fl_client_get_status(host->client).update_count, 1);
    assert_true(host->has_hung_up);
    free_host(host);
}

TEST(absence_of_the_link_begins_before_the_first_connection_too)
{
    fl_host *host = new_host();
    set_away(host, FL_AWAY_METERED);
    fl_host_wait(host, 3600 * 1000);
    assert_false(host->is_dialling);
    set_away(host, FL_AWAY_NONE);
    fl_host_wait(host, 60 * 1000);
    assert_true(host->is_dialling);
    set_away(host, FL_AWAY_METERED);
    assert_true(host->has_hung_up);
    free_host(host);
}

RUN_TESTS(
    cmocka_unit_test(
        absence_is_told_when_the_client_checks_in_and_in_every_ping),
    cmocka_unit_test(absence_is_told_as_soon_as_it_changes_and_only_then),
    cmocka_unit_test(absence_declines_a_plan_that_comes_all_the_same),
    cmocka_unit_test(
        absence_leaves_a_training_alone_until_it_would_be_too_late),
    cmocka_unit_test(absence_does_not_end_what_has_been_trained),
    cmocka_unit_test(absence_of_the_link_is_told_before_the_client_hangs_up),
    cmocka_unit_test(absence_of_the_link_leaves_the_round_to_others),
    cmocka_unit_test(absence_of_the_link_waits_for_what_is_being_sent),
    cmocka_unit_test(
        absence_of_the_link_begins_before_the_first_connection_too))
