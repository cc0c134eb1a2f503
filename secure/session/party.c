/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "secure/session/party_state.h"

/* ---- life ---- */

fl_err fl_party_new(fl_party **party, const fl_party_options *options)
{
    fl_party *made = calloc(1, sizeof *made);
    if (!made) return FL_ERR_MEMORY;
    made->options = *options;
    made->state = FL_PARTY_OPEN;
    made->due = FL_STEP_INVITE;
    *party = made;
    return FL_OK;
}

static void drop_out(fl_party *party)
{
    if (party->out) fl_secret_wipe(party->out, party->out_len);
    free(party->out);
    party->out = NULL;
    party->out_len = 0;
}

void fl_party_wipe(fl_party *party)
{
    fl_vault_free(party->vault);
    party->vault = NULL;
    party->secrets = NULL;
    party->pairs = NULL;
}

void fl_party_free(fl_party *party)
{
    if (!party) return;
    fl_party_wipe(party);
    drop_out(party);
    free(party->peers);
    free(party->chosen);
    free(party);
}

void fl_party_abort(fl_party *party, fl_fault fault)
{
    if (party->state == FL_PARTY_ABORTED) return;  // the first fault counts
    party->state = FL_PARTY_ABORTED;
    party->fault = fault;
    fl_party_wipe(party);
    drop_out(party);
}

fl_err fl_party_refuse(fl_party *party, fl_fault fault, fl_err err)
{
    party->fault = fault;
    return err;
}

void fl_party_answer(fl_party *party, fl_step answer, fl_step due)
{
    party->answer = answer;
    party->due = due;
}

fl_err fl_party_out(fl_party *party, size_t len)
{
    drop_out(party);
    if (len == 0) return FL_OK;
    party->out = calloc(1, len);
    if (!party->out) return FL_ERR_MEMORY;
    party->out_len = len;
    return FL_OK;
}

/* ---- the invite ---- */

static bool is_same(const uint8_t a[FL_HASH_BYTES],
                    const uint8_t b[FL_HASH_BYTES])
{
    return memcmp(a, b, FL_HASH_BYTES) == 0;
}

static fl_err decode_invite(fl_party *party, const uint8_t *src, size_t len)
{
    const fl_err err = fl_session_decode(&party->session, src, len);
    if (err == FL_ERR_AUTH) {
        return fl_party_refuse(party, FL_FAULT_SIGNATURE, err);
    }
    return err ? fl_party_refuse(party, FL_FAULT_FORMAT, err) : FL_OK;
}

static fl_err check_invite(fl_party *party)
{
    const fl_session *session = &party->session;
    const fl_party_options *own = &party->options;
    // Somebody else must not collect what was trained for the pinned one.
    if (!is_same(session->federation, own->federation)) {
        return fl_party_refuse(party, FL_FAULT_FEDERATION, FL_ERR_AUTH);
    }
    // Nor must it single out clients by telling each about another model: all
    // of this is in ctx, and clients with different ctx share no masks.
    if (session->round != own->round || !is_same(session->model, own->model) ||
        !is_same(session->task, own->task)) {
        return fl_party_refuse(party, FL_FAULT_MODEL, FL_ERR_RANGE);
    }
    // It must not swap the list for one with devices of its own making.
    if (!is_same(session->enrolment, own->enrolment->hash)) {
        return fl_party_refuse(party, FL_FAULT_ENROLMENT, FL_ERR_RANGE);
    }
    // The fewer there are to hide among, the more a sum says about each.
    if (session->client_min < own->client_min ||
        session->word_count != own->word_count) {
        return fl_party_refuse(party, FL_FAULT_POLICY, FL_ERR_RANGE);
    }
    // Neither an old session again, nor two sessions about one update, whose
    // sums could be subtracted.
    if (session->number <= own->number_after) {
        return fl_party_refuse(party, FL_FAULT_NUMBER, FL_ERR_RANGE);
    }
    return FL_OK;
}

/* A vault with nothing in it but what is drawn: c, b and s. */
static fl_err draw_secrets(fl_party *party)
{
    FL_TRY(fl_vault_new(&party->vault, sizeof *party->secrets));
    party->secrets = fl_vault_take(party->vault, sizeof *party->secrets);
    assert(party->secrets);
    const fl_party_options *own = &party->options;
    fl_party_secrets *secrets = party->secrets;
    own->random_bytes(own->random_self, secrets->b_s, sizeof secrets->b_s);
    own->random_bytes(own->random_self, secrets->c, sizeof secrets->c);
    return FL_OK;
}

