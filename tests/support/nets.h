/*
 * Small nets for the tests of the engine, and the check that all operators
 * pass: forward and backward against the oracle, with every set of kernels
 * that this CPU has, in one lane and in several, keeping values and making
 * them again, by batch and by running statistics.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_NETS_H
#define FL_TESTS_SUPPORT_NETS_H

#include <stdbool.h>
#include <stdint.h>

#include "model/graph.h"

/* A graph with nothing but its input. */
fl_graph net_over(uint32_t height, uint32_t width, uint32_t channels);

/*
 * Appends a node, named n1, n2, ...; without inputs of its own, behind the
 * last one. Returns its number. Fails the test when the graph refuses it.
 */
uint32_t net_add(fl_graph *net, fl_node node, bool has_bias,
                 const float *constants);

uint32_t net_add_conv(fl_graph *net, uint32_t channels, fl_window window,
                      bool has_bias);
uint32_t net_add_dense(fl_graph *net, uint32_t outputs);
uint32_t net_add_plain(fl_graph *net, fl_op_kind op);
uint32_t net_add_pool(fl_graph *net, fl_window window);
fl_window net_square(uint32_t kernel, uint32_t stride, uint32_t pad);

/*
 * Runs the net as said above and fails the test where a value or a gradient
 * is not the oracle's. Frees the net.
 */
void net_check(fl_graph *net);

/* The same with so many examples; usually there are three. */
void net_check_batch(fl_graph *net, uint32_t count);

#endif
