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

/* Writes the values of a run, which are where x is not 0, and makes them what
 * the reader will have. */
typedef void fl_sparse_write(fl_writer *out, float *x, size_t len);

/* The inverse: x is 1 where a value is. */
typedef fl_err fl_sparse_read(float *x, size_t len, fl_reader *in,
                              fl_reason *why);

/*
 * Makes 0 of all LARGE and SMALL values but those that are kept; writes, run by
 * run, where these are and, unless there are none, what write_run says of them.
 */
void fl_sparse_encode(fl_writer *out, float *values, const fl_codec *codec,
                      fl_sparse_write *write_run);

/*
 * The inverse. FL_ERR_FORMAT: more values than a group keeps, or positions that
 * no encoder writes; *why names them. Errors of read_run.
 */
FL_CHECK fl_err fl_sparse_decode(float *values, fl_reader *in,
                                 const fl_codec *codec,
                                 fl_sparse_read *read_run, fl_reason *why);

#endif
