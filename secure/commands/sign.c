/*
 * fedge-keys sign: enrols the devices whose cards are given.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "secure/cards.h"
#include "secure/keys.h"

static const char USAGE[] =
    "usage: fedge-keys sign CARDFILE --authority KEY --list LIST\n\n"
    "Enrols every device whose card is in the file (- for standard input), a "
    "line\neach as fedge-keys device prints it, and signs the list with the "
    "next serial. A\nlist that is not there is begun. Know where each card "
    "comes from: whoever is in\nthe list may take part.\n\n"
    "  cat *.card | fedge-keys sign - --authority authority.key --list "
    "boards.list\n\n";

static fl_err add_all(fl_edit *edit, fl_cards *cards, fl_reason *why)
{
    fl_device card;
    fl_err err = fl_cards_next(&card, cards, why);
    if (err == FL_ERR_NOT_FOUND) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: no card in it; fedge-keys device prints one",
                             cards->path);
    }
    for (; !err; err = fl_cards_next(&card, cards, why)) {
        err = fl_edit_add(edit, &card, why);
        if (err) return fl_cards_blame(cards, err, why);
    }
    return err == FL_ERR_NOT_FOUND ? FL_OK : err;
}

static fl_err sign(fl_edit *edit, const fl_keys *keys, fl_reason *why)
{
    fl_cards cards;
    fl_err err = fl_cards_open(&cards, keys->word, why);
    if (!err) err = add_all(edit, &cards, why);
    fl_cards_close(&cards);
    return err;
}

static int run(const void *settings, fl_reason *why)
{
    return fl_keys_change(settings, sign, why);
}

fl_command fl_sign_command(fl_keys *keys)
{
    static fl_option table[FL_KEYS_LIST_OPTIONS];
    return (fl_command){
        .name = "sign",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_keys_list_options(table, keys),
        .operand = "CARDFILE",
        .word = &keys->word,
    };
}
