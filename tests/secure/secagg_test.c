/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/support/parties.h"
#include "tests/test.h"

static void check_session(uint32_t n, const fl_parties_options *options)
{
    fl_parties *p = fl_parties_new(n);
    fl_parties_open(p, options);
    assert_ok(fl_parties_run(p));
    fl_parties_check_sum(p);
    fl_parties_free(p);
}

/* ---- sums ---- */

TEST(secagg_gives_the_sum_and_nothing_before)
{
    fl_parties *p = fl_parties_new(8);
    fl_parties_open(p, &(fl_parties_options){0});
    for (int phase = FL_SECAGG_ADVERTISE; phase < FL_SECAGG_DONE; phase++) {
        if (phase == FL_SECAGG_CHOICE) continue;  // all are neighbours
        assert_int_equal(fl_secagg_get_phase(p->secagg), phase);
        assert_null(fl_secagg_sum(p->secagg));
        fl_parties_ask_all(p);
        assert_ok(fl_parties_advance(p));
    }
    fl_parties_check_sum(p);
    fl_parties_free(p);
}

TEST(secagg_tells_and_takes_everything_twice)
{
    check_session(8, &(fl_parties_options){.repeats = true});
}

TEST(secagg_sums_vectors_of_any_length)
{
    static const uint32_t counts[] = {1, 2, 63, 64, 65, 1000};
    fl_parties *p = fl_parties_new(3);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        fl_parties_open(p, &(fl_parties_options){.word_count = counts[i]});
        assert_ok(fl_parties_run(p));
        fl_parties_check_sum(p);
    }
    fl_parties_free(p);
}

TEST(secagg_sums_a_million_words)
{
    check_session(3, &(fl_parties_options){.word_count = 1000000});
}

TEST(secagg_gives_the_same_sum_with_any_number_of_threads)
{
    fl_parties *p = fl_parties_new(6);
    for (unsigned threads = 1; threads <= 9; threads += 2) {
        fl_parties_open(p, &(fl_parties_options){.word_count = 30000,
                                                 .thread_count = threads});
        p->guests[threads % 6].gone_at = FL_STEP_MASKED;
        assert_ok(fl_parties_run(p));
        fl_parties_check_sum(p);
    }
    fl_parties_free(p);
}

TEST(secagg_gives_each_thread_words_even_of_a_short_vector)
{
    check_session(4,
                  &(fl_parties_options){.word_count = 40, .thread_count = 64});
}

TEST(secagg_knows_places_from_slots)
{
    check_session(
        16, &(fl_parties_options){.client_count = 7, .first = 1, .stride = 2});
}

TEST(secagg_names_the_survivors_from_the_end_of_masked_on)
{
    const uint32_t *devices;
    fl_parties *p = fl_parties_new(9);
    fl_parties_open(p, &(fl_parties_options){.client_count = 4, .stride = 2});
    p->guests[1].gone_at = FL_STEP_MASKED;
    p->guests[3].gone_at = FL_STEP_UNMASK;
    assert_true(fl_parties_run_to(p, FL_SECAGG_MASKED));
    assert_int_equal(fl_secagg_survivors(p->secagg, &devices), 0);
    assert_true(fl_parties_run_to(p, FL_SECAGG_CONFIRM));
    assert_int_equal(fl_secagg_survivors(p->secagg, &devices), 3);
    assert_int_equal(devices[0], 0);
    assert_int_equal(devices[1], 4);
    assert_int_equal(devices[2], 6);
    fl_parties_free(p);
}

// The bar is 45 KB a client, all control messages both ways, with 64 bytes of
// frame each.
TEST(secagg_keeps_control_traffic_of_100_clients_low)
{
    fl_parties *p = fl_parties_new(100);
    fl_parties_open(p, &(fl_parties_options){0});
    assert_ok(fl_parties_run(p));
    fl_parties_check_sum(p);
    for (uint32_t i = 0; i < 100; i++) {
        const fl_guest *guest = &p->guests[i];
        const size_t bytes = guest->down_bytes + guest->up_bytes +
                             64 * (size_t)guest->message_count;
        assert_in_range(bytes, 40000, 45000);
    }
    fl_parties_free(p);
}

/* ---- opening ---- */

typedef struct {
    fl_parties *parties;
    fl_session session;
    uint32_t devices[4], device_count;
} opening;

static opening open_any(fl_parties *p)
{
    fl_parties_open(p, &(fl_parties_options){0});
    opening o = {.parties = p,
                 .session = *fl_secagg_session(p->secagg),
                 .devices = {0, 1, 2, 3},
                 .device_count = 4};
    return o;
}

