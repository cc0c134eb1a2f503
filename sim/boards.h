/*
 * All boards of a simulation: each a client's machine, connected to the
 * memory network, to workers that train, and to the chances of its fleet.
 *
 * One thread; the workers only run trainings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SIM_BOARDS_H
#define FL_SIM_BOARDS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/pool.h"
#include "data/data.h"
#include "net/net.h"
#include "secure/secure.h"
#include "sim/fleet.h"

/* All pointers are borrowed for the boards' life. */
typedef struct {
    fl_fleet_options fleet;
    const char *address;  // where the aggregator listens
    fl_memnet *memnet;
    fl_pool *pool;
    fl_arena *scratch;  // of the machines
    fl_random *nonces;
    const fl_dataset *train;
    const fl_partition *partition;  // one part a board
    uint32_t client_min;            // the boards' policies
    bool allows_clear;
} fl_boards_options;

typedef struct fl_boards fl_boards;

/* Seconds of CPU that the clients' sessions have taken so far. */
double fl_boards_crypto_s(const fl_boards *boards);

/* Adds them to the network. The caller owns *boards: fl_boards_free. */
FL_CHECK fl_err fl_boards_new(fl_boards **boards,
                              const fl_boards_options *options);

/* Ends the trainings that run, as soon as they can. Accepts NULL. */
void fl_boards_stop(fl_boards *boards);

/* No training may run any more: free the pool first. Accepts NULL. */
void fl_boards_free(fl_boards *boards);

/* Hands an event of the network to the board that it belongs to. */
void fl_boards_handle(fl_boards *boards, void *owner,
                      const fl_net_event *event);

/* The board with this public key; UINT32_MAX: none has it. */
uint32_t fl_boards_find(const fl_boards *boards,
                        const uint8_t public_key[FL_KEY_BYTES]);

#endif
