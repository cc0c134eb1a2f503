/*
 * The job behind INSTALL: reads what is installed, has a worker make and
 * measure the new form, and takes it into use.
 *
 *   loop: begin --> worker: run --> loop: finish
 *
 * Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_INSTALLER_H
#define FL_CLIENT_INSTALLER_H

#include "base/pool.h"
#include "client/gate.h"
#include "client/install.h"
#include "client/state/state.h"

typedef struct {
    fl_job job;     // first: the pool hands this address back
    fl_gate *gate;  // to pass before work begins; NULL: none
    fl_install install;
    fl_state_installed record;      // of the new one
    uint8_t *installed, *previous;  // what `install` borrows
    atomic_bool stop;
    fl_client_verdict verdict;
    uint8_t *bytes;
    size_t len;
    fl_err err;
    fl_reason why;
} fl_installer;

/*
 * Prepares the job of an INSTALL effect; submit it then. `data` is what the
 * effect and this client have. `folder` is that of the state.
 */
void fl_installer_begin(fl_installer *installer, const char *folder,
                        const fl_client_effect *effect,
                        const fl_local_data *data, double max_drop);

/*
 * The job is done: takes an accepted form into use. *event is the answer,
 * which borrows from the installer until fl_installer_fini.
 */
void fl_installer_finish(fl_installer *installer, fl_state *state,
                         fl_client_event *event);

/* Accepts one that is all zeros. */
void fl_installer_fini(fl_installer *installer);

#endif
