/* Any bytes as an enrolment list, as a card, and as what an authority signed:
 * no crash, and what is taken has one encoding.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secure/secure.h"

enum { TEXT_CAP = 64 * 1024, FRAME_CAP = 512 };

static void check_again(const fl_identity *authority, fl_enrolment *list,
                        const uint8_t *src, size_t src_len)
{
    for (uint32_t i = 0; i < list->device_count; i++) {
        if (fl_enrolment_find(list, list->devices[i].identity) != i) abort();
    }
    uint8_t *bytes = NULL;
    size_t len = 0;
    const fl_err err =
        fl_enrolment_encode(&bytes, &len, authority, list->serial,
                            list->devices, list->device_count, NULL);
    // A list may name a channel key twice; nobody makes such a list.
    if (err == FL_ERR_RANGE) return;
    if (err || len != src_len || memcmp(bytes, src, len) != 0) abort();
    free(bytes);
}

static void read_list(const fl_identity *authority, const uint8_t *src,
                      size_t src_len)
{
    fl_enrolment *list = NULL;
    fl_reason why = {""};
    if (fl_enrolment_decode(&list, src, src_len, &why)) {
        if (why.text[0] == 0 || list) abort();
        return;
    }
    if (memcmp(list->authority, authority->public_key, FL_KEY_BYTES) == 0) {
        check_again(authority, list, src, src_len);
    }
    fl_enrolment_free(list);
}

static void read_card(const uint8_t *data, size_t len)
{
    fl_device device;
    char line[FL_DEVICE_LINE_CAP];
    fl_reason why = {""};
    if (fl_device_decode(&device, (const char *)data, len, &why)) {
        if (why.text[0] == 0) abort();
        return;
    }
    if (fl_device_encode(line, &device) != len) abort();
    if (memcmp(line, data, len) != 0) abort();
}

// The authority signs whatever comes, so that the parser is all there is.
static void read_signed(const fl_identity *authority, const uint8_t *data,
                        size_t len)
{
    static char text[TEXT_CAP + FRAME_CAP];
    char key[FL_HEX_CAP], digits[2 * FL_SIGNATURE_BYTES + 1];
    uint8_t hash[FL_HASH_BYTES], signature[FL_SIGNATURE_BYTES];
    fl_hex_encode(key, sizeof key, authority->public_key, FL_KEY_BYTES);
    size_t at = (size_t)snprintf(text, FRAME_CAP,
                                 "fedge enrolment 1\nauthority %s\n", key);
    memcpy(text + at, data, len);
    at += len;
    fl_hash(hash, text, at);
    fl_identity_sign(signature, authority, "fedge enrolment", hash,
                     sizeof hash);
    fl_hex_encode(digits, sizeof digits, signature, sizeof signature);
    at +=
        (size_t)snprintf(text + at, sizeof text - at, "signature %s\n", digits);
    read_list(authority, (const uint8_t *)text, at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const uint8_t seed[FL_SEED_BYTES] = {4};
    fl_identity authority;
    if (len == 0 || len > TEXT_CAP) return 0;
    if (fl_secure_start()) abort();
    fl_identity_init(&authority, seed);
    read_list(&authority, data, len);
    read_card(data, len);
    read_signed(&authority, data, len);
    return 0;
}
