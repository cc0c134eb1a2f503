/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_secure(const fl_aggregator *aggregator)
{
    return aggregator->options.aggregation == FL_AGGREGATION_SECURE;
}

/* ---- in force, and next ---- */

const fl_enrolment *fl_roll_newest(const fl_aggregator *aggregator)
{
    return aggregator->next_enrolment ? aggregator->next_enrolment
                                      : aggregator->enrolment;
}

// Whether clients of a round that is on still need the list in force: its
// places are those of the session.
static bool is_in_use(const fl_aggregator *aggregator)
{
    return aggregator->phase == FL_PHASE_TRAINING ||
           aggregator->phase == FL_PHASE_SESSION ||
           aggregator->phase == FL_PHASE_UNMASKING;
}

static void settle(fl_aggregator *aggregator)
{
    if (!aggregator->next_enrolment || is_in_use(aggregator)) return;
    fl_object_withdraw(&aggregator->roll);
    fl_enrolment_free(aggregator->enrolment);
    aggregator->enrolment = aggregator->next_enrolment;
    aggregator->roll = aggregator->next_roll;
    aggregator->next_enrolment = NULL;
    aggregator->next_roll = (fl_published){.bytes = NULL};
}

// Takes the bytes when the result is FL_OK.
static fl_err publish(fl_aggregator *aggregator, uint8_t *bytes, size_t len,
                      fl_reason *why)
{
    fl_enrolment *enrolment = NULL;
    FL_TRY(fl_enrolment_decode(&enrolment, bytes, len, why));
    const fl_err err = fl_object_publish(&aggregator->next_roll,
                                         FL_OBJECT_ENROLMENT, 0, bytes, len);
    if (err) {
        fl_enrolment_free(enrolment);
        return fl_reason_set(why, err, "no memory for the enrolment list");
    }
    fl_enrolment_free(aggregator->next_enrolment);
    aggregator->next_enrolment = enrolment;
    settle(aggregator);
    return FL_OK;
}

static fl_err publish_copy(fl_aggregator *aggregator, const uint8_t *list,
                           size_t len, fl_reason *why)
{
    uint8_t *copy = malloc(len);
    if (!copy) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory for the enrolment list");
    }
    memcpy(copy, list, len);
    const fl_err err = publish(aggregator, copy, len, why);
    if (err) free(copy);
    return err;
}

fl_err fl_roll_init(fl_aggregator *aggregator, fl_reason *why)
{
    const fl_aggregator_options *options = &aggregator->options;
    if (!is_secure(aggregator) || !options->list) return FL_OK;
    FL_TRY(publish_copy(aggregator, options->list, options->list_len, why));
    if (options->authority &&
        memcmp(options->authority->public_key, aggregator->enrolment->authority,
               FL_KEY_BYTES) != 0) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "enrolment.list is signed by another authority "
                             "than the one held here; restore authority.key "
                             "in the state folder from a backup");
    }
    return FL_OK;
}

void fl_roll_fini(fl_aggregator *aggregator)
{
    fl_object_withdraw(&aggregator->roll);
    fl_object_withdraw(&aggregator->next_roll);
    fl_enrolment_free(aggregator->enrolment);
    fl_enrolment_free(aggregator->next_enrolment);
}

void fl_roll_introduce(const fl_aggregator *aggregator, fl_member *member,
                       const fl_device *device)
{
    const uint8_t *key = device->identity;
    const fl_registration *known = fl_entry_registration(aggregator, key);
    member->device = *device;
    if (known) {
        memcpy(member->device.name, known->device.name,
               sizeof member->device.name);
    } else {
        snprintf(member->device.name, sizeof member->device.name,
                 "client-%02x%02x%02x%02x", key[0], key[1], key[2], key[3]);
    }
}

/* ---- the devices of a round ---- */

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

// Of a copy: beyond those of the original, which has not signed more than ten
// a second.
static uint64_t next_serial(const fl_aggregator *aggregator)
{
    const fl_aggregator_options *options = &aggregator->options;
    const fl_enrolment *old = fl_roll_newest(aggregator);
    const uint64_t next = (old ? old->serial : options->serial_floor) + 1;
    return options->is_copy ? next + options->start_count : next;
}

// Takes over the list of these devices, which it puts in order.
static fl_err sign(fl_aggregator *aggregator, fl_device *devices,
                   uint32_t count, fl_reason *why)
{
    const uint64_t serial = next_serial(aggregator);
    uint8_t *bytes;
    size_t len;
    FL_TRY(fl_enrolment_encode(&bytes, &len, aggregator->options.authority,
                               serial, devices, count, why));
    const fl_err err = publish(aggregator, bytes, len, why);
    if (err) {
        free(bytes);
        return err;
    }
    fl_reply_log(aggregator, FL_LOG_INFO, "enrolled", "devices=%u serial=%llu",
                 count, (unsigned long long)serial);
    fl_reply(aggregator, (fl_aggregator_effect){.kind = FL_AGGREGATOR_SAVE_LIST,
                                                .bytes = bytes,
                                                .len = len});
    aggregator->options.is_copy = false;
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
        err = sign(aggregator, devices, count, why);
    }
    free(devices);
    return err;
}

