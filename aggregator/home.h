/*
 * The state folder of an aggregator that runs: what it holds open there, and
 * what a start takes from it.
 *
 *   store          rounds, models, clients; the lock
 *   identity.key   who this aggregator is
 *   roll, door     who may take part (roll_file.h, joining/door.h)
 *
 * A folder belongs to one federation for life: its settings are written with
 * the first model, round 0, and compared at every later start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_HOME_H
#define FL_AGGREGATOR_HOME_H

#include "aggregator/aggregator.h"
#include "aggregator/joining/door.h"
#include "aggregator/roll_file.h"

typedef struct {
    const char *folder;
    const char *enrolment;  // a signed list; NULL: the authority is here
    const char *join;       // how devices get in; NULL: as the list says
    const fl_federation *federation;
} fl_home_options;

typedef struct {
    fl_home_options options;
    fl_store *store;
    fl_identity identity;
    fl_roll_file roll;
    fl_door door;
} fl_home;

/*
 * Opens the folder, making what is missing. fl_home_close, also after an error:
 * those of fl_join_mode_parse, fl_store_open, fl_identity_open,
 * fl_roll_file_open and fl_door_init.
 */
FL_CHECK fl_err fl_home_open(fl_home *home, const fl_home_options *options,
                             fl_reason *why);

/* Wipes. Accepts one that is all zeros. */
void fl_home_close(fl_home *home);

/* What a start goes on with. */
typedef struct {
    fl_model *model;
    uint8_t *master;  // NULL: none
    size_t master_len;
    uint32_t rounds_done;
    bool is_first;  // nothing was saved yet: fl_home_found
} fl_heritage;

/*
 * Reads what was saved last, or makes the federation's first model, of the
 * shape of `test` (NULL: nothing is held out). fl_heritage_fini, also after an
 * error: FL_ERR_STATE: the folder belongs to another federation; errors of
 * fl_store_last_round, fl_model_decode and fl_federation_model.
 */
FL_CHECK fl_err fl_home_load(fl_home *home, fl_heritage *heritage,
                             const fl_dataset *test, fl_reason *why);

/* Accepts one that is all zeros. */
void fl_heritage_fini(fl_heritage *heritage);

/*
 * Round 0: saves the machine's first model, before anyone trains it. To be
 * called when all else fits together: who mistypes an option can start again in
 * this folder. Errors of fl_store_finish_round; FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_home_found(fl_home *home, const fl_aggregator *aggregator,
                              fl_reason *why);

/* Writes the folder's own enrolment list. A failure is logged. */
FL_CHECK fl_err fl_home_save_list(const fl_home *home, const uint8_t *list,
                                  size_t list_len);

/* Whether the registry alone says who may come. */
bool fl_home_is_guarded(const fl_home *home);

/* Logs what the operator has to be trusted with. */
void fl_home_say_trust(const fl_home *home);

#endif
