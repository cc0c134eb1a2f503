/*
 * Folders for tests: made fresh, removed whole, put on a disk that is small.
 * And programs that die: a function run in a child that is killed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_SCRATCH_H
#define FL_TESTS_SUPPORT_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

enum { FL_SCRATCH_CAP = 256 };

/* A new empty folder; its path goes to `folder`. False: it cannot be made. */
bool fl_scratch_make(char folder[FL_SCRATCH_CAP]);

/* Removes the folder and all that is in it, a disk mounted there included. */
void fl_scratch_remove(const char *folder);

/*
 * Mounts a disk of `len` bytes on the folder, seen by this process alone.
 * False: this user may not.
 */
bool fl_scratch_mount(const char *folder, size_t len);

/*
 * Fills the disk under `folder` but for `left` bytes, with the file "filler".
 * Call again to leave another number of bytes; `left` of SIZE_MAX: empties.
 */
bool fl_scratch_fill(const char *folder, size_t left);

/* Limits the length of files to `len` bytes, or no longer with SIZE_MAX. */
bool fl_scratch_limit_files(size_t len);

/* How many entries the folder has. */
size_t fl_scratch_count(const char *folder);

/*
 * Runs `work` in a child and kills it after `after_us` microseconds, or with 0
 * after its first report. A report is a uint32_t that `work` writes; the last
 * one goes to *last, which stays when there was none. `work` does not return.
 */
bool fl_scratch_kill(void (*work)(void *self, int report), void *self,
                     unsigned after_us, unsigned *last);

#endif
