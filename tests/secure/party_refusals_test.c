/*
 * An aggregator that lies: a test for each fault, named after it. The party it
 * lies to must name the fault, be aborted and never answer again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "tests/support/script.h"
#include "tests/test.h"

enum { N = 6 };  // t is 5

/* ---- malformed ---- */

/* One byte less, one more, none at all, and far too many. */
static void assert_length_matters(fl_step step)
{
    for (int change = 0; change < 4; change++) {
        fl_script *script = fl_script_at(N, step);
        const size_t len = fl_script_message(script, step, 1);
        const size_t wrong[] = {len - 1, len + 1, 0, FL_SESSION_STEP_MAX + 1};
        script->message[len] = 0;
        fl_script_refused(script, step, wrong[change], FL_ERR_FORMAT,
                          FL_FAULT_FORMAT);
    }
}

TEST(party_refuses_malformed_lengths)
{
    assert_length_matters(FL_STEP_INVITE);
    assert_length_matters(FL_STEP_ROSTER);
    assert_length_matters(FL_STEP_INBOX);
    assert_length_matters(FL_STEP_SURVIVORS);
    assert_length_matters(FL_STEP_CONFIRMATIONS);
}

TEST(party_refuses_malformed_numbers)
{
    fl_script *script = fl_script_at(N, FL_STEP_INVITE);
    script->session.phase_ms = 0;
    fl_script_refused(script, FL_STEP_INVITE, fl_script_invite(script),
                      FL_ERR_FORMAT, FL_FAULT_FORMAT);

    script = fl_script_at(N, FL_STEP_ROSTER);
    script->k = 5;  // a few neighbours, and a proof, where all are due
    script->t = 4;
    const size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
    fl_script_refused(script, FL_STEP_ROSTER, len, FL_ERR_FORMAT,
                      FL_FAULT_FORMAT);
}

/* A point of small order as a key, signed by a device that plays along. */
TEST(party_refuses_malformed_keys)
{
    for (size_t key = 0; key < 2; key++) {
        fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
        uint8_t *advertise = script->clients[3].entry + 4;
        memset(advertise + key * FL_KEY_BYTES, 0, FL_KEY_BYTES);
        fl_advertise_sign(advertise, &script->identities[7],
                          script->transcript.ctx);
        const size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
        fl_script_refused(script, FL_STEP_ROSTER, len, FL_ERR_AUTH,
                          FL_FAULT_FORMAT);
    }
}

/* ---- order ---- */

static void assert_not_due(fl_step due, fl_step step)
{
    fl_script *script = fl_script_at(N, due);
    const bool is_answer = step == FL_STEP_READY || step == FL_STEP_ADVERTISE ||
                           step == FL_STEP_SHARES || step == FL_STEP_MASKED ||
                           step == FL_STEP_UNMASK || step > FL_STEP_UNMASK;
    const size_t len = is_answer ? 1 : fl_script_message(script, step, 1);
    fl_script_refused(script, step, len, FL_ERR_STATE, FL_FAULT_ORDER);
}

TEST(party_refuses_out_of_order)
{
    assert_not_due(FL_STEP_INVITE, FL_STEP_ROSTER);
    assert_not_due(FL_STEP_INVITE, FL_STEP_CONFIRMATIONS);
    assert_not_due(FL_STEP_ROSTER, FL_STEP_INVITE);
    assert_not_due(FL_STEP_ROSTER, FL_STEP_INBOX);
    assert_not_due(FL_STEP_ROSTER, FL_STEP_SURVIVORS);
    assert_not_due(FL_STEP_INBOX, FL_STEP_ROSTER);
    assert_not_due(FL_STEP_INBOX, FL_STEP_NEIGHBOURS);
    assert_not_due(FL_STEP_SURVIVORS, FL_STEP_CONFIRMATIONS);
    assert_not_due(FL_STEP_CONFIRMATIONS, FL_STEP_SURVIVORS);
    // What only clients say, and what nobody does.
    assert_not_due(FL_STEP_INVITE, FL_STEP_READY);
    assert_not_due(FL_STEP_ROSTER, FL_STEP_ADVERTISE);
    assert_not_due(FL_STEP_INBOX, FL_STEP_SHARES);
    assert_not_due(FL_STEP_CONFIRMATIONS, FL_STEP_UNMASK);
    assert_not_due(FL_STEP_CONFIRMATIONS, (fl_step)99);
}

