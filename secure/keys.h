/*
 * fedge-keys: who may take part in a federation. A command is a file in
 * secure/commands/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_KEYS_H
#define FL_SECURE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/options.h"
#include "base/program.h"
#include "base/reason.h"
#include "secure/edit.h"
#include "secure/secure.h"

/* What the options of all commands are bound to. */
typedef struct {
    const char *word;  // CARDFILE, DEVICE or FILE
    const char *out, *state, *name, *authority, *list;
    uint64_t serial_min;
    bool is_json;
} fl_keys;

/* One command each: usage, options, run. `keys` is bound to the options. */
fl_command fl_authority_command(fl_keys *keys);
fl_command fl_card_command(fl_keys *keys);
fl_command fl_sign_command(fl_keys *keys);
fl_command fl_revoke_command(fl_keys *keys);
fl_command fl_show_command(fl_keys *keys);

/* ---- shared by commands: keys.c ---- */

/*
 * Reads the identity in a key file. FL_ERR_NOT_FOUND: there is no such file;
 * else errors of fl_identity_open.
 */
FL_CHECK fl_err fl_keys_read(fl_identity *identity, const char *path,
                             fl_reason *why);

/* The options --authority, --list and --serial; returns how many. */
enum { FL_KEYS_LIST_OPTIONS = 3 };
size_t fl_keys_list_options(fl_option table[FL_KEYS_LIST_OPTIONS],
                            fl_keys *keys);

/*
 * What a command does to change the list that the options name: checks them,
 * begins, calls `change`, finishes. Returns the exit code.
 */
int fl_keys_change(const fl_keys *keys,
                   fl_err (*change)(fl_edit *edit, const fl_keys *keys,
                                    fl_reason *why),
                   fl_reason *why);

#endif
