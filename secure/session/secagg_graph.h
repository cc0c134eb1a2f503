/*
 * Who holds whose shares, and who shares masks with whom.
 *
 * In the complete graph (k = 0) everybody does, with everybody. Above 128
 * clients the holders of a client's shares are the k that it chose itself, and
 * its partners are those and all that chose it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_SESSION_SECAGG_GRAPH_H
#define FL_SECURE_SESSION_SECAGG_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { FL_SECAGG_GRAPH_NONE = UINT16_MAX };  // above every slot

typedef struct {
    uint32_t n, k;
    uint16_t *chosen;       // (n,k), rows rising; NONE where nothing was chosen
    uint16_t *choosers;     // those of slot v: from choosers_at[v] on, rising
    uint32_t *choosers_at;  // n + 1 of them
} fl_secagg_graph;

/* Nobody has chosen yet. FL_ERR_MEMORY: *graph is as fl_secagg_graph_fini
 * leaves it */
FL_CHECK fl_err fl_secagg_graph_init(fl_secagg_graph *graph, uint32_t n,
                                     uint32_t k);
void fl_secagg_graph_fini(fl_secagg_graph *graph);

/*
 * Takes a client's CHOICE. FL_ERR_FORMAT: not k slots. FL_ERR_RANGE: not
 * rising, outside the roster, or its own.
 */
FL_CHECK fl_err fl_secagg_graph_choose(fl_secagg_graph *graph, uint32_t slot,
                                       const uint8_t *src, size_t src_len);

/* All have chosen who will; needed for partners. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_secagg_graph_close(fl_secagg_graph *graph);

uint32_t fl_secagg_graph_holder_count(const fl_secagg_graph *graph);

/* The holder at place i of the owner's; FL_SECAGG_GRAPH_NONE: it chose none. */
uint32_t fl_secagg_graph_holder(const fl_secagg_graph *graph, uint32_t owner,
                                uint32_t i);

/* False: not a holder of the owner's shares. */
bool fl_secagg_graph_find_holder(const fl_secagg_graph *graph, uint32_t owner,
                                 uint32_t holder, uint32_t *place);

/* Walks over the partners of a slot, rising. */
typedef struct {
    const fl_secagg_graph *graph;
    uint32_t slot;
    uint32_t complete_at;               // k = 0: the next slot
    const uint16_t *chosen, *choosers;  // the rest of two rising lists
    const uint16_t *chosen_end, *choosers_end;
} fl_secagg_graph_walk;

fl_secagg_graph_walk fl_secagg_graph_partners(const fl_secagg_graph *graph,
                                              uint32_t slot);
bool fl_secagg_graph_next(fl_secagg_graph_walk *walk, uint32_t *partner);

#endif
