/*
 * Clients that lie: each lie is refused with a sentence, or does no harm, and
 * the sum of the honest ones stays what it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "secure/session/secagg_state.h"
#include "tests/support/parties.h"
#include "tests/test.h"

enum { N = 7, LIAR = 2 };  // t = 5: two may lie or vanish

/* ---- a liar among honest clients ---- */

typedef struct {
    fl_step step;  // that it lies in
    void (*change)(fl_parties *p, uint8_t *bytes, size_t *len);
    fl_err expected;
    const char *word;  // in the sentence
} lie;

static bool tell_lie(void *self, fl_parties *p, uint32_t i, fl_step step,
                     uint8_t *bytes, size_t *len)
{
    const lie *told = self;
    if (i == LIAR && step == told->step) told->change(p, bytes, len);
    return true;
}

static fl_parties *open_with(lie *told)
{
    fl_parties *p = fl_parties_new(N);
    fl_parties_open(p, &(fl_parties_options){.client_min = 5,
                                             .meddle = tell_lie,
                                             .meddle_self = told});
    return p;
}

static void check_honest(const fl_parties *p)
{
    for (uint32_t i = 0; i < N; i++) {
        if (i == LIAR) continue;
        assert_ok(p->guests[i].err);
        assert_ok(p->guests[i].refused);
        assert_true(fl_parties_survived(p, i));
    }
}

// The lie is refused, by name, and the others get their sum.
static void check_lie(lie told)
{
    fl_parties *p = open_with(&told);
    assert_ok(fl_parties_run(p));
    fl_parties_check_sum(p);
    check_honest(p);
    const fl_guest *liar = &p->guests[LIAR];
    assert_err(liar->refused, told.expected);
    if (told.expected) {
        char name[FL_ENROLMENT_NAME_CAP];
        memcpy(name, p->enrolment->devices[liar->device].name, sizeof name);
        assert_reason_names(liar->why, name);
        assert_reason_names(liar->why, fl_step_name(told.step));
        assert_reason_names(liar->why, told.word);
        // It is out, and cannot take it back.
        assert_err(fl_secagg_receive(p->secagg, liar->device, told.step, p->up,
                                     1, NULL),
                   FL_ERR_STALE);
    }
    assert_int_equal(fl_parties_survived(p, LIAR),
                     !told.expected || told.step > FL_STEP_MASKED);
    fl_parties_free(p);
}

/* ---- lengths ---- */

static void cut_one_byte(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)bytes;
    --*len;
}

static void add_one_byte(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    bytes[(*len)++] = 0;
}

static void say_nothing(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)bytes;
    *len = 0;
}

static void check_lengths(fl_step step)
{
    check_lie((lie){step, cut_one_byte, FL_ERR_FORMAT, ""});
    check_lie((lie){step, add_one_byte, FL_ERR_FORMAT, "bytes"});
    check_lie((lie){step, say_nothing, FL_ERR_FORMAT, "0"});
}

TEST(secagg_refuses_steps_of_a_wrong_length)
{
    check_lengths(FL_STEP_ADVERTISE);
    check_lengths(FL_STEP_SHARES);
    check_lengths(FL_STEP_MASKED);
    check_lengths(FL_STEP_CONFIRM);
    check_lengths(FL_STEP_UNMASK);
}

/* ---- signatures ---- */

static void change_a_bit(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    bytes[*len / 2] ^= 4;
}

TEST(secagg_refuses_steps_that_were_changed)
{
    check_lie((lie){FL_STEP_ADVERTISE, change_a_bit, FL_ERR_AUTH, "signed"});
    check_lie((lie){FL_STEP_SHARES, change_a_bit, FL_ERR_AUTH, "signed"});
    check_lie((lie){FL_STEP_CONFIRM, change_a_bit, FL_ERR_AUTH, "signature"});
}

static fl_advertise advertise_of(const fl_parties *p, uint32_t i)
{
    const fl_secagg_client *client =
        fl_secagg_find(p->secagg, p->guests[i].device);
    return fl_advertise_at(client->entry + 4);
}

// The words of somebody who spoke before.
static void copy_advertise(fl_parties *p, uint8_t *bytes, size_t *len)
{
    assert_int_equal(*len, FL_ADVERTISE_BYTES);
    memcpy(bytes, advertise_of(p, 0).cipher_key, FL_ADVERTISE_BYTES);
}

