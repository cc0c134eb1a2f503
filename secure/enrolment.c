/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "secure/device.h"

#define FIRST_LINE "fedge enrolment 1"

static const char LIST_LABEL[] = "fedge enrolment";

enum {
    DEVICE_LINE_MIN = 268,  // with a name of one letter
    FRAME_CAP = 512,        // the lines before and behind the devices
    SIGNATURE_HEX_CAP = 2 * FL_SIGNATURE_BYTES + 1,
};

_Static_assert((size_t)FL_ENROLMENT_DEVICES_MAX *FL_DEVICE_LINE_CAP +
                       FRAME_CAP <=
                   FL_ENROLMENT_BYTES_MAX,
               "the longest list can be read again");

/* ---- decode ---- */

typedef struct {
    fl_words text, line;
    uint32_t number;  // of the line, from 1
    fl_reason *why;
} list_reader;

static fl_err refuse(const list_reader *in, fl_err err, const char *fault)
{
    return fl_reason_set(in->why, err, "line %" PRIu32 ": %s", in->number,
                         fault);
}

static fl_err next_line(list_reader *in)
{
    in->number++;
    if (fl_words_line(&in->line, &in->text)) return FL_OK;
    return refuse(in, FL_ERR_FORMAT,
                  in->text.left > 0
                      ? "no line feed at the end; the list is cut off"
                      : "missing; the list is cut off");
}

static fl_err read_head(fl_enrolment *list, list_reader *in)
{
    FL_TRY(next_line(in));
    if (!fl_words_skip(&in->line, FIRST_LINE) || in->line.left > 0) {
        return refuse(in, FL_ERR_FORMAT, "not \"" FIRST_LINE "\"");
    }
    FL_TRY(next_line(in));
    if (!fl_words_skip(&in->line, "authority ") ||
        !fl_words_hex(&in->line, list->authority, FL_KEY_BYTES) ||
        in->line.left > 0) {
        return refuse(in, FL_ERR_FORMAT,
                      "not \"authority \" and 64 of the digits 0-9, a-f");
    }
    FL_TRY(next_line(in));
    if (!fl_words_skip(&in->line, "serial ") ||
        !fl_words_number(&in->line, &list->serial) || in->line.left > 0) {
        return refuse(in, FL_ERR_FORMAT,
                      "not \"serial \" and a number from 1 to 2^64 - 1 "
                      "without leading zeros");
    }
    return FL_OK;
}

// The order that a search relies on.
static fl_err check_order(const fl_enrolment *list, const fl_device *next,
                          const list_reader *in)
{
    if (list->device_count == 0) return FL_OK;
    const fl_device *last = &list->devices[list->device_count - 1];
    const int order = memcmp(last->identity, next->identity, FL_KEY_BYTES);
    if (order < 0) return FL_OK;
    return refuse(in, FL_ERR_FORMAT,
                  order == 0 ? "the identity of the line before, again"
                             : "not in rising order of identities");
}

static fl_err add_device(fl_enrolment *list, const list_reader *in)
{
    if (list->device_count == FL_ENROLMENT_DEVICES_MAX) {
        return fl_reason_set(in->why, FL_ERR_LIMIT,
                             "line %" PRIu32 ": more than %d devices",
                             in->number, FL_ENROLMENT_DEVICES_MAX);
    }
    fl_device device;
    const fl_err err = fl_device_read(&device, in->line, in->why);
    if (err) {
        return fl_reason_prefix(in->why, err, "line %" PRIu32, in->number);
    }
    FL_TRY(check_order(list, &device, in));
    list->devices[list->device_count++] = device;
    return FL_OK;
}

// Leaves the line behind the last device in in->line.
static fl_err read_devices(fl_enrolment *list, list_reader *in)
{
    FL_TRY(next_line(in));
    for (fl_words peek = in->line; fl_words_skip(&peek, "device ");
         peek = in->line) {
        FL_TRY(add_device(list, in));
        FL_TRY(next_line(in));
    }
    return FL_OK;
}

static fl_err read_signature(const fl_enrolment *list, list_reader *in,
                             const uint8_t *signed_bytes)
{
    uint8_t signature[FL_SIGNATURE_BYTES], hash[FL_HASH_BYTES];
    const size_t signed_len =
        (size_t)((const uint8_t *)in->line.at - signed_bytes);
    if (!fl_words_skip(&in->line, "signature ")) {
        return refuse(in, FL_ERR_FORMAT,
                      "begins with neither \"device \" nor \"signature \"");
    }
    if (!fl_words_hex(&in->line, signature, sizeof signature) ||
        in->line.left > 0) {
        return refuse(in, FL_ERR_FORMAT,
                      "the signature is not 128 of the digits 0-9, a-f");
    }
    if (in->text.left > 0) {
        in->number++;
        return refuse(in, FL_ERR_FORMAT, "stands behind the signature");
    }
    fl_hash(hash, signed_bytes, signed_len);
    if (fl_signature_check(signature, list->authority, LIST_LABEL, hash,
                           sizeof hash)) {
        return refuse(in, FL_ERR_AUTH,
                      "not the authority's signature of the lines before: "
                      "somebody else has changed them");
    }
    return FL_OK;
}

static fl_err decode(fl_enrolment *list, const uint8_t *src, size_t src_len,
                     fl_reason *why)
{
    list_reader in = {.text = {(const char *)src, src_len}, .why = why};
    FL_TRY(read_head(list, &in));
    FL_TRY(read_devices(list, &in));
    FL_TRY(read_signature(list, &in, src));
    fl_hash(list->hash, src, src_len);
    return FL_OK;
}

