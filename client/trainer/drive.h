/*
 * Accompanies a trainer that runs: hears what it says, logs what it says to
 * people, stops it while the board pauses, and gives up on it in time.
 *
 * Private to client/. Runs in the worker.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINER_DRIVE_H
#define FL_CLIENT_TRAINER_DRIVE_H

#include "client/client.h"
#include "client/trainer/child.h"
#include "client/trainer/talk.h"

enum { FL_DRIVE_LOG_LINES_MAX = 200 };  // of one task

/*
 * Returns when it is done: *report is of kind DONE. FL_ERR_STATE: it says that
 * it has failed. FL_ERR_CLOSED: it has ended before. FL_ERR_TIMEOUT: it has
 * worked for limit_ms, pauses not counted. FL_ERR_LIMIT: a line that is too
 * long. FL_ERR_FORMAT, FL_ERR_UNSUPPORTED, FL_ERR_RANGE: those of
 * fl_talk_decode. FL_ERR_CANCELLED: *data->stop. The child is left as it is.
 */
FL_CHECK fl_err fl_drive_run(fl_talk_report *report, const fl_child *child,
                             const fl_local_data *data, int64_t limit_ms,
                             fl_reason *why);

#endif
