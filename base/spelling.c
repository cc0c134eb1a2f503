/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spelling.h"

#include <stdint.h>
#include <string.h>

static size_t smallest(size_t a, size_t b, size_t c)
{
    const size_t least = a < b ? a : b;
    return least < c ? least : c;
}

// Levenshtein's distance; SIZE_MAX: too long to be a name.
static size_t edit_distance(const char *a, const char *b)
{
    const size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len >= FL_SPELLING_CAP || b_len >= FL_SPELLING_CAP) return SIZE_MAX;

    size_t row[FL_SPELLING_CAP];  // distance of a's first i to b's first j
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            const size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = smallest(changed, row[j] + 1, row[j - 1] + 1);
        }
    }
    return row[b_len];
}

void fl_spelling_consider(fl_spelling *spelling, const char *name)
{
    const size_t distance = edit_distance(spelling->wanted, name);
    // A third of the letters wrong is still the same word, mistyped.
    if (distance > strlen(spelling->wanted) / 3 + 1) return;
    if (spelling->name && distance >= spelling->distance) return;
    spelling->name = name;
    spelling->distance = distance;
}
