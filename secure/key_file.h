/*
 * The file that holds an identity's seed: 82 bytes of text, mode 0600.
 *
 *   fedge identity 1\n
 *   64 hexadecimal digits of the 32-byte seed\n
 *
 * Several processes may start at once: the file appears complete, under its
 * final name, exactly once, and everybody reads that one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_KEY_FILE_H
#define FL_SECURE_KEY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "secure/secure.h"

enum { FL_KEY_FILE_BYTES = 82 };

/* Writes the one encoding of a seed. */
void fl_key_file_encode(char dst[FL_KEY_FILE_BYTES],
                        const uint8_t seed[FL_SEED_BYTES]);

/*
 * Safe on any bytes. FL_ERR_FORMAT: not a key file; *why says what differs
 * without quoting it. The seed is wiped then.
 */
FL_CHECK fl_err fl_key_file_decode(uint8_t seed[FL_SEED_BYTES], const char *src,
                                   size_t src_len, fl_reason *why);

/* Errors of fl_identity_open, and FL_ERR_NOT_FOUND: there is no such file. */
FL_CHECK fl_err fl_key_file_read(uint8_t seed[FL_SEED_BYTES], const char *path,
                                 fl_reason *why);

/*
 * Puts a random seed into `path`. FL_ERR_STATE: a file is there; it stays as
 * it is. FL_ERR_SYSTEM: it cannot be made.
 */
FL_CHECK fl_err fl_key_file_make(const char *path, fl_reason *why);

/*
 * Reads the seed in `path`, or puts a random one there first when there is no
 * such file. Errors of fl_identity_open.
 */
FL_CHECK fl_err fl_key_file_open(uint8_t seed[FL_SEED_BYTES], const char *path,
                                 fl_reason *why);

#endif
