/*
 * A lock file, held as long as its process lives: it keeps a second daemon out
 * of a state folder, and tells others which process has it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_LOCK_H
#define FL_BASE_LOCK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/reason.h"

/*
 * Locks `path` (made when missing) until fl_lock_release or the end of the
 * process. FL_ERR_STATE: someone else holds it, *why names the process.
 * FL_ERR_SYSTEM: it cannot be opened.
 */
FL_CHECK fl_err fl_lock_take(int *lock, const char *path, fl_reason *why);
void fl_lock_release(int lock);

/* Whether somebody holds it now. Makes and changes nothing. */
bool fl_lock_is_held(const char *path);

/*
 * Sends a signal to who holds it. A file can say any number: it counts only
 * for a process of the file's owner. FL_ERR_NOT_FOUND: nobody holds it.
 * FL_ERR_SYSTEM: the process may not be signalled, *why says why.
 */
FL_CHECK fl_err fl_lock_signal_holder(const char *path, int number,
                                      fl_reason *why);

#endif
