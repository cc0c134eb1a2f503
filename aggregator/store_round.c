/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store_round.h"

void fl_store_round_bind(fl_store_query *query, const fl_round_record *record)
{
    fl_store_query_bind_u64(query, record->round);
    fl_store_query_bind_u64(query, record->attempt);
    fl_store_query_bind_i64(query, record->finished_ms);
    fl_store_query_bind_u64(query, record->selected_count);
    fl_store_query_bind_u64(query, record->update_count);
    fl_store_query_bind_u64(query, record->sample_count);
    fl_store_query_bind_double(query, record->client_loss);
    fl_store_query_bind_double(query, record->client_accuracy);
    fl_store_query_bind_double(query, record->loss);
    fl_store_query_bind_double(query, record->accuracy);
    fl_store_query_bind_u64(query, record->bytes_up);
    fl_store_query_bind_u64(query, record->bytes_down);
    fl_store_query_bind_i64(query, record->took_ms);
    fl_store_query_bind_bytes(query, record->model, FL_HASH_BYTES);
    fl_store_query_bind_u64(query, record->aggregation);
    fl_store_query_bind_u64(query, record->sessions_aborted);
    fl_store_query_bind_u64(query, record->bytes_control);
    fl_store_query_bind_u64(query, record->codec);
    fl_store_query_bind_u64(query, record->payload_up);
    fl_store_query_bind_u64(query, record->up_support);
    fl_store_query_bind_u64(query, record->up_rounded);
    fl_store_query_bind_u64(query, record->up_packed);
    fl_store_query_bind_u64(query, record->moved);
    fl_store_query_bind_u64(query, record->download_1);
    fl_store_query_bind_u64(query, record->download_10);
    fl_store_query_bind_u64(query, record->download_full);
    fl_store_query_bind_u64(query, record->work);
    fl_store_query_bind_u64(query, record->param_count);
    fl_store_query_bind_u64(query, record->mac_count);
    fl_store_query_bind_u64(query, record->model_bytes);
    fl_store_query_bind_double(query, record->accuracy_before);
    fl_store_query_bind_double(query, record->accuracy_after);
    fl_store_query_bind_u64(query, record->verdict);
    fl_store_query_bind_double(query, record->int8_accuracy);
}

void fl_store_round_take(fl_store_query *query, fl_round_record *record)
{
    record->round = fl_store_query_u32(query);
    record->attempt = fl_store_query_u32(query);
    record->finished_ms = fl_store_query_i64(query);
    record->selected_count = fl_store_query_u32(query);
    record->update_count = fl_store_query_u32(query);
    record->sample_count = fl_store_query_u64(query);
    record->client_loss = fl_store_query_double(query);
    record->client_accuracy = fl_store_query_double(query);
    record->loss = fl_store_query_double(query);
    record->accuracy = fl_store_query_double(query);
    record->bytes_up = fl_store_query_u64(query);
    record->bytes_down = fl_store_query_u64(query);
    record->took_ms = fl_store_query_i64(query);
    fl_store_query_bytes(query, record->model, FL_HASH_BYTES);
    record->aggregation = fl_store_query_u32(query);
    record->sessions_aborted = fl_store_query_u32(query);
    record->bytes_control = fl_store_query_u64(query);
    record->codec = fl_store_query_u32(query);
    record->payload_up = fl_store_query_u64(query);
    record->up_support = fl_store_query_u64(query);
    record->up_rounded = fl_store_query_u64(query);
    record->up_packed = fl_store_query_u64(query);
    record->moved = fl_store_query_u64(query);
    record->download_1 = fl_store_query_u64(query);
    record->download_10 = fl_store_query_u64(query);
    record->download_full = fl_store_query_u64(query);
    record->work = fl_store_query_u32(query);
    record->param_count = fl_store_query_u64(query);
    record->mac_count = fl_store_query_u64(query);
    record->model_bytes = fl_store_query_u64(query);
    record->accuracy_before = fl_store_query_double(query);
    record->accuracy_after = fl_store_query_double(query);
    record->verdict = fl_store_query_u32(query);
    record->int8_accuracy = fl_store_query_double(query);
}

fl_err fl_store_each_round(fl_store *store, uint32_t from,
                           void (*visit)(void *self, const fl_round_record *),
                           void *self, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, fl_store_database(store),
                                "SELECT " FL_STORE_ROUND_COLUMNS " FROM round"
                                " WHERE round >= ? ORDER BY round",
                                why));
    fl_store_query_bind_u64(&query, from);
    while (fl_store_query_step(&query)) {
        fl_round_record record;
        fl_store_round_take(&query, &record);
        if (fl_store_query_is_ok(&query)) visit(self, &record);
    }
    return fl_store_query_end(&query, why);
}

fl_err fl_store_read_rounds(fl_store *store, fl_round_record *records,
                            size_t cap, size_t *count, uint32_t after,
                            fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, fl_store_database(store),
                                "SELECT " FL_STORE_ROUND_COLUMNS " FROM round"
                                " WHERE round > ? ORDER BY round LIMIT ?",
                                why));
    fl_store_query_bind_u64(&query, after);
    fl_store_query_bind_u64(&query, cap);
    *count = 0;
    while (*count < cap && fl_store_query_step(&query)) {
        fl_store_round_take(&query, &records[*count]);
        if (fl_store_query_is_ok(&query)) ++*count;
    }
    return fl_store_query_end(&query, why);
}