TEST(party_refuses_out_of_order_what_comes_before_its_vector)
{
    for (int i = 0; i < 2; i++) {
        fl_script *script = fl_script_new(N);
        script->clients[1].leaves_at = FL_STEP_MASKED;  // the inbox, no mask
        fl_script_run(script, FL_STEP_SURVIVORS);
        fl_bitmap_add(script->survivors, 1);
        const fl_step step = i ? FL_STEP_SURVIVORS : FL_STEP_MASKED;
        const size_t len =
            i ? fl_script_message(script, FL_STEP_SURVIVORS, 1) : 0;
        fl_script_refused(script, step, len, FL_ERR_STATE, FL_FAULT_ORDER);
    }
}

TEST(party_refuses_out_of_order_what_comes_when_it_is_done)
{
    fl_script *script = fl_script_at(N, 0);
    assert_int_equal(fl_party_get_state(script->clients[1].party),
                     FL_PARTY_DONE);
    const size_t len = fl_script_message(script, FL_STEP_CONFIRMATIONS, 1);
    fl_script_refused(script, FL_STEP_CONFIRMATIONS, len, FL_ERR_STATE,
                      FL_FAULT_ORDER);
}

TEST(party_refuses_shares_twice)
{
    static const fl_step steps[] = {FL_STEP_SURVIVORS, FL_STEP_CONFIRMATIONS,
                                    0};
    for (size_t i = 0; i < 3; i++) {
        fl_script *script = fl_script_at(N, steps[i]);
        const size_t len = fl_script_message(script, FL_STEP_INBOX, 1);
        fl_script_refused(script, FL_STEP_INBOX, len, FL_ERR_STATE,
                          FL_FAULT_SHARES_TWICE);
    }
}

/* ---- the invite ---- */

static void assert_invite_refused(fl_script *script, fl_err err, fl_fault fault)
{
    fl_script_refused(script, FL_STEP_INVITE, fl_script_invite(script), err,
                      fault);
}

TEST(party_refuses_other_federation)
{
    fl_script *script = fl_script_new(N);
    script->aggregator = script->identities[0];
    assert_invite_refused(script, FL_ERR_AUTH, FL_FAULT_FEDERATION);
}

TEST(party_refuses_other_model)
{
    fl_script *script = fl_script_new(N);
    script->session.round++;
    assert_invite_refused(script, FL_ERR_RANGE, FL_FAULT_MODEL);
    script = fl_script_new(N);
    script->session.model[31] ^= 1;
    assert_invite_refused(script, FL_ERR_RANGE, FL_FAULT_MODEL);
    script = fl_script_new(N);
    script->session.task[0] ^= 1;
    assert_invite_refused(script, FL_ERR_RANGE, FL_FAULT_MODEL);
}

TEST(party_refuses_other_enrolment)
{
    fl_script *script = fl_script_new(N);
    script->session.enrolment[7] ^= 1;
    assert_invite_refused(script, FL_ERR_RANGE, FL_FAULT_ENROLMENT);
}

TEST(party_refuses_outside_policy)
{
    fl_script *script = fl_script_new(N);
    fl_party_options options = script->clients[1].options;
    options.client_min = 3;
    fl_party_free(script->clients[1].party);
    assert_ok(fl_party_new(&script->clients[1].party, &options));
    assert_invite_refused(script, FL_ERR_RANGE, FL_FAULT_POLICY);
    script = fl_script_new(N);
    script->session.word_count++;
    assert_invite_refused(script, FL_ERR_RANGE, FL_FAULT_POLICY);
}

TEST(party_refuses_number_does_not_grow)
{
    for (uint64_t number = 98; number <= 99; number++) {
        fl_script *script = fl_script_new(N);
        script->session.number = number;
        assert_invite_refused(script, FL_ERR_RANGE, FL_FAULT_NUMBER);
    }
}

TEST(party_refuses_unenrolled_when_it_is_itself)
{
    fl_script *script = fl_script_new(N);
    memset(script->enrolment.devices[3].identity, 0xff, FL_KEY_BYTES);
    assert_invite_refused(script, FL_ERR_AUTH, FL_FAULT_UNENROLLED);
}

