/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/hadamard.h"

#if defined(__x86_64__)

#    define TARGET    __attribute__((target("avx2")))
#    define LANES     8
#    define LANE_BITS ((ivec){1, 2, 4, 8, 16, 32, 64, 128})
#    define S         SIGN_BIT
#    define ODD_1     ((ivec){0, S, 0, S, 0, S, 0, S})
#    define ODD_2     ((ivec){0, 0, S, S, 0, 0, S, S})
#    define ODD_4     ((ivec){0, 0, 0, 0, S, S, S, S})

typedef float vec __attribute__((vector_size(32)));
typedef uint32_t ivec __attribute__((vector_size(32)));

TARGET static inline vec vec_swap_1(vec v)
{
    return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6);
}

TARGET static inline vec vec_swap_2(vec v)
{
    return __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
}

TARGET static inline vec vec_swap_4(vec v)
{
    return __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
}

#    include "compress/update/hadamard_lanes.h"

const fl_hadamard fl_hadamard_avx2 = {"avx2", flip, transform};

#endif
