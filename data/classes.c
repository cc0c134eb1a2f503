/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "data/loader.h"

// Decimal digits alone, and below FL_DATA_CLASSES_MAX.
static bool read_class_number(uint32_t *number, const char *text)
{
    uint32_t value = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (!isdigit((unsigned char)*text)) return false;
        value = value * 10 + (uint32_t)(*text - '0');
        if (value >= FL_DATA_CLASSES_MAX) return false;
    }
    *number = value;
    return true;
}

// What every name is called from now on: numbers[old] = new.
static void renumber(fl_dataset *dataset, const uint32_t *numbers)
{
    for (uint32_t i = 0; i < dataset->row_count; i++) {
        dataset->labels[i] = numbers[dataset->labels[i]];
    }
}

static bool all_are_numbers(uint32_t *numbers, uint32_t *class_count,
                            const fl_names *names)
{
    *class_count = 0;
    for (uint32_t i = 0; i < names->count; i++) {
        if (!read_class_number(&numbers[i], fl_names_get(names, i))) {
            return false;
        }
        if (*class_count <= numbers[i]) *class_count = numbers[i] + 1;
    }
    return true;
}

// Adds the names that only the other part has.
static fl_err merge_names(fl_dataset *dataset, const fl_dataset *other,
                          fl_reason *why)
{
    for (uint32_t i = 0; i < other->class_names.count; i++) {
        const char *name = fl_names_get(&other->class_names, i);
        uint32_t number;
        const fl_err err =
            fl_names_add(&dataset->class_names, &number, name, strlen(name));
        if (err) {
            return fl_reason_set(why, err,
                                 "the training and the test rows together "
                                 "name more than %u classes, or memory is out",
                                 FL_DATA_CLASSES_MAX);
        }
    }
    return FL_OK;
}

static fl_err number_names(fl_dataset *dataset, fl_reason *why)
{
    fl_names *names = &dataset->class_names;
    // One more, so that nothing to sort is not nothing to allocate.
    uint32_t *numbers = calloc((size_t)names->count + 1, sizeof *numbers);
    if (!numbers) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    fl_err err = FL_OK;
    if (dataset->label_kind == FL_LABELS_CELLS &&
        all_are_numbers(numbers, &dataset->class_count, names)) {
        renumber(dataset, numbers);
        fl_names_fini(names);
    } else {
        err = fl_names_sort(names, numbers);
        if (err) {
            fl_reason_set(why, err, "out of memory");
        } else {
            renumber(dataset, numbers);
        }
        dataset->class_count = names->count;
    }
    dataset->label_kind = FL_LABELS_NUMBERS;
    free(numbers);
    return err;
}

fl_err fl_classes_number(fl_dataset *dataset, const fl_dataset *other,
                         fl_reason *why)
{
    const bool numbered = dataset->label_kind == FL_LABELS_NUMBERS;
    if (other && numbered != (other->label_kind == FL_LABELS_NUMBERS)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "the labels of one part are numbers, those of "
                             "the other are names; classes would not match");
    }
    if (numbered) {
        if (other && dataset->class_count < other->class_count) {
            dataset->class_count = other->class_count;
        }
        return FL_OK;
    }
    if (other) FL_TRY(merge_names(dataset, other, why));
    return number_names(dataset, why);
}

/* ---- of one device ---- */

static const uint32_t NO_CLASS = UINT32_MAX;

// Rather names that one mistyped label has made of numbers than the other way
// round: then all rows would change their classes.
static bool are_mostly_numbers(uint32_t *class_count, const fl_names *names)
{
    uint32_t number = 0, number_count = 0;
    *class_count = 0;
    for (uint32_t i = 0; i < names->count; i++) {
        if (!read_class_number(&number, fl_names_get(names, i))) continue;
        number_count++;
        if (*class_count <= number) *class_count = number + 1;
    }
    return number_count > names->count / 2;
}