TEST(party_refuses_bad_signature_of_an_invite)
{
    fl_script *script = fl_script_new(N);
    const size_t len = fl_script_invite(script);
    script->message[FL_INVITE_BYTES - 1] ^= 0x20;
    fl_script_refused(script, FL_STEP_INVITE, len, FL_ERR_AUTH,
                      FL_FAULT_SIGNATURE);
}

/* ---- the roster ---- */

static void assert_roster_refused(fl_script *script, fl_err err, fl_fault fault)
{
    const size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
    fl_script_refused(script, FL_STEP_ROSTER, len, err, fault);
}

TEST(party_refuses_roster_too_small)
{
    fl_script *script = fl_script_new(N);
    script->session.client_min = N;
    fl_script_run(script, FL_STEP_ROSTER);
    // One is left out; t fits those who are there.
    script->n = N - 1;
    script->t = fl_session_threshold(N - 1);
    const size_t len = fl_script_message(script, FL_STEP_ROSTER, 1);
    script->n = N;
    fl_script_refused(script, FL_STEP_ROSTER, len, FL_ERR_RANGE,
                      FL_FAULT_ROSTER_SMALL);
}

TEST(party_refuses_roster_too_large)
{
    fl_script *script = fl_script_new(N);
    script->session.client_cap = N - 1;
    fl_script_run(script, FL_STEP_ROSTER);
    assert_roster_refused(script, FL_ERR_RANGE, FL_FAULT_ROSTER_LARGE);
}

TEST(party_refuses_threshold_too_low)
{
    fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
    script->t--;
    assert_roster_refused(script, FL_ERR_RANGE, FL_FAULT_THRESHOLD);
    script = fl_script_at(N, FL_STEP_ROSTER);
    script->t = N + 1;
    assert_roster_refused(script, FL_ERR_RANGE, FL_FAULT_THRESHOLD);
}

TEST(party_refuses_self_altered)
{
    // Another of its keys; signed, if anybody could.
    fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
    script->clients[1].entry[4 + 33] ^= 1;
    fl_script_sign(script, 1, 3);
    assert_roster_refused(script, FL_ERR_AUTH, FL_FAULT_SELF);
    // Another's slot, and one that nobody has.
    script = fl_script_at(N, FL_STEP_ROSTER);
    size_t len = fl_script_message(script, FL_STEP_ROSTER, 2);
    fl_script_refused(script, FL_STEP_ROSTER, len, FL_ERR_FORMAT,
                      FL_FAULT_DUPLICATE);
    script = fl_script_at(N, FL_STEP_ROSTER);
    len = fl_script_message(script, FL_STEP_ROSTER, N);
    fl_script_refused(script, FL_STEP_ROSTER, len, FL_ERR_RANGE, FL_FAULT_SELF);
}

TEST(party_refuses_unenrolled)
{
    fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
    fl_bytes_put_u32(script->clients[5].entry, 2 * N + 1);
    assert_roster_refused(script, FL_ERR_AUTH, FL_FAULT_UNENROLLED);
    script = fl_script_at(N, FL_STEP_ROSTER);
    fl_bytes_put_u32(script->clients[5].entry, UINT32_MAX);
    assert_roster_refused(script, FL_ERR_AUTH, FL_FAULT_UNENROLLED);
}

