/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <string.h>

#include "secure/session/party_state.h"

/* ---- dealing ---- */

/* Moves the secrets into a vault with room for what is shared with peers. */
static fl_err enlarge_vault(fl_party *party)
{
    const size_t pair_bytes = (size_t)party->peer_count * sizeof *party->pairs;
    fl_vault *larger;
    FL_TRY(fl_vault_new(&larger, sizeof *party->secrets + pair_bytes + 64));
    fl_party_secrets *secrets = fl_vault_take(larger, sizeof *secrets);
    fl_party_pair *pairs = fl_vault_take(larger, pair_bytes);
    assert(secrets && pairs);
    *secrets = *party->secrets;
    fl_party_wipe(party);
    party->vault = larger;
    party->secrets = secrets;
    party->pairs = pairs;
    return FL_OK;
}

static fl_err agree_with_peers(fl_party *party)
{
    const fl_party_secrets *secrets = party->secrets;
    for (uint32_t i = 0; i < party->peer_count; i++) {
        const fl_party_peer *peer = &party->peers[i];
        fl_party_pair *pair = &party->pairs[i];
        // A weak key makes a secret that the aggregator knows.
        if (fl_transcript_agree(pair->cipher, secrets->c, peer->cipher_key) ||
            fl_transcript_agree(pair->mask, secrets->b_s + FL_SEED_BYTES,
                                peer->mask_key)) {
            return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_AUTH);
        }
    }
    return FL_OK;
}

static fl_share_route route_from_self(const fl_party *party,
                                      const fl_party_peer *to)
{
    const uint8_t *own_key = fl_advertise_at(party->entry + 4).cipher_key;
    return (fl_share_route){party->slot, to->slot, own_key, to->cipher_key};
}

static fl_share_route route_to_self(const fl_party *party,
                                    const fl_party_peer *from)
{
    const uint8_t *own_key = fl_advertise_at(party->entry + 4).cipher_key;
    return (fl_share_route){from->slot, party->slot, from->cipher_key, own_key};
}

/* The hashes of all shares: who passes on another one is found out. */
static uint8_t *write_hashes(const fl_party *party, uint8_t *dst,
                             const uint8_t (*shares)[FL_SHARE_BYTES])
{
    for (uint32_t i = 0; i < fl_party_holder_count(party); i++) {
        for (unsigned half = 0; half < 2; half++) {
            fl_transcript_share_hash(dst, &party->transcript, party->slot,
                                     (uint8_t)(i + 1), half,
                                     shares[i] + (size_t)half * FL_HALF_BYTES);
            dst += FL_SHARE_HASH_BYTES;
        }
    }
    return dst;
}

static uint8_t *write_sealed(const fl_party *party, uint8_t *dst,
                             const uint8_t (*shares)[FL_SHARE_BYTES])
{
    for (uint32_t i = 0; i < party->peer_count; i++) {
        const fl_party_peer *peer = &party->peers[i];
        if (peer->x == 0) continue;
        const fl_share_route route = route_from_self(party, peer);
        fl_transcript_share_seal(dst, &party->transcript, &route,
                                 party->pairs[i].cipher, shares[peer->x - 1]);
        dst += FL_SEALED_SHARE_BYTES;
    }
    return dst;
}

static fl_err write_shares(fl_party *party,
                           const uint8_t (*shares)[FL_SHARE_BYTES])
{
    const size_t holders = fl_party_holder_count(party);
    const size_t sealed = fl_party_is_complete(party) ? holders - 1 : holders;
    const size_t body_len =
        holders * 2 * FL_SHARE_HASH_BYTES + sealed * FL_SEALED_SHARE_BYTES;
    FL_TRY(fl_party_out(party, body_len + FL_SIGNATURE_BYTES));
    uint8_t *end = write_hashes(party, party->out, shares);
    end = write_sealed(party, end, shares);
    assert(end == party->out + body_len);
    fl_transcript_shares_sign(end, party->options.identity, &party->transcript,
                              party->slot, party->out, body_len);
    return FL_OK;
}

