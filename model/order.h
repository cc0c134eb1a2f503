/*
 * The numbers 0..count in random order, without memory: a permutation that
 * is computed (Feistel network over the next even power of two, walked until
 * it lands inside; Black and Rogaway, "Ciphers with arbitrary finite
 * domains", 2002). Training visits its rows in this order, so an epoch needs
 * no list.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_ORDER_H
#define FL_MODEL_ORDER_H

#include <stdint.h>

#include "base/random.h"

enum { FL_ORDER_ROUNDS = 6 };

typedef struct {
    uint32_t count;
    unsigned half_bits;  // the network permutes 2 * half_bits bits
    uint32_t keys[FL_ORDER_ROUNDS];
} fl_order;

/* Draws the keys of an order of `count` numbers, 1 to 2^31. */
void fl_order_init(fl_order *order, uint32_t count, fl_random *random);

/* The number at `position` < count. */
uint32_t fl_order_at(const fl_order *order, uint32_t position);

#endif
