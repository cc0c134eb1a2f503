/*
 * How an aggregator leads its rounds through sessions of secure aggregation:
 * who is asked, who is waited for and how long, and what it keeps of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "tests/support/partner.h"
#include "tests/test.h"

static const double ROUNDED = 1e-3;  // what the codec may err

enum { N = 4, GRACE_MS = 2000, PHASE_MS = 10000, DEADLINE_MS = 60000 };

/* ---- a lab, and a partner for each of its hands ---- */

typedef struct {
    fl_lab lab;
    fl_partner partners[FL_LAB_HANDS];
} bench;

static fl_partner *join(bench *b, uint8_t i)
{
    fl_partner *partner = &b->partners[i];
    partner->hand = fl_lab_join(&b->lab, i, (uint8_t)(i + 1));
    partner->value = 0.125F * (float)(i + 1);
    return partner;
}

static bench *new_bench_with(const fl_aggregator_options *options)
{
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    fl_lab_init(&b->lab, options);
    for (uint8_t i = 0; i < options->cohort; i++)
        join(b, i);
    for (uint8_t i = 0; i < options->cohort; i++)
        fl_partner_plan(&b->partners[i]);
    return b;
}

// So many clients that have their plan; 3 of them are enough.
static bench *new_bench(uint32_t count)
{
    const fl_aggregator_options options = fl_lab_secure_options(count);
    return new_bench_with(&options);
}

static void free_bench(bench *b)
{
    for (int i = 0; i < FL_LAB_HANDS; i++)
        fl_partner_fini(&b->partners[i]);
    fl_lab_fini(&b->lab);
    free(b);
}

static fl_aggregator_status status_of(const bench *b)
{
    return fl_aggregator_get_status(b->lab.aggregator);
}

static void assert_activity(const bench *b, const char *activity)
{
    assert_string_equal(status_of(b).activity, activity);
}

static void assert_refused(const fl_message *answer, fl_err code)
{
    assert_non_null(answer);
    assert_int_equal(answer->type, FL_MESSAGE_REFUSAL);
    assert_int_equal(answer->refusal.code, code);
}

static void assert_acknowledged(const fl_message *answer)
{
    assert_non_null(answer);
    assert_int_equal(answer->type, FL_MESSAGE_ACK);
}

static void assert_told(bench *b, uint8_t i, fl_mail_kind kind)
{
    const fl_message *mail = fl_hand_take(b->partners[i].hand, FL_MESSAGE_MAIL);
    assert_non_null(mail);
    assert_int_equal(mail->mail.kind, kind);
}

/* ---- partners [from, to) ---- */

static void all_ready(bench *b, uint8_t from, uint8_t to)
{
    for (uint8_t i = from; i < to; i++)
        fl_partner_ready(&b->partners[i]);
}

static void all_answer(bench *b, uint8_t from, uint8_t to, fl_step step)
{
    for (uint8_t i = from; i < to; i++)
        fl_partner_answer(&b->partners[i], step);
}

static const fl_step told[] = {FL_STEP_INVITE, FL_STEP_ROSTER, FL_STEP_INBOX,
                               FL_STEP_SURVIVORS, FL_STEP_CONFIRMATIONS};
enum { TOLD = sizeof told / sizeof *told };

// Everything before these are told this step; 0: all of the session.
static void run_to(bench *b, uint8_t from, uint8_t to, fl_step step)
{
    for (size_t i = 0; i < TOLD && told[i] != step; i++)
        all_answer(b, from, to, told[i]);
}

static bench *new_bench_at(uint32_t count, fl_step step)
{
    bench *b = new_bench(count);
    all_ready(b, 0, (uint8_t)count);
    run_to(b, 0, (uint8_t)count, step);
    return b;
}

static const fl_message *decline(bench *b, uint8_t i)
{
    return fl_partner_say(&b->partners[i], FL_STEP_DECLINE, NULL, 0);
}

/* ---- the sum ---- */