static void sign_advertise(fl_parties *p, uint8_t *bytes)
{
    fl_advertise_sign(bytes, fl_parties_identity(p, LIAR),
                      p->secagg->transcript.ctx);
}

static void copy_cipher_key(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)len;
    memcpy(bytes, advertise_of(p, 0).cipher_key, FL_KEY_BYTES);
    sign_advertise(p, bytes);
}

static void copy_mask_key(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)len;
    memcpy(bytes + FL_KEY_BYTES, advertise_of(p, 0).mask_key, FL_KEY_BYTES);
    sign_advertise(p, bytes);
}

static void cross_keys(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)len;
    memcpy(bytes, advertise_of(p, 0).mask_key, FL_KEY_BYTES);
    sign_advertise(p, bytes);
}

static void use_a_key_twice(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)len;
    memcpy(bytes, bytes + FL_KEY_BYTES, FL_KEY_BYTES);
    sign_advertise(p, bytes);
}

static void weaken_cipher_key(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)len;
    memset(bytes, 0, FL_KEY_BYTES);
    sign_advertise(p, bytes);
}

static void weaken_mask_key(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)len;
    memset(bytes + FL_KEY_BYTES, 0, FL_KEY_BYTES);
    bytes[FL_KEY_BYTES] = 1;  // a point of order 4
    sign_advertise(p, bytes);
}

// Guest 0 speaks before the liar does.
static void check_advertise_lie(lie told)
{
    fl_parties *p = open_with(&told);
    assert_true(fl_parties_ask(p, 0));
    assert_true(fl_parties_ask(p, LIAR));
    assert_err(p->guests[LIAR].refused, told.expected);
    assert_reason_names(p->guests[LIAR].why, told.word);
    assert_ok(fl_parties_run(p));
    fl_parties_check_sum(p);
    check_honest(p);
    assert_false(fl_parties_survived(p, LIAR));
    fl_parties_free(p);
}

TEST(secagg_refuses_copied_keys)
{
    check_advertise_lie(
        (lie){FL_STEP_ADVERTISE, copy_advertise, FL_ERR_AUTH, "not signed"});
    check_advertise_lie(
        (lie){FL_STEP_ADVERTISE, copy_cipher_key, FL_ERR_AUTH, "board-"});
    check_advertise_lie(
        (lie){FL_STEP_ADVERTISE, copy_mask_key, FL_ERR_AUTH, "before"});
    check_advertise_lie(
        (lie){FL_STEP_ADVERTISE, cross_keys, FL_ERR_AUTH, "before"});
    check_advertise_lie(
        (lie){FL_STEP_ADVERTISE, use_a_key_twice, FL_ERR_AUTH, "board-2"});
}

TEST(secagg_refuses_weak_keys)
{
    check_advertise_lie(
        (lie){FL_STEP_ADVERTISE, weaken_cipher_key, FL_ERR_AUTH, "weak"});
    check_advertise_lie(
        (lie){FL_STEP_ADVERTISE, weaken_mask_key, FL_ERR_AUTH, "weak"});
}

static void sign_shares(fl_parties *p, uint32_t signer, uint8_t *bytes,
                        size_t len)
{
    const size_t body_len = len - FL_SIGNATURE_BYTES;
    fl_transcript_shares_sign(bytes + body_len, fl_parties_identity(p, signer),
                              &p->secagg->transcript, LIAR, bytes, body_len);
}

static void sign_shares_as_another(fl_parties *p, uint8_t *bytes, size_t *len)
{
    sign_shares(p, 0, bytes, *len);
}

static void confirm_as_another(fl_parties *p, uint8_t *bytes, size_t *len)
{
    const fl_secagg *s = p->secagg;
    (void)len;
    fl_transcript_confirm(bytes, fl_parties_identity(p, 0), &s->transcript,
                          s->survivors, fl_bitmap_bytes(s->client_count));
}

static void confirm_others(fl_parties *p, uint8_t *bytes, size_t *len)
{
    const fl_secagg *s = p->secagg;
    const uint8_t fewer[1] = {s->survivors[0] & 0x7e};
    (void)len;
    fl_transcript_confirm(bytes, fl_parties_identity(p, LIAR), &s->transcript,
                          fewer, sizeof fewer);
}

TEST(secagg_refuses_signatures_of_somebody_else)
{
    check_lie((lie){FL_STEP_SHARES, sign_shares_as_another, FL_ERR_AUTH,
                    "not signed by this device"});
    check_lie((lie){FL_STEP_CONFIRM, confirm_as_another, FL_ERR_AUTH,
                    "not this device's"});
}

