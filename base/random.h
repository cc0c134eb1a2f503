/*
 * Random streams that a seed names: Philox 4x32-10, a counter-based generator
 * (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011).
 *
 * There is one stream per (seed, purpose, id): what one client draws for one
 * purpose never depends on who else draws, in which order, or on how many
 * threads. That is what makes a whole run a function of its seed.
 *
 * Not for secrets: those come from secure/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_RANDOM_H
#define FL_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* What a stream is for. Append, never renumber: results depend on it. */
typedef enum {
    FL_RANDOM_TEST = 0,
    FL_RANDOM_INIT = 1,           // first parameters of a model
    FL_RANDOM_SPLIT = 2,          // training against held-out rows
    FL_RANDOM_PARTITION = 3,      // rows to clients; id = client
    FL_RANDOM_SHUFFLE = 4,        // order of rows in an epoch
    FL_RANDOM_COHORT = 5,         // clients of a round; id = round
    FL_RANDOM_BACKOFF = 6,        // waiting times of a client
    FL_RANDOM_NONCE = 7,          // simulated identities and nonces
    FL_RANDOM_LINK = 8,           // rate, latency, loss of a client's link
    FL_RANDOM_COMPUTE = 9,        // a client's speed
    FL_RANDOM_AVAILABILITY = 10,  // when a client is there at all
    FL_RANDOM_DROPOUT = 11,       // who vanishes in a round; id = client
    FL_RANDOM_DROPPED = 12,       // values of a layer; id = node, example
    FL_RANDOM_ROUNDING = 13,      // of an update's values; id = client
    // Public, of a codec's seed; id = group * 2^32 + block.
    FL_RANDOM_SIGNS = 14,    // of coordinates, before they are rotated
    FL_RANDOM_SUPPORT = 15,  // which of the rotated ones are sent
    FL_RANDOM_ORDER = 16,    // of those that are; id = group
    FL_RANDOM_MIX = 17,      // signs of those, before they are rotated again
    FL_RANDOM_DITHER = 18,   // who rounds up first; id = group
    FL_RANDOM_SKETCH = 19,   // the seed of a session's codec; id = number
    FL_RANDOM_SURVEY = 20,   // rows that a survey looks at; id = client
    FL_RANDOM_PAIRS = 21,    // rows to compare; id = training, test
} fl_random_purpose;

typedef struct {
    uint32_t key[2];
    uint32_t counter[4];  // block, purpose, id low, id high
    uint32_t block[4];
    unsigned used;  // words of `block` given out already
} fl_random;

/* Starts the stream named (seed, purpose, id); 2^34 words long. */
void fl_random_init(fl_random *random, uint64_t seed, fl_random_purpose purpose,
                    uint64_t id);

uint32_t fl_random_u32(fl_random *random);
uint64_t fl_random_u64(fl_random *random);

/* Uniform in [0, bound), without bias (Lemire 2019). Needs bound >= 1. */
uint32_t fl_random_below(fl_random *random, uint32_t bound);

/* Uniform in [0, 1), 24 and 53 bits. */
float fl_random_float(fl_random *random);
double fl_random_double(fl_random *random);

/* Normal with mean 0 and deviation 1 (Box-Muller). */
double fl_random_normal(fl_random *random);

/* Exponential with mean 1. */
double fl_random_exponential(fl_random *random);

/* Gamma with the given shape > 0 and scale 1 (Marsaglia and Tsang 2000). */
double fl_random_gamma(fl_random *random, double shape);

/* Puts items[0..count) into random order (Fisher-Yates). */
void fl_random_shuffle(fl_random *random, uint32_t *items, size_t count);

#endif
