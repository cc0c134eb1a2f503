/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator.h"

#include <math.h>
#include <stdlib.h>

#include "tests/support/lab.h"
#include "tests/test.h"

enum { PARAMS = 80202 };

// Two clients of a fresh lab and the plan that both got.
static fl_plan open_round(fl_lab *lab, fl_hand **a, fl_hand **b)
{
    *a = fl_lab_join(lab, 0, 1);
    *b = fl_lab_join(lab, 1, 2);
    fl_lab_wait(lab, 1);
    const fl_message *mail = fl_hand_take(*a, FL_MESSAGE_MAIL);
    assert_non_null(mail);
    assert_int_equal(mail->mail.kind, FL_MAIL_PLAN);
    const fl_plan plan = mail->mail.plan;
    assert_non_null(fl_hand_take(*b, FL_MESSAGE_MAIL));
    return plan;
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

TEST(aggregator_averages_two_updates_and_saves_the_round)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel up, down;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    const float before = lab.params[7];
    const fl_plan plan = open_round(&lab, &a, &b);
    assert_int_equal(plan.round, 1);
    assert_int_equal(plan.param_count, PARAMS);
    fl_parcel_init(&up, &plan, PARAMS, 0.5F);
    fl_parcel_init(&down, &plan, PARAMS, -0.25F);
    assert_acknowledged(fl_hand_deliver(a, &plan, &up));
    assert_int_equal(lab.saved_count, 0);
    assert_acknowledged(fl_hand_deliver(b, &plan, &down));
    assert_int_equal(lab.saved_count, 1);
    assert_int_equal(lab.round.round, 1);
    assert_int_equal(lab.round.update_count, 2);
    assert_int_equal(lab.round.sample_count, 20);
    assert_float_equal(lab.round.client_loss, 2.0, 1e-9);
    assert_float_equal(lab.round.client_accuracy, 0.5, 1e-9);
    assert_float_equal(lab.round.accuracy, 0.5, 1e-9);
    assert_float_equal(lab.params[7], before + 0.125F, 1e-6);
    fl_parcel_fini(&up);
    fl_parcel_fini(&down);
    fl_lab_fini(&lab);
}

TEST(aggregator_counts_an_update_that_is_committed_twice_once)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    const fl_plan plan = open_round(&lab, &a, &b);
    fl_parcel_init(&parcel, &plan, PARAMS, 0.5F);
    assert_acknowledged(fl_hand_deliver(a, &plan, &parcel));
    fl_hand_commit(a, &plan, &parcel);  // the answer got lost: asked again
    assert_acknowledged(fl_hand_next(a));
    fl_hand_open(a, &plan, &parcel);  // and the whole upload again
    assert_refused(fl_hand_next(a), FL_ERR_STALE);
    fl_lab_wait(&lab, 60000);
    assert_int_equal(lab.round.update_count, 1);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(aggregator_refuses_an_update_from_another_model)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_plan plan = open_round(&lab, &a, &b);
    fl_parcel_init(&parcel, &plan, PARAMS, 0.5F);
    plan.model[0] ^= 1;
    fl_hand_open(a, &plan, &parcel);
    assert_refused(fl_hand_next(a), FL_ERR_STALE);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

// Codecs for the clear have updates of any length up to the longest.
TEST(aggregator_refuses_updates_that_are_too_long_or_too_short)
{
    const size_t lengths[] = {PARAMS + 8, 4 * PARAMS, PARAMS - 2, 1};
    const fl_err codes[] = {FL_ERR_RANGE, FL_ERR_RANGE, FL_ERR_FORMAT,
                            FL_ERR_FORMAT};
    for (size_t i = 0; i < 4; i++) {
        fl_lab lab;
        fl_hand *a, *b;
        fl_parcel parcel;
        fl_aggregator_options options = fl_lab_options();
        fl_lab_init(&lab, &options);
        const fl_plan plan = open_round(&lab, &a, &b);
        fl_parcel_init(&parcel, &plan, lengths[i], 0.5F);
        if (codes[i] == FL_ERR_FORMAT) {
            assert_refused(fl_hand_deliver(a, &plan, &parcel), codes[i]);
        } else {
            fl_hand_open(a, &plan, &parcel);
            assert_refused(fl_hand_next(a), codes[i]);
        }
        fl_hand_open(a, &plan, &parcel);  // its part in the round is over
        assert_refused(fl_hand_next(a), FL_ERR_STATE);
        fl_parcel_fini(&parcel);
        fl_lab_fini(&lab);
    }
}

