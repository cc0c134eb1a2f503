/*
 * What an aggregator keeps on disk: one folder, one owner.
 *
 *   STATE/lock            held while an aggregator runs
 *   STATE/fedge.sqlite    clients, rounds, counters (WAL)
 *   STATE/identity.key    secure/'s
 *   STATE/models/HASH.onnx    content-addressed, never changed
 *   STATE/models/HASH.master  likewise: the aggregator's own model (master.h),
 *                             and where its reduction stands (reduction.h)
 *
 * A round is finished by one transaction that follows the fsync of its model
 * and its master: after a crash at any instant the last finished round is
 * whole, its master that of its model, and files that no round names are
 * deleted at the next start.
 *
 * Rows stay, files do not: the models of the last FL_STORE_MODELS_KEPT rounds
 * and of the round with the best held-out accuracy are kept, and the master of
 * the last round alone; older files are deleted when a round is finished. Files
 * of other names are left alone.
 *
 * One thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_STORE_H
#define FL_AGGREGATOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "secure/secure.h"

enum {
    FL_STORE_MODELS_KEPT = 10,
    FL_STORE_CLIENTS_MAX = 100000,
};

typedef struct fl_store fl_store;

/* One finished round. Metrics that were not measured are NaN. */
typedef struct {
    uint32_t round;       // from 1
    uint32_t attempt;     // from 1; above 1 when a quorum was missed before
    int64_t finished_ms;  // wall clock
    uint32_t selected_count, update_count;  // cohort; updates in the sum
    uint64_t sample_count;                  // weight of the sum
    double client_loss, client_accuracy;    // weighted means over the cohort
    double loss, accuracy;                  // on the held-out set
    uint64_t bytes_up, bytes_down;
    int64_t took_ms;
    uint8_t model[FL_HASH_BYTES];  // content hash of the new global model
    uint32_t aggregation;          // an fl_aggregation; 0: nothing was summed
    uint32_t sessions_aborted;     // sessions and attempts that came to nothing
                                   // since the round before
    uint64_t bytes_control;        // steps of sessions, both ways
    uint32_t codec;                // an fl_codec_kind; 0: unknown
    uint64_t payload_up;           // the updates in the sum, all together
    // Bytes of one client's update after each stage.
    uint64_t up_support, up_rounded, up_packed;
    uint64_t moved;  // coordinates of the published model that did
    // What brought the round's clients the model that it began with: bytes of
    // a patch for who was one and ten versions behind, and of the packed
    // model; 0: there was none.
    uint64_t download_1, download_10, download_full;
    uint32_t work;                    // an fl_work
    uint32_t verdict;                 // an fl_verdict
    uint64_t param_count, mac_count;  // of the new global model; 0: unknown
    uint64_t model_bytes;             // packed; 0: unknown
    double accuracy_before, accuracy_after;  // what the guard has compared
    double int8_accuracy;  // of the INT8 form on the held-out set
} fl_round_record;

typedef struct {
    uint8_t public_key[FL_KEY_BYTES];
    int64_t first_seen_ms, last_seen_ms;  // wall clock
    uint32_t round_count;                 // updates that entered a sum
    uint32_t last_round;                  // the latest of these; 0: none
} fl_client_record;

/*
 * Opens or makes the folder (0700), takes the lock unless `read_only`, counts
 * this start; brings a folder of an older version up to date. The caller owns
 * *store: fl_store_close. FL_ERR_STATE: another aggregator runs there.
 * FL_ERR_SYSTEM: not writable, disk full. FL_ERR_FORMAT: damaged, made by a
 * newer version, or, read-only, by an older one. FL_ERR_NOT_FOUND: read_only
 * and there is nothing. *why says the remedy. Read-only works beside a running
 * aggregator and changes nothing; what writes must not be called then.
 */
FL_CHECK fl_err fl_store_open(fl_store **store, const char *folder,
                              bool read_only, fl_reason *why);

/*
 * Opens the folder for the registry (joining/registry.h) beside an aggregator
 * that runs there, or without one; makes what is missing, and brings an older
 * folder up to date when none runs. Nothing but the registry may be written
 * then. Errors as fl_store_open, but for FL_ERR_STATE.
 */
FL_CHECK fl_err fl_store_open_beside(fl_store **store, const char *folder,
                                     fl_reason *why);

