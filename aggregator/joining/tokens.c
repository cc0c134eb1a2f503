/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/tokens.h"

#include <string.h>

#include "aggregator/store_db.h"

#define TOKEN_COLUMNS \
    "id, hash, name, made_ms, expires_ms, use_cap, use_count, is_revoked"

static void take_token(fl_store_query *query, fl_token_record *record)
{
    memset(record, 0, sizeof *record);
    record->id = fl_store_query_u32(query);
    fl_store_query_bytes(query, record->hash, FL_HASH_BYTES);
    fl_store_query_copy_text(query, record->name, sizeof record->name);
    record->made_ms = fl_store_query_i64(query);
    record->expires_ms = fl_store_query_i64(query);
    record->use_cap = fl_store_query_u32(query);
    record->use_count = fl_store_query_u32(query);
    record->is_revoked = fl_store_query_u32(query) != 0;
}

fl_err fl_tokens_find(fl_store *store, fl_token_record *record, bool *found,
                      uint32_t id, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(
        &query, fl_store_database(store),
        "SELECT " TOKEN_COLUMNS " FROM token WHERE id = ?", why));
    fl_store_query_bind_u64(&query, id);
    *found = fl_store_query_step(&query);
    if (*found) take_token(&query, record);
    return fl_store_query_end(&query, why);
}

// Those that can let nobody in any more say so for a month.
static fl_err forget_old_tokens(fl_store *store, int64_t now_ms, fl_reason *why)
{
    static const int64_t month_ms = (int64_t)30 * 24 * 3600 * 1000;
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, fl_store_database(store),
                                "DELETE FROM token WHERE expires_ms < ?", why));
    fl_store_query_bind_i64(&query, now_ms - month_ms);
    return fl_store_query_run(&query, why);
}

static fl_err insert_token(fl_store *store, const fl_token_record *record,
                           int64_t now_ms, fl_reason *why)
{
    uint64_t count;
    fl_store_query query;
    FL_TRY(forget_old_tokens(store, now_ms, why));
    FL_TRY(fl_store_db_count(fl_store_database(store),
                             "SELECT count(*) FROM token", &count, why));
    if (count >= FL_TOKENS_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "there are %d tokens, which is the maximum; make "
                             "one with more --uses, they are forgotten a month "
                             "after they expire",
                             FL_TOKENS_MAX);
    }
    FL_TRY(fl_store_query_begin(&query, fl_store_database(store),
                                "INSERT INTO token (" TOKEN_COLUMNS
                                ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                                why));
    fl_store_query_bind_u64(&query, record->id);
    fl_store_query_bind_bytes(&query, record->hash, FL_HASH_BYTES);
    fl_store_query_bind_text(&query, record->name);
    fl_store_query_bind_i64(&query, record->made_ms);
    fl_store_query_bind_i64(&query, record->expires_ms);
    fl_store_query_bind_u64(&query, record->use_cap);
    fl_store_query_bind_u64(&query, record->use_count);
    fl_store_query_bind_u64(&query, record->is_revoked);
    return fl_store_query_run(&query, why);
}

fl_err fl_tokens_add(fl_store *store, const fl_token_record *record,
                     int64_t now_ms, fl_reason *why)
{
    fl_store_db *db = fl_store_database(store);
    FL_TRY(fl_store_db_begin(db, why));
    const fl_err err = insert_token(store, record, now_ms, why);
    return fl_store_db_finish(db, err, why);
}

static fl_err set_token(fl_store *store, const char *sql, uint32_t id,
                        fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, fl_store_database(store), sql, why));
    fl_store_query_bind_u64(&query, id);
    return fl_store_query_run(&query, why);
}

fl_err fl_tokens_use(fl_store *store, uint32_t id, fl_reason *why)
{
    return set_token(store,
                     "UPDATE token SET use_count = use_count + 1 WHERE id = ?",
                     id, why);
}

fl_err fl_tokens_revoke(fl_store *store, uint32_t id, fl_reason *why)
{
    bool found;
    fl_token_record record;
    fl_store_db *db = fl_store_database(store);
    FL_TRY(fl_store_db_begin(db, why));
    fl_err err = fl_tokens_find(store, &record, &found, id, why);
    if (!err && !found) {
        err = fl_reason_set(why, FL_ERR_NOT_FOUND,
                            "there is no such token; fedge-aggregator token "
                            "--list prints those that there are");
    }
    if (!err) {
        err = set_token(store, "UPDATE token SET is_revoked = 1 WHERE id = ?",
                        id, why);
    }
    return fl_store_db_finish(db, err, why);
}

fl_err fl_tokens_each(fl_store *store,
                      void (*visit)(void *self, const fl_token_record *),
                      void *self, fl_reason *why)
{
    fl_store_query query;
    fl_token_record record;
    FL_TRY(fl_store_query_begin(
        &query, fl_store_database(store),
        "SELECT " TOKEN_COLUMNS " FROM token ORDER BY made_ms DESC, id", why));
    while (fl_store_query_step(&query)) {
        take_token(&query, &record);
        if (fl_store_query_is_ok(&query)) visit(self, &record);
    }
    return fl_store_query_end(&query, why);
}
