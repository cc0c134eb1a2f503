/*
 * What fl_channels consists of; private to channels.c and shrink.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_REDUCE_CHANNELS_H
#define FL_MODEL_REDUCE_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/graph.h"
#include "model/model.h"
#include "model/reduce/coupling.h"

/* How many wires of a value one channel has. */
typedef struct {
    uint32_t value, count;
} fl_channel_part;

typedef struct {
    fl_channel_group front;
    const fl_channel_part *parts;  // the same of each channel; by value
    size_t part_count;
} fl_coupled_group;

struct fl_channels {
    fl_graph graph;        // a copy of the model's
    fl_coupling coupling;  // its units are the channels, by number
    fl_coupled_group *groups;
    uint32_t group_count;
    fl_channel_part *parts;              // of all channels
    uint32_t fixed[FL_GRAPH_NODES_MAX];  // wires of a value in no channel
    bool is_last[FL_GRAPH_NODES_MAX];    // a node is a layer's last affine map
};

#endif