TEST(aggregation_adds_up_a_session_and_records_nothing_but_sums)
{
    bench *b = new_bench(N);
    const float before = b->lab.params[7];
    const fl_plan *plan = &b->partners[0].plan;
    assert_int_equal(plan->aggregation, FL_AGGREGATION_SECURE);
    assert_int_equal(plan->client_min, 3);
    assert_int_equal(plan->client_cap, N);
    all_ready(b, 0, N);
    assert_true(status_of(b).is_in_session);
    run_to(b, 0, N, 0);
    const fl_round_record *round = &b->lab.round;
    assert_int_equal(b->lab.saved_count, 1);
    assert_int_equal(round->aggregation, FL_AGGREGATION_SECURE);
    assert_int_equal(round->update_count, N);
    assert_int_equal(round->sample_count, 10 * N);
    assert_float_equal(round->client_loss, 2.0, 1e-6);
    assert_float_equal(round->client_accuracy, 0.5, 1e-9);
    assert_int_equal(round->sessions_aborted, 0);
    assert_int_equal(round->attempt, 1);
    assert_float_equal(b->lab.params[7], before + 0.3125F, ROUNDED);
    assert_false(status_of(b).is_in_session);
    const uint8_t(*keys)[FL_KEY_BYTES];
    assert_int_equal(fl_aggregator_contributors(b->lab.aggregator, &keys), N);
    free_bench(b);
}

// Up and down, each step with what a frame takes beside it.
TEST(aggregation_counts_the_bytes_that_its_steps_take)
{
    enum { FRAME_MAX = 128, FRAMES = (1 + 4 + TOLD) * N };
    bench *b = new_bench(N);
    uint64_t bytes = 0;
    all_ready(b, 0, N);
    for (size_t i = 0; i < TOLD; i++) {
        for (uint8_t j = 0; j < N; j++) {
            const fl_partner *partner = &b->partners[j];
            fl_partner_answer(&b->partners[j], told[i]);
            bytes += partner->heard_len;
            if (partner->answer != FL_STEP_MASKED) bytes += partner->said_len;
        }
    }
    assert_in_range(b->lab.round.bytes_control, bytes,
                    bytes + FRAMES * FRAME_MAX);
    assert_true(b->lab.round.bytes_control < b->lab.round.bytes_up);
    free_bench(b);
}

TEST(aggregation_makes_the_same_model_masked_or_in_the_clear)
{
    bench *masked = new_bench_at(N, 0);
    fl_aggregator_options options = fl_lab_options();
    options.cohort = N;
    options.codec = FL_CODEC_DENSE;
    options.codec_bits = 20;
    options.is_overflow_free = true;
    bench *clear = new_bench_with(&options);
    for (int i = 0; i < N; i++) {
        fl_parcel parcel;
        fl_partner *partner = &clear->partners[i];
        fl_parcel_init(&parcel, &partner->plan, clear->lab.param_count,
                       partner->value);
        assert_acknowledged(
            fl_hand_deliver(partner->hand, &partner->plan, &parcel));
        fl_parcel_fini(&parcel);
    }
    assert_int_equal(clear->lab.saved_count, 1);
    assert_int_equal(clear->lab.round.bytes_control, 0);
    assert_memory_equal(masked->lab.params, clear->lab.params,
                        masked->lab.param_count * sizeof(float));
    assert_true(masked->lab.round.client_loss == clear->lab.round.client_loss);
    free_bench(masked);
    free_bench(clear);
}

TEST(aggregation_numbers_every_attempt_and_every_start_anew)
{
    fl_aggregator_options options = fl_lab_secure_options(3);
    uint64_t last = 0;
    for (options.start_count = 1; options.start_count < 4;
         options.start_count++) {
        bench *b = new_bench_with(&options);
        for (int attempt = 0; attempt < 3; attempt++) {
            assert_true(b->partners[0].plan.number > last);
            last = b->partners[0].plan.number;
            for (uint8_t i = 0; i < 3; i++)
                assert_acknowledged(decline(b, i));
            fl_lab_wait(&b->lab, 1000);
            for (uint8_t i = 0; i < 3; i++) {
                assert_told(b, i, FL_MAIL_CLOSED);
                fl_partner_plan(&b->partners[i]);
            }
        }
        free_bench(b);
    }
}

/* ---- who is ready ---- */

TEST(aggregation_counts_who_says_it_is_ready_twice_once)
{
    bench *b = new_bench(3);
    for (int i = 0; i < 3; i++)
        fl_partner_ready(&b->partners[0]);
    fl_partner_ready(&b->partners[1]);
    assert_activity(b, "training");
    fl_partner_ready(&b->partners[2]);
    assert_activity(b, "aggregating");
    fl_partner_ready(&b->partners[0]);  // the answer got lost: asked again
    run_to(b, 1, 3, FL_STEP_ROSTER);
    free_bench(b);
}