TEST(aggregator_refuses_half_an_update_and_takes_the_other_half)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    const fl_plan plan = open_round(&lab, &a, &b);
    fl_parcel_init(&parcel, &plan, PARAMS, 0.5F);
    fl_hand_open(a, &plan, &parcel);
    fl_hand_put(a, &plan, &parcel, 0);
    fl_hand_put(a, &plan, &parcel, 3);
    a->inbox_len = 0;
    fl_hand_commit(a, &plan, &parcel);
    assert_refused(fl_hand_next(a), FL_ERR_NOT_FOUND);

    fl_hand_disconnect(a);
    a = fl_lab_join(&lab, 0, 1);
    a->operation = 1000;
    fl_hand_open(a, &plan, &parcel);
    const fl_message *grant = fl_hand_take(a, FL_MESSAGE_GRANT);
    assert_non_null(grant);
    assert_int_equal(grant->grant.bitmap_len, 1);
    assert_int_equal(grant->grant.bitmap[0], 1 << 0 | 1 << 3);
    for (uint32_t i = 0; i < parcel.chunk_count; i++) {
        if (i != 0 && i != 3) fl_hand_put(a, &plan, &parcel, i);
    }
    a->inbox_len = 0;
    fl_hand_commit(a, &plan, &parcel);
    assert_acknowledged(fl_hand_next(a));
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(aggregator_refuses_updates_with_values_that_are_no_numbers)
{
    const float values[] = {NAN, INFINITY, 1e9F};
    for (size_t i = 0; i < 3; i++) {
        fl_lab lab;
        fl_hand *a, *b;
        fl_parcel bad, good;
        fl_aggregator_options options = fl_lab_options();
        fl_lab_init(&lab, &options);
        const fl_plan plan = open_round(&lab, &a, &b);
        const float before = lab.params[0];
        fl_parcel_init(&bad, &plan, PARAMS, values[i]);
        fl_parcel_init(&good, &plan, PARAMS, 0.5F);
        assert_refused(fl_hand_deliver(a, &plan, &bad), FL_ERR_RANGE);
        assert_acknowledged(fl_hand_deliver(b, &plan, &good));
        // Everyone who can has answered: the round does not wait.
        assert_int_equal(lab.round.update_count, 1);
        assert_float_equal(lab.params[0], before + 0.5F, 1e-6);
        fl_parcel_fini(&bad);
        fl_parcel_fini(&good);
        fl_lab_fini(&lab);
    }
}

TEST(aggregator_refuses_a_chunk_that_is_not_of_its_manifest)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    const fl_plan plan = open_round(&lab, &a, &b);
    fl_parcel_init(&parcel, &plan, PARAMS, 0.5F);
    fl_hand_open(a, &plan, &parcel);
    parcel.bytes[100] ^= 1;
    a->inbox_len = 0;
    fl_hand_put(a, &plan, &parcel, 0);
    assert_refused(fl_hand_next(a), FL_ERR_AUTH);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(aggregator_refuses_messages_of_a_round_that_is_over)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel first, late;
    fl_aggregator_options options = fl_lab_options();
    options.cohort = 1;
    options.over_select = 1.0;
    options.min_clients = 2;
    fl_lab_init(&lab, &options);
    const fl_plan plan = open_round(&lab, &a, &b);
    fl_parcel_init(&first, &plan, PARAMS, 0.5F);
    fl_parcel_init(&late, &plan, PARAMS, 0.5F);
    fl_hand_open(b, &plan, &late);
    assert_acknowledged(fl_hand_deliver(a, &plan, &first));
    assert_int_equal(lab.saved_count, 1);
    b->inbox_len = 0;
    fl_hand_put(b, &plan, &late, 0);
    assert_refused(fl_hand_next(b), FL_ERR_STALE);
    fl_hand_commit(b, &plan, &late);
    assert_refused(fl_hand_next(b), FL_ERR_STALE);
    fl_hand_open(b, &plan, &late);
    assert_refused(fl_hand_next(b), FL_ERR_STALE);
    fl_parcel_fini(&first);
    fl_parcel_fini(&late);
    fl_lab_fini(&lab);
}