static void check_refused(const opening *o, const char *word)
{
    fl_secagg *secagg = NULL;
    fl_reason why = {""};
    assert_err(fl_secagg_new(&secagg, &o->session, &o->parties->aggregator,
                             o->parties->enrolment, o->devices, o->device_count,
                             &why),
               FL_ERR_RANGE);
    assert_reason_names(why, word);
    assert_null(secagg);
}

TEST(secagg_refuses_devices_that_cannot_take_part)
{
    fl_parties *p = fl_parties_new(4);
    opening o = open_any(p);
    o.device_count = 1;
    check_refused(&o, "1 devices are invited");
    o = open_any(p);
    o.session.client_cap = 3;
    check_refused(&o, "4 devices are invited");
    o = open_any(p);
    o.devices[3] = 4;
    check_refused(&o, "device 4 is not among the 4 enrolled");
    o = open_any(p);
    o.devices[2] = 1;
    check_refused(&o, "device 1");
    o = open_any(p);
    o.session.enrolment[5] ^= 1;
    check_refused(&o, "enrolment list");
    fl_parties_free(p);
}

TEST(secagg_refuses_numbers_that_no_client_accepts)
{
    fl_parties *p = fl_parties_new(4);
    opening o = open_any(p);
    o.session.client_min = 1;
    check_refused(&o, "1 to 4 clients");
    o = open_any(p);
    o.session.client_cap = FL_SESSION_CLIENTS_MAX + 1;
    check_refused(&o, "16385 clients");
    o = open_any(p);
    o.session.word_count = 0;
    check_refused(&o, "with 0 words");
    o = open_any(p);
    o.session.word_count = FL_SESSION_WORDS_MAX + 1;
    check_refused(&o, "with 41943041 words");
    o = open_any(p);
    o.session.phase_ms = 0;
    check_refused(&o, "phases of 0 ms");
    o = open_any(p);
    o.session.round = 0;
    check_refused(&o, "round 0");
    fl_parties_free(p);
}

/* ---- who is awaited ---- */

static fl_err ask_message(const fl_parties *p, uint32_t device, size_t cap)
{
    fl_step step;
    size_t len;
    return fl_secagg_message(p->secagg, device, &step, p->down, cap, &len);
}

TEST(secagg_tells_nothing_to_those_that_are_not_awaited)
{
    fl_parties *p = fl_parties_new(8);
    fl_parties_open(p, &(fl_parties_options){.client_count = 4});
    assert_ok(ask_message(p, 0, FL_SESSION_STEP_MAX));
    assert_err(ask_message(p, 0, FL_INVITE_BYTES - 1), FL_ERR_SPACE);
    assert_err(ask_message(p, 4, FL_SESSION_STEP_MAX), FL_ERR_NOT_FOUND);
    assert_err(ask_message(p, UINT32_MAX, 1), FL_ERR_NOT_FOUND);
    assert_true(fl_parties_ask(p, 0));
    assert_err(ask_message(p, 0, FL_SESSION_STEP_MAX), FL_ERR_NOT_FOUND);
    fl_secagg_drop(p->secagg, 1);
    assert_err(ask_message(p, 1, FL_SESSION_STEP_MAX), FL_ERR_NOT_FOUND);
    fl_parties_free(p);
}

TEST(secagg_counts_those_that_are_awaited)
{
    fl_parties *p = fl_parties_new(8);
    fl_parties_open(p, &(fl_parties_options){.client_count = 6});
    assert_int_equal(fl_secagg_awaited_count(p->secagg), 6);
    assert_true(fl_secagg_is_awaited(p->secagg, 5));
    assert_false(fl_secagg_is_awaited(p->secagg, 6));
    assert_true(fl_parties_ask(p, 5));
    assert_false(fl_secagg_is_awaited(p->secagg, 5));
    assert_int_equal(fl_secagg_awaited_count(p->secagg), 5);

    fl_secagg_drop(p->secagg, 0);
    fl_secagg_drop(p->secagg, 0);  // nothing more to lose
    fl_secagg_drop(p->secagg, 7);
    assert_int_equal(fl_secagg_awaited_count(p->secagg), 4);
    fl_parties_ask_all(p);
    assert_int_equal(fl_secagg_awaited_count(p->secagg), 0);
    assert_ok(fl_secagg_advance(p->secagg, NULL));
    assert_int_equal(fl_secagg_awaited_count(p->secagg), 5);
    assert_false(fl_secagg_is_awaited(p->secagg, 0));
    fl_parties_free(p);
}

TEST(secagg_keeps_what_a_client_said_before_it_was_gone)
{
    fl_parties *p = fl_parties_new(5);
    fl_parties_open(p, &(fl_parties_options){0});
    assert_true(fl_parties_run_to(p, FL_SECAGG_MASKED));
    assert_true(fl_secagg_is_masked_due(p->secagg, 2));
    assert_true(fl_parties_ask(p, 2));
    assert_false(fl_secagg_is_masked_due(p->secagg, 2));
    fl_secagg_drop(p->secagg, 2);
    fl_parties_ask_all(p);
    assert_ok(fl_secagg_advance(p->secagg, NULL));
    fl_secagg_drop(p->secagg, 2);  // still gone

    assert_ok(fl_parties_run(p));
    assert_true(fl_parties_survived(p, 2));
    fl_parties_check_sum(p);
    fl_parties_free(p);
}

