/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
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
