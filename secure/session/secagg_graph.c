/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/session/secagg_graph.h"

#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

fl_err fl_secagg_graph_init(fl_secagg_graph *graph, uint32_t n, uint32_t k)
{
    size_t bytes;
    *graph = (fl_secagg_graph){.n = n, .k = k};
    if (k == 0) return FL_OK;
    FL_TRY(fl_size_mul(&bytes, n, k * sizeof *graph->chosen));
    graph->chosen = malloc(bytes);
    if (!graph->chosen) return FL_ERR_MEMORY;
    memset(graph->chosen, 0xff, bytes);
    return FL_OK;
}

void fl_secagg_graph_fini(fl_secagg_graph *graph)
{
    free(graph->chosen);
    free(graph->choosers);
    free(graph->choosers_at);
    *graph = (fl_secagg_graph){0};
}

static const uint16_t *row_of(const fl_secagg_graph *graph, uint32_t slot)
{
    return graph->chosen + (size_t)slot * graph->k;
}

static fl_err check_choice(const fl_secagg_graph *graph, uint32_t slot,
                           const uint8_t *src, size_t src_len)
{
    if (src_len != 2 * (size_t)graph->k) return FL_ERR_FORMAT;
    fl_reader in = fl_reader_over(src, src_len);
    uint32_t least = 0;
    for (uint32_t i = 0; i < graph->k; i++) {
        const uint32_t chosen = fl_reader_u16(&in);
        if (chosen < least || chosen >= graph->n || chosen == slot) {
            return FL_ERR_RANGE;
        }
        least = chosen + 1;
    }
    return FL_OK;
}

fl_err fl_secagg_graph_choose(fl_secagg_graph *graph, uint32_t slot,
                              const uint8_t *src, size_t src_len)
{
    assert(slot < graph->n);
    FL_TRY(check_choice(graph, slot, src, src_len));
    fl_reader in = fl_reader_over(src, src_len);
    uint16_t *row = graph->chosen + (size_t)slot * graph->k;
    for (uint32_t i = 0; i < graph->k; i++) {
        row[i] = fl_reader_u16(&in);
    }
    return FL_OK;
}

// Turns counts into where each slot's choosers end; filling moves it back to
// where they start. From the last slot to the first, so that lists rise.
static void fill_choosers(fl_secagg_graph *graph)
{
    uint32_t *at = graph->choosers_at;
    for (uint32_t slot = 1; slot <= graph->n; slot++) {
        at[slot] += at[slot - 1];
    }
    for (uint32_t slot = graph->n; slot-- > 0;) {
        const uint16_t *row = row_of(graph, slot);
        for (uint32_t i = 0; i < graph->k && row[i] != FL_SECAGG_GRAPH_NONE;
             i++) {
            graph->choosers[--at[row[i]]] = (uint16_t)slot;
        }
    }
}

fl_err fl_secagg_graph_close(fl_secagg_graph *graph)
{
    if (graph->k == 0) return FL_OK;
    const size_t edge_cap = (size_t)graph->n * graph->k;
    uint32_t *at = calloc(graph->n + (size_t)1, sizeof *at);
    uint16_t *choosers = malloc(edge_cap * sizeof *choosers);
    if (!at || !choosers) {
        free(at);
        free(choosers);
        return FL_ERR_MEMORY;
    }
    for (size_t i = 0; i < edge_cap; i++) {
        if (graph->chosen[i] != FL_SECAGG_GRAPH_NONE) at[graph->chosen[i]]++;
    }
    graph->choosers_at = at;
    graph->choosers = choosers;
    fill_choosers(graph);
    return FL_OK;
}

/* ---- holders ---- */

uint32_t fl_secagg_graph_holder_count(const fl_secagg_graph *graph)
{
    return graph->k ? graph->k : graph->n;
}

uint32_t fl_secagg_graph_holder(const fl_secagg_graph *graph, uint32_t owner,
                                uint32_t i)
{
    assert(owner < graph->n && i < fl_secagg_graph_holder_count(graph));
    return graph->k ? row_of(graph, owner)[i] : i;
}

bool fl_secagg_graph_find_holder(const fl_secagg_graph *graph, uint32_t owner,
                                 uint32_t holder, uint32_t *place)
{
    assert(owner < graph->n && holder < graph->n);
    *place = holder;
    if (graph->k == 0) return true;

    const uint16_t *row = row_of(graph, owner);
    uint32_t low = 0, high = graph->k;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (row[middle] < holder) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *place = low;
    return low < graph->k && row[low] == holder;
}

/* ---- partners ---- */

fl_secagg_graph_walk fl_secagg_graph_partners(const fl_secagg_graph *graph,
                                              uint32_t slot)
{
    fl_secagg_graph_walk walk = {.graph = graph, .slot = slot};
    assert(slot < graph->n);
    if (graph->k == 0) return walk;
    assert(graph->choosers);
    walk.chosen = row_of(graph, slot);
    walk.chosen_end = walk.chosen + graph->k;
    walk.choosers = graph->choosers + graph->choosers_at[slot];
    walk.choosers_end = graph->choosers + graph->choosers_at[slot + 1];
    return walk;
}

static bool next_of_all(fl_secagg_graph_walk *walk, uint32_t *partner)
{
    if (walk->complete_at == walk->slot) walk->complete_at++;
    *partner = walk->complete_at++;
    return *partner < walk->graph->n;
}

static uint32_t head(const uint16_t *list, const uint16_t *end)
{
    return list < end ? *list : FL_SECAGG_GRAPH_NONE;
}

bool fl_secagg_graph_next(fl_secagg_graph_walk *walk, uint32_t *partner)
{
    if (walk->graph->k == 0) return next_of_all(walk, partner);
    const uint32_t chosen = head(walk->chosen, walk->chosen_end);
    const uint32_t chooser = head(walk->choosers, walk->choosers_end);
    if (chosen == FL_SECAGG_GRAPH_NONE && chooser == FL_SECAGG_GRAPH_NONE) {
        return false;
    }
    if (chosen <= chooser) {
        *partner = chosen;
        walk->chosen++;
        if (chooser == chosen) walk->choosers++;
    } else {
        *partner = chooser;
        walk->choosers++;
    }
    return true;
}
