/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/memory.h"
#include "data/loader.h"

// Beside its values: label, and what a client notes of it.
enum { ROW_NOTES = 4 + 4 + 8 };

fl_err fl_source_pass_over(const fl_source *source, fl_err err, fl_reason *why)
{
    const fl_data_skip *skip = source->options->skip;
    if (!skip || err == FL_ERR_MEMORY || err == FL_ERR_CANCELLED) return err;
    if (skip->tell) skip->tell(skip->self, why ? why->text : fl_err_text(err));
    if (why) why->text[0] = '\0';
    return FL_OK;
}

uint32_t fl_dataset_record_count(const fl_dataset *dataset)
{
    return dataset->record_count;
}

static size_t row_len(const fl_dataset *dataset)
{
    return fl_shape_size(dataset->shape) * fl_number_len(dataset->type);
}

void fl_dataset_digest_rows(uint64_t *digests, const fl_dataset *dataset,
                            uint64_t key)
{
    const fl_shape kept =
        dataset->resize ? fl_resize_from(dataset->resize) : dataset->shape;
    const size_t len = fl_shape_size(kept) * fl_number_len(dataset->type);
    const uint8_t *values = dataset->values;
    for (uint32_t i = 0; i < dataset->row_count; i++) {
        digests[i] = fl_digest(key, values + i * len, len);
    }
}

/* ---- classes that are known beforehand ---- */

// Stretches between separators; empty ones are none.
static fl_err list_known(fl_names *known, const fl_own_options *own,
                         fl_reason *why)
{
    const char *at = own->classes ? own->classes : "";
    while (*at) {
        const char *end = strchr(at, own->separator);
        const size_t len = end ? (size_t)(end - at) : strlen(at);
        uint32_t number;
        if (len > 0 && fl_names_add(known, &number, at, len)) {
            return fl_reason_set(why, FL_ERR_LIMIT,
                                 "more than %u classes are named, or memory "
                                 "is out",
                                 FL_DATA_CLASSES_MAX);
        }
        at += len + (end != NULL);
    }
    return FL_OK;
}

static fl_err number_classes(fl_dataset *dataset, const fl_dataset *outline,
                             const fl_data_options *options,
                             const fl_own_options *own, fl_reason *why)
{
    fl_names known;
    fl_names_init(&known, FL_DATA_CLASSES_MAX);
    fl_err err = list_known(&known, own, why);
    if (!err) {
        err =
            fl_classes_number_own(dataset, outline, &known, options->skip, why);
    }
    fl_names_fini(&known);
    return err;
}

/* ---- as many rows as there is room for ---- */

static fl_err count_wanted(uint32_t *wanted, const fl_dataset *outline,
                           const fl_own_options *own, fl_reason *why)
{
    const size_t row_bytes = row_len(outline) + ROW_NOTES;
    *wanted = own->row_cap ? own->row_cap : UINT32_MAX;
    if (own->byte_cap == 0) return FL_OK;
    const size_t room = own->byte_cap / row_bytes;
    if (room < *wanted) *wanted = (uint32_t)room;
    if (room > 0) return FL_OK;
    return fl_reason_set(why, FL_ERR_LIMIT,
                         "one row takes %zu bytes, but data may take %zu (half "
                         "of --memory)",
                         row_bytes, own->byte_cap);
}

static fl_err pick(fl_picks *picks, const fl_dataset *outline,
                   const fl_own_options *own, fl_reason *why)
{
    uint32_t wanted = 0;
    FL_TRY(count_wanted(&wanted, outline, own, why));
    if (fl_picks_init(picks, outline->record_count)) {
        return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    }
    fl_picks_sample(picks, &outline->row_names, wanted);
    if (picks->picked_count == 0) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "a sample of %" PRIu32 " of %" PRIu32
                             " rows has none",
                             wanted, outline->record_count);
    }
    return FL_OK;
}

/* ---- both passes ---- */

// First what there is, then the rows that fit.
static fl_err open_own(fl_dataset *dataset, fl_dataset *outline,
                       fl_picks *picks, const fl_data_options *options,
                       const fl_own_options *own, fl_reason *why)
{
    const fl_data_skip quiet = {.tell = NULL};
    fl_data_options first = *options;
    first.skip = &quiet;  // the second pass tells
    fl_source source = {.options = &first,
                        .labels_only = true,
                        .is_growing = true,
                        .stop = own->stop};
    FL_TRY(fl_loader_load(outline, options->spec, &source, why));
    FL_TRY(pick(picks, outline, own, why));

    source.options = options;
    source.labels_only = false;
    source.picks = picks;
    FL_TRY(fl_loader_load(dataset, options->spec, &source, why));
    FL_TRY(number_classes(dataset, outline, options, own, why));
    fl_names_fini(&dataset->columns);
    return fl_loader_resize(dataset, options, why);
}

fl_err fl_dataset_open_own(fl_dataset **dataset, const fl_data_options *options,
                           const fl_own_options *own, fl_reason *why)
{
    assert(options->skip);
    fl_picks picks = {.bits = NULL};
    fl_dataset *opened = calloc(1, sizeof *opened);
    fl_dataset *outline = calloc(1, sizeof *outline);
    fl_err err = opened && outline
                     ? open_own(opened, outline, &picks, options, own, why)
                     : fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    fl_dataset_free(outline);
    fl_picks_fini(&picks);
    if (err) {
        fl_dataset_free(opened);
        return err;
    }
    fl_memory_trim();  // what parsing took
    *dataset = opened;
    return FL_OK;
}