/* `scratch` has room for all shares and coefficients. */
static fl_err deal_from(fl_party *party, fl_vault *scratch)
{
    const fl_party_options *own = &party->options;
    const uint32_t holders = fl_party_holder_count(party);
    const size_t coefficients_len = (size_t)(party->t - 1) * FL_SHARE_BYTES;
    uint8_t(*shares)[FL_SHARE_BYTES] =
        fl_vault_take(scratch, (size_t)holders * FL_SHARE_BYTES);
    uint8_t *coefficients = fl_vault_take(scratch, coefficients_len);
    assert(shares && coefficients);
    own->random_bytes(own->random_self, coefficients, coefficients_len);
    fl_shamir_deal(shares, holders, party->t, party->secrets->b_s,
                   coefficients);
    if (fl_party_is_complete(party)) {
        memcpy(party->secrets->own_share, shares[party->slot], FL_SHARE_BYTES);
    }
    return write_shares(party, (const uint8_t(*)[FL_SHARE_BYTES])shares);
}

fl_err fl_party_deal(fl_party *party)
{
    FL_TRY(enlarge_vault(party));
    FL_TRY(agree_with_peers(party));
    const size_t rows = (size_t)fl_party_holder_count(party) + party->t;
    fl_vault *scratch;
    FL_TRY(fl_vault_new(&scratch, rows * FL_SHARE_BYTES));
    const fl_err err = deal_from(party, scratch);
    fl_vault_free(scratch);
    if (!err) fl_party_answer(party, FL_STEP_SHARES, FL_STEP_INBOX);
    return err;
}

/* ---- the inbox ---- */

/* Reads who has sent, into the peers too. */
static fl_err take_senders(fl_party *party, fl_reader *in)
{
    const uint8_t *senders = fl_reader_bytes(in, party->bitmap_len);
    if (!senders) return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    memcpy(party->senders, senders, party->bitmap_len);
    uint32_t holders = fl_party_is_complete(party);  // itself
    for (uint32_t i = 0; i < party->peer_count; i++) {
        fl_party_peer *peer = &party->peers[i];
        peer->is_sender = fl_bitmap_has(senders, peer->slot);
        holders += peer->is_sender && peer->x > 0;
    }
    // With few senders there are few masks. And t holders, who also answer to
    // others, see that all are told of the same: otherwise it could name a few
    // here, and get their masks by telling everybody else that they are gone.
    if (!fl_bitmap_is_clean(senders, party->n) ||
        !fl_bitmap_has(senders, party->slot) ||
        fl_bitmap_count(senders, party->n) < party->session.client_min ||
        holders < party->t) {
        return fl_party_refuse(party, FL_FAULT_SENDERS, FL_ERR_RANGE);
    }
    return FL_OK;
}

/*
 * A share that does not open is its sender's fault, or the aggregator's, who
 * could as well have kept it: the session goes on without it.
 */
static void take_share(fl_party *party, uint32_t i, const uint8_t *sealed)
{
    const fl_share_route route = route_to_self(party, &party->peers[i]);
    fl_party_pair *pair = &party->pairs[i];
    if (fl_transcript_share_unseal(pair->share, &party->transcript, &route,
                                   pair->cipher, sealed)) {
        party->bad_shares++;
    } else {
        party->peers[i].has_share = true;
    }
    fl_secret_wipe(pair->cipher, sizeof pair->cipher);
}

fl_err fl_party_take_inbox(fl_party *party, fl_reader *in)
{
    FL_TRY(take_senders(party, in));
    for (uint32_t i = 0; i < party->peer_count; i++) {
        const fl_party_peer *peer = &party->peers[i];
        if (!peer->is_sender || !peer->is_owner) continue;
        const uint8_t *sealed = fl_reader_bytes(in, FL_SEALED_SHARE_BYTES);
        if (sealed) take_share(party, i, sealed);
    }
    if (fl_reader_finish(in)) {
        return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    }
    fl_transcript_senders(&party->transcript, party->senders,
                          party->bitmap_len);
    FL_TRY(fl_party_out(party, 0));
    fl_party_answer(party, FL_STEP_MASKED, FL_STEP_MASKED);
    return FL_OK;
}
