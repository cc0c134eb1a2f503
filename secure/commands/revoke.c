/*
 * fedge-keys revoke: takes a device off the list.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "secure/keys.h"

static const char USAGE[] =
    "usage: fedge-keys revoke DEVICE --authority KEY --list LIST\n\n"
    "Takes a device off the list and signs what is left with the next serial. "
    "DEVICE\nis its name, or its key in 64 digits; fedge-keys show prints "
    "both.\n\n"
    "  fedge-keys revoke kitchen --authority authority.key --list boards.list"
    "\n\n";

static fl_err revoke(fl_edit *edit, const fl_keys *keys, fl_reason *why)
{
    return fl_edit_remove(edit, keys->word, why);
}

static int run(const void *settings, fl_reason *why)
{
    return fl_keys_change(settings, revoke, why);
}

fl_command fl_revoke_command(fl_keys *keys)
{
    static fl_option table[FL_KEYS_LIST_OPTIONS];
    return (fl_command){
        .name = "revoke",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_keys_list_options(table, keys),
        .operand = "DEVICE",
        .word = &keys->word,
    };
}
