/*
 * A snapshot, and finished rounds, as JSON: one object each, documented in
 * docs/metrics.md. Keys are added, never changed, as long as "schema" is 1.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_HTTP_API_H
#define FL_AGGREGATOR_HTTP_API_H

#include "aggregator/http/vitals.h"
#include "aggregator/snapshot.h"
#include "base/err.h"

enum { FL_API_SCHEMA = 1 };

/* Everything at once. The caller frees *text here and below. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_api_status(char **text, const fl_snapshot *snapshot,
                              const fl_vitals *vitals);

/* Clients by state: the key "clients" of the status. */
FL_CHECK fl_err fl_api_clients(char **text, const fl_snapshot *snapshot);

/* What the aggregator does now: the key "session" of the status. */
FL_CHECK fl_err fl_api_session(char **text, const fl_snapshot *snapshot);

/* A finished round; param_count: of the first model. */
FL_CHECK fl_err fl_api_round(char **text, const fl_round_record *round,
                             uint64_t param_count);

/* {"schema":1,"error":SENTENCE} */
FL_CHECK fl_err fl_api_error(char **text, const char *sentence);

#endif
