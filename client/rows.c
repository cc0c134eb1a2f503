/* SPDX-License-Identifier: Apache-2.0 */
#include "client/rows.h"

#include <string.h>

uint32_t fl_rows_split(uint32_t *rows, const uint32_t *own, uint32_t count,
                       uint32_t holdout, bool wants_held_out)
{
    if (holdout == 0 || count / holdout < FL_ROWS_HELD_OUT_MIN) {
        memcpy(rows, own, count * sizeof *rows);
        return count;
    }
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < count; i++) {
        const bool is_held_out = i % holdout == holdout - 1;
        if (is_held_out == wants_held_out) rows[chosen++] = own[i];
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
