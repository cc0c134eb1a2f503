/*
 * fedge-keys show: what is in a key file, a list, or a file of cards.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "secure/cards.h"
#include "secure/keys.h"

static const char USAGE[] =
    "usage: fedge-keys show FILE [--json]\n\n"
    "Shows an enrolment list (who signed it, its serial and hash, its "
    "devices), a\nfile of cards, or the public keys of a key file; never "
    "anything secret.\nSignatures are checked on the way.\n\n"
    "  fedge-keys show boards.list\n\n";

// How a file of this kind begins.
static const char LIST_START[] = "fedge enrolment ";
static const char KEY_START[] = "fedge identity ";

static void set_hex(fl_json *json, const char *key,
                    const uint8_t bytes[FL_KEY_BYTES])
{
    char digits[FL_HEX_CAP];
    fl_hex_encode(digits, sizeof digits, bytes, FL_KEY_BYTES);
    fl_json_text_set(json, key, digits);
}

static void print_hex(const char *what, const uint8_t bytes[FL_KEY_BYTES])
{
    char digits[FL_HEX_CAP];
    fl_hex_encode(digits, sizeof digits, bytes, FL_KEY_BYTES);
    printf("%-11s %s\n", what, digits);
}

static fl_err print_json(fl_json *json, fl_reason *why)
{
    char *text = NULL;
    const fl_err err = fl_json_text(&text, json);
    if (!err) puts(text);
    free(text);
    fl_json_free(json);
    return err ? fl_reason_set(why, err, "no memory for the report") : FL_OK;
}

/* ---- devices ---- */

static void print_device(const fl_device *device)
{
    char digits[FL_HEX_CAP];
    fl_hex_encode(digits, sizeof digits, device->identity, FL_KEY_BYTES);
    printf("%s %s\n", digits, device->name);
}

static void add_device(fl_json *json, const fl_device *device)
{
    fl_json *item = fl_json_new();
    fl_json_text_set(item, "name", device->name);
    set_hex(item, "public_key", device->identity);
    set_hex(item, "channel_key", device->channel);
    fl_json_object_add(json, "devices", item);
}

/* ---- an enrolment list ---- */

static void print_list(const fl_enrolment *list)
{
    print_hex("authority", list->authority);
    printf("%-11s %" PRIu64 "\n", "serial", list->serial);
    print_hex("hash", list->hash);
    printf("%-11s %" PRIu32 "\n\n", "devices", list->device_count);
    for (uint32_t i = 0; i < list->device_count; i++) {
        print_device(&list->devices[i]);
    }
}

static fl_json *list_json(const fl_enrolment *list)
{
    fl_json *json = fl_json_new();
    fl_json_text_set(json, "kind", "list");
    set_hex(json, "authority", list->authority);
    fl_json_count_set(json, "serial", list->serial);
    set_hex(json, "hash", list->hash);
    fl_json_count_set(json, "device_count", list->device_count);
    for (uint32_t i = 0; i < list->device_count; i++) {
        add_device(json, &list->devices[i]);
    }
    return json;
}

static fl_err show_list(const fl_keys *keys, fl_reason *why)
{
    uint8_t *bytes = NULL;
    size_t len;
    fl_enrolment *list = NULL;
    FL_TRY(fl_file_read(&bytes, &len, keys->word, FL_ENROLMENT_BYTES_MAX, why));
    fl_err err = fl_enrolment_decode(&list, bytes, len, why);
    free(bytes);
    if (err) return fl_reason_prefix(why, err, "%s", keys->word);
    if (keys->is_json) {
        err = print_json(list_json(list), why);
    } else {
        print_list(list);
    }
    fl_enrolment_free(list);
    return err;
}

/* ---- a key file ---- */

static fl_err show_key(const fl_keys *keys, fl_reason *why)
{
    fl_identity identity;
    fl_err err = fl_keys_read(&identity, keys->word, why);
    if (!err && keys->is_json) {
        fl_json *json = fl_json_new();
        fl_json_text_set(json, "kind", "key");
        set_hex(json, "public_key", identity.public_key);
        set_hex(json, "channel_key", identity.channel_key);
        err = print_json(json, why);
    } else if (!err) {
        print_hex("public key", identity.public_key);
        print_hex("channel key", identity.channel_key);
    }
    fl_identity_fini(&identity);
    return err;
}

/* ---- cards ---- */

static fl_err show_each(fl_cards *cards, fl_json *json, fl_reason *why)
{
    fl_device card;
    fl_err err;
    while (!(err = fl_cards_next(&card, cards, why))) {
        if (json) {
            add_device(json, &card);
        } else {
            print_device(&card);
        }
    }
    return err == FL_ERR_NOT_FOUND ? FL_OK : err;
}

static fl_err show_cards(const fl_keys *keys, fl_reason *why)
{
    fl_cards cards;
    fl_json *json = keys->is_json ? fl_json_new() : NULL;
    fl_json_text_set(json, "kind", "cards");
    fl_err err = fl_cards_open(&cards, keys->word, why);
    if (!err) err = show_each(&cards, json, why);
    fl_cards_close(&cards);
    if (!err && keys->is_json) return print_json(json, why);
    fl_json_free(json);
    return err;
}

/* ---- which of them ---- */

// Reads no more than the kind of file, which is no secret.
static bool starts_with(const char *path, const char *start)
{
    char bytes[32];
    const size_t len = strlen(start);
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) return false;
    const ssize_t got = read(file, bytes, len);
    close(file);
    return got == (ssize_t)len && memcmp(bytes, start, len) == 0;
}

static fl_err show(const fl_keys *keys, fl_reason *why)
{
    const char *path = keys->word;
    if (starts_with(path, KEY_START)) return show_key(keys, why);
    if (starts_with(path, LIST_START)) return show_list(keys, why);
    return show_cards(keys, why);
}

static int run(const void *settings, fl_reason *why)
{
    return fl_program_exit(show(settings, why));
}

fl_command fl_show_command(fl_keys *keys)
{
    static fl_option table[1];
    table[0] = (fl_option){NULL, "json", FL_OPTION_FLAG, &keys->is_json,
                           0,    0,      NULL,           "one JSON object"};
    return (fl_command){
        .name = "show",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = 1,
        .operand = "FILE",
        .word = &keys->word,
    };
}
