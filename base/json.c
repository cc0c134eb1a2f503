/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { SIGNIFICANT_DIGITS = 15 };  // of a double: all that decimals survive

struct fl_json {
    json_t *root;
    bool has_failed;
};

fl_json *fl_json_new(void)
{
    fl_json *object = calloc(1, sizeof *object);
    if (!object) return NULL;
    object->root = json_object();
    if (!object->root) object->has_failed = true;
    return object;
}

void fl_json_free(fl_json *object)
{
    if (!object) return;
    json_decref(object->root);
    free(object);
}

// Takes `value`; NULL means that its allocation failed.
static void set(fl_json *object, const char *key, json_t *value)
{
    if (!object) {
        json_decref(value);
    } else if (json_object_set_new(object->root, key, value)) {
        object->has_failed = true;
    }
}

// What is not UTF-8 cannot be said in JSON: every byte beyond ASCII turns
// into '?'. NULL: memory is out.
static json_t *text_of_any_bytes(const char *text)
{
    json_t *value = json_string(text);
    if (value) return value;
    const size_t len = strlen(text);
    char *ascii = malloc(len + 1);
    if (!ascii) return NULL;
    memcpy(ascii, text, len + 1);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)ascii[i] >= 0x80) ascii[i] = '?';
    }
    value = json_string(ascii);
    free(ascii);
    return value;
}

void fl_json_text_set(fl_json *object, const char *key, const char *value)
{
    set(object, key, value ? text_of_any_bytes(value) : json_null());
}

// jansson has no unsigned integers.
static json_t *count(uint64_t value)
{
    return value <= INT64_MAX ? json_integer((json_int_t)value)
                              : json_real((double)value);
}

void fl_json_count_set(fl_json *object, const char *key, uint64_t value)
{
    set(object, key, count(value));
}

void fl_json_number_set(fl_json *object, const char *key, double value)
{
    set(object, key, isfinite(value) ? json_real(value) : json_null());
}

void fl_json_bool_set(fl_json *object, const char *key, bool value)
{
    set(object, key, json_boolean(value));
}

// Takes `item`; NULL means that its allocation failed.
static void append(fl_json *object, const char *key, json_t *item)
{
    if (!object) {
        json_decref(item);
        return;
    }
    json_t *array = json_object_get(object->root, key);
    if (!array) {
        set(object, key, json_array());
        array = json_object_get(object->root, key);
    }
    if (json_array_append_new(array, item)) object->has_failed = true;
}

void fl_json_count_add(fl_json *object, const char *key, uint64_t value)
{
    append(object, key, count(value));
}

void fl_json_counts_set(fl_json *object, const char *key,
                        const uint64_t *values, size_t item_count)
{
    set(object, key, json_array());
    for (size_t i = 0; i < item_count; i++) {
        fl_json_count_add(object, key, values[i]);
    }
}

// Takes `item`; what could not be allocated is missed as NULL.
static json_t *release(fl_json *item)
{
    json_t *root = item && !item->has_failed ? json_incref(item->root) : NULL;
    fl_json_free(item);
    return root;
}

void fl_json_object_set(fl_json *object, const char *key, fl_json *item)
{
    set(object, key, release(item));
}

void fl_json_object_add(fl_json *object, const char *key, fl_json *item)
{
    append(object, key, release(item));
}

fl_err fl_json_text(char **text, const fl_json *object)
{
    if (!object || object->has_failed) return FL_ERR_MEMORY;
    char *line = json_dumps(
        object->root, JSON_COMPACT | JSON_REAL_PRECISION(SIGNIFICANT_DIGITS));
    if (!line) return FL_ERR_MEMORY;
    *text = line;
    return FL_OK;
}

fl_err fl_json_read(fl_json **object, const char *text)
{
    return fl_json_decode(object, text, strlen(text));
}

fl_err fl_json_decode(fl_json **object, const void *bytes, size_t len)
{
    json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);
    fl_json *new = json_is_object(root) ? calloc(1, sizeof *new) : NULL;
    if (!new) {
        const fl_err err = json_is_object(root) ? FL_ERR_MEMORY : FL_ERR_FORMAT;
        json_decref(root);
        return err;
    }
    new->root = root;
    *object = new;
    return FL_OK;
}

/* ---- what is in it ---- */

bool fl_json_text_get(const char **value, const fl_json *object,
                      const char *key)
{
    const char *text = json_string_value(json_object_get(object->root, key));
    if (text) *value = text;
    return text;
}

static bool read_count(uint64_t *value, const json_t *item)
{
    if (!json_is_integer(item) || json_integer_value(item) < 0) return false;
    *value = (uint64_t)json_integer_value(item);
    return true;
}

bool fl_json_count_get(uint64_t *value, const fl_json *object, const char *key)
{
    return read_count(value, json_object_get(object->root, key));
}

bool fl_json_number_get(double *value, const fl_json *object, const char *key)
{
    const json_t *item = json_object_get(object->root, key);
    if (!json_is_number(item)) return false;
    *value = json_number_value(item);
    return true;
}

bool fl_json_counts_get(uint64_t *values, size_t *count, size_t cap,
                        const fl_json *object, const char *key)
{
    const json_t *array = json_object_get(object->root, key);
    if (!json_is_array(array) || json_array_size(array) > cap) return false;
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!read_count(&values[i], json_array_get(array, i))) return false;
    }
    *count = json_array_size(array);
    return true;
}

fl_err fl_json_each(const fl_json *object,
                    fl_err (*take)(void *self, const char *key,
                                   const fl_json *item),
                    void *self)
{
    const char *key;
    json_t *value;
    json_object_foreach(object->root, key, value)
    {
        const fl_json item = {.root = value};
        FL_TRY(take(self, key, json_is_object(value) ? &item : NULL));
    }
    return FL_OK;
}

void fl_json_print(FILE *out, const fl_json *object)
{
    const char *key;
    json_t *value;
    json_object_foreach(object->root, key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        if (json_is_string(value)) {
            fprintf(out, "%-16s %s\n", key, json_string_value(value));
        } else {
            fprintf(out, "%-16s %s\n", key, text ? text : "?");
        }
        free(text);
    }
}
