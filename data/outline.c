/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/memory.h"
#include "data/loader.h"

// Rows come in the order of the source: row `order[i]` of them is row i.
static fl_err put_in_order(fl_dataset *rows, const uint32_t *origins,
                           const fl_picks *picks, fl_reason *why)
{
    const uint32_t record_count = picks->record_count;
    uint32_t *places = calloc(record_count + (size_t)1, sizeof *places);
    uint32_t *order = calloc(rows->row_count + (size_t)1, sizeof *order);
    fl_err err = FL_ERR_MEMORY;
    if (places && order) {
        for (uint32_t record = 0, place = 0; record < record_count; record++) {
            places[record] = place;
            place += fl_picks_has(picks, record);
        }
        for (uint32_t i = 0; i < rows->row_count; i++) {
            order[i] = places[origins[i]];
        }
        err = fl_dataset_keep(rows, order, rows->row_count);
    }
    free(places);
    free(order);
    return err ? fl_reason_set(why, err, "out of memory") : FL_OK;
}

static fl_err load_picked(fl_dataset *rows, const fl_dataset *outline,
                          const fl_picks *picks, fl_data_part part,
                          const fl_data_options *options, fl_reason *why)
{
    const fl_source source = {.part = part, .picks = picks, .options = options};
    const char *spec = fl_loader_spec(options, part);
    FL_TRY(fl_loader_load(rows, spec, &source, why));
    if (rows->record_count != outline->record_count ||
        rows->row_count != outline->row_count) {
        return fl_reason_set(why, FL_ERR_STATE,
                             "%s: has changed while it was read; start again",
                             spec);
    }
    return put_in_order(rows, outline->origins, picks, why);
}

static fl_err fill(fl_dataset *outline, fl_dataset *rows, fl_picks *picks,
                   fl_data_part part, const fl_data_options *options,
                   fl_reason *why)
{
    if (fl_picks_init(picks, outline->record_count)) {
        return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < outline->row_count; i++) {
        fl_picks_add(picks, outline->origins[i]);
    }
    FL_TRY(load_picked(rows, outline, picks, part, options, why));
    outline->values = rows->values;
    rows->values = NULL;
    free(outline->origins);
    outline->origins = NULL;
    fl_names_fini(&outline->row_names);
    return FL_OK;
}

fl_err fl_dataset_fill(fl_dataset *dataset, fl_data_part part,
                       const fl_data_options *options, fl_reason *why)
{
    fl_picks picks = {.bits = NULL};
    fl_dataset *rows = calloc(1, sizeof *rows);
    const fl_err err = rows
                           ? fill(dataset, rows, &picks, part, options, why)
                           : fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    fl_dataset_free(rows);
    fl_picks_fini(&picks);
    fl_memory_trim();
    return err;
}
