/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <math.h>

enum { BLOCK_WORDS = 4, ROUNDS = 10 };

// The four constants of the paper's section 4 (Philox-4x32).
static const uint32_t MULTIPLIER_0 = 0xD2511F53;
static const uint32_t MULTIPLIER_1 = 0xCD9E8D57;
static const uint32_t WEYL_0 = 0x9E3779B9;
static const uint32_t WEYL_1 = 0xBB67AE85;

static void fill_block(fl_random *random)
{
    uint32_t *x = random->block;
    uint32_t key_0 = random->key[0], key_1 = random->key[1];
    for (int i = 0; i < BLOCK_WORDS; i++) {
        x[i] = random->counter[i];
    }
    for (int i = 0; i < ROUNDS; i++) {
        const uint64_t a = (uint64_t)MULTIPLIER_0 * x[0];
        const uint64_t b = (uint64_t)MULTIPLIER_1 * x[2];
        const uint32_t x1 = x[1], x3 = x[3];
        x[0] = (uint32_t)(b >> 32) ^ x1 ^ key_0;
        x[1] = (uint32_t)b;
        x[2] = (uint32_t)(a >> 32) ^ x3 ^ key_1;
        x[3] = (uint32_t)a;
        key_0 += WEYL_0;
        key_1 += WEYL_1;
    }
    random->counter[0]++;
    random->used = 0;
}

void fl_random_init(fl_random *random, uint64_t seed, fl_random_purpose purpose,
                    uint64_t id)
{
    *random = (fl_random){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, (uint32_t)purpose, (uint32_t)id, (uint32_t)(id >> 32)},
        .used = BLOCK_WORDS,
    };
}

uint32_t fl_random_u32(fl_random *random)
{
    if (random->used == BLOCK_WORDS) fill_block(random);
    return random->block[random->used++];
}

uint64_t fl_random_u64(fl_random *random)
{
    const uint64_t low = fl_random_u32(random);
    return low | (uint64_t)fl_random_u32(random) << 32;
}

uint32_t fl_random_below(fl_random *random, uint32_t bound)
{
    uint64_t product = (uint64_t)fl_random_u32(random) * bound;
    if ((uint32_t)product < bound) {  // rarely: only then the division
        const uint32_t reject_below = (UINT32_MAX - bound + 1) % bound;
        while ((uint32_t)product < reject_below) {
            product = (uint64_t)fl_random_u32(random) * bound;
        }
    }
    return (uint32_t)(product >> 32);
}

float fl_random_float(fl_random *random)
{
    return (float)(fl_random_u32(random) >> 8) * 0x1p-24F;
}

double fl_random_double(fl_random *random)
{
    return (double)(fl_random_u64(random) >> 11) * 0x1p-53;
}

double fl_random_normal(fl_random *random)
{
    const double radius = sqrt(2.0 * fl_random_exponential(random));
    return radius *
           cos(2.0 * 3.14159265358979323846 * fl_random_double(random));
}

double fl_random_exponential(fl_random *random)
{
    return -log(1.0 - fl_random_double(random));
}

// NOLINTNEXTLINE(misc-no-recursion): once, to a shape of 1 or more
double fl_random_gamma(fl_random *random, double shape)
{
    if (shape < 1.0) {
        // Their section 6: a draw for shape + 1, scaled by U^(1/shape).
        const double larger = fl_random_gamma(random, shape + 1.0);
        return larger * pow(1.0 - fl_random_double(random), 1.0 / shape);
    }
    const double d = shape - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        const double x = fl_random_normal(random);
        const double v = pow(1.0 + c * x, 3.0);
        if (v <= 0.0) continue;
        const double u = 1.0 - fl_random_double(random);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return d * v;
    }
}

void fl_random_shuffle(fl_random *random, uint32_t *items, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        const size_t j = fl_random_below(random, (uint32_t)i);
        const uint32_t item = items[i - 1];
        items[i - 1] = items[j];
        items[j] = item;
    }
}
