/*
 * The options of every program that reads a dataset. Part of data/data.h,
 * which includes this at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_SETTINGS_H
#define FL_DATA_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/options.h"
#include "base/reason.h"
#include "data/data.h"

enum {
    FL_DATA_SETTINGS_DATASET = 5,  // of a dataset; then those of a partition
    FL_DATA_SETTINGS_COUNT = 7,
};

typedef struct {
    const char *dataset, *test, *label_column, *group_column, *resize;
    const char *partition;  // with `:CLIENTS` or without
    uint64_t sample_count;  // of each client; 0: all rows are dealt out
} fl_data_settings;

/*
 * Writes the first `count` of the options, bound to *settings: those of a
 * dataset come first, then those of a partition. Returns `count`.
 */
size_t fl_data_settings_list(fl_option *table, size_t count,
                             fl_data_settings *settings);

/* `seed` picks held-out rows. Texts are borrowed. */
fl_data_options fl_data_settings_options(const fl_data_settings *settings,
                                         uint64_t seed);

/*
 * Deals the training rows out as the settings say, to `client_count` clients
 * unless the partition's text has a number of its own. Errors as
 * fl_partition_parse and fl_partition_new.
 */
FL_CHECK fl_err fl_data_settings_deal(fl_partition **partition,
                                      const fl_data_settings *settings,
                                      const fl_dataset *train,
                                      uint32_t client_count, uint64_t seed,
                                      fl_reason *why);

#endif
