/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/partner.h"

#include <stdlib.h>

#include "tests/support/packing.h"
#include "tests/test.h"

static void draw_bytes(void *self, void *dst, size_t len)
{
    fl_lab *lab = ((fl_partner *)self)->hand->lab;
    for (size_t i = 0; i < len; i++) {
        lab->random = lab->random * 69069 + 1;
        ((uint8_t *)dst)[i] = (uint8_t)(lab->random >> 11);
    }
}

void fl_partner_fini(fl_partner *partner)
{
    fl_party_free(partner->party);
    fl_enrolment_free(partner->list);
    fl_parcel_fini(&partner->vector);
    free(partner->said);
    *partner = (fl_partner){.hand = partner->hand, .value = partner->value};
}

void fl_partner_plan(fl_partner *partner)
{
    const fl_message *mail = fl_hand_take(partner->hand, FL_MESSAGE_MAIL);
    assert_non_null(mail);
    assert_int_equal(mail->mail.kind, FL_MAIL_PLAN);
    fl_partner_fini(partner);
    partner->plan = mail->mail.plan;
}

const fl_message *fl_partner_say(fl_partner *partner, fl_step step,
                                 const uint8_t *bytes, size_t len)
{
    partner->hand->inbox_len = 0;
    fl_hand_send(partner->hand,
                 &(fl_message){.type = FL_MESSAGE_STEP,
                               .round = partner->plan.round,
                               .step = {.step = step, bytes, len}});
    const fl_message *answer = fl_hand_next(partner->hand);
    assert_non_null(answer);
    return answer;
}

void fl_partner_ready(fl_partner *partner)
{
    const fl_message *answer = fl_partner_say(partner, FL_STEP_READY, NULL, 0);
    assert_int_equal(answer->type, FL_MESSAGE_ACK);
}

/* ---- the session ---- */

static void begin(fl_partner *partner)
{
    const fl_lab *lab = partner->hand->lab;
    const fl_plan *plan = &partner->plan;
    fl_identity aggregator;
    fl_identity_init(&aggregator, (const uint8_t[FL_SEED_BYTES]){99});
    assert_ok(
        fl_enrolment_decode(&partner->list, lab->list, lab->list_len, NULL));
    fl_party_options options = {
        .identity = &partner->hand->identity,
        .enrolment = partner->list,
        .round = plan->round,
        .word_count = (uint32_t)fl_packing_words(plan),
        .client_min = plan->client_min,
        .number_after = plan->number - 1,
        .random_bytes = draw_bytes,
        .random_self = partner,
    };
    memcpy(options.federation, aggregator.public_key, FL_KEY_BYTES);
    memcpy(options.model, plan->model, FL_HASH_BYTES);
    fl_packing_task(options.task, plan);
    assert_ok(fl_party_new(&partner->party, &options));
}

static void mask(fl_partner *partner)
{
    const size_t word_count = fl_packing_words(&partner->plan);
    const size_t len = word_count * sizeof(uint64_t);
    uint64_t *words = malloc(len);
    uint8_t *bytes = malloc(len);
    assert_true(words && bytes);
    fl_packing_encode(words, &partner->plan, partner->value);
    for (size_t i = 0; partner->is_lying && i < word_count; i++)
        words[i] += UINT64_C(1) << 63;
    assert_ok(fl_party_mask(partner->party, words, word_count));
    fl_addend_encode(bytes, words, word_count);
    fl_parcel_wrap(&partner->vector, FL_OBJECT_MASKED, partner->plan.round,
                   bytes, len);
    free(words);
}

void fl_partner_read(fl_partner *partner, fl_step step)
{
    const uint8_t *bytes;
    size_t len;
    const fl_message *mail = fl_hand_take(partner->hand, FL_MESSAGE_MAIL);
    assert_non_null(mail);
    assert_int_equal(mail->mail.kind, FL_MAIL_STEP);
    assert_int_equal(mail->mail.step.step, step);
    partner->heard_len = mail->mail.step.len;
    if (!partner->party) begin(partner);
    if (fl_party_step(partner->party, step, mail->mail.step.bytes,
                      mail->mail.step.len, &partner->answer, &bytes, &len))
        fail_msg("%s", fl_fault_name(fl_party_fault(partner->party)));
    if (partner->answer == FL_STEP_MASKED) {
        mask(partner);
        return;
    }
    free(partner->said);
    partner->said = malloc(len);
    assert_non_null(partner->said);
    memcpy(partner->said, bytes, len);
    partner->said_len = len;
}

const fl_message *fl_partner_reply(fl_partner *partner)
{
    if (partner->answer == FL_STEP_MASKED)
        return fl_hand_deliver(partner->hand, &partner->plan, &partner->vector);
    return fl_partner_say(partner, partner->answer, partner->said,
                          partner->said_len);
}

void fl_partner_answer(fl_partner *partner, fl_step step)
{
    fl_partner_read(partner, step);
    const fl_message *answer = fl_partner_reply(partner);
    assert_non_null(answer);
    assert_int_equal(answer->type, FL_MESSAGE_ACK);
}