// Whoever comes is enrolled, here.
static bool is_open(const fl_aggregator *aggregator)
{
    return aggregator->options.authority && !aggregator->options.is_guarded;
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
        member->place = aggregator->enrolment
                            ? fl_enrolment_find(aggregator->enrolment,
                                                member->record.public_key)
                            : FL_ENROLMENT_NONE;
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
    settle(aggregator);
    const uint32_t new_count = count_new(aggregator);
    // Others find their place in the list, or have none.
    if (new_count > 0 && is_open(aggregator)) {
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

/* ---- the registry has changed ---- */

static int compare_devices(const void *a, const void *b)
{
    return memcmp(((const fl_device *)a)->identity,
                  ((const fl_device *)b)->identity, FL_KEY_BYTES);
}

static bool is_same(const fl_enrolment *list, fl_device *devices,
                    uint32_t count)
{
    if (count > 0) qsort(devices, count, sizeof *devices, compare_devices);
    const uint32_t old_count = list ? list->device_count : 0;
    return count == old_count &&
           (count == 0 ||
            memcmp(devices, list->devices, count * sizeof *devices) == 0);
}

// Everybody who is enrolled.
static uint32_t take_registry(const fl_aggregator *aggregator,
                              fl_device *devices)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < aggregator->registry_count; i++) {
        const fl_registration *item = &aggregator->registry[i];
        if (item->state != FL_REGISTRATION_ENROLLED) continue;
        if (count < FL_ENROLMENT_DEVICES_MAX) devices[count++] = item->device;
    }
    return count;
}

// Whoever has been in a round, under the registry's names, unless revoked.
static uint32_t take_list(const fl_aggregator *aggregator, fl_device *devices)
{
    uint32_t count = 0;
    const fl_enrolment *list = fl_roll_newest(aggregator);
    for (uint32_t i = 0; list && i < list->device_count; i++) {
        const fl_registration *known =
            fl_entry_registration(aggregator, list->devices[i].identity);
        if (known && known->state == FL_REGISTRATION_REVOKED) continue;
        devices[count++] = known ? known->device : list->devices[i];
    }
    return count;
}

// Most devices that either of the two above can give.
static size_t most_devices(const fl_aggregator *aggregator)
{
    const fl_enrolment *list = fl_roll_newest(aggregator);
    const uint32_t count = is_open(aggregator) ? (list ? list->device_count : 0)
                                               : aggregator->registry_count;
    return count < FL_ENROLMENT_DEVICES_MAX ? count : FL_ENROLMENT_DEVICES_MAX;
}

static fl_err sign_registry(fl_aggregator *aggregator, fl_reason *why)
{
    fl_err err = FL_OK;
    fl_device *devices = calloc(most_devices(aggregator) + 1, sizeof *devices);
    if (!devices) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    const uint32_t count = is_open(aggregator)
                               ? take_list(aggregator, devices)
                               : take_registry(aggregator, devices);
    const fl_enrolment *old = fl_roll_newest(aggregator);
    if (!is_same(old, devices, count) || (old && aggregator->options.is_copy)) {
        err = sign(aggregator, devices, count, why);
    }
    free(devices);
    return err;
}

// An older list, or somebody else's, must not take the place of this one.
static fl_err check_follows(const fl_aggregator *aggregator,
                            const uint8_t *bytes, size_t len, fl_reason *why)
{
    fl_enrolment *list = NULL;
    const fl_enrolment *old = fl_roll_newest(aggregator);
    FL_TRY(fl_enrolment_decode(&list, bytes, len, why));
    fl_err err = FL_OK;
    if (old && memcmp(old->authority, list->authority, FL_KEY_BYTES) != 0) {
        err = fl_reason_set(why, FL_ERR_AUTH,
                            "signed by another authority than the list before");
    } else if (old && list->serial <= old->serial) {
        err = fl_reason_set(
            why, FL_ERR_STALE, "serial %llu does not follow %llu",
            (unsigned long long)list->serial, (unsigned long long)old->serial);
    }
    fl_enrolment_free(list);
    return err;
}

static fl_err take_over(fl_aggregator *aggregator, const uint8_t *bytes,
                        size_t len, fl_reason *why)
{
    FL_TRY(check_follows(aggregator, bytes, len, why));
    FL_TRY(publish_copy(aggregator, bytes, len, why));
    const fl_enrolment *list = fl_roll_newest(aggregator);
    fl_reply_log(aggregator, FL_LOG_INFO, "enrolment_changed",
                 "devices=%u serial=%llu", list->device_count,
                 (unsigned long long)list->serial);
    return FL_OK;
}

void fl_roll_follow(fl_aggregator *aggregator, const uint8_t *list,
                    size_t list_len)
{
    fl_reason why = {""};
    fl_err err = FL_OK;
    if (!is_secure(aggregator)) return;
    if (aggregator->options.authority) {
        err = sign_registry(aggregator, &why);
    } else if (list) {
        err = take_over(aggregator, list, list_len, &why);
    }
    if (err) {
        fl_reply_log(aggregator, FL_LOG_ERROR, "not_enrolled", "why=%s",
                     why.text);
    }
}