TEST(secagg_refuses_a_confirm_of_other_survivors)
{
    check_lie((lie){FL_STEP_CONFIRM, confirm_others, FL_ERR_AUTH,
                    "signature of the survivors"});
}

/* ---- vectors ---- */

TEST(secagg_adds_one_vector_of_a_client)
{
    fl_parties *p = fl_parties_new(N);
    fl_parties_open(p, &(fl_parties_options){0});
    assert_true(fl_parties_run_to(p, FL_SECAGG_MASKED));
    assert_true(fl_parties_ask(p, LIAR));
    const size_t len = p->secagg->session.word_count * sizeof(uint64_t);
    uint8_t other[64] = {1, 2, 3};
    assert_in_range(len, 1, sizeof other);
    fl_reason why = {""};
    assert_err(
        fl_secagg_add(p->secagg, p->guests[LIAR].device, other, len, &why),
        FL_ERR_STALE);
    assert_reason_names(why, "twice");
    assert_ok(fl_parties_run(p));
    fl_parties_check_sum(p);
    assert_true(fl_parties_survived(p, LIAR));
    fl_parties_free(p);
}

static void change_a_word(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)len;
    uint64_t word;
    fl_addend_decode(&word, bytes, 1);
    word += 5;
    fl_addend_encode(bytes, &word, 1);
}

// Nobody can tell: the sum's owner has to look whether it makes sense.
TEST(secagg_adds_whatever_a_client_masks)
{
    lie told = {FL_STEP_MASKED, change_a_word, FL_OK, ""};
    fl_parties *p = fl_parties_new(N);
    fl_parties_open(
        p, &(fl_parties_options){.meddle = tell_lie, .meddle_self = &told});
    assert_ok(fl_parties_run(p));
    uint64_t expected = 5;
    for (uint32_t i = 0; i < N; i++)
        expected += fl_parties_word(p, i, 0);
    assert_true(fl_secagg_sum(p->secagg)[0] == expected);
    fl_parties_free(p);
}

/* ---- shares ---- */

static size_t hashes_len(void)
{
    return (size_t)N * 2 * FL_SHARE_HASH_BYTES;
}

// The shares for slots 0 and 1 change places.
static void swap_shares(fl_parties *p, uint8_t *bytes, size_t *len)
{
    uint8_t kept[FL_SEALED_SHARE_BYTES];
    uint8_t *sealed = bytes + hashes_len();
    memcpy(kept, sealed, sizeof kept);
    memcpy(sealed, sealed + sizeof kept, sizeof kept);
    memcpy(sealed + sizeof kept, kept, sizeof kept);
    sign_shares(p, LIAR, bytes, *len);
}

TEST(secagg_does_without_shares_that_were_sealed_for_somebody_else)
{
    check_lie((lie){FL_STEP_SHARES, swap_shares, FL_OK, ""});
}

// An honest client gives what it was dealt, and that is not what was signed.
static void hash_wrongly(fl_parties *p, uint8_t *bytes, size_t *len)
{
    bytes[0] ^= 1;  // the first half of slot 0's share
    sign_shares(p, LIAR, bytes, *len);
}

TEST(secagg_names_both_when_a_dealer_hashes_wrongly)
{
    lie told = {FL_STEP_SHARES, hash_wrongly, FL_OK, ""};
    fl_parties *p = open_with(&told);
    p->guests[5].gone_at = FL_STEP_MASKED;
    assert_ok(fl_parties_run(p));
    fl_parties_check_sum(p);
    assert_err(p->guests[0].refused, FL_ERR_AUTH);
    assert_reason_names(p->guests[0].why, "board-");
    assert_reason_names(p->guests[0].why,
                        fl_secagg_name(p->secagg, &p->secagg->clients[LIAR]));
    assert_reason_names(p->guests[0].why, "the others are kept");
    // Six gave: all but the one that counts twice above.
    assert_int_equal(p->secagg->clients[LIAR].half_count, 5);
    fl_parties_free(p);
}

// Where the half of this slot lies in UNMASK, everybody being a survivor.
static uint8_t *half_at(uint8_t *bytes, uint32_t slot)
{
    return bytes + 2 + slot * (2 + (size_t)FL_HALF_BYTES);
}

