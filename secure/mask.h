/*
 * Masks: streams of 64-bit words that a 32-byte key names, added to or taken
 * from a vector, modulo 2^64.
 *
 * The stream of a key is ChaCha20 with nonce and counter 0 (Bernstein 2008; as
 * in RFC 8439 for the first 256 GiB), read as little-endian words. There is one
 * kernel for each instruction set, all with the same result; every call takes
 * the fastest that base/cpu.h allows.
 *
 * Callable from any thread. Runs in a time that depends on lengths alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_MASK_H
#define FL_SECURE_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FL_MASK_KEY_BYTES = 32 };

/* words[0..count) += the key's stream; or -= with `is_subtracted`. */
void fl_mask_add(uint64_t *words, size_t count,
                 const uint8_t key[FL_MASK_KEY_BYTES], bool is_subtracted);

/*
 * The same from word `first` of the stream on, so that threads can share a
 * vector: words[0..count) meet the stream's words [first, first + count).
 * Needs first % 8 == 0 (a block of ChaCha20 has 8 words).
 */
void fl_mask_add_from(uint64_t *words, size_t count, size_t first,
                      const uint8_t key[FL_MASK_KEY_BYTES], bool is_subtracted);

#endif
