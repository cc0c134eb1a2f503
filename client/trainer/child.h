/*
 * A program of the owner's as a child process, kept apart from this one: a
 * process group of its own, no descriptor of ours but its three standard ones,
 * an environment of its own, a limit of memory.
 *
 *   start --> runs <--pause, resume--> stopped --end--> gone, with its group
 *
 * It dies with the thread that has started it. One thread at a time. Private to
 * client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINER_CHILD_H
#define FL_CLIENT_TRAINER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/reason.h"

typedef struct {
    char *const *argv;   // argv[0] is an absolute path
    char *const *envp;   // all of it
    const char *folder;  // where it runs
    int input;           // its standard input: a descriptor, borrowed
    uint64_t memory;     // bytes of address space; 0: any
    bool is_offline;     // it has no network
} fl_child_options;

typedef struct {
    pid_t pid;        // and number of its group
    int output, log;  // its standard output and error: never block
} fl_child;

/*
 * The caller owns *child: fl_child_end. FL_ERR_SYSTEM: it could not be started,
 * *why names the step; FL_ERR_UNSUPPORTED: is_offline, and the system does not
 * permit that.
 */
FL_CHECK fl_err fl_child_start(fl_child *child, const fl_child_options *options,
                               fl_reason *why);

/* Its group stands still, or goes on. */
void fl_child_pause(const fl_child *child, bool is_paused);

/* Whether it has ended by itself; then *how says how: "exit code 1". */
bool fl_child_has_ended(const fl_child *child, fl_reason *how);

/* Kills what is left of its group, and frees what *child holds. */
void fl_child_end(fl_child *child);

#endif