static void tamper_with_a_share(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)len;
    half_at(bytes, 4)[2 + 7] ^= 0x10;
}

TEST(secagg_names_a_share_that_was_tampered_with)
{
    check_lie((lie){FL_STEP_UNMASK, tamper_with_a_share, FL_ERR_AUTH,
                    "1 of its shares, the first that of board-4"});
}

static void tamper_with_all_shares(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)len;
    for (uint32_t slot = 0; slot < N; slot++) {
        half_at(bytes, slot)[2] ^= 1;
    }
}

TEST(secagg_names_how_many_shares_were_tampered_with)
{
    check_lie((lie){FL_STEP_UNMASK, tamper_with_all_shares, FL_ERR_AUTH,
                    "7 of its shares"});
}

// None of the tampered ones is among those that rebuild a seed.
TEST(secagg_keeps_the_good_shares_of_a_tampering_client)
{
    lie told = {FL_STEP_UNMASK, tamper_with_a_share, FL_ERR_AUTH, ""};
    fl_parties *p = open_with(&told);
    assert_true(fl_parties_run_to(p, FL_SECAGG_UNMASK));
    assert_true(fl_parties_ask(p, LIAR));
    for (uint32_t slot = 0; slot < N; slot++) {
        assert_int_equal(p->secagg->clients[slot].half_count, slot != 4);
    }
    assert_false(fl_secagg_is_awaited(p->secagg, p->guests[LIAR].device));
    fl_parties_free(p);
}

/* ---- slots ---- */

static void name_a_slot_beyond(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)len;
    half_at(bytes, N - 1)[0] = N;
}

static void name_a_slot_twice(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)len;
    half_at(bytes, 3)[0] = 2;
}

static void count_one_more(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)len;
    bytes[0]++;
}

static void count_one_less(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)len;
    bytes[0]--;
}

TEST(secagg_refuses_shares_of_slots_that_are_none)
{
    check_lie((lie){FL_STEP_UNMASK, name_a_slot_beyond, FL_ERR_RANGE,
                    "slot 7, which does not rise or is none of the 7"});
    check_lie((lie){FL_STEP_UNMASK, name_a_slot_twice, FL_ERR_RANGE,
                    "slot 2, which does not rise"});
    check_lie((lie){FL_STEP_UNMASK, count_one_more, FL_ERR_FORMAT, "cut"});
    check_lie((lie){FL_STEP_UNMASK, count_one_less, FL_ERR_FORMAT, "halves"});
}

static void give_of_slot_5(fl_parties *p, uint8_t *bytes, size_t *len)
{
    (void)p;
    (void)len;
    // Slot 5 sent no shares, so slot 6 is where it would be.
    half_at(bytes, 5)[0] = 5;
}

TEST(secagg_refuses_a_share_of_somebody_who_sent_none)
{
    lie told = {FL_STEP_UNMASK, give_of_slot_5, FL_ERR_RANGE, ""};
    fl_parties *p = open_with(&told);
    p->guests[5].gone_at = FL_STEP_SHARES;
    assert_ok(fl_parties_run(p));
    fl_parties_check_sum(p);
    assert_err(p->guests[LIAR].refused, FL_ERR_RANGE);
    assert_reason_names(p->guests[LIAR].why, "slot 5, which gave it none");
    fl_parties_free(p);
}

/* ---- seeds that are not what was committed to ---- */

static void check_wrong_seeds(uint32_t liar_count, fl_step gone_at,
                              const char *word)
{
    fl_parties *p = fl_parties_new(N);
    fl_parties_open(p, &(fl_parties_options){0});
    if (gone_at) p->guests[0].gone_at = gone_at;
    assert_true(fl_parties_run_to(p, FL_SECAGG_UNMASK));
    fl_parties_ask_all(p);
    // As if what they had dealt belonged to something else.
    for (uint32_t i = 0; i < liar_count; i++) {
        const size_t at = 4 + (gone_at && i == 0 ? FL_KEY_BYTES : 2 * 32);
        p->secagg->clients[i].entry[at] ^= 1;
    }
    assert_true(fl_secagg_can_unmask(p->secagg));
    assert_err(fl_parties_advance(p), FL_ERR_AUTH);
    assert_int_equal(fl_secagg_get_phase(p->secagg), FL_SECAGG_ABORTED);
    assert_reason_names(p->why, word);
    assert_null(fl_secagg_sum(p->secagg));
    fl_parties_free(p);
}

