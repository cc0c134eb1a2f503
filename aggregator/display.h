/*
 * What the server shows of its machine: snapshots, to the dashboard's thread.
 *
 * Zeroed it shows nothing, and costs nothing. Only the loop thread uses it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_DISPLAY_H
#define FL_AGGREGATOR_DISPLAY_H

#include "aggregator/http/http.h"

typedef struct {
    fl_http *http;  // NULL: nobody is to look
    int64_t started_ms;
    const char *model;       // what the federation trains
    fl_round_record latest;  // the last round that was saved
    uint64_t int8_bytes;     // of the INT8 form's file; 0: there is none
} fl_display;

/* What only the server knows. */
typedef struct {
    const fl_totals *totals;
    uint64_t param_count;  // of the first model
    uint32_t known_count;  // clients
} fl_display_figures;

/*
 * Serves the dashboard at `address` from now on; NULL: not at all. `model` is
 * borrowed for life. Errors of fl_http_start; fl_display_stop also then.
 */
FL_CHECK fl_err fl_display_start(fl_display *display, const char *address,
                                 const char *state, const char *model,
                                 const fl_aggregator *aggregator,
                                 fl_reason *why);
void fl_display_stop(fl_display *display);

/* A round has been saved, with this model as ONNX. */
void fl_display_round(fl_display *display, const fl_aggregator *aggregator,
                      const fl_round_record *round, const uint8_t *model,
                      size_t model_len);

/* Publishes a snapshot, when it is time for one or this is the last. */
void fl_display_show(fl_display *display, const fl_aggregator *aggregator,
                     const fl_display_figures *figures, bool is_last);

#endif