TEST(aggregation_refuses_who_is_ready_for_no_round_of_its_own)
{
    bench *b = new_bench(3);
    fl_partner *late = join(b, 3);  // the cohort has been picked
    late->plan.round = 1;
    assert_refused(fl_partner_say(late, FL_STEP_READY, NULL, 0), FL_ERR_STALE);
    late->plan.round = 2;
    assert_refused(fl_partner_say(late, FL_STEP_READY, NULL, 0), FL_ERR_STALE);
    b->partners[0].plan.round = 2;
    assert_refused(fl_partner_say(&b->partners[0], FL_STEP_READY, NULL, 0),
                   FL_ERR_STALE);
    assert_activity(b, "training");
    free_bench(b);
}

TEST(aggregation_opens_a_session_at_the_deadline_with_those_who_are_ready)
{
    bench *b = new_bench(N);
    all_ready(b, 0, 3);
    fl_lab_wait(&b->lab, DEADLINE_MS - 1);
    assert_activity(b, "training");
    fl_lab_wait(&b->lab, 1);
    assert_activity(b, "aggregating");
    assert_told(b, 3, FL_MAIL_CLOSED);
    assert_refused(fl_partner_say(&b->partners[3], FL_STEP_READY, NULL, 0),
                   FL_ERR_STALE);
    assert_refused(fl_partner_say(&b->partners[3], FL_STEP_ADVERTISE,
                                  (const uint8_t[160]){0}, 160),
                   FL_ERR_STALE);
    run_to(b, 0, 3, 0);
    assert_int_equal(b->lab.round.update_count, 3);
    assert_int_equal(b->lab.round.selected_count, N);
    free_bench(b);
}

TEST(aggregation_fails_a_round_with_too_few_who_are_ready)
{
    bench *b = new_bench(N);
    all_ready(b, 0, 2);
    fl_lab_wait(&b->lab, DEADLINE_MS);
    assert_activity(b, "gathering");
    assert_int_equal(status_of(b).attempt, 2);
    assert_int_equal(status_of(b).aborted_count, 0);  // there was no session
    for (uint8_t i = 0; i < N; i++)
        assert_told(b, i, FL_MAIL_CLOSED);
    free_bench(b);
}

TEST(aggregation_waits_for_nobody_who_has_declined)
{
    bench *b = new_bench(N);
    assert_acknowledged(decline(b, 3));
    assert_acknowledged(decline(b, 3));
    all_ready(b, 0, 3);
    assert_activity(b, "aggregating");
    assert_refused(fl_partner_say(&b->partners[3], FL_STEP_READY, NULL, 0),
                   FL_ERR_STALE);
    run_to(b, 0, 3, 0);
    assert_int_equal(b->lab.round.update_count, 3);
    free_bench(b);
}

TEST(aggregation_asks_others_first_when_some_have_said_no)
{
    bench *b = new_bench(3);
    for (uint8_t i = 3; i < 6; i++)
        join(b, i);
    for (uint8_t i = 0; i < 3; i++)
        assert_acknowledged(decline(b, i));
    assert_activity(b, "gathering");
    fl_lab_wait(&b->lab, 5000);
    for (uint8_t i = 3; i < 6; i++)
        fl_partner_plan(&b->partners[i]);
    all_ready(b, 3, 6);
    run_to(b, 3, 6, 0);
    assert_int_equal(b->lab.round.update_count, 3);
    free_bench(b);
}

TEST(aggregation_takes_back_a_ready_that_is_followed_by_a_no)
{
    bench *b = new_bench(3);
    fl_partner_ready(&b->partners[0]);
    assert_acknowledged(decline(b, 0));
    assert_acknowledged(decline(b, 0));
    all_ready(b, 1, 3);
    assert_activity(b, "gathering");
    assert_int_equal(status_of(b).attempt, 2);
    assert_int_equal(status_of(b).aborted_count, 0);  // there was no session
    free_bench(b);
}