TEST(aggregator_tells_stragglers_that_the_round_is_closed)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    const fl_plan plan = open_round(&lab, &a, &b);
    fl_parcel_init(&parcel, &plan, PARAMS, 0.5F);
    assert_acknowledged(fl_hand_deliver(a, &plan, &parcel));
    fl_lab_wait(&lab, 59000);
    assert_int_equal(lab.saved_count, 0);
    fl_lab_wait(&lab, 1000);  // the deadline; b never answered
    assert_int_equal(lab.saved_count, 1);
    const fl_message *mail = fl_hand_take(b, FL_MESSAGE_MAIL);
    assert_non_null(mail);
    assert_int_equal(mail->mail.kind, FL_MAIL_CLOSED);
    assert_int_equal(mail->mail.round, 1);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(aggregator_repeats_a_round_that_missed_its_quorum)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    open_round(&lab, &a, &b);
    fl_lab_wait(&lab, 30000);
    fl_hand_send(a, &(fl_message){.type = FL_MESSAGE_PING});
    fl_hand_send(b, &(fl_message){.type = FL_MESSAGE_PING});
    fl_lab_wait(&lab, 30000);
    assert_int_equal(lab.saved_count, 0);
    a->inbox_len = 0;
    fl_lab_wait(&lab, 2000);
    const fl_message *mail = fl_hand_take(a, FL_MESSAGE_MAIL);
    assert_non_null(mail);
    assert_int_equal(mail->mail.kind, FL_MAIL_PLAN);
    assert_int_equal(mail->mail.round, 1);
    fl_lab_fini(&lab);
}

TEST(aggregator_closes_a_round_when_the_missing_have_been_gone_for_long)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    const fl_plan plan = open_round(&lab, &a, &b);
    fl_parcel_init(&parcel, &plan, PARAMS, 0.5F);
    fl_hand_disconnect(b);
    assert_acknowledged(fl_hand_deliver(a, &plan, &parcel));
    fl_lab_wait(&lab, 29000);
    assert_int_equal(lab.saved_count, 0);  // it may come back
    fl_lab_wait(&lab, 2000);
    assert_int_equal(lab.saved_count, 1);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(aggregator_gives_the_plan_again_to_who_comes_back)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    open_round(&lab, &a, &b);
    fl_hand_disconnect(a);
    fl_lab_wait(&lab, 5000);
    a = fl_lab_join(&lab, 0, 1);
    const fl_message *mail = fl_hand_take(a, FL_MESSAGE_MAIL);
    assert_non_null(mail);
    assert_int_equal(mail->mail.kind, FL_MAIL_PLAN);
    assert_int_equal(mail->mail.plan.deadline_ms, 54999);
    fl_lab_fini(&lab);
}

TEST(aggregator_does_not_repeat_the_plan_to_who_has_carried_it_out)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    const fl_plan plan = open_round(&lab, &a, &b);
    fl_parcel_init(&parcel, &plan, PARAMS, 0.5F);
    fl_hand_disconnect(b);
    assert_acknowledged(fl_hand_deliver(a, &plan, &parcel));
    fl_lab_wait(&lab, 31000);  // b is given up; the next round waits for it
    assert_int_equal(lab.saved_count, 1);
    fl_hand_disconnect(a);
    a = fl_lab_join(&lab, 0, 1);  // a restart: it asks for mail from 0 on
    assert_false(a->is_closed);
    const fl_message *mail = fl_hand_take(a, FL_MESSAGE_MAIL);
    if (mail) assert_int_not_equal(mail->mail.round, 1);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(aggregator_waits_with_a_round_that_the_disk_refuses)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    const fl_plan plan = open_round(&lab, &a, &b);
    fl_parcel_init(&parcel, &plan, PARAMS, 0.5F);
    lab.save_err = FL_ERR_SYSTEM;
    assert_acknowledged(fl_hand_deliver(a, &plan, &parcel));
    assert_acknowledged(fl_hand_deliver(b, &plan, &parcel));
    assert_int_equal(lab.tried_count, 1);
    assert_int_equal(lab.saved_count, 0);
    lab.save_err = FL_OK;
    fl_lab_wait(&lab, 10000);
    assert_int_equal(lab.saved_count, 1);
    assert_int_equal(lab.round.update_count, 2);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(aggregator_lets_updates_beyond_its_memory_wait)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    options.upload_bytes_cap = 5 * PARAMS;  // one, and not two
    fl_lab_init(&lab, &options);
    const fl_plan plan = open_round(&lab, &a, &b);
    fl_parcel_init(&parcel, &plan, PARAMS, 0.5F);
    fl_hand_open(a, &plan, &parcel);
    assert_int_not_equal(fl_hand_next(a)->grant.window, 0);
    fl_hand_open(b, &plan, &parcel);
    const fl_message *later = fl_hand_next(b);
    assert_int_equal(later->type, FL_MESSAGE_GRANT);
    assert_int_equal(later->grant.window, 0);
    assert_true(later->grant.later_ms > 0);
    assert_acknowledged(fl_hand_deliver(a, &plan, &parcel));
    assert_acknowledged(fl_hand_deliver(b, &plan, &parcel));
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(aggregator_serves_the_model_in_chunks_that_make_its_hash)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_manifest manifest;
    fl_arena arena;
    uint8_t hash[FL_HASH_BYTES];
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    const fl_plan plan = open_round(&lab, &a, &b);
    fl_arena_init(&arena, 1 << 20);
    fl_message fetch = {.type = FL_MESSAGE_FETCH,
                        .fetch = {.wants_manifest = true}};
    memcpy(fetch.fetch.object, plan.model, FL_HASH_BYTES);
    fl_hand_send(a, &fetch);
    const fl_message *answer = fl_hand_next(a);
    assert_int_equal(answer->type, FL_MESSAGE_MANIFEST);
    fl_hash(hash, answer->manifest.bytes, answer->manifest.len);
    assert_memory_equal(hash, plan.model, FL_HASH_BYTES);
    assert_ok(fl_manifest_decode(&manifest, &arena, answer->manifest.bytes,
                                 answer->manifest.len, NULL));
    for (uint32_t i = 0; i < manifest.chunk_count; i++) {
        fetch.fetch = (fl_fetch){.index = i};
        fetch.operation = 0;
        memcpy(fetch.fetch.object, plan.model, FL_HASH_BYTES);
        fl_hand_send(a, &fetch);
        answer = fl_hand_next(a);
        assert_int_equal(answer->type, FL_MESSAGE_CHUNK);
        fl_hash(hash, answer->chunk.bytes, answer->chunk.len);
        assert_memory_equal(hash, manifest.chunk_hashes + i * FL_HASH_BYTES,
                            FL_HASH_BYTES);
    }
    fetch.fetch.index = manifest.chunk_count;
    fetch.operation = 0;
    fl_hand_send(a, &fetch);
    assert_refused(fl_hand_next(a), FL_ERR_RANGE);
    fetch.fetch.object[0] ^= 1;
    fetch.operation = 0;
    fl_hand_send(a, &fetch);
    assert_refused(fl_hand_next(a), FL_ERR_STALE);
    fl_arena_fini(&arena);
    fl_lab_fini(&lab);
}

