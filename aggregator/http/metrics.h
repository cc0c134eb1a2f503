/*
 * A snapshot as Prometheus reads it: text format 0.0.4, base units.
 *
 * One table (metrics.c) holds names, types, help and values; docs/metrics.md is
 * held against it by a test. No label names a device.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_HTTP_METRICS_H
#define FL_AGGREGATOR_HTTP_METRICS_H

#include <stddef.h>

#include "aggregator/http/vitals.h"
#include "aggregator/snapshot.h"
#include "base/err.h"

#define FL_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * The caller frees *text. What is not known (no accuracy yet) has no sample.
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_metrics_text(char **text, size_t *len,
                                const fl_snapshot *snapshot,
                                const fl_vitals *vitals);

#endif