static void make_advertise(fl_party *party)
{
    const fl_party_secrets *secrets = party->secrets;
    uint8_t *cipher_key = party->entry + 4;
    uint8_t *mask_key = cipher_key + FL_KEY_BYTES;
    uint8_t *commitment = mask_key + FL_KEY_BYTES;
    fl_bytes_put_u32(party->entry, party->device);
    fl_transcript_public(cipher_key, secrets->c);
    fl_transcript_public(mask_key, secrets->b_s + FL_SEED_BYTES);
    fl_transcript_commitment(commitment, party->transcript.ctx, secrets->b_s);
    fl_advertise_sign(cipher_key, party->options.identity,
                      party->transcript.ctx);
}

static fl_err take_invite(fl_party *party, fl_reader *in)
{
    const uint8_t *invite = in->at;
    FL_TRY(decode_invite(party, invite, in->left));
    FL_TRY(check_invite(party));
    party->device = fl_enrolment_find(party->options.enrolment,
                                      party->options.identity->public_key);
    if (party->device == FL_ENROLMENT_NONE) {
        return fl_party_refuse(party, FL_FAULT_UNENROLLED, FL_ERR_AUTH);
    }
    fl_transcript_context(party->transcript.ctx, invite);
    FL_TRY(draw_secrets(party));
    make_advertise(party);
    FL_TRY(fl_party_out(party, FL_ADVERTISE_BYTES));
    memcpy(party->out, party->entry + 4, FL_ADVERTISE_BYTES);
    fl_party_answer(party, FL_STEP_ADVERTISE, FL_STEP_ROSTER);
    return FL_OK;
}

/* ---- steps ---- */

/*
 * A step at the wrong time must not make this client answer one it has
 * answered: two answers are two signatures, or shares of both kinds. What is
 * due after the inbox comes after it in fl_step, too.
 */
static fl_err refuse_order(fl_party *party, fl_step step)
{
    const bool is_again = step == FL_STEP_INBOX && party->due > FL_STEP_INBOX;
    return fl_party_refuse(
        party, is_again ? FL_FAULT_SHARES_TWICE : FL_FAULT_ORDER, FL_ERR_STATE);
}

static fl_err take(fl_party *party, fl_step step, fl_reader *in)
{
    if (step != party->due) return refuse_order(party, step);
    switch (step) {
    case FL_STEP_INVITE: return take_invite(party, in);
    case FL_STEP_ROSTER: return fl_party_take_roster(party, in);
    case FL_STEP_NEIGHBOURS: return fl_party_take_neighbours(party, in);
    case FL_STEP_INBOX: return fl_party_take_inbox(party, in);
    case FL_STEP_SURVIVORS: return fl_party_take_survivors(party, in);
    case FL_STEP_CONFIRMATIONS: return fl_party_take_confirmations(party, in);
    case FL_STEP_READY:
    case FL_STEP_ADVERTISE:
    case FL_STEP_CHOICE:
    case FL_STEP_SHARES:
    case FL_STEP_MASKED:
    case FL_STEP_CONFIRM:
    case FL_STEP_UNMASK:
    case FL_STEP_DECLINE: break;
    }
    return refuse_order(party, step);  // a client's step, from the aggregator
}

fl_err fl_party_step(fl_party *party, fl_step step, const uint8_t *src,
                     size_t src_len, fl_step *answer, const uint8_t **bytes,
                     size_t *len)
{
    if (party->state == FL_PARTY_ABORTED) return FL_ERR_STATE;
    fl_reader in = fl_reader_over(src, src_len);
    const fl_err err =
        src_len > FL_SESSION_STEP_MAX
            ? fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT)
            : take(party, step, &in);
    if (err) {
        fl_party_abort(party, party->fault);
        return err;
    }
    *answer = party->answer;
    *bytes = party->out;
    *len = party->out_len;
    return FL_OK;
}

/* ---- what the owner may know ---- */

const fl_session *fl_party_session(const fl_party *party)
{
    return &party->session;
}

fl_party_state fl_party_get_state(const fl_party *party)
{
    return party->state;
}

fl_fault fl_party_fault(const fl_party *party)
{
    return party->fault;
}

uint32_t fl_party_bad_shares(const fl_party *party)
{
    return party->bad_shares;
}