TEST(aggregator_hangs_up_on_bytes_that_are_no_message)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *hand = fl_lab_connect(&lab, 0, 1);
    fl_hand_send_bytes(hand, (const uint8_t *)"GET / HTTP/1.1\r\n", 16);
    assert_true(hand->is_closed);
    fl_lab_fini(&lab);
}

// What is not due: before the greeting, in it, and behind it.
TEST(aggregator_hangs_up_on_who_skips_the_greeting)
{
    const fl_message_type types[] = {FL_MESSAGE_CHECK_IN, FL_MESSAGE_NOISE,
                                     FL_MESSAGE_WELCOME, FL_MESSAGE_PING};
    for (size_t i = 0; i < 4; i++) {
        fl_lab lab;
        fl_aggregator_options options = fl_lab_options();
        fl_lab_init(&lab, &options);
        fl_hand *hand = fl_lab_connect(&lab, 0, 1);
        const uint8_t body[] = {8, 10};
        fl_hand_send_body(hand, &(fl_message){.type = types[i]}, body, 2);
        assert_true(hand->is_closed);
        assert_null(fl_hand_next(hand));

        hand = fl_lab_connect(&lab, 1, 2);
        fl_hand_hello(hand);
        fl_hand_send_body(hand, &(fl_message){.type = types[i]}, body, 2);
        assert_true(hand->is_closed);
        assert_null(fl_hand_next(hand));
        fl_lab_fini(&lab);
    }
}

TEST(aggregator_wants_a_check_in_first)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *hand = fl_lab_connect(&lab, 0, 1);
    fl_hand_greet(hand);
    fl_hand_send(hand, &(fl_message){.type = FL_MESSAGE_PING});
    assert_true(hand->is_closed);
    assert_null(fl_hand_next(hand));
    fl_lab_fini(&lab);
}

TEST(aggregator_refuses_other_versions)
{
    const uint32_t versions[][2] = {{1, 1}, {3, 9}};
    for (size_t i = 0; i < 2; i++) {
        fl_lab lab;
        fl_aggregator_options options = fl_lab_options();
        fl_lab_init(&lab, &options);
        fl_hand *hand = fl_lab_connect(&lab, 0, 1);
        fl_hand_send(hand, &(fl_message){.type = FL_MESSAGE_HELLO,
                                         .hello = {versions[i][0],
                                                   versions[i][1], "hand"}});
        assert_refused(fl_hand_next(hand), FL_ERR_UNSUPPORTED);
        assert_true(hand->is_closed);
        fl_lab_fini(&lab);
    }
}

