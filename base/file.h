/*
 * Whole files: read with a maximum, written so that a crash at any instant
 * leaves either the old content or the new.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_FILE_H
#define FL_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

/*
 * Reads all of `path`; the caller frees *bytes. A byte 0 follows the content
 * (not counted), so text can be used as a string. FL_ERR_NOT_FOUND: no such
 * file. FL_ERR_LIMIT: longer than `cap`. FL_ERR_SYSTEM: cannot be read.
 */
FL_CHECK fl_err fl_file_read(uint8_t **bytes, size_t *len, const char *path,
                             size_t cap, fl_reason *why);

/*
 * The same for who must not wait: others may have put a pipe there, or a
 * device that never ends. FL_ERR_RANGE: it is no plain file.
 */
FL_CHECK fl_err fl_file_read_plain(uint8_t **bytes, size_t *len,
                                   const char *path, size_t cap,
                                   fl_reason *why);

/*
 * Replaces `path`: temporary name in the same folder, fsync, rename, fsync of
 * the folder. `mode` as in open(2). FL_ERR_SYSTEM: *why says what failed (disk
 * full, not writable); the old file is whole and the temporary one gone.
 */
FL_CHECK fl_err fl_file_write(const char *path, const void *bytes, size_t len,
                              unsigned mode, fl_reason *why);

/*
 * The same without waiting for the disk: safe against the death of the
 * program, but after a loss of power the file may be the old one, the new one
 * or damaged. For content that is checked when it is read and can be had again.
 */
FL_CHECK fl_err fl_file_replace(const char *path, const void *bytes, size_t len,
                                unsigned mode, fl_reason *why);

/*
 * Overwrites a file that has exactly `len` bytes in its place, and waits for
 * the disk: what is left when a full disk has no room for fl_file_write. A
 * loss of power in between can damage the file, so it must tell when it is.
 * FL_ERR_STATE: it has another length. FL_ERR_NOT_FOUND, FL_ERR_SYSTEM.
 */
FL_CHECK fl_err fl_file_overwrite(const char *path, const void *bytes,
                                  size_t len, fl_reason *why);

/*
 * Whether fl_file_write could write there now, for those who have hours of
 * work to do first. Errors as there; nothing is left behind.
 */
FL_CHECK fl_err fl_file_check(const char *path, fl_reason *why);

/*
 * Gives what is complete, a file or a folder, its name, durably.
 * FL_ERR_SYSTEM: *why says what failed.
 */
FL_CHECK fl_err fl_file_publish(const char *made, const char *path,
                                fl_reason *why);

/* dst = folder "/" name. FL_ERR_SPACE: does not fit. */
FL_CHECK fl_err fl_path_join(char *dst, size_t dst_cap, const char *folder,
                             const char *name);

#endif
