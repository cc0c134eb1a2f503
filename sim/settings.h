/*
 * What a simulation can be told: the options of fedge-sim.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SIM_SETTINGS_H
#define FL_SIM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/options.h"
#include "sim/report.h"
#include "sim/simulation.h"

typedef struct {
    fl_data_settings data;
    fl_federation federation;
    uint64_t clients;
    // fleet
    double up_mbit, down_mbit, link_spread, latency_ms, loss;
    double samples_per_s, speed_spread, availability, period_s, dropout;
    // run
    uint64_t threads;
    const char *out, *json, *csv, *plot, *plot_bytes;
    const char *partition_out, *log_level;
    bool is_quiet;
} fl_settings;

/* What holds when nothing is said. */
extern const fl_settings FL_SETTINGS_DEFAULTS;

enum {
    FL_SETTINGS_OWN = 20,
    FL_SETTINGS_OPTIONS =
        FL_SETTINGS_OWN + FL_DATA_SETTINGS_COUNT + FL_FEDERATION_OPTIONS,
};

/* Writes FL_SETTINGS_OPTIONS options, bound to *settings. */
void fl_settings_list(fl_option *table, fl_settings *settings);

/* Loads both parts of the dataset and deals the training rows to clients. */
FL_CHECK fl_err fl_settings_load(const fl_settings *settings,
                                 fl_dataset **train, fl_dataset **test,
                                 fl_partition **partition, fl_reason *why);

/* Writes which row belongs to which client, when that is asked for. */
FL_CHECK fl_err fl_settings_write_partition(const fl_settings *settings,
                                            const fl_partition *partition,
                                            fl_reason *why);

fl_report_options fl_settings_report(const fl_settings *settings,
                                     const fl_partition *partition,
                                     const fl_model *model);

/* Without what is not a setting: data, callbacks, the stop flag. */
fl_simulation_options fl_settings_simulation(const fl_settings *settings);

#endif
