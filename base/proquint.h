/*
 * Numbers that people can read aloud: each 16 bits are five letters that make
 * two syllables (D. S. Wilkerson, "A Proposal for Proquints", 2009).
 *
 *   7f 00 00 01   lusab-babad
 *
 * Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_PROQUINT_H
#define FL_BASE_PROQUINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Room for `len` bytes as text, final 0 included. */
#define FL_PROQUINT_CAP(len) ((len) / 2 * 6)

/* Needs an even `len`, at least 2, and FL_PROQUINT_CAP(len) bytes at dst. */
void fl_proquint_encode(char *dst, const uint8_t *src, size_t len);

/*
 * The inverse, for an even `len`; small and capital letters alike.
 * FL_ERR_FORMAT: not the text of exactly `len` bytes.
 */
FL_CHECK fl_err fl_proquint_decode(uint8_t *dst, size_t len, const char *text);

#endif
