/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include "secure/device.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char CARD_LABEL[] = "fedge card";
static const char NAME_CHARACTERS[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

enum { SIGNATURE_HEX_CAP = 2 * FL_SIGNATURE_BYTES + 1 };

bool fl_device_is_name(const char *name)
{
    const size_t len = strnlen(name, FL_ENROLMENT_NAME_CAP);
    return len > 0 && len < FL_ENROLMENT_NAME_CAP &&
           strspn(name, NAME_CHARACTERS) == len;
}

void fl_device_init(fl_device *device, const fl_identity *identity,
                    const char *name)
{
    assert(fl_device_is_name(name));
    *device = (fl_device){.name = ""};
    memcpy(device->identity, identity->public_key, FL_KEY_BYTES);
    memcpy(device->channel, identity->channel_key, FL_KEY_BYTES);
    memcpy(device->name, name, strlen(name));
    fl_identity_sign(device->card, identity, CARD_LABEL, device->channel,
                     FL_KEY_BYTES);
}

fl_err fl_device_check(const fl_device *device)
{
    return fl_signature_check(device->card, device->identity, CARD_LABEL,
                              device->channel, FL_KEY_BYTES);
}

size_t fl_device_encode(char dst[FL_DEVICE_LINE_CAP], const fl_device *device)
{
    assert(fl_device_is_name(device->name));
    char identity[FL_HEX_CAP], channel[FL_HEX_CAP], card[SIGNATURE_HEX_CAP];
    fl_hex_encode(identity, sizeof identity, device->identity, FL_KEY_BYTES);
    fl_hex_encode(channel, sizeof channel, device->channel, FL_KEY_BYTES);
    fl_hex_encode(card, sizeof card, device->card, FL_SIGNATURE_BYTES);
    const int len = snprintf(dst, FL_DEVICE_LINE_CAP, "device %s %s %s %s\n",
                             identity, channel, card, device->name);
    assert(len > 0 && len < FL_DEVICE_LINE_CAP);
    return (size_t)len;
}

static bool read_word(fl_words *line, uint8_t *dst, size_t len)
{
    return fl_words_hex(line, dst, len) && fl_words_skip(line, " ");
}

static bool read_name(fl_device *device, const fl_words *rest)
{
    if (rest->left >= sizeof device->name) return false;
    if (rest->left > 0) memcpy(device->name, rest->at, rest->left);
    return fl_device_is_name(device->name) &&
           strlen(device->name) == rest->left;  // no byte 0 inside
}

// NULL: nothing is wrong with the line.
static const char *read_fields(fl_device *device, fl_words line)
{
    if (!fl_words_skip(&line, "device ")) {
        return "does not begin with \"device \"";
    }
    if (!read_word(&line, device->identity, FL_KEY_BYTES)) {
        return "the identity behind \"device \" is not 64 of the digits 0-9, "
               "a-f and a space";
    }
    if (!read_word(&line, device->channel, FL_KEY_BYTES)) {
        return "the channel key behind the identity is not 64 of the digits "
               "0-9, a-f and a space";
    }
    if (!read_word(&line, device->card, FL_SIGNATURE_BYTES)) {
        return "the card behind the channel key is not 128 of the digits 0-9, "
               "a-f and a space";
    }
    if (!read_name(device, &line)) {
        return "the name at the end is not 1 to 63 of the characters a-z, "
               "0-9, \".\", \"_\", \"-\"";
    }
    return NULL;
}

fl_err fl_device_read(fl_device *device, fl_words line, fl_reason *why)
{
    *device = (fl_device){.name = ""};
    const char *fault = read_fields(device, line);
    return fault ? fl_reason_set(why, FL_ERR_FORMAT, "%s", fault) : FL_OK;
}

fl_err fl_device_decode(fl_device *device, const char *line, size_t line_len,
                        fl_reason *why)
{
    fl_words text = {line, line_len}, only;
    if (!fl_words_line(&only, &text)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "no line feed at the end; the line may be cut "
                             "off");
    }
    if (text.left > 0) {
        return fl_reason_set(why, FL_ERR_FORMAT, "more than one line");
    }
    FL_TRY(fl_device_read(device, only, why));
    if (!fl_device_check(device)) return FL_OK;
    return fl_reason_set(why, FL_ERR_AUTH,
                         "the card of %s is not signed by its identity; let "
                         "the device print it again",
                         device->name);
}
