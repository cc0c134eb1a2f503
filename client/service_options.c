/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "client/service.h"

fl_err fl_service_check(const fl_service_options *options, fl_reason *why)
{
    fl_eligibility_options eligibility;
    fl_metered metered;
    if (strcmp(options->aggregation, "secure") != 0 &&
        strcmp(options->aggregation, "clear") != 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--aggregation %s: not secure or clear",
                             options->aggregation);
    }
    if (options->aggregator) {
        FL_TRY(fl_net_tcp_check(options->aggregator, why));
    }
    return fl_rules_read(&eligibility, &metered, &options->rules, why);
}