TEST(secagg_takes_nothing_that_is_not_due)
{
    const uint8_t bytes[FL_SIGNATURE_BYTES] = {0};
    fl_parties *p = fl_parties_new(4);
    fl_parties_open(p, &(fl_parties_options){0});
    static const fl_step early[] = {
        FL_STEP_READY,   FL_STEP_INVITE, FL_STEP_CHOICE, FL_STEP_SHARES,
        FL_STEP_CONFIRM, FL_STEP_UNMASK, FL_STEP_MASKED, 0};
    for (size_t i = 0; i < sizeof early / sizeof early[0]; i++) {
        fl_reason why = {""};
        assert_err(fl_secagg_receive(p->secagg, 1, early[i], bytes,
                                     sizeof bytes, &why),
                   FL_ERR_STALE);
        assert_reason_names(why, "device 1");
    }
    assert_err(fl_secagg_add(p->secagg, 1, bytes, sizeof bytes, NULL),
               FL_ERR_STALE);
    assert_false(fl_secagg_is_masked_due(p->secagg, 1));
    assert_ok(fl_parties_run(p));  // and nobody dropped out for it
    assert_true(fl_parties_survived(p, 1));
    fl_parties_check_sum(p);
    fl_parties_free(p);
}

TEST(secagg_takes_the_vector_only_as_an_object)
{
    fl_parties *p = fl_parties_new(3);
    fl_parties_open(p, &(fl_parties_options){0});
    assert_true(fl_parties_run_to(p, FL_SECAGG_MASKED));
    const uint8_t bytes[8] = {0};
    assert_err(fl_secagg_receive(p->secagg, 1, FL_STEP_MASKED, bytes, 8, NULL),
               FL_ERR_STALE);
    assert_ok(fl_parties_run(p));
    fl_parties_check_sum(p);
    fl_parties_free(p);
}

// The answer to a step got lost, and the phase went on.
TEST(secagg_takes_a_retry_that_comes_a_phase_late)
{
    fl_parties *p = fl_parties_new(3);
    fl_parties_open(p, &(fl_parties_options){0});
    uint8_t said[256];
    size_t len;
    fl_step step, answer;
    const uint8_t *bytes;
    assert_ok(fl_secagg_message(p->secagg, 0, &step, p->down,
                                FL_SESSION_STEP_MAX, &len));
    assert_ok(fl_party_step(p->guests[0].party, step, p->down, len, &answer,
                            &bytes, &len));
    assert_in_range(len, 1, sizeof said);
    memcpy(said, bytes, len);
    assert_ok(fl_secagg_receive(p->secagg, 0, answer, said, len, NULL));
    fl_parties_ask_all(p);
    assert_ok(fl_secagg_advance(p->secagg, NULL));

    assert_ok(fl_secagg_receive(p->secagg, 0, answer, said, len, NULL));
    said[0] ^= 1;
    assert_err(fl_secagg_receive(p->secagg, 0, answer, said, len, NULL),
               FL_ERR_STALE);
    assert_ok(fl_parties_run(p));
    fl_parties_check_sum(p);
    fl_parties_free(p);
}

/* ---- ends ---- */

static void check_is_over(fl_parties *p)
{
    const uint32_t device = p->guests[0].device;
    const uint8_t bytes[8] = {0};
    fl_reason why = {""};
    assert_int_equal(fl_secagg_awaited_count(p->secagg), 0);
    assert_false(fl_secagg_is_awaited(p->secagg, device));
    assert_err(ask_message(p, device, FL_SESSION_STEP_MAX), FL_ERR_NOT_FOUND);
    assert_err(
        fl_secagg_receive(p->secagg, device, FL_STEP_UNMASK, bytes, 8, NULL),
        FL_ERR_STALE);
    assert_err(fl_secagg_add(p->secagg, device, bytes, 8, NULL), FL_ERR_STALE);
    fl_secagg_drop(p->secagg, device);
    assert_int_equal(fl_secagg_awaited_count(p->secagg), 0);
    assert_err(fl_secagg_unmask(p->secagg, 1, NULL), FL_ERR_STATE);
    assert_err(fl_secagg_advance(p->secagg, &why), FL_ERR_STATE);
    assert_reason_names(why, "over");
}

