/*
 * Updates of which the largest values alone are sent: which ones these are,
 * and where.
 *
 * LARGE coordinates send the share `density` of theirs, SMALL ones the share
 * `density_small`; of values of one size the first ones.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_SPARSE_H
#define FL_COMPRESS_SPARSE_H

#include "compress/update/codec_table.h"

/* Values of a group that are kept, at most. */
size_t fl_sparse_kept(const fl_codec *codec, fl_group group);

/* Bytes of all positions at most, and of `value_bits` for each value and
 * `run_bytes` for each run. */
size_t fl_sparse_bound(const fl_codec *codec, size_t value_bits,
                       size_t run_bytes);

/* Makes 0 of all LARGE and SMALL values but those that are kept. */
void fl_sparse_select(float *values, const fl_codec *codec);

/* Writes where x is not 0; returns how often that is. */
size_t fl_sparse_encode(fl_writer *out, const float *x, size_t len);

/* What the groups may still keep. */
typedef struct {
    size_t left[FL_LAYOUT_GROUPS];
} fl_sparse_quota;

fl_sparse_quota fl_sparse_get_quota(const fl_codec *codec);

/*
 * The inverse: 1 where a value is kept, *kept of them. FL_ERR_FORMAT: more
 * than the group keeps, or positions that no encoder writes; *why names them.
 */
FL_CHECK fl_err fl_sparse_decode(float *values, size_t *kept,
                                 fl_sparse_quota *quota, fl_reader *in,
                                 const fl_run *run, fl_reason *why);

#endif
