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

static uint64_t prefix_of(const fl_device *device)
{
    uint64_t prefix;
    memcpy(&prefix, device->channel, sizeof prefix);
    return prefix;
}

// Adds the new ones of the cohort. A list has no channel key twice, so of two
// identities that one machine has made for the same key the second stays out:
// it must not keep all others from their round.
static fl_err add_new(const fl_aggregator *aggregator, fl_device *devices,
                      uint32_t *count)
{
    fl_map channels;
    fl_err err = FL_OK;
    fl_map_init(&channels, FL_ENROLMENT_DEVICES_MAX);
    for (uint32_t i = 0; i < *count && !err; i++) {
        err = fl_map_set(&channels, prefix_of(&devices[i]), i);
    }
    for (uint32_t i = 0; i < aggregator->cohort_len && !err; i++) {
        const fl_member *member = &aggregator->members[aggregator->cohort[i]];
        const uint64_t prefix = prefix_of(&member->device);
        uint32_t other;
        if (is_enrolled(aggregator, member) ||
            *count == FL_ENROLMENT_DEVICES_MAX ||
            fl_map_get(&channels, prefix, &other)) {
            continue;
        }
        err = fl_map_set(&channels, prefix, *count);
        devices[(*count)++] = member->device;
    }
    fl_map_fini(&channels);
    return err;
}

// Takes over the list of these devices, which it puts in order.
static fl_err sign(fl_aggregator *aggregator, fl_device *devices,
                   uint32_t count, uint32_t new_count, fl_reason *why)
{
    const fl_enrolment *old = aggregator->enrolment;
    const uint64_t serial = old ? old->serial + 1 : 1;
    uint8_t *bytes;
    size_t len;
    FL_TRY(fl_enrolment_encode(&bytes, &len, aggregator->options.authority,
                               serial, devices, count, why));
    const fl_err err = publish(aggregator, bytes, len, why);
    if (err) {
        free(bytes);
        return err;
    }
    fl_reply_log(aggregator, FL_LOG_INFO, "enrolled",
                 "devices=%u new=%u serial=%llu", count, new_count,
                 (unsigned long long)serial);
    fl_reply(aggregator, (fl_aggregator_effect){.kind = FL_AGGREGATOR_SAVE_LIST,
                                                .bytes = aggregator->roll.bytes,
                                                .len = aggregator->roll.len});
    return FL_OK;
}

// The list so far and whoever else is in the cohort, signed anew.
static fl_err extend(fl_aggregator *aggregator, uint32_t new_count,
                     fl_reason *why)
{
    const fl_enrolment *old = aggregator->enrolment;
    const uint32_t old_count = old ? old->device_count : 0;
    uint32_t count = old_count;
    fl_device *devices = calloc((size_t)old_count + new_count, sizeof *devices);
    if (!devices) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    if (old_count > 0) {
        memcpy(devices, old->devices, old_count * sizeof *devices);
    }
    fl_err err = add_new(aggregator, devices, &count);
    if (!err && count > old_count) {
        err = sign(aggregator, devices, count, count - old_count, why);
    }
    free(devices);
    return err;
}

static uint32_t count_new(const fl_aggregator *aggregator)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < aggregator->cohort_len; i++) {
        const fl_member *member = &aggregator->members[aggregator->cohort[i]];
        if (!is_enrolled(aggregator, member)) count++;
    }
    return count;
}

// Gives out places; who has none leaves the cohort, and this aggregator.
static void seat_cohort(fl_aggregator *aggregator)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < aggregator->cohort_len; i++) {
        const uint32_t slot = aggregator->cohort[i];
        fl_member *member = &aggregator->members[slot];
        member->place =
            fl_enrolment_find(aggregator->enrolment, member->record.public_key);
        if (member->place != FL_ENROLMENT_NONE) {
            aggregator->cohort[kept++] = slot;
        } else if (member->peer != FL_AGGREGATOR_NONE) {
            fl_peer_close(aggregator, &aggregator->peers[member->peer],
                          "its channel key is another device's, or the "
                          "enrolment list is full");
        }
    }
    aggregator->cohort_len = kept;
}

fl_err fl_roll_call(fl_aggregator *aggregator)
{
    fl_reason why = {""};
    if (!is_secure(aggregator)) return FL_OK;
    const uint32_t new_count = count_new(aggregator);
    if (new_count > 0) {
        const fl_err err = extend(aggregator, new_count, &why);
        if (err) {
            fl_reply_log(aggregator, FL_LOG_ERROR, "not_enrolled", "why=%s",
                         why.text);
            return err;
        }
    }
    seat_cohort(aggregator);
    return FL_OK;
}
