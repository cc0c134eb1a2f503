/*
 * A round's record as a row of the database: its columns, and both ways. Beside
 * them are the readers of finished rounds that store.h offers.
 *
 * Private to aggregator/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_STORE_ROUND_H
#define FL_AGGREGATOR_STORE_ROUND_H

#include "aggregator/store.h"
#include "aggregator/store_db.h"

// In the order in which the functions below go through them.
#define FL_STORE_ROUND_COLUMNS                                      \
    "round, attempt, finished_ms, selected_count, update_count, "   \
    "sample_count, client_loss, client_accuracy, loss, accuracy, "  \
    "bytes_up, bytes_down, took_ms, model, "                        \
    "aggregation, sessions_aborted, bytes_control, "                \
    "codec, payload_up, up_support, up_rounded, up_packed, moved, " \
    "download_1, download_10, download_full, "                      \
    "work, param_count, mac_count, model_bytes, accuracy_before, "  \
    "accuracy_after, verdict, int8_accuracy"

// As many marks as there are columns.
#define FL_STORE_ROUND_MARKS                              \
    "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " \
    "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"

/* Binds all columns. */
void fl_store_round_bind(fl_store_query *query, const fl_round_record *record);

/* Takes all columns of the row. */
void fl_store_round_take(fl_store_query *query, fl_round_record *record);

#endif