TEST(secagg_names_those_whose_shares_give_no_seed)
{
    check_wrong_seeds(1, 0, "1 clients");
    check_wrong_seeds(1, FL_STEP_MASKED, "(board-0)");
    check_wrong_seeds(2, 0, "(board-0, board-1)");
    check_wrong_seeds(7, 0, "(board-0, board-1, board-2, board-3, ...)");
}

/* ---- choices ---- */

static void encode_choice(uint8_t *dst, const uint16_t *slots, uint32_t k)
{
    fl_writer out = fl_writer_over(dst, 2 * (size_t)k);
    for (uint32_t i = 0; i < k; i++) {
        fl_writer_u16(&out, slots[i]);
    }
}

static void check_choice(const fl_secagg_graph *graph, const uint16_t slots[3],
                         fl_err expected)
{
    uint8_t bytes[6];
    fl_secagg_graph copy = *graph;
    encode_choice(bytes, slots, 3);
    assert_err(fl_secagg_graph_choose(&copy, 4, bytes, sizeof bytes), expected);
}

TEST(secagg_graph_refuses_choices_that_are_none)
{
    fl_secagg_graph graph;
    assert_ok(fl_secagg_graph_init(&graph, 6, 3));
    check_choice(&graph, (uint16_t[]){0, 2, 6}, FL_ERR_RANGE);
    check_choice(&graph, (uint16_t[]){0, 2, 0xffff}, FL_ERR_RANGE);
    check_choice(&graph, (uint16_t[]){0, 2, 4}, FL_ERR_RANGE);
    check_choice(&graph, (uint16_t[]){0, 2, 2}, FL_ERR_RANGE);
    check_choice(&graph, (uint16_t[]){3, 2, 5}, FL_ERR_RANGE);
    const uint8_t bytes[8] = {0, 0, 1, 0, 2, 0, 3, 0};
    assert_err(fl_secagg_graph_choose(&graph, 4, bytes, 4), FL_ERR_FORMAT);
    assert_err(fl_secagg_graph_choose(&graph, 4, bytes, 8), FL_ERR_FORMAT);
    check_choice(&graph, (uint16_t[]){0, 2, 5}, FL_OK);
    fl_secagg_graph_fini(&graph);
}

static void check_partners(const fl_secagg_graph *graph, uint32_t slot,
                           const char *expected)
{
    char found[32] = "";
    uint32_t partner;
    fl_secagg_graph_walk walk = fl_secagg_graph_partners(graph, slot);
    while (fl_secagg_graph_next(&walk, &partner)) {
        const size_t len = strlen(found);
        snprintf(found + len, sizeof found - len, "%u ", partner);
    }
    assert_string_equal(found, expected);
}

TEST(secagg_graph_knows_partners_and_holders)
{
    const uint16_t choices[4][2] = {{1, 3}, {0, 2}, {3, 4}, {0, 4}};
    uint8_t bytes[4];
    uint32_t place;
    fl_secagg_graph graph;
    assert_ok(fl_secagg_graph_init(&graph, 5, 2));
    for (uint32_t slot = 0; slot < 4; slot++) {  // slot 4 never chooses
        encode_choice(bytes, choices[slot], 2);
        assert_ok(fl_secagg_graph_choose(&graph, slot, bytes, sizeof bytes));
    }
    assert_ok(fl_secagg_graph_close(&graph));
    check_partners(&graph, 0, "1 3 ");
    check_partners(&graph, 1, "0 2 ");
    check_partners(&graph, 2, "1 3 4 ");
    check_partners(&graph, 3, "0 2 4 ");
    check_partners(&graph, 4, "2 3 ");
    assert_true(fl_secagg_graph_find_holder(&graph, 3, 4, &place));
    assert_int_equal(place, 1);
    assert_int_equal(fl_secagg_graph_holder(&graph, 2, 0), 3);
    assert_false(fl_secagg_graph_find_holder(&graph, 3, 2, &place));
    assert_false(fl_secagg_graph_find_holder(&graph, 4, 0, &place));
    assert_int_equal(fl_secagg_graph_holder(&graph, 4, 0),
                     FL_SECAGG_GRAPH_NONE);
    fl_secagg_graph_fini(&graph);
}

/* ---- a crowd of 600 that conspires against slot 0 ---- */

enum { CROWD = 600, CROWD_K = 96 };

