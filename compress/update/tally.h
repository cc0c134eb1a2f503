/*
 * What codec.c and update.c need of tallies beside what codec.h says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_TALLY_H
#define FL_COMPRESS_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "compress/update/codec.h"

/* Words of a tally, those of the metrics included. */
size_t fl_tally_words(const fl_codec *codec);

/*
 * Whether one client may have made the counts of `words`, fl_tally_words of
 * them as bytes, of any values: FL_ERR_RANGE, *why names the count.
 */
FL_CHECK fl_err fl_tally_check(const fl_codec *codec, const uint8_t *words,
                               fl_reason *why);

#endif