TEST(aggregation_takes_a_no_from_who_was_not_asked_for_what_it_is)
{
    bench *b = new_bench(3);
    fl_partner *late = join(b, 3);
    late->plan.round = 1;
    assert_acknowledged(decline(b, 3));
    late->plan.round = 9;
    assert_refused(decline(b, 3), FL_ERR_STALE);
    all_ready(b, 0, 3);
    run_to(b, 0, 3, 0);
    assert_int_equal(b->lab.round.update_count, 3);
    free_bench(b);
}

/* ---- steps ---- */

TEST(aggregation_refuses_a_step_of_who_is_not_in_the_session)
{
    bench *b = new_bench_at(3, FL_STEP_INVITE);
    fl_partner *late = join(b, 3);
    late->plan.round = 1;
    fl_partner_read(&b->partners[0], FL_STEP_INVITE);
    const fl_partner *first = &b->partners[0];
    assert_refused(
        fl_partner_say(late, FL_STEP_ADVERTISE, first->said, first->said_len),
        FL_ERR_STALE);
    assert_acknowledged(fl_partner_reply(&b->partners[0]));
    all_answer(b, 1, 3, FL_STEP_INVITE);
    free_bench(b);
}

TEST(aggregation_refuses_a_step_before_its_session_and_after)
{
    bench *b = new_bench(3);
    fl_partner *first = &b->partners[0];
    const uint8_t zeros[160] = {0};
    assert_refused(fl_partner_say(first, FL_STEP_ADVERTISE, zeros, 160),
                   FL_ERR_STALE);
    all_ready(b, 0, 3);
    run_to(b, 0, 3, 0);
    assert_refused(
        fl_partner_say(first, FL_STEP_UNMASK, first->said, first->said_len),
        FL_ERR_STALE);
    free_bench(b);
}

TEST(aggregation_goes_on_without_who_says_nonsense)
{
    bench *b = new_bench_at(N, FL_STEP_INVITE);
    const uint8_t zeros[160] = {0};
    assert_refused(fl_partner_say(&b->partners[3], FL_STEP_SHARES, zeros, 160),
                   FL_ERR_STALE);
    assert_refused(fl_partner_say(&b->partners[3], FL_STEP_ADVERTISE, zeros, 9),
                   FL_ERR_FORMAT);
    assert_refused(
        fl_partner_say(&b->partners[3], FL_STEP_ADVERTISE, zeros, 160),
        FL_ERR_STALE);  // it has dropped out
    run_to(b, 0, 3, 0);
    assert_int_equal(b->lab.round.update_count, 3);
    free_bench(b);
}

TEST(aggregation_takes_every_step_twice)
{
    bench *b = new_bench(3);
    all_ready(b, 0, 3);
    for (size_t i = 0; i < TOLD; i++) {
        fl_partner *first = &b->partners[0];
        fl_partner_answer(first, told[i]);
        if (first->answer != FL_STEP_MASKED) {
            assert_acknowledged(fl_partner_reply(first));
        }
        all_answer(b, 1, 3, told[i]);
    }
    assert_int_equal(b->lab.round.update_count, 3);
    free_bench(b);
}

/* ---- vectors ---- */

// Offers something else instead of its vector, and is out.
static void try_offer(fl_object_kind kind, uint32_t round, size_t less,
                      fl_err expected)
{
    bench *b = new_bench_at(N, FL_STEP_INBOX);
    fl_partner *last = &b->partners[3];
    fl_parcel other;
    fl_partner_read(last, FL_STEP_INBOX);
    uint8_t *bytes = malloc(last->vector.len);
    assert_non_null(bytes);
    memcpy(bytes, last->vector.bytes, last->vector.len);
    fl_parcel_wrap(&other, kind, round, bytes, last->vector.len - less);
    fl_hand_open(last->hand, &last->plan, &other);
    assert_refused(fl_hand_take(last->hand, FL_MESSAGE_REFUSAL), expected);
    fl_hand_open(last->hand, &last->plan, &last->vector);
    assert_refused(fl_hand_next(last->hand), FL_ERR_STATE);
    assert_int_equal(status_of(b).refused_count, 1);
    all_answer(b, 0, 3, FL_STEP_INBOX);
    for (size_t i = 3; i < TOLD; i++)
        all_answer(b, 0, 3, told[i]);
    assert_int_equal(b->lab.round.update_count, 3);
    fl_parcel_fini(&other);
    free_bench(b);
}

