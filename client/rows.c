/* SPDX-License-Identifier: Apache-2.0 */
#include "client/rows.h"

#include <string.h>

static bool is_held_out(const fl_own_rows *own, uint32_t i, uint32_t holdout)
{
    const uint64_t place = own->places ? own->places[i] : i;
    return place % holdout == holdout - 1;
}

static uint32_t copy_all(uint32_t *rows, const fl_own_rows *own)
{
    memcpy(rows, own->rows, own->count * sizeof *rows);
    return own->count;
}

uint32_t fl_rows_split(uint32_t *rows, const fl_own_rows *own, uint32_t holdout,
                       bool wants_held_out)
{
    uint32_t chosen = 0, held_out_count = 0;
    if (own->count == 0) return 0;
    if (holdout == 0) return copy_all(rows, own);
    for (uint32_t i = 0; i < own->count; i++) {
        const bool is_out = is_held_out(own, i, holdout);
        held_out_count += is_out;
        if (is_out == wants_held_out) rows[chosen++] = own->rows[i];
    }
    const bool has_few = held_out_count < FL_ROWS_HELD_OUT_MIN;
    if (has_few && (wants_held_out || !own->places)) {
        return copy_all(rows, own);
    }
    return chosen;
}

// Each row with the probability that fills what is left of the sample (Knuth,
// "The Art of Computer Programming", 3.4.2, algorithm S).
uint32_t fl_rows_sample(uint32_t *rows, uint32_t count, uint32_t cap,
                        fl_random *random)
{
    if (cap == 0 || count <= cap) return count;
    uint32_t chosen = 0;
    for (uint32_t i = 0; chosen < cap; i++) {
        if (fl_random_below(random, count - i) < cap - chosen) {
            rows[chosen++] = rows[i];
        }
    }
    return chosen;
}

uint32_t fl_rows_survey_cap(uint32_t count)
{
    return count - count / 4;
}