TEST(secagg_takes_nothing_when_it_is_done)
{
    fl_parties *p = fl_parties_new(3);
    fl_parties_open(p, &(fl_parties_options){0});
    assert_ok(fl_parties_run(p));
    check_is_over(p);
    fl_parties_check_sum(p);
    fl_parties_free(p);
}

TEST(secagg_aborts_when_too_few_are_left)
{
    fl_parties *p = fl_parties_new(6);
    fl_parties_open(p, &(fl_parties_options){.client_min = 6});
    p->guests[4].gone_at = FL_STEP_SHARES;
    assert_err(fl_parties_run(p), FL_ERR_STATE);
    assert_reason_names(p->why, "5 of 6 clients sent \"shares\"");
    assert_reason_names(p->why, "at least 6");
    check_is_over(p);
    assert_null(fl_secagg_sum(p->secagg));
    fl_parties_free(p);
}

TEST(secagg_aborts_when_too_few_give_shares)
{
    fl_parties *p = fl_parties_new(6);
    fl_parties_open(p, &(fl_parties_options){0});
    p->guests[1].gone_at = p->guests[2].gone_at = FL_STEP_UNMASK;
    assert_true(fl_parties_run_to(p, FL_SECAGG_UNMASK));
    fl_parties_ask_all(p);
    assert_false(fl_secagg_can_unmask(p->secagg));
    fl_reason why = {""};
    assert_err(fl_secagg_unmask(p->secagg, 1, &why), FL_ERR_STATE);
    assert_reason_names(why, "too few shares");
    assert_int_equal(fl_secagg_get_phase(p->secagg), FL_SECAGG_UNMASK);
    assert_err(fl_secagg_advance(p->secagg, &why), FL_ERR_STATE);
    assert_reason_names(why, "of 6 clients fewer than 5 shares");
    check_is_over(p);
    fl_parties_free(p);
}

TEST(secagg_wants_to_unmask_before_it_ends)
{
    fl_parties *p = fl_parties_new(6);
    fl_parties_open(p, &(fl_parties_options){0});
    assert_true(fl_parties_run_to(p, FL_SECAGG_UNMASK));
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(fl_secagg_can_unmask(p->secagg), i >= 5);
        assert_true(fl_parties_ask(p, i));
    }
    fl_reason why = {""};
    assert_err(fl_secagg_advance(p->secagg, &why), FL_ERR_STATE);
    assert_reason_names(why, "unmask first");
    assert_ok(fl_secagg_unmask(p->secagg, 0, NULL));  // 0 threads: this one
    fl_parties_check_sum(p);
    fl_parties_free(p);
}

TEST(secagg_may_be_freed_at_any_time)
{
    fl_secagg_free(NULL);
    fl_parties *p = fl_parties_new(3);
    for (int phase = FL_SECAGG_ADVERTISE; phase <= FL_SECAGG_DONE; phase++) {
        if (phase == FL_SECAGG_CHOICE) continue;
        fl_parties_open(p, &(fl_parties_options){0});
        assert_true(fl_parties_run_to(p, (fl_secagg_phase)phase));
    }
    fl_parties_free(p);
}

RUN_TESTS(
    cmocka_unit_test(secagg_gives_the_sum_and_nothing_before),
    cmocka_unit_test(secagg_tells_and_takes_everything_twice),
    cmocka_unit_test(secagg_sums_vectors_of_any_length),
    cmocka_unit_test(secagg_sums_a_million_words),
    cmocka_unit_test(secagg_gives_the_same_sum_with_any_number_of_threads),
    cmocka_unit_test(secagg_gives_each_thread_words_even_of_a_short_vector),
    cmocka_unit_test(secagg_knows_places_from_slots),
    cmocka_unit_test(secagg_names_the_survivors_from_the_end_of_masked_on),
    cmocka_unit_test(secagg_keeps_control_traffic_of_100_clients_low),
    cmocka_unit_test(secagg_refuses_devices_that_cannot_take_part),
    cmocka_unit_test(secagg_refuses_numbers_that_no_client_accepts),
    cmocka_unit_test(secagg_tells_nothing_to_those_that_are_not_awaited),
    cmocka_unit_test(secagg_counts_those_that_are_awaited),
    cmocka_unit_test(secagg_keeps_what_a_client_said_before_it_was_gone),
    cmocka_unit_test(secagg_takes_nothing_that_is_not_due),
    cmocka_unit_test(secagg_takes_the_vector_only_as_an_object),
    cmocka_unit_test(secagg_takes_a_retry_that_comes_a_phase_late),
    cmocka_unit_test(secagg_takes_nothing_when_it_is_done),
    cmocka_unit_test(secagg_aborts_when_too_few_are_left),
    cmocka_unit_test(secagg_aborts_when_too_few_give_shares),
    cmocka_unit_test(secagg_wants_to_unmask_before_it_ends),
    cmocka_unit_test(secagg_may_be_freed_at_any_time))