TEST(aggregation_goes_on_without_who_offers_no_masked_vector)
{
    try_offer(FL_OBJECT_UPDATE, 1, 0, FL_ERR_FORMAT);
    try_offer(FL_OBJECT_MASKED, 2, 0, FL_ERR_FORMAT);
    try_offer(FL_OBJECT_MASKED, 1, 8, FL_ERR_RANGE);
}

TEST(aggregation_refuses_a_vector_before_it_is_due_and_after)
{
    bench *b = new_bench_at(3, FL_STEP_ROSTER);
    fl_partner *first = &b->partners[0];
    fl_parcel early;
    fl_parcel_init(&early, &first->plan, b->lab.param_count, 0.5F);
    fl_hand_open(first->hand, &first->plan, &early);
    assert_refused(fl_hand_take(first->hand, FL_MESSAGE_REFUSAL), FL_ERR_STALE);
    fl_parcel_fini(&early);
    free_bench(b);

    b = new_bench_at(3, FL_STEP_SURVIVORS);
    first = &b->partners[0];
    fl_hand_open(first->hand, &first->plan, &first->vector);
    assert_refused(fl_hand_take(first->hand, FL_MESSAGE_REFUSAL), FL_ERR_STALE);
    free_bench(b);
}

TEST(aggregation_acknowledges_a_vector_that_is_committed_twice)
{
    bench *b = new_bench_at(3, FL_STEP_INBOX);
    fl_partner *first = &b->partners[0];
    fl_partner_answer(first, FL_STEP_INBOX);
    fl_hand_commit(first->hand, &first->plan, &first->vector);
    assert_acknowledged(fl_hand_next(first->hand));
    all_answer(b, 1, 3, FL_STEP_INBOX);
    fl_hand_commit(first->hand, &first->plan, &first->vector);
    assert_told(b, 0, FL_MAIL_STEP);
    assert_acknowledged(fl_hand_next(first->hand));
    free_bench(b);
}

/* ---- who is gone ---- */

TEST(aggregation_waits_two_seconds_for_who_is_gone)
{
    for (size_t i = 0; i < TOLD; i++) {
        bench *b = new_bench_at(N, told[i]);
        fl_hand_disconnect(b->partners[3].hand);
        all_answer(b, 0, 3, told[i]);
        fl_lab_wait(&b->lab, GRACE_MS - 1);
        assert_null(fl_hand_take(b->partners[0].hand, FL_MESSAGE_MAIL));
        assert_int_equal(b->lab.saved_count, 0);
        // The sweep may be due first, but nothing later than this.
        assert_in_range(fl_aggregator_deadline(b->lab.aggregator),
                        b->lab.now_ms, b->lab.now_ms + 1);
        fl_lab_wait(&b->lab, 1);
        for (size_t j = i + 1; j < TOLD; j++)
            all_answer(b, 0, 3, told[j]);
        assert_int_equal(b->lab.saved_count, 1);
        // Its vector counts when it was there before it went.
        assert_int_equal(b->lab.round.update_count, i < 3 ? 3 : N);
        free_bench(b);
    }
}

TEST(aggregation_goes_on_with_who_is_back_in_time)
{
    for (size_t i = 0; i < TOLD; i++) {
        bench *b = new_bench_at(N, told[i]);
        fl_hand_disconnect(b->partners[3].hand);
        all_answer(b, 0, 3, told[i]);
        fl_lab_wait(&b->lab, GRACE_MS - 1);
        // It is told again what it was told.
        fl_hand *back = fl_lab_connect(&b->lab, 3, 4);
        fl_hand_greet(back);
        fl_message check_in = fl_hand_check_in();
        fl_hand_send(back, &check_in);
        assert_acknowledged(fl_hand_next(back));
        fl_partner_answer(&b->partners[3], told[i]);
        for (size_t j = i + 1; j < TOLD; j++)
            all_answer(b, 0, N, told[j]);
        assert_int_equal(b->lab.round.update_count, N);
        free_bench(b);
    }
}

