/*
 * Label mixes drawn from a Dirichlet distribution (Hsu, Qi, Brown,
 * "Measuring the effects of non-identical data distribution for federated
 * visual classification", 2019).
 *
 * Each client in turn draws a mix p ~ Dir(alpha) of the classes and takes its
 * rows one by one: a class with probability p among those that have rows
 * left, then a row of that class.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_DIRICHLET_H
#define FL_DATA_DIRICHLET_H

#include "data/data.h"

/*
 * rows (client_count, per_client). There must be that many in the dataset.
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_dirichlet_deal(uint32_t *rows, const fl_dataset *dataset,
                                  uint32_t per_client,
                                  const fl_partition_options *options);

#endif
