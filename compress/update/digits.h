/*
 * Signed integers in 64-bit words that can be added: a word is
 *
 *   a_0 + a_1 r + a_2 r^2 + .. + a_(m-1) r^(m-1)   modulo 2^64
 *
 * with m = per_word integers a_i of either sign. A sum of words holds the sums
 * of the integers. Read from the lowest up, each is the number between
 * -(r / 2) and r - 1 - r / 2 that is congruent to the rest of the word: a sum
 * outside that range comes out wrong by a multiple of r, and the one above it
 * by one.
 *
 * r^m is at most 2^63, so the highest integer has a bit more than it needs:
 * when its sum is just outside, it does not reach the others from above.
 *
 * Not for the wire alone: words are added masked or not, and masks are modulo
 * 2^64 as well.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_DIGITS_H
#define FL_COMPRESS_DIGITS_H

#include <stddef.h>
#include <stdint.h>

/* The largest r with r^per_word <= 2^63. Needs 2 to 63. */
int64_t fl_digits_radix(unsigned per_word);

/* The largest m with radix^m <= 2^63. Needs 2 to 2^63 - 1. */
unsigned fl_digits_per_word(int64_t radix);

/* Words that `count` integers take. */
static inline size_t fl_digits_count(size_t count, unsigned per_word)
{
    return count / per_word + (count % per_word != 0);
}

/* ---- writing ---- */

typedef struct {
    uint64_t *next;  // where the word goes once it is full
    uint64_t word;
    uint64_t power;  // of the radix, for the next integer
    uint64_t radix;
    unsigned used, per_word;
} fl_digits_writer;

static inline fl_digits_writer
fl_digits_writer_over(uint64_t *words, int64_t radix, unsigned per_word)
{
    return (fl_digits_writer){.next = words,
                              .power = 1,
                              .radix = (uint64_t)radix,
                              .per_word = per_word};
}

static inline void fl_digits_writer_finish(fl_digits_writer *out)
{
    if (out->used == 0) return;
    *out->next++ = out->word;
    out->word = 0;
    out->power = 1;
    out->used = 0;
}

static inline void fl_digits_put(fl_digits_writer *out, int64_t value)
{
    out->word += (uint64_t)value * out->power;
    out->power *= out->radix;
    if (++out->used == out->per_word) fl_digits_writer_finish(out);
}

/* ---- reading ---- */

typedef struct {
    const uint64_t *next;
    int64_t rest;  // of the word that is being read
    int64_t radix;
    unsigned left, per_word;
} fl_digits_reader;

static inline fl_digits_reader
fl_digits_reader_over(const uint64_t *words, int64_t radix, unsigned per_word)
{
    return (fl_digits_reader){
        .next = words, .radix = radix, .per_word = per_word};
}

static inline int64_t fl_digits_get(fl_digits_reader *in)
{
    if (in->left == 0) {
        in->rest = (int64_t)*in->next++;
        in->left = in->per_word;
    }
    in->left--;
    // Towards zero, as C divides; then into the range.
    const int64_t radix = in->radix;
    int64_t value = in->rest % radix, rest = in->rest / radix;
    if (value < -(radix / 2)) {
        value += radix;
        rest--;
    } else if (value > radix - 1 - radix / 2) {
        value -= radix;
        rest++;
    }
    in->rest = rest;
    return value;
}

#endif