TEST(aggregator_refuses_a_greeting_that_was_changed_on_its_way)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *hand = fl_lab_connect(&lab, 0, 1);
    fl_greeting greeting = fl_hand_hello(hand);
    uint8_t other[FL_LINE_GREETING_CAP];
    memcpy(other, greeting.hello, greeting.hello_len);
    other[greeting.hello_len - 1] ^= 1;  // what the client has not said
    greeting.hello = other;
    fl_hand_noise(hand, &greeting);
    assert_null(fl_hand_next(hand));
    assert_true(hand->is_closed);
    fl_lab_fini(&lab);
}

TEST(aggregator_refuses_a_card_that_another_identity_signed)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *hand = fl_lab_connect(&lab, 0, 1);
    fl_identity victim;
    fl_identity_init(&victim, (const uint8_t[FL_SEED_BYTES]){77});
    memcpy(hand->identity.public_key, victim.public_key, FL_KEY_BYTES);
    const fl_greeting greeting = fl_hand_hello(hand);
    fl_hand_noise(hand, &greeting);
    assert_null(fl_hand_next(hand));
    assert_true(hand->is_closed);
    fl_lab_fini(&lab);
}

// Overheard greetings come to nothing: they throw nobody out.
TEST(aggregator_grants_nothing_to_a_greeting_that_is_repeated)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    uint8_t noise[FL_LINE_GREETING_CAP], fresh[FL_LINE_FRESH_BYTES] = {1, 2};
    size_t noise_len;
    fl_hand *hand = fl_lab_connect(&lab, 0, 1);
    const fl_greeting greeting = fl_hand_hello(hand);
    assert_ok(fl_line_greet(&hand->line, noise, &noise_len, &hand->identity,
                            &greeting, fresh));
    fl_hand_send_bytes(hand, noise, noise_len);
    fl_hand_join(hand);
    uint8_t check_in[4096];
    size_t check_in_len;
    fl_message message = fl_hand_check_in();
    assert_ok(fl_line_send(&hand->line, check_in, sizeof check_in,
                           &check_in_len, &message));
    fl_hand_send_bytes(hand, check_in, check_in_len);

    fl_hand *thief = fl_lab_connect(&lab, 1, 9);
    fl_hand_hello(thief);
    fl_hand_send_bytes(thief, noise, noise_len);
    assert_non_null(fl_hand_take(thief, FL_MESSAGE_NOISE));
    assert_false(hand->is_closed);
    assert_int_equal(fl_aggregator_get_status(lab.aggregator).connected_count,
                     1);
    fl_hand_send_bytes(thief, check_in, check_in_len);
    assert_true(thief->is_closed);
    assert_false(hand->is_closed);
    assert_null(fl_hand_next(thief));
    fl_lab_fini(&lab);
}

TEST(aggregator_hangs_up_on_frames_that_are_not_the_next_ones)
{
    enum { CASES = 6 };
    for (int i = 0; i < CASES; i++) {
        fl_lab lab;
        fl_aggregator_options options = fl_lab_options();
        fl_lab_init(&lab, &options);
        fl_hand *hand = fl_lab_join(&lab, 0, 1);
        fl_message ping = {.type = FL_MESSAGE_PING};
        uint8_t frame[256];
        size_t len;
        if (i == 0) ping.counter = 1;  // again
        if (i == 1) ping.counter = 3;  // one is missing
        if (i == 2) ping.session[0] = (uint8_t)(hand->line.session[0] + 1);
        if (i < 3) {
            fl_hand_send_body(hand, &ping, NULL, 0);
        } else {
            assert_ok(
                fl_line_send(&hand->line, frame, sizeof frame, &len, &ping));
            if (i == 3) frame[41] ^= 1;       // the round: readable, but bound
            if (i == 4) frame[len - 1] ^= 1;  // the seal
            if (i == 5) len = 59;
            fl_hand_send_bytes(hand, frame, len);
        }
        assert_true(hand->is_closed);
        assert_null(fl_hand_next(hand));  // and says no word about it
        fl_lab_fini(&lab);
    }
}

TEST(aggregator_hangs_up_on_frames_in_clear_once_the_channel_is_open)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *hand = fl_lab_join(&lab, 0, 1);
    uint8_t frame[256];
    size_t len;
    fl_message ping = {.type = FL_MESSAGE_PING, .counter = 2};
    memcpy(ping.session, hand->line.session, sizeof ping.session);
    assert_ok(fl_message_encode(frame, sizeof frame, &len, &ping));
    fl_hand_send_bytes(hand, frame, len);
    assert_true(hand->is_closed);
    fl_lab_fini(&lab);
}

