/*
 * The private folder in which a client and its trainer exchange files: made for
 * one task, 0700, gone with all that is in it afterwards.
 *
 * Its owner is this process; what the trainer has put there is not believed.
 * Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINER_WORKDIR_H
#define FL_CLIENT_TRAINER_WORKDIR_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/reason.h"

typedef struct {
    char path[PATH_MAX];  // absolute
    int fd;               // of the folder
} fl_workdir;

/*
 * Removes all that earlier processes have left below `state`, as after a loss
 * of power: one process at a time has a state folder.
 */
void fl_workdir_clear(const char *state);

/*
 * Makes one below `state`, after fl_workdir_clear. The caller owns *dir:
 * fl_workdir_close. FL_ERR_SYSTEM: it cannot be made.
 */
FL_CHECK fl_err fl_workdir_open(fl_workdir *dir, const char *state,
                                fl_reason *why);

/* Removes it. FL_ERR_SYSTEM: something is left. */
FL_CHECK fl_err fl_workdir_close(fl_workdir *dir, fl_reason *why);

/*
 * A new file, to be closed with fl_workdir_finish, which says whether all of it
 * has been written. FL_ERR_SYSTEM.
 */
FL_CHECK fl_err fl_workdir_create(FILE **file, const fl_workdir *dir,
                                  const char *name, fl_reason *why);
FL_CHECK fl_err fl_workdir_finish(FILE *file, const char *name, fl_reason *why);

/*
 * Reads a file that the trainer has made. The caller frees *bytes.
 * FL_ERR_NOT_FOUND: there is none. FL_ERR_FORMAT: it is a link, a folder or
 * another thing that is no plain file. FL_ERR_LIMIT: longer than `cap`.
 * FL_ERR_SYSTEM. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_workdir_read(uint8_t **bytes, size_t *len,
                                const fl_workdir *dir, const char *name,
                                size_t cap, fl_reason *why);

#endif
