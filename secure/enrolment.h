/*
 * Who may take part: the enrolment list, text that an authority signs
 * (docs/format.md, "Enrolment list").
 *
 * The authority's key need not live on the aggregator: then an aggregator that
 * cheats cannot enrol devices of its own making. Its serial only grows, so an
 * old list cannot come back.
 *
 * A list does not change once it is made; any thread may read it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_ENROLMENT_H
#define FL_SECURE_ENROLMENT_H

#include "secure/secure.h"

enum {
    FL_ENROLMENT_DEVICES_MAX = 65535,
    FL_ENROLMENT_NAME_CAP = 64,  // final 0 included
    FL_ENROLMENT_BYTES_MAX = 32 * 1024 * 1024,
};

#define FL_ENROLMENT_NONE UINT32_MAX

typedef struct {
    uint8_t identity[FL_KEY_BYTES];    // Ed25519
    uint8_t channel[FL_KEY_BYTES];     // X25519
    uint8_t card[FL_SIGNATURE_BYTES];  // the identity's, over channel
    char name[FL_ENROLMENT_NAME_CAP];
} fl_device;

typedef struct {
    uint8_t authority[FL_KEY_BYTES];
    uint64_t serial;
    uint8_t hash[FL_HASH_BYTES];  // of the whole file
    uint32_t device_count;
    fl_device *devices;  // in rising order of their identities
} fl_enrolment;

/* Whether it has 1 to 63 of the characters a-z, 0-9, ".", "_", "-". */
bool fl_device_is_name(const char *name);

/*
 * The card of an identity: what it asks an authority to enrol. Needs
 * fl_device_is_name(name).
 */
void fl_device_init(fl_device *device, const fl_identity *identity,
                    const char *name);

/* FL_ERR_AUTH: the card is not signed by the device's identity. */
FL_CHECK fl_err fl_device_check(const fl_device *device);

/*
 * The card as a line of the list, final line feed included: "device ...".
 * Returns its length, below FL_DEVICE_LINE_CAP.
 */
enum { FL_DEVICE_LINE_CAP = 384 };
size_t fl_device_encode(char dst[FL_DEVICE_LINE_CAP], const fl_device *device);

/*
 * The inverse, and the check of the card. FL_ERR_FORMAT, FL_ERR_AUTH: *why
 * says what is wrong with it.
 */
FL_CHECK fl_err fl_device_decode(fl_device *device, const char *line,
                                 size_t line_len, fl_reason *why);

/*
 * Reads and checks a list: form, order, signature. Who is in it is the
 * authority's word; the cards are not checked again. The caller owns
 * *enrolment: fl_enrolment_free. Safe on any bytes. FL_ERR_FORMAT,
 * FL_ERR_AUTH, FL_ERR_LIMIT, FL_ERR_MEMORY: *why names line and reason.
 */
FL_CHECK fl_err fl_enrolment_decode(fl_enrolment **enrolment,
                                    const uint8_t *src, size_t src_len,
                                    fl_reason *why);

/*
 * Signs a list of these devices, which are sorted here; serial is at least 1.
 * *bytes is the caller's to free. FL_ERR_RANGE: an identity or a channel key
 * is there twice, or a name is not one. FL_ERR_LIMIT: too many. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_enrolment_encode(uint8_t **bytes, size_t *len,
                                    const fl_identity *authority,
                                    uint64_t serial, fl_device *devices,
                                    uint32_t device_count, fl_reason *why);

/* Accepts NULL. */
void fl_enrolment_free(fl_enrolment *enrolment);

/* The place in the list, FL_ENROLMENT_NONE: not enrolled. */
uint32_t fl_enrolment_find(const fl_enrolment *enrolment,
                           const uint8_t identity[FL_KEY_BYTES]);

#endif
