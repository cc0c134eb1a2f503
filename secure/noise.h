/*
 * What a Noise handshake and its frames are made of (The Noise Protocol
 * Framework, revision 34, sections 4 and 5), for 25519, ChaChaPoly, BLAKE2b.
 *
 *   hash   everything said so far; the associated data of what is sealed
 *   chain  every Diffie-Hellman result so far
 *   key    from the last of them
 *
 * In the one pattern that is used here each key seals once before the next
 * one is mixed in, so the handshake's nonce is always 0.
 *
 * Pure functions on the caller's memory. The caller wipes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_NOISE_H
#define FL_SECURE_NOISE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    FL_NOISE_HASH_BYTES = 64,
    FL_NOISE_KEY_BYTES = 32,
    FL_NOISE_TAG_BYTES = 16,
};

/* ---- CipherState ---- */

/*
 * Encrypts bytes[0..len) in place and puts FL_NOISE_TAG_BYTES behind them;
 * `head` is authenticated too. A key and a nonce serve once.
 */
void fl_noise_seal(const uint8_t key[FL_NOISE_KEY_BYTES], uint64_t nonce,
                   const void *head, size_t head_len, uint8_t *bytes,
                   size_t len);

/*
 * The inverse; `len` counts the tag. FL_ERR_AUTH: too short, or not what was
 * sealed with these; bytes are undefined then.
 */
FL_CHECK fl_err fl_noise_unseal(const uint8_t key[FL_NOISE_KEY_BYTES],
                                uint64_t nonce, const void *head,
                                size_t head_len, uint8_t *bytes, size_t len);

/* REKEY: the next key; the one before cannot be had back from it. */
void fl_noise_rekey(uint8_t key[FL_NOISE_KEY_BYTES]);

/* ---- SymmetricState ---- */

typedef struct {
    uint8_t hash[FL_NOISE_HASH_BYTES], chain[FL_NOISE_HASH_BYTES];
    uint8_t key[FL_NOISE_KEY_BYTES];
} fl_noise;

/* `name` has at most FL_NOISE_HASH_BYTES characters. */
void fl_noise_init(fl_noise *noise, const char *name);

void fl_noise_mix_hash(fl_noise *noise, const void *src, size_t src_len);
void fl_noise_mix_key(fl_noise *noise, const uint8_t secret[32]);

/* Needs a mixed key. As fl_noise_seal; what has been sealed is hashed. */
void fl_noise_seal_and_hash(fl_noise *noise, uint8_t *bytes, size_t len);

/* The inverse. FL_ERR_AUTH as fl_noise_unseal. */
FL_CHECK fl_err fl_noise_unseal_and_hash(fl_noise *noise, uint8_t *bytes,
                                         size_t len);

/* The keys of the frames: from the one who spoke first, and back. */
void fl_noise_split(const fl_noise *noise, uint8_t first[FL_NOISE_KEY_BYTES],
                    uint8_t second[FL_NOISE_KEY_BYTES]);

#endif
