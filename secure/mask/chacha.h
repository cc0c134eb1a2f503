/*
 * ChaCha20 kernels: the stream of a key added to a vector on its way through
 * the registers. Written once (chacha_lanes.h) and compiled for every
 * instruction set that is worth it; all give the same words.
 *
 * What follows from a key is never on the heap or in static memory. Registers
 * and the frame of a kernel may keep some of it: see mask.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_MASK_CHACHA_H
#define FL_SECURE_MASK_CHACHA_H

#include <stddef.h>
#include <stdint.h>

enum {
    FL_CHACHA_KEY_BYTES = 32,
    FL_CHACHA_BLOCK_WORDS = 8,  // of 64 bits
    FL_CHACHA_LANES_MAX = 16,
};

/*
 * words[0 .. 8 * lanes * group_count) += or -= the stream of the 32-byte key,
 * from its block `first` on.
 */
typedef void fl_chacha_run(uint64_t *words, size_t group_count, uint64_t first,
                           const uint8_t *key);

typedef struct {
    const char *name;
    unsigned lanes;  // blocks that are computed side by side: a group
    fl_chacha_run *add, *subtract;
} fl_chacha;

/*
 * The kernels that this CPU runs and FEDGE_CPU allows, fastest first; NULL
 * when index is past the last. The last one needs no particular CPU.
 */
const fl_chacha *fl_chacha_at(unsigned index);

extern const fl_chacha fl_chacha_portable;
#if defined(__x86_64__)
extern const fl_chacha fl_chacha_avx2, fl_chacha_avx512;
#elif defined(__aarch64__)
extern const fl_chacha fl_chacha_neon;
#endif

#endif
