/*
 * A file read from front to back, unpacked on the way when it is gzipped.
 *
 * The reader of a format asks `left_max` before it believes a header: no
 * more bytes can follow, so nothing is allocated for a lie.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_STREAM_H
#define FL_DATA_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

typedef struct fl_stream fl_stream;

/*
 * `path` is borrowed until the close. The caller owns *stream: fl_stream_close.
 * FL_ERR_NOT_FOUND: no such file. FL_ERR_RANGE: not a regular file.
 * FL_ERR_SYSTEM: cannot be read.
 */
FL_CHECK fl_err fl_stream_open(fl_stream **stream, const char *path,
                               fl_reason *why);

/* Accepts NULL. */
void fl_stream_close(fl_stream *stream);

const char *fl_stream_path(const fl_stream *stream);

/* Bytes given out so far: where a sentence says the fault is. */
uint64_t fl_stream_offset(const fl_stream *stream);

/*
 * Bytes that can follow at most: the exact number for a plain file, and what
 * deflate's best ratio could make of a gzipped one.
 */
uint64_t fl_stream_left_max(const fl_stream *stream);

/*
 * Reads up to `len` bytes; *got is smaller only at the end.
 * FL_ERR_FORMAT: the gzip data is damaged or cut short.
 */
FL_CHECK fl_err fl_stream_read(size_t *got, void *dst, size_t len,
                               fl_stream *stream, fl_reason *why);

/* Reads exactly `len` bytes. FL_ERR_FORMAT: also when the file ends first. */
FL_CHECK fl_err fl_stream_fill(void *dst, size_t len, fl_stream *stream,
                               fl_reason *why);

/* Reads `len` bytes for nobody. FL_ERR_FORMAT: as fl_stream_fill. */
FL_CHECK fl_err fl_stream_skip(size_t len, fl_stream *stream, fl_reason *why);

/* FL_ERR_FORMAT: bytes are left over, or gzip's checksum is wrong. */
FL_CHECK fl_err fl_stream_finish(fl_stream *stream, fl_reason *why);

#endif
