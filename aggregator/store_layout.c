/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store_layout.h"

// Layout 1. A client's last_round does not refer to `round`: it is written
// while that round is still open. Metrics that were not measured are NULL.
static const char layout_1[] =
    "CREATE TABLE start ("
    "  id INTEGER PRIMARY KEY CHECK (id = 1),"
    "  count INTEGER NOT NULL"
    ") STRICT;"
    "INSERT INTO start VALUES (1, 0);"
    "CREATE TABLE setting ("
    "  key TEXT PRIMARY KEY,"
    "  value TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE model ("
    "  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),"
    "  len INTEGER NOT NULL CHECK (len >= 0)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE round ("
    "  round INTEGER PRIMARY KEY,"
    "  attempt INTEGER NOT NULL,"
    "  finished_ms INTEGER NOT NULL,"
    "  selected_count INTEGER NOT NULL,"
    "  update_count INTEGER NOT NULL,"
    "  sample_count INTEGER NOT NULL,"
    "  client_loss REAL,"
    "  client_accuracy REAL,"
    "  loss REAL,"
    "  accuracy REAL,"
    "  bytes_up INTEGER NOT NULL,"
    "  bytes_down INTEGER NOT NULL,"
    "  took_ms INTEGER NOT NULL,"
    "  model BLOB NOT NULL REFERENCES model (hash)"
    ") STRICT;"
    "CREATE TABLE client ("
    "  public_key BLOB PRIMARY KEY CHECK (length(public_key) = 32),"
    "  first_seen_ms INTEGER NOT NULL,"
    "  last_seen_ms INTEGER NOT NULL,"
    "  sample_count INTEGER NOT NULL,"
    "  round_count INTEGER NOT NULL,"
    "  last_round INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 1;";

// Rounds tell how they were summed, in the clear until now; nothing but that it
// takes part is known of a client.
static const char layout_2[] =
    "ALTER TABLE round ADD COLUMN aggregation INTEGER NOT NULL DEFAULT 2"
    "  CHECK (aggregation BETWEEN 0 AND 2);"
    "UPDATE round SET aggregation = 0 WHERE round = 0;"
    "ALTER TABLE round ADD COLUMN sessions_aborted INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN bytes_control INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE client DROP COLUMN sample_count;"
    "PRAGMA user_version = 2;";

// Rounds tell what became of an update's and a model's bytes. The master's file
// is not one of table model: only the newest round's is kept.
static const char layout_3[] =
    "ALTER TABLE round ADD COLUMN codec INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN payload_up INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN up_support INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN up_rounded INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN up_packed INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN download_1 INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN download_10 INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN download_full INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN master BLOB"
    "  CHECK (master IS NULL OR length(master) = 32);"
    "ALTER TABLE round ADD COLUMN master_len INTEGER NOT NULL DEFAULT 0"
    "  CHECK (master_len >= 0);"
    "PRAGMA user_version = 3;";

// Rounds tell what they were for, and what has become of the model's size.
static const char layout_4[] =
    "ALTER TABLE round ADD COLUMN work INTEGER NOT NULL DEFAULT 0"
    "  CHECK (work BETWEEN 0 AND 3);"
    "ALTER TABLE round ADD COLUMN param_count INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN mac_count INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN model_bytes INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE round ADD COLUMN accuracy_before REAL;"
    "ALTER TABLE round ADD COLUMN accuracy_after REAL;"
    "ALTER TABLE round ADD COLUMN verdict INTEGER NOT NULL DEFAULT 0"
    "  CHECK (verdict BETWEEN 0 AND 2);"
    "ALTER TABLE round ADD COLUMN int8_accuracy REAL;"
    "PRAGMA user_version = 4;";

// Who may take part, and the tokens that let devices in. A token's secret is
// nowhere but in its line; `token` of a device is no reference, so that old
// tokens can be deleted. Notes are what an aggregator tells other programs.
static const char layout_5[] =
    "CREATE TABLE device ("
    "  identity BLOB PRIMARY KEY CHECK (length(identity) = 32),"
    "  channel BLOB NOT NULL UNIQUE CHECK (length(channel) = 32),"
    "  card BLOB NOT NULL CHECK (length(card) = 64),"
    "  name TEXT NOT NULL UNIQUE,"
    "  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),"
    "  since_ms INTEGER NOT NULL,"
    "  token INTEGER"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE token ("
    "  id INTEGER PRIMARY KEY,"
    "  hash BLOB NOT NULL CHECK (length(hash) = 32),"
    "  name TEXT NOT NULL,"
    "  made_ms INTEGER NOT NULL,"
    "  expires_ms INTEGER NOT NULL,"
    "  use_cap INTEGER NOT NULL CHECK (use_cap > 0),"
    "  use_count INTEGER NOT NULL DEFAULT 0,"
    "  is_revoked INTEGER NOT NULL DEFAULT 0 CHECK (is_revoked IN (0, 1))"
    ") STRICT;"
    "CREATE TABLE note ("
    "  key TEXT PRIMARY KEY,"
    "  value TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 5;";

// Each is made from the one before, so that a new database takes the same way
// as an old one. Append, never change.
const char *const fl_store_layouts[FL_STORE_LAYOUT] = {
    layout_1, layout_2, layout_3, layout_4, layout_5};