/* Accepts NULL. */
void fl_store_close(fl_store *store);

/* Whether an aggregator holds the lock of this folder now. */
bool fl_store_is_running(const char *folder);

/*
 * Has the aggregator of this folder read its options again. FL_ERR_NOT_FOUND:
 * none runs there. FL_ERR_SYSTEM: it is somebody else's.
 */
FL_CHECK fl_err fl_store_ask_to_reload(const char *folder, fl_reason *why);

/* How often this folder has been opened for writing, this time included; of a
 * copy a number that the original has not come to. */
uint64_t fl_store_start_count(const fl_store *store);

/* Whether it was made by fl_backup_write and has finished no round since. */
bool fl_store_is_copy(const fl_store *store);

/*
 * The settings that a federation keeps for life (model, cohort, seed, ...):
 * written at the first start, compared at the next. FL_ERR_STATE: this key
 * holds another value (*why names the key and both values).
 */
FL_CHECK fl_err fl_store_pin_setting(fl_store *store, const char *key,
                                     const char *value, fl_reason *why);

/*
 * The last finished round, its model and its master; the bytes are the
 * caller's to free. Round 0 is the initial model: a record with only `round`,
 * `finished_ms` and `model` set. *master NULL: the round was saved without.
 * `master` itself may be NULL: not wanted, as by who reads beside a running
 * aggregator, whose next round may delete it at that moment. FL_ERR_NOT_FOUND:
 * nothing was saved yet. FL_ERR_FORMAT: a file is missing or does not have its
 * hash. After an error there is nothing to free.
 */
FL_CHECK fl_err fl_store_last_round(fl_store *store, fl_round_record *record,
                                    uint8_t **bytes, size_t *len,
                                    uint8_t **master, size_t *master_len,
                                    fl_reason *why);

/*
 * The model of any round whose file is still kept; *bytes is the caller's to
 * free. FL_ERR_NOT_FOUND: no round has this model, or its file was deleted for
 * its age. FL_ERR_FORMAT: the file does not have its hash.
 */
FL_CHECK fl_err fl_store_read_model(fl_store *store, uint8_t **bytes,
                                    size_t *len,
                                    const uint8_t model[FL_HASH_BYTES],
                                    fl_reason *why);

/*
 * Saves a finished round (or round 0) with its model and its master (NULL and
 * 0: none), durably, before it returns; fills record->model. Rounds follow each
 * other without gaps. FL_ERR_STATE: not the round after the last.
 * FL_ERR_SYSTEM: disk full, ...: nothing has changed then. When the disk failed
 * so that this is not certain, everything but reading is refused until the
 * store is opened again.
 */
FL_CHECK fl_err fl_store_finish_round(fl_store *store, fl_round_record *record,
                                      const uint8_t *bytes, size_t len,
                                      const uint8_t *master, size_t master_len,
                                      fl_reason *why);

/*
 * Adds the client or replaces its record. Survives the death of the program;
 * against loss of power it is safe once the next round is finished.
 * FL_ERR_LIMIT: there are FL_STORE_CLIENTS_MAX others.
 */
FL_CHECK fl_err fl_store_put_client(fl_store *store,
                                    const fl_client_record *client,
                                    fl_reason *why);

/* FL_ERR_NOT_FOUND: no such client. */
FL_CHECK fl_err fl_store_get_client(fl_store *store, fl_client_record *client,
                                    const uint8_t public_key[FL_KEY_BYTES],
                                    fl_reason *why);

/*
 * Calls `visit` for every finished round from `from` on, in order; from 0 on
 * it begins with the initial model. `visit` may read from
 * the store.
 */
FL_CHECK fl_err fl_store_each_round(fl_store *store, uint32_t from,
                                    void (*visit)(void *self,
                                                  const fl_round_record *),
                                    void *self, fl_reason *why);

/*
 * Up to `cap` finished rounds after round `after`, in order; *count: how many
 * there are of them.
 */
FL_CHECK fl_err fl_store_read_rounds(fl_store *store, fl_round_record *records,
                                     size_t cap, size_t *count, uint32_t after,
                                     fl_reason *why);

/* Calls `visit` for every client, the latest seen first. */
FL_CHECK fl_err fl_store_each_client(fl_store *store,
                                     void (*visit)(void *self,
                                                   const fl_client_record *),
                                     void *self, fl_reason *why);

#endif