TEST(aggregator_keeps_the_newest_connection_of_a_client)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *old = fl_lab_join(&lab, 0, 1);
    fl_hand *new = fl_lab_join(&lab, 1, 1);
    assert_true(old->is_closed);
    assert_false(new->is_closed);
    assert_int_equal(fl_aggregator_get_status(lab.aggregator).connected_count,
                     1);
    fl_hand_disconnect(old);
    assert_int_equal(fl_aggregator_get_status(lab.aggregator).connected_count,
                     1);
    fl_lab_fini(&lab);
}

TEST(aggregator_lets_clients_in_beside_many_that_say_nothing)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *oldest = fl_lab_connect(&lab, 2, 3);
    fl_lab_wait(&lab, 1);
    for (int i = 0; i < 300; i++)
        fl_lab_connect(&lab, 3, 4);
    assert_true(oldest->is_closed);
    const fl_hand *honest = fl_lab_join(&lab, 0, 1);
    assert_false(honest->is_closed);
    fl_lab_fini(&lab);
}

TEST(aggregator_closes_connections_that_stay_silent)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *mute = fl_lab_connect(&lab, 0, 1);
    fl_hand *idle = fl_lab_join(&lab, 1, 2);
    fl_lab_wait(&lab, 16000);
    assert_true(mute->is_closed);
    assert_false(idle->is_closed);
    fl_lab_wait(&lab, 75000);
    assert_true(idle->is_closed);
    fl_lab_fini(&lab);
}

TEST(aggregator_refuses_more_clients_than_its_maximum)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    options.client_cap = 1;
    options.cohort = 2;
    fl_lab_init(&lab, &options);
    fl_lab_join(&lab, 0, 1);
    fl_hand *hand = fl_lab_connect(&lab, 1, 2);
    fl_hand_greet(hand);
    fl_message check_in = fl_hand_check_in();
    fl_hand_send(hand, &check_in);
    assert_refused(fl_hand_next(hand), FL_ERR_LIMIT);
    assert_true(hand->is_closed);
    fl_lab_fini(&lab);
}

// Later rounds must not move what earlier ones settled (FixBN).
TEST(aggregator_freezes_batch_norms_after_the_rounds_that_train_them)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    const fl_plan first = open_round(&lab, &a, &b);
    assert_int_equal(first.norm, FL_NORM_TRAIN);
    fl_parcel_init(&parcel, &first, PARAMS, 0.5F);
    assert_acknowledged(fl_hand_deliver(a, &first, &parcel));
    assert_acknowledged(fl_hand_deliver(b, &first, &parcel));
    const fl_message *mail = fl_hand_take(a, FL_MESSAGE_MAIL);
    assert_non_null(mail);
    assert_int_equal(mail->mail.plan.round, 2);
    assert_int_equal(mail->mail.plan.norm, FL_NORM_FROZEN);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(aggregator_takes_other_settings_between_two_rounds)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    const fl_plan first = open_round(&lab, &a, &b);
    fl_aggregator_settings settings = {.training = options.training,
                                       .quorum = options.quorum,
                                       .deadline_ms = 7000,
                                       .phase_ms = options.phase_ms,
                                       .evaluate_every = 0};
    settings.training.local_epochs = first.local_epochs + 5;
    settings.training.lr = 0.25F;
    fl_lab_tell(&lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_SETTINGS,
                                            .settings = &settings});
    settings.training.lr = 99.0F;  // it was borrowed for the call
    fl_parcel_init(&parcel, &first, PARAMS, 0.5F);
    assert_acknowledged(fl_hand_deliver(a, &first, &parcel));
    assert_acknowledged(fl_hand_deliver(b, &first, &parcel));
    assert_int_equal(lab.round.update_count, 2);  // the one that was on
    const fl_message *mail = fl_hand_take(a, FL_MESSAGE_MAIL);
    assert_non_null(mail);
    assert_int_equal(mail->mail.plan.round, 2);
    assert_int_equal(mail->mail.plan.local_epochs, first.local_epochs + 5);
    assert_true(mail->mail.plan.lr == 0.25F);
    const uint32_t attempt = fl_aggregator_get_status(lab.aggregator).attempt;
    fl_lab_wait(&lab, 7500);  // its own deadline is over, the first is not
    assert_true(fl_aggregator_get_status(lab.aggregator).attempt > attempt);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