static uint32_t find_class(const fl_names *known, const char *name)
{
    uint32_t number;
    if (known->count == 0) {
        return read_class_number(&number, name) ? number : NO_CLASS;
    }
    for (uint32_t i = 0; i < known->count; i++) {
        if (strcmp(fl_names_get(known, i), name) == 0) return i;
    }
    return NO_CLASS;
}

static void tell_unknown(const fl_dataset *dataset, uint32_t name,
                         bool is_numbers, const fl_data_skip *skip)
{
    fl_reason what;
    uint32_t count = 0;
    for (uint32_t i = 0; i < dataset->row_count; i++) {
        count += dataset->labels[i] == name;
    }
    if (count == 0 || !skip->tell) return;
    (void)!fl_reason_set(
        &what, FL_ERR_FORMAT, "class '%s': %" PRIu32 " rows; %s",
        fl_names_get(&dataset->class_names, name), count,
        is_numbers ? "the others are called by numbers"
                   : "it is none of the classes that are known here");
    skip->tell(skip->self, what.text);
}

// numbers[name] becomes its class, or NO_CLASS.
static void find_classes(uint32_t *numbers, const fl_dataset *dataset,
                         const fl_names *known, const fl_data_skip *skip)
{
    const fl_names *names = &dataset->class_names;
    for (uint32_t i = 0; i < names->count; i++) {
        numbers[i] = find_class(known, fl_names_get(names, i));
        if (numbers[i] == NO_CLASS) {
            tell_unknown(dataset, i, known->count == 0, skip);
        }
    }
}

static fl_err keep_known(fl_dataset *dataset, uint32_t *rows, fl_reason *why)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < dataset->row_count; i++) {
        if (dataset->labels[i] != NO_CLASS) rows[count++] = i;
    }
    if (count == dataset->row_count) return FL_OK;
    if (count == 0) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "no row is of a class that is known here");
    }
    if (!fl_dataset_keep(dataset, rows, count)) return FL_OK;
    return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
}

static fl_err take_names(fl_dataset *dataset, const fl_names *known,
                         fl_reason *why)
{
    fl_names_fini(&dataset->class_names);
    for (uint32_t i = 0; i < known->count; i++) {
        const char *name = fl_names_get(known, i);
        uint32_t number;
        if (fl_names_add(&dataset->class_names, &number, name, strlen(name))) {
            return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
        }
    }
    return FL_OK;
}

// Without any that are `known`: numbers.
static fl_err map_classes(fl_dataset *dataset, const fl_names *known,
                          const fl_data_skip *skip, fl_reason *why)
{
    uint32_t *numbers =
        calloc((size_t)dataset->class_names.count + 1, sizeof *numbers);
    uint32_t *rows = malloc(dataset->row_count * sizeof *rows);
    fl_err err = FL_ERR_MEMORY;
    if (numbers && rows) {
        find_classes(numbers, dataset, known, skip);
        renumber(dataset, numbers);
        err = keep_known(dataset, rows, why);
    } else {
        fl_reason_set(why, err, "out of memory");
    }
    free(numbers);
    free(rows);
    dataset->label_kind = FL_LABELS_NUMBERS;
    return err ? err : take_names(dataset, known, why);
}

fl_err fl_classes_number_own(fl_dataset *dataset, const fl_dataset *outline,
                             const fl_names *known, const fl_data_skip *skip,
                             fl_reason *why)
{
    uint32_t number_count = 0;
    const bool is_numbers =
        dataset->label_kind == FL_LABELS_CELLS &&
        are_mostly_numbers(&number_count, &outline->class_names);
    if (dataset->label_kind == FL_LABELS_NUMBERS ||
        (!is_numbers && known->count == 0)) {
        return fl_classes_number(dataset, outline, why);
    }
    const fl_names none = {.count = 0};
    FL_TRY(map_classes(dataset, is_numbers ? &none : known, skip, why));
    dataset->class_count = is_numbers ? number_count : known->count;
    return FL_OK;
}
