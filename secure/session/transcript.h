/*
 * The hashes, keys and signatures of a session: every label of docs/format.md,
 * "Secure aggregation", is in transcript.c, the roster's in roster.c, and
 * nowhere else. Both sides use them, so they cannot differ.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_SESSION_TRANSCRIPT_H
#define FL_SECURE_SESSION_TRANSCRIPT_H

#include "secure/secure.h"

enum {
    FL_ADVERTISE_BYTES = 160,
    FL_ENTRY_BYTES = 4 + FL_ADVERTISE_BYTES,
    FL_SEALED_SHARE_BYTES = 80,
    FL_SHARE_HASH_BYTES = 8,  // of one half
    FL_MASK_SEED_BYTES = 32,
    FL_HALF_BYTES = 32,                 // of a share
    FL_NODE_BYTES = 4 + FL_HASH_BYTES,  // of the roster's tree
    FL_PROOF_CAP = 14,  // siblings in a proof, log2 of the most clients
};

/* An ADVERTISE, taken apart; borrowed from its bytes. */
typedef struct {
    const uint8_t *cipher_key, *mask_key, *commitment, *signature;
} fl_advertise;

fl_advertise fl_advertise_at(const uint8_t bytes[FL_ADVERTISE_BYTES]);

/* ctx, from an invite as it travelled. */
void fl_transcript_context(uint8_t ctx[FL_HASH_BYTES], const uint8_t *invite);

void fl_transcript_commitment(uint8_t dst[FL_HASH_BYTES],
                              const uint8_t ctx[FL_HASH_BYTES],
                              const uint8_t b[FL_SEED_BYTES]);

/* Signs the 96 bytes before the signature, in place. */
void fl_advertise_sign(uint8_t bytes[FL_ADVERTISE_BYTES],
                       const fl_identity *identity,
                       const uint8_t ctx[FL_HASH_BYTES]);
FL_CHECK fl_err fl_advertise_check(const uint8_t bytes[FL_ADVERTISE_BYTES],
                                   const uint8_t identity[FL_KEY_BYTES],
                                   const uint8_t ctx[FL_HASH_BYTES]);

/* ---- the roster ---- */

void fl_roster_leaf(uint8_t dst[FL_NODE_BYTES], uint32_t slot,
                    const uint8_t entry[FL_ENTRY_BYTES]);

/* The root over `count` leaves, which are overwritten. */
void fl_roster_root(uint8_t root[FL_NODE_BYTES],
                    uint8_t (*leaves)[FL_NODE_BYTES], uint32_t count);

/*
 * Every level of the tree, leaves first, 2 * count + FL_PROOF_CAP nodes at
 * most; then a proof out of it. Both return a number of nodes.
 */
size_t fl_roster_tree(uint8_t (*tree)[FL_NODE_BYTES], uint32_t count);
size_t fl_roster_proof(uint8_t (*proof)[FL_NODE_BYTES],
                       const uint8_t (*tree)[FL_NODE_BYTES], uint32_t count,
                       uint32_t slot);

/* How many nodes the proof of this slot has. */
size_t fl_roster_proof_len(uint32_t count, uint32_t slot);

/*
 * The root that an entry and its proof give. False: devices do not rise in it.
 * A device that is there twice is on two sides of a node, whose right side
 * begins with one device or another: with the same root, fl_roster_climb is
 * true of one of the two at most.
 */
FL_CHECK bool fl_roster_climb(uint8_t root[FL_NODE_BYTES],
                              const uint8_t entry[FL_ENTRY_BYTES],
                              uint32_t count, uint32_t slot,
                              const uint8_t *proof);

/* rho. */
void fl_transcript_roster(uint8_t rho[FL_HASH_BYTES],
                          const uint8_t ctx[FL_HASH_BYTES], uint32_t count,
                          const uint8_t root[FL_NODE_BYTES]);

/* ---- after the roster: everything is bound to ctx and rho ---- */

