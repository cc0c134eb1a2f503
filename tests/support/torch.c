/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/torch.h"

uint32_t torch_hash(uint32_t i)
{
    uint32_t h = i * 0x9E3779B1;
    h ^= h >> 15;
    h *= 0x85EBCA77;
    return h ^ (h >> 13);
}

float torch_unit(uint32_t i)
{
    return (float)(torch_hash(i) >> 8) / 0x1p23F - 1.0F;
}

void torch_fill(float *x, size_t count, uint32_t first)
{
    for (size_t k = 0; k < count; k++)
        x[k] = torch_unit(first + (uint32_t)k);
}
