/*
 * fedge-keys device: a device's card, with which it asks to be enrolled.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <limits.h>
#include <stdio.h>

#include "base/file.h"
#include "base/folder.h"
#include "secure/keys.h"

static const char USAGE[] =
    "usage: fedge-keys device --state DIR [--name NAME]\n\n"
    "Prints the card of this device, one line for the authority to enrol: its "
    "public\nkeys, the proof that both are its own, and a name. Makes the "
    "device's key first\nwhen the folder has none; it is the folder that "
    "fedge-client run --state takes.\n\n"
    "  fedge-keys device --state /var/lib/fedge-client --name kitchen "
    ">kitchen.card"
    "\n\n";

enum { NAME_DIGITS = 12 };

// A name that no other device has.
static void name_by_key(char name[FL_ENROLMENT_NAME_CAP],
                        const fl_identity *identity)
{
    char digits[FL_HEX_CAP];
    fl_hex_encode(digits, sizeof digits, identity->public_key, FL_KEY_BYTES);
    snprintf(name, FL_ENROLMENT_NAME_CAP, "device-%.*s", NAME_DIGITS, digits);
}

static void print_card(const fl_identity *identity, const char *name)
{
    char own_name[FL_ENROLMENT_NAME_CAP], line[FL_DEVICE_LINE_CAP];
    fl_device device;
    name_by_key(own_name, identity);
    fl_device_init(&device, identity, name ? name : own_name);
    const size_t len = fl_device_encode(line, &device);
    fwrite(line, 1, len, stdout);
}

static fl_err print_card_of(const fl_keys *keys, fl_reason *why)
{
    char path[PATH_MAX];
    fl_identity identity;
    if (fl_path_join(path, sizeof path, keys->state, "identity.key")) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "%s: too long a name",
                             keys->state);
    }
    FL_TRY(fl_folder_make(keys->state, 0700, why));
    const fl_err err = fl_identity_open(&identity, path, why);
    if (!err) print_card(&identity, keys->name);
    fl_identity_fini(&identity);
    return err;
}

static int run(const void *settings, fl_reason *why)
{
    const fl_keys *keys = settings;
    if (!keys->state) {
        (void)!fl_reason_set(why, FL_ERR_RANGE, "device needs --state DIR");
        return FL_EXIT_USAGE;
    }
    if (keys->name && !fl_device_is_name(keys->name)) {
        (void)!fl_reason_set(why, FL_ERR_RANGE,
                             "--name %s: a name has 1 to 63 of the characters "
                             "a-z, 0-9, \".\", \"_\", \"-\"",
                             keys->name);
        return FL_EXIT_USAGE;
    }
    return fl_program_exit(print_card_of(keys, why));
}

fl_command fl_card_command(fl_keys *keys)
{
    static fl_option table[2];
    table[0] = (fl_option){
        "keys", "state", FL_OPTION_TEXT, &keys->state,
        0,      0,       "DIR",          "where the device keeps its key"};
    table[1] = (fl_option){
        "keys",
        "name",
        FL_OPTION_TEXT,
        &keys->name,
        0,
        0,
        "NAME",
        "what people call it; without it, the first digits of its key"};
    return (fl_command){
        .name = "device",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = 2,
    };
}
