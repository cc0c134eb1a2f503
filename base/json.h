/*
 * JSON for programs: objects built key by key, one a line. Keys keep their
 * order. Numbers that JSON does not have (NaN, infinity) become null, bytes
 * that are not UTF-8 become '?'. Numbers have 15 significant digits; so has a
 * count of 2^63 or more, since many readers have no such integers.
 *
 * A failed allocation is remembered and reported by fl_json_text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_JSON_H
#define FL_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

typedef struct fl_json fl_json;

/* An empty object; NULL when memory is out (accepted by all below). */
fl_json *fl_json_new(void);
void fl_json_free(fl_json *object);

void fl_json_text_set(fl_json *object, const char *key, const char *value);
void fl_json_count_set(fl_json *object, const char *key, uint64_t value);
void fl_json_number_set(fl_json *object, const char *key, double value);
void fl_json_bool_set(fl_json *object, const char *key, bool value);

/* Puts an object into this one; takes it. */
void fl_json_object_set(fl_json *object, const char *key, fl_json *item);

/* An array of numbers; `count` may be 0. */
void fl_json_counts_set(fl_json *object, const char *key,
                        const uint64_t *values, size_t count);

/* Appends a number to the array under `key`, made when missing. */
void fl_json_count_add(fl_json *object, const char *key, uint64_t value);

/* Appends an object to the array under `key`, made when missing; takes it. */
void fl_json_object_add(fl_json *object, const char *key, fl_json *item);

/* One line without newline; the caller frees *text. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_json_text(char **text, const fl_json *object);

/*
 * Reads one object. The caller owns *object: fl_json_free. FL_ERR_FORMAT: not
 * exactly one JSON object.
 */
FL_CHECK fl_err fl_json_read(fl_json **object, const char *text);

/* The same of `len` bytes, whatever they are. */
FL_CHECK fl_err fl_json_decode(fl_json **object, const void *bytes, size_t len);

/*
 * The value under `key`, borrowed. False, and *value stays: there is none, or
 * one of another kind. A count is a whole number of at least 0; a number may be
 * one, too.
 */
bool fl_json_text_get(const char **value, const fl_json *object,
                      const char *key);
bool fl_json_count_get(uint64_t *value, const fl_json *object, const char *key);
bool fl_json_number_get(double *value, const fl_json *object, const char *key);

/* The same of an array of counts, *count of them, at most `cap`. */
bool fl_json_counts_get(uint64_t *values, size_t *count, size_t cap,
                        const fl_json *object, const char *key);

/*
 * Calls `take` for each key with the object under it, borrowed, or with NULL
 * where there is something else; ends with its first error.
 */
FL_CHECK fl_err fl_json_each(const fl_json *object,
                             fl_err (*take)(void *self, const char *key,
                                            const fl_json *item),
                             void *self);

/* Prints what is in it for a person, one line a key. */
void fl_json_print(FILE *out, const fl_json *object);

#endif
