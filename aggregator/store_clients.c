/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "aggregator/store_core.h"

#define CLIENT_COLUMNS \
    "public_key, first_seen_ms, last_seen_ms, round_count, last_round"

static void bind_client(fl_store_query *query, const fl_client_record *client)
{
    fl_store_query_bind_bytes(query, client->public_key, FL_KEY_BYTES);
    fl_store_query_bind_i64(query, client->first_seen_ms);
    fl_store_query_bind_i64(query, client->last_seen_ms);
    fl_store_query_bind_u64(query, client->round_count);
    fl_store_query_bind_u64(query, client->last_round);
}

static void take_client(fl_store_query *query, fl_client_record *client)
{
    fl_store_query_bytes(query, client->public_key, FL_KEY_BYTES);
    client->first_seen_ms = fl_store_query_i64(query);
    client->last_seen_ms = fl_store_query_i64(query);
    client->round_count = fl_store_query_u32(query);
    client->last_round = fl_store_query_u32(query);
}

static fl_err find_client(fl_store *store, bool *found,
                          fl_client_record *client,
                          const uint8_t public_key[FL_KEY_BYTES],
                          fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, &store->db,
                                "SELECT " CLIENT_COLUMNS " FROM client"
                                " WHERE public_key = ?",
                                why));
    fl_store_query_bind_bytes(&query, public_key, FL_KEY_BYTES);
    *found = fl_store_query_step(&query);
    if (*found) take_client(&query, client);
    return fl_store_query_end(&query, why);
}

fl_err fl_store_get_client(fl_store *store, fl_client_record *client,
                           const uint8_t public_key[FL_KEY_BYTES],
                           fl_reason *why)
{
    bool found;
    FL_TRY(find_client(store, &found, client, public_key, why));
    if (found) return FL_OK;

    char digits[FL_HEX_CAP];
    fl_hex_encode(digits, sizeof digits, public_key, FL_KEY_BYTES);
    return fl_reason_set(why, FL_ERR_NOT_FOUND, "%s: no client has the key %s",
                         store->db.path, digits);
}

static fl_err replace_client(fl_store *store, const fl_client_record *client,
                             fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, &store->db,
                                "INSERT OR REPLACE INTO client "
                                "(" CLIENT_COLUMNS ") "
                                "VALUES (?, ?, ?, ?, ?)",
                                why));
    bind_client(&query, client);
    return fl_store_query_run(&query, why);
}

// Without waiting for the disk: a hundred clients that check in at once would
// each wait for an SD card. The next round's commit takes these along.
static fl_err save_client(fl_store *store, const fl_client_record *client,
                          fl_reason *why)
{
    fl_store_db *db = &store->db;
    FL_TRY(fl_store_db_run(db, "PRAGMA synchronous = NORMAL", why));
    fl_err err = fl_store_db_begin(db, why);
    if (!err) {
        err = replace_client(store, client, why);
        err = fl_store_db_finish(db, err, why);
    }
    const fl_err run_err =
        fl_store_db_run(db, "PRAGMA synchronous = FULL", err ? NULL : why);
    return err ? err : run_err;
}

fl_err fl_store_put_client(fl_store *store, const fl_client_record *client,
                           fl_reason *why)
{
    assert(fl_store_is_writable(store));
    bool is_known;
    fl_client_record old;
    FL_TRY(find_client(store, &is_known, &old, client->public_key, why));
    if (!is_known && store->client_count >= FL_STORE_CLIENTS_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "%s: %d clients are known, which is the maximum; "
                             "name another state folder for more",
                             store->db.path, FL_STORE_CLIENTS_MAX);
    }
    FL_TRY(save_client(store, client, why));
    if (!is_known) store->client_count++;
    return FL_OK;
}

fl_err fl_store_each_client(fl_store *store,
                            void (*visit)(void *self, const fl_client_record *),
                            void *self, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, &store->db,
                                "SELECT " CLIENT_COLUMNS " FROM client"
                                " ORDER BY last_seen_ms DESC, public_key",
                                why));
    while (fl_store_query_step(&query)) {
        fl_client_record client;
        take_client(&query, &client);
        if (fl_store_query_is_ok(&query)) visit(self, &client);
    }
    return fl_store_query_end(&query, why);
}
