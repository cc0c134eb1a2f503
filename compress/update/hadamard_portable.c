/*
 * The kernel in plain C: four lanes, which gcc maps to SSE2 on x86-64 and to
 * NEON on arm64.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/update/hadamard.h"

#define TARGET
#define LANES     4
#define LANE_BITS ((ivec){1, 2, 4, 8})
#define ODD_1     ((ivec){0, SIGN_BIT, 0, SIGN_BIT})
#define ODD_2     ((ivec){0, 0, SIGN_BIT, SIGN_BIT})

typedef float vec __attribute__((vector_size(16)));
typedef uint32_t ivec __attribute__((vector_size(16)));

static inline vec vec_swap_1(vec v)
{
    return __builtin_shufflevector(v, v, 1, 0, 3, 2);
}

static inline vec vec_swap_2(vec v)
{
    return __builtin_shufflevector(v, v, 2, 3, 0, 1);
}

#include "compress/update/hadamard_lanes.h"

const fl_hadamard fl_hadamard_portable = {"portable", flip, transform};
