/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/edit.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/lock.h"

/* ---- begin ---- */

static fl_err lock_list(fl_edit *edit, fl_reason *why)
{
    char path[PATH_MAX];
    const int len = snprintf(path, sizeof path, "%s.lock", edit->path);
    if (len < 0 || (size_t)len >= sizeof path) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "%s: too long a name",
                             edit->path);
    }
    const fl_err err = fl_lock_take(&edit->lock, path, why);
    if (err != FL_ERR_STATE) return err;
    return fl_reason_set(why, err,
                         "%s: another fedge-keys changes this list now; try "
                         "again when it has ended",
                         edit->path);
}

static fl_err check_authority(const fl_edit *edit, fl_reason *why)
{
    if (memcmp(edit->old->authority, edit->authority.public_key,
               FL_KEY_BYTES) == 0) {
        return FL_OK;
    }
    char theirs[FL_HEX_CAP], ours[FL_HEX_CAP];
    fl_hex_encode(theirs, sizeof theirs, edit->old->authority, FL_KEY_BYTES);
    fl_hex_encode(ours, sizeof ours, edit->authority.public_key, FL_KEY_BYTES);
    return fl_reason_set(why, FL_ERR_AUTH,
                         "%s is the list of the authority %s, the key file is "
                         "that of %s; name its key file, or another list",
                         edit->path, theirs, ours);
}

// No list yet is no error.
static fl_err read_old(fl_edit *edit, fl_reason *why)
{
    uint8_t *bytes = NULL;
    size_t len;
    fl_reason read = {""};
    fl_err err =
        fl_file_read(&bytes, &len, edit->path, FL_ENROLMENT_BYTES_MAX, &read);
    if (err == FL_ERR_NOT_FOUND) return FL_OK;
    if (err) return fl_reason_set(why, err, "%s", read.text);
    err = fl_enrolment_decode(&edit->old, bytes, len, why);
    free(bytes);
    if (err) return fl_reason_prefix(why, err, "%s", edit->path);
    return check_authority(edit, why);
}

fl_err fl_edit_begin(fl_edit *edit, const char *path, uint64_t serial_min,
                     fl_reason *why)
{
    edit->path = path;
    edit->serial_min = serial_min;
    FL_TRY(lock_list(edit, why));
    FL_TRY(read_old(edit, why));
    edit->devices = calloc(FL_ENROLMENT_DEVICES_MAX, sizeof *edit->devices);
    if (!edit->devices) {
        return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    }
    if (!edit->old || edit->old->device_count == 0) return FL_OK;
    edit->device_count = edit->old->device_count;
    memcpy(edit->devices, edit->old->devices,
           edit->device_count * sizeof *edit->devices);
    return FL_OK;
}

void fl_edit_fini(fl_edit *edit)
{
    fl_identity_fini(&edit->authority);
    fl_enrolment_free(edit->old);
    free(edit->devices);
    if (edit->lock >= 0) fl_lock_release(edit->lock);
    *edit = FL_EDIT_NONE;
}

/* ---- changes ---- */

static bool has_identity(const fl_device *device,
                         const uint8_t identity[FL_KEY_BYTES])
{
    return memcmp(device->identity, identity, FL_KEY_BYTES) == 0;
}

fl_err fl_edit_add(fl_edit *edit, const fl_device *card, fl_reason *why)
{
    fl_device *place = NULL;
    for (uint32_t i = 0; i < edit->device_count; i++) {
        fl_device *device = &edit->devices[i];
        if (has_identity(device, card->identity)) {
            place = device;
        } else if (strcmp(device->name, card->name) == 0) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "another device is called %s; revoke that "
                                 "one, or let this one print a card with "
                                 "another --name",
                                 card->name);
        }
    }
    if (!place && edit->device_count == FL_ENROLMENT_DEVICES_MAX) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "%s: a list has %d devices at most", edit->path,
                             FL_ENROLMENT_DEVICES_MAX);
    }
    if (!place) place = &edit->devices[edit->device_count++];
    *place = *card;
    return FL_OK;
}

