/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/display.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

// How large the INT8 form of this model is: rare enough to make it for that.
static void weigh_int8(fl_display *display, const fl_aggregator *aggregator,
                       const uint8_t *model, size_t model_len)
{
    size_t ranges_len, len;
    uint8_t *bytes;
    const uint8_t *ranges = fl_aggregator_ranges(aggregator, &ranges_len);
    if (!ranges || fl_export_int8(&bytes, &len, model, model_len, ranges,
                                  ranges_len, NULL)) {
        return;
    }
    display->int8_bytes = len;
    free(bytes);
}

fl_err fl_display_start(fl_display *display, const char *address,
                        const char *state, const char *model,
                        const fl_aggregator *aggregator, fl_reason *why)
{
    size_t len;
    const fl_http_options http = {.address = address, .state = state};
    *display = (fl_display){.model = model, .started_ms = fl_clock_wall_ms()};
    if (!address) return FL_OK;
    FL_TRY(fl_http_start(&display->http, &http, why));
    const uint8_t *published = fl_aggregator_model(aggregator, &len);
    weigh_int8(display, aggregator, published, len);
    return FL_OK;
}

void fl_display_stop(fl_display *display)
{
    fl_http_stop(display->http);
    display->http = NULL;
}

void fl_display_round(fl_display *display, const fl_aggregator *aggregator,
                      const fl_round_record *round, const uint8_t *model,
                      size_t model_len)
{
    if (!display->http) return;
    display->latest = *round;
    if (isfinite(round->int8_accuracy)) {
        weigh_int8(display, aggregator, model, model_len);
    }
}

void fl_display_show(fl_display *display, const fl_aggregator *aggregator,
                     const fl_display_figures *figures, bool is_last)
{
    const int64_t now_ms = fl_clock_monotonic_ms();
    if (!display->http) return;
    if (!is_last && !fl_http_is_due(display->http, now_ms)) return;
    fl_snapshot snapshot = {
        .started_ms = display->started_ms,
        .taken_ms = fl_clock_wall_ms(),
        .status = fl_aggregator_get_status(aggregator),
        .census = fl_census_take(aggregator),
        .totals = *figures->totals,
        .last = display->latest,
        .param_count = figures->param_count,
        .known_count = figures->known_count,
        .int8_bytes = display->int8_bytes,
    };
    snprintf(snapshot.model, sizeof snapshot.model, "%s", display->model);
    fl_http_publish(display->http, &snapshot, now_ms);
}