TEST(aggregator_finishes_after_its_last_round_and_says_so)
{
    fl_lab lab;
    fl_hand *a, *b;
    fl_parcel parcel;
    fl_aggregator_options options = fl_lab_options();
    options.round_count = 1;
    fl_lab_init(&lab, &options);
    const fl_plan plan = open_round(&lab, &a, &b);
    fl_parcel_init(&parcel, &plan, PARAMS, 0.5F);
    assert_acknowledged(fl_hand_deliver(a, &plan, &parcel));
    assert_acknowledged(fl_hand_deliver(b, &plan, &parcel));
    assert_true(lab.has_left);
    const fl_message *mail = fl_hand_take(a, FL_MESSAGE_MAIL);
    assert_non_null(mail);
    assert_int_equal(mail->mail.kind, FL_MAIL_FINISHED);
    assert_true(a->is_closed);
    fl_parcel_fini(&parcel);
    fl_lab_fini(&lab);
}

/* ---- clients that may not work ---- */

static void say_away(fl_hand *hand, fl_away away)
{
    fl_message ping = {.type = FL_MESSAGE_PING, .ping = {.away = away}};
    fl_hand_send(hand, &ping);
    assert_non_null(fl_hand_take(hand, FL_MESSAGE_PONG));
}

static uint32_t count_away(const fl_lab *lab, fl_away away)
{
    return fl_aggregator_get_status(lab->aggregator).away_counts[away];
}

TEST(aggregator_does_not_choose_a_client_that_is_away)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *first = fl_lab_join(&lab, 0, 1);
    say_away(first, FL_AWAY_HOT);
    fl_hand *second = fl_lab_join(&lab, 1, 2);
    assert_null(fl_hand_next(first));  // two are there, one can work
    assert_null(fl_hand_next(second));
    assert_int_equal(count_away(&lab, FL_AWAY_HOT), 1);
    assert_int_equal(count_away(&lab, FL_AWAY_NONE), 1);
    fl_hand *third = fl_lab_join(&lab, 2, 3);
    assert_non_null(fl_hand_take(second, FL_MESSAGE_MAIL));
    assert_non_null(fl_hand_take(third, FL_MESSAGE_MAIL));
    fl_lab_wait(&lab, 1000);
    assert_null(fl_hand_next(first));
    fl_lab_fini(&lab);
}

TEST(aggregator_chooses_a_client_again_that_is_back)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *first = fl_lab_join(&lab, 0, 1);
    say_away(first, FL_AWAY_BUSY);
    fl_hand *second = fl_lab_join(&lab, 1, 2);
    say_away(first, FL_AWAY_QUIET_HOURS);
    assert_int_equal(count_away(&lab, FL_AWAY_BUSY), 0);
    assert_int_equal(count_away(&lab, FL_AWAY_QUIET_HOURS), 1);
    assert_null(fl_hand_next(second));
    say_away(first, FL_AWAY_NONE);
    assert_non_null(fl_hand_take(second, FL_MESSAGE_MAIL));
    assert_int_equal(count_away(&lab, FL_AWAY_NONE), 2);
    fl_lab_fini(&lab);
}

// It said so before it went: that is why it is not there.
TEST(aggregator_remembers_why_a_client_hung_up)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *first = fl_lab_join(&lab, 0, 1);
    say_away(first, FL_AWAY_METERED);
    fl_hand_disconnect(first);
    assert_int_equal(count_away(&lab, FL_AWAY_METERED), 1);
    assert_int_equal(count_away(&lab, FL_AWAY_NONE), 0);
    fl_lab_join(&lab, 1, 1);  // the same client, able now
    assert_int_equal(count_away(&lab, FL_AWAY_METERED), 0);
    assert_int_equal(count_away(&lab, FL_AWAY_NONE), 1);
    fl_hand *second = fl_lab_join(&lab, 2, 2);
    assert_non_null(fl_hand_take(second, FL_MESSAGE_MAIL));
    fl_lab_fini(&lab);
}

TEST(aggregator_counts_a_superseded_connection_of_an_absent_client_once)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *old = fl_lab_join(&lab, 0, 1);
    say_away(old, FL_AWAY_HOT);
    fl_hand *new = fl_lab_join(&lab, 1, 1);
    say_away(new, FL_AWAY_HOT);
    fl_hand_disconnect(old);
    assert_int_equal(count_away(&lab, FL_AWAY_HOT), 1);
    assert_int_equal(count_away(&lab, FL_AWAY_NONE), 0);
    fl_hand_disconnect(new);
    fl_lab_join(&lab, 2, 2);
    assert_int_equal(count_away(&lab, FL_AWAY_NONE), 1);
    fl_lab_fini(&lab);
}