static void advertise(fl_parties *p, uint32_t i)
{
    uint8_t bytes[FL_ADVERTISE_BYTES] = {0};
    const fl_identity *identity = fl_parties_identity(p, i);
    // Any two keys that nobody else has.
    memcpy(bytes, identity->channel_key, FL_KEY_BYTES);
    fl_transcript_public(bytes + FL_KEY_BYTES, identity->public_key);
    fl_advertise_sign(bytes, identity, p->secagg->transcript.ctx);
    assert_ok(fl_secagg_receive(p->secagg, p->guests[i].device,
                                FL_STEP_ADVERTISE, bytes, sizeof bytes, NULL));
}

// Those up to `against` choose slot 0, everybody else chooses after itself.
static void choose(fl_parties *p, uint32_t i, uint32_t against)
{
    uint16_t slots[CROWD_K];
    uint8_t bytes[2 * CROWD_K];
    const uint32_t base = i == 0 ? 1 : 300;
    for (uint32_t at = 0; at < CROWD_K; at++) {
        slots[at] = (uint16_t)(base + at + (i >= base && base + at >= i));
    }
    if (i > 0 && i <= against) slots[0] = 0;
    encode_choice(bytes, slots, CROWD_K);
    assert_ok(fl_secagg_receive(p->secagg, p->guests[i].device, FL_STEP_CHOICE,
                                bytes, sizeof bytes, NULL));
}

static void check_crowd(fl_parties *p, uint32_t against, bool is_there)
{
    size_t len;
    fl_step step;
    fl_parties_open(p, &(fl_parties_options){.client_min = 200});
    for (uint32_t i = 0; i < CROWD; i++) {
        advertise(p, i);
    }
    assert_ok(fl_secagg_advance(p->secagg, NULL));
    assert_int_equal(fl_secagg_get_phase(p->secagg), FL_SECAGG_CHOICE);
    for (uint32_t i = 0; i < CROWD; i++) {
        choose(p, i, against);
    }
    assert_ok(fl_secagg_advance(p->secagg, NULL));
    assert_int_equal(fl_secagg_is_awaited(p->secagg, 0), is_there);
    for (uint32_t i = 0; i < CROWD; i++) {
        const fl_err err = fl_secagg_message(p->secagg, i, &step, p->down,
                                             FL_SESSION_STEP_MAX, &len);
        if (!fl_secagg_is_awaited(p->secagg, i)) continue;
        assert_ok(err);
        assert_int_equal(step, FL_STEP_NEIGHBOURS);
    }
}

TEST(secagg_drops_a_client_that_is_chosen_by_more_than_it_can_be_told)
{
    fl_parties *p = fl_parties_new(CROWD);
    check_crowd(p, 300, true);
    check_crowd(p, 599, false);
    fl_parties_free(p);
}

RUN_TESTS(cmocka_unit_test(secagg_refuses_steps_of_a_wrong_length),
          cmocka_unit_test(secagg_refuses_steps_that_were_changed),
          cmocka_unit_test(secagg_refuses_copied_keys),
          cmocka_unit_test(secagg_refuses_weak_keys),
          cmocka_unit_test(secagg_refuses_signatures_of_somebody_else),
          cmocka_unit_test(secagg_refuses_a_confirm_of_other_survivors),
          cmocka_unit_test(secagg_adds_one_vector_of_a_client),
          cmocka_unit_test(secagg_adds_whatever_a_client_masks),
          cmocka_unit_test(
              secagg_does_without_shares_that_were_sealed_for_somebody_else),
          cmocka_unit_test(secagg_names_both_when_a_dealer_hashes_wrongly),
          cmocka_unit_test(secagg_names_a_share_that_was_tampered_with),
          cmocka_unit_test(secagg_names_how_many_shares_were_tampered_with),
          cmocka_unit_test(secagg_keeps_the_good_shares_of_a_tampering_client),
          cmocka_unit_test(secagg_refuses_shares_of_slots_that_are_none),
          cmocka_unit_test(secagg_refuses_a_share_of_somebody_who_sent_none),
          cmocka_unit_test(secagg_names_those_whose_shares_give_no_seed),
          cmocka_unit_test(secagg_graph_refuses_choices_that_are_none),
          cmocka_unit_test(secagg_graph_knows_partners_and_holders),
          cmocka_unit_test(
              secagg_drops_a_client_that_is_chosen_by_more_than_it_can_be_told))
