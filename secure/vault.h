/*
 * A locked arena for secrets: pages that are never swapped or dumped into a
 * core file, with guard pages around them. What is taken is zeroed; freeing
 * the vault wipes all of it.
 *
 * One owner, one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_VAULT_H
#define FL_SECURE_VAULT_H

#include <stddef.h>

#include "base/err.h"

typedef struct fl_vault fl_vault;

/*
 * Room for `cap` bytes. The caller owns *vault: fl_vault_free. FL_ERR_MEMORY;
 * also with some 16,000 vaults at once, since each is four mappings and Linux
 * gives a process 65,530 (vm.max_map_count). After fl_secure_start. Where the
 * system allows no more locked pages, the rest is unlocked but still out of
 * core files (ulimit -l).
 */
FL_CHECK fl_err fl_vault_new(fl_vault **vault, size_t cap);

/* Zeroed, aligned for any type; NULL when the vault is full. */
void *fl_vault_take(fl_vault *vault, size_t len);

/* Wipes what has been taken; everything taken before is void. */
void fl_vault_wipe(fl_vault *vault);

/* Wipes. Accepts NULL. */
void fl_vault_free(fl_vault *vault);

#endif
