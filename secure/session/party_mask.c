/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/session/party_state.h"

enum { BLOCK_WORDS = 2048 };  // 16 KiB: stays in the fastest cache

/* Puts the key of each sender's pair mask in its secret's place. */
static void derive_keys(fl_party *party, uint8_t self_key[FL_MASK_KEY_BYTES])
{
    const uint8_t *own_key = fl_advertise_at(party->entry + 4).mask_key;
    fl_transcript_self_mask(self_key, &party->transcript, party->slot,
                            party->secrets->b_s);
    for (uint32_t i = 0; i < party->peer_count; i++) {
        const fl_party_peer *peer = &party->peers[i];
        uint8_t *key = party->pairs[i].mask;
        fl_transcript_pair_mask(key, &party->transcript, party->slot, own_key,
                                peer->slot, peer->mask_key, key);
    }
}

/* All masks over a block before the next: a vector is larger than a cache. */
static void add_masks(const fl_party *party, uint64_t *words, size_t word_count,
                      const uint8_t self_key[FL_MASK_KEY_BYTES])
{
    for (size_t first = 0; first < word_count; first += BLOCK_WORDS) {
        const size_t left = word_count - first;
        const size_t count = left < BLOCK_WORDS ? left : BLOCK_WORDS;
        fl_mask_add_from(words + first, count, first, self_key, false);
        for (uint32_t i = 0; i < party->peer_count; i++) {
            const fl_party_peer *peer = &party->peers[i];
            if (!peer->is_sender) continue;
            fl_mask_add_from(words + first, count, first, party->pairs[i].mask,
                             party->slot > peer->slot);
        }
    }
}

/* What made the masks is not needed any more, only shares are. */
static void forget_masks(fl_party *party)
{
    fl_party_secrets *secrets = party->secrets;
    fl_secret_wipe(secrets->b_s, sizeof secrets->b_s);
    fl_secret_wipe(secrets->c, sizeof secrets->c);
    for (uint32_t i = 0; i < party->peer_count; i++) {
        fl_party_pair *pair = &party->pairs[i];
        fl_secret_wipe(pair->cipher, sizeof pair->cipher);
        fl_secret_wipe(pair->mask, sizeof pair->mask);
    }
}

fl_err fl_party_mask(fl_party *party, uint64_t *words, size_t word_count)
{
    // Two vectors under the same masks are their difference in clear.
    if (party->state != FL_PARTY_OPEN || party->due != FL_STEP_MASKED) {
        return FL_ERR_STATE;
    }
    if (word_count != party->session.word_count) return FL_ERR_RANGE;
    uint8_t self_key[FL_MASK_KEY_BYTES];
    derive_keys(party, self_key);
    add_masks(party, words, word_count, self_key);
    fl_secret_wipe(self_key, sizeof self_key);
    forget_masks(party);
    party->due = FL_STEP_SURVIVORS;
    return FL_OK;
}
