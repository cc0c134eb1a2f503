/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/keys.h"

#include <stdio.h>
#include <string.h>

#include "secure/key_file.h"

fl_err fl_keys_read(fl_identity *identity, const char *path, fl_reason *why)
{
    uint8_t seed[FL_SEED_BYTES];
    const fl_err err = fl_key_file_read(seed, path, why);
    if (!err) fl_identity_init(identity, seed);
    fl_secret_wipe(seed, sizeof seed);
    return err;
}

size_t fl_keys_list_options(fl_option table[FL_KEYS_LIST_OPTIONS],
                            fl_keys *keys)
{
    const fl_option options[FL_KEYS_LIST_OPTIONS] = {
        {"keys", "authority", FL_OPTION_TEXT, &keys->authority, 0, 0, "KEY",
         "the authority's key file, which signs the list"},
        {"keys", "list", FL_OPTION_TEXT, &keys->list, 0, 0, "LIST",
         "the enrolment list to change"},
        {"keys", "serial", FL_OPTION_COUNT, &keys->serial_min, 0, 9e15, "N",
         "lowest serial to give; to go on where a list that was lost ended"},
    };
    memcpy(table, options, sizeof options);
    return FL_KEYS_LIST_OPTIONS;
}

static fl_err begin(fl_edit *edit, const fl_keys *keys, fl_reason *why)
{
    FL_TRY(fl_keys_read(&edit->authority, keys->authority, why));
    return fl_edit_begin(edit, keys->list, keys->serial_min, why);
}

int fl_keys_change(const fl_keys *keys,
                   fl_err (*change)(fl_edit *edit, const fl_keys *keys,
                                    fl_reason *why),
                   fl_reason *why)
{
    if (!keys->authority || !keys->list) {
        (void)!fl_reason_set(why, FL_ERR_RANGE,
                             "name the authority's key file with --authority "
                             "KEY, and its list with --list LIST");
        return FL_EXIT_USAGE;
    }
    fl_edit edit = FL_EDIT_NONE;
    fl_err err = begin(&edit, keys, why);
    if (!err) err = change(&edit, keys, why);
    if (!err) err = fl_edit_finish(&edit, stdout, why);
    fl_edit_fini(&edit);
    return fl_program_exit(err);
}
