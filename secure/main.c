/*
 * fedge-keys: who may take part in a federation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

#include "secure/keys.h"

static const char USAGE[] =
    "usage: fedge-keys COMMAND [WORD] [OPTION]...\n\n"
    "Says who may take part in a federation. An authority signs the list of "
    "the\ndevices; each device shows a card to get into it.\n\n"
    "  authority       makes the key that signs lists\n"
    "  device          prints this device's card\n"
    "  sign CARDFILE   enrols the devices whose cards are in it\n"
    "  revoke DEVICE   takes a device off the list\n"
    "  show FILE       what is in a list, a key file, a file of cards\n\n"
    "On the authority's machine, on every board, and there again:\n\n"
    "  fedge-keys authority --out authority.key\n"
    "  fedge-keys device --state /var/lib/fedge-client --name kitchen "
    ">kitchen.card\n"
    "  fedge-keys sign kitchen.card --authority authority.key --list "
    "boards.list\n\n"
    "fedge-keys COMMAND --help says more.\n";

int main(int argc, char **argv)
{
    fl_keys keys = {.word = NULL};
    static const char *log_level = "error";
    const fl_command commands[] = {
        fl_authority_command(&keys), fl_card_command(&keys),
        fl_sign_command(&keys),      fl_revoke_command(&keys),
        fl_show_command(&keys),
    };
    const fl_program program = {
        .name = "fedge-keys",
        .summary = "say who may take part in a federation",
        .usage = USAGE,
        .commands = commands,
        .command_count = sizeof commands / sizeof *commands,
        .log_level = &log_level,
        .settings = &keys,
    };
    if (fl_secure_start() || fl_secure_hide()) {
        fputs("fedge-keys: libsodium cannot start, or core files cannot be "
              "forbidden\n",
              stderr);
        return FL_EXIT_FAILED;
    }
    return fl_program_main(&program, argc, argv);
}
