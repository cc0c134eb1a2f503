/*
 * A trainer that the owner brings: a program that is started for each training,
 * given the model and the examples as files, and whose result is checked before
 * it counts (docs/trainer.md).
 *
 *   folder, files --> child --(JSON lines)--> result, checked --> parameters
 *
 * Options: section [trainer]. Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINER_EXTERNAL_H
#define FL_CLIENT_TRAINER_EXTERNAL_H

#include "base/options.h"
#include "client/client.h"
#include "client/trainer/argv.h"
#include "client/trainer/retreat.h"

enum { FL_EXTERNAL_OPTION_COUNT = 4 };

typedef struct {
    const char *command;  // NULL: there is none, the engine trains
    uint64_t seconds;     // that a training may take; 0: as long as the round
    uint64_t memory;      // MB of address space; 0: any
    bool is_offline;
} fl_external_options;

/* Appends to a table with room for FL_EXTERNAL_OPTION_COUNT. */
size_t fl_external_list(fl_option *table, fl_external_options *options);

typedef struct {
    fl_external_options options;
    const char *state, *dataset;
    fl_argv argv;
    fl_local_trainer trainer;  // for fl_local_data; it points to this struct
    // Of whoever started the trainings.
    fl_retreat retreat;
    fl_reason trouble;  // of the last training; "": it went well
} fl_external;

/*
 * Borrows the options, the state folder and what --dataset says. The caller
 * owns *external, which must not move: fl_external_fini. FL_ERR_RANGE: the
 * command is none. FL_ERR_NOT_FOUND: there is no such program, or it cannot be
 * executed. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_external_init(fl_external *external,
                                 const fl_external_options *options,
                                 const char *state, const char *dataset,
                                 fl_reason *why);

/* Accepts one that is all zeros. */
void fl_external_fini(fl_external *external);

/* Who trains; NULL: the engine. */
const fl_local_trainer *fl_external_trainer(const fl_external *external);

/* A training has ended. One that was cancelled says nothing. */
void fl_external_note(fl_external *external, fl_err err, const fl_reason *why,
                      int64_t now_ms);

#endif