TEST(aggregation_says_nothing_to_who_is_back_too_late)
{
    bench *b = new_bench_at(N, FL_STEP_ROSTER);
    fl_hand_disconnect(b->partners[3].hand);
    all_answer(b, 0, 3, FL_STEP_ROSTER);
    fl_lab_wait(&b->lab, GRACE_MS);
    b->partners[3].hand = fl_lab_join(&b->lab, 3, 4);
    assert_null(fl_hand_next(b->partners[3].hand));
    all_answer(b, 0, 3, FL_STEP_INBOX);
    free_bench(b);
}

TEST(aggregation_ends_a_phase_at_its_deadline)
{
    for (size_t i = 0; i < TOLD; i++) {
        bench *b = new_bench_at(N, told[i]);
        all_answer(b, 0, 3, told[i]);  // the last one is there and silent
        fl_lab_wait(&b->lab, PHASE_MS - 1);
        assert_null(fl_hand_take(b->partners[0].hand, FL_MESSAGE_MAIL));
        assert_int_equal(b->lab.saved_count, 0);
        fl_lab_wait(&b->lab, 1);
        for (size_t j = i + 1; j < TOLD; j++)
            all_answer(b, 0, 3, told[j]);
        assert_int_equal(b->lab.saved_count, 1);
        free_bench(b);
    }
}

TEST(aggregation_waits_for_nobody_who_declines_in_a_session)
{
    for (size_t i = 0; i < TOLD; i++) {
        bench *b = new_bench_at(N, told[i]);
        assert_acknowledged(decline(b, 3));
        for (size_t j = i; j < TOLD; j++)
            all_answer(b, 0, 3, told[j]);
        assert_int_equal(b->lab.saved_count, 1);
        assert_int_equal(b->lab.round.update_count, i < 3 ? 3 : N);
        free_bench(b);
    }
}

/* ---- rounds that fail ---- */

TEST(aggregation_aborts_a_session_with_too_few_left_and_tries_again)
{
    for (size_t i = 0; i < TOLD; i++) {
        bench *b = new_bench_at(3, told[i]);
        assert_acknowledged(decline(b, 2));
        all_answer(b, 0, 2, told[i]);
        assert_activity(b, "gathering");
        assert_int_equal(status_of(b).attempt, 2);
        assert_int_equal(status_of(b).aborted_count, 1);
        assert_false(status_of(b).is_in_session);
        for (uint8_t j = 0; j < 3; j++)
            assert_told(b, j, FL_MAIL_CLOSED);

        fl_lab_wait(&b->lab, 1000);
        for (uint8_t j = 0; j < 3; j++)
            fl_partner_plan(&b->partners[j]);
        all_ready(b, 0, 3);
        run_to(b, 0, 3, 0);
        assert_int_equal(b->lab.saved_count, 1);
        assert_int_equal(b->lab.round.attempt, 2);
        assert_int_equal(b->lab.round.sessions_aborted, 1);
        assert_int_equal(b->lab.round.update_count, 3);
        free_bench(b);
    }
}

TEST(aggregation_fails_a_round_whose_masks_do_not_come_off)
{
    bench *b = new_bench(3);
    b->lab.unmask_err = FL_ERR_AUTH;
    const float before = b->lab.params[7];
    all_ready(b, 0, 3);
    run_to(b, 0, 3, 0);
    assert_int_equal(b->lab.saved_count, 0);
    assert_activity(b, "gathering");
    assert_int_equal(status_of(b).attempt, 2);
    assert_int_equal(status_of(b).aborted_count, 1);

    b->lab.unmask_err = FL_OK;
    fl_lab_wait(&b->lab, 1000);
    for (uint8_t i = 0; i < 3; i++) {
        assert_told(b, i, FL_MAIL_CLOSED);
        fl_partner_plan(&b->partners[i]);
    }
    all_ready(b, 0, 3);
    run_to(b, 0, 3, 0);
    assert_int_equal(b->lab.round.sessions_aborted, 1);
    assert_float_equal(b->lab.params[7], before + 0.25F, ROUNDED);
    free_bench(b);
}