TEST(aggregator_takes_a_reason_it_does_not_know_for_another)
{
    fl_lab lab;
    fl_aggregator_options options = fl_lab_options();
    fl_lab_init(&lab, &options);
    fl_hand *hand = fl_lab_join(&lab, 0, 1);
    const fl_message ping = {.type = FL_MESSAGE_PING};
    const uint8_t body[] = {0x10, 0xe7, 0x07};  // away 999
    fl_hand_send_body(hand, &ping, body, sizeof body);
    assert_false(hand->is_closed);
    assert_int_equal(count_away(&lab, FL_AWAY_OTHER), 1);
    fl_lab_fini(&lab);
}

TEST(aggregator_refuses_options_that_make_no_sense)
{
    const fl_aggregator_options good = fl_lab_options();
    fl_aggregator_options bad[4] = {good, good, good, good};
    bad[0].quorum = 3;  // above the cohort
    bad[1].quorum = 0;
    bad[2].cohort = FL_SESSION_CLIENTS_MAX + 1;
    bad[3].deadline_ms = 0;
    for (size_t i = 0; i < 4; i++) {
        fl_aggregator *aggregator;
        fl_reason why = {""};
        assert_err(fl_aggregator_new(&aggregator, &bad[i], 0, NULL, &why),
                   FL_ERR_RANGE);
        assert_true(why.text[0] != 0);
    }
}

RUN_TESTS(
    cmocka_unit_test(aggregator_averages_two_updates_and_saves_the_round),
    cmocka_unit_test(aggregator_counts_an_update_that_is_committed_twice_once),
    cmocka_unit_test(aggregator_refuses_an_update_from_another_model),
    cmocka_unit_test(aggregator_refuses_updates_that_are_too_long_or_too_short),
    cmocka_unit_test(
        aggregator_refuses_half_an_update_and_takes_the_other_half),
    cmocka_unit_test(
        aggregator_refuses_updates_with_values_that_are_no_numbers),
    cmocka_unit_test(aggregator_refuses_a_chunk_that_is_not_of_its_manifest),
    cmocka_unit_test(aggregator_refuses_messages_of_a_round_that_is_over),
    cmocka_unit_test(aggregator_tells_stragglers_that_the_round_is_closed),
    cmocka_unit_test(aggregator_repeats_a_round_that_missed_its_quorum),
    cmocka_unit_test(
        aggregator_closes_a_round_when_the_missing_have_been_gone_for_long),
    cmocka_unit_test(aggregator_gives_the_plan_again_to_who_comes_back),
    cmocka_unit_test(
        aggregator_does_not_repeat_the_plan_to_who_has_carried_it_out),
    cmocka_unit_test(aggregator_waits_with_a_round_that_the_disk_refuses),
    cmocka_unit_test(aggregator_lets_updates_beyond_its_memory_wait),
    cmocka_unit_test(aggregator_serves_the_model_in_chunks_that_make_its_hash),
    cmocka_unit_test(aggregator_hangs_up_on_bytes_that_are_no_message),
    cmocka_unit_test(aggregator_hangs_up_on_who_skips_the_greeting),
    cmocka_unit_test(aggregator_wants_a_check_in_first),
    cmocka_unit_test(aggregator_refuses_other_versions),
    cmocka_unit_test(aggregator_refuses_a_greeting_that_was_changed_on_its_way),
    cmocka_unit_test(aggregator_refuses_a_card_that_another_identity_signed),
    cmocka_unit_test(aggregator_grants_nothing_to_a_greeting_that_is_repeated),
    cmocka_unit_test(aggregator_hangs_up_on_frames_that_are_not_the_next_ones),
    cmocka_unit_test(
        aggregator_hangs_up_on_frames_in_clear_once_the_channel_is_open),
    cmocka_unit_test(aggregator_keeps_the_newest_connection_of_a_client),
    cmocka_unit_test(aggregator_lets_clients_in_beside_many_that_say_nothing),
    cmocka_unit_test(aggregator_closes_connections_that_stay_silent),
    cmocka_unit_test(aggregator_refuses_more_clients_than_its_maximum),
    cmocka_unit_test(
        aggregator_freezes_batch_norms_after_the_rounds_that_train_them),
    cmocka_unit_test(aggregator_takes_other_settings_between_two_rounds),
    cmocka_unit_test(aggregator_finishes_after_its_last_round_and_says_so),
    cmocka_unit_test(aggregator_does_not_choose_a_client_that_is_away),
    cmocka_unit_test(aggregator_chooses_a_client_again_that_is_back),
    cmocka_unit_test(aggregator_remembers_why_a_client_hung_up),
    cmocka_unit_test(
        aggregator_counts_a_superseded_connection_of_an_absent_client_once),
    cmocka_unit_test(aggregator_takes_a_reason_it_does_not_know_for_another),
    cmocka_unit_test(aggregator_refuses_options_that_make_no_sense))
