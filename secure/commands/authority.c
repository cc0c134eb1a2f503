/*
 * fedge-keys authority: the key that signs enrolment lists.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "secure/key_file.h"
#include "secure/keys.h"

static const char USAGE[] =
    "usage: fedge-keys authority --out KEY\n\n"
    "Makes the key of an authority, which says who may take part, and prints "
    "its\npublic key. Do this on a machine that is not the aggregator: then an "
    "aggregator\nthat cheats cannot enrol devices of its own making. Keep a "
    "copy of the file:\nwithout it the list cannot change any more. A file "
    "that is there is never\noverwritten.\n\n"
    "  fedge-keys authority --out authority.key >authority.pub\n\n";

static fl_err make(const char *path, fl_reason *why)
{
    fl_identity authority;
    FL_TRY(fl_key_file_make(path, why));
    const fl_err err = fl_keys_read(&authority, path, why);
    if (!err) {
        char digits[FL_HEX_CAP];
        fl_hex_encode(digits, sizeof digits, authority.public_key,
                      FL_KEY_BYTES);
        puts(digits);
    }
    fl_identity_fini(&authority);
    return err;
}

static int run(const void *settings, fl_reason *why)
{
    const fl_keys *keys = settings;
    if (keys->out) return fl_program_exit(make(keys->out, why));
    (void)!fl_reason_set(why, FL_ERR_RANGE, "authority needs --out KEY");
    return FL_EXIT_USAGE;
}

fl_command fl_authority_command(fl_keys *keys)
{
    static fl_option table[1];
    table[0] =
        (fl_option){"keys",
                    "out",
                    FL_OPTION_TEXT,
                    &keys->out,
                    0,
                    0,
                    "KEY",
                    "the key file to make, readable for its owner alone"};
    return (fl_command){
        .name = "authority",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = 1,
    };
}