// Room for as many devices as can stand in `src_len` bytes.
static fl_enrolment *new_list(size_t src_len)
{
    size_t cap = src_len / DEVICE_LINE_MIN + 1;
    if (cap > FL_ENROLMENT_DEVICES_MAX) cap = FL_ENROLMENT_DEVICES_MAX;
    fl_enrolment *list = calloc(1, sizeof *list);
    if (!list) return NULL;
    list->devices = calloc(cap, sizeof *list->devices);
    if (list->devices) return list;
    free(list);
    return NULL;
}

fl_err fl_enrolment_decode(fl_enrolment **enrolment, const uint8_t *src,
                           size_t src_len, fl_reason *why)
{
    if (src_len > FL_ENROLMENT_BYTES_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "longer than %d bytes, the most a list may have",
                             FL_ENROLMENT_BYTES_MAX);
    }
    fl_enrolment *list = new_list(src_len);
    if (!list) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    const fl_err err = decode(list, src, src_len, why);
    if (err) {
        fl_enrolment_free(list);
        return err;
    }
    *enrolment = list;
    return FL_OK;
}

void fl_enrolment_free(fl_enrolment *enrolment)
{
    if (!enrolment) return;
    free(enrolment->devices);
    free(enrolment);
}

/* ---- find ---- */

static int compare_identities(const void *a, const void *b)
{
    const fl_device *left = a, *right = b;
    return memcmp(left->identity, right->identity, FL_KEY_BYTES);
}

static int compare_channels(const void *a, const void *b)
{
    const fl_device *left = a, *right = b;
    return memcmp(left->channel, right->channel, FL_KEY_BYTES);
}

uint32_t fl_enrolment_find(const fl_enrolment *enrolment,
                           const uint8_t identity[FL_KEY_BYTES])
{
    fl_device wanted = {.name = ""};
    memcpy(wanted.identity, identity, FL_KEY_BYTES);
    const fl_device *found =
        bsearch(&wanted, enrolment->devices, enrolment->device_count,
                sizeof wanted, compare_identities);
    return found ? (uint32_t)(found - enrolment->devices) : FL_ENROLMENT_NONE;
}

/* ---- encode ---- */

static fl_err check_names(const fl_device *devices, uint32_t device_count,
                          fl_reason *why)
{
    for (uint32_t i = 0; i < device_count; i++) {
        if (fl_device_is_name(devices[i].name)) continue;
        return fl_reason_set(why, FL_ERR_RANGE,
                             "\"%.*s\": a name has 1 to 63 of the characters "
                             "a-z, 0-9, \".\", \"_\", \"-\"",
                             FL_ENROLMENT_NAME_CAP, devices[i].name);
    }
    return FL_OK;
}

// Leaves them in this order.
static fl_err check_twins(fl_device *devices, uint32_t device_count,
                          int (*compare)(const void *, const void *),
                          const char *what, fl_reason *why)
{
    if (device_count < 2) return FL_OK;
    qsort(devices, device_count, sizeof *devices, compare);
    for (uint32_t i = 1; i < device_count; i++) {
        if (compare(&devices[i - 1], &devices[i]) != 0) continue;
        return fl_reason_set(why, FL_ERR_RANGE, "%s and %s have the same %s",
                             devices[i - 1].name, devices[i].name, what);
    }
    return FL_OK;
}

static fl_err check_devices(fl_device *devices, uint32_t device_count,
                            fl_reason *why)
{
    if (device_count > FL_ENROLMENT_DEVICES_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "%" PRIu32 " devices; a list has %d at most",
                             device_count, FL_ENROLMENT_DEVICES_MAX);
    }
    FL_TRY(check_names(devices, device_count, why));
    FL_TRY(check_twins(devices, device_count, compare_channels, "channel key",
                       why));
    return check_twins(devices, device_count, compare_identities, "identity",
                       why);
}

// Writes a list into room that suffices; returns its length.
static size_t write_list(char *dst, const fl_identity *authority,
                         uint64_t serial, const fl_device *devices,
                         uint32_t device_count)
{
    char key[FL_HEX_CAP], digits[SIGNATURE_HEX_CAP];
    fl_hex_encode(key, sizeof key, authority->public_key, FL_KEY_BYTES);
    size_t len = (size_t)snprintf(
        dst, FRAME_CAP, FIRST_LINE "\nauthority %s\nserial %" PRIu64 "\n", key,
        serial);
    for (uint32_t i = 0; i < device_count; i++) {
        len += fl_device_encode(dst + len, &devices[i]);
    }

    uint8_t hash[FL_HASH_BYTES], signature[FL_SIGNATURE_BYTES];
    fl_hash(hash, dst, len);
    fl_identity_sign(signature, authority, LIST_LABEL, hash, sizeof hash);
    fl_hex_encode(digits, sizeof digits, signature, sizeof signature);
    len += (size_t)snprintf(dst + len, sizeof digits + sizeof "signature \n",
                            "signature %s\n", digits);
    return len;
}

fl_err fl_enrolment_encode(uint8_t **bytes, size_t *len,
                           const fl_identity *authority, uint64_t serial,
                           fl_device *devices, uint32_t device_count,
                           fl_reason *why)
{
    assert(serial > 0);
    FL_TRY(check_devices(devices, device_count, why));
    size_t cap;
    FL_TRY(fl_size_mul(&cap, device_count, FL_DEVICE_LINE_CAP));
    FL_TRY(fl_size_add(&cap, cap, FRAME_CAP));
    char *text = malloc(cap);
    if (!text) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    *len = write_list(text, authority, serial, devices, device_count);
    assert(*len <= cap);
    *bytes = (uint8_t *)text;
    return FL_OK;
}
