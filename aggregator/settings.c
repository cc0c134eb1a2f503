/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

fl_aggregator_settings fl_federation_settings(const fl_federation *federation)
{
    fl_aggregator_options options = {.round_count = 0};
    fl_federation_apply(federation, &options);
    return (fl_aggregator_settings){
        .training = options.training,
        .quorum = options.quorum,
        .deadline_ms = options.deadline_ms,
        .farewell_ms = options.farewell_ms,
        .phase_ms = options.phase_ms,
        .evaluate_every = options.evaluate_every,
    };
}

uint32_t fl_settings_quorum(const fl_aggregator_options *options)
{
    const bool is_secure = options->aggregation == FL_AGGREGATION_SECURE;
    return is_secure && options->quorum < options->min_survivors
               ? options->min_survivors
               : options->quorum;
}

void fl_settings_ask(fl_aggregator *aggregator,
                     const fl_aggregator_settings *settings)
{
    aggregator->next_settings = *settings;
    aggregator->has_next_settings = true;
}

void fl_settings_take(fl_aggregator *aggregator)
{
    const fl_aggregator_settings *next = &aggregator->next_settings;
    fl_aggregator_options *options = &aggregator->options;
    if (!aggregator->has_next_settings) return;
    aggregator->has_next_settings = false;
    options->training = next->training;
    options->quorum = next->quorum;
    options->quorum = fl_settings_quorum(options);
    options->deadline_ms = next->deadline_ms;
    options->farewell_ms = next->farewell_ms;
    options->phase_ms = next->phase_ms;
    options->evaluate_every = next->evaluate_every;
    fl_reply_log(aggregator, FL_LOG_INFO, "settings_taken", "round=%u",
                 aggregator->rounds_done + 1);
}