fl_err fl_edit_remove(fl_edit *edit, const char *who, fl_reason *why)
{
    uint8_t identity[FL_KEY_BYTES];
    const bool is_key = !fl_hex_decode(identity, sizeof identity, who);
    fl_device *found = NULL;
    for (uint32_t i = 0; i < edit->device_count; i++) {
        fl_device *device = &edit->devices[i];
        if (is_key ? !has_identity(device, identity)
                   : strcmp(device->name, who) != 0) {
            continue;
        }
        if (found) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "%s: several devices are called %s; name the "
                                 "one by its key, as fedge-keys show prints it",
                                 edit->path, who);
        }
        found = device;
    }
    if (!found) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "%s: no device is called %s; fedge-keys show %s "
                             "prints their names and keys",
                             edit->path, who, edit->path);
    }
    *found = edit->devices[--edit->device_count];
    return FL_OK;
}

/* ---- finish ---- */

static uint32_t old_count(const fl_edit *edit)
{
    return edit->old ? edit->old->device_count : 0;
}

// Needs the new devices in their order.
static bool is_unchanged(const fl_edit *edit)
{
    if (!edit->old || edit->old->serial < edit->serial_min) return false;
    return edit->device_count == old_count(edit) &&
           (edit->device_count == 0 ||
            memcmp(edit->devices, edit->old->devices,
                   edit->device_count * sizeof *edit->devices) == 0);
}

static void print_device(FILE *out, const char *what, const fl_device *device)
{
    char digits[FL_HEX_CAP];
    fl_hex_encode(digits, sizeof digits, device->identity, FL_KEY_BYTES);
    fprintf(out, "%s %s %s\n", what, device->name, digits);
}

static void print_change(FILE *out, const fl_device *old,
                         const fl_device *changed)
{
    if (strcmp(old->name, changed->name) != 0) {
        fprintf(out, "renamed %s to %s\n", old->name, changed->name);
    } else if (memcmp(old, changed, sizeof *old) != 0) {
        print_device(out, "new card of", changed);
    }
}

// Both are in rising order of identities.
static void print_changes(FILE *out, const fl_edit *edit)
{
    const uint32_t before = old_count(edit), after = edit->device_count;
    uint32_t i = 0, k = 0;
    while (i < before || k < after) {
        const fl_device *old = i < before ? &edit->old->devices[i] : NULL;
        const fl_device *new = k < after ? &edit->devices[k] : NULL;
        const int order =
            !old   ? 1
            : !new ? -1
                   : memcmp(old->identity, new->identity, FL_KEY_BYTES);
        if (order < 0) print_device(out, "revoked", old);
        if (order > 0) print_device(out, "enrolled", new);
        if (order == 0) print_change(out, old, new);
        i += order <= 0;
        k += order >= 0;
    }
}

static void print_summary(FILE *out, const fl_edit *edit, uint64_t serial,
                          const uint8_t *bytes, size_t len)
{
    uint8_t hash[FL_HASH_BYTES];
    char digits[FL_HEX_CAP];
    fl_hash(hash, bytes, len);
    fl_hex_encode(digits, sizeof digits, hash, sizeof hash);
    fprintf(out, "%s: serial %" PRIu64 ", %" PRIu32 " device%s, hash %s\n",
            edit->path, serial, edit->device_count,
            edit->device_count == 1 ? "" : "s", digits);
}

static fl_err next_serial(uint64_t *serial, const fl_edit *edit, fl_reason *why)
{
    *serial = edit->serial_min > 0 ? edit->serial_min : 1;
    if (!edit->old || edit->old->serial < *serial) return FL_OK;
    *serial = edit->old->serial;
    if (*serial < UINT64_MAX) {
        *serial += 1;
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_LIMIT,
                         "%s: has the highest serial there is; make a new "
                         "authority",
                         edit->path);
}

fl_err fl_edit_finish(fl_edit *edit, FILE *out, fl_reason *why)
{
    uint64_t serial;
    uint8_t *bytes = NULL;
    size_t len;
    FL_TRY(next_serial(&serial, edit, why));
    FL_TRY(fl_enrolment_encode(&bytes, &len, &edit->authority, serial,
                               edit->devices, edit->device_count, why));
    fl_err err = FL_OK;
    if (is_unchanged(edit)) {
        fprintf(out, "%s: nothing to change, serial %" PRIu64 "\n", edit->path,
                edit->old->serial);
    } else {
        err = fl_file_write(edit->path, bytes, len, 0644, why);
        if (!err) {
            print_changes(out, edit);
            print_summary(out, edit, serial, bytes, len);
        }
    }
    free(bytes);
    return err;
}
