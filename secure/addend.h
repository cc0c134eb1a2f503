/*
 * What a client adds to a sum: 64-bit words, as they travel, masked or not.
 * Sums are modulo 2^64.
 *
 *   u64 word, little-endian; the next one; ...
 *
 * Pure functions, callable from any thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_ADDEND_H
#define FL_SECURE_ADDEND_H

#include <stddef.h>
#include <stdint.h>

/* sum[0..word_count) += the words at `bytes`, 8 each, of any alignment. */
void fl_addend_add(uint64_t *sum, const uint8_t *bytes, size_t word_count);

/* To and from bytes, 8 a word. */
void fl_addend_encode(uint8_t *dst, const uint64_t *words, size_t word_count);
void fl_addend_decode(uint64_t *words, const uint8_t *src, size_t word_count);

#endif
