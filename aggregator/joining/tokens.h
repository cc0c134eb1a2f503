/*
 * The tokens that let devices in, as they are kept: without their secrets.
 *
 * They live beside the registry (registry.h) in the store's database, so that
 * a token is spent in the transaction that enrols its device.
 *
 * One thread at a time a store; any number of processes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_JOINING_TOKENS_H
#define FL_AGGREGATOR_JOINING_TOKENS_H

#include "aggregator/joining/admission.h"
#include "aggregator/store.h"

enum { FL_TOKENS_MAX = 4096 };

/* FL_ERR_LIMIT: FL_TOKENS_MAX are good. Spent ones are forgotten. */
FL_CHECK fl_err fl_tokens_add(fl_store *store, const fl_token_record *record,
                              int64_t now_ms, fl_reason *why);

/* FL_ERR_NOT_FOUND: there is no such token. */
FL_CHECK fl_err fl_tokens_revoke(fl_store *store, uint32_t id, fl_reason *why);

/* The newest first. */
FL_CHECK fl_err fl_tokens_each(fl_store *store,
                               void (*visit)(void *self,
                                             const fl_token_record *),
                               void *self, fl_reason *why);

/* ---- within a transaction of the caller ---- */

FL_CHECK fl_err fl_tokens_find(fl_store *store, fl_token_record *record,
                               bool *found, uint32_t id, fl_reason *why);

/* Counts one more use. */
FL_CHECK fl_err fl_tokens_use(fl_store *store, uint32_t id, fl_reason *why);

#endif