TEST(aggregation_fails_a_round_whose_sum_no_clients_have_made)
{
    bench *b = new_bench(3);
    const float before = b->lab.params[7];
    b->partners[1].is_lying = true;
    all_ready(b, 0, 3);
    run_to(b, 0, 3, 0);
    assert_int_equal(b->lab.saved_count, 0);
    assert_activity(b, "gathering");
    assert_int_equal(status_of(b).attempt, 2);

    fl_lab_wait(&b->lab, 1000);
    for (uint8_t i = 0; i < 3; i++) {
        assert_told(b, i, FL_MAIL_CLOSED);
        fl_partner_plan(&b->partners[i]);  // honest again
    }
    all_ready(b, 0, 3);
    run_to(b, 0, 3, 0);
    assert_int_equal(b->lab.saved_count, 1);
    assert_float_equal(b->lab.params[7], before + 0.25F, ROUNDED);
    free_bench(b);
}

TEST(aggregation_leaves_a_session_alone_while_it_is_unmasked)
{
    bench *b = new_bench(3);
    b->lab.keeps_unmask_waiting = true;
    all_ready(b, 0, 3);
    run_to(b, 0, 3, 0);
    assert_activity(b, "unmasking");
    fl_partner *first = &b->partners[0];
    assert_refused(
        fl_partner_say(first, FL_STEP_UNMASK, first->said, first->said_len),
        FL_ERR_STALE);
    assert_acknowledged(decline(b, 1));
    fl_hand_commit(first->hand, &first->plan, &first->vector);
    assert_acknowledged(fl_hand_next(first->hand));
    fl_hand_disconnect(b->partners[2].hand);
    fl_lab_wait(&b->lab, 2 * PHASE_MS);
    assert_activity(b, "unmasking");
    fl_lab_unmask(&b->lab);
    assert_int_equal(b->lab.round.update_count, 3);
    free_bench(b);
}

/* ---- the enrolment list ---- */

static fl_enrolment *decode_list(const bench *b)
{
    fl_enrolment *list;
    assert_ok(fl_enrolment_decode(&list, b->lab.list, b->lab.list_len, NULL));
    return list;
}

// Whoever comes is in it, signed by the authority that is held here.
TEST(aggregation_enrols_those_who_come_and_saves_the_list)
{
    bench *b = new_bench(3);
    assert_int_equal(b->lab.list_count, 1);
    fl_enrolment *list = decode_list(b);
    assert_int_equal(list->serial, 1);
    assert_int_equal(list->device_count, 3);
    fl_enrolment_free(list);

    fl_aggregator_options options = fl_lab_secure_options(3);
    options.list = b->lab.list;
    options.list_len = b->lab.list_len;
    bench *same = new_bench_with(&options);
    assert_int_equal(same->lab.list_count, 0);  // nobody is new
    free_bench(same);

    options.cohort = 5;
    bench *grown = new_bench_with(&options);
    assert_int_equal(grown->lab.list_count, 1);
    list = decode_list(grown);
    assert_int_equal(list->serial, 2);
    assert_int_equal(list->device_count, 5);
    for (int i = 0; i < 5; i++) {
        const fl_identity *identity = &grown->partners[i].hand->identity;
        assert_true(fl_enrolment_find(list, identity->public_key) !=
                    FL_ENROLMENT_NONE);
    }
    fl_enrolment_free(list);
    all_ready(grown, 0, 5);
    run_to(grown, 0, 5, 0);
    assert_int_equal(grown->lab.round.update_count, 5);
    free_bench(grown);
    free_bench(b);
}

TEST(aggregation_keeps_who_is_not_in_a_list_that_it_cannot_sign_out)
{
    bench *b = new_bench(3);
    fl_aggregator_options options = fl_lab_secure_options(3);
    options.authority = NULL;
    options.list = b->lab.list;
    options.list_len = b->lab.list_len;
    fl_lab fixed;
    fl_lab_init(&fixed, &options);
    fl_hand *stranger = fl_lab_connect(&fixed, 3, 4);
    fl_hand_greet(stranger);
    fl_message check_in = fl_hand_check_in();
    fl_hand_send(stranger, &check_in);
    const fl_message *said = fl_hand_take(stranger, FL_MESSAGE_STANDING);
    assert_non_null(said);
    assert_int_equal(said->standing.state, FL_STANDING_REFUSED);
    assert_int_equal(said->standing.cause, FL_CAUSE_NOT_ENROLLED);
    assert_true(stranger->is_closed);
    for (int i = 0; i < 3; i++) {
        fl_hand *hand = fl_lab_join(&fixed, i, (uint8_t)(i + 1));
        assert_false(hand->is_closed);
    }
    const fl_message *mail = fl_hand_take(&fixed.hands[0], FL_MESSAGE_MAIL);
    assert_non_null(mail);
    assert_int_equal(mail->mail.kind, FL_MAIL_PLAN);
    assert_int_equal(fixed.list_count, 0);
    fl_lab_fini(&fixed);
    free_bench(b);
}

