/*
 * Small files that tell when they are damaged:
 *
 *   kind 8 | payload | hash of all before, 32
 *
 * Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_STATE_RECORD_H
#define FL_CLIENT_STATE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

enum { FL_STATE_KIND_BYTES = 8 };

/*
 * As fl_file_write when it must survive a loss of power, else as
 * fl_file_replace; *why says the remedy, too.
 */
FL_CHECK fl_err fl_state_file_write(const char *path, const void *bytes,
                                    size_t len, unsigned mode, bool is_durable,
                                    fl_reason *why);

/*
 * As fl_state_file_write, and durable; on a full disk, in the place of the
 * record that is there (fl_file_overwrite).
 */
FL_CHECK fl_err fl_state_record_force(const char *path, const char *kind,
                                      const void *payload, size_t len,
                                      fl_reason *why);

/* As fl_state_file_write. `kind` has FL_STATE_KIND_BYTES characters. */
FL_CHECK fl_err fl_state_record_write(const char *path, const char *kind,
                                      const void *payload, size_t len,
                                      bool is_durable, fl_reason *why);

/*
 * *payload points into *file, which the caller frees. FL_ERR_NOT_FOUND: no
 * such file. FL_ERR_FORMAT: not a whole record of this kind, or with more
 * than `cap` bytes of payload. *file is NULL after an error.
 */
FL_CHECK fl_err fl_state_record_read(uint8_t **file, const uint8_t **payload,
                                     size_t *len, const char *path,
                                     const char *kind, size_t cap,
                                     fl_reason *why);

/* Deletes any file. FL_OK when it is not there. */
FL_CHECK fl_err fl_state_file_delete(const char *path, fl_reason *why);

#endif