typedef struct {
    uint8_t ctx[FL_HASH_BYTES], rho[FL_HASH_BYTES], sigma[FL_HASH_BYTES];
} fl_transcript;

/* H8 of one half of a share (half 0 or 1) of `owner` for the holder x. */
void fl_transcript_share_hash(uint8_t dst[FL_SHARE_HASH_BYTES],
                              const fl_transcript *transcript, uint32_t owner,
                              uint8_t x, unsigned half,
                              const uint8_t bytes[FL_HALF_BYTES]);

/* Signs and checks SHARES: `body` is all before the signature. */
void fl_transcript_shares_sign(uint8_t signature[FL_SIGNATURE_BYTES],
                               const fl_identity *identity,
                               const fl_transcript *transcript, uint32_t slot,
                               const uint8_t *body, size_t body_len);
FL_CHECK fl_err fl_transcript_shares_check(
    const uint8_t signature[FL_SIGNATURE_BYTES],
    const uint8_t identity[FL_KEY_BYTES], const fl_transcript *transcript,
    uint32_t slot, const uint8_t *body, size_t body_len);

/*
 * X25519; both for shares and masks. FL_ERR_AUTH: the peer's key is a weak
 * point, whose result is zero.
 */
FL_CHECK fl_err fl_transcript_agree(uint8_t shared[32],
                                    const uint8_t secret[32],
                                    const uint8_t peer[FL_KEY_BYTES]);

/* The public key of an X25519 scalar. */
void fl_transcript_public(uint8_t public_key[FL_KEY_BYTES],
                          const uint8_t secret[32]);

typedef struct {
    uint32_t from, to;                 // slots
    const uint8_t *from_key, *to_key;  // C of both
} fl_share_route;

/* A share sealed for its holder; `shared` is fl_transcript_agree's. */
void fl_transcript_share_seal(uint8_t dst[FL_SEALED_SHARE_BYTES],
                              const fl_transcript *transcript,
                              const fl_share_route *route,
                              const uint8_t shared[32],
                              const uint8_t share[64]);

/* FL_ERR_AUTH: not sealed by that sender for this holder in this session. */
FL_CHECK fl_err fl_transcript_share_unseal(
    uint8_t share[64], const fl_transcript *transcript,
    const fl_share_route *route, const uint8_t shared[32],
    const uint8_t src[FL_SEALED_SHARE_BYTES]);

/* sigma, into the transcript. */
void fl_transcript_senders(fl_transcript *transcript, const uint8_t *bitmap,
                           size_t bitmap_len);

void fl_transcript_self_mask(uint8_t key[32], const fl_transcript *transcript,
                             uint32_t slot, const uint8_t b[FL_SEED_BYTES]);

/* The key for slots a and b, in either order, with their M keys. */
void fl_transcript_pair_mask(uint8_t key[32], const fl_transcript *transcript,
                             uint32_t a, const uint8_t *a_key, uint32_t b,
                             const uint8_t *b_key, const uint8_t shared[32]);

void fl_transcript_confirm(uint8_t signature[FL_SIGNATURE_BYTES],
                           const fl_identity *identity,
                           const fl_transcript *transcript,
                           const uint8_t *bitmap, size_t bitmap_len);
FL_CHECK fl_err fl_transcript_confirm_check(
    const uint8_t signature[FL_SIGNATURE_BYTES],
    const uint8_t identity[FL_KEY_BYTES], const fl_transcript *transcript,
    const uint8_t *bitmap, size_t bitmap_len);

/* ---- bitmaps over slots ---- */

size_t fl_bitmap_bytes(uint32_t count);
bool fl_bitmap_has(const uint8_t *bitmap, uint32_t slot);
void fl_bitmap_add(uint8_t *bitmap, uint32_t slot);
uint32_t fl_bitmap_count(const uint8_t *bitmap, uint32_t count);

/* No bits beyond `count`. */
bool fl_bitmap_is_clean(const uint8_t *bitmap, uint32_t count);

#endif
