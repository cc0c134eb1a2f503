/* SPDX-License-Identifier: Apache-2.0 */
#include "model/order.h"

#include <assert.h>

// A bijection that spreads every bit (MurmurHash3's finaliser).
static uint32_t mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x85ebca6b;
    x = (x ^ (x >> 13)) * 0xc2b2ae35;
    return x ^ (x >> 16);
}

void fl_order_init(fl_order *order, uint32_t count, fl_random *random)
{
    assert(count >= 1 && count <= UINT32_C(1) << 31);
    order->count = count;
    order->half_bits = 1;
    while (UINT64_C(1) << (2 * order->half_bits) < count) {
        order->half_bits++;
    }
    for (unsigned i = 0; i < FL_ORDER_ROUNDS; i++) {
        order->keys[i] = fl_random_u32(random);
    }
}

static uint32_t permute(const fl_order *order, uint32_t x)
{
    const uint32_t mask = (UINT32_C(1) << order->half_bits) - 1;
    uint32_t left = x >> order->half_bits, right = x & mask;
    for (unsigned i = 0; i < FL_ORDER_ROUNDS; i++) {
        const uint32_t next = left ^ (mix(right ^ order->keys[i]) & mask);
        left = right;
        right = next;
    }
    return left << order->half_bits | right;
}

uint32_t fl_order_at(const fl_order *order, uint32_t position)
{
    uint32_t at = position;
    do {
        at = permute(order, at);  // at most four times on average
    } while (at >= order->count);
    return at;
}
