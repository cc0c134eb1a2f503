/*
 * Folders are made, and the state folder of a daemon: where its files lie, and
 * the lock in it that keeps a second daemon out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_FOLDER_H
#define FL_BASE_FOLDER_H

#include <limits.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/reason.h"

/* Makes a folder and its parents. FL_OK when it is there already. */
FL_CHECK fl_err fl_folder_make(const char *path, unsigned mode, fl_reason *why);

/* path = folder "/" name. FL_ERR_SYSTEM: too long. */
FL_CHECK fl_err fl_folder_place(char path[PATH_MAX], const char *folder,
                                const char *name, fl_reason *why);

/*
 * Locks a folder that is there; as fl_lock_take, until fl_lock_release.
 * FL_ERR_STATE: another daemon has it. FL_ERR_SYSTEM.
 */
FL_CHECK fl_err fl_folder_lock(int *lock, const char *folder, fl_reason *why);

/* Whether a daemon has it now. */
bool fl_folder_is_locked(const char *folder);

/*
 * Has the daemon read its options again. FL_ERR_NOT_FOUND: none runs there,
 * *why calls it `daemon`. FL_ERR_SYSTEM: it or its folder is somebody else's.
 */
FL_CHECK fl_err fl_folder_ask_to_reload(const char *folder, const char *daemon,
                                        fl_reason *why);

#endif