TEST(aggregation_starts_with_no_list_that_is_not_its_own)
{
    fl_aggregator *aggregator;
    fl_model *model;
    fl_identity other;
    fl_reason why = {""};
    bench *b = new_bench(3);
    fl_aggregator_options options = fl_lab_secure_options(3);
    assert_ok(fl_model_new(&model,
                           &(fl_model_options){.name = "lenet",
                                               .input = {28, 28, 1},
                                               .class_count = 10},
                           NULL));
    fl_identity_init(&other, (const uint8_t[FL_SEED_BYTES]){97});
    options.list = b->lab.list;
    options.list_len = b->lab.list_len;
    options.authority = &other;
    assert_err(fl_aggregator_new(&aggregator, &options, 0, model, &why),
               FL_ERR_AUTH);
    assert_non_null(strstr(why.text, "another authority"));
    options.list_len -= 2;
    assert_err(fl_aggregator_new(&aggregator, &options, 0, model, &why),
               FL_ERR_FORMAT);
    fl_model_free(model);
    free_bench(b);
}

RUN_TESTS(
    cmocka_unit_test(
        aggregation_adds_up_a_session_and_records_nothing_but_sums),
    cmocka_unit_test(aggregation_counts_the_bytes_that_its_steps_take),
    cmocka_unit_test(aggregation_makes_the_same_model_masked_or_in_the_clear),
    cmocka_unit_test(aggregation_numbers_every_attempt_and_every_start_anew),
    cmocka_unit_test(aggregation_counts_who_says_it_is_ready_twice_once),
    cmocka_unit_test(aggregation_refuses_who_is_ready_for_no_round_of_its_own),
    cmocka_unit_test(
        aggregation_opens_a_session_at_the_deadline_with_those_who_are_ready),
    cmocka_unit_test(aggregation_fails_a_round_with_too_few_who_are_ready),
    cmocka_unit_test(aggregation_waits_for_nobody_who_has_declined),
    cmocka_unit_test(aggregation_asks_others_first_when_some_have_said_no),
    cmocka_unit_test(aggregation_takes_back_a_ready_that_is_followed_by_a_no),
    cmocka_unit_test(
        aggregation_takes_a_no_from_who_was_not_asked_for_what_it_is),
    cmocka_unit_test(aggregation_refuses_a_step_of_who_is_not_in_the_session),
    cmocka_unit_test(aggregation_refuses_a_step_before_its_session_and_after),
    cmocka_unit_test(aggregation_goes_on_without_who_says_nonsense),
    cmocka_unit_test(aggregation_takes_every_step_twice),
    cmocka_unit_test(aggregation_goes_on_without_who_offers_no_masked_vector),
    cmocka_unit_test(aggregation_refuses_a_vector_before_it_is_due_and_after),
    cmocka_unit_test(aggregation_acknowledges_a_vector_that_is_committed_twice),
    cmocka_unit_test(aggregation_waits_two_seconds_for_who_is_gone),
    cmocka_unit_test(aggregation_goes_on_with_who_is_back_in_time),
    cmocka_unit_test(aggregation_says_nothing_to_who_is_back_too_late),
    cmocka_unit_test(aggregation_ends_a_phase_at_its_deadline),
    cmocka_unit_test(aggregation_waits_for_nobody_who_declines_in_a_session),
    cmocka_unit_test(
        aggregation_aborts_a_session_with_too_few_left_and_tries_again),
    cmocka_unit_test(aggregation_fails_a_round_whose_masks_do_not_come_off),
    cmocka_unit_test(aggregation_fails_a_round_whose_sum_no_clients_have_made),
    cmocka_unit_test(aggregation_leaves_a_session_alone_while_it_is_unmasked),
    cmocka_unit_test(aggregation_enrols_those_who_come_and_saves_the_list),
    cmocka_unit_test(
        aggregation_keeps_who_is_not_in_a_list_that_it_cannot_sign_out),
    cmocka_unit_test(aggregation_starts_with_no_list_that_is_not_its_own))