TEST(party_refuses_duplicate_devices)
{
    // One device in two slots, with keys of its own in each; itself; and
    // devices in another order, behind which one could be there twice.
    static const struct {
        uint32_t slot, device;
    } rows[] = {{4, 7}, {0, 3}, {2, 3}, {3, 10}, {0, 4}, {2, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
        fl_script_sign(script, rows[i].slot, rows[i].device);
        assert_roster_refused(script, FL_ERR_FORMAT, FL_FAULT_DUPLICATE);
    }
}

TEST(party_refuses_duplicate_keys)
{
    // C or M of slot 4 is C or M of another, this client among them.
    static const struct {
        uint32_t to, from_slot, from;
    } rows[] = {{0, 3, 0}, {1, 3, 1}, {0, 3, 1}, {1, 3, 0},
                {0, 1, 0}, {1, 1, 1}, {0, 4, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
        memcpy(script->clients[4].entry + 4 + (size_t)rows[i].to * FL_KEY_BYTES,
               script->clients[rows[i].from_slot].entry + 4 +
                   (size_t)rows[i].from * FL_KEY_BYTES,
               FL_KEY_BYTES);
        fl_script_sign(script, 4, 9);
        assert_roster_refused(script, FL_ERR_FORMAT, FL_FAULT_DUPLICATE);
    }
}

TEST(party_refuses_bad_signature)
{
    // Keys that the device has not signed, in the middle and at its end.
    fl_script *script = fl_script_at(N, FL_STEP_ROSTER);
    script->clients[2].entry[10] ^= 1;
    assert_roster_refused(script, FL_ERR_AUTH, FL_FAULT_SIGNATURE);
    script = fl_script_at(N, FL_STEP_ROSTER);
    script->clients[N - 1].entry[FL_ENTRY_BYTES - 1] ^= 0x10;
    assert_roster_refused(script, FL_ERR_AUTH, FL_FAULT_SIGNATURE);
    // What another device has signed.
    script = fl_script_at(N, FL_STEP_ROSTER);
    fl_bytes_put_u32(script->clients[2].entry, 4);
    assert_roster_refused(script, FL_ERR_AUTH, FL_FAULT_SIGNATURE);
    // What the device has signed in another session.
    script = fl_script_at(N, FL_STEP_ROSTER);
    script->transcript.ctx[0] ^= 1;
    fl_script_sign(script, 2, 5);
    assert_roster_refused(script, FL_ERR_AUTH, FL_FAULT_SIGNATURE);
}

/* ---- the inbox ---- */

static void remove_bit(uint8_t *bitmap, uint32_t slot)
{
    bitmap[slot / 8] &= (uint8_t) ~(1u << slot % 8);
}

static void assert_inbox_refused(fl_script *script)
{
    const size_t len = fl_script_message(script, FL_STEP_INBOX, 1);
    fl_script_refused(script, FL_STEP_INBOX, len, FL_ERR_RANGE,
                      FL_FAULT_SENDERS);
}

TEST(party_refuses_bad_senders)
{
    fl_script *script = fl_script_at(N, FL_STEP_INBOX);
    fl_bitmap_add(script->senders, N);  // nobody's
    assert_inbox_refused(script);
    script = fl_script_at(N, FL_STEP_INBOX);
    remove_bit(script->senders, 1);  // without itself
    assert_inbox_refused(script);
    script = fl_script_at(N, FL_STEP_INBOX);
    remove_bit(script->senders, 0);  // 4 of 6, t is 5
    remove_bit(script->senders, 2);
    assert_inbox_refused(script);
}

TEST(party_refuses_bad_senders_that_are_few)
{
    fl_script *script = fl_script_new(N);
    for (uint32_t slot = 0; slot < N; slot++) {
        script->clients[slot].options.client_min = N;
    }
    script->session.client_min = N;
    fl_script_run(script, FL_STEP_INBOX);
    remove_bit(script->senders, 0);  // 5 of 6: t, but fewer than agreed on
    assert_inbox_refused(script);
}

/* ---- survivors ---- */

static void assert_survivors_refused(fl_script *script)
{
    const size_t len = fl_script_message(script, FL_STEP_SURVIVORS, 1);
    fl_script_refused(script, FL_STEP_SURVIVORS, len, FL_ERR_RANGE,
                      FL_FAULT_SURVIVORS);
}

TEST(party_refuses_bad_survivors)
{
    // One that dealt no shares,
    fl_script *script = fl_script_new(N);
    script->clients[4].leaves_at = FL_STEP_SHARES;
    fl_script_run(script, FL_STEP_SURVIVORS);
    fl_bitmap_add(script->survivors, 4);
    assert_survivors_refused(script);
    // one that there is not,
    script = fl_script_at(N, FL_STEP_SURVIVORS);
    fl_bitmap_add(script->survivors, N + 1);
    assert_survivors_refused(script);
    // not itself,
    script = fl_script_at(N, FL_STEP_SURVIVORS);
    remove_bit(script->survivors, 1);
    assert_survivors_refused(script);
    // and itself alone.
    script = fl_script_at(N, FL_STEP_SURVIVORS);
    script->survivors[0] = 2;
    assert_survivors_refused(script);
}

/* ---- confirmations ---- */

static void assert_confirmations_refused(fl_script *script, fl_err err,
                                         fl_fault fault)
{
    const size_t len = fl_script_message(script, FL_STEP_CONFIRMATIONS, 1);
    fl_script_refused(script, FL_STEP_CONFIRMATIONS, len, err, fault);
}

TEST(party_refuses_too_few_confirmations)
{
    fl_script *script = fl_script_at(N, FL_STEP_CONFIRMATIONS);
    memset(script->clients[0].confirm, 0, FL_SIGNATURE_BYTES);
    memset(script->clients[2].confirm, 0, FL_SIGNATURE_BYTES);  // t - 1
    assert_confirmations_refused(script, FL_ERR_RANGE, FL_FAULT_CONFIRMATIONS);

    // Of one that is no survivor, though it has signed.
    script = fl_script_new(N);
    script->clients[3].leaves_at = FL_STEP_MASKED;
    fl_script_run(script, FL_STEP_CONFIRMATIONS);
    fl_transcript_confirm(script->clients[3].confirm, &script->identities[7],
                          &script->transcript, script->survivors,
                          script->bitmap_len);
    assert_confirmations_refused(script, FL_ERR_RANGE, FL_FAULT_CONFIRMATIONS);
}

TEST(party_refuses_bad_signature_of_a_confirmation)
{
    // On another list of survivors: the aggregator told two stories.
    fl_script *script = fl_script_at(N, FL_STEP_CONFIRMATIONS);
    const uint8_t others = 0x1f;
    fl_transcript_confirm(script->clients[4].confirm, &script->identities[9],
                          &script->transcript, &others, 1);
    assert_confirmations_refused(script, FL_ERR_AUTH, FL_FAULT_SIGNATURE);
    // Another's.
    script = fl_script_at(N, FL_STEP_CONFIRMATIONS);
    memcpy(script->clients[4].confirm, script->clients[3].confirm,
           FL_SIGNATURE_BYTES);
    assert_confirmations_refused(script, FL_ERR_AUTH, FL_FAULT_SIGNATURE);
}

TEST(party_refuses_malformed_confirmations)
{
    // One that counts twice; and one of nobody.
    static const uint8_t slots[] = {4, N};
    for (size_t i = 0; i < 2; i++) {
        fl_script *script = fl_script_at(N, FL_STEP_CONFIRMATIONS);
        const size_t len = fl_script_message(script, FL_STEP_CONFIRMATIONS, 1);
        uint8_t *row = script->message + 2 + (size_t)5 * 66;
        memcpy(row, row - 66, 66);
        row[0] = slots[i];
        fl_script_refused(script, FL_STEP_CONFIRMATIONS, len, FL_ERR_FORMAT,
                          FL_FAULT_FORMAT);
    }
}

int main(void)
{
    if (fl_secure_start()) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(party_refuses_malformed_lengths),
        cmocka_unit_test(party_refuses_malformed_numbers),
        cmocka_unit_test(party_refuses_malformed_keys),
        cmocka_unit_test(party_refuses_out_of_order),
        cmocka_unit_test(
            party_refuses_out_of_order_what_comes_before_its_vector),
        cmocka_unit_test(party_refuses_out_of_order_what_comes_when_it_is_done),
        cmocka_unit_test(party_refuses_shares_twice),
        cmocka_unit_test(party_refuses_other_federation),
        cmocka_unit_test(party_refuses_other_model),
        cmocka_unit_test(party_refuses_other_enrolment),
        cmocka_unit_test(party_refuses_outside_policy),
        cmocka_unit_test(party_refuses_number_does_not_grow),
        cmocka_unit_test(party_refuses_unenrolled_when_it_is_itself),
        cmocka_unit_test(party_refuses_bad_signature_of_an_invite),
        cmocka_unit_test(party_refuses_roster_too_small),
        cmocka_unit_test(party_refuses_roster_too_large),
        cmocka_unit_test(party_refuses_threshold_too_low),
        cmocka_unit_test(party_refuses_self_altered),
        cmocka_unit_test(party_refuses_unenrolled),
        cmocka_unit_test(party_refuses_duplicate_devices),
        cmocka_unit_test(party_refuses_duplicate_keys),
        cmocka_unit_test(party_refuses_bad_signature),
        cmocka_unit_test(party_refuses_bad_senders),
        cmocka_unit_test(party_refuses_bad_senders_that_are_few),
        cmocka_unit_test(party_refuses_bad_survivors),
        cmocka_unit_test(party_refuses_too_few_confirmations),
        cmocka_unit_test(party_refuses_bad_signature_of_a_confirmation),
        cmocka_unit_test(party_refuses_malformed_confirmations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
