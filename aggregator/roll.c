/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_secure(const fl_aggregator *aggregator)
{
    return aggregator->options.aggregation == FL_AGGREGATION_SECURE;
}

// Takes the bytes when the result is FL_OK.
static fl_err publish(fl_aggregator *aggregator, uint8_t *bytes, size_t len,
                      fl_reason *why)
{
    fl_enrolment *enrolment = NULL;
    FL_TRY(fl_enrolment_decode(&enrolment, bytes, len, why));
    const fl_err err = fl_object_publish(&aggregator->roll, FL_OBJECT_ENROLMENT,
                                         0, bytes, len);
    if (err) {
        fl_enrolment_free(enrolment);
        return fl_reason_set(why, err, "no memory for the enrolment list");
    }
    fl_enrolment_free(aggregator->enrolment);
    aggregator->enrolment = enrolment;
    return FL_OK;
}

fl_err fl_roll_init(fl_aggregator *aggregator, fl_reason *why)
{
    const fl_aggregator_options *options = &aggregator->options;
    if (!is_secure(aggregator) || !options->list) return FL_OK;
    uint8_t *copy = malloc(options->list_len);
    if (!copy) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory for the enrolment list");
    }
    memcpy(copy, options->list, options->list_len);
    const fl_err err = publish(aggregator, copy, options->list_len, why);
    if (err) {
        free(copy);
        return err;
    }
    if (options->authority &&
        memcmp(options->authority->public_key, aggregator->enrolment->authority,
               FL_KEY_BYTES) != 0) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "the enrolment list is signed by another "
                             "authority than the one held here");
    }
    return FL_OK;
}

bool fl_roll_admits(const fl_aggregator *aggregator,
                    const uint8_t identity[FL_KEY_BYTES])
{
    if (!is_secure(aggregator) || aggregator->options.authority) return true;
    return aggregator->enrolment &&
           fl_enrolment_find(aggregator->enrolment, identity) !=
               FL_ENROLMENT_NONE;
}

void fl_roll_introduce(fl_member *member, const fl_device *device)
{
    member->device = *device;
    const uint8_t *key = device->identity;
    snprintf(member->device.name, sizeof member->device.name,
             "client-%02x%02x%02x%02x", key[0], key[1], key[2], key[3]);
}

static bool is_enrolled(const fl_aggregator *aggregator,
                        const fl_member *member)
{
    return aggregator->enrolment &&
           fl_enrolment_find(aggregator->enrolment,
                             member->record.public_key) != FL_ENROLMENT_NONE;
}

// The list so far and whoever else is in the cohort, signed anew.
static fl_err extend(fl_aggregator *aggregator, uint32_t new_count,
                     fl_reason *why)
{
    const fl_enrolment *old = aggregator->enrolment;
    const uint32_t old_count = old ? old->device_count : 0;
    const uint64_t serial = old ? old->serial + 1 : 1;
    uint8_t *bytes = NULL;
    size_t len = 0;
    fl_err err = FL_ERR_MEMORY;
    fl_device *devices = calloc((size_t)old_count + new_count, sizeof *devices);
    if (!devices) goto out;
    if (old_count > 0) {
        memcpy(devices, old->devices, old_count * sizeof *devices);
    }
    uint32_t count = old_count;
    for (uint32_t i = 0; i < aggregator->cohort_len; i++) {
        const fl_member *member = &aggregator->members[aggregator->cohort[i]];
        if (!is_enrolled(aggregator, member)) devices[count++] = member->device;
    }
    err = fl_enrolment_encode(&bytes, &len, aggregator->options.authority,
                              serial, devices, count, why);
    if (err) goto out;
    err = publish(aggregator, bytes, len, why);
    if (err) goto out;
    bytes = NULL;  // the roll's now
    fl_reply_log(aggregator, FL_LOG_INFO, "enrolled",
                 "devices=%u new=%u serial=%llu", count, new_count,
                 (unsigned long long)serial);
    fl_reply(aggregator, (fl_aggregator_effect){.kind = FL_AGGREGATOR_SAVE_LIST,
                                                .bytes = aggregator->roll.bytes,
                                                .len = aggregator->roll.len});

out:
    free(devices);
    free(bytes);
    return err;
}

fl_err fl_roll_call(fl_aggregator *aggregator)
{
    uint32_t new_count = 0;
    fl_reason why = {""};
    if (!is_secure(aggregator)) return FL_OK;
    for (uint32_t i = 0; i < aggregator->cohort_len; i++) {
        const fl_member *member = &aggregator->members[aggregator->cohort[i]];
        if (!is_enrolled(aggregator, member)) new_count++;
    }
    if (new_count > 0) {
        const fl_err err = extend(aggregator, new_count, &why);
        if (err) {
            fl_reply_log(aggregator, FL_LOG_ERROR, "not_enrolled", "why=%s",
                         why.text);
            return err;
        }
    }
    for (uint32_t i = 0; i < aggregator->cohort_len; i++) {
        fl_member *member = &aggregator->members[aggregator->cohort[i]];
        member->place =
            fl_enrolment_find(aggregator->enrolment, member->record.public_key);
    }
    return FL_OK;
}
