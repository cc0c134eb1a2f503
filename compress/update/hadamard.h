/*
 * The Walsh-Hadamard transform of a block in place, and the sign flips that go
 * with it. Written once (hadamard_lanes.h) and compiled for every instruction
 * set that is worth it; all give the same bits.
 *
 *   stage h = 1, 2, 4, .. size / 2: (x[i], x[i + h]) becomes
 *   (x[i] + x[i + h], x[i] - x[i + h]) for all i without the bit h
 *
 * Sizes are powers of two, 1 to FL_HADAMARD_MAX. Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_HADAMARD_H
#define FL_COMPRESS_HADAMARD_H

#include <stddef.h>
#include <stdint.h>

enum {
    FL_HADAMARD_MAX = 8192,
    FL_HADAMARD_SIGN_WORDS = FL_HADAMARD_MAX / 32,
};

typedef struct {
    const char *name;
    /* Negates block[i] when bit i % 32 of signs[i / 32] is set. */
    void (*flip)(float *block, size_t size, const uint32_t *signs);
    /* All stages, then every value times 1 / sqrt(size): its own inverse. */
    void (*transform)(float *block, size_t size);
} fl_hadamard;

/*
 * The kernels that this CPU runs and FEDGE_CPU allows, fastest first; NULL
 * when index is past the last. The last one needs no particular CPU.
 */
const fl_hadamard *fl_hadamard_at(unsigned index);

extern const fl_hadamard fl_hadamard_portable;
#if defined(__x86_64__)
extern const fl_hadamard fl_hadamard_avx2;
#endif

#endif
