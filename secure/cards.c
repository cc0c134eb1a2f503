/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/cards.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

fl_err fl_cards_open(fl_cards *cards, const char *path, fl_reason *why)
{
    size_t len;
    *cards = (fl_cards){.path = path};
    if (strcmp(path, "-") == 0) cards->path = "/dev/stdin";
    FL_TRY(fl_file_read(&cards->bytes, &len, cards->path,
                        FL_ENROLMENT_BYTES_MAX, why));
    cards->rest = (fl_words){(const char *)cards->bytes, len};
    return FL_OK;
}

void fl_cards_close(fl_cards *cards)
{
    free(cards->bytes);
    *cards = (fl_cards){.bytes = NULL};
}

fl_err fl_cards_blame(const fl_cards *cards, fl_err err, fl_reason *why)
{
    return fl_reason_prefix(why, err, "%s: line %" PRIu32, cards->path,
                            cards->number);
}

fl_err fl_cards_next(fl_device *card, fl_cards *cards, fl_reason *why)
{
    while (cards->rest.left > 0) {
        fl_words whole = cards->rest, line;
        if (fl_words_line(&line, &cards->rest)) {
            whole.left -= cards->rest.left;
        } else {
            cards->rest.left = 0;  // cut off, which the decoder says
        }
        cards->number++;
        if (whole.left == 1 && *whole.at == '\n') continue;
        const fl_err err = fl_device_decode(card, whole.at, whole.left, why);
        return err ? fl_cards_blame(cards, err, why) : FL_OK;
    }
    return FL_ERR_NOT_FOUND;
}
