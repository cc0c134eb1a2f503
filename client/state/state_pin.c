/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state_pin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "client/state/state_record.h"

enum { PIN_CAP = 256 };

fl_err fl_state_pin_read(uint8_t public_key[FL_KEY_BYTES],
                         const fl_state_pin *pin, fl_reason *why)
{
    uint8_t *text = NULL;
    size_t len = 0;
    fl_err err = fl_file_read(&text, &len, pin->path, PIN_CAP, why);
    if (err == FL_ERR_NOT_FOUND) {
        return fl_reason_set(why, err,
                             "%s: no %s is pinned yet; the first one that "
                             "answers will be",
                             pin->path, pin->owner);
    }
    if (err && err != FL_ERR_LIMIT) return err;
    if (!err && len > 0 && text[len - 1] == '\n') text[len - 1] = 0;
    if (err || fl_hex_decode(public_key, FL_KEY_BYTES, (char *)text)) {
        err = fl_reason_set(why, FL_ERR_FORMAT,
                            "%s: not 64 hexadecimal digits; restore it, or "
                            "delete it to pin the next %s that answers",
                            pin->path, pin->owner);
    }
    free(text);
    return err;
}

fl_err fl_state_pin_compare(const fl_state_pin *pin,
                            const uint8_t public_key[FL_KEY_BYTES],
                            fl_reason *why)
{
    uint8_t pinned[FL_KEY_BYTES];
    FL_TRY(fl_state_pin_read(pinned, pin, why));
    if (memcmp(pinned, public_key, sizeof pinned) == 0) return FL_OK;
    char old[FL_HEX_CAP], new[FL_HEX_CAP];
    fl_hex_encode(old, sizeof old, pinned, sizeof pinned);
    fl_hex_encode(new, sizeof new, public_key, FL_KEY_BYTES);
    return fl_reason_set(why, FL_ERR_STATE,
                         "%s pins the %s %s, this one is %s; if that is "
                         "meant, delete the file",
                         pin->path, pin->owner, old, new);
}

fl_err fl_state_pin_write(const fl_state_pin *pin,
                          const uint8_t public_key[FL_KEY_BYTES],
                          fl_reason *why)
{
    char digits[FL_HEX_CAP], text[FL_HEX_CAP + 1];
    fl_hex_encode(digits, sizeof digits, public_key, FL_KEY_BYTES);
    snprintf(text, sizeof text, "%s\n", digits);
    return fl_state_file_write(pin->path, text, strlen(text), 0600, true, why);
}
